/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver: millions of random steps against PCI functions and their virtio devices, with
 * garbage and half-right things in the rings, under the sanitizers. Nothing may assert, nothing
 * outside the guest's RAM be touched, no doorbell take long, and the other devices stay where they
 * are. The input is a stream of bytes: from a seed here, from libFuzzer in `make fuzz`.
 */
#include "hv/compartment/virtio/blk.h"
#include "tests/unit/fake_env.h"
#include "tests/unit/fake_input.h"

#define STEPS 400000u /* with each seed */
#define PAGES 8u      /* of the disk */

static unsigned randoms;
static uint64_t now;

static uint64_t random_of(UNUSED const struct dev_env *env) {
    randoms++;
    return 0;
}

static uint64_t clock_of(void) {
    return now;
}
static const struct dev_clock random_clock = {.host_tsc = clock_of, .tsc_hz = 1000000000};

/* A disk beside the source of entropy that each machine has; any of them may be meant. */
static uint8_t image[PAGES * PAGE_SIZE];
static uint32_t map[PAGES];
static _Alignas(PAGE_SIZE) uint8_t copies[PAGES / 2][PAGE_SIZE];
static struct abi_disk_counts counts;
static const struct abi_disk abi = {.size = sizeof(image),
                                    .image = (uintptr_t)image,
                                    .map = (uintptr_t)map,
                                    .copies = (uintptr_t)copies,
                                    .copy_count = PAGES / 2};
static struct virtio_blk disk;
static struct virtio *const devices[] = {&fake_pc.rng, &disk.v};
static struct virtio *v;

/* Often what makes sense in a ring of a small memory, or its borders. */
static uint64_t random_value(void) {
    static const uint64_t likely[] = {0,     1,      2,      3,      8,          15,         256,
                                      0x800, 0x1000, 0x2000, 0xfff0, 0x10000,    0xfffe,     4,
                                      16,    11,     7,      0xffff, UINT32_MAX, UINT64_MAX, 64};
    uint64_t word = random_word();
    return (word & 1) != 0 ? likely[(word >> 8) % ARRAY_SIZE(likely)] : word >> (word >> 54 & 63);
}

static void config_write(uint32_t reg, uint32_t value) {
    fake_out(0xcf8, 4, BIT32(31) | v->pci.slot << 11 | reg);
    fake_out(0xcfc, 4, value);
}

static void step_config(void) {
    static const uint8_t places[] = {PCI_COMMAND, PCI_BAR, PCI_BAR + 4, VIRTIO_MSIX_CAPABILITY};
    uint64_t word = random_word();
    uint32_t at = (word & 1) != 0 ? places[(word >> 8) % ARRAY_SIZE(places)] : word >> 8 & 0xfc;
    unsigned size = 1u << (word >> 40) % 3;
    uint64_t value = (word >> 48 & 3) != 0 ? 7 | (random_word() & 0xc0000000) : random_value();

    fake_out(0xcf8, 4, BIT32(31) | v->pci.slot << 11 | at);
    if ((word >> 50 & 1) != 0) {
        fake_out(0xcfc + (word >> 52) % 4, size, value & (BIT(8 * size) - 1));
    }
    (void)fake_in(0xcfc + (word >> 52) % 4, size);
}

static void step_registers(void) {
    uint64_t word = random_word();
    uint64_t at = v->pci.bar[1] + ((word & 3) != 0 ? word >> 8 & 0x3f : word >> 8 & 0xfff);
    unsigned size = 1u << (word >> 40) % 4;

    if ((word >> 50 & 3) != 0) {
        (void)platform_write(&fake_pc, BUS_MEMORY, at, size,
                             random_value() & (UINT64_MAX >> (64 - 8 * size)));
    } else {
        (void)platform_read(&fake_pc, BUS_MEMORY, at, size);
    }
}

static void put(uint64_t at, uint64_t value, unsigned size) {
    memcpy(fake_ram + at % (sizeof(fake_ram) - 8), &value, size);
}

static void step_memory(void) {
    uint64_t word = random_word();
    put((word & 1) != 0 ? word >> 8 & 0xff : word >> 8, random_value(), 1u << (word >> 60) % 4);
}

static void step_doorbell(void) {
    unsigned before = randoms;
    (void)platform_write(&fake_pc, BUS_PORT, v->pci.bar[0], 2, random_word() & 1);
    ASSERT(randoms - before <= 256 * 256 / 8);
}

