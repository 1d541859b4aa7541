// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the setup header of a Linux/x86 bzImage as far as a refusal before the start needs it, and
 * judges each guest's files by it; the kernel is loaded by the guest's own firmware
 * (guests/firmware). The file is untrusted: every number is checked against the file's size before
 * it is used. Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#include "config/kernel.h"

#include "hv/abi.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
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
#define ENTRY_64_OFFSET  0x200
#define SECTOR           512u
#define VERSION_ACCEPTED 0x020c
#define SIZE_LIMIT       BIT(44) /* far above all low RAM, far below where sums of a few overflow */

static uint64_t field(const uint8_t *file, enum header_field at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | file[(unsigned)at + i - 1];
    }
    return value;
}

enum status kernel_parse(const void *bytes, uint64_t size, struct kernel_header *out,
                         const char **why) {
    const uint8_t *file = bytes;
    *why = "is not a bzImage: the file is too short to hold a setup header";
    if (size < HEADER_NEEDED) {
        return STATUS_INVALID;
    }
    uint32_t sectors = (uint32_t)field(file, SETUP_SECTS, 1);
    uint64_t header_end = MAGIC + field(file, JUMP_LENGTH, 1);
    uint64_t setup_size = ((sectors != 0 ? sectors : 4) + 1) * SECTOR;
    uint64_t kernel_size = field(file, SYSSIZE, 4) * 16;
    const struct kernel_header k = {
        .pref_address = field(file, PREF_ADDRESS, 8),
        .init_size = field(file, INIT_SIZE, 4),
        .alignment = (uint32_t)field(file, KERNEL_ALIGNMENT, 4),
        .relocatable = field(file, RELOCATABLE_KERNEL, 1) != 0,
        .initrd_max = field(file, INITRD_ADDR_MAX, 4),
        .cmdline_max = (uint32_t)field(file, CMDLINE_SIZE, 4),
    };
    const struct {
        bool broken;
        const char *why;
    } rules[] = {
        {field(file, BOOT_FLAG, 2) != 0xaa55 || memcmp(file + MAGIC, "HdrS", 4) != 0,
         "is not a bzImage: it has no setup header with the letters HdrS"},
        {field(file, VERSION, 2) < VERSION_ACCEPTED,
         "speaks a boot protocol older than 2.12: take a kernel of version 3.8 or later"},
        {(field(file, LOADFLAGS, 1) & LOADED_HIGH) == 0, "is a zImage: build a bzImage"},
        {(field(file, XLOADFLAGS, 2) & XLF_KERNEL_64) == 0,
         "has no 64-bit entry point: take an x86-64 kernel"},
        {header_end < HEADER_NEEDED || header_end > MAGIC + 0x7f || header_end > size,
         "is damaged: its setup header has an impossible length"},
        {setup_size > size || kernel_size > size - setup_size,
         "is truncated: the file ends before its header says; copy it again"},
        {kernel_size <= ENTRY_64_OFFSET || k.init_size < kernel_size,
         "is damaged: its header has impossible sizes"},
        {k.alignment < PAGE_SIZE || (k.alignment & (k.alignment - 1)) != 0 ||
             k.pref_address % PAGE_SIZE != 0 || k.pref_address >= BIT(40),
         "is damaged: its header has an impossible load address or alignment"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].broken) {
            *why = rules[i].why;
            return STATUS_INVALID;
        }
    }
    *why = NULL;
    *out = k;
    return STATUS_OK;
}

uint64_t kernel_memory_needed(const struct kernel_header *kernel, uint64_t file_size,
                              uint64_t initrd_size) {
    if (initrd_size > SIZE_LIMIT || file_size > SIZE_LIMIT) {
        return 0;
    }
    /*
     * A kernel loaded below its preferred address moves itself up to it, so that nothing is won by
     * a lower address even where the kernel is relocatable.
     */
    uint64_t load = max_u64(kernel->pref_address, MIB);
    load = kernel->relocatable ? ALIGN_UP(load, (uint64_t)kernel->alignment) : load;
    uint64_t kernel_end = ALIGN_UP(load + kernel->init_size, PAGE_SIZE);
    uint64_t reach = min_u64(kernel->initrd_max, SIZE_LIMIT) + 1; /* end of the initrd at most */
    /* The initrd ends where it may and begins on a page: the room it needs from kernel_end up. */
    if (initrd_size != 0 && (reach < kernel_end || reach - kernel_end < initrd_size ||
                             ALIGN_DOWN(reach - initrd_size, PAGE_SIZE) < kernel_end)) {
        return 0;
    }
    /* The file may lie where the kernel will run, but not in the first MiB. */
    kernel_end = max_u64(kernel_end, MIB + ALIGN_UP(file_size, PAGE_SIZE));
    return ALIGN_UP(kernel_end + ALIGN_UP(initrd_size, PAGE_SIZE) + BULKHEAD_TABLES_SIZE, 2 * MIB);
}

/* "4M" rounded up to whole MiB, for messages. */
static const char *show_mib(char *buf, uint64_t bytes) {
    return fmt_size(buf, ALIGN_UP(bytes, MIB));
}

#define REFUSE(pos, text, ...)                                                                     \
    fault_add(faults, (pos).line, (pos).column, "guest \"%s\": " text, g->name, __VA_ARGS__)

/* The kernel can be started, and it and the initrd fit into the guest's memory. */
static void check_guest(const struct boot_info *info, const struct config_guest *g,
                        struct fault_list *faults) {
    const struct boot_image *kernel = boot_info_find_image(info, g->kernel);
    const struct boot_image *initrd = boot_info_find_image(info, g->initrd);
    struct kernel_header header;
    const char *why = NULL;
    if (kernel == NULL || kernel->size == 0) { /* plan_build() says so */
        return;
    }
    if (kernel_parse(phys_pointer(kernel->base), kernel->size, &header, &why) != STATUS_OK) {
        REFUSE(g->kernel_pos, "kernel = \"%s\" %s", g->kernel, why);
        return;
    }
    size_t length = strlen(g->cmdline);
    if (length > header.cmdline_max) {
        REFUSE(g->table_pos, "the cmdline has %u bytes, but this kernel takes %u; shorten it",
               (unsigned)length, header.cmdline_max);
    }
    uint64_t initrd_size = initrd != NULL ? initrd->size : 0;
    uint64_t low = min_u64(g->memory, PLAN_LOW_RAM_END);
    uint64_t needed = kernel_memory_needed(&header, kernel->size, initrd_size);
    if (low == 0 || (needed != 0 && needed <= low)) {
        return;
    }
    char have[24], need[24], own[24], from[24], initrd_text[24], fix[64] = "take smaller ones";
    bool fits = needed != 0 && needed <= PLAN_LOW_RAM_END; /* with more memory */
    if (fits) {
        fmt_print(fix, sizeof(fix), "write at least \"%s\"", fmt_size(need, needed));
    }
    REFUSE(fits ? g->memory_pos : g->kernel_pos,
           "memory = \"%s\" is too little for its kernel (%s once running, from %s on) "
           "and initrd (%s) where the kernel can reach them; %s",
           fmt_size(have, g->memory), show_mib(own, header.init_size),
           fmt_size(from, header.pref_address), show_mib(initrd_text, initrd_size), fix);
}

void kernel_check_guests(const struct boot_info *info, struct fault_list *faults) {
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        check_guest(info, &info->config.guests[i], faults);
    }
}
