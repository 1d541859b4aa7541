/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the lines of the operator's hand: a request becomes a verb and a name, what the core tells
 * of a guest becomes a line of JSON. See control.h. A request is an object of texts, without
 * escapes: no name has a need of them. Source: RFC 8259 "The JavaScript Object Notation (JSON) Data
 * Interchange Format".
 */
#include "hv/compartment/virtio/control.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define VALUE_SIZE 40u /* of a key or a value, with its NUL */

enum control_verb { VERB_LIST, VERB_ORDER };

static const struct control_word {
    const char *name;
    enum control_verb verb;
    uint32_t order; /* enum control_order */
} control_words[] = {
    {"list", VERB_LIST, 0},
    {"start", VERB_ORDER, CONTROL_START},
    {"stop", VERB_ORDER, CONTROL_STOP},
    {"restart", VERB_ORDER, CONTROL_RESTART},
    {"reset", VERB_ORDER, CONTROL_RESET},
    {"kill", VERB_ORDER, CONTROL_KILL},
    {"pause", VERB_ORDER, CONTROL_PAUSE},
    {"resume", VERB_ORDER, CONTROL_RESUME},
};

/* ---- a request ---- */

/* What of the line is left. */
struct control_text {
    const char *at, *end;
};

static void text_skip_blanks(struct control_text *t) {
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\r')) {
        t->at++;
    }
}

/* This character, behind blanks. */
static bool text_take(struct control_text *t, char c) {
    text_skip_blanks(t);
    if (t->at == t->end || *t->at != c) {
        return false;
    }
    t->at++;
    return true;
}

/* A text in quotes, into out. */
static bool text_take_string(struct control_text *t, char out[VALUE_SIZE]) {
    size_t n = 0;

    if (!text_take(t, '"')) {
        return false;
    }
    for (; t->at < t->end && *t->at != '"'; t->at++) {
        bool plain = *t->at >= ' ' && *t->at < 0x7f && *t->at != '\\';
        if (!plain || n == VALUE_SIZE - 1) {
            return false;
        }
        out[n++] = *t->at;
    }
    out[n] = '\0';
    return text_take(t, '"');
}

static const char *request_set_verb(struct control_request *out, const char *value) {
    for (uint32_t i = 0; i < ARRAY_SIZE(control_words); i++) {
        if (str_equal(control_words[i].name, value)) {
            out->verb = i;
            return NULL;
        }
    }
    return "no such verb: list, start, stop, restart, reset, kill, pause or resume";
}

static const char *request_set(struct control_request *out, const char *key, const char *value) {
    if (str_equal(key, "verb")) {
        return request_set_verb(out, value);
    }
    if (!str_equal(key, "guest")) {
        return "no such key: verb or guest";
    }
    if (strlen(value) == 0 || strlen(value) >= sizeof(out->guest)) {
        return "no name of a guest";
    }
    (void)str_copy_n(out->guest, sizeof(out->guest), value, strlen(value));
    return NULL;
}

const char *control_parse(const char *line, uint32_t length, struct control_request *out) {
    struct control_text t = {line, line + length};
    char key[VALUE_SIZE], value[VALUE_SIZE];
    const char *wrong = NULL;

    *out = (struct control_request){.verb = ARRAY_SIZE(control_words)};
    if (!text_take(&t, '{')) {
        return "not an object of JSON in one line";
    }
    do {
        bool pair = text_take_string(&t, key) && text_take(&t, ':') && text_take_string(&t, value);
        wrong = pair ? request_set(out, key, value) : "not a key and a value, texts both";
    } while (wrong == NULL && text_take(&t, ','));
    if (wrong != NULL) {
        return wrong;
    }
    bool closed = text_take(&t, '}');
    text_skip_blanks(&t);
    if (!closed || t.at != t.end) {
        return "the object does not end where the line does";
    }
    if (out->verb == ARRAY_SIZE(control_words)) {
        return "no verb";
    }
    bool orders = control_words[out->verb].verb == VERB_ORDER;
    return orders && out->guest[0] == '\0' ? "no guest" : NULL;
}

static void control_refuse(struct control *k, const char *wrong) {
    k->at_work = false;
    k->out_done = 0;
    k->out_size =
        (uint32_t)fmt_print(k->out, sizeof(k->out), "{\"ok\":false,\"error\":\"%s\"}\n", wrong);
}

