/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An xHCI controller with USB devices behind it, as far as arch/x86_64/xhci uses them. It believes
 * the driver as little as the driver believes it: each address must lie in the memory that it was
 * given, each command must be one of a driver that keeps to the order of the specification.
 */
#pragma once

#include "arch/x86_64/xhci/xhci.h"
#include "tests/unit/test.h"

#define FAKE_SIZE    0x4000u
#define FAKE_BUS     0x12340000u
#define FAKE_PORTS   6u
#define FAKE_SCRATCH 3u
#define FAKE_OP      0x40u
#define FAKE_RT      0x1000u
#define FAKE_DB      0x2000u
#define FAKE_LEGACY  0x800u
#define FAKE_CSZ     BIT32(2)

/* A device; what it says is its test's. */
struct fake_usb {
    uint8_t speed;
    uint8_t device[18], config[300];
    unsigned config_size;
    uint8_t hub_ports; /* 0 = no hub */
    uint32_t changes[16];
    bool powered[16], enabled[16];
    struct fake_usb *behind[16];
    bool stall_idle, mute;
    unsigned stall_all; /* so many requests, from now on */
    bool hostile;       /* says what fake_random() makes of it */
    /* What was done to it. */
    unsigned resets, requests;
    uint8_t configured, protocol, idle, slot;
    uint64_t last_request;
};

static struct fake_xhci {
    uint32_t legacy, legacy_control, command, status, config;
    uint64_t dcbaap, crcr, erstba, erdp;
    uint32_t length; /* of the capability registers */
    uint32_t erstsz, portsc[FAKE_PORTS + 1];
    struct fake_usb *at[FAKE_PORTS + 1];
    unsigned event_at, halt_polls, reset_polls, bios_polls;
    uint32_t event_cycle, features;
    uint64_t command_ring;
    uint32_t command_cycle;
    bool dma, bios_stays, silent, dead, stays_reset;
    struct {
        bool enabled, addressed, ready;
        struct fake_usb *usb;
        uint64_t ring[CONTEXTS];
        uint32_t cycle[CONTEXTS];
        bool halted;
    } slots[XHCI_SLOTS];
} fake_hc;

static ALIGNED(4096) uint8_t fake_memory[sizeof(struct xhci_memory) + FAKE_SCRATCH * PAGE_SIZE];
static char fake_keys[4096]; /* "+04 -04 " */
static struct xhci hc;
static uint64_t fake_now;
static uint64_t (*fake_random)(void);

static UNUSED void *fake_at(uint64_t bus, size_t size) {
    ASSERT(fake_hc.dma);
    ASSERT(bus >= FAKE_BUS && bus - FAKE_BUS <= sizeof(fake_memory) - size);
    return fake_memory + (bus - FAKE_BUS);
}

static void fake_key(uint8_t key, bool pressed) {
    size_t n = strlen(fake_keys);
    if (n < sizeof(fake_keys) - 8) {
        snprintf(fake_keys + n, 8, "%c%02x ", pressed ? '+' : '-', key);
    }
}

/* ---- rings ---- */

static void fake_event(uint64_t parameter, uint32_t status, uint32_t control) {
    if (fake_hc.silent) {
        return;
    }
    const struct xhci_trb *table = fake_at(fake_hc.erstba, sizeof(*table));
    struct xhci_trb *e = fake_at(table->parameter + 16 * fake_hc.event_at, sizeof(*e));
    e->parameter = parameter;
    e->status = status;
    e->control = control | fake_hc.event_cycle;
    fake_hc.event_at++;
    if (fake_hc.event_at == table->status) {
        fake_hc.event_at = 0;
        fake_hc.event_cycle ^= 1;
    }
}

