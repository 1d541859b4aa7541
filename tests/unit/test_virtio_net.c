/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network adapters on a wire, as their drivers find them: frames, switching, what a hostile sender
 * may not do, restarts, and bounds of work. Offloads: test_net_offload.c.
 */
#include "tests/unit/fake_net.h"

static const struct net_header plain;
static uint8_t frame[NET_LONGEST + 100], got[NET_LONGEST + 100];
static struct net_header header;

/* A frame of the test's, without a protocol. */
static void make_frame(unsigned to, unsigned from, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        frame[i] = (uint8_t)(i * 7 + size);
    }
    net_address(to, frame);
    net_address(from, frame + 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
}

static void post(unsigned from, uint32_t size) {
    net_post(&machines[from], &plain, frame, size);
    net_run();
}

static void begin_with(unsigned count, unsigned bridges, uint64_t features) {
    net_begin_wire(count, bridges);
    for (unsigned i = 0; i < count; i++) {
        net_power_on(&machines[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        driver_start(&machines[i], features);
        net_fill_ring(&machines[i], 2048, RING);
        driver_doorbell(&machines[i], NET_RECEIVE);
    }
}

static void begin(unsigned count, unsigned bridges) {
    begin_with(count, bridges, NET_F_MERGED | NET_F_CONTROL | NET_F_CONTROL_RX);
}

/* Machine i finds the frame as it was sent, or nothing. */
static void expect(unsigned i, uint32_t size) {
    uint32_t seen = net_pull(&machines[i], &header, got);
    CHECK_U64(seen, size);
    CHECK(seen != size || memcmp(got, frame, size) == 0);
}

static const struct abi_net_count *sent(unsigned i) {
    return &machines[i].counts.sent;
}

static const struct abi_net_count *received(unsigned i) {
    return &machines[i].counts.received;
}

TEST(registers) {
    begin(2, 0);
    struct machine *m = &machines[1];
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG, 4), 0x00484252);
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 4, 2), 0x0200);
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 6, 2), 1);
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 10, 2), 1500);
    CHECK_U64(driver_reg(m, 0x12, 2), 3);
    driver_set(m, 0x00, 4, 0);
    CHECK_U64(driver_reg(m, 0x04, 4), NET_FEATURES | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX);
    const uint32_t slot = 2 << 11;
    CHECK_U64(pci_config_read(&m->host, slot), 0x10411af4);
    CHECK_U64(pci_config_read(&m->host, slot + PCI_CLASS), 0x02000001); /* Ethernet */
    CHECK_U64(m->net.v.model->pci.vectors, 4);
}

TEST(frames_go_both_ways) {
    static const uint32_t sizes[] = {14, 15, 60, 61, 1000, 1514};
    begin(2, 0);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t size = sizes[i % ARRAY_SIZE(sizes)];
        make_frame(1, 0, size);
        post(0, size);
        expect(1, size);
        CHECK_U64(header.buffers, 1);
        CHECK_U64(header.flags + header.segmentation, 0);
        make_frame(0, 1, size);
        post(1, size);
        expect(0, size);
    }
    expect(0, 0);
    expect(1, 0);
    for (unsigned i = 0; i < 2; i++) { /* both queues tell of what went back */
        (void)driver_reg(&machines[i], VIRTIO_ISR, 1);
    }
    post(0, 100);
    CHECK_U64(driver_reg(&machines[0], VIRTIO_ISR, 1), 1);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_ISR, 1), 0);
    make_frame(1, 0, 100);
    post(0, 100);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_ISR, 1), 1);
    CHECK_U64(driver_used(&machines[0], NET_TRANSMIT), 2002);
    CHECK_U64(sent(0)->frames, 2001);
    CHECK_U64(received(1)->frames, 2001);
    CHECK_U64(received(1)->bytes, sent(0)->bytes);
    CHECK(machines[1].net.peers[0].channel.faults == 0);
}

/* As drivers of older habits have it: the header alone in the first buffer, and no merging. */
TEST(frames_of_many_pieces) {
    begin_with(2, 0, 0);
    struct machine *m = &machines[0], *to = &machines[1];
    make_frame(1, 0, 1000);
    memcpy(m->ram + OUTGOING, &plain, NET_HEADER);
    memcpy(m->ram + OUTGOING + 0x100, frame, 1000);
    driver_describe(m, NET_TRANSMIT, 0, OUTGOING, 5, NEXT, 1);
    driver_describe(m, NET_TRANSMIT, 1, OUTGOING + 5, 7, NEXT, 2);
    driver_describe(m, NET_TRANSMIT, 2, OUTGOING + 0x100, 3, NEXT, 3);
    driver_describe(m, NET_TRANSMIT, 3, OUTGOING + 0x103, 997, 0, 0);
    driver_start(to, 0);
    driver_describe(to, NET_RECEIVE, 0, BUFFER(0), 11, WRITE | NEXT, 1);
    driver_describe(to, NET_RECEIVE, 1, BUFFER(0) + 11, 1, WRITE | NEXT, 2);
    driver_describe(to, NET_RECEIVE, 2, BUFFER(0) + 12, 13, WRITE | NEXT, 3);
    driver_describe(to, NET_RECEIVE, 3, BUFFER(0) + 25, 2000, WRITE, 0);
    to->buffer = 3000;
    driver_offer(to, NET_RECEIVE, 0);
    driver_offer(m, NET_TRANSMIT, 0);
    driver_doorbell(m, NET_TRANSMIT);
    net_run();
    CHECK_U64(ram_get32(to, USED(NET_RECEIVE) + 8), 1012);
    CHECK_U64(ram_get16(to, BUFFER(0) + 10), 1);
    CHECK(memcmp(to->ram + BUFFER(0) + 12, frame, 1000) == 0);
}

