// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/toml.c. tests/unit/compare_toml.py compares it with python's tomllib. */
#include "tests/unit/test.h"

#include "config/toml.h"

static struct fault_list faults;
static struct toml_item item;
static struct toml toml;

static void begin(const char *text) {
    memset(&faults, 0, sizeof(faults));
    toml_init(&toml, text, strlen(text), &faults);
}

/* The text of fault i with its position, or "none". */
static const char *fault(uint32_t i) {
    return i < faults.count ? faults.faults[i].text + strlen("bulkhead.toml:") : "none";
}

/* True if fault i stands at "line:column:" and holds these words. */
static bool fault_is(uint32_t i, const char *position, const char *words) {
    const char *text = fault(i);
    bool good = strncmp(text, position, strlen(position)) == 0 && strstr(text, words) != NULL;
    if (!good) {
        printf("# fault %u is \"%s\"\n", i, text);
    }
    return good;
}

static void check_string(const char *text, const char *want) {
    begin(text);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(item.quoted && !item.broken);
    CHECK_STR(item.value, want);
    CHECK_U64(item.length, strlen(want));
    CHECK_U64(toml_next(&toml, &item), TOML_END);
    CHECK_STR(fault(0), "none");
}

/* One line that is refused at that column with these words. */
static void check_refused(const char *text, unsigned column, const char *words) {
    char position[16];
    snprintf(position, sizeof(position), "1:%u:", column);
    begin(text);
    while (toml_next(&toml, &item) != TOML_END) {
        CHECK(item.broken);
    }
    CHECK_U64(faults.count, 1);
    CHECK(fault_is(0, position, words));
}

TEST(empty_files) {
    static const char *const texts[] = {
        "", "\n", "\r\n", " \t ", "# only\n#\n\n", "\xef\xbb\xbf", "\xef\xbb\xbf\r\n# x"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        begin(texts[i]);
        CHECK_U64(toml_next(&toml, &item), TOML_END);
        CHECK_U64(toml_next(&toml, &item), TOML_END);
        CHECK_U64(faults.count, 0);
    }
}

TEST(tables) {
    begin("[hypervisor]\n [ guest . \"web\" ] # c\r\n['a b'.\"c.d\".e.f.g]");
    CHECK_U64(toml_next(&toml, &item), TOML_TABLE);
    CHECK_U64(item.depth, 1);
    CHECK_STR(item.names[0].text, "hypervisor");
    CHECK_U64(item.line, 1);
    CHECK_U64(item.column, 1);
    CHECK_U64(toml_next(&toml, &item), TOML_TABLE);
    CHECK_U64(item.depth, 2);
    CHECK_STR(item.names[0].text, "guest");
    CHECK_STR(item.names[1].text, "web");
    CHECK_U64(item.line, 2);
    CHECK_U64(item.column, 2);
    CHECK_U64(item.names[1].column, 12);
    CHECK_U64(toml_next(&toml, &item), TOML_TABLE);
    CHECK_U64(item.depth, 5);
    CHECK_STR(item.names[0].text, "a b");
    CHECK_STR(item.names[1].text, "c.d");
    CHECK_STR(item.names[2].text, "e");
    CHECK(!item.broken);
    CHECK_U64(toml_next(&toml, &item), TOML_END);
    CHECK_U64(faults.count, 0);
}

TEST(strings) {
    check_string("a=\"\"", "");
    check_string("a = \"text\" # c", "text");
    check_string("a\t=\t'C:\\x \"q\" # no'", "C:\\x \"q\" # no");
    check_string("a = \"\\\"\\\\\"", "\"\\");
    check_string("\"quoted key\" = 'x'\r\n", "x");
    check_string("\xef\xbb\xbf"
                 "1-_z = \"\xc3\xa4\"",
                 "\xc3\xa4");
}

TEST(long_string) {
    static char text[4000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "a=\"", 3);
    memcpy(text + 3000, "\"\n", 3);
    begin(text);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(item.quoted && !item.broken);
    CHECK_U64(item.length, 2997);
    CHECK_U64(strlen(item.value), TOML_VALUE_SIZE - 1);
}

TEST(bare_values) {
    static const char *const values[] = {"0", "-17", "1_000", "0x1f", "true", "512M", "1979-05-27"};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        char text[40];
        snprintf(text, sizeof(text), "a = %s # c", values[i]);
        begin(text);
        CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
        CHECK(!item.quoted && !item.broken);
        CHECK_STR(item.value, values[i]);
        CHECK_U64(item.length, strlen(values[i]));
        CHECK_U64(item.value_column, 5);
        CHECK_STR(fault(0), "none");
    }
}

