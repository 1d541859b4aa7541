/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPUs of a VM at its start and end: who powers up in what state, who is kicked and waited for,
 * what a CPU does for ever. Three vCPUs, on the CPUs 4, 5 and 6 of the fake machine.
 */
#include <setjmp.h>

#include "fake_machine.h"
#include "hv/lib/phys.h"

#define CPUS  3u
#define FIRST 4u

static struct vcpu *v0, *v1, *v2;
static char told[0x4000];
static size_t told_length;

static uint64_t now_us(void) {
    return 0;
}

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    fake_traces_cleared = 0;
    if (told_length + length < sizeof(told)) {
        memcpy(told + told_length, line, length);
        told_length += length;
        told[told_length] = '\0';
    }
}

/* Each other CPU does its duty when the first one waits: one of them each time, the last first. */
static unsigned waits;
static void other_cpu(void) {
    unsigned before = fake_cpu;
    struct vcpu *v = waits % 2 == 0 ? v2 : v1;
    waits++;
    if (waits > 1000) {
        abort(); /* waits for ever */
    }
    fake_cpu = v->cpu;
    life_help(v);
    fake_cpu = before;
}

static unsigned loops[CPUS];
static void (*guest)(struct vcpu *v);

static void loop(struct vcpu *v) {
    CHECK(fake_traces_cleared != 0); /* after the last line of the log, on each CPU */
    fake_traces_cleared = 0;
    loops[v->index]++;
    fake_deadline = 12345; /* some timer of the guest's */
    if (guest != NULL) {
        guest(v);
    }
    if (v->index == 0) {
        vm_leave(v->vm, LEAVE_POWER_OFF, "off");
    }
}

static void begin(void) {
    static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};
    static uint8_t file[64];
    static struct boot_image image;
    image.base = HPA((uintptr_t)file);
    image.size = sizeof(file);
    log_init(&hooks, LOG_INFO);
    told_length = 0;
    told[0] = '\0';
    fake_tsc = 1000000;
    (void)fake_machine_start();
    fake_plan.kernel = &image;
    fake_plan.cpu_count = CPUS;
    for (unsigned i = 0; i < CPUS; i++) {
        fake_plan.cpus[i] = (uint16_t)(FIRST + i);
    }
    CHECK_U64(vm_create(&fake_plan, &fake_public, &fake_vm), STATUS_OK);
    v0 = &fake_vm->vcpus[0];
    v1 = &fake_vm->vcpus[1];
    v2 = &fake_vm->vcpus[2];
    for (unsigned i = 0; i < CPUS; i++) {
        cpuid_init(&fake_vm->vcpus[i]);
        fake_vm->vcpus[i].public.presence = VCPU_HERE;
    }
    fake_cpu = FIRST;
    fake_ops.loop = loop;
    fake_wait = other_cpu;
    fake_config.on_crash = ON_CRASH_STOP;
    fake_config.start_auto = true;
    fake_public.state = VM_STARTING;
    guest = NULL;
    waits = 0;
    memset(loops, 0, sizeof(loops));
    fake_kicks = 0;
    fake_kicked = 0;
}

static void check_power_up(struct vcpu *v) {
    CHECK_U64(v->tsc_offset, 0 - fake_tsc); /* all with one TSC, which begins at 0 */
    CHECK_U64(v->waiting, v != v0);
    CHECK_U64(v->public.requests & ~(uint32_t)(REQUEST_EVENT | REQUEST_LEAVE), 0);
    CHECK_U64(fake_regs[HVM_RIP], 0xfff0);
    /* What its last run had left. */
    CHECK(!cpuid_has(&v->cpuid, 1, 2, 27));
    v->regs[X86_RCX] = 0x200;
    struct vmexit x = {.kind = EXIT_RDMSR};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0xc0000000);
}

