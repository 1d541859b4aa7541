// SPDX-License-Identifier: GPL-2.0-or-later
/* The port by which a guest's firmware tells of BIOS calls: counted, the first ones shown. */
#include "hv/dev/platform.h"
#include "tests/unit/test.h"

static struct bios bios;
static unsigned shown, last_vector, last_ax;

void vm_bios_called(struct vm *vm, uint8_t vector, uint16_t ax) {
    (void)vm;
    shown++;
    last_vector = vector;
    last_ax = ax;
}

static void fresh(void) {
    shown = 0;
    memset(&bios, 0, sizeof(bios));
    bios_reset(&bios, NULL);
}

TEST(calls_are_counted_and_the_first_shown) {
    fresh();
    bios_write(&bios, 0x610, 4, 0x0015e820);
    CHECK_U64(shown, 1);
    CHECK_U64(last_vector, 0x15);
    CHECK_U64(last_ax, 0xe820);
    for (unsigned i = 1; i < 1000; i++) {
        bios_write(&bios, 0x610, 4, 0x00130000 + i);
        CHECK_U64(bios.left, i < BIOS_CALLS_SHOWN ? BIOS_CALLS_SHOWN - i - 1 : 0);
    }
    CHECK_U64(shown, BIOS_CALLS_SHOWN);
    CHECK_U64(last_ax, BIOS_CALLS_SHOWN - 1);
    CHECK_U64(bios.calls, 1000);
}

/* A new start shows its first calls again; the count goes on. */
TEST(restart) {
    fresh();
    for (unsigned i = 0; i < 100; i++) {
        bios_write(&bios, 0x610, 4, 0);
    }
    bios_reset(&bios, NULL);
    bios_write(&bios, 0x610, 4, 0x00ff1234);
    CHECK_U64(shown, BIOS_CALLS_SHOWN + 1);
    CHECK_U64(last_vector, 0xff);
    CHECK_U64(bios.calls, 101);
}

/* The guest writes what it likes: only the firmware's form counts. */
TEST(other_accesses) {
    fresh();
    bios_write(&bios, 0x610, 1, 0x15);
    bios_write(&bios, 0x612, 2, 0x15);
    CHECK_U64(shown, 0);
    CHECK_U64(bios.calls, 0);
    CHECK_U64(bios_read(&bios, 0x610, 4), 0xffffffff);
}

TEST_MAIN(T(calls_are_counted_and_the_first_shown), T(restart), T(other_accesses))
