/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the configuration space of a passed-through function as its guest sees it: a kind for each
 * word, and what is read and written of each kind. What no row allows is read from the device, and
 * written nowhere. See passed.h.
 */
#include "hv/compartment/pci/passed.h"

#include "hv/lib/str.h"

enum capability {
    CAP_POWER = 0x01,
    CAP_MSI = 0x05,
    CAP_VENDOR = 0x09,
    CAP_DEBUG_PORT = 0x0a,
    CAP_SUBSYSTEM = 0x0d,
    CAP_EXPRESS = 0x10,
    CAP_MSIX = 0x11,
    CAP_SATA = 0x12,
    CAP_AF = 0x13,
};

#define CAPABILITIES_MOST   48u /* that 192 bytes have room for */
#define PCI_HEADER          0x0cu
#define PCI_CARDBUS         0x28u
#define PCI_ROM             0x30u
#define STATUS_CAPABILITIES BIT32(20) /* of the word of command and status */
#define STATUS_INTERRUPT    BIT32(19)
#define COMMAND_TOLD        (PCI_MEMORY_ON | PCI_MASTER_ON)
#define COMMAND_PARITY      BIT32(6)
#define COMMAND_SERR        BIT32(8)
#define COMMAND_WRITABLE    (COMMAND_TOLD | PCI_INTX_OFF | COMMAND_PARITY | COMMAND_SERR)
#define HEADER_KEPT         0xffffu /* cache line size and latency; else 0: type 0, no BIST */
#define PIN_INTA            1u
#define POWER_HIDDEN        0xfe000000u /* D1, D2, PME */
#define POWER_D3            3u
#define POWER_KEEPS         BIT32(3)  /* No_Soft_Reset */
#define EXPRESS_HAS_FLR     BIT32(28) /* Device Capabilities */
#define EXPRESS_FLR         BIT32(15) /* Device Control */
#define AF_HAS_FLR          BIT32(25)
#define AF_FLR              BIT32(0)
#define MSI_ON              BIT32(16)
#define MSI_WIDE            BIT32(23)
#define MSI_KEPT            (0xffffu | MSI_WIDE) /* one message, no masks, no extended data */
#define MSIX_SIZE_OF(word)  (((word) >> 16 & 0x7ff) + 1)

/* ---- what a reset takes away ---- */

static void passed_set_command(struct passed *p, uint16_t command) {
    uint16_t changed = p->pci.command ^ command;
    bool had_memory = passed_decodes(p);

    if (had_memory && (command & PCI_MEMORY_ON) == 0) {
        passed_unplace_all(p);
    }
    p->pci.command = command;
    if ((changed & COMMAND_TOLD) != 0) {
        (void)passed_ask(p, PCI_CALL_COMMAND, 0, command & COMMAND_TOLD, 0);
    }
    if (!had_memory && passed_decodes(p)) {
        passed_place_all(p);
        passed_set_vectors(p);
    }
    passed_set_line(p);
}

void passed_lose(struct passed *p) {
    passed_stop_messages(p);
    passed_set_command(p, 0);
    for (unsigned i = 0; i < ABI_PCI_BARS; i++) {
        p->bars[i].address = 0;
    }
    p->asleep = false;
}

static void passed_reset_device(struct passed *p) {
    passed_lose(p);
    (void)passed_ask(p, PCI_CALL_RESET, 0, 0, 0);
}

/* ---- reading ---- */

static uint32_t read_nothing(UNUSED struct passed *p, UNUSED uint32_t at) {
    return 0;
}

/* The device's own INTx bit: what the line says is up to a look older. */
static uint32_t read_command(struct passed *p, uint32_t at) {
    uint32_t status = passed_real(p, at) & 0xffff0000;

    if (!p->abi->has_pin) {
        status &= ~STATUS_INTERRUPT;
    }
    return status | p->pci.command;
}

static uint32_t read_header(struct passed *p, uint32_t at) {
    return passed_real(p, at) & HEADER_KEPT;
}

static uint32_t read_bar(struct passed *p, uint32_t at) {
    return passed_read_bar(p, (at - PCI_BAR) / 4);
}

static uint32_t read_line(struct passed *p, UNUSED uint32_t at) {
    return p->pci.line | (p->abi->has_pin ? PIN_INTA << 8 : 0);
}

/* The null capability, which goes on to the next. */
static uint32_t read_hidden(struct passed *p, uint32_t at) {
    return passed_real(p, at) & 0xff00;
}

static uint32_t read_power(struct passed *p, uint32_t at) {
    return passed_real(p, at) & ~POWER_HIDDEN;
}

static uint32_t read_msi(struct passed *p, uint32_t at) {
    uint32_t on = p->msi_on ? MSI_ON : 0;
    return (passed_real(p, at) & MSI_KEPT) | on;
}

