// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/plan.c: every plan it builds must also please plan_check(). */
#include "hv/abi/compartment.h"
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

/* ---- disks ---- */

static void check_window(uint32_t vm, uint32_t i, enum plan_window_kind kind, uint64_t gpa,
                         uint64_t size) {
    const struct plan_window *w = &plan.vms[vm].windows[i];
    CHECK(i < plan.vms[vm].window_count);
    CHECK_U64(w->kind, kind);
    CHECK_U64(w->gpa.v, gpa);
    CHECK_U64(w->size, size);
}

#define SEEN_AT(gpa) (COMPARTMENT_WINDOW + (gpa))

/* An image is one for all; what a guest writes is its own. */
TEST(terminals) {
    static const struct {
        const char *keys;
        bool types_to_hvc0;
    } cases[] = {
        {"", false},
        {"cmdline='console=hvc0'\n", true},
        {"cmdline='console=ttyS0 quiet console=hvc1'\n", true},
        {"cmdline='console=hvc0 console=ttyS0'\n", false},
        {"cmdline='xconsole=hvc0 y.console=hvc0 console='\n", false},
        {"cmdline='console=hv'\n", false},
        {"cmdline=''\n", false},
        {"cmdline='console=hvc0'\nconsole='com1'\n", false},
        {"console='hvc0'\n", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[200];
        make_machine();
        snprintf(text, sizeof(text), GUEST("alpha", "1", "64M") "%s", cases[i].keys);
        configure(text);
        check_built();
        CHECK_U64(plan.vms[0].devices.types_to_hvc0, cases[i].types_to_hvc0);
    }
}

TEST(watchdogs) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "watchdog='90s'\n" GUEST("beta", "2", "64M"));
    check_built();
    CHECK_U64(plan.vms[0].devices.watchdog, 90);
    CHECK_U64(plan.vms[1].devices.watchdog, 0);
}

TEST(disks) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "disk=['root:images/base:ro','s:images/small:ro']\n" //
              GUEST("beta", "2", "4G")                                                        //
              "disk=['root:images/base:volatile:16M','again:images/base:volatile:2G',"
              "'tmp:blank:32M']\n");
    machine.range_count--;
    add_range(4 * GIB, 8 * GIB, MEM_FREE);
    check_built();

    check_window(0, 0, PLAN_IMAGE, 4 * GIB, 3 * MIB + PAGE_SIZE);
    check_window(0, 1, PLAN_IMAGE, 4 * GIB + 3 * MIB + PAGE_SIZE, PAGE_SIZE);
    const struct abi_devices *d = &plan.vms[0].devices;
    CHECK_U64(d->disk_count, 2);
    CHECK_U64(d->disks[0].size, 3 * MIB + 512);
    CHECK_U64(d->disks[0].image, SEEN_AT(4 * GIB));
    CHECK_U64(d->disks[0].map, 0);
    CHECK_U64(d->disks[0].copy_count, 0);
    CHECK_STR(d->disks[0].serial, "root");
    CHECK_U64(d->disks[1].size, 512);
    CHECK_U64(d->disks[1].image, SEEN_AT(plan.vms[0].windows[1].gpa.v));

    /* Two disks of one file have one window; more copies than pages are of no use. */
    const uint64_t copies = (3 * MIB + PAGE_SIZE) / PAGE_SIZE;
    CHECK_U64(plan.vms[1].window_count, 4);
    check_window(1, 0, PLAN_IMAGE, 5 * GIB, 3 * MIB + PAGE_SIZE);
    CHECK_U64(plan.vms[1].windows[0].hpa.v, plan.vms[0].windows[0].hpa.v);
    check_window(1, 1, PLAN_STORE, 5 * GIB + 4 * MIB, PAGE_SIZE + copies * PAGE_SIZE);
    d = &plan.vms[1].devices;
    CHECK_U64(d->disk_count, 3);
    CHECK_U64(d->disks[0].map, SEEN_AT(5 * GIB + 4 * MIB));
    CHECK_U64(d->disks[0].copies, d->disks[0].map + PAGE_SIZE);
    CHECK_U64(d->disks[0].copy_count, copies);
    CHECK_U64(d->disks[1].image, d->disks[0].image);
    CHECK_U64(d->disks[1].copy_count, copies);
    CHECK(d->disks[1].map != d->disks[0].map);
    CHECK_U64(d->disks[2].image, 0);
    CHECK_U64(d->disks[2].size, 32 * MIB);
    CHECK_U64(d->disks[2].copy_count, 8192);
    CHECK_U64(d->disks[2].copies - d->disks[2].map, 8192 * sizeof(uint32_t));
    CHECK_STR(d->disks[2].serial, "tmp");
    CHECK_U64(plan.vms[1].budget_size,
              plan_budget_size(4 * GIB, 1, false) + plan_window_tables(&plan.vms[1]));
}

