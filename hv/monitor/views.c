/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See views.h. */
#include "hv/monitor/views.h"

#include "hv/lib/fmt.h"
#include "hv/lib/message.h"
#include "hv/lib/str.h"
#include "hv/monitor/grid.h"
#include "hv/monitor/term.h"

#define TEXT_SIZE 512u
#define KEYS      "then 0 log, 1-9 guest, n next"
#define LETTER    0x40 /* of a control character: Ctrl-A is 1 */

/*
 * Out of whatever a guest has left the admin's terminal in: sequence begun, modes, colours,
 * character sets, alternate screen, margins, keys, mouse, pasting; then to the bottom, so that
 * nothing is overwritten.
 */
#define TERMINAL_RESET                                                                             \
    "\x18\x1b[!p\x1b[0m\x1b(B\x1b)B\x0f\x1b[?1049l\x1b[?47l\x1b[r\x1b[?5;6l\x1b[?7;12;25h"         \
    "\x1b[4;20l\x1b[?1;66l\x1b>\x1b[?1000;1002;1003;1004;1005;1006;1015;2004l\x1b[0 q"             \
    "\x1b[999;1H"

struct console console = {.count = 1, .views = {&console.log}, .flow = XON};

struct console_view *view_focused(void) {
    return console.views[console.focus];
}

void view_notice(const char *format, ...) {
    char text[TEXT_SIZE];
    FMT_ARGUMENTS(text, format);
    size_t n = strlen(text);
    if (console.notice_at == console.notice_end) {
        console.notice_at = console.notice_end = 0;
    }
    if (n <= NOTICE_SIZE - console.notice_end) {
        memcpy(console.notice + console.notice_end, text, n);
        console.notice_end += n;
    }
}

void view_update_status(void) {
    char text[GRID_MAX_COLUMNS + 1];
    size_t n = 0;
    if (console.shared) {
        n = fmt_print(text, sizeof(text), " no keyboard: all consoles |");
    } else {
        n = fmt_print(text, sizeof(text), " %u/%u %s | keys: Ctrl-%c then ? |", console.focus,
                      console.count - 1, view_focused()->name, console.escape_key | LETTER);
    }
    for (unsigned i = 1; i < console.count && n < sizeof(text); i++) {
        const struct console_view *v = console.views[i];
        n += fmt_print(text + n, sizeof(text) - n, "%s %s %s", i == 1 ? "" : ",", v->name,
                       vm_state_name(v->vm->state));
    }
    grid_set_status(text);
}

/* The end of the ring, from the beginning of a line if there is one near. Of a guest enough for a
 * whole screen with its sequences to be in it; the log, which dmesg has more of, is not to keep a
 * slow line busy before each prompt. */
uint64_t view_replay_start(const struct console_view *v, uint64_t written) {
    uint64_t most = v == &console.log ? CONSOLE_REPLAY_LOG : CONSOLE_REPLAY;
    uint64_t start = written - min_u64(written, most);
    uint64_t end = start + CONSOLE_RING_SIZE / 16, i = start;
    while (i != 0 && i < end && view_byte(v, i - 1) != '\n') {
        i++;
    }
    return i < end ? i : start;
}

/* The line that only a key brings: a guest can imitate it, but does not know when. */
void view_say(const char *help) {
    char letter = (char)(console.escape_key | LETTER);
    view_notice("\r\n[bulkhead] console %u/%u: %s - Ctrl-%c " KEYS ", %s\r\n", console.focus,
                console.count - 1, view_focused()->name, letter, help);
    console.shown[0] = '\0';
}

void view_say_lost(unsigned lost, const char *who, const char *why) {
    if (lost != 0) {
        view_notice("\r\n[bulkhead] %u typed bytes lost: %s %s" MSG(6301) "\r\n", lost, who, why);
    }
}

void view_switch_to(unsigned index) {
    console.focus = index;
    console.focus_next = 0;

    struct console_view *v = view_focused();
    v->cursor = view_replay_start(v, v->written);
    console.answer_from = v->written;
    console.feeder_called = false;
    seq_reset(&console.seq);
    term_reset();
    if (console.out_at == 0 && console.out_end == 1) {
        console.flow = 0; /* it goes out alone: this may be it, dropped here */
    }
    console.out_at = console.out_end = 0;
    console.notice_at = console.notice_end;

    view_notice(TERMINAL_RESET);
    console.line_only = strlen(TERMINAL_RESET);
    view_say("? help");
    view_update_status();
}
