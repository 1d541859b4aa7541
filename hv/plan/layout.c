// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Places kernel, initrd and ACPI tables in a guest's low RAM. Pure arithmetic on untrusted sizes.
 * Called by plan_build() and the Linux loader.
 */
#include "hv/plan/layout.h"

/* Far above all low RAM, far below where sums of a few could overflow. */
#define SIZE_LIMIT BIT(44)

enum status guest_layout_compute(const struct bzimage *kernel, uint64_t initrd_size,
                                 uint64_t low_ram_size, struct guest_layout *out) {
    out->needed = 0;
    if (initrd_size > SIZE_LIMIT || kernel->pref_address > SIZE_LIMIT ||
        kernel->init_size > SIZE_LIMIT) {
        return STATUS_NO_MEMORY;
    }
    /*
     * A kernel loaded below its preferred address moves itself up to it, so that nothing is won by
     * a lower address even where the kernel is relocatable.
     */
    uint64_t load = max_u64(kernel->pref_address, LAYOUT_LOW_SIZE);
    load = kernel->relocatable ? ALIGN_UP(load, (uint64_t)kernel->alignment) : load;
    uint64_t kernel_end = ALIGN_UP(load + kernel->init_size, PAGE_SIZE);
    uint64_t reach = min_u64(kernel->initrd_max, SIZE_LIMIT) + 1; /* end of the initrd at most */
    uint64_t initrd_room = ALIGN_UP(initrd_size, PAGE_SIZE);
    /* The initrd ends where it may and begins on a page: the room it needs from kernel_end up. */
    if (initrd_size != 0 && (reach < kernel_end || reach - kernel_end < initrd_size ||
                             ALIGN_DOWN(reach - initrd_size, PAGE_SIZE) < kernel_end)) {
        return STATUS_NO_MEMORY;
    }
    uint64_t needed = kernel_end + initrd_room + LAYOUT_ACPI_SIZE;
    out->needed = ALIGN_UP(needed, 2 * MIB);
    if (low_ram_size < needed) {
        return STATUS_NO_MEMORY;
    }
    uint64_t acpi = low_ram_size - LAYOUT_ACPI_SIZE;
    uint64_t initrd = 0;
    if (initrd_size != 0) {
        initrd = ALIGN_DOWN(min_u64(acpi, reach) - initrd_size, PAGE_SIZE);
    }
    out->kernel = GPA(load);
    out->initrd = GPA(initrd);
    out->acpi = GPA(acpi);
    return STATUS_OK;
}
