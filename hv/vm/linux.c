/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a bzImage by the 64-bit boot protocol: the guest starts in long mode with identity-mapped
 * 4 GiB, flat segments, and RSI at boot_params. Does not touch ACPI tables (acpi.c) or devices.
 * Called by vm start, with the guest's memory scrubbed and its vCPUs stopped.
 * Source: Linux Documentation/x86/boot.rst "64-bit Boot Protocol", zero-page.rst.
 */
#include "hv/vm/linux.h"

#include "hv/lib/log.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"
#include "hv/plan/layout.h"

/* Fixed places below 640 KiB; each is whole pages, so that it lies in one piece of memory. */
#define PARAMS_GPA  0x7000u
#define GDT_GPA     0x8000u
#define TABLES_GPA  0x9000u /* PML4, PDPT, four page directories */
#define CMDLINE_GPA 0x20000u
#define STACK_TOP   0x7000u
#define LOW_RAM_END 0x9fc00u
#define ENTRY_64    0x200u

#define DIRECTORIES 4u
#define PTE_TABLE   0x3u  /* present, writable */
#define PTE_LARGE   0x83u /* 2 MiB leaf */

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18

/* Offsets in boot_params. */
enum params_field {
    ACPI_RSDP_ADDR = 0x070,
    EXT_RAMDISK_IMAGE = 0x0c0,
    EXT_RAMDISK_SIZE = 0x0c4,
    E820_ENTRIES = 0x1e8,
    VID_MODE = 0x1fa,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    E820_TABLE = 0x2d0,
};

#define LOADER_UNDEFINED  0xff
#define LOADFLAG_USE_HEAP 0x80
#define HEAP_END          0xde00
#define VID_MODE_NORMAL   0xffff

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");

static void linux_set(uint8_t *params, enum params_field at, uint64_t value, size_t bytes) {
    memcpy(params + at, &value, bytes); /* x86 is little-endian, and so are the fields */
}

static void linux_write_e820(uint8_t *params, const struct linux_image *in, gpa_t acpi) {
    const struct e820_entry map[] = {
        {0, LOW_RAM_END, E820_RAM},
        {LOW_RAM_END, MIB - LOW_RAM_END, E820_RESERVED},
        {MIB, acpi.v - MIB, E820_RAM},
        {acpi.v, LAYOUT_ACPI_SIZE, E820_ACPI},
        {PLAN_HIGH_RAM, in->high_ram_size, E820_RAM},
    };
    size_t count = ARRAY_SIZE(map) - (in->high_ram_size == 0);
    memcpy(params + E820_TABLE, map, count * sizeof(map[0]));
    params[E820_ENTRIES] = (uint8_t)count;
}

static void linux_write_params(uint8_t *params, const struct linux_image *in,
                               const struct bzimage *kernel, const struct guest_layout *layout) {
    memset(params, 0, PAGE_SIZE);
    memcpy(params + BZIMAGE_HEADER_OFFSET, (const uint8_t *)in->kernel + BZIMAGE_HEADER_OFFSET,
           kernel->header_size);
    linux_set(params, ACPI_RSDP_ADDR, in->rsdp.v, 8);
    linux_set(params, VID_MODE, VID_MODE_NORMAL, 2);
    linux_set(params, TYPE_OF_LOADER, LOADER_UNDEFINED, 1);
    linux_set(params, LOADFLAGS, params[LOADFLAGS] | LOADFLAG_USE_HEAP, 1);
    linux_set(params, CODE32_START, layout->kernel.v, 4);
    linux_set(params, RAMDISK_IMAGE, layout->initrd.v, 4);
    linux_set(params, RAMDISK_SIZE, in->initrd_size, 4);
    linux_set(params, EXT_RAMDISK_IMAGE, layout->initrd.v >> 32, 4);
    linux_set(params, EXT_RAMDISK_SIZE, in->initrd_size >> 32, 4);
    linux_set(params, HEAP_END_PTR, HEAP_END, 2);
    linux_set(params, CMD_LINE_PTR, CMDLINE_GPA, 4);
    linux_write_e820(params, in, layout->acpi);
}

