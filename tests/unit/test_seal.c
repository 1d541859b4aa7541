/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of files inside an application: found in headers made here, sound and broken in every
 * way, and what it says of a file. Random bytes changed must never be read beyond their end (the
 * sanitizers see to that).
 */
#include <stdlib.h>

#include "config/seal.h"
#include "test.h"

#define IMAGE_SIZE 4096u
#define PE         0x80u
#define OPTIONAL   0xf0u
#define TABLE      (PE + 24 + OPTIONAL)
#define FILE_AT    0x800u /* of the list in the file, */
#define MEMORY_AT  0xa00u /* and loaded */

/* By sha256sum: of "abc", and of nothing. */
#define ABC     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LIST    ABC "  guests/vmlinuz\n" NOTHING "  bulkhead/bulkhead.toml\n"

static uint8_t image[IMAGE_SIZE];
static struct seal seal;

static void put(size_t at, uint32_t word) {
    memcpy(image + at, &word, sizeof(word));
}

/* An application with a list that lies elsewhere once it is loaded. */
static void make_image(const char *list) {
    uint32_t length = (uint32_t)strlen(list);
    memset(image, 0, sizeof(image));
    put(0x3c, PE);
    put(PE + 6, 2);
    put(PE + 20, OPTIONAL);
    memcpy(image + TABLE, ".text", 5);
    memcpy(image + TABLE + 40, ".sealed", 7);
    put(TABLE + 40 + 8, length);
    put(TABLE + 40 + 12, MEMORY_AT);
    put(TABLE + 40 + 16, 0x200);
    put(TABLE + 40 + 20, FILE_AT);
    memcpy(image + MEMORY_AT, list, length);
}

static const char *judge(const char *path, const char *text) {
    return seal_judge(&seal, path, (const uint8_t *)text, strlen(text));
}

static void open_list(const char *list) {
    make_image(list);
    seal_open(&seal, image, sizeof(image), true, true);
}

TEST(listed) {
    open_list(LIST);
    CHECK(seal.there);
    CHECK_U64(seal.files, 2);
    CHECK(judge("guests/vmlinuz", "abc") == NULL);
    CHECK(judge("GUESTS/VMLinuz", "abc") == NULL); /* as FAT has it */
    CHECK(judge("bulkhead/bulkhead.toml", "") == NULL);
}

/* By name, with the first bytes of both and what to do. */
TEST(altered) {
    open_list(LIST);
    CHECK_STR(judge("guests/vmlinuz", ""),
              "altered since it was signed: its SHA-256 is e3b0c44298fc1c14..., signed was "
              "ba7816bf8f01cfea...; put the signed file back, or sign the stick again "
              "(docs/secure-boot.md)");
    CHECK(judge("guests/vmlinuz", "abd") != NULL);
    CHECK(judge("guests/vmlinuz", "abc ") != NULL);
}

TEST(not_listed) {
    static const char *const paths[] = {"guests/vmlinu",   "guests/vmlinuz2", "guests", "", "\n",
                                        "guests/vmlinuz\n"};
    open_list(LIST);
    CHECK_STR(judge("guests/other", "abc"),
              "not on the signed list of files (its SHA-256 is ba7816bf8f01cfea...); remove it, or "
              "sign the stick again (docs/secure-boot.md)");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        CHECK(judge(paths[i], "abc") != NULL);
    }
}

/* Its last digit counts as well as its first. */
TEST(every_digit) {
    for (size_t i = 0; i < 64; i++) {
        char list[] = ABC "  a\n";
        list[i] = list[i] == '0' ? '1' : '0';
        open_list(list);
        CHECK_U64(seal.files, 1);
        CHECK(judge("a", "abc") != NULL);
    }
}

/* What is no list allows nothing, not even what its good lines name. */
TEST(broken_lists) {
    static const char *const lists[] = {
        "",
        "\n",
        ABC "  a",       /* no end */
        ABC "  a\n\n",   /* an empty line */
        ABC "  a\n" ABC, /* no path */
        ABC "  a\n" ABC " \n",
        ABC "  a\n" ABC "  \n",
        ABC "  a\n" ABC " *b\n",
        ABC "  a\n" ABC "\t b\n",
        ABC "  a\n"
            "Z" ABC "  b\n",
        ABC "  a\n"
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD  b\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        open_list(lists[i]);
        CHECK(seal.there);
        CHECK_U64(seal.files, 0);
        CHECK(judge("a", "abc") != NULL);
        CHECK(judge("", "abc") != NULL);
    }
}

