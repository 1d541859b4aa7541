/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader for Linux kernels (and whatever else wears a bzImage header) by the 64-bit boot
 * protocol.
 */
#ifndef HV_VM_LINUX_H
#define HV_VM_LINUX_H

#include "hv/mem/gmem.h"
#include "hv/vm/hvm.h"

/* kernel and initrd are files from the stick: untrusted. */
struct linux_image {
    const void *kernel; /* the whole bzImage */
    uint64_t kernel_size;
    const void *initrd; /* NULL = none */
    uint64_t initrd_size;
    const char *cmdline;
    uint64_t low_ram_size;  /* bytes from gpa 0 on */
    uint64_t high_ram_size; /* bytes from PLAN_HIGH_RAM on */
};

/*
 * Puts kernel, initrd, command line, boot_params, page tables and GDT into guest memory, at the
 * places guest_layout_compute() gives, and fills *start. STATUS_INVALID: not a bzImage, or a
 * command line longer than this kernel takes; STATUS_NO_MEMORY: does not fit; STATUS_NOT_FOUND: mem
 * is smaller than the sizes say. The reason is in the log; *start is then as it was.
 */
MUST_USE enum status linux_load(const struct gmem *mem, const struct linux_image *in,
                                struct vcpu_start *start);

#endif
