/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compartment's side of the exchange page: what devices and emulator say there, one thing after
 * the other, and when the core must take it before there is room for the next.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/entry/hardware.h"
#include "tests/unit/test.h"

#define APIC_PAGE 0xfee00000u
#define NOWHERE   0xd0000000u

static struct exchange page, other_page; /* of vCPU 0 and of any other */
static struct exchange taken; /* taken: the page as the core saw it when it was called last */
static struct hardware h;
static unsigned calls[CORE_CALLS];
static uint32_t room; /* so many of the ring's bytes the core takes when it is told */
static uint8_t ram[PAGE_SIZE];

struct exchange *compartment_page(unsigned vcpu) {
    return vcpu == 0 ? &page : &other_page;
}

struct exchange_vm *compartment_vm(void) {
    return &page.vm;
}

static struct abi_devices devices; /* none, but where a test says so */

const struct abi_devices *compartment_devices(void) {
    return &devices;
}

uint64_t compartment_tsc(void) {
    return 1000;
}

static bool has_word;
bool compartment_rdrand(uint64_t *word) {
    *word = 0x1234;
    return has_word;
}

uint8_t *compartment_ram(uint64_t gpa) {
    return ram + gpa % PAGE_SIZE;
}

uint64_t core_call(const struct exchange *e, uint64_t number) {
    CHECK(e == &page && number < CORE_CALLS);
    taken = page;
    calls[number]++;
    if (number == CORE_TELL) {
        page.told = 0;
        page.vm.taken += room;
    } else if (number == CORE_CONTROL) {
        page.control.done = 7;
    } else if (number == CORE_PCI) {
        page.pci.value += 0x1000;
    } else if (number == CORE_APIC_READ) {
        page.argument += 0x1000;
    }
    return number;
}

static void start(void) {
    memset(&page, 0, sizeof(page));
    page.vm.vcpus = 1;
    memset(&h, 0, sizeof(h));
    memset(calls, 0, sizeof(calls));
    room = 0;
    page.vm.low_ram = PAGE_SIZE;
    page.vm.tsc_hz = 1000000000;
    page.upcall = UPCALL_START;
    hardware_answer(&h, &page);
    page.told = 0;
    page.apic_page = APIC_PAGE;
    page.apic_at = UINT64_MAX;
    memset(calls, 0, sizeof(calls));
}

/* What was told before stays told. */
static void check_told_too(uint32_t bit) {
    CHECK_U64(page.told, bit | TOLD_INTR);
    page.told = TOLD_INTR;
}

/* ---- the devices ---- */

/* The devices' first words, at the start itself, are already this page's. */
TEST(the_start_has_a_caller) {
    start();
    CHECK(h.platform.env.caller == &page);
    CHECK(h.vm == &page.vm && h.clock.host_tsc == compartment_tsc);
}

static uint32_t tickets_of_a_guest_with(uint64_t vcpus) {
    start();
    memset(&h.lock, 0, sizeof(h.lock));
    page.vm.vcpus = vcpus;
    hardware_answer(&h, &page);
    page.upcall = UPCALL_READ;
    page.size = 1;
    hardware_answer(&h, &page);
    CHECK_U64(h.lock.next, h.lock.owner);
    return h.lock.next;
}

TEST(one_vcpu_alone_takes_no_lock) {
    CHECK_U64(tickets_of_a_guest_with(1), 0);
    CHECK_U64(tickets_of_a_guest_with(2), 1);
}

/* A lock that stays taken would stop the guest's other vCPUs for ever. */
TEST(an_instruction_on_a_device_leaves_no_lock) {
    start();
    page.vm.vcpus = 2;
    page.upcall = UPCALL_START;
    hardware_answer(&h, &page);
    struct emulator *m = &h.emulators[0];
    m->e.ops->write(m, BUS_MEMORY, NOWHERE, 4, 1);
    CHECK_U64(h.lock.next, 1);
    CHECK_U64(h.lock.owner, 1);
    CHECK_U64(m->e.ops->read(m, BUS_MEMORY, NOWHERE, 4), UINT64_MAX);
    CHECK_U64(h.lock.next, 2);
    CHECK_U64(h.lock.owner, 2);
}

