/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the reports of crashes in the log of an earlier start, and copies each as a text of its
 * own. The log may be anything: it comes from memory that a reset has left. Pure.
 */
#pragma once

#include "hv/lib/types.h"

#define CRASH_FILES   8u /* as many of the last reports as the stick keeps */
#define CRASH_SIZE    (16 * KIB)
#define CRASH_FOLDER  "bulkhead/crash"
#define CRASH_HEAD    "Bulkhead's crash record "
#define CRASH_NUMBERS 999999998u

/* A guest's, or a panic: then without a name. */
struct crash_report {
    const char *begin, *name; /* its first line; the guest's name in it, or NULL */
    size_t name_length;
};

/* The first report at or after *at, which moves behind its first line; false if there is none. */
bool crash_find(const char *text, size_t length, size_t *at, struct crash_report *out);

/*
 * Its lines alone into out, up to size bytes; of a guest's report those of that guest, up to the
 * report's last. Returns how many bytes.
 */
size_t crash_copy(const char *text, size_t length, const struct crash_report *report, char *out,
                  size_t size);

/* Of a file in the folder: "17.txt" is 17; 0 if it is no record. */
uint32_t crash_number(const char *name);
