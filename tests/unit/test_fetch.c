/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fetching guest code in each mode of the CPU, and finding the length of what exited: across pages,
 * at segment limits, with code and tables changed in between, with operands of MOV CR and LMSW.
 */
#include "fake_machine.h"
#include "hv/compartment/emulate/code.h"
#include "hv/compartment/emulate/emulate.h"
#include "tests/unit/random.h"

/* Two neighbouring linear pages are these two in guest memory, unless there is no paging. */
#define PAGE_A 0x300000ull
#define PAGE_B 0x280000ull
#define TABLES 0x100000ull

#define P  0x1ull
#define W  0x2ull
#define U  0x4ull
#define A  0x20ull
#define NX BIT(63)

#define PE   X86_CR0_PE
#define PG   (X86_CR0_PE | X86_CR0_PG)
#define LONG (X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE)

static struct vcpu *v;

struct mode {
    const char *name;
    uint64_t cr0, cr4, efer, rflags;
    unsigned levels, size, bits; /* of paging; no levels: none */
    uint64_t base, rip;          /* of CS; RIP is 6 bytes before the end of a linear page */
    uint32_t limit, cs, ss;      /* attributes */
    unsigned width;
};

static const struct mode modes[] = {
    {"real", 0, 0, 0, 2, 0, 0, 0, 0x10000, 0x2ffa, 0xffff, 0x9b, 0x93, 16},
    {"16-bit", PE, 0, 0, 2, 0, 0, 0, 0x200100, 0x3efa, 0xffff, 0x9b, 0x93, 16},
    {"CS.L outside long mode", PE, 0, 0, 2, 0, 0, 0, 0x100, 0x2efa, 0xffff, 0x209b, 0x93, 16},
    {"32-bit", PE, 0, 0, 2, 0, 0, 0, 0, 0x200ffa, UINT32_MAX, 0xc09b, 0xc093, 32},
    {"32-bit, paging", PG, 0, 0, 2, 2, 4, 10, 0x1000, 0xdeadbffa, UINT32_MAX, 0xc09b, 0xc093, 32},
    {"32-bit, CPL 3", PG, 0, 0, 2, 2, 4, 10, 0, 0xdeadcffa, UINT32_MAX, 0xc0fb, 0xc0f3, 32},
    {"virtual-8086", PG, 0, 0, 0x20002, 2, 4, 10, 0x54320, 0x3cda, 0xffff, 0xfb, 0xf3, 16},
    {"PAE", PG, X86_CR4_PAE, X86_EFER_NXE, 2, 3, 8, 9, 0, 0xdeadcffa, UINT32_MAX, 0xc09b, 0xc093,
     32},
    {"16-bit, PAE", PG, X86_CR4_PAE, 0, 2, 3, 8, 9, 0xffff0000, 0x6ffa, 0xffff, 0x9b, 0x93, 16},
    {"compatibility", PG, X86_CR4_PAE, LONG, 2, 4, 8, 9, 0, 0xdeadcffa, UINT32_MAX, 0xc0fb, 0xc0f3,
     32},
    {"wraps at 4 GiB", PG, X86_CR4_PAE, LONG, 2, 4, 8, 9, 0xfffff000, 0xffa, UINT32_MAX, 0xc09b,
     0xc093, 32},
    {"64-bit", PG, X86_CR4_PAE, LONG, 2, 4, 8, 9, 0x123, 0xffff9eadbeefcffa, 0, 0xa09b, 0xc093, 64},
    {"64-bit, CPL 3", PG, X86_CR4_PAE, LONG, 2, 4, 8, 9, 0, 0x7eadbeefcffa, 0, 0xa0fb, 0xc0f3, 64},
    {"64-bit, 5 levels", PG, X86_CR4_PAE | X86_CR4_LA57, LONG, 2, 5, 8, 9, 0, 0xff5a9eadbeefcffa, 0,
     0xa09b, 0xc093, 64},
};

