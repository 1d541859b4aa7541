/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts that end this guest: by a report, by its own wish, or by what never ends. None returns. */
#include "guests/hostile/hostile.h"

#define NOWHERE   0x80000000ull /* 2 GiB: far above the RAM */
#define IOAPIC    0xfec00000ull
#define LAPIC     0xfee00000ull
#define JUMP_PAGE 0x8000u /* below 640 KiB, and of nobody */

static const char *jump_to(uint64_t address) {
    void (*there)(void) = (void (*)(void))(uintptr_t)address;
    there();
    return "came back";
}

const char *act_stop_jump(void) {
    return jump_to(NOWHERE);
}

const char *act_stop_run_apic(void) {
    return jump_to(LAPIC);
}

const char *act_stop_run_ioapic(void) {
    return jump_to(IOAPIC);
}

const char *act_stop_cr3(void) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(NOWHERE) : "memory");
    return "came back";
}

/* The third level, for 1 GiB of addresses that nothing else uses. */
const char *act_stop_table_ioapic(void) {
    uint64_t *pml4;
    __asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
    pml4[2] = IOAPIC | 3;
    return saw_number(*(volatile uint32_t *)(uintptr_t)(2ull << 39), "read");
}

const char *act_stop_stack(void) {
    __asm__ volatile("mov %0, %%rsp\n\tud2" ::"r"(NOWHERE + 0x1000));
    return "came back";
}

static void load_idt(uint16_t limit, uint64_t base) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {limit, base};
    __asm__ volatile("lidt %0\n\tud2" ::"m"(idtr));
}

const char *act_stop_idt(void) {
    load_idt(0xfff, NOWHERE);
    return "came back";
}

const char *act_stop_triple(void) {
    load_idt(0, 0);
    return "came back";
}

/* EM and TS off, OSFXSR on. */
static void fpu_on(void) {
    uint64_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 & ~0xcull));
    __asm__ volatile("mov %0, %%cr4" ::"r"(read_cr4() | 1u << 9));
}

const char *act_stop_x87(void) {
    fpu_on();
    __asm__ volatile("fildl (%0)" ::"r"(IOAPIC + 0x10));
    return "came back";
}

const char *act_stop_mmx(void) {
    fpu_on();
    __asm__ volatile("movq (%0), %%mm0" ::"r"(NOWHERE));
    return "came back";
}

static const char *reset_by(uint16_t port, uint8_t value) {
    out8(port, value);
    return "came back";
}

const char *act_reset_cf9(void) {
    return reset_by(0xcf9, 6);
}

const char *act_reset_92(void) {
    return reset_by(0x92, 3);
}

const char *act_reset_64(void) {
    return reset_by(0x64, 0xfe);
}

static void init_first(void) {
    vcpu_send(0, ICR_INIT);
}

const char *act_reset_init(void) {
    init_first();
    return "came back";
}

static void sleep_for_ever(void) {
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

/* Back to the firmware, in real mode, when memory is no longer as it was at its first time. */
const char *act_reset_vector(void) {
    static const uint8_t far_jump[] = {0xea, 0xf0, 0xff, 0x00, 0xf0}; /* to F000:FFF0 */
    volatile uint8_t *to = (volatile uint8_t *)JUMP_PAGE;
    for (unsigned i = 0; i < sizeof(far_jump); i++) {
        to[i] = far_jump[i];
    }
    vcpu_send(1, ICR_INIT);
    vcpu_send(1, ICR_STARTUP | JUMP_PAGE >> 12);
    sleep_for_ever();
    return "came back";
}

/*
 * As a crash kernel does that was started on another CPU. (In Bochs a host interrupt, and so the
 * kick that brings the request, waits until the guest has changed IF.)
 */
const char *act_reset_init_other(void) {
    if (vcpu_ready()) {
        vcpu_run(1, init_first);
    }
    for (;;) {
        interrupts_on();
        __builtin_ia32_pause();
        interrupts_off();
    }
}

const char *act_hang_cli_hlt(void) {
    if (vcpu_ready()) {
        vcpu_run(1, sleep_for_ever);
    }
    sleep_for_ever();
    return "came back";
}

/*
 * Breakpoint 0 watches where the delivery of #DB pushes SS: each delivery is the cause of the next.
 * SDM vol. 3 "Data Breakpoint Exception Conditions"; CVE-2015-8104.
 */
const char *act_hang_debug(void) {
    uint64_t watched = (uint64_t)(uintptr_t)(debug_stack_end + 512) - 8;
    debug_stack_use();
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7\n\tmovq $0, (%0)" ::"r"(watched),
                     "r"(0x90402ull)
                     : "memory");
    return "came back";
}
