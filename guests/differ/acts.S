/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The acts that need nothing but registers: name, code, what must come of it. The code is followed
 * by INT3, whose address tells how far RIP went. RDI points to 4 KiB of zeros, RSI to the local
 * APIC's command register, RBX and RBP hold what is no canonical address. What must come of it is
 * what Intel SDM vol. 2, 3 and AMD APM vol. 2, 3 say of the instruction; "" where CPUs may differ.
 */
#include "guests/differ/differ.h"

#define SEED 0x1a1a1a1a1a1a1a1a
#define NONE 0x12345678         /* CPUID leaf of nobody */
#define HOLE 0x400000000        /* where no page is mapped */

        .macro  act name, code, want, rax=SEED, rcx=0x2b2b2b2b2b2b2b2b, rdx=0x3c3c3c3c3c3c3c3c, flags=0
        .section .text, "ax"
.Lcode\@:
        \code
        .fill   16, 1, 0xcc
        .section .rodata.text, "a"
.Lname\@: .asciz "\name"
.Lwant\@: .asciz "\want"
        .section .data.acts, "aw"
        .quad   .Lname\@, .Lwant\@, .Lcode\@, \rax, \rcx, \rdx, \flags
        .endm

        .macro  group name
        .section .data.acts, "aw"
        .balign 8
        .globl  \name
\name:
        .endm

        .macro  code name, insn
        .section .text, "ax"
        .globl  \name
\name:
        \insn
        .fill   16, 1, 0xcc
        .endm

        code    code_cpuid, "cpuid"
        code    code_rdmsr, "rdmsr"
        code    code_wrmsr, "wrmsr"
        code    code_in8, "in (%dx), %al"
        code    code_in16, "in (%dx), %ax"
        code    code_in32, "in (%dx), %eax"
        code    code_out8, "out %al, (%dx)"
        code    code_out16, "out %ax, (%dx)"
        code    code_out32, "out %eax, (%dx)"
        code    code_write_cr4, "mov %rax, %cr4"

        group   acts_plain
/* Lengths: redundant prefixes belong to the instruction. */
        act     "cpuid", "cpuid", "rip+2 rax=0 rcx=0 rdx=0 rbx=0", NONE
        act     "cpuid, REX", ".byte 0x48; cpuid", "rip+3 rax=0 rcx=0 rdx=0 rbx=0", NONE
        act     "cpuid, CS 66 REX", ".byte 0x2e, 0x66, 0x48; cpuid", "rip+5 rax=0 rcx=0 rdx=0 rbx=0", NONE
        act     "rdmsr, REX", ".byte 0x48; rdmsr", "rip+3 rax=fee00900 rdx=0", rcx=0x1b
        act     "rdmsr, high half of RCX", "rdmsr", "rip+2 rax=fee00900 rdx=0", rcx=0xffffffff0000001b
        act     "wrmsr, FS", ".byte 0x64; wrmsr", "rip+3", rax=0, rcx=0x8b, rdx=0
        act     "in al imm8", "in $0x80, %al", "rip+2 rax=1a1a1a1a1a1a1aff"
        act     "in ax imm8", "in $0x80, %ax", "rip+3 rax=1a1a1a1a1a1affff"
        act     "in eax imm8", "in $0x80, %eax", "rip+2 rax=ffffffff"
        act     "in eax dx, REX", ".byte 0x48; in (%dx), %eax", "rip+2 rax=ffffffff", rdx=0x100
        act     "in al dx, CS", ".byte 0x2e; in (%dx), %al", "rip+2 rax=1a1a1a1a1a1a1aff", rdx=0x100
        act     "out imm8 al", "out %al, $0x80", "rip+2"
        act     "out imm8 eax", "out %eax, $0x80", "rip+2"
        act     "out dx ax", "out %ax, (%dx)", "rip+2", rdx=0x100
        act     "wbinvd", "wbinvd", "rip+2"
        act     "wbinvd, REX", ".byte 0x48; wbinvd", "rip+3"
        act     "wbnoinvd", ".byte 0xf3; wbinvd", "rip+3"
        act     "invd", "invd", "rip+2"
        act     "invlpg", "invlpg (%rdi)", "rip+3"
        act     "invlpg, not canonical", "invlpg (%rbx)", "rip+3"
        act     "pause", "pause", "rip+2"
        act     "rdtsc", "rdtsc; mov $0, %eax; mov $0, %edx", "rip+c rax=0 rdx=0"
        act     "rdtscp", "rdtscp; mov $0, %eax; mov $0, %edx", "rip+d rax=0 rcx=0 rdx=0"
        act     "sgdt", "sgdt (%rdi); movq $0, 2(%rdi)", "rip+b mem=47"
        act     "sidt", "sidt (%rdi); movq $0, 2(%rdi)", "rip+b mem=fff"
        act     "sldt", "sldt %eax", "rip+3 rax=0"
        act     "str", "str %eax", "rip+3 rax=30"
        act     "lldt of nothing", "lldt %ax", "rip+3", rax=0
        act     "swapgs", "swapgs; swapgs", "rip+6"

