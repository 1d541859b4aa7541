/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core lets a guest see of others, and ask of them: by its plan, whatever its compartment
 * says.
 */
#include "fake_log.h"
#include "fake_machine.h"
#include "hv/vm/control_call.h"

static struct vm_public others[2];
static struct vcpu_public theirs[2];

static uint64_t now_us(void) {
    return 0;
}
static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static void plan_more(struct plan_vm *plan) {
    plan->control_count = 2;
    plan->control_cpus[0] = 7;
    plan->control_cpus[1] = 5;
}

static struct vcpu *begin(bool may) {
    fake_plan_more = may ? plan_more : NULL;
    fake_tsc = 100 * FAKE_HZ;
    log_init(&hooks, LOG_INFO);
    told[0] = '\0';
    for (unsigned i = 0; i < 2; i++) {
        theirs[i] = (struct vcpu_public){.cpu = i == 0 ? 7 : 5, .waited = FAKE_HZ / 2};
        others[i] = (struct vm_public){.state = VM_RUNNING,
                                       .memory = (i + 1) * MIB,
                                       .vcpu_count = 1,
                                       .started_tsc = 40 * FAKE_HZ,
                                       .crash_count = 3,
                                       .over = {4, 5, 6},
                                       .vcpus = {&theirs[i]}};
        strcpy(others[i].name, i == 0 ? "first" : "second");
        vm_of_cpu[theirs[i].cpu] = &others[i];
    }
    theirs[1].exits[EXIT_HLT] = 10;
    theirs[1].exits[EXIT_KINDS - 1] = 1;
    theirs[1].refused[0] = 2;
    theirs[1].refused[REFUSED_KINDS - 1] = 20;
    struct vcpu *v = fake_machine_start();
    v->vm->leave = LEAVE_NONE;
    return v;
}

static bool ask(struct vcpu *v, uint32_t call, uint32_t guest, uint32_t order) {
    memset(&v->exchange->control, 0xff, sizeof(v->exchange->control));
    v->exchange->control.call = call;
    v->exchange->control.guest = guest;
    v->exchange->control.order = order;
    return core_call_answer(v, CORE_CONTROL);
}

TEST(a_look_tells_what_is_public) {
    struct vcpu *v = begin(true);
    const struct exchange_control *c = &v->exchange->control;

    CHECK(ask(v, CONTROL_CALL_LOOK, 1, 0));
    CHECK_U64(c->done, 1);
    CHECK_STR(c->name, "second");
    CHECK_STR(c->state, "running");
    CHECK_U64(c->vcpus, 1);
    CHECK_U64(c->memory, 2 * MIB);
    CHECK_U64(c->up_ms, 60000);
    CHECK_U64(c->idle_ms, 500);
    CHECK_U64(c->exits, 11);
    CHECK_U64(c->denied, 22);
    CHECK_U64(c->crashes, 3);
    CHECK_U64(c->over_exits, 4);
    CHECK_U64(c->over_console, 5);
    CHECK_U64(c->withheld, 6);
    theirs[1].waits_since = 97 * FAKE_HZ; /* and it does still */
    CHECK(ask(v, CONTROL_CALL_LOOK, 1, 0));
    CHECK_U64(c->idle_ms, 3500);
    others[0].state = VM_STOPPED;
    CHECK(ask(v, CONTROL_CALL_LOOK, 0, 0));
    CHECK_STR(c->name, "first");
    CHECK_STR(c->state, "stopped");
    CHECK_U64(c->up_ms, 0);
    CHECK_U64(theirs[0].requests | theirs[1].requests, 0);
}

/* Beyond those of the plan there is nobody, whatever the compartment asks. */
TEST(there_are_no_others) {
    struct vcpu *v = begin(true);

    for (uint32_t call = 0; call < CONTROL_CALLS; call++) {
        CHECK(ask(v, call, 2, CONTROL_KILL));
        CHECK_U64(v->exchange->control.done, 0);
        CHECK_U64(v->exchange->control.memory, 0);
        CHECK(ask(v, call, UINT32_MAX, CONTROL_KILL));
        CHECK_U64(v->exchange->control.done, 0);
    }
    CHECK_U64(others[0].orders | others[1].orders, 0);
}

