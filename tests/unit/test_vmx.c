/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pure half of VT-x: raw exit words to struct vmexit, events there and back, and the choice of
 * control words from capability words.
 */
#include "arch/x86_64/vmx/caps.h"
#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/entry.h"
#include "hv/plan/config.h"
#include "test.h"

TEST(reasons) {
    CHECK_U64(vmx_reason_find(10).kind, EXIT_CPUID);
    CHECK_U64(vmx_reason_find(27).kind, EXIT_INVALID_OPCODE); /* VMXON */
    CHECK_U64(vmx_reason_find(0x80000021).kind, EXIT_ENTRY_FAILED);
    CHECK_U64(vmx_reason_find(33).kind, EXIT_UNKNOWN); /* without the failure bit */
    CHECK_U64(vmx_reason_find(0x8000000a).kind, EXIT_UNKNOWN);
    CHECK_U64(vmx_reason_find(0x0800000a).kind, EXIT_UNKNOWN); /* enclave mode */
    CHECK_U64(vmx_reason_find(74).kind, EXIT_BUS_LOCK);
    CHECK_U64(vmx_reason_find(74).needs, NEED_IDT);
    CHECK_U64(vmx_reason_find(0x0400000a).kind, EXIT_UNKNOWN); /* is to be stripped before */
    CHECK_U64(vmx_reason_strip(0x04000030), 48);
    CHECK_U64(vmx_reason_strip(0x8800000a), 0x8800000a);
    CHECK_U64(vmx_reason_find(VMX_REASONS).kind, EXIT_UNKNOWN);
    CHECK_U64(vmx_reason_find(0xffff).kind, EXIT_UNKNOWN);
    CHECK_U64(vmx_reason_find(0x8000ffff).kind, EXIT_UNKNOWN);
    static const uint8_t instructions[] = {76, 77, 84, 85};
    for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
        CHECK_U64(vmx_reason_find(instructions[i]).kind, EXIT_INVALID_OPCODE);
        CHECK_U64(vmx_reason_find(instructions[i]).needs, NEED_LENGTH);
    }
    static const uint8_t states[] = {3, 4, 5, 6, 35, 37, 49, 52, 62, 66, 75};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        CHECK_U64(vmx_reason_find(states[i]).kind, EXIT_UNKNOWN);
        CHECK_U64(vmx_reason_find(states[i]).needs & NEED_LENGTH, 0);
    }
    /* From the future: with a length it is an instruction. */
    CHECK((vmx_reason_find(VMX_REASONS).needs & NEED_LENGTH) != 0);
    CHECK_U64(vmx_reason_find(0x0800ffff).needs & NEED_LENGTH, 0);
    CHECK_U64(vmx_decode_unknown(0), EXIT_UNKNOWN);
    CHECK_U64(vmx_decode_unknown(1), EXIT_INVALID_OPCODE);
    CHECK_U64(vmx_decode_unknown(15), EXIT_INVALID_OPCODE);
    CHECK_U64(vmx_decode_unknown(16), EXIT_UNKNOWN);
    for (uint32_t i = 0; i < VMX_REASONS; i++) {
        CHECK(vmx_reasons[i].kind < EXIT_KINDS);
    }
}

/* What a CPU without it answers with #UD, one by one. */
TEST(instructions_that_guests_do_not_have) {
    static const uint8_t reasons[] = {11, 17, 19, 20, 21, 22, 23, 24, 25, 26,
                                      27, 36, 39, 50, 53, 59, 60, 63, 64};
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        CHECK_U64(vmx_reason_find(reasons[i]).kind, EXIT_INVALID_OPCODE);
    }
}

TEST(port_io) {
    struct exit_io io;
    vmx_decode_io(0x03f80008, &io);
    CHECK_U64(io.port, 0x3f8);
    CHECK_U64(io.size, 1);
    CHECK_U64(io.flags, IO_IN);
    vmx_decode_io(0x0cf80033, &io);
    CHECK_U64(io.port, 0xcf8);
    CHECK_U64(io.size, 4);
    CHECK_U64(io.flags, IO_STRING | IO_REP);
}

