/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compartment that answers and asks anything: a million upcalls whose exchange page is filled
 * with generated values, some near to what is right. The core takes what a guest could have done
 * itself, or ends the VM; it never touches what is not that guest's (the sanitizers see that), and
 * what no instruction can set stays as it was.
 */
#include "fake_machine.h"
#include "tests/unit/random.h"

#define UPCALLS_TRIED 1000000u
#define CHANNELS      2u /* of the VM, to others whose first CPUs are 1 and 2 */
#define CALLS_MOST    4u /* of the core in one upcall, before it is done */

static uint64_t seed = 1;

static uint64_t any(void) {
    return random_next(&seed);
}

static uint64_t below(uint64_t n) {
    return any() % n;
}

/* A small number, a large one, a border, or anything. */
static uint64_t value(void) {
    static const uint64_t borders[] = {0,       1,       4095,      4096,       UINT32_MAX, BIT(31),
                                       BIT(32), BIT(63), INT64_MAX, UINT64_MAX, FAKE_RAM};
    switch (below(4)) {
    case 0:
        return below(16);
    case 1:
        return below(0x2000);
    case 2:
        return borders[below(ARRAY_SIZE(borders))] + below(3) - 1;
    default:
        return any();
    }
}

/* A mask of few bits, most of which have a meaning. */
static uint32_t mask(uint32_t known) {
    uint32_t bits = (uint32_t)(any() & any() & known);
    return below(16) == 0 ? (uint32_t)value() : bits;
}

/* Below known, and now and then the first that is too large, or anything. */
static uint32_t number(uint32_t known) {
    switch (below(32)) {
    case 0:
        return (uint32_t)value();
    case 1:
        return known;
    default:
        return (uint32_t)below(known);
    }
}

static void fill_state(struct exchange_state *s) {
    for (unsigned r = 0; r < HVM_REG_COUNT; r++) {
        s->reg[r] = below(2) == 0 ? fake_regs[r] : value();
    }
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        s->segment[i] = (struct hvm_segment){.base = value(),
                                             .limit = (uint32_t)value(),
                                             .attr = (uint32_t)value(),
                                             .selector = (uint16_t)value()};
    }
    s->regs_set = mask(BIT32(HVM_RIP) | BIT32(HVM_RSP) | BIT32(HVM_RFLAGS) | BIT32(HVM_CR0));
    s->segments_set = mask(BIT32(HVM_GDT) - 1);
}

static void fill_told(struct exchange *e) {
    e->told = mask(TOLD_ALL);
    e->stop = number(TOLD_STOPS);
    e->event = number(TOLD_EVENTS);
    e->word = (uint32_t)value();
    e->bells = below(2) == 0 ? below(2 * BIT(CHANNELS)) : any() & any() & any();
    e->messages = number(EXCHANGE_MESSAGES + 1);
    for (unsigned i = 0; i < EXCHANGE_MESSAGES; i++) {
        uint64_t address = below(2) == 0 ? 0xfee00000 + below(0x100000) : value();
        e->message[i] = (struct exchange_message){.address = address, .data = (uint32_t)value()};
    }
    e->apic = (struct exchange_access){
        .at = below(4) == 0 ? value() : below(256) * 16, .value = value(), .size = number(9)};
    e->refused = (struct exchange_access){
        .at = value(), .space = number(BUS_SPACES), .write = (uint32_t)value()};
    e->vm.put = below(8) == 0 ? (uint32_t)value() : e->vm.taken + number(EXCHANGE_RING + 1);
    e->vm.taken = below(8) == 0 ? (uint32_t)value() : e->vm.taken;
    e->vm.intr = (uint32_t)below(2);
}

static void fill_answer(struct exchange *e) {
    e->argument = value();
    e->there = number(2);
    e->outcome = number(EMULATED_CRASH + 1);
    e->crash = number(CRASHES);
    e->task_switched = number(2);
    e->regs_set = number(EMULATED_REGS_ONE + 16);
    e->fault = (struct emulated_fault){
        .vector = (uint8_t)value(), .error = (uint32_t)value(), .address = value()};
    e->exit.insn_len = number(16);
    e->exit.cr = (struct exit_cr){.access = (uint8_t)number(CR_SMSW + 1),
                                  .cr = (uint8_t)number(9),
                                  .gpr = (uint8_t)value(),
                                  .size = (uint8_t)number(9),
                                  .lmsw = (uint16_t)value()};
    for (unsigned r = 0; r < 16; r++) {
        e->regs[r] = value();
    }
}

