/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of a whole VM as vm_create() makes it: it passes in both vendors' formats; a page too
 * many in any of its roots, a record within reach and a bit of a map are found.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/vmx/decode.h"
#include "fake_machine.h"
#include "fake_windows.h"
#include "hv/lib/phys.h"
#include "hv/monitor/audit_vm.h"
#include "hv/vm/pci_device.h"

static const struct vendor {
    enum audit_format format;
    const struct pagetable_format *tables;
    int (*msr_bit)(uint32_t msr, bool write);
    uint32_t features;
    size_t msr_bytes, port_bytes;
} vendors[] = {
    {AUDIT_INTEL, &pagetable_format_ept, vmx_msr_bit, HVM_EFER_PASSES, 0x1000, 0x2000},
    {AUDIT_INTEL, &pagetable_format_ept, vmx_msr_bit, HVM_EFER_PASSES | HVM_APIC, 0x1000, 0x2000},
    {AUDIT_AMD, &pagetable_format_amd, svm_msr_bit, HVM_MSRS_C001, 0x2000, 0x3000},
};

static const struct vendor *vendor;
static struct boot_info info;
static struct plan plan;

static enum status vcpu_init(struct vcpu *v) {
    return both_vcpu_init(v, PAGE_SIZE, vendor->msr_bytes, vendor->port_bytes);
}

static void unused_apic_update(UNUSED struct vcpu *v, UNUSED uint32_t words,
                               UNUSED uint16_t status) {
}
static void unused_apic_mode(UNUSED struct vcpu *v) {
}

static struct vm *start(size_t number, uint32_t mitigations) {
    vendor = &vendors[number];
    fake_ops.audit_format = vendor->format;
    fake_ops.npt_format = vendor->tables;
    fake_ops.msr_bit = vendor->msr_bit;
    fake_ops.features = vendor->features;
    fake_ops.vcpu_init = vcpu_init;
    fake_ops.apic_update = unused_apic_update;
    fake_ops.apic_mode = unused_apic_mode;
    fake_ops.npt_max_level = (mitigations & MITIGATE_SMALL_PAGES) != 0 ? 1 : 3;
    struct vm *vm = fake_machine_start()->vm;
    plan = (struct plan){.vm_count = 1};
    plan.vms[0] = fake_plan;
    vm->plan = &plan.vms[0];
    info = (struct boot_info){.plan = &plan, .mitigations = mitigations};
    return vm;
}

/* Again and in parts, as for an operator. */
static enum status audit_parts(const struct vm *vm, unsigned *parts) {
    struct audit_progress at = {.root = 0};
    enum status s = STATUS_OK;

    for (*parts = 0; s == STATUS_OK && !at.through; ++*parts) {
        s = audit_vm_again(vm, &at, 1000);
    }
    return s;
}

/* Before the guests run, and later. */
static enum status audit_both(const struct vm *vm) {
    unsigned parts;
    enum status s = audit_vm(&info, vm);

    CHECK_U64(audit_parts(vm, &parts), s);
    CHECK(s != STATUS_OK || parts > 10);
    return s;
}

/* The registers of a device, wherever in their window the guest has put them; but not the page with
 * its interrupts, no other memory, and none that is cached or executed. */
