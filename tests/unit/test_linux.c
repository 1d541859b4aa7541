/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loader: what a 64-bit Linux entry point is promised, checked in guest memory. */
#include "hv/lib/x86.h"
#include "hv/plan/bzimage.h"
#include "hv/vm/linux.h"
#include "tests/unit/test.h"

#define RAM         (32 * MIB)
#define SETUP_SIZE  (4 * 512)
#define KERNEL_SIZE (64 * KIB)
#define INITRD_SIZE (3 * MIB + 123)
#define PREFERRED   (16 * MIB)
#define INIT_SIZE   (4 * MIB)

static uint8_t *ram, *high;
static uint8_t kernel[SETUP_SIZE + KERNEL_SIZE], initrd[INITRD_SIZE];
static struct plan_region regions[3];
static struct vm vm;
static struct plan_vm plan;
static struct config_guest config;
static struct boot_image images[2];
static struct vcpu_start start;

static void put(unsigned at, uint64_t value, unsigned bytes) {
    memcpy(kernel + at, &value, bytes);
}

static uint64_t field(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static void fresh(uint64_t high_size) {
    free(ram);
    free(high);
    ram = calloc(1, RAM);
    high = calloc(1, high_size + 1);
    /* A border inside the kernel, so that copies have to cross it. */
    regions[0] = (struct plan_region){GPA(0), HPA((uintptr_t)ram), PREFERRED + 0x1000};
    regions[1] =
        (struct plan_region){GPA(PREFERRED + 0x1000), HPA((uintptr_t)(ram + PREFERRED + 0x1000)),
                             RAM - PREFERRED - 0x1000};
    regions[2] = (struct plan_region){GPA(4 * GIB), HPA((uintptr_t)high), high_size};
    vm.mem = (struct gmem){.regions = regions, .region_count = high_size != 0 ? 3 : 2};

    for (size_t i = 0; i < sizeof(kernel); i++) {
        kernel[i] = (uint8_t)(i * 31 + (i >> 8));
    }
    for (size_t i = 0; i < sizeof(initrd); i++) {
        initrd[i] = (uint8_t)(i * 7 + (i >> 9));
    }
    memset(kernel + 0x1f1, 0, 0x290 - 0x1f1);
    put(0x1f1, SETUP_SIZE / 512 - 1, 1);
    put(0x1f4, KERNEL_SIZE / 16, 4);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x66eb, 2); /* jump over the header, which ends at 268h */
    memcpy(kernel + 0x202, "HdrS", 4);
    put(0x206, 0x020f, 2);
    put(0x211, 0x01, 1);
    put(0x22c, 0x7fffffff, 4);
    put(0x230, 0x200000, 4);
    put(0x234, 1, 1);
    put(0x236, 0x03, 2);
    put(0x238, 2047, 4);
    put(0x258, PREFERRED, 8);
    put(0x260, INIT_SIZE, 4);
    put(0x268, 0xffffffff, 4); /* past the header: must not be copied */

    images[0] = (struct boot_image){.base = HPA((uintptr_t)kernel), .size = sizeof(kernel)};
    images[1] = (struct boot_image){.base = HPA((uintptr_t)initrd), .size = sizeof(initrd)};
    strcpy(config.cmdline, "console=ttyS0 quiet");
    plan = (struct plan_vm){.config = &config, .kernel = &images[0], .initrd = &images[1]};
    vm.plan = &plan;
    vm.low_ram = RAM;
    vm.high_ram = high_size;
    memset(&start, 0xa5, sizeof(start));
}

TEST(boot_params) {
    fresh(0);
    CHECK_U64(linux_load(&vm, &start), STATUS_OK);
    const uint8_t *p = ram + start.regs[X86_RSI];
    CHECK_U64(field(p + 0x070, 8), RAM - LAYOUT_ACPI_SIZE);
    CHECK_U64(p[0x1ef], 0);
    CHECK(memcmp(p + 0x202, "HdrS", 4) == 0);
    CHECK_U64(field(p + 0x206, 2), 0x020f);
    CHECK_U64(p[0x210], 0xff);
    CHECK_U64(p[0x211], 0x81);
    CHECK_U64(field(p + 0x1fa, 2), 0xffff);
    CHECK_U64(field(p + 0x214, 4), PREFERRED);
    CHECK_U64(field(p + 0x268, 4), 0);
    CHECK(strcmp((const char *)ram + field(p + 0x228, 4), config.cmdline) == 0);
    CHECK_U64(field(p + 0x21c, 4), INITRD_SIZE);
    CHECK_U64(field(p + 0x0c0, 8), 0);
    uint64_t at = field(p + 0x218, 4);
    CHECK_U64(at % PAGE_SIZE, 0);
    CHECK(at >= PREFERRED + INIT_SIZE && at + INITRD_SIZE <= RAM - LAYOUT_ACPI_SIZE);
    CHECK(memcmp(ram + at, initrd, INITRD_SIZE) == 0);
    CHECK(memcmp(ram + PREFERRED, kernel + SETUP_SIZE, KERNEL_SIZE) == 0);
}

