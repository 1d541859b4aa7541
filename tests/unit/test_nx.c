/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NX that firmware has switched off on Intel's CPUs comes back before EFER.NXE is set: on the first
 * CPU, and on the others, whose first instructions are run here one by one as Zydis decodes them.
 * No emulator hides NX by that bit.
 */
#include <Zydis/Zydis.h>

#include "arch/x86_64/arch.h"
#include "fake_cpu.h"

#define MISC_ENABLE 0x1a0u
#define EFER        0xc0000080u
#define XD_DISABLE  BIT(34)

extern const uint8_t trampoline_start[], trampoline_end[];

static bool has_nx; /* as CPUID shows it while the bit is clear */

/* For the part of the trampoline that is not run. */
struct cpu *ap_starting;
void ap_main(UNUSED struct cpu *cpu) {
}

/* A CPU that has NX and hides it while the bit is set. */
void plat_cpuid(uint32_t leaf, UNUSED uint32_t subleaf, uint32_t out[4]) {
    bool shown = has_nx && (fake_msr(MISC_ENABLE) & XD_DISABLE) == 0;
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 0x80000001) {
        out[EDX] = BIT32(29) | (shown ? BIT32(20) : 0);
    }
}

/* ---- real mode ---- */

static struct {
    uint64_t r[16];
    bool carry;
} cpu;

static uint64_t *reg(const ZydisDecodedOperand *op) {
    return &cpu.r[ZydisRegisterGetId(op->reg.value)];
}

static bool is_special(const ZydisDecodedOperand *op) {
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(op->reg.value) != ZYDIS_REGCLASS_GPR32;
}

static uint64_t source(const ZydisDecodedOperand *op) {
    uint32_t word = 0;
    if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return (uint32_t)op->imm.value.u;
    }
    if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        memcpy(&word, trampoline_start + op->mem.disp.value, sizeof(word));
        return word;
    }
    return *reg(op);
}

/* EFER.NXE is a reserved bit where NX is hidden. */
static void write_msr(void) {
    uint32_t number = (uint32_t)cpu.r[X86_RCX], out[4];
    plat_cpuid(0x80000001, 0, out);
    CHECK(number != EFER || (cpu.r[X86_RAX] & X86_EFER_NXE) == 0 || (out[EDX] & BIT32(20)) != 0);
    fake_wrmsr(number, cpu.r[X86_RDX] << 32 | (uint32_t)cpu.r[X86_RAX]);
}

/* False at what the test does not know. */
static bool step(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops, uint64_t *at) {
    uint32_t out[4];

    switch ((int)in->mnemonic) {
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_CLD:
    case ZYDIS_MNEMONIC_LGDT:
        return true;
    case ZYDIS_MNEMONIC_MOV:
        if (!is_special(&ops[0]) && !is_special(&ops[1])) {
            *reg(&ops[0]) = source(&ops[1]);
        }
        return true;
    case ZYDIS_MNEMONIC_AND:
        *reg(&ops[0]) &= source(&ops[1]);
        return true;
    case ZYDIS_MNEMONIC_XOR:
        *reg(&ops[0]) ^= source(&ops[1]);
        return true;
    case ZYDIS_MNEMONIC_BT:
        cpu.carry = (*reg(&ops[0]) >> source(&ops[1]) & 1) != 0;
        return true;
    case ZYDIS_MNEMONIC_JB:
        *at += cpu.carry ? (uint64_t)ops[0].imm.value.s : 0;
        return true;
    case ZYDIS_MNEMONIC_CPUID:
        plat_cpuid((uint32_t)cpu.r[X86_RAX], (uint32_t)cpu.r[X86_RCX], out);
        cpu.r[X86_RAX] = out[EAX], cpu.r[X86_RBX] = out[EBX];
        cpu.r[X86_RCX] = out[ECX], cpu.r[X86_RDX] = out[EDX];
        return true;
    case ZYDIS_MNEMONIC_RDMSR:
        cpu.r[X86_RAX] = (uint32_t)fake_msr((uint32_t)cpu.r[X86_RCX]);
        cpu.r[X86_RDX] = fake_msr((uint32_t)cpu.r[X86_RCX]) >> 32;
        return true;
    case ZYDIS_MNEMONIC_WRMSR:
        write_msr();
        return true;
    default:
        return false;
    }
}

/* Up to the jump to long mode. */
static void run_trampoline(void) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t at = 0, size = (uint64_t)(trampoline_end - trampoline_start);

    memset(&cpu, 0, sizeof(cpu));
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16);
    while (at < size &&
           ZYAN_SUCCESS(
               ZydisDecoderDecodeFull(&decoder, trampoline_start + at, size - at, &in, ops)) &&
           in.mnemonic != ZYDIS_MNEMONIC_JMP) {
        at += in.length;
        if (!step(&in, ops, &at)) {
            printf("# instruction %s at %#" PRIx64 "\n", ZydisMnemonicGetString(in.mnemonic), at);
            break;
        }
    }
    CHECK_U64(in.mnemonic, ZYDIS_MNEMONIC_JMP);
}

static void begin(uint64_t misc_enable) {
    fake_cpu_begin();
    has_nx = true;
    fake_wrmsr(MISC_ENABLE, misc_enable);
}

TEST(first_cpu) {
    begin(XD_DISABLE | 0x850089);
    nx_allow();
    CHECK_U64(fake_msr(MISC_ENABLE), 0x850089);

    begin(0x850089); /* what is not switched off is not written: AMD's CPUs have no such MSR */
    nx_allow();
    CHECK_U64(fake_msr_writes(MISC_ENABLE), 1);
}

TEST(other_cpus) {
    begin(XD_DISABLE | 0x850089);
    run_trampoline();
    CHECK_U64(fake_msr(MISC_ENABLE), 0x850089);
    CHECK_U64(fake_msr(EFER), X86_EFER_NXE | X86_EFER_LME);

    begin(0x850089);
    run_trampoline();
    CHECK_U64(fake_msr_writes(MISC_ENABLE), 1);
    CHECK_U64(fake_msr(EFER), X86_EFER_NXE | X86_EFER_LME);
}

TEST_MAIN(T(first_cpu), T(other_cpus))
