/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a disk's driver asks for: reads, writes, and what makes pages free again. See blk.h.
 * Requests are done one after the other, on the CPU that rang. There is one queue, for there is one
 * lock: several would meet at it. What is long is done in pieces, so that no doorbell takes long:
 * service() goes on with the rest. Source: VIRTIO 1.2 "Block Device".
 */
#include "hv/compartment/virtio/blk.h"

#include "hv/lib/str.h"

#define PAGE_SECTORS (PAGE_SIZE / BLK_SECTOR)

/* A turn: so many bytes are moved at once, and what is not a byte costs as much as some. */
#define TURN         MIB
#define REQUEST_COST 1024u
#define SEGMENT_COST 128u
#define PIECE_COST   256u
/* Between two turns the guest's CPU has so long for the guest. */
#define PAUSE_HZ     TIMER_MIN_PERIOD_HZ

#define F_ALL_DISKS     (BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY)
#define F_WRITABLE_DISK (BLK_F_DISCARD | BLK_F_WRITE_ZEROES)

static struct virtio_blk *blk_of(struct virtio *v) {
    return CONTAINER_OF(v, struct virtio_blk, v);
}

static bool blk_is_read_only(const struct virtio_blk *b) {
    return b->disk->copy_count == 0;
}

static void blk_pay(struct virtio_blk *b, uint64_t cost) {
    b->budget -= min_u64(b->budget, cost);
}

/* ---- pages ---- */

static uint32_t *blk_map(const struct virtio_blk *b, uint64_t page) {
    return (uint32_t *)(uintptr_t)b->disk->map + page;
}

static bool entry_is_copy(uint32_t entry) {
    return entry != ABI_DISK_AS_IMAGE && entry != ABI_DISK_ZEROS;
}

static uint8_t *blk_copy(const struct virtio_blk *b, uint32_t index) {
    return (uint8_t *)(uintptr_t)b->disk->copies + (uint64_t)index * PAGE_SIZE;
}

/* The bytes of a page; NULL if they are zeros. */
static const uint8_t *blk_page(const struct virtio_blk *b, uint64_t page) {
    uint32_t entry = blk_is_read_only(b) ? ABI_DISK_AS_IMAGE : *blk_map(b, page);

    if (entry_is_copy(entry)) {
        return blk_copy(b, entry - 1);
    }
    if (entry == ABI_DISK_ZEROS || b->disk->image == 0) {
        return NULL;
    }
    return (const uint8_t *)(uintptr_t)b->disk->image + page * PAGE_SIZE;
}

/* So many bytes from at on lie together where blk_page() says, most at most. */
static uint64_t blk_together(const struct virtio_blk *b, uint64_t at, uint64_t most) {
    if (blk_is_read_only(b)) {
        return most;
    }
    const uint32_t *entry = blk_map(b, at / PAGE_SIZE);
    uint32_t step = entry_is_copy(*entry) ? 1 : 0;
    uint64_t size = PAGE_SIZE - at % PAGE_SIZE;

    for (; size < most && entry[1] == entry[0] + step; entry++) {
        size += PAGE_SIZE;
    }
    return min_u64(size, most);
}

/* An index of the copies; false if all are in use. */
static bool blk_take_copy(struct virtio_blk *b, uint32_t *index) {
    if (b->first_free != 0) {
        *index = b->first_free - 1;
        memcpy(&b->first_free, blk_copy(b, *index), sizeof(b->first_free));
        return true;
    }
    if (b->untouched == b->disk->copy_count) {
        return false;
    }
    *index = b->untouched++;
    return true;
}

