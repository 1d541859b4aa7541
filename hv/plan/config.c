// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The config: the schema table, and the reader that fills struct config by it. Owns the rules about
 * tables, names, unknown, double and missing keys. Must report every fault of a file in one run.
 * Called by boot/, tools/bhcheck and the tests.
 */
#include "hv/plan/config.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/plan/schema.h"
#include "hv/plan/toml.h"

static const struct schema_choice console_choices[] = {
    {"com1", 0x3f8}, {"com2", 0x2f8}, {"com3", 0x3e8}, {"com4", 0x2e8}, {"none", 0}, {NULL, 0},
};
static const struct schema_choice log_choices[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0},
};
static const struct schema_choice start_choices[] = {{"auto", 1}, {"manual", 0}, {NULL, 0}};
static const struct schema_choice crash_choices[] = {
    {"restart", ON_CRASH_RESTART},
    {"stop", ON_CRASH_STOP},
    {"halt", ON_CRASH_HALT},
    {NULL, 0},
};
static const struct schema_choice violation_choices[] = {
    {"deny", ON_VIOLATION_DENY},
    {"stop", ON_VIOLATION_STOP},
    {NULL, 0},
};

#define FIELD(type, member)                                                                        \
    .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define POS(member) .pos_offset = offsetof(struct config_guest, member)

#define WORD_MAX 64

const struct schema_key schema[SCHEMA_KEYS] = {
    {.name = "console",
     .table = SCHEMA_HYPERVISOR,
     .read = schema_read_port,
     FIELD(config, console_port),
     .length_max = WORD_MAX,
     .preset = "com1",
     .choices = console_choices,
     .wanted = "\"com1\", \"com2\", \"com3\", \"com4\", \"none\" or an I/O port such as \"0x3f8\"",
     .example = "com1",
     .doc = "The serial port for the log and the guests' consoles, 115200 baud, 8 data bits, no "
            "parity. The screen shows the log as well, where there is one."},
    {.name = "log",
     .table = SCHEMA_HYPERVISOR,
     .read = schema_read_choice,
     FIELD(config, log_level),
     .length_max = WORD_MAX,
     .preset = "info",
     .choices = log_choices,
     .wanted = "\"error\", \"warn\", \"info\" or \"debug\"",
     .example = "info",
     .doc = "How much is logged: this level and the graver ones."},
    {.name = "cpus",
     .table = SCHEMA_GUEST,
     .read = schema_read_cpus,
     FIELD(config_guest, cpus),
     POS(cpus_pos),
     .length_max = 1023,
     .required = true,
     .wanted = "a list of host CPU numbers such as \"1\", \"2-3\" or \"1,4\"",
     .example = "1",
     .doc = "The host CPUs this guest owns alone, one virtual CPU for each. CPU 0 is the one the "
            "firmware started on. This release runs guests of one CPU."},
    {.name = "memory",
     .table = SCHEMA_GUEST,
     .read = schema_read_size,
     FIELD(config_guest, memory),
     POS(memory_pos),
     .length_max = WORD_MAX,
     .required = true,
     .wanted = "a number and K, M or G, at least \"16M\", a multiple of 2M",
     .example = "512M",
     .doc = "The guest's memory, owned by it alone. It must hold the kernel and the initrd."},
    {.name = "kernel",
     .table = SCHEMA_GUEST,
     .read = schema_read_path,
     FIELD(config_guest, kernel),
     POS(kernel_pos),
     .length_max = CONFIG_PATH_SIZE - 1,
     .required = true,
     .wanted = "the path of a file, from the stick's root, with / or \\ between its parts",
     .example = "guests/vmlinuz",
     .doc = "The Linux kernel to start: a 64-bit bzImage, boot protocol 2.12 or later."},
    {.name = "initrd",
     .table = SCHEMA_GUEST,
     .read = schema_read_path,
     FIELD(config_guest, initrd),
     POS(initrd_pos),
     .length_max = CONFIG_PATH_SIZE - 1,
     .wanted = "the path of a file, from the stick's root, with / or \\ between its parts",
     .example = "guests/web.img",
     .doc = "The initial ramdisk. Without this key the guest gets none."},
    {.name = "cmdline",
     .table = SCHEMA_GUEST,
     .read = schema_read_text,
     FIELD(config_guest, cmdline),
     .length_max = CONFIG_CMDLINE_SIZE - 1,
     .preset = "console=ttyS0",
     .wanted = "text of at most 1023 bytes",
     .example = "console=ttyS0 quiet",
     .doc = "The kernel's command line. The guest's console is its first serial port."},
    {.name = "start",
     .table = SCHEMA_GUEST,
     .read = schema_read_choice,
     FIELD(config_guest, start_auto),
     .length_max = WORD_MAX,
     .preset = "auto",
     .choices = start_choices,
     .wanted = "\"auto\" or \"manual\"",
     .example = "auto",
     .doc = "Whether the guest starts with the machine or waits for the operator."},
    {.name = "on_crash",
     .table = SCHEMA_GUEST,
     .read = schema_read_choice,
     FIELD(config_guest, on_crash),
     .length_max = WORD_MAX,
     .preset = "restart",
     .choices = crash_choices,
     .wanted = "\"restart\", \"stop\" or \"halt\"",
     .example = "restart",
     .doc = "What follows when the guest crashes: start it again with clean memory, switch it off, "
            "or leave it standing as it is for a look. The other guests go on in any case."},
    {.name = "on_violation",
     .table = SCHEMA_GUEST,
     .read = schema_read_choice,
     FIELD(config_guest, on_violation),
     .length_max = WORD_MAX,
     .preset = "deny",
     .choices = violation_choices,
     .wanted = "\"deny\" or \"stop\"",
     .example = "deny",
     .doc = "What follows when the guest reaches for a register, port or address that no rule "
            "allows: it is refused as on a PC without that device and counted, or the guest is "
            "stopped."},
};

