/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware task switches between 32-bit tasks, for a CPU that leaves them to the hypervisor. It has
 * checked the gate, the new TSS's descriptor and the privileges before the exit; all else is
 * checked here, on copies. (If another vCPU has changed it since, VM entry refuses it.) Stops the
 * VM at 16-bit and virtual-8086 tasks and at a TSS or descriptor that crosses a page. Not done: the
 * debug trap of a TSS's T bit, the stack limit for an error code. Source: Intel SDM vol. 3 "Task
 * Switching", "Treatment of Task Switches".
 */
#include "hv/exit/operand.h"
#include "hv/lib/str.h"

/* Double words of a 32-bit TSS; general registers and segments in the order of ours. */
enum { TSS_CR3 = 7, TSS_EIP, TSS_EFLAGS, TSS_EAX, TSS_ES = 18, TSS_LDT = 24, TSS_WORDS = 26 };
#define TSS_SAVED sizeof(uint32_t[TSS_LDT - TSS_EIP])

#define TYPE_BUSY    2u
#define RFLAGS_KNOWN 0x3f7fd5u /* ID to CF */
#define DR7_LOCAL    0x155ull  /* LE, L0-L3 */

/* All functions that return a bool: false if the switch ends here, in an event or a stop. */
struct task {
    struct vcpu *v;
    const struct vmexit *x;
    struct fetch f; /* s: the supervisor's rights, without RFLAGS.AC */
    uint32_t tss[TSS_WORDS];
};

static bool task_fault(struct task *t, enum x86_vector vector, uint16_t selector) {
    const struct event *e = &t->x->task.event;
    bool external = e->type != EVENT_NONE && e->insn_len == 0;
    vcpu_inject_exception(t->v, vector, (selector & ~3u) | external);
    return false;
}

/* n bytes at a linear address. */
static bool task_find(struct task *t, uint64_t at, unsigned n, unsigned access, uint8_t **out) {
    struct walk_page page;
    at = (uint32_t)at;
    enum status s = walk_translate(&t->v->vm->mem, &t->f.s, GVA(at), access, &page);
    if (s == STATUS_DENIED) {
        hvm->set(t->v, HVM_CR2, at);
        vcpu_inject_exception(t->v, X86_PF, page.pf_error);
        return false;
    }
    bool whole = s == STATUS_OK && at % PAGE_SIZE <= PAGE_SIZE - n;
    *out = whole ? gmem_pointer(&t->v->vm->mem, page.gpa, n) : NULL;
    if (*out == NULL) {
        (void)exit_crash(t->v, t->x, "a task switch over a page's end or to no memory");
    }
    return *out != NULL;
}

