/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the making of a VM: memory, nested tables, compartment, vCPUs. Everything comes from the
 * VM's own budget and is made once.
 */
#include "hv/vm/vm.h"

#include "hv/abi.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/memory.h"
#include "hv/vm/pci_device.h"
#include "hv/vm/plat.h"

/* Images that the guest has in its memory: it may run what is in them, and writes nothing. */
static enum status vm_map_images(struct vm *vm) {
    enum status s = STATUS_OK;

    for (uint32_t i = 0; s == STATUS_OK && i < vm->plan->window_count; i++) {
        const struct plan_window *w = &vm->plan->windows[i];
        if (w->kind == PLAN_PMEM) {
            s = pagetable_map(&vm->npt, w->gpa.v, w->hpa, w->size, PAGE_READ | PAGE_EXECUTE,
                              PAGE_WB);
        }
    }
    return s;
}

/* Tables for BARs at gpa: they stay empty until a guest puts one there. */
static enum status vm_make_tables(struct vm *vm, uint64_t gpa, uint64_t size) {
    struct pagetable t = pci_tables(vm, gpa);
    enum status s = pagetable_map(&t, gpa, HPA(0), size, PAGE_READ, PAGE_UC);

    return s != STATUS_OK ? s : pagetable_unmap(&t, gpa, size);
}

/* Made once, and shared with the fork below, for no entry above them ever changes. */
static enum status vm_make_device_tables(struct vm *vm) {
    enum status s = vm_make_tables(vm, PCI_MEMORY, PCI_MEMORY_SIZE);

    return s != STATUS_OK ? s : vm_make_tables(vm, vm->plan->pci_high.v, vm->plan->pci_high_size);
}

static enum status vm_create_memory(struct vm *vm) {
    const struct plan_vm *plan = vm->plan;
    vm->mem = (struct gmem){.regions = plan->regions, .region_count = plan->region_count};
    enum status s = pagetable_init(&vm->npt, hvm->npt_format, &vm->pool, hvm->npt_max_level);
    for (uint32_t i = 0; s == STATUS_OK && i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        *(r->gpa.v < PLAN_HIGH_RAM ? &vm->low_ram : &vm->high_ram) += r->size;
        s = pagetable_map(&vm->npt, r->gpa.v, r->hpa, r->size,
                          PAGE_READ | PAGE_WRITE | PAGE_EXECUTE, PAGE_WB);
    }
    if (s == STATUS_OK) {
        s = vm_map_images(vm);
    }
    if (s == STATUS_OK && plan->pci_count != 0) {
        s = vm_make_device_tables(vm);
    }
    if (s == STATUS_OK && (hvm->features & HVM_APIC) != 0) {
        vm->xapic_page = pool_alloc(&vm->pool, PAGE_SIZE);
        s = vm->xapic_page == NULL ? STATUS_NO_MEMORY
                                   : pagetable_fork(&vm->npt, &vm->npt_xapic, &vm->pool);
    }
    return s != STATUS_OK || vm->xapic_page == NULL
               ? s
               : pagetable_map(&vm->npt_xapic, LAPIC_BASE, phys_address(vm->xapic_page), PAGE_SIZE,
                               PAGE_READ | PAGE_WRITE, PAGE_WB);
}

/* Only vCPU 0 hears the 8259s. */
static void vm_find_exchanges(struct vm *vm) {
    static const uint32_t never = 0;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].exchange = compartment_exchange(&vm->vcpus[i]);
        vm->vcpus[i].intr = &never;
    }
    vm->shared = &vm->vcpus[0].exchange->vm;
    vm->vcpus[0].intr = &vm->shared->intr;
}

static enum status vm_create_vcpus(struct vm *vm) {
    enum status s = STATUS_OK;
    for (uint32_t i = 0; s == STATUS_OK && i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        v->vm = vm;
        v->public.cpu = vm->plan->cpus[i];
        vm->public->vcpus[i] = &v->public;
        v->index = i;
        v->cpu = vm->plan->cpus[i];
        v->lapic = (struct lapic){.ops = &vcpu_lapic_ops,
                                  .ctx = v,
                                  .clock = vm->clock,
                                  .hardware = (hvm->features & HVM_APIC) != 0,
                                  .posting = (hvm->features & HVM_POSTING) != 0};
        v->lapic.descriptor.notify = plat_post_word(v->cpu);
        recorder_init(&v->recorder);
        v->saved = pool_alloc(&vm->pool, sizeof(*v->saved));
        s = v->saved == NULL ? STATUS_NO_MEMORY : hvm->vcpu_init(v);
        vcpu_of_cpu[v->cpu] = v;
        vm_of_cpu[v->cpu] = vm->public;
    }
    if (s == STATUS_OK) {
        s = compartment_create(vm);
    }
    if (s == STATUS_OK) {
        vm_find_exchanges(vm);
        s = vm_pci_create(vm);
    }
    return s;
}

/* What boot/ gave of it, in its records. */
struct vm_papers {
    struct plan_vm plan;
    struct config_guest config;
    struct boot_image kernel, initrd;
};

enum status vm_keep_plan(struct vm *vm) {
    const struct plan_vm *plan = vm->plan;
    struct vm_papers *papers = pool_alloc(&vm->pool, sizeof(*papers));
    if (papers == NULL) {
        return STATUS_NO_MEMORY;
    }
    papers->plan = *plan;
    papers->config = *plan->config;
    papers->kernel = *plan->kernel;
    papers->plan.config = &papers->config;
    papers->plan.kernel = &papers->kernel;
    if (plan->initrd != NULL) {
        papers->initrd = *plan->initrd;
        papers->plan.initrd = &papers->initrd;
    }
    vm->kept = &papers->plan;
    vm->plan = vm->kept;
    vm->mem.regions = papers->plan.regions;
    return STATUS_OK;
}

