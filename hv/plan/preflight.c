/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what Bulkhead needs of a machine. Must not touch hardware. Sources: Intel SDM, "VMX
 * Capability Reporting Facility" and "Architectural MSRs"; AMD APM, "Secure Virtual Machine".
 */
#include "hv/plan/preflight.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define CPUID_1_VMX            BIT(5)
#define CPUID_1_HYPERVISOR     BIT(31)
#define CPUID_EXT1_SVM         BIT(2)
#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMX    BIT(2) /* outside SMX */
#define VM_CR_SVM_DISABLED     BIT(4)
/* VMX capability MSRs of control words have the allowed-1 settings in their upper half. */
#define ALLOWED_1(n)           BIT(32 + (n))
#define MEMORY_LEAST           (32 * MIB) /* less than this runs no guest at all */

#define ABSENT "not in this CPU, or hidden by the firmware"
#define HINT_TOO_OLD                                                                               \
    "This CPU is too old: Bulkhead needs one of Intel's from 2010 (Westmere) or later."
#define HINT_SLOWER                                                                                \
    "Recommended: without it each exit to Bulkhead empties the TLB and guests run slower."
#define HINT_NESTED                                                                                \
    "Another hypervisor runs this machine and does not pass this on: turn on nested "              \
    "virtualization there, or start Bulkhead on the bare machine."

void preflight_set(struct preflight_facts *facts, enum preflight_fact fact, uint64_t value) {
    facts->words[fact] = value;
}

static bool has_any(const struct preflight_facts *facts, enum preflight_fact fact, uint64_t mask) {
    return (facts->words[fact] & mask) != 0;
}

/* In an order in which each gate is read before what it guards. */
static const struct {
    enum preflight_fact fact;
    uint32_t msr;
    enum preflight_fact gate;
    uint64_t gate_mask; /* the MSR is there if any of these is set */
} msr_facts[] = {
    {FACT_FEATURE_CONTROL, 0x3a, FACT_CPUID_1_ECX, CPUID_1_VMX},
    {FACT_VMX_PROCESSOR, 0x482, FACT_CPUID_1_ECX, CPUID_1_VMX},
    {FACT_VMX_PROCESSOR_2, 0x48b, FACT_VMX_PROCESSOR, ALLOWED_1(31)},
    {FACT_VMX_EPT_VPID, 0x48c, FACT_VMX_PROCESSOR_2, ALLOWED_1(1) | ALLOWED_1(5)},
    {FACT_VM_CR, 0xc0010114, FACT_CPUID_EXT1_ECX, CPUID_EXT1_SVM},
};

void preflight_read_msrs(struct preflight_facts *facts, uint64_t (*rdmsr)(uint32_t msr)) {
    for (unsigned i = 0; i < ARRAY_SIZE(msr_facts); i++) {
        if (has_any(facts, msr_facts[i].gate, msr_facts[i].gate_mask)) {
            preflight_set(facts, msr_facts[i].fact, rdmsr(msr_facts[i].msr));
        }
    }
}

static void add_line(struct preflight_report *report, const char *what, enum preflight_state state,
                     const char *hint, const char *found, ...) PRINTF_LIKE(5, 6);

static void add_line(struct preflight_report *report, const char *what, enum preflight_state state,
                     const char *hint, const char *found, ...) {
    ASSERT(report->count < PREFLIGHT_MAX_LINES);
    struct preflight_line *line = &report->lines[report->count++];
    *line = (struct preflight_line){what, "", state, state == PREFLIGHT_OK ? NULL : hint};
    report->lacks += state == PREFLIGHT_LACK;
    va_list args;
    va_start(args, found);
    fmt_vprint(line->found, sizeof(line->found), found, args);
    va_end(args);
}

/* Features that are one or several bits of a word, all of them needed. */
struct feature {
    const char *what;
    enum preflight_fact fact;
    uint64_t mask;
    enum preflight_state without;
    const char *hint;
};

static const struct feature vmx_features[] = {
    {"Secondary controls", FACT_VMX_PROCESSOR, ALLOWED_1(31), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"MSR bitmaps", FACT_VMX_PROCESSOR, ALLOWED_1(28), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"I/O bitmaps", FACT_VMX_PROCESSOR, ALLOWED_1(25), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT (nested paging)", FACT_VMX_PROCESSOR_2, ALLOWED_1(1), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 4 levels, write-back", FACT_VMX_EPT_VPID, BIT(6) | BIT(14), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 2 MiB pages", FACT_VMX_EPT_VPID, BIT(16), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 1 GiB pages", FACT_VMX_EPT_VPID, BIT(17), PREFLIGHT_WARN,
     "Guests use 2 MiB pages instead: a little slower with much memory."},
    {"INVEPT", FACT_VMX_EPT_VPID, BIT(20) | BIT(26), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"Unrestricted guest", FACT_VMX_PROCESSOR_2, ALLOWED_1(7), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"VPID", FACT_VMX_PROCESSOR_2, ALLOWED_1(5), PREFLIGHT_WARN, HINT_SLOWER},
    {"INVVPID", FACT_VMX_EPT_VPID, BIT(32), PREFLIGHT_WARN, HINT_SLOWER},
};

