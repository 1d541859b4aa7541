/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that come while others are on their way, in numbers: NMIs into the delivery of exceptions,
 * and interrupts between STI and HLT. Nothing of the hypervisor's may show in what the CPU pushes,
 * and no wake-up may get lost. vCPU 1 sends, and has the host interrupt vCPU 0's CPU.
 */
#include "guests/test/vcpu.h"

#define VECTOR_BP    3
#define VECTOR_WORK0 0x55
#define TEXT_OF_(x)  #x
#define TEXT_OF(x)   TEXT_OF_(x)

#define REG_LVT_TIMER    0x320
#define REG_INITIAL      0x380
#define REG_DIVIDE       0x3e0
#define TIMER_UNDIVIDED  0xb
#define TIMER_COUNT_MOST 101
#define LVT_MASKED       0x10000
#define NMIS             200
/* Rounds between looks at the end of the storm, which is a loop for host interrupts to fall into.
 */
#define BETWEEN_LOOKS    16
/* Not with every other of them, so that each place of the line is met by both kinds. */
#define ROUNDS_TO_ASK    15
/* An emulator may have little of its PC's time: these bound what does not come at all. */
#define ROUND_TICKS      (10 * machine.tsc_hz)
#define ROUNDS_LEAST     100
#define NMIS_TICKS       (60 * machine.tsc_hz)

static volatile bool stop;

static void wait_ticks(uint64_t ticks) {
    for (uint64_t start = read_tsc(); read_tsc() - start < ticks && !stop;) {
        __builtin_ia32_pause();
    }
}

/*
 * Handlers that look for TF in the frame of their exception, which nobody set. That of #GP, for a
 * refused RDMSR, raises a #UD and makes two steps over INT3 and PUSHF, that of #DB ends the traps.
 */
uint64_t traps_shown, traps_taken, nmis_taken; /* not static: only assembly touches them */
extern const uint8_t events_gp[], events_ud[], events_db[], events_bp[], events_nmi[];
#define LOOK_FOR_TF(offset)                                                                        \
    "testl $0x100, " #offset "(%rsp)\n\t"                                                          \
    "jz 1f\n\t"                                                                                    \
    "incq traps_shown(%rip)\n"                                                                     \
    "1:\t"
__asm__(".pushsection .text\n"
        "events_gp:\n\t" LOOK_FOR_TF(24) "ud2\n\t"
                                         "int3\n\t"
                                         "pushfq\n\t" LOOK_FOR_TF(
                                             0) "add $16, %rsp\n\t"
                                                "addq $2, (%rsp)\n\t"
                                                "iretq\n"
                                                "events_ud:\n\t" LOOK_FOR_TF(
                                                    16) "addq $2, (%rsp)\n\t"
                                                        "iretq\n"
                                                        "events_bp:\n\t" LOOK_FOR_TF(
                                                            16) "iretq\n"
                                                                "events_nmi:\n\t" LOOK_FOR_TF(
                                                                    16) "incq nmis_taken(%rip)\n\t"
                                                                        "iretq\n"
                                                                        "events_db:\n\t"
                                                                        "incq traps_taken(%rip)\n\t"
                                                                        "andl $~0x100, 16(%rsp)\n\t"
                                                                        "iretq\n"
                                                                        ".popsection");

static const struct {
    uint8_t vector;
    const uint8_t *entry;
} nmi_handlers[] = {
    {1, events_db}, {2, events_nmi}, {VECTOR_BP, events_bp}, {6, events_ud}, {13, events_gp},
};

/*
 * Longer each time, up to 4095 ticks, so that what is sent meets every place of a loop. Not
 * without a break: in an emulator of ten instructions a microsecond, messages that come faster than
 * an exit is served would leave vCPU 0 no time at all.
 */
static void wait_a_little(void) {
    static uint32_t waits;
    waits++;
    wait_ticks(1000 + waits * 37 % 3096);
}

/* The next one when the last was taken. */
static void send_nmis(void) {
    volatile const uint64_t *taken = &nmis_taken;
    while (!stop) {
        uint64_t before = *taken;
        vcpu_send(0, ICR_NMI);
        for (uint64_t start = read_tsc(); *taken == before && !stop;) {
            if (read_tsc() - start > machine.tsc_hz / 100) {
                break; /* it met one that waits already, say */
            }
            __builtin_ia32_pause();
        }
        wait_a_little();
    }
}

static void test_nmis(void) {
    for (size_t i = 0; i < COUNT(nmi_handlers); i++) {
        trap_set(nmi_handlers[i].vector, nmi_handlers[i].entry);
    }
    traps_shown = traps_taken = nmis_taken = 0;
    stop = false;
    vcpu_run(1, send_nmis);
    volatile const uint64_t *taken = &nmis_taken;
    for (uint64_t start = read_tsc(); *taken < NMIS && read_tsc() - start < NMIS_TICKS;) {
        uint32_t low, high;
        __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x9e) : "memory");
        __asm__ volatile("sti\n\tpushfq\n\tcli\n\ttestl $0x100, (%%rsp)\n\tjz 1f\n\t"
                         "incq traps_shown(%%rip)\n1:\tadd $8, %%rsp" ::
                             : "memory", "cc");
    }
    stop = true;
    (void)vcpu_wait(1);
    for (uint64_t start = read_tsc(); read_tsc() - start < machine.tsc_hz / 100;) {
        __builtin_ia32_pause(); /* the last one may be on its way */
    }

    for (size_t i = 0; i < COUNT(nmi_handlers); i++) {
        trap_set(nmi_handlers[i].vector, trap_stubs[nmi_handlers[i].vector]);
    }
    tap_line_value(nmis_taken >= NMIS, "NMIs while exceptions are delivered", nmis_taken);
    tap_line_value(traps_shown == 0, "no frame shows a trap flag", traps_shown);
    tap_line_value(traps_taken == 0, "no #DB comes", traps_taken);
}

