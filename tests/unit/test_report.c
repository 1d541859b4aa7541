/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A crash report, line by line: each word stands where its name says. */
#include "fake_machine.h"

static char told[0x4000];
static size_t told_length;

static uint64_t now;
static uint64_t now_us(void) {
    return now;
}

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    const char *text = strstr(line, "fake: ");
    CHECK(text != NULL);
    length -= (size_t)(text - line);
    if (told_length + length < sizeof(told)) {
        memcpy(told + told_length, text, length);
        told_length += length;
        told[told_length] = '\0';
    }
}

static unsigned raw_words;

static const char *raw(UNUSED struct vcpu *v, unsigned i, uint64_t *value) {
    static const char *const names[] = {"first", "second", "third", "fourth", "fifth"};
    if (i >= raw_words) {
        return NULL;
    }
    *value = 0xb0 + i;
    return names[i];
}

static struct vcpu *start(void) {
    static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};
    struct vcpu *v = fake_machine_start();
    log_init(&hooks, LOG_INFO);
    now = 0;
    told_length = 0;
    told[0] = '\0';
    fake_ops.raw = raw;
    raw_words = 4;
    for (unsigned i = 0; i < 16; i++) {
        v->regs[i] = 0x1000 + i;
    }
    fake_regs[HVM_RSP] = 0x2222;
    fake_regs[HVM_RFLAGS] = 0x10002;
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        fake_segs[i].base = 0;
        fake_segs[i].limit = 0x4000 + i;
        fake_segs[i].selector = (uint16_t)(0x50 + i);
    }
    static const uint8_t code[] = {0x0f, 0x0b, 0xff};
    CHECK_U64(gmem_write(&v->vm->mem, GPA(2 * MIB), code, sizeof(code)), STATUS_OK);
    return v;
}

static void record_exits(struct vcpu *v, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct exit_record *e = recorder_begin(&v->recorder);
        e->exit.kind = EXIT_HLT;
        e->outcome = RECORDER_HALT;
        e->tsc_low = 1;
        e->rip = 0x1100 + count + i;
    }
}

TEST(a_whole_report) {
    struct vcpu *v = start();
    const struct vmexit x = {.kind = EXIT_IO, .insn_len = 2};
    record_exits(v, 2);
    v->compartment_rip = 0x77;
    v->vm->crashes = 2;
    CHECK_U64(exit_crash(v, &x, "a good reason"), ACTION_RETRY);
    CHECK_STR(
        told,
        "fake: error: stopped: a good reason\n"
        "fake:   vcpu 0  exit port  length 2\n"
        "fake:   rax 0000000000001000  rcx 0000000000001001  rdx 0000000000001002  rbx "
        "0000000000001003\n"
        "fake:   rsp 0000000000002222  rbp 0000000000001005  rsi 0000000000001006  rdi "
        "0000000000001007\n"
        "fake:   r8  0000000000001008  r9  0000000000001009  r10 000000000000100a  r11 "
        "000000000000100b\n"
        "fake:   r12 000000000000100c  r13 000000000000100d  r14 000000000000100e  r15 "
        "000000000000100f\n"
        "fake:   rip 0000000000200000  rflags 00010002  cr0 80000031  cr3 0000000000100000  cr4 "
        "00000020\n"
        "fake:   es   0050  base 0000000000000000  limit 00004000  attr 00093\n"
        "fake:   cs   0051  base 0000000000000000  limit 00004001  attr 0a09b\n"
        "fake:   ss   0052  base 0000000000000000  limit 00004002  attr 0c093\n"
        "fake:   ds   0053  base 0000000000000000  limit 00004003  attr 00093\n"
        "fake:   fs   0054  base 0000000000000000  limit 00004004  attr 00093\n"
        "fake:   gs   0055  base 0000000000000000  limit 00004005  attr 00093\n"
        "fake:   ldtr 0056  base 0000000000000000  limit 00004006  attr 00082\n"
        "fake:   tr   0057  base 0000000000000000  limit 00004007  attr 0008b\n"
        "fake:   gdtr 0058  base 0000000000000000  limit 00004008  attr 00000\n"
        "fake:   idtr 0059  base 0000000000000000  limit 00004009  attr 00000\n"
        "fake:   compartment waits: upcall 1, the start of the devices, its rip 0x77\n"
        "fake:   code at rip: 0f 0b ff 00 00 00 00 00 00 00 00 00 00 00 00\n"
        "fake:   first          00000000000000b0  second         00000000000000b1\n"
        "fake:   third          00000000000000b2  fourth         00000000000000b3\n"
        "fake:   exit     0.000000000 rip 0x1102 hlt halt\n"
        "fake:   exit     0.000000000 rip 0x1103 hlt at-work\n"
        "fake:   policy: on_crash \"restart\", crashes in a row before this one 2 of 3\n");
    CHECK_U64(v->vm->leave, LEAVE_CRASH);
    CHECK_STR(v->vm->leave_reason, "a good reason");
}

