/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables that the loader writes: found from the RSDP, summed, compared with the
 * devices of hv/compartment/dev, and read by iasl as by an independent eye.
 */
#include <unistd.h>

#include "hv/compartment/dev/platform.h"
#include "hv/compartment/load/start.h"
#include "hv/vm/lapic.h"
#include "tests/unit/test.h"

#define RAM  (4 * MIB)
#define AREA BULKHEAD_TABLES_SIZE
#define BASE (RAM - AREA)

static uint8_t *ram;
static uint64_t field(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static uint8_t sum(const uint8_t *at, uint64_t n) {
    uint8_t total = 0;
    while (n-- > 0) {
        total = (uint8_t)(total + *at++);
    }
    return total;
}

#define WATCHDOG_SECONDS 30u

/* With a watchdog of so many seconds; 0 = without. */
static struct abi_devices devices;
static const uint8_t *write_tables_with(uint32_t cpus, uint32_t watchdog) {

    free(ram);
    ram = calloc(1, RAM);
    devices.watchdog = watchdog;
    struct load load = {
        .devices = &devices, .low.at = ram, .start = {.rsdp = BASE, .vcpu_count = cpus}};
    acpi_write_tables(&load);
    return ram + BASE;
}

static const uint8_t *write_tables(uint32_t cpus) {
    return write_tables_with(cpus, 0);
}

/* Table i of the XSDT, or with -1 the DSDT; checks its frame. */
static const uint8_t *table(const uint8_t *rsdp, int i, const char *signature) {
    const uint8_t *xsdt = ram + field(rsdp + 24, 8);
    const uint8_t *at = ram + field(xsdt + 36 + 8 * (i < 0 ? 0 : i), 8);
    if (i < 0) {
        at = ram + field(at + 40, 4);
    }
    uint64_t length = field(at + 4, 4);
    CHECK(memcmp(at, signature, 4) == 0);
    CHECK((uint64_t)(at - ram) >= BASE && length <= RAM - (uint64_t)(at - ram));
    CHECK_U64(sum(at, length), 0);
    return at;
}

TEST(roots) {
    const uint8_t *rsdp = write_tables(1);
    CHECK(memcmp(rsdp, "RSD PTR ", 8) == 0);
    CHECK_U64(rsdp[15], 2);
    CHECK_U64(field(rsdp + 20, 4), 36);
    CHECK_U64(sum(rsdp, 20), 0);
    CHECK_U64(sum(rsdp, 36), 0);
    CHECK_U64(field(rsdp + 33, 3), 0); /* reserved */
    CHECK(memcmp(rsdp, ram + ACPI_RSDP_SCAN, 36) == 0);
    const uint8_t *xsdt = ram + field(rsdp + 24, 8);
    CHECK(memcmp(xsdt, "XSDT", 4) == 0);
    CHECK_U64(field(xsdt + 4, 4), 36 + 3 * 8);
    CHECK_U64(xsdt[8], 1); /* its revision, by ACPI 6.5 "Extended System Description Table" */
    CHECK_U64(sum(xsdt, 60), 0);
    table(rsdp, 0, "FACP");
    table(rsdp, 1, "APIC");
    const uint8_t *mcfg = table(rsdp, 2, "MCFG");
    CHECK_U64(field(mcfg + 4, 4), 60);
    CHECK_U64(field(mcfg + 44, 8), PCI_PAGES);
    CHECK_U64(field(mcfg + 52, 8), 0); /* segment 0, bus 0 alone */
    const uint8_t *dsdt = table(rsdp, -1, "DSDT");
    uint64_t differs = 0; /* but in the sum, and the window for large BARs */
    for (uint32_t i = 0; i < dsdt_aml_size; i++) {
        differs += dsdt[i] != dsdt_aml[i];
    }
    CHECK(differs != 0 && differs < 1 + 3 * 8);
}

TEST(fadt) {
    const uint8_t *f = table(write_tables(1), 0, "FACP");
    CHECK_U64(field(f + 4, 4), 276);
    const uint8_t *facs = ram + field(f + 36, 4);
    CHECK(memcmp(facs, "FACS", 4) == 0 && field(facs + 4, 4) == 64);
    CHECK_U64((uint64_t)(facs - ram), RAM - PAGE_SIZE); /* a page of its own: e820 type 4 */
    CHECK_U64(sum(facs + 64, PAGE_SIZE - 64), 0);
    CHECK_U64(field(f + 140, 8), field(f + 40, 4));
    CHECK_U64(field(f + 46, 2), PM_SCI_IRQ);
    CHECK_U64(field(f + 48, 4), 0); /* no SMI */
    CHECK_U64(field(f + 56, 4), PM1A_EVENT_PORT);
    CHECK_U64(field(f + 64, 4), PM1A_CONTROL_PORT);
    CHECK_U64(field(f + 76, 4), PM_TIMER_PORT);
    CHECK_U64(field(f + 152, 8), PM1A_EVENT_PORT);
    CHECK_U64(field(f + 176, 8), PM1A_CONTROL_PORT);
    CHECK_U64(field(f + 212, 8), PM_TIMER_PORT);
    CHECK_U64(f[108], 0x32);
    CHECK_U64(field(f + 109, 2), 0x0005); /* legacy devices, no VGA, no 8042 */
    CHECK_U64(field(f + 116, 1), 1);
    CHECK_U64(field(f + 120, 8), RESET_PORT);
    CHECK_U64(f[128], RESET_VALUE);
    CHECK_U64(field(f + 112, 4), BIT(0) | BIT(2) | BIT(5) | BIT(8) | BIT(10));
}

TEST(madt) {
    const uint32_t counts[] = {1, 8, 254};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        const uint8_t *m = table(write_tables(counts[i]), 1, "APIC");
        uint64_t length = field(m + 4, 4), at = 44;
        uint32_t cpus = 0, ioapics = 0, overrides = 0;
        CHECK_U64(field(m + 36, 4), LAPIC_BASE);
        CHECK_U64(field(m + 40, 4), 1); /* 8259s as well */
        for (; at < length && m[at + 1] != 0; at += m[at + 1]) {
            if (m[at] == 0) {
                CHECK_U64(m[at + 3], cpus);
                CHECK_U64(field(m + at + 4, 4), 1);
                cpus++;
            } else if (m[at] == 1) {
                CHECK_U64(field(m + at + 4, 4), IOAPIC_BASE);
                CHECK_U64(field(m + at + 8, 4), 0);
                ioapics++;
            } else if (m[at] == 2) {
                bool sci = m[at + 3] == PM_SCI_IRQ; /* the other one is the timer */
                CHECK(sci || m[at + 3] == PIT_IRQ);
                CHECK_U64(field(m + at + 4, 4), sci ? PM_SCI_IRQ : 2);
                CHECK_U64(field(m + at + 8, 2), sci ? 0x000d : 0x0005);
                overrides++;
            }
        }
        CHECK_U64(at, length);
        CHECK_U64(cpus, counts[i]);
        CHECK_U64(ioapics, 1);
        CHECK_U64(overrides, 2);
    }
}

