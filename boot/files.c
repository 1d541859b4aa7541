/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads files from the volume that the EFI application was started from; shows progress for large
 * ones. Called by main.c. Source: UEFI Specification, "Simple File System Protocol", "File
 * Protocol".
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define PIECE         MIB
#define PROGRESS_FROM (2 * MIB)
#define SEEK_TO_END   UINT64_MAX /* SetPosition's word for it */

static EFI_FILE_HANDLE root;

EFI_STATUS files_open_volume(void) {
    EFI_GUID image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_GUID volume_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_BOOT_SERVICES *bs = firmware.services;
    void *found = NULL;
    EFI_STATUS status = bs->HandleProtocol(firmware.image, &image_guid, &found);
    if (status == EFI_SUCCESS) {
        EFI_LOADED_IMAGE *loaded = found;
        status = bs->HandleProtocol(loaded->DeviceHandle, &volume_guid, &found);
    }
    if (status == EFI_SUCCESS) {
        EFI_FILE_IO_INTERFACE *volume = found;
        status = volume->OpenVolume(volume, &root);
    }
    return status;
}

static void wide_path(CHAR16 *wide, const char *path) {
    for (; *path != '\0'; path++) {
        *wide++ = *path == '/' ? '\\' : (CHAR16)(uint8_t)*path;
    }
    *wide = 0;
}

static void show_progress(const char *path, uint64_t done, uint64_t size) {
    if (size > PROGRESS_FROM) {
        const uint64_t tenth = MIB / 10;
        uint64_t d = done / tenth, s = size / tenth;
        console_print(CONSOLE_PLAIN, "\r%s  %lu.%lu of %lu.%lu MiB%s", path, (d / 10), (d % 10),
                      (s / 10), (s % 10), done == size ? "\n" : "");
    }
}

/* A short read counts as a failure: the file would be used cut off. */
static EFI_STATUS read_pieces(EFI_FILE_HANDLE file, const char *path, uint8_t *to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        UINTN n = min_u64(PIECE, size - done);
        EFI_STATUS status = file->Read(file, &n, to + done);
        if (status == EFI_SUCCESS && n == 0) {
            status = EFI_END_OF_FILE;
        }
        if (status != EFI_SUCCESS) {
            console_print(CONSOLE_BAD,
                          "\n%s: reading stopped after %lu of %lu bytes (EFI error %lu). "
                          "Is the stick damaged or pulled out?\n",
                          path, done, size, status & ~EFI_ERROR_MASK);
            return status;
        }
        done += n;
        show_progress(path, done, size);
    }
    return EFI_SUCCESS;
}

static EFI_STATUS read_open_file(EFI_FILE_HANDLE file, const char *path, hpa_t *base,
                                 uint64_t *size) {
    uint64_t length = 0;
    if (file->SetPosition(file, SEEK_TO_END) != EFI_SUCCESS ||
        file->GetPosition(file, &length) != EFI_SUCCESS ||
        file->SetPosition(file, 0) != EFI_SUCCESS) {
        console_print(CONSOLE_BAD, "%s: not a file that can be read (a folder?)\n", path);
        return EFI_UNSUPPORTED;
    }
    hpa_t at = memory_alloc(length, PAGE_SIZE, BELOW_4G, EfiLoaderData);
    if (at.v == 0) {
        at = memory_alloc(length, PAGE_SIZE, UINT64_MAX, EfiLoaderData);
    }
    if (at.v == 0) {
        console_print(CONSOLE_BAD, "%s: no room in memory for its %lu KiB\n", path, length >> 10);
        return EFI_OUT_OF_RESOURCES;
    }
    EFI_STATUS status = read_pieces(file, path, phys_pointer(at), length);
    if (status == EFI_SUCCESS) {
        *base = at;
        *size = length;
    }
    return status;
}

EFI_STATUS files_read(const char *path, hpa_t *base, uint64_t *size) {
    CHAR16 wide[CONFIG_PATH_SIZE];
    EFI_FILE_HANDLE file = NULL;
    ASSERT(strlen(path) < ARRAY_SIZE(wide));
    wide_path(wide, path);
    EFI_STATUS status = root->Open(root, &file, wide, EFI_FILE_MODE_READ, 0);
    if (status == EFI_NOT_FOUND) {
        return status;
    }
    if (status != EFI_SUCCESS) {
        console_print(CONSOLE_BAD, "%s: cannot be opened (EFI error %lu)\n", path,
                      status & ~EFI_ERROR_MASK);
        return status;
    }
    status = read_open_file(file, path, base, size);
    file->Close(file);
    return status;
}