/* A descriptor, which lies at *where. */
static bool task_descriptor(struct task *t, uint16_t selector, unsigned access, uint8_t **where,
                            struct hvm_segment *out) {
    struct hvm_segment table;
    uint64_t d;
    hvm->get_segment(t->v, (selector & 4) != 0 ? HVM_LDT : HVM_GDT, &table);
    if (selector < 4 || (table.attr & SEG_UNUSABLE) != 0 || (selector | 7u) > table.limit) {
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

/* SDM "Exception Conditions Checked During a Task Switch". */
static bool task_load(struct task *t, enum hvm_seg seg, unsigned cpl, struct hvm_segment *out) {
    uint16_t selector = (uint16_t)t->tss[seg == HVM_LDT ? TSS_LDT : TSS_ES + (unsigned)seg];
    uint8_t *where;
    *out = (struct hvm_segment){.attr = SEG_UNUSABLE, .selector = selector};
    if (selector < 4 && seg != HVM_CS && seg != HVM_SS) {
        return true;
    }
    if (!task_descriptor(t, selector, WALK_READ, &where, out)) {
        return false;
    }
    unsigned attr = out->attr, dpl = attr >> 5 & 3, rpl = selector & 3;
    bool conforming = (attr & 0xc) == 0xc, present = (attr & 0x80) != 0;
    bool fits = seg == HVM_CS    ? (attr & 0x18) == 0x18 && (conforming ? dpl <= cpl : dpl == cpl)
                : seg == HVM_SS  ? (attr & 0x1a) == 0x12 && dpl == cpl && rpl == cpl
                : seg == HVM_LDT ? (attr & 0x1f) == 2 && (selector & 4) == 0 && present
                                 : (attr & 0x10) != 0 && (attr & 0xa) != 8 &&
                                       (conforming || dpl >= max_u64(cpl, rpl));
    if (!fits || !present) {
        return task_fault(t, !fits ? X86_TS : seg == HVM_SS ? X86_SS : X86_NP, selector);
    }
    out->attr |= seg != HVM_LDT; /* accessed */
    where[5] = (uint8_t)out->attr;
    return true;
}

/* CS and SS take effect together: VM entry wants them to agree. Then the event's error code. */
static bool task_enter(struct task *t) {
    static const uint8_t order[] = {HVM_LDT, HVM_CS, HVM_SS, HVM_ES, HVM_DS, HVM_FS, HVM_GS};
    const struct event *e = &t->x->task.event;
    struct hvm_segment segs[HVM_SEG_COUNT];
    unsigned cpl = t->tss[TSS_ES + HVM_CS] & 3;
    uint8_t *stack;
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        enum hvm_seg seg = (enum hvm_seg)order[i];
        if (!task_load(t, seg, cpl, &segs[seg])) {
            return false;
        }
        if (seg == HVM_SS) {
            hvm->set_segment(t->v, HVM_CS, &segs[HVM_CS]);
        }
        if (seg != HVM_CS) {
            hvm->set_segment(t->v, seg, &segs[seg]);
        }
    }
    if (e->has_error) {
        uint64_t rsp = t->tss[TSS_EAX + X86_RSP];
        operand_set(&rsp, (segs[HVM_SS].attr & SEG_BIG) != 0 ? 4 : 2, rsp - 4);
        t->f.s.user = cpl == 3;
        if (!task_find(t, segs[HVM_SS].base + rsp, 4, WALK_WRITE, &stack)) {
            return false;
        }
        memcpy(stack, &e->error, 4);
        hvm->set(t->v, HVM_RSP, rsp);
    }
    return true;
}

/* The old task's registers go to where they are saved, those of t->tss take their place. */
static void task_swap(struct task *t, uint8_t *saved, bool nested) {
    struct vcpu *v = t->v;
    uint32_t old[TSS_LDT - TSS_EIP];
    uint64_t flags = hvm->get(v, HVM_RFLAGS), cr0 = hvm->get(v, HVM_CR0);
    flags |= event_sets_rf(&t->x->task.event) ? X86_RFLAGS_RF : 0;
    old[0] = (uint32_t)hvm->get(v, HVM_RIP) + t->x->insn_len;
    old[1] = (uint32_t)(t->x->task.source == TASK_IRET ? flags & ~X86_RFLAGS_NT : flags);
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    for (unsigned i = 0; i < 8; i++) {
        old[TSS_EAX - TSS_EIP + i] = (uint32_t)v->regs[i];
        v->regs[i] = t->tss[TSS_EAX + i];
    }
    for (unsigned i = HVM_ES; i <= HVM_GS; i++) {
        struct hvm_segment s;
        hvm->get_segment(v, (enum hvm_seg)i, &s);
        old[TSS_ES - TSS_EIP + i] = s.selector;
    }
    memcpy(saved, old, sizeof(old));
    hvm->end_shadow(v);
    hvm->set(v, HVM_RIP, t->tss[TSS_EIP]);
    hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    hvm->set(v, HVM_RFLAGS,
             (t->tss[TSS_EFLAGS] & RFLAGS_KNOWN) | X86_RFLAGS_FIXED | (nested ? X86_RFLAGS_NT : 0));
    if ((cr0 & X86_CR0_PG) != 0) {
        t->f.s.cr3 = t->tss[TSS_CR3];
        hvm->set(v, HVM_CR3, t->tss[TSS_CR3]);
    }
    hvm->set(v, HVM_CR0, cr0 | X86_CR0_TS); /* behind CR3: loads the entries of PAE paging, too */
    hvm->set(v, HVM_DR7, hvm->get(v, HVM_DR7) & ~DR7_LOCAL);
    hvm->flush(v);
}

static bool task_switch(struct task *t) {
    const struct exit_task *e = &t->x->task;
    struct hvm_segment from, to, tr;
    uint8_t *from_at = NULL, *to_at, *saved, *tss;
    bool nested = e->source == TASK_CALL || e->source == TASK_GATE;
    hvm->get_segment(t->v, HVM_TR, &tr);
    if (!task_descriptor(t, e->selector, WALK_WRITE, &to_at, &to) ||
        (!nested && !task_descriptor(t, tr.selector, WALK_WRITE, &from_at, &from)) ||
        !task_find(t, to.base, sizeof(t->tss), WALK_WRITE, &tss) ||
        !task_find(t, tr.base + sizeof(uint32_t[TSS_EIP]), TSS_SAVED, WALK_WRITE, &saved)) {
        return false;
    }
    memcpy(t->tss, tss, sizeof(t->tss));
    if ((to.attr & 0xd) == 1 || (tr.attr & 0xf) == 3 || (t->tss[TSS_EFLAGS] & X86_RFLAGS_VM) != 0) {
        (void)exit_crash(t->v, t->x, "a switch of a 16-bit or virtual-8086 task, not emulated");
        return false;
    }
    if (nested) {
        memcpy(tss, &tr.selector, sizeof(tr.selector));
    } else {
        from_at[5] = (uint8_t)(from.attr & ~TYPE_BUSY);
    }
    to.attr |= TYPE_BUSY;
    to_at[5] = (uint8_t)to.attr;
    task_swap(t, saved, nested);
    hvm->set_segment(t->v, HVM_TR, &to);
    return task_enter(t);
}

enum action exit_task_switch(struct vcpu *v, struct vmexit *x) {
    struct task t = {.v = v, .x = x};
    (void)fetch_bytes(v, &t.f, NULL, 0);
    t.f.s.user = false;
    t.f.s.rflags = 0;
    v->event = x->task.event; /* a fault on the way is one in its delivery */
    if (!task_switch(&t)) {
        return ACTION_RETRY;
    }
    v->event.type = EVENT_NONE;
    return ACTION_DONE; /* the new TF is for what comes after the task's first instruction */
}
