/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second VM beside the machine's of cpus.h, for another to move to: of the same plan, with RAM,
 * budget and CPUs of its own.
 */
#pragma once

#include "cpus.h"

static struct vm_public to_public;
static struct vm *to_vm;
static struct plan_vm to_plan;
static struct config_guest to_config;

/* Its plan, after cpus_machine(): RAM of so many bytes, all of them fill; CPUs from that one on. */
static void other_plan(uint64_t size, uint8_t fill, uint32_t first_cpu) {
    static void *ram, *budget;

    free(ram);
    free(budget);
    ram = aligned_alloc(2 * MIB, size);
    budget = aligned_alloc(PAGE_SIZE, FAKE_BUDGET);
    memset(ram, fill, size);
    to_config = fake_config;
    strcpy(to_config.name, "other");
    to_config.memory = size;
    to_plan = fake_plan;
    to_plan.config = &to_config;
    for (uint32_t i = 0; i < to_plan.cpu_count; i++) {
        to_plan.cpus[i] = first_cpu + i;
    }
    to_plan.regions[0] = (struct plan_region){GPA(0), HPA((uintptr_t)ram), size};
    to_plan.budget_base = HPA((uintptr_t)budget);
}
