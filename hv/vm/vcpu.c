/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a vCPU has pending and when it is delivered: requests from other CPUs, the local APIC,
 * NMIs, exceptions; halting. The one arbitration point for events. Must not know the vendor.
 */

#include "hv/lib/str.h"
#include "hv/vm/audit_turn.h"
#include "hv/vm/devices.h"
#include "hv/vm/health.h"
#include "hv/vm/plat.h"
#include "hv/vm/snapshot.h"
#include "hv/vm/vm.h"

/* On v's own CPU: no kick and no locked instruction needed beyond the OR itself. */
static void vcpu_note(struct vcpu *v, uint32_t bits) {
    __atomic_fetch_or(&v->public.requests, bits, __ATOMIC_RELAXED);
}

/*
 * Contributory exceptions and page faults on top of one another make a double fault.
 * SDM vol. 3 "Interrupt 8—Double Fault Exception (#DF)".
 */
#define CONTRIBUTORY (BIT(X86_DE) | (BIT(X86_GP + 1) - BIT(X86_TS)))

void vcpu_inject(struct vcpu *v, struct event e) {
    v->event = e;
    hvm->inject(v);
}

void vcpu_inject_exception(struct vcpu *v, enum x86_vector vector, uint32_t error) {
    if (v->event.type == EVENT_EXCEPTION) {
        uint64_t first = BIT(v->event.vector), second = BIT(vector);
        if (first == BIT(X86_DF)) {
            vcpu_crash(v, exit_kind_names[EXIT_TRIPLE_FAULT], VCPU_TRIPLE_FAULT);
            return;
        }
        if (((first & CONTRIBUTORY) != 0 && (second & CONTRIBUTORY) != 0) ||
            (first == BIT(X86_PF) && (second & (CONTRIBUTORY | BIT(X86_PF))) != 0)) {
            vector = X86_DF;
            error = 0;
        }
    }
    bool has_error = (X86_WITH_ERROR >> vector & 1) != 0;
    vcpu_inject(v, (struct event){EVENT_EXCEPTION, (uint8_t)vector, 0, has_error, error});
}

#define EXTINT 256 /* the 8259 knows the vector */

/* Is what waits at LINT0 let through? */
static __attribute__((noinline)) int vcpu_pending_at_lint0(const struct vcpu *v) {
    bool through = lapic_lint0(&v->lapic).delivery_mode == APIC_EXTINT;
    return through ? EXTINT : LAPIC_NONE;
}

/* EXTINT if the 8259 has something, which no priority holds back; or LAPIC_NONE. */
static inline __attribute__((always_inline)) int vcpu_pending_extint(const struct vcpu *v) {
    bool intr = __atomic_load_n(v->intr, __ATOMIC_ACQUIRE) != 0;
    return UNLIKELY(intr) ? vcpu_pending_at_lint0(v) : LAPIC_NONE;
}

/* What is to be delivered: EXTINT, or what lapic_pending() says. */
static inline __attribute__((always_inline)) int vcpu_pending(const struct vcpu *v) {
    int vector = vcpu_pending_extint(v);
    if (LIKELY(vector == LAPIC_NONE) && !lapic_is_empty(&v->lapic)) {
        vector = lapic_pending(&v->lapic);
    }
    return vector;
}

static inline __attribute__((always_inline)) void vcpu_take(struct vcpu *v, int vector) {
    if (LIKELY(vector != EXTINT)) {
        lapic_acknowledge(&v->lapic, (uint8_t)vector);
    } else if ((vector = vm_acknowledge_intr(v->vm)) < 0) {
        return;
    }
    vcpu_inject(v, (struct event){.type = EVENT_INTERRUPT, .vector = (uint8_t)vector});
}

static bool vcpu_can_take_interrupt(struct vcpu *v) {
    return v->event.type == EVENT_NONE && hvm->can_take(v, false);
}

static __attribute__((noinline)) void vcpu_deliver_nmi(struct vcpu *v) {
    if (v->event.type == EVENT_NONE && hvm->can_take(v, true)) {
        vcpu_inject(v, (struct event){.type = EVENT_NMI, .vector = X86_NMI});
        v->nmi_pending--;
        v->nmi_used = true;
    }
}

