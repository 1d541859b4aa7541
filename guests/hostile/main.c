/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hostile guest: tries what is forbidden or odd, one act of acts.def after another, and says as
 * TAP whether it saw what it must see. Takes the name of a group or of an act on its serial line.
 * Driven by tests/system/test_hostile.py, which looks at the hypervisor's side.
 */
#include "guests/hostile/hostile.h"
#include "hv/abi.h"

unsigned vcpu_count;
static uint64_t told;
static char text[80];

static const struct act {
    const char *group, *name, *what, *outcome;
    const char *(*run)(void);
} acts[] = {
#define ACT(group, name, what, outcome, record) {#group, #name, what, outcome, act_##name},
#include "guests/hostile/acts.def"
#undef ACT
};

static void text_add(const char *more) {
    size_t n = 0;
    while (text[n] != 0) {
        n++;
    }
    while (*more != 0 && n + 1 < sizeof(text)) {
        text[n++] = *more++;
    }
    text[n] = 0;
}

static void text_add_number(uint64_t value, unsigned base) {
    char digits[24];
    unsigned n = sizeof(digits) - 1;
    digits[n] = 0;
    do {
        digits[--n] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    text_add(&digits[n]);
}

const char *saw_trap(void) {
    static const char *const names[32] = {
        [0] = "#DE",  [1] = "#DB",  [3] = "#BP",  [4] = "#OF",  [5] = "#BR",  [6] = "#UD",
        [7] = "#NM",  [8] = "#DF",  [10] = "#TS", [11] = "#NP", [12] = "#SS", [13] = "#GP",
        [14] = "#PF", [16] = "#MF", [17] = "#AC", [19] = "#XM"};
    if (trap_last.vector == NO_TRAP) {
        return "no trap";
    }
    text[0] = 0;
    if (trap_last.vector < 32 && names[trap_last.vector] != NULL) {
        text_add(names[trap_last.vector]);
    } else {
        text_add("vector ");
        text_add_number(trap_last.vector, 10);
    }
    if (trap_last.vector < 32 && (0x227d00u >> trap_last.vector & 1) != 0) {
        text_add("(");
        text_add_number(trap_last.error, 16);
        text_add(")");
    }
    return text;
}

const char *saw(bool as_expected, const char *expected) {
    return as_expected ? expected : "something else";
}

const char *saw_number(uint64_t n, const char *what) {
    text[0] = 0;
    text_add_number(n, 10);
    text_add(" ");
    text_add(what);
    return text;
}

void let_in(void) {
    interrupts_on();
    for (unsigned i = 0; i < 200; i++) {
        __builtin_ia32_pause();
    }
    interrupts_off();
}

void tell(uint64_t count) {
    told += count;
}

/* Asks the CPU once, for an exit is an act. */
bool cpu_is_amd(void) {
    static bool asked, is_amd;
    uint32_t r[4];
    if (!asked) {
        cpuid(0, 0, r);
        is_amd = r[1] == 0x68747541; /* "Auth" */
        asked = true;
    }
    return is_amd;
}

bool vcpu_ready(void) {
    static bool started;
    started = started || vcpu_start(vcpu_count);
    return started && vcpu_count > 1;
}

/* skip=NAME,NAME on the command line: what would crash an emulator. */
static bool is_left_out(const char *name) {
    char names[80] = "";
    (void)option_text("skip", names, sizeof(names));
    for (char *at = names; *at != 0;) {
        char *end = at;
        while (*end != 0 && *end != ',') {
            end++;
        }
        bool last = *end == 0;
        *end = 0;
        if (text_equal(at, name)) {
            return true;
        }
        at = last ? end : end + 1;
    }
    return false;
}

static void run_act(const struct act *act) {
    if (is_left_out(act->name)) {
        tap_skip(act->what, "left out on the command line");
        return;
    }
    interrupts_off();
    const char *outcome = act->run();
    interrupts_off();
    bool ok = text_equal(outcome, act->outcome);
    put_text(ok ? "" : "# saw: ");
    put_text(ok ? "" : outcome);
    put_text(ok ? "" : "\n");
    tap_line(ok, act->what);
}

static uint64_t upcall_number;
static unsigned upcalls_left_open, upcalls_together;

/* After it come accesses that have an upcall of their own: some acts are about how that ends. One
 * is to a device in memory; the other, of CR4, exits on some CPUs. */
static void call_upcall(void) {
    const volatile uint32_t *ioapic = (const volatile uint32_t *)(uintptr_t)0xfec00000;
    uint64_t answer = HYPERCALL_UPCALL;
    if (cpu_is_amd()) {
        __asm__ volatile("vmmcall" : "+a"(answer) : "b"(upcall_number) : "memory");
    } else {
        __asm__ volatile("vmcall" : "+a"(answer) : "b"(upcall_number) : "memory");
    }
    (void)*ioapic;
    (void)read_cr4();
    __atomic_fetch_add(&upcalls_left_open, answer != 0, __ATOMIC_SEQ_CST);
}

/* So that neither is through before the other has begun. */
static void call_upcall_together(void) {
    __atomic_fetch_add(&upcalls_together, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&upcalls_together, __ATOMIC_SEQ_CST) % 2 != 0) {
        __builtin_ia32_pause();
    }
    call_upcall();
}