/* Instructions that this CPU does not have. VMRUN and its like see a page in RAX. */
        act     "rdpmc", "rdpmc", "#GP(0) rip+0", rcx=0
        act     "monitor", "monitor", "#UD rip+0", 0x1000, rcx=0, rdx=0
        act     "mwait", "mwait", "#UD rip+0", rax=0, rcx=0
        act     "rsm", "rsm", "#UD rip+0"
        act     "ud2", "ud2", "#UD rip+0"
        act     "getsec", ".byte 0x0f, 0x37", "#UD rip+0", rax=0
        act     "encls", ".byte 0x0f, 0x01, 0xcf", "#UD rip+0"
        act     "xgetbv without OSXSAVE", "xgetbv", "#UD rip+0", rcx=0
        act     "xsetbv without OSXSAVE", "xsetbv", "#UD rip+0", rax=1, rcx=0, rdx=0
        act     "vmxon", "vmxon (%rdi)", "#UD rip+0"
        act     "vmxoff", "vmxoff", "#UD rip+0"
        act     "vmptrld", "vmptrld (%rdi)", "#UD rip+0"
        act     "vmptrst", "vmptrst (%rdi)", "#UD rip+0"
        act     "vmclear", "vmclear (%rdi)", "#UD rip+0"
        act     "vmlaunch", "vmlaunch", "#UD rip+0"
        act     "vmresume", "vmresume", "#UD rip+0"
        act     "vmread", "vmread %rax, %rcx", "#UD rip+0"
        act     "vmwrite", "vmwrite %rax, %rcx", "#UD rip+0"
        act     "vmfunc", "vmfunc", "#UD rip+0"
        act     "invept", "invept (%rdi), %rax", "#UD rip+0"
        act     "invvpid", "invvpid (%rdi), %rax", "#UD rip+0"
        act     "vmrun", "vmrun", "#UD rip+0", 0x1000
        act     "vmload", "vmload", "#UD rip+0", 0x1000
        act     "vmsave", "vmsave", "#UD rip+0", 0x1000
        act     "stgi", "stgi", "#UD rip+0"
        act     "clgi", "clgi", "#UD rip+0"
        act     "skinit", "skinit", "#UD rip+0"
        act     "invlpga", "invlpga", "#UD rip+0"

        act     "hypercall 0", "vmcall", "rip+3", rax=0, flags=ACT_CALL
        act     "hypercall of nobody", "vmcall", "rip+3 rax=ffffffffffffffff", flags=ACT_CALL
        act     "hypercall 100000000h", "vmcall", "rip+3 rax=ffffffffffffffff", 0x100000000, flags=ACT_CALL
        act     "the other vendor's hypercall", "vmcall", "#UD rip+0", rax=0, flags=ACT_OTHER_CALL

