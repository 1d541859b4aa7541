// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives guests the disks and network adapters of the config: judges them, and puts into the plan
 * what each compartment maps for them and is told of them. Called by plan.c.
 */
#include "config/builder.h"
#include "config/identity.h"
#include "hv/abi/compartment.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

_Static_assert(CONFIG_MAX_DISKS == ABI_DISKS && CONFIG_MAX_NETS == ABI_NETS &&
                   CONFIG_MAX_PMEMS == ABI_PMEMS,
               "the same devices");
_Static_assert(PLAN_WINDOWS_SIZE == COMPARTMENT_WINDOW_SIZE, "as far as the window goes");

#define SECTOR     512u
#define PMEM_ALIGN (128 * MIB) /* Linux wants whole sections of memory for itself */

uint64_t in_compartment(uint64_t gpa) {
    return COMPARTMENT_WINDOW + gpa;
}

uint64_t next_gpa(const struct plan_vm *vm) {
    uint64_t memory = vm->config->memory, low = min_u64(memory, PLAN_LOW_RAM_END);

    if (vm->window_count != 0) {
        const struct plan_window *last = &vm->windows[vm->window_count - 1];
        return last->gpa.v + last->size;
    }
    return PLAN_HIGH_RAM + memory - low;
}

/* Its address may be mapped by pages as large as the host's memory at hpa is. */
struct plan_window *add_window(struct plan_vm *vm, enum plan_window_kind kind, hpa_t hpa,
                               uint64_t size) {
    uint64_t gpa = next_gpa(vm);
    ASSERT(vm->window_count < PLAN_MAX_WINDOWS);
    if (kind == PLAN_PMEM) {
        gpa = ALIGN_UP(gpa, PMEM_ALIGN);
        size = boot_image_room(size);
    } else if (size >= 2 * MIB) {
        gpa = ALIGN_UP(gpa, 2 * MIB) + hpa.v % (2 * MIB);
    }
    struct plan_window *w = &vm->windows[vm->window_count++];
    *w = (struct plan_window){
        .gpa = GPA(gpa), .hpa = hpa, .size = ALIGN_UP(size, PAGE_SIZE), .kind = kind};
    return w;
}

/* ---- guests by name ---- */

const struct config_guest *find_guest(const struct config *config, const char *name) {
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (str_equal(config->guests[i].name, name)) {
            return &config->guests[i];
        }
    }
    return NULL;
}

const char *find_near_guest(const struct config *config, const struct config_guest *g,
                            const char *name) {
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (&config->guests[i] != g && str_is_near(name, config->guests[i].name)) {
            return config->guests[i].name;
        }
    }
    return NULL;
}

/* ---- disks ---- */

/* The file of a disk that has one; NULL, and said why, if it is none. */
static const struct boot_image *find_disk_file(const struct builder *b, const struct plan_vm *vm,
                                               const struct config_disk *disk) {
    const struct boot_image *image = find_file(b, vm->config, "disk", disk->path, disk->pos);
    if (image != NULL && image->size % SECTOR != 0) {
        REFUSE(
            b, vm->config, disk->pos,
            "disk = \"%s\": its %llu bytes are no multiple of %u, as a disk's are; make the file "
            "longer (truncate -s %%%u FILE)" MSG(1111),
            disk->path, (ull)image->size, SECTOR, SECTOR);
        return NULL;
    }
    return image;
}

/* Two disks of a guest may be of the same file. */
static const struct plan_window *image_window(struct plan_vm *vm, const struct boot_image *image,
                                              enum plan_window_kind kind) {
    for (uint32_t i = 0; i < vm->window_count; i++) {
        bool readable = vm->windows[i].kind == PLAN_IMAGE || vm->windows[i].kind == PLAN_PMEM;
        if (readable && vm->windows[i].hpa.v == image->base.v) {
            return &vm->windows[i];
        }
    }
    return add_window(vm, kind, image->base, image->size);
}

