// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The TOML reader: lines, keys, strings. Goes on with the next line after a fault, so that one run
 * shows all of them. Must not read past the text, whatever it holds. Called by parse.c.
 */
#include "config/toml.h"

#include "config/utf8.h"
#include "hv/lib/str.h"

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

/* Only the first fault of an item is reported. */
#define COMPLAIN(t, where, ...)                                                                    \
    ((t)->complained || (fault_add((t)->faults, (t)->line, column_of((t), (where)), __VA_ARGS__),  \
                         (t)->complained = true))

static bool at_text(const struct toml *t, const char *text) {
    size_t n = strlen(text);
    return n <= (size_t)(t->end - t->at) && memcmp(t->at, text, n) == 0;
}

static bool at_quote(const struct toml *t) {
    return at_text(t, "\"") || at_text(t, "'");
}

static bool at_blank(const struct toml *t) {
    return at_text(t, " ") || at_text(t, "\t");
}

static void skip_blanks(struct toml *t) {
    while (at_blank(t)) {
        t->at++;
    }
}

/* The length of the character at the reading position, for messages. */
static int one_character(const struct toml *t) {
    uint32_t code;
    return (int)utf8_decode(t->at, t->end, &code);
}

static void append(struct text_out *out, char c) {
    if (out->length + 1 < out->size) {
        out->buf[out->length] = c;
        out->buf[out->length + 1] = '\0';
    }
    out->length++;
}

/* A file of another encoding has such bytes in many lines: one cause, one fault. */
static void refuse_byte(struct toml *t, const char *at) {
    if (!t->complained && !t->not_utf8) {
        COMPLAIN(t, at,
                 "byte 0x%02x is not UTF-8 (saved as Windows-1252 or Latin-1?); save the file as "
                 "UTF-8" MSG(1001),
                 (uint8_t)*at);
    }
    t->not_utf8 = true;
    t->complained = true; /* in any case this item is not to be used */
}

/* Every byte of a line is checked here, once, so that nothing behind has to. */
static void check_characters(struct toml *t) {
    unsigned n = 0;
    for (const char *p = t->start; p < t->end && !t->complained; p += n) {
        uint32_t code = 0;
        n = utf8_decode(p, t->end, &code);
        if (n == 0) {
            refuse_byte(t, p);
        } else if ((code < 0x20 && code != '\t') || code == 0x7f) {
            COMPLAIN(t, p,
                     "control character 0x%02x may not stand in the file; remove it" MSG(1002),
                     code);
        }
    }
}

static bool next_line(struct toml *t) {
    if (t->next == t->limit) {
        return false;
    }
    t->start = t->at = t->end = t->next;
    t->line++;
    while (t->end < t->limit && *t->end != '\n') {
        t->end++;
    }
    t->next = t->end;
    if (t->next < t->limit) {
        t->next++;
        t->end -= t->end > t->start && t->end[-1] == '\r';
    }
    check_characters(t);
    return true;
}

/* The rest of a refused value of several lines is passed over, up to the line that closes it. */
static void skip_past(struct toml *t, const char *closer) {
    size_t n = strlen(closer);
    const char *p = t->at + n;
    while ((size_t)(t->limit - p) >= n && memcmp(p, closer, n) != 0) {
        p++;
    }
    while ((size_t)(t->limit - p) >= n && t->next <= p) {
        next_line(t);
    }
}

/* A one-line string with its quotes, basic (") or literal ('). */
static bool read_string(struct toml *t, struct text_out *out) {
    const char *open = t->at++;
    for (; t->at < t->end; t->at++) {
        if (*t->at == *open) {
            t->at++;
            return true;
        }
        if (*t->at == '\\' && *open == '"' && t->at + 1 < t->end) {
            t->at++;
            if (*t->at != '"' && *t->at != '\\') {
                COMPLAIN(t, t->at - 1,
                         "the escape \\%.*s is not supported; write \\\\ for a backslash, / in a "
                         "path, or put the text in 'single quotes'" MSG(1003),
                         one_character(t), t->at);
                return false;
            }
        }
        append(out, *t->at);
    }
    COMPLAIN(t, open, "the text has no closing %c; add one" MSG(1004), *open);
    return false;
}