/* A page to write to; NULL if there is no room for a copy. whole: all of it will be written. */
static uint8_t *blk_page_own(struct virtio_blk *b, uint64_t page, bool whole) {
    uint32_t *entry = blk_map(b, page);
    uint32_t index = 0;

    if (entry_is_copy(*entry)) {
        return blk_copy(b, *entry - 1);
    }
    if (!blk_take_copy(b, &index)) {
        return NULL;
    }
    uint8_t *copy = blk_copy(b, index);
    const uint8_t *old = blk_page(b, page);

    if (!whole && old != NULL) {
        memcpy(copy, old, min_u64(PAGE_SIZE, b->disk->size - page * PAGE_SIZE));
    } else if (!whole) {
        memset(copy, 0, PAGE_SIZE);
    }
    blk_pay(b, whole ? 0 : PAGE_SIZE);
    *entry = index + 1;
    b->counts->pages++;
    return copy;
}

/* It reads as zeros from now on. */
static void blk_page_free(struct virtio_blk *b, uint64_t page) {
    uint32_t *entry = blk_map(b, page);

    if (entry_is_copy(*entry)) {
        memcpy(blk_copy(b, *entry - 1), &b->first_free, sizeof(b->first_free));
        b->first_free = *entry;
        b->counts->pages--;
    }
    *entry = b->disk->image == 0 ? ABI_DISK_AS_IMAGE : ABI_DISK_ZEROS;
}

/* ---- the request's buffers ---- */

/* How many of its next bytes lie together, in what the driver or in what the device writes; 0:
 * there are none. */
static uint64_t request_find(struct blk_request *r, bool writable, uint8_t **at) {
    const struct virtio_segment *s = &r->chain.segments[r->segment];

    while (r->segment < r->chain.count && (r->offset == s->length || s->writable != writable)) {
        r->segment++;
        r->offset = 0;
        s++;
    }
    if (r->segment == r->chain.count) {
        return 0;
    }
    *at = s->at + r->offset;
    return s->length - r->offset;
}

/* The same, most at most, and they are done with. */
static uint64_t request_next(struct blk_request *r, bool writable, uint64_t most, uint8_t **at) {
    uint64_t size = min_u64(request_find(r, writable, at), most);
    r->offset += (uint32_t)size;
    return size;
}

/* Copies what the driver has written, once; the caller knows that there is so much. */
static void request_read(struct blk_request *r, void *to, uint64_t size) {
    uint8_t *from = NULL;

    for (uint64_t done = 0, n = 0; done < size; done += n) {
        n = request_next(r, false, size - done, &from);
        ASSERT(n != 0);
        memcpy((uint8_t *)to + done, from, n);
    }
}

static void request_write(struct blk_request *r, const void *from, uint64_t size) {
    uint8_t *to = NULL;

    for (uint64_t done = 0, n = 0; done < size; done += n) {
        n = request_next(r, true, size - done, &to);
        ASSERT(n != 0);
        memcpy(to, (const uint8_t *)from + done, n);
    }
    r->written += (uint32_t)size;
}

/* ---- a piece of each kind ---- */

static void request_advance(struct virtio_blk *b, uint64_t size, uint64_t cost) {
    b->request.at += size;
    b->request.left -= size;
    blk_pay(b, cost);
}

static uint64_t request_rest_of_page(const struct blk_request *r) {
    return min_u64(r->left, PAGE_SIZE - r->at % PAGE_SIZE);
}

static enum blk_status blk_step_in(struct virtio_blk *b) {
    struct blk_request *r = &b->request;
    uint8_t *to = NULL;
    uint64_t most = min_u64(request_find(r, true, &to), min_u64(r->left, b->budget));
    uint64_t size = blk_together(b, r->at, most);
    const uint8_t *page = blk_page(b, r->at / PAGE_SIZE);

    ASSERT(size != 0);
    if (page != NULL) {
        memcpy(to, page + r->at % PAGE_SIZE, size);
    } else {
        memset(to, 0, size);
    }
    r->offset += (uint32_t)size;
    r->written += (uint32_t)size;
    b->counts->read_bytes += size;
    request_advance(b, size, size + PIECE_COST);
    return BLK_OK;
}

