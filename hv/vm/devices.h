/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's devices, as the core knows them: the only way from it to hv/compartment/dev and back. What
 * goes in are accesses, bytes, moments and ends of interrupts; what comes out are messages to local
 * APICs, the level of INTR, console bytes and the end of the run (devices.c).
 */
#pragma once

#include "hv/abi/bus.h"
#include "hv/lib/status.h"

struct vm;

/* Makes the platform in the VM's budget, in its power-up state. vm->clock is set. */
MUST_USE enum status vm_create_devices(struct vm *vm);

/* Power-up state of all devices; the time of day stays as the guest has set it. */
void vm_reset_devices(struct vm *vm);

/*
 * An access of size bytes (1, 2, 4; in memory also 8) to a port or a guest-physical address that is
 * no RAM. All but vm is guest-controlled. A write returns false if nothing is there. On any CPU of
 * the VM.
 */
MUST_USE struct bus_answer vm_read_port(struct vm *vm, uint64_t port, unsigned size);
MUST_USE bool vm_write_port(struct vm *vm, uint64_t port, unsigned size, uint64_t value);
MUST_USE struct bus_answer vm_read_page(struct vm *vm, uint64_t gpa, unsigned size);
MUST_USE bool vm_write_page(struct vm *vm, uint64_t gpa, unsigned size, uint64_t value);

/* Timers and clocks do what is due. When they want to be called again, on the host's TSC; 0 = not.
 * On the CPU of vCPU 0. */
uint64_t vm_service_devices(struct vm *vm);

/* INTA to the 8259s, whose INTR is vm->intr: the vector. On the CPU of vCPU 0. */
uint8_t vm_acknowledge_intr(struct vm *vm);

/* A level-triggered interrupt has ended in a local APIC. vector is guest-controlled. */
void vm_end_interrupt(struct vm *vm, uint8_t vector);

void vm_press_power_button(struct vm *vm);

/* What the console asked for of REQUESTS_CONSOLE. On the CPU of vCPU 0, as the next. */
void vm_serve_console(struct vm *vm, uint32_t requests);
/* One byte from the console; false = too many wait for the guest already. */
bool vm_console_input(struct vm *vm, uint8_t byte);

/* What answers at which ports and pages, one line each, into the log at level debug. */
void vm_print_devices(void);
