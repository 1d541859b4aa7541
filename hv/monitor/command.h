/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's prompt in the log view. Owns the line editor and the table of commands; reaches
 * VMs only through the calls handed in. Runs on the CPU that took the key, with no lock held.
 */
#ifndef HV_MONITOR_COMMAND_H
#define HV_MONITOR_COMMAND_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

/* VMs are numbered from 0 in the order of the config file. None of these may wait for the VM. */
struct monitor_ops {
    unsigned (*vm_count)(void);
    const char *(*vm_name)(unsigned vm);
    const char *(*vm_state)(unsigned vm);
    enum status (*vm_start)(unsigned vm); /* ask for it; the log tells when it is done */
    enum status (*vm_stop)(unsigned vm);
    enum status (*vm_reset)(unsigned vm);
    /* What "list" shows after name and state: CPUs, memory and the like; cut at size. */
    void (*vm_list_row)(unsigned vm, char *buf, size_t size);
    /* One call of line() for each counter, "msr-denied 3", without newline. */
    void (*vm_stats)(unsigned vm, void (*line)(void *ctx, const char *text), void *ctx);
};

/* Shows the prompt; after console_init(). ops must stay valid. */
void command_init(const struct monitor_ops *ops);

#endif
