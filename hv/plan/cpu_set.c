// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets of host CPU numbers. Pure; called by the config reader, the plan and whoever shows a set.
 */
#include "hv/lib/fmt.h"
#include "hv/plan/config.h"

const char *cpu_set_format(const struct cpu_set *set, char *buf, size_t size) {
    size_t used = fmt_print(buf, size, "%s", "");
    for (unsigned last = 0; last < CONFIG_MAX_CPUS && used < size; last++) {
        unsigned first = last;
        if (!cpu_set_has(set, first)) {
            continue;
        }
        while (cpu_set_has(set, last + 1)) {
            last++;
        }
        const char *comma = used != 0 ? "," : "";
        used += first == last ? fmt_print(buf + used, size - used, "%s%u", comma, first)
                              : fmt_print(buf + used, size - used, "%s%u-%u", comma, first, last);
    }
    return buf;
}
