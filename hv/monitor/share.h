/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One screen for all consoles at once, each in rows of its own, for a machine on which nobody can
 * type: no key would ever switch between them. The view whose turn it is has the focus, so the
 * rules of who may spend whose time on it stay. Called by console.c and pump.c, under the console's
 * lock.
 */
#pragma once

#include "hv/monitor/views.h"

/* In place of the first switch to a guest's view. False if it is not wanted, or the screen is too
 * small. */
bool share_begin(void);

/* A view out of focus has said something. True if it is shown all the same: at once, and in focus
 * then, if the one in focus has nothing to say. */
bool share_take(struct console_view *v);

/* Somebody's turn is due. The caller owes the view that was in focus its REQUEST_ROOM. */
bool share_waits(void);
void share_turn(void);

/* A key has come, so there is a keyboard: the first guest's view has the screen from now on. */
void share_end(void);