/* The guest's own first tables; it soon makes better ones. */
static enum status linux_write_tables(const struct gmem *mem) {
    uint64_t *pages[2 + DIRECTORIES];
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        pages[i] = gmem_pointer(mem, GPA(TABLES_GPA + i * PAGE_SIZE), PAGE_SIZE);
        if (pages[i] == NULL) {
            return STATUS_NOT_FOUND;
        }
        memset(pages[i], 0, PAGE_SIZE);
    }
    pages[0][0] = (TABLES_GPA + PAGE_SIZE) | PTE_TABLE;
    for (unsigned d = 0; d < DIRECTORIES; d++) {
        pages[1][d] = (TABLES_GPA + (2 + d) * PAGE_SIZE) | PTE_TABLE;
        for (unsigned i = 0; i < 512; i++) {
            pages[2 + d][i] = (d * GIB + i * 2 * MIB) | PTE_LARGE;
        }
    }
    static const uint64_t gdt[] = {
        [SELECTOR_CODE / 8] = 0x00af9b000000ffff, /* 64-bit code, read, execute */
        [SELECTOR_DATA / 8] = 0x00cf93000000ffff, /* data, read, write */
    };
    return gmem_write(mem, GPA(GDT_GPA), gdt, sizeof(gdt));
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
        .segs =
            {
                [HVM_ES] = data,
                [HVM_CS] = {.limit = UINT32_MAX, .attr = 0xa09b, .selector = SELECTOR_CODE},
                [HVM_SS] = data,
                [HVM_DS] = data,
                [HVM_FS] = data,
                [HVM_GS] = data,
                [HVM_LDTR] = {.limit = 0xffff, .attr = SEG_UNUSABLE | 0x82},
                [HVM_TR] = {.limit = 0x67, .attr = 0x8b}, /* busy 64-bit TSS: VM entry wants one */
                [HVM_GDTR] = {.base = GDT_GPA, .limit = SELECTOR_DATA + 7},
                [HVM_IDTR] = {.limit = 0},
            },
    };
}

/* Everything that is copied as it is. */
static enum status linux_copy(const struct gmem *mem, const struct linux_image *in,
                              const struct bzimage *kernel, const struct guest_layout *layout) {
    enum status status = gmem_write(mem, GPA(CMDLINE_GPA), in->cmdline, strlen(in->cmdline) + 1);
    if (status == STATUS_OK) {
        status = gmem_write(mem, layout->kernel, (const uint8_t *)in->kernel + kernel->setup_size,
                            kernel->kernel_size);
    }
    if (status == STATUS_OK && in->initrd_size != 0) {
        status = gmem_write(mem, layout->initrd, in->initrd, in->initrd_size);
    }
    return status;
}

enum status linux_load(const struct gmem *mem, const struct linux_image *in,
                       struct vcpu_start *start) {
    struct bzimage kernel;
    struct guest_layout layout;
    const char *why;
    enum status status = bzimage_parse(in->kernel, in->kernel_size, &kernel, &why);
    if (status != STATUS_OK) {
        log_error("linux: the kernel %s", why);
        return status;
    }
    size_t cmdline_max = min_u64(kernel.cmdline_max, LOW_RAM_END - CMDLINE_GPA - 1);
    if (strlen(in->cmdline) > cmdline_max) {
        log_error("linux: the command line has %zu bytes, this kernel takes %zu",
                  strlen(in->cmdline), cmdline_max);
        return STATUS_INVALID;
    }
    status = guest_layout_compute(&kernel, in->initrd_size, in->low_ram_size, &layout);
    if (status != STATUS_OK) {
        log_error("linux: kernel and initrd do not fit into %llu KiB of low memory",
                  (unsigned long long)(in->low_ram_size / KIB));
        return status;
    }
    uint8_t *params = gmem_pointer(mem, GPA(PARAMS_GPA), PAGE_SIZE);
    status = params == NULL ? STATUS_NOT_FOUND : linux_write_tables(mem);
    if (status == STATUS_OK) {
        linux_write_params(params, in, &kernel, &layout);
        status = linux_copy(mem, in, &kernel, &layout);
    }
    if (status != STATUS_OK) {
        log_error("linux: the guest's memory is smaller than the plan says");
        return status;
    }
    linux_fill_start(layout.kernel, start);
    return STATUS_OK;
}
