/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's PCI functions: how config/pci_list.c reaches their configuration space, which of
 * them the firmware uses for us, and what the pre-flight says of them. Called by main.c. Source:
 * UEFI Specification, "PCI I/O Protocol", "Task Priority Services"; PCI Express Base Specification,
 * "PCI Express Enhanced Configuration Access Mechanism (ECAM)".
 */
#include "boot/boot.h"
#include "config/pci.h"
#include "hv/lib/phys.h"

#define PORTS_REACH      256u /* bytes of a function's space */
#define FUNCTION_SPACE   4096u
#define FUNCTIONS_OF_BUS 256u
#define BUS_SPACE        MIB
#define NOBODY           UINT32_MAX

static const struct boot_info *machine;

/* ---- configuration space ---- */

/* The register in memory, NULL if it is not there. */
static volatile uint32_t *ecam_register(uint32_t segment, uint32_t function, uint32_t reg) {
    uint32_t bus = function / FUNCTIONS_OF_BUS;

    for (uint32_t i = 0; i < machine->ecam_count; i++) {
        const struct boot_ecam *e = &machine->ecams[i];
        if (e->segment == segment && bus >= e->first_bus && bus <= e->last_bus) {
            uint64_t offset = (uint64_t)function * FUNCTION_SPACE + reg;
            return phys_pointer(HPA(e->base.v + offset));
        }
    }
    return NULL;
}

static bool by_ports(uint32_t segment, uint32_t reg) {
    return machine->ecam_count == 0 && segment == 0 && reg < PORTS_REACH;
}

static uint32_t space_read(uint32_t segment, uint32_t function, uint32_t reg) {
    const volatile uint32_t *place = ecam_register(segment, function, reg);

    if (place != NULL) {
        return *place;
    }
    return by_ports(segment, reg) ? ports_pci_read(function, reg) : NOBODY;
}

static void space_write(uint32_t segment, uint32_t function, uint32_t reg, uint32_t value) {
    volatile uint32_t *place = ecam_register(segment, function, reg);

    if (place != NULL) {
        *place = value;
    } else if (by_ports(segment, reg)) {
        ports_pci_write(function, reg, value);
    }
}

static const struct pci_space space = {.read = space_read, .write = space_write};

/* Some firmware's table names a wrong place: nobody lives there, or another than the ports show. */
static bool ecam_is_true(const struct boot_ecam *e) {
    uint64_t buses = e->last_bus + 1u - e->first_bus;
    uint32_t first = e->first_bus * FUNCTIONS_OF_BUS;

    if (!machine_maps(e->base.v + e->first_bus * BUS_SPACE, buses * BUS_SPACE)) {
        return false;
    }
    return e->segment != 0 || space_read(0, first, 0) == ports_pci_read(first, 0);
}

/* Nothing of the firmware's may touch a device while its registers are asked for their sizes. */
void devices_list(struct boot_info *info) {
    bool good = true;

    machine = info;
    for (uint32_t i = 0; i < info->ecam_count; i++) {
        good = good && ecam_is_true(&info->ecams[i]);
    }
    if (!good) {
        console_print(CONSOLE_WARN, "The firmware's table of PCI configuration space (MCFG) is "
                                    "wrong; doing without." MSG(2014) "\n");
        info->ecam_count = 0;
    }
    EFI_TPL before = BS->RaiseTPL(TPL_HIGH_LEVEL);
    pci_list_all(info, &space);
    BS->RestoreTPL(before);
    pci_group_all(info);
}

void devices_part(struct boot_info *info) {
    machine = info;
    pci_stop_others(info, &space);
    if (info->dma.unit_count != 0) {
        pci_set_acs(info, &space);
        pci_judge_all(info);
    }
}

/* ---- the firmware's own ---- */

EFI_PCI_IO_PROTOCOL *devices_protocol(EFI_DEVICE_PATH *path) {
    EFI_HANDLE handle = NULL;
    EFI_PCI_IO_PROTOCOL *pci = NULL;

    bool found = BS->LocateDevicePath(&PciIoProtocol, &path, &handle) == EFI_SUCCESS &&
                 BS->HandleProtocol(handle, &PciIoProtocol, (void **)&pci) == EFI_SUCCESS;
    return found ? pci : NULL;
}

struct boot_pci *devices_find(struct boot_info *info, EFI_PCI_IO_PROTOCOL *pci) {
    UINTN segment, bus, device, function;