static bool call_upcall_of_both(void) {
    bool two = vcpu_ready();
    put_text(two ? "# from two vCPUs\n" : "# there is no second vCPU\n");
    if (two) {
        vcpu_run(1, call_upcall_together);
        call_upcall_together();
    }
    return two && vcpu_wait(1);
}

static const char *behind(const char *name, const char *prefix) {
    for (; *prefix != 0; name++, prefix++) {
        if (*name != *prefix) {
            return NULL;
        }
    }
    return name;
}

/* "upcall-N": asks the compartment for its act number N, which only one with a back door has.
 * "upcall-both-N": from two vCPUs at once. */
static bool run_upcall(const char *name) {
    const char *both = behind(name, "upcall-both-");
    const char *digits = both != NULL ? both : behind(name, "upcall-");
    if (digits == NULL) {
        return false;
    }
    upcall_number = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        upcall_number = upcall_number * 10 + (uint64_t)(*digits - '0');
    }
    nmi_expected = true; /* from here on: one may come late to the other vCPU */
    upcalls_left_open = 0;
    bool done = true;
    if (both != NULL) {
        done = call_upcall_of_both();
    } else {
        call_upcall();
    }
    tap_line(done && upcalls_left_open == 0, "an upcall comes back");
    tap_note("NMIs", irq_count[2]);
    irq_count[2] = 0;
    return true;
}

#define PM1_STATUS   0x600
#define POWER_BUTTON (1u << 8)

static bool button_is_pressed(void) {
    bool pressed = (in16(PM1_STATUS) & POWER_BUTTON) != 0;
    if (pressed) {
        out16(PM1_STATUS, POWER_BUTTON);
    }
    return pressed;
}

/*
 * The end of an act, for the operator: one hypercall, which counts. The power button is his "go
 * on", for he looks at the counters and cannot type to the guest meanwhile.
 */
static void end_step(void) {
    uint64_t answer = HYPERCALL_NOP;
    if (cpu_is_amd()) {
        __asm__ volatile("vmmcall" : "+a"(answer)::"memory");
    } else {
        __asm__ volatile("vmcall" : "+a"(answer)::"memory");
    }
    sleep_until(button_is_pressed);
}

static void put_told(void) {
    put_text("# told ");
    put_decimal(told);
    put_text("\n");
    told = 0;
}

/* A group or an act by name; "step-NAME": with a stop behind each act; "vcpus": starts them, so
 * that no act's counters have it. */
bool group_run(const char *name) {
    const char *stepped = behind(name, "step-");
    name = stepped != NULL ? stepped : name;
    vcpu_count = (unsigned)option_number("cpus", 1);
    if (text_equal(name, "vcpus")) {
        tap_line(vcpu_ready(), "the other vCPUs start");
        return true;
    }
    bool found = run_upcall(name);
    told = 0;
    if (stepped != NULL) {
        (void)vcpu_ready(); /* whose exits are no act's */
        end_step();
    }
    for (size_t i = 0; i < COUNT(acts); i++) {
        if (text_equal(acts[i].group, name) || text_equal(acts[i].name, name)) {
            run_act(&acts[i]);
            put_told();
            found = true;
            if (stepped != NULL) {
                end_step();
            }
        }
    }
    return found;
}
