/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config reader: the text of bulkhead.toml into struct config. config/ runs in the EFI
 * application and in tools/bhcheck, before there is a hypervisor; it is no part of it.
 */
#pragma once

#include "config/fault.h"
#include "hv/lib/status.h"
#include "hv/plan/config.h"

#define CONFIG_FILE_MAX (64 * KIB)

/* *config as a file without a single line means it: every preset, no guest. */
void config_preset(struct config *config);

/*
 * Reads the text of bulkhead.toml (length bytes, need not end in NUL, UTF-8 with or without BOM, LF
 * or CRLF) into *config. Every fault of the whole file goes to *faults; STATUS_INVALID if there is
 * any in it then. Values that were refused or are missing are zero in *config, so that
 * kernel_check_guests() and plan_build() can judge the rest.
 */
enum status config_parse(const char *text, size_t length, struct config *config,
                         struct fault_list *faults);
