/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on devices and string I/O on a fake machine: counting, stepping, segments, faults in
 * the middle, operands over page borders, what is remembered of code and forgotten again.
 */
#include "fake_machine.h"
#include "hv/compartment/emulate/insn.h"
#include "tests/unit/random.h"

#define CODE          (2 * MIB)
#define NOWHERE       (3 * GIB) /* mapped one to one, no memory */
#define DATA          0x300000ull
#define DF            BIT(10)
#define PRESENT_WRITE 3ull
#define LIMIT         64 /* elements in one exit */

static struct vcpu *v;

static void put(uint64_t gpa, const void *bytes, size_t n) {
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(gpa), bytes, n), STATUS_OK);
}

static uint8_t *ram(uint64_t gpa) {
    return gmem_pointer(&fake_vm->mem, GPA(gpa), 1);
}

static enum action run(struct vmexit *x, const char *code, size_t n) {
    put(fake_regs[HVM_RIP] + (fake_regs[HVM_EFER] != 0 ? 0 : fake_segs[HVM_CS].base), code, n);
    v->event.type = EVENT_NONE;
    x->insn_len = 99;
    return fake_exit(v, x);
}

static enum action fault_at(uint64_t gpa, const char *code, size_t n) {
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(gpa)}};
    enum action a = run(&x, code, n);
    CHECK(a != ACTION_NEXT || x.insn_len == n || x.insn_len == 0);
    return a;
}
#define FAULT(gpa, code) fault_at(gpa, code, sizeof(code) - 1)

static uint32_t last_length;
static enum action port(uint16_t number, unsigned size, unsigned flags, const char *code,
                        size_t n) {
    struct vmexit x = {.kind = EXIT_IO,
                       .io = {number, (uint8_t)size, (uint8_t)(flags | IO_STRING)}};
    enum action a = run(&x, code, n);
    last_length = x.insn_len;
    return a;
}
#define PORT(number, size, flags, code) port(number, size, flags, code, sizeof(code) - 1)

static bool faulted(unsigned vector, uint32_t error) {
    return v->event.type == EVENT_EXCEPTION && v->event.vector == vector && v->event.error == error;
}

static void string(uint64_t rsi, uint64_t rdi, uint64_t rcx, uint64_t rax) {
    v->regs[X86_RSI] = rsi;
    v->regs[X86_RDI] = rdi;
    v->regs[X86_RCX] = rcx;
    v->regs[X86_RAX] = rax;
}

/* 4 KiB pages for 4 MiB to 6 MiB, in a table at 7 MiB; 5 MiB is not there. */
static void map_small_pages(void) {
    uint64_t directory[512], table[512];
    for (uint64_t i = 0; i < 512; i++) {
        directory[i] = i * 2 * MIB | 0x80 | PRESENT_WRITE;
        table[i] = (4 * MIB + i * PAGE_SIZE) | PRESENT_WRITE;
    }
    table[256] = 0;
    directory[2] = 0x701000 | PRESENT_WRITE;
    uint64_t first = 0x700000 | PRESENT_WRITE;
    put(0x700000, directory, sizeof(directory));
    put(0x701000, table, sizeof(table));
    put(0x101000, &first, 8);
}

TEST(rep_stos_in_pieces) {
    v = fake_machine_start();
    string(0, NOWHERE, 100, 0x55);
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(NOWHERE)}};
    CHECK_U64(run(&x, "\xf3\xab", 2), ACTION_NEXT);
    CHECK_U64(x.insn_len, 0); /* in the middle: the same again, past interrupts */
    CHECK_U64(v->regs[X86_RCX], 100 - LIMIT);
    CHECK_U64(v->regs[X86_RDI], NOWHERE + 4 * LIMIT);
    CHECK(fake_regs[HVM_RFLAGS] & X86_RFLAGS_RF);
    CHECK_U64(run(&x, "\xf3\xab", 2), ACTION_NEXT);
    CHECK_U64(x.insn_len, 2);
    CHECK_U64(v->regs[X86_RCX], 0);
    CHECK(!(fake_regs[HVM_RFLAGS] & X86_RFLAGS_RF));
    CHECK_U64(v->public.refused[REFUSED_MEMORY], 100);
    /* A trap after each element. */
    fake_regs[HVM_RFLAGS] |= X86_RFLAGS_TF;
    string(0, NOWHERE, 3, 0);
    CHECK_U64(run(&x, "\xf3\xab", 2), ACTION_NEXT);
    CHECK_U64(x.insn_len, 0);
    CHECK_U64(v->regs[X86_RCX], 2);
}

TEST(movs_between_memory_and_device) {
    v = fake_machine_start();
    memset(ram(DATA), 0x11, 100);
    string(NOWHERE, DATA, 5, 0);
    CHECK_U64(FAULT(NOWHERE, "\xf3\x66\xa5"), ACTION_NEXT);
    CHECK(*ram(DATA + 9) == 0xff && *ram(DATA + 10) == 0x11);
    CHECK_U64(v->regs[X86_RSI], NOWHERE + 10);
    CHECK_U64(v->regs[X86_RDI], DATA + 10);
    /* Downwards, one element without REP: RCX does not count. */
    fake_regs[HVM_RFLAGS] |= DF;
    string(LAPIC_BASE + 0x30, DATA + 48, 5, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xa5"), ACTION_NEXT);
    CHECK_U64(*ram(DATA + 48), 0x14);
    CHECK_U64(v->regs[X86_RDI], DATA + 44);
    CHECK_U64(v->regs[X86_RCX], 5);
    /* To a device, and what is read back. */
    fake_regs[HVM_RFLAGS] &= ~DF;
    put(DATA, "\x37", 1);
    string(DATA, LAPIC_BASE + 0x80, 1, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x80, "\xf3\xa5"), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x80), 0x37);
    /* 32-bit addresses and count; the upper halves go. */
    string(BIT(40) + NOWHERE, BIT(40) + DATA, BIT(40) + 2, 0);
    CHECK_U64(FAULT(NOWHERE, "\x67\xf3\xa4"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RSI], NOWHERE + 2);
    CHECK_U64(v->regs[X86_RCX], 0);
    CHECK(*ram(DATA) == 0xff && *ram(DATA + 1) == 0xff);
}

