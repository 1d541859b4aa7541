// SPDX-License-Identifier: GPL-2.0-or-later
/* The port by which a guest's firmware tells of BIOS calls. */
#include "tests/unit/fake_env.h"

TEST(each_call_is_handed_on) {
    fake_pc_start();
    fake_out(0x610, 4, 0x0015e820);
    CHECK_U64(fake_bios_calls, 1);
    CHECK_U64(fake_event_word, 0x0015e820);
    fake_out(0x610, 4, 0xffff1234);
    CHECK_U64(fake_bios_calls, 2);
    CHECK_U64(fake_event_word, 0xffff1234);
    CHECK_U64(fake_sleeps, 0);
}

/* The guest writes what it likes: only the firmware's form counts. */
TEST(other_accesses) {
    fake_pc_start();
    fake_out(0x610, 1, 0x15);
    fake_out(0x612, 2, 0x15);
    CHECK_U64(fake_bios_calls, 0);
    CHECK_U64(fake_in(0x610, 4), 0xffffffff);
}

TEST_MAIN(T(each_call_is_handed_on), T(other_accesses))
