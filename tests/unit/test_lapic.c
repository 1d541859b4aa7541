/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC: both register interfaces, priorities, timer modes, IPIs, mode transitions. */
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"
#include "tests/unit/test.h"

#define TSC_HZ (30 * LAPIC_TIMER_HZ) /* 30 TSC ticks for one of the timer's */

static uint64_t now, armed;
static unsigned arms, ipis, eois, changes;
static struct apic_message ipi;
static uint8_t eoi_vector;
static struct lapic l;

static uint64_t tsc(void) {
    return now;
}

static void timer_arm(void *ctx, uint64_t deadline) {
    (void)ctx;
    armed = deadline;
    arms++;
}

static void send_ipi(void *ctx, const struct apic_message *icr) {
    (void)ctx;
    ipi = *icr;
    ipis++;
}

static void broadcast_eoi(void *ctx, uint8_t vector) {
    (void)ctx;
    eoi_vector = vector;
    eois++;
}

static void changed(void *ctx) {
    (void)ctx;
    changes++;
}

/* CR8 where the CPU keeps it, and whether the guest's writes of it exit. */
static uint8_t cpu_cr8;
static bool watched;
static unsigned watches;

static void watch_cr8(void *ctx, bool on) {
    (void)ctx;
    watched = on;
    watches++;
}

static const struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = TSC_HZ};
static unsigned addressed_count; /* it was told that other messages may be taken now */
static struct lapic *posted_to;  /* a device still does, until it is told */
static void addressed(void *ctx) {
    (void)ctx;
    addressed_count++;
    if (posted_to != NULL) {
        posted_to->descriptor.requests[2] |= 2;
        posted_to->descriptor.notify |= LAPIC_NOTIFIED;
    }
}

static const struct lapic_ops ops = {timer_arm, send_ipi,  broadcast_eoi,
                                     changed,   addressed, watch_cr8};

static uint32_t rd(uint64_t offset) {
    return (uint32_t)lapic_mmio_read(&l, offset);
}

static void wr(uint64_t offset, uint32_t value) {
    lapic_mmio_write(&l, offset, 4, value);
}

/* A software-enabled APIC with ID 5 in xAPIC mode. */
static void fresh(void) {
    memset(&l, 0, sizeof(l));
    l.ops = &ops;
    l.clock = dev_clock;
    now = 1000000;
    lapic_reset(&l, 5, false);
    wr(0xf0, 0x1ff);
    armed = 0;
    arms = ipis = eois = changes = 0;
}

/* The same where the CPU keeps CR8, as AMD's does in V_TPR. */
static void fresh_cr8(void) {
    fresh();
    cpu_cr8 = 0;
    watched = false;
    watches = 0;
    l.cr8 = &cpu_cr8;
}

/* The guest's MOV to CR8. */
static void write_cr8(uint8_t value) {
    if (watched || l.cr8 == NULL) {
        lapic_cr8_write(&l, value);
    } else {
        cpu_cr8 = value;
    }
}

static void fresh_x2apic(void) {
    fresh();
    CHECK_U64(lapic_base_write(&l, LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC), STATUS_OK);
}

static uint64_t rdmsr(uint32_t reg) {
    uint64_t value = 0x5555aaaa5555aaaa;
    return lapic_msr_read(&l, 0x800 + reg, &value) == STATUS_OK ? value : UINT64_MAX;
}

static enum status wrmsr(uint32_t reg, uint64_t value) {
    return lapic_msr_write(&l, 0x800 + reg, value);
}

TEST(power_up) {
    memset(&l, 0, sizeof(l));
    l.ops = &ops;
    l.clock = dev_clock;
    lapic_reset(&l, 3, true);
    CHECK_U64(l.apic_base, 0xfee00900);
    CHECK_U64(rd(0x20), 3u << 24);
    CHECK_U64(rd(0x30), 0x00050014);
    CHECK_U64(rd(0xf0), 0xff);
    CHECK_U64(rd(0xe0), 0xffffffff);
    CHECK_U64(rd(0xd0), 0);
    for (uint64_t lvt = 0x320; lvt <= 0x370; lvt += 0x10) {
        CHECK_U64(rd(lvt), 0x10000);
        wr(lvt, 0x20); /* masked for as long as the APIC is software-disabled */
        CHECK_U64(rd(lvt), 0x10020);
    }
    CHECK(!lapic_accept(&l, 0x40, false));
    CHECK_U64(lapic_pending(&l), -1);
    wr(0xf0, 0x1ff);
    wr(0x320, 0x20);
    CHECK_U64(rd(0x320), 0x20);
    wr(0xf0, 0xff);
    CHECK_U64(rd(0x320), 0x10020);
}

TEST(priorities) {
    fresh();
    CHECK(lapic_accept(&l, 0x41, false));
    CHECK(!lapic_accept(&l, 0x41, false));
    CHECK(lapic_accept(&l, 0x52, false));
    CHECK(lapic_accept(&l, 0x31, false));
    CHECK(!lapic_accept(&l, 15, false));
    CHECK_U64(rd(0x220), 1u << (0x41 - 0x40) | 1u << (0x52 - 0x40));
    CHECK_U64(lapic_pending(&l), 0x52);
    lapic_acknowledge(&l, 0x52);
    CHECK_U64(rd(0xa0), 0x50);
    CHECK_U64(rd(0x120), 1u << 0x12);
    CHECK_U64(lapic_pending(&l), -1);
    CHECK(lapic_accept(&l, 0x5f, false)); /* same class: must wait */
    CHECK_U64(lapic_pending(&l), -1);
    CHECK(lapic_accept(&l, 0x60, false));
    CHECK_U64(lapic_pending(&l), 0x60);
    lapic_acknowledge(&l, 0x60);
    changes = 0;
    wr(0xb0, 0);
    CHECK_U64(changes, 1);
    CHECK_U64(rd(0xa0), 0x50);
    wr(0xb0, 0);
    CHECK_U64(rd(0xa0), 0);
    CHECK_U64(lapic_pending(&l), 0x5f);
    lapic_acknowledge(&l, 0x5f);
    wr(0xb0, 0);
    CHECK_U64(lapic_pending(&l), 0x41);
    wr(0x80, 0x4f);
    CHECK_U64(rd(0xa0), 0x4f);
    CHECK_U64(lapic_mmio_read(&l, LAPIC_TPR) >> 4, 4);
    CHECK_U64(lapic_pending(&l), -1);
    lapic_mmio_write(&l, LAPIC_TPR, 4, 3 << 4);
    CHECK_U64(rd(0x80), 0x30);
    CHECK_U64(lapic_pending(&l), 0x41);
    lapic_acknowledge(&l, 0x41);
    wr(0xb0, 0);
    CHECK_U64(lapic_pending(&l), -1); /* 31h is in the class of TPR */
    wr(0x80, 0);
    lapic_acknowledge(&l, 0x31);
    wr(0xb0, 0);
    wr(0xb0, 0); /* nothing in service: nothing happens */
    CHECK_U64(eois, 0);
    CHECK_U64(lapic_pending(&l), -1);
    CHECK_U64(l.irr_words | l.isr_words, 0);
}

