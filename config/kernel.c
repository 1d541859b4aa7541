// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds out what a kernel file is, reads the setup header of a Linux/x86 bzImage as far as a
 * refusal before the start needs it (program.c does so for the other kinds), and judges each
 * guest's files. The file is untrusted: every number is checked against the file's size before it
 * is used. Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#include "config/kernel.h"

#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

/* Offsets in the file. A short jump over the header tells where it ends, at the least and most. */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    JUMP_LENGTH = 0x201,
    MAGIC = 0x202,
    VERSION = 0x206,
    LOADFLAGS = 0x211,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE_KERNEL = 0x234,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_LEAST = 0x22c,
    HEADER_MOST = 0x281
};

#define LOADED_HIGH      BIT(0)
#define ENTRY_64_OFFSET  0x200
#define SECTOR           512u
#define VERSION_ACCEPTED 0x0202
uint64_t number_at(const uint8_t *file, uint64_t at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | file[at + i - 1];
    }
    return value;
}

static bool linux_is(const uint8_t *file, uint64_t size) {
    return size >= HEADER_MOST && number_at(file, BOOT_FLAG, 2) == 0xaa55 &&
           memcmp(file + MAGIC, "HdrS", 4) == 0;
}

/* A field that came with some version, or what was the rule before. */
static uint64_t newer(const uint8_t *file, unsigned at, unsigned bytes, uint64_t before) {
    uint64_t header_end = MAGIC + number_at(file, JUMP_LENGTH, 1);
    return at + bytes <= header_end ? number_at(file, at, bytes) : before;
}

static const char *linux_parse(const uint8_t *file, uint64_t size, struct kernel *k) {
    uint32_t sectors = (uint32_t)number_at(file, SETUP_SECTS, 1);
    uint64_t setup_size = ((sectors != 0 ? sectors : 4) + 1) * SECTOR;
    uint64_t kernel_size = number_at(file, SYSSIZE, 4) * 16;
    uint64_t header_end = MAGIC + number_at(file, JUMP_LENGTH, 1);
    uint64_t load = newer(file, PREF_ADDRESS, 8, MIB);
    uint64_t init_size = newer(file, INIT_SIZE, 4, 8 * kernel_size /* a guess */);
    uint64_t alignment = newer(file, KERNEL_ALIGNMENT, 4, PAGE_SIZE);
    const struct {
        bool broken;
        const char *why;
    } rules[] = {
        {number_at(file, VERSION, 2) < VERSION_ACCEPTED,
         "speaks a boot protocol older than 2.02: take a kernel of version 2.4 or later"},
        {(number_at(file, LOADFLAGS, 1) & LOADED_HIGH) == 0, "is a zImage: build a bzImage"},
        {header_end < HEADER_LEAST || header_end > HEADER_MOST,
         "is damaged: its setup header has an impossible length"},
        {setup_size > size || kernel_size > size - setup_size + 15, /* rounded up by some builds */
         "is truncated: the file ends before its header says; copy it again"},
        {kernel_size <= ENTRY_64_OFFSET || init_size < kernel_size,
         "is damaged: its header has impossible sizes"},
        {alignment < PAGE_SIZE || (alignment & (alignment - 1)) != 0 || load % PAGE_SIZE != 0 ||
             load >= BIT(40),
         "is damaged: its header has an impossible load address or alignment"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].broken) {
            return rules[i].why;
        }
    }
    /*
     * A kernel loaded below its preferred address moves itself up to it, so that nothing is won by
     * a lower address even where the kernel is relocatable.
     */
    bool align = header_end > PREF_ADDRESS && number_at(file, RELOCATABLE_KERNEL, 1) != 0;
    load = max_u64(load, MIB);
    k->base = align ? ALIGN_UP(load, alignment) : load;
    k->end = k->base + init_size;
    k->initrd_max = newer(file, INITRD_ADDR_MAX, 4, 0x37ffffff);
    k->cmdline_max = (uint32_t)newer(file, CMDLINE_SIZE, 4, 255);
    k->unpacks = true;
    return NULL;
}

static const char *flat_parse(UNUSED const uint8_t *file, uint64_t size, struct kernel *k) {
    k->base = BULKHEAD_FLAT_GPA;
    k->end = k->base + min_u64(size, KERNEL_SIZE_LIMIT);
    return NULL;
}

/* Whatever else it is, it is meant to be entered at its first byte. */
static bool flat_is(const uint8_t *file, uint64_t size) {
    return !linux_is(file, size) && !elf_is(file, size);
}

