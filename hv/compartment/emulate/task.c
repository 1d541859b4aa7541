/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware task switches between 32-bit tasks, for a CPU that leaves them to the hypervisor. It has
 * checked the gate, the new TSS's descriptor and the privileges before the exit; all else is
 * checked here, on copies. (If another vCPU has changed it since, VM entry refuses it.) Stops the
 * VM at 16-bit and virtual-8086 tasks and at a TSS or descriptor that crosses a page. Not done: the
 * debug trap of a TSS's T bit, the stack limit for an error code. Source: Intel SDM vol. 3 "Task
 * Switching", "Treatment of Task Switches".
 */
#include "hv/compartment/emulate/descriptor.h"
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/emulate/operand.h"
#include "hv/lib/reg.h"
#include "hv/lib/str.h"

/* Double words of a 32-bit TSS; general registers and segments in the order of ours. */
enum { TSS_CR3 = 7, TSS_EIP, TSS_EFLAGS, TSS_EAX, TSS_ES = 18, TSS_LDT = 24, TSS_WORDS = 26 };
#define TSS_SAVED sizeof(uint32_t[TSS_LDT - TSS_EIP])

#define RFLAGS_KNOWN 0x3f7fd5u /* ID to CF */

/* All functions that return a bool: false if the switch ends here, as e->outcome says. */
struct task {
    struct emulation *e;
    struct code c; /* paging: the supervisor's rights, without RFLAGS.AC */
    uint32_t tss[TSS_WORDS];
};

static bool task_fault(struct task *t, enum x86_vector vector, uint16_t selector) {
    const struct event *e = &t->e->exit->task.event;
    bool external = e->type != EVENT_NONE && e->insn_len == 0;
    return emulation_fault(t->e, vector, (selector & ~3u) | external);
}

/* n bytes at a linear address. */
static bool task_find(struct task *t, uint64_t at, unsigned n, unsigned access, uint8_t **out) {
    struct walk_page page;
    at = (uint32_t)at;
    enum status s = walk_translate(&t->e->memory, &t->c.paging, GVA(at), access, &page);
    if (s == STATUS_DENIED) {
        return emulation_page_fault(t->e, at, page.pf_error);
    }
    bool whole = s == STATUS_OK && at % PAGE_SIZE <= PAGE_SIZE - n;
    *out = whole ? guest_memory_at(&t->e->memory, page.gpa, n) : NULL;
    if (*out == NULL) {
        return emulation_crash(t->e, CRASH_TASK_PLACE);
    }
    return true;
}

/* A descriptor, which lies at *where. */
static bool task_descriptor(struct task *t, uint16_t selector, unsigned access, uint8_t **where,
                            struct hvm_segment *out) {
    struct hvm_segment table;
    uint64_t d;
    emulation_get_segment(t->e, (selector & SELECTOR_LOCAL) != 0 ? HVM_LDT : HVM_GDT, &table);
    if (selector < SELECTOR_NULL || (table.attr & SEG_UNUSABLE) != 0 ||
        (selector | 7u) > table.limit) {
        return task_fault(t, X86_TS, selector);
    }
    if (!task_find(t, table.base + (selector & ~7u), sizeof(d), access, where)) {
        return false;
    }
    memcpy(&d, *where, sizeof(d));
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
    limit = (d & BIT(55)) != 0 ? limit << 12 | 0xfff : limit;
    *out = (struct hvm_segment){(d >> 16 & 0xffffff) | d >> 56 << 24, limit, d >> 40 & 0xf0ff,
                                selector};
    return true;
}

/* A descriptor that is to be loaded. */
struct task_segment {
    uint32_t attr;
    unsigned dpl, rpl, cpl;
    bool local; /* it lies in the LDT */
};

static bool task_code_fits(const struct task_segment *s) {
    const uint32_t code = DESCRIPTOR_CODE_OR_DATA | DESCRIPTOR_CODE;
    if ((s->attr & code) != code) {
        return false;
    }
    return (s->attr & DESCRIPTOR_CONFORMING) != 0 ? s->dpl <= s->cpl : s->dpl == s->cpl;
}

static bool task_stack_fits(const struct task_segment *s) {
    const uint32_t kind = DESCRIPTOR_CODE_OR_DATA | DESCRIPTOR_CODE | DESCRIPTOR_ACCESS;
    bool writable = (s->attr & kind) == (DESCRIPTOR_CODE_OR_DATA | DESCRIPTOR_ACCESS);
    return writable && s->dpl == s->cpl && s->rpl == s->cpl;
}

