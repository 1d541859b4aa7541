/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupt descriptor table, whose gates lead to trap_entry.S. Also restarts the machine,
 * whose last resort is a table without entries. Sources: Intel SDM "Interrupt and Exception
 * Handling"; Intel chipset data sheets "Reset Control Register".
 */
#include "arch/x86_64/arch.h"

#define GATE_INTERRUPT 0x8e00ull /* present, ring 0, 64-bit interrupt gate */
#define TRAP_STUB_SIZE 16u

#define RESET_CONTROL 0xcf9u
#define SETTLE_US     50000u

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

static void idt_load_table(const void *base, uint16_t limit) {
    struct table_pointer idtr = {limit, (uintptr_t)base};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_load(void) {
    idt_load_table(idt_gates, sizeof(idt_gates) - 1);
}

void idt_use_no_tss(void) {
    for (unsigned v = 0; v < IDT_ENTRIES; v++) {
        idt_gates[v][0] &= ~(7ull << 32);
    }
}

void plat_machine_reset(void) {
    port_out8(RESET_CONTROL, 0x02);
    port_out8(RESET_CONTROL, 0x06);
    clock_delay_us(SETTLE_US);
    /* No handler for this, nor for the fault that follows: the CPU shuts down, the board resets. */
    idt_load_table(NULL, 0);
    __asm__ volatile("int3");
}
