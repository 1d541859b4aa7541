/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's devices, as the core knows them: the only way to those in its compartment. What goes in
 * are bytes, moments and ends of interrupts; what comes out are messages to local APICs,
 * the level of INTR, console bytes and the end of the run (devices.c). If the compartment fails,
 * the VM is leaving, and what is answered means nothing.
 */
#pragma once

#include "hv/vm/vm.h"

/* Power-up state of all devices, the first upcall of a run, on vCPU 0's CPU; the CMOS clock keeps
 * what it had. False if the VM is leaving. */
MUST_USE bool vm_start_devices(struct vm *vm);

/* Timers and clocks do what is due. When they want to be called again, on the host's TSC; 0 = not.
 * On the CPU of vCPU 0. */
uint64_t vm_service_devices(struct vm *vm);

/* INTA to the 8259s, whose INTR is *vcpu.intr: the vector, -1 if the VM is leaving. On the CPU of
 * vCPU 0. */
int vm_acknowledge_intr(struct vm *vm);

/* A level-triggered interrupt has ended in v's local APIC. vector is guest-controlled. */
void device_end_interrupt(struct vcpu *v, uint8_t vector);

/* On the CPU of vCPU 0, while it runs. */
void vm_press_power_button(struct vm *vm);

/* Another VM has rung, which it may do at any time, or the operator has set a link: its channels
 * are looked into. On the CPU of
 * vCPU 0, while it runs. */
void vm_serve_channels(struct vm *vm);

/* What the console asked for of REQUESTS_CONSOLE. On the CPU of vCPU 0, as the next. */
void vm_serve_console(struct vm *vm, uint32_t requests);
/* One byte from the console; false = too many wait for the guest already. */
bool vm_console_input(struct vm *vm, uint8_t byte);
