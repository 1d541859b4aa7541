/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the meeting of a VM's vCPUs at a pause and at its end, and what becomes of time. Must not
 * know who asks for it, which is hv/vm/order.c, nor how the others follow: hv/vm/hold.c.
 */
#include "hv/vm/pause.h"

#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

/* A vCPU without a duty has left, or its CPU never came. */
void vm_wait_others(const struct vm *vm, bool paused) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        const struct vcpu *v = &vm->vcpus[i];
        while (__atomic_load_n(&v->paused, __ATOMIC_ACQUIRE) != paused &&
               __atomic_load_n(&v->duty, __ATOMIC_ACQUIRE) != DUTY_NONE) {
            plat_wait();
        }
    }
}

static void vm_set_paused(struct vm *vm, bool paused, enum vcpu_request request) {
    __atomic_store_n(&vm->paused, paused, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i].public, request);
    }
    vm_wait_others(vm, paused);
}

/* Time ends when nobody reads it any more, so it never goes back. */
void vm_pause(struct vm *vm) {
    vm_set_paused(vm, true, REQUEST_PAUSE);
    vm->paused_since = plat_tsc();
}

uint64_t vm_resume(struct vm *vm) {
    uint64_t ticks = plat_tsc() - vm->paused_since;

    vm->clock.offset -= ticks;
    vm->paused_ticks += ticks;
    vm_set_paused(vm, false, REQUEST_EVENT);
    return ticks;
}

void vm_forget_pauses(struct vm *vm) {
    vm->clock.offset += vm->paused_ticks;
    vm->paused_ticks = 0;
    vm->paused = false;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].paused_ticks = 0;
    }
}
