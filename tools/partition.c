// SPDX-License-Identifier: GPL-2.0-or-later
/* The map as text. Called by bhcheck.c. */
#include "tools/partition.h"

#include <stdio.h>

#include "hv/lib/fmt.h"
#include "tools/segments.h"

#define CPUS_A_ROW 64u

static char cpu_mark(const struct plan_vm *vm, uint32_t cpu) {
    return cpu_set_has(&vm->config->cpus, cpu) ? '#' : '.';
}

static bool cpu_is_free(const struct plan *plan, uint32_t cpu) {
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        if (cpu_set_has(&plan->vms[i].config->cpus, cpu)) {
            return false;
        }
    }
    return true;
}

/* A column a CPU, tens above ones. */
static void print_cpus(const struct plan *plan, uint32_t first, uint32_t end) {
    printf("\n%-20s ", "CPUs");
    for (uint32_t cpu = first; cpu < end; cpu++) {
        printf("%u", cpu / 10 % 10);
    }
    printf("\n%-20s ", "");
    for (uint32_t cpu = first; cpu < end; cpu++) {
        printf("%u", cpu % 10);
    }
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        printf("\n%-20s ", plan->vms[i].config->name);
        for (uint32_t cpu = first; cpu < end; cpu++) {
            printf("%c", cpu_mark(&plan->vms[i], cpu));
        }
    }
    printf("\n%-20s ", "nobody");
    for (uint32_t cpu = first; cpu < end; cpu++) {
        printf("%c", cpu_is_free(plan, cpu) ? '#' : '.');
    }
    printf("\n");
}

static void print_memory(const struct boot_info *info, const struct plan *plan) {
    static struct segment segments[SEGMENTS_MOST];
    unsigned count = segments_list(info, plan, segments);
    char size[24], name[64];

    printf("\n%-20s %-20s %-10s %s\n", "memory from", "to", "size", "whose");
    for (unsigned i = 0; i < count; i++) {
        const struct segment *s = &segments[i];
        printf("0x%-18llx 0x%-18llx %-10s %s\n", (ull)s->base, (ull)(s->base + s->size - 1),
               fmt_size(size, s->size), segment_name(s, name, sizeof(name)));
    }
}

static void print_pci(const struct plan *plan) {
    bool any = false;

    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        for (uint32_t n = 0; n < vm->pci_count; n++) {
            const struct boot_pci *p = &vm->functions[vm->pcis[n]];
            printf("%s%04x:%02x:%02x.%x         %s\n", any ? "" : "\nPCI device           whose\n",
                   p->segment, p->function >> 8, p->function >> 3 & 31u, p->function & 7u,
                   vm->config->name);
            any = true;
        }
    }
}

void partition_print(const struct boot_info *info, const struct plan *plan) {
    for (uint32_t first = 0; first < info->cpu_count; first += CPUS_A_ROW) {
        uint32_t end = first + CPUS_A_ROW < info->cpu_count ? first + CPUS_A_ROW : info->cpu_count;
        print_cpus(plan, first, end);
    }
    print_memory(info, plan);
    print_pci(plan);
}
