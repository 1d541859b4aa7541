/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Multiboot ELF32 kernel: magic, information, module. Multiboot Specification 0.6.96. */
#include "guests/kinds/kinds.h"

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name;
};

struct multiboot_module {
    uint32_t begin, end, text, reserved;
};

static const char *text_at(uint32_t address) {
    return (const char *)address;
}

enum { CARRY = 0x01, ZERO = 0x40 };

static const volatile struct real_call *call_bios(unsigned vector, unsigned ax) {
    volatile struct real_call *call = REAL_CALL;
    call->vector = vector;
    call->ax = ax;
    call->bx = 0x5510;
    call->flags = 0;
    real_mode_int();
    return call;
}

/* There is none: each service says so in its own way, and every vector comes back. */
static void tap_bios(void) {
    static const struct {
        uint16_t vector, ax, answer, flags;
        const char *text;
    } calls[] = {
        {0x15, 0xe820, 0x8620, CARRY, "INT 15h: not supported"},
        {0x13, 0x4155, 0x0155, CARRY, "INT 13h: no such command"},
        {0x10, 0x4f00, 0x4f00, 0, "INT 10h: nothing happens"},
        {0x16, 0x0100, 0, ZERO, "INT 16h: no key"},
        {0x12, 0x1234, 639, 0, "INT 12h: 639 KiB"},
        {0x08, 0x1234, 0x1234, 0, "INT 8: all registers kept"},
        {0x70, 0x1234, 0x1234, 0, "INT 70h: all registers kept"},
    };
    unsigned back = 0;
    for (unsigned i = 0; i < COUNT(calls); i++) {
        const volatile struct real_call *c = call_bios(calls[i].vector, calls[i].ax);
        tap(c->ax == calls[i].answer, calls[i].text, c->ax);
        tap(c->bx == 0x5510, "BX is kept", c->bx);
        if (calls[i].flags != 0) {
            tap((c->flags & calls[i].flags) != 0, "the flag that says so", c->flags);
        }
    }
    for (unsigned vector = 0; vector < 256; vector++) {
        back += call_bios(vector, 0)->bx == 0x5510;
    }
    tap(back == 256, "256 vectors come back", back);
}

void kind_main(const struct first_state *s) {
    const struct multiboot_info *info = (const struct multiboot_info *)s->bx;
    const struct multiboot_module *module = (const struct multiboot_module *)info->mods_addr;
    tap_common(s);
    tap(s->ax == 0x2badb002, "EAX is the loader's magic", s->ax);
    tap((s->cr0 >> 31) == 0, "paging is off", s->cr0);
    tap((info->flags & 0x24d) == 0x24d, "memory, command line, modules, map, loader", info->flags);
    tap((info->flags & ~0x24du) == 0, "nothing else is promised", info->flags);
    tap(info->mem_lower == 639, "mem_lower", info->mem_lower);
    tap(info->mem_upper == 16 * 1024 - 1024 - 64, "mem_upper", info->mem_upper);
    tap(text_equal(text_at(info->cmdline), KINDS_CMDLINE), "command line", info->cmdline);
    tap(text_equal(text_at(info->loader_name), "Bulkhead"), "loader's name", info->loader_name);
    tap(info->mods_count == 1, "one module", info->mods_count);
    tap_module(module->begin, module->end - module->begin);
    tap(text_equal(text_at(module->text), KINDS_PATH), "the module's string", module->text);
    const uint8_t *map = (const uint8_t *)info->mmap_addr;
    tap(info->mmap_length % 24 == 0 && *(const uint32_t *)map == 20, "map of entries of 24 bytes",
        info->mmap_length);
    tap_map(map + 4, info->mmap_length / 24, 24);
    tap_bios();
}
