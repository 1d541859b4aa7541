/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UPCALL_LOAD, the start of a guest: the core has copied the files and struct bulkhead_start
 * (hv/abi.h) into the guest's zeroed memory and parsed nothing. The compartment makes of them what
 * the guest's first instruction finds. What the core takes back is one number.
 */
#pragma once

#include "hv/lib/types.h"

/* So many bytes are moved or zeroed in one upcall, which has a second: others wait for the next. */
#define LOAD_PIECE MIB

/* What the guest's CPUID says, by the leaf: the compartment cannot ask. */
enum load_leaf {
    LOAD_LEAF_VENDOR,
    LOAD_LEAF_MODEL,
    LOAD_LEAF_BRAND, /* the first of three */
    LOAD_LEAF_TIMING = LOAD_LEAF_BRAND + 3,
    LOAD_LEAVES
};

/* What has come of it; the core says the faults in words (hv/exit/load.c). */
enum load_status {
    LOAD_NO_ANSWER,
    LOAD_DONE,
    LOAD_MORE,  /* there is more to be moved: the same upcall again */
    LOAD_WAITS, /* the same, until a disk is there that another guest serves */
    LOAD_UNKNOWN_FORM,
    LOAD_UNKNOWN_KIND,
    LOAD_NO_LINUX,
    LOAD_NO_ROOM,
    LOAD_LONG_LINE,
    LOAD_NO_ELF,
    LOAD_OUTSIDE,
    LOAD_OVERLAP,
    LOAD_NO_HEADER,
    LOAD_NO_SCREEN,
    LOAD_NO_MULTIBOOT,
    LOAD_STATUSES
};

/* Of struct exchange. */
struct exchange_load {
    uint32_t cpuid[LOAD_LEAVES][4]; /* EAX, EBX, ECX, EDX */
    uint32_t status;                /* enum load_status; from the compartment */
};
