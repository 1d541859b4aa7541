/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two 8259 interrupt controllers as a PC has them. Priorities are ranks: 0 for the input that comes
 * first at the moment. Knows nothing of CPUs: INTR goes out of the platform, pic_acknowledge()
 * is their INTA. What a PC has by its wires is not asked for again: single mode, ICW3, the CALL of
 * an 8080 and buffered mode are without effect. Sources: Intel 82C59A data sheet "Operation Command
 * Words", "Fully Nested Mode"; Intel ICH data sheets "ELCR1 - Master Controller Edge/Level
 * Triggered Register".
 */
#include "hv/compartment/dev/models.h"

#define BIT8(n) (1u << (n)&0xff) /* of NONE it is 0 */
#define CASCADE 2u               /* the first chip's input for the second */
#define NONE    8u               /* no input, and the rank behind all others */

enum { OFFSET_COMMAND, OFFSET_MASK };
enum { ICW1_ICW4 = 0x01, IS_ICW1 = 0x10, ICW4_AUTO_EOI = 0x02, ICW4_NESTED = 0x10 };
enum { ICW2_VECTOR = 0xf8, IS_OCW3 = 0x08 };
/* Bits 7 to 5 of OCW2: rotate, specific, EOI. */
enum ocw2 {
    OCW2_AUTO_STAY,
    OCW2_EOI,
    OCW2_NOTHING,
    OCW2_EOI_SPECIFIC,
    OCW2_AUTO_ROTATE,
    OCW2_EOI_ROTATE,
    OCW2_SET_LOWEST,
    OCW2_EOI_SPECIFIC_ROTATE,
};
enum { OCW3_ISR = 0x01, OCW3_READ = 0x02, OCW3_POLL = 0x04 };
enum { OCW3_MASK = 0x20, OCW3_SET_MASK = 0x40 };

/* Inputs that can be switched to level; timer, keyboard, cascade, clock and FPU cannot. */
static const uint8_t elcr_writable[2] = {0xf8, 0xde};

static unsigned pic_rank(const struct pic_chip *c, unsigned inputs) {
    unsigned first = (c->lowest + 1u) % 8;
    return (unsigned)__builtin_ctz(((inputs | inputs << 8) >> first & 0xff) | 1u << NONE);
}

static unsigned pic_input(const struct pic_chip *c, unsigned rank) {
    return rank == NONE ? NONE : (c->lowest + 1u + rank) % 8;
}

/* The first of what is in service; in special mask mode a masked input holds nothing back. */
static unsigned pic_busy_rank(const struct pic_chip *c) {
    return pic_rank(c, c->isr & ~(c->special_mask ? c->mask : 0u));
}

/* The input to be served now. In special fully nested mode the second chip interrupts itself. */
static unsigned pic_request(const struct pic_chip *c) {
    unsigned rank = pic_rank(c, c->irr & ~(unsigned)c->mask);
    unsigned busy = pic_busy_rank(c);
    unsigned input = pic_input(c, rank);
    bool nested = c->nested && input == CASCADE;
    return rank < busy || (nested && rank == busy) ? input : NONE;
}

static void pic_drive(struct pic_chip *c, unsigned input, bool asserted) {
    unsigned bit = BIT8(input);
    unsigned raised = asserted ? bit & ~c->lines : 0;
    c->lines = (c->lines & ~bit) | (asserted ? bit : 0);
    c->irr = (c->irr & c->lines) | raised;
}

static void pic_tell(const struct pic *pic) {
    pic->dev.env->intr(pic->dev.env, pic->intr);
}

/* The cascade is a level: its ELCR bit is set, and hidden from the guest. */
static void pic_update(struct pic *pic) {
    pic_drive(&pic->chips[0], CASCADE, pic_request(&pic->chips[1]) != NONE);
    bool intr = pic_request(&pic->chips[0]) != NONE;
    if (intr != pic->intr) {
        pic->intr = intr;
        pic_tell(pic);
    }
}

static struct pic *pic_of(struct device *dev) {
    return CONTAINER_OF(dev, struct pic, dev);
}

static void pic_reset(struct device *dev) {
    struct pic *pic = pic_of(dev);

    *pic =
        (struct pic){.dev = *dev, .chips = {{.lowest = 7, .elcr = BIT8(CASCADE)}, {.lowest = 7}}};
    pic_tell(pic);
}

void pic_set_line(struct pic *pic, unsigned irq, bool asserted) {
    ASSERT(irq < 16 && irq != CASCADE);
    pic_drive(&pic->chips[irq / 8], irq % 8, asserted);
    pic_update(pic);
}

static unsigned pic_take(struct pic_chip *c) {
    unsigned input = pic_request(c);

    c->irr &= ~BIT8(input) | c->elcr;
    if (!c->auto_eoi) {
        c->isr |= BIT8(input);
    } else if (c->rotate && input != NONE) {
        c->lowest = input;
    }
    return input;
}

uint8_t pic_acknowledge(struct pic *pic) {
    struct pic_chip *c = &pic->chips[0];
    unsigned input = pic_take(c);

    if (input == CASCADE) {
        input = pic_take(++c);
    }
    pic_update(pic);
    return (uint8_t)(c->vector | (input == NONE ? 7 : input));
}

