/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From keys to what a terminal would send: characters in UTF-8 by the layout, control characters,
 * sequences of cursor and function keys. Keyboards of all kinds report to hv_console_key(), on the
 * one CPU that serves the consoles. Owns what is held down and the locks.
 */
#pragma once

#include "hv/plan/config.h"

/* At the start, before a key comes. */
void keys_init(enum config_keyboard layout);
