/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's UART: like a 16550A, 8N1, as boot_info has it. Never waits but before guests run and
 * in a panic, and there not for ever: a line that takes nothing any more is talked to no longer,
 * for the screen and the guests would wait with it.
 * It works by interrupts on the CPU that serves the consoles. That CPU's timer looks all the same:
 * on many a board the interrupt never comes.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/uart.h"
#include "hv/lib/lock.h"

#define WAIT_READS   100000u /* a byte takes 87 us, a port read about 1 */
#define DRAIN_BURSTS 4096u
#define FIFO_SIZE    16u
#define RECEIVE_MAX  64u /* bytes taken in one go */
#define EMPTY_PORT   0xffu
#define LOOK_US      20000u /* beside the interrupt */
#define POLL_US      2000u  /* without one: 16 bytes at 115200 baud take 1.4 ms */
#define MISSED_MOST  4u     /* looks that found work, without an interrupt in between */
#define STUCK_MS     500u   /* at 1200 baud 16 bytes take 133 */
#define MS_OF_SECOND 1000u

static SEALED bool present;
static SEALED unsigned fifo_size;
static SEALED struct boot_serial where; /* for the log */
static bool by_interrupts;
static unsigned missed;

static struct lock lock; /* IER and the following */
static bool transmit_wanted;
static uint64_t waiting_since; /* host TSC; 0 = the line took something when it was last asked to */
static bool stuck;             /* it takes nothing: what it should get is dropped */
static bool stuck_told;

/* False if not one of them came; but not for ever. */
static bool uart_wait(unsigned bits, unsigned reads) {
    for (unsigned i = 0; i < reads; i++) {
        if ((uart_in(REG_LSR) & bits) != 0) {
            return true;
        }
    }
    return false;
}

static void serial_set_line(bool keep_speed) {
    uart_out(REG_IER, 0);
    uart_out(REG_LCR, LCR_DLAB);
    unsigned divisor = uart_in(REG_DATA) | (unsigned)uart_in(REG_IER) << 8;
    if (!keep_speed || divisor == 0) {
        uart_out(REG_DATA, 1); /* 115200 / 1 */
        uart_out(REG_IER, 0);
    }
    uart_out(REG_LCR, LCR_8N1);
    uart_out(REG_IIR_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    uart_out(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
}

void serial_init(const struct boot_serial *line) {
    where = *line;
    if (line->base == 0) {
        return;
    }
    uart_init(line);
    present = uart_in(REG_LSR) != EMPTY_PORT;
    if (present) {
        (void)uart_wait(LSR_TEMT, WAIT_READS); /* the firmware's last words */
        serial_set_line(line->keep_speed);
        fifo_size = (uart_in(REG_IIR_FCR) & IIR_FIFO) == IIR_FIFO ? FIFO_SIZE : 1;
    }
}

/* With the lock held. Switched off and on again, so that a pending cause makes a new edge. */
static void serial_update_ier(void) {
    if (by_interrupts) {
        unsigned wanted = IER_RX | (transmit_wanted ? IER_THR : 0);
        uart_out(REG_IER, 0);
        uart_out(REG_IER, wanted);
    }
}

static void serial_set_interrupts(bool on) {
    lock_acquire(&lock); /* other CPUs write already */
    uart_out(REG_IER, 0);
    by_interrupts = on;
    serial_update_ier();
    lock_release(&lock);
    apic_poll(on ? LOOK_US : POLL_US);
}

void serial_init_interrupts(void) {
    if (!present) {
        return;
    }
    serial_set_interrupts(where.irq != 0 && ioapic_route_isa(where.irq, VECTOR_SERIAL));
    const char *space = where.in_memory ? "memory" : "I/O";
    const char *how = by_interrupts ? "by interrupts" : "looked at every 2 ms";
    log_info("serial line: UART at %s %#llx, %s", space, (ull)where.base, how);
}

bool plat_serial_present(void) {
    return present;
}

/* With the lock held: how many bytes it takes now. */
static size_t serial_room(void) {
    if ((uart_in(REG_LSR) & LSR_THRE) != 0) {
        waiting_since = 0;
        stuck = false;
        return fifo_size;
    }
    if (waiting_since == 0) {
        waiting_since = plat_tsc();
    }
    return 0;
}

size_t plat_serial_write(const uint8_t *bytes, size_t n) {
    if (!present) {
        return n; /* nobody will ever read it */
    }
    lock_acquire(&lock);
    size_t room = serial_room();
    size_t taken = 0;
    for (; taken < n && taken < room; taken++) {
        uart_out(REG_DATA, bytes[taken]);
    }
    if (stuck) {
        taken = n;
    }
    if (taken < n && !transmit_wanted) {
        transmit_wanted = true;
        serial_update_ier();
    }
    lock_release(&lock);
    return taken;
}

/* True if somebody was waiting for it. */
static bool serial_transmit(void) {
    lock_acquire(&lock);
    bool goes_on = transmit_wanted && (stuck || (uart_in(REG_LSR) & LSR_THRE) != 0);
    transmit_wanted = transmit_wanted && !goes_on;
    (void)uart_in(REG_IIR_FCR);
    serial_update_ier();
    lock_release(&lock);
    if (goes_on) {
        hv_console_writable();
    }
    return goes_on;
}

/* True if there was something to do. */
static bool serial_serve(void) {
    bool overrun = false;
    unsigned received = 0;
    for (; received < RECEIVE_MAX; received++) {
        unsigned status = uart_in(REG_LSR); /* an overrun is told once */
        overrun |= (status & LSR_OVERRUN) != 0;
        if ((status & LSR_DATA) == 0) {
            break;
        }
        hv_console_input(uart_in(REG_DATA));
    }
    if (overrun) {
        hv_console_overrun();
    }
    return serial_transmit() || received != 0;
}

void serial_interrupt(void) {
    missed = 0;
    (void)serial_serve();
}

/* A terminal that holds the line, a management controller that restarts: it may come back. */
static void serial_look_for_stuck(void) {
    lock_acquire(&lock);
    uint64_t limit = plat_tsc_hz() / MS_OF_SECOND * STUCK_MS;
    stuck = stuck || (waiting_since != 0 && plat_tsc() - waiting_since > limit);
    bool now = stuck;
    lock_release(&lock);

    if (now && !stuck_told) {
        log_warn(
            "serial line: it has taken nothing for %u ms, what it does not take is lost" MSG(4050),
            STUCK_MS);
    } else if (!now && stuck_told) {
        log_warn("serial line: it takes bytes again" MSG(4051));
    }
    stuck_told = now;
}

void serial_poll(void) {
    if (!present) {
        return;
    }
    serial_look_for_stuck();
    bool late = serial_serve() && by_interrupts;
    missed += late;
    if (missed >= MISSED_MOST && by_interrupts) {
        serial_set_interrupts(false);
        log_warn("serial line: interrupt %u does not come, looking at it every 2 ms" MSG(4052),
                 where.irq);
    }
}

/* Where nobody else can wait in between. Once is enough. */
static bool serial_wait_for_room(void) {
    stuck = !uart_wait(LSR_THRE, stuck ? 1 : WAIT_READS);
    return !stuck;
}

void serial_drain_console(void) {
    for (unsigned i = 0; i < DRAIN_BURSTS && transmit_wanted; i++) {
        (void)serial_wait_for_room();
        (void)serial_transmit();
    }
}

void serial_write_polled(const char *text) {
    for (; present && *text != '\0'; text++) {
        if (serial_wait_for_room()) {
            uart_out(REG_DATA, (uint8_t)*text);
        }
    }
}
