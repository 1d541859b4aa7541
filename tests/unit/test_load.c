/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The course of a guest's start: what the core hands over is believed only if it fits, bytes are
 * moved in pieces, and in the end the firmware stands there with what it is to do.
 */
#include "tests/unit/loading.h"

#define RAM_SIZE    (32 * MIB)
#define KERNEL_SIZE (5 * MIB + 77)
#define INITRD_SIZE (3 * MIB + 123)

static uint8_t *kernel, *initrd;

static void stage(void) {
    if (kernel == NULL) {
        kernel = malloc(KERNEL_SIZE);
        initrd = malloc(INITRD_SIZE);
        for (size_t i = 0; i < KERNEL_SIZE; i++) {
            kernel[i] = (uint8_t)(i * 31 + (i >> 8)) | 1;
        }
        for (size_t i = 0; i < INITRD_SIZE; i++) {
            initrd[i] = (uint8_t)(i * 7 + (i >> 9)) | 1;
        }
    }
    stage_files(RAM_SIZE, kernel, KERNEL_SIZE, initrd, INITRD_SIZE);
    stage_texts("guests/web.img", "quiet");
    start.kernel_type = BULKHEAD_KERNEL_FLAT;
}

/* ---- what is handed over ---- */

TEST(it_is_believed) {
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    CHECK_U64(load_go_on(&load), LOAD_DONE); /* and no more is done */
    CHECK(load_at(&load, 0, RAM_SIZE) == ram);
    CHECK(load_at(&load, 0, RAM_SIZE + 1) == NULL);
}

/* As the upcall does it, call by call. */
TEST(answers) {
    static struct exchange_load e;
    unsigned more = 0;
    stage();
    memcpy(e.cpuid, cpuid, sizeof(cpuid));
    memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));
    for (load_answer(&e, ram, &fake_devices); e.status == LOAD_MORE && more < 100; more++) {
        load_answer(&e, ram, &fake_devices);
    }
    CHECK_U64(e.status, LOAD_DONE);
    CHECK_U64(more, ALIGN_UP(2 * KERNEL_SIZE, LOAD_PIECE) / LOAD_PIECE - 1);
    CHECK(memcmp(ram + BULKHEAD_FLAT_GPA, kernel, KERNEL_SIZE) == 0);
    ram[BULKHEAD_FLAT_GPA] = 0; /* the guest's now */
    e.status = LOAD_NO_ANSWER;
    load_answer(&e, ram, &fake_devices);
    CHECK_U64(e.status, LOAD_DONE);
    CHECK_U64(ram[BULKHEAD_FLAT_GPA], 0);
}

#define CHECK_UNKNOWN(statement)                                                                   \
    do {                                                                                           \
        stage();                                                                                   \
        statement;                                                                                 \
        memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));                                   \
        CHECK_U64(load_begin(&load, ram, &fake_devices, (const uint32_t(*)[4])cpuid),              \
                  LOAD_UNKNOWN_FORM);                                                              \
        CHECK_U64(load_go_on(&load), LOAD_UNKNOWN_FORM);                                           \
    } while (0)

TEST(a_form_that_nobody_knows) {
    CHECK_UNKNOWN(start.magic++);
    CHECK_UNKNOWN(start.size--);
    CHECK_UNKNOWN(start.vcpu_count = 0);
    CHECK_UNKNOWN(start.vcpu_count = 255);
    CHECK_UNKNOWN(start.low_ram++);
    CHECK_UNKNOWN(start.low_ram = MIB);
    CHECK_UNKNOWN(start.low_ram = 0);
    CHECK_UNKNOWN(start.low_ram = 3 * GIB + PAGE_SIZE);
    CHECK_UNKNOWN(start.low_ram = UINT64_MAX - PAGE_SIZE + 1);
    stage();
    start.low_ram = 3 * GIB; /* the most */
    memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));
    CHECK_U64(load_begin(&load, ram, &fake_devices, (const uint32_t(*)[4])cpuid), LOAD_MORE);
}