/* Action, operation, register, its bytes; value and mask. */
static const struct {
    uint8_t action, operation;
    uint16_t port;
    uint8_t bytes;
    uint32_t value, mask;
} wdat_entries[] = {
    {1, 2, WATCHDOG_PORT + WATCHDOG_FEED, 1, 1, 0xff},
    {4, 1, WATCHDOG_PORT + WATCHDOG_LEFT, 4, 0, UINT32_MAX},
    {5, 1, WATCHDOG_PORT + WATCHDOG_COUNT, 4, 0, UINT32_MAX},
    {6, 3, WATCHDOG_PORT + WATCHDOG_COUNT, 4, 0, UINT32_MAX},
    {8, 0, WATCHDOG_PORT + WATCHDOG_CONTROL, 1, 1, 1},
    {9, 2, WATCHDOG_PORT + WATCHDOG_CONTROL, 1, 1, 1},
    {10, 0, WATCHDOG_PORT + WATCHDOG_CONTROL, 1, 0, 1},
    {11, 2, WATCHDOG_PORT + WATCHDOG_CONTROL, 1, 0, 1},
    {32, 0, WATCHDOG_PORT + WATCHDOG_STATUS, 1, 1, 1},
    {33, 2, WATCHDOG_PORT + WATCHDOG_STATUS, 1, 0, 1},
};

