// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/plan/plan_check.c: a good plan, broken in one way at a time, is always seen. */
#include "tests/unit/machine.h"

static struct plan_vm *const a = &plan.vms[0], *const b = &plan.vms[1], *const c = &plan.vms[2];

static void make_good(void);
static void (*make_again)(void) = make_good;

static void make_good(void) {
    make_machine();
    machine.screen_count = 2;
    machine.screens[0] = (struct boot_framebuffer){.base = HPA(0xc0000000), .size = 8 * MIB};
    machine.screens[1] = (struct boot_framebuffer){.base = HPA(0xd0000000), .size = 8 * MIB};
    configure(GUEST("alpha", "1", "1G") GUEST("beta", "3", "256M"));
    CHECK(build() == STATUS_OK);
}

/* What is configured has a plan, and that passes. */
static void build_good(void) {
    CHECK(build() == STATUS_OK);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    show_faults();
}

/* The plan as it is now must be refused with these words. */
static void check_seen(const char *words) {
    memset(&faults, 0, sizeof(faults));
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_INVALID);
    CHECK(faults.count > 0);
    bool seen = false;
    for (uint32_t i = 0; i < faults.count; i++) {
        seen = seen || strstr(faults.faults[i].text, words) != NULL;
    }
    if (!seen) {
        printf("# expected %s\n", words);
        show_faults();
    }
    CHECK(seen);
    make_again();
}

/* Cuts a VM's only region in two at offset, to have more to break. */
static void split(struct plan_vm *vm, uint64_t offset) {
    struct plan_region *r = vm->regions;
    r[1] = (struct plan_region){
        .gpa = GPA(r->gpa.v + offset), .hpa = HPA(r->hpa.v + offset), .size = r->size - offset};
    r->size = offset;
    vm->region_count = 2;
}

TEST(good) {
    make_good();
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    CHECK_U64(faults.count, 0);
    machine.images[machine.image_count] =
        machine.images[0]; /* what is beyond the count is no file */
    machine.images[machine.image_count].base = a->regions[0].hpa;
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    machine.images[machine.image_count] = (struct boot_image){.size = 0};
    split(a, 2 * MIB);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
}

/* In any of the ranges that there are, in parts of them, and in no others. */
TEST(what_is_memory) {
    static const struct {
        uint64_t base, size;
        bool memory;
    } rows[] = {
        {0, 1, true},
        {0x9f000, PAGE_SIZE, false},
        {MIB - 1, 2, true},
        {2 * MIB, PAGE_SIZE, true}, /* Bulkhead's own */
        {3 * GIB - 1, PAGE_SIZE, true},
        {3 * GIB, GIB, false},
        {3 * GIB, GIB + 1, true},
        {5 * GIB - 1, 1, true},
        {5 * GIB, GIB, false},
    };
    make_good();
    machine.ranges[machine.range_count] =
        (struct mem_range){.base = HPA(5 * GIB), .size = GIB, .kind = MEM_FREE}; /* is none */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_U64(boot_is_memory(&machine, rows[i].base, rows[i].size), rows[i].memory);
    }
}

TEST(shape) {
    make_good();
    plan.vm_count = 1;
    check_seen("1 VMs for 2 guests");
    plan.vm_count = 3;
    check_seen("3 VMs for 2 guests");
    machine.config.guest_count = plan.vm_count = 0;
    check_seen("0 VMs");
    machine.config.guest_count = plan.vm_count = CONFIG_MAX_GUESTS + 1;
    check_seen("17 VMs");
    a->config = b->config;
    check_seen("VM 0 is not guest 0 of");
    a->region_count = 0;
    check_seen("0 pieces");
    a->region_count = PLAN_MAX_REGIONS + 1;
    check_seen("33 pieces");
    make_good();
    b->region_count = PLAN_MAX_REGIONS + 1;
    check_seen("VM 1 is not guest 1 of");
    make_good();
    b->window_count = PLAN_MAX_WINDOWS + 1;
    check_seen("VM 1 is not guest 1 of");
}

