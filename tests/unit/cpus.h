/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs of the fake machine that are coroutines: each runs until it waits or its guest has done an
 * instruction. One that waits goes on only when it was kicked or its timer has fired, so that a
 * kick too few is a test that hangs. The test is the operator, on a CPU of its own. CPUS says how
 * many.
 */
#ifndef TESTS_UNIT_CPUS_H
#define TESTS_UNIT_CPUS_H

#include <ucontext.h>

#include "fake_log.h"
#include "fake_machine.h"
#include "hv/exit/loop.h"

#define OPERATOR CPUS
#define STACK    (256 * KIB)
#define TURN     1000u /* ticks of the host's TSC */
#define SECOND   FAKE_HZ

static struct machine_cpu {
    ucontext_t context;
    uint8_t *stack;
    bool waits;
    uint64_t deadline;
    enum exit_kind exit; /* of each turn of its guest */
    unsigned turns;
    uint64_t guest_tsc; /* as its guest last read it */
} cpus[CPUS];

static ucontext_t test_context;

static uint64_t now_us(void) {
    return 0;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

/* ---- the CPUs ---- */

static void yield(bool waits) {
    struct machine_cpu *c = &cpus[fake_cpu];
    c->waits = waits;
    CHECK(swapcontext(&c->context, &test_context) == 0);
}

static void wait_for_interrupt(void) {
    yield(true);
}

static void timer_set(void) {
    cpus[fake_cpu].deadline = fake_deadline;
}

/* The guest reads its TSC, which never goes back, and has executed what exits. */
static struct exit_record *run(struct vcpu *v) {
    struct exit_record *record = recorder_begin(&v->recorder);
    struct machine_cpu *c = &cpus[fake_cpu];
    uint64_t guest_tsc = fake_tsc + v->tsc_offset;

    (void)fake_enter(v);
    CHECK(guest_tsc >= c->guest_tsc);
    CHECK_U64(fake_regs[HVM_TSC_OFFSET], v->tsc_offset);
    c->guest_tsc = guest_tsc;
    c->turns++;
    yield(false);
    record->exit = (struct vmexit){.kind = c->exit, .insn_len = 1};
    return record;
}

static void advance(UNUSED struct vcpu *v, UNUSED const struct exit_record *record) {
}

static void loop(struct vcpu *v) {
    CHECK(fake_traces_cleared != 0); /* at a start, and after a pause */
    fake_traces_cleared = 0;
    vcpu_loop(v, run, advance, fake_compartment_run);
}

static void step_cpu(unsigned cpu) {
    struct machine_cpu *c = &cpus[cpu];
    bool fired = c->deadline != 0 && fake_tsc >= c->deadline;

    fake_cpu = cpu;
    if (fired) {
        c->deadline = 0;
        hv_timer_expired();
    }
    if (!c->waits || fired || (fake_kicked >> cpu & 1) != 0) {
        fake_kicked &= ~BIT(cpu);
        CHECK(swapcontext(&test_context, &c->context) == 0);
    }
    fake_cpu = OPERATOR;
}

static void steps(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        fake_tsc += TURN;
        step_cpu(i % CPUS);
    }
}

static void cpu_begin(unsigned cpu, void (*main)(void)) {
    struct machine_cpu *c = &cpus[cpu];
    free(c->stack);
    *c = (struct machine_cpu){.stack = malloc(STACK), .exit = EXIT_INTERRUPT};
    CHECK(getcontext(&c->context) == 0);
    c->context.uc_stack.ss_sp = c->stack;
    c->context.uc_stack.ss_size = STACK;
    makecontext(&c->context, main, 0);
}

/* A machine whose CPUs are these, at its first second; its guest's kernel is an empty file. */
static inline void cpus_machine(void) {
    static uint8_t file[64];
    static struct boot_image image;

    image = (struct boot_image){.base = HPA((uintptr_t)file), .size = sizeof(file)};
    log_init(&hooks, LOG_INFO);
    fake_ops.loop = loop;
    fake_tsc = SECOND;
    (void)fake_machine_start();
    fake_wait = wait_for_interrupt;
    fake_interrupt = NULL;
    fake_on_timer_set = timer_set;
    fake_plan.kernel = &image;
}

#endif
