/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The course of a guest's start: what the core handed over is looked at, the kernel's loader says
 * what is to be moved, it is moved in pieces, the tables are written. Nothing of the guest runs
 * meanwhile.
 */
#include "hv/compartment/load/load.h"

#include "hv/compartment/load/start.h"

#define VCPUS_MOST 254u /* with APIC IDs of a byte */
#define NAME_MOST  256u /* of the texts in SMBIOS */

/* ---- what is handed over ---- */

/* A file lies above the first MiB and below the tables. */
static bool load_knows_file(const struct load *l, const struct bulkhead_piece *file) {
    uint64_t most = l->start.low_ram - BULKHEAD_TABLES_SIZE - KERNEL_LEAST;

    return file->size != 0 && range_contains(KERNEL_LEAST, most, file->gpa, file->size);
}

/* A text lies behind struct bulkhead_start, before what is written here, and has its NUL. */
static bool load_knows_text(const struct load *l, const struct bulkhead_piece *text) {
    uint64_t from = BULKHEAD_START_GPA + sizeof(l->start);

    return range_contains(from, LEGACY_TABLES - from - COMMAND_ROOM, text->gpa, text->size) &&
           *load_known(l, text->gpa + text->size) == '\0';
}

static bool load_knows_texts(const struct load *l) {
    const struct bulkhead_start *s = &l->start;
    const struct bulkhead_piece *names[] = {&s->name, &s->serial, &s->asset_tag, &s->initrd_path};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!load_knows_text(l, names[i]) || names[i]->size > NAME_MOST) {
            return false;
        }
        /* The command line may grow. */
        if (names[i]->gpa + names[i]->size >= s->cmdline.gpa) {
            return false;
        }
    }
    return load_knows_text(l, &s->cmdline);
}

static bool load_knows_memory(const struct bulkhead_start *s) {
    return s->low_ram % PAGE_SIZE == 0 && s->low_ram > KERNEL_LEAST + BULKHEAD_TABLES_SIZE &&
           s->low_ram <= COMPARTMENT_GPA && s->vcpu_count != 0 && s->vcpu_count <= VCPUS_MOST;
}

static bool load_knows(const struct load *l) {
    const struct bulkhead_start *s = &l->start;

    if (s->magic != BULKHEAD_START_MAGIC || s->size != sizeof(*s) || !load_knows_memory(s)) {
        return false;
    }
    if (!load_knows_texts(l) || !load_knows_file(l, &s->kernel)) {
        return false;
    }
    return s->initrd.size == 0 ||
           (load_knows_file(l, &s->initrd) && s->initrd.gpa - s->kernel.gpa >= s->kernel.size &&
            s->initrd.gpa > s->kernel.gpa);
}

static void load_read_cpuid(struct processor *cpu, const uint32_t cpuid[LOAD_LEAVES][4]) {
    const uint32_t *vendor = cpuid[LOAD_LEAF_VENDOR];

    memcpy(cpu->maker, &vendor[1], 4);
    memcpy(cpu->maker + 4, &vendor[3], 4);
    memcpy(cpu->maker + 8, &vendor[2], 4);
    cpu->model = cpuid[LOAD_LEAF_MODEL][0];
    cpu->features = cpuid[LOAD_LEAF_MODEL][3];
    memcpy(cpu->name, cpuid[LOAD_LEAF_BRAND], sizeof(cpu->name) - 1);
    cpu->khz = cpuid[LOAD_LEAF_TIMING][0];
}

/* ---- the course ---- */

/*
 * The TSC's kHz for a kernel that would have to measure it: Linux reads CPUID 15h on Intel CPUs
 * only, elsewhere it counts a timer chip's ticks, for which a port may take too long. 0 = none.
 */
static uint32_t load_clock_to_tell(const struct processor *cpu) {
    return memcmp(cpu->maker, "GenuineIntel", 12) == 0 ? 0 : cpu->khz;
}

enum load_status load_begin(struct load *l, uint8_t *ram, const struct abi_devices *devices,
                            const uint32_t cpuid[LOAD_LEAVES][4]) {
    memset(l, 0, sizeof(*l));
    l->devices = devices;
    memcpy(&l->start, ram + BULKHEAD_START_GPA, sizeof(l->start));
    l->low = (struct guest_region){.gpa = 0, .size = l->start.low_ram, .at = ram};
    l->memory = (struct guest_memory){.regions = &l->low, .count = 1};
    load_read_cpuid(&l->cpu, cpuid);

    if (!load_knows(l)) {
        l->status = LOAD_UNKNOWN_FORM;
        return l->status;
    }
    l->file = load_known(l, l->start.kernel.gpa);
    map_write(l);
    l->status = kernel_load(l, load_clock_to_tell(&l->cpu));
    if (l->status == LOAD_MORE && l->outside) {
        l->status = LOAD_OUTSIDE;
    }
    return l->status;
}

static void load_finish(struct load *l) {
    acpi_write_tables(l);
    legacy_write_tables(l);
    smbios_write_tables(l);
    memcpy(load_known(l, BULKHEAD_START_GPA), &l->start, sizeof(l->start));
    firmware_write(l);
}

enum load_status load_go_on(struct load *l) {
    uint64_t left = LOAD_PIECE;

    while (l->status == LOAD_MORE && l->move_at < l->move_count) {
        if (left == 0) {
            return LOAD_MORE;
        }
        left -= move_some(l, left);
    }
    if (l->status == LOAD_MORE) {
        load_finish(l);
        l->status = LOAD_DONE;
    }
    return l->status;
}

/* The data of this program is as it was built at each start of the VM. */
void load_answer(struct exchange_load *e, uint8_t *ram, const struct abi_devices *devices) {
    static struct load load;

    if (load.status == LOAD_NO_ANSWER) {
        (void)load_begin(&load, ram, devices, (const uint32_t(*)[4])e->cpuid);
    }
    e->status = load_go_on(&load);
}

void load_upcall(struct exchange *e, const struct abi_devices *devices) {
    load_answer(&e->load, (uint8_t *)(uintptr_t)COMPARTMENT_WINDOW, devices);
}
