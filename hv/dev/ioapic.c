/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O APIC of a VM: 24 redirection entries behind an index and a data register. Turns line
 * levels into interrupt messages; who receives them is not its business. Called by the MMIO
 * handler, by devices through their interrupt hooks, and by EOI broadcasts, under the device lock.
 * Source: Intel 82093AA data sheet "Register Description"; the EOI register is that of the later
 * ICH parts.
 */
#include "hv/dev/ioapic.h"

#define OFFSET_SELECT 0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_EOI    0x40

#define REG_ID          0x00
#define REG_VERSION     0x01
#define REG_ARBITRATION 0x02
#define REG_REDIRECTION 0x10
#define VERSION         (0x20u | (IOAPIC_PINS - 1) << 16)
#define ID_MASK         0x0f000000u

#define RTE_VECTOR     0xffull
#define RTE_LOGICAL    BIT(11)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
/* Vector, delivery and destination mode, polarity, trigger, mask, destination. */
#define RTE_WRITABLE   0xff0000000001afffull

void ioapic_reset(struct ioapic *io) {
    io->id = 0;
    io->select = 0;
    io->lines = 0;
    io->pending = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->redirection[pin] = RTE_MASKED;
    }
}

static void ioapic_send(struct ioapic *io, unsigned pin) {
    uint64_t rte = io->redirection[pin];
    uint32_t destination = (uint32_t)(rte >> 56);
    struct ioapic_message message = {
        .vector = (uint8_t)(rte & RTE_VECTOR),
        .delivery_mode = rte >> 8 & 7,
        .logical = (rte & RTE_LOGICAL) != 0,
        .level = (rte & RTE_LEVEL) != 0,
        .destination = destination == 0xff ? UINT32_MAX : destination,
    };
    if (message.level) {
        io->redirection[pin] |= RTE_REMOTE_IRR;
    }
    io->pending &= ~BIT32(pin);
    io->deliver(io->ctx, &message);
}

/* Sends what the pin owes: an asserted level that nobody serves yet, or a remembered edge. */
static void ioapic_service(struct ioapic *io, unsigned pin) {
    uint64_t rte = io->redirection[pin];
    if ((rte & RTE_MASKED) != 0) {
        return;
    }
    if ((rte & RTE_LEVEL) != 0 ? (io->lines >> pin & 1) != 0 && (rte & RTE_REMOTE_IRR) == 0
                               : (io->pending >> pin & 1) != 0) {
        ioapic_send(io, pin);
    }
}

void ioapic_set_line(struct ioapic *io, unsigned pin, bool asserted) {
    ASSERT(pin < IOAPIC_PINS);
    uint32_t bit = BIT32(pin);
    if (!asserted) {
        io->lines &= ~bit;
        io->pending &= ~bit;
        return;
    }
    if ((io->lines & bit) == 0) {
        io->lines |= bit;
        io->pending |= bit;
        ioapic_service(io, pin);
    }
}

void ioapic_eoi(struct ioapic *io, uint8_t vector) {
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t rte = io->redirection[pin];
        if ((rte & RTE_VECTOR) == vector && (rte & RTE_REMOTE_IRR) != 0) {
            io->redirection[pin] = rte & ~RTE_REMOTE_IRR;
            ioapic_service(io, pin);
        }
    }
}

static uint32_t ioapic_read_register(const struct ioapic *io) {
    unsigned entry = io->select - REG_REDIRECTION; /* wraps to a large number below it */
    if (entry < 2 * IOAPIC_PINS) {
        return (uint32_t)(io->redirection[entry / 2] >> (entry % 2 * 32));
    }
    switch (io->select) {
    case REG_ID:
    case REG_ARBITRATION:
        return io->id;
    case REG_VERSION:
        return VERSION;
    default:
        return 0;
    }
}

static void ioapic_write_register(struct ioapic *io, uint32_t value) {
    unsigned entry = io->select - REG_REDIRECTION;
    if (io->select == REG_ID) {
        io->id = value & ID_MASK;
    } else if (entry < 2 * IOAPIC_PINS) {
        unsigned pin = entry / 2, shift = entry % 2 * 32;
        uint64_t writable = RTE_WRITABLE & (uint64_t)UINT32_MAX << shift;
        uint64_t rte = (io->redirection[pin] & ~writable) | ((uint64_t)value << shift & writable);
        /* An entry turned to edge forgets its level; guests without an EOI register rely on it. */
        io->redirection[pin] = (rte & RTE_LEVEL) != 0 ? rte : rte & ~RTE_REMOTE_IRR;
        ioapic_service(io, pin);
    }
}

uint64_t ioapic_read(void *dev, uint64_t offset, unsigned size) {
    struct ioapic *io = dev;
    uint32_t value = 0;
    if (offset == OFFSET_SELECT) {
        value = io->select;
    } else if (offset == OFFSET_WINDOW) {
        value = ioapic_read_register(io);
    }
    return size < 4 ? value & (BIT32(8 * size) - 1) : value;
}

void ioapic_write(void *dev, uint64_t offset, unsigned size, uint64_t value) {
    struct ioapic *io = dev;
    if (offset == OFFSET_SELECT) {
        io->select = value & 0xff;
    } else if (offset == OFFSET_EOI) {
        ioapic_eoi(io, (uint8_t)value);
    } else if (offset == OFFSET_WINDOW && size >= 4) {
        ioapic_write_register(io, (uint32_t)value);
    }
}
