/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FIPS 180-4 by its own names: "SHA-256 Computation", "Padding the Message". See sha256.h. */
#include "config/sha256.h"

#include "hv/lib/str.h"

#define BLOCK       64u
#define ROUNDS      64
#define STATE_WORDS 8
#define LENGTH_SIZE 8u /* the message's length in bits, at the end of the last block */
#define PADDING     0x80u

static const uint32_t round_constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t first_state[STATE_WORDS] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotate(uint32_t x, unsigned n) {
    return x >> n | x << (32 - n);
}

static uint32_t get_word(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_word(uint8_t *at, uint32_t word) {
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(word >> (24 - 8 * i));
    }
}

static void expand(const uint8_t block[BLOCK], uint32_t w[ROUNDS]) {
    for (unsigned t = 0; t < 16; t++) {
        w[t] = get_word(block + 4 * t);
    }
    for (unsigned t = 16; t < ROUNDS; t++) {
        uint32_t sigma0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t sigma1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = sigma1 + w[t - 7] + sigma0 + w[t - 16];
    }
}

/* Each round moves all words by one place; here the places move. */
static uint32_t *place(uint32_t v[STATE_WORDS], unsigned name, unsigned round) {
    return &v[(name + ROUNDS - round) % STATE_WORDS];
}

static void add_block(uint32_t state[STATE_WORDS], const uint8_t block[BLOCK]) {
    enum { A, B, C, D, E, F, G, H };
    uint32_t w[ROUNDS], v[STATE_WORDS];

    expand(block, w);
    memcpy(v, state, sizeof(v));
    for (unsigned t = 0; t < ROUNDS; t++) {
        uint32_t a = *place(v, A, t);
        uint32_t b = *place(v, B, t);
        uint32_t c = *place(v, C, t);
        uint32_t e = *place(v, E, t);
        uint32_t f = *place(v, F, t);
        uint32_t g = *place(v, G, t);
        uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t choice = (e & f) ^ (~e & g);
        uint32_t t1 = *place(v, H, t) + sum1 + choice + round_constants[t] + w[t];
        uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t majority = (a & b) ^ (a & c) ^ (b & c);

        *place(v, D, t) += t1;                  /* the next round's E, */
        *place(v, H, t) = t1 + sum0 + majority; /* and its A */
    }
    for (unsigned i = 0; i < STATE_WORDS; i++) {
        state[i] += v[i];
    }
}

void sha256(const uint8_t *bytes, uint64_t size, uint8_t digest[SHA256_SIZE]) {
    uint32_t state[STATE_WORDS];
    uint8_t last[2 * BLOCK] = {0};
    uint64_t whole = ALIGN_DOWN(size, BLOCK);
    size_t rest = (size_t)(size - whole);
    size_t padded = rest + 1 + LENGTH_SIZE <= BLOCK ? BLOCK : 2 * BLOCK;

    memcpy(state, first_state, sizeof(state));
    for (uint64_t at = 0; at < whole; at += BLOCK) {
        add_block(state, bytes + at);
    }

    memcpy(last, bytes + whole, rest);
    last[rest] = PADDING;
    put_word(last + padded - LENGTH_SIZE, (uint32_t)(size >> 29));
    put_word(last + padded - LENGTH_SIZE + 4, (uint32_t)(size << 3));
    for (size_t at = 0; at < padded; at += BLOCK) {
        add_block(state, last + at);
    }

    for (unsigned i = 0; i < STATE_WORDS; i++) {
        put_word(digest + 4 * i, state[i]);
    }
}
