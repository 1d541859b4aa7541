/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether VT-x can be used, with which controls, and what guests get of it. Called once, on the
 * first CPU; the others have to offer the same (cpu.c).
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/lib/fmt.h"

/* By secondary control. */
static const struct {
    uint32_t control, feature;
} vmx_features[] = {
    {PROC2_RDTSCP, HVM_RDTSCP},
    {PROC2_INVPCID, HVM_INVPCID},
    {PROC2_VIRTUAL_INTERRUPTS, HVM_APIC},
};

static void vmx_missing(const char *what) {
    log_error("VT-x: this CPU lacks %s" MSG(4025), what);
}

enum status vmx_probe(void) {
    if (!cpu_has(CPU_HAS_VMX)) {
        return STATUS_UNSUPPORTED;
    }
    if (vmx_locked_off()) {
        return both_locked_off("VT-x", "Intel Virtualization Technology");
    }
    vmx_caps = vmx_caps_read();
    vmx_caps_avoid(&vmx_caps, avoid_set());
    enum status s = vmx_controls_choose(&vmx_caps, vmx_controls, vmx_missing);
    if (s != STATUS_OK) {
        return s;
    }

    uint32_t proc2 = vmx_controls[VMX_PROC2];
    bool huge = (vmx_controls[VMX_EPT] & EPT_CAP_1G) != 0;
    vmx_ops.features = HVM_EFER_PASSES;
    for (size_t i = 0; i < ARRAY_SIZE(vmx_features); i++) {
        vmx_ops.features |= (proc2 & vmx_features[i].control) != 0 ? vmx_features[i].feature : 0;
    }
    bool posting = (vmx_controls[VMX_PIN] & PIN_POSTED) != 0;
    vmx_ops.features |= posting ? HVM_POSTING : 0;
    vmx_ops.npt_max_level = huge ? 3 : 2;
    log_info(
        "VT-x: EPT with pages up to %s, VPID %s, APIC virtualization %s, posted interrupts %s, "
        "bus-lock exits %s",
        huge ? "1 GiB" : "2 MiB", fmt_yes_no((proc2 & PROC2_VPID) != 0),
        fmt_yes_no((proc2 & PROC2_VIRTUAL_INTERRUPTS) != 0), fmt_yes_no(posting),
        fmt_yes_no((proc2 & PROC2_BUS_LOCK) != 0));
    return STATUS_OK;
}
