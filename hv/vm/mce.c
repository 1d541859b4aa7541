/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the judgement over a machine check. Whatever is not surely harmless, or surely one guest's,
 * is the machine's: after a wrong guess guests would go on with wrong data.
 */
#include "hv/vm/mce.h"

#include "hv/lib/fmt.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/vm/limit.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

/* AMD "Revision Guide for Family 10h", erratum 383: two TLB entries for one address. */
#define STATUS_TLB_MULTIMATCH                                                                      \
    (MCE_VALID | MCE_UC | MCE_ENABLED | MCE_ADDRV | MCE_PCC | BIT(16) | 0x15)

/* MCi_MISC, Intel: lowest valid bit of the address, and what kind of address it is. */
#define MISC_LSB(misc)     ((misc)&0x3f)
#define MISC_MODE(misc)    ((misc) >> 6 & 7)
#define MISC_MODE_PHYSICAL 2
#define LSB_MAX            30

/* AMD: load/store unit and instruction fetch give physical addresses, memory controllers do not. */
#define AMD_LAST_CORE_BANK 1

/* What is bad: a host-physical block. False if the bank does not say. */
static bool mce_find_block(const struct mce *m, const struct mce_bank *b, uint64_t *base,
                           uint64_t *size) {
    unsigned lsb = 0;
    if ((b->status & MCE_ADDRV) == 0) {
        return false;
    }
    if (m->amd) {
        if ((b->status & MCE_POISON) == 0 || b->index > AMD_LAST_CORE_BANK) {
            return false;
        }
    } else {
        if ((b->status & MCE_MISCV) == 0 || MISC_MODE(b->misc) != MISC_MODE_PHYSICAL ||
            MISC_LSB(b->misc) > LSB_MAX) {
            return false;
        }
        lsb = MISC_LSB(b->misc);
    }
    *size = BIT(lsb);
    *base = b->address & ~(*size - 1);
    return true;
}

static bool mce_is_in(const struct gmem *mem, uint64_t base, uint64_t size) {
    for (uint32_t i = 0; i < mem->region_count; i++) {
        const struct plan_region *r = &mem->regions[i];
        if (range_contains(r->hpa.v, r->size, base, size)) {
            return true;
        }
    }
    return false;
}

static bool mce_is_multimatch(const struct mce *m, const struct mce_bank *b) {
    return m->tlb_multimatch && b->index == 0 &&
           (b->status & ~MCE_OVERFLOW) == STATUS_TLB_MULTIMATCH;
}

/* SDM "Recovery from Uncorrected Recoverable (UCR) Errors": all CPUs are interrupted, of which the
 * affected one has EIPV set, others RIPV alone. */
bool mce_is_of_sibling(const struct mce *m, const struct mce_bank *b) {
    const uint64_t wanted = MCE_UC | MCE_SIGNALED | MCE_ACTION;
    const uint64_t damage = MCE_PCC | MCE_OVERFLOW;

    return !m->amd && m->recovers && (m->global & (MCE_RIPV | MCE_EIPV)) == MCE_RIPV &&
           (b->status & (wanted | damage)) == wanted;
}

static enum mce_verdict mce_judge_bank(const struct mce *m, const struct mce_bank *b,
                                       const struct gmem *mem) {
    uint64_t base, size;
    if ((b->status & MCE_UC) == 0) {
        return MCE_GO_ON;
    }
    if (mem != NULL && mce_is_multimatch(m, b)) {
        return MCE_STOP_GUEST;
    }
    if ((b->status & (MCE_PCC | MCE_OVERFLOW)) != 0 || (m->global & MCE_RIPV) == 0) {
        return MCE_PANIC;
    }
    if (!m->amd && !m->recovers) {
        return MCE_PANIC;
    }
    const uint64_t used = MCE_SIGNALED | MCE_ACTION;
    if (!m->amd && ((b->status & used) != used || mce_is_of_sibling(m, b))) {
        return MCE_GO_ON;
    }
    bool own = mem != NULL && mce_find_block(m, b, &base, &size) && mce_is_in(mem, base, size);
    return own ? MCE_STOP_GUEST : MCE_PANIC;
}

