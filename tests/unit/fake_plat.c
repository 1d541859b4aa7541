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
