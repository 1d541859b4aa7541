/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC of each host CPU: mode (x2APIC wherever the CPU has it), messages between CPUs,
 * and the one hardware timer that plat_timer_set(), the consoles' devices and their later work
 * share. Each CPU touches its own. Sources: Intel SDM "Advanced Programmable Interrupt Controller
 * (APIC)", "Extended XAPIC (x2APIC)".
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/vm/lapic.h"

#define BASE_ADDRESS 0x000ffffffffff000ull

/* xAPIC offsets; the x2APIC's MSRs are a sixteenth of them from X86_MSR_X2APIC_FIRST. */
enum apic_register {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_EOI = 0xb0,
    REG_SPURIOUS = 0xf0,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_LINT1 = 0x360,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED         BIT32(16)
#define LVT_DELIVERY       0x700u
#define LVT_SMI            0x200u
#define LVT_NMI            0x400u
#define TIMER_TSC_DEADLINE BIT32(18)
#define TIMER_DIVIDE_BY_1  0xbu
#define SPURIOUS_ENABLE    BIT32(8)
#define ICR_BUSY           BIT32(12)
#define XAPIC_ID_MAX       0xfeu    /* 0xff is all of them */
#define ICR_WAIT           1000000u /* reads of a stuck ICR before we send all the same */
#define CALIBRATION_US     2000u
#define POLL_REST          9u /* so many times as long as the look took */

static SEALED bool x2apic;
SEALED hpa_t apic_page;
static SEALED uint64_t timer_hz; /* of the one-shot counter; 0 = TSC deadlines are better */

void apic_init(void) {
    bool on = (msr_read(X86_MSR_APIC_BASE) & APIC_BASE_X2APIC) != 0;
    x2apic = cpu_has(CPU_HAS_X2APIC) && (on || !avoid_wants(AVOID_X2APIC));
    apic_page = HPA(x2apic ? 0 : msr_read(X86_MSR_APIC_BASE) & BASE_ADDRESS);
}

static uint32_t apic_read(unsigned r) {
    return x2apic ? (uint32_t)msr_read(X86_MSR_X2APIC_FIRST + r / 16)
                  : mmio_read32(phys_pointer(HPA(apic_page.v + r)));
}

static void apic_write(unsigned r, uint32_t value) {
    if (x2apic) {
        msr_write(X86_MSR_X2APIC_FIRST + r / 16, value);
    } else {
        mmio_write32(phys_pointer(HPA(apic_page.v + r)), value);
    }
}

/* The firmware's thermal interrupt by SMI stays: its handler may be what cools the machine. */
static void apic_mask_local(void) {
    /* timer, LINT0, LINT1, error, performance counters, thermal, corrected machine checks */
    static const uint16_t by_number[] = {REG_LVT_TIMER, 0x350, REG_LVT_LINT1, 0x370,
                                         0x340,         0x330, 0x2f0};
    uint32_t last = apic_read(REG_VERSION) >> 16 & 0xff; /* highest LVT entry */
    for (uint32_t i = 0; i <= last && i < ARRAY_SIZE(by_number); i++) {
        if ((apic_read(by_number[i]) & LVT_DELIVERY) != LVT_SMI) {
            apic_write(by_number[i], LVT_MASKED);
        }
    }
}

void apic_init_cpu(struct cpu *cpu) {
    uint64_t base = msr_read(X86_MSR_APIC_BASE) | APIC_BASE_ENABLE;
    msr_write(X86_MSR_APIC_BASE, base);
    /* xAPIC and x2APIC are one step apart, off and x2APIC are two. */
    msr_write(X86_MSR_APIC_BASE, base | (x2apic ? APIC_BASE_X2APIC : 0));
    uint32_t id = x2apic ? apic_read(REG_ID) : apic_read(REG_ID) >> 24;
    if (id != cpu->apic_id) {
        plat_panic("CPU %u has APIC ID %u, the firmware said %u" MSG(5107), cpu->index, id,
                   cpu->apic_id);
    }
    apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(REG_TPR, 0);
    apic_mask_local();
    apic_write(REG_TIMER_INITIAL, 0);
    apic_write(REG_LVT_LINT1, LVT_NMI);
    /* Interrupts that the firmware took but did not end would hold back ours. */
    for (unsigned i = 0; i < 256; i++) {
        apic_end_interrupt();
    }
}

/* Ticks of the one-shot counter in a stretch of TSC time. */
static void apic_calibrate(void) {
    apic_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(REG_TIMER_INITIAL, UINT32_MAX);
    uint64_t tsc = plat_tsc();
    clock_delay_us(CALIBRATION_US);
    uint32_t ticks = UINT32_MAX - apic_read(REG_TIMER_CURRENT);
    tsc = plat_tsc() - tsc;
    apic_write(REG_TIMER_INITIAL, 0);
    timer_hz = mul_div_u64(ticks, plat_tsc_hz(), tsc);
    if (timer_hz == 0) {
        plat_panic("the local APIC's timer does not count" MSG(5108));
    }
}

void apic_init_timer(void) {
    apic_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    if (timer_hz == 0 && (!cpu_has(CPU_HAS_TSC_DEADLINE) || avoid_wants(AVOID_DEADLINE))) {
        apic_calibrate();
    }
    apic_write(REG_LVT_TIMER, (timer_hz == 0 ? TIMER_TSC_DEADLINE : 0) | VECTOR_TIMER);
    /* The mode must have arrived before the first deadline is written. */
    __asm__ volatile("mfence; lfence" : : : "memory");
}

static void apic_arm(const struct cpu *cpu) {
    uint64_t deadline = cpu->timer_deadline;
    if (cpu->host_deadline != 0 && (deadline == 0 || cpu->host_deadline < deadline)) {
        deadline = cpu->host_deadline;
    }
    if (timer_hz == 0) {
        msr_write(X86_MSR_TSC_DEADLINE, deadline);
        return;
    }
    uint64_t now = plat_tsc(), left = deadline > now ? deadline - now : 0;
    uint64_t ticks = mul_div_u64(min_u64(left, plat_tsc_hz()), timer_hz, plat_tsc_hz()) + 1;
    /* What is longer is armed again when it fires. */
    apic_write(REG_TIMER_INITIAL, deadline == 0 ? 0 : (uint32_t)min_u64(ticks, UINT32_MAX));
}

void plat_timer_set(uint64_t tsc_deadline) {
    struct cpu *cpu = cpu_current();
    cpu->timer_deadline = tsc_deadline;
    apic_arm(cpu);
}

/* The deadlines that are not the guest's. */
static void apic_set_host_deadline(struct cpu *cpu) {
    uint64_t poll = cpu->poll_deadline;
    uint64_t console = cpu->console_deadline;
    cpu->host_deadline = poll;
    if (console != 0 && (poll == 0 || console < poll)) {
        cpu->host_deadline = console;
    }
}

static void apic_arm_host(struct cpu *cpu) {
    apic_set_host_deadline(cpu);
    apic_arm(cpu);
}

void apic_poll(uint32_t us) {
    struct cpu *cpu = cpu_current();
    uint64_t ticks = mul_div_u64(us, plat_tsc_hz(), 1000000);
    if (cpu->poll_ticks == 0 || ticks < cpu->poll_ticks) {
        cpu->poll_ticks = ticks;
        cpu->poll_deadline = plat_tsc() + ticks;
        apic_arm_host(cpu);
    }
}

/* However slow the devices are, the CPU's guest has most of the time. */
void apic_poll_again(uint64_t spent) {
    struct cpu *cpu = cpu_current();
    cpu->poll_deadline = plat_tsc() + max_u64(cpu->poll_ticks, spent * POLL_REST);
    apic_arm_host(cpu);
}

void plat_console_timer_set(uint64_t tsc_deadline) {
    struct cpu *cpu = cpu_current();
    cpu->console_deadline = tsc_deadline;
    apic_arm_host(cpu);
}

/* The rarer two of them. What is polled may come early by slack. */
static __attribute__((noinline)) unsigned apic_host_due(struct cpu *cpu, uint64_t now,
                                                        uint64_t slack) {
    unsigned due = 0;

    if (cpu->console_deadline != 0 && now >= cpu->console_deadline) {
        due |= DUE_CONSOLE;
        cpu->console_deadline = 0;
    }
    if (cpu->poll_deadline != 0 && now + slack >= cpu->poll_deadline) {
        due |= DUE_POLL;
        cpu->poll_deadline = 0;
    }
    apic_set_host_deadline(cpu);
    return due;
}

unsigned apic_timer_due(void) {
    struct cpu *cpu = cpu_current();
    uint64_t now = plat_tsc(), slack = 0;
    unsigned due = 0;

    if (cpu->timer_deadline != 0 && now >= cpu->timer_deadline) {
        due |= DUE_GUEST;
        cpu->timer_deadline = 0;
        slack = cpu->poll_ticks / 2; /* a busy guest's tick saves an interrupt of the poll's own */
    }
    if (cpu->host_deadline != 0 && now + slack >= cpu->host_deadline) {
        due |= apic_host_due(cpu, now, slack);
    }
    if ((cpu->timer_deadline | cpu->host_deadline) != 0) { /* having fired, it stands still */
        apic_arm(cpu);
    }
    return due;
}

void apic_end_interrupt(void) {
    apic_write(REG_EOI, 0);
}

void apic_send(uint32_t apic_id, uint32_t command) {
    if (x2apic) {
        /* This WRMSR does not wait for earlier stores, which the other CPU is to see. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        msr_write(X86_MSR_X2APIC_FIRST + REG_ICR_LOW / 16, (uint64_t)apic_id << 32 | command);
    } else if (apic_id <= XAPIC_ID_MAX) {
        for (unsigned i = 0; i < ICR_WAIT && (apic_read(REG_ICR_LOW) & ICR_BUSY) != 0; i++) {
            __builtin_ia32_pause();
        }
        apic_write(REG_ICR_HIGH, apic_id << 24);
        apic_write(REG_ICR_LOW, command);
    }
}

static void apic_send_vector(unsigned cpu, uint32_t vector) {
    if (plat_cpu_online(cpu)) {
        apic_send(cpu_get(cpu)->apic_id, ICR_ASSERT | vector);
    }
}

void plat_console_call(unsigned cpu) {
    apic_send_vector(cpu, VECTOR_CONSOLE);
}

void plat_post(unsigned cpu) {
    apic_send_vector(cpu, VECTOR_POSTED);
}

void plat_kick(unsigned cpu) {
    apic_send_vector(cpu, VECTOR_KICK);
}
