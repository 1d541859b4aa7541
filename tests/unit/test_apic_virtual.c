/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC of a CPU with APIC virtualization: what the CPU writes by itself must leave the
 * same machine as a write that software carries out; what is accepted waits until the guest has
 * left; what is injected has its place in the ISR. That the audit knows the x2APIC registers which
 * the CPU answers is in test_audit_policy.c.
 */
#include <pthread.h>

#include "fake_machine.h"
#include "hv/vm/lapic_regs.h"

static unsigned modes, updates;
static uint16_t status;       /* what the last update gave the CPU */
static uint64_t eoi_exits[4]; /* as a vendor keeps them: by what it was told alone */

static void apic_mode(struct vcpu *v) {
    (void)v;
    modes++;
}

/* What is given is what one would find. */
static void apic_update(struct vcpu *v, uint32_t levels, uint16_t given) {
    updates++;
    status = given;
    CHECK_U64(given, lapic_status(&v->lapic, LAPIC_NONE));
    for (; levels != 0; levels &= levels - 1) {
        unsigned quarter = (unsigned)__builtin_ctz(levels) / 2;
        eoi_exits[quarter] = lapic_levels(&v->lapic, quarter);
    }
    for (unsigned quarter = 0; quarter < ARRAY_SIZE(eoi_exits); quarter++) {
        CHECK_U64(eoi_exits[quarter], lapic_levels(&v->lapic, quarter));
    }
}

static struct vcpu *start(bool hardware) {
    fake_ops.apic_mode = apic_mode;
    fake_ops.apic_update = apic_update;
    fake_ops.features = hardware ? HVM_APIC : 0;
    struct vcpu *v = fake_machine_start();
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff); /* software enable */
    v->public.requests = 0;
    (void)lapic_take_posted(&v->lapic);
    modes = updates = status = 0;
    memset(eoi_exits, 0, sizeof(eoi_exits));
    return v;
}

/* The CPU stores the value, then exits behind the instruction. */
static void hardware_write(struct vcpu *v, uint32_t offset, uint32_t value) {
    struct vmexit x = {.kind = EXIT_APIC_WRITE, .apic = offset};
    v->lapic.reg[offset >> 4][0] = value;
    CHECK_U64(fake_exit(v, &x), ACTION_DONE);
}

/* But for EOI, TPR and the ICR's upper half, which a CPU does without an exit. */
static const uint32_t written[] = {0x020, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x320,
                                   0x330, 0x350, 0x360, 0x370, 0x380, 0x3e0};

TEST(a_write_by_the_cpu_is_a_write_by_software) {
    static struct {
        uint32_t reg[LAPIC_REGISTERS];
        uint64_t deadline, current;
    } after[2][400];
    for (unsigned hardware = 0; hardware < 2; hardware++) {
        fake_tsc = 1000000;
        struct vcpu *v = start(hardware != 0);
        uint32_t seed = 7;
        for (unsigned i = 0; i < ARRAY_SIZE(after[0]); i++) {
            seed = seed * 1664525 + 1013904223;
            uint32_t offset = written[(seed >> 8) % ARRAY_SIZE(written)];
            uint32_t value = seed >> 4 ^ seed << 20;
            value = offset == 0x300 ? 0xc4500 : value;     /* INIT de-assert: to nobody */
            value = offset == 0x380 ? value >> 20 : value; /* ends before one of the next writes */
            value = offset == 0xf0 ? value | (seed >> 30 != 0 ? 0x100 : 0) : value;
            fake_tsc += seed >> 12;
            if (hardware != 0) {
                hardware_write(v, offset, value);
                (void)lapic_take_posted(&v->lapic);
            } else {
                lapic_mmio_write(&v->lapic, offset, 4, value);
            }
            for (unsigned r = 0; r < LAPIC_REGISTERS; r++) {
                after[hardware][i].reg[r] = v->lapic.reg[r][0];
            }
            after[hardware][i].deadline = v->lapic.timer_deadline;
            after[hardware][i].current = lapic_mmio_read(&v->lapic, 0x390);
        }
    }
    unsigned running = 0, differ = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(after[0]); i++) {
        running += after[0][i].deadline != 0;
        differ += memcmp(&after[0][i], &after[1][i], sizeof(after[0][i])) != 0;
    }
    CHECK(running > 20); /* else the timer's part says nothing */
    CHECK_U64(differ, 0);
}

TEST(an_nmi_is_sent_in) {
    struct vcpu *v = start(true);
    v->event.type = EVENT_NONE;
    fake_nmi_blocked = false;
    vcpu_request(&v->public, REQUEST_NMI);
    CHECK(!v->nmi_used);
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_NMI);
    CHECK(v->nmi_used); /* what blocks NMIs is kept for it from then on, */
    vcpu_reset(v, true);
    CHECK(!v->nmi_used); /* until its reset */
}