static enum blk_status blk_step_out(struct virtio_blk *b) {
    struct blk_request *r = &b->request;
    uint8_t *from = NULL;
    uint64_t size = request_next(r, false, request_rest_of_page(r), &from);
    uint8_t *page = blk_page_own(b, r->at / PAGE_SIZE, size == PAGE_SIZE);

    ASSERT(size != 0);
    if (page == NULL) {
        return BLK_IOERR;
    }
    memcpy(page + r->at % PAGE_SIZE, from, size);
    b->counts->written_bytes += size;
    request_advance(b, size, size + PIECE_COST);
    return BLK_OK;
}

/* Is all of a page among the next bytes? Of the last page that is what lies on the disk. */
static bool request_has_whole_page(const struct virtio_blk *b, uint64_t size) {
    uint64_t at = b->request.at;
    return at % PAGE_SIZE == 0 && size == min_u64(PAGE_SIZE, b->disk->size - at);
}

/* Of a part of a page nothing comes. */
static enum blk_status blk_step_discard(struct virtio_blk *b) {
    uint64_t size = request_rest_of_page(&b->request);

    if (request_has_whole_page(b, size)) {
        blk_page_free(b, b->request.at / PAGE_SIZE);
    }
    request_advance(b, size, PIECE_COST);
    return BLK_OK;
}

/* The driver wants to have the room, too. */
static enum blk_status blk_step_zeroes(struct virtio_blk *b) {
    struct blk_request *r = &b->request;
    uint64_t size = request_rest_of_page(r);
    uint8_t *page = blk_page_own(b, r->at / PAGE_SIZE, request_has_whole_page(b, size));

    if (page == NULL) {
        return BLK_IOERR;
    }
    memset(page + r->at % PAGE_SIZE, 0, size);
    request_advance(b, size, size + PIECE_COST);
    return BLK_OK;
}

static enum blk_status blk_step_unmap(struct virtio_blk *b) {
    const struct blk_request *r = &b->request;
    bool is_zero = blk_page(b, r->at / PAGE_SIZE) == NULL;
    bool whole = request_has_whole_page(b, request_rest_of_page(r));

    return is_zero || whole ? blk_step_discard(b) : blk_step_zeroes(b);
}

/* ---- the beginning of each kind ---- */

/* All numbers are the driver's. */
static enum blk_status request_set_place(struct virtio_blk *b, uint64_t sector, uint64_t size) {
    if (size % BLK_SECTOR != 0 ||
        !range_contains(0, b->config.capacity, sector, size / BLK_SECTOR)) {
        return BLK_IOERR;
    }
    b->request.at = sector * BLK_SECTOR;
    b->request.left = size;
    return BLK_OK;
}

/* given: so many bytes of data the driver has written behind the header; room: so many it has left
 * for the device, before the status. */
typedef enum blk_status blk_begin(struct virtio_blk *b, const struct blk_header *h, uint64_t given,
                                  uint64_t room);

static enum blk_status blk_begin_in(struct virtio_blk *b, const struct blk_header *h,
                                    UNUSED uint64_t given, uint64_t room) {
    b->request.step = blk_step_in;
    return request_set_place(b, h->sector, room);
}

static enum blk_status blk_begin_out(struct virtio_blk *b, const struct blk_header *h,
                                     uint64_t given, UNUSED uint64_t room) {
    b->request.step = blk_step_out;
    return blk_is_read_only(b) ? BLK_IOERR : request_set_place(b, h->sector, given);
}

/* What is written is as safe as it will ever be. */
static enum blk_status blk_begin_flush(UNUSED struct virtio_blk *b,
                                       UNUSED const struct blk_header *h, UNUSED uint64_t given,
                                       UNUSED uint64_t room) {
    return BLK_OK;
}

static enum blk_status blk_begin_get_id(struct virtio_blk *b, UNUSED const struct blk_header *h,
                                        UNUSED uint64_t given, uint64_t room) {
    request_write(&b->request, b->disk->serial, min_u64(room, ABI_DISK_SERIAL));
    return BLK_OK;
}

