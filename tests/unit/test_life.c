/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's life on a fake machine with a fake clock: a guest is a function that is called in the
 * place of the run loop. What each request does in each state, in which order, what follows each
 * end of a run, and when.
 */
#include "fake_life.h"
#include "hv/vm/audit_turn.h"

#define SECOND FAKE_HZ
#define MS     (FAKE_HZ / 1000)

/* ---- the log ---- */

static char told[0x10000];
static size_t told_length;
static enum vm_state told_in[1000]; /* the state that was shown when a line came */
static unsigned told_lines;

static uint64_t now_us(void) {
    return 0;
}

static void keep(enum log_level level, const char *line, size_t length) {
    (void)level;
    const char *text = strstr(line, "fake: ");
    length -= text == NULL ? 0 : (size_t)(text - line);
    if (told_length + length < sizeof(told)) {
        memcpy(told + told_length, text == NULL ? line : text, length);
        told_length += length;
        told[told_length] = '\0';
    }
    if (fake_vm != NULL && told_lines < ARRAY_SIZE(told_in)) {
        told_in[told_lines] = fake_public.state;
    }
    told_lines++;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static void forget(void) {
    told_length = told_lines = 0;
    told[0] = '\0';
}

static unsigned count_of(const char *text) {
    unsigned n = 0;
    for (const char *at = told; (at = strstr(at, text)) != NULL; at++) {
        n++;
    }
    return n;
}

#define CHECK_TOLD(text)                                                                           \
    do {                                                                                           \
        CHECK(strstr(told, text) != NULL);                                                         \
        if (strstr(told, text) == NULL) {                                                          \
            printf("# told: %s\n", told);                                                          \
        }                                                                                          \
    } while (0)

/* ---- the guest ---- */

static void (*guest)(struct vcpu *v);
static unsigned runs, waits;

static void run_guest(struct vcpu *v) {
    runs++;
    if (guest != NULL) {
        guest(v);
    }
    while (vcpu_service(v)) { /* as the run loop does; the guest halts until the timer comes */
        if (v->public.requests == 0) {
            plat_wait();
        }
    }
}

static void sleep_and_count(void) {
    waits++;
    sleep_on_timer();
}

static struct vcpu *v0;

static void begin(void) {
    v0 = fake_life_begin(&hooks, run_guest);
    fake_wait = sleep_and_count;
    fake_public.move_to = &fake_public; /* nobody else is there */
    fake_config.stop_timeout = 60;
    fake_config.on_violation = ON_VIOLATION_DENY;
    guest = NULL;
    runs = waits = 0;
    forget();
}

static void power_off(struct vcpu *v) {
    vm_leave(v->vm, LEAVE_POWER_OFF, "powered off by the guest");
}

static void reset(struct vcpu *v) {
    vm_leave(v->vm, LEAVE_RESET, "reset by the guest, starting again");
}

static void crash(struct vcpu *v) {
    vcpu_crash(v, "triple-fault", "triple fault");
}

static void reset_late(struct vcpu *v) {
    fake_tsc += VM_LONG_LIFE * SECOND;
    reset(v);
}

static void start(void) {
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
}

/* ---- requests ---- */

TEST(what_a_request_does_in_each_state) {
    /* The state after it, what ends the run, what waits. */
    static const struct row {
        enum vm_state from;
        enum vm_command command;
        enum vm_state to;
        enum vm_leave leave;
        bool waits;
        const char *says;
    } rows[] = {
        {VM_STOPPED, VM_COMMAND_START, VM_STARTING, 0, false, "started by the operator"},
        {VM_STOPPED, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset by the operator"},
        {VM_STOPPED, VM_COMMAND_STOP, VM_STOPPED, 0, false, "stop: it is stopped, nothing to do"},
        {VM_STOPPED, VM_COMMAND_KILL, VM_STOPPED, 0, false, "kill: it is stopped, nothing to do"},
        {VM_OFF, VM_COMMAND_START, VM_STARTING, 0, false, "started"},
        {VM_OFF, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset"},
        {VM_OFF, VM_COMMAND_STOP, VM_OFF, 0, false, "is off, nothing"},
        {VM_OFF, VM_COMMAND_KILL, VM_OFF, 0, false, "is off, nothing"},
        {VM_CRASHED, VM_COMMAND_START, VM_STARTING, 0, false, "started"},
        {VM_CRASHED, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset"},
        {VM_CRASHED, VM_COMMAND_STOP, VM_CRASHED, 0, false, "is crashed, nothing"},
        {VM_CRASHED, VM_COMMAND_KILL, VM_CRASHED, 0, false, "is crashed, nothing"},
        {VM_HALTED, VM_COMMAND_START, VM_STARTING, 0, false, "started"},
        {VM_HALTED, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset"},
        {VM_HALTED, VM_COMMAND_STOP, VM_HALTED, 0, false, "is halted, nothing"},
        {VM_HALTED, VM_COMMAND_KILL, VM_HALTED, 0, false, "is halted, nothing"},
        {VM_DELAYED, VM_COMMAND_START, VM_STARTING, 0, false, "started"},
        {VM_DELAYED, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset"},
        {VM_DELAYED, VM_COMMAND_STOP, VM_STOPPED, 0, false, "stopped by the operator"},
        {VM_DELAYED, VM_COMMAND_KILL, VM_STOPPED, 0, false, "stopped by the operator"},
        {VM_STARTING, VM_COMMAND_START, VM_STARTING, 0, false, "start: it is starting"},
        {VM_STARTING, VM_COMMAND_RESET, VM_STARTING, 0, false, "reset: it is starting"},
        {VM_STARTING, VM_COMMAND_STOP, VM_STARTING, LEAVE_KILL, false, ""},
        {VM_STARTING, VM_COMMAND_KILL, VM_STARTING, LEAVE_KILL, false, ""},
        {VM_RUNNING, VM_COMMAND_START, VM_RUNNING, 0, false, "start: it is running"},
        {VM_RUNNING, VM_COMMAND_RESET, VM_RUNNING, LEAVE_OPERATOR_RESET, false, ""},
        {VM_RUNNING, VM_COMMAND_STOP, VM_STOPPING, 0, false, "asked to switch off (power button)"},
        {VM_RUNNING, VM_COMMAND_KILL, VM_RUNNING, LEAVE_KILL, false, ""},
        {VM_STOPPING, VM_COMMAND_START, VM_STOPPING, 0, true, ""},
        {VM_STOPPING, VM_COMMAND_RESET, VM_STOPPING, LEAVE_OPERATOR_RESET, false, ""},
        {VM_STOPPING, VM_COMMAND_STOP, VM_STOPPING, 0, false, "asked to switch off"},
        {VM_STOPPING, VM_COMMAND_KILL, VM_STOPPING, LEAVE_KILL, false, ""},
        {VM_STOPPED, VM_COMMAND_PAUSE, VM_STOPPED, 0, false, "pause: it is stopped, nothing to do"},
        {VM_STOPPED, VM_COMMAND_RESUME, VM_STOPPED, 0, false,
         "resume: it is stopped, nothing to do"},
        {VM_OFF, VM_COMMAND_PAUSE, VM_OFF, 0, false, "pause: it is off, nothing to do"},
        {VM_OFF, VM_COMMAND_RESUME, VM_OFF, 0, false, "resume: it is off, nothing to do"},
        {VM_CRASHED, VM_COMMAND_PAUSE, VM_CRASHED, 0, false, "pause: it is crashed, nothing to do"},
        {VM_CRASHED, VM_COMMAND_RESUME, VM_CRASHED, 0, false,
         "resume: it is crashed, nothing to do"},
        {VM_HALTED, VM_COMMAND_PAUSE, VM_HALTED, 0, false, "pause: it is halted, nothing to do"},
        {VM_HALTED, VM_COMMAND_RESUME, VM_HALTED, 0, false, "resume: it is halted, nothing to do"},
        {VM_DELAYED, VM_COMMAND_PAUSE, VM_DELAYED, 0, false, "pause: it is delayed, nothing to do"},
        {VM_DELAYED, VM_COMMAND_RESUME, VM_DELAYED, 0, false,
         "resume: it is delayed, nothing to do"},
        {VM_STARTING, VM_COMMAND_PAUSE, VM_STARTING, 0, false,
         "pause: it is starting, nothing to do"},
        {VM_STARTING, VM_COMMAND_RESUME, VM_STARTING, 0, false,
         "resume: it is starting, nothing to do"},
        {VM_STOPPING, VM_COMMAND_PAUSE, VM_STOPPING, 0, false,
         "pause: it is stopping, nothing to do"},
        {VM_STOPPING, VM_COMMAND_RESUME, VM_STOPPING, 0, false,
         "resume: it is stopping, nothing to do"},
        {VM_RUNNING, VM_COMMAND_PAUSE, VM_PAUSED, 0, false, "paused: its clocks stand still"},
        {VM_RUNNING, VM_COMMAND_RESUME, VM_RUNNING, 0, false, "resume: it is running"},
        {VM_PAUSED, VM_COMMAND_PAUSE, VM_PAUSED, 0, false, "pause: it is paused, nothing to do"},
        {VM_PAUSED, VM_COMMAND_RESUME, VM_RUNNING, 0, false, "resumed: its clocks are"},
        {VM_PAUSED, VM_COMMAND_START, VM_PAUSED, 0, false, "start: it is paused, nothing to do"},
        {VM_PAUSED, VM_COMMAND_RESET, VM_PAUSED, LEAVE_OPERATOR_RESET, false, ""},
        {VM_PAUSED, VM_COMMAND_STOP, VM_STOPPING, 0, false, "asked to switch off (power button)"},
        {VM_PAUSED, VM_COMMAND_KILL, VM_PAUSED, LEAVE_KILL, false, ""},
        {VM_STOPPED, VM_COMMAND_MOVE, VM_STOPPED, 0, false, "move: it is stopped, nothing to do"},
        {VM_OFF, VM_COMMAND_MOVE, VM_OFF, 0, false, "move: it is off, nothing to do"},
        {VM_CRASHED, VM_COMMAND_MOVE, VM_CRASHED, 0, false, "move: it is crashed, nothing to do"},
        {VM_HALTED, VM_COMMAND_MOVE, VM_HALTED, 0, false, "move: it is halted, nothing to do"},
        {VM_DELAYED, VM_COMMAND_MOVE, VM_DELAYED, 0, false, "move: it is delayed, nothing to do"},
        {VM_STARTING, VM_COMMAND_MOVE, VM_STARTING, 0, false,
         "move: it is starting, nothing to do"},
        {VM_RUNNING, VM_COMMAND_MOVE, VM_RUNNING, 0, false, "move: it is running, nothing to do"},
        {VM_STOPPING, VM_COMMAND_MOVE, VM_STOPPING, 0, false,
         "move: it is stopping, nothing to do"},
        {VM_STOPPED, VM_COMMAND_TAKE, VM_STARTING, 0, false, ""},
        {VM_OFF, VM_COMMAND_TAKE, VM_STARTING, 0, false, ""},
        {VM_CRASHED, VM_COMMAND_TAKE, VM_STARTING, 0, false, ""},
        {VM_HALTED, VM_COMMAND_TAKE, VM_STARTING, 0, false, ""},
        {VM_DELAYED, VM_COMMAND_TAKE, VM_DELAYED, 0, false, "take: it is delayed, nothing to do"},
        {VM_STARTING, VM_COMMAND_TAKE, VM_STARTING, 0, false,
         "take: it is starting, nothing to do"},
        {VM_RUNNING, VM_COMMAND_TAKE, VM_RUNNING, 0, false, "take: it is running, nothing to do"},
        {VM_STOPPING, VM_COMMAND_TAKE, VM_STOPPING, 0, false,
         "take: it is stopping, nothing to do"},
        {VM_PAUSED, VM_COMMAND_TAKE, VM_PAUSED, 0, false, "take: it is paused, nothing to do"},
        {VM_PAUSED, VM_COMMAND_MOVE, VM_PAUSED, 0, false, "not moved: fake does not take it"},
    };
    /* But for an audit, which no state keeps off: it has a test of its own. */
    _Static_assert(ARRAY_SIZE(rows) == VM_STATES * (VM_COMMANDS - 2), "every state, every request");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        begin();
        fake_public.state = r->from;
        v0->public.requests = 0;
        CHECK(vm_command(&fake_public, r->command));
        CHECK_U64(v0->public.requests, REQUEST_ORDER);
        vm_take_orders(fake_vm);
        CHECK_U64(fake_public.state, r->to);
        CHECK_U64(fake_vm->leave, r->leave);
        CHECK_U64(fake_public.orders != 0, r->waits);
        CHECK_TOLD(r->says);
    }
}

/* An audit of so many parts and two of the CPU's own tables, each of which takes its time. */
#define AUDIT_PARTS 5u
#define AUDIT_TICKS 3000u /* 3 us */
static enum status audit_result;
static unsigned audit_parts;
static uint64_t audit_began[32]; /* when each part did */
static void (*audit_meanwhile)(void);

static enum status audit_again(const struct vm *vm, struct audit_progress *at, uint32_t steps) {
    CHECK(vm == fake_vm && steps <= 1500);
    CHECK(!at->through && at->vcpu < AUDIT_PARTS);
    audit_began[audit_parts % ARRAY_SIZE(audit_began)] = fake_tsc;
    audit_parts++;
    fake_tsc += AUDIT_TICKS;
    at->vcpu++;
    at->through = at->vcpu == AUDIT_PARTS;
    if (audit_meanwhile != NULL) {
        audit_meanwhile();
    }
    return audit_result;
}

static void order(enum vm_command command) {
    CHECK(vm_command(&fake_public, command));
    vm_take_orders(fake_vm);
}

static void begin_audit(enum status result) {
    begin();
    vm_audit_again = audit_again;
    audit_result = result;
    audit_parts = 0;
    audit_meanwhile = NULL;
}

/* In any state, and nothing changes; what is not as planned ends the run and no other VM's. */
TEST(an_audit_at_any_time) {
    for (unsigned state = 0; state < VM_STATES; state++) {
        bool off = (BIT32(state) & (BIT32(VM_STOPPED) | BIT32(VM_OFF) | BIT32(VM_CRASHED) |
                                    BIT32(VM_HALTED))) != 0;
        begin_audit(STATUS_OK);
        unsigned audits = fake_audits;
        fake_public.state = (enum vm_state)state;
        order(VM_COMMAND_AUDIT);
        CHECK_U64(told_lines, 0);
        for (unsigned part = 0; part < AUDIT_PARTS + 2; part++) {
            CHECK(vm_audit_part(fake_vm));
        }
        CHECK(!vm_audit_part(fake_vm));
        CHECK_U64(fake_public.state, state);
        CHECK_U64(fake_vm->leave, LEAVE_NONE);
        CHECK_U64(fake_audits, audits + 1);
        CHECK_TOLD("audit: nested tables, compartment and bitmaps are as planned "
                   "(0.015 ms of work in 7 parts, the longest 0.003 ms)");

        begin_audit(STATUS_INVALID);
        fake_public.state = (enum vm_state)state;
        order(VM_COMMAND_AUDIT);
        while (vm_audit_part(fake_vm)) {
        }
        CHECK_U64(audit_parts, 1);
        CHECK_U64(fake_vm->leave, off ? LEAVE_NONE : LEAVE_STOP);
        CHECK_TOLD("audit: NOT as planned");
    }
}

static void audit_then_sleep(UNUSED struct vcpu *v) {
    order(VM_COMMAND_AUDIT);
}

static void off_at_the_last(void) {
    if (audit_parts == AUDIT_PARTS) {
        vm_leave(fake_vm, LEAVE_POWER_OFF, "powered off by the guest");
    }
}

/* Part after part by the timer of its clocks, and nine tenths of the time are the guest's. */
TEST(an_audit_leaves_the_guest_its_cpu) {
    begin_audit(STATUS_OK);
    guest = audit_then_sleep;
    audit_meanwhile = off_at_the_last;
    fake_public.state = VM_STARTING;
    life_step(v0);
    CHECK_U64(audit_parts, AUDIT_PARTS);
    for (unsigned i = 1; i < AUDIT_PARTS; i++) {
        CHECK_U64(audit_began[i] - audit_began[i - 1], 10 * AUDIT_TICKS);
    }
    CHECK_TOLD("audit: nested tables, compartment and bitmaps are as planned");
    CHECK_U64(count_of("begins anew"), 0);
    CHECK_U64(vm_watch_audit(fake_vm), 0);
}

TEST(a_second_audit_is_told) {
    begin_audit(STATUS_OK);
    fake_public.state = VM_RUNNING;
    order(VM_COMMAND_AUDIT);
    CHECK_U64(fake_vm->vcpus[0].public.requests & REQUEST_CLOCKS, REQUEST_CLOCKS);
    (void)vm_audit_part(fake_vm);
    (void)vm_audit_part(fake_vm);
    order(VM_COMMAND_AUDIT);
    CHECK_TOLD("audit: one goes on already, 2 parts of it are done");
    CHECK(vm_watch_audit(fake_vm) > fake_tsc || fake_vm->audit.parts == 3);
    while (vm_audit_part(fake_vm)) {
    }
    CHECK_U64(audit_parts, AUDIT_PARTS);
    CHECK_U64(count_of("as planned"), 1);
}

static void reset_at_the_third(void) {
    if (audit_parts == 3) {
        guest = NULL;
        CHECK(vm_command(&fake_public, VM_COMMAND_RESET));
    } else if (audit_parts == 3 + AUDIT_PARTS) {
        vm_leave(fake_vm, LEAVE_POWER_OFF, "powered off by the guest");
    }
}

/* Of a guest that starts again all is looked at once more, and it goes on with the start. */
TEST(an_audit_begins_anew_with_the_guest) {
    begin_audit(STATUS_OK);
    guest = audit_then_sleep;
    audit_meanwhile = reset_at_the_third;
    fake_public.state = VM_STARTING;
    life_step(v0);
    CHECK_U64(audit_parts, 3);
    CHECK_TOLD("audit: begins anew, the guest has ended or moved meanwhile");
    CHECK_U64(count_of("as planned"), 0);
    CHECK_U64(fake_public.state, VM_STARTING);
    life_step(v0);
    CHECK_U64(audit_parts, 3 + AUDIT_PARTS);
    CHECK_U64(count_of("as planned"), 1);
}

static enum status audit_for_long(UNUSED const struct vm *vm, UNUSED struct audit_progress *at,
                                  UNUSED uint32_t steps) {
    return STATUS_OK;
}

static unsigned looks_at_a_start;
static void look_at_a_start(struct vcpu *v) {
    looks_at_a_start += (v->public.requests & REQUEST_CLOCKS) != 0;
    vm_leave(fake_vm, LEAVE_POWER_OFF, "powered off by the guest");
}

/* That the scrub did not end, goes on beside the guest: at once, not with a clock of the guest's.
 */
TEST(an_audit_that_the_start_leaves) {
    begin_audit(STATUS_OK);
    vm_audit_again = audit_for_long;
    guest = look_at_a_start;
    looks_at_a_start = 0;
    fake_public.state = VM_STARTING;
    order(VM_COMMAND_AUDIT);
    life_step(v0);
    CHECK_U64(looks_at_a_start, 1);
}

/* Nobody needs the CPU: one part after the other, and interrupts are taken. */
TEST(an_audit_of_a_vm_that_is_off) {
    begin_audit(STATUS_OK);
    fake_public.state = VM_OFF;
    CHECK(vm_command(&fake_public, VM_COMMAND_AUDIT));
    unsigned taken = fake_interrupts_taken;
    for (unsigned i = 0; i < AUDIT_PARTS + 2; i++) {
        life_step(v0);
    }
    CHECK_U64(waits, 0);
    CHECK_U64(fake_interrupts_taken - taken, AUDIT_PARTS + 2);
    CHECK_U64(count_of("as planned"), 1);
}

static void audit_in_a_pause(UNUSED struct vcpu *v) {
    CHECK(vm_command(&fake_public, VM_COMMAND_PAUSE));
    CHECK(vm_command(&fake_public, VM_COMMAND_AUDIT));
}

static void resume_at_the_fourth(void) {
    if (audit_parts == 4) {
        guest = NULL;
        CHECK_U64(fake_public.state, VM_PAUSED);
        CHECK(vm_command(&fake_public, VM_COMMAND_RESUME));
    }
    off_at_the_last();
}

/* And what is left of it goes on beside the guest. */
TEST(an_audit_of_a_paused_guest) {
    begin_audit(STATUS_OK);
    guest = audit_in_a_pause;
    audit_meanwhile = resume_at_the_fourth;
    fake_public.state = VM_STARTING;
    life_step(v0);
    CHECK_U64(audit_began[3] - audit_began[0], 3 * AUDIT_TICKS);
    CHECK_U64(audit_parts, AUDIT_PARTS);
    CHECK_TOLD("resumed: its clocks are");
    CHECK_U64(count_of("as planned"), 1);
}

/* Who is off starts, who starts runs or ends, who runs ends; nothing jumps. */
TEST(what_a_state_may_become) {
#define S(name) BIT(VM_##name)
    static const uint64_t next[VM_STATES] = {
        [VM_STOPPED] = S(STOPPED) | S(STARTING),
        [VM_OFF] = S(STARTING),
        [VM_CRASHED] = S(STARTING),
        [VM_HALTED] = S(STARTING),
        [VM_DELAYED] = S(STARTING) | S(STOPPED),
        [VM_STARTING] = S(RUNNING) | S(PAUSED) | S(STARTING) | S(DELAYED) | S(STOPPED) | S(OFF) |
                        S(CRASHED) | S(HALTED),
        [VM_RUNNING] = S(RUNNING) | S(PAUSED) | S(STOPPING) | S(STARTING) | S(DELAYED) |
                       S(STOPPED) | S(OFF) | S(CRASHED) | S(HALTED),
        [VM_PAUSED] = S(PAUSED) | S(RUNNING) | S(STOPPING) | S(STARTING) | S(DELAYED) | S(STOPPED) |
                      S(OFF) | S(CRASHED) | S(HALTED),
        [VM_STOPPING] =
            S(STOPPING) | S(STARTING) | S(DELAYED) | S(STOPPED) | S(OFF) | S(CRASHED) | S(HALTED),
    };
#undef S
    for (enum vm_state from = 0; from < VM_STATES; from++) {
        for (enum vm_state to = 0; to < VM_STATES; to++) {
            CHECK_U64(vm_may_become(from, to), next[from] >> to & 1);
        }
    }
}

TEST(a_queue_has_an_end_and_a_kill_is_always_heard) {
    begin();
    fake_public.state = VM_STOPPING;
    for (unsigned i = 0; i < 16; i++) {
        CHECK(vm_command(&fake_public, VM_COMMAND_START));
    }
    CHECK(!vm_command(&fake_public, VM_COMMAND_START));
    CHECK(!vm_command(&fake_public, VM_COMMAND_STOP));
    CHECK_U64(fake_public.orders, 0x1111111111111111);
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
    vm_take_orders(fake_vm);
    CHECK_U64(fake_vm->leave, LEAVE_KILL);
    CHECK_U64(fake_public.orders, VM_COMMAND_START);
}

static void stop_and_start(struct vcpu *v) {
    if (runs == 1) {
        CHECK(vm_command(&fake_public, VM_COMMAND_STOP));
        CHECK(vm_command(&fake_public, VM_COMMAND_START));
        CHECK(vcpu_service(v));
        CHECK_U64(fake_public.state, VM_STOPPING);
        power_off(v);
    } else {
        CHECK_U64(fake_public.state, VM_RUNNING);
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    }
}

TEST(stop_and_start_in_one_breath) {
    begin();
    guest = stop_and_start;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(runs, 1);
    life_step(v0); /* nobody has to ask again */
    CHECK_U64(runs, 2);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(count_of("started by the operator"), 2);
    CHECK_U64(count_of("powered off by the guest"), 1);
    CHECK_U64(count_of("stopped by the operator"), 1);
}

static void kill_and_start(struct vcpu *v) {
    if (runs <= 30) {
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
        CHECK(vm_command(&fake_public, VM_COMMAND_START));
    } else {
        power_off(v);
    }
}

TEST(kill_and_start_in_one_breath) {
    begin();
    guest = kill_and_start;
    start();
    for (unsigned i = 1; i <= 31; i++) {
        life_step(v0);
        CHECK_U64(runs, i);
    }
    CHECK_U64(fake_public.state, VM_OFF);
    CHECK_U64(count_of("held back"), 0);
}

TEST(the_state_shown_is_the_state) {
    begin();
    guest = power_off;
    start();
    life_step(v0);
    static const struct {
        const char *line;
        enum vm_state state;
    } wanted[] = {
        {"fake: started by the operator\n", VM_STARTING},
        {"fake: scrubbing 8M of memory\n", VM_STARTING},
        {"fake: started (1 vCPU on cpu , 8M)\n", VM_RUNNING},
        {"fake: first instruction after 0.000 ms (scrub 0.000, copy 0.000, load 0.000)\n",
         VM_RUNNING},
        {"fake: powered off by the guest\n", VM_OFF},
    };
    CHECK_U64(told_lines, ARRAY_SIZE(wanted));
    const char *at = told;
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        CHECK(strncmp(at, wanted[i].line, strlen(wanted[i].line)) == 0);
        CHECK_U64(told_in[i], wanted[i].state);
        at += strcspn(at, "\n") + 1;
    }
}

/* The run loop must not go to sleep with a request to leave. */
TEST(a_kill_is_done_in_the_same_look) {
    begin();
    fake_public.state = VM_RUNNING;
    v0->public.requests = 0;
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
    CHECK(vcpu_service(v0));
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    CHECK(!vcpu_service(v0));
}

/* ---- the power button ---- */

static void stop_me(UNUSED struct vcpu *v) {
    CHECK(vm_command(&fake_public, VM_COMMAND_STOP));
}

TEST(a_guest_that_does_not_follow_is_stopped_by_force) {
    begin();
    fake_config.stop_timeout = 7;
    guest = stop_me;
    start();
    uint64_t before = fake_tsc;
    life_step(v0);
    CHECK_U64(fake_tsc, before + 7 * SECOND);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_TOLD("asked to switch off (power button), has 7 s for it\n");
    CHECK_TOLD("if it was asleep, that only wakes it: type \"stop fake\" again\n");
    CHECK_TOLD("warning: did not switch off within 7 s: stopped by force [BH3006]\n");
    CHECK_U64(fake_vm->stop_due, 0);
}

/* Its button again and again: the time does not begin anew. */
static void stop_me_often(struct vcpu *v) {
    CHECK(vm_command(&fake_public, VM_COMMAND_STOP));
    CHECK(vcpu_service(v));
    fake_tsc += 5 * SECOND;
    CHECK(vm_command(&fake_public, VM_COMMAND_STOP));
    CHECK(vcpu_service(v));
}

TEST(a_second_press_wins_no_time) {
    begin();
    fake_config.stop_timeout = 7;
    guest = stop_me_often;
    start();
    uint64_t before = fake_tsc;
    life_step(v0);
    CHECK_U64(fake_tsc, before + 7 * SECOND);
    CHECK_U64(count_of("stopped by force"), 1);
}

/* The guest hears of it: SCI, status. */
static void switch_off(struct vcpu *v) {
    fake_port_out(PM1A_EVENT_PORT + 2, 2, 0x100);
    CHECK_U64(fake_hardware.platform.ioapic.lines >> PM_SCI_IRQ & 1, 0);
    stop_me(v);
    CHECK(vcpu_service(v));
    CHECK_U64(fake_hardware.platform.ioapic.lines >> PM_SCI_IRQ & 1, 1);
    CHECK_U64(fake_port_in(PM1A_EVENT_PORT, 2), 0x100);
    fake_port_out(PM1A_CONTROL_PORT, 2, 0x2000 | PM_S5_TYPE << 10);
}

TEST(a_guest_switches_itself_off_at_its_button) {
    begin();
    guest = switch_off;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(waits, 0);
    CHECK_TOLD("powered off by the guest [BH3001]\n");
}

/* The alarm of the CMOS clock is an event of the same kind. */
TEST(the_clocks_line_is_a_wake_up_event) {
    begin();
    fake_port_out(PM1A_EVENT_PORT + 2, 2, 0x400);
    fake_set_irq(UART_IRQ, true);
    CHECK_U64(fake_hardware.platform.ioapic.lines, BIT(UART_IRQ));
    fake_set_irq(RTC_IRQ, true);
    CHECK_U64(fake_hardware.platform.ioapic.lines, BIT(UART_IRQ) | BIT(RTC_IRQ) | BIT(PM_SCI_IRQ));
    fake_set_irq(RTC_IRQ, false);
    CHECK_U64(fake_hardware.platform.ioapic.lines,
              BIT(UART_IRQ) | BIT(PM_SCI_IRQ)); /* until it is cleared */
}

static void stop_then(struct vcpu *v, void (*end)(struct vcpu *v)) {
    stop_me(v);
    CHECK(vcpu_service(v));
    end(v);
}

static void stop_reset(struct vcpu *v) {
    stop_then(v, reset);
}

static void stop_crash(struct vcpu *v) {
    stop_then(v, crash);
}

static void kill_it(UNUSED struct vcpu *v) {
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
}

static void stop_kill(struct vcpu *v) {
    stop_then(v, kill_it);
}

TEST(who_was_asked_to_switch_off_does_not_start_again) {
    static const struct {
        void (*guest)(struct vcpu *v);
        enum vm_state state;
        const char *says;
    } cases[] = {
        {stop_reset, VM_STOPPED, "starting again\nfake: stays stopped: the operator asked for it"},
        {stop_crash, VM_CRASHED, "has 60 s for it\n"},
        {stop_kill, VM_STOPPED, "stopped by the operator"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        guest = cases[i].guest;
        start();
        life_step(v0);
        CHECK_U64(fake_public.state, cases[i].state);
        CHECK_U64(fake_vm->stop_due, 0);
        CHECK_TOLD(cases[i].says);
    }
}

/* ---- restarts ---- */

TEST(restarts_in_a_row_are_held_back_ever_longer) {
    static const unsigned delays[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000};
    begin();
    guest = reset;
    start();
    life_step(v0);
    for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
        uint64_t before = fake_tsc;
        CHECK_U64(fake_public.state, VM_DELAYED);
        life_step(v0); /* sleeps */
        CHECK_U64(fake_tsc, before + delays[i] * MS);
        CHECK_U64(runs, i + 1);
        life_step(v0);
        CHECK_U64(runs, i + 2);
    }
    CHECK_TOLD("restart 1 in a row, held back for 100 ms\n");
    CHECK_TOLD("restart 4 in a row, held back for 800 ms\n");
    CHECK_U64(count_of("restart 5 in a row"), 0);
    CHECK_TOLD("restart 8 in a row, held back for 10000 ms\n");
}

TEST(a_reset_after_a_long_life_is_never_held_back) {
    begin();
    guest = reset_late;
    start();
    for (unsigned i = 1; i <= 20; i++) {
        life_step(v0);
        CHECK_U64(runs, i);
        CHECK_U64(fake_public.state, VM_STARTING);
    }
    CHECK_U64(count_of("reset by the guest"), 20);
    CHECK_U64(waits, 0);
}

TEST(a_loop_of_resets_cannot_fill_the_log) {
    begin();
    guest = reset;
    start();
    while (runs < 1000) {
        life_step(v0);
        CHECK_U64(fake_state_shown, fake_public.state); /* told or not */
    }
    CHECK(told_lines < 60); /* 4 rounds, and 8, 16, ... 512 */
    CHECK_TOLD("restart 512 in a row");
    guest = power_off; /* an end is always told, and so is the next start */
    forget();
    life_step(v0);
    life_step(v0);
    CHECK_STR(told, "fake: powered off by the guest\n");
    start();
    life_step(v0);
    CHECK_U64(count_of("started (1 vCPU"), 1);
}

static void kicked(void) {
}

TEST(a_restart_that_waits_can_be_called_off_or_hastened) {
    begin();
    guest = reset;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_DELAYED);
    uint64_t before = fake_tsc;
    CHECK(vm_command(&fake_public, VM_COMMAND_START));
    life_step(v0);
    CHECK_U64(runs, 2);
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    fake_wait = kicked;
    life_step(v0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(fake_tsc, before);
    CHECK_U64(runs, 2);
}

TEST(crashes) {
    begin();
    guest = crash;
    start();
    for (unsigned i = 0; i < 20 && fake_public.state != VM_CRASHED; i++) {
        life_step(v0);
    }
    CHECK_U64(runs, VM_CRASH_LIMIT + 1);
    CHECK_U64(fake_public.state, VM_CRASHED);
    CHECK_TOLD("restarting (1 of 3)");
    CHECK_TOLD("restarting (3 of 3)");
    CHECK_TOLD("crashed 4 times in a row: stays stopped, \"start fake\" starts it");
    forget();
    start();
    life_step(v0);
    CHECK_TOLD("restarting (1 of 3)"); /* the operator has forgiven */

    begin();
    guest = crash;
    fake_config.on_crash = ON_CRASH_STOP;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_CRASHED);
    fake_config.on_crash = ON_CRASH_HALT;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_HALTED);
    CHECK_TOLD("halted, memory kept");
}

static void crash_late(struct vcpu *v) {
    fake_tsc += VM_LONG_LIFE * SECOND;
    crash(v);
}

TEST(a_crash_after_a_long_life_is_the_first) {
    begin();
    guest = crash_late;
    start();
    for (unsigned i = 0; i < 10; i++) {
        life_step(v0);
        CHECK_U64(fake_public.state, VM_STARTING);
    }
    CHECK_U64(count_of("restarting (1 of 3)"), 10);
}

static void init_to_first(struct vcpu *v) {
    const struct apic_message m = {.delivery_mode = APIC_INIT, .destination = 0};
    if (runs == 1) {
        vm_deliver(v->vm, NULL, &m);
    } else {
        power_off(v);
    }
}

TEST(init_to_the_first_cpu_starts_the_vm_anew) {
    begin();
    guest = init_to_first;
    start();
    life_step(v0);
    CHECK_TOLD("reset by INIT to its first CPU, starting again [BH3003]\n");
    life_step(v0);
    life_step(v0);
    CHECK_U64(runs, 2);
    CHECK_U64(fake_public.state, VM_OFF);
}

static const char *last_words;

static void give_up(struct vcpu *v) {
    struct vmexit x = {.kind = EXIT_HYPERCALL, .insn_len = 3};
    CHECK_U64(gmem_write(&v->vm->mem, GPA(0x5000), last_words, strlen(last_words)), STATUS_OK);
    fake_segs[HVM_SS].attr = 0xc093;
    v->regs[X86_RAX] = HYPERCALL_GIVE_UP;
    v->regs[X86_RBX] = 0x5000;
    v->regs[X86_RCX] = strlen(last_words);
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
}

static void give_up_nowhere(struct vcpu *v) {
    struct vmexit x = {.kind = EXIT_HYPERCALL, .insn_len = 3};
    v->regs[X86_RAX] = HYPERCALL_GIVE_UP;
    v->regs[X86_RBX] = UINT64_MAX;
    v->regs[X86_RCX] = UINT64_MAX;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
}

TEST(a_guest_that_gives_up_has_crashed) {
    char text[300];
    begin();
    fake_config.on_crash = ON_CRASH_STOP;
    guest = give_up;
    last_words = "no\nkernel \x1b[2J";
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_CRASHED);
    CHECK_TOLD("fake: warning: gave up [BH3039]: no\\x0akernel \\x1b[2J\n");
    memset(text, 'x', sizeof(text));
    text[299] = '\0';
    last_words = text;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_CRASHED);
    CHECK_U64(count_of("x"), HYPERCALL_TEXT_MAX + 2);
    guest = give_up_nowhere;
    start();
    life_step(v0);
    CHECK_TOLD("gave up [BH3039]: it does not say why\n");
    CHECK_U64(fake_public.state, VM_CRASHED);
}

