/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the log in memory for the next start, should this one end in a hang or a panic, and that a
 * new set has come up; see hv/plan/kept_log.h. The memory is mapped write-combining: a reset loses
 * what is in the caches. Takes no lock, for a panic. Called by start.c's hook of the log, and by
 * panic.c.
 */
#include "hv/plan/kept_log.h"
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

static SEALED struct kept_log *kept_log;
static uint64_t kept_log_next; /* byte of the log; not in the kept memory, where LOCK is slow */

void kept_log_init(const struct boot_info *info) {
    if (info->kept_log.v == 0) {
        return;
    }
    kept_log = phys_pointer(info->kept_log);
    kept_log_begin(kept_log, info->trial);
}

void kept_log_write(const char *text, size_t length) {
    if (kept_log == NULL) {
        return;
    }
    uint64_t at = __atomic_fetch_add(&kept_log_next, length, __ATOMIC_RELAXED);
    kept_log_put(kept_log, at, text, length);
    __asm__ volatile("sfence" : : : "memory");
}

bool plat_keep_healthy(uint64_t trial) {
    if (kept_log == NULL) {
        return false;
    }
    __atomic_store_n(&kept_log->healthy, trial, __ATOMIC_RELAXED);
    __asm__ volatile("sfence" : : : "memory");
    return true;
}

bool kept_log_awaits_health(void) {
    return kept_log != NULL && kept_log->trial != 0 && kept_log->healthy == 0;
}
