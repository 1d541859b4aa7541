/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of ISA interrupts into the host: 8259s silenced, every I/O APIC pin masked, and the few
 * lines the consoles use routed to the CPU that asks for them. Called by start.c and by the console
 * drivers.
 * Sources: Intel 82093AA "I/O Advanced Programmable Interrupt Controller", Intel 8259A data sheet.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define PIC_MASTER 0x20u
#define PIC_SLAVE  0xa0u

#define IOAPIC_WINDOW  0x10u
#define IOAPIC_VERSION 1u
#define IOAPIC_PIN(n)  (0x10u + 2 * (n))

#define PIN_MASKED     BIT32(16)
#define PIN_LEVEL      BIT32(15)
#define PIN_ACTIVE_LOW BIT32(13)

static const struct boot_info *machine;

static uint32_t *ioapic_select(const struct boot_ioapic *ioapic, uint32_t reg) {
    mmio_write32(phys_pointer(ioapic->base), reg);
    return phys_pointer(HPA(ioapic->base.v + IOAPIC_WINDOW));
}

/* 0 where none answers. */
static uint32_t ioapic_pins(const struct boot_ioapic *ioapic) {
    uint32_t version = mmio_read32(ioapic_select(ioapic, IOAPIC_VERSION));
    return version == 0 || version == UINT32_MAX ? 0 : (version >> 16 & 0xff) + 1;
}

static void ioapic_set_pin(const struct boot_ioapic *ioapic, uint32_t pin, uint64_t entry) {
    mmio_write32(ioapic_select(ioapic, IOAPIC_PIN(pin) + 1), (uint32_t)(entry >> 32));
    mmio_write32(ioapic_select(ioapic, IOAPIC_PIN(pin)), (uint32_t)entry);
}

/* ICW1 to ICW4 and the mask. */
static void pic_silence(uint16_t port, uint8_t vector, uint8_t cascade) {
    uint16_t data = port + 1;
    port_out8(port, 0x11);
    port_out8(data, vector);
    port_out8(data, cascade);
    port_out8(data, 1);
    port_out8(data, 0xff);
}

void ioapic_init(const struct boot_info *info) {
    machine = info;
    /* Moved away from the exceptions: even when masked, an 8259 may send a spurious interrupt. */
    pic_silence(PIC_MASTER, VECTOR_PIC, 4);
    pic_silence(PIC_SLAVE, VECTOR_PIC + 8, 2);
    for (unsigned i = 0; i < info->ioapic_count; i++) {
        uint32_t pins = ioapic_pins(&info->ioapics[i]);
        for (uint32_t pin = 0; pin < pins; pin++) {
            ioapic_set_pin(&info->ioapics[i], pin, PIN_MASKED);
        }
    }
}

/* To this CPU, edge and polarity aside. False = there is no way. */
static bool ioapic_pin_entry(const struct boot_ioapic *ioapic, uint8_t vector, bool level,
                             uint64_t *entry) {
    uint64_t apic_id = cpu_current()->apic_id;

    switch (iommu_route_pin(ioapic->id, vector, cpu_current()->apic_id, level, entry)) {
    case IOMMU_PIN_REMAPPED:
        return true;
    case IOMMU_PIN_PLAIN:
        *entry = apic_id << 56 | (level ? PIN_LEVEL : 0) | vector;
        return apic_id < IOAPIC_ID_MAX;
    case IOMMU_PIN_NONE:
    default:
        return false;
    }
}

bool ioapic_route_isa(unsigned irq, uint8_t vector) {
    const struct boot_isa_irq *line = &machine->isa_irqs[irq];
    uint64_t entry;

    for (unsigned i = 0; i < machine->ioapic_count; i++) {
        const struct boot_ioapic *ioapic = &machine->ioapics[i];
        bool here = range_has_number(ioapic->gsi_base, ioapic_pins(ioapic), line->gsi);
        if (here && ioapic_pin_entry(ioapic, vector, line->level, &entry)) {
            entry |= line->active_low ? PIN_ACTIVE_LOW : 0;
            ioapic_set_pin(ioapic, line->gsi - ioapic->gsi_base, entry);
            return true;
        }
    }
    return false;
}
