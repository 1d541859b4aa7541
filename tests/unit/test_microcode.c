/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Microcode files made here, sound and damaged in every way, in both makers' formats; and files
 * with random bytes changed, which must never be read beyond their end (the sanitizers see to
 * that).
 */
#include <stdlib.h>

#include "config/microcode.h"
#include "test.h"
#include "tests/unit/random.h"

#define HASWELL    0x306c3u
#define PLATFORM   0x10u
#define ZEN_3      0xa20f12u
#define DATA       1000u /* bytes; with the header and the table less than a total of 2048 */
#define TOTAL      2048u
#define FILE_SIZE  65536u
#define ZEN_3_KIND 0xa212u

static const struct microcode_cpu intel = {false, HASWELL, PLATFORM, 0x20};
static const struct microcode_cpu amd = {true, ZEN_3, 0, 0x0a201200};

static uint8_t *file; /* malloc'ed to its size by finish(), so that reading too far is seen */
static uint8_t work[FILE_SIZE];
static size_t used;
static struct microcode_file result;

static void put32(size_t at, uint32_t word) {
    memcpy(work + at, &word, sizeof(word));
}

static uint32_t get32(size_t at) {
    uint32_t word;
    memcpy(&word, work + at, sizeof(word));
    return word;
}

/* Makes the words of [at, at + size) add up to 0 by the one at checksum. */
static void balance(size_t at, size_t size, size_t checksum) {
    uint32_t sum = 0;
    put32(checksum, 0);
    for (size_t i = at; i < at + size; i += 4) {
        sum += get32(i);
    }
    put32(checksum, 0 - sum);
}

static void begin(void) {
    memset(work, 0, sizeof(work));
    used = 0;
}

/* An update with a table of one more CPU. */
static void add_intel(uint32_t signature, uint32_t platforms, uint32_t revision, uint32_t more) {
    size_t at = used, table = at + 48 + DATA;
    const uint32_t header[] = {1, revision, 0x12312024, signature, 0, 1, platforms, DATA, TOTAL};
    memcpy(work + at, header, sizeof(header));
    memset(work + at + 48, 0x5a, DATA);
    balance(at, 48 + DATA, at + 16);
    put32(table, 1);
    put32(table + 20, more);
    put32(table + 24, PLATFORM);
    balance(table, 32, table + 4);
    used += TOTAL;
}

static void add_amd_table(uint32_t signature, uint16_t kind) {
    put32(used, 0x00414d44);
    put32(used + 4, 0);
    put32(used + 8, 48);
    put32(used + 12, 0x800f11); /* another CPU first */
    put32(used + 12 + 12, 0x8011);
    put32(used + 28, signature);
    put32(used + 28 + 12, kind);
    used += 12 + 48; /* the last entry is zero */
}

static void add_amd_patch(uint16_t kind, uint32_t revision, uint32_t bridge) {
    put32(used, 1);
    put32(used + 4, 512);
    put32(used + 8 + 4, revision);
    put32(used + 8 + 16, bridge);
    put32(used + 8 + 24, kind);
    used += 8 + 512;
}

static enum status read_bytes(size_t size, const struct microcode_cpu *cpu) {
    free(file);
    file = malloc(size != 0 ? size : 1);
    memcpy(file, work, size);
    return microcode_read(file, size, cpu, &result);
}

static void check_refused(size_t size, const struct microcode_cpu *cpu, const char *word) {
    CHECK_U64(read_bytes(size, cpu), STATUS_INVALID);
    CHECK(result.newest.bytes == NULL);
    CHECK(result.fault != NULL && strstr(result.fault, word) != NULL);
}

