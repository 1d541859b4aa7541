/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compartment with a back door, in place of hv/compartment/entry/main.c: what the guest puts into
 * UPCALL_NOTHING's argument it does, by the list of acts.def. For tests only: no stick of `make
 * usb` has it.
 */
#include "hv/compartment/entry/entry.h"
#include "hv/compartment/entry/hardware.h"
#include "hv/lib/msi.h"
#include "hv/lib/x86.h"

#define HALTS  0x6000u /* of its guest's memory, which uses neither this nor the page below it */
#define WINDOW ((volatile uint8_t *)(uintptr_t)COMPARTMENT_WINDOW)

/* The exchange page of the vCPU on whose stack this runs. */
static struct exchange *own_page(void) {
    uint64_t slot = ALIGN_DOWN((uintptr_t)__builtin_frame_address(0), COMPARTMENT_SLOT);
    return (struct exchange *)(uintptr_t)(slot + COMPARTMENT_EXCHANGE);
}

/* Which vCPU that is; the page may have been spoilt. */
static unsigned own_index(void) {
    uint64_t slots = COMPARTMENT_BASE + COMPARTMENT_SLOTS;
    return (unsigned)(((uintptr_t)own_page() - slots) / COMPARTMENT_SLOT);
}

static uint64_t read_at(uint64_t address) {
    return *(const volatile uint64_t *)(uintptr_t)address;
}

static void write_at(uint64_t address, uint64_t value) {
    *(volatile uint64_t *)(uintptr_t)address = value;
}

static void run_at(uint64_t address) {
    ((void (*)(void))(uintptr_t)address)();
}

/* ---- memory ---- */

static void act_read_null(void) {
    (void)read_at(0);
}

static void act_write_null(void) {
    write_at(0, 1);
}

static void act_call_null(void) {
    run_at(0);
}

static void act_read_wild(void) {
    (void)read_at(0x8000000000000000);
}

/* The core runs at its physical addresses: all that could be there, page by page. */
static void act_read_core(void) {
    for (uint64_t at = 0; at < 4 * GIB; at += PAGE_SIZE) {
        (void)read_at(at);
    }
}

static void act_read_beyond(void) {
    for (uint64_t at = 0; at < 600 * GIB; at += MIB) {
        (void)read_at(COMPARTMENT_WINDOW + at);
    }
}

/* Its page tables are its own to write; the nested ones are not. */
static uint64_t *own_table(unsigned n) {
    return (uint64_t *)(uintptr_t)(COMPARTMENT_BASE + COMPARTMENT_TABLES + n * PAGE_SIZE);
}

#define PAGE_OF_1GIB 0xe3ull
#define FREE_SLOT    8u /* of the window's table */

static void map_all(uint64_t from) {
    for (unsigned i = 0; i < 8; i++) {
        own_table(3)[FREE_SLOT + i] = (from + i * GIB) | PAGE_OF_1GIB;
    }
}

#define MAPPED (COMPARTMENT_WINDOW + FREE_SLOT * GIB)

static void act_read_hole(void) {
    map_all(0);
    (void)read_at(MAPPED + 0xfee00020);
}

static void act_write_apic(void) {
    map_all(0);
    *(volatile uint32_t *)(uintptr_t)(MAPPED + 0xfee00300) = 0x000c4500;
}

static void act_map_core(void) {
    map_all(0);
    for (uint64_t at = 64 * MIB; at < 4 * GIB; at += PAGE_SIZE) {
        (void)read_at(MAPPED + at);
    }
}

static void act_map_neighbour(void) {
    map_all(0);
    for (uint64_t at = 0; at < 8 * GIB; at += 2 * MIB) {
        write_at(MAPPED + at, at);
    }
}

static void act_map_itself(void) {
    uint64_t table = COMPARTMENT_GPA + COMPARTMENT_TABLES;
    for (unsigned i = 0; i < 512; i++) {
        own_table(0)[i] = table | 0x63;
    }
    __asm__ volatile("invlpg (%0)" ::"r"(0ull) : "memory");
    (void)read_at(0);
}

static void act_guest_tables(void) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(0x90000ull) : "memory");
}

static void act_write_text(void) {
    write_at(COMPARTMENT_BASE, 0);
}

static const uint64_t constant[PAGE_SIZE / 8] ALIGNED(PAGE_SIZE) = {1};

static void act_write_constant(void) {
    write_at((uintptr_t)constant, 2);
}

static uint8_t code[16] = {0xc3}; /* RET */

static void act_run_data(void) {
    run_at((uintptr_t)code);
}

static void act_run_stack(void) {
    volatile uint8_t here[16] = {0xc3};
    run_at((uintptr_t)here);
}

static void act_run_guest(void) {
    WINDOW[0x5000] = 0xc3;
    run_at(COMPARTMENT_WINDOW + 0x5000);
}

static void act_recurse(void);
static void (*volatile again)(void) =
    act_recurse; /* so that the compiler sees no end of it either */

static void act_recurse(void) {
    volatile uint64_t here[32];
    here[0] = 1;
    again();
    here[1] = here[0];
}

static void act_other_slot(void) {
    uint64_t slot = COMPARTMENT_BASE + COMPARTMENT_SLOTS + 7 * COMPARTMENT_SLOT;
    (void)read_at(slot + COMPARTMENT_STACK);
}

static void act_stack_nowhere(void) {
    __asm__ volatile("mov %0, %%rsp\n\tpush %%rax" ::"r"(0x8000000000000000) : "memory");
}

/* ---- channels, disks and images; the test's config gives it each of them ---- */

static void act_write_theirs(void) {
    write_at(compartment_devices()->channels[0].theirs, 1);
}

static void act_write_image(void) {
    write_at(compartment_devices()->disks[0].image, 1);
}

static void act_run_image(void) {
    run_at(compartment_devices()->disks[0].image);
}

static uint64_t image_in_memory(void) {
    return COMPARTMENT_WINDOW + compartment_devices()->pmems[0].gpa;
}

static void act_write_pmem(void) {
    write_at(image_in_memory(), 1);
}

static void act_run_pmem(void) {
    run_at(image_in_memory());
}

/* What is its own to write, and never to run: a RET. */
static void run_written(uint64_t at) {
    *(volatile uint8_t *)(uintptr_t)at = code[0];
    run_at(at);
}

static void act_run_store(void) {
    run_written(compartment_devices()->disks[1].copies);
}

static void act_run_ours(void) {
    run_written(compartment_devices()->channels[0].ours + PAGE_SIZE);
}

/* The neighbour has said nothing: zeroes, which as an instruction write where RAX points. */
static void act_run_theirs(void) {
    uint64_t at = compartment_devices()->channels[0].theirs + PAGE_SIZE;
    __asm__ volatile("call *%0" ::"r"(at), "a"(0x8000000000000000) : "memory");
}

/* Channels come last. */
static void act_read_after(void) {
    const struct abi_devices *devices = compartment_devices();
    (void)read_at(devices->channels[devices->channel_count - 1].theirs + CHANNEL_HALF);
}

static void act_write_half(void) {
    struct channel_half *half =
        (struct channel_half *)(uintptr_t)compartment_devices()->channels[0].ours;
    volatile uint8_t *bytes = (volatile uint8_t *)half;

    for (uint64_t i = 0; i < CHANNEL_HALF; i++) {
        bytes[i] = (uint8_t)(0xa5 + 7 * i);
    }
    own_page()->bells = BIT(0);
    own_page()->told = TOLD_BELLS;
}

/* ---- calls of the core ---- */

static void act_wild_call(void) {
    (void)core_call(own_page(), CORE_CALLS);
}

static void act_large_call(void) {
    (void)core_call(own_page(), 0xffffffff00000000 | CORE_DONE);
}

static void act_all_calls(void) {
    uint64_t seed = 1;
    for (;;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        (void)core_call(own_page(), seed >> 16);
    }
}

static void act_wrong_exchange(void) {
    volatile uint8_t *bytes = (volatile uint8_t *)own_page();
    uint32_t vmmcall = own_page()->vmmcall;
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        bytes[i] = (uint8_t)(0xa5 + 7 * i);
    }
    own_page()->vmmcall = vmmcall; /* or the next call would be another fault */
}

/* ---- what it tells ---- */

static void act_told_unknown(void) {
    own_page()->told = BIT32(31);
}

static void act_told_messages(void) {
    own_page()->messages = EXCHANGE_MESSAGES + 1;
    own_page()->told = TOLD_MESSAGES;
}

/* To all local APICs of the machine, were they asked, with every word a message can have; and, with
 * the high bits, to where no message goes. */
static void act_told_wild_messages(void) {
    static const uint64_t places[] = {0, 0xfee00000, 0xfeeff00c, UINT64_MAX};
    for (unsigned i = 0; i < EXCHANGE_MESSAGES; i++) {
        uint64_t high = i < EXCHANGE_MESSAGES / 2 ? 0 : (uint64_t)i << 40;
        own_page()->message[i].address = places[i % ARRAY_SIZE(places)] | high;
        own_page()->message[i].data = i == 1 ? UINT32_MAX : i;
    }
    own_page()->messages = EXCHANGE_MESSAGES;
    own_page()->told = TOLD_MESSAGES;
}

static void act_told_bytes(void) {
    own_page()->vm.put += 1000;
    own_page()->told = TOLD_BYTES;
}

static void act_told_stop(void) {
    own_page()->stop = TOLD_STOPS;
    own_page()->told = TOLD_STOP;
}

static void act_told_event(void) {
    own_page()->event = UINT32_MAX;
    own_page()->told = TOLD_EVENT;
}

static void act_told_refused(void) {
    own_page()->refused.space = BUS_SPACES;
    own_page()->told = TOLD_REFUSED;
}

static void act_told_apic(void) {
    own_page()->apic.at = PAGE_SIZE;
    own_page()->apic.size = 4;
    own_page()->told = TOLD_APIC;
}

static void set_register(enum hvm_reg r, uint64_t value) {
    (void)core_call(own_page(), CORE_STATE);
    own_page()->state.reg[r] = value;
    own_page()->state.regs_set = BIT32(r);
    own_page()->state.segments_set = 0;
    own_page()->told = TOLD_STATE;
}

static void act_told_cr0(void) {
    set_register(HVM_CR0, 0x10);
}

static void act_told_cr4(void) {
    set_register(HVM_CR4, UINT64_MAX);
}

static void act_told_efer(void) {
    set_register(HVM_EFER, 0);
}

static void act_told_flags(void) {
    set_register(HVM_RFLAGS, UINT64_MAX);
}

static void act_told_table(void) {
    set_register(HVM_RIP, own_page()->state.reg[HVM_RIP]);
    own_page()->state.regs_set = 0;
    own_page()->state.segments_set = BIT32(HVM_GDT);
}

static void act_told_bell(void) {
    own_page()->bells = BIT(compartment_devices()->channel_count);
    own_page()->told = TOLD_BELLS;
}

/* Its page of what the config gives it is its own to write, and nobody else reads it. */
static void act_told_own_bell(void) {
    ((struct abi_devices *)(uintptr_t)compartment_devices())->channel_count = ABI_CHANNELS;
    own_page()->bells = BIT(ABI_CHANNELS - 1);
    own_page()->told = TOLD_BELLS;
}

static void act_told_all_bells(void) {
    own_page()->bells = UINT64_MAX;
    own_page()->told = TOLD_BELLS;
}

static void act_ring_for_ever(void) {
    for (;;) {
        own_page()->bells = BIT(0);
        own_page()->told = TOLD_BELLS;
        (void)core_call(own_page(), CORE_TELL);
    }
}

static void act_tell_for_ever(void) {
    for (;;) {
        act_told_wild_messages();
        own_page()->message[1].address = 0;
        (void)core_call(own_page(), CORE_TELL);
    }
}

static void act_read_apic(void) {
    own_page()->argument = BIT(40);
    (void)core_call(own_page(), CORE_APIC_READ);
}

static void act_vector_get(void) {
    own_page()->argument = 16;
    (void)core_call(own_page(), CORE_VECTOR_GET);
}

/* One that would be another guest's, if any has one. */
static void act_pci_none(void) {
    own_page()->pci = (struct exchange_pci){.call = PCI_CALL_COMMAND, .value = UINT64_MAX};
    (void)core_call(own_page(), CORE_PCI);
}

static void act_pci_nonsense(void) {
    memset(&own_page()->pci, 0xff, sizeof(own_page()->pci));
    (void)core_call(own_page(), CORE_PCI);
}

/* Of other guests, which its config does not let it control. */
static void act_control_none(void) {
    own_page()->control =
        (struct exchange_control){.call = CONTROL_CALL_ORDER, .order = CONTROL_KILL};
    (void)core_call(own_page(), CORE_CONTROL);
}

static void act_control_nonsense(void) {
    memset(&own_page()->control, 0xff, sizeof(own_page()->control));
    (void)core_call(own_page(), CORE_CONTROL);
}

/* Where the config lets it control itself alone. */
#define ITSELF 0u

static struct exchange_control *control_ask(enum control_call call, uint32_t guest, uint64_t at,
                                            uint32_t size) {
    struct exchange_control *c = &own_page()->control;

    *c = (struct exchange_control){
        .call = call, .guest = guest, .order = CONTROL_KILL, .at = at, .size = size};
    (void)core_call(own_page(), CORE_CONTROL);
    return c;
}

/* Whoever is told of another guest ends by the report of another act. */
static void act_control_other(void) {
    static const uint32_t others[] = {1, 2, 16, 255, BIT32(31), UINT32_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        for (unsigned call = 0; call < CONTROL_CALLS; call++) {
            const struct exchange_control *c = control_ask(call, others[i], 0, 1);
            if (c->done != CONTROL_NO_GUEST || c->name[0] != '\0' || c->bytes[0] != 0) {
                write_at(0, 1);
            }
        }
    }
}

/* Positions that are no byte and no event. */
static void act_control_far(void) {
    static const uint64_t places[] = {0x10000, BIT(32), BIT(63), UINT64_MAX - 1, UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        for (unsigned call = CONTROL_CALL_EVENT; call <= CONTROL_CALL_READ; call++) {
            const struct exchange_control *c = control_ask(call, ITSELF, places[i], 0);
            bool good = c->done == CONTROL_DONE && c->size <= CONTROL_BYTES && c->at <= c->end &&
                        c->size <= c->end - c->at;
            if (!good) {
                write_at(0, 1);
            }
        }
    }
}

static void act_control_long(void) {
    (void)control_ask(CONTROL_CALL_TYPE, ITSELF, 0, CONTROL_BYTES + 1);
}

static void act_control_no_call(void) {
    (void)control_ask(CONTROL_CALLS, ITSELF, 0, 0);
}

static void act_control_for_ever(void) {
    for (;;) {
        (void)control_ask(CONTROL_CALL_READ, ITSELF, CONTROL_AT_FIRST, 0);
    }
}

static void act_control_types_for_ever(void) {
    for (;;) {
        struct exchange_control *c = &own_page()->control;
        memset(c->bytes, '\r', sizeof(c->bytes));
        c->call = CONTROL_CALL_TYPE;
        c->guest = ITSELF;
        c->size = CONTROL_BYTES;
        (void)core_call(own_page(), CORE_CONTROL);
    }
}

/* What a message to the local APIC of one vCPU says, or of all: a delivery mode, as an edge. */
#define TO_ALL 0xffu
enum mode { MODE_SMI = 2, MODE_RESERVED, MODE_NMI, MODE_INIT, MODE_STARTUP, MODE_EXTINT };

static void send_message(unsigned to, enum mode mode, unsigned vector) {
    struct exchange *page = own_page();
    page->message[0].address = MSI_ADDRESS | (uint64_t)to << 12;
    page->message[0].data = (uint32_t)mode << 8 | vector;
    page->messages = 1;
    page->told = TOLD_MESSAGES;
}

static void act_send_nmi(void) {
    send_message(own_index(), MODE_NMI, 0);
}

static void act_send_nmi_all(void) {
    send_message(TO_ALL, MODE_NMI, 0);
}

static void act_send_init(void) {
    send_message(own_index(), MODE_INIT, 0);
}

static void act_send_init_all(void) {
    send_message(TO_ALL, MODE_INIT, 0);
}

/* To code of its guest's that halts, should there be a vCPU that waits for this. */
static void act_send_startup(void) {
    WINDOW[HALTS] = 0xf4;
    WINDOW[HALTS + 1] = 0xeb;
    WINDOW[HALTS + 2] = 0xfd;
    send_message(TO_ALL, MODE_STARTUP, HALTS / PAGE_SIZE);
}

static void act_send_smi(void) {
    send_message(TO_ALL, MODE_SMI, 0);
}

static void act_send_extint(void) {
    send_message(TO_ALL, MODE_EXTINT, 0);
}

static void act_send_reserved(void) {
    send_message(TO_ALL, MODE_RESERVED, 0xff);
}

/* ---- wrong answers: of the next upcall of a kind ---- */

/* Of each vCPU: what becomes of the answer to its next upcall of that kind. */
static struct {
    enum upcall of;
    void (*spoil)(struct exchange *page);
} next[COMPARTMENT_VCPUS];

static void spoil_outcome(struct exchange *page) {
    page->outcome = UINT32_MAX;
}

static void spoil_crash(struct exchange *page) {
    page->outcome = EMULATED_CRASH;
    page->crash = CRASHES;
}

static void spoil_fault(struct exchange *page) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = X86_NMI};
}

static void spoil_vector(struct exchange *page) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = 255};
}

static void spoil_error(struct exchange *page) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = X86_GP, .error = BIT32(16)};
}

static void spoil_length(struct exchange *page) {
    page->exit.insn_len = 16;
}

/* All of the guest's registers as they were: nothing that a guest would notice. */
static void spoil_regs(struct exchange *page) {
    page->regs_set = UINT32_MAX;
}

/* Only where the CPU does not tell it: of the next instruction that exits for CR4. */
static void spoil_cr(struct exchange *page) {
    page->exit.cr.cr = 0;
}

static void spoil_cr_way(struct exchange *page) {
    page->exit.cr.access = CR_WRITE;
}

static void spoil_cr_access(struct exchange *page) {
    page->exit.cr.access = UINT8_MAX;
}

static void spoil_task(struct exchange *page) {
    page->task_switched = page->task_switched == 0 ? UINT32_MAX : 0;
}

/* A report without end of where its guest stood. */
static void spoil_code(struct exchange *page) {
    page->argument = UINT64_MAX;
}

static void spoil_code_of_crash(struct exchange *page) {
    page->outcome = EMULATED_CRASH;
    page->crash = CRASH_INSTRUCTION;
    next[own_index()].of = UPCALL_CODE;
    next[own_index()].spoil = spoil_code;
}

#define WRONG_ANSWER(name, upcall)                                                                 \
    static void act_wrong_##name(void) {                                                           \
        next[own_index()].of = UPCALL_##upcall;                                                    \
        next[own_index()].spoil = spoil_##name;                                                    \
    }
WRONG_ANSWER(outcome, MEMORY)
WRONG_ANSWER(crash, MEMORY)
WRONG_ANSWER(fault, MEMORY)
WRONG_ANSWER(vector, MEMORY)
WRONG_ANSWER(error, MEMORY)
WRONG_ANSWER(length, MEMORY)
WRONG_ANSWER(regs, MEMORY)
WRONG_ANSWER(cr, LENGTH)
WRONG_ANSWER(cr_way, LENGTH)
WRONG_ANSWER(cr_access, LENGTH)
WRONG_ANSWER(task, TASK)
WRONG_ANSWER(code_of_crash, MEMORY)

static void spoil_next(struct exchange *page) {
    void (*spoil)(struct exchange * page) = next[own_index()].spoil;
    bool is_cr = page->upcall != UPCALL_LENGTH || page->exit.kind == EXIT_CR;

    if (spoil != NULL && next[own_index()].of == page->upcall && is_cr) {
        next[own_index()].spoil = NULL;
        spoil(page);
    }
}

/* ---- wrong answers without end ---- */

static void (*lasting)(struct exchange *page);

/* It wants to be asked again, at a moment that is long past. */
static void last_service(struct exchange *page) {
    if (page->upcall == UPCALL_SERVICE) {
        page->argument = 1;
    }
}

static void act_service_for_ever(void) {
    lasting = last_service;
    own_page()->told = TOLD_CLOCKS;
}

/* INTR stays up, and there is no vector for it. */
static void last_intr(struct exchange *page) {
    compartment_vm()->intr = 1;
    if (page->upcall == UPCALL_ACKNOWLEDGE) {
        page->argument = UINT64_MAX;
    }
}

static void act_intr_for_ever(void) {
    struct exchange *page = own_page();
    (void)core_call(page, CORE_STATE);
    set_register(HVM_RFLAGS, page->state.reg[HVM_RFLAGS] | X86_RFLAGS_IF);
    lasting = last_intr;
    page->told |= TOLD_INTR;
}

/* ---- wrong answers at the next start of its guest ---- */

enum wish { WISH_NONE, WISH_LOAD_UNKNOWN, WISH_LOAD_FOR_EVER, WISH_INIT };

/* Its region will be as built then, but for the clock's memory, of which this byte is spare. */
static uint8_t *kept_wish(void) {
    return &compartment_vm()->kept[EXCHANGE_KEPT - 1];
}

static void wish_and_reset(enum wish wish) {
    *kept_wish() = (uint8_t)wish;
    own_page()->stop = TOLD_RESET;
    own_page()->told = TOLD_STOP;
}

static void act_load_unknown(void) {
    wish_and_reset(WISH_LOAD_UNKNOWN);
}

static void act_load_for_ever(void) {
    wish_and_reset(WISH_LOAD_FOR_EVER);
}

static void act_init_at_start(void) {
    wish_and_reset(WISH_INIT);
}

static void spoil_start(struct exchange *page) {
    static enum wish wish;

    if (page->upcall == UPCALL_START) {
        wish = *kept_wish();
        *kept_wish() = WISH_NONE;
        if (wish == WISH_INIT) {
            act_send_init();
        }
    } else if (page->upcall == UPCALL_LOAD && wish == WISH_LOAD_UNKNOWN) {
        page->load.status = LOAD_STATUSES;
    } else if (page->upcall == UPCALL_LOAD && wish == WISH_LOAD_FOR_EVER) {
        page->load.status = LOAD_MORE;
    }
}

/* ---- one vCPU against the other ---- */

/* Words that the core judges when it is told something: what it takes is good. */
static const struct judged {
    enum told told;
    size_t at; /* in the exchange page */
    uint32_t good;
} judged[] = {
    {TOLD_MESSAGES, offsetof(struct exchange, messages), 1},
    {TOLD_EVENT, offsetof(struct exchange, event), TOLD_SLEEP_REFUSED},
    {TOLD_REFUSED, offsetof(struct exchange, refused.space), BUS_MEMORY},
    {TOLD_APIC, offsetof(struct exchange, apic.at), 0x80},
};

static volatile uint32_t racing; /* 1 + which of them is told; 0 = none yet, or no more */

static void write_word(struct exchange *page, size_t at, uint32_t value) {
    *(volatile uint32_t *)(uintptr_t)((uintptr_t)page + at) = value;
}

/* The word that is told is wrong for moments. */
static void flicker(struct exchange *victim) {
    for (unsigned i = 0; racing == 0 && i < 10000000; i++) {
    }
    for (uint32_t n = racing; n != 0; n = racing) {
        write_word(victim, judged[n - 1].at, UINT32_MAX);
        write_word(victim, judged[n - 1].at, judged[n - 1].good);
    }
}

/* The first vCPU tells each of them again and again, and in the end what means nothing; the second
 * writes into its page. That no word is read twice is shown by tests/unit/test_read_once.c. */
static void act_race(void) {
    struct exchange *page = own_page();

    if (own_index() != 0) {
        flicker((struct exchange *)((uintptr_t)page - own_index() * COMPARTMENT_SLOT));
        return;
    }
    page->apic.size = 4;
    for (unsigned i = 0; i < 4000; i++) {
        unsigned n = i % ARRAY_SIZE(judged);

        write_word(page, judged[n].at, judged[n].good);
        racing = 1 + n;
        page->told = judged[n].told;
        (void)core_call(page, CORE_TELL);
    }
    racing = 0;
    act_told_unknown();
}

/* ---- privileged instructions ---- */

#define INSTRUCTION(name, ...)                                                                     \
    static void act_##name(void) {                                                                 \
        __asm__ volatile(__VA_ARGS__);                                                             \
    }

static const uint8_t zeroes[16];

INSTRUCTION(read_msr, "rdmsr" : : "c"(0x1b) : "rax", "rdx")
INSTRUCTION(write_msr, "wrmsr" : : "c"(0xc0000080), "a"(0), "d"(0))
INSTRUCTION(write_icr, "wrmsr" : : "c"(0x830), "a"(0xc4500), "d"(0))
INSTRUCTION(write_tsc, "wrmsr" : : "c"(0x10), "a"(0), "d"(0))
INSTRUCTION(in_port, "in %%dx, %%al" : : "d"(0x3f8) : "rax")
INSTRUCTION(out_port, "out %%al, %%dx" : : "d"(0xcf9), "a"(6))
/* Values that the CPU takes, and another than before: nothing but the core refuses them. */
INSTRUCTION(write_cr0, "mov %0, %%cr0" : : "r"(X86_CR0_PG | X86_CR0_NE | X86_CR0_ET | X86_CR0_PE))
INSTRUCTION(write_cr3, "mov %0, %%cr3" : : "r"(COMPARTMENT_GPA + COMPARTMENT_TABLES) : "memory")
INSTRUCTION(read_cr3, "mov %%cr3, %%rax" : : : "rax")
INSTRUCTION(write_cr4, "mov %0, %%cr4" : : "r"(X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE))
INSTRUCTION(write_cr8, "mov %0, %%cr8" : : "r"(0ull))
INSTRUCTION(read_debug, "mov %%db7, %%rax" : : : "rax")
INSTRUCTION(write_debug, "mov %0, %%db0" : : "r"(0ull))
INSTRUCTION(halt, "hlt")
INSTRUCTION(cpuid_op, "cpuid" : : "a"(0) : "rbx", "rcx", "rdx")
INSTRUCTION(xsetbv, "xsetbv" : : "c"(0), "a"(7), "d"(0))
INSTRUCTION(wbinvd, "wbinvd")
INSTRUCTION(invd, "invd")
INSTRUCTION(invlpg, "invlpg (%0)" : : "r"(COMPARTMENT_WINDOW) : "memory")
INSTRUCTION(load_gdt, "lgdt (%0)" : : "r"(zeroes) : "memory")
INSTRUCTION(load_idt, "lidt (%0)\n\tud2" : : "r"(zeroes) : "memory")
INSTRUCTION(load_task, "ltr %w0" : : "r"(8))
INSTRUCTION(vmxoff, ".byte 0x0f, 0x01, 0xc4")
/* Of AMD-V, which takes a host's physical address: none of them may pass for what the first one
 * does. */
INSTRUCTION(vmrun, ".byte 0x0f, 0x01, 0xd8" : : "a"(0x100000))
INSTRUCTION(vmload, ".byte 0x0f, 0x01, 0xda" : : "a"(0x100000))
INSTRUCTION(vmsave, ".byte 0x0f, 0x01, 0xdb" : : "a"(0x100000))
INSTRUCTION(skinit, ".byte 0x0f, 0x01, 0xde" : : "a"(0x100000))
INSTRUCTION(clts, "clts")
INSTRUCTION(lmsw, "lmsw %w0" : : "r"(1))
INSTRUCTION(swapgs, "swapgs")
INSTRUCTION(gif, ".byte 0x0f, 0x01, 0xdd\n\t.byte 0x0f, 0x01, 0xdc")
INSTRUCTION(x87, "fldz")
INSTRUCTION(sse, ".byte 0x0f, 0x57, 0xc0") /* XORPS XMM0, XMM0 */
INSTRUCTION(undefined, "ud2")
INSTRUCTION(divide, "div %0" : : "r"(0ull), "a"(1), "d"(0))
INSTRUCTION(breakpoint, "int3")
INSTRUCTION(interrupt, "int $0x80")
INSTRUCTION(own_nmi, "int $2")
INSTRUCTION(step, "pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\tnop" : : : "memory", "cc")
INSTRUCTION(syscall, "syscall" : : : "rcx", "r11")
INSTRUCTION(sysenter, "sysenter")
INSTRUCTION(user, "pushq $0x23\n\tpushq $0\n\tpushq $2\n\tpushq $0x1b\n\tpushq $0\n\tiretq")
INSTRUCTION(loop, "1: jmp 1b")
INSTRUCTION(loop_without_if, "cli\n1: jmp 1b")

static void act_other_call(void) {
    struct exchange wrong = *own_page();
    wrong.vmmcall = !wrong.vmmcall;
    (void)core_call(&wrong, CORE_DONE);
}

static void act_loop_of_guest(void) {
    for (uint64_t i = 0;; i++) {
        WINDOW[0x5000 + i % 0x1000] = (uint8_t)i;
    }
}

/* ---- the back door ---- */

static void (*const acts[])(void) = {
    NULL, /* numbers begin with 1 */
#define ACT(name, what, report) act_##name,
#include "tests/backdoor/acts.def"
};

static struct hardware hardware;

void compartment_main(struct exchange *e) {
    for (;;) {
        uint64_t number = e->upcall == UPCALL_NOTHING ? e->argument : 0;

        if (number != 0 && number < ARRAY_SIZE(acts)) {
            acts[number]();
        } else {
            hardware_answer(&hardware, e);
        }
        spoil_next(e);
        spoil_start(e);
        if (lasting != NULL) {
            lasting(e);
        }
        (void)core_call(e, CORE_DONE);
    }
}
