// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readers of single config values: words, ports, CPU lists, sizes, paths, text. Each gets text that
 * is known to be short enough and free of control characters, and reports what breaks its rule.
 * Called by config.c through the schema table.
 */
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/plan/schema.h"

#define REFUSE(v, ...) fault_add((v)->faults, (v)->pos.line, (v)->pos.column, __VA_ARGS__)

/* How a value is shown in a message: at most this many bytes of it. */
#define SHOWN 60

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Decimal digits at *s; false if there are none or the number passes max. */
static bool read_decimal(const char **s, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    const char *p = *s;
    for (; is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (p == *s) {
        return false;
    }
    *s = p;
    *out = value;
    return true;
}

bool schema_is_near(const char *wrong, const char *right) {
    size_t length = strlen(right);
    unsigned distance = str_distance(wrong, right);
    return distance <= length / 2 && (distance <= 2 || distance <= length / 3);
}

static bool find_choice(const struct schema_key *key, const char *text, void *field) {
    for (const struct schema_choice *c = key->choices; c->name != NULL; c++) {
        if (str_equal(c->name, text)) {
            memcpy(field, &c->value, key->size); /* little-endian: fields of 1, 2 or 4 bytes */
            return true;
        }
    }
    return false;
}

static void refuse_choice(const struct schema_key *key, const struct schema_value *value) {
    const char *meant = NULL;
    for (const struct schema_choice *c = key->choices; c->name != NULL && meant == NULL; c++) {
        meant = schema_is_near(value->text, c->name) ? c->name : NULL;
    }
    REFUSE(value, "%s = \"%.*s\" is not known; write %s%s%s%s", key->name, SHOWN, value->text,
           key->wanted, meant != NULL ? "; did you mean \"" : "", meant != NULL ? meant : "",
           meant != NULL ? "\"?" : "");
}

void schema_read_choice(const struct schema_key *key, const struct schema_value *value,
                        void *field) {
    if (!find_choice(key, value->text, field)) {
        refuse_choice(key, value);
    }
}

/* A name from the choices or a port in hex; 8 ports from there must exist. */
void schema_read_port(const struct schema_key *key, const struct schema_value *value, void *field) {
    static const char digits[] = "0123456789abcdef";
    const char *s = value->text;
    if (find_choice(key, s, field)) {
        return;
    }
    if (s[0] != '0' || (s[1] | 0x20) != 'x' || s[2] == '\0') {
        refuse_choice(key, value);
        return;
    }
    uint32_t port = 0;
    for (s += 2; *s != '\0'; s++) {
        char c = is_digit(*s) ? *s : (char)(*s | 0x20);
        uint32_t digit = 0;
        while (digits[digit] != c && digits[digit] != '\0') {
            digit++;
        }
        if (digit == 16) {
            refuse_choice(key, value);
            return;
        }
        port = port > 0xffff ? port : port * 16 + digit;
    }
    if (port < 0x100 || port > 0xfff8 || port % 8 != 0) {
        REFUSE(value,
               "%s = \"%.*s\" is not the port of a UART; write a multiple of 8 from 0x100 to "
               "0xfff8, such as \"0x3f8\"",
               key->name, SHOWN, value->text);
        return;
    }
    memcpy(field, &port, key->size);
}

static bool add_cpus(const struct schema_key *key, const struct schema_value *value,
                     struct cpu_set *set, uint64_t first, uint64_t last) {
    if (first > last) {
        REFUSE(value, "%s = \"%.*s\": the range %u-%u runs backwards; write %u-%u", key->name,
               SHOWN, value->text, (unsigned)first, (unsigned)last, (unsigned)last,
               (unsigned)first);
        return false;
    }
    for (uint64_t cpu = first; cpu <= last; cpu++) {
        if (cpu_set_has(set, (unsigned)cpu)) {
            REFUSE(value, "%s = \"%.*s\" names CPU %u twice; name each once", key->name, SHOWN,
                   value->text, (unsigned)cpu);
            return false;
        }
        set->bits[cpu / 64] |= BIT(cpu % 64);
    }
    return true;
}

static void skip_blanks(const char **s) {
    while (**s == ' ') {
        (*s)++;
    }
}

void schema_read_cpus(const struct schema_key *key, const struct schema_value *value, void *field) {
    const char *s = value->text;
    struct cpu_set *set = field;
    memset(set, 0, sizeof(*set));
    for (;;) {
        uint64_t first = 0, last = 0;
        skip_blanks(&s);
        const char *item = s;
        bool good = read_decimal(&s, CONFIG_MAX_CPUS - 1, &first);
        last = first;
        if (good && *s == '-') {
            s++;
            good = read_decimal(&s, CONFIG_MAX_CPUS - 1, &last);
        }
        skip_blanks(&s);
        if (!good || (*s != ',' && *s != '\0')) {
            REFUSE(value,
                   "%s = \"%.*s\" is not a list of CPUs at \"%.*s\"; write numbers from 0 to "
                   "%u, such as \"1\", \"2-3\" or \"1,4\"",
                   key->name, SHOWN, value->text, 12, item, CONFIG_MAX_CPUS - 1);
            return;
        }
        if (!add_cpus(key, value, set, first, last) || *s++ == '\0') {
            return;
        }
    }
}

/* The unit a size ends in; *unit is 0 and the letter guessed when it is not spelled our way. */
static char read_unit(const char *s, uint64_t *unit) {
    static const struct {
        char letter;
        uint64_t unit;
    } units[] = {{'K', KIB}, {'M', MIB}, {'G', GIB}};
    *unit = 0;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (s[0] == units[i].letter && s[1] == '\0') {
            *unit = units[i].unit;
        }
    }
    skip_blanks(&s);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if ((s[0] & ~0x20) == units[i].letter) {
            return units[i].letter;
        }
    }
    return 'M';
}

