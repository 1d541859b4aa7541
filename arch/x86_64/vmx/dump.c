/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VMCS in words, for the report of a VM that was stopped. Reads only.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/lib/log.h"
#include "hv/vm/vm.h"

struct vmx_dump_field {
    uint16_t code;
    const char *name;
};

static const struct vmx_dump_field vmx_dump_fields[] = {
    {0x4402, "exit-reason"},
    {0x6400, "qualification"},
    {0x4404, "exit-event"},
    {0x4408, "idt-event"},
    {0x440c, "insn-length"},
    {0x4400, "insn-error"},
    {0x2400, "guest-physical"},
    {0x640a, "guest-linear"},
    {0x6800, "cr0"},
    {0x6004, "cr0-shadow"},
    {0x6802, "cr3"},
    {0x6804, "cr4"},
    {0x6006, "cr4-shadow"},
    {0x2806, "efer"},
    {0x4012, "entry-controls"},
    {0x4002, "proc-controls"},
    {0x401e, "proc2-controls"},
    {0x4016, "entry-event"},
    {0x4824, "interruptible"},
    {0x4826, "activity"},
    {0x6822, "pending-debug"},
};

void vmx_dump(struct vcpu *v) {
    for (size_t i = 0; i < ARRAY_SIZE(vmx_dump_fields); i += 3) {
        const struct vmx_dump_field *f = &vmx_dump_fields[i];
        vm_log(v->vm, LOG_INFO, "  vmcs %-14s %016llx  %-14s %016llx  %-14s %016llx", f[0].name,
               (unsigned long long)vmcs_read_raw(f[0].code), f[1].name,
               (unsigned long long)vmcs_read_raw(f[1].code), f[2].name,
               (unsigned long long)vmcs_read_raw(f[2].code));
    }
}

_Static_assert(ARRAY_SIZE(vmx_dump_fields) % 3 == 0, "three fields a line");

/* The last exit's words in a panic. No VMCS may be current, and a failed VMREAD must not panic
 * again. */
void vmx_panic_dump(void) {
    if ((cr4_read() & X86_CR4_VMXE) == 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_dump_fields); i++) {
        uint64_t value, code = vmx_dump_fields[i].code;
        bool failed;
        __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(failed) : "r"(code));
        if (!failed) {
            panic_print("vmcs %-14s %016llx", vmx_dump_fields[i].name, (unsigned long long)value);
        }
    }
}
