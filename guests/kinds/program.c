/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A 64-bit program, as an ELF file and as a flat binary: what hv/abi.h and docs/guests.md promise.
 */
#include "guests/kinds/kinds.h"
#include "hv/abi.h"

extern const uint8_t start[]; /* entry.S */

void kind_main(const struct first_state *s) {
    const struct bulkhead_start *b = (const struct bulkhead_start *)s->di;
    uint32_t low, high;
    tap_common(s);
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000080));
    tap((low & 0x500) == 0x500 && (s->cr0 >> 31) == 1, "64-bit mode", low);
    tap((s->ax | s->bx | s->cx | s->dx | s->si | s->bp) == 0, "other registers are 0", s->ax);
    tap(s->sp <= 0x9f000 && s->sp > 0x9ef00 && s->sp % 16 == 0, "a stack below 9F000h", s->sp);
    tap((uintptr_t)start == 0x100000, "the first byte is at 1 MiB", (uintptr_t)start);
    tap(b->magic == BULKHEAD_START_MAGIC && b->size == sizeof(*b),
        "RDI is the address of struct bulkhead_start", s->di);
    tap(b->vcpu_count == 1 && b->low_ram == 0x1000000 && b->high_ram == 0, "CPUs and memory",
        b->low_ram);
    tap(text_equal((const char *)b->cmdline.gpa, KINDS_CMDLINE), "command line", b->cmdline.gpa);
    tap(text_equal((const char *)b->initrd_path.gpa, KINDS_PATH), "the file's path",
        b->initrd_path.gpa);
    tap_module(b->initrd.gpa, b->initrd.size);
    tap(*(const uint64_t *)b->rsdp == 0x2052545020445352, "the RSDP", b->rsdp);
    tap_map((const uint8_t *)b->memory_map.gpa, b->memory_map.size / 20, 20);
}
