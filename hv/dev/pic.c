/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two 8259 interrupt controllers as a PC has them. Priorities are ranks: 0 for the input that comes
 * first at the moment. Knows nothing of CPUs: INTR goes out through a hook, pic_acknowledge() is
 * their INTA. What a PC has by its wires is not asked for again: single mode, ICW3, the CALL of an
 * 8080 and buffered mode are without effect.
 * Sources: Intel 82C59A data sheet "Operation Command Words", "Fully Nested Mode"; Intel ICH data
 * sheets "ELCR1 - Master Controller Edge/Level Triggered Register".
 */
#include "hv/dev/platform.h"

#define BIT8(n) (1u << (n)&0xff) /* of NONE it is 0 */
#define CASCADE 2u               /* the first chip's input for the second */
#define NONE    8u               /* no input, and the rank behind all others */

enum { PORT_SECOND = 0xa0, PORT_ELCR = 0x4d0 };
enum { IMR, ICW1, ICW2, ICW3, ICW4 }; /* of the words that are kept */
enum { ICW1_ICW4 = 0x01, IS_ICW1 = 0x10, ICW4_AUTO_EOI = 0x02, ICW4_NESTED = 0x10 };
enum { OCW2_EOI = 0x20, OCW2_SPECIFIC = 0x40, OCW2_ROTATE = 0x80, IS_OCW3 = 0x08 };
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
    return pic_rank(c, c->isr & ~(c->special_mask ? c->words[IMR] : 0u));
}

/* The input to be served now. In special fully nested mode the second chip interrupts itself. */
static unsigned pic_request(const struct pic_chip *c) {
    unsigned rank = pic_rank(c, c->irr & ~c->words[IMR]), busy = pic_busy_rank(c);
    unsigned input = pic_input(c, rank);
    bool nested = (c->words[ICW4] & ICW4_NESTED) != 0 && input == CASCADE;
    return rank < busy || (nested && rank == busy) ? input : NONE;
}

static void pic_drive(struct pic_chip *c, unsigned input, bool asserted) {
    unsigned bit = BIT8(input), raised = asserted ? bit & ~c->lines : 0;
    c->lines = (c->lines & ~bit) | (asserted ? bit : 0);
    c->irr = (c->irr & c->lines) | raised;
}

/* The cascade is a level: its ELCR bit is set, and hidden from the guest. */
static void pic_update(struct pic *pic) {
    pic_drive(&pic->chips[0], CASCADE, pic_request(&pic->chips[1]) != NONE);
    bool before = pic->intr;
    __atomic_store_n(&pic->intr, pic_request(&pic->chips[0]) != NONE, __ATOMIC_RELEASE);
    if (pic->intr && !before) {
        vm_pic_raised(pic->vm);
    }
}

void pic_reset(struct pic *pic, struct vm *vm) {
    *pic = (struct pic){.vm = vm, .chips = {{.lowest = 7, .elcr = BIT8(CASCADE)}, {.lowest = 7}}};
}

void pic_set_line(struct pic *pic, unsigned irq, bool asserted) {
    ASSERT(irq < 16 && irq != CASCADE);
    pic_drive(&pic->chips[irq / 8], irq % 8, asserted);
    pic_update(pic);
}

static unsigned pic_take(struct pic_chip *c) {
    unsigned input = pic_request(c);
    bool auto_eoi = (c->words[ICW4] & ICW4_AUTO_EOI) != 0;
    c->irr &= ~BIT8(input) | c->elcr;
    c->isr |= auto_eoi ? 0 : BIT8(input);
    c->lowest = auto_eoi && c->rotate && input != NONE ? input : c->lowest;
    return input;
}

uint8_t pic_acknowledge(struct pic *pic) {
    struct pic_chip *c = &pic->chips[0];
    unsigned input = pic_take(c);
    if (input == CASCADE) {
        input = pic_take(++c);
    }
    pic_update(pic);
    return (uint8_t)((c->words[ICW2] & 0xf8) | (input == NONE ? 7 : input));
}

static void pic_write_ocw2(struct pic_chip *c, uint8_t value) {
    bool rotate = (value & OCW2_ROTATE) != 0, specific = (value & OCW2_SPECIFIC) != 0;
    bool eoi = (value & OCW2_EOI) != 0;
    unsigned input = specific ? value & 7 : pic_input(c, pic_busy_rank(c));
    c->isr &= ~(eoi ? BIT8(input) : 0);
    c->rotate = eoi || specific ? c->rotate : rotate; /* in automatic EOI */
    c->lowest = rotate && (eoi || specific) && input != NONE ? input : c->lowest;
}

uint64_t pic_read(void *dev, uint64_t port, unsigned size) {
    struct pic *pic = dev;
    struct pic_chip *c = &pic->chips[port >= PORT_ELCR ? port & 1 : port >= PORT_SECOND];
    if (size != 1) {
        return UINT64_MAX;
    }
    if (port >= PORT_ELCR) {
        return c->elcr & elcr_writable[port & 1];
    }
    if (c->poll) { /* counts as INTA; bit 7 is set if there is a request */
        unsigned input = pic_take(c);
        c->poll = false;
        pic_update(pic);
        return input == NONE ? 0 : BIT8(7) | input;
    }
    return (port & 1) != 0 ? c->words[IMR] : c->read_isr ? c->isr : c->irr;
}

void pic_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
    struct pic *pic = dev;
    struct pic_chip *c = &pic->chips[port >= PORT_ELCR ? port & 1 : port >= PORT_SECOND];
    uint8_t byte = (uint8_t)value;
    if (size != 1) {
        return;
    }
    if (port >= PORT_ELCR) {
        c->elcr = (c->elcr & ~elcr_writable[port & 1]) | (byte & elcr_writable[port & 1]);
        c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
    } else if ((port & 1) != 0) { /* the mask, or what is left of the initialization */
        unsigned word = c->next_word, icw4 = (c->words[ICW1] & ICW1_ICW4) != 0 ? ICW4 : IMR;
        c->words[word] = byte;
        c->next_word = word == ICW2 ? ICW3 : word == ICW3 ? icw4 : IMR;
    } else if ((byte & IS_ICW1) != 0) {
        *c = (struct pic_chip){.lines = c->lines,
                               .irr = c->lines & c->elcr,
                               .elcr = c->elcr,
                               .lowest = 7,
                               .next_word = ICW2,
                               .words = {0, byte}};
    } else if ((byte & IS_OCW3) != 0) {
        c->special_mask = (byte & OCW3_SET_MASK) != 0 ? (byte & OCW3_MASK) != 0 : c->special_mask;
        c->read_isr = (byte & OCW3_READ) != 0 ? (byte & OCW3_ISR) != 0 : c->read_isr;
        c->poll = (byte & OCW3_POLL) != 0;
    } else {
        pic_write_ocw2(c, byte);
    }
    pic_update(pic);
}
