/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start as a list: every step is a fake that writes down its name. What comes before what, what
 * is told, and that each step which fails is the machine's end.
 */
#include <setjmp.h>

#include "hv/abi/channel.h"
#include "hv/exit/exit.h"
#include "hv/exit/policy.h"
#include "hv/lib/phys.h"
#include "hv/monitor/audit_vm.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "hv/monitor/keys.h"
#include "hv/monitor/map.h"
#include "hv/monitor/papers.h"
#include "hv/vm/health.h"
#include "hv/vm/plat.h"
#include "tests/unit/test.h"

static char steps[1024];    /* one word each */
static const char *failing; /* the step that fails, or NULL */
static char logged[4096];
static jmp_buf stopped;
static char panic_text[128];

static struct config_guest guests[2];
static struct plan plan;
static struct boot_info info;
static struct vm vms[2];

struct vcpu *vcpu_of_cpu[CONFIG_MAX_CPUS];

static enum status step(const char *word, const char *of) {
    size_t n = strlen(steps);
    snprintf(steps + n, sizeof(steps) - n, "%s%s%s\n", word, of[0] == '\0' ? "" : " ", of);
    return failing != NULL && strcmp(failing, word) == 0 ? STATUS_INVALID : STATUS_OK;
}

static ALIGNED(PAGE_SIZE) uint8_t channel[2 * CHANNEL_HALF];

static const char *owner_of(hpa_t budget) {
    if (budget.v == (uintptr_t)channel) {
        return "channel";
    }
    return budget.v == plan.vms[0].budget_base.v ? "alpha" : "beta";
}

/* ---- the steps ---- */

enum status hvm_probe(const struct boot_info *i) {
    CHECK(i == &info);
    return step("probe", "");
}

enum status plan_check(const struct boot_info *i, const struct plan *p,
                       void (*report)(const char *text)) {
    CHECK(i == &info && p == &plan);
    enum status result = step("check", "");
    if (result != STATUS_OK) {
        report("what is wrong");
    }
    return result;
}

void plat_open(hpa_t base, uint64_t size) {
    CHECK_U64(size, base.v == (uintptr_t)channel ? 2 * CHANNEL_HALF : MIB);
    (void)step("open", owner_of(base));
}

void plat_close(hpa_t base, uint64_t size) {
    CHECK_U64(size, base.v == (uintptr_t)channel ? 2 * CHANNEL_HALF : MIB);
    (void)step("close", owner_of(base));
}

enum status vm_create(const struct plan_vm *p, struct vm_public *public, struct vm **out) {
    struct vm *vm = &vms[p - plan.vms];
    *vm = (struct vm){.plan = p, .public = public};
    vm->vcpu_count = p->cpu_count;
    strcpy(vm->name, p->config->name);
    strcpy(public->name, p->config->name);
    *out = vm;
    return step("create", vm->name);
}

void cpuid_init(struct vcpu *v) {
    bool first = v == vms[0].vcpus || v == vms[1].vcpus;
    (void)step("cpuid", first ? "0" : "1");
}

enum status audit_vm(const struct boot_info *i, const struct vm *vm) {
    CHECK(i == &info);
    return step("audit", vm->name);
}

enum status audit_vm_again(UNUSED const struct vm *vm, UNUSED struct audit_progress *at,
                           UNUSED uint32_t count) {
    return STATUS_OK;
}
enum status (*vm_audit_again)(const struct vm *vm, struct audit_progress *at, uint32_t count);

enum status vm_keep_plan(struct vm *vm) {
    return step("keep", vm->name);
}

void plat_add_vm(const struct plan_vm *p, const struct vm_public *public, struct pool *pool) {
    struct vm *vm = &vms[p - plan.vms];
    CHECK(public == vm->public && pool == &vm->pool);
    (void)step("add", vm->name);
}

/* While its records and boot_info are mapped. */
void map_add(const struct boot_info *i, unsigned number, const struct vm *vm) {
    CHECK(i == &info && vm == &vms[number]);
    (void)step("map", vm->name);
}

void health_init(const struct boot_info *i) {
    CHECK(i == &info);
    (void)step("health", "");
}

void papers_init(const struct boot_info *i) {
    CHECK(i == &info);
    (void)step("papers", "");
}

void policy_print(void) {
    (void)step("policy", "");
}

void keys_init(enum config_keyboard layout) {
    CHECK_U64(layout, KEYBOARD_DE);
    (void)step("keys", "");
}

void command_init(struct vm_public *all, uint32_t count) {
    CHECK_U64(count, plan.vm_count);
    CHECK_STR(all[1].name, "beta");
    (void)step("command", all[0].name);
}

