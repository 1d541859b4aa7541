/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether AMD-V can be used, and what guests get of it. Called once, on the first CPU; the others
 * have to offer the same (cpu.c).
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/lib/fmt.h"

static void svm_avoid(void) {
    static const struct {
        enum config_avoid feature;
        uint32_t bit;
    } avoidable[] = {
        {.feature = AVOID_CLEAN_BITS, .bit = SVM_HAS_CLEAN_BITS},
        {.feature = AVOID_NEXT_RIP, .bit = SVM_HAS_NEXT_RIP},
        {.feature = AVOID_DECODE_ASSISTS, .bit = SVM_HAS_DECODE_ASSIST},
        {.feature = AVOID_FLUSH_BY_ASID, .bit = SVM_HAS_FLUSH_BY_ASID},
        {.feature = AVOID_BUS_LOCKS, .bit = SVM_HAS_BUS_LOCK},
    };
    for (size_t i = 0; i < ARRAY_SIZE(avoidable); i++) {
        svm_caps.features &= avoid_wants(avoidable[i].feature) ? ~avoidable[i].bit : UINT32_MAX;
    }
    if (avoid_wants(AVOID_CLEAN_BITS)) {
        svm_caps.clean = 0;
    }
}

enum status svm_probe(void) {
    if (!cpu_has(CPU_HAS_SVM)) {
        return STATUS_UNSUPPORTED;
    }
    if (svm_locked_off()) {
        return both_locked_off("AMD-V", "SVM Mode");
    }

    bool huge = cpu_has(CPU_HAS_1GIB_PAGES) && !avoid_wants(AVOID_1G);
    svm_caps = svm_caps_read();
    svm_avoid();
    uint32_t f = svm_caps.features;
    if ((f & SVM_HAS_NESTED_PAGING) == 0 || svm_caps.asids <= SVM_ASID_COMPARTMENT) {
        log_error("AMD-V: this CPU lacks nested paging" MSG(4023));
        return STATUS_UNSUPPORTED;
    }
    /* Not HVM_EFER_PASSES: it has SVME set, which is not for guests to see. */
    idt_use_no_tss();
    svm_ops.features = HVM_RDTSCP | HVM_INVPCID | HVM_MSRS_C001;
    svm_ops.npt_max_level = huge ? 3 : 2;
    log_info("AMD-V: nested pages up to %s, %u ASIDs, next RIP %s, decode assists %s, flush by "
             "ASID %s, VMCB clean bits %s",
             huge ? "1 GiB" : "2 MiB", svm_caps.asids, fmt_yes_no((f & SVM_HAS_NEXT_RIP) != 0),
             fmt_yes_no((f & SVM_HAS_DECODE_ASSIST) != 0),
             fmt_yes_no((f & SVM_HAS_FLUSH_BY_ASID) != 0), fmt_yes_no(svm_caps.clean != 0));
    return STATUS_OK;
}