static const uint8_t numbers[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static uint64_t linear_of(const struct mode *m, uint64_t rip) {
    return m->width == 64 ? rip : (uint32_t)(m->base + rip);
}

/* Where the table entry of a level (1 is the lowest) is, for a linear address. */
static uint64_t slot_of(const struct mode *m, unsigned level, uint64_t linear) {
    uint64_t index = linear >> (12 + m->bits * (level - 1)) & (BIT(m->bits) - 1), table = TABLES;
    for (unsigned l = m->levels; l > level; l--) {
        /* Two paths through the tables at most: which, a bit of the address above tells. */
        table =
            TABLES + 0x1000 * (2 * (m->levels - l + 1) + (linear >> (12 + m->bits * (l - 1)) & 1));
    }
    return table + index * m->size;
}

static void set_entry(const struct mode *m, unsigned level, uint64_t linear, uint64_t value) {
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(slot_of(m, level, linear)), &value, m->size),
              STATUS_OK);
}

static void map_page(const struct mode *m, uint64_t linear, uint64_t gpa) {
    for (unsigned level = m->levels; level >= 1; level--) {
        bool plain = m->levels == 3 && level == 3;
        uint64_t to = level == 1 ? gpa : slot_of(m, level - 1, linear) & ~0xfffull;
        set_entry(m, level, linear, to | P | (plain ? 0 : W | U));
    }
}

/* Guest memory where a byte of code is, whichever way it is reached. */
static uint8_t *byte_at(const struct mode *m, uint64_t rip) {
    uint64_t linear = linear_of(m, rip), offset = linear & 0xfff;
    if (m->levels == 0) {
        return gmem_pointer(&fake_vm->mem, GPA(linear), 1);
    }
    bool first = linear >> 12 == linear_of(m, m->rip) >> 12;
    return gmem_pointer(&fake_vm->mem, GPA((first ? PAGE_A : PAGE_B) + offset), 1);
}

static void put_code(const struct mode *m, uint64_t rip, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        *byte_at(m, rip + i) = ((const uint8_t *)bytes)[i];
    }
}

static void enter(const struct mode *m) {
    v = fake_machine_start();
    fake_regs[HVM_CR0] = m->cr0;
    fake_regs[HVM_CR3] = TABLES;
    fake_regs[HVM_CR4] = m->cr4;
    fake_regs[HVM_EFER] = m->efer;
    fake_regs[HVM_RFLAGS] = m->rflags;
    fake_regs[HVM_RIP] = m->rip;
    fake_segs[HVM_CS] = (struct hvm_segment){.base = m->base, .limit = m->limit, .attr = m->cs};
    fake_segs[HVM_SS] = (struct hvm_segment){.limit = m->limit, .attr = m->ss};
    memset(gmem_pointer(&fake_vm->mem, GPA(TABLES), 0x10000), 0, 0x10000);
    if (m->levels != 0) {
        map_page(m, linear_of(m, m->rip), PAGE_A);
        map_page(m, linear_of(m, m->rip + 6), PAGE_B);
    }
    put_code(m, m->rip, numbers, sizeof(numbers));
}

static void in_each_mode(void (*check)(const struct mode *m)) {
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        unsigned before = test_failures;
        CHECK_U64((linear_of(&modes[i], modes[i].rip) & 0xfff), 0xffa);
        enter(&modes[i]);
        check(&modes[i]);
        if (test_failures != before) {
            printf("# %s\n", modes[i].name);
        }
    }
}

static unsigned fetched_mode;

/* How many of 12 bytes are fetched, and that they are the right ones. */
static size_t fetched(void) {
    uint8_t bytes[12] = {0};
    struct code c;
    struct emulator *m = &fake_hardware.emulators[0];
    struct emulation *e = &m->e;
    m->has_state = false;
    fake_compartment_vcpu = v;
    fake_pkru = 0x12345678;
    hvm->get_code(v, &v->exchange->code_at);
    code_read(e, &c);
    size_t n = code_fetch(e, &c, bytes, sizeof(bytes));
    CHECK_U64(c.paging.pkru, fake_pkru);
    fetched_mode = c.mode;
    CHECK(n <= sizeof(bytes) && memcmp(bytes, numbers, n) == 0);
    return n;
}

static void check_crossing(const struct mode *m) {
    uint64_t second = linear_of(m, m->rip + 6);
    CHECK_U64(fetched(), 12);
    CHECK_U64(fetched_mode, m->width);
    if (m->levels == 0) {
        return;
    }
    set_entry(m, 1, second, PAGE_B | W | U);
    CHECK_U64(fetched(), 6);
    set_entry(m, 1, second, PAGE_B | P);
    CHECK_U64(fetched(), (m->ss & 0x60) != 0 ? 6 : 12);
    if ((m->efer & X86_EFER_NXE) != 0) {
        set_entry(m, 1, second, PAGE_B | P | U | NX);
        CHECK_U64(fetched(), 6);
    }
    set_entry(m, 1, second, (FAKE_RAM + PAGE_B) | P | U); /* not this VM's */
    CHECK_U64(fetched(), 6);
    set_entry(m, 1, linear_of(m, m->rip), 0);
    CHECK_U64(fetched(), 0);
}

