/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupt descriptor table, whose gates lead to trap_entry.S. Source: Intel SDM "Interrupt
 * and Exception Handling".
 */
#include "arch/x86_64/arch.h"

#define GATE_INTERRUPT 0x8e00ull /* present, ring 0, 64-bit interrupt gate */
#define TRAP_STUB_SIZE 16u

extern const uint8_t trap_stubs[];

SEALED uint64_t idt_gates[IDT_ENTRIES][2];

static const uint8_t ist_of_vector[IDT_ENTRIES] = {
    [X86_DF] = STACK_DOUBLE_FAULT,
    [X86_NMI] = STACK_NMI,
    [X86_MC] = STACK_MACHINE_CHECK,
};

void idt_init(void) {
    for (unsigned v = 0; v < IDT_ENTRIES; v++) {
        uint64_t stub = (uintptr_t)trap_stubs + v * TRAP_STUB_SIZE;
        idt_gates[v][0] = (stub & 0xffff) | (uint64_t)SELECTOR_CODE << 16 |
                          (uint64_t)ist_of_vector[v] << 32 | GATE_INTERRUPT << 32 |
                          (stub >> 16 & 0xffff) << 48;
        idt_gates[v][1] = stub >> 32;
    }
}

void idt_load(void) {
    struct table_pointer idtr = {sizeof(idt_gates) - 1, (uintptr_t)idt_gates};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_use_no_tss(void) {
    for (unsigned v = 0; v < IDT_ENTRIES; v++) {
        idt_gates[v][0] &= ~(7ull << 32);
    }
}
