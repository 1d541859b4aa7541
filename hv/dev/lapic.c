/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vCPU's local APIC: register file, priorities, timer, interrupt commands. Decides what may be
 * delivered; never touches another APIC (messages leave through ops). Called on the vCPU's own CPU
 * by the MMIO and MSR handlers and the event code; lapic_accept() and lapic_matches() from
 * anywhere. Source: Intel SDM vol. 3 "Advanced Programmable Interrupt Controller (APIC)". The
 * registers that a busy guest touches are x2APIC TPR, EOI, ICR and the timer: keep their path
 * short.
 */
#include "hv/dev/lapic.h"

/* Register numbers: the x2APIC MSR less 800h, or the offset in the xAPIC page divided by 16. */
#define REG_ID         0x02
#define REG_VERSION    0x03
#define REG_TPR        0x08
#define REG_PPR        0x0a
#define REG_EOI        0x0b
#define REG_LDR        0x0d
#define REG_DFR        0x0e
#define REG_SVR        0x0f
#define REG_ISR        0x10
#define REG_TMR        0x18
#define REG_IRR        0x20
#define REG_ESR        0x28
#define REG_ICR        0x30
#define REG_ICR_HIGH   0x31
#define REG_LVT        0x32 /* enum lapic_lvt from here on */
#define REG_LVT_END    (REG_LVT + LAPIC_LVTS)
#define REG_INITIAL    0x38
#define REG_CURRENT    0x39
#define REG_DIVIDE     0x3e
#define REG_SELF_IPI   0x3f
#define REG_COUNT      0x40
#define X2APIC_MSR     0x800u
#define REGS(from, to) (BIT(to) - BIT(from)) /* a bit for each register from .. to - 1 */

#define VERSION     (0x14u | (LAPIC_LVTS - 1u) << 16)
#define SVR_ENABLED BIT32(8)
#define SVR_MASK    0x3ffu

#define LVT_MASKED        BIT32(16)
#define LVT_STATUS        0x5000u /* delivery status and remote IRR: read-only */
#define TIMER_MODE(v)     ((v) >> 17 & 3)
#define TIMER_PERIODIC    1u
#define TIMER_DEADLINE    2u
#define TIMER_COUNTING(v) (TIMER_MODE(v) <= TIMER_PERIODIC)

#define ESR_SEND_VECTOR    BIT32(5)
#define ESR_RECEIVE_VECTOR BIT32(6)
#define ESR_REGISTER       BIT32(7)

#define DELIVER_FIXED  0
#define DELIVER_LOWEST 1
#define SHORTHAND_SELF 1
/* Vector, delivery and destination mode, level, trigger, shorthand; the status bit is ignored. */
#define ICR_LOW_MASK   0xccfffu
#define ICR_STATUS     BIT32(12)

#define BROADCAST       UINT32_MAX
#define XAPIC_BROADCAST 0xffu
#define VECTOR_FIRST    16

/* A guest cannot ask for periodic interrupts faster than this and so keep its CPU out of itself. */
#define TIMER_MIN_PERIOD_HZ 50000

static const uint32_t lvt_writable[LAPIC_LVTS] = {
    [LAPIC_LVT_TIMER] = 0x700ff, [LAPIC_LVT_THERMAL] = 0x107ff, [LAPIC_LVT_PERF] = 0x107ff,
    [LAPIC_LVT_LINT0] = 0x1a7ff, [LAPIC_LVT_LINT1] = 0x1a7ff,   [LAPIC_LVT_ERROR] = 0x100ff,
};

static const uint64_t x2apic_readable =
    REGS(REG_ID, REG_VERSION + 1) | BIT(REG_TPR) | BIT(REG_PPR) | BIT(REG_LDR) | BIT(REG_SVR) |
    REGS(REG_ISR, REG_ESR + 1) | BIT(REG_ICR) | REGS(REG_LVT, REG_CURRENT + 1) | BIT(REG_DIVIDE);

static const uint64_t x2apic_writable = BIT(REG_TPR) | BIT(REG_EOI) | BIT(REG_SVR) | BIT(REG_ESR) |
                                        BIT(REG_ICR) | REGS(REG_LVT, REG_INITIAL + 1) |
                                        BIT(REG_DIVIDE) | BIT(REG_SELF_IPI);

