/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: messages of the local APIC that storm, go nowhere, or mean nothing; interrupts held off. */
#include "guests/hostile/hostile.h"

#define VECTOR       0x52
#define REG_SPURIOUS 0x0f0
#define REG_TIMER    0x320
#define REG_INITIAL  0x380
#define REG_DIVIDE   0x3e0
#define REG_LINT0    0x350
#define MODE_EXTINT  0x700
#define NOBODY       0x77

#define PIC         0x20
#define PIC_VECTORS 0x40
#define ELCR        0x4d0
#define COM1        0x3f8
#define COM1_IRQ    4
#define PIT_CONTROL 0x43

static uint64_t counts_before[256];

static void count_from_here(void) {
    for (unsigned v = 0; v < 256; v++) {
        counts_before[v] = irq_count[v];
    }
}

static const char *taken_since(void) {
    let_in();
    if (irq_count[2] != counts_before[2]) {
        return saw_number(irq_count[2] - counts_before[2], "NMIs taken");
    }
    for (unsigned v = 32; v < 256; v++) {
        if (irq_count[v] != counts_before[v]) {
            return saw_number(v, "was a vector taken");
        }
    }
    return "none taken";
}

const char *act_self_ipi(void) {
    uint64_t before = irq_count[VECTOR];
    apic_write(REG_SPURIOUS, 0x1ff);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t one = irq_count[VECTOR];
        vcpu_send(0, ICR_TO_SELF | VECTOR);
        interrupts_on();
        while (irq_count[VECTOR] == one) {
            __builtin_ia32_pause();
        }
        interrupts_off();
    }
    return saw_number(irq_count[VECTOR] - before, "taken");
}

const char *act_illegal_vectors(void) {
    count_from_here();
    for (unsigned v = 0; v < 16; v++) {
        vcpu_send(0, ICR_TO_SELF | v);
        vcpu_send(0, v);
    }
    return taken_since();
}

const char *act_nobody(void) {
    static const uint32_t commands[] = {VECTOR, ICR_LOWEST | VECTOR, ICR_NMI, ICR_LOGICAL | VECTOR,
                                        ICR_LOGICAL | ICR_LOWEST | VECTOR};
    count_from_here();
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t command = commands[i % COUNT(commands)];
        vcpu_send((command & ICR_LOGICAL) != 0 ? 0 : NOBODY, command);
    }
    return taken_since();
}

/* Delivery modes 2, 3 and 7, with and without a name. */
const char *act_odd_modes(void) {
    static const uint32_t modes[] = {0x200, 0x300, 0x700};
    count_from_here();
    for (size_t i = 0; i < COUNT(modes); i++) {
        vcpu_send(0, modes[i] | VECTOR);
        vcpu_send(0, ICR_TO_SELF | modes[i] | VECTOR);
        vcpu_send(NOBODY, modes[i] | VECTOR);
    }
    return taken_since();
}

const char *act_init_nobody(void) {
    count_from_here();
    for (unsigned i = 0; i < 100; i++) {
        vcpu_send(NOBODY, ICR_INIT);
        vcpu_send(NOBODY, ICR_STARTUP | 8);
    }
    return taken_since();
}

/* Only who waits for it is started. */
const char *act_sipi_self(void) {
    count_from_here();
    vcpu_send(0, ICR_STARTUP | 8);
    vcpu_send(0, ICR_TO_SELF | ICR_STARTUP | 8);
    return taken_since();
}

const char *act_nmi_storm(void) {
    uint64_t before = irq_count[2];
    nmi_expected = true;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t one = irq_count[2];
        vcpu_send(0, ICR_NMI);
        for (unsigned n = 0; irq_count[2] == one && n < 100000; n++) {
            __builtin_ia32_pause();
        }
    }
    nmi_expected = false;
    return saw_number(irq_count[2] - before, "taken");
}

/* Both take them; how many become one cannot be said. */
const char *act_broadcast(void) {
    uint64_t before = irq_count[VECTOR];
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    for (unsigned i = 0; i < 1000; i++) {
        vcpu_send(0, ICR_TO_ALL | VECTOR);
        vcpu_send(0xff, VECTOR);
        let_in();
    }
    /* Two at a time may become one in an IRR; this vCPU takes one each round, whatever the other
     * does. */
    return saw(irq_count[VECTOR] - before >= 1000, "done");
}

const char *act_ap_cycle(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    for (unsigned i = 0; i < 50; i++) {
        if (!vcpu_start_one(1)) {
            return saw_number(i, "starts, then none");
        }
    }
    return "it runs";
}

static void dead_end(void) {
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

const char *act_ap_dead(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    vcpu_run(1, dead_end);
    for (uint64_t start = read_tsc(); read_tsc() - start < machine.tsc_hz / 100;) {
    }
    return saw(vcpu_start_one(1), "it runs");
}

const char *act_timer_shortest(void) {
    uint64_t before = irq_count[VECTOR];
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_DIVIDE, 0xb);
    apic_write(REG_TIMER, VECTOR);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t one = irq_count[VECTOR];
        apic_write(REG_INITIAL, 1);
        (void)vcpu_wait_count(VECTOR, one, 1);
    }
    apic_write(REG_TIMER, 0x10000);
    return saw_number(irq_count[VECTOR] - before, "taken");
}

/* As many interrupts as the hypervisor allows: on a slow CPU nothing else is left. */
const char *act_hang_timer(void) {
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_DIVIDE, 0xb);
    apic_write(REG_TIMER, 0x20000 | VECTOR);
    apic_write(REG_INITIAL, 1);
    interrupts_on();
    for (;;) {
        __builtin_ia32_pause();
    }
}

const char *act_cli_jmp(void) {
    for (uint64_t start = read_tsc(); read_tsc() - start < machine.tsc_hz / 5;) {
    }
    return "done";
}

/* The gate of a vector becomes a trap gate, which leaves IF set, with a stack of the IST. */
static void make_trap_gate(unsigned vector, uint8_t ist) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    volatile uint8_t *gate = (volatile uint8_t *)(uintptr_t)(idtr.base + vector * 16);
    gate[4] = ist;
    gate[5] = 0x8f;
}

/*
 * COM1 asks for an interrupt and is never served; the 8259 takes the line as a level and ends each
 * interrupt by itself. So the next one is due as soon as one has been delivered.
 */
const char *act_hang_window(void) {
    debug_stack_use();
    make_trap_gate(PIC_VECTORS + COM1_IRQ, 1);
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_LINT0, MODE_EXTINT);
    out8(PIC, 0x11);
    out8(PIC + 1, PIC_VECTORS);
    out8(PIC + 1, 4);
    out8(PIC + 1, 3); /* automatic EOI */
    out8(ELCR, 1u << COM1_IRQ);
    out8(PIC + 1, (uint8_t) ~(1u << COM1_IRQ));
    out8(COM1 + 4, 0x0b); /* DTR, RTS, OUT2 */
    out8(COM1 + 1, 0);
    out8(COM1 + 1, 2); /* the transmitter is empty */
    interrupts_on();
    for (;;) {
        __builtin_ia32_pause();
    }
}

static void set_pit_for_ever(void) {
    for (;;) {
        out8(PIT_CONTROL, 0x30);
    }
}

/* Each time vCPU 0's CPU has to look at its clocks. */
const char *act_hang_clocks(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    for (unsigned i = 1; i < vcpu_count; i++) {
        vcpu_run(i, set_pit_for_ever);
    }
    for (;;) { /* Bochs, AMD-V: no host interrupt before the guest has changed IF */
        interrupts_on();
        __builtin_ia32_pause();
        interrupts_off();
    }
}