static bool is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* One key, or one part of a dotted one. */
static bool read_name(struct toml *t, struct toml_name *name) {
    struct text_out out = {.buf = name->text, .size = sizeof(name->text)};
    name->column = column_of(t, t->at);
    if (at_quote(t)) {
        return read_string(t, &out);
    }
    for (; t->at < t->end && is_bare(*t->at); t->at++) {
        append(&out, *t->at);
    }
    if (out.length == 0) {
        COMPLAIN(t, t->at,
                 "a name is missing here; it is made of letters, digits, - and _, or stands in "
                 "quotes" MSG(1005));
    }
    return out.length != 0;
}

static void expect_line_end(struct toml *t, const char *after) {
    skip_blanks(t);
    if (t->at < t->end && *t->at != '#') {
        COMPLAIN(t, t->at, "unexpected '%.*s' after the %s; one line holds one %s" MSG(1006),
                 one_character(t), t->at, after, after);
    }
}

static void read_header(struct toml *t, struct toml_item *item) {
    item->kind = TOML_TABLE;
    if (at_text(t, "[[")) {
        COMPLAIN(t, t->at,
                 "arrays of tables are not supported; write one [table.name] for each" MSG(1007));
        return;
    }
    do {
        t->at++;
        skip_blanks(t);
        if (!read_name(t, &item->names[min_u64(item->depth, TOML_DEPTH_MAX)])) {
            return;
        }
        item->depth++;
        skip_blanks(t);
    } while (at_text(t, "."));
    if (!at_text(t, "]")) {
        COMPLAIN(t, t->at, "the table header has no closing ]; add one" MSG(1008));
        return;
    }
    t->at++;
    expect_line_end(t, "table header");
}

/* Blanks, comments and ends of lines; false at the end of the file. */
static bool skip_in_array(struct toml *t) {
    skip_blanks(t);
    while (t->at == t->end || *t->at == '#') {
        if (!next_line(t)) {
            return false;
        }
        skip_blanks(t);
    }
    return true;
}

/* One text of an array, which goes after the others in the item's value. */
static void read_array_text(struct toml *t, struct toml_item *item, struct text_out *out) {
    if (at_text(t, "\"\"\"") || at_text(t, "'''") || !at_quote(t)) {
        COMPLAIN(t, t->at,
                 "'%.*s' begins no text: arrays of anything else are not supported; write "
                 "[\"...\", \"...\"]" MSG(1009),
                 one_character(t), t->at);
    } else if (item->text_count == TOML_TEXTS_MAX) {
        COMPLAIN(t, t->at,
                 "arrays of more than %u texts are not supported; remove this one" MSG(1010),
                 TOML_TEXTS_MAX);
    } else {
        struct toml_text *text = &item->texts[item->text_count++];
        *text = (struct toml_text){
            .line = t->line, .column = column_of(t, t->at), .start = out->length};
        read_string(t, out);
        text->length = out->length - text->start;
        append(out, '\0');
    }
    if (out->length >= out->size) {
        COMPLAIN(t, t->at, "arrays of more than %u bytes are not supported; write less" MSG(1011),
                 (unsigned)out->size);
    }
}

/* Behind a text: true if another one may follow. */
static bool read_array_comma(struct toml *t) {
    if (at_text(t, "]")) {
        return true;
    }
    if (!at_text(t, ",")) {
        COMPLAIN(t, t->at,
                 "unexpected '%.*s' in the array; write a comma between two texts" MSG(1012),
                 one_character(t), t->at);
        return false;
    }
    t->at++;
    return true;
}

