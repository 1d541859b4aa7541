/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the exchange page and the emulator: what an exit brings, and what became of it. The
 * guest's state beyond its general registers is asked for when the emulator first wants some of it;
 * what it sets, what it writes to the local APIC and what is not there is told at the end.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/entry/hardware.h"
#include "hv/lib/str.h"

/* ---- what the emulator asks for ---- */

static __attribute__((noinline)) void emulator_ask_state(struct emulator *m) {
    (void)core_call(m->page, CORE_STATE);
    m->page->state.regs_set = 0;
    m->page->state.segments_set = 0;
    m->has_state = true;
}

static struct exchange_state *emulator_state(struct emulator *m) {
    if (!m->has_state) {
        emulator_ask_state(m);
    }
    return &m->page->state;
}

static uint64_t emulator_get(void *context, enum hvm_reg r) {
    return emulator_state(context)->reg[r];
}

static void emulator_set(void *context, enum hvm_reg r, uint64_t value) {
    struct emulator *m = context;
    struct exchange_state *s = emulator_state(m);

    if (s->reg[r] != value) {
        s->reg[r] = value;
        s->regs_set |= BIT32(r);
        m->page->told |= TOLD_STATE;
    }
}

static void emulator_get_segment(void *context, enum hvm_seg s, struct hvm_segment *out) {
    *out = emulator_state(context)->segment[s];
}

static void emulator_set_segment(void *context, enum hvm_seg s, const struct hvm_segment *in) {
    struct emulator *m = context;
    struct exchange_state *state = emulator_state(m);

    state->segment[s] = *in;
    state->segments_set |= BIT32(s);
    m->page->told |= TOLD_STATE;
}

static uint32_t emulator_get_pkru(void *context) {
    return emulator_state(context)->pkru;
}

static void emulator_get_vector(void *context, unsigned reg, uint64_t out[2]) {
    struct exchange *e = ((struct emulator *)context)->page;

    e->argument = reg;
    (void)core_call(e, CORE_VECTOR_GET);
    memcpy(out, e->vector, sizeof(e->vector));
}

static void emulator_set_vector(void *context, unsigned reg, const uint64_t in[2]) {
    struct exchange *e = ((struct emulator *)context)->page;

    e->argument = reg;
    memcpy(e->vector, in, sizeof(e->vector));
    (void)core_call(e, CORE_VECTOR_SET);
}

/* ---- the bus, and the local APIC's page before it ---- */

static bool emulator_is_apic(const struct exchange *e, enum bus_space space, uint64_t at) {
    return space == BUS_MEMORY && ALIGN_DOWN(at, PAGE_SIZE) == e->apic_page;
}

static void emulator_refuse(struct exchange *e, enum bus_space space, bool write, uint64_t at) {
    if ((e->told & TOLD_REFUSED) != 0) {
        outside_tell(e);
    }
    e->refused = (struct exchange_access){.at = at, .space = space, .write = write};
    e->told |= TOLD_REFUSED;
}

/* What the instruction has written there before counts. */
static uint64_t emulator_read_apic(struct exchange *e, uint64_t at) {
    if (LIKELY(at == e->apic_at)) {
        return e->apic_value;
    }
    if ((e->told & TOLD_APIC) != 0) {
        outside_tell(e);
    }
    e->argument = at;
    (void)core_call(e, CORE_APIC_READ);
    return e->argument;
}

static void emulator_write_apic(struct exchange *e, uint64_t at, unsigned size, uint64_t value) {
    if ((e->told & TOLD_APIC) != 0) {
        outside_tell(e);
    }
    e->apic = (struct exchange_access){.at = at, .value = value, .size = size};
    e->apic_at = UINT64_MAX;
    e->told |= TOLD_APIC;
}

static __attribute__((noinline)) uint64_t
emulator_read_bus(struct emulator *m, enum bus_space space, uint64_t at, unsigned size) {
    struct platform *p = hardware_lock(m->hardware, m->page);
    struct bus_answer answer = platform_read(p, space, at, size);
    hardware_unlock(m->hardware);
    if (UNLIKELY(answer.there == 0)) {
        emulator_refuse(m->page, space, false, at);
    }
    return answer.value;
}

/* Nothing is left to do after most reads, so that they end in the device. A vCPU that is alone is
 * the caller since the start. */
