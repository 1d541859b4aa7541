/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The partition: which VM owns which host CPUs and which host memory. config/plan.c computes it
 * before there is a hypervisor; plan_check(), which shares no code with it, says whether it keeps
 * the rules: in boot/, in tools/bhcheck, and bindingly at the hypervisor's start. Pure.
 */
#pragma once

#include "hv/abi/bus.h"
#include "hv/abi/channel.h"
#include "hv/abi/device.h"
#include "hv/lib/status.h"
#include "hv/plan/boot_info.h"

#define PLAN_MAX_REGIONS 32 /* pieces one VM's memory may be made of */
#define PLAN_MAX_VCPUS   8u

/* Guest memory: gpa .. gpa + size is host memory hpa .. hpa + size. */
struct plan_region {
    gpa_t gpa;
    hpa_t hpa;
    uint64_t size; /* bytes; all three are multiples of 2 MiB but for odd leftovers of 4 KiB */
};

/*
 * What a VM's compartment maps beside its guest's RAM and itself. Whose the frames are: an image is
 * read by all whose config names it and written by nobody; a store is this VM's alone; the halves
 * of a channel are of exactly two VMs, of which each writes the one that is its own.
 */
enum plan_window_kind {
    PLAN_IMAGE,
    PLAN_PMEM, /* an image that the guest has as well, at the same address: in its tables, too */
    PLAN_STORE,
    PLAN_OURS,
    PLAN_THEIRS,
    PLAN_DEVICE /* pages of a real device of its guest's, not cached */
};

static inline bool plan_is_channel(enum plan_window_kind kind) {
    return kind == PLAN_OURS || kind == PLAN_THEIRS;
}

struct plan_window {
    gpa_t gpa; /* in the compartment; above the guest's RAM */
    hpa_t hpa;
    uint64_t size; /* bytes; all three are multiples of 4 KiB */
    enum plan_window_kind kind;
};
#define PLAN_MAX_WINDOWS  (2 * ABI_DISKS + ABI_PMEMS + 2 * ABI_CHANNELS + ABI_PCI_HELD * ABI_PCIS)
#define PLAN_WINDOWS_SIZE (512 * GIB) /* where the last one ends at most */

struct plan_vm {
    const struct config_guest *config;
    const struct boot_image *kernel;
    const struct boot_image *initrd; /* NULL = none */
    uint8_t uuid[UUID_SIZE];         /* who the guest is, for its SMBIOS */
    char serial[CONFIG_SERIAL_SIZE];
    uint32_t cpu_count;
    uint32_t cpus[CONFIG_MAX_CPUS]; /* host CPU of each vCPU, ascending */
    uint32_t region_count;
    struct plan_region regions[PLAN_MAX_REGIONS]; /* ascending gpa */
    /* This VM's own budget of hypervisor memory: struct vm, vCPUs, nested tables, scrollback. */
    hpa_t budget_base;
    uint64_t budget_size;
    uint32_t window_count;
    struct plan_window windows[PLAN_MAX_WINDOWS]; /* ascending gpa */
    /* Of each channel: the host CPU of the other VM's first vCPU, which a doorbell goes to. */
    uint32_t bell_cpus[ABI_CHANNELS];
    /* The guests that it may control, in the order of the file: each by the host CPU of its first
     * vCPU. */
    uint32_t control_count;
    uint32_t control_cpus[CONFIG_MAX_GUESTS];
    const struct boot_pci *functions; /* boot_info's */
    uint32_t pci_count;
    uint16_t
        pcis[CONFIG_MAX_PCI]; /* indices of boot_info's functions: all of each, and of no other's */
    struct config_pos pci_pos[CONFIG_MAX_PCI];
    /* Where the guest may have BARs that are too large for PCI_DEVICES: boot_pci_is_high(). Whole
     * GiB, above all else that it has; size 0: nowhere. */
    gpa_t pci_high;
    uint64_t pci_high_size;
    struct abi_devices devices; /* as its compartment gets it: nobody else believes it */
};

/* Two guests have one on each wire that both are on, one for each port that both name, one if
 * either may connect to the other by vsock, and one for each disk that the second serves the
 * first. */
