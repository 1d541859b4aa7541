# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's PCI devices as the pre-flight lists them: groups, resets, and which a guest can have.

Each line is compared with what QEMU's devices are: facts of its models, and where the command puts them.
"""
import re

from frame import Boot, check, expect_that
from test_refusals import GUEST, faults_of, squeeze

TCG = ("qemu-tcg",)
NVME, STICK = "nvme,serial=1", ("qemu-xhci,addr=0x3", "usb-storage,drive=stick,bootindex=1")
# Behind two ports of a switch without ACS; one disk alone behind a port, and one behind a port without ACS; a legacy bus.
BRIDGES = ("pcie-root-port,id=p1,chassis=1,addr=0x10", "pcie-root-port,id=p2,chassis=2,addr=0x11",
           "pcie-root-port,id=p3,chassis=3,addr=0x12", "pcie-root-port,id=p4,chassis=4,addr=0x13,disable-acs=on",
           "pcie-root-port,id=p5,chassis=5,addr=0x14", "pcie-root-port,id=p6,chassis=6,addr=0x15", "pcie-root-port,id=p7,chassis=9,addr=0x16",
           "x3130-upstream,id=u,bus=p1", "xio3130-downstream,id=d1,bus=u,chassis=7,slot=1",
           "xio3130-downstream,id=d2,bus=u,chassis=8,slot=2", "pcie-pci-bridge,id=legacy,bus=p5")
DEVICES = ("e1000e,bus=d1,romfile=", NVME + ",bus=d2", "nvme,serial=2,bus=p2", "nvme,serial=3,bus=p4",
           "e1000,bus=legacy,addr=1,romfile=", "virtio-rng-pci,bus=p3,disable-legacy=on,iommu_platform=on",
           "qemu-xhci,id=other,bus=p6", "sdhci-pci,bus=p7", "qemu-xhci,id=keys,addr=0xb", "usb-kbd,bus=keys.0", "edu,addr=0x8", "ahci,addr=0x9", "virtio-rng-pci,addr=0xa")
IOMMU = ("intel-iommu,intremap=on,aw-bits=48",)
# What QEMU's models have, and where they are: address, ID, kind, reset, and whether a guest can have it.
LINES = """\
00:01.0 1234:1111 display  -   no: it has the screen
00:03.0 1b36:000d USB 3    -   no: it has the boot stick
00:08.0 1234:11e8 other    -   no: it cannot be reset
00:09.0 8086:2922 SATA     -   no: it cannot be reset
00:0a.0 1af4:1005 other    -   no: it cannot be reset
00:0b.0 1b36:000d USB 3    -   no: it has the keyboard
03:00.0 8086:10d3 Ethernet PM  yes, with 04:00.0
04:00.0 1b36:0010 NVMe     FLR yes, with 03:00.0
05:00.0 1b36:0010 NVMe     FLR yes
06:00.0 1af4:1044 other    FLR yes
07:00.0 1b36:0010 NVMe     FLR yes
09:01.0 8086:100e Ethernet -   no: behind a legacy bridge
0a:00.0 1b36:000d USB 3    bus yes
0b:00.0 1b36:0007 SD card  bus yes
00:1f.2 8086:2922 SATA     -   no: it cannot be reset
00:1f.3 8086:2930 SMBus    -   no: it cannot be reset
"""
# Functions that reach each other; all others are alone.
GROUPS = [{"01:00.0", "02:00.0", "02:01.0", "03:00.0", "04:00.0"}, {"00:13.0", "07:00.0"}, {"08:00.0", "09:01.0"},
          {"00:1f.0", "00:1f.2", "00:1f.3"}]
LINE = re.compile(r"^  (\S+) (\S+) (.{8}) +(\d+) (\S+) +(.*)$", re.M)
ECAM, ACS_BITS = 0xb0000000, 0x1d


def machine_with(devices):
    return {"machine": "q35", "stick": STICK, "extra": [word for device in devices for word in ("-device", device)]}


class Machine(Boot):
    """With all these devices."""
    config = GUEST
    keeps_time = False
    targets = TCG
    machine_options = machine_with(IOMMU + BRIDGES + DEVICES)

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"), "bulkhead/bulkhead.toml": self.config.encode()})


class Devices(Machine):
    name = "devices"

    @check("the pre-flight has a line for each device", required=True)
    def lines(self):
        self.machine.expect(r"PCI +ID +what +group +reset +for a guest", 240, "the list of devices")
        self.machine.expect(r"console 1/1: alpha", 240, "the focus to move to alpha")
        shown = self.machine.serial.text.replace("\r", "")
        shown = shown[shown.index("  PCI     ID"):shown.index("console 1/1")]
        seen = sorted(" ".join(line[:3] + line[4:]).split() for line in LINE.findall(shown))
        wanted = sorted(line.split() for line in LINES.splitlines())
        expect_that(seen == wanted, LINES, shown)
        expect_that(all(len(line) < 80 for line in shown.splitlines()[:len(wanted) + 1]), "lines of 79 letters at most", shown)
        text = self.machine.serial.text
        expect_that(re.search(r"PCI devices +16, 7 for guests +ok", text), "7 of 16 for guests", text)

    @check("groups are whole, also with bridges, in last-start.txt")
    def groups(self):
        text = self.file_on_stick("bulkhead/last-start.txt")
        groups = {}
        for line in LINE.findall(text):
            groups.setdefault(line[3], set()).add(line[0])
        seen = sorted((sorted(group) for group in groups.values() if len(group) > 1))
        expect_that(seen == sorted(map(sorted, GROUPS)), GROUPS, text)
        for bar in (r"00:08\.0 BAR 0: memory 0x[0-9a-f]+, size 0x100000", r"03:00\.0 BAR 2: ports 0x[0-9a-f]+, size 0x20",
                    r"05:00\.0 BAR 0: memory 0x[0-9a-f]+, size 0x4000",
                    r"0b:00\.0 BAR 0: memory 0x[0-9a-f]+000, size 0x1000"):    # of 256 bytes, alone in its page
            expect_that(re.search(bar, text), bar, text)

    @check("bhcheck gives a guest all that can be given, by the file of this machine; and none if the config avoids the IOMMU")
    def offline(self):
        given = re.findall(r"^(\S+) .* yes", LINES, re.M)
        hardware = self.file_on_stick("bulkhead/hardware.toml").replace("\r", "")
        config = GUEST + "pci = [" + ", ".join(f'"{address}"' for address in given) + "]\n"
        said, status = self.bhcheck_machine(hardware, config)
        expect_that(len(given) == 7 and status == 0 and re.search(r"^alpha +0 ", said, re.M), f"a plan with {given}", said)
        said, status = self.bhcheck_machine(hardware, '[hypervisor]\navoid = "iommu"\n' + config)
        expect_that(status == 1 and len(re.findall(r": no IOMMU is in use; .*\[BH1165\]$", said, re.M)) == 7, "7 devices refused", said)

    @check("what keeps devices apart is on in each port that can")
    def acs(self):
        """Reads the root ports' configuration space as the machine has it now."""
        for device in (0x10, 0x11, 0x12, 0x14, 0x15, 0x16):
            space = ECAM + (device << 15)
            at = 0x100
            while at and (head := self.physical_word(space + at)) & 0xffff != 0x0d:
                at = head >> 20
            expect_that(at, f"port 00:{device:x}.0 to have ACS", hex(at))
            control = self.physical_word(space + at + 4) >> 16
            expect_that(control & ACS_BITS == ACS_BITS, f"ACS {ACS_BITS:#x} on in 00:{device:x}.0", hex(control))