static void check_limit(const struct mode *m) {
    bool counts = m->width != 64;
    fake_segs[HVM_CS].limit = (uint32_t)m->rip + 7;
    CHECK_U64(fetched(), counts ? 8 : 12);
    fake_segs[HVM_CS].limit = (uint32_t)m->rip + 2;
    CHECK_U64(fetched(), counts ? 3 : 12);
    fake_segs[HVM_CS].limit = (uint32_t)m->rip;
    CHECK_U64(fetched(), counts ? 1 : 12);
    fake_segs[HVM_CS].limit = (uint32_t)m->rip - 1;
    CHECK_U64(fetched(), counts ? 0 : 12);
    fake_segs[HVM_CS].limit = 0x10;
    CHECK_U64(fetched(), counts ? 0 : 12);
}

TEST(code_across_pages) {
    in_each_mode(check_crossing);
}

TEST(code_at_the_limit) {
    in_each_mode(check_limit);
}

TEST(code_at_the_end_of_the_lower_half) {
    const struct mode *m = &modes[11];
    enter(m);
    map_page(m, 0x7ffffffff000, PAGE_A);
    fake_regs[HVM_RIP] = 0x7ffffffffffa;
    CHECK_U64(fetched(), 6);
    fake_regs[HVM_RIP] = 0x7ffffffffffa + 6;
    CHECK_U64(fetched(), 0);
}

/* ---- lengths ---- */

/* 0 if the guest has to try again. */
static unsigned length(enum exit_kind kind) {
    struct vmexit x = {.kind = kind, .insn_len = 99};
    if (exit_find_length(v, &x)) {
        return x.insn_len;
    }
    CHECK_U64(x.insn_len, 99);
    CHECK_U64(v->event.type, EVENT_NONE);
    return 0;
}

static void check_length(const struct mode *m) {
    static const uint8_t cpuid[] = {0x0f, 0xa2}, long_cpuid[] = {0x66, 0x3e, 0x0f, 0xa2};
    for (unsigned at = 2; at <= 6; at++) {
        fake_regs[HVM_RIP] = m->rip + at;
        put_code(m, m->rip, numbers, sizeof(numbers));
        CHECK_U64(length(EXIT_CPUID), 0);
        put_code(m, m->rip + at, cpuid, 2);
        CHECK_U64(length(EXIT_CPUID), 2);
        CHECK_U64(length(EXIT_CPUID), 2);
        CHECK_U64(length(EXIT_RDMSR), 0);
        put_code(m, m->rip + at, long_cpuid, 4);
        CHECK_U64(length(EXIT_CPUID), 4);
        CHECK_U64(length(EXIT_CPUID), 4);
        if (m->levels != 0 && at == 5) {
            set_entry(m, 1, linear_of(m, m->rip + 6), 0);
            CHECK_U64(length(EXIT_CPUID), 0);
            map_page(m, linear_of(m, m->rip + 6), PAGE_B);
            CHECK_U64(length(EXIT_CPUID), 4);
        }
    }
}

TEST(length_across_pages) {
    in_each_mode(check_length);
}

struct known {
    enum exit_kind kind;
    uint8_t bytes[5];
    unsigned length;
};

TEST(length_of_each_instruction) {
    static const struct known known[] = {
        {EXIT_CPUID, {0x0f, 0xa2}, 2},
        {EXIT_HLT, {0xf4}, 1},
        {EXIT_RDMSR, {0x0f, 0x32}, 2},
        {EXIT_WRMSR, {0x0f, 0x30}, 2},
        {EXIT_PRIVILEGED, {0x0f, 0x33}, 2}, /* RDPMC */
        {EXIT_HYPERCALL, {0x0f, 0x01, 0xd9}, 3},
        {EXIT_HYPERCALL, {0x0f, 0x01, 0xc1}, 3},
        {EXIT_HYPERCALL, {0xf3, 0x0f, 0x01, 0xd9}, 4},
        {EXIT_XSETBV, {0x0f, 0x01, 0xd1}, 3},
        {EXIT_CACHE, {0x0f, 0x08}, 2},
        {EXIT_CACHE, {0x0f, 0x09}, 2},
        {EXIT_CPUID, {0xf0, 0x0f, 0xa2}, 0}, /* LOCK: #UD, so it did not exit */
        {EXIT_UNKNOWN, {0x0f, 0xa2}, 0},
    };
    enter(&modes[11]);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        put_code(&modes[11], modes[11].rip, known[i].bytes, 5);
        CHECK_U64(length(known[i].kind), known[i].length);
        CHECK_U64(length(known[i].kind), known[i].length);
        CHECK_U64(length(known[i].kind == EXIT_IO ? EXIT_HLT : EXIT_IO), 0);
    }
}

