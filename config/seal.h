/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seal: a list of the stick's files and their SHA-256 digests, inside the EFI application and
 * so under the signature that the firmware has checked before it started us. With a list, no file
 * is used that is not on it just as it was read. Called by boot/ and tools/bhcheck. Pure.
 *
 * The list is the section ".sealed" of the PE file, in the form that sha256sum prints and checks: a
 * line a file, 64 digits in lower case, two blanks, the path from the stick's root with '/'. Source
 * of the headers: Microsoft PE Format, "COFF File Header", "Section Table (Section Headers)".
 */
#pragma once

#include "config/sets.h"
#include "config/sha256.h"
#include "hv/plan/boot_info.h"

#define SEAL_REASONS     (BOOT_MAX_IMAGES + 2) /* the guests' files, the config, the last one */
#define SEAL_REASON_SIZE 192

/* The fix of all that a signed list refuses. */
#define SEAL_FIX     "sign the stick again (docs/secure-boot.md)"
#define SEAL_MISSING "on the signed list of files, but not on the stick; put it back, or " SEAL_FIX

struct seal {
    bool there;       /* the application has a list; a broken one lists nothing */
    bool required;    /* Secure Boot is on: without a list nothing may be read */
    const char *list; /* in the application's image */
    uint64_t length;
    uint32_t files;        /* on the list */
    uint32_t reason_count; /* texts that seal_judge() has returned */
    char reasons[SEAL_REASONS][SEAL_REASON_SIZE];
};

struct seal_file {
    char path[SETS_PATH_SIZE]; /* empty if it is longer than any that the config can have */
    uint8_t digest[SHA256_SIZE];
};

/*
 * Finds the list in an EFI application of size bytes: loaded, as it lies in memory, or as the file
 * that it was. Its bytes may be anything, they stay for as long as the seal is used.
 */
void seal_open(struct seal *seal, const uint8_t *image, uint64_t size, bool loaded, bool required);

/* The list's files in a folder one after the other, *at from 0 on; false at its end. */
bool seal_next_in(const struct seal *seal, const char *folder, uint64_t *at,
                  struct seal_file *file);

/*
 * NULL if a file with these bytes may be used, which the caller must not read again; else why not,
 * with the fix, as text that stays (that of the last one is overwritten once there are too many).
 */
const char *seal_judge(struct seal *seal, const char *path, const uint8_t *bytes, uint64_t size);
