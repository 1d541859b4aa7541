/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A unit of VT-d in legacy mode, as far as arch/x86_64/iommu/vtd.c uses one; see fake_iommu.h.
 * Source: Intel Virtualization Technology for Directed I/O; the numbers stand here a second time.
 */
#pragma once

#include "tests/unit/fake_iommu.h"

#define FAKE_VTD_RECORDS    4u
#define FAKE_VTD_RECORDS_AT 0x400u
#define FAKE_VTD_SIZE       0x1000u

/* Bits of GCMD: those that are a state in GSTS, and those that are given once. */
#define FAKE_TE       BIT32(31)
#define FAKE_SRTP     BIT32(30)
#define FAKE_WBF      BIT32(27)
#define FAKE_QIE      BIT32(26)
#define FAKE_IRE      BIT32(25)
#define FAKE_SIRTP    BIT32(24)
#define FAKE_STATES   (FAKE_TE | BIT32(28) | FAKE_QIE | BIT32(25) | BIT32(23))
#define FAKE_COMMANDS (FAKE_SRTP | BIT32(29) | FAKE_WBF | BIT32(24))

#define FAKE_CAP_BASE                                                                              \
    (2ull | BIT(9) | BIT(10) | 47ull << 16 | (FAKE_VTD_RECORDS_AT / 16ull) << 24 | BIT(34) |       \
     BIT(35) | (FAKE_VTD_RECORDS - 1ull) << 40)

static struct fake_vtd {
    /* What it is like. */
    uint64_t cap, ecap;
    bool gone;         /* all registers are ones */
    uint32_t stuck;    /* bits of GSTS that stay as they are */
    bool queue_stuck;  /* no command is ever carried out */
    bool protects_on;  /* protection of memory does not end */
    bool records_stay; /* faults cannot be cleared */
    /* Registers. */
    uint32_t gsts, fsts, fectl, pmen;
    uint64_t rtaddr, iqa, iqh, iqt, irta;
    uint64_t records[FAKE_VTD_RECORDS][2];
    /* What it does. */
    uint64_t root, irq_table; /* since SRTP, SIRTP */
    uint32_t pending, pending_value;
    unsigned lag, next_record;
    unsigned commands, reads;
    struct fake_cache contexts, tables, irqs;
} fake_vtds[FAKE_UNITS];

static void fake_vtd_start(void) {
    fake_ram_start();
    memset(fake_vtds, 0, sizeof(fake_vtds));
    for (unsigned i = 0; i < FAKE_UNITS; i++) {
        fake_vtds[i].cap = FAKE_CAP_BASE;
        fake_vtds[i].ecap = BIT(0) | BIT(1);
    }
}

/* As a firmware that used the unit leaves it: tables by which function 0 reaches a lot, a queue
 * that is done, and a fault that nobody read. */
static void fake_vtd_firmware(struct fake_vtd *u) {
    uint64_t *root = fake_carve(PAGE_SIZE);
    uint64_t *contexts = fake_carve(PAGE_SIZE);
    uint64_t *tables = fake_carve(PAGE_SIZE);
    memset(root, 0, PAGE_SIZE);
    memset(contexts, 0, PAGE_SIZE);
    memset(tables, 0, PAGE_SIZE);
    root[0] = phys_address(contexts).v | 1;
    contexts[0] = phys_address(tables).v | 1;
    contexts[1] = 7 << 8 | 1; /* domain 7, 39 bits */
    tables[0] = 3 | BIT(7);   /* 2 GiB from 0 on */
    tables[1] = GIB | 3 | BIT(7);
    fake_write_back(root, 3 * PAGE_SIZE);
    u->gsts = FAKE_TE | FAKE_SRTP | FAKE_QIE;
    u->root = u->rtaddr = phys_address(root).v;
    u->iqa = phys_address(fake_carve(PAGE_SIZE)).v;
    u->iqh = u->iqt = 0x70;
    u->records[0][1] = BIT(63) | 0x1234;
    u->fsts = BIT32(0) | BIT32(1) | BIT32(4);
    u->next_record = 1;
}

