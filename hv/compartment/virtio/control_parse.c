/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a request of the operator's hand: one flat object of JSON, whose values are texts or whole
 * numbers. See control.h. Source: RFC 8259 "The JavaScript Object Notation (JSON) Data Interchange
 * Format".
 */
#include "hv/compartment/virtio/control.h"

#include "hv/lib/message.h"
#include "hv/lib/str.h"

#define NO_TEXT "no text" MSG(6209)

const struct control_word control_verbs[] = {
    {.name = "list", .verb = VERB_LIST},
    {.name = "events", .verb = VERB_EVENTS},
    {.name = "console", .verb = VERB_CONSOLE, .needs_guest = true},
    {.name = "trace", .verb = VERB_TRACE, .needs_guest = true},
    {.name = "type", .verb = VERB_TYPE, .needs_guest = true, .needs_text = true},
    {.name = "start", .verb = VERB_ORDER, .order = CONTROL_START, .needs_guest = true},
    {.name = "stop", .verb = VERB_ORDER, .order = CONTROL_STOP, .needs_guest = true},
    {.name = "restart", .verb = VERB_ORDER, .order = CONTROL_RESTART, .needs_guest = true},
    {.name = "reset", .verb = VERB_ORDER, .order = CONTROL_RESET, .needs_guest = true},
    {.name = "kill", .verb = VERB_ORDER, .order = CONTROL_KILL, .needs_guest = true},
    {.name = "pause", .verb = VERB_ORDER, .order = CONTROL_PAUSE, .needs_guest = true},
    {.name = "resume", .verb = VERB_ORDER, .order = CONTROL_RESUME, .needs_guest = true},
};
const uint32_t control_verbs_count = ARRAY_SIZE(control_verbs);

/* What of the line is left. */
struct control_text {
    const char *at, *end;
};

/* A key or a value: bytes, a NUL behind them. */
struct control_value {
    bool is_number;
    uint32_t size;
    char bytes[CONTROL_TEXT + 1];
};

static void text_skip_blanks(struct control_text *t) {
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\r')) {
        t->at++;
    }
}

/* This character, after blanks. */
static bool text_take(struct control_text *t, char c) {
    text_skip_blanks(t);
    if (t->at == t->end || *t->at != c) {
        return false;
    }
    t->at++;
    return true;
}

static bool value_is(const struct control_value *v, const char *text) {
    return v->size == strlen(v->bytes) && str_equal(v->bytes, text);
}

