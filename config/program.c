// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looks at kernels that are no Linux: Multiboot and ELF files, as far as a refusal before the start
 * needs it. The file is untrusted. Sources: Multiboot Specification 0.6.96 "OS image format";
 * System V ABI "Object Files", "Program Loading".
 */
#include "config/kernel.h"
#include "hv/lib/str.h"

#define MULTIBOOT_MAGIC     0x1badb002u
#define MULTIBOOT_AREA      8192u
#define MULTIBOOT_ADDRESSES BIT32(16)
#define MULTIBOOT_REFUSED   0xfffcu /* all but aligned modules and memory map */
#define SEGMENTS_MOST       16u
#define SEGMENT_NOTE        4u
#define NOTE_ALIGNMENT      4u
/* As in hv/compartment/load. */
#define LOW_FREE            0x1000u
#define LOW_FREE_END        0x90000u

#define LOW                                                                                        \
    "wants to lie where the firmware is, up to 4 KiB and from 576 KiB to 1 MiB: link it elsewhere"
#define DAMAGED "is truncated or damaged: its headers name what is not in the file; copy it again"

/* Takes one more piece of memory into *k; false if that is not free, or too high to be true. */
static bool take(struct kernel *k, uint64_t address, uint64_t size) {
    uint64_t least = address < MIB ? LOW_FREE : MIB;
    uint64_t most = address < MIB ? LOW_FREE_END : KERNEL_SIZE_LIMIT;
    if (address < least || address > most || size > most - address) {
        return false;
    }
    k->base = k->end == 0 ? address : min_u64(k->base, address);
    k->end = max_u64(k->end, address + size);
    k->apart = true;
    return true;
}

/* Where the fields are and how wide, by class - 1. */
static const struct elf_layout {
    uint8_t machine, wide; /* bytes of an address */
    uint8_t header_size, phoff, phentsize, phnum;
    uint8_t offset, paddr, filesz, memsz, size; /* of a program header */
} elf_layouts[] = {
    {3, 4, 52, 28, 42, 44, 4, 12, 16, 20, 32},
    {62, 8, 64, 32, 54, 56, 8, 24, 32, 40, 56},
};

bool elf_is(const uint8_t *file, uint64_t size) {
    return size >= elf_layouts[1].header_size && memcmp(file, "\177ELF", 4) == 0 &&
           (file[4] == 1 || file[4] == 2);
}

bool elf64_is(const uint8_t *file, uint64_t size) {
    return elf_is(file, size) && file[4] == 2;
}

/* Notes of this program header: does their maker call this Linux? Builds of it have one or both. */
static bool notes_name_linux(const uint8_t *notes, uint64_t size) {
    enum { HEADER = 12, XEN_GUEST_OS = 6 };
    uint64_t at = 0;
    while (at < size && size - at >= HEADER) {
        uint64_t name_size = number_at(notes, at, 4);
        uint64_t text_size = number_at(notes, at + 4, 4);
        uint64_t type = number_at(notes, at + 8, 4);
        uint64_t name = at + HEADER;
        uint64_t text = name + ALIGN_UP(name_size, NOTE_ALIGNMENT);
        at = text + ALIGN_UP(text_size, NOTE_ALIGNMENT);
        if (at > size) {
            return false;
        }
        bool own = name_size == 6 && memcmp(notes + name, "Linux", 6) == 0;
        bool xen = name_size == 4 && memcmp(notes + name, "Xen", 4) == 0;
        if (own || (xen && type == XEN_GUEST_OS && text_size == 6 &&
                    memcmp(notes + text, "linux", 6) == 0)) {
            return true;
        }
    }
    return false;
}

bool vmlinux_is(const uint8_t *file, uint64_t size) {
    if (!elf_is(file, size)) {
        return false;
    }
    const struct elf_layout *l = &elf_layouts[file[4] - 1];
    uint64_t at = number_at(file, l->phoff, l->wide);
    uint64_t count = number_at(file, l->phnum, 2);
    if (number_at(file, l->phentsize, 2) != l->size || at > size || count * l->size > size - at) {
        return false;
    }
    for (const uint8_t *p = file + at; count > 0; count--, p += l->size) {
        uint64_t offset = number_at(p, l->offset, l->wide);
        uint64_t bytes = number_at(p, l->filesz, l->wide);
        if (number_at(p, 0, 4) == SEGMENT_NOTE && offset <= size && bytes <= size - offset &&
            notes_name_linux(file + offset, bytes)) {
            return true;
        }
    }
    return false;
}

