/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a bzImage by the 64-bit boot protocol, or by the 32-bit one if it has no 64-bit entry
 * point: reads its setup header, moves kernel and initrd to their places, fills boot_params. What
 * an older header does not have gets the value that was the rule then.
 * Source: Linux Documentation/arch/x86/boot.rst, zero-page.rst.
 */
#include "hv/compartment/load/start.h"

/* The setup header, by its offset in the file and in boot_params. */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    JUMP_LENGTH = 0x201, /* the operand of a short jump over the header: where it ends */
    MAGIC = 0x202,
    VERSION = 0x206,
    LOADFLAGS = 0x211,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE_KERNEL = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_LEAST = 0x22c, /* where it ends in version 2.02 */
    HEADER_MOST = MAGIC + 0x7f,
};
/* The rest of boot_params. */
enum { E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0 };

#define SECTOR          512u
#define ENTRY_64        0x200u
#define LOADED_HIGH     0x01
#define XLF_KERNEL_64   0x01
#define VERSION_LEAST   0x0202
#define VERSION_XLOAD   0x020c /* from here on there is XLOADFLAGS */
#define INITRD_MAX_OLD  0x37ffffff
#define CMDLINE_OLD     255
#define ADDRESS_LIMIT   (1ull << 40) /* above all memory; sums of a few do not overflow */
#define HEAP_END_VALID  0x80
#define LOADER_UNKNOWN  0xff
#define VID_MODE_NORMAL 0xffff

/* Room for a kernel whose header does not say what it needs: several times its packed size. */
#define INIT_SIZE_OLD(packed) ((packed)*8)

struct layout {
    uint64_t setup_size, kernel_size, header_end;
    uint64_t initrd_max, cmdline_max, alignment;
    uint64_t kernel, init_size, initrd; /* addresses */
    bool long_mode;
};

bool linux_knows(const uint8_t *file, uint64_t size) {
    return size >= HEADER_MOST && number_at(file, BOOT_FLAG, 2) == 0xaa55 &&
           memcmp(file + MAGIC, "HdrS", 4) == 0;
}

/* A field that came with some version, or what was the rule before. */
static uint64_t newer(const uint8_t *file, const struct layout *l, unsigned at, unsigned bytes,
                      uint64_t before) {
    return at + bytes <= l->header_end ? number_at(file, at, bytes) : before;
}

/* Sizes within the file; false if it is no kernel for this protocol. */
static bool linux_read_header(const uint8_t *file, uint64_t size, struct layout *l) {
    if (!linux_knows(file, size) || number_at(file, VERSION, 2) < VERSION_LEAST ||
        (file[LOADFLAGS] & LOADED_HIGH) == 0) {
        return false;
    }
    unsigned sectors = file[SETUP_SECTS];
    l->setup_size = ((sectors != 0 ? sectors : 4u) + 1u) * SECTOR;
    l->kernel_size = number_at(file, SYSSIZE, 4) * 16;
    if (l->setup_size <= size && l->kernel_size < size - l->setup_size + 16) {
        l->kernel_size =
            min_u64(l->kernel_size, size - l->setup_size); /* rounded up by some builds */
    }
    l->header_end = MAGIC + (uint64_t)file[JUMP_LENGTH];
    l->initrd_max = newer(file, l, INITRD_ADDR_MAX, 4, INITRD_MAX_OLD);
    l->cmdline_max = newer(file, l, CMDLINE_SIZE, 4, CMDLINE_OLD);
    l->alignment = newer(file, l, KERNEL_ALIGNMENT, 4, PAGE_SIZE);
    l->kernel = newer(file, l, PREF_ADDRESS, 8, KERNEL_LEAST);
    l->init_size = newer(file, l, INIT_SIZE, 4, INIT_SIZE_OLD(l->kernel_size));
    l->long_mode = number_at(file, VERSION, 2) >= VERSION_XLOAD &&
                   (newer(file, l, XLOADFLAGS, 2, 0) & XLF_KERNEL_64) != 0;
    return l->header_end >= HEADER_LEAST && l->header_end <= HEADER_MOST && l->setup_size <= size &&
           l->kernel_size <= size - l->setup_size && l->kernel_size > ENTRY_64;
}

/*
 * A kernel loaded below its preferred address moves itself up to it, so that nothing is won by a
 * lower address even where the kernel is relocatable. False if it does not fit.
 */
