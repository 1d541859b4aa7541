/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the making of a VM: memory, nested tables, devices on the bus, vCPUs, and the wires between
 * them. Everything comes from the VM's own budget and is made once.
 */
#include "hv/vm/vm.h"

#include "hv/abi.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

#define UART_PORT 0x3f8

void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason) {
    enum vm_leave none = LEAVE_NONE;
    if (__atomic_compare_exchange_n(&vm->leave, &none, leave, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED)) {
        (void)str_copy_n(vm->leave_reason, sizeof(vm->leave_reason), reason, strlen(reason));
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], REQUEST_LEAVE);
    }
}

const char *vm_state_name(enum vm_state state) {
    static const char *const names[VM_STATES] = {
        [VM_STOPPED] = "stopped", [VM_OFF] = "off",           [VM_CRASHED] = "crashed",
        [VM_HALTED] = "halted",   [VM_DELAYED] = "delayed",   [VM_STARTING] = "starting",
        [VM_RUNNING] = "running", [VM_STOPPING] = "stopping",
    };
    return names[state];
}

void vm_set_state(struct vm *vm, enum vm_state state) {
    __atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
    vm_state_changed(vm);
}

void vm_sleep_refused(struct vm *vm, unsigned type) {
    uint32_t suppressed = 0;
    if (log_enabled(LOG_DEBUG) && log_limit_pass(&vm->log_limit, &suppressed)) {
        vm_log(vm, LOG_DEBUG,
               "asked for sleep state %u, which it does not have: awake at once (%u "
               "more not shown)",
               type, suppressed);
    }
}

/* The timer's line goes to pin 2 of the I/O APIC, as the MADT says. */
void vm_set_irq(struct vm *vm, unsigned irq, bool asserted) {
    ioapic_set_line(&vm->ioapic, irq == 0 ? 2 : irq, asserted);
    pic_set_line(&vm->pic, irq, asserted);
    if (irq == RTC_IRQ) {
        pm_set_rtc_line(&vm->pm, asserted);
    }
}

/* PIT and CMOS clock are timed by vCPU 0's CPU, whoever sets them. */
void vm_clocks_changed(struct vm *vm) {
    vcpu_request(&vm->vcpus[0], REQUEST_CLOCKS);
}

bool vm_console_input(struct vm *vm, uint8_t byte) {
    lock_acquire(&vm->lock);
    bool taken = uart_receive(&vm->uart, byte);
    lock_release(&vm->lock);
    return taken;
}

void vm_console_ready(struct vm *vm) {
    lock_acquire(&vm->lock);
    uart_tx_ready(&vm->uart);
    lock_release(&vm->lock);
}

/* By delivery mode. SMI is not delivered to guests. */
static const uint8_t vm_requests[8] = {
    REQUEST_EVENT, REQUEST_EVENT, 0, 0, REQUEST_NMI, REQUEST_INIT, REQUEST_SIPI, REQUEST_EVENT};

static void vm_deliver_to(struct vcpu *v, const struct apic_message *m) {
    if (m->delivery_mode == APIC_INIT && v->index == 0) {
        vm_leave(v->vm, LEAVE_RESET, "reset by INIT to its first CPU, starting again");
        return;
    }
    if (m->delivery_mode == APIC_SIPI) {
        __atomic_store_n(&v->sipi_vector, m->vector, __ATOMIC_RELAXED);
    }
    if (m->delivery_mode > APIC_LOWEST || lapic_accept(&v->lapic, m->vector, m->level)) {
        vcpu_request(v, vm_requests[m->delivery_mode]);
    }
}

/* Lowest priority: those named take it in turn. */
void vm_deliver(struct vm *vm, const struct vcpu *sender, const struct apic_message *m) {
    uint32_t destination = m->shorthand == APIC_NAMED ? m->destination : UINT32_MAX;
    bool lowest = m->delivery_mode == APIC_LOWEST;
    uint32_t first = lowest ? __atomic_load_n(&vm->next_lowest, __ATOMIC_RELAXED) : 0;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[(first + i) % vm->vcpu_count];
        if (lapic_matches(&v->lapic, destination, m->logical) &&
            (m->shorthand != APIC_OTHERS || v != sender) && (!lowest || lapic_listens(&v->lapic))) {
            vm_deliver_to(v, m);
            if (lowest) {
                __atomic_store_n(&vm->next_lowest, v->index + 1, __ATOMIC_RELAXED);
                return;
            }
        }
    }
}

/* SDM "Message Signalled Interrupts". The end of a level is nothing: local APICs see its begin. */
void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data) {
    uint64_t word = (data & 0x87ff) | (address & MSI_LOGICAL) << 9 | address >> 12 << 56;
    struct apic_message m = apic_message(word);
    bool hint = (address & MSI_HINT) != 0 && m.delivery_mode == APIC_FIXED;
    m.delivery_mode = hint ? APIC_LOWEST : m.delivery_mode;
    if (address >> 20 == MSI_ADDRESS >> 20 && (!m.level || (data & MSI_ASSERT) != 0)) {
        vm_deliver(vm, NULL, &m);
    }
}

