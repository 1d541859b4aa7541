/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a VM's life. Runs on the CPU of its first vCPU and touches nothing of another VM; RAM is
 * scrubbed before every start.
 */
#include "hv/exit/exit.h"

#include "hv/exit/policy.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

static void life_power_up(struct vcpu *v) {
    msr_reset(v);
    cpuid_set_osxsave(v, false);
    vcpu_reset(v, false);
    plat_reset_live_state();
}

/* All with one TSC. The others power up on their own CPUs and wait for a startup message. */
static void life_start_vcpus(struct vm *vm) {
    uint64_t offset = 0 - plat_tsc();
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        v->tsc_offset = offset;
        if (i == 0) {
            life_power_up(v);
        } else {
            __atomic_store_n(&v->requests, REQUEST_EVENT, __ATOMIC_RELAXED);
            __atomic_store_n(&v->running, 1, __ATOMIC_RELEASE);
            plat_kick(v->cpu);
        }
    }
}

/* Until all are out of the guest: then its memory is nobody's. */
static void life_stop_others(struct vm *vm) {
    for (uint32_t i = 1; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        vcpu_request(v, REQUEST_LEAVE);
        while (__atomic_load_n(&v->running, __ATOMIC_ACQUIRE) != 0) {
            plat_wait();
        }
    }
}

static bool life_start(struct vm *vm) {
    uint64_t begin = plat_tsc();
    vm->state = VM_STARTING;
    vm->leave = LEAVE_NONE;
    for (uint32_t i = 0; i < vm->plan->region_count; i++) {
        memset(phys_pointer(vm->plan->regions[i].hpa), 0, vm->plan->regions[i].size);
    }
    uint64_t scrubbed = plat_tsc();
    if (vm_load(vm) != STATUS_OK) {
        vm_log(vm, LOG_ERROR, "cannot start: its memory is too small for its files");
        return false;
    }
    uint64_t copied = plat_tsc();
    vm_reset_devices(vm);
    life_start_vcpus(vm);
    char size[24], cpus[64];
    vm_log(vm, LOG_INFO, "started (%u vCPU%s on cpu %s, %s)", vm->vcpu_count,
           vm->vcpu_count > 1 ? "s" : "",
           cpu_set_format(&vm->plan->config->cpus, cpus, sizeof(cpus)),
           fmt_size(size, vm->plan->config->memory));
    uint64_t since = vm->born_tsc != 0 ? vm->born_tsc : begin;
    vm->born_tsc = 0;
    vm->started_tsc = plat_tsc();
    vm_log(vm, LOG_INFO, "first instruction after %llu ticks (scrub %llu, copy %llu)",
           (ull)(vm->started_tsc - since), (ull)(scrubbed - begin), (ull)(copied - scrubbed));
    vm->state = VM_RUNNING;
    return true;
}

/* A crash: on_crash decides. True = start again. */
static bool life_after_crash(struct vm *vm) {
    enum config_on_crash policy = vm->plan->config->on_crash;
    vm->state = policy == ON_CRASH_HALT ? VM_HALTED : VM_CRASHED;
    if (plat_tsc() - vm->started_tsc > VM_CRASH_FORGIVEN * plat_tsc_hz()) {
        vm->crashes = 0;
    }
    bool again = policy == ON_CRASH_RESTART && vm->crashes++ < VM_CRASH_LIMIT;
    if (again) {
        vm_log(vm, LOG_WARN, "restarting (%u of %u)", vm->crashes, (unsigned)VM_CRASH_LIMIT);
    } else if (policy == ON_CRASH_RESTART) {
        vm_log(vm, LOG_ERROR, "crashed %u times in a row: stays stopped, \"start %s\" starts it",
               vm->crashes, vm->name);
    } else if (policy == ON_CRASH_HALT) {
        vm_log(vm, LOG_WARN,
               "halted, memory kept (on_crash = \"halt\"): \"start %s\" starts it anew", vm->name);
    }
    return again;
}

/* The run loop has ended. True = start again. */
static bool life_after_run(struct vm *vm) {
    plat_timer_set(0);
    life_stop_others(vm);
    vm->state = vm->leave == LEAVE_POWER_OFF ? VM_OFF : VM_STOPPED;
    if (vm->leave == LEAVE_CRASH) {
        return life_after_crash(vm);
    }
    if (vm->leave != LEAVE_NONE) { /* else an operator's command is waiting */
        vm_log(vm, vm->leave == LEAVE_STOP ? LOG_WARN : LOG_INFO, "%s", vm->leave_reason);
    }
    return vm->leave == LEAVE_RESET;
}

void life_stay_out(struct vcpu *v) {
    for (;; plat_wait()) {
        if (v != NULL) {
            __atomic_store_n(&v->running, 0, __ATOMIC_RELEASE);
        }
    }
}

static NORETURN void life_run_other(struct vcpu *v) {
    for (;; plat_wait()) {
        if (__atomic_load_n(&v->running, __ATOMIC_ACQUIRE) != 0) {
            v->waiting = true;
            life_power_up(v);
            hvm->loop(v);
            plat_timer_set(0);
            __atomic_store_n(&v->running, 0, __ATOMIC_RELEASE);
            plat_kick(v->vm->vcpus[0].cpu);
        }
    }
}

void life_run(struct vcpu *v) {
    struct vm *vm = v->vm;
    if (v->index != 0) {
        life_run_other(v);
    }
    static const char *const words[] = {[VM_COMMAND_START] = "started",
                                        [VM_COMMAND_STOP] = "stopped",
                                        [VM_COMMAND_RESET] = "reset"};
    bool start = vm->plan->config->start_auto;
    for (;;) {
        /* Cleared before the command is read: a command that comes later sets it again. */
        __atomic_store_n(&v->requests, 0, __ATOMIC_SEQ_CST);
        uint32_t command = __atomic_exchange_n(&vm->command, VM_COMMAND_NONE, __ATOMIC_SEQ_CST);
        if (command != VM_COMMAND_NONE) {
            vm_log(vm, LOG_INFO, "%s by the operator", words[command]);
            vm->crashes = 0;
            vm->state = VM_STOPPED;
            start = command != VM_COMMAND_STOP;
        }
        if (!start) {
            plat_wait();
            continue;
        }
        start = false;
        if (life_start(vm)) {
            hvm->loop(v);
            start = life_after_run(vm);
        } else {
            vm->state = VM_CRASHED;
        }
    }
}
