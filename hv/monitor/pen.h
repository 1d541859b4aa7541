/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The colours and attributes that text is written with: CSI m, cut down to sixteen colours. */
#pragma once

#include "hv/monitor/seq.h"
#include "hv/vm/plat.h"

struct pen {
    uint8_t ink, paper; /* below SCREEN_COLOURS */
    bool bold, underline, inverse, hidden;
};

extern const struct pen pen_plain;

/* Takes the parameters of CSI m, which are guest-controlled. */
void pen_select(struct pen *pen, const struct seq *s);

/* A blank as the pen writes it, and one as it erases. */
struct screen_cell pen_cell(const struct pen *pen);
struct screen_cell pen_blank(const struct pen *pen);
