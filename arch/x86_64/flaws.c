/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question which flaws a CPU has: one table. Must not touch hardware. A CPU that says
 * nothing of itself is taken for one that has them; for old and simple cores that is too much, and
 * costs them nothing, for they lack the means as well.
 */
#include "arch/x86_64/flaws.h"

#include "hv/vm/hvm.h"

/* A flaw, or just means that a guest may have. */
struct flaw {
    struct cpu_feature means, only, except; /* against it; a CPU with it, without it; or {0} */
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

uint32_t flaws_find(bool amd, bool (*has)(struct cpu_feature f), uint32_t *features) {
    uint32_t found = 0;
    *features = 0;
    for (const struct flaw *f = flaws; f < flaws + ARRAY_SIZE(flaws); f++) {
        if (f->amd == amd) {
            bool there = has(f->means), safe = f->except.leaf != 0 && has(f->except);
            bool flawed = !safe && (f->only.leaf == 0 || has(f->only));
            *features |= there ? f->feature : 0;
            found |= !flawed ? 0 : there ? f->mitigation : MITIGATION_MISSING(f->mitigation);
        }
    }
    return found;
}
