/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware task switches on a fake machine in 32-bit protected mode without paging: two tasks, and
 * what the manual says of each way from one to the other and of descriptors that are wrong.
 */
#include "fake_machine.h"

#define GDT       0x1000ull
#define TSS_A     0x2000ull
#define TSS_B     0x3000ull
#define STACK     0x6000u
#define A         0x28 /* selectors */
#define B         0x30
#define CODE      0x08
#define DATA      0x10
#define CODE3     0x1b
#define DATA3     0x23
#define NT        BIT(14)
#define AVAILABLE 0x89u
#define BUSY      0x8bu
#define EIP       8
#define EFLAGS    9
#define EAX       10
#define ESP       14
#define ES        18
#define CS        19
#define SS        20
#define DS        21
#define LDT       24

static struct vcpu *v;

static uint32_t *word(uint64_t tss, unsigned i) {
    return gmem_pointer(&fake_vm->mem, GPA(tss + 4 * i), 4);
}

static uint8_t *type_of(unsigned selector) {
    return gmem_pointer(&fake_vm->mem, GPA(GDT + (selector & ~7u) + 5), 1);
}

static void describe(unsigned selector, uint64_t descriptor) {
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(GDT + (selector & ~7u)), &descriptor, 8), STATUS_OK);
}

static void describe_tss(unsigned selector, uint64_t base, uint64_t type) {
    describe(selector, 0x67 | base << 16 | type << 40);
}

/* Task A runs, task B is available. */
static void start(void) {
    v = fake_machine_start();
    describe(CODE, 0x00cf9a000000ffff);
    describe(DATA, 0x00cf92000000ffff);
    describe(CODE3, 0x00cffb000000ffff);
    describe(DATA3, 0x00cff3000000ffff);
    describe_tss(A, TSS_A, BUSY);
    describe_tss(B, TSS_B, AVAILABLE);
    fake_segs[HVM_GDT] = (struct hvm_segment){.base = GDT, .limit = 0x37};
    fake_segs[HVM_LDT] = (struct hvm_segment){.attr = BIT32(16)};
    fake_segs[HVM_TR] = (struct hvm_segment){TSS_A, 0x67, BUSY, A};
    for (unsigned s = HVM_ES; s <= HVM_GS; s++) {
        fake_segs[s] = s == HVM_CS ? (struct hvm_segment){0, UINT32_MAX, 0xc09b, CODE}
                                   : (struct hvm_segment){0, UINT32_MAX, 0xc093, DATA};
        *word(TSS_B, ES + s) = s == HVM_CS ? CODE : DATA;
    }
    fake_regs[HVM_CR0] = X86_CR0_PE;
    fake_regs[HVM_EFER] = fake_regs[HVM_CR4] = 0;
    fake_regs[HVM_RIP] = 0x100;
    fake_regs[HVM_RSP] = 0x5000;
    fake_regs[HVM_RFLAGS] = 2 | X86_RFLAGS_IF;
    fake_regs[HVM_DR7] = 0x7ff;
    v->regs[X86_RAX] = 0xaaaa;
    *word(TSS_B, EIP) = 0x200;
    *word(TSS_B, EFLAGS) = 2;
    *word(TSS_B, EAX) = 0xbbbb;
    *word(TSS_B, ESP) = STACK;
}

static enum action jump(unsigned source, unsigned selector) {
    struct vmexit x = {.kind = EXIT_TASK_SWITCH,
                       .insn_len = 7,
                       .task = {(uint16_t)selector, (uint8_t)source, {.type = EVENT_NONE}}};
    v->event.type = EVENT_NONE;
    enum action a = fake_exit(v, &x);
    CHECK(a != ACTION_DONE || v->event.type == EVENT_NONE);
    return a;
}

static bool faulted(unsigned vector, uint32_t error) {
    return v->event.type == EVENT_EXCEPTION && v->event.vector == vector && v->event.error == error;
}

