/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what Bulkhead needs of a machine. Must not touch hardware. Sources: Intel SDM, "VMX
 * Capability Reporting Facility" and "Architectural MSRs"; AMD APM, "Secure Virtual Machine".
 */
#include "config/preflight.h"

#include "config/flaws.h"
#include "config/serial.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"

#define CPUID_1_ECX_VMX        BIT32(5)
#define CPUID_1_ECX_HYPERVISOR BIT32(31)
#define CPUID_EXT1_ECX_SVM     BIT32(2)
#define CPUID_EXT1_EDX_NX      BIT32(20)
#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMX    BIT(2) /* outside SMX */
#define MSR_VMX_PROCESSOR      0x482u
#define MSR_VMX_PROCESSOR_2    0x48bu
#define MSR_VMX_EPT_VPID       0x48cu
#define MSR_VM_CR              0xc0010114u
#define VM_CR_LOCKED           BIT(3)
#define VM_CR_SVM_DISABLED     BIT(4)
#define SVM_EDX_LOCK           BIT(2) /* without it VM_CR_SVM_DISABLED cannot be taken back */
#define SVM_ASIDS_LEAST        2      /* 0 is the host's */
/* VMX capability MSRs of control words have the allowed-1 settings in their upper half. */
#define ALLOWED_1(n)           BIT(32 + (n))
#define SECONDARY_CONTROLS     ALLOWED_1(31)
#define EPT                    ALLOWED_1(1)
#define VPID                   ALLOWED_1(5)
#define MEMORY_LEAST           (32 * MIB) /* less than this runs no guest at all */

#define ABSENT "not in this CPU, or hidden by the firmware"
#define HINT_ENABLE                                                                                \
    "Enable Intel Virtualization Technology (VT-x, VMX) in the firmware setup, usually under "     \
    "CPU or Advanced, then power off and on." MSG(2120)
#define HINT_ENABLE_SVM                                                                            \
    "Enable SVM Mode in the firmware setup, usually under CPU Configuration, Advanced or "         \
    "Overclocking, then power off and on." MSG(2121)
#define HINT_TOO_OLD                                                                               \
    "This CPU is too old: Bulkhead needs one of Intel's from 2010 (Westmere) or later, or AMD's "  \
    "from 2007 (Barcelona) or later." MSG(2122)
#define HINT_SLOWER                                                                                \
    "Recommended: without it each exit to Bulkhead empties the TLB and guests run slower." MSG(2123)
#define HINT_SLOWER_SVM                                                                            \
    "Newer CPUs have it: without it some exits to Bulkhead take "                                  \
    "longer. Nothing is to be set." MSG(2124)
#define HINT_FLAWS                                                                                 \
    "Guests may learn of each other from what the CPU leaks: update the firmware, which brings "   \
    "microcode, or put it into bulkhead/microcode. What an old "                                   \
    "CPU never had stays missing." MSG(2125)
#define HINT_MICROCODE                                                                             \
    "The CPU did not accept the update in bulkhead/microcode: "                                    \
    "copy the file anew from its package." MSG(2126)
#define HINT_OPEN                                                                                  \
    "Nothing is done against these (docs/cpus.md says what each is): newer microcode may close "   \
    "some, from the firmware or from bulkhead/microcode on the stick." MSG(2127)
#define HINT_BUS_LOCKS                                                                             \
    "Newer CPUs have it: without it a guest can slow all others by locked accesses across cache "  \
    "lines. Nothing is to be set." MSG(2128)
#define HINT_UNSIGNED                                                                              \
    "Secure Boot is on, and this application has no signed list of the files that it may read: "   \
    "no file was read. Make one with \"make sign\" (docs/secure-boot.md), or switch Secure Boot "  \
    "off in the firmware setup." MSG(2129)
#define HINT_UNLOCKED                                                                              \
    "Only the files that were signed are used, but anybody can put another application on the "    \
    "stick: enroll your key and switch Secure Boot on in the firmware setup." MSG(2130)
