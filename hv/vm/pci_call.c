/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a VM's compartment may ask of its real PCI functions, a table; see pci.h and
 * hv/abi/compartment.h. Sources: PCI Local Bus Specification 3.0 "Configuration Space
 * Organization", "MSI Capability Structure", "MSI-X Capability and Table Structures".
 */
#include "hv/lib/msi.h"
#include "hv/lib/range.h"
#include "hv/vm/lapic_regs.h"
#include "hv/vm/limit.h"
#include "hv/vm/pci_device.h"
#include "hv/vm/upcall.h"

#define MESSAGES_MOST 2048u /* numbers that a function can have */

/* Bits of the first word of each capability. */
#define MSI_COUNT   (7 * BIT32(20)) /* of messages that are allowed */
#define MSI_WIDE    BIT32(23)
#define MSI_MASKS   BIT32(24)
#define MSIX_MASKED BIT32(30)

/* ---- messages ---- */

static bool irq_is_on(const struct vm_irq *irq) {
    return __atomic_load_n(&irq->message, __ATOMIC_RELAXED) != 0;
}

/* The one that the guest has for that message already, or one that is of no use now; NULL if there
 * is none left. */
static struct vm_irq *pci_find_irq(struct vm *vm, uint32_t function, uint32_t number) {
    struct vm_irq *none = NULL;

    for (struct vm_irq *irq = vm->irqs; irq < vm->irqs + VM_IRQS; irq++) {
        if (irq_is_on(irq) && irq->function == function && irq->number == number) {
            return irq;
        }
        if (!irq_is_on(irq) && none == NULL) {
            none = irq;
        }
    }
    return none;
}

static void pci_write_msi(const struct vm_pci *p, const struct vm_irq *irq, bool on) {
    uint32_t at = p->f.at_msi;
    uint32_t control = pci_get(p, at) & ~(PCI_MSI_ON | MSI_COUNT);

    pci_put(p, at, control);
    if (!on) {
        return;
    }
    uint32_t data = (control & MSI_WIDE) != 0 ? at + 12 : at + 8;
    pci_put(p, at + 4, (uint32_t)irq->entry.address);
    if ((control & MSI_WIDE) != 0) {
        pci_put(p, at + 8, (uint32_t)(irq->entry.address >> 32));
    }
    pci_put(p, data, irq->entry.data);
    if ((control & MSI_MASKS) != 0) {
        pci_put(p, data + 4, 0);
    }
    pci_put(p, at, control | PCI_MSI_ON);
}

static void pci_write_msix(const struct vm_pci *p, enum pci_messages messages) {
    uint32_t control = pci_get(p, p->f.at_msix) & ~(PCI_MSIX_ON | MSIX_MASKED);

    bool masked = messages == PCI_MSIX_MASKED;

    control |= masked || messages == PCI_MSIX ? PCI_MSIX_ON : 0;
    control |= masked ? MSIX_MASKED : 0;
    pci_put(p, p->f.at_msix, control);
}

/* As the guest wants it; MSI only with a message that is let in. */
static void pci_apply_messages(struct vm *vm, const struct vm_pci *p) {
    struct vm_irq *irq = pci_find_irq(vm, (uint32_t)(p - vm->pcis), 0);

    if (p->f.at_msi != 0) {
        pci_write_msi(p, irq, p->messages == PCI_MSI && irq != NULL && irq_is_on(irq));
    }
    if (p->f.at_msix != 0) {
        pci_write_msix(p, p->messages);
    }
}

/* ---- after a reset that the guest has asked for ---- */

static bool pci_is_busy(const struct vm_pci *p) {
    return p->busy_until != 0;
}

static void pci_apply_command(const struct vm_pci *p) {
    pci_put(p, COMMAND, p->command | COMMAND_INTX_OFF);
}

static void pci_lose(struct vm *vm, struct vm_pci *p, const char *why) {
    char address[FMT_PCI_SIZE];

    p->there = false;
    p->busy_until = 0;
    vm_log(vm, LOG_ERROR, "PCI %s is lost for this run: %s" MSG(3069), pci_name(p, address), why);
}