static const struct feature common_features[] = {
    {"64-bit mode", FACT_CPUID_EXT1_EDX, BIT(29), PREFLIGHT_LACK,
     "Bulkhead and its guests need a 64-bit CPU."},
    {"No-execute (NX)", FACT_CPUID_EXT1_EDX, BIT(20), PREFLIGHT_LACK,
     "Enable Execute Disable Bit (XD, NX) in the firmware setup, usually under CPU or Security."},
    {"Invariant TSC", FACT_CPUID_EXT7_EDX, BIT(8), PREFLIGHT_WARN,
     "The guests' clocks may run unevenly while the CPU saves power; there is nothing to set."},
};

static void add_features(const struct preflight_facts *facts, const struct feature *features,
                         size_t count, const char *nested_hint, struct preflight_report *report) {
    for (size_t i = 0; i < count; i++) {
        const struct feature *f = &features[i];
        bool there = (facts->words[f->fact] & f->mask) == f->mask;
        const char *hint =
            f->without == PREFLIGHT_LACK && nested_hint != NULL ? nested_hint : f->hint;
        add_line(report, f->what, there ? PREFLIGHT_OK : f->without, hint, there ? "yes" : "no");
    }
}

static void add_amd(const struct preflight_facts *facts, struct preflight_report *report) {
    bool svm = has_any(facts, FACT_CPUID_EXT1_ECX, CPUID_EXT1_SVM);
    bool off = has_any(facts, FACT_VM_CR, VM_CR_SVM_DISABLED);
    add_line(report, "AMD-V (SVM)", PREFLIGHT_LACK,
             "AMD-V is not supported yet: this release runs on Intel CPUs with VT-x only.", "%s",
             !svm  ? ABSENT
             : off ? "present, switched off by the firmware"
                   : "present");
}

static void add_vmx(const struct preflight_facts *facts, struct preflight_report *report) {
    static const char *const enable =
        "Enable Intel Virtualization Technology (VT-x, VMX) in the firmware setup, usually under "
        "CPU or Advanced, then power off and on.";
    const char *nested = has_any(facts, FACT_CPUID_1_ECX, CPUID_1_HYPERVISOR) ? HINT_NESTED : NULL;
    const char *hint = nested != NULL ? nested : enable;
    const char *found = ABSENT;
    enum preflight_state state = PREFLIGHT_LACK;
    bool vmx = has_any(facts, FACT_CPUID_1_ECX, CPUID_1_VMX);
    if (vmx && !has_any(facts, FACT_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED)) {
        found = "present, left open by the firmware";
        state = PREFLIGHT_OK;
    } else if (vmx && has_any(facts, FACT_FEATURE_CONTROL, FEATURE_CONTROL_VMX)) {
        found = "present, enabled by the firmware";
        state = PREFLIGHT_OK;
    } else if (vmx) {
        found = "present, locked off by the firmware";
    }
    add_line(report, "VT-x (VMX)", state, hint, "%s", found);
    if (vmx) { /* without VMX the other words do not exist: one cause, one lack */
        add_features(facts, vmx_features, ARRAY_SIZE(vmx_features), nested, report);
    }
}

static void add_machine(const struct preflight_facts *facts, struct preflight_report *report) {
    char total[24], free[24];
    bool enough = facts->memory_free >= MEMORY_LEAST;
    add_line(report, "Memory", enough ? PREFLIGHT_OK : PREFLIGHT_LACK,
             "Too little memory is free for any guest: add memory.", "%s, %s free for guests",
             fmt_size(total, ALIGN_DOWN(facts->memory_total, MIB)),
             fmt_size(free, ALIGN_DOWN(facts->memory_free, MIB)));
    add_line(report, "CPUs", facts->cpu_count > 0 ? PREFLIGHT_OK : PREFLIGHT_LACK,
             "The firmware names no usable CPU: reset its setup to defaults.", "%u",
             facts->cpu_count);
}

void preflight_run(const struct preflight_facts *facts, struct preflight_report *report) {
    *report = (struct preflight_report){0};
    const char *brand = facts->brand;
    while (*brand == ' ') {
        brand++;
    }
    add_line(report, "CPU", PREFLIGHT_OK, NULL, "%s", *brand != '\0' ? brand : facts->vendor);
    add_line(report, "Vendor", PREFLIGHT_OK, NULL, "%s", facts->vendor);
    if (str_equal(facts->vendor, "AuthenticAMD") || str_equal(facts->vendor, "HygonGenuine")) {
        add_amd(facts, report);
    } else {
        add_vmx(facts, report);
    }
    add_features(facts, common_features, ARRAY_SIZE(common_features), NULL, report);
    add_machine(facts, report);
}
