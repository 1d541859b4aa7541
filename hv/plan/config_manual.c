// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints docs/config.md from the schema table, so that the manual cannot differ from the code.
 * Called by tools/bhcheck --manual.
 */
#include "hv/lib/fmt.h"
#include "hv/plan/schema.h"

struct printer {
    void (*put)(void *ctx, const char *text);
    void *ctx;
};

static void print(const struct printer *p, const char *format, ...) PRINTF_LIKE(2, 3);

static void print(const struct printer *p, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    fmt_vprint(text, sizeof(text), format, args);
    va_end(args);
    p->put(p->ctx, text);
}

static void print_keys(const struct printer *p, enum schema_table table) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        if (key->table != table) {
            continue;
        }
        print(p, "### `%s`\n\n%s\n\n", key->name, key->doc);
        print(p, "- Value: %s.\n", key->wanted);
        if (key->required) {
            print(p, "- Required.\n");
        } else {
            print(p, key->preset != NULL ? "- Default: `\"%s\"`.\n" : "- Default: none.\n",
                  key->preset);
        }
        print(p, "- Example: `%s = \"%s\"`\n\n", key->name, key->example);
    }
}

void config_print_manual(void (*put)(void *ctx, const char *text), void *ctx) {
    const struct printer p = {.put = put, .ctx = ctx};
    print(&p,
          "# The config file\n\n"
          "<!-- Printed from the schema table by `make docs`; do not edit. -->\n\n"
          "`bulkhead/bulkhead.toml` on the stick says how the machine is divided. "
          "It is a TOML 1.0 file: comments, `[table]` headers and `key = \"value\"` lines. "
          "Of TOML's values only one-line strings are used by the keys below; arrays, inline "
          "tables, dotted keys, text of several lines, fractions and dates are refused by name. "
          "UTF-8 with or without BOM, lines ending in LF or CRLF, at most %llu KiB.\n\n",
          (unsigned long long)(CONFIG_FILE_MAX / KIB));
    print(&p,
          "All faults of a file are shown in one run, each with line and column, the value, the "
          "rule and the fix; a machine is never divided by a file that has one. "
          "`bhcheck STICKDIR` checks a stick's directory on any PC.\n\n");
    print(&p, "```toml\n[hypervisor]\nconsole = \"com1\"\nlog     = \"info\"\n\n"
              "[guest.web]\ncpus    = \"1\"\nmemory  = \"512M\"\nkernel  = \"guests/vmlinuz\"\n"
              "initrd  = \"guests/web.img\"\ncmdline = \"console=ttyS0\"\n```\n\n");
    print(&p, "## `[hypervisor]`\n\nOne table, may be left out.\n\n");
    print_keys(&p, SCHEMA_HYPERVISOR);
    print(&p,
          "## `[guest.NAME]`\n\n"
          "One table for each guest, 1 to %d of them. NAME has 1 to %d characters out of `a-z`, "
          "`0-9` and `-`, does not start with `-`, and names one guest only. It stands in the "
          "log and in the console's status line.\n\n",
          CONFIG_MAX_GUESTS, CONFIG_NAME_SIZE - 1);
    print_keys(&p, SCHEMA_GUEST);
}
