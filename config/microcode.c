/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two formats of microcode files. Intel's is updates one after the other, each with a header
 * and perhaps a table of more CPUs that it is for. AMD's is a table of CPUs with a number for each
 * kind, and patches for kinds; such containers may follow one another. What the CPU itself checks
 * (the signature under the update) is left to it.
 * Sources: Intel SDM vol. 3 "Microcode Update Facilities"; AMD BKDG and PPR "Microcode Patch
 * Loading"; the files of Debian's intel-microcode and amd64-microcode.
 */
#include "config/microcode.h"

#include "hv/lib/str.h"

/* Intel's header: twelve words. */
enum intel_word {
    INTEL_VERSION,
    INTEL_REVISION,
    INTEL_DATE,
    INTEL_SIGNATURE,
    INTEL_CHECKSUM,
    INTEL_LOADER,
    INTEL_PLATFORMS,
    INTEL_DATA_SIZE,
    INTEL_TOTAL_SIZE,
    INTEL_WORDS = 12 /* three of them reserved */
};
#define INTEL_HEADER_SIZE    (4u * INTEL_WORDS)
#define INTEL_HEADER_VERSION 1u
#define INTEL_USUAL_DATA     2000u /* where the header says 0 */
#define INTEL_USUAL_TOTAL    2048u
#define INTEL_UNIT           1024u /* total sizes are multiples of it */
/* The table behind the data: count, checksum, three words; and each entry: signature, platforms,
 * checksum. */
#define INTEL_TABLE_HEADER   20u
#define INTEL_TABLE_ENTRY    12u

#define AMD_MAGIC          0x00414d44u
#define AMD_SECTION_HEADER 8u /* type, size */
#define AMD_SECTION_TABLE  0u
#define AMD_SECTION_PATCH  1u
/* Entry: CPUID.1:EAX, two words, the number of the kind in 16 bits. Signature 0 ends the table. */
#define AMD_ENTRY          16u
#define AMD_ENTRY_KIND     12u
#define AMD_PATCH_HEADER   64u
#define AMD_PATCH_REVISION 4u
#define AMD_PATCH_BRIDGES  16u /* two words: 0, or the patch is for a chipset as well */
#define AMD_PATCH_KIND     24u

/* A part of the file that is still to be read. */
struct rest {
    const uint8_t *bytes;
    size_t size;
};

static uint32_t word_at(const uint8_t *bytes, size_t at) {
    uint32_t word;
    memcpy(&word, bytes + at, sizeof(word));
    return word;
}

static uint16_t half_at(const uint8_t *bytes, size_t at) {
    uint16_t half;
    memcpy(&half, bytes + at, sizeof(half));
    return half;
}

static uint32_t word_sum(const uint8_t *bytes, size_t size) {
    uint32_t sum = 0;
    for (size_t at = 0; at < size; at += sizeof(sum)) {
        sum += word_at(bytes, at);
    }
    return sum;
}

static void skip(struct rest *rest, size_t size) {
    rest->bytes += size;
    rest->size -= size;
}

static bool refuse(struct microcode_file *out, const char *fault) {
    out->fault = fault;
    return false;
}

/* The newest counts; of two alike the first. */
static void offer(const struct microcode_cpu *cpu, struct microcode_file *out,
                  const struct microcode_update *update) {
    bool better = out->newest.bytes == NULL || update->revision > out->newest.revision;
    if (update->revision >= cpu->revision && better) {
        out->newest = *update;
    }
}

static bool intel_is_for(const struct microcode_cpu *cpu, uint32_t signature, uint32_t platforms) {
    bool any = platforms == 0 && cpu->platform == 0;
    return signature == cpu->signature && (any || (platforms & cpu->platform) != 0);
}

/* Data and table lie in the total; *data_size is the data's. */
static bool intel_check_sizes(const struct rest *rest, uint32_t *data_size, uint32_t *total,
                              struct microcode_file *out) {
    if (rest->size < INTEL_HEADER_SIZE) {
        return refuse(out, "it is cut off in a header");
    }
    uint32_t version = word_at(rest->bytes, 4 * INTEL_VERSION);
    uint32_t loader = word_at(rest->bytes, 4 * INTEL_LOADER);
    if (version != INTEL_HEADER_VERSION || loader != INTEL_HEADER_VERSION) {
        return refuse(out, "it has a header of an unknown kind");
    }
    *data_size = word_at(rest->bytes, 4 * INTEL_DATA_SIZE);
    *total = word_at(rest->bytes, 4 * INTEL_TOTAL_SIZE);
    if (*data_size == 0) {
        *data_size = INTEL_USUAL_DATA;
        *total = INTEL_USUAL_TOTAL;
    }
    if (*data_size % sizeof(uint32_t) != 0 || *total % INTEL_UNIT != 0 ||
        *total < INTEL_HEADER_SIZE || *data_size > *total - INTEL_HEADER_SIZE) {
        return refuse(out, "it has a header with impossible sizes");
    }
    if (*total > rest->size) {
        return refuse(out, "it is cut off in an update");
    }
    return true;
}