/* The time that it needs is over, or not; a guest may look whenever it likes. */
static void pci_settle(struct vm *vm, struct vm_pci *p) {
    uint64_t now = plat_tsc();

    if (p->busy_until == 0 || now < p->busy_until) {
        return;
    }
    if (pci_get(p, ID) != p->saved[ID / 4]) {
        p->late_since = p->late_since != 0 ? p->late_since : now;
        p->busy_until = now + pci_ticks(LOOK_MS);
        if (now - p->late_since >= pci_ticks(LATE_MS)) {
            pci_lose(vm, p, pci_look(p));
        }
        return;
    }
    p->busy_until = p->late_since = 0;
    pci_restore(p);
    const char *fault = pci_look(p);
    if (fault != NULL) {
        pci_lose(vm, p, fault);
        return;
    }
    pci_apply_messages(vm, p);
    pci_apply_command(p);
}

/* ---- the calls ---- */

/* What is asked, copied once; value and data are the answer, too. */
struct pci_ask {
    struct vm *vm;
    struct vcpu *v;
    struct vm_pci *p;
    uint32_t function, at;
    uint64_t value, data;
};

/* Each returns NULL, or what makes the question nonsense. */
typedef const char *pci_answer(struct pci_ask *ask);

static bool pci_answers(const struct vm_pci *p) {
    return p->there && !pci_is_busy(p);
}

static const char *pci_call_read(struct pci_ask *ask) {
    if (ask->at >= 4 * PCI_WORDS || ask->at % 4 != 0) {
        return "read no register of a PCI device";
    }
    ask->value = pci_answers(ask->p) ? pci_get(ask->p, ask->at) : PCI_NOBODY;
    if (ask->value == PCI_NOBODY && pci_answers(ask->p) && pci_get(ask->p, ID) == PCI_NOBODY) {
        /* Each further look would hold up others. */
        pci_lose(ask->vm, ask->p, "it does not answer any more");
    }
    return NULL;
}

/* The VM's other CPUs forget where the BAR was before they enter the guest again. Until then they
 * reach this VM's own device there. */
static void pci_flush(struct vcpu *v) {
    for (uint32_t i = 0; i < v->vm->vcpu_count; i++) {
        if (i != v->index) {
            vcpu_request(&v->vm->vcpus[i].public, REQUEST_FLUSH);
        }
    }
    hvm->flush(v);
}

/* Before nobody answers there any more. */
static void pci_take_away(struct pci_ask *ask) {
    pci_unmap_all(ask->vm, ask->p);
    pci_flush(ask->v);
}

static const char *pci_call_command(struct pci_ask *ask) {
    ask->p->command = (uint32_t)ask->value & COMMAND_GUEST;
    if ((ask->p->command & COMMAND_MEMORY) == 0) {
        pci_take_away(ask);
    }
    if (pci_answers(ask->p)) {
        pci_apply_command(ask->p);
    }
    return NULL;
}

/* In the window for all of them, or as a large one in that for these. */
static bool pci_is_in_window(const struct vm *vm, const struct vm_pci *p, unsigned bar,
                             uint64_t gpa) {
    const struct plan_vm *plan = vm->plan;
    uint64_t size = p->f.bars[bar].size;
    bool low = range_contains(PCI_MEMORY, PCI_MEMORY_SIZE, gpa, size);
    bool high = range_contains(plan->pci_high.v, plan->pci_high_size, gpa, size);

    if (high) {
        return boot_pci_is_high(&p->f, bar) && gpa % size == 0;
    }
    return low && gpa % PAGE_SIZE == 0;
}

/* There, and over none of the VM's other BARs. */
static bool pci_may_map(const struct vm *vm, const struct vm_pci *p, unsigned bar, uint64_t gpa) {
    uint64_t size = p->f.bars[bar].size;

    if (!pci_is_in_window(vm, p, bar, gpa)) {
        return false;
    }
    for (const struct vm_pci *other = vm->pcis; other < vm->pcis + vm->plan->pci_count; other++) {
        for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
            if (other->gpa[i] != PCI_NOWHERE &&
                range_overlaps(other->gpa[i], other->f.bars[i].size, gpa, size)) {
                return false;
            }
        }
    }
    return true;
}