TEST(cpus) {
    make_good();
    a->cpu_count = 0;
    check_seen("has 0 CPUs");
    a->cpu_count = 2;
    a->cpus[1] = 2;
    check_seen("alpha has 2 CPUs, its config says 1");
    a->cpu_count = UINT32_MAX;
    check_seen("has 4294967295 CPUs");
    a->cpu_count = PLAN_MAX_VCPUS + 1;
    check_seen("or has 9 CPUs");
    a->cpus[0] = 2;
    check_seen("CPU 1 of alpha does not exist, or is not");
    a->cpus[0] = 1000;
    check_seen("CPU 1 of alpha does not exist, or is not");
    machine.cpu_count = 3;
    check_seen("CPU 3 of beta does not exist");
    b->cpus[0] = 1;
    check_seen("CPU 1 belongs to alpha and to beta");
    b->cpu_count = 2;
    b->cpus[1] = 1;
    check_seen("CPU 1 belongs to alpha and to beta");
    machine.config.guests[1].cpus = machine.config.guests[0].cpus;
    b->cpus[0] = 1;
    check_seen("CPU 1 belongs to alpha and to beta");
    machine.config.guests[0].cpus.bits[0] = 6;
    a->cpu_count = 2;
    a->cpus[0] = 2;
    a->cpus[1] = 1;
    check_seen("is not number 0 of its CPUs");
    memset(&machine.config.guests[0].cpus, 0, sizeof(machine.config.guests[0].cpus));
    a->cpu_count = 0;
    check_seen("has 0 CPUs");
}

/* What lies behind the last VM, and behind a VM's last CPU, is nobody's. */
TEST(what_is_behind_the_last_cpu) {
    make_good();
    plan.vms[plan.vm_count] = *b;
    a->cpus[a->cpu_count] = b->cpus[0];
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    CHECK_U64(faults.count, 0);
    make_again();
}

TEST(files) {
    static struct boot_image stranger;
    make_good();
    a->kernel = NULL;
    check_seen("another file than \"guests/vmlinuz\"");
    a->kernel = &machine.images[1];
    check_seen("another file than \"guests/vmlinuz\"");
    b->initrd = NULL;
    check_seen("beta was given another file than \"guests/initrd\"");
    machine.config.guests[1].initrd[0] = '\0';
    check_seen("beta was given another file than \"\"");
    strcpy(machine.images[0].path, "k"); /* a name of one letter is one */
    strcpy(machine.config.guests[0].kernel, "k");
    strcpy(machine.config.guests[1].kernel, "k");
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    make_again();
    stranger = machine.images[0];
    a->kernel = &stranger;
    check_seen("another file");
}

TEST(layout) {
    make_good();
    a->regions[0].gpa.v = 2 * MIB;
    check_seen("at guest address 0x200000 should be at 0x0");
    a->regions[0].size -= PAGE_SIZE;
    check_seen("alpha has 0x3ffff000 bytes of memory, its config says 0x40000000");
    a->regions[0].size += PAGE_SIZE;
    check_seen("alpha has 0x40001000 bytes");
    split(a, 4 * MIB);
    a->regions[1].gpa.v += PAGE_SIZE;
    check_seen("should be at 0x400000"); /* a hole */
    split(a, 4 * MIB);
    a->regions[1].gpa.v -= PAGE_SIZE;
    check_seen("should be at 0x400000"); /* an overlap */
    split(a, 4 * MIB);
    struct plan_region first = a->regions[0];
    a->regions[0] = a->regions[1];
    a->regions[1] = first;
    check_seen("should be at 0x0"); /* out of order */
    a->regions[0].size = 3 * GIB + PAGE_SIZE;
    check_seen("not run into the gap");
    split(a, 4 * MIB);
    a->regions[1].size = 3 * GIB - 4 * MIB + PAGE_SIZE;
    check_seen("not run into the gap");
}

