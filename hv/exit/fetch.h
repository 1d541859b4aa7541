/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the guest's code at its RIP, as the CPU would fetch it: segment base, paging, page
 * borders. Used by the MMIO emulation and the crash report.
 */
#ifndef HV_EXIT_FETCH_H
#define HV_EXIT_FETCH_H

#include "hv/mem/walk.h"
#include "hv/vm/vm.h"

#define FETCH_MAX 15 /* longest instruction */

/* The paging state of v, for walk_translate(). */
void fetch_walk_state(struct vcpu *v, struct walk_state *s);

/* 16, 32 or 64: the default operand and address width of the code. */
unsigned fetch_mode(struct vcpu *v);

/* Copies up to n bytes of code at RIP; returns how many could be read. */
size_t fetch_code(struct vcpu *v, uint8_t *out, size_t n);

#endif
