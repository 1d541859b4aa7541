/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * docs/guest-view.md from the policy tables, for `make docs` and for the test that compares. It
 * wants a machine, for the tables name functions that do; none of them runs.
 */
#ifndef TESTS_UNIT_GUEST_VIEW_H
#define TESTS_UNIT_GUEST_VIEW_H

#include "fake_machine.h"
#include "hv/exit/policy.h"

static FILE *view; /* where it goes */

/* From bit 0 on, * for one that no guest sees. */
static const struct {
    uint32_t leaf;
    unsigned reg;
    const char *words, *names;
} features[] = {
    {0x01, 2, "1 ECX",
     "SSE3 PCLMULQDQ * * * * * * * SSSE3 * * FMA CMPXCHG16B * * * PCID * SSE4.1 SSE4.2 x2APIC MOVBE "
     "POPCNT TSC-deadline AES XSAVE * AVX F16C RDRAND hypervisor"},
    {0x01, 3, "1 EDX",
     "FPU VME DE PSE TSC MSR PAE * CX8 APIC * SEP MTRR PGE * CMOV PAT PSE-36 * CLFSH * * * MMX FXSR "
     "SSE SSE2 SS * * * *"},
    {0x07, 1, "7 EBX",
     "FSGSBASE TSC_ADJUST * BMI1 * AVX2 FDP_EXCPTN_ONLY SMEP BMI2 ERMS INVPCID * * NO_FCS_FDS * * AVX512F AVX512DQ RDSEED "
     "ADX SMAP AVX512_IFMA * CLFLUSHOPT CLWB * * * AVX512CD SHA AVX512BW AVX512VL"},
    {0x07, 2, "7 ECX",
     "* AVX512_VBMI UMIP PKU * * AVX512_VBMI2 * GFNI VAES VPCLMULQDQ AVX512_VNNI AVX512_BITALG * "
     "AVX512_VPOPCNTDQ * * * * * * * RDPID * * * * * * * * *"},
    {0x07, 3, "7 EDX",
     "* * * * FSRM * * * * * MD_CLEAR * * * * HYBRID * * * * * * * * * * IBRS_IBPB STIBP L1D_FLUSH "
     "ARCH_CAPABILITIES * SSBD"},
    {0x80000001, 2, "80000001 ECX",
     "LAHF CmpLegacy * * * LZCNT * * PREFETCHW * * * * * * * * * * * * * TopologyExtensions * * * * "
     "* * * * *"},
    {0x80000001, 3, "80000001 EDX",
     "* * * * * * * * * * * SYSCALL * * * * * * * * NX * * * * * 1-GiB-pages RDTSCP * LM * *"},
    {0x80000008, 1, "80000008 EBX (AMD)",
     "* * RstrFpErrPtrs * * * * * * * * * IBPB * IBRS STIBP IBRS-always STIBP-always IBRS-preferred "
     "IBRS-same-mode * * * * SSBD * SSB_NO * PSFD BTC_NO IBPB_RET *"},
    {0x80000021, 0, "80000021 EAX (AMD)",
     "NoNestedDataBp FsGsBaseNonSerializing LFENCE-serializing * * VERW_CLEAR NullSelClearsBase * * NoSmmCtl "
     "FSRS FSRC * * * * * * * FSR-SCASB * * * * * * * SBPB IBPB_BRTYPE SRSO_NO SRSO_USER_KERNEL_NO *"},
    {0x80000021, 2, "80000021 ECX (AMD)",
     "* TSA_SQ_NO TSA_L1_NO * * * * * * * * * * * * * * * * * * * * * * * * * * * * *"},
};

/* Aborts if the names are not those of the bits in the policy. */
static void print_features(void) {
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const struct cpuid_policy *p = cpuid_policies;
        while (p->leaf != features[i].leaf) {
            p++;
        }
        uint32_t bits = p->pass[features[i].reg] | p->set[features[i].reg], named = 0;
        const char *name = features[i].names;
        fprintf(view, "- Leaf %s:", features[i].words);
        for (unsigned bit = 0; bit < 32; bit++) {
            size_t n = strcspn(name, " ");
            if (*name != '*') {
                named |= BIT32(bit);
                fprintf(view, " %.*s", (int)n, name);
            }
            name += n + (name[n] == ' ');
        }
        fprintf(view, "\n");
        if (named != bits) {
            fprintf(stderr, "guest_view.h: leaf %s: bits %08x in the policy, %08x named\n",
                    features[i].words, bits, named);
            exit(1);
        }
    }
}

