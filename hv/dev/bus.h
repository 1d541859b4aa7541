/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between a VM and its devices. The buses, one of I/O ports and one of guest-physical pages, are
 * constant tables of which device answers where, searched by the exit handlers. What no entry names
 * is not there: reads give all ones, writes are lost; the caller counts that.
 */
#pragma once

#include "hv/lib/types.h"

/*
 * How a device is reached: at (a port's number, or the offset in an MMIO entry), size (1, 2, 4;
 * MMIO also 8) and value are guest-controlled. The caller cuts what is read to size bytes.
 */
typedef uint64_t bus_read(void *dev, uint64_t at, unsigned size);
typedef void bus_write(void *dev, uint64_t at, unsigned size, uint64_t value);

struct bus_entry {
    uint64_t base, size;
    const char *name;
    size_t dev; /* the device's place in struct vm */
    bus_read *read;
    bus_write *write;
};

/*
 * The entry that holds the whole access, or NULL. Entries are disjoint, the busiest device comes
 * first, one of size 0 ends them.
 */
static inline const struct bus_entry *bus_find(const struct bus_entry *e, uint64_t at,
                                               unsigned size) {
    while (at - e->base > e->size - 1) { /* never at the end, whose last is UINT64_MAX */
        e++;
    }
    return size <= e->size - (at - e->base) && e->size != 0 ? e : NULL;
}

/*
 * What devices ask of their VM, on the CPU that caused it and under the VM's device lock:
 * hv/vm/vm.c has it, and each unit test of a device its own.
 */
struct vm;

/* The line of an ISA interrupt, 0..15 without 2, as a device drives it. */
void vm_set_irq(struct vm *vm, unsigned irq, bool asserted);

/*
 * A message signalled interrupt: what the I/O APIC sends, and PCI devices to come. Both words may
 * be guest-controlled; to another place than FEExxxxxh it is nothing. Needs no lock.
 */
void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data);

/* The INTR output of the 8259 pair has gone up. */
void vm_pic_raised(struct vm *vm);

/* The guest did something to PIT or RTC: their _service() is to be called, soon, on any CPU. */
void vm_clocks_changed(struct vm *vm);

/* The guest asked for a sleep state that there is not: one for the log. */
void vm_sleep_refused(struct vm *vm, unsigned type);

/* One byte leaves the UART, for hv/monitor/console.c; false = no room now, uart_tx_ready() will
 * follow. */
bool vm_transmit(struct vm *vm, uint8_t byte);

/* The guest called the BIOS that it does not have: INT vector with this AX. For the log. */
void vm_bios_called(struct vm *vm, uint8_t vector, uint16_t ax);

/* Asks the run loop of the VM to end, and why; the first reason wins. Needs no lock. */
enum vm_leave {
    LEAVE_NONE,
    LEAVE_POWER_OFF,
    LEAVE_RESET,
    LEAVE_CRASH,
    LEAVE_STOP,           /* a violation that is to stop it */
    LEAVE_KILL,           /* the operator's kill */
    LEAVE_OPERATOR_RESET, /* the operator's reset */
    LEAVE_FORCE,          /* the operator's stop, which it did not follow */
    LEAVE_KINDS
};
void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason);