/* Control registers; CR0 is 80010033 and CR4 20 to begin with. */
        act     "read cr0", "mov %cr0, %rbx", "rip+3 rbx=80010033"
        act     "read cr0, mod 0", ".byte 0x0f, 0x20, 0x00", "rip+3 rax=80010033"
        act     "cr0 as it is", "mov %rax, %cr0", "rip+3", 0x80010033
        act     "cr0 ts", "mov %rax, %cr0", "rip+3 cr0=8001003b", 0x8001003b
        act     "cr0 em", "mov %rax, %cr0", "rip+3 cr0=80010037", 0x80010037
        act     "cr0 not mp", "mov %rax, %cr0", "rip+3 cr0=80010031", 0x80010031
        act     "cr0 not et", "mov %rax, %cr0", "rip+3", 0x80010023
        act     "cr0 not ne", "mov %rax, %cr0", "rip+3 cr0=80010013", 0x80010013
        act     "cr0 not wp", "mov %rax, %cr0", "rip+3 cr0=80000033", 0x80000033
        act     "cr0 am", "mov %rax, %cr0", "rip+3 cr0=80050033", 0x80050033
        act     "cr0 cd", "mov %rax, %cr0", "rip+3 cr0=c0010033", 0xc0010033
        act     "cr0 cd nw", "mov %rax, %cr0", "rip+3 cr0=e0010033", 0xe0010033
        act     "cr0 nw", "mov %rax, %cr0", "#GP(0) rip+0", 0xa0010033
        act     "cr0 pg, not pe", "mov %rax, %cr0", "#GP(0) rip+0", 0x80010032
        act     "cr0 not pg", "mov %rax, %cr0", "#GP(0) rip+0", 0x00010033
        act     "cr0 not pg, not pe", "mov %rax, %cr0", "#GP(0) rip+0", 0x00010032
        act     "cr0 bit 6", "mov %rax, %cr0", "rip+3", 0x80010073
        act     "cr0 bit 32", "mov %rax, %cr0", "#GP(0) rip+0", 0x180010033
        act     "cr0 bit 63", "mov %rax, %cr0", "#GP(0) rip+0", 0x8000000080010033
        act     "cr0 from r9", "mov %r9, %cr0", "#GP(0) rip+0"
        act     "clts", "mov %rax, %cr0; clts", "rip+5", 0x8001003b
        act     "clts without ts", "clts", "rip+2"
        act     "lmsw ts", "lmsw %ax", "rip+3 cr0=8001003b", 0x3b
        act     "lmsw not pe", "lmsw %ax", "rip+3", 0x2
        act     "lmsw from memory", "movw $0xb, (%rdi); lmsw (%rdi)", "rip+8 cr0=8001003b mem=b"
        act     "smsw", "smsw %ax", "rip+4 rax=1a1a1a1a1a1a0033"
        act     "smsw to memory", "smsw (%rdi)", "rip+3 mem=33"
        act     "cr1", ".byte 0x0f, 0x20, 0xc8", "#UD rip+0"
        act     "cr5", ".byte 0x0f, 0x22, 0xe8", "#UD rip+0"
        act     "cr9", ".byte 0x44, 0x0f, 0x20, 0xc8", "#UD rip+0"
        act     "cr2", "mov %rax, %cr2", "rip+3 cr2=1a1a1a1a1a1a1a1a"
        act     "cr3 to itself", "mov %cr3, %rbx; mov %rbx, %cr3; mov $0, %ebx", "rip+b rbx=0"
        act     "read cr8", "mov %cr8, %rax", "rip+4 rax=0"
        act     "read cr8 to r15", "mov %cr8, %r15", "rip+4 r15=0"
        act     "read cr8 to rsp", "mov %cr8, %rsp", "rip+4 rsp=0"
        act     "cr8", "mov %rax, %cr8", "rip+4 cr8=5", 5
        act     "cr8 16", "mov %rax, %cr8", "#GP(0) rip+0", 16
        act     "cr8 from rsp", "mov %rsp, %cr8", "#GP(0) rip+0"
        act     "read cr4", "mov %cr4, %rcx", "rip+3 rcx=20"
        act     "cr4 not pae", "mov %rax, %cr4", "#GP(0) rip+0", 0