/* The next TRB of a ring, past links; NULL = none. */
static struct xhci_trb *fake_next(uint64_t *ring, uint32_t *cycle) {
    for (unsigned links = 0; links < 2; links++) {
        struct xhci_trb *t = fake_at(*ring, sizeof(*t));
        if ((t->control & 1) != *cycle) {
            return NULL;
        }
        if (TRB_TYPE_OF(t->control) != TRB_LINK) {
            *ring += sizeof(*t);
            return t;
        }
        *ring = t->parameter;
        *cycle ^= (t->control & TRB_TOGGLE) != 0;
    }
    return NULL;
}

static uint64_t fake_bus_of(const void *at) {
    return FAKE_BUS + (uint64_t)((const uint8_t *)at - fake_memory);
}

/* ---- devices ---- */

static uint32_t fake_hub_status(struct fake_usb *hub, unsigned n) {
    const struct fake_usb *d = hub->behind[n];
    uint32_t word = hub->changes[n] << 16;
    if (hub->powered[n] && d != NULL) {
        word |= HUB_CONNECTED | (hub->enabled[n] ? HUB_ENABLED : 0);
        word |= d->speed == SPEED_LOW ? HUB_LOW_SPEED : 0;
        word |= d->speed == SPEED_HIGH ? HUB_HIGH_SPEED : 0;
    }
    return word;
}

/* Answers a request; the number of bytes, or -1 for a STALL. */
static int fake_request(struct fake_usb *d, uint64_t r, uint8_t *out) {
    uint32_t what = (uint32_t)(r & 0xffff);
    unsigned value = r >> 16 & 0xffff, index = r >> 32 & 0xffff;
    d->requests++;
    d->last_request = r;
    if (d->stall_all != 0) {
        d->stall_all--;
        return -1;
    }
    if (what == 0x0680 && value >> 8 == USB_DEVICE) {
        memcpy(out, d->device, sizeof(d->device));
        return sizeof(d->device);
    }
    if (what == 0x0680 && value >> 8 == USB_CONFIGURATION) {
        memcpy(out, d->config, d->config_size);
        return (int)d->config_size;
    }
    if (what == 0x0900) {
        d->configured = (uint8_t)value;
        return 0;
    }
    if (what == 0x0b21) {
        d->protocol = 1 + (uint8_t)value;
        return 0;
    }
    if (what == 0x0a21) {
        d->idle++;
        return d->stall_idle ? -1 : 0;
    }
    if (what == 0x06a0 && d->hub_ports != 0) {
        static const uint8_t hub[9] = {9, 0x29, 0, 0x20, 0, 10};
        memcpy(out, hub, sizeof(hub));
        out[2] = d->hub_ports;
        return sizeof(hub);
    }
    if (d->hub_ports == 0 || index == 0 || index > d->hub_ports) {
        return -1;
    }
    if (what == 0x00a3) {
        uint32_t word = fake_hub_status(d, index);
        memcpy(out, &word, 4);
        return 4;
    }
    if (what == 0x0123 && value == HUB_PORT_ENABLE) {
        d->enabled[index] = false;
        return 0;
    }
    if (what == 0x0123 && value >= HUB_CHANGES) {
        d->changes[index] &= ~BIT32(value - HUB_CHANGES);
        return 0;
    }
    if (what == 0x0323 && value == HUB_PORT_POWER) {
        d->powered[index] = true;
        d->changes[index] |= d->behind[index] != NULL ? 1 : 0;
        return 0;
    }
    if (what == 0x0323 && value == HUB_PORT_RESET && d->behind[index] != NULL) {
        d->enabled[index] = true;
        d->changes[index] |= BIT32(4);
        d->behind[index]->resets++;
        return 0;
    }
    return -1;
}

/* Some bytes and perhaps the length are others; or it refuses, or says nothing at all. */
static int fake_lie(struct fake_usb *d, uint8_t *answer, int n) {
    uint64_t word = fake_random();
    for (unsigned i = 0; i < (word & 3); i++) {
        answer[fake_random() % (word >> 2 & 1 ? 32 : 512)] = (uint8_t)fake_random();
    }
    if ((word >> 8 & 7) == 0) {
        n = (int)(fake_random() % 513);
    }
    d->mute = (word >> 16 & 63) == 0;
    return (word >> 32 & 31) == 0 ? -1 : n;
}

