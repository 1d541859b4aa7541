/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One physical console (serial line and screen) shared by the log, the operator and every guest.
 * Owns the views, their scrollback, the escape key and the output pump. Its lock is the innermost:
 * it may be taken with a VM's console_lock held; the VM and the operator are called without it. The
 * first three are for the start, while one CPU works; the others may be called on any CPU.
 */
#pragma once

#include "hv/vm/vm.h"

#define CONSOLE_RING_SIZE  0x10000u /* scrollback, in bytes */
#define CONSOLE_REPLAY     0x4000u  /* of it, when a guest's view is switched to */
#define CONSOLE_REPLAY_LOG 0x1000u  /* when the log's is */

/* Once, when the serial line and the screen work. The log is in focus. escape_key is the control
 * character that is ours; it comes from the config. */
void console_init(char escape_key);

/* Who works at the prompt in the log view. Called on one CPU at a time, without any lock. */
struct console_operator {
    void (*key)(uint8_t key); /* typed there, while not busy */
    bool (*is_busy)(void);    /* a command has more to show: */
    void (*work)(void);       /* the next line of it */
};
/* Shown keys go there from now on; before, nowhere. */
void console_set_operator(const struct console_operator *operator);

/* Adds a view for a VM: 1 for the first, and so on. */
void console_add_vm(struct vm_public *vm);

/* Nobody can type here: all views are to be shown at once, instead of the one in focus. */
void console_share(void);

/*
 * Guests are about to run. Puts a view in focus once the log has gone out, unless a key comes
 * first.
 */
void console_start(unsigned index);

/* Log hook: one line with its newline. Warnings and errors are shown in every view. */
void hv_console_log(enum log_level level, const char *line, size_t n);

/* Puts a guest's view in focus, as its number does after the escape key. */
void console_attach(const struct vm_public *vm);

/*
 * What a guest's console has said, or with vm NULL the log without what the operator was told: byte
 * *from is the first of its last 16 KiB, *end the next to come. Its scrollback is as far away as
 * CONSOLE_RING_SIZE.
 */
void console_recall_range(const struct vm_public *vm, uint64_t *from, uint64_t *end);
uint8_t console_recall(const struct vm_public *vm, uint64_t at);

/* Is a command that goes on by itself to end? A key was typed for the operator, which is dropped
 * with those after it; or another view is shown by now. */
bool console_interrupts(void);

/* The operator's side of the log view (command.c): text, and the line being edited below it. The
 * cursor stands so many characters before the line's end. */
void console_print(const char *format, ...) PRINTF_LIKE(1, 2);
void console_set_prompt(const char *prompt, const char *line, size_t before_end);
