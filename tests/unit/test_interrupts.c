/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wires of a VM: 8259, LINT0, I/O APIC and MSIs, up to the event that goes into a vCPU. */
#include "fake_machine.h"

#define LVT_LINT0 0x350
#define EXTINT    0x700

static struct vcpu *vcpus;

/* OUT as a guest does it. */
static void out(uint16_t port, uint8_t value) {
    struct vmexit x = {.kind = EXIT_IO, .io = {port, 1, 0}};
    vcpus->regs[X86_RAX] = value;
    CHECK_U64(fake_exit(vcpus, &x), ACTION_NEXT);
}

/* Three vCPUs with enabled local APICs; the 8259's vectors are 30h to 3Fh, nothing masked. */
static void fresh(void) {
    static const uint16_t words[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1},
                                        {0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 2}, {0xa1, 1},
                                        {0x4d0, 0},   {0x4d1, 0}};
    static struct exchange exchanges[3];
    static const uint32_t never;
    vcpus = fake_machine_start();
    fake_vm->vcpu_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        struct vcpu *v = &vcpus[i];
        v->vm = fake_vm;
        v->index = v->cpu = i;
        v->exchange = i == 0 ? v->exchange : &exchanges[i];
        v->intr = i == 0 ? v->intr : &never;
        v->lapic = (struct lapic){.ops = &vcpu_lapic_ops, .ctx = v, .clock = fake_vm->clock};
        lapic_reset(&v->lapic, i, i == 0);
        lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
        v->event.type = EVENT_NONE;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        out(words[i][0], (uint8_t)words[i][1]);
    }
    CHECK_U64(vcpus->public.refused[REFUSED_PORT], 0);
    fake_can_interrupt = true;
}

static void lint0(struct vcpu *v, uint32_t value) {
    lapic_mmio_write(&v->lapic, LVT_LINT0, 4, value);
}

/* The vector that goes in when the requests are looked at; -1 if none. */
static int serve(struct vcpu *v) {
    v->event.type = EVENT_NONE;
    CHECK(vcpu_service(v));
    return v->event.type == EVENT_INTERRUPT ? v->event.vector : -1;
}

static void end(void) {
    out(0x20, 0x20);
}

TEST(extint) {
    fresh();
    lint0(vcpus, EXTINT);
    vcpus->public.requests = 0;
    fake_cpu = 1; /* from another CPU: a kick */
    unsigned kicks = fake_kicks;
    fake_set_irq(4, true);
    fake_cpu = 0;
    CHECK(vcpus->public.requests == REQUEST_EVENT && fake_kicks == kicks + 1);
    CHECK_U64(serve(vcpus), 0x34);
    CHECK_U64(lapic_pending(&vcpus->lapic), -1);
    CHECK_U64(lapic_mmio_read(&vcpus->lapic, 0xa0), 0); /* nothing is in service there */
    fake_set_irq(4, false);
    fake_set_irq(4, true);
    CHECK_U64(serve(vcpus), -1);
    end();
    CHECK_U64(serve(vcpus), 0x34);
    CHECK_U64(fake_hardware.platform.pic.chips[0].isr, 0x10);
    end();
    fake_set_irq(0, true); /* pin 2 of the I/O APIC, input 0 here */
    CHECK_U64(fake_hardware.platform.ioapic.lines, BIT(2) | BIT(4));
    CHECK_U64(serve(vcpus), 0x30);
}

TEST(extint_has_no_priority) {
    fresh();
    lint0(vcpus, EXTINT);
    lapic_mmio_write(&vcpus->lapic, 0x80, 4, 0xf0); /* TPR */
    CHECK(lapic_accept(&vcpus->lapic, 0xe5, false));
    fake_set_irq(4, true);
    CHECK_U64(serve(vcpus), 0x34);
    end();
    lapic_mmio_write(&vcpus->lapic, 0x80, 4, 0);
    fake_set_irq(5, true);
    CHECK_U64(serve(vcpus), 0x35); /* before the local APIC's own */
    CHECK(fake_window_interrupt);
    CHECK_U64(serve(vcpus), 0xe5);
    CHECK(!fake_window_interrupt);
}

