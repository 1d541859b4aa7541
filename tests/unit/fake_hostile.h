/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the random tests of devices with channels share: a hostile driver's steps that are the same
 * for each device, and a hostile other side's half of a channel. The device sees that half
 * read-only, as the core maps it. After the header of the device's machines.
 */
#ifndef TESTS_UNIT_FAKE_HOSTILE_H
#define TESTS_UNIT_FAKE_HOSTILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "hv/compartment/virtio/channel.h"
#include "tests/unit/fake_input.h"
#include "tests/unit/test.h"

#define MUST(e)                                                                                    \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #e);                                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The test's: a number that is often one of those that matter to the device. */
static uint64_t random_value(void);

static uint64_t random_of(const uint64_t *likely, unsigned count) {
    uint64_t word = random_word();
    return (word & 1) != 0 ? likely[(word >> 8) % count] : word >> (word >> 54 & 63);
}

/* The half as the hostile side has it, once; shown: as the device does, with a guard on both
 * sides. */
static void map_half(struct channel_half **theirs, const struct channel_half **shown) {
    size_t size = sizeof(**theirs);

    if (*theirs != NULL) {
        return;
    }
    int file = memfd_create("half", 0);
    MUST(file >= 0 && ftruncate(file, (off_t)size) == 0);
    *theirs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    uint8_t *room = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(*theirs != MAP_FAILED && (void *)room != MAP_FAILED);
    *shown = mmap(room + 4096, size, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0);
    MUST((const void *)*shown != MAP_FAILED);
    close(file);
}

static void put_bytes(struct channel_half *half, uint32_t place, const void *from, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        half->ring[(place + i) % CHANNEL_RING] = ((const uint8_t *)from)[i];
    }
}

/* ---- a driver's steps ---- */

static void any_register(struct machine *m) {
    uint64_t word = random_word();
    uint64_t at = (word & 1) != 0 ? word >> 8 & 0x3f : word >> 8 & 0xfff;
    unsigned size = 1u << (word >> 40) % 4;

    if ((word >> 50 & 3) != 0) {
        driver_set(m, at, size, random_value() & (UINT64_MAX >> (64 - 8 * size)));
    } else {
        (void)driver_reg(m, at, size);
    }
}

/* tables: a mask of the queues whose tables are often meant. */
static void any_memory(struct machine *m, unsigned tables) {
    uint64_t word = random_word(), value = random_value();
    uint64_t at = (word & 1) != 0 ? TABLE(word >> 8 & tables) + (word >> 16 & 0xff) : word >> 8;
    memcpy(m->ram + at % (MACHINE_RAM - 8), &value, 1u << (word >> 60) % 4);
}

/* The queue is of any size. */
static UNUSED void offer(struct machine *m, unsigned queue, uint32_t head) {
    unsigned size = m->v->queues[queue].size;
    if (size != 0) {
        driver_offer_of(m, queue, head, size);
    }
}

#endif
