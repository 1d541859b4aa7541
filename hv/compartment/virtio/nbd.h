/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words of the NBD protocol, fixed newstyle and simple replies. Numbers are big-endian. Source:
 * "The NBD protocol" (NetworkBlockDevice/nbd, doc/proto.md) "Protocol phases", "Values".
 */
#pragma once

#include "hv/lib/str.h"
#include "hv/lib/types.h"

#define NBD_PORT 10809u

#define NBD_MAGIC              0x4e42444d41474943ull /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC       0x49484156454f5054ull /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x0003e889045565a9ull
#define NBD_REQUEST_MAGIC      0x25609513u
#define NBD_REPLY_MAGIC        0x67446698u

/* Lengths, and where in them what is. */
enum nbd_greeting { NBD_GREETING_OPTION = 8, NBD_GREETING_FLAGS = 16, NBD_GREETING_SIZE = 18 };
enum nbd_option_reply {
    NBD_REPLY_OPTION = 8,
    NBD_REPLY_TYPE = 12,
    NBD_REPLY_LENGTH = 16,
    NBD_OPTION_REPLY_SIZE = 20
};
enum nbd_export { NBD_EXPORT_SIZE_AT = 2, NBD_EXPORT_FLAGS_AT = 10, NBD_EXPORT_SIZE = 12 };
enum nbd_reply { NBD_REPLY_ERROR = 4, NBD_REPLY_COOKIE = 8, NBD_REPLY_SIZE = 16 };
#define NBD_REQUEST_SIZE 28u

enum nbd_handshake_flag { NBD_FIXED_NEWSTYLE = BIT32(0), NBD_NO_ZEROES = BIT32(1) };

enum nbd_option { NBD_OPT_GO = 7 };
#define NBD_REP_ACK     1u
#define NBD_REP_INFO    3u
#define NBD_REP_ERROR   BIT32(31)
#define NBD_INFO_EXPORT 0u

enum nbd_export_flag {
    NBD_HAS_FLAGS = BIT32(0),
    NBD_READ_ONLY = BIT32(1),
    NBD_HAS_FLUSH = BIT32(2),
    NBD_HAS_FUA = BIT32(3),
    NBD_HAS_TRIM = BIT32(5),
    NBD_HAS_WRITE_ZEROES = BIT32(6),
};

enum nbd_command {
    NBD_READ = 0,
    NBD_WRITE = 1,
    NBD_FLUSH = 3,
    NBD_TRIM = 4,
    NBD_WRITE_ZEROES = 6,
};
enum nbd_command_flag { NBD_FUA = BIT32(0), NBD_NO_HOLE = BIT32(1) };

enum nbd_error { NBD_ENOTSUP = 95, NBD_ESHUTDOWN = 108 };

static inline uint16_t nbd_get16(const uint8_t *at) {
    uint16_t word;
    memcpy(&word, at, sizeof(word));
    return __builtin_bswap16(word);
}

static inline uint32_t nbd_get32(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return __builtin_bswap32(word);
}

static inline uint64_t nbd_get64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return __builtin_bswap64(word);
}

static inline void nbd_put16(uint8_t *at, uint16_t value) {
    value = __builtin_bswap16(value);
    memcpy(at, &value, sizeof(value));
}

static inline void nbd_put32(uint8_t *at, uint32_t value) {
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof(value));
}

static inline void nbd_put64(uint8_t *at, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof(value));
}
