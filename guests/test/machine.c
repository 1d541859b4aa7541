/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ground under a test guest: serial line, TAP, traps, page tables, time, command line. Knows no
 * test. Everything is polled and static; what a test does not expect ends it with a report.
 * Called by start.S, the tests and guests/bench.
 */
#include "guests/test/guest.h"

#define COM1 0x3f8

#define PAGE_PRESENT_WRITE 0x003ull
#define PAGE_UNCACHED      0x018ull /* PWT, PCD */
#define PAGE_LARGE         0x080ull
#define LARGE_SIZE         0x200000ull
#define MAP_GIB            8 /* mapped one to one */
#define WINDOW             (1ull << 39)

struct machine machine;
struct trap trap_last;
uint64_t trap_resume, trap_stack;
bool nmi_expected;
volatile uint64_t irq_count[256], irq_tsc[256], irq_stack[256];

static const char *tap_group;
static unsigned tap_count, tap_failed;

struct idt_entry {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
};
static struct idt_entry idt[256];
extern const uint8_t image_start[], image_end[];

static uint64_t pml4[512] __attribute__((aligned(4096)));
static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t directories[MAP_GIB][512] __attribute__((aligned(4096)));
static uint64_t window_pdpt[512] __attribute__((aligned(4096)));
static uint64_t window_directory[512] __attribute__((aligned(4096)));

void put_char(char c) {
    while ((in8(COM1 + 5) & 0x20) == 0) {
        __builtin_ia32_pause();
    }
    out8(COM1, (uint8_t)c);
}

void put_text(const char *text) {
    for (; *text != 0; text++) {
        if (*text == '\n') {
            put_char('\r');
        }
        put_char(*text);
    }
}

void put_decimal(uint64_t value) {
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (n > 0) {
        put_char(digits[--n]);
    }
}

void put_hex(uint64_t value) {
    put_text("0x");
    for (int shift = 60; shift >= 0; shift -= 4) {
        if (value >> shift != 0 || shift == 0) {
            put_char("0123456789abcdef"[value >> shift & 15]);
        }
    }
}

bool char_waiting(void) {
    return (in8(COM1 + 5) & 1) != 0;
}

char get_char(void) {
    while (!char_waiting()) {
        __builtin_ia32_pause();
    }
    return (char)in8(COM1);
}

bool text_equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool option_text(const char *name, char *out, size_t size) {
    for (const char *p = machine.cmdline; *p != 0;) {
        const char *n = name;
        while (*n != 0 && *p == *n) {
            p++;
            n++;
        }
        if (*n == 0 && *p == '=') {
            size_t i = 0;
            for (p++; *p != 0 && *p != ' ' && i + 1 < size; p++) {
                out[i++] = *p;
            }
            out[i] = 0;
            return true;
        }
        while (*p != 0 && *p != ' ') {
            p++;
        }
        while (*p == ' ') {
            p++;
        }
    }
    return false;
}

uint64_t option_number(const char *name, uint64_t otherwise) {
    char text[24];
    if (!option_text(name, text, sizeof(text))) {
        return otherwise;
    }
    uint64_t value = 0;
    for (const char *p = text; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
    }
    return value;
}

void tap_begin(const char *group) {
    tap_group = group;
    tap_count = 0;
    tap_failed = 0;
    put_text("TAP version 13\n");
}

static void tap_result(bool ok, const char *text) {
    tap_failed += !ok;
    put_text(ok ? "ok " : "not ok ");
    put_decimal(++tap_count);
    put_text(" - ");
    put_text(text);
}

void tap_line(bool ok, const char *text) {
    tap_result(ok, text);
    put_text("\n");
}

void tap_line_value(bool ok, const char *text, uint64_t seen) {
    tap_result(ok, text);
    if (!ok) {
        put_text(" # saw ");
        put_hex(seen);
    }
    put_text("\n");
}

void tap_skip(const char *text, const char *why) {
    tap_result(true, text);
    put_text(" # SKIP ");
    put_text(why);
    put_text("\n");
}

void tap_note(const char *text, uint64_t value) {
    put_text("# ");
    put_text(text);
    put_text(" ");
    put_hex(value);
    put_text("\n");
}

void tap_bail_out(const char *why) {
    put_text("Bail out! ");
    put_text(why);
    put_text("\n");
}

void tap_end(void) {
    put_text("1..");
    put_decimal(tap_count);
    put_text("\n# done: ");
    put_text(tap_group);
    put_text(" ");
    put_decimal(tap_count - tap_failed);
    put_text(" passed, ");
    put_decimal(tap_failed);
    put_text(" failed\n");
}

