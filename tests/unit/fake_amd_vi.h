/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A unit of AMD-Vi, as far as arch/x86_64/iommu/amd_vi.c uses one; see fake_iommu.h. Source: AMD
 * I/O Virtualization Technology (IOMMU) Specification; the numbers stand here a second time.
 */
#pragma once

#include "tests/unit/fake_iommu.h"

#define FAKE_AMD_VI_SIZE     0x4000u
#define FAKE_AMD_VI_ON       BIT(0)
#define FAKE_AMD_VI_EVENTS   BIT(2)
#define FAKE_AMD_VI_COMMANDS BIT(12)
#define FAKE_OVERFLOW        BIT(0)
#define FAKE_EVENTS_RUN      BIT(3)
#define FAKE_COMMANDS_RUN    BIT(4)

static struct fake_amd_vi {
    /* What it is like. */
    uint64_t abilities;
    bool gone;        /* all registers are ones */
    bool never_on;    /* the control register keeps none of it */
    bool queue_stuck; /* no command is ever carried out */
    bool runs_on;     /* the rings never stop */
    /* Registers. */
    uint64_t devices, ring, log, control, exclusion, limit, status;
    uint64_t head, tail, log_head, log_tail;
    /* What it does. */
    unsigned lag, commands, reads;
    uint64_t last_command;
    bool forgot_all;
    struct fake_cache entries, tables, irqs;
} fake_amd_vis[FAKE_UNITS];

static void fake_amd_vi_start(void) {
    fake_ram_start();
    memset(fake_amd_vis, 0, sizeof(fake_amd_vis));
    for (unsigned i = 0; i < FAKE_UNITS; i++) {
        fake_amd_vis[i].abilities = BIT(6); /* INVALIDATE_IOMMU_ALL */
    }
}

/* As a firmware that used the unit leaves it: it has let function 0 through, excludes a range from
 * all, and its rings go on. */
static void fake_amd_vi_firmware(struct fake_amd_vi *u) {
    uint64_t *devices = fake_carve(PAGE_SIZE);
    memset(devices, 0, PAGE_SIZE);
    u->devices = phys_address(devices).v; /* of 128 functions */
    u->ring = phys_address(fake_carve(PAGE_SIZE)).v | 8ull << 56;
    u->log = phys_address(fake_carve(PAGE_SIZE)).v | 8ull << 56;
    u->head = u->tail = 0x40;
    u->log_tail = 0x20;
    u->status = FAKE_EVENTS_RUN | FAKE_COMMANDS_RUN | FAKE_OVERFLOW;
    u->control = FAKE_AMD_VI_ON | FAKE_AMD_VI_EVENTS | FAKE_AMD_VI_COMMANDS;
    u->exclusion = 0x40000000 | 3;
    u->limit = 0x40010000;
}

/* ---- events ---- */

static void fake_amd_vi_event(struct fake_amd_vi *u, uint64_t first, uint64_t second) {
    uint64_t next = (u->log_tail + 16) % PAGE_SIZE;
    if ((u->status & FAKE_EVENTS_RUN) == 0) {
        return;
    }
    if (next == u->log_head) {
        u->status = (u->status & ~FAKE_EVENTS_RUN) | FAKE_OVERFLOW;
        return;
    }
    uint64_t at = (u->log & BITS(12, 51)) + u->log_tail;
    fake_write_memory(at, first, sizeof(first));
    fake_write_memory(at + 8, second, sizeof(second));
    u->log_tail = next;
}

static struct fake_answer fake_amd_vi_deny(struct fake_amd_vi *u, uint16_t function,
                                           uint64_t address, bool write) {
    fake_amd_vi_event(u, function | 2ull << 60 | (write ? BIT(53) : 0), address);
    return (struct fake_answer){FAKE_DENIED, 0};
}

/* ---- a device's access ---- */

