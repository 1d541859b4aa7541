// SPDX-License-Identifier: GPL-2.0-or-later
/* A list of faults, and holding it against the ones that are expected. */
#ifndef TESTS_UNIT_FAULTS_H
#define TESTS_UNIT_FAULTS_H

#include "config/fault.h"
#include "tests/unit/test.h"

static struct fault_list faults;

static inline void show_faults(void) {
    for (uint32_t i = 0; i < faults.count; i++) {
        printf("# %s\n", faults.faults[i].text);
    }
}

/* Exactly these faults, each "line:column: ... words"; words may be any part of the text. */
struct want {
    const char *position, *words;
};

static inline void check_faults(enum status status, const struct want *want, uint32_t count) {
    CHECK(status == STATUS_INVALID);
    CHECK_U64(faults.count, count);
    bool good = faults.count == count;
    for (uint32_t i = 0; i < faults.count && i < count; i++) {
        const char *seen = faults.faults[i].text + strlen("bulkhead.toml:");
        if (strncmp(seen, want[i].position, strlen(want[i].position)) != 0 ||
            strstr(seen, want[i].words) == NULL) {
            printf("# expected %s %s\n", want[i].position, want[i].words);
            good = false;
        }
    }
    CHECK(good);
    if (!good) {
        show_faults();
    }
}

#endif