const char *elf_parse(const uint8_t *file, uint64_t size, struct kernel *k) {
    struct {
        uint64_t begin, end;
    } taken[SEGMENTS_MOST];
    const struct elf_layout *l = &elf_layouts[file[4] - 1];
    uint64_t at = number_at(file, l->phoff, l->wide), count = number_at(file, l->phnum, 2);
    unsigned segments = 0;
    if (file[5] != 1 || number_at(file, 16, 2) != 2 || number_at(file, 18, 2) != l->machine) {
        return "is no executable for x86: link it as a static one, not position independent";
    }
    if (number_at(file, l->phentsize, 2) != l->size || at > size || count * l->size > size - at) {
        return DAMAGED;
    }
    for (const uint8_t *p = file + at; count > 0; count--, p += l->size) {
        uint64_t address = number_at(p, l->paddr, l->wide),
                 memory = number_at(p, l->memsz, l->wide);
        uint64_t offset = number_at(p, l->offset, l->wide),
                 bytes = number_at(p, l->filesz, l->wide);
        if (number_at(p, 0, 4) != 1 || memory == 0) {
            continue;
        }
        if (bytes > memory || offset > size || bytes > size - offset) {
            return DAMAGED;
        }
        if (segments == SEGMENTS_MOST) {
            return "has more than 16 segments to load: link it with fewer";
        }
        if (!take(k, address, memory)) {
            return address < MIB ? LOW : DAMAGED;
        }
        for (unsigned i = 0; i < segments; i++) {
            if (address < taken[i].end && taken[i].begin < address + memory) {
                return "has segments that overlap in memory: link it anew";
            }
        }
        taken[segments].begin = address;
        taken[segments++].end = address + memory;
    }
    return segments != 0 ? NULL : "has no segment to load: link it as a static executable";
}

static uint64_t multiboot_find(const uint8_t *file, uint64_t size) {
    for (uint64_t at = 0; at + 12 <= MULTIBOOT_AREA && at + 12 <= size; at += 4) {
        uint64_t magic = number_at(file, at, 4), flags = number_at(file, at + 4, 4);
        uint64_t length = (flags & MULTIBOOT_ADDRESSES) != 0 ? 32 : 12;
        if (magic == MULTIBOOT_MAGIC && length <= size - at &&
            (uint32_t)(magic + flags + number_at(file, at + 8, 4)) == 0) {
            return at;
        }
    }
    return size;
}

bool multiboot_is(const uint8_t *file, uint64_t size) {
    return multiboot_find(file, size) != size;
}

const char *multiboot_parse(const uint8_t *file, uint64_t size, struct kernel *k) {
    uint64_t at = multiboot_find(file, size), flags = number_at(file, at + 4, 4);
    if ((flags & MULTIBOOT_REFUSED) != 0) {
        return "asks by its Multiboot header for a video mode or more, which guests have not: "
               "build it without";
    }
    if ((flags & MULTIBOOT_ADDRESSES) == 0) {
        return elf_is(file, size) ? elf_parse(file, size, k)
                                  : "has a Multiboot header without addresses and is no ELF file";
    }
    uint64_t own = number_at(file, at + 12, 4), load = number_at(file, at + 16, 4);
    uint64_t load_end = number_at(file, at + 20, 4), zero_end = number_at(file, at + 24, 4);
    if (own < load || own - load > at) {
        return DAMAGED;
    }
    uint64_t left = size - (at - (own - load)); /* of the file, from what is loaded on */
    uint64_t in_file = load_end == 0 ? left : load_end - load;
    uint64_t in_memory = zero_end == 0 ? in_file : zero_end - load;
    bool good = (load_end == 0 || load_end > load) && in_file <= left && in_memory >= in_file;
    if (!good) {
        return DAMAGED;
    }
    return take(k, load, in_memory) ? NULL : LOW;
}
