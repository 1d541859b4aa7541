/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which UART is taken of those that a made-up machine has, and what it is left like; and the host's
 * way to registers in memory, of any width.
 */
#include "arch/x86_64/uart.h"
#include "config/serial.h"
#include "hv/lib/phys.h"
#include "tests/unit/test.h"

/* UARTs of the machine: at ports or in memory, with a scratch register each. */
#define PLACES 6u

static struct place {
    uint64_t base;
    bool in_memory;
    uint8_t stride, scratch;
    bool decodes;         /* else a PCI device that does not answer now */
    const uint32_t *gate; /* its command register, NULL = none */
} places[PLACES];
static unsigned place_count;

static struct { uint32_t function, id, class, header, command, bar[6]; } pci[4];
static unsigned pci_count;
static unsigned strange_writes;

static struct boot_info info;
static char text[SERIAL_TEXT_SIZE];

static struct place *place_of(const struct boot_serial *line) {
    for (unsigned i = 0; i < place_count; i++) {
        struct place *p = &places[i];
        bool open = p->gate == NULL || (*p->gate & (p->in_memory ? 2u : 1u)) != 0;
        if (p->base == line->base && p->in_memory == line->in_memory && p->stride == line->stride &&
            open) {
            return p;
        }
    }
    return NULL;
}

static uint8_t uart_read(const struct boot_serial *line, unsigned r) {
    const struct place *p = place_of(line);
    if (p == NULL) {
        return 0xff;
    }
    return r == REG_SCR ? p->scratch : LSR_THRE | LSR_TEMT;
}

static void uart_write(const struct boot_serial *line, unsigned r, uint8_t value) {
    struct place *p = place_of(line);
    strange_writes += r != REG_SCR;
    if (p != NULL) {
        p->scratch = value;
    }
}

static uint32_t pci_read(uint32_t function, unsigned offset) {
    for (unsigned i = 0; i < pci_count; i++) {
        if (pci[i].function == function) {
            switch (offset) {
            case 0x00:
                return pci[i].id;
            case 0x04:
                return pci[i].command | 0x02900000; /* a status: its ones would be cleared */
            case 0x08:
                return pci[i].class << 8;
            case 0x0c:
                return pci[i].header;
            default:
                return pci[i].bar[(offset - 0x10) / 4];
            }
        }
    }
    return UINT32_MAX;
}

static void pci_write(uint32_t function, unsigned offset, uint32_t value) {
    for (unsigned i = 0; i < pci_count; i++) {
        if (pci[i].function == function && offset == 4) {
            CHECK_U64(value >> 16, 0);
            pci[i].command = value;
            return;
        }
    }
    strange_writes++;
}

static struct serial_machine machine = {uart_read, uart_write, pci_read, pci_write, false};

static void set_up(uint32_t console) {
    memset(&info, 0, sizeof(info));
    memset(places, 0, sizeof(places));
    memset(pci, 0, sizeof(pci));
    place_count = pci_count = strange_writes = 0;
    machine.firmware_has_line = false;
    info.config.console = console;
    info.range_count = 2;
    info.ranges[0] = (struct mem_range){HPA(MIB), GIB, MEM_FREE};
    info.ranges[1] = (struct mem_range){HPA(2 * GIB), GIB, MEM_RESERVED};
}

static struct place *add_place(uint64_t base, bool in_memory, uint8_t stride) {
    places[place_count] =
        (struct place){.base = base, .in_memory = in_memory, .stride = stride, .scratch = 0x77};
    return &places[place_count++];
}

static void add_pci(uint32_t function, uint32_t class, uint32_t bar0, uint32_t bar1) {
    pci[pci_count].function = function;
    pci[pci_count].id = 0xa13d8086;
    pci[pci_count].class = class;
    pci[pci_count].bar[0] = bar0;
    pci[pci_count].bar[1] = bar1;
    pci_count++;
}

/* Intel AMT, with its I/O ports switched off as many firmwares leave them. */
static void add_amt(void) {
    add_pci(0xb3, 0x070002, 0xf0a1, 0xdf23d000);
    pci[0].header = 0x800000; /* function 0 of the device: several */
    pci[0].function = 0xb0;
    pci[0].class = 0x078000;
    pci[0].bar[0] = 0;
    add_pci(0xb3, 0x070002, 0xf0a1, 0xdf23d000);
    add_place(0xf0a0, false, 1)->gate = &pci[1].command;
}

