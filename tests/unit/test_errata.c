/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which errata are worked around on which CPU, in the order of the table; and that each CPU's own
 * MSRs are set so.
 */
#include "arch/x86_64/errata.h"

#include "arch/x86_64/arch.h"
#include "fake_cpu.h"
#include "fake_log.h"
#include "hv/plan/boot_info.h"

static uint32_t this_signature;

void plat_cpuid(uint32_t leaf, UNUSED uint32_t subleaf, uint32_t out[4]) {
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 0) {
        out[ECX] = 0x444d4163; /* "cAMD" */
    } else if (leaf == 1) {
        out[EAX] = this_signature;
    }
}

static struct errata_cpu amd(uint32_t signature) {
    return (struct errata_cpu){.amd = true, .signature = signature};
}

/* "name msr set clear" of each row. */
static const char *describe(struct errata_cpu cpu, bool mitigate) {
    static char text[400];
    size_t at = 0, n = 0;
    const struct erratum *e;
    text[0] = '\0';
    while ((e = errata_next(&cpu, mitigate, &at)) != NULL) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %x %llx %llx", n != 0 ? ", " : "",
                              e->name, e->msr, (unsigned long long)e->set,
                              (unsigned long long)e->clear);
    }
    return text;
}

TEST(each_model_gets_its_own) {
    CHECK_STR(describe(amd(0x100f42), true), /* Barcelona's family */
              "383 c0011022 800000000000 0, 400 c0010055 0 18000000, 721 c0011029 1 0, "
              "LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0x300f10), true), /* Llano */
              "400 c0010055 0 18000000, 665 c0011029 80000000 0, 721 c0011029 1 0, "
              "LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0x700f01), true), /* Kabini */
              "400 c0010055 0 18000000, 793 c0011020 8000 0, LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0x730f01), true), /* its successor has model 30h */
              "400 c0010055 0 18000000, LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0x800f11), true), /* Zen 1 */
              "1021 c0011029 2000 0, 1033 c0011020 10 0, 1049 c0011028 10 0, "
              "1095 c0011020 200000000000000 0, LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0x800f82), true), "LFENCE c0011029 2 0"); /* Zen+ */
    CHECK_STR(describe(amd(0xa20f12), true), "LFENCE c0011029 2 0"); /* Zen 3 */
    CHECK_STR(describe(amd(0xa60f12), true), "1485 c001102e 20 0, LFENCE c0011029 2 0");
    CHECK_STR(describe(amd(0xa10f11), true), "1485 c001102e 20 0, LFENCE c0011029 2 0");
}

TEST(zen_2_loses_its_leaks_unless_the_config_keeps_them) {
    static const uint32_t zen_2[] = {0x830f10, 0x860f01, 0x870f10, 0x890f00, 0x8a0f00};
    for (size_t i = 0; i < ARRAY_SIZE(zen_2); i++) {
        CHECK_STR(describe(amd(zen_2[i]), true),
                  "LFENCE c0011029 2 0, Zenbleed c0011029 200 0, BTC c00110e3 2 0");
        CHECK_STR(describe(amd(zen_2[i]), false), "LFENCE c0011029 2 0");
    }
    CHECK_STR(describe(amd(0x800f11), false), describe(amd(0x800f11), true));
}

TEST(others_are_left_alone) {
    struct errata_cpu cpu = amd(0xa60f12);
    cpu.more_features = BIT32(2); /* LFENCE serializes as it is */
    CHECK_STR(describe(cpu, true), "1485 c001102e 20 0");
    cpu.under_hypervisor = true;
    CHECK_STR(describe(cpu, true), "");
    cpu = amd(0x100f42);
    cpu.amd = false;
    CHECK_STR(describe(cpu, true), "");
    CHECK_STR(describe(amd(0x200f31), true), "400 c0010055 0 18000000"); /* family 11h: no DE_CFG */
}

enum { LS_CFG = 0xc0011020, DC_CFG = 0xc0011022, FP_CFG = 0xc0011028, DE_CFG = 0xc0011029 };

static uint64_t hook_now(void) {
    return 0;
}

static unsigned hook_cpu(void) {
    return 0;
}

static const struct log_hooks hooks = {hook_now, hook_cpu, keep, NULL};

/* The first generation of Zen, whose MSRs have a bit each that is not ours. */
static void zen(void) {
    fake_cpu_begin();
    log_init(&hooks, LOG_INFO);
    told[0] = '\0';
    this_signature = 0x800f11;
    fake_wrmsr(LS_CFG, BIT(40));
    fake_wrmsr(FP_CFG, BIT(41));
    fake_wrmsr(DE_CFG, BIT(42));
}

TEST(the_msrs_of_this_cpu_are_set) {
    zen();
    errata_init_cpu();
    CHECK_U64(fake_msr(LS_CFG), BIT(40) | BIT(4) | BIT(57));
    CHECK_U64(fake_msr(FP_CFG), BIT(41) | BIT(4));
    CHECK_U64(fake_msr(DE_CFG), BIT(42) | BIT(13) | BIT(1));
    CHECK_STR(told, "");

    unsigned writes = fake_msr_writes(LS_CFG) + fake_msr_writes(FP_CFG) + fake_msr_writes(DE_CFG);
    errata_init_cpu(); /* the firmware had done it */
    CHECK_U64(fake_msr_writes(LS_CFG) + fake_msr_writes(FP_CFG) + fake_msr_writes(DE_CFG), writes);
}

TEST(an_erratum_may_want_bits_to_be_off) {
    zen();
    this_signature = 0x730f01;
    fake_wrmsr(0xc0010055, BITS(27, 28) | BIT(3));
    errata_init_cpu();
    CHECK_U64(fake_msr(0xc0010055), BIT(3));
}

TEST(the_first_cpu_tells_what_was_done) {
    static struct boot_info info = {.config = {.mitigate = true}};
    zen();
    fake_msr_refuse(FP_CFG); /* none there, as on an emulator: nothing to tell */
    errata_init(&info);
    CHECK(strstr(told, "errata: 1021, 1033, 1095, LFENCE worked around") != NULL);
    CHECK(strstr(told, "cannot") == NULL);
    zen();
    this_signature = 0x830f10;
    errata_init(&info);
    CHECK(strstr(told, "errata: LFENCE, Zenbleed, BTC worked around") != NULL);
    zen();
    this_signature = 0x830f10;
    info.config.mitigate = false;
    errata_init(&info);
    CHECK(strstr(told, "errata: LFENCE worked around") != NULL);
}

TEST_MAIN(T(each_model_gets_its_own), T(zen_2_loses_its_leaks_unless_the_config_keeps_them),
          T(others_are_left_alone), T(the_msrs_of_this_cpu_are_set),
          T(an_erratum_may_want_bits_to_be_off), T(the_first_cpu_tells_what_was_done))
