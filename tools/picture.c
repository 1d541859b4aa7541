// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text and the picture of disks, images and wires. The picture is a row of guests; each wire
 * and each file of the stick is a line below all of them, with a dot where a guest has it. Below
 * are all CPUs and the memory, in their owners' colours. Called by bhcheck.c.
 */
#include "tools/picture.h"

#include <string.h>

#include "hv/lib/fmt.h"
#include "tools/segments.h"

#define MAC_TEXT 18 /* bytes, with the end */

static const char *const disk_kinds[] = {[DISK_READ_ONLY] = "read-only",
                                         [DISK_VOLATILE] = "volatile",
                                         [DISK_BLANK] = "blank",
                                         [DISK_SERVED] = "served"};

static const char *show_mac(char text[MAC_TEXT], const uint8_t mac[6]) {
    (void)snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                   mac[4], mac[5]);
    return text;
}

/* What the config says of an adapter beside its wire. */
static const char *net_words(const struct config_net *net) {
    if (net->bridge) {
        return net->down ? ", bridge, link down" : ", bridge";
    }
    return net->down ? ", link down" : "";
}

/* The guest's adapter on a wire: its number, or how many it has if there is none. */
static uint32_t find_net(const struct config_guest *g, const char *wire) {
    uint32_t n = 0;
    while (n < g->net_count && strcmp(g->nets[n].wire, wire) != 0) {
        n++;
    }
    return n;
}

