/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own page tables. Nothing is both writable and executable, every page is at its
 * own physical address, and there is no map of all memory:
 *
 *   boot tables   until the machine is divided: the core, and what boot/ left, read-only
 *   core tables   text, constants, what is sealed, data, the heap, the devices in use
 *   a VM's        the core's and its records
 *   a CPU's       its VM's or the core's, its own stacks and its windows
 *
 * Each CPU goes to its own tables for good before it runs a guest, and looks at them then. Must not
 * know what lies in a VM's memory. Sources: Intel SDM "4-Level Paging", "Page Attribute Table
 * (PAT)", "Control Registers".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/mem/host_audit.h"
#include "hv/plan/kept_log.h"
#include "hv/vm/public.h"

/* Above all that is at its own address: bit 47 is set, so as a pointer it has all bits above. */
#define WINDOW_ADDRESS (PAGETABLE_SPACE - GIB)
#define WINDOW_SIZE    (2 * MIB) /* a table of its own for each */
#define CANONICAL_HIGH (~(PAGETABLE_SPACE - 1))

/* Pieces beside those of CPUs and VMs: the image's, the devices', and what lies between all. */
#define PIECES_FIXED   80u
#define PIECES_PER_CPU (3 * (unsigned)STACK_COUNT)
#define PIECES_PER_VM  (1u + 2 * PLAN_MAX_VCPUS + PLAN_MAX_REGIONS + PLAN_MAX_WINDOWS)

static SEALED struct pagetable boot_tables, core_tables;

/* Every piece that some CPU maps, for builder and audit. */
static SEALED struct host_piece *pieces;
static SEALED unsigned piece_count, piece_max;

/* The VMs that plat_add_vm() was told of. pool lies in the VM's records. */
static SEALED unsigned vm_count;
static SEALED struct paging_vm {
    const char *name;
    const struct plan_vm *plan; /* of boot_info: only until plat_seal() is through */
    struct pool *pool;
} vms[CONFIG_MAX_GUESTS];

static const struct {
    unsigned access;
    enum page_type type;
} page_of_rights[HOST_RIGHTS] = {
    [HOST_RX] = {(unsigned)PAGE_READ | (unsigned)PAGE_EXECUTE, PAGE_WB},
    [HOST_R] = {(unsigned)PAGE_READ, PAGE_WB},
    [HOST_RW] = {(unsigned)PAGE_READ | (unsigned)PAGE_WRITE, PAGE_WB},
    [HOST_RW_UC] = {(unsigned)PAGE_READ | (unsigned)PAGE_WRITE, PAGE_UC},
    [HOST_RW_WC] = {(unsigned)PAGE_READ | (unsigned)PAGE_WRITE, PAGE_WC},
};

static void paging_must(enum status s, const char *what, uint64_t base, uint64_t size) {
    if (s != STATUS_OK) {
        plat_panic("cannot %s %#llx-%#llx for the hypervisor: %s" MSG(5112), what, (ull)base,
                   (ull)(base + size - 1), status_name(s));
    }
}

/* ---- the list of pieces ---- */

static void paging_add(struct host_piece piece) {
    ASSERT(piece_count < piece_max);
    pieces[piece_count] = piece;
    piece_count++;
}

static void paging_add_core(uint64_t base, uint64_t end, enum host_rights rights) {
    paging_add((struct host_piece){base, end - base, HOST_CORE, rights, HOST_ANYBODY});
}

static void paging_add_hole(uint64_t page) {
    paging_add((struct host_piece){page, PAGE_SIZE, HOST_HOLE, HOST_RIGHTS, HOST_ANYBODY});
}

/* The piece, as far as it is not in the list as something else. */
static void paging_add_rest(struct host_piece piece) {
    unsigned count = piece_count;
    uint64_t base = piece.base;
    uint64_t end = piece.base + piece.size;
    while (base < end) {
        uint64_t next = end;
        uint64_t after = end;
        for (unsigned i = 0; i < count; i++) {
            const struct host_piece *p = &pieces[i];
            if (p->base >= base && p->base < next) {
                next = p->base;
                after = p->base + p->size;
            }
        }
        if (base < next) {
            piece.base = base;
            piece.size = next - base;
            paging_add(piece);
        }
        base = after;
    }
}

