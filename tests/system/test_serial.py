# SPDX-License-Identifier: GPL-2.0-or-later
"""The serial line found by itself, where it is no COM1; and one whose interrupt never comes."""
import os
import re
import struct

from frame import check, expect_that
from guests import GuestBoot

# Nothing is said of the console.
CONFIG = """\
[hypervisor]
avoid = "1g clean-bits"

[guest.heart]
cpus = "0"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"

[guest.alpha]
cpus = "1"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
"""
NO_SUCH = "its machine has COM1 and no other line"


class SerialBoot(GuestBoot):
    cannot_run = {"bochs-intel": NO_SUCH, "bochs-amd": NO_SUCH}
    keeps_time = False
    seconds = 40
    found = None        # what the pre-flight says

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def is_found(self):
        self.machine.expect(rf"Serial line +{self.found} +ok", 240, "the pre-flight to name the line")
        self.machine.expect(r"machine divided between 2 guests", 240)

    def is_typed_to(self):
        self.heart_goes_on()
        self.heart_goes_on()


class SerialPci(SerialBoot):
    """A card, and no other UART."""
    name = "serial-pci"
    line = ["-device", "pci-serial,chardev=line"]
    found = r"I/O 0x[0-9a-f]+ \(PCI 00:[0-9a-f]{2}\.0\), the firmware's speed"

    @check("a PCI serial card is found, and both guests start", required=True)
    def card(self):
        self.is_found()
        self.machine.expect(r"serial line: UART at I/O 0x[0-9a-f]+, looked at every 2 ms", 60)

    @check("the pre-flight lists the CPUs, each of which was asked")
    def cpus(self):
        text = self.machine.serial.text
        expect_that(re.search(r" 0: APIC 0, core 0, thread 0 +1: APIC 1, core 1, thread 0", text), "both CPUs in a row", text)
        expect_that("Unlike CPUs" not in text, "no word of unlike CPUs", text)

    @check("what the config avoids is left off")
    def avoided(self):
        for line in (r"Avoided +1g clean-bits +warn", r"not used, as the config says \(avoid\): 1g clean-bits",
                     r"AMD-V: nested pages up to 2 MiB"):
            expect_that(re.search(line, self.machine.serial.text), f"/{line}/", self.machine.serial.text)

    @check("what is typed on it arrives")
    def typed(self):
        self.is_typed_to()


class SerialTable(SerialBoot):
    """COM2 as the firmware's table says, but on IRQ 5, which it does not say."""
    name = "serial-table"
    found = r"I/O 0x2f8 \(SPCR\), the firmware's speed"

    @property
    def line(self):
        table = struct.pack("<B3xBBBBQBBIBBBBBBHHBBBIBI", 0, 1, 8, 0, 1, 0x2f8, 3, 3, 3, 7, 0, 1, 0, 3, 0,
                            0xffff, 0xffff, 0, 0, 0, 0, 0, 0)
        path = os.path.join(self.folder, "spcr.bin")
        with open(path, "wb") as file:
            file.write(table)
        return ["-device", "isa-serial,iobase=0x2f8,irq=5,chardev=line", "-acpitable", f"sig=SPCR,rev=2,data={path}"]

    @check("the line of the firmware's table is found, and both guests start", required=True)
    def table(self):
        self.is_found()

    @check("its interrupt never comes: it is looked at instead")
    def lost(self):
        self.is_typed_to()
        self.expect_log("", r"serial line: interrupt 3 does not come, looking at it every 2 ms")
