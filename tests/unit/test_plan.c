// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/plan.c: every plan it builds must also please plan_check(). */
#include "tests/unit/machine.h"

static void check_built(void) {
    CHECK(build() == STATUS_OK);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    show_faults();
}

static void check_region(uint32_t vm, uint32_t i, uint64_t gpa, uint64_t hpa, uint64_t size) {
    CHECK(i < plan.vms[vm].region_count);
    CHECK_U64(plan.vms[vm].regions[i].gpa.v, gpa);
    CHECK_U64(plan.vms[vm].regions[i].hpa.v, hpa);
    CHECK_U64(plan.vms[vm].regions[i].size, size);
}

TEST(two_guests) {
    make_machine();
    configure(GUEST("alpha", "1", "512M") GUEST("beta", "3", "256M"));
    check_built();
    CHECK_U64(plan.vm_count, 2);
    CHECK(plan.vms[1].config == &machine.config.guests[1]);
    CHECK(plan.vms[0].kernel == &machine.images[0]);
    CHECK(plan.vms[0].initrd == &machine.images[1]);
    CHECK_U64(plan.vms[0].cpu_count, 1);
    CHECK_U64(plan.vms[0].cpus[0], 1);
    CHECK_U64(plan.vms[1].cpus[0], 3);
    CHECK_U64(plan.vms[0].region_count, 1);
    CHECK_U64(plan.vms[1].region_count, 1);
    CHECK_U64(plan.vms[0].regions[0].hpa.v % (2 * MIB), 0);
    CHECK(plan.vms[0].budget_base.v + plan.vms[0].budget_size <= 4 * GIB);
    CHECK_U64(plan.vms[0].budget_size, plan_budget_size(512 * MIB, 1, false));
}

TEST(budget_size) {
    CHECK_U64(plan_budget_size(512 * MIB, 1, false), 4 * MIB + 20 * KIB + 256 * KIB);
    CHECK_U64(plan_budget_size(3 * GIB, 2, false), 4 * MIB + 60 * KIB + 512 * KIB);
    CHECK_U64(plan_budget_size(3 * GIB + 2 * MIB, 2, false) % PAGE_SIZE, 0);
}

/* Where guests have 4 KiB pages only, a table more for each 2 MiB. */
TEST(budget_of_small_pages) {
    uint64_t large = plan_budget_size(3 * GIB + PAGE_SIZE, 2, false);
    CHECK_U64(plan_budget_size(3 * GIB + PAGE_SIZE, 2, true) - large, 1537 * PAGE_SIZE);
    make_machine();
    configure(GUEST("alpha", "1", "512M"));
    check_built();
    large = plan.vms[0].budget_size;
    machine.mitigations = MITIGATE_SMALL_PAGES;
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_INVALID);
    check_built();
    CHECK_U64(plan.vms[0].budget_size - large, 256 * PAGE_SIZE);
}

/* A budget lies in the lowest gap that takes it whole. */
TEST(budget_places) {
    make_machine();
    machine.range_count -= 3;
    add_range(16 * MIB, 20 * MIB, MEM_FREE);
    add_range(24 * MIB, 29 * MIB, MEM_FREE);
    add_range(2 * GIB, 3 * GIB, MEM_FREE);
    add_range(4 * GIB, 5 * GIB, MEM_FREE);
    configure(GUEST("alpha", "1", "256M"));
    check_built();
    CHECK_U64(plan.vms[0].budget_base.v, 24 * MIB);
    machine.ranges[4].kind = machine.ranges[5].kind = MEM_RESERVED;
    check_built();
    CHECK_U64(plan.vms[0].budget_base.v, 4 * GIB);
}

TEST(same_twice) {
    static struct plan first;
    make_machine();
    configure(GUEST("alpha", "1", "1G") GUEST("beta", "3", "256M"));
    check_built();
    first = plan;
    check_built();
    CHECK(memcmp(&first, &plan, sizeof(plan)) == 0);
}

/* From 1 GiB on, host and guest address agree modulo 1 GiB, so that 1 GiB pages can map them. */
TEST(large_pages) {
    make_machine();
    configure(GUEST("alpha", "1", "1536M"));
    check_built();
    CHECK_U64(plan.vms[0].region_count, 1);
    check_region(0, 0, 0, GIB, 1536 * MIB);
    configure(GUEST("alpha", "1", "256M") GUEST("beta", "2", "2G"));
    check_built();
    CHECK_U64(plan.vms[1].region_count, 1); /* small fry goes below, 1-3 GiB stays whole */
    check_region(1, 0, 0, GIB, 2 * GIB);
}

