/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulkhead as the firmware sees it: an EFI application that reads the configuration and the guests'
 * files, judges machine and configuration while screen and keyboard are alive, and either refuses,
 * leaving everything as it was, or ends the firmware and enters the hypervisor. Called by the
 * firmware.
 */
#include "boot/boot.h"
#include "config/hardware.h"
#include "config/kernel.h"
#include "config/parse.h"
#include "config/plan.h"
#include "config/stick.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/lib/version.h"

#define HEAP_BASE_SIZE (11 * MIB)
#define HEAP_AMD_VI    (4 * MIB) /* a table of all devices, and one for other segments */
#define HEAP_PER_CPU   (192 * KIB)
#define CPUS_SHOWN     32u
#define MENU_SECONDS   3u  /* if the config does not say it */
#define SILENT_SECONDS 10u /* that whoever can type now has to think again */
#define REFUSED_STAYS  30u /* seconds that what is wrong with a new set is shown */

extern const uint8_t hypervisor_elf[];

EFI_HANDLE own_image;

/* In this application's own memory, which becomes MEM_BULKHEAD. */
static struct boot_info info;

static struct {
    enum menu_choice choice;
    struct fault_list faults;
    struct preflight_report report;
    struct plan plan;
    const struct cpu_facts *cpus;
    uint32_t other_problems; /* printed where they arose */
} work;

static void complain(const char *text) {
    console_print(CONSOLE_BAD, "%s\n", text);
    work.other_problems++;
}

static void take_memory(void) {
    info.image_size = ALIGN_UP(elf_span(hypervisor_elf), PAGE_SIZE);
    info.image_base = memory_alloc(info.image_size, BELOW_4G);
    info.heap_size = HEAP_BASE_SIZE + info.cpu_count * HEAP_PER_CPU;
    info.heap_size += info.dma.kind == BOOT_IOMMU_AMD_VI ? HEAP_AMD_VI : 0;
    info.heap_base = memory_alloc(info.heap_size, BELOW_4G);
    trace_take_log(&info);
    if (info.cpu_count > 1) {
        info.trampoline = memory_alloc(PAGE_SIZE, MEMORY_LOW_END - 1);
    }
    if (info.image_base.v == 0 || info.heap_base.v == 0) {
        complain("Less than 16 MiB of memory is free below 4 GiB: Bulkhead has no room." MSG(2001));
    }
}

/* Some firmware takes all that is low for its boot services, and needs none of it afterwards. */
static bool low_page_is_late(void) {
    return info.cpu_count > 1 && info.trampoline.v == 0;
}

static void take_low_page(void) {
    info.trampoline = memory_low_page();
    enum status status = ranges_set(&info, info.trampoline.v, PAGE_SIZE, MEM_BULKHEAD);
    if (status != STATUS_OK) {
        info.trampoline = HPA(0);
    }
}

static void report_plan(const char *text) {
    fault_add(&work.faults, 0, 0, "a bug of Bulkhead: %s" MSG(1190), text);
}

/* As the good set's config has it: of one that was not tried nothing is read so far. Its faults are
 * told when it is read in full. */
static uint32_t menu_seconds(void) {
    static struct fault_list unread;
    char next = info.set;

    info.set = sets_state()->good;
    stick_read_config(&info, files_read, &unread);
    info.set = next;
    return unread.count == 0 ? info.config.menu : MENU_SECONDS;
}

/* Which set, and what of it. A set that is on trial is marked before anything of it is used. */
static void choose_set(void) {
    sets_begin(&info);
    if (!sets_are_two()) {
        return;
    }

    const struct sets_state *state = sets_state();
    work.choice = menu_ask(state, menu_seconds());
    info.safe = work.choice == MENU_SAFE;
    if (work.choice == MENU_NEW) {
        (void)sets_try(&info);
    } else if (work.choice != MENU_LOOK) {
        info.set = state->good;
    }
}

/* Everything is gathered before the first line of the verdict is printed; true if there is a plan.
 */
