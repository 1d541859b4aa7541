/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the other vCPUs of a test guest: their start, their stacks, the work they are given. They
 * share page tables and IDT with the first; TRY() is for one vCPU at a time.
 * Source: Intel SDM vol. 3 "MP Initialization Protocol Algorithm".
 */
#include "guests/test/vcpu.h"

#define AP_PAGE      0x8000u /* as in ap.S; free in every test guest's low memory */
#define VECTOR_WORK  0xe0
#define REG_SPURIOUS 0x0f0
#define REG_ICR      0x300
#define REG_ICR_HIGH 0x310

extern const uint8_t ap_start[], ap_end[], ap_parameters[];

static struct {
    volatile unsigned starts; /* how often it has come up */
    void (*volatile run)(void);
} cpus[VCPU_MAX];
static uint8_t stacks[VCPU_MAX][8192] __attribute__((aligned(16)));

unsigned vcpu_this_cpu(void) {
    uint32_t r[4];
    cpuid(1, 0, r);
    return r[1] >> 24;
}

unsigned vcpu_that_took(uint8_t vector) {
    uint64_t offset = irq_stack[vector] - (uint64_t)(uintptr_t)stacks;
    return offset < sizeof(stacks) ? (unsigned)(offset / sizeof(stacks[0])) : 0;
}

unsigned vcpu_starts(unsigned cpu) {
    return cpus[cpu].starts;
}

void vcpu_send(uint8_t destination, uint32_t command) {
    apic_write(REG_ICR_HIGH, (uint32_t)destination << 24);
    apic_write(REG_ICR, command);
}

static void ap_main(void) {
    unsigned cpu = vcpu_this_cpu();
    idt_load();
    apic_write(REG_SPURIOUS, 0x1ff);
    cpus[cpu].starts++;
    for (;;) {
        interrupts_off();
        if (cpus[cpu].run != NULL) {
            cpus[cpu].run();
            cpus[cpu].run = NULL;
        } else {
            __asm__ volatile("sti\n\thlt" ::: "memory");
        }
    }
}

/* True when *at is no longer value; 2 s at most. */
static bool wait_change(const volatile unsigned *at, unsigned value) {
    for (uint64_t start = read_tsc(); *at == value && read_tsc() - start < 2 * machine.tsc_hz;) {
        __builtin_ia32_pause();
    }
    return *at != value;
}

bool vcpu_start_one(unsigned cpu) {
    uint8_t *to = (uint8_t *)(uintptr_t)AP_PAGE;
    uint64_t cr3, parameters[3];
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    parameters[0] = cr3;
    parameters[1] = (uint64_t)(uintptr_t)stacks[cpu] + sizeof(stacks[cpu]);
    parameters[2] = (uint64_t)(uintptr_t)ap_main;
    for (long i = 0; i < ap_end - ap_start; i++) {
        to[i] = ap_start[i];
    }
    for (unsigned i = 0; i < sizeof(parameters); i++) {
        to[ap_parameters - ap_start + i] = ((const uint8_t *)parameters)[i];
    }
    unsigned before = cpus[cpu].starts;
    cpus[cpu].run = NULL;
    vcpu_send((uint8_t)cpu, ICR_INIT);
    vcpu_send((uint8_t)cpu, ICR_STARTUP | AP_PAGE >> 12);
    return wait_change(&cpus[cpu].starts, before);
}

bool vcpu_start(unsigned count) {
    bool all = true;
    apic_write(REG_SPURIOUS, 0x1ff);
    for (unsigned cpu = 1; cpu < count; cpu++) {
        all = vcpu_start_one(cpu) && all;
    }
    return all;
}

void vcpu_run(unsigned cpu, void (*run)(void)) {
    cpus[cpu].run = run;
    vcpu_send((uint8_t)cpu, VECTOR_WORK);
}

/* Asks again from time to time: see wait_tick() in shell.c for an emulator that oversleeps. */
bool vcpu_wait(unsigned cpu) {
    uint64_t step = machine.tsc_hz / 20;
    for (unsigned i = 0; i < 100 && cpus[cpu].run != NULL; i++) {
        for (uint64_t start = read_tsc(); cpus[cpu].run != NULL && read_tsc() - start < step;) {
            __builtin_ia32_pause();
        }
        vcpu_send((uint8_t)cpu, VECTOR_WORK);
    }
    return cpus[cpu].run == NULL;
}

bool vcpu_wait_count(uint8_t vector, uint64_t from, uint64_t n) {
    for (uint64_t start = read_tsc();
         irq_count[vector] - from < n && read_tsc() - start < 2 * machine.tsc_hz;) {
        interrupts_on();
        __builtin_ia32_pause();
        interrupts_off();
    }
    return irq_count[vector] - from >= n;
}
