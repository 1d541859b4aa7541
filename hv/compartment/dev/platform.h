/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The platform of a guest: all devices of its PC but the local APICs, on one bus for ports and one
 * for pages, and the wires between them. It holds no pointer to the rest of a VM but its dev_env.
 *
 * Devices have no locks. There is one for the whole platform: a line that rises in one device
 * changes the 8259s, the I/O APIC and the power management, so that most accesses would need the
 * locks of four. It is its owner's: whoever calls a function here holds it, and the functions of
 * dev_env are called with it held. vCPUs of one guest meet at it, and nobody else does. More in
 * docs/architecture.md, "Locks".
 */
#pragma once

#include "hv/abi/device.h"
#include "hv/compartment/dev/bus.h"
#include "hv/compartment/dev/models.h"
#include "hv/compartment/pci/passed.h"
#include "hv/compartment/virtio/blk.h"
#include "hv/compartment/virtio/console.h"
#include "hv/compartment/virtio/net.h"
#include "hv/compartment/virtio/served.h"
#include "hv/compartment/virtio/vsock.h"

/* Devices: those of every PC, and what the config may give. */
#define PLATFORM_MOST (12 + ABI_DISKS + ABI_NETS + ABI_PCIS)

struct platform {
    struct dev_env env;
    const struct abi_devices *devices;
    struct bus bus[BUS_SPACES];
    /* Of each bus any place, at first sight the one found last: what is there now counts. */
    const struct bus_entry *last[BUS_SPACES];
    struct uart uart;
    struct pic pic;
    struct ioapic ioapic;
    struct pm pm;
    struct rtc rtc;
    struct pit pit;
    struct chipset chipset;
    struct bios bios;
    struct watchdog watchdog; /* if the config gives the guest one */
    struct pci_host pci;
    struct pci_function bridge;
    struct virtio rng;
    struct virtio_console console;
    struct virtio_blk disks[ABI_DISKS];
    struct virtio_served served[ABI_DISKS]; /* in the places of these */
    struct virtio_net nets[ABI_NETS];
    struct net_peer peers[ABI_CHANNELS]; /* of all nets */
    struct virtio_vsock vsock;
    struct passed pcis[ABI_PCIS];
    struct device *all[PLATFORM_MOST]; /* that there are */
    unsigned count;
};

/* Where the devices of every guest's PC answer after a start; the place is that in struct platform.
 */
struct platform_place {
    const char *name;
    uint64_t base, size;
    enum bus_space space;
    unsigned region;
    size_t device;
};
extern const struct platform_place platform_places[];
extern const unsigned platform_place_count;

/* outside: what leaves the platform, that is all but irq, which is wired here. devices: what the
 * config gives the guest, as long as p lives. p is all zero but for what the CMOS clock has kept.
 */
void platform_init(struct platform *p, const struct dev_env *outside,
                   const struct abi_devices *devices);

/* Power-up state of all devices; the time of day and the CMOS memory stay. */
void platform_reset(struct platform *p);

/* Accesses to another device than the last one. */
struct bus_answer platform_read_other(struct platform *p, enum bus_space space, uint64_t at,
                                      unsigned size);
bool platform_write_other(struct platform *p, enum bus_space space, uint64_t at, unsigned size,
                          uint64_t value);

/* Is that the device found last? */
static inline bool platform_is_last(const struct platform *p, enum bus_space space, uint64_t at,
                                    unsigned size) {
    return bus_entry_holds(p->last[space], at, size);
}

/* Where it is. */
static inline uint64_t platform_read_last(struct platform *p, enum bus_space space, uint64_t at,
                                          unsigned size) {
    const struct bus_entry *e = p->last[space];
    return e->device->ops->read(e->device, e->region, at - e->base, size);
}

/*
 * at, size and what is written are guest-controlled. A write returns false if nothing is there.
 * Guests stay with one device for a while: that is the short way.
 */
static inline struct bus_answer platform_read(struct platform *p, enum bus_space space, uint64_t at,
                                              unsigned size) {
    if (UNLIKELY(!platform_is_last(p, space, at, size))) {
        return platform_read_other(p, space, at, size);
    }
    return (struct bus_answer){.value = platform_read_last(p, space, at, size), .there = 1};
}

static inline bool platform_write(struct platform *p, enum bus_space space, uint64_t at,
                                  unsigned size, uint64_t value) {
    const struct bus_entry *e = p->last[space];
    if (UNLIKELY(!bus_entry_holds(e, at, size))) {
        return platform_write_other(p, space, at, size, value);
    }
    e->device->ops->write(e->device, e->region, at - e->base, size, value);
    return true;
}

/* The service() of all devices: the earliest of their next moments on the VM's clock, 0 = never. */
uint64_t platform_service(struct platform *p, uint64_t now);

/* INTA: the vector that the 8259s give, a spurious one if the request went away meanwhile. */
uint8_t platform_acknowledge(struct platform *p);

/* A level-triggered interrupt with this vector has ended in a local APIC. Guest-controlled. */
void platform_end_interrupt(struct platform *p, uint8_t vector);

/* A byte that was typed, for the UART or the console; false = no room, byte not taken. */
bool platform_receive(struct platform *p, uint8_t byte);

/* transmit() has room again. */
void platform_drain(struct platform *p);

void platform_press_power_button(struct platform *p);

/* A bit for each network adapter: is its cable plugged in? */
void platform_set_links(struct platform *p, uint32_t links);

/* Something may have come through a channel. */
void platform_poll_channels(struct platform *p);

/* Before the guest's first instruction: have all disks that others serve got a size, or has it been
 * waited for long enough? Does what they have to do for that. */
bool platform_await_disks(struct platform *p, uint64_t now);
