/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the lines of the operator's hand: a request is taken and begun, what the core tells of a
 * guest becomes lines of JSON. See control.h. Source: RFC 8259 "The JavaScript Object Notation
 * (JSON) Data Interchange Format".
 */
#include "hv/compartment/virtio/control.h"

#include "hv/lib/fmt.h"
#include "hv/lib/message.h"
#include "hv/lib/str.h"

/* ---- a request ---- */

/* wrong: a text and its number, MSG(), which is told apart. */
static void control_refuse(struct control *k, const char *wrong) {
    size_t text = strlen(wrong) - MSG_LENGTH;
    const char *number = wrong + text + MSG_NUMBER_AT;

    k->at_work = false;
    k->out_done = 0;
    k->out_size = (uint32_t)fmt_print(k->out, sizeof(k->out),
                                      "{\"ok\":false,\"error\":\"%.*s\",\"number\":\"%.*s\"}\n",
                                      (int)text, wrong, (int)MSG_NUMBER_BYTES, number);
}

/* An empty line is none. */
static void control_begin(struct control *k) {
    const char *wrong = "longer than 200 bytes" MSG(6201);
    bool empty = true;

    for (uint32_t i = 0; i < k->length; i++) {
        empty = empty && (k->line[i] == ' ' || k->line[i] == '\t' || k->line[i] == '\r');
    }
    if (!empty && k->length < CONTROL_LINE) {
        wrong = control_parse(k->line, k->length, &k->asked);
    }
    k->length = 0;
    if (empty) {
        return;
    }
    k->next = 0;
    k->found = k->inside = false;
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

/* ---- lines of its answer ---- */

static const struct control_word *control_word(const struct control *k) {
    return &control_verbs[k->asked.verb];
}

static void line_begin(struct control *k, const struct exchange_control *c) {
    k->out_done = 0;
    k->out_size = (uint32_t)fmt_print(k->out, sizeof(k->out), "{\"guest\":\"%s\"", c->name);
}

static void line_end(struct control *k) {
    k->out_size += (uint32_t)fmt_print(k->out + k->out_size, sizeof(k->out) - k->out_size, "}\n");
    ASSERT(k->out_size < sizeof(k->out));
}

static void line_add_number(struct control *k, const char *name, uint64_t value) {
    k->out_size += (uint32_t)fmt_print(k->out + k->out_size, sizeof(k->out) - k->out_size,
                                       ",\"%s\":%llu", name, (ull)value);
}

/* Each byte is a character of its number. */
static void line_add_text(struct control *k, const char *name, const uint8_t *bytes, size_t size) {
    char *out = k->out;
    size_t n = k->out_size;

    n += fmt_print(out + n, sizeof(k->out) - n, ",\"%s\":\"", name);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        n += fmt_print(out + n, sizeof(k->out) - n, plain ? "%c" : "\\u%04x", byte);
    }
    n += fmt_print(out + n, sizeof(k->out) - n, "\"");
    k->out_size = (uint32_t)n;
}

static void line_add_string(struct control *k, const char *name, const char *text) {
    line_add_text(k, name, (const uint8_t *)text, strlen(text));
}

/* What is told of each guest beside its name and its state. */
static const struct control_field {
    const char *name;
    size_t at;
} control_fields[] = {
    {"vcpus", offsetof(struct exchange_look, vcpus)},
    {"memory_bytes", offsetof(struct exchange_look, memory)},
    {"up_ms", offsetof(struct exchange_look, up_ms)},
    {"idle_ms", offsetof(struct exchange_look, idle_ms)},
    {"exits", offsetof(struct exchange_look, exits)},
    {"denied", offsetof(struct exchange_look, denied)},
    {"crashes", offsetof(struct exchange_look, crashes)},
    {"over_max_exits", offsetof(struct exchange_look, over_exits)},
    {"over_max_console", offsetof(struct exchange_look, over_console)},
    {"log_lines_withheld", offsetof(struct exchange_look, withheld)},
};

static void control_tell_guest(struct control *k, const struct exchange_control *c) {
    line_begin(k, c);
    line_add_string(k, "state", c->state);
    for (size_t i = 0; i < ARRAY_SIZE(control_fields); i++) {
        const struct control_field *f = &control_fields[i];
        line_add_number(k, f->name, *(const uint64_t *)((const uint8_t *)&c->look + f->at));
    }
    line_end(k);
}

/* What has come of it: a state, or a limit that it was over. */
static const char *const control_causes[EVENT_CAUSES] = {
    [EVENT_CONFIG] = "config",
    [EVENT_READY] = "started",
    [EVENT_DUE] = "delay-over",
    [EVENT_START] = "start",
    [EVENT_STOP] = "stop",
    [EVENT_KILL] = "kill",
    [EVENT_RESET] = "reset",
    [EVENT_PAUSE] = "pause",
    [EVENT_RESUME] = "resume",
    [EVENT_MOVE] = "move",
    [EVENT_POWER_OFF] = "power-off",
    [EVENT_OWN_RESET] = "own-reset",
    [EVENT_CRASH] = "crash",
    [EVENT_REFUSED] = "refused",
    [EVENT_FORCE] = "stop-timeout",
    [EVENT_MAX_EXITS] = "max_exits",
    [EVENT_MAX_CONSOLE] = "max_console",
    [EVENT_MAX_LOG] = "max_log",
};

