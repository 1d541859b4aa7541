/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question which flaws a CPU has: one table. A CPU that says nothing of itself is taken
 * for one that has them; for old and simple cores that is too much, and costs them nothing, for
 * they lack the means as well.
 */
#include "config/flaws.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"

enum cpuid_register { EAX, EBX, ECX, EDX };

/* A bit of a CPUID word. */
struct fact {
    uint32_t leaf, subleaf;
    enum cpuid_register word;
    unsigned bit;
};
/* In place of a leaf: IA32_ARCH_CAPABILITIES, its low half in EAX. */
#define LEAF_CAPS UINT32_MAX

#define FACT(l, w, b)                                                                              \
    { .leaf = (l), .word = (w), .bit = (b) }
#define FACT_7_2(b)                                                                                \
    { .leaf = 7, .subleaf = 2, .word = EDX, .bit = (b) }
#define CAPS(b)                                                                                    \
    { .leaf = LEAF_CAPS, .word = (b) < 32 ? EAX : EDX, .bit = (b) % 32 }

static const struct fact tells_caps = FACT(7, EDX, 29);

/* What stays true in a guest: the flaws that the CPU has not, and the means that a guest has. */
#define GUEST_CAPS                                                                                 \
    (BITS(0, 2) | BITS(4, 6) | BIT(8) | BITS(13, 15) | BIT(17) | BITS(19, 20) | BIT(24) |          \
     BITS(26, 28) | BIT(62))

/* CPUs of one family; the last of a list has family 0. */
struct models {
    uint32_t family;
    uint32_t first, last; /* models */
    uint32_t stepping;    /* from this on */
};
#define INTEL(model)                                                                               \
    { .family = 6, .first = (model), .last = (model) }
#define INTEL_STEPPING(model, from)                                                                \
    { .family = 6, .first = (model), .last = (model), .stepping = (from) }
#define FAMILY(f)                                                                                  \
    { .family = (f), .last = UINT32_MAX }

/* Atoms before Alder Lake, and Xeon Phi. */
static const struct models no_itlb_multihit[] = {
    INTEL(0x1c), INTEL(0x26), INTEL(0x27), INTEL(0x35), INTEL(0x36), INTEL(0x37),
    INTEL(0x4a), INTEL(0x4c), INTEL(0x4d), INTEL(0x57), INTEL(0x5a), INTEL(0x5c),
    INTEL(0x5d), INTEL(0x5f), INTEL(0x65), INTEL(0x6e), INTEL(0x75), INTEL(0x7a),
    INTEL(0x85), INTEL(0x86), INTEL(0x96), INTEL(0x9c), {0},
};
/* Haswell, Broadwell and Skylake servers, Skylake to Rocket Lake, Lakefield, Tremont. */
static const struct models mmio_models[] = {
    INTEL(0x3f), INTEL(0x4f), INTEL(0x56), INTEL(0x55), INTEL(0x4e), INTEL(0x5e), INTEL(0x8e),
    INTEL(0x9e), INTEL(0x7e), INTEL(0x6c), INTEL(0x6a), INTEL(0xa5), INTEL(0xa6), INTEL(0x8a),
    INTEL(0xa7), INTEL(0x96), INTEL(0x86), INTEL(0x9c), {0},
};
/* Goldmont, Tremont, Alder Lake, Raptor Lake, Gracemont. */
static const struct models rfds_models[] = {
    INTEL(0x5c), INTEL(0x5f), INTEL(0x7a), INTEL(0x96), INTEL(0x86), INTEL(0x9c), INTEL(0x97),
    INTEL(0x9a), INTEL(0xb7), INTEL(0xba), INTEL(0xbf), INTEL(0xbe), {0},
};
/* Skylake to Rocket Lake. */
static const struct models gds_models[] = {
    INTEL(0x55), INTEL(0x4e), INTEL(0x5e), INTEL(0x8e), INTEL(0x9e),
    INTEL(0x7d), INTEL(0x7e), INTEL(0x6c), INTEL(0x6a), INTEL(0xa5),
    INTEL(0xa6), INTEL(0x8c), INTEL(0x8d), INTEL(0xa7), {0},
};
/* Those on which a guest reaches the hypervisor: Cascade Lake, late Kaby Lake, Comet Lake. */
static const struct models its_models[] = {
    INTEL_STEPPING(0x55, 6),
    INTEL_STEPPING(0x8e, 0xc),
    INTEL_STEPPING(0x9e, 0xd),
    INTEL(0xa5),
    INTEL(0xa6),
    {0},
};
static const struct models zen_3_and_4[] = {FAMILY(0x19), {0}};
static const struct models btc_models[] = {
    FAMILY(0x15), FAMILY(0x16), FAMILY(0x17), FAMILY(0x18), {0}};
