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
    FACT_7_2_EDX,
    FACT_80000008_EBX,
    FACT_80000021_EAX,
    FACT_80000021_ECX,
    FACT_CAPS,
    FACTS
};

#define RTM      BIT(11)
#define MD_CLEAR BIT(10)
#define CONTROLS (BITS(26, 28) | BIT(31)) /* IBRS STIBP L1D_FLUSH SSBD */
#define TELLS    BIT(29)

#define RDCL_NO        BIT(0)
#define IBRS_ALL       BIT(1)
#define MDS_NO         BIT(5)
#define PSCHANGE_MC_NO BIT(6)
#define TAA_NO         BIT(8)
#define SBDR_SSDP_NO   BIT(13)
#define FBSDP_NO       BIT(14)
#define FB_CLEAR       BIT(17)
#define BHI_NO         BIT(20)
#define PBRSB_NO       BIT(24)
#define GDS_CTRL       BIT(25)
#define GDS_NO         BIT(26)
#define RFDS_NO        BIT(27)
#define RFDS_CLEAR     BIT(28)
#define ITS_NO         BIT(62)
#define NEWER          (RDCL_NO | IBRS_ALL | BIT(3) | MDS_NO)
#define RRSBA_CTRL     BIT(2) /* of leaf 7.2 */
#define BHI_CTRL       BIT(4)
#define AMD_CONTROLS   (BIT(12) | BITS(14, 15) | BIT(24)) /* IBPB IBRS STIBP SSBD */
#define BTC_NO         BIT(29)
#define VERW_CLEAR     BIT(5)
#define AUTO_IBRS      BIT(8)
#define SRSO_NO        BIT(29)
#define BP_SPEC_REDUCE BIT(31)
#define TSA_SQ_NO      BIT(1)
#define TSA_L1_NO      BIT(2)

#define SPEC_MSRS (HVM_SPEC_CTRL | HVM_PRED_CMD)
#define ALL_MSRS  (SPEC_MSRS | HVM_FLUSH_CMD | HVM_ARCH_CAPS)
#define EIBRS     (MITIGATE_IBRS | MITIGATE_IBPB)
#define PAGES     MITIGATE_SMALL_PAGES

