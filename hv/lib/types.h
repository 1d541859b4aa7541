/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words every file speaks: fixed-width integers, address types, bits, sizes, ASSERT.
 * Addresses are one-member structs, so that a guest-physical address cannot be handed to what
 * wants a host-physical one. Freestanding and host builds both use this file as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t v;
} hpa_t; /* host-physical address */

typedef struct {
    uint64_t v;
} gpa_t; /* guest-physical address */

typedef struct {
    uint64_t v;
} gva_t; /* guest-virtual (linear) address */

typedef unsigned long long ull; /* what %llx and %llu take */

#define HPA(x) ((hpa_t){(x)})
#define GPA(x) ((gpa_t){(x)})
#define GVA(x) ((gva_t){(x)})

#define BIT(n)         (1ull << (n))
#define BIT32(n)       (1u << (n))
#define BITS(from, to) (BIT((to) + 1) - BIT(from)) /* from .. to, below 63 */

#define KIB 0x400ull
#define MIB 0x100000ull
#define GIB 0x40000000ull

#define PAGE_SHIFT 12
#define PAGE_SIZE  0x1000ull

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The struct whose member this pointer points to. */
#define CONTAINER_OF(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

#define ALIGN_DOWN(x, a) ((x) & ~((a)-1))
#define ALIGN_UP(x, a)   (((x) + ((a)-1)) & ~((a)-1))

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ALIGNED(n)        __attribute__((aligned(n)))
#define NORETURN          __attribute__((noreturn))
/* Written while the machine is being divided, read-only from then on: see plat_seal(). */
#define SEALED            __attribute__((section(".sealed")))
#define UNUSED            __attribute__((unused)) /* a parameter that a table of functions asks for */

static inline uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/*
 * ASSERT stays in release builds. It states a fact about Bulkhead itself, never about what a guest
 * did. assert_failed() is the machine's panic on hardware and abort() in the host tests.
 */
NORETURN void assert_failed(const char *expression, const char *file, unsigned line);
#define ASSERT(e) ((e) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))
