/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of memory ranges in struct boot_info while it is being made: sorted, disjoint,
 * neighbours of one kind merged. Pure. Called by memory.c and the unit tests.
 */
#ifndef BOOT_RANGES_H
#define BOOT_RANGES_H

#include "hv/plan/boot_info.h"

/*
 * Makes [base, base + size) of that kind, whatever parts of it were before. Both are multiples of
 * 4 KiB; empty is fine. STATUS_INVALID if the sum overflows, STATUS_FULL when the list might not
 * hold the result; the list is untouched then.
 */
MUST_USE enum status ranges_set(struct boot_info *info, uint64_t base, uint64_t size,
                                enum mem_kind kind);

/* Bytes of that kind in the list. */
uint64_t ranges_total(const struct boot_info *info, enum mem_kind kind);

#endif
