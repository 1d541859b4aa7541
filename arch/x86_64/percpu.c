/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the hypervisor's heap, each CPU's struct cpu, its stacks with a guard page under every one,
 * GDT and TSS. Must not start CPUs (smp.c does). Called by start.c, and by each CPU for itself.
 * Sources: Intel SDM "Segment Descriptors", "Task Management in 64-bit Mode".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

/* A CPU's stacks, lowest address first: guard, then stack, four times. */
#define STACKS_SIZE ((uint64_t)IST_COUNT * (PAGE_SIZE + IST_STACK_SIZE) + PAGE_SIZE + STACK_SIZE)

/* Names of these two are known to entry.S. */
extern struct cpu *percpu_table[CONFIG_MAX_CPUS];
extern uint32_t percpu_count;
struct cpu *percpu_table[CONFIG_MAX_CPUS];
uint32_t percpu_count;

static struct cpu boot_cpu;
static struct pool heap;
static hpa_t stack_area;

struct pool *arch_heap(void) {
    return &heap;
}

struct cpu *cpu_get(unsigned i) {
    ASSERT(i < percpu_count);
    return percpu_table[i];
}

unsigned plat_cpu(void) {
    unsigned index;
    __asm__("movl %%gs:8, %0" : "=r"(index));
    return index;
}

unsigned plat_cpu_count(void) {
    return percpu_count;
}

bool plat_cpu_online(unsigned i) {
    return i < percpu_count && __atomic_load_n(&percpu_table[i]->online, __ATOMIC_ACQUIRE);
}

static void percpu_register(struct cpu *cpu, unsigned index) {
    cpu->self = cpu;
    cpu->index = index;
    percpu_table[index] = cpu;
}

void percpu_init_boot(void) {
    percpu_register(&boot_cpu, 0);
    percpu_count = 1;
    boot_cpu.stack_base = (uintptr_t)boot_stack_base;
    boot_cpu.stack_top = (uintptr_t)boot_stack_top;
    boot_cpu.online = true;
    msr_write(X86_MSR_GS_BASE, (uintptr_t)&boot_cpu);
}

static void percpu_init_stacks(struct cpu *cpu) {
    uint64_t at = stack_area.v + cpu->index * STACKS_SIZE;
    for (unsigned i = 0; i < IST_COUNT; i++) {
        at += PAGE_SIZE + IST_STACK_SIZE;
        cpu->ist_top[i] = at;
    }
    if (cpu != &boot_cpu) { /* which is on the one inside the image already */
        cpu->stack_base = at + PAGE_SIZE;
        cpu->stack_top = at + PAGE_SIZE + STACK_SIZE;
    }
}

static void percpu_init_descriptors(struct cpu *cpu) {
    uint64_t tss = (uintptr_t)&cpu->tss;
    cpu->gdt_base = (uintptr_t)cpu->gdt;
    cpu->tss_base = tss;
    cpu->gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff; /* 64-bit, ring 0, accessed */
    cpu->gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
    cpu->gdt[SELECTOR_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
                                 (tss >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
    for (unsigned i = 0; i < IST_COUNT; i++) {
        cpu->tss.ist[2 * i] = (uint32_t)cpu->ist_top[i];
        cpu->tss.ist[2 * i + 1] = (uint32_t)(cpu->ist_top[i] >> 32);
    }
    cpu->tss.io_bitmap = sizeof(struct tss);
}

void percpu_init(const struct boot_info *info) {
    pool_init(&heap, "hypervisor heap", info->heap_base, info->heap_size);
    void *area = pool_alloc(&heap, info->cpu_count * STACKS_SIZE, PAGE_SIZE);
    struct cpu *cpus = pool_alloc(&heap, info->cpu_count * sizeof(struct cpu), PAGE_SIZE);
    if (area == NULL || cpus == NULL) {
        plat_panic("the heap of %llu KiB is too small for %u CPUs",
                   (unsigned long long)(info->heap_size / KIB), info->cpu_count);
    }
    stack_area = phys_address(area);
    for (unsigned i = 0; i < info->cpu_count; i++) {
        struct cpu *cpu = i == 0 ? &boot_cpu : &cpus[i];
        percpu_register(cpu, i);
        cpu->apic_id = info->cpus[i].apic_id;
        percpu_init_stacks(cpu);
        percpu_init_descriptors(cpu);
    }
    percpu_count = info->cpu_count;
}

void percpu_load(struct cpu *cpu) {
    struct {
        uint8_t padding[6];
        uint16_t limit;
        uint64_t base;
    } gdtr = {.limit = sizeof(cpu->gdt) - 1, .base = cpu->gdt_base};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %2, %%ss\n\t"
                     "movl %3, %%ds\n\t"
                     "movl %3, %%es\n\t"
                     "movl %3, %%fs\n\t"
                     "movl %3, %%gs\n\t"
                     "lldt %w3\n\t"
                     "ltr %w4"
                     :
                     : "m"(gdtr.limit), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(0),
                       "r"(SELECTOR_TSS)
                     : "rax", "memory");
    msr_write(X86_MSR_GS_BASE, (uintptr_t)cpu);
}

hpa_t percpu_stack_area(uint64_t *size) {
    *size = percpu_count * STACKS_SIZE;
    return stack_area;
}

void percpu_visit_guards(void (*visit)(void *ctx, hpa_t page), void *ctx) {
    visit(ctx, HPA((uintptr_t)boot_stack_guard));
    for (unsigned i = 0; i < percpu_count; i++) {
        uint64_t at = stack_area.v + i * STACKS_SIZE;
        for (unsigned s = 0; s <= IST_COUNT; s++) {
            visit(ctx, HPA(at));
            at += PAGE_SIZE + IST_STACK_SIZE;
        }
    }
}
