/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds every bit of a vCPU's finished MSR and port bitmaps against the policy tables, in the other
 * direction from the code that filled them: what does this bit let pass, and may it? Reads both
 * vendors' layouts by itself, as their manuals have them. Called once per vCPU before plat_seal().
 * Sources: Intel SDM vol. 3 "MSR-Bitmap Address", "I/O-Bitmap Addresses"; AMD APM vol. 2 "MSR
 * Intercepts", "IOIO Intercepts".
 */
#include "hv/exit/exit.h"

#include "hv/exit/policy.h"
#include "hv/lib/str.h"

#define RANGE_MSRS    0x2000u /* both vendors' bitmaps cover such ranges */
#define PORTS         0x10000u
#define ALL_EXIT      UINT64_MAX /* a word of a map */
#define WORD_BITS     64u
#define BASE_LOW      0u
#define BASE_HIGH     0xc0000000u
#define BASE_AMD      0xc0010000u
#define BASE_RESERVED UINT32_MAX /* no MSRs: nothing there may be clear */

/* A piece of an MSR map: the bits of one range. */
struct audit_part {
    uint32_t base;
    bool read, write; /* both: of each MSR first the bit of its read, then that of its write */
};

static const struct audit_maps {
    struct audit_part parts[4];
    uint32_t msr_bits, port_bits;
} audit_maps[AUDIT_FORMATS] = {
    [AUDIT_INTEL] =
        {
            .parts = {{.base = BASE_LOW, .read = true},
                      {.base = BASE_HIGH, .read = true},
                      {.base = BASE_LOW, .write = true},
                      {.base = BASE_HIGH, .write = true}},
            .msr_bits = 4 * RANGE_MSRS,
            .port_bits = PORTS,
        },
    [AUDIT_AMD] =
        {
            .parts = {{.base = BASE_LOW, .read = true, .write = true},
                      {.base = BASE_HIGH, .read = true, .write = true},
                      {.base = BASE_AMD, .read = true, .write = true},
                      {.base = BASE_RESERVED, .read = true, .write = true}},
            .msr_bits = 4 * 2 * RANGE_MSRS,
            /* A page more: an access at the last port reaches beyond it. */
            .port_bits = PORTS + 8 * PAGE_SIZE,
        },
};

/* By register, MSR 800h on: what never reaches the host's APIC, because the CPU has a virtual one.
 * Never the ICR (30h) and the current count (39h), nor what is reserved. SDM vol. 3 "Virtualizing
 * MSR-Based APIC Accesses". */
#define VIRTUAL_BASE  0x800u
#define VIRTUAL_COUNT 0x40u
#define VIRTUAL_READS                                                                              \
    (BITS(0x02, 0x03) | BIT(0x08) | BIT(0x0a) | BIT(0x0d) | BITS(0x0f, 0x28) | BITS(0x32, 0x38) |  \
     BIT(0x3e))
#define VIRTUAL_WRITES (BIT(0x08) | BIT(0x0b) | BIT(0x3f))

static uint64_t audit_word(const uint8_t *map, uint32_t number) {
    uint64_t word;
    memcpy(&word, map + number * sizeof(word), sizeof(word));
    return word;
}

static bool audit_is_virtual(uint32_t msr, bool write) {
    if (msr < VIRTUAL_BASE || msr >= VIRTUAL_BASE + VIRTUAL_COUNT) {
        return false;
    }
    return ((write ? VIRTUAL_WRITES : VIRTUAL_READS) >> (msr - VIRTUAL_BASE) & 1) != 0;
}

/* May what this clear bit stands for pass? */
static bool audit_msr_bit(const struct vcpu *v, uint32_t bit, bool virtual_apic) {
    const struct audit_maps *maps = &audit_maps[hvm->audit_format];
    uint32_t part_bits = maps->msr_bits / ARRAY_SIZE(maps->parts);
    const struct audit_part *part = &maps->parts[bit / part_bits];
    bool both = part->read && part->write;
    uint32_t msr = part->base + bit % part_bits / (both ? 2 : 1);
    bool write = both ? bit % 2 != 0 : part->write;

    if (part->base != BASE_RESERVED) {
        const struct msr_policy *p = msr_policy_find(msr);
        if (p != NULL && msr_policy_passes(p, write)) {
            return true;
        }
        if (virtual_apic && audit_is_virtual(msr, write)) {
            return true;
        }
    }
    vm_log(v->vm, LOG_ERROR,
           "audit: bit %u of the MSR map, %s %#x: passes, not in the policy" MSG(5009), bit,
           write ? "writing" : "reading", msr);
    return false;
}

