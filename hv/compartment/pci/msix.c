/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns MSI-X: the table of messages that the guest writes, their masks, and what waits for one to
 * go. See pci.h. Source: PCI Local Bus Specification 3.0 "MSI-X Capability and Table Structures".
 */
#include "hv/compartment/pci/pci.h"

#define CONTROL_ON     BIT32(15)
#define CONTROL_MASKED BIT32(14)
#define ENTRY_MASKED   1u
#define ENTRY_SIZE     16u

enum { ENTRY_ADDRESS = 0, ENTRY_HIGH = 4, ENTRY_DATA = 8, ENTRY_CONTROL = 12 };

bool msix_is_on(const struct pci_function *f) {
    return (f->msix_control & CONTROL_ON) != 0;
}

void msix_send(struct pci_function *f, unsigned vector) {
    if (vector >= f->model->vectors || !msix_is_on(f) || !pci_is_master(f)) {
        return;
    }
    const struct msix_entry *e = &f->vectors[vector];
    bool masked = (f->msix_control & CONTROL_MASKED) != 0 || (e->control & ENTRY_MASKED) != 0;

    if (masked) {
        f->pending |= BIT32(vector);
    } else {
        f->device->env->msi(f->device->env, e->address, e->data);
    }
}

static uint32_t msix_read_word(const struct pci_function *f, uint64_t at) {
    if (at == MSIX_PENDING) {
        return f->pending;
    }
    if (at / ENTRY_SIZE >= f->model->vectors) {
        return 0;
    }
    const struct msix_entry *e = &f->vectors[at / ENTRY_SIZE];
    switch (at % ENTRY_SIZE) {
    case ENTRY_ADDRESS:
        return (uint32_t)e->address;
    case ENTRY_HIGH:
        return (uint32_t)(e->address >> 32);
    case ENTRY_DATA:
        return e->data;
    default:
        return e->control;
    }
}

static void msix_write_control(struct pci_function *f, unsigned vector, uint32_t word) {
    f->vectors[vector].control = word & ENTRY_MASKED;
    if ((f->pending & BIT32(vector)) != 0) {
        f->pending &= ~BIT32(vector);
        msix_send(f, vector); /* it may have to wait again */
    }
}

static void msix_write_word(struct pci_function *f, uint64_t at, uint32_t word) {
    unsigned vector = (unsigned)(at / ENTRY_SIZE);

    if (vector >= f->model->vectors) {
        return;
    }
    struct msix_entry *e = &f->vectors[vector];
    switch (at % ENTRY_SIZE) {
    case ENTRY_ADDRESS:
        e->address = (e->address & ~(uint64_t)UINT32_MAX) | (word & ~3u);
        break;
    case ENTRY_HIGH:
        e->address = (uint32_t)e->address | (uint64_t)word << 32;
        break;
    case ENTRY_DATA:
        e->data = word;
        break;
    default:
        msix_write_control(f, vector, word);
    }
}

/* Software may use aligned accesses of 4 and 8 bytes; of others nothing is said. */
static bool msix_takes(uint64_t at, unsigned size) {
    return (size == 4 || size == 8) && at % size == 0;
}

uint64_t msix_read(const struct pci_function *f, uint64_t at, unsigned size) {
    if (!msix_takes(at, size)) {
        return UINT64_MAX;
    }
    uint64_t high = size == 8 ? msix_read_word(f, at + 4) : 0;
    return high << 32 | msix_read_word(f, at);
}

void msix_write(struct pci_function *f, uint64_t at, unsigned size, uint64_t value) {
    if (!msix_takes(at, size)) {
        return;
    }
    msix_write_word(f, at, (uint32_t)value);
    if (size == 8) {
        msix_write_word(f, at + 4, (uint32_t)(value >> 32));
    }
}