TEST(places) {
    make_good();
    a->regions[0].hpa.v = 3 * GIB - 512 * MIB;
    check_seen("overlaps memory that is not free");
    a->regions[0].hpa.v = 3 * GIB - 512 * MIB;
    check_seen("is not in free memory");
    a->regions[0].hpa.v = 6 * GIB; /* not in the map at all */
    check_seen("is not in free memory");
    a->regions[0].hpa.v = 0;
    check_seen("overlaps the first MiB");
    a->budget_base.v = 0x1000;
    check_seen("budget of alpha at 0x1000");
    a->budget_base.v = 6 * MIB;
    machine.images[1].base = HPA(6 * MIB);
    check_seen("overlaps guests/initrd");
    a->budget_base.v = 6 * MIB;
    machine.images[0].base = HPA(6 * MIB); /* the first of them */
    check_seen("overlaps guests/vmlinuz");
    b->budget_base.v = MIB;
    check_seen("overlaps the hypervisor at");
    b->budget_base.v = 3 * MIB;
    check_seen("overlaps the hypervisor's heap");
    b->budget_base.v = 0xd0000000;
    check_seen("overlaps a framebuffer");
    b->budget_base.v = 0xc0000000;
    check_seen("overlaps a framebuffer");
    a->regions[0].hpa.v += 0x800;
    check_seen("not in whole pages");
    a->regions[0].size += 0x800;
    check_seen("not in whole pages");
    a->regions[0].size = 0;
    check_seen("is empty");
    a->regions[0].hpa.v = 0xfffffffffffff000;
    check_seen("wraps");
}

/* The map's word counts, not the builder's: a range that turns reserved is seen. */
TEST(kinds) {
    static const enum mem_kind kinds[] = {MEM_BULKHEAD, MEM_RESERVED};
    make_good();
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (uint32_t i = 0; i < machine.range_count; i++) {
            if (machine.ranges[i].base.v == 16 * MIB) {
                machine.ranges[i].kind = kinds[k];
            }
        }
        check_seen("is not in free memory");
    }
}

TEST(overlaps) {
    make_good();
    b->regions[0].hpa = a->regions[0].hpa;
    check_seen("memory of alpha");
    b->regions[0].hpa.v = a->regions[0].hpa.v + a->regions[0].size - PAGE_SIZE;
    check_seen("overlaps memory of beta");
    b->budget_base.v = a->regions[0].hpa.v + 16 * MIB;
    check_seen("overlaps budget of beta");
    a->budget_base.v = a->regions[0].hpa.v;
    check_seen("overlaps budget of alpha"); /* one's own budget is not one's own memory */
    b->budget_base = a->budget_base;
    check_seen("budget of alpha");
    split(a, 512 * MIB);
    a->regions[1].hpa = a->regions[0].hpa;
    check_seen("overlaps memory of alpha"); /* one frame at two guest addresses */
    a->budget_size -= PAGE_SIZE;
    check_seen("the budget of alpha is too small");
}

/* What others have need not end with a page: its last byte counts. */
TEST(last_bytes) {
    char words[100];
    make_good();
    uint64_t base = a->regions[0].hpa.v;
    snprintf(words, sizeof(words), "memory of alpha at 0x%llx, size 0x%llx, overlaps a framebuffer",
             (ull)base, (ull)a->regions[0].size);
    machine.screens[1] = (struct boot_framebuffer){.base = HPA(base - 0x800), .size = 0x801};
    check_seen(words);
    machine.screens[1] =
        (struct boot_framebuffer){.base = HPA(base + a->regions[0].size - 1), .size = 1};
    check_seen(words);
}

