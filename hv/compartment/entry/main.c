/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of a compartment: one upcall after the other, for ever. Runs on the stack of one vCPU;
 * the others run the same loop on theirs. Must not keep anything of the core: it has nothing.
 */
#include "hv/compartment/entry/entry.h"

#include "hv/compartment/entry/layout.h"
#include "hv/compartment/load/load.h"

_Static_assert(offsetof(struct exchange, vmmcall) == EXCHANGE_VMMCALL, "start.S");

/* By enum upcall. */
typedef void upcall_handler(struct exchange *e);
static upcall_handler *const handlers[UPCALLS] = {
    [UPCALL_LOAD] = load_upcall,
};

void compartment_main(struct exchange *e) {
    for (;;) {
        uint32_t upcall = e->upcall;
        if (upcall != UPCALL_NOTHING) {
            handlers[upcall](e);
        }
        (void)core_call(e, CORE_DONE);
    }
}
