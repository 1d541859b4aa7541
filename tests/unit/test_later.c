/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPU does the console's slow work, and when: see later.h. */
#include "hv/monitor/later.h"
#include "tests/unit/fake_console.h"

#define SECOND  1000000u /* ticks of the fake clock */
#define PAUSE   50u
#define COLLECT 10000u

static struct later l;
static struct vm_public alpha, beta, gamma; /* on CPU 1, 2, and 0 and 3 */

void hv_console_work(void) {
}

static void start(void) {
    fake_console_set_up(true, 0, 0);
    fake_vm_set_up(&alpha, "alpha");
    fake_vm_set_up(&beta, "beta");
    fake_vm_set_up(&gamma, "gamma");
    alpha.vcpus[0]->cpu = 1;
    beta.vcpus[0]->cpu = 2;
    vm_of_cpu[0] = vm_of_cpu[3] = &gamma;
    vm_of_cpu[1] = &alpha;
    vm_of_cpu[2] = &beta;
    fake_tsc = 5 * SECOND;
    later_init(&l);
    later_go_live(&l);
}

static void start_with_free(unsigned cpu) {
    start();
    later_init(&l);
    vm_of_cpu[cpu] = NULL;
    later_go_live(&l);
}

TEST(before_guests_run) {
    later_init(&l);
    CHECK(!l.live && !l.busy && l.due_tsc == 0);
    CHECK_U64(l.free_cpu, LATER_NOBODY);
    CHECK_U64(l.worker, LATER_NOBODY);
    start();
    CHECK(l.live);
    CHECK_U64(l.free_cpu, LATER_NOBODY);
}

TEST(the_first_free_cpu) {
    start_with_free(3);
    CHECK_U64(l.free_cpu, 3);
    start();
    later_init(&l);
    vm_of_cpu[0] = vm_of_cpu[3] = NULL;
    later_go_live(&l);
    CHECK_U64(l.free_cpu, 0);
    fake_cpu = 1;
    CHECK_U64(later_cpu(&l, &beta), 0);
    CHECK_U64(later_cpu(&l, NULL), 0);
}

TEST(whose_work_it_is) {
    start();
    fake_cpu = 0;
    CHECK_U64(later_cpu(&l, &beta), 2);
    CHECK_U64(later_cpu(&l, NULL), 0);
    fake_cpu = 1;
    CHECK_U64(later_cpu(&l, &beta), 2);
    vm_of_cpu[1] = &beta; /* its second CPU: no other need be called */
    CHECK_U64(later_cpu(&l, &beta), 1);
    vm_of_cpu[1] = &alpha;
    beta.vcpus[0]->cpu = FAKE_CPUS; /* one that never came */
    CHECK_U64(later_cpu(&l, &beta), 1);
}

/* Nobody works: this CPU's timer, or the other's call, not before what comes together is there. */
TEST(the_first_want) {
    start();
    fake_cpu = 2;
    later_want(&l, &beta);
    CHECK_U64(l.worker, 2);
    CHECK_U64(l.due_tsc, fake_tsc + COLLECT);
    CHECK_U64(fake_cpus[2].deadline, fake_tsc + COLLECT);
    CHECK(!fake_cpus[2].called);

    start();
    later_want(&l, &beta);
    CHECK_U64(l.worker, 2);
    CHECK(fake_cpus[2].called && fake_cpus[2].deadline == 0 && fake_cpus[0].deadline == 0);

    start();
    l.due_tsc = fake_tsc + SECOND; /* a rest that is due is kept */
    later_want(&l, &beta);
    CHECK_U64(l.due_tsc, fake_tsc + SECOND);
}

/* Somebody works already: nothing is asked, unless it is another guest's by now. */
TEST(a_second_want) {
    start();
    later_want(&l, &beta);
    memset(fake_cpus, 0, sizeof(fake_cpus));
    uint64_t due = l.due_tsc;
    fake_tsc += 5;
    later_want(&l, &beta);
    later_want(&l, NULL);
    CHECK(!fake_cpus[2].called && fake_cpus[0].deadline == 0);
    CHECK_U64(l.worker, 2);
    later_want(&l, &alpha);
    CHECK_U64(l.worker, 1);
    CHECK(fake_cpus[1].called && !fake_cpus[2].called);
    CHECK_U64(l.due_tsc, due);

    start_with_free(3);
    later_want(&l, &beta);
    CHECK_U64(l.worker, 3);
    CHECK(fake_cpus[3].called);
    memset(fake_cpus, 0, sizeof(fake_cpus));
    later_want(&l, &alpha);
    CHECK_U64(l.worker, 3);
    CHECK(!fake_cpus[3].called && !fake_cpus[1].called);
}

