// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives guests the disks of the config that other guests serve: judges who serves whom, and puts a
 * channel for each into the plan. Called by devices.c and vsock.c.
 */
#include "config/builder.h"
#include "hv/lib/str.h"

_Static_assert(CONFIG_EXPORT_SIZE == ABI_EXPORT, "the same names");

bool is_served_by(const struct config_guest *g, const char *server) {
    bool served = false;
    for (uint32_t i = 0; i < g->disk_count; i++) {
        served =
            served || (g->disks[i].kind == DISK_SERVED && str_equal(g->disks[i].server, server));
    }
    return served;
}

/* ---- faults ---- */

static void judge_server(const struct builder *b, const struct config_guest *g,
                         const struct config_disk *disk) {
    const struct config *config = &b->info->config;
    const char *near = find_near_guest(config, g, disk->server);

    if (str_equal(disk->server, g->name)) {
        REFUSE(b, g, disk->pos,
               "disk \"%s\" is served by the guest itself; name another "
               "guest that serves it" MSG(1131),
               disk->name);
    } else if (find_guest(config, disk->server) != NULL) {
        return;
    } else if (near != NULL) {
        REFUSE(b, g, disk->pos,
               "disk \"%s\": there is no guest \"%s\"; did you mean \"%s\"?" MSG(1132), disk->name,
               disk->server, near);
    } else {
        REFUSE(b, g, disk->pos,
               "disk \"%s\": there is no guest \"%s\"; add a table "
               "[guest.%s] that serves it" MSG(1133),
               disk->name, disk->server, disk->server);
    }
}

/* All guests that the guest's disks come from, over others as well: a bit for each. */
static uint32_t reach(const struct config *config, const struct config_guest *from) {
    uint32_t reached = 0, before = 1;

    while (reached != before) {
        before = reached;
        for (uint32_t i = 0; i < config->guest_count; i++) {
            const struct config_guest *g = &config->guests[i];
            bool counts = g == from || (reached >> i & 1) != 0;
            for (uint32_t j = 0; counts && j < config->guest_count; j++) {
                reached |= (uint32_t)is_served_by(g, config->guests[j].name) << j;
            }
        }
    }
    return reached;
}

/* A guest's start waits for its disks, and so for the guests that serve them. */
static void judge_circle(const struct builder *b, const struct config_guest *g) {
    const struct config *config = &b->info->config;
    uint32_t self = (uint32_t)(g - config->guests);

    for (uint32_t i = 0; i < g->disk_count; i++) {
        const struct config_disk *disk = &g->disks[i];
        const struct config_guest *server = find_guest(config, disk->server);
        bool other = disk->kind == DISK_SERVED && server != NULL && server != g;
        if (other && (reach(config, server) >> self & 1) != 0) {
            REFUSE(b, g, disk->pos,
                   "disk \"%s\" comes from guest \"%s\", whose own disks come from this one; take "
                   "one of them from elsewhere" MSG(1134),
                   disk->name, disk->server);
            return;
        }
    }
}

/* ---- the plan ---- */

static bool add_served_channel(const struct builder *b, uint32_t self, uint32_t disk) {
    const struct config *config = &b->info->config;
    const struct config_disk *d = &config->guests[self].disks[disk];
    const struct config_guest *server = find_guest(config, d->server);

    if (server == NULL || server == &config->guests[self]) {
        return true;
    }
    return add_channel(b, &(struct plan_channel){.vms = {self, (uint32_t)(server - config->guests)},
                                                 .use = PLAN_SERVED,
                                                 .disk = disk,
                                                 .pos = d->pos});
}

void make_served_channels(const struct builder *b) {
    const struct config *config = &b->info->config;
    bool room = true;

    for (uint32_t i = 0; i < config->guest_count; i++) {
        const struct config_guest *g = &config->guests[i];
        for (uint32_t n = 0; room && n < g->disk_count; n++) {
            if (g->disks[n].kind == DISK_SERVED) {
                judge_server(b, g, &g->disks[n]);
                room = add_served_channel(b, i, n);
            }
        }
        judge_circle(b, g);
    }
}

bool give_served(const struct builder *b, struct plan_vm *vm, uint32_t self, uint32_t disk) {
    const struct config_disk *d = &vm->config->disks[disk];
    struct abi_served *out = &vm->devices.served[disk];

    for (uint32_t i = 0; i < b->plan->channel_count; i++) {
        struct plan_channel *c = &b->plan->channels[i];
        if (c->use != PLAN_SERVED || c->vms[0] != self || c->disk != disk) {
            continue;
        }
        if (give_channel(b, c, self, d->pos) == NULL) {
            return false;
        }
        *out = (struct abi_served){.cid = served_cid(self, disk),
                                   .server = cid_of(&b->info->config, c->vms[1]),
                                   .channel = c->numbers[0],
                                   .read_only = d->read_only};
        (void)str_copy_n(out->export, sizeof(out->export), d->export, strlen(d->export));
        return true;
    }
    return false;
}
