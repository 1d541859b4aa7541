/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the question "which controls": one table of needed and wanted bits, answered from the
 * capability words. No hardware access, so that the unit tests run it on the host as it is.
 */
#include "arch/x86_64/vmx/caps.h"

#include "hv/lib/str.h"
#include "hv/plan/config.h"

enum vmx_use {
    NEED,
    WANT,   /* taken where it is offered */
    APIC,   /* wanted if all of them are there */
    POST,   /* the same, of them and of APIC's */
    TOGGLE, /* switched at run time, so both values must be allowed */
    /* CPUs without the TRUE capability MSRs may insist on it; then every CR3 load or RDTSC of a
     * guest would exit. */
    OFF,
};

/* What the controls get, and what the CPU must allow. */
static const struct vmx_use_rule {
    bool set, must_have, must_allow_off;
} vmx_use_rules[] = {
    [NEED] = {.set = true, .must_have = true},
    [WANT] = {.set = true},
    [APIC] = {.set = true},
    [POST] = {.set = true},
    [TOGGLE] = {.must_have = true, .must_allow_off = true},
    [OFF] = {.must_allow_off = true},
};

/* The APIC rows of VMX_PROC2. */
#define PROC2_APIC                                                                                 \
    (PROC2_APIC_PAGE | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTERRUPTS)

struct vmx_choice {
    uint8_t word, use; /* enum vmx_word, enum vmx_use */
    uint32_t bit;
    const char *name;
};

