/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's hand in a guest: a named port of its virtio console that no other guest has an end
 * of. What the guest writes there is a request, a line of JSON; what it reads is the answer, lines
 * of JSON of which the last one has "ok". Which guests it may see and order about the core knows by
 * the config, and judges for itself (hv/vm/control_call.c). docs/control.md is for those who write
 * programs.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/compartment/dev/device.h"

#define OPERATOR_PORT "org.bulkhead.control"

#define CONTROL_LINE   200u /* bytes of a request at most, */
#define CONTROL_TEXT   40u  /* and of a value in it */
#define CONTROL_ANSWER 960u /* of a line of its answer: CONTROL_BYTES, six characters for each */

/* What a line asks for. */
struct control_request {
    uint32_t verb;             /* its place in control_verbs */
    char guest[ABI_PORT_NAME]; /* a name, or empty */
    bool has_after, has_text;
    uint64_t after;     /* so many of a guest's events, or of its console's bytes, are known */
    uint32_t text_size; /* bytes to be typed */
    uint8_t text[CONTROL_TEXT];
};

/* A request as it comes in, and its answer as it goes out. All zero: nothing was asked. */
struct control {
    char line[CONTROL_LINE];
    uint32_t length; /* also of one that is too long, up to there */
    bool at_work;    /* the request in asked has more to answer */
    struct control_request asked;
    uint32_t next; /* the guest that is looked at next */
    bool found;    /* one of those before it was meant */
    /* It is meant, and what it has is told by and by: what comes next, and where the end was when
     * that began. */
    bool inside;
    uint64_t at, end;
    char out[CONTROL_ANSWER];
    uint32_t out_size, out_done;
};

/* What each verb is, and wants beside a guest's name. control.c does them. */
enum control_verb { VERB_LIST, VERB_ORDER, VERB_EVENTS, VERB_CONSOLE, VERB_TYPE, VERB_TRACE };
struct control_word {
    const char *name;
    enum control_verb verb;
    uint32_t order; /* enum control_order */
    bool needs_guest, needs_text;
};
extern const struct control_word control_verbs[];
extern const uint32_t control_verbs_count;

/* The guest's line, without its end: all of it is hostile. NULL, or what is wrong with it, and
 * its number: MSG(). */
const char *control_parse(const char *line, uint32_t length, struct control_request *out);

/* Takes the bytes of a line up to its end, of which it returns how many that are. At the end of
 * one it begins to answer: then k->at_work, or an answer is there. */
uint64_t control_take_bytes(struct control *k, const uint8_t *from, uint64_t size);

/* The next line of the answer, into k->out; or a step on the way to it. ask: has the core do what
 * is asked for. */
void control_answer_next(struct control *k, const struct dev_env *env);
