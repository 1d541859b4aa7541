/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: a PCI function's configuration space, its command register, and BARs that go anywhere. */
#include "guests/hostile/virtio.h"

#define COM1_LINE    0x3fd
#define CONFIG_PAGES 0xe0100000u /* as MCFG has it */
#define IOAPIC_PAGE  0xfec00000u
#define APIC_PAGE    0xfee00000u
#define ENTROPY      0x10441af4u

/* Not zero in a device that nobody drives. */
static uint32_t queues(void) {
    return reg_read(R_QUEUE_COUNT, 2);
}

static void move_memory(uint32_t to) {
    memory_bar = to;
    config_write(C_BAR + 4, to);
}

static void move_ports(uint32_t to) {
    port_bar = to;
    config_write(C_BAR, to);
}

/* ---- BARs over what is there ---- */

const char *act_bar_ram(void) {
    bool ram = true;
    virtio_begin();
    for (unsigned i = 0; i < 64; i++) {
        buffer[i] = (uint8_t)(i * 3 + 1);
    }
    move_memory((uint32_t)address_of(buffer));
    reg_write(0x20, 4, 0x12345678);
    for (unsigned i = 0; i < 64; i++) {
        ram = ram && (i - 0x20 < 4 || buffer[i] == (uint8_t)(i * 3 + 1));
    }
    ram = ram && reg_read(0x20, 4) == 0x12345678;
    return virtio_saw(ram, "RAM stays RAM");
}

const char *act_bar_ioapic(void) {
    virtio_begin();
    volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)IOAPIC_PAGE;
    ioapic[0] = 1;
    uint32_t version = ioapic[4];
    move_memory(IOAPIC_PAGE);
    ioapic[0] = 1;
    bool same = version == ioapic[4] && (version & 0xff) != 0;
    ioapic[0] = 0;
    return virtio_saw(same, "the I/O APIC is there");
}

const char *act_bar_lapic(void) {
    virtio_begin();
    uint32_t version = apic_read(0x30);
    move_memory(APIC_PAGE);
    bool same = version == apic_read(0x30) && version != 0;
    return virtio_saw(same, "the local APIC is there");
}

/* Over, or beside, each device of the PC: 8259s, PIT, keyboard, CMOS, ACPI, UART. */
const char *act_bar_ports(void) {
    static const uint16_t ports[] = {0x20, 0x40, 0x60, 0xa0, 0x3e0, 0x4c0, 0x600};
    bool same = true;
    virtio_begin();
    uint8_t mask = in8(0x21);
    for (size_t i = 0; i < COUNT(ports); i++) {
        move_ports(ports[i]);
        same = same && in8(0x21) == mask && (in8(COM1_LINE) & 0x60) == 0x60;
        same = same && in16(0x602) != 0xffff;
    }
    return virtio_saw(same, "they are there");
}

const char *act_bar_mechanism(void) {
    virtio_begin();
    move_ports(0xce0); /* to 0xcff: with 0xcf8 and 0xcfc in it */
    bool same = config_read(C_ID) == ENTROPY && config_read(C_BAR) == (0xce0 | 1);
    return virtio_saw(same, "it is there");
}

/* ---- BARs that move ---- */

/* At the old place nothing is left. */
const char *act_bar_moves(void) {
    bool moved = true;
    virtio_begin();
    uint32_t want = queues();
    for (uint32_t i = 1; i < 100; i++) {
        uint32_t old = memory_bar;
        move_memory(first_memory_bar + 0x1000 * i);
        moved = moved && queues() == want;
        moved = moved && *(volatile uint32_t *)(uintptr_t)old == UINT32_MAX;
        tell(1);
    }
    return virtio_saw(moved, "each time there alone");
}

const char *act_bar_bits(void) {
    bool kept = true;
    virtio_begin();
    for (unsigned bit = 0; bit < 32; bit++) {
        config_write(C_BAR, 1u << bit);
        config_write(C_BAR + 4, 1u << bit);
        kept = kept && config_read(C_BAR) == ((1u << bit & ~0x1fu) | 1);
        kept = kept && config_read(C_BAR + 4) == (1u << bit & ~0xfffu);
    }
    return virtio_saw(kept, "aligned");
}

const char *act_bar_top(void) {
    virtio_begin();
    uint32_t want = queues();
    move_memory(0xfffff000);
    bool there = queues() == want && want != 0;
    move_ports(0xffe0);
    out16(0xfffe, 0);
    return virtio_saw(there, "there");
}

static volatile bool racing;

static void read_for_ever(void) {
    while (racing) {
        volatile uint32_t *status = (volatile uint32_t *)(uintptr_t)(first_memory_bar + 0x1000);
        (void)status[5];
    }
}

/* It is taken off its bus and put back, to where it was: the other vCPU finds it each time. */
const char *act_bar_race(void) {
    if (!vcpu_ready()) {
        return "no second vCPU";
    }
    virtio_begin();
    move_memory(first_memory_bar + 0x1000);
    racing = true;
    vcpu_run(1, read_for_ever);
    for (unsigned i = 0; i < 500; i++) {
        config_write(C_BAR, i % 2 == 0 ? 0x1f00 : first_port_bar);
        reg_write(R_QUEUE_SELECT, 2, i);
        config_write(C_BAR + 4, first_memory_bar + 0x1000);
    }
    racing = false;
    return vcpu_wait(1) ? virtio_usable() : "the other vCPU does not come back";
}

/* ---- the command register ---- */

const char *act_command_all(void) {
    virtio_start(F_PLAIN);
    for (uint32_t value = 0; value < 0x10000; value += 0x83) {
        config_write(C_COMMAND, value | value << 16);
    }
    return virtio_usable();
}

