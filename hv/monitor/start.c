/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of the hypervisor proper, as one list: plan, VMs, audit, seal, consoles. After
 * plat_seal() nothing here runs again but the operator's callbacks. Called by arch/ once the
 * machine is ours.
 */
#include "hv/exit/exit.h"
#include "hv/exit/policy.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/monitor/audit_vm.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "hv/monitor/keys.h"
#include "hv/monitor/map.h"
#include "hv/monitor/papers.h"
#include "hv/vm/health.h"
#include "hv/vm/plat.h"

static struct vm_public start_vms[CONFIG_MAX_GUESTS];

static void start_report(const char *text) {
    log_error("partition: %s" MSG(5014), text);
}

/* Channels are told of where they are all told. */
static void start_log_window(const struct plan_vm *p, const struct plan_window *w) {
    static const char *const kinds[] = {[PLAN_IMAGE] = "disk, read-only",
                                        [PLAN_PMEM] = "image in memory, read-only",
                                        [PLAN_STORE] = "disk, its own pages",
                                        [PLAN_DEVICE] = "of a device, its interrupts"};
    char size[24];

    if (w->kind != PLAN_OURS && w->kind != PLAN_THEIRS) {
        log_info("  %-16s %-10s %-8s %#llx-%#llx (%s)", p->config->name, "",
                 fmt_size(size, w->size), (ull)w->hpa.v, (ull)(w->hpa.v + w->size - 1),
                 kinds[w->kind]);
    }
}

/* Who owns what, once, as a table. */
static void start_log_partition(const struct plan *plan) {
    char cpus[64], size[24];
    log_info("partition:");
    log_info("  %-16s %-10s %-8s %s", "owner", "cpus", "memory", "host memory");
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *p = &plan->vms[i];
        cpu_set_format(&p->config->cpus, cpus, sizeof(cpus));
        for (const struct plan_region *r = p->regions; r < p->regions + p->region_count; r++) {
            log_info("  %-16s %-10s %-8s %#llx-%#llx", p->config->name, cpus,
                     fmt_size(size, r->size), (ull)r->hpa.v, (ull)(r->hpa.v + r->size - 1));
        }
        for (const struct plan_window *w = p->windows; w < p->windows + p->window_count; w++) {
            start_log_window(p, w);
        }
        log_info("  %-16s %-10s %-8s %#llx-%#llx (tables of %s)", "bulkhead", "",
                 fmt_size(size, p->budget_size), (ull)p->budget_base.v,
                 (ull)(p->budget_base.v + p->budget_size - 1), p->config->name);
    }
    for (const struct plan_channel *c = plan->channels; c < plan->channels + plan->channel_count;
         c++) {
        log_info("  %-16s %-10s %-8s %#llx-%#llx (%s, %s)", "channel", "",
                 fmt_size(size, 2 * CHANNEL_HALF), (ull)c->base.v,
                 (ull)(c->base.v + 2 * CHANNEL_HALF - 1), plan->vms[c->vms[0]].config->name,
                 plan->vms[c->vms[1]].config->name);
    }
}

/* What firmware left there is no guest's. Afterwards it holds what two guests tell each other. */
static void start_scrub_channels(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->channel_count; i++) {
        hpa_t base = plan->channels[i].base;
        plat_open(base, 2 * CHANNEL_HALF);
        memset(phys_pointer(base), 0, 2 * CHANNEL_HALF);
        plat_close(base, 2 * CHANNEL_HALF);
    }
}

/* Its records are mapped here for so long. */
static void start_create_vm(const struct boot_info *info, uint32_t number) {
    const struct plan_vm *plan = &info->plan->vms[number];
    struct vm *vm;

    plat_open(plan->budget_base, plan->budget_size);
    if (vm_create(plan, &start_vms[number], &vm) != STATUS_OK) {
        plat_panic("VM %s cannot be created" MSG(5101), plan->config->name);
    }
    if (audit_vm(info, vm) != STATUS_OK) {
        plat_panic("audit: the tables of %s do not match the plan" MSG(5102), vm->name);
    }
    map_add(info, number, vm);
    if (vm_keep_plan(vm) != STATUS_OK) {
        plat_panic("VM %s cannot keep its plan" MSG(5103), plan->config->name);
    }
    plat_add_vm(plan, &start_vms[number], &vm->pool);
    plat_close(plan->budget_base, plan->budget_size);
}

/* The focus goes to the first guest that starts by itself. */
static void start_consoles(const struct plan *plan) {
    unsigned focus = 0;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        console_add_vm(&start_vms[i]);
        focus = focus == 0 && plan->vms[i].config->start_auto ? i + 1 : focus;
    }
    console_start(focus);
}

void hv_start(const struct boot_info *info) {
    log_info("every guest its own compartment");
    if (hvm_probe(info) != STATUS_OK) {
        plat_panic("this CPU offers no virtualization that Bulkhead can use" MSG(5104));
    }
    if (info->plan == NULL || plan_check(info, info->plan, start_report) != STATUS_OK) {
        plat_panic("the partition that boot/ made breaks the rules: a bug, or the machine "
                   "changed" MSG(5105));
    }
    start_scrub_channels(info->plan);
    for (uint32_t i = 0; i < info->plan->vm_count; i++) {
        start_create_vm(info, i);
    }
    vm_audit_again = audit_vm_again;
    start_log_partition(info->plan);
    policy_print();
    health_init(info);
    papers_init(info);
    keys_init(info->config.keyboard);
    command_init(start_vms, info->plan->vm_count);
    if ((info->inputs & BOOT_INPUT_USABLE) == 0) {
        log_warn("nobody can type here: no serial port answers, no keyboard was found" MSG(6001));
        console_share();
    }
    start_consoles(info->plan);
    plat_seal();
    log_info("audit passed, machine divided between %u guests", info->plan->vm_count);
}

void hv_cpu_main(unsigned cpu) {
    struct vcpu *v = vcpu_of_cpu[cpu];
    if (hvm->cpu_on() != STATUS_OK) {
        log_error("cpu %u stays out of use: %s could not be switched on" MSG(6002), cpu, hvm->name);
    } else if (v != NULL) {
        cpuid_init(v); /* of this CPU: not all need be alike */
        life_run(v);
    }
    life_stay_out(v);
}
