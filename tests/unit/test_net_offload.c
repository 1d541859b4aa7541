/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames whose checksum and segmentation the sender has left to the network: whole for a receiver
 * that takes them so, finished for one that does not. What comes out is judged by sums of this
 * file's own.
 */
#include "tests/unit/fake_net.h"

static uint8_t frame[NET_LONGEST + 16], got[NET_LONGEST + 16], stream[NET_LONGEST + 16];
static struct net_header header;

/* What a driver has agreed on that takes all, and one that takes nothing. */
#define TAKES_ALL (NET_F_MERGED | NET_OFFLOADS | NET_F_CONTROL | NET_F_GUEST_OFFLOADS)

static void begin(uint64_t features) {
    net_begin_wire(2, 0);
    for (unsigned i = 0; i < 2; i++) {
        net_power_on(&machines[i]);
        driver_start(&machines[i], features);
        net_fill_ring(&machines[i], 2048, RING);
        driver_doorbell(&machines[i], NET_RECEIVE);
    }
}

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at) {
    return (uint32_t)at[0] << 8 | at[1];
}

/* Byte by byte, as RFC 1071 has it. */
static uint32_t plain_sum(const uint8_t *at, uint32_t size, uint32_t sum) {
    for (uint32_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

struct shape {
    bool ip6, tagged;
    uint32_t ip_options, tcp_options, payload;
    uint16_t segment;
    uint8_t flags;
};

static uint32_t ip_at(const struct shape *s) {
    return s->tagged ? 18 : 14;
}

static uint32_t tcp_at(const struct shape *s) {
    return ip_at(s) + (s->ip6 ? 40 : 20 + s->ip_options);
}

static uint32_t data_at(const struct shape *s) {
    return tcp_at(s) + 20 + s->tcp_options;
}

static uint32_t pseudo(const struct shape *s, const uint8_t *f, uint32_t tcp_size) {
    uint32_t sum = s->ip6 ? plain_sum(f + ip_at(s) + 8, 32, 0) : plain_sum(f + ip_at(s) + 12, 8, 0);
    uint8_t rest[8] = {0, 0, (uint8_t)(tcp_size >> 8), (uint8_t)tcp_size, 0, 0, 0, 6};
    return plain_sum(rest, 8, sum);
}

/* As Linux gives it to a device with TSO: the pseudo header's sum is in the checksum's place. */
static uint32_t make_tcp(const struct shape *s) {
    uint32_t size = data_at(s) + s->payload;
    uint8_t *ip = frame + ip_at(s), *tcp = frame + tcp_at(s);

    for (uint32_t i = 0; i < size; i++) {
        frame[i] = (uint8_t)(i * 13 + (i >> 7));
    }
    net_address(1, frame);
    net_address(0, frame + 6);
    if (s->tagged) {
        put16(frame + 12, 0x8100);
    }
    put16(ip - 2, s->ip6 ? 0x86dd : 0x0800);
    if (s->ip6) {
        ip[0] = 0x60;
        put16(ip + 4, size - tcp_at(s));
        ip[6] = 6;
    } else {
        ip[0] = (uint8_t)(0x40 | (20 + s->ip_options) / 4);
        put16(ip + 2, size - ip_at(s));
        put16(ip + 4, 0xfffe); /* its number goes round */
        put16(ip + 6, 0x4000);
        ip[9] = 6;
        put16(ip + 10, 0);
        put16(ip + 10, plain_sum(ip, 20 + s->ip_options, 0) ^ 0xffff);
    }
    put16(tcp + 4, 0xffff);
    put16(tcp + 6, 0xff00); /* goes round, too */
    tcp[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
    tcp[13] = s->flags;
    put16(tcp + 16, pseudo(s, frame, size - tcp_at(s)));
    header = (struct net_header){.flags = 1,
                                 .segmentation = s->segment == 0 ? 0
                                                 : s->ip6        ? 4
                                                                 : 1,
                                 .header_size = (uint16_t)data_at(s),
                                 .segment_size = s->segment,
                                 .checksum_start = (uint16_t)tcp_at(s),
                                 .checksum_offset = 16};
    return size;
}

static void post(uint32_t size) {
    net_post(&machines[0], &header, frame, size);
    net_run();
}

static const struct abi_net_count *received(void) {
    return &machines[1].counts.received;
}

/* A frame with all sums right, and lengths that fit. */
static void check_tcp(const struct shape *s, uint32_t size) {
    const uint8_t *ip = got + ip_at(s);
    uint32_t tcp_size = size - tcp_at(s);

    CHECK(size > tcp_at(s) && size - ip_at(s) <= 1500);
    CHECK(memcmp(got, frame, ip_at(s)) == 0);
    CHECK_U64(plain_sum(got + tcp_at(s), tcp_size, pseudo(s, got, tcp_size)), 0xffff);
    if (s->ip6) {
        CHECK_U64(get16(ip + 4), tcp_size);
    } else {
        CHECK_U64(get16(ip + 2), size - ip_at(s));
        CHECK_U64(plain_sum(ip, 20 + s->ip_options, 0), 0xffff);
    }
    CHECK_U64(header.flags + header.segmentation + header.segment_size, 0);
}

/* Segments as TCP would have cut them: put together they are the frame. */
static void check_segments(const struct shape *s) {
    uint32_t done = 0, size;
    unsigned number = 0;
    struct net_header sent = header;

    for (; (size = net_pull(&machines[1], &header, got)) != 0; number++) {
        const uint8_t *tcp = got + tcp_at(s);
        uint32_t part = size - data_at(s);
        bool last = done + part == s->payload;
        unsigned flags = s->flags & ~((last ? 0u : 9u) | (done == 0 ? 0u : 0x80u));
        check_tcp(s, size);
        CHECK_U64(part, min_u64(s->segment, s->payload - done));
        CHECK_U64(get16(tcp + 4) << 16 | get16(tcp + 6), 0xffffff00 + done);
        CHECK_U64(tcp[13], flags);
        CHECK(memcmp(tcp + 18, frame + tcp_at(s) + 18, data_at(s) - tcp_at(s) - 18) == 0);
        if (!s->ip6) {
            CHECK_U64(get16(got + ip_at(s) + 4), (0xfffe + number) & 0xffff);
        }
        memcpy(stream + done, got + data_at(s), part);
        done += part;
    }
    CHECK_U64(done, s->payload);
    CHECK(memcmp(stream, frame + data_at(s), s->payload) == 0);
    header = sent;
}

static const struct shape shapes[] = {
    {.payload = 60000, .segment = 1448, .tcp_options = 12, .flags = 0x18},
    {.payload = 1449, .segment = 1448, .tcp_options = 12, .flags = 0x99},
    {.payload = 65000, .segment = 1460, .tagged = true, .flags = 0x10},
    {.payload = 30001, .segment = 1000, .ip_options = 40, .tcp_options = 40, .flags = 0x19},
    {.payload = 60000, .segment = 1428, .tcp_options = 12, .ip6 = true, .flags = 0x98},
    {.payload = 5, .segment = 1440, .ip6 = true, .tagged = true, .flags = 0x18},
    {.payload = 2001, .segment = 29, .flags = 0x18},
};

TEST(large_frames_pass_whole) {
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        begin(TAKES_ALL);
        uint32_t size = make_tcp(&shapes[i]);
        struct net_header sent = header;
        post(size);
        CHECK_U64(net_pull(&machines[1], &header, got), size);
        CHECK(memcmp(got, frame, size) == 0);
        CHECK_U64(header.buffers, (size + NET_HEADER + 2047) / 2048);
        header.buffers = 0;
        CHECK(memcmp(&header, &sent, sizeof(sent)) == 0);
        CHECK_U64(received()->frames, 1);
    }
}

TEST(large_frames_are_cut) {
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        begin(NET_F_MERGED | NET_F_GUEST_CSUM);
        post(make_tcp(&shapes[i]));
        check_segments(&shapes[i]);
        begin(0);
        post(make_tcp(&shapes[i]));
        check_segments(&shapes[i]);
    }
}

/* Odd pieces at the end of the ring. */
TEST(segments_go_round) {
    const struct shape s = {.payload = 30001, .segment = 1001, .flags = 0x18};
    begin(NET_F_MERGED);
    for (unsigned i = 0; i < 60; i++) {
        post(make_tcp(&s));
        check_segments(&s);
    }
}

/* Of the header's other bits none comes through, and the hint stays within the frame. */
TEST(a_header_is_cleaned) {
    begin(TAKES_ALL);
    uint32_t size = make_tcp(&shapes[0]);
    header.flags = 0xff;
    header.header_size = 0xffff;
    header.buffers = 77;
    post(size);
    CHECK_U64(net_pull(&machines[1], &header, got), size);
    CHECK_U64(header.flags, 1);
    CHECK_U64(header.header_size, size);
    CHECK_U64(header.buffers, 30);
}

/* By kind: what a driver takes of one kind says nothing about another. */
TEST(each_kind_by_itself) {
    static const struct {
        uint64_t features;
        unsigned shape;
        uint8_t extra;
        bool whole;
    } kinds[] = {
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO4, 0, 0, true},
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO4, 4, 0, false},
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO6, 0, 0, false},
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO6, 4, 0, true},
        {NET_F_GUEST_TSO4, 0, 0, false},
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO4, 0, NET_SEGMENT_ECN, false},
        {NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_ECN, 0, NET_SEGMENT_ECN, true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        begin(kinds[i].features | NET_F_MERGED);
        uint32_t size = make_tcp(&shapes[kinds[i].shape]);
        header.segmentation |= kinds[i].extra;
        post(size);
        if (kinds[i].whole) {
            CHECK_U64(net_pull(&machines[1], &header, got), size);
            CHECK_U64(header.segmentation & NET_SEGMENT_ECN, kinds[i].extra);
        } else {
            check_segments(&shapes[kinds[i].shape]);
        }
    }
}

