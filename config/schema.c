// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The schema of bulkhead.toml: the table of keys, and the readers of their values. A reader gets
 * text that is known to be short enough and free of control characters but tabs, and reports what
 * breaks its rule. Called by parse.c; the manual is printed from the table.
 */
#include "config/schema.h"

#include "config/identity.h"
#include "config/readers.h"
#include "hv/abi.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

/* How a value is shown in a message: at most this many bytes of it. */
#define SHOWN 60

bool refuse(const struct schema_value *v, const char *format, ...) {
    char rule[FAULT_TEXT_SIZE];
    FMT_ARGUMENTS(rule, format);
    fault_add(v->faults, v->pos.line, v->pos.column, "%s = \"%.*s\" %s", v->key->name, SHOWN,
              v->text, rule);
    return false;
}

/* The digit that a character stands for, base or more if it is none of that base. */
static unsigned digit_of(char c, unsigned base) {
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    char letter = (char)(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? (unsigned)(letter - 'a') + 10 : base;
}

bool read_number(const char **s, unsigned base, uint64_t max, uint64_t *out) {
    const char *start = *s;
    for (*out = 0; digit_of(**s, base) < base; (*s)++) {
        unsigned digit = digit_of(**s, base);
        if (digit > max || *out > (max - digit) / base) {
            return false;
        }
        *out = *out * base + digit;
    }
    return *s != start;
}

static void skip_blanks(const char **s) {
    while (**s == ' ') {
        (*s)++;
    }
}

static bool read_choice(const struct schema_value *v) {
    for (size_t i = 0; v->key->choices[i].name != NULL; i++) {
        if (str_equal(v->key->choices[i].name, v->text)) {
            /* little-endian: fields of 1, 2 or 4 bytes */
            memcpy(v->field, &v->key->choices[i].value, v->key->size);
            return true;
        }
    }
    return refuse(v, "is not known; write %s" MSG(1061), v->key->wanted);
}

/* A name from the choices or a port in hex; 8 ports from there must exist. */
static bool read_port(const struct schema_value *v) {
    const char *s = v->text + 2;
    uint64_t port = 0;
    if (v->text[0] != '0' || (v->text[1] | 0x20) != 'x') {
        return read_choice(v);
    }
    if (!read_number(&s, 16, 0xfff8, &port) || *s != '\0' || port < 0x100 || port % 8 != 0) {
        return refuse(v, "is not the port of a UART; write a multiple of 8 from 0x100 to 0xfff8, "
                         "such as \"0x3f8\"" MSG(1062));
    }
    memcpy(v->field, &port, v->key->size);
    return true;
}

static bool read_cpus(const struct schema_value *v) {
    struct cpu_set *set = v->field;
    const char *s = v->text;
    do {
        uint64_t first = 0, last = 0;
        skip_blanks(&s);
        const char *item = s;
        bool good = read_number(&s, 10, CONFIG_MAX_CPUS - 1, &first);
        last = first;
        if (good && *s == '-') {
            s++;
            good = read_number(&s, 10, CONFIG_MAX_CPUS - 1, &last) && first <= last;
        }
        skip_blanks(&s);
        if (!good || (*s != ',' && *s != '\0')) {
            return refuse(v, "is not a list of CPUs at \"%.*s\"; write %s, from 0 to %u" MSG(1063),
                          12, item, v->key->wanted, CONFIG_MAX_CPUS - 1);
        }
        for (unsigned cpu = (unsigned)first; cpu <= last; cpu++) {
            if (cpu_set_has(set, cpu)) {
                return refuse(v, "names CPU %u twice; name each once" MSG(1064), cpu);
            }
            cpu_set_add(set, cpu);
        }
    } while (*s++ == ',');
    return true;
}

/* The number of the name, CONFIG_AVOIDS if there is none. */
static unsigned find_avoid(const char *name, size_t n) {
    unsigned i = 0;
    while (i < CONFIG_AVOIDS &&
           (strlen(config_avoid_names[i]) != n || memcmp(config_avoid_names[i], name, n) != 0)) {
        i++;
    }
    return i;
}

static bool read_avoid(const struct schema_value *v) {
    uint32_t *avoid = v->field;
    for (const char *s = v->text; *s != '\0';) {
        size_t n = 0;
        while (s[n] != '\0' && s[n] != ' ') {
            n++;
        }
        unsigned i = find_avoid(s, n);
        if (n != 0 && i == CONFIG_AVOIDS) {
            return refuse(v, "names no feature at \"%.*s\"; write %s" MSG(1065), (int)n, s,
                          v->key->wanted);
        }
        *avoid |= n != 0 ? BIT32(i) : 0;
        s += n;
        skip_blanks(&s);
    }
    return true;
}

/* 0 if it is no unit. */
static unsigned unit_shift(char unit) {
    switch (unit) {
    case 'K':
        return 10;
    case 'M':
        return 20;
    case 'G':
        return 30;
    default:
        return 0;
    }
}

bool read_size_of(const struct schema_value *v, const char *s, uint64_t least, uint64_t *out) {
    uint64_t number = 0;
    bool good = read_number(&s, 10, CONFIG_MEMORY_MAX, &number);
    unsigned shift = unit_shift(*s);
    if (!good || shift == 0 || s[1] != '\0') {
        return refuse(v, "is not a size; write a number and K, M or G, such as \"%s\"" MSG(1066),
                      v->key->example);
    }
    bool fits = number <= CONFIG_MEMORY_MAX >> shift;
    uint64_t bytes = fits ? number << shift : CONFIG_MEMORY_MAX;
    uint64_t near = max_u64(ALIGN_UP(bytes, CONFIG_MEMORY_UNIT), least);
    if (!fits || bytes != near) {
        char from[24], fix[24];
        return refuse(v,
                      "is not a multiple of 2M from \"%s\" to \"65536G\"; write \"%s\"" MSG(1067),
                      fmt_size(from, least), fmt_size(fix, near));
    }
    *out = bytes;
    return true;
}

static bool read_size(const struct schema_value *v) {
    return read_size_of(v, v->text, CONFIG_MEMORY_MIN, v->field);
}

/* Seconds or minutes. */
static bool read_seconds(const struct schema_value *v) {
    const char *s = v->text;
    uint64_t number = 0;
    bool good = read_number(&s, 10, CONFIG_STOP_TIMEOUT_MAX, &number);
    uint64_t unit = *s == 'm' ? 60 : 1;
    bool minutes_or_seconds = *s == 'm' || *s == 's';

    if (!good || !minutes_or_seconds || s[1] != '\0' || number == 0 ||
        number * unit > CONFIG_STOP_TIMEOUT_MAX) {
        return refuse(v,
                      "is not a time from \"1s\" to \"60m\"; write a number and s or m, such as "
                      "\"%s\"" MSG(1068),
                      v->key->example);
    }
    *(uint32_t *)v->field = (uint32_t)(number * unit);
    return true;
}

/* Seconds, or none. */
static bool read_menu(const struct schema_value *v) {
    const char *s = v->text;
    uint64_t number = 0;

    if (!read_number(&s, 10, CONFIG_MENU_MAX, &number) || s[0] != 's' || s[1] != '\0') {
        return refuse(
            v,
            "is not a time from \"0s\" to \"600s\"; write a number and s, such as \"%s\"" MSG(1069),
            v->key->example);
    }
    *(uint32_t *)v->field = (uint32_t)number;
    return true;
}

/* Characters that no file name on a FAT volume can have. */
static bool is_odd(char c) {
    return c == '\t' || c == ':' || c == '*' || c == '?' || c == '"' || c == '<' || c == '>' ||
           c == '|';
}

/* FAT drivers cut blanks at both ends of a name and dots at its end, but not all of them do. */
static bool is_cut_by_fat(const char *part, size_t n) {
    return n != 0 && (part[0] == ' ' || part[n - 1] == ' ' || part[n - 1] == '.');
}

bool read_path(const struct schema_value *v) {
    char *out = v->field, *part = out; /* never longer than the text, which fits */
    for (const char *s = v->text;; s++) {
        char c = *s == '\\' ? '/' : *s;
        size_t n = (size_t)(out - part);
        bool dots = (n == 1 || n == 2) && part[0] == '.' && part[n - 1] == '.';
        if (is_odd(c)) {
            return refuse(v,
                          "holds '%c', which no file name on the stick can have; write the path "
                          "from the stick's root, such as \"%s\"" MSG(1070),
                          c, v->key->example);
        }
        if ((c == '/' && dots) || (c == '\0' && (dots || n == 0))) {
            return refuse(v,
                          "is not the path of a file; write it from the stick's root without . and "
                          ".., such as \"%s\"" MSG(1071),
                          v->key->example);
        }
        if ((c == '/' || c == '\0') && is_cut_by_fat(part, n)) {
            return refuse(v, "holds a name with a blank at an end or a dot as its last character, "
                             "which the stick cannot have; write it without" MSG(1072));
        }
        if (c == '\0') {
            return true;
        }
        if (c != '/' || n != 0) {
            *out++ = c;
        }
        part = c == '/' ? out : part;
    }
}

static bool read_text(const struct schema_value *v) {
    return str_copy_n(v->field, v->key->size, v->text, strlen(v->text));
}

/* "ctrl-" and a letter or one of [ \\ ] ^ _, but for what a terminal's other keys send. */
static bool read_escape_key(const struct schema_value *v) {
    static const char prefix[] = "ctrl-";
    static const char taken[] = "hijmqs["; /* Backspace, Tab, Enter twice, XON, XOFF, Escape */
    size_t n = strlen(prefix);
    bool named = strlen(v->text) == n + 1 && memcmp(v->text, prefix, n) == 0;
    char c = named ? v->text[n] : '\0';
    bool known = (c >= 'a' && c <= 'z') || (c >= '[' && c <= '_');

    for (const char *t = taken; *t != '\0'; t++) {
        known = known && c != *t;
    }
    if (!known) {
        return refuse(v, "cannot be the escape key; write %s" MSG(1073), v->key->wanted);
    }
    *(uint8_t *)v->field = (uint8_t)c & 0x1f;
    return true;
}

/* Not all zero, which stands for none. */
static bool read_uuid(const struct schema_value *v) {
    static const uint8_t none[UUID_SIZE];
    uint8_t uuid[UUID_SIZE];
    if (!identity_read_uuid(v->text, uuid) || memcmp(uuid, none, UUID_SIZE) == 0) {
        return refuse(v, "is not a UUID; write %s" MSG(1074), v->key->wanted);
    }
    memcpy(v->field, uuid, UUID_SIZE);
    return true;
}

/* SMBIOS knows no other characters. */
static bool read_ascii(const struct schema_value *v) {
    for (const char *s = v->text; *s != '\0'; s++) {
        if (*s < ' ' || *s > '~') {
            return refuse(v, "holds more than plain ASCII; write %s" MSG(1075), v->key->wanted);
        }
    }
    return read_text(v);
}

#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define HYPERVISOR(member)  SCHEMA_HYPERVISOR, FIELD(config, member), 0, 0
#define WIRE(member)        SCHEMA_WIRE, FIELD(config_wire, member), 0, 0
#define GUEST(member)       SCHEMA_GUEST, FIELD(config_guest, member), 0, 0
#define GUEST_WITH_POS(member)                                                                     \
    SCHEMA_GUEST, FIELD(config_guest, member), offsetof(struct config_guest, member##_pos), 0
#define GUEST_LIST(member, count, most)                                                            \
    SCHEMA_GUEST, offsetof(struct config_guest, member),                                           \
        sizeof(((struct config_guest *)NULL)->member[0]), offsetof(struct config_guest, count),    \
        most
#define A_PATH "the path of a file, from the stick's root, with / or \\ between its parts"

#define A_LIMIT "a number from \"1\" to \"100000000\""

#define A_UUID "8-4-4-4-12 hexadecimal digits, not all of them 0"

static const struct schema_choice ports[] = {
    {"auto", CONSOLE_AUTO}, {"com1", 0x3f8},      {"com2", 0x2f8},        {"com3", 0x3e8},
    {"com4", 0x2e8},        {"pci", CONSOLE_PCI}, {"none", CONSOLE_NONE}, {NULL, 0}};
static const struct schema_choice levels[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct schema_choice log_clocks[] = {{"uptime", 0}, {"utc", 1}, {NULL, 0}};
static const struct schema_choice types[] = {{"linux", BULKHEAD_KERNEL_LINUX},
                                             {"multiboot", BULKHEAD_KERNEL_MULTIBOOT},
                                             {"elf", BULKHEAD_KERNEL_ELF},
                                             {"flat", BULKHEAD_KERNEL_FLAT},
                                             {NULL, 0}};
static const struct schema_choice keyboards[] = {
    {"us", KEYBOARD_US}, {"de", KEYBOARD_DE}, {"uk", KEYBOARD_UK}, {NULL, 0}};
static const struct schema_choice terminals[] = {
    {"auto", TERMINAL_AUTO}, {"com1", TERMINAL_COM1}, {"hvc0", TERMINAL_HVC0}, {NULL, 0}};
static const struct schema_choice mitigations[] = {{"auto", 1}, {"off", 0}, {NULL, 0}};
static const struct schema_choice starts[] = {{"auto", 1}, {"manual", 0}, {NULL, 0}};
static const struct schema_choice crashes[] = {
    {"restart", ON_CRASH_RESTART}, {"stop", ON_CRASH_STOP}, {"halt", ON_CRASH_HALT}, {NULL, 0}};
static const struct schema_choice violations[] = {
    {"deny", ON_VIOLATION_DENY}, {"stop", ON_VIOLATION_STOP}, {NULL, 0}};
static const struct schema_choice over_limits[] = {{"throttle", ON_LIMIT_THROTTLE},
                                                   {"pause", ON_LIMIT_PAUSE},
                                                   {"restart", ON_LIMIT_RESTART},
                                                   {NULL, 0}};

/* name, reader, choices, field, preset, example, value, doc. A list's value is that of one text. */
const struct schema_key schema[SCHEMA_KEYS] = {
    {"console", read_port, ports, HYPERVISOR(console), "auto", "com1",
     "\"auto\", \"com1\", \"com2\", \"com3\", \"com4\", \"pci\", \"none\" or an I/O port such as "
     "\"0x3f8\"",
     "The serial port for the log and the guests' consoles, 8 data bits, no parity. `auto` takes the "
     "first that answers: the one that the firmware names for its own console (ACPI's SPCR table), "
     "COM1 to COM4, a PCI serial card. Intel AMT's serial-over-LAN counts as such a card; `pci` takes "
     "a card though there is a COM1. A port that is named gets 115200 baud. With `auto` and `pci` the "
     "speed stays as the firmware has set it, if its own console uses a serial line. The pre-flight "
     "says which port it is. The screen shows the log as well, where there is one."},
    {"log", read_choice, levels, HYPERVISOR(log_level), "info", "info",
     "\"error\", \"warn\", \"info\" or \"debug\"",
     "How much is logged: this level and the more severe ones."},
    {"log_clock", read_choice, log_clocks, HYPERVISOR(log_wall_clock), "uptime", "utc",
     "\"uptime\" or \"utc\"",
     "What a line of the log begins with: the seconds since the start, or before them the date and "
     "the time of day (UTC), by the firmware's clock at the start."},
    {"escape_key", read_escape_key, NULL, HYPERVISOR(escape_key), "ctrl-]", "ctrl-a",
     "\"ctrl-\" and one of a-z ] \\\\ ^ _ but for h, i, j, m, q, s",
     "The key of the console that is Bulkhead's own: it comes before the number of a view. Ctrl-] is "
     "telnet's as well: who comes by telnet may want another."},
    {"keyboard", read_choice, keyboards, HYPERVISOR(keyboard), "us", "de",
     "\"us\", \"de\" or \"uk\"",
     "What is printed on the keys of the machine's own keyboard. A terminal on the serial line knows "
     "its own."},
    {"menu", read_menu, NULL, HYPERVISOR(menu), "3s", "10s",
     "a number and s, from \"0s\" to \"600s\"",
     "How long the start of a stick with two sets (docs/sticks.md) shows its menu before it goes on by itself; "
     "the good set says it. "
     "With `0s` there is no menu."},
    {"trial", read_seconds, NULL, HYPERVISOR(trial), "60s", "5m",
     "a number and s or m, from \"1s\" to \"60m\"",
     "How long the guests of a new set (docs/sticks.md) have to run at a stretch, each that starts with the machine, "
     "before the set has come up."},
    {"mitigations", read_choice, mitigations, HYPERVISOR(mitigate), "auto", "auto",
     "\"auto\" or \"off\"",
     "Whether Bulkhead does what this CPU needs to keep speculation from leaking one guest's data "
     "to another: caches and buffers emptied, branch predictions forgotten. The log says what that "
     "is; docs/cpus.md, what for."},
    {"avoid", read_avoid, NULL, HYPERVISOR(avoid), "", "apicv vpid",
     "words of apicv, posting, vpid, 1g, bus-locks, x2apic, deadline, iommu, clean-bits, next-rip, "
     "decode-assists, flush-by-asid, with blanks between them",
     "Features of the CPU that Bulkhead does without: to find out which of them a fault comes from. "
     "apicv (APIC virtualization), posting (of interrupts), vpid: VT-x; clean-bits, next-rip, decode-assists, flush-by-asid: "
     "AMD-V; 1g: pages of 1 GiB; bus-locks: their exits; x2apic, deadline: the host's own local APICs; "
     "iommu: VT-d or AMD-Vi, no guest has a PCI device then. What this CPU does not have may be named as well. Guests get slower, and that is all."},
    {"stick_id", read_uuid, NULL, HYPERVISOR(stick_id), "", "6b1f2c0a-93d4-4e57-8a10-52f7c3b9e801",
     A_UUID,
     "What the guests' UUIDs are made of, beside their names. Without this key it is the UUID of "
     "the stick's partition, which stays while files on it change. Copies of one image share that: "
     "give each machine's stick one of its own."},
    {"cpus", read_cpus, NULL, GUEST_WITH_POS(cpus), NULL, "1",
     "a list of host CPU numbers such as \"1\", \"2-3\" or \"1,4\"",
     "The host CPUs this guest owns alone, one virtual CPU for each. CPU 0 is the one the "
     "firmware started on. A guest can have up to 8."},
    {"memory", read_size, NULL, GUEST_WITH_POS(memory), NULL, "512M",
     "a number and K, M or G, at least \"16M\", a multiple of 2M",
     "The guest's memory, owned by it alone. It must hold the kernel and the initrd."},
    {"kernel", read_path, NULL, GUEST_WITH_POS(kernel), NULL, "guests/vmlinuz", A_PATH,
     "The kernel to start: a Linux bzImage, of 64 or 32 bits; a Multiboot kernel; a 64-bit ELF "
     "program; or a flat binary. docs/guests.md says what each finds at its start."},
    {"type", read_choice, types, GUEST_WITH_POS(type), "", "multiboot",
     "\"linux\", \"multiboot\", \"elf\" or \"flat\"",
     "What the kernel file is. Without this key its content tells, which for a flat binary it "
     "cannot."},
    {"initrd", read_path, NULL, GUEST_WITH_POS(initrd), "", "guests/web.img", A_PATH,
     "The initial ramdisk. Without this key the guest gets none."},
    {"disk", read_disk, NULL, GUEST_LIST(disks, disk_count, CONFIG_MAX_DISKS), "",
     "root:images/root.erofs:ro",
     "\"NAME:PATH:ro\", \"NAME:PATH:volatile:SIZE\", \"NAME:blank:SIZE\" or \"NAME:nbd:GUEST/EXPORT\"",
     "Virtio disks, in this order. NAME, up to 15 of `a-z`, `0-9` and `-`, is the disk's serial "
     "number (`/dev/disk/by-id/virtio-NAME`). `ro`: a file of the stick, which all guests that name "
     "it share, one copy in memory. `volatile`: the same file, and the guest may write: pages that it "
     "has written are its own, up to SIZE of them, and gone when it starts again. `blank`: no file, "
     "zeros at each start. `nbd`: what another guest serves under the name EXPORT (up to 63 of `a-z`, "
     "`A-Z`, `0-9`, `-_./`) by `nbdkit --vsock`; with `:ro` after it this guest never writes to it. "
     "docs/served-disks.md says how. A file's size is a multiple of 512 bytes. SIZE is a multiple of 2M, and "
     "comes on top of the guest's memory."},
    {"pmem", read_pmem, NULL, GUEST_LIST(pmems, pmem_count, CONFIG_MAX_PMEMS), "",
     "images/base.erofs", A_PATH,
     "Files that the guest finds in its memory, read-only, above its own: Linux makes `/dev/pmem0` "
     "and so on of them, and with `dax=always` an erofs that is not compressed runs programs from "
     "there without a copy. All guests that name a file share the one copy of it. At least 2M "
     "each."},
    {"net", read_net, NULL, GUEST_LIST(nets, net_count, CONFIG_MAX_NETS), "", "lan",
     "\"WIRE\", and after it as wanted \":mac=02:00:00:00:00:01\", \":bridge\", \":down\"",
     "Virtio network adapters, in this order, each on a wire. Without `mac` the address is made of "
     "the guest's and the wire's name: the same at every start. A frame with another source address "
     "than that is dropped, unless the adapter is a `bridge`. `down`: its link is down until the "
     "operator's `link` puts it up."},
    {"vsock", read_vsock, NULL, GUEST_LIST(vsocks, vsock_count, CONFIG_MAX_VSOCKS), "", "router",
     "the name of another guest",
     "The guests that this one may connect to by vsock: streams between programs, without a network "
     "(`AF_VSOCK`; `socat - VSOCK-CONNECT:4:1024` connects to port 1024 of the guest with CID 4). They "
     "cannot connect to this one unless their own `vsock` names it. A guest that names no other and "
     "is named by none has no such device."},
    {"cid", read_cid, NULL, GUEST_WITH_POS(cid), "", "42", "a number from \"3\" to \"4294901759\"",
     "The guest's address for vsock, which no other may have. Without this key it is 3 for the "
     "file's first guest, 4 for the second, and so on: it changes if guests are put in before it."},
    {"port", read_named_port, NULL, GUEST_LIST(ports, port_count, CONFIG_MAX_PORTS), "", "sync",
     "a name of 1 to 31 of a-z, 0-9 and -",
     "Ports of the guest's virtio console, each joined to the port of the same name of one other guest, "
     "as by a serial cable: `/dev/virtio-ports/NAME` in both. Exactly two guests name it. Bytes arrive as "
     "they were written; who reads sees an end when the other side closes its end, and who writes waits "
     "while the other side does not read."},
    {"control", read_control, NULL, GUEST_LIST(controls, control_count, CONFIG_MAX_GUESTS), "",
     "web", "a guest's name, or \"*\" for all",
     "The guests that this one may list, start, stop, restart, reset, kill, pause and resume, and whose "
     "consoles it may read and type at, as their operator could at the prompt: by `bulkctl`, or lines of "
     "JSON by vsock, if it has that, or at its console's port `org.bulkhead.control` (docs/control.md). "
     "Whoever is root in this guest may do it. "
     "Without this key nobody listens there, it has no such port, and no way to ask."},
    {"pci", read_pci, NULL, GUEST_LIST(pcis, pci_count, CONFIG_MAX_PCI), "", "0000:03:00.0",
     "an address such as \"03:00.0\" or \"0000:03:00.0\", or vendor and device such as \"8086:10d3\"",
     "PCI devices of the machine that this guest alone is to have. Vendor and device do for one that the "
     "machine has once. The pre-flight lists all of them, with which ones can be given and why not the "
     "others (docs/hardware.md); devices of one group go to one guest, or to none."},
    {"cmdline", read_text, NULL, GUEST(cmdline), "console=ttyS0", "console=ttyS0 quiet",
     "text of at most 1023 bytes",
     "The kernel's command line. The guest's console is its first serial port, or its virtio console "
     "(`console=hvc0`)."},
    {"console", read_choice, terminals, GUEST(terminal), "auto", "hvc0",
     "\"auto\", \"com1\" or \"hvc0\"",
     "Where what is typed in the guest's view goes: to its first serial port or to its virtio console, "
     "which costs it less. The view shows what the guest writes to either. `auto` is `hvc0` if the last "
     "`console=` in `cmdline` begins with `hvc`, as Linux chooses its `/dev/console`; else `com1`."},
    {"uuid", read_uuid, NULL, GUEST(uuid), "", "3f0cb8d6-5a0e-4c39-9d2b-7e61a4f0c512", A_UUID,
     "The guest's system UUID, which its SMBIOS tells. Without this key it is made of stick_id and "
     "the guest's name (RFC 9562, version 5): the same at every start."},
    {"serial", read_ascii, NULL, GUEST(serial), "", "WEB-0042", "text of at most 47 bytes of ASCII",
     "The guest's serial number, in its SMBIOS. Without this key it is \"BLKH-\" and the last twelve "
     "digits of the UUID."},
    {"asset_tag", read_ascii, NULL, GUEST(asset_tag), "", "rack 4",
     "text of at most 47 bytes of "
     "ASCII",
     "The guest's asset tag, in its SMBIOS. Without this key it has none."},
    {"start", read_choice, starts, GUEST(start_auto), "auto", "auto", "\"auto\" or \"manual\"",
     "Whether the guest starts with the machine or waits for the operator."},
    {"stop_timeout", read_seconds, NULL, GUEST(stop_timeout), "60s", "90s",
     "a number and s or m, from \"1s\" to \"60m\"",
     "How long the guest has to switch itself off after the operator's `stop` has pressed its power "
     "button. After that its plug is pulled."},
    {"watchdog", read_seconds, NULL, GUEST(watchdog), "", "30s",
     "a number and s or m, from \"1s\" to \"60m\"",
     "Gives the guest a watchdog: ACPI's WDAT, which Linux drives by `wdat_wdt` (`/dev/watchdog0`). It is "
     "off until the guest starts it. A guest that then does not feed it for this time, or for a shorter one "
     "that it has set, has crashed, and `on_crash` says what follows. Linux begins with 30 s: where this is shorter, give its "
     "driver `timeout=`. Without this key there is none."},
    {"on_crash", read_choice, crashes, GUEST(on_crash), "restart", "restart",
     "\"restart\", \"stop\" or \"halt\"",
     "What happens when the guest crashes: start it again with clean memory, switch it off, "
     "or leave it standing as it is for a look. The other guests go on in any case."},
    {"on_violation", read_choice, violations, GUEST(on_violation), "deny", "deny",
     "\"deny\" or \"stop\"",
     "What happens when the guest reaches for a register, port or address that no rule "
     "allows: it is refused as on a PC without that device and counted, or the guest is "
     "stopped."},
    {"max_exits", read_limit, NULL, GUEST(limits[LIMIT_EXITS]), "", "200000", A_LIMIT,
     "How many exits the guest may cause in a second, with all its CPUs: each is work of the "
     "hypervisor's, on the guest's own CPU. An idle Linux takes some hundred, a busy one some thousand for each CPU, and "
     "heavy traffic on a wire some ten thousand (`stats` counts them). Without this key there is no limit."},
    {"max_console", read_limit, NULL, GUEST(limits[LIMIT_CONSOLE]), "", "20000", A_LIMIT,
     "How many bytes the guest may write in a second to its console: all guests share one screen and one serial line. "
     "A starting Linux writes some ten thousand in all. Without this key there is no limit but the line's own."},
    {"max_log", read_limit, NULL, GUEST(limits[LIMIT_LOG]), "", "20", A_LIMIT,
     "How many lines of the log the guest may cause in a second by what it does, such as reaching for a "
     "register that it has not; four times as many at once. The others are counted and left out. "
     "Without this key it is 5, and no more follows."},
    {"on_limit", read_choice, over_limits, GUEST(on_limit), "throttle", "throttle",
     "\"throttle\", \"pause\" or \"restart\"",
     "What happens when the guest is over one of its limits `max_exits`, `max_console` and `max_log`, if that "
     "key is given: it is held back until it is within it again, the operator's `pause` is done, or it starts again, "
     "held back if that happens often. The log says so once a minute, `stats` counts how often."},
    {"mtu", read_mtu, NULL, WIRE(mtu), "1500", "9000", "a number from \"576\" to \"65535\"",
     "The longest packet on this wire, in bytes without the Ethernet header. The guests' drivers "
     "take it from the adapter."},
};
