/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own page tables: identity-mapped, nothing both writable and executable, nothing
 * mapped that is not needed. Built once by start.c, read-only in effect afterwards (nothing maps
 * later). Sources: Intel SDM "4-Level Paging", "Page Attribute Table (PAT)", "Control Registers".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define READ_WRITE ((unsigned)NPT_READ | (unsigned)NPT_WRITE)
#define READ_EXEC  ((unsigned)NPT_READ | (unsigned)NPT_EXECUTE)

struct hole {
    uint64_t base, size;
};

static struct npt host_tables;

void paging_check_cpu(void) {
    if ((cr4_read() & X86_CR4_LA57) != 0) {
        plat_panic(
            "the firmware runs with 5-level paging; switch off \"5-Level Paging\" or \"LA57\" "
            "in its setup");
    }
    if (!cpu_has(CPU_HAS_NX)) {
        plat_panic(
            "the CPU has no no-execute pages; switch on \"Execute Disable Bit\" or \"NX mode\" "
            "in the firmware setup");
    }
}

static void paging_map(uint64_t base, uint64_t end, unsigned access, enum npt_type type) {
    enum status s = npt_map_range(&host_tables, base, HPA(base), end - base, access, type);
    if (s != STATUS_OK) {
        plat_panic("cannot map %#llx-%#llx for the hypervisor: %s", (unsigned long long)base,
                   (unsigned long long)end, status_name(s));
    }
}

/* Maps RAM but for the holes, which get rights of their own or stay unmapped. */
static void paging_map_ram(uint64_t base, uint64_t end, unsigned access, const struct hole *holes,
                           unsigned count) {
    if (base >= end) {
        return;
    }
    if (count == 0) {
        paging_map(base, end, access, NPT_WB);
    } else if (!range_overlaps(base, end - base, holes->base, holes->size)) {
        paging_map_ram(base, end, access, holes + 1, count - 1);
    } else {
        paging_map_ram(base, holes->base, access, holes + 1, count - 1);
        paging_map_ram(holes->base + holes->size, end, access, holes + 1, count - 1);
    }
}

static void paging_map_image(void) {
    uint64_t guard = (uintptr_t)boot_stack_guard;
    paging_map((uintptr_t)image_text, (uintptr_t)image_rodata, READ_EXEC, NPT_WB);
    paging_map((uintptr_t)image_rodata, (uintptr_t)image_data, NPT_READ, NPT_WB);
    paging_map((uintptr_t)image_data, guard, READ_WRITE, NPT_WB);
    paging_map(guard + PAGE_SIZE, (uintptr_t)image_end, READ_WRITE, NPT_WB);
}

/* Between two guards lies a stack. The guards come in ascending order but for the image's. */
struct stack_walk {
    uint64_t base, end, next;
};

static void paging_map_stack(void *ctx, hpa_t guard) {
    struct stack_walk *walk = ctx;
    if (!range_contains(walk->base, walk->end - walk->base, guard.v, PAGE_SIZE)) {
        return;
    }
    if (walk->next < guard.v) {
        paging_map(walk->next, guard.v, READ_WRITE, NPT_WB);
    }
    walk->next = guard.v + PAGE_SIZE;
}

static void paging_map_devices(const struct boot_info *info) {
    if (!apic_is_x2apic()) {
        hpa_t page = apic_page_address();
        paging_map(page.v, page.v + PAGE_SIZE, READ_WRITE, NPT_UC);
    }
    for (unsigned i = 0; i < info->ioapic_count; i++) {
        uint64_t page = ALIGN_DOWN(info->ioapics[i].base.v, PAGE_SIZE);
        struct npt_leaf leaf;
        if (npt_lookup(&host_tables, page, &leaf) != STATUS_OK) { /* two may share a page */
            paging_map(page, page + PAGE_SIZE, READ_WRITE, NPT_UC);
        }
    }
    if (info->hpet_base.v != 0) {
        uint64_t page = ALIGN_DOWN(info->hpet_base.v, PAGE_SIZE);
        paging_map(page, page + PAGE_SIZE, READ_WRITE, NPT_UC);
    }
    const struct boot_framebuffer *fb = &info->framebuffer;
    if (fb->format != FB_NONE) {
        paging_map(ALIGN_DOWN(fb->base.v, PAGE_SIZE), ALIGN_UP(fb->base.v + fb->size, PAGE_SIZE),
                   READ_WRITE, NPT_WC);
    }
}

