/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a bzImage by the 64-bit boot protocol: the guest starts in long mode with identity-mapped
 * 4 GiB, flat segments, and RSI at boot_params. Does not touch ACPI tables (acpi.c) or devices.
 * Called by vm start, with the guest's memory scrubbed and its vCPUs stopped.
 * Source: Linux Documentation/x86/boot.rst "64-bit Boot Protocol", zero-page.rst.
 */
#include "hv/vm/linux.h"

#include "hv/lib/log.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"
#include "hv/plan/bzimage.h"

/* Fixed places below 640 KiB; each is whole pages, so that it lies in one piece of memory. */
enum { STACK_TOP = 0x7000, PARAMS_GPA = 0x7000, GDT_GPA = 0x8000 };
enum { TABLES_GPA = 0x9000, DIRECTORIES = 4 }; /* PML4, PDPT, the page directories */
enum { CMDLINE_GPA = 0x20000, LOW_RAM_END = 0x9fc00 };
_Static_assert(CONFIG_CMDLINE_SIZE <= LOW_RAM_END - CMDLINE_GPA, "command line");

/* Present, writable; TABLE points to a table, LARGE is a 2 MiB leaf. */
enum { PTE_TABLE = 0x03, PTE_LARGE = 0x83 };
enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18 };
#define ENTRY_64 0x200u /* in the protected-mode kernel */

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

enum { E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0 }; /* offsets in boot_params */

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");

static void linux_write_e820(uint8_t *params, const struct vm *vm, uint64_t acpi) {
    const uint64_t nvs = acpi + LAYOUT_ACPI_SIZE - PAGE_SIZE; /* the FACS */
    const struct e820_entry map[] = {
        {0, LOW_RAM_END, E820_RAM},  {LOW_RAM_END, MIB - LOW_RAM_END, E820_RESERVED},
        {MIB, acpi - MIB, E820_RAM}, {acpi, nvs - acpi, E820_ACPI},
        {nvs, PAGE_SIZE, E820_NVS},  {PLAN_HIGH_RAM, vm->high_ram, E820_RAM},
    };
    size_t count = ARRAY_SIZE(map) - (vm->high_ram == 0);
    memcpy(params + E820_TABLE, map, count * sizeof(map[0]));
    params[E820_ENTRIES] = (uint8_t)count;
}

static void linux_write_params(uint8_t *params, const uint8_t *file, const struct bzimage *kernel,
                               uint64_t initrd_size, const struct guest_layout *layout) {
    const struct {
        uint16_t offset;
        uint8_t bytes;
        uint64_t value;
    } fields[] = {
        {0x070, 8, layout->acpi.v},         /* acpi_rsdp_addr */
        {0x0c0, 4, layout->initrd.v >> 32}, /* ext_ramdisk_image */
        {0x0c4, 4, initrd_size >> 32},      /* ext_ramdisk_size */
        {0x1fa, 2, 0xffff},                 /* vid_mode: normal */
        {0x210, 1, 0xff},                   /* type_of_loader: undefined */
        {0x214, 4, layout->kernel.v},       /* code32_start */
        {0x218, 4, layout->initrd.v},       /* ramdisk_image */
        {0x21c, 4, initrd_size},            /* ramdisk_size */
        {0x224, 2, 0xde00},                 /* heap_end_ptr */
        {0x228, 4, CMDLINE_GPA},            /* cmd_line_ptr */
    };
    memset(params, 0, PAGE_SIZE);
    memcpy(params + BZIMAGE_HEADER_OFFSET, file + BZIMAGE_HEADER_OFFSET, kernel->header_size);
    params[0x211] |= 0x80; /* loadflags: heap_end_ptr is valid */
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        /* x86 is little-endian, and so are the fields. */
        memcpy(params + fields[i].offset, &fields[i].value, fields[i].bytes);
    }
}

static const uint64_t gdt[] = {
    [SELECTOR_CODE / 8] = 0x00af9b000000ffff, /* 64-bit code, read, execute */
    [SELECTOR_DATA / 8] = 0x00cf93000000ffff, /* data, read, write */
};