static void give_store(const struct builder *b, struct plan_vm *vm, const struct config_disk *disk,
                       struct abi_disk *out) {
    uint64_t free = count_free();
    char size[24], most[24];

    if (disk->size > free) {
        REFUSE(b, vm->config, disk->pos,
               "disk \"%s\": %s are more than this machine has free, %s" MSG(1112), disk->name,
               fmt_size(size, disk->size), fmt_size(most, ALIGN_DOWN(free, MIB)));
        return;
    }
    uint64_t pages = ALIGN_UP(out->size, PAGE_SIZE) / PAGE_SIZE;
    uint64_t copies = min_u64(pages, disk->size / PAGE_SIZE);
    uint64_t map = ALIGN_UP(pages * sizeof(uint32_t), PAGE_SIZE);
    const struct plan_window *w = add_window(vm, PLAN_STORE, HPA(0), map + copies * PAGE_SIZE);

    out->map = in_compartment(w->gpa.v);
    out->copies = out->map + map;
    out->copy_count = (uint32_t)copies;
}

static void give_disk(const struct builder *b, struct plan_vm *vm, uint32_t self, uint32_t n) {
    struct abi_disk *out = &vm->devices.disks[vm->devices.disk_count];
    const struct config_disk *disk = &vm->config->disks[n];

    (void)str_copy_n(out->serial, sizeof(out->serial), disk->name, strlen(disk->name));
    if (disk->kind == DISK_SERVED) {
        vm->devices.disk_count += give_served(b, vm, self, n);
        return;
    }
    if (disk->kind == DISK_BLANK) {
        out->size = disk->size;
    } else {
        const struct boot_image *image = find_disk_file(b, vm, disk);
        if (image == NULL) {
            return;
        }
        out->size = image->size;
        out->image = in_compartment(image_window(vm, image, PLAN_IMAGE)->gpa.v);
    }
    if (disk->kind != DISK_READ_ONLY) {
        give_store(b, vm, disk, out);
    }
    vm->devices.disk_count++;
}

static void judge_disk_name(const struct builder *b, const struct config_guest *g, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (str_equal(g->disks[i].name, g->disks[n].name)) {
            REFUSE(
                b, g, g->disks[n].pos,
                "disk \"%s\" is there already, on line %u; give one of them another name" MSG(1113),
                g->disks[n].name, g->disks[i].pos.line);
            return;
        }
    }
}

static void give_disks(const struct builder *b, struct plan_vm *vm, uint32_t self) {
    const struct config_guest *g = vm->config;
    for (uint32_t i = 0; i < g->disk_count; i++) {
        judge_disk_name(b, g, i);
        give_disk(b, vm, self, i);
    }
}

/* ---- channels ---- */

bool add_channel(const struct builder *b, const struct plan_channel *channel) {
    struct plan *plan = b->plan;

    if (plan->channel_count == PLAN_MAX_CHANNELS) {
        fault_add(b->faults, channel->pos.line, channel->pos.column,
                  "there are more than %u pairs of guests, on all wires, by "
                  "vsock, ports and disks; take some off" MSG(1114),
                  PLAN_MAX_CHANNELS);
        return false;
    }
    plan->channels[plan->channel_count++] = *channel;
    return true;
}

/* The windows have no frames yet: give_stores() gives them some. */
struct abi_channel *give_channel(const struct builder *b, struct plan_channel *channel,
                                 uint32_t self, struct config_pos pos) {
    unsigned side = channel->vms[1] == self;
    struct plan_vm *vm = &b->plan->vms[self];
    uint32_t n = vm->devices.channel_count;

    if (n == ABI_CHANNELS) {
        REFUSE(b, vm->config, pos,
               "its wires, vsock, ports and disks are more than %u ways to "
               "other guests; take some off" MSG(1115),
               ABI_CHANNELS);
        return NULL;
    }
    struct abi_channel *end = &vm->devices.channels[n];
    vm->devices.channel_count++;
    vm->bell_cpus[n] = b->plan->vms[channel->vms[1 - side]].cpus[0];
    channel->numbers[side] = n;
    end->ours = in_compartment(add_window(vm, PLAN_OURS, HPA(0), CHANNEL_HALF)->gpa.v);
    end->theirs = in_compartment(add_window(vm, PLAN_THEIRS, HPA(0), CHANNEL_HALF)->gpa.v);
    return end;
}

/* ---- images in memory ---- */

