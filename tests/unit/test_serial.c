/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's UART against a made-up one: whose interrupt never comes, that takes nothing any more,
 * that is slow, that has no FIFO, that the firmware has set up.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/uart.h"
#include "tests/unit/test.h"

#define TSC_HZ   1000000u
#define MS       (TSC_HZ / 1000)
#define FIFO     16u
#define LOOK_US  20000u
#define POLL_US  2000u
#define IRQ      4u
#define PATIENCE 2000000u /* register reads: two seconds on a PC */

/* The UART. */
static struct {
    bool absent, fifo, takes;
    unsigned in_fifo; /* bytes that are to go out */
    unsigned sent, lost;
    uint8_t received; /* 0 = nothing */
    unsigned ier, lcr, mcr, divisor;
    unsigned reads;
} uart;

static struct {
    uint64_t tsc;
    uint32_t poll_us;
    unsigned routed, inputs, writables, overruns;
    char log[1000];
} machine;

void uart_init(UNUSED const struct boot_serial *where) {
}

static unsigned uart_status(void) {
    unsigned status = uart.received != 0 ? LSR_DATA : 0;
    if (uart.takes) {
        uart.in_fifo = 0;
    }
    return uart.in_fifo == 0 ? status | LSR_THRE | LSR_TEMT : status;
}

uint8_t uart_in(enum uart_register r) {
    uint8_t byte = uart.received;
    bool divisor = (uart.lcr & LCR_DLAB) != 0;
    uart.reads++;
    if (uart.absent) {
        return 0xff;
    }
    switch ((unsigned)r) {
    case REG_DATA:
        uart.received = divisor ? byte : 0;
        return divisor ? (uint8_t)uart.divisor : byte;
    case REG_IER:
        return (uint8_t)(divisor ? uart.divisor >> 8 : uart.ier);
    case REG_IIR_FCR:
        return uart.fifo ? IIR_FIFO | IIR_NONE : IIR_NONE;
    case REG_LSR:
        return (uint8_t)uart_status();
    default:
        return 0;
    }
}

void uart_out(enum uart_register r, unsigned value) {
    bool divisor = (uart.lcr & LCR_DLAB) != 0;
    switch ((unsigned)r) {
    case REG_DATA:
        if (divisor) {
            uart.divisor = (uart.divisor & 0xff00) | value;
        } else if (uart.in_fifo < (uart.fifo ? FIFO : 1)) {
            uart.in_fifo++;
            uart.sent++;
        } else {
            uart.lost++;
        }
        break;
    case REG_IER:
        if (divisor) {
            uart.divisor = (uart.divisor & 0xff) | value << 8;
        } else {
            uart.ier = value;
        }
        break;
    case REG_LCR:
        uart.lcr = value;
        break;
    case REG_MCR:
        uart.mcr = value;
        break;
    default:
        break;
    }
}

/* What it works with. */
uint64_t plat_tsc(void) {
    return ++machine.tsc;
}

uint64_t plat_tsc_hz(void) {
    return TSC_HZ;
}

bool ioapic_route_isa(unsigned irq, UNUSED uint8_t vector) {
    machine.routed = irq;
    return true;
}

void apic_poll(uint32_t us) {
    machine.poll_us = us;
}

void hv_console_input(UNUSED uint8_t byte) {
    machine.inputs++;
}

void hv_console_overrun(void) {
    machine.overruns++;
}

/* As the console layer does: more of what waits. */
static unsigned waiting;

void hv_console_writable(void) {
    static const uint8_t text[64];
    machine.writables++;
    while (waiting != 0) {
        size_t taken = plat_serial_write(text, waiting < 64 ? waiting : 64);
        waiting -= (unsigned)taken;
        if (taken == 0) {
            return;
        }
    }
}

static uint64_t no_time(void) {
    return 0;
}

static unsigned no_cpu(void) {
    return 0;
}

static void keep_line(UNUSED enum log_level level, const char *line, size_t n) {
    strncat(machine.log, line, n < 200 ? n : 200);
}

