/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel's IOMMU in legacy mode: a root table of 256 buses, a context table for each bus with a
 * device that is allowed, an entry for each of its functions. What is not present is denied.
 * Commands go through the invalidation queue. See iommu.h. Source: Intel Virtualization Technology
 * for Directed I/O, "Register Descriptions", "Translation Structure Formats", "Queued Invalidation
 * Interface", "Fault Logging".
 */
#include "arch/x86_64/iommu/iommu.h"
#include "hv/lib/msi.h"
#include "hv/lib/phys.h"

enum vtd_register {
    VTD_CAP = 0x08,    /* 64 bits */
    VTD_ECAP = 0x10,   /* 64 */
    VTD_GCMD = 0x18,   /* 32 */
    VTD_GSTS = 0x1c,   /* 32 */
    VTD_RTADDR = 0x20, /* 64 */
    VTD_FSTS = 0x34,   /* 32 */
    VTD_FECTL = 0x38,  /* 32 */
    VTD_PMEN = 0x64,   /* 32 */
    VTD_IQT = 0x88,    /* 64 */
    VTD_IQA = 0x90,    /* 64 */
    VTD_IRTA = 0xb8,   /* 64 */
};

#define CAP_DOMAINS(cap)    ((unsigned)(cap)&7u) /* 2 to the power of 4 + twice that */
#define CAP_WRITE_BUFFER    BIT(4)               /* has to be flushed */
#define CAP_WIDTH_39        BIT(9)
#define CAP_WIDTH_48        BIT(10)
#define CAP_FAULT_AT(cap)   ((uint32_t)((cap) >> 24 & 0x3ff) * 16)
#define CAP_PAGE_2M         BIT(34)
#define CAP_PAGE_1G         BIT(35)
#define CAP_FAULT_LAST(cap) ((uint32_t)((cap) >> 40 & 0xff))
#define CAP_POSTS           BIT(59)

#define ECAP_COHERENT BIT(0)
#define ECAP_QUEUE    BIT(1)
#define ECAP_IRQS     BIT(3)
#define ECAP_WIDE     BIT(4) /* APIC IDs of 32 bits */

/* Of both GCMD and GSTS; GSTS has some bits that are commands and not states. */
#define GLOBAL_TRANSLATION  BIT32(31)
#define GLOBAL_ROOT_POINTER BIT32(30)
#define GLOBAL_WRITE_BUFFER BIT32(27)
#define GLOBAL_QUEUE        BIT32(26)
#define GLOBAL_IRQS         BIT32(25)
#define GLOBAL_IRQ_POINTER  BIT32(24)
#define GLOBAL_OLD_IRQS     BIT32(23) /* interrupts that name no entry pass */
#define GLOBAL_STATES       0x96ffffffu

#define RTADDR_MODE BITS(10, 11) /* 0: legacy */

#define PMEN_ENABLED BIT32(31) /* memory that the firmware protects from all devices */
#define PMEN_IN_USE  BIT32(0)

#define FSTS_OVERFLOW BIT32(0)
#define FSTS_ERRORS   0x7fu /* each is cleared by a 1 */
#define FECTL_MASKED  BIT32(31)

#define QUEUE_ENTRIES     256u
#define QUEUE_ENTRY_SHIFT 4

#define COMMAND_CONTEXT      1u
#define COMMAND_IOTLB        2u
#define COMMAND_IRQS         4u        /* all entries are forgotten, */
#define COMMAND_IRQ_ONE      (1u << 4) /* or with it one: */
#define COMMAND_IRQ_INDEX    32        /* shift */
#define COMMAND_WAIT         5u
#define COMMAND_GLOBAL       (1u << 4)
#define COMMAND_DRAIN        (BIT(6) | BIT(7)) /* of writes and reads on their way */
#define COMMAND_WAIT_WRITES  BIT(5)
#define COMMAND_WAIT_IN_TURN BIT(6)

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_ADDRESS  BITS(12, 51)
#define CONTEXT_39     1u
#define CONTEXT_48     2u
#define CONTEXT_NUMBER 8 /* shift: of the domain */

#define SPACE_39 BIT(39)

