# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench-io: what network and disk cost two unmodified Debian guests, in instructions.

A plugin of QEMU's tells which code ran between two marks that a program in the guests sets (tests/count/count.c,
guests/linux/iobench.c). Host is the core and the compartments: all code at their addresses. All CPUs take turns
on one of this PC's, whose time it is, so the guests tick more often than their work takes on a real CPU; what a tick costs is measured apart and taken out. Prints a
table; with --write-docs it goes to docs/performance.md. --profile shows in which functions the host's instructions are.
"""
import argparse
import collections
import os
import re
import subprocess
import sys

import bench
from machine import target_named
from test_linux_pair import ALPHA, BETA, LinuxGuests

CONFIG = """\
[hypervisor]
console = "com1"

[wire.lan]

[guest.alpha]
cpus = "0"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/bench-io.img"
cmdline = "console=ttyS0 tsc=reliable bh.name=alpha bh.ip=10.0.0.1/24"
net = ["lan"]
pmem = ["images/demo.erofs"]
disk = ["scratch:blank:16M"]

[guest.beta]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/bench-io.img"
cmdline = "console=ttyS0 tsc=reliable bh.name=beta bh.ip=10.0.0.2/24"
net = ["lan"]
"""
TARGET = "qemu-tcg"
MARK = "<!-- bench-io: {} -->"
# A row: what alpha does so many times, in units of which each is one.
Row = collections.namedtuple("Row", "name text command units aim exits_aim kvm")
ROWS = [
    Row("udp", "UDP round trip, 64 bytes", "udp 10.0.0.2 1000", 1000, 6_000, None, ("60.3 k", "5.4")),
    Row("tcp", "TCP between two guests, a MiB, large frames", "tcp 10.0.0.2 64", 64, 450_000, 30, ("1.93 M", "104")),
    Row("tcp-whole", "the same, frames of 64 KiB at any pace", "tcp 10.0.0.2 64", 64, 450_000, 30, ("-", "-")),
    Row("tcp-small", "the same without offloads (728 frames)", "tcp 10.0.0.2 32", 32, 900_000, None, ("4.77 M", "75")),
    Row("disk", "disk: 4 KiB random read, queue depth 1", "disk-random /dev/vda 1000", 1000, 2_500, None,
        ("58.5 k", "2.1")),
    Row("disk-turn", "disk: sequential MiB", "disk-in-turn /dev/vda 32", 32, 150_000, None, ("432 k", "1.7")),
    Row("dax", "read of a shared image by DAX, a MiB", "dax /image/numbers", None, None, 0, ("-", "-")),
]
TITLES = ["a unit of work", "KVM, host", "KVM, exits", "aim", "host", "exits", "upcalls", "of it core", "compartments",
          "and lengths", "both guests"]
# Linux makes a frame as large as its pace makes it, and that comes from the speed of this PC; or of at least so many
# segments. 44 are as many as fit into one.
USUAL_SEGMENTS, WHOLE_SEGMENTS = 2, 44
# In the core: a CPU's timer has fired. Its clock is this PC's, and so the guests tick much more often than their work
# takes on a real CPU.
EXPIRY = "hv_timer_expired"
# What it costs to find an instruction's length, which this CPU does not tell: CPUID here less CPUID there (make bench).
LENGTH = 299
# Where the programs of the compartments lie, and nothing of a Linux kernel.
COMPARTMENT = range(0xffffffff80000000, 0xffffffff80400000)
BLOCK = re.compile(r"([0-9a-f]+) (\d+) (\d+) ([01])")


class Count:
    """What ran between two marks, by units of work."""

    def __init__(self, blocks=(), core=None, compartment=None, units=1):
        self.guests = self.core = self.compartments = self.entries = 0
        self.functions, self.calls = collections.Counter(), collections.Counter()
        for address, size, runs, has_vmrun in blocks:
            size, runs = size * runs / units, runs / units
            self.entries += runs * has_vmrun
            if address in core:
                self.core += size
                self.functions["core " + core.function(address)] += size
                self.calls[core.begins(address)] += runs
            elif address in COMPARTMENT:
                self.compartments += size
                self.functions["compartment " + compartment.function(address)] += size
                begun = compartment.begins(address)
                self.calls["compartment " + begun if begun else None] += runs
            else:
                self.guests += size

    @property
    def upcalls(self):
        return self.calls["svm_compartment_run"]

    @property
    def exits(self):
        return self.entries - self.upcalls

    @property
    def lengths(self):
        """What the CPU has not told cost."""
        return LENGTH * self.calls["exit_find_length"]

    def less(self, other, times):
        """Without so many times what the other one counts."""
        rest = Count()
        rest.guests = self.guests
        rest.core = self.core - times * other.core
        rest.compartments = self.compartments - times * other.compartments
        rest.entries = self.entries - times * other.entries
        for counter in ("functions", "calls"):
            ours, theirs = getattr(self, counter), getattr(other, counter)
            getattr(rest, counter).update({name: ours[name] - times * theirs[name] for name in ours | theirs})
        return rest


class IoGuests(LinuxGuests):
    name = "bench-io"
    machine_cpus = 2
    machine_options = ()

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/bench-io.img": self.guest_file("bench-io.img"),
                                "images/demo.erofs": self.guest_file("demo.erofs"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def start(self, extra=(), **options):
        self.counts = os.path.join(os.path.abspath(self.folder), "counts.txt")
        plugin = os.path.join(self.build, "count.so")
        self.machine = self.target.start(self.image(), self.folder, cpus=self.machine_cpus, screens=[],
                                         extra=["-plugin", f"{plugin},out={self.counts}", *self.machine_options, *extra], **options)

    def find_programs(self):
        """Where the hypervisor's are, as the log tells."""
        base = int(re.search(r"text at 0x([0-9a-f]+)", self.machine.serial.text).group(1), 16)
        self.core = bench.Symbols(os.path.join(self.build, "bulkhead.elf"), base)
        self.compartment = bench.Symbols(os.path.join(self.build, "compartment.elf"), 0)

    def up(self):
        self.machine.expect(r"alpha# ", 600, "alpha's prompt")
        self.find_programs()
        self.view(BETA)
        self.machine.expect(r"beta# ", 600, "beta's prompt")
        self.run(BETA, "iobench udp-server & iobench tcp-server & true")

    def blocks_between_marks(self):
        """Of the last two in the file."""
        with open(self.counts, encoding="ascii") as file:
            parts = file.read().split("mark ")
        return [(int(address, 16), int(size), int(runs), int(has_vmrun))
                for address, size, runs, has_vmrun in BLOCK.findall(parts[-2].partition("\n")[2])]

    def count(self, command, units=1):
        self.run(ALPHA, "iobench " + command, 600)
        return Count(self.blocks_between_marks(), self.core, self.compartment, units)

    def measure_ticks(self):
        """What each expiry of a CPU's timer costs, whatever the guest does: its own ticks, and the consoles."""
        busy = self.count("spin 3")
        return Count().less(busy, -1 / busy.calls[EXPIRY])

    def set_least_segments(self, segments):
        for guest in (ALPHA, BETA):
            self.run(guest, f"echo {segments} >/proc/sys/net/ipv4/tcp_min_tso_segs")

    def measure(self, row, tick):
        if row.name == "tcp-whole":
            self.set_least_segments(WHOLE_SEGMENTS)
        if row.name == "tcp-small":
            self.set_least_segments(USUAL_SEGMENTS)
            for guest in (ALPHA, BETA):
                self.run(guest, "iobench offloads eth0 0")
        if row.name == "disk":
            self.run(ALPHA, "iobench disk-fill /dev/vda", 300)
        count = self.count(row.command, units_of(row, self))
        return count.less(tick, count.calls[EXPIRY])


