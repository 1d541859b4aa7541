// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The config reader: fills struct config by the schema. Owns the rules about tables, names,
 * unknown, double and missing keys. Must report every fault of a file in one run. Called by boot/,
 * tools/bhcheck and the tests.
 */
#include "config/parse.h"

#include "config/schema.h"
#include "config/text.h"
#include "config/toml.h"
#include "hv/lib/str.h"

struct reader {
    struct config *config;
    struct fault_list *faults;
    enum schema_table table; /* whose keys come now */
    uint8_t *base;           /* of the struct that they fill */
    const char *name;        /* of a guest or a wire */
    struct config_pos table_pos;
    uint32_t hypervisor_line;   /* of its header, 0 = none yet */
    uint32_t seen[SCHEMA_KEYS]; /* the line of each key in the current table, 0 = not yet */
    bool good[SCHEMA_KEYS];     /* its value was taken */
    bool refused;               /* some table was refused as a whole */
};

#define REFUSE(r, pos, ...) fault_add((r)->faults, (pos)->line, (pos)->column, __VA_ARGS__)

/* Reads one text into the key's field, or into the number-th one of a list; false if the text is
 * refused, the field is zero then. */
static bool read_text(struct reader *r, const struct schema_key *key, const char *text,
                      uint32_t number, struct config_pos pos) {
    const struct schema_value value = {.key = key,
                                       .text = text,
                                       .pos = pos,
                                       .faults = r->faults,
                                       .field = r->base + key->offset + number * key->size,
                                       .number = number};
    bool good = key->read(&value);
    if (!good) {
        memset(value.field, 0, key->size);
    }
    return good;
}

/* Completes the table that ends here: presets, also where a value was refused; missing keys. */
static void finish_table(struct reader *r) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        const struct schema_key *key = &schema[i];
        if (key->table != r->table || r->good[i] || (key->preset == NULL && r->seen[i] != 0)) {
            continue;
        }
        if (key->preset == NULL) {
            REFUSE(r, &r->table_pos,
                   "guest \"%s\" has no %s; add a line such as %s = \"%s\"" MSG(1031), r->name,
                   key->name, key->name, key->example);
        } else if (key->preset[0] != '\0') {
            read_text(r, key, key->preset, 0, r->table_pos);
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

/* what: of which kind the name is. */
static void judge_name(struct reader *r, const char *what, const struct toml_name *name) {
    if (!name_is_good(name->text)) {
        fault_add(r->faults, r->table_pos.line, name->column,
                  "%s name \"%.*s\" has odd characters or length; write 1 to %u of a-z, 0-9 and "
                  "-, not starting with -" MSG(1032),
                  what, 40, name->text, CONFIG_NAME_SIZE - 1);
    }
}

static void refuse_twice(struct reader *r, const char *what, const char *name, uint32_t line) {
    REFUSE(r, &r->table_pos,
           "%s \"%s\" is there already, on line %u; give one of them another name" MSG(1033), what,
           name, line);
}

static void begin_guest(struct reader *r, const struct toml_name *name) {
    struct config *config = r->config;
    judge_name(r, "guest", name);
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (str_equal(config->guests[i].name, name->text)) {
            refuse_twice(r, "guest", name->text, config->guests[i].table_pos.line);
            break;
        }
    }
    if (config->guest_count == CONFIG_MAX_GUESTS) {
        REFUSE(r, &r->table_pos, "more than %u guests; remove this one" MSG(1034),
               CONFIG_MAX_GUESTS);
        return;
    }
    struct config_guest *guest = &config->guests[config->guest_count++];
    str_copy_n(guest->name, sizeof(guest->name), name->text, strlen(name->text));
    guest->table_pos = r->table_pos;
    r->name = guest->name;
    r->base = (uint8_t *)guest;
    r->table = SCHEMA_GUEST;
}