/*
 * A CPU takes an NMI at once, unless it is in the handler of one, and latches one more: what comes
 * on top is lost. SDM vol. 3 "Handling Multiple NMIs".
 */
static void vcpu_latch_nmis(struct vcpu *v, uint32_t requests) {
    unsigned first = (requests & REQUEST_NMI) != 0;
    unsigned second = (requests & REQUEST_NMI_AGAIN) != 0;
    unsigned count = v->nmi_pending + first + second;
    bool taken_at_once = v->event.type != EVENT_NMI && hvm->can_take(v, true);
    v->nmi_pending = (uint8_t)min_u64(count, taken_at_once ? 2 : 1);
}

/*
 * An NMI that was sent before an interrupt goes in before it, also if it came when the requests of
 * this turn had been taken already, and the interrupt, which is looked for later, was not.
 */
static __attribute__((noinline)) void vcpu_deliver_late_nmi(struct vcpu *v) {
    uint32_t late =
        __atomic_fetch_and(&v->public.requests, ~(uint32_t)REQUESTS_NMI, __ATOMIC_SEQ_CST);
    vcpu_latch_nmis(v, late);
    vcpu_deliver_nmi(v);
}

static inline bool vcpu_nmi_is_late(const struct vcpu *v) {
    return (__atomic_load_n(&v->public.requests, __ATOMIC_ACQUIRE) & REQUESTS_NMI) != 0;
}

static __attribute__((noinline)) void vcpu_set_windows(struct vcpu *v, bool interrupt, bool nmi) {
    v->window_interrupt = interrupt;
    v->window_nmi = nmi;
    hvm->window(v, interrupt, nmi);
}

/* Asks for an exit as soon as what waits can be taken, or no longer. */
static inline __attribute__((always_inline)) void vcpu_want_windows(struct vcpu *v,
                                                                    bool interrupt) {
    bool nmi = v->nmi_pending != 0;
    if (UNLIKELY(v->window_interrupt != interrupt || v->window_nmi != nmi)) {
        vcpu_set_windows(v, interrupt, nmi);
    }
}

/*
 * Sends the most urgent deliverable event in; asks for a window for what must wait. Compiled apart
 * from the next: neither kind of CPU pays for the other.
 */
static __attribute__((noinline)) void vcpu_deliver(struct vcpu *v) {
    if (UNLIKELY(v->lapic.pv_eoi_offered) && lapic_pv_eoi_is_due(&v->lapic)) {
        lapic_pv_eoi_settle(&v->lapic);
    }
    if (UNLIKELY(v->nmi_pending != 0)) {
        vcpu_deliver_nmi(v);
    }
    int vector = vcpu_pending(v);
    if (vector >= 0 && UNLIKELY(vcpu_nmi_is_late(v))) {
        vcpu_deliver_late_nmi(v);
    }
    if (vector >= 0 && vcpu_can_take_interrupt(v)) {
        vcpu_take(v, vector);
        if (UNLIKELY(v->lapic.pv_eoi != NULL) && vector != EXTINT) {
            lapic_pv_eoi_offer(&v->lapic, (uint8_t)vector);
        }
        vector = vcpu_pending(v);
    }
    if (UNLIKELY(vector == LAPIC_HELD)) {
        lapic_watch_cr8(&v->lapic, true);
    }
    vcpu_want_windows(v, vector >= 0);
}

/*
 * The same for a CPU with APIC virtualization, which is left what waits for another's end or for
 * the task priority. It could have all, but that would save no more than some windows, and Bochs
 * 2.7 forgets IF when a host interrupt waits, too.
 */