static void paging_add_data(uint64_t base, uint64_t end) {
    paging_add_rest((struct host_piece){base, end - base, HOST_CORE, HOST_RW, HOST_ANYBODY});
}

static void paging_add_stack(uint32_t cpu, uint64_t top) {
    paging_add((struct host_piece){top - STACK_SIZE, STACK_SIZE, HOST_STACKS, HOST_RW, cpu});
    paging_add_hole(top - STACK_SIZE - PAGE_SIZE);
}

static void paging_add_device(hpa_t base, uint64_t size, enum host_rights rights) {
    uint64_t page = ALIGN_DOWN(base.v, PAGE_SIZE);
    uint64_t end = ALIGN_UP(base.v + size, PAGE_SIZE);
    if (page != 0 && size != 0) {
        paging_add((struct host_piece){page, end - page, HOST_DEVICES, rights, HOST_ANYBODY});
    }
}

static void paging_list_core(const struct boot_info *info) {
    piece_max =
        PIECES_FIXED + plat_cpu_count() * PIECES_PER_CPU + PIECES_PER_VM * CONFIG_MAX_GUESTS;
    pieces = pool_alloc(&arch_heap, piece_max * sizeof(*pieces));
    ASSERT(pieces != NULL);

    paging_add_core((uintptr_t)image_text, (uintptr_t)image_rodata, HOST_RX);
    paging_add_core((uintptr_t)image_rodata, (uintptr_t)image_sealed, HOST_R);
    paging_add_core((uintptr_t)image_sealed, (uintptr_t)image_data, HOST_R);
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        const struct cpu *cpu = cpu_get(i);
        uint64_t tables = (uintptr_t)cpu->gdt;
        paging_add_core(tables, tables + PAGE_SIZE, HOST_R);
        for (unsigned s = 0; s < STACK_COUNT; s++) {
            paging_add_stack(i, cpu->stack_top[s]);
        }
    }
    paging_add_data((uintptr_t)image_data, (uintptr_t)image_end);
    paging_add_data(info->heap_base.v, info->heap_base.v + info->heap_size);
    paging_add_device(apic_page, 1, HOST_RW_UC);
    paging_add_device(info->kept_log, KEPT_LOG_SIZE, HOST_RW_WC);
    for (unsigned i = 0; i < info->screen_count; i++) {
        paging_add_device(info->screens[i].base, info->screens[i].size, HOST_RW_WC);
    }
    if (info->serial.in_memory) {
        paging_add_device(HPA(info->serial.base), serial_span(&info->serial), HOST_RW_UC);
    }
    hpa_t base;
    uint64_t size;
    for (unsigned i = 0; usb_registers(i, &base, &size); i++) {
        paging_add_device(base, size, HOST_RW_UC);
    }
    for (unsigned i = 0; iommu_registers(i, &base, &size); i++) {
        paging_add_device(base, size, HOST_RW_UC);
    }
}

/* ---- tables ---- */

static void paging_map_piece(struct pagetable *t, const struct host_piece *p) {
    paging_must(pagetable_map(t, p->base, HPA(p->base), p->size, page_of_rights[p->rights].access,
                              page_of_rights[p->rights].type),
                "map", p->base, p->size);
}

static void paging_map_kind(struct pagetable *t, enum host_kind kind, uint32_t owner) {
    for (const struct host_piece *p = pieces; p < pieces + piece_count; p++) {
        if (p->kind == kind && p->owner == owner) {
            paging_map_piece(t, p);
        }
    }
}

/* What is sealed later is still to be written, but constants are constant. */
static void paging_protect_for_boot(const struct host_piece *p) {
    bool constant = p->rights == HOST_RX || p->base == (uintptr_t)image_rodata;
    enum host_rights rights = constant ? p->rights : HOST_RW;

    if (p->kind == HOST_HOLE) {
        paging_must(pagetable_unmap(&boot_tables, p->base, p->size), "unmap", p->base, p->size);
    } else if (p->kind == HOST_DEVICES) {
        paging_map_piece(&boot_tables, p);
    } else {
        paging_must(
            pagetable_protect(&boot_tables, p->base, p->size, page_of_rights[rights].access),
            "protect", p->base, p->size);
    }
}

