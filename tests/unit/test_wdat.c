/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchdog of ACPI's table WDAT: one of two registers that the fake below is, and tables of all
 * kinds. A table that is wrong must not have anything written to, but where it says so.
 */
#include "boot/no_firmware.h"
#include "tests/unit/test.h"

#define RELOAD  1u
#define RUNNING 8u
#define START   9u
#define STOPPED 10u
#define STOP    11u

enum { READ = 0, READ_COUNT = 1, WRITE = 2, WRITE_COUNT = 3, KEEP = 0x80 };
enum { MEMORY = 0, PORT = 1, CONFIG = 2 };

struct entry {
    uint8_t action, operation, space, bits, shift, access;
    uint64_t address;
    uint32_t value, mask;
};

/* Intel's: bit 11 of its control register halts it. */
#define IS_RUNNING                                                                                 \
    { RUNNING, READ, PORT, 16, 11, 2, 0x668, 0, 1 }
#define DO_STOP                                                                                    \
    { STOP, WRITE | KEEP, PORT, 16, 11, 2, 0x668, 1, 1 }

static uint8_t table[WDAT_ENTRIES + 40 * 24];
static struct boot_info info;

static void put32(uint8_t *p, uint32_t value) {
    memcpy(p, &value, sizeof(value));
}

static void make(const struct entry *entries, unsigned count) {
    memset(table, 0, sizeof(table));
    memset(&info, 0, sizeof(info));
    put32(table + 4, WDAT_ENTRIES + count * 24);
    table[60] = 1;
    put32(table + 64, count);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *e = table + WDAT_ENTRIES + i * 24;
        memcpy(e, &entries[i], 2);
        memcpy(e + 4, &entries[i].space, 4);
        memcpy(e + 8, &entries[i].address, 8);
        put32(e + 16, entries[i].value);
        put32(e + 20, entries[i].mask);
    }
}

static uint32_t device;
static unsigned writes;
static bool deaf;

static uint32_t device_read(const struct boot_watchdog_step *step) {
    CHECK(step->width == 1 || step->width == 2 || step->width == 4);
    return device & (uint32_t)(BIT(8 * step->width) - 1);
}

static void device_write(const struct boot_watchdog_step *step, uint32_t value) {
    CHECK(step->stops && step->writes);
    writes++;
    device = deaf ? device : value;
}

static const struct wdat_ops ops = {device_read, device_write};

static enum boot_watchdog_state look(void) {
    wdat_read(table, &info);
    wdat_look(&info, &ops);
    CHECK_U64(writes, 0);
    return info.watchdog.state;
}

static enum boot_watchdog_state stop(void) {
    wdat_stop(&info, &ops);
    return info.watchdog.state;
}

static void power_up(uint32_t word) {
    device = word;
    writes = 0;
    deaf = false;
}

static const struct entry usual[] = {{RELOAD, WRITE, PORT, 16, 0, 2, 0x660, 1, 0x3ff},
                                     IS_RUNNING,
                                     {START, WRITE | KEEP, PORT, 16, 11, 2, 0x668, 0, 1},
                                     DO_STOP};

TEST(it_runs_and_is_stopped) {
    make(usual, ARRAY_SIZE(usual));
    power_up(0x1234);
    CHECK_U64(look(), BOOT_WATCHDOG_RUNS);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    CHECK_U64(device, 0x1234 | 0x800);
    CHECK_U64(writes, 1);

    make(usual, ARRAY_SIZE(usual));
    power_up(0);
    deaf = true;
    CHECK_U64(look(), BOOT_WATCHDOG_RUNS);
    CHECK_U64(stop(), BOOT_WATCHDOG_STUCK);
}

TEST(it_rests) {
    make(usual, ARRAY_SIZE(usual));
    power_up(0x800);
    CHECK_U64(look(), BOOT_WATCHDOG_RESTS);
    CHECK_U64(stop(), BOOT_WATCHDOG_RESTS);

    table[60] = 0x80; /* not enabled by the firmware's setup */
    memset(&info, 0, sizeof(info));
    CHECK_U64(look(), BOOT_WATCHDOG_NONE);
    CHECK_U64(stop(), BOOT_WATCHDOG_NONE);
    CHECK_U64(writes, 0);
}

/* A table need not have all actions. */
TEST(parts) {
    static const struct entry is_stopped = {STOPPED, READ, PORT, 16, 11, 2, 0x668, 1, 1};
    static const struct entry only_stop[] = {DO_STOP}, only_ask[] = {IS_RUNNING};
    static const struct entry other[] = {is_stopped, DO_STOP};

    make(only_stop, 1);
    power_up(0);
    CHECK_U64(look(), BOOT_WATCHDOG_UNKNOWN);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    CHECK_U64(device, 0x800);

    make(only_ask, 1);
    power_up(0);
    CHECK_U64(look(), BOOT_WATCHDOG_STUCK);
    CHECK_U64(stop(), BOOT_WATCHDOG_STUCK);
    make(only_ask, 1);
    power_up(0x800);
    CHECK_U64(look(), BOOT_WATCHDOG_RESTS);

    make(other, 2);
    power_up(0);
    CHECK_U64(look(), BOOT_WATCHDOG_RUNS);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    make(other, 2);
    power_up(0x800);
    CHECK_U64(look(), BOOT_WATCHDOG_RESTS);

    make(NULL, 0);
    CHECK_U64(look(), BOOT_WATCHDOG_STUCK);
}

/* Without KEEP all other bits become 0; in memory as well, of all widths, by two writes in a row.
 */
