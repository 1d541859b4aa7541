/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The number of a message that an admin may have to act on, at the end of its text:
 * log_warn("USB: no memory left" MSG(4001)) prints "... no memory left [BH4001]". It stays for
 * good: docs/messages.md says under it what the message means and what to do, and `make check`
 * (scripts/messages.py) that every such message has one, of its own. The first digit is the area's,
 * in the order of that page.
 */
#pragma once

#define MSG(number) " [BH" #number "]"

/* Bytes of that, and where in it "BH0000" begins, and how long this is. */
#define MSG_LENGTH       (sizeof(MSG(0000)) - 1)
#define MSG_NUMBER_AT    (sizeof(" [") - 1)
#define MSG_NUMBER_BYTES (sizeof("BH0000") - 1)
