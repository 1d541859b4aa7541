/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which build this is and where it lies: what a report needs, so that scripts/symbolize.py can turn
 * its addresses into lines. Source: System V ABI "Note Section"; the GNU linker's --build-id.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/fmt.h"
#include "hv/lib/version.h"

/* The note of the linker: a header, the name "GNU", the hash. */
struct build_note {
    uint32_t name_size, hash_size, type;
    char name[4];
    uint8_t hash[20];
};
_Static_assert(sizeof(struct build_note) == 36, "what ld writes for --build-id=sha1");

extern const struct build_note image_build_note;

#define BUILD_DIGITS 16 /* enough of the hash to tell one build from another */

const char *plat_build_text(char *buf) {
    char build[BUILD_DIGITS + 1];

    for (size_t i = 0; i < BUILD_DIGITS / 2; i++) {
        (void)fmt_print(build + 2 * i, sizeof(build) - 2 * i, "%02x", image_build_note.hash[i]);
    }
    (void)fmt_print(buf, PLAT_BUILD_SIZE, "Bulkhead " BULKHEAD_VERSION ", build %s, text at %#llx",
                    build, (ull)(uintptr_t)image_text);
    return buf;
}
