/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM moves to the memory and the CPU of another one: what is copied, what is left, and what
 * becomes of it when the other is of another size or does not come. tests/system/test_move.py does
 * it with the vendors' structures and several vCPUs.
 */
#define CPUS 2u
#include "cpus.h"

#include "fake_windows.h"
#include "hv/abi.h"
#include "hv/vm/memory.h"
#include "hv/vm/move.h"
#include "other_vm.h"

static void (*to_plan_more)(struct plan_vm *plan); /* beside its RAM */

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
    cpus_machine();
    other_plan(size, 0x11, 1);
    if (to_plan_more != NULL) {
        to_plan_more(&to_plan);
    }
    CHECK_U64(vm_create(&to_plan, &to_public, &to_vm), STATUS_OK);
    cpuid_init(&to_vm->vcpus[0]);
    CHECK_U64(vm_keep_plan(fake_vm), STATUS_OK);
    CHECK(fake_vm->mem.regions == fake_vm->plan->regions); /* boot's are gone soon */
    CHECK_U64(vm_keep_plan(to_vm), STATUS_OK);

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
    fake_vm->paused_ticks = from->paused_ticks = 4711; /* of a pause before */
    fake_vm->bios_calls_left = 3;
    fake_vm->next_lowest = 6;
    uint64_t paused_since = fake_vm->paused_since;
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
    CHECK_U64(to_vm->paused_ticks, 4711);
    CHECK_U64(to->paused_ticks, 4711);
    CHECK_U64(to_vm->bios_calls_left, 3);
    CHECK_U64(to_vm->next_lowest, 6);
    CHECK_U64(to_vm->paused_since, paused_since);
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

/* ---- all of a record ---- */

#define HELD (REQUEST_CLOCKS | REQUEST_TYPED)

static ALIGNED(PAGE_SIZE) uint8_t other_high_ram[PAGE_SIZE], behind[2][PAGE_SIZE];

/* A page of RAM from 4 GiB on. Behind it, and behind the windows, stands what is none of the VM's.
 */
static void add_high_ram(struct plan_vm *plan, uint8_t *page, uint8_t *none) {
    plan->region_count = 2;
    plan->regions[2] = (struct plan_region){GPA(0), HPA((uintptr_t)page), PAGE_SIZE};
    plan->regions[1] = (struct plan_region){GPA(PLAN_HIGH_RAM), HPA((uintptr_t)page), PAGE_SIZE};
    plan->windows[plan->window_count] =
        (struct plan_window){GPA(0), HPA((uintptr_t)none), PAGE_SIZE, PLAN_STORE};
}

static void add_first_high_ram(struct plan_vm *plan) {
    add_high_ram(plan, fake_high_ram, behind[0]);
}

static void add_second_high_ram(struct plan_vm *plan) {
    add_high_ram(plan, other_high_ram, behind[1]);
}

static void fill_record(struct vcpu *v) {
    v->window_interrupt = v->window_nmi = v->nmi_used = true;
    v->halted = v->waiting = true;
    v->event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_GP, .error = 0x1234};
    v->apic_due = 0x111111;
    v->clocks_due = 0x222222;
    v->tsc_offset = 0x333333;
    v->upcall_flags = UPCALL_ENDS;
    v->ended[3] = BIT(63);
    v->cpuid.entries[CPUID_MAX_ENTRIES - 1].out[3] = 0x444444;
    v->held = HELD;
    fake_regs[HVM_GS_BASE] = 0x555555;
}

static void check_record(const struct vcpu *v) {
    CHECK(v->window_interrupt && v->window_nmi && v->nmi_used);
    CHECK(v->halted && v->waiting);
    CHECK_U64(v->event.vector, X86_GP);
    CHECK_U64(v->event.error, 0x1234);
    CHECK_U64(v->apic_due, 0x111111);
    CHECK_U64(v->clocks_due, 0x222222);
    CHECK_U64(v->tsc_offset, 0x333333);
    CHECK_U64(v->upcall_flags, UPCALL_ENDS | UPCALL_UNWATCHED);
    CHECK_U64(v->ended[3], BIT(63));
    CHECK_U64(v->cpuid.entries[CPUID_MAX_ENTRIES - 1].out[3], 0x444444);
    CHECK_U64((v->public.requests | v->held) & HELD, HELD);
    CHECK((v->public.requests & REQUEST_EVENT) != 0 || (v->held & REQUEST_EVENT) != 0);
    CHECK_U64(fake_regs[HVM_GS_BASE], 0x555555);
}

