/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the EFI application that speak with the firmware, as they see each other; through
 * gnu-efi's ST (system table), BS (boot services) and its library. Only boot/ knows EFI types; what
 * it finds out leaves through struct boot_info. Runs on the firmware's stack, on one CPU, until
 * memory_exit_firmware().
 */
#pragma once

#include <efi.h>

#include <efilib.h>
#undef ASSERT /* gnu-efi's does nothing */

#include "boot/no_firmware.h"
#include "config/cpus.h"
#include "config/preflight.h"
#include "config/seal.h"
#include "config/serial.h"
#include "config/sets.h"
#include "config/stick.h"

#define BELOW_4G       0xffffffffull
#define MEMORY_LOW_END (640 * KIB) /* CPUs start below it */

extern EFI_HANDLE own_image; /* this application, in main.c */

/* console.c: the firmware's text console. Text is in the "\n" convention. */
enum console_colour {
    CONSOLE_PLAIN = EFI_LIGHTGRAY,
    CONSOLE_GOOD = EFI_LIGHTGREEN,
    CONSOLE_WARN = EFI_YELLOW,
    CONSOLE_BAD = EFI_LIGHTRED,
};
/* While set, a full screen waits for a key before it scrolls: for a refusal with long output. */
extern bool console_paged;
void console_init(void);
void console_print(enum console_colour colour, const char *format, ...) PRINTF_LIKE(2, 3);
void console_wait_key(void);
/* For so many seconds at most: the key, '?' if it is none of a character; 0 if none came. What was
 * typed before counts, but for: */
CHAR16 console_wait_key_for(uint32_t seconds);
CHAR16 console_key(void); /* without waiting */
void console_forget_keys(void);
/* For a report only: not shown, but kept with all that is. */
void console_note(const char *format, ...) PRINTF_LIKE(1, 2);
#define CONSOLE_KEPT (24 * KIB)
const char *console_kept(size_t *length);

/* memory.c: memory taken from the firmware, and its map. */
/* Zeroed pages for size bytes, the last byte at or below limit; {0} if there are none. */
hpa_t memory_alloc(uint64_t size, uint64_t limit);
/* The same for a file: boot_image_room() bytes of it, large ones at a multiple of 2 MiB. */
hpa_t memory_alloc_file(uint64_t size, uint64_t limit);
/* The same at that place, untouched; {0} if somebody has it. */
hpa_t memory_take(uint64_t base, uint64_t size);
void memory_free_all(void);
/* Fills info->ranges from the map of this moment; EFI_OUT_OF_RESOURCES if it does not fit. */
EFI_STATUS memory_read_map(struct boot_info *info);
/* The highest page below MEMORY_LOW_END that is nobody's once boot services have ended, by the map
 * that was read last; {0} if there is none. */
hpa_t memory_low_page(void);
/* Ends the firmware's boot services. Asks anew where the map has changed meanwhile, and calls
 * nothing else of the firmware after the first failure. */
EFI_STATUS memory_exit_firmware(void);
/* Afterwards: info->ranges from the map that was the last. */
void memory_use_last_map(struct boot_info *info);

/* files.c: files of the volume that this application was started from. */
/* Before all others; false if there is no such volume, which is then explained on the screen. */
bool files_open(void);
/* A stick_reader; what it returns is the short of it, details of a failure are printed. */
const char *files_read(const char *path, hpa_t *base, uint64_t *size);
void files_delete(const char *path);
typedef void files_name_taker(const char *name);
/* Calls take() with the name of each entry of a folder, if there is one. Nothing of them is read.
 */
void files_names(const char *path, files_name_taker *take);
/* Puts a file there in place of another of that name, and makes the folders that it is to be in;
 * false if it cannot be written. */
bool files_write(const char *path, const void *bytes, size_t size);
/* The same in the place of its first bytes: whatever happens meanwhile, no other of the stick's
 * sectors but its own changes. On the stick when this returns. */
bool files_write_over(const char *path, const void *bytes, size_t size);
bool files_is_there(const char *path);
/* The first bytes of a file, for sets.c's state alone: they are not held against the signed list,
 * and say no more than which of the sets on it is started. */
bool files_read_state(const char *path, void *bytes, size_t size);
typedef void files_taker(const char *path, const uint8_t *bytes, uint64_t size);
/* Calls take() with each file of a folder, if there is one, as long as it lasts; larger ones and
 * those that cannot be read are named and left out. faults, not NULL if this application has a list
 * of files: they go there instead, with those that are not as it says, or missing. */
