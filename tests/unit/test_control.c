/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's hand in a guest: what lines of JSON are taken and what comes back, by the port of
 * a virtio console as its driver finds it. The core behind it is the test's.
 */
#include "tests/unit/fake_ports.h"

static struct machine *const a = &machines[0];
/* The port behind those that are joined. */
enum { HAND = 1 + NAMED, RECEIVE = 2 + 2 * HAND, SEND };

static uint8_t got[0x8000];
static const char *guests[3]; /* NULL: there is none */
static unsigned looks, orders, last_order, last_guest;
static uint32_t order_done;

/* Each guest has had so many events, and said so many bytes. */
static uint64_t events, said, last_at;
/* So many more after each look. */
static unsigned growth;
static char typed[64];

static void ask_events(struct exchange_control *c) {
    c->at = c->at == CONTROL_AT_FIRST ? 2 : c->at;
    c->end = events;
    c->size = c->at < events;
    c->event.us = c->at * 1000;
    c->event.unix_seconds = 1796005000;
    c->event.cause = c->at == 3 ? EVENT_MAX_LOG : EVENT_CRASH;
    memset(c->event.why, 0x7f, sizeof(c->event.why)); /* without an end */
    strcpy(c->event.why, "a \"b\"");
    strcpy(c->state, "crashed");
    events += growth;
}

static void ask_console(struct exchange_control *c) {
    c->at = c->at == CONTROL_AT_FIRST ? 0 : c->at;
    c->at = c->at < said ? c->at : said;
    c->end = said;
    c->size = said - c->at < sizeof(c->bytes) ? (uint32_t)(said - c->at) : sizeof(c->bytes);
    for (unsigned i = 0; i < c->size; i++) {
        c->bytes[i] = (uint8_t)(c->at + i);
    }
    said += growth;
}

/* Of three lines, the first two are there. */
static void ask_trace(struct exchange_control *c) {
    c->at = c->at == CONTROL_AT_FIRST ? 0 : c->at;
    c->end = 3;
    c->size = c->at < 2 ? 3 : 0;
    memcpy(c->bytes, "x y", 3);
    c->done = order_done;
}

/* Ten at most. */
static void ask_type(struct exchange_control *c) {
    c->size = c->size < 10 ? c->size : 10;
    memcpy(typed, c->bytes, c->size);
    typed[c->size] = '\0';
    c->done = order_done;
}

static void ask(UNUSED const struct dev_env *env, struct exchange_control *c) {
    unsigned number = c->guest;

    last_at = c->at;

    c->done = 0;
    if (number >= ARRAY_SIZE(guests) || guests[number] == NULL) {
        return;
    }
    c->done = CONTROL_DONE;
    strcpy(c->name, guests[number]);
    strcpy(c->state, "running");
    if (c->call == CONTROL_CALL_LOOK) {
        looks++;
        c->look.vcpus = number + 1;
        c->look.memory = 16 * MIB;
        c->look.exits = UINT64_MAX;
    } else if (c->call == CONTROL_CALL_EVENT) {
        ask_events(c);
    } else if (c->call == CONTROL_CALL_READ) {
        ask_console(c);
    } else if (c->call == CONTROL_CALL_TRACE) {
        ask_trace(c);
    } else if (c->call == CONTROL_CALL_TYPE) {
        ask_type(c);
    } else {
        CHECK_U64(c->call, CONTROL_CALL_ORDER);
        orders++;
        last_order = c->order;
        last_guest = number;
        c->done = order_done;
    }
}

static void begin(void) {
    looks = orders = growth = 0;
    order_done = CONTROL_DONE;
    guests[0] = "web";
    guests[1] = "a-name-of-31-characters-exactly";
    guests[2] = NULL;
    ports_begin();
    a->env.control = ask;
    a->abi.has_control = true;
    ports_power_on(a);
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_fill(a, CONSOLE_CONTROL_RECEIVE, 256, RING);
    ports_say(a, 0, READY, 1);
    for (uint8_t i = 0; i <= HAND; i++) {
        CHECK_TOLD(a, i, ADD, 1);
    }
    ports_say(a, HAND, PORT_READY, 1);
    CHECK_TOLD(a, HAND, NAME, 1);
    CHECK_TOLD(a, HAND, OPEN, 1);
    ports_fill(a, RECEIVE, 256, RING);
    ports_say(a, HAND, OPEN, 1);
}

