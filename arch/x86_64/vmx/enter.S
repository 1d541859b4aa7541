/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a guest and out again. Saves and loads general registers only: everything else stays
 * live in the CPU. Called from vmx_run() as inline assembly that gives up all registers but RBP.
 *
 * In: RDI = struct vcpu. Out: RDI kept; CF clear after an exit (the CPU clears it), set if the entry
 * instruction itself failed.
 */
#define V_RAX 0x00
#define V_RCX 0x08
#define V_RDX 0x10
#define V_RBX 0x18
#define V_RBP 0x28
#define V_RSI 0x30
#define V_RDI 0x38
#define V_R8  0x40
#define V_R9  0x48
#define V_R10 0x50
#define V_R11 0x58
#define V_R12 0x60
#define V_R13 0x68
#define V_R14 0x70
#define V_R15 0x78
#define V_HOST_STACK 0x80

#define VMCS_HOST_RSP_CODE 0x6c14

    .text
    .globl vmx_enter
    .hidden vmx_enter
    .type vmx_enter, @function
vmx_enter:
    push %rbp
    push %rdi
    cmp %rsp, V_HOST_STACK(%rdi) /* the same depth every time but the first */
    jne 2f
1:  mov V_RAX(%rdi), %rax
    mov V_RCX(%rdi), %rcx
    mov V_RDX(%rdi), %rdx
    mov V_RBX(%rdi), %rbx
    mov V_RBP(%rdi), %rbp
    mov V_RSI(%rdi), %rsi
    mov V_R8(%rdi), %r8
    mov V_R9(%rdi), %r9
    mov V_R10(%rdi), %r10
    mov V_R11(%rdi), %r11
    mov V_R12(%rdi), %r12
    mov V_R13(%rdi), %r13
    mov V_R14(%rdi), %r14
    mov V_R15(%rdi), %r15
    mov V_RDI(%rdi), %rdi
    vmresume
    vmlaunch /* VMRESUME refuses a VMCS that was not launched yet */
3:  pop %rdi /* no guest ran; VM-instruction error 4 now means that VMRESUME refused the state */
    pop %rbp
    stc
    ret
2:  mov $VMCS_HOST_RSP_CODE, %ecx
    vmwrite %rsp, %rcx
    jbe 3b
    mov %rsp, V_HOST_STACK(%rdi)
    jmp 1b
    .size vmx_enter, . - vmx_enter

    .globl vmx_exit_entry
    .hidden vmx_exit_entry
    .type vmx_exit_entry, @function
vmx_exit_entry:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, V_RAX(%rdi)
    mov %rcx, V_RCX(%rdi)
    mov %rdx, V_RDX(%rdi)
    mov %rbx, V_RBX(%rdi)
    mov %rbp, V_RBP(%rdi)
    mov %rsi, V_RSI(%rdi)
    mov %r8, V_R8(%rdi)
    mov %r9, V_R9(%rdi)
    mov %r10, V_R10(%rdi)
    mov %r11, V_R11(%rdi)
    mov %r12, V_R12(%rdi)
    mov %r13, V_R13(%rdi)
    mov %r14, V_R14(%rdi)
    mov %r15, V_R15(%rdi)
    pop V_RDI(%rdi)
    pop %rdi
    pop %rbp
    ret
    .size vmx_exit_entry, . - vmx_exit_entry
