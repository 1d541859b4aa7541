/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small devices of a guest's PC, one C file each: ACPI power management (pm.c), CMOS clock
 * (rtc.c), PCI configuration ports of an empty host bridge (pci.c), reset lines (reset.c), POST
 * port (reset.c). Called under the VM's device lock.
 */
#ifndef HV_DEV_PLATFORM_H
#define HV_DEV_PLATFORM_H

#include "hv/dev/bus.h"
#include "hv/dev/clock.h"

/* ACPI fixed hardware; the same numbers go into the FADT. */
#define PM1A_EVENT_PORT   0x600 /* 4 bytes: status, enable */
#define PM1A_CONTROL_PORT 0x604 /* 2 bytes */
#define PM_TIMER_PORT     0x608 /* 4 bytes, 32-bit counter */
#define PM_TIMER_HZ       3579545ull
#define PM_SCI_IRQ        9
#define PM_S5_TYPE        5 /* SLP_TYP for \_S5 in the DSDT */
#define RESET_PORT        0xcf9
#define RESET_VALUE       0x06

/* What the guest asked of its machine; runs on the asking vCPU's CPU. */
struct power_ops {
    void (*power_off)(void *ctx);
    void (*reset)(void *ctx);
};

struct pm {
    const struct power_ops *ops;
    void *ctx;
    const struct dev_clock *clock;
    uint64_t registers; /* status, enable, control: 16 bits each */
};
void pm_reset(struct pm *pm);
uint64_t pm_read(void *pm, uint64_t port, unsigned size);
void pm_write(void *pm, uint64_t port, unsigned size, uint64_t value);

struct rtc {
    const struct dev_clock *clock;
    uint8_t index;
    uint8_t ram[128];
    uint64_t offset; /* seconds, modulo 2^64, that the guest has set it off from the host's */
};
void rtc_reset(struct rtc *rtc);
uint64_t rtc_read(void *rtc, uint64_t port, unsigned size); /* ports 70h, 71h */
void rtc_write(void *rtc, uint64_t port, unsigned size, uint64_t value);

struct reset_lines;

/*
 * Mechanism 1, ports CF8h..CFFh as one bus entry; a byte access to CF9h is handed on to the reset
 * lines, which must be set before the first access.
 */
struct pci {
    struct reset_lines *reset;
    uint32_t address;
};
void pci_reset(struct pci *pci); /* keeps reset */
uint64_t pci_read(void *pci, uint64_t port, unsigned size);
void pci_write(void *pci, uint64_t port, unsigned size, uint64_t value);

/*
 * Keyboard-controller reset (60h, 64h: command FEh; there is no controller behind it), fast reset
 * (92h), POST port (80h), and CF9h by way of pci.c.
 */
struct reset_lines {
    const struct power_ops *ops;
    void *ctx;
    uint8_t port92, cf9;
};
void reset_lines_reset(struct reset_lines *r);
uint64_t reset_lines_read(void *r, uint64_t port, unsigned size);
void reset_lines_write(void *r, uint64_t port, unsigned size, uint64_t value);

#endif