/* A page of an image may be sent, and never received into. */
TEST(pages_of_an_image) {
    begin(2, 0);
    struct machine *m = &machines[0];
    static uint8_t image[PAGE_SIZE];
    struct guest_region regions[2] = {m->region, {0x40000000, sizeof(image), image}};
    m->memory = (struct guest_memory){.regions = regions, .count = 1, .read_only = 1};
    make_frame(1, 0, 100);
    memcpy(m->ram + OUTGOING, &plain, NET_HEADER);
    memcpy(m->ram + OUTGOING + NET_HEADER, frame, 50);
    memcpy(image, frame + 50, 50);
    driver_describe(m, NET_TRANSMIT, 0, OUTGOING, NET_HEADER + 50, NEXT, 1);
    driver_describe(m, NET_TRANSMIT, 1, 0x40000000, 50, 0, 0);
    driver_offer(m, NET_TRANSMIT, 0);
    driver_doorbell(m, NET_TRANSMIT);
    net_run();
    expect(1, 100);
    driver_start(m, NET_F_MERGED);
    driver_describe(m, NET_RECEIVE, 0, 0x40000000, 2048, WRITE, 0);
    driver_offer(m, NET_RECEIVE, 0);
    make_frame(0, 1, 100);
    post(1, 100);
    CHECK((driver_reg(m, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
}

/* A buffer to be written in what is sent, one to be read in what is received. */
TEST(pieces_of_the_wrong_kind) {
    begin(2, 0);
    struct machine *m = &machines[0], *to = &machines[1];
    make_frame(1, 0, 100);
    memcpy(m->ram + OUTGOING, &plain, NET_HEADER);
    memcpy(m->ram + OUTGOING + NET_HEADER, frame, 100);
    driver_describe(m, NET_TRANSMIT, 0, OUTGOING, NET_HEADER + 100, NEXT, 1);
    driver_describe(m, NET_TRANSMIT, 1, OUTGOING + 0x1000, 50, WRITE, 0);
    driver_offer(m, NET_TRANSMIT, 0);
    driver_doorbell(m, NET_TRANSMIT);
    net_run();
    expect(1, 100);
    driver_start(to, NET_F_MERGED);
    memset(to->ram + BUFFER(0), 0x77, 0x1000);
    to->buffer = 2048;
    driver_describe(to, NET_RECEIVE, 0, BUFFER(0), 60, NEXT, 1);
    driver_describe(to, NET_RECEIVE, 1, BUFFER(1), 2048, WRITE, 0);
    driver_offer(to, NET_RECEIVE, 0);
    post(0, 60);
    CHECK_U64(to->ram[BUFFER(0)], 0x77);
    CHECK_U64(to->ram[BUFFER(0) + 59], 0x77);
    CHECK_U64(ram_get32(to, USED(NET_RECEIVE) + 8), NET_HEADER + 60);
    CHECK(memcmp(to->ram + BUFFER(1) + NET_HEADER, frame, 12) == 0);
}

TEST(each_goes_to_whom_it_is_for) {
    begin(3, 0);
    make_frame(2, 0, 100);
    post(0, 100);
    expect(2, 100);
    expect(1, 0);
    memset(frame, 0xff, 6); /* all */
    post(0, 100);
    expect(1, 100);
    expect(2, 100);
    frame[0] = 0x01; /* a group */
    post(0, 100);
    expect(1, 100);
    expect(2, 100);
    make_frame(77, 0, 100); /* nobody has it */
    post(0, 100);
    make_frame(0, 0, 100); /* itself */
    post(0, 100);
    expect(0, 0);
    expect(1, 0);
    expect(2, 0);
    CHECK_U64(sent(0)->frames, 3);
    CHECK_U64(sent(0)->drops[NET_DROP_NOBODY], 2);
}

TEST(nobody_sends_with_anothers_address) {
    begin(3, 0);
    make_frame(1, 2, 100);
    post(0, 100);
    make_frame(1, 50, 100);
    post(0, 100);
    CHECK_U64(sent(0)->drops[NET_DROP_SOURCE], 2);
    machines[0].net.may_bridge = true; /* as if its compartment were in a guest's hand */
    post(0, 100);
    make_frame(1, 2, 100);
    post(0, 100);
    memset(frame + 6, 0xff, 6);
    post(0, 100);
    CHECK_U64(received(1)->drops[NET_DROP_SOURCE], 3);
    expect(1, 0);
}

/* What is behind a bridge is found there; before that all bridges get it, and nobody else. */
TEST(a_bridge_is_learned) {
    begin(3, 1);
    make_frame(77, 1, 100);
    post(1, 100);
    expect(0, 100);
    expect(2, 0);
    make_frame(1, 77, 100);
    post(0, 100);
    expect(1, 100);
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == &machines[1].net.peers[0]);
    machine_time += 200000000000;
    post(0, 100); /* whoever goes on sending stays known */
    expect(1, 100);
    machine_time += 200000000000;
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == &machines[1].net.peers[0]);
    machine_time += 101000000000;
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == NULL);
    make_frame(1, 2, 100); /* a member's own stays its own */
    post(0, 100);
    expect(1, 100);
    make_frame(2, 1, 100);
    post(1, 100);
    expect(2, 100);
    expect(0, 0);
    make_frame(1, 1, 100); /* nor does anybody get one's own */
    post(0, 100);
    expect(1, 100);
    CHECK_U64(machines[1].net.peers[0].next, 1);
    for (unsigned i = 100; i < 250; i++) { /* it claims many */
        make_frame(1, i, 100);
        post(0, 100);
        expect(1, 100);
    }
    unsigned known = 0;
    for (unsigned i = 100; i < 250; i++) {
        make_frame(1, i, 100);
        known += net_find(&machines[1].net, net_mac(frame + 6)) != NULL;
    }
    CHECK_U64(known, NET_LEARNED);
    driver_set(&machines[1], 0x14, 1, 0); /* another driver, another time */
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == NULL);
}