static struct fake_remembered fake_amd_vi_entry(struct fake_amd_vi *u, uint16_t function) {
    const struct fake_remembered *known = fake_recall(&u->entries, function, 0, 0);
    if (known != NULL) {
        return *known;
    }
    uint64_t last = ((u->devices & 0x1ff) + 1) * PAGE_SIZE / 32;
    uint64_t at = (u->devices & BITS(12, 51)) + function * 32u;
    struct fake_remembered read = {.function = function};
    if (function < last) {
        read.words[0] = fake_read_memory(at);
        read.words[1] = fake_read_memory(at + 8);
        FAKE_MUST((read.words[0] & 0x7c) == 0, read.words[0]);
        FAKE_MUST((read.words[0] & BITS(52, 60)) == 0, read.words[0]);
        FAKE_MUST((read.words[1] & ~(0xffffull | BITS(40, 41))) == 0, read.words[1]);
        /* Of interrupts: a table, what is done with others; NMIs and the like, as a test has it. */
        uint64_t third = read.third = fake_read_memory(at + 16);
        FAKE_MUST((third & (BIT(5) | BITS(52, 55) | BITS(59, 60))) == 0, third);
        FAKE_MUST(fake_read_memory(at + 24) == 0, function);
    }
    fake_remember(&u->entries, read);
    return read;
}

static struct fake_answer fake_amd_vi_walk(struct fake_amd_vi *u, uint16_t function,
                                           uint64_t address, bool write,
                                           struct fake_remembered device) {
    const uint64_t right = write ? BIT(62) : BIT(61);
    uint16_t domain = device.words[1] & 0xffff;
    uint64_t table = device.words[0] & BITS(12, 51);
    unsigned level = device.words[0] >> 9 & 7;

    FAKE_MUST(level <= 6, device.words[0]);
    if ((device.words[0] & right) == 0) {
        return fake_amd_vi_deny(u, function, address, write);
    }
    if (level == 0) {
        return (struct fake_answer){FAKE_ALLOWED, address};
    }
    if (address >> (12 + 9 * level) != 0) {
        return fake_amd_vi_deny(u, function, address, write);
    }
    for (;;) {
        uint64_t entry = fake_entry(&u->tables, domain, table, address, level);
        uint64_t below = (1ull << (12 + 9 * (level - 1))) - 1;
        unsigned next = entry >> 9 & 7;
        if ((entry & 1) == 0 || (entry & right) == 0) {
            return fake_amd_vi_deny(u, function, address, write);
        }
        FAKE_MUST((entry & ~(BIT(0) | BITS(9, 51) | BITS(60, 62))) == 0, entry);
        FAKE_MUST(next < level && (next != 0 || (entry & BIT(60)) != 0), entry);
        table = entry & BITS(12, 51);
        if (next == 0) {
            FAKE_MUST((table & below) == 0, entry);
            return (struct fake_answer){FAKE_ALLOWED, table | (address & below)};
        }
        level = next;
    }
}

static UNUSED struct fake_answer fake_amd_vi_access(struct fake_amd_vi *u, uint16_t function,
                                                    uint64_t address, bool write) {
    uint64_t base = u->exclusion & BITS(12, 51);
    bool excluded = (u->exclusion & 1) != 0 && address >= base && address <= (u->limit | 0xfff);
    struct fake_answer as_it_is = {FAKE_ALLOWED, address};

    if ((u->control & FAKE_AMD_VI_ON) == 0 || (excluded && (u->exclusion & 2) != 0)) {
        return as_it_is;
    }
    struct fake_remembered device = fake_amd_vi_entry(u, function);
    if ((device.words[0] & BIT(0)) == 0) {
        return as_it_is; /* an entry that is not valid lets everything through */
    }
    if ((device.words[0] & BIT(1)) == 0) {
        return fake_amd_vi_deny(u, function, address, write);
    }
    return fake_amd_vi_walk(u, function, address, write, device);
}

/* An interrupt: the vector, with the target << 8; -1 = it is held back, -2 = it passes as it is. */
static UNUSED int64_t fake_amd_vi_interrupt(struct fake_amd_vi *u, uint16_t function,
                                            unsigned index) {
    struct fake_remembered device = fake_amd_vi_entry(u, function);
    uint64_t word = device.third;
    if ((u->control & FAKE_AMD_VI_ON) == 0 || (device.words[0] & 1) == 0 || (word & 1) == 0) {
        return -2;
    }
    if ((word >> 60 & 3) != 2 || index >= 1u << (word >> 1 & 0xf)) {
        return -1;
    }
    const struct fake_remembered *known = fake_recall(&u->irqs, function, 0, index);
    struct fake_remembered read = {.function = function, .key = index};
    if (known != NULL) {
        read = *known;
    } else {
        uint64_t two = fake_read_memory((word & BITS(6, 51)) + index / 2 * 8);
        read.words[0] = two >> (index % 2 * 32) & 0xffffffff;
        fake_remember(&u->irqs, read);
    }
    FAKE_MUST((read.words[0] & ~(BIT(0) | BITS(8, 23))) == 0, read.words[0]);
    if ((read.words[0] & 1) == 0) {
        return -1;
    }
    return (int64_t)((read.words[0] >> 16 & 0xff) | (read.words[0] >> 8 & 0xff) << 8);
}

