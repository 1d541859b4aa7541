/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine as a file, hardware.toml: written by boot/, so that tools/bhcheck can judge a config
 * for that machine on another PC. And a config to start from that fits it. Pure.
 */
#pragma once

#include "config/cpus.h"
#include "config/fault.h"
#include "hv/lib/status.h"

#define HARDWARE_FILE    "bulkhead/hardware.toml"
#define HARDWARE_STARTER "bulkhead/starter.toml"
#define HARDWARE_MAX     (512 * KIB)
#define STARTER_MAX      (4 * KIB)

/*
 * Length of the text, which ends with a NUL in buf; 0 if it does not fit in size bytes. facts: of
 * each CPU. seconds: Unix time. The pre-flight's lines stand in it as remarks.
 */
size_t hardware_write(const struct boot_info *info, const struct preflight_cpu *cpu,
                      const struct cpu_facts *facts, const struct preflight_report *report,
                      char *buf, size_t size);

/* A config with remarks that a machine like this can run: the same about length and size. */
size_t hardware_write_starter(const struct boot_info *info, char *buf, size_t size);

/*
 * The file's text into *info, which was all zero: CPUs, memory, devices. STATUS_INVALID: what is
 * wrong is in *faults, with lines and columns of that file. *own: bytes that Bulkhead had there for
 * itself, without the guests' files: they are free in *info.
 */
MUST_USE enum status hardware_read(const char *text, size_t length, struct boot_info *info,
                                   uint64_t *own, struct fault_list *faults);

/* For both directions: an unsigned number of struct boot_pci, or a flag. */
struct hardware_field {
    const char *name;
    size_t at, size;
    bool flag; /* 0 or 1 */
};
extern const struct hardware_field hardware_fields[];
extern const char *const hardware_verdicts[]; /* by enum boot_pci_verdict */
extern const char *const hardware_memory[];   /* by enum mem_kind */
extern const char *const hardware_iommus[];   /* by enum boot_iommu_kind */
#define HARDWARE_VERDICTS (BOOT_PCI_ALONE + 1u)
#define HARDWARE_NONE     UINT64_MAX