static enum blk_status blk_begin_range(struct virtio_blk *b, uint64_t given, uint32_t flags,
                                       struct blk_range *range) {
    if (given != sizeof(*range)) {
        return BLK_IOERR;
    }
    request_read(&b->request, range, sizeof(*range));
    if ((range->flags & ~flags) != 0) {
        return BLK_UNSUPP;
    }
    return request_set_place(b, range->sector, (uint64_t)range->sectors * BLK_SECTOR);
}

static enum blk_status blk_begin_discard(struct virtio_blk *b, UNUSED const struct blk_header *h,
                                         uint64_t given, UNUSED uint64_t room) {
    struct blk_range range;
    b->request.step = blk_step_discard;
    return blk_begin_range(b, given, 0, &range);
}

static enum blk_status blk_begin_zeroes(struct virtio_blk *b, UNUSED const struct blk_header *h,
                                        uint64_t given, UNUSED uint64_t room) {
    struct blk_range range = {.flags = 0};
    enum blk_status status = blk_begin_range(b, given, BLK_RANGE_UNMAP, &range);
    b->request.step = (range.flags & BLK_RANGE_UNMAP) != 0 ? blk_step_unmap : blk_step_zeroes;
    return status;
}

static const struct blk_kind {
    enum blk_type type;
    uint32_t feature; /* without which it is unknown; 0 = with each driver */
    blk_begin *begin;
} blk_kinds[] = {
    {.type = BLK_IN, .begin = blk_begin_in},
    {.type = BLK_OUT, .begin = blk_begin_out},
    {.type = BLK_FLUSH, .feature = BLK_F_FLUSH, .begin = blk_begin_flush},
    {.type = BLK_GET_ID, .begin = blk_begin_get_id},
    {.type = BLK_DISCARD, .feature = BLK_F_DISCARD, .begin = blk_begin_discard},
    {.type = BLK_WRITE_ZEROES, .feature = BLK_F_WRITE_ZEROES, .begin = blk_begin_zeroes},
};

static enum blk_status request_begin(struct virtio_blk *b, const struct blk_header *h,
                                     uint64_t given, uint64_t room) {
    for (const struct blk_kind *k = blk_kinds; k < blk_kinds + ARRAY_SIZE(blk_kinds); k++) {
        bool agreed = (b->v.driver_features & k->feature) == k->feature;
        if (h->type == (uint32_t)k->type && agreed) {
            return k->begin(b, h, given, room);
        }
    }
    return BLK_UNSUPP;
}

/* ---- from the ring and back ---- */

static void request_count(struct abi_disk_counts *c, uint32_t type, enum blk_status status) {
    if (status != BLK_OK) {
        c->failures++;
    } else if (type == BLK_IN) {
        c->reads++;
    } else if (type == BLK_OUT) {
        c->writes++;
    } else {
        c->others++;
    }
}

static void request_finish(struct virtio_blk *b, enum blk_status status) {
    struct blk_request *r = &b->request;
    uint32_t data = status == BLK_OK ? r->written : 0;

    request_count(b->counts, r->type, status);
    *r->status = (uint8_t)status;
    b->busy = false;
    virtio_give(&b->v.queues[0], &r->chain, data + 1);
}

/* The next request; false if there is none. With no room for a status it can only be broken. */
static bool request_take(struct virtio_blk *b) {
    struct blk_request *r = &b->request;
    struct blk_header header;

    if (!virtio_take(&b->v, &b->v.queues[0], &r->chain)) {
        return false;
    }
    uint64_t given = virtio_readable(&r->chain);
    uint64_t room = virtio_writable(&r->chain);
    blk_pay(b, REQUEST_COST + r->chain.count * SEGMENT_COST);
    if (given < sizeof(header) || room == 0) {
        virtio_break(&b->v);
        return false;
    }

    const struct virtio_segment *last = &r->chain.segments[r->chain.count - 1];
    r->status = last->at + last->length - 1;
    r->segment = r->offset = r->written = 0;
    r->left = 0;
    request_read(r, &header, sizeof(header));
    r->type = header.type;
    b->busy = true;
    enum blk_status status = request_begin(b, &header, given - sizeof(header), room - 1);
    if (status != BLK_OK || r->left == 0) {
        request_finish(b, status);
    }
    return true;
}