TEST(when_it_begins) {
    start();
    fake_cpu = 2;
    later_want(&l, &beta);
    CHECK(!later_begin(&l)); /* too early */
    CHECK_U64(fake_cpus[2].deadline, l.due_tsc);
    fake_tsc = l.due_tsc - 1;
    CHECK(!later_begin(&l));
    CHECK_U64(fake_cpus[2].deadline, fake_tsc + PAUSE);
    CHECK(!later_is_due(&l));
    fake_tsc = l.due_tsc;
    CHECK(later_is_due(&l));
    fake_cpu = 1;
    fake_cpus[1].deadline = 0;
    CHECK(!later_begin(&l)); /* it is not this CPU's */
    CHECK_U64(fake_cpus[1].deadline, 0);
    fake_cpu = 2;
    CHECK(later_begin(&l));
    CHECK(l.busy && !later_is_due(&l));
    CHECK(!later_begin(&l)); /* another is at it */
    CHECK_U64(fake_cpus[2].deadline, fake_tsc + PAUSE);
}

/* After work of 10 ticks, or 1000. */
static const struct {
    enum later_left left;
    uint64_t after_10, after_1000, free_after_10, free_after_1000;
} rests[] = {
    {LATER_NOTHING, 490, 49000, 10, 1000},
    {LATER_SOON, 490, 49000, PAUSE, 1000},
    {LATER_COMMAND, 90, 9000, PAUSE, 1000},
    {LATER_SLOWLY, COLLECT, 49000, COLLECT, COLLECT},
};

static void check_rest(bool free, enum later_left left, uint64_t spent, uint64_t rest) {
    if (free) {
        start_with_free(3);
    } else {
        start();
    }
    fake_cpu = free ? 3 : 2;
    later_want(&l, &beta);
    fake_tsc = l.due_tsc;
    CHECK(later_begin(&l));
    fake_tsc += spent;
    later_end(&l, spent, left);
    CHECK(!l.busy);
    CHECK_U64(l.due_tsc, fake_tsc + rest);
    bool more = left != LATER_NOTHING;
    CHECK_U64(l.worker, more ? fake_cpu : LATER_NOBODY);
    if (more) {
        CHECK_U64(fake_cpus[fake_cpu].deadline, l.due_tsc);
    }
}

TEST(rests_of_each_kind) {
    for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
        check_rest(false, rests[i].left, 10, rests[i].after_10);
        check_rest(false, rests[i].left, 1000, rests[i].after_1000);
        check_rest(true, rests[i].left, 10, rests[i].free_after_10);
        check_rest(true, rests[i].left, 1000, rests[i].free_after_1000);
    }
}

/* Another guest came into focus meanwhile: its CPU has been called, and looks for itself. */
TEST(another_has_taken_over) {
    start();
    fake_cpu = 2;
    later_want(&l, &beta);
    fake_tsc = l.due_tsc;
    CHECK(later_begin(&l));
    later_want(&l, &alpha);
    memset(fake_cpus, 0, sizeof(fake_cpus));
    later_end(&l, 10, LATER_SOON);
    CHECK_U64(l.worker, 1);
    CHECK_U64(fake_cpus[2].deadline, 0);
    CHECK_U64(l.due_tsc, fake_tsc + 490);
}

/* What is done at once, in between, makes a rest longer and never shorter. */
TEST(work_at_once) {
    start();
    fake_cpu = 2;
    l.due_tsc = fake_tsc + 5;
    later_worked(&l, 10, LATER_COMMAND);
    CHECK_U64(l.due_tsc, fake_tsc + 90);
    later_worked(&l, 1, LATER_COMMAND);
    CHECK_U64(l.due_tsc, fake_tsc + 90);
}

TEST_MAIN(T(before_guests_run), T(the_first_free_cpu), T(whose_work_it_is), T(the_first_want),
          T(a_second_want), T(when_it_begins), T(rests_of_each_kind), T(another_has_taken_over),
          T(work_at_once))
