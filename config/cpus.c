/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What single CPUs have, and how they differ. Must not touch hardware but through struct
 * preflight_cpu. Sources: Intel SDM vol. 2 "CPUID", vol. 3 appendix "VMX Capability Reporting
 * Facility"; AMD APM vol. 2 "Enabling SVM", vol. 3 "Extended CPU Topology".
 */
#include "config/cpus.h"

#include "hv/lib/fmt.h"
#include "hv/lib/x86.h"

#define CPUID_1_ECX_VMX    BIT32(5)
#define CPUID_EXT1_ECX_SVM BIT32(2)
#define CPUID_7_EDX_HYBRID BIT32(15)
#define LEAF_TOPOLOGY      0xbu
#define LEAF_KIND          0x1au
#define KIND_SHIFT         24
#define KIND_ATOM          0x20u
#define KIND_CORE          0x40u
#define LEAF_EXTENDED      0x80000000u
#define LEAF_AMD_CORES     0x80000026u
#define AMD_CORES_DIFFER   BIT32(30) /* EAX */
#define AMD_KIND_SHIFT     28        /* EBX */
#define AMD_KIND_LARGE     0u
#define AMD_KIND_DENSE     1u

#define MSR_VMX_PROCESSOR   0x482u
#define MSR_VMX_PROCESSOR_2 0x48bu
#define MSR_VMX_EPT_VPID    0x48cu
#define MSR_VM_CR           0xc0010114u
#define VM_CR_SVM_OFF       (BIT(3) | BIT(4)) /* disabled, and locked so */
#define CONTROL_LOCKED      BIT(0)
#define CONTROL_VMX         BIT(2)
#define ABLE                BIT(0) /* of CPU_SWITCH: there, and not locked off */

/* What Bulkhead uses of each word: a CPU that lacks anything else will do. Of the capability MSRs
 * the upper half says what may be set. */
static const uint64_t used[CPU_WORDS] = {
    [CPU_SWITCH] = ABLE,
    [CPU_PROCESSOR] = BIT(32 + 21) | BIT(32 + 25) | BIT(32 + 28) | BIT(32 + 31),
    [CPU_PROCESSOR_2] = BITS(32 + 0, 32 + 1) | BITS(32 + 3, 32 + 9) | BIT(32 + 12) | BIT(32 + 30),
    [CPU_EPT] = BIT(6) | BIT(14) | BITS(16, 17) | BIT(20) | BIT(26),
    [CPU_SVM] = BIT(0) | BIT(3) | BITS(5, 7) | BIT(29),
};

static const char *const word_names[CPU_WORDS] = {
    [CPU_SWITCH] = "virtualization",        [CPU_PROCESSOR] = "controls of VT-x",
    [CPU_PROCESSOR_2] = "controls of VT-x", [CPU_EPT] = "kinds of EPT",
    [CPU_SVM] = "features of AMD-V",
};

static void ask_vmx(const struct preflight_cpu *cpu, uint64_t able[CPU_WORDS]) {
    uint64_t control = cpu->rdmsr(X86_MSR_FEATURE_CONTROL);
    bool off = (control & CONTROL_LOCKED) != 0 && (control & CONTROL_VMX) == 0;

    if (!off) {
        able[CPU_SWITCH] = ABLE;
    }
    able[CPU_PROCESSOR] = cpu->rdmsr(MSR_VMX_PROCESSOR);
    if ((able[CPU_PROCESSOR] & BIT(63)) != 0) {
        able[CPU_PROCESSOR_2] = cpu->rdmsr(MSR_VMX_PROCESSOR_2);
    }
    if ((able[CPU_PROCESSOR_2] & (BIT(33) | BIT(37))) != 0) {
        able[CPU_EPT] = cpu->rdmsr(MSR_VMX_EPT_VPID);
    }
}

static void ask_svm(const struct preflight_cpu *cpu, uint64_t able[CPU_WORDS]) {
    uint32_t leaf[4];

    cpu->cpuid(0x8000000a, 0, leaf);
    able[CPU_SVM] = leaf[3];
    if ((~cpu->rdmsr(MSR_VM_CR) & VM_CR_SVM_OFF) != 0) {
        able[CPU_SWITCH] = ABLE;
    }
}

static enum cpu_kind kind_of_intel(const struct preflight_cpu *cpu) {
    uint32_t leaf[4];

    cpu->cpuid(LEAF_KIND, 0, leaf);
    switch (leaf[0] >> KIND_SHIFT) {
    case KIND_CORE:
        return CPU_PERFORMANCE;
    case KIND_ATOM:
        return CPU_EFFICIENCY;
    default:
        return CPU_ALIKE;
    }
}

