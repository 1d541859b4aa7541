/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio console between a hostile driver and a hostile other side of its ports: random steps,
 * garbage and half-right things in rings, control messages and records, under the sanitizers.
 * Nothing may assert, nothing outside the guest's RAM and our half be touched, no turn be long. The
 * other half is mapped read-only for the console, as the core does it.
 */
#include "tests/unit/fake_ports.h"

#include "tests/unit/fake_hostile.h"

#define STEPS 400000u /* with each seed */

static struct machine *const m = &machines[0];
static struct channel_half *theirs; /* of port 1, as the hostile side has it */
static const struct channel_half *shown;
/* Buffers that came back: with a message to the driver, received, sent. */
static uint64_t told, received, sent;
static uint64_t asked; /* by the operator's hand */

static uint64_t random_value(void) {
    static const uint64_t likely[] = {
        0,           1,       2,      3,      4,      6,    7,      8,      16,
        31,          64,      256,    4095,   4096,   4097, 0x1000, 0x4000, 0x8000,
        MACHINE_RAM, 0x20000, 0xffff, 262128, 262144, 5,    63,     65,     UINT32_MAX};
    return random_of(likely, ARRAY_SIZE(likely));
}

/* Behind the operator's hand: any answer. */
static void hand(UNUSED const struct dev_env *env, struct exchange_control *c) {
    uint64_t word = random_word();

    MUST(c->call < CONTROL_CALLS && c->order < CONTROL_ORDERS);
    memset(c->name, (int)word, sizeof(c->name));
    memset(c->state, (int)(word >> 8), sizeof(c->state));
    c->done = (word & 0x70000) != 0;
    asked++;
}

static void begin(void) {
    map_half(&theirs, &shown);
    memset(theirs, 0, 4096);
    ports_begin();
    m->abi.has_control = true;
    m->env.control = hand;
    m->abi.channels[0].theirs = (uintptr_t)shown;
    m->room = (unsigned)random_value();
    machine_time = 1000;
    ports_power_on(m);
}

/* ---- the driver ---- */

static void step_registers(void) {
    any_register(m);
}

static void step_memory(void) {
    any_memory(m, 7);
}

/* A driver that has got as far as the rings. */
static void step_driver(void) {
    struct virtio *v = &m->console.v;
    uint64_t word = random_word();

    if ((word & 7) == 0) {
        virtio_ops.reset(&v->dev);
    }
    v->pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
    v->status = 0;
    driver_set(m, 0x14, 1, 3);
    v->driver_features = ((word & 0x70) != 0 ? CONSOLE_F_MULTIPORT : 0) | VIRTIO_F_VERSION_1;
    for (unsigned i = 0; i < 10; i++) {
        v->queues[i] = (struct virtqueue){.descriptors = TABLE(i),
                                          .driver = AVAIL(i),
                                          .device = USED(i),
                                          .size = (uint16_t)(1u << (word >> (40 + 2 * i)) % 7),
                                          .enabled = true};
        memset(m->ram + AVAIL(i), 0, 8);
    }
    memset(m->given, 0, sizeof(m->given));
    driver_set(m, 0x14, 1, 15);
}

static void step_buffers(void) {
    static const uint8_t queues[] = {CONSOLE_RECEIVE, CONSOLE_CONTROL_RECEIVE, 4, 4};
    uint64_t word = random_word();
    unsigned queue = queues[word >> 60 & 3];

    for (unsigned i = 0; i < (word & 7); i++) {
        uint32_t length = (word >> 8 & 31) != 0 ? 256 : (uint32_t)random_value();
        bool chained = (word >> (16 + i) & 3) == 0;
        driver_describe(m, queue, i, BUFFER(queue, i), length, WRITE | (chained ? NEXT : 0), i + 1);
        offer(m, queue, (word >> 48) % 31 == 0 ? (uint32_t)random_word() & 0x1ff : i);
    }
}

static void step_control(void) {
    static const uint8_t events[] = {READY, PORT_READY, OPEN, OPEN};
    uint64_t word = random_word();
    unsigned n = word >> 16 & 3;
    uint64_t at = BUFFER(CONSOLE_CONTROL_TRANSMIT, n);
    uint32_t port = (word & 7) != 0 ? word >> 8 & 3 : (uint32_t)random_value();
    uint32_t cut = (word >> 40 & 7) == 0 ? (word >> 44 & 7) + 1 : 8;

    memcpy(m->ram + at, &port, 4);
    ram_put16(m, at + 4, (word >> 20 & 7) != 0 ? events[word >> 24 & 3] : (uint32_t)random_value());
    ram_put16(m, at + 6, (word >> 28 & 7) != 0 ? word >> 32 & 1 : (uint32_t)random_value());
    driver_describe(m, CONSOLE_CONTROL_TRANSMIT, n, at, cut, NEXT, n + 8);
    driver_describe(m, CONSOLE_CONTROL_TRANSMIT, n + 8, at + cut, 8,
                    (word >> 50 & 7) == 0 ? WRITE : 0, 0);
    offer(m, CONSOLE_CONTROL_TRANSMIT, n);
}

static void step_send(void) {
    uint64_t word = random_word();
    unsigned queue = (word & 1) != 0 ? 5 : CONSOLE_TRANSMIT;
    uint32_t length =
        (word & 0x3e) != 0 ? (uint32_t)(word >> 8 & 0x3ff) + 1 : (uint32_t)random_value();

    driver_describe(m, queue, 0, BUFFER(queue, 0), (word >> 24 & 0x3f) + 1, NEXT, 1);
    driver_describe(m, queue, 1, BUFFER(queue, 0) + (word >> 24 & 0x3f) + 1, length, 0, 0);
    offer(m, queue, (word >> 60) == 0 ? 1 : 0);
}

