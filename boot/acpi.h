/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The little that Bulkhead wants from ACPI before it starts: CPUs, interrupt controllers, timers.
 * Pure: reads tables through phys_pointer(), writes into struct boot_info. No EFI, no AML. Called
 * by machine.c and the unit tests.
 */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include "hv/plan/boot_info.h"

/*
 * Reads RSDP, XSDT or RSDT, MADT, FADT and HPET table; what they say goes into *info (rsdp, cpus in
 * MADT order, ioapics, isa_irqs, lapic_base, pm_timer_*, hpet_base), what they do not say stays as
 * it was. All of it comes from the firmware: lengths and checksums are checked, a broken table is
 * skipped. STATUS_INVALID if the root is broken; then nothing was written.
 */
MUST_USE enum status acpi_read(hpa_t rsdp, struct boot_info *info);

#endif
