/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CPU model does wrong and a bit of one of its MSRs puts right. Each CPU sets those bits
 * before its first guest.
 */
#pragma once

#include "hv/lib/types.h"

struct erratum {
    const char *name; /* AMD's number, or what it is known by */
    uint32_t first_family, last_family;
    uint32_t first_model, last_model;
    uint32_t unless; /* CPUID 80000021h EAX: a CPU with one of these bits does not need it */
    bool leak;       /* about speculation: not done when the config wants nothing of that kind */
    uint32_t msr;
    uint64_t set, clear; /* bits */
};

struct errata_cpu {
    bool amd;               /* or Hygon */
    bool under_hypervisor;  /* whose business the host's errata are */
    uint32_t signature;     /* CPUID.1:EAX */
    uint32_t more_features; /* CPUID 80000021h EAX */
};

/* Of this CPU: AMD's or Hygon's; one with erratum 383. */
bool errata_is_amd(void);
bool errata_has_multimatch(void);

/* The next row for this CPU after *at, which starts as 0; NULL = no more. */
const struct erratum *errata_next(const struct errata_cpu *cpu, bool mitigate, size_t *at);
