/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a guest and out again. Saves and loads general registers only: what VMRUN does not
 * switch (FS, GS, TR, LDTR, SYSCALL and SYSENTER registers) stays the guest's in the CPU, and the
 * hypervisor uses none of it. Called from svm_enter() in svm.h, inline assembly that gives up all
 * registers, so that nothing is saved here that the caller does not need.
 *
 * In: RBX = struct vcpu_context, interrupts off, GIF set. Out: the same.
 */
/* All but RAX (VMRUN switches it), RBX and RSP, with their offsets in struct vcpu_context. */
#define EACH(m)                                                                                    \
    m(rcx, 0x08) m(rdx, 0x10) m(rbp, 0x28) m(rsi, 0x30) m(rdi, 0x38) m(r8, 0x40) m(r9, 0x48)       \
    m(r10, 0x50) m(r11, 0x58) m(r12, 0x60) m(r13, 0x68) m(r14, 0x70) m(r15, 0x78)
#define LOAD(register, offset)  mov offset(%rbx), %register;
#define STORE(register, offset) mov %register, offset(%rax);
#define V_RBX    0x18
#define V_VENDOR 0x88
#define VMCB_RAX 0x5f8

    .text
    .globl svm_enter_context
svm_enter_context:
    push %rbx
    /* With V_INTR_MASKING the host's IF lets physical interrupts end the guest's run. Not right
     * before VMRUN: in an emulator the shadow of STI reaches into the guest. */
    clgi
    sti
    mov V_VENDOR(%rbx), %rax /* the VMCB; the hypervisor runs identity-mapped */
    mov (%rbx), %rcx
    mov %rcx, VMCB_RAX(%rax)
    EACH(LOAD)
    mov V_RBX(%rbx), %rbx
    vmrun %rax
    cli
    stgi /* an NMI that ended the run is taken here */
    mov (%rsp), %rax /* the guest's is in the VMCB */
    EACH(STORE)
    mov %rbx, V_RBX(%rax)
    mov V_VENDOR(%rax), %rcx
    mov VMCB_RAX(%rcx), %rdx
    mov %rdx, (%rax)
    pop %rbx
    ret
