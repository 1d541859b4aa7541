/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk beside a model of it: random requests of every kind, cut into random segments, right ones
 * and wrong ones. Status, data and length must be the model's, nothing else may change, and each
 * copy is in use once. The input is a stream of bytes: from a seed here, from libFuzzer in
 * `make fuzz`.
 */
#include "hv/compartment/virtio/blk.h"
#include "tests/unit/fake_input.h"
#include "tests/unit/fake_virtio.h"

#define STEPS     60000u /* with each seed */
#define SECTOR    512u
#define PAGES     12u
#define DISK_SIZE (11ull * PAGE_SIZE + 5 * SECTOR)
#define SECTORS   (DISK_SIZE / SECTOR)
#define COPIES    7u
#define FEATURES  (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT | BIT(9) | BIT(13) | BIT(14))
#define DATA_MAX  (30u * SECTOR)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };
enum { OK, IOERR, UNSUPP };

static uint8_t image[DISK_SIZE];
static uint32_t map[PAGES];
static _Alignas(PAGE_SIZE) uint8_t copies[COPIES][PAGE_SIZE];
static struct abi_disk abi;
static struct abi_disk_counts counts;
static struct virtio_blk disk;

/* The model: what the disk holds, and which pages have a copy. */
static uint8_t content[DISK_SIZE];
static bool has_copy[PAGES];
static unsigned copies_used;

#define MUST(e)                                                                                    \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #e);                                       \
            fflush(stdout);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void begin(bool with_image) {
    memset(map, 0, sizeof(map));
    memset(has_copy, 0, sizeof(has_copy));
    memset(copies, 0x5c, sizeof(copies));
    copies_used = 0;
    memset(content, 0, sizeof(content));
    if (with_image) {
        memcpy(content, image, sizeof(content));
    }
    abi = (struct abi_disk){.size = DISK_SIZE,
                            .image = with_image ? (uintptr_t)image : 0,
                            .map = (uintptr_t)map,
                            .copies = (uintptr_t)copies,
                            .copy_count = COPIES,
                            .serial = "abcdefghijklmnopqrst"};
    fake_pc_start();
    disk.v.dev = (struct device){.ops = &virtio_ops, .env = &fake_pc.env};
    virtio_blk_make(&disk, &abi, &counts, &fake_pc.pci, fake_pc.bus, 2);
    virtio_ops.reset(&disk.v.dev);
    driver_slot = 2;
    driver_begin();
    start_driver(FEATURES);
}

/* ---- the model ---- */

static bool model_own(uint64_t page) {
    if (!has_copy[page] && copies_used == COPIES) {
        return false;
    }
    copies_used += !has_copy[page];
    has_copy[page] = true;
    return true;
}

static void model_free(uint64_t page) {
    copies_used -= has_copy[page];
    has_copy[page] = false;
}

static bool model_is_zero(uint64_t page) {
    static const uint8_t zeros[PAGE_SIZE];
    uint64_t left = DISK_SIZE - page * PAGE_SIZE;
    return memcmp(content + page * PAGE_SIZE, zeros, left < PAGE_SIZE ? left : PAGE_SIZE) == 0;
}

/* data: NULL = zeros. */
static uint8_t model_write(uint64_t at, uint64_t size, const uint8_t *data) {
    for (uint64_t i = 0; i < size; i += SECTOR) {
        if (!model_own((at + i) / PAGE_SIZE)) {
            return IOERR;
        }
        memset(content + at + i, 0, SECTOR);
        if (data != NULL) {
            memcpy(content + at + i, data + i, SECTOR);
        }
    }
    return OK;
}

static uint8_t model_clear(uint64_t at, uint64_t size, bool discard) {
    while (size != 0) {
        uint64_t page = at / PAGE_SIZE;
        uint64_t piece = PAGE_SIZE - at % PAGE_SIZE;
        uint64_t page_size = (page + 1) * PAGE_SIZE < DISK_SIZE ? PAGE_SIZE : DISK_SIZE % PAGE_SIZE;
        piece = piece < size ? piece : size;
        if (at % PAGE_SIZE == 0 && piece == page_size) {
            model_free(page);
            memset(content + at, 0, piece);
        } else if (!discard) {
            /* A copy that is there is written, whatever it holds. */
            if ((has_copy[page] || !model_is_zero(page)) && model_write(at, piece, NULL) != OK) {
                return IOERR;
            }
        }
        at += piece;
        size -= piece;
    }
    return OK;
}

