/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the operator is told of who has what: map, config, inspect, and poweroff. Tables and bitmaps
 * are real ones, in the test's memory; each window shows a piece of that, one at a time.
 */
#include "hv/lib/phys.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "hv/monitor/map.h"
#include "hv/monitor/papers.h"
#include "hv/monitor/poweroff.h"
#include "hv/vm/devices.h"
#include "hv/vm/snapshot.h"
#include "tests/unit/fake_console.h"

static struct vm_public publics[2];
static struct vm vms[2];
static struct boot_info info;
static struct plan plan;
static struct config_guest guest;
static ALIGNED(PAGE_SIZE) uint8_t memory[160 * PAGE_SIZE], msr_map[2 * PAGE_SIZE],
    port_map[3 * PAGE_SIZE];
/* One page of it is read only. */
ALIGNED(PAGE_SIZE)
const uint8_t plat_compartment_image[PAGE_SIZE] = {
    [offsetof(struct compartment_header, rodata_end) + 1] = PAGE_SIZE >> 8};

/* ---- what the monitor asks for ---- */

static hpa_t window_at;
static unsigned windows_open;

void *plat_window_open(enum plat_window which, hpa_t at, uint64_t size) {
    CHECK(which == WINDOW_READ && windows_open == 0 && size != 0 && size <= PLAT_WINDOW_SIZE);
    windows_open++;
    window_at = at;
    return phys_pointer(at);
}

void plat_window_close(UNUSED enum plat_window which, hpa_t at, UNUSED uint64_t size) {
    CHECK(windows_open == 1 && at.v == window_at.v);
    windows_open--;
}

static char asked[256];
static bool obey; /* who is asked to stop does */

bool vm_command_both(struct vm_public *vm, enum vm_command what, UNUSED enum vm_command then) {
    size_t n = strlen(asked);
    snprintf(asked + n, sizeof(asked) - n, "%s %s\n", what == VM_COMMAND_STOP ? "stop" : "?",
             vm->name);
    vm->state = obey ? VM_OFF : VM_STOPPING;
    return true;
}

void vm_set_link(UNUSED struct vm_public *p, UNUSED unsigned net, UNUSED bool up) {
    abort();
}

bool vcpu_snapshot_ask(UNUSED struct vcpu_public *v, UNUSED struct vcpu_snapshot *out) {
    abort();
}

bool vcpu_snapshot_is_ready(UNUSED const struct vcpu_snapshot *s) {
    abort();
}

bool vcpu_snapshot_withdraw(UNUSED struct vcpu_public *v, UNUSED struct vcpu_snapshot *out) {
    abort();
}

void vcpu_request(UNUSED struct vcpu_public *p, UNUSED uint32_t bits) {
    abort();
}

bool vm_console_input(UNUSED struct vm *vm, UNUSED uint8_t byte) {
    abort();
}

static uint64_t now_us(void) {
    return 0;
}

static unsigned no_cpu(void) {
    return 0;
}

static int intel_bit(uint32_t msr, bool write) {
    bool high = msr >= 0xc0000000u;
    uint32_t number = high ? msr - 0xc0000000u : msr;
    return number < 0x2000 ? (int)((2u * write + high) * 0x2000 + number) : -1;
}

static int amd_bit(uint32_t msr, bool write) {
    static const uint32_t bases[] = {0, 0xc0000000u, 0xc0010000u};
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        if (msr - bases[i] < 0x2000) {
            return (int)(0x4000 * i + 2 * (msr - bases[i]) + write);
        }
    }
    return -1;
}

static struct hvm_ops ops;

/* ---- */

static void type(const char *keys) {
    for (; *keys != '\0'; keys++) {
        hv_console_input((uint8_t)*keys);
        fake_pass(5000);
    }
}

/* What is seen after the line, without carriage returns, up to the next prompt. */
static const char *answer_to(const char *line) {
    static char text[FAKE_LINE_MAX];
    size_t n = 0;

    fake_line_take();
    type(line);
    fake_line_take();
    type("\r");
    fake_pass(3000000);
    const char *seen = strchr(fake_line_take(), '\n');
    CHECK(seen != NULL);
    for (seen = seen != NULL ? seen + 1 : ""; *seen != '\0' && strncmp(seen, "\rbulk", 5) != 0;
         seen++) {
        if (*seen != '\r') {
            text[n++] = *seen;
        }
    }
    text[n] = '\0';
    return text;
}

