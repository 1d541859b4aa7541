/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core and a VM's compartment say to each other. The compartment is a program of its own
 * (hv/compartment/), run as a second context of each vCPU in guest mode, under nested tables of its
 * own. The core fills a vCPU's exchange page and enters its compartment; that does the work and
 * calls the core: CORE_DONE, or a request. What the core takes from registers and from the exchange
 * page it checks as if the guest had sent it.
 */
#pragma once

#include "hv/abi/channel.h"
#include "hv/abi/device.h"
#include "hv/abi/exit.h"
#include "hv/abi/load.h"

/*
 * Addresses in the compartment. Its program, its data and its stacks lie in one span, the guest's
 * memory in a window: guest-physical address 0 appears at COMPARTMENT_WINDOW, so that no null
 * pointer reaches it.
 */
#define COMPARTMENT_BASE        0xffffffff80000000ull
#define COMPARTMENT_WINDOW      0x100000000000ull
#define COMPARTMENT_WINDOW_SIZE (512 * GIB)

/* COMPARTMENT_BASE in its physical memory: where no guest has RAM. */
#define COMPARTMENT_GPA 0xc0000000ull

/* From COMPARTMENT_BASE on: the program, a slot for each vCPU, the page tables. */
#define COMPARTMENT_SLOTS  0x200000ull
#define COMPARTMENT_TABLES 0x300000ull

/* Of a slot; what is not named is not mapped, so that a stack that overruns faults. */
#define COMPARTMENT_SLOT       0x10000ull
#define COMPARTMENT_STACK      0x1000ull
#define COMPARTMENT_STACK_SIZE 0x4000ull
#define COMPARTMENT_EXCHANGE   0x6000ull

/*
 * The program begins with this. Offsets from COMPARTMENT_BASE: where it is entered, where all its
 * calls of the core by VMCALL return, whatever place they are made at; of whole pages: up to
 * text_end code, up to rodata_end constants, up to data_end data with its first values, up to
 * bss_end data that begins as zero.
 */
#define COMPARTMENT_MAGIC 0x746d707261706d63ull
struct compartment_header {
    uint64_t magic;
    uint64_t entry, called, text_end, rodata_end, data_end, bss_end;
};

/* How many vCPUs a VM can have, and so slots. */
#define COMPARTMENT_VCPUS 8

/* struct abi_devices, in pages of its own behind the slots. */
#define COMPARTMENT_DEVICES      0x2f0000ull
#define COMPARTMENT_DEVICES_SIZE 0x2000ull

/* What the core wants. What each takes and gives stands at struct exchange. */
enum upcall {
    UPCALL_NOTHING,     /* answered at once: what a way there and back costs */
    UPCALL_START,       /* the first of a run, on vCPU 0: all devices as after power-up */
    UPCALL_LOAD,        /* then: what the guest's first instruction finds, see hv/abi/load.h */
    UPCALL_READ,        /* one access to the device at a port or a guest-physical address */
    UPCALL_WRITE,       /* the same */
    UPCALL_SERVICE,     /* vCPU 0: timers and clocks do what is due */
    UPCALL_ACKNOWLEDGE, /* vCPU 0: INTA to the 8259s */
    UPCALL_END,         /* a level-triggered interrupt has ended in a local APIC */
    UPCALL_TYPE,        /* vCPU 0: a typed byte, for the UART or the virtio console */
    UPCALL_DRAIN,       /* vCPU 0: the console has room again */
    UPCALL_POWER,       /* vCPU 0: the power button is pressed */
    UPCALL_CHANNELS,    /* vCPU 0: some other VM has rung, or links has changed */
    UPCALL_MEMORY,      /* EXIT_NESTED_FAULT: an instruction touched what is not RAM */
    UPCALL_STRING,      /* EXIT_IO with IO_STRING */
    UPCALL_TASK,        /* EXIT_TASK_SWITCH */
    UPCALL_LENGTH,      /* the CPU does not tell an instruction's length, and of EXIT_CR more */
    UPCALL_CODE,        /* the bytes at RIP, for a report */
    UPCALL_PDPTES,      /* may the guest load this CR3 for PAE paging? */
    UPCALLS
};

