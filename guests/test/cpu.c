/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CPU shows a guest and what it refuses: CPUID, MSRs, virtualization, hypercalls. The
 * instructions that are not there are the hostile guest's matter (guests/hostile).
 * Refused must look as on a PC that lacks the thing: #GP or #UD, and the guest goes on.
 */
#include "guests/test/guest.h"

#include "hv/abi.h"

#define GP 13

/* No table of Bulkhead's names these, and no PC a guest sees has them. */
static const uint32_t refused_msrs[] = {
    0x00000034,             /* SMI count */
    0x00000079,             /* microcode update */
    0x0000009e,             /* SMRAM base */
    0x00000480, 0x00000481, /* VT-x capabilities */
    0x0000048b, 0x00000491, /* VT-x capabilities */
    0x00001fff, 0x00002000, /* the MSR bitmap's edge */
    0x12345678,             /* outside of both bitmap ranges */
    0x40000000,             /* another hypervisor's */
    0xc0001fff, 0xc0002000, /* the MSR bitmap's edge */
    0xc0010114,             /* AMD: VM_CR */
    0xffffffff,
};

struct written_msr {
    const char *text;
    uint32_t msr;
    uint64_t value;
};
static const struct written_msr kept_values[] = {
    {"SYSENTER_EIP keeps its value", 0x176, 0xffff800000001234},
    {"PAT keeps its value", 0x277, 0x0007040600070406},
    {"LSTAR keeps its value", 0xc0000082, 0xffff800012345678},
    {"KERNEL_GS_BASE keeps its value", 0xc0000102, 0x0000123456789abc},
};
static const struct written_msr refused_values[] = {
    {"PAT with a reserved type: #GP", 0x277, 0x0007040600070402},
    {"EFER with a reserved bit: #GP", 0xc0000080, 0xf000},
    {"LSTAR not canonical: #GP", 0xc0000082, 0x0123456789abcdef},
    {"FS base not canonical: #GP", 0xc0000100, 0x8000000000000000},
};

/* There where CPUID says so, and nowhere else. */
static void speculation_msrs(void) {
    static const struct {
        const char *text;
        uint32_t msr, leaf7_edx, leaf8_ebx;
        bool read, write;
    } msrs[] = {
        {"SPEC_CTRL is there if IBRS, STIBP or SSBD is", 0x48, 0x8c000000, 0x0100c000, true, true},
        {"PRED_CMD can be written if IBPB is there", 0x49, 0x04000000, 0x00001000, false, true},
        {"ARCH_CAPABILITIES can be read if CPUID says so", 0x10a, 0x20000000, 0, true, false},
        {"FLUSH_CMD can be written if CPUID says so", 0x10b, 0x10000000, 0, false, true},
    };
    uint32_t leaf7[4], leaf8[4];
    cpuid(7, 0, leaf7);
    cpuid(0x80000008, 0, leaf8);
    for (size_t i = 0; i < COUNT(msrs); i++) {
        uint64_t value;
        bool there = ((leaf7[3] & msrs[i].leaf7_edx) | (leaf8[1] & msrs[i].leaf8_ebx)) != 0;
        uint32_t read = try_read_msr(msrs[i].msr, &value), write = try_write_msr(msrs[i].msr, 0);
        uint32_t read_wanted = there && msrs[i].read ? NO_TRAP : GP;
        uint32_t write_wanted = there && msrs[i].write ? NO_TRAP : GP;
        tap_line_value(read == read_wanted && write == write_wanted, msrs[i].text, there);
    }
}

/* A day's ticks and more, that no clock goes on by meanwhile. */
#define TSC_STEP (1ull << 50)

