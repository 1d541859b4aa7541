// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bhcheck: judges a stick's directory on the admin's PC with the very code that judges it at boot.
 * Must not change anything on the stick. The machine is assumed (--cpus, --memory); the real one is
 * judged at boot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/hardware.h"
#include "config/kernel.h"
#include "config/microcode.h"
#include "config/pci.h"
#include "config/schema.h"
#include "config/seal.h"
#include "config/stick.h"
#include "config/toml.h"
#include "hv/lib/fmt.h"
#include "hv/lib/message.h"
#include "hv/lib/phys.h"
#include "hv/lib/version.h"
#include "tools/manual.h"
#include "tools/messages.h"
#include "tools/microcode.h"
#include "tools/partition.h"
#include "tools/picture.h"
#include "tools/sets_show.h"
#include "tools/stick_file.h"
#include "tools/stick_image.h"

/* Where the assumed machine keeps the guests' files and, from there on, its free memory. */
#define FILES_BASE (16 * MIB)

struct options {
    unsigned cpus;
    uint64_t memory;
    bool assumed;
    const char *stick;
    bool map;            /* who has which CPU, memory and device is printed as well */
    const char *svg;     /* a picture is written there; NULL = none */
    char set;            /* that one is judged; 0 = the one that the next start is of */
    bool files;          /* what a stick needs of this config is listed, and where that is */
    const char *machine; /* hardware.toml; NULL = one is assumed */
};

void assert_failed(const char *expression, const char *file, unsigned line) {
    fprintf(stderr, "bhcheck: %s:%u: assertion failed: %s" MSG(7103) "\n", file, line, expression);
    abort();
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size != 0 ? size : 1);
    if (memory == NULL) {
        stick_file_no_memory();
    }
    return memory;
}

/* The whole file, or NULL with errno. */
static uint8_t *read_file(const char *path, size_t *size) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return NULL;
    }
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        fclose(f);
        errno = EISDIR;
        return NULL;
    }
    uint8_t *bytes = allocate((size_t)st.st_size);
    *size = fread(bytes, 1, (size_t)st.st_size, f);
    bool good = *size == (size_t)st.st_size;
    fclose(f);
    if (!good) {
        free(bytes);
        errno = EIO;
        return NULL;
    }
    return bytes;
}

static void add_range(struct boot_info *info, uint64_t base, uint64_t end, enum mem_kind kind) {
    if (end > base) {
        info->ranges[info->range_count++] =
            (struct mem_range){.base = HPA(base), .size = end - base, .kind = kind};
    }
}

/* A PC of the asked size: a hole from 3 GiB to 4 GiB, the guests' files at the bottom. What of them
 * has no room below the hole lies above it. */
static void make_machine(struct boot_info *info, const struct options *o, uint64_t files_end) {
    const uint64_t hole = 3 * GIB;
    uint64_t low = min_u64(o->memory, hole);
    uint64_t below = min_u64(files_end, low);
    uint64_t above = 4 * GIB + (files_end - below);
    info->cpu_count = o->cpus;
    for (unsigned i = 0; i < o->cpus; i++) {
        info->apic_ids[i] = i;
    }
    add_range(info, 0, MIB, MEM_RESERVED);
    add_range(info, MIB, below, MEM_BULKHEAD);
    add_range(info, below, low, MEM_FREE);
    add_range(info, hole, 4 * GIB, MEM_RESERVED);
    add_range(info, 4 * GIB, above, MEM_BULKHEAD);
    add_range(info, above, 4 * GIB + (o->memory - low), MEM_FREE);
}

/* As firmware does: from above. Free pages of the last ranges are Bulkhead's from then on. */
static void take_from_above(struct boot_info *info, uint64_t bytes) {
    for (uint32_t i = info->range_count; i-- > 0 && bytes != 0;) {
        struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_FREE) {
            continue;
        }
        if (r->size <= bytes) {
            r->kind = MEM_BULKHEAD;
            bytes -= r->size;
        } else if (info->range_count < BOOT_MAX_RANGES) {
            memmove(r + 2, r + 1, (info->range_count - i - 1) * sizeof(*r));
            info->range_count++;
            r[1] = (struct mem_range){HPA(r->base.v + r->size - bytes), bytes, MEM_BULKHEAD};
            r->size -= bytes;
            bytes = 0;
        }
    }
}

