/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUID where it depends: on the CPU's other features, on XCR0, on what was asked before. */
#include "fake_machine.h"
#include "hv/abi.h"
#include "hv/exit/policy.h"

static struct vcpu *v;

static void ask(uint32_t leaf, uint32_t subleaf) {
    struct vmexit x = {.kind = EXIT_CPUID, .insn_len = 2};
    v->regs[X86_RAX] = leaf;
    v->regs[X86_RCX] = subleaf;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
}

static uint64_t word(uint32_t leaf, uint32_t subleaf, enum x86_gpr reg) {
    ask(leaf, subleaf);
    return v->regs[reg];
}

static bool shows(uint32_t leaf, enum x86_gpr reg, unsigned bit) {
    return (word(leaf, 0, reg) >> bit & 1) != 0;
}

TEST(instructions_that_the_vendor_cannot_give) {
    v = fake_machine_start();
    uint32_t all = hvm->features;
    CHECK(shows(0x80000001, X86_RDX, 27) && shows(7, X86_RCX, 22) && shows(7, X86_RBX, 10));
    hvm->features = all & ~(uint32_t)HVM_RDTSCP;
    cpuid_init(v);
    CHECK(!shows(0x80000001, X86_RDX, 27) && !shows(7, X86_RCX, 22) && shows(7, X86_RBX, 10));
    CHECK(shows(0x80000001, X86_RDX, 26) && shows(0x80000001, X86_RDX, 29));
    hvm->features = all & ~(uint32_t)HVM_INVPCID;
    cpuid_init(v);
    CHECK(shows(0x80000001, X86_RDX, 27) && shows(7, X86_RCX, 22) && !shows(7, X86_RBX, 10));
    CHECK(shows(7, X86_RBX, 9));
    hvm->features = all;
}

TEST(protection_keys_want_their_component) {
    v = fake_machine_start();
    CHECK(shows(7, X86_RCX, 3));
    fake_xcr0_missing = BIT32(9);
    cpuid_init(v);
    CHECK(!shows(7, X86_RCX, 3) && shows(7, X86_RCX, 2) && shows(7, X86_RCX, 6));
    fake_xcr0_missing = 0;
}

/* Who has APIC virtualization needs no PV EOI. */
TEST(pv_eoi_is_for_cpus_without_apic_virtualization) {
    v = fake_machine_start();
    CHECK_U64(word(KVM_CPUID_FEATURES, 0, X86_RAX), KVM_NOP_IO_DELAY | KVM_PV_EOI);
    v->lapic.hardware = true;
    cpuid_init(v);
    CHECK_U64(word(KVM_CPUID_FEATURES, 0, X86_RAX), KVM_NOP_IO_DELAY);
    v->lapic.hardware = false;
}

/* Of a hybrid machine each vCPU has the kind, the model and the caches of the CPU that it runs on.
 */
