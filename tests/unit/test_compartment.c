// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hv/vm/compartment.c and hv/vm/upcall.c: what a compartment can reach, what it starts with,
 * and what becomes of one that does anything else than answer.
 */
#include "fake_machine.h"
#include "fake_windows.h"
#include "hv/lib/phys.h"

#define BASE COMPARTMENT_GPA

static char said[4096];
static size_t said_length;

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    size_t left = sizeof(said) - 1 - said_length;
    length = length < left ? length : left;
    memcpy(said + said_length, line, length);
    said_length += length;
    said[said_length] = 0;
}

static uint64_t now_us(void) {
    return 0;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static struct vcpu *start(void) {
    fake_interrupt = NULL;
    struct vcpu *v = fake_machine_start();
    compartment_reset(v->vm);
    fake_compartment_end = NULL;
    fake_compartment_runs = 0;
    said_length = 0;
    said[0] = 0;
    log_init(&hooks, LOG_INFO);
    return v;
}

static struct pagetable_leaf look(const struct vm *vm, uint64_t gpa) {
    struct pagetable_leaf leaf = {0};
    if (pagetable_lookup(&vm->compartment.npt, gpa, &leaf) != STATUS_OK) {
        leaf.access = 0;
    }
    return leaf;
}

/* A page of the compartment's physical memory, as the host has it; NULL if it cannot write it. */
static uint8_t *writable(const struct vm *vm, uint64_t gpa) {
    struct pagetable_leaf leaf = look(vm, gpa);
    if (leaf.access != (PAGE_READ | PAGE_WRITE)) {
        return NULL;
    }
    return phys_pointer(HPA(leaf.hpa.v + (gpa - leaf.address)));
}

/* As the CPU walks its tables, with the entries' own bits. */
static uint64_t translate(const struct vm *vm, uint64_t address) {
    uint64_t table = compartment_cr3();
    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        const uint64_t *entries = (const void *)writable(vm, table);
        uint64_t entry = entries == NULL ? 0 : entries[address >> shift & 511];
        if ((entry & 3) != 3) {
            return UINT64_MAX;
        }
        table = entry & 0xffffffffff000ull;
        if (shift < 39 && (entry & 0x80) != 0) {
            return table + (address & ((1ull << shift) - 1));
        }
    }
    return table + (address & 0xfff);
}

TEST(the_program_is_shared_and_read_only) {
    struct vcpu *v = start();
    struct pagetable_leaf text = look(v->vm, BASE), constants = look(v->vm, BASE + 0x1000);
    CHECK_U64(text.access, PAGE_READ | PAGE_EXECUTE);
    CHECK_U64(text.hpa.v, (uintptr_t)plat_compartment_image);
    CHECK_U64(constants.access, PAGE_READ);
    CHECK_U64(constants.hpa.v, (uintptr_t)plat_compartment_image + 0x1000);
}

TEST(data_is_the_vms_own) {
    struct vcpu *v = start();
    const struct plan_vm *plan = v->vm->plan;
    for (uint64_t at = 0x2000; at < 0x4000; at += PAGE_SIZE) {
        struct pagetable_leaf data = look(v->vm, BASE + at);
        CHECK_U64(data.access, PAGE_READ | PAGE_WRITE);
        CHECK(data.hpa.v >= plan->budget_base.v &&
              data.hpa.v < plan->budget_base.v + plan->budget_size);
    }
    CHECK_U64(look(v->vm, BASE + 0x4000).access, 0);
}

TEST(ram_is_where_the_guest_has_it_and_runs_nowhere) {
    struct vcpu *v = start();
    const struct plan_region *r = &v->vm->plan->regions[0];
    for (uint64_t at = 0; at < r->size; at += 2 * MIB) {
        struct pagetable_leaf leaf = look(v->vm, at);
        CHECK_U64(leaf.access, PAGE_READ | PAGE_WRITE);
        CHECK_U64(leaf.hpa.v + (at - leaf.address), r->hpa.v + at);
    }
    CHECK_U64(look(v->vm, r->size).access, 0);
}

TEST(the_guest_reaches_nothing_of_it) {
    struct vcpu *v = start();
    struct pagetable_leaf leaf;
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE_SIZE) {
        CHECK(pagetable_lookup(&v->vm->npt, BASE + at, &leaf) != STATUS_OK);
    }
}

TEST(nothing_is_mapped_between_the_pieces) {
    struct vcpu *v = start();
    struct pagetable_leaf leaf;
    uint64_t mapped = 0, planned = v->vm->plan->regions[0].size + 3 * PAGE_SIZE;
    for (uint64_t at = 0; at < PAGETABLE_SPACE; at += leaf.size) {
        mapped += pagetable_lookup(&v->vm->compartment.npt, at, &leaf) == STATUS_OK ? leaf.size : 0;
    }
    planned += v->vm->compartment.tables * PAGE_SIZE + COMPARTMENT_STACK_SIZE + 2 * PAGE_SIZE;
    planned += COMPARTMENT_DEVICES_SIZE;
    CHECK_U64(mapped, planned);
}