TEST(each_powers_up_in_the_same_state) {
    begin();
    for (unsigned i = 0; i < CPUS; i++) {
        struct vcpu *v = &fake_vm->vcpus[i];
        v->tsc_offset = 99;
        v->waiting = false;
        v->public.requests = i == 0 ? 0 : REQUEST_NMI | REQUEST_INIT;
        cpuid_set_osxsave(v, true);
        memset(v->msr_slots, 0xa5, sizeof(v->msr_slots));
    }
    fake_live_resets = fake_compartment_resets = 0;
    guest = check_power_up;
    life_step(v0);
    for (unsigned i = 0; i < CPUS; i++) {
        CHECK_U64(loops[i], 1);
    }
    CHECK_U64(fake_live_resets, CPUS);
    CHECK_U64(fake_compartment_resets, CPUS);
    CHECK_U64(fake_public.state, VM_OFF);
    CHECK_U64(v1->public.requests & REQUEST_LEAVE, REQUEST_LEAVE);
    CHECK_U64(v2->public.requests & REQUEST_LEAVE, REQUEST_LEAVE);
}

/* The others are kicked for their duty and to leave, and have kicked the first when done. */
static void nobody_yet(struct vcpu *v) {
    if (v == v0) {
        CHECK_U64(fake_kicked, BIT(FIRST + 1) | BIT(FIRST + 2));
        CHECK_U64(v1->duty, DUTY_RUN);
        CHECK_U64(v2->duty, DUTY_RUN);
    }
}

TEST(who_is_kicked) {
    begin();
    guest = nobody_yet;
    life_step(v0);
    CHECK_U64(fake_kicked, BIT(FIRST) | BIT(FIRST + 1) | BIT(FIRST + 2));
    CHECK_U64(v1->duty, DUTY_NONE);
    CHECK_U64(v2->duty, DUTY_NONE);
    fake_kicks = 0;
    life_help(v1); /* nothing to do, nobody to tell */
    CHECK_U64(fake_kicks, 0);
    CHECK_U64(loops[1], 1);
}

/* No timer of a guest that is over fires into what comes next. */
TEST(timers_end_with_the_run) {
    begin();
    life_step(v0);
    CHECK_U64(fake_deadline, 0);
    begin();
    v1->duty = DUTY_RUN;
    fake_vm->leave = LEAVE_KILL;
    life_help(v1);
    CHECK_U64(fake_deadline, 0);
    CHECK_U64(v1->duty, DUTY_NONE);
}

/* ---- scrubbing ---- */

#define FILL 0xa5

static bool all(hpa_t ram, uint64_t from, uint64_t to, uint8_t byte) {
    const uint8_t *at = phys_pointer(HPA(ram.v + from));
    return at[0] == byte && memcmp(at, at + 1, to - from - 1) == 0;
}

static void kill_after_the_last_piece(void) {
    if (fake_interrupts_taken == 5) {
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    }
}

/* Of one piece and a half, and of two and a page: all of them, and nothing beside. */
TEST(regions_are_scrubbed_to_their_ends) {
    begin();
    hpa_t ram = fake_plan.regions[0].hpa;
    memset(phys_pointer(ram), FILL, FAKE_RAM);
    fake_plan.region_count = 2;
    fake_plan.regions[0] = (struct plan_region){GPA(0), HPA(ram.v + MIB), 3 * MIB / 2};
    fake_plan.regions[1] =
        (struct plan_region){GPA(3 * MIB / 2), HPA(ram.v + 3 * MIB), 2 * MIB + PAGE_SIZE};
    fake_interrupts_taken = 0;
    fake_interrupt = kill_after_the_last_piece;
    life_step(v0);
    fake_interrupt = NULL;
    CHECK_U64(fake_interrupts_taken, 5);
    CHECK_U64(loops[0], 0);
    CHECK(all(ram, 0, MIB, FILL));
    CHECK(all(ram, MIB, MIB + 3 * MIB / 2, 0));
    CHECK(all(ram, MIB + 3 * MIB / 2, 3 * MIB, FILL));
    CHECK(all(ram, 3 * MIB, 5 * MIB + PAGE_SIZE, 0));
    CHECK(all(ram, 5 * MIB + PAGE_SIZE, FAKE_RAM, FILL));
    fake_plan.region_count = 1;
}