TEST(a_bar_while_the_guest_runs) {
    static struct vm_pci pci;
    const uint64_t bar = 0xc0000000, size = 4 * PAGE_SIZE;
    const struct {
        uint64_t hpa;
        unsigned access;
        enum page_type type;
        bool good;
    } pages[] = {
        {bar, PAGE_READ | PAGE_WRITE, PAGE_UC, true},
        {bar + 3 * PAGE_SIZE, PAGE_READ | PAGE_WRITE, PAGE_UC, true},
        {bar + 2 * PAGE_SIZE, PAGE_READ | PAGE_WRITE, PAGE_UC, false}, /* held */
        {bar + size, PAGE_READ | PAGE_WRITE, PAGE_UC, false},
        {bar - PAGE_SIZE, PAGE_READ | PAGE_WRITE, PAGE_UC, false},
        {bar, PAGE_READ, PAGE_UC, false},
        {bar, PAGE_READ | PAGE_WRITE, PAGE_WB, false},
        {bar, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE, PAGE_UC, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(vendors) * ARRAY_SIZE(pages); i++) {
        size_t n = i % ARRAY_SIZE(pages);
        unsigned parts;
        struct vm *vm = start(i / ARRAY_SIZE(pages), 0);
        struct pagetable small = vm->npt;

        CHECK_U64(audit_vm(&info, vm), STATUS_OK);
        pci = (struct vm_pci){.f = {.bars = {[1] = {.base = bar, .size = size}}}};
        pci.f.msix = (struct boot_pci_msix){1, 1, 1, 2 * PAGE_SIZE, 2 * PAGE_SIZE + 0x800};
        plan.vms[0].pci_count = 1;
        vm->pcis = &pci;
        small.max_level = 1;
        CHECK_U64(pagetable_map(&small, PCI_VIRTIO + 7 * PAGE_SIZE, HPA(pages[n].hpa), PAGE_SIZE,
                                pages[n].access, pages[n].type),
                  STATUS_OK);
        vm->live = true;
        CHECK_U64(audit_parts(vm, &parts), pages[n].good ? STATUS_OK : STATUS_INVALID);
        vm->live = false;
        CHECK_U64(audit_both(vm), STATUS_INVALID);
    }
}

/* The same of a large BAR above 4 GiB, by pages of 2 MiB. */
TEST(a_large_bar_while_the_guest_runs) {
    static struct vm_pci pci;
    const uint64_t bar = 0x800000000, size = 64 * MIB, high = 8 * GIB;
    const struct {
        uint64_t gpa, hpa;
        bool good;
    } pages[] = {
        {high, bar, true},         {high + GIB - 2 * MIB, bar + size - 2 * MIB, true},
        {high + GIB, bar, false},  {high - 2 * MIB, bar, false},
        {PCI_DEVICES, bar, false}, {high, bar - 2 * MIB, false},
        {high, bar + size, false}, {high, 0xc0000000, false}, /* has a held page in it */
        {high, 0xc8000000, false},                            /* is larger than that BAR */
    };
    for (size_t i = 0; i < ARRAY_SIZE(vendors) * ARRAY_SIZE(pages); i++) {
        size_t n = i % ARRAY_SIZE(pages);
        unsigned parts;
        struct vm *vm = start(i / ARRAY_SIZE(pages), 0);
        struct pagetable t = vm->npt;

        pci = (struct vm_pci){.f = {.bars = {[1] = {.base = 0xc0000000, .size = 4 * MIB},
                                             [2] = {.base = bar, .size = size, .wide = true},
                                             [4] = {.base = 0xc8000000, .size = MIB}}}};
        pci.f.msix = (struct boot_pci_msix){1, 1, 1, PAGE_SIZE, PAGE_SIZE + 0x800};
        plan.vms[0].pci_count = 1;
        plan.vms[0].pci_high = GPA(high);
        plan.vms[0].pci_high_size = GIB;
        vm->pcis = &pci;
        t.max_level = 2;
        CHECK_U64(pagetable_map(&t, pages[n].gpa, HPA(pages[n].hpa), 2 * MIB,
                                PAGE_READ | PAGE_WRITE, PAGE_UC),
                  STATUS_OK);
        vm->live = true;
        CHECK_U64(audit_parts(vm, &parts), pages[n].good ? STATUS_OK : STATUS_INVALID);
        vm->live = false;
        CHECK_U64(audit_both(vm), STATUS_INVALID);
    }
}

TEST(a_vm_as_it_is_made_passes) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        CHECK_U64(audit_both(start(i, 0)), STATUS_OK);
        CHECK_U64(audit_both(start(i, MITIGATE_SMALL_PAGES)), STATUS_OK);
    }
}

TEST(large_pages_in_spite_of_the_flaw) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vm *vm = start(i, 0);
        info.mitigations = MITIGATE_SMALL_PAGES;
        CHECK_U64(audit_both(vm), STATUS_INVALID);
    }
}

static void add_page(struct pagetable *t, struct vm *vm, uint64_t gpa) {
    CHECK_U64(pagetable_map(t, gpa, vm->plan->budget_base, PAGE_SIZE, PAGE_READ, PAGE_WB),
              STATUS_OK);
}

