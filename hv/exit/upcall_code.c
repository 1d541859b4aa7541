/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one upcall that a report needs, apart from those whose failure ends in one. See upcall.h.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/exit/upcall.h"

size_t upcall_code(struct vcpu *v, uint8_t *out, size_t n) {
    hvm->get_code(v, &v->emulation->code);
    return emulate_code(v->emulation, out, n);
}