/* Nothing of a window runs in the compartment; it writes what is its own, and no image. */
TEST(windows_have_the_rights_of_their_kind) {
    static const unsigned rights[] = {[PLAN_IMAGE] = PAGE_READ,
                                      [PLAN_PMEM] = PAGE_READ,
                                      [PLAN_STORE] = PAGE_READ | PAGE_WRITE,
                                      [PLAN_OURS] = PAGE_READ | PAGE_WRITE,
                                      [PLAN_THEIRS] = PAGE_READ};
    fake_plan_more = fake_windows_add;
    const struct vm *vm = start()->vm;
    fake_plan_more = NULL;
    CHECK_U64(vm->plan->window_count, ARRAY_SIZE(rights));
    for (const struct plan_window *w = vm->plan->windows;
         w < vm->plan->windows + vm->plan->window_count; w++) {
        for (uint64_t at = 0; at < w->size; at += PAGE_SIZE) {
            struct pagetable_leaf leaf = look(vm, w->gpa.v + at);
            CHECK_U64(leaf.access, rights[w->kind]);
            CHECK_U64(leaf.hpa.v + (w->gpa.v + at - leaf.address), w->hpa.v + at);
        }
    }
    CHECK_U64(look(vm, FAKE_IMAGE + 3 * PAGE_SIZE).access, 0);
    CHECK_U64(look(vm, FAKE_STORE + 2 * MIB + PAGE_SIZE).access, 0);
    CHECK_U64(look(vm, FAKE_THEIRS + CHANNEL_HALF).access, 0);
}

/* What its window does not reach is refused, from the first page on. */
TEST(a_window_that_is_too_far) {
    const struct vm *vm = start()->vm;
    for (uint64_t over = 0; over <= PAGE_SIZE; over += PAGE_SIZE) {
        struct plan_vm far = *vm->plan;
        struct vm other = *vm;
        other.plan = &far;
        far.window_count = 1;
        far.windows[0] = (struct plan_window){GPA(COMPARTMENT_WINDOW_SIZE - PAGE_SIZE + over),
                                              HPA((uintptr_t)fake_frames), PAGE_SIZE, PLAN_IMAGE};
        CHECK_U64(compartment_create(&other), over == 0 ? STATUS_OK : STATUS_UNSUPPORTED);
    }
}

/* Of the windows the guest has the images that are in its memory, and writes none of them. */
TEST(the_guest_has_images_alone) {
    struct pagetable_leaf leaf;
    fake_plan_more = fake_windows_add;
    const struct vm *vm = start()->vm;
    fake_plan_more = NULL;
    for (uint64_t at = vm->plan->regions[0].size; at < PAGETABLE_SPACE; at += leaf.size) {
        bool there = pagetable_lookup(&vm->npt, at, &leaf) == STATUS_OK;
        bool image = at >= FAKE_PMEM && at < FAKE_PMEM + 4 * MIB;
        CHECK_U64(there, image);
        CHECK(!there || leaf.access == (PAGE_READ | PAGE_EXECUTE));
        CHECK(!there || leaf.hpa.v == (uintptr_t)fake_frames + 2 * MIB + (at - FAKE_PMEM));
    }
}

/* Whatever the compartment wrote there: the next start finds what the plan says. */
TEST(each_start_is_told_the_devices) {
    fake_plan_more = fake_windows_add;
    struct vm *vm = start()->vm;
    fake_plan_more = NULL;
    uint8_t *page = writable(vm, BASE + COMPARTMENT_DEVICES);
    CHECK(page != NULL);
    CHECK(memcmp(page, &vm->plan->devices, sizeof(vm->plan->devices)) == 0);
    memset(page, 0xa5, PAGE_SIZE);
    compartment_reset(vm);
    CHECK(memcmp(page, &vm->plan->devices, sizeof(vm->plan->devices)) == 0);
    CHECK_U64(vm->plan->devices.channels[0].ours, COMPARTMENT_WINDOW + FAKE_OURS);
}

/* Its own tables reach as far as the windows do. */
TEST(its_window_shows_them) {
    fake_plan_more = fake_windows_add;
    struct vm *vm = start()->vm;
    fake_plan_more = NULL;
    uint64_t last = FAKE_THEIRS + CHANNEL_HALF - 1;
    CHECK_U64(translate(vm, COMPARTMENT_WINDOW + FAKE_IMAGE), FAKE_IMAGE);
    CHECK_U64(translate(vm, COMPARTMENT_WINDOW + last), last);
}

TEST(a_stack_ends_in_a_hole) {
    struct vcpu *v = start();
    uint64_t slot = BASE + (compartment_slot(v) - COMPARTMENT_BASE);
    uint64_t top = slot + COMPARTMENT_STACK + COMPARTMENT_STACK_SIZE;
    CHECK_U64(look(v->vm, slot).access, 0);
    CHECK(writable(v->vm, slot + COMPARTMENT_STACK) != NULL);
    CHECK(writable(v->vm, top - PAGE_SIZE) != NULL);
    CHECK_U64(look(v->vm, top).access, 0);
    CHECK_U64(compartment_stack_top(v), compartment_slot(v) + (top - slot));
    CHECK(writable(v->vm, slot + COMPARTMENT_EXCHANGE) == (uint8_t *)v->exchange);
    CHECK_U64(look(v->vm, slot + COMPARTMENT_EXCHANGE + PAGE_SIZE).access, 0);
}

