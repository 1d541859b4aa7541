/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds a guest's ACPI tables, piece by piece, straight into its memory: the machine they describe
 * is that of hv/dev (fixed hardware, no SMI, no 8259, no PIT). Called by vm start before the guest
 * runs; no input comes from a guest.
 * Source: ACPI Specification 6.3 "ACPI Software Programming Model", "Fixed ACPI Description Table
 * (FADT)", "Multiple APIC Description Table (MADT)".
 */
#include "hv/vm/acpi.h"

#include "hv/dev/ioapic.h"
#include "hv/dev/lapic.h"
#include "hv/dev/platform.h"
#include "hv/lib/str.h"

#define PACKED __attribute__((packed))

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI table header");

struct acpi_rsdp {
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} PACKED;
_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");

/* Generic address structure. */
struct acpi_address {
    uint8_t space; /* 1 = I/O */
    uint8_t bits;
    uint8_t offset;
    uint8_t access; /* 1 byte, 2 word, 3 dword */
    uint64_t address;
} PACKED;

struct acpi_fadt {
    struct acpi_header header;
    uint32_t firmware_ctrl, dsdt;
    uint8_t reserved0, profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
    uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
    uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t reserved1;
    uint32_t flags;
    struct acpi_address reset;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor_version;
    uint64_t x_firmware_ctrl, x_dsdt;
    struct acpi_address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
        x_gpe1, sleep_control, sleep_status;
    uint64_t hypervisor;
} PACKED;
_Static_assert(offsetof(struct acpi_fadt, boot_arch) == 109, "FADT");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116, "FADT");
_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT");

struct acpi_facs {
    char signature[4];
    uint32_t length, hardware_signature, waking_vector, global_lock, flags;
    uint64_t x_waking_vector;
    uint8_t version;
    uint8_t reserved[31];
};
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

struct madt_head {
    struct acpi_header header;
    uint32_t local_apic, flags;
} PACKED;

struct madt_lapic {
    uint8_t type, length, processor, apic_id;
    uint32_t flags;
} PACKED;

struct madt_x2apic {
    uint8_t type, length;
    uint16_t reserved;
    uint32_t apic_id, flags, processor;
} PACKED;

/* What follows the processors. */
struct madt_tail {
    struct {
        uint8_t type, length, id, reserved;
        uint32_t address, gsi_base;
    } PACKED ioapic;
    struct {
        uint8_t type, length, bus, source;
        uint32_t gsi;
        uint16_t flags;
    } PACKED sci;
    struct {
        uint8_t type, length, processor;
        uint16_t flags;
        uint8_t lint;
    } PACKED nmi;
} PACKED;
_Static_assert(sizeof(struct madt_tail) == 12 + 10 + 6, "MADT");

#define FADT_PROFILE_SERVER  4
#define FADT_LEGACY_DEVICES  BIT32(0)
#define FADT_NO_VGA          BIT32(2)
#define FADT_WBINVD          BIT32(0)
#define FADT_PROC_C1         BIT32(2)
#define FADT_NO_POWER_BUTTON BIT32(4)
#define FADT_NO_SLEEP_BUTTON BIT32(5)
#define FADT_NO_FIXED_RTC    BIT32(6)
#define FADT_PM_TIMER_32BIT  BIT32(8)
#define FADT_RESET_REGISTER  BIT32(10)
#define FADT_NO_C2           101  /* microseconds: above 100 there is no C2 */
#define FADT_NO_C3           1001 /* above 1000 there is no C3 */
#define FADT_CENTURY         0x32
#define MADT_ENABLED         BIT32(0)
#define MADT_HIGH_LEVEL      0x0d /* active high, level */
#define MADT_ALL_PROCESSORS  0xff
#define MADT_FIRST_X2APIC    255

#define IO_ADDRESS(port, n, width)                                                                 \
    { .space = 1, .bits = (n), .access = (width), .address = (port) }

/* Where the next table goes, and the sum of the bytes of the one that is being written. */
struct acpi_writer {
    const struct gmem *mem;
    uint64_t next, end; /* gpa */
    uint64_t table;
    uint8_t sum;
    enum status status; /* the first failure; after it nothing more is written */
};

