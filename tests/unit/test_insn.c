/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder's statuses and addresses, and the emulation of each instruction against the CPU this
 * test runs on: the same bytes are executed natively with the same registers, flags and memory.
 */
#include <sys/mman.h>

#include "hv/compartment/emulate/insn.h"
#include "hv/compartment/emulate/mmio_op.h"
#include "hv/lib/x86.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

#define ROUNDS 200000u

static uint64_t random_state = 0x853c49e6748fea9b;

static uint64_t random_u64(void) {
    return random_next(&random_state) * 0x2545f4914f6cdd1d;
}

/* As the handler of nested faults does. */
static enum status decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *in) {
    return insn_decode(bytes, n, mode, EXIT_NESTED_FAULT, in);
}

struct status_case {
    const char *what;
    uint8_t bytes[16];
    size_t n;
    unsigned mode;
    enum status want;
    unsigned length;
};

static const struct status_case status_cases[] = {
    {"mov [rdi], eax", {0x89, 0x07}, 2, 64, STATUS_OK, 2},
    {"nothing", {0}, 0, 64, STATUS_NOT_FOUND, 0},
    {"prefix only", {0x66}, 1, 64, STATUS_NOT_FOUND, 0},
    {"no ModRM", {0x89}, 1, 64, STATUS_NOT_FOUND, 0},
    {"0F alone", {0x0f}, 1, 64, STATUS_NOT_FOUND, 0},
    {"displacement cut", {0x89, 0x87, 0, 0, 0}, 5, 64, STATUS_NOT_FOUND, 0},
    {"SIB missing", {0x89, 0x04}, 2, 64, STATUS_NOT_FOUND, 0},
    {"immediate cut", {0xc7, 0x07, 1, 2, 3}, 5, 64, STATUS_NOT_FOUND, 0},
    {"moffs cut", {0xa1, 1, 2, 3, 4, 5, 6, 7}, 8, 64, STATUS_NOT_FOUND, 0},
    {"14 prefixes and an opcode that needs more",
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x89,
      0x07},
     16,
     64,
     STATUS_INVALID,
     0},
    {"13 prefixes and two bytes",
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x89, 0x07},
     15,
     64,
     STATUS_OK,
     15},
    {"lock mov", {0xf0, 0x89, 0x07}, 3, 64, STATUS_INVALID, 0},
    {"lock cmp", {0xf0, 0x39, 0x07}, 3, 64, STATUS_INVALID, 0},
    {"lock add reg, mem", {0xf0, 0x03, 0x07}, 3, 64, STATUS_INVALID, 0},
    {"lock add mem, reg", {0xf0, 0x01, 0x07}, 3, 64, STATUS_OK, 3},
    {"lock xchg", {0xf0, 0x87, 0x07}, 3, 64, STATUS_OK, 3},
    {"register form", {0x89, 0xc0}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"arpl", {0x63, 0x07}, 2, 32, STATUS_UNSUPPORTED, 0},
    {"movsxd without REX.W", {0x63, 0x07}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"not", {0xf7, 0x17}, 2, 64, STATUS_OK, 2},
    {"lock not", {0xf0, 0xf7, 0x17}, 3, 64, STATUS_OK, 3},
    {"lock shl", {0xf0, 0xd1, 0x27}, 3, 64, STATUS_INVALID, 0},
    {"F7 alone: which one is in ModRM", {0xf7}, 1, 64, STATUS_NOT_FOUND, 0},
    {"0F 38 alone", {0x0f, 0x38}, 2, 64, STATUS_NOT_FOUND, 0},
    {"movbe", {0x0f, 0x38, 0xf0, 0x07}, 4, 64, STATUS_OK, 4},
    {"crc32", {0xf2, 0x0f, 0x38, 0xf0, 0x07}, 5, 64, STATUS_UNSUPPORTED, 0},
    {"movnti", {0x0f, 0xc3, 0x07}, 3, 64, STATUS_OK, 3},
    {"66 movnti", {0x66, 0x0f, 0xc3, 0x07}, 4, 64, STATUS_UNSUPPORTED, 0},
    {"cmov", {0x0f, 0x4f, 0x07}, 3, 64, STATUS_OK, 3},
    {"lock cmov", {0xf0, 0x0f, 0x4f, 0x07}, 4, 64, STATUS_INVALID, 0},
    {"setcc", {0x0f, 0x95, 0x07}, 3, 64, STATUS_OK, 3},
    {"lock cmpxchg", {0xf0, 0x0f, 0xb1, 0x07}, 4, 64, STATUS_OK, 4},
    {"lock xadd", {0xf0, 0x0f, 0xc1, 0x07}, 4, 64, STATUS_OK, 4},
    {"mov [rdi], gs", {0x8c, 0x2f}, 2, 64, STATUS_OK, 2},
    {"mov [rdi], the seventh segment", {0x8c, 0x37}, 2, 64, STATUS_INVALID, 0},
    {"mov ds, [rdi]", {0x8e, 0x1f}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"smsw [rdi]", {0x0f, 0x01, 0x27}, 3, 64, STATUS_OK, 3},
    {"movups", {0x0f, 0x10, 0x07}, 3, 64, STATUS_OK, 3},
    {"lock movups", {0xf0, 0x0f, 0x11, 0x07}, 4, 64, STATUS_INVALID, 0},
    {"mmx movq", {0x0f, 0x6f, 0x07}, 3, 64, STATUS_UNSUPPORTED, 0},
    {"movhlps", {0x0f, 0x12, 0xc1}, 3, 64, STATUS_UNSUPPORTED, 0},
    {"addps", {0x0f, 0x58, 0x07}, 3, 64, STATUS_UNSUPPORTED, 0},
    {"mul", {0xf7, 0x27}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"test, the other encoding", {0xf6, 0x0f, 1}, 3, 64, STATUS_UNSUPPORTED, 0},
    {"call", {0xff, 0x17}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"push byte", {0xfe, 0x37}, 2, 64, STATUS_UNSUPPORTED, 0},
    {"push", {0xff, 0x37}, 2, 64, STATUS_OK, 2},
    {"lock push", {0xf0, 0xff, 0x37}, 3, 64, STATUS_INVALID, 0},
    {"bt", {0x0f, 0xa3, 0x07}, 3, 64, STATUS_OK, 3},
    {"bt, imm8", {0x0f, 0xba, 0x27, 3}, 4, 64, STATUS_OK, 4},
    {"0F BA /3", {0x0f, 0xba, 0x1f, 3}, 4, 64, STATUS_UNSUPPORTED, 0},
    {"lock bt", {0xf0, 0x0f, 0xa3, 0x07}, 4, 64, STATUS_INVALID, 0},
    {"rep movsb", {0xf3, 0xa4}, 2, 64, STATUS_OK, 2},
    {"lock stosb", {0xf0, 0xaa}, 2, 64, STATUS_INVALID, 0},
    {"insb is another kind of exit", {0x6c}, 1, 64, STATUS_UNSUPPORTED, 0},
    {"movss", {0xf3, 0x0f, 0x11, 0x07}, 4, 64, STATUS_OK, 4},
    {"REX before a prefix is dropped", {0x48, 0x66, 0x89, 0x07}, 4, 64, STATUS_OK, 4},
    {"inc eax is not REX in 32-bit mode", {0x40, 0x89, 0x07}, 3, 32, STATUS_UNSUPPORTED, 0},
};

