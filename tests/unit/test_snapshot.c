/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registers of a vCPU, asked for from its own CPU and from another, which may not answer. */
#include <pthread.h>

#include "fake_machine.h"
#include "hv/vm/snapshot.h"

static void *serve_one(void *ctx) {
    struct vcpu *v = ctx;
    while (__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) == 0) {
    }
    CHECK(vcpu_service(v));
    return NULL;
}

static void check_registers(const struct vcpu_snapshot *s) {
    CHECK_U64(s->regs[X86_RBX], 0x1234);
    CHECK_U64(s->regs[X86_RSP], 0x8000);
    CHECK_U64(s->system[HVM_RIP], 2 * MIB);
    CHECK_U64(s->segments[HVM_CS].attr, 0xa09b);
    CHECK(s->halted);
}

static struct vcpu *start(void) {
    struct vcpu *v = fake_machine_start();
    v->regs[X86_RBX] = 0x1234;
    v->halted = true;
    v->requests = 0;
    fake_regs[HVM_RSP] = 0x8000;
    fake_kicks = 0;
    return v;
}

TEST(on_its_own_cpu) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    vcpu_snapshot_ask(v, &s);
    CHECK(vcpu_snapshot_is_ready(&s));
    check_registers(&s);
    CHECK_U64(v->requests, 0);
    CHECK(!vcpu_snapshot_withdraw(v));
}

TEST(from_another_cpu) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    pthread_t thread;
    fake_cpu = 1;
    CHECK_U64(pthread_create(&thread, NULL, serve_one, v), 0);
    vcpu_snapshot_ask(v, &s);
    CHECK_U64(pthread_join(thread, NULL), 0);
    CHECK(vcpu_snapshot_is_ready(&s));
    check_registers(&s);
    CHECK_U64(fake_kicks, 1);
    CHECK(v->snapshot == NULL);
}

/* Who gives up takes the question back, and what answers too late writes nowhere. */
TEST(nobody_answers) {
    struct vcpu *v = start();
    struct vcpu_snapshot s;
    fake_cpu = 1;
    vcpu_snapshot_ask(v, &s);
    CHECK(!vcpu_snapshot_is_ready(&s));
    CHECK(vcpu_snapshot_withdraw(v));
    CHECK(v->snapshot == NULL);
    memset(&s, 0x55, sizeof(s));
    CHECK(vcpu_service(v));
    CHECK_U64(s.regs[X86_RBX], 0x5555555555555555);
}

TEST_MAIN(T(on_its_own_cpu), T(from_another_cpu), T(nobody_answers))