TEST(above_the_gap) {
    make_machine();
    machine.range_count--;
    add_range(4 * GIB, 20 * GIB, MEM_FREE);
    configure(GUEST("alpha", "1", "6G"));
    check_built();
    CHECK_U64(plan.vms[0].region_count, 2);
    check_region(0, 0, 0, 4 * GIB, 3 * GIB);
    CHECK_U64(plan.vms[0].regions[1].gpa.v, 4 * GIB);
    CHECK_U64(plan.vms[0].regions[1].size, 3 * GIB);
    CHECK_U64(plan.vms[0].regions[1].hpa.v % GIB, 0);
}

/* All there is, to the last 2 MiB, from a memory map in odd pieces. */
TEST(leftovers) {
    make_machine();
    machine.range_count = 0;
    add_range(0, MIB, MEM_RESERVED);
    add_range(MIB, 16 * MIB, MEM_BULKHEAD);
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t base = 32 * MIB + i * 8 * MIB + 0x5000; /* 3 whole 2 MiB pages and 8 KiB more */
        add_range(base, base + 0x3000, MEM_RESERVED);
        add_range(base + 0x3000, base + 8 * MIB - 0x1000, MEM_FREE);
    }
    const uint64_t each = 8 * MIB - 0x4000;
    char text[300];
    uint64_t left = 20 * each - plan_budget_size(GIB, 1, false);
    snprintf(text, sizeof(text), GUEST("alpha", "1", "%lluM"),
             (unsigned long long)(ALIGN_DOWN(left, 2 * MIB) / MIB));
    configure(text);
    CHECK(build() == STATUS_INVALID); /* more pieces than a VM may have */
    CHECK_U64(faults.count, 1);
    configure(GUEST("alpha", "1", "100M"));
    check_built();
    for (uint32_t i = 0; i < plan.vms[0].region_count; i++) {
        CHECK_U64(plan.vms[0].regions[i].hpa.v % (2 * MIB), 0); /* no leftover without need */
    }
    configure(GUEST("alpha", "1", "120M"));
    check_built();
    uint32_t small = 0;
    for (uint32_t i = 0; i < plan.vms[0].region_count; i++) {
        small += plan.vms[0].regions[i].size % (2 * MIB) != 0;
    }
    CHECK(small > 0);
}

TEST(never_below_1_mib) {
    make_machine();
    machine.range_count = 0;
    add_range(0, 80 * MIB, MEM_FREE);
    machine.image_count = 0;
    machine.image_base = machine.heap_base = HPA(200 * MIB);
    add_image("guests/vmlinuz", (uintptr_t)kernel_file, KERNEL_FILE_SIZE);
    configure("[guest.a]\ncpus='0'\nmemory='60M'\nkernel='guests/vmlinuz'");
    check_built();
    for (uint32_t i = 0; i < plan.vms[0].region_count; i++) {
        CHECK(plan.vms[0].regions[i].hpa.v >= MIB);
    }
    CHECK(plan.vms[0].budget_base.v >= MIB);
}

TEST(cpu_faults) {
    make_machine();
    configure(GUEST("alpha", "4", "512M"));
    FAULTS({"2:8:", "guest \"alpha\": CPU 4 does not exist; this machine's last CPU is 3"});
    machine.cpu_count = 12;
    configure(GUEST("alpha", "1-8", "512M"));
    check_built();
    CHECK_U64(plan.vms[0].cpu_count, 8);
    configure(GUEST("alpha", "1-9", "512M"));
    FAULTS({"2:8:", "cpus = \"1-9\" names 9 CPUs; a guest can have at most 8"});
    machine.cpu_count = 4;
    configure(GUEST("alpha", "3-5", "512M"));
    FAULTS({"2:8:", "CPU 5 does not exist"});
    machine.cpu_count = 1;
    configure(GUEST("alpha", "1", "512M"));
    FAULTS({"2:8:", "last CPU is 0"});
    make_machine();
    configure(GUEST("alpha", "1", "512M") GUEST("beta", "1", "512M"));
    FAULTS({"7:8:", "guest \"beta\": CPU 1 was given to guest \"alpha\" already, on line 2"});
    configure("[guest.a]\ncpus='1,3-4'\nmemory='64M'\nkernel='guests/vmlinuz'\n" GUEST(
        "b", "2", "64M") GUEST("c", "2-4", "64M"));
    machine.cpu_count = 5;
    FAULTS({"11:8:", "guest \"c\": CPU 3 was given to guest \"a\""},
           {"11:8:", "guest \"c\": CPU 2 was given to guest \"b\""});
}

