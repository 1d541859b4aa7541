/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as its driver finds it, and as one that keeps no rule does. The image is of ten pages and
 * three sectors, and begins in the middle of a page.
 */
#include "hv/compartment/virtio/blk.h"
#include "tests/unit/fake_virtio.h"

#define SECTOR    512u
#define PAGES     11u
#define DISK_SIZE (10ull * PAGE_SIZE + 3 * SECTOR)
#define SECTORS   (DISK_SIZE / SECTOR)
#define COPIES    4u
#define FEATURES  (VIRTIO_F_VERSION_1 | BIT(9) | BIT(13) | BIT(14))
#define RO_DISK   (VIRTIO_F_VERSION_1 | BIT(9))
#define HEADER    0x7000u
#define STATUS    0x7100u
#define UNTOUCHED 0xeeu

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };
enum { OK, IOERR, UNSUPP };

static uint8_t image[DISK_SIZE + SECTOR];
static uint32_t map[PAGES];
static _Alignas(PAGE_SIZE) uint8_t copies[COPIES][PAGE_SIZE];
static struct abi_disk abi;
static struct abi_disk_counts counts;
static struct virtio_blk disk;
static uint64_t now;

static uint64_t clock_of_test(void) {
    return now;
}

static const struct dev_clock test_clock = {.host_tsc = clock_of_test, .tsc_hz = 1000000000};

static uint8_t byte_of_image(uint64_t at) {
    return (uint8_t)(at / SECTOR * 7 + at % SECTOR + 1);
}

/* Puts it into slot 2 of a machine, switched on. */
static void put_in(void) {
    fake_pc_start();
    fake_pc.env.clock = &test_clock;
    now = 1000000;
    memset(&disk, 0xa5, sizeof(disk));
    disk.v.dev = (struct device){.ops = &virtio_ops, .env = &fake_pc.env};
    virtio_blk_make(&disk, &abi, &counts, &fake_pc.pci, fake_pc.bus, 2);
    virtio_ops.reset(&disk.v.dev);
    driver_slot = 2;
    driver_begin();
}

static void begin(uint32_t copy_count) {
    abi = (struct abi_disk){
        .size = DISK_SIZE,
        .image = (uintptr_t)image,
        .map = copy_count == 0 ? 0 : (uintptr_t)map,
        .copies = copy_count == 0 ? 0 : (uintptr_t)copies,
        .copy_count = copy_count,
        .serial = "root-0123456789abcdef",
    };
    for (uint64_t i = 0; i < sizeof(image); i++) {
        image[i] = byte_of_image(i);
    }
    memset(map, 0, sizeof(map));
    memset(copies, 0x5c, sizeof(copies));
    put_in();
    start_driver(copy_count == 0 ? RO_DISK : FEATURES);
}

/* A driver that knows nothing of the last one. */
static void restart(uint64_t features) {
    put16(AVAIL + 2, given = 0);
    put16(USED + 2, 0);
    start_driver(features);
}

static void put_header(uint32_t type, uint64_t sector) {
    const uint32_t words[2] = {type, 0x12345678};
    memcpy(fake_ram + HEADER, words, sizeof(words));
    memcpy(fake_ram + HEADER + 8, &sector, sizeof(sector));
}

/* Header, data in BUFFER, status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t length) {
    uint16_t data = type == IN || type == GET_ID ? WRITE | NEXT : NEXT;
    put_header(type, sector);
    fake_ram[STATUS] = UNTOUCHED;
    describe(TABLE, 0, HEADER, 16, NEXT, length == 0 ? 2 : 1);
    describe(TABLE, 1, BUFFER, length, data, 2);
    describe(TABLE, 2, STATUS, 1, WRITE, 0);
    offer(0);
    doorbell(0);
    return fake_ram[STATUS];
}

static uint32_t last_length(void) {
    return get32(USED + 8 + 8ull * ((uint16_t)(given - 1) % SIZE));
}

static uint8_t change(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags) {
    memcpy(fake_ram + BUFFER, &sector, 8);
    memcpy(fake_ram + BUFFER + 8, &sectors, 4);
    memcpy(fake_ram + BUFFER + 12, &flags, 4);
    return request(type, 0, 16);
}

static uint8_t write_with(uint8_t byte, uint64_t sector, uint32_t sectors) {
    memset(fake_ram + BUFFER, byte, sectors * SECTOR);
    return request(OUT, sector, sectors * SECTOR);
}

/* Reads so many sectors; -1 if they are as in the image, else the byte that all of them have, or
 * -2. */