static bool task_data_fits(const struct task_segment *s) {
    const uint32_t conforming = DESCRIPTOR_CODE | DESCRIPTOR_CONFORMING;
    bool segment = (s->attr & DESCRIPTOR_CODE_OR_DATA) != 0;
    bool readable = (s->attr & DESCRIPTOR_CODE) == 0 || (s->attr & DESCRIPTOR_ACCESS) != 0;
    bool any = (s->attr & conforming) == conforming;
    return segment && readable && (any || s->dpl >= max_u64(s->cpl, s->rpl));
}

/* One that is not present does not fit, either. */
static bool task_ldt_fits(const struct task_segment *s) {
    bool present = (s->attr & DESCRIPTOR_PRESENT) != 0;
    return (s->attr & DESCRIPTOR_KIND) == DESCRIPTOR_LDT && !s->local && present;
}

/* SDM "Exception Conditions Checked During a Task Switch": what has to fit, or else #TS; what is
 * raised for one that fits and is not present. */
static const struct {
    bool (*fits)(const struct task_segment *s);
    enum x86_vector absent;
} task_rules[HVM_SEG_COUNT] = {
    [HVM_CS] = {task_code_fits, X86_NP}, [HVM_SS] = {task_stack_fits, X86_SS},
    [HVM_ES] = {task_data_fits, X86_NP}, [HVM_DS] = {task_data_fits, X86_NP},
    [HVM_FS] = {task_data_fits, X86_NP}, [HVM_GS] = {task_data_fits, X86_NP},
    [HVM_LDT] = {task_ldt_fits, X86_NP},
};

static bool task_load(struct task *t, enum hvm_seg seg, unsigned cpl, struct hvm_segment *out) {
    uint16_t selector = (uint16_t)t->tss[seg == HVM_LDT ? TSS_LDT : TSS_ES + (unsigned)seg];
    uint8_t *where;
    *out = (struct hvm_segment){.attr = SEG_UNUSABLE, .selector = selector};
    if (selector < SELECTOR_NULL && seg != HVM_CS && seg != HVM_SS) {
        return true;
    }
    if (!task_descriptor(t, selector, WALK_READ, &where, out)) {
        return false;
    }

    const struct task_segment s = {.attr = out->attr,
                                   .dpl = descriptor_dpl(out->attr),
                                   .rpl = selector & SELECTOR_RPL,
                                   .cpl = cpl,
                                   .local = (selector & SELECTOR_LOCAL) != 0};
    if (!task_rules[seg].fits(&s)) {
        return task_fault(t, X86_TS, selector);
    }
    if ((s.attr & DESCRIPTOR_PRESENT) == 0) {
        return task_fault(t, task_rules[seg].absent, selector);
    }
    if (seg != HVM_LDT) {
        out->attr |= DESCRIPTOR_ACCESSED;
    }
    where[5] = (uint8_t)out->attr;
    return true;
}

/* CS and SS take effect together: VM entry wants them to agree. Then the event's error code. */
static bool task_enter(struct task *t) {
    static const uint8_t order[] = {HVM_LDT, HVM_CS, HVM_SS, HVM_ES, HVM_DS, HVM_FS, HVM_GS};
    const struct event *e = &t->e->exit->task.event;
    struct hvm_segment segs[HVM_SEG_COUNT];
    unsigned cpl = t->tss[TSS_ES + HVM_CS] & SELECTOR_RPL;
    uint8_t *stack;
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        enum hvm_seg seg = (enum hvm_seg)order[i];
        if (!task_load(t, seg, cpl, &segs[seg])) {
            return false;
        }
        if (seg == HVM_SS) {
            t->e->ops->set_segment(t->e->context, HVM_CS, &segs[HVM_CS]);
        }
        if (seg != HVM_CS) {
            t->e->ops->set_segment(t->e->context, seg, &segs[seg]);
        }
    }
    if (e->has_error) {
        uint64_t rsp = t->tss[TSS_EAX + X86_RSP];
        reg_set(&rsp, (segs[HVM_SS].attr & SEG_BIG) != 0 ? 4 : 2, rsp - 4);
        t->c.paging.user = cpl == 3;
        if (!task_find(t, segs[HVM_SS].base + rsp, 4, WALK_WRITE, &stack)) {
            return false;
        }
        memcpy(stack, &e->error, 4);
        emulation_set(t->e, HVM_RSP, rsp);
    }
    return true;
}

