/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: what a virtio driver may put into its rings. A device must not read or write anything for
 * it that is not the guest's RAM, must come to an end, and must work again after a reset.
 */
#include "guests/hostile/virtio.h"

#define APIC_PAGE   0xfee00000ull
#define IOAPIC_PAGE 0xfec00000ull
#define GIB         0x40000000ull

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random_word(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- chains ---- */

const char *act_loop_one(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE | NEXT, 0);
    return virtio_try(0);
}

const char *act_loop_all(void) {
    virtio_start(F_PLAIN);
    for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
        put(&table[i], address_of(buffer) + 8 * i, 8, WRITE | NEXT, (i + 1) % QUEUE_SIZE);
    }
    return virtio_try(3);
}

const char *act_loop_indirect(void) {
    virtio_start(F_ALL);
    put(&table[0], address_of(elsewhere), 32, INDIRECT, 0);
    put(&elsewhere[0], address_of(buffer), 8, WRITE | NEXT, 1);
    put(&elsewhere[1], address_of(buffer), 8, WRITE | NEXT, 0);
    return virtio_try(0);
}

/* Four bytes each. */
static const char *chain_of(unsigned count) {
    virtio_start(F_ALL);
    put(&table[0], address_of(elsewhere), 16 * count, INDIRECT, 0);
    for (uint16_t i = 0; i < count; i++) {
        bool last = i + 1u == count;
        put(&elsewhere[i], address_of(buffer) + 4 * i, 4, last ? WRITE : WRITE | NEXT,
            (uint16_t)(i + 1));
    }
    return virtio_try(0);
}

const char *act_chain_64(void) {
    return chain_of(64);
}

const char *act_chain_65(void) {
    return chain_of(65);
}

/* A MiB of table, at 16 MiB: each descriptor is the whole of it. */
const char *act_chain_65536(void) {
    volatile struct descriptor *many = (volatile struct descriptor *)(uintptr_t)0x1000000;
    virtio_start(F_ALL);
    for (uint32_t i = 0; i < 0x10000; i++) {
        put(&many[i], address_of(buffer), 1, i == 0xffff ? WRITE : WRITE | NEXT, (uint16_t)(i + 1));
    }
    put(&table[0], address_of(many), 0x100000, INDIRECT, 0);
    return virtio_try(0);
}

static const char *one(uint64_t address, uint32_t length, uint16_t flags, uint16_t next) {
    virtio_start(F_PLAIN);
    put(&table[0], address, length, flags, next);
    return virtio_try(0);
}

const char *act_next_beyond(void) {
    return one(address_of(buffer), 8, WRITE | NEXT, QUEUE_SIZE);
}

const char *act_next_far(void) {
    return one(address_of(buffer), 8, WRITE | NEXT, 0xffff);
}

const char *act_head_beyond(void) {
    virtio_start(F_PLAIN);
    put(&table[QUEUE_SIZE], address_of(buffer), 8, WRITE, 0);
    return virtio_try(QUEUE_SIZE);
}

const char *act_head_far(void) {
    virtio_start(F_PLAIN);
    return virtio_try(0xffff);
}

/* ---- buffers ---- */

const char *act_length_zero(void) {
    return one(address_of(buffer), 0, WRITE, 0);
}

const char *act_length_huge(void) {
    return one(address_of(buffer), UINT32_MAX, WRITE, 0);
}

const char *act_at_end(void) {
    return one(ram_end(), 8, WRITE, 0);
}

const char *act_across_end(void) {
    return one(ram_end() - 4, 8, WRITE, 0);
}

const char *act_at_top(void) {
    return one(UINT64_MAX - 7, 8, WRITE, 0);
}

const char *act_address_wraps(void) {
    return one(0ull - 0x1000, 0x2000, WRITE, 0);
}

const char *act_high_bit(void) {
    return one(address_of(buffer) | 1ull << 52, 8, WRITE, 0);
}

const char *act_at_4gib(void) {
    return one(4 * GIB, 8, WRITE, 0);
}

const char *act_at_lapic(void) {
    return one(APIC_PAGE + 0x300, 4, WRITE, 0);
}

const char *act_at_ioapic(void) {
    return one(IOAPIC_PAGE, 4, WRITE, 0);
}

const char *act_at_itself(void) {
    virtio_start(F_PLAIN);
    put(&table[0], memory_bar, 64, WRITE, 0);
    return virtio_try(0);
}

