/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the table of errata that a guest could use or fall into, and that an MSR closes: with some
 * of them a guest would stop the whole machine, and no guest can set the host's MSRs. Speed and
 * features of no use here are not in it. A firmware has often done the same.
 * Sources: AMD's revision guides for families 10h, 12h, 16h, 17h and 19h; AMD "Cross-Process
 * Information Leak" (Zenbleed), "Software Techniques for Managing Speculation" (LFENCE).
 */
#include "arch/x86_64/errata.h"

#include "arch/x86_64/arch.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define MSR_INT_PENDING 0xc0010055u
#define MSR_LS_CFG      0xc0011020u
#define MSR_DC_CFG      0xc0011022u
#define MSR_FP_CFG      0xc0011028u
#define MSR_DE_CFG      0xc0011029u
#define MSR_BP_CFG      0xc001102eu
#define MSR_DE_CFG2     0xc00110e3u

#define LFENCE_ALWAYS_SERIALIZES BIT32(2)    /* CPUID 80000021h EAX */
#define UNDER_HYPERVISOR         BIT32(31)   /* CPUID 1 ECX */
#define CPUID_0_ECX_AMD          0x444d4163u /* "cAMD" */
#define CPUID_0_ECX_HYGON        0x656e6975u /* "uine" */

#define FAMILIES(first, last)                                                                      \
    .first_family = (first), .last_family = (last), .last_model = UINT32_MAX
#define FAMILY(f) FAMILIES(f, f)
#define MODELS(f, first, last)                                                                     \
    .first_family = (f), .last_family = (f), .first_model = (first), .last_model = (last)

/* Zen 2 is four ranges of models. */
#define ZENBLEED(first, last)                                                                      \
    {                                                                                              \
        .name = "Zenbleed", MODELS(0x17, first, last), .leak = true, .msr = MSR_DE_CFG,            \
        .set = BIT(9)                                                                              \
    }
/* No prediction for what is no branch: the worst of branch type confusion. */
#define NO_BRANCH(first, last)                                                                     \
    { .name = "BTC", MODELS(0x17, first, last), .leak = true, .msr = MSR_DE_CFG2, .set = BIT(1) }

/* clang-format off */
static const struct erratum errata[] = {
    /* a guest that splits large pages has two TLB entries for one address: a machine check */
    {.name = "383", FAMILY(0x10), .msr = MSR_DC_CFG, .set = BIT(47)},
    /* the local APIC's timer stands still while all cores halt (C1E) */
    {.name = "400", FAMILIES(0x10, 0x16), .msr = MSR_INT_PENDING, .clear = BITS(27, 28)},
    /* a wrong quotient */
    {.name = "665", FAMILY(0x12), .msr = MSR_DE_CFG, .set = BIT(31)},
    /* a wrong stack pointer after many pushes and calls */
    {.name = "721", FAMILY(0x10), .msr = MSR_DE_CFG, .set = BIT(0)},
    {.name = "721", FAMILY(0x12), .msr = MSR_DE_CFG, .set = BIT(0)},
    /* LOCK and write-combining stores hang the core */
    {.name = "793", MODELS(0x16, 0x00, 0x0f), .msr = MSR_LS_CFG, .set = BIT(15)},
    /* loads of stale data; LOCK hangs the machine; FCMOV; order of reads around LOCK */
    {.name = "1021", MODELS(0x17, 0x01, 0x01), .msr = MSR_DE_CFG, .set = BIT(13)},
    {.name = "1033", MODELS(0x17, 0x01, 0x01), .msr = MSR_LS_CFG, .set = BIT(4)},
    {.name = "1049", MODELS(0x17, 0x01, 0x01), .msr = MSR_FP_CFG, .set = BIT(4)},
    {.name = "1095", MODELS(0x17, 0x01, 0x01), .msr = MSR_LS_CFG, .set = BIT(57)},
    /* #UD out of nothing, by what the other hyper-thread runs */
    {.name = "1485", MODELS(0x19, 0x10, 0x1f), .msr = MSR_BP_CFG, .set = BIT(5)},
    {.name = "1485", MODELS(0x19, 0x60, 0xaf), .msr = MSR_BP_CFG, .set = BIT(5)},

    /* guests rely on it against Spectre and cannot set it */
    {.name = "LFENCE", FAMILY(0x10), .msr = MSR_DE_CFG, .set = BIT(1)},
    {.name = "LFENCE", FAMILIES(0x12, 0x1a), .unless = LFENCE_ALWAYS_SERIALIZES, .msr = MSR_DE_CFG, .set = BIT(1)},
    ZENBLEED(0x30, 0x4f), ZENBLEED(0x60, 0x7f), ZENBLEED(0x90, 0x91), ZENBLEED(0xa0, 0xaf),
    NO_BRANCH(0x30, 0x4f), NO_BRANCH(0x60, 0x7f), NO_BRANCH(0x90, 0x91), NO_BRANCH(0xa0, 0xaf),
};
/* clang-format on */