/* ---- scrubbing ---- */

static bool all_zero(uint64_t from, uint64_t size) {
    const uint8_t *ram = gmem_pointer(&fake_vm->mem, GPA(from), size);
    return ram[0] == 0 && memcmp(ram, ram + 1, size - 1) == 0;
}

static void look(struct vcpu *v) {
    CHECK(all_zero(MIB, FAKE_RAM - MIB - BULKHEAD_TABLES_SIZE - PAGE_SIZE));
    power_off(v);
}

TEST(memory_is_scrubbed_in_pieces) {
    begin();
    memset(phys_pointer(fake_plan.regions[0].hpa), 0xa5, FAKE_RAM);
    guest = look;
    fake_interrupts_taken = 0;
    start();
    life_step(v0);
    CHECK_U64(runs, 1);
    CHECK(fake_interrupts_taken >= FAKE_RAM / MIB);
}

/* What a guest wrote to its disks is gone; images and channels are not its own. Who is at a
 * channel's other end sees that it runs no more, and hears of it. */
TEST(stores_are_scrubbed) {
    fake_plan_more = fake_windows_add;
    begin();
    fake_plan_more = NULL;
    memset(fake_frames, 0xa5, sizeof(fake_frames));
    guest = power_off;
    start();
    life_step(v0);
    CHECK_U64(runs, 1);
    for (uint64_t at = 0; at < sizeof(fake_frames); at++) {
        bool store = at >= 6 * MIB && at < 8 * MIB + PAGE_SIZE;
        uint64_t runs_at = 10 * MIB + offsetof(struct channel_half, runs); /* which it does not */
        bool zero = store || (at >= runs_at && at < runs_at + CHANNEL_LINE);
        if (fake_frames[at] != (zero ? 0 : 0xa5)) {
            CHECK_U64(at, UINT64_MAX);
            break;
        }
    }
    CHECK_TOLD("scrubbing 10244K of memory\n");
    CHECK_U64(v0->public.rung, 1); /* its own end is the other one here */
}

