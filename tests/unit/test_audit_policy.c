/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of the finished bitmaps: each single bit that lets a guest at what the policy does not
 * name is found, at both ends of each range of MSRs and of the ports; what the policy lets pass is
 * not.
 */
#include "fake_machine.h"

#define MSR_MAP_SIZE  0x2000u
#define PORT_MAP_SIZE 0x2000u
#define RANGE         0x2000u

static const uint32_t bases[] = {0, 0xc0000000, 0xc0010000};
static uint8_t msr_map[MSR_MAP_SIZE], x2apic_map[MSR_MAP_SIZE], port_map[PORT_MAP_SIZE];

/* A layout as good as any: read and write bits of three ranges, one after the other. */
static int msr_bit(uint32_t msr, bool write) {
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        if (msr - bases[i] < RANGE) {
            return (int)((2 * i + write) * RANGE + (msr - bases[i]));
        }
    }
    return -1;
}

static struct vcpu *denied(void) {
    struct vcpu *v = fake_machine_start();
    fake_ops.msr_bit = msr_bit;
    memset(msr_map, 0xff, sizeof(msr_map));
    memset(x2apic_map, 0xff, sizeof(x2apic_map));
    memset(port_map, 0xff, sizeof(port_map));
    v->msr_map = msr_map;
    v->msr_map_x2apic = x2apic_map;
    v->port_map = port_map;
    return v;
}

static void flip(uint8_t *map, int bit) {
    map[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

TEST(nothing_passes) {
    CHECK_U64(audit_policy(denied()), STATUS_OK);
}

TEST(an_msr_that_passes_is_found) {
    struct vcpu *v = denied();
    static const uint32_t offsets[] = {0, 1, 0x7f, 0x11e, 0xfff, 0x1000, RANGE - 1};
    for (unsigned i = 0; i < ARRAY_SIZE(bases) * ARRAY_SIZE(offsets) * 4; i++) {
        uint32_t msr = bases[i / 4 % ARRAY_SIZE(bases)] + offsets[i / 4 / ARRAY_SIZE(bases)];
        bool write = i % 2 != 0;
        const struct msr_policy *p = msr_policy_find(msr);
        bool may = p != NULL && msr_policy_passes(p, write);
        uint8_t *map = i / 2 % 2 != 0 ? x2apic_map : msr_map;
        flip(map, msr_bit(msr, write));
        CHECK_U64(audit_policy(v), may ? STATUS_OK : STATUS_INVALID);
        flip(map, msr_bit(msr, write));
    }
    CHECK_U64(audit_policy(v), STATUS_OK);
}

TEST(what_the_policy_lets_pass_may) {
    struct vcpu *v = denied();
    unsigned passing = 0;
    for (size_t i = 0; i < msr_policy_count; i++) {
        for (unsigned write = 0; write < 2; write++) {
            if (msr_policy_passes(&msr_policies[i], write != 0)) {
                flip(msr_map, msr_bit(msr_policies[i].msr, write != 0));
                passing++;
            }
        }
    }
    CHECK(passing > 10);
    CHECK_U64(audit_policy(v), STATUS_OK);
}

TEST(a_port_that_passes_is_found) {
    struct vcpu *v = denied();
    static const int ports[] = {0, 1, 0x3f8, 0xcf8, 0x7fff, 0x8000, 0xfffe, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        flip(port_map, ports[i]);
        CHECK_U64(audit_policy(v), STATUS_INVALID);
        flip(port_map, ports[i]);
    }
    CHECK_U64(audit_policy(v), STATUS_OK);
}

TEST_MAIN(T(nothing_passes), T(an_msr_that_passes_is_found), T(what_the_policy_lets_pass_may),
          T(a_port_that_passes_is_found))
