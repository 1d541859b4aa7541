/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The emulator's door: one function for each kind of exit that it takes. The caller has filled in
 * the vCPU's part of struct emulation, exit, and code, where not said otherwise. After
 * EMULATED_FAULT and EMULATED_CRASH e->fault and e->crash say more.
 */
#pragma once

#include "hv/compartment/emulate/emulation.h"

/* EXIT_NESTED_FAULT: an instruction touched guest-physical memory that is not RAM. */
enum emulated emulate_memory(struct emulation *e);

/* EXIT_IO with IO_STRING; of IN and OUT the exit tells all. */
enum emulated emulate_port(struct emulation *e);

/*
 * For a CPU that does not tell the length of the instruction that exited: finds insn_len, and for
 * EXIT_CR the rest of cr, of which cr and CR_READ or CR_WRITE come from the exit (CLTS and LMSW are
 * writes of CR0, SMSW reads it and has then stored a memory operand). EMULATED_RETRY if the
 * instruction cannot be read or is not one that makes such an exit, for another vCPU may have
 * changed code or tables meanwhile.
 */
enum emulated emulate_length(struct emulation *e);

/* EXIT_TASK_SWITCH, which the CPU leaves to the hypervisor. */
enum emulated emulate_task_switch(struct emulation *e);

/* Up to n bytes of code at RIP, for a report; returns how many could be read. Needs no exit. */
size_t emulate_code(struct emulation *e, uint8_t *out, size_t n);

/* May the guest load this CR3 for PAE paging? See walk_pdptes_valid(). Needs neither. */
bool emulate_pdptes_valid(const struct emulation *e, uint64_t cr3);