/* The 8259's INTR is wired to LINT0 of the first CPU; see also vcpu_pending(). */
void vm_pic_raised(struct vm *vm) {
    struct apic_message m = lapic_lint0(&vm->vcpus[0].lapic);
    vm_deliver_to(&vm->vcpus[0], &m);
}

void vm_bios_called(struct vm *vm, uint8_t vector, uint16_t ax) {
    vm_log(vm, LOG_WARN, "calls a BIOS, which guests do not have: INT %xh, AX %04xh%s", vector, ax,
           vm->bios.left == 0 ? "; from here on they are only counted, see stats" : "");
}

/* The devices of every guest's PC. */
#define VM_DEVICE(member) offsetof(struct vm, member)
const struct bus_entry vm_ports[] = {
    {UART_PORT, 8, "UART", VM_DEVICE(uart), uart_read, uart_write},
    {0x20, 2, "interrupt controller", VM_DEVICE(pic), pic_read, pic_write},
    {0xa0, 2, "interrupt controller", VM_DEVICE(pic), pic_read, pic_write},
    {0x40, 4, "timer", VM_DEVICE(pit), pit_read, pit_write},
    {0x60, 1, "keyboard controller", VM_DEVICE(chipset), chipset_read, chipset_write},
    {0x61, 1, "timer", VM_DEVICE(pit), pit_read, pit_write},
    {0x64, 1, "keyboard controller", VM_DEVICE(chipset), chipset_read, chipset_write},
    {0x70, 2, "CMOS clock", VM_DEVICE(rtc), rtc_read, rtc_write},
    {0x80, 1, "POST code", VM_DEVICE(chipset), chipset_read, chipset_write},
    {0x92, 1, "fast reset", VM_DEVICE(chipset), chipset_read, chipset_write},
    {0x4d0, 2, "interrupt controller", VM_DEVICE(pic), pic_read, pic_write},
    {PM1A_EVENT_PORT, 12, "ACPI power management", VM_DEVICE(pm), pm_read, pm_write},
    {BULKHEAD_BIOS_PORT, 4, "calls to a BIOS", VM_DEVICE(bios), bios_read, bios_write},
    {0xcf8, 8, "PCI configuration, reset", VM_DEVICE(chipset), chipset_read, chipset_write},
    {.size = 0},
};
const struct bus_entry vm_pages[] = {
    {IOAPIC_BASE, PAGE_SIZE, "I/O APIC", VM_DEVICE(ioapic), ioapic_read, ioapic_write},
    {.size = 0},
};

void vm_reset_devices(struct vm *vm) {
    lock_acquire(&vm->lock);
    uart_reset(&vm->uart, vm);
    pic_reset(&vm->pic, vm);
    ioapic_reset(&vm->ioapic, vm);
    pm_reset(&vm->pm, vm, &vm->clock);
    rtc_reset(&vm->rtc, vm, &vm->clock);
    pit_reset(&vm->pit, vm, &vm->clock);
    chipset_reset(&vm->chipset, vm);
    bios_reset(&vm->bios, vm);
    lock_release(&vm->lock);
}

static enum status vm_create_memory(struct vm *vm) {
    const struct plan_vm *plan = vm->plan;
    vm->mem = (struct gmem){.regions = plan->regions, .region_count = plan->region_count};
    enum status s = pagetable_init(&vm->npt, hvm->npt_format, &vm->pool, hvm->npt_max_level);
    for (uint32_t i = 0; s == STATUS_OK && i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        *(r->gpa.v < PLAN_HIGH_RAM ? &vm->low_ram : &vm->high_ram) += r->size;
        s = pagetable_map(&vm->npt, r->gpa.v, r->hpa, r->size,
                          PAGE_READ | PAGE_WRITE | PAGE_EXECUTE, PAGE_WB);
    }
    if (s == STATUS_OK && (hvm->features & HVM_APIC) != 0) {
        vm->xapic_page = pool_alloc(&vm->pool, PAGE_SIZE);
        s = vm->xapic_page == NULL ? STATUS_NO_MEMORY
                                   : pagetable_fork(&vm->npt, &vm->npt_xapic, &vm->pool);
    }
    return s != STATUS_OK || vm->xapic_page == NULL
               ? s
               : pagetable_map(&vm->npt_xapic, LAPIC_BASE, phys_address(vm->xapic_page), PAGE_SIZE,
                               PAGE_READ | PAGE_WRITE, PAGE_WB);
}

