/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hardware.toml: what is written is read again as it was, and what is broken is refused with its
 * place. The config to start from is one.
 */
#include "config/hardware.h"
#include "config/pci.h"
#include "tests/unit/fake_pci.h"
#include "tests/unit/machine.h"

static char text[HARDWARE_MAX];
static struct boot_info again;
static uint64_t own;
static struct cpu_facts facts[CONFIG_MAX_CPUS];

static uint32_t caches_at = 4; /* the leaf that this CPU has them in */

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    memset(r, 0, 4 * sizeof(*r));
    if (leaf == 0) {
        r[0] = 0xd;
        r[2] = 0x656e6975; /* the end of "HygonGenuine" */
    } else if (leaf == 0x80000000) {
        r[0] = caches_at > leaf ? caches_at : 0x80000008;
    } else if (leaf == 0x8000001d && caches_at < leaf) {
        r[0] = 1; /* nonsense, as what is above the highest leaf may answer */
    } else if (leaf == caches_at && subleaf == 0) { /* 48 KiB, 12 ways, two threads */
        r[0] = 1 | 1 << 5 | 1 << 14;
        r[1] = 11u << 22 | 63;
        r[2] = 63;
    }
}
static const struct preflight_cpu cpu = {.cpuid = cpuid};

static void write_text(void) {
    static struct preflight_report report;
    memset(&report, 0, sizeof(report));
    preflight_add(&report, "CPU", PREFLIGHT_OK, NULL, "a \"brand\"\n[cpus]");
    CHECK(hardware_write(&machine, &cpu, facts, &report, text, sizeof(text)) == strlen(text));
}

static void make(void) {
    make_machine();
    fake_pci_iommu(&machine);
    machine.dma.kind = BOOT_IOMMU_VTD;
    fake_pci_add(AT(0, 1, 0), 0x80860001, 0x060000);
    fake_pci_several(fake_pci_card(AT(0, 2, 0), 0xc0000000));
    fake_pci_card(AT(0, 2, 1), 0xc1000000)->regs[0] = 0x10d48086;
    fake_pci_port(AT(0, 5, 0), 1, true);
    fake_pci_card(AT(1, 0, 0), 0xc5000000)->regs[0] = 0x00101b36;
    pci_list_all(&machine, &fake_space);
    pci_group_all(&machine);
    pci_judge_all(&machine);
    machine.pci_listed = true;
    machine.node_count = 1;
    machine.nodes[0] = (struct boot_node){.base = HPA(GIB), .size = GIB, .number = 7};
    machine.cpu_nodes[2] = 7;
    machine.mitigations = MITIGATE_SMALL_PAGES;
    machine.phys_bits = 39;
    write_text();
}

static enum status read_text(void) {
    memset(&again, 0, sizeof(again));
    memset(&faults, 0, sizeof(faults));
    faults.file = "hardware.toml";
    return hardware_read(text, strlen(text), &again, &own, &faults);
}

TEST(what_is_written_is_read) {
    uint64_t total = 0, bulkhead = 0;
    make();
    CHECK(read_text() == STATUS_OK);
    show_faults();
    CHECK_U64(again.cpu_count, machine.cpu_count);
    CHECK(memcmp(again.apic_ids, machine.apic_ids, sizeof(again.apic_ids)) == 0);
    CHECK(memcmp(again.cpu_nodes, machine.cpu_nodes, sizeof(again.cpu_nodes)) == 0);
    CHECK(memcmp(again.nodes, machine.nodes, sizeof(again.nodes)) == 0);
    CHECK_U64(again.pci_count, machine.pci_count);
    CHECK(machine.pci_count == 5);
    for (uint32_t i = 0; i < machine.pci_count; i++) {
        CHECK(memcmp(&again.pci[i], &machine.pci[i], sizeof(again.pci[i])) == 0);
    }
    CHECK(again.mitigations == MITIGATE_SMALL_PAGES && again.pci_listed);
    CHECK_U64(again.phys_bits, 39);
    CHECK(again.dma.kind == BOOT_IOMMU_VTD && again.dma.unit_count == 1 && again.dma.interrupts &&
          !again.dma.partial);
    CHECK_U64(again.range_count, machine.range_count);
    for (uint32_t i = 0; i < machine.range_count; i++) {
        const struct mem_range *was = &machine.ranges[i], *is = &again.ranges[i];
        CHECK(was->base.v == is->base.v && was->size == is->size);
        CHECK(is->kind == (was->kind == MEM_BULKHEAD ? MEM_FREE : was->kind));
        bulkhead += was->kind == MEM_BULKHEAD ? was->size : 0;
    }
    for (uint32_t i = 0; i < machine.image_count; i++) {
        total += boot_image_room(machine.images[i].size);
    }
    CHECK(bulkhead != 0 && total != 0 && bulkhead > total);
    CHECK_U64(own, bulkhead - total);
    CHECK(strstr(text, "# CPU 0: cache L1, data, 48K, 12 ways, of up to 2 threads\n") != NULL);
    CHECK(strstr(text, "a ?brand??[cpus]") != NULL);
}