static int read_back(uint64_t sector, uint32_t sectors) {
    memset(fake_ram + BUFFER, UNTOUCHED, 0x8000);
    CHECK_U64(request(IN, sector, sectors * SECTOR), OK);
    bool as_image = true;
    bool same = true;
    for (uint32_t i = 0; i < sectors * SECTOR; i++) {
        as_image = as_image && fake_ram[BUFFER + i] == byte_of_image(sector * SECTOR + i);
        same = same && fake_ram[BUFFER + i] == fake_ram[BUFFER];
    }
    CHECK_U64(fake_ram[BUFFER + sectors * SECTOR], UNTOUCHED);
    if (as_image) {
        return -1;
    }
    return same ? fake_ram[BUFFER] : -2;
}
#define AS_IMAGE (-1)

static void image_is_unchanged(void) {
    for (uint64_t i = 0; i < sizeof(image); i++) {
        CHECK(image[i] == byte_of_image(i));
    }
}

TEST(what_the_driver_reads) {
    begin(COPIES);
    CHECK_U64(config_read(PCI_ID), 0x10421af4);
    CHECK_U64(config_read(PCI_CLASS), 0x01000001);
    reg_write(0x00, 4, 0);
    CHECK_U64(reg_read(0x04, 4), BIT32(28) | BIT32(29) | 0x6644);
    CHECK_U64(reg_read(0x12, 2), 1); /* one queue */
    CHECK_U64(reg_read(VIRTIO_CONFIG + 34, 2), 1);
    CHECK_U64(reg_read(VIRTIO_CONFIG, 4), SECTORS);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 4, 4), 0);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 12, 4), VIRTIO_SEGMENTS - 2);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 20, 4), 512);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 24, 1), 3);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 25, 1), 0);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 36, 4), SECTORS);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 40, 4), 1);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 44, 4), 8);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 48, 4), SECTORS);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 52, 4), 1);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 56, 4), 1);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 60, 4), 0);
    begin(0);
    reg_write(0x00, 4, 0);
    CHECK_U64(reg_read(0x04, 4), BIT32(28) | BIT32(29) | 0x664);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 36, 4), 0);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 48, 4), 0);
}

TEST(an_image_is_read) {
    for (uint32_t copy_count = 0; copy_count <= COPIES; copy_count += COPIES) {
        begin(copy_count);
        CHECK(read_back(0, 1) == AS_IMAGE);
        CHECK_U64(last_length(), SECTOR + 1);
        CHECK(read_back(5, 20) == AS_IMAGE);
        CHECK(read_back(SECTORS - 1, 1) == AS_IMAGE);
        CHECK(read_back(SECTORS - 60, 60) == AS_IMAGE);
        CHECK_U64(last_length(), 60 * SECTOR + 1);
        CHECK_U64(messages, 4);
        CHECK_U64(message_data, 0x41);
    }
}

TEST(no_image_reads_as_zeros) {
    begin(0);
    abi.image = 0;
    put_in();
    start_driver(RO_DISK);
    CHECK(read_back(3, 30) == 0);
    begin(COPIES);
    abi.image = 0;
    put_in();
    start_driver(FEATURES);
    CHECK(read_back(3, 30) == 0);
    CHECK_U64(write_with(0x33, 9, 2), OK);
    CHECK(read_back(9, 2) == 0x33);
    CHECK(read_back(8, 1) == 0);
    CHECK(read_back(11, 5) == 0);
    CHECK_U64(change(DISCARD, 8, 8, 0), OK);
    CHECK(read_back(8, 8) == 0);
    CHECK_U64(map[1], ABI_DISK_AS_IMAGE);
}

