/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts what one exit costs. In Bochs the TSC counts instructions, so a difference of RDTSC is the
 * path length: 16 operations a batch, the smallest of 100 batches, less an empty twin. Then each
 * operation is run between two magic breakpoints (XCHG BX,BX), so that the emulator's debugger can
 * list what ran. The output is read by tests/system/bench.py.
 */
#include "guests/test/vcpu.h"

#define BATCHES 100
#define BATCH   16
#define TRACES  3

struct operation {
    const char *name;
    void (*batch)(void);
    void (*twin)(void);
    void (*traced)(void);
};

/*
 * BATCH times prepare and insn; the same without insn; one insn between breakpoints. prepare may
 * use RAX, RCX, RDX only, insn may change these and RBX.
 */
#define OPERATION(name, prepare, insn)                                                             \
    static void name##_batch(void) {                                                               \
        __asm__ volatile(".rept 16\n\t" prepare "\n\t" insn "\n\t.endr" ::                         \
                             : "rax", "rbx", "rcx", "rdx", "memory");                              \
    }                                                                                              \
    static void name##_twin(void) {                                                                \
        __asm__ volatile(".rept 16\n\t" prepare "\n\t.endr" ::                                     \
                             : "rax", "rbx", "rcx", "rdx", "memory");                              \
    }                                                                                              \
    static void name##_traced(void) {                                                              \
        __asm__ volatile(prepare "\n\txchg %%bx, %%bx\n\t" insn "\n\txchg %%bx, %%bx" ::           \
                             : "rax", "rbx", "rcx", "rdx", "memory");                              \
    }

OPERATION(nops, "", ".fill 100, 1, 0x90")
OPERATION(cpuid_op, "xor %%eax, %%eax\n\txor %%ecx, %%ecx", "cpuid")
OPERATION(vmcall, "xor %%eax, %%eax", "vmcall")
OPERATION(vmmcall, "xor %%eax, %%eax", "vmmcall")
OPERATION(upcall, "mov $2, %%eax\n\txor %%ebx, %%ebx", "vmcall")
OPERATION(upcall_amd, "mov $2, %%eax\n\txor %%ebx, %%ebx", "vmmcall")
OPERATION(read_apic_base, "mov $0x1b, %%ecx", "rdmsr")
OPERATION(read_port, "mov $0x3ff, %%edx", "in %%dx, %%al")
OPERATION(read_x2apic_tpr, "mov $0x808, %%ecx", "rdmsr")
OPERATION(write_x2apic_tpr, "mov $0x808, %%ecx\n\txor %%eax, %%eax\n\txor %%edx, %%edx", "wrmsr")
OPERATION(write_x2apic_eoi, "mov $0x80b, %%ecx\n\txor %%eax, %%eax\n\txor %%edx, %%edx", "wrmsr")
OPERATION(arm_timer, "mov $0x6e0, %%ecx\n\tmov $-1, %%eax\n\tmov $0x00ffffff, %%edx", "wrmsr")
OPERATION(read_xapic_page, "mov $0xfee00080, %%ecx", "mov (%%rcx), %%eax")
OPERATION(write_xapic_page, "mov $0xfee00080, %%ecx\n\txor %%eax, %%eax", "mov %%eax, (%%rcx)")
OPERATION(write_xapic_eoi, "mov $0xfee000b0, %%ecx\n\txor %%eax, %%eax", "mov %%eax, (%%rcx)")
OPERATION(read_ioapic, "mov $0xfec00010, %%ecx", "mov (%%rcx), %%eax")
OPERATION(read_pic, "", "in $0x21, %%al")
OPERATION(write_pic, "mov $0xff, %%al", "out %%al, $0x21")
OPERATION(doorbell, "mov $0x1080, %%edx\n\txor %%eax, %%eax", "out %%ax, %%dx")
/* A fixed interrupt for an APIC that is not there. */
OPERATION(write_x2apic_icr, "mov $0x830, %%ecx\n\tmov $0x52, %%eax\n\tmov $7, %%edx", "wrmsr")
/* Sent, taken and ended: self_ipi_handler runs before the next instruction. */
OPERATION(self_ipi, "mov $0x83f, %%ecx\n\tmov $0x52, %%eax\n\txor %%edx, %%edx", "wrmsr")

OPERATION(read_cr8, "", "mov %%cr8, %%rax")
OPERATION(write_cr8, "mov $5, %%eax", "mov %%rax, %%cr8")
/* An interrupt of class 5 waits below it. */
OPERATION(write_cr8_held, "mov $15, %%eax", "mov %%rax, %%cr8")