static const char *const table_names[] = {
    [SCHEMA_HYPERVISOR] = "hypervisor",
    [SCHEMA_GUEST] = "guest",
};

struct reader {
    struct config *config;
    struct fault_list *faults;
    enum schema_table table; /* SCHEMA_NONE: keys are read and passed over */
    bool before_tables;      /* no header was seen yet */
    struct config_guest *guest;
    struct config_pos table_pos, hypervisor_pos;
    struct config_pos seen[SCHEMA_KEYS]; /* in the current table */
};

#define REFUSE(r, at_line, at_column, ...)                                                         \
    fault_add((r)->faults, (at_line), (at_column), __VA_ARGS__)

static void *field_of(const struct reader *r, const struct schema_key *key) {
    return (key->table == SCHEMA_GUEST ? (uint8_t *)r->guest : (uint8_t *)r->config) + key->offset;
}

/* Completes the table that ends here: presets, and the keys that are missing. */
static void finish_table(struct reader *r) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        if (key->table != r->table || r->seen[i].line != 0) {
            continue;
        }
        if (key->required) {
            REFUSE(r, r->table_pos.line, r->table_pos.column,
                   "guest \"%s\" has no %s; add a line such as %s = \"%s\"", r->guest->name,
                   key->name, key->name, key->example);
        } else if (key->preset != NULL) {
            struct schema_value value = {
                .text = key->preset, .length = strlen(key->preset), .faults = r->faults};
            key->read(key, &value, field_of(r, key));
        }
    }
}

static bool name_is_good(const char *name, size_t length) {
    if (length == 0 || length >= CONFIG_NAME_SIZE || name[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return false;
        }
    }
    return true;
}

static void begin_guest(struct reader *r, const struct toml_item *item) {
    const struct toml_key *key = &item->keys[1];
    if (!name_is_good(key->text, key->length)) {
        REFUSE(r, item->line, key->column,
               "guest name \"%.*s\" has odd characters or length; write 1 to %d of a-z, 0-9 and -, "
               "not starting with -",
               40, key->text, CONFIG_NAME_SIZE - 1);
    }
    for (uint32_t i = 0; i < r->config->guest_count; i++) {
        const struct config_guest *other = &r->config->guests[i];
        if (str_equal(other->name, key->text)) {
            REFUSE(r, item->line, item->column,
                   "guest \"%s\" is there already, on line %u; give one of them another name",
                   other->name, other->table_pos.line);
            break;
        }
    }
    if (r->config->guest_count == CONFIG_MAX_GUESTS) {
        REFUSE(r, item->line, item->column, "more than %d guests; remove this one",
               CONFIG_MAX_GUESTS);
        return;
    }
    r->guest = &r->config->guests[r->config->guest_count++];
    str_copy_n(r->guest->name, sizeof(r->guest->name), key->text, strlen(key->text));
    r->guest->table_pos = r->table_pos;
    r->table = SCHEMA_GUEST;
}

