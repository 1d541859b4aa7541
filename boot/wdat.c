/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchdog that ACPI's table WDAT describes: does it run, and stopping it. The table is a list
 * of accesses to registers, a firmware's word: what is not understood makes the watchdog one that
 * cannot be stopped, and memory is never written to. See no_firmware.h. Source: Microsoft,
 * "Hardware Watchdog Timers Design Specification", "Watchdog Action Table".
 */
#include "boot/no_firmware.h"
#include "hv/lib/bytes.h"

#define TABLE_SIZE       4u
#define WDAT_FLAGS       60u
#define WDAT_ENABLED     BIT32(0) /* else the firmware's setup has switched it off */
#define WDAT_COUNT       64u
#define WDAT_ENTRY_SIZE  24u
#define ENTRY_ACTION     0u
#define ENTRY_OPERATION  1u
#define ENTRY_REGISTER   4u /* a generic address: */
#define REGISTER_SPACE   4u
#define REGISTER_BITS    5u
#define REGISTER_SHIFT   6u
#define REGISTER_ACCESS  7u
#define REGISTER_ADDRESS 8u
#define ENTRY_VALUE      16u
#define ENTRY_MASK       20u
#define SPACE_MEMORY     0u
#define SPACE_PORT       1u
#define OPERATION_KEEPS  0x80u /* the register's other bits */
#define ACCESS_MOST      3u    /* of 4 bytes: by one of 8 no register of 32 bits is meant */
#define PORTS            0x10000ull
#define MEMORY_END       (4 * GIB) /* the firmware maps no other device for sure */

/* The actions that are of use here. */
enum { ACTION_IS_RUNNING = 8, ACTION_IS_STOPPED = 10, ACTION_STOP = 11 };
enum { OPERATION_READ = 0, OPERATION_WRITE = 2 };

/* Of an access in bytes, 0 = none that is possible. Without a word for it the register's own. */
static uint8_t wdat_width(const uint8_t *entry) {
    uint8_t access = entry[REGISTER_ACCESS];
    uint8_t bits = entry[REGISTER_BITS];

    if (access > ACCESS_MOST) {
        return 0;
    }
    if (access != 0) {
        return (uint8_t)(1u << (access - 1));
    }
    if (bits > 32) {
        return 0;
    }
    if (bits > 16) {
        return 4;
    }
    return bits > 8 ? 2 : 1;
}

/* False if it cannot be carried out. */
static bool wdat_read_step(const uint8_t *entry, struct boot_watchdog_step *step) {
    uint8_t operation = entry[ENTRY_OPERATION];
    uint8_t space = entry[REGISTER_SPACE];
    uint64_t end = space == SPACE_PORT ? PORTS : MEMORY_END;

    *step = (struct boot_watchdog_step){
        .writes = (operation & ~OPERATION_KEEPS) == OPERATION_WRITE,
        .keeps = (operation & OPERATION_KEEPS) != 0,
        .in_memory = space == SPACE_MEMORY,
        .width = wdat_width(entry),
        .shift = entry[REGISTER_SHIFT],
        .address = bytes_u64(entry + REGISTER_ADDRESS),
        .value = bytes_u32(entry + ENTRY_VALUE),
        .mask = bytes_u32(entry + ENTRY_MASK),
    };
    bool known = step->writes || (operation & ~OPERATION_KEEPS) == OPERATION_READ;
    bool place = space == SPACE_PORT || (step->in_memory && step->address != 0);
    return known && place && step->width != 0 && step->shift < 8u * step->width &&
           step->address % step->width == 0 && step->address < end;
}

/* Where an action has several steps, all of them count, in their order. */
static void wdat_add(struct boot_watchdog *w, const struct boot_watchdog_step *step,
                     uint8_t action) {
    bool stops = action == ACTION_STOP;
    bool full = w->step_count == BOOT_WATCHDOG_STEPS;

    if (full || (stops && !step->writes)) {
        w->unclear = true;
        return;
    }
    w->steps[w->step_count] = *step;
    w->steps[w->step_count].stops = stops;
    w->steps[w->step_count].inverse = action == ACTION_IS_STOPPED;
    w->step_count++;
}