/* Debug registers. */
        act     "dr0", "mov %rax, %dr0", "rip+3 dr0=1a1a1a1a1a1a1a1a"
        act     "dr3", "mov %rax, %dr3", "rip+3 dr3=1a1a1a1a1a1a1a1a"
        act     "dr4 is dr6", ".byte 0x0f, 0x21, 0xe0", "rip+3 rax=ffff0ff0"
        act     "dr4 with cr4.de", "mov %rcx, %cr4; .byte 0x0f, 0x21, 0xe0", "#UD rip+3 cr4=28", rcx=0x28
        act     "dr6 0", "mov %rax, %dr6", "rip+3", 0
        act     "dr6 all", "mov %rax, %dr6", "rip+3 dr6=ffffefff", 0xffffffff
        act     "dr6 bit 32", "mov %rax, %dr6", "#GP(0) rip+0", 0x1ffff0ff0
        act     "dr7 0", "mov %rax, %dr7", "rip+3", 0
        act     "dr7 reserved bits", "mov %rax, %dr7", "rip+3", 0xd400
        act     "dr7 bit 32", "mov %rax, %dr7", "#GP(0) rip+0", 0x100000400
        act     "data breakpoint", "mov %eax, (%rdi); nop", "#DB rip+2 rip+3 dr6=ffff0ff1 mem=1a1a1a1a", flags=ACT_WATCH_DATA
        act     "mov ss from a breakpoint, cpuid", "mov (%rdi), %ss; cpuid; nop", "#DB rip+4 rip+5 rax=0 rcx=0 rdx=0 rbx=0 dr6=ffff0ff1", NONE, flags=ACT_WATCH_DATA
        act     "code breakpoints, cpuid", "cpuid; nop", "#DB rip+0 #DB rip+2 rip+3 rax=0 rcx=0 rdx=0 rbx=0 dr6=ffff0ff2", NONE, flags=ACT_WATCH_CODE

/* Exceptions. */
        act     "#DE", "xor %ecx, %ecx; div %ecx", "#DE rip+2 rcx=0 flags=46"
        act     "int1", "int1; nop", "#DB rip+1 rip+2"
        act     "int 3, two bytes", ".byte 0xcd, 3", "rip+1"
        act     "int 40h", "int $0x40; nop", "int40 rip+2 rip+3"
        act     "int 80h without gate", "int $0x80", "#NP(402) rip+0"
        act     "into", ".byte 0xce", "#UD rip+0"
        act     "#NM by ts", "mov %rax, %cr0; fnop", "#NM rip+3 cr0=8001003b", 0x8001003b
        act     "#NM by em", "mov %rax, %cr0; fnop", "#NM rip+3 cr0=80010037", 0x80010037
        act     "#SS", "mov (%rbp), %rax", "#SS(0) rip+0"
        act     "#SS, segment not present", "mov %eax, %ss", "#SS(40) rip+0", SELECTOR_ABSENT
        act     "#NP", "mov %eax, %es", "#NP(40) rip+0", SELECTOR_ABSENT
        act     "#GP", "mov (%rbx), %rax", "#GP(0) rip+0"
        act     "#GP, no such segment", "mov %eax, %es", "#GP(fff8) rip+0", 0xfff8
        act     "#GP, ltr of data", "ltr %ax", "#GP(18) rip+0", SELECTOR_DATA
        act     "#GP, ltr busy", "ltr %ax", "#GP(30) rip+0", SELECTOR_TSS
        act     "#PF, read", "mov (%rax), %rbx", "#PF(0) rip+0 cr2=400000000", HOLE
        act     "#PF, write", "mov %rbx, (%rax)", "#PF(2) rip+0 cr2=400000000", HOLE
        act     "#PF, fetch", "jmp *%rax", "#PF(0) rip=400000000 cr2=400000000", HOLE
        act     "#GP without gate", "mov (%rbx), %rax", "#DF(0) rip+0", flags=ACT_NO_GP_GATE
        act     "refused rdmsr without gate", "rdmsr", "#DF(0) rip+0", rcx=0x9e, flags=ACT_NO_GP_GATE
        act     "#UD without gate", "ud2", "#NP(33) rip+0", flags=ACT_NO_UD_GATE
        act     "monitor without gate", "monitor", "#NP(33) rip+0", 0x1000, rcx=0, rdx=0, flags=ACT_NO_UD_GATE
        act     "rf of #UD", "ud2", "#UD rip+0 rf", flags=ACT_RF
        act     "rf of monitor", "monitor", "#UD rip+0 rf", 0x1000, rcx=0, rdx=0, flags=ACT_RF
        act     "rf of a refused rdmsr", "rdmsr", "#GP(0) rip+0 rf", rcx=0x9e, flags=ACT_RF
        act     "rf of cr8 16", "mov %rax, %cr8", "#GP(0) rip+0 rf", 16, flags=ACT_RF
        act     "rf cleared by nop", "nop", "rip+1", flags=ACT_RF|ACT_SET_RF
        act     "rf cleared by cpuid", "cpuid", "rip+2 rax=0 rcx=0 rdx=0 rbx=0", NONE, flags=ACT_RF|ACT_SET_RF

