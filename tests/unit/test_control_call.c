/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core lets a guest see of others, and ask of them: by its plan, whatever its compartment
 * says.
 */
#include "fake_log.h"
#include "fake_machine.h"
#include "hv/vm/control_call.h"
#include "hv/vm/snapshot.h"

static struct vm_public others[2];
static struct vcpu_public theirs[2];

static uint64_t now_us(void) {
    return 12345678;
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
    v->exchange->control.size = 0;
    return core_call_answer(v, CORE_CONTROL);
}

TEST(a_look_tells_what_is_public) {
    struct vcpu *v = begin(true);
    const struct exchange_control *c = &v->exchange->control;

    CHECK(ask(v, CONTROL_CALL_LOOK, 1, 0));
    CHECK_U64(c->done, 1);
    CHECK_STR(c->name, "second");
    CHECK_STR(c->state, "running");
    CHECK_U64(c->look.vcpus, 1);
    CHECK_U64(c->look.memory, 2 * MIB);
    CHECK_U64(c->look.up_ms, 60000);
    CHECK_U64(c->look.idle_ms, 500);
    CHECK_U64(c->look.exits, 11);
    CHECK_U64(c->look.denied, 22);
    CHECK_U64(c->look.crashes, 3);
    CHECK_U64(c->look.over_exits, 4);
    CHECK_U64(c->look.over_console, 5);
    CHECK_U64(c->look.withheld, 6);
    theirs[1].waits_since = 97 * FAKE_HZ; /* and it does still */
    CHECK(ask(v, CONTROL_CALL_LOOK, 1, 0));
    CHECK_U64(c->look.idle_ms, 3500);
    others[0].state = VM_STOPPED;
    CHECK(ask(v, CONTROL_CALL_LOOK, 0, 0));
    CHECK_STR(c->name, "first");
    CHECK_STR(c->state, "stopped");
    CHECK_U64(c->look.up_ms, 0);
    CHECK_U64(theirs[0].requests | theirs[1].requests, 0);
}

