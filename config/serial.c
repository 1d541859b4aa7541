/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The choice of the UART. Must not touch hardware but through struct serial_machine. Sources:
 * National Semiconductor PC16550D data sheet, "Scratchpad Register"; PCI Local Bus Specification
 * 3.0, "Configuration Space Organization", "Base Addresses", "Class Codes".
 */
#include "config/serial.h"

#include "hv/lib/fmt.h"
#include "hv/lib/uart_registers.h"

#define SCRATCH_PATTERN 0xa5u
#define PORT_EMPTY      0xffu /* what a read gives where no device is */

#define PORT_LEAST   0x100u /* below are the chipset's own */
#define PORT_LIMIT   0x10000u
#define MEMORY_LIMIT BIT(46) /* the hypervisor maps it at its own address */

#define PCI_FUNCTIONS      0x10000u
#define PCI_OF_DEVICE      8u /* functions */
#define PCI_ID             0x00u
#define PCI_COMMAND        0x04u
#define PCI_CLASS          0x08u
#define PCI_HEADER         0x0cu
#define PCI_BAR0           0x10u
#define PCI_BAR_END        0x28u
#define ID_ABSENT          0xffffu /* as vendor */
#define COMMAND_IO         BIT32(0)
#define COMMAND_MEMORY     BIT32(1)
#define COMMAND_WORD       0xffffu /* the upper half is the status, of which a 1 clears bits */
#define CLASS_SERIAL       0x0700u
#define PROG_IF_LAST       0x06u /* 0 to 6 are UARTs of the PC's kind */
#define HEADER_TYPE        0x7f0000u
#define HEADER_MULTI       BIT32(23)
#define BAR_IO             BIT32(0)
#define BAR_IO_ADDRESS     0xfffcu
#define BAR_64_BIT         0x4u
#define BAR_MEMORY_TYPE    0x6u
#define BAR_MEMORY_ADDRESS 0xfffffff0u

/* A PC's usual ports, and the ISA interrupts that they have by custom. */
static const struct usual_port {
    const char *name;
    uint16_t port;
    uint8_t irq;
} usual_ports[] = {
    {.name = "COM1", .port = 0x3f8, .irq = 4},
    {.name = "COM2", .port = 0x2f8, .irq = 3},
    {.name = "COM3", .port = 0x3e8, .irq = 4},
    {.name = "COM4", .port = 0x2e8, .irq = 3},
};

static bool is_reachable(const struct boot_info *info, const struct boot_serial *line) {
    uint64_t limit = line->in_memory ? MEMORY_LIMIT : PORT_LIMIT;
    uint64_t least = line->in_memory ? PAGE_SIZE : PORT_LEAST;
    uint64_t span = serial_span(line);

    if (line->base < least || line->base > limit - span || line->base % line->width != 0) {
        return false;
    }
    /* RAM keeps a pattern, too. */
    return !line->in_memory || !boot_is_memory(info, line->base, span);
}

static bool answers(const struct boot_info *info, const struct serial_machine *m,
                    const struct boot_serial *line) {
    if (!is_reachable(info, line)) {
        return false;
    }
    uint8_t before = m->in(line, REG_SCR);
    m->out(line, REG_SCR, SCRATCH_PATTERN);
    uint8_t kept = m->in(line, REG_SCR);
    m->out(line, REG_SCR, before);
    return kept == SCRATCH_PATTERN && m->in(line, REG_LSR) != PORT_EMPTY;
}

/* The usual port there; of another the name is "" and the interrupt 0, not known. */
static const struct usual_port *usual_port_at(uint64_t port) {
    static const struct usual_port other = {.name = ""};

    for (unsigned i = 0; i < ARRAY_SIZE(usual_ports); i++) {
        if (usual_ports[i].port == port) {
            return &usual_ports[i];
        }
    }
    return &other;
}

static struct boot_serial at_port(uint32_t port, enum boot_serial_source source) {
    return (struct boot_serial){
        .base = port, .stride = 1, .width = 1, .irq = usual_port_at(port)->irq, .source = source};
}

/* ---- PCI ---- */

/* Of the bits that let a device answer, those that it has now. */
static uint32_t pci_decode(const struct serial_machine *m, uint32_t function, uint32_t wanted) {
    uint32_t command = m->pci_read(function, PCI_COMMAND) & COMMAND_WORD;
    m->pci_write(function, PCI_COMMAND, (command & ~(COMMAND_IO | COMMAND_MEMORY)) | wanted);
    return command & (COMMAND_IO | COMMAND_MEMORY);
}

static uint32_t pci_wanted(const struct boot_serial *line) {
    return line->in_memory ? COMMAND_MEMORY : COMMAND_IO;
}

/* The place that a base address register names; its base is 0 if none is. *bar: to the next. */
static struct boot_serial pci_place(const struct serial_machine *m, uint32_t function,
                                    unsigned *bar) {
    struct boot_serial line = {.stride = 1, .width = 1, .source = SERIAL_BY_PCI, .pci = function};
    uint32_t low = m->pci_read(function, *bar);

    *bar += sizeof(uint32_t);
    if ((low & BAR_IO) != 0) {
        line.base = low & BAR_IO_ADDRESS;
        return line;
    }
    line.in_memory = true;
    line.base = low & BAR_MEMORY_ADDRESS;
    if ((low & BAR_MEMORY_TYPE) == BAR_64_BIT && *bar < PCI_BAR_END) {
        line.base |= (uint64_t)m->pci_read(function, *bar) << 32;
        *bar += sizeof(uint32_t);
    }
    return line;
}

