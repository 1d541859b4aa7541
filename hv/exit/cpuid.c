/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the CPUID policy. Deny by default: a leaf or a bit that the table does not name is zero. No
 * virtualization, no performance counters, no machine-check banks, no power or thermal control, no
 * MONITOR is shown: hv/exit/cpuid_hidden.c has the whole list, with reasons.
 * Source: Intel SDM vol. 2 "CPUID—CPU Identification"; AMD APM vol. 3 "Obtaining Processor
 * Information Via the CPUID Instruction".
 */
#include "hv/exit/policy.h"

#include "hv/abi.h"
#include "hv/exit/exit.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/lib/version.h"
#include "hv/vm/plat.h"

#define ANY CPUID_NO_SUBLEAF
#define ALL UINT32_MAX

#define XSAVE_PKRU 9u /* the component */
#define XSAVE_LAST XSAVE_PKRU

#define LEAF_LAST    0x1fu
#define EXT_LAST     0x80000021u
#define LEAF_LIMITED 2u /* for systems of long ago: SDM vol. 4 "IA32_MISC_ENABLE" */

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND.
 */
#define LEAF1_ECX                                                                                  \
    (BITS(0, 1) | BIT(9) | BITS(12, 13) | BIT(17) | BITS(19, 20) | BITS(22, 23) | BITS(25, 26) |   \
     BITS(28, 30))
/* Always given, being ours: x2APIC, TSC deadline, hypervisor present. */
#define LEAF1_ECX_SET (BIT(21) | BIT(24) | BIT(31))
/* Leaf 1 EDX: FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 SS. */
#define LEAF1_EDX     (BITS(0, 6) | BIT(8) | BIT(11) | BIT(13) | BITS(15, 17) | BIT(19) | BITS(23, 27))
#define LEAF1_EDX_SET (BIT(9) | BIT(12)) /* APIC, MTRR */
/* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F/DQ/IFMA/CD/BW/VL RDSEED ADX SMAP CLFLUSHOPT
 * CLWB SHA; how the x87's pointers behave (FDP_EXCPTN_ONLY, no FCS and FDS). */
#define LEAF7_EBX                                                                                  \
    (BIT(0) | BIT(3) | BITS(5, 10) | BIT(13) | BITS(16, 21) | BITS(23, 24) | BITS(28, 31))
#define LEAF7_EBX_SET BIT(1) /* IA32_TSC_ADJUST, being ours */
/* AVX512VBMI UMIP PKU VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID. */
#define LEAF7_ECX     (BITS(1, 3) | BIT(6) | BITS(8, 12) | BIT(14) | BIT(22))
/* FSRM, MD_CLEAR (VERW clears buffers), HYBRID; IBRS STIBP L1D_FLUSH ARCH_CAPABILITIES SSBD. */
#define LEAF7_EDX     (BIT(4) | BIT(10) | BIT(15) | BITS(26, 29) | BIT(31))
/* FXSAVE's error pointers; IBPB; IBRS STIBP and which of them are always on, preferred; SSBD SSB_NO
 * PSFD BTC_NO IBPB_RET. */
#define EXT8_EBX      (BIT(2) | BIT(12) | BITS(14, 19) | BIT(24) | BIT(26) | BITS(28, 30))
/* How an AMD CPU behaves, which no guest can change: no nested #BP or #DB by data, FS and GS bases
 * not serializing, LFENCE serializing, VERW clears, null selectors clear bases, no SMM_CTL, fast
 * strings; SBPB and what IBPB clears, in IA32_PRED_CMD, which passes; SRSO_NO, SRSO_USER_KERNEL_NO;
 * TSA_NO. */
#define EXT21_EAX     (BITS(0, 2) | BITS(5, 6) | BITS(9, 11) | BIT(19) | BITS(27, 30))
#define EXT21_ECX     BITS(1, 2)
/* Without LA57, whatever the CPU has. */
#define LINEAR_BITS   48u
/* LAHF CmpLegacy LZCNT PREFETCHW TopologyExtensions; SYSCALL NX 1-GiB pages RDTSCP LM. */
#define EXT1_ECX      (BITS(0, 1) | BIT(5) | BIT(8) | BIT(22))
#define EXT1_EDX      (BIT(11) | BIT(20) | BITS(26, 27) | BIT(29))

