/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 by NIST's examples, and by every length about the ends of blocks against another one. */
#include <stdlib.h>

#include "config/sha256.h"
#include "test.h"

static void check_digest(const void *bytes, size_t size, const char *wanted) {
    uint8_t digest[SHA256_SIZE];
    char text[2 * SHA256_SIZE + 1];
    sha256(bytes, size, digest);
    for (unsigned i = 0; i < SHA256_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    CHECK_STR(text, wanted);
}

/* NIST, "Examples with Intermediate Values", and CAVP's short messages. */
TEST(vectors) {
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char four_blocks[] =
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
        "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    static const uint8_t one[] = {0xd3}, four[] = {0x74, 0xba, 0x25, 0x21};

    check_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest(two_blocks, 56,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_digest(four_blocks, 112,
                 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    check_digest(one, 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
    check_digest(four, 4, "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e");
}

TEST(a_million) {
    char *a = malloc(1000000);
    memset(a, 'a', 1000000);
    check_digest(a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(a);
}

/* The digest of the digests of the first n bytes of 0, 1, 2 ..., by Python's hashlib. */
TEST(lengths) {
    uint8_t digests[200 * SHA256_SIZE];
    for (size_t n = 0; n < 200; n++) {
        uint8_t *bytes = malloc(n + 1); /* of its size, so that reading too far is seen */
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (uint8_t)i;
        }
        uint8_t *exact = realloc(bytes, n != 0 ? n : 1);
        sha256(exact, n, digests + n * SHA256_SIZE);
        free(exact);
    }
    check_digest(digests, sizeof(digests),
                 "ba7b0fcea7d10c06b855b43d2b4dce1e3e842fff6be0acefb0faf4f2dd05bb47");
}

TEST_MAIN(T(vectors), T(a_million), T(lengths))
