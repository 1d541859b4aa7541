// SPDX-License-Identifier: GPL-2.0-or-later
/* See sets_show.h. */
#include "tools/sets_show.h"

#include <stdio.h>

#include "hv/lib/phys.h"
#include "tools/stick_file.h"

static const char *read_state(const char *path) {
    hpa_t base = HPA(0);
    uint64_t size = 0;
    bool whole = stick_file_read(path, &base, &size) == NULL && size >= SETS_STATE_SIZE;

    return whole ? phys_pointer(base) : NULL;
}

static bool is_there(const char *path) {
    hpa_t base = HPA(0);
    uint64_t size = 0;

    return stick_file_read(path, &base, &size) == NULL;
}

char sets_show(void) {
    static const char *const words[SETS_TRIALS] = {
        [SETS_UNTRIED] = "not tried yet",
        [SETS_TRIED] = "on trial",
        [SETS_FAILED] = "did not come up",
        [SETS_LOST] = "tried, then the power was cut",
    };
    struct sets_stick stick = {
        .texts = {read_state(SETS_STATE_0), read_state(SETS_STATE_1)},
        .plain = is_there(STICK_CONFIG),
        .a = is_there("bulkhead/a/" STICK_OWN_CONFIG),
        .b = is_there("bulkhead/b/" STICK_OWN_CONFIG),
    };
    struct sets_state state;
    char name[SETS_NAME_SIZE];
    bool two = sets_read(&stick, &state);
    char next = sets_choose(&state);

    if (two) {
        printf("good: %s\n", sets_name(state.good, name));
    }
    if (two && state.fresh != SETS_NONE) {
        printf("new: %s, %s\n", sets_name(state.fresh, name), words[state.trial]);
    }
    if (two) {
        printf("the next start is of %s\n", sets_name(next, name));
    }
    return next;
}