/* A device that is used at the start only. Two may share a page. */
static void paging_map_boot_device(hpa_t base) {
    uint64_t page = ALIGN_DOWN(base.v, PAGE_SIZE);
    struct pagetable_leaf leaf;
    if (page != 0 && pagetable_lookup(&boot_tables, page, &leaf) != STATUS_OK) {
        paging_map_piece(&boot_tables, &(struct host_piece){page, PAGE_SIZE, HOST_DEVICES,
                                                            HOST_RW_UC, HOST_ANYBODY});
    }
}

static void paging_protect_trampoline(const struct boot_info *info, enum host_rights rights) {
    uint64_t page = info->trampoline.v;
    if (page != 0) {
        paging_must(pagetable_protect(&boot_tables, page, PAGE_SIZE, page_of_rights[rights].access),
                    "protect", page, PAGE_SIZE);
    }
}

static void paging_build_boot(const struct boot_info *info) {
    for (unsigned i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        uint64_t base = max_u64(r->base.v, PAGE_SIZE); /* never page 0 */
        uint64_t end = r->base.v + r->size;
        if (r->kind == MEM_BULKHEAD && base < end) {
            struct host_piece left = {base, end - base, HOST_CORE, HOST_R, HOST_ANYBODY};
            paging_map_piece(&boot_tables, &left);
        }
    }
    paging_protect_trampoline(info, HOST_RW);
    for (const struct host_piece *p = pieces; p < pieces + piece_count; p++) {
        paging_protect_for_boot(p);
    }
    paging_map_boot_device(info->hpet_base);
    for (unsigned i = 0; i < info->ioapic_count; i++) {
        paging_map_boot_device(info->ioapics[i].base);
    }
}

hpa_t paging_build(const struct boot_info *info) {
    bool huge = cpu_has(CPU_HAS_1GIB_PAGES) && !avoid_wants(AVOID_1G);
    unsigned largest = huge ? 3 : 2;
    if (pagetable_init(&boot_tables, &pagetable_format_host, &arch_heap, largest) != STATUS_OK ||
        pagetable_init(&core_tables, &pagetable_format_host, &arch_heap, largest) != STATUS_OK) {
        plat_panic("no memory for page tables" MSG(5113));
    }
    paging_list_core(info);
    paging_build_boot(info);
    return phys_address(boot_tables.root);
}

/* ---- switching on ---- */

/* No page here is a user's. SMEP and SMAP hold should an entry ever say otherwise by mistake. */
static uint64_t paging_cr4(void) {
    static const struct {
        struct cpu_feature feature;
        uint64_t bit;
    } optional[] = {
        {CPU_HAS_MCE, X86_CR4_MCE},   {CPU_HAS_XSAVE, X86_CR4_OSXSAVE},
        {CPU_HAS_SMEP, X86_CR4_SMEP}, {CPU_HAS_SMAP, X86_CR4_SMAP},
        {CPU_HAS_UMIP, X86_CR4_UMIP}, {CPU_HAS_PKU, X86_CR4_PKE},
    };
    uint64_t cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
    for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
        cr4 |= cpu_has(optional[i].feature) ? optional[i].bit : 0;
    }
    return cr4;
}

