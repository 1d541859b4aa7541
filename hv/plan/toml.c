// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The TOML reader: lines, keys, strings, numbers. Goes on with the next line after a fault, so that
 * one run shows all of them. Must not read past the text, whatever it holds. Called by config.c.
 */
#include "hv/plan/toml.h"

#include "hv/lib/status.h"
#include "hv/lib/str.h"
#include "hv/lib/utf8.h"

#define EXCERPT_MAX 40

struct text_out {
    char *buf;
    size_t size, length;
};

static uint32_t column_of(const struct toml *t, const char *at) {
    uint32_t column = 1;
    for (const char *p = t->start; p < at; p++) {
        column += ((uint8_t)*p & 0xc0) != 0x80;
    }
    return column;
}

static bool first_in_line(struct toml *t) {
    bool first = t->fault_line != t->line;
    t->fault_line = t->line;
    return first;
}

#define COMPLAIN(t, where, ...)                                                                    \
    do {                                                                                           \
        if (first_in_line(t)) {                                                                    \
            fault_add((t)->faults, (t)->line, column_of((t), (where)), __VA_ARGS__);               \
        }                                                                                          \
    } while (0)

static bool at_end(const struct toml *t) {
    return t->at == t->end;
}

static bool at_char(const struct toml *t, char c) {
    return t->at < t->end && *t->at == c;
}

static bool at_text(const struct toml *t, const char *text) {
    size_t n = strlen(text);
    return n <= (size_t)(t->end - t->at) && memcmp(t->at, text, n) == 0;
}

static void skip_space(struct toml *t) {
    while (at_char(t, ' ') || at_char(t, '\t')) {
        t->at++;
    }
}

