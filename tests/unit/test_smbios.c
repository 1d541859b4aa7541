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

/* A structure of that type. */
static uint64_t find_structure(uint8_t type) {
    uint64_t at = get(SMBIOS_TABLES + 16, 8);
    while (ram[at] != type) {
        at += ram[at + 1];
        while (get(at, 2) != 0) {
            at++;
        }
        at += 2;
    }
    return at;
}

TEST(structures) {
    static const uint8_t types[] = {0, 1, 2, 3, 4, 16, 17, 19, 19, 32, 127};
    static const uint8_t small[] = {0, 1, 2, 3, 4, 16, 17, 19, 32, 127};
    write_tables(3 * GIB, 5 * GIB, "rack 4");
    check_tables(types, ARRAY_SIZE(types));
    uint64_t boot = find_structure(32); /* reserved bytes, and a status: no errors */
    CHECK_U64(get(boot + 4, 7), 0);
    write_tables(16 * MIB, 0, "");
    check_tables(small, ARRAY_SIZE(small));
}

/* A reader may take the wide fields at once, which dmidecode does for large machines only. */
TEST(wide_fields_say_the_same) {
    write_tables(3 * GIB, 5 * GIB, "");
    uint64_t cpu_at = find_structure(4);
    CHECK_U64(get(cpu_at + 40, 2), ram[cpu_at + 6]);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_U64(get(cpu_at + 42 + 2 * i, 2), ram[cpu_at + 35 + i]);
    }
    uint64_t memory_at = find_structure(17);
    CHECK_U64(get(memory_at + 28, 4), get(memory_at + 12, 2));
}

/* Each byte behind the head of each structure: of what dmidecode does not show as well. */
TEST(all_fields) {
    static const struct {
        uint8_t type;
        const char *bytes;
    } rows[] = {
        {0, "010200f0030080000000000000000110"
            "0100ffff0000"},
        {1, "01020003e11363888a3b7253"
            "9b900c9aee199e5d060004"},
        {2, "0102000304010000030a00"},
        {3, "010100020303030303000000000000000000"},
        {4, "01030202c3060300fffb8b1f03800000600960094101ffffffffffff000000"
            "0404040c000200040004000400"},
        {16, "03030300000080feff0100000000000200"
             "0000"},
        {17, "0010feffffffffff0020090001000702000000020000000000200000000000000000000002040000"
             "00000000000000000000000000000000000000000200000000000000000000000000000000000000"},
        {19, "ffffffffffffffff0010010000000000000000ffffffbf00000000"},
        {32, "00000000000000"},
    };
    write_tables(3 * GIB, 5 * GIB, "rack 4");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char seen[256] = "";
        uint64_t at = find_structure(rows[i].type);
        for (unsigned n = 4; n < ram[at + 1]; n++) {
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%02x", ram[at + n]);
        }
        CHECK_STR(seen, rows[i].bytes);
    }
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

/* The line that is so but for its indent and a full stop, from there on. */
static const char *find_line(const char *text, const char *line) {
    const char *at = strstr(text, line);
    while (at != NULL &&
           (strchr("\t\n", at[-1]) == NULL || strchr(".\n", at[strlen(line)]) == NULL)) {
        at = strstr(at + 1, line);
    }
    return at;
}

