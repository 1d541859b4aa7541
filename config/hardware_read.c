/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads hardware.toml: see hardware.h. The file comes from a stick that anybody may have written
 * to: each number is held against what its place can take, each index against its list. Called by
 * tools/bhcheck.
 */
#include "config/hardware.h"

#include "config/readers.h"
#include "config/toml.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define TABLE_MAX 16
#define WORD_MAX  64

struct reader {
    struct boot_info *info;
    struct fault_list *faults;
    const struct toml_item *item;
    const char *at; /* the next word of the value */
    uint64_t files;
    bool good, versioned;
};

static bool refuse_here(struct reader *r, const char *why) {
    fault_add(r->faults, r->item->line, r->item->value_column,
              "%s = \"%.*s\" %s; let Bulkhead write the file anew" MSG(1801),
              r->item->names[0].text, 60, r->item->value, why);
    r->good = false;
    return false;
}

/* The next word, cut off from the rest; false at the end. */
static bool next_word(struct reader *r, char word[WORD_MAX]) {
    size_t n = 0;

    while (*r->at == ' ') {
        r->at++;
    }
    while (r->at[n] != '\0' && r->at[n] != ' ') {
        n++;
    }
    bool good = n != 0 && str_copy_n(word, WORD_MAX, r->at, n);
    r->at += n;
    return good;
}

/* A number with or without 0x in front, to the first character that is no digit of it. */
static bool take_number(const char **s, unsigned base, uint64_t most, uint64_t *out) {
    if ((*s)[0] == '0' && (*s)[1] == 'x') {
        *s += 2;
        base = 16;
    }
    return read_number(s, base, most, out);
}

static bool take_character(const char **s, char c) {
    bool there = **s == c;
    *s += there ? 1 : 0;
    return there;
}

/* "name=number", all of the word. */
static bool read_named(const char *word, const char *name, uint64_t most, uint64_t *out) {
    size_t n = strlen(name);

    if (strlen(word) <= n || memcmp(word, name, n) != 0 || word[n] != '=') {
        return false;
    }
    word += n + 1;
    return take_number(&word, 10, most, out) && *word == '\0';
}

static unsigned find_name(const char *word, const char *const *names, unsigned count) {
    unsigned i = 0;
    while (i < count && !str_equal(word, names[i])) {
        i++;
    }
    return i;
}

/* ---- keys ---- */

static bool read_range(struct reader *r, uint64_t *base, uint64_t *size) {
    char word[WORD_MAX];
    const char *s = word;
    uint64_t last = 0;
    bool good = next_word(r, word) && take_number(&s, 10, UINT64_MAX, base) &&
                take_character(&s, '-') && take_number(&s, 10, UINT64_MAX - 1, &last) &&
                *s == '\0' && last >= *base;
    *size = last - *base + 1;
    return good || refuse_here(r, "begins with no range of addresses");
}

static bool read_memory(struct reader *r) {
    struct boot_info *info = r->info;
    uint64_t base = 0, size = 0;
    char word[WORD_MAX];

    if (!read_range(r, &base, &size)) {
        return false;
    }
    unsigned kind =
        next_word(r, word) ? find_name(word, hardware_memory, MEM_RESERVED + 1) : MEM_RESERVED + 1u;
    if (kind > MEM_RESERVED) {
        return refuse_here(r, "is not free, bulkhead or reserved");
    }
    const struct mem_range *before =
        info->range_count != 0 ? &info->ranges[info->range_count - 1] : NULL;
    if (base % PAGE_SIZE != 0 || size % PAGE_SIZE != 0 ||
        (before != NULL && base < before->base.v + before->size)) {
        return refuse_here(r, "is not made of whole pages above the range before it");
    }
    if (info->range_count == BOOT_MAX_RANGES) {
        return refuse_here(r, "is one range too many");
    }
    info->ranges[info->range_count++] =
        (struct mem_range){.base = HPA(base), .size = size, .kind = (enum mem_kind)kind};
    return true;
}