TEST(messages_are_told_when_there_is_no_room_for_one_more) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.messages = 7; /* of an upcall before */
    for (uint32_t i = 0; i <= EXCHANGE_MESSAGES; i++) {
        env->msi(env, 0xfee00000 + i, i);
        CHECK_U64(page.told, TOLD_MESSAGES);
    }
    CHECK_U64(calls[CORE_TELL], 1);
    CHECK_U64(taken.messages, EXCHANGE_MESSAGES);
    for (uint32_t i = 0; i < EXCHANGE_MESSAGES; i++) {
        CHECK(taken.message[i].address == 0xfee00000 + i && taken.message[i].data == i);
    }
    CHECK_U64(page.messages, 1);
    CHECK_U64(page.message[0].data, EXCHANGE_MESSAGES);
    page.told = TOLD_INTR;
    env->msi(env, 0xfee00000, 5);
    CHECK_U64(page.messages, 1);
    CHECK_U64(page.message[0].data, 5);
    check_told_too(TOLD_MESSAGES);
}

TEST(the_level_of_intr_is_kept_and_its_rise_told) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.told = TOLD_CLOCKS;
    env->intr(env, true);
    CHECK_U64(page.vm.intr, 1);
    CHECK_U64(page.told, TOLD_INTR | TOLD_CLOCKS);
    page.told = 0;
    env->intr(env, false);
    CHECK_U64(page.vm.intr, 0);
    CHECK_U64(page.told, 0);
    page.told = TOLD_INTR;
    env->reschedule(env);
    check_told_too(TOLD_CLOCKS);
}

TEST(bytes_are_told_when_the_ring_is_full) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.told = TOLD_INTR;
    for (unsigned i = 0; i < EXCHANGE_RING; i++) {
        CHECK(env->transmit(env, (uint8_t)('a' + i)));
        check_told_too(TOLD_BYTES);
    }
    CHECK_U64(calls[CORE_TELL], 0);
    CHECK(memcmp(page.vm.ring, "abcdefghijklmnop", EXCHANGE_RING) == 0);
    CHECK(!env->transmit(env, 'q')); /* the console has no room */
    CHECK_U64(calls[CORE_TELL], 1);
    CHECK_U64(taken.told, TOLD_BYTES | TOLD_INTR);
    CHECK_U64(page.vm.put, EXCHANGE_RING);
    room = 1;
    CHECK(env->transmit(env, 'q'));
    CHECK_U64(calls[CORE_TELL], 2);
    CHECK_U64(page.vm.put, EXCHANGE_RING + 1);
    CHECK(memcmp(page.vm.ring, "qbcdefghijklmnop", EXCHANGE_RING) == 0);
}

TEST(an_event_is_told_before_the_next) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.told = TOLD_INTR;
    env->event(env, DEV_BIOS_CALLED, 0x10);
    CHECK_U64(calls[CORE_TELL], 0);
    CHECK(page.event == TOLD_BIOS_CALLED && page.word == 0x10);
    CHECK_U64(page.told, TOLD_EVENT | TOLD_INTR);
    env->event(env, DEV_SLEEP_REFUSED, 3);
    CHECK_U64(calls[CORE_TELL], 1);
    CHECK(taken.event == TOLD_BIOS_CALLED && taken.word == 0x10);
    CHECK(page.event == TOLD_SLEEP_REFUSED && page.word == 3);
    CHECK_U64(page.told, TOLD_EVENT);
    page.told = TOLD_INTR;
    env->event(env, DEV_WATCHDOG_BITES, 30);
    CHECK(page.event == TOLD_WATCHDOG && page.word == 30);
    check_told_too(TOLD_EVENT);
    page.told = TOLD_INTR;
    env->stop(env, DEV_POWER_OFF);
    CHECK_U64(page.stop, TOLD_POWER_OFF);
    check_told_too(TOLD_STOP);
    env->stop(env, DEV_RESET);
    CHECK_U64(page.stop, TOLD_RESET);
}

TEST(bells_of_several_channels_are_one_word) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.bells = BIT(9); /* of an upcall before */
    page.told = TOLD_INTR;
    env->bell(env, 3);
    env->bell(env, 40);
    CHECK_U64(page.bells, BIT(3) | BIT(40));
    check_told_too(TOLD_BELLS);
}