static void fake_control(uint8_t slot) {
    uint64_t *ring = &fake_hc.slots[slot].ring[1];
    uint32_t *cycle = &fake_hc.slots[slot].cycle[1];
    struct fake_usb *d = fake_hc.slots[slot].usb;
    struct xhci_trb *t;

    /* One that is mute has the controller ask again and again: nothing of the ring is used up. */
    while (d != NULL && !d->mute && !fake_hc.slots[slot].halted &&
           (t = fake_next(ring, cycle)) != NULL) {
        uint8_t answer[512] = {0};
        ASSERT(TRB_TYPE_OF(t->control) == TRB_SETUP && (t->control & TRB_IMMEDIATE) != 0);
        ASSERT(t->status == 8);
        uint64_t request = t->parameter;
        unsigned length = USB_LENGTH_OF(request);
        int n = fake_request(d, request, answer);
        if (d->hostile) {
            n = fake_lie(d, answer, n);
        }
        if (length != 0) {
            t = fake_next(ring, cycle);
            ASSERT(t != NULL && TRB_TYPE_OF(t->control) == TRB_DATA && t->status == length);
            ASSERT((t->control & TRB_IN) != 0);
            if (n > 0) {
                unsigned take = (unsigned)n < length ? (unsigned)n : length;
                memcpy(fake_at(t->parameter, length), answer, take);
            }
        }
        struct xhci_trb *last = n < 0 ? t : fake_next(ring, cycle);
        ASSERT(last != NULL);
        ASSERT(n < 0 ||
               (TRB_TYPE_OF(last->control) == TRB_STATUS && (last->control & TRB_EVENT) != 0 &&
                ((last->control & TRB_IN) != 0) == (length == 0)));
        fake_hc.slots[slot].halted = n < 0;
        uint32_t code = n < 0 ? CODE_STALL : CODE_SUCCESS;
        if (d->hostile && n >= 0 && fake_random() % 64 == 0) {
            code = (uint32_t)(fake_random() % 37);
            fake_hc.slots[slot].halted = code == CODE_STALL;
        }
        fake_event(fake_bus_of(last), code << 24,
                   TRB_TYPE(TRB_TRANSFER_EVENT) | TRB_SLOT(slot) | TRB_ENDPOINT(1));
    }
}

/* A keyboard sends; false if nobody asked for a report. */
static UNUSED bool fake_report(struct fake_usb *d, const uint8_t *report, unsigned size) {
    uint8_t slot = d->slot;
    for (unsigned e = 2; e < CONTEXTS && fake_hc.slots[slot].ready; e++) {
        if (fake_hc.slots[slot].ring[e] == 0) {
            continue;
        }
        struct xhci_trb *t = fake_next(&fake_hc.slots[slot].ring[e], &fake_hc.slots[slot].cycle[e]);
        if (t == NULL) {
            return false;
        }
        ASSERT(TRB_TYPE_OF(t->control) == TRB_NORMAL && size <= (t->status & 0x1ffff));
        memcpy(fake_at(t->parameter, t->status & 0x1ffff), report, size);
        uint32_t left = (t->status & 0x1ffff) - size;
        uint32_t code = left != 0 ? CODE_SHORT_PACKET : CODE_SUCCESS;
        fake_event(fake_bus_of(t), code << 24 | left,
                   TRB_TYPE(TRB_TRANSFER_EVENT) | TRB_SLOT(slot) | TRB_ENDPOINT(e));
        return true;
    }
    return false;
}

/* ---- commands ---- */

static uint32_t fake_context(unsigned n, unsigned word) {
    unsigned size = (fake_hc.features & FAKE_CSZ) != 0 ? 64 : 32;
    const struct xhci_memory *m = (const void *)fake_memory;
    return *(const uint32_t *)(const void *)(m->input + n * size + word * 4);
}

