/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a VM that had to be stopped: why, where, all registers, its compartment, the bytes
 * at RIP, the raw exit, the exits before it, and what the config says of crashes. Written for the
 * admin at two in the morning and for the engineer after him.
 */
#include "hv/exit/exit.h"
#include "hv/exit/hardware.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/vm/upcall.h"

static void report_registers(struct vcpu *v) {
    const char *const *names = hvm_gpr_names;
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    for (unsigned i = 0; i < 16; i += 4) {
        const uint64_t *r = &v->regs[i];
        vm_log(v->vm, LOG_INFO, "  %-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx",
               names[i], (ull)r[0], names[i + 1], (ull)r[1], names[i + 2], (ull)r[2], names[i + 3],
               (ull)r[3]);
    }
    vm_log(v->vm, LOG_INFO, "  rip %016llx  rflags %08llx  cr0 %08llx  cr3 %016llx  cr4 %08llx",
           (ull)hvm->get(v, HVM_RIP), (ull)hvm->get(v, HVM_RFLAGS), (ull)hvm->get(v, HVM_CR0),
           (ull)hvm->get(v, HVM_CR3), (ull)hvm->get(v, HVM_CR4));
}

static void report_segments(struct vcpu *v) {
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        struct hvm_segment s;
        hvm->get_segment(v, (enum hvm_seg)i, &s);
        vm_log(v->vm, LOG_INFO, "  %-4s %04x  base %016llx  limit %08x  attr %05x",
               hvm_segment_names[i], s.selector, (ull)s.base, s.limit, s.attr);
    }
}

#define REPORT_EXITS 16u

#define CODE_BYTES 15 /* of the longest instruction */

static void report_code(struct vcpu *v) {
    uint8_t bytes[CODE_BYTES];
    char text[3 * CODE_BYTES + 1] = "";
    size_t n = hardware_code(v, bytes, sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        (void)fmt_print(text + 3 * i, sizeof(text) - 3 * i, " %02x", bytes[i]);
    }
    vm_log(v->vm, LOG_INFO, "  code at rip:%s", n != 0 ? text : " cannot be read");
}

/* The oldest first, and last the one that is reported. */
static void report_exits(struct vcpu *v) {
    struct recorder_clock clock = recorder_clock();
    char line[RECORDER_LINE];

    v->recorder.now->outcome = RECORDER_AT_WORK;
    for (unsigned age = REPORT_EXITS; age-- > 0;) {
        const struct exit_record *e = recorder_exit(&v->recorder, age);
        if (e != NULL) {
            vm_log(v->vm, LOG_INFO, "  exit %s", recorder_format(line, e, &clock));
        }
    }
}

/* What it was last asked for, and how far that came. */
static void report_compartment(struct vcpu *v) {
    const char *state = "waits";

    if (vcpu_compartment_failed(v)) {
        state = "failed";
    } else if ((v->upcall_flags & UPCALL_RUNS) != 0) {
        state = "at work";
    }
    vm_log(v->vm, LOG_INFO, "  compartment %s: upcall %llu, %s, its rip %#llx", state,
           (ull)v->upcalls, upcall_name(v->upcall), (ull)v->compartment_rip);
}

static void report_policy(struct vcpu *v) {
    static const char *const names[] = {
        [ON_CRASH_RESTART] = "restart", [ON_CRASH_STOP] = "stop", [ON_CRASH_HALT] = "halt"};
    const struct config_guest *config = v->vm->plan->config;

    vm_log(v->vm, LOG_INFO, "  policy: on_crash \"%s\", crashes in a row before this one %u of %u",
           names[config->on_crash], v->vm->crashes, (unsigned)VM_CRASH_LIMIT);
}

static void report_raw(struct vcpu *v) {
    const char *left, *right;
    uint64_t a, b = 0;
    for (unsigned i = 0; (left = hvm->raw(v, i, &a)) != NULL; i += 2) {
        right = hvm->raw(v, i + 1, &b);
        vm_log(v->vm, LOG_INFO, "  %-14s %016llx  %-14s %016llx", left, (ull)a,
               right != NULL ? right : "", (ull)b);
    }
}

enum action exit_crash(struct vcpu *v, const struct vmexit *x, const char *reason) {
    vm_log(v->vm, LOG_ERROR, "stopped: %s", reason);
    vm_log(v->vm, LOG_INFO, "  vcpu %u  exit %s  length %u", v->index, exit_kind_names[x->kind],
           x->insn_len);
    report_registers(v);
    report_segments(v);
    report_compartment(v); /* before it is asked for the code */
    report_code(v);
    report_raw(v);
    report_exits(v);
    report_policy(v);
    vcpu_crash(v, exit_kind_names[x->kind], reason);
    return ACTION_RETRY;
}

enum action exit_upcall_failed(struct vcpu *v, const struct vmexit *x) {
    return vcpu_compartment_failed(v) ? exit_crash(v, x, COMPARTMENT_FAILED) : ACTION_RETRY;
}
