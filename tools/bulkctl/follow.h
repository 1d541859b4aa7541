// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes on until it is ended: events, a guest's console. For bulkctl.c. */
#pragma once

#include "tools/bulkctl/port.h"

/* Of that guest, or of all (NULL); what comes later, too. As lines of JSON, or as text. */
int show_events(const char *path, const char *guest, bool follow, bool json);

/* What its console has shown, as text without a terminal's sequences; what comes later, too. */
int show_logs(const char *path, const char *guest, bool follow, bool json);

/* The last exits of its vCPUs, in the words of the prompt's trace; what comes later, too. */
int show_trace(const char *path, const char *guest, bool follow, bool json);

/* The console itself: what it shows, and what is typed goes to it, until the escape key and 0. */
int run_console(const char *path, const char *guest);