static bool pci_answers(const struct boot_info *info, const struct serial_machine *m,
                        uint32_t function, struct boot_serial *out) {
    uint32_t class = m->pci_read(function, PCI_CLASS) >> 8;

    if (class >> 8 != CLASS_SERIAL || (class & 0xff) > PROG_IF_LAST ||
        (m->pci_read(function, PCI_HEADER) & HEADER_TYPE) != 0) {
        return false;
    }
    for (unsigned bar = PCI_BAR0; bar < PCI_BAR_END;) {
        struct boot_serial line = pci_place(m, function, &bar);
        /* The clock of one in memory is anybody's guess. */
        line.keep_speed = line.in_memory || m->firmware_has_line;
        uint32_t had = pci_decode(m, function, pci_wanted(&line));
        bool good = answers(info, m, &line);
        (void)pci_decode(m, function, had);
        if (good) {
            *out = line;
            return true;
        }
    }
    return false;
}

static bool find_pci(const struct boot_info *info, const struct serial_machine *m,
                     struct boot_serial *out) {
    for (uint32_t device = 0; device < PCI_FUNCTIONS; device += PCI_OF_DEVICE) {
        if ((m->pci_read(device, PCI_ID) & ID_ABSENT) == ID_ABSENT) {
            continue;
        }
        bool several = (m->pci_read(device, PCI_HEADER) & HEADER_MULTI) != 0;
        uint32_t end = device + (several ? PCI_OF_DEVICE : 1);
        for (uint32_t function = device; function < end; function++) {
            bool there = (m->pci_read(function, PCI_ID) & ID_ABSENT) != ID_ABSENT;
            if (there && pci_answers(info, m, function, out)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- the choice ---- */

static bool find_spcr(const struct boot_info *info, const struct serial_machine *m,
                      struct boot_serial *out) {
    struct boot_serial line = info->spcr;

    if (line.base == 0) {
        return false;
    }
    if (line.irq == 0 && !line.in_memory) {
        line.irq = usual_port_at(line.base)->irq;
    }
    if (!answers(info, m, &line)) {
        return false;
    }
    *out = line;
    return true;
}

static bool find_usual(const struct boot_info *info, const struct serial_machine *m,
                       struct boot_serial *out) {
    for (unsigned i = 0; i < ARRAY_SIZE(usual_ports); i++) {
        struct boot_serial line = at_port(usual_ports[i].port, SERIAL_BY_PORT);
        line.keep_speed = m->firmware_has_line;
        if (answers(info, m, &line)) {
            *out = line;
            return true;
        }
    }
    return false;
}

/* Where the firmware's console is, somebody looks; then what is on the board; then cards. */
static void find_any(struct boot_info *info, const struct serial_machine *m) {
    struct boot_serial *out = &info->serial;

    if (find_spcr(info, m, out) || find_usual(info, m, out)) {
        return;
    }
    (void)find_pci(info, m, out);
}

void serial_choose(struct boot_info *info, const struct serial_machine *machine) {
    uint32_t console = info->config.console;

    info->serial = (struct boot_serial){.source = SERIAL_BY_CONFIG};
    if (console == CONSOLE_AUTO) {
        find_any(info, machine);
    } else if (console == CONSOLE_PCI) {
        (void)find_pci(info, machine, &info->serial);
    } else if (console != CONSOLE_NONE) {
        struct boot_serial line = at_port(console, SERIAL_BY_CONFIG);
        if (answers(info, machine, &line)) {
            info->serial = line;
        }
    }
}

void serial_take(const struct boot_info *info, const struct serial_machine *machine) {
    const struct boot_serial *line = &info->serial;

    if (line->base != 0 && line->source == SERIAL_BY_PCI) {
        uint32_t had = pci_decode(machine, line->pci, COMMAND_IO | COMMAND_MEMORY);
        (void)pci_decode(machine, line->pci, had | pci_wanted(line));
    }
}

static const char *describe_none(uint32_t console, char *buf) {
    const char *text = "none found";

    if (console == CONSOLE_NONE) {
        text = "none, as the config says";
    } else if (console == CONSOLE_PCI) {
        text = "no PCI serial card answers";
    } else if (console != CONSOLE_AUTO) {
        (void)fmt_print(buf, SERIAL_TEXT_SIZE, "I/O %#x, named by the config, is silent", console);
        return buf;
    }
    (void)fmt_print(buf, SERIAL_TEXT_SIZE, "%s", text);
    return buf;
}

static const char *describe_why(const struct boot_serial *line, char why[16]) {
    char address[FMT_PCI_SIZE];

    switch (line->source) {
    case SERIAL_BY_TABLE:
        return "SPCR";
    case SERIAL_BY_PCI:
        (void)fmt_print(why, 16, "PCI %s", fmt_pci(address, line->pci));
        return why;
    case SERIAL_BY_PORT:
        return usual_port_at(line->base)->name;
    case SERIAL_BY_CONFIG:
    default:
        return "the config";
    }
}

const char *serial_describe(const struct boot_info *info, char *buf) {
    const struct boot_serial *line = &info->serial;
    char why[16];

    if (line->base == 0) {
        return describe_none(info->config.console, buf);
    }
    const char *space = line->in_memory ? "memory" : "I/O";
    const char *speed = line->keep_speed ? "the firmware's speed" : "115200 baud";
    (void)fmt_print(buf, SERIAL_TEXT_SIZE, "%s %#llx (%s), %s", space, (ull)line->base,
                    describe_why(line, why), speed);
    return buf;
}
