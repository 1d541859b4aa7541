/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine and a virtualization vendor in a process: hv/vm/plat.h and struct hvm_ops over plain
 * variables, and one VM with 8 MiB of malloc'ed RAM. Included by the tests of hv/vm and hv/exit.
 */
#ifndef TESTS_UNIT_FAKE_MACHINE_H
#define TESTS_UNIT_FAKE_MACHINE_H

#include "guest_ram.h"
#include "hv/abi.h"
#include "hv/compartment/entry/entry.h"
#include "hv/compartment/entry/hardware.h"
#include "hv/exit/exit.h"
#include "hv/exit/hardware.h"
#include "hv/exit/policy.h"
#include "hv/lib/phys.h"
#include "hv/vm/devices.h"
#include "hv/vm/mce.h"
#include "hv/vm/memory.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall_make.h"
#include "test.h"

#define FAKE_RAM    (8 * MIB)
#define FAKE_BUDGET (5 * MIB)
#define FAKE_HZ     1000000000ull

static uint64_t fake_tsc, fake_deadline;
static unsigned fake_kicks, fake_cpu;
static uint64_t fake_kicked; /* which CPUs */
static uint64_t fake_kicked; /* a bit for each CPU that was kicked; for the test to clear */
static uint64_t fake_regs[HVM_REG_COUNT];
static struct hvm_segment fake_segs[HVM_SEG_COUNT];
static bool fake_can_interrupt, fake_window_interrupt, fake_window_nmi, fake_flushed;
/* The CPU's own NMI blocking: fake_enter() begins it, and an IRET, which is the test's, ends it. */
static bool fake_nmi_blocked;
static void (*fake_on_timer_set)(void), (*fake_on_reset)(void); /* what happens meanwhile */
static char fake_console[4096];
static size_t fake_console_length;

/* A header, and one page each of code, constants, data and zeroes; the data begins with 42h. */
#define FAKE_PROGRAM_DATA 0x2000
const uint8_t plat_compartment_image[0x3000] ALIGNED(PAGE_SIZE) = {
    'c',         'm',         'p',         'a',         'r',
    'p',         'm',         't',         [9] = 0x08,  [17] = 0x09,
    [25] = 0x10, [33] = 0x20, [41] = 0x30, [49] = 0x40, [FAKE_PROGRAM_DATA] = 0x42};

