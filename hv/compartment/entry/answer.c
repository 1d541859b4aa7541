/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a compartment does for each upcall: one table. Takes the platform's lock around what reaches
 * the devices. Arguments come from the core, but most of them are what the guest did.
 */
#include "hv/compartment/entry/hardware.h"
#include "hv/compartment/load/load.h"
#include "hv/lib/str.h"

static void answer_nothing(UNUSED struct hardware *h, UNUSED struct exchange *e) {
}

/* The only one of the VM's contexts that runs yet. */
static void answer_start(struct hardware *h, struct exchange *e) {
    struct exchange_vm *vm = compartment_vm();
    struct dev_env outside = hardware_outside;

    h->vm = vm;
    h->is_shared = vm->vcpus != 1;
    h->clock = (struct dev_clock){.host_tsc = compartment_tsc,
                                  .offset = vm->clock_offset,
                                  .tsc_hz = vm->tsc_hz,
                                  .wall_at_zero = vm->wall_at_zero};
    outside.clock = &h->clock;
    outside.memory = &h->memory;
    outside.counts = &vm->counts;
    outside.caller = e;
    random_start(&h->random, vm->seed);
    memcpy(&h->kept, vm->kept, sizeof(h->kept));
    h->platform.rtc.kept = h->kept.rtc;
    h->platform.watchdog.bitten = h->kept.bitten;
    platform_init(&h->platform, &outside, compartment_devices());
    platform_set_links(&h->platform, vm->links);
    emulator_start(h);
}

static inline void read_bus(struct platform *p, struct exchange *e) {
    struct bus_answer answer = platform_read(p, (enum bus_space)e->space, e->at, e->size);

    e->argument = answer.value;
    e->there = (uint32_t)answer.there;
}

static inline void write_bus(struct platform *p, struct exchange *e) {
    e->there = platform_write(p, (enum bus_space)e->space, e->at, e->size, e->argument);
}

static __attribute__((noinline)) void answer_shared(struct hardware *h, struct exchange *e) {
    struct platform *p = hardware_lock(h, e);

    if (e->upcall == UPCALL_READ) {
        read_bus(p, e);
    } else {
        write_bus(p, e);
    }
    hardware_unlock(h);
}

/* These two are what a guest waits for: nothing is asked twice. */
static void answer_read(struct hardware *h, struct exchange *e) {
    if (UNLIKELY(h->is_shared)) {
        answer_shared(h, e);
        return;
    }
    read_bus(hardware_lock(h, e), e);
}

static void answer_write(struct hardware *h, struct exchange *e) {
    if (UNLIKELY(h->is_shared)) {
        answer_shared(h, e);
        return;
    }
    write_bus(hardware_lock(h, e), e);
}

static void answer_service(struct hardware *h, struct exchange *e) {
    struct platform *p = hardware_lock(h, e);
    e->argument = platform_service(p, clock_now(&h->clock));
    hardware_unlock(h);
}

static void answer_acknowledge(struct hardware *h, struct exchange *e) {
    e->argument = platform_acknowledge(hardware_lock(h, e));
    hardware_unlock(h);
}

static void answer_end(struct hardware *h, struct exchange *e) {
    platform_end_interrupt(hardware_lock(h, e), (uint8_t)e->argument);
    hardware_unlock(h);
}

static void answer_type(struct hardware *h, struct exchange *e) {
    e->argument = platform_receive(hardware_lock(h, e), (uint8_t)e->argument);
    hardware_unlock(h);
}

static void answer_drain(struct hardware *h, struct exchange *e) {
    platform_drain(hardware_lock(h, e));
    hardware_unlock(h);
}

static void answer_power(struct hardware *h, struct exchange *e) {
    platform_press_power_button(hardware_lock(h, e));
    e->told |= TOLD_CLOCKS;
    hardware_unlock(h);
}

static void answer_channels(struct hardware *h, struct exchange *e) {
    struct platform *p = hardware_lock(h, e);

    platform_set_links(p, h->vm->links);
    platform_poll_channels(p);
    hardware_unlock(h);
}

/* The guest's first look at a disk is to find it. */
static void answer_load(struct hardware *h, struct exchange *e) {
    bool ready = platform_await_disks(hardware_lock(h, e), clock_now(&h->clock));

    hardware_unlock(h);
    if (ready) {
        load_upcall(e, compartment_devices());
    } else {
        e->load.status = LOAD_WAITS;
    }
}

typedef void answer(struct hardware *h, struct exchange *e);
static answer *const answers[UPCALLS] = {
    [UPCALL_NOTHING] = answer_nothing,
    [UPCALL_START] = answer_start,
    [UPCALL_LOAD] = answer_load,
    [UPCALL_READ] = answer_read,
    [UPCALL_WRITE] = answer_write,
    [UPCALL_SERVICE] = answer_service,
    [UPCALL_ACKNOWLEDGE] = answer_acknowledge,
    [UPCALL_END] = answer_end,
    [UPCALL_TYPE] = answer_type,
    [UPCALL_DRAIN] = answer_drain,
    [UPCALL_POWER] = answer_power,
    [UPCALL_CHANNELS] = answer_channels,
    [UPCALL_MEMORY] = emulator_memory,
    [UPCALL_STRING] = emulator_string,
    [UPCALL_TASK] = emulator_task,
    [UPCALL_LENGTH] = emulator_length,
    [UPCALL_CODE] = emulator_code,
    [UPCALL_PDPTES] = emulator_pdptes,
};

void hardware_answer(struct hardware *h, struct exchange *e) {
    answers[e->upcall](h, e);
}
