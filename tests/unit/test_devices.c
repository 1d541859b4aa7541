/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the core makes of what a VM's devices ask for: log lines with a limit, the run's end, INTR.
 */
#include "tests/unit/fake_machine.h"

static unsigned lines;
static char last[256];

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    lines++;
    memcpy(last, line, min_u64(length, sizeof(last) - 1));
    last[min_u64(length, sizeof(last) - 1)] = '\0';
}

static uint64_t now_us(void) {
    return 0;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static struct vcpu *begin(enum log_level level) {
    struct vcpu *v = fake_machine_start();
    CHECK(vm_start_devices(fake_vm));
    log_init(&hooks, level);
    lines = 0;
    return v;
}

TEST(bios_calls_are_counted_and_the_first_told) {
    begin(LOG_INFO);
    fake_port_out(BULKHEAD_BIOS_PORT, 4, 0xff15e820);
    CHECK_U64(lines, 1);
    CHECK(strstr(last, "INT 15h, AX e820h") != NULL && strstr(last, "only counted") == NULL);
    for (unsigned i = 1; i < 1000; i++) {
        fake_port_out(BULKHEAD_BIOS_PORT, 4, 0x00130000 + i);
    }
    CHECK_U64(lines, 8);
    CHECK(strstr(last, "INT 13h, AX 0007h; from here on they are only counted") != NULL);
    CHECK_U64(fake_public.bios_calls, 1000);
    CHECK(vm_start_devices(
        fake_vm)); /* a new start tells of its first calls again; the count goes on */
    fake_port_out(BULKHEAD_BIOS_PORT, 4, 0x00ff1234);
    CHECK_U64(lines, 9);
    CHECK_U64(fake_public.bios_calls, 1001);
}

TEST(sleep_states_are_told_at_level_debug) {
    begin(LOG_INFO);
    fake_port_out(0x604, 2, 0x2000 | 3 << 10);
    CHECK_U64(lines, 0);
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
    begin(LOG_DEBUG);
    for (unsigned i = 0; i < 1000; i++) {
        fake_port_out(0x604, 2, 0x2000 | 3 << 10);
    }
    CHECK(lines != 0 && lines < 100);
    CHECK(strstr(last, "sleep state 3") != NULL);
}

TEST(the_ways_to_end) {
    begin(LOG_INFO);
    fake_port_out(0x604, 2, 0x2000 | 5 << 10);
    CHECK_U64(fake_vm->leave, LEAVE_POWER_OFF);
    fake_port_out(0x64, 1, 0xfe); /* the first one stands */
    CHECK_U64(fake_vm->leave, LEAVE_POWER_OFF);
    begin(LOG_INFO);
    fake_port_out(0x64, 1, 0xfe);
    CHECK_U64(fake_vm->leave, LEAVE_RESET);
    CHECK_STR(fake_vm->leave_reason, "reset by the guest, starting again [BH3002]");
}

/* The console takes bytes between exits: the report does not look at the last one. */
TEST(a_wild_ring_between_exits) {
    struct vcpu *v = begin(LOG_INFO);
    v->upcall_exit = (const struct vmexit *)(uintptr_t)8;
    fake_vm->live = true;
    fake_vm->shared->put = 1000;
    vm_serve_console(fake_vm, REQUEST_ROOM);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK(strstr(last, "told of more bytes than there can be") != NULL);
}

static unsigned console_room;

static bool transmit_while_room(UNUSED struct vm *vm, UNUSED uint8_t byte) {
    console_room -= console_room != 0;
    return console_room != 0;
}

/* The console takes no more, until it says that it has room again. */
TEST(a_byte_that_waits_goes_on) {
    static const struct vm_console slow = {.transmit = transmit_while_room};
    begin(LOG_INFO);
    const struct vm_console *before = vm_console;
    vm_console = &slow;
    fake_vm->live = true;
    console_room = 0;
    unsigned sent = 0;
    while (sent < 100000 && (fake_port_in(0x3fd, 1) & 0x20) != 0) {
        fake_port_out(0x3f8, 1, 'a');
        sent++;
    }
    CHECK(sent != 0 && sent < 100000);
    console_room = 1000;
    vm_serve_console(fake_vm, REQUEST_ROOM);
    CHECK_U64(fake_port_in(0x3fd, 1) & 0x20, 0x20);
    vm_console = before;
}

TEST(intr_follows_the_8259s) {
    begin(LOG_INFO);
    CHECK(fake_vm->shared->intr == 0);
    fake_set_irq(4, true); /* nothing is masked after a start */
    CHECK(fake_vm->shared->intr != 0);
    (void)vm_acknowledge_intr(fake_vm);
    CHECK(fake_vm->shared->intr == 0);
    fake_set_irq(3, true);
    CHECK(fake_vm->shared->intr != 0);
    CHECK(vm_start_devices(fake_vm));
    CHECK(fake_vm->shared->intr == 0);
}

/* What the compartment is told of its VM: nothing is left of an earlier start. */
TEST(what_a_start_tells) {
    static const struct abi_counts no_counts;
    begin(LOG_INFO);
    struct exchange_vm *shared = fake_vm->shared;
    struct vcpu *first = &fake_vm->vcpus[0];
    memset(&shared->counts, 3, sizeof(shared->counts));
    fake_vm->console_taken = 7;
    first->bell_due = first->bell_least = 9;
    first->bell_waits = true;
    first->public.rung = 1;
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(shared->vcpus, fake_vm->vcpu_count);
    CHECK_U64(shared->clock_offset, fake_vm->clock.offset);
    CHECK_U64(shared->tsc_hz, fake_vm->clock.tsc_hz);
    CHECK_U64(shared->wall_at_zero, fake_vm->clock.wall_at_zero);
    CHECK_U64(shared->low_ram, fake_vm->low_ram);
    CHECK_U64(shared->high_ram, fake_vm->high_ram);
    CHECK_U64(shared->phys_bits, fake_vm->phys_bits);
    CHECK(memcmp(&shared->counts, &no_counts, sizeof(no_counts)) == 0);
    CHECK_U64(fake_vm->console_taken, 0);
    CHECK_U64(first->bell_due | first->bell_least, 0);
    CHECK(!first->bell_waits);
    CHECK_U64(first->public.rung, 0);
}

static uint64_t cmos(uint8_t index) {
    fake_port_out(0x70, 1, index);
    return fake_port_in(0x71, 1);
}

static void begin_with_watchdog(uint32_t planned) {
    fake_told_devices.watchdog = 30;
    begin(LOG_INFO);
    fake_plan.devices.watchdog = planned;
    fake_port_out(WATCHDOG_PORT + WATCHDOG_COUNT, 4, 15); /* ticks: 1.5 s */
    fake_port_out(WATCHDOG_PORT + WATCHDOG_CONTROL, 1, 1);
}

/* At the moment that it asked for, by the host's TSC. */
static void serve_watchdog(void) {
    uint64_t due = vm_service_devices(fake_vm);
    CHECK(due > fake_tsc);
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
    fake_tsc = due;
    (void)vm_service_devices(fake_vm);
    fake_told_devices.watchdog = 0;
}

/* The same as any other crash, so on_crash says what follows. */
TEST(a_watchdog_that_is_not_fed) {
    struct vm_crash crash;

    begin_with_watchdog(30);
    serve_watchdog();
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK(strstr(last, "stopped: watchdog: not fed for 2 s") != NULL);
    CHECK_U64(vm_last_crash(&fake_public, &crash), 1);
    CHECK_STR(crash.reason, "watchdog: not fed for 2 s [BH3043]");
    CHECK_STR(crash.work, upcall_name(UPCALL_SERVICE));
    CHECK(!crash.compartment);
}

/* And the guest's next run can ask for it, until it has cleared that. */
TEST(that_it_has_bitten_outlives_a_start) {
    begin_with_watchdog(30);
    serve_watchdog();
    fake_told_devices.watchdog = 30;
    for (unsigned cleared = 0; cleared < 2; cleared++) {
        memset(&fake_hardware, 0, sizeof(fake_hardware));
        CHECK(vm_start_devices(fake_vm));
        CHECK_U64(fake_port_in(WATCHDOG_PORT + WATCHDOG_STATUS, 1), cleared == 0);
        CHECK_U64(fake_port_in(WATCHDOG_PORT + WATCHDOG_CONTROL, 1), 0);
        fake_port_out(WATCHDOG_PORT + WATCHDOG_STATUS, 1, 0);
    }
    fake_told_devices.watchdog = 0;
}

/* The compartment's word alone gives no guest one. */
TEST(a_watchdog_that_is_not_planned) {
    begin_with_watchdog(0);
    serve_watchdog();
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK(strstr(last, "told of a watchdog that there is not") != NULL);
}

/* A new start finds a compartment as it was built, and the clock's chip has a battery. */
TEST(the_cmos_outlives_a_start) {
    begin(LOG_INFO);
    fake_port_out(0x70, 1, 0x40);
    fake_port_out(0x71, 1, 0xa5);
    memset(&fake_hardware, 0, sizeof(fake_hardware));
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(fake_vm->shared->vcpus, 1);
    CHECK_U64(cmos(0x40), 0xa5);
    CHECK_U64(cmos(0x41), 0);
}

/* Its interrupt comes, by the I/O APIC, and the timer's moment is asked for anew. */
TEST(the_power_button_interrupts) {
    struct vcpu *v = begin(LOG_INFO);
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    CHECK(device_write(v, NULL, BUS_MEMORY, IOAPIC_BASE, 4, 0x10 + 2 * PM_SCI_IRQ));
    CHECK(device_write(v, NULL, BUS_MEMORY, IOAPIC_BASE + 0x10, 4, 0x8000 | 0x55));
    fake_port_out(PM1A_EVENT_PORT + 2, 2, BIT(8)); /* enabled */
    fake_port_out(PM1A_CONTROL_PORT, 2, 1);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x220), 0);
    vm_press_power_button(fake_vm);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x220), BIT(0x55 - 0x40));
    CHECK_U64(fake_port_in(PM1A_EVENT_PORT, 2) & BIT(8), BIT(8));
}

