/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `make coverage`: prints the counters of all instrumented files of this program on COM1. Linked
 * only into that build, beside the program's own objects; scripts/coverage.py reads the lines.
 */
#pragma once

/* Waits for the UART at each byte. Other output on that line must be silent meanwhile. */
void coverage_dump(void);
