/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One exit of a guest's vCPU that takes more than the exit itself tells: what the emulator is given
 * and what has become of it. This struct is its only way to the guest and out: no file of this room
 * knows who handed it over. Everything in it but ops and memory is guest-controlled.
 *
 * The room has one direction. Bytes become an instruction (code.c, insn.c), its operands are found
 * (walk.c, operand.c), memory or the bus is accessed (operand.c), registers are written (the files
 * that carry instructions out). emulate.h is its door.
 */
#pragma once

#include "hv/abi/bus.h"
#include "hv/abi/exit.h"
#include "hv/abi/guest_memory.h"
#include "hv/compartment/emulate/cache.h"

/*
 * What is not in the struct and has to be asked for; get and set are of the vCPU that exited.
 * Values that are set are what the guest's own instruction would set, not checked by the emulator.
 */
struct emulation_ops {
    uint64_t (*get)(void *context, enum hvm_reg r);
    void (*set)(void *context, enum hvm_reg r, uint64_t value);
    void (*get_segment)(void *context, enum hvm_seg s, struct hvm_segment *out);
    void (*set_segment)(void *context, enum hvm_seg s, const struct hvm_segment *in);
    /* The rights by protection key; 0 on a CPU without. */
    uint32_t (*get_pkru)(void *context);
    /* One access to the device at a port or a guest-physical address, or to nothing: all ones,
     * writes lost. size: 1, 2, 4; in memory also 8. What is read may have bits beyond size set. */
    uint64_t (*read)(void *context, enum bus_space space, uint64_t at, unsigned size);
    void (*write)(void *context, enum bus_space space, uint64_t at, unsigned size, uint64_t value);
    /* One of the 16 XMM registers. */
    void (*get_vector)(void *context, unsigned reg, uint64_t out[2]);
    void (*set_vector)(void *context, unsigned reg, const uint64_t in[2]);
};

struct emulation {
    /* Of the vCPU, at the same place at every exit. */
    const struct emulation_ops *ops;
    void *context;       /* of ops */
    uint64_t *regs;      /* by enum x86_gpr; RSP's slot is filled by whoever needs it */
    struct vmexit *exit; /* insn_len is filled in where it does not tell it, and so is cr */
    const struct hvm_code *code;
    struct guest_memory memory;
    uint8_t phys_bits; /* the guest's CPUID: width of a physical address, 32-52 */

    /* What ended this exit early: see enum emulated. */
    enum emulated outcome;
    struct emulated_fault fault;
    enum emulated_crash crash;
    bool task_switched; /* all registers are another task's */
    uint8_t regs_set;   /* enum emulated_regs */

    struct code_cache cache;
};

/*
 * The instruction ends in an exception of its own. Returns false, for functions that say so of an
 * instruction's going on.
 */
static inline bool emulation_fault(struct emulation *e, enum x86_vector vector, uint32_t error) {
    e->outcome = EMULATED_FAULT;
    e->fault = (struct emulated_fault){.vector = (uint8_t)vector, .error = error};
    return false;
}

/* A page fault at a linear address. */
static inline bool emulation_page_fault(struct emulation *e, uint64_t linear, uint32_t error) {
    e->outcome = EMULATED_FAULT;
    e->fault = (struct emulated_fault){.vector = X86_PF, .error = error, .address = linear};
    return false;
}

/* The guest is beyond what is emulated: its VM stops. */
static inline bool emulation_crash(struct emulation *e, enum emulated_crash crash) {
    e->outcome = EMULATED_CRASH;
    e->crash = crash;
    return false;
}

static inline uint64_t emulation_get(struct emulation *e, enum hvm_reg r) {
    return e->ops->get(e->context, r);
}

static inline void emulation_set(struct emulation *e, enum hvm_reg r, uint64_t value) {
    e->ops->set(e->context, r, value);
}

static inline void emulation_get_segment(struct emulation *e, enum hvm_seg s,
                                         struct hvm_segment *out) {
    e->ops->get_segment(e->context, s, out);
}

static inline uint64_t emulation_read(struct emulation *e, enum bus_space space, uint64_t at,
                                      unsigned size) {
    return e->ops->read(e->context, space, at, size);
}

static inline void emulation_write(struct emulation *e, enum bus_space space, uint64_t at,
                                   unsigned size, uint64_t value) {
    e->ops->write(e->context, space, at, size, value);
}
