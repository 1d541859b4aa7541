/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPU has UART and keyboard interrupt it: one without a guest where there is one, for no
 * guest can waste its time. It also tells of the machine's NMIs. Called by start.c once the machine
 * is divided, then by each CPU for itself.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/nmi.h"
#include "hv/vm/vcpu.h"

#define NMI_POLL_US 1000000u /* where no device wants more */

static unsigned console_cpu;

void consoles_choose_cpu(void) {
    console_cpu = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (vcpu_cpu_is_free(i) && cpu_get(i)->apic_id < IOAPIC_ID_MAX) {
            console_cpu = i;
            break;
        }
    }
    bool shared = !vcpu_cpu_is_free(console_cpu);
    log_info("consoles: served by cpu %u%s", console_cpu,
             shared ? ", which has a guest: no CPU is free" : ", which has no guest");
}

void consoles_serve(void) {
    if (plat_cpu() == console_cpu) {
        serial_init_interrupts();
        keyboard_init();
        usb_start();
        apic_poll(NMI_POLL_US);
    }
}

void consoles_poll(void) {
    uint64_t begin = plat_tsc();

    serial_poll();
    keyboard_interrupt();
    usb_poll();
    iommu_tell();
    nmi_tell();
    apic_poll_again(plat_tsc() - begin);
}