/* Each page-sized shift of a piece onto a neighbour is seen, wherever the border is. */
TEST(borders) {
    make_good();
    split(a, 512 * MIB);
    a->regions[1].hpa.v -= PAGE_SIZE;
    check_seen("overlaps memory of alpha");
    b->regions[0].hpa.v = a->regions[0].hpa.v - b->regions[0].size;
    memset(&faults, 0, sizeof(faults));
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    show_faults();
    b->regions[0].hpa.v += PAGE_SIZE;
    check_seen("memory of beta");
}

/* ---- windows and channels ---- */

/* The number-th window of that kind. */
static struct plan_window *window(struct plan_vm *vm, enum plan_window_kind kind, unsigned number) {
    for (uint32_t i = 0; i < vm->window_count; i++) {
        if (vm->windows[i].kind == kind && number-- == 0) {
            return &vm->windows[i];
        }
    }
    CHECK_STR("a window", "none");
    return vm->windows;
}

/* alpha and beta are on lan, beta and gamma on dmz. */
static void make_devices(void) {
    make_machine();
    configure("[wire.lan]\n[wire.dmz]\n" GUEST("alpha", "1", "64M")                             //
              "disk=['root:images/base:ro','s:images/small:ro','tmp:blank:16M']\nnet=['lan']\n" //
              GUEST("beta", "2", "64M")                                                         //
              "disk=['root:images/base:volatile:16M']\nnet=['lan','dmz']\n"                     //
              GUEST("gamma", "3", "64M") "pmem=['images/base']\nnet=['dmz']\n");
    build_good();
}

static void begin_devices(void) {
    make_again = make_devices;
    make_devices();
}

TEST(window_places) {
    begin_devices();
    a->windows[0].gpa.v = 64 * MIB; /* below 4 GiB, where there are devices */
    check_seen("window 0 of alpha");
    a->windows[0].gpa.v = 0;
    check_seen("window 0 of alpha");
    a->windows[1].gpa.v = a->windows[0].gpa.v;
    check_seen("window 1 of alpha");
    a->windows[1].gpa.v = a->windows[0].gpa.v + a->windows[0].size - PAGE_SIZE;
    check_seen("window 1 of alpha");
    a->windows[1].gpa.v += 0x800;
    check_seen("window 1 of alpha");
    window(a, PLAN_THEIRS, 0)->gpa.v = PLAN_WINDOWS_SIZE - CHANNEL_HALF + PAGE_SIZE;
    check_seen("window 4 of alpha");
    window(a, PLAN_THEIRS, 0)->gpa.v = PLAN_WINDOWS_SIZE;
    check_seen("window 4 of alpha");
    window(a, PLAN_THEIRS, 0)->gpa.v = UINT64_MAX - PAGE_SIZE + 1;
    check_seen("window 4 of alpha");
    window(a, PLAN_THEIRS, 0)->gpa.v = PLAN_WINDOWS_SIZE - CHANNEL_HALF; /* just fits */
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    a->windows[0].size = 0;
    check_seen("window 0 of alpha");
    a->windows[0].size += 0x800;
    check_seen("window 0 of alpha");
    a->windows[0].kind = (enum plan_window_kind)9;
    check_seen("window 0 of alpha");
    a->window_count = PLAN_MAX_WINDOWS + 1;
    check_seen("VM 0 is not guest 0");

    /* RAM above 4 GiB ends where windows may begin. */
    a->regions[0].gpa.v = a->windows[0].gpa.v;
    check_seen("window 0 of alpha");
}

