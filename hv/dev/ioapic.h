/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An I/O APIC with 24 pins (82093AA register layout, version 20h with EOI register): edge and
 * level, polarity ignored (models speak in asserted / not asserted), remote IRR, masked pending.
 * Called under the VM's device lock.
 */
#ifndef HV_DEV_IOAPIC_H
#define HV_DEV_IOAPIC_H

#include "hv/dev/bus.h"
#include "hv/dev/lapic.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

struct ioapic {
    struct vm *vm;
    uint32_t id, select;
    uint64_t redirection[IOAPIC_PINS];
    uint32_t lines;   /* bit per pin: asserted now */
    uint32_t pending; /* edge seen while masked, line still asserted: delivered when unmasked */
};

void ioapic_reset(struct ioapic *io, struct vm *vm);
void ioapic_set_line(struct ioapic *io, unsigned pin, bool asserted);
void ioapic_eoi(struct ioapic *io, uint8_t vector); /* EOI broadcast from a local APIC */
uint64_t ioapic_read(void *io, uint64_t offset, unsigned size);
void ioapic_write(void *io, uint64_t offset, unsigned size, uint64_t value);

#endif
