/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of a VM's last crash: kept by the CPU that found it, read by any other long after,
 * when its lines of the log may be gone.
 */
#include "hv/vm/public.h"

/* The older of the two is written, so that whoever reads the last one is not disturbed. */
void vm_keep_crash(struct vm_public *p, const struct vm_crash *crash) {
    uint32_t count = p->crash_count + 1;

    p->crashes[count % ARRAY_SIZE(p->crashes)] = *crash;
    __atomic_store_n(&p->crash_count, count, __ATOMIC_SEQ_CST);
}

/* Again if a crash came meanwhile, whose next one would be written over what was copied. */
uint32_t vm_last_crash(const struct vm_public *p, struct vm_crash *out) {
    uint32_t count = __atomic_load_n(&p->crash_count, __ATOMIC_SEQ_CST);
    uint32_t copied = 0;

    while (count != copied) {
        *out = p->crashes[count % ARRAY_SIZE(p->crashes)];
        copied = count;
        count = __atomic_load_n(&p->crash_count, __ATOMIC_SEQ_CST);
    }
    return count;
}
