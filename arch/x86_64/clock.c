/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What time it is: the TSC's frequency, measured against the best timer the machine has and
 * compared with what CPUID claims, and the wall clock. Everything is fixed after
 * clock_init(), on the first CPU. Sources: Intel SDM "Time-Stamp Counter" and CPUID leaves 15h,
 * 16h; ACPI "Power Management Timer"; IA-PC HPET specification; Intel 8254 data sheet.
 */
#include "hv/lib/clock.h"
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

#define MEASURE_US   15000u
#define SAMPLE_TRIES 8u
#define READS_MAX    1000000u /* of a timer that may stand still */
#define FEMTO        1000000000000000ull

static const struct boot_info *machine; /* until clock_init() is through */
static uint8_t *hpet;                   /* the same */
static SEALED uint64_t tsc_hz, entry_tsc, entry_seconds;
static SEALED uint64_t tsc_adjust; /* of the first CPU */

/* Each start function returns the timer's frequency, 0 if there is none. */
static uint64_t clock_start_pm(void) {
    return machine->pm_timer_port != 0 ? PM_TIMER_HZ : 0;
}

static uint32_t clock_read_pm(void) {
    return port_in32((uint16_t)machine->pm_timer_port);
}

#define HPET_PERIOD  0x04u /* femtoseconds a tick */
#define HPET_CONFIG  0x10u
#define HPET_COUNTER 0xf0u
#define HPET_SLOWEST 100000000u

static uint64_t clock_start_hpet(void) {
    hpet = phys_pointer(machine->hpet_base);
    uint32_t period = hpet != NULL ? mmio_read32(hpet + HPET_PERIOD) : 0;
    if (period == 0 || period > HPET_SLOWEST) {
        return 0;
    }
    mmio_write32(hpet + HPET_CONFIG, mmio_read32(hpet + HPET_CONFIG) | 1);
    return FEMTO / period;
}

static uint32_t clock_read_hpet(void) {
    return mmio_read32(hpet + HPET_COUNTER);
}

#define PIT_CHANNEL2 0x42u
#define PIT_COMMAND  0x43u
#define PIT_GATE     0x61u

/* Channel 2 counts down from 65535 in 55 ms; the loudspeaker stays off. */
static uint64_t clock_start_pit(void) {
    port_out8(PIT_GATE, (uint8_t)((port_in8(PIT_GATE) & 0xfc) | 1));
    port_out8(PIT_COMMAND, 0xb0); /* channel 2, low then high byte, mode 0 */
    port_out8(PIT_CHANNEL2, 0xff);
    port_out8(PIT_CHANNEL2, 0xff);
    return PIT_HZ;
}

static uint32_t clock_read_pit(void) {
    port_out8(PIT_COMMAND, 0x80); /* latch channel 2 */
    uint32_t low = port_in8(PIT_CHANNEL2);
    return 0xffff - ((uint32_t)port_in8(PIT_CHANNEL2) << 8 | low);
}

/* Counters of known frequency that count up, best first. */
static const struct ref_timer {
    const char *name;
    uint64_t (*start)(void);
    uint32_t (*read)(void);
    uint32_t mask; /* the PM timer's: what both of its sizes have */
} ref_timers[] = {
    {"ACPI PM timer", clock_start_pm, clock_read_pm, 0xffffff},
    {"HPET", clock_start_hpet, clock_read_hpet, UINT32_MAX},
    {"PIT", clock_start_pit, clock_read_pit, 0xffff},
};

/*
 * Both clocks at one moment, the try that was disturbed least (an SMI can take milliseconds): the
 * timer's in *count.
 */
static uint64_t clock_sample(const struct ref_timer *timer, uint32_t *count) {
    uint64_t tsc = 0, shortest = UINT64_MAX;
    for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = plat_tsc();
        uint32_t now = timer->read();
        uint64_t took = plat_tsc() - before;
        if (took < shortest) {
            shortest = took;
            tsc = before + took / 2;
            *count = now;
        }
    }
    return tsc;
}

/* TSC ticks a second by this timer; 0 if it is not there or does not count. */
static uint64_t clock_measure(const struct ref_timer *timer) {
    uint64_t hz = timer->start(), wanted = hz * MEASURE_US / 1000000;
    uint32_t first = 0, last = 0;
    if (hz == 0) {
        return 0;
    }
    uint64_t tsc = clock_sample(timer, &first);
    for (unsigned i = 0; ((timer->read() - first) & timer->mask) < wanted; i++) {
        if (i == READS_MAX) {
            return 0;
        }
    }
    tsc = clock_sample(timer, &last) - tsc;
    return mul_div_u64(tsc, hz, (last - first) & timer->mask);
}

