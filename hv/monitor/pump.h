/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves bytes as far as the serial line takes them, never waits, and does a bounded piece of work a
 * call. Called by console.c under its lock, on any CPU: see pump_may_feed().
 */
#pragma once

#include "hv/lib/types.h"

/*
 * While a guest waits for room only the callers that may call it back pump, so that it is not left
 * waiting for an interrupt that does not come.
 */
void pump(bool may_call_back);

/*
 * Whether this CPU carries out what the view in focus has printed. A guest can make that expensive,
 * so it is for its own CPUs and for those that have no guest. Others send on what is ready.
 */
bool pump_may_feed(void);