static int show_faults(const struct fault_list *faults) {
    for (uint32_t i = 0; i < faults->count; i++) {
        printf("%s\n", faults->faults[i].text);
    }
    if (faults->dropped != 0) {
        printf("... and %u more.\n", faults->dropped);
    }
    return 1;
}

static void show_plan(const struct boot_info *info, const struct plan *plan) {
    char text[24], enough[24], cpus[64];
    printf("%-20s %-8s %-8s %s\n", "guest", "cpus", "memory", "host memory");
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        printf("%-20s %-8s %-8s", vm->config->name,
               cpu_set_format(&vm->config->cpus, cpus, sizeof(cpus)),
               fmt_size(text, vm->config->memory));
        for (uint32_t j = 0; j < vm->region_count; j++) {
            const struct plan_region *r = &vm->regions[j];
            printf("%s 0x%llx-0x%llx", j != 0 ? "," : "", (unsigned long long)r->hpa.v,
                   (unsigned long long)(r->hpa.v + r->size - 1));
        }
        printf("\n");
    }
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct config_guest *guest = plan->vms[i].config;
        uint64_t advised = kernel_memory_missed(info, guest);
        if (advised != 0) {
            printf("warning: " KERNEL_MEMORY_MISSED "\n", guest->name,
                   fmt_size(text, guest->memory), fmt_size(enough, advised));
        }
    }
}

/* What only the machine itself can tell. */
static void show_unjudged(const struct boot_info *info) {
    for (uint32_t i = 0; !info->pci_listed && i < info->config.guest_count; i++) {
        if (info->config.guests[i].pci_count != 0) {
            printf("not judged: the PCI devices of guest \"%s\"; the boot does\n",
                   info->config.guests[i].name);
        }
    }
}

/* The machine of a file, with this stick's files in it. False: what is wrong was printed. */
static bool read_machine(struct boot_info *info, const char *path) {
    struct fault_list *faults = allocate(sizeof(*faults));
    uint64_t own = 0;
    size_t size = 0;
    char *text = (char *)read_file(path, &size);

    if (text == NULL) {
        printf("%s: %s" MSG(7104) "\n", path, strerror(errno));
        return false;
    }
    faults->file = path;
    bool good = hardware_read(text, size, info, &own, faults) == STATUS_OK;
    if (!good) {
        (void)show_faults(faults);
    }
    for (uint32_t i = 0; i < info->image_count; i++) {
        own += boot_image_room(info->images[i].size);
    }
    take_from_above(info, ALIGN_UP(own, PAGE_SIZE));
    pci_judge_walls(info); /* the start that wrote it may have had another config */
    free(text);
    free(faults);
    return good;
}

static bool draw_plan(const char *path, const struct boot_info *info, const struct plan *plan) {
    FILE *f = fopen(path, "wb");
    if (f != NULL) {
        picture_draw(f, info, plan);
    }
    if (f == NULL || fclose(f) != 0) {
        printf("%s: %s" MSG(7105) "\n", path, strerror(errno));
        return false;
    }
    return true;
}

static void report_plan(const char *text) {
    printf("a bug of Bulkhead: %s" MSG(7110) "\n", text);
}

static struct seal seal;

/* A stick_reader that uses no file which the application on the stick would not use. */
static const char *read_sealed(const char *path, hpa_t *base, uint64_t *size) {
    const char *why = stick_file_read(path, base, size);
    return why != NULL ? why : seal_judge(&seal, path, phys_pointer(*base), *size);
}

/* The firmware starts this file; without it the rest of the stick is of no use. */
static bool check_application(void) {
    hpa_t base = HPA(0);
    uint64_t size = 0;
    const char *why = stick_file_read(STICK_APPLICATION, &base, &size);
    if (why == NULL && (size < 2 || memcmp(phys_pointer(base), "MZ", 2) != 0)) {
        why = "this is no EFI application";
    }
    if (why == NULL) {
        seal_open(&seal, phys_pointer(base), size, false, false);
    }
    if (seal.there) {
        printf("%s: keeps to its list of %u files; whose signature it has, the firmware judges\n",
               STICK_APPLICATION, seal.files);
    }
    if (why != NULL) {
        printf("%s: %s. The firmware starts this file: copy build/BOOTX64.EFI there" MSG(7108) "\n",
               STICK_APPLICATION, why);
    }
    return why == NULL;
}

