/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recognises files that are no TOML; see text.h. Must not read past the text. */
#include "config/text.h"

#include "hv/lib/str.h"

#define UTF8_MARK   "\xef\xbb\xbf"
#define SAMPLE_SIZE 256u /* of a file, to see every second byte zero */
#define UTF16_CAUSE "the file is UTF-16 (\"Unicode\" in some editors); save it as UTF-8"
#define UTF32_CAUSE "the file is UTF-32; save it as UTF-8"
#define TOML_IS     "write TOML: [guest.web] above lines such as memory = \"512M\" (docs/config.md)"
#define ENTRY(text) (text), sizeof(text) - 1
#define YAML_CAUSE  "this looks like YAML; " TOML_IS
#define OLD_MAC_CAUSE                                                                              \
    "the lines end as on an old Mac (CR alone); save the file with Unix or Windows line ends"

/* How files begin; the longer marks first. */
static const struct mark {
    const char *bytes;
    size_t length;
    const char *cause;
} marks[] = {
    {ENTRY("\xff\xfe\0\0"), UTF32_CAUSE},
    {ENTRY("\0\0\xfe\xff"), UTF32_CAUSE},
    {ENTRY("\xff\xfe"), UTF16_CAUSE},
    {ENTRY("\xfe\xff"), UTF16_CAUSE},
};

/* How the first line begins that is neither empty nor a comment. */
static const struct mark openers[] = {
    {ENTRY("{\\rtf"), "this is a document of a word processor (RTF); save it as plain text"},
    {ENTRY("{"), "this looks like JSON; " TOML_IS},
    {ENTRY("<"), "this is a web page or XML; save the file itself, not the page that shows it"},
    {ENTRY("PK\x03\x04"), "this is a zip file or an office document; save it as plain text"},
    {ENTRY("---"), YAML_CAUSE},
    {ENTRY("- "), YAML_CAUSE},
};

static const char *find_mark(const struct mark *list, size_t count, const char *text, size_t left) {
    for (size_t i = 0; i < count; i++) {
        if (left >= list[i].length && memcmp(text, list[i].bytes, list[i].length) == 0) {
            return list[i].cause;
        }
    }
    return NULL;
}

/* Zero bytes, where the first of them is at text[at]. */
static const char *judge_zeros(const char *text, size_t length, size_t at) {
    size_t sample = min_u64(length, SAMPLE_SIZE), zeros[2] = {0, 0};

    for (size_t i = 0; i < sample; i++) {
        zeros[i % 2] += text[i] == '\0';
    }
    /* English in UTF-16: all of one half of the bytes is zero, nothing of the other. */
    bool all = zeros[0] + zeros[1] == sample;
    bool half = zeros[0] > sample / 3 || zeros[1] > sample / 3;
    if (at < 2 && half && !all) {
        return UTF16_CAUSE;
    }
    return "the file holds zero bytes: it is damaged, or no text; write it anew, and unmount the "
           "stick before pulling it out";
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* "guests:" or "memory: 512M", which TOML never has. */
static bool is_yaml_pair(const char *s, const char *end) {
    const char *start = s;

    while (s < end && is_name(*s)) {
        s++;
    }
    if (s == start || s == end || *s != ':') {
        return false;
    }
    s++;
    return s == end || *s == ' ' || *s == '\r' || *s == '\n';
}

/* The first character that is neither blank nor in a comment, or end; counts lines on the way. */
static const char *skip_to_content(const char *s, const char *end, uint32_t *line) {
    bool comment = false;

    for (; s < end; s++) {
        if (*s == '\n') {
            *line += 1;
            comment = false;
        } else if (*s == '#') {
            comment = true;
        } else if (!comment && *s != ' ' && *s != '\t' && *s != '\r') {
            break;
        }
    }
    return s;
}

const char *text_find_cause(const char *text, size_t length, uint32_t *line) {
    const char *end = text + length, *s = text;
    bool feeds = false, returns = false;

    *line = 1;
    const char *cause = find_mark(marks, ARRAY_SIZE(marks), text, length);
    if (cause != NULL) {
        return cause;
    }
    for (; s < end; s++) {
        if (*s == '\0') {
            return judge_zeros(text, length, (size_t)(s - text));
        }
        *line += *s == '\n';
        feeds = feeds || *s == '\n';
        returns = returns || *s == '\r';
    }

    *line = 1;
    if (returns && !feeds) {
        return OLD_MAC_CAUSE;
    }
    s = text;
    if (length >= sizeof(UTF8_MARK) - 1 && memcmp(text, UTF8_MARK, sizeof(UTF8_MARK) - 1) == 0) {
        s += sizeof(UTF8_MARK) - 1;
    }
    s = skip_to_content(s, end, line);
    cause = find_mark(openers, ARRAY_SIZE(openers), s, (size_t)(end - s));
    return cause == NULL && is_yaml_pair(s, end) ? YAML_CAUSE : cause;
}
