/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Linux believes to be KVM: its CPUID leaves, and ends of interrupts that cost no exit, whose
 * outcome must be that of ends by EOI.
 */
#include "fake_machine.h"
#include "hv/abi.h"

#define WORD_GPA 0x3004u
#define EOI      0xb0u
#define ISR      0x100u
#define PPR      0xa0u
#define ROUNDS   20000u

static uint32_t *word;

static void cpuid_of(struct vcpu *v, uint32_t leaf) {
    struct vmexit x = {.kind = EXIT_CPUID, .insn_len = 2};
    v->regs[X86_RAX] = leaf;
    v->regs[X86_RCX] = 0;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
}

static bool msr_takes(struct vcpu *v, uint64_t value) {
    struct vmexit x = {.kind = EXIT_WRMSR, .insn_len = 2};
    v->regs[X86_RCX] = KVM_MSR_PV_EOI;
    v->regs[X86_RAX] = (uint32_t)value;
    v->regs[X86_RDX] = value >> 32;
    bool taken = fake_exit(v, &x) == ACTION_NEXT;
    v->event.type = EVENT_NONE;
    return taken;
}

static uint64_t msr_value(struct vcpu *v) {
    struct vmexit x = {.kind = EXIT_RDMSR, .insn_len = 2};
    v->regs[X86_RCX] = KVM_MSR_PV_EOI;
    if (fake_exit(v, &x) != ACTION_NEXT) {
        v->event.type = EVENT_NONE;
        return UINT64_MAX;
    }
    return v->regs[X86_RDX] << 32 | (uint32_t)v->regs[X86_RAX];
}

static struct vcpu *start(void) {
    struct vcpu *v = fake_machine_start();
    fake_can_interrupt = true;
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff); /* software enable */
    word = gmem_pointer(&fake_vm->mem, GPA(WORD_GPA), 4);
    *word = 0;
    v->public.requests = 0;
    return v;
}

static struct vcpu *start_on(void) {
    struct vcpu *v = start();
    CHECK(msr_takes(v, WORD_GPA | KVM_MSR_ON));
    return v;
}

/* The vector that goes in at the next entry, 0 = none. */
static uint8_t enter(struct vcpu *v) {
    while (v->public.requests != 0) {
        CHECK(vcpu_service(v));
    }
    uint8_t vector = v->event.type == EVENT_INTERRUPT ? v->event.vector : 0;
    v->event.type = EVENT_NONE;
    return vector;
}

static void arrive(struct vcpu *v, uint8_t vector, bool level) {
    if (lapic_accept(&v->lapic, vector, level)) {
        vcpu_request(&v->public, REQUEST_EVENT);
    }
}

static void write_eoi(struct vcpu *v) {
    lapic_mmio_write(&v->lapic, EOI, 4, 0);
}

/* As a handler's last act. */
static void handler_ends(struct vcpu *v) {
    if ((*word & 1) != 0) {
        *word &= ~1u;
    } else {
        write_eoi(v);
    }
}

static uint32_t in_service(struct vcpu *v, uint8_t vector) {
    return (uint32_t)lapic_mmio_read(&v->lapic, ISR + vector / 32 * 16u) >> vector % 32 & 1;
}

TEST(leaves) {
    struct vcpu *v = start();
    cpuid_of(v, KVM_CPUID_BASE);
    CHECK_U64(v->regs[X86_RAX], KVM_CPUID_FEATURES);
    CHECK_U64(v->regs[X86_RBX], 0x4b4d564b);
    CHECK_U64(v->regs[X86_RCX], 0x564b4d56);
    CHECK_U64(v->regs[X86_RDX], 0x4d);
    cpuid_of(v, KVM_CPUID_FEATURES);
    CHECK_U64(v->regs[X86_RAX], KVM_NOP_IO_DELAY | KVM_PV_EOI);
    CHECK_U64(v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);

    static const uint32_t nothing[] = {0x40000102, 0x4000011f, 0x40000120,
                                       0x40000200, 0x80000100, 0xc0000000};
    for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
        cpuid_of(v, nothing[i]);
        CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    }
    cpuid_of(v, BULKHEAD_CPUID_BASE); /* who looks only there must not notice */
    CHECK_U64(v->regs[X86_RAX], BULKHEAD_CPUID_TIMING);

    v->lapic.hardware = true;
    cpuid_init(v);
    cpuid_of(v, KVM_CPUID_FEATURES);
    CHECK_U64(v->regs[X86_RAX], KVM_NOP_IO_DELAY);
}

