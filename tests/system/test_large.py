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
cmdline = "console=ttyS0 bh.name=alpha"

[guest.beta]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=beta"
"""
MEBIBYTES = 5 * 1024
# More than there is below 4 GiB.
TOUCHED = 3300


def missing_memory():
    """Why this PC cannot lend a machine that much, as a Boot's cannot_run has it."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free = int(re.search(r"^MemAvailable: +(\d+)", file.read(), re.M).group(1)) >> 20
    return {} if free >= 8 else {name: f"needs 8 GiB of this PC's memory, {free} GiB are free"
                                 for name in ("qemu-tcg", "qemu-kvm")}


class Large(LinuxGuests):
    name = "large"
    machine_cpus = 2
    machine_memory = 7 * 1024
    seconds = 40
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
        expect_that(0.94 * MEBIBYTES <= total <= MEBIBYTES, "94 % to 100 % of 5 GiB", output)
        self.command(ALPHA, "dmesg | grep 'mem 0x0*100000000-0x0*17fffffff. u'")

    @check("what is written above 4 GiB is read again")
    def touches(self):
        self.command(ALPHA, "mkdir /r; mount -t ramfs r /r")
        self.command(ALPHA, "head -c 1048576 /dev/urandom >/p")
        self.command(ALPHA, f"for i in $(seq {TOUCHED}); do cat /p; done >/r/f", 400)
        for end in ("head", "tail"):
            self.command(ALPHA, f"{end} -c 1048576 /r/f | cmp - /p")

    @check("while 5 GiB are scrubbed, on the CPU that serves the consoles, operator and neighbour go on")
    def scrubbing(self):
        self.run(BETA, "true")
        self.new_log()
        self.operator("reset alpha")
        self.expect_log("alpha", r"scrubbing 5G of memory")
        self.run(BETA, "echo awake")
        self.operator("reset beta")
        self.expect_log("beta", r"scrubbing 192M of memory")
        answer, _ = self.operator("list alpha")
        expect_that(re.search(r"alpha +starting", answer), "alpha to be at it still", answer)