/* Bits that may be set in a write to an x2APIC register; any other is #GP. */
static const uint64_t x2apic_bits[REG_COUNT] = {
    [REG_TPR] = 0xff,
    [REG_EOI] = 0,
    [REG_SVR] = SVR_MASK,
    [REG_ESR] = 0,
    [REG_ICR] = 0xffffffff00000000 | ICR_LOW_MASK | ICR_STATUS,
    [REG_LVT + LAPIC_LVT_TIMER] = 0x700ff | LVT_STATUS,
    [REG_LVT + LAPIC_LVT_THERMAL] = 0x107ff | LVT_STATUS,
    [REG_LVT + LAPIC_LVT_PERF] = 0x107ff | LVT_STATUS,
    [REG_LVT + LAPIC_LVT_LINT0] = 0x1a7ff | LVT_STATUS,
    [REG_LVT + LAPIC_LVT_LINT1] = 0x1a7ff | LVT_STATUS,
    [REG_LVT + LAPIC_LVT_ERROR] = 0x100ff | LVT_STATUS,
    [REG_INITIAL] = UINT32_MAX,
    [REG_DIVIDE] = 0x0b,
    [REG_SELF_IPI] = 0xff,
};

static bool lapic_is_x2apic(const struct lapic *l) {
    return (l->apic_base & APIC_BASE_X2APIC) != 0;
}

static bool lapic_is_enabled(const struct lapic *l) {
    return (l->apic_base & APIC_BASE_ENABLE) != 0;
}

static uint64_t lapic_now(const struct lapic *l) {
    return l->clock->tsc(l->clock->ctx);
}

/* Highest set bit of eight words; words tells which of them to look at. -1 if there is none. */
static int lapic_highest(const uint32_t *bits, uint32_t words) {
    while (words != 0) {
        int w = 31 - __builtin_clz(words);
        uint32_t word = __atomic_load_n(&bits[w], __ATOMIC_RELAXED);
        if (LIKELY(word != 0)) {
            return w * 32 + 31 - __builtin_clz(word);
        }
        words &= ~BIT32(w);
    }
    return -1;
}

static void lapic_update_ppr(struct lapic *l) {
    int in_service = lapic_highest(l->isr, l->isr_words) & (l->isr_words != 0 ? 0xf0 : 0);
    l->ppr = (l->tpr & 0xf0) >= in_service ? l->tpr : (uint8_t)in_service;
}

static void lapic_notify(struct lapic *l) {
    if (__atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) != 0) {
        l->ops->changed(l->ctx);
    }
}

bool lapic_accept(struct lapic *l, uint8_t vector, bool level) {
    if (vector < VECTOR_FIRST || !lapic_is_enabled(l) ||
        (__atomic_load_n(&l->svr, __ATOMIC_RELAXED) & SVR_ENABLED) == 0) {
        return false;
    }
    unsigned w = vector / 32;
    uint32_t bit = BIT32(vector % 32);
    if (level) {
        __atomic_fetch_or(&l->tmr[w], bit, __ATOMIC_RELAXED);
    } else if ((__atomic_load_n(&l->tmr[w], __ATOMIC_RELAXED) & bit) != 0) {
        __atomic_fetch_and(&l->tmr[w], ~bit, __ATOMIC_RELAXED);
    }
    /* The word first, then the summary: lapic_acknowledge() looks in the opposite order. */
    uint32_t before = __atomic_fetch_or(&l->irr[w], bit, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
    return (before & bit) == 0;
}

/* A vector that this APIC sends to itself. */
static void lapic_raise(struct lapic *l, uint8_t vector) {
    if (lapic_accept(l, vector, false)) {
        l->ops->changed(l->ctx);
    }
}

static void lapic_error(struct lapic *l, uint32_t error) {
    uint32_t lvt = l->lvt[LAPIC_LVT_ERROR];
    l->esr_pending |= error;
    if ((lvt & LVT_MASKED) != 0) {
        return;
    }
    if ((lvt & 0xff) < VECTOR_FIRST) {
        l->esr_pending |= ESR_RECEIVE_VECTOR;
    } else {
        lapic_raise(l, (uint8_t)lvt);
    }
}

bool lapic_matches(const struct lapic *l, uint32_t destination, bool logical) {
    if (!lapic_is_enabled(l)) {
        return false;
    }
    if (destination == BROADCAST) {
        return true;
    }
    if (lapic_is_x2apic(l)) {
        return logical ? destination >> 16 == l->ldr >> 16 && (destination & l->ldr & 0xffff) != 0
                       : destination == l->id;
    }
    if (destination >= XAPIC_BROADCAST) {
        return destination == XAPIC_BROADCAST;
    }
    if (!logical) {
        return destination == l->id;
    }
    uint32_t ldr = l->ldr >> 24;
    if (l->dfr >> 28 == 0xf) {
        return (destination & ldr) != 0;
    }
    return destination >> 4 == ldr >> 4 && (destination & ldr & 0xf) != 0;
}

int lapic_pending(const struct lapic *l) {
    uint32_t words = __atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE);
    if (LIKELY(words == 0)) {
        return -1;
    }
    int vector = lapic_highest(l->irr, words);
    return vector >> 4 > l->ppr >> 4 ? vector : -1;
}

