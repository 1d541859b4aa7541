/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What everyday programs print, recorded in tests/terminal by scripts/terminal_check.py, which has
 * also seen that another terminal shows the same: NAME.in is what came, NAME.out the cells it makes
 * on 80 x 24. And what passes to an admin's terminal makes the same cells.
 */
#include <glob.h>

#include "tests/unit/fake_console.h"
#include "tests/unit/grid_text.h"
#include "tests/unit/read_file.h"

#define RECORDED_MIN 8u /* so many there are at least: a test of nothing passes */

void hv_console_work(void) {
}

/* The cells that so many bytes make; what passes comes out in line. */
static char *shown(const char *bytes, size_t n, char **line, size_t *line_size) {
    char *text = NULL;
    size_t size = 0;
    struct seq seq;
    FILE *out = open_memstream(&text, &size);
    FILE *passed = open_memstream(line, line_size);

    fake_console_set_up(false, 80, 25);
    term_init();
    seq_reset(&seq);
    grid_text_feed(&seq, (const uint8_t *)bytes, n, passed);
    grid_text(out);
    fclose(passed);
    fclose(out);
    return text;
}

/* The first line that differs. */
static void compare(const char *name, const char *what, const char *seen, const char *want) {
    unsigned line = 1;
    if (strcmp(seen, want) == 0) {
        return;
    }
    while (*seen == *want) {
        line += *seen == '\n';
        seen++;
        want++;
    }
    test_failures++;
    printf("# %s, %s: line %u: expected \"%.60s\", saw \"%.60s\"\n", name, what, line, want, seen);
}

static void check_recording(char *name) {
    size_t in_size, out_size, line_size, again_size;
    char *line, *again;
    char *in = read_file(name, &in_size);
    memcpy(strrchr(name, '.'), ".out", 5);
    char *out = read_file(name, &out_size);

    char *screen = shown(in, in_size, &line, &line_size);
    char *terminal = shown(line, line_size, &again, &again_size);
    compare(name, "screen", screen, out);
    compare(name, "serial line", terminal, out);
    /* All that passed once passes again. */
    CHECK(again_size == line_size && memcmp(again, line, line_size) == 0);
    free(in);
    free(out);
    free(line);
    free(again);
    free(screen);
    free(terminal);
}

TEST(programs_are_shown_as_elsewhere) {
    glob_t found;
    CHECK_U64(glob("tests/terminal/*.in", 0, NULL, &found), 0);
    CHECK(found.gl_pathc >= RECORDED_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[256];
        snprintf(name, sizeof(name), "%s", found.gl_pathv[i]);
        check_recording(name);
    }
    globfree(&found);
}

TEST_MAIN(T(programs_are_shown_as_elsewhere))