/* Page 1 is written in part, page 2 as a whole, the last one up to the end of the disk. */
TEST(what_is_written_is_a_copy) {
    begin(COPIES);
    CHECK_U64(write_with(0x11, 12, 12), OK);
    CHECK_U64(last_length(), 1);
    CHECK(read_back(12, 12) == 0x11);
    CHECK(read_back(8, 4) == AS_IMAGE);
    CHECK(read_back(24, 8) == AS_IMAGE);
    CHECK_U64(write_with(0x22, SECTORS - 1, 1), OK);
    CHECK(read_back(SECTORS - 1, 1) == 0x22);
    CHECK(read_back(SECTORS - 3, 2) == AS_IMAGE);
    CHECK_U64(write_with(0x44, 14, 1), OK); /* the copy that is there */
    CHECK(read_back(12, 2) == 0x11);
    CHECK(read_back(14, 1) == 0x44);
    CHECK_U64(disk.untouched, 3);
    CHECK_U64(copies[2][3 * SECTOR], 0x5c); /* behind the end nothing is copied */
    CHECK_U64(write_with(0x55, 40, 1), OK);
    CHECK(MIB - disk.budget > PAGE_SIZE + SECTOR); /* the rest of its page takes time, too */
    image_is_unchanged();
    CHECK_U64(request(FLUSH, 0, 0), OK);
    CHECK_U64(last_length(), 1);
}

TEST(no_room_for_a_copy) {
    begin(COPIES);
    for (unsigned i = 0; i < COPIES; i++) {
        CHECK_U64(write_with((uint8_t)(0x60 + i), 8 * i, 8), OK);
    }
    CHECK_U64(write_with(0x77, 8 * COPIES, 1), IOERR);
    CHECK_U64(last_length(), 1);
    CHECK(read_back(8 * COPIES, 8) == AS_IMAGE);
    CHECK_U64(write_with(0x78, 3, 8 * COPIES), IOERR); /* up to there it is done */
    CHECK(read_back(3, 8 * COPIES - 3) == 0x78);
    CHECK_U64(change(ZEROES, 8 * COPIES, 8, 0), IOERR); /* wants to keep the room */
    CHECK_U64(change(ZEROES, 8 * COPIES, 8, 1), OK);
    CHECK(read_back(8 * COPIES, 8) == 0);
    CHECK(!broken());
}

TEST(what_is_discarded_is_free_again) {
    begin(COPIES);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < COPIES; i++) {
            unsigned page = (round * 3 + i) % 10;
            CHECK_U64(write_with((uint8_t)(round + 1), 8 * page, 8), OK);
        }
        for (unsigned i = 0; i < COPIES; i++) {
            unsigned page = (round * 3 + i) % 10;
            CHECK(read_back(8 * page, 8) == (int)(round + 1));
            CHECK_U64(change(i % 2 == 0 ? DISCARD : ZEROES, 8 * page, 8, i % 2), OK);
            CHECK(read_back(8 * page, 8) == 0); /* and not as in the image */
        }
    }
    CHECK_U64(disk.untouched, COPIES);
    CHECK_U64(write_with(0x12, 2, 1), OK); /* the other sectors are zeros, not what the copy had */
    CHECK(read_back(0, 2) == 0);
    CHECK(read_back(3, 5) == 0);
}

TEST(parts_of_pages) {
    begin(COPIES);
    CHECK_U64(change(DISCARD, 1, 14, 0), OK); /* no whole page */
    CHECK(read_back(0, 16) == AS_IMAGE);
    CHECK_U64(change(DISCARD, SECTORS - 2, 2, 0), OK);
    CHECK(read_back(SECTORS - 3, 3) == AS_IMAGE);
    CHECK_U64(change(DISCARD, 1, 22, 0), OK); /* page 1 */
    CHECK(read_back(0, 8) == AS_IMAGE);
    CHECK(read_back(8, 8) == 0);
    CHECK(read_back(16, 8) == AS_IMAGE);
    CHECK_U64(disk.untouched, 0);
    CHECK_U64(change(ZEROES, 33, 6, 1), OK); /* in page 4 */
    CHECK_U64(disk.untouched, 1);
    CHECK(read_back(33, 6) == 0);
    CHECK(read_back(32, 1) == AS_IMAGE);
    CHECK(read_back(39, 1) == AS_IMAGE);
    CHECK_U64(change(ZEROES, 9, 2, 1), OK); /* zeros already */
    CHECK_U64(disk.untouched, 1);
    CHECK_U64(change(ZEROES, SECTORS - 3, 3, 1), OK); /* all that the last page has */
    CHECK(read_back(SECTORS - 3, 3) == 0);
    CHECK_U64(disk.untouched, 1);
    CHECK_U64(change(ZEROES, 48, 8, 0), OK); /* the room is kept */
    CHECK(read_back(48, 8) == 0);
    CHECK_U64(disk.untouched, 2);
    CHECK_U64(change(DISCARD, 0, SECTORS, 0), OK);
    CHECK(read_back(0, 60) == 0);
    CHECK(read_back(SECTORS - 60, 60) == 0);
    image_is_unchanged();
}

