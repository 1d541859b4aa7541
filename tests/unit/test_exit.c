/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exit handlers on a fake machine: what the guest sees and what is counted, for CPUID, MSRs,
 * ports, control registers, hypercalls, memory-mapped devices, events.
 */
#include "fake_machine.h"
#include "hv/abi.h"
#include "hv/exit/policy.h"
#include "hv/lib/range.h"
#include "hv/lib/version.h"

#define MSR_TSC_ADJUST       0x3bu
#define MSR_X2APIC_TPR       0x808u
#define MSR_X2APIC_LVT_TIMER 0x832u
#define MSR_UCODE_REV        0x8bu
#define MSR_MISC_ENABLE      0x1a0u
#define MSR_DEBUGCTL         0x1d9u
#define MSR_HWCR             0xc0010015u

static enum action act(struct vcpu *v, enum exit_kind kind) {
    struct vmexit x = {.kind = kind, .insn_len = 2};
    v->event.type = EVENT_NONE;
    return fake_exit(v, &x);
}

static void cpuid_of(struct vcpu *v, uint32_t leaf, uint32_t subleaf) {
    v->regs[X86_RAX] = 0xffffffff00000000ull | leaf;
    v->regs[X86_RCX] = subleaf;
    CHECK_U64(act(v, EXIT_CPUID), ACTION_NEXT);
}

static bool faulted(const struct vcpu *v, unsigned vector) {
    return v->event.type == EVENT_EXCEPTION && v->event.vector == vector;
}

TEST(every_exit_kind_has_a_handler) {
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        CHECK(exit_table[k] != NULL);
    }
}

TEST(cpuid_hides_what_no_table_names) {
    struct vcpu *v = fake_machine_start();
    cpuid_of(v, 1, 0);
    uint64_t ecx = v->regs[X86_RCX], edx = v->regs[X86_RDX];
    CHECK_U64(ecx >> 5 & 1, 0);  /* VMX */
    CHECK_U64(ecx >> 3 & 1, 0);  /* MONITOR */
    CHECK_U64(ecx >> 27 & 1, 0); /* OSXSAVE: not switched on yet */
    CHECK_U64(ecx >> 31 & 1, 1); /* hypervisor */
    CHECK_U64(ecx >> 21 & 1, 1); /* x2APIC */
    CHECK_U64(edx >> 7 & 1, 0);  /* MCE */
    CHECK_U64(v->regs[X86_RBX] >> 24, 0);
    cpuid_of(v, 0xa, 0); /* no counters */
    CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RDX], 0);
    cpuid_of(v, 0x80000001, 0);
    CHECK_U64(v->regs[X86_RCX] >> 2 & 1, 0); /* SVM */
    cpuid_of(v, 0xffffffff, 7);
    CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    cpuid_of(v, 7, 1);
    CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RBX], 0);
}

TEST(cpuid_tells_who_we_are_and_how_fast) {
    struct vcpu *v = fake_machine_start();
    cpuid_of(v, BULKHEAD_CPUID_BASE, 0);
    uint32_t words[3] = {(uint32_t)v->regs[X86_RBX], (uint32_t)v->regs[X86_RCX],
                         (uint32_t)v->regs[X86_RDX]};
    CHECK(memcmp(words, BULKHEAD_SIGNATURE, 12) == 0);
    cpuid_of(v, BULKHEAD_CPUID_VERSION, 0);
    CHECK_U64(v->regs[X86_RAX], VERSION_MAJOR << 16 | VERSION_MINOR << 8 | VERSION_PATCH);
    CHECK_U64(v->regs[X86_RBX] | v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    cpuid_of(v, BULKHEAD_CPUID_TIMING, 0);
    CHECK_U64(v->regs[X86_RAX], FAKE_HZ / 1000);
    CHECK_U64(v->regs[X86_RBX], LAPIC_TIMER_HZ / 1000);
    CHECK_U64(v->regs[X86_RCX] | v->regs[X86_RDX], 0);
    cpuid_of(v, 0x15, 0);
    uint64_t a = v->regs[X86_RAX], b = v->regs[X86_RBX], crystal = v->regs[X86_RCX];
    CHECK_U64(crystal * b / a / 1000, FAKE_HZ / 1000);
    CHECK(crystal / 1000 * b <= UINT32_MAX); /* Linux multiplies these in 32 bits */
}

/* SDM "Programming Considerations for Hardware Multi-Threading Capable Processors": each way to the
 * topology leads to the same one. */
static void check_topology(struct vcpu *v, uint32_t count, bool amd) {
    uint32_t shift = 0;
    while (1u << shift < count) {
        shift++;
    }
    cpuid_of(v, 1, 0);
    CHECK_U64(v->regs[X86_RBX] >> 24, v->index);
    CHECK_U64(v->regs[X86_RBX] >> 16 & 0xff, count);
    CHECK_U64(v->regs[X86_RDX] >> 28 & 1, count > 1);
    for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x14) {
        static const uint32_t types[] = {1, 2, 0, 0};
        uint32_t shifts[] = {0, shift, 0, 0}, counts[] = {1, count, 0, 0};
        for (uint32_t i = 0; i < 3; i++) {
            cpuid_of(v, leaf, i);
            CHECK_U64(v->regs[X86_RAX], shifts[i]);
            CHECK_U64(v->regs[X86_RBX], counts[i]);
            CHECK_U64(v->regs[X86_RCX], types[i] << 8 | i);
            CHECK_U64(v->regs[X86_RDX], v->index);
        }
    }
    uint32_t last = (1u << shift) - 1;
    for (uint32_t i = 0; i < 4; i++) { /* L1 and L2 are a core's own, L3 is shared */
        uint32_t sharing = i == 3 ? last : 0;
        cpuid_of(v, 4, i);
        CHECK_U64(v->regs[X86_RAX] >> 14 & 0xfff, sharing);
        CHECK_U64(v->regs[X86_RAX] >> 26, last);
        cpuid_of(v, 0x8000001d, i);
        CHECK_U64(v->regs[X86_RAX] >> 14, amd ? sharing : 0);
        CHECK_U64((v->regs[X86_RAX] & 0x1f) != 0, amd);
    }
    cpuid_of(v, 0x80000000, 0);
    CHECK_U64(v->regs[X86_RAX], amd ? 0x80000021 : 0x80000008);
    cpuid_of(v, 0x80000001, 0);
    CHECK_U64(v->regs[X86_RCX] >> 1 & 1, count > 1); /* on Intel the CPU shows none */
    cpuid_of(v, 0x80000008, 0);
    CHECK_U64(v->regs[X86_RCX], amd ? shift << 12 | (count - 1) : 0);
    cpuid_of(v, 0x8000001e, 0);
    CHECK_U64(v->regs[X86_RAX], amd ? v->index : 0);
    CHECK_U64(v->regs[X86_RBX], amd ? v->index : 0); /* the core, of one thread */
    CHECK_U64(v->regs[X86_RCX], 0);
}

TEST(topology_is_told_the_same_everywhere) {
    struct vcpu *v = fake_machine_start();
    for (uint32_t count = 1; count <= PLAN_MAX_VCPUS; count++) {
        for (v->index = 0; v->index < count; v->index++) {
            fake_vm->vcpu_count = count;
            fake_last_extended = 0x80000021;
            cpuid_init(v);
            msr_reset(v);
            check_topology(v, count, true);
            fake_last_extended = 0x80000008;
            cpuid_init(v);
            msr_reset(v);
            check_topology(v, count, false);
        }
    }
    fake_last_extended = 0x80000021;
}

