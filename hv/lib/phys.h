/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place where a host-physical address becomes a pointer and back. The hypervisor runs
 * identity-mapped; in the host tests "physical" memory is whatever the test allocated.
 */
#pragma once

#include "hv/lib/types.h"

static inline void *phys_pointer(hpa_t hpa) {
    return (void *)(uintptr_t)hpa.v;
}

static inline hpa_t phys_address(const void *pointer) {
    return HPA((uintptr_t)pointer);
}