static const struct models srso_models[] = {
    FAMILY(0x17), FAMILY(0x18), FAMILY(0x19), FAMILY(0x1a), {0}};

/* Microcode that closes a flaw which no CPUID bit tells of; the last has signature 0. */
struct update {
    uint32_t signature, platforms; /* CPUID.1:EAX; Intel's mask, 0 = all */
    uint32_t revision;             /* from this on */
};
/* Intel's release of 2023-11-14. */
static const struct update reptar_updates[] = {
    {0x606a6, 0x87, 0x0d0003b9},
    {0x606c1, 0x10, 0x01000268},
    {0x706e5, 0x80, 0xc2},
    {0x806c1, 0x80, 0xb4},
    {0x806c2, 0xc2, 0x34},
    {0x806d1, 0xc2, 0x4e},
    {0x806f4, 0x87, 0x2b0004d0},
    {0x806f5, 0x87, 0x2b0004d0},
    {0x806f6, 0x87, 0x2b0004d0},
    {0x806f7, 0x87, 0x2b0004d0},
    {0x806f8, 0x87, 0x2b0004d0},
    {0x806f8, 0x10, 0x2c000290},
    {0x90672, 0x07, 0x32},
    {0x90675, 0x07, 0x32},
    {0x906a3, 0x80, 0x430},
    {0x906a4, 0x80, 0x430},
    {0x906a4, 0x40, 0x5},
    {0xa0671, 0x02, 0x5d},
    {0xb0671, 0x32, 0x11d},
    {0xb06a2, 0xe0, 0x411c},
    {0xb06a3, 0xe0, 0x411c},
    {0xb06e0, 0x11, 0x12},
    {0xb06f2, 0x07, 0x32},
    {0xb06f5, 0x07, 0x32},
    {0},
};
/* AMD "Transient Scheduler Attacks": VERW then clears, though CPUID does not say so. */
static const struct update tsa_updates[] = {
    {0xa00f11, 0, 0x0a0011d7},
    {0xa00f12, 0, 0x0a00123b},
    {0xa00f82, 0, 0x0a00820d},
    {0xa10f11, 0, 0x0a10114c},
    {0xa10f12, 0, 0x0a10124c},
    {0xa10f81, 0, 0x0a108109},
    {0xa20f10, 0, 0x0a20102e},
    {0xa20f12, 0, 0x0a201211},
    {0xa40f41, 0, 0x0a404108},
    {0xa50f00, 0, 0x0a500012},
    {0xa60f12, 0, 0x0a60120a},
    {0xa70f41, 0, 0x0a704108},
    {0xa70f52, 0, 0x0a705208},
    {0xa70f80, 0, 0x0a708008},
    {0xa70fc0, 0, 0x0a70c008},
    {0xaa0f02, 0, 0x0aa00216},
    {0},
};

/* A CPU has the flaw if all that the row says of it is so. */
struct flaw {
    bool amd;
    const struct models *models, *spared; /* only these; not these */
    struct fact only, except;             /* a CPU with it; without it */
    /* Not if its microcode is one of these, or newer. Without models: only CPUs that are listed. */
    const struct update *updates;

