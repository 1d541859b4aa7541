/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the ACPI tables: the machine they describe is the one that the hypervisor models (fixed
 * hardware, no SMI); hv/compartment/dev/platform.h has the same numbers, and the unit test compares
 * them. Called before the kernel starts. Source: ACPI Specification 6.3 "ACPI Software Programming
 * Model", "Fixed ACPI Description Table (FADT)", "Multiple APIC Description Table (MADT)";
 * Microsoft, "Hardware Watchdog Timers Design Specification", "Watchdog Action Table".
 */
#include "hv/compartment/load/start.h"

/* The machine. */
enum {
    PM1A_EVENT = 0x600,
    PM1A_CONTROL = 0x604,
    PM_TIMER = 0x608,
    SCI_IRQ = 9,
    TIMER_PIN = 2, /* of the I/O APIC */
    RESET_CONTROL = 0xcf9,
    RESET_VALUE_CF9 = 0x06,
    BUS_FIRST = 0,
    BUS_LAST = 0,
    WATCHDOG_TICKS = 10, /* a second */
    WATCHDOG_COUNT = 0x620,
    WATCHDOG_LEFT = 0x624,
    WATCHDOG_CONTROL = 0x628,
    WATCHDOG_FEED = 0x629,
    WATCHDOG_STATUS = 0x62a,
};
#define PCAT_COMPAT 1 /* there are 8259s as well */

/* Places in the area: the first page, DSDT, FACS in the last page. */
enum { XSDT_AT = 0x040, FADT_AT = 0x0a0, MCFG_AT = 0x1c0, MADT_AT = 0x200, WDAT_AT = 0xb00 };
#define DSDT_AT PAGE_SIZE
#define FACS_AT (BULKHEAD_TABLES_SIZE - PAGE_SIZE)

enum {
    HEADER_SIZE = 36,
    RSDP_SIZE = 36,
    RSDP_V1_SIZE = 20,
    FADT_SIZE = 276,
    FACS_SIZE = 64,
    MCFG_SIZE = 60,
    WDAT_SIZE = 68, /* without its entries */
    WDAT_ENTRY = 24
};
enum { CHECKSUM = 9 }; /* offset in each */
enum { QWORD_FIRST = 14, QWORD_LAST = 22, QWORD_LENGTH = 38, QWORD_SIZE = 46 };
enum { FADT_FACS = 36, FADT_DSDT = 40, FADT_X_DSDT = 140 }; /* offsets */

/* Generic address structure in I/O space, less the upper half of the address, which is 0. */
#define IO_REGISTER(port, bits, access)                                                            \
    (0x01 | (bits) << 8 | (access) << 24 | (uint64_t)(port) << 32)

/* Fields of the FADT that are the same for every guest; all others are 0. */
static const struct {
    uint16_t offset;
    uint8_t bytes;
    uint64_t value;
} fadt_fields[] = {
    {45, 1, 4},                /* profile: enterprise server */
    {46, 2, SCI_IRQ},          /* SCI_INT */
    {56, 4, PM1A_EVENT},       /* PM1a_EVT_BLK */
    {64, 4, PM1A_CONTROL},     /* PM1a_CNT_BLK */
    {76, 4, PM_TIMER},         /* PM_TMR_BLK */
    {88, 1, 4},                /* PM1_EVT_LEN */
    {89, 1, 2},                /* PM1_CNT_LEN */
    {91, 1, 4},                /* PM_TMR_LEN */
    {96, 2, 101},              /* P_LVL2_LAT: above 100 there is no C2 */
    {98, 2, 1001},             /* P_LVL3_LAT: above 1000 there is no C3 */
    {108, 1, 0x32},            /* CENTURY: its byte in the CMOS clock */
    {109, 2, BIT(0) | BIT(2)}, /* IAPC_BOOT_ARCH: legacy devices, no VGA */
    /* Flags: WBINVD, C1, power button and RTC wake in PM1 but no sleep button there, 32-bit timer,
       reset register. */
    {112, 4, BIT(0) | BIT(2) | BIT(5) | BIT(8) | BIT(10)},
    {116, 8, IO_REGISTER(RESET_CONTROL, 8, 1)}, /* RESET_REG */
    {128, 1, RESET_VALUE_CF9},
    {131, 1, 3},                                /* minor version: 6.3 */
    {148, 8, IO_REGISTER(PM1A_EVENT, 32, 2)},   /* X_PM1a_EVT_BLK */
    {172, 8, IO_REGISTER(PM1A_CONTROL, 16, 2)}, /* X_PM1a_CNT_BLK */
    {208, 8, IO_REGISTER(PM_TIMER, 32, 3)},     /* X_PM_TMR_BLK */
};

