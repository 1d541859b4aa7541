/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O APIC: registers, edge and level, remote IRR, masking. */
#include "hv/vm/lapic.h"
#include "tests/unit/fake_env.h"

static struct ioapic *const io = &fake_pc.ioapic;
static struct apic_message sent;
static unsigned sent_count;

static void on_msi(UNUSED const struct dev_env *env, uint64_t address, uint32_t data) {
    CHECK(address >> 20 == 0xfee && (address & 0xffb) == 0 && (data & ~0xc7ffu) == 0);
    CHECK(data >> 14 & 1); /* asserted */
    sent = apic_message((data & 0x87ff) | (address & 4) << 9 | (address >> 12 & 0xff) << 56);
    sent_count++;
}

static void fresh(void) {
    fake_env.msi = on_msi;
    fake_pc_start();
    sent_count = 0;
}

static uint64_t rd(uint64_t offset, unsigned size) {
    struct bus_answer answer = platform_read(&fake_pc, BUS_MEMORY, IOAPIC_BASE + offset, size);
    CHECK_U64(answer.there, 1);
    return answer.value;
}

static void wr(uint64_t offset, unsigned size, uint64_t value) {
    CHECK(platform_write(&fake_pc, BUS_MEMORY, IOAPIC_BASE + offset, size, value));
}

static uint32_t read_register(uint32_t index) {
    wr(0, 4, index);
    return (uint32_t)rd(0x10, 4);
}

static void write_register(uint32_t index, uint32_t value) {
    wr(0, 4, index);
    wr(0x10, 4, value);
}

TEST(registers) {
    fresh();
    CHECK_U64(read_register(1), 0x00170020);
    for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
        CHECK_U64(read_register(0x10 + 2 * pin), 0x10000);
        CHECK_U64(read_register(0x11 + 2 * pin), 0);
    }
    write_register(0, 0xffffffff);
    CHECK_U64(read_register(0), 0x0f000000);
    CHECK_U64(read_register(2), 0x0f000000);
    write_register(0x10, 0xffffffff);
    CHECK_U64(read_register(0x10), 0x0001afff); /* no status, no remote IRR, nothing reserved */
    write_register(0x11, 0xffffffff);
    CHECK_U64(read_register(0x11), 0xff000000);
    CHECK_U64(read_register(0x10), 0x0001afff);
    write_register(0x3f, 0x00010030);
    CHECK_U64(read_register(0x3f), 0);
    write_register(0x40, 0xffffffff);
    CHECK_U64(read_register(0x40), 0);
    CHECK_U64(read_register(0xff), 0);
    CHECK_U64(rd(0, 1), 0xff);
    CHECK_U64(rd(0x20, 4), 0);
    CHECK_U64(sent_count, 0);
}

/* What no register is at takes nothing, whatever is selected; the window takes whole words. */
TEST(other_offsets) {
    fresh();
    write_register(0x10, 0x00010030);
    for (uint64_t offset = 1; offset < 0x100; offset++) {
        if (offset != 0x10 && offset != 0x40) {
            wr(offset, 4, 0x55);
            CHECK_U64(rd(offset, 4), 0);
        }
    }
    wr(0x10, 1, 0x55);
    wr(0x10, 2, 0x55);
    CHECK_U64(rd(0, 4), 0x10);
    CHECK_U64(rd(0x10, 4), 0x00010030);
    wr(0, 4, 0xffffff11); /* the index has 8 bits */
    CHECK_U64(rd(0, 4), 0x11);
}

TEST(edge) {
    fresh();
    write_register(0x19, 0x03000000);
    write_register(0x18, 0x00000824); /* pin 4: logical, vector 24h, edge */
    ioapic_set_line(io, 4, true);
    CHECK_U64(sent_count, 1);
    CHECK_U64(sent.vector, 0x24);
    CHECK_U64(sent.destination, 3);
    CHECK(sent.logical && !sent.level);
    ioapic_set_line(io, 4, true); /* no change, no edge */
    CHECK_U64(sent_count, 1);
    ioapic_eoi(io, 0x24); /* nothing to end */
    CHECK_U64(sent_count, 1);
    ioapic_set_line(io, 4, false);
    ioapic_set_line(io, 4, true);
    CHECK_U64(sent_count, 2);
    CHECK_U64(read_register(0x18) & BIT(14), 0);
}

TEST(edge_while_masked) {
    fresh();
    write_register(0x18, 0x00010024);
    ioapic_set_line(io, 4, true);
    CHECK_U64(sent_count, 0);
    write_register(0x18, 0x00000024);
    CHECK_U64(sent_count, 1);
    write_register(0x18, 0x00000024); /* once only */
    CHECK_U64(sent_count, 1);
    write_register(0x18, 0x00010024);
    ioapic_set_line(io, 4, false);
    ioapic_set_line(io, 4, true);
    ioapic_set_line(io, 4, false); /* withdrawn: as on hardware it is lost */
    write_register(0x18, 0x00000024);
    CHECK_U64(sent_count, 1);
}

TEST(level_of_the_first_and_the_last_pin) {
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin += IOAPIC_PINS - 1) {
        fresh();
        write_register(0x10 + 2 * pin, 0x00008031);
        ioapic_set_line(io, pin, true);
        CHECK_U64(sent_count, 1);
        ioapic_eoi(io, 0x31); /* still asserted: again */
        CHECK_U64(sent_count, 2);
    }
}

TEST(level) {
    fresh();
    write_register(0x23, 0xff000000);
    write_register(0x22, 0x00008039); /* pin 9: level, vector 39h */
    ioapic_set_line(io, 9, true);
    CHECK_U64(sent_count, 1);
    CHECK(sent.level);
    CHECK_U64(sent.destination, UINT32_MAX);
    CHECK_U64(read_register(0x22), 0x0000c039);
    write_register(0x22, 0x00008039); /* remote IRR is read-only: no second message */
    CHECK_U64(sent_count, 1);
    ioapic_eoi(io, 0x38); /* another vector */
    CHECK_U64(sent_count, 1);
    ioapic_eoi(io, 0x39); /* still asserted: again */
    CHECK_U64(sent_count, 2);
    ioapic_set_line(io, 9, false);
    wr(0x40, 4, 0x39); /* the EOI register */
    CHECK_U64(sent_count, 2);
    CHECK_U64(read_register(0x22), 0x00008039);
    ioapic_set_line(io, 9, true);
    CHECK_U64(sent_count, 3);
    write_register(0x22, 0x00010039); /* edge and masked: remote IRR is forgotten */
    write_register(0x22, 0x00008039);
    CHECK_U64(sent_count, 4);
}

/* Each field of an entry arrives in the message. */
TEST(fields) {
    fresh();
    for (uint32_t mode = 0; mode < 8; mode++) {
        write_register(0x13, 0x5a000000);
        write_register(0x12, mode << 8 | 0x77);
        ioapic_set_line(io, 1, true);
        ioapic_set_line(io, 1, false);
        CHECK_U64(sent_count, mode + 1);
        CHECK(sent.vector == 0x77 && sent.delivery_mode == mode && sent.shorthand == APIC_NAMED);
        CHECK(sent.destination == 0x5a && !sent.logical && !sent.level);
    }
}

TEST_MAIN(T(registers), T(other_offsets), T(edge), T(edge_while_masked), T(level),
          T(level_of_the_first_and_the_last_pin), T(fields))
