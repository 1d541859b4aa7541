/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD-V, internal: what the files of this folder share. Outside, only svm_ops is known.
 */
#pragma once

#include "arch/x86_64/svm/vmcb.h"
#include "hv/vm/vcpu.h"

/* struct vcpu's vendor part; the VMCB stands first, so that v->vendor is its address. */
struct svm_vcpu {
    struct vmcb vmcb;
    uint64_t cr0_cache; /* CD and NW as the guest set them: they never reach the CPU */
    uint64_t cr4;       /* as the guest set it */
    bool nmi_blocked;   /* from an NMI's injection to the end of the guest's IRET */
    /* One instruction is run under the trap flag, to see its end: an IRET that unblocks NMIs, or
     * whatever stands in an interrupt shadow that an NMI waits for. */
    bool stepping, step_iret, step_tf; /* step_tf: the guest had set the flag itself */
};

/* CPUID 8000000Ah, EDX. */
#define SVM_HAS_NESTED_PAGING BIT32(0)
#define SVM_HAS_LOCK          BIT32(2)
#define SVM_HAS_NEXT_RIP      BIT32(3)
#define SVM_HAS_CLEAN_BITS    BIT32(5)
#define SVM_HAS_FLUSH_BY_ASID BIT32(6)
#define SVM_HAS_DECODE_ASSIST BIT32(7)
#define SVM_HAS_BUS_LOCK      BIT32(29)

struct svm_caps {
    uint32_t features, asids;
    uint32_t clean; /* what to state in VMCB.clean after an exit: 0 without the feature */
};
extern struct svm_caps svm_caps; /* set once by svm_probe() */

extern struct hvm_ops svm_ops;
_Static_assert(offsetof(struct vcpu, regs) == 0 && offsetof(struct vcpu, vendor) == 0x88,
               "used in enter.S");

enum status svm_probe(void);
enum status svm_cpu_on(void);
void svm_loop(struct vcpu *v);
void svm_inject(struct vcpu *v);
void svm_window(struct vcpu *v, bool interrupt, bool nmi);
