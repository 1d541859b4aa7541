/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the EFI application that need no firmware: memory ranges, ACPI tables, the loader of
 * the embedded hypervisor. Pure, no EFI types. Called by the rest of boot/ and the unit tests.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/plan/boot_info.h"

/* ranges.c: the list in struct boot_info while it is being made: sorted, disjoint, merged. */
/*
 * Makes [base, base + size) of that kind, whatever parts of it were before. Both are multiples of
 * 4 KiB; empty is fine. STATUS_INVALID if the sum overflows, STATUS_FULL when the list might not
 * hold the result; the list is untouched then.
 */
MUST_USE enum status ranges_set(struct boot_info *info, uint64_t base, uint64_t size,
                                enum mem_kind kind);

/*
 * acpi.c: reads RSDP, XSDT, MADT, FADT, HPET table, SPCR and MCFG; what they say goes into *info
 * (rsdp, cpus added in MADT order, ioapics, isa_irqs, pm_timer_port, hpet_base, spcr, ecams), what
 * they do not say stays as it was. All of it comes from the firmware: lengths and checksums are
 * checked, a broken table is skipped. STATUS_INVALID if the root is broken; then nothing was
 * written.
 */
MUST_USE enum status acpi_read(hpa_t rsdp, struct boot_info *info);
/* Adds a CPU unless it is there (some firmware lists one twice) or the list is full. */
void acpi_add_cpu(struct boot_info *info, uint32_t apic_id);

/*
 * sleep.c: how the machine is switched off, from the FADT and its DSDT, into info->power_off. No
 * AML is run: the package _S5_ is looked for by its bytes. fadt has SLEEP_FADT bytes at least; all
 * else may be wrong, and then it stays unknown.
 */
#define SLEEP_FADT 116u
void sleep_read(const uint8_t *fadt, struct boot_info *info);

/*
 * wdat.c: the watchdog that ACPI's table WDAT describes, into info->watchdog. The table has at
 * least WDAT_ENTRIES bytes; all else in it may be wrong.
 */
#define WDAT_ENTRIES 68u
void wdat_read(const uint8_t *table, struct boot_info *info);
/* One access to a register, of step->width bytes. */
struct wdat_ops {
    uint32_t (*read)(const struct boot_watchdog_step *step);
    void (*write)(const struct boot_watchdog_step *step, uint32_t value);
};
/* Does it run, and can it be stopped? Writes to no register. info->ranges are known by then. */
void wdat_look(struct boot_info *info, const struct wdat_ops *ops);
/* Stops it, unless it rests, once the firmware is gone. */
void wdat_stop(struct boot_info *info, const struct wdat_ops *ops);

/*
 * iommu.c: Intel's table DMAR, or AMD's IVRS, into info->dma. A table has at least so many bytes;
 * all else in it may be wrong: what is not understood makes info->dma.partial true.
 */
#define DMAR_ENTRIES 48u
#define IVRS_ENTRIES 48u
void dmar_read(const uint8_t *table, struct boot_info *info);
void ivrs_read(const uint8_t *table, struct boot_info *info);
/* Goes the ways through bridges in info->dma.ranges, with the registers of PCI functions (number as
 * in struct boot_dma_range; a multiple of 4). A way that leads nowhere: the range goes. */
void iommu_resolve(struct boot_info *info, uint32_t (*read)(uint32_t function, uint32_t reg));

/*
 * device_path.c: the unique GUID (MBR: the disk's signature, then zeros) of the partition in a
 * device path, as a UUID is written. False, with *uuid untouched, if it names none: a start from
 * the network.
 */
bool device_path_partition(const uint8_t *path, uint8_t uuid[UUID_SIZE]);

/* pixels.c: the first pixel in [from, to) that has that colour in its lower 24 bits; to if there is
 * none. */
uint32_t pixels_search(const volatile uint32_t *pixels, uint32_t from, uint32_t to,
                       uint32_t colour);

/*
 * tables.c: makes [base, base + size) writable and executable in page tables of 4 or 5 levels, each
 * at its own address. A large page is changed as a whole. The caller flushes the TLB.
 * False if a page is not mapped; those below it are changed then.
 */
bool tables_open(hpa_t root, unsigned levels, uint64_t base, uint64_t size);
/* True if all of it is mapped; changes nothing. */
bool tables_map(hpa_t root, unsigned levels, uint64_t base, uint64_t size);

/*
 * elf.c: the embedded hypervisor, a static position-independent x86-64 file linked at 0. The build
 * made it and it lies in this application's own image, so what is wrong with it is a bug of ours.
 */
/* Bytes of memory from the link address 0 to the end of the last segment. */
uint64_t elf_span(const void *file);
/* Puts the segments at memory (elf_span() bytes, zeroed), relocated; returns the entry. */
typedef void (*elf_entry)(struct boot_info *info);
elf_entry elf_load(const void *file, uint8_t *memory);
