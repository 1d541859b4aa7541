/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what "stats" prints: tables of counters and their names. Called by command.c. */
#include "hv/monitor/stats.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/ask.h"
#include "hv/monitor/console.h"

/* A counter of a device: what it is called, where it stands, and whether it is told also when it
 * is 0. */
struct stats_counter {
    const char *name;
    size_t at;
    bool always;
};

/* counts: the struct that member is in. */
#define COUNTER(counts, name, member)                                                              \
    { name, offsetof(struct counts, member), false }
#define ALWAYS(counts, name, member)                                                               \
    { name, offsetof(struct counts, member), true }

static const struct stats_counter net_counters[] = {
    ALWAYS(abi_net_counts, "sent-frames", sent.frames),
    ALWAYS(abi_net_counts, "sent-bytes", sent.bytes),
    COUNTER(abi_net_counts, "sent-no-link", sent.drops[NET_DROP_NO_LINK]),
    COUNTER(abi_net_counts, "sent-wrong-source", sent.drops[NET_DROP_SOURCE]),
    COUNTER(abi_net_counts, "sent-malformed", sent.drops[NET_DROP_MALFORMED]),
    COUNTER(abi_net_counts, "sent-too-long", sent.drops[NET_DROP_LONG]),
    COUNTER(abi_net_counts, "sent-nobody-there", sent.drops[NET_DROP_NOBODY]),
    COUNTER(abi_net_counts, "sent-peer-full", sent.drops[NET_DROP_FULL]),
    ALWAYS(abi_net_counts, "received-frames", received.frames),
    ALWAYS(abi_net_counts, "received-bytes", received.bytes),
    COUNTER(abi_net_counts, "received-wrong-source", received.drops[NET_DROP_SOURCE]),
    COUNTER(abi_net_counts, "received-malformed", received.drops[NET_DROP_MALFORMED]),
    COUNTER(abi_net_counts, "received-too-long", received.drops[NET_DROP_LONG]),
    COUNTER(abi_net_counts, "received-not-wanted", received.drops[NET_DROP_FILTERED]),
    COUNTER(abi_net_counts, "received-no-room", received.drops[NET_DROP_SMALL]),
};

static const struct stats_counter disk_counters[] = {
    ALWAYS(abi_disk_counts, "reads", reads),
    ALWAYS(abi_disk_counts, "read-bytes", read_bytes),
    ALWAYS(abi_disk_counts, "writes", writes),
    ALWAYS(abi_disk_counts, "written-bytes", written_bytes),
    COUNTER(abi_disk_counts, "others", others),
    COUNTER(abi_disk_counts, "failures", failures),
    COUNTER(abi_disk_counts, "pages-used", pages),
    COUNTER(abi_disk_counts, "connections", connections),
    COUNTER(abi_disk_counts, "connections-broken", lies),
    COUNTER(abi_disk_counts, "sent-again", resent),
};

static const struct stats_counter vsock_counters[] = {
    ALWAYS(abi_vsock_counts, "sent-packets", sent.packets),
    ALWAYS(abi_vsock_counts, "sent-bytes", sent.bytes),
    COUNTER(abi_vsock_counts, "sent-malformed", sent.drops[VSOCK_DROP_MALFORMED]),
    COUNTER(abi_vsock_counts, "sent-wrong-source", sent.drops[VSOCK_DROP_SOURCE]),
    COUNTER(abi_vsock_counts, "sent-refused", sent.drops[VSOCK_DROP_REFUSED]),
    COUNTER(abi_vsock_counts, "sent-too-late", sent.drops[VSOCK_DROP_LATE]),
    ALWAYS(abi_vsock_counts, "received-packets", received.packets),
    ALWAYS(abi_vsock_counts, "received-bytes", received.bytes),
    COUNTER(abi_vsock_counts, "received-malformed", received.drops[VSOCK_DROP_MALFORMED]),
    COUNTER(abi_vsock_counts, "received-wrong-source", received.drops[VSOCK_DROP_SOURCE]),
    COUNTER(abi_vsock_counts, "received-refused", received.drops[VSOCK_DROP_REFUSED]),
    COUNTER(abi_vsock_counts, "received-no-room", received.drops[VSOCK_DROP_SMALL]),
};

#define LINES_HEAD  3u /* the state, its records, the calls to a BIOS */
#define LINES_VM    (LINES_HEAD + LIMITS)
#define LINES_VCPU  (REFUSED_KINDS + EXIT_KINDS)
#define LINES_NET   (1 + (unsigned)ARRAY_SIZE(net_counters)) /* the link first */
#define LINES_DISK  (unsigned)ARRAY_SIZE(disk_counters)
#define LINES_VSOCK (unsigned)ARRAY_SIZE(vsock_counters)

#define COUNTS_TRIES 8u

/* Of the vCPU whose lines are being printed. */
static struct vcpu_counts {
    uint64_t exits[EXIT_KINDS];
    uint64_t refused[REFUSED_KINDS];
} taken;

static void counts_read(struct vcpu_counts *c, const struct vcpu_public *v) {
    for (unsigned kind = 0; kind < EXIT_KINDS; kind++) {
        c->exits[kind] = __atomic_load_n(&v->exits[kind], __ATOMIC_RELAXED);
    }
    for (unsigned kind = 0; kind < REFUSED_KINDS; kind++) {
        c->refused[kind] = __atomic_load_n(&v->refused[kind], __ATOMIC_RELAXED);
    }
}

/* All of one moment: printed they are over many, and the guest goes on. One that exits all the time
 * has no such moment, and gets numbers that are as near to each other as it lets them be. */