/* To the operator's hand, which is the port behind those that are joined; and buffers for its
 * answer. */
static void step_ask(void) {
    static const char *const lines[] = {"{\"verb\":\"list\"}\n", "x\n", "{\"verb\":\"kill\",",
                                        "\"guest\":\"web\"}\n"};
    enum { SEND = 2 + 2 * (1 + NAMED) + 1 };
    uint64_t word = random_word();
    const char *line = lines[word & 3];

    memcpy(m->ram + BUFFER(SEND, 0), line, strlen(line));
    driver_describe(m, SEND, 0, BUFFER(SEND, 0), (uint32_t)strlen(line) + ((word & 0xf0) == 0), 0,
                    0);
    offer(m, SEND, 0);
    driver_describe(m, SEND - 1, 0, BUFFER(SEND - 1, 0), (uint32_t)(word >> 8 & 0xff) + 1, WRITE,
                    0);
    offer(m, SEND - 1, 0);
}

/* ---- the other side ---- */

static void step_record(void) {
    uint64_t word = random_word();
    struct channel_record r = {.length = (uint32_t)random_value(), .about = {(uint32_t)word}};
    uint32_t place = (word & 7) == 0 ? m->console.ports[1].channel.taken : theirs->put;

    if ((word & 0x30) != 0) {
        r.length = (uint32_t)(word >> 8) % 5000;
    }
    if ((word & 0xc0) != 0) {
        r.about[0] = theirs->state;
    }
    put_bytes(theirs, place, &r, sizeof(r));
    theirs->put = place + ALIGN_UP(CHANNEL_RECORD + r.length, CHANNEL_RECORD);
}

static void step_words(void) {
    uint64_t word = random_word();
    uint32_t *words[] = {&theirs->put,   &theirs->taken, &theirs->wake_at, &theirs->runs,
                         &theirs->state, &theirs->state, &theirs->awaits,  &theirs->awaits};
    uint32_t bases[] = {0, m->console.ports[1].channel.put, m->console.ports[1].channel.taken};

    *words[word & 7] = bases[(word >> 3) % 3] + (uint32_t)random_value();
    if ((word & 0x700) == 0) {
        put_bytes(theirs, (uint32_t)random_word(), &word, 8);
    }
}

/* As an honest side would do, so that the next bytes can come. */
static void step_honest(void) {
    uint64_t word = random_word();
    theirs->runs = 1;
    theirs->taken = m->console.ports[1].channel.put;
    theirs->wake_at = theirs->taken;
    theirs->put = m->console.ports[1].channel.taken;
    theirs->awaits = word & 1;
    theirs->state += (uint32_t)(word >> 8) % 3;
}

/* ---- turns ---- */

static void step_turn(void) {
    uint64_t word = random_word();
    const struct channel *c = &m->console.ports[1].channel;
    uint32_t put = c->put, faults = (uint32_t)c->faults, starts = c->ours->starts;
    unsigned before = m->shown_count;
    const struct virtqueue *queues = m->console.v.queues;
    uint16_t used[] = {queues[CONSOLE_CONTROL_RECEIVE].used, queues[4].used, queues[5].used};

    switch (word & 7) {
    case 0:
        virtio_console_poll(&m->console);
        break;
    case 1:
        (void)virtio_console_receive(&m->console, (uint8_t)word);
        break;
    case 2:
    case 3:
        machine_time += word >> 8 & 0xfffff;
        (void)virtio_ops.service(&m->console.v.dev, machine_time);
        break;
    default:
        driver_doorbell(m,
                        (word & 0x700) == 0 ? (unsigned)(word >> 12) : (unsigned)(word >> 12) % 8);
    }
    if ((word & 0x3000000) == 0) {
        m->room = (unsigned)random_value();
    }
    MUST(m->shown_count - before <= 4096 + 8);
    bool jumped = c->faults != faults || c->ours->starts != starts; /* to where the other side is */
    MUST(jumped || c->put - put <= 256 * KIB);
    told += (uint16_t)(queues[CONSOLE_CONTROL_RECEIVE].used - used[0]);
    received += (uint16_t)(queues[4].used - used[1]);
    sent += (uint16_t)(queues[5].used - used[2]);
}

static void run(unsigned steps) {
    static void (*const kinds[])(void) = {step_registers, step_memory,  step_driver,  step_buffers,
                                          step_send,      step_ask,     step_control, step_record,
                                          step_record,    step_control, step_words,   step_honest,
                                          step_turn,      step_turn,    step_turn,    step_buffers};
    begin();
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        bool rare = (word & 0xf) <= 2 || (word & 0xf) == 10;
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
    uint64_t terminal = 0;
    for (unsigned s = 1; s <= 6; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        run(STEPS);
        terminal += m->shown_count;
    }
    printf("# told %u, received %u, sent %u, shown %u, asked %u\n", (unsigned)told,
           (unsigned)received, (unsigned)sent, (unsigned)terminal, (unsigned)asked);
    CHECK(told > 1000 && received > 5000 && sent > 5000 && terminal > 10000 &&
          asked > 100); /* it did come that far */
}

TEST_MAIN(T(random_steps))
#endif