const char *act_no_memory(void) {
    virtio_begin();
    config_write(C_COMMAND, COMMAND_PORTS | COMMAND_MASTER);
    bool gone = reg_read(R_STATUS, 4) == UINT32_MAX;
    reg_write(R_STATUS, 1, 0xff);
    return virtio_saw(gone, "gone");
}

const char *act_no_ports(void) {
    virtio_start(F_PLAIN);
    config_write(C_COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    offer(0);
    doorbell(0);
    return virtio_end();
}

/* It may not look at memory then. */
const char *act_no_master(void) {
    virtio_start(F_PLAIN);
    config_write(C_COMMAND, COMMAND_PORTS | COMMAND_MEMORY);
    put(&table[0], ram_end(), 8, WRITE, 0);
    offer(0);
    doorbell(0);
    return virtio_end();
}

/* ---- configuration space ---- */

/* Command, BARs, the interrupt line and MSI-X's control are there to be written. */
static bool is_fixed(uint32_t at) {
    return at != C_COMMAND && at != C_BAR && at != C_BAR + 4 && at != C_LINE && at != config_msix();
}

const char *act_config_ones(void) {
    bool same = true;
    virtio_begin();
    for (uint32_t at = 0; at < 0x100; at += 4) {
        uint32_t before = config_read(at);
        config_write(at, UINT32_MAX);
        config_write(at, 0);
        config_write(at, 0x5a5a5a5a);
        same = same && (!is_fixed(at) || config_read(at) == before);
    }
    return virtio_saw(same, "unchanged");
}

/* Each byte and word, read and written beside the double word's beginning. */
const char *act_config_bytes(void) {
    bool same = true;
    virtio_begin();
    for (uint32_t at = 0; at < 0x100; at += 4) {
        uint32_t before = config_read(at);
        for (uint16_t i = 0; i < 4; i++) {
            same = same && in8((uint16_t)(0xcfc + i)) == (uint8_t)(before >> (8 * i));
            out8((uint16_t)(0xcfc + i), 0xa5);
        }
        out16(0xcfe, 0x3c3c);
        same = same && (!is_fixed(at) || config_read(at) == before);
    }
    return virtio_saw(same, "unchanged");
}

/* Bit 31 is off, or the function, or the bus, is nobody's. Bits 24 to 30 are not there. */
const char *act_config_nobody(void) {
    static const uint8_t bits[] = {8, 9, 10, 16, 17, 20, 23, 31};
    bool nobody = true;
    virtio_begin();
    for (size_t i = 0; i < COUNT(bits); i++) {
        (void)config_read(C_ID);
        out32(0xcf8, in32(0xcf8) ^ 1u << bits[i]);
        nobody = nobody && in32(0xcfc) == UINT32_MAX;
        out32(0xcfc, 0);
    }
    return virtio_saw(nobody && config_read(C_ID) == ENTROPY, "all ones");
}

/* ---- the same by memory, a page each function ---- */

static volatile uint32_t *pages_at(unsigned function, uint32_t at) {
    return (volatile uint32_t *)(uintptr_t)(CONFIG_PAGES + function * 4096 + at);
}

/* The function of the device that the others use. */
static unsigned own_function(void) {
    (void)config_read(C_ID);
    return in32(0xcf8) >> 8 & 0xff;
}

static uint32_t read_by_ports(unsigned function, uint32_t at) {
    out32(0xcf8, 1u << 31 | function << 8 | at);
    return in32(0xcfc);
}

const char *act_pages_same(void) {
    bool same = true;
    virtio_begin();
    for (unsigned function = 0; function < 256; function++) {
        for (uint32_t at = 0; at < 0x100; at += 0x3c) {
            same = same && *pages_at(function, at) == read_by_ports(function, at);
        }
        same = same && (*pages_at(function, 0x100) == 0 || *pages_at(function, 0) == UINT32_MAX);
    }
    return virtio_saw(same, "as by ports");
}

const char *act_pages_write(void) {
    bool same = true;
    virtio_begin();
    unsigned function = own_function();
    for (uint32_t at = 0; at < 0x1000; at += at < 0x100 ? 4 : 0x104) {
        volatile uint32_t *word = pages_at(function, at);
        uint32_t before = *word;
        *word = UINT32_MAX;
        *(volatile uint8_t *)word = 0x5a;
        ((volatile uint16_t *)word)[1] = 0xa5a5;
        *word = 0;
        *pages_at(function ^ 0xf8, at) = UINT32_MAX;
        same = same && ((at < 0x100 && !is_fixed(at)) || *word == before);
    }
    return virtio_saw(same, "unchanged");
}

const char *act_pages_odd(void) {
    virtio_begin();
    uint64_t page = (uint64_t)(uintptr_t)pages_at(own_function(), 0);
    uint32_t across = *(volatile uint32_t *)(uintptr_t)(page + 1);
    uint16_t half = *(volatile uint16_t *)(uintptr_t)(page + 3);
    uint64_t wide = *(volatile uint64_t *)(uintptr_t)page;
    *(volatile uint32_t *)(uintptr_t)(page + C_BAR - 2) = 0;
    bool ones = across == UINT32_MAX && half == UINT16_MAX && wide == UINT64_MAX;
    return virtio_saw(ones, "all ones");
}

const char *act_pages_beyond(void) {
    virtio_begin();
    bool ones = *pages_at(256, 0) == UINT32_MAX;
    *pages_at(256, 0) = 0;
    return virtio_saw(ones, "all ones");
}

const char *act_msix_control(void) {
    virtio_begin();
    uint32_t at = config_msix();
    config_write(at, UINT32_MAX);
    uint32_t ones = config_read(at);
    config_write(at, 0);
    uint32_t zeros = config_read(at);
    return virtio_saw((ones ^ zeros) == (MSIX_ON | MSIX_MASKED), "two bits change");
}