/* A longer path than any of the config's is on the list, and is none that can be asked for. */
TEST(long_path) {
    char list[512] = ABC "  ", path[256];
    memset(path, 'p', sizeof(path));
    path[CONFIG_PATH_SIZE] = '\0';
    strcat(strcat(list, path), "\n" NOTHING "  b\n");
    open_list(list);
    CHECK_U64(seal.files, 2);
    path[CONFIG_PATH_SIZE - 1] = '\0';
    CHECK(judge(path, "abc") != NULL);
    CHECK(judge("", "abc") != NULL);
    CHECK(judge("b", "") == NULL);
}

TEST(in_a_folder) {
    struct seal_file file;
    uint64_t at = 0;
    open_list(ABC "  a/b\n" ABC "  a\n" ABC "  ab/c\n" NOTHING "  A/d/e\n" ABC "  b/a\n");
    CHECK(seal_next_in(&seal, "a", &at, &file));
    CHECK_STR(file.path, "a/b");
    CHECK_U64(file.digest[0], 0xba);
    CHECK(seal_next_in(&seal, "a", &at, &file));
    CHECK_STR(file.path, "A/d/e");
    CHECK_U64(file.digest[31], 0x55);
    CHECK(!seal_next_in(&seal, "a", &at, &file));
}

TEST(no_list) {
    make_image(LIST);
    memcpy(image + TABLE + 40, ".sealex", 7);
    seal_open(&seal, image, sizeof(image), true, false);
    CHECK(!seal.there);
    CHECK(judge("guests/anything", "abc") == NULL);

    seal_open(&seal, image, sizeof(image), true, true);
    CHECK_STR(judge("guests/anything", "abc"),
              "not read: Secure Boot is on and the application has no list of files; sign the "
              "stick again (docs/secure-boot.md)");
    seal_open(&seal, NULL, 0, true, true);
    CHECK(judge("guests/anything", "abc") != NULL);
}

TEST(as_a_file) {
    make_image(LIST);
    memmove(image + FILE_AT, image + MEMORY_AT, 0x200);
    memset(image + MEMORY_AT, 0, 0x200);
    seal_open(&seal, image, sizeof(image), false, false);
    CHECK_U64(seal.files, 2);
    CHECK(judge("guests/vmlinuz", "abc") == NULL);
    CHECK(judge("guests/vmlinuz", "abd") != NULL);
}

/* A list that is said to be elsewhere than in the image, or longer than the file had it. */
TEST(beyond_the_image) {
    static const struct {
        size_t at;
        uint32_t word;
    } cases[] = {
        {TABLE + 40 + 12, IMAGE_SIZE + 1}, {TABLE + 40 + 12, IMAGE_SIZE - 1},
        {TABLE + 40 + 12, UINT32_MAX},     {TABLE + 40 + 8, UINT32_MAX},
        {TABLE + 40 + 8, 0x201},           {TABLE + 40 + 16, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make_image(LIST);
        put(cases[i].at, cases[i].word);
        seal_open(&seal, image, sizeof(image), true, false);
        CHECK(seal.there);
        CHECK_U64(seal.files, 0);
        CHECK(judge("guests/vmlinuz", "abc") != NULL);
    }
}

TEST(random_bytes) {
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        make_image(LIST);
        for (unsigned n = 0; n < 4; n++) {
            size_t at = (size_t)rand() % (n == 0 ? IMAGE_SIZE : TABLE + 80);
            image[at] = (uint8_t)rand();
        }
        size_t size = round % 4 == 0 ? (size_t)rand() % IMAGE_SIZE : IMAGE_SIZE;
        uint8_t *exact = malloc(size + 1); /* of its size, so that reading too far is seen */
        memcpy(exact, image, size);
        exact = realloc(exact, size != 0 ? size : 1);
        seal_open(&seal, exact, size, round % 2 == 0, true);
        if (!seal.there || seal.files != 2) {
            CHECK(judge("a", "abc") != NULL);
        }
        (void)judge("guests/vmlinuz", "abc");
        free(exact);
    }
}

/* More refusals than there are texts: the last is written over, the others stay. */
TEST(many_refusals) {
    open_list(LIST);
    const char *first = judge("guests/vmlinuz", "");
    for (unsigned i = 0; i < 2 * SEAL_REASONS; i++) {
        CHECK(judge("guests/other", "abc") != NULL);
    }
    CHECK(strstr(first, "altered") != NULL);
    CHECK(strstr(judge("guests/vmlinuz", ""), "altered") != NULL);
}

TEST_MAIN(T(listed), T(altered), T(not_listed), T(every_digit), T(broken_lists), T(long_path),
          T(in_a_folder), T(no_list), T(as_a_file), T(beyond_the_image), T(random_bytes),
          T(many_refusals))
