/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pause and resume with two vCPUs, each on a CPU of its own. */
#define CPUS 2u
#include "cpus.h"
#include "hv/vm/pause.h"
#include "hv/vm/snapshot.h"

static struct vcpu *v0, *v1;

static void cpu0(void) {
    for (;;) {
        life_step(v0);
    }
}

static void cpu1(void) {
    for (;;) {
        life_help(v1);
        plat_wait();
    }
}

static void ask(enum vm_command command) {
    CHECK(vm_command(&fake_public, command));
}

/* At a start the guest's TSC begins anew. */
static void ask_start(void) {
    cpus[0].guest_tsc = cpus[1].guest_tsc = 0;
    ask(VM_COMMAND_START);
}

/* Both started; the second one waits for its startup message. */
static void begin(void) {
    cpus_machine();
    fake_config.stop_timeout = 60;
    fake_create_two(&v0, &v1);
    fake_vm->vcpus[CPUS].duty = DUTY_RUN; /* beyond the last one: nobody waits for it */
    fake_public.state = VM_STOPPED;
    fake_kicked = 0;
    cpu_begin(0, cpu0);
    cpu_begin(1, cpu1);
    ask_start();
    steps(20);
    CHECK_U64(fake_public.state, VM_RUNNING);
    CHECK(cpus[0].turns != 0);
    CHECK_U64(cpus[1].turns, 0);
    told[0] = '\0';
}

static void send(enum apic_delivery mode, uint8_t vector) {
    vm_deliver(fake_vm, v0,
               &(struct apic_message){.vector = vector, .delivery_mode = mode, .destination = 1});
}

/* And the second one has got it. */
static void begin_both(void) {
    begin();
    send(APIC_SIPI, 8);
    steps(10);
    CHECK(cpus[1].turns != 0);
}

static void expect_paused(void) {
    unsigned turns[CPUS] = {cpus[0].turns, cpus[1].turns};

    CHECK_U64(fake_public.state, VM_PAUSED);
    CHECK(strstr(told, "paused: its clocks stand still") != NULL);
    fake_tsc += 100 * SECOND;
    steps(20);
    CHECK_U64(cpus[0].turns, turns[0]);
    CHECK_U64(cpus[1].turns, turns[1]);
}

static void pause_vm(void) {
    ask(VM_COMMAND_PAUSE);
    steps(10);
    expect_paused();
}

static void resume_vm(void) {
    ask(VM_COMMAND_RESUME);
    steps(10);
    CHECK_U64(fake_public.state, VM_RUNNING);
    CHECK(strstr(told, "resumed: its clocks are 100.000 s behind") != NULL);
}

/* ---- what stands and what waits ---- */

TEST(both_stop_and_go_on_and_time_has_stood_still) {
    begin_both();
    uint64_t devices = clock_now(&fake_vm->clock);
    pause_vm();
    unsigned turns = cpus[0].turns + cpus[1].turns;
    resume_vm();
    CHECK(cpus[0].turns + cpus[1].turns > turns + 4);
    CHECK_U64(v0->tsc_offset, v1->tsc_offset);
    CHECK_U64(v0->lapic.clock.offset, v0->tsc_offset);
    CHECK_U64(v1->lapic.clock.offset, v1->tsc_offset);
    CHECK(fake_tsc + v0->tsc_offset < SECOND);
    CHECK(clock_now(&fake_vm->clock) - devices < SECOND);
    CHECK_U64(fake_compartment_tsc, 0 - fake_vm->paused_ticks);
    CHECK(fake_vm->paused_ticks > 100 * SECOND);
}

TEST(a_guest_that_never_exits_by_itself_is_kicked) {
    begin_both();
    fake_kicked = 0;
    ask(VM_COMMAND_PAUSE);
    CHECK_U64(fake_kicked, BIT(0));
    step_cpu(0);
    CHECK_U64(fake_kicked & BIT(1), BIT(1));
    steps(10);
    expect_paused();
}

#define LVT_TIMER 0x320
#define INITIAL   0x380
#define DIVIDE    0x3e0

static unsigned pending(struct vcpu *v) {
    return v->lapic.reg[0x24][0]; /* IRR of 80h to 9Fh */
}

/* Of the second vCPU, on its CPU: 10 ms, with vector 81h. */
static void set_timer(void) {
    fake_cpu = 1;
    lapic_mmio_write(&v1->lapic, 0xf0, 4, 0x1ff);
    lapic_mmio_write(&v1->lapic, LVT_TIMER, 4, 0x81);
    lapic_mmio_write(&v1->lapic, DIVIDE, 4, 0xb);
    lapic_mmio_write(&v1->lapic, INITIAL, 4, LAPIC_TIMER_HZ / 100);
}

