// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of configuration faults. Bounded: what does not fit is counted, never lost silently.
 * Filled by the config reader, plan_build() and plan_check(); shown by boot/ and tools/bhcheck.
 */
#include "config/fault.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

/* Room for one more at its place; NULL if the list is full. */
static struct fault *insert(struct fault_list *list, uint32_t line, uint32_t column) {
    if (list->count == FAULT_MAX) {
        list->dropped++;
        return NULL;
    }
    struct fault *f = &list->faults[list->count++];
    while (f > list->faults &&
           (f[-1].line > line || (f[-1].line == line && f[-1].column > column))) {
        memcpy(f, f - 1, sizeof(*f));
        f--;
    }
    f->line = line;
    f->column = column;
    return f;
}

void fault_add_file(struct fault_list *list, const char *path, const char *why) {
    struct fault *f = insert(list, 0, 0);

    if (f != NULL) {
        (void)fmt_print(f->text, FAULT_TEXT_SIZE, "%s: %s" MSG(1185), path, why);
    }
}

void fault_add(struct fault_list *list, uint32_t line, uint32_t column, const char *format, ...) {
    struct fault *f = insert(list, line, column);
    if (f == NULL) {
        return;
    }
    const char *file = list->file != NULL ? list->file : "bulkhead.toml";
    size_t used = line == 0 ? fmt_print(f->text, FAULT_TEXT_SIZE, "%s: ", file)
                            : fmt_print(f->text, FAULT_TEXT_SIZE, "%s:%u:%u: ", file, line, column);
    va_list args;
    va_start(args, format);
    fmt_vprint(f->text + used, FAULT_TEXT_SIZE - used, format, args);
    va_end(args);
}
