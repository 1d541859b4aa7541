/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real PCI devices of a VM: their resets, what of their registers is ever written, where their BARs
 * come to lie, and their interrupts. The devices are three, one for each way to be reset.
 */
#include "hv/vm/lapic_regs.h"
#include "tests/unit/fake_machine.h"
#include "tests/unit/random.h"

enum { NVME, CARD, USB, DEVICES }; /* by FLR, by its power state, with its bus */

#define PORT        0x8u /* the bridge above USB */
#define AT_POWER    0x40u
#define AT_MSI      0x50u
#define AT_EXPRESS  0x70u
#define AT_MSIX     0xb0u
#define AT_ADVANCED 0xc0u /* where a device has it */
#define NVME_BAR    0xfe000000u
#define CARD_BAR    0xfd000000u
#define USB_BAR     0xfc000000u
#define NVME_SIZE   0x8000u
#define SIZE        0x2000u
#define TABLE                                                                                      \
    0x2000u /* of NVME's messages, a page; the pending bits are the page after the next            \
             */
#define PENDING  0x4000u
#define BASE     ((uint64_t)PCI_MEMORY)
#define MESSAGE  0xfee00000u
#define MS       (FAKE_HZ / 1000)
#define MASTER   6u /* memory and bus master */
#define INTX_OFF 0x400u

static struct boot_pci functions[DEVICES + 1];
static uint32_t spaces[FAKE_PCI_FUNCTIONS][64];
static uint64_t dead_until[FAKE_PCI_FUNCTIONS]; /* nobody answers before */
static unsigned resets[FAKE_PCI_FUNCTIONS], wrong_writes;
static bool bars_stuck, never_back;  /* BARs take no address; nobody answers after a reset */
static bool never_idle;              /* transactions are pending until a reset */
static uint32_t stuck_on, stuck_off; /* bits of the command register that do not change */
static uint32_t on_bus;              /* behind the port */
static bool sleepy;                  /* its power state does not change */
static bool deaf;                    /* to all resets but that of the bus */
static uint64_t reset_takes;
static uint64_t begun[FAKE_PCI_FUNCTIONS]; /* the last reset */

static char said[8192];
static size_t said_length;

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    size_t n = min_u64(length, sizeof(said) - 1 - said_length);
    memcpy(said + said_length, line, n);
    said_length += n;
    said[said_length] = 0;
}

static uint64_t now_us(void) {
    return fake_tsc / 1000;
}
static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

#define CHECK_LOG(text) CHECK(strstr(said, text) != NULL)

static unsigned index_of(uint32_t function) {
    for (unsigned i = 0; i < DEVICES; i++) {
        if (functions[i].function == function) {
            return i;
        }
    }
    return DEVICES;
}

static uint32_t device_get(uint32_t function, uint32_t reg) {
    uint32_t pending = never_idle && reg == AT_EXPRESS + 8 ? BIT32(21) : 0;
    return fake_tsc < dead_until[function] ? UINT32_MAX : spaces[function][reg / 4] | pending;
}

/* What a reset makes of it. */
static void device_reset(uint32_t function) {
    uint32_t *space = spaces[function];

    resets[function]++;
    begun[function] = fake_tsc;
    if (deaf) {
        return;
    }
    space[1] &= 0xffff0000;
    space[3] = 0;
    space[15] &= 0xffffff00;
    memset(space + 4, 0, 24);
    space[AT_MSI / 4] &= ~0x10000u;
    space[AT_MSIX / 4] &= 0x7ffffff;
    space[(AT_EXPRESS + 8) / 4] = 0x2000;
    space[(AT_EXPRESS + 0x10) / 4] = 0;
    space[(AT_EXPRESS + 0x28) / 4] = 0;
    dead_until[function] = never_back ? UINT64_MAX : fake_tsc + reset_takes;
}

static void bar_put(uint32_t function, uint32_t reg, uint32_t value) {
    const struct boot_pci *f = &functions[index_of(function)];
    uint32_t was = reg == 0x10 ? (uint32_t)f->bars[0].base : 0;

    wrong_writes += (value & ~0xfu) != was;
    spaces[function][reg / 4] = bars_stuck ? 0 : value;
}

static void power_put(uint32_t function, uint32_t value) {
    uint32_t *word = &spaces[function][(AT_POWER + 4) / 4];
    bool wakes = (*word & 3) == 3 && (value & 3) == 0;

    if (!sleepy) {
        *word = value;
    }
    if (wakes && functions[index_of(function)].pm_reset) {
        device_reset(function);
    }
}

/* Only what the table of hv/vm/pci.c says, and with no status bit that a written 1 would clear. */
static void device_put(uint32_t function, uint32_t reg, uint32_t value) {
    if (function == PORT) {
        bool ends = (spaces[PORT][15] & BIT32(22)) != 0 && (value & BIT32(22)) == 0;
        wrong_writes += reg != 0x3c;
        spaces[PORT][15] = value;
        if (ends) {
            deaf = false;
            device_reset(on_bus);
        }
        return;
    }
    if (fake_tsc < dead_until[function]) {
        return;
    }
    if (reg >= 0x10 && reg < 0x28) {
        bar_put(function, reg, value);
    } else if (reg == AT_POWER + 4) {
        power_put(function, value);
    } else if (reg == AT_EXPRESS + 8 && (value & 0x8000) != 0) {
        device_reset(function);
    } else if (reg == AT_ADVANCED + 4) {
        wrong_writes += value != 1;
        spaces[function][reg / 4] = value;
        device_reset(function);
    } else if (reg == 0x3c) {
        spaces[function][15] = (spaces[function][15] & 0xffffff00) | (value & 0xff);
    } else if (reg == 4) {
        wrong_writes += (value & ~(MASTER | INTX_OFF)) != 0 || (value & INTX_OFF) == 0;
        value = (value | stuck_on) & ~stuck_off;
        spaces[function][1] = (spaces[function][1] & 0xffff0000) | value;
    } else {
        bool msi = reg >= AT_MSI && reg < AT_MSI + 0x14;
        bool express =
            reg == AT_EXPRESS + 8 || reg == AT_EXPRESS + 0x10 || reg == AT_EXPRESS + 0x28;
        bool good = msi || express || reg == AT_MSIX || reg == 0xc;
        wrong_writes += !good || (express && value > 0xffff);
        spaces[function][reg / 4] = value;
    }
}

static void make_device(unsigned i, uint32_t function, uint32_t bar, uint32_t size) {
    uint32_t *space = spaces[function];

    functions[i] = (struct boot_pci){.function = (uint16_t)function,
                                     .vendor = 0x1b36,
                                     .device = (uint16_t)(0x10 + i),
                                     .parent = BOOT_PCI_NONE,
                                     .pin = 1,
                                     .at_power = AT_POWER,
                                     .at_msi = AT_MSI,
                                     .at_express = AT_EXPRESS,
                                     .at_msix = AT_MSIX,
                                     .bars[0] = {.base = bar, .size = size, .wide = true},
                                     .bars[2] = {.base = 0x1000, .size = 0x20, .io = true}};
    memset(space, 0, sizeof(spaces[0]));
    space[0] = 0x00101b36 + (i << 16);
    space[1] = 0xf9100147;
    space[3] = 0x10;
    space[4] = bar | 4;
    space[15] = 0x010b;
    space[AT_MSI / 4] = 0x00800005;
    space[AT_EXPRESS / 4] = 0x00020010;
    space[(AT_EXPRESS + 8) / 4] = 0x285f;
    space[(AT_EXPRESS + 0x10) / 4] = 0x10110042;
    space[(AT_EXPRESS + 0x28) / 4] = 0x00010006;
    space[AT_MSIX / 4] = 0x00030011;
}

