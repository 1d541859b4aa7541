// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives guests the others that they may control, as the config says. Called by devices.c.
 */
#include "config/builder.h"
#include "hv/lib/str.h"

static void judge_twice(const struct builder *b, const struct config_guest *g, uint32_t n) {
    const struct config_vsock *control = &g->controls[n];

    for (uint32_t i = 0; i < n; i++) {
        if (str_equal(g->controls[i].guest, control->guest)) {
            REFUSE(b, g, control->pos,
                   "control = \"%s\" is there already, on line %u; name each guest once" MSG(1136),
                   control->guest, g->controls[i].pos.line);
            return;
        }
    }
}

static void judge_control(const struct builder *b, const struct config_guest *g, uint32_t n) {
    const struct config *config = &b->info->config;
    const struct config_vsock *control = &g->controls[n];
    const char *near = find_near_guest(config, NULL, control->guest);

    judge_twice(b, g, n);
    if (str_equal(control->guest, CONFIG_ALL_GUESTS) ||
        find_guest(config, control->guest) != NULL) {
        return;
    }
    if (near != NULL) {
        REFUSE(b, g, control->pos, "there is no guest \"%s\"; did you mean \"%s\"?" MSG(1137),
               control->guest, near);
    } else {
        REFUSE(b, g, control->pos,
               "there is no guest \"%s\"; add a table [guest.%s], or write "
               "\"*\" for all" MSG(1138),
               control->guest, control->guest);
    }
}

static bool may_control(const struct config_guest *g, const struct config_guest *other) {
    bool may = false;

    for (uint32_t i = 0; !may && i < g->control_count; i++) {
        const char *named = g->controls[i].guest;
        may = str_equal(named, CONFIG_ALL_GUESTS) || str_equal(named, other->name);
    }
    return may;
}

void give_control(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;

    for (uint32_t i = 0; i < g->control_count; i++) {
        judge_control(b, g, i);
    }
    for (uint32_t i = 0; i < b->plan->vm_count; i++) {
        const struct plan_vm *other = &b->plan->vms[i];
        if (may_control(g, other->config)) {
            vm->control_cpus[vm->control_count++] = other->cpus[0];
        }
    }
    vm->devices.has_control = vm->control_count != 0;
    if (vm->devices.has_control && vm->devices.port_count == ABI_PORTS) {
        REFUSE(
            b, g, g->controls[0].pos,
            "control takes one of the %u ports of the guest's console; take a port off" MSG(1139),
            ABI_PORTS);
    }
}
