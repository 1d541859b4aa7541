/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that build a plan (plan.c, devices.c, vsock.c) have in common. */
#pragma once

#include "config/plan.h"

#define NODE_ANY UINT32_MAX /* of an extent: nobody's; of who takes memory: whosever it is */

struct extent {
    uint64_t base, size;
    uint32_t node;
};

struct builder {
    const struct boot_info *info;
    struct plan *plan;
    struct fault_list *faults;
};

#define REFUSE(b, guest, pos, text, ...)                                                           \
    fault_add((b)->faults, (pos).line, (pos).column, "guest \"%s\": " text, (guest)->name,         \
              __VA_ARGS__)

/*
 * Takes memory for gpa, congruent to it modulo align: from the first extent that has all size
 * bytes, else as much as the largest has, in whole aligns; of size 0 if there is none. Only from
 * the node's, or with NODE_ANY from all.
 */
struct extent take_memory(uint32_t node, uint64_t gpa, uint64_t size, uint64_t align);

/* The same from any node, but all of it or nothing: of size 0 then. */
struct extent take_whole(uint64_t gpa, uint64_t size, uint64_t align);

/* Bytes of free memory that nobody has taken. */
uint64_t count_free(void);

/* The image a path names; NULL without a path, and with a report if there is nothing in it. */
const struct boot_image *find_file(const struct builder *b, const struct config_guest *g,
                                   const char *key, const char *path, struct config_pos pos);

/* One more of the plan; false, and said why, if there are too many. */
bool add_channel(const struct builder *b, const struct plan_channel *channel);

static inline bool channel_is_of(const struct plan_channel *c, uint32_t vm) {
    return c->vms[0] == vm || c->vms[1] == vm;
}

/* The end of VM self: the next of its channels. NULL, and said why at pos, if it has too many. */
struct abi_channel *give_channel(const struct builder *b, struct plan_channel *channel,
                                 uint32_t self, struct config_pos pos);

/* Channels for vsock, and then each VM's device, by which it also serves disks. */
void make_vsock_channels(const struct builder *b);
void give_vsock(const struct builder *b, struct plan_vm *vm, uint32_t self);
/* The guest of that name, or NULL. The name of one, but not g, that may have been meant; or NULL.
 */
const struct config_guest *find_guest(const struct config *config, const char *name);
const char *find_near_guest(const struct config *config, const struct config_guest *g,
                            const char *name);
/* The address of a guest, and that by which it knows another one's disk that it serves. */
uint32_t cid_of(const struct config *config, uint32_t guest);
static inline uint32_t served_cid(uint32_t guest, uint32_t disk) {
    return CONFIG_LAST_CID + 1 + guest * CONFIG_MAX_DISKS + disk;
}

/* Channels for disks that other guests serve, and then such a disk. False, and said why: it cannot
 * be. */
void make_served_channels(const struct builder *b);
bool give_served(const struct builder *b, struct plan_vm *vm, uint32_t self, uint32_t disk);
/* Is any of the guest's disks served by that one? */
bool is_served_by(const struct config_guest *g, const char *server);

/* The same for named ports. */
void make_port_channels(const struct builder *b);
void give_ports(const struct builder *b, struct plan_vm *vm, uint32_t self);
/* And the guests that it may control, once all have CPUs. */
void give_control(const struct builder *b, struct plan_vm *vm);

/* One more for the VM's compartment, above those that it has: size bytes at hpa, which 2 MiB pages
 * may map if there are so many. There is room for all that a config can ask for. */
struct plan_window *add_window(struct plan_vm *vm, enum plan_window_kind kind, hpa_t hpa,
                               uint64_t size);
/* The lowest address after all windows so far; above the guest's RAM, and the compartment. */
uint64_t next_gpa(const struct plan_vm *vm);
/* Where the compartment sees what its tables have at gpa. */
uint64_t in_compartment(uint64_t gpa);

/* Which windows each VM has and where; its disks, network adapters, sockets and ports. */
void give_windows(const struct builder *b);
/* PCI devices of the machine; none if nobody has listed them. */
void give_pcis(const struct builder *b);
/* Memory for those windows that need some: once all guests have theirs. */
void give_stores(const struct builder *b);
