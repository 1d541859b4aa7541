/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns when a part of the operator's audit is done, and what is said at its end. What is judged,
 * and how, is hv/monitor/audit_vm.c's and, for the CPU's own tables, arch/'s.
 */
#include "hv/vm/audit_turn.h"

#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

#define PART_STEPS  1000u /* of 10 to 15 instructions each */
#define GUEST_SHARE 9u    /* so many times as long as a part took the guest runs then */

SEALED enum status (*vm_audit_again)(const struct vm *vm, struct audit_progress *at,
                                     uint32_t steps);

void vm_audit_follow(struct vm *vm) {
    if (vm->audit.goes_on) {
        vcpu_request(&vm->vcpus[0].public, REQUEST_CLOCKS);
    }
}

void vm_audit_begin(struct vm *vm) {
    if (vm->audit.goes_on) {
        vm_log(vm, LOG_INFO, "audit: one goes on already, %u parts of it are done",
               vm->audit.parts);
        return;
    }
    vm->audit = (struct vm_audit){.goes_on = true, .due = plat_tsc()};
    vm_audit_follow(vm);
}

void vm_audit_anew(struct vm *vm) {
    if (vm->audit.goes_on && vm->audit.parts != 0) {
        vm->audit = (struct vm_audit){.goes_on = true, .due = plat_tsc()};
        vm_log(vm, LOG_INFO, "audit: begins anew, the guest has ended or moved meanwhile");
    }
}

static ull audit_us(uint64_t ticks) {
    return (ull)mul_div_u64(ticks, 1000000, plat_tsc_hz());
}

static void audit_passed(struct vm *vm) {
    ull work = audit_us(vm->audit.work);
    ull longest = audit_us(vm->audit.longest);

    vm->audit.goes_on = false;
    vm_log(vm, LOG_INFO,
           "audit: nested tables, compartment and bitmaps are as planned "
           "(%llu.%03llu ms of work in %u parts, the longest %llu.%03llu ms)",
           work / 1000, work % 1000, vm->audit.parts, longest / 1000, longest % 1000);
}

/* Of one that is off there is no run to end. */
static void audit_failed(struct vm *vm) {
    vm->audit.goes_on = false;
    vm_log(vm, LOG_ERROR, "audit: NOT as planned, see above: a bug, or broken memory" MSG(5012));
    if (!vm_state_is_off(vm->public->state)) {
        vm_leave(vm, LEAVE_STOP, "its tables are not as planned" MSG(3015));
    }
}

/* The CPU's own tables first, which make the machine panic if they are wrong. */
static enum status audit_next(struct vm *vm) {
    struct vm_audit *audit = &vm->audit;

    if (!audit->host.through) {
        (void)plat_audit_part(&audit->host, PART_STEPS);
        return STATUS_OK;
    }
    return vm_audit_again(vm, &audit->at, PART_STEPS);
}

bool vm_audit_part(struct vm *vm) {
    struct vm_audit *audit = &vm->audit;

    if (!audit->goes_on) {
        return false;
    }
    uint64_t begin = plat_tsc();
    enum status s = audit_next(vm);
    uint64_t took = plat_tsc() - begin;

    audit->parts++;
    audit->work += took;
    audit->longest = max_u64(audit->longest, took);
    audit->due = begin + took + GUEST_SHARE * took;
    if (s != STATUS_OK) {
        audit_failed(vm);
    } else if (audit->at.through) {
        audit_passed(vm);
    }
    return true;
}

uint64_t vm_watch_audit(struct vm *vm) {
    if (vm->audit.goes_on && plat_tsc() >= vm->audit.due) {
        (void)vm_audit_part(vm);
    }
    return vm->audit.goes_on ? vm->audit.due : 0;
}