static uint32_t card_size = SIZE;

static void give_devices(struct plan_vm *plan) {
    make_device(NVME, 1, NVME_BAR, NVME_SIZE);
    make_device(CARD, 2, CARD_BAR, card_size);
    make_device(USB, 3, USB_BAR, SIZE);
    functions[NVME].flr = true;
    functions[NVME].msix = (struct boot_pci_msix){.count = 4, .table = TABLE, .pending = PENDING};
    functions[CARD].pm_reset = true;
    functions[USB].bus_reset = true;
    functions[USB].parent = DEVICES;
    on_bus = functions[USB].function;
    functions[DEVICES] = (struct boot_pci){.function = PORT, .header = 1};
    spaces[PORT][15] = 0x10000;
    plan->functions = functions;
    plan->pci_count = DEVICES;
    for (uint16_t i = 0; i < DEVICES; i++) {
        plan->pcis[i] = i;
    }
}

static void give_advanced(struct plan_vm *plan) {
    give_devices(plan);
    functions[NVME].flr = false;
    functions[NVME].af_flr = true;
    functions[NVME].at_af = AT_ADVANCED;
}

static void time_passes(void) {
    fake_tsc = fake_deadline;
}

static struct vcpu *create_with(void (*give)(struct plan_vm *plan)) {
    fake_plan_more = give;
    fake_pci_get = device_get;
    fake_pci_put = device_put;
    fake_dma_status = fake_irq_status = STATUS_OK;
    bars_stuck = never_back = never_idle = deaf = sleepy = fake_irq_posts = false;
    stuck_on = stuck_off = 0;
    reset_takes = 0;
    wrong_writes = 0;
    memset(dead_until, 0, sizeof(dead_until));
    memset(resets, 0, sizeof(resets));
    memset(fake_dma, 0xff, sizeof(fake_dma));
    struct vcpu *v = fake_machine_start();
    fake_wait = time_passes;
    log_init(&hooks, LOG_INFO);
    said_length = 0;
    return v;
}

static struct vcpu *create(void) {
    return create_with(give_devices);
}

static struct vcpu *start(void) {
    struct vcpu *v = create();
    vm_pci_start(fake_vm);
    return v;
}

static bool asks(struct vcpu *v, enum pci_call call, uint32_t device, uint32_t at, uint64_t value,
                 uint64_t data) {
    v->exchange->pci = (struct exchange_pci){
        .call = call, .function = device, .at = at, .value = value, .data = data};
    return core_call_answer(v, CORE_PCI);
}

static uint64_t ask(struct vcpu *v, enum pci_call call, uint32_t device, uint32_t at,
                    uint64_t value) {
    CHECK(asks(v, call, device, at, value, 0x41));
    return v->exchange->pci.value;
}

static uint32_t space_of(unsigned device, uint32_t reg) {
    return spaces[functions[device].function][reg / 4];
}

/* ---- begin and end ---- */

TEST(a_start_resets_each_in_its_way_restores_it_and_lets_it_in) {
    (void)start();
    for (unsigned i = 0; i < DEVICES; i++) {
        uint32_t function = functions[i].function;
        CHECK_U64(resets[function], 1);
        CHECK_U64(fake_dma[function], FAKE_DOMAIN);
        CHECK_U64(space_of(i, 0x10), functions[i].bars[0].base | 4);
        CHECK_U64(space_of(i, 4) & 0xffff, INTX_OFF);
        CHECK_U64(space_of(i, AT_EXPRESS + 8), 0x2850);
        CHECK_U64(space_of(i, 0xc), 0x10);
        CHECK_U64(space_of(i, 0x3c), 0x010b);
        CHECK_U64(space_of(i, AT_EXPRESS + 0x10), 0x0042);
        CHECK_U64(space_of(i, AT_EXPRESS + 0x28), 0x0006);
    }
    CHECK_U64(spaces[PORT][15], 0x10000);
    CHECK_U64(wrong_writes, 0);
    CHECK_LOG("has PCI 00:00.1 (1b36:0010, function-level reset)");
    CHECK_LOG("has PCI 00:00.2 (1b36:0011, reset by its power state)");
    CHECK_LOG("has PCI 00:00.3 (1b36:0012, reset with its bus)");
}

TEST(one_that_needs_its_time_is_waited_for_and_one_that_does_not_come_back_is_withheld) {
    struct vcpu *v = create();
    reset_takes = 600 * MS;
    vm_pci_start(fake_vm);
    CHECK_U64(fake_dma[1], FAKE_DOMAIN);
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), 0x00101b36);
    never_back = true;
    memset(fake_dma, 0xff, sizeof(fake_dma));
    vm_pci_start(fake_vm);
    CHECK_U64(fake_dma[1], FAKE_NOTHING);
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE), 0);
    CHECK_LOG("PCI 00:00.1 is withheld: it did not come back from its reset");
}

/* Nobody waits longer, nor shorter, for what a device is to have ended or to have come back from.
 */
TEST(each_wait_has_its_length) {
    static const struct {
        bool never_idle, never_back;
        uint64_t ms;
    } waits[] = {
        {false, false, 10 + 100},
        {true, false, 100 + 10 + 100},
        {false, true, 10 + 100 + 3 * 1000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        (void)create();
        never_idle = waits[i].never_idle;
        never_back = waits[i].never_back;
        uint64_t since = fake_tsc;
        vm_pci_start(fake_vm);
        CHECK_U64((fake_tsc - since) / MS, waits[i].ms);
        CHECK_U64((begun[1] - since) / MS, waits[i].never_idle ? 100 : 0);
    }
}

static void give_plain_devices(struct plan_vm *plan) {
    give_devices(plan);
    for (unsigned i = 0; i < DEVICES; i++) {
        functions[i].at_msi = functions[i].at_msix = functions[i].at_power = 0;
        functions[i].at_express = functions[i].flr ? AT_EXPRESS : 0;
    }
    functions[CARD].pm_reset = false;
}

/* The register that would be a capability at 0 is never written: it names the device. */
TEST(a_capability_that_there_is_not_is_not_written) {
    (void)create();
    fake_plan_more = give_plain_devices;
    struct vcpu *v = fake_machine_start();
    fake_wait = time_passes;
    uint64_t since = fake_tsc;
    spaces[functions[CARD].function][2] |= BIT32(21); /* its class: nothing is pending */
    vm_pci_start(fake_vm);
    CHECK_U64(begun[functions[NVME].function] - since, 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        CHECK_U64(ask(v, PCI_CALL_VECTOR, i, 0, MESSAGE), MESSAGE | functions[i].function);
        for (uint64_t messages = 0; messages < PCI_MESSAGES; messages++) {
            (void)ask(v, PCI_CALL_MESSAGES, i, 0, messages);
        }
        (void)ask(v, PCI_CALL_POWER, i, 0, 3);
        (void)ask(v, PCI_CALL_POWER, i, 0, 0);
        CHECK_U64(ask(v, PCI_CALL_READ, i, 0, 0), 0x00101b36 + (i << 16));
    }
    vm_pci_stop(fake_vm);
    CHECK_U64(wrong_writes, 0);
}

TEST(one_whose_bars_take_no_address_is_withheld) {
    struct vcpu *v = create();
    bars_stuck = true;
    vm_pci_start(fake_vm);
    CHECK_U64(fake_dma[1], FAKE_NOTHING);
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
}

TEST(an_iommu_that_does_not_obey_withholds_it) {
    struct vcpu *v = create();
    fake_dma_status = STATUS_TIMEOUT;
    vm_pci_start(fake_vm);
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), UINT32_MAX);
    CHECK_LOG("PCI 00:00.2: the IOMMU does not do as it is told: ");
    CHECK(strstr(said, "has PCI") == NULL);
}

