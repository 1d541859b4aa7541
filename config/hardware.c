/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes hardware.toml and the config to start from. See hardware.h. Called by boot/ once all of
 * the machine is known. Sources of the caches: Intel SDM vol. 2 "CPUID", leaf 4; AMD APM vol. 3,
 * leaf 8000001Dh, which is alike.
 */
#include "config/hardware.h"

#include "config/pci.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/lib/version.h"

#define LEAF_CACHES     4u
#define LEAF_CACHES_AMD 0x8000001du
#define LEAF_EXTENDED   0x80000000u
#define CACHES          8u
#define CACHE_KIND      7u /* 0 = none */

#define ROW(member, flag)                                                                          \
    { #member, offsetof(struct boot_pci, member), sizeof(((struct boot_pci *)NULL)->member), flag }
#define FIELD(member) ROW(member, false)
#define FLAG(member)  ROW(member, true)

const struct hardware_field hardware_fields[] = {
    FIELD(class),
    FIELD(header),
    FLAG(several),
    FIELD(parent),
    FIELD(group),
    FIELD(secondary),
    FIELD(subordinate),
    FIELD(express),
    FIELD(rom_size),
    FIELD(pin),
    FIELD(messages),
    FIELD(msix.count),
    FIELD(msix.table_bar),
    FIELD(msix.pending_bar),
    FIELD(msix.table),
    FIELD(msix.pending),
    FIELD(acs),
    FIELD(acs_can),
    FIELD(acs_on),
    FIELD(at_power),
    FIELD(at_express),
    FIELD(at_msi),
    FIELD(at_msix),
    FIELD(at_af),
    FLAG(flr),
    FLAG(af_flr),
    FLAG(pm_reset),
    FLAG(bus_reset),
    FLAG(keyboard),
    FLAG(stick),
    FLAG(reserved_dma),
    FIELD(because),
    FIELD(bar),
    {NULL, 0, 0, false},
};

const char *const hardware_verdicts[] = {
    [BOOT_PCI_BRIDGE] = "bridge",
    [BOOT_PCI_CHIPSET] = "chipset",
    [BOOT_PCI_SERIAL] = "serial",
    [BOOT_PCI_SCREEN] = "screen",
    [BOOT_PCI_KEYBOARD] = "keyboard",
    [BOOT_PCI_STICK] = "stick",
    [BOOT_PCI_BEHIND_LEGACY] = "behind-legacy",
    [BOOT_PCI_RESERVED_DMA] = "reserved-dma",
    [BOOT_PCI_NO_RESET] = "no-reset",
    [BOOT_PCI_BAR_NOWHERE] = "bar-nowhere",
    [BOOT_PCI_BAR_SMALL] = "bar-small",
    [BOOT_PCI_BAR_SHARED] = "bar-shared",
    [BOOT_PCI_BAR_TAKEN] = "bar-taken",
    [BOOT_PCI_BARS_LARGE] = "bars-large",
    [BOOT_PCI_BAR_BEYOND] = "bar-beyond",
    [BOOT_PCI_GROUP] = "group",
    [BOOT_PCI_NO_IOMMU] = "no-iommu",
    [BOOT_PCI_UNSURE] = "unsure",
    [BOOT_PCI_NO_REMAPPING] = "no-remapping",
    [BOOT_PCI_SEGMENT] = "segment",
    [BOOT_PCI_INCOMPLETE] = "incomplete",
    [BOOT_PCI_TOGETHER] = "together",
    [BOOT_PCI_ALONE] = "alone",
};

const char *const hardware_memory[] = {
    [MEM_FREE] = "free", [MEM_BULKHEAD] = "bulkhead", [MEM_RESERVED] = "reserved"};

const char *const hardware_iommus[] = {
    [BOOT_IOMMU_NONE] = "none", [BOOT_IOMMU_VTD] = "vt-d", [BOOT_IOMMU_AMD_VI] = "amd-vi"};

/* What is written, and where; length counts on behind the end. */
struct hardware_out {
    char *buf;
    size_t size, length;
};

static PRINTF_LIKE(2, 3) void put(struct hardware_out *o, const char *format, ...) {
    size_t left = o->length < o->size ? o->size - o->length : 0;
    va_list args;

    va_start(args, format);
    o->length += fmt_vprint(o->buf + (left != 0 ? o->length : 0), left, format, args);
    va_end(args);
}

static size_t finish(const struct hardware_out *o) {
    return o->length < o->size ? o->length : 0;
}

/* The firmware's words are shown, and must not end a line or a text. */
static char *clean(char *text) {
    for (char *c = text; *c != '\0'; c++) {
        bool bad = *c < ' ' || *c > '~' || *c == '"' || *c == '\\';
        *c = bad ? '?' : *c;
    }
    return text;
}

static void put_head(struct hardware_out *o, const struct boot_info *info,
                     const struct preflight_report *report) {
    char date[FMT_DATE_SIZE];

    put(o,
        "# This machine, as Bulkhead " BULKHEAD_VERSION " found it at its start of %s UTC.\n"
        "# Written anew at each start. bhcheck --machine hardware.toml STICK judges a config for "
        "it.\n#\n",
        fmt_date(date, info->wall_seconds));
    for (uint32_t i = 0; i < report->count; i++) {
        static const char *const states[] = {"ok", "warn", "LACKING"};
        char found[PREFLIGHT_FOUND_SIZE];
        (void)str_copy_n(found, sizeof(found), report->lines[i].found,
                         strlen(report->lines[i].found));
        put(o, "# %-25s %-42s %s\n", report->lines[i].what, clean(found),
            states[report->lines[i].state]);
    }
    put(o, "\n[hardware]\nformat = \"1\"\nsmall_pages = \"%u\"\nphys_bits = \"%u\"\n",
        (info->mitigations & MITIGATE_SMALL_PAGES) != 0 ? 1 : 0, info->phys_bits);
    put(o, "iommu = \"%s units=%u interrupts=%u partial=%u\"\n", hardware_iommus[info->dma.kind],
        info->dma.unit_count, info->dma.interrupts, info->dma.partial);
}

static void put_serial(struct hardware_out *o, const struct boot_serial *serial) {
    if (serial->base != 0) {
        put(o, "serial = \"%s %#llx\"\n", serial->in_memory ? "memory" : "port", (ull)serial->base);
    }
}

/* The one of the two that tells of a cache, whoever has made the CPU; 0 if none does. */
static uint32_t cache_leaf(const struct preflight_cpu *cpu) {
    static const uint32_t leaves[] = {LEAF_CACHES, LEAF_CACHES_AMD};

    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        uint32_t highest[4], r[4];
        cpu->cpuid(leaves[i] & LEAF_EXTENDED, 0, highest);
        cpu->cpuid(leaves[i], 0, r);
        if (highest[0] >= leaves[i] && (r[0] & CACHE_KIND) != 0) {
            return leaves[i];
        }
    }
    return 0;
}

