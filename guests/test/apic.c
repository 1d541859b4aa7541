/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC as a guest may expect it: page and MSR registers, the timer in its three modes,
 * priorities, self-IPI, the changes of mode. Leaves the APIC in xAPIC mode as it found it.
 * Source: Intel SDM vol. 3 "Advanced Programmable Interrupt Controller (APIC)".
 */
#include "guests/test/guest.h"

#include "hv/abi.h"

#define APIC_PAGE      0xfee00000ull
#define MSR_APIC_BASE  0x1b
#define MSR_DEADLINE   0x6e0
#define MOVED_PAGE     0xfed00000ull /* nothing is there */
#define BASE_X2APIC    0x400ull
#define BASE_ENABLE    0x800ull
#define REG_ID         0x020
#define REG_VERSION    0x030
#define REG_TPR        0x080
#define REG_PPR        0x0a0
#define REG_EOI        0x0b0
#define REG_SPURIOUS   0x0f0
#define REG_IRR        0x200
#define REG_ICR        0x300
#define REG_LVT_TIMER  0x320
#define REG_INITIAL    0x380
#define REG_CURRENT    0x390
#define REG_DIVIDE     0x3e0
#define ICR_SELF       0x40000
#define TIMER_PERIODIC 0x20000
#define TIMER_DEADLINE 0x40000

#define VECTOR_TIMER 0x41
#define VECTOR_IPI   0x52

static bool x2apic;
static uint64_t apic_page = APIC_PAGE;

uint32_t apic_read(uint32_t offset) {
    if (x2apic) {
        uint64_t value;
        (void)try_read_msr(0x800 + (offset >> 4), &value);
        return (uint32_t)value;
    }
    return *(volatile uint32_t *)(uintptr_t)(apic_page + offset);
}

void apic_write(uint32_t offset, uint32_t value) {
    if (x2apic) {
        (void)try_write_msr(0x800 + (offset >> 4), value);
    } else {
        *(volatile uint32_t *)(uintptr_t)(apic_page + offset) = value;
    }
}

/* From the trap handler, so that it must leave trap_resume and trap_last alone. */
void apic_eoi(void) {
    if (x2apic) {
        __asm__ volatile("wrmsr" ::"c"(0x80b), "a"(0), "d"(0));
    } else {
        *(volatile uint32_t *)(uintptr_t)(apic_page + REG_EOI) = 0;
    }
}

/* Bulkhead's own leaf tells it; a bare machine gets a round number, good enough for pauses. */
uint64_t apic_timer_hz(void) {
    uint32_t r[4];
    cpuid(BULKHEAD_CPUID_TIMING, 0, r);
    return r[1] != 0 ? (uint64_t)r[1] * 1000 : 1000000000;
}

/* Lets interrupts in until vector has come n times since the count was from, or 5 s are over. */
static bool wait_irqs(uint8_t vector, uint64_t from, uint64_t n) {
    uint64_t start = read_tsc();
    interrupts_on();
    while (irq_count[vector] - from < n && read_tsc() - start < 5 * machine.tsc_hz) {
        __builtin_ia32_pause();
    }
    interrupts_off();
    return irq_count[vector] - from >= n;
}

static void test_timer(void) {
    uint64_t before = irq_count[VECTOR_TIMER];
    apic_write(REG_DIVIDE, 0xb); /* by 1 */
    apic_write(REG_LVT_TIMER, VECTOR_TIMER);
    apic_write(REG_INITIAL, 100000);
    tap_line(wait_irqs(VECTOR_TIMER, before, 1), "timer, one-shot: interrupt arrives");
    tap_line_value(apic_read(REG_CURRENT) == 0, "timer, one-shot: count stands at 0",
                   apic_read(REG_CURRENT));

    before = irq_count[VECTOR_TIMER];
    apic_write(REG_LVT_TIMER, VECTOR_TIMER | TIMER_PERIODIC);
    apic_write(REG_INITIAL, 100000);
    bool three = wait_irqs(VECTOR_TIMER, before, 3);
    apic_write(REG_INITIAL, 0); /* before a line is written: that may take longer than a period */
    tap_line(three, "timer, periodic: three interrupts arrive");

    uint32_t r[4];
    cpuid(1, 0, r);
    if ((r[2] & 1u << 24) != 0) {
        before = irq_count[VECTOR_TIMER];
        apic_write(REG_LVT_TIMER, VECTOR_TIMER | TIMER_DEADLINE);
        (void)try_write_msr(MSR_DEADLINE, read_tsc() + machine.tsc_hz / 1000);
        tap_line(wait_irqs(VECTOR_TIMER, before, 1), "timer, TSC deadline: interrupt arrives");
        uint64_t left;
        (void)try_read_msr(MSR_DEADLINE, &left);
        tap_line_value(left == 0, "timer, TSC deadline: disarmed afterwards", left);
    }
    interrupts_on(); /* what an earlier timer still sent */
    __builtin_ia32_pause();
    interrupts_off();
    before = irq_count[VECTOR_TIMER];
    apic_write(REG_LVT_TIMER, VECTOR_TIMER);
    apic_write(REG_INITIAL, 100000);
    __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
    tap_line_value(irq_count[VECTOR_TIMER] - before == 1, "timer ends HLT",
                   irq_count[VECTOR_TIMER] - before);
    apic_write(REG_LVT_TIMER, 0x10000 | VECTOR_TIMER);
}

