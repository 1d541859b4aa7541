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
    CHECK_STR(fake_vm->leave_reason, "reset by the guest, starting again");
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

TEST_MAIN(T(bios_calls_are_counted_and_the_first_told), T(sleep_states_are_told_at_level_debug),
          T(the_ways_to_end), T(intr_follows_the_8259s), T(nothing_there))