TEST(a_record_is_copied_whole) {
    fake_plan_more = add_first_high_ram;
    to_plan_more = add_second_high_ram;
    begin(FAKE_RAM);
    fake_plan_more = to_plan_more = NULL;
    struct vcpu *to = &to_vm->vcpus[0];
    uint8_t own_cr8, *cr8 = to->lapic.cr8 = &own_cr8;
    memset(fake_high_ram, 0x77, PAGE_SIZE);
    behind[0][0] = 0x11;
    behind[1][0] = 0x22;
    fill_record(&fake_vm->vcpus[0]);
    fake_vm->vcpus[0].lapic.descriptor.requests[3] = 0x5678;
    fake_vm->vcpus[0].lapic.descriptor.notify = 0x700a00000;
    to->lapic.descriptor.notify = 0x800a00000; /* its CPU's */
    fake_vm->clock.offset = 0x666666;
    to->bell_waits = true;
    fake_interrupts_taken = 0;

    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    step_cpu(0);
    fake_regs[HVM_GS_BASE] = 0; /* another CPU's */
    steps(100);
    CHECK_U64(to_public.state, VM_PAUSED);
    check_record(to);
    CHECK(to_vm->live);
    CHECK(!to->bell_waits);
    CHECK(to->lapic.cr8 == cr8);
    CHECK_U64(to->lapic.descriptor.requests[3], 0x5678);
    CHECK_U64(to->lapic.descriptor.notify, 0x800a00000 | LAPIC_NOTIFIED);
    CHECK_U64(to_vm->clock.offset, 0x666666);
    CHECK_U64(other_high_ram[0], 0x77);
    CHECK_U64(behind[1][0], 0x22);
    CHECK(ram_of(to_vm)[0] != 0x77);
    CHECK_U64(other_high_ram[PAGE_SIZE - 1], 0x77);
    CHECK(all_pattern(fake_high_ram, PAGE_SIZE));
    CHECK(all_pattern((const uint8_t *)fake_vm->vcpus[0].lapic.reg, sizeof(to->lapic.reg)));
    CHECK_U64(cpus[0].deadline, 0);
    /* Between the pieces that are copied, and between those that are overwritten; the region is one
     * piece to be copied, and what a vCPU has saved another. */
    uint64_t written = (fake_vm->compartment.region_size + 16 * KIB - 1) / (16 * KIB);
    CHECK(fake_interrupts_taken >= 2 * (FAKE_RAM / MIB + 1) + written + 2);
}

