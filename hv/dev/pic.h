/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's pair of 8259 interrupt controllers with the edge/level registers (ELCR) of PCI chipsets:
 * initialization, masks, all EOI and rotation commands, polling, special modes. What hangs on its
 * INTR output (local APIC, I/O APIC) is its owner's business. Called under the VM's device lock;
 * intr alone may be read without it.
 */
#ifndef HV_DEV_PIC_H
#define HV_DEV_PIC_H

#include "hv/dev/bus.h"

struct pic_chip {
    unsigned lines, irr, isr, elcr; /* a bit for each input */
    unsigned lowest;                /* the input of lowest priority; the next one is the highest */
    unsigned next_word;             /* the one of words[] that the odd port takes next */
    uint8_t words[5];               /* the mask, ICW1 to ICW4 */
    bool rotate, special_mask, read_isr, poll;
};

struct pic {
    struct vm *vm;
    bool intr;
    struct pic_chip chips[2]; /* IRQ 0 to 7; 8 to 15, which sits on input 2 of the first */
};

void pic_reset(struct pic *pic, struct vm *vm);
void pic_set_line(struct pic *pic, unsigned irq, bool asserted); /* 0..15 but 2 */

/* INTA: the vector; that of a spurious interrupt if the request went away meanwhile. */
uint8_t pic_acknowledge(struct pic *pic);

/* Ports 20h, 21h, A0h, A1h, 4D0h, 4D1h. Guest-controlled. */
uint64_t pic_read(void *pic, uint64_t port, unsigned size);
void pic_write(void *pic, uint64_t port, unsigned size, uint64_t value);

#endif
