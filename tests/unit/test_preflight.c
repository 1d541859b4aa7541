/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pre-flight against machines made up word by word: a good one, and one for each thing a
 * machine can lack; and that no MSR is read which the CPU does not have.
 */
#include "config/preflight.h"
#include "tests/unit/test.h"

#define VMX_LINES 11u /* the features under VT-x */
#define SVM_LINES 7u  /* ASIDs and the features under AMD-V */

/* IA32_VMX_PROCBASED_CTLS and the like, upper half = may be set. */
#define GOOD_PROCESSOR   (BIT(63) | BIT(60) | BIT(57))
#define GOOD_PROCESSOR_2 (BIT(33) | BIT(37) | BIT(39) | BIT(62))
#define GOOD_EPT_VPID    (BIT(6) | BIT(14) | BIT(16) | BIT(17) | BIT(20) | BIT(26) | BIT(32))

static uint64_t msr_misc_enable;
static uint64_t msr_feature_control, msr_processor, msr_processor_2, msr_ept_vpid, msr_vm_cr;
static uint32_t cpuid_1_eax, cpuid_1_ecx, cpuid_ext1_ecx, cpuid_ext1_edx, cpuid_ext7_edx, svm_asids,
    svm_edx;
static uint32_t cpuid_7_edx;       /* speculation control */
static uint32_t thread_shift;      /* APIC IDs of a core's threads agree above it */
static const char *vendor, *brand; /* 12 and 48 characters */
static uint32_t reads[16], read_count;
static struct boot_info info;

static void fake_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    memset(r, 0, 4 * sizeof(r[0]));
    switch (leaf) {
    case 0:
        r[0] = 0xb;
        memcpy(&r[1], vendor, 4);
        memcpy(&r[3], vendor + 4, 4);
        memcpy(&r[2], vendor + 8, 4);
        break;
    case 1:
        r[0] = cpuid_1_eax;
        r[2] = cpuid_1_ecx;
        break;
    case 7:
        CHECK_U64(subleaf, 0);
        r[3] = cpuid_7_edx;
        break;
    case 0x80000000:
        r[0] = 0x8000000a;
        break;
    case 0x80000008:
        break;
    case 0xb:
        r[0] = thread_shift;
        r[1] = 1;
        break;
    case 0x80000001:
        r[2] = cpuid_ext1_ecx;
        r[3] = cpuid_ext1_edx;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(r, brand + 16 * (leaf - 0x80000002), 16);
        break;
    case 0x80000007:
        r[3] = cpuid_ext7_edx;
        break;
    case 0x8000000a:
        CHECK((cpuid_ext1_ecx & BIT32(2)) != 0); /* there only with SVM */
        r[1] = svm_asids;
        r[3] = svm_edx;
        break;
    default:
        CHECK(!"a CPUID leaf that the pre-flight has no business with");
    }
}

static uint64_t fake_rdmsr(uint32_t msr) {
    reads[read_count++] = msr;
    switch (msr) {
    case 0x3a:
        return msr_feature_control;
    case 0x482:
        return msr_processor;
    case 0x48b:
        return msr_processor_2;
    case 0x48c:
        return msr_ept_vpid;
    case 0xc0010114:
        return msr_vm_cr;
    case 0x1a0:
        return msr_misc_enable;
    default:
        CHECK(!"an MSR that the pre-flight has no business with");
        return 0;
    }
}

static bool was_read(uint32_t msr) {
    for (uint32_t i = 0; i < read_count; i++) {
        if (reads[i] == msr) {
            return true;
        }
    }
    return false;
}

