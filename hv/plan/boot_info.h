/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the EFI application hands to the hypervisor: the machine as the firmware described it, the
 * configuration, and the guests' files in memory. No EFI types. Written once by boot/, read-only
 * afterwards. All addresses are host-physical; the hypervisor runs identity-mapped.
 */
#pragma once

#include "hv/plan/boot_pci.h"
#include "hv/plan/config.h"

#define BOOT_MAX_RANGES  2048
#define BOOT_MAX_IMAGES  ((2 + CONFIG_MAX_DISKS + CONFIG_MAX_PMEMS) * CONFIG_MAX_GUESTS)
#define BOOT_MAX_IOAPICS 32
#define BOOT_MAX_SCREENS 4
#define BOOT_MAX_NODES   64

#define BOOT_SCREEN_MIN_WIDTH  640u /* pixels: less is no place for a log */
#define BOOT_SCREEN_MIN_HEIGHT 480u

enum mem_kind {
    MEM_FREE,     /* RAM that nobody needs: the plan may give it away */
    MEM_BULKHEAD, /* RAM of the hypervisor: its image, its heap, boot_info, the guests' files */
    MEM_RESERVED, /* RAM or MMIO of firmware (ACPI tables too) or devices; never touched */
};

struct mem_range {
    hpa_t base;
    uint64_t size; /* bytes, multiple of 4 KiB */
    enum mem_kind kind;
};

/* One file from the boot volume; one entry for each distinct path. */
struct boot_image {
    char path[CONFIG_PATH_SIZE];
    hpa_t base; /* page-aligned, in MEM_BULKHEAD */
    uint64_t size;
    const char *problem; /* why it could not be read, size is 0 then; else NULL */
};

#define BOOT_LARGE_FILE (2 * MIB)

/* Bytes that it has for itself there, zero behind the file: a large one lies in whole pages of
 * 2 MiB, so that a guest may have it in its memory. */
static inline uint64_t boot_image_room(uint64_t size) {
    return ALIGN_UP(size, size < BOOT_LARGE_FILE ? PAGE_SIZE : BOOT_LARGE_FILE);
}

/* Pixels of 32 bits with a byte for each colour, in whatever order: we draw in grey. */
struct boot_framebuffer {
    hpa_t base; /* of uint32_t */
    uint64_t size;
    uint32_t width, height, stride; /* in pixels; a line may be longer than it is wide */
    bool red_first;                 /* the lowest byte of a pixel is red, else blue */
};

/* Memory that some CPUs are nearer to than others. */
struct boot_node {
    hpa_t base;
    uint64_t size;
    uint32_t number;
};

struct boot_ioapic {
    hpa_t base;
    uint32_t gsi_base;
    uint8_t id; /* by which other tables call it */
};

/* Where an ISA interrupt arrives, after the MADT's overrides. */
struct boot_isa_irq {
    uint32_t gsi;
    bool active_low, level;
};

/* What a guest has only if CPU and vendor let it: instructions, MSRs. */
enum hvm_feature {
    HVM_RDTSCP = BIT32(0),
    HVM_INVPCID = BIT32(1),
    HVM_MSRS_C001 = BIT32(2), /* from C0010000h on */
    HVM_SPEC_CTRL = BIT32(3),
    HVM_SPEC_CTRL_PASSES = BIT32(4), /* the hypervisor keeps no bit set in it */
    HVM_PRED_CMD = BIT32(5),
    HVM_FLUSH_CMD = BIT32(6),
    HVM_ARCH_CAPS = BIT32(7),
    HVM_APIC = BIT32(8),        /* not the guest's: APIC virtualization */
    HVM_POSTING = BIT32(10),    /* the same: posted interrupts; with HVM_APIC alone */
    HVM_EFER_PASSES = BIT32(9), /* while a guest runs, EFER holds nothing of the host's */
};