enum plan_channel_use { PLAN_WIRE, PLAN_VSOCK, PLAN_PORT, PLAN_SERVED };

/* Memory of two VMs: the half of the first one, then that of the second. */
struct plan_channel {
    hpa_t base; /* of 2 * CHANNEL_HALF bytes */
    uint32_t vms[2];
    uint32_t numbers[2]; /* which of each VM's channels that is */
    enum plan_channel_use use;
    uint32_t wire;         /* PLAN_WIRE: of the config */
    uint32_t port;         /* PLAN_PORT: of those that the first guest names */
    uint32_t disk;         /* PLAN_SERVED: of the first guest */
    struct config_pos pos; /* what of the file asks for it */
};
#define PLAN_MAX_CHANNELS 256

struct plan {
    uint32_t vm_count;
    struct plan_vm vms[CONFIG_MAX_GUESTS]; /* in the order of the file */
    uint32_t channel_count;
    struct plan_channel channels[PLAN_MAX_CHANNELS];
};

/*
 * The guest-physical layout every VM gets: RAM from 0 up to PLAN_LOW_RAM_END at most, the rest from
 * 4 GiB up; the gap below 4 GiB is for the local APIC, I/O APIC and the like.
 */
#define PLAN_LOW_RAM_END (3 * GIB)
#define PLAN_HIGH_RAM    (4 * GIB)

/*
 * Checks a finished plan against the machine: every CPU and frame has one owner, guest memory lies
 * in MEM_FREE only and is disjoint from every budget, the sizes are those of the config, the
 * gpa layout is as above without holes or overlaps. Each rule it breaks is told to report.
 */
typedef void plan_report(const char *text);
MUST_USE enum status plan_check(const struct boot_info *info, const struct plan *plan,
                                plan_report *report);

/*
 * Bytes of hypervisor memory a VM with this much memory and so many vCPUs is given: struct vm; the
 * guest's tables for 2 MiB pages (4 KiB a GiB, twice over), and with small_pages for 4 KiB pages as
 * well (4 KiB for each 2 MiB); the compartment's nested and own tables and the host's tables of the
 * VM's CPUs (4 KiB a GiB each); vCPUs. What its windows need comes on top: plan_window_tables().
 */
static inline uint64_t plan_budget_size(uint64_t memory, uint32_t cpu_count, bool small_pages) {
    uint64_t gib = memory / GIB + (memory % GIB != 0);
    uint64_t tables = gib * 20 * KIB;
    if (small_pages) {
        tables += ALIGN_UP(memory, 2 * MIB) / (2 * MIB) * PAGE_SIZE;
    }
    return 4 * MIB + tables + cpu_count * 256 * KIB;
}

/* The same for all its windows: nested tables for pages of 4 KiB, the guest's twice over; the
 * compartment's own. */
static inline uint64_t plan_window_tables(const struct plan_vm *vm) {
    uint64_t tables = 0;
    for (uint32_t i = 0; i < vm->window_count; i++) {
        const struct plan_window *w = &vm->windows[i];
        uint64_t most = w->size / (2 * MIB) + w->size / GIB + 6;
        tables += w->kind == PLAN_PMEM ? 3 * most : most;
    }
    return tables * PAGE_SIZE;
}

/*
 * The same for real devices: the guest's tables of 4 KiB pages for PCI_MEMORY and of 2 MiB pages
 * for large BARs, and the IOMMU's for its RAM, should that know no larger pages.
 */
static inline uint64_t plan_pci_tables(const struct plan_vm *vm) {
    uint64_t most = PCI_MEMORY_SIZE / (2 * MIB) + 9;
    most += vm->pci_high_size / GIB + vm->pci_high_size / (512 * GIB);
    most += vm->pci_high_size != 0 ? 2 : 0;
    most += vm->config->memory / (2 * MIB) + vm->config->memory / GIB + 16;
    return vm->pci_count != 0 ? most * PAGE_SIZE : 0;
}

/* Whether this machine's guests have 4 KiB pages only. */
static inline bool plan_small_pages(const struct boot_info *info) {
    return (info->mitigations & MITIGATE_SMALL_PAGES) != 0;
}
