/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One host timer for a vCPU's local APIC and, on vCPU 0, the PIT and the CMOS clock: the earlier of
 * the two is armed, neither loses the other's time, and whoever programs a device tells vCPU 0's
 * CPU.
 */
#include "tests/unit/fake_machine.h"

#define PIT_VECTOR   0x60
#define TIMER_VECTOR 0x70

static struct vcpu *v;

/* An APIC that takes interrupts, with its timer in TSC-deadline mode; the PIT's pin unmasked. */
static void begin(void) {
    fake_tsc = 123456;
    v = fake_machine_start();
    fake_can_interrupt = true;
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    lapic_mmio_write(&v->lapic, 0x320, 4, 0x40000 | TIMER_VECTOR);
    fake_hardware.platform.ioapic.redirection[2] = PIT_VECTOR;
    CHECK(vcpu_service(v));
    CHECK_U64(fake_deadline, 0);
}

static void apic_in(uint64_t ticks) {
    lapic_deadline_write(&v->lapic, fake_tsc + v->tsc_offset + ticks);
}

static void out8(uint16_t port, unsigned value) {
    struct vmexit x = {.kind = EXIT_IO, .io = {.port = port, .size = 1}};
    v->regs[X86_RAX] = value;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
}

/* Mode 0 or 2 with a count of 1193, about a millisecond; its end on the host's TSC. */
static uint64_t start_pit(unsigned mode) {
    out8(0x43, 0x30 | mode << 1);
    out8(0x40, 1193 & 0xff);
    out8(0x40, 1193 >> 8);
    return fake_hardware.platform.pit.due - fake_vm->clock.offset;
}

/* The host's timer fires when it was asked to; the vector that the guest gets, or 0. */
static unsigned fire(void) {
    CHECK(fake_deadline != 0);
    fake_tsc = fake_deadline;
    fake_deadline = 0; /* it fires once */
    hv_timer_expired();
    v->event.type = EVENT_NONE;
    CHECK(vcpu_service(v));
    CHECK_U64(v->public.requests & REQUEST_EVENT, 0); /* served in the same turn */
    unsigned vector = v->event.type == EVENT_INTERRUPT ? v->event.vector : 0;
    if (vector != 0) {
        lapic_mmio_write(&v->lapic, 0xb0, 4, 0); /* EOI */
    }
    return vector;
}

TEST(the_earlier_is_armed) {
    begin();
    apic_in(400000);
    uint64_t apic = fake_tsc + 400000;
    CHECK_U64(fake_deadline, apic);
    uint64_t pit = start_pit(0);
    CHECK(vcpu_service(v));
    CHECK(pit > apic);
    CHECK_U64(fake_deadline, apic);
    apic_in(4000000);
    CHECK_U64(fake_deadline, pit);
    apic_in(0);
    CHECK_U64(fake_deadline, fake_tsc); /* a deadline that has passed */
    lapic_deadline_write(&v->lapic, 0);
    CHECK_U64(fake_deadline, pit);
}

static unsigned timers_set;

static void count_timer_set(void) {
    timers_set++;
}

/* No device is looked at, nor its lock taken, when only the APIC's timer was running. */
TEST(the_apics_timer_alone_is_no_matter_of_the_devices) {
    begin();
    apic_in(400000);
    timers_set = 0;
    fake_on_timer_set = count_timer_set;
    CHECK_U64(fire(), TIMER_VECTOR);
    CHECK_U64(timers_set, 0);
}

TEST(neither_forgets_the_other) {
    begin();
    uint64_t pit = start_pit(0), apic = pit + 1000;
    CHECK(vcpu_service(v));
    lapic_deadline_write(&v->lapic, apic + v->tsc_offset);
    CHECK_U64(fake_deadline, pit);
    CHECK_U64(fire(), PIT_VECTOR);
    CHECK_U64(fake_deadline, apic);
    CHECK_U64(fire(), TIMER_VECTOR);
    CHECK_U64(fake_deadline, 0);
    apic_in(1000);
    pit = start_pit(0);
    CHECK(vcpu_service(v));
    CHECK_U64(fire(), TIMER_VECTOR);
    CHECK_U64(fake_deadline, pit);
    CHECK_U64(fire(), PIT_VECTOR);
    CHECK_U64(fake_deadline, 0);
}

TEST(periodic_pit_ticks_under_the_apics_deadline) {
    begin();
    apic_in(FAKE_HZ);
    start_pit(2);
    CHECK(vcpu_service(v));
    unsigned ticks = 0;
    while (fire() == PIT_VECTOR) {
        ticks++;
        fake_hardware.platform.ioapic.pending = 0;
    }
    CHECK_U64(ticks, 1000); /* in a second, then came the APIC's */
}

