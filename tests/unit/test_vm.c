/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The making of a VM and what its memory holds at its start, on the fake machine: struct
 * bulkhead_start with its texts, the files at the top of low RAM; and what is said
 * when something does not fit.
 */
#include "fake_log.h"
#include "fake_machine.h"
#include "hv/lib/phys.h"

static uint64_t now_us(void) {
    return 0;
}

static const struct log_hooks hooks = {now_us, plat_cpu, keep, NULL};

static uint8_t kernel_file[3 * MIB / 2 + 5], initrd_file[5000];
static struct boot_image kernel, initrd;

static void fill(uint8_t *at, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)((i * 31 + i / 256 + seed) | 1);
    }
}

static void begin(void) {
    log_init(&hooks, LOG_INFO);
    told[0] = '\0';
    (void)fake_machine_start();
    fill(kernel_file, sizeof(kernel_file), 1);
    fill(initrd_file, sizeof(initrd_file), 2);
    kernel = (struct boot_image){.base = HPA((uintptr_t)kernel_file), .size = sizeof(kernel_file)};
    initrd = (struct boot_image){.base = HPA((uintptr_t)initrd_file), .size = sizeof(initrd_file)};
    fake_plan.kernel = &kernel;
    fake_plan.initrd = &initrd;
    for (unsigned i = 0; i < UUID_SIZE; i++) {
        fake_plan.uuid[i] = (uint8_t)(0xa0 + i);
    }
    strcpy(fake_plan.serial, "serial-1");
    strcpy(fake_config.initrd, "guests/web.img");
    strcpy(fake_config.cmdline, "console=ttyS0 quiet");
    strcpy(fake_config.asset_tag, "");
    fake_config.type = BULKHEAD_KERNEL_LINUX;
}

static const uint8_t *at(uint64_t gpa) {
    return gmem_pointer(&fake_vm->mem, GPA(gpa), 1);
}

static struct bulkhead_start loaded(void) {
    struct bulkhead_start start;
    memset(phys_pointer(fake_plan.regions[0].hpa), 0xee, FAKE_RAM); /* no NUL where none is put */
    CHECK_U64(vm_load(fake_vm), STATUS_OK);
    memcpy(&start, at(BULKHEAD_START_GPA), sizeof(start));
    return start;
}

static void check_text(const struct bulkhead_piece *piece, uint64_t gpa, const char *text) {
    CHECK_U64(piece->gpa, gpa);
    CHECK_U64(piece->size, strlen(text));
    CHECK(memcmp(at(gpa), text, strlen(text) + 1) == 0);
}

TEST(what_the_loader_is_told) {
    begin();
    struct bulkhead_start start = loaded();
    CHECK_U64(start.magic, BULKHEAD_START_MAGIC);
    CHECK_U64(start.size, sizeof(start));
    CHECK_U64(start.vcpu_count, 1);
    CHECK_U64(start.low_ram, FAKE_RAM);
    CHECK_U64(start.high_ram, 0);
    CHECK_U64(start.kernel_type, BULKHEAD_KERNEL_LINUX);
    CHECK_U64(start.memory_map.size, 0);
    CHECK_U64(start.rsdp, 0);
    CHECK(memcmp(start.uuid, fake_plan.uuid, UUID_SIZE) == 0);
}

/* One after the other behind the struct, each with its NUL; an empty one is there as well. The
 * command line, which may grow, is the last. */
TEST(texts) {
    begin();
    struct bulkhead_start start = loaded();
    uint64_t gpa = BULKHEAD_START_GPA + sizeof(start);
    check_text(&start.initrd_path, gpa, "guests/web.img");
    check_text(&start.name, gpa += strlen("guests/web.img") + 1, "fake");
    check_text(&start.serial, gpa += strlen("fake") + 1, "serial-1");
    check_text(&start.asset_tag, gpa += strlen("serial-1") + 1, "");
    check_text(&start.cmdline, gpa += 1, "console=ttyS0 quiet");
    CHECK_U64(*at(gpa + strlen("console=ttyS0 quiet") + 1), 0xee);
}

/* The longest texts that a config can have stay below what the loader writes. */
TEST(longest_texts_end_below_the_tables) {
    begin();
    memset(fake_config.initrd, 'i', sizeof(fake_config.initrd) - 1);
    memset(fake_config.cmdline, 'c', sizeof(fake_config.cmdline) - 1);
    memset(fake_config.asset_tag, 'a', sizeof(fake_config.asset_tag) - 1);
    memset(fake_plan.serial, 's', sizeof(fake_plan.serial) - 1);
    struct bulkhead_start start = loaded();
    CHECK(start.cmdline.gpa + start.cmdline.size < 0xf0000 - 0x100);
    CHECK_U64(start.cmdline.size, sizeof(fake_config.cmdline) - 1);
    memset(fake_config.initrd, 0, sizeof(fake_config.initrd));
    memset(fake_config.cmdline, 0, sizeof(fake_config.cmdline));
}

