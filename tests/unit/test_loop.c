/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop with a CPU of the test's: no guest can go round in it, or in what it calls, without
 * a point at which host interrupts are taken or an instruction of its own that is done.
 */
#include "fake_machine.h"
#include "hv/exit/loop.h"

#define TURNS 20

static struct {
    struct vmexit exit; /* of every turn */
    unsigned runs, advanced, taken_before;
    unsigned left; /* turns; then the VM is left */
} script;

static struct exit_record *run(struct vcpu *v) {
    struct exit_record *record = recorder_begin(&v->recorder);
    (void)fake_enter(v);
    record->exit = script.exit;
    record->tsc_low = ++script.runs;
    if (--script.left == 0) {
        vcpu_request(&v->public, REQUEST_LEAVE);
    }
    return record;
}

static void advance(UNUSED struct vcpu *v, const struct exit_record *record) {
    script.advanced += record->exit.insn_len != 0;
}

static void go(struct vcpu *v, struct vmexit exit, unsigned turns) {
    memset(&script, 0, sizeof(script));
    script.exit = exit;
    script.left = turns;
    script.taken_before = fake_interrupts_taken;
    vcpu_loop(v, run, advance, fake_compartment_run);
}

static unsigned taken(void) {
    return fake_interrupts_taken - script.taken_before;
}

static void time_passes(void) {
    fake_tsc += FAKE_HZ / 10000;
}

/* With the registers as they are: CPUID leaf 0, MSR 0, port 0, memory of nobody, and so on. */
TEST(each_turn_is_an_instruction_or_takes_interrupts) {
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        if (k == EXIT_HLT) { /* sleeps */
            continue;
        }
        struct vcpu *v = fake_machine_start();
        fake_mce.global = MCE_RIPV;
        struct vmexit exit = {.kind = (enum exit_kind)k, .insn_len = 2};
        bool after = k == EXIT_APIC_WRITE || k == EXIT_APIC_EOI; /* the CPU has done it */
        if (k == EXIT_EXCEPTION) {
            exit.event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_DB};
        }
        fake_interrupt = k == EXIT_BUS_LOCK ? time_passes : NULL; /* it waits for the clock */
        v->public.requests = 0;
        go(v, exit, TURNS);
        fake_interrupt = NULL;
        CHECK(script.runs != 0);
        if (!after && script.advanced + taken() < script.runs) {
            printf("# kind %s: %u turns, %u advanced, %u taken\n", exit_kind_names[k], script.runs,
                   script.advanced, taken());
            CHECK(false);
        }
    }
}

TEST(what_is_common_takes_none) {
    struct vcpu *v = fake_machine_start();
    v->public.requests = 0;
    go(v, (struct vmexit){.kind = EXIT_CPUID, .insn_len = 2}, TURNS);
    CHECK_U64(script.advanced, TURNS);
    CHECK_U64(taken(), 0);
}

/* What each exit was, and what became of it; MSRs and leaves by their numbers. */
TEST(each_exit_is_recorded) {
    struct vcpu *v = fake_machine_start();
    v->public.requests = 0;
    v->regs[X86_RAX] = 7;
    CHECK(recorder_exit(&v->recorder, 0) == NULL);
    go(v, (struct vmexit){.kind = EXIT_CPUID, .insn_len = 2}, 3);
    const struct exit_record *e = recorder_exit(&v->recorder, 0);
    CHECK(e != NULL && e->tsc_low == 3 && e->exit.kind == EXIT_CPUID &&
          e->outcome == RECORDER_NEXT);
    CHECK_U64(recorder_exit(&v->recorder, 2)->exit.number, 7);
    CHECK(recorder_exit(&v->recorder, 3) == NULL);
    v->regs[X86_RCX] = 0x12345;
    v->public.requests = 0;
    v->vm->leave = LEAVE_NONE;
    for (unsigned k = EXIT_RDMSR; k <= EXIT_WRMSR; k++) {
        v->public.requests = 0;
        go(v, (struct vmexit){.kind = (enum exit_kind)k, .insn_len = 2}, 1);
        e = recorder_exit(&v->recorder, 0);
        CHECK(e->exit.kind == k && e->exit.number == 0x12345 && e->outcome == RECORDER_RETRY);
    }
    CHECK_U64(recorder_exit(&v->recorder, 4)->exit.kind, EXIT_CPUID);
}

static unsigned requests_to_come;
static uint32_t request_to_come;
static struct vcpu *asked;