/* A bell for who does not run is not kept for when it does. */
TEST(bells_of_one_that_is_off) {
    begin();
    guest = power_off;
    vcpu_request(&v0->public, REQUEST_CHANNELS);
    fake_compartment_runs = 0;
    fake_wait = NULL;
    v0->vm->public->state = VM_DELAYED;
    v0->vm->restart_due = 0;
    life_step(v0);
    CHECK_U64(runs, 1);
    CHECK_U64(v0->public.requests & REQUEST_CHANNELS, 0);
}

/* Two vCPUs; the other one's CPU does what it is set to whenever the first one waits. */
static struct vcpu *v1;
static unsigned helped;
static uint32_t scrubbed_by_other;

static void other_cpu(void) {
    uint32_t before = fake_vm->scrub_next;
    fake_cpu = 1;
    helped += v1->duty == DUTY_SCRUB;
    life_help(v1);
    scrubbed_by_other += fake_vm->scrub_next - before;
    fake_cpu = 0;
}

static void begin_two(void) {
    begin();
    fake_create_two(&v0, &v1);
    fake_wait = other_cpu;
    helped = scrubbed_by_other = 0;
}

static void run_two(struct vcpu *v) {
    runs++;
    if (v == v0) {
        power_off(v);
    }
    CHECK(!vcpu_service(v));
}

