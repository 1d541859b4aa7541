/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of PCI functions. Nothing that a device says is trusted: lists of capabilities may have
 * circles, bridges may lead anywhere. Sources: PCI Local Bus Specification 3.0, "Configuration
 * Space Organization", "Base Addresses", "Capabilities List"; PCI Bus Power Management Interface
 * Specification, "PMCSR"; PCI Express Base Specification, "PCI Express Capability Structure", "ACS
 * Extended Capability"; PCI Conventional Advanced Features ECN.
 */
#include "config/pci.h"

#define BUSES             256u
#define DEVICES           32u
#define FUNCTIONS         8u
#define ABSENT            0xffffu /* as vendor: nobody answered */
#define CAPABILITIES_MOST 48u     /* as many as there is room for */
#define EXTENDED_MOST     480u    /* the same */

enum { ID = 0x00, COMMAND = 0x04, CLASS = 0x08, HEADER = 0x0c, BAR0 = 0x10, BUS_NUMBERS = 0x18 };
enum { ROM = 0x30, CAPABILITIES = 0x34, ROM_OF_BRIDGE = 0x38, INTERRUPT = 0x3c, EXTENDED = 0x100 };
enum { HEADER_DEVICE = 0, HEADER_BRIDGE = 1 };

#define COMMAND_DECODE       (BIT32(0) | BIT32(1))
#define COMMAND_MASTER       BIT32(2)
#define COMMAND_WORD         0xffffu /* the upper half is the status, of which a 1 clears bits */
#define STATUS_CAPABILITIES  BIT32(20)
#define HEADER_SEVERAL       BIT32(23)
#define BAR_IO               BIT32(0)
#define BAR_IO_FLAGS         0x3u
#define BAR_MEMORY_FLAGS     0xfu
#define BAR_TYPE             0x6u
#define BAR_WIDE             0x4u
#define BAR_PREFETCHABLE     BIT32(3)
#define ROM_ADDRESS          0xfffff800u
#define CLASS_HOST_BRIDGE    0x0600u
#define CLASS_IOAPIC         0x0800u
#define CLASS_IOMMU          0x0806u
#define PM_STATUS            4u
#define PM_NO_SOFT_RESET     BIT32(3)
#define MSI_MESSAGES_SHIFT   17u /* a power of two */
#define EXPRESS_CAPABILITIES 4u
#define EXPRESS_TYPE_SHIFT   20u
#define EXPRESS_FLR          BIT32(28)
#define MSIX_COUNT_SHIFT     16u
#define MSIX_COUNT           0x7ffu
#define MSIX_TABLE           4u
#define MSIX_PENDING         8u
#define MSIX_BAR             0x7u
#define AF_FLR               (BIT32(24) | BIT32(25)) /* it can say that it is idle, and be reset */
#define ACS_WORD             4u
#define EXTENDED_ACS         0x000du

/* A function, and the way to it. */
struct place {
    const struct pci_space *space;
    uint32_t segment, function;
};

static uint32_t get(const struct place *p, uint32_t reg) {
    return p->space->read(p->segment, p->function, reg);
}

static void put(const struct place *p, uint32_t reg, uint32_t value) {
    p->space->write(p->segment, p->function, reg, value);
}

/* ---- base addresses ---- */

/* Which bits a register keeps. */
static uint32_t kept_bits(const struct place *p, uint32_t reg, uint32_t value) {
    put(p, reg, UINT32_MAX);
    uint32_t kept = get(p, reg);
    put(p, reg, value);
    return kept;
}

static void read_io_bar(struct boot_pci_bar *bar, uint32_t low, uint32_t kept) {
    uint32_t bits = kept & ~BAR_IO_FLAGS;

    bar->io = true;
    bar->base = low & ~BAR_IO_FLAGS;
    if (bits != 0) { /* it may know no more than 16 of them */
        bar->size = (~bits & UINT16_MAX) + 1;
    }
}

/* One register, or the two of a wide one; returns how many. size: it may be asked. */
static unsigned read_bar(const struct place *p, unsigned i, unsigned count, bool size,
                         struct boot_pci_bar *bar) {
    uint32_t reg = BAR0 + 4 * i, low = get(p, reg);
    uint32_t kept = size ? kept_bits(p, reg, low) : 0;

    if ((low & BAR_IO) != 0) {
        read_io_bar(bar, low, kept);
        return 1;
    }
    bar->wide = (low & BAR_TYPE) == BAR_WIDE && i + 1 < count;
    bar->prefetchable = (low & BAR_PREFETCHABLE) != 0;
    bar->base = low & ~BAR_MEMORY_FLAGS;
    uint64_t bits = kept & ~BAR_MEMORY_FLAGS;
    if (!bar->wide) {
        bar->size = bits != 0 ? (uint64_t)(uint32_t)~bits + 1 : 0;
        return 1;
    }
    uint32_t high = get(p, reg + 4);
    bar->base |= (uint64_t)high << 32;
    bits |= size ? (uint64_t)kept_bits(p, reg + 4, high) << 32 : 0;
    bar->size = bits != 0 ? ~bits + 1 : 0;
    return 2;
}