static void acpi_put(struct acpi_writer *w, const void *bytes, size_t n) {
    if (w->status == STATUS_OK && n > w->end - w->next) {
        w->status = STATUS_NO_MEMORY;
    }
    if (w->status != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        w->sum = (uint8_t)(w->sum + ((const uint8_t *)bytes)[i]);
    }
    w->status = gmem_write(w->mem, GPA(w->next), bytes, n);
    w->next += n;
}

/* Starts a table on a boundary of 64 bytes, which the FACS wants and the others do not mind. */
static uint32_t acpi_begin(struct acpi_writer *w) {
    w->next = ALIGN_UP(w->next, 64ull);
    w->end = max_u64(w->end, w->next);
    w->table = w->next;
    w->sum = 0;
    return (uint32_t)w->table;
}

static void acpi_finish(struct acpi_writer *w) {
    uint8_t checksum = (uint8_t)-w->sum;
    if (w->status == STATUS_OK) {
        uint64_t at = w->table + offsetof(struct acpi_header, checksum);
        w->status = gmem_write(w->mem, GPA(at), &checksum, 1);
    }
}

static struct acpi_header acpi_header(const char *signature, uint8_t revision, size_t length) {
    struct acpi_header header = {
        .length = (uint32_t)length,
        .revision = revision,
        .oem_revision = 1,
        .creator_revision = 1,
    };
    memcpy(header.signature, signature, sizeof(header.signature));
    memcpy(header.oem_id, "BULKHD", sizeof(header.oem_id));
    memcpy(header.oem_table_id, "BULKHEAD", sizeof(header.oem_table_id));
    memcpy(header.creator_id, "BLKH", sizeof(header.creator_id));
    return header;
}

static uint32_t acpi_write_dsdt(struct acpi_writer *w) {
    uint32_t at = acpi_begin(w);
    acpi_put(w, dsdt_aml, dsdt_aml_size); /* iasl has set its checksum */
    return at;
}

static uint32_t acpi_write_facs(struct acpi_writer *w) {
    static const struct acpi_facs facs = {
        .signature = {'F', 'A', 'C', 'S'}, .length = sizeof(facs), .version = 2};
    uint32_t at = acpi_begin(w);
    acpi_put(w, &facs, sizeof(facs)); /* has no checksum */
    return at;
}

static uint32_t acpi_write_fadt(struct acpi_writer *w, uint32_t dsdt, uint32_t facs) {
    uint32_t at = acpi_begin(w);
    const struct acpi_fadt fadt = {
        .header = acpi_header("FACP", 6, sizeof(fadt)),
        .firmware_ctrl = facs,
        .dsdt = dsdt,
        .profile = FADT_PROFILE_SERVER,
        .sci_int = PM_SCI_IRQ,
        .pm1a_evt = PM1A_EVENT_PORT,
        .pm1a_cnt = PM1A_CONTROL_PORT,
        .pm_tmr = PM_TIMER_PORT,
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .pm_tmr_len = 4,
        .p_lvl2_lat = FADT_NO_C2,
        .p_lvl3_lat = FADT_NO_C3,
        .century = FADT_CENTURY,
        .boot_arch = FADT_LEGACY_DEVICES | FADT_NO_VGA,
        .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
                 FADT_NO_FIXED_RTC | FADT_PM_TIMER_32BIT | FADT_RESET_REGISTER,
        .reset = IO_ADDRESS(RESET_PORT, 8, 1),
        .reset_value = RESET_VALUE,
        .minor_version = 3,
        .x_dsdt = dsdt,
        .x_pm1a_evt = IO_ADDRESS(PM1A_EVENT_PORT, 32, 2),
        .x_pm1a_cnt = IO_ADDRESS(PM1A_CONTROL_PORT, 16, 2),
        .x_pm_tmr = IO_ADDRESS(PM_TIMER_PORT, 32, 3),
    };
    acpi_put(w, &fadt, sizeof(fadt));
    acpi_finish(w);
    return at;
}

