/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a vCPU's registers for the operator, in the words of the manuals. Reads a snapshot only:
 * the guest goes on meanwhile. Called by command.c.
 */
#include "hv/monitor/regs.h"

#include "hv/monitor/console.h"
#include "hv/vm/plat.h"
#include "hv/vm/snapshot.h"

/* A CPU answers after its kick, which takes microseconds; one that scrubs or starts does not. */
#define WAITS_A_SECOND 100u

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

static void print_general(const struct vcpu_snapshot *s) {
    const char *const *names = hvm_gpr_names;
    for (unsigned i = 0; i < 16; i += 4) {
        console_print("  %-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx\n", names[i],
                      (ull)s->regs[i], names[i + 1], (ull)s->regs[i + 1], names[i + 2],
                      (ull)s->regs[i + 2], names[i + 3], (ull)s->regs[i + 3]);
    }
}

static void print_system(const struct vcpu_snapshot *s) {
    console_print("  rip %016llx  rflags %08llx  efer %llx\n", (ull)s->system[HVM_RIP],
                  (ull)s->system[HVM_RFLAGS], (ull)s->system[HVM_EFER]);
    console_print("  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx\n", (ull)s->system[HVM_CR0],
                  (ull)s->system[HVM_CR2], (ull)s->system[HVM_CR3], (ull)s->system[HVM_CR4]);
}

static void print_segments(const struct vcpu_snapshot *s) {
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        const struct hvm_segment *seg = &s->segments[i];
        console_print("  %-4s %04x  base %016llx  limit %08x  attr %05x\n", hvm_segment_names[i],
                      seg->selector, (ull)seg->base, seg->limit, seg->attr);
    }
}

static void show_vcpu(struct vcpu *v) {
    struct vcpu_snapshot s;

    if (v->waiting) {
        console_print("vcpu%u on cpu %u: waits for a startup message\n", v->index, v->cpu);
        return;
    }
    if (!vcpu_snapshot_take(v, &s, plat_tsc_hz() / WAITS_A_SECOND)) {
        console_print("vcpu%u on cpu %u: does not answer\n", v->index, v->cpu);
        return;
    }
    const char *interrupts = (s.system[HVM_RFLAGS] & X86_RFLAGS_IF) != 0 ? "on" : "off";
    console_print("vcpu%u on cpu %u: %s, %s, CPL %u, interrupts %s%s\n", v->index, v->cpu,
                  mode_name(&s), paging_name(&s), s.segments[HVM_SS].attr >> 5 & 3, interrupts,
                  s.halted ? ", in HLT" : "");
    print_general(&s);
    print_system(&s);
    print_segments(&s);
}

void regs_show(struct vm *vm) {
    bool runs = vm->state == VM_RUNNING || vm->state == VM_STOPPING;

    if (!runs) {
        console_print("%s is %s: it has no registers\n", vm->name, vm_state_name(vm->state));
        return;
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        show_vcpu(&vm->vcpus[i]);
    }
}
