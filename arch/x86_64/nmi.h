/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NMIs of the machine: bad memory, a PCI device's error, the button of a management controller.
 * They are counted where they come, in the middle of anything, and told by the next look at the
 * consoles.
 */
#pragma once

#include "hv/lib/types.h"

/* Every CPU, at any moment: status is the chipset's, from port 61h. */
void nmi_take(unsigned cpu, uint8_t status);

/* One CPU, with no lock held: into the log, if there were any since the last time. */
void nmi_tell(void);
