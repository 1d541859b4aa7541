/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a character is on the screen: its width, and the special graphics of DEC's terminals. */
#pragma once

#include "hv/lib/types.h"

/* Columns that a code point takes: 0 (it joins the one before), 1 or 2. */
int charset_width(uint32_t code);

/* What stands in the place of an ASCII character in the line-drawing set. */
uint32_t charset_line_drawing(uint32_t code);
