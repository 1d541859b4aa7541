/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pre-flight: judges raw facts about a machine and says what it has and lacks for Bulkhead, and
 * for each lack what to do. Pure: whoever calls it (boot/, the unit tests) has gathered the facts.
 */
#ifndef HV_PLAN_PREFLIGHT_H
#define HV_PLAN_PREFLIGHT_H

#include "hv/lib/types.h"

#define PREFLIGHT_MAX_LINES  24
#define PREFLIGHT_FOUND_SIZE 56

/* Words that the CPU gives about itself. One that cannot be read stays unset and counts as 0. */
enum preflight_fact {
    FACT_CPUID_1_ECX,
    FACT_CPUID_EXT1_ECX, /* leaf 80000001h */
    FACT_CPUID_EXT1_EDX,
    FACT_CPUID_EXT7_EDX,  /* leaf 80000007h */
    FACT_FEATURE_CONTROL, /* IA32_FEATURE_CONTROL; from here on MSRs */
    FACT_VMX_PROCESSOR,   /* IA32_VMX_PROCBASED_CTLS */
    FACT_VMX_PROCESSOR_2, /* IA32_VMX_PROCBASED_CTLS2 */
    FACT_VMX_EPT_VPID,
    FACT_VM_CR, /* AMD */
    PREFLIGHT_FACTS
};

struct preflight_facts {
    char vendor[13]; /* both NUL-terminated, from CPUID */
    char brand[49];
    uint64_t words[PREFLIGHT_FACTS];
    uint32_t cpu_count;
    uint64_t memory_total, memory_free; /* bytes of RAM */
};

enum preflight_state { PREFLIGHT_OK, PREFLIGHT_WARN, PREFLIGHT_LACK };

struct preflight_line {
    const char *what;
    char found[PREFLIGHT_FOUND_SIZE];
    enum preflight_state state;
    const char *hint; /* what to do; NULL when the state is PREFLIGHT_OK */
};

struct preflight_report {
    uint32_t count, lacks;
    struct preflight_line lines[PREFLIGHT_MAX_LINES];
};

void preflight_set(struct preflight_facts *facts, enum preflight_fact fact, uint64_t value);

/*
 * Reads the MSR facts through rdmsr(), each only where the facts known so far (the CPUID words must
 * be set) say that this CPU has it: reading one that is not there would be a fault.
 */
void preflight_read_msrs(struct preflight_facts *facts, uint64_t (*rdmsr)(uint32_t msr));

/* Judges; lines are in the order in which an admin should read them. */
void preflight_run(const struct preflight_facts *facts, struct preflight_report *report);

#endif