#define IRTA_ENTRIES       10u /* 2 to that power, and once more: IOMMU_IRQS */
#define IRTA_WIDE          BIT(11)
#define IRQ_PRESENT        BIT(0)
#define IRQ_LEVEL          BIT(4)
#define IRQ_VECTOR         16 /* shift */
#define IRQ_APIC_ID        40 /* the same, of 8 bits */
#define IRQ_WIDE_ID        32
#define IRQ_POSTED         BIT(15)
#define IRQ_DESCRIPTOR     BITS(6, 31) /* where it is posted: so much of its address stands there, */
#define IRQ_DESCRIPTOR_TOP (~BITS(0, 31)) /* and the rest in the upper half */
#define IRQ_CHECKED        BIT(18) /* in the upper half: the source has to be the right one */
#define PIN_REMAPPED       BIT(48)
#define PIN_INDEX          49 /* shift: of its lower 15 bits */
#define PIN_INDEX_TOP      11 /* the same, of the next one */
#define PIN_LEVEL          BIT(15)

#define MESSAGE_REMAPPED  BIT(4)
#define MESSAGE_INDEX     BIT(5) /* from here on its lower 15 bits */
#define MESSAGE_INDEX_TOP BIT(2) /* the next one */

#define FAULT_SIZE     16u
#define FAULT_PRESENT  BIT(63)
#define FAULT_READ     BIT(62)
#define FAULT_REASON   32 /* shift */
#define FAULT_FUNCTION 0xffffu

struct vtd_entry {
    uint64_t low, high;
};

struct vtd_table {
    struct vtd_entry entries[256];
};
_Static_assert(sizeof(struct vtd_table) == PAGE_SIZE, "root and context tables are a page");

static uint32_t vtd_read32(const struct iommu *iommu, const struct iommu_unit *unit,
                           uint32_t offset) {
    return iommu->ops->read32(unit->machine, offset);
}

static enum status vtd_probe(struct iommu *iommu, struct iommu_unit *unit, const char **why) {
    uint64_t cap = iommu->ops->read64(unit->machine, VTD_CAP);
    uint64_t ecap = iommu->ops->read64(unit->machine, VTD_ECAP);
    uint64_t faults_end = CAP_FAULT_AT(cap) + (CAP_FAULT_LAST(cap) + 1) * FAULT_SIZE;

    unit->abilities = cap;
    *why = NULL;
    if (cap == UINT64_MAX || cap == 0) {
        *why = "its registers do not answer";
    } else if ((ecap & ECAP_QUEUE) == 0) {
        *why = "it has no queued invalidation";
    } else if ((cap & iommu->widths & (CAP_WIDTH_39 | CAP_WIDTH_48)) == 0) {
        *why = "it knows neither 39 nor 48 address bits, as others do";
    } else if (faults_end > unit->size) {
        *why = "its fault records lie outside of its registers";
    }
    if (*why != NULL) {
        return STATUS_UNSUPPORTED;
    }

    iommu->widths &= cap;
    if ((iommu->widths & CAP_WIDTH_48) == 0) {
        iommu->space = SPACE_39;
    }
    if ((cap & CAP_PAGE_2M) == 0) {
        iommu->largest_level = 1;
    } else if ((cap & CAP_PAGE_1G) == 0 && iommu->largest_level > 2) {
        iommu->largest_level = 2;
    }
    uint32_t domains = 1u << (4 + 2 * min_u64(CAP_DOMAINS(cap), 6));
    iommu->domains = (uint32_t)min_u64(iommu->domains, domains);
    iommu->coherent = iommu->coherent && (ecap & ECAP_COHERENT) != 0;
    iommu->remaps = iommu->remaps && (ecap & ECAP_IRQS) != 0;
    iommu->wide = iommu->wide && (ecap & ECAP_WIDE) != 0;
    iommu->posts = iommu->posts && (cap & CAP_POSTS) != 0;
    return STATUS_OK;
}

static void *vtd_make_devices(struct iommu *iommu) {
    void *root = iommu->ops->alloc(sizeof(struct vtd_table));
    if (root != NULL) {
        iommu_write_back(iommu, root, sizeof(struct vtd_table));
    }
    return root;
}

