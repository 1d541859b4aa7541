/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reaches a vCPU from elsewhere: request bits, interrupt messages and the end of the run. Any
 * CPU may call; what becomes of it is decided by vcpu_service() on the vCPU's own.
 */
#include "hv/lib/str.h"
#include "hv/vm/lapic_regs.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

SEALED struct vcpu *vcpu_of_cpu[CONFIG_MAX_CPUS];
SEALED struct vm_public *vm_of_cpu[CONFIG_MAX_CPUS];

/*
 * Who finds a request there need not kick: that CPU was kicked for that one, or set it itself and
 * has not entered the guest since. So a guest's messages are no flood of kicks that would hold back
 * the interrupts of its sibling's CPU.
 */
void vcpu_request(struct vcpu_public *p, uint32_t bits) {
    uint32_t before = __atomic_fetch_or(&p->requests, bits, __ATOMIC_SEQ_CST);
    if ((bits & before & REQUEST_NMI) != 0) {
        __atomic_fetch_or(&p->requests, REQUEST_NMI_AGAIN, __ATOMIC_SEQ_CST);
    }
    if (before == 0 && p->cpu != plat_cpu()) {
        plat_kick(p->cpu);
    }
}

static unsigned order_count(uint64_t queue) {
    unsigned count = 0;
    for (; queue != 0; queue >>= ORDER_BITS) {
        count++;
    }
    return count;
}

/* Whatever was asked for before, after a kill it is stopped: so that one waits for nothing. False
 * if there is no room. */
static bool order_put(uint64_t *queue, enum vm_command command) {
    if (command == VM_COMMAND_NONE) {
        return true;
    }
    if (command == VM_COMMAND_KILL) {
        *queue = (uint64_t)command;
        return true;
    }
    if (*queue >> ORDER_LAST != 0) {
        return false;
    }
    *queue |= (uint64_t)command << ORDER_BITS * order_count(*queue);
    return true;
}

bool vm_command_both(struct vm_public *p, enum vm_command command, enum vm_command then) {
    uint64_t queue = __atomic_load_n(&p->orders, __ATOMIC_RELAXED);
    uint64_t next;

    do {
        next = queue;
        if (!order_put(&next, command) || !order_put(&next, then)) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&p->orders, &queue, next, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    vcpu_request(p->vcpus[0], REQUEST_ORDER);
    return true;
}

void vcpu_ring(struct vcpu_public *p) {
    if (__atomic_exchange_n(&p->rung, 1, __ATOMIC_SEQ_CST) == 0) {
        vcpu_request(p, REQUEST_CHANNELS);
    }
}

void vm_ring(const struct vm *vm, unsigned channel) {
    const struct vm_public *place = vm_of_cpu[vm->plan->bell_cpus[channel]];
    vcpu_ring(__atomic_load_n(&place->hears, __ATOMIC_ACQUIRE)->vcpus[0]);
}

/* The bell has its devices look: see vm_serve_channels(). */
void vm_set_link(struct vm_public *p, unsigned net, bool up) {
    if (up) {
        __atomic_fetch_or(&p->links, BIT32(net), __ATOMIC_SEQ_CST);
    } else {
        __atomic_fetch_and(&p->links, ~(uint32_t)BIT32(net), __ATOMIC_SEQ_CST);
    }
    vcpu_ring(p->vcpus[0]);
}

bool vm_leave(struct vm *vm, enum vm_leave leave, const char *reason) {
    enum vm_leave none = LEAVE_NONE;
    bool first = __atomic_compare_exchange_n(&vm->leave, &none, leave, false, __ATOMIC_SEQ_CST,
                                             __ATOMIC_RELAXED);

    if (first) {
        (void)str_copy_n(vm->leave_reason, sizeof(vm->leave_reason), reason, strlen(reason));
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i].public, REQUEST_LEAVE);
    }
    return first;
}

/* In a run one vCPU alone is the first to leave, so no two keep their records at once. */
static void vm_crash(struct vcpu *v, struct vm_crash *crash, const char *reason) {
    crash->us = log_now_us();
    crash->vcpu = v->index;
    (void)str_copy_n(crash->reason, sizeof(crash->reason), reason, strlen(reason));
    if (vm_leave(v->vm, LEAVE_CRASH, reason)) {
        vm_keep_crash(v->vm->public, crash);
    }
}

