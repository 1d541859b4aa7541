/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vCPU's local APIC: register file, priorities, timer, interrupt commands. Decides what may be
 * delivered; never touches another APIC (messages leave through ops). Called on the vCPU's own CPU
 * by the MMIO and MSR handlers and the event code; lapic_accept(), lapic_matches() and what only
 * looks from anywhere. LVT interrupts are edges. Source: Intel SDM vol. 3 "Advanced
 * Programmable Interrupt Controller (APIC)". The registers that a busy guest touches are x2APIC
 * TPR, EOI, ICR and the timer: keep their path short.
 */
#include "hv/vm/lapic.h"

#include "hv/vm/lapic_regs.h"

/* A bit of IRR, ISR or TMR. */
struct lapic_bit {
    size_t word; /* of eight */
    uint32_t number;
};

/* The highest set bit of eight words; words tells which of them to look at. False if none is. */
static inline __attribute__((always_inline)) bool
lapic_find_highest(const uint32_t (*bits)[4], uint32_t words, struct lapic_bit *found) {
    while (words != 0) {
        uint32_t w = 31 ^ (uint32_t)__builtin_clz(words);
        uint32_t word = __atomic_load_n(&bits[w][0], __ATOMIC_RELAXED);
        if (LIKELY(word != 0)) {
            found->word = w;
            found->number = 31 ^ (uint32_t)__builtin_clz(word);
            return true;
        }
        words &= ~BIT32(w);
    }
    return false;
}

/* The same as a vector, or LAPIC_NONE. */
static inline __attribute__((always_inline)) int lapic_highest(const uint32_t (*bits)[4],
                                                               uint32_t words) {
    struct lapic_bit bit;
    bool found = lapic_find_highest(bits, words, &bit);
    return found ? (int)((uint32_t)bit.word * 32 | bit.number) : LAPIC_NONE;
}

static inline __attribute__((always_inline)) void lapic_update_ppr(struct lapic *l) {
    int highest = lapic_highest(&l->reg[REG_ISR], l->isr_words);
    uint32_t in_service = highest < 0 ? 0 : (uint32_t)highest & 0xf0;
    uint32_t tpr = l->reg[REG_TPR][0];
    l->reg[REG_PPR][0] = (tpr & 0xf0) >= in_service ? tpr : in_service;
}

/* Notes an error; the first of its kind is an interrupt, if that is not masked. */
static bool lapic_error(struct lapic *l, enum lapic_error error) {
    uint32_t before = __atomic_fetch_or(&l->errors, error, __ATOMIC_RELAXED);
    uint32_t lvt = __atomic_load_n(&l->reg[REG_LVT_ERROR][0], __ATOMIC_RELAXED);
    return (before & error) == 0 && (lvt & LVT_MASKED) == 0 && lapic_accept(l, (uint8_t)lvt, false);
}

