# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot: OVMF with it on and Debian's keys for tests, and what it lets start.

One boot for all. The machine has a disk for each case, the good one last: what the firmware refuses, and what Bulkhead
refuses and returns from, lets the firmware go on to the next.
"""
import hashlib
import os
import re
import subprocess
import sys

from frame import ROOT, Boot, check, expect_that
from test_refusals import GUEST, squeeze

KEY, CERT, PASSWORD = "/usr/share/ovmf/PkKek-1-snakeoil.key", "/usr/share/ovmf/PkKek-1-snakeoil.pem", "snakeoil"
CONFIG, KERNEL = "bulkhead/bulkhead.toml", "guests/testguest"
MICROCODE, MORE = "bulkhead/microcode/listed", "bulkhead/microcode/more"


def first_bytes(data):
    return hashlib.sha256(data).hexdigest()[:16]


class Secure(Boot):
    name = "secure"
    keeps_time = False
    targets = ("qemu-tcg",)
    seconds = 60

    def image(self):
        """Makes the disks; the first is that which every boot has."""
        os.makedirs(self.folder, exist_ok=True)
        with open(self.guest_file("testguest"), "rb") as file:
            kernel = file.read()
        files = {CONFIG: GUEST.encode(), KERNEL: kernel, MICROCODE: b"not for this CPU"}
        self.altered = bytes([*kernel[:-1], kernel[-1] ^ 1])
        self.kernel = kernel
        application = os.path.join(self.build, "BOOTX64.EFI")
        key, sealed = self.path("key"), self.path("sealed.efi")
        subprocess.run(["openssl", "rsa", "-in", KEY, "-passin", "pass:" + PASSWORD, "-out", key], check=True,
                       stderr=subprocess.DEVNULL)
        subprocess.run([sys.executable, os.path.join(ROOT, "tools/seal"), "--key", key, "--cert", CERT, "--application",
                        application, "-o", sealed, *self.arguments("sealed", files)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["sbsign", "--key", key, "--cert", CERT, "--output", self.path("listless.efi"), application],
                       check=True, stderr=subprocess.DEVNULL)
        with open(sealed, "rb") as file:
            listed = file.read()
        digit = listed.index(b"  " + KERNEL.encode()) - 1
        with open(self.path("forged.efi"), "wb") as file:
            file.write(listed[:digit] + b"%x" % (int(listed[digit:digit + 1], 16) ^ 1) + listed[digit + 1:])

        disks = [
            ("unsigned", application, files),
            ("forged", self.path("forged.efi"), files),
            ("listless", self.path("listless.efi"), files),
            ("config", sealed, {**files, CONFIG: GUEST.encode() + b"#"}),
            ("files", sealed, {CONFIG: files[CONFIG], KERNEL: self.altered, MORE: b"more"}),
            ("good", sealed, files),
        ]
        images = [self.make_disk(*disk) for disk in disks]
        words = []
        for number, image in enumerate(images[1:], 2):
            words += ["-drive", f"if=none,id=disk{number},format=raw,file={image}",
                      "-device", f"virtio-blk-pci,drive=disk{number},bootindex={number}"]
        self.machine_options = {"firmware": "secure", "extra": words}
        return images[0]

    def path(self, name):
        return os.path.join(self.folder, name)

    def arguments(self, name, files):
        """PATH=FILE for each, in a folder of that name."""
        words = []
        os.makedirs(self.path(name), exist_ok=True)
        for path, data in files.items():
            source = os.path.join(self.path(name), path.replace("/", "-"))
            with open(source, "wb") as file:
                file.write(data)
            words.append(f"{path}={source}")
        return words

    def make_disk(self, name, application, files):
        image = self.path(name + ".img")
        subprocess.run([sys.executable, os.path.join(ROOT, "tools/mkusb"), "--id", name, "-o", image,
                        "EFI/BOOT/BOOTX64.EFI=" + application, *self.arguments(name, files)], check=True)
        return image

    def refused(self, *wanted):
        """The next refusal has these words; then the firmware goes on."""
        text = self.refusal()
        for words in wanted:
            expect_that(squeeze(words) in squeeze(text), words, text)
        self.press(r"failed to start Boot\w+", "the firmware to go on to the next disk")
        return text

    @check("the firmware refuses the unsigned application, and a signed one whose list was altered", required=True)
    def denied(self):
        for what in ("the unsigned application", "the altered list"):
            self.machine.expect(r"failed\s+to\s+load\s+Boot.*?Access\s+Denied", 120, f"{what} to be refused")
        expect_that("lookingatthismachine" not in squeeze(self.machine.serial.text), "neither to have begun",
                    self.machine.serial.text)

    @check("signed without a list: nothing is read, and the pre-flight says what to do", required=True)
    def no_list(self):
        text = self.refused("Secure Boot on, no signed list", "LACKING", "no file was read", "docs/secure-boot.md", "1 problem.")
        expect_that("bulkhead.toml:" not in text and "left out" not in text, "no word of files", text)

    @check("an altered config is refused by name, with both digests", required=True)
    def config(self):
        self.refused("Secure Boot on, 3 files on the signed list ok",
                     "bulkhead/bulkhead.toml: altered since it was signed",
                     f"its SHA-256 is {first_bytes(GUEST.encode() + b'#')}...",
                     f"signed was {first_bytes(GUEST.encode())}...", "docs/secure-boot.md", "1 problem.")

    @check("an altered kernel, and files of microcode that are missing or were added, too", required=True)
    def files(self):
        self.refused(f'kernel = "{KERNEL}": altered since it was signed: its SHA-256 is {first_bytes(self.altered)}...',
                     f"signed was {first_bytes(self.kernel)}...",
                     f"{MICROCODE}: on the signed list of files, but not on the stick",
                     f"{MORE}: not on the signed list of files (its SHA-256 is {first_bytes(b'more')}...)", "3 problems.")

    @check("the signed stick starts, and its guest answers")
    def good(self):
        self.machine.expect(r"console 1/1: alpha", 180, "the focus to move to alpha")
        self.machine.expect(r"ready> ", 60)
        said = self.machine.serial.text
        last = said[said.rindex("looking at this machine"):]
        expect_that(re.search(r"Secure Boot +on, 3 files on the signed list +ok", last), "Secure Boot on", last)