static __attribute__((noinline)) void vcpu_deliver_hardware(struct vcpu *v) {
    if (UNLIKELY(v->nmi_pending != 0)) {
        vcpu_deliver_nmi(v);
    }
    uint32_t levels = lapic_take_posted(&v->lapic);
    int acknowledged = LAPIC_NONE;
    int vector = vcpu_pending(v);
    if (vector >= 0 && UNLIKELY(vcpu_nmi_is_late(v))) {
        vcpu_deliver_late_nmi(v);
    }
    if (vector >= 0 && vcpu_can_take_interrupt(v)) {
        vcpu_take(v, vector);
        acknowledged = vector != EXTINT ? vector : LAPIC_NONE;
        /* Of the IRR's rest the hardware's own look below tells. */
        vector = vcpu_pending_extint(v);
    }
    uint16_t status = lapic_status(&v->lapic, acknowledged);
    hvm->apic_update(v, levels, status);
    bool more = (uint8_t)status != 0;
    vcpu_want_windows(v, vector >= 0 || (more && !vcpu_can_take_interrupt(v)));
}

static void vcpu_wait_begin(struct vcpu *v) {
    __atomic_store_n(&v->public.waits_since, plat_tsc(), __ATOMIC_RELAXED);
}

static void vcpu_wait_end(struct vcpu *v) {
    v->public.waited += plat_tsc() - v->public.waits_since;
    __atomic_store_n(&v->public.waits_since, 0, __ATOMIC_RELAXED);
}

/* Until there is a request; host interrupts are taken also where there is one at once. */
static void vcpu_wait(struct vcpu *v) {
    if (__atomic_load_n(&v->public.requests, __ATOMIC_ACQUIRE) == 0) {
        vcpu_wait_begin(v);
        plat_wait();
        vcpu_wait_end(v);
    } else {
        plat_take_interrupts();
    }
}

/*
 * INIT stops a vCPU, a startup message sets it going; to one that does not wait it is nothing.
 * Waits as long as v does; returns the requests that came last. SDM "MP Initialization Protocol
 * Algorithm".
 */
static __attribute__((noinline)) uint32_t vcpu_start_stop(struct vcpu *v, uint32_t requests) {
    for (;;) {
        if ((requests & REQUEST_INIT) != 0) {
            vcpu_reset(v, true);
            v->waiting = true;
        }
        if ((requests & REQUEST_SIPI) != 0 && v->waiting) {
            uint64_t page = __atomic_load_n(&v->sipi_vector, __ATOMIC_RELAXED);
            const struct hvm_segment cs = {page << 12, 0xffff, 0x9b, (uint16_t)(page << 8)};
            hvm->set_segment(v, HVM_CS, &cs);
            hvm->set(v, HVM_RIP, 0);
            v->waiting = false;
        }
        if (!v->waiting || (requests & REQUESTS_OUT) != 0) {
            return requests;
        }
        if ((requests & REQUEST_SNAPSHOT) != 0) {
            vcpu_snapshot_answer(v);
        }
        vcpu_wait(v);
        requests = __atomic_exchange_n(&v->public.requests, 0, __ATOMIC_SEQ_CST);
    }
}

void vcpu_skip_time(struct vcpu *v, uint64_t ticks) {
    v->tsc_offset -= ticks;
    v->lapic.clock.offset -= ticks;
    hvm->set(v, HVM_TSC_OFFSET, v->tsc_offset);
    v->apic_due += v->apic_due != 0 ? ticks : 0;
    v->clocks_due += v->clocks_due != 0 ? ticks : 0;
    vcpu_timer_set(v);
}

/*
 * However often others ring, it takes no more than a quarter of this CPU's time: a bell that comes
 * too soon waits for the timer, and those after it are no further ones until then. What takes long
 * has moved data, and its sender is held back by its ring; so a pause is no longer than some us.
 * But where a look that finds nothing takes as long as that, as in an emulator, it would be over
 * before the guest goes on.
 */
#define BELL_PAUSES   3u     /* so many times as long as the last look took, */
#define BELL_PAUSE_HZ 20000u /* 50 us at most, */
#define BELL_LOOKS    8u     /* or so many times as long as the shortest one, if that is more */

static uint64_t vcpu_bell_pause(struct vcpu *v, uint64_t took) {
    v->bell_least = v->bell_least != 0 ? min_u64(v->bell_least, took) : took;
    uint64_t most = max_u64(plat_tsc_hz() / BELL_PAUSE_HZ, BELL_LOOKS * v->bell_least);
    return min_u64(BELL_PAUSES * took, most);
}

