/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC of each host CPU: mode (x2APIC wherever the CPU has it), messages between CPUs,
 * and the one hardware timer that plat_timer_set() and the polled UART share. Each CPU touches its
 * own. Sources: Intel SDM "Advanced Programmable Interrupt Controller (APIC)", "Extended XAPIC
 * (x2APIC)".
 */
#include "arch/x86_64/arch.h"
#include "hv/dev/clock.h"
#include "hv/lib/phys.h"

#define BASE_X2APIC  BIT(10)
#define BASE_ENABLE  BIT(11)
#define BASE_ADDRESS 0x000ffffffffff000ull

enum apic_register { /* xAPIC offsets */
                     REG_ID = 0x20,
                     REG_VERSION = 0x30,
                     REG_TPR = 0x80,
                     REG_EOI = 0xb0,
                     REG_SPURIOUS = 0xf0,
                     REG_ISR = 0x100,
                     REG_ESR = 0x280,
                     REG_LVT_CMCI = 0x2f0,
                     REG_ICR_LOW = 0x300,
                     REG_ICR_HIGH = 0x310,
                     REG_LVT_TIMER = 0x320,
                     REG_LVT_THERMAL = 0x330,
                     REG_LVT_PERF = 0x340,
                     REG_LVT_LINT0 = 0x350,
                     REG_LVT_LINT1 = 0x360,
                     REG_LVT_ERROR = 0x370,
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
#define ICR_WAIT           1000000u /* reads of a stuck ICR before we send all the same */
#define CALIBRATION_US     2000u
#define SERIAL_POLL_US     2000u /* 16 bytes at 115200 baud take 1.4 ms */

static bool has_deadline;
static uint64_t timer_hz; /* of the one-shot counter, where there is no TSC deadline */

/* The same on all CPUs: asks CPUID, so that it can be called before anything is set up. */
bool apic_is_x2apic(void) {
    static enum { UNKNOWN, XAPIC, X2APIC } mode;
    if (mode == UNKNOWN) {
        mode = cpu_has(CPU_HAS_X2APIC) ? X2APIC : XAPIC;
    }
    return mode == X2APIC;
}

hpa_t apic_page_address(void) {
    return HPA(msr_read(X86_MSR_APIC_BASE) & BASE_ADDRESS);
}

static void *apic_register(enum apic_register r) {
    static hpa_t page;
    if (page.v == 0) {
        page = apic_page_address();
    }
    return phys_pointer(HPA(page.v + (uint64_t)r));
}

static uint32_t apic_read(enum apic_register r) {
    return apic_is_x2apic() ? (uint32_t)msr_read(X86_MSR_X2APIC_FIRST + (uint32_t)r / 16)
                            : mmio_read32(apic_register(r));
}

static void apic_write(enum apic_register r, uint32_t value) {
    if (apic_is_x2apic()) {
        msr_write(X86_MSR_X2APIC_FIRST + (uint32_t)r / 16, value);
    } else {
        mmio_write32(apic_register(r), value);
    }
}

/* xAPIC and x2APIC are one step apart, off and x2APIC are two. */
static void apic_set_mode(void) {
    uint64_t base = msr_read(X86_MSR_APIC_BASE);
    if ((base & BASE_ENABLE) == 0) {
        base |= BASE_ENABLE;
        msr_write(X86_MSR_APIC_BASE, base);
    }
    if (apic_is_x2apic()) {
        msr_write(X86_MSR_APIC_BASE, base | BASE_X2APIC);
    } else if ((base & BASE_X2APIC) != 0) {
        plat_panic("the local APIC is in x2APIC mode but CPUID says there is none");
    }
}

static uint32_t apic_id(void) {
    uint32_t id = apic_read(REG_ID);
    return apic_is_x2apic() ? id : id >> 24;
}

/* The firmware's thermal interrupt by SMI stays: its handler may be what cools the machine. */
static void apic_mask_lvt(enum apic_register r) {
    if ((apic_read(r) & LVT_DELIVERY) != LVT_SMI) {
        apic_write(r, LVT_MASKED);
    }
}

static void apic_mask_local(void) {
    static const uint16_t by_number[] = {REG_LVT_TIMER, REG_LVT_LINT0, REG_LVT_LINT1,
                                         REG_LVT_ERROR, REG_LVT_PERF,  REG_LVT_THERMAL,
                                         REG_LVT_CMCI};
    uint32_t last = apic_read(REG_VERSION) >> 16 & 0xff; /* highest LVT entry */
    for (uint32_t i = 0; i <= last && i < ARRAY_SIZE(by_number); i++) {
        apic_mask_lvt((enum apic_register)by_number[i]);
    }
}

/* Interrupts that the firmware took but did not end would hold back ours. */
static void apic_end_leftovers(void) {
    for (unsigned i = 0; i < 256; i++) {
        uint32_t in_service = 0;
        for (unsigned word = 0; word < 8; word++) {
            in_service |= apic_read((enum apic_register)(REG_ISR + word * 16));
        }
        if (in_service == 0) {
            return;
        }
        apic_end_interrupt();
    }
}

void apic_init_cpu(struct cpu *cpu) {
    apic_set_mode();
    if (apic_id() != cpu->apic_id) {
        plat_panic("CPU %u has APIC ID %u, the firmware said %u", cpu->index, apic_id(),
                   cpu->apic_id);
    }
    apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(REG_TPR, 0);
    apic_mask_local();
    apic_write(REG_TIMER_INITIAL, 0);
    apic_write(REG_LVT_LINT1, LVT_NMI);
    apic_write(REG_ESR, 0);
    apic_end_leftovers();
}

/* Ticks of the one-shot counter in a stretch of TSC time. */
static void apic_calibrate(void) {
    apic_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(REG_TIMER_INITIAL, UINT32_MAX);
    uint64_t tsc = tsc_read_ordered();
    clock_delay_us(CALIBRATION_US);
    uint32_t ticks = UINT32_MAX - apic_read(REG_TIMER_CURRENT);
    tsc = tsc_read_ordered() - tsc;
    apic_write(REG_TIMER_INITIAL, 0);
    timer_hz = mul_div_u64(ticks, plat_tsc_hz(), tsc);
    if (timer_hz == 0) {
        plat_panic("the local APIC's timer does not count");
    }
    log_debug("local APIC timer at %llu kHz", (unsigned long long)(timer_hz / 1000));
}

void apic_init_timer(void) {
    has_deadline = cpu_has(CPU_HAS_TSC_DEADLINE);
    apic_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    if (!has_deadline && timer_hz == 0) {
        apic_calibrate();
    }
    apic_write(REG_LVT_TIMER, (has_deadline ? TIMER_TSC_DEADLINE : 0) | VECTOR_TIMER);
    /* The mode must have arrived before the first deadline is written. */
    __asm__ volatile("mfence; lfence" : : : "memory");
}

static void apic_arm(const struct cpu *cpu) {
    uint64_t deadline = cpu->timer_deadline;
    if (cpu->poll_deadline != 0 && (deadline == 0 || cpu->poll_deadline < deadline)) {
        deadline = cpu->poll_deadline;
    }
    if (has_deadline) {
        msr_write(X86_MSR_TSC_DEADLINE, deadline);
        return;
    }
    uint64_t ticks = 0;
    if (deadline != 0) {
        uint64_t now = tsc_read();
        ticks = deadline > now
                    ? mul_div_u64(min_u64(deadline - now, plat_tsc_hz()), timer_hz, plat_tsc_hz())
                    : 0;
        ticks = min_u64(ticks + 1, UINT32_MAX); /* what is longer is armed again when it fires */
    }
    apic_write(REG_TIMER_INITIAL, (uint32_t)ticks);
}

void plat_timer_set(uint64_t tsc_deadline) {
    struct cpu *cpu = cpu_current();
    cpu->timer_deadline = tsc_deadline;
    apic_arm(cpu);
}

void apic_poll_serial(void) {
    struct cpu *cpu = cpu_current();
    cpu->poll_deadline = tsc_read() + mul_div_u64(SERIAL_POLL_US, plat_tsc_hz(), 1000000);
    apic_arm(cpu);
}

void apic_timer_interrupt(void) {
    struct cpu *cpu = cpu_current();
    uint64_t now = tsc_read();
    if (cpu->poll_deadline != 0 && now >= cpu->poll_deadline) {
        serial_interrupt();
        apic_poll_serial();
    }
    if (cpu->timer_deadline != 0 && now >= cpu->timer_deadline) {
        cpu->timer_deadline = 0;
        hv_timer_expired();
    }
    apic_arm(cpu);
}

void apic_end_interrupt(void) {
    apic_write(REG_EOI, 0);
}

void apic_send(uint32_t apic_id_to, uint32_t command) {
    if (apic_is_x2apic()) {
        /* This WRMSR does not wait for earlier stores, which the other CPU is to see. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        msr_write(X86_MSR_X2APIC_FIRST + REG_ICR_LOW / 16, (uint64_t)apic_id_to << 32 | command);
        return;
    }
    for (unsigned i = 0; i < ICR_WAIT && (apic_read(REG_ICR_LOW) & ICR_BUSY) != 0; i++) {
        cpu_pause();
    }
    apic_write(REG_ICR_HIGH, apic_id_to << 24);
    apic_write(REG_ICR_LOW, command);
}

void plat_kick(unsigned cpu) {
    if (plat_cpu_online(cpu)) {
        apic_send(cpu_get(cpu)->apic_id, APIC_FIXED | APIC_ASSERT | VECTOR_KICK);
    }
}