/* Of frames to send nothing is written, be they sent or dropped. */
TEST(nothing_is_written_to_what_is_sent) {
    uint32_t id = 0, length = 0;

    begin(2, 0);
    make_frame(1, 0, 100);
    post(0, 100);
    make_frame(1, 1, 100); /* with another's address */
    post(0, 100);
    post(0, 13); /* no frame */
    for (unsigned i = 0; i < 3; i++) {
        CHECK(driver_take(&machines[0], NET_TRANSMIT, &id, &length));
        CHECK_U64(length, 0);
    }
}

/* What was learned of each peer goes with the driver, or the machine. */
TEST(a_new_driver_knows_nobody) {
    for (unsigned machine = 0; machine < 2; machine++) {
        begin(3, 5);
        for (unsigned peer = 0; peer < 2; peer++) {
            make_frame(1, 77 + peer, 100);
            post(2 * peer, 100);
            expect(1, 100);
            CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == &machines[1].net.peers[peer]);
        }
        if (machine != 0) {
            virtio_ops.reset(&machines[1].net.v.dev);
        } else {
            driver_set(&machines[1], 0x14, 1, 0);
        }
        for (unsigned peer = 0; peer < 2; peer++) {
            make_frame(1, 77 + peer, 100);
            CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == NULL);
        }
    }
}

/* Members of whom nothing is known. */
TEST(strangers_are_learned) {
    begin(3, 0);
    for (unsigned i = 0; i < 2; i++) {
        machines[0].net.peers[i].mac = 0;
    }
    make_frame(77, 0, 100);
    post(0, 100);
    expect(1, 100);
    expect(2, 100);
    memset(frame, 0, 6);
    post(0, 100);
    expect(1, 100);
    expect(2, 100);
    make_frame(0, 2, 100);
    post(2, 100);
    expect(0, 100);
    make_frame(2, 0, 100);
    post(0, 100);
    expect(1, 0);
    expect(2, 100);
    machines[1].net.may_bridge = true; /* no frame comes from nowhere, or from a group */
    make_frame(0, 1, 100);
    memset(frame + 6, 0, 6);
    post(1, 100);
    frame[6] = 1;
    post(1, 100);
    CHECK_U64(received(0)->drops[NET_DROP_SOURCE], 2);
    expect(0, 0);
}

/* Of two that claim one address the last one has it. */
TEST(an_address_moves) {
    begin(3, 5);
    make_frame(1, 77, 100);
    post(0, 100);
    expect(1, 100);
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == &machines[1].net.peers[0]);
    post(0, 100);
    expect(1, 100);
    CHECK_U64(machines[1].net.peers[0].next, 1); /* known, and once */
    machine_time++;
    post(2, 100);
    expect(1, 100);
    CHECK(net_find(&machines[1].net, net_mac(frame + 6)) == &machines[1].net.peers[1]);
}

TEST(frames_that_are_none) {
    static const struct {
        uint32_t size;
        enum net_drop why;
    } odd[] = {{0, NET_DROP_MALFORMED},
               {13, NET_DROP_MALFORMED},
               {1515, NET_DROP_LONG},
               {NET_LONGEST + 1, NET_DROP_LONG}};
    begin(2, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        make_frame(1, 0, NET_LONGEST + 1);
        post(0, odd[i].size);
        expect(1, 0);
        CHECK_U64(sent(0)->drops[odd[i].why], 1 + (i == 1 || i == 3));
    }
    make_frame(1, 0, 1518); /* with a tag it may be longer */
    frame[12] = 0x81;
    frame[13] = 0;
    post(0, 1518);
    expect(1, 1518);
    CHECK_U64(sent(0)->frames, 1);
}

/* The checksum may be a frame's last word. */
TEST(where_a_checksum_may_end) {
    static const uint8_t heads[NET_HEADS];
    struct net_header h = {.flags = NET_NEEDS_CHECKSUM, .checksum_start = 90, .checksum_offset = 8};
    CHECK_U64(net_judge(&h, 100, heads, 1500), NET_DROPS);
    h.checksum_offset = 9;
    CHECK_U64(net_judge(&h, 100, heads, 1500), NET_DROP_MALFORMED);
}

