/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks the firmware and the CPU what this machine is: CPUs, ACPI, interrupt controllers,
 * framebuffer, and the raw facts for the pre-flight. Reads only; changes no setting. Called once by
 * main.c.
 */
#include "boot/boot.h"
#include "boot/ranges.h"
#include "hv/lib/str.h"

#define CPUID_FEATURES     1u
#define CPUID_TOPOLOGY     0xbu
#define CPUID_EXT_MAX      0x80000000u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_BRAND        0x80000002u
#define CPUID_POWER        0x80000007u
#define MSR_APIC_BASE      0x1bu
#define APIC_BASE_MASK     0xffffffffff000ull
#define IOAPIC_USUAL_BASE  0xfec00000ull
#define MP_CPU_BSP         BIT32(0)
#define MP_CPU_ENABLED     BIT32(1)
#define MP_CPU_HEALTHY     BIT32(2)

/* UEFI Platform Initialization Specification, "MP Services Protocol": the part in use here. */
struct mp_cpu_info {
    uint64_t processor_id; /* the local APIC ID */
    uint32_t status;
    uint32_t package, core, thread;
    uint32_t extended[6];
};

struct mp_services {
    EFI_STATUS(EFIAPI *get_count)(struct mp_services *mp, UINTN *count, UINTN *enabled);
    EFI_STATUS(EFIAPI *get_info)(struct mp_services *mp, UINTN number, struct mp_cpu_info *info);
};