/* ---- faults ---- */

static void fake_vtd_fault(struct fake_vtd *u, uint16_t function, uint64_t address, bool write,
                           uint64_t reason) {
    if ((u->fsts & 1) != 0) {
        return;
    }
    uint64_t *record = u->records[u->next_record];
    if (record[1] >> 63 != 0) {
        u->fsts |= 1;
        return;
    }
    record[0] = ALIGN_DOWN(address, PAGE_SIZE);
    record[1] = BIT(63) | (write ? 0 : BIT(62)) | reason << 32 | function;
    u->next_record = (u->next_record + 1) % FAKE_VTD_RECORDS;
}

static struct fake_answer fake_vtd_deny(struct fake_vtd *u, uint16_t function, uint64_t address,
                                        bool write, uint64_t reason) {
    fake_vtd_fault(u, function, address, write, reason);
    return (struct fake_answer){FAKE_DENIED, 0};
}

/* ---- a device's access ---- */

static struct fake_answer fake_vtd_walk(struct fake_vtd *u, uint16_t function, uint64_t address,
                                        bool write, const uint64_t *context) {
    unsigned levels = (context[1] & 7) + 2;
    uint16_t domain = context[1] >> 8 & 0xffff;
    uint64_t table = context[0] & BITS(12, 51);

    if (address >> (12 + 9 * levels) != 0) {
        return fake_vtd_deny(u, function, address, write, 4);
    }
    for (unsigned level = levels; level > 0; level--) {
        uint64_t entry = fake_entry(&u->tables, domain, table, address, level);
        uint64_t below = (1ull << (12 + 9 * (level - 1))) - 1;
        if ((entry & (write ? 2u : 1u)) == 0) {
            return fake_vtd_deny(u, function, address, write, write ? 5 : 6);
        }
        bool large = level > 1 && (entry & BIT(7)) != 0;
        FAKE_MUST(!large || level == 2 || level == 3, entry);
        FAKE_MUST(!large || (u->cap & BIT(level == 2 ? 34 : 35)) != 0, entry);
        FAKE_MUST((entry & ~(BITS(12, 51) | 3 | (large ? BIT(7) : 0))) == 0, entry);
        table = entry & BITS(12, 51);
        if (level == 1 || large) {
            FAKE_MUST((table & below) == 0, entry);
            return (struct fake_answer){FAKE_ALLOWED, table | (address & below)};
        }
    }
    return (struct fake_answer){FAKE_DENIED, 0};
}

static UNUSED struct fake_answer fake_vtd_access(struct fake_vtd *u, uint16_t function,
                                                 uint64_t address, bool write) {
    if ((u->pmen & 1) != 0) {
        return (struct fake_answer){FAKE_DENIED, 0};
    }
    if ((u->gsts & FAKE_TE) == 0) {
        return (struct fake_answer){FAKE_ALLOWED, address};
    }
    const struct fake_remembered *known = NULL;
    for (unsigned i = 0; i < u->contexts.count; i++) {
        known = u->contexts.all[i].function == function ? &u->contexts.all[i] : known;
    }
    struct fake_remembered read = {.function = function};
    if (known == NULL) {
        uint64_t root = u->root + (function >> 8) * 16u;
        uint64_t entry = fake_read_memory(root);
        if ((entry & 1) == 0) {
            return fake_vtd_deny(u, function, address, write, 1);
        }
        FAKE_MUST((entry & ~BITS(12, 51)) == 1 && fake_read_memory(root + 8) == 0, entry);
        uint64_t context = (entry & BITS(12, 51)) + (function & 0xff) * 16u;
        read.words[0] = fake_read_memory(context);
        read.words[1] = fake_read_memory(context + 8);
        if ((read.words[0] & 1) == 0) {
            return fake_vtd_deny(u, function, address, write, 2);
        }
        uint64_t width = read.words[1] & 7;
        FAKE_MUST((read.words[0] & ~BITS(12, 51)) == 1, read.words[0]);
        FAKE_MUST((read.words[1] & ~(7u | 0xffff00u)) == 0, read.words[1]);
        read.domain = read.words[1] >> 8 & 0xffff;
        FAKE_MUST(read.domain < 1u << (4 + 2 * (u->cap & 7)), read.domain);
        if ((width != 1 && width != 2) || (u->cap & BIT(8 + width)) == 0) {
            return fake_vtd_deny(u, function, address, write, 3);
        }
        fake_remember(&u->contexts, read);
        known = &read;
    }
    return fake_vtd_walk(u, function, address, write, known->words);
}

