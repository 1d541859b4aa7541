/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema of bulkhead.toml: what each key is called, means and accepts. Used by the reader
 * (parse.c) and the manual printer (tools/manual.c).
 */
#pragma once

#include "config/fault.h"
#include "hv/plan/config.h"

#define CONFIG_MEMORY_UNIT      (2 * MIB)
#define CONFIG_MEMORY_MIN       (16 * MIB)
#define CONFIG_STOP_TIMEOUT_MAX 3600 /* seconds */
#define CONFIG_MENU_MAX         600  /* the same */
#define CONFIG_MTU_MIN          576
#define CONFIG_MTU_MAX          65535
#define CONFIG_MEMORY_MAX       (1024 * GIB * 64) /* more than any x86-64 board takes */

/* SCHEMA_HEAD: before the first header. SCHEMA_REFUSED: a bad one, its keys are passed over. */
enum schema_table { SCHEMA_HEAD, SCHEMA_HYPERVISOR, SCHEMA_GUEST, SCHEMA_WIRE, SCHEMA_REFUSED };

struct schema_key;

/* A value being read: its text (untrusted), where it stands, and where it goes. */
struct schema_value {
    const struct schema_key *key;
    const char *text;
    struct config_pos pos;
    struct fault_list *faults;
    void *field;     /* key->size bytes; zero, or a preset */
    uint32_t number; /* of a list's texts, from 0 */
};

struct schema_choice {
    const char *name;
    uint32_t value;
};

struct schema_key {
    const char *name;
    /* Turns the text into *field, or reports why not; what is in the field then is not to be used.
     */
    bool (*read)(const struct schema_value *value);
    const struct schema_choice *choices; /* the words it accepts, up to one without a name */
    enum schema_table table;
    uint16_t offset; /* of the field in its table's struct; of the first, in a list */
    uint16_t size;
    uint16_t pos_offset; /* of its struct config_pos, 0 = not kept; of a list: of its count */
    uint16_t list;       /* so many texts at most; 0 = it is no list */
    /* The text used when the key is not given: "" = the field stays zero, NULL = it must be given.
     */
    const char *preset;
    const char *example; /* without quotes */
    const char *wanted;  /* what a value is, for messages and the manual */
    const char *doc;
};

#define SCHEMA_KEYS 38
/* The only list of keys, in the manual's order. */
extern const struct schema_key schema[SCHEMA_KEYS];
