/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flight recorder: its ring, and each kind of exit in words. */
#include "fake_machine.h"
#include "hv/vm/recorder.h"

static uint64_t now;
static uint64_t now_us(void) {
    return now;
}

static struct recorder ring;

static void start(void) {
    static const struct log_hooks hooks = {now_us, plat_cpu, NULL, NULL};
    (void)fake_machine_start();
    log_init(&hooks, LOG_ERROR);
    memset(&ring, 0, sizeof(ring));
    recorder_init(&ring);
}

static void record(uint64_t tsc) {
    struct exit_record *e = recorder_begin(&ring);
    e->tsc_low = (uint32_t)tsc;
    e->tsc_high = (uint32_t)(tsc >> 32);
}

TEST(the_oldest_makes_room) {
    start();
    CHECK(recorder_exit(&ring, 0) == NULL);
    for (unsigned i = 1; i <= RECORDER_EXITS + 3; i++) {
        record(i);
        CHECK_U64(recorder_exit(&ring, 0)->tsc_low, i);
        CHECK(i >= RECORDER_EXITS || recorder_exit(&ring, i) == NULL);
    }
    CHECK_U64(recorder_exit(&ring, RECORDER_EXITS - 1)->tsc_low, 4);
    CHECK(recorder_exit(&ring, RECORDER_EXITS) == NULL);
}

TEST(a_copy_has_links_of_its_own) {
    static struct recorder copy;
    start();
    record(5);
    record(6);
    recorder_copy(&copy, &ring);
    CHECK_U64(recorder_exit(&copy, 0)->tsc_low, 6);
    CHECK_U64(recorder_exit(&copy, 1)->tsc_low, 5);
    CHECK(copy.now >= copy.exits && copy.now < copy.exits + RECORDER_EXITS);
    for (unsigned i = 0; i < RECORDER_EXITS; i++) {
        CHECK(copy.exits[i].next == &copy.exits[(i + 1) % RECORDER_EXITS]);
    }
}

static const char *told(struct vmexit exit, enum recorder_outcome outcome) {
    static char text[RECORDER_LINE];
    const struct recorder_clock clock = {.tsc = 5 * FAKE_HZ, .us = 123000000};
    struct exit_record e = {
        .exit = exit, .outcome = outcome, .tsc_low = 705032704, .tsc_high = 1, .rip = 0xfff0};
    recorder_format(text, &e, &clock);
    CHECK(strncmp(text, "  123.000000000 rip 0xfff0 ", 27) == 0);
    return text + 27;
}

TEST(each_kind_in_words) {
    CHECK_STR(told((struct vmexit){.kind = EXIT_CPUID, .number = 0xd}, RECORDER_NEXT),
              "cpuid leaf 0xd next");
    CHECK_STR(told((struct vmexit){.kind = EXIT_RDMSR, .number = 0x1b}, RECORDER_NEXT),
              "rdmsr msr 0x1b next");
    CHECK_STR(told((struct vmexit){.kind = EXIT_WRMSR, .number = 0x830}, RECORDER_RETRY),
              "wrmsr msr 0x830 retry");
    CHECK_STR(told((struct vmexit){.kind = EXIT_IO, .io = {0x3f8, 1, IO_IN}}, RECORDER_NEXT),
              "port in 0x3f8 size 1 next");
    CHECK_STR(told((struct vmexit){.kind = EXIT_IO, .io = {0x70, 2, IO_STRING}}, RECORDER_NEXT),
              "port outs 0x70 size 2 next");
    struct vmexit fault = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(0xfec00000)}};
    CHECK_STR(told(fault, RECORDER_NEXT), "memory read 0xfec00000 next");
    fault.fault.write = true;
    CHECK_STR(told(fault, RECORDER_NEXT), "memory write 0xfec00000 next");
    fault.fault.execute = true;
    CHECK_STR(told(fault, RECORDER_AT_WORK), "memory fetch 0xfec00000 at-work");
    CHECK_STR(
        told((struct vmexit){.kind = EXIT_CR, .cr = {.access = CR_LMSW, .cr = 0}}, RECORDER_DONE),
        "control-register lmsw cr0 done");
    CHECK_STR(
        told((struct vmexit){.kind = EXIT_EXCEPTION, .event = {.vector = 17}}, RECORDER_RETRY),
        "exception vector 17 retry");
    CHECK_STR(told((struct vmexit){.kind = EXIT_APIC_EOI, .apic = 0x31}, RECORDER_DONE),
              "apic-eoi vector 0x31 done");
    CHECK_STR(told((struct vmexit){.kind = EXIT_HLT, .apic = 0x31}, RECORDER_HALT), "hlt halt");
}

/* What lies further back than the log's clock reaches is at its begin. */
TEST(times_are_the_logs) {
    char text[RECORDER_LINE];
    struct recorder_clock clock = {.tsc = 3 * FAKE_HZ, .us = 2000000};
    struct exit_record e = {.tsc_low = FAKE_HZ + 7};
    recorder_format(text, &e, &clock);
    CHECK(strncmp(text, "    0.000000007 rip 0 unknown next", 20) == 0);
    clock.us = 500;
    recorder_format(text, &e, &clock);
    CHECK(strncmp(text, "    0.000000000 rip", 19) == 0);
    fake_tsc = 77;
    now = 88;
    clock = recorder_clock();
    CHECK(clock.tsc == 77 && clock.us == 88);
}

TEST_MAIN(T(the_oldest_makes_room), T(a_copy_has_links_of_its_own), T(each_kind_in_words),
          T(times_are_the_logs))