void lapic_acknowledge(struct lapic *l, uint8_t vector) {
    unsigned w = vector / 32;
    uint32_t bit = BIT32(vector % 32);
    if (__atomic_and_fetch(&l->irr[w], ~bit, __ATOMIC_SEQ_CST) == 0) {
        __atomic_fetch_and(&l->irr_words, ~BIT32(w), __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&l->irr[w], __ATOMIC_SEQ_CST) != 0) {
            __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
        }
    }
    l->isr[w] |= bit;
    l->isr_words |= BIT32(w);
    lapic_update_ppr(l);
}

static void lapic_write_eoi(struct lapic *l) {
    int vector = lapic_highest(l->isr, l->isr_words);
    if (vector < 0) {
        return;
    }
    unsigned w = (unsigned)vector / 32;
    uint32_t bit = BIT32((unsigned)vector % 32);
    l->isr[w] &= ~bit;
    if (l->isr[w] == 0) {
        l->isr_words &= ~BIT32(w);
    }
    lapic_update_ppr(l);
    if ((__atomic_load_n(&l->tmr[w], __ATOMIC_RELAXED) & bit) != 0) {
        l->ops->broadcast_eoi(l->ctx, (uint8_t)vector);
    }
    lapic_notify(l);
}

static void lapic_write_tpr(struct lapic *l, uint8_t value) {
    l->tpr = value;
    lapic_update_ppr(l);
    lapic_notify(l);
}

uint8_t lapic_cr8_read(const struct lapic *l) {
    return l->tpr >> 4;
}

void lapic_cr8_write(struct lapic *l, uint8_t cr8) {
    lapic_write_tpr(l, (uint8_t)(cr8 << 4));
}

/* Sends what ICR says. */
static void lapic_send(struct lapic *l) {
    uint32_t low = (uint32_t)l->icr, high = (uint32_t)(l->icr >> 32);
    struct lapic_icr icr = {
        .vector = (uint8_t)low,
        .delivery_mode = low >> 8 & 7,
        .logical = (low >> 11 & 1) != 0,
        .level_assert = (low >> 14 & 1) != 0,
        .level_trigger = (low >> 15 & 1) != 0,
        .shorthand = low >> 18 & 3,
        .destination = high,
    };
    if (!lapic_is_x2apic(l)) {
        icr.destination = high >> 24 == XAPIC_BROADCAST ? BROADCAST : high >> 24;
    }
    if (icr.delivery_mode <= DELIVER_LOWEST && icr.vector < VECTOR_FIRST) {
        lapic_error(l, ESR_SEND_VECTOR);
    } else if (icr.shorthand != SHORTHAND_SELF) {
        l->ops->send_ipi(l->ctx, &icr);
    } else if (icr.delivery_mode == DELIVER_FIXED) {
        lapic_raise(l, icr.vector);
    }
}

/* Timer. */

static unsigned lapic_divide_shift(const struct lapic *l) {
    uint32_t code = (l->timer_divide >> 1 & 4) | (l->timer_divide & 3);
    return (code + 1) & 7;
}