/* Nothing that two guests see is writable to either: each has copies of its own. */
TEST(one_volatile_image_of_two_guests) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "disk=['d:images/base:volatile:2M']\n" //
              GUEST("beta", "2", "64M") "disk=['d:images/base:volatile:2M']\n");
    check_built();

    const struct plan_window *alpha = plan.vms[0].windows, *beta = plan.vms[1].windows;
    CHECK_U64(plan.vms[0].window_count, 2);
    CHECK_U64(plan.vms[1].window_count, 2);
    CHECK_U64(alpha[0].kind, PLAN_IMAGE);
    CHECK_U64(beta[0].kind, PLAN_IMAGE);
    CHECK_U64(alpha[0].hpa.v, beta[0].hpa.v);
    CHECK_U64(alpha[1].kind, PLAN_STORE);
    CHECK_U64(beta[1].kind, PLAN_STORE);
    CHECK(alpha[1].hpa.v + alpha[1].size <= beta[1].hpa.v ||
          beta[1].hpa.v + beta[1].size <= alpha[1].hpa.v);
}

/* Windows from 2 MiB on are congruent with their frames, so that large pages can map them. */
TEST(windows_for_large_pages) {
    make_machine();
    machine.images[2].base = HPA(7 * MIB);
    configure(GUEST("alpha", "1", "64M") "disk=['s:images/small:ro','b:images/base:ro',"
                                         "'t:blank:16M','u:images/base:volatile:16M']\n");
    check_built();
    for (uint32_t i = 1; i < 4; i++) {
        const struct plan_window *w = &plan.vms[0].windows[i];
        CHECK_U64((w->gpa.v - w->hpa.v) % (2 * MIB), 0);
    }
    /* Where there is none left at such a place, any will do. */
    machine.range_count -= 3;
    add_range(16 * MIB, 32 * MIB, MEM_FREE);
    add_range(64 * MIB, 128 * MIB, MEM_FREE);
    add_range(132 * MIB + PAGE_SIZE, 148 * MIB + 5 * PAGE_SIZE, MEM_FREE);
    configure(GUEST("alpha", "1", "64M") "disk=['t:blank:16M']\n");
    check_built();
    CHECK_U64(plan.vms[0].windows[0].hpa.v, 132 * MIB + PAGE_SIZE);
}

TEST(images_in_memory) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "pmem=['images/base']\ndisk=['b:images/base:ro']\n" //
              GUEST("beta", "2", "64M") "disk=['b:images/base:ro']\npmem=['images/base']\n");
    check_built();
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_U64(plan.vms[i].window_count, 1);
        check_window(i, 0, PLAN_PMEM, 4 * GIB, 4 * MIB);
        CHECK_U64(plan.vms[i].windows[0].hpa.v, 8 * MIB);
        CHECK_U64(plan.vms[i].devices.pmem_count, 1);
        CHECK_U64(plan.vms[i].devices.pmems[0].gpa, 4 * GIB);
        CHECK_U64(plan.vms[i].devices.pmems[0].size, 4 * MIB);
        CHECK_U64(plan.vms[i].devices.disks[0].image, SEEN_AT(4 * GIB));
        CHECK_U64(plan.vms[i].devices.disks[0].size, 3 * MIB + 512);
    }
    add_image("images/other", 4 * MIB, 2 * MIB);
    configure(GUEST("alpha", "1", "64M") "pmem=['images/base','images/other']\n");
    check_built();
    check_window(0, 1, PLAN_PMEM, 4 * GIB + 128 * MIB, 2 * MIB);
    CHECK_U64(plan.vms[0].devices.pmems[1].gpa, 4 * GIB + 128 * MIB);
    configure(GUEST("alpha", "1", "64M") "pmem=['images/base','images/small','images/base','x']\n");
    FAULTS({"6:21:", "pmem = \"images/small\": its 512 bytes are less than 2M"},
           {"6:36:", "pmem = \"images/base\" is there already; name each file once"},
           {"6:50:", "pmem = \"x\": no such file"});
}

