/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the core's side of a guest's start: asks the compartment until it is done, and says in words
 * what is wrong with a kernel. Parses nothing and sets no register: the guest's own firmware reads
 * what the compartment left.
 */
#include "hv/exit/load.h"

#include "hv/abi.h"
#include "hv/exit/policy.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall.h"

/* By enum load_leaf. */
static const uint32_t load_leaves[LOAD_LEAVES] = {
    [LOAD_LEAF_VENDOR] = 0,
    [LOAD_LEAF_MODEL] = 1,
    [LOAD_LEAF_BRAND] = 0x80000002,
    [LOAD_LEAF_BRAND + 1] = 0x80000003,
    [LOAD_LEAF_BRAND + 2] = 0x80000004,
    [LOAD_LEAF_TIMING] = BULKHEAD_CPUID_TIMING,
};

/* What is wrong with a kernel, as in "the kernel WHAT". */
static const char *const load_faults[LOAD_STATUSES] = {
    [LOAD_UNKNOWN_FORM] = "was handed over in a form that its compartment does not know",
    [LOAD_UNKNOWN_KIND] = "is of no kind that its compartment knows",
    [LOAD_NO_LINUX] = "is no complete bzImage of boot protocol 2.02 or later",
    [LOAD_NO_ROOM] = "and its initrd do not fit into memory",
    [LOAD_LONG_LINE] = "takes no command line of this length",
    [LOAD_NO_ELF] = "is no complete 64-bit x86 ELF executable",
    [LOAD_OUTSIDE] = "wants to lie outside of memory, or above its file",
    [LOAD_OVERLAP] = "has segments that overlap",
    [LOAD_NO_HEADER] = "has no Multiboot header",
    [LOAD_NO_SCREEN] = "asks for a video mode or more, which this machine has not",
    [LOAD_NO_MULTIBOOT] = "is no complete Multiboot kernel",
};

/* More calls than all memory written twice takes are not for the guest's good. */
#define CALLS_MOST(ram) (2 * (ram) / LOAD_PIECE + 64)

#define LOOKS_PER_SECOND 100u /* while it waits for something */

static void load_tell_cpuid(struct vcpu *v) {
    for (unsigned i = 0; i < LOAD_LEAVES; i++) {
        const struct cpuid_entry *e = cpuid_find(&v->cpuid, load_leaves[i], 0);
        memcpy(v->exchange->load.cpuid[i], e->out, sizeof(e->out));
    }
}

/* What the compartment has answered at last. */
static void load_tell(struct vcpu *v, uint32_t status) {
    if (status == LOAD_MORE) {
        (void)upcall_refuse(v, "does not get done", "");
    } else if (status >= LOAD_STATUSES || load_faults[status] == NULL) {
        (void)upcall_refuse(v, "has no answer that means something", "");
    } else {
        vm_log(v->vm, LOG_WARN, "cannot be started: the kernel %s" MSG(3047), load_faults[status]);
        vcpu_crash(v, "none", "its kernel cannot be started" MSG(3046));
    }
}

/* One upcall; LOAD_NO_ANSWER if the VM is leaving. */
static uint32_t load_ask(struct vcpu *v) {
    struct exchange_load *e = &v->exchange->load;

    plat_take_interrupts();
    vm_take_orders(v->vm);
    if (v->vm->leave != LEAVE_NONE) {
        return LOAD_NO_ANSWER;
    }
    plat_clear_traces();
    e->status = LOAD_NO_ANSWER;
    return upcall(v, NULL, UPCALL_LOAD) ? EXCHANGE_READ(e->status) : (uint32_t)LOAD_NO_ANSWER;
}

static bool load_goes_on(uint32_t status) {
    return status == LOAD_MORE || status == LOAD_WAITS;
}

/* Others have to do something first. */
static void load_rest(void) {
    plat_timer_set(plat_tsc() + plat_tsc_hz() / LOOKS_PER_SECOND);
    plat_wait();
    plat_timer_set(0);
}

bool load_guest(struct vcpu *v) {
    uint32_t status = LOAD_MORE;
    bool told = false;

    load_tell_cpuid(v);
    for (uint64_t calls = CALLS_MOST(v->vm->low_ram); calls > 0 && load_goes_on(status);) {
        status = load_ask(v);
        if (status == LOAD_WAITS) { /* as long as the operator does not end it */
            if (!told) {
                vm_log(v->vm, LOG_INFO, "waits for a disk that another guest serves");
                told = true;
            }
            load_rest();
        } else {
            calls--;
        }
    }
    if (status != LOAD_DONE && v->vm->leave == LEAVE_NONE) {
        load_tell(v, status);
    }
    return status == LOAD_DONE;
}
