/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of config/stick.c: what is read, how often, and that each fault is there in one run.
 */
#include "config/stick.h"
#include "hv/lib/phys.h"
#include "tests/unit/machine.h"

static const char *config_text, *config_problem;
static unsigned config_reads, kernel_reads, broken_reads;

static const char *give(const void *bytes, size_t n, hpa_t *base, uint64_t *size) {
    *base = phys_address(bytes);
    *size = n;
    return NULL;
}

static const char *read_file(const char *path, hpa_t *base, uint64_t *size) {
    if (strcmp(path, STICK_CONFIG) == 0) {
        config_reads++;
        return config_problem != NULL ? config_problem
                                      : give(config_text, strlen(config_text), base, size);
    }
    if (strcmp(path, "guests/vmlinuz") == 0) {
        kernel_reads++;
        return give(kernel_file, sizeof(kernel_file), base, size);
    }
    if (strcmp(path, "guests/broken") == 0) { /* half of it came */
        broken_reads++;
        give(kernel_file, sizeof(kernel_file) / 2, base, size);
        return STICK_UNREADABLE;
    }
    return strcmp(path, "guests") == 0 ? STICK_FOLDER : STICK_MISSING;
}

static enum status run(const char *text) {
    config_text = text;
    config_reads = kernel_reads = broken_reads = 0;
    memset(&faults, 0, sizeof(faults));
    make_machine();
    machine.image_count = 0;
    stick_read(&machine, read_file, &faults);
    return stick_judge(&machine, &plan, &faults, report_plan);
}

#define GUEST_OF(name, cpu, kernel)                                                                \
    "[guest." name "]\ncpus = \"" cpu "\"\nmemory = \"64M\"\nkernel = \"" kernel "\"\n"

TEST(good) {
    CHECK(run(GUEST_OF("a", "1", "guests/vmlinuz") GUEST_OF("b", "2", "guests/vmlinuz")) ==
          STATUS_OK);
    show_faults();
    CHECK_U64(kernel_reads, 1);
    CHECK_U64(machine.image_count, 1);
    CHECK(plan.vms[1].kernel == &machine.images[0]);
    CHECK(machine.images[0].problem == NULL);
}

/* One file that cannot be read keeps no other fault from the list. */
TEST(all_in_one_run) {
    static const struct want want[] = {
        {"4:10:", "kernel = \"guests/broken\": the file cannot be read"},
        {"6:8:", "CPU 9 does not exist"},
        {"8:10:", "kernel = \"guests\": this is a folder"},
        {"12:10:", "no such file on the stick; copy it there, or correct the path"},
        {"14:8:", "CPU 1 was given to guest \"a\""},
        {"16:10:", "kernel = \"guests/broken\": the file cannot be read"},
        {"17:1:", "unknown key"},
    };
    enum status status = run(GUEST_OF("a", "1", "guests/broken") GUEST_OF("b", "9", "guests")
                                 GUEST_OF("c", "2", "guests/none")
                                     GUEST_OF("d", "1", "guests/broken") "nonsense = 1\n");
    check_faults(status, want, ARRAY_SIZE(want));
    CHECK_U64(broken_reads, 1);
}

/* A file that several guests name as a kernel, a disk or an image is in memory once. */
TEST(one_copy_for_all) {
    static const struct want want[] = {
        {"5:7:", "disk = \"guests/broken\": the file cannot be read"},
        {"11:7:", "disk = \"guests/broken\": the file cannot be read"}};
    CHECK(
        run(GUEST_OF("a", "1", "guests/vmlinuz") "disk=['a:guests/vmlinuz:ro']\n" GUEST_OF(
            "b", "2", "guests/vmlinuz") "disk=['a:guests/vmlinuz:volatile:16M','b:blank:16M']\n") ==
        STATUS_OK);
    show_faults();
    CHECK_U64(kernel_reads, 1);
    CHECK_U64(machine.image_count, 1);
    CHECK_U64(plan.vms[0].windows[0].hpa.v, machine.images[0].base.v);
    CHECK_U64(plan.vms[1].windows[0].hpa.v, machine.images[0].base.v);

    enum status status =
        run(GUEST_OF("a", "1", "guests/vmlinuz") "disk=['a:guests/broken:ro']\npmem=[]\n" GUEST_OF(
            "b", "2", "guests/vmlinuz") "disk=['a:guests/broken:ro']\n");
    check_faults(status, want, ARRAY_SIZE(want));
    CHECK_U64(broken_reads, 1);
}