TEST(disk_faults) {
    make_machine();
    machine.images[3].size = 768;
    add_image("images/empty", 0, 0);
    add_image("images/bad", 0, 0);
    machine.images[5].problem = "it burns";
    configure(GUEST("alpha", "1", "64M") "disk=['a:images/small:ro','b:images/none:volatile:16M',\n"
                                         "'c:images/empty:ro','d:images/bad:ro',\n"
                                         "'a:blank:16M']\n");
    FAULTS(
        {"6:7:", "disk = \"images/small\": its 768 bytes are no multiple of 512, as a disk's are; "
                 "make the file longer (truncate -s %512 FILE)"},
        {"6:27:", "disk = \"images/none\": no such file on the stick; copy it there, or correct"},
        {"7:1:", "disk = \"images/empty\": the file is empty"},
        {"7:21:", "disk = \"images/bad\": it burns"},
        {"8:1:", "disk \"a\" is there already, on line 6; give one of them another name"});
    configure(GUEST("alpha", "1", "64M") "disk=['a:blank:16M']\n" //
              GUEST("beta", "2", "64M") "disk=['a:blank:16M']\n");
    check_built(); /* guests do not see each other's names */
}

/* What cannot be is said of the disk, and not of the guest's memory as well. */
TEST(disks_too_large) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "disk=['a:blank:16M','b:blank:60000G']\n");
    FAULTS({"6:21:", "disk \"b\": 60000G are more than this machine has free, 4080M"});
    configure(
        GUEST("alpha", "1",
              "2G") "disk=['i:images/small:ro','a:blank:900M','b:blank:900M','c:blank:900M']\n");
    FAULTS({"6:57:", "disk \"c\": there are no 900M of memory in one piece left for it"});
    machine.range_count--;
    add_range(4 * GIB, 1024 * GIB, MEM_FREE);
    configure(GUEST("alpha", "1", "64M") "disk=['a:blank:300G','b:blank:300G']\n");
    FAULTS({"1:1:", "take more than 512G of addresses; make some of it smaller"});
    configure("[wire.a]\n" GUEST("alpha", "1", "600G") "net=['a']\n" GUEST("beta", "2",
                                                                           "64M") "net=['a']\n");
    FAULTS({"2:1:", "guest \"alpha\": its memory, and disks and images above that"});
    configure("[wire.a]\n" GUEST("alpha", "1", "511G") "net=['a']\n" GUEST("beta", "2",
                                                                           "64M") "net=['a']\n");
    FAULTS({"2:1:", "guest \"alpha\": its memory"}); /* 1 GiB of addresses is the gap */
    configure("[wire.a]\n" GUEST("alpha", "1", "510G") "net=['a']\n" GUEST("beta", "2",
                                                                           "64M") "net=['a']\n");
    check_built();
    configure(GUEST("alpha", "1", "600G"));
    check_built(); /* without windows there is no limit */
}

/* ---- wires ---- */

static const struct abi_net *net(uint32_t vm, uint32_t i) {
    CHECK(i < plan.vms[vm].devices.net_count);
    return &plan.vms[vm].devices.nets[i];
}

static const struct plan_window *half(uint32_t vm, enum plan_window_kind kind, uint32_t number) {
    const struct plan_vm *p = &plan.vms[vm];
    for (uint32_t i = 0; i < p->window_count; i++) {
        if (p->windows[i].kind == kind && number-- == 0) {
            return &p->windows[i];
        }
    }
    CHECK_STR("a half", "none");
    return p->windows;
}

/* The one's channel is the other's: each writes what the other reads, and rings the right CPU. */
static void check_ends(uint32_t vm, uint32_t number, uint32_t peer, uint32_t peers_number) {
    const struct abi_channel *channel = &plan.vms[vm].devices.channels[number];
    CHECK(number < plan.vms[vm].devices.channel_count);
    CHECK_U64(half(vm, PLAN_OURS, number)->hpa.v, half(peer, PLAN_THEIRS, peers_number)->hpa.v);
    CHECK_U64(half(vm, PLAN_THEIRS, number)->hpa.v, half(peer, PLAN_OURS, peers_number)->hpa.v);
    CHECK_U64(channel->ours, SEEN_AT(half(vm, PLAN_OURS, number)->gpa.v));
    CHECK_U64(channel->theirs, SEEN_AT(half(vm, PLAN_THEIRS, number)->gpa.v));
    CHECK_U64(plan.vms[vm].bell_cpus[number], plan.vms[peer].cpus[0]);
}

