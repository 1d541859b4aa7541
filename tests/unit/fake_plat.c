// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine as the unit tests have it: what hv/ needs of plat.h, in a process. Linked into every
 * unit test. Must hold no test of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hv/lib/types.h"

void assert_failed(const char *expression, const char *file, unsigned line) {
    fprintf(stderr, "%s:%u: assertion failed: %s\n", file, line, expression);
    abort();
}

/* A test that looks at these has its own. */
__attribute__((weak)) bool plat_keep_healthy(uint64_t trial);
bool plat_keep_healthy(uint64_t trial) {
    (void)trial;
    return true;
}

__attribute__((weak)) void plat_machine_reset(void);
void plat_machine_reset(void) {
    printf("# the machine is reset\n");
    abort();
}
