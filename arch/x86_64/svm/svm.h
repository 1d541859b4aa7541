/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD-V, internal: what the files of this folder share. Outside, only svm_ops is known.
 */
#pragma once

#include "arch/x86_64/svm/vmcb.h"
#include "hv/vm/vcpu.h"

/* Are NMIs blocked? From an NMI's injection to the end of the guest's IRET. */
enum svm_nmi { SVM_NMI_OPEN, SVM_NMI_BLOCKED, SVM_NMI_ENDING /* when that IRET has run */ };

/* struct vcpu's vendor part; the VMCB stands first, so that v->vendor is its address. */
struct svm_vcpu {
    struct vmcb vmcb;
    uint64_t cr0_cache; /* CD and NW as the guest set them: they never reach the CPU */
    uint64_t cr4;       /* as the guest set it */
    /* See events.c. The place of the handler's IRET when it was let through. */
    uint8_t nmi; /* enum svm_nmi */
    uint64_t iret_rip, iret_rsp;
    /* Where the guest last stood in an interrupt shadow, and for how many entries (0: it no longer
     * does) and until which host TSC it is believed to stand there still. */
    uint8_t shadow_entries;
    uint64_t shadow_rip, shadow_end;
    uint8_t looks; /* in a row that were in vain */
    bool cr8_watched;
    struct vmcb *compartment; /* of the second context */
};

enum { SVM_ASID_GUEST = 1, SVM_ASID_COMPARTMENT };

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

/* At its next entry, the CPU drops what it has cached of this ASID's translations. */
static inline void svm_flush_vmcb(struct vmcb *c) {
    bool by_asid = (svm_caps.features & SVM_HAS_FLUSH_BY_ASID) != 0;
    c->tlb_control = by_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
}

/*
 * enter.S: runs the guest of a context, a struct vcpu or its second context. Registers go in and
 * out through the context, and the run clobbers all of ours but the one that holds it: so it need
 * not wait in memory.
 */
static inline __attribute__((always_inline)) void svm_enter(void *context) {
    __asm__ volatile("call svm_enter_context"
                     :
                     : "b"(context)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "memory", "cc");
}

extern struct hvm_ops svm_ops;
_Static_assert(offsetof(struct vcpu, regs) == 0 && offsetof(struct vcpu, vendor) == 0x88,
               "used in enter.S");

#define CPU_HAS_SVM ((struct cpu_feature){0x80000001u, ECX, 2})

/* cpu.c: of the running CPU. Where there is no lock, the firmware's choice cannot be undone
 * either. */
struct svm_caps svm_caps_read(void);
bool svm_locked_off(void);

enum status svm_probe(void);
enum status svm_cpu_on(void);
void svm_loop(struct vcpu *v);

/* events.c: as of struct hvm_ops; and what an exit that is no plain instruction says of windows,
 * shadow and NMIs, after the event that it cut off was sent in again. */
void svm_inject(struct vcpu *v);
bool svm_can_take(struct vcpu *v, bool nmi);
void svm_window(struct vcpu *v, bool interrupt, bool nmi);
void svm_events_after_exit(struct vcpu *v);
void svm_watch_cr8(struct vcpu *v, bool on);

/* compartment.c; init allocates from the VM's budget. */
MUST_USE enum status svm_compartment_init(struct vcpu *v);
void svm_compartment_reset(struct vcpu *v);
bool svm_upcall(struct vcpu *v, const struct vmexit *x);
/* save.c, of struct hvm_ops. */
void svm_save(struct vcpu *v, struct vcpu_saved *out);
void svm_restore(struct vcpu *v, const struct vcpu_saved *in);
void svm_compartment_set_tsc(struct vcpu *v, uint64_t offset);
