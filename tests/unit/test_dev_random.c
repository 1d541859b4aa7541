/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest: a million random accesses to every device through the bus, under the
 * sanitizers, with the devices wired to one another as in a VM. Nothing may assert or go out of
 * bounds, and what the models promise of themselves must hold after every step.
 */
#include "hv/dev/bus.h"
#include "hv/dev/lapic.h"
#include "hv/dev/platform.h"
#include "tests/unit/test.h"

#define STEPS 1000000

static uint64_t now, deadline, seed;
static bool wall;
static struct {
    struct lapic lapic;
    struct ioapic ioapic;
    struct pic pic;
    struct uart uart;
    struct pm pm;
    struct rtc rtc;
    struct pit pit;
    struct chipset chipset;
} m;

#define PLACE(device) offsetof(__typeof__(m), device)

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
    if (icr->delivery_mode <= 1 && lapic_matches(&m.lapic, icr->destination, icr->logical)) {
        lapic_accept(&m.lapic, icr->vector, icr->level);
    }
}

static void broadcast_eoi(void *ctx, uint8_t vector) {
    (void)ctx;
    ioapic_eoi(&m.ioapic, vector);
}

static void nothing(void *ctx) {
    (void)ctx;
}

void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data) {
    (void)vm;
    if (lapic_matches(&m.lapic, address >> 12 & 0xff, (address & MSI_LOGICAL) != 0)) {
        lapic_accept(&m.lapic, (uint8_t)data, (data >> 15 & 1) != 0);
    }
}

/* Now and then the CPU takes it, as it would by ExtINT. */
void vm_pic_raised(struct vm *vm) {
    (void)vm;
    CHECK(m.pic.intr);
    if (lapic_lint0(&m.lapic).delivery_mode == APIC_EXTINT) {
        (void)pic_acknowledge(&m.pic);
    }
}

bool vm_transmit(struct vm *vm, uint8_t byte) {
    (void)vm, (void)byte;
    return !wall;
}

void vm_set_irq(struct vm *vm, unsigned irq, bool asserted) {
    (void)vm;
    ioapic_set_line(&m.ioapic, irq == 0 ? 2 : irq, asserted);
    pic_set_line(&m.pic, irq, asserted);
}

void vm_clocks_changed(struct vm *vm) {
    (void)vm;
}

void vm_sleep_refused(struct vm *vm, unsigned type) {
    (void)vm, (void)type;
}