#define HINT_NESTED                                                                                \
    "Another hypervisor runs this machine and does not pass this on: turn on nested "              \
    "virtualization there, or start Bulkhead on the bare machine." MSG(2131)

void preflight_add(struct preflight_report *report, const char *what, enum preflight_state state,
                   const char *hint, const char *found, ...) {
    ASSERT(report->count < PREFLIGHT_MAX_LINES);
    struct preflight_line *line = &report->lines[report->count++];
    *line = (struct preflight_line){what, "", state, state == PREFLIGHT_OK ? NULL : hint};
    report->lacks += state == PREFLIGHT_LACK;
    FMT_ARGUMENTS(line->found, found);
}

/* Features that are one or several bits of a word, all of them needed. */
enum word { PROCESSOR, PROCESSOR_2, EPT_VPID, SVM_EDX, EXT1_EDX, EXT7_EDX, WORDS };

struct feature {
    const char *what;
    enum word word;
    uint64_t mask;
    enum preflight_state without;
    const char *hint;
};

/* Those of VMX and SVM words are shown only where there is VMX, SVM: one cause, one lack. */
static const struct feature features[] = {
    {"Secondary controls", PROCESSOR, SECONDARY_CONTROLS, PREFLIGHT_LACK, HINT_TOO_OLD},
    {"MSR bitmaps", PROCESSOR, ALLOWED_1(28), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"I/O bitmaps", PROCESSOR, ALLOWED_1(25), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT (nested paging)", PROCESSOR_2, EPT, PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 4 levels, write-back", EPT_VPID, BIT(6) | BIT(14), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 2 MiB pages", EPT_VPID, BIT(16), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"EPT 1 GiB pages", EPT_VPID, BIT(17), PREFLIGHT_WARN,
     "Guests use 2 MiB pages instead: a little slower with much memory." MSG(2132)},
    {"INVEPT", EPT_VPID, BIT(20) | BIT(26), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"Unrestricted guest", PROCESSOR_2, ALLOWED_1(7), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"VPID", PROCESSOR_2, VPID, PREFLIGHT_WARN, HINT_SLOWER},
    {"Bus locks slowed down", PROCESSOR_2, ALLOWED_1(30), PREFLIGHT_WARN, HINT_BUS_LOCKS},
    {"Nested paging (NPT)", SVM_EDX, BIT(0), PREFLIGHT_LACK, HINT_TOO_OLD},
    {"Flush by ASID", SVM_EDX, BIT(6), PREFLIGHT_WARN, HINT_SLOWER_SVM},
    {"Next-RIP save", SVM_EDX, BIT(3), PREFLIGHT_WARN, HINT_SLOWER_SVM},
    {"VMCB clean bits", SVM_EDX, BIT(5), PREFLIGHT_WARN, HINT_SLOWER_SVM},
    {"Decode assists", SVM_EDX, BIT(7), PREFLIGHT_WARN, HINT_SLOWER_SVM},
    {"Bus locks slowed down", SVM_EDX, BIT(29), PREFLIGHT_WARN, HINT_BUS_LOCKS},
    {"No-execute (NX)", EXT1_EDX, CPUID_EXT1_EDX_NX, PREFLIGHT_LACK,
     "Enable Execute Disable Bit (XD, NX) in the firmware setup, "
     "usually under CPU or Security." MSG(2133)},
    {"Invariant TSC", EXT7_EDX, BIT(8), PREFLIGHT_WARN,
     "The guests' clocks may run unevenly while the CPU saves "
     "power; there is nothing to set." MSG(2134)},
};

static bool is_asked(enum word word, bool vmx, bool svm) {
    switch (word) {
    case PROCESSOR:
    case PROCESSOR_2:
    case EPT_VPID:
        return vmx;
    case SVM_EDX:
        return svm;
    case EXT1_EDX:
    case EXT7_EDX:
    case WORDS:
        break;
    }
    return true;
}