static bool is_on_disk(uint64_t sector, uint64_t sectors) {
    return sector <= SECTORS && sectors <= SECTORS - sector;
}

static uint8_t model_range(uint32_t type, const uint8_t *data, uint32_t size) {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
    if (size != 16) {
        return IOERR;
    }
    memcpy(&sector, data, 8);
    memcpy(&sectors, data + 8, 4);
    memcpy(&flags, data + 12, 4);
    if ((flags & (type == ZEROES ? ~1u : ~0u)) != 0) {
        return UNSUPP;
    }
    if (!is_on_disk(sector, sectors)) {
        return IOERR;
    }
    if (type == ZEROES && flags == 0) {
        return model_write(sector * SECTOR, (uint64_t)sectors * SECTOR, NULL);
    }
    return model_clear(sector * SECTOR, (uint64_t)sectors * SECTOR, type == DISCARD);
}

/* data: what the driver sends; want: what must come, of size bytes. */
static uint8_t model(uint32_t type, uint64_t sector, const uint8_t *data, uint32_t data_size,
                     uint8_t *want, uint32_t *size) {
    uint32_t room = *size;
    uint32_t moved = type == IN ? room : data_size;

    *size = 0;
    switch (type) {
    case IN:
    case OUT:
        if (moved % SECTOR != 0 || !is_on_disk(sector, moved / SECTOR)) {
            return IOERR;
        }
        if (type == OUT) {
            return model_write(sector * SECTOR, moved, data);
        }
        memcpy(want, content + sector * SECTOR, room);
        *size = room;
        return OK;
    case FLUSH:
        return OK;
    case GET_ID:
        *size = room < 20 ? room : 20;
        memcpy(want, abi.serial, *size);
        return OK;
    case DISCARD:
    case ZEROES:
        return model_range(type, data, data_size);
    default:
        return UNSUPP;
    }
}

/* ---- the driver ---- */

/* Random cuts of size bytes at address, into the table from descriptor n on. */
static unsigned cut(unsigned n, uint64_t address, uint32_t size, uint16_t flags) {
    while (size != 0) {
        uint64_t word = random_word();
        uint32_t piece = (word & 3) == 0 ? 1 + (uint32_t)(word >> 8) % 600 : size;
        piece = piece < size && n < 50 ? piece : size;
        describe(INDIRECT, n, address, piece, flags | NEXT, (uint16_t)(n + 1));
        address += piece;
        size -= piece;
        n++;
    }
    return n;
}

static void finish_turns(void) {
    for (uint64_t due = disk.due; due != 0;) {
        due = virtio_ops.service(&disk.v.dev, due);
    }
}

#define GIVEN 0xc000u
static uint8_t sent[16 + DATA_MAX + SECTOR], want[DATA_MAX];
static uint8_t untouched[DATA_MAX + 64];

static uint32_t random_size(uint64_t word) {
    uint32_t sectors = (uint32_t)(word >> 8) % (DATA_MAX / SECTOR);
    uint32_t size = sectors * SECTOR;
    if ((word & 15) == 0) {
        size += (uint32_t)(word >> 32) % SECTOR;
    }
    return size;
}

static uint64_t random_sector(uint64_t word) {
    uint64_t sector = (word >> 8) % (SECTORS + 1);
    if ((word & 15) == 0) {
        sector = random_word();
    }
    return (word & 0x70) == 0 ? sector & ~7ull : sector;
}

static void prepare(uint32_t type, uint64_t sector, uint32_t given_size) {
    const uint32_t words[2] = {type, (uint32_t)random_word()};
    memcpy(sent, words, sizeof(words));
    memcpy(sent + 8, &sector, 8);
    uint8_t from = (uint8_t)random_word();
    for (uint32_t i = 0; i < given_size; i += SECTOR) {
        memset(sent + 16 + i, from + (int)(i / SECTOR), SECTOR);
    }
    if (type == DISCARD || type == ZEROES) {
        uint64_t word = random_word();
        uint64_t first = random_sector(word);
        uint32_t count = (uint32_t)(word >> 40) % 40;
        uint32_t flags = (word >> 50 & 15) == 0 ? (uint32_t)(word >> 54) : word >> 50 & 1;
        flags = type == DISCARD && (word >> 60 & 7) != 0 ? 0 : flags;
        memcpy(sent + 16, &first, 8);
        memcpy(sent + 24, &count, 4);
        memcpy(sent + 28, &flags, 4);
    }
    memcpy(fake_ram + GIVEN, sent, 16 + given_size);
}