static bool read_node(struct reader *r) {
    struct boot_info *info = r->info;
    uint64_t base = 0, size = 0, number = 0;
    char word[WORD_MAX];

    if (!read_range(r, &base, &size)) {
        return false;
    }
    const char *s = word;
    if (!next_word(r, word) || !take_number(&s, 10, UINT32_MAX, &number) || *s != '\0' ||
        info->node_count == BOOT_MAX_NODES) {
        return refuse_here(r, "has no number of a node, or is one too many");
    }
    info->nodes[info->node_count++] =
        (struct boot_node){.base = HPA(base), .size = size, .number = (uint32_t)number};
    return true;
}

static bool read_cpu(struct reader *r) {
    struct boot_info *info = r->info;
    uint64_t apic = 0, node = 0;
    char first[WORD_MAX], second[WORD_MAX];

    if (!next_word(r, first) || !read_named(first, "apic", UINT32_MAX, &apic) ||
        !next_word(r, second) || !read_named(second, "node", UINT32_MAX, &node)) {
        return refuse_here(r, "is not apic=NUMBER node=NUMBER");
    }
    if (info->cpu_count == CONFIG_MAX_CPUS) {
        return refuse_here(r, "is one CPU too many");
    }
    info->apic_ids[info->cpu_count] = (uint32_t)apic;
    info->cpu_nodes[info->cpu_count] = (uint32_t)node;
    info->cpu_count++;
    return true;
}

/* bar0=0xfe000000+0x20000,wide */
static bool read_bar(const char *word, struct boot_pci *f) {
    uint64_t number = 0;
    const char *s = word + 3;
    struct boot_pci_bar bar = {.io = false};

    if (!take_number(&s, 10, BOOT_PCI_BARS - 1, &number) || !take_character(&s, '=') ||
        !take_number(&s, 10, UINT64_MAX, &bar.base) || !take_character(&s, '+') ||
        !take_number(&s, 10, BIT(52), &bar.size) || bar.size > UINT64_MAX - bar.base) {
        return false;
    }
    while (take_character(&s, ',')) {
        bar.io = bar.io || *s == 'i';
        bar.wide = bar.wide || *s == 'w';
        bar.prefetchable = bar.prefetchable || *s == 'p';
        while (*s != ',' && *s != '\0') {
            s++;
        }
    }
    f->bars[number] = bar;
    return *s == '\0';
}

static bool read_field(const char *word, struct boot_pci *f) {
    for (const struct hardware_field *field = hardware_fields; field->name != NULL; field++) {
        uint64_t most = field->size == 8 ? UINT64_MAX : BIT(8 * field->size) - 1;
        uint64_t value = 0;

        most = field->flag ? 1 : most;
        if (read_named(word, field->name, most, &value)) {
            memcpy((uint8_t *)f + field->at, &value, field->size);
            return true;
        }
    }
    return false;
}

/* "0000:03:00.0 8086:10d3" */
static bool read_identity(struct reader *r, struct boot_pci *f) {
    char address[WORD_MAX], id[WORD_MAX];
    uint64_t segment = 0, bus = 0, device = 0, function = 0, vendor = 0, model = 0;

    if (!next_word(r, address) || !next_word(r, id)) {
        return false;
    }
    const char *s = address;
    bool good = take_number(&s, 16, UINT16_MAX, &segment) && take_character(&s, ':') &&
                take_number(&s, 16, UINT8_MAX, &bus) && take_character(&s, ':') &&
                take_number(&s, 16, 31, &device) && take_character(&s, '.') &&
                take_number(&s, 16, 7, &function) && *s == '\0';
    s = id;
    good = good && take_number(&s, 16, UINT16_MAX, &vendor) && take_character(&s, ':') &&
           take_number(&s, 16, UINT16_MAX, &model) && *s == '\0';
    f->segment = (uint16_t)segment;
    f->function = (uint16_t)(bus << 8 | device << 3 | function);
    f->vendor = (uint16_t)vendor;
    f->device = (uint16_t)model;
    return good;
}