static unsigned gets, segments;
static uint64_t count_get(struct vcpu *vcpu, enum hvm_reg r) {
    gets++;
    return fake_get(vcpu, r);
}
static void count_get_segment(struct vcpu *vcpu, enum hvm_seg s, struct hvm_segment *out) {
    segments++;
    fake_get_segment(vcpu, s, out);
}

/* A CPUID in 64-bit mode that was found once, not near the end of its page. */
static const struct mode *enter_with_hint(void) {
    static const uint8_t cpuid[] = {0x0f, 0xa2, 0x90, 0x90};
    static struct mode m;
    m = modes[11];
    enter(&m);
    fake_regs[HVM_RIP] = m.rip -= 0x80;
    put_code(&m, m.rip, cpuid, 4);
    CHECK_U64(length(EXIT_CPUID), 2);
    return &m;
}

static const uint8_t longer[] = {0x66, 0x3e, 0x0f, 0xa2};

TEST(hint_spares_the_walk) {
    const struct mode *m = enter_with_hint();
    fake_ops.get = count_get;
    fake_ops.get_segment = count_get_segment;
    gets = segments = 0;
    CHECK_U64(length(EXIT_CPUID), 2);
    CHECK_U64(gets, 0);
    CHECK_U64(segments, 0);
    /* Nor do two places in turn, whatever stands behind the instruction. */
    fake_regs[HVM_RIP] = m->rip + 0x104;
    put_code(m, m->rip + 0x104, "\x0f\xa2\x01\x02", 4);
    CHECK_U64(length(EXIT_CPUID), 2);
    for (unsigned i = 0; i < 4; i++) {
        fake_regs[HVM_RIP] = m->rip + (i % 2 == 0 ? 0 : 0x104);
        gets = 0;
        CHECK_U64(length(EXIT_CPUID), 2);
        CHECK_U64(gets, 0);
    }
    /* Nor do lengths other than two. */
    put_code(m, m->rip + 0x104, "\x0f\x01\xd9\xf4", 4);
    for (unsigned i = 0; i < 4; i++) {
        fake_regs[HVM_RIP] = m->rip + (i % 2 == 0 ? 0x104 : 0x107);
        gets = 0;
        CHECK_U64(length(i % 2 == 0 ? EXIT_HYPERCALL : EXIT_HLT), i % 2 == 0 ? 3 : 1);
        CHECK(i < 2 || gets == 0);
    }
    fake_ops.get = fake_get;
    fake_ops.get_segment = fake_get_segment;
}

/* Each change makes the CPU find another instruction: a hint that is still believed is wrong. */
TEST(hint_and_changed_code) {
    const struct mode *m = enter_with_hint();
    put_code(m, m->rip, longer, 4);
    CHECK_U64(length(EXIT_CPUID), 4);
    put_code(m, m->rip, "\x0f\x32", 2);
    CHECK_U64(length(EXIT_CPUID), 0);
    CHECK_U64(length(EXIT_RDMSR), 2);
    /* Each byte of the instruction counts. */
    put_code(m, m->rip, "\x0f\x01\xd9", 3);
    CHECK_U64(length(EXIT_HYPERCALL), 3);
    put_code(m, m->rip, "\x0f\x01\xd8", 3);
    CHECK_U64(length(EXIT_HYPERCALL), 0);
}

TEST(hint_and_other_kind) {
    enter_with_hint();
    CHECK_U64(length(EXIT_HLT), 0);
}