TEST(without_an_iommu_there_are_none_and_all_else_runs) {
    fake_plan_more = give_devices;
    fake_dma_status = STATUS_UNSUPPORTED;
    struct vcpu *v = fake_machine_start();
    log_init(&hooks, LOG_INFO);
    said_length = 0;
    CHECK(!fake_vm->walled);
    vm_pci_start(fake_vm);
    CHECK_LOG("its PCI devices are withheld: no IOMMU that remaps interrupts is on");
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
    vm_pci_stop(fake_vm);
}

/* It starts nothing more by then: else the IOMMU would have much to refuse. */
static void is_quiet(uint32_t function, bool allow) {
    CHECK(allow || (spaces[function][1] & MASTER) == 0);
}

TEST(an_end_takes_all_from_them_and_resets_them) {
    struct vcpu *v = start();
    fake_on_dma = is_quiet;
    (void)ask(v, PCI_CALL_COMMAND, NVME, 0, MASTER);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE), 1);
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE), MESSAGE | 1);
    vm_pci_stop(fake_vm);
    fake_on_dma = NULL;
    struct pagetable_leaf leaf;
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE, &leaf), STATUS_NOT_FOUND);
    for (unsigned i = 0; i < DEVICES; i++) {
        CHECK_U64(fake_dma[functions[i].function], FAKE_NOTHING);
        CHECK_U64(resets[functions[i].function], 2);
        CHECK_U64(space_of(i, 4) & MASTER, 0);
    }
    CHECK_U64(fake_vm->irqs[0].message, 0);
    v->public.requests = 0;
    hv_device_interrupt(0);
    CHECK_U64(v->public.requests, 0);
}

TEST(a_restart_resets_each_once) {
    (void)start();
    for (unsigned i = 0; i < 3; i++) {
        vm_pci_stop(fake_vm);
        vm_pci_start(fake_vm);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        CHECK_U64(resets[functions[i].function], 4);
        CHECK_U64(fake_dma[functions[i].function], FAKE_DOMAIN);
    }
    vm_pci_start(fake_vm); /* nothing has ended that run in between */
    CHECK_U64(resets[1], 5);
}

/* Of a guest that restarts too often to be told of each start. */
TEST(a_quiet_start_names_no_device) {
    (void)start();
    vm_pci_stop(fake_vm);
    said_length = 0;
    fake_vm->quiet = true;
    vm_pci_start(fake_vm);
    CHECK_U64(said_length, 0);
    CHECK_U64(fake_dma[1], FAKE_DOMAIN);
}

/* Whatever it was: it is not as it was left. */
TEST(one_that_changed_while_nobody_had_it_is_reset_again) {
    static const struct {
        uint32_t reg, bits;
    } changes[] = {{0, 0x10000},
                   {4, 1},
                   {4, 2},
                   {4, 4},
                   {4, INTX_OFF},
                   {0x10, 0x10000},
                   {0x14, 1},
                   {AT_POWER + 4, 3},
                   {AT_MSI, 0x10000},
                   {AT_MSIX, 0x80000000}};
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        (void)start();
        vm_pci_stop(fake_vm);
        CHECK_U64(resets[1], 2);
        spaces[1][changes[i].reg / 4] ^= changes[i].bits;
        vm_pci_start(fake_vm);
        CHECK_U64(resets[1], 3);
    }
}

static void is_withheld(const char *why) {
    CHECK_U64(fake_dma[1], FAKE_NOTHING);
    CHECK_LOG(why);
    said_length = 0;
    memset(said, 0, sizeof(said));
}

static void give_without_pin(struct plan_vm *plan) {
    give_devices(plan);
    functions[NVME].pin = 0;
}

/* What was written is read back. */
TEST(one_that_keeps_at_work_or_on_its_pin_is_withheld) {
    for (uint32_t bit = 1; bit <= 4; bit *= 2) {
        (void)create();
        stuck_on = bit;
        vm_pci_start(fake_vm);
        is_withheld("PCI 00:00.1 is withheld: it is still at work after its reset");
    }
    (void)create();
    stuck_off = INTX_OFF;
    vm_pci_start(fake_vm);
    is_withheld("PCI 00:00.1 is withheld: its interrupt pin cannot be switched off");
    (void)create_with(give_without_pin);
    stuck_off = INTX_OFF;
    vm_pci_start(fake_vm);
    CHECK_U64(fake_dma[1], FAKE_DOMAIN);
}

TEST(one_that_a_reset_did_nothing_to_is_withheld) {
    static const struct {
        uint32_t reg, bits;
        const char *why;
    } kept[] = {{AT_MSI, 0x10000, "its reset did nothing: its messages are still on"},
                {AT_MSIX, 0x80000000, "its reset did nothing: its messages are still on"},
                {AT_POWER + 4, 1, "it did not wake up from its reset"}};
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        (void)create();
        deaf = true;
        sleepy = kept[i].reg == AT_POWER + 4;
        spaces[1][kept[i].reg / 4] |= kept[i].bits;
        vm_pci_start(fake_vm);
        is_withheld(kept[i].why);
    }
}

/* NVME alone behind the port, instead of USB. */
static void give_behind_port(struct plan_vm *plan) {
    give_devices(plan);
    functions[NVME].bus_reset = true;
    functions[NVME].parent = DEVICES;
    functions[USB].bus_reset = false;
    functions[USB].parent = BOOT_PCI_NONE;
    on_bus = functions[NVME].function;
}

TEST(where_a_reset_of_its_own_fails_it_is_reset_with_its_bus) {
    (void)create_with(give_behind_port);
    deaf = true;
    spaces[1][AT_MSIX / 4] |= 0x80000000;
    vm_pci_start(fake_vm);
    CHECK_U64(resets[1], 2);
    CHECK_U64(resets[2], 1); /* it is good, and not held up */
    CHECK_U64(fake_dma[1], FAKE_DOMAIN);
    CHECK_LOG("has PCI 00:00.1 (1b36:0010, reset with its bus)");
    vm_pci_stop(fake_vm); /* it is known by now */
    CHECK_U64(resets[1], 3);
    CHECK_U64(wrong_writes, 0);
}

/* ---- registers ---- */

TEST(of_the_command_register_two_bits_are_the_guests) {
    struct vcpu *v = start();
    (void)ask(v, PCI_CALL_COMMAND, NVME, 0, UINT64_MAX);
    CHECK_U64(space_of(NVME, 4) & 0xffff, MASTER | INTX_OFF);
    (void)ask(v, PCI_CALL_COMMAND, NVME, 0, 0);
    CHECK_U64(space_of(NVME, 4) & 0xffff, INTX_OFF);
    CHECK_U64(wrong_writes, 0);
}

TEST(a_power_state_is_set_and_waking_up_takes_its_time) {
    struct vcpu *v = start();
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, MASTER);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 3);
    CHECK_U64(space_of(CARD, AT_POWER + 4), 3);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 0);
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), UINT32_MAX);
    CHECK_U64(space_of(CARD, 4) & MASTER, 0);
    fake_tsc += 10 * MS;
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 0); /* it is awake: no time is needed */
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 3); /* nor to fall asleep, nor to stay so */
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 3);
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 0);
    fake_tsc += 10 * MS - 1;
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), UINT32_MAX);
    fake_tsc++;
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    CHECK_U64(space_of(CARD, 0x10), CARD_BAR | 4);
    CHECK_U64(space_of(CARD, 4) & MASTER, MASTER);
    CHECK_U64(wrong_writes, 0);
}

