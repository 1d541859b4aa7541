/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the random words that a guest's devices give it: the CPU's own, where it has RDRAND, else
 * those of a generator that the core's seed keys at each start. Called with the platform's lock
 * held. Source: RFC 8439 "The ChaCha20 Block Function".
 */
#include "hv/compartment/entry/hardware.h"
#include "hv/lib/str.h"

#define BLOCK_WORDS 16u
#define KEY_WORDS   8u

static uint32_t rotate(uint32_t word, unsigned by) {
    return word << by | word >> (32 - by);
}

static void quarter_round(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d) {
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 7);
}

void random_block(const uint32_t in[16], uint32_t out[16]) {
    memcpy(out, in, 64);
    for (unsigned i = 0; i < 10; i++) {
        quarter_round(out, 0, 4, 8, 12);
        quarter_round(out, 1, 5, 9, 13);
        quarter_round(out, 2, 6, 10, 14);
        quarter_round(out, 3, 7, 11, 15);
        quarter_round(out, 0, 5, 10, 15);
        quarter_round(out, 1, 6, 11, 12);
        quarter_round(out, 2, 7, 8, 13);
        quarter_round(out, 3, 4, 9, 14);
    }
    for (unsigned i = 0; i < BLOCK_WORDS; i++) {
        out[i] += in[i];
    }
}

void random_start(struct random *r, const uint64_t seed[4]) {
    *r = (struct random){.left = 0};
    memcpy(r->key, seed, sizeof(r->key));
}

/* Half of each block is the next one's key, so that what was given cannot be found again. */
static void random_refill(struct random *r) {
    uint32_t in[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t out[BLOCK_WORDS];

    memcpy(in + 4, r->key, sizeof(r->key));
    random_block(in, out);
    memcpy(r->key, out, sizeof(r->key));
    memcpy(r->words, out + KEY_WORDS, sizeof(r->words));
    r->left = RANDOM_WORDS;
}

uint64_t random_generate(struct random *r) {
    if (r->left == 0) {
        random_refill(r);
    }
    uint64_t word = r->words[--r->left];
    r->words[r->left] = 0;
    return word;
}