TEST(hint_and_changed_entry) {
    const struct mode *m = enter_with_hint();
    memcpy(gmem_pointer(&fake_vm->mem, GPA(0x500f7a), 4), longer, 4);
    set_entry(m, 1, m->rip, 0x500000 | P | W | U);
    CHECK_U64(length(EXIT_CPUID), 4);
    set_entry(m, 1, m->rip, 0);
    CHECK_U64(length(EXIT_CPUID), 0);
    set_entry(m, 1, m->rip, PAGE_A | P);
    CHECK_U64(length(EXIT_CPUID), 2);
}

TEST(hint_and_other_address_space) {
    const struct mode *m = enter_with_hint();
    uint64_t top;
    memcpy(gmem_pointer(&fake_vm->mem, GPA(0x500f7a), 4), longer, 4);
    memcpy(&top, gmem_pointer(&fake_vm->mem, GPA(slot_of(m, 4, m->rip)), 8), 8);
    /* A second set of tables that shares nothing: for each level one page, 0x600000 upwards. */
    fake_regs[HVM_CR3] = 0x600000;
    for (unsigned level = 4; level >= 1; level--) {
        uint64_t slot = 0x600000 + 0x1000 * (4 - level) + (slot_of(m, level, m->rip) & 0xfff);
        uint64_t entry = (level == 1 ? 0x500000 : 0x600000 + 0x1000 * (5 - level)) | P | W | U;
        CHECK_U64(gmem_write(&fake_vm->mem, GPA(slot), &entry, 8), STATUS_OK);
    }
    CHECK_U64(length(EXIT_CPUID), 4);
    fake_regs[HVM_CR3] = TABLES;
    CHECK_U64(length(EXIT_CPUID), 2);
}

TEST(hint_and_other_mode) {
    const struct mode *m = &modes[11];
    enter(m);
    fake_regs[HVM_RIP] = 0x400ff0;
    map_page(m, 0x400000, PAGE_A);
    memcpy(gmem_pointer(&fake_vm->mem, GPA(PAGE_A + 0xff0), 4), "\x0f\xa2\x90\x90", 4);
    CHECK_U64(length(EXIT_CPUID), 2);
    /* Compatibility mode with a base: the same RIP is another place. */
    map_page(m, 0x401000, PAGE_B);
    memcpy(gmem_pointer(&fake_vm->mem, GPA(PAGE_B + 0xff0), 4), longer, 4);
    fake_segs[HVM_CS] = (struct hvm_segment){.base = 0x1000, .limit = UINT32_MAX, .attr = 0xc09b};
    CHECK_U64(length(EXIT_CPUID), 4);
    CHECK_U64(length(EXIT_CPUID), 4);
    /* And back, with a new vCPU's hints: what was found there does not count here. */
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(length(EXIT_CPUID), 4);
    fake_segs[HVM_CS] = (struct hvm_segment){.attr = 0xa09b};
    CHECK_U64(length(EXIT_CPUID), 2);
}

/* Two instructions of which one is longer, in the same page. */
TEST(hint_and_other_place) {
    const struct mode *m = enter_with_hint();
    for (unsigned i = 1; i <= 64; i++) {
        fake_regs[HVM_RIP] = m->rip - 4 * i;
        put_code(m, m->rip - 4 * i, longer, 4);
        CHECK_U64(length(EXIT_CPUID), 4);
        fake_regs[HVM_RIP] = m->rip;
        CHECK_U64(length(EXIT_CPUID), 2);
    }
}

/* The next page of guest memory is not the next linear one: no hint leads there. */
TEST(no_hint_across_pages) {
    const struct mode *m = &modes[11];
    enter(m);
    fake_regs[HVM_RIP] = m->rip + 5;
    put_code(m, m->rip + 5, "\x0f\xa2\x90\x90", 4);
    memcpy(gmem_pointer(&fake_vm->mem, GPA(PAGE_A + 0x1000), 3), "\xa2\x90\x90", 3);
    CHECK_U64(length(EXIT_CPUID), 2);
    set_entry(m, 1, m->rip + 6, 0);
    CHECK_U64(length(EXIT_CPUID), 0);
    /* Nor a hint to the second page, for an instruction that begins in the first. */
    map_page(m, m->rip + 6, PAGE_B);
    put_code(m, m->rip + 3, "\x3e\x0f\xa2\x0f\xa2\x90\x90", 7);
    memcpy(gmem_pointer(&fake_vm->mem, GPA(PAGE_B + 0xffd), 4), "\x0f\xa2\x90\x90", 4);
    fake_regs[HVM_RIP] = m->rip + 6;
    CHECK_U64(length(EXIT_CPUID), 2);
    fake_regs[HVM_RIP] = m->rip + 3;
    CHECK_U64(length(EXIT_CPUID), 3);
}

