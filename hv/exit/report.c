/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a VM that had to be stopped: why, where, all registers, the raw exit, the bytes at
 * RIP. Written for the admin at two in the morning and for the engineer after him.
 */
#include "hv/exit/exit.h"
#include "hv/exit/fetch.h"
#include "hv/lib/fmt.h"
#include "hv/lib/log.h"
#include "hv/lib/str.h"

typedef unsigned long long ull;

static void report_registers(struct vcpu *v) {
    const uint64_t *r = v->regs;
    vm_log(v->vm, LOG_INFO, "  rip %016llx  rsp %016llx  rflags %08llx", (ull)hvm->get(v, HVM_RIP),
           (ull)hvm->get(v, HVM_RSP), (ull)hvm->get(v, HVM_RFLAGS));
    vm_log(v->vm, LOG_INFO, "  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", (ull)r[0],
           (ull)r[3], (ull)r[1], (ull)r[2]);
    vm_log(v->vm, LOG_INFO, "  rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx", (ull)r[6],
           (ull)r[7], (ull)r[5], (ull)r[8]);
    vm_log(v->vm, LOG_INFO, "  r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx", (ull)r[9],
           (ull)r[10], (ull)r[11], (ull)r[12]);
    vm_log(v->vm, LOG_INFO, "  r13 %016llx  r14 %016llx  r15 %016llx", (ull)r[13], (ull)r[14],
           (ull)r[15]);
    vm_log(v->vm, LOG_INFO, "  cr0 %08llx  cr3 %016llx  cr4 %08llx  efer %llx",
           (ull)hvm->get(v, HVM_CR0), (ull)hvm->get(v, HVM_CR3), (ull)hvm->get(v, HVM_CR4),
           (ull)hvm->get(v, HVM_EFER));
}

static void report_segments(struct vcpu *v) {
    static const char *const names[] = {"es", "cs",   "ss", "ds",   "fs",
                                        "gs", "ldtr", "tr", "gdtr", "idtr"};
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        struct hvm_segment s;
        hvm->get_segment(v, (enum hvm_seg)i, &s);
        vm_log(v->vm, LOG_INFO, "  %-4s %04x  base %016llx  limit %08x  attr %05x", names[i],
               s.selector, (ull)s.base, s.limit, s.attr);
    }
}

static void report_code(struct vcpu *v) {
    uint8_t bytes[FETCH_MAX];
    char text[3 * FETCH_MAX + 1] = "";
    size_t n = fetch_code(v, bytes, sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        (void)fmt_print(text + 3 * i, sizeof(text) - 3 * i, " %02x", bytes[i]);
    }
    vm_log(v->vm, LOG_INFO, "  code at rip:%s", n != 0 ? text : " cannot be read");
}

enum action exit_crash(struct vcpu *v, const struct vmexit *x, const char *reason) {
    vm_log(v->vm, LOG_ERROR, "stopped: %s", reason);
    vm_log(v->vm, LOG_INFO, "  vcpu %u  exit kind %u  length %u", v->index, (unsigned)x->kind,
           x->insn_len);
    report_registers(v);
    report_segments(v);
    report_code(v);
    hvm->dump(v);
    vm_leave(v->vm, LEAVE_CRASH, reason);
    return ACTION_RETRY;
}
