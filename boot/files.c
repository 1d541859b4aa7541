/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads files from the volume that the EFI application was started from; shows progress for large
 * ones. Called by main.c. Source: UEFI Specification, "Simple File System Protocol", "File
 * Protocol".
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define PIECE         MIB /* some firmware fails at more */
#define PROGRESS_FROM (2 * MIB)

static EFI_FILE_HANDLE open_volume(void) {
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_STATUS status = BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&loaded);
    EFI_FILE_HANDLE root = status == EFI_SUCCESS ? LibOpenRoot(loaded->DeviceHandle) : NULL;
    if (root == NULL) {
        console_print(CONSOLE_BAD,
                      "The volume that Bulkhead was started from cannot be read: "
                      "start it from a FAT volume (a USB stick made with make usb).\n");
    }
    return root;
}

/* A short read counts as a failure: the file would be used cut off. */
static EFI_STATUS read_pieces(EFI_FILE_HANDLE file, const char *path, uint8_t *to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        UINTN n = min_u64(PIECE, size - done);
        EFI_STATUS status = file->Read(file, &n, to + done);
        if (status != EFI_SUCCESS || n == 0) {
            console_print(CONSOLE_BAD,
                          "\n%s: reading stopped after %lu of %lu bytes (EFI error %lu). "
                          "Is the stick damaged or pulled out?\n",
                          path, done, size, status & ~EFI_ERROR_MASK);
            return EFI_END_OF_FILE;
        }
        done += n;
        if (size > PROGRESS_FROM) {
            console_print(CONSOLE_PLAIN, "\r%s  %llu of %llu MiB%s", path, done / MIB, size / MIB,
                          done == size ? "\n" : "");
        }
    }
    return EFI_SUCCESS;
}

static EFI_STATUS read_open_file(EFI_FILE_HANDLE file, const char *path, hpa_t *base,
                                 uint64_t *size) {
    EFI_FILE_INFO *info = LibFileInfo(file);
    if (info == NULL || (info->Attribute & EFI_FILE_DIRECTORY) != 0) {
        console_print(CONSOLE_BAD, "%s: not a file that can be read (a folder?)\n", path);
        return EFI_UNSUPPORTED;
    }
    *size = info->FileSize;
    FreePool(info);
    *base = memory_alloc(*size, BELOW_4G);
    if (base->v == 0) {
        *base = memory_alloc(*size, UINT64_MAX);
    }
    if (base->v == 0) {
        console_print(CONSOLE_BAD, "%s: no room in memory for its %lu KiB\n", path, *size >> 10);
        return EFI_OUT_OF_RESOURCES;
    }
    return read_pieces(file, path, phys_pointer(*base), *size);
}

EFI_STATUS files_read(const char *path, hpa_t *base, uint64_t *size) {
    static EFI_FILE_HANDLE root;
    CHAR16 wide[CONFIG_PATH_SIZE] = {0};
    EFI_FILE_HANDLE file = NULL;
    root = root == NULL ? open_volume() : root;
    if (root == NULL) {
        return EFI_NO_MEDIA;
    }
    ASSERT(strlen(path) < ARRAY_SIZE(wide));
    for (unsigned i = 0; path[i] != '\0'; i++) {
        wide[i] = path[i] == '/' ? '\\' : (CHAR16)(uint8_t)path[i];
    }
    EFI_STATUS status = root->Open(root, &file, wide, EFI_FILE_MODE_READ, 0);
    if (status == EFI_SUCCESS) {
        status = read_open_file(file, path, base, size);
        file->Close(file);
    } else if (status != EFI_NOT_FOUND) {
        console_print(CONSOLE_BAD, "%s: cannot be opened (EFI error %lu)\n", path,
                      status & ~EFI_ERROR_MASK);
    }
    return status;
}
