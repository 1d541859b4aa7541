/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a guest is: names that stay the same from start to start, for its SMBIOS tables. Pure.
 * Sources: RFC 9562 "UUID Version 5", RFC 3174.
 */
#pragma once

#include "hv/plan/config.h"

/*
 * The name-based UUID (version 5) of name in this name space; all in the order in which a UUID is
 * written. As other programs make it: python3's uuid.uuid5(), uuidgen --sha1.
 */
void identity_make_uuid(const uint8_t space[UUID_SIZE], const char *name, uint8_t out[UUID_SIZE]);

/* 8-4-4-4-12 hexadecimal digits; false, with out untouched, if text is anything else. */
bool identity_read_uuid(const char *text, uint8_t out[UUID_SIZE]);

/* A serial number made of the UUID's last six bytes: "BLKH-0123456789AB". */
void identity_make_serial(const uint8_t uuid[UUID_SIZE], char out[CONFIG_SERIAL_SIZE]);