uint64_t plat_tsc(void) {
    return fake_tsc;
}
uint64_t plat_tsc_hz(void) {
    return FAKE_HZ;
}
uint64_t plat_wall_seconds(void) {
    return 1000000000;
}
void plat_timer_set(uint64_t tsc_deadline) {
    fake_deadline = tsc_deadline;
    if (fake_on_timer_set != NULL) {
        fake_on_timer_set();
    }
}
unsigned plat_cpu(void) {
    return fake_cpu;
}
unsigned plat_cpu_count(void) {
    return 2;
}
static uint64_t fake_absent_cpus;
bool plat_cpu_online(unsigned cpu) {
    return (fake_absent_cpus >> cpu & 1) == 0;
}
static hpa_t fake_windows[WINDOWS]; /* what each shows; 0 = it is closed */
void *plat_window_open(enum plat_window which, hpa_t at, uint64_t size) {
    CHECK(size != 0 && size <= PLAT_WINDOW_SIZE && fake_windows[which].v == 0);
    fake_windows[which] = at;
    return phys_pointer(at);
}
void plat_window_close(enum plat_window which, hpa_t at, UNUSED uint64_t size) {
    CHECK(which == WINDOW_KEPT || fake_windows[which].v == at.v);
    fake_windows[which] = HPA(0);
}
static unsigned fake_audits;
void plat_audit(void) {
    for (unsigned w = 0; w < WINDOWS; w++) {
        CHECK_U64(fake_windows[w].v, 0);
    }
    fake_audits++;
}
/* In two parts. */
bool plat_audit_part(struct host_view *view, UNUSED uint32_t steps) {
    CHECK(fake_windows[WINDOW_READ].v == 0 && fake_windows[WINDOW_WRITE].v == 0);
    CHECK(!view->through);
    view->through = view->next != 0;
    view->next++;
    fake_audits += view->through;
    return view->through;
}
void plat_kick(unsigned cpu) {
    fake_kicked |= BIT(cpu);
    fake_kicks++;
}
static uint64_t fake_posted; /* CPUs that were told to look into their descriptors */
void plat_post(unsigned cpu) {
    fake_posted |= BIT(cpu);
}
uint64_t plat_post_word(unsigned cpu) {
    return (cpu + 5ull) << 32;
}
static unsigned fake_interrupts_taken;
static void (*fake_interrupt)(void);
void plat_take_interrupts(void) {
    fake_interrupts_taken++;
    if (fake_interrupt != NULL) {
        fake_interrupt();
    }
}
static void (*fake_wait)(void); /* what happens meanwhile */
void plat_wait(void) {
    if (fake_wait == NULL) {
        abort(); /* a test that halts for ever */
    }
    fake_wait();
}
static uint32_t fake_last_extended = 0x80000021;
static uint32_t fake_xcr0_missing;
static bool fake_rdrand_missing;
static uint32_t fake_signature = UINT32_MAX, fake_core = UINT32_MAX, fake_cache_sets = UINT32_MAX;
static uint32_t fake_avx_size = 256, fake_pkru_flags; /* of XSAVE's components 2 and 9 */
void plat_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    bool has_subleaves =
        leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f || leaf == 0x8000001d;
    CHECK(subleaf == 0 || has_subleaves);
    for (unsigned i = 0; i < 4; i++) {
        out[i] = UINT32_MAX; /* a CPU with everything */
    }
    if (leaf == 1 && fake_rdrand_missing) {
        out[2] &= ~BIT32(30);
    }
    if (leaf == 1 || leaf == 0x1a) {
        out[0] = leaf == 1 ? fake_signature : fake_core;
    }
    if (leaf == 0xd) {
        const uint32_t sizes[] = {0x207, 2, fake_avx_size, 0, 0, 0, 0, 0, 0, 8};
        out[0] = subleaf < ARRAY_SIZE(sizes) ? sizes[subleaf] & ~fake_xcr0_missing : 0;
        out[1] = subleaf == 2 ? 576 : subleaf == 9 ? 2688 : 0;
        out[2] = subleaf == 9 ? fake_pkru_flags : 0;
    }
    if (leaf == 4 || leaf == 0x8000001d) { /* L1 data, L1 code, L2, L3 */
        static const uint32_t caches[] = {1 << 5 | 1, 1 << 5 | 2, 2 << 5 | 3, 3 << 5 | 3};
        out[0] = subleaf < 4 ? caches[subleaf] | 0xffffc000 : 0;
        out[2] = fake_cache_sets;
    }
    if (leaf == 0x80000000) {
        out[0] = fake_last_extended;
    }
    if (leaf >= 0x80000002 && leaf <= 0x80000004) {
        out[0] = leaf; /* a part of its name */
    }
    if (leaf > fake_last_extended || leaf >> 30 == 1) {
        memset(out, 0, 4 * sizeof(out[0]));
    }
    if (leaf == 0x80000008) {
        out[0] = 39 | 57 << 8 | 48 << 16;
    }
}
static uint64_t fake_xcr0 = 1;
static uint32_t fake_pkru;
uint32_t plat_pkru(void) {
    return fake_pkru;
}
uint64_t plat_xgetbv(void) {
    return fake_xcr0;
}
bool plat_xsetbv(uint64_t xcr0) {
    fake_xcr0 = (xcr0 & 1) != 0 ? xcr0 : fake_xcr0;
    return (xcr0 & 1) != 0;
}
static unsigned fake_live_resets;
void plat_reset_live_state(void) {
    fake_live_resets++;
}
static unsigned fake_traces_cleared;
void plat_clear_traces(void) {
    fake_traces_cleared++;
}
static uint64_t fake_vectors[16][2];
void plat_live_save(void *page) {
    memcpy(page, fake_vectors, sizeof(fake_vectors));
}
void plat_live_load(const void *page) {
    memcpy(fake_vectors, page, sizeof(fake_vectors));
}
void plat_vector_read(unsigned reg, uint64_t out[2]) {
    memcpy(out, fake_vectors[reg], sizeof(fake_vectors[reg]));
}
void plat_vector_write(unsigned reg, const uint64_t in[2]) {
    memcpy(fake_vectors[reg], in, sizeof(fake_vectors[reg]));
}
void plat_scrub(void *at, size_t size) {
    memset(at, 0, size);
}
static uint64_t fake_spec_ctrl, fake_spec_ctrl_refused; /* value; bits that the CPU has not */
bool plat_spec_ctrl_set(uint64_t value) {
    if ((value & fake_spec_ctrl_refused) != 0) {
        return false;
    }
    fake_spec_ctrl = value;
    return true;
}
/* Real devices: configuration spaces are the test's; NULL = there are none. What may reach memory,
 * by function: a domain, or FAKE_NOTHING; what the last interrupt to be allowed was. */