/* In the TMR, whose bit for this vector is the other way. */
static __attribute__((noinline)) void lapic_set_level(struct lapic *l, uint8_t vector, bool level) {
    uint32_t *tmr = &l->reg[REG_TMR + vector / 32][0];
    if (level) {
        __atomic_fetch_or(tmr, BIT32(vector % 32), __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_and(tmr, ~BIT32(vector % 32), __ATOMIC_RELAXED);
    }
    if (l->hardware) {
        __atomic_fetch_or(&l->irr_words, BIT32(vector / 32) << LEVELS_SHIFT, __ATOMIC_SEQ_CST);
    }
}

static inline bool lapic_is_level(const struct lapic *l, uint8_t vector) {
    uint32_t tmr = __atomic_load_n(&l->reg[REG_TMR + vector / 32][0], __ATOMIC_RELAXED);
    return (tmr & BIT32(vector % 32)) != 0;
}

/* lapic_accept() of a vector that is no error. */
static inline __attribute__((always_inline)) bool lapic_set(struct lapic *l, uint8_t vector,
                                                            bool level) {
    size_t w = vector / 32;
    uint32_t bit = BIT32(vector % 32);
    if (UNLIKELY(lapic_is_level(l, vector) != level)) {
        lapic_set_level(l, vector, level);
    }
    /* The word first, then the summary: lapic_acknowledge() looks in the opposite order. */
    uint32_t *irr = UNLIKELY(l->hardware) ? &l->posted[w] : &l->reg[REG_IRR + w][0];
    uint32_t before = __atomic_fetch_or(irr, bit, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
    return (before & bit) == 0;
}

bool lapic_accept(struct lapic *l, uint8_t vector, bool level) {
    if (UNLIKELY(!lapic_listens(l) || vector < VECTOR_FIRST)) {
        return lapic_listens(l) && lapic_error(l, ERROR_RECEIVE);
    }
    return lapic_set(l, vector, level);
}

bool lapic_post(struct lapic *l, uint8_t vector, bool *notify) {
    uint32_t bit = BIT32(vector % 32);
    if (!lapic_listens(l) || vector < VECTOR_FIRST || lapic_is_level(l, vector)) {
        return false;
    }
    /* The bit first: whoever takes them looks in the opposite order. */
    __atomic_fetch_or(&l->descriptor.requests[vector / 32], bit, __ATOMIC_SEQ_CST);
    uint64_t before = __atomic_fetch_or(&l->descriptor.notify, LAPIC_NOTIFIED, __ATOMIC_SEQ_CST);
    *notify = (before & LAPIC_NOTIFIED) == 0;
    return true;
}

bool lapic_expect_posts(struct lapic *l, uint8_t vector) {
    bool is_level = lapic_is_level(l, vector);
    if (is_level) {
        lapic_set_level(l, vector, false);
    }
    return is_level;
}

/* A vector that this APIC sends to itself. */
static void lapic_raise(struct lapic *l, uint8_t vector) {
    if (lapic_accept(l, vector, false)) {
        l->ops->changed(l->ctx);
    }
}

int lapic_pending(const struct lapic *l) {
    if (UNLIKELY(l->hardware)) {
        return lapic_hardware_pending(l);
    }
    int vector = lapic_highest(&l->reg[REG_IRR], __atomic_load_n(&l->irr_words, __ATOMIC_ACQUIRE));
    if (vector >> 4 <= (int)(l->reg[REG_PPR][0] >> 4)) {
        return LAPIC_NONE;
    }
    bool held = l->cr8 != NULL && vector >> 4 <= *l->cr8;
    return UNLIKELY(held) ? LAPIC_HELD : vector;
}

void lapic_watch_cr8(struct lapic *l, bool on) {
    if (l->cr8_watched != on) {
        l->cr8_watched = on;
        l->ops->watch_cr8(l->ctx, on);
    }
}

/* Clears a bit of the IRR, to which other CPUs may write. */
static inline __attribute__((always_inline)) void lapic_clear_irr(struct lapic *l, size_t w,
                                                                  uint32_t bit) {
    uint32_t *irr = &l->reg[REG_IRR + w][0];
    if (__atomic_and_fetch(irr, ~bit, __ATOMIC_SEQ_CST) == 0) {
        __atomic_fetch_and(&l->irr_words, ~BIT32(w), __ATOMIC_SEQ_CST);
        if (__atomic_load_n(irr, __ATOMIC_SEQ_CST) != 0) {
            __atomic_fetch_or(&l->irr_words, BIT32(w), __ATOMIC_SEQ_CST);
        }
    }
}

void lapic_acknowledge(struct lapic *l, uint8_t vector) {
    size_t w = vector / 32;
    uint32_t bit = BIT32(vector % 32);
    if (l->hardware) {
        l->reg[REG_IRR + w][0] &= ~bit; /* what others send is posted */
    } else {
        lapic_clear_irr(l, w, bit);
        l->isr_words |= BIT32(w);
    }
    l->reg[REG_ISR + w][0] |= bit;
    l->reg[REG_PPR][0] = vector & 0xf0; /* it was above TPR and all that is in service */
}

/* What waits may have become deliverable by what the guest did. */
static inline __attribute__((always_inline)) void lapic_look(struct lapic *l) {
    if (__atomic_load_n(&l->irr_words, __ATOMIC_RELAXED) != 0 || l->hardware) {
        l->ops->changed(l->ctx);
    }
}

/* TPR has changed. */
static inline __attribute__((always_inline)) void lapic_recheck(struct lapic *l) {
    lapic_update_ppr(l);
    lapic_look(l);
}

static inline __attribute__((always_inline)) void lapic_end(struct lapic *l, bool look) {
    struct lapic_bit at;
    if (!lapic_find_highest(&l->reg[REG_ISR], l->isr_words, &at)) {
        return;
    }
    uint32_t bit = BIT32(at.number);
    uint32_t levels = __atomic_load_n(&l->reg[REG_TMR + at.word][0], __ATOMIC_RELAXED);
    uint32_t *isr = &l->reg[REG_ISR + at.word][0];
    *isr &= ~bit;
    if (LIKELY(*isr == 0) && !l->hardware) {
        l->isr_words &= ~BIT32(at.word);
    }
    lapic_update_ppr(l);
    if (UNLIKELY((levels & bit) != 0)) {
        l->ops->broadcast_eoi(l->ctx, (uint8_t)(at.word * 32 | at.number));
    }
    if (look) {
        lapic_look(l);
    }
}

void lapic_pv_eoi_settle(struct lapic *l) {
    uint32_t before = __atomic_fetch_and(l->pv_eoi, ~PV_EOI_PENDING, __ATOMIC_RELAXED);
    l->pv_eoi_offered = false;
    if ((before & PV_EOI_PENDING) == 0) {
        lapic_end(l, false); /* the highest: nothing was delivered since */
    }
}

static inline __attribute__((always_inline)) void lapic_write_eoi(struct lapic *l) {
    if (UNLIKELY(l->pv_eoi_offered)) {
        lapic_pv_eoi_settle(l);
    }
    lapic_end(l, true);
}

static void lapic_report(struct lapic *l, enum lapic_error error) {
    if (lapic_error(l, error)) {
        l->ops->changed(l->ctx);
    }
}

static void lapic_send(struct lapic *l, uint32_t command, uint32_t high) {
    struct apic_message message = apic_message((uint64_t)high << 32 | command);
    if (lapic_is_x2apic(l)) {
        message.destination = high;
    }
    message.level = false; /* whatever the command says: SDM vol. 3 "Interrupt Command Register" */
    if (UNLIKELY(message.vector < VECTOR_FIRST) && apic_delivers_vector(message.delivery_mode)) {
        lapic_report(l, ERROR_SEND);
    }
    if (message.delivery_mode == APIC_INIT && (command & COMMAND_ASSERT) == 0) {
        return; /* level de-assert: only for APICs of long ago */
    }
    if (message.shorthand != APIC_SELF) {
        l->ops->send_ipi(l->ctx, &message);
    } else if (message.delivery_mode == APIC_FIXED) {
        lapic_raise(l, message.vector);
    }
}

/* For a valid vector the same as an interrupt command to itself, without making a message of it. */
static inline void lapic_write_self_ipi(struct lapic *l, uint8_t vector) {
    if (UNLIKELY(!lapic_listens(l) || vector < VECTOR_FIRST)) {
        lapic_send(l, APIC_SELF << 18 | vector, 0);
    } else if (lapic_set(l, vector, false)) {
        l->ops->changed(l->ctx);
    }
}

/*
 * Where the CPU keeps CR8 it does not clear TPR[3:0] with it. So writes of it exit while that is
 * not 0.
 */
static inline void lapic_write_tpr(struct lapic *l, uint32_t value) {
    if (l->cr8 != NULL) {
        *l->cr8 = (uint8_t)(value >> 4);
        value &= 0xf;
        if (LIKELY((value | l->reg[REG_TPR][0]) == 0)) {
            lapic_look(l); /* the register file's PPR stays as it is */
            return;
        }
        if (value != 0) {
            lapic_watch_cr8(l, true);
        }
    }
    l->reg[REG_TPR][0] = value;
    lapic_recheck(l);
}

static inline uint32_t lapic_read_tpr(const struct lapic *l) {
    uint32_t tpr = l->reg[REG_TPR][0];
    return l->cr8 != NULL ? tpr | (uint32_t)*l->cr8 << 4 : tpr;
}

/* Of the register file's PPR only the class in service counts, if the CPU keeps CR8. */
static uint32_t lapic_read_ppr(const struct lapic *l) {
    uint32_t tpr = lapic_read_tpr(l);
    uint32_t ppr = l->reg[REG_PPR][0];
    bool tpr_counts = l->cr8 != NULL && (tpr & 0xf0) >= (ppr & 0xf0);
    return tpr_counts ? tpr : ppr;
}

uint8_t lapic_cr8_read(const struct lapic *l) {
    return (uint8_t)(lapic_read_tpr(l) >> 4);
}

/* What CR8 holds back still, it holds back without anybody looking. */
void lapic_cr8_write(struct lapic *l, uint8_t value) {
    if (l->cr8 == NULL) {
        lapic_write_tpr(l, (uint32_t)value << 4);
        return;
    }
    *l->cr8 = value;
    l->reg[REG_TPR][0] = 0;
    lapic_update_ppr(l);

    int vector = lapic_pending(l);
    lapic_watch_cr8(l, vector == LAPIC_HELD);
    if (vector != LAPIC_HELD) {
        l->ops->changed(l->ctx);
    }
}

/* Timer. A count is measured modulo 2^64, so that it goes on when the guest sets its TSC. */

static bool lapic_timer_counts(const struct lapic *l) {
    return l->timer_mode == TIMER_ONE_SHOT || l->timer_mode == TIMER_PERIODIC;
}

/* Guest TSC ticks in which the counter goes down by count. */
static uint64_t lapic_timer_span(const struct lapic *l, uint32_t count) {
    return mul_div_u64((uint64_t)count << l->timer_divide, l->clock.tsc_hz, LAPIC_TIMER_HZ);
}

static uint32_t lapic_timer_current(const struct lapic *l) {
    if (l->timer_deadline == 0 || !lapic_timer_counts(l)) {
        return 0;
    }
    uint32_t initial = l->reg[REG_INITIAL][0];
    uint64_t ticks = clock_now(&l->clock) - l->timer_start;
    uint64_t passed = mul_div_u64(ticks, LAPIC_TIMER_HZ, l->clock.tsc_hz) >> l->timer_divide;
    passed = l->timer_mode == TIMER_PERIODIC ? passed % initial : passed;
    return passed < initial ? initial - (uint32_t)passed : 0;
}

/* 0 stops the timer. */
static void lapic_timer_arm(struct lapic *l, uint64_t deadline) {
    l->timer_deadline = deadline;
    l->ops->timer_arm(l->ctx, deadline);
}

/* Arms the timer for a count that began at start. */
static void lapic_timer_start(struct lapic *l, uint64_t start) {
    uint64_t deadline = start + lapic_timer_span(l, l->reg[REG_INITIAL][0]);
    if (l->timer_mode == TIMER_PERIODIC) {
        deadline = max_u64(deadline, clock_now(&l->clock) + l->clock.tsc_hz / TIMER_MIN_PERIOD_HZ);
    }
    l->timer_start = start;
    lapic_timer_arm(l, max_u64(deadline, 1));
}

void lapic_timer_expired(struct lapic *l) {
    uint64_t now = clock_now(&l->clock);
    if (l->timer_deadline == 0 || now < l->timer_deadline) {
        l->ops->timer_arm(l->ctx, l->timer_deadline);
        return;
    }
    l->timer_deadline = 0;
    if (l->timer_mode == TIMER_PERIODIC) {
        /* Periods that passed unseen are one interrupt, as they would be in the IRR. */
        uint64_t span = max_u64(lapic_timer_span(l, l->reg[REG_INITIAL][0]), 1);
        lapic_timer_start(l, now - (now - l->timer_start) % span);
    }
    if ((l->timer_entry & LVT_MASKED) == 0) {
        lapic_raise(l, (uint8_t)l->timer_entry);
    }
}

/*
 * What is due has happened, be the host's interrupt still on its way: before the guest changes what
 * the timer does, or sees that it has ended. Else a count that ended would go on in another mode,
 * or its interrupt be lost, or come with another vector.
 */
static void lapic_timer_catch_up(struct lapic *l) {
    if (l->timer_deadline != 0 && clock_now(&l->clock) >= l->timer_deadline) {
        lapic_timer_expired(l);
    }
}

void lapic_tsc_changed(struct lapic *l, uint64_t delta) {
    lapic_timer_catch_up(l);
    l->clock.offset += delta;
    if (l->timer_deadline != 0 && lapic_timer_counts(l)) {
        lapic_timer_start(l, l->timer_start + delta);
    } else {
        lapic_timer_arm(l, l->timer_deadline);
    }
}

uint64_t lapic_deadline_read(struct lapic *l) {
    lapic_timer_catch_up(l);
    return l->timer_mode == TIMER_DEADLINE ? l->timer_deadline : 0;
}

void lapic_deadline_write(struct lapic *l, uint64_t guest_tsc) {
    if (l->timer_mode == TIMER_DEADLINE) {
        lapic_timer_catch_up(l);
        lapic_timer_arm(l, guest_tsc);
    }
}

static void lapic_write_initial(struct lapic *l, uint32_t value) {
    bool counts = lapic_timer_counts(l);
    lapic_timer_catch_up(l);
    l->reg[REG_INITIAL][0] = counts ? value : 0;
    if (counts && value != 0) {
        lapic_timer_start(l, clock_now(&l->clock));
    } else if (counts) {
        lapic_timer_arm(l, 0);
    }
}

/* The count goes on from where it is, at the new pace. */
static void lapic_write_divide(struct lapic *l, uint32_t value) {
    lapic_timer_catch_up(l);
    uint32_t passed = l->reg[REG_INITIAL][0] - lapic_timer_current(l);
    l->reg[REG_DIVIDE][0] = value;
    l->timer_divide = ((value >> 1 & 4) + (value & 3) + 1) & 7;
    if (l->timer_deadline != 0 && lapic_timer_counts(l)) {
        lapic_timer_start(l, clock_now(&l->clock) - lapic_timer_span(l, passed));
    }
}

static void lapic_take_timer_entry(struct lapic *l) {
    l->timer_entry = l->reg[REG_LVT_TIMER][0];
    l->timer_mode = l->timer_entry >> 17 & 3;
}

static void lapic_write_lvt(struct lapic *l, unsigned reg, uint32_t value) {
    bool counted = lapic_timer_counts(l);
    lapic_timer_catch_up(l);
    value &= ~LVT_STATUS;
    l->ops->changed(l->ctx); /* LINT0 may let through what waits at it */
    l->reg[reg][0] = (l->reg[REG_SVR][0] & SVR_ENABLED) != 0 ? value : value | LVT_MASKED;
    lapic_take_timer_entry(l);
    if (counted != lapic_timer_counts(l)) {
        l->reg[REG_INITIAL][0] = 0;
        lapic_timer_arm(l, 0);
    }
}

static void lapic_write_svr(struct lapic *l, uint32_t value) {
    lapic_timer_catch_up(l);
    __atomic_store_n(&l->reg[REG_SVR][0], value, __ATOMIC_RELAXED);
    l->ops->addressed(l->ctx);
    for (unsigned reg = REG_LVT_TIMER; reg <= REG_LVT_ERROR; reg++) {
        l->reg[reg][0] |= (value & SVR_ENABLED) != 0 ? 0 : LVT_MASKED;
    }
    lapic_take_timer_entry(l);
}

/* value has only writable bits; what is not there, or read-only, ignores it. */
static __attribute__((noinline)) void lapic_write_other(struct lapic *l, unsigned reg,
                                                        uint32_t value) {
    if (reg == REG_ICR) {
        l->reg[REG_ICR][0] = value & ~ICR_STATUS;
        lapic_send(l, value, l->reg[REG_ICR_HIGH][0]);
    } else if (reg == REG_INITIAL) {
        lapic_write_initial(l, value);
    } else if (reg == REG_DIVIDE) {
        lapic_write_divide(l, value);
    } else if (reg == REG_SVR) {
        lapic_write_svr(l, value);
    } else if (reg == REG_ESR) {
        l->reg[REG_ESR][0] = __atomic_exchange_n(&l->errors, 0, __ATOMIC_RELAXED);
    } else if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        lapic_write_lvt(l, reg, value);
    } else if (reg == REG_LDR || reg == REG_DFR || reg == REG_ICR_HIGH) {
        l->reg[reg][0] = value | (reg == REG_DFR ? 0x0fffffff : 0); /* its reserved bits are ones */
        if (reg != REG_ICR_HIGH) {
            l->ops->addressed(l->ctx);
        }
    }
}

/* The two that are written at every interrupt come first. */
static inline void lapic_write(struct lapic *l, unsigned reg, uint32_t value) {
    if (reg == REG_EOI) {
        lapic_write_eoi(l);
    } else if (reg == REG_TPR) {
        lapic_write_tpr(l, value);
    } else {
        lapic_write_other(l, reg, value);
    }
}

/* A register as the xAPIC has it; reg < LAPIC_REGISTERS. */
static uint32_t lapic_read(struct lapic *l, unsigned reg) {
    if (reg == REG_TPR) {
        return lapic_read_tpr(l);
    }
    if (UNLIKELY(l->pv_eoi_offered)) {
        lapic_pv_eoi_settle(l);
    }
    if (UNLIKELY(reg == REG_CURRENT)) {
        lapic_timer_catch_up(l);
        return lapic_timer_current(l);
    }
    if (UNLIKELY(reg == REG_PPR)) {
        return lapic_read_ppr(l);
    }
    return __atomic_load_n(&l->reg[reg][0], __ATOMIC_RELAXED);
}

enum status lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value) {
    unsigned reg = msr - X2APIC_MSR;
    if (UNLIKELY(!lapic_is_x2apic(l) || reg >= LAPIC_REGISTERS ||
                 (X2APIC_READABLE >> reg & 1) == 0)) {
        return STATUS_DENIED;
    }
    *value = lapic_read(l, reg);
    if (UNLIKELY(reg == REG_ICR)) {
        *value |= (uint64_t)l->reg[REG_ICR_HIGH][0] << 32;
    }
    return STATUS_OK;
}

