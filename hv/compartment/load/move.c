/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the guest's memory is to be moved or zeroed, and doing it in pieces. */
#include "hv/compartment/load/start.h"

static void move_note(struct load *l, const struct move *m) {
    bool there =
        load_at(l, m->to, m->size) != NULL && (m->zero || load_at(l, m->from, m->size) != NULL);

    if (m->size == 0) {
        return;
    }
    if (!there || l->move_count == MOVES_MOST) {
        l->outside = true;
        return;
    }
    l->moves[l->move_count] = *m;
    l->move_count++;
}

void move_bytes(struct load *l, uint64_t to, uint64_t from, uint64_t size) {
    move_note(l, &(struct move){.to = to, .from = from, .size = size});
}

void move_zeros(struct load *l, uint64_t at, uint64_t size) {
    move_note(l, &(struct move){.to = at, .size = size, .zero = true});
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    return min_u64(max_u64(value, least), most);
}

void move_file(struct load *l, uint64_t to, const struct bulkhead_piece *file, uint64_t skip,
               uint64_t size) {
    uint64_t begin = file->gpa;
    uint64_t end = begin + file->size;
    uint64_t front = clamp(to, begin, end);
    uint64_t back = clamp(to + size, begin, end);

    move_bytes(l, to, begin + skip, size);
    move_zeros(l, begin, front - begin);
    move_zeros(l, back, end - back);
}

/* What overlaps is read before it is overwritten: from its begin on where it goes down, else from
 * its end on. */
uint64_t move_some(struct load *l, uint64_t most) {
    const struct move *m = &l->moves[l->move_at];
    uint64_t size = min_u64(m->size - l->moved, most);
    bool upwards = m->zero || m->to <= m->from;
    uint64_t at = upwards ? l->moved : m->size - l->moved - size;
    uint8_t *to = l->low.at + m->to + at;

    if (m->zero) {
        memset(to, 0, size);
    } else {
        memmove(to, l->low.at + m->from + at, size);
    }
    l->moved += size;
    if (l->moved == m->size) {
        l->moved = 0;
        l->move_at++;
    }
    return size;
}
