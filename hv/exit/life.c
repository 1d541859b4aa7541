/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a VM's life: scrubs its RAM, starts it, and decides what follows when a run has ended. Runs
 * on the CPU of its first vCPU, with the help of its other CPUs, and touches nothing of another VM.
 * What an operator asks for is hv/vm/order.c's; both meet in the state: VM_STARTING is started
 * here.
 */
#include "hv/exit/exit.h"

#include "hv/exit/load.h"
#include "hv/exit/policy.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/vm/audit_turn.h"
#include "hv/vm/devices.h"
#include "hv/vm/health.h"
#include "hv/vm/limit.h"
#include "hv/vm/memory.h"
#include "hv/vm/move.h"
#include "hv/vm/pause.h"
#include "hv/vm/plat.h"
#include "hv/vm/snapshot.h"

/*
 * A restart that follows sooner than VM_LONG_LIFE is held back: the first for so many milliseconds,
 * each further one for twice as many, up to a bound. It ends neither the other guests' CPUs nor
 * their log.
 */
#define DELAY_FIRST_MS 100u
#define DELAY_LAST_MS  10000u
#define RESTARTS_TOLD  4u /* in a row; of those after them the 8th, the 16th and so on */

/* From this size on a VM's CPUs scrub its RAM together: below it, asking them is not worth it. */
#define SCRUB_TOGETHER (64 * MIB)
/* Much of it takes a minute or more: so many seconds pass from one word about it to the next. */
#define SCRUB_TELL     5
#define COME_LIMIT     30 /* seconds that a start waits for a CPU of its own to tell of itself */

/* ---- starting ---- */

static void life_power_up(struct vcpu *v) {
    msr_reset(v);
    cpuid_set_osxsave(v, false);
    vcpu_reset(v, false);
    hvm->compartment_reset(v);
    plat_reset_live_state();
}

static void life_set_duty(struct vcpu *v, enum vcpu_duty duty) {
    __atomic_store_n(&v->duty, (uint32_t)duty, __ATOMIC_RELEASE);
    plat_kick(v->cpu);
}

/* Until the CPUs of all others are through with what they were set to. */
static void life_wait_others(struct vm *vm) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        while (__atomic_load_n(&vm->vcpus[i].duty, __ATOMIC_ACQUIRE) != DUTY_NONE) {
            plat_wait();
        }
    }
}

/* One part after the other of what no other VM has: RAM, then the stores of its disks. All zero
 * before the first. */
struct life_part {
    uint32_t region, window; /* which come next */
    hpa_t hpa;
    uint64_t size;         /* bytes */
    uint64_t first, count; /* pieces of VM_PIECE, numbered through all parts */
};

static bool life_next_store(const struct plan_vm *plan, struct life_part *part) {
    while (part->window < plan->window_count) {
        const struct plan_window *w = &plan->windows[part->window++];
        if (w->kind == PLAN_STORE) {
            part->hpa = w->hpa;
            part->size = w->size;
            return true;
        }
    }
    return false;
}

/* False after the last one. */
static bool life_next_part(const struct plan_vm *plan, struct life_part *part) {
    part->first += part->count;
    if (part->region < plan->region_count) {
        const struct plan_region *r = &plan->regions[part->region++];
        part->hpa = r->hpa;
        part->size = r->size;
    } else if (!life_next_store(plan, part)) {
        return false;
    }
    part->count = ALIGN_UP(part->size, VM_PIECE) / VM_PIECE;
    return true;
}

static uint64_t life_memory(const struct vm *vm) {
    struct life_part part = {0};
    uint64_t all = 0;

    while (life_next_part(vm->plan, &part)) {
        all += part.size;
    }
    return all;
}

/* Scrubs the number-th piece of it, which lies in this part or a later one; false if there are not
 * so many. */
static bool life_scrub_piece(const struct vm *vm, struct life_part *part, uint32_t number) {
    while (number - part->first >= part->count) {
        if (!life_next_part(vm->plan, part)) {
            return false;
        }
    }
    uint64_t offset = (number - part->first) * VM_PIECE;
    vm_memory_scrub(HPA(part->hpa.v + offset), min_u64(part->size - offset, VM_PIECE));
    return true;
}

static void life_tell_scrub(struct vm *vm) {
    uint64_t done = (uint64_t)__atomic_load_n(&vm->scrub_next, __ATOMIC_RELAXED) * VM_PIECE;
    uint64_t all = life_memory(vm);
    char done_text[24];
    char all_text[24];

    if (vm->quiet || done >= all || plat_tsc() - vm->scrub_told < SCRUB_TELL * plat_tsc_hz()) {
        return;
    }
    vm->scrub_told = plat_tsc();
    vm_log(vm, LOG_INFO, "scrubbed %s of %s", fmt_size(done_text, done), fmt_size(all_text, all));
}

