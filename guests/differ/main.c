/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks through a fixed list of privileged acts and prints a line for each, "act NAME = WHAT CAME
 * OF IT", so that the same guest on two CPUs can be compared line by line
 * (tests/system/test_differential.py). Where a manual or Bulkhead's policy fixes the answer it is
 * checked here. No line may depend on time or on where the guest lies.
 */
#include "guests/differ/differ.h"

#include "hv/abi.h"

#define CR0_START   0x80010033ull /* PE MP ET NE WP PG */
#define CR0_AM      0x40000ull
#define CR4_PAE     0x20ull
#define CR4_OSXSAVE 0x40000ull

bool vendor_is_amd;

static void write_cr0(uint64_t value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

static void write_cr4(uint64_t value) {
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

/* A name like "cpuid 80000001.0 ecx". */
static const char *name_of(const char *what, uint64_t number, const char *more) {
    static char name[sizeof(outcome.text)];
    text_clear(name);
    text_add(name, what);
    text_add_hex(name, number);
    text_add(name, more);
    return name;
}

/* CPUID. What the policy fixes is checked; the rest is the CPU model's. */
#define FREE 0xfeedfeedu
struct leaf {
    uint32_t leaf, subleaf, want[4]; /* FREE: any value */
};
#define ANY4                                                                                       \
    { FREE, FREE, FREE, FREE }
#define NONE4                                                                                      \
    { 0, 0, 0, 0 }
static const struct leaf leaves[] = {
    {0x00, 0, {0x1f, FREE, FREE, FREE}},
    {0x01, 0, {FREE, FREE, FREE, FREE}},
    {0x02, 0, ANY4},
    {0x03, 0, NONE4},
    {0x04, 0, ANY4},
    {0x04, 1, ANY4},
    {0x04, 2, ANY4},
    {0x04, 3, ANY4},
    {0x04, 4, NONE4},
    {0x05, 0, NONE4},
    {0x06, 0, {4, 0, 0, 0}},
    {0x07, 0, ANY4},
    {0x07, 1, NONE4},
    {0x09, 0, NONE4},
    {0x0a, 0, NONE4},
    {0x0b, 0, {0, 1, 0x100, 0}},
    {0x0b, 1, {0, 1, 0x201, 0}},
    {0x0b, 2, {0, 0, 2, 0}},
    {0x0d, 0, {FREE, 0x240, FREE, 0}},
    {0x0d, 1, {FREE, FREE, 0, 0}},
    {0x0d, 2, ANY4},
    {0x0d, 5, ANY4},
    {0x0d, 6, ANY4},
    {0x0d, 7, ANY4},
    {0x0d, 8, NONE4},
    {0x0d, 9, ANY4},
    {0x0f, 0, NONE4},
    {0x10, 0, NONE4},
    {0x12, 0, NONE4},
    {0x14, 0, NONE4},
    {0x17, 0, NONE4},
    {0x1f, 0, {0, 1, 0x100, 0}},
    {0x1f, 1, {0, 1, 0x201, 0}},
    {0x1f, 2, {0, 0, 2, 0}},
    {0x20, 0, NONE4},
    {BULKHEAD_CPUID_BASE, 0, {BULKHEAD_CPUID_TIMING, 0x6b6c7542, 0x64616568, 0x34367648}},
    {BULKHEAD_CPUID_VERSION, 0, {FREE, 0, 0, 0}},
    {0x40000002, 0, NONE4},
    {0x40000011, 0, NONE4},
    {0x80000000, 0, {FREE, FREE, FREE, FREE}},
    {0x80000001, 0, {FREE, 0, FREE, FREE}},
    {0x80000002, 0, ANY4},
    {0x80000003, 0, ANY4},
    {0x80000004, 0, ANY4},
    {0x80000005, 0, ANY4},
    {0x80000006, 0, ANY4},
    {0x80000007, 0, {0, 0, 0, FREE}},
    {0x80000008, 0, {FREE, FREE, 0, 0}},
    {0x80000009, 0, NONE4},
    {0x8000000a, 0, NONE4},
    {0x80000019, 0, NONE4},
    {0x8000001a, 0, NONE4},
    {0x8000001b, 0, NONE4},
    {0x8000001d, 0, ANY4},
    {0x8000001d, 1, ANY4},
    {0x8000001d, 2, ANY4},
    {0x8000001d, 3, ANY4},
    {0x8000001d, 4, NONE4},
    {0x8000001e, 0, NONE4},
    {0x8000001f, 0, NONE4},
    {0x80000020, 0, NONE4},
    {0xc0000000, 0, NONE4},
    {0xffffffff, 0, NONE4},
};

/* One line a register, so that the comparison can name it. */
static void act_cpuid(const struct leaf *l) {
    static const char *const names[4] = {" eax", " ebx", " ecx", " edx"};
    struct act act = {"", "", code_cpuid, l->leaf, l->subleaf, 0, 0};
    probe_run(&act);
    for (unsigned r = 0; r < 4; r++) {
        char name[sizeof(outcome.text)], text[sizeof(outcome.text)], want[sizeof(outcome.text)];
        text_clear(name);
        text_add(name, ".");
        text_add_hex(name, l->subleaf);
        text_add(name, names[r]);
        text_clear(text);
        text_clear(want);
        text_add_hex(text, outcome.answer[r]);
        if (l->want[r] != FREE) {
            text_add_hex(want, l->want[r]);
        }
        say_act(name_of("cpuid ", l->leaf, name), outcome.done ? text : outcome.text, want);
    }
}

/* Feature bits that no guest may see; leaf, register, bit. */
struct hidden {
    const char *name;
    uint32_t leaf;
    uint8_t reg, bit;
};
static const struct hidden hidden[] = {
    {"MONITOR", 1, 2, 3},
    {"VMX", 1, 2, 5},
    {"SMX", 1, 2, 6},
    {"EIST", 1, 2, 7},
    {"TM2", 1, 2, 8},
    {"PDCM", 1, 2, 15},
    {"OSXSAVE", 1, 2, 27},
    {"MCE", 1, 3, 7},
    {"MCA", 1, 3, 14},
    {"DS", 1, 3, 21},
    {"ACPI", 1, 3, 22},
    {"TM", 1, 3, 29},
    {"SGX", 7, 1, 2},
    {"RTM", 7, 1, 11},
    {"PQM", 7, 1, 12},
    {"MPX", 7, 1, 14},
    {"PQE", 7, 1, 15},
    {"CET_SS", 7, 2, 7},
    {"PKS", 7, 2, 31},
    {"SVM", 0x80000001, 2, 2},
    {"EXTAPIC", 0x80000001, 2, 3},
    {"CR8LEGACY", 0x80000001, 2, 4},
    {"SKINIT", 0x80000001, 2, 12},
    {"XSAVES", 0xd, 0, 31},
};
static const struct hidden shown[] = {
    {"TSC_ADJUST", 7, 1, 1},   {"APIC", 1, 3, 9},
    {"MTRR", 1, 3, 12},        {"X2APIC", 1, 2, 21},
    {"DEADLINE", 1, 2, 24},    {"HYPERVISOR", 1, 2, 31},
    {"LM", 0x80000001, 3, 29}, {"SYSCALL", 0x80000001, 3, 11},
};

static void act_features(const struct hidden *table, size_t count, const char *want) {
    for (size_t i = 0; i < count; i++) {
        uint32_t r[4];
        char name[sizeof(outcome.text)];
        cpuid(table[i].leaf, 0, r);
        text_clear(name);
        text_add(name, "cpuid feature ");
        text_add(name, table[i].name);
        say_act(name, (r[table[i].reg] >> table[i].bit & 1) != 0 ? "shown" : "hidden", want);
    }
}

/* MSRs. REFUSED: not there. */
#define REFUSED "#GP(0) rip+0"
struct msr_read {
    uint32_t msr;
    const char *want;
};
static const struct msr_read msr_reads[] = {
    {0x17, "0"},           {0x1b, "fee00900"},    {0x34, REFUSED},
    {0x3a, "1"},           {0x3b, "0"},           {0x48, ""},
    {0x49, REFUSED},       {0x79, REFUSED},       {0x8b, "100000000"},
    {0x9e, REFUSED},       {0xc1, REFUSED},       {0xe7, REFUSED},
    {0xfe, "508"},         {0x10a, ""},           {0x10b, REFUSED},
    {0x122, REFUSED},      {0x174, "0"},          {0x175, "0"},
    {0x176, "0"},          {0x179, "0"},          {0x186, REFUSED},
    {0x19c, REFUSED},      {0x1a0, "1801"},       {0x1d9, "0"},
    {0x200, "c0000000"},   {0x20f, "0"},          {0x210, REFUSED},
    {0x250, ""},           {0x26f, ""},           {0x277, "7040600070406"},
    {0x2ff, ""},           {0x309, REFUSED},      {0x345, REFUSED},
    {0x38f, REFUSED},      {0x480, REFUSED},      {0x48b, REFUSED},
    {0x491, REFUSED},      {0x6e0, "0"},          {0x802, REFUSED},
    {0x830, REFUSED},      {0xda0, REFUSED},      {0x1fff, REFUSED},
    {0x2000, REFUSED},     {0x40000000, REFUSED}, {0xc0000080, "500"},
    {0xc0000081, "0"},     {0xc0000082, "0"},     {0xc0000083, "0"},
    {0xc0000084, "0"},     {0xc0000100, "0"},     {0xc0000101, "0"},
    {0xc0000102, "0"},     {0xc0000103, "0"},     {0xc0000104, REFUSED},
    {0xc0001fff, REFUSED}, {0xc0002000, REFUSED}, {0xc0010000, ""},
    {0xc0010010, ""},      {0xc0010015, ""},      {0xc001001f, ""},
    {0xc0010055, ""},      {0xc0010111, REFUSED}, {0xc0010114, REFUSED},
    {0xc0010115, REFUSED}, {0xc0010117, REFUSED}, {0xc0010200, REFUSED},
    {0xc0010118, REFUSED}, {0xc0011029, REFUSED}, {0xc0011fff, REFUSED},
    {0xc0012000, REFUSED}, {0xffffffff, REFUSED},
};

struct msr_write {
    const char *name;
    uint32_t msr;
    uint64_t value;
    const char *want;
};
static const struct msr_write msr_writes[] = {
    {"platform id", 0x17, 0, REFUSED},
    {"apic base as it is", 0x1b, 0xfee00900, "fee00900"},
    {"apic base moved", 0x1b, 0xfee01900, "fee01900"},
    {"apic base, x2apic without enable", 0x1b, 0xfee00500, REFUSED},
    {"apic base, reserved bit", 0x1b, 0xfee00901, REFUSED},
    {"feature control", 0x3a, 5, REFUSED},
    {"TSC adjust", 0x3b, 0x1000, "1000"},
    {"microcode revision 0", 0x8b, 0, "100000000"},
    {"microcode revision 1", 0x8b, 1, REFUSED},
    {"SMM base", 0x9e, 0, REFUSED},
    {"MTRR capabilities", 0xfe, 0, REFUSED},
    {"SYSENTER_CS", 0x174, 0x10, "10"},
    {"SYSENTER_ESP", 0x175, 0xffff800000001000, "ffff800000001000"},
    {"SYSENTER_EIP not canonical", 0x176, 0x8000000000000000, REFUSED},
    {"misc enable, no fast strings", 0x1a0, 0, "1800"},
    {"misc enable, XD off", 0x1a0, 0x400001801, REFUSED},
    {"debugctl 0", 0x1d9, 0, "0"},
    {"debugctl, last branch records", 0x1d9, 1, REFUSED},
    {"MTRR base", 0x200, 0x80000006, "80000006"},
    {"MTRR base, reserved type", 0x200, 0x80000002, REFUSED},
    {"MTRR mask", 0x201, 0xf80000800, "f80000800"},
    {"MTRR fixed", 0x250, 0x0606060606060606, "606060606060606"},
    {"MTRR fixed, reserved type", 0x250, 0x0206060606060606, REFUSED},
    {"MTRR default", 0x2ff, 0xc06, "c06"},
    {"MTRR default, reserved bit", 0x2ff, 0x1c06, REFUSED},
    {"PAT", 0x277, 0x0007010600070106, "7010600070106"},
    {"PAT, reserved type", 0x277, 0x0007040600070402, REFUSED},
    {"TSC deadline without its mode", 0x6e0, 12345, "0"},
    {"x2APIC EOI in xAPIC mode", 0x80b, 0, REFUSED},
    {"EFER, NXE and SCE", 0xc0000080, 0xd01, "d01"},
    {"EFER without LMA", 0xc0000080, 0x100, "500"},
    {"EFER without LME", 0xc0000080, 0x400, REFUSED},
    {"EFER, SVME", 0xc0000080, 0x1500, REFUSED},
    {"EFER, LMSLE", 0xc0000080, 0x2500, REFUSED},
    {"EFER, FFXSR", 0xc0000080, 0x4500, REFUSED},
    {"EFER, bit 1", 0xc0000080, 0x502, REFUSED},
    {"EFER, bit 63", 0xc0000080, 0x8000000000000500, REFUSED},
    {"STAR", 0xc0000081, 0x0023001000000000, "23001000000000"},
    {"LSTAR", 0xc0000082, 0xffff800012345678, "ffff800012345678"},
    {"LSTAR not canonical", 0xc0000082, 0x0123456789abcdef, REFUSED},
    {"CSTAR", 0xc0000083, 0x12345678, "12345678"},
    {"FMASK", 0xc0000084, 0x47700, "47700"},
    {"FS base", 0xc0000100, 0x123456789000, "123456789000"},
    {"FS base not canonical", 0xc0000100, 0x8000000000000000, REFUSED},
    {"GS base", 0xc0000101, 0x123456789000, "123456789000"},
    {"KERNEL_GS base", 0xc0000102, 0xffff8000deadbeef, "ffff8000deadbeef"},
    {"TSC_AUX", 0xc0000103, 0x1234, "1234"},
    {"VM_CR", 0xc0010114, 0, REFUSED},
    {"VM_HSAVE_PA", 0xc0010117, 0x1000, REFUSED},
};

static const char *msr_read(uint32_t msr) {
    struct act act = {"", "", code_rdmsr, 0, msr, 0, 0};
    probe_run(&act);
    if (outcome.done) {
        text_clear(outcome.text);
        text_add_hex(outcome.text, outcome.answer[3] << 32 | outcome.answer[0]);
    }
    return outcome.text;
}

static void msr_write(uint32_t msr, uint64_t value) {
    struct act act = {"", "", code_wrmsr, value, msr, value >> 32, 0};
    probe_run(&act);
}

static void acts_msr(void) {
    for (size_t i = 0; i < COUNT(msr_reads); i++) {
        const struct msr_read *m = &msr_reads[i];
        const char *text = msr_read(m->msr);
        say_act(name_of("rdmsr ", m->msr, ""), text, m->want);
    }
    for (size_t i = 0; i < COUNT(msr_writes); i++) {
        const struct msr_write *m = &msr_writes[i];
        char name[sizeof(outcome.text)];
        (void)msr_read(m->msr);
        uint64_t old = outcome.answer[3] << 32 | outcome.answer[0];
        msr_write(m->msr, m->value);
        if (outcome.done) {
            (void)msr_read(m->msr); /* says what it reads now */
            char text[sizeof(outcome.text)];
            text_clear(text);
            text_add(text, outcome.text);
            msr_write(m->msr, old);
            text_clear(outcome.text);
            text_add(outcome.text, text);
        }
        text_clear(name);
        text_add(name, "wrmsr ");
        text_add(name, m->name);
        say_act(name, outcome.text, m->want);
    }
}

/* Ports: those of Bulkhead's own PC, and of nobody. out: value is written, else it must be read. */
struct port {
    uint16_t port;
    uint8_t size;
    bool out;
    uint32_t value;
};
static const struct port ports[] = {
    {0x100, 1, false, 0xff},       {0x100, 2, false, 0xffff},    {0x100, 4, false, ~0u},
    {0x100, 4, true, 0},           {0x20, 1, false, 0},          {0x21, 1, false, 0xff},
    {0x60, 1, false, 0xff},        {0x64, 1, false, 0},          {0x64, 2, false, 0xffff},
    {0x80, 1, true, 0x12},         {0x80, 1, false, 0xff},       {0x92, 1, false, 2},
    {0x1f0, 2, false, 0xffff},     {0x2f8, 1, false, 0xff},      {0x3f9, 1, false, 0},
    {0x3fb, 1, false, 3},          {0x3fd, 1, false, 0x60},      {0x3ff, 1, true, 0x5a},
    {0x3ff, 1, false, 0x5a},       {0x3ff, 2, false, 0xffff},    {0x500, 4, false, ~0u},
    {0x510, 2, false, 0xffff},     {0x600, 2, false, 0},         {0x604, 2, false, 1},
    {0x60c, 4, false, ~0u},        {0xcf8, 4, true, 0x80000000}, {0xcf8, 4, false, 0x80000000},
    {0xcfc, 4, false, 0x12378086}, {0xcfe, 2, false, 0x1237},    {0xcfd, 1, false, 0x80},
    {0xcf8, 4, true, 0x8000f800},  {0xcff, 1, false, 0xff},      {0xcf8, 4, true, 0},
    {0xcf9, 1, false, 0},          {0x402, 1, false, 0xff},      {0x8900, 1, false, 0xff},
    {0xb2, 1, false, 0xff},        {0x5658, 4, false, ~0u},      {0xffff, 1, false, 0xff},
    {0xfffe, 4, false, ~0u},
};

static void act_port(const struct port *p) {
    static const uint8_t *const in[5] = {NULL, code_in8, code_in16, NULL, code_in32};
    static const uint8_t *const out[5] = {NULL, code_out8, code_out16, NULL, code_out32};
    uint64_t before = 0x1a1a1a1a1a1a1a1a, mask = (1ull << (8 * p->size)) - 1;
    struct act act = {
        "", "", p->out ? out[p->size] : in[p->size], p->out ? p->value : before, 0, p->port, 0};
    char name[sizeof(outcome.text)], want[sizeof(outcome.text)];
    text_clear(name);
    text_add(name, p->out ? " out " : " in ");
    text_add_hex(name, p->size);
    text_add(name, p->out ? " " : "");
    if (p->out) {
        text_add_hex(name, p->value);
    }
    text_clear(want);
    text_add(want, p->size == 2 ? "rip+2" : "rip+1");
    uint64_t after = p->size == 4 ? p->value : (before & ~mask) | p->value;
    if (!p->out) {
        text_add(want, " rax=");
        text_add_hex(want, after);
    }
    probe_run(&act);
    say_act(name_of("port ", p->port, name), outcome.text, want);
}

/* CR4 bit by bit: what CPUID announces can be switched, all else is refused. */
struct cr4_bit {
    uint8_t bit;
    uint32_t leaf;
    uint8_t reg, feature;
};
static const struct cr4_bit cr4_bits[] = {
    {0, 1, 3, 1},  {1, 1, 3, 1},  {2, 1, 3, 4},   {3, 1, 3, 2},   {4, 1, 3, 3},   {6, 1, 3, 7},
    {7, 1, 3, 13}, {9, 1, 3, 24}, {10, 1, 3, 25}, {11, 7, 2, 2},  {12, 7, 2, 16}, {13, 1, 2, 5},
    {14, 1, 2, 6}, {16, 7, 1, 0}, {17, 1, 2, 17}, {18, 1, 2, 26}, {20, 7, 1, 7},  {21, 7, 1, 20},
    {22, 7, 2, 3}, {23, 7, 2, 7}, {24, 7, 2, 31}, {25, 7, 3, 5},
};

static bool cr4_announced(unsigned bit) {
    for (size_t i = 0; i < COUNT(cr4_bits); i++) {
        if (cr4_bits[i].bit == bit) {
            uint32_t r[4];
            cpuid(cr4_bits[i].leaf, 0, r);
            return (r[cr4_bits[i].reg] >> cr4_bits[i].feature & 1) != 0;
        }
    }
    return false; /* reserved, and PCE: a guest has no counters */
}

static void act_cr4(unsigned bit) {
    uint64_t value = CR4_PAE | 1ull << bit;
    struct act act = {"", "", code_write_cr4, value, 0, 0, 0};
    char taken[sizeof(outcome.text)];
    text_clear(taken);
    text_add(taken, "rip+3 cr4=");
    text_add_hex(taken, value);
    text_add(taken, bit == 18 ? " xcr0=1" : "");
    probe_run(&act);
    bool right = text_equal(outcome.text, cr4_announced(bit) ? taken : REFUSED);
    say_act(name_of("cr4 bit ", bit, ""), right ? "as CPUID says" : outcome.text, "as CPUID says");
}

/* Time: never a number that varies, only whether it is as it must be. */
static void acts_time(void) {
    uint32_t timing[4], r[4];
    uint64_t last = read_tsc(), back = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = read_tsc();
        back += now <= last;
        last = now;
        if (i % 100 == 0) {
            cpuid(0, 0, r); /* an exit between two */
        }
    }
    say_act("tsc goes up", back == 0 ? "yes" : "no", "yes");
    uint64_t first = read_tsc();
    (void)msr_read(0x10);
    uint64_t middle = outcome.answer[3] << 32 | outcome.answer[0];
    say_act("tsc as an MSR", first < middle && middle < read_tsc() ? "sane" : "off", "sane");
    cpuid(BULKHEAD_CPUID_TIMING, 0, timing);
    cpuid(0x15, 0, r);
    uint64_t hz = r[0] != 0 ? (uint64_t)r[2] * r[1] / r[0] : 0;
    uint64_t khz = timing[0], off = hz / 1000 > khz ? hz / 1000 - khz : khz - hz / 1000;
    say_act("tsc frequency", khz > 1000 && off <= khz / 10000 + 1 ? "sane" : "off", "sane");
    say_act("apic frequency", timing[1] == r[2] / 1000 ? "sane" : "off", "sane");
    cpuid(0x16, 0, r);
    say_act("base frequency", r[0] == khz / 1000 ? "sane" : "off", "sane");
    uint32_t start = in32(0x608);
    uint64_t until = read_tsc() + machine.tsc_hz / 100;
    while (read_tsc() < until) {
    }
    uint32_t ticks = (in32(0x608) - start) & 0xffffff;
    say_act("pm timer", ticks > 35000 && ticks < 3579545 ? "sane" : "off", "sane");
}

static void acts_registers(void) {
    for (unsigned bit = 0; bit < 64; bit++) {
        if (1ull << bit != CR4_PAE) {
            act_cr4(bit);
        }
    }
    run_acts(acts_plain, acts_plain_end);
    write_cr4(CR4_PAE | CR4_OSXSAVE);
    run_acts(acts_xcr0, acts_xcr0_end);
    write_cr0(CR0_START | CR0_AM);
    probe_user_pages(true);
    run_acts(acts_user, acts_user_end);
    probe_user_pages(false);
    write_cr0(CR0_START);
    write_cr4(CR4_PAE);
    run_acts(acts_last, acts_last_end);
}

void guest_main(void) {
    uint32_t r[4];
    cpuid(0, 0, r);
    vendor_is_amd = r[1] == 0x68747541; /* "Auth" */
    put_text("\nready>\n");             /* what nobody listens to is lost */
    interrupts_on();
    (void)get_char();
    interrupts_off();
    put_text("# differ\n");
    write_cr4(CR4_PAE);
    write_cr0(CR0_START);
    probe_init();
    for (size_t i = 0; i < COUNT(leaves); i++) {
        act_cpuid(&leaves[i]);
    }
    act_features(hidden, COUNT(hidden), "hidden");
    act_features(shown, COUNT(shown), "shown");
    acts_msr();
    for (size_t i = 0; i < COUNT(ports); i++) {
        act_port(&ports[i]);
    }
    acts_time();
    acts_registers();
    put_text("done: differ ");
    put_decimal(acts_run);
    put_text(" acts, ");
    put_decimal(acts_wrong);
    put_text(" wrong\n");
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}
