/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Linux/x86 boot protocol's setup header, read from an untrusted file: found, checked, turned
 * into plain numbers; and where such a guest's pieces lie in its low RAM. Used by plan_build() to
 * refuse what cannot boot or does not fit, and by the loader, which puts the pieces there.
 * Reference: Linux Documentation/x86/boot.rst.
 */
#ifndef HV_PLAN_BZIMAGE_H
#define HV_PLAN_BZIMAGE_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

#define BZIMAGE_HEADER_OFFSET 0x1f1

struct bzimage {
    uint32_t setup_size;   /* bytes of boot sector and setup before the protected-mode kernel */
    uint64_t kernel_size;  /* bytes of the protected-mode kernel in the file */
    uint64_t pref_address; /* preferred load address */
    uint64_t init_size;    /* bytes of linear memory the kernel needs from there */
    uint32_t alignment;    /* kernel_alignment */
    bool relocatable;
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* bytes without the NUL */
    uint32_t header_size; /* bytes of setup header from 0x1f1 on to copy into boot_params */
};

/* *why: why a file was refused, as a sentence part ("is not a bzImage: ..."), else NULL. */
MUST_USE enum status bzimage_parse(const void *bytes, uint64_t size, struct bzimage *out,
                                   const char **why);

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
