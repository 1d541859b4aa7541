/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judges a stick: the config, the files that it names, and whether the machine can hold it all. The
 * one way for boot/ and tools/bhcheck, so that both find the same faults in the same words; they
 * differ in how a file is got. Pure but for that.
 */
#pragma once

#include "config/fault.h"
#include "config/sets.h"
#include "hv/plan/plan.h"

#define STICK_OWN_CONFIG  "bulkhead.toml" /* of a set, see sets.h */
#define STICK_CONFIG      "bulkhead/" STICK_OWN_CONFIG
#define STICK_TRACE       "bulkhead/last-start.txt" /* written at each start, for a report */
#define STICK_LAST_LOG    "bulkhead/last-log.txt" /* of the start before, if memory still has it */
#define STICK_TRIAL       "bulkhead/last-trial.txt" /* why a new set was refused */
#define STICK_APPLICATION "EFI/BOOT/BOOTX64.EFI"    /* what the firmware starts */

/* Why a file was not got; a reader may have reasons of its own. */
#define STICK_MISSING "no such file on the stick"
#define STICK_CASE                                                                                 \
    "no such file on the stick; one there differs in the case of a letter beyond A to Z, which "   \
    "not every firmware forgives: write the name as it stands there"
#define STICK_FOLDER     "this is a folder; name a file in it"
#define STICK_UNREADABLE "the file cannot be read; is the stick damaged?"
#define STICK_NO_ROOM    "no room in memory for this file; add memory or take a smaller file"

/*
 * Reads a whole file into new memory. path: UTF-8 from the stick's root, '/' between the folders.
 * Returns NULL, or why not: text that stays, for the end of 'kernel = "path": '.
 */
typedef const char *stick_reader(const char *path, hpa_t *base, uint64_t *size);

/*
 * Reads the config of info->set and every file that it names, each distinct path once, into
 * info->config and info->images. The config's faults go to *faults; what is wrong with a file,
 * stick_judge() says. With info->safe it is as if the file had one guest, see safe.c.
 */
void stick_read(struct boot_info *info, stick_reader *read, struct fault_list *faults);

/*
 * Judges the guests, also after other faults, so that one run shows all of them; info has its
 * memory ranges and CPUs by now. STATUS_OK: *plan is to be used. report: see plan_check().
 */
MUST_USE enum status stick_judge(const struct boot_info *info, struct plan *plan,
                                 struct fault_list *faults, plan_report *report);

/* The config alone, for what has to be known before. */
void stick_read_config(struct boot_info *info, stick_reader *read, struct fault_list *faults);

/* What is left of a config for a safe start; see safe.c. */
void stick_make_safe(struct config *config);