TEST(unsupported_is_named) {
    check_refused("a = [1, 2]", 6, "'1' begins no text: arrays of anything else are not supported");
    check_refused("a = ['b', ['c']]", 11, "'[' begins no text");
    check_refused("a = ['b', '''c''']", 11, "begins no text");
    check_refused("a = {b = 1}", 5, "inline tables are not supported");
    check_refused("a = \"\"\"x\"\"\"", 5, "several lines");
    check_refused("a = '''x'''", 5, "several lines");
    check_refused("a.b = 1", 2, "dotted keys");
    check_refused("[[a]]", 1, "arrays of tables");
}

static void check_texts(const char *text, const char *const *want, uint32_t count) {
    begin(text);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(item.array && !item.quoted && !item.broken);
    CHECK_U64(item.text_count, count);
    for (uint32_t i = 0; i < count && i < item.text_count; i++) {
        CHECK_STR(item.value + item.texts[i].start, want[i]);
        CHECK_U64(item.texts[i].length, strlen(want[i]));
    }
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR); /* z */
    CHECK_STR(item.names[0].text, "z");
    CHECK_STR(fault(0), "none");
}

TEST(arrays_of_texts) {
    static const char *const two[] = {"lan", "a\"b"};
    check_texts("a = []\nz = ''", NULL, 0);
    check_texts("a = [ ] # c\nz = ''", NULL, 0);
    check_texts("a = ['lan']\nz = ''", two, 1);
    check_texts("a = [ \"lan\" , \"a\\\"b\", ]\nz = ''", two, 2);
    check_texts("a = [ # c\n\n  'lan', # ]\n  'a\"b'\r\n]\nz = ''", two, 2);
    begin("a = ['x',\n  'y']");
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK_U64(item.texts[0].line, 1);
    CHECK_U64(item.texts[0].column, 6);
    CHECK_U64(item.texts[1].line, 2);
    CHECK_U64(item.texts[1].column, 3);
    check_refused("a = ['x' 'y']", 10, "a comma between two texts");
    check_refused("a = ['x'", 5, "no closing ]");
    check_refused("a = ['x',", 5, "no closing ]");
    check_refused("a = [,]", 6, "begins no text");
    check_refused("a = ['x'] y", 11, "'y' after the value");
}

TEST(long_arrays) {
    char text[TOML_VALUE_SIZE + 100] = "a = ['";
    size_t n = strlen(text);
    for (unsigned i = 1; i < TOML_TEXTS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "','");
    }
    snprintf(text + n, sizeof(text) - n, "']");
    begin(text);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(!item.broken);
    CHECK_U64(item.text_count, TOML_TEXTS_MAX);
    snprintf(text + n, sizeof(text) - n, "','']");
    check_refused(text, 5 + 3 * TOML_TEXTS_MAX + 1, "more than 16 texts");
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "a = ['", 6);
    memcpy(text + TOML_VALUE_SIZE + 50, "']", 3);
    check_refused(text, TOML_VALUE_SIZE + 52, "more than 2048 bytes");
}

TEST(syntax_faults) {
    check_refused("a", 2, "= is missing");
    check_refused("a \"x\"", 3, "= is missing");
    check_refused("a =", 4, "no value");
    check_refused("a = # c", 5, "no value");
    check_refused("= 1", 1, "name is missing");
    check_refused("a = \"x", 5, "closing");
    check_refused("a = 'x", 5, "closing");
    check_refused("a = \"x\\", 5, "closing");
    check_refused("a = \"x\" y", 9, "'y' after the value");
    check_refused("a = \"guests\\vmlinuz\"", 12, "the escape \\v is not supported");
    check_refused("a = \"\\u00e4\"", 6, "the escape \\u is not supported");
    check_refused("a = \"\\\xc3\xa4\"", 6, "the escape \\\xc3\xa4 is");
    check_refused("[a", 3, "closing ]");
    check_refused("[a]]", 4, "after the table header");
    check_refused("[]", 2, "name is missing");
    check_refused("[a.]", 4, "name is missing");
    check_refused("[a b]", 4, "closing ]");
    check_refused("\xc3\xa4 = 1", 1, "name is missing");
    check_refused("a = \"\xc3\xa4\xc3\xa4\" x", 10, "'x'"); /* columns count characters */
}