static void set_up(struct boot_serial line) {
    static const struct log_hooks hooks = {no_time, no_cpu, keep_line, NULL};
    static const uint8_t byte;
    log_init(&hooks, LOG_INFO);
    waiting = 0;
    memset(&uart, 0, sizeof(uart));
    uart.fifo = uart.takes = true;
    uart.divisor = 12;
    serial_init(&line);
    /* What the test before has left. */
    (void)plat_serial_write(&byte, 1);
    serial_interrupt();
    serial_poll();
    uint64_t tsc = machine.tsc;
    memset(&machine, 0, sizeof(machine));
    machine.tsc = tsc;
    uart.sent = 0;
}

static const struct boot_serial com1 = {.base = 0x3f8, .stride = 1, .width = 1, .irq = IRQ};

static void send(unsigned n) {
    waiting = n;
    hv_console_writable();
}

TEST(by_interrupts) {
    set_up(com1);
    serial_init_interrupts();
    CHECK_U64(machine.routed, IRQ);
    CHECK_U64(machine.poll_us, LOOK_US);
    CHECK_U64(uart.ier, IER_RX);
    CHECK(strstr(machine.log, "I/O 0x3f8, by interrupts") != NULL);

    uart.takes = false;
    send(40);
    CHECK_U64(uart.sent, FIFO);
    CHECK_U64(uart.ier, IER_RX | IER_THR);
    uart.takes = true;
    serial_interrupt();
    serial_interrupt();
    serial_interrupt();
    CHECK_U64(uart.sent, 40);
    CHECK_U64(uart.lost, 0);
    CHECK_U64(uart.ier, IER_RX);
    uart.received = 'x';
    serial_interrupt();
    CHECK_U64(machine.inputs, 1);
}

/* On many a board IRQ 4 is not the one: then the timer is all there is. */
TEST(an_interrupt_that_never_comes) {
    set_up(com1);
    serial_init_interrupts();
    for (unsigned i = 1; i <= 4; i++) {
        CHECK_U64(machine.poll_us, LOOK_US);
        uart.received = 'x';
        serial_poll();
        CHECK_U64(machine.inputs, i);
    }
    CHECK_U64(machine.poll_us, POLL_US);
    CHECK_U64(uart.ier, 0);
    CHECK(strstr(machine.log, "interrupt 4 does not come") != NULL);

    uart.takes = false;
    send(40);
    uart.takes = true;
    for (unsigned i = 0; i < 3; i++) {
        serial_poll();
    }
    CHECK_U64(uart.sent, 40);
    CHECK_U64(uart.ier, 0);
}

TEST(a_transmitter_without_interrupt) {
    set_up(com1);
    serial_init_interrupts();
    uart.takes = false;
    send(16 + 16 * 5);
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_U64(uart.sent, 16 * i);
        uart.takes = true;
        (void)uart_status();
        uart.takes = false;
        serial_poll();
    }
    CHECK_U64(uart.sent, 16 + 16 * 5);
    CHECK_U64(machine.poll_us, POLL_US);
}

/* The timer may be faster once, or often: the interrupt that follows says that all is well. */
TEST(a_late_interrupt_is_no_dead_one) {
    set_up(com1);
    serial_init_interrupts();
    for (unsigned i = 0; i < 20; i++) {
        uart.received = 'x';
        serial_poll();
        serial_poll(); /* nothing to do */
        serial_interrupt();
    }
    CHECK_U64(machine.inputs, 20);
    CHECK_U64(machine.poll_us, LOOK_US);
    CHECK_U64(uart.ier, IER_RX);
}

TEST(without_a_known_interrupt) {
    struct boot_serial card = {.base = 0xe000, .stride = 1, .width = 1};
    set_up(card);
    serial_init_interrupts();
    CHECK_U64(machine.routed, 0);
    CHECK_U64(machine.poll_us, POLL_US);
    CHECK_U64(uart.ier, 0);
    CHECK(strstr(machine.log, "looked at every 2 ms") != NULL);
}

