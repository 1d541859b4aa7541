# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench-io, its second table: what a device costs that a Debian guest was given, behind QEMU's VT-d.

Counted as bench_io.py does. How many interrupts came, the guest's kernel tells.
"""
import collections
import os
import re
import sys

from bench_io import ALPHA, EXPIRY, IoGuests, run_bench, shown

CONFIG = """\
[hypervisor]
console = "com1"

[guest.alpha]
cpus = "0"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/bench-io.img"
cmdline = "console=ttyS0 tsc=reliable bh.name=alpha"
pci = ["1b36:0010", "1234:11e8"]
"""
MARK = "<!-- bench-pci: {} -->"
DISK = 32 << 20
WARM_UP = 16        # rounds of iobench's that are not counted
# A row: what alpha does so many times.
Row = collections.namedtuple("Row", "name text command units")
ROWS = [
    Row("registers", "a register read", "registers $d/resource0 10000", 10000),
    Row("halted", "NVMe: 4 KiB random read, queue depth 1", "disk-random /dev/nvme0n1 1000", 1000),
]
BUSY_ROWS = [
    Row("busy", "the same, by a program that computes until it comes", "disk-busy /dev/nvme0n1 1000", 1000),
]
TITLES = ["a unit of work", "interrupts", "exits", "upcalls", "host", "and lengths"]


class PciGuest(IoGuests):
    name = "bench-pci"
    names = {ALPHA: "alpha"}

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/bench-io.img": self.guest_file("bench-io.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def start(self, extra=(), **options):
        disk = os.path.join(os.path.abspath(self.folder), "nvme.img")
        os.makedirs(self.folder, exist_ok=True)
        with open(disk, "wb") as file:
            file.write(os.urandom(DISK))
        super().start(machine="q35", extra=[
            "-device", "intel-iommu,intremap=on,aw-bits=48",
            "-device", "pcie-root-port,id=p1,chassis=1,addr=0x10", "-device", "pcie-root-port,id=p2,chassis=2,addr=0x11",
            "-drive", f"if=none,id=d,format=raw,file={disk}", "-device", "nvme,drive=d,serial=1,bus=p1",
            "-device", "edu,bus=p2", *extra], **options)

    def up(self):
        self.machine.expect(r"alpha# ", 600, "alpha's prompt")
        self.find_programs()
        self.view(ALPHA)
        self.command(ALPHA, "d=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)")
        self.command(ALPHA, "d=${d%/*}; echo 1 >$d/enable")

    def interrupts(self):
        """Of the disk's queues, so far."""
        return sum(int(n) for n in re.findall(r"^ *\d+: +(\d+) .*nvme0q[1-9]", self.run(ALPHA, "grep nvme0q /proc/interrupts"), re.M))

    def measure(self, row, tick):
        if row.name != "registers":
            self.run(ALPHA, "echo 0 >$d/enable")        # its pin would be looked at each millisecond: it has no driver
        before = self.interrupts()
        count = self.count(row.command, row.units)
        interrupts = self.interrupts() - before
        count = count.less(tick, count.calls[EXPIRY])
        count.interrupts = interrupts / (row.units + WARM_UP)       # before the first mark as many a round
        return count


class BusyGuest(PciGuest):
    """
    It never sleeps, so that the time may be the number of its instructions: by this PC's clock it would take ten ticks for each
    interrupt. With one CPU, see docs/performance.md.
    """
    name = "bench-pci-busy"
    machine_cpus = 1
    machine_options = ("-icount", "shift=1,sleep=on")       # sleep=off would starve the disk's thread: it is waited for


def cells(row, count):
    host = count.core + count.compartments - count.lengths
    return [row.text, f"{count.interrupts:.2f}", f"{max(count.exits, 0):.2f}", f"{max(count.upcalls, 0):.2f}", shown(host),
            shown(count.lengths)]


if __name__ == "__main__":
    sys.exit(run_bench([(PciGuest, ROWS), (BusyGuest, BUSY_ROWS)], __doc__, cells, TITLES, MARK))
