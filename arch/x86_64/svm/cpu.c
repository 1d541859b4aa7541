/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD-V per host CPU: is it there, may it be used, switch it on. Called at start on every CPU. Must
 * not know about VMs.
 * Sources: AMD APM vol. 2 "Enabling SVM", "VM_CR MSR"; vol. 3 "CPUID Fn8000_000A".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/lib/phys.h"

#define MSR_VM_CR       0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u

#define VM_CR_LOCK     BIT(3)
#define VM_CR_DISABLED BIT(4)

#define CPU_HAS_SVM ((struct cpu_feature){0x80000001u, ECX, 2})
#define LEAF_SVM    0x8000000au

struct svm_caps svm_caps;

static struct svm_caps svm_caps_read(void) {
    uint32_t r[4];
    plat_cpuid(LEAF_SVM, 0, r);
    return (struct svm_caps){.features = r[EDX],
                             .asids = r[EBX],
                             .clean = (r[EDX] & SVM_HAS_CLEAN_BITS) != 0 ? CLEAN_STATE : 0};
}

/* Where there is no lock, the firmware's choice cannot be undone either. */
static bool svm_locked_off(void) {
    uint64_t vm_cr = msr_read(MSR_VM_CR);
    bool locked = (vm_cr & VM_CR_LOCK) != 0 || (svm_caps_read().features & SVM_HAS_LOCK) == 0;
    return (vm_cr & VM_CR_DISABLED) != 0 && locked;
}

enum status svm_probe(void) {
    if (!cpu_has(CPU_HAS_SVM)) {
        return STATUS_UNSUPPORTED;
    }
    if (svm_locked_off()) {
        log_error("AMD-V is locked off by the firmware: enable \"SVM Mode\" in its setup, then "
                  "switch the machine off and on");
        return STATUS_DENIED;
    }
    svm_caps = svm_caps_read();
    uint32_t f = svm_caps.features;
    if ((f & SVM_HAS_NESTED_PAGING) == 0 || svm_caps.asids <= SVM_ASID_COMPARTMENT) {
        log_error("AMD-V: this CPU lacks nested paging");
        return STATUS_UNSUPPORTED;
    }
    /* Not HVM_EFER_PASSES: it has SVME set, which is not for guests to see. */
    svm_ops.features = HVM_RDTSCP | HVM_INVPCID | HVM_MSRS_C001;
    svm_ops.npt_max_level = cpu_has(CPU_HAS_1GIB_PAGES) ? 3 : 2;
    log_info("AMD-V: nested pages up to %s, %u ASIDs, next RIP %s, decode assists %s, flush by "
             "ASID %s, VMCB clean bits %s",
             svm_ops.npt_max_level == 3 ? "1 GiB" : "2 MiB", svm_caps.asids,
             (f & SVM_HAS_NEXT_RIP) != 0 ? "yes" : "no",
             (f & SVM_HAS_DECODE_ASSIST) != 0 ? "yes" : "no",
             (f & SVM_HAS_FLUSH_BY_ASID) != 0 ? "yes" : "no", svm_caps.clean != 0 ? "yes" : "no");
    return STATUS_OK;
}

static bool svm_same_caps(void) {
    struct svm_caps mine = svm_caps_read();
    return (svm_caps.features & ~mine.features) == 0 && mine.asids >= svm_caps.asids;
}

enum status svm_cpu_on(void) {
    struct cpu *cpu = cpu_current();
    if (!cpu_has(CPU_HAS_SVM) || svm_locked_off() || !svm_same_caps()) {
        log_error("AMD-V: CPU %u does not offer what CPU 0 does, or has it locked off", cpu->index);
        return STATUS_UNSUPPORTED;
    }
    msr_write(MSR_VM_CR, msr_read(MSR_VM_CR) & ~VM_CR_DISABLED);
    msr_write(X86_MSR_EFER, msr_read(X86_MSR_EFER) | X86_EFER_SVME);
    msr_write(MSR_VM_HSAVE_PA, phys_address(cpu->vendor_page).v);
    trap_use_no_tss();
    return STATUS_OK;
}
