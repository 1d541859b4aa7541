/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The emulator by its door alone, with neither a vCPU nor a VM behind it: each outcome, what it may
 * ask for, and random exits over random code, tables and state. The RAM's two regions are pieces of
 * memory of their own, so that the sanitizer sees every byte that is touched outside of them.
 */
#include "hv/compartment/emulate/emulate.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

#define LOW_SIZE  0x8000u
#define HIGH      0x100000u
#define HIGH_SIZE 0x2000u
#define DEVICE    0xfec00000u /* any place without RAM */
#define CODE      0x4000u
#define REASONABLE_FAULTS                                                                          \
    (BIT(X86_UD) | BIT(X86_NM) | BIT(X86_TS) | BIT(X86_NP) | BIT(X86_SS) | BIT(X86_GP) |           \
     BIT(X86_PF))

static uint64_t state[HVM_REG_COUNT], vectors[16][2];
/* Behind the registers there are none: their numbers go up to INSN_NO_REG. */
static struct { uint64_t own[16], others[INSN_NO_REG - 15]; } registers;
static struct hvm_segment segments[HVM_SEG_COUNT];
static uint8_t *low, *high;
static struct guest_region regions[2];
static struct vmexit x;
static struct emulation e;
static struct hvm_code place;
static unsigned accesses, last_size;
static uint64_t last_at, last_value;
static enum bus_space last_space;

static uint64_t get(void *context, enum hvm_reg r) {
    CHECK(context == &e && r < HVM_REG_COUNT);
    return state[r];
}

static void set(void *context, enum hvm_reg r, uint64_t value) {
    CHECK(context == &e && r < HVM_REG_COUNT);
    state[r] = value;
}

static void get_segment(UNUSED void *context, enum hvm_seg s, struct hvm_segment *out) {
    CHECK(s < HVM_SEG_COUNT);
    *out = segments[s];
}

static void set_segment(UNUSED void *context, enum hvm_seg s, const struct hvm_segment *in) {
    CHECK(s < HVM_SEG_COUNT);
    segments[s] = *in;
}

static uint32_t get_pkru(UNUSED void *context) {
    return 0;
}

static void note_access(enum bus_space space, uint64_t at, unsigned size) {
    bool fits = size == 1 || size == 2 || size == 4 || (size == 8 && space == BUS_MEMORY);
    bool port = space == BUS_PORT && x.kind == EXIT_IO && at == x.io.port && size == x.io.size;
    CHECK(fits);
    CHECK(port || (space == BUS_MEMORY && guest_memory_at(&e.memory, GPA(at), size) == NULL));
    accesses++;
    last_space = space;
    last_at = at;
    last_size = size;
}

static uint64_t bus_read(UNUSED void *context, enum bus_space space, uint64_t at, unsigned size) {
    note_access(space, at, size);
    return 0x8877665544332211;
}

static void bus_write(UNUSED void *context, enum bus_space space, uint64_t at, unsigned size,
                      uint64_t value) {
    note_access(space, at, size);
    CHECK(size == 8 || value >> (8 * size) == 0);
    last_value = value;
}

static void get_vector(UNUSED void *context, unsigned reg, uint64_t out[2]) {
    CHECK(reg < 16);
    memcpy(out, vectors[reg], sizeof(vectors[reg]));
}

static void set_vector(UNUSED void *context, unsigned reg, const uint64_t in[2]) {
    CHECK(reg < 16);
    memcpy(vectors[reg], in, sizeof(vectors[reg]));
}

static const struct emulation_ops ops = {
    .get = get,
    .set = set,
    .get_segment = get_segment,
    .set_segment = set_segment,
    .get_pkru = get_pkru,
    .read = bus_read,
    .write = bus_write,
    .get_vector = get_vector,
    .set_vector = set_vector,
};