const char *act_read_only(void) {
    const char *outcome;
    virtio_start(F_PLAIN);
    buffer[0] = 0x77;
    put(&table[0], address_of(buffer), 1, 0, 0);
    offer(0);
    doorbell(0);
    bool kept = buffer[0] == 0x77;
    outcome = virtio_end();
    return kept ? outcome : "written";
}

const char *act_read_after_write(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE | NEXT, 1);
    put(&table[1], address_of(buffer) + 8, 8, 0, 0);
    return virtio_try(0);
}

/* ---- what overlaps ---- */

const char *act_overlap_buffers(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 64, WRITE | NEXT, 1);
    put(&table[1], address_of(buffer) + 1, 64, WRITE, 0);
    return virtio_try(0);
}

const char *act_overlap_table(void) {
    return one(address_of(table), 128, WRITE, 0);
}

const char *act_overlap_used(void) {
    return one(address_of(&used), 64, WRITE, 0);
}

/* Whatever index comes of it. */
const char *act_overlap_avail(void) {
    virtio_start(F_PLAIN);
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        put(&table[i], address_of(&avail), 64, WRITE, 0);
    }
    offer(0);
    doorbell(0);
    return virtio_usable();
}

static const char *rings_at(uint64_t at_table, uint64_t at_avail, uint64_t at_used) {
    virtio_begin();
    (void)virtio_negotiate(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    virtio_queue(QUEUE_SIZE, at_table, at_avail, at_used);
    reg_write(R_STATUS, 1, S_ALL);
    return virtio_try(0);
}

const char *act_same_place(void) {
    uint64_t at = address_of(&avail);
    (void)rings_at(at, at, at);
    return virtio_usable();
}

const char *act_table_far(void) {
    return rings_at(ram_end(), address_of(&avail), address_of(&used));
}

const char *act_avail_far(void) {
    return rings_at(address_of(table), 2 * GIB, address_of(&used));
}

const char *act_used_far(void) {
    return rings_at(address_of(table), address_of(&avail), 1ull << 51);
}

const char *act_table_across(void) {
    volatile struct descriptor *last = (volatile struct descriptor *)(uintptr_t)ram_end() - 1;
    virtio_begin();
    (void)virtio_negotiate(F_PLAIN);
    put(last, address_of(buffer), 8, WRITE | NEXT, 1); /* the next one is behind the end */
    virtio_queue(QUEUE_SIZE, address_of(last), address_of(&avail), address_of(&used));
    reg_write(R_STATUS, 1, S_ALL);
    return virtio_try(0);
}

const char *act_avail_across(void) {
    volatile uint16_t *last = (volatile uint16_t *)(uintptr_t)ram_end() - 2;
    virtio_begin();
    (void)virtio_negotiate(F_PLAIN);
    last[0] = 0;
    last[1] = 1; /* the index; the first entry is behind the end */
    virtio_queue(QUEUE_SIZE, address_of(table), address_of(last), address_of(&used));
    reg_write(R_STATUS, 1, S_ALL);
    doorbell(0);
    return virtio_end();
}

const char *act_rings_in_apic(void) {
    return rings_at(APIC_PAGE, APIC_PAGE, APIC_PAGE);
}

const char *act_rings_in_bar(void) {
    virtio_begin();
    uint64_t at = memory_bar;
    (void)virtio_negotiate(F_PLAIN);
    virtio_queue(QUEUE_SIZE, at, at, at);
    reg_write(R_STATUS, 1, S_ALL);
    return virtio_try(0);
}

/* ---- indirect tables ---- */

static const char *indirect(uint64_t features, uint64_t address, uint32_t length, uint16_t flags) {
    virtio_start(features);
    put(&elsewhere[0], address_of(buffer), 8, WRITE, 0);
    put(&elsewhere[1], address_of(buffer), 8, WRITE, 0);
    put(&table[0], address, length, flags, 1);
    put(&table[1], address_of(buffer), 8, WRITE, 0);
    return virtio_try(0);
}

const char *act_indirect_unagreed(void) {
    return indirect(F_PLAIN, address_of(elsewhere), 16, INDIRECT);
}

const char *act_indirect_next(void) {
    return indirect(F_ALL, address_of(elsewhere), 16, INDIRECT | NEXT);
}

const char *act_indirect_odd(void) {
    return indirect(F_ALL, address_of(elsewhere), 17, INDIRECT);
}

const char *act_indirect_empty(void) {
    return indirect(F_ALL, address_of(elsewhere), 0, INDIRECT);
}

const char *act_indirect_far(void) {
    return indirect(F_ALL, ram_end(), 16, INDIRECT);
}

const char *act_indirect_huge(void) {
    return indirect(F_ALL, address_of(elsewhere), 0xfffffff0, INDIRECT);
}

const char *act_indirect_itself(void) {
    return indirect(F_ALL, address_of(table), 32, INDIRECT);
}

const char *act_indirect_nested(void) {
    virtio_start(F_ALL);
    put(&table[0], address_of(elsewhere), 16, INDIRECT, 0);
    put(&elsewhere[0], address_of(&elsewhere[1]), 16, INDIRECT, 0);
    put(&elsewhere[1], address_of(buffer), 8, WRITE, 0);
    return virtio_try(0);
}

/* ---- indices ---- */

const char *act_index_far(void) {
    virtio_start(F_PLAIN);
    avail.index = QUEUE_SIZE + 1;
    doorbell(0);
    return virtio_end();
}

/* After three that were right. */
const char *act_index_back(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    for (unsigned i = 0; i < 3; i++) {
        offer(0);
        doorbell(0);
    }
    avail.index = 2;
    doorbell(0);
    return virtio_end();
}

const char *act_index_random(void) {
    for (unsigned i = 0; i < 100; i++) {
        virtio_start(F_ALL);
        put(&table[0], address_of(buffer), 8, WRITE, 0);
        for (unsigned n = 0; n < 10; n++) {
            avail.index = (uint16_t)(random_word() >> 20);
            avail.entries[n % QUEUE_SIZE] = (uint16_t)(random_word() >> 20);
            avail.used_event = (uint16_t)random_word();
            doorbell(0);
        }
    }
    return virtio_usable();
}

/* All that the device reads, at random. */
const char *act_random_rings(void) {
    for (unsigned i = 0; i < 200; i++) {
        virtio_start(F_ALL);
        for (uint16_t n = 0; n < QUEUE_SIZE; n++) {
            uint64_t word = random_word();
            uint64_t address =
                (word & 7) == 0 ? random_word() : address_of(buffer) + (word & 0xff0);
            put(&table[n], address, (uint32_t)(word >> 16) >> (word >> 48 & 31), word >> 60 & 7,
                word >> 56 & 15);
            avail.entries[n] = word >> 12 & 15;
        }
        avail.index = (uint16_t)(random_word() & 15);
        doorbell(0);
    }
    return virtio_usable();
}

/* ---- the other vCPU changes them meanwhile ---- */

static volatile bool racing;

static void change_rings(void) {
    while (racing) {
        uint64_t word = random_word();
        table[word % QUEUE_SIZE].address = (word & 0x100) != 0 ? ram_end() : address_of(buffer);
        table[word >> 3 & 7].length = word >> 16 & 0xff;
        table[word >> 6 & 7].flags = word >> 24 & 3;
        table[word >> 6 & 7].next = word >> 26 & 15;
        avail.index = (uint16_t)(avail.index + (word >> 30 & 1));
    }
}

const char *act_race_rings(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    virtio_start(F_PLAIN);
    racing = true;
    vcpu_run(1, change_rings);
    for (unsigned i = 0; i < 50; i++) {
        virtio_start(F_PLAIN);
        for (unsigned n = 0; n < 20; n++) {
            doorbell(0);
        }
    }
    racing = false;
    return vcpu_wait(1) ? virtio_usable() : "the other vCPU does not come back";
}

static void ring_always(void) {
    while (racing) {
        out16((uint16_t)first_port_bar, 0);
    }
}

const char *act_race_reset(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    virtio_start(F_PLAIN);
    racing = true;
    vcpu_run(1, ring_always);
    for (unsigned i = 0; i < 200; i++) {
        virtio_negotiate(F_PLAIN);
        virtio_queue_usual();
        put(&table[0], address_of(buffer), 256, WRITE, 0);
        avail.index = 8;
        reg_write(R_STATUS, 1, S_ALL);
        reg_write(R_STATUS, 1, 0);
    }
    racing = false;
    return vcpu_wait(1) ? virtio_usable() : "the other vCPU does not come back";
}

const char *act_queue_reset_race(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    virtio_start(F_PLAIN | F_RING_RESET);
    racing = true;
    vcpu_run(1, ring_always);
    for (unsigned i = 0; i < 200; i++) {
        put(&table[0], address_of(buffer), 256, WRITE, 0);
        avail.index = 8;
        reg_write(R_QUEUE_RESET, 2, 1);
        virtio_queue_usual();
    }
    racing = false;
    return vcpu_wait(1) ? virtio_usable() : "the other vCPU does not come back";
}