/* Each limit, and what is one beyond it. */
TEST(limits_of_a_frame) {
    enum { PLAIN = NET_SEGMENT_NONE, TCP = NET_SEGMENT_TCP4, START = 34 };
    static const uint8_t untagged[NET_HEADS];
    static const uint8_t tagged[NET_HEADS] = {[12] = 0x81};
    static const struct {
        unsigned kind, segment, start;
        uint32_t length;
        const uint8_t *heads;
        enum net_drop drop;
    } rows[] = {
        {PLAIN, 0, 14, 60, untagged, NET_DROPS},
        {PLAIN, 0, 13, 60, untagged, NET_DROP_MALFORMED}, /* in the addresses */
        {PLAIN, 0, START, 1514, untagged, NET_DROPS},
        {PLAIN, 0, START, 1515, untagged, NET_DROP_LONG},
        {PLAIN, 0, START, 1518, tagged, NET_DROPS},
        {PLAIN, 0, START, 1519, tagged, NET_DROP_LONG},
        {TCP, 28, START, 5000, untagged, NET_DROPS},
        {TCP, 27, START, 5000, untagged, NET_DROP_MALFORMED},
        {TCP, 1500, START, 5000, untagged, NET_DROPS},
        {TCP, 1501, START, 5000, untagged, NET_DROP_LONG},
        {TCP, 1000, START, NET_LONGEST, tagged, NET_DROPS},
        {TCP, 1000, START, NET_LONGEST + 1, tagged, NET_DROP_LONG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct net_header h = {.flags = NET_NEEDS_CHECKSUM,
                                     .checksum_start = (uint16_t)rows[i].start,
                                     .checksum_offset = 16,
                                     .segmentation = (uint8_t)rows[i].kind,
                                     .segment_size = (uint16_t)rows[i].segment};
        CHECK_U64(net_judge(&h, rows[i].length, rows[i].heads, 1500), rows[i].drop);
    }
}

/* The sender's side does not judge; the receiver's does. */
TEST(a_compartment_that_sends_garbage) {
    static const struct {
        uint32_t length;
        struct net_header h;
        enum net_drop why;
    } odd[] = {
        {0, {.flags = 0}, NET_DROP_MALFORMED},
        {13, {.flags = 0}, NET_DROP_MALFORMED},
        {1515, {.flags = 0}, NET_DROP_LONG},
        {CHANNEL_LONGEST, {.flags = 0}, NET_DROP_LONG},
        {100, {.flags = 1, .checksum_start = 90, .checksum_offset = 9}, NET_DROP_MALFORMED},
        {100,
         {.flags = 1, .checksum_start = 0xffff, .checksum_offset = 0xffff},
         NET_DROP_MALFORMED},
        {100, {.flags = 1, .checksum_start = 2, .checksum_offset = 4}, NET_DROP_MALFORMED},
        {100, {.segmentation = 1, .segment_size = 100}, NET_DROP_MALFORMED},
        {100,
         {.flags = 1, .segmentation = 1, .segment_size = 0, .checksum_start = 34},
         NET_DROP_MALFORMED},
        {100,
         {.flags = 1, .segmentation = 3, .segment_size = 100, .checksum_start = 34},
         NET_DROP_MALFORMED},
        {100,
         {.flags = 1, .segmentation = 0x80, .segment_size = 100, .checksum_start = 34},
         NET_DROP_MALFORMED},
        {NET_LONGEST + 1,
         {.flags = 1, .segmentation = 1, .segment_size = 100, .checksum_start = 34},
         NET_DROP_LONG},
        {1000,
         {.flags = 1, .segmentation = 1, .segment_size = 1501, .checksum_start = 34},
         NET_DROP_LONG},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        begin_with(2, 0, NET_F_MERGED | NET_OFFLOADS);
        struct channel *c = &machines[0].net.peers[0].channel;
        uint32_t about[3];
        memcpy(about, &odd[i].h, sizeof(about));
        make_frame(1, 0, sizeof(frame));
        for (uint32_t at = 0; at < odd[i].length; at += 1000) {
            channel_write(c, at, frame, (uint32_t)min_u64(1000, odd[i].length - at));
        }
        channel_send(c, odd[i].length, about);
        virtio_net_poll(&machines[1].net);
        expect(1, 0);
        CHECK_U64(received(1)->drops[odd[i].why], 1);
        net_post(&machines[0], &odd[i].h, frame, (uint32_t)min_u64(odd[i].length, NET_LONGEST + 1));
        CHECK_U64(sent(0)->drops[odd[i].why], 1); /* its own side says the same */
        make_frame(1, 0, 200);
        post(0, 200);
        expect(1, 200);
    }
}

/* ---- the control queue ---- */

static unsigned control(unsigned i, unsigned class, unsigned command, const void *data,
                        uint32_t size) {
    struct machine *m = &machines[i];
    uint64_t at = OUTGOING;

    m->ram[at] = (uint8_t) class;
    m->ram[at + 1] = (uint8_t)command;
    memcpy(m->ram + at + 2, data, size);
    m->ram[at + 0x1000] = 0x55;
    driver_describe(m, NET_CONTROL, 0, at, 2 + size, NEXT, 1);
    driver_describe(m, NET_CONTROL, 1, at + 0x1000, 1, WRITE, 0);
    driver_offer(m, NET_CONTROL, 0);
    driver_doorbell(m, NET_CONTROL);
    uint32_t id = 0, length = 0;
    CHECK(driver_take(m, NET_CONTROL, &id, &length));
    CHECK_U64(length, 1); /* the answer */
    return m->ram[at + 0x1000];
}

/* One doorbell for two: both are carried out. */
TEST(commands_in_a_row) {
    begin(2, 0);
    struct machine *m = &machines[1];
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = OUTGOING + 0x100 * i;
        m->ram[at] = 0, m->ram[at + 1] = (uint8_t)i,
        m->ram[at + 2] = 1; /* promiscuous, all multicast */
        m->ram[at + 0x80] = 0x55;
        driver_describe(m, NET_CONTROL, 2 * i, at, 3, NEXT, 2 * i + 1);
        driver_describe(m, NET_CONTROL, 2 * i + 1, at + 0x80, 1, WRITE, 0);
        driver_offer(m, NET_CONTROL, 2 * i);
    }
    driver_doorbell(m, NET_CONTROL);
    CHECK_U64(driver_used(m, NET_CONTROL), 2);
    CHECK_U64(m->ram[OUTGOING + 0x80] | m->ram[OUTGOING + 0x180], 0);
}

/* As many as a queue holds, and all of the same two pieces: one doorbell is for all of them. */
TEST(commands_that_fill_the_queue) {
    begin(2, 0);
    struct machine *m = &machines[1];
    m->ram[OUTGOING] = 0, m->ram[OUTGOING + 1] = 0, m->ram[OUTGOING + 2] = 1; /* promiscuous */
    driver_describe(m, NET_CONTROL, 0, OUTGOING, 3, NEXT, 1);
    driver_describe(m, NET_CONTROL, 1, OUTGOING + 0x80, 1, WRITE, 0);
    for (unsigned i = 0; i < RING; i++) {
        driver_offer(m, NET_CONTROL, 0);
    }
    driver_doorbell(m, NET_CONTROL);
    CHECK_U64(driver_used(m, NET_CONTROL), RING);
}

static void set_table(uint8_t *data, unsigned singles, unsigned groups) {
    memset(data, 0, 4 + 6 * singles + 4 + 6 * groups);
    data[0] = (uint8_t)singles;
    for (unsigned i = 0; i < singles; i++) {
        net_address(100 + i, data + 4 + 6 * i);
    }
    data[4 + 6 * singles] = (uint8_t)groups;
    for (unsigned i = 0; i < groups; i++) {
        data[8 + 6 * singles + 6 * i] = 0x33;
        data[13 + 6 * singles + 6 * i] = (uint8_t)i;
    }
}