static void add_features(const uint64_t words[WORDS], bool vmx, bool svm, const char *nested,
                         struct preflight_report *report) {
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        const struct feature *f = &features[i];
        bool there = (words[f->word] & f->mask) == f->mask;
        const char *hint = f->without == PREFLIGHT_LACK && nested != NULL ? nested : f->hint;
        bool asked = is_asked(f->word, vmx, svm);

        if (asked && there) {
            preflight_add(report, f->what, PREFLIGHT_OK, hint, "yes");
        } else if (asked) {
            preflight_add(report, f->what, f->without, hint, "no");
        }
    }
}

/* What the firmware has made of the CPU's virtualization. */
static void add_switch(struct preflight_report *report, const char *what, bool off,
                       const char *good, const char *hint) {
    enum preflight_state state = off ? PREFLIGHT_LACK : PREFLIGHT_OK;
    preflight_add(report, what, state, hint, "present, %s by the firmware",
                  off ? "locked off" : good);
}

static void add_vmx(const struct preflight_cpu *cpu, bool vmx, const char *nested,
                    uint64_t words[WORDS], struct preflight_report *report) {
    const char *hint = nested != NULL ? nested : HINT_ENABLE;
    if (!vmx) { /* the MSRs do not exist */
        preflight_add(report, "VT-x (VMX)", PREFLIGHT_LACK, hint, ABSENT);
        return;
    }
    uint64_t control = cpu->rdmsr(X86_MSR_FEATURE_CONTROL);
    bool locked = (control & FEATURE_CONTROL_LOCKED) != 0;
    bool off = locked && (control & FEATURE_CONTROL_VMX) == 0;
    add_switch(report, "VT-x (VMX)", off, locked ? "enabled" : "left open", hint);
    words[PROCESSOR] = cpu->rdmsr(MSR_VMX_PROCESSOR);
    if ((words[PROCESSOR] & SECONDARY_CONTROLS) != 0) {
        words[PROCESSOR_2] = cpu->rdmsr(MSR_VMX_PROCESSOR_2);
    }
    if ((words[PROCESSOR_2] & (EPT | VPID)) != 0) {
        words[EPT_VPID] = cpu->rdmsr(MSR_VMX_EPT_VPID);
    }
}

/* Disabled without a lock is fine: Bulkhead takes it back. */
static void add_svm(const struct preflight_cpu *cpu, bool svm, const char *nested,
                    uint64_t words[WORDS], struct preflight_report *report) {
    const char *hint = nested != NULL ? nested : HINT_ENABLE_SVM;
    if (!svm) { /* nor do MSR and leaf exist */
        preflight_add(report, "AMD-V (SVM)", PREFLIGHT_LACK, hint, ABSENT);
        return;
    }
    uint32_t leaf[4];
    uint64_t control = cpu->rdmsr(MSR_VM_CR);
    cpu->cpuid(0x8000000a, 0, leaf);
    words[SVM_EDX] = leaf[3];
    bool disabled = (control & VM_CR_SVM_DISABLED) != 0;
    bool off = disabled && ((control & VM_CR_LOCKED) != 0 || (leaf[3] & SVM_EDX_LOCK) == 0);
    add_switch(report, "AMD-V (SVM)", off, disabled ? "left open" : "enabled", hint);
    enum preflight_state enough = leaf[1] >= SVM_ASIDS_LEAST ? PREFLIGHT_OK : PREFLIGHT_LACK;
    preflight_add(report, "ASIDs", enough, nested != NULL ? nested : HINT_TOO_OLD, "%u", leaf[1]);
}

