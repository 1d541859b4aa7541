/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network adapter between a hostile driver and a hostile other side of its channel: random steps,
 * garbage and half-right things in rings, records and commands, under the sanitizers. Nothing may
 * assert, nothing outside the guest's RAM and our half be touched, no turn be long. The other half
 * is mapped read-only for the adapter, as the core does it.
 */
#include "tests/unit/fake_net.h"

#include "tests/unit/fake_hostile.h"

#define STEPS 400000u /* with each seed */

static struct machine *const m = &machines[0];
static struct channel_half *theirs; /* as the hostile side has it */
static const struct channel_half *shown;

static uint64_t random_value(void) {
    static const uint64_t likely[] = {0,      1,      2,      3,           4,     8,    12,
                                      14,     15,     16,     34,          54,    60,   256,
                                      1500,   1514,   2048,   0x1000,      65549, 1448, 0x20000,
                                      0xffff, 262128, 262144, MACHINE_RAM, 5,     7,    UINT32_MAX};
    return random_of(likely, ARRAY_SIZE(likely));
}

static void begin(void) {
    uint64_t word = random_word();

    map_half(&theirs, &shown);
    memset(theirs, 0, 4096);
    net_begin_wire(2, (unsigned)word & 3);
    struct abi_channel *at = &m->channels[m->abi.first_channel];
    at->theirs = (uintptr_t)shown;
    if ((word & 4) != 0) {
        memset(at->mac, 0, 6);
    }
    m->abi.mtu = (word & 8) != 0 ? 1500 : 9000;
    machine_time = 1000;
    net_power_on(m);
}

/* ---- the driver ---- */

static void step_registers(void) {
    any_register(m);
}

static void step_memory(void) {
    any_memory(m, 3);
}

/* A driver that has got as far as the rings. */
static void step_driver(void) {
    struct virtio *v = &m->net.v;
    uint64_t word = random_word();

    if ((word & 7) == 0) {
        virtio_ops.reset(&v->dev);
    }
    v->pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
    v->status = 0;
    driver_set(m, 0x14, 1, 3);
    v->driver_features = ((word >> 8) & NET_FEATURES) | VIRTIO_F_VERSION_1;
    for (unsigned i = 0; i < NET_QUEUES; i++) {
        v->queues[i] = (struct virtqueue){.descriptors = TABLE(i),
                                          .driver = AVAIL(i),
                                          .device = USED(i),
                                          .size = (uint16_t)(1u << (word >> (40 + 4 * i)) % 9),
                                          .enabled = true};
        memset(m->ram + AVAIL(i), 0, 8);
    }
    memset(m->given, 0, sizeof(m->given));
    driver_set(m, 0x14, 1, 15);
}

static void step_buffers(void) {
    uint64_t word = random_word();
    for (unsigned i = 0; i < (word & 7); i++) {
        uint32_t length = (word >> 8 & 3) != 0 ? 2048 : (uint32_t)random_value();
        bool chained = (word >> (16 + i) & 3) == 0;
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), length, WRITE | (chained ? NEXT : 0), i + 1);
        offer(m, NET_RECEIVE, (word >> 48) % 5 == 0 ? (uint32_t)random_word() & 0x1ff : i);
    }
}

static void make_heads(uint8_t *frame, unsigned to, unsigned from) {
    uint64_t word = random_word();
    static const uint8_t tcp4[] = {0x08, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6};
    static const uint8_t tcp6[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64};

    memset(frame, (int)word, 300);
    net_address(to, frame);
    net_address(from, frame + 6);
    if ((word & 0x100) != 0) {
        memcpy(frame + 12, tcp4, sizeof(tcp4));
        frame[34 + 12] = 0x50;
    } else if ((word & 0x200) != 0) {
        memcpy(frame + 12, tcp6, sizeof(tcp6));
        frame[54 + 12] = 0x80;
    }
    if ((word & 0x3000) == 0) {
        frame[(word >> 16) % 100] = (uint8_t)(word >> 32);
    }
}

static struct net_header make_header(void) {
    uint64_t word = random_word();
    struct net_header h = {.flags = word & 1};

    if ((word & 6) == 0) {
        uint64_t value = random_value();
        memcpy(&h, &value, 8);
        h.checksum_offset = (uint16_t)random_value();
    } else {
        h.segmentation = (word & 8) != 0 ? 1 : (word & 16) != 0 ? 4 : 0;
        h.segmentation |= (word & 0x60) == 0 ? NET_SEGMENT_ECN : 0;
        h.segment_size = (uint16_t)((word & 0x80) != 0 ? 1448 : random_value());
        h.checksum_start = (word & 8) != 0 ? 34 : 54;
        h.checksum_offset = 16;
    }
    return h;
}

static void step_send(void) {
    uint64_t word = random_word();
    struct net_header h = make_header();
    uint8_t heads[300];
    uint64_t at = OUTGOING;
    uint32_t length = (word & 3) != 0 ? (uint32_t)(word >> 8 & 0x7ff) : (uint32_t)random_value();

    make_heads(heads, (word >> 20 & 3) == 0 ? 0xff : 1, (word >> 22 & 3) == 0 ? 77 : 0);
    memcpy(m->ram + at, &h, sizeof(h));
    memcpy(m->ram + at + sizeof(h), heads, sizeof(heads));
    driver_describe(m, NET_TRANSMIT, 0, at, (word >> 24 & 0x3f) + 1, NEXT, 1);
    driver_describe(m, NET_TRANSMIT, 1, at + (word >> 24 & 0x3f) + 1, length, 0, 0);
    offer(m, NET_TRANSMIT, (word >> 60) == 0 ? 1 : 0);
}

