/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a new set has come up, on a fake machine with a fake clock: which lives of its guests
 * prove it, which make the machine fall back, and what the operator's hand changes.
 */
#include "fake_life.h"
#include "fake_log.h"
#include "hv/vm/health.h"

#define SECOND FAKE_HZ
#define TRIAL  60u

static struct boot_info info;
static uint64_t told_trial; /* what the next start would hear; 0 = nothing */
static bool can_tell;
static unsigned resets;

bool plat_keep_healthy(uint64_t trial) {
    told_trial = can_tell ? trial : 0;
    return can_tell;
}

void plat_machine_reset(void) {
    resets++;
}

static uint64_t now_us(void) {
    return 0;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static uint64_t lives; /* seconds of a run, then it ends as: */
static enum vm_leave end;
static unsigned runs;
static struct vcpu *v0;

static void run_guest(struct vcpu *v) {
    uint64_t until = fake_tsc + lives * SECOND;

    runs++;
    while (vcpu_service(v)) {
        if (fake_tsc >= until && end == LEAVE_CRASH) {
            vcpu_crash(v, "triple-fault", "triple fault");
        } else if (fake_tsc >= until) {
            vm_leave(v->vm, end, "its end");
        } else if (v->public.requests == 0) {
            fake_tsc = fake_deadline != 0 ? min_u64(fake_deadline, until) : until;
            fake_deadline = fake_tsc == fake_deadline ? 0 : fake_deadline;
            hv_timer_expired();
        }
    }
}

static void begin(uint64_t trial, unsigned guests) {
    v0 = fake_life_begin(&hooks, run_guest);
    fake_config.start_auto = true;
    fake_public.state = VM_STARTING;
    info = (struct boot_info){.set = 'b', .trial = trial};
    info.config.trial = TRIAL;
    info.config.guest_count = guests;
    for (unsigned i = 0; i < guests; i++) {
        info.config.guests[i].start_auto = true;
    }
    told_trial = resets = runs = 0;
    can_tell = true;
    told[0] = '\0';
    health_init(&info);
}

static void live(uint64_t seconds, enum vm_leave how) {
    lives = seconds;
    end = how;
    life_step(v0);
}

TEST(a_guest_that_runs_long_enough_proves_it) {
    begin(77, 1);
    CHECK(strstr(told, "set b is on trial") != NULL);
    live(TRIAL - 1, LEAVE_RESET);
    CHECK_U64(told_trial, 0);
    fake_public.state = VM_STARTING;
    live(TRIAL + 1, LEAVE_CRASH); /* what comes later is another matter */
    CHECK_U64(told_trial, 77);
    CHECK(strstr(told, "set b has come up") != NULL);
    CHECK_U64(resets, 0);
}

TEST(it_is_told_while_the_guest_runs) {
    begin(77, 1);
    live(TRIAL, LEAVE_KILL);
    CHECK_U64(told_trial, 77);
    CHECK(fake_tsc <= (TRIAL + 1) * SECOND + 1000);
}

TEST(all_of_them_have_to) {
    begin(77, 2);
    live(TRIAL + 1, LEAVE_POWER_OFF);
    CHECK_U64(told_trial, 0);
    fake_public.state = VM_STARTING;
    live(TRIAL + 1, LEAVE_POWER_OFF); /* the same one does not count twice */
    CHECK_U64(told_trial, 0);
}

TEST(one_that_waits_for_the_operator_is_not_waited_for) {
    begin(77, 1);
    info.config.guests[0].start_auto = true;
    info.config.guests[1].start_auto = false;
    info.config.guest_count = 2;
    health_init(&info);
    live(TRIAL + 1, LEAVE_POWER_OFF);
    CHECK_U64(told_trial, 77);
    begin(77, 1);
    fake_config.start_auto = false;
    live(1, LEAVE_CRASH);
    CHECK_U64(resets, 0);
}

TEST(one_that_switches_itself_off_is_through) {
    begin(77, 1);
    live(1, LEAVE_POWER_OFF);
    CHECK_U64(told_trial, 77);
    CHECK_U64(resets, 0);
}

TEST(one_that_crashes_for_good_has_the_machine_restart) {
    begin(77, 1);
    for (unsigned i = 0; i < 20 && resets == 0; i++) { /* some steps only wait */
        live(1, LEAVE_CRASH);
    }
    CHECK_U64(resets, 1);
    CHECK_U64(runs, VM_CRASH_LIMIT + 1);
    CHECK_U64(told_trial, 0);
    CHECK(strstr(told, "set b has not come up, because of fake") != NULL);
}

TEST(one_that_starts_again_and_again_too) {
    begin(77, 1);
    for (unsigned i = 0; i < 20 && resets == 0; i++) {
        fake_public.state = VM_STARTING;
        live(1, LEAVE_RESET);
    }
    CHECK_U64(resets, 1);
    CHECK_U64(runs, 8);
}

TEST(what_the_operator_ends_is_his_to_see_to) {
    static const enum vm_leave ends[] = {LEAVE_KILL, LEAVE_FORCE, LEAVE_OPERATOR_RESET};
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
        begin(77, 1);
        live(1, ends[i]);
        CHECK_U64(resets, 0);
        CHECK_U64(told_trial, 0);
    }
}

TEST(without_a_trial_nothing_is_done) {
    begin(0, 1);
    CHECK_STR(told, "");
    live(TRIAL + 1, LEAVE_POWER_OFF);
    CHECK_U64(told_trial, 0);
    for (unsigned i = 0; i < 20; i++) {
        fake_public.state = VM_STARTING;
        live(1, LEAVE_CRASH);
    }
    CHECK_U64(resets, 0);
    CHECK_U64(runs, 21);
}

TEST(where_nothing_can_be_told_it_says_so) {
    begin(77, 1);
    can_tell = false;
    live(TRIAL + 1, LEAVE_POWER_OFF);
    CHECK(strstr(told, "no memory is left to tell") != NULL);
}

/* Its devices may want nothing for longer than that. */
TEST(a_look_is_due_when_it_has_run_long_enough) {
    for (uint64_t trial = 0; trial <= 77; trial += 77) {
        begin(trial, 1);
        v0->clocks_due = 0;
        health_begin(v0->vm);
        CHECK_U64(v0->clocks_due, trial == 0 ? 0 : fake_tsc + TRIAL * SECOND);
    }
}

TEST_MAIN(T(a_guest_that_runs_long_enough_proves_it), T(it_is_told_while_the_guest_runs),
          T(all_of_them_have_to), T(one_that_waits_for_the_operator_is_not_waited_for),
          T(one_that_switches_itself_off_is_through),
          T(one_that_crashes_for_good_has_the_machine_restart),
          T(one_that_starts_again_and_again_too), T(what_the_operator_ends_is_his_to_see_to),
          T(without_a_trial_nothing_is_done), T(where_nothing_can_be_told_it_says_so),
          T(a_look_is_due_when_it_has_run_long_enough))
