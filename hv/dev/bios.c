/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hears of calls to the BIOS, which a guest's firmware answers with "not supported": counts them,
 * and has the first ones logged, so that an admin sees what a silent guest waits for. Any code of
 * the guest may write here what it likes; it costs a counter and a few lines.
 */
#include "hv/dev/platform.h"

void bios_reset(struct bios *bios, struct vm *vm) {
    bios->vm = vm;
    bios->left = BIOS_CALLS_SHOWN;
}

uint64_t bios_read(UNUSED void *dev, UNUSED uint64_t port, UNUSED unsigned size) {
    return UINT32_MAX;
}

void bios_write(void *dev, UNUSED uint64_t port, unsigned size, uint64_t value) {
    struct bios *bios = dev;
    if (size != 4) {
        return;
    }
    bios->calls++;
    if (bios->left != 0) {
        bios->left--;
        vm_bios_called(bios->vm, (uint8_t)(value >> 16), (uint16_t)value);
    }
}