#define BYTES16(x) (x) & 0xff, (x) >> 8 & 0xff
#define BYTES32(x) BYTES16(x), (x) >> 16 & 0xff, (x) >> 24 & 0xff

/* What is the same for every guest; the second byte is the length. */
static const uint8_t madt_entries[][12] = {
    /* I/O APIC: ID 0, reserved, address, first interrupt. */
    {1, 12, 0, 0, BYTES32(IOAPIC_ADDRESS), BYTES32(0)},
    /* Interrupt source overrides: ISA, source, interrupt, flags. The timer: active high, edge. */
    {2, 10, 0, 0, BYTES32(TIMER_PIN), BYTES16(0x05)},
    /* Active high, level. */
    {2, 10, 0, SCI_IRQ, BYTES32(SCI_IRQ), BYTES16(0x0d)},
    /* Local APIC NMI: all processors, flags, LINT1. */
    {4, 6, 0xff, BYTES16(0), 1},
};

enum wdat_action {
    WDAT_FEED = 1,
    WDAT_GET_LEFT = 4,
    WDAT_GET_COUNT = 5,
    WDAT_SET_COUNT = 6,
    WDAT_IS_RUNNING = 8,
    WDAT_START = 9,
    WDAT_IS_STOPPED = 10,
    WDAT_STOP = 11,
    WDAT_HAS_BITTEN = 32,
    WDAT_SET_BITTEN = 33
};
enum wdat_operation { WDAT_READ = 0, WDAT_READ_COUNT = 1, WDAT_WRITE = 2, WDAT_WRITE_COUNT = 3 };

/* A read is compared with the value under the mask; a count is what is read or written. */
static const struct {
    uint8_t action, operation;
    uint64_t at; /* generic address */
    uint32_t value, mask;
} wdat_entries[] = {
    {WDAT_FEED, WDAT_WRITE, IO_REGISTER(WATCHDOG_FEED, 8, 1), 1, 0xff},
    {WDAT_GET_LEFT, WDAT_READ_COUNT, IO_REGISTER(WATCHDOG_LEFT, 32, 3), 0, UINT32_MAX},
    {WDAT_GET_COUNT, WDAT_READ_COUNT, IO_REGISTER(WATCHDOG_COUNT, 32, 3), 0, UINT32_MAX},
    {WDAT_SET_COUNT, WDAT_WRITE_COUNT, IO_REGISTER(WATCHDOG_COUNT, 32, 3), 0, UINT32_MAX},
    {WDAT_IS_RUNNING, WDAT_READ, IO_REGISTER(WATCHDOG_CONTROL, 8, 1), 1, 1},
    {WDAT_START, WDAT_WRITE, IO_REGISTER(WATCHDOG_CONTROL, 8, 1), 1, 1},
    {WDAT_IS_STOPPED, WDAT_READ, IO_REGISTER(WATCHDOG_CONTROL, 8, 1), 0, 1},
    {WDAT_STOP, WDAT_WRITE, IO_REGISTER(WATCHDOG_CONTROL, 8, 1), 0, 1},
    {WDAT_HAS_BITTEN, WDAT_READ, IO_REGISTER(WATCHDOG_STATUS, 8, 1), 1, 1},
    {WDAT_SET_BITTEN, WDAT_WRITE, IO_REGISTER(WATCHDOG_STATUS, 8, 1), 0, 1},
};