static void put_caches(struct hardware_out *o, const struct preflight_cpu *cpu) {
    static const char *const kinds[] = {"none", "data", "code", "all", "?", "?", "?", "?"};
    uint32_t leaf = cache_leaf(cpu), r[4];
    char size[24];

    for (uint32_t i = 0; leaf != 0 && i < CACHES; i++) {
        cpu->cpuid(leaf, i, r);
        unsigned kind = r[0] & CACHE_KIND;
        if (kind == 0) {
            return;
        }
        uint64_t ways = (r[1] >> 22) + 1, parts = (r[1] >> 12 & 0x3ff) + 1;
        uint64_t bytes = ways * parts * ((r[1] & 0xfff) + 1) * ((uint64_t)r[2] + 1);
        put(o, "# CPU 0: cache L%u, %s, %s, %llu ways, of up to %u threads\n", r[0] >> 5 & 7,
            kinds[kind], fmt_size(size, bytes), (ull)ways, (r[0] >> 14 & 0xfff) + 1);
    }
}

static void put_cpus(struct hardware_out *o, const struct boot_info *info,
                     const struct preflight_cpu *cpu, const struct cpu_facts *facts) {
    char text[CPUS_TEXT_SIZE];

    put(o, "\n[cpus]\n");
    put_caches(o, cpu);
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        put(o, "cpu%u = \"apic=%u node=%u\" # %s\n", i, info->apic_ids[i], info->cpu_nodes[i],
            cpus_describe(info, facts, i, text));
    }
}

static void put_memory(struct hardware_out *o, const struct boot_info *info) {
    uint64_t files = 0;

    for (uint32_t i = 0; i < info->image_count; i++) {
        files += boot_image_room(info->images[i].size);
    }
    put(o,
        "\n[memory] # both ends are in it\nfiles = \"%#llx\" # bytes of guests' files, in what "
        "is Bulkhead's\n",
        (ull)files);
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        put(o, "range%u = \"0x%llx-0x%llx %s\"\n", i, (ull)r->base.v,
            (ull)(r->base.v + r->size - 1), hardware_memory[r->kind]);
    }
    for (uint32_t i = 0; i < info->node_count; i++) {
        const struct boot_node *n = &info->nodes[i];
        put(o, "node%u = \"0x%llx-0x%llx %u\"\n", i, (ull)n->base.v, (ull)(n->base.v + n->size - 1),
            n->number);
    }
}

