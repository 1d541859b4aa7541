/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the EFI application hands to the hypervisor: the machine as the firmware described it, the
 * configuration, and the guests' files in memory. No EFI types. Written once by boot/, read-only
 * afterwards. All addresses are host-physical; the hypervisor runs identity-mapped.
 */
#ifndef HV_PLAN_BOOT_INFO_H
#define HV_PLAN_BOOT_INFO_H

#include "hv/plan/config.h"

#define BOOT_MAX_RANGES  512
#define BOOT_MAX_IMAGES  (2 * CONFIG_MAX_GUESTS)
#define BOOT_MAX_IOAPICS 8

enum mem_kind {
    MEM_FREE,     /* RAM that nobody needs: the plan may give it away */
    MEM_BULKHEAD, /* RAM of the hypervisor: its image, its heap, boot_info, the guests' files */
    MEM_RESERVED, /* RAM or MMIO of firmware (ACPI tables too) or devices; never touched */
};

struct mem_range {
    hpa_t base;
    uint64_t size; /* bytes, multiple of 4 KiB */
    enum mem_kind kind;
};

/* One file from the boot volume; one entry for each distinct path. */
struct boot_image {
    char path[CONFIG_PATH_SIZE];
    hpa_t base; /* page-aligned, in MEM_BULKHEAD */
    uint64_t size;
};

/* Pixels of 32 bits with a byte for each colour, in whatever order: we draw in grey. */
struct boot_framebuffer {
    hpa_t base; /* 0 = none */
    uint64_t size;
    uint32_t width, height;
    uint32_t stride; /* in pixels */
};

struct boot_ioapic {
    hpa_t base;
    uint32_t gsi_base;
};

/* Where an ISA interrupt arrives, after the MADT's overrides. */
struct boot_isa_irq {
    uint32_t gsi;
    bool active_low;
    bool level;
};

struct boot_info {
    uint32_t range_count; /* sorted by base, no overlaps, neighbours of one kind merged */
    struct mem_range ranges[BOOT_MAX_RANGES];

    uint32_t cpu_count; /* the first is the BSP; the index is the CPU number the config uses */
    uint32_t apic_ids[CONFIG_MAX_CPUS]; /* x2APIC IDs included */

    hpa_t image_base; /* the loaded hypervisor ELF, relocated, in MEM_BULKHEAD */
    uint64_t image_size;
    hpa_t heap_base; /* zeroed memory below 4 GiB for page tables, stacks, per-CPU data */
    uint64_t heap_size;
    hpa_t trampoline; /* one 4 KiB page below 1 MiB for starting the other CPUs */

    hpa_t rsdp;             /* 0 = no ACPI */
    uint64_t wall_seconds;  /* Unix seconds (UTC) just before the hypervisor was entered */
    uint32_t pm_timer_port; /* ACPI PM timer I/O port, 0 = none */
    hpa_t hpet_base;        /* 0 = none */
    uint32_t ioapic_count;  /* 0 = none known */
    struct boot_ioapic ioapics[BOOT_MAX_IOAPICS];
    struct boot_isa_irq isa_irqs[16];
    struct boot_framebuffer framebuffer;

    uint32_t image_count;
    struct boot_image images[BOOT_MAX_IMAGES];

    struct config config;
    const struct plan *plan; /* for these ranges, NULL = none; see plan_check() */
};

#endif