static const struct {
    const char *name;
    bool amd;
    uint32_t signature, platform, revision;
    uint64_t facts[FACTS];
    uint32_t on, missing, open, features;
} cpus[] = {
    {.name = "Haswell without microcode, as in Bochs",
     .signature = 0x306c3,
     .on = PAGES,
     .missing = MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBRS | MITIGATE_IBPB},
    {.name = "Skylake with microcode",
     .signature = 0x506e3,
     .facts = {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = GDS_CTRL},
     .on = MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB | PAGES,
     .missing = MITIGATE_IBRS,
     .features = ALL_MSRS},
    {.name = "Cascade Lake",
     .signature = 0x50657,
     .facts = {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER | FB_CLEAR | GDS_CTRL},
     .on = EIBRS | MITIGATE_VERW | MITIGATE_PBRSB | MITIGATE_BHB_LOOP | PAGES,
     .open = BIT32(OPEN_ITS),
     .features = ALL_MSRS},
    {.name = "the same with old microcode and TSX switched off",
     .signature = 0x50657,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = NEWER},
     .on = EIBRS | MITIGATE_PBRSB | MITIGATE_BHB_LOOP | PAGES,
     .open = BIT32(OPEN_ITS) | BIT32(OPEN_MMIO) | BIT32(OPEN_GDS),
     .features = ALL_MSRS},
    {.name = "Skylake server: ITS from the next stepping on",
     .signature = 0x50654,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS, [FACT_CAPS] = GDS_CTRL},
     .on = MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB | PAGES,
     .missing = MITIGATE_IBRS,
     .features = ALL_MSRS},
    {.name = "Ice Lake server before the microcode against REPTAR",
     .signature = 0x606a6,
     .platform = 0x80,
     .revision = 0x0d0003b8,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS,
               [FACT_CAPS] = NEWER | TAA_NO | FB_CLEAR | PSCHANGE_MC_NO | GDS_CTRL | PBRSB_NO},
     .on = EIBRS | MITIGATE_VERW | MITIGATE_BHB_LOOP,
     .open = BIT32(OPEN_REPTAR),
     .features = ALL_MSRS},
    {.name = "and with it",
     .signature = 0x606a6,
     .platform = 0x80,
     .revision = 0x0d0003b9,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS,
               [FACT_CAPS] = NEWER | TAA_NO | FB_CLEAR | PSCHANGE_MC_NO | GDS_CTRL | PBRSB_NO},
     .on = EIBRS | MITIGATE_VERW | MITIGATE_BHB_LOOP,
     .features = ALL_MSRS},
    {.name = "Sapphire Rapids",
     .signature = 0x806f8,
     .platform = 0x80,
     .revision = 0x2b0004d0,
     .facts = {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_7_2_EDX] = RRSBA_CTRL | BHI_CTRL,
               [FACT_CAPS] = NEWER | TAA_NO | FBSDP_NO | FB_CLEAR | PSCHANGE_MC_NO},
     .on = EIBRS | MITIGATE_PBRSB | MITIGATE_BHI_DIS | MITIGATE_RRSBA_DIS,
     .features = ALL_MSRS},
    {.name = "Xeon Max: another platform of that signature, other revisions",
     .signature = 0x806f8,
     .platform = 0x10,
     .revision = 0x2c000271,
     .facts = {RTM, CONTROLS | MD_CLEAR | TELLS, [FACT_7_2_EDX] = RRSBA_CTRL | BHI_CTRL,
               [FACT_CAPS] = NEWER | TAA_NO | FBSDP_NO | FB_CLEAR | PSCHANGE_MC_NO},
     .on = EIBRS | MITIGATE_PBRSB | MITIGATE_BHI_DIS | MITIGATE_RRSBA_DIS,
     .open = BIT32(OPEN_REPTAR),
     .features = ALL_MSRS},
    {.name = "a CPU of tomorrow that has none of them",
     .signature = 0x406f0,
     .facts = {0, CONTROLS | TELLS, [FACT_7_2_EDX] = RRSBA_CTRL | BHI_CTRL,
               [FACT_CAPS] = NEWER | TAA_NO | FBSDP_NO | PSCHANGE_MC_NO | BHI_NO | PBRSB_NO},
     .on = EIBRS | MITIGATE_RRSBA_DIS,
     .features = ALL_MSRS},
    {.name = "Alder Lake N: RFDS",
     .signature = 0xb06e0,
     .platform = 0x10,
     .revision = 0x12,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS, [FACT_7_2_EDX] = BHI_CTRL,
               [FACT_CAPS] = NEWER | FBSDP_NO | RFDS_CLEAR | PSCHANGE_MC_NO | PBRSB_NO},
     .on = EIBRS | MITIGATE_VERW | MITIGATE_BHI_DIS,
     .features = ALL_MSRS},
    {.name = "the same without the microcode",
     .signature = 0xb06e0,
     .platform = 0x10,
     .revision = 0x11,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS, [FACT_7_2_EDX] = BHI_CTRL,
               [FACT_CAPS] = NEWER | FBSDP_NO | PSCHANGE_MC_NO | PBRSB_NO},
     .on = EIBRS | MITIGATE_BHI_DIS,
     .open = BIT32(OPEN_RFDS) | BIT32(OPEN_REPTAR),
     .features = ALL_MSRS},
    {.name = "Goldmont: an Atom has no iTLB multihit",
     .signature = 0x506c9,
     .facts = {0, CONTROLS | TELLS, [FACT_CAPS] = RDCL_NO | MDS_NO | RFDS_NO},
     .on = MITIGATE_IBPB,
     .missing = MITIGATE_IBRS,
     .features = ALL_MSRS},
    {.name = "Comet Lake that says it has no ITS and no GDS",
     .signature = 0xa0652,
     .facts = {0, CONTROLS | MD_CLEAR | TELLS,
               [FACT_CAPS] = NEWER | FB_CLEAR | GDS_NO | ITS_NO | PSCHANGE_MC_NO | PBRSB_NO},
     .on = EIBRS | MITIGATE_VERW | MITIGATE_BHB_LOOP,
     .features = ALL_MSRS},
    {.name = "Trinity, as in Bochs",
     .amd = true,
     .signature = 0x610f01,
     .missing = MITIGATE_AUTO_IBRS | MITIGATE_IBPB,
     .open = BIT32(OPEN_BTC)},
    {.name = "Zen 2",
     .amd = true,
     .signature = 0x870f10,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS},
     .on = MITIGATE_IBPB,
     .missing = MITIGATE_AUTO_IBRS,
     .open = BIT32(OPEN_BTC) | BIT32(OPEN_SRSO),
     .features = SPEC_MSRS},
    {.name = "Zen 3 that tells of VERW",
     .amd = true,
     .signature = 0xa20f12,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO, [FACT_80000021_EAX] = VERW_CLEAR},
     .on = MITIGATE_VERW | MITIGATE_IBPB,
     .missing = MITIGATE_AUTO_IBRS,
     .open = BIT32(OPEN_SRSO),
     .features = SPEC_MSRS},
    {.name = "Zen 4 with the microcode against TSA, which CPUID does not tell of",
     .amd = true,
     .signature = 0xa60f12,
     .revision = 0x0a60120a,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO, [FACT_80000021_EAX] = AUTO_IBRS},
     .on = MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     .open = BIT32(OPEN_SRSO),
     .features = SPEC_MSRS},
    {.name = "and without",
     .amd = true,
     .signature = 0xa60f12,
     .revision = 0x0a601209,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO, [FACT_80000021_EAX] = AUTO_IBRS},
     .on = MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     .open = BIT32(OPEN_SRSO) | BIT32(OPEN_TSA),
     .features = SPEC_MSRS},
    {.name = "a Zen 4 that no list has",
     .amd = true,
     .signature = 0xa90f00,
     .revision = UINT32_MAX,
     .facts =
         {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO, [FACT_80000021_EAX] = AUTO_IBRS | SRSO_NO},
     .on = MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     .open = BIT32(OPEN_TSA),
     .features = SPEC_MSRS},
    {.name = "TSA in the L1 cache only",
     .amd = true,
     .signature = 0xb40f40,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO,
               [FACT_80000021_EAX] = VERW_CLEAR | AUTO_IBRS | SRSO_NO,
               [FACT_80000021_ECX] = TSA_SQ_NO},
     .on = MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_AUTO_IBRS,
     .features = SPEC_MSRS},
    {.name = "Zen 5",
     .amd = true,
     .signature = 0xb40f40,
     .facts = {[FACT_80000008_EBX] = AMD_CONTROLS | BTC_NO,
               [FACT_80000021_EAX] = VERW_CLEAR | AUTO_IBRS | BP_SPEC_REDUCE,
               [FACT_80000021_ECX] = TSA_SQ_NO | TSA_L1_NO},
     .on = MITIGATE_IBPB | MITIGATE_AUTO_IBRS | MITIGATE_BP_SPEC_REDUCE,
     .features = SPEC_MSRS},
};

