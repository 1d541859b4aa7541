/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupt descriptor table and what each vector means on the host. An exception in the
 * hypervisor is a bug or broken hardware: panic. Called by trap_entry.S with interrupts off;
 * interrupts arrive only inside plat_take_interrupts() and plat_wait(). Source: Intel SDM
 * "Interrupt and Exception Handling".
 */
#include "arch/x86_64/arch.h"

#define IDT_ENTRIES       256u
#define GATE_INTERRUPT    0x8e00ull /* present, ring 0, 64-bit interrupt gate */
#define TRAP_STUB_SIZE    16u
#define FIRST_HOST_VECTOR 0x20u

struct gate {
    uint64_t low, high;
};

extern const uint8_t trap_stubs[];
void trap_dispatch(struct trap_frame *frame);

static struct gate idt[IDT_ENTRIES];

static const uint8_t ist_of_vector[IDT_ENTRIES] = {
    [X86_DF] = IST_DOUBLE_FAULT + 1,
    [X86_NMI] = IST_NMI + 1,
    [X86_MC] = IST_MACHINE_CHECK + 1,
};

static const char *const exception_names[FIRST_HOST_VECTOR] = {
    [X86_DE] = "divide error",
    [X86_DB] = "debug exception",
    [X86_BP] = "breakpoint",
    [X86_OF] = "overflow",
    [X86_UD] = "invalid opcode",
    [X86_NM] = "device not available",
    [X86_DF] = "double fault (a stack overflow?)",
    [X86_TS] = "invalid TSS",
    [X86_NP] = "segment not present",
    [X86_SS] = "stack-segment fault",
    [X86_GP] = "general protection fault",
    [X86_PF] = "page fault",
    [X86_AC] = "alignment check",
    [X86_MC] = "machine check",
};

void trap_init(void) {
    for (unsigned v = 0; v < IDT_ENTRIES; v++) {
        uint64_t stub = (uintptr_t)trap_stubs + v * TRAP_STUB_SIZE;
        idt[v].low = (stub & 0xffff) | (uint64_t)SELECTOR_CODE << 16 |
                     (uint64_t)ist_of_vector[v] << 32 | GATE_INTERRUPT << 32 |
                     (stub >> 16 & 0xffff) << 48;
        idt[v].high = stub >> 32;
    }
}

void trap_load(struct cpu *cpu) {
    struct {
        uint8_t padding[6];
        uint16_t limit;
        uint64_t base;
    } idtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr.limit), "m"(idtr));
    cpu->idt_base = idtr.base;
}

void trap_nmi(void) {
    if (panic_in_progress()) {
        panic_stop_cpu();
    }
    cpu_current()->nmis++;
}

static void trap_timer(void) {
    apic_end_interrupt();
    apic_timer_interrupt();
}

/* That the CPU leaves its guest or its wait is all a kick is for. */
static void trap_kick(void) {
    apic_end_interrupt();
}

static void trap_serial(void) {
    apic_end_interrupt();
    serial_interrupt();
}

static void trap_keyboard(void) {
    apic_end_interrupt();
    keyboard_interrupt();
}

/* Not in service at the local APIC: no end-of-interrupt. */
static void trap_spurious(void) {
    cpu_current()->unexpected_interrupts++;
}

static void (*const host_handlers[IDT_ENTRIES])(void) = {
    [X86_NMI] = trap_nmi,
    [VECTOR_PIC... VECTOR_PIC + 15] = trap_spurious,
    [VECTOR_SERIAL] = trap_serial,
    [VECTOR_KEYBOARD] = trap_keyboard,
    [VECTOR_TIMER] = trap_timer,
    [VECTOR_KICK] = trap_kick,
    [VECTOR_SPURIOUS] = trap_spurious,
};

void trap_dispatch(struct trap_frame *frame) {
    void (*handler)(void) = host_handlers[frame->vector % IDT_ENTRIES];
    if (handler != NULL) {
        handler();
    } else if (frame->vector < FIRST_HOST_VECTOR) {
        const char *name = exception_names[frame->vector];
        panic_trap(frame, name != NULL ? name : "reserved exception");
    } else {
        /* Left over from the firmware, or from a device it forgot to stop. */
        cpu_current()->unexpected_interrupts++;
        apic_end_interrupt();
    }
}

void plat_take_interrupts(void) {
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

void plat_wait(void) {
    /* STI holds interrupts off for one more instruction: none can slip in before HLT. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