TEST(each_vcpu_is_of_its_own_cpu_s_kind) {
    static const uint32_t cores[][2] = {{0x40000001, 0x906a3}, {0x20000001, 0x906a4}};
    struct vcpu *both[2];
    (void)fake_machine_start();
    fake_create_two(&both[0], &both[1]);
    for (unsigned i = 0; i < ARRAY_SIZE(cores); i++) {
        fake_core = cores[i][0];
        fake_signature = cores[i][1];
        fake_cache_sets = 64 * (i + 1);
        cpuid_init(both[i]);
    }
    fake_core = fake_signature = fake_cache_sets = UINT32_MAX;
    for (unsigned i = 0; i < ARRAY_SIZE(cores); i++) {
        v = both[i];
        CHECK(shows(7, X86_RDX, 15));
        CHECK_U64(word(0x1a, 0, X86_RAX), cores[i][0]);
        CHECK_U64(v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
        CHECK_U64(word(1, 0, X86_RAX), cores[i][1]);
        CHECK_U64(word(4, 0, X86_RCX), 64 * (i + 1));
        CHECK_U64(word(0x8000001d, 0, X86_RCX), 64 * (i + 1));
    }
}

/* However many leaves the CPU has. */
TEST(the_last_extended_leaf) {
    fake_last_extended = 0x80000028;
    v = fake_machine_start();
    CHECK_U64(word(0x80000000, 0, X86_RAX), 0x80000021);
    fake_last_extended = 0x80000008;
    v = fake_machine_start();
    CHECK_U64(word(0x80000000, 0, X86_RAX), 0x80000008);
    fake_last_extended = 0x80000021;
}

/* Without the compacted format it has no size. */
TEST(no_compacted_area) {
    fake_xcr0_missing = UINT32_MAX;
    v = fake_machine_start();
    CHECK_U64(word(0xd, 1, X86_RBX), 0);
    fake_xcr0_missing = 0;
}

TEST(who_we_are) {
    v = fake_machine_start();
    CHECK_U64(word(BULKHEAD_CPUID_BASE, 0, X86_RAX), BULKHEAD_CPUID_TIMING);
    CHECK_U64(word(KVM_CPUID_BASE, 0, X86_RAX), KVM_CPUID_FEATURES);
    ask(KVM_CPUID_BASE, 0);
    uint32_t words[3] = {(uint32_t)v->regs[X86_RBX], (uint32_t)v->regs[X86_RCX],
                         (uint32_t)v->regs[X86_RDX]};
    CHECK(memcmp(words, KVM_SIGNATURE, 12) == 0);
    CHECK_U64(word(BULKHEAD_CPUID_TIMING, 0, X86_RAX), FAKE_HZ / 1000);
    CHECK_U64(word(BULKHEAD_CPUID_TIMING, 0, X86_RBX), LAPIC_TIMER_HZ / 1000);
    CHECK_U64(word(BULKHEAD_CPUID_TIMING, 0, X86_RCX), 0);
    CHECK_U64(word(BULKHEAD_CPUID_TIMING, 0, X86_RDX), 0);
    CHECK_U64(word(0x16, 0, X86_RAX), FAKE_HZ / 1000000);
    CHECK_U64(word(0x16, 0, X86_RBX), FAKE_HZ / 1000000);
    CHECK_U64(word(0x16, 0, X86_RCX), LAPIC_TIMER_HZ / 1000000);
    CHECK_U64(word(0x15, 0, X86_RDX) | word(0x16, 0, X86_RDX), 0);
}

/* SDM vol. 1 "Standard Format" and "Compacted Format": a component stands where the CPU says, or
 * after the one before it, on 64 bytes if it says so. */
TEST(sizes_of_the_xsave_area) {
    fake_avx_size = 200;
    fake_xcr0 = 0x207;
    v = fake_machine_start();
    CHECK_U64(word(0xd, 0, X86_RBX), 2688 + 8);
    CHECK_U64(word(0xd, 1, X86_RBX), 576 + 200 + 8);
    fake_pkru_flags = 2;
    v = fake_machine_start();
    CHECK_U64(word(0xd, 1, X86_RBX), 832 + 8);
    fake_pkru_flags = 1; /* of the supervisor's: another matter */
    v = fake_machine_start();
    CHECK_U64(word(0xd, 1, X86_RBX), 576 + 200 + 8);
    fake_xcr0 = 3;
    CHECK_U64(word(0xd, 1, X86_RBX), 576);
    CHECK_U64(word(0xd, 0, X86_RBX), 576);
    CHECK_U64(word(0xd, 0, X86_RCX), 2696); /* of all components, on or off */
    fake_pkru_flags = 0;
    fake_avx_size = 256;
    fake_xcr0 = 1;
}

/* A CPU without XSAVE has no XCR0 to be read. */
TEST(without_xsave) {
    v = fake_machine_start();
    uint32_t *features = v->cpuid.entries[cpuid_find(&v->cpuid, 1, 0) - v->cpuid.entries].out;
    uint32_t before = features[2];
    fake_xcr0 = 7;
    ask(0xd, 0);
    CHECK_U64(v->regs[X86_RBX], 832);
    fake_xcr0 = 3;
    features[2] &= ~BIT32(26);
    ask(0xd, 0);
    CHECK_U64(v->regs[X86_RBX], 832); /* as it was: nobody looked */
    features[2] = before;
    fake_xcr0 = 1;
}

/* Leaves with and without subleaves, in every group; the highest and the next. */
TEST(every_leaf_that_is_none_is_zero) {
    static const uint32_t none[] = {
        3,          5,          8,          0xc,        0xe,
        0x17,       0x1e,       0x20,       0x40000002, 0x40000011,
        0x40000020, 0x400000ff, 0x40000102, 0x40000120, 0x80000005 + 0xa,
        0x8000001c, 0x8000001f, 0x80000020, 0xc0000000, 0xffffffff};
    v = fake_machine_start();
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        ask(none[i], 0);
        CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    }
    ask(4, 4);
    CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    ask(0xd, 3);
    CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    CHECK(word(1, 99, X86_RAX) != 0); /* a leaf without subleaves does not look at RCX */
}

/* A host interrupt has the guest's events looked at only if one of them waits for a window. */
TEST(a_host_interrupt_looks_for_windows) {
    struct vmexit x = {.kind = EXIT_INTERRUPT};
    v = fake_machine_start();
    v->public.requests = 0;
    v->window_interrupt = false;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(v->public.requests, 0);
    v->window_interrupt = true;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(v->public.requests, REQUEST_EVENT);
    x.kind = EXIT_NMI_WINDOW;
    v->window_interrupt = false;
    v->public.requests = 0;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(v->public.requests, REQUEST_EVENT);
}

TEST_MAIN(T(instructions_that_the_vendor_cannot_give), T(protection_keys_want_their_component),
          T(pv_eoi_is_for_cpus_without_apic_virtualization), T(each_vcpu_is_of_its_own_cpu_s_kind),
          T(the_last_extended_leaf), T(no_compacted_area), T(who_we_are),
          T(sizes_of_the_xsave_area), T(without_xsave), T(every_leaf_that_is_none_is_zero),
          T(a_host_interrupt_looks_for_windows))
