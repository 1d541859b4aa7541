/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC around the CPU: ports. What nobody answers reads as all ones and forgets what is written.
 */
#include "guests/test/guest.h"

void test_ports(void) {
    static const uint16_t ports[] = {0x100,  0x1f0, 0x2f8, 0x3b0,  0x3c0,  0x3f0, 0x4d8,
                                     0x8900, 0x402, 0x501, 0x5658, 0xc000, 0xfffc};
    for (size_t i = 0; i < COUNT(ports); i++) {
        bool ones = true;
        for (unsigned round = 0; round < 2; round++) {
            ones = ones && in8(ports[i]) == 0xff && in16(ports[i]) == 0xffff &&
                   in32(ports[i]) == 0xffffffff;
            out8(ports[i], 0x53);
            out16(ports[i], 0x6853);
            out32(ports[i], 0x74756853);
        }
        tap_line_value(ones, "a port nobody has reads all ones", ports[i]);
    }
}

/* The string form, from a port that nobody has. */
void test_string_io(void) {
    uint8_t buffer[16] = {0};
    void *to = buffer;
    uint64_t count = sizeof(buffer);
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"((uint16_t)0x501) : "memory");
    bool ones = count == 0 && to == buffer + sizeof(buffer);
    for (size_t i = 0; i < sizeof(buffer); i++) {
        ones = ones && buffer[i] == 0xff;
    }
    tap_line(ones, "REP INSB from such a port fills with ones");
}