TEST(extint_waits_for_a_window) {
    fresh();
    lint0(vcpus, EXTINT);
    fake_can_interrupt = false;
    fake_set_irq(4, true);
    CHECK_U64(serve(vcpus), -1);
    CHECK(fake_window_interrupt);
    CHECK_U64(fake_hardware.platform.pic.chips[0].isr, 0);
    out(0x21, 0x10); /* masked meanwhile: it is withdrawn */
    vcpu_request(&vcpus->public, REQUEST_EVENT);
    CHECK_U64(serve(vcpus), -1);
    CHECK(!fake_window_interrupt);
    out(0x21, 0);
    fake_can_interrupt = true;
    CHECK(vcpu_halt(vcpus)); /* ends HLT */
    CHECK(vcpus->event.type == EVENT_INTERRUPT && vcpus->event.vector == 0x34);
}

TEST(lint0_decides) {
    fresh();
    fake_set_irq(4, true);
    CHECK_U64(serve(vcpus), -1); /* masked at power-up */
    lint0(vcpus, EXTINT);
    CHECK_U64(vcpus->public.requests, REQUEST_EVENT);
    CHECK_U64(serve(vcpus), 0x34); /* it was waiting */
    end();
    lint0(vcpus, 0x51); /* fixed: an edge of INTR is vector 51h of the local APIC */
    fake_set_irq(5, true);
    CHECK_U64(serve(vcpus), 0x51);
    CHECK_U64(fake_hardware.platform.pic.chips[0].isr, 0);
    fresh();
    lint0(vcpus, 0x400);
    vcpus->public.requests = 0;
    fake_set_irq(4, true);
    CHECK_U64(vcpus->public.requests, REQUEST_NMI);
    fresh();
    lint0(&vcpus[1], EXTINT); /* the wire goes to the first CPU */
    fake_set_irq(4, true);
    CHECK_U64(serve(&vcpus[1]), -1);
    fresh();
    fake_set_irq(4, true);
    CHECK_U64(lapic_base_write(&vcpus->lapic, LAPIC_BASE | APIC_BASE_BSP), STATUS_OK);
    CHECK_U64(serve(vcpus), 0x34); /* no local APIC: INTR */
}

static unsigned pending(void) {
    unsigned set = 0;
    for (uint32_t i = 0; i < 3; i++) {
        int vector = lapic_pending(&vcpus[i].lapic);
        if (vector >= 0) {
            set |= 1u << i;
            lapic_acknowledge(&vcpus[i].lapic, (uint8_t)vector);
            lapic_mmio_write(&vcpus[i].lapic, 0xb0, 4, 0);
        }
    }
    return set;
}

TEST(lowest_priority_in_turn) {
    const struct apic_message m = {
        .vector = 0x61, .delivery_mode = APIC_LOWEST, .destination = UINT32_MAX};
    unsigned first, second, third;
    fresh();
    vm_deliver(fake_vm, NULL, &m);
    first = pending();
    vm_deliver(fake_vm, NULL, &m);
    second = pending();
    vm_deliver(fake_vm, NULL, &m);
    third = pending();
    CHECK_U64(first | second | third, 7);
    CHECK_U64(first + second + third, 7);
    lapic_mmio_write(&vcpus[1].lapic, 0xf0, 4, 0xff); /* cannot take it */
    for (unsigned i = 0; i < 4; i++) {
        vm_deliver(fake_vm, NULL, &m);
        unsigned set = pending();
        CHECK(set == 1 || set == 4);
    }
}

/* Off by software an APIC takes NMI, INIT and startup messages; off altogether nothing. */
TEST(switched_off) {
    const uint8_t modes[] = {APIC_FIXED, APIC_LOWEST, APIC_NMI, APIC_INIT, APIC_SIPI};
    const uint32_t requests[] = {0, 0, REQUEST_NMI, REQUEST_INIT, REQUEST_SIPI};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        for (uint8_t shorthand = APIC_NAMED; shorthand <= APIC_OTHERS; shorthand++) {
            const struct apic_message m = {.vector = 0x61,
                                           .delivery_mode = modes[i],
                                           .shorthand = shorthand,
                                           .destination = 1};
            if (shorthand == APIC_SELF) {
                continue; /* does not leave its APIC */
            }
            fresh();
            lapic_mmio_write(&vcpus[1].lapic, 0xf0, 4, 0xff);
            vcpus[1].public.requests = 0;
            vm_deliver(fake_vm, vcpus, &m);
            /* An INIT that reaches the first CPU as well resets the VM. */
            bool ends = modes[i] == APIC_INIT && shorthand == APIC_ALL;
            CHECK_U64(vcpus[1].public.requests, requests[i] | (ends ? REQUEST_LEAVE : 0u));
            CHECK_U64(lapic_base_write(&vcpus[1].lapic, LAPIC_BASE), STATUS_OK);
            vcpus[1].public.requests = 0;
            vm_deliver(fake_vm, vcpus, &m);
            CHECK_U64(vcpus[1].public.requests, ends ? REQUEST_LEAVE : 0u);
        }
    }
}

