/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O APIC of a VM: 24 redirection entries behind an index and a data register. Turns line
 * levels into interrupt messages; who receives them is not its business. Source: Intel 82093AA data
 * sheet "Register Description"; the EOI register is that of the later ICH parts.
 */
#include "hv/compartment/dev/models.h"
#include "hv/lib/msi.h"

enum ioapic_offset { OFFSET_SELECT, OFFSET_WINDOW = 0x10, OFFSET_EOI = 0x40 };
enum ioapic_register { REG_ID, REG_VERSION, REG_ARBITRATION, REG_REDIRECTION = 0x10 };

#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16)
#define ID_MASK 0x0f000000u

#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
#define RTE_MESSAGE    0x87ff /* vector, delivery mode, trigger: the same in an MSI */
/* Vector, delivery and destination mode, polarity, trigger, mask, destination. */
#define RTE_WRITABLE   0xff0000000001afffull

static struct ioapic *ioapic_of(struct device *dev) {
    return CONTAINER_OF(dev, struct ioapic, dev);
}

static void ioapic_reset(struct device *dev) {
    struct ioapic *io = ioapic_of(dev);

    *io = (struct ioapic){.dev = *dev};
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->redirection[pin] = RTE_MASKED;
    }
}

/* Sends what the pin owes: an asserted level that nobody serves yet, or a remembered edge. */
static void ioapic_service(struct ioapic *io, unsigned pin) {
    uint64_t rte = io->redirection[pin];
    bool level = (rte & RTE_LEVEL) != 0;
    bool owed = ((level ? io->lines : io->pending) >> pin & 1) != 0;
    if (!owed || (rte & (RTE_MASKED | (level ? RTE_REMOTE_IRR : 0))) != 0) {
        return;
    }
    if (level) {
        io->redirection[pin] |= RTE_REMOTE_IRR;
    }
    io->pending &= ~BIT32(pin);
    io->dev.env->msi(io->dev.env, MSI_ADDRESS | rte >> 56 << 12 | (rte >> 9 & MSI_LOGICAL),
                     (uint32_t)(rte & RTE_MESSAGE) | MSI_ASSERT);
}

void ioapic_set_line(struct ioapic *io, unsigned pin, bool asserted) {
    ASSERT(pin < IOAPIC_PINS);
    uint32_t bit = BIT32(pin);
    if (!asserted) {
        io->lines &= ~bit;
        io->pending &= ~bit;
    } else if ((io->lines & bit) == 0) {
        io->lines |= bit;
        io->pending |= bit;
        ioapic_service(io, pin);
    }
}

void ioapic_eoi(struct ioapic *io, uint8_t vector) {
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t rte = io->redirection[pin];
        if ((uint8_t)rte == vector) { /* one that was not sent has nothing to send */
            io->redirection[pin] = rte & ~RTE_REMOTE_IRR;
            ioapic_service(io, pin);
        }
    }
}

/* The redirection entry that the index selects, and which half of it: false if it is none. */
static bool ioapic_entry(const struct ioapic *io, unsigned *pin, unsigned *shift) {
    if (io->select < REG_REDIRECTION || io->select >= REG_REDIRECTION + 2 * IOAPIC_PINS) {
        return false;
    }
    unsigned half = io->select - REG_REDIRECTION;
    *pin = half / 2;
    *shift = half % 2 * 32;
    return true;
}

static uint32_t ioapic_read_register(const struct ioapic *io) {
    unsigned pin;
    unsigned shift;

    if (ioapic_entry(io, &pin, &shift)) {
        return (uint32_t)(io->redirection[pin] >> shift);
    }
    if (io->select == REG_VERSION) {
        return VERSION;
    }
    return io->select == REG_ID || io->select == REG_ARBITRATION ? io->id : 0;
}

static void ioapic_write_register(struct ioapic *io, uint32_t value) {
    unsigned pin;
    unsigned shift;

    if (io->select == REG_ID) {
        io->id = value & ID_MASK;
    } else if (ioapic_entry(io, &pin, &shift)) {
        uint64_t writable = RTE_WRITABLE & (uint64_t)UINT32_MAX << shift;
        uint64_t rte = (io->redirection[pin] & ~writable) | ((uint64_t)value << shift & writable);

        /* An entry turned to edge forgets its level; guests without an EOI register rely on it. */
        io->redirection[pin] = (rte & RTE_LEVEL) != 0 ? rte : rte & ~RTE_REMOTE_IRR;
        ioapic_service(io, pin);
    }
}

static uint64_t ioapic_read(struct device *dev, UNUSED unsigned region, uint64_t at,
                            UNUSED unsigned size) {
    const struct ioapic *io = ioapic_of(dev);
    if (at == OFFSET_SELECT) {
        return io->select;
    }
    return at == OFFSET_WINDOW ? ioapic_read_register(io) : 0;
}

static void ioapic_write(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size,
                         uint64_t value) {
    struct ioapic *io = ioapic_of(dev);

    if (at == OFFSET_SELECT) {
        io->select = value & 0xff;
    } else if (at == OFFSET_EOI) {
        ioapic_eoi(io, (uint8_t)value);
    } else if (at == OFFSET_WINDOW && size >= 4) {
        ioapic_write_register(io, (uint32_t)value);
    }
}

const struct device_ops ioapic_ops = {
    .name = "I/O APIC",
    .reset = ioapic_reset,
    .read = ioapic_read,
    .write = ioapic_write,
};