static void it_comes(void) {
    v1->public.presence = VCPU_HERE;
    fake_wait = other_cpu;
}

static void it_stays_out(void) {
    v1->public.presence = VCPU_OUT;
}

/* Until the timer that was set. */
static void time_passes(void) {
    if (fake_deadline <= fake_tsc) {
        abort();
    }
    fake_tsc = fake_deadline;
}

static void it_is_killed(void) {
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
}

/* It costs this guest and no other, and each start says so. */
TEST(a_cpu_that_is_missing) {
    begin_two();
    guest = power_off;
    v1->public.presence = VCPU_AWAITED;
    fake_absent_cpus = BIT(1);
    for (unsigned i = 1; i <= 2; i++) {
        start();
        life_step(v0);
        CHECK_U64(runs, 0);
        CHECK_U64(fake_public.state, VM_STOPPED);
        CHECK_U64(count_of("cannot start: CPU 1 did not come"), i);
    }
    fake_absent_cpus = 0; /* it came, and was found wanting */
    fake_wait = it_stays_out;
    start();
    life_step(v0);
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(count_of("cannot start"), 3);
    CHECK_U64(fake_deadline, 0);

    v1->public.presence = VCPU_AWAITED; /* it hangs */
    fake_wait = time_passes;
    start();
    life_step(v0);
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(count_of("cannot start: CPU 1 did not come"), 4);

    fake_wait = it_is_killed;
    start();
    life_step(v0);
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(count_of("cannot start"), 4);

    v1->public.presence = VCPU_AWAITED; /* it is only late */
    fake_wait = it_comes;
    start();
    life_step(v0);
    CHECK(runs >= 1);
    CHECK_U64(fake_public.state, VM_OFF);
    CHECK_U64(count_of("cannot start"), 4);
}

