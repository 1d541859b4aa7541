/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of a compartment: one upcall after the other, for ever. Runs on the stack of one vCPU;
 * the others run the same loop on theirs. Must not keep anything of the core: it has nothing.
 */
#include "hv/compartment/entry/entry.h"
#include "hv/compartment/entry/hardware.h"
#include "hv/compartment/entry/layout.h"
#include "hv/compartment/load/load.h"

_Static_assert(offsetof(struct exchange, vmmcall) == EXCHANGE_VMMCALL, "calls.S");

static struct hardware hardware;

void compartment_main(struct exchange *e) {
    for (;;) {
        hardware_answer(&hardware, e);
        (void)core_call(e, CORE_DONE);
    }
}
