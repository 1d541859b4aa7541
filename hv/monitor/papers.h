/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "config": the text of bulkhead.toml as it was read at this start. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/plan/boot_info.h"

/* Before plat_seal(): where the text is, and each guest's table in it. */
void papers_init(const struct boot_info *info);

/* All of it. */
enum show papers_show(unsigned line);
/* The table of one guest, by its number in the file. */
enum show papers_show_guest(unsigned guest, unsigned line);
