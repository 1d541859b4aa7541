/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other CPUs, by the firmware's own means: which there are, and what each says of itself.
 * Called by machine.c and main.c. Source: UEFI Platform Initialization Specification, "MP Services
 * Protocol".
 */
#include "config/cpus.h"
#include "boot/boot.h"

#define MP_CPU_USABLE (BIT32(1) | BIT32(2)) /* enabled, healthy */
#define ASK_LIMIT_US  1000000u

struct mp_cpu_info {
    uint64_t processor_id; /* the local APIC ID */
    uint32_t status;
    uint32_t place[9];
};

/* The part in use here. */
struct mp_services {
    EFI_STATUS(EFIAPI *get_count)(struct mp_services *mp, UINTN *count, UINTN *enabled);
    EFI_STATUS(EFIAPI *get_info)(struct mp_services *mp, UINTN number, struct mp_cpu_info *info);
    void *start_all;
    EFI_STATUS(EFIAPI *start_one)
    (struct mp_services *mp, void(EFIAPI *run)(void *argument), UINTN number, EFI_EVENT no_event,
     UINTN limit_us, void *argument, BOOLEAN *finished);
};

static EFI_GUID mp_services_guid = {
    0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};

static struct cpu_facts facts[CONFIG_MAX_CPUS];

/* Calls with each CPU that the firmware can use. */
static void each_cpu(struct boot_info *info,
                     void (*call)(struct boot_info *info, struct mp_services *mp, UINTN number,
                                  uint32_t apic_id)) {
    struct mp_services *mp;
    UINTN count = 0, enabled;

    if (LibLocateProtocol(&mp_services_guid, (void **)&mp) == EFI_SUCCESS) {
        mp->get_count(mp, &count, &enabled);
    }
    for (UINTN i = 0; i < count; i++) {
        struct mp_cpu_info cpu;
        if (mp->get_info(mp, i, &cpu) == EFI_SUCCESS && (~cpu.status & MP_CPU_USABLE) == 0) {
            call(info, mp, i, (uint32_t)cpu.processor_id);
        }
    }
}

static void add_cpu(struct boot_info *info, UNUSED struct mp_services *mp, UNUSED UINTN number,
                    uint32_t apic_id) {
    acpi_add_cpu(info, apic_id);
}

void cpus_find(struct boot_info *info) {
    each_cpu(info, add_cpu);
}

static void EFIAPI ask_here(void *out) {
    cpus_ask(&machine_cpu, out);
}

/* The first is the one that we run on. */
static void ask_other(struct boot_info *info, struct mp_services *mp, UINTN number,
                      uint32_t apic_id) {
    for (uint32_t i = 1; i < info->cpu_count; i++) {
        if (info->apic_ids[i] == apic_id) {
            (void)mp->start_one(mp, ask_here, number, NULL, ASK_LIMIT_US, &facts[i], NULL);
        }
    }
}

const struct cpu_facts *cpus_ask_all(struct boot_info *info) {
    cpus_ask(&machine_cpu, &facts[0]);
    each_cpu(info, ask_other);
    return facts;
}