static const struct {
    const char *lacks;
    bool (*is)(const uint8_t *file, uint64_t size);
    const char *(*parse)(const uint8_t *file, uint64_t size, struct kernel *k);
} kinds[] = {
    [BULKHEAD_KERNEL_LINUX] = {"is no bzImage: it has no header with the letters HdrS", linux_is,
                               linux_parse},
    [BULKHEAD_KERNEL_MULTIBOOT] = {"has no Multiboot header in its first 8 KiB", multiboot_is,
                                   multiboot_parse},
    [BULKHEAD_KERNEL_ELF] = {"is not a 64-bit ELF file", elf64_is, elf_parse},
    [BULKHEAD_KERNEL_FLAT] = {"is not a flat binary: it is an ELF file or a bzImage", flat_is,
                              flat_parse},
};
_Static_assert(ARRAY_SIZE(kinds) == BULKHEAD_KERNEL_TYPES, "a kind without a reader");

/* In the order of hv/compartment/load/kernel.c. A flat binary cannot be told: it has to be named.
 */
static uint32_t kernel_recognise(const uint8_t *file, uint64_t size) {
    static const uint32_t tried[] = {BULKHEAD_KERNEL_LINUX, BULKHEAD_KERNEL_MULTIBOOT,
                                     BULKHEAD_KERNEL_ELF};
    for (size_t i = 0; i < ARRAY_SIZE(tried); i++) {
        if (kinds[tried[i]].is(file, size)) {
            return tried[i];
        }
    }
    return BULKHEAD_KERNEL_ANY;
}

static const char *kernel_hint(const uint8_t *file, uint64_t size) {
    if (elf_is(file, size)) {
        return "is a 32-bit ELF file without a Multiboot header: give it one, or build it for 64 "
               "bits";
    }
    return "is no Linux bzImage, Multiboot or 64-bit ELF kernel; for a flat binary write type = "
           "\"flat\"";
}

/*
 * A file with the headers of Linux is one, whatever else it is: a bzImage is an EFI application as
 * well. With ELF and Multiboot the config can insist; by accident there may be a header of theirs
 * in anything.
 */
static bool kernel_is_sure(const uint8_t *file, uint64_t size, uint32_t type) {
    bool insisted = type == BULKHEAD_KERNEL_MULTIBOOT || type == BULKHEAD_KERNEL_ELF;
    return linux_is(file, size) ||
           (insisted && kinds[type].is(file, size) && !vmlinux_is(file, size));
}

static const char *kernel_judge(const uint8_t *file, uint64_t size, uint32_t type,
                                struct kernel *k) {
    if (!kernel_is_sure(file, size, type)) {
        const char *why = foreign_find(file, size);
        if (why != NULL) {
            return why;
        }
    }
    if (type == BULKHEAD_KERNEL_ANY) {
        type = kernel_recognise(file, size);
    }
    if (type == BULKHEAD_KERNEL_ANY) {
        return kernel_hint(file, size);
    }
    return kinds[type].is(file, size) ? kinds[type].parse(file, size, k) : kinds[type].lacks;
}

enum status kernel_parse(const void *bytes, uint64_t size, uint32_t type, struct kernel *out,
                         const char **why) {
    struct kernel k = {.initrd_max = KERNEL_SIZE_LIMIT, .cmdline_max = CONFIG_CMDLINE_SIZE - 1};
    *why = kernel_judge(bytes, size, type, &k);
    if (*why != NULL) {
        return STATUS_INVALID;
    }
    *out = k;
    return STATUS_OK;
}

uint64_t kernel_memory_needed(const struct kernel *kernel, uint64_t file_size,
                              uint64_t initrd_size) {
    if (initrd_size > KERNEL_SIZE_LIMIT || file_size > KERNEL_SIZE_LIMIT) {
        return 0;
    }
    uint64_t end = ALIGN_UP(max_u64(kernel->end, MIB), PAGE_SIZE),
             file = ALIGN_UP(file_size, PAGE_SIZE);
    uint64_t reach = min_u64(kernel->initrd_max, KERNEL_SIZE_LIMIT) + 1; /* the initrd's end */
    /* The initrd ends where it may and begins on a page: the room it needs from the kernel up. */
    if (initrd_size != 0 && (reach < end || reach - end < initrd_size ||
                             ALIGN_DOWN(reach - initrd_size, PAGE_SIZE) < end)) {
        return 0;
    }
    /* The file may lie where the kernel will run or not, but not in the first MiB. */
    end = kernel->apart ? end + file : max_u64(end, MIB + file);
    return ALIGN_UP(end + ALIGN_UP(initrd_size, PAGE_SIZE) + BULKHEAD_TABLES_SIZE, 2 * MIB);
}

/* "4M" rounded up to whole MiB, for messages. */
static const char *show_mib(char *buf, uint64_t bytes) {
    return fmt_size(buf, ALIGN_UP(bytes, MIB));
}

/*
 * Linux, from its first instruction to its first program, beside its own image and the initrd: page
 * tables, hash tables, drivers, threads. Debian's kernels took 20 MiB (6.1, with one CPU).
 */
#define LINUX_START_ROOM (32 * MIB)