static void vm_fill_public(struct vm_public *public, const struct plan_vm *plan) {
    const struct config_guest *config = plan->config;

    *public = (struct vm_public){
        .cpus = config->cpus,
        .memory = config->memory,
        .vcpu_count = plan->cpu_count,
        .hears = public,
        .wire_count = plan->devices.net_count,
        .disk_count = plan->devices.disk_count,
        .has_vsock = plan->devices.vsock.peer_count != 0,
    };
    for (uint32_t i = 0; i < plan->devices.net_count; i++) {
        const char *wire = config->nets[i].wire;
        public->links |= plan->devices.nets[i].link ? BIT32(i) : 0;
        (void)str_copy_n(public->wires[i], sizeof(public->wires[i]), wire, strlen(wire));
    }
    (void)str_copy_n(public->name, sizeof(public->name), config->name, strlen(config->name));
}

enum status vm_create(const struct plan_vm *plan, struct vm_public *public, struct vm **out) {
    struct pool pool;
    pool_init(&pool, plan->config->name, plan->budget_base, plan->budget_size);
    ASSERT(plan->cpu_count != 0 && plan->cpu_count <= PLAN_MAX_VCPUS); /* plan_check() saw to it */
    struct vm *vm = pool_alloc(&pool, sizeof(*vm));
    if (vm == NULL) {
        return STATUS_NO_MEMORY;
    }
    vm->pool = pool;
    vm->plan = plan;
    vm->public = public;
    vm_fill_public(public, plan);
    vm->vcpu_count = plan->cpu_count;
    vm->log_limit.per_second = plan->config->limits[LIMIT_LOG];
    (void)str_copy_n(vm->name, sizeof(vm->name), plan->config->name, strlen(plan->config->name));
    enum status s = vm_create_memory(vm);
    vm->clock = (struct dev_clock){plat_tsc, 0 - plat_tsc(), plat_tsc_hz(), plat_wall_seconds()};
    if (s == STATUS_OK) {
        s = vm_create_vcpus(vm);
    }
    if (s != STATUS_OK) {
        vm_log(vm, LOG_ERROR, "cannot be created: %s" MSG(3022), status_name(s));
    } else {
        *out = vm;
    }
    return s;
}

/* A file of boot/'s, which is mapped for that moment. Host interrupts are taken in between: it may
 * have gigabytes. */
static enum status vm_load_file(struct vm *vm, uint64_t gpa, hpa_t from, uint64_t size) {
    enum status s = STATUS_OK;
    for (uint64_t done = 0; s == STATUS_OK && done < size; done += PLAT_WINDOW_SIZE) {
        uint64_t piece = min_u64(size - done, PLAT_WINDOW_SIZE);
        hpa_t at = HPA(from.v + done);
        const void *window = plat_window_open(WINDOW_READ, at, piece);
        s = vm_memory_write(vm, GPA(gpa + done), window, piece);
        plat_window_close(WINDOW_READ, at, piece);
        plat_take_interrupts();
    }
    return s;
}

/* Texts behind struct bulkhead_start, each with its NUL; the command line may grow. */
static enum status vm_load_texts(struct vm *vm, struct bulkhead_start *start) {
    const struct config_guest *config = vm->plan->config;
    const struct {
        const char *text;
        struct bulkhead_piece *piece;
    } texts[] = {
        {config->initrd, &start->initrd_path}, {config->name, &start->name},
        {vm->plan->serial, &start->serial},    {config->asset_tag, &start->asset_tag},
        {config->cmdline, &start->cmdline},
    };
    uint64_t gpa = BULKHEAD_START_GPA + sizeof(*start);
    enum status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < ARRAY_SIZE(texts); i++) {
        uint64_t size = strlen(texts[i].text);
        *texts[i].piece = (struct bulkhead_piece){gpa, size};
        s = vm_memory_write(vm, GPA(gpa), texts[i].text, size + 1);
        gpa += size + 1;
    }
    return s;
}

#define NOWHERE ALIGN_DOWN(UINT64_MAX / 2, PAGE_SIZE) /* no guest has memory there */

static uint64_t vm_place_below(uint64_t top, uint64_t size) {
    return size <= top ? ALIGN_DOWN(top - size, PAGE_SIZE) : NOWHERE;
}

enum status vm_load(struct vm *vm) {
    const struct boot_image *kernel = vm->plan->kernel, *initrd = vm->plan->initrd;
    struct bulkhead_start start = {
        .magic = BULKHEAD_START_MAGIC,
        .size = sizeof(start),
        .vcpu_count = vm->vcpu_count,
        .low_ram = vm->low_ram,
        .high_ram = vm->high_ram,
        .kernel.size = kernel->size,
        .initrd.size = initrd != NULL ? initrd->size : 0,
        .kernel_type = vm->plan->config->type,
    };
    memcpy(start.uuid, vm->plan->uuid, sizeof(start.uuid));
    enum status s = vm_load_texts(vm, &start);
    uint64_t top = vm->low_ram - BULKHEAD_TABLES_SIZE;
    start.initrd.gpa = vm_place_below(top, start.initrd.size);
    start.kernel.gpa = vm_place_below(start.initrd.gpa, kernel->size);
    if (s == STATUS_OK) {
        s = vm_load_file(vm, start.kernel.gpa, kernel->base, kernel->size);
    }
    if (s == STATUS_OK && initrd != NULL) {
        s = vm_load_file(vm, start.initrd.gpa, initrd->base, initrd->size);
    }
    return s != STATUS_OK ? s : vm_memory_write(vm, GPA(BULKHEAD_START_GPA), &start, sizeof(start));
}
