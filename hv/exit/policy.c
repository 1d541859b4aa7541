/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the printed form of the policy, one line an entry. Decides nothing. Called at start, and by
 * the docs build.
 */
#include "hv/exit/policy.h"

#include "hv/exit/cpuid.h"
#include "hv/exit/msr.h"
#include "hv/lib/fmt.h"
#include "hv/vm/vm.h"

#define LINE_SIZE 160

/* A leaf without subleaves has * for one. */
static void policy_print_cpuid(void (*line)(const char *text)) {
    for (const struct cpuid_policy *p = cpuid_policies; p->name != NULL; p++) {
        char text[LINE_SIZE];
        const uint32_t *pass = p->pass, *set = p->set;
        char subleaf = p->subleaf == CPUID_NO_SUBLEAF ? '*' : (char)('0' + p->subleaf);
        (void)fmt_print(text, sizeof(text),
                        "cpuid %08x.%c +%u  pass %08x %08x %08x %08x  set %08x %08x %08x %08x  %s",
                        p->leaf, subleaf, p->more, pass[0], pass[1], pass[2], pass[3], set[0],
                        set[1], set[2], set[3], p->name);
        line(text);
    }
}

static void policy_print_msrs(void (*line)(const char *text)) {
    for (const struct msr_policy *p = msr_policies; p < msr_policies + msr_policy_count; p++) {
        char text[LINE_SIZE];
        const char *read = p->read_passes ? "passes" : p->read != NULL ? "emulated" : "refused";
        const char *write = p->write_passes ? "passes" : p->write != NULL ? "emulated" : "refused";
        (void)fmt_print(text, sizeof(text), "msr %08x-%08x  read %-8s  write %-8s  %s%s", p->msr,
                        p->msr + p->count - 1, read, write, p->name,
                        p->needs != 0 ? " (where the CPU has it)" : "");
        line(text);
    }
}

static void policy_print_bus(void (*line)(const char *text), const char *what,
                             const struct bus_entry *e) {
    for (; e->size != 0; e++) {
        char text[LINE_SIZE];
        (void)fmt_print(text, sizeof(text), "%s %llx-%llx  %s", what, (ull)e->base,
                        (ull)(e->base + e->size - 1), e->name);
        line(text);
    }
}

void policy_print(void (*line)(const char *text)) {
    policy_print_cpuid(line);
    policy_print_msrs(line);
    policy_print_bus(line, "port", vm_ports);
    policy_print_bus(line, "page", vm_pages);
}