/* The device that the input's slot context names, by way of the ports. */
static struct fake_usb *fake_find(void) {
    uint32_t route = fake_context(1, 0) & 0xfffff;
    struct fake_usb *d = fake_hc.at[fake_context(1, 1) >> 16 & 0xff];
    bool on = (fake_hc.portsc[fake_context(1, 1) >> 16 & 0xff] & PORTSC_ENABLED) != 0;
    for (; route != 0 && d != NULL; route >>= 4) {
        ASSERT((route & 0xf) != 0 && (route & 0xf) <= d->hub_ports);
        on = on && d->enabled[route & 0xf];
        d = d->behind[route & 0xf];
    }
    return on ? d : NULL;
}

static void fake_ring_from_context(uint8_t slot, unsigned dci) {
    uint64_t at = fake_context(1 + dci, 2) | (uint64_t)fake_context(1 + dci, 3) << 32;
    fake_hc.slots[slot].ring[dci] = at & ~0xfull;
    fake_hc.slots[slot].cycle[dci] = at & 1;
}

static uint32_t fake_run_command(const struct xhci_trb *t, uint8_t *slot) {
    uint32_t add = fake_context(0, 1);
    if (TRB_TYPE_OF(t->control) == TRB_ENABLE_SLOT) {
        for (*slot = 1; fake_hc.slots[*slot].enabled; (*slot)++) {
        }
        memset(&fake_hc.slots[*slot], 0, sizeof(fake_hc.slots[0]));
        fake_hc.slots[*slot].enabled = true;
        return CODE_SUCCESS;
    }
    *slot = (uint8_t)TRB_SLOT_OF(t->control);
    ASSERT(fake_hc.slots[*slot].enabled);
    struct fake_usb *d = fake_hc.slots[*slot].usb;
    switch (TRB_TYPE_OF(t->control)) {
    case TRB_DISABLE_SLOT:
        memset(&fake_hc.slots[*slot], 0, sizeof(fake_hc.slots[0]));
        return CODE_SUCCESS;
    case TRB_ADDRESS_DEVICE:
        ASSERT(add == 3 && !fake_hc.slots[*slot].addressed);
        d = fake_find();
        if (d == NULL) {
            return 4;
        }
        ASSERT((fake_context(1, 0) >> 20 & 0xf) == d->speed);
        fake_hc.slots[*slot].usb = d;
        fake_hc.slots[*slot].addressed = true;
        fake_ring_from_context(*slot, 1);
        d->slot = *slot;
        return CODE_SUCCESS;
    case TRB_EVALUATE_CONTEXT:
        ASSERT(add == 2 && fake_context(2, 1) >> 16 == d->device[7]);
        return CODE_SUCCESS;
    case TRB_CONFIGURE_ENDPOINT:
        ASSERT((add & 3) == 1 && fake_hc.slots[*slot].addressed);
        if (add != 1) {
            unsigned dci = (unsigned)__builtin_ctz(add & ~1u);
            ASSERT((fake_context(1 + dci, 1) >> 3 & 7) == ENDPOINT_INTERRUPT_IN);
            ASSERT(fake_context(1, 0) >> 27 == dci);
            fake_ring_from_context(*slot, dci);
            fake_hc.slots[*slot].ready = true;
        } else {
            ASSERT((fake_context(1, 0) & SLOT_HUB) != 0);
        }
        return CODE_SUCCESS;
    case TRB_RESET_ENDPOINT:
        ASSERT(fake_hc.slots[*slot].halted);
        return CODE_SUCCESS;
    case TRB_SET_DEQUEUE:
        fake_hc.slots[*slot].halted = false;
        fake_hc.slots[*slot].ring[1] = t->parameter & ~0xfull;
        fake_hc.slots[*slot].cycle[1] = t->parameter & 1;
        return CODE_SUCCESS;
    default:
        ASSERT(false);
        return 5;
    }
}