uint64_t kernel_memory_advised(const struct kernel *kernel, uint64_t needed, uint64_t initrd_size,
                               uint64_t unpacked) {
    if (!kernel->unpacks || unpacked > KERNEL_SIZE_LIMIT) {
        return needed;
    }
    /* Files of an initrd may fill half of what is left beside the kernel, no more. */
    uint64_t files = max_u64(unpacked + LINUX_START_ROOM, 2 * unpacked);
    uint64_t total = kernel->end - kernel->base + initrd_size + files;
    total += total / 32; /* a record of 64 bytes for each page, and page tables */
    return max_u64(needed, ALIGN_UP(total, 2 * MIB));
}

static uint64_t advised_for(const struct kernel *kernel, uint64_t needed,
                            const struct boot_image *initrd) {
    uint64_t size = initrd != NULL ? initrd->size : 0;
    uint64_t unpacked = size != 0 ? initrd_unpacked_size(phys_pointer(initrd->base), size) : 0;
    return kernel_memory_advised(kernel, needed, size, unpacked);
}

#define REFUSE(pos, text, ...)                                                                     \
    fault_add(faults, (pos).line, (pos).column, "guest \"%s\": " text, g->name, __VA_ARGS__)

/* Kernel and initrd fit into the guest's memory. */
static void check_memory(const struct config_guest *g, const struct kernel *header,
                         const struct boot_image *kernel, const struct boot_image *initrd,
                         struct fault_list *faults) {
    uint64_t initrd_size = initrd != NULL ? initrd->size : 0;
    uint64_t low = min_u64(g->memory, PLAN_LOW_RAM_END);
    uint64_t needed = kernel_memory_needed(header, kernel->size, initrd_size);
    char have[24], advice[24], own[24], from[24], initrd_text[24];
    if (low == 0 || (needed != 0 && needed <= low)) {
        return;
    }
    show_mib(own, header->end - header->base);
    fmt_size(from, header->base);
    show_mib(initrd_text, initrd_size);
    if (header->end > PLAN_LOW_RAM_END) {
        REFUSE(g->kernel_pos,
               "kernel = \"%s\" wants to lie from %s on, but guests have no RAM between 3G and 4G, "
               "and load kernels below: link it lower" MSG(1171),
               g->kernel, from);
    } else if (needed == 0 || needed > PLAN_LOW_RAM_END) {
        REFUSE(g->kernel_pos,
               "kernel = \"%s\" (%s once running, from %s on) and initrd (%s) do not fit where the "
               "kernel can reach them; take smaller ones, or a kernel that lies lower" MSG(1172),
               g->kernel, own, from, initrd_text);
    } else {
        uint64_t advised = advised_for(header, needed, initrd);
        REFUSE(g->memory_pos,
               "memory = \"%s\" is too little for its kernel (%s once running, from %s on) and "
               "initrd (%s); write at least \"%s\"%s" MSG(1173),
               fmt_size(have, g->memory), own, from, initrd_text, fmt_size(advice, advised),
               header->unpacks ? ", with which Linux starts; programs need more" : "");
    }
}

uint64_t kernel_memory_missed(const struct boot_info *info, const struct config_guest *g) {
    const struct boot_image *kernel = boot_info_find_image(info, g->kernel);
    const struct boot_image *initrd = boot_info_find_image(info, g->initrd);
    struct kernel header;
    const char *why = NULL;
    if (kernel == NULL || kernel_parse(phys_pointer(kernel->base), kernel->size, g->type, &header,
                                       &why) != STATUS_OK) {
        return 0;
    }
    uint64_t needed =
        kernel_memory_needed(&header, kernel->size, initrd != NULL ? initrd->size : 0);
    uint64_t advised = advised_for(&header, needed, initrd);
    return g->memory < advised ? advised : 0;
}

/* The kernel can be started, and it and the initrd fit into the guest's memory. */
static void check_guest(const struct boot_info *info, const struct config_guest *g,
                        struct fault_list *faults) {
    const struct boot_image *kernel = boot_info_find_image(info, g->kernel);
    const struct boot_image *initrd = boot_info_find_image(info, g->initrd);
    struct kernel header;
    const char *why = NULL;
    if (kernel == NULL || kernel->size == 0) { /* plan_build() says so */
        return;
    }
    const uint8_t *file = phys_pointer(kernel->base);
    if (kernel_parse(file, kernel->size, g->type, &header, &why) != STATUS_OK) {
        bool contradicts = why == kinds[g->type].lacks; /* which the first, ANY, has not */
        struct config_pos pos = contradicts ? g->type_pos : g->kernel_pos;
        REFUSE(pos, "kernel = \"%s\" %s%s" MSG(1174), g->kernel, why,
               contradicts ? "; name another type, or none" : "");
        return;
    }
    size_t length = strlen(g->cmdline);
    if (length > header.cmdline_max) {
        REFUSE(g->table_pos,
               "the cmdline has %u bytes, but this kernel takes %u; shorten it" MSG(1175),
               (unsigned)length, header.cmdline_max);
    }
    check_memory(g, &header, kernel, initrd, faults);
}

void kernel_check_guests(const struct boot_info *info, struct fault_list *faults) {
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        check_guest(info, &info->config.guests[i], faults);
    }
}