static const uint64_t *facts;

static void fake_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    memset(r, 0, 4 * sizeof(*r));
    if (leaf == 0 || leaf == 0x80000000) {
        r[0] = leaf == 0 ? 0x1f : 0x80000021;
    } else if (leaf == 7 && subleaf == 2) {
        CHECK(facts[FACT_7_2_EDX] != 0); /* else there is none */
        r[3] = (uint32_t)facts[FACT_7_2_EDX];
    } else if (leaf == 7) {
        CHECK_U64(subleaf, 0);
        r[0] = facts[FACT_7_2_EDX] != 0 ? 2 : 1;
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
static struct boot_info info;

static struct boot_microcode use_cpu(size_t i) {
    facts = cpus[i].facts;
    return (struct boot_microcode){
        .signature = cpus[i].signature, .platform = cpus[i].platform, .revision = cpus[i].revision};
}

TEST(each_cpu_gets_what_it_needs) {
    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        struct boot_microcode microcode = use_cpu(i);
        struct flaws f = {0};
        flaws_find(&cpu, cpus[i].amd, &microcode, &f);
        if (f.on != cpus[i].on || f.missing != cpus[i].missing || f.open != cpus[i].open ||
            f.features != cpus[i].features) {
            printf("# %s\n", cpus[i].name);
        }
        CHECK_U64(f.on, cpus[i].on);
        CHECK_U64(f.missing, cpus[i].missing);
        CHECK_U64(f.open, cpus[i].open);
        CHECK_U64(f.features, cpus[i].features);
        CHECK_U64(f.capabilities, facts[FACT_CAPS] & ~(BIT(3) | GDS_CTRL));
    }
}