static uint64_t emulator_read(void *context, enum bus_space space, uint64_t at, unsigned size) {
    struct emulator *m = context;
    struct hardware *h = m->hardware;

    if (emulator_is_apic(m->page, space, at)) {
        return emulator_read_apic(m->page, at % PAGE_SIZE);
    }
    if (UNLIKELY(h->is_shared || !platform_is_last(&h->platform, space, at, size))) {
        return emulator_read_bus(m, space, at, size);
    }
    return platform_read_last(&h->platform, space, at, size);
}

static void emulator_write(void *context, enum bus_space space, uint64_t at, unsigned size,
                           uint64_t value) {
    struct emulator *m = context;

    if (emulator_is_apic(m->page, space, at)) {
        emulator_write_apic(m->page, at % PAGE_SIZE, size, value);
        return;
    }
    struct platform *p = hardware_lock(m->hardware, m->page);
    bool there = platform_write(p, space, at, size, value);
    hardware_unlock(m->hardware);
    if (UNLIKELY(!there)) {
        emulator_refuse(m->page, space, true, at);
    }
}

static const struct emulation_ops emulator_ops = {
    .get = emulator_get,
    .set = emulator_set,
    .get_segment = emulator_get_segment,
    .set_segment = emulator_set_segment,
    .get_pkru = emulator_get_pkru,
    .read = emulator_read,
    .write = emulator_write,
    .get_vector = emulator_get_vector,
    .set_vector = emulator_set_vector,
};

/* ---- the upcalls ---- */

void emulator_start(struct hardware *h) {
    const struct exchange_vm *vm = h->vm;
    const struct abi_devices *devices = compartment_devices();
    uint32_t count = vm->high_ram != 0 ? 2 : 1;

    h->ram[0] = (struct guest_region){.gpa = 0, .size = vm->low_ram, .at = compartment_ram(0)};
    if (count == 2) {
        h->ram[1] = (struct guest_region){
            .gpa = 4 * GIB, .size = vm->high_ram, .at = compartment_ram(4 * GIB)};
    }
    for (uint32_t i = 0; i < devices->pmem_count; i++) {
        const struct abi_pmem *pmem = &devices->pmems[i];
        h->ram[count + i] = (struct guest_region){
            .gpa = pmem->gpa, .size = pmem->size, .at = compartment_ram(pmem->gpa)};
    }
    h->memory =
        (struct guest_memory){.regions = h->ram, .count = count, .read_only = devices->pmem_count};
    for (unsigned i = 0; i < min_u64(vm->vcpus, COMPARTMENT_VCPUS); i++) {
        struct emulator *m = &h->emulators[i];
        memset(m, 0, sizeof(*m));
        m->hardware = h;
        m->page = compartment_page(i);
        m->e.regs = m->page->regs;
        m->e.exit = &m->page->exit;
        m->e.code = &m->page->code_at;
        m->e.ops = &emulator_ops;
        m->e.context = m;
        m->e.memory = h->memory;
        m->e.phys_bits = (uint8_t)vm->phys_bits;
    }
}

static struct emulator *emulator_begin(struct hardware *h, const struct exchange *page) {
    struct emulator *m = &h->emulators[page->index];

    m->has_state = false;
    m->e.task_switched = false;
    m->e.regs_set = EMULATED_REGS_ALL;
    return m;
}

static void emulator_end(const struct emulator *m, enum emulated outcome) {
    struct exchange *page = m->page;

    page->outcome = outcome;
    page->regs_set = m->e.regs_set;
    if (UNLIKELY(outcome != EMULATED_NEXT)) {
        page->fault = m->e.fault;
        page->crash = m->e.crash;
        page->task_switched = m->e.task_switched;
    }
}

void emulator_memory(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    emulator_end(m, emulate_memory(&m->e));
}

void emulator_string(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    emulator_end(m, emulate_port(&m->e));
}

void emulator_task(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    emulator_end(m, emulate_task_switch(&m->e));
}

void emulator_length(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    m->e.regs_set = EMULATED_REGS_NONE;
    emulator_end(m, emulate_length(&m->e));
}

void emulator_code(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    e->argument = emulate_code(&m->e, e->code, EXCHANGE_CODE);
}

void emulator_pdptes(struct hardware *h, struct exchange *e) {
    struct emulator *m = emulator_begin(h, e);
    e->argument = emulate_pdptes_valid(&m->e, e->argument);
}
