/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A serial line that takes as many bytes as the test allows, and a screen, for the tests of
 * hv/monitor. Included by one C file per test program: it defines plat's functions.
 */
#ifndef TESTS_UNIT_FAKE_CONSOLE_H
#define TESTS_UNIT_FAKE_CONSOLE_H

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

static struct {
    unsigned draws;
    uint8_t character[128][256];
    bool inverse[128][256];
} fake_screen;

static uint64_t fake_tsc; /* us */
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

unsigned plat_screen_columns, plat_screen_rows;

void plat_screen_draw(unsigned column, unsigned row, uint8_t character, bool inverse) {
    if (column >= plat_screen_columns || row >= plat_screen_rows) {
        printf("# draws outside the screen: %u, %u\n", column, row);
        exit(1);
    }
    fake_screen.draws++;
    fake_screen.character[row][column] = character;
    fake_screen.inverse[row][column] = inverse;
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

void plat_machine_reset(void) {
    fake_machine_resets++;
}

/* Stands in for hv/vm/vm.c. */
const char *vm_state_name(enum vm_state state) {
    return state == VM_RUNNING ? "running" : state == VM_CRASHED ? "crashed" : "stopped";
}

/* A VM with a name and memory for its scrollback; four of them live at a time. */
static inline void fake_vm_set_up(struct vm *vm, const char *name) {
    static uint8_t budgets[4][128 * KIB] ALIGNED(PAGE_SIZE);
    static unsigned next;
    memset(vm, 0, sizeof(*vm));
    snprintf(vm->name, sizeof(vm->name), "%s", name);
    vm->state = VM_RUNNING;
    pool_init(&vm->pool, name, HPA((uintptr_t)budgets[next++ % 4]), sizeof(budgets[0]));
}

static inline void fake_console_set_up(bool serial, unsigned columns, unsigned rows) {
    memset(&fake_line, 0, sizeof(fake_line));
    memset(&fake_screen, 0, sizeof(fake_screen));
    fake_line.present = serial;
    fake_line.room = SIZE_MAX;
    plat_screen_columns = columns;
    plat_screen_rows = rows;
    fake_machine_resets = 0;
}

/* What the line carried since the last call. */
static inline const char *fake_line_take(void) {
    static char taken[FAKE_LINE_MAX];
    memcpy(taken, fake_line.text, fake_line.length + 1);
    fake_line.length = 0;
    fake_line.text[0] = '\0';
    return taken;
}

/* A row of the screen without the blanks at its end. */
static inline const char *fake_screen_row(unsigned row) {
    static char text[256];
    unsigned n = 0;
    for (unsigned c = 0; c < plat_screen_columns; c++) {
        text[c] = (char)fake_screen.character[row][c];
        n = text[c] != ' ' && text[c] != '\0' ? c + 1 : n;
    }
    text[n] = '\0';
    return text;
}

#endif
