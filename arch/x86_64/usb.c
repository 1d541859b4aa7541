/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's part of USB keyboards: which controllers there are (PCI), their registers and
 * memory, which are the hypervisor's own. xhci/ does the rest, on the CPU that serves the consoles,
 * by timer. Called by start.c, paging.c and consoles.c.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/xhci/xhci.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"

#define CONTROLLERS 8u
#define POLL_US     8000u

static SEALED struct pci_found found[CONTROLLERS];
static SEALED unsigned found_count;
static SEALED struct xhci *controllers[CONTROLLERS]; /* in the heap; NULL = not usable */
static SEALED uint64_t memory_sizes[CONTROLLERS];    /* of what they read and write */

static uint32_t usb_read(void *machine, uint32_t offset) {
    const struct pci_found *f = machine;
    return mmio_read32((const uint8_t *)phys_pointer(f->bar) + offset);
}

static void usb_write(void *machine, uint32_t offset, uint32_t value) {
    const struct pci_found *f = machine;
    mmio_write32((uint8_t *)phys_pointer(f->bar) + offset, value);
}

static void usb_allow_dma(void *machine) {
    const struct pci_found *f = machine;
    pci_allow_dma(f->function);
}

static const struct xhci_ops usb_ops = {
    .read = usb_read, .write = usb_write, .allow_dma = usb_allow_dma, .key = hv_console_key};

void usb_find(const struct boot_info *info) {
    found_count = pci_find_usb(info, found, CONTROLLERS);
}

bool usb_registers(unsigned i, hpa_t *base, uint64_t *size) {
    if (i >= found_count) {
        return false;
    }
    *base = found[i].bar;
    *size = found[i].size;
    return true;
}

/* What the heap has for this; boot/ counts on it. */
static uint64_t usb_left = 2 * MIB;

static void *usb_alloc(uint64_t size) {
    if (size > usb_left) {
        log_warn("USB: no memory left for this controller" MSG(4060));
        return NULL;
    }
    usb_left -= ALIGN_UP(size, PAGE_SIZE);
    return pool_alloc(&arch_heap, size);
}

/* The log calls it by its number from then on. */
static void usb_log_controller(unsigned i) {
    char address[FMT_PCI_SIZE];
    log_info("USB: controller %u, PCI %s, is driven for keyboards and keeps its DMA", i,
             fmt_pci(address, found[i].function));
}

static void usb_init_controller(unsigned i) {
    struct xhci *hc = usb_alloc(sizeof(*hc));
    uint64_t size = 0;

    if (hc == NULL || xhci_probe(hc, &usb_ops, &found[i], i, found[i].size, &size) != STATUS_OK) {
        return;
    }
    void *memory = usb_alloc(size);
    if (memory != NULL) {
        xhci_give_memory(hc, memory, phys_address(memory).v);
        controllers[i] = hc;
        memory_sizes[i] = ALIGN_UP(size, PAGE_SIZE);
        usb_log_controller(i);
    }
}

void usb_init(void) {
    for (unsigned i = 0; i < found_count; i++) {
        usb_init_controller(i);
    }
}

bool usb_memory(unsigned i, uint32_t *function, hpa_t *base, uint64_t *size) {
    if (i >= found_count) {
        return false;
    }
    *function = found[i].function;
    *size = memory_sizes[i];
    *base = *size != 0 ? phys_address(controllers[i]->memory) : HPA(0);
    return true;
}

void usb_start(void) {
    if (found_count != 0) {
        apic_poll(POLL_US);
    }
}

void usb_poll(void) {
    uint64_t now = clock_now_us();

    for (unsigned i = 0; i < found_count; i++) {
        if (controllers[i] != NULL) {
            xhci_poll(controllers[i], now);
        }
    }
}
