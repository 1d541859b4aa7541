/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways of an interrupt through a PC: the 8259 pair, LINT0 of the local APIC (ExtINT, fixed,
 * NMI), the I/O APIC, and what the local APIC makes of messages and mistakes. The interrupt comes
 * from COM1, whose empty transmitter drives IRQ 4, or from the 8254. To be run first: it looks at
 * what the firmware left. Leaves it so. Sources: Intel 82C59A data sheet; Intel SDM vol. 3
 * "Advanced Programmable Interrupt Controller (APIC)"; 82093AA data sheet.
 */
#include "guests/test/guest.h"

#define PIC1  0x20
#define PIC2  0xa0
#define ELCR1 0x4d0
#define ELCR2 0x4d1
#define EOI   0x20

#define COM1     0x3f8
#define COM1_IRQ 4

#define REG_ID        0x020
#define REG_TPR       0x080
#define REG_LDR       0x0d0
#define REG_DFR       0x0e0
#define REG_SPURIOUS  0x0f0
#define REG_ESR       0x280
#define REG_ICR       0x300
#define REG_ICR_HIGH  0x310
#define REG_LVT_TIMER 0x320
#define REG_LVT_LINT0 0x350
#define REG_LVT_LINT1 0x360
#define REG_LVT_ERROR 0x370
#define REG_INITIAL   0x380
#define LVT_MASKED    0x10000
#define MODE_LOWEST   0x100
#define MODE_NMI      0x400
#define MODE_EXTINT   0x700
#define ICR_LOGICAL   0x800
#define ICR_SELF      0x40000
#define NMI           2

#define VECTOR_PIC   0x70 /* of IRQ 0 */
#define VECTOR_COM1  (VECTOR_PIC + COM1_IRQ)
#define VECTOR_LINT0 0x51
#define VECTOR_ERROR 0x53
#define VECTOR_IPI   0x54
#define VECTOR_IO    0x56
#define VECTOR_WAKE  0x57

/* Vectors 70h to 7Fh, all masked but COM1's line. */
static void pic_initialize(uint8_t icw4) {
    out8(PIC1, 0x11);
    out8(PIC1 + 1, VECTOR_PIC);
    out8(PIC1 + 1, 0x04);
    out8(PIC1 + 1, icw4);
    out8(PIC2, 0x11);
    out8(PIC2 + 1, VECTOR_PIC + 8);
    out8(PIC2 + 1, 0x02);
    out8(PIC2 + 1, icw4);
    out8(PIC1 + 1, (uint8_t) ~(1u << COM1_IRQ));
    out8(PIC2 + 1, 0xff);
}

static uint8_t pic_isr(void) {
    out8(PIC1, 0x0b);
    return in8(PIC1);
}

static uint8_t pic_irr(void) {
    out8(PIC1, 0x0a);
    return in8(PIC1);
}

/* COM1's line: the transmitter is empty at any time here, IER says whether that is told. */
static void line_up(void) {
    out8(COM1 + 4, 0x0b); /* DTR, RTS, OUT2 */
    out8(COM1 + 1, 0x02);
}

static void line_down(void) {
    out8(COM1 + 1, 0);
    out8(COM1 + 4, 0x03);
}

/* IRQ 0 in 10 ms, once: the 8254's mode 0. It begins when the last byte is written. */
#define TIMER_DATA 0x40
#define TIMER_LAST (11932 >> 8)
static void timer_prepare(void) {
    out8(0x43, 0x30);
    out8(TIMER_DATA, 11932 & 0xff);
}

/* Long enough for what is on its way to arrive. */
static uint64_t interrupts_of(uint8_t vector) {
    uint64_t before = irq_count[vector];
    interrupts_on();
    for (unsigned i = 0; i < 1000; i++) {
        __builtin_ia32_pause();
    }
    interrupts_off();
    return irq_count[vector] - before;
}

/* Raises the line and counts; the serial line is silent again afterwards, the 8259 has no EOI. */
static uint64_t interrupts_of_line(uint8_t vector) {
    line_up();
    uint64_t n = interrupts_of(vector);
    line_down();
    return n;
}

static void tap_count(uint64_t seen, uint64_t expected, const char *text) {
    tap_line_value(seen == expected, text, seen);
}

