# SPDX-License-Identifier: GPL-2.0-or-later
"""What ends before anything starts: a machine without VT-x and AMD-V, and a stick without a config."""
import os
import re
import shutil
import subprocess

from frame import Boot, check, expect_that
from test_refusals import GUEST, squeeze


class Preflight(Boot):
    name = "preflight"
    keeps_time = False
    machine_virtualization = False
    starts_hypervisor = False
    columns = 100               # of the widest firmware's screen

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": GUEST.replace('"32M"', '"32X"').encode()})

    @check("neither VT-x nor AMD-V: refused with a reason", required=True)
    def refused(self):
        text = self.refusal()
        self.text = text
        vendor = self.target.vendor
        expect_that(re.search(vendor + r" [^\n]*LACKING", text), f"{vendor} LACKING in the table", text)
        expect_that("Nothing was changed" in text, '"Nothing was changed"', text)

    @check("the configuration's faults are listed all the same")
    def faults(self):
        expect_that("bulkhead.toml:3:10:" in squeeze(self.text), "bulkhead.toml:3:10:",
                    self.text)

    @check("lines end between words: none is left to the firmware's screen to break")
    def lines(self):
        own = self.text[self.text.index("Bulkhead"):]       # the firmware had something to say before
        long = [line for line in own.splitlines() if len(line) >= self.columns]
        expect_that(not long, f"no line of {self.columns} letters or more", "\n".join(long))

    @check("a key leads back to the firmware")
    def back(self):
        self.press(r"Shell>|UEFI Interactive Shell|BdsDxe", "the firmware to go on")


class Starter(Boot):
    """A stick as somebody has it who has not written a config yet: kernel and initrd, by the names that the starter has."""
    name = "starter"
    keeps_time = False
    files = {"guests/vmlinuz": "vmlinuz", "guests/initrd.img": "demo.img"}

    def image(self):
        return self.make_stick({path: self.guest_file(name) for path, name in self.files.items()})

    @check("without a config nothing starts, and the stick gets one to start from", required=True)
    def look(self):
        text = self.refusal()
        expect_that(squeeze("A config to start from is now in bulkhead/starter.toml") in squeeze(text), "where the starter is", text)
        expect_that("Nothing was changed" in text, '"Nothing was changed"', text)
        self.starter = self.file_on_stick("bulkhead/starter.toml")

    @check("bhcheck takes it for the machine of hardware.toml, as it is", required=True)
    def judged(self):
        folder = os.path.join(self.folder, "stick")
        for path in ("EFI/BOOT", "bulkhead", "guests"):
            os.makedirs(os.path.join(folder, path), exist_ok=True)
        shutil.copy(os.path.join(self.build, self.efi_file), os.path.join(folder, "EFI/BOOT/BOOTX64.EFI"))
        for path, name in self.files.items():
            shutil.copy(self.guest_file(name), os.path.join(folder, path))
        for name, text in (("bulkhead.toml", self.starter), ("hardware.toml", self.file_on_stick("bulkhead/hardware.toml"))):
            with open(os.path.join(folder, "bulkhead", name), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([os.path.join(self.build, "bhcheck"), "--machine", os.path.join(folder, "bulkhead/hardware.toml"), folder],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        expect_that(done.returncode == 0, "no fault", done.stdout)

    @check("and the machine starts with it")
    def starts(self):
        self.machine.stop()
        image = self.make_stick({**{path: self.guest_file(name) for path, name in self.files.items()},
                                 "bulkhead/bulkhead.toml": self.starter.encode()})
        self.machine = self.target.start(image, self.folder, cpus=self.machine_cpus, memory=self.machine_memory, ips=self.machine_ips)
        self.machine.expect("console 1/1: first", 240, "the focus to move to the guest")
        self.machine.expect(r"Linux version \d+\.", 240, "its kernel's first line")
