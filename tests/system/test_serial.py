# SPDX-License-Identifier: GPL-2.0-or-later
"""The serial line found by itself, where it is no COM1, and no port either; and one whose interrupt never comes."""
import os
import re
import socket
import struct

from frame import check, expect_that
from guests import GuestBoot
from memory_uart import MemoryUart

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


def spcr(space, width, access, address, irq_type, irq):
    """The table, but for its head. Source: Microsoft's "Serial Port Console Redirection Table"."""
    return struct.pack("<B3xBBBBQBBIBBBBBBHHBBBIBI", 0, space, width, 0, access, address, irq_type, irq, irq, 7, 0, 1, 0, 3, 0,
                       0xffff, 0xffff, 0, 0, 0, 0, 0, 0)


class SerialMemory(SerialBoot):
    """The firmware's table names registers in memory, 4 bytes apart and for accesses of 4 bytes, and no interrupt."""
    name, group = "hardware-serial-memory", "hardware"
    targets = heavy = ("qemu-tcg",)     # not tried with KVM, whose stub watches by the CPU
    seconds = 60
    address = 4 << 30               # of the first DIMM, above all RAM of the machine
    machine_memory = "1024,slots=1,maxmem=4G"
    found = rf"memory 0x{address:x} \(SPCR\), the firmware's speed"

    def __init__(self, *args):
        super().__init__(*args)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.stub = listener.getsockname()[1]
        self.machine_options = {"machine": "q35,nvdimm=on", "gdb": self.stub}

    def image(self):
        """Each byte stops the machine for a moment: so few are told."""
        config = CONFIG.replace("[hypervisor]", '[hypervisor]\nlog = "warn"')
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": config.encode()})

    @property
    def line(self):
        """No UART at all; files for the table and the DIMM."""
        for name, data in (("spcr.bin", spcr(0, 32, 3, self.address, 0, 0)), ("registers", b"")):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(data)
                file.truncate(len(data) or 128 << 20)
        return ["-acpitable", f"sig=SPCR,rev=2,data={self.folder}/spcr.bin",
                "-object", f"memory-backend-file,id=registers,share=on,size=128M,mem-path={self.folder}/registers",
                "-device", "nvdimm,memdev=registers"]

    @check("it is found, and both guests start", required=True)
    def table(self):
        serial = self.machine.serial
        uart = MemoryUart(os.path.join(self.folder, "registers"), self.address, self.stub, serial.hear)
        serial.send_raw = uart.send
        uart.start()
        self.machine.expect(r"console 1/2: heart", 240, "the focus to move to the first guest")
        text = self.file_on_stick("bulkhead/last-start.txt")        # the firmware has no console but the screen
        expect_that(re.search(rf"Serial line +{self.found} +ok", text), "the pre-flight to name the line", text)

    @check("what is typed on it arrives")
    def typed(self):
        self.is_typed_to()


class SerialTable(SerialBoot):
    """COM2 as the firmware's table says, but on IRQ 5, which it does not say."""
    name = "serial-table"
    found = r"I/O 0x2f8 \(SPCR\), the firmware's speed"

    @property
    def line(self):
        path = os.path.join(self.folder, "spcr.bin")
        with open(path, "wb") as file:
            file.write(spcr(1, 8, 1, 0x2f8, 3, 3))
        return ["-device", "isa-serial,iobase=0x2f8,irq=5,chardev=line", "-acpitable", f"sig=SPCR,rev=2,data={path}"]

    @check("the line of the firmware's table is found, and both guests start", required=True)
    def table(self):
        self.is_found()

    @check("its interrupt never comes: it is looked at instead")
    def lost(self):
        self.is_typed_to()
        self.expect_log("", r"serial line: interrupt 3 does not come, looking at it every 2 ms")