/* The same on a wire: and each knows who is there. */
static void check_wire_ends(uint32_t vm, uint32_t number, uint32_t peer, uint32_t peers_number) {
    const struct abi_channel *channel = &plan.vms[vm].devices.channels[number];

    check_ends(vm, number, peer, peers_number);
    for (uint32_t i = 0; i < plan.vms[peer].devices.net_count; i++) {
        const struct abi_net *n = net(peer, i);
        if (peers_number - n->first_channel < n->channel_count) {
            CHECK(memcmp(channel->mac, n->mac, sizeof(n->mac)) == 0);
            CHECK_U64(channel->may_bridge, n->may_bridge);
            return;
        }
    }
    CHECK_STR("its adapter", "none");
}

/* Three guests on lan, two of them on dmz as well, whose adapters are in another order. */
TEST(wires) {
    make_machine();
    configure("[wire.lan]\n[wire.dmz]\nmtu='9000'\n" GUEST("alpha", "0", "64M") "net=['lan']\n" //
              GUEST("beta", "1", "64M") "net=['dmz:down','lan:bridge']\n"                       //
              GUEST("gamma", "2-3", "64M") "net=['lan','dmz']\n");
    check_built();
    CHECK_U64(plan.channel_count, 4);
    CHECK_U64(net(0, 0)->channel_count, 2);
    CHECK_U64(net(0, 0)->first_channel, 0);
    CHECK_U64(net(0, 0)->mtu, 1500);
    CHECK(net(0, 0)->link && !net(0, 0)->may_bridge);
    CHECK_U64(net(1, 0)->first_channel, 0);
    CHECK_U64(net(1, 0)->channel_count, 1);
    CHECK_U64(net(1, 0)->mtu, 9000);
    CHECK(!net(1, 0)->link && !net(1, 0)->may_bridge);
    CHECK_U64(net(1, 1)->first_channel, 1);
    CHECK_U64(net(1, 1)->channel_count, 2);
    CHECK(net(1, 1)->link && net(1, 1)->may_bridge);
    CHECK_U64(net(2, 0)->first_channel, 0);
    CHECK_U64(net(2, 0)->channel_count, 2);
    CHECK_U64(net(2, 1)->first_channel, 2);
    CHECK_U64(net(2, 1)->channel_count, 1);
    check_wire_ends(0, 0, 1, 1); /* lan: alpha, beta */
    check_wire_ends(1, 1, 0, 0);
    check_wire_ends(0, 1, 2, 0); /* lan: alpha, gamma */
    check_wire_ends(2, 0, 0, 1);
    check_wire_ends(1, 2, 2, 1); /* lan: beta, gamma */
    check_wire_ends(2, 1, 1, 2);
    check_wire_ends(1, 0, 2, 2); /* dmz: beta, gamma */
    check_wire_ends(2, 2, 1, 0);

    configure("[wire.lan]\n" GUEST("alpha", "0", "64M") "net=['lan']\n");
    check_built(); /* alone on a wire */
    CHECK_U64(plan.channel_count, 0);
    CHECK_U64(net(0, 0)->channel_count, 0);
}

static const char on_two[] = "[wire.lan]\n[wire.dmz]\n" GUEST(
    "alpha", "0", "64M") "net=['lan','dmz']\n" GUEST("beta", "1", "64M") "net=['lan','dmz']\n";

TEST(addresses) {
    uint8_t macs[2][2][6], other[6];
    make_machine();
    machine.stick_id[3] = 1;
    configure(on_two);
    check_built();
    for (uint32_t vm = 0; vm < 2; vm++) {
        for (uint32_t i = 0; i < 2; i++) {
            memcpy(macs[vm][i], net(vm, i)->mac, 6);
            CHECK_U64(macs[vm][i][0] & 3, 2); /* of one adapter, administered locally */
        }
    }
    CHECK(memcmp(macs[0][0], macs[0][1], 6) != 0);
    CHECK(memcmp(macs[0][0], macs[1][0], 6) != 0);
    CHECK(memcmp(macs[0][1], macs[1][1], 6) != 0);

    /* The same for the guest of that name, on that wire, on this stick. */
    configure("[wire.dmz]\n" GUEST("gamma", "0", "64M") "net=['dmz']\n" GUEST(
        "beta", "1", "64M") "net=['dmz']\n");
    check_built();
    CHECK(memcmp(net(1, 0)->mac, macs[1][1], 6) == 0);
    machine.stick_id[3] = 2;
    check_built();
    CHECK(memcmp(net(1, 0)->mac, macs[1][1], 6) != 0);
    machine.stick_id[3] = 1;
    check_built();
    memcpy(other, net(0, 0)->mac, 6);
    CHECK(memcmp(other, macs[1][1], 6) != 0);

    configure("[wire.a]\n" GUEST("alpha", "0", "64M") "net=['a:mac=0a:00:00:00:00:07']\n");
    check_built();
    CHECK(memcmp(net(0, 0)->mac, "\x0a\0\0\0\0\7", 6) == 0);
}