TEST(control_registers) {
    struct vmexit x = {.kind = EXIT_CR};
    struct vmx_raw raw = {.qualification = 0xb04}; /* MOV CR4, R11 */
    vmx_decode(&raw, &x);
    CHECK_U64(x.cr.access, CR_WRITE);
    CHECK_U64(x.cr.cr, 4);
    CHECK_U64(x.cr.gpr, 11);
    raw.qualification = 0x12340030; /* LMSW */
    vmx_decode(&raw, &x);
    CHECK_U64(x.cr.access, CR_LMSW);
    CHECK_U64(x.cr.lmsw, 0x1234);
}

TEST(nested_faults) {
    struct vmexit x = {.kind = EXIT_NESTED_FAULT};
    struct vmx_raw raw = {.qualification = 0x182, .physical = 0xfee000b0};
    vmx_decode(&raw, &x);
    CHECK_U64(x.fault.gpa.v, 0xfee000b0);
    CHECK(x.fault.write && !x.fault.execute && !x.fault.in_page_walk);
    raw.qualification = 0x81 | 0x38;
    vmx_decode(&raw, &x);
    CHECK(!x.fault.write && x.fault.in_page_walk);
}

/* The page of the APIC's registers is memory that is not there, until the CPU stands in. */
TEST(apic_exits) {
    struct vmx_raw raw = {.reason = 44, .qualification = 0x1390};
    struct vmexit x = {.kind = (enum exit_kind)vmx_reason_find(44).kind};
    vmx_decode(&raw, &x);
    CHECK_U64(x.kind, EXIT_NESTED_FAULT);
    CHECK_U64(x.fault.gpa.v, 0xfee00390);
    CHECK(x.fault.write && !x.fault.execute && !x.fault.in_page_walk);
    raw.qualification = 0x2000;
    vmx_decode(&raw, &x);
    CHECK(!x.fault.write && x.fault.execute);
    raw.qualification = 0xf000;
    vmx_decode(&raw, &x);
    CHECK(x.fault.in_page_walk && !x.fault.execute);
    x.kind = (enum exit_kind)vmx_reason_find(56).kind;
    raw = (struct vmx_raw){.reason = 56, .qualification = 0xdead0300};
    vmx_decode(&raw, &x);
    CHECK(x.kind == EXIT_APIC_WRITE && x.apic == 0x300);
    x.kind = (enum exit_kind)vmx_reason_find(45).kind;
    raw = (struct vmx_raw){.reason = 45, .qualification = 0x51};
    vmx_decode(&raw, &x);
    CHECK(x.kind == EXIT_APIC_EOI && x.apic == 0x51);
}

TEST(task_switches) {
    struct vmexit x = {.kind = (enum exit_kind)vmx_reason_find(9).kind};
    struct vmx_raw raw = {.qualification = 0x80000030, .insn_len = 7, .event = 0x80000b0d};
    vmx_decode(&raw, &x);
    CHECK_U64(x.kind, EXIT_TASK_SWITCH);
    CHECK(x.task.selector == 0x30 && x.task.source == TASK_JMP && x.insn_len == 7);
    CHECK_U64(x.task.event.type, EVENT_NONE);
    raw.qualification = 0xc0000030;
    raw.event_error = 0x18;
    vmx_decode(&raw, &x);
    CHECK(x.task.source == TASK_GATE && x.insn_len == 0);
    CHECK(x.task.event.vector == 13 && x.task.event.has_error && x.task.event.error == 0x18);
    raw.event = 0x80000480; /* INT 80h */
    raw.insn_len = 2;
    vmx_decode(&raw, &x);
    CHECK(x.task.event.type == EVENT_SOFT_INTERRUPT && x.insn_len == 2);
}

/* The first word is the IDT-vectoring information, the others are an EPT violation's or an
 * exception's. */