/* Single-step. */
        act     "step cpuid", "cpuid; nop", "#DB rip+2 #DB rip+3 rip+3 rax=0 rcx=0 rdx=0 rbx=0 dr6=ffff4ff0", NONE, flags=ACT_TF
        act     "step rdmsr", "rdmsr; nop", "#DB rip+2 #DB rip+3 rip+3 rax=fee00900 rdx=0 dr6=ffff4ff0", rcx=0x1b, flags=ACT_TF
        act     "step a refused rdmsr", "rdmsr; nop", "#GP(0) rip+0", rcx=0x9e, flags=ACT_TF
        act     "step wrmsr", "wrmsr; nop", "#DB rip+2 #DB rip+3 rip+3 dr6=ffff4ff0", rax=0, rcx=0x8b, rdx=0, flags=ACT_TF
        act     "step in", "in $0x80, %al; nop", "#DB rip+2 #DB rip+3 rip+3 rax=1a1a1a1a1a1a1aff dr6=ffff4ff0", flags=ACT_TF
        act     "step cr8", "mov %rax, %cr8; nop", "#DB rip+4 #DB rip+5 rip+5 cr8=5 dr6=ffff4ff0", 5, flags=ACT_TF
        act     "step hypercall", "vmcall; nop", "#DB rip+3 #DB rip+4 rip+4 dr6=ffff4ff0", rax=0, flags=ACT_TF|ACT_CALL
        act     "step the APIC page", "mov %ecx, -0x200(%rsi); nop", "#DB rip+6 #DB rip+7 rip+7 dr6=ffff4ff0", rcx=0, flags=ACT_TF
        act     "step wbinvd", "wbinvd; nop", "#DB rip+2 #DB rip+3 rip+3 dr6=ffff4ff0", flags=ACT_TF
        act     "step mov ss, cpuid", "mov %edx, %ss; cpuid; nop", "#DB rip+4 #DB rip+5 rip+5 rax=0 rcx=0 rdx=0 rbx=0 dr6=ffff4ff0", NONE, rdx=SELECTOR_DATA, flags=ACT_TF

/* Interrupts: where they arrive. */
        act     "self-IPI pending, if", "nop; nop", "int52 rip+0 rip+2", flags=ACT_IPI|ACT_IF
        act     "self-IPI pending, sti nop", "sti; nop; nop", "int52 rip+2 rip+3 flags=202", flags=ACT_IPI
        act     "self-IPI pending, sti cpuid", "sti; cpuid; nop", "int52 rip+3 rip+4 rax=0 rcx=0 rdx=0 rbx=0 flags=202", NONE, flags=ACT_IPI
        act     "self-IPI pending, sti rdmsr", "sti; rdmsr; nop", "int52 rip+3 rip+4 rax=fee00900 rdx=0 flags=202", rcx=0x1b, flags=ACT_IPI
        act     "self-IPI pending, sti in", "sti; in $0x80, %al; nop", "int52 rip+3 rip+4 rax=1a1a1a1a1a1a1aff flags=202", flags=ACT_IPI
        act     "self-IPI pending, sti hypercall", "sti; vmcall; nop", "int52 rip+4 rip+5 flags=202", rax=0, flags=ACT_IPI|ACT_CALL
        act     "self-IPI pending, sti APIC page", "sti; mov %ecx, -0x200(%rsi); nop", "int52 rip+7 rip+8 flags=202", rcx=0, flags=ACT_IPI
        act     "self-IPI pending, sti cli", "sti; cli; nop", "rip+3 interrupt-left", flags=ACT_IPI
        act     "self-IPI pending, sti mov ss, cpuid", "sti; mov %edx, %ss; cpuid; nop", "int52 rip+5 rip+6 rax=0 rcx=0 rdx=0 rbx=0 flags=202", NONE, rdx=SELECTOR_DATA, flags=ACT_IPI
        act     "self-IPI pending, sti refused rdmsr", "sti; rdmsr; nop", "#GP(0) rip+1 flags=202 interrupt-left", rcx=0x9e, flags=ACT_IPI
        act     "self-IPI held back by cr8", "mov %rax, %cr8; sti; nop; mov %rdx, %cr8; nop", "int52 rip+a rip+b flags=202", 6, rdx=0, flags=ACT_IPI
        act     "self-IPI sent", "movl $0x40052, (%rsi); nop", "int52 rip+6 rip+7", flags=ACT_IF
        act     "hlt, self-IPI pending", "sti; hlt; nop", "int52 rip+2 rip+3 flags=202", flags=ACT_IPI
        act     "hlt, timer", "sti; hlt; nop", "int41 rip+2 rip+3 flags=202", flags=ACT_TIMER
        act     "nmi sent", "movl $0x400, (%rsi); nop", "NMI rip+6 rip+7"
        /* The second may come some time after the handler's IRET: LOOP stands still until then. */
        act     "nmi sent in the nmi handler", "movl $0x400, (%rsi); 1: loop 1b", "NMI rip+6 NMI rip+6 rip+8 rcx=0", rcx=10000000, flags=ACT_NMI_AGAIN
        /* The same where the first handler's IRET lets interrupts in, too. */
        act     "nmi sent in the nmi handler, if", "movl $0x400, (%rsi); 1: loop 1b", "NMI rip+6 NMI rip+6 rip+8 rcx=0", rcx=10000000, flags=ACT_NMI_AGAIN|ACT_IF
        act     "nmi after that", "movl $0x400, (%rsi); nop", "NMI rip+6 rip+7"
        group   acts_plain_end

