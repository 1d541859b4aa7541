/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile USB devices, and a controller that says anything: under the sanitizers. Nothing may
 * assert, go out of bounds or wait for ever, and an honest keyboard works afterwards. The input is
 * a stream of bytes: from a seed here, from libFuzzer in `make fuzz`.
 */
#include "arch/x86_64/xhci/internal.h"
#include "tests/unit/fake_input.h"
#include "tests/unit/fake_xhci.h"

#define STEPS 4000u /* with each seed */
#define SEEDS 60u

/* What the driver keeps of itself. */
static void check_state(void) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        const struct usb_device *d = &hc.devices[i];
        if (!d->in_use) {
            continue;
        }
        ASSERT(d->port != NULL && d->port_count <= USB_MAX_HUB_PORTS && d->depth <= 5);
        ASSERT(!d->ready || d->slot != 0);
        ASSERT(d->gone || d->port->device == d);
        ASSERT(d->found.endpoint < 16 && d->found.packet <= REPORT_MAX && d->total <= DATA_SIZE);
        ASSERT(d->slot == 0 || (d->control.at < CONTROL_TRBS && d->reports.at < REPORTS));
        for (unsigned j = 0; j < i; j++) {
            const struct usb_device *e = &hc.devices[j];
            ASSERT(!e->in_use || e->slot == 0 || e->slot != d->slot);
        }
    }
    ASSERT(hc.operation.wait == WAIT_NOTHING || hc.operation.then != NULL);
}

/* ---- devices that lie, behind a controller that does not ---- */

static struct fake_usb devices[8];

static void new_device(struct fake_usb *d) {
    uint64_t word = random_word();
    uint8_t speed = (uint8_t)(SPEED_FULL + word % 3);
    if ((word >> 8 & 3) == 0) {
        *d = fake_hub(speed, (uint8_t)(1 + (word >> 16) % 15));
    } else {
        *d = fake_keyboard(speed);
    }
    d->hostile = (word >> 24 & 7) != 0;
}

static void step_devices(void) {
    uint64_t word = random_word();
    struct fake_usb *d = &devices[word >> 8 & 7];
    unsigned port = 1 + (word >> 16 & 3);
    uint8_t report[64];

    switch (word & 15) {
    case 0: /* nothing of it may be somewhere else */
        if (fake_hc.at[port] == NULL && (word >> 32 & 7) == 0) {
            for (unsigned p = 1; p <= FAKE_PORTS; p++) {
                port = fake_hc.at[p] == d ? 0 : port;
            }
            for (unsigned i = 0; i < 8; i++) {
                for (unsigned n = 1; n < 16; n++) {
                    port = devices[i].behind[n] == d ? 0 : port;
                }
            }
            if (port != 0) {
                new_device(d);
                fake_plug(port, d);
            }
        }
        break;
    case 1:
        if ((word >> 32 & 7) == 0) {
            fake_plug(port, NULL);
        }
        break;
    case 2:
        d->changes[1 + (word >> 24) % 15] |= word >> 32 & 0x1f;
        break;
    case 3:
    case 4:
        for (unsigned i = 0; i < sizeof(report); i++) {
            report[i] = (uint8_t)random_word();
        }
        if (d->slot != 0 && fake_hc.slots[d->slot].usb == d) {
            (void)fake_report(d, report, (unsigned)(word >> 32) % 9);
        }
        break;
    default:
        break;
    }
    fake_now += (word >> 40 & 63) * 1000;
    xhci_poll(&hc, fake_now);
    check_state();
}

static void hostile_devices(unsigned steps) {
    fake_start((random_word() & 1) != 0 ? FAKE_CSZ : 0);
    memset(devices, 0, sizeof(devices));
    fake_run(300);
    fake_random = random_word;
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        step_devices();
        fake_keys[0] = '\0';
    }
}

/* ---- a controller that says anything ---- */

static uint32_t odd_read(UNUSED void *machine, uint32_t offset) {
    uint64_t word = random_word();
    ASSERT(offset < FAKE_SIZE);
    if ((word >> 53) == 0) {
        return (uint32_t)word;
    }
    if (offset == FAKE_OP + OP_STATUS) {
        return hc.state == XHCI_RUNNING ? 0 : STATUS_HALTED;
    }
    if (offset == FAKE_OP + OP_COMMAND) {
        return 0;
    }
    if (offset >= FAKE_OP + OP_PORTS && offset < FAKE_RT) {
        uint32_t speed = (offset >> 4 & 1) != 0 ? SPEED_FULL : SPEED_HIGH;
        uint32_t usual = PORTSC_CONNECTED | PORTSC_ENABLED | speed << 10;
        return (word >> 45 & 0xff) != 0 ? usual : (uint32_t)word;
    }
    return (uint32_t)word & 0x00ffffff;
}

static void odd_write(UNUSED void *machine, uint32_t offset, UNUSED uint32_t value) {
    ASSERT(offset < FAKE_SIZE && offset % 4 == 0);
}

static void odd_dma(UNUSED void *machine) {
}

static const struct xhci_ops odd_ops = {odd_read, odd_write, odd_dma, fake_key};