static bool arrives(const uint8_t to[6]) {
    make_frame(1, 0, 100);
    memcpy(frame, to, 6);
    post(0, 100);
    return net_pull(&machines[1], &header, got) == 100;
}

TEST(what_a_driver_wants_to_hear) {
    static const uint8_t off, on = 1, all[6] = {255, 255, 255, 255, 255, 255};
    static const uint8_t group[6] = {0x33, 0, 0, 0, 0, 1}, other[6] = {0x33, 0, 0, 0, 0, 9};
    static const uint8_t nobody[6] = {0x33, 0, 0, 0, 0, 200};
    uint8_t table[1000], first[6], single[6], own[6];

    begin(2, 2); /* a bridge gets what nobody knows */
    net_address(100, first);
    net_address(101, single);
    net_address(1, own);
    CHECK(arrives(all) && arrives(group) && arrives(single) && arrives(own));
    CHECK_U64(control(1, 0, 0, &off, 1), 0);
    CHECK(arrives(all) && !arrives(group) && !arrives(single) && arrives(own));
    CHECK_U64(control(1, 0, 1, &on, 1), 0);
    CHECK(arrives(group) && !arrives(single));
    CHECK_U64(control(1, 0, 1, &off, 1), 0);
    set_table(table, 2, 3);
    CHECK_U64(control(1, 1, 0, table, 4 + 12 + 4 + 18), 0);
    CHECK(arrives(group) && !arrives(other) && arrives(single) && arrives(own));
    set_table(table, 0, NET_FILTER + 1); /* too many: all */
    CHECK_U64(control(1, 1, 0, table, 8 + 6 * (NET_FILTER + 1)), 0);
    CHECK(arrives(other) && arrives(single));
    set_table(table, 2, NET_FILTER - 1); /* together */
    CHECK_U64(control(1, 1, 0, table, 8 + 6 * (NET_FILTER + 1)), 0);
    CHECK(arrives(other) && arrives(single));
    set_table(table, 2, NET_FILTER - 2);
    CHECK_U64(control(1, 1, 0, table, 8 + 6 * NET_FILTER), 0);
    CHECK(arrives(group) && arrives(single) && !arrives(nobody));
    set_table(table, 0, 0);
    CHECK_U64(control(1, 1, 0, table, 8), 0);
    CHECK(!arrives(group) && !arrives(first) && !arrives(single) && arrives(all));
    CHECK_U64(received(1)->drops[NET_DROP_FILTERED], 8);
    CHECK_U64(control(1, 0, 0, &on, 1), 0);
    CHECK(arrives(group) && arrives(single));
}

TEST(commands_that_are_none) {
    static const uint8_t zeros[64];
    static const uint32_t huge[2] = {UINT32_MAX, 0}, cut[2] = {1, 0}, offloads[2] = {BIT32(1), 0};
    static const uint32_t six[2] = {NET_F_GUEST_TSO6, 0};
    static const uint32_t cut_second[3] = {0, 1, 0};
    begin(2, 0);
    CHECK_U64(control(1, 1, 0, cut_second, 12), 1); /* two thirds of an address of a group */
    CHECK_U64(machines[1].net.filter.count, 0);
    CHECK_U64(control(1, 0, 0, zeros, 0), 1);
    CHECK_U64(control(1, 0, 2, zeros, 1), 1);
    CHECK_U64(control(1, 1, 0, zeros, 3), 1);
    CHECK_U64(control(1, 1, 0, zeros, 7), 1);
    CHECK_U64(control(1, 1, 0, cut, 8), 1);
    CHECK(machines[1].net.filter.promiscuous);
    CHECK_U64(control(1, 1, 0, huge, 8), 0);
    CHECK_U64(control(1, 1, 2, zeros, 6), 1);
    CHECK_U64(control(1, 2, 0, zeros, 6), 1);
    CHECK_U64(control(1, 5, 0, zeros, 8), 1); /* not agreed on */
    CHECK_U64(control(1, 1, 1, machines[1].abi.mac, 6), 1);
    begin_with(2, 0, NET_F_CONTROL | NET_F_GUEST_OFFLOADS | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4);
    CHECK_U64(control(1, 0, 0, zeros, 1), 1);
    CHECK_U64(control(1, 1, 0, zeros, 8), 1);
    CHECK_U64(machines[1].net.offloads, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4);
    CHECK_U64(control(1, 5, 0, offloads, 8), 0);
    CHECK_U64(machines[1].net.offloads, NET_F_GUEST_CSUM);
    CHECK_U64(control(1, 5, 0, huge, 8), 1);
    CHECK_U64(control(1, 5, 1, zeros, 8), 1);
    CHECK_U64(control(1, 5, 0, six, 8), 1); /* this one was not agreed on */
    CHECK_U64(machines[1].net.offloads, NET_F_GUEST_CSUM);
    struct machine *m = &machines[1];
    driver_describe(m, NET_CONTROL, 0, OUTGOING, 1, NEXT, 1); /* half a command */
    m->ram[OUTGOING + 0x1000] = 0x55;
    driver_offer(m, NET_CONTROL, 0);
    driver_doorbell(m, NET_CONTROL);
    CHECK_U64(m->ram[OUTGOING + 0x1000], 1);
    driver_describe(&machines[1], NET_CONTROL, 1, OUTGOING, 2, 0, 0); /* nowhere to answer */
    driver_offer(&machines[1], NET_CONTROL, 1);
    driver_doorbell(&machines[1], NET_CONTROL);
    uint16_t last = (uint16_t)(m->given[NET_CONTROL] - 1);
    CHECK_U64(ram_get32(m, USED(NET_CONTROL) + 8 + 8ull * (last % RING)), 0);
    CHECK_U64(driver_used(&machines[1], NET_CONTROL), machines[1].given[NET_CONTROL]);
}

