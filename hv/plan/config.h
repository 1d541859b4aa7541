/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as data: what bulkhead.toml says after the schema has checked it. Plain fixed
 * arrays, so that boot/ can hand it over inside struct boot_info. The schema table in
 * config/schema.c is the only list of keys; docs/config.md is printed from it.
 */
#pragma once

#include "hv/lib/log.h"
#include "hv/lib/types.h"

#define CONFIG_MAX_GUESTS   16
#define CONFIG_MAX_CPUS     1024 /* host CPU numbers run from 0 to this, exclusive */
#define CONFIG_NAME_SIZE    32
#define CONFIG_PATH_SIZE    128
#define CONFIG_CMDLINE_SIZE 1024
#define CONFIG_SERIAL_SIZE  48 /* also of asset tags */
#define CONFIG_MAX_WIRES    16
#define CONFIG_MAX_DISKS    8                       /* of a guest */
#define CONFIG_MAX_NETS     8                       /* the same */
#define CONFIG_MAX_PMEMS    4                       /* the same */
#define CONFIG_MAX_VSOCKS   (CONFIG_MAX_GUESTS - 1) /* the same */
#define CONFIG_MAX_PORTS    6                       /* the same */
#define CONFIG_MAX_PCI      8                       /* the same */
#define CONFIG_FIRST_CID    3u
#define CONFIG_LAST_CID     0xfffeffffu /* of a guest; from there on those of served disks */
#define CONFIG_DISK_NAME    16
#define CONFIG_EXPORT_SIZE  64
#define CONFIG_MTU          1500
#define UUID_SIZE           16 /* bytes, in the order in which a UUID is written */

/* Position of a value in the file, both from 1; line 0 = the key was not given. */
struct config_pos {
    uint32_t line, column;
};

struct cpu_set {
    uint64_t bits[CONFIG_MAX_CPUS / 64];
};

enum config_on_crash { ON_CRASH_RESTART, ON_CRASH_STOP, ON_CRASH_HALT };
enum config_on_violation { ON_VIOLATION_DENY, ON_VIOLATION_STOP };
enum config_on_limit { ON_LIMIT_THROTTLE, ON_LIMIT_PAUSE, ON_LIMIT_RESTART };

#define CONFIG_ALL_GUESTS "*" /* as a name in control */

/* What a guest may use in a second. */
enum config_limit { LIMIT_EXITS, LIMIT_CONSOLE, LIMIT_BUCKETS, LIMIT_LOG = LIMIT_BUCKETS, LIMITS };
#define CONFIG_LIMIT_MAX 100000000u
enum config_terminal { TERMINAL_AUTO, TERMINAL_COM1, TERMINAL_HVC0 };
enum config_keyboard { KEYBOARD_US, KEYBOARD_DE, KEYBOARD_UK };

/* A disk: a file, which the guest reads; or reads and writes, with copies of the pages that it has
 * written (VOLATILE); or nothing but such pages; or what another guest serves. */
enum config_disk_kind { DISK_READ_ONLY, DISK_VOLATILE, DISK_BLANK, DISK_SERVED };

struct config_disk {
    char name[CONFIG_DISK_NAME];
    char path[CONFIG_PATH_SIZE]; /* empty = no file */
    enum config_disk_kind kind;
    uint64_t size;                 /* bytes, a multiple of 2 MiB: of the copies; of a blank disk */
    char server[CONFIG_NAME_SIZE]; /* DISK_SERVED: the guest that serves it, */
    char export[CONFIG_EXPORT_SIZE]; /* the name that it has there, */
    bool read_only;                  /* and whether it is never written */
    struct config_pos pos;
};

/* A file that the guest finds in its memory, read-only. */
struct config_pmem {
    char path[CONFIG_PATH_SIZE];
    struct config_pos pos;
};

/* A network adapter. */
struct config_net {
    char wire[CONFIG_NAME_SIZE];
    uint8_t mac[6]; /* zero = made of the guest's and the wire's name */
    bool bridge;    /* it may send with other source addresses than its own */
    bool down;      /* no link at the start */
    struct config_pos pos;
};

/* A guest that this one may connect to, by vsock. */
struct config_vsock {
    char guest[CONFIG_NAME_SIZE];
    struct config_pos pos;
};

/* A port, which the other guest that names it has, too. */
struct config_port {
    char name[CONFIG_NAME_SIZE];
    struct config_pos pos;
};

/* A PCI device of the machine. */
struct config_pci {
    bool by_id;                 /* vendor and device name it, else segment and function */
    uint16_t segment, function; /* as in struct boot_pci */
    uint16_t vendor, device;
    struct config_pos pos;
};

/* What guests' network adapters are on. */
struct config_wire {
    char name[CONFIG_NAME_SIZE];
    uint32_t mtu;
    struct config_pos table_pos;
};

