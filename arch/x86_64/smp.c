/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts the other CPUs and holds them until the machine is divided: INIT, startup messages, one
 * trampoline page that nobody writes any more once it is filled. A CPU that does not come is left
 * out (plat_cpu_online()), with a warning. Source: Intel SDM "Multiple-Processor Initialization".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/trampoline.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/start.h"

#define INIT_DELAY_US    10000u
#define STARTUP_DELAY_US 200u
#define START_LIMIT_US   1000000u
#define XAPIC_ID_MAX     0xfeu

/* entry.S */
extern const uint8_t trampoline_start[], trampoline_end[], trampoline_long[];
void ap_entry(void);

/* The part of the trampoline that this file fills in. */
struct trampoline_data {
    uint16_t gdt_limit;
    uint16_t gdt_base[2];
    uint16_t padding0;
    uint32_t cr3;
    uint32_t long_offset;
    uint16_t long_selector;
    uint16_t padding1[3];
    uint64_t entry;
    uint64_t gdt[3];
};
#define TRAMPOLINE_CHECK(field, offset)                                                            \
    _Static_assert(offsetof(struct trampoline_data, field) + TRAMPOLINE_DATA == (offset), "entry.S")
TRAMPOLINE_CHECK(gdt_limit, TRAMPOLINE_GDTR);
TRAMPOLINE_CHECK(cr3, TRAMPOLINE_CR3);
TRAMPOLINE_CHECK(long_offset, TRAMPOLINE_LONG_JUMP);
TRAMPOLINE_CHECK(entry, TRAMPOLINE_ENTRY);
TRAMPOLINE_CHECK(gdt, TRAMPOLINE_GDT);
_Static_assert(sizeof(struct trampoline_data) == TRAMPOLINE_DATA_END - TRAMPOLINE_DATA, "entry.S");

static hpa_t tables;
static bool released;

/* While the firmware's map still lets us write there: ours maps the page to be run only. */
void smp_write_trampoline(const struct boot_info *info, hpa_t root) {
    uint64_t page = info->trampoline.v;
    uint8_t *at = phys_pointer(info->trampoline);
    if (page == 0 || page >= MIB || page % PAGE_SIZE != 0 || root.v > UINT32_MAX) {
        plat_panic("no usable trampoline page (%#llx, tables %#llx)", (unsigned long long)page,
                   (unsigned long long)root.v);
    }
    uint64_t gdt = page + TRAMPOLINE_GDT;
    struct trampoline_data data = {
        .gdt_limit = sizeof(data.gdt) - 1,
        .gdt_base = {(uint16_t)gdt, (uint16_t)(gdt >> 16)},
        .cr3 = (uint32_t)root.v,
        .long_offset = (uint32_t)(page + (uint64_t)(trampoline_long - trampoline_start)),
        .long_selector = SELECTOR_CODE,
        .entry = (uintptr_t)ap_entry,
        .gdt = {0, 0x00af9b000000ffff, 0x00cf93000000ffff},
    };
    memset(at, 0, PAGE_SIZE);
    memcpy(at, trampoline_start, TRAMPOLINE_DATA);
    memcpy(at + TRAMPOLINE_DATA, &data, sizeof(data));
    tables = root;
}

static bool smp_is_other(const struct cpu *cpu) {
    return cpu != cpu_current() && (apic_is_x2apic() || cpu->apic_id <= XAPIC_ID_MAX);
}

static void smp_send_all(uint32_t command) {
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (smp_is_other(cpu_get(i)) && !plat_cpu_online(i)) {
            apic_send(cpu_get(i)->apic_id, command);
        }
    }
}

static unsigned smp_count_online(void) {
    unsigned online = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        online += plat_cpu_online(i);
    }
    return online;
}

/* A guest that is to have it cannot run, and a partition with a piece missing is not started. */
static void smp_report_absent(const struct boot_info *info, unsigned cpu) {
    uint32_t id = cpu_get(cpu)->apic_id;
    for (uint32_t g = 0; g < info->config.guest_count && g < CONFIG_MAX_GUESTS; g++) {
        if (cpu_set_has(&info->config.guests[g].cpus, cpu)) {
            plat_panic("CPU %u (APIC ID %u) of guest %s did not start; give the guest another one",
                       cpu, id, info->config.guests[g].name);
        }
    }
    log_warn("CPU %u (APIC ID %u) did not start: it stays unused", cpu, id);
}

void smp_start_cpus(const struct boot_info *info) {
    uint32_t startup = APIC_STARTUP | APIC_ASSERT | (uint32_t)(info->trampoline.v >> PAGE_SHIFT);
    if (plat_cpu_count() == 1) {
        return;
    }
    smp_send_all(APIC_INIT | APIC_ASSERT);
    clock_delay_us(INIT_DELAY_US);
    smp_send_all(startup);
    clock_delay_us(STARTUP_DELAY_US);
    smp_send_all(startup); /* only to those which the first one did not wake */
    uint64_t start = clock_now_us();
    while (smp_count_online() < plat_cpu_count() && clock_now_us() - start < START_LIMIT_US) {
        cpu_pause();
    }
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (!plat_cpu_online(i)) {
            smp_report_absent(info, i);
        }
    }
    log_info("%u of %u CPUs running, %s", smp_count_online(), plat_cpu_count(),
             apic_is_x2apic() ? "x2APIC" : "xAPIC");
}

/* On each of them, from entry.S, on its own stack. */
void smp_ap_main(struct cpu *cpu) {
    percpu_load(cpu);
    trap_load(cpu);
    paging_enable(tables);
    apic_init_cpu(cpu);
    apic_init_timer();
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
        plat_wait();
    }
    hv_cpu_main(cpu->index);
}

void smp_release_cpus(void) {
    __atomic_store_n(&released, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (i != plat_cpu() && plat_cpu_online(i)) {
            plat_kick(i);
        }
    }
}