TEST(a_checksum_is_passed_on_or_made) {
    for (uint32_t payload = 0; payload < 1400; payload += 277) {
        const struct shape s = {.payload = payload, .tcp_options = 12, .flags = 0x18};
        begin(TAKES_ALL);
        uint32_t size = make_tcp(&s);
        post(size);
        CHECK_U64(net_pull(&machines[1], &header, got), size);
        CHECK(memcmp(got, frame, size) == 0 && header.flags == 1 && header.checksum_start == 34);
        begin(NET_F_MERGED);
        size = make_tcp(&s);
        post(size);
        CHECK_U64(net_pull(&machines[1], &header, got), size);
        check_tcp(&s, size);
    }
}

/* Anywhere in the heads, odd or even, for whatever protocol. */
TEST(checksums_of_any_place) {
    for (uint32_t start = NET_ETHERNET; start < 263; start += 7) {
        for (uint32_t offset = 0; offset < 8; offset++) {
            begin(NET_F_MERGED);
            const struct shape s = {.payload = 600 + start, .flags = 0x18};
            uint32_t size = make_tcp(&s);
            header.checksum_start = (uint16_t)start;
            header.checksum_offset = (uint16_t)offset;
            put16(frame + start + offset, 0);
            uint32_t want = plain_sum(frame + start, size - start, 0) ^ 0xffff;
            if (offset % 2 != 0) {
                want = (want & 0xff) << 8 | want >> 8;
            }
            post(size);
            uint32_t seen = net_pull(&machines[1], &header, got);
            if (start + offset + 2 > NET_HEADS) {
                CHECK_U64(seen, 0);
                CHECK_U64(received()->drops[NET_DROP_MALFORMED], 1);
                continue;
            }
            CHECK_U64(seen, size);
            if (offset % 2 == 0) {
                CHECK_U64(get16(got + start + offset), want);
            }
            put16(got + start + offset, get16(frame + start + offset));
            CHECK(memcmp(got, frame, size) == 0);
        }
    }
}

