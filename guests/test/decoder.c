/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on devices: each form is run on plain memory and then on a device or on nothing, and
 * must leave the same registers, flags and result. String forms also over pages and into faults,
 * and on ports.
 */
#include "guests/test/guest.h"

#define NOTHING       0xd0000000ull /* no memory, no device: all ones */
#define LAPIC         0xfee00000ull
#define LAPIC_VERSION (LAPIC + 0x30)
#define LAPIC_TPR     (LAPIC + 0x80)
#define IOAPIC_SELECT 0xfec00000ull
#define IOAPIC_WINDOW 0xfec00010ull
#define PIN_23_LOW    0x3e
#define PIN_MASKED    0x10000u
#define PIN_BITS      0x1a7ffu /* those that a guest can write, less destination mode */
#define SCRATCH       0x3ff
#define NOBODY        0x501
#define PAGE_FAULT    14
#define CR4_OSFXSR    (1u << 9)

#define STATUS_FLAGS 0x8c5u /* CF PF ZF SF OF; AF is often undefined */
#define CARRY        1u
#define OVERFLOW     0x800u

struct state {
    uint64_t a, c, flags;
};

/* One instruction on (%rdi), with RAX, RCX and the arithmetic flags as in and out. */
#define FORM(name, insn)                                                                           \
    static void name(void *at, struct state *s) {                                                  \
        __asm__ volatile("push %2\n\tpopfq\n\t" insn "\n\tpushfq\n\tpop %2"                        \
                         : "+a"(s->a), "+c"(s->c), "+r"(s->flags)                                  \
                         : "D"(at)                                                                 \
                         : "memory", "cc", "rsi");                                                 \
    }

