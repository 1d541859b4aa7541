// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the setup header of a Linux/x86 bzImage. The file is untrusted: every number is checked
 * against the file's size before it is used. Must not judge whether the kernel fits the machine;
 * layout.c does. Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#include "hv/plan/bzimage.h"

#include "hv/lib/str.h"

enum header_field {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    JUMP_LENGTH = 0x201, /* the operand of a short jump over the header: where it ends */
    MAGIC = 0x202,
    VERSION = 0x206,
    LOADFLAGS = 0x211,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE_KERNEL = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_NEEDED = 0x264, /* end of the last field used here */
};

#define LOADED_HIGH      BIT(0)
#define XLF_KERNEL_64    BIT(0)
#define XLF_ABOVE_4G     BIT(1)
#define ENTRY_64_OFFSET  0x200
#define SECTOR           512u
#define VERSION_ACCEPTED 0x020c

static uint64_t field(const uint8_t *file, enum header_field at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | file[(unsigned)at + i - 1];
    }
    return value;
}

/* Rules on the header alone; NULL if it keeps them all. */
static const char *find_header_fault(const uint8_t *file, uint64_t size) {
    if (size < HEADER_NEEDED) {
        return "is not a bzImage: the file is too short to hold a setup header";
    }
    if (field(file, BOOT_FLAG, 2) != 0xaa55 || memcmp(file + MAGIC, "HdrS", 4) != 0) {
        return "is not a bzImage: it has no setup header with the letters HdrS";
    }
    if (field(file, VERSION, 2) < VERSION_ACCEPTED) {
        return "speaks a boot protocol older than 2.12: take a kernel of version 3.8 or later";
    }
    if ((field(file, LOADFLAGS, 1) & LOADED_HIGH) == 0) {
        return "is a zImage: build a bzImage";
    }
    if ((field(file, XLOADFLAGS, 2) & XLF_KERNEL_64) == 0) {
        return "has no 64-bit entry point: take an x86-64 kernel";
    }
    uint64_t end = MAGIC + field(file, JUMP_LENGTH, 1);
    if (end < HEADER_NEEDED || end > MAGIC + 0x7f || end > size) {
        return "is damaged: its setup header has an impossible length";
    }
    return NULL;
}

/* Rules on the numbers, which size_t arithmetic of the loader relies on. */
static const char *find_number_fault(const struct bzimage *k, uint64_t size) {
    if (k->setup_size > size || k->kernel_size > size - k->setup_size) {
        return "is truncated: the file ends before its header says; copy it again";
    }
    if (k->kernel_size <= ENTRY_64_OFFSET || k->init_size < k->kernel_size) {
        return "is damaged: its header has impossible sizes";
    }
    if (k->alignment < PAGE_SIZE || (k->alignment & (k->alignment - 1)) != 0 ||
        k->pref_address % PAGE_SIZE != 0 || k->pref_address >= BIT(40)) {
        return "is damaged: its header has an impossible load address or alignment";
    }
    return NULL;
}

enum status bzimage_parse(const void *file, uint64_t size, struct bzimage *out, const char **why) {
    const uint8_t *bytes = file;
    *why = find_header_fault(bytes, size);
    if (*why != NULL) {
        return STATUS_INVALID;
    }
    uint32_t sectors = (uint32_t)field(bytes, SETUP_SECTS, 1);
    uint64_t flags = field(bytes, XLOADFLAGS, 2);
    const struct bzimage k = {
        .version = (uint16_t)field(bytes, VERSION, 2),
        .setup_size = ((sectors != 0 ? sectors : 4) + 1) * SECTOR,
        .kernel_size = field(bytes, SYSSIZE, 4) * 16,
        .pref_address = field(bytes, PREF_ADDRESS, 8),
        .init_size = field(bytes, INIT_SIZE, 4),
        .alignment = (uint32_t)field(bytes, KERNEL_ALIGNMENT, 4),
        .relocatable = field(bytes, RELOCATABLE_KERNEL, 1) != 0,
        .initrd_above_4g = (flags & XLF_ABOVE_4G) != 0,
        .initrd_max = field(bytes, INITRD_ADDR_MAX, 4),
        .cmdline_max = (uint32_t)field(bytes, CMDLINE_SIZE, 4),
        .header_size = (uint32_t)(MAGIC + field(bytes, JUMP_LENGTH, 1)) - BZIMAGE_HEADER_OFFSET,
    };
    *why = find_number_fault(&k, size);
    if (*why != NULL) {
        return STATUS_INVALID;
    }
    *out = k;
    return STATUS_OK;
}