/* What can be typed on after the start, in out. */
static void input_text(uint32_t inputs, char *out, size_t size) {
    static const struct {
        uint32_t input;
        const char *name;
    } names[] = {
        {BOOT_INPUT_SERIAL, "serial port"},
        {BOOT_INPUT_PS2, "PS/2 keyboard"},
        {BOOT_INPUT_USB, "USB keyboard"},
    };
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if ((inputs & names[i].input) != 0 && n < size) {
            n += fmt_print(out + n, size - n, "%s%s", n == 0 ? "" : ", ", names[i].name);
        }
    }
    if (n == 0) {
        bool silent = (inputs & BOOT_INPUT_USB_OTHER) != 0;
        (void)fmt_print(out, size, "%s",
                        silent ? "USB keyboard, silent after the start"
                               : "nothing that Bulkhead knows");
    }
}

static void add_serial(const struct boot_info *info, struct preflight_report *report) {
    uint32_t console = info->config.console;
    bool silent = info->serial.base == 0 && console != CONSOLE_NONE && console != CONSOLE_AUTO;
    char text[SERIAL_TEXT_SIZE];

    preflight_add(
        report, "Serial line", silent ? PREFLIGHT_WARN : PREFLIGHT_OK,
        "Log and consoles have no serial line: name another port, or write console = \"auto\" "
        "to have one looked for." MSG(2104),
        "%s", serial_describe(info, text));
}

/* A firmware's word for what is there may be wrong: so this is a warning and no more. */
static void add_input(const struct boot_info *info, struct preflight_report *report) {
    bool usable = (info->inputs & BOOT_INPUT_USABLE) != 0;
    char text[PREFLIGHT_FOUND_SIZE];

    add_serial(info, report);
    input_text(info->inputs, text, sizeof(text));
    preflight_add(
        report, "Input", usable ? PREFLIGHT_OK : PREFLIGHT_WARN,
        "After the start nobody can type, neither to Bulkhead nor to a guest. Plug in a USB "
        "keyboard (Bulkhead drives xHCI controllers, which all PCs have since about 2015) or "
        "a PS/2 keyboard, or connect a serial line and name its port (console = ...)." MSG(2105),
        "%s", text);
    if (usable && (info->inputs & BOOT_INPUT_USB_OTHER) != 0) {
        preflight_add(
            report, "Another USB keyboard", PREFLIGHT_WARN,
            "It is behind a controller that Bulkhead does not drive (EHCI, UHCI or OHCI). "
            "Put it into a socket of an xHCI controller, any of USB 3." MSG(2114),
            "silent after the start");
    }
}

/* One that is left running resets the machine: nobody feeds it. */
static void add_watchdog(const struct boot_info *info, struct preflight_report *report) {
    static const char *const words[] = {
        [BOOT_WATCHDOG_RESTS] = "does not run",
        [BOOT_WATCHDOG_RUNS] = "runs, is stopped at the start",
        [BOOT_WATCHDOG_UNKNOWN] = "is stopped at the start",
        [BOOT_WATCHDOG_STUCK] = "may run, and cannot be stopped",
    };
    enum boot_watchdog_state state = info->watchdog.state;
    bool stuck = state == BOOT_WATCHDOG_STUCK;

    if (state != BOOT_WATCHDOG_NONE) {
        preflight_add(report, "Watchdog (WDAT)", stuck ? PREFLIGHT_WARN : PREFLIGHT_OK,
                      "It may reset the machine minutes after the start: switch the watchdog off "
                      "in the firmware's setup." MSG(2106),
                      "%s", words[state]);
    }
    if (info->management) { /* nobody has asked it: most never arm theirs */
        preflight_add(report, "Management controller", PREFLIGHT_OK, NULL,
                      "IPMI: its watchdog is left as it is");
    }
}

