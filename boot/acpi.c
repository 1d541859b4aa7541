/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the ACPI tables for the little that Bulkhead wants before it starts: CPUs, interrupt
 * controllers, timers, the console's line, which memory is whose. Must not call the firmware, must
 * not write to a table; runs no AML. Source: ACPI Specification, "ACPI Software Programming Model",
 * and IA-PC HPET Specification, "The HPET Description Table"; Microsoft, "Serial Port Console
 * Redirection Table", "Debug Port Table 2"; IPMI Specification, "SPMI Description Table"; PCI
 * Firmware Specification, "MCFG Table Description".
 */
#include "boot/no_firmware.h"
#include "hv/lib/bytes.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define TABLE_SIZE        4u /* where a table says its own size */
#define TABLE_HEADER_SIZE 36u
#define TABLE_SIZE_MAX    (1 * MIB) /* more than this is a broken length */
#define RSDP_SIZE         36u
#define RSDP_XSDT         24u

#define FADT_PM_TIMER         76u
#define FADT_FLAGS            112u
#define FADT_HARDWARE_REDUCED BIT32(20)
#define GAS_SIZE              12u
#define GAS_MEMORY            0
#define HPET_ADDRESS          40u
#define MADT_ENTRIES          44u
#define MADT_CPU_ENABLED      BIT32(0)
#define SRAT_ENTRIES          48u
#define SRAT_ENABLED          BIT32(0)
#define SPCR_TYPE             36u
#define SPCR_REGISTERS        40u
#define SPCR_INTERRUPT_TYPE   52u
#define SPCR_IRQ              53u
#define SPCR_GSI              54u
#define SPCR_BAUD             58u /* and what comes after it: not needed */
#define SPCR_BY_8259          BIT32(0)
#define SPCR_BY_IOAPIC        BIT32(1)
#define MCFG_ENTRIES          44u
#define MCFG_ENTRY_SIZE       16u
#define ECAM_LIMIT            BIT(52) /* no CPU has more address bits */
#define GAS_PORT              1
#define GAS_WIDTH             1u /* bits of a register */
#define GAS_ACCESS            3u
#define GAS_BYTE              1 /* as GAS_ACCESS */
#define GAS_ADDRESS           4u
#define ISA_IRQ_LEAST         3u /* below are timer, keyboard and the other 8259 */
#define X2APIC_BROADCAST      0xffffffffu
#define XAPIC_BROADCAST       0xffu

/* "Interrupt Controller Structure Types"; others are of no concern. */
enum madt_type { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };

/* "System Resource Affinity Table (SRAT)". */
enum srat_type { SRAT_LAPIC = 0, SRAT_MEMORY = 1, SRAT_X2APIC = 2 };

#define ENTRY_HEADER 2u /* type and length, a byte each */

static bool sum_is_zero(const uint8_t *p, uint64_t size) {
    uint8_t sum = 0;
    for (uint64_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + p[i]);
    }
    return sum == 0;
}

/*
 * The table at that address and its size, or NULL if it is not one of that name, or its size is
 * beyond reason. A wrong checksum is counted and no more: some firmware changes a table and forgets
 * that, and without the MADT there would be no keyboard and no interrupt of a serial line.
 */
static const uint8_t *table_at(uint64_t address, const char *signature, uint32_t *size,
                               uint32_t *wrong_sums) {
    const uint8_t *table = phys_pointer(HPA(address));
    bool named = address != 0 && memcmp(table, signature, 4) == 0;
    *size = named ? bytes_u32(table + TABLE_SIZE) : 0;
    bool sane = *size >= TABLE_HEADER_SIZE && *size <= TABLE_SIZE_MAX;
    if (!sane) {
        return NULL;
    }
    *wrong_sums += sum_is_zero(table, *size) ? 0 : 1;
    return table;
}

void acpi_add_cpu(struct boot_info *info, uint32_t apic_id) {
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->apic_ids[i] == apic_id) {
            return;
        }
    }
    if (info->cpu_count == CONFIG_MAX_CPUS) {
        info->cpus_left_out++;
        return;
    }
    info->apic_ids[info->cpu_count++] = apic_id;
}

static void read_lapic(const uint8_t *e, struct boot_info *info) {
    if (e[3] != XAPIC_BROADCAST && (bytes_u32(e + 4) & MADT_CPU_ENABLED) != 0) {
        acpi_add_cpu(info, e[3]);
    }
}

static void read_x2apic(const uint8_t *e, struct boot_info *info) {
    if (bytes_u32(e + 4) != X2APIC_BROADCAST && (bytes_u32(e + 8) & MADT_CPU_ENABLED) != 0) {
        acpi_add_cpu(info, bytes_u32(e + 4));
    }
}

static void read_ioapic(const uint8_t *e, struct boot_info *info) {
    uint32_t base = bytes_u32(e + 4); /* 0: switched off, but listed */
    if (base != 0 && info->ioapic_count < BOOT_MAX_IOAPICS) {
        info->ioapics[info->ioapic_count++] =
            (struct boot_ioapic){.base = HPA(base), .gsi_base = bytes_u32(e + 8), .id = e[2]};
    }
}

