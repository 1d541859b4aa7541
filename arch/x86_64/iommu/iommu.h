/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMUs: no device reaches memory but by tables that are ours. Intel's VT-d and AMD's AMD-Vi
 * differ in a const driver; which one it is, ACPI's tables say and not the CPU's vendor. Portable
 * C: the unit's registers are reached by struct iommu_ops, so that unit tests are a unit. Owns the
 * tables of devices and the queues to the units. Called by arch/x86_64/iommu.c, one CPU at a time.
 *
 * All units of a machine share one table of devices, so that it need not be known which of them is
 * in front of a device. A device that is not in it reaches nothing.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/mem/pagetable.h"
#include "hv/plan/boot_info.h"

#define IOMMU_FUNCTIONS   0x10000u /* by bus << 8 | device << 3 | function */
#define IOMMU_MAX_UNITS   32u
#define IOMMU_IRQS        2048u
#define IOMMU_IRQS_SIZE   (16u * IOMMU_IRQS) /* bytes of VT-d's table */
#define IOMMU_MAX_SOURCES 64u
/* So often a register is read while a unit has something to do: about a second on hardware. */
#define IOMMU_PATIENCE    1000000u

struct iommu_ops {
    uint32_t (*read32)(void *machine, uint32_t offset);
    void (*write32)(void *machine, uint32_t offset, uint32_t value);
    uint64_t (*read64)(void *machine, uint32_t offset);
    void (*write64)(void *machine, uint32_t offset, uint64_t value);
    /* Out of the caches, for a unit that reads past them. */
    void (*write_back)(const void *from, uint64_t size);
    /* Zeroed pages below 4 GiB; NULL = there are none left. */
    void *(*alloc)(uint64_t size);
};

struct iommu_unit {
    void *machine;   /* for the operations */
    uint64_t size;   /* bytes of its registers */
    uint8_t control; /* AMD-Vi: what ACPI has for its control register */
    bool elsewhere;  /* it is in front of another segment's devices: none of them is allowed */
    bool on;
    uint64_t abilities;  /* its register for them */
    void *queue;         /* of commands */
    uint32_t queue_next; /* entry that is written next */
    uint64_t *done;      /* the unit writes there that it has come so far */
    uint64_t done_count;
    void *events; /* AMD-Vi: its log */
    uint32_t event_next;
};

/* Memory that a device may reach. All are multiples of 4 KiB. */
struct iommu_piece {
    uint16_t function;
    uint64_t address; /* by which the device calls it */
    hpa_t hpa;
    uint64_t size;
    unsigned access; /* enum page_access: read, write */
};

struct iommu_domain {
    uint16_t number; /* from 1 */
    struct pagetable tables;
};

/* An interrupt that a function may raise: an I/O APIC's, or a device's by MSI. */
struct iommu_irq {
    uint16_t source; /* the function */
    uint8_t vector;  /* of the host; of the guest, if it is posted */
    uint32_t apic_id;
    bool level;
    hpa_t descriptor; /* 0: it goes to that CPU; else it is posted there: iommu->posts */
};

struct iommu {
    const struct iommu_driver *driver;
    const struct iommu_ops *ops;
    unsigned unit_count;
    struct iommu_unit units[IOMMU_MAX_UNITS];
    /* What all units can do. */
    uint64_t space;  /* bytes of addresses for devices */
    uint64_t widths; /* VT-d: bits of its register for those that all units know */
    unsigned largest_level;
    uint32_t domains; /* numbers below this */
    bool coherent;
    void *devices;   /* the table of the first segment */
    void *elsewhere; /* of all others: empty; NULL = there is none */
    /* Interrupts. remaps: all units can, and once they are started, they do: a device raises what
     * stands here, and nothing else. */
    bool remaps;
    bool wide;            /* APIC IDs of 32 bits */
    bool posts;           /* VT-d: interrupts to guests */
    void *irqs, *no_irqs; /* VT-d: tables of the first segment and of others */
    uint32_t irq_count;
    uint16_t sources[IOMMU_MAX_SOURCES]; /* functions that may raise interrupts at all */
    uint32_t source_count;
    const struct boot_dma_setting *settings; /* AMD-Vi; set before iommu_prepare() */
    uint32_t setting_count;
};

struct iommu_fault {
    uint16_t function;
    uint64_t address; /* that the device wanted, if it wanted memory */
    bool write;
    const char *why;
};

/* The unit forgets what it knows of a function, and of a domain. STATUS_TIMEOUT: it did
 * not say so. */
typedef enum status iommu_forget(struct iommu *iommu, struct iommu_unit *unit, uint16_t function,
                                 uint16_t domain);

