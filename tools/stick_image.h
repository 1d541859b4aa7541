/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stick that is not mounted: an image of it, or its device. */
#pragma once

#include <stdbool.h>

/* Is it one? It is a device, or a file larger than any config, and may be read. */
bool stick_image_is(const char *place);

/*
 * Copies all its files to a folder of this PC's, which is gone at exit, and returns that folder;
 * NULL after a line on stderr. By mtools, for this PC may have no FAT.
 */
const char *stick_image_copy(const char *place);