static void put_bar(struct hardware_out *o, unsigned number, const struct boot_pci_bar *bar) {
    if (bar->size != 0) {
        put(o, " bar%u=%#llx+%#llx", number, (ull)bar->base, (ull)bar->size);
        put(o, "%s", bar->io ? ",io" : "");
        put(o, "%s", bar->wide ? ",wide" : "");
        put(o, "%s", bar->prefetchable ? ",prefetchable" : "");
    }
}

static void put_function(struct hardware_out *o, const struct boot_info *info, uint32_t number) {
    const struct boot_pci *f = &info->pci[number];
    char address[FMT_PCI_SIZE], verdict[PCI_VERDICT_SIZE];

    put(o, "function%u = \"%04x:%s %04x:%04x verdict=%s", number, f->segment,
        fmt_pci(address, f->function), f->vendor, f->device, hardware_verdicts[f->verdict]);
    for (const struct hardware_field *field = hardware_fields; field->name != NULL; field++) {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)f + field->at, field->size);
        if (value != 0) {
            put(o, " %s=%#llx", field->name, (ull)value);
        }
    }
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        put_bar(o, i, &f->bars[i]);
    }
    put(o, "\" # %s, for a guest: %s\n", pci_kind(f), pci_verdict(info, f, verdict));
}

size_t hardware_write(const struct boot_info *info, const struct preflight_cpu *cpu,
                      const struct cpu_facts *facts, const struct preflight_report *report,
                      char *buf, size_t size) {
    struct hardware_out o = {buf, size, 0};

    put_head(&o, info, report);
    put_serial(&o, &info->serial);
    put_cpus(&o, info, cpu, facts);
    put_memory(&o, info);
    put(&o, "\n[pci]\nleft_out = \"%u\"\n", info->pci_left_out);
    for (uint32_t i = 0; i < info->pci_count; i++) {
        put_function(&o, info, i);
    }
    return finish(&o);
}

/* ---- the config to start from ---- */

/* Half of what is free, of that a power of two: the rest is for tables, images and more guests. */
static uint64_t starter_memory(const struct boot_info *info) {
    uint64_t half = preflight_memory(info, MEM_FREE) / 2;
    uint64_t memory = 16 * MIB;

    while (memory * 2 <= half && memory < 8 * GIB) {
        memory *= 2;
    }
    return memory;
}

/* One guest has all CPUs but the first, which serves the console. */
static void starter_cpus(const struct boot_info *info, char *out, size_t size) {
    struct cpu_set set = {0};
    uint32_t end = info->cpu_count > 9 ? 9 : info->cpu_count;

    for (uint32_t cpu = info->cpu_count > 1 ? 1 : 0; cpu < end; cpu++) {
        set.bits[0] |= BIT(cpu);
    }
    cpu_set_format(&set, out, size);
}

size_t hardware_write_starter(const struct boot_info *info, char *buf, size_t size) {
    struct hardware_out o = {buf, size, 0};
    char cpus[64], memory[24], line[PCI_LINE_SIZE];

    starter_cpus(info, cpus, sizeof(cpus));
    put(&o, "# A config to start from, made for this machine: copy it to bulkhead.toml, put the "
            "files there,\n# and run bhcheck. Every key: docs/config.md, or bhcheck --explain "
            "KEY.\n\n[hypervisor]\nconsole = \"auto\" # ");
    if (info->serial.base != 0) {
        put(&o, "a serial line was found at %#llx\n", (ull)info->serial.base);
    } else {
        put(&o, "no serial line was found: screen and keyboard\n");
    }
    put(&o,
        "\n[guest.first]\ncpus = \"%s\" # of 0-%u; CPU 0 serves the console if no guest has it\n"
        "memory = \"%s\"\nkernel = \"guests/vmlinuz\" # for instance Debian's, as packaged\n"
        "initrd = \"guests/initrd.img\"\ncmdline = \"console=ttyS0\"\nstart = \"auto\"\n"
        "on_crash = \"restart\"\n",
        cpus, info->cpu_count - 1, fmt_size(memory, starter_memory(info)));
    for (uint32_t i = 0; i < info->pci_count; i++) {
        const struct boot_pci *f = &info->pci[i];
        if (boot_pci_can_be_given(f) && o.length < size / 2) {
            put(&o, "# %s\n#pci = [\"%04x:%s\"]\n", pci_line(info, f, line) + 2, f->segment,
                fmt_pci(cpus, f->function));
        }
    }
    return finish(&o);
}