TEST(an_address_of_ones_own) {
    static const uint8_t group[6] = {1, 2, 3, 4, 5, 6}, none[6];
    uint8_t mac[6];
    for (unsigned bridges = 0; bridges < 3; bridges += 2) {
        begin_with(2, bridges, NET_F_CONTROL | NET_F_CONTROL_MAC);
        net_address(1, mac);
        CHECK_U64(control(1, 1, 1, mac, 6), 0);
        net_address(99, mac);
        CHECK_U64(control(1, 1, 1, mac, 6), bridges == 0);
        CHECK_U64(control(1, 1, 1, group, 6), 1);
        CHECK_U64(control(1, 1, 1, none, 6), 1);
        CHECK_U64(driver_reg(&machines[1], VIRTIO_CONFIG + 5, 1), bridges == 0 ? 2 : 100);
        driver_set(&machines[1], 0x14, 1, 0);
        CHECK_U64(machines[1].net.own, machines[1].net.mac);
        CHECK_U64(driver_reg(&machines[1], VIRTIO_CONFIG, 4), 0x00484252);
        CHECK_U64(driver_reg(&machines[1], VIRTIO_CONFIG + 5, 1), 2);
    }
}

/* ---- link, restarts ---- */

TEST(the_link) {
    begin(2, 0);
    virtio_net_set_link(&machines[1].net, false);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_CONFIG + 6, 2), 0);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_ISR, 1) & 2, 2);
    virtio_net_set_link(&machines[1].net, false);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_ISR, 1) & 2, 0);
    make_frame(1, 0, 100);
    post(0, 100);
    CHECK_U64(sent(0)->drops[NET_DROP_NOBODY], 1);
    make_frame(0, 1, 100);
    post(1, 100);
    CHECK_U64(sent(1)->drops[NET_DROP_NO_LINK], 1);
    CHECK_U64(driver_used(&machines[1], NET_TRANSMIT), 1); /* its driver goes on */
    expect(0, 0);
    expect(1, 0);
    virtio_net_set_link(&machines[1].net, true);
    CHECK_U64(driver_reg(&machines[1], VIRTIO_ISR, 1) & 2, 2);
    post(1, 100);
    expect(0, 100);
    make_frame(1, 0, 100);
    post(0, 100);
    expect(1, 100);
}

/* One machine starts anew in the middle of traffic, its half of each channel empty or not. */
TEST(one_side_starts_anew) {
    for (unsigned kind = 0; kind < 6; kind++) {
        unsigned who = kind % 2;
        begin(2, 0);
        for (unsigned i = 0; i < 300; i++) { /* some of it stays in the ring */
            make_frame(1 - who, who, 1000);
            net_post(&machines[who], &plain, frame, 1000);
            make_frame(who, 1 - who, 1000);
            net_post(&machines[1 - who], &plain, frame, 1000);
        }
        if (kind >= 4) {
            memset(net_halves[who][1 - who], 0, sizeof(struct channel_half));
        }
        if (kind >= 2) {
            net_power_on(&machines[who]);
        } else {
            driver_set(&machines[who], 0x14, 1, 0);
        }
        make_frame(who, 1 - who, 1000);
        uint64_t nobody = sent(1 - who)->drops[NET_DROP_NOBODY];
        post(1 - who, 1000);
        CHECK_U64(sent(1 - who)->drops[NET_DROP_NOBODY], nobody + 1);
        driver_start(&machines[who], NET_F_MERGED);
        net_fill_ring(&machines[who], 2048, RING);
        driver_doorbell(&machines[who], NET_RECEIVE);
        net_run();
        while (net_pull(&machines[1 - who], &header, got) != 0) {
        }
        for (unsigned i = 0; i < 600; i++) {
            make_frame(who, 1 - who, 1000);
            post(1 - who, 1000);
            expect(who, 1000);
            make_frame(1 - who, who, 900);
            post(who, 900);
            expect(1 - who, 900);
        }
    }
}

TEST(no_driver_no_frames) {
    net_begin_wire(2, 0);
    net_power_on(&machines[0]);
    net_power_on(&machines[1]);
    virtio_net_poll(&machines[1].net);
    CHECK_U64(virtio_ops.service(&machines[1].net.v.dev, machine_time), 0);
    driver_start(&machines[0], 0);
    make_frame(1, 0, 100);
    post(0, 100);
    CHECK_U64(sent(0)->drops[NET_DROP_NOBODY], 1);
    CHECK_U64(machines[1].bells, 0);
}

/* ---- bounds ---- */

/* A receiver without buffers: its ring fills, the rest is dropped, and the sender goes on. */
TEST(a_receiver_that_does_not_read) {
    begin(3, 0);
    struct machine *m = &machines[1];
    driver_start(m, NET_F_MERGED | VIRTIO_F_EVENT_INDEX);
    m->buffer = 2048;
    make_frame(1, 0, 1000);
    unsigned before = m->bells;
    for (unsigned i = 0; i < 400; i++) {
        post(0, 1000);
        make_frame(2, 0, 1000);
        post(0, 1000);
        expect(2, 1000);
        make_frame(1, 0, 1000);
    }
    uint64_t fits = CHANNEL_RING / 1024;
    CHECK_U64(sent(0)->drops[NET_DROP_FULL], 400 - fits);
    CHECK_U64(sent(0)->frames, 400 + fits);
    CHECK_U64(m->bells - before, 1); /* nor is it rung for what it cannot take */
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), 2048, WRITE, 0);
    }
    for (unsigned i = 0; i < fits; i++) {
        driver_offer(m, NET_RECEIVE, i);
        driver_doorbell(m, NET_RECEIVE);
        net_run();
        CHECK_U64(driver_used(m, NET_RECEIVE), i + 1);
    }
    CHECK_U64(received(1)->frames, fits);
}

