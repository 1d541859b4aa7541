/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a guest and out again. Saves and loads general registers only: what VMRUN does not
 * switch (FS, GS, TR, LDTR, SYSCALL and SYSENTER registers) stays the guest's in the CPU, and the
 * hypervisor uses none of it. Called from svm_run() as inline assembly that gives up all registers
 * but RBP.
 *
 * In: RDI = struct vcpu, interrupts off, GIF set. Out: the same.
 */
/* All but RAX (VMRUN switches it), RSP and RDI, with their offsets in struct vcpu. */
#define EACH(m)                                                                                    \
    m(rcx, 0x08) m(rdx, 0x10) m(rbx, 0x18) m(rbp, 0x28) m(rsi, 0x30) m(r8, 0x40) m(r9, 0x48)       \
    m(r10, 0x50) m(r11, 0x58) m(r12, 0x60) m(r13, 0x68) m(r14, 0x70) m(r15, 0x78)
#define LOAD(register, offset)  mov offset(%rdi), %register;
#define STORE(register, offset) mov %register, offset(%rdi);
#define V_RDI    0x38
#define V_VENDOR 0x88
#define VMCB_RAX 0x5f8

    .text
    .globl svm_enter
svm_enter:
    push %rbp
    push %rdi
    /* With V_INTR_MASKING the host's IF lets physical interrupts end the guest's run. Not right
     * before VMRUN: in an emulator the shadow of STI reaches into the guest. */
    clgi
    sti
    mov V_VENDOR(%rdi), %rax /* the VMCB; the hypervisor runs identity-mapped */
    mov (%rdi), %rcx
    mov %rcx, VMCB_RAX(%rax)
    EACH(LOAD)
    mov V_RDI(%rdi), %rdi
    vmrun %rax
    cli
    stgi /* an NMI that ended the run is taken here */
    push %rdi
    mov 8(%rsp), %rdi
    EACH(STORE)
    pop V_RDI(%rdi)
    mov V_VENDOR(%rdi), %rax
    mov VMCB_RAX(%rax), %rcx
    mov %rcx, (%rdi)
    pop %rdi
    pop %rbp
    ret
