/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the configuration space of functions, and where on the guest's buses they answer. See
 * pci.h.
 */
#include "hv/compartment/pci/pci.h"

#include "hv/lib/str.h"

#define STATUS_INTERRUPT    BIT32(19) /* of the word of command and status */
#define STATUS_CAPABILITIES BIT32(20)
#define COMMAND_WRITABLE    (PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON | PCI_INTX_OFF)
#define BAR_IS_PORTS        1u
#define PIN_INTA            1u

/* ---- where it answers ---- */

static bool pci_decodes(const struct pci_function *f, const struct pci_bar *bar) {
    uint32_t on = bar->space == BUS_PORT ? PCI_PORTS_ON : PCI_MEMORY_ON;
    return (f->command & on) != 0;
}

/* At an address that is taken, or beyond its bus, it answers nowhere. */
static void pci_place(struct pci_function *f, unsigned i) {
    const struct pci_bar *bar = &f->model->bars[i];

    if (bar->size == 0) { /* a function with no BARs has no buses */
        return;
    }
    struct bus *bus = &f->buses[bar->space];
    if (f->there[i]) {
        f->there[i] = false;
        enum status gone = bus_remove(bus, f->device, bar->region);
        ASSERT(gone == STATUS_OK);
    }
    if (pci_decodes(f, bar)) {
        f->there[i] = bus_add(bus, f->bar[i], bar->size, f->device, bar->region) == STATUS_OK;
    }
}

static void pci_place_all(struct pci_function *f) {
    for (unsigned i = 0; i < PCI_BARS; i++) {
        pci_place(f, i);
    }
}

/* ---- its interrupt line ---- */

static bool pci_interrupts(const struct pci_function *f) {
    return f->interrupts && !msix_is_on(f);
}

/* The line is the bus's: it is asserted while any function drives it. */
static void pci_drive_line(struct pci_function *f) {
    if (f->device == NULL) {
        return;
    }
    unsigned line = pci_line(f->slot);
    uint32_t *drivers = &f->host->lines[line];
    uint32_t before = *drivers;
    bool driven = pci_interrupts(f) && (f->command & PCI_INTX_OFF) == 0;

    *drivers = driven ? before | BIT32(f->slot) : before & ~BIT32(f->slot);
    if (*drivers != before) {
        f->device->env->irq(f->device->env, DEV_PCI_LINES + line, *drivers != 0);
    }
}

void pci_set_interrupt(struct pci_function *f, bool wanted) {
    f->interrupts = wanted;
    if (!msix_is_on(f)) { /* else it is not driven */
        pci_drive_line(f);
    }
}

void pci_reset(struct pci_function *f) {
    uint32_t next[BUS_SPACES] = {[BUS_PORT] = PCI_PORTS + f->slot * PCI_PORT_SHARE,
                                 [BUS_MEMORY] = PCI_VIRTIO + f->slot * PCI_MEMORY_SHARE};

    f->command = 0;
    f->interrupts = false;
    f->line = f->device == NULL ? 0 : (uint8_t)pci_isa_irq(pci_line(f->slot));
    f->msix_control = 0;
    f->pending = 0;
    memset(f->vectors, 0, sizeof(f->vectors));
    for (unsigned i = 0; i < PCI_VECTORS; i++) {
        f->vectors[i].control = 1; /* masked */
    }
    pci_drive_line(f);
    pci_place_all(f);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &f->model->bars[i];
        f->bar[i] = bar->size == 0 ? 0 : ALIGN_UP(next[bar->space], bar->size);
        next[bar->space] = f->bar[i] + bar->size;
    }
}

/* ---- reading ---- */

static uint32_t pci_read_capability(const struct pci_function *f, uint32_t at) {
    const struct pci_model *m = f->model;
    uint32_t from = at - PCI_FIRST_CAPABILITY, word = 0;

    if (from >= m->capabilities_size) {
        return 0;
    }
    memcpy(&word, m->capabilities + from, min_u64(sizeof(word), m->capabilities_size - from));
    if (m->msix != 0 && at == m->msix) {
        word |= (uint32_t)(f->msix_control | (m->vectors - 1)) << 16;
    }
    return word;
}

static uint32_t pci_read_bar(const struct pci_function *f, unsigned i) {
    const struct pci_bar *bar = &f->model->bars[i];
    uint32_t kind = bar->size != 0 && bar->space == BUS_PORT ? BAR_IS_PORTS : 0;
    return f->bar[i] | kind;
}

static uint32_t pci_read_command(const struct pci_function *f) {
    uint32_t status = f->model->capabilities_size != 0 ? STATUS_CAPABILITIES : 0;

    status |= pci_interrupts(f) ? STATUS_INTERRUPT : 0;
    return status | f->command;
}

