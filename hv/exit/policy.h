/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest can see, from the tables that decide it: CPUID, MSRs, ports, pages of devices. The
 * hypervisor logs it at level debug; `make docs` prints docs/guest-view.md.
 */
#ifndef HV_EXIT_POLICY_H
#define HV_EXIT_POLICY_H

/* Gives line() one text after the other, without line ends. */
void policy_print(void (*line)(const char *text));

#endif