TEST(the_cpus_of_a_large_guest_scrub_together) {
    begin_two();
    fake_ops.loop = run_two;
    memset(phys_pointer(fake_plan.regions[0].hpa), 0xa5, FAKE_RAM);
    const uint64_t store = 64 * MIB - FAKE_RAM; /* counts as well */
    void *frames = malloc(store);
    fake_plan.window_count = 1;
    fake_plan.windows[0] =
        (struct plan_window){GPA(4 * GIB), HPA((uintptr_t)frames), store, PLAN_STORE};
    start();
    life_step(v0);
    CHECK_U64(helped, 1);
    CHECK_U64(runs, 2); /* and both have run */
    CHECK_U64(fake_vm->scrub_next, 64 + 2);
    CHECK(all_zero(MIB, FAKE_RAM - MIB - BULKHEAD_TABLES_SIZE - PAGE_SIZE));
    CHECK_U64(v1->duty, DUTY_NONE);
    helped = runs = 0;
    fake_plan.windows[0].size -= PAGE_SIZE;
    start();
    life_step(v0);
    CHECK_U64(helped, 0);
    CHECK_U64(runs, 2);
    free(frames);
}

/* The operator's key comes while a piece is scrubbed. */
static void kill_meanwhile(void) {
    if (fake_interrupts_taken == 3) {
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    }
}

