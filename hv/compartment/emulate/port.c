/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INS and OUTS: the exit does not tell segment and address size on every CPU, the guest's code
 * does. Port, size and data are guest-controlled.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/emulate/units.h"

enum emulated emulate_port(struct emulation *e) {
    const struct exit_io *io = &e->exit->io;
    struct code c;
    struct insn in;
    if (code_decode(e, &c, &in) != STATUS_OK || in.size != io->size ||
        (in.op == INSN_INS) != ((io->flags & IO_IN) != 0)) {
        return EMULATED_RETRY; /* another vCPU has changed it */
    }
    return string_execute(e, &c, &in);
}