/* A machine on which Bulkhead runs; each test takes something away from it. */
static void good_machine(void) {
    vendor = "GenuineIntel";
    brand = "      Intel(R) Test CPU\0                        ";
    cpuid_1_eax = 0x306c3; /* Haswell */
    cpuid_1_ecx = BIT32(5);
    cpuid_ext1_ecx = 0;
    cpuid_ext1_edx = BIT32(20) | BIT32(29);
    cpuid_ext7_edx = BIT32(8);
    msr_feature_control = 5;
    msr_processor = GOOD_PROCESSOR;
    msr_processor_2 = GOOD_PROCESSOR_2;
    msr_ept_vpid = GOOD_EPT_VPID;
    msr_vm_cr = 0;
    msr_misc_enable = 0;
    cpuid_7_edx = 0;
    info.config.mitigate = false;
    info.cpu_count = 4;
    info.inputs = BOOT_INPUT_SERIAL | BOOT_INPUT_PS2;
    info.dma = (struct boot_dma){.kind = BOOT_IOMMU_VTD, .unit_count = 2};
    info.screen_count = 1;
    info.screens[0] = (struct boot_framebuffer){.base = HPA(GIB), .width = 1920, .height = 1080};
    info.config.guest_count = 0;
    thread_shift = 0;
    info.range_count = 3;
    info.ranges[0] = (struct mem_range){HPA(0), MIB, MEM_RESERVED};
    info.ranges[1] = (struct mem_range){HPA(1 * GIB), 1 * GIB, MEM_BULKHEAD};
    info.ranges[2] = (struct mem_range){HPA(4 * GIB), 7 * GIB, MEM_FREE};
}

/* The same with AMD-V. */
static void good_amd_machine(void) {
    good_machine();
    vendor = "AuthenticAMD";
    cpuid_1_ecx = 0;
    cpuid_ext1_ecx = BIT32(2);
    svm_asids = 16;
    svm_edx = BIT32(0) | BIT32(2) | BIT32(3) | BIT32(5) | BIT32(6) | BIT32(7) | BIT32(29);
}

static struct preflight_report judge(void) {
    static const struct preflight_cpu cpu = {fake_cpuid, fake_rdmsr};
    struct preflight_report report;
    read_count = 0;
    preflight_run(&info, &cpu, &report);
    return report;
}

static const struct preflight_line *find(const struct preflight_report *report, const char *what) {
    static const struct preflight_line none = {"(no such line)", "", PREFLIGHT_OK, NULL};
    for (uint32_t i = 0; i < report->count; i++) {
        if (strcmp(report->lines[i].what, what) == 0) {
            return &report->lines[i];
        }
    }
    return &none;
}

/* Exactly one lack, in that line, with a hint that has that word. */
static void check_only_lack(const struct preflight_report *report, const char *what,
                            const char *word) {
    const struct preflight_line *line = find(report, what);
    CHECK_U64(report->lacks, 1);
    CHECK_STR(line->what, what);
    CHECK_U64(line->state, PREFLIGHT_LACK);
    CHECK(line->hint != NULL && strstr(line->hint, word) != NULL);
}

TEST(good) {
    good_machine();
    struct preflight_report report = judge();
    CHECK_U64(report.lacks, 0);
    for (uint32_t i = 0; i < report.count; i++) {
        CHECK_U64(report.lines[i].state, PREFLIGHT_OK);
        CHECK(report.lines[i].hint == NULL);
        CHECK(report.lines[i].found[0] != '\0');
    }
    CHECK_STR(find(&report, "CPU")->found, "Intel(R) Test CPU");
    CHECK_STR(find(&report, "Memory")->found, "8G, 7G free for guests");
    CHECK_STR(find(&report, "CPUs")->found, "4");
}

TEST(feature_control) {
    static const struct {
        uint64_t value;
        const char *found;
        bool good;
    } cases[] = {
        {0, "present, left open by the firmware", true},
        {4, "present, left open by the firmware", true},
        {5, "present, enabled by the firmware", true},
        {7, "present, enabled by the firmware", true},
        {1, "present, locked off by the firmware", false},
        {3, "present, locked off by the firmware", false}, /* inside SMX only */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        good_machine();
        msr_feature_control = cases[i].value;
        struct preflight_report report = judge();
        CHECK_STR(find(&report, "VT-x (VMX)")->found, cases[i].found);
        CHECK_U64(report.lacks, cases[i].good ? 0 : 1);
        if (!cases[i].good) {
            check_only_lack(&report, "VT-x (VMX)", "power off and on");
        }
    }
}

