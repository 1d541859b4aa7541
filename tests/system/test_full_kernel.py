# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel for PCs, linux-image-amd64, with all that its cloud kernel leaves out: what it warns of is known."""
import re

from frame import check, expect_that
from test_linux_pair import ALPHA, LinuxGuests, allowed_lines

CONFIG = """\
[guest.alpha]
cpus = "0-1"
memory = "512M"
kernel = "guests/vmlinuz-full"
initrd = "guests/full.img"
cmdline = "console=ttyS0 bh.name=alpha"
"""
# In QEMU the guest's time is this PC's, which has others to serve as well.
BUSY_PC = {"qemu-tcg": ["hrtimer: interrupt took", "Long readout interval"]}
# A line of the kernel log with its level before it: 0 (emergency) to 4 (warning) are to be explained.
LOUD = re.compile(r"^<[0-4]>.*$", re.M)


class FullKernel(LinuxGuests):
    name = "full-kernel"
    machine_cpus = 2
    seconds = 200
    heavy = ("bochs-intel", "bochs-amd")    # minutes there

    def image(self):
        return self.make_stick({"guests/vmlinuz-full": self.guest_file("vmlinuz-full"),
                                "guests/full.img": self.guest_file("full.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("Debian's kernel for PCs reaches its prompt", required=True)
    def boots(self):
        self.machine.expect(r"console 1/1: alpha", 240, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 600)
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "two CPUs", "another number")

    @check("it warns of nothing but what docs/linux.md explains")
    def warnings(self):
        text = self.command(ALPHA, "dmesg -r", 240).replace("\r", "")
        lines = LOUD.findall(text)
        expect_that(text.count("\n<6>") > 100, "a kernel log with levels", text)
        allowed = allowed_lines(self.target.name) + BUSY_PC.get(self.target.name, [])
        found = [line for line in lines if not any(known in line for known in allowed)]
        expect_that(not found, "no warnings in dmesg but those in docs/linux.md", "\n".join(found))
