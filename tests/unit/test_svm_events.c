/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events on AMD-V over a VMCB that no CPU runs: what an exit leaves in it is written here. The
 * guest's RFLAGS must never have a trap flag that the guest did not set.
 */
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/svm/svm.h"
#include "fake_machine.h"

#define MICROSECOND (FAKE_HZ / 1000000)

static struct svm_vcpu svm;
static struct vcpu *v;

static void start(void) {
    v = fake_machine_start();
    memset(&svm, 0, sizeof(svm));
    svm.vmcb.rip = 0x1000;
    svm.vmcb.rsp = 0x8000;
    svm.vmcb.cr0 = X86_CR0_PE;
    svm.vmcb.rflags = X86_RFLAGS_FIXED | X86_RFLAGS_IF;
    svm.vmcb.virtual_interrupt = V_INTR_MASKING;
    v->vendor = &svm;
    v->clocks_due = v->apic_due = 0;
    fake_ops.inject = svm_inject;
    fake_ops.can_take = svm_can_take;
    fake_ops.window = svm_window;
    fake_ops.watch_cr8 = svm_watch_cr8;
    v->lapic.cr8 = (uint8_t *)&svm.vmcb.virtual_interrupt;
    fake_deadline = 0;
    fake_tsc = 5000000;
    CHECK_U64(lapic_msr_write(&v->lapic, 0x80f, 0x1ff), STATUS_DENIED);
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    v->public.requests = 0;
}

/* The CPU ran the guest as far as rip and left it with code. What was injected has gone in. */
static void exit_at(uint64_t rip, uint64_t code) {
    CHECK((svm.vmcb.rflags & X86_RFLAGS_TF) == 0);
    v->event.type = EVENT_NONE;
    svm.vmcb.event = 0;
    svm.vmcb.rip = rip;
    svm.vmcb.exit_code = code;
    svm_events_after_exit(v);
    struct vmexit x = {.kind = svm_exit_find(code).kind};
    if (x.kind == EXIT_WINDOW || x.kind == EXIT_NMI_WINDOW || x.kind == EXIT_INTERRUPT) {
        CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    }
}

static void serve(uint32_t requests) {
    v->public.requests |= requests | REQUEST_EVENT;
    CHECK(vcpu_service(v));
}

static bool window_is_open(void) {
    return (svm.vmcb.virtual_interrupt & V_IRQ) != 0 && (svm.vmcb.intercepts[0] & SVM_VINTR) != 0;
}

static bool iret_is_intercepted(void) {
    return (svm.vmcb.intercepts[0] & SVM_IRET) != 0;
}

static bool nmi_goes_in(void) {
    return v->event.type == EVENT_NMI && svm.vmcb.event == 0x80000202;
}

TEST(nmi_behind_an_exception) {
    start();
    vcpu_inject_exception(v, X86_GP, 0);
    serve(REQUEST_NMI);
    CHECK_U64(svm.vmcb.event, 0x80000b0d);
    CHECK((svm.vmcb.rflags & X86_RFLAGS_TF) == 0);
    CHECK_U64(svm.vmcb.exceptions, 0);
    CHECK(window_is_open());
    CHECK_U64(fake_deadline, fake_tsc + MICROSECOND);
    exit_at(0x2000, 0x60);
    serve(REQUEST_TIMER);
    CHECK(nmi_goes_in());
    CHECK(iret_is_intercepted());
}

/* Each look in vain doubles the time to the next; they end with what was waited for. */
TEST(looks) {
    start();
    svm.vmcb.interrupt_shadow = SHADOW;
    svm.shadow_entries = 0;
    uint64_t wait = MICROSECOND;
    for (unsigned i = 0; i < 14; i++) {
        serve(i == 0 ? REQUEST_NMI : REQUEST_TIMER);
        CHECK_U64(fake_deadline, fake_tsc + wait);
        CHECK(!window_is_open());
        fake_tsc = fake_deadline;
        wait = min_u64(2 * wait, MICROSECOND << 10);
    }
    svm.vmcb.interrupt_shadow = 0;
    serve(REQUEST_TIMER);
    CHECK(nmi_goes_in());
    CHECK_U64(svm.looks, 0);
}

