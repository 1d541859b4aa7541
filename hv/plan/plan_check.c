// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks a finished plan against the machine, by brute force and with nothing of plan.c: what is
 * computed there wrongly must be seen here. A fault it reports is a bug of Bulkhead, not of the
 * admin's file.
 */
#include "hv/plan/plan.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/plan/pci_check.h"

struct checker {
    const struct boot_info *info;
    const struct plan *plan;
    plan_report *report;
    bool bad;
};

/* One piece of host memory and who the plan says it is for. */
struct piece {
    uint64_t base, size;
    const char *what, *owner;
};

static PRINTF_LIKE(2, 3) void refuse(struct checker *c, const char *format, ...) {
    char text[200];
    FMT_ARGUMENTS(text, format);
    c->bad = true;
    c->report(text);
}

/* All that the plan gives away; no two of them may overlap. */
static struct piece
    pieces[PLAN_MAX_CHANNELS + CONFIG_MAX_GUESTS * (PLAN_MAX_REGIONS + 1 + PLAN_MAX_WINDOWS)];
static uint32_t piece_count;

static void list_piece(uint64_t base, uint64_t size, const char *what, const char *owner) {
    pieces[piece_count++] = (struct piece){base, size, what, owner};
}

static void list_vm(const struct plan_vm *vm) {
    const char *owner = vm->config->name;
    for (uint32_t i = 0; i < vm->region_count; i++) {
        list_piece(vm->regions[i].hpa.v, vm->regions[i].size, "memory of ", owner);
    }
    list_piece(vm->budget_base.v, vm->budget_size, "budget of ", owner);
    for (uint32_t i = 0; i < vm->window_count; i++) {
        const struct plan_window *w = &vm->windows[i];
        if (w->kind == PLAN_STORE) {
            list_piece(w->hpa.v, w->size, "a disk of ", owner);
        }
    }
}

static void list_pieces(const struct plan *plan) {
    piece_count = 0;
    for (uint32_t v = 0; v < plan->vm_count; v++) {
        list_vm(&plan->vms[v]);
    }
    for (uint32_t i = 0; i < plan->channel_count; i++) {
        list_piece(plan->channels[i].base.v, 2 * CHANNEL_HALF, "a channel of ",
                   plan->vms[plan->channels[i].vms[0]].config->name);
    }
}

/* Last bytes are compared: no sum can overflow but that of a piece which wraps itself. */
static void check_apart(struct checker *c, const struct piece *a, const struct piece *b) {
    if (b->size != 0 && a->base <= b->base + (b->size - 1) && b->base <= a->base + (a->size - 1)) {
        refuse(c, "%s%s at 0x%llx, size 0x%llx, overlaps %s%s at 0x%llx", a->what, a->owner,
               (ull)a->base, (ull)a->size, b->what, b->owner, (ull)b->base);
    }
}

/* The piece lies in one free range, above 1 MiB, and apart from all that is somebody else's. */
static void check_place(struct checker *c, const struct piece *p) {
    const struct boot_info *info = c->info;
    const struct piece others[] = {
        {0, 0x100000, "the first MiB", ""},
        {info->image_base.v, info->image_size, "the hypervisor", ""},
        {info->heap_base.v, info->heap_size, "the hypervisor's heap", ""},
    };
    bool inside = false;
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_FREE) {
            check_apart(c, p, &(struct piece){r->base.v, r->size, "memory that is not free", ""});
        } else if (p->base >= r->base.v && p->base - r->base.v < r->size) {
            inside = p->size <= r->size - (p->base - r->base.v);
        }
    }
    if (!inside) {
        refuse(c, "%s%s at 0x%llx, size 0x%llx, is not in free memory", p->what, p->owner,
               (ull)p->base, (ull)p->size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        check_apart(c, p, &others[i]);
    }
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *fb = &info->screens[i];
        check_apart(c, p, &(struct piece){fb->base.v, fb->size, "a framebuffer", ""});
    }
    for (uint32_t i = 0; i < info->image_count; i++) {
        const struct boot_image *image = &info->images[i];
        uint64_t room = boot_image_room(image->size); /* which guests may be shown as well */
        check_apart(c, p, &(struct piece){image->base.v, room, "", image->path});
    }
}

