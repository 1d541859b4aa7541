/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schema of bulkhead.toml, shared by the reader (config.c), the value readers
 * (config_value.c) and the manual printer (config_manual.c). Private to these and plan.c.
 */
#ifndef HV_PLAN_SCHEMA_H
#define HV_PLAN_SCHEMA_H

#include "hv/plan/config.h"

enum schema_table { SCHEMA_NONE, SCHEMA_HYPERVISOR, SCHEMA_GUEST };

#define CONFIG_MEMORY_UNIT (2 * MIB)
#define CONFIG_MEMORY_MIN  (16 * MIB)

/* One word that a key accepts; the list ends with a NULL name. */
struct schema_choice {
    const char *name;
    uint32_t value;
};

/* A value being read: its text (untrusted, a string of length bytes) and where it stands. */
struct schema_value {
    const char *text;
    size_t length;
    struct config_pos pos;
    struct fault_list *faults;
};

struct schema_key {
    const char *name;
    enum schema_table table;
    /* Turns the text into *field (size bytes) or reports why not; field may be changed either way.
     */
    void (*read)(const struct schema_key *key, const struct schema_value *value, void *field);
    uint16_t offset; /* of the field in struct config or struct config_guest */
    uint16_t size;
    uint16_t pos_offset; /* of its struct config_pos, 0 = not kept */
    uint16_t length_max; /* bytes of text */
    bool required;
    const char *preset; /* the text used when the key is not given; NULL = the field stays zero */
    const struct schema_choice *choices;
    const char *wanted;  /* what a value is, for messages and the manual */
    const char *example; /* without quotes */
    const char *doc;
};

#define SCHEMA_KEYS 10
extern const struct schema_key
    schema[SCHEMA_KEYS]; /* the only list of keys, in the manual's order */

void schema_read_choice(const struct schema_key *key, const struct schema_value *value,
                        void *field);
void schema_read_port(const struct schema_key *key, const struct schema_value *value, void *field);
void schema_read_cpus(const struct schema_key *key, const struct schema_value *value, void *field);
void schema_read_size(const struct schema_key *key, const struct schema_value *value, void *field);
void schema_read_path(const struct schema_key *key, const struct schema_value *value, void *field);
void schema_read_text(const struct schema_key *key, const struct schema_value *value, void *field);

/* True if wrong may be a misspelling of right. */
bool schema_is_near(const char *wrong, const char *right);

/* Reports every CPU that two guests were given; true if there was none. */
bool config_check_shared_cpus(const struct config *config, struct fault_list *faults);

#endif
