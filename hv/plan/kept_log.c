/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log that outlives a reset; see kept_log.h. Pure. */
#include "hv/plan/kept_log.h"
#include "hv/lib/str.h"

/* Memory that was without power for a moment may hold anything. */
static char kept_log_plain(char c) {
    bool plain = c == '\n' || c == '\r' || c == '\t' || (c >= ' ' && c <= '~');
    return plain ? c : '?';
}

void kept_log_begin(struct kept_log *log, uint64_t trial) {
    memcpy(log->mark, KEPT_LOG_MARK, sizeof(log->mark));
    log->written = 0;
    log->trial = trial;
    log->healthy = 0;
}

bool kept_log_knows(const struct kept_log *log, uint64_t trial, bool *healthy) {
    bool known = memcmp(log->mark, KEPT_LOG_MARK, sizeof(log->mark)) == 0 && log->trial == trial;

    *healthy = known && log->healthy == trial;
    return known;
}

size_t kept_log_read(const struct kept_log *log, char text[KEPT_LOG_TEXT]) {
    uint64_t written = log->written;
    if (memcmp(log->mark, KEPT_LOG_MARK, sizeof(log->mark)) != 0) {
        return 0;
    }

    size_t length = (size_t)min_u64(written, KEPT_LOG_TEXT);
    for (size_t i = 0; i < length; i++) {
        text[i] = kept_log_plain(log->text[(written - length + i) % KEPT_LOG_TEXT]);
    }
    return length;
}

void kept_log_put(struct kept_log *log, uint64_t at, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        log->text[(at + i) % KEPT_LOG_TEXT] = text[i];
    }
    __atomic_store_n(&log->written, at + length, __ATOMIC_RELEASE);
}