static void look_who_scrubs(void) {
    if (fake_interrupts_taken == 1) {
        CHECK_U64(v0->duty, DUTY_NONE);
        CHECK_U64(v1->duty, DUTY_SCRUB);
        CHECK_U64(v2->duty, DUTY_SCRUB);
        CHECK_U64(fake_vm->vcpus[CPUS].duty, DUTY_NONE); /* there is none */
        CHECK_U64(fake_kicked, BIT(FIRST + 1) | BIT(FIRST + 2));
    }
}

TEST(much_is_scrubbed_by_all) {
    const uint64_t store = 64 * MIB - FAKE_RAM; /* of a disk, which counts as well */
    void *frames = malloc(store);
    begin();
    fake_plan.window_count = 1;
    fake_plan.windows[0] =
        (struct plan_window){GPA(4 * GIB), HPA((uintptr_t)frames), store, PLAN_STORE};
    fake_interrupts_taken = 0;
    fake_interrupt = look_who_scrubs;
    life_step(v0);
    fake_interrupt = NULL;
    free(frames);
    CHECK(fake_interrupts_taken != 0);
    CHECK_U64(v1->duty, DUTY_NONE);
    CHECK_U64(v2->duty, DUTY_NONE);
}

/* Orders are taken on the first CPU alone: another one has no business with them. */
static void order_meanwhile(void) {
    if (fake_interrupts_taken == 1) {
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    }
    CHECK(fake_cpu == FIRST || fake_vm->leave == LEAVE_NONE);
}

TEST(orders_while_others_scrub) {
    begin();
    fake_vm->leave = LEAVE_NONE;
    fake_interrupts_taken = 0;
    fake_interrupt = order_meanwhile;
    v1->duty = DUTY_SCRUB;
    fake_vm->scrub_next = 0;
    fake_cpu = v1->cpu;
    life_help(v1);
    fake_interrupt = NULL;
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
    CHECK(fake_public.orders != 0);
    CHECK_U64(fake_interrupts_taken, FAKE_RAM / MIB);
}

/* ---- what is told ---- */

static unsigned pieces;
static void scrub_takes_time(void) {
    pieces++;
    fake_tsc += pieces <= FAKE_RAM / MIB ? FAKE_HZ / 5 : 0;
}

static void load_takes_time(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    if (v->exchange->upcall != UPCALL_LOAD) {
        return;
    }
    v->exchange->load.status = LOAD_DONE;
    fake_tsc += FAKE_HZ * 4 / 5 + 345 * (FAKE_HZ / 1000000);
}

TEST(times_of_a_start) {
    begin();
    pieces = 0;
    fake_config.cpus = (struct cpu_set){.bits = {7 << FIRST}};
    fake_interrupt = scrub_takes_time;
    fake_compartment_end = load_takes_time;
    life_step(v0);
    fake_interrupt = NULL;
    fake_compartment_end = NULL;
    CHECK(strstr(told, "fake: started (3 vCPUs on cpu 4-6, 8M)\n") != NULL);
    CHECK(strstr(told, "first instruction after 2400.345 ms (scrub 1600.000, copy 0.000, "
                       "load 800.345)\n") != NULL);
    CHECK_U64(fake_public.started_tsc, fake_tsc);
}

static uint64_t piece_ticks;
static void scrub_is_slow(void) {
    pieces++;
    fake_tsc += pieces <= FAKE_RAM / MIB ? piece_ticks : 0;
}