/* since: when the work began that this is part of. */
static void vcpu_serve_bells(struct vcpu *v, uint64_t since) {
    v->bell_waits = since < v->bell_due;
    if (v->bell_waits) {
        v->clocks_due = clock_earlier(v->clocks_due, v->bell_due);
        vcpu_timer_set(v);
        return;
    }
    __atomic_store_n(&v->public.rung, 0, __ATOMIC_SEQ_CST);
    vm_serve_channels(v->vm);
    uint64_t now = plat_tsc();
    v->bell_due = now + vcpu_bell_pause(v, now - since);
}

/* PIT and CMOS clock have a deadline, or their owner asks for a look; and what an operator did.
 * That is no part of the pause in which no bell is looked at: an upcall that a bell interrupts asks
 * for one, too. */
static __attribute__((noinline)) void vcpu_serve_clocks(struct vcpu *v) {
    uint64_t since = plat_tsc();
    uint64_t asked = clock_earlier(vm_watch_stop(v->vm), vm_watch_audit(v->vm));

    asked = clock_earlier(asked, health_watch(v->vm));

    v->clocks_due = clock_earlier(vm_service_devices(v->vm), asked);
    if (since < v->bell_due) {
        v->bell_due += plat_tsc() - since;
    }
    if (v->bell_waits) {
        vcpu_serve_bells(v, since);
    }
    vcpu_timer_set(v);
}

/* The CPU's timer fired, for either of the two or for what is out of date by now. */
static void vcpu_timer_expired(struct vcpu *v, uint32_t requests) {
    bool clocks = v->clocks_due != 0 || (requests & REQUEST_CLOCKS) != 0;
    if ((requests & REQUEST_TIMER) != 0) {
        v->apic_due = v->clocks_due = 0;
        v->upcall_flags |= UPCALL_UNWATCHED; /* what watched it was the timer that has fired */
        lapic_timer_expired(&v->lapic);
    }
    if (UNLIKELY(clocks) && v->index == 0) {
        vcpu_serve_clocks(v);
    }
    v->upcall_flags |= UPCALL_UNWATCHED;
    __atomic_fetch_and(&v->public.requests, ~(uint32_t)REQUEST_EVENT, __ATOMIC_RELAXED);
}

/* What hv/exit/life.c serves when the run has ended. */
#define REQUESTS_LEFT (REQUESTS_CONSOLE | REQUEST_ORDER)

#define REQUESTS_RARE (REQUESTS_NMI | REQUESTS_LEFT | REQUEST_CHANNELS | REQUEST_FLUSH)

static __attribute__((noinline)) void vcpu_serve_rare(struct vcpu *v, uint32_t requests) {
    if ((requests & REQUESTS_NMI) != 0) {
        vcpu_latch_nmis(v, requests);
    }
    if ((requests & REQUEST_ORDER) != 0) {
        vm_take_orders(v->vm);
    }
    if ((requests & REQUESTS_CONSOLE) != 0) {
        vm_serve_console(v->vm, requests);
    }
    if ((requests & REQUEST_CHANNELS) != 0) {
        vcpu_serve_bells(v, plat_tsc());
    }
    if ((requests & REQUEST_FLUSH) != 0) {
        hvm->flush(v);
    }
}

/* Any request but REQUEST_EVENT; false when the run loop must be left. */
static __attribute__((noinline)) bool vcpu_serve(struct vcpu *v, uint32_t requests) {
    if (UNLIKELY(v->waiting || (requests & (REQUEST_INIT | REQUEST_SIPI)) != 0)) {
        requests = vcpu_start_stop(v, requests);
    }
    if ((requests & REQUEST_SNAPSHOT) != 0) {
        vcpu_snapshot_answer(v);
    }
    if ((requests & REQUEST_LEAVE) != 0) { /* the devices may wait for a vCPU that is out already */
        vcpu_note(v, requests & REQUESTS_LEFT);
        return false;
    }
    if ((requests & (REQUEST_TIMER | REQUEST_CLOCKS)) != 0) {
        vcpu_timer_expired(v, requests);
    }
    if (UNLIKELY((requests & REQUESTS_RARE) != 0)) {
        vcpu_serve_rare(v, requests);
    }
    /* Some of this may have ended the run here and now. */
    requests |= __atomic_load_n(&v->public.requests, __ATOMIC_RELAXED);
    return (requests & REQUESTS_OUT) == 0;
}

