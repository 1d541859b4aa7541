/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same microcode on every CPU: boot/ has updated the first one and left the update in memory;
 * each other CPU loads it as its first act. One CPU starts after the other, so the hyper-thread
 * beside it waits for its own start, or in a loop that needs nothing of what changes. Of two that
 * share microcode the second finds it loaded.
 * Sources: Intel SDM vol. 3 "Microcode Update Facilities"; AMD APM vol. 2 "Microcode Patches".
 */
#include "arch/x86_64/arch.h"

static SEALED struct boot_microcode microcode;

void microcode_init(const struct boot_info *info) {
    microcode = info->microcode;
    cpu_get(0)->microcode = microcode.revision;
}

static uint32_t microcode_revision(void) {
    uint32_t r[4];
    if (!microcode.amd) { /* CPUID writes the register, if it was zero before */
        msr_write(X86_MSR_BIOS_SIGN_ID, 0);
        plat_cpuid(1, 0, r);
    }
    uint64_t word = msr_read(X86_MSR_BIOS_SIGN_ID);
    return (uint32_t)(microcode.amd ? word : word >> 32);
}

/* A CPU of another kind is left alone; microcode_report() names it if that makes a difference. */
void microcode_load(struct cpu *cpu) {
    uint32_t leaf1[4];
    cpu->microcode = microcode_revision();
    plat_cpuid(1, 0, leaf1);
    if (microcode.update.v == 0 || leaf1[EAX] != microcode.signature ||
        cpu->microcode >= microcode.offered) {
        return;
    }
    uint32_t msr = microcode.amd ? X86_MSR_AMD_PATCH_LOADER : X86_MSR_BIOS_UPDT_TRIG;
    if (!msr_write_checked(msr, microcode.update.v)) {
        log_warn("microcode: cpu %u refuses the update" MSG(4032), cpu->index);
    }
    cpu->microcode = microcode_revision();
}

void microcode_report(void) {
    log_info("microcode: revision %#x, %#x before the start", microcode.revision, microcode.before);
    for (unsigned i = 1; i < plat_cpu_count(); i++) {
        if (plat_cpu_online(i) && cpu_get(i)->microcode != microcode.revision) {
            log_warn("microcode: cpu %u has revision %#x, which is another than cpu 0's" MSG(4033),
                     i, cpu_get(i)->microcode);
        }
    }
}
