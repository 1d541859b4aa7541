// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SMBIOS as the loader writes it: found as searchers do, walked, and read by dmidecode as
 * by an independent eye.
 */
#include <unistd.h>

#include "hv/compartment/load/start.h"
#include "tests/unit/test.h"

#define NAME_GPA   0xe2000u
#define SERIAL_GPA 0xe2100u
#define ASSET_GPA  0xe2200u

static uint8_t ram[2 * MIB];
static const struct processor cpu = {.model = 0x306c3,
                                     .features = 0x1f8bfbff,
                                     .khz = 2400123,
                                     .maker = "GenuineIntel",
                                     .name = "A made-up CPU"};

static uint64_t get(uint64_t gpa, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, ram + gpa, bytes);
    return value;
}

static void write_tables(uint64_t low, uint64_t high, const char *asset) {
    static const uint8_t uuid[] = {0x88, 0x63, 0x13, 0xe1, 0x3b, 0x8a, 0x53, 0x72,
                                   0x9b, 0x90, 0x0c, 0x9a, 0xee, 0x19, 0x9e, 0x5d};
    memset(ram, 0, sizeof(ram));
    struct load load = {.low.at = ram,
                        .cpu = cpu,
                        .start = {.vcpu_count = 4,
                                  .low_ram = low,
                                  .high_ram = high,
                                  .name.gpa = NAME_GPA,
                                  .serial.gpa = SERIAL_GPA,
                                  .asset_tag.gpa = ASSET_GPA}};
    memcpy(load.start.uuid, uuid, sizeof(uuid));
    strcpy((char *)ram + NAME_GPA, "web");
    strcpy((char *)ram + SERIAL_GPA, "BLKH-0C9AEE199E5D");
    strcpy((char *)ram + ASSET_GPA, asset);
    smbios_write_tables(&load);
}

static uint8_t sum(uint64_t gpa, uint64_t n) {
    uint8_t total = 0;
    while (n-- > 0) {
        total = (uint8_t)(total + ram[gpa++]);
    }
    return total;
}

/* Both entry points lead to the same structures, whose number, size and largest are right. */
static void check_tables(const uint8_t *types, size_t count) {
    uint64_t new = 0, old = 0, largest = 0;
    for (uint64_t at = 0xf0000; at < FIRMWARE_GPA; at += 16) {
        new = memcmp(ram + at, "_SM3_", 5) == 0 ? at : new;
        old = memcmp(ram + at, "_SM_", 4) == 0 ? at : old;
    }
    CHECK(new != 0 && old != 0);
    CHECK_U64(sum(new, ram[new + 6]), 0);
    CHECK_U64(sum(old, ram[old + 5]), 0);
    CHECK_U64(sum(old + 16, 15), 0);
    CHECK(memcmp(ram + old + 16, "_DMI_", 5) == 0);
    uint64_t at = get(new + 16, 8), size = get(new + 12, 4), end = at + size;
    CHECK_U64(get(old + 24, 4), at);
    CHECK_U64(get(old + 22, 2), size);
    CHECK_U64(get(old + 28, 2), count);
    CHECK(end < FIRMWARE_GPA);
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = at;
        CHECK_U64(ram[at], types[i]);
        CHECK_U64(get(at + 2, 2) / 0x100, types[i]);
        at += ram[at + 1];
        while (get(at, 2) != 0) {
            at++;
        }
        at += 2;
        largest = max_u64(largest, at - begin);
        CHECK(at <= end);
    }
    CHECK_U64(at, end);
    CHECK_U64(get(old + 8, 2), largest);
}

TEST(structures) {
    static const uint8_t types[] = {0, 1, 2, 3, 4, 16, 17, 19, 19, 32, 127};
    static const uint8_t small[] = {0, 1, 2, 3, 4, 16, 17, 19, 32, 127};
    write_tables(3 * GIB, 5 * GIB, "rack 4");
    check_tables(types, ARRAY_SIZE(types));
    write_tables(16 * MIB, 0, "");
    check_tables(small, ARRAY_SIZE(small));
}

/* A dump as dmidecode reads it: the entry, which names offset 20h, and there the structures. */
static void dump(const char *path) {
    uint8_t entry[32] = {0};
    memcpy(entry, ram + SMBIOS_TABLES, 24);
    uint64_t at = get(SMBIOS_TABLES + 16, 8), size = get(SMBIOS_TABLES + 12, 4);
    entry[5] = (uint8_t)(entry[5] + (at & 0xff) + (at >> 8 & 0xff) + (at >> 16 & 0xff) - 0x20);
    memset(entry + 16, 0, 8);
    entry[16] = 0x20;
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL && fwrite(entry, sizeof(entry), 1, f) == 1);
    CHECK(fwrite(ram + at, size, 1, f) == 1 && fclose(f) == 0);
}

static void check_dmidecode(const char *path, const char *lines[], size_t count) {
    char command[256];
    static char text[16384];
    snprintf(command, sizeof(command), "dmidecode --from-dump %s 2>&1", path);
    FILE *f = popen(command, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    CHECK_U64(pclose(f), 0);
    for (size_t i = 0; i < count; i++) {
        if (strstr(text, lines[i]) == NULL) {
            printf("# not in dmidecode's output: %s\n%s\n", lines[i], text);
        }
        CHECK(strstr(text, lines[i]) != NULL);
    }
    static const char *const bad[] = {"<BAD INDEX>", "OUT OF SPEC", "BROKEN",     "Wrong",
                                      "Invalid",     "TRUNCATED",   "inconsisten"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(strstr(text, bad[i]) == NULL);
    }
}

TEST(dmidecode_reads_them) {
    char path[] = "/tmp/bulkhead-smbios-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    const char *lines[] = {"SMBIOS 3.2.0 present",
                           "UUID: 886313e1-3b8a-5372-9b90-0c9aee199e5d",
                           "Serial Number: BLKH-0C9AEE199E5D",
                           "Asset Tag: rack 4",
                           "Family: web",
                           "Manufacturer: GenuineIntel",
                           "Version: A made-up CPU",
                           "Current Speed: 2400 MHz",
                           "Core Count: 4",
                           "Thread Count: 4",
                           "Maximum Capacity: 8 GB",
                           "Size: 8 GB",
                           "Range Size: 3 GB",
                           "Range Size: 5 GB",
                           "Ending Address: 0x00000000000000000BFFFFFFF",
                           "System is a virtual machine",
                           "No errors detected"};
    write_tables(3 * GIB, 5 * GIB, "rack 4");
    dump(path);
    check_dmidecode(path, lines, ARRAY_SIZE(lines) - 3);
    const char *small[] = {"Maximum Capacity: 16 MB", "Size: 16 MB", "Range Size: 16 MB"};
    write_tables(16 * MIB, 0, "");
    dump(path);
    check_dmidecode(path, small, ARRAY_SIZE(small));
    const char *large[] = {"Size: 64 GB", "Range Size: 61 GB"};
    write_tables(3 * GIB, 61 * GIB, "");
    dump(path);
    check_dmidecode(path, large, ARRAY_SIZE(large));
    CHECK_U64(unlink(path), 0);
}

TEST_MAIN(T(structures), T(dmidecode_reads_them))