/* Guest TSC ticks in which the counter goes down by count. */
static uint64_t lapic_timer_span(const struct lapic *l, uint32_t count) {
    return mul_div_u64((uint64_t)count << lapic_divide_shift(l), l->clock->tsc_hz, LAPIC_TIMER_HZ);
}

static uint32_t lapic_timer_current(const struct lapic *l) {
    uint64_t now = lapic_now(l);
    if (l->timer_deadline == 0 || !TIMER_COUNTING(l->lvt[LAPIC_LVT_TIMER])) {
        return 0;
    }
    uint64_t span = now > l->timer_start ? now - l->timer_start : 0;
    uint64_t passed = mul_div_u64(span, LAPIC_TIMER_HZ, l->clock->tsc_hz) >> lapic_divide_shift(l);
    if (TIMER_MODE(l->lvt[LAPIC_LVT_TIMER]) == TIMER_PERIODIC) {
        passed %= l->timer_initial;
    }
    return passed < l->timer_initial ? l->timer_initial - (uint32_t)passed : 0;
}

static void lapic_timer_stop(struct lapic *l) {
    if (l->timer_deadline != 0) {
        l->timer_deadline = 0;
        l->ops->timer_arm(l->ctx, 0);
    }
}

/* Arms the timer for a count that began at start. */
static void lapic_timer_start(struct lapic *l, uint64_t start) {
    uint64_t span = lapic_timer_span(l, l->timer_initial);
    uint64_t deadline = span <= UINT64_MAX - start ? start + span : UINT64_MAX;
    if (TIMER_MODE(l->lvt[LAPIC_LVT_TIMER]) == TIMER_PERIODIC) {
        deadline = max_u64(deadline, lapic_now(l) + l->clock->tsc_hz / TIMER_MIN_PERIOD_HZ);
    }
    l->timer_start = start;
    l->timer_deadline = max_u64(deadline, 1);
    l->ops->timer_arm(l->ctx, l->timer_deadline);
}

void lapic_timer_expired(struct lapic *l) {
    uint64_t now = lapic_now(l);
    if (l->timer_deadline == 0) {
        return;
    }
    if (now < l->timer_deadline) {
        l->ops->timer_arm(l->ctx, l->timer_deadline);
        return;
    }
    uint32_t lvt = l->lvt[LAPIC_LVT_TIMER];
    if (TIMER_MODE(lvt) == TIMER_PERIODIC) {
        /* Periods that passed unseen are one interrupt, as they would be in the IRR. */
        uint64_t span = max_u64(lapic_timer_span(l, l->timer_initial), 1);
        lapic_timer_start(l, now - (now - l->timer_start) % span);
    } else {
        l->timer_deadline = 0;
    }
    if ((lvt & LVT_MASKED) != 0) {
        return;
    }
    if ((lvt & 0xff) < VECTOR_FIRST) {
        lapic_error(l, ESR_RECEIVE_VECTOR);
    } else {
        lapic_raise(l, (uint8_t)lvt);
    }
}

uint64_t lapic_deadline_read(const struct lapic *l) {
    return TIMER_MODE(l->lvt[LAPIC_LVT_TIMER]) == TIMER_DEADLINE ? l->timer_deadline : 0;
}

void lapic_deadline_write(struct lapic *l, uint64_t guest_tsc) {
    if (TIMER_MODE(l->lvt[LAPIC_LVT_TIMER]) == TIMER_DEADLINE) {
        l->timer_deadline = guest_tsc;
        l->ops->timer_arm(l->ctx, guest_tsc);
    }
}

static void lapic_write_initial(struct lapic *l, uint32_t value) {
    if (!TIMER_COUNTING(l->lvt[LAPIC_LVT_TIMER])) {
        return;
    }
    l->timer_initial = value;
    if (value == 0) {
        lapic_timer_stop(l);
    } else {
        lapic_timer_start(l, lapic_now(l));
    }
}

/* The count goes on from where it is, at the new pace. */
static void lapic_write_divide(struct lapic *l, uint32_t value) {
    uint32_t current = lapic_timer_current(l);
    l->timer_divide = value & 0x0b;
    if (l->timer_deadline != 0 && TIMER_COUNTING(l->lvt[LAPIC_LVT_TIMER])) {
        uint64_t now = lapic_now(l);
        uint64_t passed = lapic_timer_span(l, l->timer_initial - current);
        lapic_timer_start(l, now - min_u64(now, passed));
    }
}