# Each fault: the place of a text in pci, and words of what is said of it.
REFUSED = GUEST + """\
pci = ["0000:05:00.0", "1b36:0010", "03:00.0", "00:1f.2", "8086:10d9"]

[guest.beta]
cpus = "1"
memory = "32M"
kernel = "guests/testguest"
pci = ["05:00.0", "09:01.0", "00:03.0", "0000:06:00.0"]
"""
FAULTS = [
    "6:24: PCI device 1b36:0010 is there 3 times: 04:00.0, 05:00.0, 07:00.0; name one by its address",
    "6:37: PCI device 03:00.0 is in a group with 04:00.0, which it can reach past the IOMMU",
    "6:48: PCI device 00:1f.2 cannot be given to a guest: it cannot be reset",
    "6:59: there is no PCI device 8086:10d9; did you mean 8086:10d3?",
    "12:8: PCI device 05:00.0 was given to guest \"alpha\" already, on line 6",
    "12:19: PCI device 09:01.0 cannot be given to a guest: behind a legacy bridge",
    "12:30: PCI device 00:03.0 cannot be given to a guest: it has the boot stick",
]


class DevicesRefused(Machine):
    """A config whose key pci has all faults that there are."""
    name = "devices-refused"
    config = REFUSED
    faults = FAULTS
    starts_hypervisor = False

    @check("devices that cannot be given are refused, each with its place and the reason", required=True)
    def refused(self):
        self.said = self.refusal()
        seen = squeeze(self.said)
        for fault in self.faults:
            place, words = fault.split(" ", 1)
            expect_that(re.search(re.escape(f"bulkhead.toml:{place}") + "[^:]*:?" + re.escape(squeeze(words)), seen), fault, self.said)
        expect_that(f"{len(self.faults)}problems" in seen, "as many problems as faults", self.said)

    @check("bhcheck finds the same elsewhere, by the file of this machine that the start has written")
    def offline(self):
        hardware = self.file_on_stick("bulkhead/hardware.toml").replace("\r", "")
        said, status = self.bhcheck_machine(hardware, self.config)
        here, there = faults_of(self.said), faults_of(said)
        expect_that(status == 1 and here == there, "at boot: " + "\n".join(here), "\n".join(there or [said]))