static const char *choose(void) {
    serial_choose(&info, &machine);
    CHECK_U64(strange_writes, 0);
    for (unsigned i = 0; i < place_count; i++) {
        CHECK_U64(places[i].scratch, 0x77);
    }
    return serial_describe(&info, text);
}

static void say_spcr(uint64_t base, bool in_memory, uint8_t stride) {
    info.spcr = (struct boot_serial){.base = base,
                                     .in_memory = in_memory,
                                     .stride = stride,
                                     .width = stride,
                                     .keep_speed = true,
                                     .source = SERIAL_BY_TABLE};
}

TEST(of_the_config) {
    set_up(0x2f8);
    add_place(0x3f8, false, 1);
    add_place(0x2f8, false, 1);
    machine.firmware_has_line = true;
    say_spcr(0x3f8, false, 1);
    CHECK_STR(choose(), "I/O 0x2f8 (the config), 115200 baud");
    CHECK_U64(info.serial.irq, 3);
    info.config.console = 0xe000;
    CHECK_STR(choose(), "I/O 0xe000, named by the config, is silent");
    CHECK_U64(info.serial.base, 0);
    add_place(0xe000, false, 1);
    CHECK_STR(choose(), "I/O 0xe000 (the config), 115200 baud");
    CHECK_U64(info.serial.irq, 0);
    info.config.console = CONSOLE_NONE;
    CHECK_STR(choose(), "none, as the config says");
    CHECK_U64(info.serial.base, 0);
}

TEST(usual_ports) {
    set_up(CONSOLE_AUTO);
    CHECK_STR(choose(), "none found");
    CHECK_U64(info.serial.base, 0);
    add_place(0x2e8, false, 1);
    CHECK_STR(choose(), "I/O 0x2e8 (COM4), 115200 baud");
    CHECK_U64(info.serial.irq, 3);
    add_place(0x3f8, false, 1);
    CHECK_STR(choose(), "I/O 0x3f8 (COM1), 115200 baud");
    CHECK_U64(info.serial.irq, 4);
    add_pci(0x20, 0x070002, 0xc001, 0);
    add_place(0xc000, false, 1);
    CHECK_STR(choose(), "I/O 0x3f8 (COM1), 115200 baud");
    machine.firmware_has_line = true;
    CHECK_STR(choose(), "I/O 0x3f8 (COM1), the firmware's speed");
}

TEST(the_firmwares_own) {
    set_up(CONSOLE_AUTO);
    add_place(0x3f8, false, 1);
    add_place(0x2f8, false, 1);
    add_place(0x81000000, true, 4);
    say_spcr(0x2f8, false, 1);
    CHECK_STR(choose(), "I/O 0x2f8 (SPCR), the firmware's speed");
    CHECK_U64(info.serial.irq, 3); /* the table names none: the usual one */
    info.spcr.irq = 5;
    (void)choose();
    CHECK_U64(info.serial.irq, 5);
    say_spcr(0x81000000, true, 4);
    CHECK_STR(choose(), "memory 0x81000000 (SPCR), the firmware's speed");
    CHECK_U64(info.serial.stride, 4);
    CHECK_U64(info.serial.irq, 0);
}

/* A table can be wrong in each word: what does not answer is passed over. */
TEST(a_table_that_lies) {
    static const struct {
        uint64_t base;
        bool in_memory;
        uint8_t stride;
    } lies[] = {
        {0x2e8, false, 1},         /* nothing there */
        {0x70, false, 1},          /* the clock chip */
        {0x1fff8, false, 1},       /* no port */
        {0xfffc, false, 1},        /* its end is none */
        {0x2000000, true, 1},      /* RAM of ours */
        {MIB + GIB - 4, true, 1},  /* its end */
        {MIB - 4, true, 1},        /* reaches into it */
        {0x10, true, 1},           /* page 0 */
        {0x81000002, true, 4},     /* not aligned */
        {BIT(46), true, 4},        /* not to be mapped */
        {UINT64_MAX - 3, true, 4}, /* wraps */
        {0x81000000, true, 2},     /* other registers */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        set_up(CONSOLE_AUTO);
        add_place(0x3f8, false, 1);
        add_place(0x81000000, true, 4);
        if (i != 0 && i != ARRAY_SIZE(lies) - 1) {
            add_place(lies[i].base, lies[i].in_memory, lies[i].stride);
        }
        say_spcr(lies[i].base, lies[i].in_memory, lies[i].stride);
        CHECK_STR(choose(), "I/O 0x3f8 (COM1), 115200 baud");
    }
}

