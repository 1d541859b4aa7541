/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the making of a VM's compartment: its region, its nested tables and the page tables it runs
 * under. Its program is never looked into here but for the header, which is ours. Does not enter
 * it: hv/vm/upcall.c does.
 */
#include "hv/vm/compartment.h"

#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

/* x86 page-table entries. Accessed and dirty are set: the CPU has nothing to write. */
#define ENTRY_TABLE   0x063ull
#define ENTRY_LARGE   (ENTRY_TABLE | BIT(7))
#define ENTRIES       512u
#define TABLES_COMMON 4u /* root, two for the span, the window's first */

#define CPUID_EXTENDED       0x80000001u
#define CPUID_EDX_1GIB_PAGES BIT32(26)

#define SLOT_SIZE (COMPARTMENT_STACK_SIZE + PAGE_SIZE) /* stack and exchange page */

#define REGION_PIECE (16 * KIB) /* is written without taking host interrupts */

_Static_assert(COMPARTMENT_SLOTS + PLAN_MAX_VCPUS * COMPARTMENT_SLOT <= COMPARTMENT_DEVICES &&
                   COMPARTMENT_DEVICES + COMPARTMENT_DEVICES_SIZE <= COMPARTMENT_TABLES,
               "slots, devices and tables overlap");
_Static_assert(PLAN_WINDOWS_SIZE == COMPARTMENT_WINDOW_SIZE, "as far as the window goes");
_Static_assert(COMPARTMENT_VCPUS == PLAN_MAX_VCPUS, "a slot for each");
_Static_assert(COMPARTMENT_GPA == PLAN_LOW_RAM_END, "in the hole between low and high RAM");
_Static_assert(COMPARTMENT_STACK + COMPARTMENT_STACK_SIZE < COMPARTMENT_EXCHANGE,
               "no hole behind the stack");

static const struct compartment_header *compartment_header(void) {
    const void *image = plat_compartment_image;
    return image;
}

static uint64_t compartment_data_size(const struct compartment_header *h) {
    return h->bss_end - h->rodata_end;
}

/* AMD APM "Function 8000_0001h", EDX. */
static bool compartment_has_1gib_pages(void) {
    uint32_t r[4];
    plat_cpuid(CPUID_EXTENDED, 0, r);
    return (r[3] & CPUID_EDX_1GIB_PAGES) != 0;
}

/* Pages of tables: the window of top bytes by pages of 1 GiB, or of 2 MiB. */
static uint64_t compartment_tables(uint64_t top) {
    uint64_t gib = ALIGN_UP(top, GIB) / GIB;
    return TABLES_COMMON + (compartment_has_1gib_pages() ? 0 : gib);
}

static uint64_t compartment_region_size(const struct compartment_header *h, uint64_t top,
                                        uint32_t vcpus) {
    return compartment_data_size(h) + compartment_tables(top) * PAGE_SIZE + vcpus * SLOT_SIZE +
           COMPARTMENT_DEVICES_SIZE;
}

/* The end of RAM, or of what lies above it. */
static uint64_t compartment_top(const struct vm *vm) {
    if (vm->plan->window_count != 0) {
        const struct plan_window *last = &vm->plan->windows[vm->plan->window_count - 1];
        return last->gpa.v + last->size;
    }
    return vm->high_ram != 0 ? PLAN_HIGH_RAM + vm->high_ram : vm->low_ram;
}

static uint8_t *compartment_table_page(const struct vm *vm, uint64_t n) {
    const struct compartment *c = &vm->compartment;
    return c->region + compartment_data_size(compartment_header()) + n * PAGE_SIZE;
}

/* The pages of v's slot: the stack, then the exchange page. */
static uint8_t *compartment_slot_pages(const struct vcpu *v) {
    return compartment_table_page(v->vm, v->vm->compartment.tables) + v->index * SLOT_SIZE;
}

/* Of struct abi_devices: the last ones. */
static uint8_t *compartment_devices_pages(const struct vm *vm) {
    return vm->compartment.region + vm->compartment.region_size - COMPARTMENT_DEVICES_SIZE;
}

uint64_t compartment_slot(const struct vcpu *v) {
    return COMPARTMENT_BASE + COMPARTMENT_SLOTS + v->index * COMPARTMENT_SLOT;
}

uint64_t compartment_stack_top(const struct vcpu *v) {
    return compartment_slot(v) + COMPARTMENT_STACK + COMPARTMENT_STACK_SIZE;
}

void compartment_reset_context(struct vcpu *v, void *vendor) {
    v->compartment = (struct vcpu_context){.vendor = vendor};
    v->upcall_flags = UPCALL_UNWATCHED;
    memset(v->ended, 0, sizeof(v->ended));
    v->compartment.regs[X86_RDI] = compartment_slot(v) + COMPARTMENT_EXCHANGE;
}