TEST(its_own_tables_lead_to_span_and_window) {
    struct vcpu *v = start();
    CHECK_U64(translate(v->vm, COMPARTMENT_BASE), BASE);
    CHECK_U64(translate(v->vm, COMPARTMENT_BASE + 0x345678), BASE + 0x345678);
    CHECK_U64(translate(v->vm, COMPARTMENT_WINDOW), 0);
    CHECK_U64(translate(v->vm, COMPARTMENT_WINDOW + 0x123456), 0x123456);
    CHECK_U64(translate(v->vm, COMPARTMENT_WINDOW + GIB), UINT64_MAX);
    CHECK_U64(translate(v->vm, 0), UINT64_MAX);
    CHECK_U64(translate(v->vm, BASE), UINT64_MAX);
}

/* RAM from 4 GiB on makes a window of five. */
static void add_high_ram(struct plan_vm *plan) {
    plan->region_count = 2;
    plan->regions[1] =
        (struct plan_region){GPA(PLAN_HIGH_RAM), HPA((uintptr_t)fake_high_ram), PAGE_SIZE};
}

/* How much of the region is as it was, each time that host interrupts are taken. */
static struct vm *filled;
static uint64_t untouched, longest_piece;

static void look_at_region(void) {
    uint64_t left = 0;

    for (uint64_t i = 0; i < filled->compartment.region_size; i++) {
        left += filled->compartment.region[i] == 0xff;
    }
    longest_piece = max_u64(longest_piece, untouched - left);
    untouched = left;
}

/* It would be some ten thousand instructions: a guest that resets itself again and again keeps them
 * out no longer than for a piece. */
TEST(host_interrupts_are_taken_while_it_is_reset) {
    filled = start()->vm;
    untouched = filled->compartment.region_size;
    memset(filled->compartment.region, 0xff, untouched);
    longest_piece = 0;
    fake_interrupt = look_at_region;
    compartment_reset(filled);
    fake_interrupt = NULL;
    CHECK(longest_piece != 0 && longest_piece <= 16 * KIB);
    CHECK(untouched <= EXCHANGE_KEPT);
}

/* A CPU without pages of 1 GiB has a table for each GiB. */
TEST(a_window_of_small_pages) {
    fake_plan_more = add_high_ram;
    uint64_t size = start()->vm->compartment.region_size;
    fake_last_extended = 0x80000000;
    struct vcpu *v = start();
    fake_plan_more = NULL;
    CHECK_U64(v->vm->compartment.region_size, size + 5 * PAGE_SIZE);
    for (uint64_t at = 0x123456; at < 5 * GIB; at += 34 * MIB) {
        CHECK_U64(translate(v->vm, COMPARTMENT_WINDOW + at), at);
    }
    const uint64_t *window = (const void *)writable(v->vm, compartment_cr3() + 3 * PAGE_SIZE);
    CHECK(window[4] != 0);
    CHECK_U64(window[5], 0);
    fake_interrupts_taken = 0;
    compartment_fill(v->vm, 0);
    unsigned taken = fake_interrupts_taken;
    fake_interrupts_taken = 0;
    compartment_reset(v->vm);
    CHECK_U64(fake_interrupts_taken - taken, 5); /* after each of these tables, too */
    CHECK_U64(translate(v->vm, COMPARTMENT_BASE + 0x345678), BASE + 0x345678);
    fake_last_extended = 0x80000021;
}

TEST(a_start_finds_data_as_it_was_built) {
    struct vcpu *v = start();
    uint8_t *data = writable(v->vm, BASE + FAKE_PROGRAM_DATA);
    uint8_t *zeroes = writable(v->vm, BASE + 0x3000);
    CHECK_U64(data[0], 0x42);
    memset(data, 0xff, 2 * PAGE_SIZE);
    memset(v->exchange, 0xff, PAGE_SIZE);
    memset((uint8_t *)v->exchange - COMPARTMENT_STACK_SIZE, 0xff, COMPARTMENT_STACK_SIZE);
    compartment_reset(v->vm);
    CHECK_U64(data[0], 0x42);
    CHECK_U64(data[1], 0);
    CHECK_U64(zeroes[0], 0);
    CHECK_U64(v->exchange->argument, 0);
    CHECK_U64(*((uint8_t *)v->exchange - 1), 0);
    CHECK_U64(translate(v->vm, COMPARTMENT_WINDOW), 0);
}

static bool ask(struct vcpu *v) {
    const struct vmexit x = {.kind = EXIT_IO};
    return upcall(v, &x, UPCALL_NOTHING);
}