FORM(mov_load8, "movb (%%rdi), %%ah")
FORM(mov_load16, "movw (%%rdi), %%ax")
FORM(mov_load32, "movl (%%rdi), %%eax")
FORM(mov_load64, "movq (%%rdi), %%rax")
FORM(mov_store32, "movl %%ecx, (%%rdi)")
FORM(mov_store_imm, "movl $0x10355, (%%rdi)")
FORM(movzx8, "movzbl (%%rdi), %%eax")
FORM(movzx16, "movzwq (%%rdi), %%rax")
FORM(movsx8, "movsbw (%%rdi), %%ax")
FORM(movsx32, "movslq (%%rdi), %%rax")
FORM(add_store, "addl %%ecx, (%%rdi)")
FORM(add_load, "addl (%%rdi), %%eax")
FORM(adc_store, "adcl $0x11, (%%rdi)")
FORM(sbb_load, "sbbl (%%rdi), %%eax")
FORM(and_store, "andl $0x10f0f, (%%rdi)")
FORM(or_store, "lock orl %%ecx, (%%rdi)")
FORM(xor_store, "xorl $0x55, (%%rdi)")
FORM(sub_load, "subq (%%rdi), %%rax")
FORM(cmp_store, "cmpl %%ecx, (%%rdi)")
FORM(cmp_imm8, "cmpb $0x55, (%%rdi)")
FORM(test_imm, "testl $0x10000, (%%rdi)")
FORM(test_reg, "testw %%cx, (%%rdi)")
FORM(xchg_reg, "xchgl %%eax, (%%rdi)")
FORM(bt_imm, "btl $16, (%%rdi)")
FORM(bt_reg, "btl %%ecx, (%%rdi)")
FORM(push_mem, "pushq (%%rdi)\n\tpopq %%rax")
FORM(push16_mem, "pushw (%%rdi)\n\tpopw %%ax")
FORM(pop_mem, "pushq %%rax\n\tpopq (%%rdi)")
FORM(stos_mem, "stosl\n\tsubq $4, %%rdi")
FORM(gs_load, "movl %%gs:(%%rdi), %%eax")
FORM(address32, "addr32 movl (%%edi), %%eax")
FORM(inc_mem, "incl (%%rdi)")
FORM(dec_mem, "lock decl (%%rdi)")
FORM(not_mem, "notl (%%rdi)")
FORM(neg_mem, "negl (%%rdi)")
FORM(shl_mem, "shll $1, (%%rdi)")
FORM(shr_cl, "shrl %%cl, (%%rdi)")
FORM(sar_mem, "sarw $1, (%%rdi)")
FORM(rol_mem, "roll $1, (%%rdi)")
FORM(rcr_mem, "rcrl $1, (%%rdi)")
FORM(bts_imm, "lock btsl $9, (%%rdi)")
FORM(btr_imm, "btrl $2, (%%rdi)")
FORM(btc_reg, "btcl %%ecx, (%%rdi)")
FORM(xadd_mem, "lock xaddl %%ecx, (%%rdi)")
FORM(cmpxchg_same, "movl (%%rdi), %%eax\n\tlock cmpxchgl %%ecx, (%%rdi)")
FORM(cmpxchg_other, "cmpxchgl %%ecx, (%%rdi)")
FORM(cmov_yes, "cmovcl (%%rdi), %%eax")
FORM(cmov_no, "cmovncl (%%rdi), %%eax")
FORM(set_mem, "setc (%%rdi)")
FORM(movnti_mem, "movntil %%ecx, (%%rdi)")
FORM(segment_mem, "movw %%ds, (%%rdi)")
FORM(smsw_mem, "smsw (%%rdi)")
FORM(lods_mem, "movq %%rdi, %%rsi\n\tlodsl")
FORM(scas_mem, "scasl\n\tleaq -4(%%rdi), %%rdi")
FORM(cmps_mem, "movq %%rdi, %%rsi\n\tcmpsl\n\tleaq -4(%%rdi), %%rdi")
/* 16 bytes, of which RAX gets one half; and parts of a register. */
FORM(movups_load, "movups (%%rdi), %%xmm9\n\tmovq %%xmm9, %%rax")
FORM(movdqa_high, "movdqa (%%rdi), %%xmm3\n\tpsrldq $8, %%xmm3\n\tmovq %%xmm3, %%rax")
FORM(movss_load, "pcmpeqd %%xmm1, %%xmm1\n\tmovss (%%rdi), %%xmm1\n\tmovq %%xmm1, %%rax")
FORM(movhps_load, "movhps (%%rdi), %%xmm2\n\tpsrldq $8, %%xmm2\n\tmovq %%xmm2, %%rax")
FORM(movd_store, "movd %%ecx, %%xmm15\n\tmovd %%xmm15, (%%rdi)")
FORM(movups_store, "movd %%ecx, %%xmm4\n\tmovups %%xmm4, (%%rdi)")

