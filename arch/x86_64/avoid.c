/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Features of the CPU that the config has Bulkhead do without, so that a fault in the field can be
 * narrowed down to one of them. Called by start.c first of all, then by who uses such a feature.
 */
#include "arch/x86_64/arch.h"
#include "hv/plan/boot_info.h"

static SEALED uint32_t avoided;

void avoid_init(const struct config *config) {
    avoided = config->avoid;
}

uint32_t avoid_set(void) {
    return avoided;
}

bool avoid_wants(enum config_avoid feature) {
    return (avoided & BIT32(feature)) != 0;
}

void avoid_report(bool x2apic) {
    char names[CONFIG_AVOID_SIZE];
    if (avoided != 0) {
        log_warn("not used, as the config says (avoid): %s" MSG(4021),
                 config_avoid_format(avoided, names, sizeof(names)));
    }
    if (avoid_wants(AVOID_X2APIC) && x2apic) {
        log_warn("x2APIC is used all the same: the firmware has switched it on" MSG(4022));
    }
}
