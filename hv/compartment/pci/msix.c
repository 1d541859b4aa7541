/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns MSI-X: the table of messages that the guest writes, their masks, and what waits for one to
 * go. See pci.h. Source: PCI Local Bus Specification 3.0 "MSI-X Capability and Table Structures".
 */
#include "hv/compartment/pci/pci.h"

bool msix_is_on(const struct pci_function *f) {
    return (f->msix_control & MSIX_ON) != 0;
}

void msix_send(struct pci_function *f, unsigned vector) {
    if (vector >= f->model->vectors || !msix_is_on(f) || !pci_is_master(f)) {
        return;
    }
    const struct msix_entry *e = &f->vectors[vector];
    bool masked = (f->msix_control & MSIX_MASKED) != 0 || (e->control & MSIX_ENTRY_MASKED) != 0;

    if (masked) {
        f->pending |= BIT32(vector);
    } else {
        f->device->env->msi(f->device->env, e->address, e->data);
    }
}

uint32_t msix_entry_word(const struct msix_entry *e, uint64_t at) {
    switch (at % MSIX_ENTRY_SIZE) {
    case MSIX_ENTRY_ADDRESS:
        return (uint32_t)e->address;
    case MSIX_ENTRY_HIGH:
        return (uint32_t)(e->address >> 32);
    case MSIX_ENTRY_DATA:
        return e->data;
    default:
        return e->control;
    }
}

void msix_entry_set_word(struct msix_entry *e, uint64_t at, uint32_t word) {
    switch (at % MSIX_ENTRY_SIZE) {
    case MSIX_ENTRY_ADDRESS:
        e->address = (e->address & ~(uint64_t)UINT32_MAX) | (word & ~3u);
        break;
    case MSIX_ENTRY_HIGH:
        e->address = (uint32_t)e->address | (uint64_t)word << 32;
        break;
    case MSIX_ENTRY_DATA:
        e->data = word;
        break;
    default:
        e->control = word & MSIX_ENTRY_MASKED;
    }
}

static uint32_t msix_read_word(const struct pci_function *f, uint64_t at) {
    if (at == MSIX_PENDING) {
        return f->pending;
    }
    uint64_t vector = at / MSIX_ENTRY_SIZE;
    return vector < f->model->vectors ? msix_entry_word(&f->vectors[vector], at) : 0;
}

static void msix_write_word(struct pci_function *f, uint64_t at, uint32_t word) {
    unsigned vector = (unsigned)(at / MSIX_ENTRY_SIZE);

    if (vector >= f->model->vectors) {
        return;
    }
    msix_entry_set_word(&f->vectors[vector], at, word);
    bool control = at % MSIX_ENTRY_SIZE == MSIX_ENTRY_CONTROL;
    if (control && (f->pending & BIT32(vector)) != 0) {
        f->pending &= ~BIT32(vector);
        msix_send(f, vector); /* it may have to wait again */
    }
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
