/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A serial line that takes as many bytes as the test allows, and a screen, for the tests of
 * hv/monitor. Included by one C file per test program: it defines plat's functions.
 */
#ifndef TESTS_UNIT_FAKE_CONSOLE_H
#define TESTS_UNIT_FAKE_CONSOLE_H

#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"
#include "tests/unit/test.h"

#define FAKE_LINE_MAX 0x40000u

static struct {
    bool present;
    size_t room; /* bytes it still takes; SIZE_MAX = no limit */
    size_t length;
    char text[FAKE_LINE_MAX];
} fake_line;

#define FAKE_CPUS 4u

static struct {
    unsigned draws, draws_of_cpu[FAKE_CPUS];
    uint64_t ticks; /* that a cell takes */
    void (*on_draw)(void);
    struct screen_cell cells[128][256];
} fake_screen;

static uint64_t fake_tsc; /* us */
static unsigned fake_cpu; /* that runs */
static struct {
    uint64_t deadline;
    bool called;
} fake_cpus[FAKE_CPUS];
struct vm_public *vm_of_cpu[CONFIG_MAX_CPUS];
static unsigned fake_machine_resets;

size_t plat_serial_write(const uint8_t *bytes, size_t n) {
    if (!fake_line.present) {
        return n;
    }
    size_t taken = n < fake_line.room ? n : fake_line.room;
    if (taken > FAKE_LINE_MAX - 1 - fake_line.length) {
        printf("# fake line is full\n");
        exit(1);
    }
    memcpy(fake_line.text + fake_line.length, bytes, taken);
    fake_line.length += taken;
    fake_line.text[fake_line.length] = '\0';
    fake_line.room -= fake_line.room == SIZE_MAX ? 0 : taken;
    return taken;
}

bool plat_serial_present(void) {
    return fake_line.present;
}

unsigned plat_screen_columns, plat_screen_rows;

void plat_screen_draw(unsigned column, unsigned row, struct screen_cell cell) {
    if (column >= plat_screen_columns || row >= plat_screen_rows) {
        printf("# draws outside the screen: %u, %u\n", column, row);
        exit(1);
    }
    fake_screen.draws++;
    fake_screen.draws_of_cpu[fake_cpu]++;
    fake_screen.cells[row][column] = cell;
    fake_tsc += fake_screen.ticks;
    if (fake_screen.on_draw != NULL) {
        fake_screen.on_draw();
    }
}

unsigned plat_cpu(void) {
    return fake_cpu;
}

unsigned plat_cpu_count(void) {
    return FAKE_CPUS;
}

static unsigned fake_absent_cpu;
bool plat_cpu_online(unsigned cpu) {
    return cpu < FAKE_CPUS && (fake_absent_cpu == 0 || cpu != fake_absent_cpu);
}

void plat_console_timer_set(uint64_t tsc_deadline) {
    fake_cpus[fake_cpu].deadline = tsc_deadline;
}

void plat_console_call(unsigned cpu) {
    fake_cpus[cpu].called = true;
}

static void (*fake_on_work)(void); /* after it: what the guests' CPUs do */

/* One CPU's interrupt, if it is due. */
static inline void fake_interrupt(unsigned cpu) {
    uint64_t deadline = fake_cpus[cpu].deadline;
    bool due = deadline != 0 && deadline <= fake_tsc;
    if (due || fake_cpus[cpu].called) {
        unsigned before = fake_cpu;
        fake_cpu = cpu;
        fake_cpus[cpu].deadline = due ? 0 : deadline;
        fake_cpus[cpu].called = false;
        hv_console_work();
        fake_cpu = before;
        if (fake_on_work != NULL) {
            fake_on_work();
        }
    }
}

/* Time passes, and whoever set a timer gets its interrupt. */
static inline void fake_pass(uint64_t us) {
    uint64_t end = fake_tsc + us;
    while (fake_tsc < end) {
        for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
            fake_interrupt(cpu);
        }
        fake_tsc += 10;
    }
}

static unsigned fake_traces_cleared;
void plat_clear_traces(void) {
    fake_traces_cleared++;
}

uint64_t plat_tsc(void) {
    return fake_tsc;
}

uint64_t plat_tsc_hz(void) {
    return 1000000;
}

const char *plat_build_text(char *buf) {
    (void)str_copy_n(buf, PLAT_BUILD_SIZE, "Bulkhead 1.2.3", 14);
    return buf;
}

void plat_machine_reset(void) {
    fake_machine_resets++;
}

static unsigned fake_machine_offs;
static bool fake_can_switch_off;
bool plat_can_switch_off(void) {
    return fake_can_switch_off;
}

void plat_machine_off(void) {
    fake_machine_offs++;
}

/* A VM that runs, as other CPUs see it; four of them live at a time. */
static inline void fake_vm_set_up(struct vm_public *vm, const char *name) {
    static struct vcpu_public vcpus[4];
    static unsigned next;
    struct vcpu_public *vcpu = &vcpus[next++ % ARRAY_SIZE(vcpus)];
    memset(vcpu, 0, sizeof(*vcpu));
    memset(vm, 0, sizeof(*vm));
    vm->vcpus[0] = vcpu;
    snprintf(vm->name, sizeof(vm->name), "%s", name);
    vm->state = VM_RUNNING;
}

static inline void fake_console_set_up(bool serial, unsigned columns, unsigned rows) {
    memset(&fake_line, 0, sizeof(fake_line));
    memset(&fake_screen, 0, sizeof(fake_screen));
    fake_line.present = serial;
    fake_line.room = SIZE_MAX;
    plat_screen_columns = columns;
    plat_screen_rows = rows;
    fake_machine_resets = 0;
    fake_cpu = fake_absent_cpu = 0;
    memset(fake_cpus, 0, sizeof(fake_cpus));
    memset(vm_of_cpu, 0, sizeof(vm_of_cpu));
    fake_on_work = NULL;
}

/* What the line carried since the last call. */
static inline const char *fake_line_take(void) {
    static char taken[FAKE_LINE_MAX];
    memcpy(taken, fake_line.text, fake_line.length + 1);
    fake_line.length = 0;
    fake_line.text[0] = '\0';
    return taken;
}

static inline bool fake_screen_inverse(unsigned row, unsigned column) {
    return SCREEN_PAPER(fake_screen.cells[row][column].pair) == SCREEN_GREY;
}

/* A row of the screen without the blanks at its end. */
static inline const char *fake_screen_row(unsigned row) {
    static char text[256];
    unsigned n = 0;
    for (unsigned c = 0; c < plat_screen_columns; c++) {
        uint16_t character = fake_screen.cells[row][c].character;
        text[c] = character == 0 ? ' ' : (char)(character < 0x80 ? character : '?');
        n = text[c] != ' ' && text[c] != '\0' ? c + 1 : n;
    }
    text[n] = '\0';
    return text;
}

#endif
