/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's PCI devices. Stops the DMA that the firmware left running: a network card that
 * still receives, or a USB controller that still polls, would write into memory that is a guest's
 * by now. Finds the USB controllers that are the hypervisor's own. Called by start.c and usb.c, on
 * the first CPU, later on the one that serves the consoles. Source: PCI Local Bus Specification
 * 3.0, "Software Generation of Configuration Transactions" (mechanism 1), "Configuration Space
 * Organization", "Base Addresses", "Class Codes". boot/ has done so in the segments above the
 * first, which only memory-mapped configuration reaches.
 */
#include "arch/x86_64/pci.h"
#include "arch/x86_64/arch.h"
#include "hv/lib/lock.h"
#include "hv/lib/range.h"
#include "hv/plan/plan.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_ENABLE  BIT32(31)

#define BUSES     256u
#define DEVICES   32u
#define FUNCTIONS 8u

#define ID_ABSENT      0xffffu /* as vendor: nobody answered */
#define COMMAND_MEMORY BIT32(1)
#define COMMAND_MASTER BIT32(2)
#define COMMAND_WORD   0xffffu /* the upper half is the status, of which a 1 clears bits */
#define HEADER_MULTI   BIT32(23)
#define BAR_IO         BIT32(0)
#define BAR_TYPE       0x6u
#define BAR_64_BITS    0x4u
#define BAR_ADDRESS    ~0xfull

static struct lock pci_lock; /* the machine has one pair of ports for it */

static void pci_select(uint32_t function, uint32_t reg) {
    port_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | reg);
}

uint32_t plat_pci_read(uint32_t function, uint32_t reg) {
    lock_acquire(&pci_lock);
    pci_select(function, reg);
    uint32_t value = port_in32(CONFIG_DATA);
    lock_release(&pci_lock);
    return value;
}

void plat_pci_write(uint32_t function, uint32_t reg, uint32_t value) {
    lock_acquire(&pci_lock);
    pci_select(function, reg);
    port_out32(CONFIG_DATA, value);
    lock_release(&pci_lock);
}

void pci_each(void (*visit)(uint32_t function)) {
    for (uint32_t device = 0; device < BUSES * DEVICES; device++) {
        uint32_t first = device * FUNCTIONS;
        if ((uint16_t)plat_pci_read(first, PCI_ID) == ID_ABSENT) {
            continue;
        }
        bool several = (plat_pci_read(first, PCI_HEADER) & HEADER_MULTI) != 0;
        uint32_t functions = several ? FUNCTIONS : 1;
        for (uint32_t function = first; function < first + functions; function++) {
            if ((uint16_t)plat_pci_read(function, PCI_ID) != ID_ABSENT) {
                visit(function);
            }
        }
    }
}

/* ---- DMA ---- */

static unsigned pci_stopped; /* that could reach memory until then */

static void pci_stop(uint32_t function) {
    uint32_t class = plat_pci_read(function, PCI_CLASS) >> 8;
    uint32_t command = plat_pci_read(function, PCI_COMMAND) & COMMAND_WORD;

    if ((command & COMMAND_MASTER) != 0 && !boot_pci_keeps_dma(class)) {
        plat_pci_write(function, PCI_COMMAND, command & ~COMMAND_MASTER);
        pci_stopped++;
    }
}

void pci_stop_masters(const struct boot_info *info) {
    pci_stopped = info->pci_stopped;
    pci_each(pci_stop);
    log_info("PCI: DMA switched off in %u devices that the firmware had left it to", pci_stopped);
}

void pci_allow_dma(uint32_t function) {
    uint32_t command = plat_pci_read(function, PCI_COMMAND) & COMMAND_WORD;
    plat_pci_write(function, PCI_COMMAND, command | COMMAND_MASTER);
}

/* ---- USB controllers ---- */

static const struct boot_info *pci_machine; /* while they are looked for */
static struct pci_found *pci_usb;
static unsigned pci_usb_count, pci_usb_max;

static uint64_t pci_bar(uint32_t function) {
    uint32_t low = plat_pci_read(function, PCI_BAR);
    bool wide = (low & BAR_TYPE) == BAR_64_BITS;
    uint64_t high = wide ? plat_pci_read(function, PCI_BAR_HIGH) : 0;
    return (low & BAR_IO) != 0 ? 0 : (high << 32 | low) & BAR_ADDRESS;
}

/* The bits that the register does not keep tell its size. Nothing may use it meanwhile. */
static uint64_t pci_bar_size(uint32_t function) {
    uint32_t command = plat_pci_read(function, PCI_COMMAND) & COMMAND_WORD;
    uint32_t low = plat_pci_read(function, PCI_BAR);

    plat_pci_write(function, PCI_COMMAND, command & ~COMMAND_MEMORY);
    plat_pci_write(function, PCI_BAR, UINT32_MAX);
    uint32_t kept = plat_pci_read(function, PCI_BAR) & (uint32_t)BAR_ADDRESS;
    plat_pci_write(function, PCI_BAR, low);
    plat_pci_write(function, PCI_COMMAND, command);
    return kept == 0 ? 0 : (uint64_t)(uint32_t)~kept + 1;
}

/* Whole pages, and nothing of what is memory or another device's. */
static bool pci_may_map(uint64_t base, uint64_t size) {
    const struct boot_info *info = pci_machine;

    if (base == 0 || size < PAGE_SIZE || base % PAGE_SIZE != 0 ||
        boot_is_memory(info, base, size)) {
        return false;
    }
    for (unsigned i = 0; i < pci_usb_count; i++) {
        if (range_overlaps(pci_usb[i].bar.v, pci_usb[i].size, base, size)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *fb = &info->screens[i];
        if (range_overlaps(fb->base.v, fb->size, base, size)) {
            return false;
        }
    }
    return !range_overlaps(apic_page.v, PAGE_SIZE, base, size);
}

/* One that a guest is given is not looked at, and no keyboard of ours. */
static bool pci_is_given(const struct boot_info *info, uint32_t function) {
    for (uint32_t i = 0; info->plan != NULL && i < info->plan->vm_count; i++) {
        const struct plan_vm *vm = &info->plan->vms[i];
        for (uint32_t n = 0; n < vm->pci_count; n++) {
            const struct boot_pci *f = &info->pci[vm->pcis[n]];
            if (f->segment == 0 && f->function == function) {
                return true;
            }
        }
    }
    return false;
}

static void pci_take_usb(uint32_t function) {
    if (pci_is_given(pci_machine, function) ||
        plat_pci_read(function, PCI_CLASS) >> 8 != PCI_CLASS_XHCI || pci_usb_count == pci_usb_max) {
        return;
    }
    uint64_t base = pci_bar(function);
    uint64_t size = pci_bar_size(function);
    if (pci_may_map(base, size)) {
        uint32_t command = plat_pci_read(function, PCI_COMMAND) & COMMAND_WORD;
        plat_pci_write(function, PCI_COMMAND, command | COMMAND_MEMORY);
        pci_usb[pci_usb_count] = (struct pci_found){function, HPA(base), (uint32_t)size};
        pci_usb_count++;
    }
}

unsigned pci_find_usb(const struct boot_info *info, struct pci_found *out, unsigned max) {
    pci_machine = info;
    pci_usb = out;
    pci_usb_max = max;
    pci_each(pci_take_usb);
    pci_machine = NULL;
    return pci_usb_count;
}
