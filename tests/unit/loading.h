/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory in a buffer, with the files and struct bulkhead_start in it as the core copies
 * them, and the loader (hv/compartment/load) run on it. Included by its tests.
 */
#ifndef TESTS_UNIT_LOADING_H
#define TESTS_UNIT_LOADING_H

#include "hv/compartment/load/start.h"
#include "tests/unit/guest_ram.h"
#include "tests/unit/test.h"

#define CMDLINE_ROOM 0x800u

static struct abi_devices fake_devices;
static uint8_t *ram;                /* start.low_ram bytes */
static struct bulkhead_start start; /* is copied in at the begin, and read back when all is done */
static struct load load;
static unsigned calls; /* of load_go_on() */
/* An Intel CPU, which nobody has to tell its clock. */
static uint32_t cpuid[LOAD_LEAVES][4] = {
    [LOAD_LEAF_VENDOR] = {0, 0x756e6547, 0x6c65746e, 0x49656e69}};

static inline void put_text(struct bulkhead_piece *piece, uint64_t gpa, const char *text) {
    *piece = (struct bulkhead_piece){gpa, strlen(text)};
    strcpy((char *)ram + gpa, text);
}

static inline void stage_texts(const char *initrd_path, const char *cmdline) {
    uint64_t gpa = BULKHEAD_START_GPA + sizeof(start);
    put_text(&start.initrd_path, gpa, initrd_path);
    put_text(&start.name, gpa += 0x80, "web");
    put_text(&start.serial, gpa += 0x40, "BLKH-0C9AEE199E5D");
    put_text(&start.asset_tag, gpa += 0x40, "");
    put_text(&start.cmdline, gpa += 0x40, cmdline);
}

/* In size bytes of low RAM; the initrd may have no bytes. */
static inline void stage_files(uint64_t size, const uint8_t *kernel, uint64_t kernel_size,
                               const uint8_t *initrd, uint64_t initrd_size) {
    static uint64_t ram_size;
    if (size != ram_size) {
        free(ram);
        ram = NULL;
        ram_size = size;
    }
    guest_ram_fresh((void **)&ram, PAGE_SIZE, size);
    start = (struct bulkhead_start){.magic = BULKHEAD_START_MAGIC,
                                    .size = sizeof(start),
                                    .vcpu_count = 1,
                                    .low_ram = size,
                                    .kernel.size = kernel_size,
                                    .initrd.size = initrd_size};
    start.initrd.gpa = ALIGN_DOWN(size - BULKHEAD_TABLES_SIZE - initrd_size, PAGE_SIZE);
    start.kernel.gpa = ALIGN_DOWN(start.initrd.gpa - kernel_size, PAGE_SIZE);
    memcpy(ram + start.kernel.gpa, kernel, kernel_size);
    memcpy(ram + start.initrd.gpa, initrd, initrd_size);
    memset(&load, 0, sizeof(load));
}

/* From what is staged to the guest's first instruction. */
static inline enum load_status run_load(void) {
    memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));
    enum load_status status = load_begin(&load, ram, &fake_devices, (const uint32_t(*)[4])cpuid);
    for (calls = 0; status == LOAD_MORE; calls++) {
        status = load_go_on(&load);
    }
    if (status == LOAD_DONE) {
        memcpy(&start, ram + BULKHEAD_START_GPA, sizeof(start));
    }
    return status;
}

/* It is refused for that reason, and nothing is moved or filled in. */
static inline void check_load_refused(enum load_status want) {
    static uint8_t *before;
    static uint64_t before_size;
    if (start.low_ram != before_size) {
        free(before);
        before = malloc(start.low_ram);
        before_size = start.low_ram;
    }
    memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));
    memcpy(before, ram, start.low_ram);
    CHECK_U64(run_load(), want);
    CHECK_U64(load.entry.mode, MODE_NONE);
    memset(ram + MAP_GPA, 0, PAGE_SIZE); /* but for the memory map */
    CHECK(memcmp(before, ram, start.low_ram) == 0);
    CHECK_U64(load_go_on(&load), want);
}

/* What the firmware reads. */
static inline struct entry entry_left(void) {
    struct entry e;
    memcpy(&e, ram + ENTRY_GPA, sizeof(e));
    return e;
}

static inline uint64_t get(uint64_t gpa, unsigned bytes) {
    return number_at(ram, gpa, bytes);
}

#endif
