/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the config gives a guest beside the devices that every PC has: pages of each VM's
 * compartment, which the core fills at UPCALL_START. Addresses are those in the compartment.
 * Nothing of it comes from a guest.
 */
#pragma once

#include "hv/lib/types.h"

#define ABI_DISKS       8u
#define ABI_DISK_SERIAL 20u /* bytes; what is shorter ends with 0 */
#define ABI_NETS        8u
#define ABI_PMEMS       4u
#define ABI_CHANNELS    64u
#define ABI_VSOCK_PEERS 31u /* other guests, and disks that this one serves them */
#define ABI_EXPORT      64u /* bytes of an export's name, with a 0 at the end */
#define ABI_PORTS       6u
#define ABI_PORT_NAME   32u /* bytes, with a 0 at the end */
#define ABI_PCIS        8u
#define ABI_PCI_BARS    6u
#define ABI_PCI_HELD    2u

/* What map says of a page; all else is an index of copies plus 1. A page that is discarded leaves
 * its copy to others, and must not come back as the image has it. */
#define ABI_DISK_AS_IMAGE 0u
#define ABI_DISK_ZEROS    UINT32_MAX

/* A disk: an image that it shares with others, or nothing, which reads as zeros; and, if the guest
 * may write, room for the pages that it has written. */
struct abi_disk {
    uint64_t size;  /* bytes; a multiple of 512 */
    uint64_t image; /* read-only, up to the end of its last page; 0 = there is none */
    /*
     * map: for each page (4 KiB) of the disk 4 bytes, see above; all zero at a start.
     * copies: copy_count pages. Both are written here alone. No copies = a disk that is read-only.
     */
    uint64_t map, copies;
    uint32_t copy_count, zero;
    char serial[ABI_DISK_SERIAL + 4];
};

/* Of a disk that another guest serves, by NBD over vsock; its size is the server's to tell. */
struct abi_served {
    uint32_t cid, server; /* CIDs: its own, by which the server knows it; 0 = the disk is no such */
    uint32_t channel;     /* of abi_devices.channels, to the server alone */
    bool read_only;
    uint8_t zero[3];
    char export[ABI_EXPORT];
};

/* A network adapter on a wire. It has a channel to each other member of the wire. */
struct abi_net {
    uint8_t mac[6];
    uint16_t mtu;
    bool may_bridge; /* it may send with other source addresses than its own */
    bool link;       /* up at the start */
    uint8_t zero[2];
    uint32_t first_channel, channel_count; /* of abi_devices.channels */
};

/* An image in the guest's memory, read-only; in the compartment at the same guest-physical address.
 */
struct abi_pmem {
    uint64_t gpa, size; /* multiples of 2 MiB */
};

/* Where the two halves (hv/abi/channel.h) lie: the one that is written here, and the other; and on
 * a wire, who is on the other side: its adapter's address, and whether it sends with others as
 * well.
 */
struct abi_channel {
    uint64_t ours, theirs;
    uint8_t mac[6]; /* all 0: not known; nothing is held against what it sends */
    bool may_bridge;
    uint8_t zero;
};

/* Another guest: who may open a connection to whom. Both see what goes through one that is open. */
struct abi_vsock_peer {
    uint32_t cid;
    bool may_connect; /* this guest to that one */
    bool may_accept;  /* this guest from that one */
    uint8_t zero[2];
};

/* A socket device, with a channel to each peer, in their order; none, if it has no peers. */
struct abi_vsock {
    uint64_t cid; /* the guest's own address */
    uint32_t first_channel, peer_count;
    struct abi_vsock_peer peers[ABI_VSOCK_PEERS];
};

/* A port of the console that is joined to one of another guest's. */
struct abi_port {
    char name[ABI_PORT_NAME];
    uint32_t channel; /* of abi_devices.channels */
};

/* What of a real device the guest may move: a base address register in memory. size 0: there is
 * none; else a power of two, a page or more. */
struct abi_pci_bar {
    uint64_t size;
    bool wide, prefetchable; /* the register's bits say so; a wide one takes the next one as well */
    uint8_t zero[6];
};

/* Pages of a BAR that the guest reaches through its compartment alone: there are MSI-X's table and
 * pending bits. */