TEST(words_at_random_are_the_cpus_where_it_has_them) {
    start();
    const struct dev_env *env = &h.platform.env;
    page.vm.has_rdrand = 1;
    has_word = true;
    CHECK_U64(env->random(env), 0x1234);
    has_word = false;
    CHECK(env->random(env) != 0x1234);
    page.vm.has_rdrand = 0;
    has_word = true;
    CHECK(env->random(env) != 0x1234);
}

/* What a start with this seed gives where the CPU has none. */
static uint64_t first_word_of(uint64_t seed) {
    start();
    page.vm.seed[3] = seed;
    page.upcall = UPCALL_START;
    hardware_answer(&h, &page);
    return h.platform.env.random(&h.platform.env);
}

TEST(words_at_random_are_of_the_cores_seed) {
    uint64_t word = first_word_of(1);
    CHECK(first_word_of(2) != word);
    CHECK_U64(first_word_of(1), word);
}

/* ---- the emulator ---- */

static struct emulator *begin(void) {
    start();
    return &h.emulators[0];
}

TEST(each_vcpu_has_its_emulator) {
    memset(&page, 0, sizeof(page));
    memset(&h, 0xff, sizeof(h)); /* whatever was there */
    memset(&h.lock, 0, sizeof(h.lock));
    page.vm.vcpus = COMPARTMENT_VCPUS + 1; /* no more than there are */
    page.vm.low_ram = PAGE_SIZE;
    page.vm.high_ram = 2 * PAGE_SIZE;
    page.vm.phys_bits = 40;
    h.vm = &page.vm;
    emulator_start(&h);
    for (unsigned i = 0; i < COMPARTMENT_VCPUS; i++) {
        const struct emulator *m = &h.emulators[i];
        struct exchange *own = i == 0 ? &page : &other_page;
        CHECK(m->hardware == &h && m->page == own && !m->has_state);
        CHECK(m->e.regs == own->regs && m->e.exit == &own->exit && m->e.code == &own->code_at);
        CHECK(m->e.context == m && m->e.ops == h.emulators[0].e.ops);
        CHECK_U64(m->e.phys_bits, 40);
        CHECK_U64(m->e.memory.count, 2);
        CHECK_U64(m->e.regs_set, 0);
    }
    CHECK(h.ram[1].gpa == 4 * GIB && h.ram[1].size == 2 * PAGE_SIZE);
    page.vm.high_ram = 0;
    emulator_start(&h);
    CHECK_U64(h.emulators[COMPARTMENT_VCPUS - 1].e.memory.count, 1);
    CHECK(h.ram[0].gpa == 0 && h.ram[0].size == PAGE_SIZE);
}

/* After RAM, with and without a part above 4 GiB: it is read there and not written. */
TEST(images_in_memory_follow_ram) {
    start();
    devices.pmem_count = 2;
    devices.pmems[0] = (struct abi_pmem){.gpa = 64 * GIB, .size = PAGE_SIZE};
    devices.pmems[1] = (struct abi_pmem){.gpa = 65 * GIB, .size = 2 * PAGE_SIZE};
    for (uint32_t count = 1; count <= 2; count++) {
        page.vm.high_ram = (count - 1) * PAGE_SIZE;
        emulator_start(&h);
        const struct guest_memory *memory = &h.emulators[0].e.memory;
        CHECK_U64(memory->count, count);
        CHECK_U64(memory->read_only, 2);
        for (uint32_t i = 0; i < 2; i++) {
            const struct guest_region *r = &memory->regions[count + i];
            CHECK_U64(r->gpa, devices.pmems[i].gpa);
            CHECK_U64(r->size, devices.pmems[i].size);
            CHECK(r->at == compartment_ram(r->gpa));
        }
    }
    devices.pmem_count = 0;
}

