/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UART: what a 16550A probe looks for, FIFOs, interrupts, loopback, a console that is full. */
#include "tests/unit/fake_env.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart *const u = &fake_pc.uart;
static uint8_t out[64];
static unsigned out_count, out_room, edges;
static bool line;

static bool transmit(UNUSED const struct dev_env *env, uint8_t byte) {
    if (out_count == out_room) {
        return false;
    }
    out[out_count++] = byte;
    return true;
}

static void set_irq(UNUSED const struct dev_env *env, unsigned irq, bool asserted) {
    CHECK_U64(irq, 4);
    CHECK(asserted != line); /* only on change */
    line = asserted;
    edges += asserted;
}

static uint64_t rd(uint16_t port) {
    return fake_in(port, 1);
}

static void wr(uint16_t port, uint32_t value) {
    fake_out(port, 1, value);
}

static void fresh(void) {
    line = false;
    out_count = edges = 0;
    out_room = sizeof(out);
    fake_env.transmit = transmit;
    fake_pc_start();
    fake_pc.env.irq = set_irq;
}

/* Two registers in one access: each bit is one of theirs. */
TEST(a_wide_read) {
    fresh();
    wr(MCR, 0x02);
    wr(LCR, 0x02);
    CHECK_U64(fake_in(LCR, 2), 0x0202);
}

/* The steps of a PC operating system that wants to know which UART this is. */
TEST(probe_finds_16550a) {
    fresh();
    wr(IER, 0);
    CHECK_U64(rd(IER), 0);
    wr(IER, 0xff);
    CHECK_U64(rd(IER), 0x0f);
    wr(IER, 0);
    wr(MCR, 0x10 | 0x0a);
    CHECK_U64(rd(MSR) & 0xf0, 0x90);
    wr(MCR, 0x10 | 0x05);
    CHECK_U64(rd(MSR) & 0xf0, 0x60);
    wr(MCR, 0);
    CHECK_U64(rd(MSR) & 0xf0, 0xb0);
    wr(SCR, 0xa5);
    CHECK_U64(rd(SCR), 0xa5);
    CHECK_U64(rd(IIR) >> 6, 0);
    wr(IIR, 0x01);
    CHECK_U64(rd(IIR) >> 6, 3);
    wr(IIR, 0x21); /* the 64-byte FIFO of a 16750 is not there */
    CHECK_U64(rd(IIR) & 0x20, 0);
    CHECK_U64(rd(LSR), 0x60);
}

TEST(divisor_is_behind_dlab) {
    fresh();
    wr(LCR, 0x83);
    wr(DATA, 0x01);
    wr(IER, 0x02);
    CHECK_U64(rd(DATA), 1);
    CHECK_U64(rd(IER), 2);
    CHECK_U64(u->reg[9] << 8 | u->reg[8], 0x201);
    wr(LCR, 0x03);
    CHECK_U64(rd(LCR), 3);
    CHECK_U64(rd(IER), 0);
    CHECK_U64(out_count, 0);
    wr(MCR, 0x0b);
    CHECK_U64(fake_in(LCR, 2), 0x0b03); /* two byte cycles: LCR, MCR */
}

TEST(transmit_interrupts) {
    fresh();
    wr(MCR, 0x0b);
    wr(IIR, 0x01);
    CHECK(!line);
    wr(IER, 0x02); /* THR is empty: at once */
    CHECK(line);
    CHECK_U64(rd(IIR), 0xc2);
    CHECK(!line); /* reading IIR took it back */
    CHECK_U64(rd(IIR), 0xc1);
    wr(IER, 0x00);
    wr(IER, 0x02); /* switching it on again asks again */
    CHECK_U64(rd(IIR), 0xc2);
    edges = 0;
    wr(DATA, 'a');
    wr(DATA, 'b');
    CHECK_U64(edges, 2); /* each empty THR is an edge of its own */
    CHECK(out_count == 2 && out[0] == 'a' && out[1] == 'b');
    wr(MCR, 0x03); /* without OUT2 the line is cut off, the cause is not */
    CHECK(!line);
    CHECK_U64(rd(IIR), 0xc2);
}

TEST(full_console) {
    fresh();
    wr(MCR, 0x08);
    wr(IIR, 0x01);
    wr(IER, 0x02);
    out_room = 0;
    for (uint8_t i = 0; i < 20; i++) {
        wr(DATA, i); /* 16 fit, 4 are lost */
    }
    CHECK_U64(rd(LSR), 0);
    CHECK(!line);
    out_room = 10;
    uart_drain(u);
    CHECK_U64(out_count, 10);
    CHECK(!line);
    out_room = sizeof(out);
    uart_drain(u);
    CHECK_U64(out_count, 16);
    for (uint8_t i = 0; i < 16; i++) {
        CHECK_U64(out[i], i);
    }
    CHECK(line);
    CHECK_U64(rd(LSR), 0x60);
    out_room = 0;
    out_count = 0;
    wr(DATA, 1);
    CHECK(!line);
    wr(IIR, 0x05); /* clearing the transmit FIFO empties it */
    CHECK(line);
    CHECK_U64(rd(IIR), 0xc2);
    CHECK_U64(rd(LSR), 0x60);
    uart_drain(u);
    CHECK_U64(out_count, 0);
}

