// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of what can be avoided. Pure; called by the config reader, the pre-flight and the log.
 */
#include "hv/lib/fmt.h"
#include "hv/plan/config.h"

/* By the numbers of enum config_avoid's bits. */
const char *const config_avoid_names[CONFIG_AVOIDS] = {
    [AVOID_APICV] = "apicv",
    [AVOID_POSTING] = "posting",
    [AVOID_VPID] = "vpid",
    [AVOID_1G] = "1g",
    [AVOID_BUS_LOCKS] = "bus-locks",
    [AVOID_X2APIC] = "x2apic",
    [AVOID_DEADLINE] = "deadline",
    [AVOID_IOMMU] = "iommu",
    [AVOID_CLEAN_BITS] = "clean-bits",
    [AVOID_NEXT_RIP] = "next-rip",
    [AVOID_DECODE_ASSISTS] = "decode-assists",
    [AVOID_FLUSH_BY_ASID] = "flush-by-asid",
};

const char *config_avoid_format(uint32_t avoid, char *buf, size_t size) {
    size_t used = fmt_print(buf, size, "%s", "");
    for (unsigned i = 0; i < CONFIG_AVOIDS && used < size; i++) {
        if ((avoid & BIT32(i)) != 0) {
            const char *blank = used != 0 ? " " : "";
            used += fmt_print(buf + used, size - used, "%s%s", blank, config_avoid_names[i]);
        }
    }
    return buf;
}
