/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the stick's microcode into the CPU that the firmware started us on, before anybody asks
 * what this CPU has or lacks; what was chosen stays in memory for the other CPUs, which the
 * hypervisor updates as their first act. Nothing that is wrong with a file keeps Bulkhead from
 * starting. Called by main.c. Sources: Intel SDM vol. 3 "Microcode Update Facilities"; AMD APM vol.
 * 2 "Microcode Patches".
 */
#include "config/microcode.h"
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"

#define CPUID_1_ECX_HYPERVISOR BIT32(31)
#define CPUID_0_ECX_INTEL      0x6c65746eu /* "ntel" */

static struct {
    struct microcode_cpu cpu;
    struct microcode_update best; /* its bytes from the firmware's pool */
} microcode;

/* Keeps a copy of what is best so far: the file goes. */
static void microcode_keep(const struct microcode_update *update) {
    struct microcode_update *best = &microcode.best;
    if (update->bytes == NULL || (best->bytes != NULL && update->revision <= best->revision)) {
        return;
    }
    uint8_t *copy = AllocatePool(update->size);
    if (copy == NULL) {
        return;
    }
    memcpy(copy, update->bytes, update->size);
    if (best->bytes != NULL) {
        FreePool((void *)(uintptr_t)best->bytes);
    }
    *best = *update;
    best->bytes = copy;
}

static void microcode_take_file(const char *path, const uint8_t *bytes, uint64_t size) {
    struct microcode_file file;
    if (microcode_read(bytes, size, &microcode.cpu, &file) != STATUS_OK) {
        console_print(CONSOLE_WARN, "%s is left out: %s" MSG(2010) "\n", path, file.fault);
        return;
    }
    microcode_keep(&file.newest);
}

static uint32_t microcode_revision(bool amd) {
    uint32_t r[4];
    if (!amd) { /* CPUID writes the register, if it was zero before */
        machine_wrmsr(X86_MSR_BIOS_SIGN_ID, 0);
        machine_cpu.cpuid(1, 0, r);
    }
    uint64_t word = machine_cpu.rdmsr(X86_MSR_BIOS_SIGN_ID);
    return (uint32_t)(amd ? word : word >> 32);
}

/* Where the CPU can read it; our addresses are physical ones, as it wants them. */
static void microcode_place(struct boot_microcode *m) {
    const struct microcode_update *best = &microcode.best;
    hpa_t base = memory_alloc(best->size, BELOW_4G);
    if (base.v != 0) {
        memcpy(phys_pointer(base), best->bytes, best->size);
        m->update = HPA(base.v + best->start);
    }
}

void microcode_load(struct boot_info *info, struct fault_list *faults) {
    struct boot_microcode *m = &info->microcode;
    uint32_t vendor[4], leaf1[4];
    char folder[SETS_PATH_SIZE];
    machine_cpu.cpuid(0, 0, vendor);
    machine_cpu.cpuid(1, 0, leaf1);
    bool nested = (leaf1[2] & CPUID_1_ECX_HYPERVISOR) != 0;

    m->amd = vendor[2] != CPUID_0_ECX_INTEL;
    m->signature = leaf1[0];
    if (!m->amd) {
        m->platform = BIT32(machine_cpu.rdmsr(X86_MSR_PLATFORM_ID) >> 50 & 7);
    }
    m->before = m->revision = microcode_revision(m->amd);
    microcode.cpu = (struct microcode_cpu){m->amd, m->signature, m->platform, m->revision};
    files_each(sets_own(info->set, MICROCODE_FOLDER, folder), MICROCODE_FILE_MAX,
               microcode_take_file, faults);
    if (microcode.best.bytes == NULL) {
        return;
    }

    m->offered = microcode.best.revision;
    if (!nested) { /* else it is the other hypervisor's to do */
        microcode_place(m);
    }
    if (m->update.v != 0 && m->offered > m->revision) {
        machine_wrmsr(m->amd ? X86_MSR_AMD_PATCH_LOADER : X86_MSR_BIOS_UPDT_TRIG, m->update.v);
        m->revision = microcode_revision(m->amd);
    }
    FreePool((void *)(uintptr_t)microcode.best.bytes);
}
