# SPDX-License-Identifier: GPL-2.0-or-later
"""Started from the network: by iPXE, which hands the files over as images (docs/network.md), and by PXE alone.

QEMU serves the files by TFTP. iPXE itself comes from a stick, as it may from a network card.
"""
import os
import re
import shutil
import subprocess
import sys

from frame import ROOT, Boot, check, expect_that
from test_refusals import GUEST, squeeze

PCI_MASTER = 4                              # in the command register
PCI_NETWORK, PCI_DISPLAY, PCI_BRIDGE, PCI_SERIAL_BUS = 2, 3, 6, 12      # classes
NO_CARD = "its network cards are not what is tested here, and its firmware has no driver for them"
SCRIPT = """\
#!ipxe
imgfetch --name bulkhead/bulkhead.toml bulkhead/bulkhead.toml
imgfetch --name guests\\testguest guests/testguest
chain EFI/BOOT/BOOTX64.EFI
"""


class Served(Boot):
    cannot_run = {"bochs-intel": NO_CARD, "bochs-amd": NO_CARD}
    keeps_time = False
    sealed = False

    def image(self):
        served = os.path.join(self.folder, "served")
        shutil.rmtree(served, ignore_errors=True)
        for path, source in (("EFI/BOOT/BOOTX64.EFI", os.path.join(self.build, "BOOTX64.EFI")),
                             ("guests/testguest", self.guest_file("testguest"))):
            os.makedirs(os.path.dirname(os.path.join(served, path)), exist_ok=True)
            shutil.copy(source, os.path.join(served, path))
        os.makedirs(os.path.join(served, "bulkhead"))
        for path, text in (("bulkhead/bulkhead.toml", GUEST), ("boot.ipxe", SCRIPT)):
            with open(os.path.join(served, path), "w", encoding="ascii") as file:
                file.write(text)
        if self.sealed:             # the application keeps to these files
            subprocess.run([sys.executable, os.path.join(ROOT, "tools/seal"), served], check=True, stdout=subprocess.DEVNULL)
        self.network = {"folder": served, "file": self.started, "first": self.started != "boot.ipxe"}
        image = os.path.join(self.folder, "stick.img")
        subprocess.run([sys.executable, os.path.join(ROOT, "tools/mkusb"), "--id", "test", "-o", image,
                        "EFI/BOOT/BOOTX64.EFI=" + os.path.join(self.build, "ipxe.efi")], check=True)
        return image


class Network(Served):
    name = "network"
    started = "boot.ipxe"
    sealed = True

    @check("iPXE hands over the config and a guest's kernel, as they are on the application's list", required=True)
    def starts(self):
        self.machine.expect(r"Secure\s+Boot\s+off,[^\n]*3\s+files\s+on\s+the\s+signed\s+list", 180, "the list's three files")
        self.machine.expect(r"console 1/1: alpha", 180, "the focus to move to alpha")
        self.machine.expect(r"ready> ", 60)

    def pci(self, function, register):
        """A word of the PCI configuration of bus 0, as software reads it."""
        monitor = self.machine.monitor
        monitor.human(f"o /w 0xcf8 {0x80000000 | function << 8 | register:#x}")
        answer = monitor.human("i /w 0xcfc")
        return int(re.search(r"= 0x([0-9a-f]+)", answer)[1], 16)

    @check("no PCI device but screen, bridges and keyboards' controllers may write to memory")
    def no_dma(self):
        expect_that(re.search(r"PCI: DMA switched off in [1-9]\d* devices", self.machine.serial.text),
                    "the log to count the devices", self.machine.serial.text)
        there = [function for function in range(256) if self.pci(function, 0) & 0xffff != 0xffff]
        classes = {function: self.pci(function, 8) >> 24 for function in there}
        expect_that(PCI_NETWORK in classes.values() and PCI_SERIAL_BUS in classes.values(),
                    "a network card and a USB controller", classes)
        driven = re.findall(r"USB: controller \d+, PCI 00:(\w\w\.\d), is driven for keyboards", self.machine.serial.text)
        writing = {f"{f >> 3:02x}.{f & 7}" for f, kind in classes.items()
                   if self.pci(f, 4) & PCI_MASTER and kind not in (PCI_DISPLAY, PCI_BRIDGE)}
        expect_that(writing == set(driven) != set(), "the controllers that the log names", ", ".join(sorted(writing)))


class Pxe(Served):
    name = "pxe"
    starts_hypervisor = False
    started = "EFI/BOOT/BOOTX64.EFI"

    @check("PXE alone: says what is missing and what to do")
    def refused(self):
        text = self.refusal()
        for words in ("was started from the network", "iPXE", "docs/network.md"):
            expect_that(squeeze(words) in squeeze(text), words, text)
        expect_that("off by the config" not in text, "no word of a config that nobody read", text)
        expect_that("1problem." in squeeze(text), "one problem", text)