TEST(buffers_that_are_too_small) {
    begin(2, 0);
    struct machine *m = &machines[1];
    driver_start(m, 0); /* one buffer for each frame */
    m->buffer = 2048;
    for (unsigned i = 0; i < 2; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), 500, WRITE, 0);
        driver_offer(m, NET_RECEIVE, i);
    }
    make_frame(1, 0, 900); /* two would hold it */
    post(0, 900);
    CHECK_U64(received(1)->drops[NET_DROP_SMALL], 1);
    make_frame(1, 0, 488);
    post(0, 488);
    expect(1, 488);
    driver_start(m, NET_F_MERGED); /* all that there are */
    m->buffer = 2048;
    for (unsigned i = 0; i < RING - 1; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), 1, WRITE, 0);
        driver_offer(m, NET_RECEIVE, i);
    }
    make_frame(1, 0, 300);
    post(0, 300);
    CHECK_U64(received(1)->drops[NET_DROP_SMALL], 1); /* one more could come yet */
    driver_describe(m, NET_RECEIVE, RING - 1, BUFFER(RING - 1), 1, WRITE, 0);
    driver_offer(m, NET_RECEIVE, RING - 1);
    driver_doorbell(m, NET_RECEIVE);
    CHECK_U64(received(1)->drops[NET_DROP_SMALL], 2);
    CHECK_U64(driver_used(m, NET_RECEIVE), 0);
    make_frame(1, 0, 244); /* all of them */
    post(0, 244);
    CHECK_U64(driver_used(m, NET_RECEIVE), 256);
    CHECK_U64(m->ram[BUFFER(10)], 0);
    CHECK_U64(m->ram[BUFFER(11)], 1);
}

/* What lies behind the last peer is none. */
TEST(who_is_no_peer_is_not_looked_at) {
    begin(2, 0);
    struct virtio_net *n = &machines[0].net;
    struct net_peer *none = &n->peers[n->peer_count];
    *none = n->peers[0];
    none->channel.put++; /* as if a bell were due */
    unsigned bells = machines[1].bells + machines[2].bells;
    make_frame(1, 0, 64);
    net_post(&machines[0], &plain, frame, 64);
    memset(frame, 0xff, 6); /* to all */
    net_post(&machines[0], &plain, frame, 64);
    net_run();
    CHECK_U64(machines[1].bells + machines[2].bells, bells + 1); /* machine 1 hears of both */
    CHECK_U64(none->channel.put, 1);
    none->learned[0].mac = 7;
    driver_set(&machines[0], 0x14, 1, 0);
    CHECK_U64(none->learned[0].mac, 7);
}

/* A turn ends, the guest runs, and the rest follows. */
TEST(a_flood_comes_in_turns) {
    begin(2, 0);
    struct machine *m = &machines[1];
    make_frame(1, 0, 64);
    while (sent(0)->drops[NET_DROP_FULL] == 0) {
        net_post(&machines[0], &plain, frame, 64);
    }
    uint64_t all = sent(0)->frames;
    CHECK(m->belled);
    CHECK(all > 2 * RING);
    driver_start(m, NET_F_MERGED);
    net_fill_ring(m, 2048, RING);
    net_run();
    make_frame(1, 0, 1500);
    for (unsigned i = 0; i < 170; i++) {
        net_post(&machines[0], &plain, frame, 1500);
    }
    CHECK_U64(received(1)->frames, 0);
    m->reschedules = 0;
    virtio_net_poll(&m->net);
    uint64_t first = received(1)->frames;
    CHECK(first > 100 && first < 170 && m->reschedules == 1);
    virtio_net_poll(&m->net); /* whoever rings now has to wait */
    driver_doorbell(m, NET_RECEIVE);
    CHECK_U64(received(1)->frames, first);
    uint64_t due = virtio_ops.service(&m->net.v.dev, machine_time);
    CHECK(due >= machine_time + 20000);
    CHECK_U64(received(1)->frames, first);
    machine_time = due;
    CHECK_U64(virtio_ops.service(&m->net.v.dev, machine_time), 0);
    CHECK_U64(received(1)->frames, 170);
}

/* What the last driver has left for later is not the next one's to wait for. */
TEST(a_new_driver_waits_for_nothing) {
    begin(2, 0);
    struct machine *m = &machines[1];
    make_frame(1, 0, 1500);
    for (unsigned i = 0; i < 170; i++) {
        net_post(&machines[0], &plain, frame, 1500);
    }
    virtio_net_poll(&m->net);
    CHECK(m->net.receive_due != 0);
    driver_start(m, NET_F_MERGED);
    net_fill_ring(m, 2048, RING);
    CHECK_U64(m->net.receive_due, 0);
    net_post(&machines[0], &plain, frame, 1500);
    virtio_net_poll(&m->net);
    expect(1, 1500);
}

/* Each frame costs its bytes and 512: 189 of these are one less than a turn. */
TEST(a_turn_is_just_so_long) {
    begin(2, 0);
    struct machine *m = &machines[0];
    make_frame(1, 0, 875);
    memcpy(m->ram + OUTGOING + NET_HEADER, frame, 875);
    CHECK_U64(189 * (875 + NET_FRAME_COST), NET_TURN - 1);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, NET_TRANSMIT, i, OUTGOING, NET_HEADER + 875, 0, 0);
        driver_offer(m, NET_TRANSMIT, i);
    }
    driver_doorbell(m, NET_TRANSMIT);
    CHECK_U64(driver_used(m, NET_TRANSMIT), 190);

    begin(2, 0); /* what is received costs its bytes behind the Ethernet header */
    make_frame(1, 0, 875 + NET_ETHERNET);
    for (unsigned i = 0; i < 200; i++) {
        net_post(&machines[0], &plain, frame, 875 + NET_ETHERNET);
    }
    virtio_net_poll(&machines[1].net);
    CHECK_U64(received(1)->frames, 190);
}

/* More than one turn takes; how many of them this one did. */
static uint16_t send_a_ring_full(struct machine *m) {
    make_frame(1, 0, 1500);
    memcpy(m->ram + OUTGOING + NET_HEADER, frame, 1500);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, NET_TRANSMIT, i, OUTGOING, NET_HEADER + 1500, 0, 0);
        driver_offer(m, NET_TRANSMIT, i);
    }
    driver_doorbell(m, NET_TRANSMIT);
    return driver_used(m, NET_TRANSMIT);
}

