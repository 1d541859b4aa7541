/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration ports: one bridge, an empty bus, and CF9h in their midst. */
#include "hv/dev/platform.h"
#include "tests/unit/test.h"

static unsigned resets;

void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason) {
    (void)vm, (void)reason;
    resets += leave == LEAVE_RESET;
}

static struct chipset pci;

static uint32_t config(uint32_t address, unsigned byte, unsigned size) {
    chipset_write(&pci, 0xcf8, 4, address);
    return (uint32_t)chipset_read(&pci, 0xcfc + byte, size);
}

TEST(bridge) {
    chipset_reset(&pci, NULL);
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
    CHECK_U64(config(0x80000000, 2, 2) & 0xffff, 0x1237);
    CHECK_U64(config(0x80000008, 3, 1) & 0xff, 0x06);
    CHECK_U64(config(0x8000000c, 2, 1) & 0xff, 0x00); /* header type 0 */
    CHECK_U64(config(0x80000010, 0, 4), 0);
    CHECK_U64(config(0x800000fc, 0, 4), 0);
    chipset_write(&pci, 0xcfc, 4, 0xffffffff); /* read-only */
    chipset_write(&pci, 0xcf8, 4, 0x80000004);
    chipset_write(&pci, 0xcfc, 2, 0xffff);
    CHECK_U64(config(0x80000004, 0, 4), 0);
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
}

TEST(nothing_else) {
    for (uint32_t bdf = 1; bdf < 0x10000; bdf++) {
        if (config(0x80000000 | bdf << 8, 0, 4) != 0xffffffff) {
            CHECK_U64(config(0x80000000 | bdf << 8, 0, 4), 0xffffffff);
            return;
        }
    }
    CHECK_U64(config(0, 0, 4), 0xffffffff); /* not enabled */
    CHECK_U64(config(0, 1, 1) & 0xff, 0xff);
}

TEST(address_register) {
    chipset_write(&pci, 0xcf8, 4, 0xffffffff);
    CHECK_U64(chipset_read(&pci, 0xcf8, 4), 0x80fffffc);
    chipset_write(&pci, 0xcf8, 1, 0);
    chipset_write(&pci, 0xcfb, 1, 1);
    CHECK_U64(chipset_read(&pci, 0xcf8, 4), 0x80fffffc);
    CHECK_U64(chipset_read(&pci, 0xcf8, 2) & 0xffff, 0xffff);
    CHECK_U64(chipset_read(&pci, 0xcfa, 4), 0xffffffff); /* across both registers */
}

TEST(reset_register) {
    resets = 0;
    chipset_reset(&pci, NULL);
    chipset_write(&pci, 0xcf8, 4, 0x80000600); /* holds 06h in the byte of CF9h: no reset */
    CHECK_U64(resets, 0);
    chipset_write(&pci, 0xcf9, 1, 0x02);
    CHECK_U64(chipset_read(&pci, 0xcf9, 1), 0x02);
    chipset_write(&pci, 0xcf9, 1, 0x06);
    CHECK_U64(resets, 1);
    CHECK_U64(chipset_read(&pci, 0xcf8, 4), 0x80000600);
}

TEST_MAIN(T(bridge), T(nothing_else), T(address_register), T(reset_register))
