/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the microcode files of a stick and what is wrong with them, by the code that reads them at
 * boot. None of it keeps Bulkhead from starting. Called by bhcheck.
 */
#include "tools/microcode.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/microcode.h"
#include "hv/lib/message.h"
#include "tools/stick_file.h"

static char folder[SETS_PATH_SIZE]; /* from the stick's root */

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

static void show_file(const char *stick, const char *name, struct seal *seal,
                      struct fault_list *faults) {
    static const struct microcode_cpu nobody;
    struct microcode_file file;
    struct stat st;
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/%s/%s", stick, folder, name) >= (int)sizeof(path) ||
        stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    printf("%s/%s: ", folder, name);
    if ((uint64_t)st.st_size > MICROCODE_FILE_MAX) {
        printf("left out: it is too large" MSG(7111) "\n");
        judge_file(seal, name, NULL, 0, faults);
        return;
    }
    uint8_t *bytes = read_whole(path, (size_t)st.st_size);
    judge_file(seal, name, bytes, (uint64_t)st.st_size, faults);
    if (bytes == NULL) {
        printf("left out: it cannot be read" MSG(7112) "\n");
    } else if (microcode_read(bytes, (size_t)st.st_size, &nobody, &file) != STATUS_OK) {
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

void microcode_show(const char *stick, char set, struct seal *seal, struct fault_list *faults) {
    char path[4096];
    struct dirent **names;
    sets_own(set, MICROCODE_FOLDER, folder);
    if (snprintf(path, sizeof(path), "%s/%s", stick, folder) >= (int)sizeof(path)) {
        return;
    }
    find_missing(seal, faults);
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        show_file(stick, names[i]->d_name, seal, faults);
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
}