/* Of KVM's PV EOI: the copy ends its interrupts in its own memory. */
TEST(its_word_for_ends_is_in_its_own_memory) {
    begin(FAKE_RAM);
    struct vcpu *from = &fake_vm->vcpus[0];
    struct vmexit x = {.kind = EXIT_WRMSR, .insn_len = 2};
    from->regs[X86_RCX] = KVM_MSR_PV_EOI;
    from->regs[X86_RAX] = 0x3004 | KVM_MSR_ON;
    from->regs[X86_RDX] = 0;
    CHECK_U64(fake_exit(from, &x), ACTION_NEXT);
    CHECK((const uint8_t *)from->lapic.pv_eoi == ram_of(fake_vm) + 0x3004);
    vm_memory_let_go(); /* the window is its own CPU's, which the fake ones share */

    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(to_public.state, VM_PAUSED);
    CHECK((const uint8_t *)to_vm->vcpus[0].lapic.pv_eoi == ram_of(to_vm) + 0x3004);
    vm_memory_let_go();
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

static void wait_in_vain(void) {
    fake_tsc += SECOND;
}

/* One at a time: who comes second is not on its way, whatever becomes of the first. */
TEST(not_while_another_is_on_its_way) {
    begin(FAKE_RAM);
    fake_wait = wait_in_vain;
    fake_on_timer_set = NULL;
    fake_public.move_to = &fake_public; /* to somebody else */
    CHECK(vm_move_offer(fake_vm));
    CHECK(!vm_move_offer(to_vm));
    CHECK_U64(vm_move_take(to_vm), STATUS_NOT_FOUND);
    CHECK(!vm_move_wait(fake_vm));
    CHECK(!all_pattern(ram_of(fake_vm), FAKE_RAM));
    CHECK(vm_move_offer(to_vm));
    CHECK(!vm_move_wait(to_vm));
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

/* ---- disks, images and wires ---- */

#define STORE_SIZE (2 * MIB + PAGE_SIZE)

/* Both have a channel to a third VM, on CPU 3, and one to each other. Files are the same ones. */
static ALIGNED(2 * MIB) uint8_t frames[8 * MIB];
static struct vcpu_public third_vcpu;
static struct vm_public third;

/* The same windows as fake_windows_add(), and a second channel. */
static void add_places(struct plan_vm *plan, uint64_t store, uint64_t ours, uint64_t theirs,
                       uint64_t ours_of_both, uint64_t theirs_of_both, uint32_t other_cpu) {
    const hpa_t at = HPA((uintptr_t)frames);
    uint32_t n;

    fake_windows_add(plan);
    plan->windows[2].hpa.v = at.v + store;
    plan->windows[3].hpa.v = at.v + ours;
    plan->windows[4].hpa.v = at.v + theirs;
    for (n = 5; n < 7; n++) {
        plan->windows[n] = plan->windows[n - 2];
        plan->windows[n].gpa.v += 2 * CHANNEL_HALF;
    }
    plan->windows[5].hpa.v = at.v + ours_of_both;
    plan->windows[6].hpa.v = at.v + theirs_of_both;
    plan->window_count = n;
    /* None of its windows: it stays what it is. */
    plan->windows[n] = (struct plan_window){.kind = PLAN_OURS, .hpa = HPA(at.v + store)};
    plan->devices.channel_count = 2;
    plan->devices.disk_count = 2 + other_cpu;
    plan->bell_cpus[0] = 3;
    plan->bell_cpus[1] = other_cpu;
    plan->devices.nets[0].mac[5] = (uint8_t)(1 + other_cpu);
}

#define FIRST_STORE  (0 * MIB)
#define SECOND_STORE (3 * MIB)
#define CHANNEL(n)   (6 * MIB + (n)*CHANNEL_HALF)

static void add_first_place(struct plan_vm *plan) {
    add_places(plan, FIRST_STORE, CHANNEL(0), CHANNEL(1), CHANNEL(4), CHANNEL(5), 1);
}

static void add_second_place(struct plan_vm *plan) {
    add_places(plan, SECOND_STORE, CHANNEL(2), CHANNEL(3), CHANNEL(5), CHANNEL(4), 0);
    plan->windows[plan->window_count].size = PAGE_SIZE; /* nor need it be like the other's */
}

static void begin_with_places(void (*second)(struct plan_vm *plan)) {
    fake_plan_more = add_first_place;
    to_plan_more = second;
    begin(FAKE_RAM);
    fake_plan_more = to_plan_more = NULL;
    third_vcpu = (struct vcpu_public){.cpu = 3};
    third = (struct vm_public){.vcpus = {&third_vcpu}, .hears = &third};
    vm_of_cpu[3] = &third;
}

/* What its compartment's tables say. */
static uint64_t shown(const struct vm *vm, uint64_t gpa) {
    struct pagetable_leaf leaf;

    CHECK_U64(pagetable_lookup(&vm->compartment.npt, gpa, &leaf), STATUS_OK);
    return leaf.hpa.v + (gpa - leaf.address) - (uintptr_t)frames;
}

static void expect_place(const struct vm *vm, unsigned ours, unsigned theirs, unsigned both,
                         uint32_t bell, uint8_t mac) {
    CHECK_U64(shown(vm, FAKE_OURS), CHANNEL(ours));
    CHECK_U64(shown(vm, FAKE_THEIRS), CHANNEL(theirs));
    CHECK_U64(shown(vm, FAKE_THEIRS + CHANNEL_HALF), CHANNEL(both));
    CHECK_U64(shown(vm, FAKE_THEIRS + CHANNEL_HALF - PAGE_SIZE),
              CHANNEL(theirs) + CHANNEL_HALF - PAGE_SIZE);
    CHECK_U64(vm->plan->bell_cpus[1], bell);
    CHECK_U64(vm->plan->devices.nets[0].mac[5], mac);
    CHECK_U64(vm->plan->devices.disk_count, 1u + mac);
    for (uint32_t i = 0; i < vm->plan->window_count; i++) {
        struct pagetable_leaf leaf;
        const struct plan_window *w = &vm->plan->windows[i];
        unsigned writable = w->kind == PLAN_STORE || w->kind == PLAN_OURS ? PAGE_WRITE : 0;
        CHECK_U64(pagetable_lookup(&vm->compartment.npt, w->gpa.v, &leaf), STATUS_OK);
        CHECK_U64(leaf.hpa.v + (w->gpa.v - leaf.address), w->hpa.v);
        CHECK_U64(leaf.access, PAGE_READ | writable);
    }
}

/* Who hears the bell of a channel of vm's. */
static bool hears(struct vm *vm, unsigned channel, struct vcpu_public *who) {
    struct vcpu *v = &vm->vcpus[0];

    __atomic_store_n(&who->rung, 0, __ATOMIC_SEQ_CST);
    v->exchange->bells = BIT(channel);
    CHECK(told_take(v, TOLD_BELLS));
    return who->rung != 0;
}

/* The third one rings where it always did. */
static struct vcpu_public *third_reaches(unsigned cpu) {
    return vm_of_cpu[cpu]->hears->vcpus[0];
}

/* Of a VM that has the first one's place, or the second one's. */
static void expect_public(const struct vm_public *p, bool first) {
    CHECK_STR(p->wires[0], first ? "lan" : "wan");
    CHECK_U64(p->links, first ? 0 : 5);
    CHECK_U64(p->wire_count, first ? 1 : 3);
    CHECK_U64(p->disk_count, first ? 3 : 2);
    CHECK_U64(p->has_vsock, first);
}

TEST(what_others_know_of_it_goes_along) {
    begin_with_places(add_second_place);
    to_public.move_to = &fake_public;
    fake_public.links = 0; /* its cable is pulled */
    fake_public.wire_count = 1;
    fake_public.disk_count = 3;
    fake_public.has_vsock = true;
    strcpy(fake_public.wires[0], "lan");
    to_public.links = 5;
    to_public.wire_count = 3;
    to_public.disk_count = 2;
    to_public.has_vsock = false;
    strcpy(to_public.wires[0], "wan");
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(to_public.state, VM_PAUSED);
    expect_public(&to_public, true);
    expect_public(&fake_public, false);
    CHECK(vm_command(&to_public, VM_COMMAND_MOVE));
    steps(100);
    expect_public(&fake_public, true);
    expect_public(&to_public, false);
}

TEST(a_disk_and_its_wires_go_along) {
    begin_with_places(add_second_place);
    for (unsigned i = 0; i < STORE_SIZE; i++) {
        frames[FIRST_STORE + i] = (uint8_t)(i * 7 + i / 4096);
    }
    uint8_t *before = malloc(STORE_SIZE);
    memcpy(before, frames + FIRST_STORE, STORE_SIZE);
    memset(frames + CHANNEL(0), 0x77, 6 * CHANNEL_HALF);
    to_vm->vcpus[0].public.rung = 1; /* of its last run */
    to_vm->vcpus[0].bell_due = UINT64_MAX;
    expect_place(fake_vm, 0, 1, 4, 1, 2);
    expect_place(to_vm, 2, 3, 5, 0, 1);

    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(to_public.state, VM_PAUSED);

    CHECK(memcmp(frames + SECOND_STORE, before, STORE_SIZE) == 0);
    CHECK(all_pattern(frames + FIRST_STORE, STORE_SIZE));
    CHECK(frames[FIRST_STORE + STORE_SIZE] != 0xa5);
    CHECK_U64(frames[CHANNEL(0)], 0x77);
    CHECK_U64(frames[CHANNEL(6) - 1], 0x77);
    expect_place(to_vm, 0, 1, 4, 1, 2);
    expect_place(fake_vm, 2, 3, 5, 0, 1);

    /* It may have missed a bell: it looks. */
    struct vcpu *to = &to_vm->vcpus[0];
    CHECK((to->public.requests & REQUEST_CHANNELS) != 0 || (to->held & REQUEST_CHANNELS) != 0);
    CHECK_U64(to->public.rung, 1); /* not of its last run: the other one, which has ended, rang */
    CHECK_U64(to->bell_due, 0);
    CHECK(third_reaches(0) == &to->public);
    CHECK(third_reaches(1) == &fake_vm->vcpus[0].public);
    CHECK(hears(to_vm, 0, &third_vcpu));
    CHECK(hears(to_vm, 1, &fake_vm->vcpus[0].public));
    CHECK(hears(fake_vm, 1, &to->public));
    free(before);
}

/* Without disks and images, the first window is one of a channel. */
static void leave_wires_alone(struct plan_vm *plan) {
    memmove(plan->windows, plan->windows + 3, 5 * sizeof(plan->windows[0]));
    plan->window_count = 4;
}

static void add_first_wires(struct plan_vm *plan) {
    add_first_place(plan);
    leave_wires_alone(plan);
}

static void add_second_wires(struct plan_vm *plan) {
    add_second_place(plan);
    leave_wires_alone(plan);
}

TEST(wires_alone_go_along) {
    fake_plan_more = add_first_wires;
    to_plan_more = add_second_wires;
    begin(FAKE_RAM);
    fake_plan_more = to_plan_more = NULL;
    uint64_t spare = to_vm->plan->windows[4].hpa.v;
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(to_public.state, VM_PAUSED);
    CHECK_U64(shown(to_vm, FAKE_OURS), CHANNEL(0));
    CHECK_U64(shown(to_vm, FAKE_THEIRS), CHANNEL(1));
    CHECK_U64(shown(fake_vm, FAKE_OURS), CHANNEL(2));
    CHECK_U64(shown(fake_vm, FAKE_THEIRS), CHANNEL(3));
    CHECK_U64(to_vm->plan->windows[4].hpa.v, spare);
}

/* There and back, all is as the plan had it. */
TEST(a_place_comes_back) {
    begin_with_places(add_second_place);
    to_public.move_to = &fake_public;
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK(vm_command(&to_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(fake_public.state, VM_PAUSED);
    expect_place(fake_vm, 0, 1, 4, 1, 2);
    expect_place(to_vm, 2, 3, 5, 0, 1);
    CHECK(third_reaches(0) == &fake_vm->vcpus[0].public);
    CHECK(third_reaches(1) == &to_vm->vcpus[0].public);
}

static unsigned odd; /* which rule the other one breaks */

static void add_odd_place(struct plan_vm *plan) {
    add_second_place(plan);
    struct plan_window *w = plan->windows;

    switch (odd) {
    case 0:
        plan->window_count = 0;
        break;
    case 1:
        w[0].hpa.v += PAGE_SIZE; /* another file */
        break;
    case 2:
        w[1].hpa.v += PAGE_SIZE; /* another image in memory */
        break;
    case 3:
        w[2].size -= PAGE_SIZE; /* a smaller store */
        break;
    case 4:
        w[2].gpa.v += PAGE_SIZE; /* it lies elsewhere */
        break;
    default:
        w[3].kind = PLAN_THEIRS;
        break;
    }
}

TEST(not_to_one_with_other_windows) {
    for (odd = 0; odd <= 5; odd++) {
        begin_with_places(add_odd_place);
        CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
        steps(50);
        CHECK(strstr(told, "other: warning: cannot take another guest over") != NULL);
        CHECK_U64(to_public.state, VM_STOPPED);
        expect_place(fake_vm, 0, 1, 4, 1, 2);
        expect_unmoved();
    }
}

/* So far away that its tables of small pages do not go through one window of the host's. */
static void add_far_image(struct plan_vm *plan) {
    fake_windows_add(plan);
    plan->windows[0].gpa = GPA(300 * GIB);
    plan->window_count = 1;
    plan->devices.channel_count = 0;
}

TEST(a_large_region_is_copied_whole) {
    fake_plan_more = to_plan_more = add_far_image;
    fake_last_extended = 0x80000000;
    begin(FAKE_RAM);
    fake_last_extended = 0x80000021;
    fake_plan_more = to_plan_more = NULL;
    uint64_t last = fake_vm->compartment.region_size - 1;
    CHECK(last >= PLAT_WINDOW_SIZE);
    fake_vm->compartment.region[last] = 0x33;
    CHECK(vm_command(&fake_public, VM_COMMAND_MOVE));
    steps(100);
    CHECK_U64(to_public.state, VM_PAUSED);
    CHECK_U64(to_vm->compartment.region[last], 0x33);
}

TEST_MAIN(T(all_is_copied_and_nothing_left), T(a_record_is_copied_whole),
          T(its_word_for_ends_is_in_its_own_memory), T(back_again), T(not_to_one_of_another_size),
          T(not_while_another_is_on_its_way), T(not_to_one_that_does_not_come),
          T(a_disk_and_its_wires_go_along), T(what_others_know_of_it_goes_along),
          T(wires_alone_go_along), T(a_place_comes_back), T(not_to_one_with_other_windows),
          T(a_large_region_is_copied_whole))
