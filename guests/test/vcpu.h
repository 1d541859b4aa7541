/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several vCPUs in a test guest: starting the others, sending messages, having them run something.
 */
#ifndef GUESTS_TEST_VCPU_H
#define GUESTS_TEST_VCPU_H

#include "guests/test/guest.h"

#define VCPU_MAX 4

/* Interrupt command: delivery modes and shorthands. */
#define ICR_NMI           0x400u
#define ICR_INIT          0x4500u
#define ICR_STARTUP       0x4600u
#define ICR_LOWEST        0x100u
#define ICR_LOGICAL       0x800u
#define ICR_TO_SELF       0x40000u
#define ICR_TO_ALL        0x80000u
#define ICR_TO_ALL_OTHERS 0xc0000u

/* To the APIC ID (or logical set) in xAPIC mode. */
void vcpu_send(uint8_t destination, uint32_t command);
/* Starts vCPUs 1 to count - 1 by INIT and startup message; true if each has come up. */
bool vcpu_start(unsigned count);
/* One of them; true if it has come up, now. */
bool vcpu_start_one(unsigned cpu);
/* Hands run to a started vCPU, which sleeps otherwise; vcpu_wait() waits for its end, 5 s at most.
 */
void vcpu_run(unsigned cpu, void (*run)(void));
bool vcpu_wait(unsigned cpu);
/* Waits until vector has come n times more than from, 2 s at most; interrupts may be off. */
bool vcpu_wait_count(uint8_t vector, uint64_t from, uint64_t n);
unsigned vcpu_this_cpu(void);
/* Which vCPU took the last interrupt of that vector. */
unsigned vcpu_that_took(uint8_t vector);
/* How often it has come up. */
unsigned vcpu_starts(unsigned cpu);

#endif