static unsigned count_of(const char *words) {
    unsigned count = 0;
    for (const char *at = told; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Of more exits than are told the last ones. */
TEST(the_last_exits_are_told) {
    struct vcpu *v = start();
    const struct vmexit x = {.kind = EXIT_IO};
    record_exits(v, 40);
    (void)exit_crash(v, &x, "");
    CHECK_U64(count_of("fake:   exit "), 16);
    CHECK(strstr(told, " rip 0x114f hlt at-work\n") != NULL);
    CHECK(strstr(told, " rip 0x1140 hlt halt\n") != NULL);
}

TEST(the_compartments_state_is_told) {
    struct vcpu *v = start();
    const struct vmexit x = {.kind = EXIT_IO};
    v->upcall_flags |= UPCALL_RUNS;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "  compartment at work: ") != NULL);
    v = start();
    v->upcall_flags |= UPCALL_RUNS | UPCALL_FAILED;
    v->upcall = UPCALL_TASK;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "  compartment failed: upcall 1, a task switch, ") != NULL);
}

/* An odd number of the vendor's words, and none. */
TEST(raw_words_of_the_vendor) {
    struct vcpu *v = start();
    const struct vmexit x = {.kind = EXIT_UNKNOWN};
    raw_words = 1;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "\nfake:   first          00000000000000b0                 "
                       "0000000000000000\n") != NULL);
    v = start();
    raw_words = 3;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "\nfake:   third          00000000000000b2                 ") != NULL);
    v = start();
    raw_words = 0;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "first") == NULL);
}

/* What other CPUs see of it; a second end of the same run changes nothing. */
TEST(the_record_of_a_crash) {
    struct vcpu *v = start();
    struct vm_crash crash = {.us = 7};
    const struct vmexit x = {.kind = EXIT_IO};
    v->index = 5;
    CHECK_U64(vm_last_crash(v->vm->public, &crash), 0);
    CHECK_U64(crash.us, 7);
    now = 1234567;
    (void)exit_crash(v, &x, "a good reason");
    now = 2000000;
    v->index = 6;
    (void)exit_crash(v, &x, "another one");
    CHECK_U64(vm_last_crash(v->vm->public, &crash), 1);
    CHECK_U64(crash.us, 1234567);
    CHECK_U64(crash.rip, 0x200000);
    CHECK_U64(crash.vcpu, 5);
    CHECK(!crash.compartment);
    CHECK_STR(crash.work, "port");
    CHECK_STR(crash.reason, "a good reason");

    v->vm->leave = LEAVE_NONE;
    v->compartment_rip = 0xc0de;
    vcpu_crash_compartment(v, "a typed byte", "its compartment failed");
    CHECK_U64(vm_last_crash(v->vm->public, &crash), 2);
    CHECK_U64(crash.us, 2000000);
    CHECK_U64(crash.rip, 0xc0de);
    CHECK_U64(crash.vcpu, 6);
    CHECK(crash.compartment);
    CHECK_STR(crash.work, "a typed byte");

    v->vm->leave = LEAVE_NONE;
    (void)vm_leave(v->vm, LEAVE_POWER_OFF, "off");
    vcpu_crash(v, "port", "too late");
    CHECK_U64(vm_last_crash(v->vm->public, &crash), 2);
}

TEST(code_that_cannot_be_read) {
    struct vcpu *v = start();
    const struct vmexit x = {.kind = EXIT_UNKNOWN};
    fake_regs[HVM_RIP] = 64 * MIB;
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "fake:   code at rip: cannot be read\n") != NULL);
    v = start();
    fake_regs[HVM_RIP] = FAKE_RAM - 2; /* two bytes, then nothing */
    (void)exit_crash(v, &x, "");
    CHECK(strstr(told, "fake:   code at rip: 00 00\n") != NULL);
}

TEST_MAIN(T(a_whole_report), T(the_last_exits_are_told), T(the_compartments_state_is_told),
          T(the_record_of_a_crash), T(raw_words_of_the_vendor), T(code_that_cannot_be_read))