static void give_pmem(const struct builder *b, struct plan_vm *vm, const struct config_pmem *pmem) {
    const struct boot_image *image = find_file(b, vm->config, "pmem", pmem->path, pmem->pos);
    struct abi_devices *d = &vm->devices;

    if (image == NULL) {
        return;
    }
    if (image->size < BOOT_LARGE_FILE) {
        REFUSE(
            b, vm->config, pmem->pos,
            "pmem = \"%s\": its %llu bytes are less than 2M; make the file longer (truncate -s 2M "
            "FILE)" MSG(1116),
            pmem->path, (ull)image->size);
        return;
    }
    const struct plan_window *w = image_window(vm, image, PLAN_PMEM);
    if (d->pmem_count != 0 && w->gpa.v <= d->pmems[d->pmem_count - 1].gpa) {
        REFUSE(b, vm->config, pmem->pos,
               "pmem = \"%s\" is there already; name each file once" MSG(1117), pmem->path);
        return;
    }
    d->pmems[d->pmem_count++] = (struct abi_pmem){w->gpa.v, w->size};
}

/* Before all other windows: a disk may be of the same file. */
static void give_pmems(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    for (uint32_t i = 0; i < g->pmem_count; i++) {
        give_pmem(b, vm, &g->pmems[i]);
    }
}

/* ---- wires ---- */

static bool find_wire(const struct builder *b, const char *name, uint32_t *out) {
    for (*out = 0; *out < b->info->config.wire_count; ++*out) {
        if (str_equal(b->info->config.wires[*out].name, name)) {
            return true;
        }
    }
    return false;
}

/* The guest's adapter on a wire; NULL if it has none. */
static const struct config_net *find_net(const struct config_guest *g, const char *wire) {
    for (uint32_t i = 0; i < g->net_count; i++) {
        if (str_equal(g->nets[i].wire, wire)) {
            return &g->nets[i];
        }
    }
    return NULL;
}

static void judge_net(const struct builder *b, const struct config_guest *g,
                      const struct config_net *net) {
    const struct config *config = &b->info->config;
    const struct config_net *first = find_net(g, net->wire);
    uint32_t wire;

    if (first != net) {
        REFUSE(b, g, net->pos,
               "it is on wire \"%s\" already, on line %u; one adapter for "
               "each wire is enough" MSG(1118),
               net->wire, first->pos.line);
    }
    if (find_wire(b, net->wire, &wire)) {
        return;
    }
    for (uint32_t i = 0; i < config->wire_count; i++) {
        if (str_is_near(net->wire, config->wires[i].name)) {
            REFUSE(b, g, net->pos, "there is no wire \"%s\"; did you mean \"%s\"?" MSG(1119),
                   net->wire, config->wires[i].name);
            return;
        }
    }
    REFUSE(b, g, net->pos, "there is no wire \"%s\"; add a table [wire.%s]" MSG(1120), net->wire,
           net->wire);
}

static void judge_wire(const struct builder *b, const struct config_wire *wire) {
    const struct config *config = &b->info->config;
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (find_net(&config->guests[i], wire->name) != NULL) {
            return;
        }
    }
    fault_add(
        b->faults, wire->table_pos.line, wire->table_pos.column,
        "wire \"%s\" has no guest on it; write net = [\"%s\"] for some, or remove it" MSG(1121),
        wire->name, wire->name);
}

/* Of one adapter, administered locally: stable, and another one on another stick. */
static void make_mac(const struct plan_vm *vm, const struct config_net *net, uint8_t mac[6]) {
    static const uint8_t none[6];
    uint8_t uuid[UUID_SIZE];

    memcpy(mac, net->mac, sizeof(none));
    if (memcmp(mac, none, sizeof(none)) == 0) {
        identity_make_uuid(vm->uuid, net->wire, uuid);
        memcpy(mac, uuid, sizeof(none));
        mac[0] = (uint8_t)((mac[0] & ~3u) | 2);
    }
}

