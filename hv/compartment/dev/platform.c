/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the making of a platform from two tables, its devices and their places, and the wires
 * between the devices. Knows no guest but its own; called by hv/compartment/entry.
 */
#include "hv/compartment/dev/platform.h"

#include "hv/abi.h"

#define UART_PORT 0x3f8

#define PLATFORM_DEVICE(member) offsetof(struct platform, member.dev)

static const struct platform_device {
    size_t device;
    const struct device_ops *ops;
} platform_devices[] = {
    {PLATFORM_DEVICE(uart), &uart_ops},       {PLATFORM_DEVICE(pic), &pic_ops},
    {PLATFORM_DEVICE(ioapic), &ioapic_ops},   {PLATFORM_DEVICE(pm), &pm_ops},
    {PLATFORM_DEVICE(rtc), &rtc_ops},         {PLATFORM_DEVICE(pit), &pit_ops},
    {PLATFORM_DEVICE(chipset), &chipset_ops}, {PLATFORM_DEVICE(bios), &bios_ops},
    {PLATFORM_DEVICE(rng), &virtio_ops},      {PLATFORM_DEVICE(console.v), &virtio_ops},
};

/* clang-format off */
const struct platform_place platform_places[] = {
    {"interrupt controller", 0x20, 2, BUS_PORT, PIC_FIRST, PLATFORM_DEVICE(pic)},
    {"timer", 0x40, 4, BUS_PORT, PIT_COUNTERS, PLATFORM_DEVICE(pit)},
    {"keyboard controller", 0x60, 1, BUS_PORT, CHIPSET_KEYBOARD_DATA, PLATFORM_DEVICE(chipset)},
    {"timer", 0x61, 1, BUS_PORT, PIT_PORT_61, PLATFORM_DEVICE(pit)},
    {"keyboard controller", 0x64, 1, BUS_PORT, CHIPSET_KEYBOARD_COMMAND, PLATFORM_DEVICE(chipset)},
    {"CMOS clock", 0x70, 2, BUS_PORT, 0, PLATFORM_DEVICE(rtc)},
    {"POST code", 0x80, 1, BUS_PORT, CHIPSET_POST, PLATFORM_DEVICE(chipset)},
    {"fast reset", 0x92, 1, BUS_PORT, CHIPSET_FAST_RESET, PLATFORM_DEVICE(chipset)},
    {"interrupt controller", 0xa0, 2, BUS_PORT, PIC_SECOND, PLATFORM_DEVICE(pic)},
    {"UART", UART_PORT, 8, BUS_PORT, 0, PLATFORM_DEVICE(uart)},
    {"interrupt controller", 0x4d0, 2, BUS_PORT, PIC_ELCR, PLATFORM_DEVICE(pic)},
    {"ACPI power management", PM1A_EVENT_PORT, 12, BUS_PORT, 0, PLATFORM_DEVICE(pm)},
    {"calls to a BIOS", BULKHEAD_BIOS_PORT, 4, BUS_PORT, 0, PLATFORM_DEVICE(bios)},
    {"PCI configuration, reset", 0xcf8, 8, BUS_PORT, CHIPSET_CONFIG, PLATFORM_DEVICE(chipset)},
    {"PCI configuration", PCI_PAGES, PCI_PAGES_SIZE, BUS_MEMORY, CHIPSET_CONFIG_PAGES, PLATFORM_DEVICE(chipset)},
    {"I/O APIC", IOAPIC_BASE, PAGE_SIZE, BUS_MEMORY, 0, PLATFORM_DEVICE(ioapic)},
};
/* clang-format on */
const unsigned platform_place_count = ARRAY_SIZE(platform_places);

/* The 440FX's host bridge, which every guest knows to need no driver. */
static const struct pci_model platform_bridge = {
    .vendor = 0x8086, .device = 0x1237, .class_revision = 0x06000002};

/* Fixed: a guest finds a device where it was at its last start, and where it was before the config
 * gave it more of another kind. */
enum platform_slot {
    SLOT_BRIDGE,
    SLOT_RNG,
    SLOT_DISKS,
    SLOT_NETS = SLOT_DISKS + ABI_DISKS,
    SLOT_VSOCK = SLOT_NETS + ABI_NETS,
    SLOT_CONSOLE,
    SLOT_PCIS
};
_Static_assert(SLOT_PCIS + ABI_PCIS <= PCI_SLOTS, "a slot for each");

static struct device *platform_device(struct platform *p, size_t at) {
    return (struct device *)((uint8_t *)p + at);
}