/* All that has come, as one text. */
static const char *pull(void) {
    uint32_t size = 0;

    ports_run();
    for (int n; (n = ports_read(a, RECEIVE, got + size)) >= 0;) {
        size += (uint32_t)n;
        CHECK(size + 256 <= sizeof(got));
    }
    driver_doorbell(a, RECEIVE);
    got[size] = '\0';
    return (const char *)got;
}

static const char *say(const char *line) {
    ports_write(a, SEND, line, (uint32_t)strlen(line));
    return pull();
}

#define OK "{\"ok\":true}\n"

static void refused(const char *line, const char *why, unsigned number) {
    char answer[300];

    snprintf(answer, sizeof(answer), "{\"ok\":false,\"error\":\"%s\",\"number\":\"BH%u\"}\n", why,
             number);
    CHECK_STR(say(line), answer);
}

#define ROW(name, vcpus)                                                                           \
    "{\"guest\":\"" name "\",\"state\":\"running\",\"vcpus\":" vcpus                               \
    ",\"memory_bytes\":16777216,\"up_ms\":0,\"idle_ms\":0,\"exits\":18446744073709551615,"         \
    "\"denied\":0,\"crashes\":0,\"over_max_exits\":0,\"over_max_console\":0,"                      \
    "\"log_lines_withheld\":0}\n"

TEST(a_list_is_a_line_for_each_and_an_end) {
    begin();
    CHECK_STR(say("{\"verb\":\"list\"}\n"),
              ROW("web", "1") ROW("a-name-of-31-characters-exactly", "2") OK);
    CHECK_STR(say(" {\t\"guest\" : \"web\" , \"verb\":\"list\" } \r\n"), ROW("web", "1") OK);
    guests[0] = NULL;
    CHECK_STR(say("{\"verb\":\"list\"}\n"), OK);
    CHECK_U64(orders, 0);
}

TEST(each_order_is_its_own) {
    static const char *const names[CONTROL_ORDERS] = {"start", "stop",  "restart", "reset",
                                                      "kill",  "pause", "resume"};
    char line[80];

    begin();
    for (unsigned i = 0; i < CONTROL_ORDERS; i++) {
        snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"guest\":\"%s\"}\n", names[i],
                 guests[i & 1]);
        CHECK_STR(say(line), OK);
        CHECK_U64(orders, i + 1);
        CHECK_U64(last_order, i);
        CHECK_U64(last_guest, i & 1);
    }
    order_done = CONTROL_TOO_MUCH;
    refused("{\"verb\":\"stop\",\"guest\":\"web\"}\n",
            "too much was asked of it already: again later", 6205);
    order_done = CONTROL_OFF;
    refused("{\"verb\":\"restart\",\"guest\":\"web\"}\n", "it does not run: start it", 6204);
    order_done = CONTROL_NO_CPU;
    refused("{\"verb\":\"start\",\"guest\":\"web\"}\n",
            "it cannot run: its first CPU did not come, or cannot run guests; give it another one",
            6203);
}

#define NO_PAIR "not a key and a value, a text or a number"
#define NO_VERB                                                                                    \
    "no such verb: list, events, console, trace, type, start, stop, restart, reset, kill, pause or resume"
#define NO_KEY "no such key: verb, guest, after or text"
#define NO_END "the object does not end where the line does"
#define NO_ONE "no such guest, or not one that you may control"

#define EVENT(name, number, us, kind, cause)                                                       \
    "{\"guest\":\"" name "\",\"event\":" number ",\"us\":" us                                      \
    ",\"unix\":1796005000,\"kind\":\"" kind "\",\"state\":\"crashed\",\"cause\":\"" cause          \
    "\",\"why\":\"a \\u0022b\\u0022\"}\n"
