/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a bzImage by the 64-bit boot protocol: reads its setup header, moves kernel and initrd to
 * their places, fills boot_params. Does not touch ACPI tables (acpi.c) or devices. The hypervisor
 * judged the same file before; what is checked here keeps this code within the guest's memory.
 * Source: Linux Documentation/arch/x86/boot.rst, zero-page.rst.
 */
#include "guests/firmware/firmware.h"

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
    HEADER_NEEDED = 0x264, /* end of the last field used here */
    HEADER_MOST = MAGIC + 0x7f,
};
/* The rest of boot_params. */
enum { E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0 };

#define SECTOR          512u
#define ENTRY_64        0x200u
#define LOADED_HIGH     0x01
#define XLF_KERNEL_64   0x01
#define VERSION_LEAST   0x020c
#define KERNEL_LEAST    0x100000u    /* no kernel runs lower */
#define ADDRESS_LIMIT   (1ull << 40) /* above all memory; sums of a few do not overflow */
#define HEAP_END_VALID  0x80
#define LOADER_UNKNOWN  0xff
#define VID_MODE_NORMAL 0xffff

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct layout {
    uint64_t setup_size, kernel_size, header_end;
    uint64_t kernel, initrd; /* addresses */
};

static uint64_t field(const uint8_t *file, unsigned at, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, file + at, bytes); /* x86 is little-endian, and so are the fields */
    return value;
}

