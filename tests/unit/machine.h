/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up machine, config and kernel for the tests of the plan. Included once in a test program.
 */
#ifndef TESTS_UNIT_MACHINE_H
#define TESTS_UNIT_MACHINE_H

#include "config/kernel.h"
#include "config/parse.h"
#include "config/plan.h"
#include "tests/unit/faults.h"
#include "tests/unit/test.h"

#define KERNEL_FILE_SIZE 0x3000

static struct boot_info machine;
static struct plan plan;
static uint8_t kernel_file[KERNEL_FILE_SIZE] ALIGNED(PAGE_SIZE);
static uint8_t initrd_file[3 * MIB + 5];

static inline void put_field(unsigned at, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        kernel_file[at + i] = (uint8_t)(value >> 8 * i);
    }
}

/* A bzImage as Debian's: 16 MiB preferred, 32 MiB to run in; two sectors of setup. */
static inline void make_kernel(void) {
    memset(kernel_file, 0, sizeof(kernel_file));
    put_field(0x1f1, 1, 1);
    put_field(0x1f4, (KERNEL_FILE_SIZE - 1024) / 16, 4);
    put_field(0x1fe, 0xaa55, 2);
    put_field(0x200, 0x6aeb, 2);
    memcpy(kernel_file + 0x202, "HdrS", 4);
    put_field(0x206, 0x20f, 2);
    put_field(0x211, 1, 1);
    put_field(0x22c, 0x7fffffff, 4);
    put_field(0x230, 0x200000, 4);
    put_field(0x234, 1, 1);
    put_field(0x236, 0x3f, 2);
    put_field(0x238, 2047, 4);
    put_field(0x258, 16 * MIB, 8);
    put_field(0x260, 32 * MIB, 4);
}

static inline void add_range(uint64_t base, uint64_t end, enum mem_kind kind) {
    machine.ranges[machine.range_count++] =
        (struct mem_range){.base = HPA(base), .size = end - base, .kind = kind};
}

static inline void add_image(const char *path, uint64_t base, uint64_t size) {
    struct boot_image *image = &machine.images[machine.image_count++];
    snprintf(image->path, sizeof(image->path), "%s", path);
    image->base = HPA(base);
    image->size = size;
}

/* 4 CPUs, 4 GiB of RAM: 1 MiB to 16 MiB is Bulkhead's, two images in it, free up to 3 GiB, 1 GiB
 * above 4 GiB. */
static inline void make_machine(void) {
    memset(&machine, 0, sizeof(machine));
    make_kernel();
    machine.cpu_count = 4;
    add_range(0, 0x9f000, MEM_FREE);
    add_range(0x9f000, MIB, MEM_RESERVED);
    add_range(MIB, 16 * MIB, MEM_BULKHEAD);
    add_range(16 * MIB, 3 * GIB, MEM_FREE);
    add_range(3 * GIB, 4 * GIB, MEM_RESERVED);
    add_range(4 * GIB, 5 * GIB, MEM_FREE);
    machine.image_base = HPA(MIB);
    machine.image_size = MIB;
    machine.heap_base = HPA(2 * MIB);
    machine.heap_size = 2 * MIB;
    machine.trampoline = HPA(0x8000);
    add_image("guests/vmlinuz", (uintptr_t)kernel_file, KERNEL_FILE_SIZE);
    add_image("guests/initrd", (uintptr_t)initrd_file, sizeof(initrd_file));
    add_image("images/base", 8 * MIB, 3 * MIB + 512); /* nobody opens these */
    add_image("images/small", 12 * MIB, 512);
}

/* Reads a config into the machine; it must be good. */
static inline void configure(const char *text) {
    memset(&faults, 0, sizeof(faults));
    if (config_parse(text, strlen(text), &machine.config, &faults) != STATUS_OK) {
        CHECK_STR(faults.faults[0].text, "no fault");
    }
    memset(&faults, 0, sizeof(faults));
}

/* As boot/ and bhcheck do, behind config_parse(). */
static inline enum status judge(void) {
    memset(&plan, 0xa5, sizeof(plan));
    kernel_check_guests(&machine, &faults);
    return plan_build(&machine, &plan, &faults);
}

static inline void report_plan(const char *text) {
    fault_add(&faults, 0, 0, "%s", text);
}

static inline enum status build(void) {
    memset(&faults, 0, sizeof(faults));
    return judge();
}

#define FAULTS(...)                                                                                \
    do {                                                                                           \
        static const struct want want[] = {__VA_ARGS__};                                           \
        check_faults(build(), want, ARRAY_SIZE(want));                                             \
    } while (0)

/* The faults that are in the list already, with those of the files and the plan. */
#define FAULTS_MORE(...)                                                                           \
    do {                                                                                           \
        static const struct want want[] = {__VA_ARGS__};                                           \
        check_faults(judge(), want, ARRAY_SIZE(want));                                             \
    } while (0)

/* A guest's table; the lines are: header, cpus, memory, kernel, initrd. */
#define GUEST(name, cpus, memory)                                                                  \
    "[guest." name "]\ncpus = \"" cpus "\"\nmemory = \"" memory                                    \
    "\"\nkernel = \"guests/vmlinuz\"\ninitrd = \"guests/initrd\"\n"

#endif
