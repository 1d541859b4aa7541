/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver: millions of random steps against a PCI function and its virtio device, with
 * garbage and half-right things in the rings, under the sanitizers. Nothing may assert, nothing
 * outside the guest's RAM be touched, no doorbell take long, and the other devices stay where they
 * are.
 */
#include "tests/unit/fake_env.h"

#define STEPS 400000u /* with each seed */
#define RNG   0x80000800u

static uint64_t seed;
static unsigned randoms;

static uint64_t random_word(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t random_of(UNUSED const struct dev_env *env) {
    randoms++;
    return 0;
}

/* Often what makes sense in a ring of a small memory, or its borders. */
static uint64_t random_value(void) {
    static const uint64_t likely[] = {0,     1,      2,      3,      8,          15,         256,
                                      0x800, 0x1000, 0x2000, 0xfff0, 0x10000,    0xfffe,     4,
                                      16,    11,     7,      0xffff, UINT32_MAX, UINT64_MAX, 64};
    uint64_t word = random_word();
    return (word & 1) != 0 ? likely[(word >> 8) % ARRAY_SIZE(likely)] : word >> (word >> 54 & 63);
}

static void config_write(uint32_t reg, uint32_t value) {
    fake_out(0xcf8, 4, RNG | reg);
    fake_out(0xcfc, 4, value);
}

static void step_config(void) {
    static const uint8_t places[] = {PCI_COMMAND, PCI_BAR, PCI_BAR + 4, VIRTIO_MSIX_CAPABILITY};
    uint64_t word = random_word();
    uint32_t at = (word & 1) != 0 ? places[(word >> 8) % ARRAY_SIZE(places)] : word >> 8 & 0xfc;
    unsigned size = 1u << (word >> 40) % 3;
    uint64_t value = (word >> 48 & 3) != 0 ? 7 | (random_word() & 0xc0000000) : random_value();

    fake_out(0xcf8, 4, RNG | at);
    if ((word >> 50 & 1) != 0) {
        fake_out(0xcfc + (word >> 52) % 4, size, value & (BIT(8 * size) - 1));
    }
    (void)fake_in(0xcfc + (word >> 52) % 4, size);
}

static void step_registers(void) {
    uint64_t word = random_word();
    uint64_t at = fake_pc.rng.pci.bar[1] + ((word & 3) != 0 ? word >> 8 & 0x3f : word >> 8 & 0xfff);
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
    (void)platform_write(&fake_pc, BUS_PORT, fake_pc.rng.pci.bar[0], 2, random_word() & 1);
    CHECK(randoms - before <= 256 * 256 / 8);
}

/* A driver that has got as far as the rings, and puts something into them. */
static void step_driver(void) {
    struct virtio *v = &fake_pc.rng;
    config_write(PCI_BAR, 0x1080);
    config_write(PCI_BAR + 4, 0xe0008000);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON);
    v->status = 15;
    v->driver_features = random_word() & VIRTIO_FEATURES;
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
    put(0x2002, v->queues[0].taken + (random_word() & 3), 2);
    step_doorbell();
}

static void run_seed(uint64_t with) {
    static void (*const steps[])(void) = {step_config, step_registers, step_registers,
                                          step_memory, step_driver,    step_doorbell};
    seed = with;
    fake_pc_start();
    fake_pc.env.random = random_of;
    for (unsigned i = 0; i < STEPS; i++) {
        steps[random_word() % ARRAY_SIZE(steps)]();
        unsigned there = fake_pc.rng.pci.there[0];
        CHECK_U64(fake_pc.bus[BUS_PORT].count, platform_place_count - 1 + there);
        CHECK_U64(fake_pc.bus[BUS_MEMORY].count, 1u + fake_pc.rng.pci.there[1]);
    }
}

TEST(random_steps) {
    for (uint64_t with = 1; with <= 3; with++) {
        run_seed(with * 0x9e3779b97f4a7c15);
    }
    CHECK(randoms > 30000); /* it did come that far */
}

TEST_MAIN(T(random_steps))