/* Another vCPU asks while v is served; in the end that it leaves. */
static void ask_again(void) {
    unsigned cpu = fake_cpu;
    fake_cpu = 1;
    vcpu_request(&asked->public, requests_to_come != 0 ? request_to_come : (uint32_t)REQUEST_LEAVE);
    requests_to_come -= requests_to_come != 0;
    fake_cpu = cpu;
}

/* Siblings that set the PIT without end: twice in each round, for an upcall is watched first. */
TEST(requests_without_end_do_not_hold_the_cpu) {
    struct vcpu *v = asked = fake_machine_start();
    requests_to_come = TURNS;
    request_to_come = REQUEST_CLOCKS;
    fake_on_timer_set = ask_again;
    v->public.requests = REQUEST_CLOCKS;
    go(v, (struct vmexit){.kind = EXIT_CPUID, .insn_len = 2}, 1);
    CHECK_U64(script.runs, 0);
    CHECK(taken() >= TURNS / 2);
    CHECK_U64(requests_to_come, 0);
}

#define LOOK (FAKE_HZ / 15000) /* longer than a pause would be where an upcall takes a moment */

static uint64_t guest_ticks;
static unsigned looks_to_come;

/* Another VM rings without end, and so also during each upcall, which its kick interrupts. */
static void a_bell_meanwhile(struct vcpu *v, struct vmexit *end, UNUSED unsigned n) {
    unsigned kicks = fake_kicks;
    fake_tsc += LOOK;
    fake_cpu = 1;
    vcpu_ring(&v->public);
    if (--looks_to_come == 0) {
        vcpu_request(&v->public, REQUEST_LEAVE);
    }
    fake_cpu = 0;
    if (fake_kicks != kicks) {
        end->kind = EXIT_INTERRUPT;
    }
}

/* The guest runs until the host's timer fires. */
static struct exit_record *run_to_the_timer(struct vcpu *v) {
    uint64_t ticks = fake_deadline > fake_tsc ? fake_deadline - fake_tsc : 0;
    fake_tsc += ticks;
    guest_ticks += ticks;
    __atomic_fetch_or(&v->public.requests, REQUEST_TIMER, __ATOMIC_RELAXED);
    return run(v);
}

/* However slow this machine is. */
TEST(bells_without_end_leave_the_guest_half_of_its_time) {
    struct vcpu *v = fake_machine_start();
    fake_compartment_end = a_bell_meanwhile;
    guest_ticks = 0;
    looks_to_come = 1000;
    memset(&script, 0, sizeof(script));
    script.exit = (struct vmexit){.kind = EXIT_INTERRUPT};
    script.left = TURNS;
    uint64_t began = fake_tsc;
    v->public.requests = 0;
    vcpu_ring(&v->public);
    vcpu_loop(v, run_to_the_timer, advance, fake_compartment_run);
    fake_compartment_end = NULL;
    CHECK_U64(script.runs, TURNS);
    CHECK(guest_ticks >= (fake_tsc - began) / 2);
}

/* A sibling that sends INIT without end to one that waits for its start. */
TEST(init_without_end_does_not_hold_the_cpu) {
    struct vcpu *v = asked = fake_machine_start();
    v->index = 1;
    requests_to_come = TURNS;
    request_to_come = REQUEST_INIT;
    fake_on_reset = ask_again;
    v->public.requests = REQUEST_INIT;
    go(v, (struct vmexit){.kind = EXIT_CPUID, .insn_len = 2}, 1);
    CHECK_U64(script.runs, 0);
    CHECK(taken() >= TURNS);
    CHECK_U64(requests_to_come, 0);
}

static void leave_an_nmi(void) {
    fake_on_timer_set = NULL;
    vcpu_request(&asked->public, REQUEST_NMI);
}

/* Such as the 8254's through LINT0: HLT must not sleep over it (fake_wait is not set). */
TEST(a_request_left_by_the_service_ends_hlt) {
    struct vcpu *v = asked = fake_machine_start();
    v->public.requests = REQUEST_CLOCKS;
    fake_on_timer_set = leave_an_nmi;
    CHECK(vcpu_halt(v));
    CHECK_U64(v->event.type, EVENT_NMI);
}

