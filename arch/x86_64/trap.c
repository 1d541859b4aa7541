/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each vector means on the host. An exception in the hypervisor is a bug or broken hardware:
 * panic. Called by trap_entry.S with interrupts off; interrupts arrive only inside
 * plat_take_interrupts() and plat_wait(). Source: Intel SDM "Interrupt and Exception Handling".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/range.h"

_Static_assert(VECTOR_DEVICE % 16 == 0 && (VECTOR_DEVICE + PLAT_IRQS) % 16 == 0 &&
                   VECTOR_DEVICE + PLAT_IRQS <= VECTOR_POSTED &&
                   VECTOR_POSTED + 16 <= VECTOR_SERIAL,
               "a vector for each, of priorities that no other has");

void trap_dispatch(struct trap_frame *frame);
void trap_interrupt(uint32_t vector);

/* The guest's first: the others may take their time. */
static void trap_timer_interrupt(void) {
    unsigned due = apic_timer_due();

    if ((due & DUE_GUEST) != 0) {
        hv_timer_expired();
    }
    if (LIKELY(due == DUE_GUEST)) {
        return;
    }
    if ((due & DUE_POLL) != 0) {
        consoles_poll();
    }
    if ((due & DUE_CONSOLE) != 0) {
        hv_console_work();
    }
}

/* For a kick there is nothing to do: that the CPU leaves its guest or its wait is all it is for. */
static void (*const host_handlers[IDT_ENTRIES])(void) = {
    [VECTOR_SERIAL] = serial_interrupt,
    [VECTOR_KEYBOARD] = keyboard_interrupt,
    [VECTOR_CONSOLE] = hv_console_work,
    [VECTOR_TIMER] = trap_timer_interrupt,
};

/* See CPU_FIXUP in cpu.h. */
static bool trap_fix_up(struct trap_frame *frame) {
    for (const struct fixup *f = image_fixups; f < image_fixups_end; f++) {
        if (frame->rip == (uintptr_t)&f->from + (uint64_t)(int64_t)f->from) {
            frame->rip = (uintptr_t)&f->to + (uint64_t)(int64_t)f->to;
            return true;
        }
    }
    return false;
}

void trap_dispatch(struct trap_frame *frame) {
    uint64_t vector = frame->vector;
    if (vector == X86_GP && trap_fix_up(frame)) {
        return;
    }
    if (vector == X86_MC && mce_pass()) {
        return;
    }
    if (vector == X86_NMI) {
        panic_nmi();
    } else if (vector != X86_DB) {
        panic_trap(frame);
    }
    /* We set no breakpoint and no trap flag: a trap of the guest's, which an emulator (Bochs with
     * AMD-V) carries out with the exit. The guest is told of it by advance. */
}

/*
 * Of this CPU's own guest: nothing of another's is touched. One at a time: the next ones wait until
 * this CPU has looked at what else is asked of it, or a device that never ends would keep it here.
 */
static void trap_device_interrupt(uint32_t number) {
    cpu_current()->devices_held = true;
    cr8_write((VECTOR_DEVICE + PLAT_IRQS - 1) >> 4);
    hv_device_interrupt(number);
}

void trap_interrupt(uint32_t vector) {
    if (vector < VECTOR_PIC + 16 || vector == VECTOR_SPURIOUS) {
        return; /* spurious ones are not in service at the local APIC */
    }
    apic_end_interrupt();
    if (range_has_number(VECTOR_DEVICE, PLAT_IRQS, vector)) {
        trap_device_interrupt(vector - VECTOR_DEVICE);
        return;
    }
    if (vector == VECTOR_POSTED) { /* the same; but each comes once, until it is looked at */
        hv_posted();
        return;
    }
    cpu_current()->interrupted = true;
    /* One without a handler is left over from the firmware, or from a device it forgot to stop. */
    if (host_handlers[vector] != NULL) {
        host_handlers[vector]();
    }
}

/* A handler may have touched what is another guest's: the console's does. */
static inline void trap_clear_behind_handlers(struct cpu *cpu) {
    if (cpu->devices_held) {
        cpu->devices_held = false;
        cr8_write(0);
    }
    if (cpu->interrupted) {
        cpu->interrupted = false;
        mitigate_clear();
    }
}

/* One that the CPU has acknowledged with an exit is in service already. */
static __attribute__((noinline)) void trap_take_acknowledged(struct cpu *cpu) {
    uint32_t vector = cpu->acknowledged;

    cpu->acknowledged = 0;
    trap_interrupt(vector);
}

void plat_take_interrupts(void) {
    struct cpu *cpu = cpu_current();
    if (UNLIKELY(cpu->acknowledged != 0)) {
        trap_take_acknowledged(cpu);
    }
    __asm__ volatile("sti; nop; cli" : : : "memory");
    trap_clear_behind_handlers(cpu);
}

void plat_wait(void) {
    /* STI holds interrupts off for one more instruction: none can slip in before HLT. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    trap_clear_behind_handlers(cpu_current());
}
