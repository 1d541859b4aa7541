/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulkhead as the firmware sees it: an EFI application that reads the configuration and the guests'
 * files, judges machine and configuration while screen and keyboard are alive, and either refuses,
 * leaving everything as it was, or ends the firmware and enters the hypervisor. Called by the
 * firmware.
 */
#include "boot/boot.h"
#include "boot/elf.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/plan/plan.h"

#define CONFIG_PATH    "bulkhead/bulkhead.toml"
#define HEAP_BASE_SIZE (8 * MIB)
#define HEAP_PER_CPU   (128 * KIB)
#define IMAGE_ALIGN    (2 * MIB)
#define LOW_PAGE_LIMIT 0x9ffffull

extern const uint8_t hypervisor_elf[], hypervisor_elf_end[];

struct firmware firmware;

/* Too large for the firmware's stack. */
struct work {
    struct fault_list faults;
    struct preflight_facts facts;
    struct preflight_report report;
    struct plan plan;
    uint32_t other_problems; /* printed where they arose */
    bool plan_good;
    uint64_t entry;
};

static void complain(struct work *work, const char *text) {
    console_print(CONSOLE_BAD, "%s\n", text);
    work->other_problems++;
}

static void read_config(struct work *work, struct boot_info *info) {
    hpa_t base;
    uint64_t size;
    EFI_STATUS status = files_open_volume();
    if (status != EFI_SUCCESS) {
        complain(work, "The volume that Bulkhead was started from cannot be read: start it from a "
                       "FAT volume (a USB stick made with make usb).");
        return;
    }
    status = files_read(CONFIG_PATH, &base, &size);
    if (status == EFI_NOT_FOUND) {
        complain(work, CONFIG_PATH " is not on the volume that Bulkhead was started from. "
                                   "It says which guests to run: write one (see docs/config.md).");
    } else if (status != EFI_SUCCESS) {
        work->other_problems++;
    } else if (size > CONFIG_FILE_MAX) {
        complain(work, CONFIG_PATH " is larger than 64 KiB: this cannot be a configuration file.");
    } else {
        config_parse(phys_pointer(base), size, &info->config, &work->faults);
    }
}

static bool named_by_earlier_guest(const struct config *config, uint32_t guest, const char *path) {
    for (uint32_t i = 0; i < guest; i++) {
        if (str_equal(config->guests[i].kernel, path) ||
            str_equal(config->guests[i].initrd, path)) {
            return true;
        }
    }
    return false;
}

/* A file that is not there is left out: plan_build() knows the line that names it. */
static void read_image(struct work *work, struct boot_info *info, uint32_t guest,
                       const char *path) {
    if (path[0] == '\0' || boot_info_find_image(info, path) != NULL ||
        named_by_earlier_guest(&info->config, guest, path)) {
        return;
    }
    hpa_t base;
    uint64_t size;
    EFI_STATUS status = files_read(path, &base, &size);
    if (status == EFI_SUCCESS) {
        struct boot_image *image = &info->images[info->image_count++];
        str_copy_n(image->path, sizeof(image->path), path, strlen(path));
        image->base = base;
        image->size = size;
    } else if (status != EFI_NOT_FOUND) {
        work->other_problems++;
    }
}

static void load_hypervisor(struct work *work, struct boot_info *info) {
    struct elf_image image;
    uint64_t size = (uint64_t)(hypervisor_elf_end - hypervisor_elf);
    if (elf_measure(hypervisor_elf, size, &image) != STATUS_OK) {
        complain(work, "The hypervisor inside BOOTX64.EFI is damaged: copy the file again.");
        return;
    }
    info->image_size = ALIGN_UP(image.span, PAGE_SIZE);
    info->image_base = memory_alloc(info->image_size, IMAGE_ALIGN, BELOW_4G, EfiLoaderCode);
    info->heap_size = HEAP_BASE_SIZE + info->cpu_count * HEAP_PER_CPU;
    info->heap_base = memory_alloc(info->heap_size, PAGE_SIZE, BELOW_4G, EfiLoaderData);
    info->trampoline = memory_alloc(PAGE_SIZE, PAGE_SIZE, LOW_PAGE_LIMIT, EfiLoaderCode);
    if (info->image_base.v == 0 || info->heap_base.v == 0) {
        complain(work, "Less than 16 MiB of memory is free below 4 GiB: Bulkhead has no room.");
    } else if (info->trampoline.v == 0) {
        complain(work, "No page is free below 640 KiB: the other CPUs could not be started.");
    } else if (elf_load(hypervisor_elf, &image, phys_pointer(info->image_base)) != STATUS_OK) {
        complain(work, "The hypervisor inside BOOTX64.EFI is not a file this loader can place.");
    } else {
        work->entry = info->image_base.v + image.entry;
    }
}

static const void *image_data(void *ctx, const struct boot_image *image) {
    (void)ctx;
    return phys_pointer(image->base);
}