/* ---- commands ---- */

/* Changes one state, or gives one command, and waits until the unit has it so. */
static enum status vtd_global(struct iommu *iommu, struct iommu_unit *unit, uint32_t bit, bool on,
                              uint32_t wait_for) {
    uint32_t states = vtd_read32(iommu, unit, VTD_GSTS) & GLOBAL_STATES & ~bit;

    iommu->ops->write32(unit->machine, VTD_GCMD, on ? states | bit : states);
    bool came = iommu_wait32(iommu, unit, VTD_GSTS, bit, wait_for);
    return came ? STATUS_OK : STATUS_TIMEOUT;
}

static void vtd_push(struct iommu_unit *unit, struct vtd_entry command) {
    struct vtd_entry *queue = unit->queue;

    queue[unit->queue_next] = command;
    unit->queue_next = (unit->queue_next + 1) % QUEUE_ENTRIES;
}

/* All commands that were pushed, to their end. The queue is empty before and after. */
static enum status vtd_run(struct iommu *iommu, struct iommu_unit *unit) {
    unit->done_count = (uint32_t)unit->done_count + 1;
    vtd_push(unit, (struct vtd_entry){
                       .low = COMMAND_WAIT | COMMAND_WAIT_WRITES | COMMAND_WAIT_IN_TURN |
                              unit->done_count << 32,
                       .high = phys_address(unit->done).v,
                   });
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    iommu->ops->write64(unit->machine, VTD_IQT, (uint64_t)unit->queue_next << QUEUE_ENTRY_SHIFT);
    return iommu_wait_done(iommu, unit) ? STATUS_OK : STATUS_TIMEOUT;
}

/* Old chipsets keep writes to the tables back until they are told. */
static enum status vtd_flush_write_buffer(struct iommu *iommu, struct iommu_unit *unit) {
    if ((unit->abilities & CAP_WRITE_BUFFER) == 0) {
        return STATUS_OK;
    }
    return vtd_global(iommu, unit, GLOBAL_WRITE_BUFFER, true, 0);
}

static enum status vtd_forget_all(struct iommu *iommu, struct iommu_unit *unit) {
    vtd_push(unit, (struct vtd_entry){.low = COMMAND_CONTEXT | COMMAND_GLOBAL});
    vtd_push(unit, (struct vtd_entry){.low = COMMAND_IOTLB | COMMAND_GLOBAL | COMMAND_DRAIN});
    return vtd_run(iommu, unit);
}

/* A unit keeps a device's entry by the number of the domain that it was for, which is not known
 * here any more: so all goes. */
static enum status vtd_forget(struct iommu *iommu, struct iommu_unit *unit,
                              UNUSED uint16_t function, UNUSED uint16_t domain) {
    enum status s = vtd_flush_write_buffer(iommu, unit);
    return s == STATUS_OK ? vtd_forget_all(iommu, unit) : s;
}

/* ---- start ---- */

/* A firmware that had the queue in use is done with it. */
static enum status vtd_start_queue(struct iommu *iommu, struct iommu_unit *unit) {
    enum status s = vtd_global(iommu, unit, GLOBAL_QUEUE, false, 0);
    if (s != STATUS_OK) {
        return s;
    }
    iommu->ops->write64(unit->machine, VTD_IQT, 0);
    iommu->ops->write64(unit->machine, VTD_IQA, phys_address(unit->queue).v);
    return vtd_global(iommu, unit, GLOBAL_QUEUE, true, GLOBAL_QUEUE);
}

/* A firmware may have translation on already; it goes on, now by our tables. But a table of another
 * kind cannot be changed for ours while it is in use. */
static enum status vtd_set_root(struct iommu *iommu, struct iommu_unit *unit) {
    const void *root = unit->elsewhere ? iommu->elsewhere : iommu->devices;
    uint64_t before = iommu->ops->read64(unit->machine, VTD_RTADDR);
    enum status s = STATUS_OK;