TEST(an_order_is_the_operators) {
    /* The queue of each, the first in the lowest bits. */
    static const uint64_t orders[CONTROL_ORDERS] = {
        VM_COMMAND_START,  VM_COMMAND_STOP, VM_COMMAND_STOP | VM_COMMAND_START << ORDER_BITS,
        VM_COMMAND_RESET,  VM_COMMAND_KILL, VM_COMMAND_PAUSE,
        VM_COMMAND_RESUME,
    };
    struct vcpu *v = begin(true);

    for (uint32_t order = 0; order < CONTROL_ORDERS; order++) {
        others[1].orders = 0;
        theirs[1].requests = 0;
        CHECK(ask(v, CONTROL_CALL_ORDER, 1, order));
        CHECK_U64(v->exchange->control.done, 1);
        CHECK_U64(others[1].orders, orders[order]);
        CHECK_U64(theirs[1].requests, REQUEST_ORDER);
    }
    CHECK_U64(others[0].orders, 0);
    others[1].orders = UINT64_MAX; /* the queue is full */
    CHECK(ask(v, CONTROL_CALL_ORDER, 1, CONTROL_PAUSE));
    CHECK_U64(v->exchange->control.done, CONTROL_TOO_MUCH);
    CHECK_U64(others[1].orders, UINT64_MAX);
    others[1].orders = UINT64_MAX >> ORDER_BITS; /* room for half of a restart */
    CHECK(ask(v, CONTROL_CALL_ORDER, 1, CONTROL_RESTART));
    CHECK_U64(v->exchange->control.done, CONTROL_TOO_MUCH);
    CHECK_U64(others[1].orders, UINT64_MAX >> ORDER_BITS);
}

/* As at the prompt. */
TEST(who_hears_nothing_is_refused) {
    struct vcpu *v = begin(true);

    for (uint32_t order = 0; order < CONTROL_ORDERS; order++) {
        theirs[1].presence = VCPU_OUT;
        CHECK(ask(v, CONTROL_CALL_ORDER, 1, order));
        CHECK_U64(v->exchange->control.done, CONTROL_NO_CPU);
        CHECK_U64(others[1].orders, 0);
    }
    CHECK(ask(v, CONTROL_CALL_LOOK, 1, 0));
    CHECK_U64(v->exchange->control.done, CONTROL_DONE);
    theirs[1].presence = VCPU_HERE;
    others[1].state = VM_CRASHED;
    CHECK(ask(v, CONTROL_CALL_ORDER, 1, CONTROL_RESTART));
    CHECK_U64(v->exchange->control.done, CONTROL_OFF);
    CHECK_U64(others[1].orders, 0);
    CHECK(ask(v, CONTROL_CALL_ORDER, 1, CONTROL_START));
    CHECK_U64(v->exchange->control.done, CONTROL_DONE);
}

static void refused(uint32_t call, uint32_t order, bool may) {
    struct vcpu *v = begin(may);

    CHECK(!ask(v, call, 0, order));
    CHECK(v->vm->leave != LEAVE_NONE);
    CHECK_U64(others[0].orders, 0);
}

TEST(nonsense_ends_the_vm_and_so_does_who_may_not) {
    refused(CONTROL_CALLS, 0, true);
    refused(CONTROL_CALL_LOOK, CONTROL_ORDERS, true);
    refused(UINT32_MAX, UINT32_MAX, true);
    refused(CONTROL_CALL_LOOK, 0, false);
    refused(CONTROL_CALL_ORDER, CONTROL_KILL, false);
}

TEST_MAIN(T(a_look_tells_what_is_public), T(there_are_no_others), T(an_order_is_the_operators),
          T(who_hears_nothing_is_refused), T(nonsense_ends_the_vm_and_so_does_who_may_not))
