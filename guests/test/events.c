/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that come while others are on their way, in numbers: NMIs into the delivery of exceptions,
 * and interrupts between STI and HLT. Nothing of the hypervisor's may show in what the CPU pushes,
 * and no wake-up may get lost. vCPU 1 sends, vCPU 2 has the host interrupt vCPU 0's CPU; cpus=3 on
 * the command line.
 */
#include "guests/test/vcpu.h"

#define VECTOR_BP    3
#define VECTOR_WORK0 0x55
#define NMIS         200
#define PATIENCE     60u /* seconds that a slow machine may take for what is counted */
#define BETWEEN_LOOKS                                                                              \
    16 /* at the end of the storm: it is a loop for host interrupts to fall into */
#define ROUND_TICKS (machine.tsc_hz / 2) /* after which a wake-up is taken for lost */

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
    for (uint64_t start = read_tsc();
         *taken < NMIS && read_tsc() - start < PATIENCE * machine.tsc_hz;) {
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

/* A startup message to a vCPU that runs is nothing, but its CPU has to look. */
static void disturb(void) {
    while (!stop) {
        vcpu_send(0, ICR_STARTUP | 8);
        wait_a_little();
    }
}

#define WAKE_UPS 100

static volatile uint64_t sent, done, lost;

/* The next one when the last was seen by what runs behind the HLT. */
static void send_work(void) {
    uint64_t since = read_tsc();
    while (!stop) {
        if (sent == done) {
            wait_a_little();
            sent++;
            vcpu_send(0, VECTOR_WORK0);
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
static void sleep_once(void) {
    __asm__ volatile(".rept 300\n\t"
                     "incq line_cell(%%rip)\n\t"
                     ".endr\n\t"
                     "sti\n\t"
                     "hlt\n\t"
                     "cli" ::
                         : "memory", "cc");
}

/* For so many rounds as the command line says, or for a few seconds and as many as tell something.
 */
static bool storm_goes_on(uint64_t start) {
    uint64_t rounds = option_number("wakeups", 0);
    uint64_t seconds = (read_tsc() - start) / machine.tsc_hz;
    bool enough = rounds != 0 ? done >= rounds : done > WAKE_UPS && seconds >= 3;
    return !enough && lost == 0 && (rounds != 0 || seconds < PATIENCE);
}

static void test_wake_ups(void) {
    volatile const uint64_t *came = &irq_count[VECTOR_WORK0];
    uint64_t before = *came;
    sent = done = lost = 0;
    stop = false;
    vcpu_run(2, disturb);
    vcpu_run(1, send_work);
    for (uint64_t start = read_tsc(); storm_goes_on(start);) {
        for (unsigned i = 0; i < BETWEEN_LOOKS; i++) {
            interrupts_off();
            if (*came - before == done) {
                sleep_once();
            }
            done = *came - before;
        }
    }
    stop = true;
    vcpu_send(0, VECTOR_WORK0);
    (void)vcpu_wait(1);
    (void)vcpu_wait(2);
    tap_line_value(done > WAKE_UPS || lost != 0, "woken from HLT under a storm of host interrupts",
                   done);
    tap_line_value(lost == 0, "no wake-up is lost between STI and HLT", lost);
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