#define LONG_NAME "a-name-of-31-characters-exactly"

TEST(events_are_told_from_the_first_that_is_not_known) {
    begin();
    events = 4;
    CHECK_STR(say("{\"verb\":\"events\"}\n"),
              EVENT("web", "3", "2000", "state", "crash")
                  EVENT("web", "4", "3000", "limit", "max_log")
                      EVENT(LONG_NAME, "3", "2000", "state", "crash")
                          EVENT(LONG_NAME, "4", "3000", "limit", "max_log") OK);
    CHECK_STR(say("{\"verb\":\"events\",\"guest\":\"web\",\"after\":3}\n"),
              EVENT("web", "4", "3000", "limit", "max_log") OK);
    CHECK_STR(say("{\"verb\":\"events\",\"guest\":\"web\",\"after\":\"4\"}\n"), OK);
    CHECK_STR(say("{\"verb\":\"events\",\"after\":18446744073709551614}\n"), OK);
    CHECK_U64(last_at, 0); /* it looked for another guest then */
    refused("{\"verb\":\"events\",\"guest\":\"other\"}\n", NO_ONE, 6202);
    refused("{\"verb\":\"events\",\"after\":18446744073709551616}\n", "after is no number", 6208);
    refused("{\"verb\":\"events\",\"after\":\"1a\"}\n", "after is no number", 6208);
    refused("{\"verb\":\"events\",\"after\":\"\"}\n", "after is no number", 6208);
}

TEST(a_console_is_told_up_to_where_its_end_was) {
    char *at, wanted[200];
    unsigned seen = 0;

    begin();
    said = 300;
    const char *answer = say("{\"verb\":\"console\",\"guest\":\"web\"}\n");
    CHECK(strstr(answer, "{\"guest\":\"web\",\"at\":0,\"text\":\"\\u0000\\u0001") == answer);
    CHECK(strstr(answer, "\\u001f !\\u0022#$%&'()*+,-./0") != NULL);
    CHECK(strstr(answer, "Z[\\u005c]") != NULL && strstr(answer, "~\\u007f\"}\n{") != NULL);
    CHECK(strstr(answer, ",\"at\":128,") != NULL && strstr(answer, ",\"at\":256,") != NULL);
    CHECK(strstr(answer, "\"}\n{\"ok\":true,\"next\":300,\"state\":\"running\"}\n") != NULL);
    for (at = (char *)(uintptr_t)answer; (at = strchr(at, '\n')) != NULL; at++) {
        seen++;
    }
    CHECK_U64(seen, 4);
    snprintf(wanted, sizeof(wanted), "{\"guest\":\"web\",\"at\":298,\"text\":\"*+\"}\n%s",
             "{\"ok\":true,\"next\":300,\"state\":\"running\"}\n");
    CHECK_STR(say("{\"verb\":\"console\",\"guest\":\"web\",\"after\":298}\n"), wanted);
    CHECK_STR(say("{\"verb\":\"console\",\"guest\":\"web\",\"after\":300}\n"),
              "{\"ok\":true,\"next\":300,\"state\":\"running\"}\n");
    refused("{\"verb\":\"console\"}\n", "no guest", 6213);
    refused("{\"verb\":\"console\",\"guest\":\"other\"}\n", NO_ONE, 6202);
}

/* Or it might never come to an end. */
TEST(what_comes_meanwhile_is_for_the_next_time) {
    begin();
    events = 4;
    growth = 1;
    CHECK_STR(say("{\"verb\":\"events\",\"guest\":\"web\"}\n"),
              EVENT("web", "3", "2000", "state", "crash")
                  EVENT("web", "4", "3000", "limit", "max_log") OK);
    said = 256;
    growth = 128;
    const char *answer = say("{\"verb\":\"console\",\"guest\":\"web\"}\n");
    CHECK(strstr(answer, ",\"at\":128,") != NULL && strstr(answer, ",\"at\":256,") == NULL);
    CHECK(strstr(answer, "\"}\n{\"ok\":true,\"next\":256,\"state\":\"running\"}\n") != NULL);
}

