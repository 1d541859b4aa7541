/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question which flaws a CPU has: one table. A CPU that says nothing of itself is taken
 * for one that has them; for old and simple cores that is too much, and costs them nothing, for
 * they lack the means as well.
 */
#include "config/flaws.h"

#include "hv/lib/fmt.h"
#include "hv/lib/x86.h"

enum cpuid_register { EAX, EBX, ECX, EDX };

/* A bit of a CPUID word. */
struct fact {
    uint32_t leaf;
    enum cpuid_register word;
    unsigned bit;
};
/* In place of a leaf: IA32_ARCH_CAPABILITIES, its low half in EAX. */
#define LEAF_CAPS  UINT32_MAX
#define TELLS_CAPS ((struct fact){7, EDX, 29})

/* What stays true in a guest: the flaws that the CPU has not, and the means that a guest has. */
#define GUEST_CAPS                                                                                 \
    (BITS(0, 2) | BITS(4, 6) | BIT(8) | BITS(13, 15) | BIT(17) | BITS(19, 20) | BIT(24) |          \
     BITS(26, 28) | BIT(62))

/* A flaw, or just means that a guest may have. */
struct flaw {
    struct fact means, only, except; /* against it; a CPU with it, without it; or {0} */
    bool amd;
    uint32_t mitigation, feature; /* enum hvm_feature that the means are */
};

/* clang-format off */
#define F(leaf, word, bit) {(leaf), (word), (bit)}
#define C(bit) F(LEAF_CAPS, (bit) < 32 ? EAX : EDX, (bit) % 32)
static const struct flaw flaws[] = {
    {F(7, EDX, 28), .except = C(0), .mitigation = MITIGATE_L1D, .feature = HVM_FLUSH_CMD}, /* L1TF: RDCL_NO */
    {F(7, EDX, 10), .except = C(5), .mitigation = MITIGATE_VERW}, /* MDS: MD_CLEAR, MDS_NO */
    {F(7, EDX, 10), .only = F(7, EBX, 11), .except = C(8), .mitigation = MITIGATE_VERW}, /* TAA: RTM, TAA_NO */
    {C(17), .only = C(17), .except = C(14), .mitigation = MITIGATE_VERW}, /* MMIO stale data: FB_CLEAR, FBSDP_NO */
    {C(28), .only = C(28), .mitigation = MITIGATE_VERW}, /* RFDS: RFDS_CLEAR */
    {F(0x80000021, EAX, 5), .only = F(0x80000021, EAX, 5), .except = F(0x80000021, ECX, 2), .amd = true, .mitigation = MITIGATE_VERW}, /* TSA: VERW_CLEAR, TSA_L1_NO */
    {F(0x80000021, EAX, 5), .only = F(0x80000021, EAX, 5), .except = F(0x80000021, ECX, 1), .amd = true, .mitigation = MITIGATE_VERW}, /* TSA_SQ_NO */
    {C(1), .mitigation = MITIGATE_IBRS}, /* branch target injection: IBRS_ALL */
    {F(0x80000021, EAX, 8), .amd = true, .mitigation = MITIGATE_AUTO_IBRS},
    {F(7, EDX, 26), .mitigation = MITIGATE_IBPB, .feature = HVM_PRED_CMD},
    {F(0x80000008, EBX, 12), .amd = true, .mitigation = MITIGATE_IBPB, .feature = HVM_PRED_CMD},
    {F(7, EDX, 26), .feature = HVM_SPEC_CTRL}, /* IBRS; the others of it: STIBP, SSBD */
    {F(7, EDX, 27), .feature = HVM_SPEC_CTRL},
    {F(7, EDX, 31), .feature = HVM_SPEC_CTRL},
    {F(0x80000008, EBX, 14), .amd = true, .feature = HVM_SPEC_CTRL},
    {F(0x80000008, EBX, 15), .amd = true, .feature = HVM_SPEC_CTRL},
    {F(0x80000008, EBX, 24), .amd = true, .feature = HVM_SPEC_CTRL},
    {F(7, EDX, 29), .feature = HVM_ARCH_CAPS},
};
/* clang-format on */

static bool flaws_cpu_has(const struct preflight_cpu *cpu, struct fact f) {
    uint32_t r[4];
    if (f.leaf == LEAF_CAPS) {
        return flaws_cpu_has(cpu, TELLS_CAPS) &&
               (cpu->rdmsr(X86_MSR_ARCH_CAPABILITIES) >> (f.word == EDX ? 32 : 0) >> f.bit & 1) !=
                   0;
    }
    cpu->cpuid(f.leaf & 0x80000000u, r); /* Intel answers a leaf that is not there with another */
    if (f.leaf > r[EAX]) {
        return false;
    }
    cpu->cpuid(f.leaf, r);
    return (r[f.word] >> f.bit & 1) != 0;
}

uint32_t flaws_find(const struct preflight_cpu *cpu, bool amd, uint32_t *features,
                    uint64_t *capabilities) {
    uint32_t found = 0;
    *features = 0;
    for (const struct flaw *f = flaws; f < flaws + ARRAY_SIZE(flaws); f++) {
        if (f->amd == amd) {
            bool there = flaws_cpu_has(cpu, f->means);
            bool safe = f->except.leaf != 0 && flaws_cpu_has(cpu, f->except);
            bool flawed = !safe && (f->only.leaf == 0 || flaws_cpu_has(cpu, f->only));
            *features |= there ? f->feature : 0;
            found |= !flawed ? 0 : there ? f->mitigation : MITIGATION_MISSING(f->mitigation);
        }
    }
    bool tells = flaws_cpu_has(cpu, TELLS_CAPS);
    *capabilities = tells ? cpu->rdmsr(X86_MSR_ARCH_CAPABILITIES) & GUEST_CAPS : 0;
    return found;
}

bool flaws_decide(struct boot_info *info, const struct preflight_cpu *cpu, bool amd) {
    static const char *const words[] = {" L1D", " VERW", " IBRS", " auto-IBRS", " IBPB"};
    uint32_t found = flaws_find(cpu, amd, &info->guest_features, &info->arch_capabilities);
    char *text = info->speculation;
    size_t size = sizeof(info->speculation), n = 0;
    if (!info->config.mitigate) {
        n = fmt_print(text, size, "off by the config");
        found = 0;
    } else if (found == 0) {
        n = fmt_print(text, size, "nothing needed");
    }
    for (unsigned bit = 0; bit < 16; bit++) { /* those that are on, then those that are missing */
        if ((found >> bit & 1) != 0) {
            bool first = (found & (bit < 8 ? 0xff : 0xff00) & (BIT32(bit) - 1)) == 0;
            const char *before = !first ? "" : bit < 8 ? "on:" : n == 0 ? "lacks:" : ", lacks:";
            n += fmt_print(text + n, size - n, "%s%s", before, words[bit % 8]);
        }
    }
    info->mitigations = found & 0xff;
    info->guest_features |= (found & MITIGATE_IBRS) == 0 ? HVM_SPEC_CTRL_PASSES : 0;
    return found >> 8 == 0;
}
