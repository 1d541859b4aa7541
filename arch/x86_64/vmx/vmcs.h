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

/* Into memory, and unchecked: for what is done at each exit, of a field that others are read
 * beside. */
static inline void vmcs_keep_raw(uint16_t code, uint64_t *to) {
    __asm__ volatile("vmread %1, %0" : "=m"(*to) : "c"((uint64_t)code) : "cc");
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

/*
 * FIELD(bits, name, encoding): VMCS_NAME is the typed field, VMCS_CODE_NAME its bare number for
 * tables of fields of several widths. Of four or more in a row only the first stands here, with
 * their number; the others follow two apart.
 */
#define VMCS_FIELDS(FIELD)                                                                         \
    /* 16-bit control, guest and host fields. */                                                   \
    FIELD(16, VPID, 0x0000)                                                                        \
    FIELD(16, POSTED_VECTOR, 0x0002)                                                               \
    FIELD(16, GUEST_SELECTOR0, 0x0800)        /* ES CS SS DS FS GS LDTR TR */                      \
    FIELD(16, GUEST_INTERRUPT_STATUS, 0x0810) /* RVI, SVI */                                       \
    FIELD(16, HOST_ES, 0x0c00)                                                                     \
    FIELD(16, HOST_CS, 0x0c02)                                                                     \
    FIELD(16, HOST_SS, 0x0c04)                                                                     \
    FIELD(16, HOST_DS, 0x0c06)                                                                     \
    FIELD(16, HOST_FS, 0x0c08)                                                                     \
    FIELD(16, HOST_GS, 0x0c0a)                                                                     \
    FIELD(16, HOST_TR, 0x0c0c)                                                                     \
    /* 64-bit fields. */                                                                           \
    FIELD(64, IO_BITMAP_A, 0x2000)                                                                 \
    FIELD(64, IO_BITMAP_B, 0x2002)                                                                 \
    FIELD(64, MSR_BITMAP, 0x2004)                                                                  \
    FIELD(64, TSC_OFFSET, 0x2010)                                                                  \
    FIELD(64, VIRTUAL_APIC, 0x2012)                                                                \
    FIELD(64, APIC_ACCESS, 0x2014)                                                                 \
    FIELD(64, POSTED_DESCRIPTOR, 0x2016)                                                           \
    FIELD(64, EPT_POINTER, 0x201a)                                                                 \
    FIELD(64, EOI_EXIT_BITMAP0, 0x201c) /* 4 of 64 vectors each */                                 \
    FIELD(64, ENCLS_BITMAP, 0x202e)                                                                \
    FIELD(64, GUEST_PHYSICAL, 0x2400)                                                              \
    FIELD(64, GUEST_LINK, 0x2800)                                                                  \
    FIELD(64, GUEST_DEBUGCTL, 0x2802)                                                              \
    FIELD(64, GUEST_PAT, 0x2804)                                                                   \
    FIELD(64, GUEST_EFER, 0x2806)                                                                  \
    FIELD(64, GUEST_PDPTE0, 0x280a) /* 4 */                                                        \
    FIELD(64, HOST_PAT, 0x2c00)                                                                    \
    FIELD(64, HOST_EFER, 0x2c02)                                                                   \
    /* 32-bit control fields. */                                                                   \
    FIELD(32, PIN_CONTROLS, 0x4000)                                                                \
    FIELD(32, PROC_CONTROLS, 0x4002)                                                               \
    FIELD(32, EXCEPTION_BITMAP, 0x4004)                                                            \
    FIELD(32, PAGE_FAULT_MASK, 0x4006)                                                             \
    FIELD(32, PAGE_FAULT_MATCH, 0x4008)                                                            \
    FIELD(32, CR3_TARGET_COUNT, 0x400a)                                                            \
    FIELD(32, EXIT_CONTROLS, 0x400c)                                                               \
    FIELD(32, EXIT_MSR_STORE_COUNT, 0x400e)                                                        \
    FIELD(32, EXIT_MSR_LOAD_COUNT, 0x4010)                                                         \
    FIELD(32, ENTRY_CONTROLS, 0x4012)                                                              \
    FIELD(32, ENTRY_MSR_LOAD_COUNT, 0x4014)                                                        \
    FIELD(32, ENTRY_EVENT, 0x4016)                                                                 \
    FIELD(32, ENTRY_ERROR_CODE, 0x4018)                                                            \
    FIELD(32, ENTRY_INSN_LENGTH, 0x401a)                                                           \
    FIELD(32, TPR_THRESHOLD, 0x401c)                                                               \
    FIELD(32, PROC2_CONTROLS, 0x401e)                                                              \
    /* 32-bit read-only data. */                                                                   \
    FIELD(32, INSN_ERROR, 0x4400)                                                                  \
    FIELD(32, EXIT_REASON, 0x4402)                                                                 \
    FIELD(32, EXIT_EVENT, 0x4404)                                                                  \
    FIELD(32, EXIT_ERROR_CODE, 0x4406)                                                             \
    FIELD(32, IDT_EVENT, 0x4408)                                                                   \
    FIELD(32, IDT_ERROR_CODE, 0x440a)                                                              \
    FIELD(32, EXIT_INSN_LENGTH, 0x440c)                                                            \
    /* 32-bit guest and host state; segments in the order of the selectors, then GDTR, IDTR. */    \
    FIELD(32, GUEST_LIMIT0, 0x4800) /* ES CS SS DS FS GS LDTR TR GDTR IDTR */                      \
    FIELD(32, GUEST_ATTR0, 0x4814)  /* ES CS SS DS FS GS LDTR TR */                                \
    FIELD(32, GUEST_INTERRUPTIBILITY, 0x4824)                                                      \
    FIELD(32, GUEST_ACTIVITY, 0x4826)                                                              \
    FIELD(32, GUEST_SYSENTER_CS, 0x482a)                                                           \
    FIELD(32, HOST_SYSENTER_CS, 0x4c00)                                                            \
    /* Natural width. */                                                                           \
    FIELD(64, CR0_MASK, 0x6000)                                                                    \
    FIELD(64, CR4_MASK, 0x6002)                                                                    \
    FIELD(64, CR0_SHADOW, 0x6004)                                                                  \
    FIELD(64, CR4_SHADOW, 0x6006)                                                                  \
    FIELD(64, QUALIFICATION, 0x6400)                                                               \
    FIELD(64, GUEST_LINEAR, 0x640a)                                                                \
    FIELD(64, GUEST_CR0, 0x6800)                                                                   \
    FIELD(64, GUEST_CR3, 0x6802)                                                                   \
    FIELD(64, GUEST_CR4, 0x6804)                                                                   \
    FIELD(64, GUEST_BASE0, 0x6806) /* ES CS SS DS FS GS LDTR TR GDTR IDTR */                       \
    FIELD(64, GUEST_DR7, 0x681a)                                                                   \
    FIELD(64, GUEST_RSP, 0x681c)                                                                   \
    FIELD(64, GUEST_RIP, 0x681e)                                                                   \
    FIELD(64, GUEST_RFLAGS, 0x6820)                                                                \
    FIELD(64, GUEST_PENDING_DEBUG, 0x6822)                                                         \
    FIELD(64, GUEST_SYSENTER_ESP, 0x6824)                                                          \
    FIELD(64, GUEST_SYSENTER_EIP, 0x6826)                                                          \
    FIELD(64, HOST_CR0, 0x6c00)                                                                    \
    FIELD(64, HOST_CR3, 0x6c02)                                                                    \
    FIELD(64, HOST_CR4, 0x6c04)                                                                    \
    FIELD(64, HOST_FS_BASE, 0x6c06)                                                                \
    FIELD(64, HOST_GS_BASE, 0x6c08)                                                                \
    FIELD(64, HOST_TR_BASE, 0x6c0a)                                                                \
    FIELD(64, HOST_GDTR_BASE, 0x6c0c)                                                              \
    FIELD(64, HOST_IDTR_BASE, 0x6c0e)                                                              \
    FIELD(64, HOST_SYSENTER_ESP, 0x6c10)                                                           \
    FIELD(64, HOST_SYSENTER_EIP, 0x6c12)                                                           \
    FIELD(64, HOST_RSP, 0x6c14) /* enter.S */                                                      \
    FIELD(64, HOST_RIP, 0x6c16)

enum vmcs_code {
#define VMCS_DEFINE_CODE(bits, name, encoding) VMCS_CODE_##name = (encoding),
    VMCS_FIELDS(VMCS_DEFINE_CODE)
};

#define VMCS_DEFINE_NAME(bits, name, encoding)                                                     \
    static const vmcs##bits##_t VMCS_##name = {VMCS_CODE_##name};
VMCS_FIELDS(VMCS_DEFINE_NAME)

/* For fields that are found by calculation. */
#define VMCS_16(c) ((vmcs16_t){(uint16_t)(c)})
#define VMCS_32(c) ((vmcs32_t){(uint16_t)(c)})
#define VMCS_64(c) ((vmcs64_t){(uint16_t)(c)})

/* Number i of the fields that begin with that one. */
#define VMCS_NTH(first, i) (VMCS_CODE_##first + 2 * (unsigned)(i))

/* VMCS_GUEST_INTERRUPTIBILITY. */
#define BLOCKED_BY_STI    BIT32(0)
#define BLOCKED_BY_MOV_SS BIT32(1)
#define VMX_SHADOW        (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)
#define BLOCKED_BY_NMI    BIT32(3)
