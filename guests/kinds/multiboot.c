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
}
