/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SHA-256 of bytes in memory. The firmware has one only as an option. Source: FIPS 180-4, "Secure
 * Hash Standard". Pure. Called by seal.c.
 */
#pragma once

#include "hv/lib/types.h"

#define SHA256_SIZE 32

void sha256(const uint8_t *bytes, uint64_t size, uint8_t digest[SHA256_SIZE]);
