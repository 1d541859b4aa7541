/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NMIs of the machine: each is counted, and a storm of them is a few lines.
 */
#include "arch/x86_64/nmi.h"
#include "hv/lib/log.h"
#include "test.h"

static uint64_t now;
static unsigned lines;
static char last[LOG_LINE_MAX + 1];

static uint64_t hook_now(void) {
    return now;
}

static unsigned hook_cpu(void) {
    return 0;
}

static void hook_write(enum log_level level, const char *text, size_t length) {
    CHECK_U64(level, LOG_WARN);
    lines++;
    memcpy(last, text, length);
    last[length] = '\0';
}

static const struct log_hooks hooks = {hook_now, hook_cpu, hook_write, NULL};

#define CHECK_LINE(text)                                                                           \
    CHECK_STR(strstr(last, "warning: ") != NULL ? strstr(last, "warning: ") : last,                \
              "warning: NMI of the machine: " text " [BH4035]\n")

TEST(each_is_counted_with_its_cause) {
    log_init(&hooks, LOG_INFO);
    nmi_tell();
    CHECK_U64(lines, 0);

    nmi_take(3, 0x2c);
    nmi_tell();
    CHECK_LINE("1 since the last line, 1 in all, the last on cpu 3; the chipset tells no cause");
    nmi_tell();
    CHECK_U64(lines, 1);

    nmi_take(1, 0xac);
    nmi_take(2, 0x2c);
    nmi_tell();
    CHECK_LINE("2 since the last line, 3 in all, the last on cpu 2; "
               "a PCI device's or a memory error (SERR#)");
    nmi_take(0, 0x40);
    nmi_tell();
    CHECK_LINE("1 since the last line, 4 in all, the last on cpu 0; a device's error (IOCHK#)");

    nmi_take(0, 0xff);
    nmi_tell();
    CHECK_LINE("1 since the last line, 5 in all, the last on cpu 0; the chipset tells no cause");
}

TEST(a_storm_is_a_few_lines) {
    lines = 0;
    for (unsigned i = 0; i < 10000; i++) {
        nmi_take(0, 0);
        nmi_tell();
    }
    CHECK(lines > 0 && lines < 100);
    unsigned before = lines;

    now += 60 * 1000000ull;
    nmi_tell();
    CHECK_U64(lines, before + 1);
    CHECK(strstr(last, " 10005 in all") != NULL);
}

TEST_MAIN(T(each_is_counted_with_its_cause), T(a_storm_is_a_few_lines))
