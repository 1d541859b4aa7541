/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's IOMMUs: their registers, which devices may reach what, and what is told of those
 * that wanted more. iommu/ does the rest. Called by start.c before anything else uses memory that a
 * device may still write to, then on the CPU that serves the consoles.
 */
#include "arch/x86_64/iommu/iommu.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/pci.h"
#include "hv/lib/fmt.h"
#include "hv/lib/lock.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/plan/plan.h"

#define CACHE_LINE     64u
#define PIECES         256u
#define DOMAINS        64u
#define FAULTS_AT_ONCE 64u

static struct iommu iommu; /* its queues move on */
static SEALED struct boot_iommu found[BOOT_MAX_IOMMUS];
static SEALED unsigned found_count;

/* What devices may reach, as builder and audit have it. */
static SEALED struct iommu_piece pieces[PIECES];
static SEALED unsigned piece_count;
static SEALED unsigned domain_count;

static SEALED struct boot_dma_ioapic ioapics[BOOT_MAX_IOAPICS];
static SEALED uint32_t ioapic_count;
static SEALED struct boot_dma_setting settings[BOOT_MAX_DMA_SETTINGS];

/* Domains of VMs, and the functions that are given to each. */
static SEALED struct iommu_domain vm_domains[CONFIG_MAX_GUESTS];
static SEALED struct pool vm_pools[CONFIG_MAX_GUESTS]; /* as they were: where the tables lie */
static SEALED unsigned vm_domain_count;
static SEALED struct {
    uint16_t function;
    const char *name;
} given[CONFIG_MAX_GUESTS * CONFIG_MAX_PCI];
static SEALED unsigned given_count;

static SEALED unsigned told_units; /* by ACPI; 0 also if not all of that is understood */

/* The units' queues, and all that they read. */
static struct lock iommu_lock;

static struct {
    struct log_limit limit;
    uint64_t faults;
} told;

/* ---- registers ---- */

static void *iommu_register(void *machine, uint32_t offset) {
    const struct boot_iommu *f = machine;
    return (uint8_t *)phys_pointer(f->base) + offset;
}

static uint32_t iommu_read32(void *machine, uint32_t offset) {
    return mmio_read32(iommu_register(machine, offset));
}

static void iommu_write32(void *machine, uint32_t offset, uint32_t value) {
    mmio_write32(iommu_register(machine, offset), value);
}

static uint64_t iommu_read64(void *machine, uint32_t offset) {
    return mmio_read64(iommu_register(machine, offset));
}

static void iommu_write64(void *machine, uint32_t offset, uint64_t value) {
    mmio_write64(iommu_register(machine, offset), value);
}

static void iommu_flush_lines(const void *from, uint64_t size) {
    const uint8_t *line = (const uint8_t *)ALIGN_DOWN((uintptr_t)from, CACHE_LINE);
    for (; line < (const uint8_t *)from + size; line += CACHE_LINE) {
        __asm__ volatile("clflush %0" : : "m"(*line) : "memory");
    }
    __asm__ volatile("mfence" : : : "memory");
}

static void *iommu_alloc(uint64_t size) {
    return pool_alloc(&arch_heap, size);
}

static const struct iommu_ops iommu_ops = {
    .read32 = iommu_read32,
    .write32 = iommu_write32,
    .read64 = iommu_read64,
    .write64 = iommu_write64,
    .write_back = iommu_flush_lines,
    .alloc = iommu_alloc,
};

void iommu_find(const struct boot_info *info) {
    if (avoid_wants(AVOID_IOMMU)) {
        return;
    }
    for (uint32_t i = 0; i < info->dma.unit_count; i++) {
        const struct boot_iommu *unit = &info->dma.units[i];
        if (!boot_is_memory(info, unit->base.v, unit->size)) {
            found[found_count] = *unit;
            found_count++;
        }
    }
}

bool iommu_registers(unsigned i, hpa_t *base, uint64_t *size) {
    if (i >= found_count) {
        return false;
    }
    *base = found[i].base;
    *size = found[i].size;
    return true;
}

/* ---- who may reach what ---- */

