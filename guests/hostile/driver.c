/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver of the acts against PCI and virtio: see virtio.h. */
#include "guests/hostile/virtio.h"

#define ENTROPY       0x10441af4u /* device ID, vendor ID */
#define MSIX          0x11u
#define SLOTS         32u
#define CONFIG_ENABLE 0x80000000u

volatile struct descriptor table[256] __attribute__((aligned(4096)));
volatile struct descriptor elsewhere[256] __attribute__((aligned(4096)));
volatile struct avail_ring avail __attribute__((aligned(4096)));
volatile struct used_ring used __attribute__((aligned(4096)));
volatile uint8_t buffer[4096] __attribute__((aligned(4096)));

uint32_t memory_bar, port_bar, first_memory_bar, first_port_bar;
static uint32_t slot, device = ENTROPY;

/* ---- configuration space ---- */

static uint32_t slot_read(uint32_t at) {
    out32(0xcf8, CONFIG_ENABLE | slot << 11 | at);
    return in32(0xcfc);
}

/* Once, before anything is moved. */
static void find_device(void) {
    if (slot != 0) {
        return;
    }
    for (slot = 1; slot < SLOTS && slot_read(C_ID) != device;) {
        slot++;
    }
    port_bar = first_port_bar = slot_read(C_BAR) & ~3u;
    memory_bar = first_memory_bar = slot_read(C_BAR + 4);
}

void driver_use(uint32_t id) {
    device = id != 0 ? id : ENTROPY;
    slot = 0;
}

uint32_t config_read(uint32_t at) {
    find_device();
    return slot_read(at);
}

void config_write(uint32_t at, uint32_t value) {
    find_device();
    out32(0xcf8, CONFIG_ENABLE | slot << 11 | at);
    out32(0xcfc, value);
}

uint32_t config_msix(void) {
    uint32_t at = config_read(C_CAPABILITIES) & 0xfc;
    for (unsigned i = 0; i < 16 && at != 0 && (config_read(at) & 0xff) != MSIX; i++) {
        at = config_read(at) >> 8 & 0xfc;
    }
    return at;
}

void bars_back(void) {
    port_bar = first_port_bar;
    memory_bar = first_memory_bar;
    config_write(C_BAR, port_bar);
    config_write(C_BAR + 4, memory_bar);
}

/* ---- registers ---- */

uint32_t reg_read(uint32_t at, unsigned size) {
    volatile void *from = (volatile void *)(uintptr_t)(memory_bar + at);
    uint8_t byte = 0;
    uint16_t word = 0;
    uint32_t value = 0;
    switch (size) {
    case 1:
        __asm__ volatile("movb %1, %0" : "=q"(byte) : "m"(*(volatile uint8_t *)from));
        return byte;
    case 2:
        __asm__ volatile("movw %1, %0" : "=r"(word) : "m"(*(volatile uint16_t *)from));
        return word;
    default:
        __asm__ volatile("movl %1, %0" : "=r"(value) : "m"(*(volatile uint32_t *)from));
        return value;
    }
}

void reg_write(uint32_t at, unsigned size, uint32_t value) {
    volatile void *to = (volatile void *)(uintptr_t)(memory_bar + at);
    switch (size) {
    case 1:
        __asm__ volatile("movb %1, %0" : "=m"(*(volatile uint8_t *)to) : "q"((uint8_t)value));
        break;
    case 2:
        __asm__ volatile("movw %1, %0" : "=m"(*(volatile uint16_t *)to) : "r"((uint16_t)value));
        break;
    default:
        __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)to) : "r"(value));
    }
}

void reg_write64(uint32_t at, uint64_t value) {
    reg_write(at, 4, (uint32_t)value);
    reg_write(at + 4, 4, (uint32_t)(value >> 32));
}

void doorbell(uint16_t queue) {
    out16((uint16_t)port_bar, queue);
}

/* ---- the driver ---- */