#define FAKE_PCI_FUNCTIONS 16u
#define FAKE_DOMAIN        5u
#define FAKE_NOTHING       UINT32_MAX
static uint32_t (*fake_pci_get)(uint32_t function, uint32_t reg);
static void (*fake_pci_put)(uint32_t function, uint32_t reg, uint32_t value);
static enum status fake_dma_status, fake_irq_status;
static void (*fake_on_dma)(uint32_t function, bool allow); /* before it is changed */
static uint32_t fake_dma[FAKE_PCI_FUNCTIONS];
static unsigned fake_irq_cpu, fake_irq_count;
uint32_t plat_pci_read(uint32_t function, uint32_t reg) {
    CHECK(reg % 4 == 0 && reg < 256);
    return fake_pci_get != NULL ? fake_pci_get(function, reg) : UINT32_MAX;
}
void plat_pci_write(uint32_t function, uint32_t reg, uint32_t value) {
    CHECK(reg % 4 == 0 && reg < 256);
    if (fake_pci_put != NULL) {
        fake_pci_put(function, reg, value);
    }
}
enum status plat_dma_make(UNUSED const struct plan_vm *plan, UNUSED const char *name,
                          UNUSED struct pool *pool, uint32_t *domain) {
    *domain = FAKE_DOMAIN;
    return fake_dma_status;
}
enum status plat_dma_allow(uint32_t function, uint32_t domain, bool allow) {
    CHECK(function < FAKE_PCI_FUNCTIONS && domain == FAKE_DOMAIN);
    if (fake_on_dma != NULL) {
        fake_on_dma(function, allow);
    }
    fake_dma[function] = allow ? domain : FAKE_NOTHING;
    return fake_dma_status;
}
static bool fake_irq_posts; /* the IOMMU can */
static unsigned fake_irq_writes;
bool plat_irq_posts(void) {
    return fake_irq_posts;
}
enum status plat_irq_allow(struct plat_irq *irq, uint32_t function, unsigned number,
                           const struct plat_aim *aim) {
    CHECK(number < PLAT_IRQS);
    fake_irq_writes++;
    irq->settled = fake_irq_status == STATUS_OK;
    if (fake_irq_status == STATUS_OK || fake_irq_status == STATUS_TIMEOUT) {
        irq->index = irq->made ? irq->index : (uint16_t)fake_irq_count++;
        irq->made = true;
        irq->function = function;
        irq->aim = *aim;
        irq->address = 0xfee00000 | function;
        irq->data = number;
        fake_irq_cpu = aim->cpu;
    }
    return fake_irq_status;
}
static struct mce fake_mce;
static unsigned fake_mces_cleared;
void plat_mce_read(struct mce *out) {
    *out = fake_mce;
}
void plat_mce_clear(UNUSED const struct mce *m) {
    fake_mces_cleared++;
}
NORETURN void plat_panic(const char *format, ...) {
    printf("# panic: %s\n", format);
    abort();
}

