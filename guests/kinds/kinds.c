/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guests of each kind share: serial line, TAP, the checks that several of them make. */
#include "guests/kinds/kinds.h"

#define COM1         0x3f8
#define LINE_STATUS  (COM1 + 5)
#define SENT         0x20
#define ALL_SENT     0x40
#define PM1A_CONTROL 0x604
#define SLEEP_S5     (5u << 10 | 1u << 13)

static unsigned passed, failed;

/* Lie in different sections of the file: both must have come along, and the zeros be zero. */
static volatile uint32_t in_data = 0x12345678;
static volatile uint32_t in_bss[2048];

static void wait_line(uint8_t state) {
    uint8_t value;
    do {
        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)LINE_STATUS));
    } while ((value & state) == 0);
}

static void put(const char *text) {
    for (; *text != '\0'; text++) {
        wait_line(SENT);
        __asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((uint16_t)COM1));
    }
}

static void put_number(uint64_t value, unsigned base) {
    char digits[20];
    unsigned i = sizeof(digits);
    uint32_t parts[2] = {(uint32_t)(value >> 32), (uint32_t)value};
    digits[--i] = '\0';
    do { /* 64 by 32 bits by hand: there is no library for it */
        uint32_t rest = 0;
        for (unsigned j = 0; j < 2; j++) {
            for (int bit = 31; bit >= 0; bit--) {
                rest = rest << 1 | (parts[j] >> bit & 1);
                uint32_t fits = rest >= base;
                rest -= fits != 0 ? base : 0;
                parts[j] = (parts[j] & ~(1u << bit)) | fits << bit;
            }
        }
        digits[--i] = "0123456789abcdef"[rest];
    } while ((parts[0] | parts[1]) != 0 && i > 0);
    put(digits + i);
}

void tap(bool ok, const char *text, uint64_t seen) {
    *(ok ? &passed : &failed) += 1;
    put(ok ? "ok " : "not ok ");
    put_number(passed + failed, 10);
    put(" - ");
    put(text);
    if (!ok) {
        put(": seen 0x");
        put_number(seen, 16);
    }
    put("\r\n");
}

bool text_equal(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

void tap_module(uint64_t address, uint64_t size) {
    static const char want[] = KINDS_MODULE;
    const char *at = (const char *)(uintptr_t)address;
    bool same = size == sizeof(want) - 1;
    for (size_t i = 0; same && i < size; i++) {
        same = at[i] == want[i];
    }
    tap(address % 4096 == 0 && address >= 0x100000, "the file is page-aligned above 1 MiB",
        address);
    tap(same, "the file is there whole", size);
}

void tap_common(const struct first_state *s) {
    tap((s->flags & 0x600) == 0, "interrupts and direction flag are off", s->flags);
    tap((s->cr0 & 1) != 0, "protection is on", s->cr0);
    tap(s->ds == 0x18 && s->es == 0x18 && s->ss == 0x18, "DS, ES, SS are 18h", s->ds);
    tap(s->cs == 0x10, "CS is 10h", s->cs);
    tap(in_data == 0x12345678, "initialised data", in_data);
    uint32_t bits = 0;
    for (size_t i = 0; i < COUNT(in_bss); i++) {
        bits |= in_bss[i];
    }
    tap(bits == 0, "zeroed data", bits);
}

static uint64_t number(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    while (bytes-- > 0) {
        value = value << 8 | at[bytes];
    }
    return value;
}

void tap_map(const uint8_t *map, uint64_t count, unsigned step) {
    /* 0 = must be RAM, 1 = must not be. */
    static const struct {
        uint64_t at;
        bool ram;
        const char *text;
    } places[] = {
        {0x1000, true, "page 1 is RAM"},
        {0x9f000, true, "639 KiB are RAM"},
        {0x9fc00, false, "the EBDA is not RAM"},
        {0xa0000, false, "A0000h is not RAM"},
        {0xfffff, false, "FFFFFh is not RAM"},
        {0x100000, true, "1 MiB is RAM"},
        {0xe0000000, false, "E0000000h is not RAM"},
        {0xfec00000, false, "the I/O APIC is not RAM"},
        {0xfee00000, false, "the local APIC is not RAM"},
        {0xffffffff, false, "the last byte below 4 GiB is not RAM"},
    };
    uint64_t before = 0;
    bool ascending = true;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t base = number(map + i * step, 8);
        ascending = ascending && base >= before;
        before = base + number(map + i * step + 8, 8);
    }
    tap(count > 3 && ascending, "the memory map is in order", count);
    for (size_t p = 0; p < COUNT(places); p++) {
        bool ram = false;
        for (uint64_t i = 0; i < count; i++) {
            const uint8_t *e = map + i * step;
            ram = ram || (number(e + 16, 4) == 1 && places[p].at - number(e, 8) < number(e + 8, 8));
        }
        tap(ram == places[p].ram, places[p].text, ram);
    }
}

void kinds_start(const struct first_state *s) {
    put("\r\n");
    kind_main(s);
    put("done: ");
    put_number(passed, 10);
    put(" passed, ");
    put_number(failed, 10);
    put(" failed\r\n");
    wait_line(ALL_SENT);
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)SLEEP_S5), "Nd"((uint16_t)PM1A_CONTROL));
    for (;;) {
        __asm__ volatile("hlt");
    }
}