/* Bytes of at most EXCERPT_MAX that show s in a message without cutting a character. */
static int excerpt(const char *s, const char *end) {
    size_t n = (size_t)(end - s);
    if (n > EXCERPT_MAX) {
        n = EXCERPT_MAX;
        while (n > 0 && ((uint8_t)s[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    return (int)n;
}

/* The length of the character at the reading position, for messages. */
static int one_character(const struct toml *t) {
    uint32_t code = 0;
    unsigned n = utf8_decode(t->at, (size_t)(t->end - t->at), &code);
    return n != 0 ? (int)n : 1;
}

static void append(struct text_out *out, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++, out->length++) {
        if (out->length + 1 < out->size) {
            out->buf[out->length] = s[i];
        }
    }
    out->buf[out->length < out->size ? out->length : out->size - 1] = '\0';
}

/* Every byte of a line is checked here, once, so that nothing behind has to. */
static void check_characters(struct toml *t) {
    for (const char *p = t->start; p < t->end;) {
        uint32_t code = 0;
        unsigned n = utf8_decode(p, (size_t)(t->end - p), &code);
        if (n == 0) {
            COMPLAIN(t, p, "byte 0x%02x is not UTF-8; save the file as UTF-8", (uint8_t)*p);
            return;
        }
        if ((code < 0x20 && code != '\t') || code == 0x7f) {
            COMPLAIN(t, p, "control character U+%04X may not stand in the file; remove it", code);
            return;
        }
        p += n;
    }
}

static bool next_line(struct toml *t) {
    if (t->next == t->limit) {
        return false;
    }
    t->start = t->at = t->next;
    t->line++;
    const char *p = t->start;
    while (p < t->limit && *p != '\n') {
        p++;
    }
    t->end = p;
    t->next = p < t->limit ? p + 1 : p;
    if (p < t->limit && p > t->start && p[-1] == '\r') {
        t->end--;
    }
    check_characters(t);
    return true;
}

/* The rest of a refused value of several lines is passed over, up to the line that holds stop. */
static void skip_lines(struct toml *t, const char *stop) {
    uint32_t lines = 0;
    while (stop >= t->next && t->next < t->limit) {
        while (t->next < t->limit && *t->next != '\n') {
            t->next++;
        }
        t->next += t->next < t->limit;
        lines++;
    }
    t->line += lines;
    t->fault_line = lines != 0 ? t->line : t->fault_line;
    t->at = t->end;
}

static void skip_multiline_string(struct toml *t) {
    char quote = *t->at;
    for (const char *p = t->at + 3; t->limit - p >= 3; p++) {
        if (p[0] == '\\' && quote == '"') {
            p++;
        } else if (p[0] == quote && p[1] == quote && p[2] == quote) {
            skip_lines(t, p);
            return;
        }
    }
}

/* From the opening bracket of an array or inline table to the one that closes it. */
static void skip_brackets(struct toml *t) {
    unsigned depth = 0;
    char quote = '\0';
    for (const char *p = t->at; p < t->limit; p++) {
        if (quote != '\0') {
            p += *p == '\\' && quote == '"' && p + 1 < t->limit;
            quote = *p == quote || *p == '\n' ? '\0' : quote;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == '#') {
            while (p + 1 < t->limit && p[1] != '\n') {
                p++;
            }
        } else if (*p == '[' || *p == '{') {
            depth++;
        } else if ((*p == ']' || *p == '}') && --depth == 0) {
            skip_lines(t, p);
            return;
        }
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX or \UXXXXXXXX, from behind the letter. */
static bool read_unicode_escape(struct toml *t, unsigned digits, struct text_out *out) {
    uint32_t code = 0;
    char bytes[4];
    for (unsigned i = 0; i < digits; i++, t->at++) {
        int digit = at_end(t) ? -1 : hex_digit(*t->at);
        if (digit < 0) {
            COMPLAIN(t, t->at, "\\%c wants %u hex digits", digits == 4 ? 'u' : 'U', digits);
            return false;
        }
        code = code << 4 | (uint32_t)digit;
    }
    unsigned n = utf8_encode(code, bytes);
    if (n == 0) {
        COMPLAIN(t, t->at - digits - 2, "there is no character U+%04X", code);
        return false;
    }
    append(out, bytes, n);
    return true;
}

static bool read_escape(struct toml *t, struct text_out *out) {
    static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
    const char *backslash = t->at++;
    if (at_end(t)) {
        COMPLAIN(t, backslash, "the text has no closing quote; add one");
        return false;
    }
    char c = *t->at;
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (c == letters[i]) {
            append(out, &bytes[i], 1);
            t->at++;
            return true;
        }
    }
    if (c == 'u' || c == 'U') {
        t->at++;
        return read_unicode_escape(t, c == 'u' ? 4 : 8, out);
    }
    COMPLAIN(t, backslash,
             "\\%.*s is not an escape; write \\\\ for a backslash, / in a path, or put the text in "
             "'single quotes'",
             one_character(t), t->at);
    return false;
}

/* A one-line string with its quotes, basic (") or literal ('). */
static bool read_string(struct toml *t, struct text_out *out) {
    const char *open = t->at++;
    append(out, "", 0);
    while (!at_end(t)) {
        if (*t->at == *open) {
            t->at++;
            return true;
        }
        if (*t->at == '\\' && *open == '"') {
            if (!read_escape(t, out)) {
                return false;
            }
        } else {
            append(out, t->at++, 1);
        }
    }
    COMPLAIN(t, open, "the text has no closing %c; add one", *open);
    return false;
}

static bool is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* One key, or one part of a dotted one. */
static bool read_key(struct toml *t, struct toml_key *key) {
    struct text_out out = {.buf = key->text, .size = sizeof(key->text)};
    const char *start = t->at;
    bool read = true;
    if (at_char(t, '"') || at_char(t, '\'')) {
        read = read_string(t, &out);
    } else {
        while (!at_end(t) && is_bare(*t->at)) {
            t->at++;
        }
        append(&out, start, (size_t)(t->at - start));
        if (t->at == start) {
            if (at_end(t)) {
                COMPLAIN(t, start, "a name is missing here");
            } else {
                COMPLAIN(t, start,
                         "'%.*s' cannot stand here: a key is made of letters, digits, - and _, or "
                         "stands in quotes",
                         one_character(t), start);
            }
            read = false;
        }
    }
    key->length = out.length;
    key->column = column_of(t, start);
    for (size_t i = 0; i < out.length && i < sizeof(key->text) - 1; i++) {
        if ((uint8_t)key->text[i] < 0x20 || key->text[i] == 0x7f) {
            COMPLAIN(t, start, "a name may not hold control characters; remove them");
            return false;
        }
    }
    return read;
}

static void expect_line_end(struct toml *t, const char *after) {
    skip_space(t);
    if (!at_end(t) && !at_char(t, '#')) {
        COMPLAIN(t, t->at, "unexpected '%.*s' after the %s; one line holds one %s",
                 excerpt(t->at, t->end), t->at, after, after);
    }
}

static void read_header(struct toml *t, struct toml_item *item) {
    item->kind = TOML_TABLE;
    if (at_text(t, "[[")) {
        COMPLAIN(t, t->at, "arrays of tables are not supported; write one [table.name] for each");
        return;
    }
    do {
        struct toml_key *key = &item->keys[item->depth < TOML_DEPTH_MAX ? item->depth : 0];
        struct toml_key spare;
        t->at++;
        skip_space(t);
        if (!read_key(t, item->depth < TOML_DEPTH_MAX ? key : &spare)) {
            return;
        }
        item->depth++;
        skip_space(t);
    } while (at_char(t, '.'));
    if (!at_char(t, ']')) {
        COMPLAIN(t, t->at, "the table header has no closing ]; add one");
        return;
    }
    t->at++;
    expect_line_end(t, "table header");
}

static bool all_of(const char *s, const char *end, const char *allowed) {
    for (; s < end; s++) {
        const char *a = allowed;
        while (*a != '\0' && *a != *s) {
            a++;
        }
        if (*a == '\0') {
            return false;
        }
    }
    return true;
}

/*
 * Digits with single underscores between them. STATUS_UNSUPPORTED if the value does not fit 64 bits
 * with sign.
 */
static enum status read_digits(const char *s, const char *end, unsigned base, uint64_t limit,
                               uint64_t *value) {
    bool digit_before = false, fits = true;
    uint64_t sum = 0;
    for (; s < end; s++) {
        if (*s == '_') {
            if (!digit_before) {
                return STATUS_INVALID;
            }
            digit_before = false;
            continue;
        }
        int digit = hex_digit(*s);
        if (digit < 0 || (unsigned)digit >= base) {
            return STATUS_INVALID;
        }
        fits = fits && sum <= (limit - (unsigned)digit) / base;
        sum = sum * base + (unsigned)digit;
        digit_before = true;
    }
    if (!digit_before) {
        return STATUS_INVALID;
    }
    *value = sum;
    return fits ? STATUS_OK : STATUS_UNSUPPORTED;
}

static enum status read_integer(const char *s, const char *end, int64_t *value) {
    static const struct {
        char letter;
        unsigned base;
    } bases[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    uint64_t sum = 0;
    if (end - s > 2 && s[0] == '0') {
        for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
            if (s[1] == bases[i].letter) {
                enum status status = read_digits(s + 2, end, bases[i].base, INT64_MAX, &sum);
                *value = (int64_t)sum;
                return status;
            }
        }
    }
    bool negative = s < end && *s == '-';
    s += s < end && (*s == '-' || *s == '+');
    if (end - s > 1 && *s == '0') {
        return STATUS_INVALID; /* a leading zero */
    }
    enum status status = read_digits(s, end, 10, (uint64_t)INT64_MAX + negative, &sum);
    *value = (int64_t)(negative ? 0 - sum : sum);
    return status;
}

/* A value without quotes that is neither integer nor boolean: say what it is, or what was meant. */
static void complain_bare(struct toml *t, const struct toml_item *item, const char *s,
                          const char *end) {
    int n = excerpt(s, end);
    const char *key = item->keys[0].text;
    bool number = *s == '+' || *s == '-' || (*s >= '0' && *s <= '9');
    bool dated = end - s >= 5 && (all_of(s, s + 4, "0123456789") && s[4] == '-');
    bool timed = end - s >= 3 && all_of(s, s + 2, "0123456789") && s[2] == ':';
    const char *word = s + (*s == '+' || *s == '-');
    size_t word_length = (size_t)(end - word);
    if (dated || timed) {
        COMPLAIN(t, s, "%.*s: dates and times are not supported", n, s);
    } else if (str_equal_n(word, word_length, "inf") || str_equal_n(word, word_length, "nan") ||
               (number && all_of(s, end, "0123456789_+-.eE") && !all_of(s, end, "0123456789_+-"))) {
        COMPLAIN(t, s, "%.*s: numbers with a fraction or an exponent are not supported", n, s);
    } else if (number && (all_of(word, end, "0123456789_") ||
                          (word_length >= 2 && all_of(word, word + 2, "0xob")))) {
        COMPLAIN(t, s,
                 "%.*s is not a number: no leading zeros, and _ only between digits; hex is 0x1f, "
                 "octal 0o17, binary 0b11",
                 n, s);
    } else {
        COMPLAIN(t, s, "%.*s is not a value: text stands in quotes, such as %s = \"%.*s\"", n, s,
                 key, n, s);
    }
}

static void read_bare_value(struct toml *t, struct toml_item *item) {
    const char *start = t->at;
    while (!at_end(t) && *t->at != ' ' && *t->at != '\t' && *t->at != '#') {
        t->at++;
    }
    size_t n = (size_t)(t->at - start);
    if (str_equal_n(start, n, "true") || str_equal_n(start, n, "false")) {
        item->type = TOML_BOOLEAN;
        item->boolean = *start == 't';
        return;
    }
    enum status status = read_integer(start, t->at, &item->integer);
    if (status == STATUS_OK) {
        item->type = TOML_INTEGER;
    } else if (status == STATUS_UNSUPPORTED) {
        COMPLAIN(t, start, "%.*s is too large a number", excerpt(start, t->at), start);
    } else {
        complain_bare(t, item, start, t->at);
    }
}

static void read_value(struct toml *t, struct toml_item *item) {
    struct text_out out = {.buf = item->string, .size = sizeof(item->string)};
    item->value_column = column_of(t, t->at);
    if (at_end(t) || at_char(t, '#')) {
        COMPLAIN(t, t->at, "%s has no value; write one behind the =", item->keys[0].text);
    } else if (at_text(t, "\"\"\"") || at_text(t, "'''")) {
        COMPLAIN(t, t->at, "text of several lines is not supported; write it in one line");
        skip_multiline_string(t);
    } else if (at_char(t, '"') || at_char(t, '\'')) {
        item->type = read_string(t, &out) ? TOML_STRING : TOML_BROKEN;
        item->length = out.length;
    } else if (at_char(t, '[')) {
        COMPLAIN(t, t->at, "arrays are not supported; write the value as text in quotes");
        skip_brackets(t);
    } else if (at_char(t, '{')) {
        COMPLAIN(t, t->at, "inline tables are not supported; write a [table] of its own");
        skip_brackets(t);
    } else {
        read_bare_value(t, item);
    }
}

static void read_pair(struct toml *t, struct toml_item *item) {
    item->kind = TOML_VALUE;
    if (!read_key(t, &item->keys[0])) {
        return;
    }
    skip_space(t);
    if (at_char(t, '.')) {
        COMPLAIN(t, t->at, "dotted keys are not supported; write a [table] header and the key");
        return;
    }
    if (!at_char(t, '=')) {
        COMPLAIN(t, t->at, "an = is missing after %s; write %s = \"value\"", item->keys[0].text,
                 item->keys[0].text);
        return;
    }
    item->depth = 1;
    t->at++;
    skip_space(t);
    read_value(t, item);
    if (t->fault_line != t->line) {
        expect_line_end(t, "value");
    }
}

void toml_init(struct toml *t, const char *text, size_t length, struct fault_list *faults) {
    *t = (struct toml){.start = text, .next = text, .limit = text + length, .faults = faults};
    if (length >= 2 && ((uint8_t)text[0] ^ (uint8_t)text[1]) == 1 && (uint8_t)text[0] >= 0xfe) {
        fault_add(faults, 1, 1, "the file is UTF-16; save it as UTF-8");
        t->next = t->limit;
    } else if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        t->next += 3;
    }
}

enum toml_kind toml_next(struct toml *t, struct toml_item *item) {
    while (next_line(t)) {
        skip_space(t);
        if (at_end(t) || at_char(t, '#')) {
            continue;
        }
        uint32_t line = t->line;
        item->type = TOML_BROKEN;
        item->line = line;
        item->column = column_of(t, t->at);
        item->depth = 0;
        if (at_char(t, '[')) {
            read_header(t, item);
        } else {
            read_pair(t, item);
        }
        item->broken = t->fault_line >= line;
        if (item->broken) {
            item->type = TOML_BROKEN;
        }
        if (item->kind == TOML_TABLE || item->depth != 0) {
            return item->kind;
        }
    }
    return TOML_END;
}
