/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs one act and says what it did: which events came at which byte, how far RIP went, and every
 * general, control and debug register that is not as before. Owns the descriptor tables, the
 * interrupt stacks and the text of an act. What an act did not expect at all ends the guest.
 */
#include "guests/differ/differ.h"

#define APIC_ICR_PAGE 0xfee00300ull
#define REG_SPURIOUS  0x0f0
#define REG_ICR       0x300
#define REG_ICR_HIGH  0x310
#define REG_LVT_TIMER 0x320
#define REG_INITIAL   0x380
#define REG_DIVIDE    0x3e0
#define ICR_SELF      0x40000
#define ICR_NMI       0x400

#define RFLAGS_FIXED 0x2ull
#define RFLAGS_TF    0x100ull
#define RFLAGS_IF    0x200ull
#define RFLAGS_RF    0x10000ull
#define CR4_OSXSAVE  0x40000ull
#define DR6_DEFAULT  0xffff0ff0ull
#define DR7_DATA     0xf0401ull /* breakpoint 0: reads and writes, four bytes */
#define DR7_CODE     0x405ull   /* breakpoints 0 and 1: execution */
#define DR7_DEFAULT  0x400ull
#define PAGE_USER    4ull
#define TIMER_COUNT  2500000 /* long enough to reach the HLT before it, on any host */
#define MAX_EVENTS   8
#define MAX_LINE     sizeof(outcome.text)

struct outcome outcome;
unsigned acts_run, acts_wrong;

static struct {
    const struct act *act; /* NULL: none runs */
    struct probe start;
    struct probe_trap_frame last;
    uint64_t stack, scratch;
    unsigned events;
    bool in_trap;
} now;
static volatile unsigned left_interrupts, left_nmis; /* came only after the act */

/* What LTR, LGDT and LIDT are given; SDM vol. 3 "64-Bit Mode Task Management". */
static uint64_t gdt[9] = {
    0, 0,           0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
    0, /* TSS */ 0, 0x00cf13000000ffff};
static struct {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
} idt[256];
static uint32_t tss[26];
static uint8_t stacks[4][4096] __attribute__((aligned(16)));
static uint64_t scratch[512] __attribute__((aligned(4096)));

void text_clear(char *line) {
    line[0] = 0;
}

void text_add(char *line, const char *text) {
    size_t n = 0;
    while (line[n] != 0) {
        n++;
    }
    while (*text != 0 && n + 1 < MAX_LINE) {
        line[n++] = *text++;
    }
    line[n] = 0;
}

