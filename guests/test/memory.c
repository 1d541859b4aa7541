/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: what is outside must read as all ones and forget what is written; what is inside must
 * come up zeroed, also after a restart.
 */
#include "guests/test/guest.h"

#define RAM       1 /* e820 types */
#define ACPI      3
#define ACPI_NVS  4
#define GIB       0x40000000ull
#define LOW_END   0x100000ull
#define PATTERN   0x6b6c756264616568ull
#define MAX_NAMED 3

static bool is_memory(uint32_t type) {
    return type == RAM || type == ACPI || type == ACPI_NVS;
}

static uint64_t ram_end(void) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < machine.e820_count; i++) {
        uint64_t last = machine.e820[i].base + machine.e820[i].size;
        if (is_memory(machine.e820[i].type) && last > end && machine.e820[i].base < 3 * GIB) {
            end = last;
        }
    }
    return end;
}

/* Reads all ones in each size, before and after a write. Plain MOVs, so that they can be decoded.
 */
static bool nothing_at(uint64_t address) {
    volatile void *p = map_physical(address);
    uint8_t b;
    uint16_t w;
    uint32_t d;
    uint64_t q;
    bool empty = true;
    for (unsigned round = 0; round < 2; round++) {
        __asm__ volatile("movb %1, %0" : "=q"(b) : "m"(*(volatile uint8_t *)p));
        __asm__ volatile("movw %1, %0" : "=r"(w) : "m"(*(volatile uint16_t *)p));
        __asm__ volatile("movl %1, %0" : "=r"(d) : "m"(*(volatile uint32_t *)p));
        __asm__ volatile("movq %1, %0" : "=r"(q) : "m"(*(volatile uint64_t *)p));
        empty = empty && b == 0xff && w == 0xffff && d == 0xffffffff && q == ~0ull;
        __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)p) : "r"(0x12345678));
    }
    return empty;
}

static bool is_own(uint64_t address) {
    return address - machine.image_base < machine.image_size;
}

/* Calls visit for each page of RAM that is nobody's: from 1 MiB up, without the guest's own image.
 */
static uint64_t each_free_page(void (*visit)(uint64_t *page, uint64_t *bad)) {
    uint64_t bad = 0;
    for (uint32_t i = 0; i < machine.e820_count; i++) {
        uint64_t base = machine.e820[i].base, end = base + machine.e820[i].size;
        for (uint64_t a = base; machine.e820[i].type == RAM && end - a >= 0x1000; a += 0x1000) {
            if (a >= LOW_END && !is_own(a)) {
                visit((uint64_t *)(uintptr_t)a, &bad);
            }
        }
    }
    return bad;
}

static void page_check_zero(uint64_t *page, uint64_t *bad) {
    uint64_t count = 512, *at = page;
    bool zero;
    __asm__ volatile("repe scasq" : "+D"(at), "+c"(count), "=@ccz"(zero) : "a"(0ull) : "memory");
    if (!zero && (*bad)++ < MAX_NAMED) {
        put_text("# not zero: ");
        put_hex((uint64_t)(uintptr_t)(at - 1));
        put_text("\n");
    }
}

static void page_fill(uint64_t *page, uint64_t *bad) {
    uint64_t count = 512, *at = page;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(count) : "a"(PATTERN) : "memory");
    *bad += *page != PATTERN;
}

/* memory=N on the command line: MiB that the configuration gives. */
void test_memory_probe(void) {
    uint64_t sum = 0;
    bool ordered = true;
    for (uint32_t i = 0; i < machine.e820_count; i++) {
        if (machine.e820[i].base < LOW_END || is_memory(machine.e820[i].type)) {
            sum += machine.e820[i].size;
        }
        ordered = ordered && (i == 0 || machine.e820[i].base >=
                                            machine.e820[i - 1].base + machine.e820[i - 1].size);
    }
    uint64_t want = option_number("memory", 0) << 20;
    tap_line(ordered, "the memory map is sorted, without overlap");
    /* The hole for VGA and firmware below 1 MiB need not be listed. */
    tap_line_value(sum <= want && want - sum <= 0x60400,
                   "the memory map adds up to the configuration", sum);
    uint64_t bad = each_free_page(page_check_zero);
    tap_line_value(bad == 0, "every free page is zero at start", bad);
    tap_line(nothing_at((ram_end() + 0xfff) & ~0xfffull), "the page behind the RAM is not there");
}

void test_memory_dirty(void) {
    uint64_t bad = each_free_page(page_fill);
    tap_line_value(bad == 0, "every free page takes a pattern", bad);
}