static enum status fake_vcpu_init(struct vcpu *v) {
    (void)v;
    return STATUS_OK;
}
static void fake_vcpu_reset(struct vcpu *v) {
    (void)v;
    fake_nmi_blocked = false;
    if (fake_on_reset != NULL) {
        fake_on_reset();
    }
}
static void fake_inject(struct vcpu *v) {
    (void)v;
}
static bool fake_can(struct vcpu *v, bool nmi) {
    (void)v;
    return nmi ? !fake_nmi_blocked : fake_can_interrupt;
}
static unsigned fake_shadows_ended;
static void fake_end_shadow(struct vcpu *v) {
    (void)v;
    fake_shadows_ended++;
}
static bool fake_enterable;
static const char *fake_refusal(struct vcpu *v) {
    (void)v;
    return "the test's rule";
}
static bool fake_make_enterable(struct vcpu *v) {
    (void)v;
    return fake_enterable;
}
static void fake_window(struct vcpu *v, bool interrupt, bool nmi) {
    (void)v;
    fake_window_interrupt = interrupt;
    fake_window_nmi = nmi;
}
/* What an entry and the exit after it do to the event that was queued. It is returned. */
static inline struct event fake_enter(struct vcpu *v) {
    struct event e = v->event;
    fake_nmi_blocked |= e.type == EVENT_NMI;
    v->event.type = EVENT_NONE;
    return e;
}
static uint64_t fake_get(struct vcpu *v, enum hvm_reg r) {
    (void)v;
    return fake_regs[r];
}
/* What was set since the test last cleared them, one bit each. */
static uint32_t fake_regs_set, fake_segs_set;
static void fake_set(struct vcpu *v, enum hvm_reg r, uint64_t value) {
    (void)v;
    fake_regs[r] = value;
    fake_regs_set |= BIT32(r);
}
static void fake_set_segment(struct vcpu *v, enum hvm_seg s, const struct hvm_segment *in) {
    (void)v;
    fake_segs[s] = *in;
    fake_segs_set |= BIT32(s);
}
static void fake_get_segment(struct vcpu *v, enum hvm_seg s, struct hvm_segment *out) {
    (void)v;
    *out = fake_segs[s];
}
static void fake_get_code(struct vcpu *v, struct hvm_code *out) {
    (void)v;
    *out = (struct hvm_code){fake_regs[HVM_RIP], fake_regs[HVM_CR3],
                             (fake_segs[HVM_CS].attr & SEG_LONG) != 0 &&
                                 (fake_regs[HVM_EFER] & X86_EFER_LMA) != 0};
}
static unsigned fake_compartment_resets, fake_compartment_runs;
static void fake_compartment_reset(struct vcpu *v) {
    compartment_reset_context(v, NULL);
    fake_compartment_resets++;
}

/* The program of the compartments, as functions of this process: its data, and its ways out. */
static struct hardware fake_hardware;
static struct vm *fake_vm;
static struct vcpu *fake_compartment_vcpu;   /* whose upcall is being answered */
static struct abi_devices fake_told_devices; /* none, unless a test says otherwise */
const struct abi_devices *compartment_devices(void) {
    return &fake_told_devices;
}

struct exchange *compartment_page(unsigned vcpu) {
    static struct exchange of_none;
    return vcpu < fake_vm->vcpu_count ? fake_vm->vcpus[vcpu].exchange : &of_none;
}

struct exchange_vm *compartment_vm(void) {
    return fake_vm->shared;
}
bool fake_has_rdrand = true;
bool compartment_rdrand(uint64_t *word) {
    static uint64_t next = 0x123456789abcdef;
    next = next * 6364136223846793005u + 1442695040888963407u;
    *word = next;
    return fake_has_rdrand;
}