extern const uint8_t self_ipi_handler[];
__asm__(".pushsection .text\n"
        "self_ipi_handler:\n\t"
        "mov $0x80b, %ecx\n\t"
        "xor %eax, %eax\n\t"
        "wrmsr\n\t"
        "iretq\n"
        ".popsection");

/*
 * The refused MSR: from the RDMSR to the first instruction of the guest's own #GP handler, which
 * reads the TSC (or stops the trace), drops the error code and steps over the two bytes of RDMSR.
 */
uint64_t refused_start, refused_end; /* not static: only assembly touches them */
extern const uint8_t refused_handler[], refused_trace_handler[];
__asm__(".pushsection .text\n"
        "refused_handler:\n\t"
        "rdtsc\n\t"
        "shl $32, %rdx\n\t"
        "or %rdx, %rax\n\t"
        "mov %rax, refused_end(%rip)\n"
        "1:\tadd $8, %rsp\n\t"
        "addq $2, (%rsp)\n\t"
        "iretq\n"
        "refused_trace_handler:\n\t"
        "xchg %bx, %bx\n\t"
        "jmp 1b\n"
        ".popsection");

#define REFUSED_START                                                                              \
    "mov $0x9e, %%ecx\n\t"                                                                         \
    "rdtsc\n\t"                                                                                    \
    "shl $32, %%rdx\n\t"                                                                           \
    "or %%rdx, %%rax\n\t"                                                                          \
    "mov %%rax, refused_start(%%rip)\n\t"

static void refused_counts(void) {
    __asm__ volatile(REFUSED_START "rdmsr" ::: "rax", "rcx", "rdx", "memory");
}

static void refused_twin(void) {
    __asm__ volatile(REFUSED_START "rdtsc\n\t"
                                   "shl $32, %%rdx\n\t"
                                   "or %%rdx, %%rax\n\t"
                                   "mov %%rax, refused_end(%%rip)" ::
                                       : "rax", "rcx", "rdx", "memory");
}

static void refused_traces(void) {
    __asm__ volatile("mov $0x9e, %%ecx\n\txchg %%bx, %%bx\n\trdmsr" ::
                         : "rax", "rcx", "rdx", "memory");
}

/*
 * Virtio's source of entropy, set going with an empty queue: its doorbell finds nothing to do. It
 * is 00:01.0, and its first BAR, the doorbell, is at port 1080h.
 */
static _Alignas(4096) uint8_t virtio_rings[3][4096]; /* descriptors; the driver's; the device's */

static void virtio_set(uint64_t at, uint64_t low) {
    *(volatile uint32_t *)at = (uint32_t)low;
    *(volatile uint32_t *)(at + 4) = 0;
}

static void virtio_start(void) {
    out32(0xcf8, 0x80000814);
    uint64_t registers = in32(0xcfc) & ~0xfull;
    out32(0xcf8, 0x80000804);
    out32(0xcfc, 7); /* ports, memory, bus master */

    volatile uint8_t *status = (volatile uint8_t *)(registers + 0x14);
    *status = 3;
    for (uint32_t half = 0; half < 2; half++) {
        *(volatile uint32_t *)(registers + 0x08) = half;
        *(volatile uint32_t *)(registers + 0x0c) = half == 0 ? 1u << 29 : 1; /* event index, 1.0 */
    }
    *status = 11;
    virtio_set(registers + 0x20, (uint64_t)virtio_rings[0]);
    virtio_set(registers + 0x28, (uint64_t)virtio_rings[1]);
    virtio_set(registers + 0x30, (uint64_t)virtio_rings[2]);
    *(volatile uint16_t *)(registers + 0x1c) = 1;
    *status = 15;
    tap_line(*status == 15, "virtio device");
}

#define HYPERCALL 2
#define UPCALL    3
static const struct operation hypercall_amd = {"hypercall", vmmcall_batch, vmmcall_twin,
                                               vmmcall_traced};
static const struct operation upcall_on_amd = {"upcall", upcall_amd_batch, upcall_amd_twin,
                                               upcall_amd_traced};