/* Leaves beyond the highest say nothing, whatever the CPU answers. */
static void old_cpuid(uint32_t leaf, UNUSED uint32_t subleaf, uint32_t r[4]) {
    memset(r, leaf % 0x80000000 == 0 ? 0 : 0xff, 4 * sizeof(*r));
}

TEST(what_is_decided_and_said) {
    static const struct {
        uint32_t signature;
        bool wanted, complete;
        const char *on, *open;
    } cases[] = {
        {0x306c3, true, false, "lacks: L1D VERW IBRS IBPB", ""},
        {0x306c3, false, true, "off by the config", ""},
        {0x506e3, true, false, "on: L1D VERW IBPB, lacks: IBRS", ""},
        {0x50657, true, true, "on: VERW IBRS IBPB RSB BHB", "open: ITS"},
        {0x806f8, true, true, "on: IBRS IBPB RSB BHI_DIS_S RRSBA_DIS_S", ""},
        {0x870f10, true, false, "on: IBPB, lacks: auto-IBRS", "open: BTC SRSO"},
        {0xb40f40, true, true, "on: VERW auto-IBRS IBPB", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t n = 0;
        while (cpus[n].signature != cases[i].signature) {
            n++;
        }
        info.microcode = use_cpu(n);
        info.config.mitigate = cases[i].wanted;
        CHECK_U64(flaws_decide(&info, &cpu, cpus[n].amd), cases[i].complete);
        CHECK_U64(info.mitigations, cases[i].wanted ? cpus[n].on : 0);
        CHECK_STR(info.speculation, cases[i].on);
        CHECK_STR(info.open_flaws, cases[i].open);
        uint32_t kept = MITIGATE_IBRS | MITIGATE_BHI_DIS | MITIGATE_RRSBA_DIS;
        bool passes = (info.mitigations & kept) == 0;
        CHECK_U64(info.guest_features, cpus[n].features | (passes ? HVM_SPEC_CTRL_PASSES : 0));
    }
    static const struct preflight_cpu old = {.cpuid = old_cpuid, .rdmsr = fake_rdmsr};
    info.config.mitigate = true;
    info.microcode = (struct boot_microcode){.signature = 0x6fb};
    CHECK(!flaws_decide(&info, &old, false));
    CHECK_STR(info.speculation, "lacks: L1D VERW IBRS IBPB");
    CHECK_U64(info.guest_features, HVM_SPEC_CTRL_PASSES);
}

/* All words fit for whatever CPU there is. */
TEST(the_admin_reads_all_of_it) {
    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        info.microcode = use_cpu(i);
        info.config.mitigate = true;
        (void)flaws_decide(&info, &cpu, cpus[i].amd);
        CHECK(strlen(info.speculation) < sizeof(info.speculation) - 1);
        CHECK(strlen(info.open_flaws) < sizeof(info.open_flaws) - 1);
    }
}

TEST_MAIN(T(each_cpu_gets_what_it_needs), T(what_is_decided_and_said), T(the_admin_reads_all_of_it))