TEST(a_start_forgets_the_run_before) {
    struct vcpu *v = fake_machine_start();
    static const uint64_t nothing[ARRAY_SIZE(v->ended)];
    static const struct vcpu_context empty;

    memset(&v->compartment, 0xa5, sizeof(v->compartment));
    memset(v->ended, 0xa5, sizeof(v->ended));
    v->upcall_flags = UPCALL_ENDS;
    compartment_reset_context(v, v);
    CHECK(v->compartment.vendor == v);
    CHECK_U64(v->upcall_flags, UPCALL_UNWATCHED);
    CHECK(memcmp(v->ended, nothing, sizeof(nothing)) == 0);
    v->compartment.vendor = NULL;
    v->compartment.regs[X86_RDI] = 0;
    CHECK(memcmp(&v->compartment, &empty, sizeof(empty)) == 0);
}

TEST(an_answer_comes_back) {
    struct vcpu *v = start();
    v->exchange->upcall = 77;
    CHECK(ask(v));
    CHECK_U64(v->exchange->upcall, UPCALL_NOTHING);
    CHECK_U64(fake_compartment_runs, 1);
    CHECK_U64(v->vm->leave, LEAVE_NONE);
    CHECK_STR(said, "");
}

TEST(the_guest_gets_one_by_hypercall) {
    struct vcpu *v = start();
    struct vmexit x = {.kind = EXIT_HYPERCALL};
    v->regs[X86_RAX] = HYPERCALL_UPCALL;
    v->regs[X86_RBX] = 0x1234;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0);
    CHECK_U64(v->exchange->argument, 0x1234);
    CHECK_U64(fake_compartment_runs, 1);
}

static uint64_t ends_seen[4];
static unsigned ends_count;
/* In the middle of the first upcall two level-triggered interrupts end. */
static void end_interrupts_meanwhile(struct vcpu *v, UNUSED struct vmexit *x, unsigned n) {
    if (n == 1) {
        device_end_interrupt(v, 0xf0);
        device_end_interrupt(v, 0x41);
    } else if (v->exchange->upcall == UPCALL_END && ends_count < ARRAY_SIZE(ends_seen)) {
        ends_seen[ends_count++] = v->exchange->argument;
    }
}

TEST(interrupts_that_end_meanwhile_are_told_after_it) {
    struct vcpu *v = start();
    ends_count = 0;
    fake_compartment_end = end_interrupts_meanwhile;
    CHECK(ask(v));
    CHECK_U64(ends_count, 2);
    CHECK_U64(ends_seen[0], 0x41);
    CHECK_U64(ends_seen[1], 0xf0);
    CHECK_U64(v->upcall_flags, 0);
    CHECK(ask(v));
    CHECK_U64(ends_count, 2); /* each of them once */
}

static uint64_t wild_call;
static void end_with_wild_call(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    v->compartment.regs[X86_RAX] = wild_call;
}

TEST(a_call_that_there_is_not_ends_the_vm) {
    static const uint64_t calls[] = {CORE_CALLS, 0x100000000, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct vcpu *v = start();
        wild_call = calls[i];
        fake_compartment_end = end_with_wild_call;
        CHECK(!ask(v));
        CHECK_U64(v->vm->leave, LEAVE_CRASH);
        CHECK(strstr(said, "its compartment asked for what there is not") != NULL);
    }
}

static enum exit_kind end_kind;
static void end_with_kind(struct vcpu *v, struct vmexit *x, UNUSED unsigned n) {
    v->compartment_rip = 0xffffffff80001234;
    x->kind = end_kind;
    x->event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_PF, .error = 2};
    if (end_kind == EXIT_NESTED_FAULT) {
        x->fault = (struct exit_nested_fault){.gpa = GPA(0xabcdef000), .write = true};
    }
}

TEST(whatever_else_it_does_ends_the_vm) {
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        bool ours = k == EXIT_HYPERCALL || k == EXIT_INTERRUPT || k == EXIT_HOST_NMI ||
                    k == EXIT_HOST_INIT || k == EXIT_HOST_MCE;
        if (ours) {
            continue;
        }
        struct vcpu *v = start();
        end_kind = (enum exit_kind)k;
        fake_compartment_end = end_with_kind;
        CHECK(!ask(v));
        CHECK_U64(v->vm->leave, LEAVE_CRASH);
        CHECK(strstr(said, "its compartment ") != NULL);
        CHECK(strstr(said, "0xffffffff80001234") != NULL);
        CHECK(strstr(said, "while it worked on port") != NULL);
        struct vm_crash crash;
        CHECK_U64(vm_last_crash(v->vm->public, &crash), 1);
        CHECK(crash.compartment);
        CHECK_U64(crash.rip, 0xffffffff80001234);
        CHECK_STR(crash.work, "port");
        CHECK_STR(crash.reason, COMPARTMENT_FAILED);
    }
}

TEST(a_fault_is_told) {
    struct vcpu *v = start();
    end_kind = EXIT_EXCEPTION;
    fake_compartment_end = end_with_kind;
    CHECK(!ask(v));
    CHECK(strstr(said, "raised exception 14, error code 0x2, at") != NULL);
    v = start();
    end_kind = EXIT_NESTED_FAULT;
    fake_compartment_end = end_with_kind;
    CHECK(!ask(v));
    CHECK(strstr(said, "it wrote 0xabcdef000, at") != NULL);
}

