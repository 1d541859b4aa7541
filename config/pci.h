/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's PCI functions: which there are, which of them can reach each other, and which a
 * guest can have. Pure: it reaches configuration space through what its caller (boot/, the unit
 * tests) gives. Into info->pci; boot/devices.c calls these in this order.
 */
#pragma once

#include "hv/plan/boot_info.h"

/* Configuration space: a register of 32 bits, at a multiple of 4. All ones where nobody answers, or
 * where the machine has no way to reach that register. */
struct pci_space {
    uint32_t (*read)(uint32_t segment, uint32_t function, uint32_t reg);
    void (*write)(uint32_t segment, uint32_t function, uint32_t reg, uint32_t value);
};

/*
 * pci_list.c: all functions on the buses of info->ecams, or of all of the first segment. Each base
 * address register is written and restored to learn its size, with the function's decoding off:
 * nothing may use a device meanwhile. Not those of host bridges, I/O APICs and IOMMUs.
 */
void pci_list_all(struct boot_info *info, const struct pci_space *space);

/*
 * The same file: switches off the DMA of all functions above the first segment, in the list or not;
 * but for those that must go on. The first segment's is for the hypervisor. Adds to
 * info->pci_stopped.
 */
void pci_stop_others(struct boot_info *info, const struct pci_space *space);

/* The function there, NULL if it is not in the list. */
struct boot_pci *pci_find(struct boot_info *info, uint32_t segment, uint32_t function);

/* pci_group.c: the number of each function's group; and who is alone behind a port. */
void pci_group_all(struct boot_info *info);
/* Switches on what keeps functions apart, and groups them anew by what is on then. */
void pci_set_acs(struct boot_info *info, const struct pci_space *space);

/* pci_judge.c: the verdict on each function. Once all else of *info is known. */
void pci_judge_all(struct boot_info *info);
/* Anew what depends on IOMMUs and so on the config, once each function has a verdict. */
void pci_judge_walls(struct boot_info *info);

/* pci_text.c: for people. Each returns buf. */
#define PCI_ADDRESS_SIZE 16
/* "03:00.0", and of other segments than the first "0001:03:00.0". */
const char *pci_address(const struct boot_pci *f, char buf[PCI_ADDRESS_SIZE]);
#define PCI_VERDICT_SIZE 64
/* At most 39 letters as long as all addresses are of the first segment. */
const char *pci_verdict(const struct boot_info *info, const struct boot_pci *f,
                        char buf[PCI_VERDICT_SIZE]);
/* What to do about one that cannot be given. */
const char *pci_fix(const struct boot_pci *f);
#define PCI_LINE_SIZE 112
/* A line of the list, and of its head. */
const char *pci_line(const struct boot_info *info, const struct boot_pci *f,
                     char buf[PCI_LINE_SIZE]);
extern const char pci_line_head[];
/* What it is, in a word. */
const char *pci_kind(const struct boot_pci *f);
