/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the one timer of a vCPU's host CPU: it goes to whatever comes first. See vcpu.h.
 */
#include "hv/lib/clock.h"
#include "hv/vm/plat.h"
#include "hv/vm/vcpu.h"

void vcpu_timer_set(const struct vcpu *v) {
    plat_timer_set(clock_earlier(v->apic_due, v->clocks_due));
}

void vcpu_look_again(struct vcpu *v, uint64_t ticks) {
    v->clocks_due = clock_earlier(v->clocks_due, plat_tsc() + ticks);
    vcpu_timer_set(v);
}