TEST(nothing_there) {
    begin(LOG_INFO);
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_PORT, 0x3f7, 1).there, 0);
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_PORT, 0x3f7, 2).there,
              0); /* the UART's first is no whole */
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_PORT, IOAPIC_BASE, 4).there, 0);
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_MEMORY, IOAPIC_BASE, 4).there, 1);
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_MEMORY, IOAPIC_BASE - 1, 4).there, 0);
    CHECK_U64(device_read(&fake_vm->vcpus[0], NULL, BUS_PORT, 0x3f7, 1).value, UINT64_MAX);
    CHECK(!device_write(&fake_vm->vcpus[0], NULL, BUS_MEMORY, 0x3f8, 1, 'x'));
    CHECK_U64(fake_console_length, 0);
    CHECK(device_write(&fake_vm->vcpus[0], NULL, BUS_PORT, 0x3f8, 1, 'x'));
    CHECK_U64(fake_console_length, 1);
}

/* Clocks; where the CPU has nothing better, that is told, unless starts are too many for it. */
TEST(what_randomness_begins_with) {
    fake_tsc = 12345;
    begin(LOG_INFO);
    const struct exchange_vm *shared = fake_vm->shared;
    CHECK_U64(shared->has_rdrand, 1);
    CHECK_U64(lines, 0);
    CHECK_U64(shared->seed[0], fake_tsc);
    CHECK_U64(shared->seed[1], plat_wall_seconds());
    CHECK_U64(shared->seed[2], fake_vm->clock.offset);
    CHECK_U64(shared->seed[3], fake_tsc);
    fake_rdrand_missing = true;
    fake_vm->quiet = true;
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(shared->has_rdrand, 0);
    CHECK_U64(lines, 0);
    fake_vm->quiet = false;
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(lines, 1);
    CHECK(strstr(last, "its entropy device has clocks alone to draw on: no RDRAND here") != NULL);
    fake_rdrand_missing = false;
}

