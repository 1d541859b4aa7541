/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pure half of AMD-V: VMCB exit words to struct vmexit, events there and back, the intercepts
 * of every guest, the permission maps, and the rule that a refused VMCB breaks.
 */
#include "arch/x86_64/svm/decode.h"
#include "hv/lib/x86.h"
#include "test.h"

TEST(exit_codes) {
    CHECK_U64(svm_exit_find(0x72).kind, EXIT_CPUID);
    CHECK_U64(svm_exit_find(0x72).form, FORM_INSTRUCTION);
    CHECK_U64(svm_exit_find(0x81).kind, EXIT_HYPERCALL);
    CHECK_U64(svm_exit_find(0x7c).kind, EXIT_RDMSR);
    CHECK_U64(svm_exit_find(0x7c).form, FORM_MSR);
    CHECK_U64(svm_exit_find(0x7f).kind, EXIT_TRIPLE_FAULT);
    CHECK_U64(svm_exit_find(0xa5).kind, EXIT_BUS_LOCK);
    CHECK_U64(svm_exit_find(0x400).kind, EXIT_NESTED_FAULT);
    CHECK_U64(svm_exit_find(UINT64_MAX).kind, EXIT_ENTRY_FAILED);
    CHECK_U64(svm_exit_find(UINT32_MAX).kind, EXIT_ENTRY_FAILED);
    static const uint16_t hidden[] = {0x7a, 0x80, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8a, 0x8b};
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        CHECK_U64(svm_exit_find(hidden[i]).kind, EXIT_INVALID_OPCODE);
    }
    /* What is not intercepted, reserved, or not ours. */
    static const uint64_t unknown[] = {0x01, 0x20, 0x62, 0x66,  0x6e,  0x75,       0x8c,       0x8f,
                                       0x90, 0xa4, 0xa6, 0x401, 0x403, 0x7fffffff, 0x100000072};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        CHECK_U64(svm_exit_find(unknown[i]).kind, EXIT_UNKNOWN);
    }
    for (uint64_t i = 0; i < SVM_EXITS; i++) {
        CHECK(svm_exits[i].kind < EXIT_KINDS);
    }
}

TEST(port_io) {
    struct vmexit x = {.kind = EXIT_IO};
    struct vmcb c = {.exit_info1 = 0x03f80211, .exit_info2 = 0x1002, .rip = 0x1000};
    svm_decode_io(&c, &x);
    CHECK_U64(x.io.port, 0x3f8);
    CHECK_U64(x.io.size, 1);
    CHECK_U64(x.io.flags, IO_IN);
    CHECK_U64(x.insn_len, 2);
    c.exit_info1 = 0x0cf8014c; /* REP OUTSD */
    svm_decode_io(&c, &x);
    CHECK_U64(x.io.port, 0xcf8);
    CHECK_U64(x.io.size, 4);
    CHECK_U64(x.io.flags, IO_STRING | IO_REP);
}

TEST(control_registers) {
    struct vmexit x = {.kind = EXIT_CR, .insn_len = 99};
    struct vmcb c = {
        .exit_code = 0x14, .exit_info1 = BIT(63) | 11, .rip = 0x1000, .next_rip = 0x1004};
    svm_decode(&c, FORM_CR, true, &x);
    CHECK_U64(x.cr.access, CR_WRITE);
    CHECK_U64(x.cr.cr, 4);
    CHECK_U64(x.cr.gpr, 11);
    CHECK_U64(x.insn_len, 4);
    c.exit_code = 0x08;
    svm_decode(&c, FORM_CR, true, &x);
    CHECK_U64(x.cr.access, CR_READ);
    CHECK_U64(x.cr.cr, 8);
    c.exit_code = 0x65; /* a write that changes CR0 */
    svm_decode(&c, FORM_CR, true, &x);
    CHECK_U64(x.cr.access, CR_WRITE);
    CHECK_U64(x.cr.cr, 0);
    /* LMSW, or a CPU without assists: whatever the word holds, the instruction has to tell. */
    c.exit_info1 = 3;
    svm_decode(&c, FORM_CR, true, &x);
    CHECK_U64(x.cr.gpr, 0xff);
    CHECK_U64(x.insn_len, 0);
    c.exit_info1 = BIT(63) | 3;
    svm_decode(&c, FORM_CR, false, &x);
    CHECK_U64(x.cr.gpr, 0xff);
    CHECK_U64(x.insn_len, 0);

    static const struct {
        uint64_t code;
        enum cr_access access;
    } cr8[] = {{0x08, CR_READ}, {0x18, CR_WRITE}};
    for (size_t i = 0; i < ARRAY_SIZE(cr8); i++) {
        struct svm_exit e = svm_exit_find(cr8[i].code);
        c.exit_code = cr8[i].code;
        x.insn_len = 99;
        svm_decode(&c, e.form, false, &x);
        CHECK_U64(e.kind, EXIT_CR);
        CHECK_U64(e.form, FORM_CR8);
        CHECK_U64(x.cr.cr, 8);
        CHECK_U64(x.cr.access, cr8[i].access);
        CHECK_U64(x.insn_len, 0);
    }
}

