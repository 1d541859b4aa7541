/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's CPUs side by side, before the start: which is a core of what kind, and which lacks
 * what the first one has. Pure: boot/ asks each CPU where it is.
 */
#pragma once

#include "config/preflight.h"

/* Words of features, by maker; of another maker's they are 0. */
enum cpu_word { CPU_SWITCH, CPU_PROCESSOR, CPU_PROCESSOR_2, CPU_EPT, CPU_SVM, CPU_WORDS };

/* Of a hybrid machine's cores. */
enum cpu_kind { CPU_ALIKE, CPU_PERFORMANCE, CPU_EFFICIENCY };

/* What a CPU says of itself. */
struct cpu_facts {
    bool asked; /* else nothing is known of it */
    enum cpu_kind kind;
    uint8_t thread_shift; /* APIC IDs of a core's threads agree above it */
    uint64_t able[CPU_WORDS];
};

/* On the CPU that is asked. */
void cpus_ask(const struct preflight_cpu *cpu, struct cpu_facts *out);

/* Lines for what is worth one; facts[i] is of CPU i of *info. */
void cpus_report(const struct boot_info *info, const struct cpu_facts *facts,
                 struct preflight_report *report);

#define CPUS_TEXT_SIZE 56
/* CPU i as an entry of a table; returns buf, of CPUS_TEXT_SIZE bytes. */
const char *cpus_describe(const struct boot_info *info, const struct cpu_facts *facts, uint32_t i,
                          char *buf);
