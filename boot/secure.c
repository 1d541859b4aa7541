/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secure Boot: whether it is on, and the list of files in this application, which the firmware has
 * checked with the rest of it. Called by main.c, and by files.c with all that it reads. Source:
 * UEFI Specification, "Globally Defined Variables", "Firmware/OS Key Exchange".
 */
#include "boot/boot.h"

static struct seal seal;

/* False as well if the firmware does not know it: it is older than Secure Boot. */
static bool variable_is_set(const CHAR16 *name) {
    EFI_GUID global = EFI_GLOBAL_VARIABLE;
    uint8_t value = 0;
    UINTN size = sizeof(value);
    EFI_STATUS status =
        ST->RuntimeServices->GetVariable((CHAR16 *)(uintptr_t)name, &global, NULL, &size, &value);

    return status == EFI_SUCCESS && value == 1;
}

void secure_find(struct boot_info *info) {
    EFI_LOADED_IMAGE *own = NULL;
    EFI_STATUS status = BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&own);
    const uint8_t *image = status == EFI_SUCCESS ? own->ImageBase : NULL;
    uint64_t size = image != NULL ? own->ImageSize : 0;

    if (variable_is_set(L"SecureBoot")) {
        info->secure_boot = BOOT_SECURE_ON;
    } else if (variable_is_set(L"SetupMode")) {
        info->secure_boot = BOOT_SECURE_SETUP;
    }
    seal_open(&seal, image, size, true, info->secure_boot == BOOT_SECURE_ON);
    info->sealed = seal.there;
    info->sealed_files = seal.files;
}

bool secure_may_read(void) {
    return seal.there || !seal.required;
}

const char *secure_judge(const char *path, const uint8_t *bytes, uint64_t size) {
    return seal_judge(&seal, path, bytes, size);
}

bool secure_next_in(const char *folder, uint64_t *at, struct seal_file *file) {
    return seal_next_in(&seal, folder, at, file);
}