static void begin_wire(struct reader *r, const struct toml_name *name) {
    struct config *config = r->config;
    judge_name(r, "wire", name);
    for (uint32_t i = 0; i < config->wire_count; i++) {
        if (str_equal(config->wires[i].name, name->text)) {
            refuse_twice(r, "wire", name->text, config->wires[i].table_pos.line);
            break;
        }
    }
    if (config->wire_count == CONFIG_MAX_WIRES) {
        REFUSE(r, &r->table_pos, "more than %u wires; remove this one" MSG(1035), CONFIG_MAX_WIRES);
        return;
    }
    struct config_wire *wire = &config->wires[config->wire_count++];
    str_copy_n(wire->name, sizeof(wire->name), name->text, strlen(name->text));
    wire->table_pos = r->table_pos;
    r->name = wire->name;
    r->base = (uint8_t *)wire;
    r->table = SCHEMA_WIRE;
}

/* Which is meant by a second one cannot be known. */
static void begin_hypervisor(struct reader *r, UNUSED const struct toml_name *name) {
    if (r->hypervisor_line != 0) {
        REFUSE(r, &r->table_pos,
               "[hypervisor] is there already, on line %u; put all its keys "
               "under one header" MSG(1036),
               r->hypervisor_line);
        return;
    }
    r->hypervisor_line = r->table_pos.line;
    r->base = (uint8_t *)r->config;
    r->table = SCHEMA_HYPERVISOR;
}

/* name: the second one of the header, where it has two. */
static const struct table {
    const char *name;
    uint32_t depth;
    void (*begin)(struct reader *r, const struct toml_name *name);
} tables[] = {
    {"guest", 2, begin_guest}, {"hypervisor", 1, begin_hypervisor}, {"wire", 2, begin_wire}};

static const struct table *find_table(const struct toml_item *item) {
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (item->depth == tables[i].depth && str_is_near(item->names[0].text, tables[i].name)) {
            return &tables[i];
        }
    }
    return NULL;
}

/* A misspelled header is refused, but its keys are judged as those of the table that was meant. */
static void begin_table(struct reader *r, const struct toml_item *item) {
    const char *name = item->names[0].text;
    const struct table *table = item->broken ? NULL : find_table(item);
    finish_table(r);
    memset(r->seen, 0, sizeof(r->seen));
    memset(r->good, 0, sizeof(r->good));
    r->table = SCHEMA_REFUSED;
    r->table_pos = (struct config_pos){item->line, item->column};
    if (!item->broken && (table == NULL || !str_equal(name, table->name))) {
        REFUSE(r, &r->table_pos,
               "unknown table [%.*s%s]; there are [hypervisor], "
               "[guest.NAME] and [wire.NAME]" MSG(1037),
               40, name, item->depth > 1 ? "..." : "");
    }
    if (table != NULL) {
        table->begin(r, &item->names[1]);
    }
    r->refused = r->refused || r->table == SCHEMA_REFUSED;
}

/* The key of that name, or one that it is near to; in SCHEMA_HEAD it may be any table's. */
static const struct schema_key *find_key(const char *name, enum schema_table table, bool near) {
    for (size_t i = 0; i < SCHEMA_KEYS; i++) {
        if ((table == SCHEMA_HEAD || schema[i].table == table) &&
            (near ? str_is_near(name, schema[i].name) : str_equal(name, schema[i].name))) {
            return &schema[i];
        }
    }
    return NULL;
}

/* Reports a key that this table does not have. */
static void refuse_key(struct reader *r, const char *name, const struct config_pos *pos) {
    static const char *const headers[] = {[SCHEMA_HYPERVISOR] = "the [hypervisor]",
                                          [SCHEMA_GUEST] = "a [guest.NAME]",
                                          [SCHEMA_WIRE] = "a [wire.NAME]"};
    const struct schema_key *other = find_key(name, SCHEMA_HEAD, false);
    const struct schema_key *near = find_key(name, r->table, true);
    if (other != NULL) {
        REFUSE(r, pos, "%s does not belong here; put it under %s header" MSG(1038), name,
               headers[other->table]);
    } else if (near != NULL) {
        REFUSE(r, pos, "unknown key %.*s; did you mean %s?" MSG(1039), 40, name, near->name);
    } else {
        REFUSE(r, pos, "unknown key %.*s; remove it" MSG(1040), 40, name);
    }
}