static void judge_mac(const struct builder *b, const struct plan_vm *vm,
                      const struct config_net *net) {
    uint8_t mac[6], other[6];
    make_mac(vm, net, mac);
    for (const struct plan_vm *w = b->plan->vms; w < vm; w++) {
        const struct config_net *theirs = find_net(w->config, net->wire);
        if (theirs == NULL) {
            continue;
        }
        make_mac(w, theirs, other);
        if (memcmp(mac, other, sizeof(mac)) == 0) {
            REFUSE(b, vm->config, net->pos,
                   "its address on wire \"%s\" is that of guest \"%s\", on line %u; write another "
                   "mac" MSG(1122),
                   net->wire, w->config->name, theirs->pos.line);
        }
    }
}

/* A channel for each two guests on each wire. */
static void make_channels(const struct builder *b, uint32_t wire) {
    const struct config *config = &b->info->config;
    const struct config_wire *w = &config->wires[wire];
    struct plan_channel channel = {.use = PLAN_WIRE, .wire = wire, .pos = w->table_pos};
    bool room = true;

    for (uint32_t i = 0; room && i < b->plan->vm_count; i++) {
        for (uint32_t j = i + 1; room && j < b->plan->vm_count; j++) {
            channel.vms[0] = i;
            channel.vms[1] = j;
            if (find_net(&config->guests[i], w->name) != NULL &&
                find_net(&config->guests[j], w->name) != NULL) {
                room = add_channel(b, &channel);
            }
        }
    }
}

static void give_net(const struct builder *b, struct plan_vm *vm, uint32_t self,
                     const struct config_net *net) {
    struct abi_devices *d = &vm->devices;
    struct abi_net *out = &d->nets[d->net_count];
    uint32_t wire;

    if (!find_wire(b, net->wire, &wire)) {
        return;
    }
    *out = (struct abi_net){.mtu = (uint16_t)b->info->config.wires[wire].mtu,
                            .may_bridge = net->bridge,
                            .link = !net->down,
                            .first_channel = d->channel_count};
    make_mac(vm, net, out->mac);
    for (uint32_t i = 0; i < b->plan->channel_count; i++) {
        struct plan_channel *c = &b->plan->channels[i];
        if (c->use != PLAN_WIRE || c->wire != wire || !channel_is_of(c, self)) {
            continue;
        }
        const struct plan_vm *peer = &b->plan->vms[c->vms[c->vms[0] == self]];
        const struct config_net *theirs = find_net(peer->config, net->wire);
        struct abi_channel *end = give_channel(b, c, self, net->pos);
        if (end == NULL) {
            return;
        }
        make_mac(peer, theirs, end->mac);
        end->may_bridge = theirs->bridge;
        out->channel_count++;
    }
    d->net_count++;
}

static void give_nets(const struct builder *b, struct plan_vm *vm, uint32_t self) {
    const struct config_guest *g = vm->config;
    for (uint32_t i = 0; i < g->net_count; i++) {
        judge_net(b, g, &g->nets[i]);
        judge_mac(b, vm, &g->nets[i]);
        if (find_net(g, g->nets[i].wire) == &g->nets[i]) {
            give_net(b, vm, self, &g->nets[i]);
        }
    }
}

/* ---- terminals ---- */

static bool begins_with(const char *s, const char *word) {
    return strlen(s) >= strlen(word) && memcmp(s, word, strlen(word)) == 0;
}

/* The last console= of a command line is the one that Linux reads from. */
static bool names_hvc(const char *cmdline) {
    static const char key[] = "console=";
    bool hvc = false;

    for (const char *s = cmdline; *s != '\0'; s++) {
        bool is_word = s == cmdline || s[-1] == ' ';
        if (is_word && begins_with(s, key)) {
            hvc = begins_with(s + strlen(key), "hvc");
        }
    }
    return hvc;
}

static void give_terminal(struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    bool hvc0 = g->terminal == TERMINAL_HVC0;

    vm->devices.types_to_hvc0 = g->terminal == TERMINAL_AUTO ? names_hvc(g->cmdline) : hvc0;
}

/* The compartment sees no farther, and needs tables for all up to there. */
static void judge_windows(const struct builder *b, const struct plan_vm *vm) {
    char size[24];

    if (vm->window_count != 0 && next_gpa(vm) > PLAN_WINDOWS_SIZE) {
        REFUSE(b, vm->config, vm->config->table_pos,
               "its memory, and disks and images above that, take more than %s of addresses; make "
               "some of it smaller" MSG(1123),
               fmt_size(size, PLAN_WINDOWS_SIZE));
    }
}