/* An interrupt: an I/O APIC's pin, or a message, in the format that names an entry. The vector,
 * with the target << 8 and the kind of trigger << 40; -1 = it is held back. */
#define FAKE_POSTED BIT(41) /* beside the guest's vector */
static uint64_t fake_vtd_posted_at;
static UNUSED int64_t fake_vtd_interrupt(struct fake_vtd *u, uint16_t function, unsigned index) {
    if ((u->gsts & BIT32(25)) == 0 || index >= 2u << (u->irta & 0xf)) {
        return -1;
    }
    uint64_t at = (u->irq_table & BITS(12, 51)) + index * 16ull;
    struct fake_remembered read = {.function = function, .key = index};
    const struct fake_remembered *known = fake_recall(&u->irqs, 0, 0, index);
    if (known != NULL) {
        read = *known;
    } else {
        read.function = 0;
        read.words[0] = fake_read_memory(at);
        read.words[1] = fake_read_memory(at + 8);
        if ((read.words[0] & 1) == 0) {
            return -1;
        }
        fake_remember(&u->irqs, read);
    }
    if ((read.words[0] & BIT(15)) != 0) { /* posted: it says where, and as what */
        FAKE_MUST((u->cap & BIT(59)) != 0, read.words[0]);
        FAKE_MUST((read.words[0] & (BITS(1, 14) | BITS(24, 37))) == 0, read.words[0]);
        FAKE_MUST((read.words[1] & BITS(16, 31)) == BIT(18), read.words[1]);
        fake_vtd_posted_at = (read.words[0] >> 32 & ~63ull) | read.words[1] >> 32 << 32;
        bool own = (read.words[1] & 0xffff) == function;
        return own ? (int64_t)(FAKE_POSTED | (read.words[0] >> 16 & 0xff)) : -1;
    }
    uint64_t target = read.words[0] >> ((u->irta & BIT(11)) != 0 ? 32 : 40);
    FAKE_MUST((read.words[0] & (BITS(1, 3) | BITS(5, 15) | BITS(24, 31))) == 0, read.words[0]);
    FAKE_MUST((u->irta & BIT(11)) != 0 || (read.words[0] & (BITS(32, 39) | 0xffffull << 48)) == 0,
              read.words[0]);
    FAKE_MUST((read.words[1] & ~0xffffull) == BIT(18), read.words[1]);
    if ((read.words[1] & 0xffff) != function) {
        return -1;
    }
    return (int64_t)((read.words[0] >> 16 & 0xff) | target << 8 | (read.words[0] >> 4 & 1) << 40);
}

/* ---- commands ---- */

