/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way from a stick to a plan; see stick.h. Called by boot/ and tools/bhcheck. */
#include "config/stick.h"

#include "config/kernel.h"
#include "config/parse.h"
#include "config/plan.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

void stick_read_config(struct boot_info *info, stick_reader *read, struct fault_list *faults) {
    char path[SETS_PATH_SIZE];
    hpa_t base = HPA(0);
    uint64_t size = 0;
    const char *why = read(sets_own(info->set, STICK_OWN_CONFIG, path), &base, &size);

    if (why != NULL) {
        bool missing = str_equal(why, STICK_MISSING);
        const char *fix = ". It says which guests to run: write one (see docs/config.md)";
        config_preset(&info->config);
        fault_add(faults, 0, 0, "%s: %s%s" MSG(1181), path, why, missing ? fix : "");
        return;
    }
    info->config_text = base;
    info->config_size = size;
    /* Its faults are counted in the list. */
    (void)config_parse(phys_pointer(base), size, &info->config, faults);
}

/* A file that cannot be got stays in the list with the reason, so that it is tried once only. */
static void read_image(struct boot_info *info, stick_reader *read, const char *path) {
    struct boot_image *image = &info->images[info->image_count];
    char place[SETS_PATH_SIZE];

    if (path[0] == '\0' || boot_info_find_image(info, path) != NULL) {
        return;
    }
    ASSERT(info->image_count < BOOT_MAX_IMAGES);
    *image = (struct boot_image){.size = 0};
    str_copy_n(image->path, sizeof(image->path), path, strlen(path));
    image->problem = read(sets_file(info->set, path, place), &image->base, &image->size);
    if (image->problem != NULL) {
        image->size = 0;
    }
    info->image_count++;
}

void stick_read(struct boot_info *info, stick_reader *read, struct fault_list *faults) {
    stick_read_config(info, read, faults);
    if (info->safe) {
        stick_make_safe(&info->config);
    }
    for (uint32_t i = 0; i < info->config.guest_count; i++) {
        const struct config_guest *guest = &info->config.guests[i];
        read_image(info, read, guest->kernel);
        read_image(info, read, guest->initrd);
        for (uint32_t d = 0; d < guest->disk_count; d++) {
            read_image(info, read, guest->disks[d].path);
        }
        for (uint32_t p = 0; p < guest->pmem_count; p++) {
            read_image(info, read, guest->pmems[p].path);
        }
    }
}

enum status stick_judge(const struct boot_info *info, struct plan *plan, struct fault_list *faults,
                        plan_report *report) {
    kernel_check_guests(info, faults);
    enum status status = plan_build(info, plan, faults);
    return status == STATUS_OK ? plan_check(info, plan, report) : status;
}