/* Others rely on these all the time. */
static bool may_be_asked(const struct boot_pci *f) {
    uint32_t class = f->class >> 8;
    return class != CLASS_HOST_BRIDGE && class != CLASS_IOAPIC && class != CLASS_IOMMU;
}

static void read_bars(const struct place *p, struct boot_pci *f) {
    static const unsigned counts[] = {[HEADER_DEVICE] = BOOT_PCI_BARS, [HEADER_BRIDGE] = 2};
    unsigned count = f->header < ARRAY_SIZE(counts) ? counts[f->header] : 0;
    uint32_t command = get(p, COMMAND) & COMMAND_WORD;
    bool ask = may_be_asked(f);

    if (ask) {
        put(p, COMMAND, command & ~COMMAND_DECODE);
    }
    for (unsigned i = 0; i < count;) {
        i += read_bar(p, i, count, ask, &f->bars[i]);
    }
    if (ask && count != 0) {
        uint32_t reg = f->header == HEADER_BRIDGE ? ROM_OF_BRIDGE : ROM;
        uint32_t kept = kept_bits(p, reg, get(p, reg)) & ROM_ADDRESS;
        f->rom_size = kept != 0 ? ~kept + 1 : 0;
    }
    if (ask) {
        put(p, COMMAND, command);
    }
}

/* ---- capabilities ---- */

static void read_pm(const struct place *p, uint32_t at, struct boot_pci *f) {
    f->at_power = (uint8_t)at;
    f->pm_reset = (get(p, at + PM_STATUS) & PM_NO_SOFT_RESET) == 0;
}

static void read_msi(const struct place *p, uint32_t at, struct boot_pci *f) {
    f->at_msi = (uint8_t)at;
    f->messages = (uint8_t)BIT32(get(p, at) >> MSI_MESSAGES_SHIFT & 7);
}

static void read_express(const struct place *p, uint32_t at, struct boot_pci *f) {
    f->at_express = (uint8_t)at;
    f->express = (enum boot_pci_express)(get(p, at) >> EXPRESS_TYPE_SHIFT & 0xf);
    f->flr = (get(p, at + EXPRESS_CAPABILITIES) & EXPRESS_FLR) != 0;
}

static void read_msix(const struct place *p, uint32_t at, struct boot_pci *f) {
    uint32_t table = get(p, at + MSIX_TABLE), pending = get(p, at + MSIX_PENDING);
    f->at_msix = (uint8_t)at;
    f->msix = (struct boot_pci_msix){
        .count = (uint16_t)((get(p, at) >> MSIX_COUNT_SHIFT & MSIX_COUNT) + 1),
        .table_bar = table & MSIX_BAR,
        .table = table & ~MSIX_BAR,
        .pending_bar = pending & MSIX_BAR,
        .pending = pending & ~MSIX_BAR,
    };
}

static void read_af(const struct place *p, uint32_t at, struct boot_pci *f) {
    f->at_af = (uint8_t)at;
    f->af_flr = (get(p, at) & AF_FLR) == AF_FLR;
}

static const struct {
    uint8_t id;
    void (*read)(const struct place *p, uint32_t at, struct boot_pci *f);
} capabilities[] = {
    {.id = 0x01, .read = read_pm},      {.id = 0x05, .read = read_msi},
    {.id = 0x10, .read = read_express}, {.id = 0x11, .read = read_msix},
    {.id = 0x13, .read = read_af},
};

static void read_capabilities(const struct place *p, struct boot_pci *f) {
    bool listed = (get(p, COMMAND) & STATUS_CAPABILITIES) != 0 && f->header <= HEADER_BRIDGE;
    uint32_t at = listed ? get(p, CAPABILITIES) & 0xfc : 0;

    for (unsigned n = 0; at != 0 && n < CAPABILITIES_MOST; n++) {
        uint32_t word = get(p, at);
        for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
            if ((word & 0xff) == capabilities[i].id) {
                capabilities[i].read(p, at, f);
            }
        }
        at = word >> 8 & 0xfc;
    }
}

/* What lies above the first 256 bytes; nobody may be able to look there. */
static void read_extended(const struct place *p, struct boot_pci *f) {
    uint32_t at = f->express != BOOT_PCI_CONVENTIONAL ? EXTENDED : 0;

    for (unsigned n = 0; at >= EXTENDED && n < EXTENDED_MOST; n++) {
        uint32_t word = get(p, at);
        if (word == UINT32_MAX) {
            return;
        }
        if ((word & UINT16_MAX) == EXTENDED_ACS) {
            uint32_t acs = get(p, at + ACS_WORD);
            f->acs = (uint16_t)(at + ACS_WORD);
            f->acs_can = (uint16_t)acs;
            f->acs_on = (uint16_t)(acs >> 16);
        }
        at = word >> 20 & 0xffc;
    }
}

/* ---- the list ---- */

