/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the firmware's hands to a machine of our own, as one list of steps; then the hypervisor
 * proper. Also owns the log's way out. Runs once, on the CPU the firmware started.
 */
#include "arch/x86_64/arch.h"
#include "hv/monitor/console.h"
#include "hv/plan/boot_info.h"

/* No interrupt moves the UART on as yet. */
static void log_write_early(enum log_level level, const char *line, size_t n) {
    kept_log_write(line, n);
    hv_console_log(level, line, n);
    serial_drain_console();
}

static void log_write(enum log_level level, const char *line, size_t n) {
    kept_log_write(line, n);
    hv_console_log(level, line, n);
}

static SEALED struct log_hooks log_hooks = {clock_now_us, plat_cpu, log_write_early, NULL};

/* The registers of the first CPU; ap.c does the same for the others. */
static void start_init_cpu(const struct boot_info *info) {
    errata_init(info);
    log_info("speed of the CPUs: %s", power_init_cpu());
    mce_init_cpu();
}

/* What the firmware left running goes on no longer, before memory is given away. */
static void start_without_firmware(const struct boot_info *info) {
    pci_stop_masters(info);
    watchdog_stop(info);
    usb_init();
    iommu_start_all(info);
}

void arch_start(const struct boot_info *info, uint64_t entry_tsc) {
    char build[PLAT_BUILD_SIZE];

    panic_init();
    avoid_init(&info->config);
    percpu_name(cpu_get(0)); /* what plat_cpu() and a panic go by */
    serial_init(&info->serial);
    screen_init(info->screens, info->screen_count);

    apic_init();
    percpu_init(info);
    microcode_init(info);
    percpu_load(cpu_get(0));
    idt_init();
    idt_load();
    usb_find(info);
    iommu_find(info);
    hpa_t root = paging_build(info);
    paging_enable();
    smp_write_trampoline(info, root);
    kept_log_init(info);
    off_init(info);
    screen_clear();
    console_init((char)info->config.escape_key);
    log_init(&log_hooks, info->config.log_level);
    log_info("%s", plat_build_text(build));
    avoid_report(apic_page.v == 0);
    start_init_cpu(info);
    start_without_firmware(info);

    apic_init_cpu(cpu_get(0));
    ioapic_init(info);
    clock_init(info, entry_tsc);
    log_hooks.wall_seconds = info->config.log_wall_clock ? plat_wall_seconds : NULL;
    apic_init_timer();
    smp_start_cpus(info);

    log_hooks.write = log_write;
    hv_start(info);
    consoles_choose_cpu();
    ap_release_all();
    consoles_serve();
    paging_enter();
    hv_cpu_main(0);
}