static uint32_t pci_read_model(const struct pci_function *f, uint32_t at) {
    const struct pci_model *m = f->model;

    if (at >= PCI_FIRST_CAPABILITY) {
        return pci_read_capability(f, at);
    }
    if (at - PCI_BAR < 4 * PCI_BARS) {
        return pci_read_bar(f, (at - PCI_BAR) / 4);
    }
    switch (at) {
    case PCI_ID:
        return (uint32_t)m->device << 16 | m->vendor;
    case PCI_COMMAND:
        return pci_read_command(f);
    case PCI_CLASS:
        return m->class_revision;
    case PCI_SUBSYSTEM:
        return m->subsystem != 0 ? (uint32_t)m->subsystem << 16 | m->vendor : 0;
    case PCI_CAPABILITIES:
        return m->capabilities_size != 0 ? PCI_FIRST_CAPABILITY : 0;
    case PCI_INTERRUPT:
        return f->device == NULL ? f->line : f->line | PIN_INTA << 8;
    default:
        return 0;
    }
}

static uint32_t pci_read(struct pci_function *f, uint32_t at) {
    return f->config == NULL ? pci_read_model(f, at) : f->config->read(f, at);
}

/* ---- writing ---- */

/* What answers nowhere has nothing to switch on. */
static void pci_write_command(struct pci_function *f, uint32_t word) {
    if (f->device != NULL) {
        f->command = word & COMMAND_WRITABLE;
        pci_place_all(f);
        pci_drive_line(f);
    }
}

static void pci_write_bar(struct pci_function *f, unsigned i, uint32_t word) {
    const struct pci_bar *bar = &f->model->bars[i];

    if (bar->size != 0) {
        f->bar[i] = word & ~(bar->size - 1);
        pci_place(f, i);
    }
}

static void pci_write_msix(struct pci_function *f, uint32_t word) {
    f->msix_control = (word >> 16) & MSIX_WRITABLE;
    pci_drive_line(f);
    for (unsigned i = 0; i < f->model->vectors; i++) {
        if ((f->pending & BIT32(i)) != 0) {
            f->pending &= ~BIT32(i);
            msix_send(f, i); /* it may have to wait again */
        }
    }
}

static void pci_write(struct pci_function *f, uint32_t at, uint32_t word) {
    if (f->config != NULL) {
        f->config->write(f, at, word);
    } else if (at == PCI_COMMAND) {
        pci_write_command(f, word);
    } else if (at == PCI_INTERRUPT && f->device != NULL) {
        f->line = (uint8_t)word;
    } else if (at - PCI_BAR < 4 * PCI_BARS) {
        pci_write_bar(f, (at - PCI_BAR) / 4, word);
    } else if (f->model->msix != 0 && at == f->model->msix) {
        pci_write_msix(f, word);
    }
}

/* ---- the mechanism ---- */

static struct pci_function *pci_find(const struct pci_host *host, uint32_t address) {
    return address < PCI_SLOTS * 8 * PCI_CONFIG_SIZE && (address >> 8 & 7) == 0
               ? host->slots[address >> 11]
               : NULL;
}

uint32_t pci_config_read(const struct pci_host *host, uint32_t address) {
    struct pci_function *f = pci_find(host, address);
    return f == NULL ? UINT32_MAX : pci_read(f, address % PCI_CONFIG_SIZE);
}

void pci_config_write(const struct pci_host *host, uint32_t address, unsigned bytes,
                      uint32_t word) {
    struct pci_function *f = pci_find(host, address);
    uint32_t mask = 0;

    if (f == NULL) {
        return;
    }
    for (unsigned i = 0; i < sizeof(word); i++) {
        mask |= (bytes >> i & 1) != 0 ? 0xffu << (8 * i) : 0;
    }
    uint32_t at = address % PCI_CONFIG_SIZE;
    if (mask != UINT32_MAX) {
        word = (pci_read(f, at) & ~mask) | (word & mask);
    }
    pci_write(f, at, word);
}

/* ---- the same as memory ---- */

#define PAGE_REGISTERS 0xffcu /* the words of a function's page */

static bool pci_page_takes(uint64_t at, unsigned size) {
    return size <= sizeof(uint32_t) && at % size == 0;
}

static uint32_t pci_page_address(uint64_t at) {
    return (uint32_t)(at / PAGE_SIZE * PCI_CONFIG_SIZE);
}

uint64_t pci_page_read(const struct pci_host *host, uint64_t at, unsigned size) {
    uint32_t address = pci_page_address(at);
    uint32_t reg = at & PAGE_REGISTERS;

    if (!pci_page_takes(at, size) || pci_find(host, address) == NULL) {
        return UINT64_MAX;
    }
    return reg < PCI_CONFIG_SIZE ? pci_config_read(host, address + reg) >> (8 * (at % 4)) : 0;
}

void pci_page_write(const struct pci_host *host, uint64_t at, unsigned size, uint64_t value) {
    uint32_t reg = at & PAGE_REGISTERS;
    unsigned byte = at % 4;

    if (pci_page_takes(at, size) && reg < PCI_CONFIG_SIZE) {
        unsigned bytes = (BIT32(size) - 1) << byte;
        pci_config_write(host, pci_page_address(at) + reg, bytes, (uint32_t)value << (8 * byte));
    }
}