TEST(cards) {
    set_up(CONSOLE_AUTO);
    add_amt();
    machine.firmware_has_line = true;
    CHECK_STR(choose(), "I/O 0xf0a0 (PCI 00:16.3), the firmware's speed");
    machine.firmware_has_line = false;
    CHECK_STR(choose(), "I/O 0xf0a0 (PCI 00:16.3), 115200 baud");
    CHECK_U64(info.serial.irq, 0);
    CHECK_U64(pci[1].command, 0); /* left as it was */
    serial_take(&info, &machine);
    CHECK_U64(pci[1].command, 1);
    CHECK_U64(pci[0].command, 0);

    pci[1].command = 0x406; /* bus master and no interrupts: not ours to change */
    (void)choose();
    CHECK_U64(pci[1].command, 0x406);
    serial_take(&info, &machine);
    CHECK_U64(pci[1].command, 0x407);

    add_place(0x3f8, false, 1);
    info.config.console = CONSOLE_PCI;
    CHECK_STR(choose(), "I/O 0xf0a0 (PCI 00:16.3), 115200 baud");
    pci_count = 1;
    CHECK_STR(choose(), "no PCI serial card answers");
    serial_take(&info, &machine);
}

/* A card with registers in memory, above 4 GiB, whose speed only the firmware can have set. */
TEST(cards_in_memory) {
    set_up(CONSOLE_AUTO);
    add_pci(0x500, 0x070002, 0xfe000004, 0x10);
    add_place(0x10fe000000, true, 1)->gate = &pci[0].command;
    CHECK_STR(choose(), "memory 0x10fe000000 (PCI 05:00.0), the firmware's speed");
    CHECK_U64(pci[0].command, 0);
    serial_take(&info, &machine);
    CHECK_U64(pci[0].command, 2);
}

TEST(what_is_no_card) {
    static const struct {
        uint32_t class, bar, header;
    } cases[] = {
        {0x070002, 0, 0},             /* no address yet */
        {0x070002, 1, 0},             /* the same for ports */
        {0x070002, 0xc001, 0x010000}, /* a bridge */
        {0x070080, 0xc001, 0},        /* no 16550 */
        {0x070200, 0xc001, 0},        /* several lines in a way of their own */
        {0x030000, 0xc001, 0},        /* a screen */
        {0x070002, 0xc009, 0},        /* answers elsewhere */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(CONSOLE_AUTO);
        add_pci(0x20, cases[i].class, cases[i].bar, 0);
        pci[0].header = cases[i].header;
        add_place(0xc000, false, 1);
        CHECK_STR(choose(), "none found");
        serial_take(&info, &machine);
        CHECK_U64(pci[0].command, 0);
    }
    set_up(CONSOLE_AUTO); /* function 1 of a device that has but one is an echo */
    add_pci(0x20, 0x030000, 0, 0);
    add_pci(0x21, 0x070002, 0xc001, 0);
    add_place(0xc000, false, 1);
    CHECK_STR(choose(), "none found");
}

/* arch/x86_64/uart.c, with memory that is none of a device. */
TEST(registers_in_memory) {
    static const struct {
        uint8_t stride, width;
    } cases[] = {{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 2}, {4, 4}};
    static ALIGNED(4) uint8_t memory[40];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t stride = cases[i].stride, width = cases[i].width;
        struct boot_serial line = {
            .base = phys_address(memory).v, .in_memory = true, .stride = stride, .width = width};
        memset(memory, 0xee, sizeof(memory));
        uart_init(&line);
        for (unsigned r = 0; r < SERIAL_REGISTERS; r++) {
            uart_out((enum uart_register)r, 0x10 + r);
        }
        for (unsigned at = 0; at < sizeof(memory); at++) {
            unsigned r = at / stride, byte = at % stride;
            uint8_t want = byte == 0 ? (uint8_t)(0x10 + r) : byte < width ? 0 : 0xee;
            CHECK_U64(memory[at], r < SERIAL_REGISTERS ? want : 0xee);
        }
        CHECK_U64(uart_in(REG_LSR), 0x15);
        CHECK_U64(uart_in(REG_SCR), 0x17);
        CHECK_U64(serial_span(&line), 8u * stride);
    }
}

TEST_MAIN(T(of_the_config), T(usual_ports), T(the_firmwares_own), T(a_table_that_lies), T(cards),
          T(cards_in_memory), T(what_is_no_card), T(registers_in_memory))