static const struct vmx_choice vmx_choices[] = {
    {VMX_PIN, NEED, PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting"},
    {VMX_PIN, NEED, PIN_NMI, "NMI exiting"},
    {VMX_PIN, NEED, PIN_VIRTUAL_NMIS, "virtual NMIs"},
    {VMX_PROC, NEED, PROC_TSC_OFFSET, "TSC offsetting"},
    {VMX_PROC, NEED, PROC_HLT, "HLT exiting"},
    {VMX_PROC, NEED, PROC_MWAIT, "MWAIT exiting"},
    {VMX_PROC, NEED, PROC_RDPMC, "RDPMC exiting"},
    {VMX_PROC, NEED, PROC_CR8_LOAD, "CR8-load exiting"},
    {VMX_PROC, NEED, PROC_CR8_STORE, "CR8-store exiting"},
    {VMX_PROC, NEED, PROC_IO_BITMAPS, "I/O bitmaps"},
    {VMX_PROC, NEED, PROC_MSR_BITMAPS, "MSR bitmaps"},
    {VMX_PROC, NEED, PROC_MONITOR, "MONITOR exiting"},
    {VMX_PROC, NEED, PROC_SECONDARY, "secondary controls"},
    {VMX_PROC2, NEED, PROC2_EPT, "extended page tables (EPT)"},
    {VMX_PROC2, NEED, PROC2_UNRESTRICTED, "unrestricted guest"},
    {VMX_PROC2, WANT, PROC2_WBINVD, "WBINVD exiting"},
    {VMX_PROC2, WANT, PROC2_VPID, "VPID"},
    {VMX_PROC2, WANT, PROC2_RDTSCP, "RDTSCP"},
    {VMX_PROC2, WANT, PROC2_INVPCID, "INVPCID"},
    {VMX_PROC2, WANT, PROC2_BUS_LOCK, "bus-lock detection"},
    {VMX_PROC, APIC, PROC_TPR_SHADOW, "TPR shadow"},
    {VMX_PROC2, APIC, PROC2_APIC_PAGE, "virtual APIC page"},
    {VMX_PROC2, APIC, PROC2_X2APIC, "virtual x2APIC mode"},
    {VMX_PROC2, APIC, PROC2_APIC_REGISTERS, "APIC-register virtualization"},
    {VMX_PROC2, APIC, PROC2_VIRTUAL_INTERRUPTS, "virtual-interrupt delivery"},
    {VMX_PIN, POST, PIN_POSTED, "posted interrupts"},
    {VMX_EXIT, POST, EXIT_ACKNOWLEDGE, "acknowledging interrupts with the exit"},
    {VMX_EPT, NEED, EPT_CAP_4_LEVELS, "EPT with 4 levels"},
    {VMX_EPT, NEED, EPT_CAP_WRITE_BACK, "EPT write-back memory"},
    {VMX_EPT, NEED, EPT_CAP_2M, "EPT pages of 2 MiB"},
    {VMX_EPT, WANT, EPT_CAP_1G, "EPT pages of 1 GiB"},
    {VMX_EPT, NEED, EPT_CAP_INVEPT, "INVEPT"},
    {VMX_EPT, NEED, EPT_CAP_INVEPT_ALL, "INVEPT of all contexts"},
    {VMX_EXIT, NEED, EXIT_SAVE_DEBUG, "save debug controls"},
    {VMX_EXIT, NEED, EXIT_HOST_64, "64-bit host"},
    {VMX_EXIT, NEED, EXIT_SAVE_PAT, "save IA32_PAT"},
    {VMX_EXIT, NEED, EXIT_LOAD_PAT, "load IA32_PAT at exit"},
    {VMX_EXIT, NEED, EXIT_SAVE_EFER, "save IA32_EFER"},
    {VMX_EXIT, NEED, EXIT_LOAD_EFER, "load IA32_EFER at exit"},
    {VMX_ENTRY, NEED, ENTRY_LOAD_DEBUG, "load debug controls"},
    {VMX_ENTRY, NEED, ENTRY_LOAD_PAT, "load IA32_PAT at entry"},
    {VMX_ENTRY, NEED, ENTRY_LOAD_EFER, "load IA32_EFER at entry"},
    {VMX_PROC, TOGGLE, PROC_INTERRUPT_WINDOW, "interrupt-window exiting"},
    {VMX_PROC, TOGGLE, PROC_NMI_WINDOW, "NMI-window exiting"},
    {VMX_ENTRY, TOGGLE, ENTRY_IA32E, "IA-32e mode guest"},
    {VMX_PROC, OFF, PROC_CR3_LOAD, "CR3-load exiting switched off"},
    {VMX_PROC, OFF, PROC_CR3_STORE, "CR3-store exiting switched off"},
    {VMX_PROC, OFF, PROC_INVLPG, "INVLPG exiting switched off"},
    {VMX_PROC, OFF, PROC_RDTSC, "RDTSC exiting switched off"},
};

void vmx_caps_avoid(struct vmx_caps *caps, uint32_t avoid) {
    static const struct {
        uint32_t feature, word, bit; /* enum config_avoid, enum vmx_word */
    } avoidable[] = {
        {.feature = AVOID_APICV, .word = VMX_PROC2, .bit = PROC2_VIRTUAL_INTERRUPTS},
        {.feature = AVOID_POSTING, .word = VMX_PIN, .bit = PIN_POSTED},
        {.feature = AVOID_VPID, .word = VMX_PROC2, .bit = PROC2_VPID},
        {.feature = AVOID_BUS_LOCKS, .word = VMX_PROC2, .bit = PROC2_BUS_LOCK},
        {.feature = AVOID_1G, .word = VMX_EPT, .bit = EPT_CAP_1G},
    };
    for (size_t i = 0; i < ARRAY_SIZE(avoidable); i++) {
        if ((avoid & BIT32(avoidable[i].feature)) != 0) {
            caps->allowed[avoidable[i].word].may &= ~avoidable[i].bit;
        }
    }
}

enum status vmx_controls_choose(const struct vmx_caps *caps, uint32_t out[VMX_WORDS],
                                void (*missing)(const char *what)) {
    uint32_t words[VMX_WORDS];
    bool whole[] = {[APIC] = true, [POST] = true, [OFF] = false}; /* so far, of each use */
    enum status s = STATUS_OK;
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        words[i] = caps->allowed[i].must;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vmx_choices); i++) {
        const struct vmx_choice *t = &vmx_choices[i];
        bool may = (caps->allowed[t->word].may & t->bit) != 0;
        bool must = (caps->allowed[t->word].must & t->bit) != 0;
        const struct vmx_use_rule *rule = &vmx_use_rules[t->use];
        if (may && rule->set) {
            words[t->word] |= t->bit;
        }
        if (!may || must) {
            whole[t->use] = false;
        }
        if ((!may && rule->must_have) || (must && rule->must_allow_off)) {
            missing(t->name);
            s = STATUS_UNSUPPORTED;
        }
    }
    bool apic = whole[APIC], post = apic && whole[POST];
    /* With it MOV CR8 needs no exits. */
    words[VMX_PROC] &=
        ~(apic ? PROC_CR8_LOAD | PROC_CR8_STORE : PROC_TPR_SHADOW) | caps->allowed[VMX_PROC].must;
    words[VMX_PROC2] &= apic ? UINT32_MAX : ~PROC2_APIC | caps->allowed[VMX_PROC2].must;
    if (!post) {
        words[VMX_PIN] &= ~PIN_POSTED | caps->allowed[VMX_PIN].must;
        words[VMX_EXIT] &= ~EXIT_ACKNOWLEDGE | caps->allowed[VMX_EXIT].must;
    }
    if (s == STATUS_OK) {
        memcpy(out, words, sizeof(words));
    }
    return s;
}
