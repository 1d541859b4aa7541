/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM on the fake machine whose life is looked at: its loop is the test's, and it sleeps by the
 * fake clock. */
#ifndef TESTS_UNIT_FAKE_LIFE_H
#define TESTS_UNIT_FAKE_LIFE_H

#include <stdio.h>
#include <stdlib.h>

#include "fake_machine.h"
#include "fake_windows.h"
#include "hv/lib/phys.h"

/* Sleeps until the host's timer fires. */
static void sleep_on_timer(void) {
    if (fake_deadline == 0) {
        printf("# sleeps for ever\n");
        abort();
    }
    fake_tsc = max_u64(fake_tsc, fake_deadline);
    fake_deadline = 0;
    hv_timer_expired();
}

/* loop: what stands for the run loop. Returns the first vCPU. */
static struct vcpu *fake_life_begin(const struct log_hooks *hooks, void (*loop)(struct vcpu *v)) {
    static uint8_t file[64];
    static struct boot_image image;

    image.base = HPA((uintptr_t)file);
    image.size = sizeof(file);
    log_init(hooks, LOG_INFO);
    fake_tsc = 1000;
    fake_deadline = 0;
    fake_ops.loop = loop;
    fake_vm = NULL;
    struct vcpu *v = fake_machine_start();
    fake_wait = sleep_on_timer;
    fake_plan.kernel = &image;
    fake_config.on_crash = ON_CRASH_RESTART;
    fake_config.memory = FAKE_RAM;
    return v;
}

#endif
