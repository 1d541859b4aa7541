/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8259 pair: initialization, EOI and rotation, special modes, polling, edge and level. */
#include "tests/unit/fake_env.h"

static struct pic *const pic = &fake_pc.pic;
static unsigned rises;
static bool intr;

static void on_intr(UNUSED const struct dev_env *env, bool asserted) {
    rises += asserted && !intr;
    intr = asserted;
}

static void power_on(void) {
    fake_env.intr = on_intr;
    fake_pc_start_apart();
}

static uint8_t rd(uint64_t port) {
    return (uint8_t)fake_in(port, 1);
}

static void wr(uint64_t port, uint8_t value) {
    fake_out(port, 1, value);
}

static uint8_t isr(uint64_t port) {
    wr(port, 0x0b);
    return rd(port);
}

static uint8_t irr(uint64_t port) {
    wr(port, 0x0a);
    return rd(port);
}

static void set(unsigned irq, bool asserted) {
    pic_set_line(pic, irq, asserted);
}

static void pulse(unsigned irq) {
    set(irq, false);
    set(irq, true);
}

static void initialize(uint8_t icw4, uint8_t icw4_second) {
    wr(0x20, 0x11);
    wr(0x21, 0x30);
    wr(0x21, 0x04);
    wr(0x21, icw4);
    wr(0xa0, 0x11);
    wr(0xa1, 0x38);
    wr(0xa1, 0x02);
    wr(0xa1, icw4_second);
}

/* Vectors 30h to 3Fh, nothing masked. */
static void fresh(void) {
    power_on();
    initialize(1, 1);
    rises = 0;
}

TEST(initialization) {
    power_on();
    CHECK(!intr);
    wr(0x21, 0x5a);
    CHECK_U64(rd(0x21), 0x5a);
    wr(0x20, 0x11);
    CHECK_U64(rd(0x21), 0); /* ICW1 clears the mask */
    wr(0x21, 0x37);         /* the low three bits are the input's */
    wr(0x21, 0x04);
    wr(0x21, 0x01);
    CHECK_U64(rd(0x21), 0);
    wr(0x21, 0xfb);
    CHECK_U64(rd(0x21), 0xfb);
    wr(0xa0, 0x10); /* no ICW4 */
    wr(0xa1, 0x70);
    wr(0xa1, 0x02);
    wr(0xa1, 0xfe);
    CHECK_U64(rd(0xa1), 0xfe);
    set(8, true);
    CHECK(intr);
    CHECK_U64(pic_acknowledge(pic), 0x70);
    wr(0x21, 0xfd);
    set(1, true);
    CHECK_U64(pic_acknowledge(pic), 0x31);
    CHECK_U64(isr(0x20), 0x06);
    wr(0x20, 0x11); /* again: nothing is in service, an edge that was is forgotten */
    CHECK_U64(irr(0x20), 0);
    CHECK_U64(isr(0x20), 0);
    CHECK_U64(fake_in(0x20, 2), UINT64_MAX);
    fake_out(0x20, 2, 0x1234);
    wr(0x21, 0x30);
    wr(0x21, 0x04);
    wr(0x21, 0x01);
    CHECK_U64(rd(0x21), 0);
}

TEST(fully_nested) {
    fresh();
    wr(0x20, 0x20);
    CHECK(!intr && rises == 0);
    set(5, true);
    CHECK(intr && rises == 1);
    CHECK_U64(irr(0x20), 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    CHECK(!intr && rises == 1);
    CHECK_U64(irr(0x20), 0);
    CHECK_U64(isr(0x20), 0x20);
    set(6, true); /* lower: waits */
    pulse(5);     /* the same: waits */
    CHECK(!intr);
    set(3, true);
    CHECK(intr);
    CHECK_U64(pic_acknowledge(pic), 0x33);
    wr(0x20, 0x20); /* ends 3 */
    CHECK_U64(isr(0x20), 0x20);
    CHECK(!intr);
    wr(0x20, 0x66); /* 6 is not in service */
    CHECK_U64(isr(0x20), 0x20);
    wr(0x20, 0x65);
    CHECK_U64(isr(0x20), 0);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x36);
    wr(0x20, 0x20);
    wr(0x20, 0x20); /* nothing to end */
    CHECK(!intr);
    wr(0x20, 0x42); /* OCW2's command without effect */
    set(0, true);
    set(7, true);
    CHECK_U64(pic_acknowledge(pic), 0x30);
}

TEST(masks) {
    fresh();
    wr(0x21, 0x10);
    set(4, true);
    CHECK(!intr && irr(0x20) == 0x10);
    wr(0x21, 0);
    CHECK(intr);
    wr(0x21, 0x10);
    CHECK(!intr);
    wr(0x21, 0);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    wr(0x20, 0x20);
    wr(0x21, 0x04); /* the cascade */
    set(8, true);
    CHECK(!intr && irr(0xa0) == 0x01);
    wr(0x21, 0);
    CHECK_U64(pic_acknowledge(pic), 0x38);
}

