/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a compartment holds: the hardware of one guest. One of it lies in each VM's region, and
 * all contexts of the VM share it.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/compartment/dev/platform.h"
#include "hv/compartment/emulate/emulation.h"
#include "hv/compartment/entry/entry.h"
#include "hv/lib/lock.h"

/* Of a vCPU. */
struct emulator {
    struct emulation e;
    struct hardware *hardware;
    struct exchange *page;
    bool has_state; /* page->state is this upcall's */
};

/* A generator for CPUs without one: ChaCha20, which erases its keys. */
#define RANDOM_WORDS 4u
struct random {
    uint32_t key[8];
    uint64_t words[RANDOM_WORDS];
    unsigned left;
};
void random_start(struct random *r, const uint64_t seed[4]);
uint64_t random_generate(struct random *r);
/* RFC 8439's block function: 16 words in, 16 out. */
void random_block(const uint32_t in[16], uint32_t out[16]);

/* What the core keeps from one run to the next, see struct exchange_vm. */
struct hardware_kept {
    struct rtc_kept rtc;
    bool bitten; /* the watchdog has ended the last run */
};
_Static_assert(sizeof(struct hardware_kept) < EXCHANGE_KEPT, "room for it");

struct hardware {
    struct lock lock; /* the platform's; of no use to a guest with one vCPU, */
    bool is_shared;   /* which is not this */
    struct platform platform;
    struct dev_clock clock;
    struct exchange_vm *vm; /* in vCPU 0's exchange page */
    struct guest_region ram[2 + ABI_PMEMS];
    struct guest_memory memory; /* these */
    struct random random;
    struct hardware_kept kept;
    struct emulator emulators[COMPARTMENT_VCPUS];
};

/* Does what the exchange page asks for, and puts the answer there. On the stack of its vCPU; other
 * vCPUs do the same at the same time. */
void hardware_answer(struct hardware *h, struct exchange *e);

/* Devices, from here to hardware_unlock(): what they say goes into e. */
static inline struct platform *hardware_lock(struct hardware *h, struct exchange *e) {
    if (h->is_shared) {
        lock_acquire(&h->lock);
    }
    h->platform.env.caller = e;
    return &h->platform;
}

static inline void hardware_unlock(struct hardware *h) {
    if (h->is_shared) {
        lock_release(&h->lock);
    }
}

/* Upcalls that need the emulator; and its start. */
void emulator_start(struct hardware *h);
void emulator_memory(struct hardware *h, struct exchange *e);
void emulator_string(struct hardware *h, struct exchange *e);
void emulator_task(struct hardware *h, struct exchange *e);
void emulator_length(struct hardware *h, struct exchange *e);
void emulator_code(struct hardware *h, struct exchange *e);
void emulator_pdptes(struct hardware *h, struct exchange *e);

/* The core takes what is told up to here. */
static inline void outside_tell(struct exchange *e) {
    (void)core_call(e, CORE_TELL);
}

/* What leaves the devices goes into the exchange page of whoever holds the lock. */
extern const struct dev_env hardware_outside;
