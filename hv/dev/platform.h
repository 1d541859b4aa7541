/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices of a guest's PC but for the local APICs, one C file each. Called under the VM's
 * device lock; the _reset() functions also make a device. All that the ports and the I/O APIC's
 * page are told is guest-controlled.
 */
#pragma once

#include "hv/dev/bus.h"
#include "hv/dev/clock.h"
#include "hv/dev/lapic.h"

bus_read bios_read, chipset_read, ioapic_read, pic_read, pit_read, pm_read, rtc_read, uart_read;
bus_write bios_write, chipset_write, ioapic_write, pic_write, pit_write, pm_write, rtc_write,
    uart_write;

/*
 * The PC's pair of 8259 interrupt controllers with the edge/level registers (ELCR) of PCI chipsets:
 * initialization, masks, all EOI and rotation commands, polling, special modes; ports 20h, 21h,
 * A0h, A1h, 4D0h, 4D1h. What hangs on its INTR output (local APIC, I/O APIC) is its owner's
 * business. intr alone may be read without the lock.
 */
struct pic_chip {
    unsigned lines, irr, isr, elcr; /* a bit for each input */
    unsigned lowest;                /* the input of lowest priority; the next one is the highest */
    unsigned next_word;             /* the one of words[] that the odd port takes next */
    uint8_t words[5];               /* the mask, ICW1 to ICW4 */
    bool rotate, special_mask, read_isr, poll;
};

struct pic {
    struct vm *vm;
    bool intr;
    struct pic_chip chips[2]; /* IRQ 0 to 7; 8 to 15, which sits on input 2 of the first */
};

void pic_reset(struct pic *pic, struct vm *vm);
void pic_set_line(struct pic *pic, unsigned irq, bool asserted); /* 0..15 but 2 */

/* INTA: the vector; that of a spurious interrupt if the request went away meanwhile. */
uint8_t pic_acknowledge(struct pic *pic);

/*
 * An I/O APIC with 24 pins (82093AA register layout, version 20h with EOI register): edge and
 * level, polarity ignored (models speak in asserted / not asserted), remote IRR, masked pending.
 */
#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

struct ioapic {
    struct vm *vm;
    uint32_t id, select;
    uint64_t redirection[IOAPIC_PINS];
    uint32_t lines;   /* bit per pin: asserted now */
    uint32_t pending; /* edge seen while masked, line still asserted: delivered when unmasked */
};

void ioapic_reset(struct ioapic *io, struct vm *vm);
void ioapic_set_line(struct ioapic *io, unsigned pin, bool asserted);
void ioapic_eoi(struct ioapic *io, uint8_t vector); /* EOI broadcast from a local APIC */

/*
 * A 16550A UART: FIFOs, interrupts with their priorities, modem control with loopback, scratch
 * register. Its register is the port modulo 8.
 */
#define UART_IRQ        4
#define UART_FIFO_SIZE  16
#define UART_STORE_SIZE 128 /* received bytes that wait: what is typed ahead of a busy guest */

struct uart_fifo {
    uint8_t bytes[UART_STORE_SIZE];
    uint8_t head, count;
};

struct uart {
    struct vm *vm;
    /* IER, LCR, MCR, MSR, scratch, and the error bits of LSR, at their places; the divisor. */
    uint8_t reg[10];
    bool line, thr_interrupt, fifo;
    struct uart_fifo rx, tx;
};

void uart_reset(struct uart *u, struct vm *vm);
bool uart_receive(struct uart *u, uint8_t byte); /* false = no room, byte not taken */
void uart_tx_ready(struct uart *u);

/* ACPI fixed hardware; the same numbers go into the FADT. */
#define PM1A_EVENT_PORT   0x600 /* 4 bytes: status, enable */
#define PM1A_CONTROL_PORT 0x604 /* 2 bytes */
#define PM_TIMER_PORT     0x608 /* 4 bytes, 32-bit counter */
#define PM_TIMER_HZ       3579545ull
#define PM_SCI_IRQ        9
#define PM_S5_TYPE        5 /* SLP_TYP for \_S5 in the DSDT */
#define RESET_PORT        0xcf9
#define RESET_VALUE       0x06

struct pm {
    struct vm *vm;
    const struct dev_clock *clock;
    uint64_t registers; /* status, enable, control: 16 bits each */
    bool rtc_line;
};
void pm_reset(struct pm *pm, struct vm *vm, const struct dev_clock *clock);
void pm_press_power_button(struct pm *pm);
/* The CMOS clock's interrupt line, which is an event here as well. */
void pm_set_rtc_line(struct pm *pm, bool asserted);

#define RTC_IRQ 8

struct rtc {
    struct vm *vm;
    const struct dev_clock *clock;
    uint8_t index;
    uint8_t ram[128];
    uint64_t offset; /* seconds, modulo 2^64, that the guest has set it off from the host's */
    uint64_t seen; /* the flags in register C are those of this moment; in periods of its crystal */
};
/* Ports 70h, 71h. A reset leaves time and memory. */
void rtc_reset(struct rtc *rtc, struct vm *vm, const struct dev_clock *clock);
/* Interrupts if it is time to; when it wants to be called again, on its clock, 0 = not. */
uint64_t rtc_service(struct rtc *rtc);

#define PIT_HZ  1193182ull
#define PIT_IRQ 0

/* Ports 40h to 43h, 61h. */
struct pit_channel {
    bool loaded, high;    /* a count was written; the next byte is the high one */
    uint8_t access, mode; /* as in the control word */
    uint8_t latched, status;
    uint16_t reload, count;
    uint64_t start; /* PIT ticks on the VM's clock when it was loaded */
};
struct pit {
    struct vm *vm;
    const struct dev_clock *clock;
    struct pit_channel channels[3];
    uint8_t port61;
    uint64_t due; /* when channel 0 interrupts next, on the clock; 0 = never */
};
void pit_reset(struct pit *pit, struct vm *vm, const struct dev_clock *clock);
uint64_t pit_service(struct pit *pit); /* as rtc_service() */

/*
 * PCI configuration mechanism 1 (CF8h..CFFh as one bus entry, CF9h among them), keyboard-controller
 * reset (60h, 64h: command FEh; there is no controller behind it), fast reset (92h), POST port
 * (80h).
 */
struct chipset {
    struct vm *vm;
    uint32_t address;
    uint8_t port92, cf9;
};
void chipset_reset(struct chipset *c, struct vm *vm);

/*
 * BULKHEAD_BIOS_PORT: where the guest's firmware tells of calls to a BIOS. All are counted, the
 * first few after each start are for the log.
 */
#define BIOS_CALLS_SHOWN 8
struct bios {
    struct vm *vm;
    uint64_t calls; /* since the VM was made; shown by "stats" */
    uint32_t left;  /* so many may still be shown */
};
void bios_reset(struct bios *bios, struct vm *vm);