TEST(the_serial_number) {
    static const uint32_t sizes[] = {20, 5, 512};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin(0);
        memset(fake_ram + BUFFER, UNTOUCHED, 0x1000);
        CHECK_U64(request(GET_ID, 0, sizes[i]), OK);
        uint32_t size = sizes[i] < 20 ? sizes[i] : 20;
        CHECK(memcmp(fake_ram + BUFFER, "root-0123456789abcdef", size) == 0);
        CHECK_U64(fake_ram[BUFFER + size], UNTOUCHED);
        CHECK_U64(last_length(), size + 1);
    }
    CHECK_U64(request(GET_ID, 0, 0), OK);
}

TEST(each_status) {
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t size;
        uint8_t status;
    } cases[] = {
        {IN, SECTORS, 512, IOERR},
        {IN, SECTORS - 1, 1024, IOERR},
        {IN, SECTORS, 0, OK},
        {IN, SECTORS + 1, 0, IOERR},
        {IN, UINT64_MAX, 512, IOERR},
        {IN, UINT64_MAX / 512 + 1, 512, IOERR},
        {IN, BIT(55), 512, IOERR}, /* times 512 is 0 */
        {IN, 0, 511, IOERR},
        {IN, 0, 1, IOERR},
        {IN, 0, 4100, IOERR},
        {OUT, SECTORS, 512, IOERR},
        {OUT, SECTORS - 1, 1024, IOERR},
        {OUT, UINT64_MAX, 512, IOERR},
        {OUT, BIT(55), 512, IOERR},
        {OUT, 0, 513, IOERR},
        {OUT, 0, 0, OK},
        {FLUSH, 77, 0, OK},
        {FLUSH, 0, 8, OK},
        {2, 0, 512, UNSUPP}, /* SCSI, long ago */
        {5, 0, 512, UNSUPP},
        {10, 0, 512, UNSUPP}, /* lifetime */
        {14, 0, 16, UNSUPP},  /* secure erase */
        {16, 0, 64, UNSUPP},  /* zones */
        {0x80000000, 0, 512, UNSUPP},
        {UINT32_MAX, 0, 512, UNSUPP},
        {DISCARD, 0, 0, IOERR},
        {DISCARD, 0, 15, IOERR},
        {DISCARD, 0, 32, IOERR}, /* more than max_discard_seg */
        {ZEROES, 0, 8, IOERR},
        {ZEROES, 0, 4096, IOERR},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        begin(COPIES);
        uint8_t status = request(cases[i].type, cases[i].sector, cases[i].size);
        if (status != cases[i].status) {
            printf("#   case %u\n", i);
        }
        CHECK_U64(status, cases[i].status);
        CHECK_U64(last_length(), 1);
        CHECK(!broken());
        CHECK_U64(disk.untouched, 0);
        CHECK(read_back(0, 60) == AS_IMAGE);
    }
}

