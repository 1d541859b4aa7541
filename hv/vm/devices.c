/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The adapter between the core and a VM's devices, which belong into the guest's own compartment:
 * the only file of the core that knows hv/compartment/dev. What devices ask for is judged here as
 * if the guest had asked. Called by exit handlers, the run loop, the console and the operator.
 */
#include "hv/vm/devices.h"

#include "hv/compartment/dev/platform.h"
#include "hv/vm/vm.h"

#define BIOS_CALLS_SHOWN 8 /* after each start */

static void devices_msi(const struct dev_env *env, uint64_t address, uint32_t data) {
    vm_send_msi(env->owner, address, data);
}

/* The 8259's INTR is wired to LINT0 of the first CPU; see also vcpu_pending(). */
static void devices_intr(const struct dev_env *env, bool asserted) {
    struct vm *vm = env->owner;

    __atomic_store_n(&vm->intr, asserted, __ATOMIC_RELEASE);
    if (asserted) {
        vm_raise_lint0(vm);
    }
}

/* Clocks are timed by vCPU 0's CPU, whoever sets them. */
static void devices_reschedule(const struct dev_env *env) {
    struct vm *vm = env->owner;
    vcpu_request(&vm->vcpus[0].public, REQUEST_CLOCKS);
}

static bool devices_transmit(const struct dev_env *env, uint8_t byte) {
    return vm_transmit(env->owner, byte);
}

static void devices_stop(const struct dev_env *env, enum dev_stop why) {
    if (why == DEV_POWER_OFF) {
        vm_leave(env->owner, LEAVE_POWER_OFF, "powered off by the guest");
    } else {
        vm_leave(env->owner, LEAVE_RESET, "reset by the guest, starting again");
    }
}

static void devices_tell_sleep(struct vm *vm, uint32_t type) {
    uint32_t suppressed = 0;
    if (log_enabled(LOG_DEBUG) && log_limit_pass(&vm->log_limit, &suppressed)) {
        vm_log(vm, LOG_DEBUG,
               "asked for sleep state %u, which it does not have: awake at once (%u "
               "more not shown)",
               type, suppressed);
    }
}

static void devices_tell_bios_call(struct vm *vm, uint32_t word) {
    vm->public->bios_calls++;
    if (vm->bios_calls_left == 0) {
        return;
    }
    vm->bios_calls_left--;
    vm_log(vm, LOG_WARN, "calls a BIOS, which guests do not have: INT %xh, AX %04xh%s",
           word >> 16 & 0xff, word & 0xffff,
           vm->bios_calls_left == 0 ? "; from here on they are only counted, see stats" : "");
}

static void devices_event(const struct dev_env *env, enum dev_event event, uint32_t word) {
    if (event == DEV_BIOS_CALLED) {
        devices_tell_bios_call(env->owner, word);
    } else {
        devices_tell_sleep(env->owner, word);
    }
}

enum status vm_create_devices(struct vm *vm) {
    const struct dev_env outside = {
        .clock = &vm->clock,
        .owner = vm,
        .msi = devices_msi,
        .intr = devices_intr,
        .reschedule = devices_reschedule,
        .transmit = devices_transmit,
        .stop = devices_stop,
        .event = devices_event,
    };

    vm->platform = pool_alloc(&vm->pool, sizeof(*vm->platform));
    if (vm->platform == NULL) {
        return STATUS_NO_MEMORY;
    }
    platform_init(vm->platform, &outside);
    return STATUS_OK;
}

void vm_reset_devices(struct vm *vm) {
    platform_reset(vm->platform);
    vm->bios_calls_left = BIOS_CALLS_SHOWN;
}

/* A function for each space, so that the bus is no matter of computing. */
struct bus_answer vm_read_port(struct vm *vm, uint64_t port, unsigned size) {
    return platform_read(vm->platform, BUS_PORT, port, size);
}

bool vm_write_port(struct vm *vm, uint64_t port, unsigned size, uint64_t value) {
    return platform_write(vm->platform, BUS_PORT, port, size, value);
}

struct bus_answer vm_read_page(struct vm *vm, uint64_t gpa, unsigned size) {
    return platform_read(vm->platform, BUS_MEMORY, gpa, size);
}

bool vm_write_page(struct vm *vm, uint64_t gpa, unsigned size, uint64_t value) {
    return platform_write(vm->platform, BUS_MEMORY, gpa, size, value);
}

uint64_t vm_service_devices(struct vm *vm) {
    uint64_t due = platform_service(vm->platform, clock_now(&vm->clock));
    return due == 0 ? 0 : due - vm->clock.offset;
}

uint8_t vm_acknowledge_intr(struct vm *vm) {
    return platform_acknowledge(vm->platform);
}

void vm_end_interrupt(struct vm *vm, uint8_t vector) {
    platform_end_interrupt(vm->platform, vector);
}

void vm_press_power_button(struct vm *vm) {
    platform_press_power_button(vm->platform);
    vcpu_request(&vm->vcpus[0].public, REQUEST_CLOCKS);
}

bool vm_console_input(struct vm *vm, uint8_t byte) {
    return platform_receive(vm->platform, byte);
}

void vm_serve_console(struct vm *vm, uint32_t requests) {
    if ((requests & REQUEST_ROOM) != 0) {
        platform_drain(vm->platform);
    }
    if ((requests & REQUEST_TYPED) != 0) {
        vm_console_type(vm);
    }
}

void vm_print_devices(void) {
    static const char *const spaces[BUS_SPACES] = {[BUS_PORT] = "port", [BUS_MEMORY] = "page"};

    for (unsigned i = 0; i < platform_place_count; i++) {
        const struct platform_place *at = &platform_places[i];
        log_print(LOG_DEBUG, NULL, "%s %llx-%llx  %s", spaces[at->space], (ull)at->base,
                  (ull)(at->base + at->size - 1), at->name);
    }
}
