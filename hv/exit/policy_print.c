/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the printed form of the policy: what a guest can see, from the tables that decide it, one
 * line an entry. Decides nothing. Called at start, and by the docs build.
 */
#include "hv/exit/exit.h"
#include "hv/exit/policy.h"

#define policy_line(...) log_print(LOG_DEBUG, NULL, __VA_ARGS__)

/* A leaf without subleaves has * for one. */
static char subleaf_digit(uint32_t subleaf) {
    return subleaf == CPUID_NO_SUBLEAF ? '*' : (char)('0' + subleaf);
}

static const char *msr_answer(bool passes, bool emulated) {
    if (passes) {
        return "passes";
    }
    return emulated ? "emulated" : "refused";
}

void policy_print(void) {
    for (const struct cpuid_policy *p = cpuid_policies; p->name != NULL; p++) {
        const uint32_t *pass = p->pass, *set = p->set;
        policy_line("cpuid %08x.%c +%u  pass %08x %08x %08x %08x  set %08x %08x %08x %08x  %s",
                    p->leaf, subleaf_digit(p->subleaf), p->more, pass[0], pass[1], pass[2], pass[3],
                    set[0], set[1], set[2], set[3], p->name);
    }
    for (const struct cpuid_hidden *h = cpuid_hidden; h->names != NULL; h++) {
        static const char *const regs[] = {"eax", "ebx", "ecx", "edx"};
        policy_line("hidden %08x.%c %s %08x  %s: %s", h->leaf, subleaf_digit(h->subleaf),
                    h->bits == UINT32_MAX ? "all" : regs[h->reg], h->bits, h->names, h->why);
    }
    for (const struct msr_policy *p = msr_policies; p < msr_policies + msr_policy_count; p++) {
        const char *read = msr_answer(p->read_passes, p->read != NULL);
        const char *write = msr_answer(p->write_passes, p->write != NULL);
        policy_line("msr %08x-%08x  read %-8s  write %-8s  %s%s", p->msr, p->msr + p->count - 1,
                    read, write, p->name, p->needs != 0 ? " (where the CPU has it)" : "");
    }
}
