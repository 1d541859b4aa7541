/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the ACPI tables. Must not call the firmware, must not write to a table. Source: ACPI
 * Specification, "ACPI Software Programming Model", and IA-PC HPET Specification, "The HPET
 * Description Table".
 */
#include "boot/acpi.h"

#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define TABLE_HEADER_SIZE 36u
#define TABLE_SIZE_MAX    (1 * MIB) /* more than this is a broken length */
#define RSDP_V1_SIZE      20u
#define RSDP_V2_SIZE      36u

#define FADT_PM_TIMER         76u
#define FADT_FLAGS            112u
#define FADT_X_PM_TIMER       208u
#define FADT_TIMER_32BIT      BIT32(8)
#define FADT_HARDWARE_REDUCED BIT32(20)
#define GAS_SIZE              12u
#define GAS_MEMORY            0
#define GAS_IO                1
#define HPET_ADDRESS          40u
#define MADT_LAPIC            36u
#define MADT_ENTRIES          44u
#define MADT_CPU_ENABLED      BIT32(0)
#define X2APIC_BROADCAST      0xffffffffu
#define XAPIC_BROADCAST       0xffu

/* Tables are packed: no field is where a C struct would want it. */
static uint16_t get_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get_u32(const uint8_t *p) {
    return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

static uint64_t get_u64(const uint8_t *p) {
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static bool sum_is_zero(const uint8_t *p, uint64_t size) {
    uint8_t sum = 0;
    for (uint64_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + p[i]);
    }
    return sum == 0;
}

/* The table at that address and its size, or NULL if it is not one. */
static const uint8_t *table_at(uint64_t address, uint32_t *size) {
    if (address == 0) {
        return NULL;
    }
    const uint8_t *table = phys_pointer(HPA(address));
    uint32_t length = get_u32(table + 4);
    if (length < TABLE_HEADER_SIZE || length > TABLE_SIZE_MAX || !sum_is_zero(table, length)) {
        return NULL;
    }
    *size = length;
    return table;
}

static void add_cpu(struct boot_info *info, uint32_t apic_id, uint32_t flags) {
    if ((flags & MADT_CPU_ENABLED) == 0 || info->cpu_count == CONFIG_MAX_CPUS) {
        return;
    }
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->cpus[i].apic_id == apic_id) { /* some firmware lists a CPU in both forms */
            return;
        }
    }
    info->cpus[info->cpu_count++].apic_id = apic_id;
}

static void read_lapic(const uint8_t *e, struct boot_info *info) {
    if (e[3] != XAPIC_BROADCAST) {
        add_cpu(info, e[3], get_u32(e + 4));
    }
}

static void read_x2apic(const uint8_t *e, struct boot_info *info) {
    if (get_u32(e + 4) != X2APIC_BROADCAST) {
        add_cpu(info, get_u32(e + 4), get_u32(e + 8));
    }
}

static void read_ioapic(const uint8_t *e, struct boot_info *info) {
    if (info->ioapic_count < BOOT_MAX_IOAPICS) {
        info->ioapics[info->ioapic_count++] =
            (struct boot_ioapic){.base = HPA(get_u32(e + 4)), .gsi_base = get_u32(e + 8)};
    }
}

static void read_override(const uint8_t *e, struct boot_info *info) {
    uint16_t flags = get_u16(e + 8);
    if (e[2] == 0 && e[3] < ARRAY_SIZE(info->isa_irqs)) {
        info->isa_irqs[e[3]] = (struct boot_isa_irq){
            .gsi = get_u32(e + 4),
            .active_low = (flags & 3) == 3,
            .level = (flags >> 2 & 3) == 3,
        };
    }
}

static void read_lapic_address(const uint8_t *e, struct boot_info *info) {
    info->lapic_base = HPA(get_u64(e + 4));
}

/* "Interrupt Controller Structure Types"; what is not named here is of no concern. */
static const struct {
    uint8_t size; /* least bytes */
    void (*read)(const uint8_t *entry, struct boot_info *info);
} madt_entries[] = {
    [0] = {8, read_lapic},          [1] = {12, read_ioapic}, [2] = {10, read_override},
    [5] = {12, read_lapic_address}, [9] = {16, read_x2apic},
};