/* UDP's 0 means that there is none. */
TEST(a_checksum_of_0_is_ffff) {
    begin(NET_F_MERGED);
    memset(frame, 0, 100);
    net_address(1, frame);
    net_address(0, frame + 6);
    put16(frame + 40, 0xffff);
    header = (struct net_header){.flags = 1, .checksum_start = 34, .checksum_offset = 6};
    post(100);
    CHECK_U64(net_pull(&machines[1], &header, got), 100);
    CHECK_U64(get16(got + 40), 0xffff);
}

/* Heads that are not what the header says: dropped, and only by who would have to cut them. */
TEST(heads_that_lie) {
    static const struct {
        uint32_t at;
        uint8_t byte;
    } lies[] = {
        {12, 0x07},       {14, 0x55},        {14, 0x44},        {14, 0x46},
        {14, 0x4f},       {14 + 6, 0x20},    {14 + 7, 1},       {14 + 9, 17},
        {46, 0x40},       {46, 0xf0},        {0x1000 + 0, 35},  {0x1000 + 0, 30},
        {0x1000 + 1, 15}, {0x1000 + 2, 250}, {0x1000 + 3, 100}, {0x1000 + 4, 100},
    };
    const struct shape s = {.payload = 39, .segment = 30, .flags = 0x18};
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin(NET_F_MERGED | NET_F_GUEST_CSUM);
        uint32_t size = make_tcp(&s);
        switch (lies[i].at) {
        case 0x1000:
            header.checksum_start = lies[i].byte;
            break;
        case 0x1001:
            header.checksum_offset = lies[i].byte;
            break;
        case 0x1002:
            header.checksum_start = lies[i].byte;
            size = 300;
            break;
        case 0x1003: /* nothing behind the heads */
            size = data_at(&s);
            break;
        case 0x1004:
            header.segmentation = NET_SEGMENT_TCP6;
            break;
        default:
            frame[lies[i].at] = lies[i].byte;
        }
        post(size);
        if (received()->drops[NET_DROP_MALFORMED] != 1 || net_pull(&machines[1], &header, got)) {
            printf("#   lie %u\n", i);
            CHECK(false);
        }
    }
    static const struct {
        uint32_t at;
        uint8_t byte;
        uint16_t start;
    } lies6[] = {{12, 0x08, 54}, {14, 0x40, 54}, {20, 17, 54}, {0, 0, 58}, {0, 0, 50}};
    const struct shape s6 = {.payload = 39, .segment = 30, .ip6 = true};
    for (unsigned i = 0; i < ARRAY_SIZE(lies6); i++) {
        begin(NET_F_MERGED);
        uint32_t size = make_tcp(&s6);
        if (lies6[i].at != 0) {
            frame[lies6[i].at] = lies6[i].byte;
        }
        header.checksum_start = lies6[i].start;
        frame[lies6[i].start + 12] = 0x50;
        post(size);
        CHECK_U64(received()->drops[NET_DROP_MALFORMED], 1);
    }
    begin(NET_F_MERGED); /* an IP header of 16 bytes, which fit together */
    uint32_t short_size = make_tcp(&s);
    frame[14] = 0x44;
    header.checksum_start = 30;
    frame[30 + 12] = 0x50;
    post(short_size);
    CHECK_U64(received()->drops[NET_DROP_MALFORMED], 1);
    const struct shape wide = {.payload = 5000, .segment = 1470, .flags = 0x18};
    begin(NET_F_MERGED);
    post(make_tcp(&wide)); /* segments beyond the MTU */
    CHECK_U64(received()->drops[NET_DROP_MALFORMED], 1);
    const struct shape most = {.payload = 500, .segment = 100, .ip_options = 40, .tcp_options = 40};
    begin(NET_F_MERGED);
    uint32_t size = make_tcp(&most);
    frame[14 + 6] = 0;
    post(size);
    CHECK_U64(received()->frames, 5);
}