TEST(nmis_after_an_event) {
    enum { EPT = VMX_REASON_EPT_VIOLATION, EXC = VMX_REASON_EXCEPTION };
    static const struct {
        uint32_t idt, reason, event;
        uint64_t qualification;
        enum vmx_nmi_blocking expected;
    } rows[] = {
        {0, EPT, 0, 0, NMI_BLOCKING_KEPT},
        {0x80000202, EPT, 0, 0, NMI_BLOCKING_ENDS},       /* an NMI was cut off */
        {0x80000202, EPT, 0, BIT(12), NMI_BLOCKING_ENDS}, /* no IRET: the bit says nothing */
        {0x80000202, EXC, 0x80000b0e, 0, NMI_BLOCKING_ENDS},
        {0x00000202, EPT, 0, 0, NMI_BLOCKING_KEPT},
        {0x00000202, EPT, 0, BIT(12), NMI_BLOCKING_BEGINS}, /* not valid */
        {0x80000031, EPT, 0, 0, NMI_BLOCKING_KEPT},         /* an interrupt */
        {0x80000b0e, EPT, 0, BIT(12), NMI_BLOCKING_KEPT}, /* a #PF: its frame's page was missing */
        {0, EPT, 0, BIT(12), NMI_BLOCKING_BEGINS},        /* an IRET, which runs again */
        {0, EPT, BIT32(12), 0, NMI_BLOCKING_KEPT},
        {0, EXC, 0x80001b0d, 0, NMI_BLOCKING_BEGINS},
        {0, EXC, 0x80000b0d, BIT(12), NMI_BLOCKING_KEPT},
        {0, EXC, 0x80001b08, 0, NMI_BLOCKING_KEPT},                         /* a #DF: undefined */
        {0, VMX_REASON_APIC_ACCESS, BIT32(12), BIT(12), NMI_BLOCKING_KEPT}, /* bits of its type */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vmx_raw raw = {.reason = rows[i].reason,
                              .event = rows[i].event,
                              .qualification = rows[i].qualification};
        CHECK_U64(vmx_nmi_after_event(&raw, rows[i].idt), rows[i].expected);
    }
}

TEST(nmis_after_a_task_switch) {
    static const struct {
        unsigned source;
        uint32_t event; /* that led to the gate */
        enum vmx_nmi_blocking expected;
    } rows[] = {
        {TASK_CALL, 0x80000202, NMI_BLOCKING_KEPT}, /* an old word: there was no event */
        {TASK_JMP, 0, NMI_BLOCKING_KEPT},           {TASK_IRET, 0, NMI_BLOCKING_ENDS},
        {TASK_IRET, 0x80000202, NMI_BLOCKING_ENDS}, {TASK_GATE, 0x80000202, NMI_BLOCKING_BEGINS},
        {TASK_GATE, 0x80000602, NMI_BLOCKING_KEPT}, /* INT 2: the same gate, no NMI */
        {TASK_GATE, 0x80000b0d, NMI_BLOCKING_KEPT}, {TASK_GATE, 0x80000031, NMI_BLOCKING_KEPT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vmexit x = {.kind = EXIT_TASK_SWITCH};
        struct vmx_raw raw = {.qualification = (uint64_t)rows[i].source << 30 | 0x38,
                              .event = rows[i].event};
        vmx_decode(&raw, &x);
        CHECK_U64(vmx_nmi_after_switch(&x.task), rows[i].expected);
    }
}

TEST(exceptions) {
    struct vmexit x = {.kind = EXIT_EXCEPTION};
    struct vmx_raw raw = {.event = 0x80000b11, .event_error = 0x77};
    vmx_decode(&raw, &x);
    CHECK_U64(x.kind, EXIT_EXCEPTION);
    CHECK_U64(x.event.vector, 17);
    CHECK(x.event.has_error);
    CHECK_U64(x.event.error, 0x77);
    raw.event = 0x80000202;
    vmx_decode(&raw, &x);
    CHECK_U64(x.kind, EXIT_HOST_NMI);
    x.kind = EXIT_EXCEPTION;
    raw.event = 0x80000312;
    vmx_decode(&raw, &x);
    CHECK_U64(x.kind, EXIT_HOST_MCE);
}

TEST(events_there_and_back) {
    static const uint32_t words[] = {0x80000031, 0x80000202, 0x80000306, 0x80000b0d,
                                     0x80000480, 0x80000603, 0x80000501};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct event e = event_decode(words[i], 5, 2);
        CHECK_U64(event_encode(&e), words[i]);
    }
    CHECK_U64(event_decode(0x31, 0, 0).type, EVENT_NONE);
    CHECK_U64(event_decode(0x80000480, 0, 2).insn_len, 2);
    CHECK_U64(event_decode(0x80000b0d, 5, 2).error, 5);
}

