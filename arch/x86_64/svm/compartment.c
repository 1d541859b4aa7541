/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second context of a vCPU on AMD-V: a VMCB of its own with its own tables and ASID, in which
 * everything exits that code without privileges would not need. What VMRUN does not switch (FS, GS,
 * TR, LDTR, the SYSCALL and SYSENTER registers) stays the guest's in the CPU, and the program there
 * uses none of it.
 * Sources: AMD APM vol. 2 "VMRUN Instruction", "Intercept Operation".
 */
#include "arch/x86_64/svm/compartment.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/decode.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/upcall_make.h"

/* intercepts[0], [1]: all but what costs and gives nothing: SMI, virtual interrupts, RDTSC, PUSHF,
 * POPF, PAUSE; and the traps after writes of control registers, whose writes are intercepted. */
#define INTERCEPTS0                                                                                \
    (~(uint32_t)(BIT(2) | SVM_VINTR | BIT(5) | BIT(14) | BIT(16) | BIT(17) | BIT(23) | BIT(30)))
#define INTERCEPTS1 0x7fffu

/* Segments by their attributes: 64-bit code and data of ring 0. */
#define ATTR_CODE 0xa9bu
#define ATTR_DATA 0xc93u

enum status svm_compartment_init(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;

    s->compartment = pool_alloc(&v->vm->pool, sizeof(struct vmcb));
    return s->compartment == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static void svm_compartment_write_controls(const struct vcpu *v, struct vmcb *c) {
    c->cr_reads = c->cr_writes = UINT16_MAX;
    c->dr_reads = c->dr_writes = UINT16_MAX;
    c->exceptions = UINT32_MAX;
    c->intercepts[0] = INTERCEPTS0;
    c->intercepts[1] = INTERCEPTS1;
    c->intercepts[2] = (svm_caps.features & SVM_HAS_BUS_LOCK) != 0 ? SVM_BUS_LOCK : 0;
    /* Every bit of the port map is set: it will do for MSRs as well. */
    c->io_map = phys_address(v->port_map).v;
    c->msr_map = phys_address(v->port_map).v;
    c->asid = SVM_ASID_COMPARTMENT;
    c->virtual_interrupt = V_INTR_MASKING;
    c->nested = NESTED_ENABLE;
    c->nested_cr3 = phys_address(v->vm->compartment.npt.root).v;
    svm_flush_vmcb(c);
}

/* No IDT: every exception exits before it would need one. */
void svm_compartment_reset(struct vcpu *v) {
    struct vmcb *c = ((struct svm_vcpu *)v->vendor)->compartment;

    memset(c, 0, sizeof(*c));
    svm_compartment_write_controls(v, c);
    c->cr0 = COMPARTMENT_CR0;
    c->cr3 = compartment_cr3();
    c->cr4 = X86_CR4_PAE | X86_CR4_MCE; /* MCE clear, a machine check would shut the CPU down */
    c->efer = X86_EFER_SVME | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
    c->pat = COMPARTMENT_PAT;
    c->dr6 = X86_DR6_ONES;
    c->dr7 = COMPARTMENT_DR7;
    c->rflags = X86_RFLAGS_FIXED;
    c->rip = compartment_entry();
    c->rsp = compartment_stack_top(v);
    for (unsigned seg = HVM_ES; seg <= HVM_DS; seg++) {
        c->segments[seg] = (struct vmcb_segment){.attr = ATTR_DATA, .limit = UINT32_MAX};
    }
    c->segments[HVM_CS].attr = ATTR_CODE;

    compartment_reset_context(v, c);
}

void svm_compartment_set_tsc(struct vcpu *v, uint64_t offset) {
    struct vmcb *c = ((const struct svm_vcpu *)v->vendor)->compartment;

    c->tsc_offset = offset;
    c->clean &= ~(uint64_t)CLEAN_CONTROLS;
}

void svm_compartment_details(struct vcpu *v, const struct vmcb *c, struct vmexit *x) {
    struct svm_exit e = svm_exit_find(c->exit_code);

    *x = (struct vmexit){.kind = (enum exit_kind)e.kind};
    v->compartment_rip = c->rip;
    if (e.form == FORM_EVENT || e.form == FORM_NESTED_FAULT) {
        svm_decode(c, e.form, false, x);
    } else if (e.form == FORM_MSR) {
        x->kind = c->exit_info1 != 0 ? EXIT_WRMSR : EXIT_RDMSR;
    }
}

/* The neutral way, with AMD-V's run in place. */
bool svm_upcall(struct vcpu *v, const struct vmexit *x) {
    return upcall_make(v, x, svm_compartment_run);
}