/* 32-bit code without paging at CODE, flat. */
static void start(void) {
    if (low == NULL) {
        low = aligned_alloc(PAGE_SIZE, LOW_SIZE);
        high = aligned_alloc(PAGE_SIZE, HIGH_SIZE);
    }
    memset(low, 0, LOW_SIZE);
    memset(high, 0, HIGH_SIZE);
    memset(registers.own, 0, sizeof(registers.own));
    memset(registers.others, 0x5a, sizeof(registers.others));
    memset(state, 0, sizeof(state));
    memset(&e, 0, sizeof(e));
    regions[0] = (struct guest_region){.gpa = 0, .size = LOW_SIZE, .at = low};
    regions[1] = (struct guest_region){.gpa = HIGH, .size = HIGH_SIZE, .at = high};
    e.ops = &ops;
    e.context = &e;
    e.regs = registers.own;
    e.memory = (struct guest_memory){.regions = regions, .count = ARRAY_SIZE(regions)};
    e.phys_bits = 40;
    e.exit = &x;
    e.code = &place;
    state[HVM_CR0] = X86_CR0_PE;
    state[HVM_RFLAGS] = X86_RFLAGS_FIXED;
    for (unsigned s = 0; s < HVM_SEG_COUNT; s++) {
        segments[s] = (struct hvm_segment){
            .limit = UINT32_MAX, .attr = s == HVM_CS ? 0xc09b : 0xc093, .selector = 8};
    }
    accesses = 0;
}

/* The code's place is the exit's to tell. */
static void put_code(uint64_t rip, const char *bytes, size_t n) {
    memcpy(low + rip, bytes, n);
    state[HVM_RIP] = rip;
    place = (struct hvm_code){.rip = rip, .cr3 = state[HVM_CR3]};
}

static enum emulated memory_exit(const char *bytes, size_t n) {
    put_code(CODE, bytes, n);
    x = (struct vmexit){.kind = EXIT_NESTED_FAULT, .insn_len = 99, .fault = {.gpa = GPA(DEVICE)}};
    return emulate_memory(&e);
}
#define MEMORY(bytes) memory_exit(bytes, sizeof(bytes) - 1)

/* A device sees an access as the instruction makes it, and parts of 8 bytes of larger ones. */
TEST(sizes_that_a_device_sees) {
    static const struct {
        const char *code;
        unsigned length, accesses, size;
    } rows[] = {
        {"\x8a\x0b", 2, 1, 1},         /* mov (%ebx), %cl */
        {"\x66\x8b\x0b", 3, 1, 2},     /* mov (%ebx), %cx */
        {"\x8b\x0b", 2, 1, 4},         /* mov (%ebx), %ecx */
        {"\xf3\x0f\x7e\x03", 4, 1, 8}, /* movq (%ebx), %xmm0 */
        {"\x0f\x10\x03", 3, 2, 8},     /* movups (%ebx), %xmm0 */
        {"\x0f\x11\x03", 3, 2, 8},     /* movups %xmm0, (%ebx) */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        start();
        state[HVM_CR4] = BIT(9); /* OSFXSR */
        registers.own[X86_RBX] = DEVICE;
        CHECK_U64(memory_exit(rows[i].code, rows[i].length), EMULATED_NEXT);
        CHECK_U64(accesses, rows[i].accesses);
        CHECK_U64(last_size, rows[i].size);
        CHECK_U64(last_at, DEVICE + (rows[i].accesses - 1) * rows[i].size);
    }
}

TEST(a_read_and_a_write) {
    start();
    registers.own[X86_RBX] = DEVICE;
    CHECK_U64(MEMORY("\x66\x8b\x0b"), EMULATED_NEXT); /* mov (%ebx), %cx */
    CHECK_U64(x.insn_len, 3);
    CHECK_U64(registers.own[X86_RCX], 0x2211);
    CHECK(last_space == BUS_MEMORY && last_at == DEVICE && last_size == 2);
    registers.own[X86_RCX] = 0x1234567890;
    CHECK_U64(MEMORY("\x89\x0b"), EMULATED_NEXT);
    CHECK_U64(last_value, 0x34567890);
    CHECK_U64(accesses, 2);
}