static void step_command(void) {
    uint64_t word = random_word();
    uint64_t value = random_value(), count = (word & 1) != 0 ? word >> 8 & 63 : random_value();

    m->ram[OUTGOING] = (uint8_t[]){0, 1, 5, (uint8_t)(word >> 16)}[word >> 4 & 3];
    m->ram[OUTGOING + 1] = (uint8_t)((word & 4) != 0 ? word >> 24 & 1 : word >> 24);
    memcpy(m->ram + OUTGOING + 2, (word & 8) != 0 ? &value : &count, 8);
    driver_describe(m, NET_CONTROL, 0, OUTGOING, (uint32_t)(word >> 32 & 0x1ff), NEXT, 1);
    driver_describe(m, NET_CONTROL, 1, OUTGOING + 0x1000, 1, (word >> 44 & 7) != 0 ? WRITE : 0, 0);
    offer(m, NET_CONTROL, 0);
}

/* ---- the other side ---- */

static void step_record(void) {
    uint64_t word = random_word();
    struct net_header h = make_header();
    struct channel_record r = {.length = (uint32_t)random_value()};
    uint8_t heads[300];
    uint32_t place = (word & 7) == 0 ? m->net.peers[0].channel.taken : theirs->put;

    if ((word & 0x30) != 0) {
        r.length = 14 + (uint32_t)(word >> 8) % ((word & 0x40) != 0 ? 1500 : 66000);
    }
    memcpy(r.about, &h, sizeof(h));
    make_heads(heads, (word >> 40 & 3) == 0 ? 0xff : 0, (word >> 42 & 3) == 0 ? 77 : 1);
    put_bytes(theirs, place, &r, sizeof(r));
    put_bytes(theirs, place + CHANNEL_RECORD, heads, sizeof(heads));
    theirs->put = place + ALIGN_UP(CHANNEL_RECORD + r.length, CHANNEL_RECORD);
}

static void step_words(void) {
    uint64_t word = random_word();
    uint32_t *words[] = {&theirs->put, &theirs->taken, &theirs->wake_at, &theirs->runs};
    uint32_t bases[] = {0, m->net.peers[0].channel.put, m->net.peers[0].channel.taken};

    *words[word & 3] = bases[(word >> 2) % 3] + (uint32_t)random_value();
    if ((word & 0x70) == 0) {
        put_bytes(theirs, (uint32_t)random_word(), &word, 8);
    }
}

/* As an honest side would do, so that the next frames can come. */
static void step_honest(void) {
    theirs->runs = 1;
    theirs->taken = m->net.peers[0].channel.put;
    theirs->wake_at = theirs->taken;
    theirs->put = m->net.peers[0].channel.taken;
}

/* ---- turns ---- */

static uint64_t all_frames(const struct abi_net_count *c) {
    uint64_t all = c->frames;
    for (unsigned i = 0; i < NET_DROPS; i++) {
        all += c->drops[i];
    }
    return all;
}

static void step_turn(void) {
    uint64_t word = random_word(), most = NET_TURN / NET_FRAME_COST + 1;
    uint64_t sent = all_frames(&m->counts.sent), received = all_frames(&m->counts.received);

    switch (word & 7) {
    case 0:
        virtio_net_poll(&m->net);
        break;
    case 1:
        virtio_net_set_link(&m->net, (word & 0x78) != 0);
        break;
    case 2:
    case 3:
        machine_time += word >> 8 & 0xffff;
        (void)virtio_ops.service(&m->net.v.dev, machine_time);
        break;
    default:
        driver_doorbell(m, (word & 0x700) == 0 ? (unsigned)(word >> 12) : (unsigned)(word & 3) % 3);
    }
    MUST(all_frames(&m->counts.sent) - sent <= most);
    MUST(all_frames(&m->counts.received) - received <= 2 * most);
}

static void run(unsigned steps) {
    static void (*const kinds[])(void) = {step_registers, step_memory, step_driver,  step_buffers,
                                          step_send,      step_send,   step_command, step_record,
                                          step_record,    step_record, step_words,   step_honest,
                                          step_turn,      step_turn,   step_turn,    step_buffers};
    begin();
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        bool rare = (word & 0xf) == 2 || (word & 0xf) == 0 || (word & 0xf) == 10;
        if (!rare || (word & 0x70) == 0) {
            kinds[word & 0xf]();
        }
    }
}

#ifdef FUZZ
static void run_input(UNUSED bool other) {
    run(UINT32_MAX);
}
#else
TEST(random_steps) {
    uint64_t frames[2] = {0, 0}, malformed = 0;
    for (unsigned s = 1; s <= 6; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        run(STEPS);
        frames[0] += m->counts.sent.frames;
        frames[1] += m->counts.received.frames;
        malformed += m->counts.received.drops[NET_DROP_MALFORMED];
    }
    printf("# sent %u, received %u\n", (unsigned)frames[0], (unsigned)frames[1]);
    CHECK(frames[0] > 500 && frames[1] > 5000 && malformed > 500); /* it did come that far */
}

TEST_MAIN(T(random_steps))
#endif