static void fake_vtd_command(struct fake_vtd *u, uint64_t low, uint64_t high) {
    uint64_t kind = low >> 4 & 3;
    int domain = low >> 16 & 0xffff;
    int function = low >> 32 & 0xffff;
    u->commands++;
    switch (low & 0xf) {
    case 1: /* contexts */
        FAKE_MUST((low & 0xfffc00000000ffc0) == 0 && high == 0, low);
        FAKE_MUST(kind != 0, low);
        fake_forget(&u->contexts, kind == 3 ? function : -1, kind == 1 ? -1 : domain);
        break;
    case 2: /* what the tables say; a page is asked for by none so far */
        FAKE_MUST((low & 0xffffffff0000ff00) == 0 && high == 0, low);
        FAKE_MUST(kind == 1 || kind == 2, low);
        fake_forget(&u->tables, -1, kind == 1 ? -1 : domain);
        break;
    case 4: /* interrupts */
        FAKE_MUST((u->ecap & BIT(3)) != 0 && (low & ~(0xffff0000001full)) == 0 && high == 0, low);
        FAKE_MUST((low & BIT(4)) != 0 || low >> 32 == 0, low);
        if ((low & BIT(4)) != 0) {
            fake_forget_key(&u->irqs, low >> 32);
        } else {
            u->irqs.count = 0;
        }
        break;
    case 5:
        FAKE_MUST((low & 0xffffff90) == 0 && (low & BIT(5)) != 0, low);
        FAKE_MUST(high % 4 == 0 && high >> 52 == 0, high);
        fake_write_memory(high, low >> 32, sizeof(uint32_t));
        break;
    default:
        fake_wrong("no such command", low);
    }
}

static void fake_vtd_run(struct fake_vtd *u) {
    while (!u->queue_stuck && u->iqh != u->iqt) {
        uint64_t at = (u->iqa & BITS(12, 51)) + u->iqh;
        fake_vtd_command(u, fake_read_queue(at), fake_read_queue(at + 8));
        u->iqh = (u->iqh + 16) % PAGE_SIZE;
    }
}

/* ---- registers ---- */

static void fake_vtd_done(struct fake_vtd *u) {
    uint32_t bit = u->pending;
    u->pending = 0;
    switch (bit) {
    case FAKE_SRTP:
        u->root = u->rtaddr & BITS(12, 51);
        break;
    case FAKE_SIRTP:
        u->irq_table = u->irta;
        break;
    case FAKE_WBF:
        memcpy(fake_behind, fake_ram, sizeof(fake_ram));
        break;
    case FAKE_QIE:
        u->iqh = 0;
        break;
    default:
        break;
    }
    u->gsts = (u->gsts & ~bit) | u->pending_value;
}

static uint32_t fake_vtd_gsts(struct fake_vtd *u) {
    if (u->pending != 0 && (u->pending & u->stuck) == 0) {
        u->lag--;
        if (u->lag == 0) {
            fake_vtd_done(u);
        }
    }
    return u->gsts;
}

/* One thing at a time, and the next one when it is done; what is on is given again each time. */
static void fake_vtd_gcmd(struct fake_vtd *u, uint32_t value) {
    uint32_t changed = (value ^ u->gsts) & FAKE_STATES;
    uint32_t given = value & FAKE_COMMANDS;
    uint32_t bit = changed | given;

    FAKE_MUST(u->pending == 0, u->pending);
    FAKE_MUST((value & ~(FAKE_STATES | FAKE_COMMANDS)) == 0, value);
    FAKE_MUST((bit & (bit - 1)) == 0, value);
    if (bit == FAKE_QIE) {
        FAKE_MUST(u->iqh == u->iqt || (value & FAKE_QIE) != 0, u->iqt);
        FAKE_MUST((value & FAKE_QIE) == 0 || (u->iqt == 0 && u->iqa % PAGE_SIZE == 0), u->iqa);
    }
    FAKE_MUST(bit != FAKE_TE || (u->gsts & FAKE_SRTP) != 0, value);
    FAKE_MUST(bit != FAKE_WBF || (u->cap & BIT(4)) != 0, value);
    u->pending = bit;
    u->lag = FAKE_LAG;
    u->pending_value = bit == FAKE_WBF ? 0 : value & bit;
    if (given != 0) {
        u->gsts = bit == FAKE_WBF ? u->gsts | bit : u->gsts & ~bit;
    }
}