/* The guest's own first tables, page by page; it soon makes better ones. */
static enum status linux_write_tables(const struct gmem *mem) {
    for (unsigned page = 0; page < 2 + DIRECTORIES; page++) {
        uint64_t *table = gmem_pointer(mem, GPA(TABLES_GPA + page * PAGE_SIZE), PAGE_SIZE);
        if (table == NULL) {
            return STATUS_NOT_FOUND;
        }
        memset(table, 0, PAGE_SIZE);
        for (unsigned i = 0; i < (page == 0 ? 1 : page == 1 ? DIRECTORIES : 512); i++) {
            table[i] = page < 2 ? (TABLES_GPA + (page + 1 + i) * PAGE_SIZE) | PTE_TABLE
                                : ((page - 2) * GIB + i * 2 * MIB) | PTE_LARGE;
        }
    }
    return STATUS_OK;
}

static void linux_fill_start(gpa_t kernel, struct vcpu_start *start) {
    static const struct hvm_segment data = {
        .limit = UINT32_MAX, .attr = 0xc093, .selector = SELECTOR_DATA};
    *start = (struct vcpu_start){
        .rip = kernel.v + ENTRY_64,
        .rsp = STACK_TOP,
        .rflags = X86_RFLAGS_FIXED,
        .cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_PG,
        .cr3 = TABLES_GPA,
        .cr4 = X86_CR4_PAE,
        .efer = X86_EFER_LME | X86_EFER_LMA,
        .regs = {[X86_RSI] = PARAMS_GPA},
    };
    for (enum hvm_seg s = HVM_ES; s <= HVM_GS; s++) {
        start->segs[s] = data;
    }
    start->segs[HVM_CS] = (struct hvm_segment){0, UINT32_MAX, 0xa09b, SELECTOR_CODE};
    start->segs[HVM_LDT] = (struct hvm_segment){.limit = 0xffff, .attr = SEG_UNUSABLE | 0x82};
    /* A busy 64-bit TSS: VM entry wants one. */
    start->segs[HVM_TR] = (struct hvm_segment){.limit = 0x67, .attr = 0x8b};
    start->segs[HVM_GDT] = (struct hvm_segment){.base = GDT_GPA, .limit = SELECTOR_DATA + 7};
}

enum status linux_load(const struct vm *vm, struct vcpu_start *start) {
    const struct boot_image *initrd = vm->plan->initrd;
    const uint8_t *file = phys_pointer(vm->plan->kernel->base);
    const char *why, *cmdline = vm->plan->config->cmdline;
    uint64_t initrd_size = initrd != NULL ? initrd->size : 0, length = strlen(cmdline);
    uint8_t *params = gmem_pointer(&vm->mem, GPA(PARAMS_GPA), PAGE_SIZE);
    struct bzimage kernel;
    struct guest_layout layout;
    enum status s = bzimage_parse(file, vm->plan->kernel->size, &kernel, &why);
    if (s == STATUS_OK) {
        why = "and initrd do not fit into low memory";
        s = guest_layout_compute(&kernel, initrd_size, vm->low_ram, &layout);
    }
    if (s == STATUS_OK && length > kernel.cmdline_max) {
        why = "takes no command line of this length";
        s = STATUS_INVALID;
    }
    if (s == STATUS_OK) {
        why = "finds less memory than the plan says";
        s = params == NULL ? STATUS_NOT_FOUND : linux_write_tables(&vm->mem);
    }
    if (s == STATUS_OK) {
        linux_write_params(params, file, &kernel, initrd_size, &layout);
        linux_write_e820(params, vm, layout.acpi.v);
        const struct {
            uint64_t to;
            const void *from;
            uint64_t size;
        } copies[] = {
            {GDT_GPA, gdt, sizeof(gdt)},
            {CMDLINE_GPA, cmdline, length + 1},
            {layout.kernel.v, file + kernel.setup_size, kernel.kernel_size},
            {layout.initrd.v, initrd_size != 0 ? phys_pointer(initrd->base) : NULL, initrd_size},
        };
        for (size_t i = 0; s == STATUS_OK && i < ARRAY_SIZE(copies); i++) {
            s = gmem_write(&vm->mem, GPA(copies[i].to), copies[i].from, copies[i].size);
        }
    }
    if (s != STATUS_OK) {
        log_error("linux: the kernel %s", why);
        return s;
    }
    linux_fill_start(layout.kernel, start);
    return STATUS_OK;
}