/* Interrupts come while it runs, and the third time it answers. */
static void end_with_interrupts(UNUSED struct vcpu *v, struct vmexit *x, unsigned n) {
    x->kind = n < 3 ? EXIT_INTERRUPT : EXIT_HYPERCALL;
}

TEST(host_interrupts_are_taken_meanwhile) {
    struct vcpu *v = start();
    unsigned taken = fake_interrupts_taken;
    fake_compartment_end = end_with_interrupts;
    CHECK(ask(v));
    CHECK_U64(fake_interrupts_taken, taken + 2);
    CHECK((v->public.requests & REQUEST_TIMER) != 0); /* for the guest's own deadlines */
    CHECK_U64(v->vm->leave, LEAVE_NONE);
}

static void end_never(UNUSED struct vcpu *v, struct vmexit *x, UNUSED unsigned n) {
    x->kind = EXIT_INTERRUPT;
}

static void pass_time(void) {
    CHECK(fake_deadline > fake_tsc); /* or nothing would come any more */
    fake_tsc = fake_deadline;
}

TEST(one_that_does_not_come_back_ends_the_vm) {
    struct vcpu *v = start();
    uint64_t begin = fake_tsc;
    fake_compartment_end = end_never;
    fake_interrupt = pass_time;
    CHECK(!ask(v));
    CHECK_U64(v->vm->leave, LEAVE_CRASH);
    CHECK(strstr(said, "its compartment does not come back") != NULL);
    CHECK((fake_tsc - begin) * 1000 / FAKE_HZ <= 3 * UPCALL_MAX_MS);
    CHECK((fake_tsc - begin) * 1000 / FAKE_HZ >= UPCALL_MAX_MS);
}

static void pass_much_time(void) {
    fake_tsc += 100 * FAKE_HZ;
}

static void end_at_the_fourth(UNUSED struct vcpu *v, struct vmexit *x, unsigned n) {
    x->kind = n < 4 ? EXIT_INTERRUPT : EXIT_HYPERCALL;
}

/* The CPU was away, not the compartment. */
TEST(a_long_pause_of_the_cpu_is_one_look) {
    struct vcpu *v = start();
    fake_compartment_end = end_at_the_fourth;
    fake_interrupt = pass_much_time;
    CHECK(ask(v));
    CHECK_U64(v->vm->leave, LEAVE_NONE);
}

TEST(the_time_of_one_upcall_does_not_count_for_the_next) {
    struct vcpu *v = start();
    for (unsigned i = 0; i < 10; i++) {
        fake_compartment_runs = 0;
        fake_compartment_end = end_with_interrupts;
        fake_interrupt = pass_time;
        CHECK(ask(v));
    }
    CHECK_U64(v->vm->leave, LEAVE_NONE);
}

static unsigned passed;
static void pass_time_once(void) {
    passed++;
    fake_tsc += passed == 2 ? UPCALL_MAX_MS * FAKE_HZ / 1000 / UPCALL_LOOKS : 0;
}

static void end_at_the_hundredth(UNUSED struct vcpu *v, struct vmexit *x, unsigned n) {
    x->kind = n < 100 ? EXIT_INTERRUPT : EXIT_HYPERCALL;
}

/* Interrupts of devices, or of other CPUs, do not make its time go by faster. */
TEST(a_storm_of_interrupts_is_one_look) {
    struct vcpu *v = start();
    fake_tsc = 1000 * FAKE_HZ;
    passed = 0;
    fake_compartment_end = end_at_the_hundredth;
    fake_interrupt = pass_time_once;
    CHECK(ask(v));
    CHECK_U64(v->vm->leave, LEAVE_NONE);
    CHECK_U64(v->slow_looks, 1);
}

static void end_without_vector(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    v->exchange->argument = UINT64_MAX;
}

TEST(no_vector_for_intr_is_no_interrupt) {
    struct vcpu *v = start();
    v->vm->shared->intr = 1;
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    lapic_mmio_write(&v->lapic, 0x350, 4, 0x700); /* LINT0: ExtINT */
    fake_can_interrupt = true;
    v->event.type = EVENT_NONE;
    fake_compartment_end = end_without_vector;
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_NONE);
    CHECK_U64(v->exchange->upcall, UPCALL_ACKNOWLEDGE);
    CHECK_U64(v->vm->leave, LEAVE_NONE);
}

static uint32_t switched;
static void end_of_task_switch(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    v->exchange->outcome = EMULATED_DONE;
    v->exchange->regs_set = EMULATED_REGS_NONE;
    if (switched != 0) {
        v->exchange->task_switched = switched;
    }
}

/* Any word but 0 is one; and what the last one has said is not this one's. */
TEST(a_task_switch_that_was_none_flushes_nothing) {
    for (switched = 0; switched != UINT32_MAX; switched = switched == 0 ? 7 : UINT32_MAX) {
        struct vcpu *v = start();
        struct vmexit x = {.kind = EXIT_TASK_SWITCH, .task.event.type = EVENT_NONE};
        v->exchange->task_switched = 1;
        fake_compartment_end = end_of_task_switch;
        fake_flushed = false;
        (void)fake_exit(v, &x);
        CHECK_U64(fake_flushed, switched != 0);
        CHECK_U64(v->vm->leave, LEAVE_NONE);
    }
}