TEST(images) {
    begin_devices();
    CHECK_U64(a->windows[0].kind, PLAN_IMAGE);
    a->windows[0].hpa = b->regions[0].hpa;
    check_seen("window 0 of alpha");
    a->windows[0].hpa.v += PAGE_SIZE;
    check_seen("window 0 of alpha");
    a->windows[0].size = 4 * MIB + PAGE_SIZE;
    check_seen("window 0 of alpha"); /* one page more than is the file's */
    a->windows[0].size -= 2 * PAGE_SIZE;
    check_seen("window 0 of alpha");
    machine.images[2].base.v += 0x800;
    a->windows[0].hpa.v += 0x800;
    check_seen("window 0 of alpha"); /* pages begin elsewhere */
    machine.images[1].base = HPA(4 * MIB);
    a->windows[0].hpa = HPA(4 * MIB);
    a->windows[0].size = 3 * MIB + PAGE_SIZE;
    check_seen("window 0 of alpha");                         /* somebody's initrd is no disk */
    machine.images[machine.image_count] = machine.images[2]; /* which is behind the last */
    machine.images[2].base = HPA(4 * MIB);
    check_seen("window 0 of alpha");
    machine.images[machine.image_count] = (struct boot_image){.size = 0};
    window(c, PLAN_PMEM, 0)->hpa = machine.images[3].base;
    check_seen("window 0 of gamma");
    machine.config.guests[2].pmem_count = 0;
    check_seen("window 0 of gamma"); /* its config does not name it */
    machine.config.guests[0].disk_count = 0;
    check_seen("window 0 of alpha");
    a->windows[0].kind = PLAN_PMEM;
    check_seen("window 0 of alpha"); /* its disk is not in its memory */
    machine.config.guests[0].disks[1] = machine.config.guests[0].disks[0];
    a->windows[1].hpa = a->windows[0].hpa;
    a->windows[1].size = a->windows[0].size;
    window(a, PLAN_STORE, 0)->gpa.v += 8 * MIB;
    window(a, PLAN_OURS, 0)->gpa.v += 8 * MIB;
    window(a, PLAN_THEIRS, 0)->gpa.v += 8 * MIB;
    check_seen("window 1 of alpha"); /* one frame at two addresses */

    /* What comes after the file up to 2 MiB is the file's. */
    CHECK_U64(a->budget_base.v, 16 * MIB);
    machine.images[2].base.v = a->budget_base.v - 3 * MIB - PAGE_SIZE;
    check_seen("overlaps images/base");
}

TEST(stores) {
    begin_devices();
    struct plan_window *store = window(a, PLAN_STORE, 0);
    store->hpa = b->regions[0].hpa;
    check_seen("a disk of alpha");
    store->hpa = a->regions[0].hpa;
    check_seen("overlaps a disk of alpha");
    store->hpa = window(b, PLAN_STORE, 0)->hpa;
    check_seen("a disk of alpha");
    store->hpa = plan.channels[0].base;
    check_seen("overlaps a channel of alpha");
    store->hpa = c->budget_base;
    check_seen("budget of gamma");
    store->hpa.v = 8 * MIB;
    check_seen("is not in free memory");
    store->hpa.v = 4 * GIB + GIB - PAGE_SIZE;
    check_seen("is not in free memory");
    a->windows[0].kind = PLAN_STORE;
    check_seen("overlaps images/base"); /* an image that it may write */
}

TEST(halves) {
    begin_devices();
    struct plan_window *ours = window(b, PLAN_OURS, 0), *theirs = window(b, PLAN_THEIRS, 0);
    CHECK_U64(ours->hpa.v, plan.channels[0].base.v + CHANNEL_HALF);
    CHECK_U64(theirs->hpa.v, plan.channels[0].base.v);
    theirs->kind = PLAN_OURS;
    check_seen("window 3 of beta"); /* it would write the other's half */
    ours->kind = PLAN_THEIRS;
    check_seen("window 2 of beta");
    ours->kind = PLAN_STORE;
    check_seen("a disk of beta");
    window(c, PLAN_OURS, 0)->hpa = plan.channels[0].base;
    check_seen("window 1 of gamma"); /* a third one */
    window(c, PLAN_THEIRS, 0)->hpa = plan.channels[0].base;
    check_seen("window 2 of gamma");
    ours->size -= PAGE_SIZE;
    check_seen("window 2 of beta");
    ours->hpa.v += PAGE_SIZE;
    check_seen("window 2 of beta");
    window(b, PLAN_OURS, 1)->hpa = ours->hpa;
    check_seen("window 4 of beta"); /* the same half twice */
    plan.channels[0].base = b->regions[0].hpa;
    check_seen("channel of alpha");
    plan.channels[1].base.v = plan.channels[0].base.v + CHANNEL_HALF;
    check_seen("overlaps a channel of beta");
}