static void read_madt(const uint8_t *table, uint32_t size, struct boot_info *info) {
    if (size < MADT_ENTRIES) {
        return;
    }
    info->lapic_base = HPA(get_u32(table + MADT_LAPIC));
    for (uint32_t at = MADT_ENTRIES; size - at >= 2;) {
        uint8_t type = table[at], length = table[at + 1];
        if (length < 2 || length > size - at) {
            return;
        }
        if (type < ARRAY_SIZE(madt_entries) && madt_entries[type].read != NULL &&
            length >= madt_entries[type].size) {
            madt_entries[type].read(table + at, info);
        }
        at += length;
    }
}

static void read_fadt(const uint8_t *table, uint32_t size, struct boot_info *info) {
    if (size < FADT_FLAGS + 4 || (get_u32(table + FADT_FLAGS) & FADT_HARDWARE_REDUCED) != 0) {
        return;
    }
    uint64_t port = get_u32(table + FADT_PM_TIMER);
    if (size >= FADT_X_PM_TIMER + GAS_SIZE) {
        const uint8_t *gas = table + FADT_X_PM_TIMER;
        if (gas[0] == GAS_IO && get_u64(gas + 4) != 0) {
            port = get_u64(gas + 4);
        }
    }
    if (port <= UINT16_MAX - 3) {
        info->pm_timer_port = (uint32_t)port;
        info->pm_timer_32bit = (get_u32(table + FADT_FLAGS) & FADT_TIMER_32BIT) != 0;
    }
}

static void read_hpet(const uint8_t *table, uint32_t size, struct boot_info *info) {
    if (size >= HPET_ADDRESS + GAS_SIZE && table[HPET_ADDRESS] == GAS_MEMORY) {
        info->hpet_base = HPA(get_u64(table + HPET_ADDRESS + 4));
    }
}

static const struct {
    const char *signature;
    void (*read)(const uint8_t *table, uint32_t size, struct boot_info *info);
} tables[] = {
    {"APIC", read_madt},
    {"FACP", read_fadt},
    {"HPET", read_hpet},
};

static void read_root(const uint8_t *root, uint32_t size, uint32_t entry_size,
                      struct boot_info *info) {
    bool seen[ARRAY_SIZE(tables)] = {false};
    for (uint32_t at = TABLE_HEADER_SIZE; size - at >= entry_size; at += entry_size) {
        uint32_t length = 0;
        const uint8_t *table =
            table_at(entry_size == 8 ? get_u64(root + at) : get_u32(root + at), &length);
        for (unsigned i = 0; table != NULL && i < ARRAY_SIZE(tables); i++) {
            if (!seen[i] && memcmp(table, tables[i].signature, 4) == 0) {
                seen[i] = true;
                tables[i].read(table, length, info);
            }
        }
    }
}

enum status acpi_read(hpa_t rsdp, struct boot_info *info) {
    const uint8_t *p = phys_pointer(rsdp);
    if (memcmp(p, "RSD PTR ", 8) != 0 || !sum_is_zero(p, RSDP_V1_SIZE)) {
        return STATUS_INVALID;
    }
    uint32_t size = 0;
    const uint8_t *root = NULL;
    if (p[15] >= 2 && get_u32(p + 20) >= RSDP_V2_SIZE && get_u32(p + 20) <= PAGE_SIZE &&
        sum_is_zero(p, get_u32(p + 20))) {
        root = table_at(get_u64(p + 24), &size);
    }
    bool wide = root != NULL && memcmp(root, "XSDT", 4) == 0;
    if (!wide) {
        root = table_at(get_u32(p + 16), &size);
        if (root == NULL || memcmp(root, "RSDT", 4) != 0) {
            return STATUS_INVALID;
        }
    }
    info->rsdp = rsdp;
    read_root(root, size, wide ? 8 : 4, info);
    return STATUS_OK;
}