static void tsc_adjust(void) {
    uint64_t old, value, before = read_tsc();
    tap_line(try_read_msr(0x3b, &old) == NO_TRAP, "TSC_ADJUST is there");
    tap_line(try_write_msr(0x3b, old + TSC_STEP) == NO_TRAP, "TSC_ADJUST can be written");
    uint64_t moved = read_tsc() - before;
    tap_line_value(moved >= TSC_STEP && moved < 2 * TSC_STEP, "it moves the TSC", moved);
    (void)try_read_msr(0x3b, &value);
    tap_line_value(value == old + TSC_STEP, "it reads as written", value);
    tap_line(try_write_msr(0x10, read_tsc() - TSC_STEP) == NO_TRAP, "the TSC can be written");
    (void)try_read_msr(0x3b, &value);
    tap_line_value(value - old + (1ull << 32) < 1ull << 33, "that moves TSC_ADJUST back",
                   value - old);
    (void)try_write_msr(0x3b, old);
    tap_line_value(read_tsc() - before < TSC_STEP, "the TSC is as before", read_tsc() - before);
}

void test_msr(void) {
    uint64_t value, kept;
    for (size_t i = 0; i < COUNT(refused_msrs); i++) {
        uint32_t read = try_read_msr(refused_msrs[i], &value);
        bool read_error = trap_last.error == 0;
        uint32_t write = try_write_msr(refused_msrs[i], 0);
        tap_line_value(read == GP && write == GP && read_error && trap_last.error == 0,
                       "an MSR that is not there: #GP(0) on reading and writing", refused_msrs[i]);
    }
    for (size_t i = 0; i < COUNT(kept_values); i++) {
        uint32_t old_read = try_read_msr(kept_values[i].msr, &kept);
        uint32_t write = try_write_msr(kept_values[i].msr, kept_values[i].value);
        uint32_t read = try_read_msr(kept_values[i].msr, &value);
        (void)try_write_msr(kept_values[i].msr, kept);
        tap_line_value(old_read == NO_TRAP && write == NO_TRAP && read == NO_TRAP &&
                           value == kept_values[i].value,
                       kept_values[i].text, value);
    }
    for (size_t i = 0; i < COUNT(refused_values); i++) {
        tap_line(try_write_msr(refused_values[i].msr, refused_values[i].value) == GP,
                 refused_values[i].text);
    }
    tap_line(try_read_msr(0x10, &value) == NO_TRAP, "the TSC can be read as an MSR");
    speculation_msrs();
    tsc_adjust();
}

static bool cpu_is_amd(void) {
    uint32_t r[4];
    cpuid(0, 0, r);
    return r[1] == 0x68747541; /* "Auth" */
}

/* What would let a guest virtualize looks as on a CPU without it, of either vendor. */
void test_vmxon(void) {
    static const uint32_t msrs[] = {0x480, 0xc0010114, 0xc0010117}; /* VMX_BASIC VM_CR HSAVE_PA */
    uint32_t r[4];
    cpuid(1, 0, r);
    tap_line((r[2] & 1u << 5) == 0, "CPUID shows no VT-x");
    cpuid(0x80000001, 0, r);
    tap_line((r[2] & 1u << 2) == 0, "CPUID shows no AMD-V");
    uint64_t value, efer, cr4 = read_cr4();
    tap_line((cr4 & 1u << 13) == 0, "CR4.VMXE reads 0");
    TRY("mov %0, %%cr4", (), ("r"(cr4 | 1u << 13)));
    tap_line(trap_last.vector == GP, "setting CR4.VMXE: #GP");
    tap_line_value(read_cr4() == cr4, "CR4 is as before", read_cr4());
    (void)try_read_msr(0xc0000080, &efer);
    tap_line((efer & 1u << 12) == 0, "EFER.SVME reads 0");
    tap_line(try_write_msr(0xc0000080, efer | 1u << 12) == GP, "setting EFER.SVME: #GP");
    (void)try_read_msr(0xc0000080, &value);
    tap_line_value(value == efer, "EFER is as before", value);
    for (size_t i = 0; i < COUNT(msrs); i++) {
        tap_line_value(try_read_msr(msrs[i], &value) == GP && try_write_msr(msrs[i], 0) == GP,
                       "a virtualization MSR: #GP on reading and writing", msrs[i]);
    }
    tap_line(try_read_msr(0x3a, &value) == GP || (value & 4) == 0,
             "IA32_FEATURE_CONTROL is not there or allows no VMX");
}

