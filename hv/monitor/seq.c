/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser of console bytes: see seq.h. Strings (titles, palettes, device control) are swallowed:
 * nothing here needs them, and an admin's terminal should not get them from a guest.
 */
#include "hv/monitor/seq.h"

#include "hv/lib/str.h"

#define PARAMETER_LIMIT 9999u
#define PALETTE_DIGITS  7u /* ESC ] P, then a colour's number and value in hexadecimal */

#define BEL 0x07u
#define CAN 0x18u
#define SUB 0x1au
#define ESC 0x1bu
#define DEL 0x7fu

void seq_reset(struct seq *s) {
    memset(s, 0, sizeof(*s));
}

static void seq_keep(struct seq *s, uint8_t byte) {
    if (s->length < SEQ_BYTES) {
        s->bytes[s->length] = byte;
    }
    s->length++;
}

static bool seq_end(struct seq *s, enum seq_kind kind, uint32_t code) {
    s->state = SEQ_GROUND;
    s->kind = kind;
    s->code = code;
    if (s->length > SEQ_BYTES) {
        s->length = 0;
    }
    return true;
}

/* What is no UTF-8 is a character all the same, so that text in another encoding keeps its shape.
 */
static bool seq_malformed(struct seq *s, bool again) {
    s->again = again;
    s->bytes[0] = '?';
    s->length = 1;
    return seq_end(s, SEQ_TEXT, SEQ_REPLACEMENT);
}

static void seq_begin(struct seq *s, enum seq_state state, uint8_t byte) {
    s->state = state;
    s->length = 0;
    s->mark = 0;
    s->intermediate = 0;
    s->count = 1;
    s->subs = 0;
    memset(s->parameters, 0, sizeof(s->parameters));
    seq_keep(s, byte);
}

/* The first byte of a character of two to four. */
static bool seq_begin_utf8(struct seq *s, uint8_t byte) {
    static const struct {
        uint8_t from, to, mask;
        unsigned left;
        uint32_t least;
    } leads[] = {
        {0xc2, 0xdf, 0x1f, 1, 0x80},
        {0xe0, 0xef, 0x0f, 2, 0x800},
        {0xf0, 0xf4, 0x07, 3, 0x10000},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(leads); i++) {
        if (byte >= leads[i].from && byte <= leads[i].to) {
            seq_begin(s, SEQ_UTF8, byte);
            s->code = byte & leads[i].mask;
            s->left = leads[i].left;
            s->least = leads[i].least;
            return false;
        }
    }
    return seq_malformed(s, false);
}

static bool seq_feed_utf8(struct seq *s, uint8_t byte) {
    if ((byte & 0xc0) != 0x80) {
        return seq_malformed(s, true);
    }
    seq_keep(s, byte);
    s->code = s->code << 6 | (byte & 0x3f);
    s->left--;
    if (s->left != 0) {
        return false;
    }
    bool surrogate = s->code >= 0xd800 && s->code <= 0xdfff;
    /* 80h to 9Fh are controls in disguise: a terminal would obey them. */
    if (s->code < s->least || s->code < 0xa0 || surrogate || s->code > 0x10ffff) {
        return seq_malformed(s, false);
    }
    return seq_end(s, SEQ_TEXT, s->code);
}

static bool seq_feed_ground(struct seq *s, uint8_t byte) {
    if (byte >= 0x80) {
        return seq_begin_utf8(s, byte);
    }
    if (byte == DEL) {
        return false;
    }
    s->bytes[0] = byte;
    s->length = 1;
    return seq_end(s, SEQ_TEXT, byte);
}

static bool seq_feed_escape(struct seq *s, uint8_t byte) {
    static const char strings[] = "PX^_]";
    seq_keep(s, byte);
    if (byte < 0x30) {
        s->intermediate = byte;
        return false;
    }
    if (s->intermediate == 0 && byte == '[') {
        s->state = SEQ_IN_CSI;
        return false;
    }
    for (unsigned i = 0; s->intermediate == 0 && strings[i] != '\0'; i++) {
        if (byte == (uint8_t)strings[i]) {
            s->state = SEQ_IN_STRING;
            return false;
        }
    }
    return seq_end(s, SEQ_ESCAPE, byte);
}

static void seq_add_digit(struct seq *s, uint8_t digit) {
    uint16_t *p = &s->parameters[s->count - 1];
    *p = (uint16_t)min_u64(*p * 10u + digit, PARAMETER_LIMIT);
}

/* Parameters beyond the last that fits are added to none. */
static void seq_next_parameter(struct seq *s, bool sub) {
    if (s->count < SEQ_PARAMETERS) {
        s->subs |= (uint32_t)sub << s->count;
        s->count++;
    } else {
        s->parameters[SEQ_PARAMETERS - 1] = 0;
    }
}

static bool seq_feed_csi(struct seq *s, uint8_t byte) {
    seq_keep(s, byte);
    if (byte >= '0' && byte <= '9') {
        seq_add_digit(s, byte - '0');
    } else if (byte == ';' || byte == ':') {
        seq_next_parameter(s, byte == ':');
    } else if (byte >= '<' && byte <= '?') {
        s->mark = byte;
    } else if (byte < 0x30) {
        s->intermediate = byte;
    } else {
        return seq_end(s, SEQ_CSI, byte);
    }
    return false;
}

/* The Linux console's palette sequences begin like a string and have no end: ESC ] R, ESC ] P. */
static void seq_feed_string(struct seq *s, uint8_t byte) {
    bool first = s->length == 2 && s->bytes[1] == ']';
    seq_keep(s, byte);
    if (first && byte == 'R') {
        s->state = SEQ_GROUND;
    } else if (first && byte == 'P') {
        s->state = SEQ_IN_PALETTE;
        s->left = PALETTE_DIGITS;
    }
}

static bool seq_feed_control(struct seq *s, uint8_t byte) {
    bool string = s->state == SEQ_IN_STRING || s->state == SEQ_IN_PALETTE;
    if (byte == ESC) {
        seq_begin(s, SEQ_IN_ESCAPE, byte);
        return false;
    }
    if (byte == CAN || byte == SUB || (string && byte == BEL)) {
        s->state = SEQ_GROUND;
        return false;
    }
    if (string) {
        return false;
    }
    s->kind = SEQ_CONTROL;
    s->code = byte;
    return true;
}

bool seq_feed(struct seq *s, uint8_t byte) {
    s->again = false;
    if (s->state == SEQ_UTF8) {
        return seq_feed_utf8(s, byte);
    }
    if (byte < 0x20) {
        return seq_feed_control(s, byte);
    }
    if (s->state == SEQ_GROUND) {
        return seq_feed_ground(s, byte);
    }
    if (s->state == SEQ_IN_STRING) {
        seq_feed_string(s, byte);
    } else if (s->state == SEQ_IN_PALETTE) {
        s->left--;
        s->state = s->left == 0 ? SEQ_GROUND : SEQ_IN_PALETTE;
    } else if (byte >= DEL) {
        s->state = byte == DEL ? s->state : SEQ_GROUND; /* no sequence has such a byte */
    } else if (s->state == SEQ_IN_ESCAPE) {
        return seq_feed_escape(s, byte);
    } else {
        return seq_feed_csi(s, byte);
    }
    return false;
}
