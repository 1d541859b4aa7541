/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the embedded hypervisor ELF; see no_firmware.h. Must not call the firmware. Source: System
 * V ABI "Object Files", "Program Loading and Dynamic Linking", and its AMD64 supplement "Relocation
 * Types".
 */
#include <elf.h>

#include "boot/no_firmware.h"
#include "hv/lib/str.h"

static const Elf64_Phdr *segments(const void *file) {
    const Elf64_Ehdr *header = file;
    return (const Elf64_Phdr *)((const uint8_t *)file + header->e_phoff);
}

uint64_t elf_span(const void *file) {
    const Elf64_Ehdr *header = file;
    uint64_t span = 0;
    ASSERT(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_type == ET_DYN);
    for (const Elf64_Phdr *s = segments(file); s < &segments(file)[header->e_phnum]; s++) {
        span = s->p_type == PT_LOAD ? max_u64(span, s->p_vaddr + s->p_memsz) : span;
    }
    return span;
}

static void relocate(uint8_t *memory, const Elf64_Dyn *dynamic) {
    const Elf64_Rela *rela = NULL;
    uint64_t size = 0;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        int64_t tag = dynamic->d_tag;
        ASSERT(tag != DT_REL && tag != DT_RELRSZ &&
               tag != DT_PLTRELSZ); /* forms not applied here */
        if (tag == DT_RELA) {
            rela = (const Elf64_Rela *)(memory + dynamic->d_un.d_ptr);
        } else if (tag == DT_RELASZ) {
            size = dynamic->d_un.d_val;
        }
    }
    for (uint64_t i = 0; i < size / sizeof(*rela); i++) {
        uint64_t value = (uintptr_t)memory + (uint64_t)rela[i].r_addend;
        ASSERT(rela[i].r_info == R_X86_64_RELATIVE);
        memcpy(memory + rela[i].r_offset, &value, sizeof(value));
    }
}

elf_entry elf_load(const void *file, uint8_t *memory) {
    const Elf64_Ehdr *header = file;
    const Elf64_Dyn *dynamic = NULL;
    for (const Elf64_Phdr *s = segments(file); s < &segments(file)[header->e_phnum]; s++) {
        if (s->p_type == PT_LOAD) {
            memcpy(memory + s->p_vaddr, (const uint8_t *)file + s->p_offset, s->p_filesz);
        } else if (s->p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)(memory + s->p_vaddr);
        }
    }
    relocate(memory, dynamic); /* now that every segment is there */
    return (elf_entry)((uintptr_t)memory + header->e_entry);
}