static enum status lapic_msr_eoi(struct lapic *l, UNUSED unsigned reg, UNUSED uint64_t value) {
    lapic_write_eoi(l);
    return STATUS_OK;
}

static enum status lapic_msr_self_ipi(struct lapic *l, UNUSED unsigned reg, uint64_t value) {
    lapic_write_self_ipi(l, (uint8_t)value);
    return STATUS_OK;
}

static enum status lapic_msr_other(struct lapic *l, unsigned reg, uint64_t value) {
    if (reg == REG_ICR) {
        l->reg[REG_ICR_HIGH][0] = (uint32_t)(value >> 32);
    }
    lapic_write(l, reg, (uint32_t)value);
    return STATUS_OK;
}

/* By register; all others cannot be written. */
static enum status (*const lapic_msr_writers[LAPIC_REGISTERS])(struct lapic *l, unsigned reg,
                                                               uint64_t value) = {
    [REG_TPR] = lapic_msr_other,         [REG_EOI] = lapic_msr_eoi,
    [REG_SVR] = lapic_msr_other,         [REG_ESR] = lapic_msr_other,
    [REG_ICR] = lapic_msr_other,         [REG_LVT_TIMER] = lapic_msr_other,
    [REG_LVT_THERMAL] = lapic_msr_other, [REG_LVT_PERFORMANCE] = lapic_msr_other,
    [REG_LVT_LINT0] = lapic_msr_other,   [REG_LVT_LINT1] = lapic_msr_other,
    [REG_LVT_ERROR] = lapic_msr_other,   [REG_INITIAL] = lapic_msr_other,
    [REG_DIVIDE] = lapic_msr_other,      [REG_SELF_IPI] = lapic_msr_self_ipi,
};

