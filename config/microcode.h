/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of microcode updates, as the CPUs' makers publish them and Linux distributions ship them:
 * checks one and picks the newest update for a CPU out of it. Pure; called by boot/ and tools/. A
 * file may hold anything: every length in it is checked before it is used.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/plan/boot_info.h"

#define MICROCODE_FOLDER   "microcode" /* of a set, see sets.h */
#define MICROCODE_FILE_MAX (32 * MIB)  /* the largest that there is, with room */

struct microcode_cpu {
    bool amd;
    uint32_t signature; /* as in struct boot_microcode */
    uint32_t platform;
    uint32_t revision; /* older updates are none */
};

struct microcode_update {
    const uint8_t *bytes; /* inside the file; NULL = none */
    uint32_t size;
    uint32_t start; /* the offset in it that the CPU is told */
    uint32_t revision;
};

struct microcode_file {
    bool amd;
    uint32_t updates;               /* in it, for whatever CPU */
    struct microcode_update newest; /* for this one; of its revision or newer */
    const char *fault;              /* what is wrong with the file, for the admin; NULL = nothing */
};

/*
 * Reads a whole file into *out. STATUS_INVALID if it is no such file or damaged, be it in an update
 * for another CPU: then fault says what, and there is no newest.
 */
MUST_USE enum status microcode_read(const uint8_t *bytes, size_t size,
                                    const struct microcode_cpu *cpu, struct microcode_file *out);