TEST(file_faults) {
    make_machine();
    configure("[guest.a]\ncpus='1'\nmemory='512M'\nkernel='x'\ninitrd='y'");
    FAULTS({"4:8:", "kernel = \"x\": no such file"}, {"5:8:", "initrd = \"y\": no such file"});
    configure("[guest.a]\ncpus='1'\nmemory='512M'\nkernel='x'");
    FAULTS({"4:8:", "kernel = \"x\": no such file"});
    configure(GUEST("alpha", "1", "512M"));
    machine.images[1].size = 0;
    FAULTS({"5:10:", "the file is empty"});
    make_machine();
    configure(GUEST("alpha", "1", "512M"));
    machine.images[0].size = 0;
    FAULTS({"4:10:", "kernel = \"guests/vmlinuz\": the file is empty"});
}

/* The hypervisor plans too, and reads no file: this one lies where nothing is mapped. */
TEST(opens_no_file) {
    make_machine();
    configure(GUEST("alpha", "1", "16M"));
    machine.images[0].base = HPA(4 * MIB);
    CHECK(plan_build(&machine, &plan, &faults) == STATUS_OK);
    CHECK(plan.vms[0].kernel == &machine.images[0]);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
}

TEST(more_memory_than_there_is) {
    make_machine();
    configure(GUEST("alpha", "1", "1G") GUEST("beta", "2", "3G"));
    FAULTS({"8:10:", "guest \"beta\": memory = \"3G\" is more than is left"});
    CHECK(strstr(faults.faults[0].text, "free are 3047M (999M at ") != NULL);
    CHECK(strstr(faults.faults[0].text, "at 0x100000000") != NULL);
    CHECK(strstr(faults.faults[0].text, "write at most \"3046M\"") != NULL);
    show_faults();
    configure(GUEST("alpha", "1", "1G") GUEST("beta", "2", "3046M"));
    check_built(); /* the advice is good */
    configure(GUEST("alpha", "1", "60000G") GUEST("beta", "2", "1G") GUEST("c", "3", "60000G"));
    FAULTS({"3:10:", "guest \"alpha\""}, {"13:10:", "guest \"c\""});
    machine.range_count = 0;
    FAULTS({"3:10:", "free are 0 "}, {"8:10:", "free are 0 "}, {"13:10:", "free are 0 "});
}

TEST(all_faults_at_once) {
    make_machine();
    configure(GUEST("alpha", "9", "20M") "[guest.b]\ncpus='1'\nmemory='8G'\nkernel='nix'\n");
    FAULTS({"2:8:", "CPU 9"}, {"3:10:", "too little"}, {"8:8:", "more than"},
           {"9:8:", "no such file"});
}

/* The faults of config/ and the plan's in one run, and nothing that only follows from another. */
TEST(whole_file_in_one_run) {
    static const char text[] =
        "[hypervisor]\nconsole = \"com1\nlgo = \"info\"\n"
        "[guest.a]\ncpus = \"1\"\nmemory = \"64X\"\nkernel = \"guests/vmlinuz\"\n"
        "[guest.b]\ncpus = \"9\"\nmemory = \"64M\"\nkernel = \"guests/vmlinuz\"\n"
        "[guest.c]\ncpus = \"1\"\nmemory = \"64M\"\nkernel = \"guests/nix\"\n"
        "[guest.d]\ncpus = 2\nmemory = 1G\nkernel = \"..\"\ninitrd = \"*\"\n";
    make_machine();
    memset(&faults, 0, sizeof(faults));
    CHECK(config_parse(text, sizeof(text) - 1, &machine.config, &faults) == STATUS_INVALID);
    FAULTS_MORE({"2:11:", "closing"}, {"3:1:", "did you mean log?"},
                {"6:10:", "memory = \"64X\" is not a size"}, {"9:8:", "CPU 9 does not exist"},
                {"13:8:", "guest \"c\": CPU 1 was given to guest \"a\" already, on line 5"},
                {"15:10:", "no such file"}, {"17:8:", "quotes"}, {"18:10:", "quotes"},
                {"19:10:", "not the path"}, {"20:10:", "holds '*'"});
    memset(&faults, 0, sizeof(faults));
    machine.range_count = 0;
    CHECK(config_parse(GUEST("a", "1", "64X"), strlen(GUEST("a", "1", "64X")), &machine.config,
                       &faults) == STATUS_INVALID);
    FAULTS_MORE({"3:10:", "is not a size"});
}

static void add_node(uint64_t base, uint64_t end, uint32_t number) {
    machine.nodes[machine.node_count] =
        (struct boot_node){.base = HPA(base), .size = end - base, .number = number};
    machine.node_count++;
}

