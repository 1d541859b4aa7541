// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The config: the schema table, and the reader that fills struct config by it. Owns the rules about
 * tables, names, unknown, double and missing keys. Must report every fault of a file in one run.
 * Called by boot/, tools/bhcheck and the tests.
 */
#include "hv/plan/config.h"

#include "hv/lib/str.h"
#include "hv/plan/schema.h"
#include "hv/plan/toml.h"

#define FIELD(type, member)                                                                        \
    .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define HYPERVISOR_KEY(member) .table = SCHEMA_HYPERVISOR, FIELD(config, member)
#define GUEST_KEY(member)      .table = SCHEMA_GUEST, FIELD(config_guest, member)
#define POS(member)            .pos_offset = offsetof(struct config_guest, member)

const struct schema_key schema[SCHEMA_KEYS] = {
    {.name = "console",
     .read = schema_read_port,
     HYPERVISOR_KEY(console_port),
     .preset = "com1",
     .choices = {{"com1", 0x3f8}, {"com2", 0x2f8}, {"com3", 0x3e8}, {"com4", 0x2e8}, {"none", 0}},
     .wanted = "\"com1\", \"com2\", \"com3\", \"com4\", \"none\" or an I/O port such as \"0x3f8\"",
     .example = "com1",
     .doc = "The serial port for the log and the guests' consoles, 115200 baud, 8 data bits, no "
            "parity. The screen shows the log as well, where there is one."},
    {.name = "log",
     .read = schema_read_choice,
     HYPERVISOR_KEY(log_level),
     .preset = "info",
     .choices =
         {{"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}},
     .wanted = "\"error\", \"warn\", \"info\" or \"debug\"",
     .example = "info",
     .doc = "How much is logged: this level and the graver ones."},
    {.name = "cpus",
     .read = schema_read_cpus,
     GUEST_KEY(cpus),
     POS(cpus_pos),
     .wanted = "a list of host CPU numbers such as \"1\", \"2-3\" or \"1,4\"",
     .example = "1",
     .doc = "The host CPUs this guest owns alone, one virtual CPU for each. CPU 0 is the one the "
            "firmware started on. This release runs guests of one CPU."},
    {.name = "memory",
     .read = schema_read_size,
     GUEST_KEY(memory),
     POS(memory_pos),
     .wanted = "a number and K, M or G, at least \"16M\", a multiple of 2M",
     .example = "512M",
     .doc = "The guest's memory, owned by it alone. It must hold the kernel and the initrd."},
    {.name = "kernel",
     .read = schema_read_path,
     GUEST_KEY(kernel),
     POS(kernel_pos),
     .wanted = "the path of a file, from the stick's root, with / or \\ between its parts",
     .example = "guests/vmlinuz",
     .doc = "The Linux kernel to start: a 64-bit bzImage, boot protocol 2.12 or later."},
    {.name = "initrd",
     .read = schema_read_path,
     GUEST_KEY(initrd),
     POS(initrd_pos),
     .preset = "",
     .wanted = "the path of a file, from the stick's root, with / or \\ between its parts",
     .example = "guests/web.img",
     .doc = "The initial ramdisk. Without this key the guest gets none."},
    {.name = "cmdline",
     .read = schema_read_text,
     GUEST_KEY(cmdline),
     .preset = "console=ttyS0",
     .wanted = "text of at most 1023 bytes",
     .example = "console=ttyS0 quiet",
     .doc = "The kernel's command line. The guest's console is its first serial port."},
    {.name = "start",
     .read = schema_read_choice,
     GUEST_KEY(start_auto),
     .preset = "auto",
     .choices = {{"auto", 1}, {"manual", 0}},
     .wanted = "\"auto\" or \"manual\"",
     .example = "auto",
     .doc = "Whether the guest starts with the machine or waits for the operator."},
    {.name = "on_crash",
     .read = schema_read_choice,
     GUEST_KEY(on_crash),
     .preset = "restart",
     .choices = {{"restart", ON_CRASH_RESTART}, {"stop", ON_CRASH_STOP}, {"halt", ON_CRASH_HALT}},
     .wanted = "\"restart\", \"stop\" or \"halt\"",
     .example = "restart",
     .doc = "What follows when the guest crashes: start it again with clean memory, switch it off, "
            "or leave it standing as it is for a look. The other guests go on in any case."},
    {.name = "on_violation",
     .read = schema_read_choice,
     GUEST_KEY(on_violation),
     .preset = "deny",
     .choices = {{"deny", ON_VIOLATION_DENY}, {"stop", ON_VIOLATION_STOP}},
     .wanted = "\"deny\" or \"stop\"",
     .example = "deny",
     .doc = "What follows when the guest reaches for a register, port or address that no rule "
            "allows: it is refused as on a PC without that device and counted, or the guest is "
            "stopped."},
};

struct reader {
    struct config *config;
    struct fault_list *faults;
    enum schema_table table; /* whose keys come now */
    struct config_guest *guest;
    struct config_pos table_pos;
    uint32_t hypervisor_line;   /* of its header, 0 = none yet */
    uint32_t seen[SCHEMA_KEYS]; /* the line of each key in the current table, 0 = not yet */
    bool refused;               /* some table was refused as a whole */
};

#define REFUSE(r, pos, ...) fault_add((r)->faults, (pos)->line, (pos)->column, __VA_ARGS__)

/* Reads one text into the key's field, which stays zero if the text is refused. */
static void read_text(struct reader *r, const struct schema_key *key, const char *text,
                      struct config_pos pos) {
    uint8_t *base = key->table == SCHEMA_GUEST ? (uint8_t *)r->guest : (uint8_t *)r->config;
    const struct schema_value value = {
        .key = key, .text = text, .pos = pos, .faults = r->faults, .field = base + key->offset};
    if (!key->read(&value)) {
        memset(value.field, 0, key->size);
    }
}

/* Completes the table that ends here: presets, and the keys that are missing. */
static void finish_table(struct reader *r) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        if (key->table != r->table || r->seen[i] != 0) {
            continue;
        }
        if (key->preset == NULL) {
            REFUSE(r, &r->table_pos, "guest \"%s\" has no %s; add a line such as %s = \"%s\"",
                   r->guest->name, key->name, key->name, key->example);
        } else if (key->preset[0] != '\0') {
            read_text(r, key, key->preset, r->table_pos);
        }
    }
}