TEST(a_page_too_many_in_each_root) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vm *vm = start(i, 0);
        add_page(&vm->npt, vm, GIB);
        CHECK_U64(audit_both(vm), STATUS_INVALID);

        vm = start(i, 0);
        add_page(&vm->compartment.npt, vm, COMPARTMENT_GPA + COMPARTMENT_SLOTS);
        CHECK_U64(audit_both(vm), STATUS_INVALID);

        vm = start(i, 0);
        if (vm->xapic_page != NULL) {
            add_page(&vm->npt_xapic, vm, LAPIC_BASE + PAGE_SIZE);
            CHECK_U64(audit_both(vm), STATUS_INVALID);
        }
    }
}

/* Each entry of the compartment's leaves in its span, with more rights. */
TEST(a_right_too_many_of_the_compartment) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        static const uint64_t offsets[] = {0,
                                           0x1000,
                                           0x2000,
                                           COMPARTMENT_DEVICES,
                                           COMPARTMENT_TABLES,
                                           COMPARTMENT_SLOTS + COMPARTMENT_STACK,
                                           COMPARTMENT_SLOTS + COMPARTMENT_EXCHANGE};
        for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
            struct vm *vm = start(i, 0);
            uint64_t gpa = COMPARTMENT_GPA + offsets[o], *table = vm->compartment.npt.root;
            for (unsigned shift = 39; shift > 12; shift -= 9) {
                table = phys_pointer(HPA(table[gpa >> shift & 511] & BITS(12, 51)));
            }
            uint64_t *entry = &table[gpa >> 12 & 511];
            CHECK(*entry != 0);
            /* Writing, for what may not; executing for what may. */
            uint64_t write = BIT(1), execute = vendor->format == AUDIT_INTEL ? BIT(2) : BIT(63);
            *entry ^= (*entry & write) == 0 ? write : execute;
            CHECK_U64(audit_both(vm), STATUS_INVALID);
        }
    }
}

static uint64_t *leaf_of(const struct pagetable *t, uint64_t gpa) {
    uint64_t *table = t->root;
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = &table[gpa >> shift & 511];
        if (shift == 12 || (shift <= 30 && (*entry & BIT(7)) != 0)) {
            return entry;
        }
        table = phys_pointer(HPA(*entry & BITS(12, 51)));
    }
}

static struct vm *start_with_windows(size_t number) {
    fake_plan_more = fake_windows_add;
    struct vm *vm = start(number, 0);
    fake_plan_more = NULL;
    return vm;
}

static const uint64_t windows[] = {FAKE_IMAGE, FAKE_PMEM, FAKE_STORE, FAKE_OURS, FAKE_THEIRS};

/* Each bit of the leaf, and none of them. */
static void check_leaf(const struct vm *vm, uint64_t *entry) {
    uint64_t good = *entry;

    for (unsigned bit = 0; bit < 64; bit++) {
        *entry = good ^ BIT(bit);
        CHECK_U64(audit_both(vm), STATUS_INVALID);
    }
    *entry = 0;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
    *entry = good;
}

/* Of each kind of window, the first and the last leaf, also in the guest's tables. */
TEST(windows_as_they_are_planned) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vm *vm = start_with_windows(i);
        plan.vms[0].windows[vm->plan->window_count] =
            (struct plan_window){GPA(FAKE_THEIRS + 4 * MIB), HPA((uintptr_t)fake_frames), PAGE_SIZE,
                                 PLAN_PMEM}; /* none */
        CHECK_U64(audit_both(vm), STATUS_OK);
        for (uint32_t n = 0; n < vm->plan->window_count; n++) {
            const struct plan_window *w = &vm->plan->windows[n];
            CHECK_U64(w->gpa.v, windows[n]);
            check_leaf(vm, leaf_of(&vm->compartment.npt, w->gpa.v));
            check_leaf(vm, leaf_of(&vm->compartment.npt, w->gpa.v + w->size - PAGE_SIZE));
        }
        check_leaf(vm, leaf_of(&vm->npt, FAKE_PMEM));
        check_leaf(vm, leaf_of(&vm->npt, FAKE_PMEM + 2 * MIB));
        CHECK_U64(audit_both(vm), STATUS_OK);
    }
}

