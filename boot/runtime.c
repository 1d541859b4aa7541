/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a failed ASSERT inside the EFI application; the other things a compiler expects come
 * from arch/x86_64/string.S.
 */
#include "boot/boot.h"

NORETURN void assert_failed(const char *expression, const char *file, unsigned line) {
    console_print(CONSOLE_BAD, "\nBulkhead has a bug: %s:%u: %s does not hold. Stopped.\n", file,
                  line, expression);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