/*
 * The wake-up's own handler: where it comes from between STI and HLT, it is counted and does not go
 * back to the HLT, which would sleep with nothing to wait for.
 */
uint64_t in_shadow; /* not static: only assembly touches it */
extern const uint8_t events_hlt[], events_work[];
__asm__(".pushsection .text\n"
        "events_work:\n\t"
        "push %rax\n\t"
        "lea events_hlt(%rip), %rax\n\t"
        "cmp %rax, 8(%rsp)\n\t"
        "jne 1f\n\t"
        "incq in_shadow(%rip)\n\t"
        "incq 8(%rsp)\n"
        "1:\tpop %rax\n\t"
        "jmp trap_stubs + 16 * " TEXT_OF(VECTOR_WORK0) "\n"
                                                       ".popsection");

static volatile uint64_t done, asked, lost;

/*
 * A startup message to a vCPU that runs is nothing, but its CPU has to look. Between them a wake-up
 * when it is asked for one, or when none has come for a very long time.
 */
static void send_work(void) {
    uint64_t answered = 0, seen = 0, since = read_tsc();
    while (!stop) {
        vcpu_send(0, ICR_STARTUP | 8);
        wait_a_little();
        if (answered != asked) {
            answered = asked;
            vcpu_send(0, VECTOR_WORK0);
        }
        if (seen != done) {
            seen = done;
            since = read_tsc();
        } else if (read_tsc() - since > ROUND_TICKS) {
            lost++;
            vcpu_send(0, VECTOR_WORK0);
            since = read_tsc();
        }
    }
}

/*
 * STI; HLT at the end of a long straight line. An emulator that looks for interrupts only between
 * its pieces of code finds what came during all of it right there, in the shadow of STI.
 */
uint64_t line_cell; /* not static: only assembly touches it */
static __attribute__((noinline)) void sleep_once(void) {
    __asm__ volatile(".rept 300\n\t"
                     "incq line_cell(%%rip)\n\t"
                     ".endr\n\t"
                     "sti\n"
                     "events_hlt:\t"
                     "hlt\n\t"
                     "cli" ::
                         : "memory", "cc");
}

/*
 * Most wake-ups come from this vCPU's own timer: one from another vCPU costs an emulator a switch
 * of its threads, a hundred times as much.
 */
static void one_round(volatile const uint64_t *came) {
    uint64_t before = *came;
    if (done % ROUNDS_TO_ASK == 0) {
        asked++;
    } else {
        apic_write(REG_INITIAL, 1 + (uint32_t)done % TIMER_COUNT_MOST);
    }
    while (*came == before) {
        sleep_once();
    }
    done++;
}

/* For so many rounds as the command line says, or for a few seconds. */
static bool storm_goes_on(uint64_t start) {
    uint64_t rounds = option_number("wakeups", 0);
    bool seconds = read_tsc() - start < 3 * machine.tsc_hz;
    bool short_of = rounds != 0 ? done < rounds : seconds || done < ROUNDS_LEAST;
    return short_of && lost == 0 && in_shadow == 0;
}

static void test_wake_ups(void) {
    done = asked = lost = in_shadow = 0;
    stop = false;
    trap_set(VECTOR_WORK0, events_work);
    apic_write(REG_DIVIDE, TIMER_UNDIVIDED);
    apic_write(REG_LVT_TIMER, VECTOR_WORK0);
    vcpu_run(1, send_work);
    interrupts_off();
    for (uint64_t start = read_tsc(); storm_goes_on(start);) {
        for (unsigned i = 0; i < BETWEEN_LOOKS; i++) {
            one_round(&irq_count[VECTOR_WORK0]);
        }
    }
    stop = true;
    (void)vcpu_wait(1);
    apic_write(REG_LVT_TIMER, LVT_MASKED);
    trap_set(VECTOR_WORK0, trap_stubs[VECTOR_WORK0]);
    tap_line_value(done >= ROUNDS_LEAST || lost != 0 || in_shadow != 0,
                   "woken from HLT under a storm of host interrupts", done);
    tap_line_value(in_shadow == 0, "no interrupt comes between STI and HLT", in_shadow);
    tap_line_value(lost == 0, "no wake-up is lost", lost);
    tap_note("wake-ups", done);
}

void test_events(void) {
    if (option_number("cpus", 1) < 3) {
        tap_skip("events in numbers", "this guest has fewer than three vCPUs");
        return;
    }
    tap_line(vcpu_start(3), "every vCPU comes up");
    test_nmis();
    test_wake_ups();
    vcpu_send(0, ICR_TO_ALL_OTHERS | ICR_INIT);
}
