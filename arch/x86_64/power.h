/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast a CPU may run. The words that ask for it, apart from the MSRs, for the unit tests.
 */
#pragma once

#include "hv/lib/types.h"

/* IA32_HWP_REQUEST for what IA32_HWP_CAPABILITIES says: from the lowest level to the highest, as
 * the CPU sees fit, and fast rather than frugal, if it asks. */
uint64_t power_hwp_request(uint64_t capabilities, bool has_preference);
/* AMD's CPPC_REQUEST for its CPPC_CAPABILITY_1, likewise. */
uint64_t power_cppc_request(uint64_t capability);