void console_add_vm(struct vm_public *vm) {
    (void)step("view", vm->name);
}

static bool shared;
void console_share(void) {
    shared = true;
}

void console_start(unsigned index) {
    (void)step("focus", (const char *[]){"0", "1", "2"}[index]);
}

void plat_seal(void) {
    (void)step("seal", "");
}

void plat_panic(const char *format, ...) {
    snprintf(panic_text, sizeof(panic_text), "%s", format);
    longjmp(stopped, 1);
}

void life_run(struct vcpu *v) {
    CHECK(v == &vms[0].vcpus[1]);
    (void)step("run", "");
    longjmp(stopped, 1);
}

void life_stay_out(struct vcpu *v) {
    (void)step("out", v == NULL ? "nobody" : "vcpu");
    longjmp(stopped, 1);
}

static enum status cpu_on(void) {
    return step("on", "");
}

/* ---- the log ---- */

static uint64_t now_us(void) {
    return 0;
}

static unsigned no_cpu(void) {
    return 0;
}

static void keep_line(enum log_level level, const char *line, size_t length) {
    size_t n = strlen(logged);
    (void)level;
    snprintf(logged + n, sizeof(logged) - n, "%.*s", (int)length, strstr(line, ": ") + 2);
}

/* ---- */

static void prepare(const char *fails) {
    static struct hvm_ops ops = {.name = "fake", .cpu_on = cpu_on};
    static const struct log_hooks hooks = {now_us, no_cpu, keep_line, NULL};
    hvm = &ops;
    failing = fails;
    steps[0] = logged[0] = panic_text[0] = '\0';
    log_init(&hooks, LOG_INFO);
    strcpy(guests[0].name, "alpha");
    strcpy(guests[1].name, "beta");
    guests[0].cpus = (struct cpu_set){.bits = {BIT(1) | BIT(2)}};
    guests[1].cpus = (struct cpu_set){.bits = {BIT(3)}};
    guests[0].start_auto = guests[1].start_auto = true;
    plan = (struct plan){.vm_count = 2};
    plan.vms[0] = (struct plan_vm){
        .config = &guests[0],
        .cpu_count = 2,
        .region_count = 2,
        .regions = {{GPA(0), HPA(16 * MIB), 64 * MIB}, {GPA(64 * MIB), HPA(4 * GIB), GIB}},
        .budget_base = HPA(MIB),
        .budget_size = MIB};
    plan.vms[1] = (struct plan_vm){.config = &guests[1],
                                   .cpu_count = 1,
                                   .region_count = 1,
                                   .regions = {{GPA(0), HPA(128 * MIB), 32 * MIB}},
                                   .budget_base = HPA(2 * MIB),
                                   .budget_size = MIB};
    info = (struct boot_info){
        .plan = &plan, .inputs = BOOT_INPUT_SERIAL, .config.keyboard = KEYBOARD_DE};
}

/* Returns whether it came to its end. */
static bool start(void) {
    if (setjmp(stopped) != 0) {
        return false;
    }
    hv_start(&info);
    return true;
}

TEST(each_step_in_its_place) {
    prepare(NULL);
    CHECK(start());
    CHECK_STR(
        steps,
        "probe\ncheck\n"
        "open alpha\ncreate alpha\naudit alpha\nmap alpha\nkeep alpha\n"
        "add alpha\nclose alpha\n"
        "open beta\ncreate beta\naudit beta\nmap beta\nkeep beta\n"
        "add beta\nclose beta\n"
        "policy\nhealth\npapers\nkeys\ncommand alpha\nview alpha\nview beta\nfocus 1\nseal\n");
    CHECK_STR(logged, "every guest its own compartment\n"
                      "partition:\n"
                      "  owner            cpus       memory   host memory\n"
                      "  alpha            1-2        64M      0x1000000-0x4ffffff\n"
                      "  alpha            1-2        1G       0x100000000-0x13fffffff\n"
                      "  bulkhead                    1M       0x100000-0x1fffff (tables of alpha)\n"
                      "  beta             3          32M      0x8000000-0x9ffffff\n"
                      "  bulkhead                    1M       0x200000-0x2fffff (tables of beta)\n"
                      "audit passed, machine divided between 2 guests\n");
}