void paging_enable(void) {
    uint64_t cr4 = paging_cr4();
    nx_allow();
    msr_write(X86_MSR_EFER, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    msr_write(X86_MSR_PAT, HOST_PAT);
    /* No line may stay cached under a type it no longer has, no translation under a global one. */
    __asm__ volatile("wbinvd" : : : "memory");
    cr4_write(cr4 & ~X86_CR4_PGE);
    cr3_write(phys_address(boot_tables.root).v);
    cr0_write(X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE);
    cr4_write(cr4);
}

/* ---- dividing ---- */

/* No page is global, so this forgets all translations of this CPU. */
static void paging_flush(void) {
    cr3_write(cr3_read());
}

void paging_close_trampoline(const struct boot_info *info) {
    paging_protect_trampoline(info, HOST_RX);
    paging_flush();
}

void plat_open(hpa_t base, uint64_t size) {
    struct host_piece piece = {base.v, size, HOST_RECORDS, HOST_RW, HOST_ANYBODY};
    paging_map_piece(&boot_tables, &piece);
}

void plat_close(hpa_t base, uint64_t size) {
    paging_must(pagetable_unmap(&boot_tables, base.v, size), "unmap", base.v, size);
    paging_flush();
}

void plat_add_vm(const struct plan_vm *plan, const struct vm_public *public, struct pool *pool) {
    uint32_t vm = vm_count;
    struct host_piece records = {plan->budget_base.v, plan->budget_size, HOST_RECORDS, HOST_RW, vm};

    ASSERT(vm < CONFIG_MAX_GUESTS);
    vms[vm] = (struct paging_vm){public->name, plan, pool};
    vm_count++;
    for (uint32_t i = 0; i < public->vcpu_count; i++) {
        uint64_t page = (uintptr_t) public->vcpus[i];
        paging_add((struct host_piece){page, PAGE_SIZE, HOST_PUBLIC, HOST_RW, HOST_ANYBODY});
    }
    paging_add_rest(records);
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        paging_add((struct host_piece){r->hpa.v, r->size, HOST_RAM, HOST_RW, vm});
    }
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const struct plan_window *w = &plan->windows[i];
        if (w->kind == PLAN_STORE || w->kind == PLAN_OURS) {
            paging_add((struct host_piece){w->hpa.v, w->size, HOST_RAM, HOST_RW, vm});
        }
    }
}

static void paging_build_core(void) {
    paging_map_kind(&core_tables, HOST_CORE, HOST_ANYBODY);
    paging_map_kind(&core_tables, HOST_DEVICES, HOST_ANYBODY);
    paging_map_kind(&core_tables, HOST_PUBLIC, HOST_ANYBODY);
}

static uint64_t window_address(enum plat_window which) {
    return WINDOW_ADDRESS + which * WINDOW_SIZE;
}

/* The CPU's own: its stacks, and the empty tables of its windows. */
static void paging_build_cpu(struct cpu *cpu, const struct pagetable *from, uint32_t vm) {
    struct pagetable *t = &cpu->tables;

    cpu->vm = vm;
    if (pagetable_fork(from, t, &arch_heap) != STATUS_OK) {
        plat_panic("no memory for the page tables of CPU %u" MSG(5114), cpu->index);
    }
    paging_map_kind(t, HOST_STACKS, cpu->index);
    for (unsigned w = 0; w < WINDOWS; w++) {
        uint64_t at = window_address((enum plat_window)w);
        paging_must(pagetable_map(t, at, HPA(0), PAGE_SIZE, PAGE_READ, PAGE_WB), "map", at,
                    PAGE_SIZE);
        paging_must(pagetable_unmap(t, at, PAGE_SIZE), "unmap", at, PAGE_SIZE);
    }
}

/* In the VM's records, as far as they are not the core's. */
static void paging_build_vm(uint32_t vm) {
    const struct plan_vm *plan = vms[vm].plan;
    struct pagetable tables;

    plat_open(plan->budget_base, plan->budget_size);
    if (pagetable_fork(&core_tables, &tables, vms[vm].pool) != STATUS_OK) {
        plat_panic("no memory for the page tables of %s's CPUs" MSG(5115), vms[vm].name);
    }
    paging_map_kind(&tables, HOST_RECORDS, vm);
    for (uint32_t i = 0; i < plan->cpu_count; i++) {
        paging_build_cpu(cpu_get(plan->cpus[i]), &tables, vm);
    }
    plat_close(plan->budget_base, plan->budget_size);
}

void plat_seal(void) {
    paging_build_core();
    for (uint32_t vm = 0; vm < vm_count; vm++) {
        paging_build_vm(vm);
    }
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (cpu_get(i)->tables.root == NULL) {
            paging_build_cpu(cpu_get(i), &core_tables, HOST_ANYBODY);
        }
    }
    pool_close(&arch_heap);
}

/* ---- each CPU, once it is sealed ---- */

