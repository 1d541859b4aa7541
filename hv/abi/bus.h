/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest's devices are, and what they answer: words of core, emulator and bus. */
#pragma once

#include "hv/lib/types.h"

enum bus_space {
    BUS_PORT,
    BUS_MEMORY, /* guest-physical addresses */
    BUS_SPACES
};

/* What has been read, in two registers. Only as many bytes of value mean something as were asked.
 */
struct bus_answer {
    uint64_t value;
    bool there; /* false: nothing answers, and value is all ones */
};