TEST(what_was_written_to_the_local_apic_counts_for_what_is_read) {
    struct emulator *m = begin();
    page.apic_at = 0x20;
    page.apic_value = 77;
    CHECK_U64(m->e.ops->read(m, BUS_MEMORY, APIC_PAGE + 0x20, 4), 77);
    CHECK_U64(calls[CORE_APIC_READ], 0);
    CHECK_U64(m->e.ops->read(m, BUS_MEMORY, APIC_PAGE + 0x80, 4), 0x1080);
    CHECK_U64(calls[CORE_APIC_READ], 1);
    CHECK_U64(calls[CORE_TELL], 0); /* there was nothing to tell */
    page.told = TOLD_INTR;
    m->e.ops->write(m, BUS_MEMORY, APIC_PAGE + 0x80, 4, 5);
    CHECK(page.apic.at == 0x80 && page.apic.size == 4 && page.apic.value == 5);
    CHECK_U64(page.told, TOLD_APIC | TOLD_INTR);
    CHECK_U64(calls[CORE_TELL], 0);
    CHECK_U64(page.apic_at, UINT64_MAX); /* what was read before may have changed */
    CHECK_U64(m->e.ops->read(m, BUS_MEMORY, APIC_PAGE + 0x20, 4), 0x1020);
    CHECK_U64(calls[CORE_TELL], 1);
    m->e.ops->write(m, BUS_MEMORY, APIC_PAGE + 0x80, 4, 6);
    CHECK_U64(calls[CORE_TELL], 1);
    m->e.ops->write(m, BUS_MEMORY, APIC_PAGE + 0x90, 4, 7);
    CHECK_U64(calls[CORE_TELL], 2);
    CHECK(taken.apic.at == 0x80 && taken.apic.value == 6);
    CHECK(page.apic.at == 0x90 && page.apic.value == 7);
}

TEST(an_access_to_nothing_is_told_with_its_direction) {
    struct emulator *m = begin();
    page.told = TOLD_INTR;
    CHECK_U64(m->e.ops->read(m, BUS_MEMORY, NOWHERE, 4), UINT64_MAX);
    CHECK(page.refused.at == NOWHERE && page.refused.space == BUS_MEMORY);
    CHECK_U64(page.refused.write, 0);
    CHECK_U64(page.told, TOLD_REFUSED | TOLD_INTR);
    CHECK_U64(calls[CORE_TELL], 0);
    m->e.ops->write(m, BUS_MEMORY, NOWHERE + 8, 4, 1);
    CHECK_U64(calls[CORE_TELL], 1);
    CHECK(taken.refused.at == NOWHERE && taken.refused.write == 0);
    CHECK(page.refused.at == NOWHERE + 8 && page.refused.write == 1);
    CHECK_U64(page.told, TOLD_REFUSED);
}

TEST(the_state_is_asked_for_once_and_only_changes_are_told) {
    struct emulator *m = begin();
    page.state.reg[HVM_RSP] = 5;
    page.state.pkru = 9;
    page.state.regs_set = page.state.segments_set = UINT32_MAX; /* of an upcall before */
    page.told = TOLD_INTR;
    CHECK_U64(m->e.ops->get(m, HVM_RSP), 5);
    CHECK_U64(m->e.ops->get_pkru(m), 9);
    m->e.ops->set(m, HVM_RSP, 5);
    CHECK_U64(calls[CORE_STATE], 1);
    CHECK_U64(page.told, TOLD_INTR);
    CHECK_U64(page.state.regs_set | page.state.segments_set, 0);
    m->e.ops->set(m, HVM_RSP, 6);
    CHECK_U64(page.state.regs_set, BIT32(HVM_RSP));
    check_told_too(TOLD_STATE);
    m->e.ops->set(m, HVM_RFLAGS, 2);
    CHECK_U64(page.state.regs_set, BIT32(HVM_RSP) | BIT32(HVM_RFLAGS));
    page.told = TOLD_INTR;
    const struct hvm_segment segment = {.base = 3};
    m->e.ops->set_segment(m, HVM_SS, &segment);
    m->e.ops->set_segment(m, HVM_CS, &segment);
    CHECK_U64(page.state.segments_set, BIT32(HVM_SS) | BIT32(HVM_CS));
    CHECK_U64(page.state.segment[HVM_CS].base, 3);
    check_told_too(TOLD_STATE);
}

