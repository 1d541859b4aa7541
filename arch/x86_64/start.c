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

/* What was said before the console layer was there: on the UART at once, kept for its log view. */
static char early[16 * LOG_LINE_MAX];
static size_t early_length;

static void log_write_early(enum log_level level, const char *line, size_t n) {
    (void)level;
    serial_write_polled(line, n);
    n = min_u64(n, sizeof(early) - early_length);
    memcpy(early + early_length, line, n);
    early_length += n;
}

static struct log_hooks log_hooks = {clock_now_us, plat_cpu, log_write_early};

/* The first line of hv_start(), which sets its console up before it logs. */
static void log_write_first(enum log_level level, const char *line, size_t n) {
    log_hooks.write = hv_console_log;
    serial_mute(true);
    hv_console_log(LOG_INFO, early, early_length);
    serial_mute(false);
    hv_console_log(level, line, n);
}

/* All of what the first CPU does before the hypervisor proper. */
static void start_machine(const struct boot_info *info, uint64_t entry_tsc) {
    msr_write(X86_MSR_GS_BASE, (uintptr_t)cpu_get(0)); /* what plat_cpu() and a panic go by */
    if (info->magic != BOOT_INFO_MAGIC || info->size != sizeof(*info)) {
        serial_init(COM1);
        plat_panic("boot_info is not ours (magic %#x, %u bytes)", info->magic, info->size);
    }
    serial_init(info->config.console_port);
    log_init(&log_hooks, info->config.log_level);
    screen_init(&info->framebuffer);

    apic_init();
    percpu_init(info);
    percpu_load(cpu_get(0));
    trap_init();
    trap_load(cpu_get(0));
    hpa_t root = paging_build(info);
    smp_write_trampoline(info, root);
    paging_enable();
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
    log_hooks.write = log_write_first;
    hv_start(info, entry_tsc);
    smp_release_cpus();
    hv_cpu_main(0);
}