/* Linux wants all of these: drivers/watchdog/wdat_wdt.c, drivers/acpi/acpi_watchdog.c. */
TEST(wdat) {
    const uint8_t *rsdp = write_tables_with(254, WATCHDOG_SECONDS);
    const uint8_t *xsdt = ram + field(rsdp + 24, 8);
    CHECK_U64(field(xsdt + 4, 4), 36 + 4 * 8);
    CHECK_U64(sum(xsdt, 68), 0);
    table(rsdp, 0, "FACP");
    table(rsdp, 1, "APIC");
    table(rsdp, 2, "MCFG");
    const uint8_t *w = table(rsdp, 3, "WDAT");
    CHECK_U64(field(w + 4, 4), 68 + 24 * ARRAY_SIZE(wdat_entries));
    CHECK_U64(field(w + 36, 4), 32);
    CHECK_U64(field(w + 40, 2), 0xff); /* not a PCI device: segment, bus, device, function */
    CHECK_U64(field(w + 42, 3), 0xffffff);
    CHECK_U64(field(w + 48, 4), 1000 / WATCHDOG_HZ);
    CHECK_U64(field(w + 52, 4), WATCHDOG_SECONDS * WATCHDOG_HZ);
    CHECK_U64(field(w + 56, 4), 1);
    CHECK_U64(w[60], 1); /* enabled */
    CHECK_U64(field(w + 64, 4), ARRAY_SIZE(wdat_entries));
    for (unsigned i = 0; i < ARRAY_SIZE(wdat_entries); i++) {
        const uint8_t *e = w + 68 + 24 * i;
        CHECK_U64(e[0], wdat_entries[i].action);
        CHECK_U64(e[1], wdat_entries[i].operation);
        CHECK_U64(field(e + 2, 2), 0);
        CHECK_U64(e[4], 1); /* a port */
        CHECK_U64(e[5], 8u * wdat_entries[i].bytes);
        CHECK_U64(e[6], 0);
        CHECK_U64(1u << (e[7] - 1), wdat_entries[i].bytes);
        CHECK_U64(field(e + 8, 8), wdat_entries[i].port);
        CHECK_U64(field(e + 16, 4), wdat_entries[i].value);
        CHECK_U64(field(e + 20, 4), wdat_entries[i].mask);
    }
}

static void dump(const char *dir, const char *name, const uint8_t *at) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL && fwrite(at, field(at + 4, 4), 1, f) == 1 && fclose(f) == 0);
}