TEST(channels) {
    begin_devices();
    CHECK_U64(plan.channel_count, 2);
    plan.channels[0].vms[1] = 0;
    check_seen("one of them is not of two VMs");
    plan.channels[0].vms[0] = 3;
    check_seen("one of them is not of two VMs");
    plan.channels[1].vms[1] = UINT32_MAX;
    check_seen("one of them is not of two VMs");
    plan.channel_count = PLAN_MAX_CHANNELS + 1;
    check_seen("there are 257 channels");
    plan.channel_count = PLAN_MAX_CHANNELS; /* so many there may be, but not all the same one */
    for (unsigned i = 2; i < PLAN_MAX_CHANNELS; i++) {
        plan.channels[i] = plan.channels[0];
    }
    check_seen("overlaps a channel");
    plan.channels[1].vms[1] = 0;
    check_seen("window 1 of gamma");
}

TEST(bells) {
    begin_devices();
    CHECK_U64(b->devices.channel_count, 2);
    CHECK_U64(b->bell_cpus[0], 1);
    CHECK_U64(b->bell_cpus[1], 3);
    b->bell_cpus[1] = 1;
    check_seen("channel 2 of beta");
    b->bell_cpus[0] = 2; /* its own */
    check_seen("channel 1 of beta");
    b->bell_cpus[0] = UINT32_MAX;
    check_seen("channel 1 of beta");
    b->devices.channel_count = 3;
    check_seen("channel 2 of beta");
    b->devices.channel_count = 1;
    check_seen("channel 2 of beta");

    /* The halves of two channels are mixed up. */
    hpa_t first = window(b, PLAN_THEIRS, 0)->hpa;
    window(b, PLAN_THEIRS, 0)->hpa = window(b, PLAN_THEIRS, 1)->hpa;
    window(b, PLAN_THEIRS, 1)->hpa = first;
    check_seen("channel 1 of beta");
    b->window_count--; /* half a channel */
    check_seen("channel 2 of beta");
    *window(b, PLAN_OURS, 1) = *window(b, PLAN_THEIRS, 1);
    b->window_count--;
    b->devices.channel_count = 1;
    check_seen("channel 1 of beta");
}

/* alpha may connect to beta, and beta and gamma to each other. */
static void make_vsock(void) {
    make_machine();
    configure("[wire.lan]\n" GUEST(
        "alpha", "1", "64M") "net=['lan']\nvsock=['beta']\n"
                             "cid='77'\n" GUEST("beta", "2",
                                                "64M") "net=['lan']\nvsock=['gamma']\n" //
              GUEST("gamma", "3", "64M") "vsock=['beta']\n");
    build_good();
}

TEST(vsock) {
    static const char alpha_words[] = "vsock of alpha has another address";
    struct abi_vsock *of_a = &a->devices.vsock, *of_b = &b->devices.vsock;

    make_again = make_vsock;
    make_vsock();
    CHECK_U64(of_a->first_channel, 1);
    CHECK_U64(of_b->peer_count, 2);
    of_a->cid = 3;
    check_seen(alpha_words);
    a->devices.vsock.cid = 78;
    check_seen(alpha_words);
    of_a->peer_count = 0; /* an address, and no device */
    check_seen(alpha_words);
    of_a->peer_count = 2;
    check_seen(alpha_words);
    of_a->peer_count = UINT32_MAX;
    check_seen(alpha_words);
    of_a->first_channel = 2;
    check_seen(alpha_words);
    of_a->first_channel = UINT32_MAX;
    check_seen(alpha_words);
    of_b->first_channel = 0; /* moved by one: the channel of the wire, then that to alpha */
    check_seen("channel 2 of beta");
    of_a->peers[0].cid = 5;
    check_seen("channel 2 of alpha");
    of_a->peers[0].may_connect = false;
    check_seen("channel 2 of alpha");
    of_a->peers[0].may_accept = true;
    check_seen("channel 2 of alpha");
    of_b->peers[0].may_connect = true;
    check_seen("channel 2 of beta");
    of_b->peers[1].may_connect = false;
    check_seen("channel 3 of beta");
    of_b->peers[1].may_accept = false;
    check_seen("channel 3 of beta");
    c->devices.vsock.peers[0].cid = 77;
    check_seen("channel 1 of gamma");
}