/* ---- commands ---- */

static void fake_amd_vi_command(struct fake_amd_vi *u, uint64_t first, uint64_t second) {
    u->commands++;
    switch (first >> 60) {
    case 1: /* COMPLETION_WAIT */
        FAKE_MUST((first & BITS(52, 59)) == 0 && (first & 7) == 1, first);
        fake_write_memory(first & BITS(3, 51), second, sizeof(second));
        break;
    case 2: /* INVALIDATE_DEVTAB_ENTRY */
        FAKE_MUST((first & BITS(16, 59)) == 0 && second == 0, first);
        fake_forget(&u->entries, first & 0xffff, -1);
        break;
    case 3: /* INVALIDATE_IOMMU_PAGES, of a whole domain */
        FAKE_MUST((first & (BITS(0, 31) | BITS(48, 59))) == 0, first);
        FAKE_MUST(second == 0x7ffffffffffff003, second);
        fake_forget(&u->tables, -1, first >> 32 & 0xffff);
        break;
    case 5: /* INVALIDATE_INTERRUPT_TABLE */
        FAKE_MUST((first & BITS(16, 59)) == 0 && second == 0, first);
        fake_forget(&u->irqs, first & 0xffff, -1);
        break;
    case 8: /* INVALIDATE_IOMMU_ALL */
        FAKE_MUST((u->abilities & BIT(6)) != 0, first);
        FAKE_MUST((first & BITS(0, 59)) == 0 && second == 0, first);
        fake_forget(&u->entries, -1, -1);
        fake_forget(&u->tables, -1, -1);
        u->irqs.count = 0;
        break;
    default:
        fake_wrong("no such command", first);
    }
}

static void fake_amd_vi_run(struct fake_amd_vi *u) {
    while ((u->status & FAKE_COMMANDS_RUN) != 0 && !u->queue_stuck && u->head != u->tail) {
        uint64_t at = (u->ring & BITS(12, 51)) + u->head;
        fake_amd_vi_command(u, fake_read_queue(at), fake_read_queue(at + 8));
        u->head = (u->head + 16) % PAGE_SIZE;
    }
}

/* ---- registers ---- */

/* The rings stop a while after they were told to. */
static uint64_t fake_amd_vi_status(struct fake_amd_vi *u) {
    uint64_t status = u->status;
    if (u->lag != 0 && !u->runs_on) {
        u->lag--;
        if (u->lag == 0) {
            u->status &= (u->control & FAKE_AMD_VI_EVENTS) != 0 ? ~0ull : ~FAKE_EVENTS_RUN;
            u->status &= (u->control & FAKE_AMD_VI_COMMANDS) != 0 ? ~0ull : ~FAKE_COMMANDS_RUN;
        }
    }
    return status;
}

static void fake_amd_vi_write_control(struct fake_amd_vi *u, uint64_t value) {
    uint64_t on = value & ~u->control;
    uint64_t off = u->control & ~value;

    FAKE_MUST((value & ~(BITS(0, 2) | BITS(8, 12))) == 0, value); /* no interrupts of its own */
    FAKE_MUST((value & FAKE_AMD_VI_ON) == 0 || (value & BIT(10)) != 0, value);
    if (u->never_on) {
        return;
    }
    u->control = value;
    if ((on & FAKE_AMD_VI_EVENTS) != 0) {
        FAKE_MUST((u->status & (FAKE_OVERFLOW | FAKE_EVENTS_RUN)) == 0, u->status);
        FAKE_MUST(u->log_head == u->log_tail, u->log_tail);
        u->status |= FAKE_EVENTS_RUN;
    }
    if ((on & FAKE_AMD_VI_COMMANDS) != 0) {
        FAKE_MUST((u->status & FAKE_COMMANDS_RUN) == 0 && u->head == u->tail, u->status);
        u->status |= FAKE_COMMANDS_RUN;
    }
    if ((on & FAKE_AMD_VI_ON) != 0) {
        FAKE_MUST((u->devices & 0x1ff) == 0x1ff, u->devices); /* all functions have an entry */
    }
    if ((off & (FAKE_AMD_VI_EVENTS | FAKE_AMD_VI_COMMANDS)) != 0) {
        u->lag = FAKE_LAG;
    }
}