TEST(msi_reaches_the_local_apics) {
    fresh();
    vm_send_msi(fake_vm, 0xfee02000, 0x61);
    CHECK_U64(pending(), 4);
    vm_send_msi(fake_vm, 0xfeeff000, 0x61);
    CHECK_U64(pending(), 7);
    vm_send_msi(fake_vm, 0xfeeff008, 0x61); /* redirection hint: one of them */
    unsigned set = pending();
    CHECK(set == 1 || set == 2 || set == 4);
    lapic_mmio_write(&vcpus[2].lapic, 0xd0, 4, 0x08000000);
    vm_send_msi(fake_vm, 0xfee0a004, 0x61);
    CHECK_U64(pending(), 4);
    vm_send_msi(fake_vm, 0xfee01000, 0xc061); /* level: TMR */
    CHECK_U64(lapic_mmio_read(&vcpus[1].lapic, 0x1b0), 2);
    CHECK_U64(pending(), 2);
    vm_send_msi(fake_vm, 0xfee0a004, 0xffff8061 | 0x4000); /* reserved bits */
    CHECK_U64(lapic_mmio_read(&vcpus[2].lapic, 0x1b0), 2);
    CHECK_U64(pending(), 4);
    vm_send_msi(fake_vm, 0xfee02000, 0x3861);
    CHECK_U64(pending(), 4); /* not logical */
    CHECK_U64(lapic_mmio_read(&vcpus[2].lapic, 0x1b0), 0);
    vcpus[1].public.requests = 0;
    vm_send_msi(fake_vm, 0xfee01008, 0x0461);
    CHECK_U64(vcpus[1].public.requests, REQUEST_NMI);
    vm_send_msi(fake_vm, 0xfed02000, 0x61);
    vm_send_msi(fake_vm, 0xfef02000, 0x61);
    vm_send_msi(fake_vm, 0x1fee02000, 0x61);
    vm_send_msi(fake_vm, 0xfee02000, 0x8061);
    CHECK_U64(pending(), 0);
    vcpus[1].public.requests = 0;
    vm_send_msi(fake_vm, 0xfee01000, 0x0005); /* an illegal vector: an error there */
    CHECK_U64(vcpus[1].public.requests, 0);
    lapic_mmio_write(&vcpus[1].lapic, 0x370, 4, 0xe0);
    lapic_mmio_write(&vcpus[1].lapic, 0x280, 4, 0);
    CHECK_U64(lapic_mmio_read(&vcpus[1].lapic, 0x280), 0x40);
    vcpus[1].public.requests = 0;
    vm_send_msi(fake_vm, 0xfee01000, 0x0005);
    CHECK_U64(vcpus[1].public.requests, REQUEST_EVENT);
    CHECK_U64(lapic_pending(&vcpus[1].lapic), 0xe0);
    fake_ioapic_write(0x18, 0x61); /* an I/O APIC's entry is sent as one */
    fake_set_irq(4, true);
    CHECK_U64(lapic_pending(&vcpus[0].lapic), 0x61);
}

static void nmi(struct vcpu *v) {
    const struct apic_message m = {.delivery_mode = APIC_NMI, .destination = v->index};
    vm_deliver(fake_vm, NULL, &m);
}

static void ipi(struct vcpu *v) {
    const struct apic_message m = {.vector = 0x61, .destination = v->index};
    vm_deliver(fake_vm, NULL, &m);
}

