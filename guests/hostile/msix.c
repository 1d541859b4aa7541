/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acts: MSI-X vectors that are masked, unmapped or garbage. */
#include "guests/hostile/virtio.h"

#define VECTOR       0x53
#define REG_SPURIOUS 0x0f0
#define NO_VECTOR    0xffffu
#define NOBODY       0x77u
#define MEMORY_WORD  0x11223344u

/* All that the acts here ask for; a timer that an earlier act has left is not meant. */
static uint64_t all_interrupts(void) {
    return irq_count[2] + irq_count[VECTOR] + irq_count[MEMORY_WORD & 0xff];
}

static uint64_t before;

static void entry(unsigned vector, uint64_t address, uint32_t data, uint32_t control) {
    uint32_t at = R_MSIX + 16 * vector;
    reg_write64(at, address);
    reg_write(at + 8, 4, data);
    reg_write(at + 12, 4, control);
}

/* A queue whose vector is entry 1, with MSI-X as control has it. */
static void start(uint32_t control, uint64_t address, uint32_t data, uint32_t masked) {
    virtio_begin();
    apic_write(REG_SPURIOUS, 0x1ff);
    config_write(config_msix(), control);
    entry(1, address, data, masked);
    (void)virtio_negotiate(F_PLAIN);
    reg_write(R_QUEUE_SELECT, 2, 0);
    reg_write(R_QUEUE_VECTOR, 2, 1);
    virtio_queue_usual();
    reg_write(R_STATUS, 1, S_ALL);
    before = all_interrupts();
}

/* One buffer is filled, which is what an interrupt is sent for. */
static bool fill(void) {
    uint16_t count = used.index;
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    offer(0);
    doorbell(0);
    return used.index == (uint16_t)(count + 1);
}

static uint64_t taken(void) {
    let_in();
    return all_interrupts() - before;
}

static const char *none(bool so_far) {
    return virtio_saw(so_far && taken() == 0, "none taken");
}

/* A second at most. IF stays on: QEMU takes nothing between STI, PAUSE and CLI. */
static void wait_for_more(uint64_t than) {
    interrupts_on();
    for (uint64_t begin = read_tsc();
         irq_count[VECTOR] == than && read_tsc() - begin < machine.tsc_hz;) {
        __builtin_ia32_pause();
    }
    interrupts_off();
}

const char *act_msix_usual(void) {
    start(MSIX_ON, 0xfee00000, VECTOR, 0);
    bool filled = true;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t one = irq_count[VECTOR];
        filled = fill() && filled;
        wait_for_more(one);
    }
    uint64_t count = taken();
    return filled ? virtio_saw(true, saw_number(count, "taken")) : "not filled";
}

const char *act_msix_vectors(void) {
    static const uint16_t vectors[] = {2, 3, 15, 16, 0x7fff, 0xfffe, 0xffff};
    bool refused = true;
    start(MSIX_ON, 0xfee00000, VECTOR, 0);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        reg_write(R_QUEUE_VECTOR, 2, vectors[i]);
        reg_write(R_CONFIG_VECTOR, 2, vectors[i]);
        refused = refused && reg_read(R_QUEUE_VECTOR, 2) == NO_VECTOR;
        refused = refused && reg_read(R_CONFIG_VECTOR, 2) == NO_VECTOR;
        refused = fill() && refused;
    }
    return none(refused);
}

const char *act_msix_off(void) {
    start(0, 0xfee00000, VECTOR, 0);
    return none(fill());
}

/* It waits, once, until the mask goes. */
static const char *wait_for_mask(void (*unmask)(void)) {
    bool waits = fill() && fill() && taken() == 0 && reg_read(R_MSIX_PENDING, 4) == 2;
    unmask();
    bool comes = taken() == 1 && reg_read(R_MSIX_PENDING, 4) == 0;
    return virtio_saw(waits && comes, "1 taken");
}

static void unmask_entry(void) {
    reg_write(R_MSIX + 16 + 12, 4, 0);
}

static void unmask_all(void) {
    config_write(config_msix(), MSIX_ON);
}

const char *act_msix_masked(void) {
    start(MSIX_ON, 0xfee00000, VECTOR, 1);
    return wait_for_mask(unmask_entry);
}

const char *act_msix_all_masked(void) {
    start(MSIX_ON | MSIX_MASKED, 0xfee00000, VECTOR, 0);
    return wait_for_mask(unmask_all);
}

/* A message is a write of four bytes. It must not be one to memory. */
const char *act_msix_memory(void) {
    bool same = true;
    start(MSIX_ON, address_of(buffer) + 64, MEMORY_WORD, 0);
    same = fill() && same;
    entry(1, address_of(table), MEMORY_WORD, 0);
    same = fill() && same;
    same = same && buffer[64] == 0 && table[0].length == 8;
    return none(same);
}

const char *act_msix_addresses(void) {
    static const uint64_t addresses[] = {0,          0xfec00000, 0xfed00000,     0xfedffffc,
                                         0xfef00000, UINT32_MAX, 0x1fee00000ull, UINT64_MAX,
                                         0xe0000000, 0x80000000, 1ull << 63};
    bool filled = true;
    start(MSIX_ON, 0, VECTOR, 0);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        entry(1, addresses[i], VECTOR, 0);
        filled = fill() && filled;
    }
    return none(filled);
}

const char *act_msix_nobody(void) {
    start(MSIX_ON, 0xfee00000 | NOBODY << 12, VECTOR, 0);
    return none(fill());
}

const char *act_msix_illegal(void) {
    bool filled = true;
    start(MSIX_ON, 0xfee00000, 0, 0);
    for (uint32_t vector = 0; vector < 16; vector++) {
        entry(1, 0xfee00000, vector, 0);
        filled = fill() && filled;
    }
    return none(filled);
}

/* SMI, reserved, ExtINT; and bits that mean nothing. */
const char *act_msix_modes(void) {
    static const uint32_t modes[] = {0x200, 0x300, 0x700};
    bool filled = true;
    start(MSIX_ON, 0xfee00000, VECTOR, 0);
    for (size_t i = 0; i < COUNT(modes); i++) {
        entry(1, 0xfee00000, modes[i] | VECTOR, 0);
        filled = fill() && filled;
    }
    return none(filled);
}

const char *act_msix_nmi(void) {
    start(MSIX_ON, 0xfee00000, 0x400 | VECTOR, 0);
    nmi_expected = true;
    bool filled = fill();
    uint64_t count = taken();
    nmi_expected = false;
    return virtio_saw(filled && count == 1, "1 taken");
}

/* What is not four or eight bytes, aligned, changes nothing. */
const char *act_msix_odd(void) {
    start(MSIX_ON, 0xfee00000, VECTOR, 0);
    for (uint32_t at = R_MSIX + 16; at < R_MSIX + 32; at++) {
        reg_write(at, 1, 0xff);
        reg_write(at, 2, 0xffff);
        if (at % 4 != 0) {
            reg_write(at, 4, UINT32_MAX);
        }
    }
    bool filled = fill();
    uint64_t count = taken();
    return virtio_saw(filled && count == 1, "1 taken");
}

const char *act_msix_pending(void) {
    bool zero = true;
    start(MSIX_ON, 0xfee00000, VECTOR, 0);
    for (uint32_t at = R_MSIX_PENDING; at < 0x1000; at += 4) {
        reg_write(at, 4, UINT32_MAX);
        zero = zero && reg_read(at, 4) == 0;
    }
    return none(zero);
}