/* In RAX of VMCALL or VMMCALL: what the compartment wants. All registers but RAX are kept. */
enum core_call {
    CORE_DONE,       /* the upcall is answered: the call returns when the next one comes */
    CORE_TELL,       /* what is told is to be taken now: there is more to tell. Returns at once */
    CORE_STATE,      /* state is filled with the guest's */
    CORE_APIC_READ,  /* argument: what the local APIC's page has at this offset; then that */
    CORE_VECTOR_GET, /* argument: number of an XMM register; vector is filled with it */
    CORE_VECTOR_SET, /* the other way */
    CORE_CONTROL, /* what control asks for is done, if the config lets this guest control others */
    CORE_PCI, /* what pci asks of one of the guest's real devices is done; its answer is there */
    CORE_CALLS
};

/* What a compartment tells on its way, bits of exchange.told. The core takes it at the next call,
 * and clears it. */
enum told {
    TOLD_MESSAGES = BIT32(0), /* messages for local APICs */
    TOLD_INTR = BIT32(1),     /* the 8259s' INTR has risen: see struct exchange_vm */
    TOLD_CLOCKS = BIT32(2),   /* a timer was set: vCPU 0 is to ask for service */
    TOLD_BYTES = BIT32(3),    /* there are console bytes in struct exchange_vm */
    TOLD_STATE = BIT32(4),    /* what the masks of state name is to be the guest's */
    TOLD_REFUSED = BIT32(5),  /* an access where nothing is: refused */
    TOLD_APIC = BIT32(6),     /* a write of the local APIC's page: apic */
    TOLD_EVENT = BIT32(7),    /* worth a line in the log: event, word */
    TOLD_BELLS = BIT32(8),    /* other VMs are to look into their channels: bells */
    TOLD_STOP = BIT32(9),     /* the run is to end: stop */
};
#define TOLD_ALL (BIT32(10) - 1)

enum told_stop { TOLD_POWER_OFF, TOLD_RESET, TOLD_STOPS };

enum told_event {
    TOLD_SLEEP_REFUSED, /* asked for a sleep state that there is not: its number */
    TOLD_BIOS_CALLED,   /* called a BIOS that there is not: interrupt << 16 | AX */
    TOLD_WATCHDOG,      /* its watchdog was not fed for so many seconds: the run ends */
    TOLD_EVENTS
};

/* What is asked of a real device, by its number in struct abi_devices. Nothing else of its
 * configuration space is written. */
enum pci_call {
    PCI_CALL_READ,     /* at: register of the configuration space, a multiple of 4; gives value */
    PCI_CALL_COMMAND,  /* value: decoding (bit 1) and bus master (bit 2) of the command register */
    PCI_CALL_MAP,      /* at: BAR; value: guest-physical address in PCI_MEMORY or, of a large one,
                          from pci_high on; or all ones for nowhere. Gives value: 1, or 0 if it
                          cannot be there */
    PCI_CALL_VECTOR,   /* at: number of a message; value and data: as the guest wants it. Gives
                          value and data: what the device has to send; 0 and 0 if it cannot */
    PCI_CALL_MESSAGES, /* value: enum pci_messages */
    PCI_CALL_POWER,    /* value: 0, or 3 for D3hot */
    PCI_CALL_RESET,    /* function-level; gives value: 1, or 0 if it failed */
    PCI_CALLS
};

/* MSI sends message 0. The device's table of MSI-X is the compartment's to write. */
enum pci_messages { PCI_NO_MESSAGES, PCI_MSI, PCI_MSIX, PCI_MSIX_MASKED, PCI_MESSAGES };

struct exchange_pci {
    uint32_t call, function; /* enum pci_call */
    uint32_t at, zero;
    uint64_t value, data;
};

