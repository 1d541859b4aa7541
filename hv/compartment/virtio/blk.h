/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk: an image that other guests may share, which is never written, and the copies of the pages
 * that this guest has written. It does not outlive the guest's run. Source: VIRTIO 1.2 "Block
 * Device".
 */
#pragma once

#include "hv/abi/device.h"
#include "hv/compartment/virtio/virtio.h"

/* What the driver reads of the device's own registers, as the standard has it. */
struct virtio_blk_config {
    uint64_t capacity; /* in sectors of 512 bytes, as all that follows in sectors */
    uint32_t size_max, seg_max;
    uint8_t geometry[4];
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size; /* in blocks */
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
};
_Static_assert(sizeof(struct virtio_blk_config) == 64, "60 bytes by the standard, and a rest");

#define BLK_SECTOR 512u

enum blk_feature {
    BLK_F_SEG_MAX = BIT32(2),
    BLK_F_RO = BIT32(5),
    BLK_F_BLK_SIZE = BIT32(6),
    BLK_F_FLUSH = BIT32(9),
    BLK_F_TOPOLOGY = BIT32(10),
    BLK_F_CONFIG_WCE = BIT32(11),
    BLK_F_DISCARD = BIT32(13),
    BLK_F_WRITE_ZEROES = BIT32(14),
};

enum blk_type {
    BLK_IN = 0,
    BLK_OUT = 1,
    BLK_FLUSH = 4,
    BLK_GET_ID = 8,
    BLK_DISCARD = 11,
    BLK_WRITE_ZEROES = 13,
};

struct blk_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* The data of a request that discards, or writes zeroes: one of these. */
struct blk_range {
    uint64_t sector;
    uint32_t sectors, flags;
};
#define BLK_RANGE_UNMAP 1u /* with zeroes: the pages may go */

enum blk_status { BLK_OK, BLK_IOERR, BLK_UNSUPP };

struct virtio_blk;

/* What the driver wants, as far as it is done. */
struct blk_request {
    struct virtio_chain chain;
    uint32_t type;
    unsigned segment; /* where its data goes on */
    uint32_t offset;
    uint64_t at, left;                             /* bytes of the disk */
    enum blk_status (*step)(struct virtio_blk *b); /* does some of them */
    uint32_t written;                              /* bytes of data for the driver */
    uint8_t *status;
};

struct virtio_blk {
    struct virtio v;
    const struct abi_disk *disk;
    struct abi_disk_counts *counts;
    struct virtio_blk_config config;
    uint32_t untouched; /* the copies from here on were never in use */
    uint32_t
        first_free; /* one that is free again: its index plus 1; in it the next one's. 0: none */
    bool busy;      /* with request */
    struct blk_request request;
    uint64_t budget; /* bytes that may still be moved before others have their turn */
    uint64_t due;    /* when it goes on with what is left, on the VM's clock; 0: nothing is */
};

/* Puts a disk into a slot of the bus, before its first reset. What disk names lives as long. What
 * is done is added to counts. */
void virtio_blk_make(struct virtio_blk *b, const struct abi_disk *disk,
                     struct abi_disk_counts *counts, struct pci_host *host, struct bus *buses,
                     unsigned slot);