void trap_handle(struct trap_frame *frame) {
    if (frame->vector >= 32 || (frame->vector == 2 && nmi_expected)) {
        irq_tsc[frame->vector] = read_tsc();
        irq_stack[frame->vector] = (uint64_t)(uintptr_t)frame;
        __atomic_fetch_add(&irq_count[frame->vector], 1, __ATOMIC_SEQ_CST);
        if (frame->vector >= 32) {
            apic_eoi();
        }
        return;
    }
    uint64_t cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    trap_last = (struct trap){(uint32_t)frame->vector, frame->error, frame->rip, cr2};
    if (trap_resume != 0) {
        frame->rip = trap_resume;
        frame->rflags &= ~0x100ull; /* a single step is one */
        if ((frame->cs & 3) != 0) {
            frame->cs = 0x10;
            frame->ss = 0x18;
            frame->rsp = trap_stack;
        }
        return;
    }
    put_text("Bail out! unexpected trap ");
    put_decimal(frame->vector);
    put_text(" error ");
    put_hex(frame->error);
    put_text(" rip ");
    put_hex(frame->rip);
    put_text(" cr2 ");
    put_hex(cr2);
    put_text("\n");
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

uint32_t try_read_msr(uint32_t msr, uint64_t *value) {
    uint32_t low = 0, high = 0;
    TRY("rdmsr", ("+a"(low), "+d"(high)), ("c"(msr)));
    *value = (uint64_t)high << 32 | low;
    return trap_last.vector;
}

uint32_t try_write_msr(uint32_t msr, uint64_t value) {
    TRY("wrmsr", (), ("c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
    return trap_last.vector;
}

volatile void *map_physical(uint64_t address) {
    window_directory[0] =
        (address & ~(LARGE_SIZE - 1)) | PAGE_PRESENT_WRITE | PAGE_UNCACHED | PAGE_LARGE;
    __asm__ volatile("invlpg (%0)" ::"r"(WINDOW) : "memory");
    return (volatile void *)(WINDOW + (address & (LARGE_SIZE - 1)));
}

static uint64_t address_of(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

/* One to one up to MAP_GIB, the gap below 4 GiB uncached because devices live there. */
static void build_page_tables(void) {
    pml4[0] = address_of(pdpt) | PAGE_PRESENT_WRITE;
    pml4[1] = address_of(window_pdpt) | PAGE_PRESENT_WRITE;
    window_pdpt[0] = address_of(window_directory) | PAGE_PRESENT_WRITE;
    for (uint64_t g = 0; g < MAP_GIB; g++) {
        pdpt[g] = address_of(directories[g]) | PAGE_PRESENT_WRITE;
        for (uint64_t i = 0; i < 512; i++) {
            directories[g][i] = ((g << 30) + i * LARGE_SIZE) | PAGE_PRESENT_WRITE | PAGE_LARGE |
                                (g == 3 ? PAGE_UNCACHED : 0);
        }
    }
    __asm__ volatile("mov %0, %%cr3" ::"r"(address_of(pml4)) : "memory");
}

void trap_set(uint8_t vector, const uint8_t *entry) {
    uint64_t to = address_of(entry);
    idt[vector] = (struct idt_entry){(uint16_t)to,         0x10, 0x8e00, (uint16_t)(to >> 16),
                                     (uint32_t)(to >> 32), 0};
}

void idt_load(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, address_of(idt)};
    __asm__ volatile("lidt %0" ::"m"(idtr));
}

static void build_idt(void) {
    for (unsigned i = 0; i < 256; i++) {
        trap_set((uint8_t)i, trap_stubs[i]);
    }
    idt_load();
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t load64(const uint8_t *p) {
    return load32(p) | (uint64_t)load32(p + 4) << 32;
}

static void add_memory(const uint8_t *entry) {
    machine.e820[machine.e820_count++] =
        (struct e820_entry){load64(entry), load64(entry + 8), load32(entry + 16)};
}

/* Source: Linux Documentation/arch/x86/zero-page.rst. */
static void read_boot_params(const uint8_t *boot) {
    machine.cmdline = (const char *)(uintptr_t)load32(boot + 0x228);
    for (unsigned i = 0; i < boot[0x1e8] && i < COUNT(machine.e820); i++) {
        add_memory(boot + 0x2d0 + i * 20);
    }
}

/* Source: Xen public header arch-x86/hvm/start_info.h, version 1. */
static void read_pvh_info(const uint8_t *info) {
    const uint8_t *map = (const uint8_t *)(uintptr_t)load64(info + 40);
    machine.cmdline = (const char *)(uintptr_t)load64(info + 24);
    for (unsigned i = 0; i < load32(info + 48) && i < COUNT(machine.e820); i++) {
        add_memory(map + i * 24);
    }
}

/* CPUID 15h; a bare machine without it gets a round number, good enough for pauses. */
static uint64_t tsc_frequency(void) {
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[0] >= 0x15) {
        cpuid(0x15, 0, r);
        if (r[0] != 0 && r[2] != 0) {
            return (uint64_t)r[2] * r[1] / r[0];
        }
    }
    return 1000000000;
}

void guest_start(const uint8_t *boot_params, const uint32_t *pvh_info) {
    build_page_tables();
    build_idt();
    machine.cmdline = "";
    if (boot_params != NULL) {
        read_boot_params(boot_params);
    } else {
        read_pvh_info((const uint8_t *)pvh_info);
    }
    machine.tsc_hz = tsc_frequency();
    machine.image_base = address_of(image_start);
    machine.image_size = address_of(image_end) - address_of(image_start);
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 0x80);
    out8(COM1, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 0x03);
    out8(COM1 + 4, 0x03); /* FIFOs as they are: what was typed meanwhile is not lost */
    guest_main();
}