TEST(statuses) {
    for (size_t i = 0; i < ARRAY_SIZE(status_cases); i++) {
        const struct status_case *c = &status_cases[i];
        struct insn in = {.length = 0};
        enum status s = decode(c->bytes, c->n, c->mode, &in);
        if (s != c->want || in.length != c->length) {
            printf("# %s\n", c->what);
        }
        CHECK_U64(s, c->want);
        CHECK_U64(in.length, c->length);
    }
}

/* The buffer is guarded by the sanitizer: one byte read too far stops the test. */
TEST(never_reads_beyond) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t n = random_u64() % 16;
        uint8_t *bytes = malloc(n == 0 ? 1 : n);
        for (size_t j = 0; j < n; j++) {
            bytes[j] = j + 1 < n && random_u64() % 2 == 0 ? 0x66 : (uint8_t)random_u64();
        }
        struct insn in;
        if (decode(bytes, n, 64, &in) == STATUS_OK) {
            CHECK(in.length <= n);
        }
        free(bytes);
    }
}

TEST(sizes_and_registers) {
    struct insn in;
    CHECK_U64(decode((const uint8_t[]){0x48, 0x66, 0x89, 0x07}, 4, 64, &in), STATUS_OK);
    CHECK_U64(in.size, 2);
    CHECK_U64(decode((const uint8_t[]){0x66, 0x48, 0x89, 0x07}, 4, 64, &in), STATUS_OK);
    CHECK_U64(in.size, 8);
    CHECK_U64(decode((const uint8_t[]){0x89, 0x07}, 2, 16, &in), STATUS_OK);
    CHECK_U64(in.size, 2);
    CHECK_U64(in.mem.base, X86_RBX);
    CHECK_U64(decode((const uint8_t[]){0x88, 0x27}, 2, 64, &in), STATUS_OK);
    CHECK(in.high_byte && in.reg == X86_RAX);
    CHECK_U64(decode((const uint8_t[]){0x40, 0x88, 0x27}, 3, 64, &in), STATUS_OK);
    CHECK(!in.high_byte && in.reg == X86_RSP);
    CHECK_U64(decode((const uint8_t[]){0x48, 0xc7, 0x07, 0, 0, 0, 0x80}, 7, 64, &in), STATUS_OK);
    CHECK(in.has_imm && in.to_memory && in.size == 8);
    CHECK_U64(in.imm, 0xffffffff80000000);
    CHECK_U64(decode((const uint8_t[]){0x44, 0x0f, 0xb6, 0x07}, 4, 64, &in), STATUS_OK);
    CHECK(in.size == 1 && in.reg_size == 4 && in.reg == 8 && !in.to_memory);
}