/* An event that could be one, or anything. */
static void odd_event(void) {
    uint64_t word = random_word();
    struct xhci_memory *m = (void *)fake_memory;
    struct xhci_trb *e = &m->events[hc.event_at];
    const struct usb_device *d = &hc.devices[word >> 8 & 15];
    uint32_t types[] = {TRB_COMMAND_EVENT, TRB_TRANSFER_EVENT, TRB_PORT_EVENT,
                        (uint32_t)(word >> 16 & 63)};
    uint32_t slot = (word >> 24 & 3) != 0 ? d->slot : (uint32_t)(word >> 26 & 0xff);
    uint32_t endpoint = (word >> 34 & 3) != 0 ? 1 : (uint32_t)(word >> 36 & 31);
    bool report = (word >> 41 & 3) == 0 && d->in_use && d->ready;

    e->parameter = (word >> 43 & 7) != 0 ? hc.operation.trb : random_word();
    if (hc.operation.wait == WAIT_COMMAND) {
        slot = 1;
        while (m->contexts[slot] != 0 && slot < 32) {
            slot++;
        }
        slot = (word >> 46 & 15) != 0 ? slot : (uint32_t)(word >> 48 & 31);
    } else if (hc.operation.wait == WAIT_CONTROL && (word >> 46 & 3) != 0) {
        slot = hc.operation.device->slot;
    }
    if (report) {
        endpoint = keyboard_context(d);
        e->parameter = xhci_bus(&hc, &d->memory->reports[d->next_report]);
    }
    e->status = ((word >> 53 & 7) != 0 ? CODE_SUCCESS : (uint32_t)(word >> 56)) << 24;
    e->status |= (word & BIT(52)) != 0 ? (uint32_t)random_word() & 0xffffff : 0;
    e->control =
        TRB_TYPE(types[word & 3]) | TRB_SLOT(slot) | TRB_ENDPOINT(endpoint) | hc.event_cycle;
}

/* Often what a keyboard or a hub would answer. */
static void odd_data(void) {
    struct xhci_memory *m = (void *)fake_memory;
    uint64_t word = random_word();
    struct fake_usb k = (word & 1) != 0 ? fake_keyboard(SPEED_FULL) : fake_hub(SPEED_HIGH, 4);
    uint64_t request = 0;
    if (hc.operation.wait == WAIT_CONTROL) {
        const struct xhci_trb *t = hc.operation.device->control.trbs;
        unsigned at = hc.operation.device->control.at;
        request = t[(at + CONTROL_TRBS - 1 - 3) % (CONTROL_TRBS - 1)].parameter;
    }
    if ((request & 0xffff) == 0x0680) {
        bool device = (request >> 24 & 0xff) == USB_DEVICE;
        memcpy(m->data, device ? k.device : k.config, device ? 18 : k.config_size);
        m->data[7] = device ? 64 : m->data[7];
    }
    for (unsigned i = 0; i < (word >> 1 & 3); i++) {
        m->data[random_word() % DATA_SIZE] = (uint8_t)random_word();
    }
}

static void odd_controller(unsigned steps) {
    uint64_t size = 0;
    fake_keys[0] = '\0';
    memset(fake_memory, 0, sizeof(fake_memory));
    fake_hc.dma = true;
    if (xhci_probe(&hc, &odd_ops, &fake_hc, 0, FAKE_SIZE, &size) != STATUS_OK ||
        size > sizeof(fake_memory)) {
        /* It does not come so far by chance: as an honest one begins. */
        fake_start(0);
        hc.ops = &odd_ops;
    } else {
        xhci_give_memory(&hc, fake_memory, FAKE_BUS);
    }
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        if (hc.state == XHCI_OFF) {
            hc.state = XHCI_FAILED;
            hc.failures = 0;
        }
        if (hc.state == XHCI_RUNNING && (word & 3) != 0) {
            odd_data();
            odd_event();
        }
        fake_now += (word >> 8 & 127) * 1000;
        xhci_poll(&hc, fake_now);
        check_state();
        fake_keys[0] = '\0';
    }
}

#ifdef FUZZ
static void run_input(bool other) {
    if (other) {
        hostile_devices(UINT32_MAX);
    } else {
        odd_controller(UINT32_MAX);
    }
}
#else
TEST(devices_that_lie) {
    static const uint8_t key_a[8] = {0, 0, 4};
    unsigned keyboards = 0;
    for (unsigned s = 1; s <= SEEDS; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        hostile_devices(STEPS);
        keyboards += xhci_has_keyboard(&hc);

        for (unsigned p = 1; p <= 4; p++) {
            fake_plug(p, NULL);
        }
        fake_run(20000);
        struct fake_usb honest = fake_keyboard(SPEED_LOW);
        fake_plug(2, &honest);
        fake_run(2000);
        fake_keys[0] = '\0';
        CHECK(fake_report(&honest, key_a, 8));
        fake_run(8);
        CHECK_STR(fake_keys, "+04 ");
    }
    CHECK(keyboards > SEEDS / 4); /* they came as far as that */
}

TEST(a_controller_that_says_anything) {
    unsigned slots = 0, ready = 0;
    for (unsigned s = 1; s <= SEEDS; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        odd_controller(STEPS);
        for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
            slots += hc.devices[i].in_use && hc.devices[i].slot != 0;
            ready += hc.devices[i].in_use && hc.devices[i].ready;
        }
    }
    CHECK(slots > 0 && ready > 0);
}

TEST_MAIN(T(devices_that_lie), T(a_controller_that_says_anything))
#endif
