/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's RAM as the core reaches it: mapped for the moment of a call, on this CPU, and for nothing
 * but to fill it at a start, to scrub it, and to look at a few words that a guest has named.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/vm/plat.h"

struct vm;

/* Copies up to the first byte that is not RAM of the VM: STATUS_NOT_FOUND then. gpa and size may
 * come from the guest, which may change what is read. */
MUST_USE enum status vm_memory_write(const struct vm *vm, gpa_t gpa, const void *from,
                                     uint64_t size);
MUST_USE enum status vm_memory_read(const struct vm *vm, gpa_t gpa, void *to, uint64_t size);

/* Zeroes size bytes of it, in memory itself: a multiple of 64, up to PLAT_WINDOW_SIZE. */
void vm_memory_scrub(hpa_t at, uint64_t size);

/* A word of 4 bytes, aligned, which this CPU maps from now on, in place of the one before; NULL if
 * that is no RAM. vm_memory_let_go() ends it. gpa may come from the guest. */
uint32_t *vm_memory_keep(const struct vm *vm, gpa_t gpa);
void vm_memory_let_go(void);
