/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a VMCB holds of a guest, into a vCPU's records and from there into another one: all of it
 * but where its tables and maps are. What VMRUN does not switch is fetched from the CPU before.
 * Source: AMD APM vol. 2 "VMRUN Instruction", "VMSAVE and VMLOAD Instructions".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/vm.h"

/* Of struct svm_vcpu: what follows the VMCB but the pointer at its end. */
#define SVM_MORE (offsetof(struct svm_vcpu, compartment) - sizeof(struct vmcb))
_Static_assert(SVM_MORE <= sizeof(((struct vcpu_saved *)0)->more), "fits");
_Static_assert(sizeof(struct vmcb) == sizeof(((struct vcpu_saved *)0)->guest), "fits");

void svm_save(struct vcpu *v, struct vcpu_saved *out) {
    struct svm_vcpu *s = v->vendor;

    __asm__ volatile("vmsave %0" : : "a"(phys_address(&s->vmcb).v) : "memory");
    memcpy(out->guest, &s->vmcb, sizeof(s->vmcb));
    memcpy(out->more, &s->vmcb + 1, SVM_MORE);
    memcpy(out->compartment, s->compartment, sizeof(*s->compartment));
}

static void svm_restore_vmcb(struct vmcb *c, const void *in) {
    uint64_t io_map = c->io_map;
    uint64_t msr_map = c->msr_map;
    uint64_t nested_cr3 = c->nested_cr3;

    memcpy(c, in, sizeof(*c));
    c->io_map = io_map;
    c->msr_map = msr_map;
    c->nested_cr3 = nested_cr3;
    c->clean = 0;
    svm_flush_vmcb(c);
}

void svm_restore(struct vcpu *v, const struct vcpu_saved *in) {
    struct svm_vcpu *s = v->vendor;

    svm_restore_vmcb(&s->vmcb, in->guest);
    memcpy(&s->vmcb + 1, in->more, SVM_MORE);
    svm_restore_vmcb(s->compartment, in->compartment);
    __asm__ volatile("vmload %0" : : "a"(phys_address(&s->vmcb).v) : "memory");
}
