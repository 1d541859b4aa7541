/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8254 timer's three channels and port 61h, from the VM's clock: what a channel shows is
 * computed when somebody looks, so nothing ticks but the interrupt of channel 0, and that only
 * while a count runs. Sources: Intel 82C54 data sheet "Operational Description"; Intel ICH data
 * sheets "NMI_SC - NMI Status and Control Register".
 */
#include "hv/compartment/dev/models.h"

enum { OFFSET_CONTROL = 3 };
enum { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };
enum { GATE_2 = 0x01, SPEAKER = 0x02, REFRESH = 0x10, OUT_2 = 0x20 };
enum { MODE_PERIODIC = 2, MODE_STROBE = 4 };    /* modes 2, 3, 6, 7; of the others 4 and 5 */
enum { STATUS_LATCHED = 1, COUNT_LATCHED = 2 }; /* as in the read-back command, inverted */

#define STATUS_NO_COUNT BIT32(6) /* a mode is set, but no count yet */
#define STATUS_OUT      BIT32(7)
#define REFRESH_HZ      66287u
#define OUT             BIT32(16) /* the output, above the count */

static struct pit *pit_of(struct device *dev) {
    return CONTAINER_OF(dev, struct pit, dev);
}

static void pit_reset(struct device *dev) {
    *pit_of(dev) = (struct pit){.dev = *dev};
}

static uint64_t pit_ticks(const struct pit *pit) {
    return clock_ticks(pit->dev.env->clock, PIT_HZ);
}

static void pit_drive(const struct pit *pit, bool asserted) {
    pit->dev.env->irq(pit->dev.env, PIT_IRQ, asserted);
}

static uint64_t pit_period(const struct pit_channel *c) {
    return c->reload == 0 ? 0x10000 : c->reload;
}

/* Channel 0's output rises at the end of each period; runs: there is one to come. */
static void pit_arm(struct pit *pit, uint64_t now, bool runs) {
    const struct dev_clock *clock = pit->dev.env->clock;
    const struct pit_channel *c = &pit->channels[0];
    uint64_t period = pit_period(c);
    uint64_t ticks = clock_ticks_at(clock, now, PIT_HZ) - c->start;
    uint64_t next = c->start + ticks - ticks % period + period;
    uint64_t soonest = now + clock->tsc_hz / TIMER_MIN_PERIOD_HZ;

    pit->due = runs ? max_u64(clock_when(clock, next, PIT_HZ), soonest) : 0;
}

/*
 * Periods that passed unseen are one interrupt: a guest that could not run gets no storm. The line
 * stays up from then on, so that an interrupt controller that is masked or busy may take it later.
 */
static uint64_t pit_service(struct device *dev, uint64_t now) {
    struct pit *pit = pit_of(dev);

    if (pit->due != 0 && now >= pit->due) {
        pit_drive(pit, false);
        pit_drive(pit, true);
        pit_arm(pit, now, (pit->channels[0].mode & MODE_PERIODIC) != 0);
    }
    return pit->due;
}

/* A new mode or count: until that has run out the output of channel 0 does not rise. */
static void pit_changed(struct pit *pit, const struct pit_channel *c) {
    if (c == &pit->channels[0]) {
        pit_drive(pit, false);
        pit_arm(pit, clock_now(pit->dev.env->clock), c->loaded);
        pit->dev.env->reschedule(pit->dev.env);
    }
}

/* What the counter holds, and OUT. Channel 2 stands still while its gate is shut. */
static uint32_t pit_look(const struct pit *pit, const struct pit_channel *c) {
    bool shut = c == &pit->channels[2] && (pit->port61 & GATE_2) == 0;
    uint64_t reload = pit_period(c);
    uint64_t ticks = shut || !c->loaded ? 0 : pit_ticks(pit) - c->start;
    unsigned mode = c->mode & 3; /* 6 and 7 are 2 and 3; 1 and 5, which wait for a gate, 0 and 4 */
    uint64_t count;
    bool out;

    if (mode < 2) {
        bool strobe = (c->mode & MODE_STROBE) != 0;
        out = c->loaded && (strobe ? ticks != reload : ticks >= reload);
        count = reload - ticks;
    } else {
        ticks %= reload;
        out = !c->loaded || (mode == 2 ? ticks != reload - 1 : ticks < (reload + 1) / 2);
        count = mode == 2 ? reload - ticks : reload - 2 * ticks % reload;
    }
    return (uint16_t)count | (out ? OUT : 0);
}