/* What holds devices back from memory that is not theirs. */
static void add_dma(const struct boot_info *info, struct preflight_report *report) {
    static const char *const names[] = {
        [BOOT_IOMMU_NONE] = "", [BOOT_IOMMU_VTD] = "VT-d", [BOOT_IOMMU_AMD_VI] = "AMD-Vi"};
    const struct boot_dma *dma = &info->dma;
    const char *plural = dma->unit_count == 1 ? "" : "s";

    if (dma->unit_count == 0) {
        preflight_add(
            report, "DMA", PREFLIGHT_WARN,
            "Devices are switched off from memory one by one, and a broken one could still "
            "write anywhere; no guest can be given one. Switch on VT-d or AMD-Vi (IOMMU, "
            "DMA protection) in the firmware's setup, if it has that." MSG(2107),
            "no IOMMU");
    } else if (dma->partial) {
        preflight_add(
            report, "DMA", PREFLIGHT_WARN,
            "The firmware's table of IOMMUs is broken in part: devices behind one that is "
            "not found are not held back. A newer firmware may help." MSG(2108),
            "%s, %u unit%s, a broken table", names[dma->kind], dma->unit_count, plural);
    } else {
        preflight_add(report, "DMA", PREFLIGHT_OK, NULL, "%s, %u unit%s", names[dma->kind],
                      dma->unit_count, plural);
    }
}

/* Where the log and the guests can be read after the start. */
static void add_screen(const struct boot_info *info, struct preflight_report *report) {
    const struct boot_framebuffer *first = &info->screens[0];

    if (info->screen_count > 1) {
        preflight_add(report, "Screen", PREFLIGHT_OK, NULL, "%ux%u and %u more", first->width,
                      first->height, info->screen_count - 1);
    } else if (info->screen_count == 1) {
        preflight_add(report, "Screen", PREFLIGHT_OK, NULL, "%ux%u", first->width, first->height);
    } else if ((info->inputs & BOOT_INPUT_SERIAL) != 0) {
        preflight_add(report, "Screen", PREFLIGHT_OK, NULL,
                      "none after the start, the serial port only");
    } else {
        preflight_add(
            report, "Screen", PREFLIGHT_WARN,
            "After the start nobody can see anything: let the firmware start the graphics card "
            "by UEFI (in its setup switch CSM off, choose the card with the screen), or "
            "connect a serial line and name its port (console = ...)." MSG(2109),
            "none after the start");
    }
}

/* Intel: the firmware's switch hides NX from CPUID, and Bulkhead takes that back. */
static bool nx_is_hidden(const struct preflight_cpu *cpu, bool amd, uint32_t ext1_edx) {
    return !amd && (ext1_edx & CPUID_EXT1_EDX_NX) == 0 &&
           (cpu->rdmsr(X86_MSR_MISC_ENABLE) & X86_MISC_ENABLE_XD_DISABLE) != 0;
}

/* What keeps altered files from being started. */
static void add_secure_boot(const struct boot_info *info, struct preflight_report *report) {
    static const char *const names[] = {
        [BOOT_SECURE_OFF] = "off",
        [BOOT_SECURE_SETUP] = "off, in setup mode",
        [BOOT_SECURE_ON] = "on",
    };
    const char *name = names[info->secure_boot];
    bool on = info->secure_boot == BOOT_SECURE_ON;
    enum preflight_state state = on ? PREFLIGHT_OK : PREFLIGHT_WARN;

    if (info->sealed) {
        preflight_add(report, "Secure Boot", state, HINT_UNLOCKED,
                      "%s, %u files on the signed list", name, info->sealed_files);
    } else if (on) {
        preflight_add(report, "Secure Boot", PREFLIGHT_LACK, HINT_UNSIGNED, "on, no signed list");
    } else {
        preflight_add(report, "Secure Boot", PREFLIGHT_OK, NULL, "%s", name);
    }
}

uint64_t preflight_memory(const struct boot_info *info, enum mem_kind kind) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < info->range_count; i++) {
        bytes += info->ranges[i].kind == kind ? info->ranges[i].size : 0;
    }
    return bytes;
}