static unsigned calls;
static void anything(struct vcpu *v, struct vmexit *x, UNUSED unsigned n) {
    struct exchange *e = v->exchange;

    fill_told(e);
    fill_state(&e->state);
    fill_answer(e);
    if (below(4) == 0 && calls < CALLS_MOST) {
        calls++;
        e->argument = below(2) == 0 ? below(16) : value();
        v->compartment.regs[X86_RAX] = below(8) == 0 ? value() : below(CORE_CALLS);
    }
    if (below(4096) == 0) {
        x->kind = (enum exit_kind)below(EXIT_KINDS);
    }
}

/* An exit or a moment at which the core asks. */
static void ask(struct vcpu *v) {
    struct vmexit x = {.insn_len = 2};

    switch (below(8)) {
    case 0:
        x.kind = EXIT_IO;
        x.io = (struct exit_io){(uint16_t)any(), (uint8_t)(1u << below(3)),
                                (uint8_t)(below(2) | below(2) << 1)};
        break;
    case 1:
        x.kind = EXIT_TASK_SWITCH;
        x.task = (struct exit_task){.source = TASK_CALL, .event.type = EVENT_NONE};
        break;
    case 2:
        (void)vm_service_devices(v->vm);
        return;
    case 3:
        (void)vm_acknowledge_intr(v->vm);
        return;
    case 4:
        x.kind = EXIT_CR;
        x.cr = (struct exit_cr){.access = (uint8_t)below(2), .cr = (uint8_t)below(9)};
        if (exit_find_length(v, &x)) {
            CHECK(x.insn_len <= 15 && x.cr.access <= CR_SMSW);
        }
        return;
    case 5:
        (void)vm_console_input(v->vm, (uint8_t)any());
        vm_serve_console(v->vm, REQUEST_ROOM);
        return;
    case 6: {
        uint8_t code[15];
        CHECK(hardware_code(v, code, sizeof(code)) <= sizeof(code));
        (void)hardware_pdptes_valid(v, any());
        return;
    }
    default:
        x.kind = EXIT_NESTED_FAULT;
        x.fault.gpa = GPA(below(2) == 0 ? 0xfee00000 + below(0x1000) : 0xfec00000);
        x.fault.write = below(2) == 0;
        break;
    }
    if (fake_exit(v, &x) == ACTION_NEXT) {
        CHECK(x.insn_len <= 15);
    }
}

/* What an exception is that went in. */
static void check_event(struct vcpu *v) {
    const struct event *e = &v->event;
    bool known = e->type == EVENT_NONE || e->type == EVENT_INTERRUPT || e->type == EVENT_NMI ||
                 (e->type == EVENT_EXCEPTION && e->vector < X86_VECTORS && e->vector != X86_NMI &&
                  e->error <= 0xffff);
    CHECK(known);
}

static const enum hvm_reg untouched[] = {HVM_CR4,         HVM_EFER,         HVM_PAT,
                                         HVM_SYSENTER_CS, HVM_SYSENTER_ESP, HVM_SYSENTER_EIP,
                                         HVM_TSC_OFFSET};

static void check_guest(const uint64_t before[HVM_REG_COUNT], const struct hvm_segment tables[2]) {
    for (unsigned i = 0; i < ARRAY_SIZE(untouched); i++) {
        CHECK_U64(fake_regs[untouched[i]], before[untouched[i]]);
    }
    CHECK_U64(fake_regs[HVM_CR0] | X86_CR0_TS, before[HVM_CR0] | X86_CR0_TS);
    CHECK(memcmp(&fake_segs[HVM_GDT], tables, 2 * sizeof(*tables)) == 0);
    for (unsigned w = 0; w < WINDOWS; w++) {
        CHECK_U64(fake_windows[w].v, 0);
    }
}

