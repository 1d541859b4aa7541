/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts outside of long mode: virtual-8086 mode, tasks, alignment checks without end. */
#include "guests/hostile/hostile.h"

#define VM86_PAGE 0x8000

/* Offsets are known to legacy_entry.S. */
struct legacy {
    uint64_t rsp, cr3, cr4, cr0;
    uint8_t old_gdtr[16], old_idtr[16];
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed, aligned(16))) gdtr, idtr;
    uint32_t entry, vector, error, eip, stack, more_cr0, count;
};
_Static_assert(offsetof(struct legacy, entry) == 96 && offsetof(struct legacy, count) == 120,
               "legacy_entry.S");

struct legacy legacy_state;
void legacy_enter(struct legacy *legacy);
extern const uint8_t legacy_task_jump[], legacy_task_call[], legacy_task_to[];
extern const uint8_t legacy_task_nmi[], legacy_task_at_nmi[];
extern const uint8_t legacy_vm86[], legacy_user[], legacy_stubs[32][16], vm86_code[], vm86_end[];

static uint64_t gdt[8] = {0,
                          0x00cf9b000000ffff,
                          0x00af9b000000ffff,
                          0x00cf93000000ffff,
                          0x00cff3000000ffff,
                          0x00cffb000000ffff};
static uint64_t idt[32];
/* The second one is of the task that is switched to; neither may cross a page. */
static uint32_t tss[2][26] __attribute__((aligned(256)));
static uint8_t stacks[2][4096] __attribute__((aligned(16)));

static uint32_t address_of(const void *p) {
    return (uint32_t)(uintptr_t)p;
}

static void gate_set(unsigned vector, uint16_t selector, const void *entry) {
    uint32_t to = address_of(entry);
    idt[vector] =
        (to & 0xffff) | (uint32_t)selector << 16 | 0x8e0000000000 | (uint64_t)(to >> 16) << 48;
}

static void legacy_prepare(const uint8_t *entry) {
    for (unsigned i = 0; i < 32; i++) {
        gate_set(i, 0x08, legacy_stubs[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint64_t base = address_of(tss[i]), size = sizeof(tss[i]);
        tss[i][1] = address_of(stacks[0] + sizeof(stacks[0]));
        tss[i][2] = 0x18;
        tss[i][25] = (uint32_t)size << 16;
        gdt[6 + i] = (size - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    }
    legacy_state.gdtr.limit = sizeof(gdt) - 1;
    legacy_state.gdtr.base = address_of(gdt);
    legacy_state.idtr.limit = sizeof(idt) - 1;
    legacy_state.idtr.base = address_of(idt);
    legacy_state.stack = address_of(stacks[1] + sizeof(stacks[1]));
    legacy_state.entry = address_of(entry);
    legacy_state.more_cr0 = 0;
}

/* CPUID twice, by an exit each; HLT is for CPL 0 only. */
const char *act_vm86(void) {
    uint8_t *to = (uint8_t *)(uintptr_t)VM86_PAGE;
    for (long i = 0; i < vm86_end - vm86_code; i++) {
        to[i] = vm86_code[i];
    }
    legacy_prepare(legacy_vm86);
    legacy_enter(&legacy_state);
    trap_last.vector = legacy_state.vector;
    trap_last.error = legacy_state.error;
    return saw(legacy_state.eip == 5 && text_equal(saw_trap(), "#GP(0)"), "#GP(0) at the HLT");
}

/* Double words of a task state segment. */
enum {
    TSS_EIP = 8,
    TSS_EFLAGS = 9,
    TSS_EAX = 10,
    TSS_ESP = 14,
    TSS_ES = 18,
    TSS_CS = 19,
    TSS_LDT = 24
};

static void tasks_prepare(const uint8_t *entry, const uint8_t *other) {
    legacy_prepare(entry);
    tss[1][TSS_EIP] = address_of(other);
    tss[1][TSS_EFLAGS] = 2;
    tss[1][TSS_ESP] = address_of(stacks[0] + sizeof(stacks[0]));
    for (unsigned i = TSS_ES; i < TSS_LDT; i++) {
        tss[1][i] = i == TSS_CS ? 0x08 : 0x18;
    }
}

/* The other task counts its EAX up and goes back the way it came; where all registers are again
 * what they were, the first one ends in a breakpoint. */
static const char *task_switch(const uint8_t *entry) {
    tasks_prepare(entry, legacy_task_to);
    tss[1][TSS_EAX] = 41;
    legacy_enter(&legacy_state);
    return saw(legacy_state.vector == 3 && tss[1][TSS_EAX] == 42 && (gdt[7] >> 40 & 0xff) == 0x89 &&
                   (gdt[6] >> 40 & 0xff) == 0x8b,
               "done");
}

const char *act_task_jump(void) {
    return task_switch(legacy_task_jump);
}

const char *act_task_call(void) {
    const char *result = task_switch(legacy_task_call);
    return (uint16_t)tss[1][0] == 0x30 ? result : "no link to the first task";
}

/*
 * The second NMI waits for the IRET of the first one's task. Whatever the hypervisor does to see
 * that end, neither task is left with a trap flag, and no trap comes.
 */
const char *act_task_nmi(void) {
    const uint64_t gate = 0x85ull << 40 | 0x38 << 16; /* a task gate, to the second task */
    tasks_prepare(legacy_task_nmi, legacy_task_at_nmi);
    tss[1][TSS_EAX] = 0;
    idt[2] = gate;
    legacy_state.count = address_of(&tss[1][TSS_EAX]);
    legacy_enter(&legacy_state);
    if (((tss[0][TSS_EFLAGS] | tss[1][TSS_EFLAGS]) & 0x100) != 0) {
        return "a trap flag";
    }
    trap_last.vector = legacy_state.vector;
    return legacy_state.vector == 3 ? saw_number(tss[1][TSS_EAX], "taken") : saw_trap();
}

/*
 * The handler runs at CPL 3 on the same stack, which is not aligned: the delivery of each #AC is
 * the cause of the next. SDM vol. 3 "Alignment Check Exception (#AC)"; CVE-2015-5307.
 */
const char *act_hang_alignment(void) {
    legacy_prepare(legacy_user);
    gate_set(17, 0x2b, legacy_stubs[17]);
    legacy_state.more_cr0 = 0x40000; /* AM */
    legacy_enter(&legacy_state);
    return "came back";
}