TEST(jump_there_and_back) {
    start();
    unsigned ended = fake_shadows_ended;
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK_U64(fake_shadows_ended, ended + 1);
    CHECK_U64(fake_regs[HVM_RIP], 0x200);
    CHECK_U64(fake_regs[HVM_RSP], STACK);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2);
    CHECK_U64(v->regs[X86_RAX], 0xbbbb);
    CHECK(fake_regs[HVM_CR0] & X86_CR0_TS);
    CHECK_U64(fake_regs[HVM_DR7], 0x6aa);
    CHECK(fake_flushed);
    CHECK(*type_of(A) == AVAILABLE && *type_of(B) == BUSY);
    CHECK(fake_segs[HVM_TR].selector == B && fake_segs[HVM_TR].attr == BUSY);
    CHECK_U64(fake_segs[HVM_TR].base, TSS_B);
    CHECK_U64(fake_segs[HVM_CS].limit, UINT32_MAX);
    CHECK_U64(fake_segs[HVM_CS].attr, 0xc09b);
    CHECK(*type_of(CODE) == 0x9b && *type_of(DATA) == 0x93); /* accessed */
    CHECK_U64(*word(TSS_A, EIP), 0x107);
    CHECK_U64(*word(TSS_A, EFLAGS), 2 | X86_RFLAGS_IF);
    CHECK(*word(TSS_A, EAX) == 0xaaaa && *word(TSS_A, ESP) == 0x5000);
    CHECK(*word(TSS_A, CS) == CODE && *word(TSS_A, SS) == DATA);
    CHECK_U64(jump(TASK_JMP, A), ACTION_DONE);
    CHECK(fake_regs[HVM_RIP] == 0x107 && v->regs[X86_RAX] == 0xaaaa);
    CHECK(*type_of(A) == BUSY && *type_of(B) == AVAILABLE);
    CHECK_U64(*word(TSS_B, EIP), 0x207);
}

/* What a task has set is not set once more by what is emulated after it. */
TEST(the_next_instruction_sets_its_own) {
    static const uint8_t compare[] = {0x39, 0x0b}; /* [EBX] with ECX */
    start();
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x200), compare, sizeof(compare)), STATUS_OK);
    v->regs[X86_RBX] = LAPIC_BASE + 0x30;
    fake_regs_set = fake_segs_set = 0;
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(LAPIC_BASE + 0x30)}};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs_set, BIT32(HVM_RFLAGS));
    CHECK_U64(fake_segs_set, 0);
}

/* Each segment is what its own descriptor says, in every part. */
TEST(segments_are_loaded) {
    start();
    fake_segs[HVM_GDT].limit = 0x6f;
    for (unsigned s = HVM_ES; s <= HVM_GS; s++) {
        uint64_t base = 0xfedc0000u - s * 0x1010110u, limit = 0x3abc0u + s * 0x21112u;
        uint64_t type = s == HVM_CS ? 0x9a : 0x92, selector = 0x40 + 8 * s;
        describe((unsigned)selector, (limit & 0xffff) | (base & 0xffffff) << 16 | type << 40 |
                                         limit >> 16 << 48 | 4ull << 52 | base >> 24 << 56);
        *word(TSS_B, ES + s) = (uint32_t)selector;
    }
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    for (unsigned s = HVM_ES; s <= HVM_GS; s++) {
        CHECK_U64(fake_segs[s].base, 0xfedc0000u - s * 0x1010110u);
        CHECK_U64(fake_segs[s].limit, 0x3abc0u + s * 0x21112u);
        CHECK_U64(fake_segs[s].attr, s == HVM_CS ? 0x409b : 0x4093);
        CHECK_U64(fake_segs[s].selector, 0x40 + 8 * s);
    }
}

TEST(call_and_return) {
    start();
    *word(TSS_B, 0) = 0xffff0000;
    CHECK_U64(jump(TASK_CALL, B), ACTION_DONE);
    CHECK_U64(*word(TSS_B, 0), 0xffff0000 | A);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2 | NT);
    CHECK(*type_of(A) == BUSY && *type_of(B) == BUSY);
    CHECK_U64(jump(TASK_IRET, A), ACTION_DONE);
    CHECK(*type_of(A) == BUSY && *type_of(B) == AVAILABLE);
    CHECK_U64(*word(TSS_B, EFLAGS), 2);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2 | X86_RFLAGS_IF);
    CHECK_U64(fake_regs[HVM_RIP], 0x107);
}

/* TF is the new task's: the trap comes behind its first instruction, not behind the switch. */
TEST(trap_flag_of_the_new_task) {
    start();
    *word(TSS_B, EFLAGS) = 2 | X86_RFLAGS_TF;
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2 | X86_RFLAGS_TF);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK_U64(fake_regs[HVM_RIP], 0x200);
    CHECK_U64(*word(TSS_A, EFLAGS), 2 | X86_RFLAGS_IF);
}