static struct operation before_x2apic[] = {
    {"nops", nops_batch, nops_twin, nops_traced},
    {"cpuid", cpuid_op_batch, cpuid_op_twin, cpuid_op_traced},
    [HYPERCALL] = {"hypercall", vmcall_batch, vmcall_twin, vmcall_traced},
    [UPCALL] = {"upcall", upcall_batch, upcall_twin, upcall_traced},
    {"msr", read_apic_base_batch, read_apic_base_twin, read_apic_base_traced},
    {"port", read_port_batch, read_port_twin, read_port_traced},
    {"xapic-page", read_xapic_page_batch, read_xapic_page_twin, read_xapic_page_traced},
    {"xapic-page-write", write_xapic_page_batch, write_xapic_page_twin, write_xapic_page_traced},
    {"xapic-eoi", write_xapic_eoi_batch, write_xapic_eoi_twin, write_xapic_eoi_traced},
    {"ioapic", read_ioapic_batch, read_ioapic_twin, read_ioapic_traced},
    {"pic", read_pic_batch, read_pic_twin, read_pic_traced},
    {"pic-write", write_pic_batch, write_pic_twin, write_pic_traced},
    {"doorbell", doorbell_batch, doorbell_twin, doorbell_traced},
};
static const struct operation in_x2apic[] = {
    {"x2apic", read_x2apic_tpr_batch, read_x2apic_tpr_twin, read_x2apic_tpr_traced},
    {"x2apic-tpr-write", write_x2apic_tpr_batch, write_x2apic_tpr_twin, write_x2apic_tpr_traced},
    {"x2apic-eoi", write_x2apic_eoi_batch, write_x2apic_eoi_twin, write_x2apic_eoi_traced},
    {"x2apic-icr", write_x2apic_icr_batch, write_x2apic_icr_twin, write_x2apic_icr_traced},
    {"timer-arm", arm_timer_batch, arm_timer_twin, arm_timer_traced},
    {"cr8-read", read_cr8_batch, read_cr8_twin, read_cr8_traced},
    {"cr8-write", write_cr8_batch, write_cr8_twin, write_cr8_traced},
};
static const struct operation with_one_waiting[] = {
    {"cr8-write-held", write_cr8_held_batch, write_cr8_held_twin, write_cr8_held_traced},
};
static const struct operation with_interrupts[] = {
    {"self-ipi", self_ipi_batch, self_ipi_twin, self_ipi_traced},
};

/* "result NAME TICKS": thousandths, so that a count that is no whole number is seen. */
static void print_result(const char *name, uint64_t thousandths) {
    put_text("result ");
    put_text(name);
    put_text(" ");
    put_decimal(thousandths);
    put_text("\n");
}

/*
 * From the moment that the timer was set to, to the first instruction of the handler, which reads
 * the TSC. The guest runs meanwhile, or sleeps.
 */
uint64_t expiry_seen; /* not static: only assembly touches it */
extern const uint8_t expiry_handler[];
__asm__(".pushsection .text\n"
        "expiry_handler:\n\t"
        "rdtsc\n\t"
        "shl $32, %rdx\n\t"
        "or %rdx, %rax\n\t"
        "mov %rax, expiry_seen(%rip)\n\t"
        "mov $0x80b, %ecx\n\t"
        "xor %eax, %eax\n\t"
        "xor %edx, %edx\n\t"
        "wrmsr\n\t"
        "iretq\n"
        ".popsection");

#define EXPIRY_AHEAD 20000 /* ticks: longer than it takes to arm the timer and to lie down */

static uint64_t smallest_expiry(bool sleep) {
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < BATCHES; i++) {
        uint64_t when = read_tsc() + EXPIRY_AHEAD;
        expiry_seen = 0;
        (void)try_write_msr(0x6e0, when);
        if (sleep) {
            __asm__ volatile("sti\n\thlt\n\tcli" ::: "rax", "rcx", "rdx", "memory");
        } else {
            __asm__ volatile("sti\n1:\tcmpq $0, expiry_seen(%%rip)\n\tje 1b\n\tcli" ::
                                 : "rax", "rcx", "rdx", "memory", "cc");
        }
        uint64_t ticks = expiry_seen - when;
        best = ticks < best ? ticks : best;
    }
    return best;
}

/*
 * An interrupt from this vCPU to the other: from before the command to the first instruction of the
 * handler there. In xAPIC mode, as Linux is.
 */
extern const uint8_t ipi_handler[];
__asm__(".pushsection .text\n"
        "ipi_handler:\n\t"
        "push %rax\n\t"
        "push %rdx\n\t"
        "rdtsc\n\t"
        "shl $32, %rdx\n\t"
        "or %rdx, %rax\n\t"
        "mov %rax, expiry_seen(%rip)\n\t"
        "mov $0xfee000b0, %eax\n\t"
        "movl $0, (%rax)\n\t"
        "pop %rdx\n\t"
        "pop %rax\n\t"
        "iretq\n"
        ".popsection");

#define VECTOR_IPI 0x53

static volatile bool spinning;

static void spin(void) {
    interrupts_on();
    while (spinning) {
        __builtin_ia32_pause();
    }
    interrupts_off();
}