def units_of(row, boot):
    """Of the file that is read by DAX: MiB."""
    return row.units or os.path.getsize(os.path.join(boot.build, "guests/image/numbers")) / (1 << 20)


def shown(value):
    """Three digits, as the figures beside it; what is left of the ticks may be less than nothing."""
    value = max(value, 0)
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.1f} k"
    return f"{value:,.0f}"


def cells(row, count):
    """The aims are for a CPU that tells lengths."""
    without = count.core + count.compartments - count.lengths
    over = row.aim is not None and without > row.aim
    over_exits = row.exits_aim is not None and count.exits > row.exits_aim + 1     # what is left of the ticks
    return [row.text, *row.kvm, shown(row.aim) if row.aim else "-", shown(without) + (" OVER" if over else ""),
            f"{count.exits:.1f}" + (f" OVER {row.exits_aim}" if over_exits else ""), f"{count.upcalls:.1f}",
            shown(count.core - count.lengths), shown(count.compartments), shown(count.lengths), shown(count.guests)]


def profile_of(count, most):
    calls = ", ".join(f"{name} {n:.1f}" for name, n in count.calls.most_common() if name and n > 0.05)
    return calls + "\n" + "\n".join(f"  {n:12,.1f}  {name}" for name, n in count.functions.most_common(most))


def read_arguments(text, rows):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="the N functions of each row that take most")
    parser.add_argument("--only", action="append", choices=[row.name for row in rows])
    return parser.parse_args()


def measure_all(boot, rows, cells_of_row, args):
    """A line of the table for each row that is wanted, and what a tick costs. The machine is up."""
    tick = boot.measure_ticks()
    lines = []
    for row in rows:
        if args.only and row.name not in args.only:
            continue
        count = boot.measure(row, tick)
        lines.append(cells_of_row(row, count))
        if args.profile:
            print(row.text + "\n" + profile_of(count, args.profile), flush=True)
    print(f"taken out for each expiry of a CPU's timer: {tick.core + tick.compartments:,.0f} instructions, "
          f"{tick.exits:.2f} exits")
    return lines


def run_bench(boots, doc, cells_of_row, titles, mark):
    """
    All of it: boots are classes, each with the rows that are counted there, cells_of_row a line of the table of titles, mark where
    it stands in the docs.
    """
    args = read_arguments(doc, [row for _, rows in boots for row in rows])
    build = os.path.abspath(args.build)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})     # the machine's CPUs take turns, as those of KVM's figures did
    lines = []
    for boot_class, rows in boots:
        if args.only and not any(row.name in args.only for row in rows):
            continue
        boot = boot_class(build, target_named(TARGET), os.path.join(build, "test", TARGET, boot_class.name))
        boot.start()
        with boot.machine:
            boot.up()
            lines += measure_all(boot, rows, cells_of_row, args)
    text = bench.markdown(titles, lines)
    print(text)
    if args.write_docs and not args.only:
        bench.write_docs(text, mark)
    return 0


if __name__ == "__main__":
    sys.exit(run_bench([(IoGuests, ROWS)], __doc__, cells, TITLES, MARK))
