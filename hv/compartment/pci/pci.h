/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's only PCI bus: functions with their configuration space, BARs that the guest sizes and
 * moves, MSI-X, and the bus's four interrupt lines. A function is data and a const description;
 * what answers in its BARs is a device like any other. The platform's lock is held in all that is
 * here; what registers are told is guest-controlled, and all that it can do is to hide the guest's
 * own devices from it. Source: PCI Local Bus Specification 3.0 "Configuration Space Organization",
 * "Base Addresses", "MSI-X Capability and Table Structures".
 */
#pragma once

#include "hv/compartment/dev/bus.h"

#define PCI_SLOTS       32u
#define PCI_BARS        6u
#define PCI_CONFIG_SIZE 256u
#define PCI_LINES       4u  /* INTA to INTD */
#define PCI_VECTORS     16u /* of a function's MSI-X at most */

/* Where they are at the start. */
#define PCI_PORT_SHARE   (PCI_PORTS_SIZE / PCI_SLOTS) /* of each slot */
#define PCI_MEMORY_SHARE (PCI_VIRTIO_SIZE / PCI_SLOTS)

enum pci_register {
    PCI_ID = 0x00,
    PCI_COMMAND = 0x04, /* and the status above it */
    PCI_CLASS = 0x08,
    PCI_BAR = 0x10,
    PCI_SUBSYSTEM = 0x2c,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT = 0x3c,
    PCI_FIRST_CAPABILITY = 0x40,
};

enum pci_command {
    PCI_PORTS_ON = BIT32(0),
    PCI_MEMORY_ON = BIT32(1),
    PCI_MASTER_ON = BIT32(2),
    PCI_INTX_OFF = BIT32(10),
};

struct pci_bar {
    uint32_t size; /* bytes, a power of two; ports from 4, memory from a page on. 0 = no BAR */
    enum bus_space space;
    unsigned region; /* of the device that answers there */
};

/* What of a function never changes. */
struct pci_model {
    uint16_t vendor, device, subsystem;
    uint32_t class_revision;
    struct pci_bar bars[PCI_BARS];
    /* From PCI_FIRST_CAPABILITY on, with their chain. msix: offset of MSI-X's, 0 = none. */
    const uint8_t *capabilities;
    unsigned capabilities_size, msix, vectors;
};

struct msix_entry {
    uint64_t address;
    uint32_t data, control;
};

/* An entry as the table has it: its words, and of its control and MSI-X's the bits. */
#define MSIX_ENTRY_SIZE 16u
enum { MSIX_ENTRY_ADDRESS = 0, MSIX_ENTRY_HIGH = 4, MSIX_ENTRY_DATA = 8, MSIX_ENTRY_CONTROL = 12 };
#define MSIX_ENTRY_MASKED 1u
#define MSIX_ON           BIT32(15)
#define MSIX_MASKED       BIT32(14) /* all of them */
#define MSIX_WRITABLE     (MSIX_ON | MSIX_MASKED)

struct pci_host;
struct pci_function;

/* A configuration space that no model describes: words at multiples of 4, the whole of them. */
struct pci_config_ops {
    uint32_t (*read)(struct pci_function *f, uint32_t at);
    void (*write)(struct pci_function *f, uint32_t at, uint32_t word);
};

struct pci_function {
    const struct pci_model *model;
    const struct pci_config_ops *config; /* NULL: by the model */
    struct device *device;               /* that answers in the BARs; NULL where there are none */
    struct bus *buses;                   /* by enum bus_space */
    struct pci_host *host;               /* whose lines it drives */
    unsigned slot;
    uint32_t bar[PCI_BARS];
    bool there[PCI_BARS]; /* the bus leads to it */
    uint16_t command;
    bool interrupts; /* it wants to drive its line */
    uint8_t line;    /* a byte that software keeps here */
    uint16_t msix_control;
    uint32_t pending; /* MSI-X vectors that wait for their mask to go */
    struct msix_entry vectors[PCI_VECTORS];
};

/* What the configuration mechanism reaches. */
struct pci_host {
    struct pci_function *slots[PCI_SLOTS];
    uint32_t lines[PCI_LINES]; /* the slots that drive each */
};

/* As after power-up, with addresses as firmware would give them in that slot. What stands before
 * bar in the struct is set, and what follows may be 0. */
void pci_reset(struct pci_function *f);

/* A word of the configuration space of bus 0's function at address, a multiple of 4: device in bits
 * 15 to 11, function in 10 to 8, register in 7 to 0, zero above. All ones where nothing is. */
uint32_t pci_config_read(const struct pci_host *host, uint32_t address);
/* bytes: which of the word's are written, a bit for each. */
void pci_config_write(const struct pci_host *host, uint32_t address, unsigned bytes, uint32_t word);

/* The same by PCI_PAGES; at: from its beginning. Accesses of 1, 2 or 4 bytes, aligned; others read
 * as all ones and write nothing. What a function has above 256 bytes is 0. */
uint64_t pci_page_read(const struct pci_host *host, uint64_t at, unsigned size);
void pci_page_write(const struct pci_host *host, uint64_t at, unsigned size, uint64_t value);

/* May it read and write memory, and send messages? */
static inline bool pci_is_master(const struct pci_function *f) {
    return (f->command & PCI_MASTER_ON) != 0;
}

/* The table, and the pending bits behind it: MSIX_PENDING bytes from its beginning. */
#define MSIX_SIZE    0x200u
#define MSIX_PENDING 0x100u
uint64_t msix_read(const struct pci_function *f, uint64_t at, unsigned size);
void msix_write(struct pci_function *f, uint64_t at, unsigned size, uint64_t value);

/* A word of an entry; at: any offset in the table, a multiple of 4. */
uint32_t msix_entry_word(const struct msix_entry *e, uint64_t at);
void msix_entry_set_word(struct msix_entry *e, uint64_t at, uint32_t word);
/* Software may use aligned accesses of 4 and 8 bytes; of others nothing is said. */
static inline bool msix_takes(uint64_t at, unsigned size) {
    return (size == 4 || size == 8) && at % size == 0;
}

/* Has the guest switched it on? INTx is silent then. */
bool msix_is_on(const struct pci_function *f);

/* The pin of every function with a device is INTA; slots spread it over the bus's lines. The DSDT's
 * _PRT says the same. */
static inline unsigned pci_line(unsigned slot) {
    return slot % PCI_LINES;
}

/* Where a line goes beside its pin DEV_PCI_LINES + line of the I/O APIC: an ISA interrupt, for
 * guests that use the 8259s. Two lines share one. */
static inline unsigned pci_isa_irq(unsigned line) {
    return 10 + line % 2;
}

/* The function wants service, until it says no. While MSI-X is on or command bit 10 is set, nobody
 * hears of it. */
void pci_set_interrupt(struct pci_function *f, bool wanted);
/* Sends a vector's message, now or when its mask goes. One that there is not is nothing. */
void msix_send(struct pci_function *f, unsigned vector);
