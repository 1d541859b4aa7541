/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Linux/x86 boot protocol's setup header, read from an untrusted file: found, checked, turned
 * into plain numbers. Used by plan_build() to refuse what cannot boot or does not fit.
 * Reference: Linux Documentation/x86/boot.rst.
 */
#ifndef HV_PLAN_BZIMAGE_H
#define HV_PLAN_BZIMAGE_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

struct bzimage {
    uint64_t pref_address; /* preferred load address */
    uint64_t init_size;    /* bytes of linear memory the kernel needs from there */
    uint32_t alignment;    /* kernel_alignment */
    bool relocatable;
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* bytes without the NUL */
};

/* *why: why a file was refused, as a sentence part ("is not a bzImage: ..."), else NULL. */
MUST_USE enum status bzimage_parse(const void *bytes, uint64_t size, struct bzimage *out,
                                   const char **why);

/*
 * Bytes of low RAM, a multiple of 2 MiB, that the kernel needs to be started in; 0 = no amount
 * does. kernel comes from bzimage_parse(), file_size is that of its file, initrd_size 0 = none.
 * Source: Linux Documentation/x86/boot.rst, the fields pref_address, init_size, initrd_addr_max.
 */
uint64_t bzimage_memory_needed(const struct bzimage *kernel, uint64_t file_size,
                               uint64_t initrd_size);

#endif