void schema_read_size(const struct schema_key *key, const struct schema_value *value, void *field) {
    const uint64_t most = 1024 * GIB * 64; /* 64 TiB: more than any x86-64 board takes */
    const char *s = value->text;
    uint64_t number = 0, unit = 0;
    if (!read_decimal(&s, most, &number)) {
        REFUSE(value, "%s = \"%.*s\" is not a size; write a number and K, M or G, such as \"%s\"",
               key->name, SHOWN, value->text, key->example);
        return;
    }
    char letter = read_unit(s, &unit);
    if (unit == 0) {
        REFUSE(value, "%s = \"%.*s\" has no unit of K, M or G; write %s = \"%llu%c\"", key->name,
               SHOWN, value->text, key->name, (unsigned long long)number, letter);
        return;
    }
    if (number > most / unit) {
        REFUSE(value, "%s = \"%.*s\" is more than any machine has; write less than \"65536G\"",
               key->name, SHOWN, value->text);
        return;
    }
    uint64_t bytes = number * unit;
    char fix[24];
    if (bytes < CONFIG_MEMORY_MIN) {
        REFUSE(value, "%s = \"%.*s\" is too little for any guest; write at least \"%s\"", key->name,
               SHOWN, value->text, fmt_size(fix, CONFIG_MEMORY_MIN));
        return;
    }
    if (bytes % CONFIG_MEMORY_UNIT != 0) {
        REFUSE(value, "%s = \"%.*s\" is not a multiple of 2M; write \"%s\"", key->name, SHOWN,
               value->text, fmt_size(fix, ALIGN_UP(bytes, CONFIG_MEMORY_UNIT)));
        return;
    }
    *(uint64_t *)field = bytes;
}

/* One part of a path, n bytes at s. */
static bool part_is_good(const char *s, size_t n) {
    return !str_equal_n(s, n, ".") && !str_equal_n(s, n, "..");
}

/* Both slashes part a path; the stored one has single forward slashes and none in front. */
void schema_read_path(const struct schema_key *key, const struct schema_value *value, void *field) {
    char *out = field;
    size_t used = 0;
    const char *s = value->text;
    for (;;) {
        while (*s == '/' || *s == '\\') {
            s++;
        }
        const char *part = s;
        while (*s != '\0' && *s != '/' && *s != '\\') {
            bool odd = *s == ':' || *s == '*' || *s == '?' || *s == '"' || *s == '<' || *s == '>' ||
                       *s == '|';
            if (odd) {
                REFUSE(value,
                       "%s = \"%.*s\" holds '%c', which no file name on the stick can have; "
                       "write the path from the stick's root, such as \"%s\"",
                       key->name, SHOWN, value->text, *s, key->example);
                return;
            }
            s++;
        }
        size_t n = (size_t)(s - part);
        if (n == 0 || !part_is_good(part, n)) {
            REFUSE(value,
                   "%s = \"%.*s\" is not the path of a file; write it from the stick's root "
                   "without . and .., such as \"%s\"",
                   key->name, SHOWN, value->text, key->example);
            return;
        }
        memcpy(out + used, part, n); /* never longer than the text, which fits: length_max */
        used += n;
        out[used] = '\0';
        if (*s == '\0') {
            return;
        }
        out[used++] = '/';
    }
}

void schema_read_text(const struct schema_key *key, const struct schema_value *value, void *field) {
    str_copy_n(field, key->size, value->text, value->length);
}
