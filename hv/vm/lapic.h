/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local APIC as Intel SDM vol. 3 "Advanced Programmable Interrupt Controller (APIC)" has it:
 * xAPIC page and x2APIC MSRs over one register file, the timer (one-shot, periodic, TSC deadline),
 * priorities, IRR/ISR/TMR. One per vCPU. Only lapic_accept() may be called from another CPU (it
 * touches IRR/TMR with atomics); everything else belongs to the vCPU's own CPU.
 *
 * Where the CPU has APIC virtualization ("hardware"), it works on the same registers while the
 * guest runs: then IRR, ISR, TPR, PPR, EOI and self-IPIs are its own.
 * A CPU may also keep no more than CR8 by itself ("cr8"): then TPR is looked for there.
 */
#pragma once

#include "hv/lib/clock.h"
#include "hv/lib/msi.h"
#include "hv/lib/status.h"

#define LAPIC_BASE      0xfee00000ull
#define LAPIC_TIMER_HZ  25000000ull /* the timer's input clock, told to guests in CPUID 15h */
#define LAPIC_REGISTERS 0x40

#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

/*
 * What one APIC sends to others: an interrupt command (never level), or an MSI, which is also what
 * an I/O APIC sends (without a shorthand).
 */
enum apic_delivery { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI = 4, APIC_INIT, APIC_SIPI };
#define APIC_EXTINT 7 /* the 8259 is asked for the vector; only at LINT0 */
/* These go to the IRR; the others are events of their own. */
static inline bool apic_delivers_vector(unsigned mode) {
    return mode == APIC_FIXED || mode == APIC_LOWEST;
}
enum apic_shorthand { APIC_NAMED, APIC_SELF, APIC_ALL, APIC_OTHERS };
struct apic_message {
    uint8_t vector, delivery_mode, shorthand; /* the modes are those of the two enums */
    bool logical, level;
    uint32_t destination; /* all ones = every APIC, in both modes */
};

/* From ICR in xAPIC mode or an LVT register, which has some of its fields. */
struct apic_message apic_message(uint64_t word);
/* From what a device writes, and where to. SDM "Message Signalled Interrupts". */
struct apic_message apic_message_of_msi(uint64_t address, uint32_t data);

/* What a local APIC needs from its VM; all run on the vCPU's own CPU. */
struct lapic_ops {
    /* Ask for lapic_timer_expired() once the guest TSC has reached deadline; 0 = no longer. */
    void (*timer_arm)(void *ctx, uint64_t guest_tsc_deadline);
    void (*send_ipi)(void *ctx, const struct apic_message *message);
    void (*broadcast_eoi)(void *ctx, uint8_t vector); /* level-triggered vector ended */
    /* IRR, TPR or ISR changed so that lapic_pending() may have a new answer. */
    void (*changed)(void *ctx);
    /* Which messages it takes, for lapic_matches() and lapic_listens(), may have changed. */
    void (*addressed)(void *ctx);
    /* With cr8 only: must the guest's writes of CR8 exit, or does the CPU do them alone? */
    void (*watch_cr8)(void *ctx, bool on);
};

/*
 * What a CPU with posted interrupts takes into the IRR of its guest by itself, once it is notified;
 * while no guest runs, lapic_take_posted() does. Written by any CPU, and by an IOMMU for a device:
 * each access is atomic. SDM "Posted-Interrupt Processing", VT-d "Posted Interrupt Descriptor".
 */
struct lapic_descriptor {
    ALIGNED(64) uint32_t requests[8]; /* a bit for each vector */
    uint64_t notify;                  /* plat_post_word(), and: */
#define LAPIC_NOTIFIED BIT(0)         /* the CPU knows, or will: it need not be told again */
    uint64_t unused[3];
};

