/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD's IOMMU: one table of all 65,536 functions. An entry that is not valid would let its device
 * through, so that each one is valid and allows nothing, until its device is allowed something. See
 * iommu.h. Source: AMD I/O Virtualization Technology (IOMMU) Specification, "Device Table Entry
 * Format", "Commands", "Event Logging", "MMIO Registers".
 */
#include "arch/x86_64/iommu/iommu.h"
#include "hv/lib/msi.h"
#include "hv/lib/phys.h"

enum amd_vi_register { /* of 64 bits */
                       AMD_VI_DEVICES = 0x00,
                       AMD_VI_COMMANDS = 0x08,
                       AMD_VI_EVENTS = 0x10,
                       AMD_VI_CONTROL = 0x18,
                       AMD_VI_EXCLUSION = 0x20,
                       AMD_VI_ABILITIES = 0x30,
                       AMD_VI_COMMAND_HEAD = 0x2000,
                       AMD_VI_COMMAND_TAIL = 0x2008,
                       AMD_VI_EVENT_HEAD = 0x2010,
                       AMD_VI_EVENT_TAIL = 0x2018,
                       AMD_VI_STATUS = 0x2020,
};

#define REGISTERS_SIZE (16 * KIB)

#define CONTROL_ON       BIT(0)
#define CONTROL_EVENTS   BIT(2)
#define CONTROL_COHERENT BIT(10) /* tables are read through the caches */
#define CONTROL_COMMANDS BIT(12)
/* Where ACPI's bits for it go. */
static const struct {
    uint8_t table;
    uint64_t control;
} amd_vi_controls[] = {
    {.table = BIT32(0), .control = BIT(1)},  /* HyperTransport tunnel */
    {.table = BIT32(1), .control = BIT(8)},  /* posted writes pass others */
    {.table = BIT32(2), .control = BIT(9)},  /* responses too */
    {.table = BIT32(3), .control = BIT(11)}, /* isochronous reads */
};

#define ABILITY_FORGET_ALL BIT(6)

#define STATUS_EVENT_OVERFLOW BIT(0)
#define STATUS_EVENTS_RUN     BIT(3)
#define STATUS_COMMANDS_RUN   BIT(4)

#define RING_ENTRIES     256u
#define RING_ENTRY_SHIFT 4
#define RING_LENGTH      (8ull << 56) /* 256, as a power of two */

#define COMMAND(number)       ((uint64_t)(number) << 60)
#define COMMAND_WAIT          COMMAND(1)
#define COMMAND_FORGET_DEVICE COMMAND(2)
#define COMMAND_FORGET_PAGES  COMMAND(3)
#define COMMAND_FORGET_IRQS   COMMAND(5)
#define COMMAND_FORGET_ALL    COMMAND(8)
#define COMMAND_WAIT_STORES   BIT(0)
#define COMMAND_DOMAIN        32                    /* shift */
#define COMMAND_ALL_PAGES     0x7ffffffffffff003ull /* the whole space, and what leads there */

#define EVENT_CODE     60 /* shift */
#define EVENT_FUNCTION 0xffffu
#define EVENT_WRITE    BIT(53)
enum amd_vi_event {
    EVENT_WRONG_ENTRY = 1,
    EVENT_PAGE_FAULT = 2,
    EVENT_ENTRY_UNREAD = 3,
    EVENT_TABLE_UNREAD = 4,
    EVENT_WRONG_COMMAND = 5,
    EVENT_COMMAND_UNREAD = 6,
    EVENT_TIMEOUT = 7,
    EVENT_WRONG_REQUEST = 8,
};

#define DEVICE_VALID        BIT(0)
#define DEVICE_TRANSLATED   BIT(1)
#define DEVICE_LEVELS       (4ull << 9)
#define DEVICE_READ         BIT(61)
#define DEVICE_WRITE        BIT(62)
/* Of the third word. Without a valid table all interrupts would pass. */
#define DEVICE_IRQS         BIT(0)
#define DEVICE_IRQ_ENTRIES  (11ull << 1) /* IOMMU_IRQS, as a power of two */
#define DEVICE_IRQ_ADDRESS  BITS(6, 51)
#define DEVICE_IRQS_ALLOWED BIT(61)

