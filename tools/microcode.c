/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the microcode files of a stick, or of a config that is alone, and what is wrong with them,
 * by the code that reads them at boot. None of it keeps Bulkhead from starting. Called by bhcheck.
 */
#include "tools/microcode.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/microcode.h"
#include "hv/lib/message.h"
#include "tools/stick_file.h"

static char folder[SETS_PATH_SIZE]; /* from the stick's root, or beside the config */
static const char *place;           /* where this PC has it; NULL = it is not there */

/* The whole file in new memory; NULL if it cannot be read. */
static uint8_t *read_whole(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(size + 1);
    if (f == NULL || bytes == NULL || fread(bytes, 1, size, f) != size) {
        free(bytes);
        bytes = NULL;
    }
    if (f != NULL) {
        fclose(f);
    }
    return bytes;
}

/* As boot does it, where the application has a list: all of the folder is on it, unchanged. */
static void judge_file(struct seal *seal, const char *name, const uint8_t *bytes, uint64_t size,
                       struct fault_list *faults) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    const char *why = bytes != NULL ? seal_judge(seal, path, bytes, size) : "it cannot be read";
    if (seal->there && why != NULL) {
        fault_add_file(faults, path, why);
    }
}

/* The path of a file in the folder; false if there is none of that name. */
static bool find_file(const char *name, char path[PATH_MAX], uint64_t *size) {
    struct stat st;
    if (snprintf(path, PATH_MAX, "%s/%s", place, name) >= PATH_MAX || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode)) {
        return false;
    }
    *size = (uint64_t)st.st_size;
    return true;
}

static void show_file(const char *name, struct seal *seal, struct fault_list *faults) {
    static const struct microcode_cpu nobody;
    struct microcode_file file;
    uint64_t size = 0;
    char path[PATH_MAX];
    if (!find_file(name, path, &size)) {
        return;
    }
    printf("%s/%s: ", folder, name);
    if (size > MICROCODE_FILE_MAX) {
        printf("left out: it is too large" MSG(7111) "\n");
        judge_file(seal, name, NULL, 0, faults);
        return;
    }
    uint8_t *bytes = read_whole(path, size);
    judge_file(seal, name, bytes, size, faults);
    if (bytes == NULL) {
        printf("left out: it cannot be read" MSG(7112) "\n");
    } else if (microcode_read(bytes, size, &nobody, &file) != STATUS_OK) {
        printf("left out: %s" MSG(7113) "\n", file.fault);
    } else {
        const char *maker = file.amd ? "AMD" : "Intel";
        printf("%s, %u update%s\n", maker, file.updates, file.updates == 1 ? "" : "s");
    }
    free(bytes);
}

static void find_missing(const struct seal *seal, struct fault_list *faults) {
    struct seal_file file;
    uint64_t at = 0, size = 0;
    hpa_t base;
    while (seal_next_in(seal, folder, &at, &file)) {
        if (stick_file_read(file.path, &base, &size) != NULL) {
            fault_add_file(faults, file.path, SEAL_MISSING);
        }
    }
}

/* Of a config that is alone the folder lies beside it, from where mkstick takes it. */
static void find_folder(char set) {
    if (stick_file_is_alone()) {
        snprintf(folder, sizeof(folder), "%s", MICROCODE_FOLDER);
        place = stick_file_beside(folder);
    } else {
        place = stick_file_place(sets_own(set, MICROCODE_FOLDER, folder));
    }
}

/* The folder's names in their order; 0 or less if there are none. */
static int read_folder(struct dirent ***names) {
    return place != NULL ? scandir(place, names, NULL, alphasort) : 0;
}

void microcode_show(char set, struct seal *seal, struct fault_list *faults) {
    struct dirent **names = NULL;
    find_folder(set);
    find_missing(seal, faults);
    int count = read_folder(&names);
    for (int i = 0; i < count; i++) {
        show_file(names[i]->d_name, seal, faults);
        free(names[i]);
    }
    free(names);
}

void microcode_list(void) {
    struct dirent **names = NULL;
    uint64_t size = 0;
    char path[PATH_MAX];
    int count = read_folder(&names);
    for (int i = 0; i < count; i++) {
        if (find_file(names[i]->d_name, path, &size)) {
            printf("file\t%s/%s\t%s\n", MICROCODE_FOLDER, names[i]->d_name, path);
        }
        free(names[i]);
    }
    free(names);
}