static void add_vm(unsigned n, const char *name, struct pool *pool) {
    struct vm *vm = &vms[n];

    fake_vm_set_up(&publics[n], name);
    *vm = (struct vm){.plan = &plan.vms[n], .public = &publics[n]};
    vm->vcpus[0].msr_map = vm->vcpus[0].msr_map_x2apic = msr_map;
    vm->vcpus[0].port_map = port_map;
    CHECK(pagetable_init(&vm->npt, ops.npt_format, pool, 3) == STATUS_OK);
    CHECK(pagetable_init(&vm->compartment.npt, ops.npt_format, pool, 3) == STATUS_OK);
    vm_of_cpu[n] = &publics[n];
    plan.vms[n].budget_base = HPA(GIB + n * 16 * MIB);
    plan.vms[n].budget_size = 16 * MIB;
}

static struct pool pool;

static void map_range(unsigned n, bool compartment, uint64_t gpa, uint64_t hpa, uint64_t size,
                      unsigned access) {
    struct pagetable *t = compartment ? &vms[n].compartment.npt : &vms[n].npt;
    CHECK(pagetable_map(t, gpa, HPA(hpa), size, access, PAGE_WB) == STATUS_OK);
}

static const char text[] = "[hypervisor]\n# a remark\n\n[guest.alpha]\r\ncpus = \"0\"\n"
                           "cmdline = \"quiet\"\n[wire.lan]\n[guest.beta]\ncpus = \"1\"";

static void start(const struct pagetable_format *format, enum audit_format audit) {
    static const struct log_hooks hooks = {now_us, no_cpu, hv_console_log, NULL};

    ops = (struct hvm_ops){.npt_format = format,
                           .audit_format = audit,
                           .msr_bit = audit == AUDIT_AMD ? amd_bit : intel_bit};
    hvm = &ops;
    fake_console_set_up(true, 0, 0);
    fake_machine_offs = 0;
    console_init(0x1d);
    log_init(&hooks, LOG_INFO);
    memset(memory, 0, sizeof(memory));
    memset(msr_map, 0xff, sizeof(msr_map));
    memset(port_map, 0xff, sizeof(port_map));
    pool_init(&pool, "test", phys_address(memory), sizeof(memory));
    memset(&plan, 0, sizeof(plan));
    memset(&info, 0, sizeof(info));
    info.plan = &plan;
    plan.vm_count = 2;
    plan.vms[0].region_count = plan.vms[1].region_count = 1;
    plan.vms[0].regions[0] = (struct plan_region){GPA(0), HPA(2 * GIB), 4 * MIB};
    plan.vms[0].config = plan.vms[1].config = &guest;
    add_vm(0, "alpha", &pool);
    add_vm(1, "beta", &pool);
    info.config_text = phys_address(text);
    info.config_size = strlen(text);
    info.config.guest_count = 2;
    info.config.wire_count = 1;
    info.config.guests[0].table_pos.line = 4;
    info.config.wires[0].table_pos.line = 7;
    info.config.guests[1].table_pos.line = 8;
    asked[0] = '\0';
}

static void go(void) {
    map_add(&info, 0, &vms[0]);
    map_add(&info, 1, &vms[1]);
    papers_init(&info);
    command_init(publics, 2);
    console_start(0);
}

static const struct {
    const struct pagetable_format *format;
    enum audit_format audit;
} vendors[] = {{&pagetable_format_ept, AUDIT_INTEL}, {&pagetable_format_amd, AUDIT_AMD}};