/* For mkstick: what the config names, and the microcode, and where this PC has it. */
static void show_files(const struct boot_info *info) {
    for (uint32_t i = 0; i < info->image_count; i++) {
        printf("file\t%s\t%s\n", info->images[i].path, stick_file_place(info->images[i].path));
    }
    microcode_list();
}

static int check_stick(const struct options *o) {
    struct boot_info *info = allocate(sizeof(*info));
    struct plan *plan = allocate(sizeof(*plan));
    struct fault_list *faults = allocate(sizeof(*faults));
    const char *place = stick_image_is(o->stick) ? stick_image_copy(o->stick) : o->stick;
    if (place == NULL) {
        return 2;
    }
    if (!stick_file_begin(place)) {
        printf("%s: %s; name a stick, its image, the folder where it is mounted, or a "
               "bulkhead.toml" MSG(7107) "\n",
               place, strerror(errno));
        return 1;
    }
    if (stick_file_is_alone()) {
        const char *slash = strrchr(place, '/');
        faults->file = slash != NULL ? slash + 1 : place;
    }
    bool starts = stick_file_is_alone() || check_application();
    if (!stick_file_is_alone()) {
        char next = sets_show();
        info->set = o->set != 0 ? o->set : next;
    }
    stick_read(info, read_sealed, faults);
    uint64_t next = FILES_BASE;
    for (uint32_t i = 0; i < info->image_count; i++) {
        next += ALIGN_UP(info->images[i].size, 2 * MIB);
    }
    if (o->machine == NULL) {
        make_machine(info, o, next);
    } else if (!read_machine(info, o->machine)) {
        return 1;
    }
    microcode_show(info->set, &seal, faults);
    if (stick_judge(info, plan, faults, report_plan) != STATUS_OK) {
        if (o->assumed) {
            printf("(assuming a machine of %u CPUs and 64G; see --cpus and --memory)\n", o->cpus);
        }
        return show_faults(faults);
    }
    if (o->files) {
        show_files(info);
        return 0;
    }
    show_plan(info, plan);
    show_unjudged(info);
    if (o->map) {
        partition_print(info, plan);
    }
    picture_print(&info->config, plan);
    bool drawn = o->svg == NULL || draw_plan(o->svg, info, plan);
    if (o->assumed) {
        printf("assumed: a machine of %u CPUs and 64G; the real one is checked at boot\n", o->cpus);
    }
    return starts && drawn ? 0 : 1;
}

static const char *toml_kind_name(const struct toml_item *item) {
    if (item->kind == TOML_TABLE) {
        return "table";
    }
    return item->array ? "array" : "value";
}

static void show_hex(const char *text) {
    printf(" ");
    for (; *text != '\0'; text++) {
        printf("%02x", (unsigned)(uint8_t)*text);
    }
}

/* One item of a TOML file a line, for the comparison with another TOML reader. */
static int show_toml(const char *path) {
    struct toml toml;
    struct toml_item item;
    struct fault_list *faults = allocate(sizeof(*faults));
    size_t size = 0;
    char *text = (char *)read_file(path, &size);
    if (text == NULL) {
        printf("%s: %s" MSG(7106) "\n", path, strerror(errno));
        return 2;
    }
    toml_init(&toml, text, size, faults);
    for (enum toml_kind kind = toml_next(&toml, &item); kind != TOML_END;
         kind = toml_next(&toml, &item)) {
        printf("%s", toml_kind_name(&item));
        for (uint32_t i = 0; i < item.depth && i < TOML_DEPTH_MAX; i++) {
            show_hex(item.names[i].text);
        }
        for (uint32_t i = 0; i < item.text_count; i++) {
            show_hex(item.value + item.texts[i].start);
        }
        bool plain = item.kind == TOML_PAIR && !item.array;
        if (plain) {
            show_hex(item.value);
        }
        if (plain && !item.quoted && !item.broken) {
            fault_add(faults, item.line, item.value_column,
                      "values without quotes are not supported" MSG(7109));
        }
        printf("\n");
    }
    free(text);
    return faults->count == 0 ? 0 : show_faults(faults);
}