static uint32_t fake_amd_vi_read32(void *machine, UNUSED uint32_t offset) {
    struct fake_amd_vi *u = machine;
    u->reads++;
    return 0;
}

static void fake_amd_vi_write32(UNUSED void *machine, uint32_t offset, UNUSED uint32_t value) {
    fake_wrong("a register of 64 bits", offset);
}

static uint64_t *fake_amd_vi_register(struct fake_amd_vi *u, uint32_t offset) {
    switch (offset) {
    case 0x00:
        return &u->devices;
    case 0x08:
        return &u->ring;
    case 0x10:
        return &u->log;
    case 0x18:
        return &u->control;
    case 0x20:
        return &u->exclusion;
    case 0x28:
        return &u->limit;
    case 0x30:
        return &u->abilities;
    case 0x2000:
        return &u->head;
    case 0x2008:
        return &u->tail;
    case 0x2010:
        return &u->log_head;
    case 0x2018:
        return &u->log_tail;
    case 0x2020:
        return &u->status;
    default:
        fake_wrong("no such register", offset);
        return NULL;
    }
}

static uint64_t fake_amd_vi_read64(void *machine, uint32_t offset) {
    struct fake_amd_vi *u = machine;
    u->reads++;
    if (u->gone) {
        return UINT64_MAX;
    }
    if (offset == 0x2020) {
        return fake_amd_vi_status(u);
    }
    const uint64_t *from = fake_amd_vi_register(u, offset);
    return from != NULL ? *from : 0;
}

static void fake_amd_vi_write64(void *machine, uint32_t offset, uint64_t value) {
    struct fake_amd_vi *u = machine;
    uint64_t *to = fake_amd_vi_register(u, offset);
    bool commands_off = (u->status & FAKE_COMMANDS_RUN) == 0;
    bool events_off = (u->status & FAKE_EVENTS_RUN) == 0;

    switch (offset) {
    case 0x00:
        FAKE_MUST((value & ~(BITS(12, 51) | 0x1ff)) == 0, value);
        FAKE_MUST((u->control & FAKE_AMD_VI_ON) == 0, value);
        break;
    case 0x08:
        FAKE_MUST((value & ~BITS(12, 51)) == 8ull << 56 && commands_off, value);
        break;
    case 0x10:
        FAKE_MUST((value & ~BITS(12, 51)) == 8ull << 56 && events_off, value);
        break;
    case 0x18:
        fake_amd_vi_write_control(u, value);
        return;
    case 0x20:
    case 0x28:
        FAKE_MUST((u->control & FAKE_AMD_VI_ON) == 0, value);
        break;
    case 0x2000:
        FAKE_MUST(commands_off, value);
        break;
    case 0x2008:
        FAKE_MUST(value < PAGE_SIZE && value % 16 == 0, value);
        break;
    case 0x2010:
        FAKE_MUST(value < PAGE_SIZE && value % 16 == 0, value);
        break;
    case 0x2018:
        FAKE_MUST(events_off, value);
        break;
    case 0x2020:
        u->status &= ~(value & (FAKE_OVERFLOW | BIT(1) | BIT(2)));
        return;
    default:
        fake_wrong("a register that is not written to", offset);
        return;
    }
    if (to != NULL) {
        *to = value;
    }
    fake_amd_vi_run(u);
}

static UNUSED const struct iommu_ops fake_amd_vi_ops = {
    .read32 = fake_amd_vi_read32,
    .write32 = fake_amd_vi_write32,
    .read64 = fake_amd_vi_read64,
    .write64 = fake_amd_vi_write64,
    .write_back = fake_write_back,
    .alloc = fake_alloc,
};
