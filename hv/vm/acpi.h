/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of a guest: RSDP, XSDT, FADT, FACS, MADT, DSDT, written into its memory before it
 * starts.
 */
#ifndef HV_VM_ACPI_H
#define HV_VM_ACPI_H

#include "hv/mem/gmem.h"

#define ACPI_RSDP_SCAN 0xe0000u /* second copy of the RSDP, for guests that search for it */
#define ACPI_MAX_CPUS  254

/*
 * Writes the tables into the LAYOUT_ACPI_SIZE bytes at base (4 KiB aligned, below 4 GiB:
 * guest_layout.acpi); the RSDP comes first and once more at ACPI_RSDP_SCAN, the FACS has the last
 * page for itself. One enabled local APIC for each of 0 .. cpu_count - 1, the APIC ID being that
 * number. STATUS_NOT_FOUND if the place is no guest memory.
 */
MUST_USE enum status acpi_write_tables(const struct gmem *mem, gpa_t base, uint32_t cpu_count);

/* The compiled hv/vm/dsdt.asl, see arch/x86_64/acpi_blob.S. */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

#endif