/* The VM as before, for the next try. */
static void again(struct vcpu *v, bool failed) {
    v->vm->leave = LEAVE_NONE;
    v->public.requests = 0;
    v->upcall_flags &= UPCALL_UNWATCHED | UPCALL_ENDS;
    v->event.type = EVENT_NONE;
    v->vm->console_taken = 0;
    memset(&v->exchange->vm, 0, sizeof(v->exchange->vm));
    if (failed) {
        v->upcall_flags &= UPCALL_UNWATCHED;
        memset(v->ended, 0, sizeof(v->ended));
    }
}

static uint64_t no_time(void) {
    return 0;
}

static void no_line(UNUSED enum log_level level, UNUSED const char *text, UNUSED size_t n) {
}

/* ---- the others, at the ends of its channels ---- */

static struct vcpu_public others_vcpus[CHANNELS];
static struct vm_public others[CHANNELS];

static void add_channels(struct plan_vm *plan) {
    plan->devices.channel_count = CHANNELS;
    for (unsigned i = 0; i < CHANNELS; i++) {
        plan->bell_cpus[i] = 1 + i;
        others_vcpus[i] = (struct vcpu_public){.cpu = 1 + i};
        others[i].vcpus[0] = &others_vcpus[i];
        others[i].hears = &others[i];
        vm_of_cpu[1 + i] = &others[i];
    }
}

static struct vcpu *start_with_channels(void) {
    fake_plan_more = add_channels;
    struct vcpu *v = fake_machine_start();
    fake_plan_more = NULL;
    fake_kicked = 0;
    return v;
}

/* A bell is heard at the channel's other end, and nowhere else. */
TEST(bells) {
    struct vcpu *v = start_with_channels();
    v->exchange->bells = BIT(1);
    CHECK(told_take(v, TOLD_BELLS));
    CHECK_U64(others_vcpus[0].requests, 0);
    CHECK_U64(others_vcpus[1].requests, REQUEST_CHANNELS);
    CHECK_U64(fake_kicked, BIT(2));
    v->exchange->bells = BIT(0) | BIT(1);
    CHECK(told_take(v, TOLD_BELLS));
    CHECK_U64(others_vcpus[0].requests, REQUEST_CHANNELS);
    CHECK_U64(v->public.requests, 0);
    v->exchange->bells = 0;
    CHECK(told_take(v, TOLD_BELLS));
    CHECK_U64(v->vm->leave, LEAVE_NONE);

    for (unsigned bit = CHANNELS; bit < 64; bit++) {
        v = start_with_channels();
        v->exchange->bells = BIT(bit);
        CHECK(!told_take(v, TOLD_BELLS));
        CHECK(v->vm->leave != LEAVE_NONE);
        CHECK_U64(fake_kicked & ~BIT(0), 0);
    }
}

static void add_nets(struct plan_vm *plan) {
    plan->devices.net_count = 2;
    plan->devices.nets[0].link = plan->devices.nets[1].link = true;
}

/* A cable that the operator pulled while the guest was off is not in its adapter at its start. */
TEST(a_start_finds_the_links_as_they_are) {
    fake_plan_more = add_nets;
    fake_told_devices.net_count = 2;
    fake_told_devices.nets[0].link = fake_told_devices.nets[1].link = true;
    (void)fake_machine_start();
    fake_plan_more = NULL;
    const struct virtio_net *nets = fake_hardware.platform.nets;
    CHECK_U64(nets[0].config.status & nets[1].config.status & 1, 1);
    vm_set_link(&fake_public, 0, false);
    CHECK(vm_start_devices(fake_vm));
    CHECK_U64(nets[0].config.status & 1, 0);
    CHECK_U64(nets[1].config.status & 1, 1);
    memset(&fake_told_devices, 0, sizeof(fake_told_devices));
}

static unsigned asked_of_channels;
static void count_channels(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    asked_of_channels += v->exchange->upcall == UPCALL_CHANNELS;
}

/* It hears of any number of bells once. */
TEST(a_bell_is_an_upcall) {
    struct vcpu *v = start_with_channels();
    fake_compartment_end = count_channels;
    asked_of_channels = 0;
    vcpu_ring(&v->public);
    vcpu_ring(&v->public);
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 1);
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 1);
    fake_compartment_end = NULL;
}