TEST(a_trace_is_told_line_by_line) {
    begin();
    order_done = CONTROL_DONE;
    CHECK_STR(say("{\"verb\":\"trace\",\"guest\":\"web\"}\n"),
              "{\"guest\":\"web\",\"at\":0,\"text\":\"x y\"}\n"
              "{\"guest\":\"web\",\"at\":1,\"text\":\"x y\"}\n" OK);
    order_done = CONTROL_TOO_MUCH;
    refused("{\"verb\":\"trace\",\"guest\":\"web\"}\n",
            "too much was asked of it already: again later", 6205);
    refused("{\"verb\":\"trace\"}\n", "no guest", 6213);
    refused("{\"verb\":\"trace\",\"guest\":\"other\"}\n", NO_ONE, 6202);
}

TEST(what_is_typed_comes_as_it_is_meant) {
    begin();
    CHECK_STR(
        say("{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"a\\r\\\"\\u001B\\u00e4\\\\/\"}\n"),
        "{\"ok\":true,\"typed\":7,\"state\":\"running\"}\n");
    CHECK_STR(typed, "a\r\"\x1b\xe4\\/");
    CHECK_STR(say("{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"0123456789abc\"}\n"),
              "{\"ok\":true,\"typed\":10,\"state\":\"running\"}\n");
    CHECK_STR(typed, "0123456789");
    CHECK_STR(say("{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"\\u0000x\"}\n"),
              "{\"ok\":true,\"typed\":2,\"state\":\"running\"}\n");
    CHECK(typed[0] == '\0' && typed[1] == 'x');
    refused("{\"verb\":\"type\",\"guest\":\"web\"}\n", "no text", 6209);
    refused("{\"verb\":\"type\",\"text\":\"x\"}\n", "no guest", 6213);
    refused("{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"\"}\n", "no text", 6209);
    refused("{\"verb\":\"type\",\"guest\":\"web\\u0000\",\"text\":\"x\"}\n", "no name of a guest",
            6207);
    refused("{\"verb\\u0000\":\"list\"}\n", NO_KEY, 6211);
    refused("{\"verb\":\"list\\u0000\"}\n", NO_VERB, 6206);
    order_done = CONTROL_OFF;
    refused("{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"x\"}\n", "it does not run: start it",
            6204);
}

TEST(what_is_no_request_is_told_so) {
    char line[300];

    begin();
    refused("x\n", "not an object of JSON in one line", 6214);
    refused("[]\n", "not an object of JSON in one line", 6214);
    refused("{}\n", NO_PAIR, 6215);
    refused("{\"verb\"}\n", NO_PAIR, 6215);
    refused("{\"verb\":1}\n", "a text is wanted there", 6210);
    refused("{\"verb\":-1}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"list}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"li\\u007t\"}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"li\\u0173t\"}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"li\\st\"}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"list\\\n", NO_PAIR, 6215);
    refused("{\"verb\":\"list\",}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"\x80\"}\n", NO_PAIR, 6215);
    refused("{\"verb\":\"list\"\n", NO_END, 6216);
    refused("{\"verb\":\"list\"}{\n", NO_END, 6216);
    refused("{\"verb\":\"list\"} }\n", NO_END, 6216);
    refused("{\"guest\":\"web\"}\n", "no verb", 6212);
    refused("{\"verb\":\"kill\"}\n", "no guest", 6213);
    refused("{\"verb\":\"halt\",\"guest\":\"web\"}\n", NO_VERB, 6206);
    refused("{\"verb\":\"\"}\n", NO_VERB, 6206);
    refused("{\"verbs\":\"list\"}\n", NO_KEY, 6211);
    refused("{\"verb\":\"list\",\"guest\":\"\"}\n", "no name of a guest", 6207);
    refused("{\"verb\":\"list\",\"guest\":\"a-name-of-32-characters-exactly!\"}\n",
            "no name of a guest", 6207);
    refused("{\"verb\":\"kill\",\"guest\":\"we\"}\n", NO_ONE, 6202);
    refused("{\"verb\":\"kill\",\"guest\":\"webb\"}\n", NO_ONE, 6202);
    CHECK_U64(orders, 0);
    memset(line, ' ', sizeof(line));
    memcpy(line, "{\"verb\":\"list\",\"guest\":\"web\"}", 29);
    line[199] = '\n';
    line[200] = '\0';
    CHECK_STR(say(line), ROW("web", "1") OK);
    line[199] = ' ';
    line[200] = '\n';
    line[201] = '\0';
    refused(line, "longer than 200 bytes", 6201);
    CHECK_STR(say("\n \r\n\t\n"), "");
    CHECK_STR(say("{\"verb\":\"list\",\"guest\":\"web\"}\n"), ROW("web", "1") OK);
}

