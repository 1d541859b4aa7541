// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of enum status, for log lines. Owns nothing else. Called wherever a failure is logged.
 */
#include "hv/lib/status.h"

static const char *const names[] = {
    [STATUS_OK] = "ok",
    [STATUS_INVALID] = "invalid",
    [STATUS_NOT_FOUND] = "not found",
    [STATUS_EXISTS] = "exists already",
    [STATUS_NO_MEMORY] = "no memory left",
    [STATUS_UNSUPPORTED] = "not supported",
    [STATUS_DENIED] = "denied",
    [STATUS_TIMEOUT] = "timed out",
    [STATUS_FULL] = "table full",
};

const char *status_name(enum status s) {
    return (unsigned)s < ARRAY_SIZE(names) ? names[s] : "unknown status";
}