static void paging_refuse(const struct host_view *view) {
    char whose[96] = "";
    const struct host_piece *p = view->of;
    if (p != NULL && (p->kind == HOST_RECORDS || p->kind == HOST_RAM)) {
        (void)fmt_print(whose, sizeof(whose), ", %s of %s",
                        p->kind == HOST_RAM ? "memory" : "records", vms[p->owner].name);
    }
    plat_panic("page tables of CPU %u: %s: address %#llx, entry %#llx%s" MSG(5116), plat_cpu(),
               view->wrong, (ull)view->address, (ull)view->entry, whose);
}

static void paging_tell(const struct cpu *cpu, const struct host_view *view) {
    char own[160] = "";
    char size[HOST_KINDS][24];
    for (unsigned k = 0; k < HOST_KINDS; k++) {
        fmt_size(size[k], view->bytes[k]);
    }
    bool guest = cpu->vm != HOST_ANYBODY;
    if (guest) {
        const char *name = vms[cpu->vm].name;
        (void)fmt_print(own, sizeof(own), "records of %s %s, ", name, size[HOST_RECORDS]);
    }
    log_info(
        "maps core %s, devices %s, public parts of guests %s, own stacks %s, %sno guest's memory, "
        "nothing else of any %sguest",
        size[HOST_CORE], size[HOST_DEVICES], size[HOST_PUBLIC], size[HOST_STACKS], own,
        guest ? "other " : "");
}

static void paging_audit(const struct cpu *cpu, struct host_view *view) {
    const struct host_map map = {.pieces = pieces, .count = piece_count};

    if (host_audit(&map, HPA(cr3_read()), cpu->index, cpu->vm, view) != STATUS_OK) {
        paging_refuse(view);
    }
}

void paging_enter(void) {
    const struct cpu *cpu = cpu_current();
    struct host_view view;

    cr3_write(phys_address(cpu->tables.root).v);
    ASSERT((cr0_read() & X86_CR0_WP) != 0);
    paging_audit(cpu, &view);
    paging_tell(cpu, &view);
}

void plat_audit(void) {
    struct host_view view;
    paging_audit(cpu_current(), &view);
}

bool plat_audit_part(struct host_view *view, uint32_t steps) {
    const struct host_map map = {pieces, piece_count, window_address(WINDOW_KEPT)};
    const struct cpu *cpu = cpu_current();

    if (host_audit_part(&map, HPA(cr3_read()), cpu->index, cpu->vm, view, steps) != STATUS_OK) {
        paging_refuse(view);
    }
    return view->through;
}

void *plat_window_open(enum plat_window which, hpa_t at, uint64_t size) {
    struct pagetable *t = &cpu_current()->tables;
    uint64_t window = window_address(which);
    uint64_t first = ALIGN_DOWN(at.v, PAGE_SIZE);
    uint64_t whole = ALIGN_UP(at.v + size, PAGE_SIZE) - first;
    unsigned access = which == WINDOW_READ ? PAGE_READ : (unsigned)PAGE_READ | PAGE_WRITE;

    ASSERT(whole <= PLAT_WINDOW_SIZE + PAGE_SIZE && whole < WINDOW_SIZE);
    paging_must(pagetable_map(t, window, HPA(first), whole, access, PAGE_WB), "open", first, whole);
    return (void *)(uintptr_t)(window + (at.v - first) + CANONICAL_HIGH);
}

void plat_window_close(enum plat_window which, hpa_t at, uint64_t size) {
    uint64_t window = window_address(which);
    uint64_t whole = ALIGN_UP(at.v % PAGE_SIZE + size, PAGE_SIZE);

    enum status s = pagetable_unmap(&cpu_current()->tables, window, whole);
    if (s == STATUS_NOT_FOUND && which == WINDOW_KEPT) {
        return; /* it was not open */
    }
    paging_must(s, "close", window, whole);
    for (uint64_t offset = 0; offset < whole; offset += PAGE_SIZE) {
        const uint8_t *page = (const uint8_t *)(uintptr_t)(window + offset + CANONICAL_HIGH);
        __asm__ volatile("invlpg %0" : : "m"(*page) : "memory");
    }
}
