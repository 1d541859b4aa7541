/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: one formatted line at a time, "[seconds.micros] cpuN vm: text", or with the date and
 * time (UTC) before it. Owns the line format,
 * the level filter and the escaping; where a line goes and what time it is comes in by hooks, so
 * that it is the same code on hardware and in the tests. May be called on any CPU at any time
 * after log_init().
 */
#pragma once

#include "hv/lib/message.h"
#include "hv/lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_hooks {
    uint64_t (*now_us)(void); /* microseconds since the hypervisor was entered */
    unsigned (*cpu)(void);    /* index of the running CPU */
    /* One finished line with its newline; called with no lock held, must take its own. */
    void (*write)(enum log_level level, const char *line, size_t length);
    /* Unix seconds now, 0 as long as that is not known; NULL: lines carry no date. */
    uint64_t (*wall_seconds)(void);
};

#define LOG_LINE_MAX 256

/* Must be called once before any other; hooks must stay valid. */
void log_init(const struct log_hooks *hooks, enum log_level max_level);
extern enum log_level log_max_level; /* may be set at any time */
/* Would a line of this level be printed? For callers whose text costs something to make. */
static inline bool log_enabled(enum log_level level) {
    return level <= log_max_level;
}

uint64_t log_now_us(void); /* on the clock that stands before each line */

/* who is a VM's name or NULL for the hypervisor itself. Bytes that are not printable ASCII are
 * escaped. */
void log_print(enum log_level level, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_error(...) log_print(LOG_ERROR, NULL, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARN, NULL, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, NULL, __VA_ARGS__)

/*
 * A token bucket for lines that a guest can cause: log_limit_pass() is false when the source has
 * used up its share, and tells through *suppressed how many were dropped before the one that
 * passes. Only after log_init().
 */
struct log_limit {
    uint32_t per_second; /* 0 = as usual */
    uint64_t last_us;
    uint32_t used, suppressed; /* of the burst; lines since the last one that passed */
};
bool log_limit_pass(struct log_limit *limit, uint32_t *suppressed);
