/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure functions of guest state at VM entry. No VMREAD here. See entry.h. */
#include "arch/x86_64/vmx/entry.h"

#include "arch/x86_64/vmx/caps.h"

#define RFLAGS_DEFINED   0x3f7fd7u /* ID to CF */
#define PENDING_DEFINED  (BITS(0, 3) | BIT(11) | BIT(12) | BIT(14) | BIT(16))
#define PENDING_BS       BIT(14)
#define PDPTE_PRESENT    BIT(0)
#define PDPTE_RESERVED   (BIT(1) | BIT(2) | BITS(5, 8))
#define ACTIVITY_ACTIVE  0u
#define ACTIVITY_HLT     1u
#define EVENT_TYPE_SHIFT 8

static bool entry_is_long(const struct vmx_entry_state *s) {
    return (s->entry_controls & ENTRY_IA32E) != 0;
}

static bool entry_has_event(const struct vmx_entry_state *s, enum event_type type) {
    return (s->event & EVENT_VALID) != 0 && (s->event >> EVENT_TYPE_SHIFT & 7) == type;
}

static bool entry_in_pae_paging(const struct vmx_entry_state *s) {
    return (s->cr0 & X86_CR0_PG) != 0 && (s->cr4 & X86_CR4_PAE) != 0 && !entry_is_long(s);
}

static bool shadow_is_wrong(const struct vmx_entry_state *s) {
    uint32_t shadow = s->interruptibility & VMX_SHADOW;
    bool by_sti = (shadow & BLOCKED_BY_STI) != 0;
    return shadow == VMX_SHADOW || (by_sti && (s->rflags & X86_RFLAGS_IF) == 0);
}

static bool shadow_holds_event(const struct vmx_entry_state *s) {
    bool waits = entry_has_event(s, EVENT_INTERRUPT) || entry_has_event(s, EVENT_NMI);
    return waits && (s->interruptibility & VMX_SHADOW) != 0;
}

static bool interrupt_without_if(const struct vmx_entry_state *s) {
    return entry_has_event(s, EVENT_INTERRUPT) && (s->rflags & X86_RFLAGS_IF) == 0;
}

/* In a shadow a single-step trap is due exactly if TF is set. (DEBUGCTL.BTF is not for guests.) */
static bool trap_is_wrong(const struct vmx_entry_state *s) {
    bool held = (s->interruptibility & VMX_SHADOW) != 0 || s->activity == ACTIVITY_HLT;
    bool due = (s->pending_debug & PENDING_BS) != 0;
    return held && due != ((s->rflags & X86_RFLAGS_TF) != 0);
}

static bool pending_is_wrong(const struct vmx_entry_state *s) {
    return (s->pending_debug & ~PENDING_DEFINED) != 0;
}

static bool rflags_are_wrong(const struct vmx_entry_state *s) {
    return (s->rflags & ~(uint64_t)RFLAGS_DEFINED) != 0 || (s->rflags & X86_RFLAGS_FIXED) == 0;
}

static bool vm86_is_wrong(const struct vmx_entry_state *s) {
    bool possible = !entry_is_long(s) && (s->cr0 & X86_CR0_PE) != 0;
    return (s->rflags & X86_RFLAGS_VM) != 0 && !possible;
}

static bool paging_without_protection(const struct vmx_entry_state *s) {
    return (s->cr0 & X86_CR0_PG) != 0 && (s->cr0 & X86_CR0_PE) == 0;
}

static bool long_mode_is_wrong(const struct vmx_entry_state *s) {
    bool complete = (s->cr0 & X86_CR0_PG) != 0 && (s->cr4 & X86_CR4_PAE) != 0;
    bool active = (s->efer & X86_EFER_LMA) != 0;
    return (entry_is_long(s) && !complete) || entry_is_long(s) != active;
}

static bool task_register_is_wrong(const struct vmx_entry_state *s) {
    uint32_t type = s->attr[HVM_TR] & SEG_TYPE;
    bool short_one = type == SEG_TYPE_BUSY_TSS16 && !entry_is_long(s);
    return (s->attr[HVM_TR] & SEG_UNUSABLE) != 0 || (type != SEG_TYPE_BUSY_TSS && !short_one);
}

