/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console's terminal as a program: reads what a guest would print. "screen COLUMNS ROWS" prints
 * the cells, "line COLUMNS ROWS" what an admin's terminal on the serial line would get. For
 * scripts/terminal_check.py.
 */
#include "tests/unit/fake_console.h"
#include "tests/unit/grid_text.h"

void hv_console_work(void) {
}

int main(int argc, char **argv) {
    uint8_t bytes[4096];
    struct seq seq;

    if (argc != 4) {
        fputs("usage: print_terminal screen|line COLUMNS ROWS\n", stderr);
        return 2;
    }
    bool line = strcmp(argv[1], "line") == 0;
    /* One row more, for the status. */
    fake_console_set_up(false, (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]) + 1);
    term_init();
    seq_reset(&seq);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), stdin)) != 0;) {
        grid_text_feed(&seq, bytes, n, line ? stdout : NULL);
    }
    if (!line) {
        grid_text(stdout);
    }
    return 0;
}
