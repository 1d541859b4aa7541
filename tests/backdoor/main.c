/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compartment with a back door, in place of hv/compartment/entry/main.c: what the guest puts into
 * UPCALL_NOTHING's argument it does, by the list of acts.def. For tests only: no stick of `make
 * usb` has it.
 */
#include "hv/compartment/entry/entry.h"
#include "hv/compartment/entry/hardware.h"
#include "hv/lib/x86.h"

#define WINDOW ((volatile uint8_t *)(uintptr_t)COMPARTMENT_WINDOW)

static struct exchange *page;

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

/* ---- calls of the core ---- */

static void act_wild_call(void) {
    (void)core_call(page, CORE_CALLS);
}

static void act_large_call(void) {
    (void)core_call(page, 0xffffffff00000000 | CORE_DONE);
}

static void act_all_calls(void) {
    uint64_t seed = 1;
    for (;;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        (void)core_call(page, seed >> 16);
    }
}

static void act_wrong_exchange(void) {
    volatile uint8_t *bytes = (volatile uint8_t *)page;
    uint32_t vmmcall = page->vmmcall;
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        bytes[i] = (uint8_t)(0xa5 + 7 * i);
    }
    page->vmmcall = vmmcall; /* or the next call would be another fault */
}

/* ---- what it tells ---- */

static void act_told_unknown(void) {
    page->told = BIT32(31);
}

static void act_told_messages(void) {
    page->messages = EXCHANGE_MESSAGES + 1;
    page->told = TOLD_MESSAGES;
}

/* To all local APICs of the machine, were they asked, with every word a message can have; and, with
 * the high bits, to where no message goes. */
static void act_told_wild_messages(void) {
    static const uint64_t places[] = {0, 0xfee00000, 0xfeeff00c, UINT64_MAX};
    for (unsigned i = 0; i < EXCHANGE_MESSAGES; i++) {
        uint64_t high = i < EXCHANGE_MESSAGES / 2 ? 0 : (uint64_t)i << 40;
        page->message[i].address = places[i % ARRAY_SIZE(places)] | high;
        page->message[i].data = i == 1 ? UINT32_MAX : i;
    }
    page->messages = EXCHANGE_MESSAGES;
    page->told = TOLD_MESSAGES;
}

static void act_told_bytes(void) {
    page->vm.put += 1000;
    page->told = TOLD_BYTES;
}

static void act_told_stop(void) {
    page->stop = TOLD_STOPS;
    page->told = TOLD_STOP;
}

static void act_told_event(void) {
    page->event = UINT32_MAX;
    page->told = TOLD_EVENT;
}

static void act_told_refused(void) {
    page->refused.space = BUS_SPACES;
    page->told = TOLD_REFUSED;
}

static void act_told_apic(void) {
    page->apic.at = PAGE_SIZE;
    page->apic.size = 4;
    page->told = TOLD_APIC;
}

static void set_register(enum hvm_reg r, uint64_t value) {
    (void)core_call(page, CORE_STATE);
    page->state.reg[r] = value;
    page->state.regs_set = BIT32(r);
    page->state.segments_set = 0;
    page->told = TOLD_STATE;
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
    set_register(HVM_RIP, page->state.reg[HVM_RIP]);
    page->state.regs_set = 0;
    page->state.segments_set = BIT32(HVM_GDT);
}

static void act_tell_for_ever(void) {
    for (;;) {
        act_told_wild_messages();
        page->message[1].address = 0;
        (void)core_call(page, CORE_TELL);
    }
}

static void act_read_apic(void) {
    page->argument = BIT(40);
    (void)core_call(page, CORE_APIC_READ);
}

static void act_vector_get(void) {
    page->argument = 16;
    (void)core_call(page, CORE_VECTOR_GET);
}

/* ---- wrong answers: of the next instruction on a device ---- */

static void (*spoil)(void); /* what the answer becomes */

static void spoil_outcome(void) {
    page->outcome = UINT32_MAX;
}

static void spoil_crash(void) {
    page->outcome = EMULATED_CRASH;
    page->crash = CRASHES;
}

static void spoil_fault(void) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = X86_NMI};
}

static void spoil_vector(void) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = 255};
}

static void spoil_error(void) {
    page->outcome = EMULATED_FAULT;
    page->fault = (struct emulated_fault){.vector = X86_GP, .error = BIT32(16)};
}

static void spoil_length(void) {
    page->exit.insn_len = 16;
}

/* All of the guest's registers as they were: nothing that a guest would notice. */
static void spoil_regs(void) {
    page->regs_set = UINT32_MAX;
}

#define WRONG_ANSWER(name)                                                                         \
    static void act_wrong_##name(void) {                                                           \
        spoil = spoil_##name;                                                                      \
    }
WRONG_ANSWER(outcome)
WRONG_ANSWER(crash)
WRONG_ANSWER(fault)
WRONG_ANSWER(vector)
WRONG_ANSWER(error)
WRONG_ANSWER(length)
WRONG_ANSWER(regs)

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
INSTRUCTION(write_cr0, "mov %0, %%cr0" : : "r"(1ull))
INSTRUCTION(write_cr3, "mov %0, %%cr3" : : "r"(COMPARTMENT_GPA + COMPARTMENT_TABLES) : "memory")
INSTRUCTION(read_cr3, "mov %%cr3, %%rax" : : : "rax")
INSTRUCTION(write_cr4, "mov %0, %%cr4" : : "r"(0x30020ull))
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
INSTRUCTION(virtualize, ".byte 0x0f, 0x01, 0xc4\n\t.byte 0x0f, 0x01, 0xd8" : : "a"(0))
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
    struct exchange wrong = *page;
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
        page = e;
        if (number != 0 && number < ARRAY_SIZE(acts)) {
            acts[number]();
        } else {
            hardware_answer(&hardware, e);
        }
        if (spoil != NULL && e->upcall == UPCALL_MEMORY) {
            spoil();
            spoil = NULL;
        }
        (void)core_call(e, CORE_DONE);
    }
}