TEST(a_kill_ends_the_scrubbing) {
    begin();
    fake_interrupts_taken = 0;
    fake_interrupt = kill_meanwhile;
    start();
    life_step(v0);
    fake_interrupt = NULL;
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_U64(fake_vm->scrub_next, 3);
    CHECK_TOLD("stopped by the operator [BH3004]\n");
}

/* ---- its compartment loads it ---- */

static uint32_t answers[1000]; /* the last one for ever */
static unsigned asked, taken_when_asked;

static void answer(struct vcpu *v, struct vmexit *x, unsigned n) {
    (void)x;
    (void)n;
    if (v->exchange->upcall == UPCALL_START || v->exchange->upcall == UPCALL_CODE) {
        return;
    }
    CHECK_U64(v->exchange->upcall, UPCALL_LOAD);
    CHECK_U64(v->exchange->load.status, LOAD_NO_ANSWER);
    CHECK_U64(fake_public.state, VM_STARTING);
    CHECK(asked == 0 || fake_interrupts_taken != taken_when_asked); /* between any two */
    taken_when_asked = fake_interrupts_taken;
    v->exchange->load.status = answers[min_u64(asked, ARRAY_SIZE(answers) - 1)];
    asked++;
}

/* A start whose compartment gives these answers, and the last one ever again. */
static void start_with(const uint32_t *some, unsigned count) {
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++) {
        answers[i] = some[i < count ? i : count - 1];
    }
    asked = 0;
    fake_config.on_crash = ON_CRASH_STOP;
    fake_compartment_end = answer;
    guest = power_off;
    start();
    life_step(v0);
    fake_compartment_end = NULL;
}

