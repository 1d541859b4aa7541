/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a message signalled interrupt, as I/O APIC and PCI devices write them and as local
 * APICs take them. Source: Intel SDM vol. 3 "Message Signalled Interrupts".
 */
#pragma once

#include "hv/lib/types.h"

/* A message signalled interrupt: a device's write to FEExxxxxh. */
#define MSI_ADDRESS 0xfee00000ull
#define MSI_LOGICAL BIT(2)
#define MSI_HINT    BIT(3)    /* one of those named is enough */
#define MSI_ASSERT  BIT32(14) /* in the data; without it a level ends */
