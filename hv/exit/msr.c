/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns MSR access by guests. A register either passes (it is the guest's own, switched by the CPU
 * or left alive), is emulated here, or does not exist. Source: Intel SDM vol. 4 "Model-Specific
 * Registers (MSRs)"; vol. 3 "Memory Type Range Registers".
 */
#include "hv/exit/policy.h"

#include "hv/abi.h"
#include "hv/exit/exit.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/vm/memory.h"
#include "hv/vm/plat.h"

#define MTRR_VARIABLE 8
enum msr_slot {
    SLOT_NONE = 0, /* not kept: the register is constant */
    SLOT_MTRR_VARIABLE,
    SLOT_MTRR_FIX64K = SLOT_MTRR_VARIABLE + 2 * MTRR_VARIABLE,
    SLOT_MTRR_FIX16K,
    SLOT_MTRR_FIX4K = SLOT_MTRR_FIX16K + 2,
    SLOT_MTRR_DEF_TYPE = SLOT_MTRR_FIX4K + 8,
    SLOT_TSC_ADJUST,
    SLOT_SPEC_CTRL,
    SLOT_ARCH_CAPABILITIES,
    SLOT_MISC_ENABLE,
    SLOT_PV_EOI,
    SLOT_COUNT
};
_Static_assert(SLOT_COUNT <= MSR_SLOTS, "slots of a vCPU");

#define SPEC_CTRL_IBRS  BIT(0)
#define SPEC_CTRL_STIBP BIT(1)
#define SPEC_CTRL_SSBD  BIT(2)
#define SPEC_CTRL_PSFD  BIT(7)

#define PV_EOI_RESERVED BIT(1)

#define MTRR_WB      6u
#define MTRR_ENABLED BIT(11)
#define MTRR_FIXED   BIT(10)

#define MISC_FAST_STRINGS BIT(0)
#define MISC_PERFORMANCE  BIT(7)
#define MISC_NO_BTS       BIT(11)
#define MISC_NO_PEBS      BIT(12)
#define MISC_LIMIT_CPUID  BIT(22)
#define MISC_WRITABLE     (MISC_FAST_STRINGS | MISC_LIMIT_CPUID)
#define MISC_READ_ONLY    (MISC_PERFORMANCE | MISC_NO_BTS | MISC_NO_PEBS)
#define MISC_RESET        (MISC_FAST_STRINGS | MISC_NO_BTS | MISC_NO_PEBS)

static enum status msr_read_slot(struct vcpu *v, uint32_t msr, uint64_t *value) {
    const struct msr_policy *p = msr_policy_find(msr);
    *value = p->slot == SLOT_NONE ? p->constant : v->msr_slots[p->slot + (msr - p->msr)];
    return STATUS_OK;
}

/*
 * For registers that are plain storage, or whose writes are ignored. The lowest p->types bytes of
 * an MTRR are memory types; a PHYSMASK, every second one of a pair, has none. MTRRs have no effect:
 * guest RAM is write-back in the nested tables.
 */
static enum status msr_write_slot(struct vcpu *v, uint32_t msr, uint64_t value) {
    const struct msr_policy *p = msr_policy_find(msr);
    bool mask = p->slot == SLOT_MTRR_VARIABLE && (msr & 1) != 0;
    bool valid = (value & (mask ? BITS(0, 10) : p->reserved)) == 0;
    for (unsigned i = 0; !mask && i < p->types; i++) {
        uint64_t type = value >> (8 * i) & 0xff;
        valid = valid && type <= MTRR_WB && type != 2 && type != 3;
    }
    if (valid && p->slot != SLOT_NONE) { /* else its neighbours' slots would be others' */
        v->msr_slots[p->slot + (msr - p->msr)] = value;
    }
    return valid ? STATUS_OK : STATUS_DENIED;
}

static enum status msr_read_apic_base(struct vcpu *v, UNUSED uint32_t msr, uint64_t *value) {
    *value = v->lapic.apic_base;
    return STATUS_OK;
}

/*
 * The page moves to wherever the guest's physical space has room. Where it has RAM, the RAM stays:
 * the nested tables are all vCPUs'.
 */