TEST(it_is_asked_until_it_is_done) {
    const uint32_t some[] = {LOAD_MORE, LOAD_MORE, LOAD_MORE, LOAD_DONE};
    fake_traces_cleared = 0;
    start_with(some, ARRAY_SIZE(some));
    CHECK_U64(asked, 4);
    CHECK_U64(runs, 1);
    CHECK_U64(fake_public.state, VM_OFF);
    CHECK_U64(fake_traces_cleared, 4 + 1); /* orders may have written the log, as the start has */
}

TEST(it_is_told_what_cpuid_says) {
    const uint32_t some[] = {LOAD_DONE};
    start_with(some, 1);
    const struct exchange_load *e = &v0->exchange->load;
    const uint32_t leaves[][2] = {{LOAD_LEAF_VENDOR, 0},
                                  {LOAD_LEAF_MODEL, 1},
                                  {LOAD_LEAF_BRAND, 0x80000002},
                                  {LOAD_LEAF_BRAND + 1, 0x80000003},
                                  {LOAD_LEAF_BRAND + 2, 0x80000004},
                                  {LOAD_LEAF_TIMING, BULKHEAD_CPUID_TIMING}};
    _Static_assert(ARRAY_SIZE(leaves) == LOAD_LEAVES, "one is missing");
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        const struct cpuid_entry *c = cpuid_find(&v0->cpuid, leaves[i][1], 0);
        CHECK(memcmp(e->cpuid[leaves[i][0]], c->out, sizeof(c->out)) == 0);
    }
    CHECK_U64(e->cpuid[LOAD_LEAF_TIMING][0], FAKE_HZ / 1000);
}