/* A list: each text for itself; those that are refused leave no gap. */
static bool read_list(struct reader *r, const struct schema_key *key,
                      const struct toml_item *item) {
    uint32_t *count = (uint32_t *)(void *)(r->base + key->pos_offset);
    bool good = true;

    for (uint32_t i = 0; i < item->text_count; i++) {
        const struct toml_text *text = &item->texts[i];
        const struct config_pos pos = {text->line, text->column};
        if (*count == key->list) {
            REFUSE(r, &pos, "%s has more than %u values; remove this one" MSG(1041), key->name,
                   key->list);
            return false;
        }
        bool taken = read_text(r, key, item->value + text->start, *count, pos);
        *count += taken;
        good = good && taken;
    }
    return good;
}

static bool read_single(struct reader *r, const struct schema_key *key,
                        const struct toml_item *item) {
    const struct config_pos pos = {item->line, item->value_column};
    /* A short field is that of a number or a set, whose text may be longer. */
    size_t most = key->size < CONFIG_PATH_SIZE ? CONFIG_CMDLINE_SIZE - 1 : key->size - 1u;

    if (item->length > most) {
        REFUSE(r, &pos, "%s is %u bytes long; write at most %u" MSG(1042), key->name,
               (unsigned)item->length, (unsigned)most);
        return false;
    }
    return read_text(r, key, item->value, 0, pos);
}

/* A value of the right kind: a text, or an array of texts. */
static bool read_value(struct reader *r, const struct schema_key *key,
                       const struct toml_item *item) {
    const struct config_pos pos = {item->line, item->value_column};

    if (item->broken) {
        return false;
    }
    if (key->list != 0 && !item->array) {
        REFUSE(r, &pos, "%s is a list; write %s in brackets: %s = [\"%s\"]" MSG(1043), key->name,
               key->wanted, key->name, key->example);
        return false;
    }
    if (key->list == 0 && item->array) {
        REFUSE(r, &pos, "%s is no list: arrays are not supported here; write %s = \"%s\"" MSG(1044),
               key->name, key->name, key->example);
        return false;
    }
    if (!item->quoted && !item->array) {
        REFUSE(r, &pos,
               "%s = %.*s is not text in quotes; write %s, in quotes: %s = \"%s\"" MSG(1045),
               key->name, 40, item->value, key->wanted, key->name, key->example);
        return false;
    }
    return item->array ? read_list(r, key, item) : read_single(r, key, item);
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
        REFUSE(r, &key_pos, "%s is there already, on line %u; remove one of them" MSG(1046), name,
               *seen);
        return;
    }
    *seen = item->line;
    if (key->pos_offset != 0 && key->list == 0) {
        memcpy(r->base + key->pos_offset, &pos, sizeof(pos));
    }
    r->good[key - schema] = read_value(r, key, item);
}

void config_preset(struct config *config) {
    struct reader r = {.config = config, .base = (uint8_t *)config, .table = SCHEMA_HYPERVISOR};
    memset(config, 0, sizeof(*config));
    finish_table(&r);
}

enum status config_parse(const char *text, size_t length, struct config *config,
                         struct fault_list *faults) {
    struct reader r = {.config = config, .faults = faults, .table = SCHEMA_HEAD};
    struct toml toml;
    struct toml_item item;
    uint32_t line;
    config_preset(config);
    if (length > CONFIG_FILE_MAX) {
        fault_add(faults, 0, 0, "the file has %llu bytes; at most %llu are read" MSG(1047),
                  (unsigned long long)length, (unsigned long long)CONFIG_FILE_MAX);
        return STATUS_INVALID;
    }
    const char *cause = text_find_cause(text, length, &line);
    if (cause != NULL) {
        fault_add(faults, line, 1, "%s" MSG(1048), cause);
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
    if (config->guest_count == 0 && !r.refused) {
        fault_add(faults, 0, 0,
                  "no guest is configured; add a table such as [guest.web]" MSG(1049));
    }
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}
