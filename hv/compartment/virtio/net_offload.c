/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a sender has left to the network: checksums, and the cutting of a large TCP segment
 * into small ones, for a driver that cannot take them. See net.h. The heads are the sender's and
 * hostile; they are a copy, and nothing in them is believed that length and bounds do not show.
 * Source: RFC 1071 "Computing the Internet Checksum"; RFC 791, RFC 8200, RFC 9293 "Header Format".
 */
#include "hv/compartment/virtio/net.h"

#include "hv/lib/str.h"

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, TYPE_TAG = 0x8100 };
enum {
    IP4_LENGTH = 2,
    IP4_ID = 4,
    IP4_FRAGMENT = 6,
    IP4_PROTOCOL = 9,
    IP4_SUM = 10,
    IP4_FROM = 12
};
enum { IP6_LENGTH = 4, IP6_NEXT = 6, IP6_FROM = 8 };
enum { IP4_LEAST = 20, IP6_SIZE = 40, IP4_ADDRESSES = 8, IP6_ADDRESSES = 32 };
enum { TCP_SEQUENCE = 4, TCP_OFFSET = 12, TCP_FLAGS = 13, TCP_SUM = 16, TCP_LEAST = 20 };
enum { TCP_FIN = 1, TCP_PUSH = 8, TCP_CONGESTION_REDUCED = 0x80 };
#define PROTOCOL_TCP      6u
#define IP4_IS_FRAGMENT   0x3fffu /* more of them, or an offset */
#define SUM_IN_PLACE_OF_0 0xffffu

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)net_get16(at) << 16 | net_get16(at + 2);
}

/* ---- sums ---- */

