/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A way to fall over: it ends this VM, with a report, and nobody else's. The hostile guest has
 * more. */
#include "guests/test/guest.h"
#include "hv/abi.h"

/* As a program does that cannot go on; the text would move an admin's cursor. */
void give_up(void) {
    static const char text[] = "no way\x1b[2J\n";
    uint64_t rax = HYPERCALL_GIVE_UP;
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[1] == 0x68747541) { /* "Auth" */
        __asm__ volatile("vmmcall" : "+a"(rax) : "b"(text), "c"(sizeof(text) - 1) : "memory");
    } else {
        __asm__ volatile("vmcall" : "+a"(rax) : "b"(text), "c"(sizeof(text) - 1) : "memory");
    }
    tap_line_value(false, "came back from giving up", rax);
}

/* Runs where there is no memory. */
void crash_jump(void) {
    void (*nowhere)(void) = (void (*)(void))(uintptr_t)map_physical(0x80000000);
    nowhere();
}
