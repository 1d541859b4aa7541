/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what CPL 3 and stacks for traps need: descriptor table, TSS, pages that it may touch. */
#include "guests/hostile/hostile.h"

#define PAGE_USER    4ull
#define SELECTOR_TSS 0x30

void user_enter(const uint8_t *code, uint64_t stack);

static uint64_t gdt[8] = {
    0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff};
static uint32_t tss[26];
static uint64_t user_stack[256], trap_stack_area[512] __attribute__((aligned(16)));
uint64_t debug_stack_end[513] __attribute__((aligned(16)));

/* SDM vol. 3 "64-Bit Task State Segment". */
static void tables_load(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(gdt) - 1, (uint64_t)(uintptr_t)gdt};
    uint64_t base = (uint64_t)(uintptr_t)tss;
    uint64_t stack = (uint64_t)(uintptr_t)(trap_stack_area + COUNT(trap_stack_area));
    uint64_t debug = (uint64_t)(uintptr_t)(debug_stack_end + 512);
    tss[1] = (uint32_t)stack;
    tss[2] = (uint32_t)(stack >> 32);
    tss[9] = (uint32_t)debug; /* IST 1 */
    tss[10] = (uint32_t)(debug >> 32);
    tss[25] = sizeof(tss) << 16; /* no I/O permission bitmap */
    gdt[6] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    gdt[7] = base >> 32;
    __asm__ volatile("lgdt %0\n\tltr %w1" ::"m"(pointer), "r"(SELECTOR_TSS));
}

/* The 2 MiB around an address. */
static void user_page(uint64_t address) {
    uint64_t *table;
    __asm__ volatile("mov %%cr3, %0" : "=r"(table));
    for (int shift = 39; shift >= 21; shift -= 9) {
        uint64_t *entry = &table[address >> shift & 511];
        *entry |= PAGE_USER;
        table = (uint64_t *)(uintptr_t)(*entry & 0x000ffffffffff000);
    }
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

const char *saw_user(const uint8_t *code) {
    tables_load();
    for (uint64_t a = machine.image_base; a < machine.image_base + machine.image_size + 0x200000;
         a += 0x200000) {
        user_page(a);
    }
    trap_last.vector = NO_TRAP;
    user_enter(code, (uint64_t)(uintptr_t)(user_stack + COUNT(user_stack)));
    if (trap_last.rip != (uint64_t)(uintptr_t)code) {
        trap_last.vector = NO_TRAP;
    }
    return saw_trap();
}

void debug_stack_use(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr;
    tables_load();
    __asm__ volatile("sidt %0" : "=m"(idtr));
    ((volatile uint8_t *)(uintptr_t)idtr.base)[1 * 16 + 4] = 1; /* IST 1 for #DB */
}
