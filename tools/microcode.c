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

static void show_file(const char *stick, const char *name) {
    static const struct microcode_cpu nobody;
    struct microcode_file file;
    struct stat st;
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/" MICROCODE_FOLDER "/%s", stick, name) >=
            (int)sizeof(path) ||
        stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    printf(MICROCODE_FOLDER "/%s: ", name);
    if ((uint64_t)st.st_size > MICROCODE_FILE_MAX) {
        printf("left out: it is too large\n");
        return;
    }
    uint8_t *bytes = read_whole(path, (size_t)st.st_size);
    if (bytes == NULL) {
        printf("left out: it cannot be read\n");
    } else if (microcode_read(bytes, (size_t)st.st_size, &nobody, &file) != STATUS_OK) {
        printf("left out: %s\n", file.fault);
    } else {
        const char *maker = file.amd ? "AMD" : "Intel";
        printf("%s, %u update%s\n", maker, file.updates, file.updates == 1 ? "" : "s");
    }
    free(bytes);
}

void microcode_show(const char *stick) {
    char path[4096];
    struct dirent **names;
    if (snprintf(path, sizeof(path), "%s/" MICROCODE_FOLDER, stick) >= (int)sizeof(path)) {
        return;
    }
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        show_file(stick, names[i]->d_name);
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
}