/* What iasl reads, in order; fields that are 0 for want of such hardware are left out. */
static const char *const fadt_fields[] = {
    "Revision : 06",
    "Model : 00",
    "PM Profile : 04 [Enterprise Server]",
    "SCI Interrupt : 0009",
    "SMI Command Port : 00000000",
    "ACPI Enable Value : 00",
    "ACPI Disable Value : 00",
    "S4BIOS Command : 00",
    "P-State Control : 00",
    "PM1A Event Block Address : 00000600",
    "PM1A Control Block Address : 00000604",
    "PM Timer Block Address : 00000608",
    "PM1 Event Block Length : 04",
    "PM1 Control Block Length : 02",
    "PM Timer Block Length : 04",
    "_CST Support : 00",
    "C2 Latency : 0065",
    "C3 Latency : 03E9",
    "CPU Cache Size : 0000",
    "Cache Flush Stride : 0000",
    "Duty Cycle Offset : 00",
    "Duty Cycle Width : 00",
    "RTC Day Alarm Index : 00",
    "RTC Month Alarm Index : 00",
    "RTC Century Index : 32",
    "Boot Flags (decoded below) : 0005",
    "Legacy Devices Supported (V2) : 1",
    "8042 Present on ports 60/64 (V2) : 0",
    "VGA Not Present (V4) : 1",
    "MSI Not Supported (V4) : 0",
    "PCIe ASPM Not Supported (V4) : 0",
    "CMOS RTC Not Present (V5) : 0",
    "Reserved : 00",
    "Flags (decoded below) : 00000525",
    "WBINVD instruction is operational (V1) : 1",
    "WBINVD flushes all caches (V1) : 0",
    "All CPUs support C1 (V1) : 1",
    "C2 works on MP system (V1) : 0",
    "Control Method Power Button (V1) : 0",
    "Control Method Sleep Button (V1) : 1",
    "RTC wake not in fixed reg space (V1) : 0",
    "RTC can wake system from S4 (V1) : 0",
    "32-bit PM Timer (V1) : 1",
    "Docking Supported (V1) : 0",
    "Reset Register Supported (V2) : 1",
    "Sealed Case (V3) : 0",
    "Headless - No Video (V3) : 0",
    "Use native instr after SLP_TYPx (V3) : 0",
    "PCIEXP_WAK Bits Supported (V4) : 0",
    "Use Platform Timer (V4) : 0",
    "RTC_STS valid on S4 wake (V4) : 0",
    "Remote Power-on capable (V4) : 0",
    "Use APIC Cluster Model (V4) : 0",
    "Use APIC Physical Destination Mode (V4) : 0",
    "Hardware Reduced (V5) : 0",
    "Low Power S0 Idle (V5) : 0",
    "Reset Register :",
    "Space ID : 01 [SystemIO]",
    "Bit Width : 08",
    "Bit Offset : 00",
    "Encoded Access Width : 01 [Byte Access:8]",
    "Address : 0000000000000CF9",
    "Value to cause reset : 06",
    "FADT Minor Revision : 03",
    "PM1A Event Block :",
    "Space ID : 01 [SystemIO]",
    "Bit Width : 20",
    "Bit Offset : 00",
    "Encoded Access Width : 02 [Word Access:16]",
    "Address : 0000000000000600",
    "PM1A Control Block :",
    "Space ID : 01 [SystemIO]",
    "Bit Width : 10",
    "Bit Offset : 00",
    "Encoded Access Width : 02 [Word Access:16]",
    "Address : 0000000000000604",
    "PM Timer Block :",
    "Space ID : 01 [SystemIO]",
    "Bit Width : 20",
    "Bit Offset : 00",
    "Encoded Access Width : 03 [DWord Access:32]",
    "Address : 0000000000000608",
};

static const char *const madt_fields[] = {
    "Revision : 05",
    "Local Apic Address : FEE00000",
    "Flags (decoded below) : 00000001",
    "PC-AT Compatibility : 1",
    "Subtable Type : 01",
    "Length : 0C",
    "I/O Apic ID : 00",
    "Reserved : 00",
    "Address : FEC00000",
    "Interrupt : 00000000",
    "Subtable Type : 02",
    "Length : 0A",
    "Bus : 00",
    "Source : 00",
    "Interrupt : 00000002",
    "Flags (decoded below) : 0005",
    "Polarity : 1",
    "Trigger Mode : 1",
    "Subtable Type : 02",
    "Length : 0A",
    "Bus : 00",
    "Source : 09",
    "Interrupt : 00000009",
    "Flags (decoded below) : 000D",
    "Polarity : 1",
    "Trigger Mode : 3",
    "Subtable Type : 04",
    "Length : 06",
    "Processor ID : FF",
    "Flags (decoded below) : 0000",
    "Polarity : 0",
    "Trigger Mode : 0",
    "Interrupt Input LINT : 01",
    "Subtable Type : 00",
    "Length : 08",
    "Processor ID : 00",
    "Local Apic ID : 00",
    "Flags (decoded below) : 00000001",
    "Processor Enabled : 1",
    "Runtime Online Capable : 0",
};