static bool gather(void) {
    machine_find(&info);
    secure_find(&info);
    take_memory();
    bool opened = files_open();
    bool readable = opened && secure_may_read(); /* if not, the pre-flight says so */
    if (readable) {
        choose_set();
    }
    microcode_load(&info, info.sealed ? &work.faults : NULL);
    if (readable) {
        stick_read(&info, files_read, &work.faults);
    } else {
        config_preset(&info.config);
        work.other_problems += opened ? 0 : 1;
    }

    devices_list(&info);
    info.inputs = input_find(&info, &serial_machine.firmware_has_line);
    bool mapped = memory_read_map(&info) == EFI_SUCCESS;
    if (!mapped) {
        complain("The firmware's memory map is too fragmented, or cannot be read." MSG(2002));
    } else if (low_page_is_late() && memory_low_page().v == 0) {
        complain("No page is free below 640 KiB: the other CPUs could not be started." MSG(2003));
    }
    serial_choose(&info, &serial_machine);
    info.inputs |= info.serial.base != 0 ? (uint32_t)BOOT_INPUT_SERIAL : 0;
    watchdog_look(&info);
    preflight_run(&info, &machine_cpu, &work.report);
    sets_report(&info, &work.report);
    devices_judge(&info, &work.report);
    work.cpus = cpus_ask_all(&info);
    cpus_report(&info, work.cpus, &work.report);
    /* Without the map every guest would be told that there is no memory. */
    return readable && mapped &&
           stick_judge(&info, &work.plan, &work.faults, report_plan) == STATUS_OK;
}

/* Two in a row; of very many the first. */
static void print_cpus(void) {
    char text[CPUS_TEXT_SIZE];
    for (uint32_t i = 0; i < info.cpu_count && i < CPUS_SHOWN; i++) {
        bool last = i % 2 == 1 || i + 1 == info.cpu_count;
        console_print(CONSOLE_PLAIN, "  %-37s%s", cpus_describe(&info, work.cpus, i, text),
                      last ? "\n" : "");
    }
}

static void print_report(void) {
    static const char *const words[] = {"ok", "warn", "LACKING"}; /* by enum preflight_state */
    static const enum console_colour colours[] = {CONSOLE_GOOD, CONSOLE_WARN, CONSOLE_BAD};
    const struct preflight_line *lines = work.report.lines, *end = lines + work.report.count;
    for (const struct preflight_line *line = lines; line < end; line++) {
        console_print(CONSOLE_PLAIN, "  %-25s %-42s ", line->what, line->found);
        console_print(colours[line->state], "%s\n", words[line->state]);
    }
    for (const struct preflight_line *line = lines; line < end; line++) {
        if (line->state != PREFLIGHT_OK && (line == lines || line->hint != line[-1].hint)) {
            console_print(colours[line->state], "%s: %s\n", line->what, line->hint);
        }
    }
}

/* What is wrong with the configuration, or else who gets what. */
static void print_config(bool planned) {
    for (uint32_t i = 0; i < work.faults.count; i++) {
        console_print(CONSOLE_BAD, "%s\n", work.faults.faults[i].text);
    }
    if (work.faults.dropped != 0) {
        console_print(CONSOLE_BAD, "... and %u more.\n", work.faults.dropped);
    }
    for (uint32_t i = 0; planned && i < work.plan.vm_count; i++) {
        const struct config_guest *guest = work.plan.vms[i].config;
        char cpus[64], memory[24];
        console_print(CONSOLE_PLAIN, "  %-12s CPUs %-10s memory %-8s kernel %s\n", guest->name,
                      cpu_set_format(&guest->cpus, cpus, sizeof(cpus)),
                      fmt_size(memory, guest->memory), guest->kernel);
        uint64_t advised = kernel_memory_missed(&info, guest);
        if (advised != 0) {
            char enough[24];
            console_print(CONSOLE_WARN, KERNEL_MEMORY_MISSED "\n", guest->name, memory,
                          fmt_size(enough, advised));
        }
    }
}

