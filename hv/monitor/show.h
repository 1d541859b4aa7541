/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the operator's commands print what is long: line by line, each asked for by its number. So
 * the CPU that prints has its guest run in between. Functions of this kind print one line at most.
 */
#pragma once

enum show {
    SHOW_PRINTED, /* a line; ask for the next number */
    SHOW_EMPTY,   /* nothing to say under this number; ask for the next */
    SHOW_WAIT,    /* not yet; ask for the same number again */
    SHOW_END,     /* no such line */
};