static void add_machine(const struct boot_info *info, struct preflight_report *report) {
    char total_text[24], free_text[24];
    uint64_t free = preflight_memory(info, MEM_FREE);
    uint64_t total = free + preflight_memory(info, MEM_BULKHEAD);

    add_secure_boot(info, report);
    preflight_add(report, "Memory", free >= MEMORY_LEAST ? PREFLIGHT_OK : PREFLIGHT_LACK,
                  "Too little memory is free for any guest: add memory." MSG(2110),
                  "%s, %s free for guests", fmt_size(total_text, ALIGN_DOWN(total, MIB)),
                  fmt_size(free_text, ALIGN_DOWN(free, MIB)));
    if (info->cpus_left_out != 0) {
        preflight_add(report, "CPUs", PREFLIGHT_WARN,
                      "Those that are left out stay as the firmware has parked "
                      "them: nothing runs there." MSG(2111),
                      "%u, and %u more that are left out", info->cpu_count, info->cpus_left_out);
    } else {
        preflight_add(report, "CPUs", PREFLIGHT_OK, NULL, "%u", info->cpu_count);
    }
}

/* The guest that has CPU i, or NULL. */
static const struct config_guest *owner(const struct config *config, unsigned i) {
    for (uint32_t g = 0; g < config->guest_count; g++) {
        if (cpu_set_has(&config->guests[g].cpus, i)) {
            return &config->guests[g];
        }
    }
    return NULL;
}

/* Two guests that have threads of one core; false if there are none. */
static bool share_a_core(const struct boot_info *info, uint32_t shift,
                         const struct config_guest *guests[2]) {
    for (uint32_t a = 0; a < info->cpu_count; a++) {
        guests[0] = owner(&info->config, a);
        for (uint32_t b = 0; b < info->cpu_count && guests[0] != NULL; b++) {
            bool same_core = (info->apic_ids[a] ^ info->apic_ids[b]) >> shift == 0;
            guests[1] = owner(&info->config, b);
            if (same_core && guests[1] != NULL && guests[1] != guests[0]) {
                return true;
            }
        }
    }
    return false;
}

/* Hyper-threads of a core have neighbouring APIC IDs. Nothing is said of a CPU without them. */
static void add_threads(const struct boot_info *info, const struct preflight_cpu *cpu,
                        struct preflight_report *report) {
    const struct config_guest *guests[2];
    uint32_t leaf[4];
    cpu->cpuid(0xb, 0, leaf); /* subleaf 0: the threads of a core */
    uint32_t shift = leaf[0] & 31;

    if (shift == 0) {
        return;
    }
    if (!share_a_core(info, shift, guests)) {
        preflight_add(report, "Hyper-threads", PREFLIGHT_OK, NULL, "no core is shared by guests");
        return;
    }
    preflight_add(
        report, "Hyper-threads", PREFLIGHT_WARN,
        "One can learn of the other by timing, on some CPUs its data: give a core's threads "
        "to one guest, or switch Hyper-Threading (SMT) off in the firmware setup." MSG(2112),
        "%s and %s share a core", guests[0]->name, guests[1]->name);
}

static void add_microcode(const struct boot_info *info, struct preflight_report *report) {
    const struct boot_microcode *m = &info->microcode;
    if (m->offered > m->revision && m->update.v != 0) {
        preflight_add(report, "Microcode", PREFLIGHT_WARN, HINT_MICROCODE, "%#x, did not take %#x",
                      m->revision, m->offered);
    } else if (m->offered > m->revision) {
        preflight_add(report, "Microcode", PREFLIGHT_OK, NULL,
                      "%#x, %#x is left to the hypervisor below", m->revision, m->offered);
    } else if (m->revision != m->before) {
        preflight_add(report, "Microcode", PREFLIGHT_OK, NULL, "%#x from the stick, was %#x",
                      m->revision, m->before);
    } else {
        preflight_add(report, "Microcode", PREFLIGHT_OK, NULL, "%#x, nothing newer on the stick",
                      m->revision);
    }
}