TEST(a_kernel_that_cannot_be_started_is_a_crash) {
    for (uint32_t status = LOAD_WAITS + 1; status < LOAD_STATUSES; status++) {
        const uint32_t some[] = {LOAD_MORE, status};
        start_with(some, ARRAY_SIZE(some));
        CHECK_U64(asked, 2);
        CHECK_U64(runs, 0);
        CHECK_U64(fake_public.state, VM_CRASHED);
        CHECK_TOLD("fake: warning: cannot be started: the kernel ");
        CHECK_U64(count_of("compartment failed"), 0);
    }
    CHECK_TOLD("the kernel is no complete Multiboot kernel [BH3047]\n");
}

TEST(an_answer_that_means_nothing_is_the_compartments_fault) {
    const uint32_t statuses[] = {LOAD_NO_ANSWER, LOAD_STATUSES, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        start_with(&statuses[i], 1);
        CHECK_U64(asked, 1);
        CHECK_U64(runs, 0);
        CHECK_U64(fake_public.state, VM_CRASHED);
        CHECK_TOLD("its compartment has no answer that means something");
        CHECK_TOLD("while it worked on the loading of the guest [BH3042]\n");
    }
}

/* 8 MiB written twice, a MiB at a time, and some. */
TEST(more_has_an_end) {
    const uint32_t some[] = {LOAD_MORE};
    start_with(some, 1);
    CHECK_U64(asked, 2 * 8 + 64);
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_CRASHED);
    CHECK_TOLD("its compartment does not get done");
}

/* For as long as it takes: a disk that another guest serves. */
TEST(waiting_has_none) {
    uint32_t some[1000];
    for (unsigned i = 0; i < ARRAY_SIZE(some); i++) {
        some[i] = i + 1 == ARRAY_SIZE(some) ? LOAD_DONE : LOAD_WAITS;
    }
    start_with(some, ARRAY_SIZE(some));
    CHECK_U64(asked, 1000);
    CHECK_U64(runs, 1);
    CHECK_U64(fake_public.state, VM_OFF);
}

static void other_waits(struct vcpu *v, struct vmexit *x, unsigned n) {
    answer(v, x, n);
    CHECK_U64(v1->duty, DUTY_NONE);
}

TEST(the_others_start_after_it) {
    begin_two();
    fake_ops.loop = run_two;
    asked = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++) {
        answers[i] = i == 0 ? LOAD_MORE : LOAD_DONE;
    }
    fake_compartment_end = other_waits;
    start();
    life_step(v0);
    fake_compartment_end = NULL;
    CHECK_U64(asked, 2);
    CHECK_U64(runs, 2);
    CHECK_U64(v1->tsc_offset, v0->tsc_offset);
}

static void kill_the_start(struct vcpu *v, struct vmexit *x, unsigned n) {
    answer(v, x, n);
    if (asked == 2) {
        CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    }
}

TEST(a_kill_ends_the_loading) {
    begin();
    asked = 0;
    fake_compartment_end = kill_the_start;
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++) {
        answers[i] = LOAD_MORE;
    }
    start();
    life_step(v0);
    fake_compartment_end = NULL;
    CHECK_U64(asked, 2);
    CHECK_U64(runs, 0);
    CHECK_U64(fake_public.state, VM_STOPPED);
    CHECK_TOLD("stopped by the operator [BH3004]\n");
}

static void reset_a_tick_too_early(struct vcpu *v) {
    fake_tsc += VM_LONG_LIFE * SECOND - 1;
    reset(v);
}

TEST(a_long_life_has_a_last_tick) {
    begin();
    guest = reset_a_tick_too_early;
    start();
    life_step(v0);
    CHECK_U64(fake_public.state, VM_DELAYED);
    CHECK_U64(fake_vm->restarts, 1);
}

TEST_MAIN(T(a_long_life_has_a_last_tick), T(what_a_request_does_in_each_state),
          T(an_audit_at_any_time), T(an_audit_leaves_the_guest_its_cpu), T(a_second_audit_is_told),
          T(an_audit_begins_anew_with_the_guest), T(an_audit_of_a_vm_that_is_off),
          T(an_audit_that_the_start_leaves), T(an_audit_of_a_paused_guest),
          T(what_a_state_may_become), T(a_queue_has_an_end_and_a_kill_is_always_heard),
          T(stop_and_start_in_one_breath), T(kill_and_start_in_one_breath),
          T(the_state_shown_is_the_state), T(a_kill_is_done_in_the_same_look),
          T(a_guest_that_does_not_follow_is_stopped_by_force), T(a_second_press_wins_no_time),
          T(a_guest_switches_itself_off_at_its_button), T(the_clocks_line_is_a_wake_up_event),
          T(who_was_asked_to_switch_off_does_not_start_again),
          T(restarts_in_a_row_are_held_back_ever_longer),
          T(a_reset_after_a_long_life_is_never_held_back), T(a_loop_of_resets_cannot_fill_the_log),
          T(a_restart_that_waits_can_be_called_off_or_hastened), T(crashes),
          T(a_crash_after_a_long_life_is_the_first), T(init_to_the_first_cpu_starts_the_vm_anew),
          T(a_guest_that_gives_up_has_crashed), T(memory_is_scrubbed_in_pieces),
          T(stores_are_scrubbed), T(bells_of_one_that_is_off), T(a_cpu_that_is_missing),
          T(the_cpus_of_a_large_guest_scrub_together), T(a_kill_ends_the_scrubbing),
          T(it_is_asked_until_it_is_done), T(it_is_told_what_cpuid_says),
          T(a_kernel_that_cannot_be_started_is_a_crash),
          T(an_answer_that_means_nothing_is_the_compartments_fault), T(more_has_an_end),
          T(waiting_has_none), T(the_others_start_after_it), T(a_kill_ends_the_loading))