TEST(no_vmx) {
    good_machine();
    uint32_t all = judge().count - VMX_LINES;
    cpuid_1_ecx = 0;
    read_count = 0;
    struct preflight_report report = judge();
    CHECK_U64(read_count, 0);
    CHECK_U64(report.count, all);
    check_only_lack(&report, "VT-x (VMX)", "firmware setup");
}

TEST(no_vmx_nested) {
    good_machine();
    cpuid_1_ecx = BIT32(31);
    struct preflight_report report = judge();
    check_only_lack(&report, "VT-x (VMX)", "nested virtualization");
}

/* Each bit taken away alone is seen, in its own line. */
TEST(each_feature) {
    static const struct {
        uint64_t *word;
        uint64_t bit;
        const char *what;
        enum preflight_state state;
    } cases[] = {
        {&msr_processor, BIT(60), "MSR bitmaps", PREFLIGHT_LACK},
        {&msr_processor, BIT(57), "I/O bitmaps", PREFLIGHT_LACK},
        {&msr_processor_2, BIT(33), "EPT (nested paging)", PREFLIGHT_LACK},
        {&msr_processor_2, BIT(39), "Unrestricted guest", PREFLIGHT_LACK},
        {&msr_processor_2, BIT(37), "VPID", PREFLIGHT_WARN},
        {&msr_processor_2, BIT(62), "Bus locks slowed down", PREFLIGHT_WARN},
        {&msr_ept_vpid, BIT(6), "EPT 4 levels, write-back", PREFLIGHT_LACK},
        {&msr_ept_vpid, BIT(14), "EPT 4 levels, write-back", PREFLIGHT_LACK},
        {&msr_ept_vpid, BIT(16), "EPT 2 MiB pages", PREFLIGHT_LACK},
        {&msr_ept_vpid, BIT(17), "EPT 1 GiB pages", PREFLIGHT_WARN},
        {&msr_ept_vpid, BIT(20), "INVEPT", PREFLIGHT_LACK},
        {&msr_ept_vpid, BIT(26), "INVEPT", PREFLIGHT_LACK},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        good_machine();
        *cases[i].word &= ~cases[i].bit;
        struct preflight_report report = judge();
        const struct preflight_line *line = find(&report, cases[i].what);
        CHECK_STR(line->what, cases[i].what);
        CHECK_U64(line->state, cases[i].state);
        CHECK_STR(line->found, "no");
        CHECK(line->hint != NULL);
        CHECK_U64(report.lacks, cases[i].state == PREFLIGHT_LACK ? 1 : 0);
    }
}

TEST(msr_gates) {
    good_machine();
    (void)judge();
    CHECK(was_read(0x3a) && was_read(0x482) && was_read(0x48b) && was_read(0x48c));
    CHECK(!was_read(0xc0010114));

    good_machine(); /* a first-generation VT-x CPU */
    msr_processor &= ~BIT(63);
    struct preflight_report report = judge();
    CHECK(was_read(0x482) && !was_read(0x48b) && !was_read(0x48c));
    CHECK_U64(find(&report, "EPT (nested paging)")->state, PREFLIGHT_LACK);
    CHECK_U64(find(&report, "INVEPT")->state, PREFLIGHT_LACK);

    good_machine(); /* neither EPT nor VPID */
    msr_processor_2 = BIT(39);
    (void)judge();
    CHECK(was_read(0x48b) && !was_read(0x48c));
}

TEST(amd_good) {
    good_amd_machine();
    struct preflight_report report = judge();
    CHECK_U64(read_count, 1);
    CHECK(was_read(0xc0010114));
    CHECK_U64(report.lacks, 0);
    for (uint32_t i = 0; i < report.count; i++) {
        CHECK_U64(report.lines[i].state, PREFLIGHT_OK);
    }
    CHECK_STR(find(&report, "ASIDs")->found, "16");
    CHECK_STR(find(&report, "Nested paging (NPT)")->found, "yes");
    CHECK_STR(find(&report, "VT-x (VMX)")->what, "(no such line)");
    CHECK_STR(find(&report, "EPT (nested paging)")->what, "(no such line)");
    good_machine();
    report = judge();
    CHECK_STR(find(&report, "Nested paging (NPT)")->what, "(no such line)");
}