TEST(another_cpu_sets_the_pit) {
    begin();
    fake_cpu = 1;
    fake_kicks = 0;
    fake_deadline = 7;
    v->upcall_flags = 0; /* that CPU's timer sees to it */
    uint64_t pit = start_pit(0);
    CHECK(fake_kicks > 0);
    CHECK_U64(fake_deadline, 7); /* that CPU's own timer */
    fake_cpu = 0;
    CHECK(vcpu_service(v));
    CHECK_U64(fake_deadline, pit);
    CHECK_U64(fire(), PIT_VECTOR);
}

TEST(the_cmos_clock_and_the_pit_share_it) {
    begin();
    fake_hardware.platform.ioapic.redirection[8] = 0x50;
    fake_port_out(0x70, 2, 0x120b); /* update-ended: in a second at most */
    CHECK(vcpu_service(v));
    uint64_t second = fake_deadline;
    CHECK(second > fake_tsc && second <= fake_tsc + FAKE_HZ + 1);
    uint64_t pit = start_pit(0);
    CHECK(vcpu_service(v));
    CHECK_U64(fake_deadline, pit);
    CHECK_U64(fire(), PIT_VECTOR);
    CHECK_U64(fake_deadline, second);
    CHECK_U64(fire(), 0x50);
    CHECK_U64(fake_deadline, 0); /* until register C is read */
    fake_port_out(0x70, 1, 0x0c);
    CHECK_U64(fake_port_in(0x71, 1) & 0x90, 0x90);
    CHECK(vcpu_service(v));
    CHECK_U64(fake_deadline, second + FAKE_HZ);
}

/* Neither the guest's TSC nor an INIT of vCPU 0 moves a device; a reset of the machine does. */
TEST(what_moves_a_device_and_what_does_not) {
    begin();
    uint64_t pit = start_pit(0);
    CHECK(vcpu_service(v));
    v->tsc_offset += 1ull << 60;
    hvm->set(v, HVM_TSC_OFFSET, v->tsc_offset);
    lapic_tsc_changed(&v->lapic, 1ull << 60);
    CHECK_U64(fake_deadline, pit);
    vcpu_reset(v, true);
    CHECK_U64(fake_deadline, pit);
    vcpu_reset(v, false);
    CHECK_U64(fake_deadline, 0);
}

TEST(a_timer_that_fires_early_is_armed_again) {
    begin();
    apic_in(FAKE_HZ);
    uint64_t pit = start_pit(0);
    CHECK(vcpu_service(v));
    fake_deadline = fake_tsc + 10;
    CHECK_U64(fire(), 0);
    CHECK_U64(fake_deadline, pit);
}

/* Time that is left out of a guest's: what is due comes later by that much, what is not stays off.
 */
TEST(skipped_time) {
    begin();
    uint64_t offset = v->tsc_offset;
    vcpu_skip_time(v, 1000);
    CHECK_U64(v->tsc_offset, offset - 1000);
    CHECK_U64(v->apic_due, 0);
    CHECK_U64(v->clocks_due, 0);
    CHECK_U64(fake_deadline, 0);
    apic_in(400000);
    (void)start_pit(0);
    CHECK(vcpu_service(v));
    uint64_t apic = v->apic_due;
    uint64_t clocks = v->clocks_due;
    CHECK(apic != 0 && clocks != 0);
    fake_tsc += 1000;
    vcpu_skip_time(v, 1000);
    CHECK_U64(v->apic_due, apic + 1000);
    CHECK_U64(v->clocks_due, clocks + 1000);
    CHECK_U64(fake_deadline, apic + 1000);
}

static uint64_t waits_since;

static void time_passes(void) {
    waits_since = v->public.waits_since;
    fake_tsc += 5000;
    CHECK(lapic_accept(&v->lapic, 0x31, false));
    vcpu_request(&v->public, REQUEST_EVENT);
}

/* What top shows as idle. */
TEST(waiting_is_counted) {
    begin();
    v->public.waited = 0;
    fake_wait = time_passes;
    uint64_t began = fake_tsc;
    CHECK(vcpu_halt(v));
    CHECK_U64(v->event.vector, 0x31);
    CHECK_U64(waits_since, began);
    CHECK_U64(v->public.waits_since, 0);
    CHECK_U64(v->public.waited, 5000);
}

TEST_MAIN(T(the_earlier_is_armed), T(the_apics_timer_alone_is_no_matter_of_the_devices),
          T(neither_forgets_the_other), T(periodic_pit_ticks_under_the_apics_deadline),
          T(another_cpu_sets_the_pit), T(the_cmos_clock_and_the_pit_share_it),
          T(what_moves_a_device_and_what_does_not), T(a_timer_that_fires_early_is_armed_again),
          T(skipped_time), T(waiting_is_counted))