static void iommu_add_piece(uint32_t function, hpa_t base, uint64_t size, unsigned access) {
    char address[FMT_PCI_SIZE];

    if (piece_count == PIECES) {
        log_warn("IOMMU: no room for what PCI %s is to reach" MSG(4001),
                 fmt_pci(address, function));
        return;
    }
    pieces[piece_count] = (struct iommu_piece){
        .function = (uint16_t)function,
        .address = base.v,
        .hpa = base,
        .size = size,
        .access = access,
    };
    piece_count++;
}

static const struct boot_info *visited; /* while the devices are gone through */

static void iommu_visit(uint32_t function) {
    for (uint32_t i = 0; i < visited->dma.range_count; i++) {
        const struct boot_dma_range *range = &visited->dma.ranges[i];
        bool named = function >= range->first && function <= range->last;
        if (named && !boot_is_memory(visited, range->base.v, range->size)) {
            unsigned access = range->write ? PAGE_READ | PAGE_WRITE : (unsigned)PAGE_READ;
            iommu_add_piece(function, range->base, range->size, access);
        }
    }
}

/*
 * A firmware that has lent a device memory which it calls free would have the device write to a
 * guest's. Then the device is held back.
 */
static void iommu_tell_lent(const struct boot_info *info) {
    char first[FMT_PCI_SIZE], last[FMT_PCI_SIZE];

    for (uint32_t i = 0; i < info->dma.range_count; i++) {
        const struct boot_dma_range *range = &info->dma.ranges[i];
        if (boot_is_memory(info, range->base.v, range->size)) {
            log_warn(
                "IOMMU: the firmware wants memory %#llx-%#llx for PCI %s to %s, and calls it free: "
                "they do not get it" MSG(4002),
                (ull)range->base.v, (ull)(range->base.v + range->size - 1),
                fmt_pci(first, range->first), fmt_pci(last, range->last));
        }
    }
}

static void iommu_gather(const struct boot_info *info) {
    uint32_t function;
    hpa_t base;
    uint64_t size;

    iommu_tell_lent(info);
    if (info->dma.range_count != 0) { /* to ask all of them takes a while */
        visited = info;
        pci_each(iommu_visit);
        visited = NULL;
    }
    for (unsigned i = 0; usb_memory(i, &function, &base, &size); i++) {
        if (size != 0) {
            iommu_add_piece(function, base, size, PAGE_READ | PAGE_WRITE);
        }
    }
}

static bool iommu_is_first_of_device(unsigned i) {
    for (unsigned before = 0; before < i; before++) {
        if (pieces[before].function == pieces[i].function) {
            return false;
        }
    }
    return true;
}

static enum status iommu_map_all(struct iommu_domain *domain, uint16_t function) {
    enum status s = STATUS_OK;

    for (unsigned i = 0; s == STATUS_OK && i < piece_count; i++) {
        if (pieces[i].function == function) {
            s = iommu_map(&iommu, domain, &pieces[i]);
        }
    }
    return s;
}

static enum status iommu_allow_device(uint16_t function) {
    struct iommu_domain domain = {.number = (uint16_t)(domain_count + 1)};

    if (domain.number >= min_u64(iommu.domains, DOMAINS)) {
        return STATUS_FULL;
    }
    enum status s = iommu_make_domain(&iommu, &domain, &arch_heap);
    if (s == STATUS_OK) {
        s = iommu_map_all(&domain, function);
    }
    if (s == STATUS_OK) {
        domain_count++;
        s = iommu_allow(&iommu, function, &domain);
    }
    return s;
}

/* Of a device that cannot be allowed what it is to reach, nothing is left for the audit either. */
static void iommu_drop_pieces(uint16_t function) {
    unsigned kept = 0;

    for (unsigned i = 0; i < piece_count; i++) {
        if (pieces[i].function != function) {
            pieces[kept] = pieces[i];
            kept++;
        }
    }
    piece_count = kept;
}

static void iommu_allow_devices(void) {
    char address[FMT_PCI_SIZE];

    for (unsigned i = 0; i < piece_count;) {
        uint16_t function = pieces[i].function;
        enum status s = STATUS_OK;
        if (iommu_is_first_of_device(i)) {
            s = iommu_allow_device(function);
        }
        if (s == STATUS_OK) {
            i++;
            continue;
        }
        log_warn("IOMMU: PCI %s is held back whole: %s" MSG(4003), fmt_pci(address, function),
                 status_name(s));
        iommu_drop_pieces(function);
    }
}