void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason) {
    (void)vm, (void)leave, (void)reason;
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
static void watch_cr8(void *ctx, bool on) {
    (void)ctx;
    (void)on;
}

static const struct lapic_ops lapic_ops = {timer_arm, send_ipi, broadcast_eoi, nothing, watch_cr8};

static const struct bus_entry ports[] = {
    {0x20, 2, "", PLACE(pic), pic_read, pic_write},
    {0x40, 4, "", PLACE(pit), pit_read, pit_write},
    {0x60, 5, "", PLACE(chipset), chipset_read, chipset_write},
    {0x70, 2, "", PLACE(rtc), rtc_read, rtc_write},
    {0x80, 1, "", PLACE(chipset), chipset_read, chipset_write},
    {0x92, 1, "", PLACE(chipset), chipset_read, chipset_write},
    {0xa0, 2, "", PLACE(pic), pic_read, pic_write},
    {0x4d0, 2, "", PLACE(pic), pic_read, pic_write},
    {0x3f8, 8, "", PLACE(uart), uart_read, uart_write},
    {0x600, 12, "", PLACE(pm), pm_read, pm_write},
    {0xcf8, 8, "", PLACE(chipset), chipset_read, chipset_write},
    {.size = 0},
};
static const struct bus_entry pages[] = {
    {LAPIC_BASE, PAGE_SIZE, "", PLACE(lapic), lapic_read_entry, lapic_write_entry},
    {IOAPIC_BASE, PAGE_SIZE, "", PLACE(ioapic), ioapic_read, ioapic_write},
    {.size = 0},
};

static void build(void) {
    m.lapic = (struct lapic){.ops = &lapic_ops, .clock = dev_clock};
    lapic_reset(&m.lapic, 0, true);
    ioapic_reset(&m.ioapic, NULL);
    pic_reset(&m.pic, NULL);
    uart_reset(&m.uart, NULL);
    pm_reset(&m.pm, NULL, &dev_clock);
    rtc_reset(&m.rtc, NULL, &dev_clock);
    pit_reset(&m.pit, NULL, &dev_clock);
    chipset_reset(&m.chipset, NULL);
}

static void step_pio(void) {
    const struct bus_entry *target = &ports[random_word() % (ARRAY_SIZE(ports) - 1)];
    uint16_t port = (uint16_t)(target->base + random_word() % target->size);
    unsigned size = 1u << random_word() % 3;
    const struct bus_entry *entry = bus_find(ports, port, size);
    if (entry == NULL) {
        return;
    }
    if ((random_word() & 1) != 0) {
        entry->read((uint8_t *)&m + entry->dev, port, size);
    } else {
        entry->write((uint8_t *)&m + entry->dev, port, size, random_value() & (BIT(8 * size) - 1));
    }
}

static void step_mmio(void) {
    const struct bus_entry *target = &pages[random_word() % (ARRAY_SIZE(pages) - 1)];
    uint64_t offset = (random_word() & 3) != 0 ? random_word() & 0x3f0 : random_word() & 0xfff;
    if (target == &pages[1] && (random_word() & 3) != 0) {
        offset = random_word() & 0x10;
    }
    unsigned size = (random_word() & 1) != 0 ? 4 : 1u << random_word() % 4;
    const struct bus_entry *entry = bus_find(pages, target->base + offset, size);
    if (entry == NULL) {
        return;
    }
    if ((random_word() & 1) != 0) {
        CHECK(entry->read((uint8_t *)&m + entry->dev, offset, size) <= UINT32_MAX);
    } else {
        uint64_t value = random_value();
        /* A guest that works: a real index, an APIC that is on. */
        value = target == &pages[1] && offset == 0 ? value % 0x42 : value;
        value = target == &pages[0] && offset == 0xf0 ? value | 0x100 : value;
        entry->write((uint8_t *)&m + entry->dev, offset, size, value);
    }
}

static void step_msr(void) {
    uint64_t value = random_value(), seen;
    uint32_t msr = 0x800 + (uint32_t)(random_word() % 0x48);
    switch (random_word() % 9) {
    case 0:
        if (lapic_base_write(&m.lapic, LAPIC_BASE | (value & 0xd00)) == STATUS_OK) {
            CHECK_U64(m.lapic.apic_base & ~0xd00ull, LAPIC_BASE);
        }
        break;
    case 1:
        lapic_deadline_write(&m.lapic, value);
        break;
    case 2:
        lapic_mmio_write(&m.lapic, LAPIC_TPR, 4, (value & 0xf) << 4);
        CHECK_U64(lapic_mmio_read(&m.lapic, LAPIC_TPR) >> 4, value & 0xf);
        break;
    case 3:
        lapic_tsc_changed(&m.lapic, value);
        break;
    case 4:
    case 5:
        if (lapic_msr_read(&m.lapic, msr, &seen) == STATUS_OK) {
            CHECK((m.lapic.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    default:
        if (lapic_msr_write(&m.lapic, msr, value) == STATUS_OK) {
            CHECK((m.lapic.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    }
}

static void step_world(void) {
    now += random_word() >> (random_word() % 24 + 34);
    wall = (random_word() & 3) == 0;
    uart_tx_ready(&m.uart);
    uart_receive(&m.uart, (uint8_t)random_word());
    ioapic_set_line(&m.ioapic, (unsigned)(random_word() % IOAPIC_PINS), (random_word() & 1) != 0);
    vm_set_irq(NULL, UART_IRQ, m.uart.line); /* pin 4 is the UART's */
    uint64_t due = clock_earlier(pit_service(&m.pit), rtc_service(&m.rtc));
    CHECK(due == 0 || due > clock_now(&dev_clock));
    uint64_t guest_now = clock_now(&m.lapic.clock);
    if (deadline != 0 && guest_now >= deadline) {
        lapic_timer_expired(&m.lapic);
        CHECK(deadline == 0 || deadline > guest_now || m.lapic.timer_deadline != deadline);
    }
}

static void check_lapic(void) {
    for (unsigned w = 0; w < 8; w++) {
        CHECK(m.lapic.reg[0x20 + w][0] == 0 || (m.lapic.irr_words >> w & 1) != 0);
        CHECK_U64(m.lapic.isr_words >> w & 1, m.lapic.reg[0x10 + w][0] != 0);
    }
    CHECK(((m.lapic.reg[0x20][0] | m.lapic.reg[0x10][0]) & 0xffff) == 0);
    int vector = lapic_pending(&m.lapic);
    CHECK(vector >= -1 && vector < 256);
    if (vector >= 0 && (random_word() & 3) == 0) {
        lapic_acknowledge(&m.lapic, (uint8_t)vector);
        CHECK(lapic_pending(&m.lapic) < 0 || lapic_pending(&m.lapic) >> 4 > vector >> 4);
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
        CHECK(m.uart.rx.count <= UART_STORE_SIZE && m.uart.tx.count <= UART_FIFO_SIZE);
        CHECK(m.uart.rx.head < UART_STORE_SIZE && m.uart.tx.head < UART_STORE_SIZE);
        CHECK((m.pm.registers & BIT(32)) != 0 && m.rtc.index < 128);
        CHECK_U64(m.uart.line, m.ioapic.lines >> 4 & 1);
    }
}

TEST_MAIN(T(hostile_guest))
