/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words for enum status. */
#include "hv/lib/status.h"

const char *status_name(enum status status) {
    static const char *const names[] = {
        [STATUS_OK] = "ok",
        [STATUS_INVALID] = "invalid",
        [STATUS_NOT_FOUND] = "not found",
        [STATUS_EXISTS] = "exists already",
        [STATUS_NO_MEMORY] = "out of memory",
        [STATUS_UNSUPPORTED] = "not supported",
        [STATUS_DENIED] = "denied",
        [STATUS_TIMEOUT] = "timeout",
        [STATUS_FULL] = "full",
    };
    return status < ARRAY_SIZE(names) ? names[status] : "unknown";
}