/* ---- the start ---- */

static void iommu_add_units(const struct boot_info *info) {
    const struct iommu_driver *driver =
        info->dma.kind == BOOT_IOMMU_VTD ? &vtd_driver : &amd_vi_driver;

    iommu_init(&iommu, driver, &iommu_ops);
    memcpy(settings, info->dma.settings, sizeof(settings));
    iommu.settings = settings;
    iommu.setting_count = info->dma.setting_count;
    for (unsigned i = 0; i < found_count; i++) {
        const char *why = NULL;
        struct iommu_unit unit = {
            .machine = &found[i],
            .size = found[i].size,
            .control = found[i].control,
            .elsewhere = found[i].segment != 0,
        };
        if (iommu_add(&iommu, unit, &why) != STATUS_OK) {
            log_warn("IOMMU: the one at %#llx is not used: %s" MSG(4004), (ull)found[i].base.v,
                     why);
        }
    }
}

static void iommu_audit_all(void) {
    struct iommu_finding finding;
    char address[FMT_PCI_SIZE];

    if (iommu_audit(&iommu, &arch_heap, pieces, piece_count, &finding) != STATUS_OK) {
        plat_panic("IOMMU tables of PCI %s: %s: address %#llx, entry %#llx" MSG(5110),
                   fmt_pci(address, finding.function), finding.wrong, (ull)finding.address,
                   (ull)finding.entry);
    }
}

static unsigned iommu_units_on(void) {
    unsigned on = 0;
    for (unsigned i = 0; i < iommu.unit_count; i++) {
        on += iommu.units[i].on ? 1 : 0;
    }
    return on;
}

/* What the table says of the I/O APIC with that ID; NULL = nothing. */
static const struct boot_dma_ioapic *iommu_ioapic(uint8_t id) {
    for (uint32_t i = 0; i < ioapic_count; i++) {
        if (ioapics[i].id == id) {
            return &ioapics[i];
        }
    }
    return NULL;
}

/* False, and interrupts are better not remapped: one I/O APIC would be mute, for the source of its
 * interrupts is not known. */
static bool iommu_add_ioapics(const struct boot_info *info) {
    bool all = info->ioapic_count != 0;

    memcpy(ioapics, info->dma.ioapics, sizeof(ioapics));
    ioapic_count = info->dma.ioapic_count;
    for (uint32_t i = 0; i < info->ioapic_count; i++) {
        const struct boot_dma_ioapic *ioapic = iommu_ioapic(info->ioapics[i].id);
        all = all && ioapic != NULL && iommu_add_source(&iommu, ioapic->source) == STATUS_OK;
    }
    return all;
}

bool plat_irq_posts(void) {
    return iommu.remaps && iommu.posts;
}

static void iommu_report(const struct boot_info *info) {
    unsigned on = iommu_units_on();
    bool all = on == info->dma.unit_count && !info->dma.partial;
    char address[FMT_PCI_SIZE];

    log_info("IOMMU: %s, %u of %u units on: all DMA is denied but that of %u devices, audited",
             iommu.driver->name, on, info->dma.unit_count, domain_count);
    for (unsigned i = 0; i < piece_count; i++) {
        const struct iommu_piece *p = &pieces[i];
        log_info("IOMMU: PCI %s may %s %#llx-%#llx", fmt_pci(address, p->function),
                 (p->access & PAGE_WRITE) != 0 ? "read and write" : "read", (ull)p->address,
                 (ull)(p->address + p->size - 1));
    }
    log_info("IOMMU: interrupts are %s",
             iommu.remaps ? "remapped: a device raises none but its own" : "not remapped");
    if (plat_irq_posts()) {
        log_info("IOMMU: a device's interrupts can be posted to its guest");
    }
    if (!all) {
        log_warn("IOMMU: not all of ACPI's table is understood, or not all units are on: there may "
                 "be devices whose DMA is not held back" MSG(4005));
    }
}

