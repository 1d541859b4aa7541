/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the two grids of cells, and a shadow of the framebuffer, which is never read. Scrolling
 * moves row numbers, not cells. See grid.h.
 */
#include "hv/monitor/grid.h"

#include "hv/lib/str.h"

#define TAKE_ROWS 4 /* compared at a time, about 1,000 cells */

typedef struct screen_cell grid_row[GRID_MAX_COLUMNS];

static struct grid {
    int columns, rows; /* of the text; row number rows is the status */
    int first, window; /* the row that callers call 0, and how many they have */
    bool screen;
    bool alternate[GRID_MAX_ROWS]; /* which of the two is shown there */
    /* Which of cells stands at each row: a scroll moves these numbers. */
    uint8_t place[2][GRID_MAX_ROWS];
    grid_row cells[2][GRID_MAX_ROWS];
    grid_row status;

    int cursor_row, cursor_column;
    bool cursor_visible, cursor_moved;
    int drawn_cursor_row;

    uint64_t written;
    bool any_dirty;
    bool dirty[GRID_MAX_ROWS];
    int next_row; /* the row that grid_take() looks at next: each gets its turn */
    grid_row drawn[GRID_MAX_ROWS];
} grid;

static const struct screen_cell blank = {' ', SCREEN_PAIR(SCREEN_GREY, SCREEN_BLACK), false};

/* By the screen's own count. */
static struct screen_cell *grid_row_on_screen(int row) {
    bool alternate = grid.alternate[row];
    return grid.cells[alternate][grid.place[alternate][row]];
}

static struct screen_cell *grid_row_at(int row) {
    ASSERT(row >= 0 && row < grid.window);
    return grid_row_on_screen(grid.first + row);
}

static void grid_mark(int first, int last) {
    for (int row = grid.first + first; row <= grid.first + last; row++) {
        grid.dirty[row] = true;
    }
    grid.any_dirty = true;
}

void grid_init(int columns, int rows, bool screen) {
    ASSERT(columns > 0 && columns <= GRID_MAX_COLUMNS && rows > 0 && rows < GRID_MAX_ROWS);
    memset(&grid, 0, sizeof(grid));
    grid.columns = columns;
    grid.rows = grid.window = rows;
    grid.screen = screen;
    for (int row = 0; row < GRID_MAX_ROWS; row++) {
        grid.place[0][row] = grid.place[1][row] = (uint8_t)row;
        for (int column = 0; column < GRID_MAX_COLUMNS; column++) {
            grid.cells[0][row][column] = grid.cells[1][row][column] = blank;
            grid.drawn[row][column] = blank; /* the screen was cleared */
        }
    }
    grid_set_status("");
}

void grid_window(int first, int rows) {
    ASSERT(first >= 0 && rows > 0 && rows <= grid.rows - first);
    grid.first = first;
    grid.window = rows;
}

struct screen_cell grid_get(int row, int column) {
    ASSERT(column >= 0 && column < grid.columns);
    return grid_row_at(row)[column];
}

void grid_put(int row, int column, struct screen_cell cell) {
    ASSERT(column >= 0 && column < grid.columns);
    grid_row_at(row)[column] = cell;
    grid.written++;
    grid_mark(row, row);
}

void grid_fill(int row, int from, int to, struct screen_cell cell) {
    ASSERT(from >= 0 && to <= grid.columns);
    struct screen_cell *cells = grid_row_at(row);
    for (int column = from; column < to; column++) {
        cells[column] = cell;
    }
    grid.written += (uint64_t)(to - from);
    grid_mark(row, row);
}

void grid_scroll(int top, int bottom, int n, struct screen_cell fill) {
    ASSERT(top >= 0 && top <= bottom && bottom < grid.window);
    int height = bottom - top + 1;
    int up = n > 0 ? n : -n;
    if (up >= height) {
        up = height;
        n = height;
    }
    uint8_t *places = grid.place[grid.alternate[grid.first]] + grid.first;
    uint8_t old[GRID_MAX_ROWS];
    memcpy(old, places, (size_t)grid.window);

    for (int i = 0; i < height; i++) {
        places[top + i] = old[top + (i + height + n) % height];
    }
    int first = n > 0 ? bottom - up + 1 : top;
    for (int row = first; row < first + up; row++) {
        grid_fill(row, 0, grid.columns, fill);
    }
    grid.written += (uint64_t)height;
    grid_mark(top, bottom);
}

