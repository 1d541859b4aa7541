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
    struct config_guest *guest;
    struct config_pos table_pos;
    uint32_t hypervisor_line;   /* of its header, 0 = none yet */
    uint32_t seen[SCHEMA_KEYS]; /* the line of each key in the current table, 0 = not yet */
    bool good[SCHEMA_KEYS];     /* its value was taken */
    bool refused;               /* some table was refused as a whole */
};

#define REFUSE(r, pos, ...) fault_add((r)->faults, (pos)->line, (pos)->column, __VA_ARGS__)

/* Reads one text into the key's field; false if the text is refused, the field is zero then. */
static bool read_text(struct reader *r, const struct schema_key *key, const char *text,
                      struct config_pos pos) {
    uint8_t *base = key->table == SCHEMA_GUEST ? (uint8_t *)r->guest : (uint8_t *)r->config;
    const struct schema_value value = {
        .key = key, .text = text, .pos = pos, .faults = r->faults, .field = base + key->offset};
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
    struct config *config = r->config;
    if (!name_is_good(name->text)) {
        fault_add(r->faults, r->table_pos.line, name->column,
                  "guest name \"%.*s\" has odd characters or length; write 1 to %u of a-z, 0-9 and "
                  "-, not starting with -",
                  40, name->text, CONFIG_NAME_SIZE - 1);
    }
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (str_equal(config->guests[i].name, name->text)) {
            REFUSE(r, &r->table_pos,
                   "guest \"%s\" is there already, on line %u; give one of them another name",
                   name->text, config->guests[i].table_pos.line);
            break;
        }
    }
    if (config->guest_count == CONFIG_MAX_GUESTS) {
        REFUSE(r, &r->table_pos, "more than %u guests; remove this one", CONFIG_MAX_GUESTS);
        return;
    }
    r->guest = &config->guests[config->guest_count++];
    str_copy_n(r->guest->name, sizeof(r->guest->name), name->text, strlen(name->text));
    r->guest->table_pos = r->table_pos;
    r->table = SCHEMA_GUEST;
}

/* A misspelled header is refused, but its keys are judged as those of the table that was meant. */
static void begin_table(struct reader *r, const struct toml_item *item) {
    const char *name = item->names[0].text;
    bool guest = !item->broken && item->depth == 2 && str_is_near(name, "guest");
    bool hypervisor = !item->broken && item->depth == 1 && str_is_near(name, "hypervisor");
    finish_table(r);
    memset(r->seen, 0, sizeof(r->seen));
    memset(r->good, 0, sizeof(r->good));
    r->table = SCHEMA_REFUSED;
    r->table_pos = (struct config_pos){item->line, item->column};
    if (!item->broken &&
        (!(guest || hypervisor) || !str_equal(name, guest ? "guest" : "hypervisor"))) {
        REFUSE(r, &r->table_pos, "unknown table [%.*s%s]; there are [hypervisor] and [guest.NAME]",
               40, name, item->depth > 1 ? "..." : "");
    }
    if (guest) {
        begin_guest(r, &item->names[1]);
    } else if (hypervisor && r->hypervisor_line != 0) { /* which is meant cannot be known */
        REFUSE(r, &r->table_pos,
               "[hypervisor] is there already, on line %u; put all its keys under one header",
               r->hypervisor_line);
    } else if (hypervisor) {
        r->hypervisor_line = item->line;
        r->table = SCHEMA_HYPERVISOR;
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
    /* A short field is that of a number or a set, whose text may be longer. */
    size_t most = key->size < CONFIG_PATH_SIZE ? CONFIG_CMDLINE_SIZE - 1 : key->size - 1u;
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
        r->good[key - schema] = read_text(r, key, item->value, pos);
    }
}

void config_preset(struct config *config) {
    struct reader r = {.config = config, .table = SCHEMA_HYPERVISOR};
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
        fault_add(faults, 0, 0, "the file has %llu bytes; at most %llu are read",
                  (unsigned long long)length, (unsigned long long)CONFIG_FILE_MAX);
        return STATUS_INVALID;
    }
    const char *cause = text_find_cause(text, length, &line);
    if (cause != NULL) {
        fault_add(faults, line, 1, "%s", cause);
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
        fault_add(faults, 0, 0, "no guest is configured; add a table such as [guest.web]");
    }
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}