static enum status msr_write_apic_base(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    unsigned bits = cpuid_find(&v->cpuid, 0x80000008, 0)->out[0] & 0xff;
    if (value >> bits != 0) {
        return STATUS_DENIED;
    }
    enum status s = lapic_base_write(&v->lapic, value);
    if (s == STATUS_OK) {
        cpuid_set_apic(v, (value & APIC_BASE_ENABLE) != 0);
    }
    if (s == STATUS_OK && v->lapic.hardware) {
        hvm->apic_mode(v);
    }
    return s;
}

static enum status msr_read_x2apic(struct vcpu *v, uint32_t msr, uint64_t *value) {
    return lapic_msr_read(&v->lapic, msr, value);
}

static enum status msr_write_x2apic(struct vcpu *v, uint32_t msr, uint64_t value) {
    return lapic_msr_write(&v->lapic, msr, value);
}

static enum status msr_read_deadline(struct vcpu *v, UNUSED uint32_t msr, uint64_t *value) {
    *value = lapic_deadline_read(&v->lapic);
    return STATUS_OK;
}

static enum status msr_write_deadline(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    lapic_deadline_write(&v->lapic, value);
    return STATUS_OK;
}

/* SDM "IA32_TSC_ADJUST Register Support": either write moves TSC and adjustment together. */
static enum status msr_write_tsc(struct vcpu *v, uint32_t msr, uint64_t value) {
    uint64_t *adjust = &v->msr_slots[SLOT_TSC_ADJUST];
    uint64_t delta = value - (msr == X86_MSR_TSC ? plat_tsc() + v->tsc_offset : *adjust);
    *adjust += delta;
    v->tsc_offset += delta;
    hvm->set(v, HVM_TSC_OFFSET, v->tsc_offset);
    lapic_tsc_changed(&v->lapic, delta);
    return STATUS_OK;
}

/*
 * What is read-only ignores a write. All others are reserved: they belong to features that a guest
 * has not (thermal control, SpeedStep, MONITOR, xTPR), or would take NX away. Fast strings are only
 * remembered: the CPU's own bit is the machine's. SDM vol. 4 "IA32_MISC_ENABLE".
 */
static enum status msr_write_misc_enable(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    if ((value & ~(MISC_WRITABLE | MISC_READ_ONLY)) != 0) {
        return STATUS_DENIED;
    }
    v->msr_slots[SLOT_MISC_ENABLE] = (value & MISC_WRITABLE) | (MISC_RESET & MISC_READ_ONLY);
    cpuid_set_limit(v, (value & MISC_LIMIT_CPUID) != 0);
    return STATUS_OK;
}

/* Where the register cannot pass, being in part the host's. */
static enum status msr_read_efer(struct vcpu *v, UNUSED uint32_t msr, uint64_t *value) {
    *value = hvm->get(v, HVM_EFER);
    return STATUS_OK;
}

/* SDM "Extended Feature Enable Register": LMA is the CPU's own, LME is fixed while paging is on. */
static enum status msr_write_efer(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    uint64_t features = cpuid_find(&v->cpuid, 0x80000001, 0)->out[3]; /* SYSCALL, NX, LM */
    uint64_t allowed = X86_EFER_LMA | (features >> 11 & X86_EFER_SCE) |
                       (features >> (20 - 11) & X86_EFER_NXE) |
                       (features >> (29 - 8) & X86_EFER_LME);
    uint64_t old = hvm->get(v, HVM_EFER);
    if ((value & ~allowed) != 0 ||
        (((old ^ value) & X86_EFER_LME) != 0 && (hvm->get(v, HVM_CR0) & X86_CR0_PG) != 0)) {
        return STATUS_DENIED;
    }
    hvm->set(v, HVM_EFER, value);
    if (((old ^ value) & X86_EFER_NXE) != 0) {
        hvm->flush(v);
    }
    return STATUS_OK;
}

/* What the guest's CPUID says that it has; both makers' words, of which a CPU has one. */
static uint64_t msr_spec_ctrl_bits(const struct vcpu *v) {
    static const struct {
        uint32_t leaf;
        unsigned reg, bit;
        uint64_t allowed;
    } bits[] = {
        {7, 3, 26, SPEC_CTRL_IBRS},           {7, 3, 27, SPEC_CTRL_STIBP},
        {7, 3, 31, SPEC_CTRL_SSBD},           {0x80000008, 1, 14, SPEC_CTRL_IBRS},
        {0x80000008, 1, 15, SPEC_CTRL_STIBP}, {0x80000008, 1, 24, SPEC_CTRL_SSBD},
        {0x80000008, 1, 28, SPEC_CTRL_PSFD},
    };
    uint64_t allowed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        if (cpuid_has(&v->cpuid, bits[i].leaf, bits[i].reg, bits[i].bit)) {
            allowed |= bits[i].allowed;
        }
    }
    return allowed;
}

