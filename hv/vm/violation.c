/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest reached for what it has not: counted, told at level debug, and with on_violation = "stop"
 * the end of its run.
 */
#include "hv/vm/limit.h"

/* Out of line, so that a violation that nobody is told of saves no registers. */
static __attribute__((noinline)) void violation_report(struct vcpu *v, bool stop, const char *what,
                                                       uint64_t where) {
    uint32_t suppressed = 0;
    if (!stop && !limit_log_pass(v, &suppressed)) {
        return;
    }
    vm_log(v->vm, stop ? LOG_ERROR : LOG_DEBUG,
           "refused %s %#llx at rip %#llx (%u more not shown)" MSG(3010), what, (ull)where,
           (ull)hvm->get(v, HVM_RIP), suppressed);
    if (stop) {
        vm_leave(v->vm, LEAVE_STOP, "stopped: on_violation = \"stop\"" MSG(3009));
    }
}

void vcpu_violation(struct vcpu *v, uint64_t *counter, const char *what, uint64_t where) {
    (*counter)++;
    bool stop = v->vm->plan->config->on_violation == ON_VIOLATION_STOP;
    if (UNLIKELY(stop || log_enabled(LOG_DEBUG))) {
        violation_report(v, stop, what, where);
    }
}

void vcpu_refuse_access(struct vcpu *v, enum bus_space space, bool write, uint64_t at) {
    static const char *const what[BUS_SPACES][2] = {
        [BUS_PORT] = {"read of port", "write of port"},
        [BUS_MEMORY] = {"read of memory", "write of memory"},
    };
    enum refused kind = space == BUS_PORT ? REFUSED_PORT : REFUSED_MEMORY;
    vcpu_violation(v, &v->public.refused[kind], what[space][write], at);
}
