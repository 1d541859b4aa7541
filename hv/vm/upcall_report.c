/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line that tells of a compartment that has gone wrong, and the end of its VM.
 */
#include "hv/vm/upcall.h"

/* What it was asked for, where no exit of the guest's was the reason. */
static const char *const upcall_names[UPCALLS] = {
    [UPCALL_NOTHING] = "nothing",
    [UPCALL_START] = "the start of the devices",
    [UPCALL_LOAD] = "the loading of the guest",
    [UPCALL_READ] = "a read of a device",
    [UPCALL_WRITE] = "a write of a device",
    [UPCALL_SERVICE] = "the devices' clocks",
    [UPCALL_ACKNOWLEDGE] = "an interrupt of the 8259s",
    [UPCALL_END] = "the end of an interrupt",
    [UPCALL_TYPE] = "a typed byte",
    [UPCALL_DRAIN] = "bytes for the console",
    [UPCALL_POWER] = "the power button",
    [UPCALL_CHANNELS] = "another VM's bell",
    [UPCALL_MEMORY] = "an access to memory",
    [UPCALL_STRING] = "a string of a port",
    [UPCALL_TASK] = "a task switch",
    [UPCALL_LENGTH] = "an instruction's length",
    [UPCALL_CODE] = "the code for a report",
    [UPCALL_PDPTES] = "the tables of PAE paging",
};

const char *upcall_name(enum upcall what) {
    return upcall_names[what];
}

/* Anything it may not do: all of it in one line, which is told in every view. */
bool upcall_refuse(struct vcpu *v, const char *what, const char *detail) {
    const struct vmexit *x = v->upcall_exit;
    const char *work = x != NULL ? exit_kind_names[x->kind] : upcall_name(v->upcall);

    vm_log(v->vm, LOG_ERROR,
           "its compartment %s%s at %#llx (compartment.elf), while it worked on %s" MSG(3042), what,
           detail, (ull)v->compartment_rip, work);
    v->upcall_flags |= UPCALL_FAILED;
    vcpu_crash_compartment(v, work, COMPARTMENT_FAILED);
    return false;
}