/* Beyond those of the plan there is nobody, whatever the compartment asks. */
TEST(there_are_no_others) {
    struct vcpu *v = begin(true);

    for (uint32_t call = 0; call < CONTROL_CALLS; call++) {
        CHECK(ask(v, call, 2, CONTROL_KILL));
        CHECK_U64(v->exchange->control.done, CONTROL_NO_GUEST);
        CHECK_U64(v->exchange->control.look.memory, 0);
        CHECK_STR(v->exchange->control.name, "");
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

static bool ask_at(struct vcpu *v, uint32_t call, uint64_t at) {
    struct exchange_control *c = &v->exchange->control;

    memset(c, 0xff, sizeof(*c));
    *c = (struct exchange_control){.call = call, .guest = 1, .at = at};
    return core_call_answer(v, CORE_CONTROL) && c->done == CONTROL_DONE;
}

static void expect_event(struct vcpu *v, uint64_t at, uint64_t number, const char *why) {
    const struct exchange_control *c = &v->exchange->control;

    CHECK(ask_at(v, CONTROL_CALL_EVENT, at));
    CHECK_U64(c->at, number);
    CHECK_U64(c->end, others[1].events.count);
    CHECK_U64(c->size, why[0] != '\0');
    CHECK_STR(c->event.why, why);
    CHECK_STR(c->name, "second");
}

/* Late readers see by the number that they have missed some. */
TEST(events_are_read_by_their_numbers) {
    struct vcpu *v = begin(true);
    const struct exchange_control *c = &v->exchange->control;
    char why[16];

    expect_event(v, CONTROL_AT_FIRST, 0, "");
    vm_note(&others[1], EVENT_CRASH, "first of all");
    others[1].state = VM_CRASHED;
    vm_note(&others[1], EVENT_FORCE, "why");
    expect_event(v, CONTROL_AT_FIRST, 0, "first of all");
    CHECK_U64(c->event.cause, EVENT_CRASH);
    CHECK_STR(c->state, "running"); /* it was then */
    CHECK_U64(c->event.us, 12345678);
    CHECK_U64(c->event.unix_seconds, plat_wall_seconds());
    expect_event(v, 1, 1, "why");
    CHECK_STR(c->state, "crashed");
    CHECK_U64(c->event.cause, EVENT_FORCE);
    expect_event(v, 2, 2, "");
    expect_event(v, UINT64_MAX - 1, 2, "");
    for (unsigned i = 2; i < VM_EVENTS + 5; i++) {
        snprintf(why, sizeof(why), "number %u", i);
        vm_note(&others[1], EVENT_START, why);
    }
    expect_event(v, 0, 5, "number 5");
    expect_event(v, 4, 5, "number 5");
    expect_event(v, 6, 6, "number 6");
    expect_event(v, VM_EVENTS + 4, VM_EVENTS + 4, why);
    CHECK_U64(others[0].events.count, 0);
}

TEST(a_console_is_read_in_pieces) {
    struct vcpu *v = begin(true);
    const struct exchange_control *c = &v->exchange->control;

    CHECK(ask_at(v, CONTROL_CALL_READ, 26));
    CHECK_U64(c->at, 26);
    CHECK_U64(c->end, FAKE_SAID);
    CHECK_U64(c->size, CONTROL_BYTES);
    CHECK(memcmp(c->bytes, "abcdefghijklmnopqrstuvwxyzabc", 29) == 0);
    CHECK_STR(c->state, "running");
    CHECK(ask_at(v, CONTROL_CALL_READ, FAKE_SAID - 1));
    CHECK_U64(c->size, 1);
    CHECK(ask_at(v, CONTROL_CALL_READ, UINT64_MAX - 1));
    CHECK_U64(c->size, 0);
    CHECK_U64(c->at, FAKE_SAID);
    CHECK(fake_traces_cleared != 0);
}

TEST(keys_go_to_who_runs) {
    struct vcpu *v = begin(true);
    struct exchange_control *c = &v->exchange->control;

    *c = (struct exchange_control){.call = CONTROL_CALL_TYPE, .guest = 1, .size = 20};
    memcpy(c->bytes, "0123456789abcdefghij", 20);
    CHECK(core_call_answer(v, CORE_CONTROL));
    CHECK_U64(c->done, CONTROL_DONE);
    CHECK_U64(c->size, 16);
    CHECK_STR(fake_keys, "0123456789abcdef");
    fake_keys[0] = '\0';
    others[1].state = VM_OFF;
    CHECK(core_call_answer(v, CORE_CONTROL));
    CHECK_U64(c->done, CONTROL_OFF);
    c->guest = 2;
    CHECK(core_call_answer(v, CORE_CONTROL));
    CHECK_U64(c->done, CONTROL_NO_GUEST);
    CHECK_STR(fake_keys, "");
    c->size = CONTROL_BYTES + 1;
    CHECK(!core_call_answer(v, CORE_CONTROL));
    CHECK(v->vm->leave != LEAVE_NONE);
    CHECK_STR(fake_keys, "");
}

static bool ask_trace(struct vcpu *v, uint32_t guest, uint64_t at) {
    struct exchange_control *c = &v->exchange->control;

    *c = (struct exchange_control){.call = CONTROL_CALL_TRACE, .guest = guest, .at = at};
    CHECK(core_call_answer(v, CORE_CONTROL));
    return c->done == CONTROL_DONE;
}

/* Of itself, where the config lets it: no other CPU is asked. */
TEST(a_flight_recorder_is_told_line_by_line) {
    struct vcpu *v = begin(true);
    struct exchange_control *c = &v->exchange->control;
    struct exit_record *e = recorder_begin(&v->recorder);

    vm_of_cpu[7] = v->vm->public;
    e->exit.kind = EXIT_HLT;
    e->tsc_low = 1;
    e->rip = 0x1234;
    CHECK(ask_trace(v, 0, CONTROL_AT_FIRST));
    CHECK_U64(c->at, 0);
    CHECK_U64(c->end, v->vm->vcpu_count * (1 + RECORDER_EXITS));
    c->bytes[c->size] = '\0';
    CHECK_STR((const char *)c->bytes, "vcpu0 on cpu 0: its last exits\n");
    CHECK(ask_trace(v, 0, 1)); /* the oldest are not there */
    CHECK_U64(c->at, RECORDER_EXITS);
    CHECK(memcmp(c->bytes, "  exit ", 7) == 0 && strstr((const char *)c->bytes, "rip 0x1234 hlt"));
    CHECK(ask_trace(v, 0, UINT64_MAX - 1));
    CHECK_U64(c->size, 0);
    /* What stood there before is no answer. */
    *c = (struct exchange_control){.call = CONTROL_CALL_TRACE, .size = 1};
    CHECK(core_call_answer(v, CORE_CONTROL));
    CHECK_U64(c->size, strlen("vcpu0 on cpu 0: its last exits\n"));
    CHECK(!ask_trace(v, 1, 5)); /* of whom nobody has asked the first */
    CHECK_U64(c->done, CONTROL_TOO_MUCH);
    CHECK(v->vm->leave == LEAVE_NONE);
}

static void time_goes_on(void) {
    fake_tsc += FAKE_HZ / 1000;
}

/* Whose CPU does not answer: the wait has an end, and host interrupts are taken in it. */
TEST(who_does_not_answer_is_not_waited_for) {
    struct vcpu *v = begin(true);
    struct exchange_control *c = &v->exchange->control;
    unsigned before = fake_interrupts_taken;

    fake_interrupt = time_goes_on;
    CHECK(ask_trace(v, 1, 0));
    CHECK(fake_interrupts_taken - before >= 100 && fake_interrupts_taken - before < 110);
    c->bytes[c->size] = '\0';
    CHECK_STR((const char *)c->bytes, "vcpu0 on cpu 5: does not answer [BH6112]\n");
    CHECK(theirs[1].snapshot == NULL);
    CHECK(ask_trace(v, 1, 1));
    CHECK_U64(c->size, 0);
    CHECK_U64(c->at, c->end);
}

/* As that CPU would. */
static void another_answers(void) {
    static struct recorder of_theirs;
    struct vcpu_snapshot *out = __atomic_exchange_n(&theirs[0].snapshot, NULL, __ATOMIC_ACQUIRE);

    if (out == NULL) {
        return;
    }
    recorder_init(&of_theirs);
    struct exit_record *e = recorder_begin(&of_theirs);
    e->exit.kind = EXIT_CPUID;
    e->tsc_low = 1;
    e->rip = 0x4321;
    recorder_copy(&out->recorder, &of_theirs);
    out->ready = 1;
}

TEST(another_cpu_answers_for_its_own) {
    struct vcpu *v = begin(true);
    struct exchange_control *c = &v->exchange->control;

    fake_interrupt = another_answers;
    CHECK(ask_trace(v, 0, 0));
    CHECK_U64(theirs[0].requests, REQUEST_SNAPSHOT);
    CHECK(ask_trace(v, 0, 1));
    CHECK_U64(c->at, RECORDER_EXITS);
    c->bytes[c->size] = '\0';
    CHECK(strstr((const char *)c->bytes, "rip 0x4321 cpuid") != NULL);
    theirs[0].snapshot = (struct vcpu_snapshot *)c; /* the operator asks it at this moment */
    CHECK(ask_trace(v, 0, 0));
    CHECK(strstr((const char *)c->bytes, "does not answer") != NULL);
    CHECK(theirs[0].snapshot == (struct vcpu_snapshot *)c);
    theirs[0].snapshot = NULL;
}

/* A moment later that would be too much for it. */
TEST(another_guest_begins_as_soon_as_one_has_read_the_end) {
    static struct vm other;
    struct vcpu *v = begin(true);
    struct vm *one = v->vm;

    other = *one;
    fake_interrupt = time_goes_on;
    CHECK(ask_trace(v, 1, 0));
    v->vm = &other;
    CHECK(!ask_trace(v, 1, 0));
    CHECK_U64(v->exchange->control.done, CONTROL_TOO_MUCH);
    v->vm = one;
    CHECK(ask_trace(v, 1, 1));
    CHECK_U64(v->exchange->control.at, v->exchange->control.end);
    v->vm = &other;
    CHECK(ask_trace(v, 1, 0));
    v->vm = one;
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

static void a_tenth_then_ticks(void) {
    fake_tsc += fake_interrupts_taken == 1 ? FAKE_HZ / 10 : 1;
}

/* And not a tick less. */
TEST(who_does_not_answer_has_a_tenth_of_a_second) {
    struct vcpu *v = begin(true);
    uint64_t begun = fake_tsc;

    fake_interrupts_taken = 0;
    fake_interrupt = a_tenth_then_ticks;
    CHECK(ask_trace(v, 1, 0));
    fake_interrupt = NULL;
    CHECK_U64(fake_tsc, begun + FAKE_HZ / 10 + 1);
}

TEST_MAIN(T(who_does_not_answer_has_a_tenth_of_a_second), T(a_look_tells_what_is_public),
          T(there_are_no_others), T(an_order_is_the_operators), T(who_hears_nothing_is_refused),
          T(events_are_read_by_their_numbers), T(a_console_is_read_in_pieces),
          T(keys_go_to_who_runs), T(a_flight_recorder_is_told_line_by_line),
          T(who_does_not_answer_is_not_waited_for), T(another_cpu_answers_for_its_own),
          T(another_guest_begins_as_soon_as_one_has_read_the_end),
          T(nonsense_ends_the_vm_and_so_does_who_may_not))
