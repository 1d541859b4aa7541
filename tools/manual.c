// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints docs/config.md from the schema table, so that the manual cannot differ from the code.
 * Called by tools/bhcheck --manual.
 */
#include "tools/manual.h"

#include <stdio.h>

#include "config/parse.h"
#include "config/schema.h"
#include "hv/lib/message.h"
#include "hv/lib/str.h"

static void print_key(const struct schema_key *key) {
    const char *open = key->list != 0 ? "[\"" : "\"", *close = key->list != 0 ? "\"]" : "\"";

    printf("### `%s`\n\n%s\n\n", key->name, key->doc);
    if (key->list != 0) {
        printf("- Value: a list of up to %u texts, each %s.\n", key->list, key->wanted);
    } else {
        printf("- Value: %s.\n", key->wanted);
    }
    if (key->preset == NULL) {
        printf("- Required.\n");
    } else if (key->preset[0] == '\0') {
        printf("- Default: none.\n");
    } else {
        printf("- Default: `\"%s\"`.\n", key->preset);
    }
    printf("- Example: `%s = %s%s%s`\n\n", key->name, open, key->example, close);
}

static void print_keys(enum schema_table table) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        if (key->table == table) {
            print_key(key);
        }
    }
}

bool manual_explain(const char *name) {
    static const char *const tables[] = {[SCHEMA_HYPERVISOR] = "[hypervisor]",
                                         [SCHEMA_GUEST] = "[guest.NAME]",
                                         [SCHEMA_WIRE] = "[wire.NAME]"};
    const char *near = NULL;
    bool found = false;

    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        near = str_is_near(name, key->name) ? key->name : near;
        if (str_equal(name, key->name)) {
            printf("In %s:\n\n", tables[key->table]);
            print_key(key);
            found = true;
        }
    }
    if (!found && near != NULL) {
        printf("no key \"%s\"; did you mean \"%s\"?" MSG(7115) "\n", name, near);
    } else if (!found) {
        printf("no key \"%s\"; bhcheck --manual has them all" MSG(7116) "\n", name);
    }
    return found;
}

void manual_print(void) {
    printf(
        "# The config file\n\n"
        "<!-- Printed from the schema table by `make docs`; do not edit. -->\n\n"
        "`bulkhead/bulkhead.toml` on the stick says how the machine is divided. "
        "It is a TOML 1.0 file: comments, `[table]` headers and `key = \"value\"` lines. "
        "Of TOML's values only one-line strings and arrays of them are used by the keys below; "
        "numbers, booleans, dates, inline tables, dotted keys, text of several lines and escapes "
        "other than `\\\"` and `\\\\` are refused. "
        "UTF-8 with or without BOM, lines ending in LF or CRLF, at most %llu KiB.\n\n",
        (unsigned long long)(CONFIG_FILE_MAX / KIB));
    printf("All faults of a file are shown in one run, each with line and column, the value, the "
           "rule and the fix; a machine is never divided by a file that has one. "
           "`bhcheck STICKDIR` checks a stick's directory on any PC.\n\n");
    printf("```toml\n[hypervisor]\nconsole = \"com1\"\nlog     = \"info\"\n\n"
           "[guest.web]\ncpus    = \"1\"\nmemory  = \"512M\"\nkernel  = \"guests/vmlinuz\"\n"
           "initrd  = \"guests/web.img\"\ncmdline = \"console=ttyS0\"\n```\n\n");
    printf("## `[hypervisor]`\n\nOne table, may be left out.\n\n");
    print_keys(SCHEMA_HYPERVISOR);
    printf("## `[guest.NAME]`\n\n"
           "One table for each guest, 1 to %d of them. NAME has 1 to %d characters out of `a-z`, "
           "`0-9` and `-`, does not start with `-`, and names one guest only. It stands in the "
           "log and in the console's status line.\n\n",
           CONFIG_MAX_GUESTS, CONFIG_NAME_SIZE - 1);
    print_keys(SCHEMA_GUEST);
    printf("## `[wire.NAME]`\n\n"
           "One table for each wire, at most %d: an Ethernet segment of its own, which the guests "
           "are on whose `net` names it, and nobody else. NAME as for guests.\n\n",
           CONFIG_MAX_WIRES);
    print_keys(SCHEMA_WIRE);
}