/* What each verb wants beside itself; without it nothing is asked of anybody. */
TEST(what_each_verb_needs) {
    static const struct {
        const char *name;
        bool guest, text;
    } verbs[] = {
        {"list", false, false}, {"events", false, false}, {"console", true, false},
        {"trace", true, false}, {"type", true, true},     {"start", true, false},
        {"stop", true, false},  {"restart", true, false}, {"reset", true, false},
        {"kill", true, false},  {"pause", true, false},   {"resume", true, false},
    };
    char line[80];

    CHECK_U64(control_verbs_count, ARRAY_SIZE(verbs));
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        begin();
        typed[0] = '\0';
        snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"text\":\"x\"}\n", verbs[i].name);
        CHECK_U64(
            strcmp(say(line), "{\"ok\":false,\"error\":\"no guest\",\"number\":\"BH6213\"}\n") == 0,
            verbs[i].guest);
        CHECK_U64(orders, 0);
        CHECK_STR(typed, "");
        snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"guest\":\"web\"}\n", verbs[i].name);
        CHECK_U64(
            strcmp(say(line), "{\"ok\":false,\"error\":\"no text\",\"number\":\"BH6209\"}\n") == 0,
            verbs[i].text);
    }
}

/* A line may end anywhere, and nothing behind its end is read: what lies there may go on well. */
TEST(a_line_that_is_cut_off) {
    static const char line[] = "{\"verb\": \"console\", \"guest\":\"w\\u0065b\" ,\"after\":57 }";
    for (uint32_t length = 0; length < sizeof(line); length++) {
        struct control_request request = {.verb = 0};
        char *cut = malloc(length + 1);
        memcpy(cut, line, length);
        cut = realloc(cut, max_u64(length, 1));
        const char *wrong = control_parse(cut, length, &request);
        CHECK((wrong == NULL) == (length == sizeof(line) - 1));
        free(cut);
    }
}

/* A key of 39 characters is the longest that is read at all. */
TEST(long_texts) {
    begin();
    refused("{\"0123456789012345678901234567890123456789\":\"\"}\n", NO_KEY, 6211);
    refused("{\"01234567890123456789012345678901234567890\":\"\"}\n", NO_PAIR, 6215);
    refused("{\"after\":01234567890123456789012345678901234567890}\n", NO_PAIR, 6215);
}

TEST(a_line_in_pieces_and_lines_in_one) {
    begin();
    CHECK_STR(say("{\"verb\":"), "");
    CHECK_STR(say("\"list\",\"guest\":\"web\"}"), "");
    CHECK_STR(
        say("\nx\n{\"verb\":\"list\",\"guest\":\"web\"}\n{\"verb\":"), ROW("web", "1") OK
        "{\"ok\":false,\"error\":\"not an object of JSON in one line\",\"number\":\"BH6214\"}\n" ROW(
            "web", "1") OK);
    CHECK_STR(say("\"pause\",\"guest\":\"web\"}\n"), OK);
}

