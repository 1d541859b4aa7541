/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two vCPUs of one VM at its devices at once: why the platform has a lock. What a device does for
 * one of them leaves by that one's exchange page, and a line that rises meanwhile changes other
 * devices as a whole.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "hv/compartment/entry/hardware.h"
#include "hv/compartment/load/load.h"
#include "tests/unit/test.h"

#define UART      0x3f8u
#define UART_IER  0x3f9u
#define UART_MCR  0x3fcu
#define MCR_OUT2  8u /* lets its interrupts out */
#define IER_EMPTY 2u /* an interrupt when there is room for what is to be sent */
#define IOAPIC    0xfec00000u
#define WAIT_NS   100000000

#define MESSAGE_ADDRESS 0xfee00000u
#define MESSAGE_VECTOR  0x40u

static struct hardware h;
static struct exchange pages[2];
static sem_t begin, done; /* the second vCPU's access */
static bool was_done;     /* before the first one's was */
static uint32_t told_meanwhile;

struct exchange *compartment_page(unsigned vcpu) {
    static struct exchange of_none;
    return vcpu < ARRAY_SIZE(pages) ? &pages[vcpu] : &of_none;
}

struct exchange_vm *compartment_vm(void) {
    return &pages[0].vm;
}

const struct abi_devices *compartment_devices(void) {
    static const struct abi_devices none;
    return &none;
}

uint64_t compartment_tsc(void) {
    return 1000;
}

bool compartment_rdrand(UNUSED uint64_t *word) {
    return false;
}

uint8_t *compartment_ram(UNUSED uint64_t gpa) {
    static uint8_t ram[PAGE_SIZE];
    return ram;
}

/* In the middle of the first vCPU's access, whose byte found the ring full: the second one's
 * begins, and is not done before that. */
uint64_t core_call(const struct exchange *e, uint64_t number) {
    struct timespec limit;

    CHECK(e == &pages[0] && number == CORE_TELL);
    told_meanwhile = pages[0].told;
    pages[0].told = 0;
    sem_post(&begin);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += WAIT_NS;
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    was_done = sem_timedwait(&done, &limit) == 0;
    pages[0].vm.taken = pages[0].vm.put;
    return number;
}

static void write_device(struct exchange *e, enum bus_space space, uint64_t at, unsigned size,
                         uint64_t value) {
    e->upcall = UPCALL_WRITE;
    e->space = (uint32_t)space;
    e->at = at;
    e->size = size;
    e->argument = value;
    hardware_answer(&h, e);
}

/* Its line rises: 8259s and I/O APIC change, and a message goes out. */
static void *second_vcpu(UNUSED void *arg) {
    sem_wait(&begin);
    write_device(&pages[1], BUS_PORT, UART_IER, 1, IER_EMPTY);
    sem_post(&done);
    return NULL;
}

static void start(void) {
    pages[0].vm.low_ram = PAGE_SIZE;
    pages[0].vm.tsc_hz = 1000000000;
    pages[0].upcall = UPCALL_START;
    hardware_answer(&h, &pages[0]);
    write_device(&pages[0], BUS_MEMORY, IOAPIC, 4, 0x10 + 2 * 4); /* pin 4: fixed, edge, open */
    write_device(&pages[0], BUS_MEMORY, IOAPIC + 0x10, 4, MESSAGE_VECTOR);
    write_device(&pages[0], BUS_PORT, UART_MCR, 1, MCR_OUT2);
    for (unsigned i = 0; i < EXCHANGE_RING; i++) {
        write_device(&pages[0], BUS_PORT, UART, 1, i);
    }
    pages[0].told = 0;
}

TEST(what_is_done_for_one_vcpu_leaves_by_its_page) {
    pthread_t thread;

    start();
    sem_init(&begin, 0, 0);
    sem_init(&done, 0, 0);
    CHECK_U64(pthread_create(&thread, NULL, second_vcpu, NULL), 0);
    write_device(&pages[0], BUS_PORT, UART, 1, 0x55);
    CHECK_U64(pthread_join(thread, NULL), 0);

    CHECK(!was_done);
    CHECK_U64(told_meanwhile, TOLD_BYTES);
    CHECK_U64(pages[0].told, TOLD_BYTES);
    CHECK_U64(pages[0].vm.ring[(pages[0].vm.put - 1) % EXCHANGE_RING], 0x55);
    CHECK_U64(pages[1].told & (TOLD_BYTES | TOLD_MESSAGES), TOLD_MESSAGES);
    CHECK_U64(pages[1].messages, 1);
    CHECK_U64(pages[1].message[0].address, MESSAGE_ADDRESS);
    CHECK_U64(pages[1].message[0].data & 0xff, MESSAGE_VECTOR);
    CHECK_U64(h.lock.next, h.lock.owner);
}

TEST_MAIN(T(what_is_done_for_one_vcpu_leaves_by_its_page))