/* Up to the closing bracket; false if there is none, or something else is wrong. */
static bool read_array_texts(struct toml *t, struct toml_item *item, struct text_out *out) {
    for (;;) {
        bool more = skip_in_array(t);
        bool next_key = more && t->line != item->line && is_bare(*t->at);
        if (!more || next_key) {
            return false;
        }
        if (at_text(t, "]")) {
            return true;
        }
        read_array_text(t, item, out);
        if (t->complained || !skip_in_array(t) || !read_array_comma(t)) {
            return false;
        }
    }
}

/* After a fault the lines after the one where it began are read as if there were no array, but
 * for what closes it. */
static void read_array(struct toml *t, struct toml_item *item, struct text_out *out) {
    struct toml begin = *t;

    item->array = true;
    t->at++;
    if (read_array_texts(t, item, out)) {
        t->at++;
        return;
    }
    bool said = t->complained;
    begin.not_utf8 = t->not_utf8;
    *t = begin;
    if (!said) {
        COMPLAIN(t, t->at, "the array has no closing ]; add one" MSG(1013));
    }
    t->complained = true;
    skip_past(t, "]");
}

static void read_value(struct toml *t, struct toml_item *item) {
    static const struct {
        const char *opener, *closer, *why;
    } refused[] = {
        {"\"\"\"", "\"\"\"", "text of several lines is not supported; write it in one line"},
        {"'''", "'''", "text of several lines is not supported; write it in one line"},
        {"{", "}", "inline tables are not supported; write a [table] of its own"},
    };
    struct text_out out = {.buf = item->value, .size = sizeof(item->value)};
    item->value_column = column_of(t, t->at);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (at_text(t, refused[i].opener)) {
            COMPLAIN(t, t->at, "%s" MSG(1014), refused[i].why);
            skip_past(t, refused[i].closer);
            return;
        }
    }
    item->quoted = at_quote(t);
    if (item->quoted) {
        read_string(t, &out);
    } else if (at_text(t, "[")) {
        read_array(t, item, &out);
        if (t->complained) {
            return;
        }
    } else {
        for (; t->at < t->end && !at_blank(t) && *t->at != '#'; t->at++) {
            append(&out, *t->at);
        }
        if (out.length == 0) {
            COMPLAIN(t, t->at, "%s has no value; write one behind the =" MSG(1015),
                     item->names[0].text);
        }
    }
    item->length = out.length;
    expect_line_end(t, "value");
}

static void read_pair(struct toml *t, struct toml_item *item) {
    const char *name = item->names[0].text;
    item->kind = TOML_PAIR;
    if (!read_name(t, &item->names[0])) {
        return;
    }
    skip_blanks(t);
    if (at_text(t, ".")) {
        COMPLAIN(t, t->at,
                 "dotted keys are not supported; write a [table] header and the key" MSG(1016));
    } else if (!at_text(t, "=")) {
        COMPLAIN(t, t->at, "an = is missing after %s; write %s = \"value\"" MSG(1017), name, name);
    } else {
        item->depth = 1;
        t->at++;
        skip_blanks(t);
        read_value(t, item);
    }
}

void toml_init(struct toml *t, const char *text, size_t length, struct fault_list *faults) {
    *t = (struct toml){.next = text, .limit = text + length, .faults = faults};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        t->next += 3;
    }
}

enum toml_kind toml_next(struct toml *t, struct toml_item *item) {
    for (t->complained = false; next_line(t); t->complained = false) {
        skip_blanks(t);
        if (t->at == t->end || *t->at == '#') {
            continue;
        }
        *item = (struct toml_item){.line = t->line, .column = column_of(t, t->at)};
        if (*t->at == '[') {
            read_header(t, item);
        } else {
            read_pair(t, item);
        }
        item->broken = t->complained;
        if (item->kind == TOML_TABLE || item->depth != 0) {
            return item->kind;
        }
    }
    return TOML_END;
}