/* Where the hypervisor keeps a bit of it set; the guest sees its own. */
static enum status msr_write_spec_ctrl(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    if ((value & ~msr_spec_ctrl_bits(v)) != 0 || !plat_spec_ctrl_set(value)) {
        return STATUS_DENIED;
    }
    v->msr_slots[SLOT_SPEC_CTRL] = value;
    return STATUS_OK;
}

/* hv/abi.h. Off, its other bits mean nothing. */
static enum status msr_read_pv_eoi(struct vcpu *v, UNUSED uint32_t msr, uint64_t *value) {
    *value = v->lapic.pv_eoi != NULL ? v->msr_slots[SLOT_PV_EOI] : 0;
    return v->lapic.hardware ? STATUS_DENIED : STATUS_OK;
}

static enum status msr_write_pv_eoi(struct vcpu *v, UNUSED uint32_t msr, uint64_t value) {
    uint32_t *word = NULL;
    if (v->lapic.hardware || (value & PV_EOI_RESERVED) != 0) {
        return STATUS_DENIED;
    }
    if ((value & KVM_MSR_ON) != 0) {
        lapic_pv_eoi_set(&v->lapic, NULL); /* the word that it has had is let go */
        word = vm_memory_keep(v->vm, GPA(value & ~(uint64_t)KVM_MSR_ON));
        if (word == NULL) {
            return STATUS_DENIED;
        }
    }
    v->msr_slots[SLOT_PV_EOI] = value;
    lapic_pv_eoi_set(&v->lapic, word);
    return STATUS_OK;
}

void msr_name_again(struct vcpu *v) {
    if (v->lapic.pv_eoi != NULL) {
        uint64_t gpa = v->msr_slots[SLOT_PV_EOI] & ~(uint64_t)KVM_MSR_ON;
        v->lapic.pv_eoi = vm_memory_keep(v->vm, GPA(gpa));
    }
}

/* clang-format off */
#define MSR(number, n, text, ...) {.msr = (number), .count = (n), .name = (text), __VA_ARGS__}
/* The CPU's own register, switched with the guest or left alive. */
#define PASS(number, text) MSR(number, 1, text, .read_passes = true, .write_passes = true)

