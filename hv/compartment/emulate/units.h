/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What carries a decoded instruction out, by enum insn_unit. c is the code that it was found in;
 * the registers' slot of RSP is filled. Either all of an instruction (or of an element of a string)
 * is done or nothing.
 */
#pragma once

#include "hv/compartment/emulate/operand.h"

/* MOVS and its like, INS and OUTS too; PUSH and POP of memory. */
enum emulated string_execute(struct emulation *e, const struct code *c, const struct insn *in);
enum emulated stack_execute(struct emulation *e, const struct code *c, const struct insn *in);

/* A move between memory and an XMM register. */
enum emulated vector_execute(struct emulation *e, const struct code *c, const struct insn *in);
