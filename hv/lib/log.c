// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log's line format, level filter, escaping and rate limit. Owns no output and no clock: both
 * come in by hooks. Must not let text that a guest controls start a new line, move the cursor or
 * flood the log. Called everywhere.
 */
#include "hv/lib/log.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define LIMIT_PER_SECOND 5 /* where nothing else is said */
#define LIMIT_BURST      4 /* seconds' worth */
#define SECOND_US        1000000ull

/* Room for text: one byte for the newline, one for the NUL. */
#define TEXT_MAX (LOG_LINE_MAX - 2)
#define CUT_SIZE 3 /* of the mark behind a text that was cut */

static SEALED const struct log_hooks *log_hooks;
enum log_level log_max_level;

void log_init(const struct log_hooks *hooks, enum log_level max_level) {
    log_max_level = max_level;
    log_hooks = hooks;
}

/* Appends text to line, which holds length bytes; returns the new length, at most TEXT_MAX. */
static size_t append_escaped(char *line, size_t length, const char *text) {
    for (; *text != '\0'; text++) {
        bool plain = *text >= 0x20 && *text < 0x7f;
        char unit[5] = {*text};
        size_t n = plain ? 1 : fmt_print(unit, sizeof(unit), "\\x%02x", (unsigned)(uint8_t)*text);
        if (n > TEXT_MAX - CUT_SIZE - length) {
            memcpy(line + length, "...", CUT_SIZE);
            return length + CUT_SIZE;
        }
        memcpy(line + length, unit, n);
        length += n;
    }
    return length;
}

/* The date, if lines carry one; returns its length. */
static size_t append_date(char *line, size_t size) {
    uint64_t seconds = log_hooks->wall_seconds != NULL ? log_hooks->wall_seconds() : 0;
    char date[FMT_DATE_SIZE];

    if (seconds == 0) {
        return 0;
    }
    return fmt_print(line, size, "%s ", fmt_date(date, seconds));
}

uint64_t log_now_us(void) {
    return log_hooks != NULL ? log_hooks->now_us() : 0;
}

void log_print(enum log_level level, const char *who, const char *format, ...) {
    if (log_hooks == NULL || !log_enabled(level)) {
        return;
    }
    unsigned long long now = log_hooks->now_us();
    static const char *const graves[] = {
        [LOG_ERROR] = "error: ", [LOG_WARN] = "warning: ", [LOG_INFO] = "", [LOG_DEBUG] = ""};
    const char *space = who != NULL ? " " : "";
    char line[LOG_LINE_MAX], text[LOG_LINE_MAX];
    size_t length = append_date(line, sizeof(line));
    length += fmt_print(line + length, sizeof(line) - length, "[%5llu.%06llu] cpu%u%s%.*s: %s",
                        now / SECOND_US, now % SECOND_US, log_hooks->cpu(), space, 64,
                        who != NULL ? who : "", graves[level]);
    FMT_ARGUMENTS(text, format);
    length = append_escaped(line, length, text);
    line[length++] = '\n';
    line[length] = '\0';
    log_hooks->write(level, line, length);
}

bool log_limit_pass(struct log_limit *limit, uint32_t *suppressed) {
    uint32_t per_second = limit->per_second != 0 ? limit->per_second : LIMIT_PER_SECOND;
    uint64_t now = log_hooks->now_us(), step = max_u64(SECOND_US / per_second, 1);
    uint64_t gained = now > limit->last_us ? (now - limit->last_us) / step : 0;
    limit->last_us += gained * step;
    limit->used -= (uint32_t)min_u64(limit->used, gained);
    if (limit->used >= LIMIT_BURST * per_second) { /* several CPUs may have passed at once */
        limit->suppressed++;
        return false;
    }
    limit->used++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