/* Pages of each size, joined where they go on; what differs in rights or place is a line apart. */
TEST(tables_are_told_as_they_are) {
    for (unsigned i = 0; i < ARRAY_SIZE(vendors); i++) {
        unsigned all = PAGE_READ | PAGE_WRITE | PAGE_EXECUTE;
        start(vendors[i].format, vendors[i].audit);
        map_range(0, false, 0, 2 * GIB, 4 * MIB, all);
        map_range(0, false, 4 * MIB, 2 * GIB + 4 * MIB, PAGE_SIZE, PAGE_READ);
        map_range(0, false, 4 * MIB + PAGE_SIZE, 3 * GIB, PAGE_SIZE, PAGE_READ);
        map_range(0, false, 8 * GIB, 16 * GIB, GIB, all);
        map_range(0, true, 0, 2 * GIB, 4 * MIB, PAGE_READ | PAGE_WRITE);
        map_range(0, true, BIT(39), GIB + 8 * PAGE_SIZE, 3 * PAGE_SIZE, PAGE_READ | PAGE_WRITE);
        go();
        CHECK_STR(answer_to("map alpha"),
                  "nobody: CPUs 2-3\n"
                  "alpha: CPUs 0\n"
                  "  guest       0x0-0x3fffff is 0x80000000-0x803fffff rwx  RAM\n"
                  "  guest       0x400000-0x400fff is 0x80400000-0x80400fff r--  NOT in the plan\n"
                  "  guest       0x401000-0x401fff is 0xc0000000-0xc0000fff r--  NOT in the plan\n"
                  "  guest       0x200000000-0x23fffffff is 0x400000000-0x43fffffff rwx  "
                  "NOT in the plan\n"
                  "  compartment 0x0-0x3fffff is 0x80000000-0x803fffff rw-  RAM\n"
                  "  compartment 0x8000000000-0x8000002fff is 0x40008000-0x4000afff rw-  "
                  "its own records\n"
                  "  ports       none\n"
                  "  MSRs read   none\n"
                  "  and written none\n");
        CHECK(strncmp(answer_to("map beta"), "beta: CPUs 1\n  ports", 20) == 0);
        CHECK_STR(answer_to("map gamma"), "no guest \"gamma\": see help and list [BH6102]\n");
        const char *both = strstr(answer_to("map"), "beta: CPUs 1\n");
        CHECK(both != NULL);
    }
}

TEST(windows_have_their_names) {
    static const struct {
        enum plan_window_kind kind;
        const char *name;
    } kinds[] = {
        {PLAN_IMAGE, "image of a disk"},
        {PLAN_PMEM, "image in memory"},
        {PLAN_STORE, "pages that a disk has written"},
        {PLAN_DEVICE, "registers of a device"},
        {PLAN_OURS, "channel with beta (vsock)"},
        {PLAN_THEIRS, "channel with beta (vsock)"},
    };
    start(&pagetable_format_ept, AUDIT_INTEL);
    plan.channel_count = 2;
    plan.channels[0] = (struct plan_channel){.base = HPA(0), .vms = {1, 1}};
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        hpa_t hpa = HPA(4 * GIB + i * 4 * MIB);
        if (kinds[i].kind == PLAN_THEIRS) {
            hpa = HPA(plan.channels[1].base.v + CHANNEL_HALF);
        } else if (kinds[i].kind == PLAN_OURS) {
            plan.channels[1] = (struct plan_channel){.base = hpa, .vms = {1, 0}, .use = PLAN_VSOCK};
        }
        plan.vms[0].windows[i] = (struct plan_window){GPA(i * GIB), hpa, PAGE_SIZE, kinds[i].kind};
        map_range(0, true, i * GIB, hpa.v, PAGE_SIZE, PAGE_READ);
    }
    plan.vms[0].window_count = ARRAY_SIZE(kinds);
    /* What lies after the last of each list is nobody's. */
    plan.channels[2] = (struct plan_channel){.base = plan.channels[1].base, .use = PLAN_PORT};
    plan.vms[0].windows[ARRAY_SIZE(kinds)] =
        (struct plan_window){GPA(0), HPA(4 * GIB), GIB, PLAN_DEVICE};
    plan.vms[0].regions[1] = (struct plan_region){GPA(0), HPA(5 * GIB), PAGE_SIZE};
    map_range(0, false, PCI_DEVICES, 5 * GIB, PAGE_SIZE, PAGE_READ | PAGE_WRITE);
    map_range(0, true, BIT(40), phys_address(plat_compartment_image).v, PAGE_SIZE, PAGE_READ);
    go();
    const char *at = answer_to("map alpha");
    const char *bar = strstr(at, "rw-  registers of a device\n");
    CHECK(bar != NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds) && at != NULL; i++) {
        at = strstr(at, kinds[i].name);
        CHECK(at != NULL);
    }
}