static void begin_hypervisor(struct reader *r, const struct toml_item *item) {
    if (r->hypervisor_pos.line != 0) {
        REFUSE(r, item->line, item->column,
               "[hypervisor] is there already, on line %u; put all its keys under one header",
               r->hypervisor_pos.line);
        return; /* its keys are passed over: which of two is meant cannot be known */
    }
    r->hypervisor_pos = r->table_pos;
    r->table = SCHEMA_HYPERVISOR;
}

/* The table a first key names, or is near to. */
static enum schema_table find_table(const char *text, bool near) {
    for (unsigned i = SCHEMA_HYPERVISOR; i < ARRAY_SIZE(table_names); i++) {
        if (near ? schema_is_near(text, table_names[i]) : str_equal(text, table_names[i])) {
            return (enum schema_table)i;
        }
    }
    return SCHEMA_NONE;
}

static void begin_table(struct reader *r, const struct toml_item *item) {
    finish_table(r);
    r->before_tables = false;
    r->table = SCHEMA_NONE;
    r->table_pos = (struct config_pos){.line = item->line, .column = item->column};
    memset(r->seen, 0, sizeof(r->seen));
    if (item->broken) {
        return;
    }
    const char *text = item->keys[0].text;
    enum schema_table table = find_table(text, false);
    if (table == SCHEMA_NONE) {
        table = find_table(text, true);
        bool guest = table == SCHEMA_GUEST;
        REFUSE(r, item->line, item->keys[0].column, "unknown table [%.*s]; %s", 40, text,
               table == SCHEMA_NONE ? "there are [hypervisor] and [guest.NAME]"
               : guest              ? "did you mean [guest.NAME]?"
                                    : "did you mean [hypervisor]?");
    }
    if (table == SCHEMA_GUEST && item->depth == 2) {
        begin_guest(r, item);
    } else if (table == SCHEMA_HYPERVISOR && item->depth == 1) {
        begin_hypervisor(r, item);
    } else if (table != SCHEMA_NONE) {
        REFUSE(r, item->line, item->column, "%s",
               table == SCHEMA_GUEST ? "a guest's table has one name, such as [guest.web]"
                                     : "[hypervisor] has no tables of its own; write [hypervisor]");
    }
}

/* Reports a key that this table does not have. */
static void refuse_key(struct reader *r, const struct toml_item *item) {
    const char *text = item->keys[0].text;
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        if (str_equal(schema[i].name, text)) {
            REFUSE(r, item->line, item->column, "%s does not belong here; put it under %s", text,
                   schema[i].table == SCHEMA_GUEST ? "a [guest.NAME] header"
                                                   : "the [hypervisor] header");
            return;
        }
    }
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        if (schema[i].table == r->table && schema_is_near(text, schema[i].name)) {
            REFUSE(r, item->line, item->column, "unknown key %.*s; did you mean %s?", 40, text,
                   schema[i].name);
            return;
        }
    }
    REFUSE(r, item->line, item->column, "unknown key %.*s in %s; remove it", 40, text,
           r->table == SCHEMA_GUEST        ? "a guest"
           : r->table == SCHEMA_HYPERVISOR ? "[hypervisor]"
                                           : "the file's head, before any [table]");
}

static void refuse_type(struct reader *r, const struct schema_key *key,
                        const struct toml_item *item) {
    char number[24];
    if (item->type == TOML_INTEGER && item->integer > 0 && key->read == schema_read_size) {
        REFUSE(r, item->line, item->value_column, "%s = %lld has no unit; write %s = \"%lldM\"",
               key->name, (long long)item->integer, key->name, (long long)item->integer);
        return;
    }
    const char *found = number;
    if (item->type == TOML_INTEGER) {
        fmt_print(number, sizeof(number), "%lld", (long long)item->integer);
    } else {
        found = item->boolean ? "true" : "false";
    }
    REFUSE(r, item->line, item->value_column, "%s is the %s %s; write %s, in quotes: %s = \"%s\"",
           key->name, item->type == TOML_INTEGER ? "number" : "boolean", found, key->wanted,
           key->name, key->example);
}