static void test_start(void) {
    tap_line_value(apic_read(REG_SPURIOUS) >> 8 == 1, "firmware: the local APIC is on",
                   apic_read(REG_SPURIOUS));
    tap_line_value(apic_read(REG_LVT_LINT0) == MODE_EXTINT, "firmware: LINT0 is ExtINT",
                   apic_read(REG_LVT_LINT0));
    tap_line_value(apic_read(REG_LVT_LINT1) == MODE_NMI, "firmware: LINT1 is NMI",
                   apic_read(REG_LVT_LINT1));
    uint32_t masks = (uint32_t)in8(PIC1 + 1) << 8 | in8(PIC2 + 1);
    tap_line_value(masks == 0xffff, "firmware: the 8259s are masked", masks);
    tap_line_value(in8(ELCR1) == 0 && in8(ELCR2) == 0x02, "firmware: only the SCI is a level",
                   in8(ELCR2));
}

static void test_registers(void) {
    pic_initialize(0x01);
    out8(PIC1 + 1, 0xa5);
    tap_line_value(in8(PIC1 + 1) == 0xa5, "8259: the mask keeps its value", in8(PIC1 + 1));
    out8(ELCR1, 0xff);
    out8(ELCR2, 0xff);
    uint32_t elcr = (uint32_t)in8(ELCR2) << 8 | in8(ELCR1);
    tap_line_value(elcr == 0xdef8, "ELCR: IRQ 0, 1, 2, 8 and 13 are edges", elcr);
    out8(ELCR1, 0);
    out8(ELCR2, 0x02);
}

static void test_extint(void) {
    pic_initialize(0x01);
    tap_count(interrupts_of_line(VECTOR_COM1), 1, "ExtINT: IRQ 4 arrives with the 8259's vector");
    tap_line_value(pic_isr() == 1u << COM1_IRQ, "8259: it is in service", pic_isr());
    tap_count(interrupts_of_line(VECTOR_COM1), 0, "8259: before the EOI no other one comes");
    line_up();
    out8(PIC1, EOI);
    tap_count(interrupts_of(VECTOR_COM1), 1, "8259: after the EOI it comes");
    line_down();
    out8(PIC1, 0x60 | COM1_IRQ);
    tap_line_value(pic_isr() == 0, "8259: specific EOI", pic_isr());

    out8(PIC1 + 1, 0xff);
    line_up();
    uint64_t n = interrupts_of(VECTOR_COM1);
    tap_line_value(n == 0 && pic_irr() == 1u << COM1_IRQ, "8259: masked it waits in the IRR", n);
    out8(PIC1 + 1, (uint8_t) ~(1u << COM1_IRQ));
    tap_count(interrupts_of(VECTOR_COM1), 1, "8259: unmasked it comes");
    line_down();
    out8(PIC1, EOI);

    apic_write(REG_LVT_LINT0, LVT_MASKED | MODE_EXTINT);
    line_up();
    n = interrupts_of(VECTOR_COM1);
    tap_count(n, 0, "LINT0 masked: nothing comes");
    apic_write(REG_LVT_LINT0, MODE_EXTINT);
    tap_count(interrupts_of(VECTOR_COM1), 1, "LINT0 unmasked: it comes");
    line_down();
    out8(PIC1, EOI);

    apic_write(REG_TPR, 0xff);
    n = interrupts_of_line(VECTOR_COM1);
    apic_write(REG_TPR, 0);
    tap_count(n, 1, "ExtINT: not subject to the task priority");
    out8(PIC1, EOI);

    line_up();
    line_down();
    tap_count(interrupts_of(VECTOR_COM1), 0, "8259: a request that went away does not come");
}

static void test_modes(void) {
    line_up();
    out8(PIC1, 0x0c);
    uint8_t polled = in8(PIC1);
    line_down();
    tap_line_value(polled == (0x80 | COM1_IRQ), "8259: the poll command takes it", polled);
    out8(PIC1, EOI);

    pic_initialize(0x03);
    uint64_t n = interrupts_of_line(VECTOR_COM1);
    n += interrupts_of_line(VECTOR_COM1);
    tap_line_value(n == 2 && pic_isr() == 0, "8259: automatic EOI", n);

    pic_initialize(0x01);
    out8(ELCR1, 1u << COM1_IRQ);
    line_up();
    n = interrupts_of(VECTOR_COM1);
    out8(PIC1, EOI);
    n += interrupts_of(VECTOR_COM1);
    out8(PIC1, EOI);
    line_down();
    n += interrupts_of(VECTOR_COM1);
    tap_count(n, 2, "8259: a level comes again until it is gone");
    out8(ELCR1, 0);

    pic_initialize(0x01);
    out8(PIC1 + 1, 0xfe);
    uint64_t before = irq_count[VECTOR_PIC];
    apic_write(REG_LVT_TIMER, VECTOR_WAKE); /* wakes if the other one does not */
    apic_write(REG_INITIAL, 25000000);
    timer_prepare();
    out8(TIMER_DATA, TIMER_LAST);
    __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
    n = irq_count[VECTOR_PIC] - before;
    apic_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_WAKE);
    apic_write(REG_INITIAL, 0);
    out8(PIC1, EOI);
    tap_count(n, 1, "HLT ends with an ExtINT");
    pic_initialize(0x01);
}

