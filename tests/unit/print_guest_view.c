/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints docs/guest-view.md from the policy tables: `make docs`. Linked as the unit tests are. */
#include "tests/unit/guest_view.h"

int main(void) {
    (void)fake_machine_start;
    (void)fake_exit;
    (void)test_main;
    guest_view_print(stdout);
}