static struct vcpu *asked;
static void ask_to_leave(void) {
    asked->public.requests |= REQUEST_LEAVE;
}

TEST(a_vm_that_is_to_end_does_not_wait_for_it) {
    struct vcpu *v = asked = start();
    fake_compartment_end = end_never;
    fake_interrupt = ask_to_leave;
    CHECK(!ask(v));
    CHECK_U64(fake_compartment_runs, 1);
    CHECK_STR(said, "");
}

static void end_with_nmi(UNUSED struct vcpu *v, struct vmexit *x, unsigned n) {
    x->kind = n == 1 ? EXIT_HOST_NMI : EXIT_HYPERCALL;
}

TEST(an_nmi_of_the_host_is_not_its_fault) {
    struct vcpu *v = start();
    fake_compartment_end = end_with_nmi;
    CHECK(ask(v));
    CHECK_U64(fake_compartment_runs, 2);
}

static void end_with_mce(UNUSED struct vcpu *v, struct vmexit *x, unsigned n) {
    x->kind = n == 1 ? EXIT_HOST_MCE : EXIT_HYPERCALL;
}

/* One that nothing is lost by: it goes on. */
TEST(a_machine_check_is_looked_at) {
    struct vcpu *v = start();
    unsigned cleared = fake_mces_cleared;
    fake_mce = (struct mce){.global = MCE_RIPV | MCE_MCIP};
    fake_compartment_end = end_with_mce;
    CHECK(ask(v));
    CHECK_U64(fake_compartment_runs, 2);
    CHECK_U64(fake_mces_cleared, cleared + 1);
}

/* It was left in the middle: what it would answer now is not what is asked. */
TEST(one_that_was_left_is_asked_no_more) {
    struct vcpu *v = asked = start();
    fake_compartment_end = end_never;
    fake_interrupt = ask_to_leave;
    CHECK(!ask(v));
    CHECK(!ask(v));
    CHECK_U64(fake_compartment_runs, 1);
    CHECK_STR(said, "");
}

static void end_under_a_timer(UNUSED struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    CHECK(fake_deadline > fake_tsc);
}

/* The devices' service is the first thing after the timer has fired. */
TEST(a_timer_watches_also_the_service_of_timers) {
    struct vcpu *v = start();
    fake_compartment_end = end_under_a_timer;
    CHECK(ask(v));
    CHECK_U64(v->upcall_flags, 0);
    fake_tsc = fake_deadline;
    fake_deadline = 0;
    v->public.requests = REQUEST_TIMER | REQUEST_CLOCKS;
    CHECK(vcpu_service(v));
    CHECK_U64(fake_compartment_runs, 2);
}

static void end_by_hlt(UNUSED struct vcpu *v, struct vmexit *x, UNUSED unsigned n) {
    x->kind = EXIT_HLT;
}

/* What no exit of the guest's was the reason for has a name as well. */
TEST(each_upcall_is_named) {
    for (unsigned what = 0; what < UPCALLS; what++) {
        struct vcpu *v = start();
        fake_compartment_end = end_by_hlt;
        CHECK(!upcall(v, NULL, (enum upcall)what));
        CHECK(strstr(said, "executed HLT") != NULL && strstr(said, "(null)") == NULL);
    }
}

/* Nor does it forget that the compartment has failed. */
TEST(after_a_timer_nothing_is_asked_of_one_that_failed) {
    struct vcpu *v = start();
    v->upcall_flags = UPCALL_FAILED;
    v->public.requests = REQUEST_TIMER | REQUEST_CLOCKS;
    (void)vcpu_service(v);
    CHECK_U64(fake_compartment_runs, 0);
    CHECK(vcpu_compartment_failed(v));
}

/* Nor does the guest's reset or INIT make it forget that, or what devices are still to be told. */
TEST(a_reset_forgets_no_failure) {
    for (unsigned init = 0; init < 2; init++) {
        struct vcpu *v = start();
        v->upcall_flags = UPCALL_FAILED | UPCALL_ENDS;
        vcpu_reset(v, init != 0);
        CHECK_U64(v->upcall_flags, UPCALL_FAILED | UPCALL_ENDS | UPCALL_UNWATCHED);
    }
}

/* The platform's lock may be held by a vCPU that has left: nobody waits for it then. */
TEST(who_is_to_leave_asks_no_device) {
    struct vcpu *v = start();
    v->public.requests =
        REQUEST_LEAVE | REQUEST_TIMER | REQUEST_CLOCKS | REQUEST_ROOM | REQUEST_ORDER;
    CHECK(!vcpu_service(v));
    CHECK_U64(fake_compartment_runs, 0);
    CHECK_U64(v->public.requests, REQUEST_ROOM | REQUEST_ORDER);
}

static void leave_is_taken(void) {
    asked->vm->leave = LEAVE_KILL;
}

