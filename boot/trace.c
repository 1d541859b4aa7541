/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user can send to the authors: what the pre-flight said and what the machine is, and the
 * log of the start before this one, as files on the stick. Called by main.c.
 */
#include "boot/boot.h"
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

static void trace_write_log(struct boot_info *info) {
    struct kept_log *log = phys_pointer(info->kept_log);
    size_t length = info->kept_log.v != 0 ? kept_log_read(log, log_text) : 0;
    if (length != 0 && files_write(STICK_LAST_LOG, log_text, length)) {
        log->written = 0; /* it is told once */
        console_print(CONSOLE_PLAIN, "The log of the last start is now in " STICK_LAST_LOG ".\n");
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
