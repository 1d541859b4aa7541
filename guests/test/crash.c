/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways to fall over: each ends this VM, with a report, and nobody else's. */
#include "guests/test/guest.h"

void crash_triple(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) empty = {0, 0};
    __asm__ volatile("lidt %0\n\tud2" ::"m"(empty));
}

/* Runs where there is no memory. */
void crash_jump(void) {
    void (*nowhere)(void) = (void (*)(void))(uintptr_t)map_physical(0x80000000);
    nowhere();
}

/* An instruction that no device driver uses on a device. */
void crash_device_fpu(void) {
    uint64_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 & ~0xcull));
    __asm__ volatile("fildl (%0)" ::"r"(0xfee00030ull));
}
