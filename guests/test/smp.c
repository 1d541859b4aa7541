/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several vCPUs: they start, messages of every kind reach those they name and nobody else, they
 * stop and start again, they share one time. cpus=N on the command line.
 * Source: Intel SDM vol. 3 "Issuing Interprocessor Interrupts".
 */
#include "guests/test/vcpu.h"

#define VECTOR  0x53
#define REG_LDR 0x0d0
#define REG_DFR 0x0e0

static unsigned count;

static void pause_a_while(void) {
    for (uint64_t start = read_tsc(); read_tsc() - start < machine.tsc_hz / 500;) {
        __builtin_ia32_pause();
    }
}

/* Sends; exactly n must come, the last (if only one) to vCPU taker. */
static void test_message(const char *text, uint8_t destination, uint32_t command, unsigned n,
                         unsigned taker) {
    uint8_t vector = (command & 0x700) == ICR_NMI ? 2 : VECTOR;
    uint64_t before = irq_count[vector];
    vcpu_send(destination, command | VECTOR);
    (void)vcpu_wait_count(vector, before, n);
    pause_a_while();
    interrupts_on();
    pause_a_while();
    interrupts_off();
    uint64_t came = irq_count[vector] - before;
    tap_line_value(came == n && (n != 1 || taker == UINT32_MAX || vcpu_that_took(vector) == taker),
                   text, came);
}

static void set_logical_id(void) {
    apic_write(REG_DFR, UINT32_MAX);
    apic_write(REG_LDR, 1u << (24 + vcpu_this_cpu()));
}

static void test_logical(void) {
    uint8_t others = (uint8_t)((1u << count) - 2);
    set_logical_id();
    for (unsigned cpu = 1; cpu < count; cpu++) {
        vcpu_run(cpu, set_logical_id);
        (void)vcpu_wait(cpu);
    }
    test_message("logical, one", 1u << 1, ICR_LOGICAL, 1, 1);
    test_message("logical, all others", others, ICR_LOGICAL, count - 1, UINT32_MAX);
    test_message("logical, everyone", 0xff, ICR_LOGICAL, count, UINT32_MAX);
    test_message("logical, a set of nobody", (uint8_t)(1u << count), ICR_LOGICAL, 0, 0);
    test_message("lowest priority: one of the others", others, ICR_LOGICAL | ICR_LOWEST, 1,
                 UINT32_MAX);
}

static volatile uint64_t other_tsc;

static void tell_tsc(void) {
    other_tsc = read_tsc();
}

static void test_one(unsigned cpu) {
    test_message("fixed, by its ID", (uint8_t)cpu, 0, 1, cpu);
    nmi_expected = true;
    test_message("an NMI", (uint8_t)cpu, ICR_NMI, 1, cpu);
    nmi_expected = false;
    uint64_t before = read_tsc();
    vcpu_run(cpu, tell_tsc);
    tap_line(vcpu_wait(cpu), "it does what it is told");
    tap_line_value(other_tsc - before < read_tsc() - before, "its TSC is ours", other_tsc - before);

    unsigned starts = vcpu_starts(cpu);
    vcpu_send((uint8_t)cpu, ICR_STARTUP | 8);
    pause_a_while();
    tap_line(vcpu_starts(cpu) == starts, "a startup message while it runs is nothing");
    vcpu_send((uint8_t)cpu, ICR_INIT);
    test_message("after INIT it takes no interrupt", (uint8_t)cpu, 0, 0, 0);
    tap_line(vcpu_start_one(cpu), "INIT and startup message: it comes up again");
    tap_line_value(vcpu_starts(cpu) == starts + 1, "once", vcpu_starts(cpu) - starts);
}

#define POST_PORT 0x80
#define BURST     64

static volatile bool stop_bursts;

/* Nearly all of its time this vCPU is with the hypervisor, which carries out a string of OUTs. */
static void burst_until_stopped(void) {
    static const uint8_t bytes[BURST];
    interrupts_on();
    while (!stop_bursts) {
        const uint8_t *from = bytes;
        uint64_t left = BURST;
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(left) : "d"(POST_PORT) : "memory");
    }
    interrupts_off();
}

/* A CPU takes the first NMI and latches the second: both handlers run before the interrupt's. */
static void test_two_nmis(unsigned cpu) {
    unsigned wrong = 0;
    stop_bursts = false;
    nmi_expected = true;
    vcpu_run(cpu, burst_until_stopped);
    pause_a_while();
    for (unsigned i = 0; i < 20; i++) {
        uint64_t nmis = irq_count[2], ipis = irq_count[VECTOR];
        vcpu_send((uint8_t)cpu, ICR_NMI);
        vcpu_send((uint8_t)cpu, ICR_NMI);
        vcpu_send((uint8_t)cpu, VECTOR);
        (void)vcpu_wait_count(VECTOR, ipis, 1);
        bool both = irq_count[2] - nmis == 2 && irq_tsc[2] < irq_tsc[VECTOR];
        wrong += !both;
        pause_a_while();
    }
    stop_bursts = true;
    (void)vcpu_wait(cpu);
    nmi_expected = false;
    tap_line_value(wrong == 0, "two NMIs, then an interrupt: both NMIs come first", wrong);
}

void test_smp(void) {
    count = (unsigned)option_number("cpus", 1);
    if (count == 1) {
        tap_skip("several vCPUs", "this guest has one");
        return;
    }
    tap_line(vcpu_start(count), "every vCPU comes up");
    tap_line(!vcpu_start_one(count), "none but those");
    for (unsigned cpu = 1; cpu < count; cpu++) {
        test_one(cpu);
    }
    test_two_nmis(1);
    test_message("shorthand: self", 0, ICR_TO_SELF, 1, 0);
    test_message("shorthand: all others", 0, ICR_TO_ALL_OTHERS, count - 1, UINT32_MAX);
    test_message("shorthand: all", 0, ICR_TO_ALL, count, UINT32_MAX);
    test_message("broadcast ID", 0xff, 0, count, UINT32_MAX);
    test_message("an ID of nobody", (uint8_t)count, 0, 0, 0);
    test_logical();
    vcpu_send(0, ICR_TO_ALL_OTHERS | ICR_INIT);
}
