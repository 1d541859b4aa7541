/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest: millions of random accesses to every device through the bus, under the
 * sanitizers, with the devices wired to one another as in a VM. Nothing may assert or go out of
 * bounds, and what the models promise of themselves must hold after every step.
 */
#include "hv/vm/lapic.h"
#include "tests/unit/fake_env.h"
#include "tests/unit/random.h"

#define STEPS 1000000 /* with each seed */

static uint64_t now, deadline, seed;
static bool wall;
static struct lapic lapic;

static uint64_t random_word(void) {
    return random_next(&seed);
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
    if (icr->delivery_mode <= 1 && lapic_matches(&lapic, icr->destination, icr->logical)) {
        lapic_accept(&lapic, icr->vector, icr->level);
    }
}

static void broadcast_eoi(void *ctx, uint8_t vector) {
    (void)ctx;
    platform_end_interrupt(&fake_pc, vector);
}

static void nothing(void *ctx) {
    (void)ctx;
}

static void on_msi(UNUSED const struct dev_env *env, uint64_t address, uint32_t data) {
    if (lapic_matches(&lapic, address >> 12 & 0xff, (address & MSI_LOGICAL) != 0)) {
        lapic_accept(&lapic, (uint8_t)data, (data >> 15 & 1) != 0);
    }
}

static bool intr;

static void on_intr(UNUSED const struct dev_env *env, bool asserted) {
    intr = asserted;
}

static bool transmit(UNUSED const struct dev_env *env, UNUSED uint8_t byte) {
    return !wall;
}

static const struct dev_clock dev_clock = {
    .host_tsc = tsc, .tsc_hz = 2893299000, .wall_at_zero = 1700000000};
static void watch_cr8(void *ctx, bool on) {
    (void)ctx;
    (void)on;
}

static const struct lapic_ops lapic_ops = {timer_arm, send_ipi, broadcast_eoi,
                                           nothing,   nothing,  watch_cr8};

static void build(void) {
    fake_env.clock = &dev_clock;
    fake_env.msi = on_msi;
    fake_env.intr = on_intr;
    fake_env.transmit = transmit;
    fake_pc_start();
    lapic = (struct lapic){.ops = &lapic_ops, .clock = dev_clock};
    lapic_reset(&lapic, 0, true);
}

/* Anywhere in what a device has, and over its end. */
static void step_pio(void) {
    const struct platform_place *target = &platform_places[random_word() % platform_place_count];
    uint64_t port = target->base + random_word() % target->size;
    unsigned size = 1u << random_word() % 3;
    uint64_t value = 0;

    if (target->space != BUS_PORT) {
        return;
    }
    if ((random_word() & 1) != 0) {
        (void)platform_read(&fake_pc, BUS_PORT, port, size);
    } else {
        value = random_value() & (BIT(8 * size) - 1);
        (void)platform_write(&fake_pc, BUS_PORT, port, size, value);
    }
}

static unsigned random_size(void) {
    return (random_word() & 1) != 0 ? 4 : 1u << random_word() % 4;
}

static void step_ioapic(void) {
    bool registers = (random_word() & 3) != 0;
    uint64_t offset = registers ? random_word() & 0x10 : random_word() & 0xfff;
    unsigned size = random_size();
    uint64_t value = 0;

    if ((random_word() & 1) != 0) {
        struct bus_answer answer = platform_read(&fake_pc, BUS_MEMORY, IOAPIC_BASE + offset, size);
        CHECK(answer.there != 0 ? answer.value <= UINT32_MAX : answer.value == UINT64_MAX);
    } else {
        value = random_value();
        value = offset == 0 ? value % 0x42 : value; /* a real index */
        (void)platform_write(&fake_pc, BUS_MEMORY, IOAPIC_BASE + offset, size, value);
    }
}

static void step_lapic(void) {
    uint64_t offset = (random_word() & 3) != 0 ? random_word() & 0x3f0 : random_word() & 0xfff;
    unsigned size = random_size();
    uint64_t value = random_value();

    if (offset + size > PAGE_SIZE) {
        return;
    }
    if ((random_word() & 1) != 0) {
        CHECK(lapic_mmio_read(&lapic, offset) <= UINT32_MAX);
    } else {
        value = offset == 0xf0 ? value | 0x100 : value; /* an APIC that is on */
        lapic_mmio_write(&lapic, offset, size, value);
    }
}

