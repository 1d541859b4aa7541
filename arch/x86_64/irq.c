/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of ISA interrupts into the host: 8259s silenced, every I/O APIC pin masked, and the few
 * lines the consoles use routed to the first CPU. Called by start.c and by the console drivers.
 * Sources: Intel 82093AA "I/O Advanced Programmable Interrupt Controller", Intel 8259A data sheet.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

#define PIC_MASTER 0x20u
#define PIC_SLAVE  0xa0u

#define IOAPIC_SELECT  0x00u
#define IOAPIC_WINDOW  0x10u
#define IOAPIC_VERSION 1u
#define IOAPIC_PIN(n)  (0x10u + 2 * (n))

#define PIN_MASKED     BIT32(16)
#define PIN_LEVEL      BIT32(15)
#define PIN_ACTIVE_LOW BIT32(13)

static struct {
    hpa_t base;
    uint32_t gsi_base, pins; /* pins = 0: not usable */
} ioapics[BOOT_MAX_IOAPICS];
static struct boot_isa_irq isa_irqs[16];

static uint32_t ioapic_reg_read(hpa_t base, uint32_t reg) {
    mmio_write32(phys_pointer(HPA(base.v + IOAPIC_SELECT)), reg);
    return mmio_read32(phys_pointer(HPA(base.v + IOAPIC_WINDOW)));
}

static void ioapic_reg_write(hpa_t base, uint32_t reg, uint32_t value) {
    mmio_write32(phys_pointer(HPA(base.v + IOAPIC_SELECT)), reg);
    mmio_write32(phys_pointer(HPA(base.v + IOAPIC_WINDOW)), value);
}

/* First moved away from the exceptions: even when masked, an 8259 may send a spurious interrupt. */
static void irq_silence_pics(void) {
    static const struct {
        uint16_t port;
        uint8_t value;
    } sequence[] = {
        {PIC_MASTER, 0x11},
        {PIC_MASTER + 1, VECTOR_PIC},
        {PIC_MASTER + 1, 4},
        {PIC_MASTER + 1, 1},
        {PIC_MASTER + 1, 0xff},
        {PIC_SLAVE, 0x11},
        {PIC_SLAVE + 1, VECTOR_PIC + 8},
        {PIC_SLAVE + 1, 2},
        {PIC_SLAVE + 1, 1},
        {PIC_SLAVE + 1, 0xff},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(sequence); i++) {
        port_out8(sequence[i].port, sequence[i].value);
    }
}

void irq_init(const struct boot_info *info) {
    irq_silence_pics();
    for (unsigned i = 0; i < info->ioapic_count && i < BOOT_MAX_IOAPICS; i++) {
        uint32_t version = ioapic_reg_read(info->ioapics[i].base, IOAPIC_VERSION);
        if (version == 0 || version == UINT32_MAX) {
            log_warn("no I/O APIC answers at %#llx", (unsigned long long)info->ioapics[i].base.v);
            continue;
        }
        ioapics[i].base = info->ioapics[i].base;
        ioapics[i].gsi_base = info->ioapics[i].gsi_base;
        ioapics[i].pins = (version >> 16 & 0xff) + 1;
        for (uint32_t pin = 0; pin < ioapics[i].pins; pin++) {
            ioapic_reg_write(ioapics[i].base, IOAPIC_PIN(pin), PIN_MASKED);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(isa_irqs); i++) {
        isa_irqs[i] = info->isa_irqs[i];
    }
}

bool irq_route_isa(unsigned irq, uint8_t vector) {
    ASSERT(irq < ARRAY_SIZE(isa_irqs));
    const struct boot_isa_irq *line = &isa_irqs[irq];
    uint32_t apic_id = cpu_current()->apic_id;
    for (unsigned i = 0; i < BOOT_MAX_IOAPICS; i++) {
        uint32_t pin = line->gsi - ioapics[i].gsi_base;
        if (line->gsi >= ioapics[i].gsi_base && pin < ioapics[i].pins && apic_id < 0xff) {
            uint32_t mode = (line->active_low ? PIN_ACTIVE_LOW : 0) | (line->level ? PIN_LEVEL : 0);
            ioapic_reg_write(ioapics[i].base, IOAPIC_PIN(pin) + 1, apic_id << 24);
            ioapic_reg_write(ioapics[i].base, IOAPIC_PIN(pin), mode | vector);
            return true;
        }
    }
    return false;
}
