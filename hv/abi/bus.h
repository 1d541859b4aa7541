/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest's devices are, and what they answer: words of core, emulator and bus. */
#pragma once

#include "hv/lib/types.h"

enum bus_space {
    BUS_PORT,
    BUS_MEMORY, /* guest-physical addresses */
    BUS_SPACES
};

/*
 * What has been read. Two whole registers, so that neither is cut or filled on the way. Only as
 * many bytes of value mean something as were asked for.
 */
struct bus_answer {
    uint64_t value;
    uint64_t there; /* 1; or 0: nothing answers, and value is all ones */
};