/* Long enough for an NMI, which the trap handler turns into a jump behind the loop. */
#define UNTIL_NMI "\n1:\tpause\n\tloop 1b"

static uint32_t trap_by_line(void) {
    uint64_t count = 10000;
    out8(COM1 + 4, 0x0b);
    TRY("out %%al, %%dx" UNTIL_NMI, ("+c"(count)), ("a"(0x02), "d"(COM1 + 1)));
    uint32_t vector = trap_last.vector;
    line_down();
    return vector;
}

/* The same from the timer, while nothing else leaves the guest. (In Bochs a host interrupt waits
 * until the guest has changed IF: see hang() in main.c.) */
static uint32_t trap_by_timer(void) {
    uint64_t count = machine.tsc_hz / 20;
    out8(PIC1 + 1, 0xfe);
    timer_prepare();
    TRY("out %%al, %%dx\n\tsti\n\tnop\n\tcli" UNTIL_NMI, ("+c"(count)),
        ("a"(TIMER_LAST), "d"(TIMER_DATA)));
    return trap_last.vector;
}

static void test_lint0(void) {
    apic_write(REG_LVT_LINT0, VECTOR_LINT0);
    tap_count(interrupts_of_line(VECTOR_LINT0), 1, "LINT0 fixed: its own vector comes");
    apic_write(REG_LVT_LINT0, MODE_NMI);
    uint32_t vector = trap_by_line();
    tap_line_value(vector == NMI, "LINT0 as NMI: vector 2", vector);
    vector = trap_by_timer();
    tap_line_value(vector == NMI, "LINT0 as NMI: in a loop without an exit", vector);
    pic_initialize(0x01);
    apic_write(REG_LVT_LINT0, MODE_EXTINT);
}

/* Sends an NMI to this CPU by its ID. */
static uint32_t trap_by_ipi(void) {
    uint64_t count = 10000;
    apic_write(REG_ICR_HIGH, apic_read(REG_ID));
    TRY("movl $0x4400, (%1)" UNTIL_NMI, ("+c"(count)), ("r"(0xfee00000ull + REG_ICR)));
    return trap_last.vector;
}

static uint64_t ipi(uint32_t high, uint32_t command) {
    apic_write(REG_ICR_HIGH, high << 24);
    apic_write(REG_ICR, command | VECTOR_IPI);
    return interrupts_of(VECTOR_IPI);
}

static void test_messages(void) {
    uint32_t id = apic_read(REG_ID) >> 24;
    uint64_t seen = trap_by_ipi();
    tap_line_value(seen == NMI, "IPI: NMI", seen);
    tap_count(ipi(id, 0), 1, "IPI: by ID");
    tap_count(ipi(0xff, 0), 1, "IPI: to all IDs");
    tap_count(ipi(id ^ 1, 0), 0, "IPI: not by another's ID");
    tap_count(ipi(id, MODE_LOWEST), 1, "IPI: lowest priority");
    tap_count(ipi(0, 0xc0000), 0, "IPI: all but self does not come");
    tap_count(ipi(0, 0x80000), 1, "IPI: all");
    apic_write(REG_LDR, 0x24000000);
    tap_count(ipi(0x04, ICR_LOGICAL), 1, "IPI: logical, flat");
    tap_count(ipi(0x02, ICR_LOGICAL), 0, "IPI: logical, flat, another's bit");
    apic_write(REG_DFR, 0x0fffffff);
    tap_count(ipi(0x2c, ICR_LOGICAL), 1, "IPI: logical, cluster");
    tap_count(ipi(0x1c, ICR_LOGICAL), 0, "IPI: logical, another's cluster");
    apic_write(REG_DFR, 0xffffffff);
    apic_write(REG_LDR, 0);

    apic_write(REG_SPURIOUS, 0xff);
    tap_count(ipi(id, 0), 0, "off by software: no fixed interrupt");
    seen = trap_by_ipi();
    tap_line_value(seen == NMI, "off by software: NMI all the same", seen);
    apic_write(REG_LVT_ERROR, VECTOR_ERROR);
    seen = apic_read(REG_LVT_ERROR);
    tap_line_value(seen == (LVT_MASKED | VECTOR_ERROR), "off by software: the LVT is masked", seen);
    apic_write(REG_SPURIOUS, 0x1ff);
    seen = apic_read(REG_LVT_LINT0);
    tap_line_value(seen == (LVT_MASKED | MODE_EXTINT), "on again: it stays masked", seen);
    apic_write(REG_LVT_LINT0, MODE_EXTINT);
    apic_write(REG_LVT_LINT1, MODE_NMI);
}

