/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: a virtio device's registers, negotiation, doorbell, in each wrong order. */
#include "guests/hostile/virtio.h"

#define NO_VECTOR 0xffffu

static void offer_eight(void) {
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    offer(0);
    doorbell(0);
}

/* ---- queues ---- */

const char *act_queue_sizes(void) {
    static const uint16_t sizes[] = {0, 3, 255, 257, 512, 0x8000, 0xffff};
    bool off = true;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        virtio_begin();
        (void)virtio_negotiate(F_PLAIN);
        virtio_queue(sizes[i], address_of(table), address_of(&avail), address_of(&used));
        reg_write(R_STATUS, 1, S_ALL);
        offer_eight();
        off = off && reg_read(R_QUEUE_ENABLE, 2) == 0 && used.index == 0;
    }
    return virtio_saw(off, "no such queue");
}

/* Table, available ring, used ring: of one of them the place is wrong. */
const char *act_queue_unaligned(void) {
    static const uint8_t wrong[][3] = {{8, 0, 0}, {0, 1, 0}, {0, 0, 2}};
    bool off = true;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        virtio_begin();
        (void)virtio_negotiate(F_PLAIN);
        virtio_queue(QUEUE_SIZE, address_of(table) + wrong[i][0], address_of(&avail) + wrong[i][1],
                     address_of(&used) + wrong[i][2]);
        reg_write(R_STATUS, 1, S_ALL);
        offer_eight();
        off = off && reg_read(R_QUEUE_ENABLE, 2) == 0 && used.index == 0;
    }
    return virtio_saw(off, "no such queue");
}

const char *act_queue_nobody(void) {
    static const uint16_t queues[] = {1, 2, 7, 8, 0x100, 0xffff};
    bool zero = true;
    virtio_begin();
    for (size_t i = 0; i < COUNT(queues); i++) {
        reg_write(R_QUEUE_SELECT, 2, queues[i]);
        for (uint32_t at = R_QUEUE_SIZE; at < 0x38; at += 2) {
            reg_write(at, 2, 1);
            zero = zero && reg_read(at, 2) == 0;
        }
    }
    return virtio_saw(zero, "no such queue");
}

const char *act_queue_in_use(void) {
    virtio_start(F_PLAIN);
    virtio_queue(4, ram_end(), ram_end(), ram_end());
    offer_eight();
    return virtio_end();
}

const char *act_queue_reset(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    reg_write(R_QUEUE_RESET, 2, 1);
    reg_write(R_QUEUE_ENABLE, 2, 0);
    offer(0);
    doorbell(0);
    return virtio_end();
}

const char *act_queue_resets(void) {
    virtio_start(F_PLAIN | F_RING_RESET);
    for (unsigned i = 0; i < 200; i++) {
        offer_eight();
        reg_write(R_QUEUE_RESET, 2, 1);
        doorbell(0);
        if (i % 2 == 0) {
            avail.index = used.index = 0;
            virtio_queue_usual();
        }
    }
    return virtio_usable();
}

/* ---- features ---- */

static uint32_t driver_feature(unsigned half) {
    reg_write(R_DRIVER_SELECT, 4, half);
    return reg_read(R_DRIVER_FEATURE, 4);
}

const char *act_features_twice(void) {
    virtio_start(F_PLAIN);
    (void)virtio_negotiate(F_ALL);
    bool same = driver_feature(0) == 0 && driver_feature(1) == 1;
    return virtio_saw(same, "as the first time");
}

const char *act_features_all(void) {
    virtio_begin();
    bool taken = virtio_negotiate(UINT64_MAX);
    return virtio_saw(!taken, "refused");
}

const char *act_features_old(void) {
    virtio_begin();
    bool taken = virtio_negotiate(F_INDIRECT);
    return virtio_saw(!taken, "refused");
}

const char *act_features_select(void) {
    bool zero = true;
    virtio_begin();
    for (uint32_t select = 2; select != 0; select <<= 1) {
        reg_write(R_FEATURE_SELECT, 4, select);
        reg_write(R_DRIVER_SELECT, 4, select);
        reg_write(R_DRIVER_FEATURE, 4, UINT32_MAX);
        zero = zero && reg_read(R_FEATURE, 4) == 0 && reg_read(R_DRIVER_FEATURE, 4) == 0;
    }
    return virtio_saw(zero, "no such features");
}

