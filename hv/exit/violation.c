/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest reached for what it has not: counted, told at level debug, and with on_violation = "stop"
 * the end of its run.
 */
#include "hv/exit/exit.h"

/* Out of line, so that a violation that nobody is told of saves no registers. */
static __attribute__((noinline)) void exit_report_violation(struct vcpu *v, bool stop,
                                                            const char *what, uint64_t where) {
    uint32_t suppressed = 0;
    if (!stop && !log_limit_pass(&v->vm->log_limit, &suppressed)) {
        return;
    }
    vm_log(v->vm, stop ? LOG_ERROR : LOG_DEBUG, "refused %s %#llx at rip %#llx (%u more not shown)",
           what, (ull)where, (ull)hvm->get(v, HVM_RIP), suppressed);
    if (stop) {
        vm_leave(v->vm, LEAVE_STOP, "stopped: on_violation = \"stop\"");
    }
}

void exit_violation(struct vcpu *v, uint64_t *counter, const char *what, uint64_t where) {
    (*counter)++;
    bool stop = v->vm->plan->config->on_violation == ON_VIOLATION_STOP;
    if (UNLIKELY(stop || log_enabled(LOG_DEBUG))) {
        exit_report_violation(v, stop, what, where);
    }
}