/* What one guest may ask of those that the config lets it control, which it counts from 0 on. */
enum control_call {
    CONTROL_CALL_LOOK,  /* gives look */
    CONTROL_CALL_ORDER, /* order: as if the operator had typed it; done: was it taken? */
    CONTROL_CALL_EVENT, /* at: so many are known; gives event, which has that number from 0 on or is
                           the oldest there is, at, size: 1 or there is none, end: after the last */
    CONTROL_CALL_READ,  /* at: so many bytes of its console are known; gives bytes, at, size, end */
    CONTROL_CALL_TYPE,  /* size, bytes: for its console; gives size: so many were taken */
    CONTROL_CALL_TRACE, /* at: so many lines of its flight recorders are known; gives bytes, at,
                           size, end: the next line. From a copy, which is made at each vCPU's first
                         */
    CONTROL_CALLS
};
#define CONTROL_AT_FIRST UINT64_MAX /* as at: where to begin */
enum control_order {
    CONTROL_START,
    CONTROL_STOP,
    CONTROL_RESTART, /* stop, and then start */
    CONTROL_RESET,
    CONTROL_KILL,
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_ORDERS
};

/* What comes of it. */
enum control_done {
    CONTROL_NO_GUEST, /* there is none of this number */
    CONTROL_DONE,
    CONTROL_NO_CPU,   /* its first CPU is missing: nobody hears */
    CONTROL_OFF,      /* it does not run */
    CONTROL_TOO_MUCH, /* it has too much to do already */
    CONTROL_DONES
};

/* Why a guest came into a state; or the limit that it was over. */
enum event_cause {
    EVENT_CONFIG, /* the hypervisor has started */
    EVENT_READY,  /* its first instruction is next */
    EVENT_DUE,    /* a restart was held back long enough */
    EVENT_START,  /* an operator's orders */
    EVENT_STOP,
    EVENT_KILL,
    EVENT_RESET,
    EVENT_PAUSE,
    EVENT_RESUME,
    EVENT_MOVE,
    EVENT_POWER_OFF, /* its own doing */
    EVENT_OWN_RESET,
    EVENT_CRASH,
    EVENT_REFUSED, /* it cannot start, or did what ends it */
    EVENT_FORCE,   /* it was to stop, and did not in time */
    EVENT_MAX_EXITS,
    EVENT_MAX_CONSOLE,
    EVENT_MAX_LOG,
    EVENT_CAUSES
};

#define CONTROL_BYTES 128u /* of a console in one call */
#define CONTROL_WHY   112u

struct exchange_look {
    uint64_t vcpus, memory;  /* bytes */
    uint64_t up_ms, idle_ms; /* since its last start; of all its vCPUs, since the hypervisor's */
    uint64_t exits, denied, crashes;
    uint64_t over_exits, over_console, withheld;
};

struct exchange_event {
    uint64_t us, unix_seconds; /* on the log's clock; since 1970 */
    uint32_t cause, zero;      /* enum event_cause */
    char why[CONTROL_WHY];     /* more about that, or empty */
};

/* guest, call and what the call takes; the core gives done, and if that is CONTROL_DONE name, state
 * (now, or in an event the one that it came to) and what the call gives. */
struct exchange_control {
    uint32_t call, guest; /* enum control_call */
    uint32_t order, done; /* enum control_order, enum control_done */
    uint64_t at, end;
    char name[ABI_PORT_NAME], state[16];
    uint32_t size, zero;
    union {
        uint8_t bytes[CONTROL_BYTES];
        struct exchange_look look;
        struct exchange_event event;
    };
};

/* A message signalled interrupt. */
struct exchange_message {
    uint64_t address;
    uint32_t data, zero;
};
#define EXCHANGE_MESSAGES 32

/* Bytes on their way to the console: the compartment moves put, the core taken. Both only grow. */
#define EXCHANGE_RING 16u

/* What outlives a run of the guest: the CMOS clock's memory. Known to the compartment alone. */
#define EXCHANGE_KEPT 256u