/* Who does not read is not listened to, and loses nothing. */
TEST(answers_wait_for_buffers) {
    unsigned lines = 0;

    begin();
    for (unsigned i = 0; i < 40; i++) {
        ports_write(a, SEND, "{\"verb\":\"list\"}\n", 16);
        ports_run();
    }
    CHECK(looks < 80);
    for (unsigned i = 0; i < 40; i++) {
        for (const char *at = pull(); (at = strchr(at, '\n')) != NULL; at++) {
            lines++;
        }
    }
    CHECK_U64(lines, 40 * 3);
    CHECK_U64(looks, 80);
}

/* What was written before an end is none of the next one's words, and no answer comes to it. */
TEST(an_end_forgets) {
    begin();
    (void)say("{\"verb\":\"kill\",");
    ports_say(a, HAND, OPEN, 0);
    CHECK_STR(say("\"guest\":\"web\"}\n"), "");
    ports_say(a, HAND, OPEN, 1);
    CHECK_STR(
        say("\"guest\":\"web\"}\n"),
        "{\"ok\":false,\"error\":\"not an object of JSON in one line\",\"number\":\"BH6214\"}\n");
    CHECK_U64(orders, 0);
    CHECK_U64(driver_used(a, SEND), 3);
}

TEST(a_restart_forgets) {
    begin();
    (void)say("{\"verb\":\"list\"");
    ports_power_on(a);
    CHECK_U64(a->console.control.length, 0);
    CHECK(!a->console.hand->open);
}

/* Without the key there is no port, and nobody is asked. */
TEST(without_the_key_there_is_none) {
    ports_begin();
    CHECK(a->console.hand == NULL);
    CHECK_U64(driver_reg(a, VIRTIO_CONFIG + 4, 4), 1 + NAMED);
}

TEST(nonsense_is_answered_or_ignored) {
    uint32_t seed = 1;
    char line[256];

    begin();
    for (unsigned i = 0; i < 20000; i++) {
        static const char letters[] = "{}\":,\\ listguestverbkil\n\n";
        unsigned size = 1 + i % 60;
        for (unsigned n = 0; n < size; n++) {
            seed = seed * 1664525 + 1013904223;
            line[n] = letters[(seed >> 16) % (sizeof(letters) - 1)];
        }
        line[size] = '\0';
        (void)say(line);
    }
    (void)say("\n");
    CHECK_STR(say("{\"verb\":\"list\",\"guest\":\"web\"}\n"), ROW("web", "1") OK);
}

/* A name of one letter is a name; what was found for the last request is not found for this one. */
TEST(who_is_not_there) {
    begin();
    CHECK_STR(say("{\"verb\":\"stop\",\"guest\":\"web\"}\n"), OK);
    CHECK_U64(looks, 1); /* and nobody behind it */
    refused("{\"verb\":\"stop\",\"guest\":\"x\"}\n", NO_ONE, 6202);
    refused("{\"verb\":\"list\",\"guest\":\"y\"}\n", NO_ONE, 6202);
    CHECK_U64(orders, 1);
}

/* One doorbell for many buffers to send, and a few bytes to receive into at a time. */
TEST(small_buffers_both_ways) {
    static const char line[] = "{\"verb\":\"list\",\"guest\":\"web\"}\n";
    uint32_t id = 0, length = 0;

    begin();
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_say(a, HAND, OPEN, 1);
    ports_fill(a, RECEIVE, 10, RING);
    for (unsigned i = 0; i < strlen(line); i++) {
        a->ram[BUFFER(SEND, i)] = (uint8_t)line[i];
        driver_describe(a, SEND, i, BUFFER(SEND, i), 1, 0, 0);
        driver_offer(a, SEND, i);
    }
    driver_doorbell(a, SEND);
    CHECK_STR(pull(), ROW("web", "1") OK);
    for (unsigned i = 0; i < strlen(line); i++) {
        CHECK(driver_take(a, SEND, &id, &length));
        CHECK_U64(id, i);
        CHECK_U64(length, 0);
    }
}

