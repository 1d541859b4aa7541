/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMCS fields and the instructions that reach them. A field's width is in its type, so a value
 * cannot be passed where a field belongs, nor a field to the wrong reader. Every VMREAD and VMWRITE
 * is checked: a failure is a bug of ours and panics.
 * Source: Intel SDM vol. 3 appendix "Field Encoding in VMCS".
 */
#pragma once

#include "hv/lib/types.h"

/* VMREAD or VMWRITE of this field failed: panics. */
NORETURN void vmcs_access_failed(uint16_t code, bool write);

static inline uint64_t vmcs_read_raw(uint16_t code) {
    uint64_t value;
    bool failed;
    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(failed) : "r"((uint64_t)code));
    if (UNLIKELY(failed)) {
        vmcs_access_failed(code, false);
    }
    return value;
}

static inline void vmcs_write_raw(uint16_t code, uint64_t value) {
    bool failed;
    __asm__ volatile("vmwrite %1, %2"
                     : "=@ccbe"(failed)
                     : "r"(value), "r"((uint64_t)code)
                     : "memory");
    if (UNLIKELY(failed)) {
        vmcs_access_failed(code, true);
    }
}

/* A field that is 64 bits wide because the CPU is counts as any other of 64 bits. */
#define VMCS_DEFINE_FIELD(bits)                                                                    \
    typedef struct {                                                                               \
        uint16_t code;                                                                             \
    } vmcs##bits##_t;                                                                              \
    static inline uint##bits##_t vmcs_read##bits(vmcs##bits##_t f) {                               \
        return (uint##bits##_t)vmcs_read_raw(f.code);                                              \
    }                                                                                              \
    static inline void vmcs_write##bits(vmcs##bits##_t f, uint##bits##_t value) {                  \
        vmcs_write_raw(f.code, value);                                                             \
    }
VMCS_DEFINE_FIELD(16)
VMCS_DEFINE_FIELD(32)
VMCS_DEFINE_FIELD(64)

#define VMCS_16(c) ((vmcs16_t){c})
#define VMCS_32(c) ((vmcs32_t){c})
#define VMCS_64(c) ((vmcs64_t){c})

/* 16-bit control and guest fields. */
#define VMCS_VPID                   VMCS_16(0x0000)
#define VMCS_GUEST_SELECTOR0        0x0800          /* ES, then CS SS DS FS GS LDTR TR, 2 apart */
#define VMCS_GUEST_INTERRUPT_STATUS VMCS_16(0x0810) /* RVI, SVI */

/* 64-bit fields. */
#define VMCS_MSR_BITMAP       VMCS_64(0x2004)
#define VMCS_VIRTUAL_APIC     VMCS_64(0x2012)
#define VMCS_APIC_ACCESS      VMCS_64(0x2014)
#define VMCS_EPT_POINTER      VMCS_64(0x201a)
#define VMCS_EOI_EXIT_BITMAP0 0x201c /* 4 of 64 vectors each, 2 apart */
#define VMCS_GUEST_PHYSICAL   VMCS_64(0x2400)
#define VMCS_GUEST_EFER       VMCS_64(0x2806)
#define VMCS_PDPTE0           0x280a /* four 64-bit fields, two numbers apart */

/* 32-bit control fields. */
#define VMCS_PROC_CONTROLS     VMCS_32(0x4002)
#define VMCS_ENTRY_CONTROLS    VMCS_32(0x4012)
#define VMCS_ENTRY_EVENT       VMCS_32(0x4016)
#define VMCS_ENTRY_ERROR_CODE  VMCS_32(0x4018)
#define VMCS_ENTRY_INSN_LENGTH VMCS_32(0x401a)
#define VMCS_TPR_THRESHOLD     VMCS_32(0x401c)
#define VMCS_PROC2_CONTROLS    VMCS_32(0x401e)

/* 32-bit read-only data. */
#define VMCS_EXIT_REASON      VMCS_32(0x4402)
#define VMCS_EXIT_EVENT       VMCS_32(0x4404)
#define VMCS_EXIT_ERROR_CODE  VMCS_32(0x4406)
#define VMCS_IDT_EVENT        VMCS_32(0x4408)
#define VMCS_IDT_ERROR_CODE   VMCS_32(0x440a)
#define VMCS_EXIT_INSN_LENGTH VMCS_32(0x440c)

/* 32-bit guest state; segments in the order of the selectors. */
#define VMCS_GUEST_LIMIT0           0x4800 /* ES CS SS DS FS GS LDTR TR GDTR IDTR */
#define VMCS_GUEST_ATTR0            0x4814 /* ES CS SS DS FS GS LDTR TR */
#define VMCS_GUEST_INTERRUPTIBILITY VMCS_32(0x4824)
#define BLOCKED_BY_STI              BIT32(0)
#define BLOCKED_BY_MOV_SS           BIT32(1)
#define VMX_SHADOW                  (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)
#define BLOCKED_BY_NMI              BIT32(3)
#define VMCS_GUEST_ACTIVITY         VMCS_32(0x4826)

/* Natural width. */
#define VMCS_CR0_SHADOW          VMCS_64(0x6004)
#define VMCS_CR4_SHADOW          VMCS_64(0x6006)
#define VMCS_QUALIFICATION       VMCS_64(0x6400)
#define VMCS_GUEST_CR0           VMCS_64(0x6800)
#define VMCS_GUEST_CR4           VMCS_64(0x6804)
#define VMCS_GUEST_BASE0         0x6806 /* ES CS SS DS FS GS LDTR TR GDTR IDTR */
#define VMCS_GUEST_RIP           VMCS_64(0x681e)
#define VMCS_GUEST_RFLAGS        VMCS_64(0x6820)
#define VMCS_GUEST_PENDING_DEBUG VMCS_64(0x6822)
