# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel for PCs, linux-image-amd64, with all that its cloud kernel leaves out: what it warns of is known.

Beside it, a guest that has just the memory which a message advises.
"""
import os
import re
import subprocess

from frame import check, expect_that
from test_linux_pair import ALPHA, LinuxGuests, unexplained

CONFIG = """\
[guest.alpha]
cpus = "0-1"
memory = "512M"
kernel = "guests/vmlinuz-full"
initrd = "guests/full.img"
cmdline = "console=ttyS0 bh.name=alpha"
net = ["lan"]
disk = ["scratch:blank:16M"]
pmem = ["images/demo.erofs"]
vsock = ["other"]
port = ["sync"]
watchdog = "30s"

[wire.lan]

[guest.other]
cpus = "3"
memory = "96M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
start = "manual"
net = ["lan"]
port = ["sync"]
"""
TINY_CONFIG = """
[guest.tiny]
cpus = "2"
memory = "@MEMORY@"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=tiny pci=nomsi"
start = "manual"
watchdog = "4s"
on_crash = "stop"
"""
TOO_LITTLE, TINY = "48M", 3
# A line of the kernel log with its level before it: 0 (emergency) to 4 (warning) are to be explained.
LOUD = r"^<[0-4]>"
# What alpha has on its bus.
BRIDGE = "00.0"
DEVICES = {BRIDGE: "8086:1237", "01.0": "1af4:1044", "02.0": "1af4:1042", "0a.0": "1af4:1041", "12.0": "1af4:1053",
           "13.0": "1af4:1043"}
# All that the kernel has to say of devices, as regular expressions.
RANGE = r"0x[0-9a-f]+-0x[0-9a-f]+"
DEVICE_LINES = [
    rf"\[mem {RANGE}\] available for PCI devices",
    r"(acpiphp|shpchp): .* Hot Plug PCI Controller Driver version: .*",
    rf"PCI: MMCONFIG for domain 0000 \[bus 00-00\] at \[mem {RANGE}\] \(base 0x[0-9a-f]+\)",
    rf"PCI: MMCONFIG at \[mem {RANGE}\] reserved in E820",
    r"PCI: Using configuration type 1 for base access",
    r'PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug',
    r"PCI: Ignoring E820 reservations for host bridge windows",
    r"PCI: Using ACPI for IRQ routing",
    r"PCI: CLS 0 bytes, default 64",
    r"PCI: pci_cache_line_size set to 64 bytes",
    r"ACPI: PCI Root Bridge \[PCI0\] \(domain 0000 \[bus 00\]\)",
    r"PCI host bridge to bus 0000:00",
    rf"pci_bus 0000:00: root bus resource \[(io|mem)  ?{RANGE} window\]",
    r"pci_bus 0000:00: root bus resource \[bus 00\]",
    rf"pci_bus 0000:00: resource \d \[(io|mem)  ?{RANGE} window\]",
    r"pci 0000:00:[01][0-9a-f]\.0: \[(8086|1af4):[0-9a-f]{4}\] type 00 class 0x[0-9a-f]{6}",
    rf"pci 0000:00:[01][0-9a-f]\.0: (BAR 0|reg 0x10:) \[io  {RANGE}\]",
    rf"pci 0000:00:[01][0-9a-f]\.0: (BAR 1|reg 0x14:) \[mem {RANGE}\]",
    r"pci 0000:00:00\.0: Limiting direct PCI/PCI transfers",      # of each 440FX
    r"pci 0000:00:00\.0: quirk_natoma\+.* took \d+ usecs",        # the same, where this PC is slow
    r"virtio-pci 0000:00:[01][0-9a-f]\.0: enabling device \(0000 -> 0003\)",
    r"virtio_blk virtio\d: 1/0/0 default/read/poll queues",
    r"virtio_blk virtio\d: \[vda\] 32768 512-byte logical blocks \(16\.8 MB/16\.0 MiB\)",
    r"NET: Registered PF_VSOCK protocol family",
    r"nd_pmem namespace0\.0: unable to guarantee persistence of writes",
    r"erofs: \(device pmem0\): mounted with root inode .*",
]


class FullKernel(LinuxGuests):
    name = "full-kernel"
    machine_cpus = 4
    seconds = 200
    heavy = ("bochs-intel", "bochs-amd")    # minutes there

    def image(self):
        return self.make_stick({"guests/vmlinuz-full": self.guest_file("vmlinuz-full"),
                                "guests/full.img": self.guest_file("full.img"),
                                "guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "images/demo.erofs": self.guest_file("demo.erofs"),
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
        self.machine.expect(r"console 1/3: alpha", 240, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 600)
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "two CPUs", "another number")

    @check("it warns of nothing but what docs/linux.md explains")
    def warnings(self):
        text = self.command(ALPHA, "dmesg -r", 240)
        expect_that(text.count("\n<6>") > 100, "a kernel log with levels", text)
        found = unexplained(text, self.target.name, LOUD)
        expect_that(not found, "no warnings in dmesg but those in docs/linux.md", "\n".join(found))

    @check("of PCI, virtio and the image in memory it says what it says of a good PC with these devices, and no word more")
    def devices(self):
        text = self.command(ALPHA, "dmesg | grep -iE 'pci|virtio|vsock|pmem|nd_'", 240).replace("\r", "")
        lines = [match[1] for match in re.finditer(r"^\[[ .0-9]+\] (.*)$", text, re.M)]
        found = [line for line in lines if not any(re.fullmatch(known, line) for known in DEVICE_LINES)]
        expect_that(not found, "no line about a device but those in DEVICE_LINES", "\n".join(found))
        for device, number in DEVICES.items():
            expect_that(any(f"pci 0000:00:{device}: [{number}]" in line for line in lines), f"{number} at {device}", text)
            expect_that(device == BRIDGE or any(f"virtio-pci 0000:00:{device}: enabling" in line for line in lines),
                        f"a driver for {device}", text)

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

    @check("the cloud kernel's wdat_wdt drives the watchdog: who opens it and does no more ends, as on_crash says")
    def watchdog_of_cloud_kernel(self):
        self.machine.send("rmmod wdat_wdt; insmod /lib/modules/wdat_wdt.ko timeout=3\r")
        self.machine.expect(r"tiny# ", 60)
        self.machine.send("echo 1 > /dev/watchdog0\r")
        self.machine.expect(r"tiny# ", 60)
        self.expect_log("tiny", r"stopped: watchdog: not fed for 3 s")
        answer, _ = self.operator("list")
        expect_that(re.search(r"tiny +crashed", answer), "no restart: on_crash is stop", answer)

    @check("so does that of the kernel for PCs: who feeds it lives, who stops feeding it starts again and is told why")
    def watchdog_of_full_kernel(self):
        state = "cd /sys/class/watchdog/watchdog0; cat identity"
        self.run(ALPHA, state)
        answer = self.command(ALPHA, "cat identity timeout bootstatus").split()
        expect_that(answer == ["wdat_wdt", "30", "0"], "a watchdog of 30 s", answer)
        self.command(ALPHA, "watchdog -t 1 -T 4 /dev/watchdog0")
        self.command(ALPHA, "sleep 12")
        self.machine.send("killall -9 watchdog\r")
        self.machine.expect(r"alpha# ", 60)
        self.expect_log("alpha", r"stopped: watchdog: not fed for 4 s", r"restarting \(1 of 3\)")
        self.expect_again(ALPHA, 600)
        self.command(ALPHA, state)
        answer = self.command(ALPHA, "cat bootstatus").split()
        expect_that(answer == ["32"], "the cause of the last reset", answer)
