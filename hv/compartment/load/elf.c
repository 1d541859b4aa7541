/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads ELF executables by their program headers: 64-bit ones as programs of their own, and for
 * multiboot.c those of either class. No relocations.
 * Source: System V ABI "Object Files", "Program Loading".
 */
#include "hv/compartment/load/start.h"

enum { CLASS_32 = 1, CLASS_64 = 2 };
enum { EXECUTABLE = 2, LOAD = 1 }; /* e_type, p_type */

/* Where the fields are and how wide, by class. */
static const struct layout {
    uint8_t machine, wide; /* bytes of an address */
    uint8_t header_size, entry, phoff, phentsize, phnum;
    uint8_t offset, vaddr, paddr, filesz, memsz, size; /* of a program header */
} layouts[] = {
    [CLASS_32] = {3, 4, 52, 24, 28, 42, 44, 4, 8, 12, 16, 20, 32},
    [CLASS_64] = {62, 8, 64, 24, 32, 54, 56, 8, 16, 24, 32, 40, 56},
};

bool elf_knows(const uint8_t *file, uint64_t size) {
    return size > 5 && memcmp(file, "\177ELF", 4) == 0 && file[4] == CLASS_64;
}

static const struct layout *elf_layout(const uint8_t *file, uint64_t size, unsigned class) {
    if (size < layouts[CLASS_64].header_size || memcmp(file, "\177ELF", 4) != 0 ||
        (file[4] != CLASS_32 && file[4] != CLASS_64) || (class != 0 && file[4] != class) ||
        file[5] != 1 || number_at(file, 16, 2) != EXECUTABLE) {
        return NULL;
    }
    const struct layout *l = &layouts[file[4]];
    uint64_t at = number_at(file, l->phoff, l->wide), count = number_at(file, l->phnum, 2);
    return number_at(file, 18, 2) == l->machine && number_at(file, l->phentsize, 2) == l->size &&
                   at <= size && count * l->size <= size - at
               ? l
               : NULL;
}

unsigned elf_read(const uint8_t *file, uint64_t size, unsigned class, struct segment *segments,
                  uint64_t *entry) {
    const struct layout *l = elf_layout(file, size, class);
    unsigned count = 0;
    if (l == NULL) {
        return 0;
    }
    uint64_t start = number_at(file, l->entry, l->wide);
    const uint8_t *p = file + number_at(file, l->phoff, l->wide);
    *entry = start;
    for (uint64_t i = number_at(file, l->phnum, 2); i > 0; i--, p += l->size) {
        const struct segment s = {
            number_at(p, l->paddr, l->wide),
            number_at(p, l->memsz, l->wide),
            number_at(p, l->offset, l->wide),
            number_at(p, l->filesz, l->wide),
        };
        uint64_t inside = start - number_at(p, l->vaddr, l->wide);
        if (number_at(p, 0, 4) != LOAD || s.memory_size == 0) {
            continue;
        }
        if (count == SEGMENTS_MOST || s.file_size > s.memory_size || s.offset > size ||
            s.file_size > size - s.offset) {
            return 0;
        }
        /* Linked for other addresses than it is loaded at: paging is the program's own affair. */
        *entry = inside < s.memory_size ? s.address + inside : *entry;
        segments[count++] = s;
    }
    return count;
}

enum load_status segments_load(struct load *l, const struct segment *segments, unsigned count) {
    const uint64_t end = l->start.kernel.gpa;

    for (unsigned i = 0; i < count; i++) {
        const struct segment *s = &segments[i];
        uint64_t least = s->address < KERNEL_LEAST ? LOW_FREE : KERNEL_LEAST;
        uint64_t most = s->address < KERNEL_LEAST ? LOW_FREE_END : end;
        if (s->address < least || s->address > most || s->memory_size > most - s->address) {
            return LOAD_OUTSIDE;
        }
        for (unsigned j = 0; j < i; j++) {
            const struct segment *t = &segments[j];
            if (s->address < t->address + t->memory_size &&
                t->address < s->address + s->memory_size) {
                return LOAD_OVERLAP;
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        move_bytes(l, segments[i].address, end + segments[i].offset, segments[i].file_size);
    }
    move_zeros(l, end, l->start.kernel.size);
    return LOAD_MORE;
}

enum load_status elf_load(struct load *l) {
    struct segment segments[SEGMENTS_MOST];
    uint64_t address = 0;
    unsigned count = elf_read(l->file, l->start.kernel.size, CLASS_64, segments, &address);

    if (count == 0) {
        return LOAD_NO_ELF;
    }
    enum load_status status = segments_load(l, segments, count);
    if (status == LOAD_MORE) {
        l->entry = (struct entry){.mode = MODE_LONG, .address = address, .edi = BULKHEAD_START_GPA};
    }
    return status;
}