/* Before it no device may be allowed to be a bus master; usb.c has its memory by then. */
void iommu_start_all(const struct boot_info *info) {
    if (found_count == 0) {
        log_info("IOMMU: %s: devices are held back by their bus master bits alone",
                 avoid_wants(AVOID_IOMMU) ? "not used" : "none");
        return;
    }
    told_units = info->dma.partial ? 0 : info->dma.unit_count;
    iommu_add_units(info);
    if (iommu.unit_count == 0 || iommu_prepare(&iommu) != STATUS_OK) {
        log_warn("IOMMU: none can be used" MSG(4006));
        iommu.unit_count = 0;
        return;
    }
    iommu.remaps = iommu.remaps && info->dma.interrupts && iommu_add_ioapics(info);
    iommu_gather(info);
    iommu_allow_devices();
    iommu_audit_all();
    iommu_start(&iommu);
    iommu_report(info);
}

enum iommu_pin iommu_route_pin(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                               uint64_t *entry) {
    uint16_t index;

    if (iommu.unit_count == 0 || !iommu.remaps) {
        return IOMMU_PIN_PLAIN;
    }
    struct iommu_irq irq = {
        .source = iommu_ioapic(ioapic)->source,
        .vector = vector,
        .apic_id = apic_id,
        .level = level,
    };
    if (iommu_allow_irq(&iommu, &irq, &index) != STATUS_OK) {
        return IOMMU_PIN_NONE;
    }
    *entry = iommu.driver->pin(index, &irq);
    return IOMMU_PIN_REMAPPED;
}

/* ---- devices of guests ---- */

/* All that ACPI tells of are on: a device behind another one would have no wall. */
static bool iommu_walls_in(void) {
    return told_units != 0 && iommu.remaps && iommu_units_on() == told_units;
}

/* The guest's RAM, at its own addresses. */
static enum status iommu_map_vm(struct iommu_domain *domain, const struct plan_vm *plan,
                                struct iommu_piece *ram) {
    enum status s = STATUS_OK;

    for (uint32_t i = 0; s == STATUS_OK && i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        ram[i] = (struct iommu_piece){
            .address = r->gpa.v, .hpa = r->hpa, .size = r->size, .access = PAGE_READ | PAGE_WRITE};
        s = iommu_map(&iommu, domain, &ram[i]);
    }
    return s;
}

static void iommu_audit_vm(const struct iommu_domain *domain, const struct plan_vm *plan,
                           const char *name, const struct iommu_piece *ram) {
    struct iommu_finding finding;

    if (iommu_audit_domain(&iommu, domain->tables.pool, domain, ram, plan->region_count,
                           &finding) != STATUS_OK) {
        plat_panic("IOMMU tables of %s: %s: address %#llx, entry %#llx" MSG(5111), name,
                   finding.wrong, (ull)finding.address, (ull)finding.entry);
    }
}

/* In, so that all memory that this takes is there, and out again. */
static enum status iommu_give(const struct iommu_domain *domain, uint16_t function,
                              const char *name) {
    enum status s = iommu_add_source(&iommu, function);

    if (s == STATUS_OK) {
        s = iommu_allow(&iommu, function, domain);
    }
    if (s == STATUS_OK) {
        s = iommu_deny(&iommu, function, domain->number);
    }
    given[given_count].function = function;
    given[given_count].name = name;
    given_count++;
    return s;
}

enum status plat_dma_make(const struct plan_vm *plan, const char *name, struct pool *pool,
                          uint32_t *number) {
    struct iommu_piece ram[PLAN_MAX_REGIONS];
    struct iommu_domain *domain = &vm_domains[vm_domain_count];

    if (!iommu_walls_in()) {
        return STATUS_UNSUPPORTED;
    }
    domain->number = (uint16_t)(domain_count + 1);
    if (domain->number >= min_u64(iommu.domains, DOMAINS)) {
        return STATUS_FULL;
    }
    enum status s = iommu_make_domain(&iommu, domain, pool);
    if (s == STATUS_OK) {
        s = iommu_map_vm(domain, plan, ram);
    }
    if (s != STATUS_OK) {
        return s;
    }
    vm_pools[vm_domain_count] = *pool;
    domain->tables.pool = &vm_pools[vm_domain_count];
    iommu_audit_vm(domain, plan, name, ram);
    for (uint32_t i = 0; s == STATUS_OK && i < plan->pci_count; i++) {
        s = iommu_give(domain, plan->functions[plan->pcis[i]].function, name);
    }
    *number = vm_domain_count;
    vm_domain_count++;
    domain_count++;
    return s;
}

