/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user can send to the authors: what the pre-flight said and what the machine is, and the
 * log of the start before this one with its crashes, as files on the stick. Called by main.c.
 */
#include "boot/boot.h"
#include "config/crash.h"
#include "config/hardware.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/plan/kept_log.h"

/* Where firmware seldom has anything: it takes its memory from above. */
static const uint64_t log_places[] = {32 * MIB, 48 * MIB, 96 * MIB};

static char log_text[KEPT_LOG_TEXT];

void trace_take_log(struct boot_info *info) {
    for (unsigned i = 0; i < ARRAY_SIZE(log_places) && info->kept_log.v == 0; i++) {
        info->kept_log = memory_take(log_places[i], KEPT_LOG_SIZE);
    }
}

static uint32_t crash_last; /* the highest number of a record on the stick */

static void trace_take_crash(const char *name) {
    uint32_t number = crash_number(name);

    crash_last = number > crash_last ? number : crash_last;
}

static void trace_crash_path(char *path, size_t size, uint32_t number) {
    (void)fmt_print(path, size, CRASH_FOLDER "/%u.txt", number);
}

/* The oldest makes room. */
static bool trace_write_crash(const struct boot_info *info, const struct crash_report *report,
                              size_t length) {
    static char text[CRASH_SIZE];
    char path[sizeof(CRASH_FOLDER) + 16];
    char date[FMT_DATE_SIZE];
    uint32_t number = crash_last + 1;

    if (number > CRASH_FILES) {
        trace_crash_path(path, sizeof(path), number - CRASH_FILES);
        files_delete(path);
    }
    trace_crash_path(path, sizeof(path), number);
    size_t n = fmt_print(text, sizeof(text), CRASH_HEAD "%u, found by the start of %s UTC\n",
                         number, fmt_date(date, info->wall_seconds));
    n += crash_copy(log_text, length, report, text + n, sizeof(text) - n);
    if (!files_write(path, text, n)) {
        return false;
    }
    crash_last = number;
    if (report->name != NULL) {
        console_print(CONSOLE_PLAIN, "A crash of %.*s in the last start is now in %s.\n",
                      (int)report->name_length, report->name, path);
    } else {
        console_print(CONSOLE_PLAIN, "A panic in the last start is now in %s.\n", path);
    }
    return true;
}

/* Of more reports than there are files the last ones. */
static void trace_write_crashes(const struct boot_info *info, size_t length) {
    struct crash_report report;
    unsigned count = 0;

    for (size_t at = 0; crash_find(log_text, length, &at, &report);) {
        count++;
    }
    if (count == 0) {
        return;
    }
    files_names(CRASH_FOLDER, trace_take_crash);
    for (size_t at = 0; crash_find(log_text, length, &at, &report); count--) {
        if (count <= CRASH_FILES && !trace_write_crash(info, &report, length)) {
            return;
        }
    }
}

static void trace_write_log(struct boot_info *info) {
    struct kept_log *log = phys_pointer(info->kept_log);
    size_t length = info->kept_log.v != 0 ? kept_log_read(log, log_text) : 0;
    if (length != 0 && files_write(STICK_LAST_LOG, log_text, length)) {
        log->written = 0; /* it is told once */
        console_print(CONSOLE_PLAIN, "The log of the last start is now in " STICK_LAST_LOG ".\n");
        trace_write_crashes(info, length);
    }
}

static void trace_describe(const struct boot_info *info) {
    static const char *const kinds[] = {
        [MEM_FREE] = "free", [MEM_BULKHEAD] = "Bulkhead", [MEM_RESERVED] = "reserved"};

    console_note("\nUEFI %u.%u, firmware %#x\n", ST->Hdr.Revision >> 16, ST->Hdr.Revision & 0xffff,
                 ST->FirmwareRevision);
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *fb = &info->screens[i];
        console_note("screen %#llx, %llu bytes, %ux%u, line %u\n", (ull)fb->base.v, (ull)fb->size,
                     fb->width, fb->height, fb->stride);
    }
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        console_note("CPU %u: APIC ID %u\n", i, info->apic_ids[i]);
    }
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        console_note("%#llx-%#llx %s\n", (ull)r->base.v, (ull)(r->base.v + r->size - 1),
                     kinds[r->kind]);
    }
    devices_note(info);
}

bool trace_write(struct boot_info *info) {
    size_t length;
    trace_write_log(info);
    trace_describe(info);
    const char *text = console_kept(&length);
    return files_write(STICK_TRACE, text, length);
}

/* Never over a config of the admin's own: that has another name. */
static void trace_write_starter(const struct boot_info *info, bool has_hardware) {
    static char text[STARTER_MAX];
    size_t length = hardware_write_starter(info, text, sizeof(text));

    if (length != 0 && files_write(HARDWARE_STARTER, text, length)) {
        console_print(CONSOLE_PLAIN, "A config to start from is now in " HARDWARE_STARTER "%s.\n",
                      has_hardware ? ", what this machine has in " HARDWARE_FILE : "");
    }
}

void trace_write_hardware(const struct boot_info *info, const struct cpu_facts *facts,
                          const struct preflight_report *report) {
    char *text = AllocatePool(HARDWARE_MAX);

    if (text == NULL) {
        return;
    }
    size_t length = hardware_write(info, &machine_cpu, facts, report, text, HARDWARE_MAX);
    bool written = length != 0 && files_write(HARDWARE_FILE, text, length);
    FreePool(text);
    if (info->config_size == 0) {
        trace_write_starter(info, written);
    }
}
