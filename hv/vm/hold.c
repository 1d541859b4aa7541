/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a paused vCPU does on its own CPU: what is kept for it, and its way back into time.
 * hv/exit/life.c waits with it.
 */
#include "hv/vm/move.h"
#include "hv/vm/pause.h"
#include "hv/vm/plat.h"
#include "hv/vm/snapshot.h"
#include "hv/vm/vm.h"

static void vcpu_set_paused(struct vcpu *v, bool paused) {
    __atomic_store_n(&v->paused, paused, __ATOMIC_RELEASE);
    if (v->index != 0) {
        plat_kick(v->vm->vcpus[0].cpu);
    }
}

bool vm_is_paused(const struct vm *vm) {
    return __atomic_load_n(&vm->paused, __ATOMIC_SEQ_CST) &&
           __atomic_load_n(&vm->leave, __ATOMIC_SEQ_CST) == LEAVE_NONE;
}

void vcpu_pause_begin(struct vcpu *v) {
    plat_timer_set(0);
    vcpu_save(v);
    vcpu_set_paused(v, true);
}

bool vcpu_pause_hold(struct vcpu *v) {
    /* Of the timer the deadlines tell, which stand; of the pause vm->paused. */
    const uint32_t done = REQUEST_SNAPSHOT | REQUEST_TIMER | REQUEST_ORDER | REQUEST_PAUSE;
    uint32_t requests = __atomic_exchange_n(&v->public.requests, 0, __ATOMIC_SEQ_CST);

    if ((requests & REQUEST_SNAPSHOT) != 0) {
        vcpu_snapshot_answer(v);
    }
    if ((requests & v->held & REQUEST_NMI) != 0) {
        requests |= REQUEST_NMI_AGAIN;
    }
    if ((requests & REQUEST_INIT) != 0) { /* as vm_deliver_to() */
        v->held &= ~(uint32_t)REQUEST_SIPI;
    }
    v->held |= requests & ~done;
    return requests != 0;
}

void vcpu_pause_end(struct vcpu *v) {
    uint64_t ticks = __atomic_load_n(&v->vm->paused_ticks, __ATOMIC_ACQUIRE) - v->paused_ticks;

    v->paused_ticks += ticks;
    vcpu_skip_time(v, ticks);
    hvm->compartment_set_tsc(v, 0 - v->paused_ticks); /* the clock of the devices there */
    vcpu_request(&v->public, v->held | REQUEST_EVENT);
    v->held = 0;
    vcpu_set_paused(v, false);
}
