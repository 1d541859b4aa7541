/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The start of a guest. So far its own firmware does all of it (guests/firmware). */
#include "hv/compartment/load/load.h"

void load_upcall(struct exchange *e) {
    e->load.status = LOAD_DONE;
}
