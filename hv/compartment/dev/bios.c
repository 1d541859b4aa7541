/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hears of calls to the BIOS, which a guest's firmware answers with "not supported", and hands them
 * on, so that an admin sees what a silent guest waits for. Any code of the guest may write here
 * what it likes: who counts and logs them sets the limits.
 */
#include "hv/compartment/dev/models.h"

static void bios_reset(UNUSED struct device *dev) {
}

static uint64_t bios_read(UNUSED struct device *dev, UNUSED unsigned region, UNUSED uint64_t at,
                          UNUSED unsigned size) {
    return UINT32_MAX;
}

static void bios_write(struct device *dev, UNUSED unsigned region, UNUSED uint64_t at,
                       unsigned size, uint64_t value) {
    if (size == 4) {
        dev->env->event(dev->env, DEV_BIOS_CALLED, (uint32_t)value);
    }
}

const struct device_ops bios_ops = {
    .name = "calls to a BIOS",
    .reset = bios_reset,
    .read = bios_read,
    .write = bios_write,
};