/* CPUID 0Dh: EBX of subleaf 0 for the standard format, of subleaf 1 for the compacted one. */
TEST(xsave_sizes_follow_xcr0) {
    struct vcpu *v = fake_machine_start();
    fake_xcr0 = 3;
    cpuid_of(v, 0xd, 0);
    CHECK_U64(v->regs[X86_RBX], 576);
    CHECK_U64(v->regs[X86_RCX], 2696);
    fake_xcr0 = 7;
    cpuid_of(v, 0xd, 0);
    CHECK_U64(v->regs[X86_RBX], 832);
    cpuid_of(v, 0xd, 1);
    CHECK_U64(v->regs[X86_RBX], 832);
    fake_xcr0 = 0x207; /* PKRU: 8 bytes, far away or after the others */
    cpuid_of(v, 0xd, 0);
    CHECK_U64(v->regs[X86_RBX], 2696);
    cpuid_of(v, 0xd, 1);
    CHECK_U64(v->regs[X86_RBX], 840);
    cpuid_of(v, 0xd, 9);
    CHECK_U64(v->regs[X86_RAX], 8);
    CHECK_U64(v->regs[X86_RBX], 2688);
    fake_xcr0 = 1;
    cpuid_of(v, 0xd, 1);
    CHECK_U64(v->regs[X86_RBX], 576);
}

/* What its entropy device draws on where the CPU has no RDRAND. */
TEST(each_start_has_a_seed_of_its_own) {
    (void)fake_machine_start();
    struct exchange_vm *shared = fake_vm->shared;
    fake_tsc = 0x123456789;
    memset(shared->seed, 0, sizeof(shared->seed));
    shared->has_rdrand = 0;
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(shared->seed[0], 0x123456789);
    CHECK_U64(shared->seed[1], 1000000000);
    CHECK_U64(shared->seed[2], fake_vm->clock.offset);
    CHECK_U64(shared->seed[3], 0x123456789);
    CHECK_U64(shared->has_rdrand, 1);
}

TEST(msr_allowed_and_refused) {
    struct vcpu *v = fake_machine_start();
    v->regs[X86_RCX] = X86_MSR_APIC_BASE;
    CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_BSP);
    v->regs[X86_RCX] = 0x480; /* IA32_VMX_BASIC */
    CHECK_U64(act(v, EXIT_RDMSR), ACTION_RETRY);
    CHECK(faulted(v, X86_GP));
    CHECK_U64(v->event.error, 0);
    v->regs[X86_RCX] = X86_MSR_FEATURE_CONTROL;
    CHECK_U64(act(v, EXIT_WRMSR), ACTION_RETRY);
    CHECK(faulted(v, X86_GP));
    CHECK_U64(v->public.refused[REFUSED_MSR], 2);
    v->regs[X86_RCX] = X86_MSR_EFER;
    v->regs[X86_RAX] = X86_EFER_LME | X86_EFER_SVME;
    v->regs[X86_RDX] = 0;
    CHECK_U64(act(v, EXIT_WRMSR), ACTION_RETRY);
    v->regs[X86_RAX] = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE;
    CHECK_U64(act(v, EXIT_WRMSR), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_EFER], X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE);
    v->regs[X86_RAX] = X86_EFER_SCE; /* LME may not go while paging is on */
    CHECK_U64(act(v, EXIT_WRMSR), ACTION_RETRY);
}

/* A write, and what is read after it; false if it was refused. */
static bool msr_takes(struct vcpu *v, uint32_t msr, uint64_t value) {
    v->event.type = EVENT_NONE;
    v->regs[X86_RCX] = msr;
    v->regs[X86_RAX] = (uint32_t)value;
    v->regs[X86_RDX] = value >> 32;
    return act(v, EXIT_WRMSR) == ACTION_NEXT;
}

/* SDM "Memory Type Range Registers"; types 2, 3 and 7 up are reserved. */
TEST(mtrrs_take_what_is_valid) {
    struct vcpu *v = fake_machine_start();
    for (uint64_t type = 0; type < 256; type++) {
        bool valid = type <= 1 || (type >= 4 && type <= 6);
        CHECK_U64(msr_takes(v, 0x200, type), valid);
        CHECK_U64(msr_takes(v, 0x2ff, type), valid);
        for (unsigned i = 0; i < 8; i++) {
            CHECK_U64(msr_takes(v, 0x268, type << 8 * i), valid);
        }
    }
    for (unsigned bit = 8; bit < 64; bit++) {
        CHECK_U64(msr_takes(v, 0x20e, BIT(bit) | 6), bit >= 12);
        CHECK_U64(msr_takes(v, 0x2ff, BIT(bit) | 6), bit == 10 || bit == 11);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        CHECK_U64(msr_takes(v, 0x20f, BIT(bit)), bit >= 11);
    }
    static const uint32_t ranges[][2] = {{0x200, 16}, {0x250, 1}, {0x258, 2}, {0x268, 8}};
    for (unsigned pass = 0; pass < 2; pass++) { /* each remembers its own */
        for (size_t r = 0; r < ARRAY_SIZE(ranges); r++) {
            for (uint32_t i = 0; i < ranges[r][1]; i++) {
                uint64_t own = r == 0 ? (uint64_t)(i + 1) << 12 : (4 + r % 3) << (8 * (i & 7));
                if (pass == 0) {
                    CHECK(msr_takes(v, ranges[r][0] + i, own));
                    continue;
                }
                v->regs[X86_RCX] = ranges[r][0] + i;
                CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
                CHECK_U64(v->regs[X86_RDX] << 32 | v->regs[X86_RAX], own);
            }
        }
    }
}

/* What a guest's kernel works out from them: uncached is 3 to 4 GiB and A0000h to BFFFFh. */
TEST(mtrrs_at_power_up) {
    struct vcpu *v = fake_machine_start();
    static const struct {
        uint32_t msr;
        uint64_t value;
    } want[] = {{0x200, 0xc0000000},
                {0x202, 0},
                {0x203, 0},
                {0x20f, 0},
                {0x250, 0x0606060606060606},
                {0x258, 0x0606060606060606},
                {0x259, 0},
                {0x268, 0x0606060606060606},
                {0x26f, 0x0606060606060606},
                {0x2ff, 0xc06}};
    msr_reset(v);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        v->regs[X86_RCX] = want[i].msr;
        CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
        CHECK_U64(v->regs[X86_RDX] << 32 | v->regs[X86_RAX], want[i].value);
    }
    v->regs[X86_RCX] = 0x201; /* 1 GiB, as wide as physical addresses are */
    CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
    uint64_t mask = v->regs[X86_RDX] << 32 | v->regs[X86_RAX];
    uint64_t bits = cpuid_find(&v->cpuid, 0x80000008, 0)->out[0] & 0xff;
    CHECK_U64(mask, (BIT(bits) - GIB) | BIT(11));
}

static uint64_t msr_of(struct vcpu *v, uint32_t msr) {
    v->regs[X86_RCX] = msr;
    CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
    return v->regs[X86_RDX] << 32 | v->regs[X86_RAX];
}

TEST(registers_that_remember_nothing) {
    struct vcpu *v = fake_machine_start();
    CHECK(msr_takes(v, MSR_HWCR, UINT64_MAX));
    CHECK(msr_takes(v, MSR_DEBUGCTL, 0) && !msr_takes(v, MSR_DEBUGCTL, 1));
    CHECK(msr_takes(v, MSR_UCODE_REV, 0) && !msr_takes(v, MSR_UCODE_REV, BIT(63)));
    CHECK(!msr_takes(v, X86_MSR_FEATURE_CONTROL, 1));
}