/* Everything is gathered before the first line of the verdict is printed. */
static void gather(struct work *work, struct boot_info *info) {
    machine_find(info);
    load_hypervisor(work, info);
    read_config(work, info);
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        read_image(work, info, i, info->config.guests[i].kernel);
        read_image(work, info, i, info->config.guests[i].initrd);
    }
    if (memory_read_map(info) != EFI_SUCCESS) {
        complain(work, "The firmware's memory map is too fragmented, or cannot be read.");
    }
    machine_read_facts(info, &work->facts);
    preflight_run(&work->facts, &work->report);
    if (work->other_problems == 0) { /* also after faults of the file: all of them in one run */
        work->plan_good =
            plan_build(info, image_data, NULL, &work->plan, &work->faults) == STATUS_OK &&
            plan_check(info, &work->plan, &work->faults) == STATUS_OK;
    }
}

static void print_report(const struct preflight_report *report) {
    static const struct {
        enum console_colour colour;
        const char *word;
    } states[] = {
        [PREFLIGHT_OK] = {CONSOLE_GOOD, "ok"},
        [PREFLIGHT_WARN] = {CONSOLE_WARN, "warn"},
        [PREFLIGHT_LACK] = {CONSOLE_BAD, "LACKING"},
    };
    for (uint32_t i = 0; i < report->count; i++) {
        const struct preflight_line *line = &report->lines[i];
        console_print(CONSOLE_PLAIN, "  %-25s %-42s ", line->what, line->found);
        console_print(states[line->state].colour, "%s\n", states[line->state].word);
    }
    for (uint32_t i = 0; i < report->count; i++) {
        const struct preflight_line *line = &report->lines[i];
        bool repeated = i > 0 && line->hint == line[-1].hint;
        if (line->state != PREFLIGHT_OK && !repeated) {
            console_print(states[line->state].colour, "%s: %s\n", line->what, line->hint);
        }
    }
}

static void print_faults(const struct fault_list *faults) {
    for (uint32_t i = 0; i < faults->count; i++) {
        char text[FAULT_TEXT_SIZE + 64];
        console_print(CONSOLE_BAD, "%s\n", fault_format(faults, i, text, sizeof(text)));
    }
    if (faults->dropped != 0) {
        console_print(CONSOLE_BAD, "... and %u more.\n", faults->dropped);
    }
}

static void print_plan(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        char cpus[64], memory[24];
        console_print(CONSOLE_PLAIN, "  %-12s CPUs %-10s memory %-8s kernel %s\n", vm->config->name,
                      cpu_set_format(&vm->config->cpus, cpus, sizeof(cpus)),
                      fmt_size(memory, vm->config->memory), vm->config->kernel);
    }
}

static EFI_STATUS refuse(uint32_t problems) {
    console_print(CONSOLE_BAD,
                  "\nBulkhead cannot start: %u problem%s. Nothing was changed. Press any key to "
                  "return to the firmware.\n",
                  problems, problems == 1 ? "" : "s");
    console_wait_key();
    console_print(CONSOLE_PLAIN, "\n");
    memory_free_all();
    return EFI_LOAD_ERROR;
}

NORETURN static void enter_hypervisor(const struct work *work, struct boot_info *info) {
    void (*entry)(struct boot_info *) = (void (*)(struct boot_info *))(uintptr_t)work->entry;
    info->magic = BOOT_INFO_MAGIC;
    info->size = sizeof(*info);
    EFI_STATUS status = memory_exit_firmware(info);
    if (status != EFI_SUCCESS) { /* half gone: the console may still work, returning may not */
        console_print(CONSOLE_BAD,
                      "The firmware does not let go of the machine (EFI error %lu). Stopped: "
                      "power off, update the firmware, try again.\n",
                      status & ~EFI_ERROR_MASK);
        for (;;) {
            firmware.services->Stall(1000000);
        }
    }
    __asm__ volatile("cli; cld" : : : "memory");
    entry(info);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table) {
    firmware = (struct firmware){image, table, table->BootServices};
    firmware.services->SetWatchdogTimer(0, 0, 0, NULL);
    console_init();
    console_print(CONSOLE_PLAIN, "Bulkhead: looking at this machine\n");
    struct boot_info *info =
        phys_pointer(memory_alloc(sizeof(*info), PAGE_SIZE, BELOW_4G, EfiLoaderData));
    struct work *work =
        phys_pointer(memory_alloc(sizeof(*work), PAGE_SIZE, BELOW_4G, EfiLoaderData));
    if (info == NULL || work == NULL) {
        console_print(CONSOLE_BAD, "No memory is free below 4 GiB.\n");
        return refuse(1);
    }
    gather(work, info);
    uint32_t problems =
        work->report.lacks + work->faults.count + work->faults.dropped + work->other_problems;
    if (problems != 0) {
        console_pause_pages();
    }
    print_report(&work->report);
    print_faults(&work->faults);
    if (work->plan_good) {
        print_plan(&work->plan);
    }
    if (problems != 0) {
        return refuse(problems);
    }
    enter_hypervisor(work, info);
}
