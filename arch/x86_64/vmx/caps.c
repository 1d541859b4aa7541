/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question "which controls": one table of needed and wanted bits, answered from the
 * capability words. No hardware access, so that the unit tests run it on the host as it is.
 */
#include "arch/x86_64/vmx/caps.h"

#include "hv/lib/str.h"

/* APIC: wanted if all of them are there. TOGGLE: switched at run time, so both values must be
 * allowed. OFF: CPUs without the TRUE capability MSRs may insist on it, and then every CR3 load or
 * RDTSC of a guest would exit. */
enum vmx_use { NEED, WANT, APIC, TOGGLE, OFF };

#define PROC2_APIC 0x311u /* the APIC rows of VMX_PROC2 */

struct vmx_choice {
    uint8_t word, use; /* enum vmx_word, enum vmx_use */
    uint32_t bit;
    const char *name;
};

static const struct vmx_choice vmx_choices[] = {
    {VMX_PIN, NEED, BIT32(0), "external-interrupt exiting"},
    {VMX_PIN, NEED, BIT32(3), "NMI exiting"},
    {VMX_PIN, NEED, BIT32(5), "virtual NMIs"},
    {VMX_PROC, NEED, BIT32(3), "TSC offsetting"},
    {VMX_PROC, NEED, BIT32(7), "HLT exiting"},
    {VMX_PROC, NEED, BIT32(10), "MWAIT exiting"},
    {VMX_PROC, NEED, BIT32(11), "RDPMC exiting"},
    {VMX_PROC, NEED, PROC_CR8_LOAD, "CR8-load exiting"},
    {VMX_PROC, NEED, PROC_CR8_STORE, "CR8-store exiting"},
    {VMX_PROC, NEED, BIT32(25), "I/O bitmaps"},
    {VMX_PROC, NEED, BIT32(28), "MSR bitmaps"},
    {VMX_PROC, NEED, BIT32(29), "MONITOR exiting"},
    {VMX_PROC, NEED, PROC_SECONDARY, "secondary controls"},
    {VMX_PROC2, NEED, PROC2_EPT, "extended page tables (EPT)"},
    {VMX_PROC2, NEED, BIT32(7), "unrestricted guest"},
    {VMX_PROC2, WANT, BIT32(6), "WBINVD exiting"},
    {VMX_PROC2, WANT, PROC2_VPID, "VPID"},
    {VMX_PROC2, WANT, PROC2_RDTSCP, "RDTSCP"},
    {VMX_PROC2, WANT, PROC2_INVPCID, "INVPCID"},
    {VMX_PROC2, WANT, PROC2_BUS_LOCK, "bus-lock detection"},
    {VMX_PROC, APIC, PROC_TPR_SHADOW, "TPR shadow"},
    {VMX_PROC2, APIC, PROC2_APIC_PAGE, "virtual APIC page"},
    {VMX_PROC2, APIC, PROC2_X2APIC, "virtual x2APIC mode"},
    {VMX_PROC2, APIC, BIT32(8), "APIC-register virtualization"},
    {VMX_PROC2, APIC, PROC2_VIRTUAL_INTERRUPTS, "virtual-interrupt delivery"},
    {VMX_EPT, NEED, BIT32(6), "EPT with 4 levels"},
    {VMX_EPT, NEED, BIT32(14), "EPT write-back memory"},
    {VMX_EPT, NEED, BIT32(16), "EPT pages of 2 MiB"},
    {VMX_EPT, WANT, EPT_CAP_1G, "EPT pages of 1 GiB"},
    {VMX_EPT, NEED, BIT32(20), "INVEPT"},
    {VMX_EPT, NEED, BIT32(26), "INVEPT of all contexts"},
    {VMX_EXIT, NEED, BIT32(2), "save debug controls"},
    {VMX_EXIT, NEED, BIT32(9), "64-bit host"},
    {VMX_EXIT, NEED, BIT32(18), "save IA32_PAT"},
    {VMX_EXIT, NEED, BIT32(19), "load IA32_PAT at exit"},
    {VMX_EXIT, NEED, BIT32(20), "save IA32_EFER"},
    {VMX_EXIT, NEED, BIT32(21), "load IA32_EFER at exit"},
    {VMX_ENTRY, NEED, BIT32(2), "load debug controls"},
    {VMX_ENTRY, NEED, BIT32(14), "load IA32_PAT at entry"},
    {VMX_ENTRY, NEED, BIT32(15), "load IA32_EFER at entry"},
    {VMX_PROC, TOGGLE, PROC_INTERRUPT_WINDOW, "interrupt-window exiting"},
    {VMX_PROC, TOGGLE, PROC_NMI_WINDOW, "NMI-window exiting"},
    {VMX_ENTRY, TOGGLE, ENTRY_IA32E, "IA-32e mode guest"},
    {VMX_PROC, OFF, BIT32(15), "CR3-load exiting switched off"},
    {VMX_PROC, OFF, BIT32(16), "CR3-store exiting switched off"},
    {VMX_PROC, OFF, BIT32(9), "INVLPG exiting switched off"},
    {VMX_PROC, OFF, BIT32(12), "RDTSC exiting switched off"},
};

enum status vmx_controls_choose(const struct vmx_caps *caps, uint32_t out[VMX_WORDS],
                                void (*missing)(const char *what)) {
    uint32_t words[VMX_WORDS];
    bool apic = true;
    enum status s = STATUS_OK;
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        words[i] = caps->allowed[i].must;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_choices); i++) {
        const struct vmx_choice *t = &vmx_choices[i];
        bool may = (caps->allowed[t->word].may & t->bit) != 0;
        bool must = (caps->allowed[t->word].must & t->bit) != 0;
        if (may && t->use <= APIC) {
            words[t->word] |= t->bit;
        }
        apic = apic && (t->use != APIC || (may && !must));
        if ((!may && (t->use == NEED || t->use == TOGGLE)) || (must && t->use >= TOGGLE)) {
            missing(t->name);
            s = STATUS_UNSUPPORTED;
        }
    }
    /* With it MOV CR8 needs no exits. */
    words[VMX_PROC] &=
        ~(apic ? PROC_CR8_LOAD | PROC_CR8_STORE : PROC_TPR_SHADOW) | caps->allowed[VMX_PROC].must;
    words[VMX_PROC2] &= apic ? UINT32_MAX : ~PROC2_APIC | caps->allowed[VMX_PROC2].must;
    if (s == STATUS_OK) {
        memcpy(out, words, sizeof(words));
    }
    return s;
}
