/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vendor that was chosen, and the words for what its exits are. See hvm.h.
 */
#include "hv/vm/hvm.h"

SEALED struct hvm_ops *hvm;

const char *const hvm_gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

const char *const hvm_segment_names[HVM_SEG_COUNT] = {
    [HVM_ES] = "es", [HVM_CS] = "cs",    [HVM_SS] = "ss", [HVM_DS] = "ds",    [HVM_FS] = "fs",
    [HVM_GS] = "gs", [HVM_LDT] = "ldtr", [HVM_TR] = "tr", [HVM_GDT] = "gdtr", [HVM_IDT] = "idtr"};

const char *const exit_kind_names[EXIT_KINDS] = {
    [EXIT_UNKNOWN] = "unknown",
    [EXIT_CPUID] = "cpuid",
    [EXIT_HYPERCALL] = "hypercall",
    [EXIT_RDMSR] = "rdmsr",
    [EXIT_WRMSR] = "wrmsr",
    [EXIT_IO] = "port",
    [EXIT_NESTED_FAULT] = "memory",
    [EXIT_INTERRUPT] = "host-interrupt",
    [EXIT_WINDOW] = "window",
    [EXIT_NMI_WINDOW] = "nmi-window",
    [EXIT_CHANGED] = "code-changed",
    [EXIT_HLT] = "hlt",
    [EXIT_BUS_LOCK] = "bus-lock",
    [EXIT_CR] = "control-register",
    [EXIT_XSETBV] = "xsetbv",
    [EXIT_EXCEPTION] = "exception",
    [EXIT_HOST_NMI] = "host-nmi",
    [EXIT_HOST_INIT] = "host-init",
    [EXIT_HOST_MCE] = "host-machine-check",
    [EXIT_TRIPLE_FAULT] = "triple-fault",
    [EXIT_TASK_SWITCH] = "task-switch",
    [EXIT_INVALID_OPCODE] = "invalid-opcode",
    [EXIT_PRIVILEGED] = "privileged",
    [EXIT_CACHE] = "cache",
    [EXIT_APIC_WRITE] = "apic-write",
    [EXIT_APIC_EOI] = "apic-eoi",
    [EXIT_ENTRY_FAILED] = "entry-refused",
};
