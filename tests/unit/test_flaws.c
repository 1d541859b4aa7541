/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done against speculation on which CPU, and which MSRs its guests get: CPUs of both makers
 * as they describe themselves.
 */
#include "arch/x86_64/flaws.h"
#include "hv/vm/hvm.h"
#include "test.h"

enum fact {
    FACT_7_EBX,
    FACT_7_EDX,
    FACT_80000008_EBX,
    FACT_80000021_EAX,
    FACT_80000021_ECX,
    FACT_CAPS,
    FACTS
};

#define NO(m)    MITIGATION_MISSING(m)
#define RTM      BIT(11)
#define MD_CLEAR BIT(10)
#define CONTROLS (BITS(26, 28) | BIT(31)) /* IBRS STIBP L1D_FLUSH SSBD */
#define TELLS    BIT(29)
#define NEWER    (BIT(0) | BIT(1) | BIT(3) | BIT(5)) /* RDCL_NO IBRS_ALL SKIP_L1DFL MDS_NO */

static const struct {
    const char *name;
    bool amd;
    uint64_t facts[FACTS];
    uint32_t mitigations, features;
} cpus[] = {
    {"Haswell without microcode, as in Bochs",
     false,
     {0},
     NO(MITIGATE_L1D) | NO(MITIGATE_VERW) | NO(MITIGATE_IBRS) | NO(MITIGATE_IBPB),
     0},
    {"Skylake with microcode",
     false,
     {RTM, CONTROLS | MD_CLEAR},
     MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB | NO(MITIGATE_IBRS),
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD},
    {"Cascade Lake: TAA only",
     false,
     {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER},
     MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD | HVM_ARCH_CAPS},
    {"the same with TSX switched off",
     false,
     {0, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER},
     MITIGATE_IBPB | MITIGATE_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD | HVM_ARCH_CAPS},
    {"Ice Lake: MMIO stale data",
     false,
     {0, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER | BIT(8) | BIT(17)},
     MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD | HVM_ARCH_CAPS},
    {"Sapphire Rapids: none of them",
     false,
     {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER | BIT(8) | BIT(14) | BIT(17)},
     MITIGATE_IBPB | MITIGATE_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD | HVM_ARCH_CAPS},
    {"Alder Lake N: RFDS",
     false,
     {0, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER | BIT(14) | BIT(28)},
     MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD | HVM_FLUSH_CMD | HVM_ARCH_CAPS},
    {"Trinity, as in Bochs", true, {0}, NO(MITIGATE_AUTO_IBRS) | NO(MITIGATE_IBPB), 0},
    {"Zen 3 with TSA",
     true,
     {[FACT_80000008_EBX] = BIT(12) | BITS(14, 15) | BIT(24), [FACT_80000021_EAX] = BIT(5)},
     MITIGATE_VERW | MITIGATE_IBPB | NO(MITIGATE_AUTO_IBRS),
     HVM_SPEC_CTRL | HVM_PRED_CMD},
    {"Zen 4 with TSA in the L1 cache",
     true,
     {[FACT_80000008_EBX] = BIT(12) | BIT(14),
      [FACT_80000021_EAX] = BIT(5) | BIT(8),
      [FACT_80000021_ECX] = BIT(1)},
     MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD},
    {"Zen 5: no TSA",
     true,
     {[FACT_80000008_EBX] = BIT(12) | BIT(14),
      [FACT_80000021_EAX] = BIT(5) | BIT(8),
      [FACT_80000021_ECX] = BITS(1, 2)},
     MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     HVM_SPEC_CTRL | HVM_PRED_CMD},
};

static const uint64_t *facts;

static bool has(struct cpu_feature f) {
    static const struct cpu_feature words[] = {
        {7, EBX, 0}, {7, EDX, 0}, {0x80000008, EBX, 0}, {0x80000021, EAX, 0}, {0x80000021, ECX, 0}};
    for (unsigned i = 0; i < FACT_CAPS; i++) {
        if (f.leaf == words[i].leaf && f.word == words[i].word) {
            return (facts[i] >> f.bit & 1) != 0;
        }
    }
    CHECK_U64(f.leaf, LEAF_CAPS);
    return (facts[FACT_CAPS] >> (f.word == EDX ? 32 : 0) >> f.bit & 1) != 0;
}

TEST(each_cpu_gets_what_it_needs) {
    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        facts = cpus[i].facts;
        uint32_t features = ~0u, found = flaws_find(cpus[i].amd, has, &features);
        if (found != cpus[i].mitigations || features != cpus[i].features) {
            printf("# %s\n", cpus[i].name);
        }
        CHECK_U64(found, cpus[i].mitigations);
        CHECK_U64(features, cpus[i].features);
    }
}

TEST_MAIN(T(each_cpu_gets_what_it_needs))