    bool helpless;       /* nothing is done against it */
    struct fact means;   /* what the mitigation takes of the CPU; {0}: nothing */
    uint32_t mitigation; /* enum mitigation; 0: the means alone do it */
    uint32_t otherwise;  /* where the means are not there */
    bool has_name; /* without either it is open by this name, else the mitigation is missing */
    enum open_flaw name;
};
#define NAMED(flaw) .has_name = true, .name = (flaw)

/* clang-format off */
static const struct flaw flaws[] = {
    /* L1TF: RDCL_NO */
    {.except = CAPS(0), .means = FACT(7, EDX, 28), .mitigation = MITIGATE_L1D},
    /* MDS: MDS_NO, MD_CLEAR */
    {.except = CAPS(5), .means = FACT(7, EDX, 10), .mitigation = MITIGATE_VERW},
    /* TAA: RTM, TAA_NO */
    {.only = FACT(7, EBX, 11), .except = CAPS(8), .means = FACT(7, EDX, 10), .mitigation = MITIGATE_VERW},
    /* MMIO stale data: FB_CLEAR, FBSDP_NO; without MDS_NO what clears for MDS clears for this */
    {.only = CAPS(17), .except = CAPS(14), .mitigation = MITIGATE_VERW},
    {.models = mmio_models, .only = CAPS(5), .except = CAPS(14), .means = CAPS(17), .mitigation = MITIGATE_VERW, NAMED(OPEN_MMIO)},
    /* RFDS: RFDS_CLEAR, RFDS_NO */
    {.only = CAPS(28), .mitigation = MITIGATE_VERW},
    {.models = rfds_models, .except = CAPS(27), .means = CAPS(28), .mitigation = MITIGATE_VERW, NAMED(OPEN_RFDS)},
    /* GDS: GDS_NO; GDS_CTRL comes with the microcode that closes it */
    {.models = gds_models, .except = CAPS(26), .means = CAPS(25), NAMED(OPEN_GDS)},
    {.updates = reptar_updates, .helpless = true, NAMED(OPEN_REPTAR)},
    /* branch target injection: IBRS_ALL */
    {.means = CAPS(1), .mitigation = MITIGATE_IBRS},
    /* what IBRS_ALL leaves open: PBRSB_NO; BHI_NO, BHI_CTRL; RRSBA_CTRL; ITS_NO */
    {.only = CAPS(1), .except = CAPS(24), .mitigation = MITIGATE_PBRSB},
    {.only = CAPS(1), .except = CAPS(20), .means = FACT_7_2(4), .mitigation = MITIGATE_BHI_DIS, .otherwise = MITIGATE_BHB_LOOP},
    {.only = FACT_7_2(2), .mitigation = MITIGATE_RRSBA_DIS},
    {.models = its_models, .except = CAPS(62), .helpless = true, NAMED(OPEN_ITS)},
    {.means = FACT(7, EDX, 26), .mitigation = MITIGATE_IBPB},
    /* iTLB multihit: PSCHANGE_MC_NO */
    {.spared = no_itlb_multihit, .except = CAPS(6), .mitigation = MITIGATE_SMALL_PAGES},

    /* TSA: TSA_L1_NO, TSA_SQ_NO; VERW_CLEAR */
    {.amd = true, .only = FACT(0x80000021, EAX, 5), .except = FACT(0x80000021, ECX, 2), .mitigation = MITIGATE_VERW},
    {.amd = true, .only = FACT(0x80000021, EAX, 5), .except = FACT(0x80000021, ECX, 1), .mitigation = MITIGATE_VERW},
    {.amd = true, .models = zen_3_and_4, .except = FACT(0x80000021, EAX, 5), .mitigation = MITIGATE_VERW},
    {.amd = true, .models = zen_3_and_4, .except = FACT(0x80000021, EAX, 5), .updates = tsa_updates, .helpless = true, NAMED(OPEN_TSA)},
    {.amd = true, .means = FACT(0x80000021, EAX, 8), .mitigation = MITIGATE_AUTO_IBRS},
    {.amd = true, .means = FACT(0x80000008, EBX, 12), .mitigation = MITIGATE_IBPB},
    /* BTC_NO */
    {.amd = true, .models = btc_models, .except = FACT(0x80000008, EBX, 29), .helpless = true, NAMED(OPEN_BTC)},
    /* SRSO_NO; BP_SPEC_REDUCE */
    {.amd = true, .models = srso_models, .except = FACT(0x80000021, EAX, 29), .means = FACT(0x80000021, EAX, 31), .mitigation = MITIGATE_BP_SPEC_REDUCE, NAMED(OPEN_SRSO)},
};

