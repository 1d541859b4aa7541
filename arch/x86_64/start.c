/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the firmware's hands to a machine of our own, as one list of steps; then the hypervisor
 * proper. Also owns the log's way out. Runs once, on the CPU the firmware started.
 */
#include "hv/vm/start.h"
#include "arch/x86_64/arch.h"
#include "hv/lib/str.h"

#define COM1 0x3f8u

void hv_console_log(enum log_level level, const char *line, size_t n);

#define EARLY_LINES 16u

/* What was said before the console layer was there: on the UART at once, kept for its log view. */
static struct {
    enum log_level level;
    size_t length;
    char text[LOG_LINE_MAX];
} early[EARLY_LINES];
static unsigned early_count;

static void log_write_early(enum log_level level, const char *line, size_t n) {
    serial_write_polled(line, n);
    if (early_count < EARLY_LINES && n <= LOG_LINE_MAX) {
        early[early_count].level = level;
        early[early_count].length = n;
        memcpy(early[early_count++].text, line, n);
    }
}

static void (*log_sink)(enum log_level, const char *, size_t) = log_write_early;

/* The first line of hv_start(), which sets its console up before it logs. */
static void log_write_first(enum log_level level, const char *line, size_t n) {
    log_sink = hv_console_log;
    serial_mute(true);
    for (unsigned i = 0; i < early_count; i++) {
        hv_console_log(early[i].level, early[i].text, early[i].length);
    }
    serial_mute(false);
    hv_console_log(level, line, n);
}

static void log_write(enum log_level level, const char *line, size_t n) {
    log_sink(level, line, n);
}

static const struct log_hooks log_hooks = {
    .now_us = clock_now_us,
    .cpu = plat_cpu,
    .write = log_write,
};

static void start_check_boot_info(const struct boot_info *info) {
    if (info->magic != BOOT_INFO_MAGIC || info->size != sizeof(*info)) {
        serial_init(COM1);
        plat_panic("boot_info is not ours (magic %#x, %u bytes)", info->magic, info->size);
    }
    if (info->cpu_count == 0 || info->cpu_count > CONFIG_MAX_CPUS ||
        info->range_count > BOOT_MAX_RANGES || info->ioapic_count > BOOT_MAX_IOAPICS) {
        serial_init(COM1);
        plat_panic("boot_info names %u CPUs, %u memory ranges, %u I/O APICs", info->cpu_count,
                   info->range_count, info->ioapic_count);
    }
}

/* All of what the first CPU does before the hypervisor proper. */
static void start_machine(const struct boot_info *info, uint64_t entry_tsc) {
    percpu_init_boot();
    start_check_boot_info(info);
    serial_init(info->config.console_port);
    log_init(&log_hooks, info->config.log_level);
    screen_init(&info->framebuffer);

    paging_check_cpu();
    percpu_init(info);
    percpu_load(cpu_get(0));
    trap_init();
    trap_load(cpu_get(0));
    hpa_t root = paging_build(info);
    smp_write_trampoline(info, root);
    paging_enable(root);
    paging_verify(info);
    screen_clear();

    apic_init_cpu(cpu_get(0));
    irq_init(info);
    clock_init(info, entry_tsc);
    apic_init_timer();
    smp_start_cpus(info);
    serial_init_interrupts();
    keyboard_init();
}

void arch_start(const struct boot_info *info, uint64_t entry_tsc) {
    start_machine(info, entry_tsc);
    log_sink = log_write_first;
    hv_start(info, entry_tsc);
    smp_release_cpus();
    hv_cpu_main(0);
}