/* AMD's first four counters, which no CPUID bit announces; those of the core extension one does. */
TEST(counters_of_every_amd_cpu) {
    struct vcpu *v = fake_machine_start();
    v->msr_slots[1] = 0x1234; /* another register's */
    for (uint32_t msr = 0xc0010000; msr <= 0xc0010007; msr++) {
        v->regs[X86_RCX] = msr;
        v->regs[X86_RAX] = v->regs[X86_RDX] = 1;
        CHECK_U64(act(v, EXIT_RDMSR), ACTION_NEXT);
        CHECK_U64(v->regs[X86_RAX] | v->regs[X86_RDX], 0);
        CHECK(msr_takes(v, msr, 0) && !msr_takes(v, msr, 1) && !msr_takes(v, msr, BIT(63)));
    }
    CHECK_U64(v->msr_slots[1], 0x1234);
    CHECK(!msr_takes(v, 0xc0010008, 0) && !msr_takes(v, 0xc0010200, 0));
    CHECK(!cpuid_has(&v->cpuid, 0x80000001, 2, 23));
}

/* The last one found is remembered, and so is that there is none: it must not stand for others. */
TEST(no_msr_is_taken_for_the_one_before) {
    static const uint32_t msrs[] = {
        0,     0x1a,       0x1b,       0x1c,       0x9d,       0x9e,       0x9f,  0x1ff, 0x200,
        0x20f, 0x210,      0x24f,      0x250,      0x251,      0x7ff,      0x800, 0x808, 0x8ff,
        0x900, 0xc000ffff, 0xc0010000, 0xc0010007, 0xc0010008, UINT32_MAX, 0x808};
    static const enum exit_kind kinds[] = {EXIT_RDMSR, EXIT_WRMSR};
    struct vcpu *v = fake_machine_start();
    CHECK(msr_takes(v, X86_MSR_APIC_BASE, 0xfee00d00)); /* the APIC's x2APIC mode */
    for (size_t i = 0; i < 2 * ARRAY_SIZE(msrs) * ARRAY_SIZE(msrs); i++) {
        enum exit_kind kind = kinds[i % 2];
        uint32_t before = msrs[i / 2 % ARRAY_SIZE(msrs)];
        uint32_t msr = msrs[i / 2 / ARRAY_SIZE(msrs)];
        v->regs[X86_RAX] = v->regs[X86_RDX] = 0;
        v->regs[X86_RCX] = before;
        (void)act(v, kind);

        v->event.type = EVENT_NONE;
        v->regs[X86_RAX] = v->regs[X86_RDX] = 0;
        v->regs[X86_RCX] = msr;
        enum action remembered = act(v, kind);
        uint64_t value = v->regs[X86_RAX];

        v->event.type = EVENT_NONE;
        memset(v->msr_memo, 0, sizeof(v->msr_memo));
        v->regs[X86_RAX] = v->regs[X86_RDX] = 0;
        CHECK_U64(act(v, kind), remembered);
        CHECK_U64(v->regs[X86_RAX], value);
    }
}

TEST(x2apic_and_deadline_by_msr) {
    struct vcpu *v = fake_machine_start();
    uint64_t when = fake_tsc + v->tsc_offset + 5000;
    CHECK(!msr_takes(v, MSR_X2APIC_TPR, 0)); /* not in that mode */
    CHECK(msr_takes(v, X86_MSR_APIC_BASE, 0xfee00d00));
    CHECK(msr_takes(v, MSR_X2APIC_TPR, 0x30));
    CHECK_U64(msr_of(v, MSR_X2APIC_TPR), 0x30);
    CHECK(msr_takes(v, MSR_X2APIC_LVT_TIMER, 0x40041));
    CHECK(msr_takes(v, X86_MSR_TSC_DEADLINE, when));
    CHECK_U64(msr_of(v, X86_MSR_TSC_DEADLINE), when);
    CHECK_U64(v->apic_due + v->tsc_offset, when);
}

TEST(efer_is_read_where_it_does_not_pass) {
    struct vcpu *v = fake_machine_start();
    fake_regs[HVM_EFER] = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
    CHECK_U64(msr_of(v, X86_MSR_EFER), fake_regs[HVM_EFER]);
}

TEST(msr_table_is_sorted_and_disjoint) {
    for (size_t i = 0; i < msr_policy_count; i++) {
        const struct msr_policy *p = &msr_policies[i];
        CHECK(p->count != 0 && p->name != NULL);
        CHECK(i == 0 || p->msr >= msr_policies[i - 1].msr + msr_policies[i - 1].count);
        CHECK(msr_policy_find(p->msr) == p);
        CHECK(msr_policy_find(p->msr + p->count - 1) == p);
    }
    CHECK(msr_policy_find(0xffffffff) == NULL);
    CHECK(msr_policy_find(0x11) == NULL);
    hvm->features &= ~(uint32_t)HVM_MSRS_C001; /* a CPU without that range */
    CHECK(msr_policy_find(MSR_HWCR) == NULL);
    hvm->features |= HVM_MSRS_C001;
}

TEST(ports_of_nobody_read_all_ones) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_IO, .insn_len = 1, .io = {.port = 0x1234, .flags = IO_IN}};
    static const uint64_t want[5] = {0, 0x11111111111111ff, 0x111111111111ffff, 0, 0xffffffff};
    for (unsigned size = 1; size <= 4; size *= 2) {
        x.io.size = (uint8_t)size;
        v->regs[X86_RAX] = 0x1111111111111111;
        CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
        CHECK_U64(v->regs[X86_RAX], want[size]);
    }
    CHECK_U64(v->public.refused[REFUSED_PORT], 3);
    x.io = (struct exit_io){.port = 0x3f8, .size = 1};
    v->regs[X86_RAX] = 0x1100 | 'y';
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_console_length, 1);
    CHECK_U64((uint8_t)fake_console[0], 'y');
}

/* CPUID 7 ECX: PKU where XSAVE knows its register, and OSPKE as CR4 has it. */
TEST(protection_keys) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = 4, .gpr = X86_RBX}};
    CHECK(cpuid_has(&v->cpuid, 7, 2, 3) && !cpuid_has(&v->cpuid, 7, 2, 4));
    CHECK(cpuid_has(&v->cpuid, 0xd, 0, 9));
    v->regs[X86_RBX] = X86_CR4_PAE | X86_CR4_PKE;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR4], X86_CR4_PAE | X86_CR4_PKE);
    CHECK(cpuid_has(&v->cpuid, 7, 2, 4));
    v->regs[X86_RBX] = X86_CR4_PAE;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK(!cpuid_has(&v->cpuid, 7, 2, 4));
    v->regs[X86_RBX] = X86_CR4_PAE | X86_CR4_PKE;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    vcpu_reset(v, true);
    CHECK(!cpuid_has(&v->cpuid, 7, 2, 4));

    fake_xcr0_missing = BIT32(9);
    cpuid_init(v);
    CHECK(!cpuid_has(&v->cpuid, 7, 2, 3));
    v->regs[X86_RBX] = X86_CR4_PAE | X86_CR4_PKE;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(faulted(v, X86_GP));
    fake_xcr0_missing = 0;
}

TEST(violation_stops_when_the_config_says_so) {
    struct vcpu *v = fake_machine_start();
    fake_config.on_violation = ON_VIOLATION_STOP;
    struct vmexit x = {.kind = EXIT_IO, .insn_len = 1, .io = {.port = 0x1234, .size = 1}};
    (void)fake_exit(v, &x);
    CHECK_U64(fake_vm->leave, LEAVE_STOP);
    CHECK(!vcpu_service(v));
}