void text_add_hex(char *line, uint64_t value) {
    char digits[17];
    unsigned n = 16;
    digits[16] = 0;
    do {
        digits[--n] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    text_add(line, &digits[n]);
}

/* What came after the act, and how often if that is not once: none is lost, and none comes twice.
 */
static void text_add_left(const char *name, unsigned count) {
    if (count == 0) {
        return;
    }
    text_add(outcome.text, " ");
    text_add(outcome.text, name);
    if (count > 1) {
        text_add(outcome.text, "=");
        text_add_hex(outcome.text, count);
    }
}

/* " NAME=VALUE" if the value is not what it was. */
static void text_add_change(const char *name, uint64_t before, uint64_t after) {
    if (before != after) {
        text_add(outcome.text, outcome.text[0] != 0 ? " " : "");
        text_add(outcome.text, name);
        text_add(outcome.text, "=");
        text_add_hex(outcome.text, after);
    }
}

static void text_add_rip(uint64_t rip) {
    uint64_t offset = rip - (uint64_t)(uintptr_t)now.act->code;
    text_add(outcome.text, offset < 4096 ? "rip+" : "rip=");
    text_add_hex(outcome.text, offset < 4096 ? offset : rip);
}

/* "#GP(0) rip+0 "; for the INT3 behind the act just "rip+2 ". */
static void text_add_event(const struct probe_trap_frame *f) {
    static const char *const names[32] = {"#DE", "#DB", "NMI", "",    "#OF", "#BR", "#UD", "#NM",
                                          "#DF", "?9",  "#TS", "#NP", "#SS", "#GP", "#PF", "?15",
                                          "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
    static const uint32_t with_error = 0x00227d00;
    char *line = outcome.text;
    text_add(line, line[0] != 0 ? " " : "");
    if (f->vector >= 32 || names[f->vector] == NULL) {
        text_add(line, "int");
        text_add_hex(line, f->vector);
    } else {
        text_add(line, names[f->vector]);
        if ((with_error >> f->vector & 1) != 0) {
            text_add(line, "(");
            text_add_hex(line, f->error);
            text_add(line, ")");
        }
    }
    text_add(line, f->vector == 3 ? "" : " ");
    text_add_rip(f->vector == 3 ? f->rip - 1 : f->rip);
    if ((now.act->flags & ACT_RF) != 0 && (f->rflags & RFLAGS_RF) != 0) {
        text_add(line, " rf");
    }
}

static void probe_fatal(const struct probe_trap_frame *f) {
    put_text("not ok - a trap outside of every act: ");
    put_hex(f->vector);
    put_text(" error ");
    put_hex(f->error);
    put_text(" rip ");
    put_hex(f->rip);
    put_text("\ndone: trap\n");
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

static void probe_end(struct probe_trap_frame *f) {
    now.last = *f;
    f->rip = (uint64_t)(uintptr_t)probe_done;
    f->cs = SELECTOR_CODE;
    f->rflags = RFLAGS_FIXED;
    f->rsp = now.stack;
    f->ss = SELECTOR_DATA;
}

/* Blocked until IRET: it must not come in here. */
static void probe_send_nmi(void) {
    uint32_t r[4];
    apic_write(REG_ICR, ICR_NMI);
    cpuid(0, 0, r);
    cpuid(0, 0, r);
}

void probe_trap(struct probe_trap_frame *f) {
    if (now.act == NULL) {
        if (f->vector == 2) {
            left_nmis++;
            return;
        }
        if (f->vector < VECTOR_TIMER) {
            probe_fatal(f);
        }
        left_interrupts++;
        apic_eoi();
        return;
    }
    if (now.in_trap) {
        text_add(outcome.text, " (inside of a handler:");
        text_add_event(f);
        text_add(outcome.text, ")");
        probe_end(f);
        now.in_trap = false;
        return;
    }
    now.in_trap = true;
    now.events++;
    text_add_event(f);
    if (f->vector >= VECTOR_TIMER) {
        apic_eoi();
    } else if (f->vector == 2 && (now.act->flags & ACT_NMI_AGAIN) != 0 && now.events == 1) {
        probe_send_nmi();
    } else if (f->vector == 2 && (now.act->flags & ACT_NMI_AGAIN) != 0) {
        f->regs[1] = 1; /* of LOOP: it has come */
    }
    if ((now.act->flags & ACT_WATCH_CODE) != 0) {
        f->rflags |= RFLAGS_RF; /* SDM "Instruction-Breakpoint Exception Condition" */
    }
    bool goes_on = f->vector == 1 || f->vector == 2 || f->vector >= 32;
    if (!goes_on || now.events >= MAX_EVENTS) {
        outcome.done = f->vector == 3;
        probe_end(f);
    }
    now.in_trap = false;
}

static void gate_set(unsigned vector, uint16_t dpl, uint16_t stack, bool present) {
    uint64_t to = (uint64_t)(uintptr_t)probe_stubs[vector];
    idt[vector].low = (uint16_t)to;
    idt[vector].selector = SELECTOR_CODE;
    idt[vector].flags = (uint16_t)((present ? 0x8e00 : 0x0e00) | dpl << 13 | stack);
    idt[vector].middle = (uint16_t)(to >> 16);
    idt[vector].high = (uint32_t)(to >> 32);
}

void probe_init(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer;
    uint64_t base = (uint64_t)(uintptr_t)tss;
    for (unsigned i = 0; i < 3; i++) { /* IST 1..3: all, NMI, #DB */
        uint64_t top = (uint64_t)(uintptr_t)stacks[i + 1];
        tss[9 + 2 * i] = (uint32_t)top;
        tss[10 + 2 * i] = (uint32_t)(top >> 32);
    }
    tss[25] = sizeof(tss) << 16; /* no I/O permission bitmap */
    gdt[6] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    gdt[7] = base >> 32;
    for (unsigned i = 0; i < 256; i++) {
        static const uint16_t stacks_of[] = {1, 3, 2};
        uint16_t ring = i == 3 || i == VECTOR_SOFT ? 3 : 0;
        gate_set(i, ring, i < COUNT(stacks_of) ? stacks_of[i] : 1, true);
    }
    gate_set(0x80, 0, 1, false);
    pointer.limit = sizeof(gdt) - 1;
    pointer.base = (uint64_t)(uintptr_t)gdt;
    __asm__ volatile("lgdt %0" ::"m"(pointer));
    pointer.limit = sizeof(idt) - 1;
    pointer.base = (uint64_t)(uintptr_t)idt;
    __asm__ volatile("lidt %0" ::"m"(pointer));
    __asm__ volatile("ltr %w0" ::"r"(SELECTOR_TSS));
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_ICR_HIGH, 0);
    apic_write(REG_DIVIDE, 0xb);
    apic_write(REG_LVT_TIMER, VECTOR_TIMER);
}

void probe_user_pages(bool on) {
    uint64_t *pml4, *pdpt;
    __asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
    pdpt = (uint64_t *)(uintptr_t)(pml4[0] & ~0xfffull);
    pml4[0] = (pml4[0] & ~PAGE_USER) | (on ? PAGE_USER : 0);
    pdpt[0] = (pdpt[0] & ~PAGE_USER) | (on ? PAGE_USER : 0);
    uint64_t *directory = (uint64_t *)(uintptr_t)(pdpt[0] & ~0xfffull);
    for (unsigned i = 0; i < 512; i++) {
        directory[i] = (directory[i] & ~PAGE_USER) | (on ? PAGE_USER : 0);
    }
    __asm__ volatile("mov %0, %%cr3" ::"r"(pml4) : "memory");
}

/* All registers of the system that an act might change. */
enum { CR0, CR2, CR3, CR4, CR8, DR0, DR1, DR2, DR3, DR6, DR7, XCR0, STATES };
static const char *const state_names[STATES] = {"cr0", "cr2", "cr3", "cr4", "cr8", "dr0",
                                                "dr1", "dr2", "dr3", "dr6", "dr7", "xcr0"};

/* read and write of each but XCR0. */
#define EACH_REGISTER(op)                                                                          \
    op(CR0, cr0) op(CR2, cr2) op(CR3, cr3) op(CR4, cr4) op(CR8, cr8) op(DR0, dr0) op(DR1, dr1)     \
        op(DR2, dr2) op(DR3, dr3) op(DR6, dr6) op(DR7, dr7)
#define READ(index, name) __asm__ volatile("mov %%" #name ", %0" : "=r"(s[index]));
#define WRITE(index, name)                                                                         \
    if (to[index] != from[index]) {                                                                \
        __asm__ volatile("mov %0, %%" #name ::"r"(to[index]) : "memory");                          \
    }

static void state_read(uint64_t s[STATES]) {
    EACH_REGISTER(READ)
    s[XCR0] = 0;
    if ((s[CR4] & CR4_OSXSAVE) != 0) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        s[XCR0] = (uint64_t)high << 32 | low;
    }
}

static void state_write(const uint64_t from[STATES], const uint64_t to[STATES]) {
    if (to[XCR0] != from[XCR0] && (from[CR4] & CR4_OSXSAVE) != 0 && to[XCR0] != 0) {
        __asm__ volatile("xsetbv" ::"a"((uint32_t)to[XCR0]), "d"((uint32_t)(to[XCR0] >> 32)),
                         "c"(0));
    }
    EACH_REGISTER(WRITE)
}

/* The act's surroundings but for RFLAGS. */
static void state_prepare(const struct act *act, const uint64_t from[STATES]) {
    uint64_t to[STATES], code = (uint64_t)(uintptr_t)act->code;
    for (unsigned i = 0; i < STATES; i++) {
        to[i] = from[i];
    }
    to[DR7] = DR7_DEFAULT;
    to[DR6] = DR6_DEFAULT;
    to[CR2] = 0;
    if ((act->flags & ACT_WATCH_DATA) != 0) {
        to[DR0] = (uint64_t)(uintptr_t)scratch;
        to[DR7] = DR7_DATA;
    } else if ((act->flags & ACT_WATCH_CODE) != 0) {
        to[DR0] = code;
        to[DR1] = code + 2;
        to[DR7] = DR7_CODE;
    }
    state_write(from, to);
    gate_set(6, 0, 1, (act->flags & ACT_NO_UD_GATE) == 0);
    gate_set(13, 0, 1, (act->flags & ACT_NO_GP_GATE) == 0);
    if ((act->flags & ACT_IPI) != 0) {
        apic_write(REG_ICR, ICR_SELF | VECTOR_IPI);
    }
    if ((act->flags & ACT_TIMER) != 0) {
        apic_write(REG_INITIAL, TIMER_COUNT);
    }
}

static void probe_fill(const struct act *act) {
    struct probe *p = &now.start;
    bool user = (act->flags & ACT_USER) != 0;
    for (uint64_t i = 0; i < 16; i++) {
        p->regs[i] = 0xa0a0a0a0a0a0a0a0 + i * 0x0101010101010101;
    }
    p->regs[0] = act->rax;
    p->regs[1] = act->rcx;
    p->regs[2] = act->rdx;
    p->regs[6] = APIC_ICR_PAGE;
    p->regs[7] = (uint64_t)(uintptr_t)scratch;
    p->rip = (uint64_t)(uintptr_t)act->code;
    p->cs = user ? SELECTOR_USER_CODE : SELECTOR_CODE;
    p->ss = user ? SELECTOR_USER_DATA : SELECTOR_DATA;
    p->rsp = (uint64_t)(uintptr_t)stacks[1];
    p->regs[4] = p->rsp;
    p->rflags = RFLAGS_FIXED;
    p->rflags |= (act->flags & ACT_TF) != 0 ? RFLAGS_TF : 0;
    p->rflags |= (act->flags & ACT_IF) != 0 ? RFLAGS_IF : 0;
    p->rflags |= (act->flags & ACT_SET_RF) != 0 ? RFLAGS_RF : 0;
}

static void outcome_tell(const uint64_t before[STATES], const uint64_t after[STATES]) {
    static const char *const registers[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                              "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                              "r12", "r13", "r14", "r15"};
    now.last.regs[4] = now.last.rsp;
    for (unsigned i = 0; i < 16; i++) {
        text_add_change(registers[i], now.start.regs[i], now.last.regs[i]);
    }
    text_add_change("flags", now.start.rflags & ~RFLAGS_RF, now.last.rflags & ~RFLAGS_RF);
    for (unsigned i = 0; i < STATES; i++) {
        text_add_change(state_names[i], before[i], after[i]);
    }
    text_add_change("mem", now.scratch, scratch[0]);
    text_add_left("interrupt-left", left_interrupts);
    text_add_left("nmi-left", left_nmis);
    static const uint8_t order[4] = {0, 3, 1, 2};
    for (unsigned i = 0; i < 4; i++) {
        outcome.answer[i] = now.last.regs[order[i]];
    }
}

/* VMCALL becomes VMMCALL, its twin on the other vendor's CPUs: 0F 01 C1 and 0F 01 D9. */
static void patch_call(const struct act *act) {
    volatile uint8_t *code = (volatile uint8_t *)(uintptr_t)act->code;
    while (code[0] != 0x0f || code[1] != 0x01) {
        code++;
    }
    code[2] = vendor_is_amd == ((act->flags & ACT_CALL) != 0) ? 0xd9 : 0xc1;
}

void probe_run(const struct act *act) {
    uint64_t found[STATES], before[STATES], after[STATES];
    if ((act->flags & (ACT_CALL | ACT_OTHER_CALL)) != 0) {
        patch_call(act);
    }
    text_clear(outcome.text);
    outcome.done = false;
    now.scratch = (act->flags & ACT_WATCH_DATA) != 0 ? SELECTOR_DATA : 0;
    scratch[0] = now.scratch;
    scratch[1] = 0;
    left_interrupts = left_nmis = 0;
    probe_fill(act);
    state_read(found);
    state_prepare(act, found);
    state_read(before);
    now.events = 0;
    now.act = act;
    probe_enter(&now.start, &now.stack);
    now.act = NULL;
    state_read(after);
    if ((act->flags & (ACT_IPI | ACT_TIMER)) != 0) {
        __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" ::: "memory");
    }
    apic_write(REG_INITIAL, 0);
    state_write(after, found);
    outcome_tell(before, after);
    gate_set(6, 0, 1, true);
    gate_set(13, 0, 1, true);
}

void say_act(const char *name, const char *text, const char *want) {
    put_text("act ");
    put_text(name);
    put_text(" = ");
    put_text(text);
    put_text("\n");
    acts_run++;
    if (want[0] != 0 && !text_equal(text, want)) {
        acts_wrong++;
        put_text("not ok - ");
        put_text(name);
        put_text(": must be ");
        put_text(want);
        put_text("\n");
    }
}

void run_acts(const struct act *from, const struct act *to) {
    for (const struct act *a = from; a < to; a++) {
        probe_run(a);
        say_act(a->name, outcome.text, a->want);
    }
}