/* What an address depends on. */
struct insn_registers {
    const uint64_t *regs; /* 16, by x86 register number; RSP must be in its slot */
    uint64_t rip;         /* of the instruction itself */
    uint64_t base[INSN_SEGMENTS];
};

/* Linear address of the memory operand, as the CPU computes it: what the decoded parts must lead
 * to. */
static gva_t insn_linear(const struct insn *insn, const struct insn_memory *mem,
                         const struct insn_registers *r) {
    uint64_t offset = mem->disp;
    if (mem->base != INSN_NO_REG) {
        offset += r->regs[mem->base];
    }
    if (mem->index != INSN_NO_REG) {
        offset += r->regs[mem->index] * mem->scale;
    }
    if (mem->rip_relative) {
        offset += r->rip + insn->length;
    }
    offset &= UINT64_MAX >> (64 - 8 * mem->address_size);
    if (insn->mode == 64) {
        return GVA(mem->segment >= INSN_FS ? offset + r->base[mem->segment] : offset);
    }
    return GVA((offset + r->base[mem->segment]) & UINT32_MAX);
}

struct linear_case {
    const char *what;
    uint8_t bytes[12];
    unsigned mode;
    uint64_t want;
};

/* Registers hold 0x1000 * (number + 1), RIP 0x7000, segment bases 0x10000000 * (number + 1). */
static const struct linear_case linear_cases[] = {
    {"[rdi]", {0x89, 0x07}, 64, 0x8000},
    {"[rdi - 1]", {0x89, 0x47, 0xff}, 64, 0x7fff},
    {"[rip + 0x10]", {0x89, 0x05, 0x10}, 64, 0x7016},
    {"[eip - 0x8000]", {0x67, 0x89, 0x05, 0, 0x80, 0xff, 0xff}, 64, 0xfffff007},
    {"[0x10], no base", {0x89, 0x04, 0x25, 0x10}, 64, 0x10},
    {"[rax + r9 * 8 + 2]", {0x42, 0x89, 0x44, 0xc8, 2}, 64, 0x1000 + 0xa000 * 8 + 2},
    {"fs:[rdi]", {0x64, 0x89, 0x07}, 64, 0x50008000},
    {"cs:[rdi] is flat in 64-bit mode", {0x2e, 0x89, 0x07}, 64, 0x8000},
    {"[edi] is based in 32-bit mode", {0x89, 0x07}, 32, 0x40008000},
    {"[ebp] is in SS", {0x89, 0x45, 0}, 32, 0x30006000},
    {"gs:[ebp]", {0x65, 0x89, 0x45, 0}, 32, 0x60006000},
    {"[bx + si]", {0x89, 0x00}, 16, 0x40000000 + 0x4000 + 0x7000},
    {"[bp + di - 0x7000] wraps at 64 KiB", {0x89, 0x83, 0, 0x20}, 16, 0x30000000},
    {"[0x1234]", {0x89, 0x06, 0x34, 0x12}, 16, 0x40001234},
    {"moffs64", {0xa1, 8, 7, 6, 5, 4, 3, 2, 1}, 64, 0x0102030405060708},
    {"moffs16", {0x67, 0xa1, 0xf0, 0xff}, 32, 0x4000fff0},
};