/* Against what is known of CPUs' flaws: which of them a CPU has, config/flaws.c knows. */
enum mitigation {
    MITIGATE_L1D = BIT32(0),  /* L1 data cache flushed: L1TF */
    MITIGATE_VERW = BIT32(1), /* buffers overwritten: MDS, TAA, MMIO stale data, RFDS, TSA */
    MITIGATE_IBRS = BIT32(2), /* guests do not steer the hypervisor's branches: enhanced IBRS */
    MITIGATE_AUTO_IBRS = BIT32(3),       /* the same, AMD's */
    MITIGATE_IBPB = BIT32(4),            /* branch predictions forgotten when a guest starts */
    MITIGATE_SMALL_PAGES = BIT32(5),     /* guests' RAM in 4 KiB pages: iTLB multihit */
    MITIGATE_PBRSB = BIT32(6),           /* a CALL after each exit, before the first RET */
    MITIGATE_BHI_DIS = BIT32(7),         /* SPEC_CTRL: branch history does not count in ring 0 */
    MITIGATE_BHB_LOOP = BIT32(8),        /* the same by overwriting it after each exit */
    MITIGATE_RRSBA_DIS = BIT32(9),       /* SPEC_CTRL: RET has no other predictor in ring 0 */
    MITIGATE_BP_SPEC_REDUCE = BIT32(10), /* AMD's bit against SRSO */
};

/* What the boot CPU runs on, and what the stick had for it; config/microcode.c found it. */
struct boot_microcode {
    bool amd;           /* which registers it has for that */
    hpa_t update;       /* what such a register is given, in MEM_BULKHEAD; 0 = there is none */
    uint32_t offered;   /* its revision; 0 = none was found */
    uint32_t signature; /* the boot CPU's CPUID.1:EAX */
    uint32_t platform;  /* Intel: the one bit that it has in masks of platforms; else 0 */
    uint32_t before;    /* revision that the firmware had loaded */
    uint32_t revision;  /* and now */
};

/* How the UART of the log and the consoles was found. */
enum boot_serial_source {
    SERIAL_BY_CONFIG, /* the config names a port, or none */
    SERIAL_BY_TABLE,  /* ACPI's SPCR: the line of the firmware's own console */
    SERIAL_BY_PORT,   /* one of a PC's usual ports answers */
    SERIAL_BY_PCI,    /* a serial card, or what Intel AMT shows as one */
};

/* A UART like the 16550A. */
struct boot_serial {
    uint64_t base;   /* I/O port or host-physical address of its registers; 0 = there is none */
    bool in_memory;  /* they are no I/O ports */
    uint8_t stride;  /* bytes from one register to the next: 1, 2 or 4 */
    uint8_t width;   /* bytes of an access in memory, at most stride */
    uint8_t irq;     /* on the ISA bus; 0 = not known */
    bool keep_speed; /* as the firmware has set it, else 115200 baud */
    enum boot_serial_source source;
    uint32_t pci; /* SERIAL_BY_PCI: bus << 8 | device << 3 | function */
};

#define SERIAL_REGISTERS 8u

/* Bytes, or ports, from its first register to its last. */
static inline uint64_t serial_span(const struct boot_serial *serial) {
    return SERIAL_REGISTERS * (uint64_t)serial->stride;
}

/* What can be typed on. */
enum boot_input {
    BOOT_INPUT_SERIAL = BIT32(0), /* a UART, see struct boot_serial */
    BOOT_INPUT_PS2 = BIT32(1),
    BOOT_INPUT_USB = BIT32(2),       /* a keyboard behind a controller that Bulkhead drives */
    BOOT_INPUT_USB_OTHER = BIT32(3), /* the firmware can, the hypervisor cannot */
};
#define BOOT_INPUT_USABLE (BOOT_INPUT_SERIAL | BOOT_INPUT_PS2 | BOOT_INPUT_USB)

/* A watchdog that ACPI's table WDAT describes. STUCK: it may run, and cannot be stopped. */
enum boot_watchdog_state {
    BOOT_WATCHDOG_NONE,
    BOOT_WATCHDOG_RESTS,
    BOOT_WATCHDOG_RUNS,
    BOOT_WATCHDOG_UNKNOWN,
    BOOT_WATCHDOG_STUCK,
    BOOT_WATCHDOG_STOPPED,
};

