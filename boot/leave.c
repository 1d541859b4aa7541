/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes back the modes of the CPU in which firmware may leave us and the hypervisor's first
 * instructions would not run. Called by main.c, between the firmware's last word and the
 * hypervisor's first instruction. Sources: Intel SDM, "Control-Flow Enforcement Technology (CET)",
 * "Page-Level Protection", "Invalidation of TLBs and Paging-Structure Caches".
 */
#include "boot/boot.h"
#include "hv/lib/x86.h"

#define DEFINE_READ(cr)                                                                            \
    static uint64_t cr##_read(void) {                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%" #cr ", %0" : "=r"(value));                                       \
        return value;                                                                              \
    }
#define DEFINE_WRITE(cr)                                                                           \
    static void cr##_write(uint64_t value) {                                                       \
        __asm__ volatile("mov %0, %%" #cr : : "r"(value) : "memory");                              \
    }
DEFINE_READ(cr0)
DEFINE_WRITE(cr0)
DEFINE_READ(cr3)
DEFINE_READ(cr4)
DEFINE_WRITE(cr4)

/* Each change of PGE forgets all translations, global ones too. */
static void forget_translations(void) {
    uint64_t cr4 = cr4_read();
    cr4_write(cr4 ^ X86_CR4_PGE);
    cr4_write(cr4);
}

/* No code of ours has ENDBR64, where an indirect branch may go, or a shadow stack. */
static void stop_control_flow_checks(void) {
    uint64_t cr4 = cr4_read();
    if ((cr4 & X86_CR4_CET) != 0) {
        cr4_write(cr4 & ~X86_CR4_CET);
    }
}

/* New firmware lets nothing that a loader allocates be executed, and writes to no page table. */
static void allow_execution(const struct boot_info *info) {
    uint64_t cr0 = cr0_read();
    unsigned levels = (cr4_read() & X86_CR4_LA57) != 0 ? 5 : 4;
    hpa_t root = HPA(cr3_read() & X86_CR3_ADDRESS);

    cr0_write(cr0 & ~X86_CR0_WP);
    (void)tables_open(root, levels, info->image_base.v, info->image_size); /* all of it is mapped */
    forget_translations();
    cr0_write(cr0);
}

void leave_open(const struct boot_info *info) {
    __asm__ volatile("cli; cld" : : : "memory");
    stop_control_flow_checks(); /* first: with it, WP cannot be cleared */
    allow_execution(info);
}
