/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each CPU but the first does: called by trampoline.S on its own stack, it makes itself ready,
 * says so, waits until the machine is divided and goes its way. smp.c starts them.
 */
#include "arch/x86_64/arch.h"

/* The CPU being started, NULL = none; trampoline.S takes it. */
struct cpu *ap_starting;

static bool released;

void ap_main(struct cpu *cpu) {
    percpu_load(cpu);
    idt_load();
    microcode_load(cpu);
    paging_enable();
    errata_init_cpu();
    (void)power_init_cpu();
    clock_init_cpu();
    mce_init_cpu();
    apic_init_cpu(cpu);
    apic_init_timer();
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
        plat_wait();
    }
    consoles_serve();
    paging_enter();
    hv_cpu_main(cpu->index);
}

void ap_release_all(void) {
    __atomic_store_n(&released, true, __ATOMIC_RELEASE);
    for (unsigned i = 1; i < plat_cpu_count(); i++) {
        plat_kick(i);
    }
}
