/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that is moved in the middle of a line and must not notice: what it has in registers, in
 * memory and in devices is compared before and after, its timers go on, its second vCPU sleeps on.
 * In the middle of the line it waits for a key. cpus=2 on the command line.
 */
#include "guests/test/vcpu.h"

#define RAM_FIRST          0x1000000ull /* 16 MiB: above the guest itself */
#define RAM_WORDS          (8ull << 20 >> 3)
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_LSTAR          0xc0000082
#define MSR_PAT            0x277
#define CR4_OSFXSR         (1u << 9)
#define PM_TIMER           0x608
#define PM_HZ              3579545ull
#define LETTERS_MOST       8000u /* so many the console shows again */

enum { VECTOR_TICK = 0x46, VECTOR_PIT = 0x47, PIN_PIT = 2 };
enum { APIC_SPURIOUS = 0x0f0, APIC_LVT_TIMER = 0x320, APIC_INITIAL = 0x380, APIC_DIVIDE = 0x3e0 };
#define TIMER_PERIODIC 0x20000u
#define MASKED         0x10000u

static volatile unsigned woken;

/* On the second vCPU: sleeps, with interrupts on, until somebody sends one. */
static void sleep_once(void) {
    __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
    woken++;
}

static uint64_t word_of(uint64_t i) {
    return (i ^ 0x5bd1e995) * 0x9e3779b97f4a7c15ull;
}

static void fill_ram(void) {
    volatile uint64_t *ram = (volatile uint64_t *)(uintptr_t)RAM_FIRST;
    for (uint64_t i = 0; i < RAM_WORDS; i += 64) {
        ram[i] = word_of(i);
    }
}

static uint64_t wrong_words(void) {
    const volatile uint64_t *ram = (const volatile uint64_t *)(uintptr_t)RAM_FIRST;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < RAM_WORDS; i += 64) {
        wrong += ram[i] != word_of(i);
    }
    return wrong;
}

static void ioapic_write(uint32_t reg, uint32_t value) {
    *(volatile uint32_t *)(uintptr_t)0xfec00000 = reg;
    *(volatile uint32_t *)(uintptr_t)0xfec00010 = value;
}

/* The 8254 and the local APIC's timer, 100 interrupts a second each. */
static void timers_on(void) {
    ioapic_write(0x11 + 2 * PIN_PIT, 0);
    ioapic_write(0x10 + 2 * PIN_PIT, VECTOR_PIT);
    out8(0x43, 0x34);
    out8(0x40, (uint8_t)11932);
    out8(0x40, (uint8_t)(11932 >> 8));
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, TIMER_PERIODIC | VECTOR_TICK);
    apic_write(APIC_INITIAL, (uint32_t)(apic_timer_hz() / 100));
}

static void timers_off(void) {
    apic_write(APIC_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, MASKED);
    ioapic_write(0x10 + 2 * PIN_PIT, MASKED);
    out8(0x43, 0x30);
}

struct registers {
    uint64_t dr0, dr3, kernel_gs, lstar, pat, xmm[2];
};

static uint64_t read_msr(uint32_t msr) {
    uint64_t value = 0;
    (void)try_read_msr(msr, &value);
    return value;
}

static void registers_set(const struct registers *r) {
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr3" : : "r"(r->dr0), "r"(r->dr3));
    (void)try_write_msr(MSR_KERNEL_GS_BASE, r->kernel_gs);
    (void)try_write_msr(MSR_LSTAR, r->lstar);
    __asm__ volatile("movups %0, %%xmm7" : : "m"(r->xmm));
}

static unsigned registers_differ(const struct registers *r) {
    uint64_t dr0, dr3, xmm[2];
    __asm__ volatile("mov %%dr0, %0\n\tmov %%dr3, %1" : "=r"(dr0), "=r"(dr3));
    __asm__ volatile("movups %%xmm7, %0" : "=m"(xmm));
    return (dr0 != r->dr0) | (dr3 != r->dr3) << 1 |
           (read_msr(MSR_KERNEL_GS_BASE) != r->kernel_gs) << 2 |
           (read_msr(MSR_LSTAR) != r->lstar) << 3 | (read_msr(MSR_PAT) != r->pat) << 4 |
           (xmm[0] != r->xmm[0] || xmm[1] != r->xmm[1]) << 5;
}

/* Two clocks of different devices, the PM timer read between two reads of the TSC. */
struct moment {
    uint64_t before, after; /* TSC */
    uint32_t pm;
};