struct lapic {
    const struct lapic_ops *ops;
    void *ctx;
    struct dev_clock clock; /* the guest's TSC */
    uint32_t id;
    bool hardware;    /* the CPU has APIC virtualization */
    bool posting;     /* and posted interrupts: descriptor is in use */
    bool cr8_watched; /* as watch_cr8() was last told */
    /* Where the CPU keeps CR8, which is TPR[7:4], while the guest runs; TPR[7:4] of the register
     * file is 0 then, and that of PPR the class in service alone. NULL if it keeps none. */
    uint8_t *cr8;
    uint8_t timer_mode, timer_divide; /* enum timer_mode; counts are multiplied by 2^timer_divide */
    /* Its LVT entry. With APIC virtualization a guest's write is in the register before we hear of
     * it, and what was due before goes by the old one. */
    uint32_t timer_entry;
    /* Bit w is set if word w of IRR / ISR is not 0; irr_words may still show one just emptied. */
    uint32_t irr_words, isr_words;
    /* A word in the guest's RAM, of which bit 0 is ours and the guest's: see lapic_pv_eoi_offer().
     * NULL if the guest has named none. */
    uint32_t *pv_eoi;
    bool pv_eoi_offered;
    uint32_t errors; /* as in ESR, seen since the guest last wrote it */
    /* Hardware: what is accepted waits here, and irr_words tells where, until the guest has left:
     * the CPU's own changes of the IRR need not be atomic. Bits 8 to 15 of irr_words tell which
     * words of the TMR have changed. */
    uint32_t posted[8];
    struct lapic_descriptor descriptor;
    uint64_t apic_base; /* IA32_APIC_BASE as the guest reads it */
    /* As the guest reads them, but for the timer's current count; in the places of the xAPIC page,
     * where a CPU with APIC virtualization looks for them. */
    ALIGNED(PAGE_SIZE) uint32_t reg[PAGE_SIZE / 16][4];
    uint64_t timer_start;    /* guest TSC when the current count began; may have wrapped */
    uint64_t timer_deadline; /* guest TSC of the next expiry, 0 = not running */
};

/* Power-up state; id is the APIC ID, bsp sets APIC_BASE's BSP flag. ops, ctx, clock must be set. */
void lapic_reset(struct lapic *l, uint32_t id, bool bsp);

/* INIT: the same, but the APIC ID and IA32_APIC_BASE stay. */
void lapic_init(struct lapic *l);

/*
 * xAPIC page, offset 0..0xfff; only while enabled in xAPIC mode. Guest-controlled. The caller cuts
 * what is read to the size of the access.
 */
uint64_t lapic_mmio_read(struct lapic *l, uint64_t offset);
void lapic_mmio_write(struct lapic *l, uint64_t offset, unsigned size, uint64_t value);
#define LAPIC_TPR 0x80 /* its offset */
/* CR8 is TPR[7:4], in any mode. A write clears TPR[3:0]; value < 16. Guest-controlled. */
uint8_t lapic_cr8_read(const struct lapic *l);
void lapic_cr8_write(struct lapic *l, uint8_t value);

/*
 * x2APIC MSRs 800h..8FFh; STATUS_DENIED means #GP (also when not in x2APIC mode). Guest-controlled.
 */
MUST_USE enum status lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value);
MUST_USE enum status lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value);

/*
 * IA32_APIC_BASE write with the legal mode transitions; STATUS_DENIED means #GP. The caller has
 * checked that the page is in the guest's physical space. The BSP flag stays as it is.
 * Guest-controlled.
 */
MUST_USE enum status lapic_base_write(struct lapic *l, uint64_t value);

/* IA32_TSC_DEADLINE; reads 0 and ignores writes unless the timer is in TSC-deadline mode. */
uint64_t lapic_deadline_read(struct lapic *l);
void lapic_deadline_write(struct lapic *l, uint64_t guest_tsc);

/* The guest's TSC has just moved by delta (modulo 2^64). Guest-controlled. */
void lapic_tsc_changed(struct lapic *l, uint64_t delta);