enum status lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value) {
    unsigned reg = msr - X2APIC_MSR;
    if (UNLIKELY(!lapic_is_x2apic(l) || reg >= LAPIC_REGISTERS || lapic_msr_writers[reg] == NULL ||
                 (value & ~writable_bits[reg]) != 0)) {
        return STATUS_DENIED;
    }
    return lapic_msr_writers[reg](l, reg, value);
}

static bool lapic_has(struct lapic *l, uint64_t reg) {
    bool has = reg < LAPIC_REGISTERS && (XAPIC_REGISTERS >> reg & 1) != 0;
    if (UNLIKELY(!has)) {
        lapic_report(l, ERROR_REGISTER);
    }
    return has;
}

uint64_t lapic_mmio_read(struct lapic *l, uint64_t offset) {
    unsigned reg = (unsigned)(offset >> 4), byte = offset & 0xf;
    return lapic_has(l, reg) && byte < 4 ? lapic_read(l, reg) >> (8 * byte) : 0;
}

void lapic_mmio_write(struct lapic *l, uint64_t offset, unsigned size, uint64_t value) {
    uint64_t reg = offset >> 4;
    /* Registers are written whole, at the start of their 16 bytes. */
    if (lapic_has(l, reg) && (offset & 0xf) == 0 && size >= 4) {
        lapic_write(l, (unsigned)reg, (uint32_t)(value & writable_bits[reg]));
    }
}

void lapic_written(struct lapic *l, uint32_t offset) {
    unsigned reg = offset >> 4;
    if (reg == REG_ID) {
        l->reg[REG_ID][0] = l->id << 24; /* read-only, but the CPU does not know */
    } else if (reg == REG_SELF_IPI) {
        lapic_raise(l, (uint8_t)l->reg[REG_SELF_IPI][0]);
    } else if (reg < LAPIC_REGISTERS) {
        lapic_write(l, reg, l->reg[reg][0] & (uint32_t)writable_bits[reg]);
    }
}