TEST(level_triggered_is_broadcast) {
    fresh();
    CHECK(lapic_accept(&l, 0x39, true));
    CHECK_U64(rd(0x190), 1u << 0x19);
    lapic_acknowledge(&l, 0x39);
    wr(0xb0, 0);
    CHECK(eois == 1 && eoi_vector == 0x39);
    CHECK(lapic_accept(&l, 0x39, false));
    CHECK_U64(rd(0x190), 0);
    lapic_acknowledge(&l, 0x39);
    wr(0xb0, 0);
    CHECK_U64(eois, 1);
}

/* The CPU's CR8 is TPR[7:4], by whatever way one looks or writes. */
TEST(cr8_of_the_cpu) {
    fresh_cr8();
    write_cr8(6);
    CHECK_U64(rd(0x80), 0x60);
    CHECK_U64(rd(0xa0), 0x60);
    CHECK_U64(lapic_cr8_read(&l), 6);
    wr(0x80, 0x70);
    CHECK_U64(cpu_cr8, 7);
    CHECK_U64(watches, 0);

    /* A write of CR8 clears TPR[3:0]: the CPU must not do it alone. */
    wr(0x80, 0x35);
    CHECK_U64(cpu_cr8, 3);
    CHECK_U64(rd(0x80), 0x35);
    CHECK_U64(rd(0xa0), 0x35);
    CHECK(watched);
    write_cr8(4);
    CHECK_U64(rd(0x80), 0x40);
    CHECK(!watched);
    CHECK_U64(cpu_cr8, 4);

    wr(0x80, 0xff);
    lapic_init(&l);
    CHECK_U64(rd(0x80), 0);
    CHECK_U64(cpu_cr8, 0);
    CHECK(!watched);
}

TEST(cr8_holds_back) {
    fresh_cr8();
    CHECK(lapic_accept(&l, 0x52, false));
    write_cr8(5);
    CHECK_U64(lapic_pending(&l), LAPIC_HELD);
    lapic_watch_cr8(&l, true);
    lapic_watch_cr8(&l, true);
    CHECK_U64(watches, 1);
    changes = 0;
    write_cr8(4);
    CHECK_U64(changes, 1);
    CHECK(!watched);
    CHECK_U64(lapic_pending(&l), 0x52);
    lapic_acknowledge(&l, 0x52);
    CHECK_U64(rd(0xa0), 0x50);

    /* What is in service holds the next one back, whatever CR8 is; then its end lets it in. */
    CHECK(lapic_accept(&l, 0x51, false));
    write_cr8(5);
    CHECK_U64(rd(0xa0), 0x50);
    CHECK_U64(lapic_pending(&l), LAPIC_NONE);
    write_cr8(9);
    CHECK_U64(rd(0xa0), 0x90);
    CHECK_U64(lapic_pending(&l), LAPIC_NONE);
    wr(0xb0, 0);
    CHECK_U64(lapic_pending(&l), LAPIC_HELD);
    wr(0x80, 0x40);
    CHECK_U64(lapic_pending(&l), 0x51);
}

/* Against a model that is a list of flags. */
static void run_against_model(void) {
    bool irr[256] = {false}, isr[256] = {false};
    uint32_t seed = 7;
    for (unsigned step = 0; step < 300000 && test_failures == 0; step++) {
        seed = seed * 1664525 + 1013904223;
        uint8_t v = (uint8_t)(seed >> 16);
        unsigned what = seed >> 28;
        if (what < 6 && v >= 16) {
            CHECK_U64(lapic_accept(&l, v, false), !irr[v]);
            irr[v] = true;
        } else if (what < 7) {
            wr(0x80, v);
        } else if (what < 8) {
            write_cr8(v >> 4);
            CHECK_U64(rd(0x80), v & 0xf0);
        } else if (what < 11) {
            wr(0xb0, 0);
            for (int i = 255; i >= 0; i--) {
                if (isr[i]) {
                    isr[i] = false;
                    break;
                }
            }
        }
        int top_irr = -1, top_isr = 0;
        for (int i = 0; i < 256; i++) {
            top_irr = irr[i] ? i : top_irr;
            top_isr = isr[i] ? i : top_isr;
        }
        int tpr = (int)rd(0x80), ppr = tpr >> 4 >= top_isr >> 4 ? tpr : top_isr & 0xf0;
        CHECK_U64(rd(0xa0), ppr);
        int want = top_irr >> 4 > ppr >> 4 ? top_irr : -1;
        bool held = l.cr8 != NULL && want < 0 && top_irr >> 4 > top_isr >> 4;
        CHECK_U64(lapic_pending(&l), held ? LAPIC_HELD : want);
        if (held) {
            lapic_watch_cr8(&l, true);
        }
        if (want >= 0 && what >= 11) {
            lapic_acknowledge(&l, (uint8_t)want);
            irr[want] = false;
            isr[want] = true;
        }
    }
}

