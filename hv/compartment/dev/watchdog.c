/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchdog that ACPI's table WDAT describes (hv/compartment/load/acpi.c): a count of ticks that
 * a guest sets, starts and feeds; at its end the guest's run ends. Off at power-up. It counts on
 * the VM's clock, so a guest that is paused need not feed it. Source: Microsoft, "Hardware Watchdog
 * Timers Design Specification", "Watchdog Action Table".
 */
#include "hv/compartment/dev/models.h"

enum { CONTROL_RUNS = 0x01 };
enum { STATUS_BITTEN = 0x01 };

static struct watchdog *watchdog_of(struct device *dev) {
    return CONTAINER_OF(dev, struct watchdog, dev);
}

static void watchdog_reset(struct device *dev) {
    struct watchdog *w = watchdog_of(dev);

    w->count = w->most;
    w->runs = false;
    w->due = 0;
}

/* From now on it has its whole time again. */
static void watchdog_feed(struct watchdog *w) {
    const struct dev_clock *clock = w->dev.env->clock;

    w->due = clock_now(clock) + mul_div_u64(w->count, clock->tsc_hz, WATCHDOG_HZ);
}

static uint32_t watchdog_left(const struct watchdog *w) {
    const struct dev_clock *clock = w->dev.env->clock;
    uint64_t now = clock_now(clock);

    if (!w->runs) {
        return w->count;
    }
    return now < w->due ? (uint32_t)clock_ticks_at(clock, w->due - now, WATCHDOG_HZ) : 0;
}

static uint64_t watchdog_service(struct device *dev, uint64_t now) {
    struct watchdog *w = watchdog_of(dev);
    const struct dev_env *env = w->dev.env;

    if (!w->runs) {
        return 0;
    }
    if (now >= w->due) {
        w->runs = false;
        w->bitten = true;
        env->keep_bitten(env, true);
        env->event(env, DEV_WATCHDOG_BITES, (w->count + WATCHDOG_HZ - 1) / WATCHDOG_HZ);
        return 0;
    }
    return w->due;
}

/* By whole registers, as WDAT says. */
static uint64_t watchdog_read(struct device *dev, UNUSED unsigned region, uint64_t at,
                              UNUSED unsigned size) {
    const struct watchdog *w = watchdog_of(dev);

    switch (at) {
    case WATCHDOG_COUNT:
        return w->count;
    case WATCHDOG_LEFT:
        return watchdog_left(w);
    case WATCHDOG_CONTROL:
        return w->runs ? CONTROL_RUNS : 0;
    case WATCHDOG_STATUS:
        return w->bitten ? STATUS_BITTEN : 0;
    default:
        return 0;
    }
}

static void watchdog_set_count(struct watchdog *w, uint64_t count) {
    w->count = (uint32_t)min_u64(max_u64(count, 1), w->most);
    watchdog_feed(w);
}

static void watchdog_write(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size,
                           uint64_t value) {
    struct watchdog *w = watchdog_of(dev);
    const struct dev_env *env = w->dev.env;

    if (at == WATCHDOG_COUNT && size == 4) {
        watchdog_set_count(w, value);
    } else if (at == WATCHDOG_CONTROL) {
        w->runs = (value & CONTROL_RUNS) != 0;
        watchdog_feed(w);
    } else if (at == WATCHDOG_FEED) {
        watchdog_feed(w);
        return; /* it bites later, and who looks too early will see that */
    } else if (at == WATCHDOG_STATUS) {
        w->bitten = (value & STATUS_BITTEN) != 0;
        env->keep_bitten(env, w->bitten);
    }
    env->reschedule(env);
}

const struct device_ops watchdog_ops = {
    .name = "watchdog",
    .reset = watchdog_reset,
    .read = watchdog_read,
    .write = watchdog_write,
    .service = watchdog_service,
};