/* What a guest gets of the CPU's means. */
static const struct { bool amd; struct fact there; uint32_t feature; } features[] = {
    {false, FACT(7, EDX, 28), HVM_FLUSH_CMD},
    {false, FACT(7, EDX, 26), HVM_PRED_CMD},
    {true, FACT(0x80000008, EBX, 12), HVM_PRED_CMD},
    {false, FACT(7, EDX, 26), HVM_SPEC_CTRL}, /* IBRS; the others of it: STIBP, SSBD */
    {false, FACT(7, EDX, 27), HVM_SPEC_CTRL},
    {false, FACT(7, EDX, 31), HVM_SPEC_CTRL},
    {true, FACT(0x80000008, EBX, 14), HVM_SPEC_CTRL},
    {true, FACT(0x80000008, EBX, 15), HVM_SPEC_CTRL},
    {true, FACT(0x80000008, EBX, 24), HVM_SPEC_CTRL},
    {false, FACT(7, EDX, 29), HVM_ARCH_CAPS},
};
/* clang-format on */

/* The CPU that is judged. */
struct judged {
    const struct preflight_cpu *cpu;
    const struct boot_microcode *microcode;
};

static bool flaws_cpu_has(const struct judged *j, struct fact f) {
    uint32_t r[4];
    if (f.leaf == LEAF_CAPS) {
        uint64_t half = f.word == EDX ? 32 : 0;
        return flaws_cpu_has(j, tells_caps) &&
               (j->cpu->rdmsr(X86_MSR_ARCH_CAPABILITIES) >> half >> f.bit & 1) != 0;
    }
    j->cpu->cpuid(f.leaf & 0x80000000u, 0,
                  r); /* Intel answers one that is not there with another */
    if (f.leaf > r[EAX]) {
        return false;
    }
    if (f.subleaf != 0) {
        j->cpu->cpuid(f.leaf, 0, r);
        if (f.subleaf > r[EAX]) {
            return false;
        }
    }
    j->cpu->cpuid(f.leaf, f.subleaf, r);
    return (r[f.word] >> f.bit & 1) != 0;
}

/* SDM and APM, "CPUID": Version Information. */
static bool flaws_listed(const struct models *list, uint32_t signature) {
    uint32_t family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    uint32_t model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);
    uint32_t stepping = signature & 0xf;
    for (; list->family != 0; list++) {
        if (list->family == family && model >= list->first && model <= list->last &&
            stepping >= list->stepping) {
            return true;
        }
    }
    return false;
}

static const struct update *flaws_find_update(const struct update *list,
                                              const struct boot_microcode *m) {
    for (; list->signature != 0; list++) {
        bool platform = list->platforms == 0 || (list->platforms & m->platform) != 0;
        if (list->signature == m->signature && platform) {
            return list;
        }
    }
    return NULL;
}

static bool flaws_cpu_is_flawed(const struct judged *j, const struct flaw *f) {
    const struct boot_microcode *m = j->microcode;
    if ((f->models != NULL && !flaws_listed(f->models, m->signature)) ||
        (f->spared != NULL && flaws_listed(f->spared, m->signature))) {
        return false;
    }
    if (f->updates != NULL) {
        const struct update *update = flaws_find_update(f->updates, m);
        bool listed = update != NULL || f->models != NULL;
        bool closed = update != NULL && m->revision >= update->revision;
        if (!listed || closed) {
            return false;
        }
    }
    if (f->only.leaf != 0 && !flaws_cpu_has(j, f->only)) {
        return false;
    }
    return f->except.leaf == 0 || !flaws_cpu_has(j, f->except);
}