/* At the top of low RAM: the initrd above the kernel, both on pages, room for tables above. */
TEST(files) {
    begin();
    fake_interrupts_taken = 0;
    struct bulkhead_start start = loaded();
    uint64_t top = FAKE_RAM - BULKHEAD_TABLES_SIZE;
    CHECK_U64(start.initrd.size, sizeof(initrd_file));
    CHECK_U64(start.initrd.gpa, top - 2 * PAGE_SIZE);
    CHECK_U64(start.kernel.size, sizeof(kernel_file));
    CHECK_U64(start.kernel.gpa, start.initrd.gpa - ALIGN_UP(sizeof(kernel_file), PAGE_SIZE));
    CHECK(memcmp(at(start.kernel.gpa), kernel_file, sizeof(kernel_file)) == 0);
    CHECK(memcmp(at(start.initrd.gpa), initrd_file, sizeof(initrd_file)) == 0);
    CHECK_U64(*at(start.initrd.gpa + sizeof(initrd_file)), 0xee);
    CHECK_U64(fake_interrupts_taken, 2 + 1); /* the kernel in two pieces, the initrd */
}

TEST(no_initrd) {
    begin();
    fake_plan.initrd = NULL;
    fake_config.initrd[0] = '\0';
    struct bulkhead_start start = loaded();
    CHECK_U64(start.initrd.size, 0);
    CHECK_U64(start.initrd_path.size, 0);
    CHECK_U64(start.kernel.gpa,
              FAKE_RAM - BULKHEAD_TABLES_SIZE - ALIGN_UP(sizeof(kernel_file), PAGE_SIZE));
}

/* More than there is: refused, and nothing is written outside the guest's memory. */
TEST(a_kernel_larger_than_memory) {
    begin();
    kernel.size = 2 * FAKE_RAM;
    CHECK_U64(vm_load(fake_vm), STATUS_NOT_FOUND);
}

static uint64_t mapped_size(const struct pagetable *npt, uint64_t gpa, unsigned *type) {
    struct pagetable_leaf leaf;
    if (pagetable_lookup(npt, gpa, &leaf) != STATUS_OK) {
        return 0;
    }
    *type = leaf.type;
    return leaf.size;
}

/* Two pieces of memory, the second one above 4 GiB. */
TEST(a_guests_time_begins_at_zero) {
    fake_tsc = 123456;
    begin();
    CHECK_U64(fake_vm->clock.offset, 0 - fake_tsc);
    CHECK_U64(clock_now(&fake_vm->clock), 0);
}

TEST(memory_above_4_gib) {
    begin();
    struct vm *vm = NULL;
    unsigned type = 99;
    fake_plan.region_count = 2;
    fake_plan.regions[1] = fake_plan.regions[0];
    fake_plan.regions[0].size = 6 * MIB;
    fake_plan.regions[1].gpa = GPA(PLAN_HIGH_RAM);
    fake_plan.regions[1].hpa.v += 6 * MIB;
    fake_plan.regions[1].size = 2 * MIB;
    CHECK_U64(vm_create(&fake_plan, &fake_public, &vm), STATUS_OK);
    CHECK_U64(vm->low_ram, 6 * MIB);
    CHECK_U64(vm->high_ram, 2 * MIB);
    CHECK(mapped_size(&vm->npt, PLAN_HIGH_RAM, &type) != 0);
    CHECK_U64(type, PAGE_WB);
    CHECK_U64(mapped_size(&vm->npt, 6 * MIB, &type), 0);
    CHECK_U64(vm_load(vm), STATUS_OK);
    struct bulkhead_start start;
    memcpy(&start, gmem_pointer(&vm->mem, GPA(BULKHEAD_START_GPA), sizeof(start)), sizeof(start));
    CHECK_U64(start.high_ram, 2 * MIB);
}

