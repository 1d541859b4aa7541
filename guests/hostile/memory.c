/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: guest-physical addresses where no memory of the guest's is. */
#include "guests/hostile/hostile.h"

#define GIB    0x40000000ull
#define IOAPIC 0xfec00000ull
#define LAPIC  0xfee00000ull

/* Plain MOVs, so that each is one access. */
static uint32_t load(volatile void *at) {
    uint32_t value;
    __asm__ volatile("movl %1, %0" : "=r"(value) : "m"(*(volatile uint32_t *)at));
    return value;
}

static void store(volatile void *at, uint32_t value) {
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)at) : "r"(value));
}

/* In each size, then written, then read again: six accesses. */
static bool nothing_at(uint64_t address) {
    volatile void *at = map_physical(address);
    uint8_t byte;
    uint16_t word;
    uint64_t quad = 0;
    __asm__ volatile("movb %1, %0" : "=q"(byte) : "m"(*(volatile uint8_t *)at));
    __asm__ volatile("movw %1, %0" : "=r"(word) : "m"(*(volatile uint16_t *)at));
    bool whole = address % 0x1000 <= 0xff8;
    if (whole) {
        __asm__ volatile("movq %1, %0" : "=r"(quad) : "m"(*(volatile uint64_t *)at));
    }
    bool ones = load(at) == UINT32_MAX && byte == 0xff && word == 0xffff && (!whole || ~quad == 0);
    store(at, 0x12345678);
    tell(5 + whole);
    return load(at) == UINT32_MAX && ones;
}

static const char *nothing_in(uint64_t from, uint64_t step, unsigned count) {
    bool nothing = true;
    for (unsigned i = 0; i < count; i++) {
        nothing = nothing_at(from + i * step) && nothing;
    }
    return saw(nothing, "all ones, nothing kept");
}

static unsigned address_bits(void) {
    uint32_t r[4];
    cpuid(0x80000008, 0, r);
    return r[0] & 0xff;
}

const char *act_above_ram(void) {
    uint64_t end = option_number("memory", 32) << 20;
    return nothing_in(end, 0x1000, 64);
}

const char *act_powers(void) {
    bool nothing = true;
    for (unsigned bit = 30; bit < address_bits(); bit++) {
        nothing = nothing_at(1ull << bit) && nothing;
    }
    return saw(nothing, "all ones, nothing kept");
}

const char *act_last_page(void) {
    return nothing_in((1ull << address_bits()) - 0x1000, 4, 1024);
}

/* A reserved bit in the page table: SDM vol. 3 "Page-Fault Exceptions". */
const char *act_beyond(void) {
    volatile void *at = map_physical(1ull << address_bits());
    TRY("movl (%0), %%eax", (), ("r"(at), "a"(0)));
    const char *outcome = saw_trap();
    (void)map_physical(0);
    return outcome;
}

const char *act_hpet(void) {
    return nothing_in(0xfed00000, 4, 256);
}

const char *act_tpm(void) {
    return nothing_in(0xfed40000, 0x80, 160);
}

const char *act_apic_neighbours(void) {
    bool nothing = true;
    static const uint64_t pages[] = {IOAPIC - 0x1000, IOAPIC + 0x1000, LAPIC - 0x1000,
                                     LAPIC + 0x1000};
    for (size_t i = 0; i < COUNT(pages); i++) {
        nothing = nothing_at(pages[i]) && nothing_at(pages[i] + 0xffc) && nothing;
    }
    return saw(nothing, "all ones, nothing kept");
}

const char *act_flash(void) {
    return nothing_in(0xfff00000, 0x1000, 256);
}

/* Registers 00h and 10h only; whatever the rest answers, it answers. */
const char *act_ioapic_odd(void) {
    volatile uint8_t *at = map_physical(IOAPIC);
    uint32_t select = load(at);
    for (unsigned i = 0; i < 0xffc; i++) {
        uint8_t byte;
        uint16_t word;
        __asm__ volatile("movb %1, %0" : "=q"(byte) : "m"(at[i]));
        __asm__ volatile("movw %1, %0" : "=r"(word) : "m"(*(volatile uint16_t *)&at[i]));
    }
    for (unsigned i = 0; i < 256; i++) {
        __asm__ volatile("movb %1, %0" : "=m"(at[0]) : "q"((uint8_t)i));
        (void)load(at + 0x10);
    }
    store(at, select);
    return "done";
}

const char *act_lapic_odd(void) {
    volatile uint8_t *at = map_physical(LAPIC);
    for (unsigned i = 0; i < 0x400; i++) {
        uint64_t value;
        (void)load(at + i);
        __asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(volatile uint64_t *)&at[i]));
    }
    return "done";
}

/* Two accesses each. */
const char *act_lock(void) {
    volatile uint32_t *at = map_physical(2 * GIB);
    uint32_t value = 5;
    __asm__ volatile("lock orl $1, %0" : "+m"(*at)::"cc");
    __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*at));
    return saw(value == UINT32_MAX, "all ones");
}

/* MOV from memory to a register and back: 8b 07 and 89 07. */
static volatile uint8_t racing_code[] __attribute__((aligned(16))) = {0x8b, 0x07, 0xc3};
static volatile bool racing;

static void change_code(void) {
    while (racing) {
        racing_code[0] = 0x89;
        for (volatile unsigned i = 0; i < 7; i++) {
        }
        racing_code[0] = 0x8b;
    }
}

/* Either way it is one access. */
const char *act_racing_code(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    volatile void *at = map_physical(2 * GIB);
    racing = true;
    vcpu_run(1, change_code);
    for (unsigned i = 0; i < 2000; i++) {
        __asm__ volatile("call *%0" ::"r"(racing_code), "D"(at) : "rax", "memory");
        tell(1);
    }
    racing = false;
    return saw(vcpu_wait(1), "done");
}