TEST(ways) {
    static const struct entry two[] = {{STOP, WRITE, PORT, 8, 0, 1, 0xcd6, 0x69, 0xff},
                                       {STOP, WRITE, PORT, 8, 4, 0, 0xcd7, 0x3f, 0x7}};
    static const struct entry wide[] = {{RUNNING, READ, MEMORY, 32, 0, 3, 0xfed80b00, 3, 3},
                                        {STOP, WRITE | KEEP, MEMORY, 32, 0, 0, 0xfed80b00, 0, 1}};
    static const struct entry index_first[] = {{RUNNING, WRITE, PORT, 8, 0, 1, 0xcd6, 0x69, 0xff},
                                               {RUNNING, READ, PORT, 8, 0, 1, 0xcd7, 0, 1},
                                               {STOP, WRITE, PORT, 8, 0, 1, 0xcd7, 1, 1}};
    make(two, 2);
    power_up(0xff);
    CHECK_U64(look(), BOOT_WATCHDOG_UNKNOWN);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    CHECK_U64(writes, 2);
    CHECK_U64(device, 0x70);

    make(wide, 2);
    power_up(0xabcdef03);
    CHECK_U64(look(), BOOT_WATCHDOG_RUNS);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    CHECK_U64(device, 0xabcdef02);

    make(index_first, 3); /* the question is not put */
    power_up(0);
    CHECK_U64(look(), BOOT_WATCHDOG_UNKNOWN);
    CHECK_U64(stop(), BOOT_WATCHDOG_STOPPED);
    CHECK_U64(writes, 1);
}

/* Nothing is written, and the admin is warned. */
TEST(broken_entries) {
    static const struct entry bad[] = {
        {STOP, WRITE_COUNT, PORT, 16, 11, 2, 0x668, 1, 1},
        {STOP, READ, PORT, 16, 11, 2, 0x668, 1, 1},
        {STOP, 0x42, PORT, 16, 11, 2, 0x668, 1, 1},
        {STOP, WRITE, CONFIG, 16, 11, 2, 0x668, 1, 1},
        {STOP, WRITE, 0x7f, 16, 11, 2, 0x668, 1, 1},
        {STOP, WRITE, PORT, 64, 11, 0, 0x668, 1, 1},
        {STOP, WRITE, PORT, 64, 11, 4, 0x668, 1, 1},
        {STOP, WRITE, PORT, 16, 11, 0xff, 0x668, 1, 1},
        {STOP, WRITE, PORT, 16, 16, 2, 0x668, 1, 1},
        {STOP, WRITE, PORT, 16, 11, 2, 0x669, 1, 1},
        {STOP, WRITE, PORT, 16, 11, 2, 0x10000, 1, 1},
        {STOP, WRITE, PORT, 16, 11, 2, 0x668 | BIT(32), 1, 1},
        {STOP, WRITE, MEMORY, 16, 11, 2, 0, 1, 1},
        {STOP, WRITE, MEMORY, 32, 0, 3, 4 * GIB, 1, 1},
        {STOP, WRITE, MEMORY, 32, 0, 3, UINT64_MAX - 3, 1, 1},
        {STOP, WRITE, MEMORY, 32, 0, 3, 0x100ffc, 1, 1}, /* somebody's memory */
        {RUNNING, READ_COUNT, PORT, 16, 11, 2, 0x668, 0, 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct entry entries[] = {bad[i], DO_STOP, bad[i]};
        make(entries, 3);
        CHECK_U64(ranges_set(&info, MIB, PAGE_SIZE, MEM_FREE), STATUS_OK);
        power_up(0);
        CHECK_U64(look(), BOOT_WATCHDOG_STUCK);
        CHECK_U64(stop(), BOOT_WATCHDOG_STUCK);
        CHECK_U64(writes, 0);
    }
}

TEST(sizes) {
    static const struct entry stops[30] = {[0 ... 29] = DO_STOP};
    for (unsigned count = 1; count <= ARRAY_SIZE(stops); count++) {
        bool most = count > BOOT_WATCHDOG_STEPS;
        make(stops, count);
        power_up(0);
        CHECK_U64(look(), most ? BOOT_WATCHDOG_STUCK : BOOT_WATCHDOG_UNKNOWN);
        CHECK_U64(stop(), most ? BOOT_WATCHDOG_STUCK : BOOT_WATCHDOG_STOPPED);
        CHECK_U64(writes, most ? 0 : count);
    }
    for (uint32_t more = 1; more != 0; more *= 2) { /* than the table holds */
        make(stops, 2);
        put32(table + 64, 2 + more);
        power_up(0);
        CHECK_U64(look(), BOOT_WATCHDOG_STUCK);
        CHECK_U64(stop(), BOOT_WATCHDOG_STUCK);
        CHECK_U64(writes, 0);
    }
}

/* Whatever the table is: shifts, widths and addresses are possible ones (and the sanitizers look).
 */
TEST(any_bytes) {
    uint32_t random = 4711;
    for (unsigned round = 0; round < 20000; round++) {
        make(usual, ARRAY_SIZE(usual));
        for (unsigned i = 0; i < 1 + round % 12; i++) {
            random = random * 1664525 + 1013904223;
            table[60 + (random >> 8) % (8 + 4 * 24)] = (uint8_t)(random >> 24);
        }
        power_up(random);
        (void)look();
        (void)stop();
        for (uint32_t i = 0; i < info.watchdog.step_count; i++) {
            const struct boot_watchdog_step *s = &info.watchdog.steps[i];
            CHECK(s->shift < 8 * s->width && s->address % s->width == 0);
            CHECK(s->address < (s->in_memory ? 4 * GIB : 0x10000));
        }
    }
}

TEST_MAIN(T(it_runs_and_is_stopped), T(it_rests), T(parts), T(ways), T(broken_entries), T(sizes),
          T(any_bytes))