/* The image in memory is the guest's, also where it is the first window. */
static void add_image_in_memory(struct plan_vm *of) {
    fake_windows_add(of);
    of->windows[0] = of->windows[1];
    of->window_count = 1;
}

TEST(an_image_in_memory_alone) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        fake_plan_more = add_image_in_memory;
        struct vm *vm = start(i, 0);
        fake_plan_more = NULL;
        CHECK_U64(audit_both(vm), STATUS_OK);
        check_leaf(vm, leaf_of(&vm->npt, FAKE_PMEM));
    }
}

/* No window but an image in memory is the guest's; none but the planned ones is anybody's. */
TEST(a_window_too_many) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vm *vm;
        for (size_t n = 0; n < ARRAY_SIZE(windows); n++) {
            vm = start_with_windows(i);
            const struct plan_window *w = &vm->plan->windows[n];
            if (w->kind == PLAN_PMEM) {
                continue;
            }
            CHECK_U64(pagetable_map(&vm->npt, w->gpa.v, w->hpa, PAGE_SIZE, PAGE_READ, PAGE_WB),
                      STATUS_OK);
            CHECK_U64(audit_both(vm), STATUS_INVALID);
        }
        vm = start_with_windows(i);
        CHECK_U64(pagetable_map(&vm->compartment.npt, FAKE_THEIRS + CHANNEL_HALF,
                                HPA((uintptr_t)fake_frames), PAGE_SIZE, PAGE_READ, PAGE_WB),
                  STATUS_OK);
        CHECK_U64(audit_both(vm), STATUS_INVALID);
        vm = start_with_windows(i);
        vm->compartment.region_size -= PAGE_SIZE; /* the page of the devices */
        plan.vms[0].window_count--;
        CHECK_U64(audit_both(vm), STATUS_INVALID);
    }
}

TEST(a_record_within_reach) {
    struct vm *vm = start(0, 0);
    vm->vcpus[0].vendor = vm->compartment.region;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
    vm = start(0, 0);
    vm->vcpus[0].port_map = vm->compartment.region + vm->compartment.region_size - PAGE_SIZE;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
    vm = start(0, 0);
    vm->compartment.region = (uint8_t *)vm;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
    vm = start(1, 0);
    vm->xapic_page = vm->vcpus[0].msr_map;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
}

/* Each map is what it has to be, only in a place that the compartment can write. */
TEST(a_map_within_reach) {
    for (unsigned n = 0; n < 3; n++) {
        struct vm *vm = start(0, 0);
        struct vcpu *v = &vm->vcpus[0];
        uint8_t **const maps[] = {&v->msr_map, &v->msr_map_x2apic, &v->port_map};
        uint8_t *page = vm->compartment.region + vm->compartment.region_size - 4 * PAGE_SIZE;
        if (*maps[n] != NULL) {
            memcpy(page, *maps[n], PAGE_SIZE);
            *maps[n] = page;
            CHECK_U64(audit_both(vm), STATUS_INVALID);
        }
    }
}

static void add_vcpu(struct plan_vm *p) {
    p->cpu_count = 2;
    p->cpus[1] = 1;
}

/* A bit too many in this map, and then it is as it was. */
static void check_map(const struct vm *vm, uint8_t *bits) {
    *bits ^= 1;
    CHECK_U64(audit_both(vm), STATUS_INVALID);
    *bits ^= 1;
    CHECK_U64(audit_both(vm), STATUS_OK);
}

TEST(maps_of_any_vcpu) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        fake_plan_more = add_vcpu;
        struct vm *vm = start(i, 0);
        fake_plan_more = NULL;
        for (uint32_t n = 0; n < 2; n++) {
            check_map(vm, &vm->vcpus[n].port_map[0x3f8 / 8]);
            check_map(vm, &vm->vcpus[n].msr_map[0]);
        }
    }
}

TEST_MAIN(T(a_vm_as_it_is_made_passes), T(a_bar_while_the_guest_runs),
          T(a_large_bar_while_the_guest_runs), T(large_pages_in_spite_of_the_flaw),
          T(a_page_too_many_in_each_root), T(a_right_too_many_of_the_compartment),
          T(windows_as_they_are_planned), T(an_image_in_memory_alone), T(a_window_too_many),
          T(a_record_within_reach), T(a_map_within_reach), T(maps_of_any_vcpu))