/* A buffer, and a line of an answer, count as 256 bytes of a turn of 4,096. */
TEST(steps_count_in_a_turn) {
    begin();
    for (unsigned i = 0; i < RING; i++) {
        a->ram[BUFFER(SEND, i)] = ' ';
        driver_describe(a, SEND, i, BUFFER(SEND, i), 1, 0, 0);
        driver_offer(a, SEND, i);
    }
    driver_doorbell(a, SEND);
    CHECK_U64(driver_used(a, SEND), 16);
    CHECK(a->console.due != 0);
    ports_run();
    CHECK_U64(driver_used(a, SEND), RING);

    begin();
    events = 1000;
    ports_write(a, SEND, "{\"verb\":\"events\",\"guest\":\"web\"}\n", 32);
    unsigned lines = driver_used(a, RECEIVE);
    CHECK(lines > 10 && lines <= 16); /* some steps tell nothing */
    CHECK(a->console.due != 0);
}

/* A request of 64 KiB without an end of line: more than is read in a turn. */
static void write_long(void) {
    driver_describe(a, SEND, 0, 0x100000, 0x10000, 0, 0);
    memset(a->ram + 0x100000, 'x', 0x10000);
    driver_offer(a, SEND, 0);
    driver_doorbell(a, SEND);
}

/* What was written before an end is gone: all of it, and how far it was read. */
TEST(what_is_written_to_a_closed_port) {
    begin();
    write_long();
    CHECK(a->console.hand->moved != 0);
    ports_say(a, HAND, OPEN, 0);
    ports_run();
    CHECK_U64(driver_used(a, SEND), 1);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(a, SEND, i, BUFFER(SEND, i), 1, 0, 0);
        driver_offer(a, SEND, i);
    }
    driver_doorbell(a, SEND);
    CHECK_U64(driver_used(a, SEND), 1 + RING);
    ports_say(a, HAND, OPEN, 1);
    CHECK_STR(say("{\"verb\":\"list\",\"guest\":\"web\"}\n"), ROW("web", "1") OK);
}

/* The same where an end and a beginning come together, before its next turn. */
TEST(closed_and_opened_at_once) {
    begin();
    write_long();
    CHECK(a->console.hand->moved != 0 && a->console.due != 0);
    ports_say(a, HAND, OPEN, 0);
    ports_say(a, HAND, OPEN, 1);
    CHECK_U64(a->console.hand->moved, 0);
    CHECK_U64(driver_used(a, SEND), 1);
    CHECK_STR(say("{\"verb\":\"list\",\"guest\":\"web\"}\n"), ROW("web", "1") OK);
}

/* Bytes without an end of line are read in turns: the guest runs in between. */
TEST(a_long_line_takes_turns) {
    begin();
    write_long();
    CHECK(a->console.due != 0);
    CHECK_U64(driver_used(a, SEND), 0);
    CHECK_STR(pull(), "");
    CHECK_U64(driver_used(a, SEND), 1);
    refused("\n", "longer than 200 bytes", 6201);
}

TEST_MAIN(T(a_list_is_a_line_for_each_and_an_end), T(each_order_is_its_own),
          T(events_are_told_from_the_first_that_is_not_known),
          T(a_console_is_told_up_to_where_its_end_was),
          T(what_comes_meanwhile_is_for_the_next_time), T(a_trace_is_told_line_by_line),
          T(what_is_typed_comes_as_it_is_meant), T(what_is_no_request_is_told_so), T(long_texts),
          T(a_line_that_is_cut_off), T(a_line_in_pieces_and_lines_in_one),
          T(answers_wait_for_buffers), T(an_end_forgets), T(a_restart_forgets),
          T(without_the_key_there_is_none), T(nonsense_is_answered_or_ignored), T(who_is_not_there),
          T(small_buffers_both_ways), T(a_long_line_takes_turns), T(what_each_verb_needs),
          T(steps_count_in_a_turn), T(what_is_written_to_a_closed_port),
          T(closed_and_opened_at_once))