/* beta serves alpha a disk, and gamma may connect to it. */
static void make_served(void) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "disk=['b:blank:2M','d:nbd:beta/x:ro']\n"
                                         "cid='77'\n" //
              GUEST("beta", "2", "64M")               //
              GUEST("gamma", "3", "64M") "vsock=['beta']\n");
    build_good();
}

TEST(served_disks) {
    static const char words[] = "a disk of alpha is served otherwise than its config says";
    struct abi_served *of_a = &a->devices.served[1];

    make_again = make_served;
    make_served();
    CHECK_U64(b->devices.vsock.peer_count, 2);
    of_a->cid = 0;
    check_seen(words);
    of_a->read_only = false;
    check_seen(words);
    of_a->channel = 1;
    check_seen(words);
    of_a->export[0] = 'y';
    check_seen(words);
    memset(of_a->export, 'x', ABI_EXPORT);
    check_seen(words);
    a->devices.served[0] = *of_a; /* the blank one */
    check_seen(words);
    a->devices.disk_count = 3;
    check_seen(words);
    a->devices.disk_count = UINT32_MAX;
    check_seen(words);
    of_a->cid++;
    check_seen("channel 1 of alpha");
    of_a->server = 5; /* gamma */
    check_seen("channel 1 of alpha");
    plan.channels[0].disk = 0;
    plan.channels[1].disk = 0;
    check_seen("channel 1 of alpha");
    a->devices.vsock.cid = 77; /* to its programs as well */
    a->devices.vsock.peer_count = 1;
    a->devices.vsock.first_channel = 0;
    check_seen("channel 1 of alpha");
    b->devices.vsock.peers[1].may_connect = true;
    check_seen("channel 2 of beta");
    b->devices.vsock.peers[1].may_accept = false;
    check_seen("channel 2 of beta");
    b->devices.vsock.peers[1].cid = 77;
    check_seen("channel 2 of beta");
}

/* A name as long as there may be. */
TEST(a_served_disk_with_a_long_name) {
    char text[1024], name[ABI_EXPORT];
    memset(name, 'x', sizeof(name));
    name[ABI_EXPORT - 1] = '\0';
    snprintf(text, sizeof(text),
             GUEST("alpha", "1", "64M") "disk=['c:nbd:beta/%s']\n" GUEST("beta", "2", "64M"), name);
    make_machine();
    configure(text);
    build_good();
    CHECK_STR(a->devices.served[0].export, name);
}

static void make_two_served(void) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "disk=['c:nbd:beta/y','d:nbd:beta/x']\n" //
              GUEST("beta", "2", "64M")                                           //
              GUEST("gamma", "3", "64M"));
    build_good();
}

/* Each of them, from the first to the last, is the one that its channel is for. */
TEST(each_served_disk) {
    static const char *const channels[] = {"channel 1 of alpha", "channel 2 of alpha"};

    make_again = make_two_served;
    make_two_served();
    for (unsigned i = 0; i < ARRAY_SIZE(channels); i++) {
        a->devices.served[i].cid++;
        check_seen(channels[i]);
        a->devices.served[i].server = 5; /* gamma */
        check_seen(channels[i]);
        plan.channels[i].disk = 1 - i;
        check_seen(channels[i]);
    }
}

