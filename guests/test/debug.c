/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug traps, which the hypervisor takes first and sends in again: what they leave in DR6, RF over
 * an instruction that it carries out, traps in an interrupt shadow.
 * Source: Intel SDM vol. 3 "Debug Registers", "Resume Flag", "Interrupt 1—Debug Exception (#DB)".
 */
#include "guests/test/guest.h"

#define DB      1
#define IOAPIC  0xfec00000
#define DR7_OFF 0x400ull
#define DR7_L2  0x410ull /* breakpoint 2, an instruction */

static uint64_t dr6_read(void) {
    uint64_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static void dr6_write(uint64_t value) {
    __asm__ volatile("mov %0, %%dr6" ::"r"(value));
}

static void dr7_write(uint64_t value) {
    __asm__ volatile("mov %0, %%dr7" ::"r"(value));
}

static void test_dr6(void) {
    uint64_t scratch;
    dr6_write(0x4002);
    TRY("lea 1f(%%rip), %0\n\tmov %0, %%dr2\n\tmov %1, %%dr7\n1:\tnop", ("=&r"(scratch)),
        ("r"(DR7_L2)));
    dr7_write(DR7_OFF);
    tap_line_value(trap_last.vector == DB, "an instruction breakpoint", trap_last.vector);
    uint64_t seen = dr6_read();
    tap_line_value(seen == 0xffff4ff4, "DR6: BS stays, B1 goes, B2 comes", seen);

    dr6_write(0x2008);
    TRY("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop", (), ());
    tap_line_value(trap_last.vector == DB, "a single step", trap_last.vector);
    seen = dr6_read();
    tap_line_value(seen == 0xffff6ff0, "DR6: BD stays, B3 goes, BS comes", seen);
    dr6_write(0);
}

/* IRET sets RF for the load from a device; at its end RF is clear, so the breakpoint after counts.
 */
static void test_rf(void) {
    uint64_t scratch, rax, rcx;
    volatile uint32_t *page = map_physical(IOAPIC);
    TRY("lea 2f(%%rip), %0\n\tmov %0, %%dr2\n\tmov %3, %%dr7\n\t"
        "mov %%rsp, %%rax\n\tmov %%ss, %%ecx\n\tpush %%rcx\n\tpush %%rax\n\tpushfq\n\t"
        "orq $0x10000, (%%rsp)\n\tmov %%cs, %%ecx\n\tpush %%rcx\n\tlea 1f(%%rip), %0\n\tpush %0\n\t"
        "iretq\n1:\tmov (%4), %%ecx\n2:\tnop",
        ("=&r"(scratch), "=&a"(rax), "=&c"(rcx)), ("r"(DR7_L2), "r"(page)));
    dr7_write(DR7_OFF);
    tap_line_value(trap_last.vector == DB, "RF ends with an instruction on a device",
                   trap_last.vector);
    dr6_write(0);
}

/* INT1 in the shadow of MOV SS, with a single step due: one #DB, and the guest goes on. */
static void test_shadow(void) {
    uint64_t rax;
    TRY("mov %%ss, %%eax\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tmov %%eax, %%ss\n\t"
        ".byte 0xf1",
        ("=&a"(rax)), ());
    tap_line_value(trap_last.vector == DB, "INT1 behind MOV SS under TF", trap_last.vector);
    TRY("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tsti\n\tnop", (), ());
    interrupts_off();
    tap_line_value(trap_last.vector == DB, "STI under TF", trap_last.vector);
    dr6_write(0);
}

void test_debug(void) {
    test_dr6();
    test_rf();
    test_shadow();
}