TEST(each_status_of_a_range) {
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t sectors, flags;
        uint8_t status;
    } cases[] = {
        {DISCARD, 0, 8, 1, UNSUPP},         {DISCARD, 0, 8, 2, UNSUPP},
        {ZEROES, 0, 8, 2, UNSUPP},          {ZEROES, 0, 8, 0x80000001, UNSUPP},
        {DISCARD, SECTORS, 1, 0, IOERR},    {DISCARD, 0, SECTORS + 1, 0, IOERR},
        {DISCARD, 8, UINT32_MAX, 0, IOERR}, {ZEROES, UINT64_MAX, 8, 1, IOERR},
        {ZEROES, BIT(55), 8, 1, IOERR},     {ZEROES, SECTORS - 1, 2, 1, IOERR},
        {ZEROES, SECTORS, 0, 1, OK},        {DISCARD, 0, 0, 0, OK},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        begin(COPIES);
        CHECK_U64(change(cases[i].type, cases[i].sector, cases[i].sectors, cases[i].flags),
                  cases[i].status);
        CHECK(!broken());
        CHECK_U64(disk.untouched, 0);
        CHECK(read_back(0, 60) == AS_IMAGE);
    }
}

TEST(a_read_only_disk) {
    begin(0);
    CHECK_U64(write_with(0x11, 0, 8), IOERR);
    CHECK_U64(change(DISCARD, 0, 8, 0), UNSUPP);
    CHECK_U64(change(ZEROES, 0, 8, 1), UNSUPP);
    CHECK_U64(change(ZEROES, 0, 8, 0), UNSUPP);
    CHECK_U64(request(FLUSH, 0, 0), OK);
    CHECK(read_back(0, 60) == AS_IMAGE);
    image_is_unchanged();
}

/* Only what was agreed on is there. */
TEST(what_was_not_negotiated) {
    begin(COPIES);
    restart(VIRTIO_F_VERSION_1);
    CHECK_U64(request(FLUSH, 0, 0), UNSUPP);
    CHECK_U64(change(DISCARD, 0, 8, 0), UNSUPP);
    CHECK_U64(change(ZEROES, 0, 8, 1), UNSUPP);
    CHECK_U64(write_with(0x11, 0, 8), OK);
}

/* ---- how a request lies in segments ---- */

/* A request's bytes are in one piece at HEADER; cut into segments of at most so many bytes. */
static void offer_cut(uint32_t read, uint32_t written, uint32_t most) {
    unsigned n = 0;
    for (uint32_t at = 0; at < read + written; n++) {
        uint32_t end = at < read ? read : read + written;
        uint32_t size = end - at < most ? end - at : most;
        bool last = at + size == read + written;
        describe(INDIRECT, n, HEADER + at, size,
                 (uint16_t)((at < read ? 0 : WRITE) | (last ? 0 : NEXT)), (uint16_t)(n + 1));
        at += size;
    }
    describe(TABLE, 0, INDIRECT, 16 * n, TABLE_ELSEWHERE, 0);
    offer(0);
    doorbell(0);
}

TEST(no_way_to_cut_it_matters) {
    begin(COPIES);
    restart(FEATURES | VIRTIO_F_INDIRECT);
    for (uint32_t most = 9; most < 600; most++) {
        put_header(IN, 7);
        memset(fake_ram + HEADER + 16, UNTOUCHED, SECTOR + 2);
        offer_cut(16, SECTOR + 1, most);
        CHECK_U64(last_length(), SECTOR + 1);
        CHECK_U64(fake_ram[HEADER + 16 + SECTOR], OK);
        CHECK_U64(fake_ram[HEADER + 16 + SECTOR + 1], UNTOUCHED);
        for (uint32_t i = 0; i < SECTOR; i++) {
            CHECK(fake_ram[HEADER + 16 + i] == byte_of_image(7 * SECTOR + i));
        }
        put_header(OUT, 17);
        memset(fake_ram + HEADER + 16, (uint8_t)most, SECTOR);
        fake_ram[HEADER + 16 + SECTOR] = UNTOUCHED;
        offer_cut(16 + SECTOR, 1, most);
        CHECK_U64(fake_ram[HEADER + 16 + SECTOR], OK);
        for (uint32_t i = 0; i < SECTOR; i++) {
            CHECK(copies[0][SECTOR + i] == (uint8_t)most);
        }
    }
    for (uint32_t most = 1; most < 40; most++) {
        const uint32_t range[4] = {0, 0, 0, 0};
        put_header(DISCARD, 0);
        memcpy(fake_ram + HEADER + 16, range, sizeof(range));
        fake_ram[HEADER + 32] = UNTOUCHED;
        offer_cut(32, 1, most);
        CHECK_U64(fake_ram[HEADER + 32], OK);
        put_header(GET_ID, 0);
        offer_cut(16, 21, most);
        CHECK(memcmp(fake_ram + HEADER + 16, abi.serial, 20) == 0);
        CHECK_U64(fake_ram[HEADER + 36], OK);
        put_header(99, 0);
        offer_cut(16, 1, most);
        CHECK_U64(fake_ram[HEADER + 16], UNSUPP);
    }
    CHECK(!broken());
}