static void read_override(const uint8_t *e, struct boot_info *info) {
    if (e[2] == 0 && e[3] < ARRAY_SIZE(info->isa_irqs)) { /* on the ISA bus */
        info->isa_irqs[e[3]] = (struct boot_isa_irq){
            .gsi = bytes_u32(e + 4), .active_low = (e[8] & 3) == 3, .level = (e[8] >> 2 & 3) == 3};
    }
}

static void set_node(struct boot_info *info, uint32_t apic_id, uint32_t number) {
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->apic_ids[i] == apic_id) {
            info->cpu_nodes[i] = number;
        }
    }
}

/* The upper bytes of the node's number lie apart: older tables have but one. */
static void read_lapic_node(const uint8_t *e, struct boot_info *info) {
    if ((bytes_u32(e + 4) & SRAT_ENABLED) != 0) {
        set_node(info, e[3], e[2] | (bytes_u32(e + 8) & 0xffffff00u));
    }
}

static void read_x2apic_node(const uint8_t *e, struct boot_info *info) {
    if ((bytes_u32(e + 12) & SRAT_ENABLED) != 0) {
        set_node(info, bytes_u32(e + 8), bytes_u32(e + 4));
    }
}

/* Of pieces that there is no room for it is not known whose they are. */
static void read_memory_node(const uint8_t *e, struct boot_info *info) {
    struct boot_node node = {
        .base = HPA(bytes_u64(e + 8)), .size = bytes_u64(e + 16), .number = bytes_u32(e + 2)};
    bool sane = node.size != 0 && node.size <= UINT64_MAX - node.base.v;
    if ((bytes_u32(e + 28) & SRAT_ENABLED) != 0 && sane && info->node_count < BOOT_MAX_NODES) {
        info->nodes[info->node_count] = node;
        info->node_count++;
    }
}

/* size: the least bytes that hold the fields in use. A later ACPI may append others. */
static const struct entry_kind {
    uint8_t type;
    uint8_t size;
    void (*read)(const uint8_t *entry, struct boot_info *info);
} madt_entries[] =
    {
        {.type = MADT_LAPIC, .size = 8, .read = read_lapic},
        {.type = MADT_IOAPIC, .size = 12, .read = read_ioapic},
        {.type = MADT_OVERRIDE, .size = 10, .read = read_override},
        {.type = MADT_X2APIC, .size = 16, .read = read_x2apic},
},
  srat_entries[] = {
      {.type = SRAT_LAPIC, .size = 12, .read = read_lapic_node},
      {.type = SRAT_MEMORY, .size = 32, .read = read_memory_node},
      {.type = SRAT_X2APIC, .size = 16, .read = read_x2apic_node},
};

/* Each entry of a table, from that byte on, that is of one of the kinds. */
static void read_entries(const uint8_t *table, uint32_t from, const struct entry_kind *kinds,
                         size_t count, struct boot_info *info) {
    const uint8_t *e = table + from, *end = table + bytes_u32(table + TABLE_SIZE);
    for (; end - e >= (ptrdiff_t)ENTRY_HEADER && e[1] >= ENTRY_HEADER && e[1] <= end - e;
         e += e[1]) {
        for (size_t i = 0; i < count; i++) {
            if (kinds[i].type == e[0] && e[1] >= kinds[i].size) {
                kinds[i].read(e, info);
            }
        }
    }
}

static void read_madt(const uint8_t *table, struct boot_info *info) {
    read_entries(table, MADT_ENTRIES, madt_entries, ARRAY_SIZE(madt_entries), info);
}

static void read_srat(const uint8_t *table, struct boot_info *info) {
    read_entries(table, SRAT_ENTRIES, srat_entries, ARRAY_SIZE(srat_entries), info);
}

static void read_fadt(const uint8_t *table, struct boot_info *info) {
    uint32_t flags = bytes_u32(table + FADT_FLAGS), port = bytes_u32(table + FADT_PM_TIMER);
    if (port <= UINT16_MAX - 3 && (flags & FADT_HARDWARE_REDUCED) == 0) {
        info->pm_timer_port = port;
    }
    if ((flags & FADT_HARDWARE_REDUCED) == 0) {
        sleep_read(table, info);
    }
}

static void read_hpet(const uint8_t *table, struct boot_info *info) {
    if (table[HPET_ADDRESS] == GAS_MEMORY) {
        info->hpet_base = HPA(bytes_u64(table + HPET_ADDRESS + 4));
    }
}

