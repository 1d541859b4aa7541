/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test guest does by its command line: test=NAME runs that group of tests, test=interactive
 * prints "ready>" and takes names from the serial line, test=heartbeat is a heart. Knows no test:
 * group_run() is the program's. Driven by tests/system.
 */
#include "guests/test/guest.h"

/* line: "NAME" or "NAME TAG"; the tag comes back in the first line, to tell runs apart. */
static void run_group(char *line) {
    char *end = line;
    put_text("# begin ");
    put_text(line);
    put_text("\n");
    while (*end != 0 && *end != ' ') {
        end++;
    }
    *end = 0;
    interrupts_off();
    tap_begin(line);
    if (group_run(line)) {
        tap_end();
    } else {
        tap_bail_out("no such group");
    }
}

/* The local APIC's timer as a guest's clock; the period is in microseconds. */
#define VECTOR_TICK    0x45
#define REG_SPURIOUS   0x0f0
#define REG_LVT_TIMER  0x320
#define REG_INITIAL    0x380
#define REG_DIVIDE     0x3e0
#define TIMER_PERIODIC 0x20000
#define MASKED         0x10000

static void ticks_on(uint64_t period) {
    static uint64_t hz; /* asked once: it takes a CPUID, which is an exit */
    hz = hz != 0 ? hz : apic_timer_hz();
    apic_write(REG_SPURIOUS, 0x1ff);
    apic_write(REG_DIVIDE, 0xb); /* by 1 */
    apic_write(REG_LVT_TIMER, TIMER_PERIODIC | VECTOR_TICK);
    apic_write(REG_INITIAL, (uint32_t)(hz / 1000000 * period));
}

static void ticks_off(void) {
    apic_write(REG_INITIAL, 0);
    apic_write(REG_LVT_TIMER, MASKED);
}

static void wait_tick(void) {
    __asm__ volatile("sti\n\thlt" ::: "memory");
}

/* One character of a line with echo; true when the line is complete. */
static bool take_char(char *line, size_t size, size_t *length) {
    char c = get_char();
    if (c == '\r' || c == '\n') {
        line[*length] = 0;
        *length = 0;
        put_text("\n");
        return true;
    }
    if ((c == '\b' || c == 0x7f) && *length > 0) {
        (*length)--;
        put_text("\b \b");
    } else if (c >= ' ' && c < 0x7f && *length + 1 < size) {
        line[(*length)++] = c;
        put_char(c);
    }
    return false;
}

/* The ticks end before IF does: one that is on its way comes here, and not in a later test that
 * counts interrupts. */
void sleep_until(bool (*happened)(void)) {
    ticks_on(5000);
    interrupts_on();
    while (!happened()) {
        wait_tick();
    }
    ticks_off();
    interrupts_off();
}

static char *line_at;
static size_t line_size, line_length;

static bool line_is_taken(void) {
    bool taken = false;
    while (!taken && char_waiting()) {
        taken = take_char(line_at, line_size, &line_length);
    }
    return taken;
}

/* Sleeps while nobody types: an emulator runs the faster. */
static void take_line(char *line, size_t size) {
    line_at = line;
    line_size = size;
    line_length = 0;
    sleep_until(line_is_taken);
}

static void run_interactive(void) {
    char line[40];
    for (;;) {
        put_text("ready> ");
        take_line(line, sizeof(line));
        if (line[0] != 0) {
            run_group(line);
        }
    }
}

/*
 * The heart. A beat is a tick; period=MS on the command line. With the answer to each line it tells
 * how much later than due a beat came, the worst in thousandths of a period, and how many never
 * did.
 */
static void run_heartbeat(void) {
    uint64_t ms = option_number("period", 100), period = machine.tsc_hz / 1000 * ms;
    uint64_t worst = 0, missed = 0;
    char line[24];
    size_t length = 0;
    ticks_on(1000 * ms);
    for (uint64_t start = read_tsc();;) {
        wait_tick();
        interrupts_off();
        uint64_t beats = irq_count[VECTOR_TICK], late = irq_tsc[VECTOR_TICK] - start;
        late = (int64_t)(late - beats * period) < 0 ? 0 : late - beats * period;
        worst = late * 1000 / period > worst ? late * 1000 / period : worst;
        missed = late / period > missed ? late / period : missed;
        while (char_waiting()) {
            if (take_char(line, sizeof(line), &length)) {
                put_text("answer ");
                put_text(line);
                put_text(" at ");
                put_decimal(beats);
                put_text(" late ");
                put_decimal(worst);
                put_text(" missed ");
                put_decimal(missed);
                put_text("\n");
            }
        }
    }
}

/*
 * Resets as the first act of each life, so many times. What is left to do is kept where a reset
 * does not reach: in the CMOS clock's memory, two bytes that belong together.
 */
#define CMOS_LOOP   0x70
#define LOOP_ROUNDS 7
#define RESET_PORT  0xcf9

static void loop_store(uint8_t left) {
    out8(0x70, CMOS_LOOP);
    out8(0x71, left);
    out8(0x70, CMOS_LOOP + 1);
    out8(0x71, (uint8_t)~left);
}

static void go_on_resetting(void) {
    out8(0x70, CMOS_LOOP);
    uint8_t left = in8(0x71);
    out8(0x70, CMOS_LOOP + 1);
    uint8_t check = in8(0x71);
    if (left != 0 && (left ^ check) == 0xff) {
        loop_store(left - 1);
        out8(RESET_PORT, 0x06);
    }
}

void reset_loop(void) {
    loop_store(LOOP_ROUNDS);
    go_on_resetting();
}

void guest_main(void) {
    char name[40] = "interactive";
    go_on_resetting();
    (void)option_text("test", name, sizeof(name));
    put_text("\n# test guest: ");
    put_text(machine.cmdline);
    put_text("\n");
    if (option_number("sockets", 0) != 0) {
        sockets_on();
    }
    if (text_equal(name, "heartbeat")) {
        run_heartbeat();
    }
    if (!text_equal(name, "interactive")) {
        run_group(name);
    }
    run_interactive();
}