/* A new vCPU's hints are all zero: RIP 0 and CR3 0 are no hit. */
TEST(no_hint_at_rip_0) {
    enter(&modes[0]);
    fake_regs[HVM_RIP] = fake_regs[HVM_CR3] = 0;
    fake_segs[HVM_CS] = (struct hvm_segment){.attr = 0x209b};
    CHECK_U64(length(EXIT_UNKNOWN), 0);
    memcpy(gmem_pointer(&fake_vm->mem, GPA(0), 2), "\x0f\xa2", 2);
    fake_segs[HVM_CS].limit = 0xffff;
    CHECK_U64(length(EXIT_CPUID), 2);
    /* No CPU is in 64-bit mode without paging, where a page has no entry to look at again. */
    fake_regs[HVM_EFER] = LONG;
    CHECK_U64(length(EXIT_CPUID), 2);
    CHECK_U64(length(EXIT_CPUID), 2);
}

/* ---- control registers ---- */

static struct vmexit cr_exit;

static bool cr_length(enum cr_access access, unsigned cr, const char *bytes, size_t n) {
    uint8_t code[8] = {0};
    memcpy(code, bytes, n);
    const struct mode *m = fake_regs[HVM_EFER] != 0 ? &modes[11] : &modes[0];
    put_code(m, m->rip, code, sizeof(code));
    cr_exit =
        (struct vmexit){.kind = EXIT_CR, .cr = {.access = (uint8_t)access, .cr = (uint8_t)cr}};
    return exit_find_length(v, &cr_exit);
}

#define CHECK_CR(exit_access, number, bytes, access_found, gpr_found)                              \
    do {                                                                                           \
        CHECK(cr_length(exit_access, number, bytes, sizeof(bytes) - 1));                           \
        CHECK_U64(cr_exit.insn_len, sizeof(bytes) - 1);                                            \
        CHECK_U64(cr_exit.cr.access, access_found);                                                \
        CHECK_U64(cr_exit.cr.cr, number);                                                          \
        CHECK_U64(cr_exit.cr.gpr, gpr_found);                                                      \
    } while (0)

TEST(mov_cr) {
    enter(&modes[11]);
    CHECK_CR(CR_WRITE, 0, "\x0f\x22\xc3", CR_WRITE, X86_RBX);
    CHECK_CR(CR_WRITE, 4, "\x41\x0f\x22\xe7", CR_WRITE, 15);
    CHECK_CR(CR_READ, 8, "\x44\x0f\x20\xc4", CR_READ, X86_RSP);
    CHECK_CR(CR_READ, 3, "\x0f\x20\x1e", CR_READ, X86_RSI); /* ModRM.mod does not count */
    CHECK_CR(CR_WRITE, 8, "\xf0\x0f\x22\xc1", CR_WRITE, X86_RCX);
    CHECK_CR(CR_WRITE, 0, "\x0f\x06", CR_CLTS, INSN_NO_REG);
    /* Not what the exit says it was. */
    CHECK(!cr_length(CR_WRITE, 4, "\x0f\x22\xc3", 3));
    CHECK(!cr_length(CR_READ, 0, "\x0f\x22\xc3", 3));
    CHECK(!cr_length(CR_WRITE, 0, "\x0f\x20\xc3", 3));
    CHECK(!cr_length(CR_WRITE, 4, "\x0f\x06", 2));
    CHECK(!cr_length(CR_WRITE, 5, "\x0f\x22\xeb", 3));
    CHECK(!cr_length(CR_WRITE, 0, "\x0f\xa2", 2));
    /* SMSW where reads of CR0 exit: a register takes all of it by its size, memory 16 bits. */
    CHECK_CR(CR_READ, 0, "\x0f\x01\xe3", CR_SMSW, X86_RBX);
    CHECK_U64(cr_exit.cr.size, 4);
    v->regs[X86_RBX] = UINT64_MAX;
    CHECK_U64(fake_exit(v, &cr_exit), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RBX], (uint32_t)fake_regs[HVM_CR0]);
    CHECK_CR(CR_READ, 0, "\x66\x41\x0f\x01\xe7", CR_SMSW, 15);
    CHECK_U64(cr_exit.cr.size, 2);
    v->regs[15] = UINT64_MAX;
    CHECK_U64(fake_exit(v, &cr_exit), ACTION_NEXT);
    CHECK_U64(v->regs[15], ~0xffffull | (uint16_t)fake_regs[HVM_CR0]);
    CHECK_CR(CR_READ, 0, "\x48\x0f\x01\xe0", CR_SMSW, X86_RAX);
    CHECK_U64(cr_exit.cr.size, 8);
    v->regs[X86_RAX] = modes[11].rip + 0x80;
    *byte_at(&modes[11], modes[11].rip + 0x82) = 0xee;
    CHECK_CR(CR_READ, 0, "\x0f\x01\x20", CR_SMSW, INSN_NO_REG);
    CHECK_U64(fake_exit(v, &cr_exit), ACTION_NEXT);
    CHECK_U64(*byte_at(&modes[11], modes[11].rip + 0x80), fake_regs[HVM_CR0] & 0xff);
    CHECK_U64(*byte_at(&modes[11], modes[11].rip + 0x81), fake_regs[HVM_CR0] >> 8 & 0xff);
    CHECK_U64(*byte_at(&modes[11], modes[11].rip + 0x82), 0xee);
    CHECK(!cr_length(CR_WRITE, 0, "\x0f\x01\xe3", 3));
}