/* From the first page of each kind to its last, and not a page further. */
TEST(each_place_has_its_borders) {
    const uint64_t image = phys_address(plat_compartment_image).v,
                   end = PCI_MEMORY + PCI_MEMORY_SIZE;
    const uint64_t page = PAGE_SIZE;
    const struct {
        uint64_t gpa, hpa;
        const char *name;
    } places[] = {
        {0, 2 * GIB - page, "NOT in the plan"},
        {0, 2 * GIB, "RAM"},
        {0, 2 * GIB + 4 * MIB - page, "RAM"},
        {0, 2 * GIB + 4 * MIB, "NOT in the plan"},
        {0, GIB - page, "NOT in the plan"},
        {0, GIB, "its own records"},
        {0, GIB + 16 * MIB - page, "its own records"},
        {0, GIB + 16 * MIB, "NOT in the plan"},
        {0, image - page, "NOT in the plan"},
        {0, image, "the compartments' program"},
        {0, image + page, "NOT in the plan"},
        {PCI_MEMORY - page, 5 * GIB, "NOT in the plan"},
        {PCI_MEMORY, 5 * GIB, "registers of a device"},
        {end - page, 5 * GIB, "registers of a device"},
        {end, 5 * GIB, "NOT in the plan"},
        {8 * GIB - page, 5 * GIB, "NOT in the plan"},
        {8 * GIB, 5 * GIB, "registers of a device"}, /* large ones */
        {9 * GIB - page, 5 * GIB, "registers of a device"},
        {9 * GIB, 5 * GIB, "NOT in the plan"},
        {8 * GIB, GIB, "its own records"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char want[64];
        start(&pagetable_format_ept, AUDIT_INTEL);
        plan.vms[0].pci_high = GPA(8 * GIB);
        plan.vms[0].pci_high_size = GIB;
        map_range(0, false, places[i].gpa, places[i].hpa, page, PAGE_READ);
        go();
        snprintf(want, sizeof(want), " r--  %s\n", places[i].name);
        CHECK(strstr(answer_to("map alpha"), want) != NULL);
    }
}

TEST(what_bitmaps_let_pass) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    port_map[0x60 / 8] = 0xfe;   /* 60h */
    port_map[0x8000 / 8] = 0xfc; /* 8000h, 8001h */
    port_map[0xffff / 8] = 0x7f;
    msr_map[0x10 / 8] = 0xfe;      /* reading 10h */
    msr_map[0x400 / 8 - 1] = 0x7f; /* 3ffh and 400h, over the end of a piece */
    msr_map[0x400 / 8] = 0xfe;
    msr_map[0x400 + 0x80 / 8] = 0xf9;  /* reading c0000081h, c0000082h */
    msr_map[0xc00 + 0x102 / 8] = 0xfb; /* writing c0000102h */
    go();
    const char *seen = answer_to("map alpha");
    CHECK(strstr(seen, "  ports       0x60 0x8000-0x8001 0xffff\n") != NULL);
    CHECK(strstr(seen, "  MSRs read   0x10 0x3ff 0x400 0xc0000081-0xc0000082\n") != NULL);
    CHECK(strstr(seen, "  and written 0xc0000102\n") != NULL);
    memset(msr_map, 0x55, sizeof(msr_map)); /* each second one: many lines, and none is lost */
    unsigned count = 0;
    for (const char *at = strstr(answer_to("map alpha"), "MSRs read"); at != NULL; count++) {
        at = strstr(at + 1, " 0x");
    }
    CHECK_U64(count, 1 + 2 * 2 * 0x2000 / 2);
}

static void let_pass(const uint32_t *msrs, unsigned count) {
    memset(msr_map, 0xff, sizeof(msr_map));
    for (unsigned i = 0; i < count; i++) {
        for (unsigned write = 0; write < 2; write++) {
            int bit = ops.msr_bit(msrs[i], write != 0);
            msr_map[bit / 8] &= (uint8_t) ~(1u << bit % 8);
        }
    }
}