static void counts_take(const struct vcpu_public *v) {
    struct vcpu_counts before;
    unsigned tries = 0;

    counts_read(&taken, v);
    do {
        before = taken;
        counts_read(&taken, v);
        tries++;
    } while (tries < COUNTS_TRIES && memcmp(&before, &taken, sizeof(taken)) != 0);
}

/* number 0 takes what the others print. */
static enum show show_counter(const struct vcpu_public *v, unsigned index, unsigned number) {
    static const char *const refused[REFUSED_KINDS] = {"msr", "port", "memory", "instruction"};

    if (number == 0) {
        counts_take(v);
    }
    if (number < REFUSED_KINDS) {
        console_print("  vcpu%u %s-denied %llu\n", index, refused[number],
                      (ull)taken.refused[number]);
        return SHOW_PRINTED;
    }
    unsigned kind = number - REFUSED_KINDS;
    if (taken.exits[kind] == 0) {
        return SHOW_EMPTY;
    }
    console_print("  vcpu%u exits %s %llu\n", index, exit_kind_names[kind], (ull)taken.exits[kind]);
    return SHOW_PRINTED;
}

static enum show show_unless_none(const char *name, uint64_t value) {
    if (value == 0) {
        return SHOW_EMPTY;
    }
    console_print("  %s %llu\n", name, (ull)value);
    return SHOW_PRINTED;
}

/* The first two in tenths of a second. */
static enum show show_limit(const struct vm_public *vm, unsigned limit) {
    static const char *const names[LIMITS] = {[LIMIT_EXITS] = "over-max-exits",
                                              [LIMIT_CONSOLE] = "over-max-console",
                                              [LIMIT_LOG] = "log-lines-withheld"};

    return show_unless_none(names[limit], __atomic_load_n(&vm->over[limit], __ATOMIC_RELAXED));
}

static uint64_t counter_value(const struct stats_counter *c, const void *counts) {
    return *(const uint64_t *)((const uint8_t *)counts + c->at);
}

/* of: the device, as it is called there. Those that are 0 are told only where their row says so. */
static enum show show_device_counter(const char *of, const struct stats_counter *c,
                                     const void *counts) {
    uint64_t value = counter_value(c, counts);

    if (value == 0 && !c->always) {
        return SHOW_EMPTY;
    }
    console_print("  %s %s %llu\n", of, c->name, (ull)value);
    return SHOW_PRINTED;
}

static enum show show_net(const struct vm_public *vm, unsigned index, unsigned number) {
    const struct abi_net_counts *counts = &ask_snapshot()->devices.nets[index];
    const char *wire = vm->wires[index];
    char of[4 + CONFIG_NAME_SIZE];

    if (number == 0) {
        bool up = vm_link_is_up(vm, index);
        console_print("  net %s link %s\n", wire, up ? "up" : "down");
        return SHOW_PRINTED;
    }
    (void)fmt_print(of, sizeof(of), "net %s", wire);
    return show_device_counter(of, &net_counters[number - 1], counts);
}

static enum show show_disk(unsigned index, unsigned number) {
    const struct abi_disk_counts *counts = &ask_snapshot()->devices.disks[index];
    char of[16];

    (void)fmt_print(of, sizeof(of), "disk %u", index);
    return show_device_counter(of, &disk_counters[number], counts);
}

static bool has_counters(const struct vm_public *vm) {
    return vm->wire_count != 0 || vm->disk_count != 0 || vm->has_vsock;
}

/* line 0 has its CPU asked. */
static enum show show_devices(struct vm_public *vm, unsigned line) {
    if (line == 0) {
        if (!has_counters(vm) || (!vm_state_has_vcpus(vm->state) && !ask_is_open())) {
            return SHOW_END;
        }
        enum ask answer = ask_vcpu(vm->vcpus[0]);
        if (answer == ASK_SILENT) {
            console_print("  devices: cpu %u does not answer" MSG(6114) "\n", vm->vcpus[0]->cpu);
            return SHOW_END;
        }
        return answer == ASK_WAIT ? SHOW_WAIT : SHOW_EMPTY;
    }
    unsigned number = line - 1;
    if (number < vm->wire_count * LINES_NET) {
        return show_net(vm, number / LINES_NET, number % LINES_NET);
    }
    number -= vm->wire_count * LINES_NET;
    if (number < vm->disk_count * LINES_DISK) {
        return show_disk(number / LINES_DISK, number % LINES_DISK);
    }
    number -= vm->disk_count * LINES_DISK;
    if (vm->has_vsock && number < LINES_VSOCK) {
        const struct abi_vsock_counts *counts = &ask_snapshot()->devices.vsock;
        return show_device_counter("vsock", &vsock_counters[number], counts);
    }
    return SHOW_END;
}

enum show stats_show(struct vm_public *vm, unsigned line) {
    if (line == 0) {
        console_print("%s: %s\n", vm->name, vm_state_name(vm->state));
        return SHOW_PRINTED;
    }
    if (line == 1) {
        return show_unless_none("records-bytes", vm->pool_used);
    }
    if (line == 2) {
        return show_unless_none("bios-calls", vm->bios_calls);
    }
    if (line < LINES_VM) {
        return show_limit(vm, line - LINES_HEAD);
    }
    unsigned number = line - LINES_VM;
    if (number < vm->vcpu_count * LINES_VCPU) {
        return show_counter(vm->vcpus[number / LINES_VCPU], number / LINES_VCPU,
                            number % LINES_VCPU);
    }
    return show_devices(vm, number - vm->vcpu_count * LINES_VCPU);
}