void test_cpuid(void) {
    uint32_t r[4], signature[4];
    cpuid(1, 0, r);
    tap_line((r[2] & 1u << 31) != 0, "the hypervisor bit is set");
    tap_line_value(r[1] >> 24 == apic_read(0x20) >> 24, "APIC ID as in the APIC itself",
                   r[1] >> 24);
    uint64_t cpus = option_number("cpus", 1), shown = r[1] >> 16 & 0xff;
    tap_line_value(shown <= 2 * cpus && (cpus == 1 || shown >= cpus),
                   "room for as many logical processors as there are", shown);
    tap_line((r[3] & 1u << 9) != 0, "the APIC bit is set");
    tap_line((r[2] & 1u << 27) == (read_cr4() & 1u << 18) << 9, "OSXSAVE follows CR4");
    cpuid(BULKHEAD_CPUID_BASE, 0, signature);
    const char *text = (const char *)&signature[1];
    bool same = true;
    for (unsigned i = 0; i < 12; i++) {
        same = same && text[i] == BULKHEAD_SIGNATURE[i];
    }
    tap_line(same, "the signature is Bulkhead's");
    tap_line_value(signature[0] >= BULKHEAD_CPUID_TIMING, "the timing leaf is there", signature[0]);
    cpuid(BULKHEAD_CPUID_TIMING, 0, r);
    uint64_t khz = machine.tsc_hz / 1000;
    uint64_t rounding = 1 + khz / 100000; /* leaf 15h is a fraction of 32-bit numbers */
    tap_line_value(r[0] != 0 && r[0] <= khz + rounding && r[0] + rounding >= khz,
                   "timing leaf and leaf 15h agree on the TSC", r[0]);
    cpuid(KVM_CPUID_BASE, 0, r);
    tap_line_value(r[0] == KVM_CPUID_FEATURES && r[1] == 0x4b4d564b && r[2] == 0x564b4d56,
                   "KVM's leaves are there for Linux", r[0]);
    cpuid(KVM_CPUID_FEATURES, 0, r);
    tap_line_value((r[0] & ~(KVM_NOP_IO_DELAY | KVM_PV_EOI)) == 0 && r[3] == 0,
                   "and show nothing that is not there", r[0]);
    cpuid(7, 0, r);
    tap_line((r[1] & 1u << 2) == 0, "no SGX");
    cpuid(0xa, 0, r);
    tap_line_value((r[0] & 0xff) == 0, "no performance counters", r[0]);
}

/* VMCALL and VMMCALL: each vendor's CPUs know only their own. */
static uint64_t hypercall(uint64_t number, uint64_t *rbx, uint64_t *rcx, uint64_t *rdx) {
    uint64_t rax = number;
    if (cpu_is_amd()) {
        TRY("vmmcall", ("+a"(rax), "+b"(*rbx), "+c"(*rcx), "+d"(*rdx)), ());
    } else {
        TRY("vmcall", ("+a"(rax), "+b"(*rbx), "+c"(*rcx), "+d"(*rdx)), ());
    }
    return rax;
}

void test_hypercall(void) {
    uint64_t rbx = 0x1111, rcx = 0x2222, rdx = 0x3333;
    uint64_t rax = hypercall(HYPERCALL_NOP, &rbx, &rcx, &rdx);
    tap_line_value(trap_last.vector == NO_TRAP && rax == 0, "the no-op returns 0", rax);
    tap_line(rbx == 0x1111 && rcx == 0x2222 && rdx == 0x3333, "other registers are kept");
    rax = hypercall(0xdead, &rbx, &rcx, &rdx);
    tap_line_value(trap_last.vector == NO_TRAP && rax == HYPERCALL_UNKNOWN,
                   "an unknown number says so", rax);
}