hpa_t paging_build(const struct boot_info *info) {
    uint64_t stacks_size;
    uint64_t stacks = percpu_stack_area(&stacks_size).v;
    const struct hole holes[] = {
        {0, PAGE_SIZE},
        {info->trampoline.v, PAGE_SIZE},
        {(uintptr_t)image_text, (uintptr_t)image_end - (uintptr_t)image_text},
        {stacks, stacks_size},
    };
    unsigned max_level = cpu_has(CPU_HAS_1GIB_PAGES) ? 3 : 2;
    if (npt_init(&host_tables, &npt_format_host, arch_heap(), max_level) != STATUS_OK) {
        plat_panic("no memory for page tables");
    }
    for (unsigned i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_RESERVED) {
            unsigned access = r->kind == MEM_ACPI ? (unsigned)NPT_READ : READ_WRITE;
            paging_map_ram(r->base.v, r->base.v + r->size, access, holes, ARRAY_SIZE(holes));
        }
    }
    paging_map_image();
    paging_map(info->trampoline.v, info->trampoline.v + PAGE_SIZE, READ_EXEC, NPT_WB);
    struct stack_walk walk = {stacks, stacks + stacks_size, stacks};
    percpu_visit_guards(paging_map_stack, &walk);
    paging_map(walk.next, walk.end, READ_WRITE, NPT_WB);
    paging_map_devices(info);
    return phys_address(host_tables.root);
}

static uint64_t paging_cr4(void) {
    static const struct {
        struct cpu_feature feature;
        uint64_t bits;
    } optional[] = {
        {CPU_HAS_MCE, X86_CR4_MCE},   {CPU_HAS_XSAVE, X86_CR4_OSXSAVE},
        {CPU_HAS_SMEP, X86_CR4_SMEP}, {CPU_HAS_SMAP, X86_CR4_SMAP},
        {CPU_HAS_UMIP, X86_CR4_UMIP},
    };
    uint64_t cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
    for (unsigned i = 0; i < ARRAY_SIZE(optional); i++) {
        cr4 |= cpu_has(optional[i].feature) ? optional[i].bits : 0;
    }
    return cr4;
}

void paging_enable(hpa_t root) {
    uint64_t cr4 = paging_cr4();
    msr_write(X86_MSR_EFER, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    msr_write(X86_MSR_PAT, HOST_PAT);
    /* No line may stay cached under a type it no longer has, no translation under a global one. */
    plat_write_back_caches();
    cr4_write(cr4 & ~X86_CR4_PGE);
    cr3_write(root.v);
    cr0_write(X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE);
    cr4_write(cr4);
    cpu_current()->cr3 = root.v;
}

static bool paging_verify_leaf(void *ctx, const struct npt_leaf *leaf) {
    const struct boot_info *info = ctx;
    bool write = (leaf->access & NPT_WRITE) != 0, execute = (leaf->access & NPT_EXECUTE) != 0;
    uint64_t text = (uintptr_t)image_text, text_size = (uintptr_t)image_rodata - text;
    if (write && execute) {
        plat_panic("page %#llx is writable and executable", (unsigned long long)leaf->address);
    }
    if (execute && !range_contains(text, text_size, leaf->address, leaf->size) &&
        !range_contains(info->trampoline.v, PAGE_SIZE, leaf->address, leaf->size)) {
        plat_panic("page %#llx outside the code is executable", (unsigned long long)leaf->address);
    }
    if (leaf->hpa.v != leaf->address || leaf->type >= NPT_TYPES) {
        plat_panic("page %#llx is mapped wrongly", (unsigned long long)leaf->address);
    }
    return true;
}

static void paging_verify_hole(void *ctx, hpa_t page) {
    (void)ctx;
    struct npt_leaf leaf;
    if (npt_lookup(&host_tables, page.v, &leaf) == STATUS_OK) {
        plat_panic("guard page %#llx is mapped", (unsigned long long)page.v);
    }
}

void paging_verify(const struct boot_info *info) {
    ASSERT(cr3_read() == phys_address(host_tables.root).v && (cr0_read() & X86_CR0_WP) != 0);
    npt_walk(&host_tables, paging_verify_leaf, (void *)(uintptr_t)info);
    percpu_visit_guards(paging_verify_hole, NULL);
    paging_verify_hole(NULL, HPA(0));
}