/* On each CPU that helps; host interrupts are taken between the pieces. */
static void life_scrub(struct vm *vm) {
    struct life_part part = {0};

    while (__atomic_load_n(&vm->leave, __ATOMIC_RELAXED) == LEAVE_NONE &&
           life_scrub_piece(vm, &part, __atomic_fetch_add(&vm->scrub_next, 1, __ATOMIC_RELAXED))) {
        plat_take_interrupts();
        if (plat_cpu() == vm->vcpus[0].cpu) {
            life_tell_scrub(vm);
            vm_take_orders(vm);
            (void)vm_audit_part(vm);
        }
    }
}

static void life_scrub_together(struct vm *vm) {
    bool together = life_memory(vm) >= SCRUB_TOGETHER;

    __atomic_store_n(&vm->scrub_next, 0, __ATOMIC_RELAXED);
    vm->scrub_told = plat_tsc();
    for (uint32_t i = 1; together && i < vm->vcpu_count; i++) {
        life_set_duty(&vm->vcpus[i], DUTY_SCRUB);
    }
    life_scrub(vm);
    life_wait_others(vm);
}

/* The others power up on their own CPUs, with the TSC of the first, and wait for a startup message.
 */
static void life_start_others(struct vm *vm) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        v->tsc_offset = vm->vcpus[0].tsc_offset;
        __atomic_store_n(&v->public.requests, REQUEST_EVENT, __ATOMIC_RELAXED);
        life_set_duty(v, DUTY_RUN);
    }
}

/* A microsecond is exact enough for a log that tells microseconds. */
static ull life_us(uint64_t from, uint64_t to) {
    return (ull)mul_div_u64(to - from, 1000000, plat_tsc_hz());
}

/* When each part of a start had ended, on the host TSC. */
struct life_times {
    uint64_t begin, scrubbed, copied, loaded;
};

static void life_tell_start(struct vm *vm, const struct life_times *at) {
    char cpus[64];
    char size[24];
    ull all = life_us(at->begin, vm->public->started_tsc);
    ull scrub = life_us(at->begin, at->scrubbed);
    ull copy = life_us(at->scrubbed, at->copied);
    ull load = life_us(at->copied, at->loaded);

    if (vm->quiet) {
        return;
    }
    cpu_set_format(&vm->plan->config->cpus, cpus, sizeof(cpus));
    fmt_size(size, vm->plan->config->memory);
    vm_log(vm, LOG_INFO, "started (%u vCPU%s on cpu %s, %s)", vm->vcpu_count,
           vm->vcpu_count > 1 ? "s" : "", cpus, size);
    vm_log(vm, LOG_INFO,
           "first instruction after %llu.%03llu ms (scrub %llu.%03llu, copy %llu.%03llu, "
           "load %llu.%03llu)",
           all / 1000, all % 1000, scrub / 1000, scrub % 1000, copy / 1000, copy % 1000,
           load / 1000, load % 1000);
}

/* On each of its CPUs, in the place of a power-up. */
static void life_take_vcpu(struct vcpu *v) {
    life_power_up(v);
    vcpu_move_take(v);
    msr_name_again(v);
}

/* Starts as the copy of another VM, paused as that was; then the same as for life_start(). */
static bool life_take(struct vm *vm) {
    enum status s = vm_move_take(vm);

    if (s != STATUS_OK) {
        vm_leave(
            vm, LEAVE_STOP,
            "cannot take another guest over: of another size, with other disks, or gone" MSG(3011));
        return false;
    }
    vm_audit_anew(vm);
    limit_begin(vm);
    life_take_vcpu(&vm->vcpus[0]);
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        __atomic_store_n(&vm->vcpus[i].public.requests, 0, __ATOMIC_RELAXED);
        life_set_duty(&vm->vcpus[i], DUTY_TAKE);
    }
    vm_wait_others(vm, true);
    vm_move_end();
    vm->public->started_tsc = plat_tsc();
    vm_set_state(vm, VM_PAUSED, EVENT_MOVE, "");
    vm_log(vm, LOG_INFO, "goes on in the place of another guest: \"resume %s\"", vm->name);
    return true;
}

