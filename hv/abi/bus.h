/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest's devices are: the spaces in which the core, the emulator and the bus speak of
 * them. */
#pragma once

enum bus_space {
    BUS_PORT,
    BUS_MEMORY, /* guest-physical addresses */
    BUS_SPACES
};
