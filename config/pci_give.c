/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives guests the PCI devices of the config: finds what is meant, and judges it against the
 * machine, as config/pci_judge.c has found it. Called by plan.c.
 */
#include "config/builder.h"
#include "config/pci.h"
#include "hv/lib/fmt.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

#define LIST_SIZE 120

/* Addresses with commas between them. */
struct list {
    char text[LIST_SIZE];
    size_t used;
};

static void list_add(struct list *list, const struct boot_pci *f) {
    char address[PCI_ADDRESS_SIZE];
    const char *comma = list->used != 0 ? ", " : "";

    if (list->used < LIST_SIZE) {
        list->used += fmt_print(list->text + list->used, LIST_SIZE - list->used, "%s%s", comma,
                                pci_address(f, address));
    }
}

static bool is_meant(const struct config_pci *want, const struct boot_pci *f) {
    if (want->by_id) {
        return f->vendor == want->vendor && f->device == want->device;
    }
    return f->segment == want->segment && f->function == want->function;
}

/* Of the kind that the config names: the address, or vendor and device. */
static const char *show(bool by_id, const struct boot_pci *f, char buf[PCI_ADDRESS_SIZE]) {
    if (!by_id) {
        return pci_address(f, buf);
    }
    (void)fmt_print(buf, PCI_ADDRESS_SIZE, "%04x:%04x", f->vendor, f->device);
    return buf;
}

static void refuse_missing(const struct builder *b, const struct config_guest *g,
                           const struct config_pci *want) {
    const struct boot_pci wanted = {.segment = want->segment,
                                    .function = want->function,
                                    .vendor = want->vendor,
                                    .device = want->device};
    char shown[PCI_ADDRESS_SIZE], other[PCI_ADDRESS_SIZE];

    (void)show(want->by_id, &wanted, shown);
    for (uint32_t i = 0; i < b->info->pci_count; i++) {
        const struct boot_pci *f = &b->info->pci[i];
        if (boot_pci_can_be_given(f) && str_is_near(shown, show(want->by_id, f, other))) {
            REFUSE(b, g, want->pos, "there is no PCI device %s; did you mean %s?" MSG(1161), shown,
                   other);
            return;
        }
    }
    REFUSE(b, g, want->pos,
           "there is no PCI device %s; the pre-flight lists those that there are" MSG(1162), shown);
}

/* The index of the one function that is meant; BOOT_PCI_NONE, and said why, if it is not one. */
static uint16_t find_function(const struct builder *b, const struct config_guest *g,
                              const struct config_pci *want) {
    struct list list = {.used = 0};
    uint16_t found = BOOT_PCI_NONE;
    unsigned count = 0;

    for (uint32_t i = 0; i < b->info->pci_count; i++) {
        if (is_meant(want, &b->info->pci[i])) {
            list_add(&list, &b->info->pci[i]);
            found = (uint16_t)i;
            count++;
        }
    }
    if (count == 0) {
        refuse_missing(b, g, want);
    } else if (count > 1) {
        REFUSE(b, g, want->pos,
               "PCI device %04x:%04x is there %u times: %s; name one by its address" MSG(1163),
               want->vendor, want->device, count, list.text);
        found = BOOT_PCI_NONE;
    }
    return found;
}

/* False, and said so, if a guest has it already: this one, or one before it in the file. */
static bool is_free(const struct builder *b, const struct plan_vm *vm, uint16_t index,
                    struct config_pos pos) {
    char address[PCI_ADDRESS_SIZE];

    (void)pci_address(&b->info->pci[index], address);
    for (const struct plan_vm *other = b->plan->vms; other <= vm; other++) {
        for (uint32_t i = 0; i < other->pci_count; i++) {
            if (other->pcis[i] != index) {
                continue;
            }
            REFUSE(b, vm->config, pos,
                   "PCI device %s was given to guest \"%s\" already, on line "
                   "%u; name it once" MSG(1164),
                   address, other->config->name, other->pci_pos[i].line);
            return false;
        }
    }
    return true;
}

static bool may_be_given(const struct builder *b, const struct plan_vm *vm,
                         const struct boot_pci *f, struct config_pos pos) {
    static const char no[] = "no: ";
    char address[PCI_ADDRESS_SIZE], text[PCI_VERDICT_SIZE];

    if (boot_pci_can_be_given(f)) {
        return true;
    }
    const char *why = pci_verdict(b->info, f, text);
    if (memcmp(why, no, strlen(no)) == 0) {
        why += strlen(no);
    }
    REFUSE(b, vm->config, pos, "PCI device %s cannot be given to a guest: %s; %s" MSG(1165),
           pci_address(f, address), why, pci_fix(f));
    return false;
}

