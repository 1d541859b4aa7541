/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: instructions that a guest's CPU does not have, must not run, or runs very often. */
#include "guests/hostile/hostile.h"

#include "hv/abi.h"

/* What a VMX or SVM instruction may take for its operand, were it there. */
static uint64_t operand[512] __attribute__((aligned(4096)));

#define INSN(name, insn, inputs)                                                                   \
    const char *act_##name(void) {                                                                 \
        TRY(insn, (), inputs);                                                                     \
        return saw_trap();                                                                         \
    }

INSN(vmxon, "vmxon %0", ("m"(operand)))
INSN(vmptrld, "vmptrld %0", ("m"(operand)))
INSN(vmclear, "vmclear %0", ("m"(operand)))
INSN(vmptrst, "vmptrst %0", ("m"(operand)))
INSN(vmlaunch, "vmlaunch", ())
INSN(vmresume, "vmresume", ())
INSN(vmxoff, "vmxoff", ())
INSN(vmread, "vmread %0, %%rcx", ("r"(0x681eull)))
INSN(vmwrite, "vmwrite %0, %1", ("r"(0ull), "r"(0x681eull)))
INSN(invept, "invept %0, %1", ("m"(operand), "r"(2ull)))
INSN(invvpid, "invvpid %0, %1", ("m"(operand), "r"(2ull)))
INSN(vmfunc, ".byte 0x0f, 0x01, 0xd4", ("a"(0), "c"(0)))
INSN(getsec, ".byte 0x0f, 0x37", ("a"(0)))
INSN(rsm, "rsm", ())
INSN(vmrun, "vmrun", ("a"(operand)))
INSN(vmload, "vmload", ("a"(operand)))
INSN(vmsave, "vmsave", ("a"(operand)))
INSN(stgi, "stgi", ())
INSN(clgi, "clgi", ())
INSN(skinit, "skinit", ("a"(operand)))
INSN(invlpga, "invlpga", ("a"(operand), "c"(0)))
INSN(monitor, "monitor", ("a"(operand), "c"(0), "d"(0)))
INSN(mwait, "mwait", ("a"(0), "c"(0)))
INSN(rdpmc, "rdpmc", ("c"(0)))
INSN(xsaves, ".byte 0x0f, 0xc7, 0x2f", ("D"(operand), "a"(1), "d"(0)))
INSN(encls, ".byte 0x0f, 0x01, 0xcf", ("a"(0)))

const char *act_ud2(void) {
    for (unsigned i = 0; i < 1000; i++) {
        TRY("ud2", (), ());
    }
    return saw_trap();
}

const char *act_foreign_call(void) {
    if (cpu_is_amd()) {
        TRY("vmcall", (), ("a"(HYPERCALL_NOP)));
    } else {
        TRY("vmmcall", (), ("a"(HYPERCALL_NOP)));
    }
    return saw_trap();
}

const char *act_hypercalls(void) {
    static const uint64_t numbers[] = {3, 1ull << 32, 1ull << 63, UINT64_MAX};
    unsigned unknown = 0;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        uint64_t rax = numbers[i];
        if (cpu_is_amd()) {
            TRY("vmmcall", ("+a"(rax)), ());
        } else {
            TRY("vmcall", ("+a"(rax)), ());
        }
        unknown += rax == HYPERCALL_UNKNOWN && trap_last.vector == NO_TRAP;
    }
    return saw(unknown == COUNT(numbers), "all unknown");
}

const char *act_hypercall_cpl3(void) {
    return saw_user(cpu_is_amd() ? user_hypercall_amd : user_hypercall_intel);
}

const char *act_hlt_cpl3(void) {
    return saw_user(user_hlt);
}

const char *act_out_cpl3(void) {
    return saw_user(user_out);
}

const char *act_invd(void) {
    for (unsigned i = 0; i < 1000; i++) {
        TRY("invd", (), ());
    }
    return trap_last.vector == NO_TRAP ? "done" : saw_trap();
}

const char *act_wbinvd(void) {
    for (unsigned i = 0; i < 1000; i++) {
        TRY("wbinvd", (), ());
    }
    return trap_last.vector == NO_TRAP ? "done" : saw_trap();
}

const char *act_cpuid(void) {
    uint32_t r[4];
    for (uint32_t i = 0; i < 1000; i++) {
        cpuid(0x20000000 + i * 0x00345679, i, r);
    }
    return "done";
}

const char *act_pause(void) {
    for (unsigned i = 0; i < 100000; i++) {
        __builtin_ia32_pause();
    }
    return "done";
}
