/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of the finished bitmaps, in both vendors' layouts: those that arch/ fills pass, and
 * each bit of each of them, flipped, is found, whichever way; so are bits that the vendor's own
 * idea of the layout puts in the wrong place.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/vmx/decode.h"
#include "fake_log.h"
#include "fake_machine.h"

static const struct vendor {
    const char *name;
    enum audit_format format;
    int (*msr_bit)(uint32_t msr, bool write);
    uint32_t features;
    size_t msr_bytes, port_bytes;
} vendors[] = {
    {"VT-x", AUDIT_INTEL, vmx_msr_bit, HVM_EFER_PASSES, 0x1000, 0x2000},
    {"VT-x, APIC virtualization", AUDIT_INTEL, vmx_msr_bit, HVM_EFER_PASSES | HVM_APIC, 0x1000,
     0x2000},
    {"AMD-V", AUDIT_AMD, svm_msr_bit, HVM_MSRS_C001, 0x2000, 0x3000},
};

#define SPECULATION_MSRS (HVM_SPEC_CTRL | HVM_SPEC_CTRL_PASSES | HVM_PRED_CMD | HVM_FLUSH_CMD)

/* A vCPU with maps as arch/ fills them. */
static struct vcpu *start(const struct vendor *vendor, uint32_t more_features) {
    fake_ops.features = 0;
    struct vcpu *v = fake_machine_start();
    fake_ops.audit_format = vendor->format;
    fake_ops.msr_bit = vendor->msr_bit;
    fake_ops.features = vendor->features | more_features;
    v->lapic.hardware = (vendor->features & HVM_APIC) != 0;
    CHECK_U64(both_vcpu_init(v, PAGE_SIZE, vendor->msr_bytes, vendor->port_bytes), STATUS_OK);
    return v;
}

TEST(what_arch_fills_passes) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        CHECK_U64(audit_policy(start(&vendors[i], 0)), STATUS_OK);
        CHECK_U64(audit_policy(start(&vendors[i], SPECULATION_MSRS)), STATUS_OK);
        CHECK_U64(audit_policy(start(&vendors[i], HVM_SPEC_CTRL)), STATUS_OK);
    }
}

/* The number of bits that the audit does not miss. */
static size_t found_bits(const struct vcpu *v, uint8_t *map, size_t bytes) {
    size_t found = 0;
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        map[bit / 8] ^= (uint8_t)(1u << bit % 8);
        found += audit_policy(v) != STATUS_OK;
        map[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return found;
}

TEST(each_bit_of_each_map) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vcpu *v = start(&vendors[i], SPECULATION_MSRS);
        size_t msr_bits = 8 * vendors[i].msr_bytes;
        CHECK_U64(found_bits(v, v->msr_map, vendors[i].msr_bytes), msr_bits);
        if (v->lapic.hardware) {
            CHECK(v->msr_map_x2apic != v->msr_map);
            CHECK_U64(found_bits(v, v->msr_map_x2apic, vendors[i].msr_bytes), msr_bits);
        }
        CHECK_U64(audit_policy(v), STATUS_OK);
    }
}

/* There are as many as may be, but one is another: a register that is none of the APIC's. */
TEST(a_bit_in_the_place_of_another) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vcpu *v = start(&vendors[i], SPECULATION_MSRS);
        uint8_t *map = v->msr_map_x2apic;
        size_t byte = 0;
        while (map[byte] == 0xff) {
            byte++;
        }
        map[byte] |= (uint8_t)(map[byte] + 1u); /* its lowest clear bit */
        map[0] &= 0xfe;
        CHECK_U64(audit_policy(v), STATUS_INVALID);
    }
}

static uint64_t no_time(void) {
    return 0;
}

/* Of each range's last register, reading and writing: what is told is that one. */
TEST(what_is_told_of_a_bit) {
    static const uint32_t msrs[] = {0x1fff, 0xc0001fff, 0xc0011fff};
    static const struct log_hooks hooks = {no_time, plat_cpu, keep, NULL};

    log_init(&hooks, LOG_INFO);
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        for (size_t m = 0; m < 2 * ARRAY_SIZE(msrs); m++) {
            bool write = m % 2 != 0;
            int bit = vendors[i].msr_bit(msrs[m / 2], write);
            struct vcpu *v = start(&vendors[i], 0);
            char wanted[80];
            if (bit < 0) {
                continue; /* always exits */
            }
            snprintf(wanted, sizeof(wanted), "bit %d of the MSR map, %s %#x: passes", bit,
                     write ? "writing" : "reading", msrs[m / 2]);
            v->msr_map[bit / 8] &= (uint8_t) ~(1u << bit % 8);
            told[0] = 0;
            CHECK_U64(audit_policy(v), STATUS_INVALID);
            CHECK(strstr(told, wanted) != NULL);
        }
    }
    log_init(NULL, LOG_ERROR);
}