    if (pci->GetLocation(pci, &segment, &bus, &device, &function) != EFI_SUCCESS) {
        return NULL;
    }
    return pci_find(info, (uint32_t)segment, (uint32_t)(bus << 8 | device << 3 | function));
}

/* Where the volume is that we were started from. */
static void mark_stick(struct boot_info *info) {
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_DEVICE_PATH *path = NULL;
    EFI_PCI_IO_PROTOCOL *pci = NULL;

    if (BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&loaded) == EFI_SUCCESS &&
        loaded->DeviceHandle != NULL) {
        path = DevicePathFromHandle(loaded->DeviceHandle);
    }
    if (path != NULL) {
        pci = devices_protocol(path);
    }
    struct boot_pci *listed = pci != NULL ? devices_find(info, pci) : NULL;
    if (listed != NULL) {
        listed->stick = true;
    }
}

static void mark_reserved_from(struct boot_info *info, uint16_t first, uint16_t last) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        struct boot_pci *f = &info->pci[i];
        bool named = f->function >= first && f->function <= last;
        f->reserved_dma = f->reserved_dma || (f->segment == 0 && named);
    }
}

/* Whose memory the firmware's table reserves; and, with AMD-Vi, who may send more than accesses and
 * interrupts of its own, past the IOMMU. */
static void mark_reserved(struct boot_info *info) {
    const struct boot_dma *dma = &info->dma;

    for (uint32_t i = 0; i < dma->range_count; i++) {
        mark_reserved_from(info, dma->ranges[i].first, dma->ranges[i].last);
    }
    for (uint32_t i = 0; i < dma->setting_count; i++) {
        mark_reserved_from(info, dma->settings[i].first, dma->settings[i].last);
    }
}

/* ---- the pre-flight ---- */

static bool is_device(const struct boot_pci *f) {
    return f->verdict != BOOT_PCI_BRIDGE && f->verdict != BOOT_PCI_CHIPSET;
}

void devices_judge(struct boot_info *info, struct preflight_report *report) {
    unsigned devices = 0, can = 0;

    mark_stick(info);
    mark_reserved(info);
    pci_judge_all(info);
    for (uint32_t i = 0; i < info->pci_count; i++) {
        devices += is_device(&info->pci[i]);
        can += boot_pci_can_be_given(&info->pci[i]);
    }
    if (info->pci_left_out != 0) {
        preflight_add(report, "PCI devices", PREFLIGHT_WARN,
                      "Bulkhead knows no more of them: none can be given to a guest." MSG(2103),
                      "%u functions, and %u more", info->pci_count, info->pci_left_out);
    } else if (info->dma.unit_count == 0) {
        preflight_add(report, "PCI devices", PREFLIGHT_OK, NULL,
                      "%u, none for guests without an IOMMU", devices);
    } else {
        preflight_add(report, "PCI devices", PREFLIGHT_OK, NULL, "%u, %u for guests", devices, can);
    }
}

typedef void show_function(const struct boot_info *info, const struct boot_pci *f);

/* With each function of one group after the other. */
static void each_by_group(const struct boot_info *info, show_function *show) {
    for (uint32_t group = 0; group < info->pci_count; group++) {
        for (uint32_t i = 0; i < info->pci_count; i++) {
            if (info->pci[i].group == group) {
                show(info, &info->pci[i]);
            }
        }
    }
}

static void show_device(const struct boot_info *info, const struct boot_pci *f) {
    char line[PCI_LINE_SIZE];
    if (is_device(f)) {
        console_print(CONSOLE_PLAIN, "%s\n", pci_line(info, f, line));
    }
}

static void note_other(const struct boot_info *info, const struct boot_pci *f) {
    char line[PCI_LINE_SIZE];
    if (!is_device(f)) {
        console_note("%s\n", pci_line(info, f, line));
    }
}

static void note_bars(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    char address[PCI_ADDRESS_SIZE];

    (void)pci_address(f, address);
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        const struct boot_pci_bar *bar = &f->bars[i];
        if (bar->size != 0) {
            console_note("%s BAR %u: %s %#llx, size %#llx\n", address, i,
                         bar->io ? "ports" : "memory", (ull)bar->base, (ull)bar->size);
        }
    }
}

void devices_print(const struct boot_info *info) {
    if (info->pci_count != 0) {
        console_print(CONSOLE_PLAIN, "%s\n", pci_line_head);
    }
    each_by_group(info, show_device);
}

void devices_note(const struct boot_info *info) {
    each_by_group(info, note_other);
    each_by_group(info, note_bars);
}