TEST(end_of_nmi) {
    start();
    serve(REQUEST_NMI);
    CHECK(nmi_goes_in());
    exit_at(0x2000, 0x72);
    serve(REQUEST_NMI);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(!window_is_open() && iret_is_intercepted());
    CHECK_U64(fake_deadline, 0); /* the IRET's exit comes first */

    exit_at(0x2010, EXIT_CODE_IRET);
    serve(0);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(window_is_open() && !iret_is_intercepted());
    CHECK_U64(fake_deadline, fake_tsc + MICROSECOND);
    /* It faults in the nested tables, say, and has not run. */
    exit_at(0x2010, 0x60);
    serve(REQUEST_TIMER);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(window_is_open());
    /* It has. */
    exit_at(0x1000, EXIT_CODE_VINTR);
    CHECK(!window_is_open());
    serve(0);
    CHECK(nmi_goes_in());
    CHECK(iret_is_intercepted());
}

TEST(end_of_nmi_at_the_same_place) {
    start();
    serve(REQUEST_NMI);
    exit_at(0x2010, EXIT_CODE_IRET);
    CHECK(!svm_can_take(v, true));
    svm.vmcb.rsp += 40; /* an IRET to itself */
    CHECK(svm_can_take(v, true));
}

/* The IRET is a task switch, which stores RFLAGS: the new task has another place and stack. */
TEST(end_of_nmi_by_a_task_switch) {
    start();
    serve(REQUEST_NMI);
    exit_at(0x2010, EXIT_CODE_IRET);
    serve(REQUEST_NMI);
    CHECK_U64(svm.vmcb.rflags, X86_RFLAGS_FIXED | X86_RFLAGS_IF);
    CHECK(!iret_is_intercepted());
    svm.vmcb.rsp = 0x6000;
    exit_at(0x4000, 0x60);
    serve(REQUEST_TIMER);
    CHECK(nmi_goes_in());
    CHECK((svm.vmcb.rflags & X86_RFLAGS_TF) == 0);
}

/* What comes before the IRET that was let through is not its end. */
TEST(event_before_the_iret) {
    start();
    serve(REQUEST_NMI);
    exit_at(0x2010, EXIT_CODE_IRET);
    vcpu_inject(v, (struct event){.type = EVENT_INTERRUPT, .vector = 0x51});
    CHECK(iret_is_intercepted());
    exit_at(0x3000, 0x72);
    CHECK(!svm_can_take(v, true));
    exit_at(0x3010, EXIT_CODE_IRET);
    svm.vmcb.rip = 0x2010;
    CHECK(svm_can_take(v, true));
}

static void interrupt_waits(void) {
    CHECK(lapic_accept(&v->lapic, 0x51, false));
}

TEST(window) {
    start();
    interrupt_waits();
    svm.vmcb.rflags &= ~X86_RFLAGS_IF;
    serve(0);
    CHECK(window_is_open());
    CHECK_U64(svm.vmcb.virtual_interrupt, V_INTR_MASKING | V_IRQ | V_PRIORITY_MAX | V_IGNORE_TPR);
    CHECK_U64(fake_deadline, 0);
    svm.vmcb.rflags |= X86_RFLAGS_IF;
    exit_at(0x1001, EXIT_CODE_VINTR);
    CHECK_U64(svm.vmcb.virtual_interrupt, V_INTR_MASKING);
    serve(0);
    CHECK_U64(svm.vmcb.event, 0x80000051);
    CHECK(!window_is_open());
}

/* STI; HLT with an interrupt that waits: a CPU that forgets the shadow at VMRUN, as QEMU's. */
TEST(shadow_that_the_cpu_forgets) {
    start();
    interrupt_waits();
    for (unsigned i = 0; i < 6; i++) { /* host interrupts come as fast as they can */
        svm.vmcb.interrupt_shadow = i == 0 ? SHADOW : 0;
        exit_at(0x1001, 0x60);
        serve(0);
        CHECK_U64(v->event.type, EVENT_NONE);
        CHECK(!window_is_open());
        CHECK(fake_deadline > fake_tsc);
    }
    svm.vmcb.interrupt_shadow = 0;
    exit_at(0x1002, 0x60);
    serve(REQUEST_TIMER);
    CHECK_U64(svm.vmcb.event, 0x80000051);
    CHECK_U64(svm.vmcb.interrupt_shadow, 0);
}