/* The node of CPUs 2 and 3 has 1 GiB below the gap and 1 GiB above it. */
static void make_nodes(void) {
    make_machine();
    add_node(4 * GIB, 6 * GIB, 7);
    add_node(0, 2 * GIB, 5);
    add_node(2 * GIB, 3 * GIB, 7);
    machine.cpu_nodes[0] = machine.cpu_nodes[1] = 5;
    machine.cpu_nodes[2] = machine.cpu_nodes[3] = 7;
}

TEST(memory_of_the_cpus_own_node) {
    make_nodes();
    configure(GUEST("alpha", "2-3", "512M") GUEST("beta", "0", "512M") GUEST("gamma", "1", "256M"));
    check_built();
    CHECK_U64(plan.vms[0].region_count, 1);
    check_region(0, 0, 0, 2 * GIB, 512 * MIB);
    CHECK_U64(plan.vms[1].region_count, 1);
    CHECK(plan.vms[1].regions[0].hpa.v + 512 * MIB <= 2 * GIB);
    CHECK_U64(plan.vms[2].region_count, 1);
    CHECK(plan.vms[2].regions[0].hpa.v + 256 * MIB <= 2 * GIB);
}

/* First what is near, by large pages, then what there is. */
TEST(more_memory_than_its_node_has) {
    make_nodes();
    configure(GUEST("alpha", "3", "2560M"));
    check_built();
    CHECK_U64(plan.vms[0].region_count, 3);
    check_region(0, 0, 0, 2 * GIB, GIB);
    check_region(0, 1, GIB, 4 * GIB, GIB);
    CHECK_U64(plan.vms[0].regions[2].size, 512 * MIB);
    CHECK(plan.vms[0].regions[2].hpa.v + 512 * MIB <= 2 * GIB);

    configure(GUEST("alpha", "0", "2560M"));
    check_built();
    CHECK_U64(plan.vms[0].region_count, 3);
    check_region(0, 0, 0, GIB, GIB);
    CHECK(plan.vms[0].regions[1].hpa.v < GIB && plan.vms[0].regions[1].size > 900 * MIB);
    CHECK(plan.vms[0].regions[2].hpa.v >= 2 * GIB);
}

/* Random machines and guests: what plan_build() accepts, plan_check() accepts as well. */
TEST(random_machines) {
    uint32_t random = 7;
    unsigned built = 0;
    for (int round = 0; round < 3000; round++) {
        make_machine();
        machine.range_count = 2;
        uint64_t at = 16 * MIB;
        for (int i = 0; i < 12; i++) {
            random = random * 1664525 + 1013904223;
            uint64_t gap = (random >> 8) % 64 * PAGE_SIZE * ((random >> 4) % 8 == 0 ? 4096 : 1);
            random = random * 1664525 + 1013904223;
            uint64_t size =
                ((random >> 8) % 65536 + 1) * PAGE_SIZE * ((random >> 4) % 4 == 0 ? 16 : 1);
            add_range(at + gap, at + gap + size, (random >> 28) < 2 ? MEM_RESERVED : MEM_FREE);
            at += gap + size;
        }
        char text[600];
        unsigned m[3];
        for (int i = 0; i < 3; i++) {
            random = random * 1664525 + 1013904223;
            m[i] = 52 + (random >> 8) % (random >> 30 == 0 ? 4000 : 400) / 2 * 2;
        }
        snprintf(text, sizeof(text),
                 GUEST("a", "0", "%uM") GUEST("b", "1", "%uM") GUEST("c", "3", "%uM"), m[0], m[1],
                 m[2]);
        for (int i = 0; i < round % 8; i++) {
            random = random * 1664525 + 1013904223;
            uint64_t base = (random >> 8) % 1024 * MIB;
            add_node(base, base + ((random >> 20) + 1) * MIB, random % 3);
            machine.cpu_nodes[i % 4] = random >> 30;
        }
        configure(text);
        if (build() == STATUS_OK) {
            built++;
            CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
        }
    }
    CHECK(built > 300 && built < 3000);
}

TEST_MAIN(T(two_guests), T(budget_size), T(budget_of_small_pages), T(budget_places), T(same_twice),
          T(large_pages), T(above_the_gap), T(leftovers), T(never_below_1_mib), T(cpu_faults),
          T(file_faults), T(opens_no_file), T(more_memory_than_there_is), T(all_faults_at_once),
          T(whole_file_in_one_run), T(memory_of_the_cpus_own_node),
          T(more_memory_than_its_node_has), T(random_machines))