TEST(files_lie_between_the_first_mib_and_the_tables) {
    const uint64_t tables = RAM_SIZE - BULKHEAD_TABLES_SIZE;
    CHECK_UNKNOWN(start.kernel.gpa = MIB - 1);
    CHECK_UNKNOWN(start.kernel.gpa = UINT64_MAX);
    CHECK_UNKNOWN(start.kernel.size = 0);
    CHECK_UNKNOWN(start.kernel.size = UINT64_MAX);
    CHECK_UNKNOWN(start.kernel.size = start.initrd.gpa - start.kernel.gpa + 1);
    CHECK_UNKNOWN(start.kernel.gpa = start.initrd.gpa);
    CHECK_UNKNOWN(start.initrd.gpa = tables - INITRD_SIZE + 1);
    CHECK_UNKNOWN(start.initrd.gpa = MIB);
    CHECK_UNKNOWN(start.initrd.size = UINT64_MAX);
    stage();
    start.initrd = (struct bulkhead_piece){UINT64_MAX, 0}; /* there is none */
    CHECK_U64(run_load(), LOAD_DONE);
    stage();
    memmove(ram + tables - INITRD_SIZE, ram + start.initrd.gpa, INITRD_SIZE);
    start.initrd.gpa = tables - INITRD_SIZE;
    CHECK_U64(run_load(), LOAD_DONE);
}

TEST(texts_are_whole_and_out_of_the_way) {
    struct bulkhead_piece *texts[] = {&start.initrd_path, &start.cmdline, &start.name,
                                      &start.serial, &start.asset_tag};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        CHECK_UNKNOWN(texts[i]->gpa = BULKHEAD_START_GPA);
        CHECK_UNKNOWN(texts[i]->gpa = 0xf0000);
        CHECK_UNKNOWN(texts[i]->size = UINT64_MAX);
        CHECK_UNKNOWN(memset(ram + texts[i]->gpa + texts[i]->size, 'x', 1));
        if (texts[i] != &start.cmdline) {
            CHECK_UNKNOWN(texts[i]->gpa = start.cmdline.gpa);
            CHECK_UNKNOWN(texts[i]->size = start.cmdline.gpa - texts[i]->gpa);
            CHECK_UNKNOWN(put_text(&start.cmdline, texts[i]->gpa + texts[i]->size, ""));
        }
    }
    /* With room for the clock before what is written here. */
    CHECK_UNKNOWN(put_text(&start.cmdline, LEGACY_TABLES - COMMAND_ROOM + 1, ""));
    stage();
    put_text(&start.cmdline, LEGACY_TABLES - COMMAND_ROOM, "");
    CHECK_U64(run_load(), LOAD_DONE);
}

/* ---- what is moved ---- */

/* Each call moves or zeroes one piece: the kernel goes down, what is left of its file is zeroed. */
TEST(in_pieces) {
    stage();
    memcpy(ram + BULKHEAD_START_GPA, &start, sizeof(start));
    enum load_status status = load_begin(&load, ram, &fake_devices, (const uint32_t(*)[4])cpuid);
    const uint64_t file = start.kernel.gpa;
    uint64_t moved = 0;
    for (; status == LOAD_MORE && moved < 2 * KERNEL_SIZE; moved += LOAD_PIECE) {
        uint64_t next = moved + LOAD_PIECE;
        CHECK_U64(ram[BULKHEAD_FLAT_GPA + moved], 0);
        CHECK_U64(get(RESET_GPA, 1), 0); /* nothing is there to be run yet */
        status = load_go_on(&load);
        CHECK_U64(ram[BULKHEAD_FLAT_GPA + min_u64(next, KERNEL_SIZE) - 1],
                  kernel[min_u64(next, KERNEL_SIZE) - 1]);
        if (next < KERNEL_SIZE) {
            CHECK_U64(ram[BULKHEAD_FLAT_GPA + next], 0);
            CHECK_U64(ram[file], kernel[0]);
        }
    }
    CHECK_U64(status, LOAD_DONE);
    CHECK_U64(moved, ALIGN_UP(2 * KERNEL_SIZE, LOAD_PIECE));
    CHECK(memcmp(ram + BULKHEAD_FLAT_GPA, kernel, KERNEL_SIZE) == 0);
    for (uint64_t i = 0; i < KERNEL_SIZE; i++) {
        CHECK_U64(ram[file + i], 0);
    }
    CHECK(memcmp(ram + start.initrd.gpa, initrd, INITRD_SIZE) == 0);
}

