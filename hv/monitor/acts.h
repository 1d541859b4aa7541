/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's commands: their table, what they work on, and the names that their words may be.
 * For command.c alone.
 */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

extern struct acts {
    struct vm_public *vms;
    unsigned vm_count;
    const char *more[2];           /* words after the first argument, or NULL */
    const struct vm_public *named; /* whose wires acts_wire() tells */
    /* What is being shown, and how far it is: line shown_line of VM shown_vm comes next. */
    enum show (*show)(unsigned vm, unsigned line); /* NULL = nothing */
    unsigned shown_vm, shown_end, shown_line;
} acts;

/* args: "" = none, "[X]" = may be left out, else needed. */
struct command_entry {
    const char *name, *args, *help;
    void (*run)(const char *arg);
    /* Or else for the VM that is named, or for each; without args for none, and once. */
    enum show (*show)(unsigned n, unsigned line);
    enum vm_command ask; /* or else of the VM that is named */
    const char *hurts;   /* what that does to one that runs, which is asked for twice; or NULL */
};
extern const struct command_entry commands[];
extern const unsigned commands_count;

/* The index of word among the names; if it is none of them, says so and gives count. */
unsigned acts_find(const char *what, const char *word, const char *(*name)(unsigned),
                   unsigned count);

/* Tells how a command is typed: its name and its words. */
void acts_usage(const char *name, const char *args);

/* The names of commands, guests, wires of the guest that is named; other words. A word that means
 * "I know what I do" is not among them: it is to be typed. */
const char *acts_name(unsigned i);
const char *acts_vm(unsigned n);
const char *acts_wire(unsigned n);
const char *acts_link(unsigned n);
const char *acts_level(unsigned i);

/* Asks a VM for it; the log tells when it is done, or that there is nothing to do. */
void acts_ask(unsigned n, enum vm_command ask);

/* Has that shown of the VMs from first up to end. */
void acts_show(enum show (*show)(unsigned n, unsigned line), unsigned first, unsigned end);