void files_each(const char *folder, uint64_t limit, files_taker *take, struct fault_list *faults);

/* secure.c: Secure Boot's state and the list of files in this application, into *info. Before the
 * first file is read. */
void secure_find(struct boot_info *info);
/* False if no file would be accepted: Secure Boot is on, and there is no list. */
bool secure_may_read(void);
/* As seal_judge() and seal_next_in(). */
const char *secure_judge(const char *path, const uint8_t *bytes, uint64_t size);
bool secure_next_in(const char *folder, uint64_t *at, struct seal_file *file);

/* machine.c: CPUs, ACPI, screens into *info; and the running CPU, for the pre-flight. */
void machine_find(struct boot_info *info);
/* graphics.c: the screens to be drawn on, into *info. */
void graphics_find(struct boot_info *info);
/* cpus.c: adds the CPUs that the firmware knows; asks each of *info what it is, by its number. */
void cpus_find(struct boot_info *info);
const struct cpu_facts *cpus_ask_all(struct boot_info *info);
/* devices.c: the PCI functions into *info; the last one on a device's path, as the firmware knows
 * it, and in the list. NULL = there is none. */
void devices_list(struct boot_info *info);
EFI_PCI_IO_PROTOCOL *devices_protocol(EFI_DEVICE_PATH *path);
struct boot_pci *devices_find(struct boot_info *info, EFI_PCI_IO_PROTOCOL *pci);
/* Once all else is known: which of them a guest can have. */
void devices_judge(struct boot_info *info, struct preflight_report *report);
/* Once the firmware is gone: what keeps them apart is switched on, and judged by that. */
void devices_part(struct boot_info *info);
/* A line for each but for bridges and the chipset's own; and for a report, of all of them. */
void devices_print(const struct boot_info *info);
void devices_note(const struct boot_info *info);
/* input.c: enum boot_input but for the UART; controllers of keyboards are marked in info->pci. Also
 * says if a console of the firmware's runs over a serial line. */
uint32_t input_find(struct boot_info *info, bool *firmware_has_line);
/* serial.c: for config/serial.c */
uint8_t port_in(uint16_t port);
/* PCI configuration space of the first segment, the first 256 bytes of each function. */
uint32_t ports_pci_read(uint32_t function, unsigned offset);
void ports_pci_write(uint32_t function, unsigned offset, uint32_t value);
extern struct serial_machine serial_machine;
/* watchdog.c: one that ACPI describes, in info->watchdog; stopped once the firmware is gone. */
void watchdog_look(struct boot_info *info);
void watchdog_stop(struct boot_info *info);
/* True if the firmware's page tables have all of it. */
bool machine_maps(uint64_t base, uint64_t size);
/* Unix seconds by the firmware's clock, taken to be in UTC. */
uint64_t machine_time(void);
extern const struct preflight_cpu machine_cpu;
void machine_wrmsr(uint32_t msr, uint64_t value);

/* trace.c: the place of the log in memory, into *info; */
void trace_take_log(struct boot_info *info);
/* and what is for a report, onto the stick. False if that cannot be. */
bool trace_write(struct boot_info *info);
/* This machine as a file for bhcheck; and on a stick without a config one to start from. */
void trace_write_hardware(const struct boot_info *info, const struct cpu_facts *facts,
                          const struct preflight_report *report);

/* sets.c: which set of the stick this start is of. */
/* Reads the state, with what memory tells of the last start; *info gets the set that comes next. */
void sets_begin(struct boot_info *info);
const struct sets_state *sets_state(void);
bool sets_are_two(void); /* there is something to choose */
/* This start is a try of the new set; false, and the good one in *info, if the stick does not take
 * note of that. Before anything of the set is read. */
bool sets_try(struct boot_info *info);
/* It cannot start. */
void sets_fail(const struct boot_info *info);
/* It was not started after all: as before sets_try(), if this start was a try. */
void sets_give_back(const struct boot_info *info);
void sets_report(const struct boot_info *info, struct preflight_report *report);

/* menu.c: what a person wants of this start. */
enum menu_choice { MENU_GOOD, MENU_NEW, MENU_LOOK, MENU_SAFE };
enum menu_choice menu_ask(const struct sets_state *state, uint32_t seconds);

/* microcode.c: updates this CPU from the stick and fills info->microcode. Before anything else that
 * asks the CPU what it has. faults: as for files_each(). */
void microcode_load(struct boot_info *info, struct fault_list *faults);

/* leave.c: once boot services have ended, what keeps the loaded hypervisor from being entered. */
void leave_open(const struct boot_info *info);