TEST(wire_faults) {
    make_machine();
    configure(
        "[wire.lan]\n[wire.spare]\n" GUEST("alpha", "0", "64M") "net=['lna','x','lan',\n'lan']\n");
    FAULTS(
        {"2:1:", "wire \"spare\" has no guest on it; write net = [\"spare\"] for some, or remove"},
        {"8:6:", "guest \"alpha\": there is no wire \"lna\"; did you mean \"lan\"?"},
        {"8:12:", "there is no wire \"x\"; add a table [wire.x]"},
        {"9:1:", "it is on wire \"lan\" already, on line 8"});
    configure("[wire.a]\n[wire.b]\n" GUEST("alpha", "0", "64M")             //
              "net=['a:mac=02:00:00:00:00:01','b:mac=02:00:00:00:00:02']\n" //
              GUEST("beta", "1", "64M")                                     //
              "net=['b:mac=02:00:00:00:00:01','a:mac=02:00:00:00:00:01']\n");
    FAULTS({"14:32:",
            "guest \"beta\": its address on wire \"a\" is that of guest \"alpha\", on line "
            "8; write another mac"});
}

/* n wires, and guests that are on all of them. */
static void configure_mesh(unsigned wires, unsigned guests) {
    static char text[8000];
    char net_list[200] = "";
    size_t at = 0;
    for (unsigned i = 0; i < wires; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "[wire.w%u]\n", i);
        size_t end = strlen(net_list);
        snprintf(net_list + end, sizeof(net_list) - end, "%s'w%u'", i != 0 ? "," : "", i);
    }
    for (unsigned i = 0; i < guests; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, GUEST("g%u", "%u", "64M") "net=[%s]\n",
                               i, i, net_list);
    }
    configure(text);
    machine.cpu_count = guests;
}

TEST(many_channels) {
    make_machine();
    configure_mesh(2, 16); /* 240 pairs */
    check_built();
    CHECK_U64(plan.channel_count, 240);
    CHECK_U64(plan.vms[15].devices.channel_count, 30);
    configure_mesh(8, 8);
    check_built();
    CHECK_U64(plan.channel_count, 224);
    CHECK_U64(net(7, 7)->first_channel, 49);
    configure_mesh(3, 16);
    FAULTS({"3:1:",
            "there are more than 256 pairs of guests, on all wires, by vsock, ports and disks"});
    configure_mesh(8, 9);
    FAULTS({"8:1:", "there are more than 256 pairs"});
}

TEST(channels_without_memory) {
    make_machine();
    machine.range_count -= 3;
    add_range(16 * MIB, 26 * MIB, MEM_FREE);
    add_range(64 * MIB, 192 * MIB, MEM_FREE);
    configure("[wire.lan]\n" GUEST("alpha", "0", "64M") "net=['lan']\n" GUEST(
        "beta", "1", "64M") "net=['lan']\n");
    check_built();
    machine.ranges[3].size = 2 * plan.vms[0].budget_size;
    FAULTS({"1:1:",
            "no memory is left for buffers between guests \"alpha\" and \"beta\", 520 KiB for "
            "each two of them"});
}

/* ---- vsock ---- */

static const struct abi_vsock *vsock(uint32_t vm) {
    return &plan.vms[vm].devices.vsock;
}

static void check_peer(uint32_t vm, uint32_t number, uint32_t cid, const char *may) {
    const struct abi_vsock_peer *p = &vsock(vm)->peers[number];
    CHECK(number < vsock(vm)->peer_count);
    CHECK_U64(p->cid, cid);
    CHECK_U64(p->may_connect, strchr(may, 'c') != NULL);
    CHECK_U64(p->may_accept, strchr(may, 'a') != NULL);
}