static unsigned missing_count;
static char missing_last[64];

static void missing(const char *what) {
    missing_count++;
    snprintf(missing_last, sizeof(missing_last), "%s", what);
}

#define PROC_RDTSC         BIT32(12)
#define PROC_CR3_LOAD      BIT32(15)
#define PROC2_UNRESTRICTED BIT32(7)
#define EPT_CAP_WB         BIT32(14)
#define EPT_CAP_INVEPT_ALL BIT32(26)

/* A CPU that must have the usual default-1 bits and may have everything. */
static struct vmx_caps capable(void) {
    struct vmx_caps c = {.revision = 1};
    static const uint32_t must[VMX_WORDS] = {
        [VMX_PIN] = 0x16, [VMX_PROC] = 0x04006172, [VMX_EXIT] = 0x36dff, [VMX_ENTRY] = 0x11ff};
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        c.allowed[i] = (struct vmx_allowed){.must = must[i], .may = UINT32_MAX};
    }
    c.allowed[VMX_ENTRY].must = 0x11ff & ~ENTRY_IA32E;
    return c;
}

TEST(controls_keep_must_and_may) {
    struct vmx_caps caps = capable();
    uint32_t out[VMX_WORDS];
    missing_count = 0;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64(missing_count, 0);
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        CHECK_U64(out[i] & caps.allowed[i].must, caps.allowed[i].must);
    }
    CHECK_U64(out[VMX_PROC] & (PROC_CR3_LOAD | PROC_RDTSC | PROC_INTERRUPT_WINDOW), 0);
    CHECK((out[VMX_PROC2] & PROC2_BUS_LOCK) != 0);
    CHECK((out[VMX_PROC2] & PROC2_VPID) != 0 && (out[VMX_EPT] & EPT_CAP_1G) != 0);
    CHECK_U64(out[VMX_EPT] & ~caps.allowed[VMX_EPT].must, 0x4134040);
    caps.allowed[VMX_PROC2].may = PROC2_EPT | PROC2_UNRESTRICTED;
    caps.allowed[VMX_EPT].may &= ~EPT_CAP_1G;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64(out[VMX_PROC2], PROC2_EPT | PROC2_UNRESTRICTED);
    CHECK_U64(out[VMX_EPT] & EPT_CAP_1G, 0);
}

/* What is avoided is left off, alone, but for what the CPU insists on. */
TEST(avoided) {
    static const struct {
        enum config_avoid feature;
        unsigned word;
        uint32_t bits;
    } cases[] = {
        {AVOID_VPID, VMX_PROC2, PROC2_VPID},  {AVOID_APICV, VMX_PROC2, 0x311},
        {AVOID_POSTING, VMX_PIN, PIN_POSTED}, {AVOID_BUS_LOCKS, VMX_PROC2, PROC2_BUS_LOCK},
        {AVOID_1G, VMX_EPT, EPT_CAP_1G},
    };
    struct vmx_caps caps = capable();
    uint32_t all[VMX_WORDS], out[VMX_WORDS];
    vmx_caps_avoid(&caps, 0);
    vmx_caps_avoid(&caps, BIT32(AVOID_X2APIC) | BIT32(AVOID_CLEAN_BITS));
    CHECK_U64(vmx_controls_choose(&caps, all, missing), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_U64(all[cases[i].word] & cases[i].bits, cases[i].bits);
        caps = capable();
        vmx_caps_avoid(&caps, BIT32(cases[i].feature));
        CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
        CHECK_U64(out[cases[i].word], all[cases[i].word] & ~cases[i].bits);
    }
    caps = capable();
    caps.allowed[VMX_PROC2].must |= PROC2_VPID;
    vmx_caps_avoid(&caps, BIT32(AVOID_VPID));
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64(out[VMX_PROC2] & PROC2_VPID, PROC2_VPID);
}