/* Until it has told of itself. It is up, but may have much to do before; or hangs there. */
static bool life_vcpu_comes(struct vm *vm, struct vcpu *v) {
    uint64_t limit = plat_tsc() + COME_LIMIT * plat_tsc_hz();

    while (plat_cpu_online(v->cpu) && vm->leave == LEAVE_NONE && plat_tsc() < limit &&
           __atomic_load_n(&v->public.presence, __ATOMIC_ACQUIRE) == VCPU_AWAITED) {
        plat_timer_set(limit);
        plat_wait();
        vm_take_orders(vm);
    }
    plat_timer_set(0);
    return __atomic_load_n(&v->public.presence, __ATOMIC_ACQUIRE) == VCPU_HERE;
}

/* One CPU that did not come, or that cannot run guests, costs this VM and no other. */
static bool life_has_cpus(struct vm *vm) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        if (life_vcpu_comes(vm, &vm->vcpus[i])) {
            continue;
        }
        if (vm->leave == LEAVE_NONE) {
            vm_log(vm, LOG_ERROR,
                   "cannot start: CPU %u did not come, or cannot run guests" MSG(3013),
                   vm->vcpus[i].cpu);
            vm_leave(vm, LEAVE_STOP, "stays stopped: give it another CPU" MSG(3012));
        }
        return false;
    }
    return true;
}

/* False if it does not come to its first instruction: vm->leave says why. */
static bool life_start(struct vm *vm) {
    struct life_times at = {.begin = plat_tsc()};
    char size[24];

    vm->public->pool_used = vm->pool.used;
    if (!vm->quiet) {
        vm_log(vm, LOG_INFO, "scrubbing %s of memory", fmt_size(size, life_memory(vm)));
    }
    life_scrub_together(vm);
    at.scrubbed = plat_tsc();
    if (vm->leave != LEAVE_NONE) {
        return false;
    }
    if (vm_load(vm) != STATUS_OK) {
        vm_leave(vm, LEAVE_STOP, "cannot start: its memory is too small for its files" MSG(3014));
        return false;
    }
    at.copied = plat_tsc();

    vm_pci_start(vm);
    vm_forget_pauses(vm);
    limit_begin(vm);
    compartment_reset(vm);
    vm->vcpus[0].tsc_offset = 0 - plat_tsc();
    life_power_up(&vm->vcpus[0]);
    vm->live = true;
    if (!vm_start_devices(vm) || !load_guest(&vm->vcpus[0])) {
        return false;
    }
    at.loaded = plat_tsc();

    life_start_others(vm);
    vm->public->started_tsc = plat_tsc();
    vm_set_state(vm, VM_RUNNING, EVENT_READY, "");
    health_begin(vm);
    life_tell_start(vm, &at);
    return true;
}

/* ---- the end of a run, and what follows ---- */

/* Each way to end: the state that follows unless it starts again, and how grave that is. */
static const struct life_end {
    enum vm_state state;
    enum log_level level;
    enum event_cause cause;
    bool again;
} life_ends[LEAVE_KINDS] = {
    [LEAVE_NONE] = {.state = VM_STOPPED, .level = LOG_INFO, .cause = EVENT_REFUSED},
    [LEAVE_POWER_OFF] = {.state = VM_OFF, .level = LOG_INFO, .cause = EVENT_POWER_OFF},
    [LEAVE_RESET] = {.state = VM_OFF, .level = LOG_INFO, .cause = EVENT_OWN_RESET, .again = true},
    /* Reported where it was found. */
    [LEAVE_CRASH] = {.state = VM_CRASHED, .level = LOG_DEBUG, .cause = EVENT_CRASH},
    [LEAVE_STOP] = {.state = VM_STOPPED, .level = LOG_WARN, .cause = EVENT_REFUSED},
    [LEAVE_KILL] = {.state = VM_STOPPED, .level = LOG_INFO, .cause = EVENT_KILL},
    [LEAVE_OPERATOR_RESET] = {.state = VM_OFF,
                              .level = LOG_INFO,
                              .cause = EVENT_RESET,
                              .again = true},
    [LEAVE_FORCE] = {.state = VM_STOPPED, .level = LOG_WARN, .cause = EVENT_FORCE},
    [LEAVE_MOVED] = {.state = VM_STOPPED, .level = LOG_INFO, .cause = EVENT_MOVE},
};

/* The state after a run, or after its start: that was left for the reason that is there. */
static void life_set_state(struct vm *vm, enum vm_state state) {
    vm_set_state(vm, state, life_ends[vm->leave].cause, vm->leave_reason);
}

