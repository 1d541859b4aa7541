// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds and reads the files of a stick's directory. This PC's file system may tell "Guests" from
 * "guests", which the stick's FAT does not: so each part of a path is looked for among the names
 * that are there. Called by bhcheck.c.
 */
#include "tools/stick_file.h"

#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wctype.h>

#include "config/utf8.h"
#include "hv/lib/message.h"
#include "hv/lib/phys.h"

#define FILE_PIECE (64 * KIB)
#define NAME_WORDS 256 /* the longest name on FAT has 255 UTF-16 words */

/* How a name there answers to the one that is looked for. */
enum likeness { OTHER, NEARLY, SAME };

static char *root;
static const char *config_file; /* stands for the stick's; NULL = the stick has it */
static char *config_folder;     /* where that one lies */

NORETURN void stick_file_no_memory(void) {
    fprintf(stderr, "bhcheck: out of memory" MSG(7102) "\n");
    exit(2);
}

/* Placed as boot/ places it: what is planned with it depends on that. It reads as zero, and takes
 * this PC's memory only where it is written. */
static uint8_t *allocate_file(size_t size) {
    uint64_t room = boot_image_room(size != 0 ? size : 1);
    uint64_t unit = size < BOOT_LARGE_FILE ? PAGE_SIZE : BOOT_LARGE_FILE;
    uint8_t *memory = mmap(NULL, room + unit, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        stick_file_no_memory();
    }
    return memory + (ALIGN_UP((uintptr_t)memory, unit) - (uintptr_t)memory);
}

static PRINTF_LIKE(1, 2) char *make_text(const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        stick_file_no_memory();
    }
    va_end(args);
    return text;
}

/* To the folder that a path lies in; that of the root is the root. */
static void cut_to_folder(char *path) {
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* Where that file lies. */
static char *folder_of(const char *file) {
    char *whole = realpath(file, NULL);
    if (whole != NULL) {
        cut_to_folder(whole);
    }
    return whole;
}

/* The stick's root around its config's folder: of a folder "bulkhead" the folder around it. */
static char *root_around(const char *folder) {
    char *whole = make_text("%s", folder);
    if (utf8_names_equal(strrchr(whole, '/') + 1, "bulkhead")) {
        cut_to_folder(whole);
    }
    return whole;
}

bool stick_file_begin(const char *place) {
    struct stat st;
    if (stat(place, &st) != 0 || access(place, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) != 0) {
        return false;
    }
    setlocale(LC_CTYPE, "C.UTF-8"); /* for towupper() */
    if (S_ISDIR(st.st_mode)) {
        root = make_text("%s", place);
        return true;
    }
    config_file = place;
    config_folder = folder_of(place);
    if (config_folder == NULL) {
        return false;
    }
    root = root_around(config_folder);
    return true;
}

bool stick_file_is_alone(void) {
    return config_file != NULL;
}

static enum likeness compare(const char *there, const char *wanted) {
    uint16_t a[NAME_WORDS], b[NAME_WORDS];
    size_t i = 0;
    if (utf8_names_equal(there, wanted)) {
        return SAME;
    }
    if (!utf8_to_utf16(there, a, NAME_WORDS) || !utf8_to_utf16(wanted, b, NAME_WORDS)) {
        return OTHER;
    }
    while (a[i] != 0 && towupper(a[i]) == towupper(b[i])) {
        i++;
    }
    return a[i] == b[i] ? NEARLY : OTHER;
}

/* Looks for a name in the folder: its path into *found, or why not. */
static const char *find_in(const char *folder, const char *wanted, char **found) {
    char *name = NULL;
    bool nearly = false;
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return errno == ENOTDIR ? STICK_MISSING : STICK_UNREADABLE;
    }
    while ((entry = readdir(dir)) != NULL) {
        enum likeness likeness = compare(entry->d_name, wanted);
        nearly = nearly || likeness == NEARLY;
        if (likeness != SAME) {
            continue;
        }
        if (name != NULL) {
            const char *first = strcmp(name, entry->d_name) < 0 ? name : entry->d_name;
            const char *second = first == name ? entry->d_name : name;
            closedir(dir);
            return make_text("\"%s\" and \"%s\" are one name on the stick, whose FAT does not "
                             "tell their letters' case apart; remove one",
                             first, second);
        }
        name = make_text("%s", entry->d_name);
    }
    closedir(dir);
    if (name == NULL) {
        return nearly ? STICK_CASE : STICK_MISSING;
    }
    *found = make_text("%s/%s", folder, name);
    free(name);
    return NULL;
}

/* The file's path on this PC. */
static const char *find(const char *path, char **found) {
    char *at = make_text("%s", root), *rest = make_text("%s", path), *state = NULL;
    const char *why = NULL;
    for (char *part = strtok_r(rest, "/", &state); part != NULL && why == NULL;
         part = strtok_r(NULL, "/", &state)) {
        char *next = NULL;
        why = find_in(at, part, &next);
        free(at);
        at = next;
    }
    free(rest);
    *found = at;
    return why;
}

/* All of the file, read: disks are mostly zero, and what is zero is not written once more. */
static bool read_pieces(FILE *f, uint8_t *to, size_t size) {
    static uint8_t piece[FILE_PIECE];
    static const uint8_t zero[FILE_PIECE];

    for (size_t at = 0; at < size; at += FILE_PIECE) {
        size_t n = min_u64(size - at, FILE_PIECE);
        if (fread(piece, 1, n, f) != n) {
            return false;
        }
        if (memcmp(piece, zero, n) != 0) {
            memcpy(to + at, piece, n);
        }
    }
    return true;
}

static const char *read_open(FILE *f, hpa_t *base, uint64_t *size) {
    struct stat st;
    if (fstat(fileno(f), &st) != 0) {
        return STICK_UNREADABLE;
    }
    if (S_ISDIR(st.st_mode)) {
        return STICK_FOLDER;
    }
    if (!S_ISREG(st.st_mode)) {
        return STICK_UNREADABLE;
    }
    size_t bytes = (size_t)st.st_size;
    uint8_t *memory = allocate_file(bytes);
    if (!read_pieces(f, memory, bytes)) {
        return STICK_UNREADABLE;
    }
    *base = phys_address(memory);
    *size = bytes;
    return NULL;
}

const char *stick_file_place(const char *path) {
    char *found = NULL;

    return find(path, &found) == NULL ? found : NULL;
}

const char *stick_file_beside(const char *name) {
    char *found = NULL;

    return find_in(config_folder, name, &found) == NULL ? found : NULL;
}

const char *stick_file_read(const char *path, hpa_t *base, uint64_t *size) {
    char *found = NULL;
    const char *why = NULL;
    if (config_file != NULL && strcmp(path, STICK_CONFIG) == 0) {
        found = make_text("%s", config_file);
    } else {
        why = find(path, &found);
    }
    if (why != NULL) {
        return why;
    }
    FILE *f = fopen(found, "rb");
    if (f == NULL) {
        why = make_text("%s: %s", STICK_UNREADABLE, strerror(errno));
    } else {
        why = read_open(f, base, size);
        fclose(f);
    }
    free(found);
    return why;
}