/* All of APIC virtualization or none; without it MOV CR8 has to exit. */
TEST(apic_virtualization_is_whole) {
    static const struct {
        unsigned word;
        uint32_t bit;
    } parts[] = {{VMX_PROC, BIT32(21)}, /* TPR shadow */
                 {VMX_PROC2, BIT32(0)},
                 {VMX_PROC2, BIT32(4)},
                 {VMX_PROC2, BIT32(8)},
                 {VMX_PROC2, BIT32(9)}};
    const uint32_t cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;
    uint32_t out[VMX_WORDS];
    struct vmx_caps caps = capable();
    missing_count = 0;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64(out[VMX_PROC2] & 0x311, 0x311);
    CHECK_U64(out[VMX_PROC] & (PROC_TPR_SHADOW | cr8), PROC_TPR_SHADOW);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        for (unsigned fixed = 0; fixed < 2; fixed++) {
            caps = capable();
            if (fixed != 0) { /* a control that cannot be left off is none to switch */
                caps.allowed[parts[i].word].must |= parts[i].bit;
            } else {
                caps.allowed[parts[i].word].may &= ~parts[i].bit;
            }
            CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
            CHECK_U64(out[VMX_PROC2] & 0x311 & ~caps.allowed[VMX_PROC2].must, 0);
            CHECK_U64(out[VMX_PROC] & (PROC_TPR_SHADOW | cr8) & ~caps.allowed[VMX_PROC].must, cr8);
        }
    }
    caps = capable();
    caps.allowed[VMX_PROC].must |= cr8;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64(out[VMX_PROC] & (PROC_TPR_SHADOW | cr8), PROC_TPR_SHADOW | cr8);
    CHECK_U64(missing_count, 0);
}

/* Both parts, or none; none without APIC virtualization. */
TEST(posted_interrupts_are_whole) {
    static const struct {
        unsigned word;
        uint32_t bit;
        bool own;
    } parts[] = {{VMX_PIN, BIT32(7), true},
                 {VMX_EXIT, BIT32(15), true}, /* acknowledge with the exit */
                 {VMX_PROC, BIT32(21), false},
                 {VMX_PROC2, BIT32(9), false}};
    uint32_t out[VMX_WORDS];
    struct vmx_caps caps = capable();
    missing_count = 0;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK((out[VMX_PIN] & BIT32(7)) != 0 && (out[VMX_EXIT] & BIT32(15)) != 0);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        for (unsigned fixed = 0; fixed < 2; fixed++) {
            caps = capable();
            if (fixed != 0) {
                caps.allowed[parts[i].word].must |= parts[i].bit;
            } else {
                caps.allowed[parts[i].word].may &= ~parts[i].bit;
            }
            CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
            CHECK_U64(out[VMX_PIN] & BIT32(7) & ~caps.allowed[VMX_PIN].must, 0);
            CHECK_U64(out[VMX_EXIT] & BIT32(15) & ~caps.allowed[VMX_EXIT].must, 0);
            if (parts[i].own) { /* all else is as before */
                CHECK_U64(out[VMX_PROC2] & 0x311, 0x311);
            }
        }
    }
    caps = capable();
    vmx_caps_avoid(&caps, BIT32(AVOID_POSTING));
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_OK);
    CHECK_U64((out[VMX_PIN] & BIT32(7)) | (out[VMX_EXIT] & BIT32(15)), 0);
    CHECK_U64(missing_count, 0);
}

/* Each control without which a guest would escape or misbehave. */
TEST(each_needed_control_is_missed) {
    static const struct {
        uint8_t word, bit;
    } needed[] = {
        {VMX_PIN, 0},   {VMX_PIN, 3},   {VMX_PIN, 5},    {VMX_PROC, 3},   {VMX_PROC, 7},
        {VMX_PROC, 10}, {VMX_PROC, 11}, {VMX_PROC, 19},  {VMX_PROC, 20},  {VMX_PROC, 25},
        {VMX_PROC, 28}, {VMX_PROC, 29}, {VMX_PROC, 31},  {VMX_PROC2, 1},  {VMX_PROC2, 7},
        {VMX_EPT, 6},   {VMX_EPT, 14},  {VMX_EPT, 16},   {VMX_EPT, 20},   {VMX_EPT, 26},
        {VMX_EXIT, 2},  {VMX_EXIT, 9},  {VMX_EXIT, 18},  {VMX_EXIT, 19},  {VMX_EXIT, 20},
        {VMX_EXIT, 21}, {VMX_ENTRY, 2}, {VMX_ENTRY, 14}, {VMX_ENTRY, 15}, {VMX_PROC, 2},
        {VMX_PROC, 22}, {VMX_ENTRY, 9},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        uint32_t out[VMX_WORDS];
        struct vmx_caps caps = capable();
        caps.allowed[needed[i].word].may &= ~BIT32(needed[i].bit);
        missing_count = 0;
        enum status s = vmx_controls_choose(&caps, out, missing);
        if (s != STATUS_UNSUPPORTED || missing_count != 1) {
            printf("# word %u, bit %u:\n", needed[i].word, needed[i].bit);
        }
        CHECK_U64(s, STATUS_UNSUPPORTED);
        CHECK_U64(missing_count, 1);
    }
}

