/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pre-flight: judges a machine and says what it has and lacks for Bulkhead, and for each lack
 * what to do. Pure: it reaches the machine through what its caller (boot/, the unit tests) gives.
 */
#pragma once

#include "hv/lib/message.h"
#include "hv/plan/boot_info.h"

#define PREFLIGHT_MAX_LINES  40
#define PREFLIGHT_FOUND_SIZE 56

struct preflight_cpu {
    void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t r[4]); /* EAX, EBX, ECX, EDX */
    uint64_t (*rdmsr)(uint32_t msr); /* called only for one that this CPU has */
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

/* Adds a line; found is formatted, and the hint forgotten if all is well. */
void preflight_add(struct preflight_report *report, const char *what, enum preflight_state state,
                   const char *hint, const char *found, ...) PRINTF_LIKE(5, 6);

/* All bytes of that kind. */
uint64_t preflight_memory(const struct boot_info *info, enum mem_kind kind);

/* Judges the CPU, and info's ranges and CPUs; lines are in the order in which an admin should read
 * them. Into *info what is to be done against speculation (flaws_decide()). */
void preflight_run(struct boot_info *info, const struct preflight_cpu *cpu,
                   struct preflight_report *report);