/* Highest extended leaf, topology and frequencies are filled in by cpuid_own(), cpuid_topology().
 */
const struct cpuid_policy cpuid_policies[] = {
    {0x00, ANY, "vendor, highest leaf", .pass = {0, ALL, ALL, ALL}, .set = {LEAF_LAST, 0, 0, 0}},
    {0x01, ANY, "features", .pass = {ALL, 0xffff, LEAF1_ECX, LEAF1_EDX},
     .set = {0, 0, LEAF1_ECX_SET, LEAF1_EDX_SET}},
    {0x02, ANY, "caches", .pass = {ALL, ALL, ALL, ALL}},
    {0x04, 0, "caches", .more = 3, .pass = {0x3fff, ALL, ALL, ALL}},
    {0x06, ANY, "timer never stops", .set = {BIT32(2), 0, 0, 0}},
    {0x07, 0, "features", .pass = {0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX},
     .set = {0, LEAF7_EBX_SET, 0, 0}},
    {0x0b, 0, "topology", .more = 2},
    {0x0d, 0, "XSAVE", .pass = {CPUID_XCR0_ALLOWED, ALL, ALL, 0}},
    {0x0d, 1, "XSAVE", .pass = {BITS(0, 2), 0, 0, 0}}, /* XSAVEOPT XSAVEC XGETBV1 */
    {0x0d, 2, "XSAVE", .pass = {ALL, ALL, ALL, 0}},
    {0x0d, 5, "XSAVE", .more = 2, .pass = {ALL, ALL, ALL, 0}},
    {0x0d, 9, "XSAVE", .pass = {ALL, ALL, ALL, 0}}, /* PKRU */
    {0x15, ANY, "frequencies", .more = 1},
    {0x1a, ANY, "kind of core", .pass = {ALL, 0, 0, 0}}, /* of a hybrid machine's; else 0 */
    {0x1f, 0, "topology", .more = 2},
    {BULKHEAD_CPUID_BASE, ANY, "Bulkhead", .set = {0}},
    {BULKHEAD_CPUID_VERSION, ANY, "Bulkhead: version", .set = {0}},
    {BULKHEAD_CPUID_TIMING, ANY, "Bulkhead: frequencies", .set = {0}},
    {KVM_CPUID_BASE, ANY, "as KVM's: signature", .set = {0}},
    {KVM_CPUID_FEATURES, ANY, "as KVM's: features",
     .set = {KVM_NOP_IO_DELAY | KVM_PV_EOI, 0, 0, 0}},
    {0x80000000, ANY, "vendor, highest leaf", .pass = {ALL, ALL, ALL, ALL}},
    {0x80000001, ANY, "features", .pass = {ALL, 0, EXT1_ECX, EXT1_EDX}},
    {0x80000002, ANY, "brand, caches", .more = 4, .pass = {ALL, ALL, ALL, ALL}},
    {0x80000007, ANY, "invariant TSC", .pass = {0, 0, 0, BIT32(8)}},
    {0x80000008, ANY, "address widths, features", .pass = {0xff, EXT8_EBX, 0, 0},
     .set = {LINEAR_BITS << 8, 0, 0, 0}},
    {0x8000001d, 0, "caches", .more = 3, .pass = {0x3fff, ALL, ALL, ALL}}, /* as leaf 4, on AMD */
    {0x8000001e, ANY, "topology", .set = {0}},
    {EXT_LAST, ANY, "features", .pass = {EXT21_EAX, 0, EXT21_ECX, 0}},
    {.name = NULL},
};

static const struct cpuid_entry cpuid_nothing;