struct iommu_driver {
    const char *name;
    const struct pagetable_format *format;
    /* Reads what the unit can do. STATUS_UNSUPPORTED, with *why, if it cannot be used. */
    enum status (*probe)(struct iommu *iommu, struct iommu_unit *unit, const char **why);
    /* A table of devices that denies everything; NULL = no memory. */
    void *(*make_devices)(struct iommu *iommu);
    /* The unit holds all DMA back from here on. STATUS_TIMEOUT: it does not do what it is told. */
    enum status (*start)(struct iommu *iommu, struct iommu_unit *unit);
    /* The device's entry in iommu->devices; NULL = denied. */
    enum status (*set)(struct iommu *iommu, uint16_t function, const struct iommu_domain *domain);
    iommu_forget *forget;
    /* Interrupts: the unit holds all back but those of the table. */
    enum status (*start_irqs)(struct iommu *iommu, struct iommu_unit *unit);
    /* The unit lets all pass, also if a firmware had it hold them back. */
    enum status (*stop_irqs)(struct iommu *iommu, struct iommu_unit *unit);
    /* The function is to have interrupts, so far none. STATUS_NO_MEMORY. */
    enum status (*add_source)(struct iommu *iommu, uint16_t function);
    /* Entry of the table; the source was added. */
    void (*set_irq)(struct iommu *iommu, uint16_t index, const struct iommu_irq *irq);
    /* The entry, of the function: its index in the place of a domain. */
    iommu_forget *forget_irq;
    /* What the pin of an I/O APIC has to hold for that, but polarity and mask. */
    uint64_t (*pin)(uint16_t index, const struct iommu_irq *irq);
    /* What a device has to send for that. */
    void (*message)(uint16_t index, uint64_t *address, uint32_t *data);
    /* The next access that was held back; false = there is none. */
    bool (*next_fault)(struct iommu *iommu, struct iommu_unit *unit, struct iommu_fault *fault);
    /* What audit.c goes by, see there. */
    const struct iommu_layout *layout;
};

extern const struct iommu_layout iommu_layout_vtd, iommu_layout_amd_vi;
extern const struct iommu_driver vtd_driver, amd_vi_driver;

/*
 * core.c. First iommu_init(), then iommu_add() for each unit, iommu_prepare(), and iommu_start(),
 * which turns on all that were added. Devices are allowed before that, so that those that the
 * firmware has at work go on, or later.
 */
void iommu_init(struct iommu *iommu, const struct iommu_driver *driver,
                const struct iommu_ops *ops);
/* STATUS_UNSUPPORTED, with *why, if the unit cannot be used. */
MUST_USE enum status iommu_add(struct iommu *iommu, struct iommu_unit unit, const char **why);
/* Tables that deny everything. STATUS_NO_MEMORY: no unit was touched. */
MUST_USE enum status iommu_prepare(struct iommu *iommu);
/* From here on the units hold DMA back: each one's `on` tells if it does. */
void iommu_start(struct iommu *iommu);
/* An empty domain, tables in pool. */
MUST_USE enum status iommu_make_domain(struct iommu *iommu, struct iommu_domain *domain,
                                       struct pool *pool);
/* STATUS_INVALID if the units do not reach that far; else as pagetable_map(). */
MUST_USE enum status iommu_map(struct iommu *iommu, struct iommu_domain *domain,
                               const struct iommu_piece *piece);
/* The device reaches what the domain maps, and nothing else. In force on return. STATUS_TIMEOUT: a
 * unit did not confirm that it forgot what was before. */
MUST_USE enum status iommu_allow(struct iommu *iommu, uint16_t function,
                                 const struct iommu_domain *domain);
/* Nothing any more, of a device that was let into the domain with that number. The same. */
MUST_USE enum status iommu_deny(struct iommu *iommu, uint16_t function, uint16_t domain);
bool iommu_next_fault(struct iommu *iommu, struct iommu_fault *fault);
/* The function will be allowed interrupts. After iommu_prepare(). */
MUST_USE enum status iommu_add_source(struct iommu *iommu, uint16_t function);
/* Where iommu->remaps: the function, one that was added, may raise that interrupt; *index names it.
 * STATUS_INVALID: the units do not know such an APIC ID. STATUS_FULL. STATUS_TIMEOUT. */
MUST_USE enum status iommu_allow_irq(struct iommu *iommu, const struct iommu_irq *irq,
                                     uint16_t *index);

/* Another vector or CPU for an entry that iommu_allow_irq() has made; as that. */
MUST_USE enum status iommu_change_irq(struct iommu *iommu, const struct iommu_irq *irq,
                                      uint16_t index);

/* Waits for a register: `want` in the bits of `mask`. False: it did not come. */
bool iommu_wait32(const struct iommu *iommu, const struct iommu_unit *unit, uint32_t offset,
                  uint32_t mask, uint32_t want);
/* Waits until the unit has written its count to unit->done. */
bool iommu_wait_done(const struct iommu *iommu, const struct iommu_unit *unit);
/* For a unit that reads past the caches. */
void iommu_write_back(const struct iommu *iommu, const void *from, uint64_t size);

/* Of a function, the bits that all its settings have together. */
uint8_t iommu_setting(const struct iommu *iommu, uint16_t function);

/* audit.c: see there. own: where all tables have to be. */
struct iommu_finding {
    const char *wrong; /* NULL = nothing */
    uint16_t function;
    uint64_t address, entry;
};
/* The same of one domain, whoever is let into it: its tables, all in own, map the pieces and
 * nothing else. Their function does not matter. */
MUST_USE enum status iommu_audit_domain(const struct iommu *iommu, const struct pool *own,
                                        const struct iommu_domain *domain,
                                        const struct iommu_piece *pieces, uint32_t count,
                                        struct iommu_finding *finding);
MUST_USE enum status iommu_audit(const struct iommu *iommu, const struct pool *own,
                                 const struct iommu_piece *pieces, uint32_t count,
                                 struct iommu_finding *finding);
