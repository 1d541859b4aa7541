/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done against speculation on which CPU, and which MSRs its guests get: CPUs of both makers
 * as they describe themselves.
 */
#include "config/flaws.h"
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

static void fake_cpuid(uint32_t leaf, uint32_t r[4]) {
    memset(r, 0, 4 * sizeof(*r));
    if (leaf == 0 || leaf == 0x80000000) {
        r[0] = leaf == 0 ? 0x1f : 0x80000021;
    } else if (leaf == 7) {
        r[1] = (uint32_t)facts[FACT_7_EBX];
        r[3] = (uint32_t)facts[FACT_7_EDX];
    } else if (leaf == 0x80000008) {
        r[1] = (uint32_t)facts[FACT_80000008_EBX];
    } else {
        CHECK_U64(leaf, 0x80000021);
        r[0] = (uint32_t)facts[FACT_80000021_EAX];
        r[2] = (uint32_t)facts[FACT_80000021_ECX];
    }
}

static uint64_t fake_rdmsr(uint32_t msr) {
    CHECK_U64(msr, 0x10a);
    CHECK((facts[FACT_7_EDX] & TELLS) != 0);    /* else there is none */
    return facts[FACT_CAPS] | BIT(3) | BIT(63); /* bits that no guest sees */
}

static const struct preflight_cpu cpu = {.cpuid = fake_cpuid, .rdmsr = fake_rdmsr};

TEST(each_cpu_gets_what_it_needs) {
    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        facts = cpus[i].facts;
        uint64_t caps = ~0ull;
        uint32_t features = ~0u, found = flaws_find(&cpu, cpus[i].amd, &features, &caps);
        if (found != cpus[i].mitigations || features != cpus[i].features) {
            printf("# %s\n", cpus[i].name);
        }
        CHECK_U64(found, cpus[i].mitigations);
        CHECK_U64(features, cpus[i].features);
        CHECK_U64(caps, facts[FACT_CAPS] & ~BIT(3));
    }
}

/* Leaves beyond the highest say nothing, whatever the CPU answers. */
static void old_cpuid(uint32_t leaf, uint32_t r[4]) {
    memset(r, leaf % 0x80000000 == 0 ? 0 : 0xff, 4 * sizeof(*r));
}

TEST(what_is_decided_and_said) {
    static const struct {
        unsigned cpu;
        bool wanted, complete;
        uint32_t mitigations;
        const char *text;
    } cases[] = {
        {0, true, false, 0, "lacks: L1D VERW IBRS IBPB"},
        {1, true, false, MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB,
         "on: L1D VERW IBPB, lacks: IBRS"},
        {1, false, true, 0, "off by the config"},
        {2, true, true, MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_IBRS, "on: VERW IBRS IBPB"},
        {9, true, true, MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
         "on: VERW auto-IBRS IBPB"},
    };
    static struct boot_info info;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        facts = cpus[cases[i].cpu].facts;
        info.config.mitigate = cases[i].wanted;
        CHECK_U64(flaws_decide(&info, &cpu, cpus[cases[i].cpu].amd), cases[i].complete);
        CHECK_U64(info.mitigations, cases[i].mitigations);
        CHECK_STR(info.speculation, cases[i].text);
        bool passes = (cases[i].mitigations & MITIGATE_IBRS) == 0;
        CHECK_U64(info.guest_features,
                  cpus[cases[i].cpu].features | (passes ? HVM_SPEC_CTRL_PASSES : 0));
    }
    static const struct preflight_cpu old = {.cpuid = old_cpuid, .rdmsr = fake_rdmsr};
    info.config.mitigate = true;
    CHECK(!flaws_decide(&info, &old, false));
    CHECK_STR(info.speculation, "lacks: L1D VERW IBRS IBPB");
    CHECK_U64(info.guest_features, HVM_SPEC_CTRL_PASSES);
}

TEST_MAIN(T(each_cpu_gets_what_it_needs), T(what_is_decided_and_said))
