/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions in words, for the pre-flight and for faults of the config. Source of the classes:
 * PCI Code and ID Assignment Specification.
 */
#include "config/pci.h"
#include "hv/abi/bus.h"
#include "hv/lib/fmt.h"

_Static_assert(PCI_DEVICES_SIZE == 256 * MIB, "a verdict says so");

#define ANY 0x100u /* as subclass or interface */

static const struct {
    uint8_t base;
    uint16_t sub, interface;
    const char *name;
} kinds[] = {
    {0x01, 0x01, ANY, "IDE"},      {0x01, 0x04, ANY, "RAID"},    {0x01, 0x06, ANY, "SATA"},
    {0x01, 0x07, ANY, "SAS"},      {0x01, 0x08, ANY, "NVMe"},    {0x01, ANY, ANY, "storage"},
    {0x02, 0x00, ANY, "Ethernet"}, {0x02, ANY, ANY, "network"},  {0x03, ANY, ANY, "display"},
    {0x04, 0x01, ANY, "audio"},    {0x04, 0x03, ANY, "audio"},   {0x04, ANY, ANY, "media"},
    {0x05, ANY, ANY, "memory"},    {0x06, 0x00, ANY, "host"},    {0x06, 0x01, ANY, "ISA"},
    {0x06, ANY, ANY, "bridge"},    {0x07, 0x00, ANY, "serial"},  {0x07, ANY, ANY, "comms"},
    {0x08, 0x00, ANY, "IO-APIC"},  {0x08, 0x05, ANY, "SD card"}, {0x08, 0x06, ANY, "IOMMU"},
    {0x08, ANY, ANY, "system"},    {0x09, ANY, ANY, "input"},    {0x0c, 0x03, 0x20, "USB 2"},
    {0x0c, 0x03, 0x30, "USB 3"},   {0x0c, 0x03, ANY, "USB"},     {0x0c, 0x05, ANY, "SMBus"},
    {0x0d, ANY, ANY, "wireless"},  {0x10, ANY, ANY, "crypto"},   {0x11, ANY, ANY, "signals"},
    {0x12, ANY, ANY, "compute"},
};

const char *pci_kind(const struct boot_pci *f) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool sub = kinds[i].sub == ANY || kinds[i].sub == (f->class >> 8 & 0xff);
        bool interface = kinds[i].interface == ANY || kinds[i].interface == (f->class & 0xff);
        if (kinds[i].base == f->class >> 16 && sub && interface) {
            return kinds[i].name;
        }
    }
    return "other";
}

const char *pci_address(const struct boot_pci *f, char buf[PCI_ADDRESS_SIZE]) {
    size_t n = 0;

    if (f->segment != 0) {
        n = fmt_print(buf, PCI_ADDRESS_SIZE, "%04x:", f->segment);
    }
    char address[FMT_PCI_SIZE];
    (void)fmt_print(buf + n, PCI_ADDRESS_SIZE - n, "%s", fmt_pci(address, f->function));
    return buf;
}

/* Of each verdict, in this order: text, the number of a register, text, who is meant. */
static const struct {
    const char *before, *after;
    bool bar;
} verdicts[] = {
    [BOOT_PCI_BRIDGE] = {.before = "a bridge"},
    [BOOT_PCI_CHIPSET] = {.before = "part of the chipset"},
    [BOOT_PCI_SERIAL] = {.before = "no: it has the serial console"},
    [BOOT_PCI_SCREEN] = {.before = "no: it has the screen"},
    [BOOT_PCI_KEYBOARD] = {.before = "no: it has the keyboard"},
    [BOOT_PCI_STICK] = {.before = "no: it has the boot stick"},
    [BOOT_PCI_BEHIND_LEGACY] = {.before = "no: behind a legacy bridge"},
    [BOOT_PCI_RESERVED_DMA] = {.before = "no: the firmware uses its DMA"},
    [BOOT_PCI_NO_RESET] = {.before = "no: it cannot be reset"},
    [BOOT_PCI_BAR_NOWHERE] = {.before = "no: BAR ", .bar = true, .after = " has no address"},
    [BOOT_PCI_BAR_SMALL] = {.before = "no: BAR ", .bar = true, .after = " is less than a page"},
    [BOOT_PCI_BAR_SHARED] = {.before = "no: BAR ", .bar = true, .after = " shares a page with "},
    [BOOT_PCI_BAR_TAKEN] = {.before = "no: BAR ", .bar = true, .after = " lies over other things"},
    [BOOT_PCI_BARS_LARGE] = {.before = "no: its low BARs are more than 256M"},
    [BOOT_PCI_BAR_BEYOND] = {.before = "no: BAR ",
                             .bar = true,
                             .after = " is beyond a guest's reach"},
    [BOOT_PCI_GROUP] = {.before = "no: its group has "},
    [BOOT_PCI_NO_IOMMU] = {.before = "no: no IOMMU is in use"},
    [BOOT_PCI_UNSURE] = {.before = "no: ACPI tells of unknown IOMMUs"},
    [BOOT_PCI_NO_REMAPPING] = {.before = "no: interrupts are not remapped"},
    [BOOT_PCI_SEGMENT] = {.before = "no: not in the first PCI segment"},
    [BOOT_PCI_INCOMPLETE] = {.before = "no: the machine has too many devices"},
    [BOOT_PCI_TOGETHER] = {.before = "yes, with "},
    [BOOT_PCI_ALONE] = {.before = "yes"},
};

