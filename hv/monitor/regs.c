/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a vCPU's registers for the operator, in the words of the manuals. Reads a snapshot only:
 * the guest goes on meanwhile. Called by command.c.
 */
#include "hv/monitor/regs.h"

#include "hv/monitor/ask.h"
#include "hv/monitor/console.h"
#include "hv/vm/plat.h"

/* Lines of a vCPU: its state, general registers four a line, two lines of others, segments. */
#define LINE_GENERAL  1u
#define GENERAL_A_ROW 4u
#define LINE_SYSTEM   (LINE_GENERAL + 16 / GENERAL_A_ROW)
#define LINE_SEGMENTS (LINE_SYSTEM + 2)
#define VCPU_LINES    (LINE_SEGMENTS + HVM_SEG_COUNT)

static bool regs_known; /* of the vCPU whose lines are printed */

static const char *mode_name(const struct vcpu_snapshot *s) {
    uint32_t code = s->segments[HVM_CS].attr;
    bool long_mode = (s->system[HVM_EFER] & X86_EFER_LMA) != 0;

    if ((s->system[HVM_CR0] & X86_CR0_PE) == 0) {
        return "real mode";
    }
    if ((s->system[HVM_RFLAGS] & X86_RFLAGS_VM) != 0) {
        return "virtual-8086 mode";
    }
    if (long_mode) {
        return (code & SEG_LONG) != 0 ? "64-bit mode" : "compatibility mode";
    }
    return (code & SEG_BIG) != 0 ? "32-bit protected mode" : "16-bit protected mode";
}

static const char *paging_name(const struct vcpu_snapshot *s) {
    if ((s->system[HVM_CR0] & X86_CR0_PG) == 0) {
        return "no paging";
    }
    if ((s->system[HVM_EFER] & X86_EFER_LMA) != 0) {
        return "4-level paging";
    }
    return (s->system[HVM_CR4] & X86_CR4_PAE) != 0 ? "PAE paging" : "32-bit paging";
}

static void print_general(const struct vcpu_snapshot *s, unsigned row) {
    unsigned i = row * GENERAL_A_ROW;
    const char *const *names = hvm_gpr_names + i;
    const uint64_t *r = s->regs + i;

    console_print("  %-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx\n", names[0], (ull)r[0],
                  names[1], (ull)r[1], names[2], (ull)r[2], names[3], (ull)r[3]);
}

static void print_system(const struct vcpu_snapshot *s, unsigned row) {
    if (row == 0) {
        console_print("  rip %016llx  rflags %08llx  efer %llx\n", (ull)s->system[HVM_RIP],
                      (ull)s->system[HVM_RFLAGS], (ull)s->system[HVM_EFER]);
    } else {
        console_print("  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx\n",
                      (ull)s->system[HVM_CR0], (ull)s->system[HVM_CR2], (ull)s->system[HVM_CR3],
                      (ull)s->system[HVM_CR4]);
    }
}

static void print_segment(const struct vcpu_snapshot *s, unsigned i) {
    const struct hvm_segment *seg = &s->segments[i];
    console_print("  %-4s %04x  base %016llx  limit %08x  attr %05x\n", hvm_segment_names[i],
                  seg->selector, (ull)seg->base, seg->limit, seg->attr);
}

static void print_state(const struct vcpu_public *v, unsigned index) {
    const struct vcpu_snapshot *s = ask_snapshot();

    const char *interrupts = (s->system[HVM_RFLAGS] & X86_RFLAGS_IF) != 0 ? "on" : "off";
    console_print("vcpu%u on cpu %u: %s, %s, CPL %u, interrupts %s%s\n", index, v->cpu,
                  mode_name(s), paging_name(s), s->segments[HVM_SS].attr >> 5 & 3, interrupts,
                  s->halted ? ", in HLT" : "");
}

/* Has the vCPU asked, and prints what became of that. */
static enum show show_state(struct vcpu_public *v, unsigned index) {
    enum ask answer = ask_vcpu(v);
    bool here = answer == ASK_READY && !ask_snapshot()->off; /* it may have ended meanwhile */

    regs_known = here && !ask_snapshot()->waiting;
    if (answer == ASK_WAIT) {
        return SHOW_WAIT;
    }
    if (regs_known) {
        print_state(v, index);
    } else if (here) {
        console_print("vcpu%u on cpu %u: waits for a startup message\n", index, v->cpu);
    } else {
        console_print("vcpu%u on cpu %u: does not answer" MSG(6111) "\n", index, v->cpu);
    }
    return SHOW_PRINTED;
}

static enum show show_vcpu(struct vm_public *vm, unsigned index, unsigned line) {
    if (line == 0) {
        return show_state(vm->vcpus[index], index);
    }
    if (!regs_known) {
        return SHOW_EMPTY;
    }
    if (line < LINE_SYSTEM) {
        print_general(ask_snapshot(), line - LINE_GENERAL);
    } else if (line < LINE_SEGMENTS) {
        print_system(ask_snapshot(), line - LINE_SYSTEM);
    } else {
        print_segment(ask_snapshot(), line - LINE_SEGMENTS);
    }
    return SHOW_PRINTED;
}

enum show regs_show(struct vm_public *vm, unsigned line) {
    bool runs = vm_state_has_vcpus(vm->state);
    unsigned vcpu = line / VCPU_LINES;

    if (line == 0 && !runs) {
        console_print("%s is %s: it has no registers" MSG(6113) "\n", vm->name,
                      vm_state_name(vm->state));
        return SHOW_PRINTED;
    }
    if (vcpu >= vm->vcpu_count || (!runs && !ask_is_open())) {
        return SHOW_END;
    }
    return show_vcpu(vm, vcpu, line % VCPU_LINES);
}