bool vcpu_service(struct vcpu *v) {
    uint32_t requests = __atomic_exchange_n(&v->public.requests, 0, __ATOMIC_SEQ_CST);
    if (UNLIKELY(requests != REQUEST_EVENT || v->waiting) && !vcpu_serve(v, requests)) {
        return false;
    }
    if (v->lapic.hardware) {
        vcpu_deliver_hardware(v);
    } else {
        vcpu_deliver(v);
    }
    /* This may have left a request, such as an NMI of a timer, and others may have come: whoever
     * called will serve them, and must not go on so for ever. */
    if (UNLIKELY(__atomic_load_n(&v->public.requests, __ATOMIC_RELAXED) != 0)) {
        plat_take_interrupts();
    }
    return true;
}

bool vcpu_halt(struct vcpu *v) {
    /* STI; HLT: what waited for a window in the shadow of STI can be taken now, and no window exit
     * will come any more. */
    vcpu_note(v, REQUEST_EVENT);
    v->halted = true;
    for (;;) {
        bool asked = __atomic_load_n(&v->public.requests, __ATOMIC_ACQUIRE) != 0;
        if (asked && !vcpu_service(v)) {
            return false;
        }
        if (v->event.type != EVENT_NONE || !v->halted) {
            v->halted = false;
            return true;
        }
        vcpu_wait(v);
    }
}

bool vcpu_sit_out(struct vcpu *v, uint64_t until) {
    for (uint64_t now = plat_tsc(); now < until; now = plat_tsc()) {
        bool asked = __atomic_load_n(&v->public.requests, __ATOMIC_ACQUIRE) != 0;
        if (asked && !vcpu_service(v)) {
            return false;
        }
        vcpu_look_again(v, until - now); /* each time: any timer that fires ends it */
        vcpu_wait(v);
    }
    return true;
}

/*
 * SDM "Processor State After Reset", what is not named is 0. Only CS.base is another: that of a PC
 * after its firmware's first far jump, so that no memory is needed under 4 GiB.
 */
static const uint64_t reset_registers[HVM_REG_COUNT] = {
    [HVM_RIP] = 0xfff0,
    [HVM_RFLAGS] = X86_RFLAGS_FIXED,
    [HVM_CR0] = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET,
    [HVM_DR7] = 0x400,
    [HVM_PAT] = 0x0007040600070406,
};

#define CPUID_1_ECX_OSXSAVE BIT32(27)
#define CPUID_1_EDX_APIC    BIT32(9)
#define CPUID_7_ECX_OSPKE   BIT32(4)

/* Attributes: present; read-write data, code, LDT, busy TSS. */
static const struct hvm_segment reset_segments[HVM_SEG_COUNT] = {
    [HVM_ES] = {0, 0xffff, 0x93, 0},  [HVM_CS] = {0xf0000, 0xffff, 0x9b, 0xf000},
    [HVM_SS] = {0, 0xffff, 0x93, 0},  [HVM_DS] = {0, 0xffff, 0x93, 0},
    [HVM_FS] = {0, 0xffff, 0x93, 0},  [HVM_GS] = {0, 0xffff, 0x93, 0},
    [HVM_LDT] = {0, 0xffff, 0x82, 0}, [HVM_TR] = {0, 0xffff, 0x8b, 0},
    [HVM_GDT] = {.limit = 0xffff},    [HVM_IDT] = {.limit = 0xffff},
};

/* The first one of a basic leaf. */
static struct cpuid_entry *vcpu_cpuid_entry(struct vcpu *v, unsigned leaf) {
    return &v->cpuid.entries[v->cpuid.slots[0][leaf] & (CPUID_SUBLEAVES - 1)];
}

