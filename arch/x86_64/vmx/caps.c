/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question "which controls": one table of needed and wanted bits, answered from the
 * capability words. No hardware access, so that the unit tests run it on the host as it is.
 */
#include "arch/x86_64/vmx/caps.h"

struct vmx_choice {
    enum vmx_word word;
    uint32_t bit;
    bool needed;
    const char *name;
};

static const struct vmx_choice vmx_choices[] = {
    {VMX_PIN, PIN_EXTERNAL_INTERRUPT, true, "external-interrupt exiting"},
    {VMX_PIN, PIN_NMI, true, "NMI exiting"},
    {VMX_PIN, PIN_VIRTUAL_NMI, true, "virtual NMIs"},
    {VMX_PROC, PROC_TSC_OFFSET, true, "TSC offsetting"},
    {VMX_PROC, PROC_HLT, true, "HLT exiting"},
    {VMX_PROC, PROC_MWAIT, true, "MWAIT exiting"},
    {VMX_PROC, PROC_RDPMC, true, "RDPMC exiting"},
    {VMX_PROC, PROC_CR8_LOAD, true, "CR8-load exiting"},
    {VMX_PROC, PROC_CR8_STORE, true, "CR8-store exiting"},
    {VMX_PROC, PROC_IO_BITMAPS, true, "I/O bitmaps"},
    {VMX_PROC, PROC_MSR_BITMAPS, true, "MSR bitmaps"},
    {VMX_PROC, PROC_MONITOR, true, "MONITOR exiting"},
    {VMX_PROC, PROC_SECONDARY, true, "secondary controls"},
    {VMX_PROC2, PROC2_EPT, true, "extended page tables (EPT)"},
    {VMX_PROC2, PROC2_UNRESTRICTED, true, "unrestricted guest"},
    {VMX_PROC2, PROC2_WBINVD, false, "WBINVD exiting"},
    {VMX_PROC2, PROC2_VPID, false, "VPID"},
    {VMX_PROC2, PROC2_RDTSCP, false, "RDTSCP"},
    {VMX_PROC2, PROC2_INVPCID, false, "INVPCID"},
    {VMX_EXIT, EXIT_SAVE_DEBUG, true, "save debug controls"},
    {VMX_EXIT, EXIT_HOST_64, true, "64-bit host"},
    {VMX_EXIT, EXIT_SAVE_PAT, true, "save IA32_PAT"},
    {VMX_EXIT, EXIT_LOAD_PAT, true, "load IA32_PAT at exit"},
    {VMX_EXIT, EXIT_SAVE_EFER, true, "save IA32_EFER"},
    {VMX_EXIT, EXIT_LOAD_EFER, true, "load IA32_EFER at exit"},
    {VMX_ENTRY, ENTRY_LOAD_DEBUG, true, "load debug controls"},
    {VMX_ENTRY, ENTRY_LOAD_PAT, true, "load IA32_PAT at entry"},
    {VMX_ENTRY, ENTRY_LOAD_EFER, true, "load IA32_EFER at entry"},
};

/* Toggled at run time, so they must be allowed to be 1 and to be 0. */
static const struct vmx_choice vmx_toggles[] = {
    {VMX_PROC, PROC_INTERRUPT_WINDOW, true, "interrupt-window exiting"},
    {VMX_PROC, PROC_NMI_WINDOW, true, "NMI-window exiting"},
    {VMX_ENTRY, ENTRY_IA32E, true, "IA-32e mode guest"},
};

/* Forced on by CPUs without the TRUE capability MSRs; a guest's CR3 loads would all exit. */
static const struct vmx_choice vmx_unwanted[] = {
    {VMX_PROC, PROC_CR3_LOAD, true, "CR3-load exiting switched off"},
    {VMX_PROC, PROC_CR3_STORE, true, "CR3-store exiting switched off"},
    {VMX_PROC, PROC_INVLPG, true, "INVLPG exiting switched off"},
    {VMX_PROC, PROC_RDTSC, true, "RDTSC exiting switched off"},
};

struct vmx_ept_need {
    uint64_t bits;
    const char *name;
};

static const struct vmx_ept_need vmx_ept_needs[] = {
    {EPT_CAP_WALK4, "EPT with 4 levels"},
    {EPT_CAP_WB, "EPT write-back memory"},
    {EPT_CAP_2M, "EPT pages of 2 MiB"},
    {EPT_CAP_INVEPT, "INVEPT"},
};

enum status vmx_controls_choose(const struct vmx_caps *caps, struct vmx_controls *out,
                                void (*missing)(const char *what)) {
    struct vmx_controls c = {.vpid = false};
    bool ok = true;
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        c.word[i] = caps->allowed[i].must;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_choices); i++) {
        const struct vmx_choice *t = &vmx_choices[i];
        if ((caps->allowed[t->word].may & t->bit) != 0) {
            c.word[t->word] |= t->bit;
        } else if (t->needed) {
            missing(t->name);
            ok = false;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_toggles); i++) {
        const struct vmx_choice *t = &vmx_toggles[i];
        if ((caps->allowed[t->word].may & ~caps->allowed[t->word].must & t->bit) == 0) {
            missing(t->name);
            ok = false;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_unwanted); i++) {
        const struct vmx_choice *t = &vmx_unwanted[i];
        if ((caps->allowed[t->word].must & t->bit) != 0) {
            missing(t->name);
            ok = false;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_ept_needs); i++) {
        if ((caps->ept & vmx_ept_needs[i].bits) == 0) {
            missing(vmx_ept_needs[i].name);
            ok = false;
        }
    }
    if (!ok) {
        return STATUS_UNSUPPORTED;
    }
    uint64_t invvpid = EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL;
    if ((caps->ept & EPT_CAP_INVVPID) == 0 || (caps->ept & invvpid) == 0) {
        c.word[VMX_PROC2] &= ~PROC2_VPID; /* a VPID that cannot be flushed is worse than none */
    }
    c.vpid = (c.word[VMX_PROC2] & PROC2_VPID) != 0;
    c.ept_levels = (caps->ept & EPT_CAP_1G) != 0 ? 3 : 2;
    *out = c;
    return STATUS_OK;
}
