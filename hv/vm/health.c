/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See health.h. Each VM is looked at on its own CPU; the last one to be proved tells. */
#include "hv/vm/health.h"

#include "hv/vm/plat.h"

#define RESTARTS_LAST     8u /* in a row, whatever for: it will not come up */
#define FALL_BACK_SECONDS 10u

static SEALED uint64_t health_trial; /* 0 = none */
static SEALED uint32_t health_seconds;
static SEALED char health_set;
static uint32_t health_awaited; /* atomic: guests that have not been proved */

/* A guest that waits for the operator is not waited for. */
void health_init(const struct boot_info *info) {
    health_trial = info->trial;
    health_seconds = info->config.trial;
    health_set = info->set;
    health_awaited = 0;
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        health_awaited += info->config.guests[i].start_auto ? 1 : 0;
    }
    if (health_trial != 0) {
        log_info("set %c is on trial: it has come up once its guests have run for %u s", health_set,
                 health_seconds);
    }
}

static bool health_wants(const struct vm *vm) {
    return health_trial != 0 && !vm->proved && vm->plan->config->start_auto;
}

void health_begin(struct vm *vm) {
    if (health_wants(vm)) {
        vcpu_look_again(&vm->vcpus[0], health_seconds * plat_tsc_hz());
    }
}

static void health_prove(struct vm *vm) {
    vm->proved = true;
    if (__atomic_sub_fetch(&health_awaited, 1, __ATOMIC_SEQ_CST) != 0) {
        return;
    }
    if (plat_keep_healthy(health_trial)) {
        log_warn(
            "set %c has come up: the next restart, by \"reboot\" or the reset button, makes it "
            "the good one; a power cut before that does not" MSG(6008),
            health_set);
    } else {
        log_warn("set %c has come up, but no memory is left to tell that to the next start: "
                 "\"mkstick --good\" makes it the good one" MSG(6009),
                 health_set);
    }
}

uint64_t health_watch(struct vm *vm) {
    uint64_t due = vm->public->started_tsc + health_seconds * plat_tsc_hz();

    if (!health_wants(vm)) {
        return 0;
    }
    if (plat_tsc() < due) {
        return due;
    }
    health_prove(vm);
    return 0;
}

/* So that the log is out, and somebody who looks at it can read it. */
static void health_fall_back(const struct vm *vm) {
    uint64_t due = plat_tsc() + FALL_BACK_SECONDS * plat_tsc_hz();

    log_error("set %c has not come up, because of %s: the machine restarts with the good set in "
              "%u s" MSG(6010),
              health_set, vm->name, FALL_BACK_SECONDS);
    while (plat_tsc() < due) {
        plat_timer_set(due);
        plat_wait();
    }
    plat_machine_reset();
    log_error("the machine could not be restarted: use its reset button" MSG(6011));
}

void health_end(struct vm *vm, enum vm_leave leave, bool stopping) {
    bool by_operator = stopping || leave == LEAVE_KILL || leave == LEAVE_FORCE ||
                       leave == LEAVE_OPERATOR_RESET || leave == LEAVE_MOVED;

    if (by_operator || !health_wants(vm)) {
        return;
    }
    if (leave == LEAVE_POWER_OFF) {
        health_prove(vm);
    } else if (vm_state_is_off(vm->public->state) || vm->restarts >= RESTARTS_LAST) {
        health_fall_back(vm);
    }
}
