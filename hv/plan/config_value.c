// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readers of single config values: words, ports, CPU lists, sizes, paths, text. Each gets text that
 * is known to be short enough and free of control characters but tabs, and reports what breaks its
 * rule. Called by config.c through the schema table.
 */
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/plan/schema.h"

/* How a value is shown in a message: at most this many bytes of it. */
#define SHOWN 60

static bool refuse(const struct schema_value *v, const char *format, ...) PRINTF_LIKE(2, 3);

/* Reports the value with the rule it breaks and the fix. Always false. */
static bool refuse(const struct schema_value *v, const char *format, ...) {
    char rule[FAULT_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    fmt_vprint(rule, sizeof(rule), format, args);
    va_end(args);
    fault_add(v->faults, v->pos.line, v->pos.column, "%s = \"%.*s\" %s", v->key->name, SHOWN,
              v->text, rule);
    return false;
}

/* Digits at *s; false if there are none or the number passes max. */
static bool read_number(const char **s, unsigned base, uint64_t max, uint64_t *out) {
    const char *start = *s;
    uint64_t value = 0;
    for (;; (*s)++) {
        unsigned decimal = (unsigned)**s - '0', letter = ((unsigned)**s | 0x20) - 'a';
        unsigned digit = decimal < 10 ? decimal : letter < 6 ? letter + 10 : base;
        if (digit >= base) {
            break;
        }
        if (digit > max || value > (max - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *out = value;
    return *s != start;
}

static const char *skip_blanks(const char *s) {
    while (*s == ' ') {
        s++;
    }
    return s;
}

bool schema_is_near(const char *wrong, const char *right) {
    size_t length = strlen(right);
    unsigned distance = str_distance(wrong, right);
    return distance <= length / 2 && (distance <= 2 || distance <= length / 3);
}

bool schema_read_choice(const struct schema_value *v) {
    const char *meant = NULL;
    for (size_t i = 0; v->key->choices[i].name != NULL; i++) {
        if (str_equal(v->key->choices[i].name, v->text)) {
            /* little-endian: fields of 1, 2 or 4 bytes */
            memcpy(v->field, &v->key->choices[i].value, v->key->size);
            return true;
        }
        if (meant == NULL && schema_is_near(v->text, v->key->choices[i].name)) {
            meant = v->key->choices[i].name;
        }
    }
    return meant != NULL
               ? refuse(v, "is not known; write %s; did you mean \"%s\"?", v->key->wanted, meant)
               : refuse(v, "is not known; write %s", v->key->wanted);
}

/* A name from the choices or a port in hex; 8 ports from there must exist. */
bool schema_read_port(const struct schema_value *v) {
    const char *s = v->text;
    uint64_t port = 0;
    if (s[0] != '0' || (s[1] | 0x20) != 'x') {
        return schema_read_choice(v);
    }
    s += 2;
    if (!read_number(&s, 16, 0xfff8, &port) || *s != '\0' || port < 0x100 || port % 8 != 0) {
        return refuse(v, "is not the port of a UART; write a multiple of 8 from 0x100 to 0xfff8, "
                         "such as \"0x3f8\"");
    }
    memcpy(v->field, &port, v->key->size);
    return true;
}

bool schema_read_cpus(const struct schema_value *v) {
    struct cpu_set *set = v->field;
    const char *s = v->text;
    do {
        uint64_t first = 0, last = 0;
        const char *item = s = skip_blanks(s);
        bool good = read_number(&s, 10, CONFIG_MAX_CPUS - 1, &first);
        last = first;
        if (good && *s == '-') {
            s++;
            good = read_number(&s, 10, CONFIG_MAX_CPUS - 1, &last) && first <= last;
        }
        s = skip_blanks(s);
        if (!good || (*s != ',' && *s != '\0')) {
            return refuse(v,
                          "is not a list of CPUs at \"%.*s\"; write numbers from 0 to %u, such as "
                          "\"1\", \"2-3\" or \"1,4\"",
                          12, item, CONFIG_MAX_CPUS - 1);
        }
        for (uint64_t cpu = first; cpu <= last; cpu++) {
            if (cpu_set_has(set, (unsigned)cpu)) {
                return refuse(v, "names CPU %u twice; name each once", (unsigned)cpu);
            }
            set->bits[cpu / 64] |= BIT(cpu % 64);
        }
    } while (*s++ == ',');
    return true;
}

bool schema_read_size(const struct schema_value *v) {
    const char *s = v->text;
    uint64_t number = 0;
    if (!read_number(&s, 10, CONFIG_MEMORY_MAX, &number)) {
        return refuse(v, "is not a size; write a number and K, M or G, such as \"%s\"",
                      v->key->example);
    }
    char letter = (char)(*skip_blanks(s) & ~0x20);
    letter = letter == 'K' || letter == 'G' ? letter : 'M';
    if (s[0] != letter || s[1] != '\0') {
        return refuse(v, "has no unit of K, M or G; write %s = \"%llu%c\"", v->key->name,
                      (unsigned long long)number, letter);
    }
    uint64_t unit = letter == 'K' ? KIB : letter == 'M' ? MIB : GIB;
    bool fits = number <= CONFIG_MEMORY_MAX / unit;
    uint64_t bytes = fits ? number * unit : CONFIG_MEMORY_MAX;
    uint64_t near = max_u64(ALIGN_UP(bytes, CONFIG_MEMORY_UNIT), CONFIG_MEMORY_MIN);
    if (!fits || bytes != near) {
        char fix[24];
        return refuse(v, "is not a multiple of 2M from \"16M\" to \"65536G\"; write \"%s\"",
                      fmt_size(fix, near));
    }
    *(uint64_t *)v->field = bytes;
    return true;
}

/* Characters that no file name on a FAT volume can have. */
static bool is_odd(char c) {
    static const char odd[] = "\t:*?\"<>|";
    size_t i = 0;
    while (odd[i] != c && odd[i] != '\0') {
        i++;
    }
    return odd[i] != '\0';
}

/* Both slashes part a path; the stored one has single forward slashes and none in front. */
bool schema_read_path(const struct schema_value *v) {
    char *out = v->field;            /* never longer than the text, which fits */
    size_t used = 0, part_start = 0; /* in out */
    for (const char *s = v->text;; s++) {
        if (*s != '/' && *s != '\\' && *s != '\0') {
            if (is_odd(*s)) {
                return refuse(v,
                              "holds '%c', which no file name on the stick can have; write the "
                              "path from the stick's root, such as \"%s\"",
                              *s, v->key->example);
            }
            out[used++] = *s;
            continue;
        }
        const char *part = out + part_start;
        size_t n = used - part_start;
        bool dots = (n == 1 || n == 2) && part[0] == '.' && part[n - 1] == '.';
        if (dots || (n == 0 && *s == '\0')) {
            return refuse(v,
                          "is not the path of a file; write it from the stick's root without . and "
                          ".., such as \"%s\"",
                          v->key->example);
        }
        if (*s == '\0') {
            return true;
        }
        if (n != 0) {
            out[used++] = '/';
            part_start = used;
        }
    }
}

bool schema_read_text(const struct schema_value *v) {
    return str_copy_n(v->field, v->key->size, v->text, strlen(v->text));
}