    if ((before & RTADDR_MODE) != 0) {
        s = vtd_global(iommu, unit, GLOBAL_TRANSLATION, false, 0);
    }
    if (s != STATUS_OK) {
        return s;
    }
    iommu->ops->write64(unit->machine, VTD_RTADDR, phys_address(root).v);
    s = vtd_global(iommu, unit, GLOBAL_ROOT_POINTER, true, GLOBAL_ROOT_POINTER);
    return s == STATUS_OK ? vtd_forget_all(iommu, unit) : s;
}

/* Faults are looked for by timer: a storm of them is no storm of interrupts. Each record is cleared
 * once, for there are units whose registers do not answer. */
static void vtd_start_faults(struct iommu *iommu, struct iommu_unit *unit) {
    iommu->ops->write32(unit->machine, VTD_FECTL, FECTL_MASKED);
    for (uint32_t i = 0; i <= CAP_FAULT_LAST(unit->abilities); i++) {
        struct iommu_fault fault;
        if (!vtd_driver.next_fault(iommu, unit, &fault)) {
            break;
        }
    }
    iommu->ops->write32(unit->machine, VTD_FSTS, FSTS_ERRORS);
}

/* The firmware's protection of memory would hold allowed devices back as well. */
static void vtd_end_protection(struct iommu *iommu, struct iommu_unit *unit) {
    if ((vtd_read32(iommu, unit, VTD_PMEN) & PMEN_IN_USE) != 0) {
        iommu->ops->write32(unit->machine, VTD_PMEN, 0);
        (void)iommu_wait32(iommu, unit, VTD_PMEN, PMEN_IN_USE | PMEN_ENABLED, 0);
    }
}

static enum status vtd_start(struct iommu *iommu, struct iommu_unit *unit) {
    vtd_start_faults(iommu, unit);
    enum status s = vtd_flush_write_buffer(iommu, unit);
    if (s == STATUS_OK) {
        s = vtd_start_queue(iommu, unit);
    }
    if (s == STATUS_OK) {
        s = vtd_set_root(iommu, unit);
    }
    if (s == STATUS_OK) {
        s = vtd_global(iommu, unit, GLOBAL_TRANSLATION, true, GLOBAL_TRANSLATION);
    }
    if (s == STATUS_OK) {
        vtd_end_protection(iommu, unit);
    }
    return s;
}

/* ---- devices ---- */

static struct vtd_entry *vtd_root(struct iommu *iommu, unsigned bus) {
    return &((struct vtd_table *)iommu->devices)->entries[bus];
}

/* The bus's table of contexts, made when it is first needed; NULL = no memory. */
static struct vtd_table *vtd_contexts(struct iommu *iommu, unsigned bus) {
    struct vtd_entry *root = vtd_root(iommu, bus);

    if ((root->low & ENTRY_PRESENT) == 0) {
        void *table = iommu->ops->alloc(sizeof(struct vtd_table));
        if (table == NULL) {
            return NULL;
        }
        iommu_write_back(iommu, table, sizeof(struct vtd_table));
        __atomic_store_n(&root->low, phys_address(table).v | ENTRY_PRESENT, __ATOMIC_RELEASE);
        iommu_write_back(iommu, root, sizeof(*root));
    }
    return phys_pointer(HPA(root->low & ENTRY_ADDRESS));
}

/* A unit of 39 bits begins its walk one level lower, where all that it reaches is. */
static struct vtd_entry vtd_context(const struct iommu *iommu, const struct iommu_domain *domain) {
    bool narrow = iommu->space == SPACE_39;
    uint64_t root = phys_address(domain->tables.root).v;

    return (struct vtd_entry){
        .low = (narrow ? domain->tables.root[0] & ENTRY_ADDRESS : root) | ENTRY_PRESENT,
        .high = (narrow ? CONTEXT_39 : CONTEXT_48) | (uint64_t)domain->number << CONTEXT_NUMBER,
    };
}