static void lapic_write_lvt(struct lapic *l, unsigned index, uint32_t value) {
    uint32_t old = l->lvt[index];
    value &= lvt_writable[index];
    l->lvt[index] = (l->svr & SVR_ENABLED) != 0 ? value : value | LVT_MASKED;
    if (index == LAPIC_LVT_TIMER && TIMER_COUNTING(old) != TIMER_COUNTING(value)) {
        l->timer_initial = 0;
        lapic_timer_stop(l);
    }
}

static void lapic_write_svr(struct lapic *l, uint32_t value) {
    __atomic_store_n(&l->svr, value & SVR_MASK, __ATOMIC_RELAXED);
    if ((value & SVR_ENABLED) == 0) {
        for (unsigned i = 0; i < LAPIC_LVTS; i++) {
            l->lvt[i] |= LVT_MASKED;
        }
    }
}

/* Registers that both modes have; reg < REG_COUNT. */
static uint32_t lapic_read(const struct lapic *l, unsigned reg) {
    switch (reg) {
    case REG_ID:
        return lapic_is_x2apic(l) ? l->id : l->id << 24;
    case REG_VERSION:
        return VERSION;
    case REG_TPR:
        return l->tpr;
    case REG_PPR:
        return l->ppr;
    case REG_LDR:
        return l->ldr;
    case REG_DFR:
        return l->dfr;
    case REG_SVR:
        return l->svr;
    case REG_ESR:
        return l->esr;
    case REG_ICR:
        return (uint32_t)l->icr;
    case REG_ICR_HIGH:
        return (uint32_t)(l->icr >> 32);
    case REG_INITIAL:
        return l->timer_initial;
    case REG_CURRENT:
        return lapic_timer_current(l);
    case REG_DIVIDE:
        return l->timer_divide;
    default:
        break;
    }
    if (reg >= REG_ISR && reg < REG_TMR) {
        return l->isr[reg - REG_ISR];
    }
    if (reg >= REG_TMR && reg < REG_IRR) {
        return __atomic_load_n(&l->tmr[reg - REG_TMR], __ATOMIC_RELAXED);
    }
    if (reg >= REG_IRR && reg < REG_ESR) {
        return __atomic_load_n(&l->irr[reg - REG_IRR], __ATOMIC_RELAXED);
    }
    return reg >= REG_LVT && reg < REG_LVT_END ? l->lvt[reg - REG_LVT] : 0;
}

static void lapic_write(struct lapic *l, unsigned reg, uint32_t value) {
    switch (reg) {
    case REG_TPR:
        lapic_write_tpr(l, (uint8_t)value);
        break;
    case REG_EOI:
        lapic_write_eoi(l);
        break;
    case REG_SVR:
        lapic_write_svr(l, value);
        break;
    case REG_ESR:
        l->esr = l->esr_pending;
        l->esr_pending = 0;
        break;
    case REG_INITIAL:
        lapic_write_initial(l, value);
        break;
    case REG_DIVIDE:
        lapic_write_divide(l, value);
        break;
    default:
        if (reg >= REG_LVT && reg < REG_LVT_END) {
            lapic_write_lvt(l, reg - REG_LVT, value);
        }
        break;
    }
}

enum status lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value) {
    unsigned reg = msr - X2APIC_MSR;
    if (!lapic_is_x2apic(l) || reg >= REG_COUNT || (x2apic_readable >> reg & 1) == 0) {
        return STATUS_DENIED;
    }
    *value = reg == REG_ICR ? l->icr : lapic_read(l, reg);
    return STATUS_OK;
}

enum status lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value) {
    unsigned reg = msr - X2APIC_MSR;
    if (!lapic_is_x2apic(l) || reg >= REG_COUNT || (x2apic_writable >> reg & 1) == 0 ||
        (value & ~x2apic_bits[reg]) != 0) {
        return STATUS_DENIED;
    }
    if (reg == REG_ICR) {
        l->icr = value & ~(uint64_t)ICR_STATUS;
        lapic_send(l);
    } else if (reg == REG_SELF_IPI) {
        if (value < VECTOR_FIRST) {
            lapic_error(l, ESR_SEND_VECTOR);
        } else {
            lapic_raise(l, (uint8_t)value);
        }
    } else {
        lapic_write(l, reg, (uint32_t)value);
    }
    return STATUS_OK;
}