/* How often its text came. */
static unsigned count_told(const char *text) {
    unsigned count = 0;
    for (const char *at = told; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

TEST(a_long_scrub_is_told_now_and_then) {
    begin();
    pieces = 0;
    piece_ticks = 3 * FAKE_HZ;
    fake_interrupt = scrub_is_slow;
    life_step(v0);
    CHECK_U64(count_told("fake: scrubbed "), 3);
    CHECK_U64(count_told("fake: scrubbed 2M of 8M\n"), 1);
    CHECK_U64(count_told("fake: scrubbed 4M of 8M\n"), 1);
    CHECK_U64(count_told("fake: scrubbed 6M of 8M\n"), 1);

    begin();
    pieces = 0;
    piece_ticks = FAKE_HZ / 2;
    life_step(v0);
    CHECK_U64(count_told("fake: scrubbed "), 0);
    fake_interrupt = NULL;
}

TEST(files_that_do_not_fit) {
    begin();
    static uint8_t large[FAKE_RAM];
    static struct boot_image image;
    image.base = HPA((uintptr_t)large);
    image.size = sizeof(large);
    fake_plan.kernel = &image;
    life_step(v0);
    CHECK_U64(loops[0], 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK(strstr(told, "cannot start: its memory is too small for its files [BH3014]\n") != NULL);
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
}

/* ---- what a CPU does for ever ---- */

static jmp_buf out;
static unsigned rounds;

static void end_of_rounds(void) {
    rounds++;
    if (rounds == 3) {
        longjmp(out, 1);
    }
}

static void for_ever(NORETURN void (*what)(struct vcpu *v), struct vcpu *v) {
    rounds = 0;
    fake_wait = end_of_rounds;
    if (setjmp(out) == 0) {
        what(v);
    }
}

TEST(a_cpu_without_virtualization_answers) {
    begin();
    v1->duty = DUTY_RUN;
    for_ever(life_stay_out, v1);
    CHECK_U64(v1->duty, DUTY_NONE);
    CHECK_U64(loops[1], 0);
    for_ever(life_stay_out, NULL);
    CHECK_U64(rounds, 3);
}

TEST(the_first_starts_what_starts_by_itself) {
    begin();
    fake_public.state = VM_STOPPED;
    fake_plan.cpu_count = 1;
    CHECK_U64(vm_create(&fake_plan, &fake_public, &fake_vm), STATUS_OK);
    cpuid_init(&fake_vm->vcpus[0]);
    for_ever(life_run, &fake_vm->vcpus[0]);
    CHECK_U64(loops[0], 1);
    CHECK_U64(fake_public.state, VM_OFF);

    begin();
    fake_config.start_auto = false;
    for_ever(life_run, v0);
    CHECK_U64(loops[0], 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(fake_state_shown, VM_STOPPED);
}

TEST(another_does_its_duty_and_no_more) {
    begin();
    fake_public.state = VM_RUNNING;
    v2->duty = DUTY_RUN;
    fake_vm->leave = LEAVE_KILL;
    for_ever(life_run, v2);
    CHECK_U64(loops[2], 1);
    CHECK_U64(v2->duty, DUTY_NONE);
    CHECK_U64(fake_kicked & ~BIT(FIRST + 2), BIT(FIRST)); /* who waits for it */
    CHECK_U64(fake_public.state, VM_RUNNING);
}

/* What was typed is fetched also while nothing runs. */
TEST(the_console_is_served) {
    begin();
    fake_public.state = VM_STOPPED;
    fake_wait = end_of_rounds;
    rounds = 0;
    fake_typed = 0;
    v0->public.requests = REQUEST_TYPED;
    life_step(v0);
    CHECK_U64(fake_typed, 1);
    CHECK_U64(v0->public.requests, 0);
    CHECK_U64(rounds, 1);
}

/* Not before it is due, and then at once. */
TEST(a_restart_is_due) {
    begin();
    fake_wait = end_of_rounds;
    rounds = 0;
    fake_public.state = VM_DELAYED;
    fake_vm->restart_due = fake_tsc + 1;
    life_step(v0);
    CHECK_U64(fake_public.state, VM_DELAYED);
    CHECK_U64(fake_deadline, fake_tsc + 1);
    fake_tsc++;
    fake_wait = other_cpu;
    life_step(v0);
    CHECK_U64(loops[0], 1);
}

TEST_MAIN(T(each_powers_up_in_the_same_state), T(who_is_kicked), T(timers_end_with_the_run),
          T(regions_are_scrubbed_to_their_ends), T(much_is_scrubbed_by_all),
          T(orders_while_others_scrub), T(times_of_a_start), T(a_long_scrub_is_told_now_and_then),
          T(files_that_do_not_fit), T(a_cpu_without_virtualization_answers),
          T(the_first_starts_what_starts_by_itself), T(another_does_its_duty_and_no_more),
          T(the_console_is_served), T(a_restart_is_due))