static bool read_function(struct reader *r) {
    struct boot_info *info = r->info;
    struct boot_pci f = {.because = 0};
    char word[WORD_MAX];
    unsigned verdict = HARDWARE_VERDICTS;

    if (!read_identity(r, &f)) {
        return refuse_here(r, "does not begin with an address and vendor:device");
    }
    while (next_word(r, word)) {
        bool judged = strlen(word) > 8 && memcmp(word, "verdict=", 8) == 0;
        bool bar = strlen(word) > 3 && memcmp(word, "bar", 3) == 0 && word[3] != '=';
        if (judged) {
            verdict = find_name(word + 8, hardware_verdicts, HARDWARE_VERDICTS);
        } else if (bar ? !read_bar(word, &f) : !read_field(word, &f)) {
            return refuse_here(r, "holds a word that no function has");
        }
    }
    if (*r->at != '\0' || verdict == HARDWARE_VERDICTS) {
        return refuse_here(r, "has no verdict that is known, or too long a word");
    }
    if (info->pci_count == BOOT_MAX_PCI) {
        return refuse_here(r, "is one function too many");
    }
    f.verdict = (enum boot_pci_verdict)verdict;
    info->pci[info->pci_count++] = f;
    return true;
}

static bool read_iommu(struct reader *r) {
    char word[WORD_MAX];
    uint64_t units = 0, interrupts = 0, partial = 0;
    unsigned kind = next_word(r, word) ? find_name(word, hardware_iommus, BOOT_IOMMU_AMD_VI + 1)
                                       : BOOT_IOMMU_AMD_VI + 1u;
    bool good = kind <= BOOT_IOMMU_AMD_VI && next_word(r, word) &&
                read_named(word, "units", BOOT_MAX_IOMMUS, &units) && next_word(r, word) &&
                read_named(word, "interrupts", 1, &interrupts) && next_word(r, word) &&
                read_named(word, "partial", 1, &partial);

    if (!good) {
        return refuse_here(r, "is not KIND units=N interrupts=0|1 partial=0|1");
    }
    r->info->dma.kind = (enum boot_iommu_kind)kind;
    r->info->dma.unit_count = (uint32_t)units;
    r->info->dma.interrupts = interrupts != 0;
    r->info->dma.partial = partial != 0;
    return true;
}

static bool read_single(struct reader *r, uint64_t most, uint64_t *out) {
    const char *s = r->item->value;
    return (take_number(&s, 10, most, out) && *s == '\0') || refuse_here(r, "is no such number");
}

static bool read_format(struct reader *r) {
    r->versioned = str_equal(r->item->value, "1");
    return r->versioned || refuse_here(r, "is not the format that this bhcheck knows, 1");
}

static bool read_small_pages(struct reader *r) {
    uint64_t on = 0;
    bool good = read_single(r, 1, &on);
    r->info->mitigations |= on != 0 ? (uint32_t)MITIGATE_SMALL_PAGES : 0;
    return good;
}

static bool read_phys_bits(struct reader *r) {
    uint64_t bits = 0;
    bool good = read_single(r, 52, &bits);
    r->info->phys_bits = (uint32_t)bits;
    return good;
}

static bool read_left_out(struct reader *r) {
    uint64_t count = 0;
    bool good = read_single(r, UINT32_MAX, &count);
    r->info->pci_left_out = (uint32_t)count;
    return good;
}

static bool read_files(struct reader *r) {
    return read_single(r, UINT64_MAX, &r->files);
}

static bool read_nothing(UNUSED struct reader *r) {
    return true; /* for people */
}

/* numbered: a number comes after the name. */
static const struct {
    const char *table, *name;
    bool numbered;
    bool (*read)(struct reader *r);
} keys[] = {
    {"hardware", "format", false, read_format},
    {"hardware", "small_pages", false, read_small_pages},
    {"hardware", "phys_bits", false, read_phys_bits},
    {"hardware", "iommu", false, read_iommu},
    {"hardware", "serial", false, read_nothing},
    {"cpus", "cpu", true, read_cpu},
    {"memory", "files", false, read_files},
    {"memory", "range", true, read_memory},
    {"memory", "node", true, read_node},
    {"pci", "left_out", false, read_left_out},
    {"pci", "function", true, read_function},
};