/* A driver that gives much at once: so much in one turn, with a pause for those who read. */
TEST(a_sender_takes_turns) {
    begin(2, 0);
    struct machine *m = &machines[0];
    uint16_t first = send_a_ring_full(m);
    CHECK(first > 100 && first < RING && m->reschedules == 1);
    driver_doorbell(m, NET_TRANSMIT);
    CHECK_U64(driver_used(m, NET_TRANSMIT), first);
    uint16_t command = m->net.v.pci.command;
    m->net.v.pci.command = 0; /* no master, no memory */
    CHECK_U64(virtio_ops.service(&m->net.v.dev, machine_time + 1000000), 0);
    CHECK_U64(driver_used(m, NET_TRANSMIT), first);
    m->net.v.pci.command = command;
    net_run();
    driver_doorbell(m, NET_TRANSMIT);
    net_run();
    CHECK_U64(driver_used(m, NET_TRANSMIT), RING);
    CHECK_U64(sent(0)->drops[NET_DROP_FULL], 0);
    CHECK_U64(received(1)->frames, RING);
}

/* A frame for many costs as much as many frames. */
TEST(a_sender_to_all_takes_turns) {
    unsigned done[2];
    for (unsigned i = 0; i < 2; i++) {
        begin(2 + i, 0);
        struct machine *m = &machines[0];
        make_frame(1, 0, 1500);
        memset(frame, 0xff, 6);
        memcpy(m->ram + OUTGOING + NET_HEADER, frame, 1500);
        for (unsigned n = 0; n < RING; n++) {
            driver_describe(m, NET_TRANSMIT, n, OUTGOING, NET_HEADER + 1500, 0, 0);
            driver_offer(m, NET_TRANSMIT, n);
        }
        driver_doorbell(m, NET_TRANSMIT);
        done[i] = driver_used(m, NET_TRANSMIT);
    }
    CHECK(done[0] > done[1] * 3 / 2);
}

/* Two that flood: each gets its share of a turn. */
TEST(each_channel_has_its_turn) {
    begin(3, 0);
    struct machine *m = &machines[2];
    for (unsigned from = 0; from < 2; from++) {
        make_frame(2, from, 1500);
        for (unsigned i = 0; i < 170; i++) {
            net_post(&machines[from], &plain, frame, 1500);
        }
    }
    virtio_net_poll(&m->net);
    unsigned from[2] = {0, 0};
    while (net_pull(m, &header, got) != 0) {
        from[got[11] - 1]++;
    }
    CHECK(from[0] + from[1] > 100);
    CHECK(from[0] >= 60 && from[1] >= 60);
}

/* What does not fit into one buffer goes on in the next one, however little it is. */
TEST(short_frames_in_shorter_buffers) {
    begin(2, 0);
    struct machine *m = &machines[1];
    driver_start(m, NET_F_MERGED);
    net_fill_ring(m, 30, 4);
    driver_doorbell(m, NET_RECEIVE);
    make_frame(1, 0, 30);
    post(0, 30);
    expect(1, 30);
    CHECK_U64(header.buffers, 2);
}

/* A driver may send the longest frame that there is, and none that is longer. */
TEST(the_longest_frame) {
    const struct net_header h = {.flags = NET_NEEDS_CHECKSUM,
                                 .segmentation = NET_SEGMENT_TCP4,
                                 .segment_size = 1000,
                                 .checksum_start = 34,
                                 .checksum_offset = 16};
    begin(2, 0);
    make_frame(1, 0, NET_LONGEST + 1);
    net_post(&machines[0], &h, frame, NET_LONGEST);
    CHECK_U64(sent(0)->frames, 1);
    net_post(&machines[0], &h, frame, NET_LONGEST + 1);
    CHECK_U64(sent(0)->frames, 1);
    CHECK_U64(sent(0)->drops[NET_DROP_LONG], 1);
}

/* By the devices' timer, without another word of its driver. */
TEST(a_sender_goes_on_when_it_is_due) {
    begin(2, 0);
    struct machine *m = &machines[0];
    uint16_t first = send_a_ring_full(m);
    uint64_t due = m->net.transmit_due;
    CHECK(due > machine_time);
    CHECK_U64(virtio_ops.service(&m->net.v.dev, due - 1), due);
    CHECK_U64(driver_used(m, NET_TRANSMIT), first);
    (void)virtio_ops.service(&m->net.v.dev, due);
    CHECK(driver_used(m, NET_TRANSMIT) > first);
}

TEST_MAIN(T(a_sender_goes_on_when_it_is_due), T(registers), T(frames_go_both_ways),
          T(frames_of_many_pieces), T(pages_of_an_image), T(pieces_of_the_wrong_kind),
          T(strangers_are_learned), T(a_new_driver_waits_for_nothing),
          T(a_sender_to_all_takes_turns), T(each_goes_to_whom_it_is_for),
          T(nobody_sends_with_anothers_address), T(a_bridge_is_learned), T(an_address_moves),
          T(frames_that_are_none), T(where_a_checksum_may_end), T(limits_of_a_frame),
          T(a_compartment_that_sends_garbage), T(what_a_driver_wants_to_hear), T(commands_in_a_row),
          T(commands_that_fill_the_queue), T(commands_that_are_none), T(an_address_of_ones_own),
          T(the_link), T(one_side_starts_anew), T(no_driver_no_frames),
          T(a_receiver_that_does_not_read), T(buffers_that_are_too_small),
          T(who_is_no_peer_is_not_looked_at), T(a_flood_comes_in_turns), T(a_sender_takes_turns),
          T(each_channel_has_its_turn), T(short_frames_in_shorter_buffers), T(the_longest_frame),
          T(a_new_driver_knows_nobody), T(nothing_is_written_to_what_is_sent),
          T(a_turn_is_just_so_long))