/* These lines are there, in this order. */
static void check_dmidecode(const char *path, const char *const lines[], size_t count) {
    char command[256];
    static char text[16384];
    snprintf(command, sizeof(command), "dmidecode --from-dump %s 2>&1", path);
    FILE *f = popen(command, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    CHECK_U64(pclose(f), 0);
    const char *at = text;
    for (size_t i = 0; i < count; i++) {
        const char *found = find_line(at, lines[i]);
        if (found == NULL) {
            printf("# not in the rest of dmidecode's output: %s\n%s\n", lines[i], at);
        }
        CHECK(found != NULL);
        at = found + strlen(lines[i]);
    }
    static const char *const bad[] = {"<BAD INDEX>", "OUT OF SPEC", "BROKEN",     "Wrong",
                                      "Invalid",     "TRUNCATED",   "inconsisten"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(strstr(text, bad[i]) == NULL);
    }
}

/* All that dmidecode says of fields which have one meaning in each of its versions. */
static const char *const full[] = {
    "SMBIOS 3.2.0 present",
    "Handle 0x0000, DMI type 0, 26 bytes",
    "Vendor: Bulkhead",
    "Version: 1.0",
    "Release Date: 01/01/2026",
    "Address: 0xF0000",
    "Runtime Size: 64 kB",
    "ROM Size: 64 kB",
    "Characteristics:",
    "PCI is supported",
    "ACPI is supported",
    "System is a virtual machine",
    "BIOS Revision: 1.0",
    "Handle 0x0100, DMI type 1, 27 bytes",
    "Manufacturer: Bulkhead",
    "Product Name: Bulkhead",
    "Version: Not Specified",
    "Serial Number: BLKH-0C9AEE199E5D",
    "UUID: 886313e1-3b8a-5372-9b90-0c9aee199e5d",
    "Wake-up Type: Power Switch",
    "SKU Number: Not Specified",
    "Family: web",
    "Handle 0x0200, DMI type 2, 15 bytes",
    "Manufacturer: Bulkhead",
    "Product Name: Bulkhead",
    "Serial Number: BLKH-0C9AEE199E5D",
    "Asset Tag: rack 4",
    "Features:",
    "Board is a hosting board",
    "Location In Chassis: Not Specified",
    "Chassis Handle: 0x0300",
    "Type: Motherboard",
    "Contained Object Handles: 0",
    "Handle 0x0300, DMI type 3, 22 bytes",
    "Manufacturer: Bulkhead",
    "Type: Other",
    "Lock: Not Present",
    "Version: Not Specified",
    "Serial Number: BLKH-0C9AEE199E5D",
    "Asset Tag: rack 4",
    "Boot-up State: Safe",
    "Power Supply State: Safe",
    "Thermal State: Safe",
    "Security Status: None",
    "OEM Information: 0x00000000",
    "Height: Unspecified",
    "Contained Elements: 0",
    "Handle 0x0400, DMI type 4, 48 bytes",
    "Socket Designation: CPU 0",
    "Type: Central Processor",
    "Family: Unknown",
    "Manufacturer: GenuineIntel",
    "ID: C3 06 03 00 FF FB 8B 1F",
    "Version: A made-up CPU",
    "Voltage: 0.0 V",
    "External Clock: Unknown",
    "Max Speed: 2400 MHz",
    "Current Speed: 2400 MHz",
    "Status: Populated, Enabled",
    "Upgrade: Other",
    "L1 Cache Handle: Not Provided",
    "L2 Cache Handle: Not Provided",
    "L3 Cache Handle: Not Provided",
    "Core Count: 4",
    "Core Enabled: 4",
    "Thread Count: 4",
    "Characteristics:",
    "64-bit capable",
    "Multi-Core",
    "Handle 0x1000, DMI type 16, 23 bytes",
    "Location: System Board Or Motherboard",
    "Use: System Memory",
    "Error Correction Type: None",
    "Maximum Capacity: 8 GB",
    "Error Information Handle: Not Provided",
    "Number Of Devices: 1",
    "Handle 0x1100, DMI type 17, 84 bytes",
    "Array Handle: 0x1000",
    "Error Information Handle: Not Provided",
    "Total Width: Unknown",
    "Data Width: Unknown",
    "Size: 8 GB",
    "Form Factor: DIMM",
    "Set: None",
    "Locator: DIMM 0",
    "Type: RAM",
    "Type Detail: Other",
    "Speed: Unknown",
    "Manufacturer: Bulkhead",
    "Rank: Unknown",
    "Memory Technology: Unknown",
    "Memory Operating Mode Capability: Unknown",
    "Non-Volatile Size: None",
    "Volatile Size: 8 GB",
    "Cache Size: None",
    "Logical Size: None",
    "Handle 0x1300, DMI type 19, 31 bytes",
    "Starting Address: 0x0000000000000000k",
    "Ending Address: 0x00000000BFFFFFFFk",
    "Range Size: 3 GB",
    "Physical Array Handle: 0x1000",
    "Partition Width: 1",
    "Handle 0x1301, DMI type 19, 31 bytes",
    "Starting Address: 0x0000000100000000k",
    "Ending Address: 0x000000023FFFFFFFk",
    "Range Size: 5 GB",
    "Physical Array Handle: 0x1000",
    "Partition Width: 1",
    "Handle 0x2000, DMI type 32, 11 bytes",
    "Status: No errors detected",
    "Handle 0x7F00, DMI type 127, 4 bytes",
};

TEST(dmidecode_reads_them) {
    char path[] = "/tmp/bulkhead-smbios-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    write_tables(3 * GIB, 5 * GIB, "rack 4");
    dump(path);
    check_dmidecode(path, full, ARRAY_SIZE(full));
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

TEST_MAIN(T(structures), T(wide_fields_say_the_same), T(dmidecode_reads_them), T(all_fields))