TEST(what_is_accepted_waits_for_the_exit) {
    struct vcpu *v = start(true);
    struct lapic *l = &v->lapic;
    CHECK(lapic_accept(l, 0x31, false));
    CHECK(!lapic_accept(l, 0x31, false));
    CHECK(lapic_accept(l, 0xe5, true));
    CHECK_U64(lapic_mmio_read(l, 0x210) | lapic_mmio_read(l, 0x270), 0); /* IRR: the CPU's now */
    CHECK_U64(lapic_take_posted(l), BIT(7));                             /* a level-triggered one */
    CHECK_U64(lapic_take_posted(l), 0);
    CHECK_U64(lapic_mmio_read(l, 0x210), 0x20000);
    CHECK_U64(lapic_levels(l, 3), BIT(32 + 5));
    CHECK_U64(lapic_status(l, LAPIC_NONE), 0xe5);
    l->reg[0x12][0] = 1; /* 40h in service */
    CHECK_U64(lapic_status(l, LAPIC_NONE), 0x40e5);
    lapic_init(l);
    CHECK_U64(lapic_status(l, LAPIC_NONE), 0);
    CHECK_U64(lapic_take_posted(l), 0xff); /* none of them, but all must be looked at */
}

static void set_vector(uint32_t (*bits)[4], unsigned vector) {
    bits[vector / 32][0] |= BIT32(vector % 32);
}

/* Alone and above the lowest; in request and in service; by its class against the priority. */
/* One alone, and with one of another word. */
TEST(each_vector_is_taken) {
    for (unsigned vector = 16; vector < 256; vector++) {
        for (unsigned other = 16; other < 256; other += 48) {
            struct lapic *l = &start(true)->lapic;
            bool two = other / 32 != vector / 32;
            CHECK(lapic_accept(l, (uint8_t)vector, false));
            CHECK(!two || lapic_accept(l, (uint8_t)other, false));
            CHECK_U64(lapic_take_posted(l), 0);
            for (unsigned w = 0; w < 8; w++) {
                uint32_t want = w == vector / 32 ? BIT32(vector % 32) : 0;
                want |= two && w == other / 32 ? BIT32(other % 32) : 0;
                CHECK_U64(l->reg[REG_IRR + w][0], want);
            }
        }
    }
}

TEST(each_vector_is_found) {
    for (unsigned with = 0; with < 2; with++) {
        for (unsigned vector = 17; vector < 256; vector++) {
            struct lapic l = {0};
            set_vector(&l.reg[REG_IRR], vector);
            if (with != 0) {
                set_vector(&l.reg[REG_IRR], 16);
            }
            CHECK_U64(lapic_status(&l, LAPIC_NONE), vector);
            CHECK_U64(lapic_status(&l, 0x55), 0x5500 | vector);
            CHECK_U64(lapic_hardware_pending(&l), vector);
            l.reg[REG_PPR][0] = (vector & 0xf0) - 1;
            CHECK_U64(lapic_hardware_pending(&l), vector);
            l.reg[REG_PPR][0] = vector & 0xf0;
            CHECK(lapic_hardware_pending(&l) == LAPIC_NONE);

            memset(l.reg, 0, sizeof(l.reg));
            set_vector(&l.reg[REG_ISR], vector);
            if (with != 0) {
                set_vector(&l.reg[REG_ISR], 16);
            }
            CHECK_U64(lapic_status(&l, LAPIC_NONE), vector << 8);
            CHECK(lapic_hardware_pending(&l) == LAPIC_NONE);
        }
    }
}

static unsigned ended_count, ended_last;

static void count_ended(UNUSED void *ctx, uint8_t vector) {
    ended_count++;
    ended_last = vector;
}

/* The end of a level-triggered interrupt is told, of each vector and of no other. */
TEST(each_level_that_ends_is_told) {
    static const struct lapic_ops ops = {.broadcast_eoi = count_ended};

    for (unsigned level = 0; level < 256; level++) {
        struct lapic l = {.ops = &ops};
        set_vector(&l.reg[REG_TMR], level);
        ended_count = 0;
        for (unsigned vector = 0; vector < 256; vector++) {
            lapic_ended(&l, (uint8_t)vector);
        }
        CHECK_U64(ended_count, 1);
        CHECK_U64(ended_last, level);
    }
}

static bool sender_done;