static const char usage_text[] =
    "usage: bhcheck [--machine FILE | --cpus N --memory SIZE] [--set SET] [--map]\n"
    "               [--files] [--svg FILE] PLACE\n"
    "       bhcheck --explain KEY | NUMBER\n"
    "       bhcheck --manual\n"
    "       bhcheck --version | --help\n"
    "       bhcheck --toml FILE\n"
    "PLACE: a stick: its device, its image, or the folder where it is mounted. Its\n"
    "config, " STICK_CONFIG ", is checked, and the files it names.\n"
    "Or a config alone: the files are looked for beside it, as on a stick, and so is a\n"
    "folder \"" MICROCODE_FOLDER "\".\n"
    "--machine: judges for the machine of that " HARDWARE_FILE ", which Bulkhead\n"
    "writes at its start.\n"
    "--set: a or b of a stick with two sets, - for what lies beside them; without it the\n"
    "one that the next start is of.\n"
    "--files: lists the files that the config names, and the microcode, and no more.\n"
    "--map: shows whose each CPU, piece of memory and PCI device is.\n"
    "--svg: draws the same, who is on which wire and has which file.\n"
    "--explain: what a key of the config means, or a message that ends in a number.\n"
    "N: 1 to 1024, default 64. SIZE: such as 8G or 512M, default 64G.\n";

_Static_assert(CONFIG_MAX_CPUS == 1024, "the usage says how many");

/* word: that is not understood, or of which the next one is not; NULL = none is there. */
static int usage(const char *word) {
    fprintf(stderr, "%sbhcheck: wrong usage: %s" MSG(7101) "\n", usage_text,
            word != NULL ? word : "no PLACE");
    return 2;
}

/* A number with K, M or G; 0 if it is none. */
static uint64_t parse_memory(const char *s) {
    char *end = NULL;
    uint64_t number = strtoull(s, &end, 10);
    static const uint64_t units['M' + 1] = {['K'] = KIB, ['M'] = MIB, ['G'] = GIB};
    uint64_t unit = *end >= 0 && *end <= 'M' ? units[(unsigned char)*end] : 0;
    bool good =
        s[0] >= '0' && s[0] <= '9' && unit != 0 && end[1] == '\0' && number <= BIT(46) / unit;
    return good ? ALIGN_DOWN(number * unit, PAGE_SIZE) : 0;
}

int main(int argc, char **argv) {
    struct options o = {.cpus = 64, .memory = 64 * GIB, .assumed = true};
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
        manual_print();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("%s", usage_text);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("bhcheck of Bulkhead " BULKHEAD_VERSION "\n");
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--explain") == 0) {
        bool message = messages_is_number(argv[2]);
        bool known = message ? messages_explain(argv[2]) : manual_explain(argv[2]);
        return known ? 0 : 1;
    }
    if (argc == 3 && strcmp(argv[1], "--toml") == 0) {
        return show_toml(argv[2]);
    }
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--map") == 0 || strcmp(argv[i], "--files") == 0) {
            o.map = o.map || argv[i][2] == 'm';
            o.files = o.files || argv[i][2] == 'f';
            i--; /* it takes no word */
            continue;
        }
        if (strcmp(argv[i], "--set") == 0) {
            o.set = argv[i + 1][0];
            if ((o.set != 'a' && o.set != 'b' && o.set != SETS_PLAIN) || argv[i + 1][1] != '\0') {
                return usage(argv[i + 1]);
            }
            continue;
        }
        if (strcmp(argv[i], "--cpus") == 0) {
            char *end = NULL;
            unsigned long cpus = strtoul(argv[i + 1], &end, 10);
            if (*end != '\0' || cpus == 0 || cpus > CONFIG_MAX_CPUS) {
                return usage(argv[i + 1]);
            }
            o.cpus = (unsigned)cpus;
        } else if (strcmp(argv[i], "--memory") == 0) {
            o.memory = parse_memory(argv[i + 1]);
            if (o.memory == 0) {
                return usage(argv[i + 1]);
            }
        } else if (strcmp(argv[i], "--svg") == 0) {
            o.svg = argv[i + 1];
            continue;
        } else if (strcmp(argv[i], "--machine") == 0) {
            o.machine = argv[i + 1];
        } else {
            return usage(argv[i]);
        }
        o.assumed = false;
    }
    if (i == argc || argv[i][0] == '-') {
        return usage(argv[i]); /* argv ends in NULL */
    }
    if (i + 1 != argc) {
        return usage(argv[i + 1]);
    }
    o.stick = argv[i];
    return check_stick(&o);
}