struct abi_pci_held {
    uint64_t at;           /* in the compartment, not cached */
    uint32_t offset, size; /* in the BAR; multiples of 4 KiB */
    uint32_t bar, zero;
};

/* A PCI function of the machine that is the guest's. Offsets are of capabilities in its
 * configuration space, 0 = it has none. */
struct abi_pci {
    struct abi_pci_bar bars[ABI_PCI_BARS];
    struct abi_pci_held held[ABI_PCI_HELD]; /* size 0: there is none */
    uint32_t table, pending;                /* offsets in their BARs */
    uint16_t vectors;                       /* of MSI-X */
    uint8_t table_bar, pending_bar;
    uint8_t power, express, msi, msix, af;
    bool has_pin; /* it could interrupt by INTx */
    uint8_t zero[2];
};

struct abi_devices {
    uint32_t disk_count, net_count, channel_count, pmem_count;
    struct abi_disk disks[ABI_DISKS];
    struct abi_served served[ABI_DISKS]; /* the same disks, in the same order */
    struct abi_net nets[ABI_NETS];
    struct abi_channel channels[ABI_CHANNELS];
    struct abi_pmem pmems[ABI_PMEMS];
    struct abi_vsock vsock;
    uint32_t port_count;
    struct abi_port ports[ABI_PORTS];
    bool types_to_hvc0; /* what is typed goes to the virtio console, and not to the UART */
    bool has_control;   /* the console has a port for requests of the operator's kind */
    uint8_t zero[2];
    uint32_t pci_count;
    uint32_t watchdog; /* so many seconds it waits at most; 0 = there is none */
    struct abi_pci pcis[ABI_PCIS];
    uint64_t pci_high, pci_high_size; /* guest-physical: where large wide BARs are; 0: nowhere */
};
_Static_assert(sizeof(struct abi_devices) <= 0x2000, "COMPARTMENT_DEVICES_SIZE");

/* ---- what its devices have done, for the operator to read ---- */

/* Why a frame did not pass. */
enum net_drop {
    NET_DROP_NO_LINK,   /* the operator has taken it away */
    NET_DROP_SOURCE,    /* an address that is not the sender's */
    NET_DROP_MALFORMED, /* no frame, or an offload that makes no sense */
    NET_DROP_LONG,      /* more than the wire's MTU */
    NET_DROP_NOBODY,    /* nobody is there to receive it */
    NET_DROP_FULL,      /* the receiver has not read what was sent before */
    NET_DROP_FILTERED,  /* the driver does not want it */
    NET_DROP_SMALL,     /* all buffers together are too small */
    NET_DROPS
};

struct abi_net_count {
    uint64_t frames, bytes;
    uint64_t drops[NET_DROPS];
};

/* As the adapter's own guest sees the directions. */
struct abi_net_counts {
    struct abi_net_count sent, received;
};

struct abi_disk_counts {
    uint64_t reads, writes, others, failures; /* requests; others: flushes and the like */
    uint64_t read_bytes, written_bytes;
    uint64_t pages; /* copies that are in use */
    /* Of one that is served: connections so far, those that ended because the server broke the
     * protocol, and requests that were sent again. */
    uint64_t connections, lies, resent;
};

/* Why a packet of a socket did not pass. */
enum vsock_drop {
    VSOCK_DROP_MALFORMED, /* no packet, or its lengths differ */
    VSOCK_DROP_SOURCE,    /* another one's address */
    VSOCK_DROP_REFUSED,   /* no such peer or connection, or it may not be: answered by a reset */
    VSOCK_DROP_LATE,      /* of a connection that has been reset just now */
    VSOCK_DROP_SMALL,     /* buffers without room for it */
    VSOCK_DROPS
};

struct abi_vsock_count {
    uint64_t packets, bytes; /* of data */
    uint64_t drops[VSOCK_DROPS];
};

/* As the device's own guest sees the directions. */
struct abi_vsock_counts {
    struct abi_vsock_count sent, received;
};

/* Since the guest's start. */
struct abi_counts {
    struct abi_net_counts nets[ABI_NETS];
    struct abi_disk_counts disks[ABI_DISKS];
    struct abi_vsock_counts vsock;
};