void give_windows(const struct builder *b) {
    const struct config *config = &b->info->config;

    for (uint32_t i = 0; i < config->wire_count; i++) {
        judge_wire(b, &config->wires[i]);
        make_channels(b, i);
    }
    make_vsock_channels(b);
    make_served_channels(b);
    make_port_channels(b);
    for (uint32_t i = 0; i < b->plan->vm_count; i++) {
        struct plan_vm *vm = &b->plan->vms[i];
        give_pmems(b, vm);
        give_disks(b, vm, i);
        give_nets(b, vm, i);
        give_vsock(b, vm, i);
        give_ports(b, vm, i);
        give_control(b, vm);
        give_terminal(vm);
        vm->devices.watchdog = vm->config->watchdog;
        judge_windows(b, vm);
    }
}

/* ---- memory ---- */

/* No congruence is lost: the address was chosen for memory at a multiple of 2 MiB. */
static bool place_store(struct plan_window *w) {
    uint64_t align = w->size >= 2 * MIB ? 2 * MIB : PAGE_SIZE;
    struct extent place = take_whole(w->gpa.v, w->size, align);
    if (place.size == 0) {
        place = take_whole(w->gpa.v, w->size, PAGE_SIZE);
    }
    w->hpa = HPA(place.base);
    return place.size != 0;
}

static bool has_store(const struct config_disk *disk) {
    return disk->kind == DISK_VOLATILE || disk->kind == DISK_BLANK;
}

/* Stores come in the order of the guest's disks that have one. */
static void place_disks(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    uint32_t disk = 0;
    char size[24];

    for (uint32_t i = 0; i < vm->window_count; i++) {
        if (vm->windows[i].kind != PLAN_STORE) {
            continue;
        }
        while (disk < g->disk_count - 1 && !has_store(&g->disks[disk])) {
            disk++;
        }
        if (!place_store(&vm->windows[i])) {
            REFUSE(b, g, g->disks[disk].pos,
                   "disk \"%s\": there are no %s of memory in one piece left for it; make it "
                   "smaller, or the guests' memory" MSG(1124),
                   g->disks[disk].name, fmt_size(size, g->disks[disk].size));
        }
        disk++;
    }
}

/* The n-th channel of a VM leads to windows in pairs, the only ones of their kinds. */
static void place_half(struct plan_vm *vm, uint32_t n, hpa_t ours, hpa_t theirs) {
    for (uint32_t i = 0; i < vm->window_count; i++) {
        if (vm->windows[i].kind == PLAN_OURS && n-- == 0) {
            vm->windows[i].hpa = ours;
            vm->windows[i + 1].hpa = theirs;
            return;
        }
    }
}

static void place_channel(const struct builder *b, struct plan_channel *c) {
    struct extent place = take_whole(0, 2 * CHANNEL_HALF, PAGE_SIZE);

    if (place.size == 0) {
        fault_add(
            b->faults, c->pos.line, c->pos.column,
            "no memory is left for buffers between guests \"%s\" and \"%s\", %llu KiB for each "
            "two of them; make the guests' memory smaller" MSG(1125),
            b->plan->vms[c->vms[0]].config->name, b->plan->vms[c->vms[1]].config->name,
            (ull)(2 * CHANNEL_HALF / KIB));
        return;
    }
    c->base = HPA(place.base);
    hpa_t halves[2] = {HPA(place.base), HPA(place.base + CHANNEL_HALF)};
    for (unsigned side = 0; side < 2; side++) {
        place_half(&b->plan->vms[c->vms[side]], c->numbers[side], halves[side], halves[1 - side]);
    }
}

void give_stores(const struct builder *b) {
    for (uint32_t i = 0; i < b->plan->vm_count; i++) {
        place_disks(b, &b->plan->vms[i]);
    }
    for (uint32_t i = 0; b->faults->count == 0 && i < b->plan->channel_count; i++) {
        place_channel(b, &b->plan->channels[i]);
    }
}