struct form {
    const char *name;
    void (*run)(void *at, struct state *s);
    uint32_t flags; /* defined after it */
    bool narrow;    /* stores less than 4 bytes: what an I/O APIC ignores */
};
#define FORM_ROW(name, flags)                                                                      \
    { #name, name, flags, false }
#define NARROW_ROW(name, flags)                                                                    \
    { #name, name, flags, true }
static const struct form forms[] = {
    FORM_ROW(mov_load8, STATUS_FLAGS),
    FORM_ROW(mov_load16, STATUS_FLAGS),
    FORM_ROW(mov_load32, STATUS_FLAGS),
    FORM_ROW(mov_load64, STATUS_FLAGS),
    FORM_ROW(mov_store32, STATUS_FLAGS),
    FORM_ROW(mov_store_imm, STATUS_FLAGS),
    FORM_ROW(movzx8, STATUS_FLAGS),
    FORM_ROW(movzx16, STATUS_FLAGS),
    FORM_ROW(movsx8, STATUS_FLAGS),
    FORM_ROW(movsx32, STATUS_FLAGS),
    FORM_ROW(add_store, STATUS_FLAGS),
    FORM_ROW(add_load, STATUS_FLAGS),
    FORM_ROW(adc_store, STATUS_FLAGS),
    FORM_ROW(sbb_load, STATUS_FLAGS),
    FORM_ROW(and_store, STATUS_FLAGS),
    FORM_ROW(or_store, STATUS_FLAGS),
    FORM_ROW(xor_store, STATUS_FLAGS),
    FORM_ROW(sub_load, STATUS_FLAGS),
    FORM_ROW(cmp_store, STATUS_FLAGS),
    FORM_ROW(cmp_imm8, STATUS_FLAGS),
    FORM_ROW(test_imm, STATUS_FLAGS),
    FORM_ROW(test_reg, STATUS_FLAGS),
    FORM_ROW(xchg_reg, STATUS_FLAGS),
    FORM_ROW(bt_imm, CARRY),
    FORM_ROW(bt_reg, CARRY),
    FORM_ROW(push_mem, STATUS_FLAGS),
    FORM_ROW(push16_mem, STATUS_FLAGS),
    FORM_ROW(pop_mem, STATUS_FLAGS),
    FORM_ROW(stos_mem, 0),
    FORM_ROW(gs_load, STATUS_FLAGS),
    FORM_ROW(address32, STATUS_FLAGS),
    FORM_ROW(inc_mem, STATUS_FLAGS),
    FORM_ROW(dec_mem, STATUS_FLAGS),
    FORM_ROW(not_mem, STATUS_FLAGS),
    FORM_ROW(neg_mem, STATUS_FLAGS),
    FORM_ROW(shl_mem, STATUS_FLAGS),
    FORM_ROW(shr_cl, STATUS_FLAGS & ~OVERFLOW),
    NARROW_ROW(sar_mem, STATUS_FLAGS),
    FORM_ROW(rol_mem, STATUS_FLAGS),
    FORM_ROW(rcr_mem, STATUS_FLAGS),
    FORM_ROW(bts_imm, CARRY),
    FORM_ROW(btr_imm, CARRY),
    FORM_ROW(btc_reg, CARRY),
    FORM_ROW(xadd_mem, STATUS_FLAGS),
    FORM_ROW(cmpxchg_same, STATUS_FLAGS),
    FORM_ROW(cmpxchg_other, STATUS_FLAGS),
    FORM_ROW(cmov_yes, STATUS_FLAGS),
    FORM_ROW(cmov_no, STATUS_FLAGS),
    NARROW_ROW(set_mem, STATUS_FLAGS),
    FORM_ROW(movnti_mem, STATUS_FLAGS),
    NARROW_ROW(segment_mem, STATUS_FLAGS),
    NARROW_ROW(smsw_mem, STATUS_FLAGS),
    FORM_ROW(lods_mem, STATUS_FLAGS),
    FORM_ROW(scas_mem, STATUS_FLAGS),
    FORM_ROW(cmps_mem, STATUS_FLAGS),
    FORM_ROW(movups_load, STATUS_FLAGS),
    FORM_ROW(movdqa_high, STATUS_FLAGS),
    FORM_ROW(movss_load, STATUS_FLAGS),
    FORM_ROW(movhps_load, STATUS_FLAGS),
    FORM_ROW(movd_store, STATUS_FLAGS),
    FORM_ROW(movups_store, STATUS_FLAGS),
};

static volatile uint32_t *const ioapic_select = (volatile uint32_t *)(uintptr_t)IOAPIC_SELECT;
static volatile uint32_t *const ioapic_window = (volatile uint32_t *)(uintptr_t)IOAPIC_WINDOW;

static const struct state start = {0x1234567800010056, 0x9876543200000004, 2 | CARRY};

static bool same_state(const struct form *f, const struct state *a, const struct state *b) {
    return a->a == b->a && a->c == b->c && ((a->flags ^ b->flags) & f->flags) == 0;
}

/* memory is what stands at the device before the instruction, and after it if it keeps it. */
static bool same_on(const struct form *f, uint64_t device, uint64_t *memory) {
    struct state expected = start, seen = start;
    f->run(memory, &expected);
    f->run((void *)(uintptr_t)device, &seen);
    if (same_state(f, &expected, &seen)) {
        return true;
    }
    put_text("# rax, flags expected ");
    put_hex(expected.a);
    put_hex(expected.flags & f->flags);
    put_text(" seen ");
    put_hex(seen.a);
    put_hex(seen.flags & f->flags);
    put_text("\n");
    return false;
}

static void test_forms(void) {
    for (size_t i = 0; i < COUNT(forms); i++) {
        _Alignas(16) uint64_t ones[2] = {~0ull, ~0ull};
        _Alignas(16) uint64_t pin[2] = {PIN_MASKED | 0x155, 0};
        _Alignas(16) uint64_t version[2] = {0, 0};
        bool ok = same_on(&forms[i], NOTHING + 0x120, ones);
        *ioapic_select = PIN_23_LOW;
        *ioapic_window = (uint32_t)pin[0];
        ok = same_on(&forms[i], IOAPIC_WINDOW, pin) && ok;
        uint64_t kept = forms[i].narrow ? PIN_MASKED | 0x155 : pin[0];
        ok = (*ioapic_window & PIN_BITS) == (kept & PIN_BITS) && ok;
        *ioapic_window = PIN_MASKED;
        version[0] = *(volatile uint32_t *)(uintptr_t)LAPIC_VERSION;
        ok = same_on(&forms[i], LAPIC_VERSION, version) && ok; /* a register that is read-only */
        tap_line(ok, forms[i].name);
    }
}

/* ---- strings ---- */

struct string {
    uint64_t si, di, c, a, d;
};

#define STRING(name, insn)                                                                         \
    static void name(struct string *s) {                                                           \
        TRY(insn "\n\tcld", ("+S"(s->si), "+D"(s->di), "+c"(s->c), "+a"(s->a)), ("d"(s->d)));      \
        __asm__ volatile("cld");                                                                   \
    }
STRING(rep_stosl, "rep stosl")
STRING(rep_stosb_32, "addr32 rep stosb")
STRING(rep_movsb, "rep movsb")
STRING(rep_movsb_down, "std\n\trep movsb")
STRING(rep_movsl, "rep movsl")
STRING(movsl, "movsl")
STRING(rep_insb, "rep insb")
STRING(rep_insw, "rep insw")
STRING(insl, "insl")
STRING(repe_scasb, "repe scasb")
STRING(repne_scasb, "repne scasb")
STRING(repe_cmpsb, "repe cmpsb")
STRING(rep_lodsl, "rep lodsl")
STRING(rep_outsb, "rep outsb")
STRING(rep_outsb_down, "std\n\trep outsb")
STRING(rep_outsw_gs, "rep outsw %%gs:(%%rsi), %%dx")

static uint8_t buffer[256];

static uint64_t address_of(const void *p) {
    return (uint64_t)(uintptr_t)p;
}

static void fill(uint8_t value) {
    for (size_t i = 0; i < sizeof(buffer); i++) {
        buffer[i] = value;
    }
}

/* So many bytes of that value, and the next one of another. */
static bool filled(const uint8_t *at, size_t n, uint8_t value, uint8_t next) {
    size_t i = 0;
    while (i < n && at[i] == value) {
        i++;
    }
    return i == n && at[n] == next;
}

static void test_strings(void) {
    struct string s = {.di = NOTHING, .c = 3000};
    rep_stosl(&s);
    tap_line_value(s.c == 0 && s.di == NOTHING + 12000, "REP STOSD over three empty pages", s.di);
    s = (struct string){.di = NOTHING + 1, .c = 0x100000003};
    rep_stosb_32(&s);
    tap_line_value(s.c == 0 && s.di == NOTHING + 4, "REP STOSB with 32-bit addresses", s.c);
    fill(0);
    s = (struct string){.si = NOTHING, .di = address_of(buffer), .c = 100};
    rep_movsb(&s);
    tap_line_value(s.c == 0 && s.si == NOTHING + 100 && s.di == address_of(buffer) + 100 &&
                       filled(buffer, 100, 0xff, 0),
                   "REP MOVSB from nothing to memory", s.c);
    fill(0x11);
    s = (struct string){.si = NOTHING + 49, .di = address_of(buffer) + 49, .c = 50};
    rep_movsb_down(&s);
    tap_line_value(s.c == 0 && s.si == NOTHING - 1 && s.di == address_of(buffer) - 1 &&
                       filled(buffer, 50, 0xff, 0x11),
                   "REP MOVSB downwards", s.si);
    s = (struct string){.si = NOTHING + 0xf00, .di = NOTHING + 0x1f00, .c = 200};
    rep_movsl(&s);
    tap_line_value(s.c == 0 && s.di == NOTHING + 0x1f00 + 800, "REP MOVSD from device to device",
                   s.c);
    s = (struct string){.di = NOTHING, .c = 5000, .a = 0xff};
    repe_scasb(&s);
    tap_line_value(s.c == 0 && s.di == NOTHING + 5000, "REPE SCASB over nothing", s.c);
    s = (struct string){.di = NOTHING, .c = 5000, .a = 0xff};
    repne_scasb(&s);
    tap_line_value(s.c == 4999 && s.di == NOTHING + 1, "REPNE SCASB ends at the first", s.c);
    fill(0xff);
    buffer[150] = 0;
    s = (struct string){.si = address_of(buffer), .di = NOTHING, .c = 200};
    repe_cmpsb(&s);
    tap_line_value(s.c == 49 && s.si == address_of(buffer) + 151 && s.di == NOTHING + 151,
                   "REPE CMPSB of memory and nothing ends at the difference", s.c);
    s = (struct string){.si = NOTHING, .c = 3, .a = 0x1234567812345678};
    rep_lodsl(&s);
    tap_line_value(s.c == 0 && s.si == NOTHING + 12 && s.a == 0xffffffff, "REP LODSD", s.a);
    uint32_t pin = PIN_MASKED | 0x77, seen = 0;
    *ioapic_select = PIN_23_LOW;
    s = (struct string){.si = address_of(&pin), .di = IOAPIC_WINDOW};
    movsl(&s);
    s = (struct string){.si = IOAPIC_WINDOW, .di = address_of(&seen)};
    movsl(&s);
    tap_line_value(seen == pin, "MOVSD to the I/O APIC and back", seen);
    *ioapic_window = PIN_MASKED;
}

/* ---- page borders and faults ---- */

/* The first linear address that is mapped nowhere. */
static uint64_t end_of_map(void) {
    uint64_t end = 0x100000000;
    uint8_t byte;
    do {
        TRY("movb (%1), %0", ("=q"(byte)), ("r"(end)));
        end += 0x40000000;
    } while (trap_last.vector == NO_TRAP);
    return end - 0x40000000;
}

static bool faulted_at(uint64_t address, uint64_t error) {
    return trap_last.vector == PAGE_FAULT && trap_last.cr2 == address && trap_last.error == error;
}

static void test_borders(void) {
    uint64_t end = end_of_map(), value = 0;
    uint64_t ram = 0;
    for (uint32_t i = 0; i < machine.e820_count; i++) {
        uint64_t last = machine.e820[i].base + machine.e820[i].size;
        ram = last > ram && last < 0xc0000000 ? last : ram;
    }
    uint32_t kept = *(volatile uint32_t *)(uintptr_t)(ram - 4);
    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(ram - 4) : "memory");
    tap_line_value(value == (0xffffffff00000000ull | kept), "a read half memory, half nothing",
                   value);
    __asm__ volatile("movq %0, (%1)" ::"r"(0x1122334455667788ull), "r"(ram - 4) : "memory");
    uint32_t written = *(volatile uint32_t *)(uintptr_t)(ram - 4);
    tap_line_value(written == 0x55667788, "a write the same", written);
    *(volatile uint32_t *)(uintptr_t)(ram - 4) = kept;
    __asm__ volatile("movl (%1), %k0" : "=r"(value) : "r"(0xfec00ffeull) : "memory");
    tap_line_value(value == 0xffff0000, "from one device's page to nothing", value);
    uint64_t select = *ioapic_select;
    __asm__ volatile("movl (%1), %k0" : "=r"(value) : "r"(IOAPIC_SELECT) : "memory");
    tap_line_value(value == select, "the first register of a page", value);

    struct string s = {.di = end - 100, .c = 200};
    rep_stosl(&s);
    tap_line_value(s.c == 175 && s.di == end && faulted_at(end, 2),
                   "REP STOSD into a page that is not mapped: #PF there", s.c);
    s = (struct string){.si = NOTHING, .di = end, .c = 7};
    rep_movsb(&s);
    tap_line_value(s.c == 7 && s.si == NOTHING && faulted_at(end, 2), "REP MOVSB to it at once",
                   s.c);
    s = (struct string){.di = end - 90, .c = 200, .d = NOBODY};
    rep_insb(&s);
    tap_line_value(s.c == 110 && s.di == end && faulted_at(end, 2), "REP INSB into it", s.c);
    s = (struct string){.si = end - 90, .c = 200, .d = NOBODY};
    rep_outsb(&s);
    tap_line_value(s.c == 110 && s.si == end && faulted_at(end, 0), "REP OUTSB from it", s.c);
    s = (struct string){.di = 1ull << 63, .c = 2, .d = NOBODY};
    rep_insb(&s);
    tap_line_value(s.c == 2 && trap_last.vector == 13 && trap_last.error == 0,
                   "REP INSB to no canonical address: #GP", trap_last.vector);
}

/* ---- ports ---- */

static void test_port_strings(void) {
    fill(0);
    for (uint8_t i = 0; i < 200; i++) {
        buffer[i] = i;
    }
    struct string s = {.si = address_of(buffer), .c = 150, .d = SCRATCH};
    rep_outsb(&s);
    tap_line_value(s.c == 0 && s.si == address_of(buffer) + 150 && in8(SCRATCH) == 149,
                   "REP OUTSB ends with the last byte", in8(SCRATCH));
    s = (struct string){.si = address_of(buffer) + 99, .c = 60, .d = SCRATCH};
    rep_outsb_down(&s);
    tap_line_value(s.c == 0 && in8(SCRATCH) == 40, "the same downwards", in8(SCRATCH));
    s = (struct string){.di = address_of(buffer), .c = 100, .d = SCRATCH};
    rep_insb(&s);
    tap_line_value(s.c == 0 && filled(buffer, 100, 40, 100), "REP INSB fills with what is there",
                   s.c);
    fill(0);
    s = (struct string){.di = address_of(buffer), .c = 20, .d = NOBODY};
    rep_insw(&s);
    tap_line_value(s.c == 0 && filled(buffer, 40, 0xff, 0), "REP INSW from nobody's port", s.c);
    fill(0);
    s = (struct string){.di = address_of(buffer), .c = 9, .d = NOBODY};
    insl(&s);
    tap_line_value(s.c == 9 && filled(buffer, 4, 0xff, 0), "INSD alone does not count", s.c);
    s = (struct string){.si = address_of(buffer), .c = 3, .d = NOBODY};
    rep_outsw_gs(&s);
    tap_line_value(s.c == 0 && s.si == address_of(buffer) + 6, "REP OUTSW from GS", s.si);
    s = (struct string){.di = LAPIC_TPR, .c = 1, .d = NOBODY};
    rep_insb(&s);
    tap_line_value(s.c == 0 && s.di == LAPIC_TPR + 1, "REP INSB onto a device", s.di);
}

void test_decoder(void) {
    uint64_t cr4 = read_cr4();
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSFXSR));
    test_forms();
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
    test_strings();
    test_borders();
    test_port_strings();
}