/* One of its 10 ms is over. */
TEST(a_timer_has_what_was_left_of_its_time) {
    begin_both();
    set_timer();
    fake_cpu = OPERATOR;
    fake_tsc += SECOND / 1000;
    pause_vm();
    CHECK_U64(cpus[1].deadline, 0);
    resume_vm();
    CHECK_U64(pending(v1), 0);
    CHECK(cpus[1].deadline > fake_tsc + SECOND / 125 && cpus[1].deadline < fake_tsc + SECOND / 100);
    fake_tsc += SECOND / 100;
    steps(4);
    CHECK_U64(pending(v1), BIT(1));
}

/* It fires when the CPU is on its way out. */
TEST(a_timer_that_fires_at_the_pause_is_not_lost) {
    begin_both();
    set_timer();
    vcpu_request(&v1->public, REQUEST_PAUSE);
    fake_tsc += SECOND / 50;
    hv_timer_expired();
    cpus[1].deadline = 0;
    v1->public.requests &= ~(uint32_t)REQUEST_TIMER; /* the loop has it, and then leaves */
    fake_cpu = OPERATOR;
    pause_vm();
    resume_vm();
    steps(4);
    CHECK_U64(pending(v1), BIT(1));
}

TEST(what_comes_meanwhile_waits) {
    begin_both();
    pause_vm();
    lapic_mmio_write(&v1->lapic, 0xf0, 4, 0x1ff);
    send(APIC_NMI, 0);
    steps(4);
    send(APIC_NMI, 0);
    send(APIC_FIXED, 0x82);
    vcpu_request(&v0->public, REQUEST_TYPED);
    fake_typed = 0;
    fake_can_interrupt = true;
    steps(10);
    CHECK_U64(v1->nmi_pending, 0);
    CHECK_U64(pending(v1), BIT(2));
    CHECK_U64(fake_typed, 0);
    fake_on_timer_set = NULL; /* the latch looks whether one can be taken at once */
    ask(VM_COMMAND_RESUME);
    step_cpu(0);
    step_cpu(1);
    step_cpu(1);
    CHECK(v1->event.type == EVENT_NMI || v1->nmi_used);
    CHECK_U64(v1->nmi_pending, 1);
    steps(10);
    CHECK_U64(fake_typed, 1);
}

TEST(registers_can_be_looked_at_meanwhile) {
    static struct vcpu_snapshot snapshot;
    begin_both();
    pause_vm();
    v1->regs[X86_RBX] = 0x1234;
    CHECK(vcpu_snapshot_ask(&v1->public, &snapshot));
    steps(4);
    CHECK(vcpu_snapshot_is_ready(&snapshot));
    CHECK_U64(snapshot.regs[X86_RBX], 0x1234);
    resume_vm();
}

TEST(who_sleeps_goes_on_sleeping) {
    begin_both();
    cpus[1].exit = EXIT_HLT;
    steps(10);
    CHECK(v1->halted && cpus[1].waits);
    unsigned turns = cpus[1].turns;
    pause_vm();
    CHECK(v1->halted);
    resume_vm();
    steps(20);
    CHECK(v1->halted);
    CHECK_U64(cpus[1].turns, turns);
    cpus[1].exit = EXIT_INTERRUPT;
    send(APIC_NMI, 0);
    steps(4);
    CHECK(!v1->halted);
    CHECK(cpus[1].turns > turns);
}

TEST(who_waits_for_a_startup_message_goes_on_waiting) {
    begin();
    pause_vm();
    resume_vm();
    CHECK(v1->waiting);
    CHECK_U64(cpus[1].turns, 0);
    strcpy(told, "");
    pause_vm();
    send(APIC_SIPI, 9);
    steps(10);
    CHECK(v1->waiting);
    ask(VM_COMMAND_RESUME);
    steps(10);
    CHECK(!v1->waiting);
    CHECK(cpus[1].turns != 0);
}

/* A startup message to one that runs is nothing, however late its CPU looks: INIT behind it has it
 * wait for another. */
TEST(a_startup_message_before_init_is_nothing) {
    for (unsigned looks = 0; looks < 2; looks++) {
        begin_both();
        pause_vm();
        send(APIC_SIPI, 9);
        steps(looks * 4);
        send(APIC_INIT, 0);
        steps(4);
        ask(VM_COMMAND_RESUME);
        steps(10);
        CHECK(v1->waiting);
        send(APIC_SIPI, 8);
        steps(4);
        CHECK(!v1->waiting);
    }
}