static void *sender(void *arg) {
    unsigned *taken = arg;
    uint32_t random = 99;
    while (*taken < 20000) {
        random = random * 1664525 + 1013904223;
        uint8_t vector = (uint8_t)(0x20 + (random >> 24) % 0x60);
        *taken += lapic_accept(&fake_vm->vcpus[0].lapic, vector, false);
    }
    __atomic_store_n(&sender_done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* What another CPU puts in comes out, once each, whatever this one does at that moment. */
TEST(accept_from_another_cpu) {
    pthread_t thread;
    unsigned taken = 0, delivered = 0;
    struct lapic *l = &start(true)->lapic;
    sender_done = false;
    CHECK_U64(pthread_create(&thread, NULL, sender, &taken), 0);
    for (bool done = false; !done;) {
        done = __atomic_load_n(&sender_done, __ATOMIC_ACQUIRE);
        (void)lapic_take_posted(l);
        for (unsigned w = 0; w < 8; w++) {
            uint32_t *irr = l->reg[0x20 + w];
            delivered += (unsigned)__builtin_popcount(*irr);
            *irr = 0; /* delivered by the CPU */
        }
    }
    CHECK_U64(pthread_join(thread, NULL), 0);
    CHECK_U64(delivered, taken);
}

/* An odd EOI that software carries out, with ISR bits that the CPU has set. */
TEST(eoi_by_software) {
    struct vcpu *v = start(true);
    v->lapic.reg[0x12][0] = 1;
    v->lapic.reg[0x13][0] = 1;
    lapic_mmio_write(&v->lapic, 0xb0, 8, 0);
    CHECK_U64(v->lapic.reg[0x13][0], 0);
    CHECK_U64(v->public.requests, REQUEST_EVENT); /* else the CPU would not learn of it */
    CHECK(vcpu_service(v));
    CHECK_U64(status, 0x4000);
    lapic_mmio_write(&v->lapic, 0xb0, 8, 0);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0);
}

/* What can be taken goes in at once, with its place in the ISR; the rest waits for a window. */
TEST(one_goes_in_the_next_waits) {
    struct vcpu *v = start(true);
    fake_can_interrupt = true;
    struct apic_message m = {.vector = 0x41};
    vm_deliver(fake_vm, NULL, &m);
    m.vector = 0x52;
    vm_deliver(fake_vm, NULL, &m);
    CHECK(vcpu_service(v));
    CHECK_U64(updates, 1);
    CHECK_U64(status, 0x5241);
    CHECK_U64(v->event.vector, 0x52);
    CHECK(fake_window_interrupt);
    v->event.type = EVENT_NONE;
    v->public.requests = REQUEST_EVENT; /* the window, but 52h has not ended: now it is the CPU's */
    CHECK(vcpu_service(v));
    CHECK_U64(status, 0x5241);
    CHECK(v->event.type == EVENT_NONE && !fake_window_interrupt);
    fake_can_interrupt = false;
    v->public.requests = REQUEST_EVENT;
    CHECK(vcpu_service(v));
    CHECK(fake_window_interrupt);
    vcpu_reset(v, true);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0);
}

/* A vector that becomes level-triggered, or edge-triggered again, changes what exits. */
TEST(ends_exit_by_the_trigger_mode) {
    struct vcpu *v = start(true);
    struct apic_message m = {.vector = 0x41};
    for (unsigned i = 0; i < 40; i++) {
        m.vector = (uint8_t)(0x20 + i * 37 % 0xd0);
        m.level = i % 3 == 0;
        vm_deliver(fake_vm, NULL, &m);
        m.level = !m.level;
        if (i % 4 == 0) {
            vm_deliver(fake_vm, NULL, &m);
        }
        v->public.requests = REQUEST_EVENT;
        CHECK(vcpu_service(v)); /* the update looks */
    }
    CHECK(eoi_exits[0] != 0 && eoi_exits[3] != 0);
    CHECK_U64(updates, 40);
}

/* An interrupt that comes in while another one is acknowledged is not lost. */
/* Nor does it come with what is posted afterwards. */
TEST(init_forgets_what_is_posted) {
    struct vcpu *v = start(true);
    CHECK(lapic_accept(&v->lapic, 0x42, false));
    lapic_init(&v->lapic);
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    CHECK(lapic_accept(&v->lapic, 0x41, false));
    (void)lapic_take_posted(&v->lapic);
    CHECK_U64(lapic_pending(&v->lapic), 0x41);
}

