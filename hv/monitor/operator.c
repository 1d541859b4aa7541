/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ties the consoles and the operator's commands to the VMs: a view and a sink for each VM, the
 * calls behind list, start, stop, reset and stats. Reads a VM's counters from another CPU: they may
 * be a moment old, never wrong in kind. Must not wait for a VM.
 */
#include "hv/monitor/operator.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "hv/vm/plat.h"

typedef unsigned long long ull;

static ALIGNED(16) uint8_t operator_log_ring[CONSOLE_LOG_SIZE];
static struct vm **operator_vms;
static uint32_t operator_count;
static struct console_view operator_views[CONFIG_MAX_GUESTS];
static struct console_sink operator_sinks[CONFIG_MAX_GUESTS];

void operator_init_log(void) {
    console_init(operator_log_ring, sizeof(operator_log_ring));
}

/* Between a VM and its view. */

static bool operator_view_write(void *ctx, uint8_t byte) {
    return console_view_write(ctx, byte);
}

static void operator_view_drained(void *ctx) {
    console_input_ready(ctx);
}

static bool operator_input(void *ctx, uint8_t byte) {
    return vm_console_input(ctx, byte);
}

static void operator_output_room(void *ctx) {
    vm_console_ready(ctx);
}

static const char *operator_state(void *ctx) {
    const struct vm *vm = ctx;
    return vm_state_name(vm->state);
}

/* Behind the commands. */

static unsigned operator_vm_count(void) {
    return operator_count;
}

static const char *operator_vm_name(unsigned vm) {
    return operator_vms[vm]->name;
}

static const char *operator_vm_state(unsigned vm) {
    return vm_state_name(operator_vms[vm]->state);
}

static bool operator_active(const struct vm *vm) {
    return vm->state == VM_RUNNING || vm->state == VM_STARTING;
}

static enum status operator_start(unsigned vm) {
    if (operator_active(operator_vms[vm])) {
        return STATUS_EXISTS;
    }
    vm_command(operator_vms[vm], VM_COMMAND_START);
    return STATUS_OK;
}

static enum status operator_stop(unsigned vm) {
    if (!operator_active(operator_vms[vm])) {
        return STATUS_NOT_FOUND;
    }
    vm_command(operator_vms[vm], VM_COMMAND_STOP);
    return STATUS_OK;
}

static enum status operator_reset(unsigned vm) {
    vm_command(operator_vms[vm], VM_COMMAND_RESET);
    return STATUS_OK;
}

static void operator_list_row(unsigned n, char *buf, size_t size) {
    const struct vm *vm = operator_vms[n];
    char cpus[64], memory[24];
    uint64_t seconds = (plat_tsc() - vm->started_tsc) / plat_tsc_hz();
    size_t used = fmt_print(buf, size, "cpus %-8s memory %-6s",
                            cpu_set_format(&vm->plan->config->cpus, cpus, sizeof(cpus)),
                            fmt_size(memory, vm->plan->config->memory));
    if (vm->state == VM_RUNNING && used < size) {
        (void)fmt_print(buf + used, size - used, " up %llu s", (ull)seconds);
    }
}

static void operator_stats(unsigned n, void (*line)(void *ctx, const char *text), void *ctx) {
    static const char *const kinds[EXIT_KINDS] = {
        [EXIT_CPUID] = "cpuid",
        [EXIT_HYPERCALL] = "hypercall",
        [EXIT_RDMSR] = "rdmsr",
        [EXIT_WRMSR] = "wrmsr",
        [EXIT_IO] = "port",
        [EXIT_NESTED_FAULT] = "memory",
        [EXIT_INTERRUPT] = "host-interrupt",
        [EXIT_WINDOW] = "window",
        [EXIT_HLT] = "hlt",
        [EXIT_CR] = "control-register",
        [EXIT_XSETBV] = "xsetbv",
        [EXIT_EXCEPTION] = "exception",
        [EXIT_INVALID_OPCODE] = "invalid-opcode",
        [EXIT_PRIVILEGED] = "privileged",
        [EXIT_CACHE] = "cache",
    };
    const struct vm *vm = operator_vms[n];
    char text[80];
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *v = &vm->vcpus[i];
        const struct {
            const char *name;
            uint64_t count;
        } refused[] = {{"msr-denied", v->refused.msr},
                       {"port-denied", v->refused.port},
                       {"memory-denied", v->refused.memory},
                       {"instruction-denied", v->refused.instruction}};
        for (size_t r = 0; r < ARRAY_SIZE(refused); r++) {
            (void)fmt_print(text, sizeof(text), "vcpu%u %s %llu", i, refused[r].name,
                            (ull)refused[r].count);
            line(ctx, text);
        }
        for (unsigned k = 0; k < EXIT_KINDS; k++) {
            if (v->exits[k] != 0) {
                (void)fmt_print(text, sizeof(text), "vcpu%u exits %s %llu", i,
                                kinds[k] != NULL ? kinds[k] : "other", (ull)v->exits[k]);
                line(ctx, text);
            }
        }
    }
}

static const struct monitor_ops operator_ops = {
    .vm_count = operator_vm_count,
    .vm_name = operator_vm_name,
    .vm_state = operator_vm_state,
    .vm_start = operator_start,
    .vm_stop = operator_stop,
    .vm_reset = operator_reset,
    .vm_list_row = operator_list_row,
    .vm_stats = operator_stats,
};

static void operator_add_view(unsigned n) {
    struct vm *vm = operator_vms[n];
    void *ring = pool_alloc(&vm->pool, CONSOLE_RING_SIZE, PAGE_SIZE);
    ASSERT(ring != NULL); /* plan_budget_size() counts it in */
    operator_sinks[n] = (struct console_sink){.input = operator_input,
                                              .output_room = operator_output_room,
                                              .state = operator_state,
                                              .ctx = vm};
    (void)console_add_view(&operator_views[n], vm->name, ring, CONSOLE_RING_SIZE,
                           &operator_sinks[n]);
    vm->console = (struct vm_console){
        .write = operator_view_write, .drained = operator_view_drained, .ctx = &operator_views[n]};
}

void operator_init(struct vm **vms, uint32_t count) {
    operator_vms = vms;
    operator_count = count;
    unsigned first = 0;
    for (unsigned i = count; i-- > 0;) {
        first = vms[i]->plan->config->start_auto ? i + 1 : first;
    }
    for (unsigned i = 0; i < count; i++) {
        operator_add_view(i);
    }
    command_init(&operator_ops);
    if (first != 0) {
        console_focus_after_log(first);
    }
}
