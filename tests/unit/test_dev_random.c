/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest: a million random accesses to every device through the bus, under the
 * sanitizers, with the devices wired to one another as in a VM. Nothing may assert or go out of
 * bounds, and what the models promise of themselves must hold after every step.
 */
#include "hv/dev/bus.h"
#include "hv/dev/ioapic.h"
#include "hv/dev/lapic.h"
#include "hv/dev/pic.h"
#include "hv/dev/platform.h"
#include "hv/dev/uart.h"
#include "tests/unit/test.h"

#define STEPS 1000000

static uint64_t now, deadline, seed;
static bool wall;
static struct lapic l;
static struct ioapic io;
static struct pic pic;
static struct uart uart;
static struct pm pm;
static struct rtc rtc;
static struct pit pit;
static struct chipset chipset;
static struct { struct bus_space pio, mmio; } bus;

static uint64_t random_word(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Often small or all ones, as an attacker's numbers are. */
static uint64_t random_value(void) {
    uint64_t word = random_word();
    switch (word >> 60) {
    case 0:
        return UINT64_MAX;
    case 1:
        return 0;
    case 2:
        return word & 0xff;
    case 3:
        return BIT(word & 63);
    default:
        return word >> (word >> 54 & 63);
    }
}

static uint64_t tsc(void) {
    return now;
}

static void timer_arm(void *ctx, uint64_t at) {
    (void)ctx;
    deadline = at;
}

static void send_ipi(void *ctx, const struct apic_message *icr) {
    (void)ctx;
    if (icr->delivery_mode <= 1 && lapic_matches(&l, icr->destination, icr->logical)) {
        lapic_accept(&l, icr->vector, icr->level);
    }
}

static void broadcast_eoi(void *ctx, uint8_t vector) {
    (void)ctx;
    ioapic_eoi(&io, vector);
}

static void nothing(void *ctx) {
    (void)ctx;
}

static void send_msi(void *ctx, uint64_t address, uint32_t data) {
    (void)ctx;
    if (lapic_matches(&l, address >> 12 & 0xff, (address & MSI_LOGICAL) != 0)) {
        lapic_accept(&l, (uint8_t)data, (data >> 15 & 1) != 0);
    }
}

/* Now and then the CPU takes it, as it would by ExtINT. */
static void pic_raised(void *ctx) {
    (void)ctx;
    CHECK(pic.intr);
    if (lapic_lint0(&l).delivery_mode == APIC_EXTINT) {
        (void)pic_acknowledge(&pic);
    }
}

static bool transmit(void *ctx, uint8_t byte) {
    (void)ctx, (void)byte;
    return !wall;
}

static void interrupt(void *ctx, bool asserted) {
    (void)ctx;
    ioapic_set_line(&io, 4, asserted);
    pic_set_line(&pic, 4, asserted);
}

static void timer_interrupt(void *ctx, unsigned irq, bool asserted) {
    (void)ctx;
    ioapic_set_line(&io, irq == 0 ? 2 : irq, asserted);
    pic_set_line(&pic, irq, asserted);
}

static uint64_t lapic_read_entry(void *dev, uint64_t offset, unsigned size) {
    (void)size;
    return lapic_mmio_read(dev, offset);
}

static void lapic_write_entry(void *dev, uint64_t offset, unsigned size, uint64_t value) {
    lapic_mmio_write(dev, offset, size, value);
}

static const struct dev_clock dev_clock = {
    .host_tsc = tsc, .tsc_hz = 2893299000, .wall_at_zero = 1700000000};
static const struct timer_ops timer_ops = {timer_interrupt, nothing};
static const struct lapic_ops lapic_ops = {timer_arm, send_ipi, broadcast_eoi, nothing};

static void add_pio(uint16_t base, uint16_t count, void *dev,
                    uint64_t (*read)(void *, uint64_t, unsigned),
                    void (*write)(void *, uint64_t, unsigned, uint64_t)) {
    struct bus_entry entry = {
        .base = base, .size = count, .dev = dev, .read = read, .write = write};
    bus_add(&bus.pio, &entry);
}

static void build(void) {
    l = (struct lapic){.ops = &lapic_ops, .clock = dev_clock};
    io.send_msi = send_msi;
    pic.raised = pic_raised;
    uart.transmit = transmit;
    uart.interrupt = interrupt;
    pm.power_off = chipset.reset = nothing;
    pm.clock = rtc.clock = pit.clock = &dev_clock;
    rtc.ops = pit.ops = &timer_ops;
    lapic_reset(&l, 0, true);
    ioapic_reset(&io);
    pic_reset(&pic);
    uart_reset(&uart);
    pm_reset(&pm);
    rtc_reset(&rtc);
    pit_reset(&pit);
    chipset_reset(&chipset);
    add_pio(0x20, 2, &pic, pic_read, pic_write);
    add_pio(0x40, 4, &pit, pit_read, pit_write);
    add_pio(0x60, 5, &chipset, chipset_read, chipset_write);
    add_pio(0x70, 2, &rtc, rtc_read, rtc_write);
    add_pio(0x80, 1, &chipset, chipset_read, chipset_write);
    add_pio(0x92, 1, &chipset, chipset_read, chipset_write);
    add_pio(0xa0, 2, &pic, pic_read, pic_write);
    add_pio(0x4d0, 2, &pic, pic_read, pic_write);
    add_pio(0x3f8, 8, &uart, uart_read, uart_write);
    add_pio(0x600, 12, &pm, pm_read, pm_write);
    add_pio(0xcf8, 8, &chipset, chipset_read, chipset_write);
    struct bus_entry lapic_page = {.base = LAPIC_BASE,
                                   .size = PAGE_SIZE,
                                   .dev = &l,
                                   .read = lapic_read_entry,
                                   .write = lapic_write_entry};
    struct bus_entry ioapic_page = {.base = IOAPIC_BASE,
                                    .size = PAGE_SIZE,
                                    .dev = &io,
                                    .read = ioapic_read,
                                    .write = ioapic_write};
    bus_add(&bus.mmio, &lapic_page);
    bus_add(&bus.mmio, &ioapic_page);
}

static void step_pio(void) {
    const struct bus_entry *target = &bus.pio.entries[random_word() % bus.pio.count];
    uint16_t port = (uint16_t)(target->base + random_word() % target->size);
    unsigned size = 1u << random_word() % 3;
    const struct bus_entry *entry = bus_find(&bus.pio, port, size);
    if (entry == NULL) {
        return;
    }
    if ((random_word() & 1) != 0) {
        entry->read(entry->dev, port, size);
    } else {
        entry->write(entry->dev, port, size, random_value() & (BIT(8 * size) - 1));
    }
}

static void step_mmio(void) {
    const struct bus_entry *target = &bus.mmio.entries[random_word() % bus.mmio.count];
    uint64_t offset = (random_word() & 3) != 0 ? random_word() & 0x3f0 : random_word() & 0xfff;
    if (target->dev == &io && (random_word() & 3) != 0) {
        offset = random_word() & 0x10;
    }
    unsigned size = (random_word() & 1) != 0 ? 4 : 1u << random_word() % 4;
    const struct bus_entry *entry = bus_find(&bus.mmio, target->base + offset, size);
    if (entry == NULL) {
        return;
    }
    if ((random_word() & 1) != 0) {
        CHECK(entry->read(entry->dev, offset, size) <= UINT32_MAX);
    } else {
        uint64_t value = random_value();
        /* A guest that works: a real index, an APIC that is on. */
        value = target->dev == &io && offset == 0 ? value % 0x42 : value;
        value = target->dev == &l && offset == 0xf0 ? value | 0x100 : value;
        entry->write(entry->dev, offset, size, value);
    }
}

static void step_msr(void) {
    uint64_t value = random_value(), seen;
    uint32_t msr = 0x800 + (uint32_t)(random_word() % 0x48);
    switch (random_word() % 9) {
    case 0:
        if (lapic_base_write(&l, LAPIC_BASE | (value & 0xd00)) == STATUS_OK) {
            CHECK_U64(l.apic_base & ~0xd00ull, LAPIC_BASE);
        }
        break;
    case 1:
        lapic_deadline_write(&l, value);
        break;
    case 2:
        lapic_mmio_write(&l, LAPIC_TPR, 4, (value & 0xf) << 4);
        CHECK_U64(lapic_mmio_read(&l, LAPIC_TPR) >> 4, value & 0xf);
        break;
    case 3:
        lapic_tsc_changed(&l, value);
        break;
    case 4:
    case 5:
        if (lapic_msr_read(&l, msr, &seen) == STATUS_OK) {
            CHECK((l.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    default:
        if (lapic_msr_write(&l, msr, value) == STATUS_OK) {
            CHECK((l.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    }
}

static void step_world(void) {
    now += random_word() >> (random_word() % 24 + 34);
    wall = (random_word() & 3) == 0;
    uart_tx_ready(&uart);
    uart_receive(&uart, (uint8_t)random_word());
    ioapic_set_line(&io, (unsigned)(random_word() % IOAPIC_PINS), (random_word() & 1) != 0);
    interrupt(NULL, uart.line); /* pin 4 is the UART's */
    uint64_t due = clock_earlier(pit_service(&pit), rtc_service(&rtc));
    CHECK(due == 0 || due > clock_now(&dev_clock));
    uint64_t guest_now = clock_now(&l.clock);
    if (deadline != 0 && guest_now >= deadline) {
        lapic_timer_expired(&l);
        CHECK(deadline == 0 || deadline > guest_now || l.timer_deadline != deadline);
    }
}

static void check_lapic(void) {
    for (unsigned w = 0; w < 8; w++) {
        CHECK(l.reg[0x20 + w][0] == 0 || (l.irr_words >> w & 1) != 0);
        CHECK_U64(l.isr_words >> w & 1, l.reg[0x10 + w][0] != 0);
    }
    CHECK(((l.reg[0x20][0] | l.reg[0x10][0]) & 0xffff) == 0);
    int vector = lapic_pending(&l);
    CHECK(vector >= -1 && vector < 256);
    if (vector >= 0 && (random_word() & 3) == 0) {
        lapic_acknowledge(&l, (uint8_t)vector);
        CHECK(lapic_pending(&l) < 0 || lapic_pending(&l) >> 4 > vector >> 4);
    }
}

TEST(hostile_guest) {
    seed = 0x9e3779b97f4a7c15;
    build();
    for (unsigned step = 0; step < STEPS && test_failures == 0; step++) {
        uint64_t what = random_word() % 8;
        if (what < 3) {
            step_pio();
        } else if (what < 6) {
            step_mmio();
        } else if (what == 6) {
            step_msr();
        } else {
            step_world();
        }
        check_lapic();
        CHECK(uart.rx.count <= UART_STORE_SIZE && uart.tx.count <= UART_FIFO_SIZE);
        CHECK(uart.rx.head < UART_STORE_SIZE && uart.tx.head < UART_STORE_SIZE);
        CHECK((pm.registers & BIT(32)) != 0 && rtc.index < 128);
        CHECK_U64(uart.line, io.lines >> 4 & 1);
    }
}

TEST_MAIN(T(hostile_guest))