/* Nothing to take a status, or half a header. */
TEST(no_request_at_all) {
    static const struct {
        uint32_t read, written;
    } sizes[] = {{15, 100}, {0, 100}, {16, 0}, {600, 0}, {1, 1}};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin(COPIES);
        restart(FEATURES | VIRTIO_F_INDIRECT);
        put_header(IN, 0);
        memset(fake_ram + HEADER + 16, UNTOUCHED, 600);
        offer_cut(sizes[i].read, sizes[i].written, 1000);
        CHECK(broken());
        CHECK_U64(get16(USED + 2), 0);
        CHECK_U64(fake_ram[HEADER + 16 + 100], UNTOUCHED);
    }
}

/* The header is taken once, whatever becomes of its memory; status and data in one place. */
TEST(what_overlaps) {
    begin(COPIES);
    put_header(IN, 3);
    describe(TABLE, 0, HEADER, 16, NEXT, 1);
    describe(TABLE, 1, HEADER - 8, 2 * SECTOR, WRITE | NEXT, 2);
    describe(TABLE, 2, HEADER, 1, WRITE, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(fake_ram[HEADER], OK);
    CHECK_U64(last_length(), 2 * SECTOR + 1);
    for (uint32_t i = 0; i < 2 * SECTOR; i++) {
        CHECK(i == 8 || fake_ram[HEADER - 8 + i] == byte_of_image(3 * SECTOR + i));
    }
    put_header(IN, 0); /* over its own rings and table */
    describe(TABLE, 0, HEADER, 16, NEXT, 1);
    describe(TABLE, 1, 0x1000, 0x3000, WRITE | NEXT, 2);
    describe(TABLE, 2, STATUS, 1, WRITE, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(fake_ram[STATUS], OK);
}

/* ---- time ---- */

#define BIG_PAGES 2048u /* 8 MiB */
static uint32_t big_map[BIG_PAGES];
static _Alignas(PAGE_SIZE) uint8_t big_copies[BIG_PAGES][PAGE_SIZE];

static void begin_big(void) {
    begin(COPIES);
    memset(big_map, 0, sizeof(big_map));
    abi = (struct abi_disk){
        .size = BIG_PAGES * PAGE_SIZE,
        .map = (uintptr_t)big_map,
        .copies = (uintptr_t)big_copies,
        .copy_count = BIG_PAGES,
    };
    put_in();
    start_driver(FEATURES | VIRTIO_F_INDIRECT);
}

/* A request with count segments of 32 KiB, all in the same place. */
static void offer_long(uint32_t type, unsigned count) {
    uint16_t data = (uint16_t)(NEXT | (type == IN ? WRITE : 0));
    put_header(type, 0);
    fake_ram[STATUS] = UNTOUCHED;
    describe(INDIRECT, 0, HEADER, 16, NEXT, 1);
    for (unsigned i = 1; i <= count; i++) {
        describe(INDIRECT, i, BUFFER, 0x8000, data, (uint16_t)(i + 1));
    }
    describe(INDIRECT, count + 1, STATUS, 1, WRITE, 0);
    describe(TABLE, 0, INDIRECT, 16 * (count + 2), TABLE_ELSEWHERE, 0);
    offer(0);
}

/* Turns until nothing is left; the time between two is the guest's. */
static unsigned turns(void) {
    unsigned count = 0;
    uint64_t due = virtio_ops.service(&disk.v.dev, now);
    for (; due != 0; count++) {
        CHECK(due > now);
        CHECK_U64(virtio_ops.service(&disk.v.dev, due - 1), due);
        now = due;
        due = virtio_ops.service(&disk.v.dev, now);
    }
    return count;
}

TEST(long_requests_take_turns) {
    static const uint32_t types[] = {OUT, IN};
    begin_big();
    memset(fake_ram + BUFFER, 0x3c, 0x8000);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        fake_reschedules = 0;
        offer_long(types[i], 62); /* close to 2 MiB */
        doorbell(0);
        CHECK_U64(fake_ram[STATUS], UNTOUCHED);
        CHECK_U64(fake_reschedules, 1);
        CHECK_U64(get16(USED + 2), i);
        CHECK_U64(turns(), i == 0 ? 2 : 1); /* each first write of a page costs more */
        CHECK_U64(fake_ram[STATUS], OK);
        CHECK_U64(get16(USED + 2), i + 1);
        CHECK_U64(last_length(), types[i] == IN ? 62 * 0x8000 + 1 : 1);
        CHECK_U64(messages, i + 1);
    }
    CHECK_U64(fake_ram[BUFFER + 0x7fff], 0x3c);
    CHECK_U64(disk.untouched, 62 * 8);
}

TEST(many_requests_take_turns) {
    begin_big();
    restart(FEATURES | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX);
    for (unsigned i = 0; i < SIZE; i++) {
        offer_long(IN, 16); /* half a MiB */
    }
    doorbell(0);
    uint16_t first = get16(USED + 2);
    CHECK(first != 0 && first < SIZE);
    CHECK_U64(get16(USED + 4 + 8 * SIZE), 0); /* no doorbell is wanted meanwhile */
    CHECK_U64(messages, 1);
    CHECK(turns() >= 3);
    CHECK_U64(get16(USED + 2), SIZE);
    CHECK_U64(get16(USED + 4 + 8 * SIZE), SIZE);
}

TEST(a_doorbell_in_the_middle) {
    begin_big();
    offer_long(IN, 62);
    doorbell(0);
    doorbell(0);
    CHECK_U64(fake_ram[STATUS], OK);
    CHECK_U64(turns(), 0);
    CHECK_U64(get16(USED + 2), 1);
}

TEST(a_reset_in_the_middle) {
    begin_big();
    offer_long(IN, 62);
    doorbell(0);
    reg_write(0x14, 1, 0);
    CHECK_U64(disk.due, 0);
    memset(fake_ram + BUFFER, UNTOUCHED, 0x8000);
    CHECK_U64(turns(), 0);
    CHECK_U64(fake_ram[BUFFER], UNTOUCHED);
    restart(FEATURES);
    CHECK(read_back(0, 8) == 0);
    CHECK_U64(get16(USED + 2), 1);
}

/* What it was at is no longer its. */
TEST(a_queue_reset_in_the_middle) {
    begin_big();
    restart(FEATURES | VIRTIO_F_INDIRECT | VIRTIO_F_RING_RESET);
    offer_long(IN, 62);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 0);
    reg_write(0x3a, 2, 1);
    memset(fake_ram + BUFFER, UNTOUCHED, 0x8000);
    CHECK_U64(turns(), 0);
    CHECK_U64(fake_ram[BUFFER], UNTOUCHED);
    CHECK_U64(get16(USED + 2), 0);
    put16(AVAIL + 2, given = 0);
    set_queue(SIZE, TABLE, AVAIL, USED);
    CHECK(read_back(0, 8) == 0);
    CHECK_U64(get16(USED + 2), 1);
}