TEST(control_registers) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {
        .kind = EXIT_CR, .insn_len = 3, .cr = {.access = CR_WRITE, .cr = 4, .gpr = X86_RBX}};
    v->regs[X86_RBX] = X86_CR4_PAE | X86_CR4_OSXSAVE;
    fake_flushed = false;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR4], X86_CR4_PAE | X86_CR4_OSXSAVE);
    CHECK(fake_flushed && cpuid_has(&v->cpuid, 1, 2, 27));
    v->regs[X86_RBX] = X86_CR4_PAE | X86_CR4_VMXE;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(faulted(v, X86_GP));
    x.cr.cr = 0;
    v->event.type = EVENT_NONE;
    v->regs[X86_RBX] = X86_CR0_PG; /* PG without PE */
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    v->event.type = EVENT_NONE;
    v->regs[X86_RBX] = X86_CR0_PG | X86_CR0_PE | X86_CR0_CD;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR0], X86_CR0_PG | X86_CR0_PE | X86_CR0_CD | X86_CR0_ET);
    x.cr = (struct exit_cr){.access = CR_WRITE, .cr = 8, .gpr = X86_RBX};
    v->regs[X86_RBX] = 5;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    x.cr.access = CR_READ;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RBX], 5);
    x.cr.gpr = X86_RSP;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], 5);
}

/* In compatibility mode the upper half of a register is not there; in 64-bit mode it is #GP. */
TEST(mov_to_cr_takes_half_outside_64_bit_mode) {
    for (unsigned cr = 0; cr <= 8; cr += 4) {
        struct vcpu *v = fake_machine_start();
        struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = (uint8_t)cr}};
        uint64_t value = cr == 8 ? 5 : fake_regs[cr == 0 ? HVM_CR0 : HVM_CR4];
        v->regs[X86_RAX] = value | 0xdeadbeef00000000;
        CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
        CHECK(faulted(v, X86_GP));
        v->event.type = EVENT_NONE;
        fake_segs[HVM_CS].attr = 0xc09b;
        CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
        CHECK_U64(v->event.type, EVENT_NONE);
        CHECK_U64(cr == 8 ? lapic_mmio_read(&v->lapic, LAPIC_TPR) >> 4
                          : fake_regs[cr == 0 ? HVM_CR0 : HVM_CR4],
                  value);
    }
}

TEST(xsetbv_is_for_cpl_0) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_XSETBV, .insn_len = 3};
    v->regs[X86_RAX] = 3;
    v->regs[X86_RCX] = v->regs[X86_RDX] = 0;
    CHECK_U64(exit_xsetbv(v, &x), ACTION_NEXT);
    v->regs[X86_RAX] = 7;
    fake_segs[HVM_SS].attr = 0xc0f3;
    CHECK_U64(exit_xsetbv(v, &x), ACTION_RETRY);
    CHECK_U64(v->event.vector, X86_GP);
}

TEST(hypercalls) {
    struct vcpu *v = fake_machine_start();
    v->regs[X86_RAX] = HYPERCALL_NOP;
    CHECK_U64(act(v, EXIT_HYPERCALL), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0);
    v->regs[X86_RAX] = 77;
    CHECK_U64(act(v, EXIT_HYPERCALL), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], HYPERCALL_UNKNOWN);
    fake_segs[HVM_SS].attr |= 3 << 5;
    v->regs[X86_RAX] = HYPERCALL_GIVE_UP;
    CHECK_U64(act(v, EXIT_HYPERCALL), ACTION_RETRY);
    CHECK(faulted(v, X86_UD));
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
    v->regs[X86_RAX] = 77;
    CHECK_U64(act(v, EXIT_HYPERCALL), ACTION_RETRY);
    CHECK(faulted(v, X86_UD));
}

/* mov (%rbx), %eax and mov %eax, (%rbx) at RIP, the fault where RBX points. */
static enum action touch(struct vcpu *v, uint64_t gpa, bool write) {
    uint8_t code[2] = {write ? 0x89 : 0x8b, 0x03};
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(2 * MIB), code, sizeof(code)), STATUS_OK);
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(gpa), .write = write}};
    v->regs[X86_RBX] = gpa;
    v->event.type = EVENT_NONE;
    enum action a = fake_exit(v, &x);
    CHECK(a != ACTION_NEXT || x.insn_len == 2);
    return a;
}

TEST(memory_that_is_not_there) {
    struct vcpu *v = fake_machine_start();
    CHECK_U64(touch(v, 3 * GIB, false), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0xffffffff);
    CHECK_U64(touch(v, 3 * GIB, true), ACTION_NEXT);
    CHECK_U64(v->public.refused[REFUSED_MEMORY], 2);
    CHECK_U64(touch(v, LAPIC_BASE + 0x30, false), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX] & 0xff, 0x14);
    CHECK_U64(touch(v, IOAPIC_BASE, true), ACTION_NEXT);
    CHECK_U64(v->public.refused[REFUSED_MEMORY], 2);
}

/* What a read of the local APIC's page gives goes along, so that the compartment need not ask. */
TEST(an_apic_register_goes_along) {
    static const struct {
        uint64_t gpa;
        bool write;
        uint64_t at;
    } rows[] = {
        {LAPIC_BASE + 0x30, false, 0x30},      {LAPIC_BASE + 0xff0, false, 0xff0},
        {LAPIC_BASE + 0x30, true, UINT64_MAX}, {LAPIC_BASE + PAGE_SIZE + 0x30, false, UINT64_MAX},
        {IOAPIC_BASE, false, UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vcpu *v = fake_machine_start();
        struct vmexit x = {.kind = EXIT_NESTED_FAULT,
                           .fault = {.gpa = GPA(rows[i].gpa), .write = rows[i].write}};
        CHECK_U64(exit_table[EXIT_NESTED_FAULT](v, &x), ACTION_UPCALL);
        CHECK_U64(v->exchange->apic_page, LAPIC_BASE);
        CHECK_U64(v->exchange->apic_at, rows[i].at);
        if (rows[i].at == 0x30) {
            CHECK_U64(v->exchange->apic_value & 0xff, 0x14); /* the version */
        }
    }
}

/* A compartment raises for its guest what an instruction can raise, and no more than that. */
TEST(what_a_compartment_may_raise) {
    static const uint8_t may[] = {0, 1, 6, 7, 8, 10, 11, 12, 13, 14, 17};
    static const uint32_t errors[] = {0, 0xffff, 0x10000, UINT32_MAX};

    for (unsigned n = 0; n < 256 * ARRAY_SIZE(errors); n++) {
        struct vcpu *v = fake_machine_start();
        struct vmexit x = {.kind = EXIT_NESTED_FAULT};
        uint8_t vector = (uint8_t)n;
        uint32_t error = errors[n / 256];
        bool good = memchr(may, vector, sizeof(may)) != NULL && error <= 0xffff;

        v->exchange->outcome = EMULATED_FAULT;
        v->exchange->fault = (struct emulated_fault){.vector = vector, .error = error};
        (void)exit_answers[EXIT_NESTED_FAULT](v, &x);
        CHECK_U64(v->vm->leave, good ? LEAVE_NONE : LEAVE_CRASH);
        CHECK(!good || faulted(v, vector));
    }
}

TEST(an_unknown_instruction_stops_the_vm) {
    struct vcpu *v = fake_machine_start();
    static const uint8_t code[] = {0x0f, 0x6f, 0x03}; /* movq (%rbx), %mm0 */
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(2 * MIB), code, sizeof(code)), STATUS_OK);
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(3 * GIB)}};
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK_STR(fake_vm->leave_reason, "instruction the emulator does not know [BH3033]");
    v = fake_machine_start();
    struct vmexit fetch = {.kind = EXIT_NESTED_FAULT,
                           .fault = {.gpa = GPA(3 * GIB), .execute = true}};
    (void)fake_exit(v, &fetch);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    v = fake_machine_start();
    (void)act(v, EXIT_TRIPLE_FAULT);
    CHECK_STR(fake_vm->leave_reason, VCPU_TRIPLE_FAULT);
    v = fake_machine_start();
    (void)act(v, EXIT_UNKNOWN);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
}