TEST(the_end_of_the_vm_ends_an_upcall) {
    struct vcpu *v = asked = start();
    fake_compartment_end = end_never;
    fake_interrupt = leave_is_taken;
    CHECK(!ask(v));
    CHECK_U64(fake_compartment_runs, 1);
    CHECK_STR(said, "");
}

/* The first number of each kind that means nothing. */
TEST(what_is_told_has_its_limits) {
    struct vcpu *v = start();
    v->exchange->stop = TOLD_STOPS;
    CHECK(!told_take(v, TOLD_STOP));
    CHECK(strstr(said, "told of an end that there is not") != NULL);
    v = start();
    v->exchange->refused.space = BUS_SPACES;
    CHECK(!told_take(v, TOLD_REFUSED));
    CHECK(strstr(said, "told of an access that there is not") != NULL);
    v = start();
    v->exchange->event = TOLD_EVENTS;
    CHECK(!told_take(v, TOLD_EVENT));
    for (uint32_t size = 0; size <= 9; size += 9) {
        v = start();
        v->exchange->apic = (struct exchange_access){.at = 0x80, .size = size};
        CHECK(!told_take(v, TOLD_APIC));
        CHECK(strstr(said, "wrote no register of the local APIC") != NULL);
    }
    v = start();
    v->exchange->apic = (struct exchange_access){.at = 0x80, .size = 4, .value = 0x30};
    CHECK(told_take(v, TOLD_APIC));
    CHECK_U64(lapic_mmio_read(&v->lapic, 0x80), 0x30);
    v = start();
    CHECK(!told_take(v, TOLD_ALL + 1));
    CHECK(strstr(said, "told of what there is not") != NULL);
}

/* Where the program begins, where it is called, and where its stack does. */
TEST(each_vcpu_has_its_places) {
    const struct compartment_header *header = (const void *)plat_compartment_image;
    struct vcpu *v0, *v1;

    (void)start();
    CHECK_U64(header->entry, 0x800);
    CHECK_U64(compartment_entry(), COMPARTMENT_BASE + 0x800);
    CHECK_U64(header->called, 0x900);
    CHECK_U64(compartment_called(), COMPARTMENT_BASE + 0x900);
    fake_create_two(&v0, &v1);
    uint64_t top = compartment_stack_top(v0);
    CHECK_U64(compartment_stack_top(v1), top + COMPARTMENT_SLOT);
    CHECK_U64(top % COMPARTMENT_SLOT, COMPARTMENT_STACK + COMPARTMENT_STACK_SIZE);
}

