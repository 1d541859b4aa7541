/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Posted interrupts: what goes into a vCPU's descriptor and what may not, who is told, and that
 * nothing is lost on the way from there into the IRR, also by a CPU that takes it without us. What
 * devices post is in test_vm_pci.c and test_iommu.c.
 */
#include <pthread.h>

#include "fake_machine.h"
#include "hv/lib/msi.h"
#include "hv/vm/lapic_regs.h"

static uint32_t levels_told; /* words of the TMR that the vendor was told of */

static void apic_mode(UNUSED struct vcpu *v) {
}

static void apic_update(UNUSED struct vcpu *v, uint32_t levels, UNUSED uint16_t status) {
    levels_told |= levels;
}

/* Two vCPUs, on CPUs 0 and 1; the local APIC of each takes interrupts. */
static struct vcpu *start(bool posting) {
    static struct exchange exchange;
    static const uint32_t never;
    fake_ops.apic_mode = apic_mode;
    fake_ops.apic_update = apic_update;
    fake_ops.features = HVM_APIC | (posting ? HVM_POSTING : 0);
    struct vcpu *v = fake_machine_start();
    fake_vm->vcpu_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        struct vcpu *of = &v[i];
        of->vm = fake_vm;
        of->index = of->cpu = of->public.cpu = i;
        of->exchange = i == 0 ? of->exchange : &exchange;
        of->intr = i == 0 ? of->intr : &never;
        of->lapic = (struct lapic){.ops = &vcpu_lapic_ops,
                                   .ctx = of,
                                   .clock = fake_vm->clock,
                                   .hardware = true,
                                   .posting = posting};
        of->lapic.descriptor.notify = plat_post_word(i);
        lapic_reset(&of->lapic, i, i == 0);
        lapic_mmio_write(&of->lapic, 0xf0, 4, 0x1ff); /* software enable */
        (void)lapic_take_posted(&of->lapic);
        of->event.type = EVENT_NONE;
        of->public.requests = 0;
        vcpu_of_cpu[i] = of;
    }
    fake_cpu = 0;
    fake_posted = fake_kicked = levels_told = 0;
    fake_can_interrupt = true;
    return v;
}

static void send(const struct vcpu *to, uint8_t vector, uint8_t mode, bool level) {
    struct apic_message m = {
        .vector = vector, .delivery_mode = mode, .level = level, .destination = to->index};
    vm_deliver(fake_vm, NULL, &m);
}

static uint64_t notify_of(const struct vcpu *v) {
    return v->lapic.descriptor.notify;
}

static bool has_posted(const struct vcpu *v, uint8_t vector) {
    return (v->lapic.descriptor.requests[vector / 32] >> vector % 32 & 1) != 0;
}

TEST(what_another_cpu_sends_is_posted_and_told_once) {
    struct vcpu *v = start(true);
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK(has_posted(&v[1], 0x41));
    CHECK_U64(notify_of(&v[1]), plat_post_word(1) | LAPIC_NOTIFIED);
    CHECK_U64(fake_posted, BIT(1));
    CHECK_U64(fake_kicked, 0); /* it stays in its guest */
    CHECK_U64(v[1].public.requests, 0);
    fake_posted = 0;
    send(&v[1], 0xf2, APIC_LOWEST, false);
    CHECK(has_posted(&v[1], 0xf2));
    CHECK_U64(fake_posted, 0); /* it knows */

    fake_cpu = 1; /* it was out of its guest */
    hv_posted();
    CHECK_U64(v[1].public.requests, REQUEST_EVENT);
    CHECK_U64(fake_kicked, 0);
    CHECK(vcpu_service(&v[1]));
    CHECK_U64(v[1].event.vector, 0xf2);
    CHECK_U64(lapic_status(&v[1].lapic, LAPIC_NONE), 0xf241);
    CHECK_U64(notify_of(&v[1]), plat_post_word(1)); /* where it is stays */
    CHECK(!has_posted(&v[1], 0x41) && !has_posted(&v[1], 0xf2));

    fake_cpu = 0;
    send(&v[1], 0x42, APIC_FIXED, false);
    CHECK_U64(fake_posted, BIT(1)); /* told again */
}

TEST(each_vector_is_posted_and_taken) {
    struct vcpu *v = start(true);
    for (unsigned vector = VECTOR_FIRST; vector < 256; vector++) {
        send(&v[1], (uint8_t)vector, APIC_FIXED, false);
        CHECK(has_posted(&v[1], (uint8_t)vector));
        CHECK_U64(lapic_take_posted(&v[1].lapic), 0);
        CHECK_U64(lapic_status(&v[1].lapic, LAPIC_NONE), vector);
        memset(&v[1].lapic.reg[REG_IRR], 0, sizeof(v->lapic.reg[0]) * 8);
    }
}

