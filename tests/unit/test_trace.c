/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Return addresses on a stack: every form of CALL is known, nothing else is taken for one.
 */
#include "arch/x86_64/trace.h"
#include "test.h"

static uint8_t bytes[64];
static const struct trace_text text = {bytes, sizeof(bytes)};

/* Are these bytes, at the text's start, a CALL that ends behind them? */
static bool is_call(const char *insn, size_t size) {
    memset(bytes, 0x90, sizeof(bytes));
    memcpy(bytes, insn, size);
    return trace_follows_call(&text, size);
}
#define IS_CALL(insn) is_call(insn, sizeof(insn) - 1)

TEST(every_form_of_call) {
    CHECK(IS_CALL("\xe8\x10\x00\x00\x00"));             /* call +16 */
    CHECK(IS_CALL("\xe8\xfb\xff\xff\xff"));             /* call itself */
    CHECK(IS_CALL("\xff\xd0"));                         /* call *%rax */
    CHECK(IS_CALL("\x41\xff\xd3"));                     /* call *%r11 */
    CHECK(IS_CALL("\xff\x10"));                         /* call *(%rax) */
    CHECK(IS_CALL("\xff\x14\xd0"));                     /* call *(%rax,%rdx,8) */
    CHECK(IS_CALL("\xff\x14\xc5\x00\x10\x00\x00"));     /* call *0x1000(,%rax,8) */
    CHECK(IS_CALL("\xff\x15\x00\x10\x00\x00"));         /* call *0x1000(%rip) */
    CHECK(IS_CALL("\xff\x50\x18"));                     /* call *0x18(%rax) */
    CHECK(IS_CALL("\xff\x54\x24\x18"));                 /* call *0x18(%rsp) */
    CHECK(IS_CALL("\xff\x90\x00\x01\x00\x00"));         /* call *0x100(%rax) */
    CHECK(IS_CALL("\x41\xff\x94\x24\x00\x01\x00\x00")); /* call *0x100(%r12) */
}

TEST(nothing_else) {
    CHECK(!IS_CALL("\xe8\x00\x00\x00\x7f")); /* out of the text */
    CHECK(!IS_CALL("\xe8\x00\x00\x00\x80"));
    CHECK(!IS_CALL("\xe9\x10\x00\x00\x00")); /* jmp +16 */
    CHECK(!IS_CALL("\xff\xe0"));             /* jmp *%rax */
    CHECK(!IS_CALL("\xff\xf0"));             /* push %rax */
    CHECK(!IS_CALL("\xff\xd0\x90"));         /* one byte on */
    CHECK(!IS_CALL("\xff\x50\x18\x90"));
    CHECK(!IS_CALL("\xff\x14")); /* cut off: its SIB byte would follow */
    CHECK(!IS_CALL(""));
    memset(bytes, 0xff, sizeof(bytes));
    CHECK(!trace_follows_call(&text, 1));
    CHECK(!trace_follows_call(&text, sizeof(bytes)));
}

TEST(a_stack_is_read_from_the_inside_out) {
    uint64_t base = (uintptr_t)bytes;
    uint64_t stack[] = {0, base + 5, base + 6, base - 1, base + sizeof(bytes), ~0ull, base + 12};
    uint32_t found[4] = {99, 99, 99, 99};

    memset(bytes, 0x90, sizeof(bytes));
    memcpy(bytes, "\xe8\x10\x00\x00\x00", 5);
    memcpy(bytes + 10, "\xff\xd0", 2);
    CHECK_U64(trace_find(&text, stack, ARRAY_SIZE(stack), found, ARRAY_SIZE(found)), 2);
    CHECK_U64(found[0], 5);
    CHECK_U64(found[1], 12);
    CHECK_U64(found[2], 99);
    CHECK_U64(trace_find(&text, stack, ARRAY_SIZE(stack), found, 1), 1);
    CHECK_U64(trace_find(&text, stack, 1, found, 1), 0);
}

TEST_MAIN(T(every_form_of_call), T(nothing_else), T(a_stack_is_read_from_the_inside_out))