/* Bus mastering off: nothing moves until a doorbell finds it on again. */
TEST(no_master_in_the_middle) {
    begin_big();
    offer_long(IN, 62);
    doorbell(0);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON);
    now += 1000000;
    memset(fake_ram + BUFFER, UNTOUCHED, 0x8000);
    CHECK_U64(virtio_ops.service(&disk.v.dev, now), 0);
    CHECK_U64(fake_ram[BUFFER], UNTOUCHED);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON);
    doorbell(0);
    CHECK_U64(turns(), 0);
    CHECK_U64(fake_ram[STATUS], OK);
}

TEST(a_large_discard_takes_turns) {
    begin_big();
    for (unsigned i = 0; i < 4; i++) {
        offer_long(OUT, 62);
        doorbell(0);
        (void)turns();
    }
    fake_reschedules = 0;
    for (uint64_t p = 0; p < BIG_PAGES; p++) {
        big_map[p] = (uint32_t)p + 1;
    }
    disk.untouched = BIG_PAGES;
    const uint64_t pages_a_turn = MIB / 256;
    CHECK_U64(change(DISCARD, 0, BIG_PAGES * 8, 0), BIG_PAGES <= pages_a_turn ? OK : UNTOUCHED);
    (void)turns();
    CHECK_U64(fake_ram[STATUS], OK);
    for (unsigned p = 0; p < BIG_PAGES; p++) {
        CHECK_U64(big_map[p], ABI_DISK_AS_IMAGE);
    }
    restart(FEATURES | VIRTIO_F_INDIRECT);
    CHECK_U64(change(ZEROES, 0, BIG_PAGES * 8, 0), UNTOUCHED); /* 8 MiB to clear */
    CHECK_U64(turns(),
              BIG_PAGES * (PAGE_SIZE + 256) / MIB); /* a page costs a bit more than itself */
    CHECK_U64(fake_ram[STATUS], OK);
    CHECK_U64(disk.first_free, 0); /* each copy is in use again */
}