/* With CR4.OSXSAVE. */
        group   acts_xcr0
        act     "xgetbv", "xgetbv", "rip+3 rax=1 rdx=0", rcx=0
        act     "xgetbv 5", "xgetbv", "#GP(0) rip+0", rcx=5
        act     "xcr0 3", "xsetbv", "rip+3 xcr0=3", 3, rcx=0, rdx=0
        act     "xcr0 7", "xsetbv", "rip+3 xcr0=7", 7, rcx=0, rdx=0
        act     "xcr0 0", "xsetbv", "#GP(0) rip+0", 0, rcx=0, rdx=0
        act     "xcr0 2", "xsetbv", "#GP(0) rip+0", 2, rcx=0, rdx=0
        act     "xcr0 5", "xsetbv", "#GP(0) rip+0", 5, rcx=0, rdx=0
        act     "xcr0 1b", "xsetbv", "#GP(0) rip+0", 0x1b, rcx=0, rdx=0
        act     "xcr0 103", "xsetbv", "#GP(0) rip+0", 0x103, rcx=0, rdx=0
        act     "xcr0 bit 63", "xsetbv", "#GP(0) rip+0", 3, rcx=0, rdx=0x80000000
        act     "xcr1", "xsetbv", "#GP(0) rip+0", 3, rcx=1, rdx=0
        act     "xcr0 1 with REX", ".byte 0x48; xsetbv", "rip+4", 1, rcx=0, rdx=0
        group   acts_xcr0_end