static void pit_latch(const struct pit *pit, struct pit_channel *c, unsigned what) {
    uint32_t now = pit_look(pit, c);
    what &= ~(unsigned)c->latched;
    if ((what & COUNT_LATCHED) != 0) {
        c->count = (uint16_t)now;
        c->high = c->access == ACCESS_HIGH;
    }
    if ((what & STATUS_LATCHED) != 0) {
        unsigned out = (now & OUT) != 0 ? STATUS_OUT : 0;
        unsigned no_count = c->loaded ? 0 : STATUS_NO_COUNT;
        c->status = (uint8_t)(out | no_count | (unsigned)c->access << 4 | (unsigned)c->mode << 1);
    }
    c->latched |= (uint8_t)what;
}

/* The control word: a mode, a latch, or (channel 3) the read-back of several channels. */
static void pit_control(struct pit *pit, uint8_t value) {
    unsigned number = value >> 6;
    unsigned access = value >> 4 & 3;

    if (number == 3) {
        for (unsigned i = 0; i < 3; i++) {
            pit_latch(pit, &pit->channels[i], (value >> (i + 1) & 1) != 0 ? ~access & 3 : 0);
        }
        return;
    }
    struct pit_channel *c = &pit->channels[number];
    if (access == ACCESS_LATCH) {
        pit_latch(pit, c, COUNT_LATCHED);
    } else {
        *c = (struct pit_channel){
            .access = (uint8_t)access, .mode = value >> 1 & 7, .high = access == ACCESS_HIGH};
        pit_changed(pit, c);
    }
}

/* Low byte, high byte, or both in turn. */
static bool pit_take_turn(struct pit_channel *c) {
    bool high = c->high;
    c->high = c->access == ACCESS_BOTH ? !high : c->access == ACCESS_HIGH;
    return high;
}

static uint8_t pit_read_channel(struct pit *pit, struct pit_channel *c) {
    if ((c->latched & STATUS_LATCHED) != 0) {
        c->latched &= (uint8_t)~STATUS_LATCHED;
        return c->status;
    }
    uint32_t count = (c->latched & COUNT_LATCHED) != 0 ? c->count : pit_look(pit, c);
    bool high = pit_take_turn(c);
    if (high || c->access != ACCESS_BOTH) {
        c->latched = 0;
    }
    return (uint8_t)(count >> (high ? 8 : 0));
}

static void pit_write_channel(struct pit *pit, struct pit_channel *c, uint8_t value) {
    bool high = pit_take_turn(c);
    unsigned low = c->reload & 0xffu; /* 0 where only high bytes are written */
    c->reload = (uint16_t)(high ? low | (unsigned)value << 8 : value);
    c->loaded = high || c->access == ACCESS_LOW;
    c->start = pit_ticks(pit);
    pit_changed(pit, c);
}

static uint8_t pit_read_port_61(const struct pit *pit) {
    bool out_2 = (pit_look(pit, &pit->channels[2]) & OUT) != 0;
    bool refresh = (clock_ticks(pit->dev.env->clock, REFRESH_HZ) & 1) != 0;
    unsigned value = pit->port61;

    value |= out_2 ? OUT_2 : 0;
    value |= refresh ? REFRESH : 0;
    return (uint8_t)value;
}

static void pit_write_port_61(struct pit *pit, uint8_t value) {
    bool opens = (value & ~(unsigned)pit->port61 & GATE_2) != 0;
    if (opens) {
        pit->channels[2].start = pit_ticks(pit);
    }
    pit->port61 = value & (GATE_2 | SPEAKER);
}

static uint64_t pit_read(struct device *dev, unsigned region, uint64_t at, unsigned size) {
    struct pit *pit = pit_of(dev);

    if (region == PIT_PORT_61) {
        return pit_read_port_61(pit);
    }
    if (size != 1 || at == OFFSET_CONTROL) {
        return UINT64_MAX;
    }
    return pit_read_channel(pit, &pit->channels[at]);
}

static void pit_write(struct device *dev, unsigned region, uint64_t at, unsigned size,
                      uint64_t value) {
    struct pit *pit = pit_of(dev);

    if (region == PIT_PORT_61) {
        pit_write_port_61(pit, (uint8_t)value);
    } else if (size != 1) {
        return;
    } else if (at == OFFSET_CONTROL) {
        pit_control(pit, (uint8_t)value);
    } else {
        pit_write_channel(pit, &pit->channels[at], (uint8_t)value);
    }
}

const struct device_ops pit_ops = {
    .name = "timer",
    .reset = pit_reset,
    .read = pit_read,
    .write = pit_write,
    .service = pit_service,
};
