/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one upcall that a report needs, apart from those whose failure ends in one. See hardware.h.
 */
#include "hv/exit/hardware.h"
#include "hv/lib/str.h"
#include "hv/vm/upcall.h"

size_t hardware_code(struct vcpu *v, uint8_t *out, size_t n) {
    struct exchange *e = v->exchange;

    hvm->get_code(v, &e->code_at);
    if (!v->vm->live || (v->upcall_flags & UPCALL_RUNS) != 0 || !upcall(v, NULL, UPCALL_CODE)) {
        return 0;
    }
    size_t count = min_u64(EXCHANGE_READ(e->argument), EXCHANGE_CODE);
    memcpy(out, e->code, min_u64(count, n));
    return min_u64(count, n);
}
