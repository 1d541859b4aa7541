/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: values that control, debug and model-specific registers must not take. An act with several
 * of them says what the first said that was no #GP(0), else "#GP(0)".
 */
#include "guests/hostile/hostile.h"

#define GP 13

#define WRITE(name, value) TRY("mov %0, %%" name, (), ("r"((uint64_t)(value))))
#define READ(name, out)    __asm__ volatile("mov %%" name ", %0" : "=r"(out))

static bool is_gp(void) {
    return trap_last.vector == GP && trap_last.error == 0;
}

const char *act_cr0_high(void) {
    uint64_t cr0, refused = 0;
    READ("cr0", cr0);
    for (unsigned bit = 32; bit < 64; bit++) {
        WRITE("cr0", cr0 | 1ull << bit);
        refused += is_gp();
    }
    return saw_number(refused, "times #GP(0)");
}

static const char *write_cr0(uint64_t set, uint64_t clear) {
    uint64_t cr0;
    READ("cr0", cr0);
    WRITE("cr0", (cr0 | set) & ~clear);
    return saw_trap();
}

const char *act_cr0_nw(void) {
    return write_cr0(1u << 29, 0);
}

const char *act_cr0_pg(void) {
    return write_cr0(0, 1u << 31);
}

const char *act_cr0_pe(void) {
    return write_cr0(0, 1);
}

const char *act_cr0_cache(void) {
    uint64_t cr0;
    READ("cr0", cr0);
    for (unsigned i = 0; i < 1000; i++) {
        WRITE("cr0", cr0 | 1u << 30);
        WRITE("cr0", cr0);
    }
    return trap_last.vector == NO_TRAP ? "done" : saw_trap();
}

/* A CPU that hides CD and NW reads CR0 through the hypervisor then. */
const char *act_smsw_uncached(void) {
    uint64_t cr0;
    uint64_t word = 0;
    uint64_t cell = UINT64_MAX;
    READ("cr0", cr0);
    uint64_t uncached = cr0 | 3u << 29; /* CD and NW */
    WRITE("cr0", uncached);
    __asm__ volatile("smsw %0" : "+r"(word));
    __asm__ volatile("smsw %0" : "+m"(cell));
    WRITE("cr0", cr0);
    bool right = word == uncached && cell == (UINT64_MAX << 16 | (uncached & 0xffff));
    return saw(right, "CR0, and 16 bits of it");
}

static unsigned address_bits(void) {
    uint32_t r[4];
    cpuid(0x80000008, 0, r);
    return r[0] & 0xff;
}

const char *act_cr3_high(void) {
    uint64_t cr3;
    READ("cr3", cr3);
    WRITE("cr3", cr3 | 1ull << address_bits());
    return saw_trap();
}

const char *act_cr4_high(void) {
    unsigned refused = 0;
    for (unsigned bit = 32; bit < 64; bit++) {
        WRITE("cr4", read_cr4() | 1ull << bit);
        refused += is_gp();
    }
    return saw_number(refused, "times #GP(0)");
}

static const char *write_cr4(uint64_t set, uint64_t clear) {
    WRITE("cr4", (read_cr4() | set) & ~clear);
    return saw_trap();
}

const char *act_cr4_vmxe(void) {
    return write_cr4(1u << 13, 0);
}

const char *act_cr4_smxe(void) {
    return write_cr4(1u << 14, 0);
}

const char *act_cr4_pae(void) {
    return write_cr4(0, 1u << 5);
}

const char *act_cr8(void) {
    WRITE("cr8", 16);
    return saw_trap();
}

const char *act_dr7_high(void) {
    WRITE("dr7", 0x100000400);
    return saw_trap();
}

static void write_xcr(uint32_t number, uint64_t value) {
    TRY("xsetbv", (), ("c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
}

static void xsave_on(void) {
    __asm__ volatile("mov %0, %%cr4" ::"r"(read_cr4() | 1u << 18));
}

const char *act_xcr0(void) {
    static const uint64_t values[] = {0, 2, 5, 8, 0x10, 0x200, 1ull << 63};
    unsigned refused = 0;
    xsave_on();
    for (size_t i = 0; i < COUNT(values); i++) {
        write_xcr(0, values[i]);
        refused += is_gp();
    }
    return saw_number(refused, "times #GP(0)");
}

const char *act_xcr1(void) {
    xsave_on();
    write_xcr(1, 3);
    return saw_trap();
}

/* ---- MSRs ---- */

struct msr_range {
    uint32_t first, count;
};

/* Reads and writes each; "#GP(0)" if all are refused. */
static const char *refused(const struct msr_range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (uint32_t m = 0; m < ranges[i].count; m++) {
            uint64_t value;
            (void)try_read_msr(ranges[i].first + m, &value);
            bool read = is_gp();
            (void)try_write_msr(ranges[i].first + m, 0);
            if (!read || !is_gp()) {
                tap_note("not refused:", ranges[i].first + m);
                return saw_trap();
            }
        }
    }
    return "#GP(0)";
}

struct msr_value {
    uint32_t msr;
    uint64_t value;
};

static const char *refused_values(const struct msr_value *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        (void)try_write_msr(values[i].msr, values[i].value);
        if (!is_gp()) {
            tap_note("not refused:", values[i].msr);
            return saw_trap();
        }
    }
    return "#GP(0)";
}