/* DBG2's and SPCR's numbers for what is programmed as a 16550 is. */
static bool is_16550(uint8_t type) {
    static const uint8_t types[] = {
        0x00, /* full */
        0x01, /* as far as a debugger needs it */
        0x12, /* registers as the address says */
        0x14, /* Intel's in chipsets */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

/* The ISA interrupt that arrives there, after the MADT's overrides; 0 = none. */
static uint8_t isa_irq_of(const struct boot_info *info, uint32_t gsi) {
    for (unsigned i = ISA_IRQ_LEAST; i < ARRAY_SIZE(info->isa_irqs); i++) {
        if (info->isa_irqs[i].gsi == gsi) {
            return (uint8_t)i;
        }
    }
    return 0;
}

static uint8_t spcr_irq(const uint8_t *table, const struct boot_info *info) {
    uint8_t type = table[SPCR_INTERRUPT_TYPE], irq = table[SPCR_IRQ];
    if ((type & SPCR_BY_8259) != 0 && irq >= ISA_IRQ_LEAST && irq < ARRAY_SIZE(info->isa_irqs)) {
        return irq;
    }
    return (type & SPCR_BY_IOAPIC) != 0 ? isa_irq_of(info, bytes_u32(table + SPCR_GSI)) : 0;
}

/*
 * Registers lie as far apart as they are wide. For the width of an access the code is 1 to 3; some
 * firmwares write bytes or bits there, or nothing.
 */
static bool read_registers(const uint8_t *gas, struct boot_serial *line) {
    static const uint8_t strides[] = {[0] = 1, [8] = 1, [16] = 2, [32] = 4};
    uint8_t bits = gas[GAS_WIDTH], access = gas[GAS_ACCESS];

    line->in_memory = gas[0] == GAS_MEMORY;
    line->base = bytes_u64(gas + GAS_ADDRESS);
    line->stride = bits < ARRAY_SIZE(strides) ? strides[bits] : 0;
    line->width = line->stride;
    if (access == GAS_BYTE || !line->in_memory) {
        line->width = 1;
    }
    return line->stride != 0 && (line->in_memory || gas[0] == GAS_PORT);
}

static void read_spcr(const uint8_t *table, struct boot_info *info) {
    struct boot_serial line = {.source = SERIAL_BY_TABLE, .keep_speed = true};
    if (is_16550(table[SPCR_TYPE]) && read_registers(table + SPCR_REGISTERS, &line)) {
        line.irq = spcr_irq(table, info);
        info->spcr = line;
    }
}

/* "Server Platform Management Interface table": that there is one says it all. */
static void read_spmi(UNUSED const uint8_t *table, struct boot_info *info) {
    info->management = true;
}

/* Bases of bus 0, whole buses, and nothing that would wrap around. */
static void read_mcfg(const uint8_t *table, struct boot_info *info) {
    uint32_t size = bytes_u32(table + TABLE_SIZE);
    for (uint32_t at = MCFG_ENTRIES; size - at >= MCFG_ENTRY_SIZE; at += MCFG_ENTRY_SIZE) {
        const uint8_t *e = table + at;
        struct boot_ecam ecam = {.base = HPA(bytes_u64(e)),
                                 .segment = bytes_u16(e + 8),
                                 .first_bus = e[10],
                                 .last_bus = e[11]};
        bool sane = ecam.base.v != 0 && ecam.base.v % MIB == 0 && ecam.base.v < ECAM_LIMIT &&
                    ecam.first_bus <= ecam.last_bus;
        if (sane && info->ecam_count < BOOT_MAX_ECAMS) {
            info->ecams[info->ecam_count++] = ecam;
        }
    }
}

static const struct {
    const char *signature;
    uint32_t size; /* least bytes */
    void (*read)(const uint8_t *table, struct boot_info *info);
} tables[] = {
    {"APIC", MADT_ENTRIES, read_madt},
    {"FACP", SLEEP_FADT, read_fadt},
    {"HPET", HPET_ADDRESS + GAS_SIZE, read_hpet},
    {"SRAT", SRAT_ENTRIES, read_srat}, /* after the MADT, which has the CPUs */
    {"SPCR", SPCR_BAUD, read_spcr},    /* after the MADT */
    {"WDAT", WDAT_ENTRIES, wdat_read},
    {"SPMI", TABLE_HEADER_SIZE, read_spmi},
    {"DMAR", DMAR_ENTRIES, dmar_read},
    {"IVRS", IVRS_ENTRIES, ivrs_read},
    {"MCFG", MCFG_ENTRIES, read_mcfg},
};

enum status acpi_read(hpa_t rsdp, struct boot_info *info) {
    const uint8_t *p = phys_pointer(rsdp), *root = NULL, *table = NULL;
    uint32_t root_size, size;
    if (memcmp(p, "RSD PTR ", 8) == 0 && sum_is_zero(p, RSDP_SIZE)) {
        root = table_at(bytes_u64(p + RSDP_XSDT), "XSDT", &root_size, &info->acpi_wrong_sums);
    }
    if (root == NULL) {
        return STATUS_INVALID;
    }
    info->rsdp = rsdp;
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++, table = NULL) { /* the first of each name */
        for (uint32_t at = TABLE_HEADER_SIZE; table == NULL && root_size - at >= 8; at += 8) {
            table =
                table_at(bytes_u64(root + at), tables[i].signature, &size, &info->acpi_wrong_sums);
        }
        if (table != NULL && size >= tables[i].size) {
            tables[i].read(table, info);
        }
    }
    return STATUS_OK;
}