/* The fields before them; the segment is of 2 bytes. */
enum {
    WDAT_HEADER = 36,  /* its length */
    WDAT_SEGMENT = 40, /* and bus, device, function: all ones, no PCI device */
    WDAT_PERIOD = 48,  /* ms */
    WDAT_MOST = 52,
    WDAT_LEAST = 56,
    WDAT_FLAGS = 60,
    WDAT_COUNT = 64
};
#define WDAT_NO_SEGMENT 0x00ffu
#define WDAT_NO_DEVICE  0xffffffu
#define WDAT_ENABLED    1

static uint8_t acpi_checksum(const uint8_t *bytes, size_t n) {
    uint8_t sum = 0;
    while (n-- > 0) {
        sum = (uint8_t)(sum - bytes[n]);
    }
    return sum;
}

/* Gives a table its header, once everything else is in place. */
static void acpi_finish(uint8_t *table, const char *signature, uint8_t revision, size_t length) {
    static const char maker[] = "BULKHDBULKHEAD\1\0\0\0BLKH\1\0\0"; /* IDs and revisions */
    _Static_assert(sizeof(maker) == HEADER_SIZE - 10, "ACPI table header");
    memcpy(table, signature, 4);
    number_put(table + 4, length, 4);
    table[8] = revision;
    memcpy(table + 10, maker, sizeof(maker));
    table[9] = acpi_checksum(table, length);
}

static void acpi_fill_rsdp(uint8_t *rsdp, uint64_t base) {
    memcpy(rsdp, "RSD PTR \0BULKHD\2", 16); /* revision 2 */
    number_put(rsdp + RSDP_V1_SIZE, RSDP_SIZE, 4);
    number_put(rsdp + 24, base + XSDT_AT, 8);
    rsdp[8] = acpi_checksum(rsdp, RSDP_V1_SIZE);
    rsdp[32] = acpi_checksum(rsdp, RSDP_SIZE);
}

static void acpi_fill_xsdt(uint8_t *xsdt, uint64_t base, bool watchdog) {
    static const uint16_t tables[] = {FADT_AT, MADT_AT, MCFG_AT, WDAT_AT};
    size_t count = ARRAY_SIZE(tables) - (watchdog ? 0 : 1);

    for (size_t i = 0; i < count; i++) {
        number_put(xsdt + HEADER_SIZE + 8 * i, base + tables[i], 8);
    }
    acpi_finish(xsdt, "XSDT", 1, HEADER_SIZE + 8 * count);
}

static void acpi_fill_fadt(uint8_t *fadt, uint64_t base) {
    for (size_t i = 0; i < ARRAY_SIZE(fadt_fields); i++) {
        number_put(fadt + fadt_fields[i].offset, fadt_fields[i].value, fadt_fields[i].bytes);
    }
    number_put(fadt + FADT_FACS, base + FACS_AT, 4);
    number_put(fadt + FADT_DSDT, base + DSDT_AT, 4);
    number_put(fadt + FADT_X_DSDT, base + DSDT_AT, 8);
    acpi_finish(fadt, "FACP", 6, FADT_SIZE);
}

/* Source: PCI Firmware Specification "MCFG Table Description". */
static void acpi_fill_mcfg(uint8_t *mcfg) {
    uint8_t *entry = mcfg + HEADER_SIZE + 8;

    number_put(entry, PCI_PAGES, 8);
    entry[10] = BUS_FIRST;
    entry[11] = BUS_LAST;
    acpi_finish(mcfg, "MCFG", 1, MCFG_SIZE);
}

static uint8_t *acpi_append(uint8_t *at, const uint8_t *entry) {
    memcpy(at, entry, entry[1]);
    return at + entry[1];
}

static void acpi_fill_madt(uint8_t *madt, uint32_t cpu_count) {
    uint8_t *at = madt + HEADER_SIZE + 8;
    number_put(madt + HEADER_SIZE, LAPIC_ADDRESS, 4);
    number_put(madt + HEADER_SIZE + 4, PCAT_COMPAT, 4);
    for (size_t i = 0; i < ARRAY_SIZE(madt_entries); i++) {
        at = acpi_append(at, madt_entries[i]);
    }
    for (uint32_t i = 0; i < cpu_count; i++) {
        /* Local APIC: processor, APIC ID, enabled. */
        at = acpi_append(at, (const uint8_t[]){0, 8, (uint8_t)i, (uint8_t)i, BYTES32(1)});
    }
    acpi_finish(madt, "APIC", 5, (size_t)(at - madt));
}