static const char *const wdat_fields[] = {
    "Header Length : 00000020",
    "PCI Segment : 00FF",
    "PCI Bus : FF",
    "PCI Device : FF",
    "PCI Function : FF",
    "Timer Period : 00000064",
    "Max Count : 0000012C",
    "Min Count : 00000001",
    "Enabled : 1",
    "Stopped When Asleep : 0",
    "Watchdog Entry Count : 0000000A",
    "Watchdog Action : 01",
    "Instruction : 02",
    "Space ID : 01 [SystemIO]",
    "Encoded Access Width : 01 [Byte Access:8]",
    "Address : 0000000000000629",
};

static const char *const facs_fields[] = {
    "Length : 00000040",
    "Hardware Signature : 00000000",
    "32 Firmware Waking Vector : 00000000",
    "Global Lock : 00000000",
    "Flags (decoded below) : 00000000",
    "S4BIOS Support Present : 0",
    "64-bit Wake Supported (V2) : 0",
    "64 Firmware Waking Vector : 0000000000000000",
    "Version : 02",
    "Reserved : 000000",
    "OspmFlags (decoded below) : 00000000",
    "64-bit Wake Env Required (V2) : 0",
};

/* These fields with these values are in a table as iasl writes it, in this order. */
static void check_fields(const char *dir, const char *name, const char *const fields[],
                         size_t count) {
    char path[128], line[256];
    size_t seen = 0;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    while (seen < count && fgets(line, sizeof(line), f) != NULL) {
        const char *at = line[0] == '[' ? strchr(line, ']') + 1 : line;
        at += strspn(at, " ");
        seen += strncmp(at, fields[seen], strlen(fields[seen])) == 0;
    }
    if (seen < count) {
        printf("# not in the rest of %s: %s\n", name, fields[seen]);
    }
    CHECK_U64(seen, count);
    fclose(f);
}

