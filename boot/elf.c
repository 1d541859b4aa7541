/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the embedded hypervisor ELF. Must not call the firmware. Source: System V ABI "Object
 * Files", "Program Loading and Dynamic Linking", and its AMD64 supplement "Relocation Types".
 */
#include "boot/elf.h"

#include "hv/lib/range.h"
#include "hv/lib/str.h"

#define ELF_MAGIC         0x464c457fu
#define ELF_CLASS64_LSB   0x0102 /* e_ident[EI_CLASS], e_ident[EI_DATA] */
#define ET_DYN            3
#define EM_X86_64         62
#define PT_LOAD           1
#define PT_DYNAMIC        2
#define DT_NULL           0
#define DT_PLTRELSZ       2
#define DT_RELA           7
#define DT_RELASZ         8
#define DT_RELASZ_ENTRY   24
#define DT_RELR           36
#define DT_REL            17
#define R_X86_64_RELATIVE 8
#define SPAN_MAX          (64 * MIB)

struct elf_header {
    uint32_t magic;
    uint16_t class_data; /* byte 4 class, byte 5 data */
    uint8_t ident[10];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_segment) == 56, "Elf64_Phdr");

struct elf_dynamic {
    uint64_t tag, value;
};

struct elf_rela {
    uint64_t offset, info;
    uint64_t addend;
};
_Static_assert(sizeof(struct elf_rela) == DT_RELASZ_ENTRY, "Elf64_Rela");

static const struct elf_segment *segments(const void *file) {
    const struct elf_header *header = file;
    return (const struct elf_segment *)((const uint8_t *)file + header->phoff);
}

enum status elf_measure(const void *file, uint64_t size, struct elf_image *image) {
    const struct elf_header *header = file;
    if (size < sizeof(*header) || header->magic != ELF_MAGIC ||
        header->class_data != ELF_CLASS64_LSB || header->type != ET_DYN ||
        header->machine != EM_X86_64 || header->phentsize != sizeof(struct elf_segment) ||
        header->phoff % 8 != 0 ||
        !range_contains(0, size, header->phoff, header->phnum * sizeof(struct elf_segment))) {
        return STATUS_INVALID;
    }
    uint64_t span = 0;
    for (unsigned i = 0; i < header->phnum; i++) {
        const struct elf_segment *s = &segments(file)[i];
        if (s->type == PT_LOAD) {
            if (!range_contains(0, size, s->offset, s->filesz) || s->filesz > s->memsz ||
                !range_contains(0, SPAN_MAX, s->vaddr, s->memsz)) {
                return STATUS_INVALID;
            }
            span = max_u64(span, s->vaddr + s->memsz);
        }
    }
    if (header->entry >= span) {
        return STATUS_INVALID;
    }
    *image = (struct elf_image){.span = span, .entry = header->entry};
    return STATUS_OK;
}

static enum status relocate(const struct elf_image *image, uint8_t *memory, uint64_t table,
                            uint64_t size) {
    if (size == 0) {
        return STATUS_OK;
    }
    if (table % 8 != 0 || !range_contains(0, image->span, table, size)) {
        return STATUS_INVALID;
    }
    const struct elf_rela *rela = (const struct elf_rela *)(memory + table);
    for (uint64_t i = 0; i < size / sizeof(*rela); i++) {
        if (rela[i].info != R_X86_64_RELATIVE) {
            return STATUS_UNSUPPORTED;
        }
        if (!range_contains(0, image->span, rela[i].offset, sizeof(uint64_t))) {
            return STATUS_INVALID;
        }
        uint64_t value = (uintptr_t)memory + rela[i].addend;
        memcpy(memory + rela[i].offset, &value, sizeof(value));
    }
    return STATUS_OK;
}

static enum status apply_dynamic(const struct elf_image *image, uint8_t *memory, uint64_t at,
                                 uint64_t size) {
    if (at % 8 != 0 || !range_contains(0, image->span, at, size)) {
        return STATUS_INVALID;
    }
    const struct elf_dynamic *dynamic = (const struct elf_dynamic *)(memory + at);
    uint64_t table = 0, bytes = 0;
    for (uint64_t i = 0; i < size / sizeof(*dynamic) && dynamic[i].tag != DT_NULL; i++) {
        switch (dynamic[i].tag) {
        case DT_RELA:
            table = dynamic[i].value;
            break;
        case DT_RELASZ:
            bytes = dynamic[i].value;
            break;
        case DT_REL:
        case DT_RELR:
        case DT_PLTRELSZ: /* forms that this loader does not apply must not be there */
            return STATUS_UNSUPPORTED;
        default:
            break; /* symbol tables and flags: nothing to do for a static file */
        }
    }
    return relocate(image, memory, table, bytes);
}

enum status elf_load(const void *file, const struct elf_image *image, void *memory) {
    const struct elf_header *header = file;
    for (unsigned i = 0; i < header->phnum; i++) {
        const struct elf_segment *s = &segments(file)[i];
        if (s->type == PT_LOAD) {
            memcpy((uint8_t *)memory + s->vaddr, (const uint8_t *)file + s->offset, s->filesz);
        }
    }
    for (unsigned i = 0; i < header->phnum; i++) {
        const struct elf_segment *s = &segments(file)[i];
        if (s->type == PT_DYNAMIC) {
            enum status status = apply_dynamic(image, memory, s->vaddr, s->memsz);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}