/* ---- what ends a pause ---- */

TEST(many_in_one_breath) {
    begin_both();
    unsigned turns = cpus[0].turns;
    for (unsigned i = 0; i < 5; i++) {
        ask(VM_COMMAND_PAUSE);
        ask(VM_COMMAND_RESUME);
        ask(VM_COMMAND_PAUSE);
        steps(50);
        expect_paused();
        ask(VM_COMMAND_RESUME);
        steps(50);
        CHECK_U64(fake_public.state, VM_RUNNING);
        CHECK_U64(v0->tsc_offset, v1->tsc_offset);
    }
    CHECK(cpus[0].turns > turns);
}

TEST(a_kill_ends_it_and_the_next_run_is_as_any_other) {
    begin_both();
    uint64_t offset = fake_vm->clock.offset;
    fake_vm->vcpus[2].paused_ticks = 5; /* the record of none */
    pause_vm();
    resume_vm();
    CHECK(fake_vm->clock.offset != offset);
    pause_vm();
    ask(VM_COMMAND_KILL);
    steps(20);
    CHECK_U64(fake_public.state, VM_STOPPED);
    ask_start();
    steps(50);
    CHECK_U64(fake_public.state, VM_RUNNING);
    CHECK(strstr(told, "stopped by the operator") != NULL);
    CHECK(!fake_vm->paused);
    CHECK_U64(fake_vm->clock.offset, offset);
    CHECK_U64(fake_vm->paused_ticks | v0->paused_ticks | v1->paused_ticks, 0);
    CHECK_U64(fake_vm->vcpus[2].paused_ticks, 5);
    send(APIC_SIPI, 8);
    unsigned turns = cpus[1].turns;
    steps(10);
    CHECK(cpus[1].turns > turns);
    CHECK_U64(v0->tsc_offset, v1->tsc_offset);
    strcpy(told, "");
    pause_vm();
    resume_vm();
}

TEST(a_stop_lets_it_go_on_and_presses_the_button) {
    begin_both();
    pause_vm();
    unsigned turns = cpus[1].turns;
    ask(VM_COMMAND_STOP);
    steps(10);
    CHECK_U64(fake_public.state, VM_STOPPING);
    CHECK(cpus[1].turns > turns);
    CHECK(strstr(told, "asked to switch off") != NULL);
    fake_tsc += 61 * SECOND;
    steps(10);
    CHECK_U64(fake_public.state, VM_STOPPED);
}

/* The second CPU ends the run instead of leaving the guest for a pause. */
TEST(a_guest_may_end_before_it_is_paused) {
    begin_both();
    ask(VM_COMMAND_PAUSE);
    step_cpu(0);
    CHECK_U64(fake_public.state, VM_PAUSED);
    fake_cpu = 1;
    vm_leave(fake_vm, LEAVE_POWER_OFF, "powered off by the guest");
    fake_cpu = OPERATOR;
    steps(20);
    CHECK_U64(fake_public.state, VM_OFF);
    CHECK(strstr(told, "paused") == NULL);
    ask_start();
    steps(50);
    CHECK_U64(fake_public.state, VM_RUNNING);
}

/* Then nobody waits for it. */
TEST(a_cpu_that_never_came) {
    begin();
    ask(VM_COMMAND_KILL);
    steps(20);
    cpus[1].waits = true;
    ask_start();
    for (unsigned i = 0; i < 20; i++) {
        v1->duty = DUTY_NONE;
        step_cpu(0);
    }
    CHECK_U64(fake_public.state, VM_RUNNING);
    ask(VM_COMMAND_PAUSE);
    step_cpu(0);
    step_cpu(0);
    CHECK_U64(fake_public.state, VM_PAUSED);
    CHECK(strstr(told, "paused: its clocks stand still") != NULL);
}

TEST_MAIN(T(both_stop_and_go_on_and_time_has_stood_still),
          T(a_guest_that_never_exits_by_itself_is_kicked), T(a_timer_has_what_was_left_of_its_time),
          T(a_timer_that_fires_at_the_pause_is_not_lost), T(what_comes_meanwhile_waits),
          T(registers_can_be_looked_at_meanwhile), T(who_sleeps_goes_on_sleeping),
          T(who_waits_for_a_startup_message_goes_on_waiting),
          T(a_startup_message_before_init_is_nothing), T(many_in_one_breath),
          T(a_kill_ends_it_and_the_next_run_is_as_any_other),
          T(a_stop_lets_it_go_on_and_presses_the_button), T(a_guest_may_end_before_it_is_paused),
          T(a_cpu_that_never_came))