static void read_function(const struct place *p, struct boot_pci *f) {
    uint32_t id = get(p, ID), header = get(p, HEADER);

    f->segment = (uint16_t)p->segment;
    f->function = (uint16_t)p->function;
    f->vendor = (uint16_t)id;
    f->device = (uint16_t)(id >> 16);
    f->class = get(p, CLASS) >> 8;
    f->header = header >> 16 & 0x7f;
    f->express = BOOT_PCI_CONVENTIONAL;
    f->group = f->because = f->parent = BOOT_PCI_NONE;
    f->pin = (uint8_t)(get(p, INTERRUPT) >> 8);
    if (boot_pci_is_bridge(f)) {
        uint32_t buses = get(p, BUS_NUMBERS);
        f->secondary = (uint8_t)(buses >> 8);
        f->subordinate = (uint8_t)(buses >> 16);
    }
    read_bars(p, f);
    read_capabilities(p, f);
    read_extended(p, f);
}

/* The index of the bridge that leads to a bus, BOOT_PCI_NONE if none does. All lead upwards, so
 * that it is in the list already, and no way has a circle. */
static uint16_t find_bridge(const struct boot_info *info, uint32_t segment, uint32_t bus) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        const struct boot_pci *f = &info->pci[i];
        bool above = f->segment == segment && boot_pci_is_bridge(f) && f->function >> 8 < bus;
        if (above && f->secondary == bus) {
            return (uint16_t)i;
        }
    }
    return BOOT_PCI_NONE;
}

struct boot_pci *pci_find(struct boot_info *info, uint32_t segment, uint32_t function) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        if (info->pci[i].segment == segment && info->pci[i].function == function) {
            return &info->pci[i];
        }
    }
    return NULL;
}

/* parent: as of struct boot_pci. several: its device has more functions. */
typedef void visit_function(struct boot_info *info, const struct place *p, uint16_t parent,
                            bool several);

/* Some firmware's table names buses twice. */
static void add_function(struct boot_info *info, const struct place *p, uint16_t parent,
                         bool several) {
    if (pci_find(info, p->segment, p->function) != NULL) {
        return;
    }
    if (info->pci_count == BOOT_MAX_PCI) {
        info->pci_left_out++;
        return;
    }
    struct boot_pci *f = &info->pci[info->pci_count];
    *f = (struct boot_pci){.several = several};
    read_function(p, f);
    f->parent = parent;
    info->pci_count++;
}

static bool is_there(const struct place *p) {
    return (get(p, ID) & ABSENT) != ABSENT;
}

static void visit_device(struct boot_info *info, struct place p, uint16_t parent,
                         visit_function *visit) {
    bool several = is_there(&p) && (get(&p, HEADER) & HEADER_SEVERAL) != 0;
    uint32_t end = p.function + (several ? FUNCTIONS : 1);

    for (; p.function < end; p.function++) {
        if (is_there(&p)) {
            visit(info, &p, parent, several);
        }
    }
}

/* A link has one device at its end: what else answers there is the same one again. */
static void visit_bus(struct boot_info *info, const struct pci_space *space, uint32_t segment,
                      uint32_t bus, visit_function *visit) {
    uint16_t parent = find_bridge(info, segment, bus);
    enum boot_pci_express above =
        parent != BOOT_PCI_NONE ? info->pci[parent].express : BOOT_PCI_CONVENTIONAL;
    bool link = above == BOOT_PCI_ROOT_PORT || above == BOOT_PCI_DOWNSTREAM;

    for (uint32_t device = 0; device < (link ? 1 : DEVICES); device++) {
        uint32_t function = (bus * DEVICES + device) * FUNCTIONS;
        visit_device(info, (struct place){space, segment, function}, parent, visit);
    }
}

static void visit_buses(struct boot_info *info, const struct pci_space *space,
                        const struct boot_ecam *e, visit_function *visit) {
    for (uint32_t bus = e->first_bus; bus <= e->last_bus; bus++) {
        visit_bus(info, space, e->segment, bus, visit);
    }
}

void pci_list_all(struct boot_info *info, const struct pci_space *space) {
    static const struct boot_ecam ports = {.last_bus = BUSES - 1};
    const struct boot_ecam *ecams = info->ecam_count != 0 ? info->ecams : &ports;
    uint32_t count = info->ecam_count != 0 ? info->ecam_count : 1;

    info->pci_count = 0;
    info->pci_left_out = 0;
    for (uint32_t i = 0; i < count; i++) {
        visit_buses(info, space, &ecams[i], add_function);
    }
    info->pci_listed = true;
}

/* ---- DMA ---- */

static void stop_function(struct boot_info *info, const struct place *p, UNUSED uint16_t parent,
                          UNUSED bool several) {
    uint32_t command = get(p, COMMAND) & COMMAND_WORD;

    if ((command & COMMAND_MASTER) != 0 && !boot_pci_keeps_dma(get(p, CLASS) >> 8)) {
        put(p, COMMAND, command & ~COMMAND_MASTER);
        info->pci_stopped++;
    }
}

void pci_stop_others(struct boot_info *info, const struct pci_space *space) {
    for (uint32_t i = 0; i < info->ecam_count; i++) {
        if (info->ecams[i].segment != 0) {
            visit_buses(info, space, &info->ecams[i], stop_function);
        }
    }
}
