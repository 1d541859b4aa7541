/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what the core asks a VM's devices, which are in its compartment. Called by exit handlers,
 * the run loop, the console and the operator.
 */
#include "hv/vm/devices.h"

#include "hv/vm/upcall.h"

#define CPUID_1_ECX_RDRAND BIT32(30)

/* Without RDRAND: what no guest chooses, and no other start has the same. */
static void vm_seed(struct vm *vm) {
    struct exchange_vm *shared = vm->shared;
    uint32_t leaf[4];

    plat_cpuid(1, 0, leaf);
    shared->has_rdrand = (leaf[2] & CPUID_1_ECX_RDRAND) != 0;
    shared->seed[0] = plat_tsc();
    shared->seed[1] = plat_wall_seconds();
    shared->seed[2] = vm->clock.offset;
    shared->seed[3] = plat_tsc();
    if (shared->has_rdrand == 0 && !vm->quiet) {
        vm_log(vm, LOG_INFO, "its entropy device has clocks alone to draw on: no RDRAND here");
    }
}

bool vm_start_devices(struct vm *vm) {
    struct exchange_vm *shared = vm->shared;

    shared->vcpus = vm->vcpu_count;
    shared->clock_offset = vm->clock.offset;
    shared->tsc_hz = vm->clock.tsc_hz;
    shared->wall_at_zero = vm->clock.wall_at_zero;
    shared->low_ram = vm->low_ram;
    shared->high_ram = vm->high_ram;
    shared->phys_bits = vm->phys_bits;
    vm->shared->links = __atomic_load_n(&vm->public->links, __ATOMIC_SEQ_CST);
    memset(&shared->counts, 0, sizeof(shared->counts));
    vm_seed(vm);
    vm->console_taken = 0;
    vm->vcpus[0].bell_due = vm->vcpus[0].bell_least = 0;
    vm->vcpus[0].bell_waits = false;
    __atomic_store_n(&vm->vcpus[0].public.rung, 0, __ATOMIC_SEQ_CST); /* by whom it was before */
    vm->bios_calls_left = VM_BIOS_CALLS_SHOWN;
    return upcall(&vm->vcpus[0], NULL, UPCALL_START);
}

/* With no exit of the guest's as its reason: what is given, if it was answered, else otherwise. */
static uint64_t devices_ask(struct vcpu *v, enum upcall what, uint64_t argument,
                            uint64_t otherwise) {
    v->exchange->argument = argument;
    return upcall(v, NULL, what) ? EXCHANGE_READ(v->exchange->argument) : otherwise;
}

uint64_t vm_service_devices(struct vm *vm) {
    uint64_t due = devices_ask(&vm->vcpus[0], UPCALL_SERVICE, 0, 0);
    return due == 0 ? 0 : due - vm->clock.offset;
}

int vm_acknowledge_intr(struct vm *vm) {
    uint64_t vector = devices_ask(&vm->vcpus[0], UPCALL_ACKNOWLEDGE, 0, UINT64_MAX);
    return vector == UINT64_MAX ? -1 : (int)(uint8_t)vector;
}

/* In the middle of an upcall, which has written to the local APIC, its end is waited for. */
void device_end_interrupt(struct vcpu *v, uint8_t vector) {
    if ((v->upcall_flags & UPCALL_RUNS) != 0) {
        v->ended[vector / 64] |= BIT(vector % 64);
        v->upcall_flags |= UPCALL_ENDS;
    } else {
        (void)devices_ask(v, UPCALL_END, vector, 0);
    }
}

void vm_press_power_button(struct vm *vm) {
    (void)devices_ask(&vm->vcpus[0], UPCALL_POWER, 0, 0);
}

void vm_serve_channels(struct vm *vm) {
    vm->shared->links = __atomic_load_n(&vm->public->links, __ATOMIC_SEQ_CST);
    (void)devices_ask(&vm->vcpus[0], UPCALL_CHANNELS, 0, 0);
}

/* While it does not run there is nobody to type to, and nothing to wait for. */
bool vm_console_input(struct vm *vm, uint8_t byte) {
    return !vm->live || devices_ask(&vm->vcpus[0], UPCALL_TYPE, byte, 0) != 0;
}

void vm_serve_console(struct vm *vm, uint32_t requests) {
    struct vcpu *first = &vm->vcpus[0];

    if ((requests & REQUEST_ROOM) != 0 && vm->live) {
        first->upcall_exit = NULL; /* the last one is over, and so is its struct */
        first->upcall = UPCALL_DRAIN;
        if (told_take(first, TOLD_BYTES)) {
            (void)devices_ask(first, UPCALL_DRAIN, 0, 0);
        }
    }
    if ((requests & REQUEST_TYPED) != 0) {
        vm_console->type(vm);
    }
}