TEST(a_reset_of_the_guests_own_is_over_after_a_tenth_of_a_second) {
    struct vcpu *v = start();
    (void)ask(v, PCI_CALL_COMMAND, NVME, 0, MASTER);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE), 1);
    CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 1);
    CHECK_U64(resets[1], 2);
    struct pagetable_leaf leaf;
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE, &leaf), STATUS_NOT_FOUND);
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
    CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 0);
    (void)ask(v, PCI_CALL_COMMAND, NVME, 0, MASTER);
    CHECK_U64(space_of(NVME, 4) & MASTER, 0);
    fake_tsc += 100 * MS;
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0x10, 0), NVME_BAR | 4);
    CHECK_U64(space_of(NVME, 4) & MASTER, MASTER);
    CHECK_U64(ask(v, PCI_CALL_RESET, CARD, 0, 0), 0);
    CHECK_U64(resets[2], 1);
}

TEST(one_that_does_not_come_back_from_it_is_lost_for_the_run) {
    struct vcpu *v = start();
    never_back = true;
    CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 1);
    for (unsigned i = 0; i < 110; i++) { /* a second after its tenth of one, and no look earlier */
        CHECK(strstr(said, "is lost for this run") == NULL);
        fake_tsc += 10 * MS;
        CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
    }
    CHECK_LOG("PCI 00:00.1 is lost for this run");
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE), 0);
    said_length = 0;
    said[0] = '\0';
    fake_tsc += 1000 * MS; /* and it is not looked for any more */
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
    CHECK_STR(said, "");
}

/* And so is one that comes back as another. */
TEST(one_that_is_not_as_it_was_after_it_is_lost_for_the_run) {
    static const struct {
        bool bars_stuck;
        uint32_t on, off;
        const char *why;
    } ways[] = {
        {true, 0, 0, "its BARs did not take their addresses after its reset"},
        {false, MASTER, 0, "it is still at work after its reset"},
        {false, 0, INTX_OFF, "its interrupt pin cannot be switched off"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct vcpu *v = start();
        CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 1);
        bars_stuck = ways[i].bars_stuck;
        stuck_on = ways[i].on;
        stuck_off = ways[i].off;
        fake_tsc += 100 * MS - 1;
        CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
        CHECK(strstr(said, "is lost for this run") == NULL);
        fake_tsc++;
        CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0, 0), UINT32_MAX);
        CHECK_LOG("PCI 00:00.1 is lost for this run: ");
        CHECK_LOG(ways[i].why);
        CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 0);
    }
}

/* Conventional PCI's capability for the same. */
TEST(a_reset_by_advanced_features) {
    struct vcpu *v = create_with(give_advanced);
    vm_pci_start(fake_vm);
    CHECK_U64(resets[1], 1);
    CHECK_U64(space_of(NVME, AT_ADVANCED + 4), 1);
    CHECK_LOG("has PCI 00:00.1 (1b36:0010, function-level reset)");
    CHECK_U64(ask(v, PCI_CALL_RESET, NVME, 0, 0), 1);
    CHECK_U64(resets[1], 2);
    CHECK_U64(wrong_writes, 0);
}

/* ---- BARs ---- */

static void check_page(uint64_t offset, bool mapped) {
    struct pagetable_leaf leaf;
    enum status s = pagetable_lookup(&fake_vm->npt, BASE + MIB + offset, &leaf);

    CHECK_U64(s, mapped ? STATUS_OK : STATUS_NOT_FOUND);
    if (mapped) {
        CHECK_U64(leaf.hpa.v, NVME_BAR + offset);
        CHECK_U64(leaf.access, PAGE_READ | PAGE_WRITE);
        CHECK_U64(leaf.type, PAGE_UC);
    }
}

TEST(a_bar_is_mapped_but_for_the_pages_with_its_messages) {
    struct vcpu *v = start();
    fake_flushed = false;
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE + MIB), 1);
    CHECK(fake_flushed);
    for (uint64_t offset = 0; offset < NVME_SIZE; offset += PAGE_SIZE) {
        check_page(offset, offset != TABLE && offset != PENDING);
    }
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, UINT64_MAX), 0);
    for (uint64_t offset = 0; offset < NVME_SIZE; offset += PAGE_SIZE) {
        check_page(offset, false);
    }
}

TEST(a_bar_goes_nowhere_but_into_its_window_and_over_no_other) {
    static const uint64_t wrong[] = {0,
                                     0x1000,
                                     BASE - PAGE_SIZE,
                                     BASE + 8,
                                     BASE + PCI_MEMORY_SIZE - NVME_SIZE + PAGE_SIZE,
                                     BASE + PCI_MEMORY_SIZE,
                                     LAPIC_BASE,
                                     UINT64_MAX - NVME_SIZE + 1,
                                     UINT64_MAX & ~0xfffull};
    struct vcpu *v = start();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, wrong[i]), 0);
    }
    CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 0, BASE + 0x7000), 1);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE), 0);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE + 0x8000), 0);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE + 0x9000), 1);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE + PCI_MEMORY_SIZE - NVME_SIZE), 1);
    CHECK_U64(ask(v, PCI_CALL_MAP, NVME, 0, BASE + PCI_MEMORY_SIZE - NVME_SIZE), 1);
    struct pagetable_leaf leaf;
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE + 0x9000, &leaf), STATUS_NOT_FOUND);
}

/* ---- large BARs, above 4 GiB ---- */

#define HIGH      ((uint64_t)511 * GIB) /* over the end of what a table of the second level has */
#define HIGH_SIZE (3 * GIB)
#define LARGE     GIB
#define LARGE_BAR 0x3800000000ull

/* CARD's BAR 2 and, of 64 MiB, USB's. */
static void give_large(struct plan_vm *plan) {
    give_devices(plan);
    functions[CARD].bars[2] = (struct boot_pci_bar){.base = LARGE_BAR, .size = LARGE, .wide = true};
    functions[USB].bars[2] =
        (struct boot_pci_bar){.base = LARGE_BAR + LARGE, .size = 64 * MIB, .wide = true};
    plan->pci_high = GPA(HIGH);
    plan->pci_high_size = HIGH_SIZE;
}

static struct vcpu *start_large(void) {
    struct vcpu *v = create_with(give_large);
    vm_pci_start(fake_vm);
    return v;
}

static void check_large(uint64_t gpa, uint64_t hpa, uint64_t size) {
    const struct pagetable *roots[] = {&fake_vm->npt, &fake_vm->npt_xapic};
    struct pagetable_leaf leaf;

    for (size_t i = 0; i < (fake_vm->xapic_page != NULL ? 2 : 1); i++) {
        for (uint64_t at = 0; at < size; at += 2 * MIB) {
            enum status s = pagetable_lookup(roots[i], gpa + at, &leaf);
            CHECK_U64(s, hpa != 0 ? STATUS_OK : STATUS_NOT_FOUND);
            if (hpa != 0) {
                CHECK_U64(leaf.hpa.v, hpa + at);
                CHECK_U64(leaf.size, 2 * MIB);
                CHECK_U64(leaf.access, PAGE_READ | PAGE_WRITE);
                CHECK_U64(leaf.type, PAGE_UC);
            }
        }
    }
}