static void step(void) {
    static const uint32_t types[] = {IN,      IN,      IN,     OUT,    OUT,    OUT,    OUT, FLUSH,
                                     DISCARD, DISCARD, ZEROES, ZEROES, ZEROES, GET_ID, 14,  2};
    uint64_t word = random_word();
    uint32_t type = types[word % ARRAY_SIZE(types)];
    uint32_t given_size = type == OUT ? random_size(random_word()) : 0;
    uint32_t room = type == IN ? random_size(random_word()) : (uint32_t)(word >> 8) % 40;
    if (type == DISCARD || type == ZEROES) {
        given_size = (word >> 16 & 31) == 0 ? (uint32_t)(word >> 24) % 40 : 16;
    }
    uint64_t sector = random_sector(random_word());
    prepare(type, sector, given_size);

    memset(fake_ram + BUFFER, 0xee, sizeof(untouched));
    unsigned n = cut(0, GIVEN, 16 + given_size, 0);
    n = cut(n, BUFFER, room + 1, WRITE);
    uint16_t last = WRITE;
    memcpy(fake_ram + INDIRECT + 16 * (n - 1) + 12, &last, sizeof(last));
    describe(TABLE, 0, INDIRECT, 16 * n, TABLE_ELSEWHERE, 0);
    offer(0);
    doorbell(0);
    finish_turns();

    uint32_t size = room;
    uint8_t status = model(type, sector, sent + 16, given_size, want, &size);
    MUST(!broken());
    MUST(get16(USED + 2) == given);
    MUST(fake_ram[BUFFER + room] == status);
    MUST(get32(USED + 8 + 8ull * ((uint16_t)(given - 1) % SIZE)) == size + 1);
    MUST(memcmp(fake_ram + BUFFER, want, size) == 0);
    memset(fake_ram + BUFFER, 0xee, size);
    fake_ram[BUFFER + room] = 0xee;
    MUST(memcmp(fake_ram + BUFFER, untouched, sizeof(untouched)) == 0);
    MUST(memcmp(fake_ram + GIVEN, sent, 16 + given_size) == 0);
}

/* In the map, in the list of free ones, or never used. */
static void check_copies(void) {
    unsigned uses[COPIES] = {0};
    unsigned in_map = 0;
    MUST(disk.untouched <= COPIES);
    for (unsigned p = 0; p < PAGES; p++) {
        if (map[p] != ABI_DISK_AS_IMAGE && map[p] != ABI_DISK_ZEROS) {
            MUST(map[p] <= disk.untouched);
            uses[map[p] - 1]++;
            in_map++;
        }
    }
    MUST(in_map == copies_used);
    for (uint32_t f = disk.first_free; f != 0;) {
        MUST(f <= disk.untouched && uses[f - 1] == 0);
        uses[f - 1]++;
        memcpy(&f, copies[f - 1], sizeof(f));
    }
    for (unsigned i = 0; i < disk.untouched; i++) {
        MUST(uses[i] == 1);
    }
}

static uint8_t image_before[DISK_SIZE];

static void make_image(void) {
    for (uint64_t i = 0; i < DISK_SIZE; i++) {
        image[i] = image_before[i] = (uint8_t)(i / SECTOR * 3 + i % SECTOR);
    }
    memset(untouched, 0xee, sizeof(untouched));
}

static void run(bool with_image, unsigned steps) {
    if (untouched[0] == 0) {
        make_image();
    }
    begin(with_image);
    given = 0;
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        step();
        check_copies();
    }
    MUST(memcmp(image, image_before, sizeof(image)) == 0);
}

#ifdef FUZZ
static void run_input(bool other) {
    run(other, UINT32_MAX);
}
#else
TEST(random_requests) {
    for (unsigned s = 1; s <= 4; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        run(s % 2 != 0, STEPS);
    }
}

TEST_MAIN(T(random_requests))
#endif
