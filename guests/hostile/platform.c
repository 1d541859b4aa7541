/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: the devices of a guest's PC, programmed as nobody would. Each leaves them usable. */
#include "guests/hostile/hostile.h"

#define COM1 0x3f8

static void uart_usable(void) {
    out8(COM1 + 3, 0x03);
    out8(COM1 + 1, 0);
    out8(COM1 + 2, 0x07);
    out8(COM1 + 4, 0x03);
}

/* But for the data register, which would be seen. */
const char *act_uart(void) {
    for (unsigned value = 0; value < 256; value++) {
        for (uint16_t reg = 1; reg < 8; reg++) {
            out8((uint16_t)(COM1 + reg), (uint8_t)value);
            (void)in8((uint16_t)(COM1 + reg));
            (void)in16((uint16_t)(COM1 + (reg & 6)));
        }
    }
    uart_usable();
    return saw((in8(COM1 + 5) & 0x60) == 0x60, "done");
}

const char *act_flood(void) {
    for (unsigned i = 0; i < 20000; i++) {
        out8(COM1, i % 64 == 63 ? '\n' : (uint8_t)('a' + i % 26));
    }
    while ((in8(COM1 + 5) & 0x40) == 0) {
        __builtin_ia32_pause();
    }
    put_text("\n");
    return "done";
}

const char *act_sleep_types(void) {
    for (uint16_t type = 0; type < 8; type++) {
        if (type != 5) {
            out16(0x604, (uint16_t)(type << 10 | 1u << 13));
        }
    }
    out16(0x604, 1);
    return "still on";
}

/* The status of an earlier one is cleared first: it has to come anew. */
const char *act_sleep_wakes(void) {
    unsigned woken = 0;
    for (uint16_t type = 1; type <= 3; type++) {
        out16(0x600, 1u << 15);
        bool before = (in16(0x600) & 1u << 15) != 0;
        out16(0x604, (uint16_t)(type << 10 | 1u << 13));
        woken += !before && (in16(0x600) & 1u << 15) != 0;
    }
    out16(0x604, 1);
    out16(0x600, 1u << 15);
    return saw(woken == 3, "awake at once");
}

const char *act_reset_values(void) {
    for (unsigned value = 0; value < 256; value++) {
        if ((value & 4) == 0) {
            out8(0xcf9, (uint8_t)value);
        }
        if (value != 0xfe) {
            out8(0x64, (uint8_t)value);
        }
        if ((value & 1) == 0) {
            out8(0x92, (uint8_t)value);
        }
    }
    out8(0xcf9, 0);
    out8(0x92, 2);
    return "still on";
}

static uint32_t pci_read(uint32_t address) {
    out32(0xcf8, 0x80000000 | address);
    return in32(0xcfc);
}

const char *act_pci(void) {
    unsigned found = 0;
    for (uint32_t function = 0; function < 0x10000; function += 8) {
        found += pci_read(function << 8) != UINT32_MAX;
    }
    out32(0xcf8, 0);
    return saw(found == 4, "four devices"); /* bridge, entropy, console, sockets */
}

const char *act_pci_write(void) {
    bool same = true;
    for (uint32_t reg = 0; reg < 0x100; reg += 4) {
        uint32_t before = pci_read(reg);
        out32(0xcfc, UINT32_MAX);
        same = pci_read(reg) == before && same;
    }
    out32(0xcf8, 0);
    return saw(same, "unchanged");
}

const char *act_cmos(void) {
    static const uint8_t clock[] = {0, 2, 4, 6, 7, 8, 9, 0x32};
    for (unsigned i = 0; i < 256; i++) {
        out8(0x70, (uint8_t)i);
        (void)in8(0x71);
    }
    for (unsigned value = 0; value < 256; value++) {
        for (size_t i = 0; i < COUNT(clock); i++) {
            out8(0x70, clock[i]);
            out8(0x71, (uint8_t)value);
        }
    }
    return "done";
}

const char *act_post(void) {
    for (unsigned i = 0; i < 10000; i++) {
        out8(0x80, (uint8_t)i);
    }
    return "done";
}