enum mce_verdict mce_judge(const struct mce *m, const struct gmem *mem) {
    enum mce_verdict worst = MCE_GO_ON;
    for (uint32_t i = 0; i < m->count; i++) {
        enum mce_verdict verdict = mce_judge_bank(m, &m->banks[i], mem);
        worst = verdict > worst ? verdict : worst;
    }
    if (worst == MCE_GO_ON && (m->global & MCE_RIPV) == 0) {
        return MCE_PANIC;
    }
    return worst;
}

void mce_describe(const struct mce_bank *bank, char *text, size_t size) {
    static const struct {
        uint16_t mask, code;
        const char *name;
    } kinds[] = {{0xffff, 0x0000, "no code"},       {0xffff, 0x0005, "internal parity"},
                 {0xffff, 0x0400, "core hung"},     {0xfc00, 0x0400, "internal"},
                 {0xfffc, 0x000c, "cache"},         {0xfff0, 0x0010, "TLB"},
                 {0xff80, 0x0080, "memory"},        {0xff80, 0x0280, "memory used as a cache"},
                 {0xff00, 0x0100, "cache"},         {0xf800, 0x0800, "bus or interconnect"},
                 {0x0000, 0x0000, "unknown source"}};
    static const struct {
        uint64_t bit;
        const char *set;
    } flags[] = {
        {MCE_PCC, ", the CPU's state is damaged"},
        {MCE_POISON, ", poison"},
        {MCE_OVERFLOW, ", there were more"},
    };
    uint16_t code = bank->status & 0xefff; /* without the filter of corrected errors */
    size_t kind = 0;
    while ((code & kinds[kind].mask) != kinds[kind].code) {
        kind++;
    }
    bool uncorrected = (bank->status & MCE_UC) != 0;
    (void)fmt_print(text, size, "%s, %s", uncorrected ? "uncorrected" : "corrected",
                    kinds[kind].name);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        size_t n = strlen(text);
        if ((bank->status & flags[i].bit) != 0) {
            (void)fmt_print(text + n, size - n, "%s", flags[i].set);
        }
    }
}

static void mce_report(struct vcpu *v, const struct mce *m, enum log_level level) {
    char text[80];
    for (uint32_t i = 0; i < m->count; i++) {
        const struct mce_bank *b = &m->banks[i];
        mce_describe(b, text, sizeof(text));
        vm_log(v->vm, level, "  machine check: bank %u, %s", b->index, text);
        vm_log(v->vm, level, "  status %016llx  address %llx  misc %llx", (ull)b->status,
               (ull)b->address, (ull)b->misc);
    }
}

/*
 * The report of a guest that ends here reads none of its memory, unlike exit_crash(): bad memory
 * that the hypervisor reads is the hypervisor's machine check.
 */
static void mce_stop(struct vcpu *v, const struct mce *m) {
    bool memory = true;
    for (uint32_t i = 0; i < m->count; i++) {
        memory = memory && !mce_is_multimatch(m, &m->banks[i]);
    }
    const char *reason =
        memory ? "machine check: bad memory" MSG(3044) : "machine check: erratum 383" MSG(3045);
    vm_log(v->vm, LOG_ERROR, "stopped: %s", reason);
    vm_log(v->vm, LOG_INFO, "  vcpu %u  rip %016llx", v->index, (ull)hvm->get(v, HVM_RIP));
    mce_report(v, m, LOG_ERROR);
    vcpu_crash(v, exit_kind_names[EXIT_HOST_MCE], reason);
}

void vm_machine_check(struct vcpu *v) {
    struct mce m;
    uint32_t suppressed = 0;

    plat_mce_read(&m);
    enum mce_verdict verdict = mce_judge(&m, &v->vm->mem);
    if (verdict == MCE_PANIC) {
        plat_panic("machine check while %s ran" MSG(5106), v->vm->name);
    }

    plat_mce_clear(&m);
    if (verdict == MCE_STOP_GUEST) {
        mce_stop(v, &m);
    } else if (log_enabled(LOG_WARN) && limit_log_pass(v, &suppressed)) {
        vm_log(v->vm, LOG_WARN, "machine check, it goes on (%u more not shown)" MSG(3064),
               suppressed);
        mce_report(v, &m, LOG_WARN);
    }
}
