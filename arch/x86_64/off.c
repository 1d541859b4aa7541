/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Switches the machine off, by the registers and values that boot/ found in ACPI's tables: "soft
 * off", S5; and restarts it. Parses nothing. Called for the operator, once no guest runs, and where
 * a new set of the stick does not come up. Sources: ACPI Specification, "Power Management 1 Control
 * Registers", "Legacy/ACPI Select"; Intel chipset data sheets "Reset Control Register".
 */
#include "arch/x86_64/arch.h"
#include "hv/plan/boot_info.h"

#define PM1_ACPI_ON BIT32(0) /* the registers are the operating system's, not the firmware's */
#define PM1_TYPE    10       /* the type's shift: three bits */
#define PM1_ENTER   BIT32(13)
#define PM1_SLEEP   (7u << PM1_TYPE | PM1_ENTER)
#define ENABLE_MS   3000u
#define SETTLE_MS   2000u

#define RESET_CONTROL   0xcf9u
#define RESET_SETTLE_US 50000u

static SEALED struct boot_power_off off;

void off_init(const struct boot_info *info) {
    off = info->power_off;
}

bool plat_can_switch_off(void) {
    return off.known;
}

/* Firmware without a UEFI that did this already: the registers are its own until it is told. */
static void off_take_registers(void) {
    if (off.smi_command == 0 || off.acpi_enable == 0) {
        return;
    }
    port_out8(off.smi_command, off.acpi_enable);
    for (uint32_t ms = 0; ms < ENABLE_MS && (port_in16(off.control_a) & PM1_ACPI_ON) == 0; ms++) {
        clock_delay_us(1000);
    }
}

static void off_write(uint16_t port, uint8_t type) {
    uint32_t kept = port_in16(port) & ~PM1_SLEEP;
    uint32_t word = kept | (uint32_t)type << PM1_TYPE;

    port_out16(port, (uint16_t)word);
    port_out16(port, (uint16_t)(word | PM1_ENTER));
}

void plat_machine_off(void) {
    if (!off.known) {
        return;
    }
    if ((port_in16(off.control_a) & PM1_ACPI_ON) == 0) {
        off_take_registers();
    }
    off_write(off.control_a, off.type_a);
    if (off.control_b != 0) {
        off_write(off.control_b, off.type_b);
    }
    clock_delay_us(SETTLE_MS * 1000);
}

void plat_machine_reset(void) {
    const struct table_pointer nothing = {0, 0};

    port_out8(RESET_CONTROL, 0x02);
    port_out8(RESET_CONTROL, 0x06);
    clock_delay_us(RESET_SETTLE_US);
    /* No handler for this, nor for the fault that follows: the CPU shuts down, the board resets. */
    __asm__ volatile("lidt %0" : : "m"(nothing));
    __asm__ volatile("int3");
}