static const char *pci_call_map(struct pci_ask *ask) {
    struct vm_pci *p = ask->p;
    uint64_t gpa = ask->value;
    uint32_t bar = ask->at;

    if (bar >= BOOT_PCI_BARS || p->f.bars[bar].io || p->f.bars[bar].size == 0) {
        return "moved no BAR of a PCI device";
    }
    bool moved = p->gpa[bar] != PCI_NOWHERE;
    if (moved) {
        pci_map(ask->vm, p, bar, false);
        p->gpa[bar] = PCI_NOWHERE;
    }
    ask->value = p->there && gpa != PCI_NOWHERE && pci_may_map(ask->vm, p, bar, gpa);
    if (ask->value != 0) {
        p->gpa[bar] = gpa;
        pci_map(ask->vm, p, bar, true);
    }
    if (moved || ask->value != 0) {
        pci_flush(ask->v);
    }
    return NULL;
}

/* The vCPU that the message is for: the first, if there are several, or none; *count: so many. */
static struct vcpu *pci_find_target(struct vm *vm, const struct apic_message *m, uint32_t *count) {
    struct vcpu *first = NULL;

    *count = 0;
    for (struct vcpu *v = vm->vcpus; v < vm->vcpus + vm->vcpu_count; v++) {
        if (lapic_matches(&v->lapic, m->destination, m->logical)) {
            first = first != NULL ? first : v;
            (*count)++;
        }
    }
    return first != NULL ? first : &vm->vcpus[0];
}

/* What one vCPU alone takes, as a vector and an edge, it is sent without the core. */
static struct plat_aim pci_aim(struct vm *vm, uint64_t address, uint32_t data) {
    struct apic_message m = apic_message_of_msi(address, data);
    uint32_t count;
    struct vcpu *v = pci_find_target(vm, &m, &count);
    struct plat_aim aim = {.cpu = v->cpu};

    if (v->lapic.posting && plat_irq_posts() && count == 1 && lapic_listens(&v->lapic) &&
        apic_delivers_vector(m.delivery_mode) && !m.level && m.vector >= VECTOR_FIRST) {
        aim.vector = m.vector;
        aim.descriptor = &v->lapic.descriptor;
        if (lapic_expect_posts(&v->lapic, m.vector)) {
            vcpu_request(&v->public, REQUEST_EVENT);
        }
    }
    return aim;
}

static enum status pci_allow_irq(struct vm *vm, struct vm_irq *irq, uint32_t function,
                                 uint64_t address, uint32_t data) {
    struct plat_aim aim = pci_aim(vm, address, data);
    return plat_irq_allow(&irq->entry, function, (unsigned)(irq - vm->irqs), &aim);
}

/* A message that is none for a local APIC is not sent. */
static bool pci_route(struct pci_ask *ask, struct vm_irq *irq) {
    uint32_t function = ask->p->f.function;
    uint32_t data = (uint32_t)ask->data;
    uint64_t message = 0;

    if (ask->value >> 20 == MSI_ADDRESS >> 20 && ask->p->there &&
        pci_allow_irq(ask->vm, irq, function, ask->value, data) == STATUS_OK) {
        message = ask->value << 32 | data;
    }
    if (message == 0) {
        pci_end_posts(ask->vm, irq);
    }
    irq->function = (uint8_t)ask->function;
    irq->number = (uint16_t)ask->at;
    __atomic_store_n(&irq->message, message, __ATOMIC_RELEASE);
    return message != 0;
}

/* Who has it may have a large BAR to move, and takes host interrupts meanwhile. So does who waits.
 */
static void pci_wait_for_lock(struct vm *vm) {
    while (!lock_try(&vm->pci_lock)) {
        plat_take_interrupts();
    }
}

void vm_pci_reroute(struct vm *vm) {
    if (vm->irqs == NULL || !vm->walled) {
        return;
    }
    pci_wait_for_lock(vm);
    enum status s = STATUS_OK;
    for (unsigned i = 0; i < VM_IRQS && s == STATUS_OK; i++) {
        struct vm_irq *irq = &vm->irqs[i];
        if (irq_is_on(irq)) {
            uint32_t function = irq->entry.function;
            s = pci_allow_irq(vm, irq, function, irq->message >> 32, (uint32_t)irq->message);
            pci_tell_iommu(vm, function, s);
            plat_take_interrupts(); /* a guest may do this often, and a unit takes its time */
        }
    }
    lock_release(&vm->pci_lock);
}

