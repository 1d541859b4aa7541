/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is the same for all IOMMUs; see iommu.h.
 */
#include "arch/x86_64/iommu/iommu.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"

void iommu_init(struct iommu *iommu, const struct iommu_driver *driver,
                const struct iommu_ops *ops) {
    *iommu = (struct iommu){
        .driver = driver,
        .ops = ops,
        .space = PAGETABLE_SPACE,
        .widths = UINT64_MAX,
        .largest_level = 3,
        .domains = IOMMU_FUNCTIONS,
        .coherent = true,
        .remaps = true,
        .wide = true,
        .posts = true,
    };
}

enum status iommu_add(struct iommu *iommu, struct iommu_unit unit, const char **why) {
    if (iommu->unit_count == IOMMU_MAX_UNITS) {
        *why = "there are too many";
        return STATUS_UNSUPPORTED;
    }
    enum status s = iommu->driver->probe(iommu, &unit, why);
    if (s == STATUS_OK) {
        iommu->units[iommu->unit_count] = unit;
        iommu->unit_count++;
    }
    return s;
}

static bool iommu_any_elsewhere(const struct iommu *iommu) {
    for (unsigned i = 0; i < iommu->unit_count; i++) {
        if (iommu->units[i].elsewhere) {
            return true;
        }
    }
    return false;
}

