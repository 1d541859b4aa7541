/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `make coverage`: the EFI application prints its counters before it goes, either way. */
#include "boot/boot.h"
#include "hv/lib/x86.h"
#include "tests/coverage/dump.h"

/* The linker's --wrap: callers of X come to __wrap_X, and __real_X is X. */
EFI_STATUS __real_memory_exit_firmware(void);
EFI_STATUS __wrap_memory_exit_firmware(void);
void __real_memory_free_all(void);
void __wrap_memory_free_all(void);

/*
 * What follows, the plan of the last memory map, is not counted. gcc's library, as our own code,
 * has no ENDBR64 where it is called by a pointer: CET is off meanwhile.
 */
EFI_STATUS __wrap_memory_exit_firmware(void) {
    EFI_STATUS status = __real_memory_exit_firmware();
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 & ~X86_CR4_CET) : "memory");
    coverage_dump();
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
    return status;
}

void __wrap_memory_free_all(void) {
    coverage_dump();
    __real_memory_free_all();
}