static void fake_commands(void) {
    struct xhci_trb *t;
    while ((t = fake_next(&fake_hc.command_ring, &fake_hc.command_cycle)) != NULL) {
        uint8_t slot = 0;
        uint32_t code = fake_run_command(t, &slot);
        fake_event(fake_bus_of(t), code << 24, TRB_TYPE(TRB_COMMAND_EVENT) | TRB_SLOT(slot));
    }
}

/* ---- registers ---- */

static void fake_port_changed(unsigned n, uint32_t change) {
    fake_hc.portsc[n] |= change;
    if (fake_hc.dma && (fake_hc.command & COMMAND_RUN) != 0) {
        fake_event((uint64_t)n << 24, CODE_SUCCESS << 24, TRB_TYPE(TRB_PORT_EVENT));
    }
}

static UNUSED void fake_plug(unsigned n, struct fake_usb *d) {
    fake_hc.at[n] = d;
    fake_hc.portsc[n] &= ~(PORTSC_CONNECTED | PORTSC_ENABLED | 0xf << 10);
    if (d != NULL) {
        fake_hc.portsc[n] |= PORTSC_CONNECTED | (uint32_t)d->speed << 10;
    }
    fake_port_changed(n, PORTSC_RECONNECTED);
}

static void fake_write_port(unsigned n, uint32_t value) {
    ASSERT((value & 0x1e0) == 0); /* the link's state is not ours */
    fake_hc.portsc[n] &= ~(value & PORTSC_CHANGES);
    if ((value & PORTSC_ENABLED) != 0) {
        fake_hc.portsc[n] &= ~PORTSC_ENABLED;
    }
    if ((value & PORTSC_RESET) != 0 && fake_hc.at[n] != NULL) {
        fake_hc.portsc[n] |= PORTSC_ENABLED;
        fake_hc.at[n]->resets++;
        fake_port_changed(n, BIT32(21));
    }
    if ((value & PORTSC_POWER) == 0) {
        fake_hc.portsc[n] &= ~PORTSC_POWER;
    } else {
        fake_hc.portsc[n] |= PORTSC_POWER;
    }
}

static uint32_t fake_read(void *machine, uint32_t offset) {
    ASSERT(machine == &fake_hc && offset < FAKE_SIZE && offset % 4 == 0);
    if (fake_hc.dead) {
        return UINT32_MAX;
    }
    if (offset >= FAKE_OP + OP_PORTS && offset < FAKE_OP + OP_PORTS + FAKE_PORTS * 16) {
        ASSERT((offset - FAKE_OP) % 16 == 0);
        return fake_hc.portsc[(offset - FAKE_OP - OP_PORTS) / 16 + 1];
    }
    switch (offset) {
    case CAP_LENGTH:
        return 0x01000000 | fake_hc.length;
    case CAP_HCSPARAMS1:
        return FAKE_PORTS << 24 | 1 << 8 | 32;
    case CAP_HCSPARAMS2:
        return FAKE_SCRATCH << 27;
    case CAP_HCCPARAMS1:
        return fake_hc.features | FAKE_LEGACY / 4 << 16;
    case CAP_DBOFF:
        return FAKE_DB;
    case CAP_RTSOFF:
        return FAKE_RT;
    case FAKE_LEGACY:
        if ((fake_hc.legacy & LEGACY_OS) != 0 && !fake_hc.bios_stays && fake_hc.bios_polls++ > 3) {
            fake_hc.legacy &= ~LEGACY_BIOS;
        }
        return fake_hc.legacy;
    case FAKE_LEGACY + 4:
        return fake_hc.legacy_control;
    case FAKE_LEGACY + 0x10: /* USB 3: port 5 on */
        return 0x03000000 | 4 << 8 | 2;
    case FAKE_LEGACY + 0x18:
        return 2 << 8 | 5;
    case FAKE_LEGACY + 0x20: /* USB 2: ports 1 to 4 */
        return 0x02000000 | 0 << 8 | 2;
    case FAKE_LEGACY + 0x28:
        return 4 << 8 | 1;
    case FAKE_OP + OP_COMMAND:
        if ((fake_hc.command & COMMAND_RESET) != 0 && !fake_hc.stays_reset &&
            fake_hc.reset_polls++ > 2) {
            fake_hc.command = 0;
        }
        return fake_hc.command;
    case FAKE_OP + OP_STATUS:
        return fake_hc.status | ((fake_hc.command & COMMAND_RUN) == 0 ? STATUS_HALTED : 0);
    case FAKE_OP + OP_PAGESIZE:
        return 1;
    default:
        ASSERT(false);
        return 0;
    }
}