/* An access to a register, to ask if it runs or to stop it. */
struct boot_watchdog_step {
    bool stops;   /* else it asks, */
    bool inverse; /* if it is stopped */
    bool writes;  /* else it reads and compares */
    bool keeps;   /* bits outside of the mask stay */
    bool in_memory;
    uint8_t width; /* bytes */
    uint8_t shift; /* of mask and value */
    uint64_t address;
    uint32_t value, mask;
};

#define BOOT_WATCHDOG_STEPS 16u

struct boot_watchdog {
    enum boot_watchdog_state state;
    bool unclear; /* not all of its steps can be carried out */
    uint32_t step_count;
    struct boot_watchdog_step steps[BOOT_WATCHDOG_STEPS];
};

/* What stands between devices and memory; ACPI's tables tell which. */
enum boot_iommu_kind { BOOT_IOMMU_NONE, BOOT_IOMMU_VTD, BOOT_IOMMU_AMD_VI };

struct boot_iommu {
    hpa_t base; /* of its registers, in whole pages */
    uint64_t size;
    uint16_t segment;
    uint8_t control; /* AMD-Vi: bits that the table has for its control register */
};

/* Where an I/O APIC's interrupts come from: a function's number, see struct boot_dma_range. */
struct boot_dma_ioapic {
    uint8_t id;
    uint16_t source;
};

/* AMD-Vi: what some functions may send beside memory accesses and interrupts; bits as the table has
 * them, and one that it keeps free: */
#define BOOT_DMA_ALIAS 0x08u /* its accesses come under another function's name */
struct boot_dma_setting {
    uint16_t first, last;
    uint8_t bits;
};

#define BOOT_DMA_HOPS 4u

/*
 * Memory that some devices have to reach whoever owns them: Intel's RMRR, AMD's unity maps. The
 * devices are functions of the first segment, by bus << 8 | device << 3 | function.
 */
struct boot_dma_range {
    hpa_t base;
    uint64_t size;
    bool read, write;
    uint16_t first, last; /* the devices */
    /* Intel's tables name the way there: device and function of each bridge, then of the device.
     * hops is 0 once it was gone: first and last are known. */
    uint8_t bus, hops;
    uint8_t path[BOOT_DMA_HOPS];
};

#define BOOT_MAX_IOMMUS       32
#define BOOT_MAX_DMA_RANGES   64
#define BOOT_MAX_DMA_SETTINGS 64

struct boot_dma {
    enum boot_iommu_kind kind;
    bool partial;    /* something of the table was not understood, or there is no room for it */
    bool interrupts; /* the units can hold interrupts back too, says the table */
    uint32_t unit_count;
    struct boot_iommu units[BOOT_MAX_IOMMUS];
    uint32_t ioapic_count;
    struct boot_dma_ioapic ioapics[BOOT_MAX_IOAPICS];
    uint32_t setting_count;
    struct boot_dma_setting settings[BOOT_MAX_DMA_SETTINGS];
    uint32_t range_count;
    struct boot_dma_range ranges[BOOT_MAX_DMA_RANGES];
};

/* How ACPI's "soft off" (S5) is entered: a type goes into each of two registers. */
struct boot_power_off {
    bool known;
    uint16_t control_a, control_b; /* I/O ports of PM1 control; b is 0 if there is but one */
    uint8_t type_a, type_b;        /* of the DSDT's _S5_ */
    uint16_t smi_command;          /* I/O port, 0 = none: */
    uint8_t acpi_enable;           /* what has the firmware give the registers away */
};

/* What the firmware holds of the programs that it starts. */
enum boot_secure {
    BOOT_SECURE_OFF,
    BOOT_SECURE_SETUP, /* off, for no keys are enrolled */
    BOOT_SECURE_ON,    /* it starts signed ones alone */
};

struct boot_info {
    uint32_t range_count; /* sorted by base, no overlaps, neighbours of one kind merged */
    struct mem_range ranges[BOOT_MAX_RANGES];

    uint32_t cpu_count; /* the first is the BSP; the index is the CPU number the config uses */
    uint32_t apic_ids[CONFIG_MAX_CPUS]; /* x2APIC IDs included */
    uint32_t cpus_left_out;             /* there is no room for so many more */
    uint32_t phys_bits; /* of a physical address, a guest's too, says CPUID; 0 = not known */