/* One kick is enough until the requests are looked at. */
TEST(kicks_are_not_a_flood) {
    struct vcpu *v = fake_machine_start();
    v->public.requests = 0;
    fake_cpu = 1;
    unsigned kicks = fake_kicks;
    for (unsigned i = 0; i < TURNS; i++) {
        vcpu_request(&v->public, REQUEST_EVENT);
        vcpu_request(&v->public, REQUEST_CLOCKS);
    }
    CHECK_U64(fake_kicks, kicks + 1);
    fake_cpu = 0;
    CHECK(vcpu_service(v));
    fake_cpu = 1;
    vcpu_request(&v->public, REQUEST_EVENT);
    CHECK_U64(fake_kicks, kicks + 2);
    fake_cpu = 0;
}

TEST(every_kind_and_status_has_a_name) {
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        CHECK(exit_kind_names[k] != NULL && exit_kind_names[k][0] != '\0');
        for (unsigned other = 0; other < k; other++) {
            CHECK(strcmp(exit_kind_names[k], exit_kind_names[other]) != 0);
        }
    }
    for (unsigned s = STATUS_OK; s <= STATUS_FULL; s++) {
        CHECK(strcmp(status_name((enum status)s), "unknown") != 0);
    }
    CHECK_STR(status_name((enum status)(STATUS_FULL + 1)), "unknown");
}

static void a_long_look(UNUSED struct vcpu *v, UNUSED struct vmexit *end, UNUSED unsigned n) {
    fake_tsc += LOOK;
}

/* In which no bell is looked at: it ends so much later. After it a look changes nothing. */
TEST(a_look_is_no_part_of_the_pause) {
    struct vcpu *v = fake_machine_start();
    fake_compartment_end = a_long_look;
    uint64_t due = v->bell_due = fake_tsc + LOOK;
    v->public.requests = REQUEST_CLOCKS;
    CHECK(vcpu_service(v));
    CHECK_U64(v->bell_due, due + LOOK);
    due = v->bell_due = fake_tsc;
    v->public.requests = REQUEST_CLOCKS;
    CHECK(vcpu_service(v));
    CHECK_U64(v->bell_due, due);
    fake_compartment_end = NULL;
}

static uint64_t look_takes;

static void a_look_of_its_length(UNUSED struct vcpu *v, UNUSED struct vmexit *end,
                                 UNUSED unsigned n) {
    fake_tsc += look_takes;
}

/* Three times so long, but not beyond 50 us, or eight times the shortest look. */
TEST(a_pause_is_as_long_as_the_look_before_it) {
    static const struct {
        uint64_t shortest, takes, pause;
    } rows[] = {{0, 1000, 3000},      {1000, 16666, 49998}, {1000, 16667, 50000},
                {0, 20000, 60000},    {7000, 20000, 56000}, {30000, 20000, 60000},
                {6250, 20000, 50000}, {6251, 20000, 50008}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vcpu *v = fake_machine_start();
        fake_compartment_end = a_look_of_its_length;
        look_takes = rows[i].takes;
        v->bell_least = rows[i].shortest;
        v->bell_due = fake_tsc; /* just over */
        v->clocks_due = 0;
        v->public.requests = REQUEST_CHANNELS;
        CHECK(vcpu_service(v));
        CHECK(!v->bell_waits);
        CHECK_U64(v->bell_due, fake_tsc + rows[i].pause);
        bool longer = rows[i].shortest != 0 && rows[i].shortest < rows[i].takes;
        CHECK_U64(v->bell_least, longer ? rows[i].shortest : rows[i].takes);

        fake_tsc = v->bell_due - 1; /* one tick before its end a bell waits for the timer */
        unsigned runs = fake_compartment_runs;
        v->public.requests = REQUEST_CHANNELS;
        CHECK(vcpu_service(v));
        CHECK_U64(fake_compartment_runs, runs);
        CHECK(v->bell_waits);
        CHECK_U64(v->clocks_due, v->bell_due);
        CHECK_U64(fake_deadline, v->bell_due);
    }
    fake_compartment_end = NULL;
}

TEST_MAIN(T(a_pause_is_as_long_as_the_look_before_it), T(a_look_is_no_part_of_the_pause),
          T(each_turn_is_an_instruction_or_takes_interrupts), T(what_is_common_takes_none),
          T(each_exit_is_recorded), T(requests_without_end_do_not_hold_the_cpu),
          T(bells_without_end_leave_the_guest_half_of_its_time),
          T(init_without_end_does_not_hold_the_cpu), T(a_request_left_by_the_service_ends_hlt),
          T(kicks_are_not_a_flood), T(every_kind_and_status_has_a_name))