/* alpha -> beta, beta <-> gamma; delta has nothing of it. Wires come first. */
TEST(vsocks) {
    make_machine();
    configure("[wire.lan]\n" GUEST("alpha", "0", "64M") "vsock=['beta']\nnet=['lan']\n"
                                                        "cid='4294901759'\n" GUEST(
                                                            "delta", "1", "64M") "net=['lan']\n" //
              GUEST("beta", "2", "64M") "net=['lan']\nvsock=['gamma']\n"                         //
              GUEST("gamma", "3", "64M") "vsock=['beta']\n");
    check_built();
    CHECK_U64(plan.channel_count, 5);
    CHECK_U64(vsock(0)->cid, CONFIG_LAST_CID);
    CHECK_U64(vsock(0)->peer_count, 1);
    CHECK_U64(vsock(0)->first_channel, 2);
    check_peer(0, 0, 5, "c");
    CHECK_U64(vsock(1)->peer_count, 0);
    CHECK_U64(vsock(1)->cid, 0);
    CHECK_U64(vsock(2)->cid, 5);
    CHECK_U64(vsock(2)->peer_count, 2);
    CHECK_U64(vsock(2)->first_channel, 2);
    check_peer(2, 0, CONFIG_LAST_CID, "a");
    check_peer(2, 1, 6, "ca");
    CHECK_U64(vsock(3)->cid, 6);
    check_peer(3, 0, 5, "ca");
    check_ends(0, 2, 2, 2);
    check_ends(2, 2, 0, 2);
    check_ends(2, 3, 3, 0);
    check_ends(3, 0, 2, 3);
}

TEST(vsock_faults) {
    make_machine();
    configure(GUEST("alpha", "0", "64M") "vsock=['beta','btea','alpha','x','beta']\n" //
              GUEST("beta", "1", "64M") "cid='5'\n"                                   //
              GUEST("gamma", "2", "64M") "vsock=['beta']\n");
    FAULTS({"6:15:", "guest \"alpha\": there is no guest \"btea\"; did you mean \"beta\"?"},
           {"6:22:", "vsock = \"alpha\" is the guest itself; remove it"},
           {"6:30:", "there is no guest \"x\"; add a table [guest.x]"},
           {"6:34:", "vsock = \"beta\" is there already, on line 6; name each guest once"},
           {"13:1:", "guest \"gamma\": its CID 5 is that of guest \"beta\", on line 12; write "
                     "another cid"});
    configure(GUEST("alpha", "0", "64M") "cid='9'\n"  //
              GUEST("beta", "1", "64M") "cid='9'\n"); /* though neither has a device */
    FAULTS({"12:5:", "guest \"beta\": its CID 9 is that of guest \"alpha\", on line 6"});
    configure(GUEST("alpha", "0", "64M") "cid='4'\n" //
              GUEST("beta", "1", "64M"));            /* which has no CID */
    check_built();
    configure(GUEST("alph", "0", "64M") "vsock=['alpa']\n"); /* near to itself alone */
    FAULTS({"6:8:", "there is no guest \"alpa\"; add a table"});
}

TEST(control_faults) {
    make_machine();
    configure(GUEST("alpha", "0", "64M") "control=['beta','btea','x','beta']\n" //
              GUEST("beta", "1", "64M") "control=['*','*']\n"                   //
              GUEST("gamma", "2", "64M") "control=['gamma']\n");
    FAULTS({"6:17:", "guest \"alpha\": there is no guest \"btea\"; did you mean \"beta\"?"},
           {"6:24:", "there is no guest \"x\"; add a table [guest.x], or write \"*\" for all"},
           {"6:28:", "control = \"beta\" is there already, on line 6; name each guest once"},
           {"12:14:", "control = \"*\" is there already, on line 12; name each guest once"});
    configure(GUEST("alpha", "0", "64M") "port=['a','b','c','d','e','f']\ncontrol=['*']\n" //
              GUEST("beta", "1", "64M") "port=['a','b','c','d','e','f']\n");
    FAULTS({"7:10:", "guest \"alpha\": control takes one of the 6 ports of the guest's console; "
                     "take a port off"});
    configure(GUEST("alpha", "0", "64M") "port=['a','b','c','d','e']\ncontrol=['*']\n" //
              GUEST("beta", "1", "64M") "port=['a','b','c','d','e']\n");
    check_built();
}

/* Each of 16 guests may connect to each other one. */
TEST(vsock_of_all) {
    static char text[8000];
    size_t at = 0;

    make_machine();
    for (unsigned i = 0; i < 16; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, GUEST("g%u", "%u", "64M") "vsock=[", i,
                               i);
        for (unsigned j = 0; j < 16; j++) {
            if (j != i) {
                at += (size_t)snprintf(text + at, sizeof(text) - at, "'g%u',", j);
            }
        }
        at += (size_t)snprintf(text + at, sizeof(text) - at, "]\n");
    }
    configure(text);
    machine.cpu_count = 16;
    check_built();
    CHECK_U64(plan.channel_count, 120);
    CHECK_U64(vsock(15)->peer_count, 15);
    check_peer(15, 14, 3 + 14, "ca");
    check_ends(15, 14, 14, 14);
}

