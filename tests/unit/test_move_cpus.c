/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM of two vCPUs moves to another one's CPUs: each vCPU is taken on a CPU of its own. */
#define CPUS 4u
#include "cpus.h"

#include "other_vm.h"

#define TO 2u /* the first of the other VM's CPUs */

static struct vcpu *from[2], *to[2];

static void first_cpu(struct vcpu *v) {
    for (;;) {
        life_step(v);
    }
}

static void second_cpu(struct vcpu *v) {
    for (;;) {
        life_help(v);
        plat_wait();
    }
}

static void cpu_of_from0(void) {
    first_cpu(from[0]);
}

static void cpu_of_from1(void) {
    second_cpu(from[1]);
}

static void cpu_of_to0(void) {
    first_cpu(to[0]);
}

static void cpu_of_to1(void) {
    second_cpu(to[1]);
}

static void make_other(void) {
    other_plan(FAKE_RAM, 0, TO);
    CHECK_U64(vm_create(&to_plan, &to_public, &to_vm), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
        to[i] = &to_vm->vcpus[i];
        to[i]->public.presence = VCPU_HERE;
        cpuid_init(to[i]);
    }
}

static void startup(struct vm *vm) {
    vm_deliver(vm, &vm->vcpus[0],
               &(struct apic_message){.vector = 8, .delivery_mode = APIC_SIPI, .destination = 1});
}

/* Both vCPUs of the one have run, and are paused. */
static void begin(void) {
    static void (*const mains[CPUS])(void) = {cpu_of_from0, cpu_of_from1, cpu_of_to0, cpu_of_to1};

    cpus_machine();
    fake_create_two(&from[0], &from[1]);
    make_other();
    CHECK_U64(vm_keep_plan(fake_vm), STATUS_OK);
    CHECK_U64(vm_keep_plan(to_vm), STATUS_OK);
    fake_public.state = to_public.state = VM_STOPPED;
    fake_public.orders = to_public.orders = 0;
    fake_public.move_to = &to_public;
    fake_kicked = 0;
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        cpu_begin(cpu, mains[cpu]);
    }
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
    steps(40);
    startup(fake_vm);
    steps(20);
    CHECK(cpus[0].turns != 0 && cpus[1].turns != 0);
    CHECK(vm_command(&fake_public, VM_COMMAND_PAUSE));
    steps(20);
    CHECK_U64(fake_public.state, VM_PAUSED);
    told[0] = '\0';
}

static void move(void) {
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(to_public.state, VM_PAUSED);
}

TEST(each_is_taken_by_a_cpu_of_its_own) {
    begin();
    from[0]->regs[X86_RBX] = 0x1111;
    from[1]->regs[X86_RBX] = 0x2222;
    fake_audits = 0;
    fake_live_resets = fake_compartment_resets = 0;
    to[1]->public.requests = REQUEST_NMI | REQUEST_INIT; /* of its last run */
    move();
    CHECK_U64(to[0]->regs[X86_RBX], 0x1111);
    CHECK_U64(to[1]->regs[X86_RBX], 0x2222);
    CHECK_U64(fake_audits, 2);
    CHECK_U64(fake_live_resets, 2); /* as at a power-up, before the other's state */
    CHECK_U64(fake_compartment_resets, 2);
    CHECK_U64((to[1]->public.requests | to[1]->held) & ~(uint32_t)REQUEST_EVENT, 0);
    CHECK(to[1]->paused);
    CHECK_U64(to[0]->duty, DUTY_NONE);
    CHECK_U64(to_vm->vcpus[2].duty, DUTY_NONE); /* the record of none */
    CHECK_U64(cpus[TO].turns + cpus[TO + 1].turns, 0);
}

TEST(both_go_on_and_can_be_stopped) {
    begin();
    move();
    unsigned left[2] = {cpus[0].turns, cpus[1].turns};
    fake_hardware.vm = to_vm->shared; /* the compartment's program is this process */
    CHECK(vm_command(&to_public, VM_COMMAND_RESUME));
    steps(40);
    CHECK_U64(to_public.state, VM_RUNNING);
    CHECK(cpus[TO].turns > 2 && cpus[TO + 1].turns > 2);
    CHECK_U64(to[0]->tsc_offset, to[1]->tsc_offset);
    CHECK_U64(cpus[0].turns, left[0]);
    CHECK_U64(cpus[1].turns, left[1]);
    CHECK(vm_command(&to_public, VM_COMMAND_KILL));
    steps(40);
    CHECK_U64(to_public.state, VM_STOPPED);
    CHECK_U64(to[1]->duty, DUTY_NONE);
}

TEST_MAIN(T(each_is_taken_by_a_cpu_of_its_own), T(both_go_on_and_can_be_stopped))