/* Each piece is whole, in its place, and shares nothing with any piece behind it. */
static void check_pieces(struct checker *c) {
    for (uint32_t n = 0; n < piece_count; n++) {
        const struct piece *p = &pieces[n];
        if (p->size == 0 || p->base + (p->size - 1) < p->base ||
            (p->base | p->size) % PAGE_SIZE != 0) {
            refuse(c, "%s%s at 0x%llx, size 0x%llx, is empty, not in whole pages, or wraps",
                   p->what, p->owner, (ull)p->base, (ull)p->size);
            continue;
        }
        check_place(c, p);
        for (uint32_t m = n + 1; m < piece_count; m++) {
            check_apart(c, p, &pieces[m]);
        }
    }
}

static bool has_disk(const struct config_guest *g, const char *path) {
    for (uint32_t i = 0; i < g->disk_count; i++) {
        if (str_equal(g->disks[i].path, path)) {
            return true;
        }
    }
    return false;
}

static bool has_pmem(const struct config_guest *g, const char *path) {
    for (uint32_t i = 0; i < g->pmem_count; i++) {
        if (str_equal(g->pmems[i].path, path)) {
            return true;
        }
    }
    return false;
}

/* The pages of a file that the guest's config names for that: another's files are none of its. */
static bool is_image(const struct checker *c, const struct config_guest *g,
                     const struct plan_window *w) {
    for (uint32_t i = 0; i < c->info->image_count; i++) {
        const struct boot_image *image = &c->info->images[i];
        bool whole =
            image->size != 0 && w->size >= image->size && w->size <= boot_image_room(image->size);
        if (image->base.v == w->hpa.v && whole) {
            return w->kind == PLAN_PMEM ? has_pmem(g, image->path) : has_disk(g, image->path);
        }
    }
    return false;
}

/* The channel of which VM v has this window: the half that it writes, or the other's. */
static const struct plan_channel *find_channel(const struct checker *c, uint32_t v,
                                               const struct plan_window *w) {
    for (uint32_t i = 0; w->size == CHANNEL_HALF && i < c->plan->channel_count; i++) {
        const struct plan_channel *channel = &c->plan->channels[i];
        for (uint32_t side = 0; side < 2; side++) {
            uint32_t owner = w->kind == PLAN_OURS ? channel->vms[side] : channel->vms[1 - side];
            if (owner == v && w->hpa.v == channel->base.v + side * CHANNEL_HALF) {
                return channel;
            }
        }
    }
    return NULL;
}

static bool is_owned(const struct checker *c, uint32_t v, const struct plan_window *w) {
    switch (w->kind) {
    case PLAN_IMAGE:
    case PLAN_PMEM:
        return is_image(c, c->plan->vms[v].config, w);
    case PLAN_STORE: /* a piece, which is compared with all others */
        return true;
    case PLAN_OURS:
    case PLAN_THEIRS:
        return find_channel(c, v, w) != NULL;
    case PLAN_DEVICE:
        return pci_has_pages(c->info, &c->plan->vms[v], w->hpa.v, w->size);
    default:
        return false;
    }
}

/* No frame is at two addresses. */
static bool is_frame_twice(const struct plan_vm *vm, uint32_t n) {
    const struct plan_window *w = &vm->windows[n];
    for (uint32_t i = 0; i < n; i++) {
        const struct plan_window *other = &vm->windows[i];
        if (w->hpa.v < other->hpa.v + other->size && other->hpa.v < w->hpa.v + w->size) {
            return true;
        }
    }
    return false;
}

/* Above the guest's memory, one above the other, and of the frames that their kind says. */
static bool check_windows(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    const struct plan_region *top = &vm->regions[vm->region_count - 1];
    uint64_t end = max_u64(top->gpa.v + top->size, PLAN_HIGH_RAM);

    for (uint32_t i = 0; i < vm->window_count; i++) {
        const struct plan_window *w = &vm->windows[i];
        bool placed = w->size != 0 && w->gpa.v >= end && w->gpa.v < PLAN_WINDOWS_SIZE &&
                      w->size <= PLAN_WINDOWS_SIZE - w->gpa.v &&
                      (w->gpa.v | w->hpa.v | w->size) % PAGE_SIZE == 0;
        if (!placed || !is_owned(c, v, w) || is_frame_twice(vm, i)) {
            refuse(c, "window %u of %s at 0x%llx, size 0x%llx, is not where it may be, or not its",
                   i, vm->config->name, (ull)w->gpa.v, (ull)w->size);
            return false;
        }
        end = w->gpa.v + w->size;
    }
    return true;
}