/*
 * The TSC's frequency: CPUID's if that is exact (leaf 15h; leaf 16h is rounded) and the timer
 * agrees or is missing, else the timer's. In whole kHz, as guests are told it: what is left over
 * would be a drift between their clocks and the devices'.
 */
static uint64_t clock_choose(uint64_t measured, const char *by) {
    uint32_t crystal[4], base[4];
    plat_cpuid(0x15, 0, crystal);
    plat_cpuid(0x16, 0, base);
    bool exact = crystal[EAX] != 0 && crystal[EBX] != 0 && crystal[ECX] != 0;
    uint64_t claimed = exact ? mul_div_u64(crystal[ECX], crystal[EBX], crystal[EAX])
                             : (base[EAX] & 0xffff) * 1000000ull;
    uint64_t off = max_u64(claimed, measured) - min_u64(claimed, measured);
    bool agree = measured == 0 || off <= measured / 100;
    if (measured == 0 && claimed == 0) {
        plat_panic("no timer (ACPI PM timer, HPET, PIT) to measure the TSC with" MSG(5109));
    }
    if (!agree && claimed != 0) {
        log_warn(
            "CPUID claims a TSC of %llu kHz, the %s says %llu kHz: the timer is believed" MSG(4040),
            (ull)(claimed / 1000), by, (ull)(measured / 1000));
    }
    bool by_cpuid = measured == 0 || (agree && exact);
    uint64_t khz = ((by_cpuid ? claimed : measured) + 500) / 1000;
    log_info("TSC %llu kHz, %s the %s", (ull)khz,
             by_cpuid ? "by CPUID, checked with" : "measured with", by);
    return khz * 1000;
}

void clock_init(const struct boot_info *info, uint64_t tsc_at_entry) {
    uint64_t measured = 0;
    unsigned i = 0;
    machine = info;
    for (; i < ARRAY_SIZE(ref_timers) && measured == 0; i++) {
        measured = clock_measure(&ref_timers[i]);
    }
    entry_tsc = tsc_at_entry;
    entry_seconds = info->wall_seconds;
    tsc_hz = clock_choose(measured, measured != 0 ? ref_timers[i - 1].name : "(missing) timer");
    if (!cpu_has(CPU_HAS_INVARIANT_TSC)) {
        log_warn("the TSC may change its speed with the CPU's power states (it is not "
                 "invariant)" MSG(4041));
    }
    if (cpu_has(CPU_HAS_TSC_ADJUST)) {
        tsc_adjust = msr_read(X86_MSR_TSC_ADJUST);
    }
    machine = NULL;
    hpet = NULL;
}

/* A guest's CPUs must agree on the time; firmwares have been seen to adjust one of them. */
void clock_init_cpu(void) {
    if (!cpu_has(CPU_HAS_TSC_ADJUST)) {
        return;
    }
    uint64_t value = msr_read(X86_MSR_TSC_ADJUST);
    if (value != tsc_adjust) {
        msr_write(X86_MSR_TSC_ADJUST, tsc_adjust);
        bool behind = (int64_t)(value - tsc_adjust) < 0;
        uint64_t apart = behind ? tsc_adjust - value : value - tsc_adjust;
        log_warn("the firmware had set CPU %u's TSC %llu ticks %s CPU 0's" MSG(4042), plat_cpu(),
                 (ull)apart, behind ? "behind" : "ahead of");
    }
}

uint64_t clock_now_us(void) {
    return tsc_hz == 0 ? 0 : mul_div_u64(plat_tsc() - entry_tsc, 1000000, tsc_hz);
}

void clock_delay_us(uint64_t us) {
    uint64_t start = plat_tsc(), ticks = mul_div_u64(us, tsc_hz, 1000000);
    while (plat_tsc() - start < ticks) {
        __builtin_ia32_pause();
    }
}

/* Not before the instructions that stand before it. */
uint64_t plat_tsc(void) {
    __asm__ volatile("lfence" : : : "memory");
    return __builtin_ia32_rdtsc();
}

uint64_t plat_tsc_hz(void) {
    return tsc_hz;
}

uint64_t plat_wall_seconds(void) {
    return entry_seconds + (plat_tsc() - entry_tsc) / tsc_hz;
}
