/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registers of a vCPU, asked for from its own CPU and from another, which may not answer. */
#include <pthread.h>

#include "fake_machine.h"
#include "hv/vm/snapshot.h"

static void *serve_one(void *ctx) {
    struct vcpu *v = ctx;
    while (__atomic_load_n(&v->public.requests, __ATOMIC_ACQUIRE) == 0) {
    }
    CHECK(vcpu_service(v));
    return NULL;
}

static void check_registers(const struct vcpu_snapshot *s) {
    CHECK_U64(s->regs[X86_RBX], 0x1234);
    CHECK_U64(s->regs[X86_RSP], 0x8000);
    CHECK_U64(s->system[HVM_RIP], 2 * MIB);
    CHECK_U64(s->segments[HVM_CS].attr, 0xa09b);
    CHECK(s->halted && !s->waiting && !s->off);
    CHECK_U64(recorder_exit(&s->recorder, 0)->tsc_low, 99);
    CHECK(recorder_exit(&s->recorder, 1) == NULL);
}

static struct vcpu *start(void) {
    struct vcpu *v = fake_machine_start();
    v->regs[X86_RBX] = 0x1234;
    v->halted = true;
    v->public.requests = 0;
    v->vm->public->state = VM_RUNNING;
    recorder_begin(&v->recorder)->tsc_low = 99;
    fake_regs[HVM_RSP] = 0x8000;
    fake_kicks = 0;
    return v;
}

TEST(on_its_own_cpu) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    v->vm->shared->counts.disks[ABI_DISKS - 1].pages = 77;
    CHECK(vcpu_snapshot_ask(&v->public, &s));
    CHECK(vcpu_snapshot_is_ready(&s));
    CHECK_U64(s.devices.disks[ABI_DISKS - 1].pages, 77);
    check_registers(&s);
    CHECK_U64(v->public.requests, 0);
    CHECK(!vcpu_snapshot_withdraw(&v->public, &s));
}

TEST(from_another_cpu) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    pthread_t thread;
    fake_cpu = 1;
    CHECK_U64(pthread_create(&thread, NULL, serve_one, v), 0);
    CHECK(vcpu_snapshot_ask(&v->public, &s));
    CHECK_U64(pthread_join(thread, NULL), 0);
    CHECK(vcpu_snapshot_is_ready(&s));
    check_registers(&s);
    CHECK_U64(fake_kicks, 1);
    CHECK(v->public.snapshot == NULL);
}

/* Between two runs its last exits can be had, and no registers. */
TEST(one_that_is_off) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    v->vm->public->state = VM_CRASHED;
    memset(&s, 0x55, sizeof(s));
    CHECK(vcpu_snapshot_ask(&v->public, &s));
    CHECK(vcpu_snapshot_is_ready(&s) && s.off);
    CHECK_U64(s.regs[X86_RBX], 0x5555555555555555);
    CHECK_U64(s.system[HVM_RIP], 0x5555555555555555);
    CHECK_U64(recorder_exit(&s.recorder, 0)->tsc_low, 99);
}

/* The kick is not left out because of requests that nobody takes. */
TEST(one_that_is_off_is_kicked) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    v->public.requests = REQUEST_LEAVE;
    fake_cpu = 1;
    CHECK(vcpu_snapshot_ask(&v->public, &s));
    CHECK_U64(fake_kicks, 1);
}

/* Who gives up takes the question back, and what answers too late writes nowhere. */
TEST(nobody_answers) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    fake_cpu = 1;
    CHECK(vcpu_snapshot_ask(&v->public, &s));
    CHECK(!vcpu_snapshot_is_ready(&s));
    struct vcpu_snapshot other = {.ready = 0};
    CHECK(!vcpu_snapshot_ask(&v->public, &other));      /* one at a time, */
    CHECK(!vcpu_snapshot_withdraw(&v->public, &other)); /* and each his own */
    CHECK(vcpu_snapshot_withdraw(&v->public, &s));
    CHECK(v->public.snapshot == NULL);
    memset(&s, 0x55, sizeof(s));
    CHECK(vcpu_service(v));
    CHECK_U64(s.regs[X86_RBX], 0x5555555555555555);
}

static struct vcpu *v_waits;

static void end_the_wait(void) {
    v_waits->public.requests |= REQUEST_LEAVE;
}

/* A vCPU that waits for its startup message answers, too, and goes on waiting. */
TEST(one_that_waits) {
    struct vcpu *v = start();
    struct vcpu_snapshot s = {.ready = 0};
    v_waits = v;
    v->waiting = true;
    v->public.snapshot = &s;
    v->public.requests = REQUEST_SNAPSHOT;
    fake_wait = end_the_wait;
    CHECK(!vcpu_service(v));
    CHECK(s.ready == 1 && s.waiting && v->waiting);
}

/* To other CPUs a vCPU is its public part, which has its pages for itself. */
TEST(what_others_see_lies_apart) {
    struct vcpu *v = start();
    CHECK(fake_public.vcpus[0] == &v->public);
    CHECK_U64(v->public.cpu, v->cpu);
    CHECK_U64((uintptr_t)&v->public % PAGE_SIZE, 0);
    CHECK_U64(offsetof(struct vcpu, public) + ALIGN_UP(sizeof(v->public), PAGE_SIZE), sizeof(*v));
}

TEST_MAIN(T(on_its_own_cpu), T(from_another_cpu), T(one_that_is_off), T(one_that_is_off_is_kicked),
          T(nobody_answers), T(one_that_waits), T(what_others_see_lies_apart))
