/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads files from the volume that the EFI application was started from; shows progress for large
 * ones. Called by main.c. Source: UEFI Specification, "Simple File System Protocol", "File
 * Protocol", "Device Path Protocol".
 */
#include "boot/boot.h"
#include "config/utf8.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define PIECE         MIB /* some firmware fails at more */
#define PROGRESS_FROM (2 * MIB)
#define LONGEST_NAME  256u /* in a folder of FAT, with its NUL */

#define MODE_WRITE  (EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE)
#define MODE_CREATE (MODE_WRITE | EFI_FILE_MODE_CREATE)

static EFI_FILE_HANDLE root;

/* True if the path to that device leads over a network card. */
static bool is_network(EFI_HANDLE device) {
    EFI_DEVICE_PATH *node = NULL;

    if (device == NULL ||
        BS->HandleProtocol(device, &DevicePathProtocol, (void **)&node) != EFI_SUCCESS) {
        return false;
    }
    for (; !IsDevicePathEnd(node); node = NextDevicePathNode(node)) {
        if (DevicePathType(node) == MESSAGING_DEVICE_PATH &&
            DevicePathSubType(node) == MSG_MAC_ADDR_DP) {
            return true;
        }
    }
    return false;
}

bool files_open(void) {
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_STATUS status = BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&loaded);
    EFI_HANDLE device = status == EFI_SUCCESS ? loaded->DeviceHandle : NULL;

    root = device != NULL ? LibOpenRoot(device) : NULL;
    if (root == NULL && is_network(device)) {
        console_print(CONSOLE_BAD,
                      "Bulkhead was started from the network by PXE or HTTP boot, which hands over "
                      "this one file and neither " STICK_CONFIG " nor the guests' files. Let the "
                      "network start iPXE, and iPXE load all of them (docs/network.md); or start "
                      "from a USB stick (make usb)." MSG(2007) "\n");
    } else if (root == NULL) {
        console_print(
            CONSOLE_BAD,
            "The volume that Bulkhead was started from cannot be read: "
            "start it from a FAT volume (a USB stick made with make usb)." MSG(2008) "\n");
    }
    return root != NULL;
}

/*
 * All that is read goes this way, once: these bytes are judged, and they are used. A short read
 * counts as a failure: the file would be used cut off.
 */
static const char *read_pieces(EFI_FILE_HANDLE file, const char *path, uint8_t *to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        UINTN n = min_u64(PIECE, size - done);
        EFI_STATUS status = file->Read(file, &n, to + done);
        if (status != EFI_SUCCESS || n == 0) {
            console_print(CONSOLE_PLAIN,
                          "\n%s: reading stopped after %lu of %lu bytes (EFI error %lu)\n", path,
                          done, size, status & ~EFI_ERROR_MASK);
            return STICK_UNREADABLE;
        }
        done += n;
        if (size > PROGRESS_FROM) {
            console_print(CONSOLE_PLAIN, "\r%s  %llu of %llu MiB%s", path, done / MIB, size / MIB,
                          done == size ? "\n" : "");
        }
    }
    return secure_judge(path, to, size);
}

static const char *read_open_file(EFI_FILE_HANDLE file, const char *path, hpa_t *base,
                                  uint64_t *size) {
    EFI_FILE_INFO *info = LibFileInfo(file);

    if (info == NULL) {
        return STICK_UNREADABLE;
    }
    bool folder = (info->Attribute & EFI_FILE_DIRECTORY) != 0;
    *size = info->FileSize;
    FreePool(info);
    if (folder) {
        return STICK_FOLDER;
    }

    *base = memory_alloc_file(*size, BELOW_4G);
    if (base->v == 0) {
        *base = memory_alloc_file(*size, UINT64_MAX);
    }
    if (base->v == 0) {
        console_print(CONSOLE_PLAIN, "%s: %lu KiB are needed\n", path, *size >> 10);
        return STICK_NO_ROOM;
    }
    return read_pieces(file, path, phys_pointer(*base), *size);
}

/* True if the two names differ only in characters beyond ASCII, some of them. */
static bool differs_beyond_ascii(const CHAR16 *a, const CHAR16 *b) {
    bool differs = false;

    for (; *a != 0 && *b != 0; a++, b++) {
        bool beyond = *a >= 0x80 && *b >= 0x80;
        differs = differs || (beyond && *a != *b);
        if (!beyond && (*a >= 0x80 || *b >= 0x80)) {
            return false;
        }
    }
    return differs && *a == *b;
}

/*
 * Which letters beyond A to Z are the same in both cases is each firmware's own idea. What this one
 * forgives the next may not, nor bhcheck: so each part of the path is held against its true name.
 */
