/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks the firmware and the CPU what this machine is: CPUs, ACPI, interrupt controllers, and the
 * facts for the pre-flight. Reads only; changes no setting. Called by main.c.
 */
#include <cpuid.h>

#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/x86.h"

#define CPUID_FEATURES    1u
#define CPUID_TOPOLOGY    0xbu
#define CPUID_WIDTHS      0x80000008u
#define IOAPIC_USUAL_BASE 0xfec00000ull

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
}

static uint64_t rdmsr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}

const struct preflight_cpu machine_cpu = {.cpuid = cpuid, .rdmsr = rdmsr};

void machine_wrmsr(uint32_t msr, uint64_t value) {
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32);
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(low), "d"(high) : "memory");
}

bool machine_maps(uint64_t base, uint64_t size) {
    uint64_t cr3, cr4;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    unsigned levels = (cr4 & X86_CR4_LA57) != 0 ? 5 : 4;
    return tables_map(HPA(cr3 & X86_CR3_ADDRESS), levels, base, size);
}

static uint32_t own_apic_id(void) {
    uint32_t a, b, c, d;
    if (__get_cpuid_count(CPUID_TOPOLOGY, 0, &a, &b, &c, &d) && b != 0) {
        return d;
    }
    __cpuid(CPUID_FEATURES, a, b, c, d);
    return b >> 24;
}

static uint32_t phys_bits(void) {
    uint32_t a, b, c, d;
    return __get_cpuid_count(CPUID_WIDTHS, 0, &a, &b, &c, &d) ? a & 0xff : 0;
}

/* Stays zero where we were not started from a partition. */
static void find_stick(struct boot_info *info) {
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_STATUS status = BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&loaded);
    const void *path = status == EFI_SUCCESS ? DevicePathFromHandle(loaded->DeviceHandle) : NULL;
    if (path != NULL) {
        (void)device_path_partition(path, info->stick_id);
    }
}

void machine_find(struct boot_info *info) {
    EFI_GUID acpi_guid = ACPI_20_TABLE_GUID;
    void *rsdp;
    acpi_add_cpu(info, own_apic_id());
    info->phys_bits = phys_bits();
    for (unsigned i = 0; i < ARRAY_SIZE(info->isa_irqs); i++) {
        info->isa_irqs[i].gsi = i;
    }
    if (LibGetSystemConfigurationTable(&acpi_guid, &rsdp) == EFI_SUCCESS &&
        acpi_read(phys_address(rsdp), info) != STATUS_OK) {
        console_print(CONSOLE_WARN, "The firmware's ACPI tables are broken; trying without "
                                    "them." MSG(2011) "\n");
    }
    if (info->acpi_wrong_sums != 0) {
        console_print(CONSOLE_WARN,
                      "The firmware's ACPI tables have a wrong checksum (%u of "
                      "them); using them all the same." MSG(2012) "\n",
                      info->acpi_wrong_sums);
    }
    iommu_resolve(info, serial_machine.pci_read);
    if (info->rsdp.v == 0) { /* a PC has one there; the hypervisor looks before it believes */
        info->ioapics[0].base = HPA(IOAPIC_USUAL_BASE);
        info->ioapic_count = 1;
    }
    if (info->cpu_count == 1) { /* our own, so far */
        cpus_find(info);
    }
    graphics_find(info);
    find_stick(info);
}

uint64_t machine_time(void) {
    EFI_TIME t = {.Year = 2000, .Month = 1, .Day = 1};
    if (ST->RuntimeServices->GetTime(&t, NULL) != EFI_SUCCESS) {
        console_print(CONSOLE_WARN, "The firmware's clock cannot be read: the guests start in "
                                    "the year 2000." MSG(2013) "\n");
    }
    /* The year begins in March here, so that leap days end it. */
    uint64_t month = (t.Month + 9u) % 12, year = t.Year - (t.Month <= 2 ? 1u : 0u);
    uint64_t leap_days = year / 4 - year / 100 + year / 400;
    uint64_t days = 365 * year + leap_days + (153 * month + 2) / 5 + t.Day - 1 - 719468;
    return ((days * 24 + t.Hour) * 60 + t.Minute) * 60 + t.Second;
}