/* NONE ends nothing and is no input to become the lowest. */
static void pic_end(struct pic_chip *c, unsigned input, bool rotate) {
    c->isr &= ~BIT8(input);
    if (rotate && input != NONE) {
        c->lowest = input;
    }
}

static void pic_write_ocw2(struct pic_chip *c, uint8_t value) {
    enum ocw2 command = (enum ocw2)(value >> 5);
    unsigned named = value & 7u;
    unsigned busy = pic_input(c, pic_busy_rank(c));

    switch (command) {
    case OCW2_AUTO_STAY:
    case OCW2_AUTO_ROTATE:
        c->rotate = command == OCW2_AUTO_ROTATE;
        break;
    case OCW2_EOI:
    case OCW2_EOI_ROTATE:
        pic_end(c, busy, command == OCW2_EOI_ROTATE);
        break;
    case OCW2_EOI_SPECIFIC:
    case OCW2_EOI_SPECIFIC_ROTATE:
        pic_end(c, named, command == OCW2_EOI_SPECIFIC_ROTATE);
        break;
    case OCW2_SET_LOWEST:
        c->lowest = named;
        break;
    case OCW2_NOTHING:
        break;
    }
}

/* Bits that say "leave it" leave it. */
static void pic_write_ocw3(struct pic_chip *c, uint8_t value) {
    if ((value & OCW3_SET_MASK) != 0) {
        c->special_mask = (value & OCW3_MASK) != 0;
    }
    if ((value & OCW3_READ) != 0) {
        c->read_isr = (value & OCW3_ISR) != 0;
    }
    c->poll = (value & OCW3_POLL) != 0;
}

/* ICW1 begins the initialization; what is latched of edges is forgotten. */
static void pic_initialize(struct pic_chip *c, uint8_t icw1) {
    *c = (struct pic_chip){.lines = c->lines,
                           .irr = c->lines & c->elcr,
                           .elcr = c->elcr,
                           .lowest = 7,
                           .next = PIC_ICW2,
                           .wants_icw4 = (icw1 & ICW1_ICW4) != 0};
}

/* The odd port: the mask, or what is left of the initialization. */
static void pic_write_mask(struct pic_chip *c, uint8_t value) {
    switch (c->next) {
    case PIC_READY:
        c->mask = value;
        break;
    case PIC_ICW2:
        c->vector = value & ICW2_VECTOR;
        c->next = PIC_ICW3;
        break;
    case PIC_ICW3:
        c->next = c->wants_icw4 ? PIC_ICW4 : PIC_READY;
        break;
    case PIC_ICW4:
        c->auto_eoi = (value & ICW4_AUTO_EOI) != 0;
        c->nested = (value & ICW4_NESTED) != 0;
        c->next = PIC_READY;
        break;
    }
}

static void pic_write_command(struct pic_chip *c, uint8_t value) {
    if ((value & IS_ICW1) != 0) {
        pic_initialize(c, value);
    } else if ((value & IS_OCW3) != 0) {
        pic_write_ocw3(c, value);
    } else {
        pic_write_ocw2(c, value);
    }
}

static void pic_write_elcr(struct pic_chip *c, uint8_t writable, uint8_t value) {
    c->elcr = (c->elcr & ~(unsigned)writable) | (value & writable);
    c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
}

/* Counts as INTA; bit 7 is set if there is a request. */
static uint8_t pic_poll(struct pic *pic, struct pic_chip *c) {
    unsigned input = pic_take(c);

    c->poll = false;
    pic_update(pic);
    return (uint8_t)(input == NONE ? 0 : BIT8(7) | input);
}

static uint64_t pic_read(struct device *dev, unsigned region, uint64_t at, unsigned size) {
    struct pic *pic = pic_of(dev);

    if (size != 1) {
        return UINT64_MAX;
    }
    if (region == PIC_ELCR) {
        return pic->chips[at].elcr & elcr_writable[at];
    }
    struct pic_chip *c = &pic->chips[region == PIC_SECOND];
    if (c->poll) {
        return pic_poll(pic, c);
    }
    if (at == OFFSET_MASK) {
        return c->mask;
    }
    return c->read_isr ? c->isr : c->irr;
}

static void pic_write(struct device *dev, unsigned region, uint64_t at, unsigned size,
                      uint64_t value) {
    struct pic *pic = pic_of(dev);
    struct pic_chip *c = &pic->chips[region == PIC_SECOND];

    if (size != 1) {
        return;
    }
    if (region == PIC_ELCR) {
        pic_write_elcr(&pic->chips[at], elcr_writable[at], (uint8_t)value);
    } else if (at == OFFSET_MASK) {
        pic_write_mask(c, (uint8_t)value);
    } else {
        pic_write_command(c, (uint8_t)value);
    }
    pic_update(pic);
}

const struct device_ops pic_ops = {
    .name = "interrupt controller",
    .reset = pic_reset,
    .read = pic_read,
    .write = pic_write,
};