static bool has_file(const struct config_guest *g, const char *path) {
    for (uint32_t i = 0; i < g->disk_count; i++) {
        if (strcmp(g->disks[i].path, path) == 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < g->pmem_count; i++) {
        if (strcmp(g->pmems[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- as text ---- */

static void print_file(const struct plan *plan, const struct plan_vm *vm, const char *path) {
    const char *comma = ", shared with ";

    if (path[0] == '\0') {
        return;
    }
    printf(" %s", path);
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct config_guest *g = plan->vms[i].config;
        if (g != vm->config && has_file(g, path)) {
            printf("%s%s", comma, g->name);
            comma = ", ";
        }
    }
}

static void print_disk(const struct plan *plan, const struct plan_vm *vm, uint32_t n) {
    const struct config_disk *disk = &vm->config->disks[n];
    char size[24], own[24];

    if (disk->kind == DISK_SERVED) {
        printf("%-20s %-15s %-8s served by %s as %s%s\n", vm->config->name, disk->name, "-",
               disk->server, disk->export, disk->read_only ? ", read-only" : "");
        return;
    }
    printf("%-20s %-15s %-8s %s", vm->config->name, disk->name,
           fmt_size(size, vm->devices.disks[n].size), disk_kinds[disk->kind]);
    if (disk->kind == DISK_VOLATILE) {
        printf(" up to %s", fmt_size(own, disk->size));
    }
    print_file(plan, vm, disk->path);
    printf("\n");
}

static void print_disks(const struct plan *plan) {
    bool any = false;

    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        bool some = vm->devices.disk_count + vm->devices.pmem_count != 0;
        if (some && !any) {
            printf("\n%-20s %-15s %-8s %s\n", "guest", "disk", "size", "kind");
        }
        any = any || some;
        for (uint32_t n = 0; n < vm->devices.disk_count; n++) {
            print_disk(plan, vm, n);
        }
        for (uint32_t n = 0; n < vm->devices.pmem_count; n++) {
            char size[24];
            printf("%-20s %-15s %-8s read-only", vm->config->name, "(in memory)",
                   fmt_size(size, vm->devices.pmems[n].size));
            print_file(plan, vm, vm->config->pmems[n].path);
            printf("\n");
        }
    }
}

static void print_wire(const struct plan *plan, const struct config_wire *wire) {
    char mac[MAC_TEXT];

    printf("\n==[ %s ]== MTU %u\n", wire->name, wire->mtu);
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        uint32_t n = find_net(vm->config, wire->name);
        if (n < vm->devices.net_count) {
            printf("   |-- %-20s %s%s\n", vm->config->name, show_mac(mac, vm->devices.nets[n].mac),
                   net_words(&vm->config->nets[n]));
        }
    }
}

/* Who is at the other end of the guest's vsock, by its CID. */
static uint32_t find_peer(const struct plan *plan, uint32_t cid) {
    uint32_t vm = 0;
    while (vm + 1 < plan->vm_count && plan->vms[vm].devices.vsock.cid != cid) {
        vm++;
    }
    return vm;
}

/* Each pair once, from the one that may connect. */
static void print_vsock(const struct plan *plan, uint32_t vm) {
    const struct abi_vsock *vsock = &plan->vms[vm].devices.vsock;

    for (uint32_t i = 0; i < vsock->peer_count; i++) {
        const struct abi_vsock_peer *p = &vsock->peers[i];
        uint32_t peer = find_peer(plan, p->cid);
        if (p->may_connect && (!p->may_accept || vm < peer)) {
            printf("   %s (%llu) %s %s (%u)\n", plan->vms[vm].config->name, (ull)vsock->cid,
                   p->may_accept ? "<-->" : "--->", plan->vms[peer].config->name, p->cid);
        }
    }
}

static bool has_vsocks(const struct plan *plan) {
    bool any = false;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct abi_vsock *vsock = &plan->vms[i].devices.vsock;
        for (uint32_t n = 0; n < vsock->peer_count; n++) {
            any = any || vsock->peers[n].may_connect;
        }
    }
    return any;
}

static void print_vsocks(const struct plan *plan) {
    if (!has_vsocks(plan)) {
        return;
    }
    printf("\n--( vsock )-- who may connect to whom; in brackets the CID\n");
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        print_vsock(plan, i);
    }
}

static const char *port_name(const struct config *config, const struct plan_channel *c) {
    return config->guests[c->vms[0]].ports[c->port].name;
}

static unsigned count_named_ports(const struct plan *plan) {
    unsigned count = 0;
    for (uint32_t i = 0; i < plan->channel_count; i++) {
        count += plan->channels[i].use == PLAN_PORT;
    }
    return count;
}

static void print_ports(const struct config *config, const struct plan *plan) {
    for (const struct plan_channel *c = plan->channels; c < plan->channels + plan->channel_count;
         c++) {
        if (c->use == PLAN_PORT) {
            printf("\n--( port %s )-- %s <--> %s\n", port_name(config, c),
                   config->guests[c->vms[0]].name, config->guests[c->vms[1]].name);
        }
    }
}

void picture_print(const struct config *config, const struct plan *plan) {
    print_disks(plan);
    for (uint32_t i = 0; i < config->wire_count; i++) {
        print_wire(plan, &config->wires[i]);
    }
    print_vsocks(plan);
    print_ports(config, plan);
}

/* ---- as a picture ---- */

/* All in pixels. */
#define MARGIN      20u
#define LABELS      200u /* the column of the lines' names */
#define PORT        130u /* from one dot of a guest to its next */
#define GAP         20u
#define BOX_TOP     20u
#define BOX_LINE    16u
#define LINE_HEIGHT 44u

struct drawing {
    FILE *out;
    const struct plan *plan;
    unsigned left[CONFIG_MAX_GUESTS + 1]; /* of each guest's box; of what would follow the last */
    unsigned box_bottom, right;
    unsigned y;                        /* of the next line */
    unsigned ports[CONFIG_MAX_GUESTS]; /* dots so far of each guest */
};

/* A path may hold what SVG has a meaning for. */
static void draw_text(const struct drawing *d, unsigned x, unsigned y, const char *style,
                      const char *text) {
    fprintf(d->out, "<text x=\"%u\" y=\"%u\"%s>", x, y, style);
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", d->out);
            break;
        case '<':
            fputs("&lt;", d->out);
            break;
        case '>':
            fputs("&gt;", d->out);
            break;
        default:
            fputc(*text, d->out);
        }
    }
    fputs("</text>\n", d->out);
}

static unsigned box_lines(const struct plan_vm *vm) {
    unsigned lines = 2;
    for (uint32_t i = 0; i < vm->devices.disk_count; i++) {
        lines += vm->config->disks[i].kind == DISK_BLANK;
    }
    return lines;
}

/* With guests, and not only with disks of theirs. */
static bool has_sockets(const struct abi_vsock *vsock) {
    bool any = false;
    for (uint32_t i = 0; i < vsock->peer_count; i++) {
        any = any || vsock->peers[i].cid <= CONFIG_LAST_CID;
    }
    return any;
}

/* Disks that it serves. */
static unsigned count_exports(const struct plan *plan, const struct plan_vm *vm) {
    unsigned count = 0;
    for (uint32_t i = 0; i < plan->channel_count; i++) {
        const struct plan_channel *c = &plan->channels[i];
        count += c->use == PLAN_SERVED && &plan->vms[c->vms[1]] == vm;
    }
    return count;
}

static unsigned count_served(const struct plan *plan) {
    unsigned count = 0;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        count += count_exports(plan, &plan->vms[i]);
    }
    return count;
}

/* How many dots the guest gets: one for each adapter, each named port, each use of a file and each
 * disk that it serves or is served, one for vsock. */
