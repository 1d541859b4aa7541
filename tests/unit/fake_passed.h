/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two real PCI functions that the guest is given, and the core's answers about them. What is asked
 * is judged, counted and kept; the pages that the compartment holds are memory here.
 */
#ifndef TESTS_UNIT_FAKE_PASSED_H
#define TESTS_UNIT_FAKE_PASSED_H

#include "hv/abi/compartment.h"
#include "tests/unit/fake_env.h"

#define REALS     2u
#define NIC       0u /* everything that there is */
#define OLD       1u /* a wide BAR, INTx, and a chain that goes round */
#define SLOT(n)   (20u + (n))
#define HELD_SIZE 0x2000u
#define HELD_AT   0x4000u /* in the NIC's first BAR */
#define TABLE     0x800u  /* in the held pages; the pending bits are in the second one */
#define REAL_SIZE 8u      /* entries of the NIC's table */

#define MEMORY_MASTER (PCI_MEMORY_ON | PCI_MASTER_ON)
#define BAR(n)        (PCI_BAR + 4 * (n))

enum { POWER_CAP = 0x40, MSI_CAP = 0x50, EXPRESS_CAP = 0x70, MSIX_CAP = 0xb0, AF_CAP = 0xc0 };
enum { HOTPLUG_CAP = 0xd0, VENDOR_CAP = 0xe0 };

struct real {
    uint32_t config[64];
    _Alignas(PAGE_SIZE) uint8_t pages[HELD_SIZE];
    uint64_t mapped[ABI_PCI_BARS]; /* 0: nowhere */
    uint64_t command, messages, power;
    uint64_t messages_before; /* what was told before the last one */
    unsigned resets;
};

static struct real reals[REALS];
static unsigned asked[PCI_CALLS];
static struct exchange_pci last[PCI_CALLS];
static bool refuse_map, refuse_vector, answers_garbage;
static uint64_t fake_time;

static uint32_t *real_entry(unsigned vector) {
    return (uint32_t *)(void *)(reals[NIC].pages + TABLE + (size_t)16 * vector);
}

static inline bool real_is_masked(unsigned vector) {
    return (real_entry(vector)[3] & 1) != 0;
}

/* Nowhere, or in its window and over no other one. */
static uint64_t real_map(unsigned function, unsigned bar, uint64_t at) {
    uint64_t size = fake_devices.pcis[function].bars[bar].size;

    CHECK(bar < ABI_PCI_BARS && size != 0);
    if (at == UINT64_MAX) {
        reals[function].mapped[bar] = 0;
        return 1;
    }
    bool high = range_contains(fake_devices.pci_high, fake_devices.pci_high_size, at, size);
    CHECK(high || range_contains(PCI_MEMORY, PCI_MEMORY_SIZE, at, size));
    CHECK(!high || fake_devices.pcis[function].bars[bar].wide);
    CHECK_U64(at % size, 0);
    CHECK_U64(reals[function].mapped[bar], 0);
    for (unsigned i = 0; i < REALS * ABI_PCI_BARS; i++) {
        uint64_t other = reals[i / ABI_PCI_BARS].mapped[i % ABI_PCI_BARS];
        uint64_t end = other + fake_devices.pcis[i / ABI_PCI_BARS].bars[i % ABI_PCI_BARS].size;
        if (other != 0 && at < end && other < at + size) {
            return 0;
        }
    }
    if (!refuse_map) {
        reals[function].mapped[bar] = at;
    }
    return !refuse_map;
}

static void real_reset(struct real *r) {
    r->resets++;
    r->command = r->messages = 0;
    for (unsigned i = 0; r == &reals[NIC] && i < REAL_SIZE; i++) {
        memset(real_entry(i), 0, 12);
        real_entry(i)[3] = 1;
    }
}

static void fake_pci(UNUSED const struct dev_env *env, struct exchange_pci *call) {
    CHECK(call->call < PCI_CALLS && call->function < REALS && call->zero == 0);
    CHECK(call->call == PCI_CALL_VECTOR || call->data == 0);
    bool has_place =
        call->call == PCI_CALL_READ || call->call == PCI_CALL_MAP || call->call == PCI_CALL_VECTOR;
    CHECK(has_place || call->at == 0);
    struct real *r = &reals[call->function];

    asked[call->call]++;
    last[call->call] = *call;
    switch (call->call) {
    case PCI_CALL_READ:
        CHECK(call->at < 0x100 && call->at % 4 == 0);
        call->value = r->config[call->at / 4];
        if (answers_garbage) {
            call->value = fake_time * 0x9e3779b97f4a7c15 >> 16 ^ call->at << 8;
        }
        break;
    case PCI_CALL_COMMAND:
        CHECK_U64(call->value & ~6ull, 0);
        r->command = call->value;
        break;
    case PCI_CALL_MAP:
        call->value = real_map(call->function, call->at, call->value);
        break;
    case PCI_CALL_VECTOR:
        CHECK(call->function == NIC ? call->at < REAL_SIZE : call->at == 0);
        call->value = refuse_vector ? 0 : 0x1fee00000 | call->at << 4;
        call->data = refuse_vector ? 0 : call->data | 0x10000;
        break;
    case PCI_CALL_MESSAGES:
        CHECK(call->value < PCI_MESSAGES);
        r->messages_before = r->messages;
        r->messages = call->value;
        break;
    case PCI_CALL_POWER:
        CHECK(call->value == 0 || call->value == 3);
        r->power = call->value;
        break;
    default:
        CHECK_U64(call->value, 0);
        real_reset(r);
        call->value = 1;
    }
}

