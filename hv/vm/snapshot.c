/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking and answering for a vCPU's state. The pointer in the vCPU is the whole protocol:
 * whoever exchanges it for NULL, the one that fills or the one that gives up, owns what it points
 * to.
 */
#include "hv/vm/snapshot.h"

#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

static void snapshot_registers(struct vcpu *v, struct vcpu_snapshot *out) {
    memcpy(out->regs, v->regs, sizeof(out->regs));
    for (unsigned r = 0; r < HVM_REG_COUNT; r++) {
        out->system[r] = hvm->get(v, (enum hvm_reg)r);
    }
    for (unsigned s = 0; s < HVM_SEG_COUNT; s++) {
        hvm->get_segment(v, (enum hvm_seg)s, &out->segments[s]);
    }
    out->regs[X86_RSP] = out->system[HVM_RSP];
    out->halted = v->halted;
    out->waiting = v->waiting;
}

void vcpu_snapshot_answer(struct vcpu *v) {
    struct vcpu_snapshot *out = __atomic_exchange_n(&v->public.snapshot, NULL, __ATOMIC_ACQUIRE);

    if (out == NULL) {
        return;
    }
    out->off = !vm_state_has_vcpus(v->vm->public->state);
    if (!out->off) {
        snapshot_registers(v, out);
    }
    if (v->index == 0) {
        memcpy(&out->devices, &v->vm->shared->counts, sizeof(out->devices));
    }
    recorder_copy(&out->recorder, &v->recorder);
    __atomic_store_n(&out->ready, 1, __ATOMIC_RELEASE);
}

/* Between two runs nobody takes requests, so that the kick is not left out because of some. */
bool vcpu_snapshot_ask(struct vcpu_public *v, struct vcpu_snapshot *out) {
    struct vcpu_snapshot *nobody = NULL;

    out->ready = 0;
    if (!__atomic_compare_exchange_n(&v->snapshot, &nobody, out, false, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED)) {
        return false;
    }
    if (v->cpu == plat_cpu()) {
        vcpu_snapshot_answer(vcpu_of_cpu[v->cpu]); /* its run was interrupted for us */
    } else {
        __atomic_fetch_or(&v->requests, REQUEST_SNAPSHOT, __ATOMIC_SEQ_CST);
        plat_kick(v->cpu);
    }
    return true;
}

bool vcpu_snapshot_is_ready(const struct vcpu_snapshot *s) {
    return __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) != 0;
}

bool vcpu_snapshot_withdraw(struct vcpu_public *v, struct vcpu_snapshot *out) {
    return __atomic_compare_exchange_n(&v->snapshot, &out, NULL, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}
