/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Linux/x86 boot protocol's setup header, read from an untrusted file: found, checked, turned
 * into plain numbers. Used by plan_build() to refuse what cannot boot, and by the loader.
 * Reference: Linux Documentation/x86/boot.rst.
 */
#ifndef HV_PLAN_BZIMAGE_H
#define HV_PLAN_BZIMAGE_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

#define BZIMAGE_HEADER_OFFSET 0x1f1

struct bzimage {
    uint16_t version;      /* boot protocol, 0x020c or later is accepted */
    uint32_t setup_size;   /* bytes of boot sector and setup before the protected-mode kernel */
    uint64_t kernel_size;  /* bytes of the protected-mode kernel in the file */
    uint64_t pref_address; /* preferred load address */
    uint64_t init_size;    /* bytes of linear memory the kernel needs from there */
    uint32_t alignment;    /* kernel_alignment */
    bool relocatable;
    bool initrd_above_4g; /* XLF_CAN_BE_LOADED_ABOVE_4G */
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* bytes without the NUL */
    uint32_t header_size; /* bytes of setup header from 0x1f1 on to copy into boot_params */
};

/* Why a file was refused, as a short sentence part ("is not a bzImage: ..."). */
MUST_USE enum status bzimage_parse(const void *file, uint64_t size, struct bzimage *out,
                                   const char **why);

#endif