static uint32_t acpi_write_madt(struct acpi_writer *w, uint32_t cpu_count) {
    uint32_t at = acpi_begin(w);
    uint32_t small = cpu_count < MADT_FIRST_X2APIC ? cpu_count : MADT_FIRST_X2APIC;
    size_t length = sizeof(struct madt_head) + small * sizeof(struct madt_lapic) +
                    (cpu_count - small) * sizeof(struct madt_x2apic) + sizeof(struct madt_tail);
    const struct madt_head head = {
        .header = acpi_header("APIC", 5, length),
        .local_apic = (uint32_t)LAPIC_BASE,
    };
    acpi_put(w, &head, sizeof(head));
    for (uint32_t i = 0; i < small; i++) {
        const struct madt_lapic lapic = {.type = 0,
                                         .length = sizeof(lapic),
                                         .processor = (uint8_t)i,
                                         .apic_id = (uint8_t)i,
                                         .flags = MADT_ENABLED};
        acpi_put(w, &lapic, sizeof(lapic));
    }
    for (uint32_t i = small; i < cpu_count; i++) {
        const struct madt_x2apic lapic = {.type = 9,
                                          .length = sizeof(lapic),
                                          .apic_id = i,
                                          .flags = MADT_ENABLED,
                                          .processor = i};
        acpi_put(w, &lapic, sizeof(lapic));
    }
    static const struct madt_tail tail = {
        .ioapic = {.type = 1, .length = sizeof(tail.ioapic), .address = (uint32_t)IOAPIC_BASE},
        .sci = {.type = 2,
                .length = sizeof(tail.sci),
                .source = PM_SCI_IRQ,
                .gsi = PM_SCI_IRQ,
                .flags = MADT_HIGH_LEVEL},
        .nmi = {.type = 4, .length = sizeof(tail.nmi), .processor = MADT_ALL_PROCESSORS, .lint = 1},
    };
    acpi_put(w, &tail, sizeof(tail));
    acpi_finish(w);
    return at;
}

static uint32_t acpi_write_xsdt(struct acpi_writer *w, uint32_t fadt, uint32_t madt) {
    uint32_t at = acpi_begin(w);
    const uint64_t entries[] = {fadt, madt};
    const struct acpi_header header = acpi_header("XSDT", 1, sizeof(header) + sizeof(entries));
    acpi_put(w, &header, sizeof(header));
    acpi_put(w, entries, sizeof(entries));
    acpi_finish(w);
    return at;
}

static uint8_t acpi_checksum(const void *bytes, size_t n) {
    uint8_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
    }
    return (uint8_t)-sum;
}

enum status acpi_write_tables(const struct gmem *mem, gpa_t base, uint64_t size, uint32_t cpu_count,
                              gpa_t *rsdp) {
    ASSERT(base.v % PAGE_SIZE == 0 && size <= BIT(32) && base.v <= BIT(32) - size);
    /* The RSDP comes first, but is written last: it points to all the rest. */
    struct acpi_writer w = {.mem = mem, .next = base.v, .end = base.v + size, .status = STATUS_OK};
    struct acpi_rsdp root = {.revision = 2, .length = sizeof(root)};
    acpi_put(&w, &root, sizeof(root));

    uint32_t dsdt = acpi_write_dsdt(&w);
    uint32_t facs = acpi_write_facs(&w);
    uint32_t fadt = acpi_write_fadt(&w, dsdt, facs);
    uint32_t madt = acpi_write_madt(&w, cpu_count);
    root.xsdt = acpi_write_xsdt(&w, fadt, madt);
    if (w.status != STATUS_OK) {
        return w.status;
    }

    memcpy(root.signature, "RSD PTR ", sizeof(root.signature));
    memcpy(root.oem_id, "BULKHD", sizeof(root.oem_id));
    root.checksum = acpi_checksum(&root, offsetof(struct acpi_rsdp, length));
    root.extended_checksum = acpi_checksum(&root, sizeof(root));
    enum status status = gmem_write(mem, base, &root, sizeof(root));
    if (status == STATUS_OK) {
        status = gmem_write(mem, GPA(ACPI_RSDP_SCAN), &root, sizeof(root));
    }
    if (status == STATUS_OK) {
        *rsdp = base;
    }
    return status;
}
