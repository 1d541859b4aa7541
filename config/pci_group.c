/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which PCI functions can reach each other without passing an IOMMU: they are one group, and go to
 * one guest or to none. As Linux judges, with one rule more: in a switch of which some port lacks
 * ACS, what is behind any of its ports can be reached from that one, so all of it is one group.
 * Source: PCI Express Base Specification, "Access Control Services".
 */
#include "config/pci.h"

/* Source Validation, P2P Request Redirect, P2P Completion Redirect, Upstream Forwarding. */
#define ACS_NEEDED        (BIT32(0) | BIT32(2) | BIT32(3) | BIT32(4))
#define ACS_CONTROL_SHIFT 16u /* in the word of capability and control */

/*
 * What it cannot switch on it has by nature: features are optional only where they mean something.
 * Firmware leaves them off; until they are set, what counts is that they can be.
 */
static bool acs_is_on(const struct boot_info *info, const struct boot_pci *f) {
    uint32_t wanted = ACS_NEEDED & f->acs_can;
    return f->acs != 0 && (!info->acs_set || (f->acs_on & wanted) == wanted);
}

void pci_set_acs(struct boot_info *info, const struct pci_space *space) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        struct boot_pci *f = &info->pci[i];
        if (f->acs == 0) {
            continue;
        }
        uint32_t word = space->read(f->segment, f->function, f->acs);
        uint32_t wanted = (ACS_NEEDED & f->acs_can) << ACS_CONTROL_SHIFT;
        space->write(f->segment, f->function, f->acs, word | wanted);
        word = space->read(f->segment, f->function, f->acs);
        f->acs_on = (uint16_t)(word >> ACS_CONTROL_SHIFT);
    }
    info->acs_set = true;
    pci_group_all(info);
}

/* No request goes from one function of its device, or from one port, to the other. */
static bool is_held_back(const struct boot_info *info, const struct boot_pci *f) {
    switch (f->express) {
    case BOOT_PCI_ROOT_PORT:
    case BOOT_PCI_DOWNSTREAM:
        return acs_is_on(info, f);
    case BOOT_PCI_UPSTREAM:
        return !f->several || acs_is_on(info, f);
    case BOOT_PCI_ENDPOINT:
    case BOOT_PCI_LEGACY_ENDPOINT:
    case BOOT_PCI_ROOT_ENDPOINT: /* what a reset for a guest switches off is not on */
        return !f->several || (f->acs != 0 && (f->acs_can & ACS_NEEDED) == 0);
    case BOOT_PCI_TO_PCI:
    case BOOT_PCI_FROM_PCI:
    case BOOT_PCI_ROOT_COLLECTOR:
    case BOOT_PCI_CONVENTIONAL:
    default:
        return false;
    }
}

/* What is behind this bridge is apart from it, and from what is behind others. */
static bool keeps_apart(const struct boot_info *info, uint16_t bridge) {
    const struct boot_pci *f = &info->pci[bridge];

    if (f->express != BOOT_PCI_UPSTREAM) {
        return is_held_back(info, f);
    }
    for (uint32_t i = 0; i < info->pci_count; i++) { /* each port of the switch */
        if (info->pci[i].parent == bridge && !is_held_back(info, &info->pci[i])) {
            return false;
        }
    }
    return is_held_back(info, f);
}

/* While groups are made, a function's group is the index of an earlier member, or its own. */
static uint16_t first_of(const struct boot_info *info, uint32_t i) {
    while (info->pci[i].group != i) {
        i = info->pci[i].group;
    }
    return (uint16_t)i;
}

static void join(struct boot_info *info, uint32_t a, uint32_t b) {
    uint16_t first_a = first_of(info, a), first_b = first_of(info, b);
    uint16_t least = first_a < first_b ? first_a : first_b;

    info->pci[first_a].group = least;
    info->pci[first_b].group = least;
}

static bool are_of_one_device(const struct boot_pci *a, const struct boot_pci *b) {
    return a->segment == b->segment && a->function / 8 == b->function / 8;
}

/* With all bridges on its way that keep nothing apart, and the other functions of its device. */
static void join_neighbours(struct boot_info *info, uint32_t i) {
    const struct boot_pci *f = &info->pci[i];

    for (uint16_t up = f->parent; up != BOOT_PCI_NONE; up = info->pci[up].parent) {
        if (!keeps_apart(info, up)) {
            join(info, i, up);
        }
    }
    for (uint32_t j = 0; j < i; j++) {
        bool open = !is_held_back(info, f) && !is_held_back(info, &info->pci[j]);
        if (open && are_of_one_device(f, &info->pci[j])) {
            join(info, i, j);
        }
    }
}

/* Groups have numbers in the order of their first functions. */
static void number_groups(struct boot_info *info) {
    uint16_t next = 0;

    for (uint32_t i = 0; i < info->pci_count; i++) {
        struct boot_pci *f = &info->pci[i];
        if (f->group == i) {
            f->group = next;
            next++;
        } else { /* that one has its number already */
            f->group = info->pci[f->group].group;
        }
    }
}

static bool is_alone(const struct boot_info *info, uint32_t i) {
    uint16_t parent = info->pci[i].parent;

    if (parent == BOOT_PCI_NONE || boot_pci_is_bridge(&info->pci[i])) {
        return false;
    }
    for (uint32_t j = 0; j < info->pci_count; j++) {
        if (j != i && info->pci[j].parent == parent) {
            return false;
        }
    }
    enum boot_pci_express above = info->pci[parent].express;
    return above == BOOT_PCI_ROOT_PORT || above == BOOT_PCI_DOWNSTREAM;
}

void pci_group_all(struct boot_info *info) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        info->pci[i].group = (uint16_t)i;
    }
    for (uint32_t i = 0; i < info->pci_count; i++) {
        join_neighbours(info, i);
        info->pci[i].bus_reset = is_alone(info, i);
    }
    number_groups(info);
}