static uint64_t fake_passed_tsc(void) {
    return fake_time;
}
static const struct dev_clock fake_passed_clock = {.host_tsc = fake_passed_tsc, .tsc_hz = 1000000};

static uint32_t capability(uint32_t id, uint32_t next, uint32_t word) {
    return id | next << 8 | word << 16;
}

static void fake_passed_config(struct real *r) {
    uint32_t *c = r->config;

    for (unsigned i = 0; i < 64; i++) {
        c[i] = 0xc0de0000 | i; /* what no row knows */
    }
    c[0] = 0x10d38086;
    c[1] = 0x00100507; /* firmware's command */
    c[2] = 0x02000003;
    c[3] = 0xc0804010; /* BIST, more functions */
    c[11] = 0x12345678;
    c[12] = 0xfff00001;
    c[13] = POWER_CAP;
}

static void fake_passed_nic(void) {
    struct real *r = &reals[NIC];

    fake_passed_config(r);
    r->config[POWER_CAP / 4] = capability(0x01, MSI_CAP, 0xffc3);
    r->config[POWER_CAP / 4 + 1] = 8; /* keeps its state */
    r->config[MSI_CAP / 4] = capability(0x05, EXPRESS_CAP, 0x07fa);
    r->config[EXPRESS_CAP / 4] = capability(0x10, MSIX_CAP, 2);
    r->config[EXPRESS_CAP / 4 + 1] = BIT32(28);
    r->config[EXPRESS_CAP / 4 + 2] = 0x2810;
    r->config[MSIX_CAP / 4] = capability(0x11, AF_CAP, 0x4000 | (REAL_SIZE - 1));
    r->config[AF_CAP / 4] = capability(0x13, HOTPLUG_CAP, 0x0306);
    r->config[AF_CAP / 4 + 1] = 0;
    r->config[HOTPLUG_CAP / 4] = capability(0x0c, VENDOR_CAP, 0x5555);
    r->config[VENDOR_CAP / 4] = capability(0x09, 0, 0x1234);
    fake_devices.pcis[NIC] = (struct abi_pci){
        .bars = {{.size = 0x10000},
                 {.size = 0},
                 {.size = MIB, .wide = true, .prefetchable = true},
                 {.size = 0},
                 {.size = PAGE_SIZE}},
        .held = {{.at = (uintptr_t)r->pages, .offset = HELD_AT, .size = HELD_SIZE, .bar = 0}},
        .table = HELD_AT + TABLE,
        .pending = 0x5000,
        .vectors = REAL_SIZE - 2,
        .power = POWER_CAP,
        .express = EXPRESS_CAP,
        .msi = MSI_CAP,
        .msix = MSIX_CAP,
        .af = AF_CAP,
        .has_pin = true};
}

static void fake_passed_old(void) {
    struct real *r = &reals[OLD];

    fake_passed_config(r);
    r->config[POWER_CAP / 4] = capability(0x01, MSI_CAP, 3);
    r->config[POWER_CAP / 4 + 1] = 0; /* loses its state */
    r->config[MSI_CAP / 4] = capability(0x05, POWER_CAP, 0);
    fake_devices.pcis[OLD] =
        (struct abi_pci){.bars = {{.size = 8 * MIB, .wide = true}, {.size = 0}, {.size = 0x20000}},
                         .power = POWER_CAP,
                         .msi = MSI_CAP,
                         .has_pin = true};
}

static inline void fake_passed_start(void) {
    memset(reals, 0, sizeof(reals));
    memset(&fake_devices, 0, sizeof(fake_devices));
    fake_passed_nic();
    fake_passed_old();
    real_reset(&reals[NIC]);
    fake_devices.pci_count = REALS;
    refuse_map = refuse_vector = answers_garbage = false;
    fake_env.pci = fake_pci;
    fake_env.clock = &fake_passed_clock;
    fake_pc_start();
    memset(asked, 0, sizeof(asked));
    reals[NIC].resets = 0;
}

/* Everything but looking. */
static inline unsigned fake_passed_acts(void) {
    unsigned count = 0;

    for (unsigned i = PCI_CALL_READ + 1; i < PCI_CALLS; i++) {
        count += asked[i];
    }
    return count;
}

static inline uint64_t fake_passed_page(unsigned function, uint32_t reg) {
    return PCI_PAGES + (uint64_t)SLOT(function) * 8 * PAGE_SIZE + reg;
}

static inline uint64_t get(unsigned function, uint32_t reg, unsigned size) {
    uint64_t at = fake_passed_page(function, reg);
    uint64_t value = platform_read(&fake_pc, BUS_MEMORY, at, size).value;
    return value & (UINT64_MAX >> (64 - 8 * size));
}

static inline void set(unsigned function, uint32_t reg, unsigned size, uint64_t value) {
    (void)platform_write(&fake_pc, BUS_MEMORY, fake_passed_page(function, reg), size, value);
}

static inline uint64_t address(unsigned function, unsigned bar) {
    return get(function, BAR(bar), 4) & ~0xfull;
}

static inline struct bus_answer held_read(uint64_t at, unsigned size) {
    return platform_read(&fake_pc, BUS_MEMORY, address(NIC, 0) + HELD_AT + at, size);
}

static inline bool held_write(uint64_t at, unsigned size, uint64_t value) {
    return platform_write(&fake_pc, BUS_MEMORY, address(NIC, 0) + HELD_AT + at, size, value);
}

#endif