TEST(nested_faults) {
    struct vmexit x = {.kind = EXIT_NESTED_FAULT};
    struct vmcb c = {.exit_info1 = BIT(32) | 6, .exit_info2 = 0xfee000b0};
    svm_decode(&c, FORM_NESTED_FAULT, false, &x);
    CHECK_U64(x.fault.gpa.v, 0xfee000b0);
    CHECK(x.fault.write && !x.fault.execute && !x.fault.in_page_walk);
    c.exit_info1 = BIT(33) | 0x15;
    svm_decode(&c, FORM_NESTED_FAULT, false, &x);
    CHECK(!x.fault.write && x.fault.execute && x.fault.in_page_walk);
}

TEST(exceptions) {
    struct vmexit x = {.kind = EXIT_EXCEPTION};
    struct vmcb c = {.exit_code = 0x40 + X86_AC, .exit_info1 = 0};
    svm_decode(&c, FORM_EVENT, false, &x);
    CHECK_U64(x.event.type, EVENT_EXCEPTION);
    CHECK_U64(x.event.vector, X86_AC);
    CHECK(x.event.has_error);
    c = (struct vmcb){.exit_code = 0x40 + X86_PF, .exit_info1 = 7};
    svm_decode(&c, FORM_EVENT, false, &x);
    CHECK_U64(x.event.error, 7);
    c = (struct vmcb){.exit_code = 0x40 + X86_DB, .exit_info1 = 0x77};
    svm_decode(&c, FORM_EVENT, false, &x);
    CHECK(!x.event.has_error && x.event.error == 0);
    CHECK_U64(x.kind, EXIT_EXCEPTION);
    c.exit_code = 0x40 + X86_MC;
    svm_decode(&c, FORM_EVENT, false, &x);
    CHECK_U64(x.kind, EXIT_HOST_MCE);
}

TEST(events) {
    CHECK_U64(svm_event_decode(0x30).type, EVENT_NONE); /* not valid */
    struct event e = svm_event_decode(0x0000007780000b0dull);
    CHECK_U64(e.type, EVENT_EXCEPTION);
    CHECK_U64(e.vector, 13);
    CHECK_U64(e.error, 0x77);
    CHECK_U64(svm_event_encode(&e), 0x0000007780000b0dull);
    e = svm_event_decode(0x800000efull);
    CHECK_U64(e.type, EVENT_INTERRUPT);
    CHECK_U64(svm_event_encode(&e), 0x800000ef);
    e = svm_event_decode(0x80000202ull);
    CHECK_U64(e.type, EVENT_NMI);
    CHECK_U64(svm_event_encode(&e), 0x80000202);
    /* INT n, INT3 and INTO run again. */
    CHECK_U64(svm_event_decode(0x80000480ull).type, EVENT_NONE);
    CHECK_U64(svm_event_decode(0x80000303ull).type, EVENT_NONE);
    CHECK_U64(svm_event_decode(0x80000304ull).type, EVENT_NONE);
    CHECK_U64(svm_event_decode(0x80000100ull).type, EVENT_NONE); /* a reserved type */
}