/* How many bits have to be clear for one that may pass: 0 if the map does not cover it. */
static uint32_t audit_msr_bits(uint32_t msr, bool write) {
    const struct audit_maps *maps = &audit_maps[hvm->audit_format];
    uint32_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(maps->parts); i++) {
        const struct audit_part *part = &maps->parts[i];
        bool inside = msr >= part->base && msr - part->base < RANGE_MSRS;
        count += inside && (write ? part->write : part->read);
    }
    return count;
}

static uint32_t audit_count_policy(bool virtual_apic) {
    uint32_t count = 0;
    for (size_t i = 0; i < msr_policy_count; i++) {
        const struct msr_policy *p = &msr_policies[i];
        bool reads = msr_policy_passes(p, false);
        bool writes = msr_policy_passes(p, true);
        for (uint32_t msr = p->msr; (reads || writes) && msr < p->msr + p->count; msr++) {
            count += reads ? audit_msr_bits(msr, false) : 0;
            count += writes ? audit_msr_bits(msr, true) : 0;
        }
    }
    for (uint32_t msr = VIRTUAL_BASE; virtual_apic && msr < VIRTUAL_BASE + VIRTUAL_COUNT; msr++) {
        count += audit_is_virtual(msr, false) ? audit_msr_bits(msr, false) : 0;
        count += audit_is_virtual(msr, true) ? audit_msr_bits(msr, true) : 0;
    }
    return count;
}

/* Each bit that is clear may be, and there are as many as may be: so none is missing either. */
static bool audit_msr_map(const struct vcpu *v, const uint8_t *map, bool virtual_apic) {
    uint32_t passing = 0, planned = audit_count_policy(virtual_apic);
    for (uint32_t i = 0; i < audit_maps[hvm->audit_format].msr_bits / WORD_BITS; i++) {
        for (uint64_t clear = ~audit_word(map, i); clear != 0; clear &= clear - 1) {
            uint32_t bit = i * WORD_BITS + (uint32_t)__builtin_ctzll(clear);
            if (!audit_msr_bit(v, bit, virtual_apic)) {
                return false;
            }
            passing++;
        }
    }
    if (passing != planned) {
        vm_log(v->vm, LOG_ERROR,
               "audit: %u bits of the MSR map let something pass, %u should" MSG(5010), passing,
               planned);
    }
    return passing == planned;
}

/* None passes: every device is one of ours. */
static bool audit_port_map(const struct vcpu *v) {
    for (uint32_t i = 0; i < audit_maps[hvm->audit_format].port_bits / WORD_BITS; i++) {
        uint64_t word = audit_word(v->port_map, i);
        if (word != ALL_EXIT) {
            vm_log(v->vm, LOG_ERROR, "audit: port %#x passes: not in the policy" MSG(5011),
                   i * WORD_BITS + (uint32_t)__builtin_ctzll(~word));
            return false;
        }
    }
    return true;
}

enum status audit_policy_map(const struct vcpu *v, unsigned map) {
    bool second = v->msr_map_x2apic != v->msr_map;
    bool good = true;

    ASSERT(map < AUDIT_POLICY_MAPS);
    if (map == 0) {
        good = audit_msr_map(v, v->msr_map, false);
    } else if (map == 2) {
        good = audit_port_map(v);
    } else if (second) {
        good = audit_msr_map(v, v->msr_map_x2apic, v->lapic.hardware);
    }
    return good ? STATUS_OK : STATUS_INVALID;
}

enum status audit_policy(const struct vcpu *v) {
    enum status s = STATUS_OK;

    for (unsigned map = 0; s == STATUS_OK && map < AUDIT_POLICY_MAPS; map++) {
        s = audit_policy_map(v, map);
    }
    return s;
}
