/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A platform with nothing around it, for the tests of its devices: what they send out is counted
 * here. A test sets fake_env's functions, or fake_pc.env's after fake_pc_start() to cut the wires
 * between the devices.
 */
#ifndef TESTS_UNIT_FAKE_ENV_H
#define TESTS_UNIT_FAKE_ENV_H

#include "hv/compartment/dev/platform.h"
#include "tests/unit/test.h"

static struct platform fake_pc;
static unsigned fake_reschedules, fake_power_offs, fake_resets, fake_sleeps, fake_bios_calls,
    fake_bites;
static bool fake_bitten;
static uint32_t fake_event_word;
static struct rtc_kept fake_kept;

static void fake_env_irq(UNUSED const struct dev_env *env, UNUSED unsigned line,
                         UNUSED bool asserted) {
}

static void fake_env_msi(UNUSED const struct dev_env *env, UNUSED uint64_t address,
                         UNUSED uint32_t data) {
}

static void fake_env_intr(UNUSED const struct dev_env *env, UNUSED bool asserted) {
}

static void fake_env_reschedule(UNUSED const struct dev_env *env) {
    fake_reschedules++;
}

static bool fake_env_transmit(UNUSED const struct dev_env *env, UNUSED uint8_t byte) {
    return true;
}

static uint64_t fake_bells;

static void fake_env_bell(UNUSED const struct dev_env *env, unsigned channel) {
    fake_bells |= BIT(channel);
}

static uint64_t fake_env_random(UNUSED const struct dev_env *env) {
    return 0x7272727272727272;
}

static void fake_env_stop(UNUSED const struct dev_env *env, enum dev_stop why) {
    fake_power_offs += why == DEV_POWER_OFF;
    fake_resets += why == DEV_RESET;
}

static void fake_env_event(UNUSED const struct dev_env *env, enum dev_event event, uint32_t word) {
    fake_sleeps += event == DEV_SLEEP_REFUSED;
    fake_bios_calls += event == DEV_BIOS_CALLED;
    fake_bites += event == DEV_WATCHDOG_BITES;
    fake_event_word = word;
}

static void fake_env_keep(UNUSED const struct dev_env *env, const struct rtc_kept *kept) {
    fake_kept = *kept;
}

static void fake_env_keep_bitten(UNUSED const struct dev_env *env, bool bitten) {
    fake_bitten = bitten;
}

static uint64_t fake_env_tsc(void) {
    return 0;
}
static const struct dev_clock fake_env_clock = {.host_tsc = fake_env_tsc, .tsc_hz = 1000000000};

/* RAM for devices that read and write it. */
static _Alignas(4096) uint8_t fake_ram[0x10000];
static const struct guest_region fake_env_regions[] = {{0, sizeof(fake_ram), fake_ram}};
static const struct guest_memory fake_env_memory = {fake_env_regions, 1, 0};

/* What the config gives the guest: nothing, unless a test says so before fake_pc_start(). */
static struct abi_devices fake_devices;
static struct abi_counts fake_counts;

static struct dev_env fake_env = {
    .clock = &fake_env_clock,
    .msi = fake_env_msi,
    .intr = fake_env_intr,
    .reschedule = fake_env_reschedule,
    .transmit = fake_env_transmit,
    .memory = &fake_env_memory,
    .bell = fake_env_bell,
    .random = fake_env_random,
    .stop = fake_env_stop,
    .event = fake_env_event,
    .keep = fake_env_keep,
    .keep_bitten = fake_env_keep_bitten,
    .counts = &fake_counts,
};

/* Power on, over the rests of something else: a reset leaves none of them. */
static inline void fake_pc_start(void) {
    memset(&fake_pc, 0xa5, sizeof(fake_pc));
    memset(fake_pc.rtc.kept.ram, 0, sizeof(fake_pc.rtc.kept.ram));
    fake_pc.rtc.kept.offset = 0;
    fake_pc.watchdog.bitten = fake_bitten = false;
    memset(&fake_counts, 0, sizeof(fake_counts));
    platform_init(&fake_pc, &fake_env, &fake_devices);
    fake_reschedules = fake_power_offs = fake_resets = fake_sleeps = fake_bios_calls = fake_bites =
        0;
}

/* The same with no wires between the devices. */
static inline void fake_pc_start_apart(void) {
    fake_pc_start();
    fake_pc.env.irq = fake_env_irq;
}

/* What nobody answers reads as all ones. */
static inline uint64_t fake_in(uint64_t port, unsigned size) {
    return platform_read(&fake_pc, BUS_PORT, port, size).value;
}

static inline void fake_out(uint64_t port, unsigned size, uint64_t value) {
    (void)platform_write(&fake_pc, BUS_PORT, port, size, value);
}

#endif