TEST(cascade) {
    fresh();
    set(12, true);
    CHECK(irr(0x20) == 0x04 && irr(0xa0) == 0x10);
    CHECK_U64(pic_acknowledge(pic), 0x3c);
    CHECK(isr(0x20) == 0x04 && isr(0xa0) == 0x10);
    set(9, true); /* higher on the second, but the first one's input 2 is busy */
    CHECK(!intr);
    set(1, true);
    CHECK_U64(pic_acknowledge(pic), 0x31);
    wr(0x20, 0x20);
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x39);
    wr(0xa0, 0x20);
    wr(0x20, 0x62);
    CHECK_U64(isr(0xa0), 0x10);
    CHECK(!intr);
    wr(0xa0, 0x20);
    set(14, true); /* two at once: the second one follows the first */
    set(15, true);
    CHECK_U64(pic_acknowledge(pic), 0x3e);
    wr(0xa0, 0x20);
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x3f);
}

TEST(spurious) {
    fresh();
    set(4, true);
    set(4, false);
    CHECK(!intr);
    CHECK_U64(pic_acknowledge(pic), 0x37); /* the CPU was on its way already */
    CHECK_U64(isr(0x20), 0);
    set(10, true);
    pic->chips[1].irr = 0; /* gone between the two chips' turns */
    CHECK_U64(pic_acknowledge(pic), 0x3f);
    CHECK(isr(0x20) == 0x04 && isr(0xa0) == 0);
}

TEST(edge_and_level) {
    fresh();
    set(4, true);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    wr(0x20, 0x20);
    set(4, true); /* no edge */
    CHECK(!intr);
    wr(0x4d0, 0xff);
    wr(0x4d1, 0xff);
    CHECK(rd(0x4d0) == 0xf8 && rd(0x4d1) == 0xde);
    CHECK(intr); /* 4 is a level now */
    CHECK_U64(pic_acknowledge(pic), 0x34);
    CHECK(!intr && irr(0x20) == 0x10);
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    set(4, false);
    wr(0x20, 0x20);
    CHECK(!intr && irr(0x20) == 0);
    set(9, true);
    CHECK_U64(pic_acknowledge(pic), 0x39);
    wr(0xa0, 0x20);
    wr(0x20, 0x20);
    CHECK(intr);
    wr(0xa0, 0x11); /* a level is there after ICW1 as well */
    CHECK_U64(irr(0xa0), 0x02);
    set(0, true); /* stays an edge */
    CHECK_U64(pic_acknowledge(pic), 0x30);
    CHECK_U64(irr(0x20) & 1, 0);
    wr(0x20, 0x20);
    wr(0x4d1, 0);
    CHECK_U64(rd(0x4d1), 0);
    CHECK(intr); /* latched it stays, until the line falls */
    set(9, false);
    CHECK(!intr);
}

TEST(rotation) {
    fresh();
    wr(0x20, 0xc4); /* 4 is the lowest now, 5 the highest */
    set(4, true);
    set(3, true);
    set(6, true);
    CHECK_U64(pic_acknowledge(pic), 0x36);
    wr(0x20, 0xc6); /* ends nothing */
    CHECK_U64(isr(0x20), 0x40);
    wr(0x20, 0xc4);
    wr(0x20, 0xa0); /* rotate on non-specific EOI: 6 becomes the lowest */
    CHECK_U64(isr(0x20), 0);
    set(7, true);
    set(5, true);
    CHECK_U64(pic_acknowledge(pic), 0x37);
    wr(0x20, 0xe3); /* specific: not 7 ends, but 3 becomes the lowest, 4 the highest */
    CHECK_U64(isr(0x20), 0x80);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    wr(0x20, 0xa0); /* 4 ends; 5, 6, 7 (in service) .. */
    CHECK_U64(isr(0x20), 0x80);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    wr(0x20, 0x20);
    CHECK(!intr); /* 3 is behind 7 */
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x33);
    wr(0x20, 0xa0);
    wr(0x20, 0xa0); /* nothing in service: nothing rotates */
    set(4, false);
    set(3, false);
    pulse(3);
    pulse(4);
    CHECK_U64(pic_acknowledge(pic), 0x34);
}