uint64_t compartment_tsc(void) {
    return fake_tsc;
}
static uint8_t fake_high_ram[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
uint8_t *compartment_ram(uint64_t gpa) {
    CHECK(gpa == 0 || (gpa == PLAN_HIGH_RAM && fake_vm->high_ram != 0));
    return gpa == 0 ? phys_pointer(fake_vm->plan->regions[0].hpa) : fake_high_ram;
}
uint64_t core_call(const struct exchange *e, uint64_t number) {
    CHECK(e == fake_compartment_vcpu->exchange);
    CHECK(core_call_answer(fake_compartment_vcpu, number));
    return 0;
}

/* What the n-th run ends with; NULL: a call, CORE_DONE. */
static void (*fake_compartment_end)(struct vcpu *v, struct vmexit *x, unsigned n);
static bool fake_compartment_run(struct vcpu *v, struct vmexit *end) {
    fake_compartment_runs++;
    *end = (struct vmexit){.kind = EXIT_HYPERCALL};
    v->compartment.regs[X86_RAX] = CORE_DONE;
    if (fake_compartment_end != NULL) {
        fake_compartment_end(v, end, fake_compartment_runs);
        return end->kind == EXIT_HYPERCALL;
    }
    if (v->exchange->upcall == UPCALL_LOAD) { /* has tests of its own */
        v->exchange->load.status = LOAD_DONE;
        return true;
    }
    fake_compartment_vcpu = v;
    hardware_answer(&fake_hardware, v->exchange);
    return true;
}
static bool fake_upcall(struct vcpu *v, const struct vmexit *x) {
    return upcall_make(v, x, fake_compartment_run);
}
static uint64_t fake_compartment_tsc;
static void fake_compartment_set_tsc(UNUSED struct vcpu *v, uint64_t offset) {
    fake_compartment_tsc = offset;
}
static void fake_save(UNUSED struct vcpu *v, struct vcpu_saved *out) {
    memcpy(out->guest, fake_regs, sizeof(fake_regs));
}
static void fake_restore(UNUSED struct vcpu *v, const struct vcpu_saved *in) {
    memcpy(fake_regs, in->guest, sizeof(fake_regs));
}
static const char *fake_raw(struct vcpu *v, unsigned i, uint64_t *value) {
    (void)v;
    *value = i;
    return i < 3 ? "word" : NULL;
}
static void fake_flush(struct vcpu *v) {
    (void)v;
    fake_flushed = true;
}

static struct hvm_ops fake_ops = {
    .name = "fake",
    .vcpu_init = fake_vcpu_init,
    .vcpu_reset = fake_vcpu_reset,
    .inject = fake_inject,
    .can_take = fake_can,
    .end_shadow = fake_end_shadow,
    .refusal = fake_refusal,
    .make_enterable = fake_make_enterable,
    .window = fake_window,
    .get = fake_get,
    .set = fake_set,
    .get_segment = fake_get_segment,
    .get_code = fake_get_code,
    .set_segment = fake_set_segment,
    .compartment_reset = fake_compartment_reset,
    .upcall = fake_upcall,
    .compartment_set_tsc = fake_compartment_set_tsc,
    .save = fake_save,
    .restore = fake_restore,
    .flush = fake_flush,
    .raw = fake_raw,
    .npt_format = &pagetable_format_ept,
    .features = HVM_RDTSCP | HVM_INVPCID | HVM_MSRS_C001 | HVM_SPEC_CTRL | HVM_PRED_CMD |
                HVM_FLUSH_CMD | HVM_ARCH_CAPS,
    .arch_capabilities = 0x2b,
    .npt_max_level = 3,
};

/* A vCPU's bytes come one after the other: with the lock held. */
static bool fake_transmit(struct vm *vm, uint8_t byte) {
    CHECK(vm->console_lock.next != vm->console_lock.owner);
    if (fake_console_length < sizeof(fake_console) - 1) {
        fake_console[fake_console_length++] = (char)byte;
    }
    return true;
}

static unsigned fake_typed; /* calls of type */
static void fake_type(UNUSED struct vm *vm) {
    fake_typed++;
}

static enum vm_state fake_state_shown;
static void fake_state_changed(struct vm_public *vm) {
    fake_state_shown = vm->state;
}

/* A console that has said the letters of the alphabet, again and again; and what is typed for it.
 */
#define FAKE_SAID 1000u
static uint32_t fake_read(UNUSED const struct vm_public *vm, uint64_t *at, uint64_t *end,
                          uint8_t *to, uint32_t size) {
    uint64_t from = *at < FAKE_SAID ? *at : FAKE_SAID;
    uint32_t n = 0;

    for (; n < size && from + n < FAKE_SAID; n++) {
        to[n] = (uint8_t)('a' + (from + n) % 26);
    }
    *at = from;
    *end = FAKE_SAID;
    return n;
}

static char fake_keys[64];
static uint32_t fake_put(UNUSED struct vm_public *vm, const uint8_t *keys, uint32_t size) {
    uint32_t n = size < 16 ? size : 16;
    memcpy(fake_keys, keys, n);
    fake_keys[n] = '\0';
    return n;
}

__attribute__((constructor)) static void fake_console_begin(void) {
    static const struct vm_console fakes = {fake_transmit, fake_type, fake_state_changed, fake_read,
                                            fake_put};
    vm_console = &fakes;
}

static struct config_guest fake_config;
static struct plan_vm fake_plan;
static struct vm_public fake_public;
static void (*fake_plan_more)(struct plan_vm *plan); /* what the next VM has beside its RAM */

/* A VM in long mode with flat segments, its RAM mapped one to one by tables at 1 MiB; RIP = 2 MiB.
 */
static struct vcpu *fake_machine_start(void) {
    static void *ram, *budget;
    guest_ram_fresh(&ram, 2 * MIB, FAKE_RAM);
    guest_ram_fresh(&budget, PAGE_SIZE, FAKE_BUDGET);
    hvm = &fake_ops;
    memset(fake_windows, 0, sizeof(fake_windows));
    fake_cpu = 0;
    fake_console_length = 0;
    fake_can_interrupt = fake_window_interrupt = fake_window_nmi = fake_nmi_blocked = false;
    fake_on_timer_set = fake_on_reset = fake_wait = NULL;
    strcpy(fake_config.name, "fake");
    fake_config.memory = FAKE_RAM;
    fake_config.on_violation = ON_VIOLATION_DENY;
    fake_plan = (struct plan_vm){.config = &fake_config,
                                 .cpu_count = 1,
                                 .region_count = 1,
                                 .regions = {{GPA(0), HPA((uintptr_t)ram), FAKE_RAM}},
                                 .budget_base = HPA((uintptr_t)budget),
                                 .budget_size = FAKE_BUDGET};
    if (fake_plan_more != NULL) {
        fake_plan_more(&fake_plan);
    }
    CHECK_U64(vm_create(&fake_plan, &fake_public, &fake_vm), STATUS_OK);
    struct vcpu *v = &fake_vm->vcpus[0];
    cpuid_init(v);
    msr_reset(v);

    uint64_t pml4[1] = {0x101003}, pdpt[4] = {0x83, 0x40000083, 0x80000083, 0xc0000083};
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x100000), pml4, sizeof(pml4)), STATUS_OK);
    CHECK_U64(gmem_write(&fake_vm->mem, GPA(0x101000), pdpt, sizeof(pdpt)), STATUS_OK);
    vcpu_reset(v, false);
    fake_compartment_end = NULL;
    compartment_reset(fake_vm);
    fake_compartment_reset(v);
    fake_vm->live = true;
    CHECK(vm_start_devices(fake_vm));
    v->upcall_flags = UPCALL_UNWATCHED;
    v->clocks_due = 0;
    fake_deadline = 0;
    fake_regs[HVM_RIP] = 2 * MIB;
    fake_regs[HVM_CR0] = X86_CR0_PE | X86_CR0_PG | X86_CR0_NE | X86_CR0_ET;
    fake_regs[HVM_CR3] = 0x100000;
    fake_regs[HVM_CR4] = X86_CR4_PAE;
    fake_regs[HVM_EFER] = X86_EFER_LME | X86_EFER_LMA;
    fake_segs[HVM_CS] = (struct hvm_segment){.attr = 0xa09b}; /* 64-bit code, DPL 0 */
    fake_segs[HVM_SS] = (struct hvm_segment){.attr = 0xc093};
    return v;
}

