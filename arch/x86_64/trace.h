/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who called whom, read off a stack without frame pointers or tables: each word that points behind
 * a CALL of our text may be a return address. Old ones that lie in unused parts of a frame show up
 * as well; none that is in use is missing. Pure, so that the unit tests run it on the host.
 */
#pragma once

#include "hv/lib/types.h"

struct trace_text {
    const uint8_t *base; /* all of it can be read */
    uint64_t size;
};

/* True if the instruction before that offset into the text is a CALL. */
bool trace_follows_call(const struct trace_text *text, uint64_t offset);

/*
 * Looks through `words` words from stack on for return addresses and puts their offsets into the
 * text, the innermost call first, to out. Gives their number, at most max.
 */
size_t trace_find(const struct trace_text *text, const uint64_t *stack, size_t words, uint32_t *out,
                  size_t max);
