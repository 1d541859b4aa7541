/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log in memory, at a place where the next start of Bulkhead looks for it: after a hang and a
 * warm reset boot/ writes it to the stick. With it, whether a new set of the stick has come up.
 * Memory keeps it or not, that is the firmware's matter.
 */
#pragma once

#include "hv/lib/types.h"

#define KEPT_LOG_MARK "Bulkhead's log 2"
#define KEPT_LOG_SIZE (64 * KIB)
#define KEPT_LOG_TEXT (KEPT_LOG_SIZE - 40u)

struct kept_log {
    char mark[16];            /* KEPT_LOG_MARK without its end */
    uint64_t written;         /* bytes since the start; the last KEPT_LOG_TEXT of them are there */
    uint64_t trial, healthy;  /* boot_info's trial; the same once the set has come up, else 0 */
    char text[KEPT_LOG_TEXT]; /* byte n of the log is at n % KEPT_LOG_TEXT */
};
_Static_assert(sizeof(struct kept_log) == KEPT_LOG_SIZE, "whole pages");

void kept_log_begin(struct kept_log *log, uint64_t trial);
/* length bytes as byte at of the log and those after it. */
void kept_log_put(struct kept_log *log, uint64_t at, const char *text, size_t length);
/* What is left of a log, oldest first; returns its length, 0 if there is none. Nothing of it is to
 * be believed. */
size_t kept_log_read(const struct kept_log *log, char text[KEPT_LOG_TEXT]);
/* Is it of that trial, which is not 0? *healthy: and has the set come up? */
bool kept_log_knows(const struct kept_log *log, uint64_t trial, bool *healthy);