/* The slot of a leaf: the number of its first entry, with SUBLEAVES if it has several. */
static uint8_t cpuid_slot(const struct cpuid_table *t, uint32_t leaf) {
    uint32_t n = leaf % CPUID_GROUP;
    uint32_t kvm = leaf - KVM_CPUID_BASE;
    if (LIKELY(leaf < CPUID_MAX_LEAF)) {
        return t->slots[0][leaf];
    }
    if (kvm < CPUID_MAX_LEAF) {
        return t->slots[CPUID_KVM_SLOTS][kvm];
    }
    return n < CPUID_MAX_LEAF ? t->slots[leaf / CPUID_GROUP][n] : CPUID_NO_ENTRY;
}

const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf) {
    size_t i = cpuid_slot(t, leaf) & (CPUID_SUBLEAVES - 1);
    for (; i < t->count && t->entries[i].leaf == leaf; i++) {
        if (t->entries[i].subleaf == subleaf || t->entries[i].subleaf == ANY) {
            return &t->entries[i];
        }
    }
    return &cpuid_nothing;
}

static struct cpuid_entry *cpuid_edit(struct vcpu *v, uint32_t leaf, uint32_t subleaf) {
    const struct cpuid_entry *e = cpuid_find(&v->cpuid, leaf, subleaf);
    ASSERT(e != &cpuid_nothing);
    return &v->cpuid.entries[e - v->cpuid.entries];
}

bool cpuid_has(const struct cpuid_table *t, uint32_t leaf, unsigned reg, unsigned bit) {
    return (cpuid_find(t, leaf, 0)->out[reg] >> bit & 1) != 0;
}

/* Sets a whole answer. */
static void cpuid_put(struct vcpu *v, uint32_t leaf, uint32_t subleaf, const uint32_t out[4]) {
    memcpy(cpuid_edit(v, leaf, subleaf)->out, out, 4 * sizeof(*out));
}

/*
 * One package, each vCPU a core of one thread, the APIC ID its number: leaves 1, 4, Bh and 1Fh, and
 * AMD's 8000001h, 80000008h, 8000001Dh and 8000001Eh say the same. The first two cache levels are a
 * core's own, the others the package's.
 */
static void cpuid_topology(struct vcpu *v) {
    uint32_t count = v->vm->vcpu_count;
    uint32_t shift = count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
    uint32_t last = (1u << shift) - 1;
    struct cpuid_entry *e = cpuid_edit(v, 1, 0);
    e->out[1] |= v->index << 24 | count << 16;
    e->out[3] |= count > 1 ? BIT32(28) : 0;
    for (uint32_t i = 0; i < 8; i++) {
        e = cpuid_edit(v, i < 4 ? 4 : 0x8000001d, i % 4);
        if ((e->out[0] & 0x1f) != 0) {
            bool shared = (e->out[0] >> 5 & 7) > 2; /* the last level of caches */
            e->out[0] |= shared ? last << 14 : 0;
            e->out[0] |= i < 4 ? last << 26 : 0;
        }
    }
    for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x14) {
        cpuid_put(v, leaf, 0, (uint32_t[4]){0, 1, 1 << 8, v->index});
        cpuid_put(v, leaf, 1, (uint32_t[4]){shift, count, 2 << 8 | 1, v->index});
        cpuid_put(v, leaf, 2, (uint32_t[4]){0, 0, 2, v->index});
    }
    if (count == 1) {
        cpuid_edit(v, 0x80000001, 0)->out[2] &= ~BIT32(1); /* CmpLegacy: several cores */
    }
    if (cpuid_edit(v, 0x80000000, 0)->out[0] > 0x80000008) { /* AMD */
        cpuid_edit(v, 0x80000008, 0)->out[2] = shift << 12 | (count - 1);
        cpuid_put(v, 0x8000001e, 0, (uint32_t[4]){v->index, v->index, 0, 0});
    }
}