TEST(addresses) {
    uint64_t regs[16];
    struct insn_registers r = {.regs = regs, .rip = 0x7000};
    for (unsigned i = 0; i < 16; i++) {
        regs[i] = 0x1000 * (i + 1);
    }
    /* So that BP + DI + 0x2000 passes 64 KiB: 6000 + 8000 + 2000. */
    for (unsigned i = 0; i < INSN_SEGMENTS; i++) {
        r.base[i] = 0x10000000ull * (i + 1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(linear_cases); i++) {
        const struct linear_case *c = &linear_cases[i];
        struct insn in;
        if (decode(c->bytes, sizeof(c->bytes), c->mode, &in) != STATUS_OK) {
            printf("# %s: not decoded\n", c->what);
            CHECK(false);
            continue;
        }
        uint64_t seen = insn_linear(&in, &in.mem, &r).v;
        if (seen != c->want) {
            printf("# %s\n", c->what);
        }
        CHECK_U64(seen, c->want);
    }
}

/* ---- against the CPU ---- */

#define BUFFER_SIZE 4096u
#define FLAGS_SLOT  X86_RSP  /* the state's RSP slot carries RFLAGS */
#define FLAGS_SEEN  0xcd5ull /* CF PF AF ZF SF DF OF */
#define FLAG_CF     0x1ull
#define FLAG_AF     0x10ull
#define FLAG_OF     0x800ull

struct machine {
    uint64_t state[16];
    uint8_t *memory;
};

static uint8_t *code_page;
static struct machine native, emulated;
/* Both machines see their memory at the native one's address. */
static uint64_t memory_base;

static void set_up(void) {
    if (code_page != NULL) {
        return;
    }
    code_page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    native.memory = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (code_page == MAP_FAILED || native.memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    emulated.memory = malloc(BUFFER_SIZE);
    memory_base = (uintptr_t)native.memory;
}

static size_t emit(size_t at, const void *bytes, size_t n) {
    memcpy(code_page + at, bytes, n);
    return at + n;
}

/* mov between register i and state[i]; the state is at [rdi]. */
static size_t emit_move(size_t at, uint8_t opcode, unsigned i) {
    const uint8_t bytes[] = {(uint8_t)(0x48 | (i >= 8 ? 4 : 0)), opcode,
                             (uint8_t)(0x47 | (i & 7) << 3), (uint8_t)(8 * i)};
    return emit(at, bytes, sizeof(bytes));
}

/* Writes a function void f(uint64_t state[16]) around the instruction and calls it. */
static void run_native(const uint8_t *insn, size_t n) {
    static const uint8_t enter[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55,           0x41, 0x56,
                                    0x41, 0x57, 0x57, 0xff, 0x77, 8 * FLAGS_SLOT, 0x9d};
    static const uint8_t swap[] = {0x48, 0x87, 0x3c, 0x24}; /* xchg rdi, [rsp] */
    static const uint8_t leave[] = {0x8f, 0x47, 8 * X86_RDI, 0x9c, 0x8f, 0x47, 8 * FLAGS_SLOT,
                                    0xfc, 0x41, 0x5f,        0x41, 0x5e, 0x41, 0x5d,
                                    0x41, 0x5c, 0x5d,        0x5b, 0xc3};
    size_t at = emit(0, enter, sizeof(enter));
    for (unsigned i = 0; i < 16; i++) {
        if (i != X86_RSP && i != X86_RDI) {
            at = emit_move(at, 0x8b, i);
        }
    }
    at = emit_move(at, 0x8b, X86_RDI);
    at = emit(at, insn, n);
    at = emit(at, swap, sizeof(swap));
    for (unsigned i = 0; i < 16; i++) {
        if (i != X86_RSP && i != X86_RDI) {
            at = emit_move(at, 0x89, i);
        }
    }
    emit(at, leave, sizeof(leave));
    void (*function)(uint64_t *);
    memcpy(&function, &(void *){code_page}, sizeof(function));
    function(native.state);
}

/* The decoder's address is what counts here, not the handler's. */
static uint8_t *operand_at(const struct insn *in) {
    const struct insn_registers r = {.regs = emulated.state};
    uint64_t offset = insn_linear(in, &in->mem, &r).v - memory_base;
    if (offset > BUFFER_SIZE - in->size) {
        printf("# address %" PRIx64 " outside the buffer\n", offset + memory_base);
        exit(1);
    }
    return emulated.memory + offset;
}

static void run_emulated(const struct insn *in) {
    uint64_t memory = 0, flags = emulated.state[FLAGS_SLOT];
    uint8_t *operand = operand_at(in);
    if (in->reads) {
        memcpy(&memory, operand, in->size);
    }
    mmio_op_execute(in, emulated.state, &flags, &memory);
    if (in->writes) {
        memcpy(operand, &memory, in->size);
    }
    emulated.state[FLAGS_SLOT] = flags;
}

#define ANY        (-1)
#define CONDITIONS (-2) /* this opcode and the fifteen behind it */

struct tested {
    uint8_t bytes[3];
    uint8_t n;
    int group;   /* ModRM.reg, or one of these */
    uint8_t imm; /* bytes: 0, 1 or 4 (2 with prefix 66) */
    bool may_lock;
};

static const struct tested tested[] = {
    {{0x88}, 1, ANY, 0, false},
    {{0x89}, 1, ANY, 0, false},
    {{0x8a}, 1, ANY, 0, false},
    {{0x8b}, 1, ANY, 0, false},
    {{0xc6}, 1, 0, 1, false},
    {{0xc7}, 1, 0, 4, false},
    {{0x63}, 1, ANY, 0, false},
    {{0x86}, 1, ANY, 0, true},
    {{0x87}, 1, ANY, 0, true},
    {{0x80}, 1, ANY, 1, false},
    {{0x81}, 1, ANY, 4, false},
    {{0x83}, 1, ANY, 1, false},
    {{0x00}, 1, ANY, 0, true},
    {{0x01}, 1, ANY, 0, true},
    {{0x11}, 1, ANY, 0, true},
    {{0x18}, 1, ANY, 0, true},
    {{0x19}, 1, ANY, 0, true},
    {{0x09}, 1, ANY, 0, true},
    {{0x0b}, 1, ANY, 0, false},
    {{0x13}, 1, ANY, 0, false},
    {{0x1b}, 1, ANY, 0, false},
    {{0x20}, 1, ANY, 0, true},
    {{0x22}, 1, ANY, 0, false},
    {{0x29}, 1, ANY, 0, true},
    {{0x2a}, 1, ANY, 0, false},
    {{0x31}, 1, ANY, 0, true},
    {{0x33}, 1, ANY, 0, false},
    {{0x38}, 1, ANY, 0, false},
    {{0x39}, 1, ANY, 0, false},
    {{0x3b}, 1, ANY, 0, false},
    {{0x84}, 1, ANY, 0, false},
    {{0x85}, 1, ANY, 0, false},
    {{0xf6}, 1, 0, 1, false},
    {{0xf7}, 1, 0, 4, false},
    {{0x0f, 0xba}, 2, 4, 1, false},
    {{0x0f, 0xb6}, 2, ANY, 0, false},
    {{0x0f, 0xb7}, 2, ANY, 0, false},
    {{0x0f, 0xbe}, 2, ANY, 0, false},
    {{0x0f, 0xbf}, 2, ANY, 0, false},
    {{0xf6}, 1, 2, 0, true},
    {{0xf7}, 1, 2, 0, true},
    {{0xf6}, 1, 3, 0, true},
    {{0xf7}, 1, 3, 0, true},
    {{0xfe}, 1, 0, 0, true},
    {{0xff}, 1, 0, 0, true},
    {{0xfe}, 1, 1, 0, true},
    {{0xff}, 1, 1, 0, true},
    {{0xc0}, 1, ANY, 1, false},
    {{0xc1}, 1, ANY, 1, false},
    {{0xd0}, 1, ANY, 0, false},
    {{0xd1}, 1, ANY, 0, false},
    {{0xd2}, 1, ANY, 0, false},
    {{0xd3}, 1, ANY, 0, false},
    {{0x0f, 0xba}, 2, 5, 1, true},
    {{0x0f, 0xba}, 2, 6, 1, true},
    {{0x0f, 0xba}, 2, 7, 1, true},
    {{0x0f, 0xc0}, 2, ANY, 0, true},
    {{0x0f, 0xc1}, 2, ANY, 0, true},
    {{0x0f, 0xb0}, 2, ANY, 0, true},
    {{0x0f, 0xb1}, 2, ANY, 0, true},
    {{0x0f, 0xc3}, 2, ANY, 0, false},
    {{0x0f, 0x38, 0xf0}, 3, ANY, 0, false},
    {{0x0f, 0x38, 0xf1}, 3, ANY, 0, false},
    {{0x0f, 0x40}, 2, CONDITIONS, 0, false},
    {{0x0f, 0x90}, 2, CONDITIONS, 0, false},
};

static size_t put_random(uint8_t *bytes, size_t at, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        bytes[at++] = (uint8_t)random_u64();
    }
    return at;
}

/* One instruction on [rsi], or on the string registers; 0 if it would use RSP. */
static size_t generate(uint8_t bytes[16]) {
    const struct tested *t = &tested[random_u64() % ARRAY_SIZE(tested)];
    size_t at = 0;
    bool word = random_u64() % 3 == 0, wide = random_u64() % 3 == 0 || t->bytes[0] == 0x63;
    bool rex = wide || random_u64() % 3 == 0;
    uint8_t rex_bits = (uint8_t)(wide ? 0x48 : 0x40);
    if (word && t->bytes[1] != 0xc3) { /* none before MOVNTI */
        bytes[at++] = 0x66;
    }
    if (random_u64() % 4 == 0) {
        bytes[at++] = 0x67;
    }
    if (t->may_lock && random_u64() % 2 == 0) {
        bytes[at++] = 0xf0;
    }
    if (rex) {
        bytes[at++] = (uint8_t)(rex_bits | (random_u64() % 2 == 0 ? 4 : 0));
    }
    memcpy(bytes + at, t->bytes, t->n);
    at += t->n;
    if (t->group == CONDITIONS) {
        bytes[at - 1] = (uint8_t)(bytes[at - 1] + random_u64() % 16);
    }
    bytes[at++] = (uint8_t)((t->group >= 0 ? (unsigned)t->group : random_u64() % 8) << 3 | 6);
    return put_random(bytes, at, t->imm == 4 && word && !wide ? 2 : t->imm);
}

static void random_machine(const struct insn *in) {
    for (unsigned i = 0; i < 16; i++) {
        native.state[i] = random_u64() % 4 == 0 ? 0 - random_u64() % 3 : random_u64();
    }
    for (unsigned i = 0; i < BUFFER_SIZE / 8; i++) {
        uint64_t value = random_u64() % 4 == 0 ? 0 - random_u64() % 3 : random_u64();
        memcpy(native.memory + 8 * i, &value, 8);
    }
    native.state[FLAGS_SLOT] = (random_u64() & FLAGS_SEEN) | 0x202;
    bool small = in->mem.address_size == 4; /* then the upper halves do not count */
    uint64_t junk = small ? random_u64() << 32 : 0;
    native.state[X86_RSI] = (memory_base + 1024 + random_u64() % 16) | junk;
    memcpy(emulated.state, native.state, sizeof(native.state));
    memcpy(emulated.memory, native.memory, BUFFER_SIZE);
}

/* OF of a shift by one bit only, CF of SHL and SHR up to the operand's size; none of none. */
static uint64_t flags_of_shift(const struct insn *in) {
    unsigned count = (unsigned)mmio_op_other(in, emulated.state) & (in->size == 8 ? 63 : 31);
    uint64_t flags = FLAGS_SEEN;
    if (count != 0) {
        bool rotates = in->op < INSN_SHL;
        flags &= rotates ? UINT64_MAX : ~FLAG_AF;
        flags &= count != 1 ? ~FLAG_OF : UINT64_MAX;
        flags &= !rotates && count > 8u * in->size ? ~FLAG_CF : UINT64_MAX;
    }
    return flags;
}

/* Those that are defined after it; before it runs. */
static uint64_t flags_defined(const struct insn *in) {
    if (in->op >= INSN_ROL && in->op <= INSN_SAR) {
        return flags_of_shift(in);
    }
    if (in->op == INSN_AND || in->op == INSN_OR || in->op == INSN_XOR || in->op == INSN_TEST) {
        return FLAGS_SEEN & ~FLAG_AF;
    }
    if (in->op >= INSN_BT && in->op <= INSN_BTC) {
        return 0x441; /* CF; ZF and DF stay */
    }
    return FLAGS_SEEN;
}

static bool states_equal(uint64_t flags) {
    for (unsigned i = 0; i < 16; i++) {
        uint64_t mask = i == FLAGS_SLOT ? flags : UINT64_MAX;
        if (((native.state[i] ^ emulated.state[i]) & mask) != 0) {
            printf("# slot %u (4 = flags): CPU 0x%" PRIx64 ", emulated 0x%" PRIx64 "\n", i,
                   native.state[i], emulated.state[i]);
            return false;
        }
    }
    if (memcmp(native.memory, emulated.memory, BUFFER_SIZE) != 0) {
        printf("# memory differs\n");
        return false;
    }
    return true;
}

/* RSP is the test's own stack. */
static bool safe_to_run(const struct insn *in) {
    bool uses_reg = !in->has_imm;
    return !uses_reg || in->reg != X86_RSP || in->high_byte;
}

TEST(same_as_the_cpu) {
    set_up();
    unsigned shown = 0, ran = 0;
    for (unsigned i = 0; i < ROUNDS && shown < 10; i++) {
        uint8_t bytes[16];
        size_t n = generate(bytes);
        struct insn in;
        enum status s = decode(bytes, n, 64, &in);
        if (s == STATUS_OK && !safe_to_run(&in)) {
            continue;
        }
        bool same = s == STATUS_OK && in.length == n;
        if (same) {
            random_machine(&in);
            uint64_t flags = flags_defined(&in);
            run_native(bytes, n);
            run_emulated(&in);
            same = states_equal(flags);
            ran++;
        }
        if (!same) {
            printf("#");
            for (size_t j = 0; j < n; j++) {
                printf(" %02x", bytes[j]);
            }
            printf(": status %d\n", (int)s);
            shown++;
        }
    }
    CHECK_U64(shown, 0);
    CHECK(ran > ROUNDS / 2);
}

/* SIB base 5, mod 0 has no base whatever REX.B says, with a 32-bit address too. */
TEST(no_base_on_the_cpu) {
    static const uint8_t code[] = {0x67, 0x41, 0x8b, 0x04, 0x25};
    uint8_t bytes[9];
    set_up();
    memcpy(bytes, code, sizeof(code));
    memcpy(bytes + 5, &memory_base, 4);
    struct insn in;
    CHECK_U64(decode(bytes, sizeof(bytes), 64, &in), STATUS_OK);
    random_machine(&in);
    run_native(bytes, sizeof(bytes));
    run_emulated(&in);
    CHECK(states_equal(FLAGS_SEEN));
}

TEST_MAIN(T(statuses), T(never_reads_beyond), T(sizes_and_registers), T(addresses),
          T(same_as_the_cpu), T(no_base_on_the_cpu))