static bool name_is_good(const char *name) {
    size_t n = 0;
    while ((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= '0' && name[n] <= '9') ||
           name[n] == '-') {
        n++;
    }
    return n != 0 && n < CONFIG_NAME_SIZE && name[n] == '\0' && name[0] != '-';
}

static void begin_guest(struct reader *r, const struct toml_name *name) {
    const struct config_pos name_pos = {r->table_pos.line, name->column};
    if (!name_is_good(name->text)) {
        REFUSE(r, &name_pos,
               "guest name \"%.*s\" has odd characters or length; write 1 to %d of a-z, 0-9 and -, "
               "not starting with -",
               40, name->text, CONFIG_NAME_SIZE - 1);
    }
    for (uint32_t i = 0; i < r->config->guest_count; i++) {
        const struct config_guest *other = &r->config->guests[i];
        if (str_equal(other->name, name->text)) {
            REFUSE(r, &r->table_pos,
                   "guest \"%s\" is there already, on line %u; give one of them another name",
                   other->name, other->table_pos.line);
            break;
        }
    }
    if (r->config->guest_count == CONFIG_MAX_GUESTS) {
        REFUSE(r, &r->table_pos, "more than %d guests; remove this one", CONFIG_MAX_GUESTS);
        return;
    }
    r->guest = &r->config->guests[r->config->guest_count++];
    str_copy_n(r->guest->name, sizeof(r->guest->name), name->text, strlen(name->text));
    r->guest->table_pos = r->table_pos;
    r->table = SCHEMA_GUEST;
}

static void begin_hypervisor(struct reader *r) {
    if (r->hypervisor_line != 0) { /* which of two is meant cannot be known */
        REFUSE(r, &r->table_pos,
               "[hypervisor] is there already, on line %u; put all its keys under one header",
               r->hypervisor_line);
        return;
    }
    r->hypervisor_line = r->table_pos.line;
    r->table = SCHEMA_HYPERVISOR;
}