static unsigned count_ports(const struct plan *plan, const struct plan_vm *vm) {
    unsigned ports = vm->devices.net_count + vm->devices.pmem_count + vm->devices.port_count;
    ports += has_sockets(&vm->devices.vsock) + count_exports(plan, vm);
    for (uint32_t i = 0; i < vm->devices.disk_count; i++) {
        ports += vm->config->disks[i].kind != DISK_BLANK;
    }
    return ports != 0 ? ports : 1;
}

static void lay_out(struct drawing *d) {
    unsigned x = MARGIN + LABELS, lines = 0;

    for (uint32_t i = 0; i < d->plan->vm_count; i++) {
        const struct plan_vm *vm = &d->plan->vms[i];
        d->left[i] = x;
        x += count_ports(d->plan, vm) * PORT + GAP;
        lines = box_lines(vm) > lines ? box_lines(vm) : lines;
    }
    d->left[d->plan->vm_count] = x;
    d->right = x;
    d->box_bottom = BOX_TOP + (lines + 1) * BOX_LINE;
    d->y = d->box_bottom + LINE_HEIGHT;
}

static void draw_guest(const struct drawing *d, uint32_t i) {
    const struct plan_vm *vm = &d->plan->vms[i];
    unsigned x = d->left[i], y = BOX_TOP + BOX_LINE + 4;
    char cpus[64], size[24], text[128];

    fprintf(d->out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" class=\"guest\"/>\n", x,
            BOX_TOP, d->left[i + 1] - x - GAP, d->box_bottom - BOX_TOP);
    draw_text(d, x + 8, y, " class=\"name\"", vm->config->name);
    (void)snprintf(text, sizeof(text), "CPU %s, %s",
                   cpu_set_format(&vm->config->cpus, cpus, sizeof(cpus)),
                   fmt_size(size, vm->config->memory));
    draw_text(d, x + 8, y += BOX_LINE, "", text);
    for (uint32_t n = 0; n < vm->devices.disk_count; n++) {
        const struct config_disk *disk = &vm->config->disks[n];
        if (disk->kind == DISK_BLANK) {
            (void)snprintf(text, sizeof(text), "%s: blank, %s", disk->name,
                           fmt_size(size, disk->size));
            draw_text(d, x + 8, y += BOX_LINE, "", text);
        }
    }
}

static void begin_line(const struct drawing *d, const char *style, const char *name,
                       const char *about) {
    draw_text(d, MARGIN, d->y - 4, " class=\"name\"", name);
    draw_text(d, MARGIN, d->y + 12, "", about);
    fprintf(d->out, "<path d=\"M%u %uH%u\" class=\"%s\"/>\n", MARGIN + LABELS, d->y, d->right - GAP,
            style);
}

/* From the guest's box down to the line that is drawn now. */
static void draw_dot(struct drawing *d, uint32_t vm, const char *first, const char *second) {
    unsigned x = d->left[vm] + 12 + d->ports[vm]++ * PORT;

    fprintf(d->out, "<path d=\"M%u %uV%u\" class=\"drop\"/>\n", x, d->box_bottom, d->y);
    fprintf(d->out, "<circle cx=\"%u\" cy=\"%u\" r=\"4\"/>\n", x, d->y);
    draw_text(d, x + 6, d->y - 5, "", first);
    draw_text(d, x + 6, d->y + 13, "", second);
}

static void draw_wire(struct drawing *d, const struct config_wire *wire) {
    char about[24], mac[MAC_TEXT];

    (void)snprintf(about, sizeof(about), "wire, MTU %u", wire->mtu);
    begin_line(d, "wire", wire->name, about);
    for (uint32_t i = 0; i < d->plan->vm_count; i++) {
        const struct plan_vm *vm = &d->plan->vms[i];
        uint32_t n = find_net(vm->config, wire->name);
        if (n < vm->devices.net_count) {
            const char *words = net_words(&vm->config->nets[n]);
            draw_dot(d, i, show_mac(mac, vm->devices.nets[n].mac),
                     words[0] != '\0' ? words + 2 : words);
        }
    }
    d->y += LINE_HEIGHT;
}

/* At each dot: whom the guest there may connect to. */
static void draw_vsocks(struct drawing *d) {
    char cid[24], to[128];

    begin_line(d, "vsock", "vsock", "who may connect to whom");
    for (uint32_t i = 0; i < d->plan->vm_count; i++) {
        const struct abi_vsock *vsock = &d->plan->vms[i].devices.vsock;
        size_t at = 0;
        to[0] = '\0';
        for (uint32_t n = 0; n < vsock->peer_count; n++) {
            if (vsock->peers[n].may_connect && at < sizeof(to)) {
                at += (size_t)snprintf(to + at, sizeof(to) - at, "%s%u", at == 0 ? "to " : ", ",
                                       vsock->peers[n].cid);
            }
        }
        if (has_sockets(vsock)) {
            (void)snprintf(cid, sizeof(cid), "CID %llu", (ull)vsock->cid);
            draw_dot(d, i, cid, to);
        }
    }
    d->y += LINE_HEIGHT;
}