/* A guest's BARs lie side by side in its window for them; two of one size need no room between. */
static uint64_t bars_size(const struct boot_pci *f) {
    uint64_t all = 0;

    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        const struct boot_pci_bar *bar = &f->bars[i];
        bool elsewhere = bar->io || boot_pci_is_high(f, i);
        all += elsewhere ? 0 : min_u64(bar->size, PCI_DEVICES_SIZE + 1ull);
    }
    return all;
}

static bool have_room(const struct builder *b, const struct plan_vm *vm, const struct boot_pci *f,
                      struct config_pos pos) {
    char address[PCI_ADDRESS_SIZE], most[24];
    uint64_t all = bars_size(f);

    for (uint32_t i = 0; i < vm->pci_count; i++) {
        all += bars_size(&b->info->pci[vm->pcis[i]]);
    }
    if (all <= PCI_DEVICES_SIZE) {
        return true;
    }
    REFUSE(
        b, vm->config, pos,
        "PCI device %s: with it the guest's devices have more registers in memory than the %s that "
        "a guest has room for; give some of them to another guest" MSG(1166),
        pci_address(f, address), fmt_size(most, PCI_DEVICES_SIZE));
    return false;
}

static void give_one(const struct builder *b, struct plan_vm *vm, const struct config_pci *want) {
    uint16_t index = find_function(b, vm->config, want);

    if (index == BOOT_PCI_NONE || !is_free(b, vm, index, want->pos) ||
        !may_be_given(b, vm, &b->info->pci[index], want->pos) ||
        !have_room(b, vm, &b->info->pci[index], want->pos)) {
        return;
    }
    vm->pcis[vm->pci_count] = index;
    vm->pci_pos[vm->pci_count] = want->pos;
    vm->pci_count++;
}

static bool has_function(const struct plan_vm *vm, uint32_t index) {
    for (uint32_t i = 0; i < vm->pci_count; i++) {
        if (vm->pcis[i] == index) {
            return true;
        }
    }
    return false;
}

/* Whole groups or none: what is missing is said once for each group. */
static void judge_group(const struct builder *b, const struct plan_vm *vm, const struct boot_pci *f,
                        struct config_pos pos) {
    char address[PCI_ADDRESS_SIZE];
    struct list list = {.used = 0};

    for (uint32_t i = 0; i < b->info->pci_count; i++) {
        const struct boot_pci *other = &b->info->pci[i];
        if (other->group == f->group && !boot_pci_is_bridge(other) && !has_function(vm, i)) {
            list_add(&list, other);
        }
    }
    if (list.used != 0) {
        REFUSE(b, vm->config, pos,
               "PCI device %s is in a group with %s, which it can reach past the IOMMU; give this "
               "guest all of them, or none" MSG(1167),
               pci_address(f, address), list.text);
    }
}

static void judge_groups(const struct builder *b, const struct plan_vm *vm) {

    for (uint32_t i = 0; i < vm->pci_count; i++) {
        const struct boot_pci *f = &b->info->pci[vm->pcis[i]];
        bool first = true;
        for (uint32_t j = 0; j < i; j++) {
            first = first && b->info->pci[vm->pcis[j]].group != f->group;
        }
        if (first) {
            judge_group(b, vm, f, vm->pci_pos[i]);
        }
    }
}

/* ---- what its compartment gets ---- */

/* Where there are two windows, the guest sees those BARs alone as wide that may be in the upper
 * one: it would put any other there, too, and not find it. */
static void tell_bars(const struct plan_vm *vm, const struct boot_pci *f, struct abi_pci *out) {
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        const struct boot_pci_bar *bar = &f->bars[i];
        bool wide = vm->pci_high_size != 0 ? boot_pci_is_high(f, i) : bar->wide;
        if (!bar->io && bar->size != 0) {
            out->bars[i] = (struct abi_pci_bar){
                .size = bar->size, .wide = wide, .prefetchable = bar->prefetchable};
        }
    }
}