/* Whoever has made the CPU. */
TEST(caches_are_found_in_either_leaf) {
    static const uint32_t leaves[] = {0x8000001d, 4};
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        caches_at = leaves[i];
        make();
        CHECK(strstr(text, "# CPU 0: cache L1, data, 48K, 12 ways, of up to 2 threads\n") != NULL);
    }
    caches_at = 0x4000; /* in none that is known */
    make();
    CHECK(strstr(text, "cache L") == NULL);
    caches_at = 4;
}

TEST(what_does_not_fit_is_not_written) {
    struct preflight_report report = {0};
    make();
    size_t length = strlen(text);
    CHECK_U64(hardware_write(&machine, &cpu, facts, &report, text, 100), 0);
    make();
    CHECK_U64(strlen(text), length);
    CHECK_U64(hardware_write_starter(&machine, text, 100), 0);
}

/* One word of the file is another. */
static void check_broken(const char *from, const char *to, const char *words) {
    static char tail[HARDWARE_MAX];
    make();
    char *at = strstr(text, from);
    CHECK(at != NULL);
    if (at == NULL) {
        printf("# no %s in:\n%s", from, text);
        return;
    }
    strcpy(tail, at + strlen(from));
    sprintf(at, "%s%s", to, tail);
    CHECK(read_text() == STATUS_INVALID);
    bool said = faults.count != 0 && strstr(faults.faults[0].text, words) != NULL &&
                strncmp(faults.faults[0].text, "hardware.toml:", 14) == 0;
    CHECK(said);
    if (!said) {
        printf("# %s -> %s: expected %s\n", from, to, words);
        show_faults();
    }
}

TEST(what_is_broken_is_refused) {
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"format = \"1\"", "format = \"2\"", "not the format"},
        {"format = \"1\"", "", "has no format"},
        {"small_pages = \"1\"", "small_pages = \"2\"", "no such number"},
        {"iommu = \"vt-d", "iommu = \"vtd", "KIND units"},
        {"phys_bits = \"39\"", "phys_bits = \"53\"", "no such number"},
        {"units=1", "units=33", "KIND units"},
        {"\n[cpus]\n", "\n[cpu]\n", "has no key \"cpu0\""},
        {"apic=0", "apic=x", "apic=NUMBER"},
        {"apic=0", "apic=0x100000000", "apic=NUMBER"},
        {"node=7", "node=", "apic=NUMBER"},
        {" free\"", " mine\"", "free, bulkhead or reserved"},
        {" free\"", "\"", "free, bulkhead or reserved"},
        {"range1 = \"0x", "range1 = \"x", "no range of addresses"},
        {"range1 = \"", "range1 = \"0x0-0xfff free\" # ", "whole pages above"},
        {"node0 = \"0x40000000-", "node0 = \"0x80000000-", "no range of addresses"},
        {"files = \"", "files = \"-", "no such number"},
        {"function0 = \"0000", "function0 = \"10000", "address"},
        {"00:02.0 ", "00:02.8 ", "address"},
        {"00:02.0 8086:", "00:02.0 8086-", "address"},
        {"verdict=chipset", "verdict=good", "no verdict"},
        {"verdict=chipset", "", "no verdict"},
        {"several=0x1", "several=0x2", "no function has"},
        {"class=", "klass=", "no function has"},
        {"header=0x1", "header=0x100", "no function has"},
        {"bar0=", "bar6=", "no function has"},
        {"bar0=0x", "bar0=", "no function has"},
        {"bar0=", "bar=", "no function has"},
        {"parent=0x3", "parent=0x300", "not there"},
        {"left_out = \"0\"", "left_out = 0", "quotes"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        check_broken(cases[i].from, cases[i].to, cases[i].words);
    }
    strcpy(text, "");
    CHECK(read_text() == STATUS_INVALID);
}

