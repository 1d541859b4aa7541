/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last words: a bug of ours or broken hardware, found by an exception or by fail.c's callers.
 * The first CPU to come here stops all others by NMI and reports, straight to the UART and the
 * framebuffer; the machine then stays as it is, readable, and never restarts by itself. Takes no
 * lock and allocates nothing: anything may be held or broken.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/nmi.h"
#include "arch/x86_64/trace.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/mce.h"
#include "hv/vm/vcpu.h"

#define NOBODY            UINT32_MAX
#define FALL_BACK_SECONDS 30u /* to read what is on the screen */
#define LINE_SIZE         160u
#define CALLS             30u /* of the trace */
#define CALLS_ROW         5u
#define STOP_WAIT         10000000u /* TSC ticks for the others to stop, some milliseconds */

#define PORT_NMI_STATUS 0x61u

static const char exception_names[32][4] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",   "#TS",
    "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
};

static uint32_t owner = NOBODY; /* CPU that panics */
static uint32_t stopped;        /* CPUs that obeyed */
static unsigned screen_row;

static NORETURN void panic_stop_cpu(void) {
    __atomic_fetch_add(&stopped, 1, __ATOMIC_RELAXED);
    for (;;) {
        __asm__ volatile("cli; hlt" : : : "memory");
    }
}

void panic_nmi(void) {
    if (__atomic_load_n(&owner, __ATOMIC_ACQUIRE) != NOBODY) {
        panic_stop_cpu();
    }
    nmi_take(plat_cpu(), port_in8(PORT_NMI_STATUS));
}

static void panic_draw(const char *text) {
    struct screen_cell cell = {.pair = SCREEN_PAIR(SCREEN_BLACK, SCREEN_GREY)};
    for (unsigned column = 0; column < plat_screen_columns; column++) {
        cell.character = *text != '\0' ? (uint8_t)*text : ' ';
        plat_screen_draw(column, screen_row, cell);
        text += *text != '\0';
    }
    screen_row++; /* below the last one nothing is drawn: the first lines say most */
}

static void PRINTF_LIKE(1, 2) panic_print(const char *format, ...) {
    char line[LINE_SIZE];
    FMT_ARGUMENTS(line, format);
    serial_write_polled(line);
    serial_write_polled("\r\n");
    panic_draw(line);
    kept_log_write(line, strlen(line));
    kept_log_write("\n", 1);
}

/* By name, not to everyone: a CPU that never started has no handler for it. */
static void panic_stop_others(void) {
    uint32_t others = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        if (i != plat_cpu() && plat_cpu_online(i)) {
            others++;
            apic_send(cpu_get(i)->apic_id, ICR_NMI | ICR_ASSERT);
        }
    }
    uint64_t start = plat_tsc();
    while (__atomic_load_n(&stopped, __ATOMIC_RELAXED) < others && plat_tsc() - start < STOP_WAIT) {
        __builtin_ia32_pause();
    }
}