/* The operator's cables: the devices see at once what they are, and from a start on. */
TEST(links) {
    struct vcpu *v = start_with_channels();
    fake_compartment_end = count_channels;
    asked_of_channels = 0;
    v->vm->public->links = 3;
    vm_set_link(v->vm->public, 0, false);
    CHECK_U64(v->vm->public->links, 2);
    CHECK(!vm_link_is_up(v->vm->public, 0) && vm_link_is_up(v->vm->public, 1));
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 1);
    CHECK_U64(v->vm->shared->links, 2);
    vm_set_link(v->vm->public, 0, true);
    CHECK_U64(v->vm->public->links, 3);
    v->vm->shared->links = 0x55;
    v->vm->shared->counts.nets[1].sent.frames = 7;
    CHECK(vm_start_devices(v->vm));
    CHECK_U64(v->vm->shared->links, 3);
    CHECK_U64(v->vm->shared->counts.nets[1].sent.frames, 0);
    fake_compartment_end = NULL;
}

static void count_slowly(struct vcpu *v, UNUSED struct vmexit *x, UNUSED unsigned n) {
    asked_of_channels += v->exchange->upcall == UPCALL_CHANNELS;
    fake_tsc += v->exchange->upcall == UPCALL_CHANNELS ? 1000 : 0;
}

/* Who rings without end gets a quarter of the CPU's time, and kicks no CPU for the rest. */
TEST(bells_without_end) {
    struct vcpu *v = start_with_channels();
    fake_compartment_end = count_slowly;
    asked_of_channels = 0;
    vcpu_ring(&v->public);
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 1);
    uint64_t due = fake_tsc + 3000;
    for (unsigned i = 0; i < 10; i++) {
        vcpu_ring(&v->public);
        CHECK(vcpu_service(v));
        CHECK_U64(asked_of_channels, 1);
        CHECK_U64(v->clocks_due, due);
        CHECK_U64(fake_deadline, due);
        CHECK_U64(v->public.requests & REQUEST_CHANNELS, 0); /* the next one is none */
    }
    fake_tsc = due;
    vcpu_request(&v->public, REQUEST_TIMER);
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 2);
    CHECK_U64(v->public.rung, 0);
    fake_tsc += 10000; /* and after a rest the next one is heard at once */
    vcpu_ring(&v->public);
    CHECK(vcpu_service(v));
    CHECK_U64(asked_of_channels, 3);
    fake_compartment_end = NULL;
}

TEST(a_million_upcalls_answered_at_random) {
    static const struct log_hooks hooks = {no_time, plat_cpu, no_line, NULL};
    struct vcpu *v = start_with_channels();
    uint64_t before[HVM_REG_COUNT];
    struct hvm_segment tables[2];
    unsigned failed = 0, left = 0;

    log_init(&hooks, LOG_ERROR);
    fake_mce = (struct mce){.global = MCE_RIPV | MCE_MCIP}; /* nothing is lost by one */
    memcpy(before, fake_regs, sizeof(before));
    memcpy(tables, &fake_segs[HVM_GDT], sizeof(tables));
    v->lapic.apic_base = 0xfee00900;
    fake_compartment_end = anything;
    for (unsigned i = 0; i < UPCALLS_TRIED && test_failures == 0; i++) {
        calls = 0;
        ask(v);
        check_event(v);
        check_guest(before, tables);
        failed += vcpu_compartment_failed(v);
        left += v->vm->leave != LEAVE_NONE;
        CHECK(!vcpu_compartment_failed(v) || v->vm->leave != LEAVE_NONE);
        again(v, vcpu_compartment_failed(v));
    }
    CHECK(failed > UPCALLS_TRIED / 20 && failed < UPCALLS_TRIED * 9 / 10);
    CHECK(left > failed && left < UPCALLS_TRIED);
    printf("# %u failed, %u ended their VM\n", failed, left);
}

TEST_MAIN(T(bells), T(a_bell_is_an_upcall), T(links), T(a_start_finds_the_links_as_they_are),
          T(bells_without_end), T(a_million_upcalls_answered_at_random))
