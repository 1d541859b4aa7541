/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Linux/x86 boot protocol's setup header, read from an untrusted file: found, checked, turned
 * into plain numbers, by which boot/ and tools/bhcheck refuse what cannot boot or does not fit.
 * Reference: Linux Documentation/x86/boot.rst.
 */
#ifndef CONFIG_KERNEL_H
#define CONFIG_KERNEL_H

#include "config/plan.h"

struct kernel_header {
    uint64_t pref_address; /* preferred load address */
    uint64_t init_size;    /* bytes of linear memory the kernel needs from there */
    uint32_t alignment;    /* kernel_alignment */
    bool relocatable;
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* bytes without the NUL */
};

/* *why: why a file was refused, as a sentence part ("is not a bzImage: ..."), else NULL. */
MUST_USE enum status kernel_parse(const void *bytes, uint64_t size, struct kernel_header *out,
                                  const char **why);

/*
 * Bytes of low RAM, a multiple of 2 MiB, that the kernel needs to be started in; 0 = no amount
 * does. kernel comes from kernel_parse(), file_size is that of its file, initrd_size 0 = none.
 * Source: Linux Documentation/x86/boot.rst, the fields pref_address, init_size, initrd_addr_max.
 */
uint64_t kernel_memory_needed(const struct kernel_header *kernel, uint64_t file_size,
                              uint64_t initrd_size);

/*
 * Judges each guest's kernel, initrd size and command line against its memory, and reports where
 * the config names them. To be called before plan_build(), which refuses what has faults; a file
 * that is missing or empty is left to that.
 */
void kernel_check_guests(const struct boot_info *info, struct fault_list *faults);

#endif
