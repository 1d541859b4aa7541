/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD-V per host CPU: what it has, may it be used, switch it on. Called at start on every CPU. Must
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

#define LEAF_SVM 0x8000000au

SEALED struct svm_caps svm_caps;

struct svm_caps svm_caps_read(void) {
    uint32_t r[4];
    plat_cpuid(LEAF_SVM, 0, r);
    return (struct svm_caps){.features = r[EDX],
                             .asids = r[EBX],
                             .clean = (r[EDX] & SVM_HAS_CLEAN_BITS) != 0 ? CLEAN_STATE : 0};
}

bool svm_locked_off(void) {
    uint64_t vm_cr = msr_read(MSR_VM_CR);
    bool locked = (vm_cr & VM_CR_LOCK) != 0 || (svm_caps_read().features & SVM_HAS_LOCK) == 0;
    return (vm_cr & VM_CR_DISABLED) != 0 && locked;
}

static bool svm_same_caps(void) {
    struct svm_caps mine = svm_caps_read();
    return (svm_caps.features & ~mine.features) == 0 && mine.asids >= svm_caps.asids;
}

enum status svm_cpu_on(void) {
    struct cpu *cpu = cpu_current();
    if (!cpu_has(CPU_HAS_SVM) || svm_locked_off() || !svm_same_caps()) {
        log_error("AMD-V: CPU %u does not offer what CPU 0 does, or has it locked off" MSG(4024),
                  cpu->index);
        return STATUS_UNSUPPORTED;
    }
    msr_write(MSR_VM_CR, msr_read(MSR_VM_CR) & ~VM_CR_DISABLED);
    msr_write(X86_MSR_EFER, msr_read(X86_MSR_EFER) | X86_EFER_SVME);
    msr_write(MSR_VM_HSAVE_PA, phys_address(cpu->vendor_page).v);
    return STATUS_OK;
}