static void fake_start_run(void) {
    ASSERT(fake_hc.erstsz == 1 && (fake_hc.crcr & 0xe) == 0 && fake_hc.config != 0);
    const uint64_t *scratch = fake_at(*(uint64_t *)fake_at(fake_hc.dcbaap, 8), 8 * FAKE_SCRATCH);
    for (unsigned i = 0; i < FAKE_SCRATCH; i++) {
        memset(fake_at(scratch[i], PAGE_SIZE), 0xee, PAGE_SIZE); /* it is the controller's */
    }
    fake_hc.command_ring = fake_hc.crcr & ~0x3full;
    fake_hc.command_cycle = fake_hc.crcr & 1;
    fake_hc.event_at = 0;
    fake_hc.event_cycle = 1;
}

static void fake_write64(uint64_t *word, bool high, uint32_t value) {
    *word = high ? (*word & UINT32_MAX) | (uint64_t)value << 32 : (*word >> 32 << 32) | value;
}

static void fake_write(void *machine, uint32_t offset, uint32_t value) {
    ASSERT(machine == &fake_hc && offset < FAKE_SIZE && offset % 4 == 0);
    if (fake_hc.dead) {
        return;
    }
    if (offset >= FAKE_DB && offset < FAKE_DB + 33 * 4) {
        uint8_t slot = (uint8_t)((offset - FAKE_DB) / 4);
        if (slot == 0) {
            fake_commands();
        } else if (value == 1) {
            fake_control(slot);
        } else {
            ASSERT(fake_hc.slots[slot].ring[value] != 0);
        }
        return;
    }
    if (offset >= FAKE_OP + OP_PORTS && offset < FAKE_OP + OP_PORTS + FAKE_PORTS * 16) {
        unsigned n = (offset - FAKE_OP - OP_PORTS) / 16 + 1;
        ASSERT(n <= 4); /* those of USB 3 are not touched */
        fake_write_port(n, value);
        return;
    }
    switch (offset) {
    case FAKE_LEGACY:
        fake_hc.legacy = value;
        break;
    case FAKE_LEGACY + 4:
        fake_hc.legacy_control = value & ~LEGACY_CONTROL_CLEAR;
        break;
    case FAKE_OP + OP_COMMAND:
        ASSERT((value & COMMAND_RESET) == 0 || (fake_hc.command & COMMAND_RUN) == 0);
        if ((value & COMMAND_RUN) != 0) {
            fake_start_run();
        }
        if ((value & COMMAND_RESET) != 0) {
            memset(fake_hc.slots, 0, sizeof(fake_hc.slots));
            fake_hc.reset_polls = 0;
        }
        fake_hc.command = value;
        break;
    case FAKE_OP + OP_CONFIG:
        fake_hc.config = value;
        break;
    case FAKE_OP + OP_CRCR:
    case FAKE_OP + OP_CRCR + 4:
        fake_write64(&fake_hc.crcr, offset % 8 != 0, value);
        break;
    case FAKE_OP + OP_DCBAAP:
    case FAKE_OP + OP_DCBAAP + 4:
        fake_write64(&fake_hc.dcbaap, offset % 8 != 0, value);
        break;
    case FAKE_RT + RT_ERSTBA:
    case FAKE_RT + RT_ERSTBA + 4:
        fake_write64(&fake_hc.erstba, offset % 8 != 0, value);
        if (offset % 8 != 0) { /* some read it now */
            ASSERT(((struct xhci_trb *)fake_at(fake_hc.erstba, 16))->status == EVENT_TRBS);
        }
        break;
    case FAKE_RT + RT_ERDP:
    case FAKE_RT + RT_ERDP + 4:
        fake_write64(&fake_hc.erdp, offset % 8 != 0, value);
        break;
    case FAKE_RT + RT_ERSTSZ:
        fake_hc.erstsz = value;
        break;
    case FAKE_RT + RT_IMAN:
        ASSERT(value == 0);
        break;
    default:
        ASSERT(false);
    }
}

