/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `make coverage`: the operator's "host-reset yes" prints the hypervisor's counters first, and a
 * panic prints them after its last line.
 */
#include "tests/coverage/dump.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The linker's --wrap: callers of X come to __wrap_X, and __real_X is X. */
size_t __real_plat_serial_write(const uint8_t *bytes, size_t n);
size_t __wrap_plat_serial_write(const uint8_t *bytes, size_t n);
void __real_plat_machine_reset(void);
void __wrap_plat_machine_reset(void);
void __real_serial_write_polled(const char *text);
void __wrap_serial_write_polled(const char *text);

static bool dumping;

/* Guests go on, and what they say would stand between our lines. */
size_t __wrap_plat_serial_write(const uint8_t *bytes, size_t n) {
    if (__atomic_load_n(&dumping, __ATOMIC_ACQUIRE)) {
        return n;
    }
    return __real_plat_serial_write(bytes, n);
}

void __wrap_plat_machine_reset(void) {
    __atomic_store_n(&dumping, true, __ATOMIC_RELEASE);
    coverage_dump();
    __real_plat_machine_reset();
}

static bool begins_with(const char *text, const char *begin) {
    while (*begin != '\0' && *text == *begin) {
        text++;
        begin++;
    }
    return *begin == '\0';
}

/* Nothing else is written so but a panic, and each of its lines ends with a call of its own. */
void __wrap_serial_write_polled(const char *text) {
    static bool last_line;
    __real_serial_write_polled(text);
    if (last_line) {
        __atomic_store_n(&dumping, true, __ATOMIC_RELEASE);
        coverage_dump();
    }
    last_line = begins_with(text, "The machine is stopped");
}
