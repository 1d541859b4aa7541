/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader for the embedded hypervisor ELF: a static position-independent x86-64 file linked at
 * 0. Pure: bytes in, bytes out, no firmware. Called by main.c and the unit tests.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

struct elf_image {
    uint64_t span;  /* bytes of memory from the link address 0 to the end of the last segment */
    uint64_t entry; /* offset from the start */
};

/* STATUS_INVALID unless it is an ET_DYN file for x86-64 whose segments lie inside the file. */
MUST_USE enum status elf_measure(const void *file, uint64_t size, struct elf_image *image);

/*
 * Puts the segments at memory (image->span bytes, zeroed) and relocates them to run there.
 * STATUS_UNSUPPORTED for any relocation but R_X86_64_RELATIVE.
 */
MUST_USE enum status elf_load(const void *file, const struct elf_image *image, void *memory);

#endif