TEST(e820) {
    static const uint64_t want[][3] = {{0, 0x9fc00, 1},
                                       {0x9fc00, 0x60400, 2},
                                       {MIB, RAM - MIB - 64 * KIB, 1},
                                       {RAM - 64 * KIB, 60 * KIB, 3},
                                       {RAM - 4 * KIB, 4 * KIB, 4},
                                       {4 * GIB, 2 * MIB, 1}};
    for (unsigned count = 5; count <= 6; count++) {
        fresh(count == 6 ? 2 * MIB : 0);
        CHECK_U64(linux_load(&vm, &start), STATUS_OK);
        const uint8_t *p = ram + start.regs[X86_RSI];
        CHECK_U64(p[0x1e8], count);
        for (unsigned i = 0; i < count; i++) {
            CHECK_U64(field(p + 0x2d0 + 20 * i, 8), want[i][0]);
            CHECK_U64(field(p + 0x2d8 + 20 * i, 8), want[i][1]);
            CHECK_U64(field(p + 0x2e0 + 20 * i, 4), want[i][2]);
        }
        CHECK_U64(field(p + 0x2d0 + 20 * count, 8), 0);
    }
}

TEST(cpu_state) {
    fresh(0);
    CHECK_U64(linux_load(&vm, &start), STATUS_OK);
    CHECK_U64(start.rip, PREFERRED + 0x200);
    CHECK_U64(start.rflags, 2);
    CHECK_U64(start.cr0, 0x80000031);
    CHECK_U64(start.cr4, 0x20);
    CHECK_U64(start.efer, 0x500);
    CHECK_U64(start.segs[HVM_CS].selector, 0x10);
    CHECK_U64(start.segs[HVM_CS].attr, 0xa09b);
    const enum hvm_seg flat[] = {HVM_DS, HVM_ES, HVM_SS};
    for (size_t i = 0; i < ARRAY_SIZE(flat); i++) {
        CHECK_U64(start.segs[flat[i]].selector, 0x18);
        CHECK_U64(start.segs[flat[i]].attr, 0xc093);
        CHECK_U64(start.segs[flat[i]].limit, 0xffffffff);
    }
    CHECK_U64(start.segs[HVM_TR].attr, 0x8b);
    CHECK((start.segs[HVM_LDT].attr & SEG_UNUSABLE) != 0);
    const struct hvm_segment *gdtr = &start.segs[HVM_GDT];
    CHECK_U64(gdtr->limit, 0x1f);
    CHECK_U64(field(ram + gdtr->base + 0x10, 8), 0x00af9b000000ffff);
    CHECK_U64(field(ram + gdtr->base + 0x18, 8), 0x00cf93000000ffff);
}

/* Walks the tables for every 2 MiB of the first 4 GiB; nothing else may be mapped. */
TEST(identity_map) {
    fresh(0);
    CHECK_U64(linux_load(&vm, &start), STATUS_OK);
    const uint64_t *pml4 = (const uint64_t *)(ram + start.cr3);
    for (unsigned i = 1; i < 512; i++) {
        CHECK_U64(pml4[i], 0);
    }
    CHECK_U64(pml4[0] & 0xfff, 3);
    const uint64_t *pdpt = (const uint64_t *)(ram + (pml4[0] & ~0xfffull));
    for (uint64_t g = 0; g < 512; g++) {
        if (g >= 4) {
            CHECK_U64(pdpt[g], 0);
            continue;
        }
        const uint64_t *pd = (const uint64_t *)(ram + (pdpt[g] & ~0xfffull));
        for (uint64_t i = 0; i < 512; i++) {
            CHECK_U64(pd[i], (g * GIB + i * 2 * MIB) | 0x83);
        }
    }
}

TEST(no_initrd) {
    fresh(0);
    plan.initrd = NULL;
    CHECK_U64(linux_load(&vm, &start), STATUS_OK);
    const uint8_t *p = ram + start.regs[X86_RSI];
    CHECK_U64(field(p + 0x218, 8), 0);
}

TEST(refusals) {
    fresh(0);
    put(0x238, 1000, 4);
    memset(config.cmdline, 0, sizeof(config.cmdline));
    memset(config.cmdline, 'x', 1000);
    CHECK_U64(linux_load(&vm, &start), STATUS_OK);
    config.cmdline[1000] = 'x';
    CHECK_U64(linux_load(&vm, &start), STATUS_INVALID);
    fresh(0);
    vm.low_ram = 22 * MIB;
    CHECK_U64(linux_load(&vm, &start), STATUS_NO_MEMORY);
    fresh(0);
    images[0].size -= 1;
    CHECK_U64(linux_load(&vm, &start), STATUS_INVALID);
    fresh(0);
    put(0x202, 0, 4);
    CHECK_U64(linux_load(&vm, &start), STATUS_INVALID);
    fresh(0);
    vm.mem.region_count = 1; /* less memory than the caller says */
    CHECK_U64(linux_load(&vm, &start), STATUS_NOT_FOUND);
    vm.mem.region_count = 0;
    CHECK_U64(linux_load(&vm, &start), STATUS_NOT_FOUND);
    CHECK_U64(start.rip, 0xa5a5a5a5a5a5a5a5); /* untouched on failure */
}

TEST_MAIN(T(boot_params), T(e820), T(cpu_state), T(identity_map), T(no_initrd), T(refusals))