/* A doorbell goes to the first CPU of the VM at the other end, and nowhere else. */
static bool is_bell(const struct checker *c, uint32_t v, uint32_t n,
                    const struct plan_channel *channel) {
    uint32_t peer = channel->vms[0] == v ? channel->vms[1] : channel->vms[0];
    return n < ABI_CHANNELS && c->plan->vms[v].bell_cpus[n] == c->plan->vms[peer].cpus[0];
}

static bool may_connect(const struct config_guest *from, const struct config_guest *to) {
    bool named = false;
    for (uint32_t i = 0; i < from->vsock_count; i++) {
        named = named || str_equal(from->vsocks[i].guest, to->name);
    }
    return named;
}

static uint64_t cid_of(const struct checker *c, uint32_t v) {
    uint32_t own = c->plan->vms[v].config->cid;
    return own != 0 ? own : CONFIG_FIRST_CID + v;
}

/* From the highest address that a guest may have on, in the order of guests and of their disks. */
static uint32_t served_cid(const struct plan_channel *channel) {
    return 0xffff0000u + 8 * channel->vms[0] + channel->disk;
}

/* If vsock has the VM's n-th channel: what is said of the peer there is what the config says. */
static bool is_peer(const struct checker *c, uint32_t v, uint32_t n,
                    const struct plan_channel *channel) {
    const struct abi_vsock *vsock = &c->plan->vms[v].devices.vsock;
    uint32_t i = n - vsock->first_channel;
    if (n < vsock->first_channel || i >= vsock->peer_count) {
        return true;
    }
    const struct abi_vsock_peer *p = &vsock->peers[i];
    if (channel->use == PLAN_SERVED) { /* which the guest that serves has alone; nobody connects */
        return channel->vms[1] == v && p->cid == served_cid(channel) && !p->may_connect &&
               p->may_accept;
    }
    uint32_t peer = channel->vms[0] == v ? channel->vms[1] : channel->vms[0];
    const struct config_guest *self = c->plan->vms[v].config;
    const struct config_guest *other = c->plan->vms[peer].config;
    return p->cid == cid_of(c, peer) && p->may_connect == may_connect(self, other) &&
           p->may_accept == may_connect(other, self);
}