struct config_guest {
    char name[CONFIG_NAME_SIZE];
    struct cpu_set cpus;
    uint64_t memory; /* bytes, a multiple of 2 MiB (schema rule) */
    char kernel[CONFIG_PATH_SIZE];
    uint32_t type;                 /* enum bulkhead_kernel */
    char initrd[CONFIG_PATH_SIZE]; /* empty = none */
    char cmdline[CONFIG_CMDLINE_SIZE];
    uint8_t uuid[UUID_SIZE];         /* zero = made of the guest's name and the stick */
    char serial[CONFIG_SERIAL_SIZE]; /* empty = made of the UUID */
    char asset_tag[CONFIG_SERIAL_SIZE];
    uint32_t disk_count, net_count, pmem_count, vsock_count, port_count, pci_count, control_count;
    struct config_disk disks[CONFIG_MAX_DISKS];
    struct config_net nets[CONFIG_MAX_NETS];
    struct config_pmem pmems[CONFIG_MAX_PMEMS];
    struct config_vsock vsocks[CONFIG_MAX_VSOCKS];
    struct config_port ports[CONFIG_MAX_PORTS];
    struct config_pci pcis[CONFIG_MAX_PCI];
    struct config_vsock controls[CONFIG_MAX_GUESTS]; /* guests that it may control; or "*" */
    uint32_t cid;      /* its address for vsock; 0 = CONFIG_FIRST_CID and its place in the file */
    uint32_t terminal; /* enum config_terminal: where what is typed goes */
    bool start_auto;
    uint32_t stop_timeout; /* seconds from the power button to the plug */
    uint32_t watchdog;     /* seconds that it waits at most; 0 = there is none */
    enum config_on_crash on_crash;
    enum config_on_violation on_violation;
    enum config_on_limit on_limit;
    uint32_t limits[LIMITS]; /* 0 = none; of the log's lines: as many as for others */
    /* Where each was written, for the plan's own complaints. */
    struct config_pos table_pos, cpus_pos, memory_pos, kernel_pos, type_pos, initrd_pos, cid_pos;
};

/* Which UART the log and the consoles have: an I/O port, or one of these. */
enum config_console {
    CONSOLE_NONE = 0,
    CONSOLE_AUTO = 0x10000, /* above all ports: what is found */
    CONSOLE_PCI,            /* a card, or Intel AMT */
};

/* Features of the CPU that Bulkhead can do without, as numbers of bits. */
enum config_avoid {
    AVOID_APICV,   /* VT-x: APIC virtualization */
    AVOID_POSTING, /* VT-x, and with it VT-d: posted interrupts */
    AVOID_VPID,
    AVOID_1G,         /* pages of 1 GiB, the guests' and the hypervisor's */
    AVOID_BUS_LOCKS,  /* both: exits that slow them down */
    AVOID_X2APIC,     /* the host's */
    AVOID_DEADLINE,   /* the host's timer mode */
    AVOID_IOMMU,      /* DMA is held back by the devices' bus master bits alone */
    AVOID_CLEAN_BITS, /* AMD-V, as the rest */
    AVOID_NEXT_RIP,
    AVOID_DECODE_ASSISTS,
    AVOID_FLUSH_BY_ASID,
    CONFIG_AVOIDS
};

struct config {
    uint32_t console; /* enum config_console, or a port */
    enum log_level log_level;
    bool log_wall_clock;         /* lines of the log carry date and time */
    uint8_t escape_key;          /* the control character that is Bulkhead's own */
    uint8_t keyboard;            /* enum config_keyboard: what is printed on its keys */
    bool mitigate;               /* the CPU's flaws are to be made up for */
    uint32_t avoid;              /* a bit for each enum config_avoid */
    uint32_t trial;              /* seconds that a new set's guests have to run */
    uint32_t menu;               /* seconds that the menu is shown; 0 = not at all */
    uint8_t stick_id[UUID_SIZE]; /* zero = that of the partition, see struct boot_info */
    uint32_t guest_count;
    struct config_guest guests[CONFIG_MAX_GUESTS];
    uint32_t wire_count;
    struct config_wire wires[CONFIG_MAX_WIRES];
};

static inline bool cpu_set_has(const struct cpu_set *set, unsigned cpu) {
    return cpu < CONFIG_MAX_CPUS && (set->bits[cpu / 64] >> (cpu % 64) & 1) != 0;
}

/* cpu: below CONFIG_MAX_CPUS. */
static inline void cpu_set_add(struct cpu_set *set, unsigned cpu) {
    set->bits[cpu / 64] |= BIT(cpu % 64);
}
extern const char *const config_avoid_names[CONFIG_AVOIDS];
#define CONFIG_AVOID_SIZE 104
/* Writes the names with blanks between them, cut at size; returns buf. */
const char *config_avoid_format(uint32_t avoid, char *buf, size_t size);
/* Writes the set as a cpuset list ("1-2,4"), cut at size; returns buf. */
const char *cpu_set_format(const struct cpu_set *set, char *buf, size_t size);
