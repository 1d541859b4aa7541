/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the messages of a passed-through function: what the guest wants in MSI's registers and in
 * MSI-X's table, and what the real table has instead, by what the core gives for it. See passed.h.
 */
#include "hv/compartment/pci/passed.h"

/* ---- which kind ---- */

/* Both at once the specification forbids; then MSI-X counts. */
static enum pci_messages passed_wanted(const struct passed *p) {
    if (msix_is_on(&p->pci)) {
        return (p->pci.msix_control & MSIX_MASKED) != 0 ? PCI_MSIX_MASKED : PCI_MSIX;
    }
    return p->msi_on && p->msi_good ? PCI_MSI : PCI_NO_MESSAGES;
}

static void passed_tell(struct passed *p) {
    enum pci_messages wanted = passed_wanted(p);

    if (wanted != p->told) {
        p->told = wanted;
        (void)passed_ask(p, PCI_CALL_MESSAGES, 0, wanted, 0);
    }
}

/* What the device would have to send; neither of both words is anything if it cannot. */
static bool passed_get_message(const struct passed *p, unsigned number,
                               const struct msix_entry *guest, struct msix_entry *real) {
    struct exchange_pci answer =
        passed_ask(p, PCI_CALL_VECTOR, number, guest->address, guest->data);

    real->address = answer.value;
    real->data = (uint32_t)answer.data;
    return answer.value != 0 || answer.data != 0;
}

/* ---- MSI ---- */

/* The core sees to the device's registers. It has to be told again of a message that is another
 * one. */
void passed_set_msi(struct passed *p) {
    struct msix_entry real;

    if (p->msi_on && !msix_is_on(&p->pci)) {
        p->msi_good = passed_get_message(p, 0, &p->msi, &real);
        p->told = p->msi_good ? PCI_MESSAGES : p->told;
    }
    passed_tell(p);
}

/* ---- the real table ---- */

static void passed_put(const struct passed *p, unsigned vector, unsigned at, uint32_t word) {
    uint32_t *real = (uint32_t *)(p->table + (uint64_t)vector * MSIX_ENTRY_SIZE + at);
    __atomic_store_n(real, word, __ATOMIC_RELEASE);
}

/* An entry that may send is masked before it changes. While the device does not decode its memory,
 * or sleeps, nothing is written; what has changed by then follows. */
static void passed_set_vector(struct passed *p, unsigned i) {
    bool wanted = msix_is_on(&p->pci) && (p->entries[i].control & MSIX_ENTRY_MASKED) == 0;
    struct msix_entry real;

    if (!passed_decodes(p) || p->asleep) {
        return;
    }
    if ((p->live & BIT(i)) != 0 && (!wanted || (p->fresh & BIT(i)) == 0)) {
        passed_put(p, i, MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
        p->live &= ~BIT(i);
    }
    if (!wanted || (p->live & BIT(i)) != 0) {
        return;
    }
    if ((p->fresh & BIT(i)) == 0) {
        if (!passed_get_message(p, i, &p->entries[i], &real)) {
            return;
        }
        passed_put(p, i, MSIX_ENTRY_ADDRESS, (uint32_t)real.address);
        passed_put(p, i, MSIX_ENTRY_HIGH, (uint32_t)(real.address >> 32));
        passed_put(p, i, MSIX_ENTRY_DATA, real.data);
        p->fresh |= BIT(i);
    }
    p->live |= BIT(i);
    passed_put(p, i, MSIX_ENTRY_CONTROL, 0);
}

void passed_set_vectors(struct passed *p) {
    for (unsigned i = 0; i < p->vectors; i++) {
        passed_set_vector(p, i);
    }
}

/* The table is ready before the device uses it, and not touched before it has stopped. */
void passed_write_msix(struct passed *p, uint16_t control) {
    bool was_on = msix_is_on(&p->pci);

    p->pci.msix_control = control & MSIX_WRITABLE;
    if (msix_is_on(&p->pci) && !was_on) {
        p->msi_good = false; /* message 0 is MSI-X's from now on */
        passed_set_vectors(p);
    }
    passed_tell(p);
    if (was_on && !msix_is_on(&p->pci)) {
        p->fresh = 0;
        passed_set_vectors(p);
        passed_set_msi(p);
    }
}

void passed_stop_messages(struct passed *p) {
    p->msi_on = p->msi_good = false;
    p->msi = (struct msix_entry){.address = 0};
    p->pci.msix_control = 0;
    passed_tell(p);
    p->fresh = 0;
    p->live = UINT64_MAX; /* so that it counts on nothing */
    for (unsigned i = 0; i < PASSED_VECTORS; i++) {
        p->entries[i] = (struct msix_entry){.control = MSIX_ENTRY_MASKED};
    }
}

/* ---- the guest's table ---- */

/* A table that is not in the compartment's pages, or not all of it, is smaller for the guest; of
 * what is too much for it nothing is shown, and the device never sends that. */
void passed_find_table(struct passed *p, unsigned size) {
    const struct abi_pci *abi = p->abi;
    uint32_t wanted = (uint32_t)max_u64(size, abi->vectors) * MSIX_ENTRY_SIZE;

    p->table = 0;
    p->table_size = 0;
    for (unsigned i = 0; i < ABI_PCI_HELD; i++) {
        const struct abi_pci_held *held = &abi->held[i];
        uint32_t offset = abi->table - held->offset;
        if (held->bar == abi->table_bar && offset < held->size && abi->table % 8 == 0) {
            p->table = held->at + offset;
            p->table_size = (uint32_t)min_u64(wanted, held->size - offset);
        }
    }
    uint64_t given = min_u64(min_u64(size, abi->vectors), PASSED_VECTORS);
    p->vectors = (unsigned)min_u64(given, p->table_size / MSIX_ENTRY_SIZE);
}

/* at: in the compartment, of the held pages. */
bool passed_is_table(const struct passed *p, uint64_t at, unsigned size) {
    return at + size > p->table && at < p->table + p->table_size;
}

static uint32_t passed_read_table_word(const struct passed *p, uint64_t at) {
    uint64_t vector = at / MSIX_ENTRY_SIZE;
    return vector < p->vectors ? msix_entry_word(&p->entries[vector], at) : 0;
}

static void passed_write_table_word(struct passed *p, uint64_t at, uint32_t word) {
    unsigned i = (unsigned)(at / MSIX_ENTRY_SIZE);

    if (i >= p->vectors) {
        return;
    }
    struct msix_entry *e = &p->entries[i];
    struct msix_entry before = *e;
    msix_entry_set_word(e, at, word);
    if (e->address != before.address || e->data != before.data) {
        p->fresh &= ~BIT(i);
    }
}

uint64_t passed_read_table(const struct passed *p, uint64_t at, unsigned size) {
    if (!msix_takes(at - p->table, size)) {
        return UINT64_MAX;
    }
    uint64_t offset = at - p->table;
    uint64_t high = size == 8 ? passed_read_table_word(p, offset + 4) : 0;
    return high << 32 | passed_read_table_word(p, offset);
}

void passed_write_table(struct passed *p, uint64_t at, unsigned size, uint64_t value) {
    if (!msix_takes(at - p->table, size)) {
        return;
    }
    uint64_t offset = at - p->table;
    passed_write_table_word(p, offset, (uint32_t)value);
    if (size == 8) {
        passed_write_table_word(p, offset + 4, (uint32_t)(value >> 32));
    }
    if (offset / MSIX_ENTRY_SIZE < p->vectors) {
        passed_set_vector(p, (unsigned)(offset / MSIX_ENTRY_SIZE));
    }
}