static void tell_messages(struct plan_vm *vm, const struct boot_pci *f, struct abi_pci *out) {
    struct boot_pci_pages held[BOOT_PCI_HELD];

    if (!boot_pci_held(f, held)) {
        return;
    }
    out->msix = f->at_msix;
    out->vectors = f->msix.count;
    out->table = f->msix.table;
    out->table_bar = f->msix.table_bar;
    out->pending = f->msix.pending;
    out->pending_bar = f->msix.pending_bar;
    for (unsigned i = 0; i < BOOT_PCI_HELD && held[i].size != 0; i++) {
        hpa_t hpa = HPA(f->bars[held[i].bar].base + held[i].offset);
        const struct plan_window *w = add_window(vm, PLAN_DEVICE, hpa, held[i].size);
        out->held[i] = (struct abi_pci_held){.at = in_compartment(w->gpa.v),
                                             .offset = held[i].offset,
                                             .size = held[i].size,
                                             .bar = held[i].bar};
    }
}

static void tell_devices(const struct builder *b, struct plan_vm *vm) {
    vm->devices.pci_count = vm->pci_count;
    vm->devices.pci_high_size = vm->pci_high_size;
    for (uint32_t i = 0; i < vm->pci_count; i++) {
        const struct boot_pci *f = &b->info->pci[vm->pcis[i]];
        struct abi_pci *out = &vm->devices.pcis[i];

        *out = (struct abi_pci){.power = f->at_power,
                                .express = f->at_express,
                                .msi = f->at_msi,
                                .af = f->at_af,
                                .has_pin = f->pin != 0};
        tell_bars(vm, f, out);
        tell_messages(vm, f, out);
    }
}

/* ---- above 4 GiB ---- */

/* Of all of a guest's devices: bytes together, and of the largest; and which device has that. */
struct high_bars {
    uint64_t size, largest;
    uint32_t device;
};

static struct high_bars count_high(const struct builder *b, const struct plan_vm *vm) {
    struct high_bars high = {.largest = 0};

    for (uint32_t i = 0; i < vm->pci_count * BOOT_PCI_BARS; i++) {
        const struct boot_pci *f = &b->info->pci[vm->pcis[i / BOOT_PCI_BARS]];
        uint64_t size = f->bars[i % BOOT_PCI_BARS].size;
        if (!boot_pci_is_high(f, i % BOOT_PCI_BARS)) {
            continue;
        }
        high.size += size;
        if (size > high.largest) {
            high.largest = size;
            high.device = i / BOOT_PCI_BARS;
        }
    }
    return high;
}

/* The largest first, and so each at a multiple of its own size; after all other windows, the pages
 * of devices that the compartment has, too. */
static void place_high(const struct builder *b, struct plan_vm *vm, const struct high_bars *high) {
    uint64_t space = boot_guest_space(b->info);
    char address[PCI_ADDRESS_SIZE], size[24], memory[24], most[24];

    if (high->size == 0) {
        return;
    }
    vm->pci_high = GPA(ALIGN_UP(next_gpa(vm), max_u64(high->largest, GIB)));
    vm->devices.pci_high = vm->pci_high.v;
    if (range_contains(0, space, vm->pci_high.v, vm->pci_high_size)) {
        return;
    }
    REFUSE(b, vm->config, vm->pci_pos[high->device],
           "PCI device %s: the guest's devices have %s of registers in large BARs, which have no "
           "room above its memory of %s: this CPU's guests have addresses up to %s; write less "
           "memory, or give some of them to another guest" MSG(1168),
           pci_address(&b->info->pci[vm->pcis[high->device]], address), fmt_size(size, high->size),
           fmt_size(memory, vm->config->memory), fmt_size(most, space));
}

_Static_assert(CONFIG_MAX_PCI == ABI_PCIS && BOOT_PCI_BARS == ABI_PCI_BARS &&
                   BOOT_PCI_HELD == ABI_PCI_HELD,
               "the same devices");

void give_pcis(const struct builder *b) {
    for (uint32_t v = 0; b->info->pci_listed && v < b->plan->vm_count; v++) {
        struct plan_vm *vm = &b->plan->vms[v];
        for (uint32_t i = 0; i < vm->config->pci_count; i++) {
            give_one(b, vm, &vm->config->pcis[i]);
        }
        judge_groups(b, vm);
        vm->functions = b->info->pci;
        struct high_bars high = count_high(b, vm);
        vm->pci_high_size = ALIGN_UP(high.size, GIB);
        tell_devices(b, vm);
        place_high(b, vm, &high);
    }
}