/* At CPL 3, with CR4.OSXSAVE and CR0.AM; CR0 is 80050033. */
        .macro  user name, code, want, rax=SEED, rcx=0x2b2b2b2b2b2b2b2b, rdx=0x3c3c3c3c3c3c3c3c, flags=0
        act     "CPL 3: \name", "\code", "\want", \rax, \rcx, \rdx, \flags|ACT_USER
        .endm
        group   acts_user
        user    "cpuid", "cpuid", "rip+2 rax=0 rcx=0 rdx=0 rbx=0", NONE
        user    "rdtsc", "rdtsc; mov $0, %eax; mov $0, %edx", "rip+c rax=0 rdx=0"
        user    "step cpuid", "cpuid; nop", "#DB rip+2 #DB rip+3 rip+3 rax=0 rcx=0 rdx=0 rbx=0 dr6=ffff4ff0", NONE, flags=ACT_TF
        user    "hypercall 0", "vmcall", "rip+3", rax=0, flags=ACT_CALL
        user    "hypercall of nobody", "vmcall", "#UD rip+0", flags=ACT_CALL
        user    "the other vendor's hypercall", "vmcall", "#UD rip+0", rax=0, flags=ACT_OTHER_CALL
        user    "hlt", "hlt", "#GP(0) rip+0"
        user    "cli", "cli", "#GP(0) rip+0"
        user    "sti", "sti", "#GP(0) rip+0"
        user    "clts", "clts", "#GP(0) rip+0"
        user    "lmsw", "lmsw %ax", "#GP(0) rip+0", 0x3b
        user    "smsw", "smsw %ax", "rip+4 rax=1a1a1a1a1a1a0033"
        user    "read cr0", "mov %cr0, %rax", "#GP(0) rip+0"
        user    "write cr0", "mov %rax, %cr0", "#GP(0) rip+0", 0x80010033
        user    "read cr3", "mov %cr3, %rax", "#GP(0) rip+0"
        user    "read cr8", "mov %cr8, %rax", "#GP(0) rip+0"
        user    "write cr8", "mov %rax, %cr8", "#GP(0) rip+0", 5
        user    "read dr7", "mov %dr7, %rax", "#GP(0) rip+0"
        user    "write dr0", "mov %rax, %dr0", "#GP(0) rip+0", 0
        user    "rdmsr", "rdmsr", "#GP(0) rip+0", rcx=0x1b
        user    "rdmsr of nothing", "rdmsr", "#GP(0) rip+0", rcx=0x9e
        user    "wrmsr", "wrmsr", "#GP(0) rip+0", 0, rcx=0x8b, rdx=0
        user    "rdpmc", "rdpmc", "#GP(0) rip+0", rcx=0
        user    "wbinvd", "wbinvd", "#GP(0) rip+0"
        user    "invd", "invd", "#GP(0) rip+0"
        user    "invlpg", "invlpg (%rdi)", "#GP(0) rip+0"
        user    "lgdt", "lgdt (%rdi)", "#GP(0) rip+0"
        user    "lidt", "lidt (%rdi)", "#GP(0) rip+0"
        user    "ltr", "ltr %ax", "#GP(0) rip+0", SELECTOR_TSS
        user    "swapgs", "swapgs", "#GP(0) rip+0"
        user    "in", "in $0x80, %al", "#GP(0) rip+0"
        user    "out", "out %al, $0x80", "#GP(0) rip+0"
        user    "in of a port of nobody", "in (%dx), %eax", "#GP(0) rip+0", rdx=0x100
        user    "xgetbv", "xgetbv", "rip+3 rax=1 rdx=0", rcx=0
        user    "xsetbv", "xsetbv", "#GP(0) rip+0", 3, rcx=0, rdx=0
        user    "monitor", "monitor", "#UD rip+0", 0x1000, rcx=0, rdx=0
        user    "rsm", "rsm", "#UD rip+0"
        user    "vmxon", "vmxon (%rdi)", "#UD rip+0"
        user    "vmlaunch", "vmlaunch", "#UD rip+0"
        user    "vmread", "vmread %rax, %rcx", "#UD rip+0"
        user    "vmrun", "vmrun", "", 0x1000
        user    "vmload", "vmload", "", 0x1000
        user    "stgi", "stgi", ""
        user    "clgi", "clgi", ""
        user    "invlpga", "invlpga", ""
        user    "skinit", "skinit", ""
        user    "int 40h", "int $0x40; nop", "int40 rip+2 rip+3"
        user    "int 41h", "int $0x41", "#GP(20a) rip+0"
        user    "int1", "int1; nop", "#DB rip+1 rip+2"
        user    "#AC", "pushf; orl $0x40000, (%rsp); popf; mov 1(%rdi), %eax", "#AC(0) rip+9 flags=40002"
        user    "#PF, no page", "mov (%rax), %rbx", "#PF(4) rip+0 cr2=400000000", HOLE
        user    "#PF, page of CPL 0", "mov (%rsi), %eax", "#PF(5) rip+0 cr2=fee00300"
        group   acts_user_end

/* Where a hypervisor that has it wrong may hang its guest, or a CPU has a way of its own. */
        group   acts_last
        act     "lock mov cr0", ".byte 0xf0, 0x0f, 0x20, 0xc0", ""
        act     "step hlt", "hlt; nop", "#DB rip+1 #DB rip+2 rip+2 dr6=ffff4ff0", flags=ACT_TF|ACT_IF|ACT_TIMER
        act     "dr7.gd", "mov %rax, %dr7; mov %dr6, %rbx; nop", "#DB rip+3 rip+7 rbx=ffff2ff0 dr6=ffff2ff0", 0x2400
        group   acts_last_end

        .section .note.GNU-stack, "", @progbits