TEST(each_lack_is_named) {
    uint32_t out[VMX_WORDS];
    struct vmx_caps caps = capable();
    missing_count = 0;
    caps.allowed[VMX_PROC2].may &= ~PROC2_UNRESTRICTED;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_UNSUPPORTED);
    CHECK_U64(missing_count, 1);
    CHECK_STR(missing_last, "unrestricted guest");
    caps = capable();
    caps.allowed[VMX_EPT].may &= ~EPT_CAP_WB;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_UNSUPPORTED);
    CHECK_STR(missing_last, "EPT write-back memory");
    caps = capable();
    caps.allowed[VMX_PROC].must |= PROC_CR3_LOAD;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_UNSUPPORTED);
    caps = capable();
    caps.allowed[VMX_EPT].may &= ~EPT_CAP_INVEPT_ALL;
    CHECK_U64(vmx_controls_choose(&caps, out, missing), STATUS_UNSUPPORTED);
    CHECK_STR(missing_last, "INVEPT of all contexts");
}

/* 64-bit code at CPL 0, interrupts on. */
static struct vmx_entry_state enterable(void) {
    struct vmx_entry_state s = {.cr0 = X86_CR0_PG | X86_CR0_PE,
                                .cr4 = X86_CR4_PAE,
                                .efer = X86_EFER_LME | X86_EFER_LMA,
                                .rflags = X86_RFLAGS_FIXED | X86_RFLAGS_IF,
                                .dr7 = 0x400,
                                .entry_controls = ENTRY_IA32E,
                                .phys_bits = 39};
    s.attr[HVM_CS] = 0xa09b;
    s.attr[HVM_TR] = 0x8b;
    return s;
}

/* A process's: PAE paging without long mode, CPL 3. */
static struct vmx_entry_state enterable_pae(void) {
    struct vmx_entry_state s = enterable();
    s.efer = s.entry_controls = 0;
    s.attr[HVM_CS] = 0xc0fb;
    s.pdptes[0] = 0x1001;
    return s;
}

#define EVENT_WORD(type) (EVENT_VALID | (uint32_t)(type) << 8)
#define PENDING_BS       BIT(14)