TEST(intercepts) {
    struct vmcb c = {.asid = 0};
    svm_set_intercepts(&c);
    /* INTR, NMI, INIT, a change of CR0, RDPMC, CPUID, INVD, HLT, INVLPGA, I/O, MSRs, shutdown;
     * not task switches; neither VINTR nor IRET, which are switched on at need. */
    CHECK_U64(c.intercepts[0], 0x9d44802b);
    /* VMRUN to SKINIT, WBINVD, MONITOR, MWAIT, XSETBV, RDPRU; not RDTSCP, not MWAIT armed. */
    CHECK_U64(c.intercepts[1], 0x6e7f);
    CHECK_U64(c.exceptions, BIT32(1) | BIT32(17) | BIT32(18));
    CHECK_U64(c.cr_writes, 0x10); /* CR8 is V_TPR until it holds an interrupt back */
    CHECK_U64(c.cr_reads, 0x10);
    CHECK_U64(c.dr_reads | c.dr_writes, 0);
}

TEST(msr_bits) {
    CHECK_U64(svm_msr_bit(0, false), 0);
    CHECK_U64(svm_msr_bit(0x1fff, false), 0x3ffe);
    CHECK_U64(svm_msr_bit(0x1fff, true), 0x3fff);
    CHECK(svm_msr_bit(0x2000, false) == -1);
    CHECK_U64(svm_msr_bit(0xc0000080, false), 8 * 0x800 + 0x100);
    CHECK_U64(svm_msr_bit(0xc0011fff, false), 8 * 0x1800 - 2);
    CHECK(svm_msr_bit(0xc0002000, false) == -1);
    CHECK(svm_msr_bit(0xc0012000, false) == -1);
    CHECK(svm_msr_bit(0xbfffffff, false) == -1);
    CHECK(svm_msr_bit(UINT32_MAX, false) == -1);
}

/* A VMCB that breaks nothing. */
static struct vmcb good(void) {
    struct vmcb c = {.asid = 1,
                     .efer = X86_EFER_SVME | X86_EFER_LME | X86_EFER_LMA,
                     .cr0 = X86_CR0_PG | X86_CR0_PE,
                     .cr4 = X86_CR4_PAE,
                     .dr6 = 0xffff0ff0,
                     .dr7 = 0x400,
                     .event = 0x80000b0d};
    c.segments[HVM_CS].attr = 0x29b;
    svm_set_intercepts(&c);
    return c;
}

TEST(refusals) {
    struct vmcb c = good();
    const char *none = svm_refusal(&c);
    CHECK_STR(none, "CR3, CR4 or EFER has a bit this CPU does not know");
#define BREAKS(change, text)                                                                       \
    do {                                                                                           \
        c = good();                                                                                \
        change;                                                                                    \
        CHECK_STR(svm_refusal(&c), text);                                                          \
    } while (0)
    BREAKS(c.efer &= ~X86_EFER_SVME, "EFER.SVME is clear");
    BREAKS(c.cr0 |= X86_CR0_NW, "CR0.NW is set without CR0.CD");
    BREAKS(c.cr0 |= BIT(40), "CR0 has bits above 31");
    BREAKS(c.cr0 &= ~X86_CR0_PE, "CR0.PG is set without CR0.PE");
    BREAKS(c.dr6 |= BIT(32), "DR6 has bits above 31");
    BREAKS(c.dr7 |= BIT(63), "DR7 has bits above 31");
    BREAKS(c.cr4 = 0, "long mode without CR4.PAE");
    BREAKS(c.segments[HVM_CS].attr |= 0x600, "CS has both L and D");
    BREAKS(c.intercepts[1] &= ~SVM_VMRUN, "VMRUN is not intercepted");
    BREAKS(c.asid = 0, "ASID is 0");
    BREAKS(c.nested_cr3 = BIT(52), "a map's address is too large");
    BREAKS(c.event = 0x80000130, "the injected event is not a legal one");
    BREAKS(c.event = 0x80000320, "the injected event is not a legal one");
}

TEST_MAIN(T(exit_codes), T(port_io), T(control_registers), T(nested_faults), T(exceptions),
          T(events), T(intercepts), T(msr_bits), T(refusals))