static bool is_key(const char *name, const char *key, bool numbered) {
    size_t n = strlen(key);

    if (!numbered) {
        return str_equal(name, key);
    }
    bool begins = strlen(name) > n && memcmp(name, key, n) == 0;
    return begins && name[n] >= '0' && name[n] <= '9';
}

static void read_pair(struct reader *r, const char *table) {
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (str_equal(table, keys[i].table) &&
            is_key(r->item->names[0].text, keys[i].name, keys[i].numbered)) {
            r->at = r->item->value;
            if (!r->item->quoted || r->item->array) {
                (void)refuse_here(r, "is no text in quotes");
            } else {
                (void)keys[i].read(r);
            }
            return;
        }
    }
    fault_add(r->faults, r->item->line, r->item->column,
              "[%s] has no key \"%s\"; let Bulkhead write the file anew" MSG(1802), table,
              r->item->names[0].text);
    r->good = false;
}

/* Indices of one function to another, which may come later in the file. */
static bool check_indices(struct reader *r) {
    const struct boot_info *info = r->info;

    for (uint32_t i = 0; i < info->pci_count; i++) {
        const struct boot_pci *f = &info->pci[i];
        bool parent = f->parent == BOOT_PCI_NONE || f->parent < info->pci_count;
        bool because = f->because == BOOT_PCI_NONE || f->because < info->pci_count;
        if (!parent || !because || f->bar >= BOOT_PCI_BARS || f->msix.table_bar >= BOOT_PCI_BARS ||
            f->msix.pending_bar >= BOOT_PCI_BARS || f->group >= BOOT_MAX_PCI) {
            fault_add(r->faults, 0, 0,
                      "function%u names a function or a BAR that is not there; let Bulkhead write "
                      "the file anew" MSG(1803),
                      i);
            return false;
        }
    }
    return true;
}

/* What was Bulkhead's is free for another start, and said as a number of bytes. */
static uint64_t free_own(struct boot_info *info, uint64_t files) {
    uint64_t own = 0;

    for (uint32_t i = 0; i < info->range_count; i++) {
        struct mem_range *range = &info->ranges[i];
        own += range->kind == MEM_BULKHEAD ? range->size : 0;
        range->kind = range->kind == MEM_BULKHEAD ? MEM_FREE : range->kind;
    }
    return own > files ? own - files : 0;
}

enum status hardware_read(const char *text, size_t length, struct boot_info *info, uint64_t *own,
                          struct fault_list *faults) {
    static struct toml_item item;
    struct reader r = {.info = info, .faults = faults, .item = &item, .good = true};
    char table[TABLE_MAX] = "";
    struct toml toml;
    uint32_t before = faults->count + faults->dropped;

    toml_init(&toml, text, length, faults);
    for (enum toml_kind kind = toml_next(&toml, &item); kind != TOML_END;
         kind = toml_next(&toml, &item)) {
        if (kind == TOML_TABLE) {
            (void)str_copy_n(table, sizeof(table), item.names[0].text, strlen(item.names[0].text));
        } else if (!item.broken && item.length < sizeof(item.value)) {
            read_pair(&r, table);
        }
    }
    bool whole = r.versioned && info->cpu_count != 0 && info->range_count != 0;
    if (!whole && faults->count + faults->dropped == before) {
        fault_add(faults, 0, 0,
                  "this is no whole " HARDWARE_FILE ": it has no format, no CPU or "
                  "no memory; let Bulkhead write it" MSG(1804));
    }
    info->pci_listed = true;
    *own = free_own(info, r.files);
    bool good = r.good && whole && check_indices(&r);
    return good && faults->count + faults->dropped == before ? STATUS_OK : STATUS_INVALID;
}