/* A CPU takes an edge alone. What else it is asked for has to be seen by the core. */
TEST(what_is_not_posted_is_accepted_as_before) {
    static const struct {
        uint8_t vector, mode;
        bool level;
        uint32_t requests;
    } cases[] = {
        {0x41, APIC_FIXED, true, REQUEST_EVENT}, /* its end has to exit */
        {0x02, APIC_NMI, false, REQUEST_NMI},
        {0x08, APIC_SIPI, false, REQUEST_SIPI},
        {0x00, APIC_INIT, false, REQUEST_INIT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *v = start(true);
        send(&v[1], cases[i].vector, cases[i].mode, cases[i].level);
        CHECK_U64(v[1].public.requests, cases[i].requests);
        CHECK_U64(fake_kicked, BIT(1));
        CHECK_U64(fake_posted, 0);
        CHECK_U64(notify_of(&v[1]), plat_post_word(1));
    }
    struct vcpu *v = start(true);
    send(&v[1], 15, APIC_FIXED, false); /* an error of the sender's */
    CHECK_U64(fake_posted, 0);
    CHECK_U64(v[1].lapic.errors, ERROR_RECEIVE);
    lapic_mmio_write(&v[1].lapic, 0xf0, 4, 0xff); /* it does not listen */
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK_U64(fake_posted, 0);
    CHECK_U64(notify_of(&v[1]), plat_post_word(1));
    CHECK(!has_posted(&v[1], 0x41));
    v = start(true);
    send(&v[0], 0x41, APIC_FIXED, false); /* to itself: it is out of its guest */
    CHECK_U64(v[0].public.requests, REQUEST_EVENT);
    CHECK_U64(fake_posted, 0);
    CHECK(!has_posted(&v[0], 0x41));
    v = start(false);
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK_U64(v[1].public.requests, REQUEST_EVENT);
    CHECK_U64(fake_kicked, BIT(1));
    CHECK(!has_posted(&v[1], 0x41));
}

/* It was asked for something before, and will leave its guest: no interrupt comes past that. */
TEST(an_nmi_goes_in_before_what_was_sent_after_it) {
    struct vcpu *v = start(true);
    send(&v[1], 0, APIC_NMI, false);
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK_U64(fake_posted, 0);
    CHECK(!has_posted(&v[1], 0x41));
    CHECK_U64(v[1].public.requests, REQUEST_NMI | REQUEST_EVENT);
}

static struct vcpu *hurried; /* another CPU sends it both */

static void nmi_and_interrupt(void) {
    fake_on_timer_set = NULL;
    send(hurried, 0, APIC_NMI, false);
    send(hurried, 0x41, APIC_FIXED, false);
}

/* The same while the vCPU's CPU is between its requests and what is accepted. */
TEST(an_nmi_that_comes_late_goes_in_first) {
    struct vcpu *v = start(true);
    fake_nmi_blocked = false;
    hurried = v;
    vcpu_request(&v->public, REQUEST_CLOCKS);
    fake_on_timer_set = nmi_and_interrupt;
    CHECK(vcpu_service(v));
    CHECK(fake_on_timer_set == NULL);
    CHECK_U64(v->event.type, EVENT_NMI);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0x41);
}

/* A vector that was level-triggered: the end of its edge need not exit, so it is not posted before
 * the CPU has been told. */
TEST(a_level_that_becomes_an_edge) {
    struct vcpu *v = start(true);
    send(&v[1], 0x41, APIC_FIXED, true);
    fake_cpu = 1;
    CHECK(vcpu_service(&v[1]));
    CHECK_U64(levels_told, BIT32(2));
    levels_told = 0;
    fake_cpu = 0;
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK_U64(fake_posted, 0);
    CHECK_U64(v[1].public.requests, REQUEST_EVENT);
    fake_cpu = 1;
    CHECK(vcpu_service(&v[1]));
    CHECK_U64(levels_told, BIT32(2));
    CHECK_U64(lapic_levels(&v[1].lapic, 1), 0);
    fake_cpu = 0;
    send(&v[1], 0x41, APIC_FIXED, false);
    CHECK_U64(fake_posted, BIT(1));

    /* A device's, which nobody sees: the mode changes beforehand. */
    CHECK(!lapic_expect_posts(&v[1].lapic, 0x41));
    send(&v[1], 0x42, APIC_FIXED, true);
    CHECK(!lapic_expect_posts(&v[1].lapic, 0x43));
    CHECK(lapic_expect_posts(&v[1].lapic, 0x42));
    CHECK_U64(lapic_levels(&v[1].lapic, 1), 0);
    levels_told = 0;
    fake_cpu = 1;
    v[1].public.requests = REQUEST_EVENT;
    CHECK(vcpu_service(&v[1]));
    CHECK_U64(levels_told, BIT32(2));
}