TEST(intel_picks_the_newest_for_this_cpu) {
    begin();
    add_intel(HASWELL, PLATFORM, 0x27, 0);
    add_intel(HASWELL, 0x32, 0x28, 0); /* among several platforms */
    add_intel(HASWELL, 0x02, 0x30, 0); /* another platform */
    add_intel(0x306c4, PLATFORM, 0x31, 0);
    CHECK_U64(read_bytes(used, &intel), STATUS_OK);
    CHECK(!result.amd && result.fault == NULL);
    CHECK_U64(result.updates, 4);
    CHECK(result.newest.bytes == file + TOTAL);
    CHECK_U64(result.newest.size, TOTAL);
    CHECK_U64(result.newest.revision, 0x28);
}

TEST(intel_knows_more_cpus_by_table) {
    begin();
    add_intel(0x306c4, PLATFORM, 0x31, HASWELL);
    CHECK_U64(read_bytes(used, &intel), STATUS_OK);
    CHECK_U64(result.newest.revision, 0x31);
    begin();
    add_intel(0x306c4, PLATFORM, 0x31, 0x306c5);
    CHECK_U64(read_bytes(used, &intel), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
}

TEST(intel_takes_nothing_older) {
    struct microcode_cpu cpu = intel;
    begin();
    add_intel(HASWELL, PLATFORM, 0x27, 0);
    cpu.revision = 0x27; /* its other CPUs may be behind */
    CHECK_U64(read_bytes(used, &cpu), STATUS_OK);
    CHECK_U64(result.newest.revision, 0x27);
    cpu.revision = 0x28;
    CHECK_U64(read_bytes(used, &cpu), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
    CHECK_U64(result.updates, 1);
    CHECK_U64(read_bytes(used, &amd), STATUS_OK); /* AMD's CPU with Intel's file */
    CHECK(result.newest.bytes == NULL);
    cpu = (struct microcode_cpu){true, HASWELL, PLATFORM, 0};
    CHECK_U64(read_bytes(used, &cpu), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
}

/* The oldest updates say 0 for both sizes; and they are for CPUs without platforms. */
TEST(intel_usual_size) {
    struct microcode_cpu cpu = {false, 0x650, 0, 0};
    begin();
    const uint32_t header[] = {1, 0x40, 0x05251999, 0x650, 0, 1, 0, 0, 0};
    memcpy(work, header, sizeof(header));
    balance(0, 2048, 16);
    CHECK_U64(read_bytes(2048, &cpu), STATUS_OK);
    CHECK_U64(result.newest.size, 2048);
    cpu.platform = 1;
    CHECK_U64(read_bytes(2048, &cpu), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
}

TEST(intel_damaged) {
    static const struct {
        size_t at;
        uint32_t word;
        const char *fault;
    } cases[] = {
        {0, 2, "no microcode"},
        {20, 2, "unknown kind"},
        {28, DATA + 1, "impossible sizes"},
        {28, TOTAL - 44, "impossible sizes"},
        {28, UINT32_MAX - 3, "impossible sizes"},
        {32, 0, "impossible sizes"},
        {32, TOTAL + 4, "impossible sizes"},
        {32, 2 * TOTAL, "cut off"},
        {32, 0xfffffc00, "cut off"},
        {48, 0, "checksum of an update"},
        {48 + DATA + 20, 0x12345, "checksum of a table"},
        {48 + DATA, 83, "table of CPUs that is cut off"},
        {48 + DATA, UINT32_MAX, "table of CPUs that is cut off"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        add_intel(HASWELL, PLATFORM, 0x27, 0);
        put32(cases[i].at, cases[i].word);
        if (cases[i].at < 48) {
            balance(0, 48 + DATA, 16); /* the sizes alone are wrong */
        }
        check_refused(used, &intel, cases[i].fault);
    }
    begin();
    add_intel(HASWELL, PLATFORM, 0x27, 0);
    for (size_t size = 0; size < TOTAL; size++) {
        CHECK_U64(read_bytes(size, &intel), STATUS_INVALID);
    }
    add_intel(HASWELL, PLATFORM, 0x28, 0);
    work[TOTAL + 100] ^= 1; /* the second: neither is taken */
    check_refused(used, &intel, "checksum");
}

TEST(amd_picks_the_newest_for_this_cpu) {
    begin();
    add_amd_table(ZEN_3, ZEN_3_KIND);
    add_amd_patch(0x8011, 0x0a201299, 0); /* another kind */
    add_amd_patch(ZEN_3_KIND, 0x0a201205, 0);
    add_amd_patch(ZEN_3_KIND, 0x0a201210, 0);
    add_amd_patch(ZEN_3_KIND, 0x0a201298, 0x1022); /* for one chipset */
    add_amd_table(0xa60f12, 0xa612);               /* a second container */
    add_amd_patch(ZEN_3_KIND, 0x0a201297, 0);
    CHECK_U64(read_bytes(used, &amd), STATUS_OK);
    CHECK(result.amd);
    CHECK_U64(result.updates, 5);
    CHECK_U64(result.newest.revision, 0x0a201210);
    CHECK_U64(result.newest.size, 512);
    CHECK(result.newest.bytes == file + 60 + 2 * 520 + 8);
    struct microcode_cpu other = amd;
    other.signature = 0xa20f10;
    CHECK_U64(read_bytes(used, &other), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
    other = (struct microcode_cpu){false, ZEN_3, 0, 0};
    CHECK_U64(read_bytes(used, &other), STATUS_OK);
    CHECK(result.newest.bytes == NULL);
}

TEST(amd_damaged) {
    begin();
    add_amd_table(ZEN_3, ZEN_3_KIND);
    add_amd_patch(ZEN_3_KIND, 0x0a201205, 0);
    size_t whole = used;
    for (size_t size = 0; size < whole; size++) {
        enum status s = read_bytes(size, &amd);
        CHECK_U64(s, size == 60 ? STATUS_OK : STATUS_INVALID); /* a table alone is sound */
        CHECK(result.newest.bytes == NULL);
    }
    put32(4, 1); /* no table first */
    check_refused(whole, &amd, "unknown kind");
    put32(4, 0);
    put32(8, UINT32_MAX);
    check_refused(whole, &amd, "cut off");
    put32(8, 48);
    put32(60, 2); /* neither a patch nor a container */
    check_refused(whole, &amd, "unknown kind");
    put32(60, 1);
    put32(64, 63);
    check_refused(60 + 8 + 63, &amd, "without a header");
}

/* Whatever is in a file: no byte beyond it is read, and what is found lies in it. */
TEST(random_damage) {
    uint64_t random = 0x9e3779b97f4a7c15ull;
    for (unsigned round = 0; round < 20000; round++) {
        const struct microcode_cpu *cpu = round % 2 != 0 ? &amd : &intel;
        begin();
        if (round % 2 != 0) {
            add_amd_table(ZEN_3, ZEN_3_KIND);
            add_amd_patch(ZEN_3_KIND, 0x0a201205, 0);
            add_amd_table(ZEN_3, ZEN_3_KIND);
        } else {
            add_intel(HASWELL, PLATFORM, 0x27, 0x306c4);
        }
        for (unsigned n = 0; n < 1 + round % 4; n++) {
            (void)random_next(&random);
            size_t where = random % 8 < 6 ? random / 8 % 80 : random / 8 % used;
            work[where] ^= (uint8_t)(1u << (random >> 60 & 7));
        }
        size_t size = random % 16 == 0 ? random / 16 % used : used;
        if (read_bytes(size, cpu) == STATUS_OK && result.newest.bytes != NULL) {
            CHECK(result.newest.bytes >= file && result.newest.size <= size);
            CHECK((size_t)(result.newest.bytes - file) <= size - result.newest.size);
        }
    }
    free(file);
    file = NULL;
}

TEST_MAIN(T(intel_picks_the_newest_for_this_cpu), T(intel_knows_more_cpus_by_table),
          T(intel_takes_nothing_older), T(intel_usual_size), T(intel_damaged),
          T(amd_picks_the_newest_for_this_cpu), T(amd_damaged), T(random_damage))