TEST(acknowledge_leaves_what_is_posted) {
    struct vcpu *v = start(true);
    CHECK(lapic_accept(&v->lapic, 0x41, false));
    CHECK_U64(lapic_take_posted(&v->lapic), 0);
    CHECK(lapic_accept(&v->lapic, 0x42, false));
    lapic_acknowledge(&v->lapic, 0x41);
    CHECK_U64(lapic_take_posted(&v->lapic), 0);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0x4142);
}

static unsigned waits;

/* While it sleeps, first the priority gives way, then interrupts are allowed. */
static void wait(void) {
    struct vcpu *v = &fake_vm->vcpus[0];
    waits++;
    lapic_mmio_write(&v->lapic, LAPIC_TPR, 4, 3 << 4);
    fake_can_interrupt = waits > 1;
    v->public.requests = REQUEST_EVENT;
}

TEST(halt_wakes_for_what_can_be_taken_only) {
    struct vcpu *v = start(true);
    v->lapic.reg[0x22][0] = 2; /* 41h pending */
    lapic_mmio_write(&v->lapic, LAPIC_TPR, 4, 5 << 4);
    fake_can_interrupt = true;
    fake_wait = wait;
    waits = 0;
    CHECK(vcpu_halt(v));
    CHECK_U64(waits, 2);
    CHECK_U64(v->event.vector, 0x41);
    fake_wait = NULL;
}

TEST(level_triggered_ends_reach_the_io_apic) {
    struct vcpu *v = start(true);
    CHECK(vm_start_devices(fake_vm));
    fake_ioapic_write(0x10 + 2 * 5, 0x8055); /* pin 5: level, vector 55h */
    fake_set_irq(5, true);
    CHECK_U64(lapic_take_posted(&v->lapic), BIT(2));
    CHECK_U64(lapic_levels(&v->lapic, 1), BIT(0x55 - 64));
    v->lapic.reg[0x22][0] = 0;                               /* delivered and ended by the CPU */
    struct vmexit x = {.kind = EXIT_APIC_EOI, .apic = 0x54}; /* edge */
    CHECK_U64(fake_exit(v, &x), ACTION_DONE);
    CHECK_U64(lapic_take_posted(&v->lapic), 0);
    x.apic = 0x55;
    CHECK_U64(fake_exit(v, &x), ACTION_DONE);
    CHECK_U64(lapic_take_posted(&v->lapic), 0);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0x55); /* the line is still asserted */
}

TEST(a_self_ipi_that_the_cpu_left_to_us) {
    struct vcpu *v = start(true);
    hardware_write(v, 0x3f0, 0x0f); /* reserved vector */
    CHECK_U64(v->lapic.irr_words, 0);
    hardware_write(v, 0x300, 0x40061); /* to itself */
    CHECK_U64(lapic_take_posted(&v->lapic), 0);
    CHECK_U64(lapic_status(&v->lapic, LAPIC_NONE), 0x61);
}

TEST(a_mode_change_is_told) {
    struct vcpu *v = start(true);
    uint64_t to[] = {BIT(11) | BIT(10), BIT(11), 0};
    struct vmexit x = {.kind = EXIT_WRMSR};
    for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
        v->regs[X86_RCX] = X86_MSR_APIC_BASE;
        v->regs[X86_RDX] = 0;
        v->regs[X86_RAX] = LAPIC_BASE | to[i];
        (void)fake_exit(v, &x);
        CHECK_U64(modes, i == 0 ? 1 : i); /* x2APIC back to xAPIC is refused */
    }
}

TEST(which_registers_the_cpu_answers) {
    unsigned passing[2] = {0};
    for (unsigned i = 0; i < 2 * 0x100; i++) {
        passing[i % 2] += lapic_msr_is_virtual(i / 2, i % 2 != 0);
    }
    CHECK_U64(passing[false], 2 + 1 + 1 + 1 + 26 + 7 + 1);
    CHECK_U64(passing[true], 3);
    CHECK(!lapic_msr_is_virtual(0x30, true) && !lapic_msr_is_virtual(0x39, false));
}

TEST_MAIN(T(an_nmi_is_sent_in), T(each_vector_is_taken), T(each_vector_is_found),
          T(each_level_that_ends_is_told), T(a_write_by_the_cpu_is_a_write_by_software),
          T(what_is_accepted_waits_for_the_exit), T(accept_from_another_cpu), T(eoi_by_software),
          T(one_goes_in_the_next_waits), T(ends_exit_by_the_trigger_mode),
          T(init_forgets_what_is_posted), T(acknowledge_leaves_what_is_posted),
          T(halt_wakes_for_what_can_be_taken_only), T(level_triggered_ends_reach_the_io_apic),
          T(a_self_ipi_that_the_cpu_left_to_us), T(a_mode_change_is_told),
          T(which_registers_the_cpu_answers))