/* Nothing was chosen by the admin then: every key has its preset. */
TEST(no_config) {
    static const struct want want = {" bulkhead/bulkhead.toml: ", "this is a folder"};
    config_problem = STICK_FOLDER;
    check_faults(run(""), &want, 1);
    config_problem = NULL;
    CHECK(machine.config.mitigate);
    CHECK_U64(machine.config.console, CONSOLE_AUTO);
    CHECK_U64(config_reads, 1);
}

/* To write one is the fix only where there is none. */
TEST(config_fix) {
    config_problem = "altered; put it back";
    (void)run("");
    CHECK_STR(faults.faults[0].text,
              "bulkhead.toml: bulkhead/bulkhead.toml: altered; put it back [BH1181]");
    config_problem = STICK_MISSING;
    (void)run("");
    CHECK(strstr(faults.faults[0].text, "no such file on the stick. It says which guests") != NULL);
    config_problem = NULL;
}

/* Of a set all that is read lies in its folder, and messages tell the config's own paths. */
static char paths_read[256];

static const char *read_of_set(const char *path, hpa_t *base, uint64_t *size) {
    (void)snprintf(paths_read + strlen(paths_read), sizeof(paths_read) - strlen(paths_read), "%s\n",
                   path);
    if (strcmp(path, "bulkhead/b/bulkhead.toml") == 0) {
        return give(config_text, strlen(config_text), base, size);
    }
    return strcmp(path, "bulkhead/b/guests/vmlinuz") == 0
               ? give(kernel_file, sizeof(kernel_file), base, size)
               : STICK_MISSING;
}

static void read_set(bool safe) {
    config_text = GUEST_OF("a", "1", "guests/vmlinuz") GUEST_OF("b", "2", "guests/other");
    paths_read[0] = '\0';
    memset(&faults, 0, sizeof(faults));
    make_machine();
    machine.image_count = 0;
    machine.set = 'b';
    machine.safe = safe;
    stick_read(&machine, read_of_set, &faults);
    machine.safe = false;
}

TEST(a_set) {
    read_set(false);
    CHECK_STR(paths_read, "bulkhead/b/bulkhead.toml\nbulkhead/b/guests/vmlinuz\n"
                          "bulkhead/b/guests/other\n");
    CHECK_STR(machine.images[0].path, "guests/vmlinuz");
    CHECK(stick_judge(&machine, &plan, &faults, report_plan) != STATUS_OK);
    CHECK(strstr(faults.faults[0].text, "\"guests/other\": no such file") != NULL);
    machine.set = 'a';
    memset(&faults, 0, sizeof(faults));
    stick_read_config(&machine, read_of_set, &faults);
    CHECK(strstr(faults.faults[0].text, "bulkhead/a/bulkhead.toml: no such") != NULL);
    machine.set = 0;
}

/* Files of guests that are left out are not even read. */
TEST(a_safe_set) {
    read_set(true);
    CHECK_STR(paths_read, "bulkhead/b/bulkhead.toml\nbulkhead/b/guests/vmlinuz\n");
    CHECK(stick_judge(&machine, &plan, &faults, report_plan) == STATUS_OK);
    CHECK_U64(plan.vm_count, 1);
    machine.set = 0;
}

TEST_MAIN(T(good), T(all_in_one_run), T(one_copy_for_all), T(no_config), T(config_fix), T(a_set),
          T(a_safe_set))