static void flaws_judge(const struct judged *j, const struct flaw *f, struct flaws *out) {
    if (!flaws_cpu_is_flawed(j, f)) {
        return;
    }
    bool there = f->means.leaf == 0 || flaws_cpu_has(j, f->means);
    if (there && !f->helpless) {
        out->on |= f->mitigation;
    } else if (f->otherwise != 0) {
        out->on |= f->otherwise;
    } else if (f->has_name) {
        out->open |= BIT32(f->name);
    } else {
        out->missing |= f->mitigation;
    }
}

void flaws_find(const struct preflight_cpu *cpu, bool amd, const struct boot_microcode *microcode,
                struct flaws *out) {
    const struct judged j = {cpu, microcode};
    *out = (struct flaws){0};
    for (const struct flaw *f = flaws; f < flaws + ARRAY_SIZE(flaws); f++) {
        if (f->amd == amd) {
            flaws_judge(&j, f, out);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (features[i].amd == amd && flaws_cpu_has(&j, features[i].there)) {
            out->features |= features[i].feature;
        }
    }
    if (flaws_cpu_has(&j, tells_caps)) {
        out->capabilities = cpu->rdmsr(X86_MSR_ARCH_CAPABILITIES) & GUEST_CAPS;
    }
}

/* By bit; NULL is told elsewhere. */
static const char *const mitigation_words[] = {
    "L1D", "VERW",      "IBRS", "auto-IBRS",   "IBPB",           NULL,
    "RSB", "BHI_DIS_S", "BHB",  "RRSBA_DIS_S", "BP_SPEC_REDUCE",
};
static const char *const open_words[OPEN_FLAWS] = {
    [OPEN_MMIO] = "MMIO", [OPEN_RFDS] = "RFDS", [OPEN_GDS] = "GDS", [OPEN_REPTAR] = "REPTAR",
    [OPEN_ITS] = "ITS",   [OPEN_TSA] = "TSA",   [OPEN_BTC] = "BTC", [OPEN_SRSO] = "SRSO",
};

/* Adds "title: word word" for the bits that are set, after a comma if there is text already. */
static void flaws_list(char *text, size_t size, const char *title, uint32_t bits,
                       const char *const *words, size_t count) {
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(text);
        if ((bits >> i & 1) == 0 || words[i] == NULL) {
            continue;
        }
        if (first) {
            fmt_print(text + n, size - n, "%s%s %s", n != 0 ? ", " : "", title, words[i]);
        } else {
            fmt_print(text + n, size - n, " %s", words[i]);
        }
        first = false;
    }
}

static void flaws_describe(const struct flaws *f, struct boot_info *info) {
    char *text = info->speculation;
    size_t size = sizeof(info->speculation);
    flaws_list(text, size, "on:", f->on, mitigation_words, ARRAY_SIZE(mitigation_words));
    flaws_list(text, size, "lacks:", f->missing, mitigation_words, ARRAY_SIZE(mitigation_words));
    if (text[0] == '\0') {
        fmt_print(text, size, "nothing needed");
    }
    flaws_list(info->open_flaws, sizeof(info->open_flaws), "open:", f->open, open_words,
               ARRAY_SIZE(open_words));
}

bool flaws_decide(struct boot_info *info, const struct preflight_cpu *cpu, bool amd) {
    const uint32_t kept = MITIGATE_IBRS | MITIGATE_BHI_DIS | MITIGATE_RRSBA_DIS;
    struct flaws f;
    flaws_find(cpu, amd, &info->microcode, &f);
    info->speculation[0] = '\0';
    info->open_flaws[0] = '\0';
    if (info->config.mitigate) {
        flaws_describe(&f, info);
    } else {
        fmt_print(info->speculation, sizeof(info->speculation), "off by the config");
        f.on = f.missing = 0;
    }
    info->mitigations = f.on;
    info->arch_capabilities = f.capabilities;
    info->guest_features = f.features | ((f.on & kept) == 0 ? (uint32_t)HVM_SPEC_CTRL_PASSES : 0);
    return f.missing == 0;
}