TEST(each_outcome) {
    start();
    registers.own[X86_RSI] = DEVICE;
    registers.own[X86_RDI] = 0x100;
    segments[HVM_ES].limit = 0x10;
    CHECK_U64(MEMORY("\xa5"), EMULATED_FAULT); /* movs */
    CHECK_U64(e.fault.vector, X86_GP);
    CHECK_U64(accesses, 0);
    CHECK_U64(MEMORY("\x0f\x0b"), EMULATED_CRASH);
    CHECK_U64(e.crash, CRASH_INSTRUCTION);
    /* Paging on, nothing mapped where the other operand is. */
    start();
    registers.own[X86_RSI] = DEVICE;
    registers.own[X86_RDI] = 0x7654321;
    state[HVM_CR0] |= X86_CR0_PG;
    state[HVM_CR3] = 0x1000;
    state[HVM_CR4] = X86_CR4_PSE;
    uint32_t flat = 0x83, device = (DEVICE & 0xffc00000) | 0x83;
    memcpy(low + 0x1000, &flat, 4);
    memcpy(low + 0x1000 + 4 * (DEVICE >> 22), &device, 4);
    CHECK_U64(MEMORY("\xa5"), EMULATED_FAULT);
    CHECK_U64(e.fault.vector, X86_PF);
    CHECK_U64(e.fault.error, 2);
    CHECK_U64(e.fault.address, 0x7654321);
    CHECK_U64(state[HVM_CR2], 0); /* the core's to set */
    uint32_t nowhere = 0x700001;
    memcpy(low + 0x1000 + 4 * (0x7654321 >> 22), &nowhere, 4);
    CHECK_U64(MEMORY("\xa5"), EMULATED_CRASH);
    CHECK_U64(e.crash, CRASH_TABLES);
    /* What stands there is not what exited. */
    start();
    put_code(CODE, "\x6e", 1); /* outsb */
    x = (struct vmexit){.kind = EXIT_IO, .io = {0x80, 1, IO_IN | IO_STRING}};
    CHECK_U64(emulate_port(&e), EMULATED_RETRY);
    x.io.flags = IO_STRING;
    CHECK_U64(emulate_port(&e), EMULATED_NEXT);
    CHECK(last_space == BUS_PORT && last_at == 0x80);
    x = (struct vmexit){.kind = EXIT_CPUID};
    CHECK_U64(emulate_length(&e), EMULATED_RETRY);
}

/* The CPU keeps RSP, also where the instruction's only operand is that. */
TEST(lmsw_of_the_stack_pointer) {
    start();
    state[HVM_RSP] = 0x8765;
    registers.own[X86_RSP] = 0x1111;
    put_code(CODE, "\x0f\x01\xf4", 3); /* lmsw %sp */
    x = (struct vmexit){.kind = EXIT_CR, .cr = {.access = CR_WRITE}};
    CHECK_U64(emulate_length(&e), EMULATED_NEXT);
    CHECK_U64(x.cr.access, CR_LMSW);
    CHECK_U64(x.cr.lmsw, 0x8765);
    CHECK_U64(x.insn_len, 3);
}

/* An operand that begins in RAM and ends behind it, and RAM that begins behind nothing. */
TEST(the_regions_are_the_limit) {
    start();
    registers.own[X86_RBX] = LOW_SIZE - 3;
    registers.own[X86_RCX] = 0xaabbccdd;
    CHECK_U64(MEMORY("\x89\x0b"), EMULATED_NEXT); /* the fault is said to be elsewhere */
    x.fault.gpa = GPA(LOW_SIZE);
    CHECK_U64(emulate_memory(&e), EMULATED_NEXT);
    CHECK_U64(low[LOW_SIZE - 3], 0xdd);
    CHECK_U64(low[LOW_SIZE - 1], 0xbb);
    CHECK_U64(last_at, LOW_SIZE);
    CHECK_U64(last_size, 1);
    CHECK_U64(last_value, 0xaa);
    x.fault.gpa = GPA(HIGH - 0x1000);
    registers.own[X86_RBX] = HIGH - 1;
    x.fault.gpa = GPA(HIGH - 1);
    CHECK_U64(emulate_memory(&e), EMULATED_NEXT);
    CHECK_U64(high[0], 0xcc);
    CHECK_U64(high[2], 0xaa);
    CHECK_U64(last_value, 0xdd);
    uint8_t code[15];
    put_code(LOW_SIZE - 4, "\x01\x02\x03\x04", 4);
    CHECK_U64(emulate_code(&e, code, sizeof(code)), 4);
    CHECK_U64(code[3], 4);
}