/* An empty line is none. */
static void control_begin(struct control *k) {
    struct control_text t = {k->line, k->line + k->length};
    const char *wrong = "longer than 200 bytes";

    text_skip_blanks(&t);
    if (t.at == t.end) {
        k->length = 0;
        return;
    }
    if (k->length < CONTROL_LINE) {
        wrong = control_parse(k->line, k->length, &k->asked);
    }
    k->length = 0;
    k->next = 0;
    k->found = false;
    k->at_work = wrong == NULL;
    if (wrong != NULL) {
        control_refuse(k, wrong);
    }
}

uint64_t control_take_bytes(struct control *k, const uint8_t *from, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) {
        if (from[i] == '\n') {
            control_begin(k);
            return i + 1;
        }
        if (k->length < CONTROL_LINE) {
            k->line[k->length++] = (char)from[i];
        }
    }
    return size;
}

/* ---- its answer ---- */

/* What is told of each guest beside its name and its state. */
static const struct control_field {
    const char *name;
    size_t at;
} control_fields[] = {
    {"vcpus", offsetof(struct exchange_control, vcpus)},
    {"memory_bytes", offsetof(struct exchange_control, memory)},
    {"up_ms", offsetof(struct exchange_control, up_ms)},
    {"idle_ms", offsetof(struct exchange_control, idle_ms)},
    {"exits", offsetof(struct exchange_control, exits)},
    {"denied", offsetof(struct exchange_control, denied)},
    {"crashes", offsetof(struct exchange_control, crashes)},
    {"over_max_exits", offsetof(struct exchange_control, over_exits)},
    {"over_max_console", offsetof(struct exchange_control, over_console)},
    {"log_lines_withheld", offsetof(struct exchange_control, withheld)},
};

static void control_tell_guest(struct control *k, const struct exchange_control *c) {
    size_t n = fmt_print(k->out, sizeof(k->out), "{\"guest\":\"%.*s\",\"state\":\"%.*s\"",
                         (int)sizeof(c->name) - 1, c->name, (int)sizeof(c->state) - 1, c->state);

    for (size_t i = 0; i < ARRAY_SIZE(control_fields); i++) {
        const struct control_field *f = &control_fields[i];
        uint64_t value = *(const uint64_t *)((const uint8_t *)c + f->at);
        n += fmt_print(k->out + n, sizeof(k->out) - n, ",\"%s\":%llu", f->name, (ull)value);
    }
    n += fmt_print(k->out + n, sizeof(k->out) - n, "}\n");
    ASSERT(n < sizeof(k->out));
    k->out_size = (uint32_t)n;
    k->out_done = 0;
}

static void control_end(struct control *k) {
    k->at_work = false;
    k->out_done = 0;
    k->out_size = (uint32_t)fmt_print(k->out, sizeof(k->out), "{\"ok\":true}\n");
}

/* The last line of an answer. done: as the core says. */
static void control_close_with(struct control *k, uint32_t done) {
    static const char *const why[CONTROL_DONES] = {
        [CONTROL_NO_GUEST] = "no such guest, or not one that you may control",
        [CONTROL_NO_CPU] = "it cannot run: its first CPU did not come, or cannot run guests; give "
                           "it another one",
        [CONTROL_OFF] = "it does not run: start it",
        [CONTROL_TOO_MUCH] = "too much was asked of it already: again later",
    };

    if (done == CONTROL_DONE) {
        control_end(k);
    } else {
        control_refuse(k, why[done < CONTROL_DONES ? done : CONTROL_NO_GUEST]);
    }
}

/* All guests are through. */
static void control_close(struct control *k) {
    bool missed = k->asked.guest[0] != '\0' && !k->found;
    control_close_with(k, missed ? CONTROL_NO_GUEST : CONTROL_DONE);
}

static void control_order(struct control *k, const struct dev_env *env,
                          struct exchange_control *c) {
    c->call = CONTROL_CALL_ORDER;
    c->order = control_words[k->asked.verb].order;
    env->control(env, c);
    control_close_with(k, c->done);
}

void control_answer_next(struct control *k, const struct dev_env *env) {
    struct exchange_control c = {.call = CONTROL_CALL_LOOK, .guest = k->next};

    env->control(env, &c);
    if (c.done != CONTROL_DONE) {
        control_close(k);
        return;
    }
    k->next++;
    c.name[sizeof(c.name) - 1] = c.state[sizeof(c.state) - 1] = '\0';
    bool meant = k->asked.guest[0] == '\0' || str_equal(k->asked.guest, c.name);
    k->found |= meant;
    if (!meant) {
        return;
    }
    if (control_words[k->asked.verb].verb == VERB_LIST) {
        control_tell_guest(k, &c);
    } else {
        control_order(k, env, &c);
    }
}
