/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration ports: one bridge, an empty bus, and CF9h in their midst. */
#include "tests/unit/fake_env.h"

static uint32_t config(uint32_t address, unsigned byte, unsigned size) {
    fake_out(0xcf8, 4, address);
    return (uint32_t)fake_in(0xcfc + byte, size);
}

#define RNG 0x0800u /* device 1 */

TEST(bridge) {
    fake_pc_start();
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
    CHECK_U64(config(0x80000000, 2, 2) & 0xffff, 0x1237);
    CHECK_U64(config(0x80000008, 3, 1) & 0xff, 0x06);
    CHECK_U64(config(0x8000000c, 2, 1) & 0xff, 0x00); /* header type 0 */
    CHECK_U64(config(0x80000010, 0, 4), 0);
    CHECK_U64(config(0x800000fc, 0, 4), 0);
    fake_out(0xcfc, 4, 0xffffffff); /* read-only */
    fake_out(0xcf8, 4, 0x80000004);
    fake_out(0xcfc, 2, 0xffff);
    CHECK_U64(config(0x80000004, 0, 4), 0);
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
}

TEST(nothing_else) {
    for (uint32_t bdf = 1; bdf < 0x10000; bdf++) {
        if (bdf != RNG >> 8 && config(0x80000000 | bdf << 8, 0, 4) != 0xffffffff) {
            CHECK_U64(config(0x80000000 | bdf << 8, 0, 4), 0xffffffff);
            return;
        }
    }
    CHECK_U64(config(0, 0, 4), 0xffffffff); /* not enabled */
    CHECK_U64(config(0, 1, 1) & 0xff, 0xff);
}

TEST(address_register) {
    fake_out(0xcf8, 4, 0xffffffff);
    CHECK_U64(fake_in(0xcf8, 4), 0x80fffffc);
    fake_out(0xcf8, 1, 0);
    fake_out(0xcfb, 1, 1);
    CHECK_U64(fake_in(0xcf8, 4), 0x80fffffc);
    CHECK_U64(fake_in(0xcf8, 2) & 0xffff, 0xffff);
    CHECK_U64(fake_in(0xcfa, 4) & 0xffffffff, 0xffffffff); /* across both registers */
}

TEST(reset_register) {
    fake_pc_start();
    fake_out(0xcf8, 4, 0x80000600); /* holds 06h in the byte of CF9h: no reset */
    CHECK_U64(fake_resets, 0);
    fake_out(0xcf9, 1, 0x02);
    CHECK_U64(fake_in(0xcf9, 1), 0x02);
    fake_out(0xcf9, 1, 0x06);
    CHECK_U64(fake_resets, 1);
    CHECK_U64(fake_in(0xcf8, 4), 0x80000600);
}

TEST_MAIN(T(bridge), T(nothing_else), T(address_register), T(reset_register))