TEST(random_against_model) {
    fresh();
    run_against_model();
    fresh_cr8();
    run_against_model();
    CHECK(watches > 1000);
}

TEST(one_shot_timer) {
    fresh();
    wr(0x320, 0x20);
    wr(0x3e0, 0x0b); /* divide by 1 */
    wr(0x380, 1000);
    CHECK_U64(armed, now + 30000);
    CHECK_U64(rd(0x390), 1000);
    now += 3000;
    CHECK_U64(rd(0x390), 900);
    unsigned before = arms;
    lapic_timer_expired(&l); /* too early: asks again */
    CHECK(arms == before + 1 && armed == 1000000 + 30000);
    CHECK_U64(lapic_pending(&l), -1);
    wr(0x3e0, 0x00); /* divide by 2: the rest takes twice as long */
    CHECK_U64(rd(0x390), 900);
    CHECK_U64(armed, now + 900 * 60);
    now += 900 * 60;
    lapic_timer_expired(&l);
    CHECK_U64(lapic_pending(&l), 0x20);
    CHECK_U64(rd(0x390), 0);
    lapic_acknowledge(&l, 0x20);
    wr(0xb0, 0);
    lapic_timer_expired(&l); /* once only */
    CHECK_U64(lapic_pending(&l), -1);
    wr(0x380, 500);
    wr(0x380, 0);
    CHECK_U64(armed, 0);
    CHECK_U64(rd(0x390), 0);
    wr(0x320, 0x10020); /* masked: runs, but says nothing */
    wr(0x380, 10);
    now += 10000;
    lapic_timer_expired(&l);
    CHECK_U64(lapic_pending(&l), -1);
}

TEST(divisors) {
    static const unsigned code[] = {0x0b, 0, 1, 2, 3, 8, 9, 0x0a};
    fresh();
    wr(0x320, 0x20);
    for (unsigned shift = 0; shift < ARRAY_SIZE(code); shift++) {
        wr(0x3e0, code[shift]);
        wr(0x380, 0xffffffff);
        CHECK_U64(armed, now + ((uint64_t)0xffffffff << shift) * 30);
        CHECK_U64(rd(0x390), 0xffffffff);
    }
}

TEST(periodic_timer) {
    fresh();
    wr(0x320, 0x20020);
    wr(0x3e0, 0x0b);
    wr(0x380, 10000);
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_U64(armed, 1000000 + i * 300000);
        now = armed + 77; /* a late host does not make the guest's clock drift */
        lapic_timer_expired(&l);
        CHECK_U64(lapic_pending(&l), 0x20);
        lapic_acknowledge(&l, 0x20);
        wr(0xb0, 0);
    }
    now += 300000 * 5;
    lapic_timer_expired(&l);
    CHECK_U64(armed, 1000000 + 9 * 300000);
    CHECK_U64(rd(0x390), 10000 - 77 / 30);
    wr(0x380, 1); /* a storm is not to be had */
    CHECK(armed >= now + TSC_HZ / 50000);
    lapic_timer_expired(&l);
    now = armed;
    lapic_timer_expired(&l);
    CHECK(armed >= now + TSC_HZ / 50000);
}

TEST(tsc_deadline_timer) {
    fresh();
    lapic_deadline_write(&l, now + 5); /* not in that mode */
    CHECK_U64(arms, 0);
    CHECK_U64(lapic_deadline_read(&l), 0);
    wr(0x320, 0x400ec);
    arms = 0;
    wr(0x380, 1000); /* ignored */
    CHECK_U64(rd(0x380), 0);
    CHECK_U64(rd(0x390), 0);
    CHECK_U64(arms, 0);
    lapic_deadline_write(&l, now + 500);
    CHECK_U64(armed, now + 500);
    CHECK_U64(lapic_deadline_read(&l), now + 500);
    now += 500;
    lapic_timer_expired(&l);
    CHECK_U64(lapic_pending(&l), 0xec);
    CHECK_U64(lapic_deadline_read(&l), 0);
    lapic_deadline_write(&l, now + 500);
    wr(0x320, 0x000ec); /* leaving the mode disarms */
    CHECK_U64(armed, 0);
    now += 500;
    lapic_acknowledge(&l, 0xec);
    wr(0xb0, 0);
    lapic_timer_expired(&l);
    CHECK_U64(lapic_pending(&l), -1);
    lapic_deadline_write(&l, UINT64_MAX);
    wr(0x320, 0x600ec); /* the reserved mode: no timer */
    wr(0x380, 5);
    CHECK_U64(rd(0x390), 0);
}

/* The guest sets its TSC: a count goes on, a deadline is a TSC value and stays. */
TEST(tsc_is_set) {
    static const uint64_t deltas[] = {5000000, 0 - 900000ull, 0 - 1003000ull, 1ull << 50};
    for (size_t i = 0; i < ARRAY_SIZE(deltas); i++) {
        for (uint32_t mode = 0; mode <= 0x20000; mode += 0x20000) {
            fresh();
            lapic_tsc_changed(&l, deltas[i]); /* it does not run */
            CHECK_U64(armed, 0);
            l.clock.offset = 0;
            wr(0x320, mode | 0x20);
            wr(0x3e0, 0x0b);
            wr(0x380, 1000);
            now += 3000;
            lapic_tsc_changed(&l, deltas[i]); /* the third makes it 0 */
            CHECK_U64(rd(0x390), 900);
            CHECK(l.timer_deadline == armed &&
                  (mode != 0 || armed == now + l.clock.offset + 27000));
            wr(0x3e0, 0x00);
            CHECK_U64(rd(0x390), 900);
            wr(0x3e0, 0x0b);
            lapic_timer_expired(&l);
            CHECK_U64(lapic_pending(&l), -1);
            now = armed - l.clock.offset;
            lapic_timer_expired(&l);
            CHECK_U64(lapic_pending(&l), 0x20);
        }
    }
    fresh();
    wr(0x320, 0x400ec);
    lapic_deadline_write(&l, now + 500);
    arms = 0;
    lapic_tsc_changed(&l, 400);
    CHECK(arms == 1 && armed == now + 500);
    CHECK_U64(lapic_deadline_read(&l), now + 500);
}

