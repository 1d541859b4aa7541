/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restarts the machine for an operator who asked for it; nothing else may call this.
 * Sources: Intel chipset data sheets "Reset Control Register" (CF9h); IBM PS/2 technical reference.
 */
#include "arch/x86_64/arch.h"

#define RESET_CONTROL 0xcf9u
#define KBD_COMMAND   0x64u
#define KBD_PULSE     0xfeu
#define SETTLE_US     50000u

void plat_machine_reset(void) {
    static const struct {
        uint8_t padding[6];
        uint16_t limit;
        uint64_t base;
    } no_idt = {.limit = 0, .base = 0};
    port_out8(RESET_CONTROL, 0x02);
    port_out8(RESET_CONTROL, 0x06);
    clock_delay_us(SETTLE_US);
    port_out8(KBD_COMMAND, KBD_PULSE);
    clock_delay_us(SETTLE_US);
    /* No handler for this, nor for the fault that follows: the CPU shuts down, the board resets. */
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt.limit), "m"(no_idt));
}