void wdat_read(const uint8_t *table, struct boot_info *info) {
    struct boot_watchdog *w = &info->watchdog;
    uint32_t count = bytes_u32(table + WDAT_COUNT);
    uint32_t room = (bytes_u32(table + TABLE_SIZE) - WDAT_ENTRIES) / WDAT_ENTRY_SIZE;

    if ((table[WDAT_FLAGS] & WDAT_ENABLED) == 0) {
        return;
    }
    w->state = BOOT_WATCHDOG_UNKNOWN;
    w->unclear = count > room;
    for (uint32_t i = 0; i < count && i < room; i++) {
        const uint8_t *entry = table + WDAT_ENTRIES + i * WDAT_ENTRY_SIZE;
        uint8_t action = entry[ENTRY_ACTION];
        struct boot_watchdog_step step;

        if (action != ACTION_IS_RUNNING && action != ACTION_IS_STOPPED && action != ACTION_STOP) {
            continue;
        }
        if (wdat_read_step(entry, &step)) {
            wdat_add(w, &step, action);
        } else {
            w->unclear = true;
        }
    }
}

/* Registers, and no memory that somebody has. */
static bool wdat_may_use(const struct boot_info *info, const struct boot_watchdog_step *step) {
    return !step->in_memory || !boot_is_memory(info, step->address, step->width);
}

/* By the last question that the table has; one that has to write is not put. */
static enum boot_watchdog_state wdat_ask(const struct boot_watchdog *w,
                                         const struct wdat_ops *ops) {
    enum boot_watchdog_state state = BOOT_WATCHDOG_UNKNOWN;

    for (uint32_t i = 0; i < w->step_count; i++) {
        const struct boot_watchdog_step *step = &w->steps[i];
        if (step->stops) {
            continue;
        }
        if (step->writes) {
            return BOOT_WATCHDOG_UNKNOWN;
        }
        bool is = (ops->read(step) >> step->shift & step->mask) == step->value;
        state = is != step->inverse ? BOOT_WATCHDOG_RUNS : BOOT_WATCHDOG_RESTS;
    }
    return state;
}

static bool wdat_can_stop(const struct boot_watchdog *w) {
    bool stops = false;

    for (uint32_t i = 0; i < w->step_count; i++) {
        stops = stops || w->steps[i].stops;
    }
    return stops && !w->unclear;
}

void wdat_look(struct boot_info *info, const struct wdat_ops *ops) {
    struct boot_watchdog *w = &info->watchdog;

    if (w->state == BOOT_WATCHDOG_NONE) {
        return;
    }
    for (uint32_t i = 0; i < w->step_count; i++) {
        w->unclear = w->unclear || !wdat_may_use(info, &w->steps[i]);
    }
    w->state = w->unclear ? BOOT_WATCHDOG_UNKNOWN : wdat_ask(w, ops);
    if (w->state != BOOT_WATCHDOG_RESTS && !wdat_can_stop(w)) {
        w->state = BOOT_WATCHDOG_STUCK;
    }
}

static void wdat_write(const struct boot_watchdog_step *step, const struct wdat_ops *ops) {
    uint32_t value = (step->value & step->mask) << step->shift;

    if (step->keeps) {
        value |= ops->read(step) & ~(step->mask << step->shift);
    }
    ops->write(step, value);
}

void wdat_stop(struct boot_info *info, const struct wdat_ops *ops) {
    struct boot_watchdog *w = &info->watchdog;

    if (w->state != BOOT_WATCHDOG_RUNS && w->state != BOOT_WATCHDOG_UNKNOWN) {
        return;
    }
    for (uint32_t i = 0; i < w->step_count; i++) {
        if (w->steps[i].stops) {
            wdat_write(&w->steps[i], ops);
        }
    }
    w->state = wdat_ask(w, ops) == BOOT_WATCHDOG_RUNS ? BOOT_WATCHDOG_STUCK : BOOT_WATCHDOG_STOPPED;
}