TEST(rules_of_an_entry) {
    struct vmx_entry_state s = enterable();
    CHECK(vmx_entry_rule(&s) == NULL);
    s = enterable_pae();
    CHECK(vmx_entry_rule(&s) == NULL);
#define BREAKS(change, text)                                                                       \
    do {                                                                                           \
        s = enterable();                                                                           \
        change;                                                                                    \
        const char *rule = vmx_entry_rule(&s);                                                     \
        CHECK(rule != NULL);                                                                       \
        CHECK_STR(rule, text);                                                                     \
    } while (0)
    static const char trap[] = "a single-step trap in an interrupt shadow";
    static const char shadow[] = "an interrupt shadow that cannot be";
    static const char held[] = "an interrupt or NMI in an interrupt shadow";
    static const char vm86[] = "virtual-8086 mode where it cannot be";
    static const char lm[] = "EFER, CR0 and CR4 disagree on long mode";
    static const char tr[] = "TR holds no task state segment of this mode";
    BREAKS((s.interruptibility = BLOCKED_BY_MOV_SS, s.rflags |= X86_RFLAGS_TF), trap);
    BREAKS((s.interruptibility = BLOCKED_BY_STI, s.rflags |= X86_RFLAGS_TF), trap);
    BREAKS((s.interruptibility = BLOCKED_BY_MOV_SS, s.pending_debug = PENDING_BS), trap);
    BREAKS((s.activity = 1, s.pending_debug = PENDING_BS), trap);
    BREAKS((s.interruptibility = BLOCKED_BY_STI, s.rflags &= ~X86_RFLAGS_IF), shadow);
    BREAKS(s.interruptibility = VMX_SHADOW, shadow);
    BREAKS((s.interruptibility = BLOCKED_BY_STI, s.event = EVENT_WORD(EVENT_INTERRUPT)), held);
    BREAKS((s.interruptibility = BLOCKED_BY_MOV_SS, s.event = EVENT_WORD(EVENT_NMI)), held);
    BREAKS((s.event = EVENT_WORD(EVENT_INTERRUPT), s.rflags &= ~X86_RFLAGS_IF),
           "an interrupt without RFLAGS.IF");
    BREAKS(s.pending_debug = BIT(13), "unknown debug traps are due");
    BREAKS(s.rflags |= BIT(15), "RFLAGS has a reserved bit");
    BREAKS(s.rflags &= ~X86_RFLAGS_FIXED, "RFLAGS has a reserved bit");
    BREAKS(s.rflags |= X86_RFLAGS_VM, vm86);
    BREAKS((s = enterable_pae(), s.cr0 = 0, s.rflags |= X86_RFLAGS_VM), vm86);
    BREAKS((s = enterable_pae(), s.cr0 = X86_CR0_PG), "CR0.PG is set without CR0.PE");
    BREAKS(s.cr4 = 0, lm);
    BREAKS(s.efer = 0, lm);
    BREAKS((s = enterable_pae(), s.efer = X86_EFER_LMA), lm);
    BREAKS(s.attr[HVM_TR] = 0x83, tr);
    BREAKS(s.attr[HVM_TR] = 0x89, tr);
    BREAKS(s.attr[HVM_TR] |= SEG_UNUSABLE, tr);
    BREAKS(s.attr[HVM_CS] |= SEG_BIG, "CS has both L and D");
    BREAKS((s = enterable_pae(), s.pdptes[3] = 0x3), "a page-directory pointer has a reserved bit");
    BREAKS(s.dr7 |= BIT(32), "DR7 has bits above 31");
#undef BREAKS
    /* What is right in one mode only, and what a shadow allows. */
    s = enterable();
    s.pdptes[0] = UINT64_MAX;
    CHECK(vmx_entry_rule(&s) == NULL);
    s = enterable_pae();
    s.attr[HVM_TR] = 0x83;
    s.rflags |= X86_RFLAGS_VM;
    CHECK(vmx_entry_rule(&s) == NULL);
    s = enterable();
    s.interruptibility = BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI;
    s.rflags |= X86_RFLAGS_TF;
    s.pending_debug = PENDING_BS;
    s.event = EVENT_WORD(EVENT_EXCEPTION);
    CHECK(vmx_entry_rule(&s) == NULL);
}

/* All that a process can have come to is gone, and the exception can go in. */
TEST(mended_for_an_entry) {
    struct vmx_entry_state s = enterable_pae();
    s.interruptibility = VMX_SHADOW | BLOCKED_BY_NMI;
    s.rflags = X86_RFLAGS_TF | BIT(15) | BIT(40) | X86_RFLAGS_VM;
    s.pending_debug = UINT64_MAX;
    s.activity = 1;
    s.event = EVENT_WORD(EVENT_INTERRUPT);
    s.dr7 |= BIT(40);
    s.pdptes[1] = UINT64_MAX;
    vmx_entry_mend(&s);
    CHECK(vmx_entry_rule(&s) == NULL);
    CHECK_U64(s.rflags, X86_RFLAGS_FIXED | X86_RFLAGS_TF | X86_RFLAGS_VM);
    CHECK_U64(s.interruptibility, BLOCKED_BY_NMI);
    CHECK_U64(s.dr7, 0x400);
    CHECK_U64(s.pdptes[0], 0x1001);
    s = enterable();
    s.rflags |= X86_RFLAGS_VM;
    vmx_entry_mend(&s);
    CHECK(vmx_entry_rule(&s) == NULL);
    s = enterable(); /* not ours to change */
    s.attr[HVM_TR] = 0x83;
    vmx_entry_mend(&s);
    CHECK(vmx_entry_rule(&s) != NULL);
}