/* So many a second, then how many were left out; a guest that ends by one is always told. */
TEST(violations_are_told_at_level_debug) {
    struct vcpu *v = begin(LOG_INFO);
    vcpu_refuse_access(v, BUS_PORT, false, 0x1234);
    CHECK_U64(lines, 0);
    CHECK_U64(v->public.refused[REFUSED_PORT], 1);
    v = begin(LOG_DEBUG);
    vcpu_refuse_access(v, BUS_MEMORY, true, 0x1234);
    CHECK(strstr(last, "refused write of memory 0x1234 at rip ") != NULL);
    CHECK_U64(v->public.refused[REFUSED_MEMORY], 1);
    for (unsigned i = 0; i < 1000; i++) {
        vcpu_refuse_access(v, BUS_PORT, false, i);
    }
    CHECK(lines > 1 && lines < 100);
    CHECK_U64(v->public.refused[REFUSED_PORT], 1000);
    unsigned told = lines;
    fake_tsc += 10 * FAKE_HZ;
    fake_config.on_violation = ON_VIOLATION_STOP;
    for (unsigned i = 0; i < 1000; i++) {
        vcpu_refuse_access(v, BUS_PORT, true, 0x77);
    }
    fake_config.on_violation = ON_VIOLATION_DENY;
    CHECK_U64(lines, told + 1000);
    CHECK(strstr(last, "refused write of port 0x77 at rip ") != NULL);
    CHECK_U64(fake_vm->leave, LEAVE_STOP);
}

TEST_MAIN(T(violations_are_told_at_level_debug), T(what_randomness_begins_with),
          T(bios_calls_are_counted_and_the_first_told), T(sleep_states_are_told_at_level_debug),
          T(the_ways_to_end), T(a_watchdog_that_is_not_fed), T(that_it_has_bitten_outlives_a_start),
          T(a_watchdog_that_is_not_planned), T(a_wild_ring_between_exits),
          T(a_byte_that_waits_goes_on), T(intr_follows_the_8259s), T(what_a_start_tells),
          T(the_cmos_outlives_a_start), T(the_power_button_interrupts), T(nothing_there))
