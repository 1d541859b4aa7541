/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's limits: what it gets in a second, what it waits for, and what follows otherwise. */
#include "fake_log.h"
#include "fake_machine.h"
#include "hv/exit/loop.h"
#include "hv/vm/limit.h"

#define US     (FAKE_HZ / 1000000)
#define TENTH  (FAKE_HZ / 10)
#define SECOND FAKE_HZ

static uint64_t now_us(void) {
    return fake_tsc / US;
}
static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static unsigned count_told(const char *what) {
    unsigned count = 0;

    for (const char *at = told; (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

/* The guest's CPU: an exit of this kind takes that long, until the time has come. */
static struct {
    struct vmexit exit;
    uint64_t takes, until;
    unsigned exits;
} guest;

static struct exit_record *run(struct vcpu *v) {
    struct exit_record *record = recorder_begin(&v->recorder);

    (void)fake_enter(v);
    record->exit = guest.exit;
    guest.exits++;
    fake_tsc += guest.takes;
    if (fake_tsc >= guest.until) {
        vcpu_request(&v->public, REQUEST_LEAVE);
    }
    return record;
}

static void advance(UNUSED struct vcpu *v, UNUSED const struct exit_record *record) {
}

static unsigned waits;

/* Until the CPU's timer fires. */
static void sleep_on(void) {
    waits++;
    CHECK(fake_deadline > fake_tsc);
    fake_tsc = fake_deadline;
    hv_timer_expired();
}

static struct vcpu *begin(uint32_t exits, uint32_t console, uint32_t log,
                          enum config_on_limit action) {
    fake_config.limits[LIMIT_EXITS] = exits;
    fake_config.limits[LIMIT_CONSOLE] = console;
    fake_config.limits[LIMIT_LOG] = log;
    fake_config.on_limit = action;
    fake_public = (struct vm_public){.state = VM_RUNNING};
    fake_tsc = 1000 * SECOND;
    log_init(&hooks, LOG_INFO);
    told[0] = '\0';
    waits = 0;

    struct vcpu *v = fake_machine_start();

    fake_public.state = VM_RUNNING;
    fake_wait = sleep_on;
    vcpu_of_cpu[0] = v;
    limit_begin(v->vm);
    return v;
}

/* So many exits came in that time. */
static unsigned go(struct vcpu *v, struct vmexit exit, uint64_t takes, uint64_t time) {
    guest.exit = exit;
    guest.takes = takes;
    guest.exits = 0;
    guest.until = fake_tsc + time;
    v->public.requests = 0;
    vcpu_loop(v, run, advance, fake_compartment_run);
    return guest.exits;
}

static const struct vmexit cpuid = {.kind = EXIT_CPUID, .insn_len = 2};

TEST(without_limits_nobody_waits) {
    struct vcpu *v = begin(0, 0, 0, ON_LIMIT_THROTTLE);

    CHECK_U64(go(v, cpuid, 10 * US, SECOND), 100000);
    CHECK_U64(waits, 0);
    CHECK_U64(fake_public.over[LIMIT_EXITS], 0);
    v->exits_left = 1;
    CHECK_U64(go(v, cpuid, 10 * US, SECOND), 100000);
    CHECK(v->exits_left > UINT32_MAX - 200000);
}

/* 100,000 where 5,000 are allowed, and a second's worth at once before. */
TEST(exits_are_as_many_as_the_limit_says) {
    struct vcpu *v = begin(5000, 0, 0, ON_LIMIT_THROTTLE);
    unsigned first = go(v, cpuid, 10 * US, SECOND);

    CHECK(first >= 9500 && first <= 10001);
    CHECK_U64(waits, 10);
    CHECK_U64(fake_public.over[LIMIT_EXITS], 10);
    unsigned more = go(v, cpuid, 10 * US, 10 * SECOND);
    CHECK(more >= 49500 && more <= 50501);
    CHECK_U64(waits, 110);
    CHECK_U64(count_told("over its limit of 5000 exits a second (max_exits): held back"), 1);
    (void)go(v, cpuid, 10 * US, 60 * SECOND);
    CHECK_U64(count_told("over its limit"), 2);
}

TEST(who_stays_below_is_not_held_back) {
    struct vcpu *v = begin(5000, 0, 0, ON_LIMIT_THROTTLE);

    CHECK(go(v, cpuid, 210 * US, 10 * SECOND) > 47000);
    CHECK_U64(waits, 0);
    CHECK_U64(fake_public.over[LIMIT_EXITS], 0);
    CHECK(told[0] == '\0');
}

/* A limit of less than one in a period is met, too. */
TEST(a_limit_of_one_in_a_second) {
    struct vcpu *v = begin(1, 0, 0, ON_LIMIT_THROTTLE);
    unsigned exits = go(v, cpuid, 10 * US, 20 * SECOND);

    CHECK(exits >= 20 && exits <= 22);
}

TEST(quiet_times_save_no_more_than_a_second) {
    struct vcpu *v = begin(5000, 0, 0, ON_LIMIT_THROTTLE);

    fake_tsc += 3600 * SECOND;
    CHECK(go(v, cpuid, 10 * US, SECOND) <= 10001);
}

/* One bucket for all vCPUs: who storms alone gets all of it, but for the others' last shares. */
TEST(the_vcpus_share_one_limit) {
    struct vcpu *v0, *v1;

    (void)begin(8000, 0, 0, ON_LIMIT_THROTTLE);
    fake_create_two(&v0, &v1);
    fake_wait = sleep_on;
    fake_public.state = VM_RUNNING;
    vcpu_of_cpu[0] = v0;
    limit_begin(v0->vm);
    CHECK(over_limit(v1));
    CHECK_U64(v1->exits_left, 50); /* an eighth of half a tenth's */
    CHECK(over_limit(v0));
    CHECK_U64(v0->exits_left, 50);
    unsigned exits = go(v0, cpuid, 10 * US, SECOND);
    CHECK(exits >= 15100 && exits <= 16001);
}

static void want_pause(void) {
    waits++;
    vcpu_request(&fake_vm->vcpus[0].public, REQUEST_LEAVE);
}

/* It leaves the loop where it waits, and when it comes back it is no further. */
TEST(who_waits_hears_what_is_asked) {
    struct vcpu *v = begin(100, 0, 0, ON_LIMIT_THROTTLE);

    fake_wait = want_pause;
    CHECK_U64(go(v, cpuid, 10 * US, SECOND), 101);
    CHECK_U64(waits, 1);
    fake_wait = sleep_on;
    waits = 0;
    CHECK_U64(go(v, cpuid, 10 * US, TENTH / 2), 2); /* one before it waits, one after */
    CHECK_U64(waits, 1);
}

/* The guest does; not its devices, when their time has come. */
static void writes(struct vcpu *v, UNUSED struct vmexit *end, UNUSED unsigned n) {
    if (v->upcall_exit == NULL) {
        return;
    }
    v->vm->shared->put += 16;
    v->exchange->told = TOLD_BYTES;
}

static const struct vmexit out = {.kind = EXIT_IO, .insn_len = 1, .io = {.port = 0x3f8, .size = 1}};

/* 16 bytes an upcall, each after 100 us: 160,000 a second. */
static void write_for(struct vcpu *v, uint64_t time) {
    fake_compartment_end = writes;
    (void)go(v, out, 100 * US, time);
    fake_compartment_end = NULL;
}

TEST(bytes_on_the_console_are_as_many_as_the_limit_says) {
    struct vcpu *v = begin(0, 8000, 0, ON_LIMIT_THROTTLE);

    write_for(v, 2 * SECOND);
    CHECK(v->vm->console_taken >= 23000 && v->vm->console_taken <= 24100);
    CHECK(fake_public.over[LIMIT_CONSOLE] >= 19);
    CHECK_U64(fake_public.over[LIMIT_EXITS], 0);
    CHECK_U64(count_told("over its limit of 8000 bytes on its console a second (max_console): "
                         "held back"),
              1);
}

/* What one upcall brings is more than a period's share: it waits for as many periods. */
TEST(a_debt_is_paid_back) {
    struct vcpu *v = begin(0, 100, 0, ON_LIMIT_THROTTLE);

    write_for(v, 10 * SECOND);
    CHECK(v->vm->console_taken >= 1060 && v->vm->console_taken <= 1181);
}

TEST(a_pause_is_the_operators) {
    struct vcpu *v = begin(5000, 0, 0, ON_LIMIT_PAUSE);

    CHECK(go(v, cpuid, 10 * US, SECOND) <= 5001);
    CHECK_U64(fake_public.state, VM_PAUSED);
    CHECK_U64(fake_public.orders, VM_COMMAND_NONE);
    CHECK_U64(count_told("over its limit of 5000 exits a second (max_exits): paused"), 1);
    CHECK_U64(count_told("paused: its clocks stand still"), 1);
}

TEST(a_restart_ends_the_run) {
    struct vcpu *v = begin(5000, 0, 0, ON_LIMIT_RESTART);

    CHECK(go(v, cpuid, 10 * US, SECOND) <= 5001);
    CHECK_U64(v->vm->leave, LEAVE_RESET);
    CHECK(strcmp(v->vm->leave_reason, "restarted: over its limit, max_exits [BH3008]") == 0);
}

static unsigned pass_lines(struct vcpu *v, unsigned lines) {
    unsigned passed = 0;
    uint32_t suppressed;

    for (unsigned i = 0; i < lines; i++) {
        passed += limit_log_pass(v, &suppressed);
    }
    return passed;
}

TEST(lines_of_the_log_are_as_many_as_the_limit_says) {
    struct vcpu *v = begin(0, 0, 2, ON_LIMIT_THROTTLE);

    CHECK_U64(pass_lines(v, 100), 8);
    CHECK_U64(fake_public.over[LIMIT_LOG], 92);
    CHECK_U64(v->exits_left, 1);
    fake_tsc += 3 * SECOND;
    CHECK_U64(pass_lines(v, 100), 6);
    CHECK_U64(go(v, cpuid, 10 * US, SECOND), 100000);
    CHECK_U64(count_told("over its limit of 2 lines in the log a second (max_log): held back"), 1);
    CHECK_U64(waits, 0);
}

TEST(too_many_lines_of_the_log_restart_it) {
    struct vcpu *v = begin(0, 0, 2, ON_LIMIT_RESTART);

    CHECK_U64(pass_lines(v, 9), 8);
    CHECK_U64(go(v, cpuid, 10 * US, SECOND), 1);
    CHECK_U64(v->vm->leave, LEAVE_RESET);
    CHECK(strcmp(v->vm->leave_reason, "restarted: over its limit, max_log [BH3008]") == 0);
}

/* Without the key five a second, and nothing follows. */
TEST(without_a_limit_the_log_has_its_own) {
    struct vcpu *v = begin(0, 0, 0, ON_LIMIT_RESTART);

    CHECK_U64(pass_lines(v, 100), 20);
    CHECK_U64(fake_public.over[LIMIT_LOG], 80);
    CHECK_U64(v->vm->leave, LEAVE_NONE);
    CHECK(told[0] == '\0');
}

/* Of a second in which it is over a limit again and again it hears once a tenth. */
TEST(what_is_over_is_told_once_a_period) {
    struct vcpu *v = begin(0, 1, 0, ON_LIMIT_THROTTLE);
    uint32_t over = 0;

    limit_console(v, 100);
    CHECK_U64(v->exits_left, 1);
    CHECK(limit_take(v, &over) > fake_tsc);
    CHECK_U64(over, BIT32(LIMIT_CONSOLE));
    CHECK(limit_take(v, &over) > fake_tsc);
    CHECK_U64(over, 0);
    CHECK_U64(fake_public.over[LIMIT_CONSOLE], 1);
    fake_tsc += TENTH;
    CHECK(limit_take(v, &over) > fake_tsc);
    CHECK_U64(over, BIT32(LIMIT_CONSOLE));
    CHECK_U64(fake_public.over[LIMIT_CONSOLE], 2);
}

/* The next run pays nothing for the last one. */
TEST(a_new_run_owes_nothing) {
    struct vcpu *v = begin(0, 100, 2, ON_LIMIT_RESTART);
    uint32_t over = 0;

    limit_console(v, 1000);
    CHECK_U64(pass_lines(v, 9), 8);
    limit_begin(v->vm);
    CHECK_U64(limit_take(v, &over), 0);
    CHECK_U64(over, 0);
    limit_console(v, 1000); /* and is told of its own in the same tenth */
    CHECK(limit_take(v, &over) != 0);
    CHECK_U64(over, BIT32(LIMIT_CONSOLE));
}

TEST(a_start_fills_the_buckets) {
    struct vcpu *v = begin(5000, 300, 10, ON_LIMIT_THROTTLE);
    struct vm_limits *l = &v->vm->limits;

    memset(l->left, 0, sizeof(l->left));
    l->noted = l->over = UINT32_MAX;
    l->begun = 0;
    v->exits_left = 0;
    limit_begin(v->vm);
    CHECK_U64(l->begun, fake_tsc);
    CHECK_U64(l->noted | l->over, 0);
    CHECK_U64(v->exits_left, 1);
    CHECK_U64(l->left[LIMIT_EXITS], 50000);
    CHECK_U64(l->left[LIMIT_CONSOLE], 3000);
}

/* A unit is ten parts: with nine left it is empty, until its tenth of a second is over. */
TEST(a_bucket_by_the_tick) {
    struct vcpu *v = begin(5000, 300, 10, ON_LIMIT_THROTTLE);
    struct vm_limits *l = &v->vm->limits;
    uint64_t begun = fake_tsc;
    uint32_t over = 7;

    CHECK_U64(limit_take(v, &over), 0);
    CHECK_U64(over, 0);
    CHECK_U64(v->exits_left, 5000 / (10 * 8));
    CHECK_U64(l->left[LIMIT_EXITS], 50000 - 10 * (5000 / (10 * 8)));
    l->left[LIMIT_EXITS] = 10;
    CHECK_U64(limit_take(v, &over), 0);
    CHECK_U64(v->exits_left, 1);
    CHECK_U64(l->left[LIMIT_EXITS], 0);
    l->left[LIMIT_EXITS] = 9;
    v->exits_left = 0;
    CHECK_U64(limit_take(v, &over), begun + TENTH);
    CHECK_U64(over, BIT32(LIMIT_EXITS));
    CHECK_U64(v->exits_left, 1);
    fake_tsc += TENTH - 1;
    CHECK_U64(limit_take(v, &over), begun + TENTH);
    CHECK_U64(over, 0); /* it was told */
    CHECK_U64(fake_public.over[LIMIT_EXITS], 1);
    fake_tsc++;
    CHECK_U64(limit_take(v, &over), 0);
    CHECK_U64(l->begun, begun + TENTH);
    CHECK_U64(l->left[LIMIT_EXITS], 9 + 5000 - 10 * (5000 / (10 * 8)));
    CHECK_U64(l->left[LIMIT_CONSOLE], 3000); /* full: not more */
    fake_tsc += 3 * TENTH + TENTH / 2;       /* three at once, and the rest counts for the next */
    l->left[LIMIT_EXITS] = 0;
    CHECK_U64(limit_take(v, &over), 0);
    CHECK_U64(l->begun, begun + 4 * TENTH);
    CHECK_U64(l->left[LIMIT_EXITS], 3 * 5000 - 10 * (5000 / (10 * 8)));

    v->exits_left = 50; /* what its console takes ends its share at once */
    l->left[LIMIT_CONSOLE] = 29;
    limit_console(v, 1);
    CHECK_U64(l->left[LIMIT_CONSOLE], 19);
    CHECK_U64(v->exits_left, 50);
    limit_console(v, 1);
    CHECK_U64(v->exits_left, 1);
    l->left[LIMIT_CONSOLE] = 20;
    v->exits_left = 50;
    limit_console(v, 1);
    CHECK_U64(v->exits_left, 50);
}

TEST_MAIN(T(a_start_fills_the_buckets), T(a_bucket_by_the_tick), T(without_limits_nobody_waits),
          T(exits_are_as_many_as_the_limit_says), T(who_stays_below_is_not_held_back),
          T(a_limit_of_one_in_a_second), T(quiet_times_save_no_more_than_a_second),
          T(the_vcpus_share_one_limit), T(who_waits_hears_what_is_asked),
          T(bytes_on_the_console_are_as_many_as_the_limit_says), T(a_debt_is_paid_back),
          T(a_pause_is_the_operators), T(a_restart_ends_the_run),
          T(lines_of_the_log_are_as_many_as_the_limit_says),
          T(too_many_lines_of_the_log_restart_it), T(without_a_limit_the_log_has_its_own),
          T(what_is_over_is_told_once_a_period), T(a_new_run_owes_nothing))
