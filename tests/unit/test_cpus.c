/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs of one machine that are alike, of two kinds, and of which one lacks something; and that no
 * CPU is asked for what it does not have.
 */
#include "config/cpus.h"
#include "tests/unit/test.h"

static struct {
    bool amd, virtualization, hybrid;
    uint32_t last_leaf, last_extended, kind, svm;
    uint64_t control, processor, processor_2, ept, vm_cr;
} cpu;

static void fake_cpuid(uint32_t leaf, UNUSED uint32_t subleaf, uint32_t r[4]) {
    memset(r, 0, 4 * sizeof(r[0]));
    switch (leaf) {
    case 0:
        r[0] = cpu.last_leaf;
        break;
    case 1:
        r[2] = cpu.virtualization && !cpu.amd ? BIT32(5) : 0;
        break;
    case 7:
        r[3] = cpu.hybrid ? BIT32(15) : 0;
        break;
    case 0xb:
        r[0] = 1;
        break;
    case 0x1a:
        CHECK(cpu.hybrid);
        r[0] = cpu.kind << 24 | 1;
        break;
    case 0x80000000:
        r[0] = cpu.last_extended;
        break;
    case 0x80000026:
        CHECK(cpu.amd && cpu.last_extended >= 0x80000026);
        r[0] = cpu.hybrid ? BIT32(30) : ~BIT32(30);
        r[1] = cpu.kind << 28 | 0x0abcdef;
        break;
    case 0x80000001:
        r[2] = cpu.virtualization && cpu.amd ? BIT32(2) : 0;
        break;
    case 0x8000000a:
        CHECK(cpu.virtualization && cpu.amd);
        r[3] = cpu.svm;
        break;
    default:
        CHECK(!"a leaf that nobody needs");
    }
}

static uint64_t fake_rdmsr(uint32_t msr) {
    CHECK(cpu.virtualization && cpu.amd == (msr >= 0xc0000000));
    switch (msr) {
    case 0x3a:
        return cpu.control;
    case 0x482:
        return cpu.processor;
    case 0x48b:
        CHECK((cpu.processor & BIT(63)) != 0);
        return cpu.processor_2;
    case 0x48c:
        CHECK((cpu.processor_2 & (BIT(33) | BIT(37))) != 0);
        return cpu.ept;
    case 0xc0010114:
        return cpu.vm_cr;
    default:
        CHECK(!"an MSR that nobody needs");
        return 0;
    }
}

static const struct preflight_cpu machine = {.cpuid = fake_cpuid, .rdmsr = fake_rdmsr};
static struct cpu_facts facts[4];
static struct boot_info info;

static void intel(void) {
    memset(&cpu, 0, sizeof(cpu));
    cpu.virtualization = true;
    cpu.last_leaf = 0x1f;
    cpu.control = 5;
    cpu.processor = cpu.processor_2 = UINT64_MAX;
    cpu.ept = BIT(6) | BIT(14) | BIT(16) | BIT(17) | BIT(20) | BIT(26);
}

static void amd(void) {
    intel();
    cpu.amd = true;
    cpu.last_leaf = 0x10;
    cpu.last_extended = 0x80000026;
    cpu.svm = UINT32_MAX;
}

static void all_alike(void (*make)(void)) {
    memset(&info, 0, sizeof(info));
    info.cpu_count = ARRAY_SIZE(facts);
    for (uint32_t i = 0; i < info.cpu_count; i++) {
        info.apic_ids[i] = 2 * i + 1;
        make();
        cpus_ask(&machine, &facts[i]);
        CHECK(facts[i].asked);
    }
}

/* What is found, "" if nothing is said. */
static const char *report(void) {
    static struct preflight_report r;
    memset(&r, 0, sizeof(r));
    cpus_report(&info, facts, &r);
    CHECK(r.count <= 1 && r.lacks == 0);
    CHECK(r.count == 0 || r.lines[0].state == PREFLIGHT_WARN);
    return r.count != 0 ? r.lines[0].found : "";
}

TEST(alike) {
    all_alike(intel);
    CHECK_STR(report(), "");
    all_alike(amd);
    CHECK_STR(report(), "");
}

