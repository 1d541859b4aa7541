/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of digests in the signed application; see seal.h. */
#include "config/seal.h"

#include "config/utf8.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define SECTION_NAME ".sealed\0" /* eight characters */

/* Offsets in the PE file. */
enum {
    DOS_PE_OFFSET = 0x3c,
    PE_SECTION_COUNT = 6, /* uint16_t, from the signature on, as is */
    PE_OPTIONAL_SIZE = 20,
    PE_OPTIONAL = 24,
    SECTION_NAME_SIZE = 8,
    SECTION_SIZE = 8, /* of its bytes, in memory */
    SECTION_ADDRESS = 12,
    SECTION_FILE_SIZE = 16,
    SECTION_FILE_OFFSET = 20,
    SECTION_HEADER = 40,
};

#define DIGEST_DIGITS (2u * SHA256_SIZE)
#define GAP           2u /* blanks */

#define UNSIGNED "not read: Secure Boot is on and the application has no list of files; " SEAL_FIX

/* The little-endian number there; 0 if it is beyond the end. */
static uint32_t get(const uint8_t *image, uint64_t size, uint64_t at, unsigned bytes) {
    uint32_t number = 0;

    if (at > size || size - at < bytes) {
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        number |= (uint32_t)image[at + i] << (8 * i);
    }
    return number;
}

/* Where the headers say that the list is. True if they do and it lies within the image. */
static bool find_list(struct seal *seal, const uint8_t *image, uint64_t size, bool loaded) {
    uint64_t pe = get(image, size, DOS_PE_OFFSET, 4);
    uint32_t count = get(image, size, pe + PE_SECTION_COUNT, 2);
    uint64_t header = pe + PE_OPTIONAL + get(image, size, pe + PE_OPTIONAL_SIZE, 2);

    for (; count > 0 && header <= size && size - header >= SECTION_HEADER; count--) {
        if (memcmp(image + header, SECTION_NAME, SECTION_NAME_SIZE) == 0) {
            uint64_t in_file = get(image, size, header + SECTION_FILE_SIZE, 4);
            unsigned place = loaded ? SECTION_ADDRESS : SECTION_FILE_OFFSET;
            uint64_t start = get(image, size, header + place, 4);
            uint64_t length = get(image, size, header + SECTION_SIZE, 4);

            seal->there = true;
            if (length > in_file || start > size || length > size - start) {
                return false;
            }
            seal->list = (const char *)image + start;
            seal->length = length;
            return true;
        }
        header += SECTION_HEADER;
    }
    return true;
}

/* The value of a digit in lower case, or -1. */
static int digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_digest(const char *digits, uint8_t digest[SHA256_SIZE]) {
    for (unsigned i = 0; i < SHA256_SIZE; i++) {
        int high = digit(digits[2 * i]);
        int low = digit(digits[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The line there, *at is moved to the next one; false at the end, or if it is no such line. */
static bool next_file(const struct seal *seal, uint64_t *at, struct seal_file *file) {
    const char *line = seal->list + *at;
    uint64_t left = seal->length - *at;
    uint64_t length = 0;

    while (length < left && line[length] != '\n') {
        length++;
    }
    if (length == left || length <= DIGEST_DIGITS + GAP || !read_digest(line, file->digest) ||
        line[DIGEST_DIGITS] != ' ' || line[DIGEST_DIGITS + 1] != ' ') {
        return false;
    }
    if (!str_copy_n(file->path, sizeof(file->path), line + DIGEST_DIGITS + GAP,
                    (size_t)(length - DIGEST_DIGITS - GAP))) {
        file->path[0] = '\0';
    }
    *at += length + 1;
    return true;
}

bool seal_next_in(const struct seal *seal, const char *folder, uint64_t *at,
                  struct seal_file *file) {
    size_t length = strlen(folder);

    while (next_file(seal, at, file)) {
        if (strlen(file->path) > length && file->path[length] == '/') {
            file->path[length] = '\0';
            bool inside = utf8_names_equal(file->path, folder);
            file->path[length] = '/';
            if (inside) {
                return true;
            }
        }
    }
    return false;
}

void seal_open(struct seal *seal, const uint8_t *image, uint64_t size, bool loaded, bool required) {
    struct seal_file file;
    uint64_t at = 0;

    *seal = (struct seal){.required = required};
    bool good = find_list(seal, image, size, loaded);
    if (good) {
        while (next_file(seal, &at, &file)) {
            seal->files++;
        }
    }
    if (!good || at != seal->length) { /* not a list: nothing on it counts */
        seal->files = 0;
        seal->length = 0;
    }
}

static bool is_listed(const struct seal *seal, const char *path, struct seal_file *file) {
    uint64_t at = 0;

    while (next_file(seal, &at, file)) {
        if (file->path[0] != '\0' && utf8_names_equal(file->path, path)) {
            return true;
        }
    }
    return false;
}

/* The first bytes of a digest, enough to tell two by eye. */
static unsigned long long begin_of(const uint8_t digest[SHA256_SIZE]) {
    unsigned long long begin = 0;

    for (unsigned i = 0; i < sizeof(begin); i++) {
        begin = begin << 8 | digest[i];
    }
    return begin;
}

/* sums: of what is listed and of what was seen; NULL = the file is not listed. */
static const char *explain(struct seal *seal, const uint8_t *listed, const uint8_t *seen) {
    char *text = seal->reasons[seal->reason_count];

    if (seal->reason_count < SEAL_REASONS - 1) {
        seal->reason_count++;
    }
    if (listed == NULL) {
        (void)fmt_print(text, SEAL_REASON_SIZE,
                        "not on the signed list of files (its SHA-256 is %016llx...); remove it, "
                        "or " SEAL_FIX,
                        begin_of(seen));
    } else {
        (void)fmt_print(text, SEAL_REASON_SIZE,
                        "altered since it was signed: its SHA-256 is %016llx..., signed was "
                        "%016llx...; put the signed file back, or " SEAL_FIX,
                        begin_of(seen), begin_of(listed));
    }
    return text;
}

const char *seal_judge(struct seal *seal, const char *path, const uint8_t *bytes, uint64_t size) {
    struct seal_file file;
    uint8_t seen[SHA256_SIZE];

    if (!seal->there) {
        return seal->required ? UNSIGNED : NULL;
    }
    sha256(bytes, size, seen);
    if (!is_listed(seal, path, &file)) {
        return explain(seal, NULL, seen);
    }
    return memcmp(seen, file.digest, SHA256_SIZE) != 0 ? explain(seal, file.digest, seen) : NULL;
}
