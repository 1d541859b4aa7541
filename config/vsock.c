// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives guests the socket devices of the config: who may connect to whom, and under which address
 * (CID) each is known. Called by plan.c and devices.c.
 */
#include "config/builder.h"
#include "hv/lib/str.h"

_Static_assert(CONFIG_MAX_VSOCKS <= ABI_VSOCK_PEERS, "room for all of them");

/* The first time that the guest's vsock names the other one; NULL if it does not. */
static const struct config_vsock *find_vsock(const struct config_guest *g, const char *other) {
    for (uint32_t i = 0; i < g->vsock_count; i++) {
        if (str_equal(g->vsocks[i].guest, other)) {
            return &g->vsocks[i];
        }
    }
    return NULL;
}

/* What joins these two: NULL if neither may connect to the other. */
static const struct config_vsock *find_link(const struct config_guest *g,
                                            const struct config_guest *other) {
    const struct config_vsock *link = find_vsock(g, other->name);
    return link != NULL ? link : find_vsock(other, g->name);
}

uint32_t cid_of(const struct config *config, uint32_t guest) {
    uint32_t cid = config->guests[guest].cid;
    return cid != 0 ? cid : CONFIG_FIRST_CID + guest;
}

/* ---- faults ---- */

static void judge_vsock(const struct builder *b, const struct config_guest *g,
                        const struct config_vsock *vsock) {
    const struct config *config = &b->info->config;
    const struct config_vsock *first = find_vsock(g, vsock->guest);
    const char *near = find_near_guest(config, g, vsock->guest);

    if (str_equal(vsock->guest, g->name)) {
        REFUSE(b, g, vsock->pos, "vsock = \"%s\" is the guest itself; remove it" MSG(1141),
               vsock->guest);
        return;
    }
    if (first != vsock) {
        REFUSE(b, g, vsock->pos,
               "vsock = \"%s\" is there already, on line %u; name each guest once" MSG(1142),
               vsock->guest, first->pos.line);
        return;
    }
    if (find_guest(config, vsock->guest) != NULL) {
        return;
    }
    if (near != NULL) {
        REFUSE(b, g, vsock->pos, "there is no guest \"%s\"; did you mean \"%s\"?" MSG(1143),
               vsock->guest, near);
    } else {
        REFUSE(b, g, vsock->pos, "there is no guest \"%s\"; add a table [guest.%s]" MSG(1144),
               vsock->guest, vsock->guest);
    }
}

/* Has it an address that others must not have? */
static bool has_cid(const struct config *config, const struct config_guest *g) {
    bool has = g->cid != 0 || g->vsock_count != 0;
    for (uint32_t i = 0; !has && i < config->guest_count; i++) {
        has = find_vsock(&config->guests[i], g->name) != NULL ||
              is_served_by(&config->guests[i], g->name);
    }
    return has;
}

/* Where it says so, or else where the guest begins. */
static struct config_pos cid_place(const struct config_guest *g) {
    return g->cid != 0 ? g->cid_pos : g->table_pos;
}

static void judge_cid(const struct builder *b, uint32_t guest) {
    const struct config *config = &b->info->config;
    const struct config_guest *g = &config->guests[guest];

    for (uint32_t i = 0; i < guest; i++) {
        const struct config_guest *other = &config->guests[i];
        if (has_cid(config, g) && has_cid(config, other) &&
            cid_of(config, i) == cid_of(config, guest)) {
            REFUSE(b, g, cid_place(g),
                   "its CID %u is that of guest \"%s\", on line %u; write another cid" MSG(1145),
                   cid_of(config, guest), other->name, cid_place(other).line);
        }
    }
}

/* ---- the plan ---- */

static void judge_vsocks(const struct builder *b) {
    const struct config *config = &b->info->config;

    for (uint32_t i = 0; i < config->guest_count; i++) {
        const struct config_guest *g = &config->guests[i];
        for (uint32_t n = 0; n < g->vsock_count; n++) {
            judge_vsock(b, g, &g->vsocks[n]);
        }
        judge_cid(b, i);
    }
}

void make_vsock_channels(const struct builder *b) {
    const struct config_guest *guests = b->info->config.guests;
    bool room = true;

    judge_vsocks(b);
    for (uint32_t i = 0; room && i < b->plan->vm_count; i++) {
        for (uint32_t j = i + 1; room && j < b->plan->vm_count; j++) {
            const struct config_vsock *link = find_link(&guests[i], &guests[j]);
            if (link != NULL) {
                room = add_channel(
                    b, &(struct plan_channel){.vms = {i, j}, .use = PLAN_VSOCK, .pos = link->pos});
            }
        }
    }
}

/* What the guest knows of who is at the other end. */
static struct abi_vsock_peer make_peer(const struct builder *b, const struct plan_channel *c,
                                       uint32_t self) {
    const struct config *config = &b->info->config;
    uint32_t other = c->vms[c->vms[0] == self];
    const struct config_guest *peer = &config->guests[other];
    const struct config_guest *g = &config->guests[self];

    if (c->use == PLAN_SERVED) {
        return (struct abi_vsock_peer){.cid = served_cid(c->vms[0], c->disk), .may_accept = true};
    }
    return (struct abi_vsock_peer){
        .cid = cid_of(config, other),
        .may_connect = find_vsock(g, peer->name) != NULL,
        .may_accept = find_vsock(peer, g->name) != NULL,
    };
}

/* Of a served disk, who serves it has an end of its own socket device. */
static bool is_for_vsock(const struct plan_channel *c, uint32_t self) {
    return (c->use == PLAN_VSOCK && channel_is_of(c, self)) ||
           (c->use == PLAN_SERVED && c->vms[1] == self);
}

void give_vsock(const struct builder *b, struct plan_vm *vm, uint32_t self) {
    struct abi_vsock *out = &vm->devices.vsock;

    out->first_channel = vm->devices.channel_count;
    for (uint32_t i = 0; i < b->plan->channel_count; i++) {
        struct plan_channel *c = &b->plan->channels[i];
        if (!is_for_vsock(c, self)) {
            continue;
        }
        if (out->peer_count == ABI_VSOCK_PEERS) {
            REFUSE(b, vm->config, c->pos,
                   "the guests that it has to do with by vsock and the disks that it serves are "
                   "more than %u; take some off" MSG(1146),
                   ABI_VSOCK_PEERS);
            return;
        }
        if (give_channel(b, c, self, c->pos) == NULL) {
            return;
        }
        out->cid = cid_of(&b->info->config, self);
        out->peers[out->peer_count++] = make_peer(b, c, self);
    }
}