static uint32_t read_msi_address(struct passed *p, UNUSED uint32_t at) {
    return (uint32_t)p->msi.address;
}

static uint32_t read_msi_high(struct passed *p, UNUSED uint32_t at) {
    return (uint32_t)(p->msi.address >> 32);
}

static uint32_t read_msi_data(struct passed *p, UNUSED uint32_t at) {
    return p->msi.data;
}

static uint32_t read_msix(struct passed *p, uint32_t at) {
    uint32_t control = p->pci.msix_control | (p->vectors - 1);
    return (passed_real(p, at) & 0xffff) | control << 16;
}

/* ---- writing ---- */

static void write_nothing(UNUSED struct passed *p, UNUSED uint32_t at, UNUSED uint32_t word) {
}

static void write_command(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    passed_set_command(p, word & COMMAND_WRITABLE);
}

static void write_bar(struct passed *p, uint32_t at, uint32_t word) {
    passed_write_bar(p, (at - PCI_BAR) / 4, word);
}

static void write_line(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    p->pci.line = (uint8_t)word;
}

/* A device that does not keep its state over D3hot comes out of it as out of a reset. */
static void write_power_state(struct passed *p, uint32_t at, uint32_t word) {
    bool sleeps = (word & POWER_D3) == POWER_D3;

    if (sleeps == p->asleep) {
        return;
    }
    p->asleep = sleeps;
    bool keeps = (passed_real(p, at) & POWER_KEEPS) != 0; /* for a while it cannot tell */
    (void)passed_ask(p, PCI_CALL_POWER, 0, sleeps ? POWER_D3 : 0, 0);
    if (!sleeps && !keeps) {
        passed_lose(p);
    }
    passed_set_vectors(p);
}

static void write_express(struct passed *p, uint32_t at, uint32_t word) {
    if ((word & EXPRESS_FLR) != 0 && (passed_real(p, at - 4) & EXPRESS_HAS_FLR) != 0) {
        passed_reset_device(p);
    }
}

static void write_af(struct passed *p, uint32_t at, uint32_t word) {
    if ((word & AF_FLR) != 0 && (passed_real(p, at - 4) & AF_HAS_FLR) != 0) {
        passed_reset_device(p);
    }
}

static void write_msi(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    bool on = (word & MSI_ON) != 0;

    if (on != p->msi_on) {
        p->msi_on = on;
        passed_set_line(p);
        passed_set_msi(p);
    }
}

static void passed_change_msi(struct passed *p, uint64_t address, uint32_t data) {
    if (address != p->msi.address || data != p->msi.data) {
        p->msi.address = address;
        p->msi.data = data;
        passed_set_msi(p);
    }
}

static void write_msi_address(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    passed_change_msi(p, p->msi.address >> 32 << 32 | (word & ~3u), p->msi.data);
}

static void write_msi_high(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    passed_change_msi(p, (uint64_t)word << 32 | (uint32_t)p->msi.address, p->msi.data);
}

static void write_msi_data(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    passed_change_msi(p, p->msi.address, word & 0xffff);
}

static void write_msix(struct passed *p, UNUSED uint32_t at, uint32_t word) {
    if ((word & BIT32(31)) != 0) {
        pci_set_interrupt(&p->pci, false); /* while MSI-X is off still */
    }
    passed_write_msix(p, (uint16_t)(word >> 16));
    passed_set_line(p);
}

/* ---- the table ---- */

enum passed_word {
    WORD_REAL,
    WORD_NOTHING,
    WORD_COMMAND,
    WORD_HEADER,
    WORD_BAR,
    WORD_LINE,
    WORD_HIDDEN,
    WORD_POWER,
    WORD_POWER_STATE,
    WORD_EXPRESS,
    WORD_AF,
    WORD_MSI,
    WORD_MSI_ADDRESS,
    WORD_MSI_HIGH,
    WORD_MSI_DATA,
    WORD_MSIX,
    WORDS
};

static uint32_t read_real(struct passed *p, uint32_t at) {
    return passed_real(p, at);
}

static const struct {
    uint32_t (*read)(struct passed *p, uint32_t at);
    void (*write)(struct passed *p, uint32_t at, uint32_t word);
} passed_words[WORDS] = {
    [WORD_REAL] = {read_real, write_nothing},
    [WORD_NOTHING] = {read_nothing, write_nothing},
    [WORD_COMMAND] = {read_command, write_command},
    [WORD_HEADER] = {read_header, write_nothing},
    [WORD_BAR] = {read_bar, write_bar},
    [WORD_LINE] = {read_line, write_line},
    [WORD_HIDDEN] = {read_hidden, write_nothing},
    [WORD_POWER] = {read_power, write_nothing},
    [WORD_POWER_STATE] = {read_real, write_power_state},
    [WORD_EXPRESS] = {read_real, write_express},
    [WORD_AF] = {read_real, write_af},
    [WORD_MSI] = {read_msi, write_msi},
    [WORD_MSI_ADDRESS] = {read_msi_address, write_msi_address},
    [WORD_MSI_HIGH] = {read_msi_high, write_msi_high},
    [WORD_MSI_DATA] = {read_msi_data, write_msi_data},
    [WORD_MSIX] = {read_msix, write_msix},
};