static uint64_t smallest_ipi(void) {
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < BATCHES; i++) {
        volatile const uint64_t *seen = &expiry_seen;
        for (uint64_t start = read_tsc(); read_tsc() - start < EXPIRY_AHEAD;) {
        } /* time for the other to lie down again */
        expiry_seen = 0;
        uint64_t start = read_tsc();
        vcpu_send(1, 0x4000 | VECTOR_IPI);
        while (*seen == 0) {
            __builtin_ia32_pause();
        }
        best = *seen - start < best ? *seen - start : best;
    }
    return best;
}

static void measure_pair(void) {
    trap_set(VECTOR_IPI, ipi_handler);
    tap_line(vcpu_start(2), "second vCPU");
    print_result("ipi-hlt", 1000 * smallest_ipi());
    spinning = true;
    vcpu_run(1, spin);
    print_result("ipi", 1000 * smallest_ipi());
    spinning = false;
    put_text("bench done\n");
}

/* Not inlined: a batch and its twin must be timed by the same instructions. */
__attribute__((noinline)) static uint64_t smallest(void (*run)(void)) {
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < BATCHES; i++) {
        uint64_t start = read_tsc();
        run();
        uint64_t ticks = read_tsc() - start;
        best = ticks < best ? ticks : best;
    }
    return best;
}

static void measure(const struct operation *operations, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t ticks = smallest(operations[i].batch) - smallest(operations[i].twin);
        print_result(operations[i].name, ticks * 1000 / BATCH);
    }
}

__attribute__((noinline)) static uint64_t smallest_refused(void (*run)(void)) {
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < BATCHES * BATCH; i++) {
        run();
        uint64_t ticks = refused_end - refused_start;
        best = ticks < best ? ticks : best;
    }
    return best;
}

/* What the emulator's debugger stops at must come in the order of these lines. */
static void trace(const struct operation *operations, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put_text("trace ");
        put_text(operations[i].name);
        put_text("\n");
        for (unsigned n = 0; n < TRACES; n++) {
            operations[i].traced();
        }
    }
}

void guest_main(void) {
    static const struct operation refused = {"refused-msr", NULL, NULL, refused_traces};
    bool traced = option_number("trace", 0) != 0;
    uint32_t vendor[4];
    cpuid(0, 0, vendor);
    if (vendor[1] == 0x68747541) { /* "Auth" of "AuthenticAMD" */
        before_x2apic[HYPERCALL] = hypercall_amd;
        before_x2apic[UPCALL] = upcall_on_amd;
    }
    if (option_number("pair", 0) != 0) {
        measure_pair();
        for (;;) {
            __asm__ volatile("sti\n\thlt");
        }
    }
    virtio_start();
    measure(before_x2apic, COUNT(before_x2apic));
    trap_set(13, refused_handler);
    print_result("refused-msr",
                 1000 * (smallest_refused(refused_counts) - smallest_refused(refused_twin)));
    if (traced) {
        trace(before_x2apic, COUNT(before_x2apic));
        trap_set(13, refused_trace_handler);
        trace(&refused, 1);
    }
    trap_set(13, trap_stubs[13]);
    uint64_t base;
    (void)try_read_msr(0x1b, &base);
    tap_line(try_write_msr(0x1b, base | 0x400) == NO_TRAP, "x2APIC mode");
    (void)try_write_msr(0x80f, 0x1ff);          /* the APIC on: it takes interrupts */
    (void)try_write_msr(0x832, 0x40000 | 0x41); /* the timer in TSC-deadline mode */
    measure(in_x2apic, COUNT(in_x2apic));
    if (traced) {
        trace(in_x2apic, COUNT(in_x2apic));
    }
    __asm__ volatile("mov %0, %%cr8" ::"r"(15ull));
    (void)try_write_msr(0x83f, 0x52);
    measure(with_one_waiting, COUNT(with_one_waiting));
    if (traced) {
        trace(with_one_waiting, COUNT(with_one_waiting));
    }
    __asm__ volatile("mov %0, %%cr8" ::"r"(0ull));
    /* Interrupts were off until here: in Bochs no host interrupt falls into what is above. */
    trap_set(0x41, expiry_handler);
    trap_set(0x52, self_ipi_handler);
    print_result("timer-expiry", 1000 * smallest_expiry(false));
    print_result("hlt-wake", 1000 * smallest_expiry(true));
    interrupts_on();
    measure(with_interrupts, COUNT(with_interrupts));
    if (traced) {
        trace(with_interrupts, COUNT(with_interrupts));
    }
    put_text("bench done\n");
    (void)get_char();
    __asm__ volatile("xchg %bx, %bx"); /* the debugger's script ends here */
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}