static uint32_t sum_fold(uint64_t sum) {
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

/* The one's complement sum of big-endian words; an odd byte at the end is a word's first half. */
static uint32_t sum_bytes(const uint8_t *at, uint32_t size) {
    uint64_t sum = 0, word;
    uint32_t rest = size % 8;

    for (const uint8_t *end = at + (size - rest); at < end; at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum += (word & UINT32_MAX) + (word >> 32);
    }
    for (uint32_t i = 0; i < rest; i++) {
        sum += (uint64_t)at[i] << (8 * (i % 4));
    }
    uint32_t folded = sum_fold(sum); /* of little-endian words */
    return (folded & 0xff) << 8 | folded >> 8;
}

/* Of bytes of the channel's record. */
static uint32_t sum_channel(const struct channel *c, uint32_t at, uint32_t size) {
    uint64_t sum = 0;
    bool odd = false;

    while (size != 0) {
        uint32_t piece = size;
        const uint8_t *from = channel_bytes(c, at, &piece);
        uint32_t part = sum_bytes(from, piece);
        sum += odd ? (part & 0xff) << 8 | part >> 8 : part;
        odd ^= (piece & 1) != 0;
        at += piece;
        size -= piece;
    }
    return sum_fold(sum);
}

/* ---- a checksum ---- */

/* What stands where it goes is the sum of what is not in the frame; 0 would mean that there is
 * none. */
bool net_finish_checksum(struct net_incoming *in) {
    uint32_t start = in->header.checksum_start;
    uint32_t place = start + in->header.checksum_offset;

    if (place + 2 > in->heads_size) {
        return false;
    }
    uint32_t heads = in->heads_size - start;
    uint32_t rest = sum_channel(&in->peer->channel, in->heads_size, in->length - in->heads_size);
    if (heads % 2 != 0) {
        rest = (rest & 0xff) << 8 | rest >> 8;
    }
    uint32_t sum = sum_fold((uint64_t)sum_bytes(in->heads + start, heads) + rest);
    uint32_t result = sum ^ 0xffff;
    put16(in->heads + place, result == 0 ? SUM_IN_PLACE_OF_0 : result);
    return true;
}

/* ---- segments ---- */

static bool heads_are_ip4(const struct net_incoming *in) {
    const uint8_t *ip = in->heads + in->ip;

    return in->tcp >= in->ip + IP4_LEAST && ip[0] >> 4 == 4 &&
           4u * (ip[0] & 0xf) == in->tcp - in->ip && ip[IP4_PROTOCOL] == PROTOCOL_TCP &&
           (net_get16(ip + IP4_FRAGMENT) & IP4_IS_FRAGMENT) == 0;
}

static bool heads_are_ip6(const struct net_incoming *in) {
    const uint8_t *ip = in->heads + in->ip;
    return in->tcp == in->ip + IP6_SIZE && ip[0] >> 4 == 6 && ip[IP6_NEXT] == PROTOCOL_TCP;
}

static bool net_is_tcp4(const struct net_incoming *in) {
    return (in->header.segmentation & ~NET_SEGMENT_ECN) == NET_SEGMENT_TCP4;
}

/* Where IP begins: after Ethernet's header, and after one tag. */
static uint32_t heads_find_ip(const struct net_incoming *in, uint32_t *type) {
    *type = net_get16(in->heads + NET_ETHERNET - 2);
    if (*type != TYPE_TAG || in->heads_size < NET_ETHERNET + NET_TAG) {
        return NET_ETHERNET;
    }
    *type = net_get16(in->heads + NET_ETHERNET + NET_TAG - 2);
    return NET_ETHERNET + NET_TAG;
}

/* Headers without options that matter here, all of them in heads, and something to send after. */
static bool heads_are_tcp(struct net_incoming *in) {
    uint32_t type = 0;

    in->ip = heads_find_ip(in, &type);
    in->tcp = in->header.checksum_start;
    if (in->header.checksum_offset != TCP_SUM || in->tcp + TCP_LEAST > in->heads_size) {
        return false;
    }
    bool sane = net_is_tcp4(in) ? type == TYPE_IP4 && heads_are_ip4(in)
                                : type == TYPE_IP6 && heads_are_ip6(in);
    uint32_t tcp_size = 4u * (in->heads[in->tcp + TCP_OFFSET] >> 4);
    return sane && tcp_size >= TCP_LEAST && in->tcp + tcp_size <= in->heads_size &&
           in->tcp + tcp_size < in->length;
}

bool net_prepare_segments(struct net_incoming *in, uint16_t mtu) {
    if (!heads_are_tcp(in)) {
        return false;
    }
    const uint8_t *tcp = in->heads + in->tcp;
    in->heads_size = in->tcp + 4u * (tcp[TCP_OFFSET] >> 4);
    in->sequence = get32(tcp + TCP_SEQUENCE);
    in->tcp_flags = tcp[TCP_FLAGS];
    in->id = net_get16(in->heads + in->ip + IP4_ID);
    return in->heads_size - in->ip + in->header.segment_size <= mtu;
}

/* Returns the sum of its addresses. */
static uint32_t heads_make_ip(struct net_incoming *in, uint32_t size) {
    uint8_t *ip = in->heads + in->ip;

    if (!net_is_tcp4(in)) {
        put16(ip + IP6_LENGTH, in->heads_size - in->tcp + size);
        return sum_bytes(ip + IP6_FROM, IP6_ADDRESSES);
    }
    put16(ip + IP4_LENGTH, in->heads_size - in->ip + size);
    put16(ip + IP4_ID, in->id + in->done / in->header.segment_size);
    put16(ip + IP4_SUM, 0);
    put16(ip + IP4_SUM, sum_bytes(ip, in->tcp - in->ip) ^ 0xffff);
    return sum_bytes(ip + IP4_FROM, IP4_ADDRESSES);
}

/* Of the last one FIN and PSH, of the first one CWR. */
static uint8_t segment_flags(const struct net_incoming *in, uint32_t size) {
    unsigned flags = in->tcp_flags;

    if (in->done != 0) {
        flags &= ~(unsigned)TCP_CONGESTION_REDUCED;
    }
    if (in->done + size != in->length - in->heads_size) {
        flags &= ~(unsigned)(TCP_FIN | TCP_PUSH);
    }
    return (uint8_t)flags;
}

void net_make_segment(struct net_incoming *in, uint32_t size) {
    uint8_t *tcp = in->heads + in->tcp;
    uint32_t tcp_size = in->heads_size - in->tcp;
    uint64_t sum = (uint64_t)heads_make_ip(in, size) + PROTOCOL_TCP + tcp_size + size;

    put32(tcp + TCP_SEQUENCE, in->sequence + in->done);
    tcp[TCP_FLAGS] = segment_flags(in, size);
    put16(tcp + TCP_SUM, 0);
    sum += sum_bytes(tcp, tcp_size);
    sum += sum_channel(&in->peer->channel, in->heads_size + in->done, size);
    put16(tcp + TCP_SUM, sum_fold(sum) ^ 0xffff);
}
