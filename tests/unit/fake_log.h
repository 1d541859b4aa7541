/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the log has told, as one text: for the write of a test's log_hooks. told[0] = 0 begins anew.
 */
#ifndef TESTS_UNIT_FAKE_LOG_H
#define TESTS_UNIT_FAKE_LOG_H

#include <string.h>

#include "hv/lib/log.h"
#include "test.h"

static char told[0x4000];

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    size_t used = strlen(told);

    CHECK(used + length < sizeof(told));
    memcpy(told + used, line, length);
    told[used + length] = '\0';
}

#endif
