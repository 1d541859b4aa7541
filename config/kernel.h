/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's kernel file, untrusted: its kind found out, checked, turned into plain numbers, by
 * which boot/ and tools/bhcheck refuse what cannot boot or does not fit. Nothing is loaded here:
 * that is for the guest's compartment (hv/compartment/load). References: Linux
 * Documentation/x86/boot.rst; Multiboot Specification 0.6.96 "OS image format"; System V ABI
 * "Object Files".
 */
#pragma once

#include "config/plan.h"
#include "hv/abi.h"
#include "hv/lib/message.h"

struct kernel {
    uint64_t base, end;   /* the addresses that it takes once running */
    bool apart;           /* its file may not lie there as well, being loaded piece by piece */
    bool unpacks;         /* Linux: itself, then the initrd, whose files take memory as well */
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* bytes without the NUL */
};

/*
 * type: enum bulkhead_kernel, as the config says. *why: why a file was refused, as a sentence part
 * ("is not a bzImage: ..."), else NULL.
 */
MUST_USE enum status kernel_parse(const void *bytes, uint64_t size, uint32_t type,
                                  struct kernel *out, const char **why);

/*
 * Bytes of low RAM, a multiple of 2 MiB, that the kernel needs to be started in; 0 = no amount
 * does. kernel comes from kernel_parse(), file_size is that of its file, initrd_size 0 = none.
 */
uint64_t kernel_memory_needed(const struct kernel *kernel, uint64_t file_size,
                              uint64_t initrd_size);

/*
 * Bytes of memory with which a guest gets to its first program, as far as one can know: what
 * messages advise. needed comes from kernel_memory_needed() and is not 0; unpacked from
 * initrd_unpacked_size().
 */
uint64_t kernel_memory_advised(const struct kernel *kernel, uint64_t needed, uint64_t initrd_size,
                               uint64_t unpacked);

/*
 * What a message would advise, in bytes, where a guest of a plan has less: it is started, but its
 * Linux may not get to its first program. 0 = it has enough, as far as one can know.
 */
uint64_t kernel_memory_missed(const struct boot_info *info, const struct config_guest *guest);

/* The words about it, for fmt_print(): name, memory, advice. */
#define KERNEL_MEMORY_MISSED                                                                       \
    "guest \"%s\": memory = \"%s\" may be too little for Linux "                                   \
    "to start its first program: \"%s\" is enough" MSG(1191)

/*
 * Judges each guest's kernel, initrd size and command line against its memory, and reports
 * where the config names them. To be called before plan_build(), which refuses what has faults;
 * a file that is missing or empty is left to that.
 */
void kernel_check_guests(const struct boot_info *info, struct fault_list *faults);

/*
 * Bytes that an initrd takes once Linux has unpacked it: what its headers say, or a guess by the
 * size of the file.
 */
uint64_t initrd_unpacked_size(const uint8_t *file, uint64_t size);

/* foreign.c: why a file that is often taken for a kernel is none, as a sentence part; or NULL. */
const char *foreign_find(const uint8_t *file, uint64_t size);

/* For kernel.c, from program.c: a look at the first bytes; why a file is refused, or NULL. */
#define KERNEL_SIZE_LIMIT BIT(44) /* far above all low RAM, far below where sums overflow */
uint64_t number_at(const uint8_t *file, uint64_t at, unsigned bytes);
bool elf_is(const uint8_t *file, uint64_t size);
bool elf64_is(const uint8_t *file, uint64_t size);
bool multiboot_is(const uint8_t *file, uint64_t size);
bool vmlinux_is(const uint8_t *file, uint64_t size); /* Linux as an ELF file, not a bzImage */
const char *elf_parse(const uint8_t *file, uint64_t size, struct kernel *k);
const char *multiboot_parse(const uint8_t *file, uint64_t size, struct kernel *k);