/* VM_CR and whether SVM_LOCK is there. APM vol. 2 "Enabling SVM". */
TEST(amd_switched_off) {
    static const struct {
        uint64_t vm_cr;
        bool svm_lock;
        const char *found;
        bool good;
    } cases[] = {
        {0, true, "present, enabled by the firmware", true},
        {BIT(3), true, "present, enabled by the firmware", true},
        {0, false, "present, enabled by the firmware", true},
        {BIT(4), true, "present, left open by the firmware", true},
        {BIT(3) | BIT(4), true, "present, locked off by the firmware", false},
        {BIT(4), false, "present, locked off by the firmware", false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        good_amd_machine();
        msr_vm_cr = cases[i].vm_cr;
        svm_edx &= cases[i].svm_lock ? UINT32_MAX : ~BIT32(2);
        struct preflight_report report = judge();
        CHECK_STR(find(&report, "AMD-V (SVM)")->found, cases[i].found);
        CHECK_U64(report.lacks, cases[i].good ? 0 : 1);
        if (!cases[i].good) {
            check_only_lack(&report, "AMD-V (SVM)", "SVM Mode");
        }
    }
}

TEST(amd_lacks) {
    good_amd_machine();
    uint32_t all = judge().count;
    cpuid_ext1_ecx = 0;
    read_count = 0;
    struct preflight_report report = judge();
    CHECK_U64(read_count, 0);
    CHECK_U64(report.count, all - SVM_LINES);
    check_only_lack(&report, "AMD-V (SVM)", "SVM Mode");
    cpuid_1_ecx = BIT32(31);
    report = judge();
    check_only_lack(&report, "AMD-V (SVM)", "nested virtualization");

    static const struct {
        uint32_t bit;
        const char *what;
        enum preflight_state state;
    } cases[] = {
        {BIT32(0), "Nested paging (NPT)", PREFLIGHT_LACK},
        {BIT32(3), "Next-RIP save", PREFLIGHT_WARN},
        {BIT32(5), "VMCB clean bits", PREFLIGHT_WARN},
        {BIT32(6), "Flush by ASID", PREFLIGHT_WARN},
        {BIT32(7), "Decode assists", PREFLIGHT_WARN},
        {BIT32(29), "Bus locks slowed down", PREFLIGHT_WARN},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        good_amd_machine();
        svm_edx &= ~cases[i].bit;
        report = judge();
        const struct preflight_line *line = find(&report, cases[i].what);
        CHECK_STR(line->what, cases[i].what);
        CHECK_U64(line->state, cases[i].state);
        CHECK_STR(line->found, "no");
        CHECK_U64(report.lacks, cases[i].state == PREFLIGHT_LACK ? 1 : 0);
    }
    good_amd_machine();
    svm_asids = 2;
    CHECK_U64(judge().lacks, 0);
    svm_asids = 1;
    report = judge();
    check_only_lack(&report, "ASIDs", "too old");
}

/* On without a list is all that is refused; a list without it is of little use. */
TEST(secure_boot) {
    static const struct {
        enum boot_secure secure;
        bool sealed;
        enum preflight_state state;
        const char *found, *hint;
    } cases[] = {
        {BOOT_SECURE_OFF, false, PREFLIGHT_OK, "off", NULL},
        {BOOT_SECURE_SETUP, false, PREFLIGHT_OK, "off, in setup mode", NULL},
        {BOOT_SECURE_ON, false, PREFLIGHT_LACK, "on, no signed list", "make sign"},
        {BOOT_SECURE_OFF, true, PREFLIGHT_WARN, "off, 3 files on the signed list", "enroll"},
        {BOOT_SECURE_SETUP, true, PREFLIGHT_WARN, "off, in setup mode, 3 files on the signed list",
         "enroll"},
        {BOOT_SECURE_ON, true, PREFLIGHT_OK, "on, 3 files on the signed list", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good_machine();
        info.secure_boot = cases[i].secure;
        info.sealed = cases[i].sealed;
        info.sealed_files = 3;
        struct preflight_report report = judge();
        const struct preflight_line *line = find(&report, "Secure Boot");
        CHECK_STR(line->found, cases[i].found);
        CHECK_U64(line->state, cases[i].state);
        CHECK_U64(report.lacks, cases[i].state == PREFLIGHT_LACK);
        if (cases[i].hint != NULL) {
            CHECK(line->hint != NULL && strstr(line->hint, cases[i].hint) != NULL);
        }
    }
    info.secure_boot = BOOT_SECURE_OFF;
    info.sealed = false;
}

TEST(screen) {
    good_machine();
    struct preflight_report report = judge();
    CHECK_STR(find(&report, "Screen")->found, "1920x1080");

    info.screen_count = 3;
    report = judge();
    CHECK_STR(find(&report, "Screen")->found, "1920x1080 and 2 more");

    info.screen_count = 0;
    report = judge();
    CHECK_STR(find(&report, "Screen")->found, "none after the start, the serial port only");
    CHECK_U64(find(&report, "Screen")->state, PREFLIGHT_OK);

    info.inputs = BOOT_INPUT_PS2 | BOOT_INPUT_USB;
    report = judge();
    CHECK_U64(report.lacks, 0);
    CHECK_STR(find(&report, "Screen")->found, "none after the start");
    CHECK_U64(find(&report, "Screen")->state, PREFLIGHT_WARN);
    CHECK(strstr(find(&report, "Screen")->hint, "CSM off") != NULL);
}

TEST(common) {
    good_machine();
    cpuid_ext1_edx = BIT32(29);
    struct preflight_report report = judge();
    check_only_lack(&report, "No-execute (NX)", "XD");
    CHECK(was_read(0x1a0));
    msr_misc_enable = BIT(34); /* only hidden: Bulkhead shows it again */
    report = judge();
    CHECK_U64(report.lacks, 0);
    good_machine();
    (void)judge();
    CHECK(!was_read(0x1a0));
    good_amd_machine(); /* which has no such MSR */
    cpuid_ext1_edx = BIT32(29);
    report = judge();
    CHECK(!was_read(0x1a0));
    check_only_lack(&report, "No-execute (NX)", "XD");

    good_machine();
    info.inputs = BOOT_INPUT_USB_OTHER;
    report = judge();
    CHECK_U64(report.lacks, 0);
    CHECK_U64(find(&report, "Input")->state, PREFLIGHT_WARN);
    CHECK(strstr(find(&report, "Input")->found, "USB") != NULL);
    info.inputs = 0;
    report = judge();
    CHECK_U64(find(&report, "Input")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "Input")->found, "nothing that Bulkhead knows");
    info.inputs = BOOT_INPUT_SERIAL | BOOT_INPUT_USB_OTHER;
    report = judge();
    CHECK_U64(find(&report, "Input")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "Input")->found, "serial port");
    CHECK_U64(find(&report, "Another USB keyboard")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "Another USB keyboard")->found, "silent after the start");
    info.inputs = BOOT_INPUT_USABLE;
    report = judge();
    CHECK_STR(find(&report, "Another USB keyboard")->what, "(no such line)");
    info.inputs = BOOT_INPUT_USB_OTHER; /* the line Input says it */
    report = judge();
    CHECK_STR(find(&report, "Another USB keyboard")->what, "(no such line)");

    good_machine();
    info.inputs = BOOT_INPUT_USB;
    report = judge();
    CHECK_U64(find(&report, "Input")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "Input")->found, "USB keyboard");
    info.inputs = BOOT_INPUT_USABLE;
    report = judge();
    CHECK_STR(find(&report, "Input")->found, "serial port, PS/2 keyboard, USB keyboard");

    good_machine();
    info.cpus_left_out = 32;
    report = judge();
    info.cpus_left_out = 0;
    CHECK_U64(find(&report, "CPUs")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "CPUs")->found, "4, and 32 more that are left out");

    good_machine();
    report = judge();
    CHECK_STR(find(&report, "Watchdog (WDAT)")->what, "(no such line)");
    info.watchdog.state = BOOT_WATCHDOG_RUNS;
    report = judge();
    CHECK_U64(find(&report, "Watchdog (WDAT)")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "Watchdog (WDAT)")->found, "runs, is stopped at the start");
    info.watchdog.state = BOOT_WATCHDOG_STUCK;
    report = judge();
    info.watchdog.state = BOOT_WATCHDOG_NONE;
    CHECK_U64(find(&report, "Watchdog (WDAT)")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "Watchdog (WDAT)")->found, "may run, and cannot be stopped");

    good_machine();
    report = judge();
    CHECK_STR(find(&report, "Management controller")->what, "(no such line)");
    info.management = true;
    report = judge();
    info.management = false;
    CHECK_U64(find(&report, "Management controller")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "Management controller")->found, "IPMI: its watchdog is left as it is");

    good_machine();
    report = judge();
    CHECK_STR(find(&report, "DMA")->found, "VT-d, 2 units");
    info.dma = (struct boot_dma){.kind = BOOT_IOMMU_AMD_VI, .unit_count = 1};
    report = judge();
    CHECK_U64(find(&report, "DMA")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "DMA")->found, "AMD-Vi, 1 unit");
    info.dma.partial = true;
    report = judge();
    CHECK_U64(find(&report, "DMA")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "DMA")->found, "AMD-Vi, 1 unit, a broken table");
    info.dma.unit_count = 0; /* a table without units */
    report = judge();
    CHECK_U64(find(&report, "DMA")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "DMA")->found, "no IOMMU");

    good_machine();
    info.config.avoid = BIT32(AVOID_VPID) | BIT32(AVOID_1G);
    report = judge();
    info.config.avoid = 0;
    CHECK_U64(find(&report, "Avoided")->state, PREFLIGHT_WARN);
    CHECK_STR(find(&report, "Avoided")->found, "vpid 1g");
    report = judge();
    CHECK_STR(find(&report, "Avoided")->what, "(no such line)");

    good_machine();
    info.config.console = CONSOLE_AUTO;
    report = judge();
    CHECK_U64(find(&report, "Serial line")->state, PREFLIGHT_OK);
    CHECK_STR(find(&report, "Serial line")->found, "none found");
    info.config.console = 0x2f8;
    report = judge();
    CHECK_U64(find(&report, "Serial line")->state, PREFLIGHT_WARN);
    CHECK(strstr(find(&report, "Serial line")->hint, "\"auto\"") != NULL);
    info.config.console = CONSOLE_NONE;
    CHECK_U64(judge().lacks, 0);

    good_machine();
    cpuid_ext7_edx = 0;
    report = judge();
    CHECK_U64(report.lacks, 0);
    CHECK_U64(find(&report, "Invariant TSC")->state, PREFLIGHT_WARN);

    good_machine();
    info.ranges[2].size = 31 * MIB;
    report = judge();
    check_only_lack(&report, "Memory", "add memory");
}