/* A CPU that virtualizes the APIC shows its own registers in the place of one empty page. */
TEST(a_page_for_the_virtual_xapic) {
    begin();
    struct vm *vm = NULL;
    unsigned type = 99;
    CHECK(fake_vm->xapic_page == NULL);
    fake_ops.features |= HVM_APIC;
    CHECK_U64(vm_create(&fake_plan, &fake_public, &vm), STATUS_OK);
    fake_ops.features &= ~(unsigned)HVM_APIC;
    CHECK(vm->xapic_page != NULL);
    CHECK(vm->vcpus[0].lapic.hardware && !vm->vcpus[0].lapic.posting);
    fake_ops.features |= HVM_APIC | HVM_POSTING;
    CHECK_U64(vm_create(&fake_plan, &fake_public, &vm), STATUS_OK);
    fake_ops.features &= ~(unsigned)(HVM_APIC | HVM_POSTING);
    CHECK(vm->vcpus[0].lapic.hardware && vm->vcpus[0].lapic.posting);
    CHECK_U64(vm->vcpus[0].lapic.descriptor.notify, plat_post_word(vm->vcpus[0].cpu));
    CHECK_U64(mapped_size(&vm->npt_xapic, LAPIC_BASE, &type), PAGE_SIZE);
    CHECK_U64(type, PAGE_WB);
    CHECK_U64(mapped_size(&vm->npt, LAPIC_BASE, &type), 0);
}

/* Wherever the budget ends, the VM is refused with a reason, never half made. */
TEST(budgets_too_small) {
    begin();
    unsigned refused = 0;
    for (uint64_t size = PAGE_SIZE; size < FAKE_BUDGET; size += PAGE_SIZE) {
        struct vm *vm = NULL;
        fake_plan.budget_size = size;
        fake_plan.cpu_count = 2;
        fake_plan.cpus[1] = 1;
        told[0] = '\0';
        if (vm_create(&fake_plan, &fake_public, &vm) == STATUS_OK) {
            CHECK(vm != NULL);
            break;
        }
        CHECK(vm == NULL);
        CHECK(strstr(told, "out of memory: ") != NULL);
        CHECK(size <= sizeof(struct vm) ||
              strstr(told, "fake: error: cannot be created: out of memory [BH3022]\n") != NULL);
        refused++;
    }
    CHECK(refused > sizeof(struct vm) / PAGE_SIZE + 3);
}

/* What is typed reaches the guest's serial port until that is full; no lock is left behind. */
TEST(what_is_typed) {
    begin();
    unsigned taken = 0;
    while (taken < 100000 && vm_console_input(fake_vm, (uint8_t)('a' + taken))) {
        taken++;
    }
    CHECK(taken > 0 && taken < 100000);
    vm_serve_console(fake_vm, REQUEST_ROOM);
    struct vmexit x = {.kind = EXIT_IO, .io = {.port = 0x3f8, .size = 1, .flags = IO_IN}};
    CHECK_U64(fake_exit(&fake_vm->vcpus[0], &x), ACTION_NEXT);
    CHECK_U64(fake_vm->vcpus[0].regs[X86_RAX] & 0xff, 'a');
    CHECK(vm_console_input(fake_vm, 'z')); /* there is room again */
}

/* The mark of a second NMI may come alone, when the first one was just taken: it is one, not two.
 */
TEST(an_nmi_that_comes_between_two_looks) {
    begin();
    struct vcpu *v = &fake_vm->vcpus[0];
    fake_nmi_blocked = true;
    v->public.requests = REQUEST_NMI_AGAIN;
    CHECK(vcpu_service(v));
    CHECK_U64(v->nmi_pending, 1);
    fake_nmi_blocked = false;
    v->nmi_pending = 0;
    v->public.requests = REQUEST_NMI_AGAIN;
    CHECK(vcpu_service(v));
    CHECK_U64(v->event.type, EVENT_NMI);
    CHECK_U64(v->nmi_pending, 0);
}

/* The first reason stands, whatever comes after it; every vCPU is asked to leave. */
TEST(the_first_reason_to_leave_stands) {
    begin();
    vm_leave(fake_vm, LEAVE_RESET, "the first");
    vm_leave(fake_vm, LEAVE_POWER_OFF, "the second");
    CHECK_U64(fake_vm->leave, LEAVE_RESET);
    CHECK_STR(fake_vm->leave_reason, "the first");
    CHECK((fake_vm->vcpus[0].public.requests & REQUEST_LEAVE) != 0);
}