static enum status vtd_set(struct iommu *iommu, uint16_t function,
                           const struct iommu_domain *domain) {
    if (domain == NULL && (vtd_root(iommu, function >> 8)->low & ENTRY_PRESENT) == 0) {
        return STATUS_OK;
    }
    struct vtd_table *contexts = vtd_contexts(iommu, function >> 8);
    if (contexts == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct vtd_entry *entry = &contexts->entries[function & 0xff];
    struct vtd_entry context = {0};
    if (domain != NULL && (domain->tables.root[0] != 0 || iommu->space != SPACE_39)) {
        context = vtd_context(iommu, domain); /* else it maps nothing: not present is the same */
    }
    /* Not present while it is neither the old one nor the new one. */
    __atomic_store_n(&entry->low, 0, __ATOMIC_RELEASE);
    iommu_write_back(iommu, entry, sizeof(*entry));
    entry->high = context.high;
    __atomic_store_n(&entry->low, context.low, __ATOMIC_RELEASE);
    iommu_write_back(iommu, entry, sizeof(*entry));
    return STATUS_OK;
}

/* ---- interrupts ---- */

static enum status vtd_run_irqs(struct iommu *iommu, struct iommu_unit *unit, uint64_t command) {
    enum status s = vtd_flush_write_buffer(iommu, unit);
    if (s != STATUS_OK) {
        return s;
    }
    vtd_push(unit, (struct vtd_entry){.low = COMMAND_IRQS | command});
    return vtd_run(iommu, unit);
}

/* That entry alone: the other guests' stay where the unit has them at hand. */
static enum status vtd_forget_irq(struct iommu *iommu, struct iommu_unit *unit,
                                  UNUSED uint16_t function, uint16_t index) {
    return vtd_run_irqs(iommu, unit, COMMAND_IRQ_ONE | (uint64_t)index << COMMAND_IRQ_INDEX);
}

/* GLOBAL_OLD_IRQS goes: no interrupt passes that names no entry. */
static enum status vtd_start_irqs(struct iommu *iommu, struct iommu_unit *unit) {
    const void *table = unit->elsewhere ? iommu->no_irqs : iommu->irqs;
    uint64_t wide = iommu->wide ? IRTA_WIDE : 0;

    iommu_write_back(iommu, table, IOMMU_IRQS_SIZE);
    enum status s = vtd_global(iommu, unit, GLOBAL_OLD_IRQS, false, 0);
    if (s != STATUS_OK) {
        return s;
    }
    iommu->ops->write64(unit->machine, VTD_IRTA, phys_address(table).v | wide | IRTA_ENTRIES);
    s = vtd_global(iommu, unit, GLOBAL_IRQ_POINTER, true, GLOBAL_IRQ_POINTER);
    if (s == STATUS_OK) {
        s = vtd_run_irqs(iommu, unit, 0);
    }
    return s == STATUS_OK ? vtd_global(iommu, unit, GLOBAL_IRQS, true, GLOBAL_IRQS) : s;
}

static enum status vtd_stop_irqs(struct iommu *iommu, struct iommu_unit *unit) {
    return vtd_global(iommu, unit, GLOBAL_IRQS, false, 0);
}

/* One table serves all: each entry names its source. */
static enum status vtd_add_source(UNUSED struct iommu *iommu, UNUSED uint16_t function) {
    return STATUS_OK;
}

/* Both halves at once: the unit sees the old one or the new one, and no interrupt is lost. */
static void vtd_replace(struct vtd_entry *entry, struct vtd_entry with) {
    struct vtd_entry seen = *entry; /* nobody else writes to it */

    __asm__ volatile("lock cmpxchg16b %0"
                     : "+m"(*entry), "+a"(seen.low), "+d"(seen.high)
                     : "b"(with.low), "c"(with.high)
                     : "cc", "memory");
}

/* "Interrupt Remapping Table Entry (IRTE) for Remapped Interrupts", "... for Posted Interrupts". */
static void vtd_set_irq(struct iommu *iommu, uint16_t index, const struct iommu_irq *irq) {
    struct vtd_entry *entry = (struct vtd_entry *)iommu->irqs + index;
    struct vtd_entry with = {.low = IRQ_PRESENT | (uint64_t)irq->vector << IRQ_VECTOR,
                             .high = irq->source | IRQ_CHECKED};

    if (irq->descriptor.v != 0) {
        with.low |= IRQ_POSTED | (irq->descriptor.v & IRQ_DESCRIPTOR) << 32;
        with.high |= irq->descriptor.v & IRQ_DESCRIPTOR_TOP;
    } else {
        with.low |= (uint64_t)irq->apic_id << (iommu->wide ? IRQ_WIDE_ID : IRQ_APIC_ID);
        with.low |= irq->level ? IRQ_LEVEL : 0;
    }
    vtd_replace(entry, with);
    iommu_write_back(iommu, entry, sizeof(*entry));
}

/* The vector stands there for the end of a level. */
static uint64_t vtd_pin(uint16_t index, const struct iommu_irq *irq) {
    uint64_t pin = PIN_REMAPPED | irq->vector;

    pin |= (uint64_t)(index & 0x7fff) << PIN_INDEX;
    pin |= (uint64_t)(index >> 15) << PIN_INDEX_TOP;
    return pin | (irq->level ? PIN_LEVEL : 0);
}

/* "Interrupt Requests in Remappable Format": the entry alone counts, not the data. */
static void vtd_message(uint16_t index, uint64_t *address, uint32_t *data) {
    *address = MSI_ADDRESS | MESSAGE_REMAPPED | (index & 0x7fffu) * MESSAGE_INDEX |
               (index >> 15) * MESSAGE_INDEX_TOP;
    *data = 0;
}

/* ---- faults ---- */

/* "Fault Reason Encodings". */
static const char *vtd_reason(uint64_t reason) {
    static const char *const names[] = {
        [1] = "no access is allowed to it",
        [2] = "no access is allowed to it",
        [3] = "its entry is wrong",
        [4] = "beyond the addresses of devices",
        [5] = "it may not write there",
        [6] = "it may not read there",
        [7] = "tables that cannot be read",
        [8] = "the root table cannot be read",
        [9] = "the context table cannot be read",
        [0x20] = "an interrupt with bits that are to be 0",
        [0x21] = "an interrupt that there is not",
        [0x22] = "an interrupt that it may not raise",
        [0x23] = "the table of interrupts cannot be read",
        [0x24] = "an interrupt's entry is wrong",
        [0x25] = "an interrupt that names no entry",
        [0x26] = "an interrupt of another device",
    };
    bool known = reason < ARRAY_SIZE(names) && names[reason] != NULL;
    return known ? names[reason] : "another reason";
}

static bool vtd_next_fault(struct iommu *iommu, struct iommu_unit *unit,
                           struct iommu_fault *fault) {
    uint32_t first = CAP_FAULT_AT(unit->abilities);

    for (uint32_t i = 0; i <= CAP_FAULT_LAST(unit->abilities); i++) {
        uint32_t at = first + i * FAULT_SIZE;
        uint64_t high = iommu->ops->read64(unit->machine, at + sizeof(uint64_t));
        if ((high & FAULT_PRESENT) == 0) {
            continue;
        }
        *fault = (struct iommu_fault){
            .function = (uint16_t)(high & FAULT_FUNCTION),
            .address = ALIGN_DOWN(iommu->ops->read64(unit->machine, at), PAGE_SIZE),
            .write = (high & FAULT_READ) == 0,
            .why = vtd_reason(high >> FAULT_REASON & 0xff),
        };
        iommu->ops->write64(unit->machine, at + sizeof(uint64_t), FAULT_PRESENT);
        return true;
    }
    if ((vtd_read32(iommu, unit, VTD_FSTS) & FSTS_OVERFLOW) != 0) {
        iommu->ops->write32(unit->machine, VTD_FSTS, FSTS_OVERFLOW); /* or none is recorded */
    }
    return false;
}

const struct iommu_driver vtd_driver = {
    .name = "VT-d",
    .format = &pagetable_format_vtd,
    .probe = vtd_probe,
    .make_devices = vtd_make_devices,
    .start = vtd_start,
    .set = vtd_set,
    .forget = vtd_forget,
    .start_irqs = vtd_start_irqs,
    .stop_irqs = vtd_stop_irqs,
    .add_source = vtd_add_source,
    .set_irq = vtd_set_irq,
    .forget_irq = vtd_forget_irq,
    .pin = vtd_pin,
    .message = vtd_message,
    .next_fault = vtd_next_fault,
    .layout = &iommu_layout_vtd,
};
