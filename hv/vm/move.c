/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the copy of a VM, see move.h. Knows the parts of a vCPU that are the guest's from those that
 * are the VM's own: pointers, and what hvm and plat keep. Called by hv/vm/order.c for the one side,
 * by hv/exit/life.c for the other.
 */
#include "hv/vm/move.h"

#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/memory.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

#define PATTERN 0xa5 /* what is left of a VM that was moved */

#define PATIENCE_SECONDS 1 /* with one that was asked and does not come */

enum move_stage { MOVE_NONE, MOVE_OFFERED, MOVE_TAKEN, MOVE_COPIED, MOVE_FAILED, MOVE_OVER };

/*
 * What a VM has beside its memory. It is swapped: the other VMs on its wires go on with the same
 * memory of their channels, and with the same adapter at the other end.
 */
struct move_place {
    uint32_t window_count;
    struct plan_window windows[PLAN_MAX_WINDOWS];
    uint32_t bell_cpus[ABI_CHANNELS];
    struct abi_devices devices;
    uint32_t control_count, control_cpus[CONFIG_MAX_GUESTS];
};

/* What one VM offers to the other: addresses, and what of it is no guest memory and no vCPU. */
static struct move {
    uint32_t stage; /* enum move_stage, atomic: whoever is to act next reads it */
    struct vm_public *from;
    const struct vm_public *to;
    uint32_t from_cpu, to_cpu;
    uint32_t vcpu_count, region_count;
    struct move_place place; /* of the one that goes; then of the one that comes */
    struct plan_region regions[PLAN_MAX_REGIONS];
    uint64_t low_ram, high_ram;
    hpa_t region;
    uint64_t region_size;
    uint32_t pci_count;
    hpa_t vcpus[PLAN_MAX_VCPUS], saved[PLAN_MAX_VCPUS];
    struct dev_clock clock;
    uint64_t paused_since, paused_ticks;
    uint32_t next_lowest, bios_calls_left, console_taken;
} move;

static enum move_stage move_stage(void) {
    return (enum move_stage)__atomic_load_n(&move.stage, __ATOMIC_ACQUIRE);
}