struct exchange *compartment_exchange(const struct vcpu *v) {
    void *page = compartment_slot_pages(v) + COMPARTMENT_STACK_SIZE;
    return page;
}

uint64_t compartment_cr3(void) {
    return COMPARTMENT_GPA + COMPARTMENT_TABLES;
}

uint64_t compartment_entry(void) {
    return COMPARTMENT_BASE + compartment_header()->entry;
}

uint64_t compartment_called(void) {
    return COMPARTMENT_BASE + compartment_header()->called;
}

static uint64_t compartment_table_entry(uint64_t n) {
    return (compartment_cr3() + n * PAGE_SIZE) | ENTRY_TABLE;
}

static void compartment_set_entry(const struct vm *vm, uint64_t table, uint64_t i, uint64_t entry) {
    uint64_t *entries = (uint64_t *)(void *)compartment_table_page(vm, table);
    entries[i % ENTRIES] = entry;
}

/*
 * Rights are the nested tables' alone. Tables: 0 the root; 1 and 2 of the span; 3 of the window, of
 * 512 GiB at most, and the ones after it of each GiB where the CPU has no pages as large.
 */
static void compartment_build_tables(const struct vm *vm) {
    enum { ROOT, SPAN_1GIB, SPAN_2MIB, WINDOW, WINDOW_2MIB };
    _Static_assert(WINDOW_2MIB == TABLES_COMMON, "");
    uint64_t gib = ALIGN_UP(compartment_top(vm), GIB) / GIB;
    bool large = compartment_has_1gib_pages();

    compartment_set_entry(vm, ROOT, COMPARTMENT_BASE >> 39, compartment_table_entry(SPAN_1GIB));
    compartment_set_entry(vm, ROOT, COMPARTMENT_WINDOW >> 39, compartment_table_entry(WINDOW));
    compartment_set_entry(vm, SPAN_1GIB, COMPARTMENT_BASE >> 30,
                          compartment_table_entry(SPAN_2MIB));
    for (uint64_t i = 0; i < ENTRIES; i++) {
        compartment_set_entry(vm, SPAN_2MIB, i, (COMPARTMENT_GPA + i * 2 * MIB) | ENTRY_LARGE);
    }
    for (uint64_t g = 0; g < gib && large; g++) {
        compartment_set_entry(vm, WINDOW, g, g * GIB | ENTRY_LARGE);
    }
    for (uint64_t g = 0; g < gib && !large; g++) {
        compartment_set_entry(vm, WINDOW, g, compartment_table_entry(WINDOW_2MIB + g));
        for (uint64_t i = 0; i < ENTRIES; i++) {
            compartment_set_entry(vm, WINDOW_2MIB + g, i, (g * GIB + i * 2 * MIB) | ENTRY_LARGE);
        }
        plat_take_interrupts();
    }
}

/* from to until: offsets in the span. */
static enum status compartment_map(struct vm *vm, uint64_t from, uint64_t until, const void *host,
                                   unsigned access) {
    return from == until ? STATUS_OK
                         : pagetable_map(&vm->compartment.npt, COMPARTMENT_GPA + from,
                                         phys_address(host), until - from, access, PAGE_WB);
}

static enum status compartment_map_slot(struct vm *vm, const struct vcpu *v) {
    const uint8_t *pages = compartment_slot_pages(v);
    uint64_t slot = compartment_slot(v) - COMPARTMENT_BASE;
    uint64_t stack = slot + COMPARTMENT_STACK, exchange = slot + COMPARTMENT_EXCHANGE;
    unsigned access = PAGE_READ | PAGE_WRITE;
    enum status s = compartment_map(vm, stack, stack + COMPARTMENT_STACK_SIZE, pages, access);

    if (s != STATUS_OK) {
        return s;
    }
    return compartment_map(vm, exchange, exchange + PAGE_SIZE, pages + COMPARTMENT_STACK_SIZE,
                           access);
}

/* The guest's RAM, where the guest has it. */
static enum status compartment_map_ram(struct vm *vm) {
    enum status s = STATUS_OK;

    for (uint32_t i = 0; s == STATUS_OK && i < vm->plan->region_count; i++) {
        const struct plan_region *r = &vm->plan->regions[i];
        s = pagetable_map(&vm->compartment.npt, r->gpa.v, r->hpa, r->size, PAGE_READ | PAGE_WRITE,
                          PAGE_WB);
    }
    return s;
}

/* What the plan gives it beside RAM: it executes none of it, and writes what is its own. */
static enum status compartment_map_window(struct vm *vm, const struct plan_window *w) {
    static const unsigned access[] = {[PLAN_IMAGE] = PAGE_READ,
                                      [PLAN_PMEM] = PAGE_READ,
                                      [PLAN_STORE] = PAGE_READ | PAGE_WRITE,
                                      [PLAN_OURS] = PAGE_READ | PAGE_WRITE,
                                      [PLAN_THEIRS] = PAGE_READ,
                                      [PLAN_DEVICE] = PAGE_READ | PAGE_WRITE};
    enum page_type type = w->kind == PLAN_DEVICE ? PAGE_UC : PAGE_WB;