static uint32_t fake_vtd_read32(void *machine, uint32_t offset) {
    struct fake_vtd *u = machine;
    u->reads++;
    if (u->gone) {
        return UINT32_MAX;
    }
    switch (offset) {
    case 0x00:
        return 0x10;
    case 0x1c:
        return fake_vtd_gsts(u);
    case 0x34:
        return u->fsts;
    case 0x38:
        return u->fectl;
    case 0x64:
        return u->pmen;
    default:
        fake_wrong("no such register of 32 bits", offset);
        return 0;
    }
}

static void fake_vtd_write32(void *machine, uint32_t offset, uint32_t value) {
    struct fake_vtd *u = machine;
    if (u->gone) {
        return;
    }
    switch (offset) {
    case 0x18:
        fake_vtd_gcmd(u, value);
        break;
    case 0x34:
        u->fsts &= ~(value & 0xf1u);
        break;
    case 0x38:
        FAKE_MUST((value & ~BIT32(31)) == 0, value);
        u->fectl = value;
        break;
    case 0x64:
        FAKE_MUST((u->gsts & FAKE_TE) != 0, value); /* else memory would be open */
        u->pmen = u->protects_on ? u->pmen : value >> 31 | (value & BIT32(31));
        break;
    default:
        fake_wrong("no such register of 32 bits to write", offset);
    }
}

static uint64_t *fake_vtd_record(struct fake_vtd *u, uint32_t offset) {
    uint32_t at = offset - FAKE_VTD_RECORDS_AT;
    return at / 16 < FAKE_VTD_RECORDS && at % 8 == 0 ? &u->records[at / 16][at % 16 / 8] : NULL;
}

static uint64_t fake_vtd_read64(void *machine, uint32_t offset) {
    struct fake_vtd *u = machine;
    const uint64_t *record = fake_vtd_record(u, offset);
    u->reads++;
    if (u->gone) {
        return UINT64_MAX;
    }
    if (record != NULL) {
        return *record;
    }
    switch (offset) {
    case 0x08:
        return u->cap;
    case 0x10:
        return u->ecap;
    case 0x20:
        return u->rtaddr;
    case 0x80:
        return u->iqh;
    case 0x88:
        return u->iqt;
    case 0x90:
        return u->iqa;
    default:
        fake_wrong("no such register of 64 bits", offset);
        return 0;
    }
}

static void fake_vtd_write64(void *machine, uint32_t offset, uint64_t value) {
    struct fake_vtd *u = machine;
    uint64_t *record = fake_vtd_record(u, offset);
    if (u->gone) {
        return;
    }
    if (record != NULL) {
        FAKE_MUST(offset % 16 == 8 && value == BIT(63), value);
        *record = u->records_stay ? *record : *record & ~value;
        return;
    }
    switch (offset) {
    case 0x20:
        FAKE_MUST((value & ~BITS(12, 51)) == 0, value);
        /* The mode changes only while nothing is translated. */
        FAKE_MUST((u->gsts & FAKE_TE) == 0 || ((u->rtaddr ^ value) & BITS(10, 11)) == 0, value);
        u->rtaddr = value;
        break;
    case 0x88:
        FAKE_MUST(value < PAGE_SIZE && value % 16 == 0, value);
        u->iqt = value;
        if ((u->gsts & FAKE_QIE) != 0) {
            fake_vtd_run(u);
        }
        break;
    case 0x90:
        FAKE_MUST((u->gsts & FAKE_QIE) == 0, value);
        u->iqa = value;
        break;
    case 0xb8:
        FAKE_MUST((value & ~(BITS(11, 51) | 0xf)) == 0, value);
        FAKE_MUST((value & BIT(11)) == 0 || (u->ecap & BIT(4)) != 0, value);
        u->irta = value;
        break;
    default:
        fake_wrong("no such register of 64 bits to write", offset);
    }
}

static UNUSED const struct iommu_ops fake_vtd_ops = {
    .read32 = fake_vtd_read32,
    .write32 = fake_vtd_write32,
    .read64 = fake_vtd_read64,
    .write64 = fake_vtd_write64,
    .write_back = fake_write_back,
    .alloc = fake_alloc,
};