static bool errata_mitigate; /* as errata_next() wants it */

/* SDM and APM, "CPUID": Version Information. */
static uint32_t errata_family(uint32_t signature) {
    return (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
}

static bool errata_concerns(const struct erratum *e, const struct errata_cpu *cpu) {
    uint32_t family = errata_family(cpu->signature);
    uint32_t model = (cpu->signature >> 4 & 0xf) | (cpu->signature >> 12 & 0xf0);
    if (family < e->first_family || family > e->last_family) {
        return false;
    }
    if (model < e->first_model || model > e->last_model) {
        return false;
    }
    return (cpu->more_features & e->unless) == 0;
}

const struct erratum *errata_next(const struct errata_cpu *cpu, bool mitigate, size_t *at) {
    if (!cpu->amd || cpu->under_hypervisor) {
        return NULL;
    }
    while (*at < ARRAY_SIZE(errata)) {
        const struct erratum *e = &errata[*at];
        (*at)++;
        if ((mitigate || !e->leak) && errata_concerns(e, cpu)) {
            return e;
        }
    }
    return NULL;
}

static struct errata_cpu errata_this_cpu(void) {
    uint32_t vendor[4], version[4], more[4];
    plat_cpuid(0, 0, vendor);
    plat_cpuid(1, 0, version);
    plat_cpuid(0x80000021u, 0, more);
    return (struct errata_cpu){
        .amd = vendor[ECX] == CPUID_0_ECX_AMD || vendor[ECX] == CPUID_0_ECX_HYGON,
        .under_hypervisor = (version[ECX] & UNDER_HYPERVISOR) != 0,
        .signature = version[EAX],
        .more_features = more[EAX],
    };
}

#define NAMES_SIZE 96u

bool errata_is_amd(void) {
    return errata_this_cpu().amd;
}

bool errata_has_multimatch(void) {
    struct errata_cpu cpu = errata_this_cpu();
    return cpu.amd && errata_family(cpu.signature) == 0x10;
}

enum outcome { OUTCOME_NOTHING, OUTCOME_DONE, OUTCOME_REFUSED, OUTCOMES };

/* An MSR that is not there, as on emulators, leaves nothing to do. */
static enum outcome errata_set(const struct erratum *e) {
    uint64_t value;
    if (!msr_read_checked(e->msr, &value)) {
        return OUTCOME_NOTHING;
    }
    uint64_t wanted = (value | e->set) & ~e->clear;
    if (value == wanted) {
        return OUTCOME_NOTHING;
    }
    if (!msr_write_checked(e->msr, wanted)) {
        return OUTCOME_REFUSED;
    }
    return msr_read(e->msr) == wanted ? OUTCOME_DONE : OUTCOME_REFUSED;
}

static void errata_add_name(char *text, const char *name) {
    size_t n = strlen(text);
    (void)fmt_print(text + n, NAMES_SIZE - n, "%s%s", n != 0 ? ", " : "", name);
}

/* names: by outcome, what has come of each. */
static void errata_set_all(char names[][NAMES_SIZE]) {
    struct errata_cpu cpu = errata_this_cpu();
    const struct erratum *e;
    size_t at = 0;
    while ((e = errata_next(&cpu, errata_mitigate, &at)) != NULL) {
        errata_add_name(names[errata_set(e)], e->name);
    }
}

void errata_init(const struct boot_info *info) {
    char names[OUTCOMES][NAMES_SIZE] = {{0}};
    errata_mitigate = info->config.mitigate;
    errata_set_all(names);
    if (names[OUTCOME_DONE][0] != '\0') {
        log_info("errata: %s worked around", names[OUTCOME_DONE]);
    }
    if (names[OUTCOME_REFUSED][0] != '\0') {
        log_warn("errata: %s cannot be worked around: the CPU refuses it" MSG(4030),
                 names[OUTCOME_REFUSED]);
    }
}

void errata_init_cpu(void) {
    char names[OUTCOMES][NAMES_SIZE] = {{0}};
    errata_set_all(names);
}
