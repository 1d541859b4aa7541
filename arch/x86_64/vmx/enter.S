/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a guest and out again. Saves and loads general registers only: everything else stays
 * live in the CPU. Called from vmx_enter() in vmx.h, inline assembly that gives up all registers,
 * so that nothing is saved here that the caller does not need.
 *
 * In: RBX = struct vcpu_context. Out: RBX kept; CF clear after an exit (the CPU clears it), set if
 * the entry instruction itself failed.
 */
/* All but RBX and RSP, with their offsets in struct vcpu_context. */
#define EACH(m)                                                                                    \
    m(rax, 0x00) m(rcx, 0x08) m(rdx, 0x10) m(rbp, 0x28) m(rsi, 0x30) m(rdi, 0x38) m(r8, 0x40)      \
    m(r9, 0x48) m(r10, 0x50) m(r11, 0x58) m(r12, 0x60) m(r13, 0x68) m(r14, 0x70) m(r15, 0x78)
#define LOAD(register, offset)  mov offset(%rbx), %register;
#define STORE(register, offset) mov %register, offset(%rbx);
#define V_RBX        0x18
#define V_HOST_STACK 0x80

#define VMCS_HOST_RSP_CODE 0x6c14

    .text
    .globl vmx_enter_context
vmx_enter_context:
    push %rbx
    cmp %rsp, V_HOST_STACK(%rbx) /* the same depth every time but the first */
    jne 2f
1:  EACH(LOAD)
    mov V_RBX(%rbx), %rbx
    vmresume
    vmlaunch /* VMRESUME refuses a VMCS that was not launched yet */
3:  pop %rbx /* no guest ran; VM-instruction error 4 now means that VMRESUME refused the state */
    stc
    ret
2:  mov $VMCS_HOST_RSP_CODE, %ecx
    vmwrite %rsp, %rcx
    jbe 3b
    mov %rsp, V_HOST_STACK(%rbx)
    jmp 1b

    .globl vmx_exit_entry
vmx_exit_entry:
    push %rbx
    mov 8(%rsp), %rbx
    EACH(STORE)
    pop V_RBX(%rbx)
    pop %rbx
    ret

/*
 * The same for CPUs on which the guest's last CALL may still steer our next RET: one CALL of ours
 * before it. The flags have to stay. Intel "Post-barrier Return Stack Buffer Predictions".
 */
    .globl vmx_exit_entry_pbrsb
vmx_exit_entry_pbrsb:
    call 1f
    int3
1:  lea 8(%rsp), %rsp
    lfence
    jmp vmx_exit_entry

/*
 * The same for CPUs on which the guest's branches steer our indirect ones through the history of
 * branches: a loop of calls, jumps and returns makes that history our own first. It takes more
 * branches than the history holds of any CPU that has no BHI_DIS_S. Such a CPU may want what the
 * other entry does as well. Intel "Branch History Injection and Intra-mode Branch Target Injection".
 */
#define BHB_CALLS 5
#define BHB_JUMPS 5
    .globl vmx_exit_entry_bhb
vmx_exit_entry_bhb:
    push %rbx
    mov 8(%rsp), %rbx
    EACH(STORE)
    pop V_RBX(%rbx)
    call 1f
    int3
1:  add $8, %rsp
    mov $BHB_CALLS, %ecx
    call bhb_clear
    lfence
    pop %rbx
    clc
    ret

    .balign 64, 0xcc
bhb_clear:
    mov $BHB_JUMPS, %eax
1:  jmp 2f
    int3
2:  dec %eax
    jnz 1b
    dec %ecx
    jz 3f
    call bhb_clear
3:  ret