/* What devices have told without an upcall. */
static inline void fake_take_told(void) {
    struct vcpu *v = &fake_vm->vcpus[0];
    CHECK(told_take(v, v->exchange->told));
    v->exchange->told = 0;
}

/* The line of an ISA interrupt, as a device of the VM drives it. */
static inline void fake_set_irq(unsigned line, bool asserted) {
    struct platform *p = &fake_hardware.platform;
    p->env.caller = fake_vm->vcpus[0].exchange;
    p->env.irq(&p->env, line, asserted);
    fake_take_told();
}

static inline void device_access(struct exchange *e, enum bus_space space, uint64_t at,
                                 unsigned size) {
    e->space = space;
    e->at = at;
    e->size = size;
}

/* An access to the VM's devices as if by a guest, but with no exit. */
static inline struct bus_answer device_read(struct vcpu *v, const struct vmexit *x,
                                            enum bus_space space, uint64_t at, unsigned size) {
    struct exchange *e = v->exchange;

    device_access(e, space, at, size);
    if (!upcall(v, x, UPCALL_READ)) {
        return (struct bus_answer){.value = UINT64_MAX, .there = 0};
    }
    return (struct bus_answer){.value = EXCHANGE_READ(e->argument),
                               .there = EXCHANGE_READ(e->there)};
}