/* A MOV CR8 that was seen before needs no walk, and nothing of the guest's state. */
TEST(hint_spares_the_walk_of_mov_cr) {
    enter(&modes[11]);
    CHECK_CR(CR_WRITE, 8, "\x44\x0f\x22\xc0", CR_WRITE, X86_RAX);
    fake_ops.get = count_get;
    fake_ops.get_segment = count_get_segment;
    gets = segments = 0;
    CHECK_CR(CR_WRITE, 8, "\x44\x0f\x22\xc0", CR_WRITE, X86_RAX);
    CHECK_U64(gets, 0);
    CHECK_U64(segments, 0);
    /* And it is still the one that the exit speaks of. */
    CHECK(!cr_length(CR_READ, 8, "\x44\x0f\x22\xc0", 4));
    CHECK(!cr_length(CR_WRITE, 4, "\x44\x0f\x22\xc0", 4));
    fake_ops.get = fake_get;
    fake_ops.get_segment = fake_get_segment;
}

static void put_word(uint64_t gpa, uint16_t value) {
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(gpa), &value, 2), STATUS_OK);
}

TEST(lmsw_in_64_bit_mode) {
    const struct mode *m = &modes[11];
    enter(m);
    v->regs[X86_RDX] = 0x1234567890ab;
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\xf2", CR_LMSW, X86_RDX);
    CHECK_U64(cr_exit.cr.lmsw, 0x90ab);
    fake_regs[HVM_RSP] = 0x4321;
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\xf4", CR_LMSW, X86_RSP);
    CHECK_U64(cr_exit.cr.lmsw, 0x4321);
    fake_regs[HVM_RSP] = 0x8765; /* the instruction is remembered, and what it loads is not */
    v->regs[X86_RSP] = 0x1111;
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\xf4", CR_LMSW, X86_RSP);
    CHECK_U64(cr_exit.cr.lmsw, 0x8765);
    /* In memory: by RSP, by RIP, by FS, and the base of DS does not count. */
    map_page(m, 0x700000, 0x500000);
    put_word(0x500018, 0xbeef);
    fake_segs[HVM_DS].base = fake_segs[HVM_SS].base = 0x10000;
    fake_segs[HVM_FS].base = 0x700000;
    fake_regs[HVM_RSP] = 0x700010;
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\x74\x24\x08", CR_LMSW, INSN_NO_REG);
    CHECK_U64(cr_exit.cr.lmsw, 0xbeef);
    v->regs[X86_RAX] = 0x8;
    v->regs[9] = 0x4;
    CHECK_CR(CR_WRITE, 0, "\x64\x42\x0f\x01\x34\x88", CR_LMSW, INSN_NO_REG);
    CHECK_U64(cr_exit.cr.lmsw, 0xbeef);
    put_word(PAGE_B + 0x10, 0x7777);
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\x35\x0f\0\0\0", CR_LMSW, INSN_NO_REG); /* rip + 0xf */
    CHECK_U64(cr_exit.cr.lmsw, 0x7777);
    /* Across a page. */
    map_page(m, 0x701000, 0x508000);
    *(uint8_t *)gmem_pointer(&fake_vm->mem, GPA(0x500fff), 1) = 0x0d;
    *(uint8_t *)gmem_pointer(&fake_vm->mem, GPA(0x508000), 1) = 0xf0;
    v->regs[X86_RDI] = 0x700fff;
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\x37", CR_LMSW, INSN_NO_REG);
    CHECK_U64(cr_exit.cr.lmsw, 0xf00d);
    set_entry(m, 1, 0x701000, 0);
    v->event.type = EVENT_NONE;
    CHECK(!cr_length(CR_WRITE, 0, "\x0f\x01\x37", 3));
    CHECK_U64(cr_exit.insn_len, 0);
    CHECK(v->event.type == EVENT_EXCEPTION && v->event.vector == X86_PF && v->event.error == 0);
    CHECK_U64(fake_regs[HVM_CR2], 0x701000);
}

