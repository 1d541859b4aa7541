/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the EFI application, as they see each other. Only boot/ knows EFI types; what it
 * finds out leaves through struct boot_info. Runs on the firmware's stack, on one CPU, until
 * memory_exit_firmware().
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <efi.h>

#include "boot/acpi.h"
#include "hv/plan/boot_info.h"
#include "hv/plan/preflight.h"

#define BELOW_4G 0xffffffffull

/* The firmware's tables; set once at the start, used by every file of boot/. */
struct firmware {
    EFI_HANDLE image;
    EFI_SYSTEM_TABLE *table;
    EFI_BOOT_SERVICES *services;
};
extern struct firmware firmware;

/* console.c: the firmware's text console. Text is in the "\n" convention. */
enum console_colour { CONSOLE_PLAIN, CONSOLE_GOOD, CONSOLE_WARN, CONSOLE_BAD };
void console_init(void);
void console_print(enum console_colour colour, const char *format, ...) PRINTF_LIKE(2, 3);
/* From now on a full screen waits for a key before it scrolls: for a refusal with long output. */
void console_pause_pages(void);
void console_wait_key(void);

/* memory.c: memory taken from the firmware, and its map. Sizes in bytes, rounded up to pages. */
/* Zeroed memory, its last byte at or below limit; {0} if there is none. align is a power of two. */
hpa_t memory_alloc(uint64_t size, uint64_t align, uint64_t limit, EFI_MEMORY_TYPE type);
void memory_free_all(void);
/* Fills info->ranges from the firmware's map of this moment; EFI_OUT_OF_RESOURCES if it does not
 * fit. */
EFI_STATUS memory_read_map(struct boot_info *info);
/* Ends the firmware's boot services; info->ranges is then the final map. Retries a stale map. */
EFI_STATUS memory_exit_firmware(struct boot_info *info);

/* files.c: the volume that this application was started from. */
EFI_STATUS files_open_volume(void);
/*
 * Reads a whole file ('/' between folders) into new memory. EFI_NOT_FOUND stays silent; every other
 * failure is printed.
 */
EFI_STATUS files_read(const char *path, hpa_t *base, uint64_t *size);

/* machine.c: CPUs, ACPI, framebuffer into *info; what only the pre-flight wants into *facts. */
void machine_find(struct boot_info *info);
void machine_read_facts(const struct boot_info *info, struct preflight_facts *facts);

#endif