const struct msr_policy msr_policies[] = {
    MSR(0x10, 1, "IA32_TIME_STAMP_COUNTER", .read_passes = true, .write = msr_write_tsc),
    MSR(0x17, 1, "IA32_PLATFORM_ID", .read = msr_read_slot),
    MSR(0x1b, 1, "IA32_APIC_BASE", .read = msr_read_apic_base, .write = msr_write_apic_base),
    MSR(0x3a, 1, "IA32_FEATURE_CONTROL", .read = msr_read_slot, .constant = 1 /* locked: nothing on */),
    MSR(0x3b, 1, "IA32_TSC_ADJUST", .read = msr_read_slot, .write = msr_write_tsc, .slot = SLOT_TSC_ADJUST),
    MSR(0x48, 1, "IA32_SPEC_CTRL", .read_passes = true, .write_passes = true, .needs = HVM_SPEC_CTRL, .passes_with = HVM_SPEC_CTRL_PASSES, .read = msr_read_slot, .write = msr_write_spec_ctrl, .slot = SLOT_SPEC_CTRL),
    MSR(0x49, 1, "IA32_PRED_CMD", .write_passes = true, .needs = HVM_PRED_CMD),
    MSR(0x8b, 1, "IA32_BIOS_SIGN_ID", .read = msr_read_slot, .write = msr_write_slot, .reserved = UINT64_MAX, .constant = BIT(32)),
    MSR(0xfe, 1, "IA32_MTRRCAP", .read = msr_read_slot, .constant = BIT(10) | BIT(8) | MTRR_VARIABLE),
    MSR(0x10a, 1, "IA32_ARCH_CAPABILITIES", .needs = HVM_ARCH_CAPS, .read = msr_read_slot, .slot = SLOT_ARCH_CAPABILITIES),
    MSR(0x10b, 1, "IA32_FLUSH_CMD", .write_passes = true, .needs = HVM_FLUSH_CMD),
    PASS(0x174, "IA32_SYSENTER_CS"),
    PASS(0x175, "IA32_SYSENTER_ESP"),
    PASS(0x176, "IA32_SYSENTER_EIP"),
    MSR(0x179, 1, "IA32_MCG_CAP", .read = msr_read_slot /* no banks: Xen reads it without a look at CPUID */),
    MSR(0x1a0, 1, "IA32_MISC_ENABLE", .read = msr_read_slot, .write = msr_write_misc_enable, .slot = SLOT_MISC_ENABLE),
    MSR(0x1d9, 1, "IA32_DEBUGCTL", .read = msr_read_slot, .write = msr_write_slot, .reserved = UINT64_MAX),
    MSR(0x200, 2 * MTRR_VARIABLE, "IA32_MTRR_PHYSBASE, PHYSMASK", .read = msr_read_slot, .write = msr_write_slot, .slot = SLOT_MTRR_VARIABLE, .types = 1, .reserved = BITS(8, 11)),
    MSR(0x250, 1, "IA32_MTRR_FIX64K", .read = msr_read_slot, .write = msr_write_slot, .slot = SLOT_MTRR_FIX64K, .types = 8),
    MSR(0x258, 2, "IA32_MTRR_FIX16K", .read = msr_read_slot, .write = msr_write_slot, .slot = SLOT_MTRR_FIX16K, .types = 8),
    MSR(0x268, 8, "IA32_MTRR_FIX4K", .read = msr_read_slot, .write = msr_write_slot, .slot = SLOT_MTRR_FIX4K, .types = 8),
    PASS(0x277, "IA32_PAT"),
    MSR(0x2ff, 1, "IA32_MTRR_DEF_TYPE", .read = msr_read_slot, .write = msr_write_slot, .slot = SLOT_MTRR_DEF_TYPE, .types = 1, .reserved = ~(MTRR_ENABLED | MTRR_FIXED | 0xff)),
    MSR(0x6e0, 1, "IA32_TSC_DEADLINE", .read = msr_read_deadline, .write = msr_write_deadline),
    MSR(0x800, 0x100, "x2APIC registers", .read = msr_read_x2apic, .write = msr_write_x2apic),
    MSR(KVM_MSR_PV_EOI, 1, "KVM's MSR_KVM_PV_EOI_EN", .read = msr_read_pv_eoi, .write = msr_write_pv_eoi),
    MSR(0xc0000080, 1, "IA32_EFER", .read_passes = true, .passes_with = HVM_EFER_PASSES, .read = msr_read_efer, .write = msr_write_efer),
    PASS(0xc0000081, "IA32_STAR"),
    PASS(0xc0000082, "IA32_LSTAR"),
    PASS(0xc0000083, "IA32_CSTAR"),
    PASS(0xc0000084, "IA32_FMASK"),
    PASS(0xc0000100, "IA32_FS_BASE"),
    PASS(0xc0000101, "IA32_GS_BASE"),
    PASS(0xc0000102, "IA32_KERNEL_GS_BASE"),
    PASS(0xc0000103, "IA32_TSC_AUX"),
    MSR(0xc0010000, 8, "PERF_CTL0 to 3, PERF_CTR0 to 3", .needs = HVM_MSRS_C001, .read = msr_read_slot, .write = msr_write_slot, .reserved = UINT64_MAX /* no CPUID bit hides them: they never count */),
    MSR(0xc0010010, 1, "SYSCFG", .needs = HVM_MSRS_C001, .read = msr_read_slot /* no I/O in RAM's MTRRs, no encryption */),
    MSR(0xc0010015, 1, "HWCR", .needs = HVM_MSRS_C001, .read = msr_read_slot, .write = msr_write_slot, .constant = BIT(24) /* the TSC runs at the P0 frequency */),
    MSR(0xc001001f, 1, "NB_CFG", .needs = HVM_MSRS_C001, .read = msr_read_slot, .constant = BIT(46) /* extended PCI configuration is on: nothing to write */),
    MSR(0xc0010055, 1, "INT_PENDING_MSG", .needs = HVM_MSRS_C001, .read = msr_read_slot /* no C1E */),
};
/* clang-format on */
const size_t msr_policy_count = ARRAY_SIZE(msr_policies);