/* What the firmware left in a channel is told to nobody; who has what is. */
TEST(channels_begin_empty) {
    char words[200];
    uintptr_t at = (uintptr_t)channel;
    prepare(NULL);
    plan.channel_count = 1;
    plan.channels[0] = (struct plan_channel){.base = HPA(at), .vms = {0, 1}};
    plan.vms[0].window_count = 4;
    plan.vms[0].windows[0] = (struct plan_window){GPA(4 * GIB), HPA(GIB), MIB, PLAN_IMAGE};
    plan.vms[0].windows[1] = (struct plan_window){GPA(5 * GIB), HPA(2 * GIB), 2 * MIB, PLAN_PMEM};
    plan.vms[0].windows[2] = (struct plan_window){GPA(6 * GIB), HPA(3 * GIB), MIB, PLAN_STORE};
    plan.vms[0].windows[3] = (struct plan_window){GPA(7 * GIB), HPA(at), CHANNEL_HALF, PLAN_OURS};
    memset(channel, 0xa5, sizeof(channel));
    CHECK(start());
    CHECK(strstr(steps, "check\nopen channel\nclose channel\nopen alpha\n") != NULL);
    CHECK(channel[0] == 0 && memcmp(channel, channel + 1, sizeof(channel) - 1) == 0);
    snprintf(words, sizeof(words),
             "channel                     520K     %#llx-%#llx (alpha, beta)\n",
             (unsigned long long)at, (unsigned long long)at + sizeof(channel) - 1);
    CHECK(strstr(logged, words) != NULL);
    CHECK(strstr(logged, "1M       0x40000000-0x400fffff (disk, read-only)\n") != NULL);
    CHECK(strstr(logged, "2M       0x80000000-0x801fffff (image in memory, read-only)\n") != NULL);
    CHECK(strstr(logged, "1M       0xc0000000-0xc00fffff (disk, its own pages)\n") != NULL);
    CHECK(strstr(logged, "1c0000000") == NULL);
}

TEST(the_first_that_starts_by_itself_has_the_focus) {
    prepare(NULL);
    guests[0].start_auto = false;
    CHECK(start());
    CHECK(strstr(steps, "focus 2\n") != NULL);
    prepare(NULL);
    guests[0].start_auto = guests[1].start_auto = false;
    CHECK(start());
    CHECK(strstr(steps, "focus 0\n") != NULL);
}

TEST(no_way_to_type_is_said) {
    static const struct {
        uint32_t inputs;
        bool said;
    } cases[] = {
        {0, true},
        {BOOT_INPUT_USB_OTHER, true}, /* the firmware's alone */
        {BOOT_INPUT_USB, false},
        {BOOT_INPUT_SERIAL, false},
        {BOOT_INPUT_PS2, false},
        {BOOT_INPUT_SERIAL | BOOT_INPUT_PS2 | BOOT_INPUT_USB, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        prepare(NULL);
        info.inputs = cases[i].inputs;
        shared = false;
        CHECK(start());
        CHECK_U64(shared, cases[i].said);
        CHECK_U64(strstr(logged, "nobody can type here") != NULL, cases[i].said);
    }
}

/* Nothing that comes after it is done. */
TEST(what_fails_is_the_end) {
    static const char *const steps_that_fail[] = {"probe", "check", "create", "audit", "keep"};
    for (size_t i = 0; i < ARRAY_SIZE(steps_that_fail); i++) {
        char last[32];
        prepare(steps_that_fail[i]);
        CHECK(!start());
        CHECK(panic_text[0] != '\0');
        snprintf(last, sizeof(last), i < 2 ? "%s\n" : "%s alpha\n", steps_that_fail[i]);
        CHECK(strlen(steps) >= strlen(last));
        CHECK_STR(steps + strlen(steps) - strlen(last), last);
    }
    prepare("check");
    CHECK(!start());
    CHECK(strstr(logged, "error: partition: what is wrong [BH5014]\n") != NULL);
    prepare(NULL);
    info.plan = NULL;
    CHECK(!start());
    CHECK_STR(steps, "probe\n");
}

static const char *main_of(unsigned cpu) {
    if (setjmp(stopped) == 0) {
        hv_cpu_main(cpu);
    }
    return steps;
}

TEST(what_each_cpu_does) {
    prepare(NULL);
    vcpu_of_cpu[3] = &vms[0].vcpus[1];
    CHECK_STR(main_of(3), "on\ncpuid 1\nrun\n");
    prepare(NULL);
    CHECK_STR(main_of(2), "on\nout nobody\n");
    prepare("on");
    CHECK_STR(main_of(3), "on\nout vcpu\n");
    CHECK_STR(logged, "error: cpu 3 stays out of use: fake could not be switched on [BH6002]\n");
}

TEST_MAIN(T(each_step_in_its_place), T(channels_begin_empty),
          T(the_first_that_starts_by_itself_has_the_focus), T(no_way_to_type_is_said),
          T(what_fails_is_the_end), T(what_each_cpu_does))