TEST(no_pointer_over_a_regions_end) {
    start();
    const struct guest_memory *m = &e.memory;
    CHECK(guest_memory_at(m, GPA(LOW_SIZE - 4), 4) == low + LOW_SIZE - 4);
    CHECK(guest_memory_at(m, GPA(LOW_SIZE - 4), 5) == NULL);
    CHECK(guest_memory_at(m, GPA(LOW_SIZE), 1) == NULL);
    CHECK(guest_memory_at(m, GPA(HIGH - 1), 1) == NULL);
    CHECK(guest_memory_at(m, GPA(HIGH), HIGH_SIZE) == high);
    CHECK(guest_memory_at(m, GPA(HIGH), HIGH_SIZE + 1) == NULL);
    CHECK(guest_memory_at(m, GPA(HIGH + 1), UINT64_MAX) == NULL);
    CHECK(guest_memory_at(m, GPA(UINT64_MAX), 2) == NULL);
    /* 64-bit code in a region's last page is not remembered: comparing it would read behind. */
    const uint64_t entry = HIGH + 0x1000, flags = 3;
    const uint64_t tables[] = {0x2000 | flags, 0x3000 | flags, 0x4000 | flags, entry | flags};
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        memcpy(low + 0x1000 * (i + 1), &tables[i], 8);
    }
    state[HVM_CR0] |= X86_CR0_PG;
    state[HVM_CR4] = X86_CR4_PAE;
    state[HVM_EFER] = X86_EFER_LME | X86_EFER_LMA;
    place = (struct hvm_code){.rip = 0xffe, .cr3 = 0x1000, .is_64_bit = true};
    state[HVM_CR3] = 0x1000;
    memcpy(high + 0x1ffe, "\x0f\xa2", 2);
    for (unsigned i = 0; i < 2; i++) {
        x = (struct vmexit){.kind = EXIT_CPUID};
        CHECK_U64(emulate_length(&e), EMULATED_NEXT);
        CHECK_U64(x.insn_len, 2);
    }
}

/* ---- random exits ---- */

static uint64_t random_word(void) {
    static uint64_t r = 0x9e3779b97f4a7c15;
    return random_next(&r);
}

/* An address of interest: near the ends of pages and regions, or of a device. */
static uint64_t random_address(void) {
    static const uint64_t near[] = {0, 0x1000, 0x4000, LOW_SIZE, HIGH, HIGH + HIGH_SIZE, DEVICE};
    uint64_t r = random_word();
    return (r & 7) == 7 ? random_word() : near[r & 7] + (r >> 8 & 31) - 16;
}

/* The first bytes of instructions that the decoder knows, prefixes before some. */
static void random_code(uint8_t *at) {
    static const uint8_t known[] = {0x88, 0x89, 0x8a, 0x8b, 0xa4, 0xa5, 0xa6, 0xaa, 0xab, 0xac,
                                    0xae, 0x00, 0x81, 0x83, 0x84, 0x86, 0xc6, 0xd1, 0xf7, 0xfe,
                                    0xff, 0x8f, 0x8c, 0x6c, 0x6d, 0x6e, 0x6f, 0xa0, 0xa2, 0x63};
    static const uint8_t second[] = {0x10, 0x11, 0x6f, 0x7f, 0xb6, 0xbe, 0xb0, 0xc0, 0xc3, 0x01,
                                     0xba, 0xa3, 0x40, 0x90, 0x20, 0x22, 0xa2, 0x30, 0x32, 0xe7};
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x48, 0x36};
    for (unsigned i = 0; i < 15; i++) {
        at[i] = (uint8_t)(random_word() >> 20);
    }
    for (uint64_t r = random_word(); (r & 3) == 0; r = random_word()) {
        *at++ = prefixes[r >> 10 & 7];
    }
    if ((random_word() >> 30 & 1) != 0) {
        *at++ = 0x0f;
        *at = second[random_word() >> 20 & 0xff & (ARRAY_SIZE(second) - 1)];
    } else {
        *at = known[(random_word() >> 20) % ARRAY_SIZE(known)];
    }
}

