/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts NMIs and tells of them. Nothing is done about one: what it says is that the machine has a
 * fault, and a memory error that matters comes as a machine check as well. Source: Intel's
 * descriptions of chipsets, "NMI Status and Control Register" (port 61h).
 */
#include "arch/x86_64/nmi.h"

#include "hv/lib/log.h"

#define STATUS_SERR   0x80u /* a PCI device, or memory, has an error */
#define STATUS_IOCHK  0x40u /* so has a device on the ISA bus */
#define STATUS_NOBODY 0xffu /* nothing answers at the port */

static struct nmi {
    uint32_t count, told; /* count is atomic, as are the next two */
    uint32_t cpu;         /* the last one */
    uint32_t status;      /* of all since the last line */
    struct log_limit limit;
} nmi;

void nmi_take(unsigned cpu, uint8_t status) {
    if (status != STATUS_NOBODY) {
        __atomic_fetch_or(&nmi.status, status, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&nmi.cpu, cpu, __ATOMIC_RELAXED);
    __atomic_fetch_add(&nmi.count, 1, __ATOMIC_RELEASE);
}

static const char *nmi_cause(uint32_t status) {
    if ((status & STATUS_SERR) != 0) {
        return "a PCI device's or a memory error (SERR#)";
    }
    if ((status & STATUS_IOCHK) != 0) {
        return "a device's error (IOCHK#)";
    }
    return "the chipset tells no cause";
}

void nmi_tell(void) {
    uint32_t suppressed = 0;
    uint32_t count = __atomic_load_n(&nmi.count, __ATOMIC_ACQUIRE);

    if (count == nmi.told || !log_limit_pass(&nmi.limit, &suppressed)) {
        return;
    }
    uint32_t status = __atomic_exchange_n(&nmi.status, 0, __ATOMIC_RELAXED);
    log_warn(
        "NMI of the machine: %u since the last line, %u in all, the last on cpu %u; %s" MSG(4035),
        count - nmi.told, count, __atomic_load_n(&nmi.cpu, __ATOMIC_RELAXED), nmi_cause(status));
    nmi.told = count;
}