static const char *pci_call_vector(struct pci_ask *ask) {
    uint32_t suppressed;
    char address[FMT_PCI_SIZE];

    if (ask->at >= MESSAGES_MOST) {
        return "wanted a message that no PCI device has";
    }
    struct vm_irq *irq = pci_find_irq(ask->vm, ask->function, ask->at);
    bool routed = irq != NULL && pci_route(ask, irq);
    if (irq == NULL && limit_log_pass(ask->v, &suppressed)) {
        vm_log(ask->vm, LOG_WARN,
               "PCI %s wants more interrupts than there are: message %u has none" MSG(3070),
               pci_name(ask->p, address), ask->at);
    }
    ask->value = routed ? irq->entry.address : 0;
    ask->data = routed ? irq->entry.data : 0;
    return NULL;
}

static const char *pci_call_messages(struct pci_ask *ask) {
    if (ask->value >= PCI_MESSAGES) {
        return "wanted messages of a kind that there is not";
    }
    ask->p->messages = (enum pci_messages)ask->value;
    if (pci_answers(ask->p)) {
        pci_apply_messages(ask->vm, ask->p);
    }
    return NULL;
}

/* Registers may be lost on the way to D0. */
static const char *pci_call_power(struct pci_ask *ask) {
    struct vm_pci *p = ask->p;

    if (ask->value != 0 && ask->value != POWER_D3) {
        return "wanted a power state that there is not";
    }
    if (p->f.at_power == 0 || !pci_answers(p)) {
        return NULL;
    }
    uint32_t before = pci_get(p, p->f.at_power + POWER_CONTROL) & POWER_STATE;
    pci_set_power(p, (uint32_t)ask->value);
    if (before != 0 && ask->value == 0) {
        p->busy_until = plat_tsc() + pci_ticks(POWER_MS);
    }
    return NULL;
}

static const char *pci_call_reset(struct pci_ask *ask) {
    struct vm_pci *p = ask->p;

    ask->value = pci_answers(p) && pci_has_flr(p);
    if (ask->value != 0) {
        pci_quiesce(p);
        pci_take_away(ask);
        pci_begin_flr(p);
        p->busy_until = plat_tsc() + pci_ticks(RESET_MS);
    }
    return NULL;
}

static pci_answer *const pci_calls[PCI_CALLS] = {
    [PCI_CALL_READ] = pci_call_read,         [PCI_CALL_COMMAND] = pci_call_command,
    [PCI_CALL_MAP] = pci_call_map,           [PCI_CALL_VECTOR] = pci_call_vector,
    [PCI_CALL_MESSAGES] = pci_call_messages, [PCI_CALL_POWER] = pci_call_power,
    [PCI_CALL_RESET] = pci_call_reset,
};

bool vm_pci_call(struct vcpu *v) {
    struct vm *vm = v->vm;
    const struct exchange_pci *asked = &v->exchange->pci;
    uint32_t call = EXCHANGE_READ(asked->call);
    struct pci_ask ask = {.vm = vm,
                          .v = v,
                          .function = EXCHANGE_READ(asked->function),
                          .at = EXCHANGE_READ(asked->at),
                          .value = EXCHANGE_READ(asked->value),
                          .data = EXCHANGE_READ(asked->data)};

    if (ask.function >= vm->plan->pci_count || call >= PCI_CALLS) {
        return upcall_refuse(v, "asked for a PCI device that is not its own", "");
    }
    ask.p = &vm->pcis[ask.function];
    pci_wait_for_lock(vm);
    pci_settle(vm, ask.p);
    const char *nonsense = pci_calls[call](&ask);
    lock_release(&vm->pci_lock);
    if (nonsense != NULL) {
        return upcall_refuse(v, nonsense, "");
    }
    v->exchange->pci.value = ask.value;
    v->exchange->pci.data = ask.data;
    return true;
}