    hpa_t image_base; /* the loaded hypervisor ELF, relocated, in MEM_BULKHEAD */
    uint64_t image_size;
    hpa_t heap_base; /* zeroed memory below 4 GiB for page tables, stacks, per-CPU data */
    uint64_t heap_size;
    hpa_t trampoline; /* one 4 KiB page below 1 MiB for starting the other CPUs, if there are any */
    hpa_t kept_log;   /* struct kept_log, the log for the next start; 0 = none */

    uint32_t node_count; /* pieces, ascending or not; 0 = all memory is the same */
    struct boot_node nodes[BOOT_MAX_NODES];
    uint32_t cpu_nodes[CONFIG_MAX_CPUS]; /* the number of each CPU's own */

    hpa_t rsdp;               /* 0 = no ACPI */
    uint32_t acpi_wrong_sums; /* so many of its tables have a wrong checksum, and are used */
    uint64_t wall_seconds;    /* Unix seconds (UTC) just before the hypervisor was entered */
    uint32_t pm_timer_port;   /* ACPI PM timer I/O port, 0 = none */
    hpa_t hpet_base;          /* 0 = none */
    uint32_t ioapic_count;    /* 0 = none known */
    struct boot_ioapic ioapics[BOOT_MAX_IOAPICS];
    struct boot_isa_irq isa_irqs[16];
    uint32_t screen_count; /* 0 = none; all of them show the same */
    struct boot_framebuffer screens[BOOT_MAX_SCREENS];
    struct boot_serial spcr; /* what ACPI's SPCR says; nobody has tried it */
    struct boot_serial serial;
    uint32_t inputs; /* enum boot_input */
    struct boot_watchdog watchdog;
    struct boot_dma dma;
    bool management; /* there is a management controller (IPMI), which may have another one */

    uint32_t ecam_count; /* 0 = configuration space is reached by two ports alone */
    struct boot_ecam ecams[BOOT_MAX_ECAMS];
    bool pci_listed;       /* what follows is what this machine has */
    bool acs_set;          /* Access Control Services are on wherever they can be */
    uint32_t pci_count;    /* ascending by segment, bus, device and function */
    uint32_t pci_left_out; /* there is no room for so many more */
    uint32_t pci_stopped;  /* of other segments than the first, whose DMA was switched off */
    struct boot_pci pci[BOOT_MAX_PCI];

    struct boot_microcode microcode;
    uint32_t mitigations;       /* enum mitigation: those to be on */
    uint32_t guest_features;    /* enum hvm_feature: those that speculation is about */
    uint64_t arch_capabilities; /* what guests read of IA32_ARCH_CAPABILITIES */
    char speculation[56];       /* the mitigations, for the admin */
    char open_flaws[56];        /* flaws that nothing is done against, for the admin */

    char set;  /* of the stick's, that this start is of: see config/sets.h; 0 = the plain one */
    bool safe; /* one guest alone, without what it shares with others */
    uint64_t trial; /* it is not known to be good: the number of this try; 0 = it is */

    uint8_t stick_id[UUID_SIZE]; /* of the partition that we were started from; zero = none */

    enum boot_secure secure_boot;
    bool sealed;           /* the application carries a list of the files that it may read */
    uint32_t sealed_files; /* so many */

    uint32_t image_count;
    struct boot_image images[BOOT_MAX_IMAGES];

    struct boot_power_off power_off;

    hpa_t config_text; /* the file that config is made of, in MEM_BULKHEAD */
    uint64_t config_size;
    struct config config;
    const struct plan *plan; /* for these ranges, NULL = none; see plan_check() */
};

/* Bytes of a guest's physical addresses: by CPUID, and by its tables of four levels. */
static inline uint64_t boot_guest_space(const struct boot_info *info) {
    return BIT(min_u64(max_u64(info->phys_bits, 36), 48));
}

/* True if some of that is memory which the firmware calls free, or which is the hypervisor's: no
 * device has its registers there. Both in bytes. */
bool boot_is_memory(const struct boot_info *info, uint64_t base, uint64_t size);