/* True in xAPIC mode with a register there at all; what is missing is noted in ESR. */
static bool lapic_mmio_check(struct lapic *l, uint64_t reg) {
    const uint64_t registers = REGS(REG_ID, REG_VERSION + 1) | REGS(REG_TPR, REG_ESR + 1) |
                               REGS(REG_ICR, REG_CURRENT + 1) | BIT(REG_DIVIDE);
    if (!lapic_is_enabled(l) || lapic_is_x2apic(l)) {
        return false;
    }
    if (reg >= REG_COUNT || (registers >> reg & 1) == 0) {
        lapic_error(l, ESR_REGISTER);
        return false;
    }
    return true;
}

uint64_t lapic_mmio_read(struct lapic *l, uint64_t offset, unsigned size) {
    unsigned byte = offset & 0xf;
    if (byte >= 4 || !lapic_mmio_check(l, offset >> 4)) {
        return 0;
    }
    uint64_t value = lapic_read(l, (unsigned)(offset >> 4)) >> (8 * byte);
    return size < 4 ? value & (BIT(8 * size) - 1) : value;
}

void lapic_mmio_write(struct lapic *l, uint64_t offset, unsigned size, uint64_t value) {
    /* Registers are written whole, at the start of their 16 bytes. */
    if ((offset & 0xf) != 0 || size < 4 || !lapic_mmio_check(l, offset >> 4)) {
        return;
    }
    unsigned reg = (unsigned)(offset >> 4);
    uint32_t word = (uint32_t)value;
    switch (reg) {
    case REG_LDR:
        l->ldr = word & 0xff000000;
        break;
    case REG_DFR:
        l->dfr = word | 0x0fffffff;
        break;
    case REG_ICR_HIGH:
        l->icr = (uint32_t)l->icr | (uint64_t)(word & 0xff000000) << 32;
        break;
    case REG_ICR:
        l->icr = (l->icr & ~(uint64_t)UINT32_MAX) | (word & ICR_LOW_MASK);
        lapic_send(l);
        break;
    default:
        lapic_write(l, reg, word);
        break;
    }
}

/* Everything but id and apic_base to its power-up value. */
static void lapic_clear(struct lapic *l) {
    lapic_timer_stop(l);
    for (unsigned i = 0; i < ARRAY_SIZE(l->irr); i++) {
        l->irr[i] = l->isr[i] = l->tmr[i] = 0;
    }
    l->irr_words = l->isr_words = 0;
    l->tpr = l->ppr = 0;
    l->ldr = l->esr = l->esr_pending = 0;
    l->dfr = UINT32_MAX;
    l->svr = 0xff;
    l->icr = 0;
    for (unsigned i = 0; i < LAPIC_LVTS; i++) {
        l->lvt[i] = LVT_MASKED;
    }
    l->timer_initial = l->timer_divide = 0;
    l->timer_start = 0;
}

void lapic_reset(struct lapic *l, uint32_t id, bool bsp) {
    lapic_clear(l);
    l->id = id;
    l->apic_base = LAPIC_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
}

/* SDM vol. 3 "x2APIC State Transitions". */
enum status lapic_base_write(struct lapic *l, uint64_t value) {
    const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    uint64_t from = l->apic_base & mode, to = value & mode;
    if ((value & ~(mode | APIC_BASE_BSP)) != LAPIC_BASE || to == APIC_BASE_X2APIC ||
        (from == mode && to == APIC_BASE_ENABLE) || (from == 0 && to == mode)) {
        return STATUS_DENIED;
    }
    /* Which CPU is the BSP is not for the guest to change. */
    l->apic_base = LAPIC_BASE | to | (l->apic_base & APIC_BASE_BSP);
    if (from != to) {
        if (to == 0) {
            lapic_clear(l);
        } else if (to == mode) {
            l->icr = 0;
            l->ldr = (l->id & ~0xfu) << 12 | BIT32(l->id & 0xf);
        }
    }
    return STATUS_OK;
}