/* ---- served disks ---- */

static void check_served(uint32_t vm, uint32_t disk, uint32_t server, uint32_t channel,
                         const char *export) {
    const struct abi_served *served = &plan.vms[vm].devices.served[disk];
    CHECK_U64(served->cid, 0xffff0000 + 8 * vm + disk);
    CHECK_U64(served->server, server);
    CHECK_U64(served->channel, channel);
    CHECK_STR(served->export, export);
}

/* gamma serves both others, and alpha may connect to it as well; alpha serves beta. */
TEST(served_disks) {
    make_machine();
    configure("[wire.lan]\n" GUEST("alpha", "0", "64M") "disk=['b:blank:2M','d:nbd:gamma/one']\n"
                                                        "vsock=['gamma']\nnet=['lan']\n" //
              GUEST("beta", "1", "64M") "disk=['d:nbd:gamma/one:ro','e:nbd:alpha/x/y',"
                                        "'f:blank:4M']\nnet=['lan']\n" //
              GUEST("gamma", "2", "64M") "cid='99'\n");
    check_built();
    CHECK_U64(plan.channel_count, 5);
    CHECK_U64(plan.vms[0].devices.disk_count, 2);
    CHECK_U64(plan.vms[0].devices.served[0].cid, 0);
    check_served(0, 1, 99, 0, "one");
    CHECK_STR(plan.vms[0].devices.disks[1].serial, "d");
    CHECK_U64(plan.vms[0].devices.disks[1].size, 0);
    check_served(1, 0, 99, 0, "one");
    check_served(1, 1, 3, 1, "x/y");
    CHECK_U64(plan.vms[1].devices.served[0].read_only, true);
    CHECK_U64(plan.vms[1].devices.served[1].read_only, false);
    CHECK_U64(vsock(0)->cid, 3); /* for alpha's programs, and because it serves */
    CHECK_U64(vsock(0)->peer_count, 2);
    check_peer(0, 0, 99, "c");
    check_peer(0, 1, 0xffff0000 + 8 + 1, "a");
    CHECK_U64(vsock(1)->peer_count, 0); /* a disk makes no device for programs */
    CHECK_U64(vsock(1)->cid, 0);
    CHECK_U64(vsock(2)->cid, 99);
    CHECK_U64(vsock(2)->peer_count, 3);
    check_peer(2, 0, 3, "a");
    check_peer(2, 1, 0xffff0000 + 1, "a");
    check_peer(2, 2, 0xffff0000 + 8, "a");
    check_ends(0, 0, 2, 1);
    check_ends(2, 2, 1, 0);
    check_ends(1, 1, 0, 3);
}

TEST(served_disk_faults) {
    make_machine();
    configure(GUEST("alpha", "0", "64M") "disk=['a:nbd:alpha/x','b:nbd:btea/x','c:nbd:z/x',"
                                         "'d:nbd:beta/x']\n" //
              GUEST("beta", "1", "64M") "disk=['a:nbd:gamma/x']\n"
                                        "cid='5'\n" //
              GUEST("gamma", "2", "64M") "disk=['a:nbd:alpha/x']\n");
    FAULTS({"6:7:", "guest \"alpha\": disk \"a\" is served by the guest itself; name another"},
           {"6:23:", "disk \"b\": there is no guest \"btea\"; did you mean \"beta\"?"},
           {"6:38:", "disk \"c\": there is no guest \"z\"; add a table [guest.z] that serves it"},
           {"6:50:", "disk \"d\" comes from guest \"beta\", whose own disks come from this one; "
                     "take one of them from elsewhere"},
           {"12:7:", "guest \"beta\": disk \"a\" comes from guest \"gamma\""},
           {"14:1:", "guest \"gamma\": its CID 5"}, {"19:7:", "guest \"gamma\": disk \"a\" comes"});
}

