/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VT-x per host CPU: what it has, may it be used, switch it on. Called at start on every CPU. Must
 * not know about VMs.
 * Sources: Intel SDM vol. 3 "Enabling and Entering VMX Operation", "Restrictions on VMX Operation".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/lib/phys.h"

#define MSR_VMX_BASIC       0x480u
#define MSR_VMX_PIN         0x481u /* and on: PROC, EXIT, ENTRY */
#define MSR_VMX_FIXED       0x486u /* CR0: bits that are 1, that may be; CR4: the same */
#define MSR_VMX_PROC2       0x48bu
#define MSR_VMX_EPT_VPID    0x48cu
#define MSR_VMX_TRUE_OFFSET 0x0cu /* MSR_VMX_PIN .. ENTRY + this: the TRUE controls */

#define BASIC_TRUE_CONTROLS BIT(55)

#define FEATURE_LOCKED      BIT(0)
#define FEATURE_VMX_OUTSIDE BIT(2)

SEALED struct vmx_caps vmx_caps;
SEALED uint32_t vmx_controls[VMX_WORDS];

static struct vmx_allowed vmx_allowed_read(uint32_t msr) {
    uint64_t v = msr_read(msr);
    return (struct vmx_allowed){.must = (uint32_t)v, .may = (uint32_t)(v >> 32)};
}

struct vmx_caps vmx_caps_read(void) {
    uint64_t basic = msr_read(MSR_VMX_BASIC);
    struct vmx_caps c = {.revision = basic & 0x7fffffff,
                         .cr0_fixed0 = msr_read(MSR_VMX_FIXED),
                         .cr0_fixed1 = msr_read(MSR_VMX_FIXED + 1),
                         .cr4_fixed0 = msr_read(MSR_VMX_FIXED + 2),
                         .cr4_fixed1 = msr_read(MSR_VMX_FIXED + 3)};
    uint32_t first = MSR_VMX_PIN + ((basic & BASIC_TRUE_CONTROLS) != 0 ? MSR_VMX_TRUE_OFFSET : 0);
    for (unsigned i = VMX_PIN; i <= VMX_ENTRY; i++) {
        c.allowed[i] = vmx_allowed_read(first + i);
    }
    if ((c.allowed[VMX_PROC].may & PROC_SECONDARY) != 0) {
        c.allowed[VMX_PROC2] = vmx_allowed_read(MSR_VMX_PROC2);
        if ((c.allowed[VMX_PROC2].may & (PROC2_EPT | PROC2_VPID)) != 0) {
            c.allowed[VMX_EPT].may = (uint32_t)msr_read(MSR_VMX_EPT_VPID);
        }
    }
    return c;
}

bool vmx_locked_off(void) {
    uint64_t feature = msr_read(X86_MSR_FEATURE_CONTROL);
    return (feature & FEATURE_LOCKED) != 0 && (feature & FEATURE_VMX_OUTSIDE) == 0;
}

/* Hybrid or mismatched CPUs: every CPU must offer what the boot CPU's controls use. */
static bool vmx_same_caps(struct vmx_caps *mine) {
    *mine = vmx_caps_read();
    bool same = mine->revision == vmx_caps.revision;
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        uint32_t word = vmx_controls[i];
        same &= (mine->allowed[i].must & ~word) == 0 && (word & ~mine->allowed[i].may) == 0;
    }
    return same;
}

enum status vmx_cpu_on(void) {
    struct cpu *cpu = cpu_current();
    struct vmx_caps mine;
    if (!cpu_has(CPU_HAS_VMX) || vmx_locked_off() || !vmx_same_caps(&mine)) {
        log_error("VT-x: CPU %u does not offer what CPU 0 does, or has it locked off" MSG(4026),
                  cpu->index);
        return STATUS_UNSUPPORTED;
    }
    if ((msr_read(X86_MSR_FEATURE_CONTROL) & FEATURE_LOCKED) == 0) {
        msr_write(X86_MSR_FEATURE_CONTROL,
                  msr_read(X86_MSR_FEATURE_CONTROL) | FEATURE_LOCKED | FEATURE_VMX_OUTSIDE);
    }
    cpu->vendor_page[0] = mine.revision;
    cr0_write((cr0_read() | mine.cr0_fixed0) & mine.cr0_fixed1);
    cr4_write((cr4_read() | mine.cr4_fixed0 | X86_CR4_VMXE) & mine.cr4_fixed1);
    hpa_t hpa = phys_address(cpu->vendor_page);
    bool failed;
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(hpa.v) : "memory");
    if (failed) {
        log_error("VT-x: VMXON failed on CPU %u" MSG(4027), cpu->index);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

/* "" for one of several in a row that is not the first. */
static const char *vmcs_field_name(uint16_t code) {
    static const struct {
        uint16_t code;
        const char *name;
    } names[] = {
#define VMCS_FIELD_NAME(bits, name, encoding) {encoding, #name},
        VMCS_FIELDS(VMCS_FIELD_NAME)};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "";
}

void vmcs_access_failed(uint16_t code, bool write) {
    plat_panic("VT-x: %s of VMCS field %#x %s failed" MSG(5119), write ? "VMWRITE" : "VMREAD", code,
               vmcs_field_name(code));
}