static bool code_is_wrong(const struct vmx_entry_state *s) {
    const uint32_t both = SEG_LONG | SEG_BIG;
    return entry_is_long(s) && (s->attr[HVM_CS] & both) == both;
}

static bool pdptes_are_wrong(const struct vmx_entry_state *s) {
    bool wrong = false;
    for (size_t i = 0; i < ARRAY_SIZE(s->pdptes); i++) {
        wrong |= vmx_pdpte(s->pdptes[i], s->phys_bits) != s->pdptes[i];
    }
    return wrong && entry_in_pae_paging(s);
}

static bool dr7_is_wrong(const struct vmx_entry_state *s) {
    return s->dr7 >> 32 != 0;
}

static const struct entry_rule {
    bool (*broken)(const struct vmx_entry_state *s);
    const char *text;
} entry_rules[] = {
    {trap_is_wrong, "a single-step trap in an interrupt shadow"},
    {shadow_is_wrong, "an interrupt shadow that cannot be"},
    {shadow_holds_event, "an interrupt or NMI in an interrupt shadow"},
    {interrupt_without_if, "an interrupt without RFLAGS.IF"},
    {pending_is_wrong, "unknown debug traps are due"},
    {rflags_are_wrong, "RFLAGS has a reserved bit"},
    {vm86_is_wrong, "virtual-8086 mode where it cannot be"},
    {paging_without_protection, "CR0.PG is set without CR0.PE"},
    {long_mode_is_wrong, "EFER, CR0 and CR4 disagree on long mode"},
    {task_register_is_wrong, "TR holds no task state segment of this mode"},
    {code_is_wrong, "CS has both L and D"},
    {pdptes_are_wrong, "a page-directory pointer has a reserved bit"},
    {dr7_is_wrong, "DR7 has bits above 31"},
};

const char *vmx_entry_rule(const struct vmx_entry_state *s) {
    for (size_t i = 0; i < ARRAY_SIZE(entry_rules); i++) {
        if (entry_rules[i].broken(s)) {
            return entry_rules[i].text;
        }
    }
    return NULL;
}

void vmx_entry_mend(struct vmx_entry_state *s) {
    s->event = 0; /* another one goes in */
    s->interruptibility &= ~VMX_SHADOW;
    s->pending_debug = 0;
    s->activity = ACTIVITY_ACTIVE;
    s->rflags = (s->rflags & RFLAGS_DEFINED) | X86_RFLAGS_FIXED;
    if (vm86_is_wrong(s)) {
        s->rflags &= ~X86_RFLAGS_VM;
    }
    s->dr7 &= UINT32_MAX;
    for (size_t i = 0; i < ARRAY_SIZE(s->pdptes); i++) {
        s->pdptes[i] = vmx_pdpte(s->pdptes[i], s->phys_bits);
    }
}

uint64_t vmx_pdpte(uint64_t entry, unsigned phys_bits) {
    uint64_t reserved = PDPTE_RESERVED | ~(BIT(phys_bits) - 1);
    bool wrong = (entry & PDPTE_PRESENT) != 0 && (entry & reserved) != 0;
    return wrong ? entry & ~PDPTE_PRESENT : entry;
}

uint32_t vmx_shadow_for_event(enum event_type type, uint32_t interruptibility) {
    bool ends = type == EVENT_EXCEPTION || event_type_is_soft(type);
    return ends ? interruptibility & ~VMX_SHADOW : interruptibility;
}

uint32_t vmx_shadow_for_nmi(uint32_t interruptibility) {
    bool waits = (interruptibility & BLOCKED_BY_NMI) != 0;
    if (waits || (interruptibility & BLOCKED_BY_STI) == 0) {
        return interruptibility;
    }
    return (interruptibility & ~BLOCKED_BY_STI) | BLOCKED_BY_MOV_SS;
}