/* 31 are served by one guest, and not one more. */
TEST(served_disks_without_end) {
    static char text[8000];

    make_machine();
    machine.cpu_count = 16;
    for (unsigned most = 31; most < 33; most++) {
        unsigned left = most;
        size_t at = (size_t)snprintf(text, sizeof(text), GUEST("s", "0", "64M"));
        for (unsigned i = 1; i < 6; i++) {
            at += (size_t)snprintf(text + at, sizeof(text) - at, GUEST("g%u", "%u", "64M") "disk=[",
                                   i, i);
            for (unsigned n = 0; n < 8 && left != 0; n++, left--) {
                at += (size_t)snprintf(text + at, sizeof(text) - at, "'d%u:nbd:s/x',", n);
            }
            at += (size_t)snprintf(text + at, sizeof(text) - at, "]\n");
        }
        configure(text);
        if (most == 31) {
            check_built();
            CHECK_U64(vsock(0)->peer_count, 31);
        } else {
            FAULTS({"29:98:",
                    "guest \"s\": the guests that it has to do with by vsock and the disks "
                    "that it serves are more than 31; take some off"});
        }
    }
}

/* ---- ports ---- */

static void check_port(uint32_t vm, uint32_t n, const char *name, uint32_t channel) {
    const struct abi_devices *d = &plan.vms[vm].devices;
    CHECK(n < d->port_count);
    CHECK_STR(d->ports[n].name, name);
    CHECK_U64(d->ports[n].channel, channel);
}

/* In the order of each guest's own list; two guests may share several. */
TEST(named_ports) {
    make_machine();
    configure("[wire.lan]\n" GUEST("alpha", "0", "64M") "port=['log','sync']\nnet=['lan']\n"      //
              GUEST("beta", "1", "64M") "port=['0123456789012345678901234567890','sync','log']\n" //
              GUEST("gamma", "2", "64M") "port=['0123456789012345678901234567890']\n"             //
              GUEST("delta", "3", "64M") "net=['lan']\nvsock=['beta']\n");
    check_built();
    CHECK_U64(plan.channel_count, 5);
    CHECK_U64(plan.vms[0].devices.port_count, 2);
    check_port(0, 0, "log", 1);
    check_port(0, 1, "sync", 2);
    CHECK_U64(plan.vms[1].devices.port_count, 3);
    check_port(1, 0, "0123456789012345678901234567890", 1);
    check_port(1, 1, "sync", 2);
    check_port(1, 2, "log", 3);
    CHECK_U64(plan.vms[2].devices.port_count, 1);
    check_port(2, 0, "0123456789012345678901234567890", 0);
    CHECK_U64(plan.vms[3].devices.port_count, 0);
    check_ends(0, 1, 1, 3);
    check_ends(0, 2, 1, 2);
    check_ends(1, 1, 2, 0);
}

TEST(port_faults) {
    make_machine();
    configure(GUEST("alpha", "0", "64M") "port=['sync','a','lonely','sync']\n" //
              GUEST("beta", "1", "64M") "port=['sync','b','snyc']\n"           //
              GUEST("gamma", "2", "64M") "port=['b','sync']\n"                 //
              GUEST("delta", "3", "64M") "port=['sync']\n");
    FAULTS({"6:14:", "guest \"alpha\": no other guest names port \"a\"; write port = [\"a\"]"},
           {"6:18:", "no other guest names port \"lonely\"; write port = [\"lonely\"] for one"},
           {"6:27:", "port \"sync\" is there already, on line 6; name each once"},
           {"12:18:", "no other guest names port \"snyc\"; did you mean \"sync\"?"},
           {"18:11:", "guest \"gamma\": port \"sync\" joins guests \"alpha\" and \"beta\" already, "
                      "and no more than two; give this one another name"},
           {"24:7:", "guest \"delta\": port \"sync\" joins guests \"alpha\" and \"beta\""});
}

TEST_MAIN(T(two_guests), T(budget_size), T(budget_of_small_pages), T(budget_places), T(same_twice),
          T(large_pages), T(above_the_gap), T(leftovers), T(never_below_1_mib), T(cpu_faults),
          T(file_faults), T(opens_no_file), T(more_memory_than_there_is), T(all_faults_at_once),
          T(whole_file_in_one_run), T(memory_of_the_cpus_own_node),
          T(more_memory_than_its_node_has), T(random_machines), T(disks), T(terminals),
          T(watchdogs), T(one_volatile_image_of_two_guests), T(windows_for_large_pages),
          T(images_in_memory), T(disk_faults), T(disks_too_large), T(wires), T(addresses),
          T(wire_faults), T(many_channels), T(channels_without_memory), T(vsocks), T(vsock_faults),
          T(control_faults), T(vsock_of_all), T(served_disks), T(served_disk_faults),
          T(served_disks_without_end), T(named_ports), T(port_faults))