/* How many milliseconds a restart now is held back. */
static uint32_t life_delay(struct vm *vm) {
    if (vm->restarts == 0) {
        return 0;
    }
    uint32_t doublings = (uint32_t)min_u64(vm->restarts - 1, 16);
    return (uint32_t)min_u64(DELAY_FIRST_MS << doublings, DELAY_LAST_MS);
}

/* Is the start that follows the so-many-th restart in a row told? */
static bool life_is_told(uint32_t restarts) {
    return restarts <= RESTARTS_TOLD || (restarts & (restarts - 1)) == 0;
}

/* A run of VM_LONG_LIFE has proved that the guest works: what was before is forgiven. */
static void life_count(struct vm *vm, enum vm_leave leave) {
    bool long_life = plat_tsc() - vm->public->started_tsc >= VM_LONG_LIFE * plat_tsc_hz();

    if (long_life || leave == LEAVE_OPERATOR_RESET) {
        vm->crashes = 0;
        vm->restarts = 0;
    } else if (vm->restarts < UINT32_MAX) {
        vm->restarts++;
    }
    vm->crashes += leave == LEAVE_CRASH;
    vm->quiet = !life_is_told(vm->restarts);
}

static void life_restart(struct vm *vm) {
    uint32_t delay = life_delay(vm);

    vm->restart_due = plat_tsc() + delay * plat_tsc_hz() / 1000;
    life_set_state(vm, delay == 0 ? VM_STARTING : VM_DELAYED);
}

static void life_tell_delay(struct vm *vm) {
    if (vm->public->state == VM_DELAYED && !vm->quiet) {
        vm_log(vm, LOG_INFO, "restart %u in a row, held back for %u ms", vm->restarts,
               life_delay(vm));
    }
}

/* on_crash decides. */
static void life_after_crash(struct vm *vm, bool stopping) {
    enum config_on_crash policy = vm->plan->config->on_crash;

    if (policy == ON_CRASH_HALT) {
        life_set_state(vm, VM_HALTED);
        vm_log(vm, LOG_WARN,
               "halted, memory kept (on_crash = \"halt\"): \"start %s\" starts it anew" MSG(3018),
               vm->name);
    } else if (policy != ON_CRASH_RESTART || stopping) {
        life_set_state(vm, VM_CRASHED);
    } else if (vm->crashes > VM_CRASH_LIMIT) {
        life_set_state(vm, VM_CRASHED);
        vm_log(vm, LOG_ERROR,
               "crashed %u times in a row: stays stopped, \"start %s\" starts it" MSG(3017),
               vm->crashes, vm->name);
    } else {
        life_restart(vm);
        vm_log(vm, LOG_WARN, "restarting (%u of %u)" MSG(3016), vm->crashes,
               (unsigned)VM_CRASH_LIMIT);
        life_tell_delay(vm);
    }
}

/* A guest that was asked to switch off stays off, whatever it does instead. */
static void life_after_end(struct vm *vm, enum vm_leave leave, bool stopping) {
    const struct life_end *end = &life_ends[leave];
    bool again = end->again && (!stopping || leave == LEAVE_OPERATOR_RESET);

    if (again) {
        life_restart(vm);
    } else {
        life_set_state(vm, stopping ? VM_STOPPED : end->state);
    }
    if (!again || !vm->quiet) {
        vm_log(vm, end->level, "%s", vm->leave_reason);
    }
    if (again) {
        life_tell_delay(vm);
    } else if (end->again) {
        vm_log(vm, LOG_INFO, "stays stopped: the operator asked for it" MSG(3019));
    }
}

/* Its devices look into no channel any more: who is at the other end can see it, and is told. */
static void life_leave_channels(const struct vm *vm) {
    const struct plan_vm *plan = vm->plan;

    for (const struct plan_window *w = plan->windows; w < plan->windows + plan->window_count; w++) {
        if (w->kind == PLAN_OURS) {
            uint64_t runs = w->hpa.v + offsetof(struct channel_half, runs);
            vm_memory_scrub(HPA(runs), CHANNEL_LINE);
        }
    }
    for (unsigned i = 0; i < plan->devices.channel_count; i++) {
        vm_ring(vm, i);
    }
}

/* The run has ended, or its start. */
static void life_end(struct vm *vm) {
    enum vm_leave leave = vm->leave;
    bool stopping = vm->public->state == VM_STOPPING;

    vm->stop_due = 0;
    vm->live = false;
    vm_pci_stop(vm);
    life_leave_channels(vm);
    life_count(vm, leave);
    if (leave == LEAVE_CRASH) {
        life_after_crash(vm, stopping);
    } else {
        life_after_end(vm, leave, stopping);
    }
    health_end(vm, leave, stopping);
    vm_audit_anew(vm);
    __atomic_store_n(&vm->leave, LEAVE_NONE, __ATOMIC_SEQ_CST);
}

