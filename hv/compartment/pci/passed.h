/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function of the machine in the guest's hands: a slot of its bus, with the real
 * configuration space by table, BARs that the guest moves within their windows, MSI and MSI-X. All
 * that reaches the real device goes through dev_env.pci, but for the pages of its BARs that the
 * compartment holds. What the guest writes and what the device answers may both be anything; all
 * that it can do is to spoil this device for this guest. The platform's lock is held. Sources: PCI
 * Local Bus Specification 3.0, "Configuration Space Organization", "MSI Capability Structure",
 * "MSI-X Capability and Table Structures"; PCI Bus Power Management Interface Specification 1.2,
 * "Power Management Register Block Definition"; PCI Express Base Specification 3.0, "Device Control
 * Register"; Advanced Capabilities for Conventional PCI ECN.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/compartment/pci/pci.h"

#define PASSED_VECTORS 64u /* of MSI-X that the guest is told of at most; a bit of a word each */
#define PASSED_WORDS   (PCI_CONFIG_SIZE / 4)

struct passed_bar {
    uint64_t start; /* its address after power-up; 0 = nowhere */
    uint64_t address;
    bool there; /* the core has it at address */
};

struct passed {
    struct device dev;
    struct pci_function pci; /* command, msix_control and the line are the guest's */
    const struct abi_devices *devices;
    const struct abi_pci *abi;   /* of them: that number */
    uint32_t number;             /* of abi_devices.pcis */
    uint8_t words[PASSED_WORDS]; /* what each of the configuration space is: passed_config.c */
    struct passed_bar bars[ABI_PCI_BARS];
    bool asleep; /* the guest has put it into D3hot */

    enum pci_messages told; /* what the core was told last */
    bool msi_on, msi_wide, msi_good;
    struct msix_entry msi;

    /* MSI-X. entries are as the guest wrote them; a bit for each real one: what is in it is what
     * the core gave for the guest's (fresh), it may be unmasked (live). */
    unsigned vectors;
    uint64_t table; /* the real table, in the compartment */
    uint32_t table_size;
    uint64_t fresh, live;
    struct msix_entry entries[PASSED_VECTORS];

    uint64_t look_at; /* when its INTx is to be looked at again, on the VM's clock */
};

extern const struct device_ops passed_ops;

/* Makes the function in that slot; dev is set already. passed_find_room() and a reset follow. */
void passed_make(struct passed *p, const struct abi_devices *devices, uint32_t number,
                 struct pci_host *host, struct bus *buses, unsigned slot);

/* Gives the BARs of all functions of a guest the addresses that they have at a start. */
void passed_find_room(struct passed *all, uint32_t count);

/* An interrupt has ended, or is about to be taken: the device may not want it any more. */
void passed_look_again(struct passed *p);

/* ---- between the files of it ---- */

static inline struct exchange_pci passed_ask(const struct passed *p, enum pci_call call,
                                             uint32_t at, uint64_t value, uint64_t data) {
    struct exchange_pci ask = {
        .call = call, .function = p->number, .at = at, .value = value, .data = data};
    p->dev.env->pci(p->dev.env, &ask);
    return ask;
}

static inline uint32_t passed_real(const struct passed *p, uint32_t at) {
    return (uint32_t)passed_ask(p, PCI_CALL_READ, at, 0, 0).value;
}

static inline bool passed_decodes(const struct passed *p) {
    return (p->pci.command & PCI_MEMORY_ON) != 0;
}

/* passed_place.c */
void passed_place_all(struct passed *p);
void passed_unplace_all(struct passed *p);
uint32_t passed_read_bar(const struct passed *p, unsigned i);
void passed_write_bar(struct passed *p, unsigned i, uint32_t word);

/* passed_message.c. size: of the real table, in entries. */
void passed_find_table(struct passed *p, unsigned size);
void passed_stop_messages(struct passed *p);
void passed_set_msi(struct passed *p);
void passed_set_vectors(struct passed *p);
void passed_write_msix(struct passed *p, uint16_t control);
bool passed_is_table(const struct passed *p, uint64_t at, unsigned size);
uint64_t passed_read_table(const struct passed *p, uint64_t at, unsigned size);
void passed_write_table(struct passed *p, uint64_t at, unsigned size, uint64_t value);

/* passed_config.c */
extern const struct pci_config_ops passed_config;
void passed_learn(struct passed *p);
/* What a reset of the device does to what the guest sees; the real one gets to know. */
void passed_lose(struct passed *p);

/* passed_line.c: set after each change of what decides whether INTx is looked at; the service gives
 * the moment of the next look, 0 = never. */
void passed_set_line(struct passed *p);
uint64_t passed_service_line(struct passed *p, uint64_t now);
