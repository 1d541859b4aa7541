/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which errata are worked around on which CPU, in the order of the table.
 */
#include "arch/x86_64/errata.h"
#include "hv/vm/plat.h"
#include "test.h"

/* For the part that sets the bits, which needs a CPU. */
void plat_cpuid(UNUSED uint32_t leaf, UNUSED uint32_t subleaf, uint32_t out[4]) {
    memset(out, 0, 4 * sizeof(*out));
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

TEST_MAIN(T(each_model_gets_its_own), T(zen_2_loses_its_leaks_unless_the_config_keeps_them),
          T(others_are_left_alone))
