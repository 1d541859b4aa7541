/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stops all guests as "stop" does: by their power buttons, and by force after each one's
 * stop_timeout. Switches the machine off when none is left. Guests that were stopped stay so if the
 * operator changes his mind. Called by command.c.
 */
#include "hv/monitor/poweroff.h"

#include "hv/monitor/console.h"

#define LINGERS_MS 300u /* for the last words on a serial line */

static struct {
    bool last_words;
    uint64_t due; /* host TSC */
} poweroff;

static bool has_orders(const struct vm_public *vm) {
    return __atomic_load_n(&vm->orders, __ATOMIC_ACQUIRE) != 0;
}

/* So many are not off. One that has started itself again meanwhile is stopped again. */
static unsigned stop_guests(struct vm_public *vms, unsigned count) {
    unsigned left = 0;

    for (unsigned i = 0; i < count; i++) {
        bool off = vm_state_is_off(vms[i].state) && !has_orders(&vms[i]);
        left += off ? 0 : 1;
        if (!off && vms[i].state != VM_STOPPING && !has_orders(&vms[i])) {
            (void)vm_command(&vms[i], VM_COMMAND_STOP);
        }
    }
    return left;
}

static enum show say_last_words(void) {
    poweroff.last_words = true;
    poweroff.due = plat_tsc() + plat_tsc_hz() * LINGERS_MS / 1000;
    if (plat_can_switch_off()) {
        log_warn("switching the machine off at the operator's request" MSG(6003));
    } else {
        log_warn("all guests are off. This machine's firmware does not say how to switch it off: "
                 "use its power button" MSG(6004));
    }
    return SHOW_WAIT;
}

enum show poweroff_show(struct vm_public *vms, unsigned count, unsigned line) {
    if (line == 0) {
        poweroff.last_words = false;
        if (stop_guests(vms, count) != 0) {
            console_print("stopping all guests; any key leaves the machine on\n");
        }
        return SHOW_PRINTED;
    }
    if (console_interrupts()) {
        console_print("the machine stays on; guests that were asked to stop do so\n");
        return SHOW_END;
    }
    if (stop_guests(vms, count) != 0) {
        return SHOW_WAIT;
    }
    if (!poweroff.last_words) {
        return say_last_words();
    }
    if (plat_tsc() < poweroff.due) {
        return SHOW_WAIT;
    }
    if (plat_can_switch_off()) {
        plat_machine_off();
        log_error("the machine could not be switched off: use its power button" MSG(6005));
    }
    return SHOW_END;
}
