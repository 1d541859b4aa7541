/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CPU's privileged registers, for code that has the instructions in it: each faults here, is
 * looked at, done upon these registers, and stepped over. CPUID is the test's own plat_cpuid(). An
 * MSR may be refused: then the instruction behind it, which takes the mark off, is left out as
 * well.
 */
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "arch/x86_64/cpu.h"
#include "test.h"

enum { FAKE_MSRS = 32 };

static struct {
    struct {
        uint32_t number;
        unsigned writes;
        uint64_t value;
        bool refused;
    } msrs[FAKE_MSRS];
    unsigned msr_count;
    uint64_t cr[9], dr[8], xcr0;
} fake_cpu;

/* 0 and never written unless a test says otherwise. */
static unsigned fake_msr_at(uint32_t number) {
    for (unsigned i = 0; i < fake_cpu.msr_count; i++) {
        if (fake_cpu.msrs[i].number == number) {
            return i;
        }
    }
    if (fake_cpu.msr_count == FAKE_MSRS) {
        printf("Bail out! more MSRs than a fake CPU has\n");
        exit(2);
    }
    fake_cpu.msrs[fake_cpu.msr_count].number = number;
    return fake_cpu.msr_count++;
}

static UNUSED uint64_t fake_msr(uint32_t number) {
    return fake_cpu.msrs[fake_msr_at(number)].value;
}

static UNUSED unsigned fake_msr_writes(uint32_t number) {
    return fake_cpu.msrs[fake_msr_at(number)].writes;
}

static void fake_wrmsr(uint32_t number, uint64_t value) {
    unsigned i = fake_msr_at(number);
    fake_cpu.msrs[i].value = value;
    fake_cpu.msrs[i].writes++;
}

/* It is not there: for msr_read_checked() and msr_write_checked(), which go on behind a mark. */
static UNUSED void fake_msr_refuse(uint32_t number) {
    fake_cpu.msrs[fake_msr_at(number)].refused = true;
}

/* Behind WRMSR or RDMSR: XOR of two registers. */
static unsigned fake_mark(const uint8_t *at) {
    unsigned prefix = (*at & 0xf0) == 0x40 ? 1 : 0;
    CHECK_U64(at[prefix], 0x31);
    return prefix + 2;
}

static const int fake_registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                       REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15};

static uint64_t fake_edx_eax(const greg_t *r) {
    return (uint64_t)r[REG_RDX] << 32 | (uint32_t)r[REG_RAX];
}

/* MOV to and from control and debug registers. */
static uint64_t *fake_register(uint8_t opcode, unsigned number) {
    return (opcode & 1) != 0 ? &fake_cpu.dr[number] : &fake_cpu.cr[number];
}

static void fake_fault(int signal, UNUSED siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *begin = (const uint8_t *)r[REG_RIP], *at = begin;
    uint8_t rex = (*at & 0xf0) == 0x40 ? *at++ : 0;
    greg_t *general = &r[fake_registers[(at[2] & 7) | (rex & 1) << 3]];
    unsigned number = at[2] >> 3 & 7;
    unsigned length = 3;

    if (at[0] == 0x0f && (at[1] == 0x30 || at[1] == 0x32)) { /* WRMSR, RDMSR */
        length = 2;
        if (fake_cpu.msrs[fake_msr_at((uint32_t)r[REG_RCX])].refused) {
            length += fake_mark(at + length);
        } else if (at[1] == 0x30) {
            fake_wrmsr((uint32_t)r[REG_RCX], fake_edx_eax(r));
        } else {
            uint64_t value = fake_msr((uint32_t)r[REG_RCX]);
            r[REG_RAX] = (uint32_t)value;
            r[REG_RDX] = (greg_t)(value >> 32);
        }
    } else if (at[0] == 0x0f && at[1] == 0x01 && at[2] == 0xd1) { /* XSETBV */
        fake_cpu.xcr0 = fake_edx_eax(r);
    } else if (at[0] == 0x0f && (at[1] & 0xfc) == 0x20) { /* MOV: 20h, 21h reads, 22h, 23h writes */
        uint64_t *special = fake_register(at[1], number);
        if ((at[1] & 2) != 0) {
            *special = (uint64_t)*general;
        } else {
            *general = (greg_t)*special;
        }
    } else {
        printf("Bail out! signal %d at an instruction that the fake CPU does not know\n", signal);
        fflush(stdout);
        _exit(2);
    }
    r[REG_RIP] = (greg_t)(at + length);
}

static void fake_cpu_begin(void) {
    const struct sigaction action = {.sa_sigaction = fake_fault, .sa_flags = SA_SIGINFO};

    memset(&fake_cpu, 0, sizeof(fake_cpu));
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL); /* XSETBV, where nobody has switched it on */
}
