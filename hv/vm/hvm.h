/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vendor boundary. vmx_ops and svm_ops implement it; nothing above knows which is running.
 * A vendor turns its raw exit into one struct vmexit; the decode is a pure function of raw words.
 */
#pragma once

#include "hv/abi/exit.h"
#include "hv/lib/status.h"
#include "hv/lib/x86.h"
#include "hv/mem/audit.h"
#include "hv/plan/boot_info.h"

struct pagetable_format;
struct vcpu;
struct vcpu_saved;

/* As "stats" and crash reports show them. */
extern const char *const exit_kind_names[EXIT_KINDS];

/* Both vendors' event words are alike, but for where the error code is. SDM "VM-Entry Controls for
 * Event Injection", APM "Event Injection". */
#define EVENT_VALID     BIT32(31)
#define EVENT_HAS_ERROR BIT32(11)
static inline uint32_t event_encode(const struct event *e) {
    return EVENT_VALID | (uint32_t)e->type << 8 | (e->has_error ? EVENT_HAS_ERROR : 0) | e->vector;
}
/* And back; EVENT_NONE if its valid bit is clear. */
static inline struct event event_decode(uint32_t word, uint32_t error, uint32_t insn_len) {
    struct event e = {.type = word >> 8 & 7, .vector = (uint8_t)word};
    if ((word & EVENT_VALID) == 0 || e.type >= EVENT_TYPES) {
        e.type = EVENT_NONE;
    }
    e.has_error = (word & EVENT_HAS_ERROR) != 0;
    e.error = e.has_error ? error : 0;
    e.insn_len = event_type_is_soft(e.type) ? (uint8_t)insn_len : 0;
    return e;
}

/*
 * DR6 after a #DB with these causes, of which BUS_LOCK and RTM count as set when they are causes.
 * The breakpoints are those of this #DB; what else software or a #DB has set stays. SDM "Debug
 * Status Register (DR6)".
 */
#define X86_DR6_CAUSES                                                                             \
    (X86_DR6_BREAKPOINTS | X86_DR6_BUS_LOCK | X86_DR6_BD | X86_DR6_BS | X86_DR6_BT | X86_DR6_RTM)
static inline uint64_t debug_status(uint64_t dr6, uint64_t causes) {
    uint64_t inverted = X86_DR6_BUS_LOCK | X86_DR6_RTM;
    causes &= X86_DR6_CAUSES;
    dr6 &= ~X86_DR6_BREAKPOINTS;
    dr6 |= (X86_DR6_ONES & ~X86_DR6_BUS_LOCK) | (causes & ~inverted);
    return dr6 & ~(causes & inverted);
}

/* For reports: by enum x86_gpr, by enum hvm_seg. */
extern const char *const hvm_gpr_names[16], *const hvm_segment_names[HVM_SEG_COUNT];

struct hvm_ops {
    const char *name;
    bool vmmcall; /* the instruction that calls the hypervisor is VMMCALL, not VMCALL */
    enum status (*cpu_on)(void);              /* this CPU enters root operation */
    enum status (*vcpu_init)(struct vcpu *v); /* allocates from the VM's budget */
    /* Controls and host state anew, current on this CPU, caches flushed; at every start of the VM.
     * vcpu_reset() then sets each register, in the order of enum hvm_reg, and each segment. */
    void (*vcpu_reset)(struct vcpu *v);
    /*
     * Runs v until vcpu_service() says to leave: the one loop of hv/exit/loop.h with the vendor's
     * run (enter, fill a struct vmexit, interrupts off) and advance (RIP, interrupt shadow,
     * single-step) compiled into it, so that the hot path has no indirect call but the exit
     * table's.
     */
    void (*loop)(struct vcpu *v);
    void (*inject)(struct vcpu *v); /* v->event goes in with the next entry; the last call counts */
    bool (*can_take)(struct vcpu *v, bool nmi); /* or else an interrupt */
    /* A task switch took place: no interrupt shadow, and no debug trap due. With VT-x only: other
     * CPUs switch tasks themselves. */
    void (*end_shadow)(struct vcpu *v);
    /* After EXIT_ENTRY_FAILED: the rule that v's state breaks, in words. */
    const char *(*refusal)(struct vcpu *v);
    /* Then: makes the state one that the CPU takes with an exception going in, as far as that is
     * possible; false if it still breaks a rule that we know. */
    bool (*make_enterable)(struct vcpu *v);
    void (*window)(struct vcpu *v, bool interrupt, bool nmi); /* exit when one can be taken */
    /* Where v->lapic.cr8 is set only: must writes of CR8 exit? At a start they do not. */
    void (*watch_cr8)(struct vcpu *v, bool on);
    uint64_t (*get)(struct vcpu *v, enum hvm_reg r);
    void (*set)(struct vcpu *v, enum hvm_reg r, uint64_t value); /* value already checked */
    void (*get_segment)(struct vcpu *v, enum hvm_seg s, struct hvm_segment *out);
    void (*get_code)(struct vcpu *v, struct hvm_code *out);
    void (*set_segment)(struct vcpu *v, enum hvm_seg s, const struct hvm_segment *in);
    /* With HVM_APIC only: the local APIC's mode has changed; its IRR or ISR have changed by other
     * means than the CPU's: levels as of lapic_take_posted(), status as of lapic_status(). */
    void (*apic_mode)(struct vcpu *v);
    void (*apic_update)(struct vcpu *v, uint32_t levels, uint16_t status);
    /*
     * The second context. compartment_reset: as at its entry point, at every start of the VM.
     * upcall: upcall_make() of hv/vm/upcall_make.h with the vendor's run compiled into it. The
     * guest's state is current before and after.
     */
    void (*compartment_reset)(struct vcpu *v);
    bool (*upcall)(struct vcpu *v, const struct vmexit *x);
    /* What RDTSC adds to the host's TSC there, modulo 2^64; 0 at a start. */
    void (*compartment_set_tsc)(struct vcpu *v, uint64_t offset);
    /*
     * All that the guest has in the vendor's structures of both contexts, out of the run loop on
     * v's own CPU; and back, into those of a vCPU that was reset, whose local APIC is the same
     * already.
     */
    void (*save)(struct vcpu *v, struct vcpu_saved *out);
    void (*restore)(struct vcpu *v, const struct vcpu_saved *in);
    void (*flush)(struct vcpu *v); /* nested tables changed: drop cached translations */
    /* For a crash report and for a panic: the i-th raw word of v's vendor state into *value. Its
     * name; NULL behind the last. */
    const char *(*raw)(struct vcpu *v, unsigned i, uint64_t *value);
    /* Its bit in v->msr_map; -1 if the map does not cover it: then it always exits. */
    int (*msr_bit)(uint32_t msr, bool write);
    const struct pagetable_format *npt_format;
    enum audit_format audit_format; /* of nested tables and bitmaps, as the audit reads them */
    uint32_t features;              /* enum hvm_feature: what guests can be given; set by probe */
    uint64_t arch_capabilities;     /* from boot_info; set by probe */
    unsigned npt_max_level;         /* largest nested page, as in struct pagetable; set by probe */
};

extern struct hvm_ops *hvm; /* chosen once at boot, before plat_seal() */

/* Sets hvm to what this CPU offers; arch/ implements it. Logs what is missing, with the firmware
 * setting. Once, on the first CPU. */
MUST_USE enum status hvm_probe(const struct boot_info *info);
