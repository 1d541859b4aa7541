/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of config/utf8.c, and of config/text.c with parse.c: one cause, one fault. */
#include "config/parse.h"
#include "config/utf8.h"
#include "tests/unit/faults.h"

static uint32_t decode(const char *s, size_t size, unsigned *length) {
    char *copy = malloc(size); /* the sanitizer sees a read past it */
    uint32_t code = 0xdead;
    memcpy(copy, s, size);
    *length = utf8_decode(copy, copy + size, &code);
    free(copy);
    return code;
}

static void check_code(const char *s, uint32_t code) {
    unsigned length;
    CHECK_U64(decode(s, strlen(s), &length), code);
    CHECK_U64(length, strlen(s));
    for (size_t cut = 0; cut < strlen(s); cut++) {
        (void)decode(s, cut, &length);
        CHECK_U64(length, 0);
    }
}

TEST(utf8_codes) {
    check_code("a", 'a');
    check_code("\x7f", 0x7f);
    check_code("\xc2\x80", 0x80);
    check_code("\xc3\xbc", 0xfc);
    check_code("\xdf\xbf", 0x7ff);
    check_code("\xe0\xa0\x80", 0x800);
    check_code("\xed\x9f\xbf", 0xd7ff);
    check_code("\xee\x80\x80", 0xe000);
    check_code("\xef\xbf\xbf", 0xffff);
    check_code("\xf0\x90\x80\x80", 0x10000);
    check_code("\xf4\x8f\xbf\xbf", 0x10ffff);
}

TEST(utf8_refused) {
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* the first surrogate */
        "\xed\xbf\xbf",     /* the last */
        "\xf4\x90\x80\x80", /* 110000h */
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "\xc3(",
        "\xe2\x82(",
        "\xf0\x9f\x98(",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        unsigned length;
        (void)decode(bad[i], strlen(bad[i]), &length);
        CHECK_U64(length, 0);
    }
}

TEST(utf16) {
    uint16_t out[6];
    static const uint16_t want[] = {'k', 0xfc, 0x20ac, 0xd83d, 0xde00, 0};
    CHECK(utf8_to_utf16("k\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", out, ARRAY_SIZE(out)));
    CHECK(memcmp(out, want, sizeof(want)) == 0);
    CHECK(!utf8_to_utf16("k\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", out, ARRAY_SIZE(out) - 1));
    CHECK(!utf8_to_utf16("k\xfc", out, ARRAY_SIZE(out)));
    CHECK(utf8_to_utf16("", out, 1));
    CHECK_U64(out[0], 0);
    CHECK(!utf8_to_utf16("a", out, 1));
}

TEST(names) {
    CHECK(utf8_names_equal("VmLinuz-1", "vmlinuz-1"));
    CHECK(utf8_names_equal("", ""));
    CHECK(!utf8_names_equal("vmlinuz", "vmlinu"));
    CHECK(!utf8_names_equal("vmlinu", "vmlinuz"));
    CHECK(!utf8_names_equal("a[", "a{")); /* 20h apart as well */
    CHECK(!utf8_names_equal("\xc3\x9c", "\xc3\xbc"));
}

static struct config config;

static enum status parse(const char *text, size_t size) {
    memset(&faults, 0, sizeof(faults));
    return config_parse(text, size, &config, &faults);
}

#define GUEST "[guest.web]\ncpus = \"1\"\nmemory = \"512M\"\nkernel = \"k\"\n"

/* This and no other fault, and the rest of the config is as if nothing stood in the file. */
static void check_cause(const char *text, size_t size, const char *position, const char *words) {
    struct want want = {position, words};
    check_faults(parse(text, size), &want, 1);
    CHECK_U64(config.guest_count, 0);
    CHECK(config.mitigate);
}
#define CAUSE(text, position, words) check_cause(text, sizeof(text) - 1, position, words)

/* The text in UTF-16 with and without its mark; high is 1 where the high byte comes first. */
static void check_utf16(const char *text, unsigned high, const char *mark) {
    static char wide[2000];
    size_t n = strlen(mark);
    memset(wide, 0, sizeof(wide));
    memcpy(wide, mark, n);
    for (; *text != '\0'; text++, n += 2) {
        wide[n + high] = *text;
    }
    check_cause(wide, n, "1:1:", "UTF-16");
}

TEST(other_encodings) {
    check_utf16(GUEST, 0, "\xff\xfe");
    check_utf16(GUEST, 1, "\xfe\xff");
    check_utf16(GUEST, 0, "");
    check_utf16(GUEST, 1, "");
    check_utf16("[", 0, "");
    CAUSE("\xff\xfe\0\0[\0\0\0", "1:1:", "UTF-32");
    CAUSE("\0\0\xfe\xff\0\0\0[", "1:1:", "UTF-32");
}

TEST(damaged) {
    CAUSE("\0\0\0\0\0\0\0\0", "1:1:", "zero bytes");
    CAUSE("\0", "1:1:", "zero bytes");
    CAUSE(GUEST "initrd = \"\0\0\0\0\0\0", "5:1:", "zero bytes");
    CAUSE("\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2", "1:1:", "zero bytes");
}

TEST(line_ends) {
    CAUSE("[guest.web]\rcpus = \"1\"\rmemory = \"512M\"\rkernel = \"k\"\r", "1:1:", "old Mac");
    static const char marked[] =
        "\xef\xbb\xbf[guest.a]\r\ncpus='1'\r\nmemory='16M'\r\nkernel='k'\r\n";
    CHECK(parse(marked, sizeof(marked) - 1) == STATUS_OK);
    show_faults();
}

TEST(other_languages) {
    CAUSE("guest:\n  web:\n    cpus: 1\n", "1:1:", "YAML");
    CAUSE("# guests\n\n---\nguest: {}\n", "3:1:", "YAML");
    CAUSE("\xef\xbb\xbf  memory: 512M", "1:1:", "YAML");
    CAUSE("- web\n- db\n", "1:1:", "YAML");
    CAUSE("a:", "1:1:", "YAML");
    CAUSE("{\n \"guest\": {}\n}\n", "1:1:", "JSON");
    CAUSE("\r\n<!DOCTYPE html>\r\n", "2:1:", "web page");
    CAUSE("{\\rtf1\\ansi [guest.web]}", "1:1:", "RTF");
    CAUSE("PK\3\4xyz", "1:1:", "zip");
}

/* What only resembles them is read line by line, as TOML. */
TEST(toml_all_the_same) {
    static const char *const texts[] = {
        GUEST "cmdline = \"a: b - {}\"\n",
        "# guest:\n" GUEST,
        "#\n#{\n# ---\n" GUEST,
        "\r\n\r\n" GUEST,
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        CHECK(parse(texts[i], strlen(texts[i])) == STATUS_OK);
        show_faults();
    }
    static const struct want pair = {"1:1:", "an = is missing after cpus"};
    CHECK(parse("cpus 1\n" GUEST, strlen("cpus 1\n" GUEST)) == STATUS_INVALID);
    CHECK(strstr(faults.faults[0].text, pair.words) != NULL);
    CHECK(parse("cpus:1\n" GUEST, strlen("cpus:1\n" GUEST)) == STATUS_INVALID);
    CHECK(strstr(faults.faults[0].text, pair.words) != NULL);
}

TEST_MAIN(T(utf8_codes), T(utf8_refused), T(utf16), T(names), T(other_encodings), T(damaged),
          T(line_ends), T(other_languages), T(toml_all_the_same))
