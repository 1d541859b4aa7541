/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the devices say to the world outside: put into the exchange page of the vCPU whose access or
 * moment it is, for the core to take at the end of the upcall. Called with the platform's lock
 * held; what has no room any more is told at once.
 */
#include "hv/compartment/entry/hardware.h"
#include "hv/lib/str.h"

static struct hardware *hardware_of(const struct dev_env *env) {
    return CONTAINER_OF(env, struct hardware, platform.env);
}

static struct exchange *exchange_of(const struct dev_env *env) {
    return env->caller;
}

static void outside_msi(const struct dev_env *env, uint64_t address, uint32_t data) {
    struct exchange *e = exchange_of(env);

    if ((e->told & TOLD_MESSAGES) == 0) {
        e->messages = 0;
    } else if (e->messages == EXCHANGE_MESSAGES) {
        outside_tell(e);
        e->messages = 0;
    }
    e->message[e->messages++] = (struct exchange_message){.address = address, .data = data};
    e->told |= TOLD_MESSAGES;
}

/* The level is for the core to look at whenever it likes; that it rises is told. */
static void outside_intr(const struct dev_env *env, bool asserted) {
    __atomic_store_n(&hardware_of(env)->vm->intr, asserted, __ATOMIC_RELEASE);
    if (asserted) {
        exchange_of(env)->told |= TOLD_INTR;
    }
}

static void outside_reschedule(const struct dev_env *env) {
    exchange_of(env)->told |= TOLD_CLOCKS;
}

static bool outside_ring_is_full(const struct exchange_vm *vm) {
    return vm->put - __atomic_load_n(&vm->taken, __ATOMIC_ACQUIRE) >= EXCHANGE_RING;
}

/* A ring that stays full is the core's to empty: the console has no room, and UPCALL_DRAIN will
 * follow. */
static bool outside_transmit(const struct dev_env *env, uint8_t byte) {
    struct exchange_vm *vm = hardware_of(env)->vm;
    struct exchange *e = exchange_of(env);

    if (outside_ring_is_full(vm)) {
        e->told |= TOLD_BYTES;
        outside_tell(e);
    }
    if (outside_ring_is_full(vm)) {
        return false;
    }
    vm->ring[vm->put % EXCHANGE_RING] = byte;
    __atomic_store_n(&vm->put, vm->put + 1, __ATOMIC_RELEASE);
    e->told |= TOLD_BYTES;
    return true;
}

static void outside_bell(const struct dev_env *env, unsigned channel) {
    struct exchange *e = exchange_of(env);

    if ((e->told & TOLD_BELLS) == 0) {
        e->bells = 0;
    }
    e->bells |= BIT(channel);
    e->told |= TOLD_BELLS;
}

static uint64_t outside_random(const struct dev_env *env) {
    struct hardware *h = hardware_of(env);
    uint64_t word = 0;

    if (h->vm->has_rdrand != 0 && compartment_rdrand(&word)) {
        return word;
    }
    return random_generate(&h->random);
}

static void outside_pci(const struct dev_env *env, struct exchange_pci *call) {
    struct exchange *e = exchange_of(env);

    e->pci = *call;
    (void)core_call(e, CORE_PCI);
    *call = e->pci;
}

static void outside_control(const struct dev_env *env, struct exchange_control *call) {
    struct exchange *e = exchange_of(env);

    e->control = *call;
    (void)core_call(e, CORE_CONTROL);
    *call = e->control;
}

static void outside_stop(const struct dev_env *env, enum dev_stop why) {
    struct exchange *e = exchange_of(env);

    e->stop = why == DEV_POWER_OFF ? TOLD_POWER_OFF : TOLD_RESET;
    e->told |= TOLD_STOP;
}

static enum told_event outside_event_of(enum dev_event event) {
    static const enum told_event events[] = {
        [DEV_SLEEP_REFUSED] = TOLD_SLEEP_REFUSED,
        [DEV_BIOS_CALLED] = TOLD_BIOS_CALLED,
        [DEV_WATCHDOG_BITES] = TOLD_WATCHDOG,
    };
    return events[event];
}

static void outside_event(const struct dev_env *env, enum dev_event event, uint32_t word) {
    struct exchange *e = exchange_of(env);

    if ((e->told & TOLD_EVENT) != 0) {
        outside_tell(e);
    }
    e->event = outside_event_of(event);
    e->word = word;
    e->told |= TOLD_EVENT;
}

static void outside_keep_all(struct hardware *h) {
    memcpy(h->vm->kept, &h->kept, sizeof(h->kept));
}

static void outside_keep(const struct dev_env *env, const struct rtc_kept *kept) {
    hardware_of(env)->kept.rtc = *kept;
    outside_keep_all(hardware_of(env));
}

static void outside_keep_bitten(const struct dev_env *env, bool bitten) {
    hardware_of(env)->kept.bitten = bitten;
    outside_keep_all(hardware_of(env));
}

const struct dev_env hardware_outside = {
    .msi = outside_msi,
    .intr = outside_intr,
    .reschedule = outside_reschedule,
    .transmit = outside_transmit,
    .bell = outside_bell,
    .random = outside_random,
    .pci = outside_pci,
    .control = outside_control,
    .stop = outside_stop,
    .event = outside_event,
    .keep = outside_keep,
    .keep_bitten = outside_keep_bitten,
};
