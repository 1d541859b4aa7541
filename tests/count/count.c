/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of QEMU's that counts instructions: which code ran how often between two marks. A mark
 * is an instruction without effect that a guest's program executes (guests/linux/iobench.c). At
 * each one all code that ran since the last one is written, a line for each block: its address, how
 * many instructions it has, how often it ran, and whether VMRUN is one of them. Whose code that is,
 * tests/system/bench_io.py finds out. Debian has no header for QEMU's plugins: what is used of
 * their interface, version 1, is declared here. Source: QEMU documentation "QEMU TCG Plugins".
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void block_translated(uint64_t plugin, struct qemu_plugin_tb *block);
typedef void code_executed(unsigned cpu, void *data);
enum { NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, block_translated *call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, code_executed *call,
                                          int registers, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, code_executed *call,
                                            int registers, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

int qemu_plugin_version = 1;
int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments);

/* A NOP with a place in memory that nobody would name; its lowest byte is the mark's number. */
static const uint8_t mark[] = {0x0f, 0x1f, 0x80, 0x00, 0x4f, 0x49, 0x42};
enum { MARK_NUMBER = 3 };
static const uint8_t vmrun[] = {0x0f, 0x01, 0xd8};

#define CPUS 4

/* Code as it was translated once; the same may be translated again. */
struct block {
    struct block *next;
    uint64_t address;
    unsigned size; /* in instructions */
    bool has_vmrun;
    uint64_t runs[CPUS]; /* each CPU counts for itself */
    uint64_t told;       /* at the last mark */
};

static struct block *blocks;
static FILE *out;

static void block_run(unsigned cpu, void *data) {
    ((struct block *)data)->runs[cpu % CPUS]++;
}

static uint64_t block_sum(const struct block *b) {
    uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        sum += __atomic_load_n(&b->runs[cpu], __ATOMIC_RELAXED);
    }
    return sum;
}

static void mark_passed(unsigned cpu, void *data) {
    (void)cpu;
    for (struct block *b = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE); b != NULL; b = b->next) {
        uint64_t sum = block_sum(b);
        if (sum != b->told) {
            fprintf(out, "%" PRIx64 " %u %" PRIu64 " %d\n", b->address, b->size, sum - b->told,
                    b->has_vmrun);
        }
        b->told = sum;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(out, "mark %u %lld.%09ld\n", (unsigned)(uintptr_t)data, (long long)now.tv_sec,
            now.tv_nsec);
    fflush(out);
}

static bool insn_is_mark(const uint8_t *bytes, size_t size) {
    return size == sizeof(mark) && memcmp(bytes, mark, MARK_NUMBER) == 0 &&
           memcmp(bytes + MARK_NUMBER + 1, mark + MARK_NUMBER + 1,
                  sizeof(mark) - MARK_NUMBER - 1) == 0;
}

static void translated(uint64_t plugin, struct qemu_plugin_tb *code) {
    struct block *b = calloc(1, sizeof(*b));

    (void)plugin;
    if (b == NULL) {
        abort();
    }
    b->address = qemu_plugin_tb_vaddr(code);
    b->size = (unsigned)qemu_plugin_tb_n_insns(code);
    for (size_t i = 0; i < b->size; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(code, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        if (insn_is_mark(bytes, size)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_passed, NO_REGISTERS,
                                                   (void *)(uintptr_t)bytes[MARK_NUMBER]);
        }
        b->has_vmrun = b->has_vmrun || (size == sizeof(vmrun) && memcmp(bytes, vmrun, size) == 0);
    }
    b->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&blocks, &b->next, b, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
    qemu_plugin_register_vcpu_tb_exec_cb(code, block_run, NO_REGISTERS, b);
}

/* out=FILE */
int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments) {
    (void)machine;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            out = fopen(arguments[i] + 4, "w");
        }
    }
    if (out == NULL) {
        fprintf(stderr, "count: no file to write to\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    return 0;
}