/* False, with a report, if the value is no text that a key could take. */
static bool value_is_text(struct reader *r, const struct schema_key *key,
                          const struct toml_item *item) {
    if (item->type == TOML_BROKEN) {
        return false;
    }
    if (item->type != TOML_STRING) {
        refuse_type(r, key, item);
        return false;
    }
    if (item->length > key->length_max) {
        REFUSE(r, item->line, item->value_column, "%s is %llu bytes long; write at most %u",
               key->name, (unsigned long long)item->length, key->length_max);
        return false;
    }
    for (size_t i = 0; i < item->length; i++) {
        if ((uint8_t)item->string[i] < 0x20 || item->string[i] == 0x7f) {
            REFUSE(r, item->line, item->value_column,
                   "%s holds the control character U+%04X; remove it", key->name,
                   (unsigned)(uint8_t)item->string[i]);
            return false;
        }
    }
    return true;
}

static void read_key(struct reader *r, const struct toml_item *item) {
    const char *text = item->keys[0].text;
    if (r->table == SCHEMA_NONE && !r->before_tables) {
        return; /* in a table that was refused as a whole */
    }
    size_t i = 0;
    while (i < SCHEMA_KEYS && !(schema[i].table == r->table && str_equal(schema[i].name, text))) {
        i++;
    }
    if (i == SCHEMA_KEYS) {
        refuse_key(r, item);
        return;
    }
    const struct schema_key *key = &schema[i];
    if (r->seen[i].line != 0) {
        REFUSE(r, item->line, item->column, "%s is there already, on line %u; remove one of them",
               text, r->seen[i].line);
        return;
    }
    r->seen[i] = (struct config_pos){.line = item->line, .column = item->column};
    struct schema_value value = {.text = item->string,
                                 .length = item->length,
                                 .pos = {.line = item->line, .column = item->value_column},
                                 .faults = r->faults};
    if (key->pos_offset != 0) {
        memcpy((uint8_t *)r->guest + key->pos_offset, &value.pos, sizeof(value.pos));
    }
    if (value_is_text(r, key, item)) {
        key->read(key, &value, field_of(r, key));
    }
}

bool config_check_shared_cpus(const struct config *config, struct fault_list *faults) {
    bool good = true;
    for (uint32_t i = 1; i < config->guest_count; i++) {
        const struct config_guest *guest = &config->guests[i];
        for (uint32_t j = 0; j < i; j++) {
            const struct config_guest *other = &config->guests[j];
            struct cpu_set both;
            for (size_t k = 0; k < ARRAY_SIZE(both.bits); k++) {
                both.bits[k] = guest->cpus.bits[k] & other->cpus.bits[k];
            }
            if (cpu_set_next(&both, 0) == CONFIG_MAX_CPUS) {
                continue;
            }
            char list[48];
            fault_add(faults, guest->cpus_pos.line, guest->cpus_pos.column,
                      "CPU %s of guest \"%s\" was given to guest \"%s\" already, on line %u; "
                      "give each guest CPUs of its own",
                      cpu_set_format(&both, list, sizeof(list)), guest->name, other->name,
                      other->cpus_pos.line);
            good = false;
        }
    }
    return good;
}

enum status config_parse(const char *text, size_t length, struct config *config,
                         struct fault_list *faults) {
    uint32_t before = faults->count + faults->dropped;
    struct reader r = {.config = config, .faults = faults, .before_tables = true};
    struct toml toml;
    struct toml_item item;
    memset(config, 0, sizeof(*config));
    if (length > CONFIG_FILE_MAX) {
        fault_add(faults, 0, 0, "the file has %llu bytes; at most %llu are read",
                  (unsigned long long)length, (unsigned long long)CONFIG_FILE_MAX);
        return STATUS_INVALID;
    }
    toml_init(&toml, text, length, faults);
    enum toml_kind kind;
    while ((kind = toml_next(&toml, &item)) != TOML_END) {
        if (kind == TOML_TABLE) {
            begin_table(&r, &item);
        } else {
            read_key(&r, &item);
        }
    }
    finish_table(&r);
    if (r.hypervisor_pos.line == 0) {
        r.table = SCHEMA_HYPERVISOR;
        memset(r.seen, 0, sizeof(r.seen));
        finish_table(&r);
    }
    if (config->guest_count == 0) {
        fault_add(faults, 0, 0, "no guest is configured; add a table such as [guest.web]");
    }
    config_check_shared_cpus(config, faults);
    fault_sort(faults);
    return faults->count + faults->dropped == before ? STATUS_OK : STATUS_INVALID;
}