/* False if it was another one. */
static bool move_go_on(enum move_stage from, enum move_stage to) {
    uint32_t expected = from;
    return __atomic_compare_exchange_n(&move.stage, &expected, (uint32_t)to, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void move_set(enum move_stage from, enum move_stage to) {
    bool was = move_go_on(from, to);
    ASSERT(was);
}

/* ---- its place ---- */

static void move_place_read(const struct plan_vm *plan, struct move_place *out) {
    out->window_count = plan->window_count;
    memcpy(out->windows, plan->windows, sizeof(out->windows));
    memcpy(out->bell_cpus, plan->bell_cpus, sizeof(out->bell_cpus));
    out->devices = plan->devices;
    out->control_count = plan->control_count;
    memcpy(out->control_cpus, plan->control_cpus, sizeof(out->control_cpus));
}

static void move_swap(void *one, void *other, size_t size) {
    uint8_t *a = one;
    uint8_t *b = other;

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

/* Its stores stay where they are: what is in them is copied, like RAM. */
static void vm_swap_place(struct vm *vm, struct move_place *place) {
    struct plan_vm *plan = vm->kept;

    for (uint32_t i = 0; i < place->window_count; i++) {
        if (plan_is_channel(place->windows[i].kind)) {
            move_swap(&plan->windows[i].hpa, &place->windows[i].hpa, sizeof(hpa_t));
        }
    }
    move_swap(plan->bell_cpus, place->bell_cpus, sizeof(plan->bell_cpus));
    move_swap(&plan->devices, &place->devices, sizeof(plan->devices));
    move_swap(&plan->control_count, &place->control_count, sizeof(plan->control_count));
    move_swap(plan->control_cpus, place->control_cpus, sizeof(plan->control_cpus));
    compartment_turn_windows(vm);
}

/* Whoever rings for the one means the other from now on; they may have changed places before. */
static void move_swap_bells(struct vm_public *one, struct vm_public *other) {
    for (uint32_t cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        struct vm_public *place = vm_of_cpu[cpu];
        bool first = place != NULL && place->vcpus[0]->cpu == cpu;

        if (first && place->hears == one) {
            __atomic_store_n(&place->hears, other, __ATOMIC_RELEASE);
        } else if (first && place->hears == other) {
            __atomic_store_n(&place->hears, one, __ATOMIC_RELEASE);
        }
    }
}

/* What others know of the adapters and disks that go along. A cable that is pulled stays so. */
static void move_swap_public(struct vm_public *one, struct vm_public *other) {
    uint32_t links = __atomic_load_n(&one->links, __ATOMIC_SEQ_CST);

    links = __atomic_exchange_n(&other->links, links, __ATOMIC_SEQ_CST);
    __atomic_store_n(&one->links, links, __ATOMIC_SEQ_CST);
    move_swap(one->wires, other->wires, sizeof(one->wires));
    move_swap(&one->wire_count, &other->wire_count, sizeof(one->wire_count));
    move_swap(&one->disk_count, &other->disk_count, sizeof(one->disk_count));
    move_swap(&one->has_vsock, &other->has_vsock, sizeof(one->has_vsock));
}

/* ---- the one that goes ---- */

bool vm_move_offer(struct vm *vm) {
    if (!move_go_on(MOVE_NONE, MOVE_OVER)) {
        return false;
    }
    move.from = vm->public;
    move.to = vm->public->move_to;
    move.from_cpu = vm->vcpus[0].cpu;
    move.vcpu_count = vm->vcpu_count;
    move.region_count = vm->plan->region_count;
    move_place_read(vm->plan, &move.place);
    memcpy(move.regions, vm->plan->regions, sizeof(move.regions));
    move.low_ram = vm->low_ram;
    move.high_ram = vm->high_ram;
    move.region = phys_address(vm->compartment.region);
    move.region_size = vm->compartment.region_size;
    move.pci_count = vm->plan->pci_count;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        move.vcpus[i] = phys_address(&vm->vcpus[i]);
        move.saved[i] = phys_address(vm->vcpus[i].saved);
    }
    move.clock = vm->clock;
    move.paused_since = vm->paused_since;
    move.paused_ticks = vm->paused_ticks;
    move.next_lowest = vm->next_lowest;
    move.bios_calls_left = vm->bios_calls_left;
    move.console_taken = vm->console_taken;
    vcpu_save(&vm->vcpus[0]); /* the first one came here before it could wait */
    move_set(MOVE_OVER, MOVE_OFFERED);
    return true;
}

static void move_overwrite(hpa_t base, uint64_t all) {
    for (uint64_t done = 0; done < all; done += PLAT_WINDOW_SIZE) {
        hpa_t at = HPA(base.v + done);
        uint64_t size = min_u64(all - done, PLAT_WINDOW_SIZE);
        memset(plat_window_open(WINDOW_WRITE, at, size), PATTERN, size);
        plat_window_close(WINDOW_WRITE, at, size);
        plat_take_interrupts();
    }
}

static void vm_overwrite(struct vm *vm) {
    const struct plan_vm *plan = vm->plan;

    for (const struct plan_region *r = plan->regions; r < plan->regions + plan->region_count; r++) {
        move_overwrite(r->hpa, r->size);
    }
    for (const struct plan_window *w = plan->windows; w < plan->windows + plan->window_count; w++) {
        if (w->kind == PLAN_STORE) {
            move_overwrite(w->hpa, w->size);
        }
    }
    compartment_fill(vm, PATTERN);
    /* It has gone along: the next start is as the first. */
    memset(vm->shared->kept, 0, sizeof(vm->shared->kept));
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        memset(v->saved, PATTERN, sizeof(*v->saved));
        memset(v->regs, PATTERN, sizeof(v->regs));
        memset(v->lapic.reg, PATTERN, sizeof(v->lapic.reg));
    }
}

bool vm_move_wait(struct vm *vm) {
    uint64_t end = plat_tsc() + PATIENCE_SECONDS * plat_tsc_hz();

    plat_timer_set(end);
    while (move_stage() == MOVE_OFFERED || move_stage() == MOVE_TAKEN) {
        if (plat_tsc() >= end && move_go_on(MOVE_OFFERED, MOVE_FAILED)) {
            break;
        }
        plat_wait();
    }
    plat_timer_set(0);
    if (move_go_on(MOVE_FAILED, MOVE_NONE)) {
        return false;
    }
    vm_overwrite(vm);
    vm_swap_place(vm, &move.place);
    move_set(MOVE_COPIED, MOVE_OVER);
    plat_kick(move.to_cpu);
    return true;
}

/* ---- the one that comes ---- */

/* Files are shared, and have to be the same ones. */
static bool move_window_fits(const struct plan_window *from, const struct plan_window *to) {
    bool shared = from->kind == PLAN_IMAGE || from->kind == PLAN_PMEM;

    return from->kind == to->kind && from->gpa.v == to->gpa.v && from->size == to->size &&
           (!shared || from->hpa.v == to->hpa.v);
}

static bool vm_move_fits(const struct vm *vm) {
    bool fits = move.vcpu_count == vm->vcpu_count && move.low_ram == vm->low_ram &&
                vm->plan->pci_count == 0 && move.pci_count == 0 && /* they know memory's places */
                move.high_ram == vm->high_ram && move.region_size == vm->compartment.region_size &&
                move.place.window_count == vm->plan->window_count;

    for (uint32_t i = 0; fits && i < vm->plan->window_count; i++) {
        fits = move_window_fits(&move.place.windows[i], &vm->plan->windows[i]);
    }
    return fits;
}

static void move_copy_ram(const struct vm *vm, const struct plan_region *r) {
    for (uint64_t done = 0; done < r->size; done += PLAT_WINDOW_SIZE) {
        hpa_t at = HPA(r->hpa.v + done);
        uint64_t size = min_u64(r->size - done, PLAT_WINDOW_SIZE);
        const void *from = plat_window_open(WINDOW_READ, at, size);
        enum status s = vm_memory_write(vm, GPA(r->gpa.v + done), from, size);
        ASSERT(s == STATUS_OK);
        plat_window_close(WINDOW_READ, at, size);
        plat_take_interrupts();
    }
}

static void move_copy_store(const struct plan_window *from, const struct plan_window *to) {
    for (uint64_t done = 0; done < to->size; done += PLAT_WINDOW_SIZE) {
        hpa_t source = HPA(from->hpa.v + done);
        hpa_t target = HPA(to->hpa.v + done);
        uint64_t size = min_u64(to->size - done, PLAT_WINDOW_SIZE);

        memcpy(plat_window_open(WINDOW_WRITE, target, size),
               plat_window_open(WINDOW_READ, source, size), size);
        plat_window_close(WINDOW_READ, source, size);
        plat_window_close(WINDOW_WRITE, target, size);
        plat_take_interrupts();
    }
}

static void vm_copy_stores(const struct vm *vm) {
    for (uint32_t i = 0; i < vm->plan->window_count; i++) {
        if (vm->plan->windows[i].kind == PLAN_STORE) {
            move_copy_store(&move.place.windows[i], &vm->plan->windows[i]);
        }
    }
}

/* Records of the other VM, of any size. */
static void move_copy(void *to, hpa_t from, uint64_t size) {
    for (uint64_t done = 0; done < size; done += PLAT_WINDOW_SIZE) {
        hpa_t at = HPA(from.v + done);
        uint64_t part = min_u64(size - done, PLAT_WINDOW_SIZE);
        memcpy((uint8_t *)to + done, plat_window_open(WINDOW_READ, at, part), part);
        plat_window_close(WINDOW_READ, at, part);
        plat_take_interrupts();
    }
}

enum status vm_move_take(struct vm *vm) {
    bool meant = move_stage() == MOVE_OFFERED && move.to == vm->public;
    if (!meant || !move_go_on(MOVE_OFFERED, MOVE_TAKEN)) {
        return STATUS_NOT_FOUND;
    }
    if (!vm_move_fits(vm)) {
        move_set(MOVE_TAKEN, MOVE_FAILED);
        plat_kick(move.from_cpu);
        return STATUS_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < move.region_count; i++) {
        move_copy_ram(vm, &move.regions[i]);
    }
    vm_copy_stores(vm);
    move_copy(vm->compartment.region, move.region, move.region_size);
    vm_swap_place(vm, &move.place);
    move_swap_bells(move.from, vm->public);
    move_swap_public(move.from, vm->public);
    move.to_cpu = vm->vcpus[0].cpu;
    vm->clock = move.clock;
    vm->paused = true;
    vm->paused_since = move.paused_since;
    vm->paused_ticks = move.paused_ticks;
    vm->next_lowest = move.next_lowest;
    vm->bios_calls_left = move.bios_calls_left;
    vm->console_taken = move.console_taken;
    vm->live = true;
    return STATUS_OK;
}

static void vcpu_take_lapic(struct vcpu *v, const struct lapic *from) {
    uint8_t *cr8 = v->lapic.cr8;
    uint64_t notify = v->lapic.descriptor.notify; /* this CPU */

    v->lapic = *from;
    v->lapic.ctx = v;
    v->lapic.cr8 = cr8;
    v->lapic.descriptor.notify = notify | LAPIC_NOTIFIED; /* some may be there */
}

static void vcpu_take_record(struct vcpu *v, const struct vcpu *from) {
    memcpy(v->regs, from->regs, sizeof(v->regs));
    memcpy(v->compartment.regs, from->compartment.regs, sizeof(v->compartment.regs));
    v->window_interrupt = from->window_interrupt;
    v->window_nmi = from->window_nmi;
    v->nmi_used = from->nmi_used;
    v->nmi_pending = from->nmi_pending;
    v->event = from->event;
    v->halted = from->halted;
    v->waiting = from->waiting;
    v->sipi_vector = from->sipi_vector;
    v->tsc_offset = from->tsc_offset;
    v->apic_due = from->apic_due;
    v->clocks_due = from->clocks_due;
    v->paused_ticks = from->paused_ticks;
    v->upcall_flags = from->upcall_flags | UPCALL_UNWATCHED; /* that was another CPU's timer */
    memcpy(v->ended, from->ended, sizeof(v->ended));
    v->cpuid = from->cpuid;
    memcpy(v->msr_slots, from->msr_slots, sizeof(v->msr_slots));
    vcpu_take_lapic(v, &from->lapic);
    vcpu_request(&v->public, from->held | REQUEST_EVENT);
}

/* The console is another, and may have room; a bell may have rung meanwhile, for either of the two.
 */
static void vcpu_take_whole(struct vcpu *v) {
    v->bell_due = 0;
    v->bell_waits = false;
    __atomic_store_n(&v->public.rung, 0, __ATOMIC_SEQ_CST);
    vcpu_request(&v->public, REQUEST_ROOM | REQUEST_CHANNELS);
}

void vcpu_move_take(struct vcpu *v) {
    hpa_t at = move.vcpus[v->index];

    vcpu_take_record(v, plat_window_open(WINDOW_READ, at, sizeof(*v)));
    plat_window_close(WINDOW_READ, at, sizeof(*v));
    if (v->index == 0) {
        vcpu_take_whole(v);
    }
    move_copy(v->saved, move.saved[v->index], sizeof(*v->saved));
    hvm->restore(v, v->saved);
    plat_live_load(v->saved->live);
    plat_audit(); /* nothing of the other is left in this CPU's tables */
}

void vm_move_end(void) {
    move_set(MOVE_TAKEN, MOVE_COPIED);
    plat_kick(move.from_cpu);
    while (move_stage() != MOVE_OVER) {
        plat_wait();
    }
    move_set(MOVE_OVER, MOVE_NONE);
}

void vcpu_save(struct vcpu *v) {
    hvm->save(v, v->saved);
    plat_live_save(v->saved->live);
}