static void draw_ports(struct drawing *d, const struct config *config) {
    for (uint32_t i = 0; i < d->plan->channel_count; i++) {
        const struct plan_channel *c = &d->plan->channels[i];
        if (c->use == PLAN_PORT) {
            begin_line(d, "port", port_name(config, c), "port");
            draw_dot(d, c->vms[0], "", "");
            draw_dot(d, c->vms[1], "", "");
            d->y += LINE_HEIGHT;
        }
    }
}

static void draw_served(struct drawing *d) {
    for (uint32_t i = 0; i < d->plan->channel_count; i++) {
        const struct plan_channel *c = &d->plan->channels[i];
        if (c->use == PLAN_SERVED) {
            const struct config_disk *disk = &d->plan->vms[c->vms[0]].config->disks[c->disk];
            begin_line(d, "served", disk->export, "served disk");
            draw_dot(d, c->vms[0], disk->name, disk->read_only ? "read-only" : "");
            draw_dot(d, c->vms[1], "serves it", "");
            d->y += LINE_HEIGHT;
        }
    }
}

static void draw_uses(struct drawing *d, uint32_t i, const char *path) {
    const struct config_guest *g = d->plan->vms[i].config;
    char text[64], size[24];

    for (uint32_t n = 0; n < g->disk_count; n++) {
        const struct config_disk *disk = &g->disks[n];
        if (strcmp(disk->path, path) != 0) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "%s", disk_kinds[disk->kind]);
        if (disk->kind == DISK_VOLATILE) {
            (void)snprintf(text, sizeof(text), "%s %s", disk_kinds[disk->kind],
                           fmt_size(size, disk->size));
        }
        draw_dot(d, i, disk->name, text);
    }
    for (uint32_t n = 0; n < g->pmem_count; n++) {
        if (strcmp(g->pmems[n].path, path) == 0) {
            draw_dot(d, i, "in memory", "read-only");
        }
    }
}

static void draw_file(struct drawing *d, const char *path) {
    begin_line(d, "file", path, "file, one copy");
    for (uint32_t i = 0; i < d->plan->vm_count; i++) {
        draw_uses(d, i, path);
    }
    d->y += LINE_HEIGHT;
}

/* Whether a guest before this one, or this one before its n-th path, has it. */
static bool is_drawn(const struct plan *plan, uint32_t vm, const char *const *paths, uint32_t n) {
    for (uint32_t i = 0; i < vm; i++) {
        if (has_file(plan->vms[i].config, paths[n])) {
            return true;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(paths[i], paths[n]) == 0) {
            return true;
        }
    }
    return false;
}

/* Each once, in the order of the config; draws it, or with no drawing counts it. */
static unsigned each_file(const struct plan *plan, struct drawing *d) {
    unsigned count = 0;

    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct config_guest *g = plan->vms[i].config;
        const char *paths[CONFIG_MAX_DISKS + CONFIG_MAX_PMEMS];
        uint32_t many = 0;
        for (uint32_t n = 0; n < g->disk_count; n++) {
            paths[many++] = g->disks[n].path;
        }
        for (uint32_t n = 0; n < g->pmem_count; n++) {
            paths[many++] = g->pmems[n].path;
        }
        for (uint32_t n = 0; n < many; n++) {
            if (paths[n][0] == '\0' || is_drawn(plan, i, paths, n)) {
                continue;
            }
            count++;
            if (d != NULL) {
                draw_file(d, paths[n]);
            }
        }
    }
    return count;
}

/* ---- whose the CPUs and the memory are ---- */

#define CPU_SIDE   20u
#define CPUS_A_ROW 32u
#define ROW        18u
#define OWNERS     6u /* colours */

static unsigned cpu_rows(const struct boot_info *info) {
    return (info->cpu_count + CPUS_A_ROW - 1) / CPUS_A_ROW;
}

/* A square of an owner's colour; vm_count of the plan: nobody's. */
static void draw_square(const struct drawing *d, unsigned x, unsigned y, uint32_t vm,
                        const char *otherwise) {
    char owner[16];

    (void)snprintf(owner, sizeof(owner), "owner%u", vm % OWNERS);
    fprintf(d->out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" class=\"%s\"/>\n", x, y,
            CPU_SIDE - 4, CPU_SIDE - 4, vm < d->plan->vm_count ? owner : otherwise);
}