/* alpha and beta share two, beta and gamma one. */
static void make_ports(void) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "port=['one','two']\n"        //
              GUEST("beta", "2", "64M") "port=['two','one','three']\n" //
              GUEST("gamma", "3", "64M") "port=['three']\n");
    build_good();
}

TEST(ports) {
    make_again = make_ports;
    make_ports();
    CHECK_U64(b->devices.port_count, 3);
    b->devices.port_count = ABI_PORTS + 1;
    check_seen("a port of beta has no name, or no channel");
    a->devices.ports[1].channel = 2;
    check_seen("a port of alpha has no name, or no channel");
    memset(a->devices.ports[0].name, 'x', ABI_PORT_NAME);
    check_seen("a port of alpha has no name, or no channel");
    b->devices.ports[2].channel = b->devices.ports[0].channel; /* which is alpha's */
    check_seen("channel ");
    b->devices.ports[0].channel = b->devices.ports[2].channel; /* which is gamma's */
    check_seen("channel ");
    memcpy(c->devices.ports[0].name, "one", 4);
    check_seen("channel 1 of gamma");
    memcpy(a->devices.ports[0].name, "three", 6);
    check_seen("channel ");
}

/* As many as one guest may have; and a name behind the last one is none. */
TEST(all_ports) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "port=['a','b','c','d','e','f']\n" //
              GUEST("beta", "2", "64M") "port=['f','e','d','c','b','a']\n");
    build_good();
    CHECK_U64(a->devices.port_count, ABI_PORTS);

    make_again = make_ports;
    make_ports();
    memcpy(machine.config.guests[0].ports[2].name, "three", 6);
    memcpy(a->devices.ports[0].name, "three", 6);
    memcpy(b->devices.ports[1].name, "three", 6);
    check_seen("channel ");
}

/* alpha may control gamma, gamma all, and beta nobody. */
static void make_control(void) {
    make_machine();
    configure(GUEST("alpha", "1", "64M") "control=['gamma']\n" //
              GUEST("beta", "2", "64M")                        //
              GUEST("gamma", "3", "64M") "control=['*']\n");
    build_good();
}

TEST(control) {
    make_again = make_control;
    make_control();
    CHECK_U64(a->control_count, 1);
    CHECK_U64(a->control_cpus[0], 3);
    CHECK_U64(c->control_count, 3);
    CHECK_U64(c->control_cpus[0], 1);
    CHECK_U64(c->control_cpus[2], 3);
    CHECK(a->devices.has_control && !b->devices.has_control);
    a->control_cpus[0] = 2;
    check_seen("alpha may control other guests than its config says");
    a->control_cpus[a->control_count++] = 2;
    check_seen("alpha may control other guests than its config says");
    b->control_count = 1;
    b->control_cpus[0] = 1;
    b->devices.has_control = true;
    check_seen("beta may control other guests than its config says");
    b->devices.has_control = true;
    check_seen("beta may control other guests than its config says");
    a->devices.has_control = false;
    check_seen("alpha may control other guests than its config says");
    c->control_count = 2;
    check_seen("gamma may control other guests than its config says");
    c->control_count = CONFIG_MAX_GUESTS + 1;
    check_seen("gamma may control other guests than its config says");
}

TEST(budget_of_windows) {
    begin_devices();
    a->budget_size = plan_budget_size(64 * MIB, 1, false);
    check_seen("the budget of alpha is too small");
}

TEST_MAIN(T(good), T(what_is_memory), T(shape), T(cpus), T(files), T(layout), T(places), T(kinds),
          T(overlaps), T(last_bytes), T(borders), T(window_places), T(images), T(stores), T(halves),
          T(channels), T(bells), T(vsock), T(served_disks), T(a_served_disk_with_a_long_name),
          T(each_served_disk), T(ports), T(all_ports), T(control), T(budget_of_windows),
          T(what_is_behind_the_last_cpu))