TEST(xapic_ipis) {
    fresh();
    wr(0x310, 0x02000000);
    wr(0x300, 0x000048fd);
    CHECK_U64(ipis, 1);
    CHECK(ipi.vector == 0xfd && ipi.delivery_mode == 0 && ipi.logical && !ipi.level &&
          ipi.shorthand == 0 && ipi.destination == 2);
    CHECK_U64(rd(0x300), 0x48fd);
    CHECK_U64(rd(0x310), 0x02000000);
    wr(0x300, 0x0000c0fd); /* a level is nothing that a message of an APIC can have */
    CHECK(ipis == 2 && ipi.vector == 0xfd && !ipi.level);
    wr(0x310, 0xff000000);
    wr(0x300, 0x00000400);
    CHECK(ipis == 3 && ipi.delivery_mode == 4 && ipi.destination == UINT32_MAX);
    wr(0x300, 0x000c4030); /* all but self is for others to sort out */
    CHECK(ipis == 4 && ipi.shorthand == 3);
    wr(0x300, 0x00044031); /* self */
    CHECK_U64(ipis, 4);
    CHECK_U64(lapic_pending(&l), 0x31);
    CHECK_U64(changes, 1);
}

static uint32_t errors(void) {
    wr(0x280, 0xff);
    return rd(0x280);
}

/* Vectors below 16 do not arrive; ESR tells of it once it was written. */
TEST(error_status) {
    fresh();
    CHECK_U64(errors(), 0);
    wr(0x300, 0x00044005); /* to itself */
    CHECK_U64(rd(0x280), 0);
    CHECK_U64(errors(), 0x60);
    CHECK_U64(rd(0x280), 0x60);
    CHECK_U64(errors(), 0);
    wr(0x300, 0x000c4105); /* lowest priority to others: they note that they got it */
    CHECK_U64(ipis, 1);
    CHECK_U64(errors(), 0x20);
    wr(0x300, 0x000c4600); /* startup and NMI have no such vectors */
    wr(0x300, 0x000c4400);
    CHECK_U64(errors(), 0);
    wr(0x320, 0x05);
    wr(0x380, 1);
    now += 1000;
    lapic_timer_expired(&l);
    CHECK_U64(errors(), 0x40);
    CHECK(!lapic_accept(&l, 15, true));
    CHECK_U64(errors(), 0x40);
    CHECK_U64(lapic_pending(&l), -1);
    wr(0xf0, 0xff);
    CHECK(!lapic_accept(&l, 15, true)); /* switched off it hears nothing */
    CHECK_U64(errors(), 0);
}

/* SDM, "Valid Interrupt Vectors": 16 is the first that is legal, by each way to send it. */
TEST(the_first_legal_vector) {
    for (unsigned vector = 15; vector <= 16; vector++) {
        fresh();
        wr(0x300, 0x00044000 | vector);
        CHECK_U64(lapic_pending(&l), vector == 16 ? 16 : -1);
        CHECK_U64(errors(), vector == 16 ? 0 : 0x60);
        CHECK_U64(lapic_accept(&l, (uint8_t)vector, false), false); /* it waits, or is none */

        fresh_x2apic();
        CHECK_U64(wrmsr(0x3f, vector), STATUS_OK);
        CHECK_U64(lapic_pending(&l), vector == 16 ? 16 : -1);
        CHECK_U64(wrmsr(0x28, 0), STATUS_OK);
        CHECK_U64(rdmsr(0x28), vector == 16 ? 0 : 0x60);
    }
}

TEST(error_interrupt) {
    fresh();
    wr(0x370, 0xe0);
    CHECK_U64(rd(0x370), 0xe0);
    changes = 0;
    wr(0x300, 0x000c4005);
    CHECK_U64(lapic_pending(&l), 0xe0);
    CHECK_U64(changes, 1);
    lapic_acknowledge(&l, 0xe0);
    wr(0xb0, 0);
    wr(0x300, 0x000c4005); /* known already */
    CHECK_U64(lapic_pending(&l), -1);
    CHECK(lapic_accept(&l, 3, false)); /* another one, from another CPU */
    CHECK_U64(lapic_pending(&l), 0xe0);
    lapic_acknowledge(&l, 0xe0);
    wr(0xb0, 0);
    CHECK_U64(errors(), 0x60);
    wr(0x300, 0x000c4005);
    CHECK_U64(lapic_pending(&l), 0xe0);
    lapic_acknowledge(&l, 0xe0);
    wr(0xb0, 0);
    CHECK_U64(errors(), 0x20);
    wr(0x370, 0x100e0); /* masked: noted all the same */
    CHECK(!lapic_accept(&l, 3, false));
    CHECK_U64(errors(), 0x40);
    wr(0x370, 0x05); /* its own vector is an error */
    wr(0x300, 0x000c4005);
    CHECK_U64(errors(), 0x60);
    CHECK_U64(lapic_pending(&l), -1);
    wr(0x300, 0x000c4005);
    lapic_init(&l);
    CHECK_U64(errors(), 0);
}

/* Reserved places of the page; those of registers that only other CPUs have are no error. */
TEST(illegal_registers) {
    static const uint16_t there[] = {0x020, 0x030, 0x080, 0x090, 0x0a0, 0x0b0, 0x0c0, 0x0d0,
                                     0x0e0, 0x0f0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340,
                                     0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0};
    fresh();
    for (uint64_t offset = 0; offset < 0x1000; offset += 0x10) {
        bool has = offset >= 0x100 && offset < 0x280;
        for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
            has = has || there[i] == offset;
        }
        (void)errors();
        (void)rd(offset);
        CHECK_U64(errors(), has ? 0 : 0x80);
        if (offset < 0x280 || offset > 0x310) {
            wr(offset, 0);
            CHECK_U64(errors(), has ? 0 : 0x80);
        }
    }
    fresh_x2apic();
    CHECK_U64(rdmsr(0x40), UINT64_MAX); /* #GP instead */
    CHECK_U64(wrmsr(0x28, 0), STATUS_OK);
    CHECK_U64(rdmsr(0x28), 0);
    CHECK_U64(wrmsr(0x3f, 0x08), STATUS_OK);
    CHECK_U64(wrmsr(0x28, 0), STATUS_OK);
    CHECK_U64(rdmsr(0x28), 0x60);
}

