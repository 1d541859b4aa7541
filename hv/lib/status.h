/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One error type for the whole hypervisor. Results go out through pointers that stay untouched on
 * failure; the place where an error is born logs it, nobody else does.
 */
#pragma once

#include "hv/lib/types.h"

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* the argument or the data breaks a rule */
    STATUS_NOT_FOUND,   /* nothing has that name, number or address */
    STATUS_EXISTS,      /* it is already there, or overlaps what is */
    STATUS_NO_MEMORY,   /* the budget it must come from is used up */
    STATUS_UNSUPPORTED, /* the machine or this build cannot do it */
    STATUS_DENIED,      /* policy forbids it */
    STATUS_TIMEOUT,     /* the hardware did not answer in time */
    STATUS_FULL,        /* a fixed table has no free entry */
};

/* For the log. */
const char *status_name(enum status status);
