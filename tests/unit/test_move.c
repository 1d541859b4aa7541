/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM moves to the memory and the CPU of another one: what is copied, what is left, and what
 * becomes of it when the other is of another size or does not come. tests/system/test_move.py does
 * it with the vendors' structures and several vCPUs.
 */
#define CPUS 2u
#include "cpus.h"
#include "hv/vm/move.h"

static struct vm_public to_public;
static struct vm *to_vm;
static struct plan_vm to_plan;
static struct config_guest to_config;

static void cpu_from(void) {
    for (;;) {
        life_step(&fake_vm->vcpus[0]);
    }
}

static void cpu_to(void) {
    for (;;) {
        life_step(&to_vm->vcpus[0]);
    }
}

static uint8_t *ram_of(struct vm *vm) {
    return phys_pointer(vm->plan->regions[0].hpa);
}

/* The other one's RAM is of so many bytes, with nothing of the first in it. */
static void begin(uint64_t size) {
    static void *ram, *budget;

    free(ram);
    free(budget);
    ram = aligned_alloc(2 * MIB, size);
    budget = aligned_alloc(PAGE_SIZE, FAKE_BUDGET);
    memset(ram, 0x11, size);
    cpus_machine();

    to_config = fake_config;
    strcpy(to_config.name, "other");
    to_config.memory = size;
    to_plan = fake_plan;
    to_plan.config = &to_config;
    to_plan.cpus[0] = 1;
    to_plan.regions[0] = (struct plan_region){GPA(0), HPA((uintptr_t)ram), size};
    to_plan.budget_base = HPA((uintptr_t)budget);
    CHECK_U64(vm_create(&to_plan, &to_public, &to_vm), STATUS_OK);
    cpuid_init(&to_vm->vcpus[0]);

    fake_public.state = to_public.state = VM_STOPPED;
    fake_public.orders = to_public.orders = 0;
    fake_public.move_to = &to_public;
    fake_kicked = 0;
    cpu_begin(0, cpu_from);
    cpu_begin(1, cpu_to);
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
    steps(20);
    CHECK_U64(fake_public.state, VM_RUNNING);
    CHECK(vm_command(&fake_public, VM_COMMAND_PAUSE));
    steps(10);
    CHECK_U64(fake_public.state, VM_PAUSED);
    told[0] = '\0';
}

static bool all_pattern(const uint8_t *at, uint64_t size) {
    return at[0] == 0xa5 && memcmp(at, at + 1, size - 1) == 0;
}