TEST(lint0) {
    fresh();
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_SMI); /* masked: nothing */
    wr(0x350, 0x700);
    CHECK_U64(changes, 1); /* something may have waited at it */
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_EXTINT);
    wr(0x350, 0x8031);
    struct apic_message m = lapic_lint0(&l);
    CHECK(m.delivery_mode == APIC_FIXED && m.vector == 0x31 && !m.level);
    wr(0x350, 0x400);
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_NMI);
    wr(0x350, 0x10700);
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_SMI);
    wr(0x350, 0x700);
    wr(0xf0, 0xff); /* off by software: all entries are masked */
    CHECK_U64(rd(0x350), 0x10700);
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_SMI);
    changes = 0;
    CHECK_U64(lapic_base_write(&l, LAPIC_BASE), STATUS_OK);
    CHECK_U64(lapic_lint0(&l).delivery_mode, APIC_EXTINT); /* off altogether: INTR */
    CHECK_U64(changes, 1);
}

TEST(mmio_shapes) {
    fresh();
    wr(0x80, 0x25);
    CHECK_U64(lapic_mmio_read(&l, 0x80), 0x25);
    CHECK_U64(lapic_mmio_read(&l, 0x31) & 0xffff, 0x0500);
    CHECK_U64(lapic_mmio_read(&l, 0x84), 0);
    lapic_mmio_write(&l, 0x80, 1, 0x77);
    lapic_mmio_write(&l, 0x84, 4, 0x77);
    CHECK_U64(rd(0x80), 0x25);
    wr(0x20, 0x07000000); /* the ID is fixed */
    CHECK_U64(rd(0x20), 0x05000000);
    CHECK_U64(lapic_mmio_read(&l, 0xffc), 0);
    lapic_written(&l, LAPIC_REGISTERS << 4); /* a CPU that tells of a register beyond the last */
    CHECK_U64(changes, 0);
}

TEST(destinations) {
    fresh();
    CHECK(lapic_matches(&l, 5, false) && !lapic_matches(&l, 4, false));
    CHECK(lapic_matches(&l, 0xff, false) && lapic_matches(&l, UINT32_MAX, false));
    CHECK(!lapic_matches(&l, 0x105, false));
    CHECK(!lapic_matches(&l, 1, true)); /* no logical ID yet */
    wr(0xd0, 0x24ffffff);
    CHECK_U64(rd(0xd0), 0x24000000);
    CHECK(lapic_matches(&l, 0x04, true) && lapic_matches(&l, 0xf0, true));
    CHECK(!lapic_matches(&l, 0xdb, true));
    wr(0xd0, 0x01ffffff);
    CHECK(lapic_matches(&l, 0x01, true) && !lapic_matches(&l, 0xfe, true));
    wr(0xd0, 0x24ffffff);
    wr(0xe0, 0);
    CHECK_U64(rd(0xe0), 0x0fffffff);
    CHECK(lapic_matches(&l, 0x2c, true)); /* cluster 2, members 4 and 8 */
    CHECK(!lapic_matches(&l, 0x14, true) && !lapic_matches(&l, 0x2b, true));
    for (uint32_t cluster = 0; cluster < 0xf; cluster++) {
        CHECK(lapic_matches(&l, cluster << 4 | 4, true) == (cluster == 2));
    }
    lapic_reset(&l, 0x12345, false);
    CHECK_U64(lapic_base_write(&l, LAPIC_BASE | 0xc00), STATUS_OK);
    CHECK_U64(rdmsr(2), 0x12345);
    CHECK_U64(rdmsr(0xd), 0x12340020);
    CHECK(lapic_matches(&l, 0x12345, false) && !lapic_matches(&l, 0x45, false));
    CHECK(lapic_matches(&l, 0x12340030, true) && !lapic_matches(&l, 0x12340010, true));
    CHECK(!lapic_matches(&l, 0x12350020, true) && !lapic_matches(&l, 0xff, false));
    CHECK(lapic_matches(&l, UINT32_MAX, true));
}

TEST(x2apic_registers) {
    static const uint8_t readable[] = {0x02, 0x03, 0x08, 0x0a, 0x0d, 0x0f, 0x28, 0x30, 0x32,
                                       0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3e};
    static const uint8_t writable[] = {0x08, 0x0b, 0x0f, 0x28, 0x30, 0x32, 0x33,
                                       0x34, 0x35, 0x36, 0x37, 0x38, 0x3e, 0x3f};
    uint64_t value;
    fresh();
    CHECK_U64(lapic_msr_read(&l, 0x802, &value), STATUS_DENIED); /* xAPIC mode */
    CHECK_U64(wrmsr(0x08, 0), STATUS_DENIED);
    fresh_x2apic();
    for (uint32_t reg = 0; reg < 0x100; reg++) {
        bool r = (reg >= 0x10 && reg < 0x28) || memchr(readable, (int)reg, sizeof(readable));
        bool w = memchr(writable, (int)reg, sizeof(writable)) != NULL;
        CHECK_U64(lapic_msr_read(&l, 0x800 + reg, &value), r ? STATUS_OK : STATUS_DENIED);
        CHECK_U64(wrmsr(reg, 0), w ? STATUS_OK : STATUS_DENIED);
        CHECK(reg == 0x30 || wrmsr(reg, BIT(32)) == STATUS_DENIED);
    }
    CHECK_U64(lapic_msr_read(&l, 0x7ff, &value), STATUS_DENIED);
    CHECK_U64(lapic_msr_read(&l, UINT32_MAX, &value), STATUS_DENIED);
}