/* A line of the PCI bus: to its own pin of the I/O APIC, and with another one to the 8259s. */
static void platform_pci_irq(struct platform *p, unsigned line, bool asserted) {
    unsigned irq = pci_isa_irq(line);
    bool shared = false;

    for (unsigned i = 0; i < PCI_LINES; i++) {
        shared = shared || (pci_isa_irq(i) == irq && p->pci.lines[i] != 0);
    }
    ioapic_set_line(&p->ioapic, DEV_PCI_LINES + line, asserted);
    pic_set_line(&p->pic, irq, shared);
}

/* The timer's line goes to pin 2 of the I/O APIC, as the MADT says. */
static void platform_irq(const struct dev_env *env, unsigned line, bool asserted) {
    struct platform *p = CONTAINER_OF(env, struct platform, env);

    if (line >= DEV_PCI_LINES) {
        platform_pci_irq(p, line - DEV_PCI_LINES, asserted);
        return;
    }
    ioapic_set_line(&p->ioapic, line == PIT_IRQ ? 2 : line, asserted);
    pic_set_line(&p->pic, line, asserted);
    if (line == RTC_IRQ) {
        pm_set_rtc_line(&p->pm, asserted);
    }
}

static void platform_add(struct platform *p, struct device *dev, const struct device_ops *ops) {
    ASSERT(p->count < PLATFORM_MOST);
    *dev = (struct device){.ops = ops, .env = &p->env};
    p->all[p->count++] = dev;
}

static bool platform_is_served(const struct platform *p, uint32_t disk) {
    return p->devices->served[disk].cid != 0;
}

static void platform_add_disk(struct platform *p, uint32_t i) {
    const struct abi_disk *disk = &p->devices->disks[i];
    const struct abi_served *is = &p->devices->served[i];
    struct abi_disk_counts *counts = &p->env.counts->disks[i];

    if (platform_is_served(p, i)) {
        platform_add(p, &p->served[i].v.dev, &virtio_ops);
        virtio_served_make(&p->served[i], disk, is, &p->devices->channels[is->channel], counts,
                           &p->pci, p->bus, SLOT_DISKS + i);
    } else {
        platform_add(p, &p->disks[i].v.dev, &virtio_ops);
        virtio_blk_make(&p->disks[i], disk, counts, &p->pci, p->bus, SLOT_DISKS + i);
    }
}

static void platform_init_pci(struct platform *p) {
    p->bridge = (struct pci_function){.model = &platform_bridge, .slot = SLOT_BRIDGE};
    p->pci = (struct pci_host){.slots = {[SLOT_BRIDGE] = &p->bridge}};
    p->chipset.pci = &p->pci;
    virtio_make(&p->rng, &virtio_rng_model, &p->pci, p->bus, SLOT_RNG);
    virtio_console_make(&p->console, p->devices, &p->pci, p->bus, SLOT_CONSOLE);
    for (uint32_t i = 0; i < p->devices->disk_count; i++) {
        platform_add_disk(p, i);
    }
    for (uint32_t i = 0; i < p->devices->net_count; i++) {
        platform_add(p, &p->nets[i].v.dev, &virtio_ops);
        virtio_net_make(&p->nets[i], &p->devices->nets[i], p->devices->channels, p->peers,
                        &p->env.counts->nets[i], &p->pci, p->bus, SLOT_NETS + i);
    }
    if (p->devices->vsock.peer_count != 0) {
        platform_add(p, &p->vsock.v.dev, &virtio_ops);
        virtio_vsock_make(&p->vsock, p->devices, &p->env.counts->vsock, &p->pci, p->bus,
                          SLOT_VSOCK);
    }
}

static void platform_init_watchdog(struct platform *p) {
    enum status s = STATUS_OK;

    if (p->devices->watchdog == 0) {
        return;
    }
    p->watchdog.most = p->devices->watchdog * WATCHDOG_HZ;
    platform_add(p, &p->watchdog.dev, &watchdog_ops);
    s = bus_add(&p->bus[BUS_PORT], WATCHDOG_PORT, WATCHDOG_SIZE, &p->watchdog.dev, 0);
    ASSERT(s == STATUS_OK);
}

static void platform_init_passed(struct platform *p) {
    for (uint32_t i = 0; i < p->devices->pci_count; i++) {
        platform_add(p, &p->pcis[i].dev, &passed_ops);
        passed_make(&p->pcis[i], p->devices, i, &p->pci, p->bus, SLOT_PCIS + i);
    }
    passed_find_room(p->pcis, p->devices->pci_count);
}

static void platform_look_at_passed(struct platform *p) {
    for (uint32_t i = 0; i < p->devices->pci_count; i++) {
        passed_look_again(&p->pcis[i]);
    }
}