static void fake_allow_dma(void *machine) {
    ASSERT(machine == &fake_hc && (fake_hc.command & COMMAND_RUN) == 0);
    ASSERT(fake_hc.reset_polls != 0); /* the firmware's addresses are forgotten */
    fake_hc.dma = true;
}

static const struct xhci_ops fake_ops = {fake_read, fake_write, fake_allow_dma, fake_key};

/* ---- a machine ---- */

static UNUSED struct fake_usb fake_keyboard(uint8_t speed) {
    static const uint8_t config[] = {
        9, 2,    59,   0, 2, 1, 0,    0xa0, 50, /* configuration 1 */
        9, 4,    0,    0, 1, 3, 1,    1,    0,  /* interface 0: boot keyboard */
        9, 0x21, 0x11, 1, 0, 1, 0x22, 63,   0,  /* HID */
        7, 5,    0x81, 3, 8, 0, 10,             /* endpoint 1, in, 8 bytes, 10 ms */
        9, 4,    1,    0, 1, 3, 1,    2,    0,  /* interface 1: boot mouse */
        9, 0x21, 0x11, 1, 0, 1, 0x22, 63,   0,  /* HID */
        7, 5,    0x82, 3, 4, 0, 10,             /* endpoint 2 */
    };
    struct fake_usb d = {.speed = speed, .config_size = sizeof(config)};
    memcpy(d.config, config, sizeof(config));
    memcpy(d.device, "\x12\x01\x00\x02\x00\x00\x00\x08", 8);
    d.device[7] = speed == SPEED_HIGH ? 64 : 8;
    return d;
}

static UNUSED struct fake_usb fake_hub(uint8_t speed, uint8_t ports) {
    static const uint8_t config[] = {9, 2, 25, 0, 1, 1, 0, 0xe0, 50, 9, 4, 0, 0,
                                     1, 9, 0,  0, 0, 7, 5, 0x81, 3,  1, 0, 12};
    struct fake_usb d = {.speed = speed, .config_size = sizeof(config), .hub_ports = ports};
    memcpy(d.config, config, sizeof(config));
    memcpy(d.device, "\x12\x01\x00\x02\x09\x00\x00\x40", 8);
    return d;
}

static UNUSED void fake_hub_plug(struct fake_usb *hub, unsigned n, struct fake_usb *d) {
    hub->behind[n] = d;
    hub->enabled[n] = false;
    hub->changes[n] |= 1;
}

static UNUSED void fake_start(uint32_t features) {
    uint64_t size = 0;
    memset(&fake_hc, 0, sizeof(fake_hc));
    fake_hc.features = features;
    fake_hc.length = FAKE_OP;
    fake_hc.legacy = LEGACY_BIOS | 4 << 8 | EXTENDED_LEGACY;
    fake_hc.legacy_control = UINT32_MAX;
    fake_hc.command = COMMAND_RUN; /* as the firmware left it */
    fake_keys[0] = '\0';
    memset(fake_memory, 0, sizeof(fake_memory));
    CHECK_U64(xhci_probe(&hc, &fake_ops, &fake_hc, 0, FAKE_SIZE, &size), STATUS_OK);
    CHECK_U64(size, sizeof(fake_memory));
    xhci_give_memory(&hc, fake_memory, FAKE_BUS);
}

static UNUSED void fake_run(unsigned ms) {
    for (unsigned i = 0; i < ms; i += 8) {
        fake_now += 8000;
        xhci_poll(&hc, fake_now);
    }
}