TEST(instructions_of_another_cpu_are_undefined) {
    struct vcpu *v = fake_machine_start();
    CHECK_U64(act(v, EXIT_INVALID_OPCODE), ACTION_RETRY);
    CHECK(faulted(v, X86_UD) && !v->event.has_error);
    CHECK_U64(act(v, EXIT_PRIVILEGED), ACTION_RETRY);
    CHECK(faulted(v, X86_GP) && v->event.has_error);
}

TEST(double_and_triple_faults) {
    struct vcpu *v = fake_machine_start();
    vcpu_inject_exception(v, X86_PF, 2);
    vcpu_inject_exception(v, X86_GP, 0);
    CHECK(faulted(v, X86_DF) && v->event.has_error);
    CHECK_U64(v->event.error, 0);
    vcpu_inject_exception(v, X86_GP, 0);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    v = fake_machine_start();
    vcpu_inject_exception(v, X86_UD, 0); /* benign: the second one counts */
    vcpu_inject_exception(v, X86_GP, 8);
    CHECK(faulted(v, X86_GP));
}

/* SDM vol. 3 "Interrupt 8 - Double Fault Exception (#DF)": which two make one. */
static bool is_contributory(unsigned vector) {
    return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

TEST(each_two_exceptions) {
    for (unsigned first = 0; first < 32; first++) {
        for (unsigned second = 0; second < 32; second++) {
            struct vcpu *v = fake_machine_start();
            vcpu_inject_exception(v, (enum x86_vector)first, 0);
            vcpu_inject_exception(v, (enum x86_vector)second, 5);
            bool page_fault = first == X86_PF && (is_contributory(second) || second == X86_PF);
            bool both = is_contributory(first) && is_contributory(second);

            CHECK_U64(fake_vm->leave, first == X86_DF ? LEAVE_CRASH : LEAVE_NONE);
            if (first != X86_DF) {
                CHECK_U64(v->event.vector, page_fault || both ? X86_DF : second);
                CHECK_U64(v->event.error, page_fault || both ? 0 : 5);
                CHECK_U64(v->event.insn_len, 0);
            }
        }
    }
}

TEST(hlt_under_the_trap_flag_does_not_sleep) {
    struct vcpu *v = fake_machine_start();
    CHECK_U64(act(v, EXIT_HLT), ACTION_HALT);
    hvm->set(v, HVM_RFLAGS, hvm->get(v, HVM_RFLAGS) | X86_RFLAGS_TF);
    CHECK_U64(act(v, EXIT_HLT), ACTION_NEXT);
}

TEST(intercepted_exceptions_go_on_to_the_guest) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_EXCEPTION,
                       .event = {.type = EVENT_EXCEPTION, .vector = X86_AC, .has_error = true}};
    hvm->set(v, HVM_DR7, 0x400 | X86_DR7_GD);
    CHECK_U64(exit_table[x.kind](v, &x), ACTION_RETRY);
    CHECK_U64(v->event.vector, X86_AC);
    CHECK_U64(hvm->get(v, HVM_DR7), 0x400 | X86_DR7_GD);
    x.event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_DB};
    CHECK_U64(exit_table[x.kind](v, &x), ACTION_RETRY);
    CHECK_U64(v->event.vector, X86_DB);
    CHECK_U64(hvm->get(v, HVM_DR7), 0x400); /* the handler may look at the registers */
}

TEST(interrupts_wait_for_their_window) {
    struct vcpu *v = fake_machine_start();
    v->regs[X86_RAX] = 0;
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff); /* software enable */
    CHECK(lapic_accept(&v->lapic, 0x31, false));
    vcpu_request(&v->public, REQUEST_EVENT);
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(fake_window_interrupt);
    fake_can_interrupt = true;
    CHECK_U64(act(v, EXIT_WINDOW), ACTION_RETRY);
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_INTERRUPT);
    CHECK_U64(v->event.vector, 0x31);
    CHECK(!fake_window_interrupt);
}

/* The TSC is the guest's to set; the PM timer and the local APIC's count go on as before. */
TEST(a_tsc_write_moves_no_other_clock) {
    struct vcpu *v = fake_machine_start();
    lapic_mmio_write(&v->lapic, 0x3e0, 4, 0x0b); /* divide by 1 */
    lapic_mmio_write(&v->lapic, 0x380, 4, 0x10000000);
    fake_tsc += FAKE_HZ;
    uint64_t pm = fake_port_in(PM_TIMER_PORT, 4);
    uint64_t count = lapic_mmio_read(&v->lapic, 0x390), deadline = fake_deadline;
    v->regs[X86_RCX] = X86_MSR_TSC;
    v->regs[X86_RAX] = 0x12345678;
    v->regs[X86_RDX] = 0x9abcdef0;
    CHECK_U64(act(v, EXIT_WRMSR), ACTION_NEXT);
    CHECK_U64(fake_tsc + v->tsc_offset, 0x9abcdef012345678);
    CHECK_U64(fake_port_in(PM_TIMER_PORT, 4), pm);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x390), count);
    CHECK_U64(fake_deadline, deadline);
}

/* SDM vol. 4 "IA32_MISC_ENABLE". */
TEST(misc_enable_keeps_what_it_may) {
    struct vcpu *v = fake_machine_start();
    static const uint64_t reserved[] = {BIT(1),  BIT(3),  BIT(9),  BIT(16), BIT(18),
                                        BIT(23), BIT(34), BIT(38), BIT(63)};
    CHECK_U64(msr_of(v, MSR_MISC_ENABLE), 0x1801);
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
        CHECK(!msr_takes(v, MSR_MISC_ENABLE, 0x1801 | reserved[i]));
    }
    CHECK(msr_takes(v, MSR_MISC_ENABLE, BIT(7))); /* counters; no BTS, no PEBS: read-only */
    CHECK_U64(msr_of(v, MSR_MISC_ENABLE), 0x1800);
    CHECK(msr_takes(v, MSR_MISC_ENABLE, 1));
    CHECK_U64(msr_of(v, MSR_MISC_ENABLE), 0x1801);
    cpuid_of(v, 0, 0);
    CHECK_U64(v->regs[X86_RAX], 0x1f);
    CHECK(msr_takes(v, MSR_MISC_ENABLE, BIT(22)));
    CHECK_U64(msr_of(v, MSR_MISC_ENABLE), 0x401800);
    cpuid_of(v, 0, 0);
    CHECK_U64(v->regs[X86_RAX], 2);
    CHECK(msr_takes(v, MSR_MISC_ENABLE, 0));
    cpuid_of(v, 0, 0);
    CHECK_U64(v->regs[X86_RAX], 0x1f);
    CHECK(msr_takes(v, MSR_MISC_ENABLE, BIT(22)));
    msr_reset(v);
    CHECK_U64(msr_of(v, MSR_MISC_ENABLE), 0x1801);
    cpuid_of(v, 0, 0);
    CHECK_U64(v->regs[X86_RAX], 0x1f);
}