TEST(a_cpu_without_a_vcpu_is_told_for_nothing) {
    struct vcpu *v = start(true);
    vcpu_of_cpu[1] = NULL;
    fake_cpu = 1;
    hv_posted();
    CHECK_U64(v[1].public.requests | v[0].public.requests, 0);
}

/* INIT and a start forget what was sent before, and not where the CPU is. */
TEST(init_forgets_what_is_in_the_descriptor) {
    struct vcpu *v = start(true);
    send(&v[1], 0x41, APIC_FIXED, false);
    send(&v[1], 0xe1, APIC_FIXED, false);
    lapic_init(&v[1].lapic);
    CHECK_U64(notify_of(&v[1]), plat_post_word(1));
    CHECK(!has_posted(&v[1], 0x41) && !has_posted(&v[1], 0xe1));
    lapic_mmio_write(&v[1].lapic, 0xf0, 4, 0x1ff);
    (void)lapic_take_posted(&v[1].lapic);
    CHECK_U64(lapic_status(&v[1].lapic, LAPIC_NONE), 0);
}

/* As the SDM has it, "Posted-Interrupt Processing": the mark, then the requests. */
static unsigned take_as_the_cpu_does(struct lapic *l) {
    unsigned taken = 0;
    __atomic_fetch_and(&l->descriptor.notify, ~LAPIC_NOTIFIED, __ATOMIC_SEQ_CST);
    for (unsigned w = 0; w < 8; w++) {
        uint32_t word = __atomic_exchange_n(&l->descriptor.requests[w], 0, __ATOMIC_SEQ_CST);
        taken += (unsigned)__builtin_popcount(word);
    }
    return taken;
}

#define SENT 200000u

static uint32_t told; /* notifications on their way */
static bool sender_done;

static void *sender(void *arg) {
    struct lapic *l = arg;
    uint32_t random = 77;
    for (unsigned i = 0; i < SENT;) {
        random = random * 1664525 + 1013904223;
        uint8_t vector = (uint8_t)(0x20 + (random >> 24) % 0xd0);
        bool notify = false;
        bool is_there = (__atomic_load_n(&l->descriptor.requests[vector / 32], __ATOMIC_SEQ_CST) >>
                             vector % 32 &
                         1) != 0;
        if (is_there) {
            continue; /* one that would come on top is the same one */
        }
        CHECK(lapic_post(l, vector, &notify));
        __atomic_fetch_add(&told, notify ? 1 : 0, __ATOMIC_SEQ_CST);
        i++;
    }
    __atomic_store_n(&sender_done, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* The CPU looks for notifications alone, now in its guest and now out of it: nothing stays behind
 * without one. */
TEST(nothing_is_left_without_a_notification) {
    struct vcpu *v = start(true);
    struct lapic *l = &v[1].lapic;
    pthread_t thread;
    unsigned taken = 0;
    told = 0;
    sender_done = false;
    CHECK_U64(pthread_create(&thread, NULL, sender, l), 0);
    for (unsigned turn = 0;; turn++) {
        bool done = __atomic_load_n(&sender_done, __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&told, 0, __ATOMIC_SEQ_CST) == 0) {
            if (done) {
                break;
            }
            continue;
        }
        if (turn % 2 == 0) {
            taken += take_as_the_cpu_does(l);
            continue;
        }
        (void)lapic_take_posted(l);
        for (unsigned w = 0; w < 8; w++) {
            taken += (unsigned)__builtin_popcount(l->reg[REG_IRR + w][0]);
            l->reg[REG_IRR + w][0] = 0;
        }
    }
    CHECK_U64(pthread_join(thread, NULL), 0);
    CHECK_U64(taken, SENT);
}

TEST_MAIN(T(what_another_cpu_sends_is_posted_and_told_once), T(each_vector_is_posted_and_taken),
          T(what_is_not_posted_is_accepted_as_before),
          T(an_nmi_goes_in_before_what_was_sent_after_it), T(an_nmi_that_comes_late_goes_in_first),
          T(a_level_that_becomes_an_edge), T(a_cpu_without_a_vcpu_is_told_for_nothing),
          T(init_forgets_what_is_in_the_descriptor), T(nothing_is_left_without_a_notification))