/* Where ACPI's bits of a function go: into which of the words, by so many bits up. */
static const struct {
    uint8_t setting;
    unsigned word, shift;
} amd_vi_settings[] = {
    {.setting = 0x07, .word = 2, .shift = 56}, /* INIT, ExtINT, NMI */
    {.setting = 0x30, .word = 1, .shift = 36}, /* system management */
    {.setting = 0xc0, .word = 2, .shift = 56}, /* LINT0, LINT1 */
};

#define IRQ_ON     BIT32(0)
#define IRQ_TARGET 8  /* shift: APIC ID */
#define IRQ_VECTOR 16 /* shift */
#define PIN_LEVEL  BIT(15)

struct amd_vi_device {
    uint64_t words[4];
};

#define DEVICES_SIZE (IOMMU_FUNCTIONS * sizeof(struct amd_vi_device))
_Static_assert(DEVICES_SIZE == 2 * MIB, "boot/ counts on it");

struct amd_vi_entry {
    uint64_t words[2];
};

static enum status amd_vi_probe(struct iommu *iommu, struct iommu_unit *unit, const char **why) {
    unit->abilities = iommu->ops->read64(unit->machine, AMD_VI_ABILITIES);
    *why = NULL;
    iommu->wide = iommu->posts = false; /* that would want other entries */
    if (unit->size < REGISTERS_SIZE) {
        *why = "its registers are too few";
    } else if (iommu->ops->read64(unit->machine, AMD_VI_CONTROL) == UINT64_MAX) {
        *why = "its registers do not answer";
    }
    return *why == NULL ? STATUS_OK : STATUS_UNSUPPORTED;
}

static uint64_t amd_vi_setting(const struct iommu *iommu, uint16_t function, unsigned word) {
    uint8_t setting = iommu_setting(iommu, function);
    uint64_t bits = 0;

    for (size_t i = 0; i < ARRAY_SIZE(amd_vi_settings); i++) {
        if (amd_vi_settings[i].word == word) {
            bits |= (uint64_t)(setting & amd_vi_settings[i].setting) << amd_vi_settings[i].shift;
        }
    }
    return bits;
}

/* Translated, by no table: READ and WRITE, which are 0, are all its rights. Interrupts are held
 * back by a table of none. */
static void *amd_vi_make_devices(struct iommu *iommu) {
    struct amd_vi_device *devices = iommu->ops->alloc(DEVICES_SIZE);

    for (uint32_t i = 0; devices != NULL && i < IOMMU_FUNCTIONS; i++) {
        devices[i].words[0] = DEVICE_VALID | DEVICE_TRANSLATED;
        devices[i].words[1] = amd_vi_setting(iommu, (uint16_t)i, 1);
        devices[i].words[2] = DEVICE_IRQS | amd_vi_setting(iommu, (uint16_t)i, 2);
    }
    return devices;
}

/* ---- commands ---- */

static bool amd_vi_full(const struct iommu *iommu, const struct iommu_unit *unit) {
    uint64_t head = iommu->ops->read64(unit->machine, AMD_VI_COMMAND_HEAD) >> RING_ENTRY_SHIFT;
    return (unit->queue_next + 1) % RING_ENTRIES == head % RING_ENTRIES;
}

static enum status amd_vi_push(struct iommu *iommu, struct iommu_unit *unit, uint64_t first,
                               uint64_t second) {
    struct amd_vi_entry *queue = unit->queue;

    for (unsigned i = 0; amd_vi_full(iommu, unit); i++) {
        if (i == IOMMU_PATIENCE) {
            return STATUS_TIMEOUT;
        }
    }
    queue[unit->queue_next] = (struct amd_vi_entry){{first, second}};
    unit->queue_next = (unit->queue_next + 1) % RING_ENTRIES;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    iommu->ops->write64(unit->machine, AMD_VI_COMMAND_TAIL,
                        (uint64_t)unit->queue_next << RING_ENTRY_SHIFT);
    return STATUS_OK;
}