/* Over itself, by less and by more than a piece, downwards and upwards. */
TEST(over_itself) {
    const uint64_t from = 12 * MIB;
    const int64_t ways[] = {-(int64_t)(2 * MIB), -4097, -1, 0, 1, 4097, 2 * (int64_t)MIB};
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        stage();
        uint64_t to = from + (uint64_t)ways[i];
        memcpy(ram + from, kernel, KERNEL_SIZE);
        load = (struct load){.status = LOAD_MORE, .start = start, .low = {0, RAM_SIZE, ram}};
        load.memory = (struct guest_memory){&load.low, 1, 0};
        load.devices = &fake_devices;
        map_write(&load);
        move_file(&load, to, &(struct bulkhead_piece){from, KERNEL_SIZE}, 0, KERNEL_SIZE);
        while (load_go_on(&load) == LOAD_MORE) {
        }
        CHECK_U64(load.status, LOAD_DONE);
        CHECK(memcmp(ram + to, kernel, KERNEL_SIZE) == 0);
        CHECK_U64(ram[to - 1], 0);
        CHECK_U64(ram[to + KERNEL_SIZE], 0);
    }
}

TEST(what_is_not_there_is_not_moved) {
    const struct move moves[] = {
        {.to = RAM_SIZE - 1, .from = MIB, .size = 2}, {.to = MIB, .from = RAM_SIZE - 1, .size = 2},
        {.to = UINT64_MAX, .from = MIB, .size = 2},   {.to = MIB, .from = UINT64_MAX, .size = 2},
        {.to = MIB, .from = MIB, .size = UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        stage();
        load = (struct load){.low = {0, RAM_SIZE, ram}};
        load.memory = (struct guest_memory){&load.low, 1, 0};
        move_bytes(&load, moves[i].to, moves[i].from, moves[i].size);
        CHECK(load.outside && load.move_count == 0);
    }
    load.outside = false;
    move_zeros(&load, RAM_SIZE - 1, 2);
    CHECK(load.outside && load.move_count == 0);
    load.outside = false;
    for (unsigned i = 0; i < MOVES_MOST; i++) {
        move_zeros(&load, MIB, 1);
    }
    CHECK(!load.outside);
    move_zeros(&load, MIB, 1);
    CHECK(load.outside);
    CHECK_U64(load.move_count, MOVES_MOST);
}

/* ---- what the guest's first instruction finds ---- */

TEST(the_firmware_and_what_it_is_to_do) {
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    struct entry e = entry_left();
    CHECK_U64(e.mode, MODE_LONG);
    CHECK_U64(e.address, BULKHEAD_FLAT_GPA);
    CHECK_U64(e.edi, BULKHEAD_START_GPA);
    CHECK_U64(e.eax | e.ebx | e.esi, 0);
    CHECK(memcmp(ram + FIRMWARE_GPA, guest_firmware, ENTRY_GPA - FIRMWARE_GPA) == 0);
    CHECK(memcmp(ram + RESET_GPA, guest_firmware + (RESET_GPA - FIRMWARE_GPA), 16) == 0);
    CHECK(get(RESET_GPA, 1) == 0xe9 || get(RESET_GPA, 1) == 0xeb); /* a near jump */
}

/* As the CPU walks them: the first 4 GiB one to one, and nothing else. */
TEST(page_tables) {
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    for (uint64_t at = 0; at < 4 * GIB; at += 2 * MIB) {
        uint64_t pml4 = get(TABLES_GPA + (at >> 39) * 8, 8);
        uint64_t pdpt = get((pml4 & ~0xfffull) + (at >> 30 & 511) * 8, 8);
        uint64_t entry = get((pdpt & ~0xfffull) + (at >> 21 & 511) * 8, 8);
        CHECK_U64(pml4 & 0xfff, 3);
        CHECK_U64(pdpt & 0xfff, 3);
        CHECK_U64(entry, at | 0x83);
    }
    CHECK_U64(get(TABLES_GPA + 8, 8), 0);
    CHECK_U64(get(TABLES_GPA + PAGE_SIZE + 4 * 8, 8), 0);
}

/* Where everything is, for programs that get struct bulkhead_start. */
TEST(the_struct_tells_map_and_tables) {
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    CHECK_U64(start.rsdp, RAM_SIZE - BULKHEAD_TABLES_SIZE);
    CHECK(memcmp(ram + start.rsdp, "RSD PTR ", 8) == 0);
    CHECK(memcmp(ram + ACPI_RSDP_SCAN, "RSD PTR ", 8) == 0);
    CHECK(memcmp(ram + SMBIOS_TABLES, "_SM3_", 5) == 0);
    CHECK_U64(start.memory_map.gpa, MAP_GPA);
    CHECK_U64(start.memory_map.size, 8 * 20);
}

/* Behind the guest's memory in the map; as what they are, so that nobody takes them for RAM. */
TEST(images_in_memory) {
    fake_devices = (struct abi_devices){
        .pmem_count = 2, .pmems = {{8 * GIB, 2 * MIB}, {8 * GIB + 128 * MIB, 64 * MIB}}};
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    CHECK_U64(start.memory_map.size, 10 * 20);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = MAP_GPA + 20 * (8 + i);
        CHECK_U64(get(at, 8), fake_devices.pmems[i].gpa);
        CHECK_U64(get(at + 8, 8), fake_devices.pmems[i].size);
        CHECK_U64(get(at + 16, 4), 12);
    }
    fake_devices.pmem_count = 0;
}