TEST(each_word) {
    static const struct {
        void (*make)(void);
        uint64_t *word;
        uint64_t bit;
        const char *found;
    } cases[] = {
        {intel, &cpu.control, 4, "1, the first is CPU 2: fewer virtualization"},
        {intel, &cpu.processor, BIT(60), "1, the first is CPU 2: fewer controls of VT-x"},
        {intel, &cpu.processor_2, BIT(33 + 8), "1, the first is CPU 2: fewer controls of VT-x"},
        {intel, &cpu.ept, BIT(17), "1, the first is CPU 2: fewer kinds of EPT"},
        {intel, &cpu.processor, BIT(40), ""}, /* of no use here */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        all_alike(cases[i].make);
        cases[i].make();
        *cases[i].word &= ~cases[i].bit;
        cpus_ask(&machine, &facts[2]);
        CHECK_STR(report(), cases[i].found);
        cpus_ask(&machine, &facts[3]);
        CHECK_U64(report()[0], cases[i].found[0] == '\0' ? '\0' : '2');
        facts[2].asked = facts[3].asked = false; /* nothing is known of what they lack */
        CHECK_STR(report(), "2, the first is CPU 2");
    }
    all_alike(amd);
    amd();
    cpu.svm = ~BIT32(6);
    cpus_ask(&machine, &facts[1]);
    CHECK_STR(report(), "1, the first is CPU 1: fewer features of AMD-V");
    cpu.svm = ~BIT32(1);
    cpu.vm_cr = BIT(3) | BIT(4);
    cpus_ask(&machine, &facts[1]);
    CHECK_STR(report(), "1, the first is CPU 1: fewer virtualization");
    cpu.vm_cr = BIT(4); /* Bulkhead takes that back */
    cpus_ask(&machine, &facts[1]);
    CHECK_STR(report(), "");
    cpu.virtualization = false;
    cpus_ask(&machine, &facts[1]);
    CHECK_STR(report(), "1, the first is CPU 1: fewer virtualization");
}

/* Where one answers, the others should have as well. */
TEST(silent) {
    all_alike(amd);
    facts[3].asked = false;
    CHECK_STR(report(), "1, the first is CPU 3");
    facts[2].asked = facts[1].asked = false; /* a firmware that asks nobody */
    CHECK_STR(report(), "");
    info.cpu_count = 1;
    CHECK_STR(report(), "");
}

TEST(kinds) {
    char text[CPUS_TEXT_SIZE];
    all_alike(intel);
    CHECK_STR(cpus_describe(&info, facts, 2, text), "  2: APIC 5, core 2, thread 1");
    intel();
    cpu.hybrid = true;
    cpu.kind = 0x20;
    cpus_ask(&machine, &facts[2]);
    CHECK_STR(cpus_describe(&info, facts, 2, text), "  2: APIC 5, core 2, thread 1 E");
    cpu.kind = 0x40;
    cpus_ask(&machine, &facts[2]);
    CHECK_STR(cpus_describe(&info, facts, 2, text), "  2: APIC 5, core 2, thread 1 P");
    cpu.kind = 0x30; /* one to come */
    cpus_ask(&machine, &facts[2]);
    CHECK_STR(cpus_describe(&info, facts, 2, text), "  2: APIC 5, core 2, thread 1");
    cpu.kind = 0x40;
    cpus_ask(&machine, &facts[2]);
    info.apic_ids[2] = UINT32_MAX; /* it fits */
    CHECK(strlen(cpus_describe(&info, facts, 2, text)) < CPUS_TEXT_SIZE - 1);
    CHECK(strstr(text, "thread 1 P") != NULL);
}

/* AMD's: whether they differ, and which this one is. */
TEST(kinds_of_amd) {
    static const struct {
        uint32_t last_extended;
        bool hybrid;
        uint32_t kind;
        const char *text;
    } cases[] = {
        {0x80000026, true, 0, "  2: APIC 5, core 2, thread 1 P"},
        {0x80000028, true, 1, "  2: APIC 5, core 2, thread 1 E"},
        {0x80000026, true, 2, "  2: APIC 5, core 2, thread 1"},
        {0x80000026, false, 1, "  2: APIC 5, core 2, thread 1"},
        {0x80000025, true, 1, "  2: APIC 5, core 2, thread 1"},
    };
    char text[CPUS_TEXT_SIZE];
    all_alike(amd);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        cpu.last_extended = cases[i].last_extended;
        cpu.hybrid = cases[i].hybrid;
        cpu.kind = cases[i].kind;
        cpus_ask(&machine, &facts[2]);
        CHECK_STR(cpus_describe(&info, facts, 2, text), cases[i].text);
    }
}

TEST_MAIN(T(alike), T(each_word), T(silent), T(kinds), T(kinds_of_amd))