TEST(each_bit_of_the_port_map) {
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vcpu *v = start(&vendors[i], 0);
        CHECK_U64(found_bits(v, v->port_map, vendors[i].port_bytes), 8 * vendors[i].port_bytes);
    }
}

/* Wrong ideas of the layout: maps filled by them let pass what they should not. */
static int not_doubled(uint32_t msr, bool write) {
    int bit = svm_msr_bit(msr, write);
    return bit < 0 ? -1 : bit / 2;
}
static int read_for_write(uint32_t msr, bool write) {
    return vmx_msr_bit(msr, !write);
}
static int one_off(uint32_t msr, bool write) {
    return vmx_msr_bit(msr + 1, write);
}
static int swapped_ranges(uint32_t msr, bool write) {
    return vmx_msr_bit(msr ^ 0xc0000000u, write);
}
static int write_for_read(uint32_t msr, bool write) {
    return svm_msr_bit(msr, !write);
}
static int high_forgotten(uint32_t msr, bool write) {
    return msr >= 0xc0000000u ? -1 : svm_msr_bit(msr, write);
}

TEST(a_wrong_layout_is_found) {
    static const struct {
        unsigned vendor;
        int (*msr_bit)(uint32_t msr, bool write);
    } wrong[] = {
        {0, read_for_write}, {0, one_off},        {1, swapped_ranges}, {2, not_doubled},
        {2, write_for_read}, {2, high_forgotten}, {0, high_forgotten},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct vendor vendor = vendors[wrong[i].vendor];
        vendor.msr_bit = wrong[i].msr_bit;
        CHECK_U64(audit_policy(start(&vendor, 0)), STATUS_INVALID);
    }
}

/* The map for the x2APIC mode in the place of the other; policy and features that do not belong to
 * the maps; the other vendor's maps. */
TEST(maps_of_something_else) {
    struct vcpu *v = start(&vendors[1], 0);
    v->lapic.hardware = false;
    CHECK_U64(audit_policy(v), STATUS_INVALID);
    v->lapic.hardware = true;
    v->msr_map = v->msr_map_x2apic;
    CHECK_U64(audit_policy(v), STATUS_INVALID);

    v = start(&vendors[0], SPECULATION_MSRS);
    fake_ops.features &= ~(uint32_t)HVM_PRED_CMD;
    CHECK_U64(audit_policy(v), STATUS_INVALID);
    v = start(&vendors[0], 0);
    fake_ops.features |= HVM_SPEC_CTRL | HVM_SPEC_CTRL_PASSES;
    CHECK_U64(audit_policy(v), STATUS_INVALID);

    v = start(&vendors[2], 0);
    fake_ops.audit_format = AUDIT_INTEL;
    CHECK_U64(audit_policy(v), STATUS_INVALID);
}

/* The numbers by hand: nothing of this passes by the same mistake in policy and audit. */
TEST(what_never_passes) {
    static const uint32_t msrs[] = {
        0x1b /* APIC base */,
        0x3a /* feature control */,
        0x79 /* microcode */,
        0x1a0 /* MISC_ENABLE */,
        0x1d9 /* DEBUGCTL */,
        0x480 /* VMX */,
        0x6e0 /* deadline */,
        0x830 /* ICR */,
        0xc0000080 /* EFER, writing */,
        0xc0010015 /* HWCR */,
        0xc0010020 /* microcode */,
        0xc0010114 /* VM_CR */,
        0xc0010117 /* VM_HSAVE_PA */,
        0xc0011fff,
        0,
    };
    for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct vcpu *v = start(&vendors[i], SPECULATION_MSRS);
        for (size_t m = 0; m < ARRAY_SIZE(msrs); m++) {
            int bit = vendors[i].msr_bit(msrs[m], true);
            if (bit >= 0) {
                CHECK((v->msr_map[bit / 8] >> bit % 8 & 1) != 0);
                CHECK((v->msr_map_x2apic[bit / 8] >> bit % 8 & 1) != 0);
            }
        }
    }
}

TEST_MAIN(T(what_arch_fills_passes), T(each_bit_of_each_map), T(a_bit_in_the_place_of_another),
          T(what_is_told_of_a_bit), T(each_bit_of_the_port_map), T(a_wrong_layout_is_found),
          T(maps_of_something_else), T(what_never_passes))
