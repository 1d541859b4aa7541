/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader for Linux kernels (and whatever else wears a bzImage header) by the 64-bit boot
 * protocol.
 */
#ifndef HV_VM_LINUX_H
#define HV_VM_LINUX_H

#include "hv/vm/vm.h"

/*
 * Puts the plan's kernel and initrd (files from the stick: untrusted), initrd, command line,
 * boot_params, page tables and GDT into guest memory, at the places guest_layout_compute() gives,
 * and fills *start. STATUS_INVALID: not a bzImage, or a command line longer than this kernel takes;
 * STATUS_NO_MEMORY: does not fit; STATUS_NOT_FOUND: mem is smaller than the sizes say. The reason
 * is in the log; *start is then as it was.
 */
MUST_USE enum status linux_load(const struct vm *vm, struct vcpu_start *start);

#endif
