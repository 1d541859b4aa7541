/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out what the kernel file is and has it loaded; flat binaries. The other kinds are in
 * linux.c, multiboot.c and elf.c. boot/ judged the same file before the start, so that an admin
 * reads a refusal on the screen; what is checked here counts.
 */
#include "hv/compartment/load/start.h"

static enum load_status flat_load(struct load *l) {
    move_file(l, BULKHEAD_FLAT_GPA, &l->start.kernel, 0, l->start.kernel.size);
    l->entry =
        (struct entry){.mode = MODE_LONG, .address = BULKHEAD_FLAT_GPA, .edi = BULKHEAD_START_GPA};
    return LOAD_MORE;
}

/* In the order in which they are tried: an ELF file may have a Multiboot header, and then means it.
 */
static const struct {
    bool (*knows)(const uint8_t *file, uint64_t size);
    enum load_status (*load)(struct load *l);
} kinds[] = {
    [BULKHEAD_KERNEL_LINUX] = {linux_knows, linux_load},
    [BULKHEAD_KERNEL_MULTIBOOT] = {multiboot_knows, multiboot_load},
    [BULKHEAD_KERNEL_ELF] = {elf_knows, elf_load},
    [BULKHEAD_KERNEL_FLAT] = {NULL, flat_load},
};
_Static_assert(ARRAY_SIZE(kinds) == BULKHEAD_KERNEL_TYPES, "a kind without a loader");

enum load_status kernel_load(struct load *l, uint32_t khz) {
    uint64_t type = l->start.kernel_type;

    for (unsigned i = 1; type == BULKHEAD_KERNEL_ANY && i < BULKHEAD_KERNEL_FLAT; i++) {
        type = kinds[i].knows(l->file, l->start.kernel.size) ? i : type;
    }
    if (type == BULKHEAD_KERNEL_ANY || type >= ARRAY_SIZE(kinds)) {
        return LOAD_UNKNOWN_KIND;
    }
    if (type == BULKHEAD_KERNEL_LINUX) {
        linux_tell_clock(l, khz);
    }
    return kinds[type].load(l);
}