/* A QWordMemory by its first bytes; NULL = there is not exactly one. */
static const uint8_t *find_qword(const uint8_t *dsdt) {
    const uint8_t *found = NULL;
    unsigned count = 0;
    for (const uint8_t *at = dsdt; at < dsdt + dsdt_aml_size - 46; at++) {
        if (at[0] == 0x8a && field(at + 1, 2) == 43) {
            found = at;
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

/* Where large BARs may be stands in the one that _CRS gives if it is of any size. */
TEST(window_above_4_gib) {
    const uint64_t bases[] = {4 * GIB, 0x8000000000, 0}, sizes[] = {GIB, 64 * GIB, 0};
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        devices.pci_high = bases[i];
        devices.pci_high_size = sizes[i];
        const uint8_t *at = find_qword(table(write_tables(1), -1, "DSDT"));
        CHECK(at != NULL);
        CHECK_U64(at[3], 0);                    /* memory */
        CHECK_U64(field(at + 4, 2) & 0xc, 0xc); /* both ends are fixed */
        CHECK_U64(field(at + 14, 8), bases[i]);
        CHECK_U64(field(at + 22, 8), sizes[i] != 0 ? bases[i] + sizes[i] - 1 : 0);
        CHECK_U64(field(at + 38, 8), sizes[i]);
    }
}

/* The DSDT, which no C header reaches, says where the devices are; "flat" is without blanks. */
static void check_windows(const char *dir) {
    const struct {
        const char *form;
        uint32_t base, size;
    } windows[] = {
        {"WordIO(.*0x0000,//Granularity0x%04X,//RangeMinimum0x%04X,//RangeMaximum"
         "0x0000,//TranslationOffset0x%04X,//Length",
         PCI_PORTS, PCI_PORTS_SIZE},
        {"DWordMemory(.*0x00000000,//Granularity0x%08X,//RangeMinimum0x%08X,//RangeMaximum"
         "0x00000000,//TranslationOffset0x%08X,//Length",
         PCI_MEMORY, PCI_MEMORY_SIZE},
        {"PNP0C02.*Memory32Fixed(ReadWrite,0x%1$08X,//AddressBase0x%3$08X,//AddressLength",
         PCI_PAGES, PCI_PAGES_SIZE},
    };
    char form[256], command[512];

    for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
        uint32_t base = windows[i].base, size = windows[i].size;
        snprintf(form, sizeof(form), windows[i].form, base, base + size - 1, size);
        snprintf(command, sizeof(command), "grep -q '%s' %s/flat", form, dir);
        CHECK_U64(system(command), 0);
    }
}

/* It takes every table apart without a complaint and finds the DSDT's devices. */
static void read_by_iasl(uint64_t high, uint64_t high_size) {
    char dir[] = "/tmp/bulkhead-acpi-XXXXXX", command[1024];
    devices.pci_high = high;
    devices.pci_high_size = high_size;
    const uint8_t *rsdp = write_tables_with(254, WATCHDOG_SECONDS);
    CHECK(mkdtemp(dir) != NULL);
    const uint8_t *facp = table(rsdp, 0, "FACP");
    dump(dir, "facp.dat", facp);
    dump(dir, "facs.dat", ram + field(facp + 36, 4));
    dump(dir, "apic.dat", table(rsdp, 1, "APIC"));
    dump(dir, "mcfg.dat", table(rsdp, 2, "MCFG"));
    dump(dir, "wdat.dat", table(rsdp, 3, "WDAT"));
    dump(dir, "dsdt.dat", table(rsdp, -1, "DSDT"));
    dump(dir, "xsdt.dat", ram + field(rsdp + 24, 8));
    snprintf(command, sizeof(command),
             "cd %s && for t in facp facs apic mcfg wdat dsdt xsdt; do"
             "  iasl -vs -d $t.dat >$t.log 2>&1 || { echo \"# $t:\"; cat $t.log; exit 1; };"
             "  if grep -iE 'error|warning|invalid|unknown|incorrect' $t.log; then exit 1; fi;"
             "done;"
             " grep -q 'Device (COM1)' dsdt.dsl && grep -q '_S5' dsdt.dsl &&"
             " grep -q 'PNP0000' dsdt.dsl && grep -q 'PNP0C02' dsdt.dsl &&"
             " tr -d ' \\n' <dsdt.dsl >flat && for slot in $(seq 1 31); do"
             "  row=$(printf '0x%%08X,Zero,Zero,0x' $((slot << 16 | 0xffff)));"
             "  grep -q \"$row$(printf %%02X $((16 + slot %% 4)))\" flat &&"
             "  grep -q \"$row$(printf %%02X $((10 + slot %% 2)))\" flat || exit 1; done &&"
             " grep -A 12 'Device (RTC)' dsdt.dsl | grep -q '{8}' &&"
             " grep -q 'Reset Register Supported (V2) : 1' facp.dsl",
             dir);
    CHECK_U64(system(command), 0);
    check_windows(dir);
    snprintf(command, sizeof(command),
             "grep -q 'QWordMemory(.*0x%016llX,//RangeMinimum0x%016llX,//RangeMaximum"
             "0x0000000000000000,//TranslationOffset0x%016llX,//Length' %s/flat &&"
             " grep -q 'If(HLEN){Return(ALLW)[^}]*}Return(LOWW)' %s/flat",
             (ull)high, (ull)(high_size != 0 ? high + high_size - 1 : 0), (ull)high_size, dir, dir);
    CHECK_U64(system(command), 0);
    check_fields(dir, "facp.dsl", fadt_fields, ARRAY_SIZE(fadt_fields));
    check_fields(dir, "apic.dsl", madt_fields, ARRAY_SIZE(madt_fields));
    check_fields(dir, "wdat.dsl", wdat_fields, ARRAY_SIZE(wdat_fields));
    check_fields(dir, "facs.dsl", facs_fields, ARRAY_SIZE(facs_fields));
    snprintf(command, sizeof(command), "rm -r %s", dir);
    CHECK_U64(system(command), 0);
}

TEST(iasl_reads_them) {
    read_by_iasl(0, 0);
    read_by_iasl(0x8000000000, 64 * GIB);
}

TEST_MAIN(T(roots), T(fadt), T(madt), T(wdat), T(window_above_4_gib), T(iasl_reads_them))