TEST(bytes) {
    check_refused("a = \"\xff\"", 6, "byte 0xff is not UTF-8");
    check_refused("a = 1 # \xc3(", 9, "not UTF-8");
    static const char *const bad[] = {
        "\x80",         "\xbf",         "\xc1\xbf",         "\xe2\x82",        "\xf5\x80\x80\x80",
        "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        check_refused(bad[i], 1, "not UTF-8");
    }
    check_string("a = '\xe2\x82\xac \xf0\x9f\x98\x80'", "\xe2\x82\xac \xf0\x9f\x98\x80");
    check_refused("a = \"x\ry\"", 7, "0x0d");
    check_refused("a = \"\x01\"", 6, "0x01");
    check_refused("a = 1 # \x7f", 9, "0x7f");
    check_refused("a = 1\r", 6, "0x0d");
    memset(&faults, 0, sizeof(faults));
    toml_init(&toml, "a = \"\0\"", 7, &faults);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(fault_is(0, "1:6:", "0x00"));
}

/* A file in Latin-1 has one fault, however many umlauts; what holds one is not used. */
TEST(latin1) {
    begin("# f\xfcr\na = \"b\xe4h\"\n[\xf6]\nb = \"x\"\nc = \"\n");
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(item.broken);
    CHECK_U64(toml_next(&toml, &item), TOML_TABLE);
    CHECK(item.broken);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK(!item.broken);
    CHECK_U64(toml_next(&toml, &item), TOML_PAIR);
    CHECK_U64(toml_next(&toml, &item), TOML_END);
    CHECK_U64(faults.count, 2);
    CHECK(fault_is(0, "1:4:", "0xfc is not UTF-8"));
    CHECK(fault_is(0, "1:4:", "Latin-1"));
    CHECK(fault_is(1, "5:5:", "closing"));
}

/* After each fault the next line is read as if nothing had been. */
TEST(goes_on) {
    begin("a = \"x\n[b\nc = [1,\n 2,\n]\nd = 1\ne = \"\"\"\nq = 5\n\"\"\"\nf = 2\n"
          "g = { h = [ ] }\ni = 3\nj = [\nk = 4\n");
    char seen[32] = "";
    size_t n = 0;
    while (toml_next(&toml, &item) != TOML_END) {
        if (item.kind == TOML_TABLE) {
            CHECK(item.broken);
            continue;
        }
        seen[n++] = item.names[0].text[0];
        if (item.broken) {
            seen[n++] = (char)(item.names[0].text[0] - 32);
        }
    }
    seen[n] = '\0';
    CHECK_STR(seen, "aAcCdeEfgGijJk"); /* capitals: refused */
    CHECK_U64(faults.count, 6);
    CHECK(fault_is(0, "1:5:", "closing"));
    CHECK(fault_is(1, "2:3:", "]"));
    CHECK(fault_is(2, "3:6:", "arrays"));
    CHECK(fault_is(3, "7:5:", "several lines"));
    CHECK(fault_is(4, "11:5:", "inline"));
    CHECK(fault_is(5, "13:5:", "the array has no closing ]"));
    CHECK_U64(item.line, 14);
}

/* The text is copied to memory of just its size, so that the sanitizer sees one byte too far. */
static void read_all(const char *text, size_t length) {
    char *copy = malloc(length != 0 ? length : 1);
    memcpy(copy, text, length);
    memset(&faults, 0, sizeof(faults));
    toml_init(&toml, copy, length, &faults);
    unsigned items = 0;
    while (toml_next(&toml, &item) != TOML_END) {
        items++;
        CHECK(item.line >= 1 && item.column >= 1 && items <= length);
    }
    free(copy);
}

TEST(mutations) {
    static const char good[] =
        "\xef\xbb\xbf# c\n[hypervisor]\r\nlog = \"info\"\n[guest.\"web\"]\n"
        "cpus = '1-2' # x\nm = 0x1_f\nn = -17\nb = true\n"
        "s = \"\\u00e4\\t\xe2\x82\xac\"\na = [1,\n\"x\"]\nt = \"\"\"q\n\"\"\"\n"
        "d = 1979-05-27\nf = 1.0\nu = 512M\n";
    static const uint8_t bytes[] = {0,   '\n', '\r', '\t', ' ',  '"',  '\'', '#',  '[',  ']', '{',
                                    '}', '.',  '=',  '\\', '_',  '-',  '+',  '0',  'x',  'u', 'U',
                                    ',', 0x7f, 0x80, 0xc3, 0xe2, 0xf0, 0xff, 0xef, 0xbb, 0xbf};
    char text[sizeof(good)];
    for (size_t n = 0; n < sizeof(good); n++) {
        read_all(good, n);
    }
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(bytes); j++) {
            memcpy(text, good, sizeof(good));
            text[i] = (char)bytes[j];
            read_all(text, sizeof(good) - 1);
            read_all(text, i + 1);
        }
    }
}

TEST_MAIN(T(empty_files), T(tables), T(strings), T(long_string), T(bare_values),
          T(unsupported_is_named), T(arrays_of_texts), T(long_arrays), T(syntax_faults), T(bytes),
          T(latin1), T(goes_on), T(mutations))