static enum cpu_kind kind_of_amd(const struct preflight_cpu *cpu) {
    uint32_t leaf[4];

    cpu->cpuid(LEAF_EXTENDED, 0, leaf);
    if (leaf[0] < LEAF_AMD_CORES) {
        return CPU_ALIKE;
    }
    cpu->cpuid(LEAF_AMD_CORES, 0, leaf);
    uint32_t kind = leaf[1] >> AMD_KIND_SHIFT;
    if ((leaf[0] & AMD_CORES_DIFFER) == 0 || kind > AMD_KIND_DENSE) {
        return CPU_ALIKE;
    }
    return kind == AMD_KIND_LARGE ? CPU_PERFORMANCE : CPU_EFFICIENCY;
}

void cpus_ask(const struct preflight_cpu *cpu, struct cpu_facts *out) {
    uint32_t id[4], leaf1[4], ext1[4], leaf7[4] = {0}, leaf[4];

    *out = (struct cpu_facts){.asked = false};
    cpu->cpuid(0, 0, id);
    cpu->cpuid(1, 0, leaf1);
    cpu->cpuid(0x80000001, 0, ext1);
    if (id[0] >= 7) {
        cpu->cpuid(7, 0, leaf7);
    }
    if (id[0] >= LEAF_TOPOLOGY) {
        cpu->cpuid(LEAF_TOPOLOGY, 0, leaf);
        out->thread_shift = leaf[0] & 31;
    }
    if ((leaf7[3] & CPUID_7_EDX_HYBRID) != 0 && id[0] >= LEAF_KIND) {
        out->kind = kind_of_intel(cpu);
    }
    if ((leaf1[2] & CPUID_1_ECX_VMX) != 0) {
        ask_vmx(cpu, out->able);
    } else if ((ext1[2] & CPUID_EXT1_ECX_SVM) != 0) {
        ask_svm(cpu, out->able);
        out->kind = kind_of_amd(cpu);
    }
    out->asked = true; /* last: it may be cut off */
}

/* What of the first one's it lacks, or NULL. */
static const char *find_lack(const struct cpu_facts *first, const struct cpu_facts *other) {
    for (unsigned w = 0; w < CPU_WORDS; w++) {
        if (other->asked && (first->able[w] & ~other->able[w] & used[w]) != 0) {
            return word_names[w];
        }
    }
    return NULL;
}

static void report_silent(const struct boot_info *info, const struct cpu_facts *facts,
                          struct preflight_report *report) {
    uint32_t silent = 0, which = 0;

    for (uint32_t i = 1; i < info->cpu_count; i++) {
        if (!facts[i].asked) {
            which = silent == 0 ? i : which;
            silent++;
        }
    }
    if (silent != 0 && silent + 1 < info->cpu_count) { /* else this firmware cannot ask */
        preflight_add(
            report, "Silent CPUs", PREFLIGHT_WARN,
            "The firmware lists them, but did not get an answer: they may not start." MSG(2101),
            "%u, the first is CPU %u", silent, which);
    }
}

void cpus_report(const struct boot_info *info, const struct cpu_facts *facts,
                 struct preflight_report *report) {
    uint32_t lacking = 0, which = 0;

    for (uint32_t i = 1; i < info->cpu_count; i++) {
        if (find_lack(&facts[0], &facts[i]) != NULL) {
            which = lacking == 0 ? i : which;
            lacking++;
        }
    }
    if (lacking != 0) {
        preflight_add(
            report, "Unlike CPUs", PREFLIGHT_WARN,
            "A guest that has one of these does not start: give it CPUs like CPU 0." MSG(2102),
            "%u, the first is CPU %u: fewer %s", lacking, which,
            find_lack(&facts[0], &facts[which]));
    }
    report_silent(info, facts, report);
}

const char *cpus_describe(const struct boot_info *info, const struct cpu_facts *facts, uint32_t i,
                          char *buf) {
    const struct cpu_facts *f = &facts[i];
    uint32_t id = info->apic_ids[i];
    static const char *const kinds[] = {
        [CPU_ALIKE] = "", [CPU_PERFORMANCE] = " P", [CPU_EFFICIENCY] = " E"};

    (void)fmt_print(buf, CPUS_TEXT_SIZE, "%3u: APIC %u, core %u, thread %u%s", i, id,
                    id >> facts[0].thread_shift, id & (BIT32(facts[0].thread_shift) - 1),
                    kinds[f->kind]);
    return buf;
}