/* What an instruction that is emulated may set, and the next bit. */
TEST(of_the_state_it_sets_what_a_task_switch_sets) {
    static const struct {
        enum hvm_reg reg;
        uint64_t may, may_not;
    } rules[] = {
        {HVM_RIP, UINT64_MAX, 0},
        {HVM_RSP, UINT64_MAX, 0},
        {HVM_RFLAGS, X86_RFLAGS_ALL, BIT(22)},
        {HVM_CR0, X86_CR0_TS, X86_CR0_PE},
        {HVM_CR3, UINT32_MAX, BIT(32)},
        {HVM_DR7, X86_DR7_LOCAL, 2},
        {HVM_CR4, 0, 1},
        {HVM_EFER, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        struct vcpu *v = start();
        uint64_t *reg = &v->exchange->state.reg[rules[i].reg];
        uint64_t old = fake_regs[rules[i].reg];
        v->exchange->state.segments_set = 0;
        v->exchange->state.regs_set = BIT32(rules[i].reg);
        *reg = old ^ rules[i].may;
        CHECK(told_take(v, TOLD_STATE) == (rules[i].may != 0));
        CHECK_U64(fake_regs[rules[i].reg], old ^ rules[i].may);
        if (rules[i].may_not != 0) {
            v = start();
            old = fake_regs[rules[i].reg];
            *reg = old ^ rules[i].may_not;
            v->exchange->state.segments_set = 0;
            v->exchange->state.regs_set = BIT32(rules[i].reg);
            CHECK(!told_take(v, TOLD_STATE));
            CHECK(strstr(said, "set what is not for it to set") != NULL);
            CHECK_U64(fake_regs[rules[i].reg], old);
        }
    }
    for (unsigned seg = 0; seg < 32; seg++) {
        struct vcpu *v = start();
        v->exchange->state.regs_set = 0;
        v->exchange->state.segments_set = BIT32(seg);
        CHECK(told_take(v, TOLD_STATE) ==
              (seg < HVM_SEG_COUNT && seg != HVM_GDT && seg != HVM_IDT));
    }
}

/* Whoever sets a clock. */
TEST(clocks_are_looked_at_by_the_first_vcpu) {
    struct vcpu *v0, *v1;

    (void)start();
    fake_create_two(&v0, &v1);
    v0->public.requests = v1->public.requests = 0;
    CHECK(told_take(v1, TOLD_CLOCKS));
    CHECK_U64(v0->public.requests, REQUEST_CLOCKS);
    CHECK_U64(v1->public.requests, 0);
}

/* XMM0 to XMM15, and no more. */
TEST(vector_registers_that_there_are_not) {
    struct vcpu *v = start();
    v->exchange->argument = 15;
    CHECK(core_call_answer(v, CORE_VECTOR_GET));
    CHECK(core_call_answer(v, CORE_VECTOR_SET));
    v->exchange->argument = 16;
    CHECK(!core_call_answer(v, CORE_VECTOR_GET));
    CHECK(strstr(said, "asked for no vector register") != NULL);
    v = start();
    v->exchange->argument = 16;
    CHECK(!core_call_answer(v, CORE_VECTOR_SET));
}

/* Half a text of a guest that gives up is none. */
TEST(a_text_that_is_not_all_in_memory) {
    struct vcpu *v = start();
    const struct plan_region *r = &v->vm->plan->regions[0];
    uint64_t at = r->gpa.v + r->size - 4;
    struct vmexit x = {.kind = EXIT_HYPERCALL};
    CHECK_U64(vm_memory_write(v->vm, GPA(at), "half", 4), STATUS_OK);
    v->regs[X86_RAX] = HYPERCALL_GIVE_UP;
    v->regs[X86_RBX] = at;
    v->regs[X86_RCX] = 4;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(strstr(said, "gave up [BH3039]: half") != NULL);
    v = start();
    CHECK_U64(vm_memory_write(v->vm, GPA(at), "half", 4), STATUS_OK);
    v->regs[X86_RAX] = HYPERCALL_GIVE_UP;
    v->regs[X86_RBX] = at;
    v->regs[X86_RCX] = 5;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(strstr(said, "gave up [BH3039]: it does not say why") != NULL);
    CHECK_U64(v->vm->leave, LEAVE_CRASH);
}

/* What touched memory that is not there stands in the reason. */
TEST(memory_that_is_not_there_is_told_by_what_touched_it) {
    static const struct {
        bool event, walk;
        const char *what;
    } ways[] = {
        {false, false, "code in memory that is not there"},
        {false, true, "page tables in memory that is not there"},
        {true, false, "an event was delivered through memory that is not there"},
        {true, true, "an event was delivered through memory that is not there"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct vcpu *v = start();
        struct vmexit x = {.kind = EXIT_NESTED_FAULT};
        x.fault = (struct exit_nested_fault){
            .gpa = GPA(0xabcdef000), .execute = !ways[i].walk, .in_page_walk = ways[i].walk};
        v->event.type = ways[i].event ? EVENT_INTERRUPT : EVENT_NONE;
        (void)fake_exit(v, &x);
        CHECK_U64(v->vm->leave, LEAVE_CRASH);
        CHECK(strstr(said, ways[i].what) != NULL);
    }
}

TEST_MAIN(T(each_vcpu_has_its_places), T(of_the_state_it_sets_what_a_task_switch_sets),
          T(what_is_told_has_its_limits), T(windows_have_the_rights_of_their_kind),
          T(the_guest_has_images_alone), T(each_start_is_told_the_devices),
          T(its_window_shows_them), T(each_upcall_is_named),
          T(after_a_timer_nothing_is_asked_of_one_that_failed), T(a_reset_forgets_no_failure),
          T(who_is_to_leave_asks_no_device), T(the_end_of_the_vm_ends_an_upcall),
          T(a_long_pause_of_the_cpu_is_one_look), T(one_that_was_left_is_asked_no_more),
          T(a_timer_watches_also_the_service_of_timers), T(the_program_is_shared_and_read_only),
          T(data_is_the_vms_own), T(ram_is_where_the_guest_has_it_and_runs_nowhere),
          T(the_guest_reaches_nothing_of_it), T(nothing_is_mapped_between_the_pieces),
          T(a_stack_ends_in_a_hole), T(its_own_tables_lead_to_span_and_window),
          T(a_window_of_small_pages), T(host_interrupts_are_taken_while_it_is_reset),
          T(a_start_finds_data_as_it_was_built), T(a_start_forgets_the_run_before),
          T(an_answer_comes_back), T(the_guest_gets_one_by_hypercall),
          T(interrupts_that_end_meanwhile_are_told_after_it),
          T(a_call_that_there_is_not_ends_the_vm), T(whatever_else_it_does_ends_the_vm),
          T(a_fault_is_told), T(host_interrupts_are_taken_meanwhile),
          T(one_that_does_not_come_back_ends_the_vm),
          T(the_time_of_one_upcall_does_not_count_for_the_next),
          T(a_storm_of_interrupts_is_one_look), T(a_task_switch_that_was_none_flushes_nothing),
          T(no_vector_for_intr_is_no_interrupt), T(a_vm_that_is_to_end_does_not_wait_for_it),
          T(an_nmi_of_the_host_is_not_its_fault), T(a_machine_check_is_looked_at),
          T(clocks_are_looked_at_by_the_first_vcpu), T(vector_registers_that_there_are_not),
          T(a_text_that_is_not_all_in_memory),
          T(memory_that_is_not_there_is_told_by_what_touched_it), T(a_window_that_is_too_far))
