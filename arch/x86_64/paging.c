/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own page tables: identity-mapped, nothing both writable and executable, nothing
 * mapped that is not needed. Built once by start.c, read-only in effect afterwards (nothing maps
 * later). Sources: Intel SDM "4-Level Paging", "Page Attribute Table (PAT)", "Control Registers".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define READ_WRITE ((unsigned)PAGE_READ | (unsigned)PAGE_WRITE)
#define READ_EXEC  ((unsigned)PAGE_READ | (unsigned)PAGE_EXECUTE)

/* A piece of RAM with rights of its own; access 0 = not mapped. */
struct piece {
    uint64_t base, end;
    unsigned access;
};

static struct piece pieces[8 + CONFIG_MAX_CPUS * STACK_COUNT];
static unsigned piece_count;
static struct pagetable host_tables;

static void paging_add_piece(uint64_t base, uint64_t end, unsigned access) {
    pieces[piece_count++] = (struct piece){base, end, access};
}

static void paging_add_pieces(const struct boot_info *info) {
    uint64_t rodata = (uintptr_t)image_rodata, guard = (uintptr_t)boot_stack_guard;
    paging_add_piece(0, PAGE_SIZE, 0);
    paging_add_piece(info->trampoline.v, info->trampoline.v + PAGE_SIZE, READ_EXEC);
    paging_add_piece((uintptr_t)image_text, rodata, READ_EXEC);
    paging_add_piece(rodata, (uintptr_t)image_data, PAGE_READ);
    paging_add_piece(guard, guard + PAGE_SIZE, 0);
    for (unsigned i = 0; i < plat_cpu_count() * STACK_COUNT; i++) {
        guard = percpu_guard(i).v;
        paging_add_piece(guard, guard + PAGE_SIZE, 0);
    }
}

static void paging_map(uint64_t base, uint64_t end, unsigned access, enum page_type type) {
    if (base >= end || access == 0) {
        return;
    }
    enum status s = pagetable_map(&host_tables, base, HPA(base), end - base, access, type);
    if (s != STATUS_OK) {
        plat_panic("cannot map %#llx-%#llx for the hypervisor: %s", (ull)base, (ull)end,
                   status_name(s));
    }
}

static void paging_map_ram(uint64_t base, uint64_t end) {
    while (base < end) {
        struct piece next = {end, end, 0};
        for (unsigned i = 0; i < piece_count; i++) {
            if (pieces[i].base >= base && pieces[i].base < next.base) {
                next = pieces[i];
            }
        }
        paging_map(base, next.base, READ_WRITE, PAGE_WB);
        paging_map(next.base, next.end, next.access, PAGE_WB);
        base = next.end;
    }
}

static void paging_map_device(hpa_t base, uint64_t size, enum page_type type) {
    uint64_t page = ALIGN_DOWN(base.v, PAGE_SIZE);
    struct pagetable_leaf leaf;
    if (page != 0 &&
        pagetable_lookup(&host_tables, page, &leaf) != STATUS_OK) { /* two may share one */
        paging_map(page, ALIGN_UP(base.v + size, PAGE_SIZE), READ_WRITE, type);
    }
}

hpa_t paging_build(const struct boot_info *info) {
    unsigned largest = cpu_has(CPU_HAS_1GIB_PAGES) ? 3 : 2;
    if ((cr4_read() & X86_CR4_LA57) != 0) {
        plat_panic(
            "the firmware runs with 5-level paging; switch off \"5-Level Paging\" or \"LA57\" "
            "in its setup");
    }
    if (pagetable_init(&host_tables, &pagetable_format_host, &arch_heap, largest) != STATUS_OK) {
        plat_panic("no memory for page tables");
    }
    paging_add_pieces(info);
    for (unsigned i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_RESERVED) {
            paging_map_ram(r->base.v, r->base.v + r->size);
        }
    }
    paging_map_device(apic_page, 1, PAGE_UC);
    paging_map_device(info->hpet_base, 1, PAGE_UC);
    for (unsigned i = 0; i < info->ioapic_count; i++) {
        paging_map_device(info->ioapics[i].base, 1, PAGE_UC);
    }
    paging_map_device(info->framebuffer.base, info->framebuffer.size, PAGE_WC);
    return phys_address(host_tables.root);
}

/*
 * Firmware can switch NX off on Intel's CPUs: CPUID does not show it then, and EFER.NXE cannot be
 * set. The other CPUs do the same in the trampoline, before they need it.
 */
static void paging_allow_nx(void) {
    if (!cpu_has(CPU_HAS_NX)) {
        uint64_t value = msr_read(X86_MSR_MISC_ENABLE);
        msr_write(X86_MSR_MISC_ENABLE, value & ~X86_MISC_ENABLE_XD_DISABLE);
    }
}

/*
 * No SMEP, SMAP, UMIP: no page here is a user's, and nothing but the guests runs outside ring 0.
 * For the same reason no access of ours is subject to protection keys: PKE is for plat_pkru().
 */
void paging_enable(void) {
    uint64_t cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |
                   (cpu_has(CPU_HAS_MCE) ? X86_CR4_MCE : 0) |
                   (cpu_has(CPU_HAS_PKU) ? X86_CR4_PKE : 0) |
                   (cpu_has(CPU_HAS_XSAVE) ? X86_CR4_OSXSAVE : 0);
    paging_allow_nx();
    msr_write(X86_MSR_EFER, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    msr_write(X86_MSR_PAT, HOST_PAT);
    /* No line may stay cached under a type it no longer has, no translation under a global one. */
    __asm__ volatile("wbinvd" : : : "memory");
    cr4_write(cr4 & ~X86_CR4_PGE);
    cr3_write(phys_address(host_tables.root).v);
    cr0_write(X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE);
    cr4_write(cr4);
}

/* Nothing outside the pieces may run, nothing in them may do more than they say. */
static unsigned paging_allowed(const struct pagetable_leaf *leaf) {
    unsigned allowed = READ_WRITE;
    for (const struct piece *p = pieces; p < pieces + piece_count; p++) {
        if (range_contains(p->base, p->end - p->base, leaf->address, leaf->size)) {
            allowed = p->access;
        } else if (range_overlaps(p->base, p->end - p->base, leaf->address, leaf->size)) {
            return 0;
        }
    }
    return allowed;
}

#define PAGE_ANY ((unsigned)PAGE_READ | (unsigned)PAGE_WRITE | (unsigned)PAGE_EXECUTE)

void paging_verify(void) {
    static const char *const access_names[PAGE_ANY + 1] = {"---", "r--", "-w-", "rw-",
                                                           "--x", "r-x", "-wx", "rwx"};
    struct pagetable_leaf leaf;
    ASSERT(cr3_read() == phys_address(host_tables.root).v && (cr0_read() & X86_CR0_WP) != 0);
    for (uint64_t at = 0; at < PAGETABLE_SPACE; at += leaf.size) {
        if (pagetable_lookup(&host_tables, at, &leaf) == STATUS_OK &&
            (leaf.hpa.v != leaf.address || leaf.type >= PAGE_TYPES ||
             (leaf.access & ~paging_allowed(&leaf)) != 0)) {
            plat_panic("page %#llx is mapped wrongly: to %#llx, %s", (ull)leaf.address,
                       (ull)leaf.hpa.v, access_names[leaf.access & PAGE_ANY]);
        }
    }
}