NORETURN static void enter_hypervisor(void) {
    elf_entry entry = elf_load(hypervisor_elf, phys_pointer(info.image_base));
    info.wall_seconds = machine_time();
    serial_take(&info, &serial_machine);
    EFI_STATUS status = memory_exit_firmware();
    if (status != EFI_SUCCESS) { /* half gone: the console may still work, returning may not */
        console_print(CONSOLE_BAD,
                      "The firmware does not let go of the machine (EFI error %lu). Stopped: "
                      "power off, update the firmware, try again." MSG(2004) "\n",
                      status & ~EFI_ERROR_MASK);
        for (;;) {
            BS->Stall(1000000);
        }
    }
    leave_open(&info);
    watchdog_stop(&info);
    memory_use_last_map(&info);
    if (low_page_is_late()) {
        take_low_page();
    }
    devices_part(&info);
    /* Anew, for the firmware's last map may be another; the hypervisor judges what comes of it. */
    bool planned = plan_build(&info, &work.plan, &work.faults) == STATUS_OK;
    info.plan = planned ? &work.plan : NULL;
    entry(&info);
    __builtin_unreachable();
}

/* A new set that the pre-flight refuses has had its try. Its report would be overwritten by the
 * next start's. */
NORETURN static void fall_back(void) {
    char good[SETS_NAME_SIZE];
    size_t length;

    sets_fail(&info);
    console_print(CONSOLE_BAD,
                  "\nThe new set cannot start. The next start is of %s, in %u s; a key restarts at "
                  "once. What is wrong is kept in " STICK_TRIAL "." MSG(2005) "\n",
                  sets_name(sets_state()->good, good), REFUSED_STAYS);
    const char *text = console_kept(&length);
    (void)files_write(STICK_TRIAL, text, length);
    console_forget_keys();
    (void)console_wait_key_for(REFUSED_STAYS);
    ST->RuntimeServices->ResetSystem(EfiResetWarm, EFI_SUCCESS, 0, NULL);
    __builtin_unreachable();
}

static EFI_STATUS return_to_firmware(void) {
    console_print(CONSOLE_BAD, "Press any key to return to the firmware.\n");
    console_wait_key();
    console_print(CONSOLE_PLAIN, "\n");
    memory_free_all();
    return EFI_LOAD_ERROR;
}

/* The last moment for whoever types on what falls silent: a line may have nobody at its end. */
static bool is_wanted_all_the_same(void) {
    bool keyboard = (info.inputs & (BOOT_INPUT_PS2 | BOOT_INPUT_USB)) != 0;
    bool line = (info.inputs & BOOT_INPUT_SERIAL) != 0;

    if (keyboard || (line && (info.inputs & BOOT_INPUT_USB_OTHER) == 0)) {
        return true;
    }
    console_print(
        CONSOLE_WARN,
        "\nNo keyboard will work after the start, which begins in %u s. A key returns to the "
        "firmware." MSG(2015) "\n",
        SILENT_SECONDS);
    console_forget_keys();
    return console_wait_key_for(SILENT_SECONDS) == 0;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table) {
    own_image = image;
    ST = table; /* gnu-efi's library needs no more than these two */
    BS = table->BootServices;
    BS->SetWatchdogTimer(0, 0, 0, NULL);
    console_init();
    console_print(CONSOLE_PLAIN, "Bulkhead " BULKHEAD_VERSION ": looking at this machine\n");
    bool planned = gather();
    uint32_t problems =
        work.report.lacks + work.faults.count + work.faults.dropped + work.other_problems;
    console_paged = problems != 0 && info.trial == 0;
    print_report();
    print_cpus();
    devices_print(&info);
    print_config(planned);
    bool traced = trace_write(&info);
    trace_write_hardware(&info, work.cpus, &work.report);
    if (work.choice == MENU_LOOK) {
        console_print(CONSOLE_PLAIN, "\nLooked only: nothing was started.\n");
        return return_to_firmware();
    }
    if (problems == 0 && is_wanted_all_the_same()) {
        enter_hypervisor();
    }
    if (problems == 0) {
        sets_give_back(&info);
        memory_free_all();
        return EFI_ABORTED;
    }
    if (info.trial != 0) {
        fall_back();
    }
    const char *but = traced ? " but " STICK_TRACE " and " HARDWARE_FILE : "";
    console_print(CONSOLE_BAD, "\nBulkhead cannot start: %u problem%s. Nothing was changed%s.\n",
                  problems, problems == 1 ? "" : "s", but);
    return return_to_firmware();
}