static uint32_t passed_config_read(struct pci_function *f, uint32_t at) {
    struct passed *p = CONTAINER_OF(f, struct passed, pci);
    return passed_words[p->words[at / 4]].read(p, at);
}

static void passed_config_write(struct pci_function *f, uint32_t at, uint32_t word) {
    struct passed *p = CONTAINER_OF(f, struct passed, pci);
    passed_words[p->words[at / 4]].write(p, at, word);
}

const struct pci_config_ops passed_config = {passed_config_read, passed_config_write};

/* ---- finding out what each word is ---- */

static void passed_set_word(struct passed *p, uint32_t at, enum passed_word kind) {
    if (at / 4 < PASSED_WORDS) {
        p->words[at / 4] = (uint8_t)kind;
    }
}

/* Capabilities that a guest can read and do without writing. Of those that the core knows there is
 * one each; all others would promise what is not to be had: hot plug, slots, other BARs (Enhanced
 * Allocation), vital product data, which is read by writing. */
static bool passed_shows(const struct passed *p, uint32_t at, uint8_t id) {
    switch (id) {
    case CAP_VENDOR:
    case CAP_DEBUG_PORT:
    case CAP_SUBSYSTEM:
    case CAP_SATA:
        return true;
    case CAP_POWER:
        return at == p->abi->power;
    case CAP_MSI:
        return at == p->abi->msi;
    case CAP_EXPRESS:
        return at == p->abi->express;
    case CAP_MSIX:
        return at == p->abi->msix && p->vectors != 0;
    case CAP_AF:
        return at == p->abi->af;
    default:
        return false;
    }
}

/* The device's chain may be anything, a circle as well. */
static void passed_hide_capabilities(struct passed *p) {
    uint32_t at = 0;

    if ((passed_real(p, PCI_COMMAND) & STATUS_CAPABILITIES) != 0) {
        at = passed_real(p, PCI_CAPABILITIES) & 0xfc;
    }
    for (unsigned i = 0; i < CAPABILITIES_MOST && at >= PCI_FIRST_CAPABILITY; i++) {
        uint32_t word = passed_real(p, at);
        if (!passed_shows(p, at, (uint8_t)word)) {
            passed_set_word(p, at, WORD_HIDDEN);
        }
        at = word >> 8 & 0xfc;
    }
}

static void passed_learn_msi(struct passed *p) {
    uint32_t at = p->abi->msi;

    p->msi_wide = (passed_real(p, at) & MSI_WIDE) != 0;
    passed_set_word(p, at, WORD_MSI);
    passed_set_word(p, at + 4, WORD_MSI_ADDRESS);
    if (p->msi_wide) {
        passed_set_word(p, at + 8, WORD_MSI_HIGH);
    }
    passed_set_word(p, at + (p->msi_wide ? 12 : 8), WORD_MSI_DATA);
}

void passed_learn(struct passed *p) {
    const struct abi_pci *abi = p->abi;

    memset(p->words, WORD_REAL, sizeof(p->words));
    passed_find_table(p, abi->msix != 0 ? MSIX_SIZE_OF(passed_real(p, abi->msix)) : 0);
    if (abi->power != 0) {
        passed_set_word(p, abi->power, WORD_POWER);
        passed_set_word(p, abi->power + 4u, WORD_POWER_STATE);
    }
    if (abi->express != 0) {
        passed_set_word(p, abi->express + 8u, WORD_EXPRESS);
    }
    if (abi->af != 0) {
        passed_set_word(p, abi->af + 4u, WORD_AF);
    }
    if (abi->msi != 0) {
        passed_learn_msi(p);
    }
    if (p->vectors != 0) {
        passed_set_word(p, abi->msix, WORD_MSIX);
    }
    passed_hide_capabilities(p);
    passed_set_word(p, PCI_COMMAND, WORD_COMMAND);
    passed_set_word(p, PCI_HEADER, WORD_HEADER);
    for (unsigned i = 0; i < ABI_PCI_BARS; i++) {
        passed_set_word(p, PCI_BAR + 4 * i, WORD_BAR);
    }
    passed_set_word(p, PCI_CARDBUS, WORD_NOTHING);
    passed_set_word(p, PCI_ROM, WORD_NOTHING);
    passed_set_word(p, PCI_INTERRUPT, WORD_LINE);
}