static bool is_exact(CHAR16 *path) {
    bool exact = true;
    CHAR16 *part = path;

    for (CHAR16 *at = path; exact && part != NULL; at++) {
        EFI_FILE_HANDLE file = NULL;
        CHAR16 end = *at;
        if (end != '\\' && end != 0) {
            continue;
        }
        *at = 0;
        if (root->Open(root, &file, path, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS) {
            EFI_FILE_INFO *info = LibFileInfo(file);
            if (info != NULL) {
                exact = !differs_beyond_ascii(part, info->FileName);
                FreePool(info);
            }
            file->Close(file);
        }
        *at = end;
        part = end != 0 ? at + 1 : NULL;
    }
    return exact;
}

static void set_separators(CHAR16 *path, CHAR16 from, CHAR16 to) {
    for (; *path != 0; path++) {
        *path = *path == from ? to : *path;
    }
}

/* As the firmware wants it. */
static bool path_to_utf16(const char *path, CHAR16 wide[SETS_PATH_SIZE]) {
    ASSERT(strlen(path) < SETS_PATH_SIZE);
    if (!utf8_to_utf16(path, wide, SETS_PATH_SIZE)) {
        return false;
    }
    set_separators(wide, '/', '\\');
    return true;
}

/* iPXE's file system has no folders, but names as its user gave them: with either slash. */
static EFI_STATUS open_path(CHAR16 *path, EFI_FILE_HANDLE *file) {
    EFI_STATUS status = root->Open(root, file, path, EFI_FILE_MODE_READ, 0);
    bool found = status == EFI_SUCCESS;

    if (!found) {
        set_separators(path, '\\', '/');
        found = root->Open(root, file, path, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS;
        set_separators(path, '/', '\\');
    }
    return found ? EFI_SUCCESS : status;
}

/* What files_each() was asked for. */
struct folder {
    EFI_FILE_HANDLE handle;
    const char *path;
    uint64_t limit;
    files_taker *take;
    struct fault_list *faults;
    files_name_taker *take_name;
};

/* Reads the file of an entry and hands it on; or why not. */
static const char *read_entry(const struct folder *f, EFI_FILE_INFO *entry, const char *path) {
    uint8_t *bytes = entry->FileSize <= f->limit ? AllocatePool(entry->FileSize + 1) : NULL;
    EFI_FILE_HANDLE file = NULL;
    const char *why = STICK_UNREADABLE;

    if (bytes == NULL) {
        return "it is too large";
    }
    if (f->handle->Open(f->handle, &file, entry->FileName, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS) {
        why = read_pieces(file, path, bytes, entry->FileSize);
        file->Close(file);
    }
    if (why == NULL) {
        f->take(path, bytes, entry->FileSize);
    }
    FreePool(bytes);
    return why;
}

/* One entry of a folder, if it is a file. */
static void take_entry(const struct folder *f, EFI_FILE_INFO *entry) {
    char path[SETS_PATH_SIZE + LONGEST_NAME];
    size_t n = fmt_print(path, SETS_PATH_SIZE, "%s/", f->path);

    if ((entry->Attribute & EFI_FILE_DIRECTORY) != 0) {
        return;
    }
    for (const CHAR16 *c = entry->FileName; *c != 0 && n < sizeof(path) - 1; c++) {
        path[n++] = *c < 0x7f ? (char)*c : '?';
    }
    path[n] = '\0';

    const char *why = read_entry(f, entry, path);
    if (why != NULL && f->faults != NULL) {
        fault_add_file(f->faults, path, why);
    } else if (why != NULL) {
        console_print(CONSOLE_WARN, "%s is left out: %s" MSG(2009) "\n", path, why);
    }
}

/* What the list has in that folder, and the stick has not. */
static void find_missing(const struct folder *f) {
    struct seal_file listed;
    uint64_t at = 0;

    while (secure_next_in(f->path, &at, &listed)) {
        CHAR16 wide[SETS_PATH_SIZE];
        EFI_FILE_HANDLE file = NULL;
        if (path_to_utf16(listed.path, wide) && open_path(wide, &file) == EFI_SUCCESS) {
            file->Close(file);
        } else {
            fault_add_file(f->faults, listed.path, SEAL_MISSING);
        }
    }
}

static void list_folder(struct folder *f,
                        void (*entry_taker)(const struct folder *f, EFI_FILE_INFO *entry)) {
    static union {
        EFI_FILE_INFO info;
        uint8_t bytes[sizeof(EFI_FILE_INFO) + LONGEST_NAME * sizeof(CHAR16)];
    } entry;
    CHAR16 wide[SETS_PATH_SIZE];

    if (!path_to_utf16(f->path, wide) ||
        root->Open(root, &f->handle, wide, EFI_FILE_MODE_READ, 0) != EFI_SUCCESS) {
        return;
    }

    EFI_FILE_INFO *info = LibFileInfo(f->handle);
    bool is_folder = info != NULL && (info->Attribute & EFI_FILE_DIRECTORY) != 0;
    UINTN n = sizeof(entry);
    while (is_folder && f->handle->Read(f->handle, &n, &entry) == EFI_SUCCESS && n != 0) {
        entry_taker(f, &entry.info);
        n = sizeof(entry);
    }
    if (info != NULL) {
        FreePool(info);
    }
    f->handle->Close(f->handle);
}

void files_each(const char *path, uint64_t limit, files_taker *take, struct fault_list *faults) {
    struct folder f = {.path = path, .limit = limit, .take = take, .faults = faults};

    if (root == NULL || !secure_may_read()) {
        return;
    }
    if (faults != NULL) {
        find_missing(&f);
    }
    list_folder(&f, take_entry);
}

static void take_name(const struct folder *f, EFI_FILE_INFO *entry) {
    char name[LONGEST_NAME + 1];
    size_t n = 0;

    for (const CHAR16 *c = entry->FileName; *c != 0 && n < LONGEST_NAME; c++) {
        name[n++] = *c < 0x7f ? (char)*c : '?';
    }
    name[n] = '\0';
    f->take_name(name);
}

void files_names(const char *path, files_name_taker *take) {
    struct folder f = {.path = path, .take_name = take};

    if (root != NULL) {
        list_folder(&f, take_name);
    }
}

const char *files_read(const char *path, hpa_t *base, uint64_t *size) {
    CHAR16 wide[SETS_PATH_SIZE];
    EFI_FILE_HANDLE file = NULL;
    bool ascii = true;

    if (!path_to_utf16(path, wide)) {
        return STICK_MISSING; /* no file has such a name */
    }
    for (const CHAR16 *c = wide; *c != 0; c++) {
        ascii = ascii && *c < 0x80;
    }

    EFI_STATUS status = open_path(wide, &file);
    if (status == EFI_NOT_FOUND) {
        return STICK_MISSING;
    }
    if (status != EFI_SUCCESS) {
        console_print(CONSOLE_PLAIN, "%s: cannot be opened (EFI error %lu)\n", path,
                      status & ~EFI_ERROR_MASK);
        return STICK_UNREADABLE;
    }
    const char *why = ascii || is_exact(wide) ? NULL : STICK_CASE;
    if (why == NULL) {
        why = read_open_file(file, path, base, size);
    }
    file->Close(file);
    return why;
}

/* Opens it at its begin; NULL if that cannot be. attributes: of one that is made. */
static EFI_FILE_HANDLE open_as(const char *path, UINT64 mode, UINT64 attributes) {
    CHAR16 wide[SETS_PATH_SIZE];
    EFI_FILE_HANDLE file = NULL;

    if (root == NULL || !path_to_utf16(path, wide) ||
        root->Open(root, &file, wide, mode, attributes) != EFI_SUCCESS) {
        return NULL;
    }
    return file;
}

static EFI_FILE_HANDLE open_for(const char *path, UINT64 mode) {
    return open_as(path, mode, 0);
}

/* The folder that it is in has to be there; it may be there itself. */
static void make_folder(const char *path) {
    EFI_FILE_HANDLE folder = open_as(path, MODE_CREATE, EFI_FILE_DIRECTORY);

    if (folder != NULL) {
        folder->Close(folder);
    }
}

void files_delete(const char *path) {
    EFI_FILE_HANDLE file = open_for(path, MODE_WRITE);

    if (file != NULL) {
        file->Delete(file);
    }
}

/* A stick that somebody has begun by hand may have none of them. */
static void make_folders_of(const char *path) {
    char folder[SETS_PATH_SIZE];

    for (size_t i = 0; path[i] != '\0' && i < sizeof(folder); i++) {
        if (path[i] == '/') {
            (void)str_copy_n(folder, sizeof(folder), path, i);
            make_folder(folder);
        }
    }
}

bool files_write(const char *path, const void *bytes, size_t size) {
    EFI_FILE_HANDLE file = open_for(path, MODE_WRITE);
    UINTN n = size;

    if (file != NULL) { /* it may be longer */
        file->Delete(file);
    } else {
        make_folders_of(path);
    }
    file = open_for(path, MODE_CREATE);
    if (file == NULL) {
        return false;
    }
    bool written = file->Write(file, &n, (void *)(uintptr_t)bytes) == EFI_SUCCESS && n == size;
    return file->Close(file) == EFI_SUCCESS && written;
}

bool files_is_there(const char *path) {
    EFI_FILE_HANDLE file = open_for(path, EFI_FILE_MODE_READ);

    if (file != NULL) {
        file->Close(file);
    }
    return file != NULL;
}

bool files_read_state(const char *path, void *bytes, size_t size) {
    EFI_FILE_HANDLE file = open_for(path, EFI_FILE_MODE_READ);
    UINTN n = size;

    if (file == NULL) {
        return false;
    }
    bool whole = file->Read(file, &n, bytes) == EFI_SUCCESS && n == size;
    file->Close(file);
    return whole;
}

bool files_write_over(const char *path, const void *bytes, size_t size) {
    EFI_FILE_HANDLE file = open_for(path, MODE_WRITE);
    UINTN n = size;

    if (file == NULL) {
        file = open_for(path, MODE_CREATE);
    }
    if (file == NULL) {
        return false;
    }
    bool written = file->Write(file, &n, (void *)(uintptr_t)bytes) == EFI_SUCCESS && n == size &&
                   file->Flush(file) == EFI_SUCCESS;
    return file->Close(file) == EFI_SUCCESS && written;
}
