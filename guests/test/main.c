/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test guest: the table of its groups of tests, which shell.c runs by name. A group is a
 * function, in a file with what belongs together, declared in guest.h; it prints TAP.
 */
#include "guests/test/guest.h"

#define PM1A_CONTROL 0x604
#define SLEEP_S5     (5u << 10 | 1u << 13)
#define RESET_PORT   0xcf9

static void power_off(void) {
    out16(PM1A_CONTROL, SLEEP_S5);
    tap_line(false, "power-off returned");
}

static void reboot(void) {
    out8(RESET_PORT, 0x06);
    tap_line(false, "reset returned");
}

/* Reaches for one forbidden thing; with on_violation = "stop" the line after it never comes. */
static void violate(void) {
    uint64_t value;
    put_text("# reading an MSR that is not there\n");
    tap_line(try_read_msr(0x9e, &value) == 13, "still running, #GP");
}

/* Never gives the CPU back by itself; only its owner can end this. */
static void hang(void) {
    /* Bochs 2.7 gives a guest with IF clear one host interrupt after a change of IF, and no more:
     * so the timer that watches its compartment has to be through before. */
    for (uint64_t start = read_tsc(); read_tsc() - start < 3 * machine.tsc_hz / 2;) {
        __builtin_ia32_pause();
    }
    interrupts_on();
    interrupts_off();
    for (;;) {
        __asm__ volatile("");
    }
}

/* The same with a way out at every turn. */
static void hang_in_exits(void) {
    uint32_t r[4];
    interrupts_off();
    for (;;) {
        cpuid(0, 0, r);
    }
}

static void say_nothing_happened(void) {
    tap_line(true, "alive");
}

/* Sorted by name. */
static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"alive", say_nothing_happened},
    {"apic", test_apic},
    {"cpuid", test_cpuid},
    {"debug", test_debug},
    {"decoder", test_decoder},
    {"dirty", test_memory_dirty},
    {"events", test_events},
    {"give-up", give_up},
    {"hang", hang},
    {"hang-exits", hang_in_exits},
    {"hypercall", test_hypercall},
    {"interrupts", test_interrupts},
    {"jump", crash_jump},
    {"memory-probe", test_memory_probe},
    {"move", test_being_moved},
    {"msr", test_msr},
    {"paging", test_paging},
    {"platform", test_platform},
    {"poweroff", power_off},
    {"reboot", reboot},
    {"reset-loop", reset_loop},
    {"smp", test_smp},
    {"storm-all", storm_all},
    {"storm-console", storm_console},
    {"storm-exits", storm_exits},
    {"storm-log", storm_log},
    {"string-io", test_string_io},
    {"timers", test_timers},
    {"violate", violate},
    {"vmxon", test_vmxon},
    {"watchdog", test_watchdog},
    {"work", work},
};

bool group_run(const char *name) {
    for (size_t i = 0; i < COUNT(groups); i++) {
        if (text_equal(groups[i].name, name)) {
            groups[i].run();
            return true;
        }
    }
    return false;
}
