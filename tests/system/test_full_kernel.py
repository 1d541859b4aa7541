# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel for PCs, linux-image-amd64, with all that its cloud kernel leaves out: what it warns of is known.

Beside it, a guest that has just the memory which a message advises.
"""
import os
import re
import subprocess

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
TINY_CONFIG = """
[guest.tiny]
cpus = "2"
memory = "@MEMORY@"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=tiny pci=nomsi"
start = "manual"
"""
TOO_LITTLE, TINY = "48M", 2
# In QEMU the guest's time is this PC's, which has others to serve as well.
BUSY_PC = {"qemu-tcg": ["hrtimer: interrupt took", "Long readout interval"]}
# A line of the kernel log with its level before it: 0 (emergency) to 4 (warning) are to be explained.
LOUD = re.compile(r"^<[0-4]>.*$", re.M)


class FullKernel(LinuxGuests):
    name = "full-kernel"
    machine_cpus = 3
    seconds = 200
    heavy = ("bochs-intel", "bochs-amd")    # minutes there

    def image(self):
        return self.make_stick({"guests/vmlinuz-full": self.guest_file("vmlinuz-full"),
                                "guests/full.img": self.guest_file("full.img"),
                                "guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "bulkhead/bulkhead.toml": (CONFIG + self.tiny(self.advised())).encode()})

    @staticmethod
    def tiny(memory):
        return TINY_CONFIG.replace("@MEMORY@", memory)

    def bhcheck(self, memory):
        """What it says of tiny with so much."""
        tree = os.path.join(self.folder, "tree")
        os.makedirs(os.path.join(tree, "bulkhead"), exist_ok=True)
        with open(os.path.join(tree, "bulkhead/bulkhead.toml"), "w", encoding="ascii") as file:
            file.write(self.tiny(memory))
        if not os.path.lexists(os.path.join(tree, "guests")):
            os.symlink(os.path.join(self.build, "guests"), os.path.join(tree, "guests"))
        command = [os.path.join(self.build, "bhcheck"), "--cpus", "3", "--memory", f"{self.machine_memory}M", tree]
        return subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode()

    def advised(self):
        """What the refusal of too little advises. One step less is warned of, and it is not."""
        refusal = self.bhcheck(TOO_LITTLE)
        advice = re.search(r'memory = "48M" is too little .* write at least "(\d+)M"', refusal)
        expect_that(advice, "a refusal with an advice", refusal)
        less, enough = self.bhcheck(f"{int(advice[1]) - 2}M"), self.bhcheck(f"{advice[1]}M")
        expect_that(f'start its first program: "{advice[1]}M" is enough' in less, "a warning", less)
        expect_that("warning" not in enough, "no warning", enough)
        return advice[1] + "M"

    @check("Debian's kernel for PCs reaches its prompt", required=True)
    def boots(self):
        self.machine.expect(r"console 1/2: alpha", 240, "the focus to move to alpha")
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

    @check("just the memory that a message advises: Debian's cloud kernel reaches its prompt")
    def tiny_starts(self):
        self.operator("start tiny")
        self.view(TINY)
        self.machine.expect(r"tiny# ", 600)

    @check("without MSI-X its entropy comes by an interrupt line of the PCI bus")
    def by_line(self):
        self.machine.send("dd if=/dev/hwrng of=/tmp/r bs=64 count=8 iflag=fullblock; grep virtio0 /proc/interrupts\r")
        found = self.machine.expect(r"\d+: +(\d+) +IO-APIC +17-fasteoi +virtio0", 120)
        expect_that(int(found.group(1)) >= 8, "8 interrupts by line 17", found.group(0))
