/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another vCPU's compartment may write into an exchange page at any moment. So the core reads each
 * word of it once, and judges and uses what it has read. Here the page is not mapped: each access
 * faults, is counted, and goes on for one instruction.
 */
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fake_machine.h"

#define ERROR_WRITE ((greg_t)BIT(1)) /* of a page fault */
#define STEP        ((greg_t)X86_RFLAGS_TF)

static uint8_t reads[PAGE_SIZE]; /* by the offset at which a read begins */
static unsigned read_count;
static uint8_t *watched; /* NULL = none */

static void page_protect(int access) {
    if (watched != NULL && mprotect(watched, PAGE_SIZE, access) != 0) {
        abort();
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t offset = (uintptr_t)info->si_addr - (uintptr_t)watched;

    if (watched == NULL || offset >= PAGE_SIZE) {
        signal(number, SIG_DFL); /* and once more: a fault of the test */
        return;
    }
    if ((regs[REG_ERR] & ERROR_WRITE) == 0) {
        reads[offset]++;
        read_count++;
    }
    page_protect(PROT_READ | PROT_WRITE);
    regs[REG_EFL] |= STEP;
}

static void on_step(UNUSED int number, UNUSED siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

    page_protect(PROT_NONE);
    regs[REG_EFL] &= ~STEP;
}

static void watch_begin(struct exchange *page) {
    static bool ready;
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

    if (!ready) {
        CHECK(sigaction(SIGSEGV, &fault, NULL) == 0 && sigaction(SIGTRAP, &step, NULL) == 0);
        ready = true;
    }
    memset(reads, 0, sizeof(reads));
    read_count = 0;
    watched = (uint8_t *)page;
    page_protect(PROT_NONE);
}

static void watch_end(void) {
    page_protect(PROT_READ | PROT_WRITE);
    watched = NULL;
}

/* What was read since watch_begin(): something, and nothing twice. */
static void check_reads(const char *what) {
    CHECK(read_count != 0);
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        if (reads[i] > 1) {
            printf("# %s: offset %u was read %u times\n", what, i, reads[i]);
            CHECK_U64(reads[i], 1);
        }
    }
}

/* ---- what it tells ---- */

static struct vcpu_public other_vcpu = {.cpu = 1};
static struct vm_public other = {.vcpus = {&other_vcpu}, .hears = &other};

static void add_channels(struct plan_vm *plan) {
    plan->devices.channel_count = 2;
    plan->bell_cpus[0] = plan->bell_cpus[1] = 1;
    vm_of_cpu[1] = &other;
}

/* All that can be told, and none of it refused. */
static struct vcpu *start(void) {
    fake_plan_more = add_channels;
    struct vcpu *v = fake_machine_start();
    struct exchange *e = v->exchange;

    e->messages = EXCHANGE_MESSAGES;
    e->event = TOLD_SLEEP_REFUSED;
    e->bells = 3;
    e->refused.space = BUS_MEMORY;
    e->apic = (struct exchange_access){.at = 0x80, .size = 4};
    e->vm.put += EXCHANGE_RING;
    for (unsigned r = 0; r < HVM_REG_COUNT; r++) {
        e->state.reg[r] = fake_regs[r];
    }
    e->state.regs_set = BIT32(HVM_RIP) | BIT32(HVM_RSP) | BIT32(HVM_RFLAGS) | BIT32(HVM_CR0) |
                        BIT32(HVM_CR3) | BIT32(HVM_DR7);
    e->state.segments_set = BIT32(HVM_GDT) - 1;
    return v;
}

TEST(what_is_told) {
    static const char *const names[] = {"messages", "INTR", "clocks", "bytes", "state",
                                        "refused",  "apic", "event",  "bells", "stop"};
    const uint32_t no_word = TOLD_INTR | TOLD_CLOCKS;

    for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++) {
        struct vcpu *v = start();
        watch_begin(v->exchange);
        bool sane = told_take(v, BIT32(bit));
        watch_end();
        CHECK(sane);
        read_count += (no_word >> bit & 1) != 0;
        check_reads(names[bit]);
    }
}

TEST(what_it_calls_for) {
    for (uint64_t call = CORE_TELL; call < CORE_CALLS; call++) {
        struct vcpu *v = start();
        fake_plan.control_count = 1;
        vm_of_cpu[fake_plan.control_cpus[0]] = &fake_public;
        v->exchange->argument = 8;
        v->exchange->told = 0;
        watch_begin(v->exchange);
        bool sane = core_call_answer(v, call);
        watch_end();
        CHECK(sane == (call != CORE_PCI));                     /* it has no such device */
        read_count += call == CORE_TELL || call == CORE_STATE; /* one exchanges, one writes */
        check_reads("a call");
    }
}

/* ---- what it answers ---- */

static void (*answer)(struct exchange *e);

/* From here on the core reads. */
static void end_answered(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    watch_end();
    answer(v->exchange);
    watch_begin(v->exchange);
}

static void check_exit(enum exit_kind kind, const char *what) {
    struct vcpu *v = start();
    struct vmexit x = {.kind = kind, .insn_len = 1};

    if (kind == EXIT_IO) {
        x.io = (struct exit_io){.port = 0x3f8, .size = 1, .flags = IO_IN};
    }
    v->exchange->told = 0;
    fake_compartment_end = end_answered;
    (void)exit_table[kind](v, &x);
    watch_end();
    CHECK_U64(v->vm->leave, LEAVE_NONE);
    check_reads(what);
}

static void answer_next(struct exchange *e) {
    e->outcome = EMULATED_NEXT;
    e->exit.insn_len = 3;
    e->regs_set = EMULATED_REGS_ALL;
}

static void answer_one(struct exchange *e) {
    answer_next(e);
    e->regs_set = EMULATED_REGS_ONE + X86_RDX;
}

static void answer_fault(struct exchange *e) {
    e->outcome = EMULATED_FAULT;
    e->fault = (struct emulated_fault){.vector = X86_PF, .error = 2, .address = 0x1234};
}

static void answer_there(struct exchange *e) {
    e->there = 1;
    e->argument = 0x41;
}

TEST(what_it_answers) {
    answer = answer_next;
    check_exit(EXIT_NESTED_FAULT, "an instruction");
    answer = answer_one;
    check_exit(EXIT_NESTED_FAULT, "one register");
    answer = answer_fault;
    check_exit(EXIT_NESTED_FAULT, "an exception");
    answer = answer_there;
    check_exit(EXIT_IO, "a port");
}

TEST_MAIN(T(what_is_told), T(what_it_calls_for), T(what_it_answers))