TEST(what_cpuid_says) {
    static const char brand[] = "A made-up CPU";
    uint32_t *timing = cpuid[LOAD_LEAF_TIMING];
    memcpy(cpuid[LOAD_LEAF_BRAND], brand, sizeof(brand));
    memcpy(cpuid[LOAD_LEAF_MODEL], (uint32_t[]){0x306c3, 1, 2, 0x1f8bfbff}, 16);
    timing[0] = 2400123;
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    CHECK_STR(load.cpu.maker, "GenuineIntel");
    CHECK_STR(load.cpu.name, brand);
    CHECK_U64(load.cpu.model, 0x306c3);
    CHECK_U64(load.cpu.features, 0x1f8bfbff);
    CHECK_U64(load.cpu.khz, 2400123);
    /* All of 48 letters. */
    memset(cpuid[LOAD_LEAF_BRAND], 'b', 48);
    stage();
    CHECK_U64(run_load(), LOAD_DONE);
    CHECK_U64(strlen(load.cpu.name), 48);
}

TEST_MAIN(T(it_is_believed), T(answers), T(a_form_that_nobody_knows),
          T(files_lie_between_the_first_mib_and_the_tables), T(texts_are_whole_and_out_of_the_way),
          T(in_pieces), T(over_itself), T(what_is_not_there_is_not_moved),
          T(the_firmware_and_what_it_is_to_do), T(page_tables), T(the_struct_tells_map_and_tables),
          T(images_in_memory), T(what_cpuid_says))
