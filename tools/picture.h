/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shows what the guests of a plan have beside CPUs and memory: disks, images, wires. */
#pragma once

#include <stdio.h>

#include "hv/plan/plan.h"

/* As text; nothing if there is none of it. */
void picture_print(const struct config *config, const struct plan *plan);
/* The same as a picture, SVG, with whose each CPU and piece of memory is; the same plan gives the
 * same bytes. */
void picture_draw(FILE *out, const struct boot_info *info, const struct plan *plan);
