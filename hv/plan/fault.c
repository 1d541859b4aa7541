// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of configuration faults. Bounded: what does not fit is counted, never lost silently.
 * Filled by the config reader, plan_build() and plan_check(); shown by boot/ and tools/bhcheck.
 */
#include "hv/plan/fault.h"

#include "hv/lib/fmt.h"

void fault_add(struct fault_list *list, uint32_t line, uint32_t column, const char *format, ...) {
    if (list->count == FAULT_MAX) {
        list->dropped++;
        return;
    }
    struct fault *f = &list->faults[list->count++];
    f->line = line;
    f->column = column;
    va_list args;
    va_start(args, format);
    fmt_vprint(f->text, sizeof(f->text), format, args);
    va_end(args);
}

static bool stands_after(const struct fault *a, const struct fault *b) {
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

static void swap_faults(struct fault *a, struct fault *b) {
    uint8_t *x = (uint8_t *)a, *y = (uint8_t *)b;
    for (size_t i = 0; i < sizeof(*a); i++) { /* bytewise: no second fault on a small stack */
        uint8_t byte = x[i];
        x[i] = y[i];
        y[i] = byte;
    }
}

void fault_sort(struct fault_list *list) {
    for (uint32_t i = 1; i < list->count; i++) {
        for (uint32_t j = i; j > 0 && stands_after(&list->faults[j - 1], &list->faults[j]); j--) {
            swap_faults(&list->faults[j - 1], &list->faults[j]);
        }
    }
}

const char *fault_format(const struct fault_list *list, uint32_t i, char *buf, size_t size) {
    const struct fault *f = &list->faults[i];
    ASSERT(i < list->count);
    if (f->line == 0) {
        fmt_print(buf, size, "bulkhead.toml: %s", f->text);
    } else {
        fmt_print(buf, size, "bulkhead.toml:%u:%u: %s", f->line, f->column, f->text);
    }
    return buf;
}