void vcpu_crash(struct vcpu *v, const char *work, const char *reason) {
    struct vm_crash crash = {.rip = hvm->get(v, HVM_RIP), .work = work};

    vm_crash(v, &crash, reason);
}

void vcpu_crash_compartment(struct vcpu *v, const char *work, const char *reason) {
    struct vm_crash crash = {.rip = v->compartment_rip, .compartment = true, .work = work};

    vm_crash(v, &crash, reason);
}

/* By delivery mode. SMI is not delivered to guests. */
static const uint8_t vm_requests[8] = {
    REQUEST_EVENT, REQUEST_EVENT, 0, 0, REQUEST_NMI, REQUEST_INIT, REQUEST_SIPI, REQUEST_EVENT};

/*
 * The CPU may be in its guest, and is to stay there. Where it has been asked for something else it
 * leaves anyway: then an NMI that was sent before goes in before this.
 */
static bool vm_post_to(struct vcpu *v, const struct apic_message *m) {
    struct vcpu_public *p = &v->public;
    bool notify = false;

    if (!apic_delivers_vector(m->delivery_mode) || m->level || p->cpu == plat_cpu() ||
        __atomic_load_n(&p->requests, __ATOMIC_SEQ_CST) != 0 ||
        !lapic_post(&v->lapic, m->vector, &notify)) {
        return false;
    }
    if (notify) {
        plat_post(p->cpu);
    }
    return true;
}

/* Out of its guest this CPU was told to look into its vCPU's descriptor. */
void hv_posted(void) {
    struct vcpu *v = vcpu_of_cpu[plat_cpu()];
    if (v != NULL) {
        vcpu_request(&v->public, REQUEST_EVENT);
    }
}

static void vm_deliver_to(struct vcpu *v, const struct apic_message *m) {
    if (m->delivery_mode == APIC_INIT && v->index == 0) {
        vm_leave(v->vm, LEAVE_RESET, "reset by INIT to its first CPU, starting again" MSG(3003));
        return;
    }
    if (m->delivery_mode == APIC_INIT) { /* a startup message before it was for one that runs */
        __atomic_fetch_and(&v->public.requests, ~(uint32_t)REQUEST_SIPI, __ATOMIC_SEQ_CST);
    }
    if (m->delivery_mode == APIC_SIPI) {
        __atomic_store_n(&v->sipi_vector, m->vector, __ATOMIC_RELAXED);
    }
    if (v->lapic.posting && vm_post_to(v, m)) {
        return;
    }
    if (!apic_delivers_vector(m->delivery_mode) || lapic_accept(&v->lapic, m->vector, m->level)) {
        vcpu_request(&v->public, vm_requests[m->delivery_mode]);
    }
}

/* Lowest priority: those named take it in turn. */
void vm_deliver(struct vm *vm, const struct vcpu *sender, const struct apic_message *m) {
    uint32_t destination = m->shorthand == APIC_NAMED ? m->destination : UINT32_MAX;
    bool lowest = m->delivery_mode == APIC_LOWEST;
    uint32_t first = lowest ? __atomic_load_n(&vm->next_lowest, __ATOMIC_RELAXED) : 0;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[(first + i) % vm->vcpu_count];
        if (lapic_matches(&v->lapic, destination, m->logical) &&
            (m->shorthand != APIC_OTHERS || v != sender) && (!lowest || lapic_listens(&v->lapic))) {
            vm_deliver_to(v, m);
            if (lowest) {
                __atomic_store_n(&vm->next_lowest, v->index + 1, __ATOMIC_RELAXED);
                return;
            }
        }
    }
}

/* SDM "Message Signalled Interrupts". The end of a level is nothing: local APICs see its begin. */
void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data) {
    struct apic_message m = apic_message_of_msi(address, data);
    if (address >> 20 == MSI_ADDRESS >> 20 && (!m.level || (data & MSI_ASSERT) != 0)) {
        vm_deliver(vm, NULL, &m);
    }
}

void vm_raise_lint0(struct vm *vm) {
    struct apic_message m = lapic_lint0(&vm->vcpus[0].lapic);
    vm_deliver_to(&vm->vcpus[0], &m);
}