static void control_tell_event(struct control *k, struct exchange_control *c) {
    const struct exchange_event *e = &c->event;
    bool limit = e->cause >= EVENT_MAX_EXITS;

    c->event.why[sizeof(c->event.why) - 1] = '\0';
    line_begin(k, c);
    line_add_number(k, "event", c->at + 1);
    line_add_number(k, "us", e->us);
    line_add_number(k, "unix", e->unix_seconds);
    line_add_string(k, "kind", limit ? "limit" : "state");
    line_add_string(k, "state", c->state);
    line_add_string(k, "cause", e->cause < EVENT_CAUSES ? control_causes[e->cause] : "");
    line_add_string(k, "why", e->why);
    line_end(k);
}

static void control_tell_console(struct control *k, const struct exchange_control *c) {
    line_begin(k, c);
    line_add_number(k, "at", c->at);
    line_add_text(k, "text", c->bytes, c->size);
    line_end(k);
}

/* ---- the last line ---- */

static void control_end(struct control *k) {
    k->at_work = false;
    k->out_done = 0;
    k->out_size = (uint32_t)fmt_print(k->out, sizeof(k->out), "{\"ok\":true}\n");
}

/* The last line with one more number, and how the guest fares. */
static void control_end_with(struct control *k, const struct exchange_control *c, const char *name,
                             uint64_t value) {
    k->at_work = false;
    k->out_done = 0;
    k->out_size = (uint32_t)fmt_print(k->out, sizeof(k->out), "{\"ok\":true");
    line_add_number(k, name, value);
    line_add_string(k, "state", c->state);
    line_end(k);
}

/* done: as the core says. */
static void control_close_with(struct control *k, uint32_t done) {
    static const char *const why[CONTROL_DONES] = {
        [CONTROL_NO_GUEST] = "no such guest, or not one that you may control" MSG(6202),
        [CONTROL_NO_CPU] = "it cannot run: its first CPU did not come, or cannot run guests; give "
                           "it another one" MSG(6203),
        [CONTROL_OFF] = "it does not run: start it" MSG(6204),
        [CONTROL_TOO_MUCH] = "too much was asked of it already: again later" MSG(6205),
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

/* ---- verbs ---- */

/* What the core says; its texts end. False: there is no such guest. */
static bool control_ask(const struct dev_env *env, struct exchange_control *c,
                        enum control_call call) {
    c->call = call;
    c->done = CONTROL_NO_GUEST;
    env->control(env, c);
    c->name[sizeof(c->name) - 1] = c->state[sizeof(c->state) - 1] = '\0';
    c->size = (uint32_t)min_u64(c->size, sizeof(c->bytes));
    return c->done == CONTROL_DONE;
}

static void control_order(struct control *k, const struct dev_env *env,
                          struct exchange_control *c) {
    c->order = control_word(k)->order;
    (void)control_ask(env, c, CONTROL_CALL_ORDER);
    control_close_with(k, c->done);
}

static void control_type(struct control *k, const struct dev_env *env, struct exchange_control *c) {
    c->size = k->asked.text_size;
    memcpy(c->bytes, k->asked.text, k->asked.text_size);
    if (control_ask(env, c, CONTROL_CALL_TYPE)) {
        control_end_with(k, c, "typed", c->size);
    } else {
        control_close_with(k, c->done);
    }
}

/* The next line of a vCPU's flight recorder, or the end. */
static void control_trace(struct control *k, const struct dev_env *env) {
    struct exchange_control c = {.guest = k->next, .at = k->at};
    bool there = control_ask(env, &c, CONTROL_CALL_TRACE);

    if (there && c.size != 0) {
        k->at = c.at + 1;
        control_tell_console(k, &c);
    } else {
        control_close_with(k, c.done);
    }
}

/* The next event, or the next bytes of the console, up to what was the last when this began. */
static void control_go_on(struct control *k, const struct dev_env *env) {
    bool console = control_word(k)->verb == VERB_CONSOLE;
    struct exchange_control c = {.guest = k->next, .at = k->at};
    bool there = control_ask(env, &c, console ? CONTROL_CALL_READ : CONTROL_CALL_EVENT);

    if (k->end == UINT64_MAX) {
        k->end = c.end;
    }
    k->at = c.at + c.size;
    if (there && c.size != 0 && c.at < k->end) {
        if (console) {
            control_tell_console(k, &c);
        } else {
            control_tell_event(k, &c);
        }
        return;
    }
    k->inside = false;
    k->next++;
    if (console) {
        control_end_with(k, &c, "next", c.at);
    }
}

/* It is meant. */
static void control_enter(struct control *k, const struct dev_env *env,
                          struct exchange_control *c) {
    switch (control_word(k)->verb) {
    case VERB_LIST:
        control_tell_guest(k, c);
        k->next++;
        break;
    case VERB_ORDER:
        control_order(k, env, c);
        break;
    case VERB_TYPE:
        control_type(k, env, c);
        break;
    case VERB_EVENTS:
    case VERB_CONSOLE:
    case VERB_TRACE:
        k->inside = true;
        k->at = k->asked.has_after ? k->asked.after : CONTROL_AT_FIRST;
        k->end = UINT64_MAX;
        break;
    }
}

void control_answer_next(struct control *k, const struct dev_env *env) {
    struct exchange_control c = {.guest = k->next};

    if (k->inside && control_word(k)->verb == VERB_TRACE) {
        control_trace(k, env);
        return;
    }
    if (k->inside) {
        control_go_on(k, env);
        return;
    }
    if (!control_ask(env, &c, CONTROL_CALL_LOOK)) {
        control_close(k);
        return;
    }
    bool meant = k->asked.guest[0] == '\0' || str_equal(k->asked.guest, c.name);
    k->found |= meant;
    if (meant) {
        control_enter(k, env, &c);
    } else {
        k->next++;
    }
}