/* SDM "IA32_TSC_ADJUST Register Support". */
TEST(tsc_and_its_adjustment_move_together) {
    struct vcpu *v = fake_machine_start();
    CHECK(cpuid_has(&v->cpuid, 7, 1, 1));
    uint64_t before = fake_tsc + v->tsc_offset;
    CHECK_U64(msr_of(v, MSR_TSC_ADJUST), 0);
    CHECK(msr_takes(v, MSR_TSC_ADJUST, 0x100000005));
    CHECK_U64(fake_tsc + v->tsc_offset, before + 0x100000005);
    CHECK_U64(fake_regs[HVM_TSC_OFFSET], v->tsc_offset);
    CHECK(msr_takes(v, X86_MSR_TSC, before));
    CHECK_U64(msr_of(v, MSR_TSC_ADJUST), 0);
    CHECK(msr_takes(v, MSR_TSC_ADJUST, UINT64_MAX));
    CHECK_U64(fake_tsc + v->tsc_offset, before - 1);
    vcpu_reset(v, true); /* an INIT leaves both alone */
    CHECK_U64(msr_of(v, MSR_TSC_ADJUST), UINT64_MAX);
    msr_reset(v);
    CHECK_U64(msr_of(v, MSR_TSC_ADJUST), 0);
}

/* The answer of a leaf, to be changed. */
static uint32_t *cpuid_word(struct vcpu *v, uint32_t leaf) {
    const struct cpuid_entry *e = cpuid_find(&v->cpuid, leaf, 0);
    return v->cpuid.entries[e - v->cpuid.entries].out;
}

/* The hypervisor keeps a bit set where guests' writes exit; else the register passes. */
TEST(speculation_control_msrs) {
    struct vcpu *v = fake_machine_start();
    const uint32_t all = hvm->features;
    CHECK(msr_takes(v, X86_MSR_SPEC_CTRL, 6) && fake_spec_ctrl == 6);
    CHECK_U64(msr_of(v, X86_MSR_SPEC_CTRL), 6);
    CHECK(!msr_takes(v, X86_MSR_SPEC_CTRL, 8) && fake_spec_ctrl == 6);
    CHECK(msr_takes(v, X86_MSR_SPEC_CTRL, 0x87) && fake_spec_ctrl == 0x87);
    fake_spec_ctrl_refused = 2; /* whatever CPUID says: no panic, the guest's #GP */
    CHECK(!msr_takes(v, X86_MSR_SPEC_CTRL, 3) && fake_spec_ctrl == 0x87);
    CHECK_U64(msr_of(v, X86_MSR_SPEC_CTRL), 0x87);
    fake_spec_ctrl_refused = 0;
    msr_reset(v);
    CHECK_U64(msr_of(v, X86_MSR_SPEC_CTRL), 0);
    CHECK_U64(msr_of(v, X86_MSR_ARCH_CAPABILITIES), hvm->arch_capabilities);
    CHECK(!msr_takes(v, X86_MSR_ARCH_CAPABILITIES, 0));
    static const struct {
        uint32_t msr, feature;
        bool read, write; /* passes */
    } msrs[] = {{X86_MSR_SPEC_CTRL, HVM_SPEC_CTRL, true, true},
                {X86_MSR_PRED_CMD, HVM_PRED_CMD, false, true},
                {X86_MSR_FLUSH_CMD, HVM_FLUSH_CMD, false, true},
                {X86_MSR_ARCH_CAPABILITIES, HVM_ARCH_CAPS, false, false}};
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        const struct msr_policy *p = msr_policy_find(msrs[i].msr);
        CHECK(p != NULL);
        bool own = msrs[i].msr == X86_MSR_SPEC_CTRL;
        CHECK_U64(msr_policy_passes(p, false), msrs[i].read && !own);
        CHECK_U64(msr_policy_passes(p, true), msrs[i].write && !own);
        hvm->features = all | HVM_SPEC_CTRL_PASSES;
        CHECK_U64(msr_policy_passes(p, false), msrs[i].read);
        CHECK_U64(msr_policy_passes(p, true), msrs[i].write);
        hvm->features &= ~msrs[i].feature; /* a CPU without it */
        CHECK(msr_policy_find(msrs[i].msr) == NULL);
        CHECK(!msr_policy_passes(p, false) && !msr_policy_passes(p, true));
        hvm->features = all;
    }
}

/* Only bits that the guest's CPUID names. */
TEST(spec_ctrl_follows_cpuid) {
    static const struct {
        uint32_t leaf;
        unsigned reg, bit;
        uint64_t allowed;
    } cases[] = {
        {7, 3, 26, 1},
        {7, 3, 27, 2},
        {7, 3, 31, 4},
        {0x80000008, 1, 14, 1},
        {0x80000008, 1, 15, 2},
        {0x80000008, 1, 24, 4},
        {0x80000008, 1, 28, 128},
    };
    struct vcpu *v = fake_machine_start();
    uint32_t *words[] = {&cpuid_word(v, 7)[3], &cpuid_word(v, 0x80000008)[1]};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        *words[0] = *words[1] = 0;
        cpuid_word(v, cases[i].leaf)[cases[i].reg] = BIT32(cases[i].bit);
        for (unsigned bit = 0; bit < 16; bit++) {
            bool allowed = BIT(bit) == cases[i].allowed;
            CHECK_U64(msr_takes(v, X86_MSR_SPEC_CTRL, BIT(bit)), allowed);
        }
    }
}

static void time_passes(void) {
    fake_tsc += FAKE_HZ / 10000;
}

/* A vCPU that locks the bus waits a millisecond, in which host interrupts are taken. */
TEST(bus_locks_are_slowed_down) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_BUS_LOCK};
    uint64_t start = fake_tsc, rip = fake_regs[HVM_RIP];
    fake_interrupt = time_passes;
    fake_interrupts_taken = 0;
    v->public.requests = REQUEST_EVENT; /* what siblings send does not cut it short */
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(fake_tsc - start, FAKE_HZ / 1000);
    CHECK_U64(fake_interrupts_taken, 10);
    CHECK_U64(fake_regs[HVM_RIP], rip);
    CHECK_U64(v->event.type, EVENT_NONE);
    fake_interrupt = NULL;
}

TEST(messages_reach_whom_they_name) {
    struct vcpu *v = fake_machine_start();
    struct apic_message m = {.vector = 0x41, .shorthand = APIC_OTHERS};
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff); /* software enable */
    vm_deliver(fake_vm, v, &m);
    m.shorthand = APIC_NAMED;
    m.destination = 7;
    vm_deliver(fake_vm, NULL, &m);
    CHECK_U64(lapic_pending(&v->lapic), -1);
    m.destination = 0;
    vm_deliver(fake_vm, NULL, &m);
    CHECK_U64(lapic_pending(&v->lapic), 0x41);
    m.vector = 0x52;
    m.shorthand = APIC_ALL;
    vm_deliver(fake_vm, v, &m);
    CHECK_U64(lapic_pending(&v->lapic), 0x52);
    v->public.requests = 0;
    m.delivery_mode = APIC_NMI;
    vm_deliver(fake_vm, v, &m);
    CHECK_U64(v->public.requests, REQUEST_NMI);
    m.delivery_mode = APIC_SIPI;
    vm_deliver(fake_vm, v, &m);
    CHECK_U64(v->public.requests, REQUEST_NMI | REQUEST_SIPI);
    CHECK_U64(v->sipi_vector, 0x52);
    m.delivery_mode = APIC_INIT; /* not to be started by what came before */
    v->index = 1;
    vm_deliver(fake_vm, NULL, &m);
    CHECK_U64(v->public.requests, REQUEST_NMI | REQUEST_INIT);
    m.delivery_mode = APIC_SIPI;
    vm_deliver(fake_vm, NULL, &m);
    CHECK_U64(v->public.requests, REQUEST_NMI | REQUEST_INIT | REQUEST_SIPI);
    v->index = 0;
    m.delivery_mode = APIC_SMI; /* there is no SMM */
    v->public.requests = 0;
    vm_deliver(fake_vm, v, &m);
    CHECK_U64(v->public.requests, 0);
}

