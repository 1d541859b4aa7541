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
    if (!p->f.bus_reset) {
        return;
    }
    uint32_t word = plat_pci_read(p->port, LINE) & ~BRIDGE_RESET;
    plat_pci_write(p->port, LINE, word | (on ? BRIDGE_RESET : 0));
}

static void pci_begin_reset(const struct vm_pci *p) {
    switch (p->way) {
    case PCI_BY_FLR:
        pci_begin_flr(p);
        break;
    case PCI_BY_POWER:
        pci_set_power(p, POWER_D3);
        break;
    case PCI_WITH_BUS:
        pci_reset_bus(p, true);
        break;
    default:
        break;
    }
}

static void pci_end_reset(const struct vm_pci *p) {
    if (p->way == PCI_BY_POWER) {
        pci_set_power(p, 0);
    } else if (p->way == PCI_WITH_BUS) {
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

void pci_restore(const struct vm_pci *p) {
    pci_put(p, COMMAND, COMMAND_INTX_OFF);
    pci_put(p, CACHE, p->saved[CACHE / 4] & PCI_WORD);
    for (uint32_t reg = BARS; reg < BARS + 4 * BOOT_PCI_BARS; reg += 4) {
        pci_put(p, reg, p->saved[reg / 4]);
    }
    pci_put(p, LINE, p->saved[LINE / 4] & 0xff);
    pci_restore_express(p);
}

/* ---- what has become of it ---- */

static bool pci_has_bars(const struct vm_pci *p) {
    for (uint32_t reg = BARS; reg < BARS + 4 * BOOT_PCI_BARS; reg += 4) {
        if (pci_get(p, reg) != p->saved[reg / 4]) {
            return false;
        }
    }
    return true;
}

/* Without a pin the bit that switches it off need not be there. */
const char *pci_look(const struct vm_pci *p) {
    uint32_t command = pci_get(p, COMMAND);

    if (pci_get(p, ID) != p->saved[ID / 4]) {
        return "it did not come back from its reset";
    }
    if (!pci_has_bars(p)) {
        return "its BARs did not take their addresses after its reset";
    }
    if ((command & COMMAND_WORK) != 0) {
        return "it is still at work after its reset";
    }
    if (p->f.pin != 0 && (command & COMMAND_INTX_OFF) == 0) {
        return "its interrupt pin cannot be switched off";
    }
    return NULL;
}

static bool pci_is_on(const struct vm_pci *p, uint32_t at, uint32_t bits) {
    return at != 0 && (pci_get(p, at) & bits) != 0;
}

/* Of what a reset clears by the specifications, and we have not written since. */
static const char *pci_look_for_reset(const struct vm_pci *p) {
    uint32_t power = p->f.at_power != 0 ? p->f.at_power + POWER_CONTROL : 0;

    if (pci_is_on(p, p->f.at_msi, PCI_MSI_ON) || pci_is_on(p, p->f.at_msix, PCI_MSIX_ON)) {
        return "its reset did nothing: its messages are still on";
    }
    if (pci_is_on(p, power, POWER_STATE)) {
        return "it did not wake up from its reset";
    }
    return NULL;
}

static const char *pci_look_at_all(const struct vm_pci *p) {
    const char *fault = pci_look(p);

    return fault != NULL ? fault : pci_look_for_reset(p);
}

bool pci_all_clean(const struct vm *vm) {
    for (const struct vm_pci *p = vm->pcis; p < vm->pcis + vm->plan->pci_count; p++) {
        if (p->fault != NULL || pci_look_at_all(p) != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- all of a VM's ---- */

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

/* Nothing is written where nobody, or somebody else, answers. */
static void pci_wait_back(const struct vm_pci *p) {
    for (uint32_t ms = 0; ms < LATE_MS; ms += LOOK_MS) {
        if (pci_get(p, ID) == p->saved[ID / 4]) {
            pci_restore(p);
            return;
        }
        pci_wait(LOOK_MS);
    }
}

static void pci_calm(struct vm *vm) {
    bool woken = false;

    for (struct vm_pci *p = vm->pcis; p < vm->pcis + vm->plan->pci_count; p++) {
        pci_quiesce(p);
        woken = pci_wake(p) || woken;
        p->busy_until = p->late_since = 0;
        p->fault = "it was not reset so far";
    }
    if (woken) {
        pci_wait(POWER_MS);
    }
    pci_wait_idle(vm);
}

/* Those that are not as they have to be. */
static void pci_reset_round(struct vm *vm) {
    struct vm_pci *end = vm->pcis + vm->plan->pci_count;

    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        if (p->fault != NULL) {
            pci_begin_reset(p);
        }
    }
    pci_wait(POWER_MS > BUS_MS ? POWER_MS : BUS_MS);
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        if (p->fault != NULL) {
            pci_end_reset(p);
        }
    }
    pci_wait(RESET_MS);
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        if (p->fault != NULL) {
            pci_wait_back(p);
            p->fault = pci_look_at_all(p);
        }
    }
}

/* What hangs, or takes no notice, may still be reset with its bus. From then on it always is. */
static bool pci_choose_stronger(struct vm *vm) {
    bool chosen = false;

    for (struct vm_pci *p = vm->pcis; p < vm->pcis + vm->plan->pci_count; p++) {
        if (p->fault != NULL && p->f.bus_reset && p->way != PCI_WITH_BUS) {
            p->way = PCI_WITH_BUS;
            chosen = true;
        }
    }
    return chosen;
}

void pci_reset_all(struct vm *vm) {
    pci_calm(vm);
    pci_reset_round(vm);
    if (pci_choose_stronger(vm)) {
        pci_reset_round(vm);
    }
}
