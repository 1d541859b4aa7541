/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The door of the room that starts guests: see hv/abi/load.h. */
#pragma once

#include "hv/abi/compartment.h"

/* Answers UPCALL_LOAD. */
void load_upcall(struct exchange *e);