TEST(the_msr) {
    struct vcpu *v = start();
    CHECK_U64(msr_value(v), 0);
    CHECK(!msr_takes(v, WORD_GPA | 2 | KVM_MSR_ON) && !msr_takes(v, 2));
    CHECK(!msr_takes(v, 0xfee00000 | KVM_MSR_ON) && !msr_takes(v, BIT(63) | KVM_MSR_ON));
    CHECK_U64(msr_value(v), 0);
    CHECK(v->lapic.pv_eoi == NULL);
    CHECK(msr_takes(v, WORD_GPA | KVM_MSR_ON));
    CHECK_U64(msr_value(v), WORD_GPA | KVM_MSR_ON);
    CHECK(v->lapic.pv_eoi == word);
    CHECK(msr_takes(v, 0));
    CHECK_U64(msr_value(v), 0);
    CHECK(v->lapic.pv_eoi == NULL);

    v->lapic.hardware = true;
    CHECK(!msr_takes(v, WORD_GPA | KVM_MSR_ON));
    CHECK_U64(msr_value(v), UINT64_MAX);
}

TEST(an_end_without_an_exit) {
    struct vcpu *v = start_on();
    *word = 0xfffffffe; /* only one bit is ours */
    for (unsigned i = 0; i < 3; i++) {
        arrive(v, 0x51, false);
        CHECK_U64(enter(v), 0x51);
        CHECK_U64(*word, 0xffffffff);
        *word = 0xfffffffe;
    }
    CHECK_U64(in_service(v, 0x51), 0);
    CHECK_U64(lapic_mmio_read(&v->lapic, PPR), 0);
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    CHECK(!lapic_pv_eoi_is_due(&v->lapic));
    *word = 0xfffffffe;
    CHECK(lapic_pv_eoi_is_due(&v->lapic)); /* though nobody waits */
    *word = 0xffffffff;
    CHECK_U64(in_service(v, 0x51), 1); /* who looks takes the offer back */
    CHECK_U64(*word, 0xfffffffe);
    write_eoi(v);
    CHECK_U64(in_service(v, 0x51), 0);
}

/* Off, as it is at first, the word is left alone. */
TEST(without_it_each_end_is_an_eoi) {
    struct vcpu *v = start();
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 0);
    CHECK_U64(in_service(v, 0x51), 1);
    write_eoi(v);
    CHECK_U64(in_service(v, 0x51), 0);
}

/* A guest need not take the offer: what it writes to EOI ends one interrupt, not two. */
TEST(an_eoi_ends_one) {
    struct vcpu *v = start_on();
    arrive(v, 0x41, false);
    CHECK_U64(enter(v), 0x41);
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 1);
    write_eoi(v);
    CHECK_U64(*word, 0);
    CHECK_U64(in_service(v, 0x51), 0);
    CHECK_U64(in_service(v, 0x41), 1);
    write_eoi(v);
    CHECK_U64(in_service(v, 0x41), 0);
}

/* One on top of another: the word stands for the last, the first needs an EOI. */
TEST(nested) {
    struct vcpu *v = start_on();
    arrive(v, 0x41, false);
    CHECK_U64(enter(v), 0x41);
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    *word = 0;
    write_eoi(v); /* of the first: both have ended */
    CHECK_U64(in_service(v, 0x51) | in_service(v, 0x41), 0);
}

/* Whoever waits for the end is to be told of it. */
TEST(not_offered_where_somebody_waits) {
    struct vcpu *v = start_on();
    arrive(v, 0x51, false);
    arrive(v, 0x41, false);
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 0);
    write_eoi(v);
    CHECK_U64(enter(v), 0x41);
    CHECK_U64(*word, 1);
    arrive(v, 0x31, false); /* comes later: the offer is taken back */
    CHECK_U64(enter(v), 0);
    CHECK_U64(*word, 0);
    write_eoi(v);
    CHECK_U64(enter(v), 0x31);
}

