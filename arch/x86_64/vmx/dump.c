/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VMCS in words, for the report of a VM that was stopped and for a panic. Reads only; in a
 * panic no VMCS may be current, and a failed VMREAD must not panic again.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/vmx/vmx.h"

const char *vmx_raw(struct vcpu *v, unsigned i, uint64_t *value) {
    static const struct {
        uint16_t code;
        const char *name;
    } words[] = {
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
    (void)v;
    if (i >= ARRAY_SIZE(words) || (cr4_read() & X86_CR4_VMXE) == 0) {
        return NULL;
    }
    uint64_t code = words[i].code, word;
    bool failed;
    __asm__ volatile("vmread %2, %0" : "=r"(word), "=@ccbe"(failed) : "r"(code));
    *value = failed ? UINT64_MAX : word;
    return words[i].name;
}
