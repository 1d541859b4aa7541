/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's registers by number, and the bits in them; for lapic*.c, and for
 * request.c, which chooses among several.
 * Source: Intel SDM vol. 3 "Local APIC Register Address Map", "x2APIC Register Address Space".
 */
#pragma once

#include "hv/vm/lapic.h"

/* Register numbers: the x2APIC MSR less 800h, or the offset in the xAPIC page divided by 16. */
enum lapic_register {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_ARBITRATION = 0x09, /* older CPUs' */
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_REMOTE_READ = 0x0c, /* older CPUs' */
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10, /* the first of eight; so are the next two */
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_THERMAL = 0x33,
    REG_LVT_PERFORMANCE = 0x34,
    REG_LVT_LINT0 = 0x35,
    REG_LVT_LINT1 = 0x36,
    REG_LVT_ERROR = 0x37,
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
};
#define COMMAND_ASSERT BIT32(14)
#define X2APIC_MSR     0x800u

#define PV_EOI_PENDING BIT32(0) /* of the guest's word: no EOI yet */

#define VERSION     (0x14u | (REG_LVT_ERROR - REG_LVT_TIMER) << 16)
#define SVR_ENABLED BIT32(8)
#define SVR_RESET   0xffu

#define LVT_MASKED BIT32(16)
#define LVT_STATUS 0x5000u /* delivery status and remote IRR: read-only */
#define ICR_STATUS BIT32(12)

enum lapic_error { ERROR_SEND = BIT32(5), ERROR_RECEIVE = BIT32(6), ERROR_REGISTER = BIT32(7) };

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE }; /* the first two count */

#define DFR_FLAT        0xfu /* the model, in bits 31 to 28 */
#define BROADCAST       UINT32_MAX
#define XAPIC_BROADCAST 0xffu
#define VECTOR_FIRST    16
#define ALL_WORDS       0xffu /* of IRR, ISR, TMR */
#define LEVELS_SHIFT    8     /* irr_words, with hardware: so far up stand the TMR's words */

#define X2APIC_READABLE                                                                            \
    (BITS(REG_ID, REG_VERSION) | BIT(REG_TPR) | BIT(REG_PPR) | BIT(REG_LDR) | BIT(REG_SVR) |       \
     BITS(REG_ISR, REG_ESR) | BIT(REG_ICR) | BITS(REG_LVT_TIMER, REG_CURRENT) | BIT(REG_DIVIDE))
/* The xAPIC's, those of older CPUs (arbitration priority, remote read) included. */
#define XAPIC_REGISTERS                                                                            \
    (X2APIC_READABLE | BIT(REG_ARBITRATION) | BIT(REG_EOI) | BIT(REG_REMOTE_READ) | BIT(REG_DFR) | \
     BIT(REG_ICR_HIGH))
/* What a CPU with APIC virtualization does alone. It finds the ICR whole, which is in two places
 * here, and a current count nowhere. */
#define VIRTUAL_READS  (X2APIC_READABLE & ~(BIT(REG_ICR) | BIT(REG_CURRENT)))
#define VIRTUAL_WRITES (BIT(REG_TPR) | BIT(REG_EOI) | BIT(REG_SELF_IPI))

/* What a guest may write; the xAPIC ignores any other bit, in the x2APIC it is #GP. */
static const uint64_t writable_bits[LAPIC_REGISTERS] = {
    [REG_TPR] = 0xff,
    [REG_LDR] = 0xff000000,
    [REG_DFR] = 0xf0000000,
    [REG_SVR] = 0x3ff,
    [REG_ICR] = 0xffffffff000cdfff,
    [REG_ICR_HIGH] = 0xff000000,
    [REG_LVT_TIMER] = 0x750ff,
    [REG_LVT_THERMAL] = 0x157ff,
    [REG_LVT_PERFORMANCE] = 0x157ff,
    [REG_LVT_LINT0] = 0x1f7ff,
    [REG_LVT_LINT1] = 0x1f7ff,
    [REG_LVT_ERROR] = 0x150ff,
    [REG_INITIAL] = UINT32_MAX,
    [REG_DIVIDE] = 0x0b,
    [REG_SELF_IPI] = 0xff,
};

/* Would lapic_accept() take an interrupt? False while it is disabled, be it only by software. */
static inline bool lapic_listens(const struct lapic *l) {
    return (l->apic_base & APIC_BASE_ENABLE) != 0 &&
           (__atomic_load_n(&l->reg[REG_SVR][0], __ATOMIC_RELAXED) & SVR_ENABLED) != 0;
}

static inline bool lapic_is_x2apic(const struct lapic *l) {
    return (l->apic_base & APIC_BASE_X2APIC) != 0;
}