TEST(x2apic_reserved_bits) {
    static const struct {
        uint8_t reg;
        uint32_t allowed;
    } rules[] = {{0x08, 0xff},    {0x0b, 0},       {0x0f, 0x3ff},   {0x28, 0},
                 {0x32, 0x750ff}, {0x33, 0x157ff}, {0x34, 0x157ff}, {0x35, 0x1f7ff},
                 {0x36, 0x1f7ff}, {0x37, 0x150ff}, {0x3e, 0x0b},    {0x3f, 0xff}};
    fresh_x2apic();
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            bool ok = bit < 32 && (rules[i].allowed >> bit & 1) != 0;
            CHECK_U64(wrmsr(rules[i].reg, BIT(bit)), ok ? STATUS_OK : STATUS_DENIED);
        }
    }
    fresh_x2apic();
    CHECK_U64(wrmsr(0x35, 0x1f7ff), STATUS_OK); /* status bits: allowed, without effect */
    CHECK_U64(rdmsr(0x35), 0x1a7ff);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = bit == 13 || bit == 16 || bit == 17 || (bit >= 20 && bit < 32);
        CHECK_U64(wrmsr(0x30, 0x40 | BIT(bit)), reserved ? STATUS_DENIED : STATUS_OK);
    }
}

TEST(x2apic_ipis) {
    fresh_x2apic();
    CHECK_U64(wrmsr(0x30, 0x00012345000040d1), STATUS_OK);
    CHECK(ipis == 1 && ipi.destination == 0x12345 && ipi.vector == 0xd1);
    CHECK_U64(rdmsr(0x30), 0x00012345000040d1);
    CHECK_U64(wrmsr(0x3f, 0x81), STATUS_OK);
    CHECK_U64(lapic_pending(&l), 0x81);
    CHECK_U64(rdmsr(0x24), 2);
    CHECK_U64(wrmsr(0x3f, 0x08), STATUS_OK);
    CHECK_U64(rdmsr(0x20), 0);
    CHECK_U64(ipis, 1);
}

TEST(mode_transitions) {
    const uint64_t off = LAPIC_BASE, x1 = off | 0x800, x2 = off | 0xc00, bad = off | 0x400;
    const struct {
        uint64_t from, to;
        bool ok;
    } rules[] = {{off, off, true}, {off, x1, true}, {off, x2, false}, {off, bad, false},
                 {x1, off, true},  {x1, x1, true},  {x1, x2, true},   {x1, bad, false},
                 {x2, off, true},  {x2, x1, false}, {x2, x2, true},   {x2, bad, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        fresh();
        CHECK_U64(lapic_base_write(&l, rules[i].from), STATUS_OK);
        CHECK_U64(lapic_base_write(&l, rules[i].to), rules[i].ok ? STATUS_OK : STATUS_DENIED);
        CHECK_U64(l.apic_base, rules[i].ok ? rules[i].to : rules[i].from);
    }
    fresh();
    for (unsigned bit = 0; bit < 10; bit++) {
        CHECK(bit == 8 || lapic_base_write(&l, x1 | BIT(bit)) == STATUS_DENIED);
    }
    CHECK_U64(lapic_base_write(&l, x1 | APIC_BASE_BSP), STATUS_OK);
    CHECK_U64(l.apic_base, x1); /* who is BSP does not change */
    l.reg[REG_ICR][0] = 0x52;
    CHECK_U64(lapic_base_write(&l, x2), STATUS_OK);
    CHECK_U64(l.reg[REG_ICR][0], 0); /* the mode's change clears it, being in the mode does not */
    l.reg[REG_ICR][0] = 0x52;
    CHECK_U64(lapic_base_write(&l, x2), STATUS_OK);
    CHECK_U64(l.reg[REG_ICR][0], 0x52);
    fresh();
    CHECK_U64(lapic_base_write(&l, x1), STATUS_OK);
    wr(0x320, 0x20);
    wr(0x380, 100);
    CHECK(lapic_accept(&l, 0x40, false));
    CHECK_U64(lapic_base_write(&l, off), STATUS_OK);
    CHECK_U64(armed, 0);
    CHECK_U64(lapic_pending(&l), -1);
    CHECK(!lapic_accept(&l, 0x40, false));
    CHECK(!lapic_matches(&l, 5, false));
    CHECK_U64(lapic_base_write(&l, x1), STATUS_OK);
    CHECK_U64(rd(0x20), 0x05000000);
    CHECK_U64(rd(0xf0), 0xff);
}

TEST(the_page_moves) {
    fresh();
    CHECK_U64(lapic_page(&l), 0xfee00000);
    CHECK_U64(lapic_base_write(&l, 0xfed00800), STATUS_OK);
    CHECK_U64(l.apic_base, 0xfed00800);
    CHECK_U64(lapic_page(&l), 0xfed00000);
    CHECK_U64(rd(0xf0), 0x1ff); /* with all that is in it */
    CHECK_U64(lapic_base_write(&l, 0xfed00c00), STATUS_OK);
    CHECK_U64(lapic_page(&l), UINT64_MAX);
    CHECK_U64(lapic_base_write(&l, 0x123456000), STATUS_OK); /* while it is off, too */
    CHECK_U64(lapic_page(&l), UINT64_MAX);
    CHECK_U64(lapic_base_write(&l, 0x123456800), STATUS_OK);
    CHECK_U64(lapic_page(&l), 0x123456000);
    lapic_init(&l);
    CHECK_U64(l.apic_base, 0x123456800);
    lapic_reset(&l, 5, true);
    CHECK_U64(lapic_page(&l), 0xfee00000);
}

/* INIT: whatever the timer was, it is one-shot with the divisor of a start. */
TEST(a_timer_after_init) {
    for (uint32_t mode = 1; mode <= 2; mode++) {
        fresh();
        wr(0x3e0, 0x0b);
        wr(0x320, mode << 17 | 0x20);
        lapic_init(&l);
        wr(0x380, 1000);
        CHECK_U64(rd(0x390), 1000);
        now += 1000 * 30; /* by two again, whatever it was divided by */
        CHECK_U64(rd(0x390), 500);
        now += 1000 * 30 + 60;
        CHECK_U64(rd(0x390), 0);
        CHECK_U64(lapic_deadline_read(&l), 0);
        CHECK_U64(l.errors, 0);
    }
}

/* A period that is shorter than there may be, and ends as one-shot: its count is over, and its
 * interrupt comes when it would have come. */
TEST(a_short_period_becomes_one_shot) {
    fresh();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x20020);
    wr(0x380, 2);
    CHECK_U64(armed, now + TSC_HZ / TIMER_MIN_PERIOD_HZ);
    wr(0x320, 0x20);
    CHECK_U64(rd(0x390), 2);
    for (unsigned i = 0; i < 3; i++) {
        now += 60;
        CHECK_U64(rd(0x390), 0);
    }
    CHECK_U64(lapic_pending(&l), -1);
    now = armed;
    CHECK_U64(rd(0x390), 0);
    CHECK_U64(lapic_pending(&l), 0x20);
    CHECK_U64(l.timer_deadline, 0);
}