/* Is it enabled, and are its registers in that page? */
static inline bool lapic_is_xapic(const struct lapic *l) {
    return (l->apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

/* That page, where the guest has put it; UINT64_MAX if there is none. */
static inline uint64_t lapic_page(const struct lapic *l) {
    return lapic_is_xapic(l) ? l->apic_base & ~(uint64_t)(PAGE_SIZE - 1) : UINT64_MAX;
}

/*
 * Sets vector in IRR (and TMR by level); may run on any CPU. A vector < 16 is an error for ESR.
 * False if there is nothing new to deliver.
 */
bool lapic_accept(struct lapic *l, uint8_t vector, bool level);
/*
 * The same of an edge, with l->posting: the CPU takes it without an exit. False if that cannot be,
 * and lapic_accept() has to. *notify: the CPU has to be told, by plat_post(). Any CPU but the
 * vCPU's own.
 */
bool lapic_post(struct lapic *l, uint8_t vector, bool *notify);
/* From here on a device posts that vector, unseen: its ends need not be told any more. Any CPU;
 * true if the vCPU has to look at that. */
bool lapic_expect_posts(struct lapic *l, uint8_t vector);
/*
 * What a rise at LINT0 does; SMI stands for nothing. With the APIC switched off the input is the
 * CPU's INTR. Any CPU.
 */
struct apic_message lapic_lint0(const struct lapic *l);
/* True if an interrupt message with this destination is for this APIC. */
bool lapic_matches(const struct lapic *l, uint32_t destination, bool logical);

/*
 * Highest vector that may be delivered now (above PPR), or LAPIC_NONE, or LAPIC_HELD: there is one
 * that only the CPU's CR8 holds back. Who finds that must call lapic_watch_cr8(), or the guest
 * could let it in unseen.
 */
#define LAPIC_NONE (-1)
#define LAPIC_HELD (-2)
int lapic_pending(const struct lapic *l);
void lapic_watch_cr8(struct lapic *l, bool on);
/* True if that is certainly -1: nothing waits. */
static inline bool lapic_is_empty(const struct lapic *l) {
    return __atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE) == 0 && !l->hardware;
}
/* Moves that vector from IRR to ISR: it is being delivered. */
void lapic_acknowledge(struct lapic *l, uint8_t vector);

/*
 * An end without an exit, as Linux knows it of KVM (its Documentation/virt/kvm/x86/msr.rst,
 * "MSR_KVM_EOI_EN"): with the bit of its word set, the guest clears it in place of writing EOI.
 * lapic_pv_eoi_set() names the word, NULL takes it back. lapic_pv_eoi_offer() is for what was just
 * delivered, and offers it where nobody waits for its end. lapic_pv_eoi_settle() finds out what
 * became of that; from then on this end needs an EOI. It has to be called before anything is
 * delivered or looks at what is in service. The word is guest-controlled. Not with hardware.
 */
void lapic_pv_eoi_set(struct lapic *l, uint32_t *word);
void lapic_pv_eoi_offer(struct lapic *l, uint8_t vector);
void lapic_pv_eoi_settle(struct lapic *l);

/* Of one that was offered: has it come to its end, or does somebody wait for that by now? */
bool lapic_pv_eoi_is_due(const struct lapic *l);

/*
 * The hardware's side. lapic_take_posted() moves what was accepted, or is in the descriptor, into
 * the IRR and returns which of the TMR's eight words may have changed. lapic_levels() is a quarter
 * of the TMR. lapic_hardware_pending() is lapic_pending() there. lapic_status() is the highest
 * vector of the ISR in bits 8 to 15 and that of the IRR in bits 0 to 7; acknowledged is what just
 * went there and so is the highest, or LAPIC_NONE. SDM vol. 3 "Guest Interrupt Status".
 */
uint32_t lapic_take_posted(struct lapic *l);
uint64_t lapic_levels(const struct lapic *l, unsigned quarter);
int lapic_hardware_pending(const struct lapic *l);
uint16_t lapic_status(const struct lapic *l, int acknowledged);
/* May the CPU carry out this access to the x2APIC register MSR 800h + reg by itself? */
bool lapic_msr_is_virtual(unsigned reg, bool write);
/* The CPU has done the write of the register at this offset: now its consequences. The register is
 * guest-controlled. */
void lapic_written(struct lapic *l, uint32_t offset);
/* An interrupt has ended: if it was level-triggered, the I/O APIC must know. */
void lapic_ended(struct lapic *l, uint8_t vector);

/* The time asked for by timer_arm() has come (calling early or twice is harmless). */
void lapic_timer_expired(struct lapic *l);