static void begin_table(struct reader *r, const struct toml_item *item) {
    const struct toml_name *first = &item->names[0];
    finish_table(r);
    memset(r->seen, 0, sizeof(r->seen));
    r->table = SCHEMA_REFUSED;
    r->table_pos = (struct config_pos){item->line, item->column};
    if (!item->broken) {
        const struct config_pos pos = {item->line, first->column};
        bool guest = schema_is_near(first->text, "guest");
        bool hypervisor = schema_is_near(first->text, "hypervisor");
        if (!guest && !hypervisor) {
            REFUSE(r, &pos, "unknown table [%.*s]; there are [hypervisor] and [guest.NAME]", 40,
                   first->text);
        } else if (!str_equal(first->text, guest ? "guest" : "hypervisor")) {
            REFUSE(r, &pos, "unknown table [%.*s]; did you mean [%s]?", 40, first->text,
                   guest ? "guest.NAME" : "hypervisor");
        }
        if (guest && item->depth == 2) {
            begin_guest(r, &item->names[1]);
        } else if (guest) {
            REFUSE(r, &r->table_pos, "a guest's table has one name, such as [guest.web]");
        } else if (hypervisor && item->depth == 1) {
            begin_hypervisor(r);
        } else if (hypervisor) {
            REFUSE(r, &r->table_pos, "[hypervisor] has no tables of its own; write [hypervisor]");
        }
    }
    r->refused = r->refused || r->table == SCHEMA_REFUSED;
}

/* The key of that name, or one that it is near to; in SCHEMA_HEAD it may be any table's. */
static const struct schema_key *find_key(const char *name, enum schema_table table, bool near) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        if ((table == SCHEMA_HEAD || schema[i].table == table) &&
            (near ? schema_is_near(name, schema[i].name) : str_equal(name, schema[i].name))) {
            return &schema[i];
        }
    }
    return NULL;
}

/* Reports a key that this table does not have. */
static void refuse_key(struct reader *r, const char *name, const struct config_pos *pos) {
    const struct schema_key *other = find_key(name, SCHEMA_HEAD, false);
    const struct schema_key *near = find_key(name, r->table, true);
    if (other != NULL) {
        REFUSE(r, pos, "%s does not belong here; put it under %s", name,
               other->table == SCHEMA_GUEST ? "a [guest.NAME] header" : "the [hypervisor] header");
    } else if (near != NULL) {
        REFUSE(r, pos, "unknown key %.*s; did you mean %s?", 40, name, near->name);
    } else {
        REFUSE(r, pos, "unknown key %.*s; remove it", 40, name);
    }
}

static void read_key(struct reader *r, const struct toml_item *item) {
    const char *name = item->names[0].text;
    const struct schema_key *key = find_key(name, r->table, false);
    const struct config_pos key_pos = {item->line, item->column};
    const struct config_pos pos = {item->line, item->value_column};
    if (r->table == SCHEMA_REFUSED) {
        return;
    }
    if (key == NULL || r->table == SCHEMA_HEAD) {
        refuse_key(r, name, &key_pos);
        return;
    }
    uint32_t *seen = &r->seen[key - schema];
    if (*seen != 0) {
        REFUSE(r, &key_pos, "%s is there already, on line %u; remove one of them", name, *seen);
        return;
    }
    *seen = item->line;
    if (key->pos_offset != 0) {
        memcpy((uint8_t *)r->guest + key->pos_offset, &pos, sizeof(pos));
    }
    bool bounded = key->read == schema_read_path || key->read == schema_read_text;
    size_t most = bounded ? key->size - 1u : CONFIG_CMDLINE_SIZE - 1;
    if (item->broken) {
        return;
    }
    if (!item->quoted) {
        REFUSE(r, &pos, "%s = %.*s is not text in quotes; write %s, in quotes: %s = \"%s\"", name,
               40, item->value, key->wanted, name, key->example);
    } else if (item->length > most) {
        REFUSE(r, &pos, "%s is %u bytes long; write at most %u", name, (unsigned)item->length,
               (unsigned)most);
    } else {
        read_text(r, key, item->value, pos);
    }
}

enum status config_parse(const char *text, size_t length, struct config *config,
                         struct fault_list *faults) {
    struct reader r = {.config = config, .faults = faults, .table = SCHEMA_HYPERVISOR};
    struct toml toml;
    struct toml_item item;
    memset(config, 0, sizeof(*config));
    if (length > CONFIG_FILE_MAX) {
        fault_add(faults, 0, 0, "the file has %llu bytes; at most %llu are read",
                  (unsigned long long)length, (unsigned long long)CONFIG_FILE_MAX);
        return STATUS_INVALID;
    }
    finish_table(&r); /* [hypervisor] may be left out */
    r.table = SCHEMA_HEAD;
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
    if (config->guest_count == 0 && !r.refused) {
        fault_add(faults, 0, 0, "no guest is configured; add a table such as [guest.web]");
    }
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}
