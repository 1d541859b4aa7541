/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small devices of a guest's PC, one C file each: ACPI power management (pm.c), CMOS clock
 * (rtc.c), timer (pit.c), PCI configuration ports of an empty host bridge, reset lines and POST
 * port (chipset.c). Called under the VM's device lock.
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

struct pm {
    struct vm *vm;
    const struct dev_clock *clock;
    uint64_t registers; /* status, enable, control: 16 bits each */
};
void pm_reset(struct pm *pm, struct vm *vm, const struct dev_clock *clock);
uint64_t pm_read(void *pm, uint64_t port, unsigned size);
void pm_write(void *pm, uint64_t port, unsigned size, uint64_t value);

#define RTC_IRQ 8

struct rtc {
    struct vm *vm;
    const struct dev_clock *clock;
    uint8_t index;
    uint8_t ram[128];
    uint64_t offset; /* seconds, modulo 2^64, that the guest has set it off from the host's */
    uint64_t seen; /* the flags in register C are those of this moment; in periods of its crystal */
};
/* Time and memory stay. */
void rtc_reset(struct rtc *rtc, struct vm *vm, const struct dev_clock *clock);
/* Interrupts if it is time to; when it wants to be called again, on its clock, 0 = not. */
uint64_t rtc_service(struct rtc *rtc);
uint64_t rtc_read(void *rtc, uint64_t port, unsigned size); /* ports 70h, 71h */
void rtc_write(void *rtc, uint64_t port, unsigned size, uint64_t value);

#define PIT_HZ  1193182ull
#define PIT_IRQ 0

struct pit_channel {
    bool loaded, high;    /* a count was written; the next byte is the high one */
    uint8_t access, mode; /* as in the control word */
    uint8_t latched, status;
    uint16_t reload, count;
    uint64_t start; /* PIT ticks on the VM's clock when it was loaded */
};
struct pit {
    struct vm *vm;
    const struct dev_clock *clock;
    struct pit_channel channels[3];
    uint8_t port61;
    uint64_t due; /* when channel 0 interrupts next, on the clock; 0 = never */
};
void pit_reset(struct pit *pit, struct vm *vm, const struct dev_clock *clock);
uint64_t pit_service(struct pit *pit);                      /* as rtc_service() */
uint64_t pit_read(void *pit, uint64_t port, unsigned size); /* ports 40h to 43h, 61h */
void pit_write(void *pit, uint64_t port, unsigned size, uint64_t value);

/*
 * PCI configuration mechanism 1 (CF8h..CFFh as one bus entry, CF9h among them), keyboard-controller
 * reset (60h, 64h: command FEh; there is no controller behind it), fast reset (92h), POST port
 * (80h).
 */
struct chipset {
    struct vm *vm;
    uint32_t address;
    uint8_t port92, cf9;
};
void chipset_reset(struct chipset *c, struct vm *vm);
uint64_t chipset_read(void *c, uint64_t port, unsigned size);
void chipset_write(void *c, uint64_t port, unsigned size, uint64_t value);

#endif