/* Each element is its own access: to the local APIC's registers one after another. */
TEST(movs_over_many_registers) {
    v = fake_machine_start();
    string(LAPIC_BASE + 0x20, DATA, 6, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x20, "\xf3\xa5"), ACTION_NEXT);
    for (unsigned i = 0; i < 6; i++) {
        uint32_t seen;
        memcpy(&seen, ram(DATA + 4 * i), sizeof(seen));
        CHECK_U64(seen, lapic_mmio_read(&v->lapic, 0x20 + 4 * i));
    }
    CHECK_U64(*ram(DATA + 0x10), 0x14);
    put(DATA, "\x31\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\x1\0\0", 20);
    string(DATA, LAPIC_BASE + 0xe0, 5, 0); /* DFR, whose low bits are ones, and SVR */
    CHECK_U64(FAULT(LAPIC_BASE + 0xe0, "\xf3\xa5"), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0xe0), 0x0fffffff);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0xf0), 0x1ff);
}

/* Memory above 4 GiB is the guest's as well, to its last byte. */
TEST(memory_above_4_gib) {
    uint64_t pages = PLAN_HIGH_RAM | 0x83;
    v = fake_machine_start();
    put(0x101000 + 4 * 8, &pages, sizeof(pages));
    fake_vm->high_ram = sizeof(fake_high_ram);
    CHECK(vm_start_devices(fake_vm));
    memset(fake_high_ram, 0, sizeof(fake_high_ram));
    string(LAPIC_BASE + 0x30, PLAN_HIGH_RAM, 1, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xa5"), ACTION_NEXT);
    CHECK_U64(fake_high_ram[0], 0x14);
    string(LAPIC_BASE + 0x30, PLAN_HIGH_RAM + sizeof(fake_high_ram) - 4, 2, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xf3\xa5"), ACTION_NEXT);
    CHECK_U64(fake_high_ram[sizeof(fake_high_ram) - 4], 0x14);
    CHECK_U64(v->public.refused[REFUSED_MEMORY], 1); /* the second lies beyond */
}

/* Nobody asked for these on a device: the VM stops. */
TEST(others_stop_the_vm) {
    static const char *const codes[] = {"\xf7\x23", "\xf7\x33", "\xff\x23", "\xff\x13", "\xd9\x03"};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        v = fake_machine_start();
        string(DATA, NOWHERE, 1, 0);
        (void)fault_at(NOWHERE, codes[i], 2);
        CHECK_U64(fake_vm->leave, LEAVE_CRASH);
        CHECK_U64(v->regs[X86_RDI], NOWHERE);
    }
}

#define ZF BIT(6)
#define CF BIT(0)

TEST(lods_and_scas) {
    v = fake_machine_start();
    string(LAPIC_BASE + 0x30, 0, 0, 0x1122334455667788);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xac"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0x1122334455667714);
    CHECK_U64(v->regs[X86_RSI], LAPIC_BASE + 0x31);
    string(NOWHERE, 0, 2, 0x1122334455667788);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xad"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0xffffffff);
    CHECK_U64(v->regs[X86_RSI], NOWHERE + 8);
    CHECK_U64(v->regs[X86_RCX], 0);
    /* REPE SCASB over FFh: to the count's end; REPNE: after the first. */
    string(0, NOWHERE, 10, 0xff);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xae"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 0);
    CHECK(fake_regs[HVM_RFLAGS] & ZF);
    string(0, NOWHERE, 10, 0xff);
    CHECK_U64(FAULT(NOWHERE, "\xf2\xae"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 9);
    CHECK_U64(v->regs[X86_RDI], NOWHERE + 1);
    /* Another value: the first differs; less than that, so it borrows. */
    string(0, NOWHERE, 10, 0xfe);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xae"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 9);
    CHECK_U64(fake_regs[HVM_RFLAGS] & (ZF | CF), CF);
    /* A count of none: nothing is looked at, no flag changes. */
    fake_regs[HVM_RFLAGS] = 2 | ZF;
    string(0, NOWHERE, 0, 0xfe);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xae"), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2 | ZF);
    CHECK_U64(v->regs[X86_RDI], NOWHERE);
}

TEST(cmps_of_memory_and_device) {
    v = fake_machine_start();
    memset(ram(DATA), 0xff, 100);
    *ram(DATA + 70) = 0;
    string(DATA, NOWHERE, 100, 0);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xa6"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 100 - LIMIT); /* goes on with the next entry */
    CHECK_U64(FAULT(NOWHERE, "\xf3\xa6"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 29);
    CHECK_U64(v->regs[X86_RSI], DATA + 71);
    CHECK_U64(v->regs[X86_RDI], NOWHERE + 71);
    CHECK_U64(fake_regs[HVM_RFLAGS] & (ZF | CF), CF); /* DS:RSI less ES:RDI */
    string(NOWHERE, DATA + 70, 5, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa6"), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RFLAGS] & (ZF | CF), 0);
    CHECK_U64(v->regs[X86_RCX], 5);
    /* A fault in the middle: registers where they led, flags as before. */
    map_small_pages();
    memset(ram(5 * MIB - 3), 0xff, 3);
    fake_regs[HVM_RFLAGS] = 2 | CF;
    string(NOWHERE, 5 * MIB - 3, 20, 0);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xa6"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 0)); /* it is read, not written */
    CHECK_U64(v->regs[X86_RCX], 17);
    CHECK_U64(fake_regs[HVM_RFLAGS], 2 | CF);
}

/* CMP and TEST only read: a page that may not be written is none of their business. */
TEST(comparing_does_not_write) {
    v = fake_machine_start();
    map_small_pages();
    uint64_t present = 1, page = NOWHERE | present;
    put(0x701000 + 255 * 8, &page, 8);
    page = (NOWHERE + PAGE_SIZE) | present;
    put(0x701000 + 256 * 8, &page, 8);
    fake_regs[HVM_CR0] |= X86_CR0_WP;
    v->regs[X86_RBX] = 5 * MIB - 2;
    v->regs[X86_RAX] = UINT32_MAX;
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x39\x03"), ACTION_NEXT);
    CHECK(fake_regs[HVM_RFLAGS] & ZF);
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x85\x03"), ACTION_NEXT);
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x0f\xba\x23\x05"), ACTION_NEXT);
    CHECK(fake_regs[HVM_RFLAGS] & CF);
    /* BTS writes, and so does CMPXCHG that does not exchange. */
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x0f\xba\x2b\x05"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 3));
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x0f\xb1\x03"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 3));
}

TEST(smsw_and_segments_to_memory) {
    v = fake_machine_start();
    memset(ram(FAKE_RAM - 2), 0, 2);
    fake_regs[HVM_CR0] |= 0x12340000 | X86_CR0_MP;
    v->regs[X86_RBX] = FAKE_RAM - 1; /* half on memory, half on nothing */
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\x01\x23"), ACTION_NEXT);
    CHECK_U64(*ram(FAKE_RAM - 1), fake_regs[HVM_CR0] & 0xff);
    CHECK_U64(*ram(FAKE_RAM - 2), 0);
    fake_segs[HVM_FS].selector = 0x1357;
    CHECK_U64(FAULT(FAKE_RAM, "\x8c\x23"), ACTION_NEXT);
    CHECK_U64(*ram(FAKE_RAM - 1), 0x57);
    /* To a device: 16 bits. */
    v->regs[X86_RBX] = IOAPIC_BASE;
    fake_segs[HVM_ES].selector = 0x3f;
    CHECK_U64(FAULT(IOAPIC_BASE, "\x8c\x03"), ACTION_NEXT);
    CHECK_U64(FAULT(IOAPIC_BASE, "\x8b\x0b"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 0x3f);
}

#define OSFXSR X86_CR4_OSFXSR

TEST(vectors) {
    v = fake_machine_start();
    fake_regs[HVM_CR4] |= OSFXSR;
    v->regs[X86_RBX] = NOWHERE;
    memset(fake_vectors, 0x11, sizeof(fake_vectors));
    CHECK_U64(FAULT(NOWHERE, "\x66\x44\x0f\x6f\x13"), ACTION_NEXT); /* movdqa (%rbx), %xmm10 */
    CHECK(fake_vectors[10][0] == UINT64_MAX && fake_vectors[10][1] == UINT64_MAX);
    CHECK(fake_vectors[2][0] == 0x1111111111111111 && fake_vectors[9][0] == fake_vectors[2][0]);
    /* Parts: what is not loaded is cleared, or stays. */
    CHECK_U64(FAULT(NOWHERE, "\xf3\x0f\x10\x0b"), ACTION_NEXT); /* movss */
    CHECK(fake_vectors[1][0] == UINT32_MAX && fake_vectors[1][1] == 0);
    CHECK_U64(FAULT(NOWHERE, "\xf3\x0f\x7e\x0b"), ACTION_NEXT); /* movq */
    CHECK(fake_vectors[1][0] == UINT64_MAX && fake_vectors[1][1] == 0);
    CHECK_U64(FAULT(NOWHERE, "\x0f\x12\x13"), ACTION_NEXT); /* movlps */
    CHECK(fake_vectors[2][0] == UINT64_MAX && fake_vectors[2][1] == 0x1111111111111111);
    CHECK_U64(FAULT(NOWHERE, "\x66\x0f\x16\x1b"), ACTION_NEXT); /* movhpd */
    CHECK(fake_vectors[3][1] == UINT64_MAX && fake_vectors[3][0] == 0x1111111111111111);
    /* Stores, over the end of memory, the two halves told apart. */
    fake_vectors[4][0] = 0x0706050403020100;
    fake_vectors[4][1] = 0x0f0e0d0c0b0a0908;
    v->regs[X86_RBX] = FAKE_RAM - 12;
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\x11\x23"), ACTION_NEXT); /* movups */
    CHECK(memcmp(ram(FAKE_RAM - 12), &fake_vectors[4], 12) == 0);
    CHECK_U64(FAULT(FAKE_RAM, "\xf3\x0f\x6f\x2b"), ACTION_NEXT); /* movdqu back */
    CHECK_U64(fake_vectors[5][0], fake_vectors[4][0]);
    CHECK_U64(fake_vectors[5][1], 0xffffffff0b0a0908);
    v->regs[X86_RBX] = FAKE_RAM - 4;
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\x17\x23"), ACTION_NEXT); /* movhps */
    CHECK(memcmp(ram(FAKE_RAM - 4), &fake_vectors[4][1], 4) == 0);
    CHECK_U64(FAULT(FAKE_RAM, "\x66\x0f\xd6\x23"), ACTION_NEXT); /* movq */
    CHECK(memcmp(ram(FAKE_RAM - 4), &fake_vectors[4][0], 4) == 0);
}

TEST(vectors_that_fault) {
    v = fake_machine_start();
    fake_regs[HVM_CR4] |= OSFXSR;
    memset(fake_vectors, 0x11, sizeof(fake_vectors));
    v->regs[X86_RBX] = NOWHERE + 8;
    CHECK_U64(FAULT(NOWHERE + 8, "\x0f\x28\x03"), ACTION_RETRY); /* movaps */
    CHECK(faulted(X86_GP, 0));
    CHECK_U64(FAULT(NOWHERE + 8, "\x0f\x10\x03"), ACTION_NEXT);      /* movups */
    CHECK_U64(FAULT(NOWHERE + 8, "\x66\x0f\xe7\x03"), ACTION_RETRY); /* movntdq */
    CHECK(faulted(X86_GP, 0));
    fake_vectors[0][0] = 0;
    fake_regs[HVM_CR0] |= X86_CR0_TS;
    CHECK_U64(FAULT(NOWHERE + 8, "\x0f\x10\x03"), ACTION_RETRY);
    CHECK(faulted(X86_NM, 0));
    fake_regs[HVM_CR0] |= X86_CR0_EM;
    CHECK_U64(FAULT(NOWHERE + 8, "\x0f\x10\x03"), ACTION_RETRY);
    CHECK(faulted(X86_UD, 0));
    fake_regs[HVM_CR0] &= ~(X86_CR0_TS | X86_CR0_EM);
    fake_regs[HVM_CR4] &= ~OSFXSR;
    CHECK_U64(FAULT(NOWHERE + 8, "\x0f\x10\x03"), ACTION_RETRY);
    CHECK(faulted(X86_UD, 0));
    CHECK_U64(fake_vectors[0][0], 0);
    /* The second page is not there: nothing is loaded, nothing written. */
    fake_regs[HVM_CR4] |= OSFXSR;
    map_small_pages();
    uint64_t nowhere = NOWHERE | PRESENT_WRITE;
    put(0x701000 + 255 * 8, &nowhere, 8);
    v->regs[X86_RBX] = 5 * MIB - 8;
    CHECK_U64(FAULT(NOWHERE + 0xff8, "\x0f\x10\x03"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 0));
    CHECK_U64(fake_regs[HVM_CR2], 5 * MIB);
    CHECK_U64(fake_vectors[0][0], 0);
    CHECK_U64(FAULT(NOWHERE + 0xff8, "\x0f\x11\x03"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 2));
}

TEST(faults_in_the_middle) {
    v = fake_machine_start();
    map_small_pages();
    fake_regs[HVM_CR2] = 0;
    string(NOWHERE, 5 * MIB - 3, 20, 0);
    CHECK_U64(FAULT(NOWHERE, "\xf3\xa4"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 2));
    CHECK_U64(fake_regs[HVM_CR2], 5 * MIB);
    CHECK_U64(v->regs[X86_RCX], 17);
    CHECK_U64(v->regs[X86_RSI], NOWHERE + 3);
    CHECK_U64(v->regs[X86_RDI], 5 * MIB);
    /* An element over the border: nothing of it is written. */
    *ram(5 * MIB - 2) = 0x22;
    string(NOWHERE, 5 * MIB - 2, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa5"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 2));
    CHECK_U64(fake_regs[HVM_CR2], 5 * MIB);
    CHECK_U64(*ram(5 * MIB - 2), 0x22);
    /* CPL 3 on a supervisor page; protection, write, user. */
    fake_segs[HVM_SS].attr |= 0x60;
    string(NOWHERE, 4 * MIB, 1, 0);
    put(CODE, "\xa4", 1);
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(NOWHERE)}};
    (void)fake_exit(v, &x); /* not even its code can be read */
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
}

TEST(privileges_of_memory) {
    v = fake_machine_start();
    map_small_pages();
    uint64_t user = (4 * MIB + PAGE_SIZE) | PRESENT_WRITE | 4, directory = 0x701000 | 7,
             top = 0x700000 | 7, root = 0x101000 | 7;
    put(0x701008, &user, 8);
    put(0x700010, &directory, 8);
    put(0x101000, &top, 8);
    put(0x100000, &root, 8);
    string(NOWHERE, 4 * MIB + PAGE_SIZE, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_NEXT);
    fake_regs[HVM_CR4] |= X86_CR4_SMAP;
    string(NOWHERE, 4 * MIB + PAGE_SIZE, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 3));
    fake_regs[HVM_RFLAGS] |= X86_RFLAGS_AC;
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_NEXT);
    string(NOWHERE, BIT(60), 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_RETRY);
    CHECK(faulted(X86_GP, 0));
    /* CPL 3: its code and one page are its own. */
    uint64_t code = CODE | 0x80 | PRESENT_WRITE | 4, far = NOWHERE | 0x80 | PRESENT_WRITE | 4;
    put(0x700008, &code, 8);
    put(0x101018, &far, 8);
    fake_segs[HVM_SS].attr |= 0x60;
    string(NOWHERE, 4 * MIB + PAGE_SIZE, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_NEXT);
    string(NOWHERE, 4 * MIB, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 7));
    string(4 * MIB, NOWHERE, 1, 0);
    CHECK_U64(FAULT(NOWHERE, "\xa4"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 5));
}

TEST(string_ports) {
    v = fake_machine_start();
    put(DATA, "hello", 5);
    string(DATA, 0, 5, 7);
    v->regs[X86_RDX] = 0x3f8;
    CHECK_U64(PORT(0x3f8, 1, IO_REP, "\xf3\x6e"), ACTION_NEXT);
    CHECK_U64(last_length, 2);
    CHECK(fake_console_length == 5 && memcmp(fake_console, "hello", 5) == 0);
    CHECK_U64(v->regs[X86_RSI], DATA + 5);
    CHECK_U64(v->regs[X86_RAX], 7);
    static const char many[] = "more bytes than the ring has places, in one upcall";
    fake_console_length = 0;
    put(DATA, many, sizeof(many));
    string(DATA, 0, sizeof(many), 7);
    CHECK_U64(PORT(0x3f8, 1, IO_REP, "\xf3\x6e"), ACTION_NEXT);
    CHECK(fake_console_length == sizeof(many) && memcmp(fake_console, many, sizeof(many)) == 0);
    v->regs[X86_RDX] = BULKHEAD_BIOS_PORT;
    string(DATA, 0, 3, 7); /* one event each */
    CHECK_U64(PORT(BULKHEAD_BIOS_PORT, 4, IO_REP, "\xf3\x6f"), ACTION_NEXT);
    CHECK_U64(fake_public.bios_calls, 3);
    memset(ram(DATA), 0, 200);
    string(0, DATA, 70, 7);
    CHECK_U64(PORT(0x501, 1, IO_IN | IO_REP, "\xf3\x6c"), ACTION_NEXT);
    CHECK_U64(last_length, 0);
    CHECK_U64(v->regs[X86_RCX], 70 - LIMIT);
    CHECK_U64(PORT(0x501, 1, IO_IN | IO_REP, "\xf3\x6c"), ACTION_NEXT);
    CHECK_U64(last_length, 2);
    CHECK(*ram(DATA + 69) == 0xff && *ram(DATA + 70) == 0);
    CHECK_U64(v->public.refused[REFUSED_PORT], 70);
    CHECK_U64(v->regs[X86_RAX], 7);
    string(0, DATA + 100, 70, 7); /* REX.W does nothing */
    CHECK_U64(PORT(0x501, 4, IO_IN, "\x48\x6d"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RDI], DATA + 104);
    CHECK(*ram(DATA + 103) == 0xff && *ram(DATA + 104) == 0);
    /* Fault before the port is touched. */
    string(0, BIT(60), 1, 7);
    CHECK_U64(PORT(0x501, 1, IO_IN, "\x6c"), ACTION_RETRY);
    CHECK(faulted(X86_GP, 0));
    CHECK_U64(v->public.refused[REFUSED_PORT], 71);
    /* Code that another vCPU has changed: once more, with nothing done. */
    string(DATA, DATA, 1, 7);
    CHECK_U64(PORT(0x501, 1, IO_IN, "\x6e"), ACTION_RETRY);
    CHECK_U64(PORT(0x501, 1, IO_IN, "\x6d"), ACTION_RETRY);
    CHECK_U64(PORT(0x501, 1, IO_IN, "\x90"), ACTION_RETRY);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK_U64(v->public.refused[REFUSED_PORT], 71);
}

/* Real mode: segments, 16-bit wrap, limits; then data segments of protected mode. */
TEST(segments_of_strings) {
    v = fake_machine_start();
    fake_regs[HVM_CR0] = X86_CR0_ET;
    fake_regs[HVM_CR4] = fake_regs[HVM_EFER] = 0;
    fake_regs[HVM_RIP] = 0x100;
    for (unsigned s = HVM_ES; s <= HVM_GS; s++) {
        fake_segs[s] =
            (struct hvm_segment){.base = DATA + 0x10000 * s, .limit = 0xffff, .attr = 0x93};
    }
    fake_segs[HVM_CS] = (struct hvm_segment){.base = CODE, .limit = 0xffff, .attr = 0x9b};
    string(0xabcd0010, 0xabcd0020, 0xabcd0002, 0);
    CHECK_U64(PORT(0x501, 1, IO_IN | IO_REP, "\xf3\x6c"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RDI], 0xabcd0022);
    CHECK_U64(v->regs[X86_RCX], 0xabcd0000);
    CHECK(*ram(DATA + 0x20) == 0xff && *ram(DATA + 0x21) == 0xff && *ram(DATA + 0x22) == 0);
    put(DATA + 0x10000 * HVM_GS + 0x10, "g", 1);
    put(DATA + 0x10000 * HVM_DS + 0x10, "d", 1);
    CHECK_U64(PORT(0x3f8, 1, 0, "\x6e"), ACTION_NEXT);
    string(0x10, 0, 0, 0);
    CHECK_U64(PORT(0x3f8, 1, 0, "\x65\x6e"), ACTION_NEXT);
    CHECK(fake_console_length == 2 && memcmp(fake_console, "dg", 2) == 0);
    string(0, 0xffff, 0, 0); /* a word over the limit */
    CHECK_U64(PORT(0x501, 2, IO_IN, "\x6d"), ACTION_RETRY);
    CHECK(faulted(X86_GP, 0));
    string(0xffff, 0, 0, 0);
    CHECK_U64(PORT(0x501, 2, 0, "\x36\x6f"), ACTION_RETRY);
    CHECK(faulted(X86_SS, 0));
    string(0, 0xffff, 2, 0); /* wraps */
    CHECK_U64(PORT(0x501, 1, IO_IN | IO_REP, "\xf3\x6c"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RDI], 1);
    /* Type and limit: read-only, code, expand-down, none. */
    fake_regs[HVM_CR0] |= X86_CR0_PE;
    static const struct {
        uint32_t attr, limit, offset;
        bool write, read;
    } cases[] = {
        {0x93, 0xff, 0xff, true, true},   {0x93, 0xff, 0x100, false, false},
        {0x91, 0xff, 0xff, false, true},  {0x9b, 0xff, 0xff, false, true},
        {0x99, 0xff, 0xff, false, false}, {0x97, 0xff, 0xff, false, false},
        {0x97, 0xff, 0x100, true, true},  {0x10093, 0xff, 0, false, false},
        {0x95, 0xff, 0x100, false, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_segs[HVM_ES].attr = fake_segs[HVM_DS].attr = cases[i].attr;
        fake_segs[HVM_ES].limit = fake_segs[HVM_DS].limit = cases[i].limit;
        string(cases[i].offset, cases[i].offset, 0, 0);
        CHECK_U64(PORT(0x501, 1, IO_IN, "\x6c"), cases[i].write ? ACTION_NEXT : ACTION_RETRY);
        CHECK(cases[i].write || faulted(X86_GP, 0));
        CHECK_U64(PORT(0x501, 1, 0, "\x6e"), cases[i].read ? ACTION_NEXT : ACTION_RETRY);
        CHECK(cases[i].read || faulted(X86_GP, 0));
    }
}

static uint32_t regs_set_by(const char *code, size_t n) {
    fake_regs_set = fake_segs_set = 0;
    CHECK_U64(fault_at(LAPIC_BASE + 0x30, code, n), ACTION_NEXT);
    CHECK_U64(fake_segs_set, 0);
    return fake_regs_set;
}
#define REGS_SET(code) regs_set_by(code, sizeof(code) - 1)

/* Each register that is set costs an access to the control block. */
TEST(only_what_changes_is_set) {
    v = fake_machine_start();
    v->regs[X86_RBX] = LAPIC_BASE + 0x30;
    v->regs[X86_RCX] = 0;
    fake_regs[HVM_RSP] = DATA + 0x100;
    CHECK_U64(REGS_SET("\x39\x0b"), BIT32(HVM_RFLAGS)); /* CMP */
    CHECK_U64(REGS_SET("\x39\x0b"), 0);
    CHECK_U64(REGS_SET("\xff\x33"), BIT32(HVM_RSP)); /* PUSH */
    CHECK_U64(REGS_SET("\x8b\x03"), 0);              /* MOV */
    v->regs[X86_RCX] = UINT32_MAX;
    CHECK_U64(REGS_SET("\x39\x0b"), BIT32(HVM_RFLAGS));
}

TEST(push_and_pop) {
    v = fake_machine_start();
    v->regs[X86_RBX] = LAPIC_BASE + 0x30;
    fake_regs[HVM_RSP] = DATA + 0x100;
    memset(ram(DATA), 0xee, 0x200);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xff\x33"), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], DATA + 0xf8);
    CHECK(*ram(DATA + 0xf8) == 0x14 && *ram(DATA + 0xff) == 0 && *ram(DATA + 0x100) == 0xee);
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\x66\xff\x33"), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], DATA + 0xf6);
    /* POP into the TPR, whose address is computed from the RSP behind it. */
    put(DATA + 0x40, "\x29\0\0\0\0\0\0", 8);
    fake_regs[HVM_RSP] = DATA + 0x40;
    v->regs[X86_RDX] = LAPIC_BASE + 0x80 - (DATA + 0x48);
    CHECK_U64(FAULT(LAPIC_BASE + 0x80, "\x8f\x04\x14"), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x80), 0x29);
    CHECK_U64(fake_regs[HVM_RSP], DATA + 0x48);
    fake_regs[HVM_RSP] = BIT(60); /* the stack is nowhere */
    CHECK_U64(FAULT(LAPIC_BASE + 0x30, "\xff\x33"), ACTION_RETRY);
    CHECK(faulted(X86_SS, 0));
    CHECK_U64(fake_regs[HVM_RSP], BIT(60));
}

TEST(over_a_page_border) {
    v = fake_machine_start();
    memset(ram(FAKE_RAM - 8), 0x11, 8);
    v->regs[X86_RBX] = FAKE_RAM - 3;
    /* The fault is at the second page. */
    CHECK_U64(FAULT(FAKE_RAM, "\x48\x8b\x03"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0xffffffffff111111);
    v->regs[X86_RAX] = 0x0807060504030201;
    CHECK_U64(FAULT(FAKE_RAM, "\x48\x89\x03"), ACTION_NEXT);
    CHECK(memcmp(ram(FAKE_RAM - 4), "\x11\x01\x02\x03", 4) == 0);
    v->regs[X86_RAX] = 0x01010101;
    fake_regs[HVM_RFLAGS] = 3;
    CHECK_U64(FAULT(FAKE_RAM, "\x01\x03"), ACTION_NEXT); /* FF030201 + 01010101 carries */
    CHECK(memcmp(ram(FAKE_RAM - 4), "\x11\x02\x03\x04", 4) == 0);
    CHECK(fake_regs[HVM_RFLAGS] & 1);
    /* At the start of a page without crossing; and the first half on the device. */
    v->regs[X86_RBX] = IOAPIC_BASE;
    v->regs[X86_RAX] = 0x3e;
    CHECK_U64(FAULT(IOAPIC_BASE, "\x89\x03"), ACTION_NEXT);
    CHECK_U64(FAULT(IOAPIC_BASE, "\x8b\x0b"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 0x3e);
    v->regs[X86_RBX] = IOAPIC_BASE + 0xffd;
    CHECK_U64(FAULT(IOAPIC_BASE + 0xffd, "\x8b\x0b"), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RCX], 0xff000000);
    /* Two pages that are no neighbours. */
    map_small_pages();
    uint64_t apart = 0x680000 | PRESENT_WRITE;
    put(0x701000 + 256 * 8, &apart, 8);
    put(5 * MIB - 1, "\x0a", 1);
    put(0x680000, "\x0b\x0c\x0d", 3);
    string(5 * MIB - 1, LAPIC_BASE + 0x380, 1, 0);
    CHECK_U64(FAULT(LAPIC_BASE + 0x380, "\xa5"), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x380), 0x0d0c0b0a);
    string(0, 5 * MIB - 1, 1, 0);
    CHECK_U64(PORT(0x501, 2, IO_IN, "\x66\x6d"), ACTION_NEXT);
    CHECK(*ram(5 * MIB - 1) == 0xff && *ram(0x680000) == 0xff && *ram(0x680001) == 0x0c);
    /* The second half is not mapped. */
    map_small_pages();
    uint64_t nowhere = NOWHERE | PRESENT_WRITE;
    put(0x701000 + 255 * 8, &nowhere, 8);
    v->regs[X86_RBX] = 5 * MIB - 2;
    CHECK_U64(FAULT(NOWHERE + 0xffe, "\x8b\x0b"), ACTION_RETRY);
    CHECK(faulted(X86_PF, 0));
    CHECK_U64(fake_regs[HVM_CR2], 5 * MIB);
}

/* BT of a register reaches beyond the operand it names; here over the page border. */
TEST(bits_far_away) {
    v = fake_machine_start();
    memset(ram(FAKE_RAM - 8), 0, 8);
    *ram(FAKE_RAM - 2) = 0x10;
    v->regs[X86_RBX] = FAKE_RAM + 6;
    v->regs[X86_RCX] = (uint32_t)-40; /* one bit of FAKE_RAM + 6 - 8 = FAKE_RAM - 2 */
    fake_regs[HVM_RFLAGS] = 2;
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\xa3\x0b"), ACTION_NEXT); /* bit 24, beyond the border */
    CHECK(fake_regs[HVM_RFLAGS] & 1);
    v->regs[X86_RCX] = (uint32_t)-60; /* bit 4 */
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\xa3\x0b"), ACTION_NEXT);
    CHECK(fake_regs[HVM_RFLAGS] & 1);
    v->regs[X86_RCX] = (uint32_t)-61;
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\xa3\x0b"), ACTION_NEXT);
    CHECK(!(fake_regs[HVM_RFLAGS] & 1));
}

/* As far back as a 16-bit register tells: 4 KiB, over the border. */
TEST(the_farthest_bit) {
    v = fake_machine_start();
    *ram(FAKE_RAM - 1) = 0xfe;
    v->regs[X86_RBX] = FAKE_RAM + 4095;
    v->regs[X86_RCX] = 0x8000;
    fake_regs[HVM_RFLAGS] = 3;
    CHECK_U64(FAULT(FAKE_RAM, "\x66\x0f\xa3\x0b"), ACTION_NEXT);
    CHECK(!(fake_regs[HVM_RFLAGS] & 1));
    *ram(FAKE_RAM - 1) = 1;
    CHECK_U64(FAULT(FAKE_RAM, "\x66\x0f\xa3\x0b"), ACTION_NEXT);
    CHECK(fake_regs[HVM_RFLAGS] & 1);
}

/* The number is signed, of the operand's size: all but its highest bit is forward. */
TEST(the_sign_of_a_bit) {
    static const struct {
        uint64_t number, back;
        const char *code;
    } acts[] = {
        {0x40000000, 0 - 0x8000000ull, "\x0f\xa3\x0b"},
        {0x80000000, 0x10000000, "\x0f\xa3\x0b"},
        {0x4000, 0 - 0x800ull, "\x66\x0f\xa3\x0b"},
        {0x4000000000000000, 0 - 0x800000000000000ull, "\x48\x0f\xa3\x0b"},
        {0x8000000000000000, 0x1000000000000000, "\x48\x0f\xa3\x0b"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(acts); i++) {
        for (unsigned bit = 0; bit < 2; bit++) {
            v = fake_machine_start();
            *ram(FAKE_RAM - 1) = (uint8_t)(0xfe | bit); /* the rest is not memory */
            v->regs[X86_RBX] = FAKE_RAM - 1 + acts[i].back;
            v->regs[X86_RCX] = acts[i].number;
            fake_regs[HVM_RFLAGS] = 2;
            CHECK_U64(fault_at(FAKE_RAM, acts[i].code, strlen(acts[i].code)), ACTION_NEXT);
            CHECK_U64(fake_regs[HVM_RFLAGS] & 1, bit);
        }
    }
}

/* BTS writes there, and nothing else of the operand changes. */
TEST(bits_far_away_written) {
    v = fake_machine_start();
    memset(ram(FAKE_RAM - 16), 0, 16);
    v->regs[X86_RBX] = FAKE_RAM + 6;
    v->regs[X86_RCX] = (uint32_t)-60;
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\xab\x0b"), ACTION_NEXT);
    CHECK_U64(*ram(FAKE_RAM - 2), 0x10);
    CHECK_U64(*ram(FAKE_RAM - 1), 0);
    CHECK_U64(FAULT(FAKE_RAM, "\x0f\xbb\x0b"), ACTION_NEXT);
    CHECK_U64(*ram(FAKE_RAM - 2), 0);
    v->regs[X86_RBX] = FAKE_RAM + 12;
    v->regs[X86_RCX] = 0 - 128ull; /* two quad words back: half of it in memory */
    CHECK_U64(FAULT(FAKE_RAM, "\x48\x0f\xab\x0b"), ACTION_NEXT);
    CHECK_U64(*ram(FAKE_RAM - 4), 1);
}

/* The same RIP with other code, another page, another address space: each must be seen at once. */
TEST(nothing_stale_is_executed) {
    v = fake_machine_start();
    map_small_pages();
    fake_regs[HVM_RIP] = 4 * MIB;
    v->regs[X86_RBX] = LAPIC_BASE + 0x30;
    for (unsigned level = 0; level < 5; level++) {
        struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(LAPIC_BASE + 0x30)}};
        for (unsigned i = 0; i < 3; i++) { /* mov (%rbx), %eax until it is remembered */
            v->regs[X86_RAX] = v->regs[X86_RCX] = 0;
            put(4 * MIB, "\x8b\x03\x90", 3);
            CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
            CHECK(v->regs[X86_RAX] != 0 && v->regs[X86_RCX] == 0);
        }
        /* Elsewhere: mov (%rbx), %ecx, found through each level of tables in turn. */
        put(0x500000, "\x8b\x0b\x90", 3);
        const uint64_t entries[5][2] = {{0x701000, 0x500000},
                                        {0x700010, 0x702000},
                                        {0x101000, 0x703000},
                                        {0x100000, 0x704000},
                                        {0, 0}};
        uint64_t old, new = entries[level][1] | PRESENT_WRITE, leaf = 0x500000 | PRESENT_WRITE;
        uint64_t table = 0x702000 | PRESENT_WRITE, directory = 0x703000 | PRESENT_WRITE;
        put(0x702000, &leaf, 8);
        put(0x703010, &table, 8);
        put(0x704000, &directory, 8);
        uint64_t root = 0x704000 | PRESENT_WRITE;
        put(0x705000, &root, 8);
        memcpy(&old, ram(entries[level][0]), 8);
        if (level < 4) {
            put(entries[level][0], &new, 8);
        } else {
            fake_regs[HVM_CR3] = 0x705000;
        }
        v->regs[X86_RAX] = v->regs[X86_RCX] = 0;
        CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
        CHECK(v->regs[X86_RAX] == 0 && v->regs[X86_RCX] != 0);
        if (level < 4) {
            put(entries[level][0], &old, 8);
        }
        fake_regs[HVM_CR3] = 0x100000;
    }
    /* The bytes themselves, each of them. */
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(LAPIC_BASE + 0x80)}};
    put(4 * MIB, "\xc7\x03\x11\0\0\0", 6);
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    put(4 * MIB, "\xc7\x03\x22\0\0\0", 6);
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x80), 0x22);
}

