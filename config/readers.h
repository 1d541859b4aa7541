/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers of values, for the schema's table, and what they are made of. A reader gets text that is
 * known to be short enough and free of control characters but tabs, and reports what breaks its
 * rule.
 */
#pragma once

#include "config/schema.h"

/* Reports the value with the rule it breaks and the fix. Always false. */
PRINTF_LIKE(2, 3) bool refuse(const struct schema_value *v, const char *format, ...);

/* Digits at *s; false if there are none or the number passes max. */
bool read_number(const char **s, unsigned base, uint64_t max, uint64_t *out);

/* s: a part of the value, up to its end. A multiple of 2 MiB, at least that, with a unit. */
bool read_size_of(const struct schema_value *v, const char *s, uint64_t least, uint64_t *out);

/* Both slashes part a path; the stored one has single forward slashes and none in front. */
bool read_path(const struct schema_value *v);

/* struct config_disk, struct config_pmem, struct config_net, struct config_vsock; uint32_t. */
bool read_disk(const struct schema_value *v);
bool read_pmem(const struct schema_value *v);
bool read_net(const struct schema_value *v);
bool read_vsock(const struct schema_value *v);
bool read_control(const struct schema_value *v);
bool read_mtu(const struct schema_value *v);
bool read_named_port(const struct schema_value *v);
bool read_cid(const struct schema_value *v);
bool read_limit(const struct schema_value *v);
/* struct config_pci. */
bool read_pci(const struct schema_value *v);
