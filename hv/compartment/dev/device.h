/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device is: data, a const table of operations, and one struct as its only way out. So the
 * same model runs in a VM, in a unit test and under a fuzzer. All calls of one platform's devices
 * are made under the platform's lock.
 */
#pragma once

#include "hv/lib/clock.h"

struct device;
struct dev_env;
struct guest_memory;
struct abi_counts;
struct exchange_control;
struct exchange_pci;
struct rtc_kept;

/*
 * at (the offset in a region), size (1, 2, 4; a page's also 8) and value are guest-controlled. A
 * whole access lies in the region. The caller cuts what is read to size bytes.
 */
struct device_ops {
    const char *name;
    void (*reset)(struct device *dev); /* also makes a device: all but dev itself may be 0 */
    uint64_t (*read)(struct device *dev, unsigned region, uint64_t at, unsigned size);
    void (*write)(struct device *dev, unsigned region, uint64_t at, unsigned size, uint64_t value);
    /*
     * Does what is due at this moment of the VM's clock. Returns the moment at which it wants to be
     * called again, 0 = never. NULL if nothing ever happens by itself.
     */
    uint64_t (*service)(struct device *dev, uint64_t now);
};

/* The first member of each model. */
struct device {
    const struct device_ops *ops;
    const struct dev_env *env;
};

enum dev_stop { DEV_POWER_OFF, DEV_RESET };

/* What may be worth a line in the log, with one word about it. The receiver limits their number. */
enum dev_event {
    DEV_SLEEP_REFUSED,  /* asked for a sleep state that there is not: SLP_TYP */
    DEV_BIOS_CALLED,    /* called a BIOS that there is not: vector << 16 | AX */
    DEV_WATCHDOG_BITES, /* not fed for so many seconds: the guest's run is to end as a crash */
};

#define DEV_PCI_LINES 16u

struct dev_env {
    const struct dev_clock *clock;     /* the VM's */
    const struct guest_memory *memory; /* its RAM, for devices that read and write it */
    struct abi_counts *counts;         /* for the operator */
    void *caller;                      /* whom these functions answer: set with the lock held */
    /* The line of an ISA interrupt, 0..15 without 2, as a device drives it; from DEV_PCI_LINES on
     * those of the PCI bus, INTA to INTD. */
    void (*irq)(const struct dev_env *env, unsigned line, bool asserted);
    /* A message signalled interrupt. Both words may be guest-controlled. */
    void (*msi)(const struct dev_env *env, uint64_t address, uint32_t data);
    /* The INTR output of the 8259 pair has changed, or may have. */
    void (*intr)(const struct dev_env *env, bool asserted);
    /* The guest has set a timer: service() is to be called, soon. */
    void (*reschedule)(const struct dev_env *env);
    /* One byte leaves the UART or the console. False: no room now, and platform_drain() will
     * follow. */
    bool (*transmit)(const struct dev_env *env, uint8_t byte);
    /* The other side of a channel (hv/abi/device.h) is to look into it. */
    void (*bell)(const struct dev_env *env, unsigned channel);
    /* 64 bits that nobody can guess. */
    uint64_t (*random)(const struct dev_env *env);
    /* Has the core do something to a real device of the guest's: hv/abi/compartment.h. What it
     * answers stands in the struct. NULL where there are no such devices. */
    void (*pci)(const struct dev_env *env, struct exchange_pci *call);
    /* The same of another guest that the config lets this one control. NULL where there is none. */
    void (*control)(const struct dev_env *env, struct exchange_control *call);
    /* The guest's run is to end. */
    void (*stop)(const struct dev_env *env, enum dev_stop why);
    void (*event)(const struct dev_env *env, enum dev_event event, uint32_t word);
    /* What the CMOS clock keeps for the guest's next run has changed. */
    void (*keep)(const struct dev_env *env, const struct rtc_kept *kept);
    /* The same of what the watchdog keeps: has it ended the run? */
    void (*keep_bitten)(const struct dev_env *env, bool bitten);
};