/* What no host word can say: frequencies, our own leaves; how many leaves there are. */
static void cpuid_own(struct vcpu *v) {
    struct cpuid_entry *e = cpuid_edit(v, 0x80000000, 0);
    e->out[0] = (uint32_t)min_u64(e->out[0], EXT_LAST);

    /*
     * TSC = crystal * EBX / EAX; the crystal is also the local APIC timer's clock. Linux multiplies
     * crystal kHz by EBX in 32 bits: EAX is as large as that allows, for the smallest rounding.
     */
    uint32_t khz = (uint32_t)(plat_tsc_hz() / 1000), crystal_khz = LAPIC_TIMER_HZ / 1000;
    uint32_t eax = (uint32_t)min_u64(crystal_khz, UINT32_MAX / khz);
    uint32_t ebx = (uint32_t)(((uint64_t)khz * eax + crystal_khz / 2) / crystal_khz);
    cpuid_put(v, 0x15, 0, (uint32_t[4]){eax, ebx, LAPIC_TIMER_HZ, 0});
    cpuid_put(v, 0x16, 0, (uint32_t[4]){khz / 1000, khz / 1000, LAPIC_TIMER_HZ / 1000000, 0});

    e = cpuid_edit(v, BULKHEAD_CPUID_BASE, 0);
    e->out[0] = BULKHEAD_CPUID_TIMING;
    memcpy(&e->out[1], BULKHEAD_SIGNATURE, 12);
    const uint32_t version = VERSION_MAJOR << 16 | VERSION_MINOR << 8 | VERSION_PATCH;
    cpuid_put(v, BULKHEAD_CPUID_VERSION, 0, (uint32_t[4]){version, 0, 0, 0});
    cpuid_put(v, BULKHEAD_CPUID_TIMING, 0, (uint32_t[4]){khz, LAPIC_TIMER_HZ / 1000, 0, 0});

    /* A CPU with APIC virtualization ends interrupts by itself. */
    e = cpuid_edit(v, KVM_CPUID_BASE, 0);
    e->out[0] = KVM_CPUID_FEATURES;
    memcpy(&e->out[1], KVM_SIGNATURE, 12);
    if (v->lapic.hardware) {
        cpuid_edit(v, KVM_CPUID_FEATURES, 0)->out[0] &= ~KVM_PV_EOI;
    }
}

static void cpuid_add(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
                      const struct cpuid_policy *p) {
    uint32_t host[4];
    ASSERT(t->count < CPUID_MAX_ENTRIES);
    plat_cpuid(leaf, subleaf == ANY ? 0 : subleaf, host);
    struct cpuid_entry *e = &t->entries[t->count];
    *e = (struct cpuid_entry){.leaf = leaf, .subleaf = subleaf};
    for (unsigned r = 0; r < 4; r++) {
        e->out[r] = (host[r] & p->pass[r]) | p->set[r];
    }
    bool kvm = range_has_number(KVM_CPUID_BASE, CPUID_MAX_LEAF, leaf);
    uint32_t group = kvm ? CPUID_KVM_SLOTS : leaf / CPUID_GROUP;
    uint8_t *slot = &t->slots[group][kvm ? leaf - KVM_CPUID_BASE : leaf % CPUID_GROUP];
    if (*slot == CPUID_NO_ENTRY) {
        *slot = subleaf == ANY ? t->count : t->count | CPUID_SUBLEAVES;
    }
    t->count++;
}

#define CPUID_WIDTHS       0x80000008u /* of addresses */
#define PHYS_BITS_AT_LEAST 36

void cpuid_init(struct vcpu *v) {
    memset(&v->cpuid, CPUID_NO_ENTRY, sizeof(v->cpuid));
    v->cpuid.count = 0;
    for (const struct cpuid_policy *p = cpuid_policies; p->name != NULL; p++) {
        for (uint32_t n = 0; n <= p->more; n++) {
            uint32_t subleaf = p->subleaf == ANY ? ANY : p->subleaf + n;
            cpuid_add(&v->cpuid, subleaf == ANY ? p->leaf + n : p->leaf, subleaf, p);
        }
    }
    if ((hvm->features & HVM_RDTSCP) == 0) {
        cpuid_edit(v, 0x80000001, 0)->out[3] &= ~BIT32(27);
        cpuid_edit(v, 7, 0)->out[2] &= ~BIT32(22); /* RDPID goes with it */
    }
    if ((hvm->features & HVM_INVPCID) == 0) {
        cpuid_edit(v, 7, 0)->out[1] &= ~BIT32(10);
    }
    if (!cpuid_has(&v->cpuid, 0xd, 0, XSAVE_PKRU)) { /* PKRU is set to 0 and saved by XSAVE's way */
        cpuid_edit(v, 7, 0)->out[2] &= ~BIT32(3);
    }
    cpuid_own(v);
    cpuid_topology(v);
    uint32_t widths = cpuid_find(&v->cpuid, CPUID_WIDTHS, 0)->out[0];
    v->vm->phys_bits = (uint32_t)max_u64(widths & 0xff, PHYS_BITS_AT_LEAST);
}