/* STI; JMP to itself: the shadow is over though the guest has not moved. */
TEST(shadow_that_is_over) {
    start();
    interrupt_waits();
    svm.vmcb.interrupt_shadow = SHADOW;
    for (unsigned i = 0; i < 100 && v->event.type == EVENT_NONE; i++) {
        exit_at(0x1001, 0x60);
        serve(REQUEST_TIMER);
        svm.vmcb.interrupt_shadow = 0;
        fake_tsc = max_u64(fake_tsc, fake_deadline);
    }
    CHECK_U64(svm.vmcb.event, 0x80000051);
    CHECK(fake_tsc < 5000000 + 10000 * MICROSECOND);
}

TEST(events) {
    start();
    svm.vmcb.interrupt_shadow = SHADOW;
    vcpu_inject_exception(v, X86_PF, 2);
    CHECK_U64(svm.vmcb.event, 0x280000b0e);
    CHECK((svm.vmcb.rflags & X86_RFLAGS_RF) != 0);
    CHECK_U64(svm.vmcb.interrupt_shadow, 0);
    v->event.type = EVENT_NONE;
    svm.vmcb.cr0 = 0; /* real mode */
    vcpu_inject_exception(v, X86_GP, 0);
    CHECK_U64(svm.vmcb.event, 0x8000030d);
}

static bool cr8_writes_exit(void) {
    return (svm.vmcb.cr_writes & SVM_CR8) != 0;
}

static void set_v_tpr(uint8_t value) {
    svm.vmcb.virtual_interrupt &= ~0xffull;
    svm.vmcb.virtual_interrupt |= value;
}

/* The guest's CR8 exits only while it alone holds an interrupt back. */
TEST(cr8) {
    start();
    set_v_tpr(5);
    serve(0);
    CHECK(!cr8_writes_exit());
    interrupt_waits();
    serve(0);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(cr8_writes_exit());
    CHECK(!window_is_open());

    svm.vmcb.clean = CLEAN_ALL;
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = 8, .gpr = X86_RAX}};
    v->regs[X86_RAX] = 4;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK(!cr8_writes_exit());
    CHECK_U64(svm.vmcb.clean & CLEAN_CONTROLS, 0);
    CHECK_U64(svm.vmcb.virtual_interrupt, V_INTR_MASKING | 4);
    serve(0);
    CHECK_U64(svm.vmcb.event, 0x80000051);
    CHECK(!cr8_writes_exit());
}

/* A window ignores V_TPR: what it is for may have to wait longer. */
TEST(cr8_in_a_window) {
    start();
    interrupt_waits();
    svm.vmcb.rflags &= ~X86_RFLAGS_IF;
    serve(0);
    CHECK(window_is_open() && cr8_writes_exit());
    CHECK(!svm.cr8_watched);
    set_v_tpr(15);
    svm.vmcb.rflags |= X86_RFLAGS_IF;
    exit_at(0x1001, EXIT_CODE_VINTR);
    serve(0);
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK(!window_is_open() && cr8_writes_exit());
    CHECK_U64(svm.vmcb.virtual_interrupt, V_INTR_MASKING | 15);
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = 8, .gpr = X86_RAX}};
    v->regs[X86_RAX] = 0;
    svm.vmcb.rflags &= ~X86_RFLAGS_IF;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    serve(0);
    CHECK(window_is_open() && cr8_writes_exit());
    v->regs[X86_RAX] = 7;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    serve(0);
    CHECK(!window_is_open() && svm.cr8_watched && cr8_writes_exit());
}

/* On the other vCPUs too; their looks leave the clocks alone. */
TEST(look_on_another_vcpu) {
    start();
    v->index = 1;
    v->apic_due = fake_tsc + FAKE_HZ;
    vcpu_look_again(v, MICROSECOND);
    CHECK_U64(fake_deadline, fake_tsc + MICROSECOND);
    serve(REQUEST_TIMER);
    CHECK_U64(v->clocks_due, 0);
}

TEST_MAIN(T(nmi_behind_an_exception), T(looks), T(end_of_nmi), T(end_of_nmi_at_the_same_place),
          T(end_of_nmi_by_a_task_switch), T(event_before_the_iret), T(window),
          T(shadow_that_the_cpu_forgets), T(shadow_that_is_over), T(events), T(cr8),
          T(cr8_in_a_window), T(look_on_another_vcpu))
