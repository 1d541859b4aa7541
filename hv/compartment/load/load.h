/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a guest, inside its own compartment: its kernel goes where it wants to run, and what
 * a PC's firmware leaves in memory is written: memory map, ACPI, SMBIOS, what is searched for below
 * 1 MiB. guests/firmware then only has to switch modes and to jump. A kernel file is the admin's,
 * who may have it from anywhere: each of its words is checked before it is used.
 */
#pragma once

#include "hv/abi/compartment.h"

/* Answers UPCALL_LOAD; called until it is done. */
void load_upcall(struct exchange *e, const struct abi_devices *devices);
