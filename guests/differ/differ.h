/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An act: a few instructions run from a known state, and everything that they changed, as one line
 * of text. probe.c runs and prints them, acts.S lists those that need nothing but registers, main.c
 * adds what needs a table or a loop. Runs in a guest; knows the hypervisor by hv/abi.h alone.
 */
#ifndef GUESTS_DIFFER_DIFFER_H
#define GUESTS_DIFFER_DIFFER_H

#ifndef __ASSEMBLER__
#include "guests/test/guest.h"
#endif

#define VECTOR_SOFT  0x40 /* INT n, also from CPL 3 */
#define VECTOR_TIMER 0x41
#define VECTOR_IPI   0x52

#define SELECTOR_CODE      0x10
#define SELECTOR_DATA      0x18
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS       0x30
#define SELECTOR_ABSENT    0x40 /* a data segment that is not present */

/* What surrounds an act. */
#define ACT_USER       0x0001 /* at CPL 3 */
#define ACT_TF         0x0002 /* single-step from the second instruction boundary on */
#define ACT_IF         0x0004 /* interrupts on */
#define ACT_IPI        0x0008 /* a self-IPI is pending */
#define ACT_TIMER      0x0010 /* the local APIC's timer will interrupt */
#define ACT_NMI_AGAIN  0x0020 /* the NMI handler sends itself another NMI */
#define ACT_WATCH_DATA 0x0040 /* breakpoint 0 on the four bytes at RDI */
#define ACT_WATCH_CODE 0x0080 /* breakpoints 0 and 1 on code at +0 and +2 */
#define ACT_NO_UD_GATE 0x0100 /* vector 6 has no present gate */
#define ACT_NO_GP_GATE 0x0200 /* vector 13 neither */
#define ACT_RF         0x0400 /* say of each event whether RFLAGS.RF was pushed */
#define ACT_CALL       0x0800 /* VMCALL in the code: this vendor's */
#define ACT_OTHER_CALL 0x1000 /* the other vendor's */
#define ACT_SET_RF     0x2000 /* begins with RFLAGS.RF set */

#ifndef __ASSEMBLER__

/* Offsets are known to entry.S. By x86 register number; RSP is regs[4]. */
struct probe {
    uint64_t regs[16];
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(offsetof(struct probe, rip) == 128 && sizeof(struct probe) == 168, "entry.S");

/* As acts.S lays it down. */
struct act {
    const char *name;
    const char *want; /* "" = not the same on every CPU: only told */
    const uint8_t *code;
    uint64_t rax, rcx, rdx, flags;
};

struct probe_trap_frame {
    uint64_t regs[16], vector, error, rip, cs, rflags, rsp, ss;
};

/* What came of the last act; text is what is printed behind "act NAME = ". */
struct outcome {
    bool done;          /* came to its end without a fault */
    uint64_t answer[4]; /* RAX RBX RCX RDX */
    char text[240];
};
extern struct outcome outcome;

void probe_init(void);
/* Runs act, fills outcome, puts every register back that it changed. */
void probe_run(const struct act *act);
/* Prints the line of an act; want as in struct act. */
void say_act(const char *name, const char *text, const char *want);
void run_acts(const struct act *from, const struct act *to);
/* Makes all of memory that is mapped one to one reachable from CPL 3, or not. */
void probe_user_pages(bool on);

/* Text building, cut at the end of a line. */
void text_clear(char *line);
void text_add(char *line, const char *text);
void text_add_hex(char *line, uint64_t value);

extern unsigned acts_run, acts_wrong;
extern bool vendor_is_amd;

/* acts.S: tables and single pieces of code. */
extern const struct act acts_plain[], acts_plain_end[], acts_xcr0[], acts_xcr0_end[], acts_user[],
    acts_user_end[], acts_last[], acts_last_end[];
extern const uint8_t code_cpuid[], code_rdmsr[], code_wrmsr[], code_in8[], code_in16[], code_in32[],
    code_out8[], code_out16[], code_out32[], code_write_cr4[];

/* entry.S */
void probe_enter(const struct probe *probe, uint64_t *stack);
extern const uint8_t probe_done[], probe_stubs[256][16];
void probe_trap(struct probe_trap_frame *frame);

#endif
#endif