/* By 2 MiB pages, in both roots of a vCPU, with tables that are there from the start. */
TEST(a_large_bar_is_above_4_gib_and_takes_no_memory) {
    fake_ops.features |= HVM_APIC;
    struct vcpu *v = start_large();
    CHECK(fake_vm->xapic_page != NULL);
    uint64_t used = fake_vm->pool.used;
    for (uint64_t at = HIGH; at < HIGH + HIGH_SIZE; at += LARGE) {
        CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 2, at), 1);
        check_large(at, LARGE_BAR, LARGE);
    }
    check_large(HIGH, 0, LARGE);
    CHECK_U64(ask(v, PCI_CALL_MAP, USB, 2, HIGH + 64 * MIB), 1);
    check_large(HIGH + 64 * MIB, LARGE_BAR + LARGE, 64 * MIB);
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, 0);
    check_large(HIGH + 2 * LARGE, 0, LARGE);
    CHECK_U64(ask(v, PCI_CALL_MAP, USB, 2, BASE), 1); /* below it fits, too, by 4 KiB pages */
    check_large(HIGH, 0, HIGH_SIZE);
    struct pagetable_leaf leaf;
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE + 63 * MIB, &leaf), STATUS_OK);
    CHECK_U64(leaf.size, PAGE_SIZE);
    CHECK_U64(leaf.hpa.v, LARGE_BAR + LARGE + 63 * MIB);
    CHECK_U64(fake_vm->pool.used, used);
    vm_pci_stop(fake_vm);
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE, &leaf), STATUS_NOT_FOUND);
    fake_ops.features &= ~(uint32_t)HVM_APIC;
}

TEST(a_large_bar_goes_nowhere_else) {
    static const struct {
        uint32_t device, bar;
        uint64_t gpa;
    } wrong[] = {
        {CARD, 2, HIGH - LARGE},
        {CARD, 2, HIGH + HIGH_SIZE},
        {CARD, 2, HIGH + HIGH_SIZE - LARGE + 2 * MIB},
        {CARD, 2, HIGH + 2 * MIB}, /* no multiple of its size */
        {CARD, 2, HIGH + PAGE_SIZE},
        {USB, 2, HIGH + 2 * MIB},
        {CARD, 2, BASE},
        {CARD, 2, 0},
        {CARD, 2, LARGE},
        {CARD, 2, UINT64_MAX - LARGE + 1},
        {NVME, 0, HIGH}, /* is none, though wide */
        {CARD, 0, HIGH + LARGE},
        {USB, 2, BASE + PCI_MEMORY_SIZE},
    };
    struct vcpu *v = start_large();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK_U64(ask(v, PCI_CALL_MAP, wrong[i].device, wrong[i].bar, wrong[i].gpa), 0);
    }
    CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 2, HIGH + LARGE), 1);
    CHECK_U64(ask(v, PCI_CALL_MAP, USB, 2, HIGH + LARGE), 0); /* over the other one */
    CHECK_U64(ask(v, PCI_CALL_MAP, USB, 2, HIGH + 2 * LARGE - 64 * MIB), 0);
    CHECK_U64(ask(v, PCI_CALL_MAP, USB, 2, HIGH + 2 * LARGE), 1);
    check_large(HIGH + LARGE, LARGE_BAR, LARGE);
    check_large(HIGH + 2 * LARGE, LARGE_BAR + LARGE, 64 * MIB);
    vm_pci_stop(fake_vm);
    check_large(HIGH, 0, HIGH_SIZE);
}

static void give_much(struct plan_vm *plan) {
    give_devices(plan);
    plan->pci_high = GPA(HIGH);
    plan->pci_high_size = 600 * GIB; /* of three tables of the third level */
}

TEST(the_budget_has_the_tables_for_large_bars) {
    (void)create();
    uint64_t used = fake_vm->pool.used, budget = plan_pci_tables(&fake_plan);
    (void)create_with(give_much);
    CHECK(fake_vm->pool.used > used + 600 * PAGE_SIZE);
    CHECK(fake_vm->pool.used - used <= plan_pci_tables(&fake_plan) - budget);
}

static unsigned shown_before, longest_piece;

static void count_shown(void) {
    unsigned shown = 0;
    struct pagetable_leaf leaf;

    for (uint64_t at = BASE; at < BASE + 128 * MIB; at += PAGE_SIZE) {
        shown += pagetable_lookup(&fake_vm->npt, at, &leaf) == STATUS_OK;
    }
    unsigned piece = shown > shown_before ? shown - shown_before : shown_before - shown;
    longest_piece = piece > longest_piece ? piece : longest_piece;
    shown_before = shown;
}

/* A guest may move it, or switch its memory off and on, again and again. */
TEST(host_interrupts_are_taken_while_a_large_bar_moves) {
    card_size = 16 * MIB;
    struct vcpu *v = start();
    card_size = SIZE;
    shown_before = longest_piece = 0;
    fake_interrupt = count_shown;
    CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 0, BASE), 1);
    CHECK_U64(shown_before, 16 * MIB / PAGE_SIZE);
    CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 0, BASE + 48 * MIB), 1);
    CHECK_U64(shown_before, 16 * MIB / PAGE_SIZE);
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, 0);
    CHECK_U64(shown_before, 0);
    CHECK_U64(longest_piece, 2 * MIB / PAGE_SIZE);
    fake_interrupt = NULL;
}

static void give_back(void) {
    if (fake_interrupts_taken == 3) {
        lock_release(&fake_vm->pci_lock);
    }
}

TEST(who_waits_for_another_vcpu_takes_host_interrupts) {
    struct vcpu *v = start();
    lock_acquire(&fake_vm->pci_lock); /* on another CPU */
    CHECK(!lock_try(&fake_vm->pci_lock));
    fake_interrupts_taken = 0;
    fake_interrupt = give_back;
    CHECK_U64(ask(v, PCI_CALL_READ, CARD, 0, 0), 0x00111b36);
    fake_interrupt = NULL;
    CHECK_U64(fake_interrupts_taken, 3);
    CHECK(lock_try(&fake_vm->pci_lock));
}

TEST(the_other_cpus_of_the_vm_are_flushed_too) {
    struct vcpu *v0, *v1;
    (void)create();
    fake_create_two(&v0, &v1);
    vm_pci_start(fake_vm);
    v0->public.requests = v1->public.requests = 0;
    CHECK_U64(ask(v0, PCI_CALL_MAP, CARD, 0, BASE), 1);
    CHECK_U64(v0->public.requests & REQUEST_FLUSH, 0);
    CHECK_U64(v1->public.requests & REQUEST_FLUSH, REQUEST_FLUSH);
    fake_cpu = 1;
    fake_flushed = false;
    CHECK(vcpu_service(v1));
    CHECK(fake_flushed);
}

/* ---- interrupts ---- */

TEST(a_message_is_let_in_and_passed_on_as_the_guest_wrote_it) {
    struct vcpu *v = start();
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 2, MESSAGE, 0x51));
    CHECK_U64(v->exchange->pci.value, MESSAGE | 1);
    CHECK_U64(v->exchange->pci.data, 0);
    CHECK_U64(fake_irq_cpu, 0);
    CHECK(asks(v, PCI_CALL_VECTOR, CARD, 0, MESSAGE, 0x52));
    CHECK_U64(v->exchange->pci.data, 1);
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 2, MESSAGE, 0x53)); /* again: the same one */
    CHECK_U64(v->exchange->pci.data, 0);
    CHECK_U64(fake_vm->irqs[0].message, (uint64_t)MESSAGE << 32 | 0x53);
    CHECK(fake_vm->irqs[1].message != 0 && fake_vm->irqs[2].message == 0);
    v->lapic.reg[REG_SVR][0] = 0x1ff;
    v->public.requests = 0;
    hv_device_interrupt(0);
    CHECK_U64(v->public.requests & REQUEST_EVENT, REQUEST_EVENT);
    CHECK_U64(lapic_pending(&v->lapic), 0x53);
}

