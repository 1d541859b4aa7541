/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the config, or a guest's table of it, from the copy in memory that this start was made of.
 * That copy is mapped by no CPU: a window shows a piece of it for a moment. Called by acts.c.
 */
#include "hv/monitor/papers.h"

#include "hv/lib/phys.h"
#include "hv/monitor/console.h"

#define PIECE 120u /* bytes that are printed at a time */

struct papers_range {
    uint64_t from, end; /* bytes of the text */
};

static SEALED hpa_t papers_text;
static SEALED uint64_t papers_size;
static SEALED struct papers_range papers_guests[CONFIG_MAX_GUESTS];

static uint64_t papers_at; /* of what is printed: the next byte */

/* The line of the next table's head, as the tables lie in the file; 0 = there is none. */
static uint32_t next_table(const struct config *config, uint32_t after) {
    uint32_t next = 0;

    for (uint32_t i = 0; i < config->guest_count + config->wire_count; i++) {
        uint32_t line = i < config->guest_count
                            ? config->guests[i].table_pos.line
                            : config->wires[i - config->guest_count].table_pos.line;
        if (line > after && (next == 0 || line < next)) {
            next = line;
        }
    }
    return next;
}

/* Where a line begins, of lines from 1; the end if there are not so many. */
static uint64_t line_offset(const char *text, uint64_t size, uint32_t line) {
    uint64_t at = 0;

    while (line > 1 && at < size) {
        line -= text[at] == '\n' ? 1 : 0;
        at++;
    }
    return at;
}

void papers_init(const struct boot_info *info) {
    const char *text = phys_pointer(info->config_text);

    papers_text = info->config_text;
    papers_size = info->config_size;
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        uint32_t line = info->config.guests[i].table_pos.line;
        uint32_t next = next_table(&info->config, line);
        papers_guests[i].from = line_offset(text, papers_size, line);
        papers_guests[i].end = next != 0 ? line_offset(text, papers_size, next) : papers_size;
    }
}

/* The rest of the line from papers_at on, or a piece of a long one. */
static enum show print_piece(uint64_t end) {
    char piece[PIECE + 2];
    size_t n = 0;
    uint64_t size = min_u64(PIECE, end - papers_at);

    if (size == 0) {
        return SHOW_END;
    }
    hpa_t at = HPA(papers_text.v + papers_at);
    const char *text = plat_window_open(WINDOW_READ, at, size);
    while (n < size && (n == 0 || piece[n - 1] != '\n')) {
        piece[n] = text[n];
        n++;
    }
    plat_window_close(WINDOW_READ, at, size);
    papers_at += n;
    if (papers_at == end && piece[n - 1] != '\n') {
        piece[n++] = '\n';
    }
    console_print("%.*s", (int)n, piece);
    return SHOW_PRINTED;
}

enum show papers_show(unsigned line) {
    if (line == 0) {
        papers_at = 0;
        console_print("# as it was read at this start; a changed file counts from the next one\n");
        return SHOW_PRINTED;
    }
    return print_piece(papers_size);
}

enum show papers_show_guest(unsigned guest, unsigned line) {
    if (line == 0) {
        papers_at = papers_guests[guest].from;
    }
    return print_piece(papers_guests[guest].end);
}