TEST(automatic_eoi) {
    fresh();
    initialize(0x03, 0x03);
    set(4, true);
    set(5, true);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    CHECK_U64(isr(0x20), 0);
    CHECK(intr);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    wr(0x20, 0x80); /* with rotation */
    pulse(4);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    pulse(4);
    pulse(5);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    CHECK_U64(pic_acknowledge(pic), 0x37); /* a spurious one rotates nothing */
    wr(0x20, 0x00);                        /* no more rotation */
    pulse(4);
    pulse(5);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    pulse(5);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    set(9, true);
    CHECK_U64(pic_acknowledge(pic), 0x39);
    CHECK(isr(0x20) == 0 && isr(0xa0) == 0);
    pulse(9);
    set(10, true); /* the second chip's output does not fall between the two */
    CHECK_U64(pic_acknowledge(pic), 0x39);
    CHECK_U64(pic_acknowledge(pic), 0x3a);
    wr(0x20, 0xa0); /* an EOI that rotates says nothing of automatic ones */
    pulse(4);
    pulse(5);
    CHECK_U64(pic_acknowledge(pic), 0x35);
    pulse(5);
    CHECK_U64(pic_acknowledge(pic), 0x35);
}

TEST(special_mask) {
    fresh();
    set(3, true);
    CHECK_U64(pic_acknowledge(pic), 0x33);
    set(6, true);
    wr(0x21, 0x08);
    CHECK(!intr);
    (void)isr(0x20);
    wr(0x20, 0x68);            /* with 3 masked it holds nothing back */
    CHECK_U64(rd(0x20), 0x08); /* and what is read stays the ISR */
    CHECK(intr);
    CHECK_U64(pic_acknowledge(pic), 0x36);
    wr(0x20, 0x20); /* ends 6: 3 is masked */
    CHECK_U64(isr(0x20), 0x08);
    wr(0x20, 0x08); /* OCW3 without its enable bit leaves the mode as it is */
    set(7, true);
    CHECK(intr);
    wr(0x20, 0x48);
    CHECK(!intr);
    wr(0x20, 0x63);
    CHECK(intr);
}

TEST(special_fully_nested) {
    fresh();
    initialize(0x11, 0x01);
    set(12, true);
    CHECK_U64(pic_acknowledge(pic), 0x3c);
    set(14, true);
    set(4, true);
    CHECK(!intr); /* lower on the second; lower on the first */
    set(9, true);
    CHECK_U64(pic_acknowledge(pic), 0x39);
    wr(0xa0, 0x20);
    CHECK(!intr);
    wr(0xa0, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x3e);
    wr(0xa0, 0x20);
    wr(0x20, 0x20);
    CHECK_U64(pic_acknowledge(pic), 0x34);
    wr(0x20, 0x20);
    wr(0xa0, 0x20);
    pulse(1);
    CHECK_U64(pic_acknowledge(pic), 0x31);
    pulse(9); /* only itself: 1 is above it */
    CHECK(!intr);
}

TEST(polling) {
    fresh();
    wr(0x20, 0x0c);
    CHECK_U64(rd(0x20), 0); /* none */
    set(5, true);
    set(3, true);
    wr(0x20, 0x0c);
    CHECK_U64(rd(0x21), 0x83); /* either port */
    wr(0x21, 0x02);
    CHECK_U64(rd(0x21), 0x02); /* one read only */
    CHECK_U64(isr(0x20), 0x08);
    wr(0x20, 0x20);
    wr(0x20, 0x0c);
    CHECK_U64(rd(0x20), 0x85);
    wr(0x20, 0x20);
    set(12, true);
    wr(0xa0, 0x0c);
    CHECK_U64(rd(0xa0), 0x84);
    CHECK(!intr && irr(0x20) == 0);
}

/* Whatever a guest writes, the two chips agree and nothing leaves its range. */
TEST(random_writes) {
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
    uint32_t seed = 5;
    fresh();
    for (unsigned step = 0; step < 200000 && test_failures == 0; step++) {
        seed = seed * 1664525 + 1013904223;
        uint8_t value = (uint8_t)(seed >> 8);
        unsigned what = seed >> 28;
        if (what < 6) {
            wr(ports[what], value);
        } else if (what < 12) {
            (void)rd(ports[what - 6]);
        } else if (what < 15 && value % 16 != 2) {
            set(value % 16, (value & 0x80) != 0);
        } else {
            (void)pic_acknowledge(pic);
        }
        CHECK(pic->chips[0].lowest < 8 && pic->chips[1].lowest < 8);
        CHECK(pic->chips[0].next <= PIC_ICW4 && pic->chips[1].next <= PIC_ICW4);
        CHECK(intr == pic->intr);
        for (unsigned i = 0; i < 2; i++) {
            const struct pic_chip *c = &pic->chips[i];
            CHECK_U64(c->irr & ~c->lines, 0);
            CHECK_U64(c->lines & c->elcr & ~c->irr, 0);
        }
    }
}

TEST_MAIN(T(initialization), T(fully_nested), T(masks), T(cascade), T(spurious), T(edge_and_level),
          T(rotation), T(automatic_eoi), T(special_mask), T(special_fully_nested), T(polling),
          T(random_writes))
