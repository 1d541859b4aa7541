/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the hypervisor's heap, each CPU's struct cpu, its stacks with a guard page under every one,
 * GDT and TSS. Must not start CPUs (smp.c does). Called by start.c, and by each CPU for itself.
 * Sources: Intel SDM "Segment Descriptors", "Task Management in 64-bit Mode".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

/* Lowest address first: guard, then stack; STACK_COUNT of these for each CPU. */
#define STACK_STRIDE (PAGE_SIZE + STACK_SIZE)

/* What the first CPU is until percpu_init(). */
static struct cpu boot_cpu;
static SEALED struct cpu *percpu_table[CONFIG_MAX_CPUS] = {&boot_cpu};
static SEALED unsigned percpu_count = 1;
SEALED struct pool arch_heap;
static SEALED uint64_t stack_area;

struct cpu *cpu_get(unsigned i) {
    ASSERT(i < percpu_count);
    return percpu_table[i];
}

unsigned plat_cpu(void) {
    return cpu_current()->index;
}

unsigned plat_cpu_count(void) {
    return percpu_count;
}

bool plat_cpu_online(unsigned i) {
    return i < percpu_count && __atomic_load_n(&percpu_table[i]->online, __ATOMIC_ACQUIRE);
}

bool percpu_used_stack(uint64_t rsp, uint64_t *from, uint64_t *to) {
    const struct cpu *cpu = cpu_current();

    for (unsigned s = 0; s < STACK_COUNT; s++) {
        uint64_t top = cpu->stack_top[s];

        if (top != 0 && rsp < top && rsp >= top - STACK_STRIDE) {
            *from = ALIGN_UP(max_u64(rsp, top - STACK_SIZE), sizeof(uint64_t));
            *to = top;
            return true;
        }
    }
    return false;
}

static void percpu_init_cpu(struct cpu *cpu, unsigned index, uint32_t apic_id) {
    uint64_t tss = (uintptr_t)&cpu->tss;
    percpu_table[index] = cpu;
    cpu->index = index;
    cpu->apic_id = apic_id;
    for (unsigned s = 0; s < STACK_COUNT; s++) {
        if (cpu->stack_top[s] == 0) { /* the first CPU is on the one inside the image already */
            cpu->stack_top[s] = stack_area + (index * STACK_COUNT + s + 1) * STACK_STRIDE;
        }
        cpu->tss.ist[s] = s != STACK_MAIN ? cpu->stack_top[s] : 0;
    }
    cpu->tss.io_bitmap = sizeof(struct tss);
    cpu->gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff; /* 64-bit, ring 0, accessed */
    cpu->gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
    cpu->gdt[SELECTOR_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
                                 (tss >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
}

void percpu_init(const struct boot_info *info) {
    boot_cpu.stack_top[STACK_MAIN] = (uintptr_t)boot_stack_top;
    boot_cpu.online = true;
    pool_init(&arch_heap, "hypervisor heap", info->heap_base, info->heap_size);
    void *area = pool_alloc(&arch_heap, info->cpu_count * STACK_COUNT * STACK_STRIDE);
    struct cpu *cpus = pool_alloc(&arch_heap, info->cpu_count * sizeof(struct cpu));
    if (area == NULL || cpus == NULL) {
        plat_panic("the heap of %llu KiB is too small for %u CPUs" MSG(5117),
                   (ull)(info->heap_size / KIB), info->cpu_count);
    }
    stack_area = phys_address(area).v;
    for (unsigned i = 0; i < info->cpu_count; i++) {
        percpu_init_cpu(i == 0 ? &boot_cpu : &cpus[i], i, info->apic_ids[i]);
    }
    percpu_count = info->cpu_count;
}

void percpu_name(struct cpu *cpu) {
    struct table_pointer gdtr = {sizeof(cpu->gdt) - 1, (uintptr_t)cpu->gdt};
    __asm__ volatile("lgdt %0" : : "m"(gdtr) : "memory");
}

void percpu_load(struct cpu *cpu) {
    percpu_name(cpu);
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %1, %%ss\n\t"
                     "movl %2, %%ds\n\t"
                     "movl %2, %%es\n\t"
                     "movl %2, %%fs\n\t"
                     "movl %2, %%gs\n\t"
                     "lldt %w2\n\t"
                     "ltr %w3"
                     :
                     : "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(0), "r"(SELECTOR_TSS)
                     : "rax", "memory");
}
