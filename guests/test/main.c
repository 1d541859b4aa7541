/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test guest: runs the group of tests that test=NAME on its command line names, or with
 * test=interactive prints "ready>" and takes names from its serial line. test=heartbeat counts for
 * ever and answers each line. Driven by tests/system. A group is a function, in a file with what
 * belongs together, declared in guest.h and named in the table here; it prints TAP.
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

struct group {
    const char *name;
    void (*run)(void);
};
/* Sorted by name. */
static const struct group groups[] = {
    {"alive", say_nothing_happened},
    {"apic", test_apic},
    {"badmmio", crash_device_fpu},
    {"cpuid", test_cpuid},
    {"dirty", test_memory_dirty},
    {"hang", hang},
    {"hang-exits", hang_in_exits},
    {"hypercall", test_hypercall},
    {"interrupts", test_interrupts},
    {"jump", crash_jump},
    {"memory-probe", test_memory_probe},
    {"msr", test_msr},
    {"ports", test_ports},
    {"poweroff", power_off},
    {"reboot", reboot},
    {"string-io", test_string_io},
    {"timers", test_timers},
    {"triple", crash_triple},
    {"unmapped", test_unmapped},
    {"violate", violate},
    {"vmxon", test_vmxon},
};

/* line: "NAME" or "NAME TAG"; the tag comes back in the first line, so that runs can be told apart.
 */
static void run_group(char *line) {
    char *end = line;
    put_text("# begin ");
    put_text(line);
    put_text("\n");
    while (*end != 0 && *end != ' ') {
        end++;
    }
    *end = 0;
    for (size_t i = 0; i < COUNT(groups); i++) {
        if (text_equal(groups[i].name, line)) {
            interrupts_off();
            tap_begin(line);
            groups[i].run();
            tap_end();
            return;
        }
    }
    tap_bail_out("no such group");
}

/* One character of a line with echo; true when the line is complete. */
static bool take_char(char *line, size_t size, size_t *length) {
    char c = get_char();
    if (c == '\r' || c == '\n') {
        line[*length] = 0;
        *length = 0;
        put_text("\n");
        return true;
    }
    if ((c == '\b' || c == 0x7f) && *length > 0) {
        (*length)--;
        put_text("\b \b");
    } else if (c >= ' ' && c < 0x7f && *length + 1 < size) {
        line[(*length)++] = c;
        put_char(c);
    }
    return false;
}

static void run_interactive(void) {
    char line[40];
    size_t length = 0;
    for (;;) {
        put_text("ready> ");
        interrupts_on();
        while (!take_char(line, sizeof(line), &length)) {
        }
        if (line[0] != 0) {
            run_group(line);
        }
    }
}

/* period=MS on the command line, 10 by default. */
static void run_heartbeat(void) {
    uint64_t period = machine.tsc_hz / 1000 * option_number("period", 10);
    uint64_t next = read_tsc();
    char line[16];
    size_t length = 0;
    interrupts_on();
    for (uint64_t beat = 1;; beat++) {
        put_text("beat ");
        put_decimal(beat);
        put_text("\n");
        for (next += period; (int64_t)(read_tsc() - next) < 0;) {
            if (char_waiting() && take_char(line, sizeof(line), &length)) {
                put_text("answer ");
                put_text(line);
                put_text(" at ");
                put_decimal(beat);
                put_text("\n");
            }
            __builtin_ia32_pause();
        }
    }
}

void guest_main(void) {
    char name[40] = "interactive";
    (void)option_text("test", name, sizeof(name));
    put_text("\n# test guest: ");
    put_text(machine.cmdline);
    put_text("\n");
    if (text_equal(name, "heartbeat")) {
        run_heartbeat();
    }
    if (!text_equal(name, "interactive")) {
        run_group(name);
    }
    run_interactive();
}
