/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts the other CPUs one by one: INIT, startup messages, one trampoline page that nobody writes
 * any more once it is filled. A CPU that does not come is left out (plat_cpu_online()), with a
 * warning. Source: Intel SDM "Multiple-Processor Initialization".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define INIT_DELAY_US    10000u
#define STARTUP_DELAY_US 200u
#define START_LIMIT_US   1000000u

/* trampoline.S: the page, and the words in it that this file fills in. */
extern const uint8_t trampoline_start[], trampoline_end[], trampoline_gdt_base[],
    trampoline_long_jump[], trampoline_cr3[], trampoline_entry[];
void ap_entry(void);

/*
 * On our own page tables, with our own descriptors and stack: boot/ may have had to take a page
 * that was the firmware's, and nobody knows what the firmware kept there.
 */
void smp_write_trampoline(const struct boot_info *info, hpa_t root) {
    uint8_t *page = phys_pointer(info->trampoline);
    uint32_t base = (uint32_t)info->trampoline.v;
    if (plat_cpu_count() == 1) {
        return;
    }
    if (base == 0) {
        plat_panic(
            "the firmware kept every page below 640 KiB: no other CPU can be started" MSG(5118));
    }
    ASSERT(info->trampoline.v < MIB && base % PAGE_SIZE == 0 && root.v <= UINT32_MAX);
    memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    *(uint32_t *)(page + (trampoline_gdt_base - trampoline_start)) += base;
    *(uint32_t *)(page + (trampoline_long_jump - trampoline_start)) += base;
    *(uint32_t *)(page + (trampoline_cr3 - trampoline_start)) = (uint32_t)root.v;
    *(uint64_t *)(page + (trampoline_entry - trampoline_start)) = (uintptr_t)ap_entry;
    paging_close_trampoline(info);
}

/* A guest that is to have it stays stopped (hv/exit/life.c), and the others start. */
static void smp_report_absent(const struct config *config, unsigned cpu) {
    uint32_t id = cpu_get(cpu)->apic_id;
    for (uint32_t g = 0; g < config->guest_count; g++) {
        if (cpu_set_has(&config->guests[g].cpus, cpu)) {
            log_error(
                "CPU %u (APIC ID %u) did not start: guest %s cannot, give it another one" MSG(4028),
                cpu, id, config->guests[g].name);
            return;
        }
    }
    log_warn("CPU %u (APIC ID %u) did not start: it stays unused" MSG(4029), cpu, id);
}

static bool smp_start_cpu(unsigned i, uint32_t startup) {
    __atomic_store_n(&ap_starting, cpu_get(i), __ATOMIC_RELEASE);
    apic_send(cpu_get(i)->apic_id, startup);
    clock_delay_us(STARTUP_DELAY_US);
    apic_send(cpu_get(i)->apic_id, startup); /* lost on one which the first has woken */
    uint64_t start = clock_now_us();
    while (!plat_cpu_online(i) && clock_now_us() - start < START_LIMIT_US) {
        __builtin_ia32_pause();
    }
    __atomic_store_n(&ap_starting, NULL, __ATOMIC_RELEASE);
    return plat_cpu_online(i);
}

void smp_start_cpus(const struct boot_info *info) {
    unsigned online = 1;
    for (unsigned i = 1; i < plat_cpu_count(); i++) {
        apic_send(cpu_get(i)->apic_id, ICR_INIT | ICR_ASSERT);
    }
    if (plat_cpu_count() > 1) {
        clock_delay_us(INIT_DELAY_US);
    }
    for (unsigned i = 1; i < plat_cpu_count(); i++) {
        if (smp_start_cpu(i, ICR_STARTUP | ICR_ASSERT |
                                 (uint32_t)(info->trampoline.v >> PAGE_SHIFT))) {
            online++;
        } else {
            smp_report_absent(&info->config, i);
        }
    }
    log_info("%u of %u CPUs running, %s", online, plat_cpu_count(),
             apic_page.v == 0 ? "x2APIC" : "xAPIC");
    microcode_report();
}
