/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a Linux guest's pieces lie in its low RAM. One computation for plan_build(), which refuses
 * a guest whose pieces do not fit, and for the loader, which puts them there.
 */
#ifndef HV_PLAN_LAYOUT_H
#define HV_PLAN_LAYOUT_H

#include "hv/plan/bzimage.h"

/* The top of low RAM is kept for the guest's ACPI tables. */
#define LAYOUT_ACPI_SIZE (64 * KIB)
/* Below this the loader has room for boot_params, command line, page tables; the kernel is above.
 */
#define LAYOUT_LOW_SIZE  (1 * MIB)

struct guest_layout {
    gpa_t kernel; /* the protected-mode kernel; init_size bytes are its own from there */
    gpa_t initrd; /* 4 KiB aligned; 0 without an initrd */
    gpa_t acpi;   /* LAYOUT_ACPI_SIZE bytes up to the end of low RAM */
    /* Low RAM that would do, in bytes, a multiple of 2 MiB; set on failure too. 0 = no amount does.
     */
    uint64_t needed;
};

/*
 * kernel comes from bzimage_parse(), initrd_size is the file's (0 = none), low_ram_size the RAM
 * from gpa 0 on, a multiple of 4 KiB. STATUS_NO_MEMORY if it does not fit; only out->needed is set
 * then. Source: Linux Documentation/x86/boot.rst, "64-bit Boot Protocol" and the fields
 * pref_address, init_size, initrd_addr_max.
 */
MUST_USE enum status guest_layout_compute(const struct bzimage *kernel, uint64_t initrd_size,
                                          uint64_t low_ram_size, struct guest_layout *out);

#endif
