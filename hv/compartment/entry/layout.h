/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What calls.S knows of hv/abi/compartment.h; main.c compares the two. */
#pragma once

#define EXCHANGE_VMMCALL 4
