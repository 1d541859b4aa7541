/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks the firmware and the CPU what this machine is: CPUs, ACPI, interrupt controllers,
 * framebuffer, and the facts for the pre-flight. Reads only; changes no setting. Called by main.c.
 */
#include <cpuid.h>

#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/x86.h"

#define CPUID_FEATURES    1u
#define CPUID_TOPOLOGY    0xbu
#define APIC_BASE_MASK    0xffffffffff000ull
#define IOAPIC_USUAL_BASE 0xfec00000ull
#define MP_CPU_USABLE     (BIT32(1) | BIT32(2)) /* enabled, healthy */

/* UEFI Platform Initialization Specification, "MP Services Protocol": the part in use here. */
struct mp_cpu_info {
    uint64_t processor_id; /* the local APIC ID */
    uint32_t status;
    uint32_t place[9];
};

struct mp_services {
    EFI_STATUS(EFIAPI *get_count)(struct mp_services *mp, UINTN *count, UINTN *enabled);
    EFI_STATUS(EFIAPI *get_info)(struct mp_services *mp, UINTN number, struct mp_cpu_info *info);
};

static EFI_GUID mp_services_guid = {
    0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};

static void cpuid(uint32_t leaf, uint32_t r[4]) {
    __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
}

static uint64_t rdmsr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}

const struct preflight_cpu machine_cpu = {cpuid, rdmsr};

static uint32_t own_apic_id(void) {
    uint32_t a, b, c, d;
    if (__get_cpuid_count(CPUID_TOPOLOGY, 0, &a, &b, &c, &d) && b != 0) {
        return d;
    }
    __cpuid(CPUID_FEATURES, a, b, c, d);
    return b >> 24;
}

static void find_acpi(struct boot_info *info) {
    EFI_GUID guid = ACPI_20_TABLE_GUID;
    void *rsdp;
    if (LibGetSystemConfigurationTable(&guid, &rsdp) == EFI_SUCCESS &&
        acpi_read(phys_address(rsdp), info) != STATUS_OK) {
        console_print(CONSOLE_WARN, "The firmware's ACPI tables are broken (checksum); trying "
                                    "without them.\n");
    }
}

static void find_cpus_by_firmware(struct boot_info *info) {
    struct mp_services *mp;
    UINTN count = 0, enabled;
    if (LibLocateProtocol(&mp_services_guid, (void **)&mp) == EFI_SUCCESS) {
        mp->get_count(mp, &count, &enabled);
    }
    for (UINTN i = 0; i < count; i++) {
        struct mp_cpu_info cpu;
        if (mp->get_info(mp, i, &cpu) == EFI_SUCCESS && (~cpu.status & MP_CPU_USABLE) == 0) {
            acpi_add_cpu(info, (uint32_t)cpu.processor_id);
        }
    }
}

static enum fb_format format_of(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode) {
    const EFI_PIXEL_BITMASK *m = &mode->PixelInformation;
    uint32_t red = mode->PixelFormat == PixelBitMask && m->GreenMask == 0xff00 ? m->RedMask : 0;
    if (mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor || red == 0xff0000) {
        return FB_BGRX8888;
    }
    if (mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor || red == 0xff) {
        return FB_RGBX8888;
    }
    return FB_NONE;
}

static void find_framebuffer(struct boot_framebuffer *fb) {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
    if (LibLocateProtocol(&GraphicsOutputProtocol, (void **)&gop) != EFI_SUCCESS) {
        return;
    }
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode->Info;
    uint64_t pixels = (uint64_t)mode->PixelsPerScanLine * mode->VerticalResolution;
    if (gop->Mode->FrameBufferBase != 0 && format_of(mode) != FB_NONE &&
        mode->HorizontalResolution <= mode->PixelsPerScanLine &&
        pixels <= gop->Mode->FrameBufferSize / 4) {
        *fb = (struct boot_framebuffer){.base = HPA(gop->Mode->FrameBufferBase),
                                        .size = gop->Mode->FrameBufferSize,
                                        .width = mode->HorizontalResolution,
                                        .height = mode->VerticalResolution,
                                        .stride = mode->PixelsPerScanLine,
                                        .format = format_of(mode)};
    }
}

void machine_find(struct boot_info *info) {
    info->cpus[info->cpu_count++] = (struct boot_cpu){.apic_id = own_apic_id(), .bsp = true};
    info->lapic_base = HPA(rdmsr(X86_MSR_APIC_BASE) & APIC_BASE_MASK);
    for (unsigned i = 0; i < ARRAY_SIZE(info->isa_irqs); i++) {
        info->isa_irqs[i].gsi = i;
    }
    find_acpi(info);
    if (info->rsdp.v == 0) { /* a PC has one there; the hypervisor looks before it believes */
        info->ioapics[0].base = HPA(IOAPIC_USUAL_BASE);
        info->ioapic_count = 1;
    }
    if (info->cpu_count == 1) { /* our own, so far */
        find_cpus_by_firmware(info);
    }
    find_framebuffer(&info->framebuffer);
}