void cpuid_set_osxsave(struct vcpu *v, bool on) {
    uint32_t *ecx = &cpuid_edit(v, 1, 0)->out[2];
    *ecx = on ? *ecx | BIT32(27) : *ecx & ~BIT32(27);
}

void cpuid_set_ospke(struct vcpu *v, bool on) {
    uint32_t *ecx = &cpuid_edit(v, 7, 0)->out[2];
    *ecx = on ? *ecx | BIT32(4) : *ecx & ~BIT32(4);
}

void cpuid_set_apic(struct vcpu *v, bool on) {
    uint32_t *edx = &cpuid_edit(v, 1, 0)->out[3];
    *edx = on ? *edx | BIT32(9) : *edx & ~BIT32(9);
}

void cpuid_set_limit(struct vcpu *v, bool on) {
    cpuid_edit(v, 0, 0)->out[0] = on ? LEAF_LIMITED : LEAF_LAST;
}

/* Size of the XSAVE area for a set of components, from leaf 0Dh; standard or compacted format. */
static uint32_t cpuid_xsave_size(const struct cpuid_table *t, uint64_t xcr0, bool compacted) {
    uint32_t size = 576; /* legacy region and header */
    for (uint32_t i = 2; i <= XSAVE_LAST; i++) {
        const struct cpuid_entry *e = cpuid_find(t, 0xd, i);
        uint32_t next = (e->out[2] & 2) != 0 ? ALIGN_UP(size, 64u) : size;
        uint32_t at = compacted ? next : e->out[1];
        if ((xcr0 >> i & 1) != 0) {
            size = (uint32_t)max_u64(size, at + e->out[0]);
        }
    }
    return size;
}

/* The sizes follow XCR0, which is the guest's and live in the CPU. */
static void cpuid_refresh_xsave(struct vcpu *v) {
    uint64_t xcr0 = plat_xgetbv();
    struct cpuid_entry *e = cpuid_edit(v, 0xd, 0);
    e->out[1] = cpuid_xsave_size(&v->cpuid, xcr0, false);
    e->out[2] = cpuid_xsave_size(&v->cpuid, e->out[0], false);
    e = cpuid_edit(v, 0xd, 1);
    e->out[1] = e->out[0] != 0 ? cpuid_xsave_size(&v->cpuid, xcr0, true) : 0;
}

/* Out of line, so that the common case saves no registers. */
static __attribute__((noinline)) const struct cpuid_entry *cpuid_find_other(struct vcpu *v) {
    uint32_t leaf = (uint32_t)v->regs[X86_RAX];
    if (leaf == 0xd && cpuid_has(&v->cpuid, 1, 2, 26)) {
        cpuid_refresh_xsave(v);
    }
    return cpuid_find(&v->cpuid, leaf, (uint32_t)v->regs[X86_RCX]);
}

enum action exit_cpuid(struct vcpu *v, struct vmexit *x) {
    x->number = (uint32_t)v->regs[X86_RAX];
    uint8_t slot = cpuid_slot(&v->cpuid, (uint32_t)v->regs[X86_RAX]);
    const struct cpuid_entry *e =
        LIKELY(slot < CPUID_SUBLEAVES) ? &v->cpuid.entries[slot] : cpuid_find_other(v);
    v->regs[X86_RAX] = e->out[0];
    v->regs[X86_RBX] = e->out[1];
    v->regs[X86_RCX] = e->out[2];
    v->regs[X86_RDX] = e->out[3];
    return ACTION_NEXT;
}