/* All commands that were pushed, to their end. */
static enum status amd_vi_run(struct iommu *iommu, struct iommu_unit *unit) {
    unit->done_count++;
    enum status s =
        amd_vi_push(iommu, unit, COMMAND_WAIT | COMMAND_WAIT_STORES | phys_address(unit->done).v,
                    unit->done_count);
    if (s != STATUS_OK) {
        return s;
    }
    return iommu_wait_done(iommu, unit) ? STATUS_OK : STATUS_TIMEOUT;
}

/* Older units know no command for that. */
static enum status amd_vi_forget_each(struct iommu *iommu, struct iommu_unit *unit) {
    enum status s = STATUS_OK;

    for (uint32_t i = 0; s == STATUS_OK && i < IOMMU_FUNCTIONS; i++) {
        s = amd_vi_push(iommu, unit, COMMAND_FORGET_DEVICE | i, 0);
    }
    for (uint64_t i = 0; s == STATUS_OK && i < iommu->domains; i++) {
        s = amd_vi_push(iommu, unit, COMMAND_FORGET_PAGES | i << COMMAND_DOMAIN, COMMAND_ALL_PAGES);
    }
    return s;
}

static enum status amd_vi_forget_all(struct iommu *iommu, struct iommu_unit *unit) {
    bool at_once = (unit->abilities & ABILITY_FORGET_ALL) != 0;
    enum status s =
        at_once ? amd_vi_push(iommu, unit, COMMAND_FORGET_ALL, 0) : amd_vi_forget_each(iommu, unit);
    return s == STATUS_OK ? amd_vi_run(iommu, unit) : s;
}

static enum status amd_vi_forget(struct iommu *iommu, struct iommu_unit *unit, uint16_t function,
                                 uint16_t domain) {
    enum status s = amd_vi_push(iommu, unit, COMMAND_FORGET_DEVICE | function, 0);
    if (s == STATUS_OK) {
        s = amd_vi_push(iommu, unit, COMMAND_FORGET_PAGES | (uint64_t)domain << COMMAND_DOMAIN,
                        COMMAND_ALL_PAGES);
    }
    return s == STATUS_OK ? amd_vi_run(iommu, unit) : s;
}

/* ---- start ---- */

static uint64_t amd_vi_control(const struct iommu_unit *unit) {
    uint64_t control = CONTROL_COHERENT | CONTROL_EVENTS | CONTROL_COMMANDS;

    for (size_t i = 0; i < ARRAY_SIZE(amd_vi_controls); i++) {
        if ((unit->control & amd_vi_controls[i].table) != 0) {
            control |= amd_vi_controls[i].control;
        }
    }
    return control;
}

