/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * docs/messages.md: what a message with a number means, and what to do.
 */
#ifndef TOOLS_MESSAGES_H
#define TOOLS_MESSAGES_H

#include <stdbool.h>

/* Is that the number of a message: BH and four digits, or these alone? */
bool messages_is_number(const char *word);
/* Prints its row; false, and said, if there is none. */
bool messages_explain(const char *number);

#endif