static bool names_port(const struct config_guest *g, const char *name) {
    for (uint32_t i = 0; i < g->port_count; i++) {
        if (str_equal(g->ports[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* If ports have the VM's n-th channel: both guests name them in the config. */
static bool is_joined(const struct checker *c, uint32_t v, uint32_t n,
                      const struct plan_channel *channel) {
    const struct abi_devices *d = &c->plan->vms[v].devices;
    bool good = true;

    for (uint32_t i = 0; i < d->port_count; i++) {
        bool mine = d->ports[i].channel == n;
        for (unsigned side = 0; good && mine && side < 2; side++) {
            good = names_port(c->plan->vms[channel->vms[side]].config, d->ports[i].name);
        }
    }
    return good;
}

/* If a served disk has the VM's n-th channel: it leads to the guest that serves it. */
static bool is_server(const struct checker *c, uint32_t v, uint32_t n,
                      const struct plan_channel *channel) {
    const struct plan_vm *vm = &c->plan->vms[v];
    bool good = true;

    for (uint32_t i = 0; i < vm->devices.disk_count; i++) {
        const struct abi_served *served = &vm->devices.served[i];
        if (served->cid == 0 || served->channel != n) {
            continue;
        }
        const char *server = c->plan->vms[channel->vms[1]].config->name;
        good = good && channel->use == PLAN_SERVED && channel->vms[0] == v && channel->disk == i &&
               served->cid == served_cid(channel) && served->server == cid_of(c, channel->vms[1]) &&
               str_equal(vm->config->disks[i].server, server);
    }
    return good;
}

/* Each disk is served if the config says so, under the name there, and has a channel. */
static bool check_served(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    const struct abi_devices *d = &vm->devices;
    bool good = d->disk_count <= ABI_DISKS && d->disk_count <= vm->config->disk_count;

    for (uint32_t i = 0; good && i < d->disk_count; i++) {
        const struct config_disk *disk = &vm->config->disks[i];
        const struct abi_served *served = &d->served[i];
        bool named = served->cid != 0 && served->channel < d->channel_count &&
                     served->read_only == disk->read_only &&
                     served->export[ABI_EXPORT - 1] == '\0' &&
                     str_equal(served->export, disk->export);
        good = disk->kind == DISK_SERVED ? named : served->cid == 0;
    }
    if (!good) {
        refuse(c, "a disk of %s is served otherwise than its config says", vm->config->name);
    }
    return good;
}

static bool may_control(const struct config_guest *g, const char *name) {
    for (uint32_t i = 0; i < g->control_count; i++) {
        if (str_equal(g->controls[i].guest, CONFIG_ALL_GUESTS) ||
            str_equal(g->controls[i].guest, name)) {
            return true;
        }
    }
    return false;
}

/* It may control those that its config names, and no others: each CPU is the first of one of them.
 */
static bool check_control(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    uint32_t count = 0;
    bool good = vm->control_count <= CONFIG_MAX_GUESTS &&
                vm->devices.has_control == (vm->control_count != 0);

    for (uint32_t i = 0; good && i < c->plan->vm_count; i++) {
        const struct plan_vm *other = &c->plan->vms[i];
        if (may_control(vm->config, other->config->name)) {
            good = count < vm->control_count && vm->control_cpus[count] == other->cpus[0];
            count++;
        }
    }
    if (!good || count != vm->control_count) {
        refuse(c, "%s may control other guests than its config says", vm->config->name);
        return false;
    }
    return true;
}

/* Ports of which each has a name that ends, and a channel of the VM's. */
static bool check_ports(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    const struct abi_devices *d = &vm->devices;
    bool good = d->port_count <= ABI_PORTS;

    for (uint32_t i = 0; good && i < d->port_count; i++) {
        good =
            d->ports[i].name[ABI_PORT_NAME - 1] == '\0' && d->ports[i].channel < d->channel_count;
    }
    if (!good) {
        refuse(c, "a port of %s has no name, or no channel", vm->config->name);
    }
    return good;
}

/* It has the address that the config says, and a channel of the VM's to each peer. */
static bool check_vsock(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    const struct abi_vsock *vsock = &vm->devices.vsock;
    uint32_t peers = vsock->peer_count, channels = vm->devices.channel_count;

    bool good = peers == 0 ? vsock->cid == 0 : vsock->cid == cid_of(c, v);
    if (peers != 0) {
        good = good && peers <= ABI_VSOCK_PEERS && vsock->first_channel <= channels &&
               peers <= channels - vsock->first_channel;
    }
    if (!good) {
        refuse(c,
               "vsock of %s has another address than its config says, or no channel to each peer",
               vm->config->name);
    }
    return good;
}

/* Each channel of a VM is two windows, its own half first; they are counted in this order. */
static void check_bells(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    uint32_t n = 0, halves = 0;
    bool good = true;

    for (uint32_t i = 0; good && i < vm->window_count; i++) {
        const struct plan_window *w = &vm->windows[i];
        halves += w->kind == PLAN_OURS || w->kind == PLAN_THEIRS;
        if (w->kind != PLAN_OURS) {
            continue;
        }
        const struct plan_channel *channel = find_channel(c, v, w);
        good = i + 1 < vm->window_count && w[1].kind == PLAN_THEIRS &&
               find_channel(c, v, &w[1]) == channel && is_bell(c, v, n, channel) &&
               is_peer(c, v, n, channel) && is_joined(c, v, n, channel) &&
               is_server(c, v, n, channel);
        n++;
    }
    if (!good || halves != 2 * n || vm->devices.channel_count != n) {
        refuse(c,
               "channel %u of %s has not two halves and a doorbell that goes to the other VM, or "
               "leads to another one than vsock, a port or a disk is told",
               n, vm->config->name);
    }
}

/* Walks the guest-physical layout as the header states it, byte position by byte position. */
static void check_layout(struct checker *c, const struct plan_vm *vm) {
    const char *name = vm->config->name;
    uint64_t at = 0, sum = 0;
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        at = at == PLAN_LOW_RAM_END ? PLAN_HIGH_RAM : at;
        if (r->gpa.v != at || (at < PLAN_LOW_RAM_END && r->size > PLAN_LOW_RAM_END - at)) {
            refuse(c,
                   "memory of %s at guest address 0x%llx should be at 0x%llx, and not run into "
                   "the gap below 4 GiB",
                   name, (ull)r->gpa.v, (ull)at);
            return;
        }
        at += r->size;
        sum += r->size;
    }
    if (sum != vm->config->memory) {
        refuse(c, "%s has 0x%llx bytes of memory, its config says 0x%llx", name, (ull)sum,
               (ull)vm->config->memory);
    }
}

/* The VM's CPUs are those of its config, ascending; all exist, and no VM behind it has one. */
static void check_cpus(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v], *end = c->plan->vms + c->plan->vm_count;
    const char *name = vm->config->name;
    uint32_t n = 0;
    for (uint32_t cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        if ((vm->config->cpus.bits[cpu / 64] >> cpu % 64 & 1) == 0) {
            continue;
        }
        if (n == vm->cpu_count || vm->cpus[n] != cpu || cpu >= c->info->cpu_count) {
            refuse(c, "CPU %u of %s does not exist, or is not number %u of its CPUs", cpu, name, n);
        }
        n++;
        for (const struct plan_vm *other = vm + 1; other < end; other++) {
            for (uint32_t i = 0; i < other->cpu_count; i++) {
                if (other->cpus[i] == cpu) {
                    refuse(c, "CPU %u belongs to %s and to %s", cpu, name, other->config->name);
                }
            }
        }
    }
    if (vm->cpu_count != n) {
        refuse(c, "%s has %u CPUs, its config says %u", name, vm->cpu_count, n);
    }
}

static void check_image(struct checker *c, const struct plan_vm *vm, const struct boot_image *image,
                        const char *path) {
    bool listed = false;
    for (uint32_t i = 0; i < c->info->image_count; i++) {
        listed = listed || image == &c->info->images[i];
    }
    if (path[0] == '\0' ? image != NULL : !listed || !str_equal(image->path, path)) {
        refuse(c, "%s was given another file than \"%s\"", vm->config->name, path);
    }
}

static bool is_count(uint32_t n, uint32_t most) {
    return n != 0 && n <= most;
}

/* Each channel has two VMs, and they are not the same. */
static bool check_channel_shape(struct checker *c) {
    const struct plan *plan = c->plan;
    bool good = plan->channel_count <= PLAN_MAX_CHANNELS;

    for (uint32_t i = 0; good && i < plan->channel_count; i++) {
        const uint32_t *vms = plan->channels[i].vms;
        good = vms[0] < plan->vm_count && vms[1] < plan->vm_count && vms[0] != vms[1];
    }
    if (!good) {
        refuse(c, "there are %u channels, or one of them is not of two VMs", plan->channel_count);
    }
    return good;
}

/* The counts that every later loop relies on. */
static bool check_shape(struct checker *c) {
    const struct config *config = &c->info->config;
    uint32_t count = c->plan->vm_count;
    bool good = count == config->guest_count && is_count(count, CONFIG_MAX_GUESTS);
    if (!good) {
        refuse(c, "%u VMs for %u guests", count, config->guest_count);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        const struct plan_vm *vm = &c->plan->vms[i];
        good = vm->config == &config->guests[i] && is_count(vm->region_count, PLAN_MAX_REGIONS) &&
               is_count(vm->cpu_count, PLAN_MAX_VCPUS) && vm->window_count <= PLAN_MAX_WINDOWS;
        if (!good) {
            refuse(c, "VM %u is not guest %u of the file, or has %u CPUs or %u pieces of memory", i,
                   i, vm->cpu_count, vm->region_count);
        }
    }
    return good && check_channel_shape(c);
}

enum status plan_check(const struct boot_info *info, const struct plan *plan, plan_report *report) {
    struct checker c = {.info = info, .plan = plan, .report = report};
    if (!check_shape(&c)) {
        return STATUS_INVALID;
    }
    for (uint32_t v = 0; v < plan->vm_count; v++) {
        const struct plan_vm *vm = &plan->vms[v];
        check_cpus(&c, v);
        check_image(&c, vm, vm->kernel, vm->config->kernel);
        check_image(&c, vm, vm->initrd, vm->config->initrd);
        check_layout(&c, vm);
        if (check_windows(&c, v) && check_vsock(&c, v) && check_ports(&c, v) &&
            check_control(&c, v) && check_served(&c, v)) {
            check_bells(&c, v);
        }
        uint64_t least =
            plan_budget_size(vm->config->memory, vm->cpu_count, plan_small_pages(info)) +
            plan_window_tables(vm) + plan_pci_tables(vm);
        if (vm->budget_size < least) {
            refuse(&c, "the budget of %s is too small", vm->config->name);
        }
    }
    list_pieces(plan);
    check_pieces(&c);
    bool good = pci_check(info, plan, report) && !c.bad;
    return good ? STATUS_OK : STATUS_INVALID;
}