uint64_t address_of(const volatile void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

uint64_t ram_end(void) {
    return option_number("memory", 32) << 20;
}

static void clear(volatile void *at, size_t size) {
    for (size_t i = 0; i < size; i++) {
        ((volatile uint8_t *)at)[i] = 0;
    }
}

/* Only what an act may have used, for a slow emulator's sake. */
static void clear_rings(void) {
    clear(table, sizeof(table[0]) * 2 * QUEUE_SIZE);
    clear(&avail, 64);
    clear(&used, 128);
    clear(buffer, 512);
}

void virtio_begin(void) {
    find_device();
    config_write(C_COMMAND, 0);
    bars_back();
    config_write(C_COMMAND, COMMAND_ALL);
    config_write(config_msix(), 0);
    reg_write(R_STATUS, 1, 0);
    clear_rings();
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER);
}

bool virtio_negotiate(uint64_t features) {
    for (unsigned half = 0; half < 2; half++) {
        reg_write(R_DRIVER_SELECT, 4, half);
        reg_write(R_DRIVER_FEATURE, 4, (uint32_t)(features >> (32 * half)));
    }
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK);
    return (reg_read(R_STATUS, 1) & S_FEATURES_OK) != 0;
}

void virtio_queue(uint32_t size, uint64_t at_table, uint64_t at_avail, uint64_t at_used) {
    reg_write(R_QUEUE_SELECT, 2, 0);
    virtio_queue_parts(size, at_table, at_avail, at_used);
}

void virtio_queue_parts(uint32_t size, uint64_t at_table, uint64_t at_avail, uint64_t at_used) {
    reg_write(R_QUEUE_SIZE, 2, size);
    reg_write64(R_QUEUE_TABLE, at_table);
    reg_write64(R_QUEUE_AVAIL, at_avail);
    reg_write64(R_QUEUE_USED, at_used);
    reg_write(R_QUEUE_ENABLE, 2, 1);
}

void virtio_queue_usual(void) {
    virtio_queue(QUEUE_SIZE, address_of(table), address_of(&avail), address_of(&used));
}

void virtio_start(uint64_t features) {
    virtio_begin();
    (void)virtio_negotiate(features);
    virtio_queue_usual();
    reg_write(R_STATUS, 1, S_ALL);
}

void put(volatile struct descriptor *d, uint64_t address, uint32_t length, uint16_t flags,
         uint16_t next) {
    d->address = address;
    d->length = length;
    d->flags = flags;
    d->next = next;
}

void offer(uint16_t head) {
    avail.entries[avail.index % QUEUE_SIZE] = head;
    __asm__ volatile("" ::: "memory");
    avail.index++;
}

/* ---- how an act ends ---- */

/* After a reset it works: eight bytes come. */
static bool works(void) {
    virtio_start(F_PLAIN);
    put(&table[0], address_of(buffer), 8, WRITE, 0);
    offer(0);
    doorbell(0);
    return used.index == 1 && used.entries[0].length == 8 &&
           (reg_read(R_STATUS, 1) & S_NEEDS_RESET) == 0;
}

static bool leave(void) {
    bool usable = works();
    reg_write(R_STATUS, 1, 0);
    config_write(C_COMMAND, 0);
    out32(0xcf8, 0);
    return usable;
}

static const char not_usable[] = "not usable any more";

const char *virtio_saw(bool as_expected, const char *expected) {
    return leave() ? saw(as_expected, expected) : not_usable;
}

const char *virtio_usable(void) {
    return virtio_saw(true, "usable");
}

const char *virtio_end(void) {
    bool broken = (reg_read(R_STATUS, 1) & S_NEEDS_RESET) != 0;
    uint16_t count = used.index;
    uint32_t length = used.entries[(uint16_t)(count - 1) % QUEUE_SIZE].length;

    if (!leave()) {
        return not_usable;
    }
    if (broken) {
        return "needs a reset";
    }
    return count == 0 ? "nothing" : saw_number(length, "bytes");
}

const char *virtio_try(uint16_t head) {
    offer(head);
    doorbell(0);
    return virtio_end();
}