TEST(lmsw_in_real_mode) {
    enter(&modes[0]);
    fake_segs[HVM_DS].base = 0x20000;
    fake_segs[HVM_SS].base = 0x30000;
    v->regs[X86_RBX] = 0x10f000;
    v->regs[X86_RSI] = 0x201002;
    put_word(0x20002, 0x1111); /* F000 + 1002 wraps */
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\x30", CR_LMSW, INSN_NO_REG);
    CHECK_U64(cr_exit.cr.lmsw, 0x1111);
    v->regs[X86_RBP] = 0x100;
    put_word(0x300fe, 0x2222);
    CHECK_CR(CR_WRITE, 0, "\x0f\x01\x76\xfe", CR_LMSW, INSN_NO_REG);
    CHECK_U64(cr_exit.cr.lmsw, 0x2222);
    CHECK_U64(fake_exit(v, &cr_exit), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR0], X86_CR0_ET | 0x2);
}

/* Whatever the guest's state and tables are, both end, and write nothing but accessed bits. */
TEST(random_states) {
    uint64_t r = 0x9e3779b97f4a7c15;
    unsigned found = 0;
    enter(&modes[11]);
    uint8_t *tables = gmem_pointer(&fake_vm->mem, GPA(TABLES), 0x4000);
    for (unsigned i = 0; i < 200000; i++) {
        for (unsigned j = 0; j < 6; j++) {
            (void)random_next(&r);
            uint64_t entry = (r >> 30 & 0x103000) | (r >> 60 == 0 ? r & 0xff : P | W | U);
            memcpy(tables + (r & 0x3ff8), &entry, 8);
        }
        tables[r >> 20 & 0x3fff] = 0x0f;
        tables[(r >> 20 & 0x3fff) == 0x3fff ? 0 : (r >> 20 & 0x3fff) + 1] = 0xa2;
        fake_regs[HVM_RIP] = TABLES + (r >> 20 & 0x3fff);
        fake_regs[HVM_RIP] |= r >> 61 == 0 ? r << 20 : 0;
        fake_regs[HVM_CR0] = (r >> 9 & 3) == 0 ? r : PG;
        fake_regs[HVM_CR3] = TABLES + (r & 0x3000);
        fake_regs[HVM_CR4] = r >> 7;
        fake_regs[HVM_EFER] = r >> 13;
        fake_segs[HVM_CS] = (struct hvm_segment){
            .base = r >> 62 == 0 ? r : 0, .limit = UINT32_MAX, .attr = (uint32_t)(r >> 18)};
        fake_segs[HVM_SS].attr = (uint32_t)(r >> 33);
        struct vmexit x = {.kind = r >> 59 == 0 ? EXIT_CR : EXIT_CPUID};
        found += exit_find_length(v, &x);
    }
    CHECK(found > 1000);
    printf("# %u of 200000 found\n", found);
}

TEST_MAIN(T(code_across_pages), T(code_at_the_limit), T(code_at_the_end_of_the_lower_half),
          T(length_across_pages), T(length_of_each_instruction), T(hint_spares_the_walk),
          T(hint_and_changed_code), T(hint_and_other_kind), T(hint_and_changed_entry),
          T(hint_and_other_address_space), T(hint_and_other_mode), T(hint_and_other_place),
          T(no_hint_across_pages), T(no_hint_at_rip_0), T(mov_cr),
          T(hint_spares_the_walk_of_mov_cr), T(lmsw_in_64_bit_mode), T(lmsw_in_real_mode),
          T(random_states))