TEST(threads) {
    static const struct {
        uint32_t apic_ids[4];
        uint64_t web, db; /* CPUs */
        uint32_t shift;
        const char *found;
    } cases[] = {
        {{0, 1, 2, 3}, 3, 12, 1, "no core is shared by guests"},
        {{0, 1, 2, 3}, 1, 12, 1, "no core is shared by guests"},
        {{0, 1, 2, 3}, 5, 10, 1, "web and db share a core"},
        {{0, 1, 2, 3}, 7, 8, 1, "web and db share a core"},
        {{0, 2, 1, 3}, 3, 12, 1, "web and db share a core"},
        {{0, 2, 1, 3}, 3, 12, 0, ""},
        {{0, 4, 8, 9}, 4, 8, 2, "web and db share a core"},
        {{0, 4, 8, 12}, 4, 8, 2, "no core is shared by guests"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good_machine();
        thread_shift = cases[i].shift;
        info.config.guest_count = 2;
        strcpy(info.config.guests[0].name, "web");
        strcpy(info.config.guests[1].name, "db");
        info.config.guests[0].cpus.bits[0] = cases[i].web;
        info.config.guests[1].cpus.bits[0] = cases[i].db;
        for (unsigned c = 0; c < 4; c++) {
            info.apic_ids[c] = cases[i].apic_ids[c];
        }
        struct preflight_report report = judge();
        const struct preflight_line *line = find(&report, "Hyper-threads");
        CHECK_STR(line->found, cases[i].found);
        CHECK_U64(line->state, strstr(line->found, "web") != NULL ? PREFLIGHT_WARN : PREFLIGHT_OK);
        CHECK_U64(report.lacks, 0);
    }
}

TEST(speculation) {
    good_machine();
    struct preflight_report report = judge();
    CHECK_STR(find(&report, "Speculation")->found, "off by the config");
    info.config.mitigate = true;
    cpuid_7_edx = BIT32(10) | BITS(26, 28);
    report = judge();
    CHECK_STR(find(&report, "Speculation")->found, "on: L1D VERW IBPB, lacks: IBRS");
    CHECK_U64(find(&report, "Speculation")->state, PREFLIGHT_WARN);
    CHECK_U64(report.lacks, 0);
    CHECK_U64(info.mitigations,
              MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_SMALL_PAGES);
    CHECK_STR(find(&report, "Other flaws")->what, "(no such line)");
}

/* What boot/ did about it, in words. */
TEST(microcode) {
    static const struct {
        struct boot_microcode microcode;
        enum preflight_state state;
        const char *found;
    } cases[] = {
        {{.before = 0x20, .revision = 0x20}, PREFLIGHT_OK, "0x20, nothing newer on the stick"},
        {{.update = HPA(MIB), .offered = 0x20, .before = 0x20, .revision = 0x20},
         PREFLIGHT_OK,
         "0x20, nothing newer on the stick"},
        {{.update = HPA(MIB), .offered = 0x28, .before = 0x20, .revision = 0x28},
         PREFLIGHT_OK,
         "0x28 from the stick, was 0x20"},
        {{.update = HPA(MIB), .offered = 0x28, .before = 0x20, .revision = 0x20},
         PREFLIGHT_WARN,
         "0x20, did not take 0x28"},
        {{.offered = 0x28, .before = 0x20, .revision = 0x20},
         PREFLIGHT_OK,
         "0x20, 0x28 is left to the hypervisor below"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good_machine();
        info.microcode = cases[i].microcode;
        struct preflight_report report = judge();
        CHECK_STR(find(&report, "Microcode")->found, cases[i].found);
        CHECK_U64(find(&report, "Microcode")->state, cases[i].state);
        CHECK_U64(report.lacks, 0);
    }
    info.microcode = (struct boot_microcode){.offered = 0};
}

/* Flaws of a model, which its CPUID signature names. */
TEST(flaws_of_models) {
    good_machine();
    struct preflight_report report = judge();
    CHECK_STR(find(&report, "Guests' pages")->what, "(no such line)"); /* nothing is wanted */
    info.config.mitigate = true;
    report = judge();
    CHECK_STR(find(&report, "Guests' pages")->found, "4 KiB, against iTLB multihit");
    CHECK_U64(find(&report, "Guests' pages")->state, PREFLIGHT_OK);
    cpuid_1_eax = 0x506c9; /* Goldmont */
    report = judge();
    CHECK_STR(find(&report, "Guests' pages")->what, "(no such line)");
    CHECK_STR(find(&report, "Other flaws")->found, "open: RFDS");
    CHECK_U64(find(&report, "Other flaws")->state, PREFLIGHT_WARN);
    CHECK(strstr(find(&report, "Other flaws")->hint, "microcode") != NULL);
    CHECK_U64(report.lacks, 0);
}

TEST_MAIN(T(good), T(speculation), T(flaws_of_models), T(microcode), T(feature_control), T(no_vmx),
          T(no_vmx_nested), T(secure_boot), T(screen), T(each_feature), T(msr_gates), T(amd_good),
          T(amd_switched_off), T(amd_lacks), T(common), T(threads))