void grid_shift(int row, int column, int n, struct screen_cell fill) {
    ASSERT(column >= 0 && column < grid.columns);
    struct screen_cell *cells = grid_row_at(row) + column;
    int width = grid.columns - column;
    int by = n > 0 ? n : -n;
    if (by > width) {
        by = width;
    }
    size_t moved = (size_t)(width - by) * sizeof(*cells);
    grid.written += (uint64_t)width;
    if (n > 0) {
        memmove(cells + by, cells, moved);
        grid_fill(row, column, column + by, fill);
    } else {
        memmove(cells, cells + by, moved);
        grid_fill(row, grid.columns - by, grid.columns, fill);
    }
}

void grid_show(bool alternate) {
    for (int row = grid.first; row < grid.first + grid.window; row++) {
        grid.alternate[row] = alternate;
    }
    grid_mark(0, grid.window - 1);
}

void grid_set_cursor(int row, int column, bool visible) {
    row += grid.first;
    visible = visible && grid.window == grid.rows;
    bool same = row == grid.cursor_row && column == grid.cursor_column;
    if (same && visible == grid.cursor_visible) {
        return;
    }
    grid.cursor_row = row;
    grid.cursor_column = column;
    grid.cursor_visible = visible;
    grid.cursor_moved = true;
    grid.any_dirty = true;
}

void grid_set_status(const char *text) {
    for (int column = 0; column < grid.columns; column++) {
        struct screen_cell cell = {' ', SCREEN_PAIR(SCREEN_BLACK, SCREEN_GREY), false};
        if (*text != '\0') {
            cell.character = (uint8_t)*text;
            text++;
        }
        grid.status[column] = cell;
    }
    grid.dirty[grid.rows] = true;
    grid.any_dirty = true;
}

uint64_t grid_written(void) {
    return grid.written;
}

bool grid_is_dirty(void) {
    return grid.any_dirty && grid.screen;
}

/* The cell as it should stand on the screen: the cursor is a cell in exchanged colours. */
static struct screen_cell grid_compose(const struct screen_cell *cells, int row, int column) {
    struct screen_cell cell = cells[column];
    if (grid.cursor_visible && row == grid.cursor_row && column == grid.cursor_column) {
        cell.pair = SCREEN_PAIR(SCREEN_PAPER(cell.pair), SCREEN_INK(cell.pair));
    }
    return cell;
}

static bool grid_same(struct screen_cell a, struct screen_cell b) {
    return a.character == b.character && a.pair == b.pair && a.underline == b.underline;
}

/* Adds to out, which has room for max, what changed in a row; false if there was more. */
static bool grid_take_row(int row, struct grid_change *out, unsigned max, unsigned *count) {
    const struct screen_cell *cells = row == grid.rows ? grid.status : grid_row_on_screen(row);
    for (int column = 0; column < grid.columns; column++) {
        struct screen_cell cell = grid_compose(cells, row, column);
        if (grid_same(cell, grid.drawn[row][column])) {
            continue;
        }
        if (*count == max) {
            return false;
        }
        out[*count] = (struct grid_change){(uint8_t)column, (uint8_t)row, cell};
        (*count)++;
        grid.drawn[row][column] = cell;
    }
    return true;
}

unsigned grid_take(struct grid_change *out, unsigned max) {
    if (!grid_is_dirty()) {
        return 0;
    }
    if (grid.cursor_moved) {
        grid.cursor_moved = false;
        grid.dirty[grid.drawn_cursor_row] = true;
        grid.dirty[grid.cursor_row] = true;
        grid.drawn_cursor_row = grid.cursor_row;
    }
    unsigned count = 0;
    int looked = 0;
    for (int i = 0; i <= grid.rows; i++) {
        int row = grid.next_row;
        if (grid.dirty[row]) {
            if (looked == TAKE_ROWS || !grid_take_row(row, out, max, &count)) {
                return count;
            }
            looked++;
            grid.dirty[row] = false;
        }
        grid.next_row = row == grid.rows ? 0 : row + 1;
    }
    grid.any_dirty = false;
    return count;
}