/* A MiB at a time, over the border of two regions, and up to the end of RAM. */
TEST(memory_is_reached_through_windows) {
    struct vcpu *v = fake_machine_start();
    struct vm *vm = v->vm;
    static uint8_t bytes[2 * MIB + 5], back[sizeof(bytes)];
    static struct plan_region regions[2];
    uint64_t base = vm->mem.regions[0].hpa.v;
    regions[0] = (struct plan_region){GPA(0), HPA(base + 4 * MIB), 2 * MIB};
    regions[1] = (struct plan_region){GPA(2 * MIB), HPA(base), 2 * MIB};
    vm->mem = (struct gmem){.regions = regions, .region_count = 2};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    CHECK_U64(vm_memory_write(vm, GPA(MIB + 3), bytes, sizeof(bytes)), STATUS_OK);
    CHECK_U64(vm_memory_read(vm, GPA(MIB + 3), back, sizeof(back)), STATUS_OK);
    CHECK(memcmp(bytes, back, sizeof(bytes)) == 0);
    CHECK(memcmp((uint8_t *)phys_pointer(HPA(base)), bytes + MIB - 3, 16) == 0);
    CHECK_U64(vm_memory_write(vm, GPA(4 * MIB - 2), bytes, 3), STATUS_NOT_FOUND);
    CHECK_U64(vm_memory_read(vm, GPA(UINT64_MAX), back, 1), STATUS_NOT_FOUND);
    for (unsigned w = 0; w < WINDOWS; w++) {
        CHECK_U64(fake_windows[w].v, 0);
    }
    CHECK(vm_memory_keep(vm, GPA(2)) == NULL);
    CHECK(vm_memory_keep(vm, GPA(4 * MIB)) == NULL);
    CHECK(vm_memory_keep(vm, GPA(2 * MIB + 8)) == phys_pointer(HPA(base + 8)));
    CHECK(vm_memory_keep(vm, GPA(16)) == phys_pointer(HPA(base + 4 * MIB + 16)));
    vm_memory_let_go();
    CHECK_U64(fake_windows[WINDOW_KEPT].v, 0);
}

/* What boot/ had is gone after the start: nothing points there any more. */
TEST(it_keeps_its_plan_itself) {
    for (unsigned with_initrd = 0; with_initrd < 2; with_initrd++) {
        begin();
        if (with_initrd == 0) {
            fake_plan.initrd = NULL;
        }
        CHECK_U64(vm_keep_plan(fake_vm), STATUS_OK);
        const struct plan_vm *kept = fake_vm->plan;
        CHECK(kept != &fake_plan && kept == fake_vm->kept);
        CHECK(memcmp(kept->regions, fake_plan.regions, sizeof(kept->regions)) == 0);
        CHECK(fake_vm->mem.regions == kept->regions);
        CHECK(kept->config != &fake_config);
        CHECK(memcmp(kept->config, &fake_config, sizeof(fake_config)) == 0);
        CHECK(kept->kernel != &kernel && kept->kernel->size == sizeof(kernel_file));
        CHECK_U64(kept->kernel->base.v, (uintptr_t)kernel_file);
        CHECK(kept->initrd != &initrd && (kept->initrd != NULL) == (with_initrd != 0));
        if (kept->initrd != NULL) {
            CHECK_U64(kept->initrd->size, sizeof(initrd_file));
            CHECK_U64(kept->initrd->base.v, (uintptr_t)initrd_file);
        }
    }
}

/* What was to be delivered, and what exit is asked for; after INIT time and its timers go on. */
TEST(a_reset_forgets_what_waits) {
    for (unsigned init = 0; init < 2; init++) {
        begin();
        struct vcpu *v = &fake_vm->vcpus[0];
        v->window_interrupt = v->window_nmi = v->halted = v->nmi_used = true;
        v->nmi_pending = 2;
        v->event = (struct event){.type = EVENT_NMI, .vector = X86_NMI};
        v->upcall_flags = 0;
        v->clocks_due = 5;
        v->tsc_offset = 77;
        v->lapic.clock.offset = 33;
        vcpu_reset(v, init != 0);
        CHECK(!v->window_interrupt && !v->window_nmi && !v->halted && !v->nmi_used);
        CHECK_U64(v->nmi_pending, 0);
        CHECK_U64(v->event.type, EVENT_NONE);
        CHECK_U64(v->upcall_flags, UPCALL_UNWATCHED);
        CHECK_U64(v->clocks_due, init != 0 ? 5 : 0);
        CHECK_U64(v->lapic.clock.offset, init != 0 ? 33 : 77);
        CHECK_U64(fake_regs[HVM_TSC_OFFSET], 77);
    }
}

TEST_MAIN(T(a_reset_forgets_what_waits), T(it_keeps_its_plan_itself),
          T(memory_is_reached_through_windows), T(what_the_loader_is_told), T(texts),
          T(longest_texts_end_below_the_tables), T(files), T(no_initrd),
          T(a_kernel_larger_than_memory), T(memory_above_4_gib), T(a_page_for_the_virtual_xapic),
          T(budgets_too_small), T(a_guests_time_begins_at_zero), T(what_is_typed),
          T(an_nmi_that_comes_between_two_looks), T(the_first_reason_to_leave_stands))
