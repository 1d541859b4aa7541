/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bzImage without a 64-bit entry point: registers and boot_params of the 32-bit boot protocol. */
#include "guests/kinds/kinds.h"

static uint32_t word(uint32_t at) {
    return *(const uint32_t *)at;
}

/* On AMD the loader adds the TSC's frequency. */
static bool is_command_line(const char *seen) {
    const char *rest = seen + sizeof(KINDS_CMDLINE) - 1;
    for (unsigned i = 0; i < sizeof(KINDS_CMDLINE) - 1; i++) {
        if (seen[i] != KINDS_CMDLINE[i]) {
            return false;
        }
    }
    for (const char *added = " tsc_early_khz="; *rest != 0 && *added != 0; rest++, added++) {
        if (*rest != *added) {
            return false;
        }
    }
    return true;
}

void kind_main(const struct first_state *s) {
    const uint32_t params = s->si;
    tap_common(s);
    tap((s->cr0 >> 31) == 0, "paging is off", s->cr0);
    tap((s->bp | s->di | s->bx) == 0, "EBP, EDI, EBX are 0", s->bp | s->di | s->bx);
    tap(word(params + 0x202) == 0x53726448, "ESI is the address of boot_params", params);
    tap(word(params + 0x214) == 0x100000, "code32_start", word(params + 0x214));
    tap(is_command_line((const char *)word(params + 0x228)), "command line", word(params + 0x228));
    tap_module(word(params + 0x218), word(params + 0x21c));
    tap_map((const uint8_t *)params + 0x2d0, *(const uint8_t *)(params + 0x1e8), 20);
}