/* SDM "MP Initialization": both may have come before the vCPU looks. */
TEST(init_and_startup_messages) {
    struct vcpu *v = fake_machine_start();
    struct hvm_segment cs;
    uint64_t base = v->lapic.apic_base, offset = v->tsc_offset;
    v->index = 1;
    v->sipi_vector = 0x9f;
    v->public.requests = REQUEST_SIPI; /* it does not wait for one */
    hvm->set(v, HVM_RIP, 0x1234);
    CHECK(vcpu_service(v));
    CHECK_U64(hvm->get(v, HVM_RIP), 0x1234);
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    hvm->set(v, HVM_CR3, 0x5000);
    v->public.requests = REQUEST_INIT | REQUEST_SIPI;
    CHECK(vcpu_service(v));
    hvm->get_segment(v, HVM_CS, &cs);
    CHECK_U64(cs.base, 0x9f000);
    CHECK_U64(cs.selector, 0x9f00);
    CHECK_U64(hvm->get(v, HVM_RIP), 0);
    CHECK_U64(hvm->get(v, HVM_CR3), 0);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0xf0), 0xff);
    CHECK_U64(v->lapic.apic_base, base);
    CHECK_U64(v->tsc_offset, offset);
    v->public.requests = REQUEST_INIT | REQUEST_LEAVE; /* waits, and can be stopped */
    CHECK(!vcpu_service(v));
    CHECK(v->waiting);
}

/* As on a PC: nothing but its firmware could take the first CPU over, and in memory that is used.
 */
TEST(init_to_the_first_cpu_is_a_reset) {
    struct vcpu *v = fake_machine_start();
    struct apic_message m = {.delivery_mode = APIC_INIT, .destination = 0};
    hvm->set(v, HVM_RIP, 0x1234);
    vm_deliver(fake_vm, NULL, &m);
    CHECK_U64(v->public.requests, REQUEST_LEAVE);
    CHECK_U64(fake_vm->leave, LEAVE_RESET);
    CHECK_STR(fake_vm->leave_reason, "reset by INIT to its first CPU, starting again [BH3003]");
    CHECK(!vcpu_service(v));
    CHECK(!v->waiting && hvm->get(v, HVM_RIP) == 0x1234);
}

/* STI; HLT with an interrupt that came just before: no window exit follows, HLT must take it. */
TEST(halting_takes_what_waited_for_a_window) {
    struct vcpu *v = fake_machine_start();
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    CHECK(lapic_accept(&v->lapic, 0x31, false));
    vcpu_request(&v->public, REQUEST_EVENT);
    CHECK(vcpu_service(v));
    CHECK(fake_window_interrupt);
    fake_can_interrupt = true;
    CHECK(vcpu_halt(v)); /* plat_wait() of the fake machine aborts */
    CHECK_U64(v->event.vector, 0x31);
}

/* Bits that the manuals give a name, by register: each is in the policy or hidden for a reason. The
 * rest of a word is reserved, or a mirror of something else (OSXSAVE, HTT, OSPKE). */