static unsigned gets;
static uint64_t count_get(struct vcpu *vcpu, enum hvm_reg r) {
    gets++;
    return fake_get(vcpu, r);
}

TEST(the_second_time_needs_no_walk) {
    v = fake_machine_start();
    CHECK_U64(FAULT(LAPIC_BASE + 0x80, "\x8b\x03"), ACTION_NEXT);
    fake_ops.get = count_get;
    struct vmexit x = {.kind = EXIT_NESTED_FAULT, .fault = {.gpa = GPA(LAPIC_BASE + 0x80)}};
    for (unsigned i = 0; i < 8; i++) { /* whatever stands behind it; four places in turn */
        fake_regs[HVM_RIP] = CODE + 100 * (i % 4);
        put(CODE + 100 * (i % 4), "\x8b\x03\x01\x02", 4);
        gets = 0;
        CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
        CHECK_U64(x.insn_len, 2);
        CHECK((i % 4 == 0 || i >= 4) == (gets == 0));
    }
    fake_ops.get = fake_get;
}

/* Whatever code and registers are, each exit ends, and nothing outside the guest is touched. */
TEST(random_code) {
    uint64_t r = 0x853c49e6748fea9b;
    unsigned next = 0;
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa6, 0xaa, 0xab, 0xac, 0xae, 0x6c, 0x6d, 0x6e,
                                      0x6f, 0xff, 0x8f, 0x0f, 0x89, 0x8b, 0x01, 0xf7, 0xf3, 0x67,
                                      0xad, 0xaf, 0xd3, 0xc1, 0x8c, 0x66, 0x0f, 0x0f};
    v = fake_machine_start();
    map_small_pages();
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t code[16];
        for (unsigned j = 0; j < 16; j++) {
            (void)random_next(&r);
            code[j] = (uint8_t)(r >> 20);
            bool wild = (r >> 40 & 7) == 0;
            v->regs[j] = wild ? r : (r >> 43 & 1) != 0 ? NOWHERE + (r & 0xfff) : r & 0x8fffff;
        }
        code[0] = (r & 3) == 0 ? 0xf3 : (r & 3) == 1 ? 0x67 : code[0];
        code[r & 1] = opcodes[(r >> 8) % sizeof(opcodes)];
        fake_regs[HVM_RSP] = v->regs[5];
        fake_regs[HVM_RFLAGS] = (r >> 10 & 0xcd5) | 2;
        fake_regs[HVM_RIP] = CODE;
        fake_segs[HVM_CS].attr = (r >> 30 & 3) == 0 ? 0xc09b : 0xa09b;
        fake_segs[HVM_CS].limit = UINT32_MAX;
        put(CODE, code, sizeof(code));
        v->event.type = EVENT_NONE;
        fake_vm->leave = LEAVE_NONE;
        struct vmexit x = {.kind = (r & 4) == 0 ? EXIT_IO : EXIT_NESTED_FAULT};
        if (x.kind == EXIT_IO) {
            x.io = (struct exit_io){.port = 0x501,
                                    .size = (uint8_t)(1u << (r >> 50) % 3),
                                    .flags = (uint8_t)(IO_STRING | (r >> 52 & 1))};
        } else {
            x.fault.gpa = GPA(NOWHERE + (r >> 33 & 0xfff));
        }
        next += fake_exit(v, &x) == ACTION_NEXT;
    }
    CHECK(next > 10000);
    printf("# %u of 100000 carried out\n", next);
}

TEST_MAIN(T(rep_stos_in_pieces), T(movs_between_memory_and_device), T(movs_over_many_registers),
          T(memory_above_4_gib), T(others_stop_the_vm), T(lods_and_scas),
          T(cmps_of_memory_and_device), T(comparing_does_not_write), T(smsw_and_segments_to_memory),
          T(vectors), T(vectors_that_fault), T(faults_in_the_middle), T(privileges_of_memory),
          T(string_ports), T(segments_of_strings), T(only_what_changes_is_set), T(push_and_pop),
          T(over_a_page_border), T(bits_far_away), T(the_farthest_bit), T(the_sign_of_a_bit),
          T(bits_far_away_written), T(nothing_stale_is_executed), T(the_second_time_needs_no_walk),
          T(random_code))