enum status iommu_prepare(struct iommu *iommu) {
    iommu->devices = iommu->driver->make_devices(iommu);
    if (iommu->devices == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (iommu_any_elsewhere(iommu)) {
        iommu->elsewhere = iommu->driver->make_devices(iommu);
        if (iommu->elsewhere == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    iommu->irqs = iommu->ops->alloc(IOMMU_IRQS_SIZE);
    iommu->no_irqs = iommu->ops->alloc(IOMMU_IRQS_SIZE);
    if (iommu->irqs == NULL || iommu->no_irqs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (unsigned i = 0; i < iommu->unit_count; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        unit->queue = iommu->ops->alloc(PAGE_SIZE);
        unit->events = iommu->ops->alloc(PAGE_SIZE);
        unit->done = iommu->ops->alloc(PAGE_SIZE);
        if (unit->queue == NULL || unit->events == NULL || unit->done == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

/* One unit that does not come along, and I/O APICs behind it would be mute. */
static void iommu_start_irqs(struct iommu *iommu) {
    for (unsigned i = 0; i < iommu->unit_count && iommu->remaps; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        unit->on = unit->on && iommu->driver->start_irqs(iommu, unit) == STATUS_OK;
        iommu->remaps = unit->on;
    }
    for (unsigned i = 0; i < iommu->unit_count && !iommu->remaps; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        unit->on = unit->on && iommu->driver->stop_irqs(iommu, unit) == STATUS_OK;
    }
}

void iommu_start(struct iommu *iommu) {
    for (unsigned i = 0; i < iommu->unit_count; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        unit->on = iommu->driver->start(iommu, unit) == STATUS_OK;
    }
    iommu_start_irqs(iommu);
}

enum status iommu_make_domain(struct iommu *iommu, struct iommu_domain *domain, struct pool *pool) {
    return pagetable_init(&domain->tables, iommu->driver->format, pool, iommu->largest_level);
}

enum status iommu_map(struct iommu *iommu, struct iommu_domain *domain,
                      const struct iommu_piece *piece) {
    if (!range_contains(0, iommu->space, piece->address, piece->size)) {
        return STATUS_INVALID;
    }
    return pagetable_map(&domain->tables, piece->address, piece->hpa, piece->size, piece->access,
                         PAGE_WB);
}

/* In all units that may know of it, after one that does not answer as well: another may be in front
 * of the device. */
static enum status iommu_each_forgets(struct iommu *iommu, iommu_forget *forget, uint16_t function,
                                      uint16_t domain) {
    enum status s = STATUS_OK;

    for (unsigned i = 0; i < iommu->unit_count; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        if (unit->on && !unit->elsewhere && forget(iommu, unit, function, domain) != STATUS_OK) {
            s = STATUS_TIMEOUT;
        }
    }
    return s;
}

/* A pool hands out ascending addresses, so the domain's tables follow its root. */
static void iommu_write_back_domain(const struct iommu *iommu, const struct iommu_domain *domain) {
    const struct pagetable *t = &domain->tables;
    uint64_t from = t->own - PAGE_SIZE;

    iommu_write_back(iommu, phys_pointer(HPA(t->pool->base.v + from)), t->pool->used - from);
}

static enum status iommu_set(struct iommu *iommu, uint16_t function,
                             const struct iommu_domain *domain, uint16_t number) {
    enum status s = iommu->driver->set(iommu, function, domain);
    return s != STATUS_OK ? s : iommu_each_forgets(iommu, iommu->driver->forget, function, number);
}

enum status iommu_allow(struct iommu *iommu, uint16_t function, const struct iommu_domain *domain) {
    iommu_write_back_domain(iommu, domain);
    return iommu_set(iommu, function, domain, domain->number);
}

enum status iommu_deny(struct iommu *iommu, uint16_t function, uint16_t domain) {
    return iommu_set(iommu, function, NULL, domain);
}

static bool iommu_is_source(const struct iommu *iommu, uint16_t function) {
    for (uint32_t i = 0; i < iommu->source_count; i++) {
        if (iommu->sources[i] == function) {
            return true;
        }
    }
    return false;
}

enum status iommu_add_source(struct iommu *iommu, uint16_t function) {
    if (iommu_is_source(iommu, function)) {
        return STATUS_OK;
    }
    if (iommu->source_count == IOMMU_MAX_SOURCES) {
        return STATUS_FULL;
    }
    enum status s = iommu->driver->add_source(iommu, function);
    if (s == STATUS_OK) {
        iommu->sources[iommu->source_count] = function;
        iommu->source_count++;
    }
    return s;
}

enum status iommu_change_irq(struct iommu *iommu, const struct iommu_irq *irq, uint16_t index) {
    if ((!iommu->wide && irq->apic_id > UINT8_MAX) || index >= iommu->irq_count) {
        return STATUS_INVALID;
    }
    iommu->driver->set_irq(iommu, index, irq);
    return iommu_each_forgets(iommu, iommu->driver->forget_irq, irq->source, index);
}

enum status iommu_allow_irq(struct iommu *iommu, const struct iommu_irq *irq, uint16_t *index) {
    if ((!iommu->wide && irq->apic_id > UINT8_MAX) || !iommu_is_source(iommu, irq->source)) {
        return STATUS_INVALID;
    }
    if (iommu->irq_count == IOMMU_IRQS) {
        return STATUS_FULL;
    }
    *index = (uint16_t)iommu->irq_count;
    iommu->irq_count++;
    return iommu_change_irq(iommu, irq, *index);
}

bool iommu_next_fault(struct iommu *iommu, struct iommu_fault *fault) {
    for (unsigned i = 0; i < iommu->unit_count; i++) {
        struct iommu_unit *unit = &iommu->units[i];
        if (unit->on && iommu->driver->next_fault(iommu, unit, fault)) {
            return true;
        }
    }
    return false;
}

uint8_t iommu_setting(const struct iommu *iommu, uint16_t function) {
    uint8_t bits = 0;

    for (uint32_t i = 0; i < iommu->setting_count; i++) {
        const struct boot_dma_setting *setting = &iommu->settings[i];
        if (function >= setting->first && function <= setting->last) {
            bits |= setting->bits;
        }
    }
    return bits;
}

bool iommu_wait32(const struct iommu *iommu, const struct iommu_unit *unit, uint32_t offset,
                  uint32_t mask, uint32_t want) {
    for (unsigned i = 0; i < IOMMU_PATIENCE; i++) {
        if ((iommu->ops->read32(unit->machine, offset) & mask) == want) {
            return true;
        }
    }
    return false;
}

bool iommu_wait_done(const struct iommu *iommu, const struct iommu_unit *unit) {
    for (unsigned i = 0; i < IOMMU_PATIENCE; i++) {
        if (__atomic_load_n(unit->done, __ATOMIC_ACQUIRE) == unit->done_count) {
            return true;
        }
        (void)iommu->ops->read32(unit->machine, 0); /* takes its time */
    }
    return false;
}

void iommu_write_back(const struct iommu *iommu, const void *from, uint64_t size) {
    if (!iommu->coherent) {
        iommu->ops->write_back(from, size);
    }
}