/* Of the whole VM: in the exchange page of vCPU 0, which all its contexts reach. */
struct exchange_vm {
    uint32_t intr; /* from the compartment: not 0 while the 8259s' INTR is up */
    uint32_t put, taken;
    uint8_t ring[EXCHANGE_RING];
    uint8_t kept[EXCHANGE_KEPT]; /* the compartment's; the core keeps it from one run to the next */
    /* From the core, at UPCALL_START: how many vCPUs it has, the VM's clock (hv/lib/clock.h), RAM
     * from 0 and from 4 GiB on. */
    uint64_t vcpus;
    uint64_t clock_offset, tsc_hz, wall_at_zero;
    uint64_t low_ram, high_ram;
    uint32_t phys_bits; /* of the guest's CPUID: width of a physical address */
    uint32_t has_rdrand;
    uint64_t seed[4]; /* new at each start, for a CPU without RDRAND */
    /* From the core, at UPCALL_START and UPCALL_CHANNELS: a bit for each network adapter that has
     * its cable plugged in. */
    uint32_t links, zero;
    struct abi_counts counts; /* the compartment's, all zero at UPCALL_START */
};

/* An access: of the local APIC's page by its offset, of the bus by its place. */
struct exchange_access {
    uint64_t at, value;
    uint32_t size;
    uint32_t space; /* enum bus_space */
    uint32_t write;
    uint32_t zero;
};

/* What is not in the exit, on demand, and what of it the compartment has changed: a bit of each
 * mask by enum hvm_reg, by enum hvm_seg. */
struct exchange_state {
    uint64_t reg[HVM_REG_COUNT];
    struct hvm_segment segment[HVM_SEG_COUNT];
    uint32_t regs_set, segments_set;
    uint32_t pkru, zero;
};

#define EXCHANGE_CODE 15u /* bytes of the longest instruction */

/* One page for each vCPU. */
struct exchange {
    uint32_t upcall;  /* enum upcall; from the core */
    uint32_t vmmcall; /* from the core: the CPU's instruction is VMMCALL */
    uint32_t told;    /* enum told */
    uint32_t index;   /* from the core: which vCPU this is */

    /*
     * What the upcall takes, and gives in argument:
     * NOTHING     the guest's RBX, which means nothing
     * READ        space, size (1, 2, 4; in memory also 8), at; the value, and there
     * WRITE       the same, and the value; there
     * SERVICE     when it wants to be called again, on the VM's clock; 0 = not
     * ACKNOWLEDGE the vector
     * END         the vector
     * TYPE        the byte; 1 if it was taken
     * PDPTES      CR3; 1 if it may
     * CODE        how many bytes code has; takes code_at
     * MEMORY, STRING, TASK, LENGTH take exit, code_at and regs, and give exit's length, outcome and
     * what belongs to that; those of regs that regs_set says. MEMORY takes apic_page as well.
     */
    uint64_t argument;
    uint64_t at;
    uint32_t space, size; /* enum bus_space; bytes */
    uint32_t there;       /* 1; or 0: nothing answers */

    uint32_t stop;           /* enum told_stop */
    uint32_t event, word;    /* enum told_event */
    uint64_t bells;          /* a bit for each channel of struct abi_devices */
    uint32_t messages, zero; /* how many of the following */
    struct exchange_message message[EXCHANGE_MESSAGES];

    struct vmexit exit;
    struct hvm_code code_at;
    uint64_t regs[16];            /* by enum x86_gpr, but RSP */
    uint64_t apic_page;           /* where the local APIC's registers are; or all ones */
    uint64_t apic_at, apic_value; /* one of them that was read already: its offset, or all ones */

    uint32_t outcome; /* enum emulated */
    uint32_t crash;   /* enum emulated_crash */
    uint32_t task_switched;
    uint32_t regs_set; /* enum emulated_regs */
    struct emulated_fault fault;
    uint8_t code[EXCHANGE_CODE + 1];

    struct exchange_access apic, refused; /* as told */
    struct exchange_state state;
    uint64_t vector[2];
    struct exchange_pci pci;
    struct exchange_control control;

    struct exchange_load load;

    struct exchange_vm vm; /* of vCPU 0's page alone */
};
_Static_assert(sizeof(struct exchange) <= PAGE_SIZE, "one page");
