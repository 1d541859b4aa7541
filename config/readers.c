// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readers of the keys that give a guest disks, networks and peers: texts of parts between colons.
 * Called by way of the schema's table.
 */
#include "config/readers.h"

#include "hv/lib/str.h"

/* A part of a text: up to the next colon, or the end. */
struct part {
    const char *at;
    size_t length;
};

static struct part part_at(const char *s) {
    size_t n = 0;
    while (s[n] != ':' && s[n] != '\0') {
        n++;
    }
    return (struct part){s, n};
}

/* The one after it; of length 0 at the end of the text. */
static struct part part_after(struct part p) {
    const char *end = p.at + p.length;
    return part_at(*end == ':' ? end + 1 : end);
}

static bool part_is(struct part p, const char *word) {
    return p.length == strlen(word) && memcmp(p.at, word, p.length) == 0;
}

static bool part_is_last(struct part p) {
    return p.at[p.length] == '\0';
}

/* Of a-z, 0-9 and -, not starting with -; up to size - 1 of them. */
static bool part_is_name(struct part p, size_t size) {
    bool good = p.length != 0 && p.length < size && p.at[0] != '-';
    for (size_t i = 0; good && i < p.length; i++) {
        char c = p.at[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return good;
}

/* ---- disks ---- */

static bool read_disk_path(const struct schema_value *v, const char *at, size_t length,
                           char out[CONFIG_PATH_SIZE]) {
    char text[CONFIG_PATH_SIZE];
    struct schema_value path = *v;

    if (length >= sizeof(text)) {
        return refuse(v, "has a path of %u bytes; write at most %u" MSG(1081), (unsigned)length,
                      (unsigned)sizeof(text) - 1);
    }
    str_copy_n(text, sizeof(text), at, length);
    path.text = text;
    path.field = out;
    return read_path(&path);
}

bool read_pmem(const struct schema_value *v) {
    struct config_pmem *pmem = v->field;

    pmem->pos = v->pos;
    return read_disk_path(v, v->text, strlen(v->text), pmem->path);
}

static bool read_disk_size(const struct schema_value *v, struct part p, struct config_disk *disk) {
    return read_size_of(v, p.at, CONFIG_MEMORY_UNIT, &disk->size);
}

/* Of what names of exports are made: a path may be one. */
static bool is_export_byte(char c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || c == '-' || c == '_' || c == '.' || c == '/';
}

/* GUEST/EXPORT. */
static bool read_server(const struct schema_value *v, struct part p, struct config_disk *disk) {
    struct part guest = {p.at, 0};

    while (guest.length < p.length && p.at[guest.length] != '/') {
        guest.length++;
    }
    if (guest.length == p.length || !part_is_name(guest, sizeof(disk->server))) {
        return refuse(
            v,
            "names no guest and its export after nbd:; write \"NAME:nbd:GUEST/EXPORT\"" MSG(1082));
    }
    struct part export = {guest.at + guest.length + 1, p.length - guest.length - 1};
    bool good = export.length != 0;
    for (size_t i = 0; i < export.length; i++) {
        good = good && is_export_byte(export.at[i]);
    }
    if (!good || export.length >= sizeof(disk->export)) {
        return refuse(v,
                      "has no export's name after \"%.*s/\"; write 1 to %u of a-z, A-Z, 0-9, -, "
                      "_, . and /" MSG(1083),
                      (int)guest.length, guest.at, (unsigned)sizeof(disk->export) - 1);
    }
    str_copy_n(disk->server, sizeof(disk->server), guest.at, guest.length);
    str_copy_n(disk->export, sizeof(disk->export), export.at, export.length);
    disk->kind = DISK_SERVED;
    return true;
}

static bool read_disk_kind(const struct schema_value *v, struct part second,
                           struct config_disk *disk) {
    struct part third = part_after(second), fourth = part_after(third);

    if (part_is(second, "blank") && third.length != 0 && part_is_last(third)) {
        disk->kind = DISK_BLANK;
        return read_disk_size(v, third, disk);
    }
    disk->read_only = part_is(fourth, "ro");
    if (part_is(second, "nbd") && part_is_last(disk->read_only ? fourth : third)) {
        return read_server(v, third, disk);
    }
    if (part_is(third, "ro") && part_is_last(third)) {
        disk->kind = DISK_READ_ONLY;
        return read_disk_path(v, second.at, second.length, disk->path);
    }
    if (part_is(third, "volatile") && fourth.length != 0 && part_is_last(fourth)) {
        disk->kind = DISK_VOLATILE;
        return read_disk_path(v, second.at, second.length, disk->path) &&
               read_disk_size(v, fourth, disk);
    }
    if (part_is(third, "rw")) {
        return refuse(
            v, "cannot be: no guest writes a file of the stick; write volatile:SIZE in "
               "place of rw, and what it writes is its own, until it starts again" MSG(1084));
    }
    return refuse(v, "is no disk; write %s, such as \"%s\"" MSG(1085), v->key->wanted,
                  v->key->example);
}

bool read_disk(const struct schema_value *v) {
    struct config_disk *disk = v->field;
    struct part name = part_at(v->text);

    if (!part_is_name(name, sizeof(disk->name)) || part_is_last(name)) {
        return refuse(v,
                      "does not begin with a disk's name and a colon; write %s, with 1 to %u of "
                      "a-z, 0-9 and - as the NAME" MSG(1086),
                      v->key->wanted, (unsigned)sizeof(disk->name) - 1);
    }
    str_copy_n(disk->name, sizeof(disk->name), name.at, name.length);
    disk->pos = v->pos;
    return read_disk_kind(v, part_after(name), disk);
}

/* ---- networks ---- */

static bool has_mac(const struct config_net *net) {
    static const uint8_t none[sizeof(net->mac)];
    return memcmp(net->mac, none, sizeof(none)) != 0;
}

/* Six bytes with colons between them, of one adapter: no group's address, and not all zero. */
static bool read_mac(const char **s, uint8_t mac[6]) {
    uint8_t any = 0;
    for (unsigned i = 0; i < 6; i++) {
        uint64_t byte = 0;
        const char *digits = *s;
        if (!read_number(s, 16, 0xff, &byte) || *s - digits != 2 || (i < 5 && **s != ':')) {
            return false;
        }
        *s += i < 5;
        mac[i] = (uint8_t)byte;
        any |= mac[i];
    }
    return any != 0 && (mac[0] & 1) == 0;
}

/* *s: after the colon; it goes to the end of the option. */
static bool read_net_option(const struct schema_value *v, const char **s, struct config_net *net) {
    static const char mac[] = "mac=";
    struct part p = part_at(*s);

    if (p.length >= strlen(mac) && memcmp(p.at, mac, strlen(mac)) == 0) {
        if (has_mac(net)) {
            return refuse(v, "has two addresses; write one mac=" MSG(1087));
        }
        *s += strlen(mac);
        return read_mac(s, net->mac) ||
               refuse(v, "has no address of one adapter after mac=; write six pairs of hexadecimal "
                         "digits, such as mac=02:00:00:00:00:01" MSG(1088));
    }
    *s += p.length;
    if (part_is(p, "bridge")) {
        net->bridge = true;
        return true;
    }
    if (part_is(p, "down")) {
        net->down = true;
        return true;
    }
    return refuse(v, "has the unknown option \"%.*s\"; write %s" MSG(1089),
                  (int)min_u64(p.length, 20), p.at, v->key->wanted);
}

/* False at the first fault. */
static bool read_net_options(const struct schema_value *v, const char *s, struct config_net *net) {
    while (*s == ':') {
        s++;
        if (!read_net_option(v, &s, net)) {
            return false;
        }
    }
    return *s == '\0' ||
           refuse(v, "goes on at \"%.*s\"; write %s" MSG(1091), 12, s, v->key->wanted);
}

/* Whatever is wrong with its options, the guest is on that wire, which so is not without one. */
bool read_net(const struct schema_value *v) {
    struct config_net *net = v->field;
    struct part wire = part_at(v->text);

    if (!part_is_name(wire, sizeof(net->wire))) {
        return refuse(v, "does not begin with a wire's name; write %s" MSG(1090), v->key->wanted);
    }
    str_copy_n(net->wire, sizeof(net->wire), wire.at, wire.length);
    net->pos = v->pos;
    if (!read_net_options(v, v->text + wire.length, net)) {
        memset(net->mac, 0, sizeof(net->mac));
    }
    return true;
}

bool read_vsock(const struct schema_value *v) {
    struct config_vsock *vsock = v->field;
    struct part guest = part_at(v->text);

    if (!part_is_name(guest, sizeof(vsock->guest)) || !part_is_last(guest)) {
        return refuse(v, "is no guest's name; write %s, such as \"%s\"" MSG(1092), v->key->wanted,
                      v->key->example);
    }
    str_copy_n(vsock->guest, sizeof(vsock->guest), guest.at, guest.length);
    vsock->pos = v->pos;
    return true;
}

/* The same, or an asterisk. */
bool read_control(const struct schema_value *v) {
    struct config_vsock *control = v->field;

    if (!str_equal(v->text, CONFIG_ALL_GUESTS)) {
        return read_vsock(v);
    }
    (void)str_copy_n(control->guest, sizeof(control->guest), v->text, strlen(v->text));
    control->pos = v->pos;
    return true;
}

bool read_named_port(const struct schema_value *v) {
    struct config_port *port = v->field;
    struct part name = part_at(v->text);

    if (!part_is_name(name, sizeof(port->name)) || !part_is_last(name)) {
        return refuse(v, "is no port's name; write %s" MSG(1093), v->key->wanted);
    }
    str_copy_n(port->name, sizeof(port->name), name.at, name.length);
    port->pos = v->pos;
    return true;
}

/* All of the text is a number from least to most. */
static bool read_number_from(const struct schema_value *v, uint64_t least, uint64_t most) {
    const char *s = v->text;
    uint64_t number = 0;
    bool good = read_number(&s, 10, most, &number) && *s == '\0' && number >= least;

    *(uint32_t *)v->field = (uint32_t)number;
    return good;
}

/* 0 to 2 are nobody's; the highest ones are those of disks. */
bool read_cid(const struct schema_value *v) {
    return read_number_from(v, CONFIG_FIRST_CID, CONFIG_LAST_CID) ||
           refuse(v, "is no address that a guest can have for vsock; write %s" MSG(1094),
                  v->key->wanted);
}

bool read_mtu(const struct schema_value *v) {
    return read_number_from(v, CONFIG_MTU_MIN, CONFIG_MTU_MAX) ||
           refuse(v, "is no length of packets; write %s" MSG(1095), v->key->wanted);
}

bool read_limit(const struct schema_value *v) {
    return read_number_from(v, 1, CONFIG_LIMIT_MAX) ||
           refuse(v, "is no limit; write %s" MSG(1096), v->key->wanted);
}

/* ---- PCI devices ---- */

/* So many hexadecimal digits, and then that character. */
static bool read_digits(const char **s, unsigned count, char after, uint64_t *out) {
    const char *start = *s;

    if (!read_number(s, 16, BIT(4 * count) - 1, out) || *s != start + count || **s != after) {
        return false;
    }
    *s += after != '\0';
    return true;
}

/* Bus, device and function, after the segment if there is one. */
static bool read_pci_address(const char *s, struct config_pci *pci) {
    uint64_t segment = 0, bus = 0, device = 0, function = 0;
    const char *after = s;

    if (read_digits(&after, 4, ':', &segment)) {
        s = after;
    } else {
        segment = 0;
    }
    bool good = read_digits(&s, 2, ':', &bus) && read_digits(&s, 2, '.', &device) &&
                read_digits(&s, 1, '\0', &function) && device < 32 && function < 8;
    pci->segment = (uint16_t)segment;
    pci->function = (uint16_t)(bus << 8 | device << 3 | function);
    return good;
}

static bool read_pci_id(const char *s, struct config_pci *pci) {
    uint64_t vendor = 0, device = 0;
    bool good = read_digits(&s, 4, ':', &vendor) && read_digits(&s, 4, '\0', &device);

    pci->by_id = good;
    pci->vendor = (uint16_t)vendor;
    pci->device = (uint16_t)device;
    return good;
}

bool read_pci(const struct schema_value *v) {
    struct config_pci *pci = v->field;

    pci->pos = v->pos;
    return read_pci_address(v->text, pci) || read_pci_id(v->text, pci) ||
           refuse(v, "is no PCI device; write %s" MSG(1097), v->key->wanted);
}