const struct msr_policy *msr_policy_find(uint32_t msr) {
    const struct msr_policy *p = msr_policies; /* none of the next n - 1 or this one, or nobody */
    for (size_t n = ARRAY_SIZE(msr_policies); n > 1;) {
        const struct msr_policy *middle = p + n / 2;
        p = msr >= middle->msr ? middle : p;
        n -= n / 2;
    }
    bool found = range_has_number(p->msr, p->count, msr) && (p->needs & ~hvm->features) == 0;
    return found ? p : NULL;
}

bool msr_policy_passes(const struct msr_policy *p, bool write) {
    return (write ? p->write_passes : p->read_passes) &&
           ((p->needs | p->passes_with) & ~hvm->features) == 0;
}

void msr_reset(struct vcpu *v) {
    uint64_t *slots = v->msr_slots, bits = cpuid_find(&v->cpuid, 0x80000008, 0)->out[0] & 0xff;
    memset(slots, 0, sizeof(v->msr_slots));
    /* As a PC's firmware leaves them: uncached up to 4 GiB, where no RAM is, and VGA's place. */
    slots[SLOT_MTRR_VARIABLE] = PLAN_LOW_RAM_END;
    slots[SLOT_MTRR_VARIABLE + 1] = (BIT(bits) - (PLAN_HIGH_RAM - PLAN_LOW_RAM_END)) | MTRR_ENABLED;
    memset(&slots[SLOT_MTRR_FIX64K], MTRR_WB, 8 * (SLOT_MTRR_DEF_TYPE - SLOT_MTRR_FIX64K));
    slots[SLOT_MTRR_FIX16K + 1] = 0;
    slots[SLOT_MTRR_DEF_TYPE] = MTRR_ENABLED | MTRR_FIXED | MTRR_WB;
    slots[SLOT_ARCH_CAPABILITIES] = hvm->arch_capabilities;
    slots[SLOT_MISC_ENABLE] = MISC_RESET;
    cpuid_set_limit(v, false);
}

static enum status msr_deny_read(UNUSED struct vcpu *v, UNUSED uint32_t msr,
                                 UNUSED uint64_t *value) {
    return STATUS_DENIED;
}

static enum status msr_deny_write(UNUSED struct vcpu *v, UNUSED uint32_t msr,
                                  UNUSED uint64_t value) {
    return STATUS_DENIED;
}

static __attribute__((noinline)) void msr_remember(struct msr_memo *memo, uint32_t msr) {
    static const struct msr_policy nobody = {.count = 1};
    const struct msr_policy *p = msr_policy_find(msr);

    memo->first = p != NULL ? p->msr : msr;
    p = p != NULL ? p : &nobody;
    memo->count = p->count;
    memo->read = p->read != NULL ? p->read : msr_deny_read;
    memo->write = p->write != NULL ? p->write : msr_deny_write;
}

/* Guests touch the same few registers over and over, also those they have not. */
enum msr_access { MSR_READ, MSR_WRITE };
static const struct msr_memo *msr_recall(struct vcpu *v, uint32_t msr, enum msr_access access) {
    struct msr_memo *memo = &v->msr_memo[access];
    if (UNLIKELY(!range_has_number(memo->first, memo->count, msr))) {
        msr_remember(memo, msr);
    }
    return memo;
}

/* Of the register that the guest's ECX names. */
static __attribute__((noinline)) enum action msr_refuse(struct vcpu *v, const char *what) {
    vcpu_violation(v, &v->public.refused[REFUSED_MSR], what, (uint32_t)v->regs[X86_RCX]);
    return exit_inject(v, X86_GP, 0);
}

enum action exit_rdmsr(struct vcpu *v, struct vmexit *x) {
    uint32_t msr = (uint32_t)v->regs[X86_RCX];
    x->number = msr;
    uint64_t value;
    if (UNLIKELY(msr_recall(v, msr, MSR_READ)->read(v, msr, &value) != STATUS_OK)) {
        return msr_refuse(v, "read of MSR");
    }
    v->regs[X86_RAX] = (uint32_t)value;
    v->regs[X86_RDX] = value >> 32;
    return ACTION_NEXT;
}

enum action exit_wrmsr(struct vcpu *v, struct vmexit *x) {
    uint32_t msr = (uint32_t)v->regs[X86_RCX];
    x->number = msr;
    uint64_t value = v->regs[X86_RDX] << 32 | (uint32_t)v->regs[X86_RAX];
    if (UNLIKELY(msr_recall(v, msr, MSR_WRITE)->write(v, msr, value) != STATUS_OK)) {
        return msr_refuse(v, "write of MSR");
    }
    return ACTION_NEXT;
}