static enum status vm_create_vcpus(struct vm *vm) {
    enum status s = STATUS_OK;
    for (uint32_t i = 0; s == STATUS_OK && i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];
        v->vm = vm;
        v->index = i;
        v->cpu = vm->plan->cpus[i];
        v->lapic = (struct lapic){.ops = &vcpu_lapic_ops,
                                  .ctx = v,
                                  .clock = vm->clock,
                                  .hardware = (hvm->features & HVM_APIC) != 0};
        v->emulation = pool_alloc(&vm->pool, VCPU_EMULATION_SIZE);
        s = v->emulation == NULL ? STATUS_NO_MEMORY : hvm->vcpu_init(v);
        vcpu_of_cpu[v->cpu] = v;
    }
    if (s == STATUS_OK) {
        s = compartment_create(vm);
    }
    for (uint32_t i = 0; s == STATUS_OK && i < vm->vcpu_count; i++) {
        vm->vcpus[i].exchange = compartment_exchange(&vm->vcpus[i]);
    }
    return s;
}

enum status vm_create(const struct plan_vm *plan, struct vm **out) {
    struct pool pool;
    pool_init(&pool, plan->config->name, plan->budget_base, plan->budget_size);
    ASSERT(plan->cpu_count != 0 && plan->cpu_count <= PLAN_MAX_VCPUS); /* plan_check() saw to it */
    struct vm *vm = pool_alloc(&pool, sizeof(*vm));
    if (vm == NULL) {
        return STATUS_NO_MEMORY;
    }
    vm->pool = pool;
    vm->plan = plan;
    vm->vcpu_count = plan->cpu_count;
    (void)str_copy_n(vm->name, sizeof(vm->name), plan->config->name, strlen(plan->config->name));
    enum status s = vm_create_memory(vm);
    vm->clock = (struct dev_clock){plat_tsc, 0 - plat_tsc(), plat_tsc_hz(), plat_wall_seconds()};
    vm_reset_devices(vm);
    if (s == STATUS_OK) {
        s = vm_create_vcpus(vm);
    }
    if (s != STATUS_OK) {
        vm_log(vm, LOG_ERROR, "cannot be created: %s", status_name(s));
    } else {
        *out = vm;
    }
    return s;
}

/* Host interrupts are taken in between: a file may have gigabytes. */
static enum status vm_load_piece(struct vm *vm, uint64_t gpa, const uint8_t *from, uint64_t size) {
    enum status s = STATUS_OK;
    for (uint64_t done = 0; s == STATUS_OK && done < size; done += VM_PIECE) {
        s = gmem_write(&vm->mem, GPA(gpa + done), from + done, min_u64(size - done, VM_PIECE));
        plat_take_interrupts();
    }
    return s;
}

/* Texts behind struct bulkhead_start, each with its NUL. */
static enum status vm_load_texts(struct vm *vm, struct bulkhead_start *start) {
    const struct config_guest *config = vm->plan->config;
    const struct {
        const char *text;
        struct bulkhead_piece *piece;
    } texts[] = {
        {config->initrd, &start->initrd_path},  {config->cmdline, &start->cmdline},
        {config->name, &start->name},           {vm->plan->serial, &start->serial},
        {config->asset_tag, &start->asset_tag},
    };
    uint64_t gpa = BULKHEAD_START_GPA + sizeof(*start);
    enum status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < ARRAY_SIZE(texts); i++) {
        uint64_t size = strlen(texts[i].text);
        *texts[i].piece = (struct bulkhead_piece){gpa, size};
        s = vm_load_piece(vm, gpa, (const uint8_t *)texts[i].text, size + 1);
        gpa += size + 1;
    }
    return s;
}

enum status vm_load(struct vm *vm) {
    const struct boot_image *kernel = vm->plan->kernel, *initrd = vm->plan->initrd;
    struct bulkhead_start start = {
        .magic = BULKHEAD_START_MAGIC,
        .size = sizeof(start),
        .vcpu_count = vm->vcpu_count,
        .low_ram = vm->low_ram,
        .high_ram = vm->high_ram,
        .kernel.size = kernel->size,
        .initrd.size = initrd != NULL ? initrd->size : 0,
        .kernel_type = vm->plan->config->type,
    };
    memcpy(start.uuid, vm->plan->uuid, sizeof(start.uuid));
    enum status s = vm_load_texts(vm, &start);
    /* What does not fit gets an address far above all memory. */
    uint64_t top = vm->low_ram - BULKHEAD_TABLES_SIZE;
    start.initrd.gpa = ALIGN_DOWN(top - start.initrd.size, PAGE_SIZE);
    start.kernel.gpa = ALIGN_DOWN(start.initrd.gpa - kernel->size, PAGE_SIZE);
    const struct {
        uint64_t gpa;
        const void *from;
        uint64_t size;
    } copies[] = {
        {start.kernel.gpa, phys_pointer(kernel->base), kernel->size},
        {start.initrd.gpa, initrd != NULL ? phys_pointer(initrd->base) : NULL, start.initrd.size},
        {BULKHEAD_FIRMWARE_GPA, plat_guest_firmware, BULKHEAD_FIRMWARE_SIZE},
        {BULKHEAD_START_GPA, &start, sizeof(start)},
    };
    for (size_t i = 0; s == STATUS_OK && i < ARRAY_SIZE(copies); i++) {
        s = vm_load_piece(vm, copies[i].gpa, copies[i].from, copies[i].size);
    }
    return s;
}