static struct moment moment_now(void) {
    struct moment m;
    m.before = read_tsc();
    m.pm = in32(PM_TIMER);
    m.after = read_tsc();
    return m;
}

static uint64_t milliseconds(uint64_t tsc_ticks) {
    return tsc_ticks * 1000 / machine.tsc_hz;
}

/* By the PM timer no less than between the inner ends, no more than between the outer ones. */
static bool clocks_agree(const struct moment *a, const struct moment *b) {
    uint64_t by_pm = (uint64_t)((b->pm - a->pm) & 0xffffff) * 1000 / PM_HZ;
    bool forth = a->before <= a->after && a->after <= b->before && b->before <= b->after;
    return forth && by_pm + 20 >= milliseconds(b->before - a->after) &&
           by_pm <= milliseconds(b->after - a->before) + 20;
}

/* What was seen until somebody typed. */
struct watched {
    unsigned wrong; /* so often the clocks disagreed */
    uint64_t gap;   /* the longest that no tick came, in milliseconds */
    uint64_t letters;
};

/* A letter each tick, the alphabet again and again: none may be lost or come twice. */
static void watch(struct watched *w) {
    struct moment last = moment_now();
    uint64_t ticks = irq_count[VECTOR_TICK], tick_at = last.before;

    *w = (struct watched){.wrong = 0};
    while (!char_waiting()) {
        interrupts_on();
        __asm__ volatile("nop");
        interrupts_off();
        struct moment now = moment_now();
        w->wrong += !clocks_agree(&last, &now);
        last = now;
        uint64_t gap = milliseconds(now.before - tick_at);
        w->gap = gap > w->gap ? gap : w->gap;
        if (irq_count[VECTOR_TICK] == ticks) {
            continue;
        }
        ticks = irq_count[VECTOR_TICK];
        tick_at = now.before;
        if (w->letters < LETTERS_MOST) {
            put_char((char)('a' + w->letters++ % 26));
        }
    }
    (void)get_char();
}

/*
 * Five more, within 5 s. As watch() and not as vcpu_wait_count(): after STI and PAUSE QEMU 7.2
 * seems to keep the interrupt shadow, so that CLI follows before anything comes in.
 */
static bool ticks_come(uint8_t vector) {
    uint64_t from = irq_count[vector], start = read_tsc();

    while (irq_count[vector] - from < 5 && read_tsc() - start < 5 * machine.tsc_hz) {
        interrupts_on();
        __asm__ volatile("nop");
        interrupts_off();
    }
    return irq_count[vector] - from >= 5;
}

void test_being_moved(void) {
    struct registers r = {.dr0 = 0x1234560,
                          .dr3 = 0x6543210,
                          .kernel_gs = 0x123456789000,
                          .lstar = 0xffff800012345000,
                          .xmm = {0x0123456789abcdef, 0xfedcba9876543210}};
    tap_line(vcpu_start(2), "the second vCPU comes up");
    uint64_t cr4 = read_cr4();
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSFXSR));
    r.pat = read_msr(MSR_PAT);
    fill_ram();
    woken = 0;
    vcpu_run(1, sleep_once);
    timers_on();
    registers_set(&r);
    uint64_t ticks = irq_count[VECTOR_TICK], pit = irq_count[VECTOR_PIT];

    struct watched w;
    put_text("# one half of a line: ");
    watch(&w);
    unsigned differ = registers_differ(&r);
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
    put_text(".\n# letters ");
    put_decimal(w.letters);
    put_char('\n');

    tap_line_value(differ == 0, "its registers are the same", differ);
    tap_line_value(wrong_words() == 0, "its memory is the same", wrong_words());
    tap_line_value(w.wrong == 0, "TSC and PM timer go together, and never back", w.wrong);
    tap_line_value(w.gap < 1000, "no timer of 10 ms was away for a second", w.gap);
    tap_line(irq_count[VECTOR_TICK] != ticks, "the local APIC's timer has ticked");
    tap_line(ticks_come(VECTOR_TICK), "and goes on");
    tap_line(irq_count[VECTOR_PIT] != pit && ticks_come(VECTOR_PIT), "so does the 8254");
    timers_off();
    tap_line_value(woken == 0, "the second vCPU has slept on", woken);
    tap_line(vcpu_wait(1), "a message wakes it");
    tap_line_value(woken == 1, "once", woken);
    vcpu_send(0, ICR_TO_ALL_OTHERS | ICR_INIT);
}