/* The first and the last of each row of MSRs that a vendor's bitmap has. */
TEST(rows_of_msrs_have_their_borders) {
    static const uint32_t borders[] = {0, 0x1fff, 0xc0000000, 0xc0001fff, 0xc0010000, 0xc0011fff};
    start(&pagetable_format_ept, AUDIT_INTEL);
    let_pass(borders, 4);
    go();
    CHECK(strstr(answer_to("map alpha"), "MSRs read   0 0x1fff 0xc0000000 0xc0001fff\n"
                                         "  and written 0 0x1fff 0xc0000000 0xc0001fff\n") != NULL);
    start(&pagetable_format_amd, AUDIT_AMD);
    let_pass(borders, 6);
    go();
    CHECK(strstr(answer_to("map alpha"), "  MSRs read   0 0x1fff 0xc0000000 0xc0001fff 0xc0010000\n"
                                         "  MSRs read   0xc0011fff\n"
                                         "  and written 0 0x1fff 0xc0000000 0xc0001fff 0xc0010000\n"
                                         "  and written 0xc0011fff\n") != NULL);
}

/* As many numbers as leave room for the longest range; after a line that is full comes no "none".
 */
TEST(lines_of_numbers_are_full) {
    static const uint32_t msrs[] = {0x10, 0x12, 0x14, 0x16, 0x18, 0x1a, 0x1c, 0x1e, 0x20};
    start(&pagetable_format_ept, AUDIT_INTEL);
    let_pass(msrs, ARRAY_SIZE(msrs));
    go();
    CHECK(strstr(answer_to("map alpha"),
                 "  ports       none\n"
                 "  MSRs read   0x10 0x12 0x14 0x16 0x18 0x1a 0x1c 0x1e 0x20\n"
                 "  and written 0x10 0x12 0x14 0x16 0x18 0x1a 0x1c 0x1e 0x20\n") != NULL);
}

TEST(devices_and_wires) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    info.pci[3] = (struct boot_pci){.function = 0x0300, .vendor = 0x8086, .device = 0x10d3};
    plan.vms[1].pci_count = 1;
    plan.vms[1].pcis[0] = 3;
    publics[1].wire_count = 2;
    publics[1].links = 2;
    strcpy(publics[1].wires[0], "lan");
    strcpy(publics[1].wires[1], "dmz");
    go();
    const char *seen = answer_to("map beta");
    CHECK(strstr(seen, "  device      03:00.0 8086:10d3\n"
                       "  wire        lan, link down\n"
                       "  wire        dmz, link up\n") != NULL);
}

TEST(the_config_in_force) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    go();
    CHECK_STR(answer_to("config"),
              "# as it was read at this start; a changed file counts from the next one\n"
              "[hypervisor]\n# a remark\n\n[guest.alpha]\ncpus = \"0\"\n"
              "cmdline = \"quiet\"\n[wire.lan]\n[guest.beta]\ncpus = \"1\"\n");
    publics[0].state = publics[1].state = VM_OFF;
    const char *seen = answer_to("inspect alpha");
    CHECK(strstr(seen, "1 alpha") == seen);
    CHECK(strstr(seen, "\n[guest.alpha]\ncpus = \"0\"\ncmdline = \"quiet\"\nnobody: CPUs") != NULL);
    CHECK(strstr(seen, "alpha: CPUs 0\n  ports") != NULL);
    CHECK(strstr(seen, "alpha is off: it has no registers [BH6113]\n") != NULL);
    CHECK(strstr(answer_to("inspect beta"), "[guest.beta]\ncpus = \"1\"\nbeta: CPUs 1\n") != NULL);
    CHECK_STR(answer_to("inspect"), "usage: inspect NAME [BH6103]\n");
}

/* Not a byte beyond what was read; a long line comes in pieces. */
TEST(long_and_missing_texts) {
    static char lines[1024];
    start(&pagetable_format_ept, AUDIT_INTEL);
    info.config_size = 0;
    go();
    CHECK_STR(answer_to("config"),
              "# as it was read at this start; a changed file counts from the next one\n");
    memset(lines, 'x', sizeof(lines));
    lines[700] = '\n';
    info.config_text = phys_address(lines);
    info.config_size = 800;
    papers_init(&info);
    const char *seen = strchr(answer_to("config"), '\n') + 1;
    CHECK_U64(strspn(seen, "x"), 700);
    CHECK_U64(strspn(seen + 701, "x"), 99);
    CHECK_STR(seen + 800, "\n");
}