static void add_flaws(const struct boot_info *info, bool safe, struct preflight_report *report) {
    preflight_add(report, "Speculation", safe ? PREFLIGHT_OK : PREFLIGHT_WARN, HINT_FLAWS, "%s",
                  info->speculation);
    if (info->open_flaws[0] != '\0') {
        preflight_add(report, "Other flaws", PREFLIGHT_WARN, HINT_OPEN, "%s", info->open_flaws);
    }
    if ((info->mitigations & MITIGATE_SMALL_PAGES) != 0) {
        preflight_add(report, "Guests' pages", PREFLIGHT_OK, NULL, "4 KiB, against iTLB multihit");
    }
}

/* Said only where something is avoided. */
static void add_avoided(const struct boot_info *info, struct preflight_report *report) {
    char names[CONFIG_AVOID_SIZE];

    if (info->config.avoid == 0) {
        return;
    }
    preflight_add(
        report, "Avoided", PREFLIGHT_WARN,
        "The config switches these off (avoid = ...): guests are slower without." MSG(2113), "%s",
        config_avoid_format(info->config.avoid, names, sizeof(names)));
}

static void add_name(const struct preflight_cpu *cpu, const char *vendor,
                     struct preflight_report *report) {
    uint32_t brand[13] = {0};
    const char *name = (const char *)brand;

    for (uint32_t i = 0; i < 3; i++) {
        cpu->cpuid(0x80000002 + i, 0, &brand[4 * i]);
    }
    while (*name == ' ') {
        name++;
    }
    preflight_add(report, "CPU", PREFLIGHT_OK, NULL, "%s", *name != '\0' ? name : vendor);
    preflight_add(report, "Vendor", PREFLIGHT_OK, NULL, "%s", vendor);
}

/* A 64-bit CPU, and no other gets here, has all the leaves that are asked for. */
void preflight_run(struct boot_info *info, const struct preflight_cpu *cpu,
                   struct preflight_report *report) {
    uint32_t id[4], leaf1[4], ext1[4], ext7[4];
    *report = (struct preflight_report){0};
    cpu->cpuid(0, 0, id);
    cpu->cpuid(1, 0, leaf1);
    cpu->cpuid(0x80000001, 0, ext1);
    cpu->cpuid(0x80000007, 0, ext7);
    const uint32_t vendor_words[] = {id[1], id[3], id[2], 0}; /* twelve characters */
    const char *vendor = (const char *)vendor_words;
    add_name(cpu, vendor, report);
    uint64_t words[WORDS] = {[EXT1_EDX] = ext1[3], [EXT7_EDX] = ext7[3]};
    const char *nested = (leaf1[2] & CPUID_1_ECX_HYPERVISOR) != 0 ? HINT_NESTED : NULL;
    bool amd = str_equal(vendor, "AuthenticAMD") || str_equal(vendor, "HygonGenuine");
    bool vmx = !amd && (leaf1[2] & CPUID_1_ECX_VMX) != 0;
    bool svm = amd && (ext1[2] & CPUID_EXT1_ECX_SVM) != 0;
    if (nx_is_hidden(cpu, amd, ext1[3])) {
        words[EXT1_EDX] |= CPUID_EXT1_EDX_NX;
    }
    if (amd) {
        add_svm(cpu, svm, nested, words, report);
    } else {
        add_vmx(cpu, vmx, nested, words, report);
    }
    add_features(words, vmx, svm, nested, report);
    info->microcode.signature = leaf1[0];
    bool safe = flaws_decide(info, cpu, amd);
    add_microcode(info, report);
    add_flaws(info, safe, report);
    add_avoided(info, report);
    add_machine(info, report);
    add_screen(info, report);
    add_input(info, report);
    add_watchdog(info, report);
    add_dma(info, report);
    if (id[0] >= 0xb) {
        add_threads(info, cpu, report);
    }
}
