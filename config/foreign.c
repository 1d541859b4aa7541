// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names files that are taken for kernels and are none: what needs a BIOS or UEFI, images of disks,
 * what is still compressed. So an admin reads what the file is, not what one of its bytes looks
 * like by accident. The file is untrusted. Sources: PE Format "Section Table"; UEFI PI
 * Specification "Firmware Volume Header"; ECMA-119 "Volume Descriptors"; System V ABI "Note
 * Section".
 */
#include "config/kernel.h"
#include "hv/lib/str.h"

static bool has_text(const uint8_t *file, uint64_t size, uint64_t at, const char *text, size_t n) {
    return at <= size && n <= size - at && memcmp(file + at, text, n) == 0;
}
#define HAS(at, text) has_text(file, size, at, text, sizeof(text) - 1)

/* Where the PE header is; 0 if there is none. */
static uint64_t pe_header(const uint8_t *file, uint64_t size) {
    enum { PE_POINTER = 0x3c };
    if (!HAS(0, "MZ") || size < PE_POINTER + 4) {
        return 0;
    }
    uint64_t at = number_at(file, PE_POINTER, 4);
    return HAS(at, "PE\0\0") ? at : 0;
}

static bool efi_is(const uint8_t *file, uint64_t size) {
    return pe_header(file, size) != 0;
}

/* systemd's: a stub with the kernel in a section of its own. */
static bool unified_is(const uint8_t *file, uint64_t size) {
    enum { SECTION_COUNT = 6, OPTIONAL_SIZE = 20, OPTIONAL = 24, SECTION_SIZE = 40 };
    uint64_t pe = pe_header(file, size);
    if (pe == 0 || size - pe < OPTIONAL) {
        return false;
    }
    uint64_t at = pe + OPTIONAL + number_at(file, pe + OPTIONAL_SIZE, 2);
    for (uint64_t left = number_at(file, pe + SECTION_COUNT, 2); left > 0; left--) {
        if (HAS(at, ".linux\0\0")) {
            return true;
        }
        at += SECTION_SIZE;
    }
    return false;
}

static bool arm_is(const uint8_t *file, uint64_t size) {
    return HAS(0x38, "ARM\x64");
}

/*
 * It ends with the reset vector: a jump back, perhaps after CLI, CLD, NOP or WBINVD, or what OVMF
 * has there. Such images are whole multiples of 64 KiB.
 */
static bool bios_is(const uint8_t *file, uint64_t size) {
    enum { UNIT = 0x10000, RESET_VECTOR = 16 };
    if (size == 0 || size % UNIT != 0) {
        return false;
    }
    uint64_t at = size - RESET_VECTOR;
    while (HAS(at, "\xfa") || HAS(at, "\xfc") || HAS(at, "\x90")) {
        at++;
    }
    if (HAS(at, "\x0f\x09")) {
        at += 2;
    }
    bool far = HAS(at, "\xea") && HAS(at + 3, "\x00\xf0");
    bool near = HAS(at, "\xe9") && size - at >= 3 && (file[at + 2] & 0x80) != 0;
    return far || near;
}

static bool volume_is(const uint8_t *file, uint64_t size) {
    return HAS(0x28, "_FVH");
}

static bool cd_is(const uint8_t *file, uint64_t size) {
    return HAS(0x8001, "CD001");
}

/* With its mark, and begun with a jump over its data or an instruction such sectors begin with. */
static bool boot_sector_is(const uint8_t *file, uint64_t size) {
    enum { MARK = 0x1fe };
    bool begun = HAS(0, "\xeb") || HAS(0, "\xe9") || HAS(0, "\xfa") || HAS(0, "\x33\xc0") ||
                 HAS(0, "\x31\xc0");
    return HAS(MARK, "\x55\xaa") && begun;
}

static bool gzip_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "\x1f\x8b");
}

static bool xz_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "\xfd"
                  "7zXZ");
}

static bool zstd_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "\x28\xb5\x2f\xfd");
}

static bool bzip2_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "BZh");
}

static bool cpio_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "070701") || HAS(0, "070702");
}

static bool qcow_is(const uint8_t *file, uint64_t size) {
    return HAS(0, "QFI\xfb");
}

/* In the order in which they are tried. */
static const struct {
    bool (*is)(const uint8_t *file, uint64_t size);
    const char *why;
} foreign[] = {
    {vmlinux_is,
     "is a vmlinux, a Linux kernel without what starts it: take the bzImage of the same "
     "build (vmlinuz in /boot)"},
    {arm_is, "is a kernel for ARM: take one for x86"},
    {unified_is, "is a unified kernel image, an EFI application: take out its kernel and initrd "
                 "(objcopy -O binary -j .linux, -j .initrd)"},
    {efi_is, "is an EFI application, which guests cannot run: they have no UEFI; take a kernel"},
    {bios_is, "is the BIOS of a PC, which guests cannot run: take a kernel"},
    {volume_is, "is UEFI firmware, which guests cannot run: take a kernel"},
    {cd_is,
     "is the image of a CD, which a BIOS or UEFI would start: take kernel and initrd out of it"},
    {qcow_is, "is the image of a disk: take kernel and initrd out of it"},
    {boot_sector_is,
     "begins with a boot sector, which needs a BIOS: guests have none; take a kernel"},
    {gzip_is, "is compressed: unpack it with gunzip"},
    {xz_is, "is compressed: unpack it with unxz"},
    {zstd_is, "is compressed: unpack it with unzstd"},
    {bzip2_is, "is compressed: unpack it with bunzip2"},
    {cpio_is, "is an initial ramdisk: give it as the initrd, and a kernel as the kernel"},
};

const char *foreign_find(const uint8_t *file, uint64_t size) {
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        if (foreign[i].is(file, size)) {
            return foreign[i].why;
        }
    }
    return NULL;
}