static void acpi_fill_wdat(uint8_t *wdat, uint32_t seconds) {
    uint8_t *at = wdat + WDAT_SIZE;

    number_put(wdat + WDAT_HEADER, WDAT_SIZE - HEADER_SIZE, 4);
    number_put(wdat + WDAT_SEGMENT, WDAT_NO_SEGMENT, 2);
    number_put(wdat + WDAT_SEGMENT + 2, WDAT_NO_DEVICE, 3);
    number_put(wdat + WDAT_PERIOD, 1000 / WATCHDOG_TICKS, 4);
    number_put(wdat + WDAT_MOST, (uint64_t)seconds * WATCHDOG_TICKS, 4);
    number_put(wdat + WDAT_LEAST, 1, 4);
    number_put(wdat + WDAT_FLAGS, WDAT_ENABLED, 1);
    number_put(wdat + WDAT_COUNT, ARRAY_SIZE(wdat_entries), 4);
    for (size_t i = 0; i < ARRAY_SIZE(wdat_entries); i++, at += WDAT_ENTRY) {
        number_put(at, wdat_entries[i].action, 1);
        number_put(at + 1, wdat_entries[i].operation, 1);
        number_put(at + 4, wdat_entries[i].at, 8);
        number_put(at + 16, wdat_entries[i].value, 4);
        number_put(at + 20, wdat_entries[i].mask, 4);
    }
    acpi_finish(wdat, "WDAT", 1, WDAT_SIZE + WDAT_ENTRY * ARRAY_SIZE(wdat_entries));
}

/* A QWordMemory of a resource template: its first bytes, and offsets in it. Source: ACPI
 * Specification "QWord Address Space Descriptor". */
static const uint8_t qword_memory[] = {0x8a, BYTES16(QWORD_SIZE - 3), 0};

/* The window for large BARs, of which the DSDT has one; of size 0: the guest has none. */
static void acpi_put_window(uint8_t *dsdt, uint64_t base, uint64_t size) {
    for (uint32_t at = HEADER_SIZE; at + QWORD_SIZE <= dsdt_aml_size; at++) {
        if (memcmp(dsdt + at, qword_memory, sizeof(qword_memory)) == 0) {
            number_put(dsdt + at + QWORD_FIRST, base, 8);
            number_put(dsdt + at + QWORD_LAST, size != 0 ? base + (size - 1) : 0, 8);
            number_put(dsdt + at + QWORD_LENGTH, size, 8);
        }
    }
    dsdt[CHECKSUM] = 0;
    dsdt[CHECKSUM] = acpi_checksum(dsdt, dsdt_aml_size);
}

void acpi_write_tables(struct load *l) {
    const uint64_t base = l->start.rsdp;
    uint8_t *page = load_known(l, base);
    uint8_t *facs = page + FACS_AT;

    memset(page, 0, BULKHEAD_TABLES_SIZE);
    acpi_fill_xsdt(page + XSDT_AT, base, l->devices->watchdog != 0);
    acpi_fill_fadt(page + FADT_AT, base);
    acpi_fill_mcfg(page + MCFG_AT);
    acpi_fill_madt(page + MADT_AT, l->start.vcpu_count);
    if (l->devices->watchdog != 0) {
        acpi_fill_wdat(page + WDAT_AT, l->devices->watchdog);
    }
    acpi_fill_rsdp(page, base);

    memcpy(facs, "FACS", 4); /* has no checksum */
    number_put(facs + 4, FACS_SIZE, 4);
    facs[32] = 2; /* version */

    memcpy(page + DSDT_AT, dsdt_aml, dsdt_aml_size);
    acpi_put_window(page + DSDT_AT, l->devices->pci_high, l->devices->pci_high_size);
    memcpy(load_known(l, ACPI_RSDP_SCAN), page, RSDP_SIZE);
}
