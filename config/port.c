// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives guests the named ports of the config: each joins exactly two guests, those that name it.
 * Called by devices.c.
 */
#include "config/builder.h"
#include "hv/lib/str.h"

_Static_assert(CONFIG_MAX_PORTS == ABI_PORTS && CONFIG_NAME_SIZE == ABI_PORT_NAME,
               "the same ports");

/* The first time that the guest names it; NULL if it does not. */
static const struct config_port *find_port(const struct config_guest *g, const char *name) {
    for (uint32_t i = 0; i < g->port_count; i++) {
        if (str_equal(g->ports[i].name, name)) {
            return &g->ports[i];
        }
    }
    return NULL;
}

/* ---- faults ---- */

/* A port of another guest that may have been meant; NULL if there is none. */
static const char *find_near(const struct config *config, const struct config_guest *g,
                             const char *name) {
    for (const struct config_guest *o = config->guests; o < config->guests + config->guest_count;
         o++) {
        for (uint32_t i = 0; o != g && i < o->port_count; i++) {
            if (str_is_near(name, o->ports[i].name)) {
                return o->ports[i].name;
            }
        }
    }
    return NULL;
}

static void judge_lonely(const struct builder *b, const struct config_guest *g,
                         const struct config_port *port) {
    const char *near = find_near(&b->info->config, g, port->name);

    if (near != NULL) {
        REFUSE(b, g, port->pos, "no other guest names port \"%s\"; did you mean \"%s\"?" MSG(1151),
               port->name, near);
    } else {
        REFUSE(b, g, port->pos,
               "no other guest names port \"%s\"; write port = [\"%s\"] for "
               "one, or remove it" MSG(1152),
               port->name, port->name);
    }
}

/* The first two that name it are joined; each further one is a fault. */
static void judge_port(const struct builder *b, const struct config_guest *g,
                       const struct config_port *port) {
    const struct config *config = &b->info->config;
    const struct config_guest *before[2] = {NULL, NULL};
    uint32_t others = 0, earlier = 0;

    for (const struct config_guest *o = config->guests; o < config->guests + config->guest_count;
         o++) {
        bool names = o != g && find_port(o, port->name) != NULL;
        others += names;
        if (names && o < g && earlier < 2) {
            before[earlier++] = o;
        }
    }
    if (find_port(g, port->name) != port) {
        REFUSE(b, g, port->pos,
               "port \"%s\" is there already, on line %u; name each once" MSG(1153), port->name,
               find_port(g, port->name)->pos.line);
    } else if (others == 0) {
        judge_lonely(b, g, port);
    } else if (earlier == 2) {
        REFUSE(
            b, g, port->pos,
            "port \"%s\" joins guests \"%s\" and \"%s\" already, and no more than two; give this "
            "one another name" MSG(1154),
            port->name, before[0]->name, before[1]->name);
    }
}

/* ---- the plan ---- */

static void judge_ports(const struct builder *b) {
    const struct config *config = &b->info->config;

    for (uint32_t i = 0; i < config->guest_count; i++) {
        const struct config_guest *g = &config->guests[i];
        for (uint32_t n = 0; n < g->port_count; n++) {
            judge_port(b, g, &g->ports[n]);
        }
    }
}

/* For each port of VM i a channel to each later one that names it. */
static bool add_port_channels(const struct builder *b, uint32_t i) {
    const struct config_guest *guests = b->info->config.guests;
    bool room = true;

    for (uint32_t n = 0; n < guests[i].port_count; n++) {
        const struct config_port *port = &guests[i].ports[n];
        for (uint32_t j = i + 1; room && j < b->plan->vm_count; j++) {
            if (find_port(&guests[j], port->name) != NULL) {
                room = add_channel(
                    b, &(struct plan_channel){
                           .vms = {i, j}, .use = PLAN_PORT, .port = n, .pos = port->pos});
            }
        }
    }
    return room;
}

void make_port_channels(const struct builder *b) {
    bool room = true;

    judge_ports(b);
    for (uint32_t i = 0; room && i < b->plan->vm_count; i++) {
        room = add_port_channels(b, i);
    }
}

/* NULL if it has none: then there was a fault. */
static struct plan_channel *find_channel(const struct builder *b, uint32_t self, const char *name) {
    const struct config_guest *guests = b->info->config.guests;

    for (uint32_t i = 0; i < b->plan->channel_count; i++) {
        struct plan_channel *c = &b->plan->channels[i];
        if (c->use == PLAN_PORT && channel_is_of(c, self) &&
            str_equal(guests[c->vms[0]].ports[c->port].name, name)) {
            return c;
        }
    }
    return NULL;
}

void give_ports(const struct builder *b, struct plan_vm *vm, uint32_t self) {
    struct abi_devices *d = &vm->devices;

    for (uint32_t i = 0; i < vm->config->port_count; i++) {
        const struct config_port *port = &vm->config->ports[i];
        struct plan_channel *c = find_channel(b, self, port->name);
        if (c == NULL || give_channel(b, c, self, port->pos) == NULL) {
            return;
        }
        struct abi_port *out = &d->ports[d->port_count++];
        (void)str_copy_n(out->name, sizeof(out->name), port->name, strlen(port->name));
        out->channel = c->numbers[c->vms[1] == self];
    }
}