/* To the CPU of a vCPU that it is for; to the first one's if it is for none of the VM's. */
TEST(a_message_goes_to_the_cpu_of_whom_it_is_for) {
    static const struct {
        uint32_t address;
        unsigned cpu;
    } messages[] = {
        {0x00000, 2}, {0x01000, 3}, {0x02000, 2}, {0xff000, 2},
        {0x01004, 2}, {0x02004, 3}, {0x03004, 2}, {0x04004, 2}, /* logical ones */
    };
    struct vcpu *v[2];
    (void)create();
    fake_create_two(&v[0], &v[1]);
    vm_pci_start(fake_vm);
    for (unsigned i = 0; i < 3; i++) { /* the third is none */
        struct vcpu *of = &fake_vm->vcpus[i];
        of->lapic = v[0]->lapic;
        lapic_reset(&of->lapic, i, i == 0);
        of->lapic.reg[REG_LDR][0] = BIT32(24 + i);
        of->cpu = 2 + i;
    }
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        (void)ask(v[0], PCI_CALL_VECTOR, NVME, 0, MESSAGE | messages[i].address);
        CHECK_U64(fake_irq_cpu, messages[i].cpu);
    }
}

/* ---- what devices post ---- */

/* Two vCPUs that take messages, with posted interrupts, on CPUs 2 and 3. */
static struct vcpu *start_posting(void) {
    struct vcpu *v[2];
    (void)create();
    fake_create_two(&v[0], &v[1]);
    fake_irq_posts = true;
    vm_pci_start(fake_vm);
    for (unsigned i = 0; i < 2; i++) {
        v[i]->cpu = v[i]->public.cpu = 2 + i;
        v[i]->lapic.posting = v[i]->lapic.hardware = true;
        lapic_reset(&v[i]->lapic, i, i == 0);
        v[i]->lapic.reg[REG_LDR][0] = BIT32(24 + i);
        v[i]->lapic.reg[REG_SVR][0] = 0x1ff;
        v[i]->public.requests = 0;
    }
    return v[0];
}

static struct lapic_descriptor *descriptor_of(unsigned vcpu) {
    return &fake_vm->vcpus[vcpu].lapic.descriptor;
}

static void check_aim(unsigned cpu, const struct lapic_descriptor *to, uint8_t vector) {
    const struct plat_aim *aim = &fake_vm->irqs[0].entry.aim;
    CHECK_U64(aim->cpu, cpu);
    CHECK(aim->descriptor == to);
    CHECK_U64(aim->vector, to != NULL ? vector : 0);
}

TEST(a_message_for_one_vcpu_is_posted) {
    static const struct {
        uint32_t address, data;
        unsigned vcpu;
        bool posted;
    } cases[] = {
        {0x00000, 0x41, 0, true},    {0x01000, 0x42, 1, true},   {0x01004, 0x43, 0, true},
        {0x02004, 0xff, 1, true},                               /* logical ones */
        {0x01008, 0x44, 1, true},    {0x01000, 0x145, 1, true}, /* the lowest priority, of one */
        {0x02000, 0x46, 0, false},   {0xff000, 0x47, 0, false}, /* nobody, all */
        {0x03004, 0x48, 0, false},   {0x03004, 0x148, 0, false}, {0x01000, 0x0f, 1, false},
        {0x01000, 0x10, 1, true},    {0x01000, 0x441, 1, false}, /* an NMI */
        {0x01000, 0xc041, 1, false},                             /* a level */
    };
    struct vcpu *v = start_posting();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | cases[i].address, cases[i].data));
        check_aim(2 + cases[i].vcpu, cases[i].posted ? descriptor_of(cases[i].vcpu) : NULL,
                  (uint8_t)cases[i].data);
    }
    fake_irq_posts = false; /* not by this IOMMU */
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE, 0x41));
    check_aim(2, NULL, 0);
    fake_irq_posts = true;
    v->lapic.posting = false; /* nor to this CPU */
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE, 0x41));
    check_aim(2, NULL, 0);
}

/* Its entry would go on posting what the guest has taken back. */
TEST(what_is_taken_back_is_posted_no_more) {
    struct vcpu *v = start_posting();
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | 0x1000, 0x41));
    check_aim(3, descriptor_of(1), 0x41);
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, 0, 0x41));
    CHECK_U64(fake_vm->irqs[0].message, 0);
    check_aim(3, NULL, 0);
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | 0x1000, 0x41));
    check_aim(3, descriptor_of(1), 0x41);
    vm_pci_stop(fake_vm);
    check_aim(3, NULL, 0);
    CHECK_U64(fake_vm->irqs[0].entry.function, functions[NVME].function);
}

/* With each change of who takes it the message goes where it would go without being posted. */
TEST(a_posted_message_follows_the_local_apics) {
    struct vcpu *v = start_posting();
    struct vcpu *other = &fake_vm->vcpus[1];
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | 0x02004, 0x51));
    check_aim(3, descriptor_of(1), 0x51);
    lapic_mmio_write(&other->lapic, REG_LDR << 4, 4, 4u << 24);
    check_aim(2, NULL, 0); /* nobody takes it */
    lapic_mmio_write(&v->lapic, REG_LDR << 4, 4, 0x12u << 24);
    check_aim(2, descriptor_of(0), 0x51);
    lapic_mmio_write(&other->lapic, REG_LDR << 4, 4, 2u << 24);
    check_aim(2, NULL, 0);                           /* two */
    lapic_mmio_write(&v->lapic, REG_DFR << 4, 4, 0); /* a cluster is none of the flat model */
    check_aim(3, descriptor_of(1), 0x51);
    lapic_mmio_write(&other->lapic, REG_SVR << 4, 4, 0xff);
    check_aim(3, NULL, 0); /* it takes none */
    lapic_mmio_write(&other->lapic, REG_SVR << 4, 4, 0x1ff);
    check_aim(3, descriptor_of(1), 0x51);
    lapic_mmio_write(&other->lapic, REG_LDR << 4, 4, 4u << 24);
    check_aim(2, NULL, 0);
    uint64_t x2apic = LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    CHECK_U64(lapic_base_write(&other->lapic, x2apic), STATUS_OK); /* has a logical ID of its own */
    check_aim(3, descriptor_of(1), 0x51);
    CHECK_U64(lapic_base_write(&other->lapic, LAPIC_BASE), STATUS_OK); /* it is off */
    check_aim(2, NULL, 0);
    CHECK_U64(fake_vm->irqs[0].message, (uint64_t)(MESSAGE | 0x02004) << 32 | 0x51);
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE, 0x52));
    check_aim(2, descriptor_of(0), 0x52);
    lapic_init(&v->lapic);
    check_aim(2, NULL, 0);
}

/* The end of a vector that was level-triggered need not exit any more, and the CPU is told. */
TEST(a_posted_vector_is_an_edge) {
    struct vcpu *v = start_posting();
    struct vcpu *other = &fake_vm->vcpus[1];
    CHECK(lapic_accept(&other->lapic, 0x51, true));
    CHECK(lapic_levels(&other->lapic, 1) != 0);
    other->public.requests = 0;
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | 0x1000, 0x51));
    CHECK_U64(lapic_levels(&other->lapic, 1), 0);
    CHECK_U64(other->public.requests, REQUEST_EVENT);
    other->public.requests = 0;
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE | 0x1000, 0x52));
    CHECK_U64(other->public.requests, 0);
}