static inline bool device_write(struct vcpu *v, const struct vmexit *x, enum bus_space space,
                                uint64_t at, unsigned size, uint64_t value) {
    struct exchange *e = v->exchange;

    device_access(e, space, at, size);
    e->argument = value;
    return upcall(v, x, UPCALL_WRITE) && EXCHANGE_READ(e->there) != 0;
}

static inline uint64_t fake_port_in(uint64_t port, unsigned size) {
    struct bus_answer answer = device_read(&fake_vm->vcpus[0], NULL, BUS_PORT, port, size);
    CHECK_U64(answer.there, 1);
    return answer.value & (BIT(8 * size) - 1);
}

static inline void fake_port_out(uint64_t port, unsigned size, uint64_t value) {
    CHECK(device_write(&fake_vm->vcpus[0], NULL, BUS_PORT, port, size, value));
}

static inline void fake_ioapic_write(unsigned index, uint32_t value) {
    CHECK(device_write(&fake_vm->vcpus[0], NULL, BUS_MEMORY, IOAPIC_BASE, 4, index));
    CHECK(device_write(&fake_vm->vcpus[0], NULL, BUS_MEMORY, IOAPIC_BASE + 0x10, 4, value));
}

/* As the run loop does it. */
static inline enum action fake_exit(struct vcpu *v, struct vmexit *x) {
    enum action action = exit_table[x->kind](v, x);

    if (action == ACTION_UPCALL) {
        bool answered = upcall_make(v, x, fake_compartment_run);
        action = answered ? exit_answers[x->kind](v, x) : exit_upcall_failed(v, x);
    }
    return action;
}

/* The VM once more, with two vCPUs on CPUs 0 and 1, both there. */
static UNUSED void fake_create_two(struct vcpu **v0, struct vcpu **v1) {
    fake_plan.cpu_count = 2;
    fake_plan.cpus[1] = 1;
    CHECK_U64(vm_create(&fake_plan, &fake_public, &fake_vm), STATUS_OK);
    *v0 = &fake_vm->vcpus[0];
    *v1 = &fake_vm->vcpus[1];
    cpuid_init(*v0);
    cpuid_init(*v1);
    (*v1)->public.presence = VCPU_HERE;
}

#endif