/* The host's interrupt for it comes late: the guest sees its count at 0, or begun again, and then
 * changes what the timer does. */
TEST(what_is_due_has_happened) {
    fresh();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x20);
    wr(0x380, 1000);
    now += 30000 + 60;
    CHECK_U64(rd(0x390), 0);
    wr(0x320, 0x20020); /* periodic: the count that ended does not begin again */
    CHECK_U64(rd(0x390), 0);
    CHECK_U64(lapic_pending(&l), 0x20);
    CHECK_U64(l.timer_deadline, 0);
    lapic_acknowledge(&l, 0x20);
    wr(0xb0, 0);
    wr(0x380, 1000);
    now += 30000 + 60;
    CHECK_U64(rd(0x390), 998);
    wr(0x320, 0x20); /* one-shot: the one that began again goes on, once */
    CHECK_U64(rd(0x390), 998);
    CHECK_U64(lapic_pending(&l), 0x20);
    CHECK_U64(armed, now + 30000 - 60);
    static const struct {
        uint32_t offset, value;
    } writes[] = {{0x380, 77}, {0x380, 0}, {0x3e0, 0x03}, {0x320, 0x40020}};
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
        fresh();
        wr(0x3e0, 0x0b);
        wr(0x320, 0x20020);
        wr(0x380, 1000);
        now += 30000 + 60;
        wr(writes[i].offset, writes[i].value);
        CHECK_U64(lapic_pending(&l), 0x20);
    }
    fresh();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x20);
    wr(0x380, 1000);
    now += 30000 + 60;
    lapic_tsc_changed(&l, 0 - 500000ull);
    CHECK_U64(lapic_pending(&l), 0x20);
    CHECK_U64(rd(0x390), 0);
}

/* As the one before. The interrupt that was due came as the timer's entry was before the write:
 * with its vector, and not masked. */
TEST(what_is_due_has_its_old_vector) {
    static const struct {
        uint32_t mode, offset, value;
    } writes[] = {
        {0x00000, 0x320, 0x10020}, /* masked */
        {0x00000, 0x320, 0x30},    /* another vector */
        {0x20000, 0x320, 0x30030}, /* both, and periodic */
        {0x00000, 0xf0, 0xff},     /* the whole APIC is switched off */
        {0x10000, 0x320, 0x20},    /* it was masked */
    };
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
        bool masked = (writes[i].mode & 0x10000) != 0;
        fresh();
        wr(0x3e0, 0x0b);
        wr(0x320, writes[i].mode | 0x20);
        wr(0x380, 1000);
        now += 30000 + 60;
        wr(writes[i].offset, writes[i].value);
        CHECK_U64(rd(0x210), masked ? 0 : 1); /* the IRR's bit of vector 20h */
    }
}

/* The same of a deadline: who sees it gone, or sets another, has the interrupt of the first. */
TEST(a_deadline_that_is_due) {
    for (unsigned i = 0; i < 3; i++) {
        fresh();
        wr(0x320, 0x40020);
        lapic_deadline_write(&l, now + 1000);
        now += 1000;
        if (i == 0) {
            CHECK_U64(lapic_deadline_read(&l), 0);
        } else {
            lapic_deadline_write(&l, i == 1 ? now + 5000 : 0);
            CHECK_U64(armed, i == 1 ? now + 5000 : 0);
        }
        CHECK_U64(rd(0x210), 1); /* the IRR's bit of vector 20h */
    }
    fresh();
    wr(0x320, 0x40020);
    lapic_deadline_write(&l, now + 1000);
    now += 999;
    CHECK_U64(lapic_deadline_read(&l), now + 1);
    lapic_deadline_write(&l, now + 5000);
    CHECK_U64(rd(0x210), 0);
    fresh();
    wr(0x320, 0x20);
    wr(0x380, 1000);
    now += 60000 + 60; /* divided by 2 */
    CHECK_U64(rd(0x390), 0);
    CHECK_U64(rd(0x210), 1);
}

static bool sender_done;