    return pagetable_map(&vm->compartment.npt, w->gpa.v, w->hpa, w->size, access[w->kind], type);
}

static enum status compartment_map_windows(struct vm *vm) {
    enum status s = STATUS_OK;

    for (uint32_t i = 0; s == STATUS_OK && i < vm->plan->window_count; i++) {
        s = compartment_map_window(vm, &vm->plan->windows[i]);
    }
    return s;
}

/* A half is smaller than a large page, so all tables that it needs are there. */
_Static_assert(CHANNEL_HALF < 2 * MIB, "mapped by pages of 4 KiB");

void compartment_turn_windows(struct vm *vm) {
    for (uint32_t i = 0; i < vm->plan->window_count; i++) {
        const struct plan_window *w = &vm->plan->windows[i];

        if (plan_is_channel(w->kind)) {
            enum status s = pagetable_unmap(&vm->compartment.npt, w->gpa.v, w->size);
            ASSERT(s == STATUS_OK);
            s = compartment_map_window(vm, w);
            ASSERT(s == STATUS_OK);
        }
    }
}

/* The program, data, tables, the devices and the slots. */
static enum status compartment_map_span(struct vm *vm) {
    const struct compartment_header *h = compartment_header();
    const uint8_t *image = plat_compartment_image;
    struct compartment *c = &vm->compartment;
    uint64_t tables_end = COMPARTMENT_TABLES + c->tables * PAGE_SIZE;
    const struct {
        uint64_t from, until;
        const uint8_t *host;
        unsigned access;
    } pieces[] = {
        {0, h->text_end, image, PAGE_READ | PAGE_EXECUTE},
        {h->text_end, h->rodata_end, image + h->text_end, PAGE_READ},
        {h->rodata_end, h->bss_end, c->region, PAGE_READ | PAGE_WRITE},
        {COMPARTMENT_DEVICES, COMPARTMENT_DEVICES + COMPARTMENT_DEVICES_SIZE,
         compartment_devices_pages(vm), PAGE_READ | PAGE_WRITE},
        {COMPARTMENT_TABLES, tables_end, compartment_table_page(vm, 0), PAGE_READ | PAGE_WRITE},
    };
    enum status s = STATUS_OK;

    for (size_t i = 0; s == STATUS_OK && i < ARRAY_SIZE(pieces); i++) {
        s = compartment_map(vm, pieces[i].from, pieces[i].until, pieces[i].host, pieces[i].access);
    }
    for (uint32_t i = 0; s == STATUS_OK && i < vm->vcpu_count; i++) {
        s = compartment_map_slot(vm, &vm->vcpus[i]);
    }
    return s;
}

enum status compartment_create(struct vm *vm) {
    const struct compartment_header *h = compartment_header();
    struct compartment *c = &vm->compartment;
    uint64_t top = compartment_top(vm);
    /* Nothing there is executable but the program: large pages are never split for a flaw. */
    unsigned largest = (unsigned)max_u64(hvm->npt_max_level, 2);

    ASSERT(h->magic == COMPARTMENT_MAGIC);
    if (top > COMPARTMENT_WINDOW_SIZE) {
        return STATUS_UNSUPPORTED;
    }
    c->tables = compartment_tables(top);
    c->region_size = compartment_region_size(h, top, vm->vcpu_count);
    c->region = pool_alloc(&vm->pool, c->region_size);
    if (c->region == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s = pagetable_init(&c->npt, hvm->npt_format, &vm->pool, largest);
    if (s == STATUS_OK) {
        s = compartment_map_ram(vm);
    }
    if (s == STATUS_OK) {
        s = compartment_map_windows(vm);
    }
    return s == STATUS_OK ? compartment_map_span(vm) : s;
}

void compartment_fill(const struct vm *vm, uint8_t byte) {
    const struct compartment *c = &vm->compartment;

    for (uint64_t done = 0; done < c->region_size; done += REGION_PIECE) {
        memset(c->region + done, byte, min_u64(c->region_size - done, REGION_PIECE));
        plat_take_interrupts();
    }
}

void compartment_reset(struct vm *vm) {
    const struct compartment_header *h = compartment_header();
    uint8_t kept[EXCHANGE_KEPT];

    memcpy(kept, vm->shared->kept, sizeof(kept));
    compartment_fill(vm, 0);
    memcpy(vm->shared->kept, kept, sizeof(kept));
    memcpy(vm->compartment.region, plat_compartment_image + h->rodata_end,
           h->data_end - h->rodata_end);
    memcpy(compartment_devices_pages(vm), &vm->plan->devices, sizeof(vm->plan->devices));
    compartment_build_tables(vm);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct exchange *e = vm->vcpus[i].exchange;
        e->vmmcall = hvm->vmmcall;
        e->index = i;
    }
}
