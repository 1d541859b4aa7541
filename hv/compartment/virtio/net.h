/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio network adapter, and its share of the wire: each member of a wire has a channel to each
 * other member, sends a frame to the one that it is for, and takes what others send. Frames pass
 * whole, with what their checksum and segmentation have left to do; the receiver's side does that
 * where its driver cannot.
 *
 * Both ends are hostile: the guest's queues, and the compartments of others. Whoever floods has its
 * frames dropped; whoever does not read loses its own. Source: VIRTIO 1.2 "Network Device".
 */
#pragma once

#include "hv/compartment/virtio/channel.h"
#include "hv/compartment/virtio/virtio.h"

enum net_queue { NET_RECEIVE, NET_TRANSMIT, NET_CONTROL, NET_QUEUES };

enum net_feature {
    NET_F_CSUM = BIT32(0),
    NET_F_GUEST_CSUM = BIT32(1),
    NET_F_GUEST_OFFLOADS = BIT32(2),
    NET_F_MTU = BIT32(3),
    NET_F_MAC = BIT32(5),
    NET_F_GUEST_TSO4 = BIT32(7),
    NET_F_GUEST_TSO6 = BIT32(8),
    NET_F_GUEST_ECN = BIT32(9),
    NET_F_TSO4 = BIT32(11),
    NET_F_TSO6 = BIT32(12),
    NET_F_ECN = BIT32(13),
    NET_F_MERGED = BIT32(15),
    NET_F_STATUS = BIT32(16),
    NET_F_CONTROL = BIT32(17),
    NET_F_CONTROL_RX = BIT32(18),
    NET_F_CONTROL_MAC = BIT32(23),
};

/*
 * UDP fragmentation is not among them, for no driver of today sends such frames; announcing is not,
 * for a guest's place on its wire never changes.
 */
#define NET_FEATURES                                                                               \
    (NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_OFFLOADS | NET_F_MTU | NET_F_MAC |                \
     NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_TSO4 | NET_F_TSO6 | NET_F_ECN | \
     NET_F_MERGED | NET_F_STATUS | NET_F_CONTROL | NET_F_CONTROL_RX | NET_F_CONTROL_MAC)
/* What a driver may switch off and on again. */
#define NET_OFFLOADS (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN)

/* The device's registers. */
struct net_config {
    uint8_t mac[6];
    uint16_t status, queue_pairs, mtu;
};
#define NET_STATUS_LINK 1u

/* ---- frames ---- */

/* Before each frame in a queue. In a channel's record it is about[], where buffers means nothing.
 */
struct net_header {
    uint8_t flags, segmentation; /* enum net_segmentation */
    uint16_t header_size;        /* no more than a hint */
    uint16_t segment_size;       /* bytes of payload */
    uint16_t checksum_start, checksum_offset;
    uint16_t buffers; /* that the driver finds the frame in */
};
_Static_assert(sizeof(struct net_header) == sizeof(((struct channel_record *)NULL)->about), "both");
#define NET_HEADER         (uint32_t)sizeof(struct net_header)
#define NET_NEEDS_CHECKSUM 1u /* flags: from checksum_start on, added to what stands there */

enum net_segmentation { NET_SEGMENT_NONE = 0, NET_SEGMENT_TCP4 = 1, NET_SEGMENT_TCP6 = 4 };
#define NET_SEGMENT_ECN 0x80u /* and CWR of the first segment alone */

#define NET_ETHERNET      14u
#define NET_TAG           4u
#define NET_LONGEST       (65536u + NET_ETHERNET + NET_TAG)
#define NET_LEAST_SEGMENT 28u  /* of payload: what the smallest IPv4 packet that all take leaves */
#define NET_HEADS         256u /* all headers of a frame that checksums are written into */

/* ---- the wire ---- */

#define NET_LEARNED 16u /* addresses behind a bridge, of each */

/* An address that was seen behind another member; mac 0 = none. */
struct net_learned {
    uint64_t mac, when;
};

/* The member at the other side of a channel. */
struct net_peer {
    struct channel channel;
    uint64_t mac; /* its own; 0 = not known */
    bool may_bridge;
    unsigned next; /* of learned, to be forgotten */
    struct net_learned learned[NET_LEARNED];
};