static uint64_t min(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Sizes within the file; false if it is no kernel for this protocol. */
static int linux_read_header(const uint8_t *file, uint64_t size, struct layout *l) {
    if (size < HEADER_MOST || field(file, BOOT_FLAG, 2) != 0xaa55 ||
        memcmp(file + MAGIC, "HdrS", 4) != 0 || field(file, VERSION, 2) < VERSION_LEAST ||
        (file[LOADFLAGS] & LOADED_HIGH) == 0 || (file[XLOADFLAGS] & XLF_KERNEL_64) == 0) {
        return 0;
    }
    unsigned sectors = file[SETUP_SECTS];
    l->setup_size = ((sectors != 0 ? sectors : 4u) + 1u) * SECTOR;
    l->kernel_size = field(file, SYSSIZE, 4) * 16;
    l->header_end = MAGIC + (uint64_t)file[JUMP_LENGTH];
    return l->header_end >= HEADER_NEEDED && l->header_end <= HEADER_MOST &&
           l->setup_size <= size && l->kernel_size <= size - l->setup_size &&
           l->kernel_size > ENTRY_64;
}

/*
 * A kernel loaded below its preferred address moves itself up to it, so that nothing is won by a
 * lower address even where the kernel is relocatable. False if it does not fit.
 */
static int linux_place(const uint8_t *file, const struct bulkhead_start *s, struct layout *l) {
    uint64_t alignment = field(file, KERNEL_ALIGNMENT, 4), size = s->initrd.size;
    uint64_t end = s->low_ram - BULKHEAD_TABLES_SIZE;
    uint64_t reach = min(end, field(file, INITRD_ADDR_MAX, 4) + 1);
    l->kernel = max(field(file, PREF_ADDRESS, 8), KERNEL_LEAST);
    if (l->kernel > ADDRESS_LIMIT || alignment == 0) {
        return 0;
    }
    if (file[RELOCATABLE_KERNEL] != 0) {
        l->kernel = (l->kernel + alignment - 1) & ~(alignment - 1);
    }
    uint64_t needed = l->kernel + max(field(file, INIT_SIZE, 4), l->kernel_size);
    l->initrd = size != 0 && size <= reach ? (reach - size) & ~(uint64_t)(PAGE - 1) : 0;
    return needed <= end && (size == 0 || l->initrd >= needed);
}

static void linux_write_e820(uint8_t *params, const struct bulkhead_start *s) {
    const uint64_t acpi = s->low_ram - BULKHEAD_TABLES_SIZE;
    const uint64_t nvs = s->low_ram - PAGE; /* the FACS */
    const struct e820_entry map[] = {
        {0, LOW_RAM_END, E820_RAM},
        {LOW_RAM_END, KERNEL_LEAST - LOW_RAM_END, E820_RESERVED},
        {KERNEL_LEAST, acpi - KERNEL_LEAST, E820_RAM},
        {acpi, nvs - acpi, E820_ACPI},
        {nvs, PAGE, E820_NVS},
        {HIGH_RAM, s->high_ram, E820_RAM},
    };
    size_t count = COUNT(map) - (s->high_ram == 0);
    memcpy(params + E820_TABLE, map, count * sizeof(map[0]));
    params[E820_ENTRIES] = (uint8_t)count;
}

static void linux_write_params(uint8_t *params, const uint8_t *file, const struct layout *l,
                               const struct bulkhead_start *s) {
    const struct {
        uint16_t offset;
        uint8_t bytes;
        uint64_t value;
    } fields[] = {
        {0x070, 8, s->low_ram - BULKHEAD_TABLES_SIZE}, /* acpi_rsdp_addr */
        {0x0c0, 4, l->initrd >> 32},                   /* ext_ramdisk_image */
        {0x0c4, 4, s->initrd.size >> 32},              /* ext_ramdisk_size */
        {0x1fa, 2, VID_MODE_NORMAL},                   /* vid_mode */
        {0x210, 1, LOADER_UNKNOWN},                    /* type_of_loader */
        {0x211, 1, file[LOADFLAGS] | HEAP_END_VALID},  /* loadflags */
        {0x214, 4, l->kernel},                         /* code32_start */
        {0x218, 4, l->initrd},                         /* ramdisk_image */
        {0x21c, 4, s->initrd.size},                    /* ramdisk_size */
        {0x224, 2, 0xde00},                            /* heap_end_ptr */
        {0x228, 4, s->cmdline.gpa},                    /* cmd_line_ptr */
    };
    memset(params, 0, PAGE);
    memcpy(params + SETUP_SECTS, file + SETUP_SECTS, l->header_end - SETUP_SECTS);
    for (size_t i = 0; i < COUNT(fields); i++) {
        memcpy(params + fields[i].offset, &fields[i].value, fields[i].bytes);
    }
}

/* Moves size bytes from skip on in the piece, which may overlap; what is left of it is zeroed. */
static void linux_move(uint8_t *memory, uint64_t to, const struct bulkhead_piece *piece,
                       uint64_t skip, uint64_t size) {
    uint64_t begin = piece->gpa, end = begin + piece->size;
    uint64_t front = min(max(to, begin), end), back = min(max(to + size, begin), end);
    memmove(memory + to, memory + begin + skip, size);
    memset(memory + begin, 0, front - begin);
    memset(memory + back, 0, end - back);
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

void linux_tell_clock(uint8_t *memory, struct bulkhead_start *start, uint32_t khz) {
    static const char option[] = " tsc_early_khz=";
    const uint8_t *file = memory + start->kernel.gpa;
    char *line = (char *)memory + start->cmdline.gpa, digits[10];
    size_t name = sizeof(option) - 1, count = 0;
    for (; khz != 0; khz /= 10) {
        digits[count++] = (char)('0' + khz % 10);
    }
    uint64_t size = start->cmdline.size + name + count;
    if (count == 0 || start->kernel.size < HEADER_NEEDED || size > field(file, CMDLINE_SIZE, 4) ||
        linux_find_option(line, start->cmdline.size, option + 1, name - 1) != NULL) {
        return;
    }
    memcpy(line + start->cmdline.size, option, name);
    for (size_t i = 0; i < count; i++) {
        line[start->cmdline.size + name + i] = digits[count - 1 - i];
    }
    line[size] = '\0';
    start->cmdline.size = size;
}

const char *linux_load(uint8_t *memory, const struct bulkhead_start *start, uint64_t *entry) {
    const uint8_t *file = memory + start->kernel.gpa;
    uint8_t *params = memory + PARAMS_GPA;
    struct layout layout;
    if (!linux_read_header(file, start->kernel.size, &layout)) {
        return "is no complete bzImage with a 64-bit entry point";
    }
    if (!linux_place(file, start, &layout)) {
        return "and its initrd do not fit into memory";
    }
    if (start->cmdline.size > field(file, CMDLINE_SIZE, 4)) {
        return "takes no command line of this length";
    }
    linux_write_params(params, file, &layout, start);
    linux_write_e820(params, start);
    /* The kernel first: its file may lie where the initrd has to go, never the other way round. */
    linux_move(memory, layout.kernel, &start->kernel, layout.setup_size, layout.kernel_size);
    if (start->initrd.size != 0) {
        linux_move(memory, layout.initrd, &start->initrd, 0, start->initrd.size);
    }
    *entry = layout.kernel + ENTRY_64;
    return NULL;
}
