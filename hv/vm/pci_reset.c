/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the reset of a VM's real PCI functions, and what of their registers is put back after it.
 * Knows nothing of the guest. Sources: PCI Express Base Specification "Function Level Reset (FLR)",
 * "Device Control Register", "Bridge Control Register"; PCI Bus Power Management Interface
 * Specification "PMCSR", "State Transition Recovery Time Requirements"; PCI Conventional Advanced
 * Features ECN.
 */
#include "hv/vm/pci_device.h"

/* Of capabilities: offsets from their begin, and bits of the words there. */
#define EXPRESS_CONTROL   0x08u
#define EXPRESS_LINK      0x10u
#define EXPRESS_CONTROL_2 0x28u
#define EXPRESS_ERRORS    0xfu      /* which are reported */
#define EXPRESS_PENDING   BIT32(21) /* transactions */
#define EXPRESS_FLR       BIT32(15)
#define EXPRESS_VERSION   BITS(16, 19)
#define EXPRESS_VERSION_2 BIT32(17)
#define AF_CONTROL        0x04u
#define AF_FLR            BIT32(0)
#define BRIDGE_RESET      BIT32(22) /* of the word with the interrupt line */

void pci_quiesce(struct vm_pci *p) {
    p->command = 0;
    p->messages = PCI_NO_MESSAGES;
    pci_put(p, COMMAND, COMMAND_INTX_OFF);
}

static bool pci_is_pending(const struct vm_pci *p) {
    uint32_t word = p->f.at_express != 0 ? pci_get(p, p->f.at_express + EXPRESS_CONTROL) : 0;
    return word != PCI_NOBODY && (word & EXPRESS_PENDING) != 0;
}

void pci_set_power(const struct vm_pci *p, uint32_t state) {
    uint32_t at = p->f.at_power + POWER_CONTROL;
    pci_put(p, at, (pci_get(p, at) & PCI_WORD & ~POWER_STATE) | state);
}

/* In D3hot some take no reset. False: it was awake. */
static bool pci_wake(const struct vm_pci *p) {
    uint32_t word = p->f.at_power != 0 ? pci_get(p, p->f.at_power + POWER_CONTROL) : 0;
    bool asleep = word != PCI_NOBODY && (word & POWER_STATE) != 0;

    if (asleep) {
        pci_set_power(p, 0);
    }
    return asleep;
}

void pci_begin_flr(const struct vm_pci *p) {
    if (p->f.flr) {
        uint32_t at = p->f.at_express + EXPRESS_CONTROL;
        pci_put(p, at, (pci_get(p, at) & PCI_WORD) | EXPRESS_FLR);
    } else {
        pci_put(p, p->f.at_af + AF_CONTROL, AF_FLR);
    }
}

static void pci_reset_bus(const struct vm_pci *p, bool on) {
    uint32_t word = plat_pci_read(p->port, LINE) & ~BRIDGE_RESET;
    plat_pci_write(p->port, LINE, word | (on ? BRIDGE_RESET : 0));
}

/* The gentlest way there is. */
static void pci_begin_reset(const struct vm_pci *p) {
    if (pci_has_flr(p)) {
        pci_begin_flr(p);
    } else if (p->f.pm_reset) {
        pci_set_power(p, POWER_D3);
    } else if (p->f.bus_reset) {
        pci_reset_bus(p, true);
    }
}

static void pci_end_reset(const struct vm_pci *p) {
    if (pci_has_flr(p)) {
        return;
    }
    if (p->f.pm_reset) {
        pci_set_power(p, 0);
    } else if (p->f.bus_reset) {
        pci_reset_bus(p, false);
    }
}

static void pci_restore_word(const struct vm_pci *p, uint32_t reg) {
    pci_put(p, reg, p->saved[reg / 4] & PCI_WORD);
}

static void pci_restore_express(const struct vm_pci *p) {
    uint32_t at = p->f.at_express;

    if (at == 0) {
        return;
    }
    /* Errors are not reported: on some boards a guest could end the machine with them. */
    pci_put(p, at + EXPRESS_CONTROL,
            p->saved[(at + EXPRESS_CONTROL) / 4] & PCI_WORD & ~EXPRESS_ERRORS);
    pci_restore_word(p, at + EXPRESS_LINK);
    if ((p->saved[at / 4] & EXPRESS_VERSION) >= EXPRESS_VERSION_2) {
        pci_restore_word(p, at + EXPRESS_CONTROL_2);
    }
}

bool pci_restore(const struct vm_pci *p) {
    bool good = true;

    pci_put(p, COMMAND, COMMAND_INTX_OFF);
    pci_put(p, CACHE, p->saved[CACHE / 4] & PCI_WORD);
    for (uint32_t reg = BARS; reg < BARS + 4 * BOOT_PCI_BARS; reg += 4) {
        pci_put(p, reg, p->saved[reg / 4]);
        good = good && pci_get(p, reg) == p->saved[reg / 4];
    }
    pci_put(p, LINE, p->saved[LINE / 4] & 0xff);
    pci_restore_express(p);
    return good;
}

/* It answers, its BARs are where they were, and it is not at work. */
static bool pci_is_back(const struct vm_pci *p) {
    return pci_get(p, ID) == p->saved[ID / 4] && pci_restore(p) &&
           (pci_get(p, COMMAND) & COMMAND_GUEST) == 0;
}

static void pci_wait(uint32_t ms) {
    uint64_t end = plat_tsc() + pci_ticks(ms);

    while (plat_tsc() < end) {
        plat_timer_set(end);
        plat_wait();
    }
    plat_timer_set(0);
}

/* Until they have ended what they were at; one that does not is reset all the same. */
static void pci_wait_idle(const struct vm *vm) {
    for (uint32_t ms = 0; ms < RESET_MS; ms += LOOK_MS) {
        bool pending = false;
        for (uint32_t i = 0; i < vm->plan->pci_count; i++) {
            pending = pending || pci_is_pending(&vm->pcis[i]);
        }
        if (!pending) {
            return;
        }
        pci_wait(LOOK_MS);
    }
}

static bool pci_wait_back(const struct vm_pci *p) {
    for (uint32_t ms = 0; ms < LATE_MS; ms += LOOK_MS) {
        if (pci_get(p, ID) == p->saved[ID / 4]) {
            return pci_is_back(p);
        }
        pci_wait(LOOK_MS);
    }
    return false;
}

void pci_reset_all(struct vm *vm) {
    struct vm_pci *end = vm->pcis + vm->plan->pci_count;
    bool woken = false;

    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        pci_quiesce(p);
        woken = pci_wake(p) || woken;
    }
    if (woken) {
        pci_wait(POWER_MS);
    }
    pci_wait_idle(vm);
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        pci_begin_reset(p);
    }
    pci_wait(POWER_MS > BUS_MS ? POWER_MS : BUS_MS);
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        pci_end_reset(p);
    }
    pci_wait(RESET_MS);
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        p->busy_until = p->late_since = 0;
        p->there = pci_wait_back(p);
    }
}
