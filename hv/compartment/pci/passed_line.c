/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the interrupt line of a passed-through function: its real pin is never used, for it may be
 * shared with other guests. For a guest that uses no messages its status register is looked at
 * instead. See passed.h.
 */
#include "hv/compartment/pci/passed.h"

#define STATUS_INTERRUPT BIT32(19) /* of the word of command and status */
#define LOOKS_HZ         1000u

static bool passed_polls(const struct passed *p) {
    return p->abi->has_pin && passed_decodes(p) && (p->pci.command & PCI_INTX_OFF) == 0 &&
           !p->msi_on && !msix_is_on(&p->pci);
}

static void passed_look(struct passed *p) {
    pci_set_interrupt(&p->pci, (passed_real(p, PCI_COMMAND) & STATUS_INTERRUPT) != 0);
}

/* MSI-X has to be off still when the line falls: pci_set_interrupt() leaves it alone then. */
void passed_set_line(struct passed *p) {
    if (passed_polls(p)) {
        p->look_at = 0;
        p->dev.env->reschedule(p->dev.env);
    } else {
        pci_set_interrupt(&p->pci, false);
    }
}

void passed_look_again(struct passed *p) {
    if (p->pci.interrupts) {
        passed_look(p);
    }
}

uint64_t passed_service_line(struct passed *p, uint64_t now) {
    if (!passed_polls(p)) {
        return 0;
    }
    if (now >= p->look_at) {
        passed_look(p);
        p->look_at = now + p->dev.env->clock->tsc_hz / LOOKS_HZ;
    }
    return p->look_at;
}