# Of a machine without an IOMMU: what is good otherwise, and with others of its group; and what Bochs has.
UNWALLED = {True: ['"05:00.0", "8086:10d3"', "05:00.0 cannot be given to a guest: no IOMMU is in use",
                   "03:00.0 cannot be given to a guest: no IOMMU is in use"],
            False: ['"00:01.1", "8086:7020"', "00:01.1 cannot be given to a guest: it has the boot stick",
                    "00:01.2 cannot be given to a guest: it cannot be reset"]}


class DevicesUnwalled(DevicesRefused):
    """Without an IOMMU no guest gets a device, whatever it is, and the pre-flight says what that means."""
    name = "devices-unwalled"
    targets = ("qemu-tcg", "bochs-intel", "bochs-amd")

    def __init__(self, build, target, folder):
        super().__init__(build, target, folder)
        qemu = target.name in TCG
        names, *words = UNWALLED[qemu]
        self.config = GUEST + f"pci = [{names}]\n"
        self.faults = [f"6:{column}: PCI device {text}" for column, text in zip((8, 19), words)]
        self.machine_options = machine_with(BRIDGES + DEVICES) if qemu else {}

    @check("the pre-flight says that there is no IOMMU, what devices can do then, and that they are for no guest")
    def preflight(self):
        expect_that(re.search(r"DMA +no IOMMU +warn", self.said), "a warning", self.said)
        expect_that(re.search(r"PCI devices +\d+, none for guests without an IOMMU +ok", self.said), "none for guests", self.said)
        seen = squeeze(self.said)
        for words in ("a broken one could still write anywhere; no guest can be given one", "Switch on VT-d or AMD-Vi"):
            expect_that(squeeze(words) in seen, words, self.said)