/* It is told of, not asked for all the rest, and at the end, which it may follow, asked again. */
TEST(an_iommu_that_does_not_follow_is_told_of) {
    struct vcpu *v = start_posting();
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE, 0x51));
    CHECK(asks(v, PCI_CALL_VECTOR, NVME, 1, MESSAGE, 0x52));
    fake_interrupts_taken = fake_irq_writes = 0;
    lapic_mmio_write(&v->lapic, REG_SVR << 4, 4, 0xff);
    CHECK_U64(fake_irq_writes, 2);
    CHECK_U64(fake_interrupts_taken, 2); /* the host's, between them */
    lapic_mmio_write(&v->lapic, REG_SVR << 4, 4, 0x1ff);
    check_aim(2, descriptor_of(0), 0x51);
    fake_irq_status = STATUS_TIMEOUT;
    fake_irq_writes = 0;
    lapic_mmio_write(&v->lapic, REG_SVR << 4, 4, 0xff);
    CHECK_U64(fake_irq_writes, 1);
    CHECK_LOG("PCI 00:00.1: the IOMMU does not do as it is told");
    said_length = 0;
    for (unsigned i = 0; i < 100; i++) {
        lapic_mmio_write(&v->lapic, REG_SVR << 4, 4, i % 2 != 0 ? 0xff : 0x1ff);
    }
    CHECK(said_length < 40 * 100); /* a guest can have it said as often as anything else */
    fake_irq_status = STATUS_OK;
    vm_pci_stop(fake_vm);
    CHECK(fake_vm->irqs[0].entry.settled && fake_vm->irqs[1].entry.settled);
    check_aim(2, NULL, 0);
}

TEST(what_is_no_message_is_not_let_in) {
    static const uint64_t wrong[] = {0, 0x1000, 0xfed00000, 0x1fee00000, UINT64_MAX};
    struct vcpu *v = start();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 0, wrong[i]), 0);
        CHECK_U64(fake_vm->irqs[0].message, 0);
    }
    fake_irq_status = STATUS_FULL;
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE), 0);
    CHECK_U64(fake_vm->irqs[0].message, 0);
}

TEST(more_messages_than_there_are_vectors_get_none) {
    struct vcpu *v = start();
    for (uint32_t i = 0; i < VM_IRQS; i++) {
        CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, i, MESSAGE), MESSAGE | 1);
    }
    CHECK(strstr(said, "wants more interrupts") == NULL);
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, VM_IRQS, MESSAGE), 0);
    CHECK_LOG("PCI 00:00.1 wants more interrupts than there are: message 64 has none");
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 5, MESSAGE), MESSAGE | 1);
}

TEST(msi_sends_what_was_allowed_and_is_switched_off_with_it) {
    struct vcpu *v = start();
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSI); /* no message is allowed so far */
    CHECK_U64(space_of(CARD, AT_MSI) >> 16 & 1, 0);
    CHECK_U64(ask(v, PCI_CALL_VECTOR, CARD, 0, MESSAGE), MESSAGE | 2);
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSI);
    CHECK_U64(space_of(CARD, AT_MSI), 0x00810005);
    CHECK_U64(space_of(CARD, AT_MSI + 4), MESSAGE | 2);
    CHECK_U64(space_of(CARD, AT_MSI + 8), 0);
    CHECK_U64(space_of(CARD, AT_MSI + 12), 0);
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSIX_MASKED);
    CHECK_U64(space_of(CARD, AT_MSI), 0x00800005);
    CHECK_U64(space_of(CARD, AT_MSIX), 0xc0030011);
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSIX);
    CHECK_U64(space_of(CARD, AT_MSIX), 0x80030011);
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_NO_MESSAGES);
    CHECK_U64(space_of(CARD, AT_MSIX), 0x00030011);
    CHECK_U64(wrong_writes, 0);
}

/* Where the message's data and its mask stand depends on the width of its address. */
TEST(msi_of_each_form) {
    static const struct {
        uint32_t before, on, data, mask;
    } forms[] = {
        {0x00000005, 0x00010005, 8, 0},
        {0x00800005, 0x00810005, 12, 0},
        {0x01700005, 0x01010005, 8, 12}, /* so many were allowed: one is */
        {0x01810005, 0x01810005, 12, 16},
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct vcpu *v = start();
        uint32_t *words = &spaces[functions[CARD].function][AT_MSI / 4];
        for (unsigned n = 1; n < 6; n++) {
            words[n] = 0xdead;
        }
        words[0] = forms[i].before;
        (void)ask(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE);
        (void)ask(v, PCI_CALL_VECTOR, CARD, 0, MESSAGE);
        (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSI);
        CHECK_U64(words[0], forms[i].on);
        CHECK_U64(words[1], MESSAGE | 2);
        for (unsigned at = 8; at < 24; at += 4) {
            uint32_t want = at == forms[i].data ? 1 : 0xdead;
            want = at == forms[i].mask || (at == 8 && forms[i].data == 12) ? 0 : want;
            CHECK_U64(words[at / 4], want);
        }
    }
}

TEST(a_message_that_changes_is_never_dropped_and_keeps_its_entry) {
    struct vcpu *v = start();
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE), MESSAGE | 1);
    uint64_t before = fake_vm->irqs[0].message;
    fake_irq_status = STATUS_TIMEOUT;
    CHECK_U64(ask(v, PCI_CALL_VECTOR, NVME, 0, MESSAGE), 0);
    CHECK(before != 0 && fake_vm->irqs[0].message == 0);
    fake_irq_status = STATUS_OK;
    CHECK_U64(ask(v, PCI_CALL_VECTOR, CARD, 0, MESSAGE), MESSAGE | 2); /* what nobody uses */
    CHECK_U64(v->exchange->pci.data, 0);
}

TEST(one_that_hangs_is_not_asked_again) {
    struct vcpu *v = start();
    dead_until[1] = UINT64_MAX;
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0x40, 0), UINT32_MAX);
    CHECK_LOG("PCI 00:00.1 is lost for this run: it does not answer any more");
    dead_until[1] = 0;
    CHECK_U64(ask(v, PCI_CALL_READ, NVME, 0x40, 0), UINT32_MAX);
}

TEST(what_is_not_decoded_is_not_mapped) {
    struct vcpu *v = start();
    struct pagetable_leaf leaf;
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, MASTER);
    CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 0, BASE), 1);
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, MASTER);
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE, &leaf), STATUS_OK);
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, 4);
    CHECK_U64(pagetable_lookup(&fake_vm->npt, BASE, &leaf), STATUS_NOT_FOUND);
}

TEST(one_that_sleeps_is_woken_before_its_reset_and_its_messages_come_back_with_it) {
    struct vcpu *v = start();
    CHECK_U64(ask(v, PCI_CALL_VECTOR, CARD, 0, MESSAGE), MESSAGE | 2);
    (void)ask(v, PCI_CALL_MESSAGES, CARD, 0, PCI_MSI);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 3);
    (void)ask(v, PCI_CALL_POWER, CARD, 0, 0);
    CHECK_U64(space_of(CARD, AT_MSI) >> 16 & 1, 0);
    fake_tsc += 10 * MS;
    (void)ask(v, PCI_CALL_READ, CARD, 0, 0);
    CHECK_U64(space_of(CARD, AT_MSI) >> 16 & 1, 1);
    (void)ask(v, PCI_CALL_POWER, NVME, 0, 3);
    vm_pci_stop(fake_vm);
    CHECK_U64(space_of(NVME, AT_POWER + 4), 0);
    CHECK_U64(wrong_writes, 0);
}

/* ---- hostile compartments ---- */

static void check_ends(enum pci_call call, uint32_t device, uint32_t at, uint64_t value) {
    struct vcpu *v = start();
    CHECK(!asks(v, call, device, at, value, 0));
    CHECK_U64(fake_vm->leave, LEAVE_CRASH);
    CHECK(vcpu_compartment_failed(v));
}