static void *sender(void *arg) {
    unsigned *taken = arg;
    uint32_t random = 99;
    while (*taken < 20000) {
        random = random * 1664525 + 1013904223;
        *taken += lapic_accept(&l, (uint8_t)(0x20 + (random >> 24) % 0x60), false);
    }
    __atomic_store_n(&sender_done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* What another CPU puts in comes out, once each, whatever this one does at that moment. */
TEST(accept_from_another_cpu) {
    pthread_t thread;
    unsigned taken = 0, delivered = 0;
    fresh();
    sender_done = false;
    CHECK_U64(pthread_create(&thread, NULL, sender, &taken), 0);
    for (bool done = false; !done;) {
        done = __atomic_load_n(&sender_done, __ATOMIC_ACQUIRE);
        for (int v = lapic_pending(&l); v >= 0; v = lapic_pending(&l)) {
            lapic_acknowledge(&l, (uint8_t)v);
            wr(0xb0, 0);
            delivered++;
        }
    }
    CHECK_U64(pthread_join(thread, NULL), 0);
    CHECK_U64(delivered, taken);
}

#define EFLAGS_TF 0x100

static unsigned steps_left;

/* After each instruction: at the chosen one another CPU's interrupt arrives. */
static void step(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    if (--steps_left == 0) {
        greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
        *flags &= ~(greg_t)EFLAGS_TF;
        (void)lapic_accept(&l, 0x51, false);
    }
}

/*
 * The last vector of a word is taken while another CPU sets one in the same word: the summary of
 * the words must not lose it, between whichever two instructions of ours it comes.
 */
TEST(the_summary_loses_no_vector) {
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    CHECK_U64(sigaction(SIGTRAP, &action, NULL), 0);
    unsigned at = 0;
    do {
        at++;
        fresh();
        (void)lapic_accept(&l, 0x50, false);
        steps_left = at;
        __asm__ volatile("pushfq; orl %0, (%%rsp); popfq" : : "i"(EFLAGS_TF) : "memory", "cc");
        lapic_acknowledge(&l, 0x50);
        __asm__ volatile("pushfq; andl %0, (%%rsp); popfq" : : "i"(~EFLAGS_TF) : "memory", "cc");
        wr(0xb0, 0);
        CHECK_U64(lapic_pending(&l), steps_left == 0 ? 0x51 : -1);
    } while (steps_left == 0 && at < 1000);
    CHECK(at > 10 && at < 1000); /* the last one came after the end */
    (void)signal(SIGTRAP, SIG_DFL);
}

TEST(clock_arithmetic) {
    const uint64_t hz[] = {1000000, 19200000, LAPIC_TIMER_HZ, 2893299000, 5000000000};
    uint64_t seed = 1;
    for (unsigned i = 0; i < 100000 && test_failures == 0; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        uint64_t a = seed >> (i % 64), b = hz[i % 3], c = hz[i % ARRAY_SIZE(hz)];
        CHECK_U64(mul_div_u64(a, b, c), (uint64_t)((unsigned __int128)a * b / c));
        CHECK_U64(mul_div_u64(a, c, b), (uint64_t)((unsigned __int128)a * c / b));
    }
}

/* SDM, "Task Priority Register (TPR)": all 8 bits are what was written last, whoever keeps them. */
TEST(the_task_priority_has_8_bits) {
    static const uint8_t values[] = {0x35, 0x40, 0x4f, 0x00, 0x0f, 0xf0, 0xff, 0x00};
    for (unsigned cr8 = 0; cr8 < 2; cr8++) {
        (cr8 != 0 ? fresh_cr8 : fresh)();
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
            wr(LAPIC_TPR, values[i]);
            CHECK_U64(rd(LAPIC_TPR), values[i]);
        }
    }
}

/* Each write of TPR that may let in what waits has it looked at, also where its lower half counts.
 */
TEST(a_lower_task_priority_is_told) {
    static const uint8_t values[] = {0x40, 0x45, 0x00, 0x0f};
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(values); i++) {
        (i % 2 != 0 ? fresh_cr8 : fresh)();
        wr(LAPIC_TPR, 0x65);
        CHECK(lapic_accept(&l, 0x52, false));
        CHECK(lapic_pending(&l) < 0);
        changes = 0;
        wr(LAPIC_TPR, values[i / 2]);
        CHECK_U64(changes, 1);
        CHECK_U64(lapic_pending(&l), 0x52);
    }
}

/* SDM, "TSC-Deadline Mode": a change into or out of it disarms the timer, and no count is left. */
TEST(a_change_of_mode_leaves_no_count) {
    fresh();
    wr(0x320, 0x00030); /* one-shot */
    wr(0x380, 1000);
    CHECK_U64(rd(0x380), 1000);
    wr(0x320, 0x40030);
    CHECK_U64(rd(0x380), 0);
    CHECK_U64(rd(0x390), 0);
    wr(0x320, 0x00030);
    CHECK_U64(rd(0x380), 0);
    CHECK_U64(rd(0x390), 0);
}

/* INIT is told late to whoever posts: what comes in the meantime was for the time before. */
TEST(what_is_posted_during_init_is_forgotten) {
    fresh();
    l.descriptor.notify = 0x500a00000;
    posted_to = &l;
    lapic_init(&l);
    posted_to = NULL;
    CHECK(l.descriptor.requests[2] == 0 && l.descriptor.notify == 0x500a00000);
}

/* What changes who takes a message is told, and nothing else. */
TEST(who_takes_messages) {
    static const struct {
        uint16_t offset;
        bool told;
    } rows[] = {{0xd0, true},   {0xe0, true},   {0xf0, true},   {0x80, false},
                {0x300, false}, {0x310, false}, {0x320, false}, {0x350, false}};
    fresh();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        addressed_count = 0;
        lapic_mmio_write(&l, rows[i].offset, 4, 0);
        CHECK_U64(addressed_count, rows[i].told);
    }
}

TEST_MAIN(T(power_up), T(priorities), T(a_lower_task_priority_is_told),
          T(level_triggered_is_broadcast), T(cr8_of_the_cpu), T(cr8_holds_back),
          T(random_against_model), T(one_shot_timer), T(divisors), T(periodic_timer),
          T(tsc_deadline_timer), T(tsc_is_set), T(the_page_moves), T(a_timer_after_init),
          T(what_is_due_has_happened), T(what_is_due_has_its_old_vector), T(a_deadline_that_is_due),
          T(xapic_ipis), T(error_status), T(the_first_legal_vector), T(error_interrupt),
          T(illegal_registers), T(lint0), T(mmio_shapes), T(destinations), T(x2apic_registers),
          T(x2apic_reserved_bits), T(x2apic_ipis), T(mode_transitions), T(accept_from_another_cpu),
          T(the_summary_loses_no_vector), T(clock_arithmetic), T(the_task_priority_has_8_bits),
          T(a_change_of_mode_leaves_no_count), T(what_is_posted_during_init_is_forgotten),
          T(who_takes_messages), T(a_short_period_becomes_one_shot))