void platform_init(struct platform *p, const struct dev_env *outside,
                   const struct abi_devices *devices) {
    p->devices = devices;
    p->env = *outside;
    p->env.irq = platform_irq;
    p->count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(platform_devices); i++) {
        platform_add(p, platform_device(p, platform_devices[i].device), platform_devices[i].ops);
    }
    for (unsigned space = 0; space < BUS_SPACES; space++) {
        bus_init(&p->bus[space]);
        p->last[space] = p->bus[space].entries;
    }
    for (const struct platform_place *at = platform_places;
         at < platform_places + platform_place_count; at++) {
        enum status s = bus_add(&p->bus[at->space], at->base, at->size,
                                platform_device(p, at->device), at->region);
        ASSERT(s == STATUS_OK);
    }
    platform_init_watchdog(p);
    platform_init_pci(p);
    platform_init_passed(p);
    platform_reset(p);
}

/* As firmware leaves it: lines of the PCI bus are levels at the 8259s as well. */
static void platform_set_levels(struct platform *p) {
    uint64_t levels = 0;

    for (unsigned line = 0; line < PCI_LINES; line++) {
        levels |= BIT(pci_isa_irq(line));
    }
    pic_ops.write(&p->pic.dev, PIC_ELCR, 1, 1, levels >> 8);
}

void platform_reset(struct platform *p) {
    pci_reset(&p->bridge);
    for (unsigned i = 0; i < p->count; i++) {
        p->all[i]->ops->reset(p->all[i]);
    }
    platform_set_levels(p);
}

struct bus_answer platform_read_other(struct platform *p, enum bus_space space, uint64_t at,
                                      unsigned size) {
    struct bus_answer answer = {.value = UINT64_MAX, .there = 0};
    const struct bus_entry *e = bus_find(&p->bus[space], at, size);

    if (e != NULL) {
        p->last[space] = e;
        answer.value = e->device->ops->read(e->device, e->region, at - e->base, size);
        answer.there = 1;
    }
    return answer;
}

bool platform_write_other(struct platform *p, enum bus_space space, uint64_t at, unsigned size,
                          uint64_t value) {
    const struct bus_entry *e = bus_find(&p->bus[space], at, size);

    if (e != NULL) {
        p->last[space] = e;
        e->device->ops->write(e->device, e->region, at - e->base, size, value);
    }
    return e != NULL;
}

uint64_t platform_service(struct platform *p, uint64_t now) {
    uint64_t due = 0;

    for (unsigned i = 0; i < p->count; i++) {
        struct device *dev = p->all[i];
        if (dev->ops->service != NULL) {
            due = clock_earlier(due, dev->ops->service(dev, now));
        }
    }
    return due;
}

/* A real device's request that is served already must not come a second time. */
uint8_t platform_acknowledge(struct platform *p) {
    platform_look_at_passed(p);
    return pic_acknowledge(&p->pic);
}

void platform_end_interrupt(struct platform *p, uint8_t vector) {
    platform_look_at_passed(p);
    ioapic_eoi(&p->ioapic, vector);
}

bool platform_receive(struct platform *p, uint8_t byte) {
    return p->devices->types_to_hvc0 ? virtio_console_receive(&p->console, byte)
                                     : uart_receive(&p->uart, byte);
}

void platform_drain(struct platform *p) {
    uart_drain(&p->uart);
    virtio_console_poll(&p->console);
}

void platform_press_power_button(struct platform *p) {
    pm_press_power_button(&p->pm);
}

void platform_set_links(struct platform *p, uint32_t links) {
    for (uint32_t i = 0; i < p->devices->net_count; i++) {
        virtio_net_set_link(&p->nets[i], (links >> i & 1) != 0);
    }
}

void platform_poll_channels(struct platform *p) {
    for (uint32_t i = 0; i < p->devices->net_count; i++) {
        virtio_net_poll(&p->nets[i]);
    }
    if (p->devices->vsock.peer_count != 0) {
        virtio_vsock_poll(&p->vsock);
    }
    for (uint32_t i = 0; i < p->devices->disk_count; i++) {
        if (platform_is_served(p, i)) {
            virtio_served_poll(&p->served[i]);
        }
    }
    virtio_console_poll(&p->console);
}

bool platform_await_disks(struct platform *p, uint64_t now) {
    bool all = true;

    for (uint32_t i = 0; i < p->devices->disk_count; i++) {
        struct virtio_served *served = &p->served[i];
        if (platform_is_served(p, i) && !virtio_served_is_known(served)) {
            (void)virtio_ops.service(&served->v.dev, now);
            virtio_served_poll(served);
            all = false;
        }
    }
    return all;
}