/* For the disk: most of it is right. */
static void put_request(void) {
    static const uint8_t types[] = {0, 1, 1, 4, 8, 11, 13, 13};
    uint64_t word = random_word();
    put(0x800, types[word % ARRAY_SIZE(types)], 8);
    put(0x808, word >> 8 & 0x7f, 8);
    put(0x810, word >> 20 & 0x7f, 8); /* a range */
    put(0x818, word >> 32 & 0x7f, 4);
    put(0x81c, word >> 40 & 1, 4);
    put(0x1000, 0x800, 8);
    put(0x1008, (word >> 48 & 1) != 0 ? 16 : 32, 4);
    put(0x100c, 1 | 1 << 16, 4);
    put(0x1018, word >> 50 & 0x3e00, 4);
    put(0x101c, (word >> 49 & 3) | 2 << 16, 4);
    put(0x1028, 1, 4);
    put(0x102c, 2, 4);
    put(0x2004, 0, 2);
}

/* A driver that has got as far as the rings, and puts something into them. */
static void step_driver(void) {
    config_write(PCI_BAR, 0x1080 + 0x80 * v->pci.slot);
    config_write(PCI_BAR + 4, 0xe0008000 + 0x1000 * v->pci.slot);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON);
    v->status = 15;
    v->driver_features = random_word() & (VIRTIO_FEATURES | v->features);
    v->queues[0] = (struct virtqueue){.descriptors = 0x1000,
                                      .driver = 0x2000,
                                      .device = 0x3000,
                                      .size = (uint16_t)(1u << random_word() % 9),
                                      .enabled = true,
                                      .taken = v->queues[0].taken};
    for (unsigned i = 0; i < 4; i++) {
        put(0x1000 + 16 * i, random_value(), 8);
        put(0x1008 + 16 * i, random_value(), 4);
        put(0x100c + 16 * i, random_word() & 7, 2);
        put(0x100e + 16 * i, random_word() & 7, 2);
        put(0x2004 + 2 * i, random_word() & 3, 2);
    }
    if (v == &disk.v && (random_word() & 3) != 0) {
        put_request();
    }
    put(0x2002, v->queues[0].taken + (random_word() & 3), 2);
    step_doorbell();
}

static void step_time(void) {
    now += random_word() & 0xffff;
    (void)virtio_ops.service(&v->dev, now);
}

static void begin(void) {
    fake_pc_start();
    fake_pc.env.random = random_of;
    fake_pc.env.clock = &random_clock;
    memset(map, 0, sizeof(map));
    memset(fake_ram, 0, sizeof(fake_ram));
    disk.v.dev = (struct device){.ops = &virtio_ops, .env = &fake_pc.env};
    virtio_blk_make(&disk, &abi, &counts, &fake_pc.pci, fake_pc.bus, 2);
    virtio_ops.reset(&disk.v.dev);
}

static void run(unsigned steps) {
    static void (*const kinds[])(void) = {step_config, step_registers, step_registers, step_memory,
                                          step_driver, step_doorbell,  step_time};
    begin();
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        v = devices[(word >> 8) % ARRAY_SIZE(devices)];
        kinds[word % ARRAY_SIZE(kinds)]();

        unsigned ports = 0;
        unsigned pages = 0;
        for (unsigned d = 0; d < ARRAY_SIZE(devices); d++) {
            ports += devices[d]->pci.there[0];
            pages += devices[d]->pci.there[1];
        }
        ASSERT(fake_pc.bus[BUS_PORT].count == platform_place_count - 2 + ports);
        ASSERT(fake_pc.bus[BUS_MEMORY].count == 2u + pages);
    }
    static const uint8_t before[sizeof(image)];
    ASSERT(memcmp(image, before, sizeof(image)) == 0);
}

#ifdef FUZZ
static void run_input(UNUSED bool other) {
    run(UINT32_MAX);
}
#else
TEST(random_steps) {
    for (uint64_t with = 1; with <= 3; with++) {
        input_seed = with * 0x9e3779b97f4a7c15;
        run(STEPS);
    }
    CHECK(randoms > 30000); /* it did come that far */
    CHECK(disk.untouched == PAGES / 2);
}

TEST_MAIN(T(random_steps))
#endif