TEST(what_is_hidden_has_a_reason) {
    static const struct {
        uint32_t leaf, reg, named;
    } words[] = {
        {0x01, 2, ~(BIT32(16) | BIT32(27))},
        {0x01, 3, ~(BIT32(10) | BIT32(20) | BIT32(28) | BIT32(30))},
        {0x07, 1, ~BIT32(22)},
        {0x07, 2, ~(BIT32(4) | BIT32(15) | BIT32(26))},
        {0x07, 3, ~(BIT32(0) | BIT32(6) | BIT32(7) | BIT32(12) | BIT32(17) | BIT32(21))},
        {0x80000001, 2, ~(BIT32(14) | BIT32(18) | BIT32(20) | BIT32(25) | BIT32(31))},
        {0x80000001, 3, ~(BIT32(10) | BIT32(18) | BIT32(19) | BIT32(21) | BIT32(28))},
        {0x80000007, 3, (uint32_t)BITS(0, 14)},
        {0x80000008, 1, ~(BIT32(5) | BIT32(7) | BIT32(10) | BIT32(11) | BIT32(22))},
        {0x80000021, 0,
         (uint32_t)(BITS(0, 3) | BITS(5, 11) | BIT(13) | BITS(17, 20) | BIT(24) | BITS(27, 31))},
        {0x80000021, 2, (uint32_t)BITS(1, 2)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        uint32_t shown = 0, hidden = 0;
        for (const struct cpuid_policy *p = cpuid_policies; p->name != NULL; p++) {
            if (p->leaf == words[i].leaf) {
                shown |= p->pass[words[i].reg] | p->set[words[i].reg];
            }
        }
        for (const struct cpuid_hidden *h = cpuid_hidden; h->names != NULL; h++) {
            CHECK(h->why[0] != 0 && h->bits != 0 && h->reg < 4);
            bool here = h->subleaf == CPUID_NO_SUBLEAF || h->subleaf == 0;
            if (h->leaf == words[i].leaf && here && h->reg == words[i].reg) {
                CHECK_U64(hidden & h->bits, 0); /* one reason each */
                hidden |= h->bits;
            }
        }
        CHECK_U64(shown & hidden, 0);
        CHECK_U64(shown | hidden, words[i].named);
    }
}

/* Linear addresses have four levels, whatever the CPU's. */
TEST(linear_addresses_have_48_bits) {
    struct vcpu *v = fake_machine_start();
    cpuid_of(v, 0x80000008, 0);
    CHECK_U64(v->regs[X86_RAX], 39 | 48 << 8);
}

/* SDM vol. 3 "Relocating the Local APIC Registers", "Enabling or Disabling the Local APIC". */
TEST(apic_base_moves_and_shows_in_cpuid) {
    struct vcpu *v = fake_machine_start();
    unsigned bits = cpuid_find(&v->cpuid, 0x80000008, 0)->out[0] & 0xff;
    uint64_t base = v->lapic.apic_base;
    const struct {
        uint64_t value;
        bool refused;
    } cases[] = {
        {base, false},
        {base ^ LAPIC_BASE ^ 0xfed00000, false},
        {base ^ LAPIC_BASE ^ (BIT(bits) - PAGE_SIZE), false},
        {base & ~APIC_BASE_ENABLE, false},
        {(base & ~APIC_BASE_ENABLE) ^ LAPIC_BASE ^ 0xfed00000, false},
        {base, false},
        {base | BIT(bits), true},
        {base | BIT(63), true},
        {base & ~APIC_BASE_ENABLE, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t before = v->lapic.apic_base;
        v->regs[X86_RCX] = 0x1b;
        v->regs[X86_RAX] = (uint32_t)cases[i].value;
        v->regs[X86_RDX] = cases[i].value >> 32;
        (void)act(v, EXIT_WRMSR);
        CHECK_U64(faulted(v, X86_GP), cases[i].refused);
        CHECK_U64(v->lapic.apic_base, cases[i].refused ? before : cases[i].value);
        cpuid_of(v, 1, 0);
        CHECK_U64(v->regs[X86_RDX] >> 9 & 1, (v->lapic.apic_base & APIC_BASE_ENABLE) != 0);
    }
    vcpu_reset(v, true); /* INIT leaves it off */
    CHECK(!cpuid_has(&v->cpuid, 1, 3, 9));
    vcpu_reset(v, false);
    CHECK(cpuid_has(&v->cpuid, 1, 3, 9));
}

/* A CPU as a PC's after power-up, but for the base of CS. SDM "Processor State After Reset". */
TEST(reset_is_that_of_a_pc) {
    struct vcpu *v = fake_machine_start();
    memset(fake_regs, 0xa5, sizeof(fake_regs));
    memset(fake_segs, 0xa5, sizeof(fake_segs));
    memset(v->regs, 0xa5, sizeof(v->regs));
    cpuid_of(v, 1, 0);
    uint64_t signature = v->regs[X86_RAX];
    vcpu_reset(v, false);
    for (unsigned r = 0; r < 16; r++) {
        CHECK_U64(v->regs[r], r == X86_RDX ? signature : 0);
    }
    CHECK(signature != 0);
    for (unsigned r = 0; r < HVM_REG_COUNT; r++) {
        uint64_t want = r == HVM_RIP      ? 0xfff0
                        : r == HVM_RFLAGS ? 2
                        : r == HVM_CR0    ? 0x60000010
                        : r == HVM_DR7    ? 0x400
                        : r == HVM_PAT    ? 0x0007040600070406
                                          : 0;
        CHECK_U64(fake_regs[r], want);
    }
    for (unsigned s = 0; s < HVM_SEG_COUNT; s++) {
        CHECK_U64(fake_segs[s].base, s == HVM_CS ? 0xf0000 : 0);
        CHECK_U64(fake_segs[s].selector, s == HVM_CS ? 0xf000 : 0);
        CHECK_U64(fake_segs[s].limit, 0xffff);
        uint32_t want = s == HVM_CS ? 0x9b : s == HVM_LDT ? 0x82 : s == HVM_TR ? 0x8b : 0x93;
        CHECK_U64(fake_segs[s].attr, s >= HVM_GDT ? 0 : want);
    }
}

/* What hv/abi.h promises whoever loads the guest. */
TEST(files_are_handed_over) {
    static uint8_t kernel[5000], initrd[3 * MIB + 5];
    static struct boot_image images[2];
    struct bulkhead_start s;
    char cmdline[16];
    memset(kernel, 0x17, sizeof(kernel));
    memset(initrd, 0x29, sizeof(initrd));
    images[0] = (struct boot_image){.base = HPA((uintptr_t)kernel), .size = sizeof(kernel)};
    images[1] = (struct boot_image){.base = HPA((uintptr_t)initrd), .size = sizeof(initrd)};
    (void)fake_machine_start();
    uint8_t *ram = gmem_pointer(&fake_vm->mem, GPA(0), FAKE_RAM);
    memset(ram, 0xa5, FAKE_RAM); /* so that what is not written is seen */
    fake_plan.kernel = &images[0];
    fake_plan.initrd = &images[1];
    strcpy(fake_config.cmdline, "quiet");
    strcpy(fake_config.initrd, "web.img");
    fake_config.type = BULKHEAD_KERNEL_FLAT;
    CHECK_U64(vm_load(fake_vm), STATUS_OK);
    memcpy(&s, ram + BULKHEAD_START_GPA, sizeof(s));
    CHECK_U64(s.magic, BULKHEAD_START_MAGIC);
    CHECK_U64(s.size, sizeof(s));
    CHECK_U64(s.vcpu_count, 1);
    CHECK_U64(s.low_ram, FAKE_RAM);
    CHECK_U64(s.high_ram, 0);
    CHECK_U64(s.kernel.size, sizeof(kernel));
    CHECK_U64(s.initrd.size, sizeof(initrd));
    CHECK_U64(s.initrd.gpa % PAGE_SIZE, 0);
    CHECK(s.initrd.gpa + s.initrd.size <= FAKE_RAM - BULKHEAD_TABLES_SIZE);
    CHECK(s.kernel.gpa + s.kernel.size <= s.initrd.gpa && s.kernel.gpa >= MIB);
    CHECK(memcmp(ram + s.kernel.gpa, kernel, sizeof(kernel)) == 0);
    CHECK(memcmp(ram + s.initrd.gpa, initrd, sizeof(initrd)) == 0);
    CHECK_U64(s.cmdline.size, 5);
    memcpy(cmdline, gmem_pointer(&fake_vm->mem, GPA(s.cmdline.gpa), 6), 6);
    CHECK_STR(cmdline, "quiet");
    CHECK_U64(s.kernel_type, BULKHEAD_KERNEL_FLAT);
    CHECK_U64(s.initrd_path.size, strlen("web.img"));
    memcpy(cmdline, gmem_pointer(&fake_vm->mem, GPA(s.initrd_path.gpa), 8), 8);
    CHECK_STR(cmdline, "web.img");
    fake_plan.initrd = NULL;
    CHECK_U64(vm_load(fake_vm), STATUS_OK);
    memcpy(&s, ram + BULKHEAD_START_GPA, sizeof(s));
    CHECK_U64(s.initrd.size, 0);
    images[0].size = FAKE_RAM; /* more than there is */
    CHECK_U64(vm_load(fake_vm), STATUS_NOT_FOUND);
}

TEST(requests_from_elsewhere_kick_the_cpu) {
    struct vcpu *v = fake_machine_start();
    fake_cpu = 1;
    fake_kicks = 0;
    vcpu_request(&v->public, REQUEST_EVENT);
    CHECK_U64(fake_kicks, 1);
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    CHECK_U64(fake_kicks, 1); /* the CPU is on its way */
    CHECK(vcpu_service(v));
    CHECK(vm_command(&fake_public, VM_COMMAND_KILL));
    CHECK_U64(fake_kicks, 2);
}

TEST_MAIN(T(every_exit_kind_has_a_handler), T(cpuid_hides_what_no_table_names),
          T(apic_base_moves_and_shows_in_cpuid), T(what_is_hidden_has_a_reason),
          T(misc_enable_keeps_what_it_may), T(linear_addresses_have_48_bits),
          T(speculation_control_msrs), T(spec_ctrl_follows_cpuid), T(bus_locks_are_slowed_down),
          T(topology_is_told_the_same_everywhere), T(tsc_and_its_adjustment_move_together),
          T(xsave_sizes_follow_xcr0), T(cpuid_tells_who_we_are_and_how_fast),
          T(each_start_has_a_seed_of_its_own), T(msr_allowed_and_refused),
          T(mtrrs_take_what_is_valid), T(mtrrs_at_power_up), T(registers_that_remember_nothing),
          T(counters_of_every_amd_cpu), T(no_msr_is_taken_for_the_one_before),
          T(x2apic_and_deadline_by_msr), T(efer_is_read_where_it_does_not_pass),
          T(msr_table_is_sorted_and_disjoint), T(ports_of_nobody_read_all_ones),
          T(violation_stops_when_the_config_says_so), T(control_registers), T(protection_keys),
          T(mov_to_cr_takes_half_outside_64_bit_mode), T(xsetbv_is_for_cpl_0), T(hypercalls),
          T(memory_that_is_not_there), T(an_apic_register_goes_along),
          T(what_a_compartment_may_raise), T(an_unknown_instruction_stops_the_vm),
          T(instructions_of_another_cpu_are_undefined), T(double_and_triple_faults),
          T(each_two_exceptions), T(hlt_under_the_trap_flag_does_not_sleep),
          T(intercepted_exceptions_go_on_to_the_guest), T(interrupts_wait_for_their_window),
          T(halting_takes_what_waited_for_a_window), T(a_tsc_write_moves_no_other_clock),
          T(messages_reach_whom_they_name), T(init_and_startup_messages),
          T(init_to_the_first_cpu_is_a_reset), T(reset_is_that_of_a_pc), T(files_are_handed_over),
          T(requests_from_elsewhere_kick_the_cpu))
