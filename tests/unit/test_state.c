/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest states that a CPU might refuse to enter: emulation makes none of them where the real
 * instruction faults, and a refused entry costs a process before it costs the VM.
 */
#include "fake_machine.h"

#define TABLE (3 * MIB) /* of PAE paging */

static struct vcpu *v;

static bool faulted(unsigned vector) {
    bool so = v->event.type == EVENT_EXCEPTION && v->event.vector == vector;
    v->event.type = EVENT_NONE;
    return so;
}

/* MOV to CR0 or CR4: true if it was done, false if it is #GP(0). */
static bool mov_to_cr(uint8_t cr, uint64_t value) {
    struct vmexit x = {
        .kind = EXIT_CR, .insn_len = 3, .cr = {.access = CR_WRITE, .cr = cr, .gpr = X86_RBX}};
    v->event.type = EVENT_NONE;
    v->regs[X86_RBX] = value;
    enum action action = fake_exit(v, &x);
    bool refused = faulted(X86_GP);
    CHECK(refused == (action == ACTION_RETRY));
    return !refused;
}

static void put_pdpte(unsigned i, uint64_t entry) {
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(TABLE + 8 * i), &entry, sizeof(entry)), STATUS_OK);
}

/* 32-bit code at CPL 0 without paging, CR3 at a table whose last entry is bad if so. */
static void fresh(uint64_t last) {
    v = fake_machine_start();
    fake_regs[HVM_CR0] = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
    fake_regs[HVM_CR3] = TABLE;
    fake_regs[HVM_CR4] = X86_CR4_PAE;
    fake_regs[HVM_EFER] = 0;
    fake_segs[HVM_CS] = (struct hvm_segment){.limit = UINT32_MAX, .attr = 0xc09b};
    fake_segs[HVM_TR] = (struct hvm_segment){.attr = 0x8b};
    put_pdpte(0, 0x1001);
    put_pdpte(3, last);
}

#define PAGING (X86_CR0_PG | X86_CR0_PE | X86_CR0_NE | X86_CR0_ET)

TEST(pdptes_are_checked_when_they_are_loaded) {
    static const uint64_t bad[] = {3, 5, 0x41, 0x81, 0x101, 1 | BIT(39), 1 | BIT(63)};
    static const uint64_t good[] = {0, 0x1001, 0xe19, 2, UINT64_MAX - 1};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        fresh(good[i]);
        CHECK(mov_to_cr(0, PAGING));
        CHECK(mov_to_cr(4, X86_CR4_PAE | X86_CR4_PGE));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        fresh(bad[i]);
        CHECK(!mov_to_cr(0, PAGING));
        CHECK_U64(fake_regs[HVM_CR0] & X86_CR0_PG, 0);
        fake_regs[HVM_CR4] = 0;
        CHECK(mov_to_cr(0, PAGING)); /* 32-bit paging has no such entries */
        CHECK(!mov_to_cr(4, X86_CR4_PAE));
        CHECK_U64(fake_regs[HVM_CR4], 0);
    }
    static const uint64_t loads[] = {X86_CR4_PSE, X86_CR4_PGE, X86_CR4_SMEP};
    for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
        fresh(0);
        CHECK(mov_to_cr(0, PAGING));
        put_pdpte(1, 3);
        CHECK(mov_to_cr(4, X86_CR4_PAE | X86_CR4_DE)); /* loads none */
        CHECK(!mov_to_cr(4, X86_CR4_PAE | X86_CR4_DE | loads[i]));
    }
    fresh(0);
    CHECK(mov_to_cr(0, PAGING));
    put_pdpte(1, 3);
    CHECK(mov_to_cr(0, PAGING | X86_CR0_WP));
    CHECK(!mov_to_cr(0, PAGING | X86_CR0_WP | X86_CR0_CD));
    fake_regs[HVM_CR3] = FAKE_RAM; /* where no RAM is, no entry is present */
    CHECK(mov_to_cr(0, PAGING | X86_CR0_CD));
    fresh(3); /* long mode has no such entries either */
    fake_regs[HVM_EFER] = X86_EFER_LME;
    CHECK(mov_to_cr(0, PAGING));
}

TEST(long_mode_wants_a_task_state_segment) {
    fresh(0);
    fake_regs[HVM_EFER] = X86_EFER_LME;
    fake_segs[HVM_TR].attr = 0x83; /* busy, 16 bits */
    CHECK(!mov_to_cr(0, PAGING));
    fake_segs[HVM_TR].attr = 0x8b;
    CHECK(mov_to_cr(0, PAGING));
    fresh(0);
    fake_segs[HVM_TR].attr = 0x83;
    CHECK(mov_to_cr(0, PAGING)); /* without long mode it is right */
}

static enum action refused(void) {
    struct vmexit x = {.kind = EXIT_ENTRY_FAILED};
    v->event.type = EVENT_NONE;
    fake_vm->leave = LEAVE_NONE;
    v->public.exits[EXIT_ENTRY_FAILED]++;
    return fake_exit(v, &x);
}

TEST(a_refused_entry_costs_the_process) {
    fresh(0);
    fake_segs[HVM_SS].attr = 0xc0f3; /* CPL 3 */
    fake_enterable = true;
    for (unsigned i = 0; i < 5; i++) {
        CHECK_U64(refused(), ACTION_RETRY);
        CHECK(faulted(X86_GP));
        CHECK_U64(fake_vm->leave, LEAVE_NONE);
        v->public.exits[EXIT_CPUID]++; /* the guest got on */
    }
    CHECK_U64(refused(), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_NONE);
    CHECK_U64(refused(), ACTION_RETRY); /* it did not */
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK_STR(fake_vm->leave_reason, "the CPU refused the guest's state: the test's rule [BH3032]");
    v->public.exits[EXIT_CPUID]++;
    fake_enterable = false; /* beyond mending */
    CHECK_U64(refused(), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    v->public.exits[EXIT_CPUID]++;
    fake_enterable = true;
    fake_segs[HVM_SS].attr = 0xc093; /* the kernel itself */
    CHECK_U64(refused(), ACTION_RETRY);
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
}

/* CR4 is 0 then, and CPUID shows CR4.OSXSAVE. */
TEST(init_takes_osxsave_out_of_cpuid) {
    v = fake_machine_start();
    cpuid_set_osxsave(v, true);
    CHECK(cpuid_has(&v->cpuid, 1, 2, 27));
    vcpu_reset(v, true);
    CHECK(!cpuid_has(&v->cpuid, 1, 2, 27));
    CHECK_U64(fake_regs[HVM_CR4], 0);
}

/* A vCPU that slept, waited for windows and was in an NMI's handler begins anew without any of it.
 */
TEST(init_ends_what_was_begun) {
    for (unsigned init = 0; init < 2; init++) {
        v = fake_machine_start();
        v->halted = v->nmi_used = v->window_interrupt = v->window_nmi = true;
        v->nmi_pending = 2;
        vcpu_inject_exception(v, X86_GP, 0);
        vcpu_reset(v, init != 0);
        CHECK(!v->halted && !v->nmi_used && !v->window_interrupt && !v->window_nmi);
        CHECK_U64(v->nmi_pending, 0);
        CHECK_U64(v->event.type, EVENT_NONE);
    }
}

TEST_MAIN(T(pdptes_are_checked_when_they_are_loaded), T(long_mode_wants_a_task_state_segment),
          T(a_refused_entry_costs_the_process), T(init_takes_osxsave_out_of_cpuid),
          T(init_ends_what_was_begun))