static void step_msr(void) {
    uint64_t value = random_value(), seen;
    uint32_t msr = 0x800 + (uint32_t)(random_word() % 0x48);
    switch (random_word() % 9) {
    case 0:
        if (lapic_base_write(&lapic, LAPIC_BASE | (value & 0xd00)) == STATUS_OK) {
            CHECK_U64(lapic.apic_base & ~0xd00ull, LAPIC_BASE);
        }
        break;
    case 1:
        lapic_deadline_write(&lapic, value);
        break;
    case 2:
        lapic_mmio_write(&lapic, LAPIC_TPR, 4, (value & 0xf) << 4);
        CHECK_U64(lapic_mmio_read(&lapic, LAPIC_TPR) >> 4, value & 0xf);
        break;
    case 3:
        lapic_tsc_changed(&lapic, value);
        break;
    case 4:
    case 5:
        if (lapic_msr_read(&lapic, msr, &seen) == STATUS_OK) {
            CHECK((lapic.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    default:
        if (lapic_msr_write(&lapic, msr, value) == STATUS_OK) {
            CHECK((lapic.apic_base & APIC_BASE_X2APIC) != 0);
        }
        break;
    }
}

static void step_world(void) {
    now += random_word() >> (random_word() % 24 + 34);
    wall = (random_word() & 3) == 0;
    platform_drain(&fake_pc);
    (void)platform_receive(&fake_pc, (uint8_t)random_word());
    ioapic_set_line(&fake_pc.ioapic, (unsigned)(random_word() % IOAPIC_PINS),
                    (random_word() & 1) != 0);
    fake_pc.env.irq(&fake_pc.env, UART_IRQ, fake_pc.uart.line); /* pin 4 is the UART's */
    if (random_word() % 64 == 0) {
        platform_press_power_button(&fake_pc);
    }
    /* Now and then the CPU takes the interrupt, as it would by ExtINT. */
    if (intr && lapic_lint0(&lapic).delivery_mode == APIC_EXTINT) {
        (void)platform_acknowledge(&fake_pc);
    }
    uint64_t due = platform_service(&fake_pc, clock_now(&dev_clock));
    CHECK(due == 0 || due > clock_now(&dev_clock));
    uint64_t guest_now = clock_now(&lapic.clock);
    if (deadline != 0 && guest_now >= deadline) {
        lapic_timer_expired(&lapic);
        CHECK(deadline == 0 || deadline > guest_now || lapic.timer_deadline != deadline);
    }
}

static void check_lapic(void) {
    for (unsigned w = 0; w < 8; w++) {
        CHECK(lapic.reg[0x20 + w][0] == 0 || (lapic.irr_words >> w & 1) != 0);
        CHECK_U64(lapic.isr_words >> w & 1, lapic.reg[0x10 + w][0] != 0);
    }
    CHECK(((lapic.reg[0x20][0] | lapic.reg[0x10][0]) & 0xffff) == 0);
    int vector = lapic_pending(&lapic);
    CHECK(vector >= -1 && vector < 256);
    if (vector >= 0 && (random_word() & 3) == 0) {
        lapic_acknowledge(&lapic, (uint8_t)vector);
        CHECK(lapic_pending(&lapic) < 0 || lapic_pending(&lapic) >> 4 > vector >> 4);
    }
}

static void act(uint64_t first_seed) {
    seed = first_seed;
    build();
    for (unsigned step = 0; step < STEPS && test_failures == 0; step++) {
        uint64_t what = random_word() % 8;
        if (what < 3) {
            step_pio();
        } else if (what < 5) {
            step_ioapic();
        } else if (what < 6) {
            step_lapic();
        } else if (what == 6) {
            step_msr();
        } else {
            step_world();
        }
        check_lapic();
        CHECK(fake_pc.uart.rx.count <= UART_STORE_SIZE && fake_pc.uart.tx.count <= UART_FIFO_SIZE);
        CHECK(fake_pc.uart.rx.head < UART_STORE_SIZE && fake_pc.uart.tx.head < UART_STORE_SIZE);
        CHECK((fake_pc.pm.control & 1) != 0 && fake_pc.rtc.index < 128);
        CHECK_U64(intr, fake_pc.pic.intr);
        CHECK_U64(fake_pc.uart.line, fake_pc.ioapic.lines >> 4 & 1);
    }
}

/* With the same seeds each time, so that what is found is found again; BULKHEAD_SEED=N tries
 * another one. */
TEST(hostile_guest) {
    uint64_t seeds[] = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0x2545f4914f6cdd1d, 1, 0};
    const char *mine = getenv("BULKHEAD_SEED");
    size_t count = ARRAY_SIZE(seeds) - 1;

    if (mine != NULL && strtoull(mine, NULL, 0) != 0) {
        seeds[count] = strtoull(mine, NULL, 0);
        count++;
    }
    for (size_t i = 0; i < count && test_failures == 0; i++) {
        act(seeds[i]);
        if (test_failures != 0) {
            printf("# with the seed %#llx\n", (ull)seeds[i]);
        }
    }
}

TEST_MAIN(T(hostile_guest))