/* There may be more to do then. */
static bool request_step(struct virtio_blk *b) {
    enum blk_status status = b->request.step(b);

    if (status != BLK_OK || b->request.left == 0) {
        request_finish(b, status);
    }
    return true;
}

static void blk_take_turn(struct virtio_blk *b) {
    struct virtqueue *q = &b->v.queues[0];
    const struct dev_clock *clock = b->v.dev.env->clock;
    uint16_t before = q->used;

    b->budget = TURN;
    for (bool more = true; more && b->budget != 0;) {
        more = b->busy ? request_step(b) : request_take(b);
    }
    b->due = b->budget == 0 ? clock_now(clock) + clock->tsc_hz / PAUSE_HZ : 0;
    virtio_tell(&b->v, q, before);
}

static void blk_notify(struct virtio *v, UNUSED unsigned queue) {
    struct virtio_blk *b = blk_of(v);

    blk_take_turn(b);
    if (b->due != 0) {
        v->dev.env->reschedule(v->dev.env);
    }
}

static uint64_t blk_service(struct virtio *v, uint64_t now) {
    struct virtio_blk *b = blk_of(v);

    if (b->due != 0 && b->due <= now) {
        b->due = 0;
        if (virtio_is_alive(v)) {
            blk_take_turn(b);
        }
    }
    return b->due;
}

/* What is written stays: only the machine's next start forgets it. */
static void blk_restart(struct virtio *v) {
    struct virtio_blk *b = blk_of(v);
    b->busy = false;
    b->due = 0;
}

static void blk_drop(struct virtio *v, UNUSED unsigned queue) {
    blk_restart(v);
}

static const struct virtio_model blk_model = {
    .pci = VIRTIO_PCI(2, 0x010000u, 1), /* mass storage */
    .queues = 1,
    .notify = blk_notify,
    .restart = blk_restart,
    .drop = blk_drop,
    .service = blk_service,
};

void virtio_blk_make(struct virtio_blk *b, const struct abi_disk *disk,
                     struct abi_disk_counts *counts, struct pci_host *host, struct bus *buses,
                     unsigned slot) {
    uint32_t most =
        (uint32_t)min_u64(disk->size / BLK_SECTOR, ALIGN_DOWN(UINT32_MAX, PAGE_SECTORS));

    virtio_make(&b->v, &blk_model, host, buses, slot);
    b->disk = disk;
    b->counts = counts;
    b->untouched = b->first_free = 0;
    b->config = (struct virtio_blk_config){
        .capacity = disk->size / BLK_SECTOR,
        .seg_max = VIRTIO_SEGMENTS - 2, /* but for header and status */
        .blk_size = BLK_SECTOR,
        .physical_block_exp = 3, /* who writes whole pages spares their copies */
        .min_io_size = PAGE_SECTORS,
        .num_queues = 1,
    };
    b->v.features = F_ALL_DISKS | BLK_F_RO;
    if (!blk_is_read_only(b)) {
        b->v.features = F_ALL_DISKS | F_WRITABLE_DISK;
        b->config.max_discard_sectors = b->config.max_write_zeroes_sectors = most;
        b->config.max_discard_seg = b->config.max_write_zeroes_seg = 1;
        b->config.discard_sector_alignment = PAGE_SECTORS;
        b->config.write_zeroes_may_unmap = 1;
    }
    b->v.config = &b->config;
    b->v.config_size = offsetof(struct virtio_blk_config, unused1) + sizeof(b->config.unused1);
}
