/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the bytes of an emulated instruction and its operands are: segments, linear addresses, the
 * guest's page tables with its rights, and the faults that the CPU would raise on the way. Knows no
 * instruction; called by the handlers that carry one out. All is guest-controlled.
 */
#pragma once

#include "hv/exit/exit.h"
#include "hv/exit/insn.h"
#include "hv/mem/walk.h"

/* The low size bytes of a word, and of a register: 4 clear its upper half, 1 and 2 leave the rest.
 */
static inline uint64_t operand_mask(unsigned size) {
    return UINT64_MAX >> (64 - 8 * size);
}

static inline void operand_set(uint64_t *reg, unsigned size, uint64_t value) {
    if (size == 1) {
        *reg = (*reg & ~0xffull) | (uint8_t)value;
    } else if (size == 2) {
        *reg = (*reg & ~0xffffull) | (uint16_t)value;
    } else {
        *reg = size == 8 ? value : (uint32_t)value;
    }
}

/* What addresses depend on, read once for an instruction; where its first byte was found. */
struct fetch {
    struct walk_state s;
    struct hvm_segment cs;
    uint64_t rip;
    unsigned mode; /* 16, 32, 64 */
    struct walk_page page;
};

/* Copies up to n bytes of code at RIP and fills in f; returns how many could be read. */
size_t fetch_bytes(struct vcpu *v, struct fetch *f, void *out, size_t n);

/* The instruction at RIP as the cause of an exit, and RSP into its slot of v->regs; errors of
 * insn_decode(). */
MUST_USE enum status fetch_insn(struct vcpu *v, enum exit_kind kind, struct fetch *f,
                                struct insn *in);

/*
 * The same without a walk, in 64-bit mode, where RIP is linear and the kind of paging fixed: each
 * entry of the guest's tables on the way is compared with what it was, and so are the bytes. So it
 * is the guest's code as it is now, whatever another vCPU does; that RIP may be executed, the CPU
 * has found. NULL if anything differs or was never seen. RSP is not fetched.
 */
const struct insn *fetch_recall(struct vcpu *v, enum exit_kind kind);

/* A memory operand: first bytes (all, if that is not less than its size) at gpa[0], the rest at
 * gpa[1]. */
struct operand {
    gpa_t gpa[2];
    unsigned first;
};

/* What an instruction wants of memory. */
struct access {
    const struct insn_memory *mem;
    uint8_t size; /* bytes, up to 16 */
    uint8_t kind; /* WALK_READ, WALK_WRITE */
    bool aligned; /* or else #GP(0) */
};

/* The offset of in's memory operand m in its segment. RIP and the registers (RSP in its slot) are
 * as they were before the instruction. */
uint64_t operand_offset(struct vcpu *v, const struct insn *in, const struct insn_memory *m);

/*
 * Translates what a names, with the guest's rights. False if the instruction ends here: the guest's
 * fault is queued, or the VM stopped.
 */
MUST_USE bool operand_find(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                           const struct insn *in, const struct access *a, struct operand *out);

/* Reads or writes what operand_find() found: RAM, a device, or both. value has room for size bytes,
 * rounded up to whole words, of which a read clears the rest. */
void operand_access(struct vcpu *v, const struct operand *at, unsigned size, bool write,
                    uint64_t *value);

/* One access to the device at gpa, or to nothing: all ones, writes lost. Sizes up to 8 bytes. */
void mmio_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write, uint64_t *value);

/* MOVS and its like, INS and OUTS too; PUSH and POP of memory. */
enum action string_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in);

/* A move between memory and an XMM register, which stays in the CPU: see plat_vector_read(). */
enum action vector_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in);
enum action stack_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                          const struct insn *in);

/* A move between memory and an XMM register, which stays in the CPU: see plat_vector_read(). */
enum action vector_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in);
