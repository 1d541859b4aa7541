// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a stick's volume begins is found as firmware finds it: by GPT (UEFI specification, "GUID
 * Partition Table (GPT) Disk Layout"), by MBR, or at the stick's own begin. Called by bhcheck.c.
 */
#include "tools/stick_image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/lib/bytes.h"
#include "hv/lib/message.h"

#define SECTOR         512u
#define LEAST          (1024 * 1024) /* no config is as large */
#define SIGNATURE      510u          /* 55h AAh ends a boot sector */
#define FAT32_MARK     82u
#define MBR_TABLE      446u
#define MBR_ENTRY      16u
#define MBR_ENTRIES    4u
#define MBR_TYPE       4u
#define MBR_FIRST      8u
#define GPT_TABLE      72u
#define GPT_COUNT      80u
#define GPT_ENTRY_SIZE 84u
#define GPT_FIRST      32u
#define GPT_ENTRY_MAX  512u
#define GPT_ENTRIES    1024u

static const uint8_t esp_type[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                     0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

static char copy[4096];
static volatile pid_t mcopy; /* while it runs */

static bool read_at(int file, uint64_t at, void *bytes, size_t size) {
    return at < INT64_MAX && pread(file, bytes, size, (off_t)at) == (ssize_t)size;
}

/* The EFI system partition; without one the first partition. False if there is none. */
static bool find_by_gpt(int file, const uint8_t *header, uint64_t *begin) {
    uint32_t size = bytes_u32(header + GPT_ENTRY_SIZE), count = bytes_u32(header + GPT_COUNT);
    bool found = false;
    if (size < GPT_FIRST + sizeof(uint64_t) || size > GPT_ENTRY_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count && i < GPT_ENTRIES; i++) {
        static const uint8_t unused[sizeof(esp_type)];
        uint8_t entry[GPT_ENTRY_MAX];
        if (!read_at(file, bytes_u64(header + GPT_TABLE) * SECTOR + (uint64_t)i * size, entry,
                     size)) {
            return found;
        }
        bool is_esp = memcmp(entry, esp_type, sizeof(esp_type)) == 0;
        if (is_esp || (!found && memcmp(entry, unused, sizeof(unused)) != 0)) {
            *begin = bytes_u64(entry + GPT_FIRST) * SECTOR;
            found = true;
        }
        if (is_esp) {
            return true;
        }
    }
    return found;
}

/* In bytes. False if the file has no partition and is no volume. */
static bool find_volume(int file, uint64_t *begin) {
    uint8_t first[SECTOR], second[SECTOR];
    *begin = 0;
    if (!read_at(file, 0, first, SECTOR) || !read_at(file, SECTOR, second, SECTOR)) {
        return false;
    }
    if (first[SIGNATURE] != 0x55 || first[SIGNATURE + 1] != 0xaa) {
        return false;
    }
    if (memcmp(first + FAT32_MARK, "FAT32", 5) == 0) {
        return true;
    }
    if (memcmp(second, "EFI PART", 8) == 0) {
        return find_by_gpt(file, second, begin);
    }
    for (unsigned i = 0; i < MBR_ENTRIES; i++) {
        const uint8_t *entry = first + MBR_TABLE + (size_t)i * MBR_ENTRY;
        if (entry[MBR_TYPE] != 0) {
            *begin = (uint64_t)bytes_u32(entry + MBR_FIRST) * SECTOR;
            return true;
        }
    }
    return false;
}

bool stick_image_is(const char *place) {
    struct stat st;
    if (stat(place, &st) != 0 || access(place, R_OK) != 0) {
        return false;
    }
    return S_ISBLK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_size >= LEAST);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_copy(void) {
    (void)nftw(copy, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Calls only what may be called in a signal: so rm does it. */
static void on_signal(int number) {
    if (mcopy > 0) {
        (void)kill(mcopy, SIGKILL);
        (void)waitpid(mcopy, NULL, 0);
    }
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/rm", "rm", "-rf", "--", copy, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(child, NULL, 0);
    signal(number, SIG_DFL);
    (void)raise(number);
}

/* However this ends. What is ignored stays so: see nohup(1). */
static void remove_copy_at_end(void) {
    static const int ends[] = {SIGHUP, SIGINT, SIGTERM};

    atexit(remove_copy);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (signal(ends[i], on_signal) == SIG_IGN) {
            signal(ends[i], SIG_IGN);
        }
    }
}

/* mcopy's exit status; 127 = it is not there. It gets the open file, for "@@" in a name would be
 * the end of that name for it. */
static int run_mcopy(int file, uint64_t begin) {
    char where[64];
    int status = 0;
    (void)snprintf(where, sizeof(where), "/dev/fd/%d@@%llu", file, (unsigned long long)begin);
    mcopy = fork();
    if (mcopy == 0) {
        setenv("MTOOLS_SKIP_CHECK", "1", 1);
        setenv("LC_ALL", "C.UTF-8", 1); /* names as the stick has them */
        execlp("mcopy", "mcopy", "-s", "-n", "-i", where, "::*", copy, (char *)NULL);
        _exit(127);
    }
    bool ended = mcopy > 0 && waitpid(mcopy, &status, 0) == mcopy && WIFEXITED(status);
    mcopy = 0;
    return ended ? WEXITSTATUS(status) : 1;
}

const char *stick_image_copy(const char *place) {
    uint64_t begin = 0;
    int file = open(place, O_RDONLY);
    if (file < 0 || !find_volume(file, &begin)) {
        fprintf(stderr, "bhcheck: %s: no FAT32 volume is in it" MSG(7117) "\n", place);
        return NULL;
    }
    const char *top = getenv("TMPDIR");
    (void)snprintf(copy, sizeof(copy), "%s/bhcheck-XXXXXX", top != NULL ? top : "/tmp");
    if (mkdtemp(copy) == NULL) {
        fprintf(stderr, "bhcheck: %s: %s" MSG(7118) "\n", copy, strerror(errno));
        return NULL;
    }
    remove_copy_at_end();
    int status = run_mcopy(file, begin);
    close(file);
    if (status == 127) {
        fprintf(stderr,
                "bhcheck: %s: mcopy, which reads a stick that is not mounted, is not there; "
                "install mtools, or mount the stick and name its folder" MSG(7119) "\n",
                place);
    } else if (status != 0) {
        fprintf(stderr,
                "bhcheck: %s: its files cannot be copied to %s; is there room, and is the "
                "stick whole?" MSG(7120) "\n",
                place, copy);
    }
    return status == 0 ? copy : NULL;
}
