/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test guest has to stand on: serial line, TAP output, traps that can be caught, its own
 * page tables, time, and the instructions C has no words for. The guest runs alone at CPL 0 on one
 * vCPU and may trust only the boot protocol; it knows Bulkhead by hv/abi.h alone.
 */
#ifndef GUESTS_TEST_GUEST_H
#define GUESTS_TEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the loader said of the machine. */
struct e820_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type; /* 1 = RAM */
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "boot protocol");

struct machine {
    const char *cmdline;
    uint32_t e820_count;
    struct e820_entry e820[32];
    uint64_t tsc_hz;
    uint64_t image_base, image_size; /* where the guest itself lies */
};
extern struct machine machine;

/* The program's own part; called once with everything below ready and interrupts off. */
void guest_main(void);
/* Of a program with shell.c: runs the group of tests of that name; false if there is none. */
bool group_run(const char *name);
/* Of shell.c: sleeps, and asks every 5 ms. */
void sleep_until(bool (*happened)(void));
/* Has a driver for the socket device, which never reads. */
void sockets_on(void);
/* Of shell.c: resets again and again, a few times, before anything else is done. */
void reset_loop(void);

/* Serial line 3F8h, polled. */
void put_char(char c);
void put_text(const char *text);
void put_decimal(uint64_t value);
void put_hex(uint64_t value);
bool char_waiting(void);
char get_char(void);

bool text_equal(const char *a, const char *b);
/* The value of NAME=value on the command line into out (cut at size); false if it is not there. */
bool option_text(const char *name, char *out, size_t size);
uint64_t option_number(const char *name, uint64_t otherwise);

/*
 * TAP (version 13), a group of tests at a time: the version line, one numbered line a test, the
 * plan "1..N" and, for the system test, "# done: GROUP N passed, N failed".
 */
void tap_begin(const char *group);
void tap_line(bool ok, const char *text);
void tap_line_value(bool ok, const char *text, uint64_t seen);
void tap_skip(const char *text, const char *why); /* counts as ok */
void tap_note(const char *text, uint64_t value);  /* "# text 0xvalue" */
void tap_bail_out(const char *why);               /* nothing more can be said; returns */
void tap_end(void);

/* A trap that the program expects. Any other ends it with a report. */
#define NO_TRAP 0xffffffffu
struct trap {
    uint32_t vector; /* NO_TRAP if none came */
    uint64_t error;
    uint64_t rip, cr2;
};
extern struct trap trap_last;
extern uint64_t trap_resume; /* 0 = none expected */
extern uint64_t trap_stack;  /* RSP there, if the trap came at CPL 3 */
extern bool nmi_expected;    /* NMIs are counted as interrupts are */
/* How many came; when, and on whose stack, the last did. */
extern volatile uint64_t irq_count[256], irq_tsc[256], irq_stack[256];

struct trap_frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
/* Where a vector goes; trap_stubs[vector] is where it goes at first. */
void trap_set(uint8_t vector, const uint8_t *entry);
void idt_load(void); /* on each vCPU; the first has it */
extern const uint8_t trap_stubs[256][16];
void trap_handle(struct trap_frame *frame);                             /* called by start.S */
void guest_start(const uint8_t *boot_params, const uint32_t *pvh_info); /* called by start.S */

/* Runs insn; the trap it may raise is in trap_last afterwards. outputs, inputs in parentheses. */
#define UNPACK(...) __VA_ARGS__
#define TRY(insn, outputs, inputs)                                                                 \
    do {                                                                                           \
        trap_last.vector = NO_TRAP;                                                                \
        __asm__ volatile("lea 88f(%%rip), %%r11\n\tmov %%r11, trap_resume(%%rip)\n\t" insn         \
                         "\n88:\tmovq $0, trap_resume(%%rip)"                                      \
                         : UNPACK outputs                                                          \
                         : UNPACK inputs                                                           \
                         : "r11", "memory", "cc");                                                 \
    } while (0)

/* The vector of the trap (13 = #GP), or NO_TRAP. */
uint32_t try_read_msr(uint32_t msr, uint64_t *value);
uint32_t try_write_msr(uint32_t msr, uint64_t value);

/* A window on any guest-physical address (below 2^46), uncached; valid until the next call. */
volatile void *map_physical(uint64_t address);

static inline uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(subleaf));
}

#define PORT_IN(suffix, type)                                                                      \
    static inline type in##suffix(uint16_t port) {                                                 \
        type value;                                                                                \
        __asm__ volatile("in %1, %0" : "=a"(value) : "Nd"(port));                                  \
        return value;                                                                              \
    }                                                                                              \
    static inline void out##suffix(uint16_t port, type value) {                                    \
        __asm__ volatile("out %0, %1" ::"a"(value), "Nd"(port));                                   \
    }
PORT_IN(8, uint8_t)
PORT_IN(16, uint16_t)
PORT_IN(32, uint32_t)

static inline uint64_t read_cr4(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void interrupts_on(void) {
    __asm__ volatile("sti" ::: "memory");
}

static inline void interrupts_off(void) {
    __asm__ volatile("cli" ::: "memory");
}

/* The local APIC (apic.c). */
void apic_eoi(void);
uint32_t apic_read(uint32_t offset); /* offset in the xAPIC page, in either mode */
void apic_write(uint32_t offset, uint32_t value);
uint64_t apic_timer_hz(void);

/* The groups of tests, one a command. */
void test_apic(void);
void test_paging(void);
void test_platform(void);
void test_watchdog(void);
void storm_all(void);
void storm_console(void);
void storm_exits(void);
void storm_log(void);
void work(void);
void test_events(void);
void test_smp(void);
void test_cpuid(void);
void test_hypercall(void);
void give_up(void);
void test_interrupts(void);
void test_msr(void);
void test_being_moved(void);
void test_vmxon(void);
void test_memory_probe(void);
void test_memory_dirty(void);
void test_debug(void);
void test_decoder(void);
void test_string_io(void);
void test_timers(void);
void crash_jump(void);

#endif