/* What goes in at the next entry; EVENT_NONE if nothing. */
static uint8_t enters(struct vcpu *v) {
    if (v->public.requests != 0) {
        CHECK(vcpu_service(v));
    }
    return fake_enter(v).type;
}

/* The guest's IRET; the vendor exits for it if it was asked to. */
static void iret(struct vcpu *v) {
    fake_nmi_blocked = false;
    if (fake_window_nmi || fake_window_interrupt) {
        vcpu_request(&v->public, REQUEST_EVENT);
    }
}

/* A vCPU in its guest, and nothing waits for it. */
static void start_quiet(void) {
    fresh();
    vcpus->public.requests = 0;
}

static void takes_two_nmis(void) {
    CHECK_U64(enters(vcpus), EVENT_NMI);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NONE);
}

/* A CPU takes the first and latches the second; both come before an interrupt sent after them. */
TEST(two_nmis_while_the_vcpu_is_with_us) {
    start_quiet();
    nmi(vcpus);
    nmi(vcpus);
    ipi(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    CHECK(fake_window_nmi && fake_window_interrupt);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    CHECK(!fake_window_nmi && fake_window_interrupt);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_INTERRUPT);
    CHECK(!fake_window_nmi && !fake_window_interrupt);
    CHECK_U64(enters(vcpus), EVENT_NONE);
}

static void nmi_and_ipi(void) {
    fake_on_timer_set = NULL;
    nmi(vcpus);
    ipi(vcpus);
}

/* Another CPU sends both while this turn's requests are served: still in their order. */
TEST(an_nmi_between_requests_and_interrupts) {
    start_quiet();
    vcpu_request(&vcpus->public, REQUEST_CLOCKS);
    fake_on_timer_set = nmi_and_ipi;
    CHECK_U64(enters(vcpus), EVENT_NMI);
    CHECK(fake_on_timer_set == NULL);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_INTERRUPT);
    CHECK_U64(enters(vcpus), EVENT_NONE);
}

TEST(a_third_nmi_is_lost) {
    start_quiet();
    for (unsigned i = 0; i < 5; i++) {
        nmi(vcpus);
    }
    takes_two_nmis();
}

/* In the handler of one: one is latched, however many come and however often they are looked at. */
TEST(nmis_in_an_nmi_handler) {
    start_quiet();
    nmi(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    for (unsigned i = 0; i < 3; i++) {
        nmi(vcpus);
        nmi(vcpus);
        CHECK_U64(enters(vcpus), EVENT_NONE);
        CHECK(fake_window_nmi);
    }
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    CHECK(!fake_window_nmi);
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NONE);
}

/* One whose delivery an exit cut off goes in again; it blocks nothing yet, but it will. */
TEST(nmis_while_one_goes_in_again) {
    start_quiet();
    vcpu_inject(vcpus, (struct event){.type = EVENT_NMI, .vector = X86_NMI});
    nmi(vcpus);
    nmi(vcpus);
    takes_two_nmis();
}

/* An NMI waits for nothing that an interrupt waits for, and comes before it. */
TEST(nmi_before_interrupts) {
    start_quiet();
    fake_can_interrupt = false;
    ipi(vcpus);
    nmi(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    CHECK(fake_window_interrupt);
    fake_can_interrupt = true;
    iret(vcpus);
    CHECK_U64(enters(vcpus), EVENT_INTERRUPT);
}

TEST(init_forgets_nmis) {
    start_quiet();
    nmi(vcpus);
    nmi(vcpus);
    CHECK_U64(enters(vcpus), EVENT_NMI);
    vcpu_reset(vcpus, true);
    CHECK_U64(enters(vcpus), EVENT_NONE);
    vcpu_request(&vcpus->public, REQUEST_EVENT);
    CHECK_U64(enters(vcpus), EVENT_NONE);
}

TEST_MAIN(T(extint), T(extint_has_no_priority), T(extint_waits_for_a_window), T(lint0_decides),
          T(lowest_priority_in_turn), T(switched_off), T(msi_reaches_the_local_apics),
          T(two_nmis_while_the_vcpu_is_with_us), T(an_nmi_between_requests_and_interrupts),
          T(a_third_nmi_is_lost), T(nmis_in_an_nmi_handler), T(nmis_while_one_goes_in_again),
          T(nmi_before_interrupts), T(init_forgets_nmis))