/* ---- the CPUs ---- */

/* Until all are out of the guest: then its memory is nobody's. */
static void life_stop_others(struct vm *vm) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i].public, REQUEST_LEAVE);
    }
    life_wait_others(vm);
}

/* On v's own CPU; that of vCPU 0 may wait to hear it. */
static void life_tell_presence(struct vcpu *v, enum vcpu_presence presence) {
    __atomic_store_n(&v->public.presence, (uint32_t)presence, __ATOMIC_RELEASE);
    plat_kick(v->vm->vcpus[0].cpu);
}

void life_stay_out(struct vcpu *v) {
    if (v != NULL) {
        life_tell_presence(v, VCPU_OUT);
    }
    for (;; plat_wait()) {
        if (v != NULL) {
            __atomic_store_n(&v->duty, DUTY_NONE, __ATOMIC_RELEASE);
        }
    }
}

/* v's guest does not run: until there is something to do, or a part of the audit is done. */
static void life_wait(struct vcpu *v) {
    if (v->index == 0 && vm_audit_part(v->vm)) {
        plat_take_interrupts();
    } else {
        plat_wait();
    }
}

/* v is out of the run loop. Should it go there, at once or after a pause? */
static bool life_goes_on(struct vcpu *v) {
    struct vm *vm = v->vm;

    vcpu_pause_begin(v);
    while (vm_is_paused(vm)) {
        if (!vcpu_pause_hold(v)) {
            life_wait(v);
        }
        if (v->index == 0) {
            vm_take_orders(vm);
        }
    }
    vcpu_pause_end(v);
    return __atomic_load_n(&vm->leave, __ATOMIC_SEQ_CST) == LEAVE_NONE;
}

/* To the end of its run; then nothing of the guest is left with this CPU. A copy begins paused. */
static void life_loop(struct vcpu *v, bool copy) {
    bool more = !copy || life_goes_on(v);

    if (v->index == 0) {
        vm_audit_follow(v->vm);
    }
    while (more) {
        plat_clear_traces(); /* a start and a pause have written the log: others' text */
        hvm->loop(v);
        more = life_goes_on(v);
    }
    plat_timer_set(0);
    vm_memory_let_go();
}

/* What vCPU 0's CPU has set this one to. */
void life_help(struct vcpu *v) {
    uint32_t duty = __atomic_load_n(&v->duty, __ATOMIC_ACQUIRE);

    if (duty == DUTY_NONE) {
        return;
    }
    if (duty == DUTY_SCRUB) {
        life_scrub(v->vm);
    } else if (duty == DUTY_TAKE) {
        life_take_vcpu(v);
        life_loop(v, true);
    } else {
        v->waiting = true;
        life_power_up(v);
        life_loop(v, false);
    }
    __atomic_store_n(&v->duty, DUTY_NONE, __ATOMIC_RELEASE);
    plat_kick(v->vm->vcpus[0].cpu);
}

/* Requests are cleared before the orders are read: an order that comes later sets its bit again. */
void life_step(struct vcpu *v) {
    struct vm *vm = v->vm;

    uint32_t requests = __atomic_exchange_n(&v->public.requests, 0, __ATOMIC_SEQ_CST);
    vm_serve_console(vm, requests);
    vm_take_orders(vm);
    if (vm->public->state == VM_DELAYED && plat_tsc() >= vm->restart_due) {
        vm_set_state(vm, VM_STARTING, EVENT_DUE, "");
    }
    if (vm->public->state != VM_STARTING) {
        plat_timer_set(vm->public->state == VM_DELAYED ? vm->restart_due : 0);
        life_wait(v);
        return;
    }
    bool copy = vm->taking;
    vm->taking = false;
    bool begun = vm->leave == LEAVE_NONE && life_has_cpus(vm);
    if (begun && (copy ? life_take(vm) : life_start(vm))) {
        life_loop(v, copy);
        life_stop_others(vm);
    }
    life_end(vm);
}

void life_run(struct vcpu *v) {
    life_tell_presence(v, VCPU_HERE);
    if (v->index == 0) {
        vm_set_state(v->vm, v->vm->plan->config->start_auto ? VM_STARTING : VM_STOPPED,
                     EVENT_CONFIG, "");
    }
    for (;;) {
        vcpu_snapshot_answer(v); /* of who is off, too, one may want to know the last exits */
        if (v->index == 0) {
            life_step(v);
        } else {
            life_help(v);
            plat_wait();
        }
    }
}