static void vcpu_reset_registers(struct vcpu *v) {
    memset(v->regs, 0, sizeof(v->regs));
    struct cpuid_entry *leaf = vcpu_cpuid_entry(v, 1);
    v->regs[X86_RDX] = leaf->out[0];      /* the CPU's signature */
    leaf->out[2] &= ~CPUID_1_ECX_OSXSAVE; /* shows CR4's bit */
    vcpu_cpuid_entry(v, 7)->out[2] &= ~CPUID_7_ECX_OSPKE;
    if ((v->lapic.apic_base & APIC_BASE_ENABLE) != 0) { /* after INIT it is as it was */
        leaf->out[3] |= CPUID_1_EDX_APIC;
    }
    for (unsigned r = 0; r < HVM_REG_COUNT; r++) {
        hvm->set(v, (enum hvm_reg)r, reset_registers[r]);
    }
    for (unsigned s = 0; s < HVM_SEG_COUNT; s++) {
        hvm->set_segment(v, (enum hvm_seg)s, &reset_segments[s]);
    }
}

void vcpu_reset(struct vcpu *v, bool init) {
    v->window_interrupt = v->window_nmi = false;
    v->nmi_pending = 0;
    v->nmi_used = false;
    v->upcall_flags |= UPCALL_UNWATCHED;
    v->halted = false;
    v->event = (struct event){.type = EVENT_NONE};
    if (init) {
        lapic_init(&v->lapic);
    } else {
        v->clocks_due = 0;
        v->lapic.clock.offset = v->tsc_offset;
        lapic_reset(&v->lapic, v->index, v->index == 0);
    }
    hvm->vcpu_reset(v);
    vcpu_reset_registers(v);
    hvm->set(v, HVM_TSC_OFFSET, v->tsc_offset);
}

unsigned vcpu_cpl(struct vcpu *v) {
    struct hvm_segment ss;
    hvm->get_segment(v, HVM_SS, &ss);
    return ss.attr >> 5 & 3;
}

bool vcpu_in_64_bit_mode(struct vcpu *v) {
    struct hvm_code code;
    hvm->get_code(v, &code);
    return code.is_64_bit;
}

/* Local APIC callbacks; all run on v's own CPU. */

static void vcpu_timer_arm(void *ctx, uint64_t guest_tsc_deadline) {
    struct vcpu *v = ctx;
    /* The guest may have set its TSC to anything: only the distance counts. */
    uint64_t now = plat_tsc(), guest_now = now + v->tsc_offset;
    uint64_t wait = guest_tsc_deadline - min_u64(guest_tsc_deadline, guest_now);
    v->apic_due = guest_tsc_deadline == 0 ? 0 : now + min_u64(wait, UINT64_MAX - now);
    vcpu_timer_set(v);
}

static void vcpu_send_ipi(void *ctx, const struct apic_message *icr) {
    struct vcpu *v = ctx;
    vm_deliver(v->vm, v, icr);
}

static void vcpu_broadcast_eoi(void *ctx, uint8_t vector) {
    device_end_interrupt(ctx, vector);
}

static void vcpu_event_changed(void *ctx) {
    vcpu_note(ctx, REQUEST_EVENT);
}

/* Interrupts of devices that are posted go where they went before. */
static void vcpu_addressed(void *ctx) {
    struct vcpu *v = ctx;
    if (UNLIKELY(v->lapic.posting && v->vm->plan->pci_count != 0)) {
        vm_pci_reroute(v->vm);
    }
}

static void vcpu_watch_cr8(void *ctx, bool on) {
    hvm->watch_cr8(ctx, on);
}

const struct lapic_ops vcpu_lapic_ops = {vcpu_timer_arm,     vcpu_send_ipi,  vcpu_broadcast_eoi,
                                         vcpu_event_changed, vcpu_addressed, vcpu_watch_cr8};

/* The timer of this host CPU fired; it can only belong to the vCPU that runs here. */
void hv_timer_expired(void) {
    struct vcpu *v = vcpu_of_cpu[plat_cpu()];
    if (v != NULL) {
        vcpu_note(v, REQUEST_TIMER);
    }
}