static const EFI_GUID mp_services_guid = {
    0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
static const EFI_GUID gop_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
static const EFI_GUID acpi_guids[] = {ACPI_20_TABLE_GUID, ACPI_TABLE_GUID}; /* newest first */

static void cpuid(uint32_t leaf, uint32_t r[4]) {
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

static uint64_t rdmsr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}

/* The one instance of a protocol that there is in the machine, or NULL. */
static void *find_protocol(const EFI_GUID *guid) {
    EFI_GUID copy = *guid;
    void *found = NULL;
    return firmware.services->LocateProtocol(&copy, NULL, &found) == EFI_SUCCESS ? found : NULL;
}

static uint32_t own_apic_id(void) {
    uint32_t r[4];
    cpuid(0, r);
    if (r[0] >= CPUID_TOPOLOGY) {
        cpuid(CPUID_TOPOLOGY, r);
        if (r[1] != 0) {
            return r[3];
        }
    }
    cpuid(CPUID_FEATURES, r);
    return r[1] >> 24;
}

static void find_acpi(struct boot_info *info) {
    const EFI_SYSTEM_TABLE *table = firmware.table;
    for (unsigned g = 0; g < ARRAY_SIZE(acpi_guids) && info->rsdp.v == 0; g++) {
        for (UINTN i = 0; i < table->NumberOfTableEntries && info->rsdp.v == 0; i++) {
            const EFI_CONFIGURATION_TABLE *t = &table->ConfigurationTable[i];
            if (memcmp(&t->VendorGuid, &acpi_guids[g], sizeof(EFI_GUID)) == 0 &&
                acpi_read(HPA((uintptr_t)t->VendorTable), info) != STATUS_OK) {
                console_print(CONSOLE_WARN, "The firmware's ACPI tables are broken (checksum); "
                                            "trying without them.\n");
            }
        }
    }
}

static void find_cpus_by_firmware(struct boot_info *info) {
    struct mp_services *mp = find_protocol(&mp_services_guid);
    UINTN count = 0, enabled = 0;
    if (mp == NULL || mp->get_count(mp, &count, &enabled) != EFI_SUCCESS) {
        return;
    }
    for (UINTN i = 0; i < count && info->cpu_count < CONFIG_MAX_CPUS; i++) {
        struct mp_cpu_info cpu;
        const uint32_t usable = MP_CPU_ENABLED | MP_CPU_HEALTHY;
        if (mp->get_info(mp, i, &cpu) == EFI_SUCCESS && (cpu.status & usable) == usable) {
            info->cpus[info->cpu_count++].apic_id = (uint32_t)cpu.processor_id;
        }
    }
}

/* The running CPU becomes number 0, the others keep their order. */
static void put_own_cpu_first(struct boot_info *info) {
    uint32_t own = own_apic_id(), i = 0;
    while (i < info->cpu_count && info->cpus[i].apic_id != own) {
        i++;
    }
    if (i == info->cpu_count && info->cpu_count < CONFIG_MAX_CPUS) {
        info->cpu_count++;
    }
    for (i = i < info->cpu_count ? i : info->cpu_count - 1; i > 0; i--) {
        info->cpus[i] = info->cpus[i - 1];
    }
    info->cpus[0] = (struct boot_cpu){.apic_id = own, .bsp = true};
}

static enum fb_format format_of(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode) {
    const EFI_PIXEL_BITMASK *m = &mode->PixelInformation;
    if (mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor) {
        return FB_BGRX8888;
    }
    if (mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor) {
        return FB_RGBX8888;
    }
    if (mode->PixelFormat == PixelBitMask && m->GreenMask == 0xff00) {
        return m->RedMask == 0xff0000 && m->BlueMask == 0xff   ? FB_BGRX8888
               : m->RedMask == 0xff && m->BlueMask == 0xff0000 ? FB_RGBX8888
                                                               : FB_NONE;
    }
    return FB_NONE;
}

static void find_framebuffer(struct boot_framebuffer *fb) {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = find_protocol(&gop_guid);
    if (gop == NULL || gop->Mode == NULL || gop->Mode->Info == NULL ||
        gop->Mode->FrameBufferBase == 0) {
        return;
    }
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode->Info;
    uint64_t stride = mode->PixelsPerScanLine, height = mode->VerticalResolution;
    if (mode->HorizontalResolution > stride || stride * height > UINT64_MAX / 4 ||
        stride * height * 4 > gop->Mode->FrameBufferSize) {
        return;
    }
    fb->format = format_of(mode);
    if (fb->format != FB_NONE) {
        fb->base = HPA(gop->Mode->FrameBufferBase);
        fb->size = gop->Mode->FrameBufferSize;
        fb->width = mode->HorizontalResolution;
        fb->height = mode->VerticalResolution;
        fb->stride = mode->PixelsPerScanLine;
    }
}

void machine_find(struct boot_info *info) {
    info->lapic_base = HPA(rdmsr(MSR_APIC_BASE) & APIC_BASE_MASK);
    for (unsigned i = 0; i < ARRAY_SIZE(info->isa_irqs); i++) {
        info->isa_irqs[i] = (struct boot_isa_irq){.gsi = i};
    }
    find_acpi(info);
    if (info->rsdp.v == 0) { /* a PC has one there; the hypervisor looks before it believes */
        info->ioapics[0].base = HPA(IOAPIC_USUAL_BASE);
        info->ioapic_count = 1;
    }
    if (info->cpu_count == 0) {
        find_cpus_by_firmware(info);
    }
    put_own_cpu_first(info);
    find_framebuffer(&info->framebuffer);
}

static void read_names(struct preflight_facts *facts) {
    uint32_t r[4];
    cpuid(0, r);
    memcpy(facts->vendor, &r[1], 4);
    memcpy(facts->vendor + 4, &r[3], 4);
    memcpy(facts->vendor + 8, &r[2], 4);
    cpuid(CPUID_EXT_MAX, r);
    if (r[0] >= CPUID_BRAND + 2) {
        for (uint32_t i = 0; i < 3; i++) {
            cpuid(CPUID_BRAND + i, r);
            memcpy(facts->brand + 16 * i, r, 16);
        }
    }
}

void machine_read_facts(const struct boot_info *info, struct preflight_facts *facts) {
    uint32_t r[4];
    read_names(facts);
    cpuid(CPUID_FEATURES, r);
    preflight_set(facts, FACT_CPUID_1_ECX, r[2]);
    cpuid(CPUID_EXT_MAX, r);
    uint32_t highest = r[0];
    if (highest >= CPUID_EXT_FEATURES) {
        cpuid(CPUID_EXT_FEATURES, r);
        preflight_set(facts, FACT_CPUID_EXT1_ECX, r[2]);
        preflight_set(facts, FACT_CPUID_EXT1_EDX, r[3]);
    }
    if (highest >= CPUID_POWER) {
        cpuid(CPUID_POWER, r);
        preflight_set(facts, FACT_CPUID_EXT7_EDX, r[3]);
    }
    preflight_read_msrs(facts, rdmsr);
    facts->cpu_count = info->cpu_count;
    facts->memory_free = ranges_total(info, MEM_FREE);
    facts->memory_total =
        facts->memory_free + ranges_total(info, MEM_BULKHEAD) + ranges_total(info, MEM_ACPI);
}