TEST(page_directory_pointers) {
    CHECK_U64(vmx_pdpte(0, 39), 0);
    CHECK_U64(vmx_pdpte(0x7fffff001 | 0xe18, 39), 0x7fffff001 | 0xe18);
    CHECK_U64(vmx_pdpte(0x7fffff000 | 0x1e6, 39), 0x7fffff000 | 0x1e6); /* not present */
    static const uint8_t reserved[] = {1, 2, 5, 6, 7, 8, 39, 51, 52, 63};
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
        CHECK_U64(vmx_pdpte(0x1001 | BIT(reserved[i]), 39), 0x1000 | BIT(reserved[i]));
    }
}

/* INT1 in the shadow of MOV SS, or MOV to DR7 under DR7.GD, single-stepped: #DB, sent in again. */
TEST(shadow_before_an_event) {
    static const enum event_type ends[] = {EVENT_EXCEPTION, EVENT_SOFT_EXCEPTION,
                                           EVENT_SOFT_INTERRUPT, EVENT_INT1};
    static const uint32_t shadows[] = {BLOCKED_BY_STI, BLOCKED_BY_MOV_SS};
    for (size_t i = 0; i < ARRAY_SIZE(shadows); i++) {
        struct vmx_entry_state s = enterable();
        s.rflags |= X86_RFLAGS_TF | X86_RFLAGS_IF;
        s.interruptibility = shadows[i];
        CHECK_STR(vmx_entry_rule(&s), "a single-step trap in an interrupt shadow");
        for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
            s.interruptibility = vmx_shadow_for_event(ends[e], shadows[i] | BLOCKED_BY_NMI);
            CHECK_U64(s.interruptibility, BLOCKED_BY_NMI);
            CHECK(vmx_entry_rule(&s) == NULL);
        }
        CHECK_U64(vmx_shadow_for_event(EVENT_NMI, shadows[i]), shadows[i]);
        CHECK_U64(vmx_shadow_for_event(EVENT_NONE, shadows[i]), shadows[i]);
    }
}

TEST(shadow_before_an_nmi_window) {
    CHECK_U64(vmx_shadow_for_nmi(0), 0);
    CHECK_U64(vmx_shadow_for_nmi(BLOCKED_BY_STI), BLOCKED_BY_MOV_SS);
    CHECK_U64(vmx_shadow_for_nmi(BLOCKED_BY_MOV_SS), BLOCKED_BY_MOV_SS);
    CHECK_U64(vmx_shadow_for_nmi(BLOCKED_BY_STI | BLOCKED_BY_NMI), BLOCKED_BY_STI | BLOCKED_BY_NMI);
}

/* What software has set stays, but for the breakpoints; two bits are 0 when they are causes. */
TEST(debug_status_after_a_trap) {
    CHECK_U64(debug_status(0xffff4ff2, BIT(2)), 0xffff4ff4);
    CHECK_U64(debug_status(0xffff0ff0, X86_DR6_BS), 0xffff4ff0);
    CHECK_U64(debug_status(0xffffeff5, X86_DR6_BD), 0xffffeff0);
    CHECK_U64(debug_status(0xffff0ff0, X86_DR6_RTM | 1), 0xfffe0ff1);
    CHECK_U64(debug_status(0xfffe0ff1, 1), 0xffff0ff1);
    CHECK_U64(debug_status(0xffff0ff0, X86_DR6_BUS_LOCK), 0xffff07f0);
    CHECK_U64(debug_status(0xffff07f0, 8), 0xffff07f8);
    CHECK_U64(debug_status(0xffff0ff0, BIT(12) | BIT(4) | BIT(40)), 0xffff0ff0);
}

TEST_MAIN(T(reasons), T(instructions_that_guests_do_not_have), T(each_needed_control_is_missed),
          T(port_io), T(control_registers), T(nested_faults), T(apic_exits), T(task_switches),
          T(nmis_after_an_event), T(nmis_after_a_task_switch), T(exceptions),
          T(events_there_and_back), T(controls_keep_must_and_may), T(apic_virtualization_is_whole),
          T(posted_interrupts_are_whole), T(avoided), T(each_lack_is_named), T(rules_of_an_entry),
          T(mended_for_an_entry), T(page_directory_pointers), T(shadow_before_an_nmi_window),
          T(shadow_before_an_event), T(debug_status_after_a_trap))