/* FEATURES_OK is taken back, all features are taken, and on it goes. */
const char *act_features_back(void) {
    virtio_start(F_PLAIN);
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER);
    reg_write(R_DRIVER_SELECT, 4, 0);
    reg_write(R_DRIVER_FEATURE, 4, UINT32_MAX);
    reg_write(R_STATUS, 1, S_ALL);
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER | S_DRIVER_OK);
    offer_eight();
    return virtio_end();
}

const char *act_no_agreement(void) {
    virtio_begin();
    virtio_queue_usual();
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER | S_DRIVER_OK);
    offer_eight();
    return virtio_end();
}

/* ---- status ---- */

const char *act_status_all(void) {
    virtio_start(F_PLAIN);
    for (unsigned value = 1; value < 256; value++) {
        reg_write(R_STATUS, 1, value);
        offer_eight();
        reg_write(R_STATUS, 4, value << 8 | value);
    }
    return virtio_usable();
}

const char *act_still_broken(void) {
    virtio_start(F_PLAIN);
    avail.index = QUEUE_SIZE + 1;
    doorbell(0);
    avail.index = 0;
    for (unsigned value = 1; value < 256; value++) {
        reg_write(R_STATUS, 1, value == S_NEEDS_RESET ? S_ALL : value & ~(unsigned)S_NEEDS_RESET);
    }
    reg_write(R_STATUS, 1, S_ALL);
    offer_eight();
    return virtio_end();
}

const char *act_resets(void) {
    for (unsigned i = 0; i < 200; i++) {
        virtio_start(i % 2 == 0 ? F_PLAIN : F_ALL);
        offer_eight();
        reg_write(R_STATUS, 1, 0);
        doorbell(0);
    }
    return virtio_usable();
}

/* ---- the doorbell ---- */

const char *act_doorbell_nobody(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    offer(0);
    for (uint32_t queue = 1; queue < 0x10000; queue += 31) {
        doorbell((uint16_t)queue);
    }
    return virtio_end();
}

const char *act_doorbell_early(void) {
    virtio_begin();
    (void)virtio_negotiate(F_PLAIN);
    virtio_queue_usual();
    offer_eight();
    return virtio_end();
}

const char *act_doorbell_idle(void) {
    virtio_start(F_PLAIN);
    for (unsigned i = 0; i < 5000; i++) {
        doorbell(0);
    }
    return virtio_end();
}

/* The whole BAR is one doorbell, of whatever size. */
const char *act_doorbell_odd(void) {
    bool ones = true;
    virtio_start(F_ALL);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    for (uint16_t at = 0; at < 32; at++) {
        uint16_t port = (uint16_t)(port_bar + at);
        out8(port, 0);
        ones = in8(port) == 0xff && ones;
        if (at % 2 == 0) {
            out16(port, (uint16_t)(at << 8));
        }
        if (at % 4 == 0) {
            out32(port, 0xffff0000u);
            ones = in32(port) == UINT32_MAX && ones;
        }
        offer(0);
    }
    return virtio_saw(ones, "reads as ones");
}

/* ---- the registers' page ---- */

const char *act_registers_read(void) {
    virtio_start(F_PLAIN);
    for (unsigned size = 1; size <= 4; size *= 2) {
        for (uint32_t at = 0; at <= 0x1000 - size; at += size == 4 ? 2 : 5) {
            (void)reg_read(at, size);
        }
    }
    return virtio_usable();
}

const char *act_registers_write(void) {
    static const uint32_t words[] = {UINT32_MAX, 1, 0x80000000, 0xdeadbeef};
    virtio_start(F_PLAIN);
    for (size_t i = 0; i < COUNT(words); i++) {
        for (uint32_t at = 0; at < 0x1000; at += at < 0x40 ? 1 : 0x1c) {
            reg_write(at, 1u << i % 3, words[i]);
        }
    }
    return virtio_usable();
}

const char *act_registers_wide(void) {
    virtio_start(F_PLAIN);
    for (uint32_t at = 0; at <= 0xff8; at += 8) {
        uint64_t value = 0x123456789abcdef;
        volatile void *page = (volatile void *)(uintptr_t)(memory_bar + at);
        __asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)page) : "r"(value));
        __asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(volatile uint64_t *)page));
        __asm__ volatile("lock orl $1, %0" : "+m"(*(volatile uint32_t *)page)::"cc");
    }
    return virtio_usable();
}

/* The source of entropy has no registers of its own. */
const char *act_own_registers(void) {
    bool zero = true;
    virtio_start(F_PLAIN);
    for (uint32_t at = R_CONFIG; at < R_MSIX; at += 12) {
        reg_write(at, 4, UINT32_MAX);
        zero = zero && reg_read(at, 4) == 0;
    }
    return virtio_saw(zero, "zero");
}