/* What the operator sees of it. */
TEST(requests_are_counted) {
    counts = (struct abi_disk_counts){.reads = 0};
    begin(2);
    (void)read_back(0, 3);
    CHECK_U64(write_with(9, 0, 8), OK);
    CHECK_U64(write_with(9, 8, 2), OK);
    CHECK_U64(write_with(9, 16, 1), IOERR); /* no room */
    CHECK_U64(counts.pages, 2);
    CHECK_U64(change(DISCARD, 0, 8, 0), OK);
    CHECK_U64(request(GET_ID, 0, 20), OK);
    CHECK_U64(counts.reads, 1);
    CHECK_U64(counts.read_bytes, 3 * SECTOR);
    CHECK_U64(counts.writes, 2);
    CHECK_U64(counts.written_bytes, 10 * SECTOR);
    CHECK_U64(counts.failures, 1);
    CHECK_U64(counts.others, 2);
    CHECK_U64(counts.pages, 1);
}

/* Requests without data cost time, too: those that have many buffers take turns. */
TEST(many_empty_requests_take_turns) {
    const unsigned segments = VIRTIO_SEGMENTS - 2;
    const uint16_t count = 200;
    begin_big();
    CHECK(negotiate(FEATURES | VIRTIO_F_INDIRECT));
    set_queue(256, TABLE, AVAIL, USED);
    reg_write(0x14, 1, 15);
    put_header(FLUSH, 0);
    describe(INDIRECT, 0, HEADER, 16, NEXT, 1);
    for (unsigned i = 1; i <= segments; i++) {
        describe(INDIRECT, i, BUFFER, 1, NEXT, (uint16_t)(i + 1));
    }
    describe(INDIRECT, segments + 1, STATUS, 1, WRITE, 0);
    describe(TABLE, 0, INDIRECT, 16 * (segments + 2), TABLE_ELSEWHERE, 0);
    put16(AVAIL + 2, count); /* all name the first chain */

    doorbell(0);
    CHECK(get16(USED + 2) != 0 && get16(USED + 2) < count);
    CHECK_U64(turns(), 1);
    CHECK_U64(get16(USED + 2), count);
}

TEST_MAIN(T(what_the_driver_reads), T(an_image_is_read), T(no_image_reads_as_zeros),
          T(what_is_written_is_a_copy), T(no_room_for_a_copy), T(what_is_discarded_is_free_again),
          T(parts_of_pages), T(the_serial_number), T(each_status), T(each_status_of_a_range),
          T(a_read_only_disk), T(what_was_not_negotiated), T(no_way_to_cut_it_matters),
          T(no_request_at_all), T(what_overlaps), T(long_requests_take_turns),
          T(many_requests_take_turns), T(a_doorbell_in_the_middle), T(a_reset_in_the_middle),
          T(a_queue_reset_in_the_middle), T(no_master_in_the_middle),
          T(a_large_discard_takes_turns), T(requests_are_counted),
          T(many_empty_requests_take_turns))