static const char *section;

/* A line's first word, behind time and CPU, is its section. */
static void print_line(UNUSED enum log_level level, const char *text, UNUSED size_t n) {
    text = strstr(text, ": ") + 2;
    static const struct {
        const char *word, *text;
    } sections[] = {
        {"cpuid",
         "## CPUID\n\nThe guest's word is the host CPU's where `pass` has a bit, 1 where `set` has "
         "one, else 0: EAX EBX ECX EDX of each. `.2` is a subleaf (`*`: the leaf has none), `+2` "
         "that two more follow. Topology and frequencies are those of the guest's own machine. "
         "Any other leaf is zero."},
        {"hidden",
         "## What a guest does not see\n\nFeatures that the CPU may have, by the bits of a register or "
         "the whole leaf, and why no guest has them."},
        {"msr",
         "## MSRs\n\nOne that passes is the guest's own in the CPU; emulated means by the "
         "hypervisor; refused, and any other register: #GP. IA32_SPEC_CTRL is emulated where the "
         "hypervisor keeps a bit of it set."},
        {"port", "## Ports\n\nNone passes. Any other port reads as all ones and forgets writes."},
        {"page",
         "## Device pages\n\nBeside RAM and the local APIC's page, which is at FEE00000h until IA32_APIC_BASE moves it (over RAM it does not show). Any other address reads as all ones and forgets writes."},
        {"00:",
         "## PCI\n\nOne bus, by configuration mechanism 1 and as memory (ECAM). Functions can be moved within ports 1000h-1FFFh and pages D0000000h-E00FFFFFh. They interrupt by MSI-X, or by INTA: pin 16 + slot % 4 of the I/O APIC, interrupt 10 + slot % 2 of the 8259s."},
    };
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        if (strncmp(text, sections[i].word, strlen(sections[i].word)) == 0 &&
            section != sections[i].word) {
            fprintf(view, "%s\n%s\n\n", section != NULL ? "```\n" : "", sections[i].text);
            if (section == NULL) {
                fputs("Feature bits, where the CPU has them:\n\n", view);
                print_features();
                fputs("\n", view);
            }
            fputs("```\n", view);
            section = sections[i].word;
        }
    }
    fputs(text, view);
}

static uint64_t no_time(void) {
    return 0;
}

/* The functions of a platform's PCI bus, as a guest finds them. */
static void guest_view_pci(void) {
    static struct exchange_vm vm;
    static struct hardware hardware = {.vm = &vm};
    static const struct dev_clock clock = {.host_tsc = plat_tsc, .tsc_hz = 1000000000};
    struct platform *platform = &hardware.platform;
    struct dev_env outside = hardware_outside;
    static const char *const names[PCI_SLOTS] = {
        [0] = "host bridge", [1] = "virtio entropy source", [19] = "virtio console"};

    outside.clock = &clock;
    outside.counts = &vm.counts;
    static const struct abi_devices none;
    platform_init(platform, &outside, &none);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        uint32_t at = slot << 11, id = pci_config_read(&platform->pci, at);
        if (id != UINT32_MAX) {
            log_print(LOG_DEBUG, NULL, "00:%02x.0 %04x:%04x class %06x  %s", slot, id & 0xffff,
                      id >> 16, pci_config_read(&platform->pci, at + PCI_CLASS) >> 8, names[slot]);
        }
    }
}

/* What the core does not know: it is in the compartments. */
static void guest_view_places(void) {
    static const char *const spaces[BUS_SPACES] = {[BUS_PORT] = "port", [BUS_MEMORY] = "page"};

    for (unsigned i = 0; i < platform_place_count; i++) {
        const struct platform_place *at = &platform_places[i];
        log_print(LOG_DEBUG, NULL, "%s %llx-%llx  %s", spaces[at->space], (ull)at->base,
                  (ull)(at->base + at->size - 1), at->name);
    }
}

static inline void guest_view_print(FILE *out) {
    static const struct log_hooks hooks = {no_time, plat_cpu, print_line, NULL};
    view = out;
    section = NULL;
    fputs(
        "# What a guest can see\n\n<!-- Printed from the policy tables by `make docs`; do not edit. "
        "-->\n\nThe same for every guest; `log = \"debug\"` prints at start "
        "what the core decides of it, that is all but the devices. What no table names "
        "is refused.\n",
        view);
    log_init(&hooks, LOG_DEBUG);
    policy_print();
    guest_view_places();
    guest_view_pci();
    fputs("```\n", view);
}

#endif
