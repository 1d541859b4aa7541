/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A way to fall over: it ends this VM, with a report, and nobody else's. The hostile guest has
 * more. */
#include "guests/test/guest.h"

/* Runs where there is no memory. */
void crash_jump(void) {
    void (*nowhere)(void) = (void (*)(void))(uintptr_t)map_physical(0x80000000);
    nowhere();
}
