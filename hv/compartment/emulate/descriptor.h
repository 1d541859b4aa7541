/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits of a segment's attributes, in struct hvm_segment and in a descriptor's bytes 5 and 6.
 * Source: Intel SDM vol. 3 "Segment Descriptors", "Code- and Data-Segment Descriptor Types",
 * "System Descriptor Types".
 */
#pragma once

#include "hv/abi/exit.h"

/* Type of code and data. */
#define DESCRIPTOR_ACCESSED   BIT32(0)
#define DESCRIPTOR_ACCESS     BIT32(1) /* data: may be written; code: may be read */
#define DESCRIPTOR_EXPAND     BIT32(2) /* data: down */
#define DESCRIPTOR_CONFORMING BIT32(2) /* code */
#define DESCRIPTOR_CODE       BIT32(3)

/* Type of what the system uses. */
#define DESCRIPTOR_LDT   2u
#define DESCRIPTOR_TSS16 1u
#define DESCRIPTOR_BUSY  BIT32(1) /* a TSS */

#define DESCRIPTOR_CODE_OR_DATA BIT32(4) /* or else the system's */
#define DESCRIPTOR_PRESENT      BIT32(7)

/* The type and whose it is. */
#define DESCRIPTOR_KIND (DESCRIPTOR_CODE_OR_DATA | SEG_TYPE)

static inline unsigned descriptor_dpl(uint32_t attr) {
    return attr >> 5 & 3;
}

/* Of a selector. */
#define SELECTOR_RPL   3u
#define SELECTOR_LOCAL BIT32(2) /* in the LDT */
#define SELECTOR_NULL  4u       /* below it */
