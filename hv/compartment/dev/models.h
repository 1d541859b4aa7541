/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The models of a guest's PC, one C file each: their state, and what the platform's wires do to
 * them. All else goes by their device_ops. All that registers are told is guest-controlled.
 */
#pragma once

#include "hv/compartment/dev/device.h"

extern const struct device_ops bios_ops, chipset_ops, ioapic_ops, pic_ops, pit_ops, pm_ops, rtc_ops,
    uart_ops, watchdog_ops;

/*
 * The PC's pair of 8259 interrupt controllers with the edge/level registers (ELCR) of PCI chipsets:
 * initialization, masks, all EOI and rotation commands, polling, special modes. What hangs on its
 * INTR output is its owner's business.
 */
enum pic_region { PIC_FIRST, PIC_SECOND, PIC_ELCR };
enum pic_step { PIC_READY, PIC_ICW2, PIC_ICW3, PIC_ICW4 };

struct pic_chip {
    unsigned lines, irr, isr, elcr; /* a bit for each input */
    unsigned lowest;                /* the input of lowest priority; the next one is the highest */
    enum pic_step next;             /* what the odd port takes next; READY: the mask */
    uint8_t mask, vector;           /* of the first input */
    bool wants_icw4, auto_eoi, nested;
    bool rotate; /* in automatic EOI */
    bool special_mask, read_isr, poll;
};

struct pic {
    struct device dev;
    bool intr;
    struct pic_chip chips[2]; /* IRQ 0 to 7; 8 to 15, which sits on input 2 of the first */
};

void pic_set_line(struct pic *pic, unsigned irq, bool asserted); /* 0..15 but 2 */
uint8_t pic_acknowledge(struct pic *pic);

/*
 * An I/O APIC with 24 pins (82093AA register layout, version 20h with EOI register): edge and
 * level, polarity ignored (models speak in asserted / not asserted), remote IRR, masked pending.
 */
#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

struct ioapic {
    struct device dev;
    uint32_t id, select;
    uint64_t redirection[IOAPIC_PINS];
    uint32_t lines;   /* bit per pin: asserted now */
    uint32_t pending; /* edge seen while masked, line still asserted: delivered when unmasked */
};

void ioapic_set_line(struct ioapic *io, unsigned pin, bool asserted);
void ioapic_eoi(struct ioapic *io, uint8_t vector); /* EOI broadcast from a local APIC */

/*
 * A 16550A UART: FIFOs, interrupts with their priorities, modem control with loopback, scratch
 * register.
 */
#define UART_IRQ        4
#define UART_FIFO_SIZE  16
#define UART_STORE_SIZE 128 /* received bytes that wait: what is typed ahead of a busy guest */

struct uart_fifo {
    uint8_t bytes[UART_STORE_SIZE];
    uint8_t head, count;
};

struct uart {
    struct device dev;
    /* IER, LCR, MCR, MSR, scratch, and the error bits of LSR, at their places; the divisor. */
    uint8_t reg[10];
    bool line, thr_interrupt, fifo;
    struct uart_fifo rx, tx;
};

bool uart_receive(struct uart *u, uint8_t byte); /* false = no room, byte not taken */
void uart_drain(struct uart *u);                 /* transmit() has room again */

/* ACPI fixed hardware; the same numbers go into the FADT. */
#define PM1A_EVENT_PORT   0x600 /* 4 bytes: status, enable */
#define PM1A_CONTROL_PORT 0x604 /* 2 bytes */
#define PM_TIMER_PORT     0x608 /* 4 bytes, 32-bit counter */
#define PM_SCI_IRQ        9
#define PM_S5_TYPE        5 /* SLP_TYP for \_S5 in the DSDT */
#define RESET_PORT        0xcf9
#define RESET_VALUE       0x06

struct pm {
    struct device dev;
    uint16_t status, enable, control; /* PM1a */
    bool rtc_line;
};

void pm_press_power_button(struct pm *pm);
/* The CMOS clock's interrupt line, which is an event here as well. */
void pm_set_rtc_line(struct pm *pm, bool asserted);

#define RTC_IRQ 8

/* What a reset leaves: time and memory. */
struct rtc_kept {
    uint64_t offset; /* seconds, modulo 2^64, that the guest has set it off from the host's */
    uint8_t ram[128];
};

struct rtc {
    struct device dev;
    uint8_t index;
    struct rtc_kept kept;
    uint64_t seen; /* the flags in register C are those of this moment; in periods of its crystal */
};

#define PIT_IRQ 0

enum pit_region { PIT_COUNTERS, PIT_PORT_61 };

struct pit_channel {
    bool loaded, high;    /* a count was written; the next byte is the high one */
    uint8_t access, mode; /* as in the control word */
    uint8_t latched, status;
    uint16_t reload, count;
    uint64_t start; /* PIT ticks on the VM's clock when it was loaded */
};

struct pit {
    struct device dev;
    struct pit_channel channels[3];
    uint8_t port61;
    uint64_t due; /* when channel 0 interrupts next, on the clock; 0 = never */
};

/*
 * PCI configuration mechanism 1 (CF8h..CFFh as one region, CF9h among them) and as memory,
 * keyboard-controller reset (60h, 64h: command FEh; there is no controller behind it), fast reset
 * (92h), POST port (80h).
 */
enum chipset_region {
    CHIPSET_CONFIG,
    CHIPSET_CONFIG_PAGES,
    CHIPSET_KEYBOARD_DATA,
    CHIPSET_KEYBOARD_COMMAND,
    CHIPSET_POST,
    CHIPSET_FAST_RESET
};

struct pci_host;

struct chipset {
    struct device dev;
    const struct pci_host *pci; /* what is configured; set before the first reset */
    uint32_t address;
    uint8_t port92, cf9;
};

/* BULKHEAD_BIOS_PORT: where the guest's firmware tells of calls to a BIOS. */
struct bios {
    struct device dev;
};

/*
 * The watchdog of ACPI's WDAT; the same numbers go into that table. Registers by their offsets: how
 * many ticks it waits (4 bytes), how many are left (4 bytes, read-only), whether it runs (bit 0),
 * any write feeds it, whether it has ended the guest's last run (bit 0).
 */
#define WATCHDOG_PORT 0x620
#define WATCHDOG_SIZE 12
#define WATCHDOG_HZ   10u

enum watchdog_register {
    WATCHDOG_COUNT = 0,
    WATCHDOG_LEFT = 4,
    WATCHDOG_CONTROL = 8,
    WATCHDOG_FEED = 9,
    WATCHDOG_STATUS = 10
};

struct watchdog {
    struct device dev;
    uint32_t most;  /* ticks; set before the first reset, as bitten */
    uint32_t count; /* ticks from a feed to the end */
    bool runs, bitten;
    uint64_t due; /* when it ends the run, on the clock, if it runs */
};