/* What comes meanwhile takes no offer back, unless it waits for the end. */
TEST(an_offer_stands) {
    struct vcpu *v = start_on();
    arrive(v, 0x51, false);
    CHECK(vcpu_service(v));
    CHECK_U64(*word, 1);
    vcpu_request(&v->public, REQUEST_EVENT); /* before the guest has run at all */
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 1);
    vcpu_request(&v->public, REQUEST_EVENT); /* in its handler */
    CHECK_U64(enter(v), 0);
    CHECK_U64(*word, 1);
    *word = 0;
    arrive(v, 0x31, false);
    CHECK_U64(enter(v), 0x31);
    arrive(v, 0x21, false); /* waits for it */
    CHECK_U64(enter(v), 0);
    CHECK_U64(*word, 0);
    write_eoi(v);
    CHECK_U64(enter(v), 0x21);
}

TEST(not_for_levels) {
    struct vcpu *v = start_on();
    arrive(v, 0x51, true);
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 0);
}

/* What the 8259 sends is in no local APIC's service. */
TEST(not_for_the_8259) {
    struct vcpu *v = start_on();
    lapic_mmio_write(&v->lapic, 0x350, 4, 0x700); /* LINT0: ExtINT */
    fake_vm->shared->intr = 1;
    vcpu_request(&v->public, REQUEST_EVENT);
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_INTERRUPT);
    CHECK_U64(*word, 0);
}

/* Its kernel is gone: nothing may be written to where its word was. */
TEST(init_forgets_the_word) {
    struct vcpu *v = start_on();
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    vcpu_reset(v, true);
    *word = 0;
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    CHECK_U64(*word, 0);
    CHECK_U64(msr_value(v), 0);
}

/* Switched off with an offer open, and moved. */
TEST(the_word_changes_meanwhile) {
    struct vcpu *v = start_on();
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    *word = 0;
    CHECK(msr_takes(v, 0));
    CHECK_U64(in_service(v, 0x51), 0);
    CHECK(msr_takes(v, WORD_GPA | KVM_MSR_ON));
    arrive(v, 0x51, false);
    CHECK_U64(enter(v), 0x51);
    CHECK(msr_takes(v, (WORD_GPA + 4) | KVM_MSR_ON));
    CHECK_U64(*word, 0);
    CHECK_U64(in_service(v, 0x51), 1);
}

static uint32_t random_state;

static unsigned random_below(unsigned n) {
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 16) % n;
}

/* A guest whose handlers nest, with all that may come between: which vectors it sees, summed up. */
static uint64_t run_random(bool on, uint32_t seed) {
    struct vcpu *v = on ? start_on() : start();
    uint64_t seen = 0;
    unsigned depth = 0;
    random_state = seed;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned what = random_below(10);
        uint8_t vector = (uint8_t)(0x30 + random_below(0xc0));
        if (what < 3) {
            arrive(v, vector, random_below(8) == 0);
        } else if (what < 4) {
            lapic_mmio_write(&v->lapic, LAPIC_TPR, 4, random_below(4) * 0x40);
        } else if (what < 5) {
            vcpu_request(&v->public, REQUEST_EVENT);
        } else if (what < 6) {
            fake_can_interrupt = !fake_can_interrupt;
            vcpu_request(&v->public, REQUEST_EVENT); /* the window */
        } else if (depth != 0) {
            handler_ends(v);
            depth--;
        }
        uint8_t taken = enter(v);
        depth += taken != 0;
        seen = seen * 31 + taken;
    }
    return seen;
}

TEST(the_same_as_with_eoi) {
    for (uint32_t seed = 1; seed <= 20; seed++) {
        CHECK_U64(run_random(true, seed), run_random(false, seed));
    }
}

TEST_MAIN(T(leaves), T(the_msr), T(an_end_without_an_exit), T(without_it_each_end_is_an_eoi),
          T(an_eoi_ends_one), T(nested), T(not_offered_where_somebody_waits), T(an_offer_stands),
          T(not_for_levels), T(not_for_the_8259), T(init_forgets_the_word),
          T(the_word_changes_meanwhile), T(the_same_as_with_eoi))