TEST(gate_with_error_code) {
    start();
    for (unsigned i = ES; i < LDT; i++) {
        *word(TSS_B, i) = i == CS ? CODE3 : DATA3;
    }
    struct vmexit x = {.kind = EXIT_TASK_SWITCH,
                       .task = {B, TASK_GATE, {EVENT_EXCEPTION, X86_GP, 0, true, 0x1234}}};
    CHECK_U64(fake_exit(v, &x), ACTION_DONE);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK_U64(*word(TSS_A, EIP), 0x100); /* the faulting one */
    CHECK_U64(*word(TSS_A, EFLAGS), 2 | X86_RFLAGS_IF | X86_RFLAGS_RF);
    CHECK_U64(fake_regs[HVM_RSP], STACK - 4);
    CHECK_U64(*word(STACK - 4, 0), 0x1234);
    CHECK_U64(vcpu_cpl(v), 3);
    /* On a stack of 64 KiB it goes round at the end, and the rest of ESP stays as it is. */
    start();
    describe(DATA, 0x008f92000000ffff);
    *word(TSS_B, ESP) = 0x10000;
    CHECK_U64(fake_exit(v, &x), ACTION_DONE);
    CHECK_U64(fake_regs[HVM_RSP], 0x1fffc);
    /* A contributory fault on the way of another is a double fault; an interrupt's is external. */
    start();
    *word(TSS_B, LDT) = DATA;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(faulted(X86_DF, 0));
    start();
    *word(TSS_B, LDT) = DATA;
    x.task.event = (struct event){.type = EVENT_INTERRUPT, .vector = 0x40};
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(faulted(X86_TS, DATA | 1));
}

static const struct {
    unsigned word;
    uint32_t value;
    uint64_t descriptor; /* in place of DATA3 */
    unsigned vector, error;
} wrong[] = {
    {CS, 0, 0, X86_TS, 0},
    {CS, DATA, 0, X86_TS, DATA},
    {CS, CODE3 & ~3u, 0, X86_TS, CODE3 & ~3u},
    {CS, 0x20, 0x00cf1a000000ffff, X86_NP, 0x20},
    {SS, 0, 0, X86_TS, 0},
    {SS, CODE, 0, X86_TS, CODE},
    {SS, DATA3, 0, X86_TS, DATA3 & ~3u},
    {SS, DATA | 3, 0, X86_TS, DATA},
    {SS, 0x20, 0x00cf12000000ffff, X86_SS, 0x20},
    {DS, 0x20, 0x00cf98000000ffff, X86_TS, 0x20}, /* code that may not be read */
    {DS, 0x20, 0x00cf12000000ffff, X86_NP, 0x20},
    {DS, DATA | 3, 0, X86_TS, DATA},
    {LDT, 0x24, 0x00cf82000000ffff, X86_TS, 0x24}, /* in the local table */
    {DS, B, 0, X86_TS, B},
    {LDT, DATA, 0, X86_TS, DATA},
    {LDT, 0x20, 0x00cf02000000ffff, X86_TS, 0x20},
};

TEST(segments_of_a_task) {
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        start();
        *word(TSS_B, wrong[i].word) = wrong[i].value;
        if (wrong[i].descriptor != 0) {
            describe(DATA3, wrong[i].descriptor);
        }
        unsigned ended = fake_shadows_ended;
        fake_segs_set = 0;
        CHECK_U64(jump(TASK_JMP, B), ACTION_RETRY);
        /* CS with SS, or neither. */
        CHECK_U64(fake_segs_set >> HVM_CS & 1, fake_segs_set >> HVM_SS & 1);
        CHECK_U64(fake_shadows_ended, ended + 1); /* with its flags, not the old task's */
        CHECK_U64(v->event.vector, wrong[i].vector);
        CHECK_U64(v->event.error, wrong[i].error);
        CHECK_U64(fake_regs[HVM_RIP], 0x200); /* the new task's own fault */
    }
    start();
    describe(DATA3, 0x0000820045670123);
    *word(TSS_B, LDT) = DATA3 & ~3u;
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK_U64(fake_segs[HVM_LDT].base, 0x4567);
    CHECK_U64(fake_segs[HVM_LDT].limit, 0x123);
    CHECK_U64(fake_segs[HVM_LDT].attr, 0x82);
    start(); /* null selectors do */
    *word(TSS_B, DS) = 0;
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK(fake_segs[HVM_DS].attr & SEG_UNUSABLE);
}

/* The last byte of a descriptor is the one that the table's limit counts. */
TEST(the_last_descriptor_of_the_table) {
    for (uint32_t limit = 0x3e; limit <= 0x3f; limit++) {
        start();
        describe(0x38, 0x00cf92000000ffff);
        fake_segs[HVM_GDT].limit = limit;
        *word(TSS_B, DS) = 0x38;
        CHECK_U64(jump(TASK_JMP, B), limit == 0x3f ? ACTION_DONE : ACTION_RETRY);
        CHECK(limit == 0x3f || faulted(X86_TS, 0x38));
    }
}

