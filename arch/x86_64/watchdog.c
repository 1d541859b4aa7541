/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stops the watchdog in Intel's chipsets, which a firmware may have started for an operating system
 * to feed: nobody here does, and it would reset the machine after some minutes. Called once by
 * start.c, on the first CPU. Sources: Intel 300 Series Chipset Family PCH datasheet, "TCO I/O
 * Registers", "SMBus PCI Configuration Registers"; Intel I/O Controller Hub 9 datasheet, "LPC
 * Interface Bridge Registers", "System Management TCO Registers".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/pci.h"

#define VENDOR_INTEL     0x8086u
#define CLASS_ISA_BRIDGE 0x0601u
#define CLASS_SMBUS      0x0c05u

#define TCO_CONTROL      0x08u /* TCO1_CNT */
#define TCO_CONTROL_HALT BIT32(11)

/* Where Intel's chipsets have their TCO ports: newer ones first. */
static const struct {
    uint32_t function, class;
    uint32_t enable, enabled; /* register, and its bit: the ports are there */
    uint32_t base, mask;      /* register, and which of its bits are the first port */
    uint32_t offset;          /* from there */
} tco_places[] = {
    {
        .function = PCI_FUNCTION(0, 31, 4),
        .class = CLASS_SMBUS,
        .enable = 0x54,
        .enabled = BIT32(8),
        .base = 0x50,
        .mask = 0xffe0,
    },
    {
        .function = PCI_FUNCTION(0, 31, 0),
        .class = CLASS_ISA_BRIDGE,
        .enable = 0x44,
        .enabled = BIT32(7),
        .base = 0x40,
        .mask = 0xff80,
        .offset = 0x60,
    },
};

static bool watchdog_is_there(unsigned i) {
    uint32_t function = tco_places[i].function;
    bool intel = (uint16_t)plat_pci_read(function, PCI_ID) == VENDOR_INTEL;
    bool right = plat_pci_read(function, PCI_CLASS) >> 16 == tco_places[i].class;
    return intel && right &&
           (plat_pci_read(function, tco_places[i].enable) & tco_places[i].enabled) != 0;
}

static void watchdog_stop_tco(uint16_t ports) {
    uint16_t port = (uint16_t)(ports + TCO_CONTROL);
    uint32_t control = port_in16(port);

    if ((control & TCO_CONTROL_HALT) != 0) {
        return;
    }
    port_out16(port, (uint16_t)(control | TCO_CONTROL_HALT));
    if ((port_in16(port) & TCO_CONTROL_HALT) != 0) {
        log_info("watchdog of the chipset stopped");
    } else {
        log_warn("the chipset's watchdog cannot be stopped: it may reset the machine" MSG(4010));
    }
}

/* boot/ has dealt with it. */
static void watchdog_tell(enum boot_watchdog_state state) {
    if (state == BOOT_WATCHDOG_STOPPED) {
        log_info("watchdog of the ACPI table WDAT stopped");
    } else if (state == BOOT_WATCHDOG_STUCK) {
        log_warn("the watchdog of the ACPI table WDAT may run, and cannot be stopped: it may reset "
                 "the machine" MSG(4011));
    }
}

void watchdog_stop(const struct boot_info *info) {
    watchdog_tell(info->watchdog.state);
    for (unsigned i = 0; i < ARRAY_SIZE(tco_places); i++) {
        if (watchdog_is_there(i)) {
            uint32_t base = plat_pci_read(tco_places[i].function, tco_places[i].base);
            watchdog_stop_tco((uint16_t)((base & tco_places[i].mask) + tco_places[i].offset));
            return;
        }
    }
}