/* A frame under way from a channel into the guest's buffers, in one piece or in segments. */
struct net_incoming {
    struct net_peer *peer; /* NULL: none is */
    uint32_t length;       /* of its record */
    struct net_header header;
    bool is_finished; /* its checksum is, or is made for each segment: header is not the driver's */
    bool is_cut;      /* into segments */
    /* Its first bytes as the guest gets them; the others follow in the channel. */
    uint8_t heads[NET_HEADS];
    uint32_t heads_size;
    uint32_t done; /* bytes of payload that the guest has got */
    /* For segments: where IP's and TCP's headers begin, and what is counted on in them. */
    uint32_t ip, tcp, sequence;
    uint16_t id;
    uint8_t tcp_flags;
};

#define NET_FILTER 32u

/* What the driver wants to receive. */
struct net_filter {
    bool promiscuous, all_multicast;
    bool overflows; /* more addresses than are kept here */
    unsigned count;
    uint64_t macs[NET_FILTER];
};

struct virtio_net {
    struct virtio v;
    struct net_config config;
    uint64_t own; /* the address of config */
    uint64_t mac; /* the adapter's, as the config file has it */
    bool may_bridge, runs;
    struct net_peer *peers;
    unsigned peer_count, first_channel;
    unsigned next; /* the peer whose turn it is */
    uint32_t offloads;
    struct net_filter filter;
    struct net_incoming incoming;
    uint64_t receive_due, transmit_due; /* moments at which it goes on; 0 = it has nothing left */
    struct abi_net_counts *counts;
};

/*
 * Puts an adapter into a slot of the bus, before its first reset. channels and peers: all of the
 * guest; net says which are this one's. The memory of its channels' halves is mapped. What passes
 * is added to counts.
 */
void virtio_net_make(struct virtio_net *n, const struct abi_net *net,
                     const struct abi_channel *channels, struct net_peer *peers,
                     struct abi_net_counts *counts, struct pci_host *host, struct bus *buses,
                     unsigned slot);

/* The doorbell of one of its channels, or of any. */
void virtio_net_poll(struct virtio_net *n);

/* The operator plugs the cable in, or pulls it out. */
void virtio_net_set_link(struct virtio_net *n, bool up);

/* ---- what its files share ---- */

static inline uint16_t net_get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* Of 6 bytes; equal ones have equal numbers. */
static inline uint64_t net_mac(const uint8_t *at) {
    return net_get16(at) | (uint64_t)net_get16(at + 2) << 16 | (uint64_t)net_get16(at + 4) << 32;
}

/* Multicast or broadcast. The bit of the first byte. */
#define NET_GROUP     BIT(8)
#define NET_BROADCAST (BIT(48) - 1)

static inline bool net_has(const struct virtio_net *n, uint32_t feature) {
    return (n->v.driver_features & feature) != 0;
}

/* How much one turn moves; what a frame costs beside its bytes; the least pause between turns. */
#define NET_TURN          (256 * KIB)
#define NET_FRAME_COST    512u
#define NET_PAUSES_SECOND 50000u

/* Has it a link, and a driver that is ready? Starts its channels when that is so. */
bool net_is_ready(struct virtio_net *n);

/* One turn each. They set receive_due, transmit_due if there is more. */
void net_receive(struct virtio_net *n);
void net_transmit(struct virtio_net *n);

/* What is in the control queue. */
void net_control(struct virtio_net *n);
/* As a new driver finds it. */
void net_control_restart(struct virtio_net *n);
bool net_filter_wants(const struct virtio_net *n, uint64_t to);

/* May this frame pass? heads: its first size bytes. NET_DROPS = it may. */
enum net_drop net_judge(const struct net_header *h, uint32_t length, const uint8_t *heads,
                        uint16_t mtu);

/* The peer that a frame to this address goes to; NULL: to all that net_may_have() it. */
struct net_peer *net_find(const struct virtio_net *n, uint64_t to);
bool net_may_have(const struct net_peer *p, uint64_t to);
/* The peer sends with this address: may it? It is found there from now on. */
bool net_learn(const struct virtio_net *n, struct net_peer *p, uint64_t from);

/*
 * For frames that the driver cannot take as they are. in has its heads as they came. False: they
 * make no sense. After net_finish_checksum() it is complete, and after net_prepare_segments()
 * net_make_segment() rewrites the heads for the next so many bytes of payload.
 */
bool net_finish_checksum(struct net_incoming *in);
bool net_prepare_segments(struct net_incoming *in, uint16_t mtu);
void net_make_segment(struct net_incoming *in, uint32_t size);