TEST(nonsense_ends_the_vm) {
    check_ends(PCI_CALLS, NVME, 0, 0);
    check_ends((enum pci_call)UINT32_MAX, NVME, 0, 0);
    check_ends(PCI_CALL_READ, DEVICES, 0, 0);
    check_ends(PCI_CALL_READ, UINT32_MAX, 0, 0);
    check_ends(PCI_CALL_READ, NVME, 256, 0);
    check_ends(PCI_CALL_READ, NVME, 2, 0);
    check_ends(PCI_CALL_MAP, NVME, 1, BASE);
    check_ends(PCI_CALL_MAP, NVME, 2, BASE);
    check_ends(PCI_CALL_MAP, NVME, 6, BASE);
    check_ends(PCI_CALL_VECTOR, NVME, 2048, MESSAGE);
    check_ends(PCI_CALL_MESSAGES, NVME, 0, PCI_MESSAGES);
    check_ends(PCI_CALL_POWER, NVME, 0, 1);
}

static uint64_t seed = 1;
static uint64_t any(uint64_t below) {
    return random_next(&seed) % below;
}

/* Each message that is passed on is one of a function of the VM's, and none is there twice. */
static void check_irqs(void) {
    const struct vm_irq *irqs = fake_vm->irqs;

    for (unsigned i = 0; i < VM_IRQS; i++) {
        CHECK(irqs[i].message == 0 || irqs[i].message >> 52 == MESSAGE >> 20);
        CHECK(irqs[i].function < DEVICES && irqs[i].number < 2048);
        for (unsigned k = 0; k < i; k++) {
            bool same = irqs[i].function == irqs[k].function && irqs[i].number == irqs[k].number;
            CHECK(!same || irqs[i].message == 0 || irqs[k].message == 0);
        }
    }
}

/* Most functions use a few messages, and all together more than there are entries for. */
static uint64_t any_number(void) {
    return any(16) != 0 ? any(40) : any(2048);
}

static uint64_t any_message(void) {
    return any(4) != 0 ? MESSAGE | any(0x100000) : any(UINT64_MAX);
}

/* What a device writes is the table's, and no page is mapped but of the VM's own BARs. */
TEST(whatever_is_asked_nothing_else_is_written_or_mapped) {
    struct vcpu *v = start();
    for (unsigned i = 0; i < 1000000; i++) {
        enum pci_call call = (enum pci_call)any(PCI_CALLS);
        uint64_t value = any(4) != 0 ? any(8) : BASE + any(0x30000) * 0x800;
        uint32_t at = (uint32_t)(call == PCI_CALL_READ ? any(64) * 4 : 0);
        at = call == PCI_CALL_VECTOR ? (uint32_t)any_number() : at;
        value = call == PCI_CALL_VECTOR ? any_message() : value;
        value = call == PCI_CALL_MESSAGES ? any(PCI_MESSAGES) : value;
        value = call == PCI_CALL_POWER ? any(2) * 3 : value;
        CHECK(asks(v, call, (uint32_t)any(DEVICES), at, value, any(UINT32_MAX)));
        fake_tsc += any(4) == 0 ? any(200 * MS) : 0;
        if (i % 1000 == 0) {
            hv_device_interrupt((unsigned)any(VM_IRQS));
            check_irqs();
        }
    }
    CHECK_U64(wrong_writes, 0);
    for (uint64_t at = BASE; at < BASE + PCI_MEMORY_SIZE; at += PAGE_SIZE) {
        struct pagetable_leaf leaf;
        if (pagetable_lookup(&fake_vm->npt, at, &leaf) == STATUS_OK) {
            CHECK(leaf.hpa.v >= USB_BAR && leaf.hpa.v < NVME_BAR + NVME_SIZE);
            CHECK(leaf.hpa.v != NVME_BAR + TABLE && leaf.hpa.v != NVME_BAR + PENDING);
        }
    }
    vm_pci_stop(fake_vm);
}

/* The tables for its BARs are there from the start: a guest that moves one takes no memory of the
 * VM's pool, however far, and both roots of a vCPU see it. */
TEST(a_bar_that_moves_takes_no_memory) {
    struct vcpu *v = start();
    struct pagetable_leaf leaf;
    uint64_t used = fake_vm->pool.used;
    (void)ask(v, PCI_CALL_COMMAND, CARD, 0, MASTER);
    for (uint64_t at = BASE; at < BASE + PCI_MEMORY_SIZE; at += 16 * MIB) {
        CHECK_U64(ask(v, PCI_CALL_MAP, CARD, 0, at), 1);
        CHECK_U64(pagetable_lookup(&fake_vm->npt, at, &leaf), STATUS_OK);
        CHECK_U64(leaf.hpa.v, CARD_BAR);
    }
    CHECK_U64(fake_vm->pool.used, used);
}

TEST_MAIN(T(one_that_is_not_as_it_was_after_it_is_lost_for_the_run),
          T(a_reset_by_advanced_features), T(a_quiet_start_names_no_device),
          T(a_start_resets_each_in_its_way_restores_it_and_lets_it_in),
          T(one_that_needs_its_time_is_waited_for_and_one_that_does_not_come_back_is_withheld),
          T(each_wait_has_its_length), T(a_capability_that_there_is_not_is_not_written),
          T(one_whose_bars_take_no_address_is_withheld),
          T(an_iommu_that_does_not_obey_withholds_it),
          T(without_an_iommu_there_are_none_and_all_else_runs),
          T(an_end_takes_all_from_them_and_resets_them), T(a_restart_resets_each_once),
          T(one_that_changed_while_nobody_had_it_is_reset_again),
          T(one_that_keeps_at_work_or_on_its_pin_is_withheld),
          T(one_that_a_reset_did_nothing_to_is_withheld),
          T(where_a_reset_of_its_own_fails_it_is_reset_with_its_bus),
          T(of_the_command_register_two_bits_are_the_guests),
          T(a_power_state_is_set_and_waking_up_takes_its_time),
          T(a_reset_of_the_guests_own_is_over_after_a_tenth_of_a_second),
          T(one_that_does_not_come_back_from_it_is_lost_for_the_run),
          T(a_bar_is_mapped_but_for_the_pages_with_its_messages),
          T(a_bar_goes_nowhere_but_into_its_window_and_over_no_other),
          T(a_large_bar_is_above_4_gib_and_takes_no_memory), T(a_large_bar_goes_nowhere_else),
          T(the_budget_has_the_tables_for_large_bars),
          T(host_interrupts_are_taken_while_a_large_bar_moves),
          T(who_waits_for_another_vcpu_takes_host_interrupts),
          T(the_other_cpus_of_the_vm_are_flushed_too),
          T(a_message_is_let_in_and_passed_on_as_the_guest_wrote_it),
          T(a_message_goes_to_the_cpu_of_whom_it_is_for), T(a_message_for_one_vcpu_is_posted),
          T(what_is_taken_back_is_posted_no_more), T(a_posted_message_follows_the_local_apics),
          T(a_posted_vector_is_an_edge), T(an_iommu_that_does_not_follow_is_told_of),
          T(what_is_no_message_is_not_let_in), T(more_messages_than_there_are_vectors_get_none),
          T(msi_sends_what_was_allowed_and_is_switched_off_with_it), T(msi_of_each_form),
          T(a_message_that_changes_is_never_dropped_and_keeps_its_entry),
          T(one_that_hangs_is_not_asked_again), T(what_is_not_decoded_is_not_mapped),
          T(one_that_sleeps_is_woken_before_its_reset_and_its_messages_come_back_with_it),
          T(nonsense_ends_the_vm), T(whatever_is_asked_nothing_else_is_written_or_mapped),
          T(a_bar_that_moves_takes_no_memory))