/* Whatever a byte becomes, the lists stay within their bounds (the sanitizers look). */
TEST(random_bytes) {
    uint32_t random = 4711;
    unsigned refused = 0;
    for (unsigned round = 0; round < 3000; round++) {
        if (round % 50 == 0) {
            make();
        }
        random = random * 1664525 + 1013904223;
        text[(random >> 8) % strlen(text)] = " \"=x0f-:\n[]z"[random % 12];
        refused += read_text() != STATUS_OK;
        CHECK(again.pci_count <= BOOT_MAX_PCI && again.cpu_count <= CONFIG_MAX_CPUS);
    }
    CHECK(refused > 1000);
}

TEST(the_starter_is_a_config) {
    static struct config config;
    for (unsigned cpus = 1; cpus <= 12; cpus += 11) {
        make();
        machine.cpu_count = cpus;
        CHECK(hardware_write_starter(&machine, text, STARTER_MAX) == strlen(text));
        memset(&faults, 0, sizeof(faults));
        CHECK(config_parse(text, strlen(text), &config, &faults) == STATUS_OK);
        show_faults();
        CHECK_U64(config.guest_count, 1);
        CHECK_U64(config.guests[0].cpus.bits[0], cpus == 1 ? 1 : 0x1fe);
        CHECK(config.guests[0].memory == GIB);
        CHECK(strstr(text, "#pci = [\"0000:01:00.0\"]") != NULL);
    }
}

/* As bhcheck does: of the machine, what the file tells; which is nothing of where IOMMUs are. then:
 * what the config of the start avoided that has written it. */
static void judge_by_file(uint32_t then, const char *now) {
    static char config[512];
    make();
    machine.config.avoid = then;
    pci_judge_all(&machine);
    write_text();
    CHECK(read_text() == STATUS_OK);
    machine.dma = again.dma;
    memcpy(machine.pci, again.pci, sizeof(machine.pci));
    snprintf(config, sizeof(config), "[hypervisor]\n%s\n%spci = ['01:00.0']\n", now,
             GUEST("alpha", "0", "64M"));
    configure(config);
    pci_judge_walls(&machine);
}

TEST(a_device_is_given_by_the_file) {
    judge_by_file(0, "");
    CHECK(build() == STATUS_OK);
    show_faults();
    CHECK_U64(plan.vms[0].pci_count, 1);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    show_faults();
}

/* The file has the verdicts of a start whose config may have been another. */
TEST(what_is_avoided_is_judged_anew) {
    static struct boot_pci wanted[BOOT_MAX_PCI];
    make();
    memcpy(wanted, machine.pci, sizeof(wanted));
    CHECK_U64(wanted[1].verdict, BOOT_PCI_TOGETHER);
    CHECK_U64(wanted[4].verdict, BOOT_PCI_ALONE);

    judge_by_file(0, "");
    CHECK(memcmp(machine.pci, wanted, sizeof(wanted)) == 0);
    judge_by_file(BIT32(AVOID_IOMMU), "");
    CHECK_U64(again.pci[4].verdict, BOOT_PCI_NO_IOMMU);
    CHECK(memcmp(machine.pci, wanted, sizeof(wanted)) == 0);
    judge_by_file(0, "avoid = 'iommu'");
    CHECK_U64(again.pci[4].verdict, BOOT_PCI_ALONE);
    FAULTS({"8:8:", "PCI device 01:00.0 cannot be given to a guest: no IOMMU is in use"});
}

TEST_MAIN(T(what_is_written_is_read), T(caches_are_found_in_either_leaf),
          T(what_does_not_fit_is_not_written), T(what_is_broken_is_refused), T(random_bytes),
          T(the_starter_is_a_config), T(a_device_is_given_by_the_file),
          T(what_is_avoided_is_judged_anew))