static uint32_t owner_of_cpu(const struct plan *plan, uint32_t cpu) {
    uint32_t vm = 0;
    while (vm < plan->vm_count && !cpu_set_has(&plan->vms[vm].config->cpus, cpu)) {
        vm++;
    }
    return vm;
}

static void draw_cpus(struct drawing *d, const struct boot_info *info) {
    draw_text(d, MARGIN, d->y + 12, " class=\"name\"", "CPUs");
    for (uint32_t cpu = 0; cpu < info->cpu_count; cpu++) {
        unsigned x = MARGIN + LABELS + cpu % CPUS_A_ROW * CPU_SIDE;
        unsigned y = d->y + cpu / CPUS_A_ROW * CPU_SIDE;
        char number[12];
        draw_square(d, x, y, owner_of_cpu(d->plan, cpu), "nobody");
        (void)snprintf(number, sizeof(number), "%u", cpu);
        draw_text(d, x + 2, y + 12, "", number);
    }
    d->y += cpu_rows(info) * CPU_SIDE + GAP;
}

static void draw_memory(struct drawing *d, const struct segment *segments, unsigned count) {
    static const char *const others[] = {[SEGMENT_FREE] = "nobody",
                                         [SEGMENT_BULKHEAD] = "bulkhead",
                                         [SEGMENT_RESERVED] = "firmware"};

    draw_text(d, MARGIN, d->y + 12, " class=\"name\"", "memory");
    for (unsigned i = 0; i < count; i++) {
        const struct segment *s = &segments[i];
        uint32_t vm = s->vm != NULL ? (uint32_t)(s->vm - d->plan->vms) : d->plan->vm_count;
        char text[160], name[64], size[24];
        draw_square(d, MARGIN + LABELS, d->y, vm, s->vm == NULL ? others[s->use] : "");
        (void)snprintf(text, sizeof(text), "0x%llx  %s  %s", (ull)s->base, fmt_size(size, s->size),
                       segment_name(s, name, sizeof(name)));
        draw_text(d, MARGIN + LABELS + CPU_SIDE + 4, d->y + 12, "", text);
        d->y += ROW;
    }
}

void picture_draw(FILE *out, const struct boot_info *info, const struct plan *plan) {
    const struct config *config = &info->config;
    static struct segment segments[SEGMENTS_MOST];
    unsigned count = segments_list(info, plan, segments);
    static const char style[] = "text{font:11px sans-serif;fill:#222}.name{font-weight:bold}"
                                ".guest{fill:#eef3fa;stroke:#456}.wire{stroke:#06c;stroke-width:3}"
                                ".vsock{stroke:#283;stroke-width:3;stroke-dasharray:2 3}"
                                ".port{stroke:#a3a;stroke-width:3}"
                                ".served{stroke:#b50;stroke-width:3}"
                                ".file{stroke:#862;stroke-width:3;stroke-dasharray:6 4}"
                                ".drop{stroke:#999;fill:none}circle{fill:#222}"
                                ".owner0{fill:#9cf}.owner1{fill:#fc9}.owner2{fill:#9d9}"
                                ".owner3{fill:#d9d}.owner4{fill:#ee8}.owner5{fill:#8dd}"
                                ".nobody{fill:#fff;stroke:#bbb}.bulkhead{fill:#667}"
                                ".firmware{fill:#ccc}";
    struct drawing d = {.out = out, .plan = plan};

    lay_out(&d);
    if (d.right < MARGIN + LABELS + CPUS_A_ROW * CPU_SIDE + GAP) {
        d.right = MARGIN + LABELS + CPUS_A_ROW * CPU_SIDE + GAP;
    }
    unsigned lines = config->wire_count + each_file(plan, NULL) + has_vsocks(plan) +
                     count_named_ports(plan) + count_served(plan);
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\">\n", d.right,
            d.y + lines * LINE_HEIGHT + cpu_rows(info) * CPU_SIDE + GAP + count * ROW + MARGIN);
    fprintf(out, "<style>%s</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            style);
    for (uint32_t i = 0; i < config->wire_count; i++) {
        draw_wire(&d, &config->wires[i]);
    }
    if (has_vsocks(plan)) {
        draw_vsocks(&d);
    }
    draw_ports(&d, config);
    draw_served(&d);
    (void)each_file(plan, &d);
    draw_cpus(&d, info);
    draw_memory(&d, segments, count);
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        draw_guest(&d, i);
    }
    fprintf(out, "</svg>\n");
}