static void random_state(void) {
    start();
    for (unsigned i = 0; i < 16; i++) {
        registers.own[i] = random_address();
    }
    uint64_t r = random_word();
    bool is_long = (r & 3) == 0;
    state[HVM_RSP] = random_address();
    state[HVM_RFLAGS] |= r & (X86_RFLAGS_DF | X86_RFLAGS_TF | X86_RFLAGS_AC);
    state[HVM_CR0] |= (r >> 20 & 1) != 0 || is_long ? X86_CR0_PG : 0;
    state[HVM_CR0] |= r & (X86_CR0_WP | X86_CR0_TS | X86_CR0_EM) & random_word();
    state[HVM_CR3] = r & 0x3000;
    state[HVM_CR4] = random_word() & (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMAP | X86_CR4_SMEP);
    state[HVM_CR4] |= X86_CR4_OSFXSR | (is_long ? X86_CR4_PAE : 0);
    state[HVM_EFER] = is_long ? X86_EFER_LMA | X86_EFER_LME | X86_EFER_NXE : 0;
    for (unsigned s = 0; s < HVM_SEG_COUNT; s++) {
        if ((random_word() >> 40 & 7) == 0) {
            segments[s] = (struct hvm_segment){.base = random_address(),
                                               .limit = (uint32_t)random_address(),
                                               .attr = (uint32_t)random_word() & 0x1f0ff,
                                               .selector = (uint16_t)random_word()};
        }
    }
    /* Tables that lead to somewhere, often. */
    for (unsigned i = 0; i < 0x4000; i += 8) {
        uint64_t entry = (random_word() & 0x7000) | 0x63 | (random_word() & 0x84);
        memcpy(low + i, &entry, sizeof(entry));
    }
    random_code(low + CODE);
    put_code((r >> 50 & 15) == 0 ? random_address() % LOW_SIZE : CODE, "", 0);
    place.is_64_bit = is_long && (r >> 51 & 3) != 0;
}

static void check_outcome(enum emulated outcome) {
    CHECK(outcome <= EMULATED_CRASH);
    CHECK(outcome != EMULATED_NEXT || x.insn_len <= INSN_MAX_LENGTH);
    CHECK(outcome != EMULATED_CRASH || e.crash < CRASHES);
    CHECK(outcome != EMULATED_FAULT || (REASONABLE_FAULTS >> e.fault.vector & 1) != 0);
    CHECK(outcome != EMULATED_FAULT || e.fault.vector == X86_PF || e.fault.address == 0);
}

/* Whatever the guest has set up, each exit ends, in one of the ways there are. */
TEST(random_exits) {
    static const uint8_t lengths[] = {EXIT_CPUID, EXIT_CR, EXIT_RDMSR, EXIT_HYPERCALL};
    unsigned seen[EMULATED_CRASH + 1] = {0};
    unsigned failures = test_failures;
    for (unsigned i = 0; i < 60000 && test_failures == failures; i++) {
        random_state();
        uint64_t r = random_word();
        uint64_t before[16];
        enum emulated outcome;
        memcpy(before, registers.own, sizeof(before));
        memset(&x, 0, sizeof(x));
        if ((r & 15) < 10) {
            x.kind = EXIT_NESTED_FAULT;
            x.fault.gpa = GPA(DEVICE + (r >> 8 & 0xfff));
            outcome = emulate_memory(&e);
        } else if ((r & 15) < 13) {
            x.kind = EXIT_IO;
            x.io = (struct exit_io){.port = (uint16_t)(r >> 8),
                                    .size = (uint8_t)(1u << (r >> 30) % 3),
                                    .flags = (uint8_t)(IO_STRING | (r >> 40 & 1))};
            outcome = emulate_port(&e);
        } else if ((r & 15) < 15) {
            x.kind = (enum exit_kind)lengths[r >> 8 & 3];
            x.cr.access = r >> 20 & 1;
            outcome = emulate_length(&e);
        } else {
            x.kind = EXIT_TASK_SWITCH;
            x.task.selector = (uint16_t)(r >> 8 & 0xff);
            x.task.source = r >> 20 & 3;
            x.task.event.type = EVENT_NONE;
            outcome = emulate_task_switch(&e);
        }
        check_outcome(outcome);
        seen[outcome]++;
        registers.own[X86_RSP] = before[X86_RSP]; /* its slot is free to use */
        bool none = outcome == EMULATED_RETRY || outcome == EMULATED_CRASH;
        CHECK(!none || e.task_switched || accesses != 0 ||
              memcmp(before, registers.own, sizeof(registers.own)) == 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
        CHECK(seen[i] != 0 || i == EMULATED_DONE); /* a whole task is beyond chance */
    }
    printf("# %u next, %u again, %u faults, %u crashes\n", seen[EMULATED_NEXT],
           seen[EMULATED_RETRY], seen[EMULATED_FAULT], seen[EMULATED_CRASH]);
}

TEST_MAIN(T(a_read_and_a_write), T(sizes_that_a_device_sees), T(each_outcome),
          T(lmsw_of_the_stack_pointer), T(the_regions_are_the_limit),
          T(no_pointer_over_a_regions_end), T(random_exits))