/* What waits for the line, screen and guest, goes on without it. */
TEST(a_stuck_line) {
    set_up(com1);
    serial_init_interrupts();
    uart.takes = false;
    send(1000);
    CHECK_U64(waiting, 1000 - FIFO);
    machine.tsc += 400 * MS;
    serial_poll();
    CHECK_U64(waiting, 1000 - FIFO);
    CHECK_STR(strstr(machine.log, "taken nothing") != NULL ? "told" : "", "");

    machine.tsc += 200 * MS;
    serial_poll();
    CHECK_U64(waiting, 0);
    CHECK_U64(uart.sent, FIFO);
    CHECK_U64(uart.lost, 0);
    CHECK(strstr(machine.log, "taken nothing for 500 ms") != NULL);
    send(500); /* and it does not wait again */
    CHECK_U64(waiting, 0);

    machine.log[0] = '\0';
    serial_poll();
    CHECK_STR(machine.log, ""); /* it is told once */
    uart.takes = true;
    send(10);
    CHECK_U64(uart.sent, FIFO + 10);
    serial_poll();
    CHECK(strstr(machine.log, "takes bytes again") != NULL);
}

TEST(a_slow_line_is_not_stuck) {
    set_up(com1);
    serial_init_interrupts();
    uart.takes = false;
    send(200);
    for (unsigned i = 0; waiting != 0 && i < 100; i++) {
        machine.tsc += 133 * MS; /* 1200 baud */
        serial_poll();
        uart.takes = true;
        (void)uart_status();
        uart.takes = false;
        serial_poll();
    }
    CHECK_U64(uart.sent, 200);
    CHECK(strstr(machine.log, "taken nothing") == NULL);
}

/* Before guests run nothing moves the line on but waiting, and in a panic. */
TEST(waiting_ends) {
    set_up(com1);
    uart.takes = false;
    send(1000);
    uart.reads = 0;
    serial_drain_console();
    CHECK_U64(waiting, 0);
    CHECK(uart.reads < PATIENCE);

    uart.reads = 0;
    for (unsigned i = 0; i < 100; i++) {
        serial_write_polled("a line of a panic, of which there are about a hundred\r\n");
    }
    CHECK(uart.reads < PATIENCE);
    uart.takes = true;
    uart.sent = 0;
    serial_write_polled("12345");
    CHECK_U64(uart.sent, 5);
}

TEST(speed) {
    struct boot_serial kept = com1;
    set_up(com1);
    CHECK_U64(uart.divisor, 1);
    CHECK_U64(uart.lcr, LCR_8N1);
    CHECK_U64(uart.mcr, MCR_DTR_RTS | MCR_OUT2);
    kept.keep_speed = true;
    set_up(kept);
    CHECK_U64(uart.divisor, 12);
    CHECK_U64(uart.lcr, LCR_8N1);
    uart.divisor = 0; /* nobody has set one */
    serial_init(&kept);
    CHECK_U64(uart.divisor, 1);
}

TEST(without_fifo) {
    set_up(com1);
    uart.fifo = uart.takes = false;
    serial_init(&com1);
    send(3);
    CHECK_U64(uart.sent, 1);
    CHECK_U64(uart.lost, 0);
}

TEST(none) {
    static const struct boot_serial nowhere;
    static const uint8_t bytes[100];
    set_up(com1);
    uart.absent = true;
    serial_init(&com1);
    CHECK(!plat_serial_present());
    CHECK_U64(plat_serial_write(bytes, sizeof(bytes)), sizeof(bytes));
    serial_init(&nowhere);
    serial_init_interrupts();
    serial_poll();
    serial_write_polled("text");
    CHECK(!plat_serial_present());
    CHECK_U64(uart.sent, 0);
    CHECK_U64(machine.poll_us, 0);
}

TEST_MAIN(T(by_interrupts), T(an_interrupt_that_never_comes), T(a_transmitter_without_interrupt),
          T(a_late_interrupt_is_no_dead_one), T(without_a_known_interrupt), T(a_stuck_line),
          T(a_slow_line_is_not_stuck), T(waiting_ends), T(speed), T(without_fifo), T(none))
