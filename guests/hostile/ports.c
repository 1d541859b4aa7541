/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: every port that nobody answers. What a PC of Bulkhead's has, or may get, is left out here;
 * a port of nobody reads as all ones and forgets what is written, and each try is counted.
 */
#include "guests/hostile/hostile.h"

/* Interrupt controllers, timer, keyboard controller and port 61h, CMOS, POST code, port 92h, ELCR,
 * UART, ACPI, calls to a BIOS, PCI. */
static const struct {
    uint16_t first, count;
} owned[] = {{0x20, 2}, {0x40, 4},  {0x60, 2},  {0x64, 1},   {0x70, 2},  {0x80, 1}, {0x92, 1},
             {0xa0, 2}, {0x4d0, 2}, {0x3f8, 8}, {0x600, 12}, {0x610, 4}, {0xcf8, 8}};

/* Does an access of size bytes touch a port that somebody has? */
static bool is_owned(uint32_t port, unsigned size) {
    for (size_t i = 0; i < COUNT(owned); i++) {
        if (port < owned[i].first + owned[i].count && port + size > owned[i].first) {
            return true;
        }
    }
    return false;
}

/* Runs statement for each port of nobody. */
#define EACH_PORT(size, statement)                                                                 \
    for (uint32_t n = 0; n < 0x10000; n++) {                                                       \
        uint16_t port = (uint16_t)n;                                                               \
        if (!is_owned(n, size)) {                                                                  \
            statement;                                                                             \
            tell(1);                                                                               \
        }                                                                                          \
    }

const char *act_read8(void) {
    bool ones = true;
    EACH_PORT(1, ones = in8(port) == 0xff && ones)
    return saw(ones, "all ones");
}

const char *act_read16(void) {
    bool ones = true;
    EACH_PORT(2, ones = in16(port) == 0xffff && ones)
    return saw(ones, "all ones");
}

const char *act_read32(void) {
    bool ones = true;
    EACH_PORT(4, ones = in32(port) == 0xffffffff && ones)
    return saw(ones, "all ones");
}

const char *act_write8(void) {
    EACH_PORT(1, out8(port, (uint8_t)port))
    return "done";
}

const char *act_write32(void) {
    EACH_PORT(4, out32(port, 0x68756853))
    return "done";
}

const char *act_across(void) {
    static const uint16_t ports[] = {0x42, 0x71, 0x80, 0x3fe, 0x60a, 0xcfe};
    bool ones = true;
    for (size_t i = 0; i < COUNT(ports); i++) {
        ones = in32(ports[i]) == 0xffffffff && ones;
        tell(1);
    }
    return saw(ones, "all ones");
}