/* Returns on the one CPU that may report. */
static void panic_begin(void) {
    uint32_t expected = NOBODY, me = plat_cpu();
    if (!__atomic_compare_exchange_n(&owner, &expected, me, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (expected == me) { /* the printing itself may be what fails */
            serial_write_polled("\r\n(and another fault while reporting it)\r\n");
        }
        panic_stop_cpu();
    }
    panic_stop_others();
    serial_write_polled("\r\n");
}

static void panic_registers(const struct trap_frame *f) {
#define REGISTERS(a, b, c, d)                                                                      \
    panic_print(#a " %016llx " #b " %016llx " #c " %016llx " #d " %016llx", (ull)f->a, (ull)f->b,  \
                (ull)f->c, (ull)f->d)
    REGISTERS(rax, rbx, rcx, rdx);
    REGISTERS(rsi, rdi, rbp, rsp);
    REGISTERS(r8, r9, r10, r11);
    REGISTERS(r12, r13, r14, r15);
    REGISTERS(rflags, cs, ss, error);
#undef REGISTERS
}

/* Who called, from that stack pointer on: see trace.h. Reads nothing but a stack of ours and the
 * text, which are always mapped. */
static void panic_calls(uint64_t rsp) {
    const struct trace_text text = {image_text, (uint64_t)(image_rodata - image_text)};
    uint32_t calls[CALLS];
    uint64_t from, to;

    if (!percpu_used_stack(rsp, &from, &to)) {
        panic_print("the stack pointer %#llx is on no stack of this CPU", (ull)rsp);
        return;
    }
    const uint64_t *stack = phys_pointer(HPA(from));
    size_t count = trace_find(&text, stack, (to - from) / sizeof(*stack), calls, CALLS);

    for (size_t i = 0; i < count; i += CALLS_ROW) {
        char line[LINE_SIZE] = "";
        size_t n = 0;

        for (size_t j = i; j < count && j < i + CALLS_ROW; j++) {
            n += fmt_print(line + n, sizeof(line) - n, " text+%#x", calls[j]);
        }
        panic_print("%s%s", i == 0 ? "called from" : "           ", line);
    }
}

/* Broken hardware shows in other ways, too: they are told whatever the panic is about. */
static void panic_machine_checks(void) {
    struct mce m;
    char text[80];
    plat_mce_read(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        const struct mce_bank *b = &m.banks[i];
        mce_describe(b, text, sizeof(text));
        panic_print("machine check: bank %u, %s", b->index, text);
        panic_print("mcg_status %llx status %016llx address %llx misc %llx", (ull)m.global,
                    (ull)b->status, (ull)b->address, (ull)b->misc);
    }
}

/* A new set of the stick was on trial. Returns if the machine does not restart. */
static void panic_fall_back(void) {
    panic_print("The set was on trial: the machine restarts with the good one in %u s." MSG(5122),
                FALL_BACK_SECONDS);
    uint64_t start = plat_tsc();
    while (plat_tsc() - start < FALL_BACK_SECONDS * plat_tsc_hz()) {
        __builtin_ia32_pause();
    }
    plat_machine_reset();
}

/* What is the same for every panic, after its own first lines. */
static NORETURN void panic_finish(void) {
    panic_machine_checks();
    panic_print("cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx", (ull)cr0_read(), (ull)cr2_read(),
                (ull)cr3_read(), (ull)cr4_read(), (ull)msr_read(X86_MSR_EFER));
    struct vcpu *v = vcpu_of_cpu[plat_cpu()];
    uint64_t value;
    const char *name;
    for (unsigned i = 0; v != NULL && (name = hvm->raw(v, i, &value)) != NULL; i++) {
        panic_print("%-14s %016llx", name, (ull)value);
    }
    if (kept_log_awaits_health()) {
        panic_fall_back();
    }
    panic_print("The machine is stopped. Note the lines above, then switch it off.");
    plat_screen_columns = 0; /* from here on nothing is drawn: the screen stays the panic's */
    serial_drain_console();  /* all is said: if this hangs on a lock, nothing is lost */
    panic_stop_cpu();
}

/* What a report needs to be read: scripts/symbolize.py. */
static void panic_build(void) {
    char build[PLAT_BUILD_SIZE];
    panic_print("%s", plat_build_text(build));
}

static NORETURN void panic_report(const char *text, uint64_t rsp) {
    panic_begin();
    panic_print("BULKHEAD PANIC on CPU %u:", plat_cpu());
    panic_print("%s", text);
    panic_build();
    panic_calls(rsp);
    panic_finish();
}

void panic_init(void) {
    fail_init(panic_report);
}

void panic_trap(const struct trap_frame *frame) {
    panic_begin();
    panic_print("BULKHEAD PANIC on CPU %u: exception %llu %s in the hypervisor%s" MSG(5121),
                plat_cpu(), (ull)frame->vector, exception_names[frame->vector],
                frame->vector == X86_DF ? " (a stack overflow?)" : "");
    panic_print("at %#llx (text+%#llx)", (ull)frame->rip,
                (ull)(frame->rip - (uintptr_t)image_text)); /* outside the text it means nothing */
    panic_build();
    panic_registers(frame);
    panic_calls(frame->rsp);
    panic_finish();
}