/* The old task's registers go to where they are saved, those of t->tss take their place. */
static void task_swap(struct task *t, uint8_t *saved, bool nested) {
    struct emulation *e = t->e;
    uint32_t old[TSS_LDT - TSS_EIP];
    uint64_t flags = emulation_get(e, HVM_RFLAGS), cr0 = emulation_get(e, HVM_CR0);
    flags |= event_sets_rf(&e->exit->task.event) ? X86_RFLAGS_RF : 0;
    old[0] = (uint32_t)emulation_get(e, HVM_RIP) + e->exit->insn_len;
    old[1] = (uint32_t)(e->exit->task.source == TASK_IRET ? flags & ~X86_RFLAGS_NT : flags);
    e->regs[X86_RSP] = emulation_get(e, HVM_RSP);
    for (unsigned i = 0; i < 8; i++) {
        old[TSS_EAX - TSS_EIP + i] = (uint32_t)e->regs[i];
        e->regs[i] = t->tss[TSS_EAX + i];
    }
    for (unsigned i = HVM_ES; i <= HVM_GS; i++) {
        struct hvm_segment s;
        emulation_get_segment(e, (enum hvm_seg)i, &s);
        old[TSS_ES - TSS_EIP + i] = s.selector;
    }
    memcpy(saved, old, sizeof(old));
    e->task_switched = true;
    emulation_set(e, HVM_RIP, t->tss[TSS_EIP]);
    emulation_set(e, HVM_RSP, e->regs[X86_RSP]);
    emulation_set(e, HVM_RFLAGS,
                  (t->tss[TSS_EFLAGS] & RFLAGS_KNOWN) | X86_RFLAGS_FIXED |
                      (nested ? X86_RFLAGS_NT : 0));
    if ((cr0 & X86_CR0_PG) != 0) {
        t->c.paging.cr3 = t->tss[TSS_CR3];
        emulation_set(e, HVM_CR3, t->tss[TSS_CR3]);
    }
    emulation_set(e, HVM_CR0,
                  cr0 | X86_CR0_TS); /* behind CR3: loads the entries of PAE paging, too */
    emulation_set(e, HVM_DR7, emulation_get(e, HVM_DR7) & ~X86_DR7_LOCAL);
}

static bool task_switch(struct task *t) {
    const struct exit_task *e = &t->e->exit->task;
    struct hvm_segment from, to, tr;
    uint8_t *from_at = NULL, *to_at, *saved, *tss;
    bool nested = e->source == TASK_CALL || e->source == TASK_GATE;
    emulation_get_segment(t->e, HVM_TR, &tr);
    if (!task_descriptor(t, e->selector, WALK_WRITE, &to_at, &to) ||
        (!nested && !task_descriptor(t, tr.selector, WALK_WRITE, &from_at, &from)) ||
        !task_find(t, to.base, sizeof(t->tss), WALK_WRITE, &tss) ||
        !task_find(t, tr.base + sizeof(uint32_t[TSS_EIP]), TSS_SAVED, WALK_WRITE, &saved)) {
        return false;
    }
    memcpy(t->tss, tss, sizeof(t->tss));
    bool narrow = (to.attr & SEG_TYPE & ~DESCRIPTOR_BUSY) == DESCRIPTOR_TSS16 ||
                  (tr.attr & SEG_TYPE) == SEG_TYPE_BUSY_TSS16;
    if (narrow || (t->tss[TSS_EFLAGS] & X86_RFLAGS_VM) != 0) {
        return emulation_crash(t->e, CRASH_TASK_KIND);
    }
    if (nested) {
        memcpy(tss, &tr.selector, sizeof(tr.selector));
    } else {
        from_at[5] = (uint8_t)(from.attr & ~DESCRIPTOR_BUSY);
    }
    to.attr |= DESCRIPTOR_BUSY;
    to_at[5] = (uint8_t)to.attr;
    task_swap(t, saved, nested);
    t->e->ops->set_segment(t->e->context, HVM_TR, &to);
    return task_enter(t);
}

enum emulated emulate_task_switch(struct emulation *e) {
    struct task t = {.e = e};
    code_read(e, &t.c);
    t.c.paging.user = false;
    t.c.paging.rflags = 0;
    e->task_switched = false;
    return task_switch(&t) ? EMULATED_DONE : e->outcome;
}