/* The rings end what they are at. */
static bool amd_vi_wait_stopped(const struct iommu *iommu, const struct iommu_unit *unit) {
    for (unsigned i = 0; i < IOMMU_PATIENCE; i++) {
        uint64_t status = iommu->ops->read64(unit->machine, AMD_VI_STATUS);
        if ((status & (STATUS_EVENTS_RUN | STATUS_COMMANDS_RUN)) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * A firmware that had the unit on loses it for a moment: its rings cannot be changed otherwise. By
 * then no device is a bus master but those that have to be. Memory that it had excluded would be
 * open to all devices.
 */
static enum status amd_vi_start(struct iommu *iommu, struct iommu_unit *unit) {
    const struct iommu_ops *ops = iommu->ops;
    const void *devices = unit->elsewhere ? iommu->elsewhere : iommu->devices;
    uint64_t control = amd_vi_control(unit);

    ops->write64(unit->machine, AMD_VI_CONTROL, 0);
    if (!amd_vi_wait_stopped(iommu, unit)) {
        return STATUS_TIMEOUT;
    }
    ops->write64(unit->machine, AMD_VI_EXCLUSION, 0);
    ops->write64(unit->machine, AMD_VI_STATUS, STATUS_EVENT_OVERFLOW);
    ops->write64(unit->machine, AMD_VI_DEVICES,
                 phys_address(devices).v | (DEVICES_SIZE / PAGE_SIZE - 1));
    ops->write64(unit->machine, AMD_VI_COMMANDS, phys_address(unit->queue).v | RING_LENGTH);
    ops->write64(unit->machine, AMD_VI_EVENTS, phys_address(unit->events).v | RING_LENGTH);
    ops->write64(unit->machine, AMD_VI_COMMAND_HEAD, 0);
    ops->write64(unit->machine, AMD_VI_COMMAND_TAIL, 0);
    ops->write64(unit->machine, AMD_VI_EVENT_HEAD, 0);
    ops->write64(unit->machine, AMD_VI_EVENT_TAIL, 0);
    ops->write64(unit->machine, AMD_VI_CONTROL, control | CONTROL_ON);

    uint64_t seen = ops->read64(unit->machine, AMD_VI_CONTROL);
    return (seen & CONTROL_ON) != 0 ? amd_vi_forget_all(iommu, unit) : STATUS_TIMEOUT;
}

/* ---- devices ---- */

static enum status amd_vi_set(struct iommu *iommu, uint16_t function,
                              const struct iommu_domain *domain) {
    struct amd_vi_device *device = &((struct amd_vi_device *)iommu->devices)[function];
    uint64_t entry = DEVICE_VALID | DEVICE_TRANSLATED;

    /* It allows nothing while it is neither the old one nor the new one. */
    __atomic_store_n(&device->words[0], entry, __ATOMIC_RELEASE);
    device->words[1] = amd_vi_setting(iommu, function, 1) | (domain != NULL ? domain->number : 0);
    if (domain != NULL) {
        entry |= phys_address(domain->tables.root).v | DEVICE_LEVELS | DEVICE_READ | DEVICE_WRITE;
    }
    __atomic_store_n(&device->words[0], entry, __ATOMIC_RELEASE);
    return STATUS_OK;
}

/* ---- interrupts ---- */

/* Each device's entry says so from the start. */
static enum status amd_vi_start_irqs(UNUSED struct iommu *iommu, UNUSED struct iommu_unit *unit) {
    return STATUS_OK;
}

static enum status amd_vi_stop_irqs(struct iommu *iommu, struct iommu_unit *unit) {
    struct amd_vi_device *devices = unit->elsewhere ? iommu->elsewhere : iommu->devices;

    for (uint32_t i = 0; i < IOMMU_FUNCTIONS; i++) {
        devices[i].words[2] = amd_vi_setting(iommu, (uint16_t)i, 2);
    }
    return amd_vi_forget_all(iommu, unit);
}

/* A table of its own. */
static enum status amd_vi_add_source(struct iommu *iommu, uint16_t function) {
    struct amd_vi_device *device = &((struct amd_vi_device *)iommu->devices)[function];
    void *table = iommu->ops->alloc(IOMMU_IRQS * sizeof(uint32_t));

    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    device->words[2] |= DEVICE_IRQ_ENTRIES | DEVICE_IRQS_ALLOWED | phys_address(table).v;
    return STATUS_OK;
}

static void amd_vi_set_irq(struct iommu *iommu, uint16_t index, const struct iommu_irq *irq) {
    const struct amd_vi_device *device =
        &((const struct amd_vi_device *)iommu->devices)[irq->source];
    uint32_t *table = phys_pointer(HPA(device->words[2] & DEVICE_IRQ_ADDRESS));

    uint32_t entry = IRQ_ON | irq->apic_id << IRQ_TARGET | (uint32_t)irq->vector << IRQ_VECTOR;
    __atomic_store_n(&table[index], entry, __ATOMIC_RELEASE);
}

static enum status amd_vi_forget_irq(struct iommu *iommu, struct iommu_unit *unit,
                                     uint16_t function, UNUSED uint16_t domain) {
    enum status s = amd_vi_push(iommu, unit, COMMAND_FORGET_DEVICE | function, 0);
    if (s == STATUS_OK) {
        s = amd_vi_push(iommu, unit, COMMAND_FORGET_IRQS | function, 0);
    }
    return s == STATUS_OK ? amd_vi_run(iommu, unit) : s;
}

/* The index stands where vector and kind of an interrupt are otherwise. */
static uint64_t amd_vi_pin(uint16_t index, const struct iommu_irq *irq) {
    return index | (irq->level ? PIN_LEVEL : 0);
}

/* The same of a message's data. */
static void amd_vi_message(uint16_t index, uint64_t *address, uint32_t *data) {
    *address = MSI_ADDRESS;
    *data = index;
}

/* ---- events ---- */

static const char *amd_vi_reason(uint64_t code) {
    static const char *const names[] = {
        [EVENT_WRONG_ENTRY] = "its entry is wrong",
        [EVENT_PAGE_FAULT] = "no access is allowed there",
        [EVENT_ENTRY_UNREAD] = "the table of devices cannot be read",
        [EVENT_TABLE_UNREAD] = "tables that cannot be read",
        [EVENT_WRONG_COMMAND] = "a wrong command to the unit",
        [EVENT_COMMAND_UNREAD] = "the unit's commands cannot be read",
        [EVENT_TIMEOUT] = "it does not forget addresses",
        [EVENT_WRONG_REQUEST] = "a request that no device makes",
    };
    bool known = code < ARRAY_SIZE(names) && names[code] != NULL;
    return known ? names[code] : "another reason";
}

/* A log that ran over has to be switched off and on, once the unit has let go of it. */
static void amd_vi_restart_events(struct iommu *iommu, struct iommu_unit *unit) {
    const struct iommu_ops *ops = iommu->ops;
    if ((ops->read64(unit->machine, AMD_VI_STATUS) & STATUS_EVENTS_RUN) != 0) {
        return;
    }
    uint64_t control = ops->read64(unit->machine, AMD_VI_CONTROL);

    ops->write64(unit->machine, AMD_VI_CONTROL, control & ~CONTROL_EVENTS);
    ops->write64(unit->machine, AMD_VI_STATUS, STATUS_EVENT_OVERFLOW);
    ops->write64(unit->machine, AMD_VI_EVENT_HEAD, 0);
    ops->write64(unit->machine, AMD_VI_EVENT_TAIL, 0);
    unit->event_next = 0;
    ops->write64(unit->machine, AMD_VI_CONTROL, control);
}

static bool amd_vi_next_fault(struct iommu *iommu, struct iommu_unit *unit,
                              struct iommu_fault *fault) {
    const struct iommu_ops *ops = iommu->ops;
    uint64_t tail = ops->read64(unit->machine, AMD_VI_EVENT_TAIL) >> RING_ENTRY_SHIFT;

    if (unit->event_next == tail % RING_ENTRIES) {
        if ((ops->read64(unit->machine, AMD_VI_STATUS) & STATUS_EVENT_OVERFLOW) != 0) {
            amd_vi_restart_events(iommu, unit);
        }
        return false;
    }
    struct amd_vi_entry *event = &((struct amd_vi_entry *)unit->events)[unit->event_next];
    uint64_t first = __atomic_load_n(&event->words[0], __ATOMIC_ACQUIRE);
    *fault = (struct iommu_fault){
        .function = (uint16_t)(first & EVENT_FUNCTION),
        .address = ALIGN_DOWN(event->words[1], PAGE_SIZE),
        .write = (first & EVENT_WRITE) != 0,
        .why = amd_vi_reason(first >> EVENT_CODE),
    };
    unit->event_next = (unit->event_next + 1) % RING_ENTRIES;
    ops->write64(unit->machine, AMD_VI_EVENT_HEAD, (uint64_t)unit->event_next << RING_ENTRY_SHIFT);
    return true;
}

const struct iommu_driver amd_vi_driver = {
    .name = "AMD-Vi",
    .format = &pagetable_format_amd_vi,
    .probe = amd_vi_probe,
    .make_devices = amd_vi_make_devices,
    .start = amd_vi_start,
    .set = amd_vi_set,
    .forget = amd_vi_forget,
    .start_irqs = amd_vi_start_irqs,
    .stop_irqs = amd_vi_stop_irqs,
    .add_source = amd_vi_add_source,
    .set_irq = amd_vi_set_irq,
    .forget_irq = amd_vi_forget_irq,
    .pin = amd_vi_pin,
    .message = amd_vi_message,
    .next_fault = amd_vi_next_fault,
    .layout = &iommu_layout_amd_vi,
};
