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

static const uint8_t *write_tables(uint32_t cpus) {
    free(ram);
    ram = calloc(1, RAM);
    struct load load = {.low.at = ram, .start = {.rsdp = BASE, .vcpu_count = cpus}};
    acpi_write_tables(&load);
    return ram + BASE;
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
    CHECK_U64(sum(rsdp, 20), 0);
    CHECK_U64(sum(rsdp, 36), 0);
    CHECK(memcmp(rsdp, ram + ACPI_RSDP_SCAN, 36) == 0);
    const uint8_t *xsdt = ram + field(rsdp + 24, 8);
    CHECK(memcmp(xsdt, "XSDT", 4) == 0);
    CHECK_U64(field(xsdt + 4, 4), 36 + 2 * 8);
    CHECK_U64(sum(xsdt, 52), 0);
    table(rsdp, 0, "FACP");
    table(rsdp, 1, "APIC");
    const uint8_t *dsdt = table(rsdp, -1, "DSDT");
    CHECK(memcmp(dsdt, dsdt_aml, dsdt_aml_size) == 0);
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

static void dump(const char *dir, const char *name, const uint8_t *at) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL && fwrite(at, field(at + 4, 4), 1, f) == 1 && fclose(f) == 0);
}

/* iasl takes every table apart without a complaint and finds the DSDT's devices. */
TEST(iasl_reads_them) {
    char dir[] = "/tmp/bulkhead-acpi-XXXXXX", command[1024];
    const uint8_t *rsdp = write_tables(254);
    CHECK(mkdtemp(dir) != NULL);
    const uint8_t *facp = table(rsdp, 0, "FACP");
    dump(dir, "facp.dat", facp);
    dump(dir, "facs.dat", ram + field(facp + 36, 4));
    dump(dir, "apic.dat", table(rsdp, 1, "APIC"));
    dump(dir, "dsdt.dat", table(rsdp, -1, "DSDT"));
    dump(dir, "xsdt.dat", ram + field(rsdp + 24, 8));
    snprintf(command, sizeof(command),
             "cd %s && for t in facp facs apic dsdt xsdt; do"
             "  iasl -vs -d $t.dat >$t.log 2>&1 || { echo \"# $t:\"; cat $t.log; exit 1; };"
             "  if grep -iE 'error|warning|invalid|unknown|incorrect' $t.log; then exit 1; fi;"
             "done;"
             " grep -q 'Device (COM1)' dsdt.dsl && grep -q '_S5' dsdt.dsl &&"
             " grep -q 'PNP0000' dsdt.dsl &&"
             " grep -A 12 'Device (RTC)' dsdt.dsl | grep -q '{8}' &&"
             " grep -q 'Reset Register Supported (V2) : 1' facp.dsl",
             dir);
    CHECK_U64(system(command), 0);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    CHECK_U64(system(command), 0);
}

TEST_MAIN(T(roots), T(fadt), T(madt), T(iasl_reads_them))
