// SPDX-License-Identifier: GPL-2.0-or-later
/* UUIDs from names, by SHA-1, which is here for this alone: nothing is kept secret with it. */
#include "config/identity.h"

#include "hv/lib/str.h"

#define BLOCK_SIZE  64u
#define DIGEST_SIZE 20u
#define MESSAGE_MAX 247u

static uint32_t rotate(uint32_t value, unsigned by) {
    return value << by | value >> (32 - by);
}

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One block into the state: RFC 3174 "Method 1". */
static void sha1_block(uint32_t h[5], const uint8_t *block) {
    static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80];
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned t = 0; t < 16; t++) {
        w[t] = big_endian(block + 4 * t);
    }
    for (unsigned t = 16; t < 80; t++) {
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    for (unsigned t = 0; t < 80; t++) {
        uint32_t f = b ^ c ^ d;
        if (t < 20) {
            f = (b & c) | (~b & d);
        } else if (t >= 40 && t < 60) {
            f = (b & c) | (b & d) | (c & d);
        }
        uint32_t next = rotate(a, 5) + f + e + w[t] + constants[t / 20];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* At most MESSAGE_MAX bytes. */
static void sha1(const uint8_t *message, size_t size, uint8_t digest[DIGEST_SIZE]) {
    uint32_t h[] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[256] = {0};
    ASSERT(size <= MESSAGE_MAX);
    memcpy(padded, message, size);
    padded[size] = 0x80;
    size_t end = ALIGN_UP(size + 9, BLOCK_SIZE);
    padded[end - 2] = (uint8_t)(size * 8 >> 8);
    padded[end - 1] = (uint8_t)(size * 8);
    for (size_t at = 0; at < end; at += BLOCK_SIZE) {
        sha1_block(h, padded + at);
    }
    for (unsigned i = 0; i < DIGEST_SIZE; i++) {
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void identity_make_uuid(const uint8_t space[UUID_SIZE], const char *name, uint8_t out[UUID_SIZE]) {
    enum { VERSION_AT = 6, VARIANT_AT = 8 };
    uint8_t message[MESSAGE_MAX];
    uint8_t digest[DIGEST_SIZE];
    size_t length = strlen(name);
    ASSERT(length <= sizeof(message) - UUID_SIZE);
    memcpy(message, space, UUID_SIZE);
    memcpy(message + UUID_SIZE, name, length);
    sha1(message, UUID_SIZE + length, digest);
    memcpy(out, digest, UUID_SIZE);
    out[VERSION_AT] = (uint8_t)((out[VERSION_AT] & 0x0f) | 0x50);
    out[VARIANT_AT] = (uint8_t)((out[VARIANT_AT] & 0x3f) | 0x80);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char letter = (char)(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

bool identity_read_uuid(const char *text, uint8_t out[UUID_SIZE]) {
    uint8_t bytes[UUID_SIZE];
    const char *s = text;
    for (unsigned i = 0; i < UUID_SIZE; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        if (dash && *s++ != '-') {
            return false;
        }
        int high = hex_digit(s[0]);
        int low = high < 0 ? -1 : hex_digit(s[1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
        s += 2;
    }
    if (*s != '\0') {
        return false;
    }
    memcpy(out, bytes, UUID_SIZE);
    return true;
}

void identity_make_serial(const uint8_t uuid[UUID_SIZE], char out[CONFIG_SERIAL_SIZE]) {
    static const char digits[] = "0123456789ABCDEF";
    static const char head[] = "BLKH-";
    char *to = out + sizeof(head) - 1;
    memcpy(out, head, sizeof(head) - 1);
    for (unsigned i = UUID_SIZE - 6; i < UUID_SIZE; i++) {
        *to++ = digits[uuid[i] >> 4];
        *to++ = digits[uuid[i] & 0xf];
    }
    *to = '\0';
}