enum status plat_dma_allow(uint32_t function, uint32_t domain, bool allow) {
    ASSERT(domain < vm_domain_count);
    const struct iommu_domain *own = &vm_domains[domain];

    lock_acquire(&iommu_lock);
    enum status s = allow ? iommu_allow(&iommu, (uint16_t)function, own)
                          : iommu_deny(&iommu, (uint16_t)function, own->number);
    lock_release(&iommu_lock);
    return s;
}

/* "Posted Interrupt Descriptor": APIC IDs are written as the table of interrupts has them. */
#define POST_VECTOR  16 /* shift */
#define POST_APIC_ID 40 /* the same, of 8 bits */
#define POST_WIDE_ID 32

uint64_t plat_post_word(unsigned cpu) {
    uint64_t id = cpu_get(cpu)->apic_id;
    return id << (iommu.wide ? POST_WIDE_ID : POST_APIC_ID) | (uint64_t)VECTOR_POSTED
                                                                  << POST_VECTOR;
}

static bool aims_are_same(const struct plat_aim *a, const struct plat_aim *b) {
    return a->cpu == b->cpu && a->vector == b->vector && a->descriptor == b->descriptor;
}

enum status plat_irq_allow(struct plat_irq *irq, uint32_t function, unsigned number,
                           const struct plat_aim *aim) {
    if (irq->settled && irq->function == function && aims_are_same(&irq->aim, aim)) {
        return STATUS_OK;
    }
    struct iommu_irq want = {.source = (uint16_t)function,
                             .vector = (uint8_t)(VECTOR_DEVICE + number),
                             .apic_id = cpu_get(aim->cpu)->apic_id};
    if (aim->descriptor != NULL) {
        want.vector = aim->vector;
        want.descriptor = phys_address(aim->descriptor);
    }

    lock_acquire(&iommu_lock);
    enum status s = irq->made ? iommu_change_irq(&iommu, &want, irq->index)
                              : iommu_allow_irq(&iommu, &want, &irq->index);
    lock_release(&iommu_lock);
    irq->settled = s == STATUS_OK;
    if (s == STATUS_OK || s == STATUS_TIMEOUT) { /* it is written, and will be in force */
        irq->made = true;
        irq->function = function;
        irq->aim = *aim;
        iommu.driver->message(irq->index, &irq->address, &irq->data);
    }
    return s;
}

/* ---- while guests run ---- */

static const char *iommu_owner(uint16_t function) {
    for (unsigned i = 0; i < given_count; i++) {
        if (given[i].function == function) {
            return given[i].name;
        }
    }
    for (unsigned i = 0; i < piece_count; i++) {
        if (pieces[i].function == function) {
            return "Bulkhead's or the firmware's";
        }
    }
    return "nobody's";
}

static bool iommu_take_fault(struct iommu_fault *fault) {
    lock_acquire(&iommu_lock);
    bool any = iommu_next_fault(&iommu, fault);
    lock_release(&iommu_lock);
    return any;
}

/* A device that is held back may go on trying: so many a time are read, few are told. */
void iommu_tell(void) {
    struct iommu_fault fault;
    char address[FMT_PCI_SIZE];

    for (unsigned i = 0; i < FAULTS_AT_ONCE && iommu_take_fault(&fault); i++) {
        uint32_t suppressed;
        told.faults++;
        if (log_limit_pass(&told.limit, &suppressed)) {
            log_warn("IOMMU: PCI %s, %s, was not let %s %#llx: %s (%llu so far)" MSG(4007),
                     fmt_pci(address, fault.function), iommu_owner(fault.function),
                     fault.write ? "write to" : "read", (ull)fault.address, fault.why,
                     (ull)told.faults);
        }
    }
}
