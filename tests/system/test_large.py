# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with memory on both sides of 4 GiB, and a small one beside it."""
import re

from frame import check, expect_that
from test_linux_pair import ALPHA, BETA, LinuxGuests

CONFIG = """\
[guest.alpha]
cpus = "0"
memory = "5G"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 cryptomgr.notests memmap=64M!4G bh.name=alpha"

[guest.beta]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 cryptomgr.notests bh.name=beta"
"""
MEBIBYTES = 5 * 1024
# alpha's kernel leaves the first of its memory above 4 GiB to a block device.
ABOVE = 64


def missing_memory():
    """Why this PC cannot lend a machine that much, as a Boot's cannot_run has it."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free = int(re.search(r"^MemAvailable: +(\d+)", file.read(), re.M).group(1)) >> 20
    return {} if free >= 8 else {name: f"needs 8 GiB of this PC's memory, {free} GiB are free"
                                 for name in ("qemu-tcg", "qemu-kvm")}


class Large(LinuxGuests):
    name = "large"
    keeps_time = False
    machine_cpus = 2
    machine_memory = 7 * 1024
    seconds = 150
    cannot_run = {"bochs-intel": "Bochs would take minutes to fill this much memory",
                  "bochs-amd": "Bochs would take minutes to fill this much memory", **missing_memory()}

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("a guest of 5 GiB boots", required=True)
    def boots(self):
        self.machine.expect(r"console 1/2: alpha", 240, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 400)

    @check("its kernel sees all of it")
    def sees(self):
        output = self.command(ALPHA, "grep MemTotal /proc/meminfo")
        total = int(re.search(r"MemTotal: +(\d+) kB", output).group(1)) >> 10
        expect_that(0.94 * MEBIBYTES <= total + ABOVE <= MEBIBYTES, "94 % to 100 % of 5 GiB", output)
        self.command(ALPHA, "dmesg | grep 'mem 0x0*100000000-0x0*17fffffff. u'")

    @check("what is written above 4 GiB is read again")
    def touches(self):
        self.command(ALPHA, f"test $(cat /sys/block/pmem0/size) = {ABOVE << 11}")
        self.command(ALPHA, "grep -i 100000000 /sys/bus/nd/devices/region0/resource")
        self.command(ALPHA, "head -c 1048576 /dev/urandom >/p")
        self.command(ALPHA, f"for i in $(seq {ABOVE}); do cat /p; done >/dev/pmem0", 400)
        self.command(ALPHA, "sync; echo 3 >/proc/sys/vm/drop_caches")
        for at in (0, ABOVE // 2, ABOVE - 1):
            self.command(ALPHA, f"dd if=/dev/pmem0 bs=1M skip={at} count=1 | cmp - /p")

    @check("while 5 GiB are scrubbed, on the CPU that serves the consoles, operator and neighbour go on")
    def scrubbing(self):
        self.run(BETA, "true")
        self.new_log()
        self.operator("reset alpha")
        answer, _ = self.operator("list alpha")
        expect_that(re.search(r"alpha +starting", answer), "alpha to be at it", answer)
        self.run(BETA, "echo awake")
        self.operator("reset beta")
        lines = self.log_up_to("alpha", "first instruction")
        events = ["alpha: scrubbing 5G of memory", "beta: scrubbing 192M of memory", "alpha: first instruction"]
        told = [f"{vm}: {text}" for _, _, vm, text in sorted(lines)]
        order = [event for text in told for event in events if text.startswith(event)]
        expect_that(order == events, f"in this order: {events}", "\n".join(told))

    def log_up_to(self, vm, text):
        """The log's new lines, once that one is there."""
        lines = []
        for _ in range(100):
            lines += self.new_log()
            if any(line[2] == vm and text in line[3] for line in lines):
                break
        return lines
