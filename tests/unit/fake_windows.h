/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A window of each kind for the VM of fake_machine.h. Included after it. */
#ifndef TESTS_UNIT_FAKE_WINDOWS_H
#define TESTS_UNIT_FAKE_WINDOWS_H

#define FAKE_IMAGE  (4 * GIB)
#define FAKE_PMEM   (FAKE_IMAGE + 128 * MIB)
#define FAKE_STORE  (FAKE_PMEM + 4 * MIB)
#define FAKE_OURS   (FAKE_STORE + 4 * MIB)
#define FAKE_THEIRS (FAKE_OURS + CHANNEL_HALF)

/* Frames of theirs; of no use but the store's, which is scrubbed. */
static ALIGNED(2 * MIB) uint8_t fake_frames[12 * MIB];

static inline void fake_windows_add(struct plan_vm *plan) {
    const hpa_t at = HPA((uintptr_t)fake_frames);
    const struct plan_window windows[] = {
        {GPA(FAKE_IMAGE), at, 3 * PAGE_SIZE, PLAN_IMAGE},
        {GPA(FAKE_PMEM), HPA(at.v + 2 * MIB), 4 * MIB, PLAN_PMEM},
        {GPA(FAKE_STORE), HPA(at.v + 6 * MIB), 2 * MIB + PAGE_SIZE, PLAN_STORE},
        {GPA(FAKE_OURS), HPA(at.v + 10 * MIB), CHANNEL_HALF, PLAN_OURS},
        {GPA(FAKE_THEIRS), HPA(at.v + 11 * MIB), CHANNEL_HALF, PLAN_THEIRS},
    };

    plan->window_count = ARRAY_SIZE(windows);
    memcpy(plan->windows, windows, sizeof(windows));
    plan->devices.channel_count = 1;
    plan->devices.channels[0] = (struct abi_channel){.ours = COMPARTMENT_WINDOW + FAKE_OURS,
                                                     .theirs = COMPARTMENT_WINDOW + FAKE_THEIRS};
}

#endif