static void send_self(void) {
    if (x2apic) {
        (void)try_write_msr(0x83f, VECTOR_IPI);
    } else {
        apic_write(REG_ICR, ICR_SELF | VECTOR_IPI);
    }
}

static uint64_t read_cr8(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static void write_cr8(uint64_t value) {
    __asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory");
}

static void test_ipi(void) {
    uint64_t before = irq_count[VECTOR_IPI];
    send_self();
    tap_line(wait_irqs(VECTOR_IPI, before, 1), "self-IPI arrives");
    before = irq_count[VECTOR_IPI];
    apic_write(REG_TPR, 0x60);
    send_self();
    interrupts_on();
    for (unsigned i = 0; i < 1000; i++) {
        __builtin_ia32_pause();
    }
    interrupts_off();
    tap_line(irq_count[VECTOR_IPI] == before, "task priority 60h holds vector 52h back");
    uint32_t irr = apic_read(REG_IRR + 0x10 * (VECTOR_IPI / 32));
    tap_line_value(irr == 1u << VECTOR_IPI % 32, "IRR shows that it waits", irr);
    tap_line_value(apic_read(REG_PPR) == 0x60, "PPR is that priority", apic_read(REG_PPR));
    tap_line_value(read_cr8() == 6, "CR8 is that priority", read_cr8());
    write_cr8(5);
    tap_line_value(apic_read(REG_TPR) == 0x50, "CR8 sets the task priority", apic_read(REG_TPR));
    interrupts_on();
    interrupts_off();
    tap_line(irq_count[VECTOR_IPI] == before, "priority 5 holds back its own class");
    apic_write(REG_TPR, 0);
    tap_line(wait_irqs(VECTOR_IPI, before, 1), "task priority 0 lets it through");
}

#define CR8_WRITES 1000

/* TPR by three names. */
static void test_cr8(void) {
    uint64_t before = irq_count[VECTOR_IPI];
    apic_write(REG_TPR, 0x47);
    tap_line_value(read_cr8() == 4, "CR8 is TPR's upper half", read_cr8());
    tap_line_value(apic_read(REG_PPR) == 0x47, "PPR has TPR's lower half", apic_read(REG_PPR));
    write_cr8(4);
    tap_line_value(apic_read(REG_TPR) == 0x40, "CR8 clears TPR's lower half", apic_read(REG_TPR));
    uint64_t wrong = 0;
    for (unsigned i = 0; i < CR8_WRITES; i++) {
        write_cr8(i & 15);
        wrong += read_cr8() != (i & 15);
    }
    tap_line_value(wrong == 0, "CR8 keeps each value", wrong);

    /* A vector in the class of 5: held back at 15 and 5, whatever is written in between. */
    write_cr8(15);
    send_self();
    interrupts_on();
    write_cr8(9);
    write_cr8(5);
    tap_line(irq_count[VECTOR_IPI] == before, "CR8 9 and 5 hold vector 52h back");
    write_cr8(4);
    __asm__ volatile("nop");
    bool came = irq_count[VECTOR_IPI] == before + 1;
    interrupts_off();
    tap_line(came, "CR8 4 lets it in, at once");

    /* With IF clear the guest lets it in first, and then thinks better of it. */
    write_cr8(15);
    send_self();
    write_cr8(4);
    write_cr8(5);
    interrupts_on();
    for (unsigned i = 0; i < 1000; i++) {
        __builtin_ia32_pause();
    }
    tap_line(irq_count[VECTOR_IPI] == before + 1, "CR8 raised again before IF: held back");
    write_cr8(0);
    __asm__ volatile("nop");
    came = irq_count[VECTOR_IPI] == before + 2;
    interrupts_off();
    tap_line(came, "CR8 0 lets it in, at once");
}

static void test_x2apic(uint32_t id) {
    uint64_t base, value;
    (void)try_read_msr(MSR_APIC_BASE, &base);
    tap_line(try_read_msr(0x802, &value) == 13, "x2APIC register in xAPIC mode: #GP");
    (void)try_write_msr(MSR_APIC_BASE, base | BASE_X2APIC);
    tap_line(trap_last.vector == NO_TRAP, "x2APIC mode can be switched on");
    if (trap_last.vector != NO_TRAP) {
        return;
    }
    x2apic = true;
    (void)try_read_msr(0x802, &value);
    tap_line_value(value == id, "x2APIC: same ID", value);
    tap_line(try_write_msr(0x802, 7) == 13, "x2APIC: ID is read-only: #GP");
    tap_line(try_write_msr(0x80b, 1) == 13, "x2APIC: EOI takes only 0: #GP");
    tap_line(try_read_msr(0x80b, &value) == 13, "x2APIC: EOI is write-only: #GP");
    tap_line(try_read_msr(0x83f, &value) == 13, "x2APIC: SELF IPI is write-only: #GP");
    tap_line(try_write_msr(0x808, 0x100) == 13, "x2APIC: TPR has 8 bits: #GP");
    tap_line(try_read_msr(0x830, &value) == NO_TRAP, "x2APIC: ICR can be read");
    uint32_t page = *(volatile uint32_t *)(uintptr_t)(APIC_PAGE + REG_VERSION);
    tap_line_value(page == 0xffffffff, "x2APIC: the page is gone", page);
    tap_line(try_read_msr(0x8ff, &value) == 13, "x2APIC: reserved register: #GP");
    tap_line(try_write_msr(MSR_APIC_BASE, base) == 13, "x2APIC to xAPIC at once: #GP");
    apic_write(REG_SPURIOUS, 0x1ff);
    test_timer();
    test_ipi();
    test_cr8();
    (void)try_write_msr(MSR_APIC_BASE, base & ~(BASE_ENABLE | BASE_X2APIC));
    x2apic = false;
    (void)try_write_msr(MSR_APIC_BASE, base);
    (void)try_read_msr(MSR_APIC_BASE, &value);
    tap_line_value(value == base, "by way of off back to xAPIC mode", value);
}

static bool cpuid_shows_apic(void) {
    uint32_t r[4];
    cpuid(1, 0, r);
    return (r[3] & 1u << 9) != 0;
}

/* Off first, for a CPU may ask for it. SDM "Relocating the Local APIC Registers". */
static void test_move(uint64_t base) {
    uint64_t moved = (base & 0xfff) | MOVED_PAGE, value;
    uint32_t id = apic_read(REG_ID);
    (void)try_write_msr(MSR_APIC_BASE, base & ~BASE_ENABLE);
    tap_line(!cpuid_shows_apic(), "APIC switched off: CPUID shows none");
    (void)try_write_msr(MSR_APIC_BASE, moved & ~BASE_ENABLE);
    (void)try_write_msr(MSR_APIC_BASE, moved);
    (void)try_read_msr(MSR_APIC_BASE, &value);
    tap_line_value(value == moved, "the APIC page moves", value);
    if (value != moved) {
        return;
    }
    tap_line(cpuid_shows_apic(), "APIC switched on again: CPUID shows it");
    uint32_t old = apic_read(REG_ID);
    tap_line_value(old == 0xffffffff, "nothing is left in its old place", old);
    apic_page = MOVED_PAGE;
    tap_line_value(apic_read(REG_ID) == id, "its registers are in the new one", apic_read(REG_ID));
    apic_write(REG_SPURIOUS, 0x1ff);
    test_timer();
    test_ipi();
    tap_line(try_write_msr(MSR_APIC_BASE, base | 1ull << 52) == 13,
             "not beyond physical addresses: #GP");
    apic_page = APIC_PAGE;
    (void)try_write_msr(MSR_APIC_BASE, base);
    tap_line_value(apic_read(REG_SPURIOUS) == 0x1ff, "back with all that is in it",
                   apic_read(REG_SPURIOUS));
}

void test_apic(void) {
    uint64_t base = 0;
    (void)try_read_msr(MSR_APIC_BASE, &base);
    tap_line_value((base & ~0xfffull) == APIC_PAGE, "APIC page at FEE00000h", base);
    tap_line_value((base & BASE_ENABLE) != 0, "APIC switched on", base);
    uint32_t version = apic_read(REG_VERSION);
    tap_line_value((version & 0xf0) == 0x10, "version of an integrated APIC", version);
    apic_write(REG_SPURIOUS, 0x1ff);
    tap_line_value(apic_read(REG_SPURIOUS) == 0x1ff, "spurious vector register keeps its value",
                   apic_read(REG_SPURIOUS));
    uint32_t id = apic_read(REG_ID);
    apic_write(REG_ID, ~id);
    tap_line_value(apic_read(REG_ID) == id, "ID is read-only", apic_read(REG_ID));
    apic_write(REG_SPURIOUS, 0xfffffdff);
    tap_line_value(apic_read(REG_SPURIOUS) == 0x1ff, "reserved bits stay 0",
                   apic_read(REG_SPURIOUS));
    test_timer();
    test_ipi();
    test_cr8();
    test_move(base);
    uint32_t r[4];
    cpuid(1, 0, r);
    if ((r[2] & 1u << 21) != 0) {
        test_x2apic(apic_read(REG_ID) >> 24);
    }
}