static bool value_add(struct control_value *v, char c) {
    if (v->size == CONTROL_TEXT) {
        return false;
    }
    v->bytes[v->size++] = c;
    v->bytes[v->size] = '\0';
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* What stands after \u: a byte, which is all that a value has. */
static bool text_take_hex(struct control_text *t, char *c) {
    unsigned number = 0;

    for (unsigned i = 0; i < 4; i++) {
        int digit = t->at < t->end ? hex_digit(*t->at++) : -1;
        if (digit < 0) {
            return false;
        }
        number = number << 4 | (unsigned)digit;
    }
    *c = (char)number;
    return number <= UINT8_MAX;
}

/* RFC 8259 "Strings": what stands after a backslash. */
static bool text_take_escape(struct control_text *t, char *c) {
    static const char names[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    char name = t->at < t->end ? *t->at++ : '\0';

    if (name == 'u') {
        return text_take_hex(t, c);
    }
    for (unsigned i = 0; i < sizeof(names) - 1; i++) {
        if (names[i] == name) {
            *c = meant[i];
            return true;
        }
    }
    return false;
}

/* A text in quotes. */
static bool text_take_string(struct control_text *t, struct control_value *out) {
    bool good = text_take(t, '"');

    *out = (struct control_value){.size = 0};
    while (good && t->at < t->end && *t->at != '"') {
        char c = *t->at++;
        good = c >= ' ' && c < 0x7f && (c != '\\' || text_take_escape(t, &c)) && value_add(out, c);
    }
    return good && text_take(t, '"');
}

/* A text, or digits. */
static bool text_take_value(struct control_text *t, struct control_value *out) {
    text_skip_blanks(t);
    if (t->at == t->end || *t->at < '0' || *t->at > '9') {
        return text_take_string(t, out);
    }
    bool good = true;

    *out = (struct control_value){.is_number = true};
    while (good && t->at < t->end && *t->at >= '0' && *t->at <= '9') {
        good = value_add(out, *t->at++);
    }
    return good;
}

/* ---- keys ---- */

static const char *request_set_verb(struct control_request *out, const struct control_value *v) {
    for (uint32_t i = 0; i < control_verbs_count; i++) {
        if (value_is(v, control_verbs[i].name)) {
            out->verb = i;
            return NULL;
        }
    }
    return "no such verb: list, events, console, trace, type, start, stop, restart, reset, kill, "
           "pause or resume" MSG(6206);
}

static const char *request_set_guest(struct control_request *out, const struct control_value *v) {
    if (v->size == 0 || v->size >= sizeof(out->guest) || v->size != strlen(v->bytes)) {
        return "no name of a guest" MSG(6207);
    }
    memcpy(out->guest, v->bytes, v->size + 1);
    return NULL;
}

/* A number, or a text that is one. */
static const char *request_set_after(struct control_request *out, const struct control_value *v) {
    uint64_t number = 0;
    bool good = v->size != 0;

    for (uint32_t i = 0; i < v->size; i++) {
        uint64_t digit = (uint64_t)(uint8_t)v->bytes[i] - '0';
        good = good && digit <= 9 && number <= (UINT64_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    out->after = number;
    out->has_after = true;
    return good ? NULL : "after is no number" MSG(6208);
}

static const char *request_set_text(struct control_request *out, const struct control_value *v) {
    memcpy(out->text, v->bytes, v->size);
    out->text_size = v->size;
    out->has_text = true;
    return v->size != 0 ? NULL : NO_TEXT;
}

static const struct request_key {
    const char *name;
    const char *(*set)(struct control_request *out, const struct control_value *v);
    bool may_be_number;
} request_keys[] = {
    {.name = "verb", .set = request_set_verb},
    {.name = "guest", .set = request_set_guest},
    {.name = "after", .set = request_set_after, .may_be_number = true},
    {.name = "text", .set = request_set_text},
};

static const char *request_set(struct control_request *out, const struct control_value *key,
                               const struct control_value *value) {
    for (unsigned i = 0; i < ARRAY_SIZE(request_keys); i++) {
        const struct request_key *k = &request_keys[i];
        if (!value_is(key, k->name)) {
            continue;
        }
        return value->is_number && !k->may_be_number ? "a text is wanted there" MSG(6210)
                                                     : k->set(out, value);
    }
    return "no such key: verb, guest, after or text" MSG(6211);
}

/* All of it is there that the verb needs. */
static const char *request_judge(const struct control_request *request) {
    if (request->verb == control_verbs_count) {
        return "no verb" MSG(6212);
    }
    const struct control_word *word = &control_verbs[request->verb];

    if (word->needs_guest && request->guest[0] == '\0') {
        return "no guest" MSG(6213);
    }
    return word->needs_text && !request->has_text ? NO_TEXT : NULL;
}

const char *control_parse(const char *line, uint32_t length, struct control_request *out) {
    struct control_text t = {line, line + length};
    struct control_value key, value;
    const char *wrong = NULL;

    *out = (struct control_request){.verb = control_verbs_count};
    if (!text_take(&t, '{')) {
        return "not an object of JSON in one line" MSG(6214);
    }
    do {
        bool pair = text_take_string(&t, &key) && text_take(&t, ':') && text_take_value(&t, &value);
        wrong = pair ? request_set(out, &key, &value)
                     : "not a key and a value, a text or a number" MSG(6215);
    } while (wrong == NULL && text_take(&t, ','));
    if (wrong != NULL) {
        return wrong;
    }
    bool closed = text_take(&t, '}');
    text_skip_blanks(&t);
    if (!closed || t.at != t.end) {
        return "the object does not end where the line does" MSG(6216);
    }
    return request_judge(out);
}