TEST(power_off_waits_for_the_guests) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    go();
    obey = false;
    fake_can_switch_off = true;
    CHECK_STR(answer_to("poweroff"),
              "2 guests run and would be switched off by the power button, or by force in the end: "
              "\"poweroff yes\" does it [BH6110]\n");
    CHECK_STR(asked, "");
    publics[1].state = VM_OFF;
    type("poweroff yes\r");
    fake_pass(2000000);
    CHECK_STR(asked, "stop alpha\n");
    CHECK_U64(fake_machine_offs, 0);
    publics[0].state = VM_RUNNING; /* it has started again by itself */
    fake_pass(100000);
    CHECK_STR(asked, "stop alpha\nstop alpha\n");
    publics[0].orders = 1;
    publics[0].state = VM_OFF; /* and has more to do */
    fake_pass(1000000);
    CHECK_U64(fake_machine_offs, 0);
    publics[0].orders = 0;
    fake_line_take();
    fake_pass(200000);
    CHECK_U64(fake_machine_offs, 0); /* the line has time for what it says */
    CHECK(strstr(fake_line_take(), "switching the machine off at the operator's request") != NULL);
    fake_pass(1000000);
    CHECK_U64(fake_machine_offs, 1);
    CHECK(strstr(fake_line_take(), "could not be switched off: use its power button") != NULL);
}

TEST(power_off_can_be_called_off) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    go();
    obey = false;
    fake_can_switch_off = true;
    fake_line_take();
    type("poweroff yes\r");
    fake_pass(100000);
    CHECK(strstr(fake_line_take(), "any key leaves the machine on") != NULL);
    type("q");
    fake_pass(100000);
    CHECK(strstr(fake_line_take(), "the machine stays on") != NULL);
    publics[0].state = publics[1].state = VM_OFF;
    fake_pass(3000000);
    CHECK_U64(fake_machine_offs, 0);
}

TEST(a_machine_that_cannot_be_switched_off) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    go();
    obey = true;
    fake_can_switch_off = false;
    CHECK(strstr(answer_to("poweroff yes"), "does not say how to switch it off: use its power "
                                            "button") != NULL);
    CHECK_STR(asked, "stop alpha\nstop beta\n");
    CHECK_U64(fake_machine_offs, 0);
    fake_can_switch_off = true;
    (void)answer_to("poweroff"); /* nobody runs any more: no second word */
    CHECK_U64(fake_machine_offs, 1);
}

/* So that they are out on a slow line: 300 ms, and not a tick less. */
TEST(the_last_words_have_their_time) {
    start(&pagetable_format_ept, AUDIT_INTEL);
    go();
    publics[0].state = publics[1].state = VM_OFF;
    fake_can_switch_off = true;
    CHECK_U64(poweroff_show(publics, 2, 0), SHOW_PRINTED);
    CHECK_U64(poweroff_show(publics, 2, 1), SHOW_WAIT);
    fake_tsc += plat_tsc_hz() * 3 / 10 - 1;
    CHECK_U64(poweroff_show(publics, 2, 1), SHOW_WAIT);
    CHECK_U64(fake_machine_offs, 0);
    fake_tsc++;
    CHECK_U64(poweroff_show(publics, 2, 1), SHOW_END);
    CHECK_U64(fake_machine_offs, 1);
}

TEST_MAIN(T(the_last_words_have_their_time), T(rows_of_msrs_have_their_borders),
          T(lines_of_numbers_are_full), T(tables_are_told_as_they_are), T(windows_have_their_names),
          T(each_place_has_its_borders), T(what_bitmaps_let_pass), T(devices_and_wires),
          T(the_config_in_force), T(long_and_missing_texts), T(power_off_waits_for_the_guests),
          T(power_off_can_be_called_off), T(a_machine_that_cannot_be_switched_off))