TEST(all_is_copied_and_nothing_left) {
    begin(FAKE_RAM);
    struct vcpu *from = &fake_vm->vcpus[0], *to = &to_vm->vcpus[0];
    uint64_t region_size = fake_vm->compartment.region_size;
    uint8_t *ram = malloc(FAKE_RAM), *region = malloc(region_size);
    const uint8_t nothing[EXCHANGE_KEPT] = {0};
    uint64_t guest_now = cpus[0].guest_tsc;
    for (uint64_t i = 0; i < FAKE_RAM; i += 8) {
        memcpy(ram_of(fake_vm) + i, &i, 8);
    }
    to_vm->crashes = to_vm->restarts = 2; /* of what it was: forgiven */
    from->regs[X86_RBX] = 0x1122334455667788;
    from->lapic.reg[0x08][0] = 0x40;
    from->msr_slots[7] = 77;
    from->sipi_vector = 9;
    from->nmi_pending = 1;
    from->compartment.regs[X86_RDI] = 0x42;
    fake_vm->console_taken = fake_vm->shared->put = fake_vm->shared->taken = 5;
    memset(fake_vm->compartment.region, 0x33, PAGE_SIZE);
    memset(fake_vectors, 0x66, sizeof(fake_vectors));
    memcpy(ram, ram_of(fake_vm), FAKE_RAM);
    memcpy(region, fake_vm->compartment.region, region_size);

    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    step_cpu(0);
    memset(fake_vectors, 0, sizeof(fake_vectors)); /* another CPU's */
    steps(100);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(to_public.state, VM_PAUSED);
    CHECK(strstr(told, "fake: moved to other") != NULL);
    CHECK(strstr(told, "other: goes on in the place of another guest") != NULL);

    CHECK_U64(to_vm->crashes | to_vm->restarts, 0);
    CHECK(memcmp(ram_of(to_vm), ram, FAKE_RAM) == 0);
    CHECK(memcmp(to_vm->compartment.region, region, region_size) == 0);
    CHECK_U64(to->regs[X86_RBX], 0x1122334455667788);
    CHECK_U64(to->lapic.reg[0x08][0], 0x40);
    CHECK(to->lapic.ctx == to && to->vm == to_vm);
    CHECK_U64(to->msr_slots[7], 77);
    CHECK_U64(to->sipi_vector, 9);
    CHECK_U64(to->nmi_pending, 1);
    CHECK_U64(to->compartment.regs[X86_RDI], 0x42);
    CHECK_U64(to_vm->console_taken, 5);
    CHECK_U64(fake_vectors[3][1], 0x6666666666666666);
    CHECK_U64(fake_audits, to_vm->vcpu_count);
    CHECK((to->upcall_flags & UPCALL_UNWATCHED) != 0);

    CHECK(all_pattern(ram_of(fake_vm), FAKE_RAM));
    CHECK(memcmp(fake_vm->shared->kept, nothing, sizeof(nothing)) == 0);
    memset(fake_vm->shared->kept, 0xa5, sizeof(nothing));
    CHECK(all_pattern(fake_vm->compartment.region, region_size));
    CHECK(all_pattern((const uint8_t *)from->regs, sizeof(from->regs)));
    CHECK(all_pattern((const uint8_t *)from->saved, sizeof(*from->saved)));

    fake_hardware.vm = to_vm->shared; /* the compartment's program is this process */
    fake_tsc += 100 * SECOND;
    cpus[1].guest_tsc = guest_now;
    CHECK(vm_command(&to_public, VM_COMMAND_RESUME));
    steps(10);
    CHECK_U64(to_public.state, VM_RUNNING);
    CHECK(cpus[1].turns > 2);
    CHECK(cpus[1].guest_tsc - guest_now < SECOND);
    free(ram);
    free(region);
}

TEST(back_again) {
    begin(FAKE_RAM);
    to_public.move_to = &fake_public;
    for (unsigned i = 0; i < 3; i++) {
        memcpy(ram_of(fake_vm) + i, "x", 1);
        CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
        steps(100);
        CHECK_U64(to_public.state, VM_PAUSED);
        CHECK(vm_command(&to_public, VM_COMMAND_MOVE));
        steps(100);
        CHECK_U64(to_public.state, VM_STOPPED);
        CHECK_U64(fake_public.state, VM_PAUSED);
        CHECK(memcmp(ram_of(fake_vm), "xxx", i + 1) == 0);
        CHECK(all_pattern(ram_of(to_vm), FAKE_RAM));
    }
}

static void expect_unmoved(void) {
    CHECK_U64(fake_public.state, VM_PAUSED);
    CHECK(strstr(told, "fake: warning: not moved: other does not take it") != NULL);
    CHECK(!all_pattern(ram_of(fake_vm), FAKE_RAM));
    unsigned turns = cpus[0].turns;
    CHECK(vm_command(&fake_public, VM_COMMAND_RESUME));
    steps(10);
    CHECK(cpus[0].turns > turns);
}

TEST(not_to_one_of_another_size) {
    begin(2 * FAKE_RAM);
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(50);
    CHECK(strstr(told, "other: warning: cannot take another guest over") != NULL);
    CHECK_U64(to_public.state, VM_STOPPED);
    CHECK_U64(ram_of(to_vm)[0], 0x11);
    expect_unmoved();
}

TEST(not_to_one_that_does_not_come) {
    begin(FAKE_RAM);
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    step_cpu(0);
    fake_tsc += 2 * SECOND;
    for (unsigned i = 0; i < 10; i++) {
        step_cpu(0);
    }
    expect_unmoved();
    steps(50); /* and when it comes, nobody is there */
    CHECK_U64(to_public.state, VM_STOPPED);
    CHECK(strstr(told, "other: warning: cannot take another guest over") != NULL);
}

TEST_MAIN(T(all_is_copied_and_nothing_left), T(back_again), T(not_to_one_of_another_size),
          T(not_to_one_that_does_not_come))