/* The CPUs beside the header's own; true into *match if ours is among them. */
static bool intel_read_table(const uint8_t *table, size_t size, const struct microcode_cpu *cpu,
                             bool *match, struct microcode_file *out) {
    if (size < INTEL_TABLE_HEADER) {
        return refuse(out, "it has a table of CPUs that is cut off");
    }
    uint32_t count = word_at(table, 0);
    if (count > (size - INTEL_TABLE_HEADER) / INTEL_TABLE_ENTRY) {
        return refuse(out, "it has a table of CPUs that is cut off");
    }
    if (word_sum(table, INTEL_TABLE_HEADER + count * INTEL_TABLE_ENTRY) != 0) {
        return refuse(out, "it is damaged (checksum of a table of CPUs)");
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = table + INTEL_TABLE_HEADER + i * INTEL_TABLE_ENTRY;
        *match = *match || intel_is_for(cpu, word_at(entry, 0), word_at(entry, 4));
    }
    return true;
}

static bool intel_read_update(struct rest *rest, const struct microcode_cpu *cpu,
                              struct microcode_file *out) {
    const uint8_t *bytes = rest->bytes;
    uint32_t data_size, total;
    if (!intel_check_sizes(rest, &data_size, &total, out)) {
        return false;
    }
    uint32_t used = INTEL_HEADER_SIZE + data_size;
    if (word_sum(bytes, used) != 0) {
        return refuse(out, "it is damaged (checksum of an update)");
    }

    bool match =
        intel_is_for(cpu, word_at(bytes, 4 * INTEL_SIGNATURE), word_at(bytes, 4 * INTEL_PLATFORMS));
    if (used < total && !intel_read_table(bytes + used, total - used, cpu, &match, out)) {
        return false;
    }

    if (match && !cpu->amd) {
        offer(cpu, out,
              &(struct microcode_update){bytes, total, INTEL_HEADER_SIZE,
                                         word_at(bytes, 4 * INTEL_REVISION)});
    }
    out->updates++;
    skip(rest, total);
    return true;
}

/* The section's contents; what is behind it stays in *rest. */
static bool amd_take_section(struct rest *rest, uint32_t type, struct rest *section,
                             struct microcode_file *out) {
    if (rest->size < AMD_SECTION_HEADER) {
        return refuse(out, "it is cut off in a header");
    }
    uint32_t size = word_at(rest->bytes, 4);
    if (word_at(rest->bytes, 0) != type) {
        return refuse(out, "it has a part of an unknown kind");
    }
    skip(rest, AMD_SECTION_HEADER);
    if (size > rest->size) {
        return refuse(out, "it is cut off");
    }
    *section = (struct rest){rest->bytes, size};
    skip(rest, size);
    return true;
}

/* The number of the CPU's kind; 0 if the table does not have it. */
static uint16_t amd_find_kind(struct rest table, uint32_t signature) {
    while (table.size >= AMD_ENTRY && word_at(table.bytes, 0) != 0) {
        if (word_at(table.bytes, 0) == signature) {
            return half_at(table.bytes, AMD_ENTRY_KIND);
        }
        skip(&table, AMD_ENTRY);
    }
    return 0;
}

static bool amd_read_container(struct rest *rest, const struct microcode_cpu *cpu,
                               struct microcode_file *out) {
    struct rest table, patch;
    skip(rest, sizeof(uint32_t)); /* the magic word */
    if (!amd_take_section(rest, AMD_SECTION_TABLE, &table, out)) {
        return false;
    }
    uint16_t kind = cpu->amd ? amd_find_kind(table, cpu->signature) : 0;

    while (rest->size != 0 &&
           (rest->size < sizeof(uint32_t) || word_at(rest->bytes, 0) != AMD_MAGIC)) {
        if (!amd_take_section(rest, AMD_SECTION_PATCH, &patch, out)) {
            return false;
        }
        if (patch.size < AMD_PATCH_HEADER) {
            return refuse(out, "it has a patch without a header");
        }
        bool plain = word_at(patch.bytes, AMD_PATCH_BRIDGES) == 0 &&
                     word_at(patch.bytes, AMD_PATCH_BRIDGES + 4) == 0;
        if (kind != 0 && half_at(patch.bytes, AMD_PATCH_KIND) == kind && plain) {
            offer(cpu, out,
                  &(struct microcode_update){patch.bytes, (uint32_t)patch.size, 0,
                                             word_at(patch.bytes, AMD_PATCH_REVISION)});
        }
        out->updates++;
    }
    return true;
}

enum status microcode_read(const uint8_t *bytes, size_t size, const struct microcode_cpu *cpu,
                           struct microcode_file *out) {
    struct rest rest = {bytes, size};
    bool good = true;
    *out = (struct microcode_file){.updates = 0};
    if (size < sizeof(uint32_t) || size > MICROCODE_FILE_MAX) {
        out->fault = "it is no microcode (its size)";
        return STATUS_INVALID;
    }
    out->amd = word_at(bytes, 0) == AMD_MAGIC;
    if (!out->amd && word_at(bytes, 0) != INTEL_HEADER_VERSION) {
        out->fault = "it is no microcode";
        return STATUS_INVALID;
    }
    while (good && rest.size != 0) {
        good = out->amd ? amd_read_container(&rest, cpu, out) : intel_read_update(&rest, cpu, out);
    }
    if (!good) {
        out->newest = (struct microcode_update){.bytes = NULL};
        return STATUS_INVALID;
    }
    return STATUS_OK;
}