/* What to do about each that is no yes. */
static const char *const fixes[] = {
    [BOOT_PCI_BRIDGE] = "name the devices behind it",
    [BOOT_PCI_CHIPSET] = "take it out of the list",
    [BOOT_PCI_SERIAL] = "name another serial line as the console, or \"none\"",
    [BOOT_PCI_SCREEN] = "connect the screen to another card, the first one in the firmware's setup",
    [BOOT_PCI_KEYBOARD] = "put the keyboard into a socket of another controller",
    [BOOT_PCI_STICK] = "put the boot stick into a socket of another controller",
    [BOOT_PCI_BEHIND_LEGACY] = "use a PCI Express device, in a slot without such a bridge",
    [BOOT_PCI_RESERVED_DMA] = "switch off what does so in the firmware's setup, such as USB legacy "
                              "support, or use another device",
    [BOOT_PCI_NO_RESET] = "put it into another slot, where it is alone behind its port, or use "
                          "another device",
    [BOOT_PCI_BAR_NOWHERE] = "switch on \"Above 4G Decoding\" in the firmware's setup",
    [BOOT_PCI_BAR_SMALL] = "use another device",
    [BOOT_PCI_BAR_SHARED] = "put it into another slot, or use another device",
    [BOOT_PCI_BAR_TAKEN] = "update the firmware",
    [BOOT_PCI_BARS_LARGE] = "use another device",
    [BOOT_PCI_BAR_BEYOND] = "switch off \"Resizable BAR\" in the firmware's setup, or use another "
                            "device",
    [BOOT_PCI_GROUP] = "that one cannot be given: put one of them into a slot of the CPU's own, or "
                       "switch on \"ACS\" in the firmware's setup",
    [BOOT_PCI_NO_IOMMU] =
        "switch on \"VT-d\", \"IOMMU\" or \"AMD-Vi\" in the firmware's setup, and "
        "take \"iommu\" out of avoid",
    [BOOT_PCI_UNSURE] = "update the firmware",
    [BOOT_PCI_NO_REMAPPING] = "switch on x2APIC or interrupt remapping in the firmware's setup",
    [BOOT_PCI_SEGMENT] = "put it into a slot of the first segment",
    [BOOT_PCI_INCOMPLETE] = "switch some off in the firmware's setup, or take cards out",
};

const char *pci_fix(const struct boot_pci *f) {
    return fixes[f->verdict];
}

/* The others of its group: the first, and how many more. */
static void add_members(const struct boot_info *info, const struct boot_pci *f, char *buf,
                        size_t size) {
    char address[PCI_ADDRESS_SIZE] = "";
    unsigned more = 0;

    for (uint32_t i = 0; i < info->pci_count; i++) {
        const struct boot_pci *other = &info->pci[i];
        if (other == f || other->group != f->group || boot_pci_is_bridge(other)) {
            continue;
        }
        if (address[0] == '\0') {
            (void)pci_address(other, address);
        } else {
            more++;
        }
    }
    if (more == 0) {
        (void)fmt_print(buf, size, "%s", address);
    } else {
        (void)fmt_print(buf, size, "%s and %u more", address, more);
    }
}

const char *pci_verdict(const struct boot_info *info, const struct boot_pci *f,
                        char buf[PCI_VERDICT_SIZE]) {
    const char *after = verdicts[f->verdict].after;
    size_t n = fmt_print(buf, PCI_VERDICT_SIZE, "%s", verdicts[f->verdict].before);

    if (verdicts[f->verdict].bar) {
        n += fmt_print(buf + n, PCI_VERDICT_SIZE - n, "%u%s", f->bar, after);
    }
    if (f->because != BOOT_PCI_NONE) {
        (void)pci_address(&info->pci[f->because], buf + n);
    } else if (f->verdict == BOOT_PCI_TOGETHER) {
        add_members(info, f, buf + n, PCI_VERDICT_SIZE - n);
    }
    return buf;
}

static const char *reset_name(const struct boot_pci *f) {
    if (f->flr || f->af_flr) {
        return "FLR";
    }
    if (f->pm_reset) {
        return "PM";
    }
    return f->bus_reset ? "bus" : "-";
}

const char pci_line_head[] = "  PCI     ID        what     group reset for a guest";

const char *pci_line(const struct boot_info *info, const struct boot_pci *f,
                     char buf[PCI_LINE_SIZE]) {
    char address[PCI_ADDRESS_SIZE], verdict[PCI_VERDICT_SIZE];

    (void)fmt_print(buf, PCI_LINE_SIZE, "  %-7s %04x:%04x %-8s %5u %-5s %s",
                    pci_address(f, address), f->vendor, f->device, pci_kind(f), f->group,
                    reset_name(f), pci_verdict(info, f, verdict));
    return buf;
}