/* In loopback what is sent is received, as much as the FIFO holds; what does not fit overruns it.
 */
TEST(loopback_overruns) {
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        fresh();
        unsigned most = fifo != 0 ? 16 : 1;
        wr(IIR, fifo);
        wr(MCR, 0x10);
        for (unsigned i = 0; i < most; i++) {
            wr(DATA, 'a' + i);
        }
        CHECK_U64(rd(LSR), 0x61);
        wr(DATA, 'z');
        CHECK_U64(rd(LSR), 0x63);
        CHECK_U64(rd(LSR), 0x61); /* told once */
        for (unsigned i = 0; i < most; i++) {
            CHECK_U64(rd(DATA), 'a' + i);
        }
        CHECK_U64(rd(LSR), 0x60);
        CHECK_U64(out_count, 0);
    }
    fresh(); /* to the outside nothing overruns */
    out_room = 0;
    wr(DATA, 'a');
    wr(DATA, 'b');
    CHECK_U64(rd(LSR), 0);
    CHECK_U64(u->tx.count, 1);
}

/* THRE is a cause when the last byte has gone, and none while one waits. */
TEST(an_empty_transmitter) {
    fresh();
    wr(MCR, 0x08);
    wr(IER, 0x02);
    CHECK_U64(rd(IIR) & 0xf, 0x2);
    out_room = 0;
    wr(DATA, 'a');
    CHECK_U64(rd(IIR) & 0xf, 0x1);
    CHECK(!line);
    out_room = 1;
    uart_drain(u);
    CHECK(line);
    CHECK_U64(rd(IIR) & 0xf, 0x2);
    wr(MCR, 0x18); /* in loopback as well: nothing waits there */
    wr(DATA, 'b');
    CHECK_U64(rd(IIR) & 0xf, 0x2);
}

TEST(receive) {
    fresh();
    wr(MCR, 0x08);
    CHECK(uart_receive(u, 'w'));
    CHECK(uart_receive(u, 'x')); /* it waits, with or without FIFOs */
    CHECK_U64(rd(DATA), 'w');
    CHECK_U64(rd(LSR), 0x61);
    wr(IIR, 0x01);
    wr(IER, 0x05);
    for (uint8_t i = 0; i < UART_STORE_SIZE; i++) {
        CHECK(uart_receive(u, (uint8_t)(' ' + i)));
    }
    CHECK(!uart_receive(u, 'x'));
    CHECK(line);
    CHECK_U64(rd(IIR), 0xc4);
    CHECK_U64(rd(LSR), 0x61);
    for (uint8_t i = 0; i < UART_STORE_SIZE; i++) {
        CHECK(line);
        CHECK_U64(rd(DATA), ' ' + i);
    }
    CHECK(!line);
    CHECK_U64(rd(LSR), 0x60);
    CHECK_U64(rd(DATA), 0);
    CHECK(uart_receive(u, 'y'));
    wr(IIR, 0x03);
    CHECK_U64(rd(LSR), 0x60);
    CHECK(!line);
}

TEST(loopback) {
    fresh();
    wr(IIR, 0x01);
    wr(MCR, 0x1b);
    wr(IER, 0x0f);
    CHECK(!uart_receive(u, 'z'));
    for (uint8_t i = 0; i < 17; i++) {
        wr(DATA, i);
    }
    CHECK_U64(out_count, 0);
    CHECK(!line); /* OUT2 does not reach the pin */
    CHECK_U64(rd(IIR), 0xc6);
    CHECK_U64(rd(LSR), 0x63); /* data and overrun */
    CHECK_U64(rd(IIR), 0xc4);
    for (uint8_t i = 0; i < 16; i++) {
        CHECK_U64(rd(DATA), i);
    }
    CHECK_U64(rd(IIR), 0xc2);
    CHECK_U64(rd(IIR), 0xc1);
    wr(MCR, 0x1f); /* OUT1: RI rises, which is no event */
    CHECK_U64(rd(MSR), 0xf0);
    wr(MCR, 0x1b);
    CHECK_U64(rd(MSR), 0xb4); /* its trailing edge is */
    CHECK_U64(rd(IIR), 0xc1);
}

/* An error of the line interrupts who has asked for that. */
TEST(an_overrun_interrupts) {
    fresh();
    wr(MCR, 0x10);
    wr(DATA, 'a');
    wr(DATA, 'b'); /* there is room for one */
    wr(IER, 0x00);
    CHECK_U64(rd(IIR), 0x01);
    wr(IER, 0x04);
    CHECK_U64(rd(IIR), 0x06);
    (void)rd(LSR);
    CHECK_U64(rd(IIR), 0x01);
}

TEST_MAIN(T(a_wide_read), T(probe_finds_16550a), T(divisor_is_behind_dlab), T(transmit_interrupts),
          T(full_console), T(loopback_overruns), T(an_empty_transmitter), T(receive), T(loopback),
          T(an_overrun_interrupts))