#define MSRS(name, ...)                                                                            \
    const char *act_##name(void) {                                                                 \
        static const struct msr_range ranges[] = {__VA_ARGS__};                                    \
        return refused(ranges, COUNT(ranges));                                                     \
    }
#define VALUES(name, ...)                                                                          \
    const char *act_##name(void) {                                                                 \
        static const struct msr_value values[] = {__VA_ARGS__};                                    \
        return refused_values(values, COUNT(values));                                              \
    }

MSRS(smm, {0x34, 1}, {0x9e, 1}, {0xc0010111, 2})
MSRS(machine_check, {0x400, 8})
MSRS(power, {0x606, 1}, {0x610, 2}, {0x639, 1}, {0x641, 1})
MSRS(counters, {0xc1, 2}, {0x186, 2}, {0x38d, 1}, {0x38f, 1}, {0xc0010200, 2})
MSRS(branches, {0x1c8, 1}, {0x680, 2}, {0x600, 1}, {0x570, 1})
MSRS(vmx, {0x480, 18})
MSRS(svm, {0xc0010114, 2}, {0xc0010117, 2})

const char *act_microcode(void) {
    static const struct msr_value values[] = {{0x79, 0x1000}, {0x8b, 1}};
    return refused_values(values, COUNT(values));
}

VALUES(efer_svme, {0xc0000080, 0x1500})
VALUES(efer_lme, {0xc0000080, 0x400})
VALUES(counters_set, {0xc0010000, 0x430076}, {0xc0010004, 1})
VALUES(feature_control, {0x3a, 5})
VALUES(apic_base_moved, {0x1b, 1ull << 52 | 0xfee00900})
VALUES(apic_base_modes, {0x1b, 0xfee00500}, {0x1b, 0xfee00901}, {0x1b, 1ull << 60 | 0xfee00900})
VALUES(mtrr, {0x200, 0x80000002}, {0x201, 0x80000001}, {0x250, 0x0206060606060606}, {0x2ff, 0x1c06},
       {0x2ff, 0xc02})
VALUES(debugctl, {0x1d9, 1}, {0x1d9, 2}, {0x1d9, 0x40}, {0x1d9, 0x80}, {0x1d9, 0x100},
       {0x1d9, 0x800}, {0x1d9, 0x4000}, {0x1d9, 1ull << 63})
VALUES(not_canonical, {0xc0000082, 0x0123456789abcdef}, {0xc0000100, 0x8000000000000000},
       {0x176, 0x8000000000000000})

const char *act_efer_reserved(void) {
    /* SCE, LME, LMA, NXE are there; LMA and LME are on and their change is another act's. */
    uint64_t known = 1u | 1u << 8 | 1u << 10 | 1u << 11, efer = 0, refused_bits = 0;
    (void)try_read_msr(0xc0000080, &efer);
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((known >> bit & 1) == 0) {
            (void)try_write_msr(0xc0000080, efer | 1ull << bit);
            refused_bits += is_gp();
        }
    }
    return saw_number(refused_bits, "times #GP(0)");
}

const char *act_x2apic(void) {
    uint64_t value;
    unsigned refusals = 0;
    for (uint32_t m = 0x800; m < 0x880; m++) {
        (void)try_read_msr(m, &value);
        refusals += is_gp();
    }
    return refusals == 0x80 ? "#GP(0)" : saw_number(refusals, "refused");
}

/* What is there answers, what is not is #GP(0): the hypervisor must have counted as many. */
static const char *scan_msrs(uint32_t first, uint32_t step, uint32_t count, unsigned least) {
    uint64_t value, refusals = 0, others = 0;
    for (uint32_t i = 0; i < count; i++) {
        (void)try_read_msr(first + i * step, &value);
        refusals += is_gp();
        others += trap_last.vector != NO_TRAP && !is_gp();
    }
    tell(refusals);
    return saw(others == 0 && refusals >= least, "as many #GP(0) as told");
}

const char *act_scan_low(void) {
    return scan_msrs(0, 1, 0x2000, 0x1f00);
}

const char *act_scan_high(void) {
    return scan_msrs(0xc0000000, 1, 0x2000, 0x1f00);
}

const char *act_scan_far(void) {
    return scan_msrs(0x2000, 0x00200001, 1000, 900);
}

/* It only goes up between; the host's own time is not touched (the heart tells). */
const char *act_tsc(void) {
    static const uint64_t values[] = {0, 1ull << 63, UINT64_MAX - 0xffffffff};
    bool right = true;
    uint64_t before = read_tsc();
    for (size_t i = 0; i < COUNT(values); i++) {
        (void)try_write_msr(0x10, values[i]);
        right = right && trap_last.vector == NO_TRAP && read_tsc() - values[i] < machine.tsc_hz;
    }
    (void)try_write_msr(0x10, before);
    return saw(right, "it goes on from there");
}

const char *act_deadline(void) {
    uint32_t r[4];
    cpuid(1, 0, r);
    bool there = (r[2] & 1u << 24) != 0;
    apic_write(0x0f0, 0x1ff);
    apic_write(0x320, there ? 0x40047 : 0x10047); /* LVT timer */
    for (unsigned i = 0; there && i < 300; i++) {
        const uint64_t values[] = {1, read_tsc(), UINT64_MAX};
        (void)try_write_msr(0x6e0, values[i % COUNT(values)]);
        interrupts_on();
        __builtin_ia32_pause();
        interrupts_off();
    }
    apic_write(0x320, 0x10000);
    return trap_last.vector == NO_TRAP ? "done" : saw_trap();
}
