/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware's course: interrupt controllers, tables, then the kernel. If that cannot be started
 * the reason goes to the serial line and to the hypervisor, for which it is a crash. Owns the only
 * port accesses.
 */
#include "guests/firmware/firmware.h"

#define COM1        0x3f8
#define LINE_STATUS (COM1 + 5)
#define SENT        0x20 /* room for a byte */
#define ALL_SENT    0x40

void *memcpy(void *dst, const void *src, size_t n) {
    void *to = dst;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(n) : : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n) {
    if (dst == src) {
        return dst;
    }
    if ((uintptr_t)dst - (uintptr_t)src >= n) { /* also where dst is the lower one */
        return memcpy(dst, src, n);
    }
    uint8_t *to = (uint8_t *)dst + n - 1;
    const uint8_t *from = (const uint8_t *)src + n - 1;
    __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory", "cc");
    return dst;
}

void *memset(void *dst, int c, size_t n) {
    void *to = dst;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n > 0; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

static void wait_line(uint8_t state) {
    uint8_t value;
    do {
        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)LINE_STATUS));
    } while ((value & state) == 0);
}

static void print(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        wait_line(SENT);
        __asm__ volatile("outb %0, %1" : : "a"(text[i]), "Nd"((uint16_t)COM1));
    }
}

static int is_intel(void) {
    uint32_t eax = 0, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx == 0x756e6547; /* "Genu"ineIntel */
}

/*
 * Does not return: a CPU that does not know the instruction raises #UD, and without an IDT that is
 * a triple fault, a crash as well.
 */
static void tell_hypervisor(const char *text, size_t length) {
    if (is_intel()) {
        __asm__ volatile("vmcall" : : "a"(HYPERCALL_GIVE_UP), "b"(text), "c"(length) : "memory");
    }
    __asm__ volatile("vmmcall" : : "a"(HYPERCALL_GIVE_UP), "b"(text), "c"(length) : "memory");
}

static size_t append(char *text, size_t at, size_t size, const char *more) {
    while (*more != '\0' && at < size) {
        text[at++] = *more++;
    }
    return at;
}

static void give_up(const char *why) {
    static char text[HYPERCALL_TEXT_MAX];
    size_t length = append(text, 0, sizeof(text), "firmware: the kernel ");
    length = append(text, length, sizeof(text), why);
    print(text, length);
    print("\r\n", 2);
    wait_line(ALL_SENT);
    tell_hypervisor(text, length);
}

/*
 * As a PC's firmware leaves the interrupt controllers: 8259s initialized and masked, the SCI a
 * level, in front of the local APIC in virtual wire mode.
 * Source: Intel MultiProcessor Specification "Virtual Wire Mode".
 */
static void set_up_interrupts(uint8_t *memory) {
    static const struct {
        uint16_t port;
        uint8_t value;
    } pic[] = {
        {0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04}, {0x21, 0x01}, {0x21, 0xff}, {0x4d0, 0x00},
        {0xa0, 0x11}, {0xa1, 0x70}, {0xa1, 0x02}, {0xa1, 0x01}, {0xa1, 0xff}, {0x4d1, 0x02},
    };
    static const struct {
        uint32_t address, value;
    } apic[] = {
        {0xfee000f0, 0x1ff}, /* spurious vector, enabled */
        {0xfee00350, 0x700}, /* LINT0: ExtINT */
        {0xfee00360, 0x400}, /* LINT1: NMI */
    };
    for (size_t i = 0; i < COUNT(pic); i++) {
        __asm__ volatile("outb %0, %1" : : "a"(pic[i].value), "d"(pic[i].port));
    }
    for (size_t i = 0; i < COUNT(apic); i++) {
        *(volatile uint32_t *)(memory + apic[i].address) = apic[i].value;
    }
}

static void cpuid(uint32_t leaf, uint32_t r[4]) {
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

static void find_processor(struct processor *cpu) {
    uint32_t r[4];
    cpuid(0, r);
    memcpy(cpu->maker, &r[1], 4);
    memcpy(cpu->maker + 4, &r[3], 4);
    memcpy(cpu->maker + 8, &r[2], 4);
    cpuid(1, r);
    cpu->model = r[0];
    cpu->features = r[3];
    for (uint32_t i = 0; i < 3; i++) {
        cpuid(0x80000002 + i, r);
        memcpy(cpu->name + sizeof(r) * i, r, sizeof(r));
    }
    cpuid(BULKHEAD_CPUID_TIMING, r);
    cpu->khz = r[0];
}

/*
 * The TSC's kHz for a kernel that would have to measure it: Linux reads CPUID 15h on Intel CPUs
 * only, elsewhere it counts a timer chip's ticks, for which a port may take too long. 0 = none.
 */
static uint32_t clock_to_tell(const struct processor *cpu) {
    return memcmp(cpu->maker, "GenuineIntel", 12) == 0 ? 0 : cpu->khz;
}

const struct entry *firmware_main(uint8_t *memory) {
    static struct entry entry;
    static struct processor cpu;
    struct bulkhead_start *start = (void *)(memory + BULKHEAD_START_GPA);
    const char *why = "was handed over in a form that this firmware does not know";
    if (start->magic == BULKHEAD_START_MAGIC && start->size == sizeof(*start)) {
        map_write(memory, start);
        find_processor(&cpu);
        why = kernel_load(memory, start, clock_to_tell(&cpu), &entry);
    }
    if (why != NULL) {
        give_up(why);
    }
    set_up_interrupts(memory);
    acpi_write_tables(memory, start->rsdp, start->vcpu_count);
    legacy_write_tables(memory, start);
    smbios_write_tables(memory, start, &cpu);
    return &entry;
}