static bool linux_place(const uint8_t *file, const struct bulkhead_start *s, struct layout *l) {
    uint64_t size = s->initrd.size, end = s->low_ram - BULKHEAD_TABLES_SIZE;
    uint64_t reach = min_u64(end, l->initrd_max + 1);
    l->kernel = max_u64(l->kernel, KERNEL_LEAST);
    if (l->kernel > ADDRESS_LIMIT || l->alignment == 0) {
        return false;
    }
    /* One without a preferred address finds an aligned place by itself. */
    if (l->header_end > PREF_ADDRESS && file[RELOCATABLE_KERNEL] != 0) {
        l->kernel = (l->kernel + l->alignment - 1) & ~(l->alignment - 1);
    }
    uint64_t needed = l->kernel + max_u64(l->init_size, l->kernel_size);
    l->initrd = size != 0 && size <= reach ? (reach - size) & ~(uint64_t)(PAGE_SIZE - 1) : 0;
    return needed <= end && (size == 0 || l->initrd >= needed);
}

static void linux_write_e820(uint8_t *params, const struct load *l) {
    const struct bulkhead_piece *map = &l->start.memory_map;

    memcpy(params + E820_TABLE, load_known(l, map->gpa), map->size);
    params[E820_ENTRIES] = (uint8_t)(map->size / sizeof(struct e820_entry));
}

static void linux_write_params(uint8_t *params, const uint8_t *file, const struct layout *l,
                               const struct bulkhead_start *s) {
    const struct {
        uint16_t offset;
        uint8_t bytes;
        uint64_t value;
    } fields[] = {
        {0x070, 8, s->rsdp},                          /* acpi_rsdp_addr */
        {0x0c0, 4, l->initrd >> 32},                  /* ext_ramdisk_image */
        {0x0c4, 4, s->initrd.size >> 32},             /* ext_ramdisk_size */
        {0x1fa, 2, VID_MODE_NORMAL},                  /* vid_mode */
        {0x210, 1, LOADER_UNKNOWN},                   /* type_of_loader */
        {0x211, 1, file[LOADFLAGS] | HEAP_END_VALID}, /* loadflags */
        {0x214, 4, l->kernel},                        /* code32_start */
        {0x218, 4, l->initrd},                        /* ramdisk_image */
        {0x21c, 4, s->initrd.size},                   /* ramdisk_size */
        {0x224, 2, 0xde00},                           /* heap_end_ptr */
        {0x228, 4, s->cmdline.gpa},                   /* cmd_line_ptr */
    };
    memset(params, 0, PAGE_SIZE);
    memcpy(params + SETUP_SECTS, file + SETUP_SECTS, l->header_end - SETUP_SECTS);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        memcpy(params + fields[i].offset, &fields[i].value, fields[i].bytes);
    }
}

/* Where text stands in the command line; NULL if nowhere. */
static const char *linux_find_option(const char *line, uint64_t size, const char *text, size_t n) {
    for (uint64_t i = 0; n <= size && i <= size - n; i++) {
        if (memcmp(line + i, text, n) == 0) {
            return line + i;
        }
    }
    return NULL;
}

void linux_tell_clock(struct load *l, uint32_t khz) {
    static const char option[] = " tsc_early_khz=";
    struct bulkhead_piece *cmdline = &l->start.cmdline;
    char *line = (char *)load_known(l, cmdline->gpa);
    char digits[10];
    size_t name = sizeof(option) - 1;
    size_t count = 0;
    struct layout layout;

    for (; khz != 0; khz /= 10) {
        digits[count++] = (char)('0' + khz % 10);
    }
    uint64_t size = cmdline->size + name + count;
    if (count == 0 || !linux_read_header(l->file, l->start.kernel.size, &layout) ||
        size > layout.cmdline_max ||
        linux_find_option(line, cmdline->size, option + 1, name - 1) != NULL) {
        return;
    }
    memcpy(line + cmdline->size, option, name);
    for (size_t i = 0; i < count; i++) {
        line[cmdline->size + name + i] = digits[count - 1 - i];
    }
    line[size] = '\0';
    cmdline->size = size;
}

enum load_status linux_load(struct load *l) {
    const struct bulkhead_start *start = &l->start;
    uint8_t *params = load_known(l, PARAMS_GPA);
    struct layout layout;

    if (!linux_read_header(l->file, start->kernel.size, &layout)) {
        return LOAD_NO_LINUX;
    }
    if (!linux_place(l->file, start, &layout)) {
        return LOAD_NO_ROOM;
    }
    if (start->cmdline.size > layout.cmdline_max) {
        return LOAD_LONG_LINE;
    }
    linux_write_params(params, l->file, &layout, start);
    linux_write_e820(params, l);
    /* The kernel first: its file may lie where the initrd has to go, never the other way round. */
    move_file(l, layout.kernel, &start->kernel, layout.setup_size, layout.kernel_size);
    if (start->initrd.size != 0) {
        move_file(l, layout.initrd, &start->initrd, 0, start->initrd.size);
    }
    l->entry = (struct entry){.mode = layout.long_mode ? MODE_LONG : MODE_PROTECTED,
                              .address = layout.kernel + (layout.long_mode ? ENTRY_64 : 0),
                              .esi = PARAMS_GPA};
    return LOAD_MORE;
}