/* Nothing is written before all is there; the tables are the supervisor's business. */
TEST(page_faults) {
    start();
    uint32_t table[1024], directory = 0x400003;
    for (uint32_t i = 0; i < 1024; i++) {
        table[i] = i << 12 | 3;
    }
    table[TSS_A >> 12] = 0;
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x400000), table, sizeof(table)), STATUS_OK);
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x401000), &directory, 4), STATUS_OK);
    fake_regs[HVM_CR0] |= X86_CR0_PG;
    fake_regs[HVM_CR3] = 0x401000;
    fake_segs[HVM_SS].attr |= 0x60; /* CPL 3 */
    *word(TSS_B, 7) = 0x401000;
    CHECK_U64(jump(TASK_JMP, B), ACTION_RETRY);
    CHECK(faulted(X86_PF, 2) && fake_regs[HVM_CR2] == TSS_A + 32);
    CHECK(*type_of(A) == BUSY && fake_regs[HVM_RIP] == 0x100);
    *word(0x400000, TSS_A >> 12) = TSS_A | 3;
    *word(TSS_B, 7) = 0x401018;
    CHECK_U64(jump(TASK_JMP, B), ACTION_DONE);
    CHECK_U64(fake_regs[HVM_CR3], 0x401018);
}

/* The error code is pushed by the new task, with its rights. */
TEST(a_stack_of_the_supervisors) {
    struct vmexit x = {.kind = EXIT_TASK_SWITCH,
                       .task = {B, TASK_GATE, {EVENT_EXCEPTION, X86_GP, 0, true, 0x1234}}};
    for (unsigned user = 0; user < 2; user++) {
        start();
        uint32_t table[1024], directory = 0x400007;
        for (uint32_t i = 0; i < 1024; i++) {
            table[i] = i << 12 | 3;
        }
        CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x400000), table, sizeof(table)), STATUS_OK);
        CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x401000), &directory, 4), STATUS_OK);
        fake_regs[HVM_CR0] |= X86_CR0_PG;
        fake_regs[HVM_CR3] = *word(TSS_B, 7) = 0x401000;
        for (unsigned i = ES; user != 0 && i < LDT; i++) {
            *word(TSS_B, i) = i == CS ? CODE3 : DATA3;
        }
        CHECK_U64(fake_exit(v, &x), user == 0 ? ACTION_DONE : ACTION_RETRY);
        CHECK_U64(v->event.type == EVENT_EXCEPTION, user);
        CHECK(user == 0 || fake_regs[HVM_CR2] == STACK - 4);
    }
}

TEST(what_is_not_emulated) {
    start();
    describe_tss(B, TSS_B, 0x81);
    CHECK_U64(jump(TASK_JMP, B), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    start();
    *word(TSS_B, EFLAGS) = 0x20002;
    CHECK_U64(jump(TASK_JMP, B), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    start();
    describe_tss(B, TSS_B + 0xfc0, AVAILABLE); /* over a page's end */
    CHECK_U64(jump(TASK_JMP, B), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK_U64(*type_of(A), BUSY);
}

/* SDM "Exception Conditions Checked During a Task Switch": conforming code runs at any privilege
 * that is not above its own, other code at its own alone. */
TEST(privilege_of_the_code) {
    static const struct {
        uint64_t descriptor;
        unsigned cpl;
        bool good;
    } codes[] = {
        {0x00cf9a000000ffff, 0, true},  {0x00cf9a000000ffff, 3, false},
        {0x00cffa000000ffff, 0, false}, {0x00cffa000000ffff, 3, true},
        {0x00cf9e000000ffff, 0, true},  {0x00cf9e000000ffff, 3, true},
        {0x00cffe000000ffff, 0, false}, {0x00cffe000000ffff, 3, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        start();
        describe(CODE, codes[i].descriptor);
        for (unsigned s = HVM_ES; s <= HVM_GS; s++) {
            *word(TSS_B, ES + s) = codes[i].cpl == 0 ? DATA : DATA3;
        }
        *word(TSS_B, CS) = CODE | codes[i].cpl;
        CHECK_U64(jump(TASK_JMP, B), codes[i].good ? ACTION_DONE : ACTION_RETRY);
        CHECK(codes[i].good || faulted(X86_TS, CODE));
    }
}

TEST_MAIN(T(jump_there_and_back), T(segments_are_loaded), T(the_next_instruction_sets_its_own),
          T(call_and_return), T(trap_flag_of_the_new_task), T(gate_with_error_code),
          T(a_stack_of_the_supervisors), T(segments_of_a_task), T(page_faults),
          T(what_is_not_emulated), T(privilege_of_the_code), T(the_last_descriptor_of_the_table))