/* Real mode, CPUID at 100h. What an upcall before has left counts for nothing. */
TEST(a_length_sets_no_register) {
    struct emulator *m = begin();
    m->e.task_switched = true;
    page.regs_set = EMULATED_REGS_ALL;
    ram[0x100] = 0x0f;
    ram[0x101] = 0xa2;
    page.state.segment[HVM_CS] = (struct hvm_segment){.limit = 0xffff, .attr = 0x9b};
    page.code_at.rip = 0x100;
    page.exit = (struct vmexit){.kind = EXIT_CPUID};
    page.upcall = UPCALL_LENGTH;
    hardware_answer(&h, &page);
    CHECK_U64(page.outcome, EMULATED_NEXT);
    CHECK_U64(page.exit.insn_len, 2);
    CHECK_U64(page.regs_set, EMULATED_REGS_NONE);
    CHECK(!m->e.task_switched);
}

TEST(vector_registers_go_one_by_one) {
    struct emulator *m = begin();
    uint64_t words[2] = {1, 2};
    m->e.ops->set_vector(m, 9, words);
    CHECK_U64(calls[CORE_VECTOR_SET], 1);
    CHECK(taken.argument == 9 && taken.vector[0] == 1 && taken.vector[1] == 2);
    page.vector[0] = 3;
    page.vector[1] = 4;
    m->e.ops->get_vector(m, 15, words);
    CHECK_U64(calls[CORE_VECTOR_GET], 1);
    CHECK(taken.argument == 15 && words[0] == 3 && words[1] == 4);
}

TEST(what_is_asked_of_another_guest_the_core_answers) {
    start();
    struct exchange_control call = {.call = CONTROL_CALL_ORDER, .guest = 2, .order = 3};
    h.platform.env.caller = &page;
    h.platform.env.control(&h.platform.env, &call);
    CHECK_U64(calls[CORE_CONTROL], 1);
    CHECK(taken.control.guest == 2 && taken.control.order == 3);
    CHECK_U64(call.done, 7);
}

TEST(a_real_device_is_asked_at_once_and_its_answer_is_the_cores) {
    start();
    struct exchange_pci call = {
        .call = PCI_CALL_READ, .function = 2, .at = 8, .value = 1, .data = 3};
    h.platform.env.caller = &page;
    h.platform.env.pci(&h.platform.env, &call);
    CHECK_U64(calls[CORE_PCI], 1);
    CHECK(taken.pci.function == 2 && taken.pci.at == 8 && taken.pci.value == 1 &&
          taken.pci.data == 3);
    CHECK_U64(call.value, 0x1001);
}

/* A cable that the operator moves is seen with the next look at channels. */
TEST(cables_are_as_the_operator_has_them) {
    devices.net_count = 2;
    devices.nets[0].link = devices.nets[1].link = true;
    start();
    for (uint32_t links = 0; links < 4; links++) {
        page.vm.links = links;
        page.upcall = UPCALL_CHANNELS;
        hardware_answer(&h, &page);
        for (unsigned i = 0; i < 2; i++) {
            bool linked = h.platform.nets[i].config.status == NET_STATUS_LINK;
            CHECK(linked == ((links >> i & 1) != 0));
        }
    }
    devices.net_count = 0;
}

TEST_MAIN(T(the_start_has_a_caller), T(one_vcpu_alone_takes_no_lock),
          T(an_instruction_on_a_device_leaves_no_lock),
          T(messages_are_told_when_there_is_no_room_for_one_more),
          T(the_level_of_intr_is_kept_and_its_rise_told), T(bytes_are_told_when_the_ring_is_full),
          T(an_event_is_told_before_the_next), T(bells_of_several_channels_are_one_word),
          T(words_at_random_are_the_cpus_where_it_has_them),
          T(words_at_random_are_of_the_cores_seed), T(each_vcpu_has_its_emulator),
          T(images_in_memory_follow_ram),
          T(what_was_written_to_the_local_apic_counts_for_what_is_read),
          T(an_access_to_nothing_is_told_with_its_direction),
          T(the_state_is_asked_for_once_and_only_changes_are_told), T(a_length_sets_no_register),
          T(vector_registers_go_one_by_one), T(what_is_asked_of_another_guest_the_core_answers),
          T(a_real_device_is_asked_at_once_and_its_answer_is_the_cores),
          T(cables_are_as_the_operator_has_them))