static uint32_t apic_errors(void) {
    apic_write(REG_ESR, 0);
    return apic_read(REG_ESR);
}

static void test_errors(void) {
    (void)apic_errors();
    apic_write(REG_ICR, ICR_SELF | 5);
    uint32_t before = apic_read(REG_ESR), seen = apic_errors();
    tap_line_value(before == 0 && seen == 0x60, "ESR: vector 5 sent and received", seen);
    seen = apic_errors();
    tap_line_value(seen == 0, "ESR: a second write clears it", seen);
    (void)apic_read(0x040);
    seen = apic_errors();
    tap_line_value(seen == 0x80, "ESR: a register that is not there", seen);
    apic_write(REG_LVT_ERROR, VECTOR_ERROR);
    uint64_t from = irq_count[VECTOR_ERROR];
    apic_write(0x3f0, 0);
    (void)interrupts_of(VECTOR_ERROR);
    tap_count(irq_count[VECTOR_ERROR] - from, 1, "ESR: an error interrupts");
    apic_write(REG_LVT_ERROR, LVT_MASKED);
    (void)apic_errors();
}

static uint32_t io_apic_read(uint32_t index) {
    volatile uint32_t *page = map_physical(0xfec00000);
    page[0] = index;
    return page[4];
}

static void io_apic_write(uint32_t index, uint32_t value) {
    volatile uint32_t *page = map_physical(0xfec00000);
    page[0] = index;
    page[4] = value;
}

static void test_io_apic(void) {
    uint32_t entry = 0x10 + 2 * COM1_IRQ;
    out8(PIC1 + 1, 0xff);
    io_apic_write(entry + 1, apic_read(REG_ID));
    io_apic_write(entry, VECTOR_IO);
    tap_count(interrupts_of_line(VECTOR_IO), 1, "I/O APIC: edge");
    io_apic_write(entry, VECTOR_IO | MODE_LOWEST);
    tap_count(interrupts_of_line(VECTOR_IO), 1, "I/O APIC: lowest priority");
    io_apic_write(entry, LVT_MASKED | VECTOR_IO);
    line_up();
    uint64_t n = interrupts_of(VECTOR_IO);
    io_apic_write(entry, VECTOR_IO);
    n = n * 16 + interrupts_of(VECTOR_IO);
    line_down();
    tap_count(n, 1, "I/O APIC: an edge while masked waits");
    io_apic_write(entry, 0x8000 | VECTOR_IO);
    line_up();
    uint32_t low = io_apic_read(entry);
    line_down();
    n = interrupts_of(VECTOR_IO);
    tap_line_value(n == 1 && low == (0xc000 | VECTOR_IO) &&
                       io_apic_read(entry) == (0x8000 | VECTOR_IO),
                   "I/O APIC: level, remote IRR until the EOI", low);
    io_apic_write(entry, MODE_NMI);
    uint32_t vector = trap_by_line();
    tap_line_value(vector == NMI, "I/O APIC: NMI", vector);
    io_apic_write(entry, LVT_MASKED);
}

/* Without a local APIC the 8259 has the CPU for itself. */
static void test_without_apic(void) {
    uint64_t base;
    (void)try_read_msr(0x1b, &base);
    pic_initialize(0x01);
    (void)try_write_msr(0x1b, base & ~0x800ull);
    uint64_t n = interrupts_of_line(VECTOR_COM1);
    (void)try_write_msr(0x1b, base);
    out8(PIC1, EOI);
    tap_count(n, 1, "local APIC switched off: IRQ 4 goes straight to the CPU");
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_LVT_LINT0, MODE_EXTINT);
    apic_write(REG_LVT_LINT1, MODE_NMI);
}

void test_interrupts(void) {
    test_start();
    test_registers();
    test_extint();
    test_modes();
    test_lint0();
    test_messages();
    test_errors();
    test_io_apic();
    test_without_apic();
    out8(PIC1 + 1, 0xff);
}