/* No buffers in the middle of it: it goes on where it was, with sums that are right. */
TEST(segments_wait_for_buffers) {
    begin(0);
    struct machine *m = &machines[1];
    driver_start(m, 0);
    m->buffer = 2048;
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), 2048, WRITE, 0);
    }
    post(make_tcp(&shapes[0]));
    CHECK_U64(received()->frames, 0);
    for (unsigned i = 0; i < 42; i++) {
        driver_offer(m, NET_RECEIVE, i);
        driver_doorbell(m, NET_RECEIVE);
        CHECK_U64(received()->frames, i + 1);
    }
    check_segments(&shapes[0]);
}

/* The driver takes no large frames any more, in the middle of one, and starts anew in the middle of
 * another. */
TEST(offloads_change_on_the_way) {
    static const uint8_t none[10] = {5, 0};
    begin(TAKES_ALL);
    struct machine *m = &machines[1];
    driver_start(m, TAKES_ALL);
    m->buffer = 2048;
    driver_describe(m, NET_RECEIVE, 0, BUFFER(0), 2048, WRITE, 0);
    driver_offer(m, NET_RECEIVE, 0);
    post(make_tcp(&shapes[0]));
    CHECK(m->net.incoming.peer != NULL);
    memcpy(m->ram + OUTGOING, none, sizeof(none));
    driver_describe(m, NET_CONTROL, 0, OUTGOING, 10, NEXT, 1);
    driver_describe(m, NET_CONTROL, 1, OUTGOING + 16, 1, WRITE, 0);
    driver_offer(m, NET_CONTROL, 0);
    driver_doorbell(m, NET_CONTROL);
    CHECK_U64(m->net.offloads, 0);
    for (unsigned i = 1; i < RING; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), 2048, WRITE, 0);
        driver_offer(m, NET_RECEIVE, i);
    }
    driver_doorbell(m, NET_RECEIVE);
    CHECK_U64(net_pull(m, &header, got), data_at(&shapes[0]) + shapes[0].payload);
    post(make_tcp(&shapes[0]));
    check_segments(&shapes[0]);
    driver_start(m, NET_F_MERGED);
    driver_describe(m, NET_RECEIVE, 0, BUFFER(0), 2048, WRITE, 0);
    driver_offer(m, NET_RECEIVE, 0);
    post(make_tcp(&shapes[0]));
    CHECK_U64(m->net.incoming.done, 1448);
    driver_start(m, NET_F_MERGED);
    net_fill_ring(m, 2048, RING);
    driver_doorbell(m, NET_RECEIVE);
    CHECK_U64(net_pull(m, &header, got), 0);
    post(make_tcp(&shapes[4]));
    check_segments(&shapes[4]);
}

TEST_MAIN(T(large_frames_pass_whole), T(large_frames_are_cut), T(a_header_is_cleaned),
          T(segments_go_round), T(each_kind_by_itself), T(a_checksum_is_passed_on_or_made),
          T(checksums_of_any_place), T(a_checksum_of_0_is_ffff), T(heads_that_lie),
          T(segments_wait_for_buffers), T(offloads_change_on_the_way))
